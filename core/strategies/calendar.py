"""Sell an option of a near expiry and buy the same strike of a later one: the near one loses its time value faster than the far one.

What is paid is the most that can be lost while both are held; most is made if the underlying stands at the strike when the near one runs
out, and how much depends on what the far one is worth then. It gains when volatility rises, so it is bought when options are cheap (IV
rank under 30): sold with about 30 days, bought with about 60, at the money. After the near expiry the far option is held alone.

Example: SPY at 500. Sell one 500 call with 30 days at 8.50 and buy one 500 call with 60 days at 12.50: you pay 4.00, that is 400 USD.
Most that can be lost: 400. Profit is taken where the pair sells for 5.00.
"""

from __future__ import annotations

from datetime import date

from core.domain.ideas import Idea, Request
from core.domain.orders import Side
from core.market.view import Needs, View
from core.portfolio.book import Book
from core.settings import Parameters, Setting
from core.strategies._expiries import Series, check_request, far_series, series_for, two_needs
from core.strategies._select import candidates, ideas_of, known_delta, named_row, target_delta
from core.strategies._settings import debit_settings, delta_setting, expiry_settings, far_settings
from core.strategies._two_dates import right_of, two_date_idea

NAME = "calendar"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.50"),
    *expiry_settings(dte=30, low=20, high=45),
    *far_settings(dte=60, low=50, high=80),
    *debit_settings(profit_target="0.25"),
)
EXAMPLES = ("open calendar SPY", "open calendar SPX right=put dte=14 far_dte=45", "open calendar SPY 1 strikes=500 limit=4.00")


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return two_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Calendars that fit the request, best first; raises UserError where none does."""
    check_request(request, strategy=NAME, most_strikes=1, far=True)
    choices = series_for(view, parameters, request, right=right_of(request))
    if request.strikes:
        near, strike = choices[0], request.strikes[0]
        far, row = far_series(view, parameters, request, near), named_row(near, strike)
        delta = known_delta(view, near, row)
        return (two_date_idea((near, row), (far, named_row(far, strike)), delta, request, strategy=NAME),)

    def make(near: Series, row: int, delta: float) -> Idea:
        far = far_series(view, parameters, request, near)
        return two_date_idea((near, row), (far, named_row(far, near.chain.option(row).strike)), delta, request, strategy=NAME)

    return ideas_of(candidates(view, choices, target_delta(parameters, request), Side.SELL), make)
