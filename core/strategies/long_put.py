"""Buy a put: a bet on a fall, or on more fear, that can lose what it cost and no more.

Time works against it every day, so it is bought with two months left and when options are cheap (IV in the lowest 30% of the year), near
the money at a delta near 0.50, and sold when it has gained half of what it cost.

Example: SPY at 500. Buy one 500 put at 11.00: you pay 11.00, that is 1,100 USD. Most that can be lost: 1,100. Most that can be made, if
SPY went to zero: (500 - 11.00) x 100 = 48,900. Break-even at expiry: 489. Profit is taken where it sells for 16.50.
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
from core.strategies._select import single_ideas
from core.strategies._settings import debit_settings, delta_setting, expiry_settings

NAME = "long_put"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.50", of="the option bought", high="0.9", loosens=False),
    *expiry_settings(dte=60, low=45, high=90),
    *debit_settings(profit_target="0.5"),
)
EXAMPLES = ("open long_put SPY", "open long_put KO 2 dte=60 delta=0.5", "open long_put SPY 1 strikes=500 limit=11.00")


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Puts that fit the request, best first; raises UserError where none does."""
    return single_ideas(view, parameters, request, strategy=NAME, right=Right.PUT, side=Side.BUY)
