"""Sell one put far below the market for a few days, with nothing bought against it: small premiums often, a large loss seldom.

The premium is the most that can be made. The loss is limited only by the underlying reaching zero, so it is sized by stress, not by
premium. Entered daily on SPX or XSP with 1 to 4 days left at a delta near 0.065, taken off at 70% of the credit. A put nobody bids
for is not offered: there is nothing to receive and no way back but at the ask.

Example: XSP at 680. Sell one 655 put at 0.40: you receive 0.40, that is 40 USD. Most that can be made: 40. Lost if XSP went to zero:
(655 - 0.40) x 100 = 65,460. Break-even at expiry: 654.60. Profit is taken where it costs 0.12 to buy back.
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
from core.strategies._settings import delta_setting, exit_settings, expiry_settings

NAME = "naked_put"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.065"),
    *expiry_settings(dte=4, low=1, high=4),
    *exit_settings(profit_target="0.70", iv_percentile="0"),
)
EXAMPLES = ("open naked_put XSP", "open naked_put SPX 1 dte=2 delta=0.065", "open naked_put XSP strikes=655 limit=0.40")


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Puts that fit the request, best first; raises UserError where none does."""
    return single_ideas(view, parameters, request, strategy=NAME, right=Right.PUT, side=Side.SELL)
