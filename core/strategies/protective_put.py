"""Buy puts for shares that are held: an insurance that sells them at the strike, however far they fall.

The premium is what the insurance costs; it is lost if the shares do not fall. Below the strike the put gains what the shares lose. Bought
when options are cheap (IV in the lowest 30% of the year) near 45 days at a delta near 0.25, a few percent under the market.

Example: 100 KO held at 70.00. Buy one 67 put at 0.80: you pay 0.80, that is 80 USD. With the shares: most that can be lost
(70 - 67 + 0.80) x 100 = 380; most that can be made: unlimited; break-even at expiry 70.80. The put alone can lose its 80 USD, no more.
Profit is taken where the put sells for 1.60.
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
from core.strategies._shares import cost_of, free_lots

NAME = "protective_put"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.25", of="the put bought", high="0.9", loosens=False),
    *expiry_settings(dte=45, low=30, high=60),
    *debit_settings(profit_target="1"),
)
EXAMPLES = ("open protective_put KO", "open protective_put KO 2 dte=60 delta=0.2", "open protective_put KO 1 strikes=67 limit=0.80")


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Puts that fit the request and the shares, best first; raises UserError where none does."""
    lots = free_lots(book, request.symbol, Right.PUT, strategy=NAME)
    note = f", for {lots * 100} shares held at {cost_of(book, request.symbol):.2f}"
    return single_ideas(
        view, parameters, request, strategy=NAME, right=Right.PUT, side=Side.BUY, most_units=lots, note=note,
    )
