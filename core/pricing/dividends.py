"""Options on a stock that pays cash dividends: value, Greeks, and the risk that a short call is assigned for the dividend.

Two models, always named by the caller:

- `spot`: the stock itself is lognormal between ex-dates and falls by the dividend on each (by what it is worth, where that is less).
- `escrowed`: the stock less the present value of the dividends before expiry is lognormal; exercise gives the whole stock. Its European
  value is Black-Scholes-Merton's on the spot less those dividends. At the same volatility it is worth a little less, since only the smaller
  part moves (E. G. Haug, J. Haug, A. Lewis, "Back to Basics: a new approach to the discrete dividend problem", Wilmott, 2003).

Values come from finite differences on a grid that is even in the logarithm: the payoff averaged over each cell, Crank-Nicolson steps begun
with four half implicit ones after expiry and after each ex-date (R. Rannacher, Numerische Mathematik 43, 1984), the exercise condition met
within each step by M. Brennan and E. Schwartz's elimination (Journal of Finance 32, 1977), and a four-point interpolation over each
dividend. `NODES` and `STEPS` keep the error under 3e-3 at a spot of 100 (`tests/unit/pricing/test_dividends.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from core.pricing import compiled
from core.pricing.bsm import DAYS_PER_YEAR, FIELDS, POINT, Floats, Greeks, right_signs

Model = Literal["spot", "escrowed"]
NODES, STEPS = 200, 100
LEAST_STEPS = 4  # in a piece
PIECES = (1 / 64, 3 / 64, 12 / 64, 48 / 64)  # of the time between two dates
DAMPED = 2  # Crank-Nicolson steps that are done as two half implicit ones each
WIDTH, LEAST_WIDTH = 5.0, 0.05  # half the grid, in deviations beyond spot and strike, and at least
LEAST_TOTAL_VOL = 1e-4
VOL_BUMP, RATE_BUMP = 1e-2, 1e-4  # the first relative
DAY = 1.0 / DAYS_PER_YEAR
CRITICAL_ROUNDS, CRITICAL_LADDER = 4, 33


@dataclass(frozen=True, slots=True, kw_only=True)
class CashDividend:
    """A dividend per unit of underlying, that whoever holds the stock into the ex-date receives; `t_years` from now to the ex-date."""

    t_years: float
    amount: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.t_years) and math.isfinite(self.amount) and self.amount >= 0.0):
            raise ValueError(f"a dividend is a finite amount of zero or more at a finite time, got {self.amount} at {self.t_years}")


def value(
    *, right: ArrayLike, spot: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, vol: ArrayLike,
    dividends: Sequence[CashDividend], model: Model, dividend_yield: ArrayLike = 0.0, american: bool = True,
) -> Floats:
    """Value options on a stock with cash dividends.

    dividends: those up to the last expiry, in any order; past ones and those after an option's expiry do not count for it. model: see the
    module's text. dividend_yield: continuous, besides the cash. The rest as in `core.pricing.bsm.value`; arguments broadcast. Returns the
    price per unit of underlying, NaN where an input is impossible. Raises ValueError for another right or model.
    """
    columns, shape = _columns(right, spot, strike, t_years, rate, dividend_yield, vol)
    return np.reshape(_solved(columns, _schedule(dividends), model, american)[0], shape)


def greeks(
    *, right: ArrayLike, spot: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, vol: ArrayLike,
    dividends: Sequence[CashDividend], model: Model, dividend_yield: ArrayLike = 0.0, american: bool = True,
) -> Greeks:
    """Value options on a stock with cash dividends, with Greeks against spot in the units of `core.pricing.bsm.Greeks`.

    Arguments as in `value`. Delta and gamma are read off the grid, theta follows from the Black-Scholes equation, the rest are central
    differences. Charm and theta hold the dates of the dividends. Raises ValueError for another right or model.
    """
    columns, shape = _columns(right, spot, strike, t_years, rate, dividend_yield, vol)
    schedule = _schedule(dividends)

    signs, spots, strikes, years, rates, yields, vols = columns

    def seen(*, moved_rate: Floats = rates, moved_vol: Floats = vols, later: float = 0.0) -> Floats:
        moved = tuple(CashDividend(t_years=each.t_years - later, amount=each.amount) for each in schedule)
        return _solved((signs, spots, strikes, years - later, moved_rate, yields, moved_vol), moved, model, american)

    # Half a day, but never onto a date: what happens on one is no part of the passing of time.
    dates = np.concatenate((years[years > 0.0], [each.t_years for each in schedule]))
    later = 0.5 * min(DAY, float(dates.min()) if len(dates) else DAY)
    with np.errstate(all="ignore"):
        bump = VOL_BUMP * vols
        now, up, down = seen(), seen(moved_vol=vols + bump), seen(moved_vol=vols - bump)
        dear, cheap = seen(moved_rate=rates + RATE_BUMP), seen(moved_rate=rates - RATE_BUMP)
        after, before = seen(later=later), seen(later=-later)
        passing = (after[:2] - before[:2]) / (2.0 * later) / DAYS_PER_YEAR
        bending = (up[:2] - down[:2]) / (2.0 * bump) * POINT
        rows = np.array([
            now[0], now[1], now[2], passing[0], bending[0], (dear[0] - cheap[0]) / (2.0 * RATE_BUMP) * POINT, bending[1], passing[1],
        ])
        rows[2:] = np.where((now[3] == 1.0) | (years == 0.0), np.where(np.isnan(now[0]), np.nan, 0.0), rows[2:])
    return Greeks(**{name: row.reshape(shape) for name, row in zip(FIELDS, rows, strict=True)})


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentRisk:
    """What a dividend means for a short call on the eve of its ex-date.

    `t_years`: from now to the ex-date; `amount`: the dividend; `critical_spot`: from there on exercise on the eve is worth more than
    keeping the call, None where it never is; `probability`: that the underlying stands there on the eve, risk-neutral; `gain_now`: what the
    holder would gain by exercise were the eve today (dividend less the time value given up), negative where keeping is better.
    """

    t_years: float
    amount: float
    critical_spot: float | None
    probability: float
    gain_now: float


def assignment_risk(
    *, spot: float, strike: float, t_years: float, rate: float, vol: float, dividends: Sequence[CashDividend], model: Model,
    dividend_yield: float = 0.0,
) -> tuple[AssignmentRisk, ...]:
    """Say for each dividend before expiry how likely a short American call is assigned for it.

    Arguments as in `value`, one option. A holder who acts in his own interest exercises an in-the-money call on the eve where the
    dividend is worth more than the call's time value without it; some do not, some do so needlessly. Returns one entry a dividend in order
    of dates. Raises ValueError where an argument is no possible one.
    """
    given = (spot, strike, t_years, rate, vol, dividend_yield)
    if not (all(math.isfinite(each) for each in given) and spot > 0.0 and strike > 0.0 and t_years > 0.0 and vol > 0.0):
        raise ValueError(f"spot, strike, time and volatility are above zero and all is finite, got {given}")
    schedule = tuple(each for each in _schedule(dividends) if each.t_years < t_years)
    found = []
    for place, each in enumerate(schedule):
        left = tuple(CashDividend(t_years=later.t_years - each.t_years, amount=later.amount) for later in schedule[place + 1 :])

        def gain(spots: Floats, left: tuple[CashDividend, ...] = left, each: CashDividend = each) -> Floats:
            kept = value(
                right=1, spot=np.maximum(spots - each.amount, 1e-9 * strike), strike=strike, t_years=t_years - each.t_years, rate=rate,
                vol=vol, dividends=left, model=model, dividend_yield=dividend_yield,
            )
            return np.asarray(spots - strike - kept)

        critical = _critical_spot(gain, strike, each.amount)
        chance = 0.0
        if critical is not None:
            fallen = critical + sum(
                earlier.amount * math.exp((rate - dividend_yield) * (each.t_years - earlier.t_years)) for earlier in schedule[:place]
            )
            total = vol * math.sqrt(each.t_years)
            d2 = (math.log(spot / fallen) + (rate - dividend_yield) * each.t_years) / total - 0.5 * total
            chance = 0.5 * math.erfc(-d2 / math.sqrt(2.0))
        gain_now = float(gain(np.array([spot]))[0])
        found.append(
            AssignmentRisk(t_years=each.t_years, amount=each.amount, critical_spot=critical, probability=chance, gain_now=gain_now)
        )
    return tuple(found)


def put_without_dividends(spot: float, strike: float, t_years: float, rate: float, dividend_yield: float, vol: float) -> float:
    """Value an American put on a yield alone by the same grid, whatever the signs of the rates."""
    columns = tuple(np.array([each]) for each in (-1.0, spot, strike, t_years, rate, dividend_yield, vol))
    return float(_solved(columns, (), "spot", True)[0, 0])


def _critical_spot(gain: Callable[[Floats], Floats], strike: float, amount: float) -> float | None:
    """The lowest price at which exercise gains, between the strike and where a call has no time value left; None where it never does."""
    low, high = strike, 4.0 * strike + amount
    for _ in range(CRITICAL_ROUNDS):
        ladder = np.linspace(low, high, CRITICAL_LADDER)
        gains = gain(ladder) > 0.0
        if not gains.any():
            return None
        first = int(np.argmax(gains))
        if first == 0:
            return float(ladder[0])
        low, high = float(ladder[first - 1]), float(ladder[first])
    return 0.5 * (low + high)


def _schedule(dividends: Sequence[CashDividend]) -> tuple[CashDividend, ...]:
    """The dividends still to come, in order."""
    return tuple(sorted((each for each in dividends if each.t_years > 0.0 and each.amount > 0.0), key=lambda each: each.t_years))


def _columns(right: ArrayLike, *given: ArrayLike) -> tuple[tuple[Floats, ...], tuple[int, ...]]:
    arrays = np.broadcast_arrays(right_signs(right), *(np.asarray(each, dtype=np.float64) for each in given))
    return tuple(np.ascontiguousarray(each, dtype=np.float64).ravel() for each in arrays), arrays[0].shape


def _solved(columns: tuple[Floats, ...], schedule: tuple[CashDividend, ...], model: Model, american: bool) -> Floats:
    """Rows: value, delta, gamma, and whether exercise is due now (1)."""
    if model not in ("spot", "escrowed"):
        raise ValueError(f"a dividend model is 'spot' or 'escrowed', got {model!r}")
    signs, spot, strike, years, rate, dividend_yield, vol = columns
    rows = np.full((4, len(spot)), np.nan)
    with np.errstate(all="ignore"):
        total = vol * np.sqrt(years)
        sound = (spot > 0.0) & (strike > 0.0) & (years >= 0.0) & (vol >= 0.0) & np.isfinite(spot + strike + total + rate + dividend_yield)
        if model == "escrowed":
            for each in schedule:
                spot = spot - np.where(each.t_years < years, each.amount * np.exp(-rate * each.t_years), 0.0)
            sound &= spot > 0.0
    usual = sound & (total >= LEAST_TOTAL_VOL)
    moving = (signs, spot, strike, years, rate, dividend_yield, vol)
    for when in np.unique(years[usual]):
        place = np.flatnonzero(usual & (years == when))
        due = tuple(each for each in schedule if each.t_years < when)
        part = tuple(column[place] for column in moving)
        done = compiled.grid(part, due, escrowed=model == "escrowed", american=american)
        rows[:, place] = _grid(part, due, model == "escrowed", american) if done is None else done
    still = np.flatnonzero(sound & ~usual)
    if len(still):
        rows[:, still] = _without_volatility(tuple(column[still] for column in columns), schedule, american)
    return rows


def _without_volatility(columns: tuple[Floats, ...], schedule: tuple[CashDividend, ...], american: bool) -> Floats:
    """The best moment on the one path there is: now, the eve of each dividend, the ex-date itself, expiry."""
    signs, spot, strike, years, rate, dividend_yield, _ = columns

    def at(when: Floats, before: bool) -> Floats:
        stock = spot * np.exp((rate - dividend_yield) * when)
        for each in schedule:
            paid = (each.t_years < when) | (~np.asarray(before) & (each.t_years == when))
            stock = stock - np.where(paid, each.amount * np.exp((rate - dividend_yield) * (when - each.t_years)), 0.0)
        return np.asarray(np.exp(-rate * when) * np.maximum(signs * (stock - strike), 0.0))

    best = at(years, False)
    if american:
        best = np.maximum(best, at(np.zeros_like(years), True))
        for each in schedule:
            when = np.minimum(np.full_like(years, each.t_years), years)
            best = np.maximum(best, np.maximum(at(when, True), at(when, False)))
    intrinsic = np.maximum(signs * (spot - strike), 0.0)
    due = american & (best <= intrinsic) & (intrinsic > 0.0)
    return np.array([best, np.where(best > 0.0, signs, 0.0), np.zeros_like(best), due.astype(np.float64)])


# --- the grid ----------------------------------------------------------------------------------------------------------------------
# Index 0 is the end where exercise pays, the low one for puts and the high one for calls, so that one elimination serves both.


def layout(sign: Floats, spot: Floats, strike: Floats, years: Floats, vol: Floats, paid: float) -> tuple[Floats, Floats, Floats]:
    """Return ln(S) at index 0, the signed step, and the index of spot, which is a node. `paid`: all dividends, by which strikes move."""
    wide = np.maximum(WIDTH * vol * np.sqrt(years), LEAST_WIDTH)
    low = np.minimum(np.log(spot), np.log(strike)) - wide
    high = np.maximum(np.log(spot), np.log(strike + paid)) + wide
    step = (high - low) / (NODES - 1)
    start, signed = np.where(sign > 0.0, high, low), np.where(sign > 0.0, -step, step)
    index = np.rint((np.log(spot) - start) / signed)
    return np.log(spot) - index * signed, signed, index


def slices(dates: Sequence[float], years: float) -> list[list[tuple[float, int, bool]]]:
    """Cut the time from expiry back to now at the ex-dates, and each part into pieces that grow away from its start.

    A piece is its length, its Crank-Nicolson steps, and whether it begins with half implicit ones.
    """
    edges = [0.0, *(years - each for each in reversed(dates)), years]
    found = []
    for start, end in pairwise(edges):
        steps = max(LEAST_STEPS, math.ceil(STEPS * math.sqrt((end - start) / years) / len(PIECES)))
        found.append([((end - start) * share, steps, place == 0) for place, share in enumerate(PIECES)])
    return found


def _grid(columns: tuple[Floats, ...], due: tuple[CashDividend, ...], escrowed: bool, american: bool) -> Floats:
    """Solve options of one expiry, a lane each; arrays are (nodes, lanes)."""
    sign, spot, strike, every_years, rate, dividend_yield, vol = columns
    years = float(every_years[0])
    start, step, index = layout(sign, spot, strike, every_years, vol, 0.0 if escrowed else sum(each.amount for each in due))
    logs = start + np.arange(NODES)[:, None] * step
    stock = np.exp(logs)
    worth = _averaged_payoff(sign, strike, logs, np.abs(step))
    diffusion, drift = 0.5 * vol * vol / (step * step), 0.5 * (rate - dividend_yield - 0.5 * vol * vol) / step
    here = (diffusion - drift, -2.0 * diffusion - rate, diffusion + drift)
    passed = 0.0
    with np.errstate(all="ignore"):
        for part, pieces in enumerate(slices([each.t_years for each in due], years)):
            left = due[len(due) - part :]  # dividends between this part and expiry
            for length, steps, damped in pieces:
                size = length / steps
                halves, wholes = ((1.0, 0.5 * size, 2 * DAMPED), (0.5, size, steps - DAMPED if damped else steps))
                for share, size_now, count in (halves, wholes) if damped else (wholes,):
                    matrix = _eliminated(here, share * size_now)
                    for _ in range(count):
                        passed += size_now
                        floor, end = _floor(sign, strike, stock, rate, dividend_yield, years - passed, passed, left, escrowed, american)
                        worth = _stepped(worth, here, (1.0 - share) * size_now, matrix, floor, end)
            if part < len(due):
                left = due[len(due) - part - 1 :]
                passed = years - left[0].t_years
                if not escrowed:
                    worth = _over_dividend(worth, sign, stock, start, step, left[0].amount)
                floor, _ = _floor(sign, strike, stock, rate, dividend_yield, years - passed, passed, left, escrowed, american)
                worth = worth if floor is None else np.maximum(worth, floor)
        return _read_off(worth, sign, spot, strike, step, index, due, rate, escrowed, american)


def _averaged_payoff(sign: Floats, strike: Floats, logs: Floats, width: Floats) -> Floats:
    """The payoff's mean over each cell, so that it does not matter where in its cell the strike lies."""
    low, high, kink = logs - 0.5 * width, logs + 0.5 * width, np.log(strike)
    from_call, to_put = np.maximum(low, kink), np.minimum(high, kink)
    call = np.where(high > kink, np.exp(high) - np.exp(from_call) - strike * (high - from_call), 0.0)
    put = np.where(low < kink, strike * (to_put - low) - np.exp(to_put) + np.exp(low), 0.0)
    return np.where(sign > 0.0, call, put) / width


def _eliminated(here: tuple[Floats, Floats, Floats], size: Floats | float) -> tuple[Floats, Floats, Floats, Floats]:
    """The implicit matrix 1 - size * L with its upper diagonal eliminated from the far end: lower, upper, and one over the pivots."""
    lower, middle, upper = -size * here[0], 1.0 - size * here[1], -size * here[2]
    inverse = np.empty((NODES, len(middle)))
    inverse[NODES - 2] = 1.0 / middle
    for k in range(NODES - 3, 0, -1):
        inverse[k] = 1.0 / (middle - upper * lower * inverse[k + 1])
    return lower, upper, inverse, lower * inverse


def _stepped(
    worth: Floats, here: tuple[Floats, Floats, Floats], size: float, matrix: tuple[Floats, Floats, Floats, Floats], floor: Floats | None,
    end: Floats,
) -> Floats:
    """One step: the explicit part, the elimination, and the substitution, which stops at the floor on its way."""
    _, upper, inverse, carried = matrix
    right = worth.copy()
    right[1:-1] += size * (here[0] * worth[:-2] + here[1] * worth[1:-1] + here[2] * worth[2:])
    result = np.empty_like(worth)
    result[-1] = 0.0
    for k in range(NODES - 3, 0, -1):
        right[k] -= upper * inverse[k + 1] * right[k + 1]
    right *= inverse
    result[0] = end
    for k in range(1, NODES - 1):
        moved = right[k] - carried[k] * result[k - 1]
        result[k] = moved if floor is None else np.maximum(moved, floor[k])
    return result


def _floor(
    sign: Floats, strike: Floats, stock: Floats, rate: Floats, dividend_yield: Floats, now: float, left_years: float,
    left: Sequence[CashDividend], escrowed: bool, american: bool,
) -> tuple[Floats | None, Floats]:
    """What exercise is worth at each node `left_years` before expiry (None for European options), and the value at index 0."""
    present = sum(each.amount * np.exp(-rate * (each.t_years - now)) for each in left) if left else np.zeros_like(rate)
    whole = stock + present if escrowed else stock
    kept = stock[0] * np.exp(-dividend_yield * left_years) - (0.0 if escrowed else present)
    end = np.maximum(sign * (kept - strike * np.exp(-rate * left_years)), 0.0)
    if not american:
        return None, end
    floor = np.maximum(sign * (whole - strike), 0.0)
    return floor, np.maximum(end, floor[0])


def _over_dividend(worth: Floats, sign: Floats, stock: Floats, start: Floats, step: Floats, amount: float) -> Floats:
    """The value before an ex-date: that of the price less the dividend after it, between four nodes."""
    fallen = np.maximum(stock - amount, 1e-6 * stock)
    place = np.clip((np.log(fallen) - start) / step, 0.0, NODES - 1.0)
    first = np.clip(np.floor(place).astype(np.int64) - 1, 0, NODES - 4)
    x = place - first
    lanes = np.arange(worth.shape[1])
    v0, v1, v2, v3 = (worth[first + each, lanes] for each in range(4))
    result = -(x - 1.0) * (x - 2.0) * (x - 3.0) / 6.0 * v0 + x * (x - 2.0) * (x - 3.0) / 2.0 * v1
    result += -x * (x - 1.0) * (x - 3.0) / 2.0 * v2 + x * (x - 1.0) * (x - 2.0) / 6.0 * v3
    # Below the lowest node a put goes on gaining what the stock loses.
    under = np.maximum(stock.min(axis=0) - fallen, 0.0)
    return np.maximum(result, 0.0) + np.where(sign < 0.0, under, 0.0)


def _read_off(
    worth: Floats, sign: Floats, spot: Floats, strike: Floats, step: Floats, index: Floats, due: tuple[CashDividend, ...], rate: Floats,
    escrowed: bool, american: bool,
) -> Floats:
    """Value, delta, gamma and whether exercise is due, at the node of the spot price."""
    middle, lanes = index.astype(np.int64), np.arange(worth.shape[1])
    v0, v1, v2, v3, v4 = (worth[middle + each, lanes] for each in (-2, -1, 0, 1, 2))
    slope = (v0 - 8.0 * v1 + 8.0 * v3 - v4) / (12.0 * step)
    bend = (-v0 + 16.0 * v1 - 30.0 * v2 + 16.0 * v3 - v4) / (12.0 * step * step)
    whole = spot + (sum(each.amount * np.exp(-rate * each.t_years) for each in due) if escrowed and due else 0.0)
    intrinsic = sign * (whole - strike)
    exercised = american & (intrinsic > 0.0) & (v2 <= intrinsic)
    return np.array([
        v2, np.where(exercised, sign, slope / spot), np.where(exercised, 0.0, (bend - slope) / (spot * spot)), exercised.astype(np.float64),
    ])
