"""Buy a put near the market and sell one further down against it: a bet on a fall that costs less than the put alone and pays less.

What is paid is the most that can be lost; the distance between the strikes less that the most that can be made. Bought when options are
cheap (IV in the lowest 30% of the year) near 45 days at a delta near 0.50, and taken off when it has gained half of what it cost.

Example: SPY at 500. Buy one 500 put at 9.00 and sell one 475 put at 3.00: you pay 6.00, that is 600 USD. Most that can be lost: 600.
Most that can be made: (25 - 6.00) x 100 = 1,900. Break-even at expiry: 494. Profit is taken where it sells for 9.00.
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
from core.strategies._settings import debit_settings, delta_setting, expiry_settings, wing_settings
from core.strategies._verticals import vertical_ideas

NAME = "put_debit_spread"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.50", of="the leg bought", loosens=False),
    *expiry_settings(dte=45, low=30, high=60),
    *wing_settings(),
    *debit_settings(profit_target="0.5"),
)
EXAMPLES = (
    "open put_debit_spread SPY",
    "open put_debit_spread SPX dte=30 width=100",
    "open put_debit_spread SPY 2 strikes=500/475 limit=6.00",
)


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Spreads that fit the request, best first; raises UserError where none does."""
    return vertical_ideas(view, parameters, request, strategy=NAME, right=Right.PUT, side=Side.BUY)
