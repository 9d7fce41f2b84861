"""Sell a put with the money set aside to take the shares: paid to wait for a price at which one would buy anyway.

If the underlying stays above the strike the premium is kept; if not, the shares are bought at the strike, for less than today's price
net of the premium, and covered calls may follow. Entered 30 to 45 days out at a delta of 0.25 to 0.30, taken off at half of the credit.

Example: SPY at 500. Sell one 480 put at 4.80: you receive 4.80, that is 480 USD, and 48,000 USD is set aside. Most that can be made:
480. Lost if SPY went to zero: (480 - 4.80) x 100 = 47,520. Break-even at expiry: 475.20. Profit is taken where it costs 2.40 to buy back.
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

NAME = "cash_secured_put"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.275"),
    *expiry_settings(dte=38, low=30, high=45),
    *exit_settings(profit_target="0.5", iv_percentile="0"),
)
EXAMPLES = ("open cash_secured_put SPY", "open cash_secured_put KO 2 dte=35", "open cash_secured_put SPY strikes=480 expiry=2026-12-18")


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Puts that fit the request, best first; raises UserError where none does."""
    return single_ideas(view, parameters, request, strategy=NAME, right=Right.PUT, side=Side.SELL)
