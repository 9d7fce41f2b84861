"""Buy a call: a bet on a rise that can lose what it cost and no more, and that has no end to what it can make.

Time works against it every day, so it is bought with two months left and when options are cheap (IV in the lowest 30% of the year), near
the money at a delta near 0.50, and sold when it has gained half of what it cost.

Example: SPY at 500. Buy one 500 call at 12.00: you pay 12.00, that is 1,200 USD. Most that can be lost: 1,200. Most that can be made:
unlimited. Break-even at expiry: 512. Profit is taken where it sells for 18.00.
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

NAME = "long_call"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.50", of="the option bought", high="0.9", loosens=False),
    *expiry_settings(dte=60, low=45, high=90),
    *debit_settings(profit_target="0.5"),
)
EXAMPLES = ("open long_call SPY", "open long_call KO 2 dte=60 delta=0.5", "open long_call SPY 1 strikes=500 limit=12.00")


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Calls that fit the request, best first; raises UserError where none does."""
    return single_ideas(view, parameters, request, strategy=NAME, right=Right.CALL, side=Side.BUY)
