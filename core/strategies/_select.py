"""Choosing strikes within a series, and the legs made of them: what all option strategies share. Pure and deterministic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import numpy as np

from core.domain.ideas import Idea, Request
from core.domain.instruments import Right, plain_number
from core.domain.orders import Effect, Leg, Side
from core.errors import Unavailable, UserError
from core.market.analytics import marks
from core.market.chain import Chain
from core.market.view import View
from core.settings import Parameters
from core.strategies._expiries import Series, check_request, series_for

MOST_IDEAS = 3
_NEAR_DELTA = 0.5  # a strike counts as "near" a delta within this share of it
Candidate = tuple[Series, int, float]  # a series, a row of it, its absolute delta
_DEEDS = {Side.SELL: "Sell", Side.BUY: "Buy"}


def named_row(series: Series, strike: Decimal) -> int:
    """The row of a strike somebody named; raises UserError with the strikes next to it."""
    strikes = series.chain.strike_milli
    milli = strike * 1000
    hits = np.flatnonzero(strikes == int(milli)) if milli == milli.to_integral_value() else np.array([], dtype=int)
    if len(hits):
        return int(hits[0])
    below, above = strikes[strikes < float(milli)], strikes[strikes > float(milli)]
    near = [plain_number(Decimal(int(item)) / 1000) for item in (*below[-1:], *above[:1])]
    verb = "nearest are" if len(near) > 1 else "nearest is"
    wrong = f"there is no {plain_number(strike)} {series.right.value} on {series.expiry}"
    raise UserError(f"{wrong}; {verb} {' and '.join(near)}" if near else f"{wrong}; none is quoted")


def check_leg(series: Series, row: int, side: Side) -> None:
    """Refuse a short leg that nobody bids for, and any leg whose quote is not sane."""
    if not _fit(series.chain, side)[row]:
        name, state = series.chain.option(row).label, series.chain.quote(row).state.value
        if side is Side.SELL:
            raise UserError(f"the {name} cannot be sold to open: {state}", "A short leg needs a bid; choose a strike nearer to the money.")
        raise UserError(f"the {name} has no usable quote: {state}", "Choose another strike to buy.")


def check_order(put: tuple[Series, int], call: tuple[Series, int], *, strategy: str) -> None:
    """Refuse a short put above the short call: one of the two is then always in the money, and its name would promise another trade."""
    (puts, low), (calls, high) = put, call
    if puts.chain.strike_milli[low] > calls.chain.strike_milli[high]:
        crossed = f"the {strike_words(puts, low)} lies above the {strike_words(calls, high)}: that is no {strategy}"
        raise UserError(crossed, "Name a delta under 0.50, or strikes.")


def rows_near(
    view: View, series: Series, target: Decimal, side: Side, *, lowest: Decimal | None = None
) -> tuple[tuple[int, float], ...]:
    """Rows nearest to a delta that may be traded on a side (of two alike the further out), with their absolute deltas.

    With a `lowest` strike only those from it on, however far their delta is.
    """
    chain = series.chain
    deltas = np.abs(marks(view, chain).delta)
    deltas[~_fit(chain, side)] = np.nan
    if lowest is not None:
        deltas[chain.strike_milli < int(lowest * 1000)] = np.nan
    rows = [int(row) for row in np.flatnonzero(np.isfinite(deltas))]
    what = f"{series.root} {series.right.value}"
    if not rows:
        why = "no quote with a bid gives a volatility" if side is Side.SELL else "no quote gives a volatility"
        raise Unavailable(f"delta of the {what}s of {series.expiry}", why=why)
    aim = float(target)
    rows.sort(key=lambda row: (round(abs(float(deltas[row]) - aim), 9), deltas[row]))
    near = [(row, float(deltas[row])) for row in rows if lowest is not None or abs(deltas[row] - aim) <= _NEAR_DELTA * aim]
    if not near:
        best = rows[0]
        name = plain_number(chain.option(best).strike)
        bid = " that somebody bids for" if side is Side.SELL else ""
        raise UserError(
            f"no {what} on {series.expiry}{bid} is near {plain_number(target)} delta",
            f"The nearest is the {name} {series.right.value} at {deltas[best]:.3f}; name delta or strikes to have it.",
        )
    return tuple(near[:MOST_IDEAS])


def candidates(view: View, choices: Sequence[Series], target: Decimal, side: Side) -> list[Candidate]:
    """Strikes near a delta over the series, best first: first the best series, later ones only where that has none."""
    trouble: UserError | Unavailable | None = None
    for series in choices:
        try:
            return [(series, row, delta) for row, delta in rows_near(view, series, target, side)]
        except (UserError, Unavailable) as error:
            trouble = trouble or error
    assert trouble is not None, "there is at least one series"
    raise trouble


def ideas_of(found: Iterable[Candidate], make: Callable[[Series, int, float], Idea]) -> tuple[Idea, ...]:
    """The ideas that can be made of candidates, in their order; raises the first trouble where none can."""
    ideas, trouble = [], None
    for series, row, delta in found:
        try:
            ideas.append(make(series, row, delta))
        except (UserError, Unavailable) as error:
            trouble = trouble or error
    if not ideas and trouble is not None:
        raise trouble
    return tuple(ideas)


def known_delta(view: View, series: Series, row: int) -> float | None:
    """The absolute delta of a row, None where its quote gives none."""
    try:
        delta = view.mark(series.chain.option(row)).delta
    except Unavailable:
        return None
    return None if delta is None else abs(delta)


def leg_of(series: Series, row: int, side: Side) -> Leg:
    """One opening leg of a row."""
    return Leg(instrument=series.chain.option(row), side=side, effect=Effect.OPEN)


def target_delta(parameters: Parameters, request: Request) -> Decimal:
    """The delta a person named, or the strategy's own."""
    return request.delta if request.delta is not None else parameters.number("delta")


def strike_words(series: Series, row: int) -> str:
    """`2700 put`."""
    return f"{plain_number(series.chain.option(row).strike)} {series.right.value}"


def delta_words(delta: float | None) -> str:
    """`0.158 delta`, or that it is unknown."""
    return "delta unknown" if delta is None else f"{delta:.3f} delta"


def single_ideas(
    view: View, parameters: Parameters, request: Request, *, strategy: str, right: Right, side: Side, most_units: int | None = None,
    lowest: Decimal | None = None, note: str = "",
) -> tuple[Idea, ...]:
    """Ideas of one option bought or sold, best first. `lowest`: no strike under it is chosen, though one may be named."""
    check_request(request, strategy=strategy, most_strikes=1, right=right)
    choices = series_for(view, parameters, request, right=right)
    if request.strikes:
        series, row = choices[0], named_row(choices[0], request.strikes[0])
        check_leg(series, row, side)
        found = [(series, row, known_delta(view, series, row))]
    elif lowest is not None and request.delta is None:
        near = rows_near(view, choices[0], target_delta(parameters, request), side, lowest=lowest)
        found = [(choices[0], row, delta) for row, delta in near]
    else:
        found = [*candidates(view, choices, target_delta(parameters, request), side)]
    return tuple(
        Idea(
            strategy=strategy, symbol=request.symbol, legs=(leg_of(series, row, side),), most_units=most_units,
            thesis=f"{_DEEDS[side]} the {strike_words(series, row)} at {delta_words(delta)}, {series.dte} days to expiry{note}.",
            short_delta=delta if side is Side.SELL else None,
        )
        for series, row, delta in found
    )


def _fit(chain: Chain, side: Side) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Rows with a sane quote; to sell, with somebody who bids."""
    with np.errstate(invalid="ignore"):
        return chain.usable & (chain.bid > 0) if side is Side.SELL else chain.usable
