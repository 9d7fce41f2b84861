"""Sell a call above the market and buy a dearer strike's cheaper call further up: paid to say that the underlying will not rise far.

The mirror of the put credit spread: the premium received is the most that can be made, the distance between the strikes less the premium
the most that can be lost. Calls bring less than puts equally far away, since markets fall faster than they rise. Entered near 45 days at
a short delta near 0.16, taken off at half of the credit, closed or rolled at 21 days. On shares the short call may be assigned early
before a dividend.

Example: SPX at 2,900. Sell one 3050 call at 9.00 and buy one 3100 call at 5.50: you receive 3.50, that is 350 USD. Most that can be made:
350. Most that can be lost: (50 - 3.50) x 100 = 4,650. Break-even at expiry: 3,053.50. Profit is taken where it costs 1.75 to buy back.
"""

from __future__ import annotations

from datetime import date

from core.domain.ideas import Idea, Request
from core.domain.instruments import Right
from core.domain.orders import Side
from core.market.view import Needs, View
from core.portfolio.book import Book
from core.settings import Parameters, Setting
from core.strategies._expiries import option_needs
from core.strategies._settings import close_setting, delta_setting, exit_settings, expiry_settings, wing_settings
from core.strategies._verticals import vertical_ideas

NAME = "call_credit_spread"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.16"),
    *expiry_settings(dte=45, low=30, high=60),
    *wing_settings(),
    *exit_settings(profit_target="0.5", iv_percentile="0.70"),
    close_setting(),
)
EXAMPLES = (
    "open call_credit_spread SPX",
    "open call_credit_spread SPY 2 dte=45 delta=0.16",
    "open call_credit_spread XSP strikes=715/720 limit=0.60",
)


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Spreads that fit the request, best first; raises UserError where none does."""
    return vertical_ideas(view, parameters, request, strategy=NAME, right=Right.CALL, side=Side.SELL)
