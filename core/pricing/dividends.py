"""Options on a stock that pays cash dividends: value, Greeks, and the risk that a short call is assigned for the dividend.

Two models, always named by the caller:

- `spot`: the stock itself is lognormal between ex-dates and falls by the dividend on each (by what it is worth, where that is less).
- `escrowed`: the stock less the present value of the dividends before expiry is lognormal; exercise gives the whole stock. Its European
  value is Black-Scholes-Merton's on the spot less those dividends. At the same volatility it is worth a little less, since only the smaller
  part moves (E. G. Haug, J. Haug, A. Lewis, "Back to Basics: a new approach to the discrete dividend problem", Wilmott, 2003).

Values come from the finite differences of `core.pricing.dividend_grid`, whose error is under 3e-3 at a spot of 100
(`tests/unit/pricing/test_dividends.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from core.pricing import compiled
from core.pricing.bsm import DAYS_PER_YEAR, FIELDS, POINT, Floats, Greeks, right_signs
from core.pricing.dividend_grid import solve

Model = Literal["spot", "escrowed"]
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

    Arguments as in `value`. Delta and gamma are read off the grid, the rest are central differences. Charm and theta hold the dates of the
    dividends. Raises ValueError for another right or model.
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
        bending = np.where(bump > 0.0, (up[:2] - down[:2]) / (2.0 * bump) * POINT, 0.0)
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
    dividend is worth more than the call's time value without it; some do not, some do so needlessly. The chance is exact but for model
    `spot` with dividends before that one, which are taken together at its date: half a point off after three of two percent each. Returns
    one entry a dividend in order of dates. Raises ValueError where an argument is no possible one.
    """
    given = (spot, strike, t_years, rate, vol, dividend_yield)
    if not (all(math.isfinite(each) for each in given) and spot > 0.0 and strike > 0.0 and t_years > 0.0 and vol > 0.0):
        raise ValueError(f"spot, strike, time and volatility are above zero and all is finite, got {given}")
    schedule = tuple(each for each in _schedule(dividends) if each.t_years < t_years)
    present = [each.amount * math.exp(-rate * each.t_years) for each in schedule]
    if model == "escrowed" and sum(present) >= spot:
        raise ValueError(f"dividends worth {sum(present)} today are no less than the spot price {spot}: model 'escrowed' has no such stock")
    found = []

    def chance_from(level: float, when: float, place: int) -> float:
        """That the underlying stands at a level or over it on the eve: what moves is the stock, or the stock less all dividends to come."""
        if model == "escrowed":
            moving, wanted = spot - sum(present), level - sum(present[place:]) * math.exp(rate * when)
        else:
            grown = (earlier.amount * math.exp((rate - dividend_yield) * (when - earlier.t_years)) for earlier in schedule[:place])
            moving, wanted = spot, level + sum(grown)
        total = vol * math.sqrt(when)
        d2 = (math.log(moving / wanted) + (rate - dividend_yield) * when) / total - 0.5 * total
        return 0.5 * math.erfc(-d2 / math.sqrt(2.0))

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
            chance = chance_from(critical, each.t_years, place)
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
        with np.errstate(all="ignore"):
            rows[:, place] = solve(part, due, model == "escrowed", american) if done is None else done
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
