"""Sell an option out of the money of a near expiry against a longer one further in the money: income on something that moves like shares.

What is paid is the most that can be lost while both are held, since the long strike is the better one. Most is made if the underlying
stands at the short strike when the near option runs out. Bought when options are cheap (IV rank under 30): the short leg with about 30
days at a delta near 0.30, the long one with about 90 days at a delta near 0.70. After the near expiry the far option is held alone.

Example: SPY at 500. Sell one 515 call with 30 days at 3.20 and buy one 480 call with 90 days at 30.20: you pay 27.00, that is 2,700 USD.
Most that can be lost: 2,700. Profit is taken where the pair sells for 33.75.
"""

from __future__ import annotations

from datetime import date

from core.domain.ideas import Idea, Request
from core.domain.instruments import Right, plain_number
from core.domain.orders import Side
from core.errors import UserError
from core.market.view import Needs, View
from core.portfolio.book import Book
from core.settings import Parameters, Setting
from core.strategies._expiries import Series, check_request, far_series, series_for, two_needs
from core.strategies._select import candidates, ideas_of, known_delta, named_row, rows_near, target_delta
from core.strategies._settings import debit_settings, delta_setting, expiry_settings, far_settings
from core.strategies._two_dates import right_of, two_date_idea
from core.strategies._verticals import check_width

NAME = "diagonal"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.30"),
    delta_setting("0.70", of="the long leg", name="far_delta", high="0.95", loosens=False),
    *expiry_settings(dte=30, low=20, high=45),
    *far_settings(dte=90, low=60, high=130),
    *debit_settings(profit_target="0.25"),
)
EXAMPLES = (
    "open diagonal SPY",
    "open diagonal SPY right=put dte=21 far_dte=60 width=20",
    "open diagonal SPY 1 strikes=480/515 limit=27.00",
)


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return two_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Diagonals that fit the request, best first; raises UserError where none does."""
    check_request(request, strategy=NAME, most_strikes=2, wide=True, far=True)
    choices = series_for(view, parameters, request, right=right_of(request))
    if request.strikes:
        return (_as_named(view, choices[0], parameters, request),)

    def make(near: Series, row: int, delta: float) -> Idea:
        far = far_series(view, parameters, request, near)
        return two_date_idea((near, row), (far, _long(view, near, row, far, parameters, request)), delta, request, strategy=NAME)

    return ideas_of(candidates(view, choices, target_delta(parameters, request), Side.SELL), make)


def _long(view: View, near: Series, row: int, far: Series, parameters: Parameters, request: Request) -> int:
    """The long row: a width nearer to the money and beyond, or by its own delta."""
    short, towards = near.chain.option(row).strike, -1 if near.right is Right.CALL else 1
    if request.width is not None:
        return named_row(far, short + towards * request.width)
    for found, _ in rows_near(view, far, parameters.number("far_delta"), Side.BUY):
        if (far.chain.option(found).strike - short) * towards > 0:
            return found
    raise UserError(f"no {far.right.value} of {far.expiry} near the usual delta is better than the {plain_number(short)}", "Name width=.")


def _as_named(view: View, near: Series, parameters: Parameters, request: Request) -> Idea:
    """Two strikes: the one further in the money is bought. One: it is sold, with a width."""
    towards = -1 if near.right is Right.CALL else 1
    if len(request.strikes) == 2:
        long, short = sorted(request.strikes, reverse=towards > 0)
        check_width(request, short, long)
    elif request.width is not None:
        short = request.strikes[0]
        long = short + towards * request.width
    else:
        raise UserError("a diagonal has two strikes", "Say both, as in strikes=480/515, or add width=.")
    far, row = far_series(view, parameters, request, near), named_row(near, short)
    return two_date_idea((near, row), (far, named_row(far, long)), known_delta(view, near, row), request, strategy=NAME)
