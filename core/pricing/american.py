"""American options on a continuous dividend yield: value, Greeks and the early-exercise boundary, on whole arrays.

The method is that of L. Andersen, M. Lake and D. Offengenden, "High Performance American Option Pricing", Journal of Computational
Finance 20 (2016), pages 39 to 87. The boundary B of a put, in the form H = ln(B/X)^2 with X = K min(1, r/q), is a Chebyshev polynomial in
the square root of time. It starts from the QD+ approximation (M. Li, "Analytical approximations for the critical stock prices of American
options", Review of Derivatives Research 13, 2010) and is improved by their fixed point system A; the premium is then I. Kim's integral
(Review of Financial Studies 3, 1990). Two things are our own: both integrals run over the angle whose sine is the square root of the time
that has passed, in which the integrand is smooth, so few Gauss-Legendre nodes do; and all steps are plain fixed point steps, since a
Newton step here serves some inputs and spoils others. With the default orders the error over random options of a strike of 100 is under
2e-4 (`tests/unit/pricing/test_american.py`). A call is the put with spot and strike, rate and dividend exchanged.

Where rate and dividend are negative in such a way that exercise pays only between two boundaries, the finite differences of
`core.pricing.dividends` take over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike, NDArray

from core.pricing import bsm, compiled
from core.pricing.bsm import DAYS_PER_YEAR, FIELDS, POINT, Floats, Greeks, right_signs
from core.pricing.implied import implied_vol as european_implied_vol

# Chebyshev intervals of the boundary, nodes of its integral, steps, nodes of the premium's integral.
ORDERS = (6, 6, 3, 16)
EXACT_ORDERS = (24, 48, 16, 80)
QD_STEPS = 2
CHUNK = 256
LEAST_RATE = 1e-12
LEAST_TOTAL_VOL = 1e-5
VOL_BUMP, RATE_BUMP, TIME_BUMP = 1e-3, 1e-5, 1e-3  # the first and the last relative
EXPIRIES = (1.0, 1.0 - TIME_BUMP, 1.0 + TIME_BUMP)
IMPLIED_STEPS = 60
_INV_SQRT_2PI = float(1.0 / np.sqrt(2.0 * np.pi))


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


def exercise_boundary(
    *, right: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike,
    orders: tuple[int, int, int, int] = ORDERS,
) -> Floats:
    """Find the spot price at which exercise is due now: for a put at or below it, for a call at or above it.

    Arguments as in `value`; NaN where early exercise never pays, or pays between two prices. Raises ValueError for another right.
    """
    lanes = _lanes(right, strike, strike, t_years, rate, dividend, vol)
    puts = _as_puts(lanes.columns)
    bound = np.full(len(puts.strike), np.nan)
    for place in _chunks(np.flatnonzero(puts.kinds() == _EARLY)):
        part = puts.at(place)
        ratio = part.top * np.exp(_boundary(part, orders)[0]) / part.strike
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
        least = _still(_as_puts((signs, spots, strikes, years, rates, dividends, np.zeros_like(spots))))
        most = np.where(signs > 0.0, spots * np.exp(np.maximum(-dividends, 0.0) * years), strikes * np.exp(np.maximum(-rates, 0.0) * years))
        known &= (prices > least * (1.0 + 1e-12)) & (prices < most)
    found = np.full(len(spots), np.nan)
    place = np.flatnonzero(known)
    if len(place):
        found[place] = _search(tuple(column[place] for column in lanes.columns))
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


_IMPOSSIBLE, _EUROPEAN, _EARLY, _STILL, _TWO_BOUNDS = range(5)


@dataclass(frozen=True, slots=True)
class _Puts:
    """Puts, real ones and those that stand for calls."""

    spot: Floats
    strike: Floats
    years: Floats
    rate: Floats
    dividend: Floats
    vol: Floats

    @property
    def top(self) -> Floats:
        """Where the boundary starts, X of the module's text."""
        return self.strike * np.minimum(1.0, self.rate / np.maximum(self.dividend, np.finfo(np.float64).tiny))

    def fields(self) -> tuple[Floats, ...]:
        return self.spot, self.strike, self.years, self.rate, self.dividend, self.vol

    def at(self, place: NDArray[np.intp]) -> _Puts:
        return _Puts(*(column[place] for column in self.fields()))

    def kinds(self) -> NDArray[np.int8]:
        """Say how each is to be valued."""
        with np.errstate(all="ignore"):
            total = self.vol * np.sqrt(self.years)
            sound = (self.spot >= 0.0) & (self.strike >= 0.0) & (self.years >= 0.0) & (self.vol >= 0.0)
            sound &= np.isfinite(self.spot + self.strike + self.years + self.vol + self.rate + self.dividend)
            never = (self.rate <= 0.0) & (self.dividend >= self.rate)
            kind = np.where(never, _EUROPEAN, np.where(self.rate < 0.0, _TWO_BOUNDS, _EARLY))
            kind = np.where((total < LEAST_TOTAL_VOL) | (self.spot == 0.0) | (self.strike == 0.0), _STILL, kind)
            return np.where(sound, kind, _IMPOSSIBLE).astype(np.int8)


def _as_puts(columns: tuple[Floats, ...]) -> _Puts:
    signs, spot, strike, years, rate, dividend, vol = columns
    call = signs > 0.0
    rates, yields = np.where(call, dividend, rate), np.where(call, rate, dividend)
    least = np.where((rates >= 0.0) & (rates < LEAST_RATE) & (yields < 0.0), LEAST_RATE, rates)  # a rate of zero with a negative yield
    return _Puts(np.where(call, strike, spot), np.where(call, spot, strike), years, least, yields, vol)


def _values(columns: tuple[Floats, ...], orders: tuple[int, int, int, int]) -> Floats:
    puts = _as_puts(columns)
    kind = puts.kinds()
    result = np.full(len(puts.spot), np.nan)
    early = np.flatnonzero(kind == _EARLY)
    found = _points(puts.at(early), orders)[0]
    lost = np.flatnonzero(~np.isfinite(found))  # rates so large against a volatility of next to nothing that it counts as none
    if len(lost):
        found[lost] = _other_values(puts.at(early[lost]), _STILL)
    result[early] = found
    for each in (_EUROPEAN, _STILL, _TWO_BOUNDS):
        place = np.flatnonzero(kind == each)
        if len(place):
            result[place] = _other_values(puts.at(place), each)
    return result


def _greeks(columns: tuple[Floats, ...], orders: tuple[int, int, int, int]) -> Floats:
    """One row for each of FIELDS."""
    kind = _as_puts(columns).kinds()
    result = np.full((len(FIELDS), len(kind)), np.nan)
    for each, work in ((_EARLY, _early_greeks), (_EUROPEAN, _european_greeks), (_STILL, _bumped_greeks), (_TWO_BOUNDS, _bumped_greeks)):
        place = np.flatnonzero(kind == each)
        if len(place):
            result[:, place] = work(tuple(column[place] for column in columns), orders)
    lost = np.flatnonzero((kind == _EARLY) & ~np.isfinite(result).all(axis=0))
    if len(lost):
        result[:, lost] = _bumped_greeks(tuple(column[lost] for column in columns), orders)
    return result


def _early_greeks(columns: tuple[Floats, ...], orders: tuple[int, int, int, int]) -> Floats:
    signs, spot, _, years, rate, dividend, vol = columns
    with np.errstate(all="ignore"):
        value, delta, gamma, due, delta_early, delta_late = _seen(columns, _points(_as_puts(columns), orders, slopes=True))
        theta = rate * value - (rate - dividend) * spot * delta - 0.5 * vol * vol * spot * spot * gamma
        charm = (delta_early - delta_late) / (2.0 * TIME_BUMP * years)
        bump = VOL_BUMP * vol
        bumped = (_with(columns, 6, vol + bump), _with(columns, 6, vol - bump))
        up, down = (_seen(each, _points(_as_puts(each), orders, slopes=True)) for each in bumped)
        vega, vanna = (up[0] - down[0]) / (2.0 * bump), (up[1] - down[1]) / (2.0 * bump)
        dear, cheap = (_values(_with(columns, 4, rate + each), orders) for each in (RATE_BUMP, -RATE_BUMP))
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
    _, spot, _, years, rate, _, vol = columns

    def worth(moved_spot: Floats = spot, moved_years: Floats = years, moved_rate: Floats = rate, moved_vol: Floats = vol) -> Floats:
        return _values((columns[0], moved_spot, columns[2], moved_years, moved_rate, columns[5], moved_vol), orders)

    still = vol * np.sqrt(years) < LEAST_TOTAL_VOL
    wide = np.where(still, 1e-6, 1e-2) * spot
    day, point = 0.5 * np.minimum(years, 1.0 / DAYS_PER_YEAR), np.where(still, 0.0, 0.5 * POINT)
    with np.errstate(all="ignore"):
        value, up, down = worth(), worth(spot + wide), worth(spot - wide)

        def delta(moved_years: Floats, moved_vol: Floats) -> Floats:
            up, down = (worth(spot + each, moved_years, rate, moved_vol) for each in (wide, -wide))
            return np.asarray((up - down) / (2.0 * wide))

        passing = np.where(day > 0.0, (worth(moved_years=years - day) - worth(moved_years=years + day)) / (2.0 * day), 0.0)
        rows = np.array([
            value,
            np.where(spot > 0.0, (up - down) / (2.0 * wide), columns[0] * (columns[0] < 0.0)),
            np.where(still | (spot == 0.0), 0.0, (up - 2.0 * value + down) / (wide * wide)),
            passing / DAYS_PER_YEAR,
            worth(moved_vol=vol + point) - worth(moved_vol=vol - point),
            (worth(moved_rate=rate + RATE_BUMP) - worth(moved_rate=rate - RATE_BUMP)) / (2.0 * RATE_BUMP) * POINT,
            np.where(still, 0.0, delta(years, vol + point) - delta(years, vol - point)),
            np.where(still, 0.0, (delta(years - day, vol) - delta(years + day, vol)) / (2.0 * day) / DAYS_PER_YEAR),
        ])
    return rows


def _other_values(puts: _Puts, kind: int) -> Floats:
    if kind == _TWO_BOUNDS:
        from core.pricing import dividends

        return np.array([dividends.put_without_dividends(*map(float, each)) for each in zip(*puts.fields(), strict=True)])
    european = bsm.value(
        right=-1, spot=puts.spot, strike=puts.strike, t_years=puts.years, rate=puts.rate, dividend=puts.dividend, vol=puts.vol
    )
    return european if kind == _EUROPEAN else np.maximum(european, _still(puts))


def _still(puts: _Puts) -> Floats:
    """The value without volatility: the best of exercise now, at expiry, and at the moment when carry turns against waiting."""
    with np.errstate(all="ignore"):
        moment = np.log(puts.dividend * puts.spot / (puts.rate * puts.strike)) / (puts.dividend - puts.rate)
        moment = np.where((moment > 0.0) & (moment < puts.years), moment, 0.0)
        best = np.zeros_like(puts.spot)
        for when in (0.0, moment, puts.years):
            best = np.maximum(best, puts.strike * np.exp(-puts.rate * when) - puts.spot * np.exp(-puts.dividend * when))
        return best


def _search(columns: tuple[Floats, ...]) -> Floats:
    """Ridders's method between next to no volatility and the European one, all lanes at once."""
    signs, spot, strike, years, rate, dividend, price = columns
    root = np.sqrt(years)
    with np.errstate(all="ignore"):
        forward, discount = spot * np.exp((rate - dividend) * years), np.exp(-rate * years)
        high = european_implied_vol(right=signs, price=price, forward=forward, strike=strike, t_years=years, discount=discount)
    high = np.where(np.isfinite(high), high * (1.0 + 1e-9), 20.0 / root)
    low = np.minimum(0.5 * LEAST_TOTAL_VOL / root, 0.5 * high)

    def miss(vol: Floats, place: NDArray[np.intp]) -> Floats:
        return np.asarray(_values((*(column[place] for column in columns[:6]), vol), ORDERS) - price[place])

    every = np.arange(len(spot))
    at_low, at_high = miss(low, every), miss(high, every)
    found = np.where(at_high <= 0.0, high, np.where(at_low >= 0.0, np.nan, 0.5 * (low + high)))
    place = np.flatnonzero((at_high > 0.0) & (at_low < 0.0))
    for _ in range(IMPLIED_STEPS):
        if not len(place):
            break
        left, right, f_left, f_right = low[place], high[place], at_low[place], at_high[place]
        middle = 0.5 * (left + right)
        f_middle = miss(middle, place)
        turn = np.sqrt(np.maximum(f_middle * f_middle - f_left * f_right, np.finfo(np.float64).tiny))
        guess = np.clip(middle - (middle - left) * f_middle / turn, left, right)
        f_guess = miss(guess, place)
        under, over = np.stack((middle, guess)), np.stack((f_middle, f_guess))
        new_low, new_high = np.where(over < 0.0, under, left).max(axis=0), np.where(over >= 0.0, under, right).min(axis=0)
        for each, worth in ((middle, f_middle), (guess, f_guess)):
            f_left, f_right = np.where(each == new_low, worth, f_left), np.where(each == new_high, worth, f_right)
        low[place], high[place], at_low[place], at_high[place] = new_low, new_high, f_left, f_right
        found[place] = guess
        place = place[(np.abs(f_guess) > 1e-13 * price[place]) & (new_high - new_low > 1e-13 * new_high)]
    return found


def _chunks(places: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [places[start : start + CHUNK] for start in range(0, len(places), CHUNK)]


# --- the boundary ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """What the integrals and interpolations of given orders need, the same for every option. Fractions are of the time to expiry.

    `nodes`: square roots of time at the boundary's nodes, from all of it downwards; `lag`, `share` and `weight`: square roots of the time
    to come and of the time that has passed, and the weights of the boundary's integral; `blend`: the boundary's values at its own nodes
    make its values there. `price_*` the same for the premium, with blends for an expiry now, a little nearer and a little further.
    """

    nodes: Floats
    lag: Floats
    weight: Floats
    blend: Floats
    price_lag: Floats
    price_weight: Floats
    price_blends: Floats


@cache
def rule(intervals: int, inner: int, outer: int) -> Rule:
    """Make the rule of an order."""
    nodes = 0.5 * (1.0 + np.cos(np.pi * np.arange(intervals) / intervals))
    lag, share, weight = _angles(inner)
    price_lag, price_share, price_weight = _angles(outer)
    blends = np.array([_blend(intervals, price_share * np.sqrt(each)) for each in EXPIRIES])
    return Rule(nodes, lag, weight, _blend(intervals, nodes[:, None] * share[None, :]), price_lag, price_weight, blends)


def _angles(order: int) -> tuple[Floats, Floats, Floats]:
    """Square roots of the time to come and passed, and weights, of Gauss-Legendre nodes in the angle; du = 2 sin cos d(angle)."""
    place, weight = leggauss(order)
    angle = np.pi / 4.0 * (1.0 + place)
    return np.cos(angle), np.sin(angle), weight * np.pi / 2.0 * np.sin(angle) * np.cos(angle)


def _blend(intervals: int, root: Floats) -> Floats:
    """Weights with which H at the nodes (but the last, where it is 0) makes H at square roots of time."""
    index = np.arange(intervals + 1)
    to_coefficients = 2.0 / intervals * np.cos(np.pi * np.outer(index, index) / intervals)
    for half in (0, -1):
        to_coefficients[half] *= 0.5
        to_coefficients[:, half] *= 0.5
    return np.ascontiguousarray((chebvander(2.0 * root - 1.0, intervals) @ to_coefficients)[..., :intervals])


def _boundary(puts: _Puts, orders: tuple[int, int, int, int]) -> Floats:
    """ln(B/X) at the nodes, an array of (nodes, lanes)."""
    intervals, inner, steps, outer = orders
    found = rule(intervals, inner, outer)
    rate, dividend, vol = puts.rate, puts.dividend, puts.vol
    with np.errstate(all="ignore"):
        tau = found.nodes[:, None] ** 2 * puts.years
        log_top = np.log(puts.top / puts.strike)
        log = np.log(_qd_plus(puts, tau) / puts.top)
        to_come = found.lag[None, :, None] ** 2 * tau[:, None, :]
        passed = tau[:, None, :] - to_come
        measure = found.weight[None, :, None] * tau[:, None, :]
        for_cash, for_asset = rate * measure * np.exp(rate * passed), dividend * measure * np.exp(dividend * passed)
        spread, total = vol * np.sqrt(to_come), vol * np.sqrt(tau)
        grown = (rate - dividend) * to_come
        for _ in range(steps):
            earlier = -np.sqrt(np.maximum(np.einsum("ikj,jn->ikn", found.blend, log * log), 0.0))
            gain = log[:, None, :] - earlier + grown
            low = gain / spread - 0.5 * spread
            density = _density(low)
            high_density = density * np.exp(-gain)
            end_gain = log + log_top + (rate - dividend) * tau
            end_low = end_gain / total - 0.5 * total
            end_density = _density(end_low)
            end_high = end_density * np.exp(-end_gain)
            cash = end_density / total + np.sum(for_cash * density / spread, axis=1)
            asset = end_high / total + _below(end_low + total, end_high)
            asset += np.sum(for_asset * (_below(low + spread, high_density) + high_density / spread), axis=1)
            moved = -log_top - (rate - dividend) * tau + np.log(cash / asset)
            log = np.where(np.isfinite(moved), np.minimum(moved, 0.0), log)
    return log


def _density(x: Floats) -> Floats:
    return np.asarray(_INV_SQRT_2PI * np.exp(-0.5 * x * x))


def _below(x: Floats, density: Floats) -> Floats:
    """N(x), given the normal density at x."""
    small = bsm.tail(np.abs(x)) * density / _INV_SQRT_2PI
    return np.where(x > 0.0, 1.0 - small, small)


def _qd_plus(puts: _Puts, tau: Floats) -> Floats:
    """Newton steps towards the QD+ boundary at times (nodes, lanes), from P. Bjerksund and G. Stensland's boundary of 1993."""
    rate, dividend, vol, strike, top = puts.rate, puts.dividend, puts.vol, puts.strike, puts.top
    square = vol * vol
    carry = (rate - dividend) / square
    root = 0.5 - carry - np.sqrt((carry - 0.5) ** 2 + 2.0 * rate / square)
    floor = strike * root / (root - 1.0)
    pull = np.minimum((rate - dividend) * tau - 2.0 * vol * np.sqrt(tau), 0.0) * top / (top - floor)
    bound = np.minimum(floor + (top - floor) * np.exp(pull), top * (1.0 - 1e-9))

    decay, fade, total = np.exp(-rate * tau), np.exp(-dividend * tau), vol * np.sqrt(tau)
    omega, alpha, lapse = 2.0 * carry, 2.0 * rate / square, -np.expm1(-rate * tau)
    spread = np.sqrt((omega - 1.0) ** 2 + 4.0 * alpha / lapse)
    power = -0.5 * (omega - 1.0 + spread)
    fixed = alpha / lapse - alpha * alpha / (lapse * lapse * spread * spread)
    for _ in range(QD_STEPS):
        log = np.log(bound / strike) + (rate - dividend) * tau
        low = log / total - 0.5 * total
        low_density = _density(low)
        high_density = low_density * np.exp(-log)
        cash, asset = decay * (1.0 - _below(low, low_density)), fade * (1.0 - _below(low + total, high_density))
        worth = strike * cash - bound * asset
        curve = fade * high_density / (bound * total)
        theta = rate * strike * cash - dividend * bound * asset - 0.5 * square * bound * bound * curve
        theta_slope = -dividend * asset - (rate - dividend + square) * bound * curve
        theta_slope += 0.5 * square * bound * curve * (2.0 + low / total)
        gap, kept = strike - bound - worth, 1.0 - asset
        share = 2.0 / square * theta / gap
        lean = power + decay / spread * (fixed - share / decay)
        lean_slope = -1.0 / spread * (2.0 / square * theta_slope / gap + share * kept / gap)
        miss = kept * bound + lean * gap
        slope = (1.0 - lean) * kept + bound * curve + lean_slope * gap
        moved = bound - miss / slope
        bound = np.where(moved < top, np.where(moved > 0.0, moved, 0.5 * bound), 0.5 * (bound + top))
    return bound


# --- values from the boundary ------------------------------------------------------------------------------------------------------


def _points(puts: _Puts, orders: tuple[int, int, int, int], *, slopes: bool = False) -> Floats:
    """Rows: value, and with slopes delta, gamma, whether exercise is due (1), and delta and value a little nearer to expiry and further."""
    done = compiled.american(puts.fields(), slopes=slopes) if orders == ORDERS else None
    if done is not None:
        return done
    rows = np.empty((8 if slopes else 1, len(puts.spot)))
    for place in _chunks(np.arange(len(puts.spot))):
        part = puts.at(place)
        with np.errstate(all="ignore"):
            rows[:, place] = _from_boundary(part, _boundary(part, orders), orders, slopes)
    return rows


def _from_boundary(puts: _Puts, log: Floats, orders: tuple[int, int, int, int], slopes: bool) -> Floats:
    intrinsic = puts.strike - puts.spot
    due = puts.spot <= puts.top * np.exp(log[0])
    now = _with_premium(puts, log, orders, 0, slopes)
    value = np.where(due, intrinsic, np.maximum(now[0], intrinsic))
    if not slopes:
        return np.array([value])
    early, late = (_with_premium(puts, log, orders, place, slopes) for place in (1, 2))
    return np.array([value, now[1], now[2], due, early[1], late[1], early[0], late[0]])


def _with_premium(puts: _Puts, log: Floats, orders: tuple[int, int, int, int], place: int, slopes: bool) -> Floats:
    """The European value and Kim's integral of the premium, for the expiry that `place` says; with slopes delta and gamma too."""
    found = rule(orders[0], orders[1], orders[3])
    spot, strike, rate, dividend, vol = puts.spot, puts.strike, puts.rate, puts.dividend, puts.vol
    years = puts.years * EXPIRIES[place]
    earlier = -np.sqrt(np.maximum(found.price_blends[place] @ (log * log), 0.0))
    # The European option is the node of weight one whose time is all there is and whose boundary is the strike.
    to_come = np.concatenate((found.price_lag[:, None] ** 2 * years, years[None]))
    gain = np.concatenate((np.log(spot / puts.top) - earlier, np.log(spot / strike)[None])) + (rate - dividend) * to_come
    measure = found.price_weight[:, None] * years
    cash = strike * np.exp(-rate * to_come) * np.concatenate((rate * measure, np.ones((1, len(spot)))))
    asset = np.exp(-dividend * to_come) * np.concatenate((dividend * measure, np.ones((1, len(spot)))))
    spread = vol * np.sqrt(to_come)
    low = gain / spread - 0.5 * spread
    high = low + spread
    low_density = _density(low)
    high_density = low_density * np.exp(-gain)
    above_low, above_high = _below(-low, low_density), _below(-high, high_density)
    value = np.sum(cash * above_low - asset * spot * above_high, axis=0)
    if not slopes:
        return np.array([value])
    cash_density, asset_density = cash * low_density / (spot * spread), asset * high_density / spread
    delta = np.sum(asset_density - cash_density - asset * above_high, axis=0)
    gamma = np.sum(cash_density * (1.0 + low / spread) + asset_density * (1.0 - high / spread), axis=0) / spot
    return np.array([value, delta, gamma])
