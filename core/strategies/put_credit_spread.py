"""Sell a put below the market and buy a cheaper one further down: paid to say that the underlying will not fall far.

The premium received is the most that can be made, the distance between the strikes less the premium the most that can be lost, whatever
happens. Entered near 45 days, where time decay begins to gather pace, at a short delta near 0.16 (about one standard deviation), taken
off at half of the credit, and closed or rolled at 21 days.

Example: SPX at 2,900. Sell one 2700 put at 12.00 and buy one 2650 put at 8.00: you receive 4.00, that is 400 USD. Most that can be
made: 400. Most that can be lost: (50 - 4) x 100 = 4,600. Break-even at expiry: 2,696. Profit is taken where it costs 2.00 to buy back.
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

NAME = "put_credit_spread"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.16"),
    *expiry_settings(dte=45, low=30, high=60),
    *wing_settings(),
    *exit_settings(profit_target="0.5", iv_percentile="0.70"),
    close_setting(),
)
EXAMPLES = (
    "open put_credit_spread SPX",
    "open put_credit_spread SPY 2 dte=45 delta=0.16",
    "open put_credit_spread XSP strikes=640/635 limit=0.85",
)


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Spreads that fit the request, best first; raises UserError where none does."""
    return vertical_ideas(view, parameters, request, strategy=NAME, right=Right.PUT, side=Side.SELL)
