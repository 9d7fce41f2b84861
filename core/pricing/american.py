"""American options on a continuous dividend yield: value, Greeks and the early-exercise boundary, on whole arrays.

The method is that of L. Andersen, M. Lake and D. Offengenden, "High Performance American Option Pricing", Journal of Computational Finance
20 (2016), pages 39 to 87. The boundary B of a put, in the form H = ln(B/X)^2 with X = K min(1, r/q), is a Chebyshev polynomial in the
square root of time. It starts from the QD+ approximation (M. Li, "Analytical approximations for the critical stock prices of American
options", Review of Derivatives Research 13, 2010) and is improved by their fixed point system A; the premium is then I. Kim's integral
(Review of Financial Studies 3, 1990). Three things are our own: both integrals run over the angle whose sine is the square root of the time
that has passed, in which the integrand is smooth, so few Gauss-Legendre nodes do; all steps are plain fixed point steps, since a Newton
step here serves some inputs and spoils others; and where the drift to expiry is large against the deviation, which turns the steps of
system A away from the boundary, their system B is taken with more nodes. With the default orders the error over random options of a strike
of 100 is under 2e-4 (`tests/unit/pricing/test_american.py`). A call is the put with spot and strike, rate and dividend exchanged.

Where rate and dividend are negative in such a way that exercise pays only between two boundaries, the finite differences of
`core.pricing.dividends` take over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.pricing import bsm
from core.pricing.american_search import search
from core.pricing.bsm import DAYS_PER_YEAR, FIELDS, POINT, Floats, Greeks, right_signs
from core.pricing.exercise import (
    EARLY,
    EARLY_STEEP,
    EUROPEAN,
    LEAST_TOTAL_VOL,
    ORDERS,
    STILL,
    TIME_BUMP,
    TWO_BOUNDS,
    Puts,
    as_puts,
    boundary,
    chunks,
    points,
    suited,
)
from core.pricing.exercise import EXACT_ORDERS as EXACT_ORDERS

VOL_BUMP, RATE_BUMP = 1e-3, 1e-5  # the first relative
WITH_BOUNDARY = (EARLY, EARLY_STEEP)


def value(
    *, right: ArrayLike, spot: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike,
    orders: tuple[int, int, int, int] = ORDERS,
) -> Floats:
    """Value American options.

    Arguments as in `core.pricing.bsm.value`; orders: as `ORDERS`, higher ones are more exact and slower. Returns the price per unit of
    underlying, NaN where an input is impossible. Raises ValueError for another right. Source: see the module's text.
    """
    lanes = _lanes(right, spot, strike, t_years, rate, dividend, vol)
    return lanes.shaped(_values(lanes.columns, orders))


def greeks(
    *, right: ArrayLike, spot: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike,
    orders: tuple[int, int, int, int] = ORDERS,
) -> Greeks:
    """Value American options, with Greeks against spot in the units of `core.pricing.bsm.Greeks`.

    Arguments as in `value`. Delta and gamma are derivatives of the integral, theta follows from the Black-Scholes equation, charm from the
    same boundary a little earlier, the rest are central differences with the boundary solved anew. Where exercise is due now, the option
    is its intrinsic value and moves with nothing but the spot. Raises ValueError for another right.
    """
    lanes = _lanes(right, spot, strike, t_years, rate, dividend, vol)
    found = _greeks(lanes.columns, orders)
    return Greeks(**{name: lanes.shaped(row) for name, row in zip(FIELDS, found, strict=True)})


def value_over_spots(
    *, right: ArrayLike, spots: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike
) -> Floats:
    """Value American options at many spot prices each, with one boundary an option, which is most of the work.

    spots: the last axis are the prices of one option; the other arguments, as in `value`, broadcast against the axes before it. Returns the
    shape of both. Raises ValueError for another right.
    """
    laid, shared = _over_spots(right, spots, (strike, t_years, rate, dividend, vol))
    return laid.shaped(_values(laid.columns, ORDERS, shared))


def greeks_over_spots(
    *, right: ArrayLike, spots: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike
) -> Greeks:
    """Value American options at many spot prices each, with Greeks. Arguments as in `value_over_spots`, results as in `greeks`."""
    laid, shared = _over_spots(right, spots, (strike, t_years, rate, dividend, vol))
    found = _greeks(laid.columns, ORDERS, shared)
    return Greeks(**{name: laid.shaped(row) for name, row in zip(FIELDS, found, strict=True)})


def exercise_boundary(
    *, right: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike,
    orders: tuple[int, int, int, int] = ORDERS,
) -> Floats:
    """Find the spot price at which exercise is due now: for a put at or below it, for a call at or above it.

    Arguments as in `value`; NaN where early exercise never pays, or pays between two prices. Raises ValueError for another right.
    """
    lanes = _lanes(right, strike, strike, t_years, rate, dividend, vol)
    puts = as_puts(lanes.columns)
    kind, bound = puts.kinds(), np.full(len(puts.strike), np.nan)
    for early in WITH_BOUNDARY:
        steep = early == EARLY_STEEP
        for place in chunks(np.flatnonzero(kind == early)):
            part = puts.at(place)
            ratio = part.top * np.exp(boundary(part, suited(orders, steep=steep), steep=steep)[0]) / part.strike
            bound[place] = lanes.columns[2][place] * np.where(lanes.columns[0][place] > 0, 1.0 / ratio, ratio)
    return lanes.shaped(bound)


def implied_vol(
    *, right: ArrayLike, price: ArrayLike, spot: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike
) -> Floats:
    """Find the volatility per year at which each American price arises.

    Arguments as in `value`; price: per unit of underlying. Returns vols as decimals, NaN where there is none: a price at or below
    intrinsic value or what exercise at the best moment without any volatility gives, at or above the upper bound, no time left, NaN
    anywhere. Raises ValueError for another right. Method: secant steps inside a bracket, from the European volatility downwards, which is
    never the smaller one.
    """
    lanes = _lanes(right, spot, strike, t_years, rate, dividend, price)
    signs, spots, strikes, years, rates, dividends, prices = lanes.columns
    with np.errstate(all="ignore"):
        known = (spots > 0.0) & (strikes > 0.0) & (years > 0.0) & np.isfinite(spots * strikes * years * rates * dividends * prices)
        least = _still(as_puts((signs, spots, strikes, years, rates, dividends, np.zeros_like(spots))))
        most = np.where(signs > 0.0, spots * np.exp(np.maximum(-dividends, 0.0) * years), strikes * np.exp(np.maximum(-rates, 0.0) * years))
        known &= (prices > least * (1.0 + 1e-12)) & (prices < most)
    found = np.full(len(spots), np.nan)
    place = np.flatnonzero(known)
    if len(place):
        own = tuple(column[place] for column in lanes.columns)
        found[place] = search(own, lambda columns, early: _values(columns, ORDERS, early=early))
    return lanes.shaped(found)


@dataclass(frozen=True, slots=True)
class _Lanes:
    """Arguments as flat columns of one length: sign, spot, strike, years, rate, dividend, vol."""

    columns: tuple[Floats, ...]
    shape: tuple[int, ...]

    def shaped(self, row: Floats) -> Floats:
        return np.reshape(row, self.shape)


def _lanes(right: ArrayLike, *given: ArrayLike) -> _Lanes:
    arrays = np.broadcast_arrays(right_signs(right), *(np.asarray(each, dtype=np.float64) for each in given))
    return _Lanes(tuple(np.ascontiguousarray(each, dtype=np.float64).ravel() for each in arrays), arrays[0].shape)


def _over_spots(right: ArrayLike, spots: ArrayLike, given: tuple[ArrayLike, ...]) -> tuple[_Lanes, int]:
    """Lanes of which every so many that follow each other differ in spot alone, and how many those are."""
    prices = np.atleast_1d(np.asarray(spots, dtype=np.float64))
    along = tuple(np.asarray(each, dtype=np.float64)[..., None] for each in (right_signs(right), *given))
    return _lanes(along[0], prices, *along[1:]), max(prices.shape[-1], 1)


def _values(columns: tuple[Floats, ...], orders: tuple[int, int, int, int], shared: int = 1, early: int | None = None) -> Floats:
    """shared: how many lanes that follow each other differ in spot alone; early: as in `Puts.kinds`."""
    puts = as_puts(columns)
    kind = puts.kinds(early)
    result = np.full(len(puts.spot), np.nan)
    for each in WITH_BOUNDARY:
        place = np.flatnonzero(kind == each)
        if len(place):
            found = points(puts.at(place), orders, steep=each == EARLY_STEEP, shared=_still_shared(kind, each, shared))[0]
            lost = np.flatnonzero(~np.isfinite(found))  # rates so large against a volatility of next to nothing that it counts as none
            if len(lost):
                found[lost] = _other_values(puts.at(place[lost]), STILL)
            result[place] = found
    for each in (EUROPEAN, STILL, TWO_BOUNDS):
        place = np.flatnonzero(kind == each)
        if len(place):
            result[place] = _other_values(puts.at(place), each)
    return result


def _still_shared(kind: NDArray[np.int8], wanted: int, shared: int) -> int:
    """How many lanes of one kind that follow each other differ in spot alone: as before, where options are of it at every spot or none."""
    whole = (kind == wanted).reshape(-1, shared)
    return shared if np.array_equal(whole.any(axis=1), whole.all(axis=1)) else 1


def _greeks(columns: tuple[Floats, ...], orders: tuple[int, int, int, int], shared: int = 1) -> Floats:
    """One row for each of FIELDS; shared as in `_values`."""
    kind = as_puts(columns).kinds()
    result = np.full((len(FIELDS), len(kind)), np.nan)
    for early in WITH_BOUNDARY:
        place = np.flatnonzero(kind == early)
        if len(place):
            result[:, place] = _early_greeks(tuple(each[place] for each in columns), orders, _still_shared(kind, early, shared), early)
    for each, work in ((EUROPEAN, _european_greeks), (STILL, _bumped_greeks), (TWO_BOUNDS, _bumped_greeks)):
        place = np.flatnonzero(kind == each)
        if len(place):
            result[:, place] = work(tuple(column[place] for column in columns), orders)
    lost = np.flatnonzero(np.isin(kind, WITH_BOUNDARY) & ~np.isfinite(result).all(axis=0))
    if len(lost):
        result[:, lost] = _bumped_greeks(tuple(column[lost] for column in columns), orders)
    return result


def _early_greeks(columns: tuple[Floats, ...], orders: tuple[int, int, int, int], shared: int, early: int) -> Floats:
    signs, spot, _, years, rate, dividend, vol = columns

    def seen(moved: tuple[Floats, ...]) -> Floats:
        return _seen(moved, points(as_puts(moved), orders, steep=early == EARLY_STEEP, slopes=True, shared=shared))

    with np.errstate(all="ignore"):
        value, delta, gamma, due, delta_early, delta_late = seen(columns)
        theta = rate * value - (rate - dividend) * spot * delta - 0.5 * vol * vol * spot * spot * gamma
        charm = (delta_early - delta_late) / (2.0 * TIME_BUMP * years)
        bump = VOL_BUMP * vol
        up, down = seen(_with(columns, 6, vol + bump)), seen(_with(columns, 6, vol - bump))
        vega, vanna = (up[0] - down[0]) / (2.0 * bump), (up[1] - down[1]) / (2.0 * bump)
        dear, cheap = (_values(_with(columns, 4, rate + each), orders, shared, early) for each in (RATE_BUMP, -RATE_BUMP))
        rho = (dear - cheap) / (2.0 * RATE_BUMP)
        moving = np.array([gamma, theta / DAYS_PER_YEAR, vega * POINT, rho * POINT, vanna * POINT, charm / DAYS_PER_YEAR])
    return np.array([value, np.where(due == 1.0, signs, delta), *np.where(due == 1.0, 0.0, moving)])


def _with(columns: tuple[Floats, ...], place: int, column: Floats) -> tuple[Floats, ...]:
    return (*columns[:place], column, *columns[place + 1 :])


def _seen(columns: tuple[Floats, ...], rows: Floats) -> Floats:
    """Turn the deltas and gammas of puts that stand for calls into the calls' own: a put is homogeneous in spot and strike."""
    call, spot, strike = columns[0] > 0.0, columns[1], columns[2]
    value, delta, gamma, due, early, late, value_early, value_late = rows
    deltas = (
        np.where(call, (worth - strike * each) / spot, each) for worth, each in ((value, delta), (value_early, early), (value_late, late))
    )
    own, own_early, own_late = deltas
    return np.array([value, own, np.where(call, gamma * (strike / spot) ** 2, gamma), due, own_early, own_late])


def _european_greeks(columns: tuple[Floats, ...], orders: tuple[int, int, int, int]) -> Floats:
    right, spot, strike, years, rate, dividend, vol = columns
    found = bsm.greeks(right=right, spot=spot, strike=strike, t_years=years, rate=rate, dividend=dividend, vol=vol)
    return np.array([getattr(found, name) for name in FIELDS])


def _bumped_greeks(columns: tuple[Floats, ...], orders: tuple[int, int, int, int]) -> Floats:
    """Central differences of the value; nothing moves with a volatility of nothing."""
    _, spot, strike, years, rate, _, vol = columns

    def worth(moved_spot: Floats = spot, moved_years: Floats = years, moved_rate: Floats = rate, moved_vol: Floats = vol) -> Floats:
        return _values((columns[0], moved_spot, columns[2], moved_years, moved_rate, columns[5], moved_vol), orders)

    still = (vol * np.sqrt(years) < LEAST_TOTAL_VOL) | (spot == 0.0) | (strike == 0.0)
    wide = np.where(still, 1e-6, 1e-2) * spot
    day, point = 0.5 * np.minimum(years, 1.0 / DAYS_PER_YEAR), np.where(still, 0.0, 0.5 * np.minimum(vol, POINT))
    with np.errstate(all="ignore"):
        value, up, down = worth(), worth(spot + wide), worth(spot - wide)

        def delta(moved_years: Floats, moved_vol: Floats) -> Floats:
            up, down = (worth(spot + each, moved_years, rate, moved_vol) for each in (wide, -wide))
            return np.asarray((up - down) / (2.0 * wide))

        passing = np.where(day > 0.0, (worth(moved_years=years - day) - worth(moved_years=years + day)) / (2.0 * day), 0.0)
        rows = np.array([
            value,
            np.where(spot > 0.0, (up - down) / (2.0 * wide), columns[0] * (columns[0] < 0.0)),
            np.where(still, 0.0, (up - 2.0 * value + down) / (wide * wide)),
            passing / DAYS_PER_YEAR,
            np.where(still, 0.0, (worth(moved_vol=vol + point) - worth(moved_vol=vol - point)) / (2.0 * point) * POINT),
            (worth(moved_rate=rate + RATE_BUMP) - worth(moved_rate=rate - RATE_BUMP)) / (2.0 * RATE_BUMP) * POINT,
            np.where(still, 0.0, (delta(years, vol + point) - delta(years, vol - point)) / (2.0 * point) * POINT),
            np.where(still, 0.0, (delta(years - day, vol) - delta(years + day, vol)) / (2.0 * day) / DAYS_PER_YEAR),
        ])
    return rows


def _other_values(puts: Puts, kind: int) -> Floats:
    if kind == TWO_BOUNDS:
        from core.pricing import dividends

        return np.array([dividends.put_without_dividends(*map(float, each)) for each in zip(*puts.fields(), strict=True)])
    european = bsm.value(
        right=-1, spot=puts.spot, strike=puts.strike, t_years=puts.years, rate=puts.rate, dividend=puts.dividend, vol=puts.vol
    )
    return european if kind == EUROPEAN else np.maximum(european, _still(puts))


def _still(puts: Puts) -> Floats:
    """The value without volatility: the best of exercise now, at expiry, and at the moment when carry turns against waiting."""
    with np.errstate(all="ignore"):
        moment = np.log(puts.dividend * puts.spot / (puts.rate * puts.strike)) / (puts.dividend - puts.rate)
        moment = np.where((moment > 0.0) & (moment < puts.years), moment, 0.0)
        best = np.zeros_like(puts.spot)
        for when in (0.0, moment, puts.years):
            best = np.maximum(best, puts.strike * np.exp(-puts.rate * when) - puts.spot * np.exp(-puts.dividend * when))
        return best
