"""Two options of one right and expiry: the strike that defines the spread, and the wing further out of the money. Pure.

Sold, the defining strike makes a credit spread; bought, a debit spread: the wing lies on the same side in both, under a put, over a call.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from core.domain.ideas import Idea, Request
from core.domain.instruments import Right, plain_number
from core.domain.orders import Side
from core.errors import UserError
from core.market.view import View
from core.settings import Parameters
from core.strategies._expiries import Series, check_request, series_for
from core.strategies._select import (
    candidates,
    check_leg,
    delta_words,
    ideas_of,
    known_delta,
    leg_of,
    named_row,
    strike_words,
    target_delta,
)

_OPPOSITE = {Side.SELL: Side.BUY, Side.BUY: Side.SELL}


def vertical_ideas(
    view: View, parameters: Parameters, request: Request, *, strategy: str, right: Right, side: Side
) -> tuple[Idea, ...]:
    """Spreads that fit the request, best first; `side` is that of the defining strike. Raises UserError where none fits."""
    check_request(request, strategy=strategy, most_strikes=2, right=right, wide=True)
    choices = series_for(view, parameters, request, right=right)
    if request.strikes:
        return (_as_named(view, choices[0], request, strategy=strategy, side=side),)

    def make(series: Series, row: int, delta: float) -> Idea:
        return _idea(series, row, wing_row(series, row, parameters, request), delta, request, strategy=strategy, side=side)

    return ideas_of(candidates(view, choices, target_delta(parameters, request), side), make)


def wing_row(series: Series, row: int, parameters: Parameters, request: Request) -> int:
    """The row of the wing: exactly the width a person said, else the listed strike nearest to the usual distance (of two the nearer)."""
    strike, away = series.chain.option(row).strike, -1 if series.right is Right.PUT else 1
    if request.width is not None:
        return named_row(series, wing_strike(strike, request.width, series.right))
    points = {"SPX": "wing_points_spx", "XSP": "wing_points_xsp"}.get(request.symbol)
    distance = parameters.number(points) if points else strike * parameters.number("wing_fraction")
    further = np.flatnonzero(((series.chain.strike_milli - int(strike * 1000)) * away > 0) & series.chain.usable)
    if not len(further):
        place = "under" if away < 0 else "over"
        raise UserError(
            f"there is no {series.right.value} {place} {plain_number(strike)} on {series.expiry}", "Name strikes, or another expiry."
        )
    gaps = np.abs(series.chain.strike_milli[further] - float((strike + away * distance) * 1000))
    return int(further[np.flatnonzero(gaps == gaps.min())[-1 if away < 0 else 0]])


def wing_strike(strike: Decimal, width: Decimal, right: Right) -> Decimal:
    """The strike a width away, further out of the money; raises UserError where that is none."""
    wing = strike - width if right is Right.PUT else strike + width
    if wing <= 0:
        raise UserError(f"a width of {plain_number(width)} points leaves no strike under {plain_number(strike)}")
    return wing


def pair_words(near: Decimal, wing: Decimal) -> str:
    """`2700/2650`: the defining strike first."""
    return f"{plain_number(near)}/{plain_number(wing)}"


def check_width(request: Request, near: Decimal, wing: Decimal) -> None:
    """Refuse named strikes that are not as far apart as the named width."""
    if request.width is not None and request.width != abs(near - wing):
        apart = plain_number(abs(near - wing))
        raise UserError(f"strikes {pair_words(near, wing)} are {apart} points apart, not {plain_number(request.width)}")


def _as_named(view: View, series: Series, request: Request, *, strategy: str, side: Side) -> Idea:
    """The spread whose strikes a person said: two, or the defining one with a width."""
    put = series.right is Right.PUT
    if len(request.strikes) == 2:
        near, wing = sorted(request.strikes, reverse=put)
        check_width(request, near, wing)
    elif request.width is not None:
        near = request.strikes[0]
        wing = wing_strike(near, request.width, series.right)
    else:
        said, rest = plain_number(request.strikes[0]), "LOWER" if put else "HIGHER"
        raise UserError(f"a {strategy.replace('_', ' ')} has two strikes", f"Say both, as in strikes={said}/{rest}, or add width=.")
    row, far = named_row(series, near), named_row(series, wing)
    check_leg(series, row, side)
    return _idea(series, row, far, known_delta(view, series, row), request, strategy=strategy, side=side)


def _idea(series: Series, row: int, wing: int, delta: float | None, request: Request, *, strategy: str, side: Side) -> Idea:
    chain, other = series.chain, _OPPOSITE[side]
    check_leg(series, wing, other)
    near, far = chain.option(row).strike, chain.option(wing).strike
    if not chain.mid[row] > chain.mid[wing]:
        what = "brings no credit" if side is Side.SELL else "costs nothing, so it cannot be real"
        raise UserError(
            f"the {pair_words(near, far)} {series.right.value} spread on {series.expiry} {what} at these quotes", "Choose other strikes."
        )
    points, place = plain_number(abs(near - far)), "lower" if far < near else "higher"
    first, second = ("Sell", "buy") if side is Side.SELL else ("Buy", "sell")
    thesis = (
        f"{first} the {strike_words(series, row)} at {delta_words(delta)} and {second} the {strike_words(series, wing)} {points} points"
        f" {place}, {series.dte} days to expiry."
    )
    legs = (leg_of(series, row, side), leg_of(series, wing, other))
    return Idea(strategy=strategy, symbol=request.symbol, legs=legs, thesis=thesis, short_delta=delta if side is Side.SELL else None)
