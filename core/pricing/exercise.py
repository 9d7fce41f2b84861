"""American puts by their early-exercise boundary: where it lies, and what an option is worth from there. The method is told in `american`.

Calls are the puts they turn into with spot and strike, rate and dividend exchanged. The boundary is a share of the strike, so options
that differ in spot and strike alone share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

from core.pricing import compiled
from core.pricing.normal import INV_SQRT_2PI, Floats, tail

# Chebyshev intervals of the boundary, nodes of its integral, steps, nodes of the premium's integral.
ORDERS = (6, 6, 3, 16)
EXACT_ORDERS = (24, 48, 16, 80)
# From this much drift to expiry, in deviations, system A turns away from the boundary instead of towards it, and B takes its place.
STEEP, STEEP_ORDERS = 0.75, (12, 12, 6, 32)
QD_STEPS = 2
CHUNK = 256
LEAST_RATE = 1e-12
LEAST_TOTAL_VOL = 1e-5
TIME_BUMP = 1e-3  # relative
EXPIRIES = (1.0, 1.0 - TIME_BUMP, 1.0 + TIME_BUMP)

IMPOSSIBLE, EUROPEAN, EARLY, EARLY_STEEP, STILL, TWO_BOUNDS = range(6)


@dataclass(frozen=True, slots=True)
class Puts:
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

    def at(self, place: NDArray[np.intp]) -> Puts:
        return Puts(*(column[place] for column in self.fields()))

    def kinds(self, early: int | None = None) -> NDArray[np.int8]:
        """Say how each is to be valued; early: how those with one boundary are, where that must not change with a small bump."""
        with np.errstate(all="ignore"):
            total = self.vol * np.sqrt(self.years)
            sound = (self.spot >= 0.0) & (self.strike >= 0.0) & (self.years >= 0.0) & (self.vol >= 0.0)
            sound &= np.isfinite(self.spot + self.strike + self.years + self.vol + self.rate + self.dividend)
            never = (self.rate <= 0.0) & (self.dividend >= self.rate)
            steep = np.abs(self.rate - self.dividend) * self.years > STEEP * total
            one = np.where(steep, EARLY_STEEP, EARLY) if early is None else early
            kind = np.where(never, EUROPEAN, np.where(self.rate < 0.0, TWO_BOUNDS, one))
            kind = np.where((total < LEAST_TOTAL_VOL) | (self.spot == 0.0) | (self.strike == 0.0), STILL, kind)
            return np.where(sound, kind, IMPOSSIBLE).astype(np.int8)


def as_puts(columns: tuple[Floats, ...]) -> Puts:
    """Turn columns of sign, spot, strike, years, rate, dividend and volatility into puts."""
    signs, spot, strike, years, rate, dividend, vol = columns
    call = signs > 0.0
    rates, yields = np.where(call, dividend, rate), np.where(call, rate, dividend)
    least = np.where((rates >= 0.0) & (rates < LEAST_RATE) & (yields < 0.0), LEAST_RATE, rates)  # a rate of zero with a negative yield
    return Puts(np.where(call, strike, spot), np.where(call, spot, strike), years, least, yields, vol)


def chunks(places: NDArray[np.intp], size: int = CHUNK) -> list[NDArray[np.intp]]:
    """Cut places into parts that fit the processor's memory."""
    return [places[start : start + size] for start in range(0, len(places), size)]


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


def suited(orders: tuple[int, int, int, int], *, steep: bool) -> tuple[int, int, int, int]:
    """The orders meant: the default ones are others where the boundary is steep."""
    return STEEP_ORDERS if steep and orders == ORDERS else orders


def boundary(puts: Puts, orders: tuple[int, int, int, int], *, steep: bool) -> Floats:
    """ln(B/X) at the nodes, an array of (nodes, lanes); steep: by system B."""
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
            if steep:
                cash = _below(end_low, end_density) + np.sum(for_cash * _below(low, density), axis=1)
                asset = _below(end_low + total, end_high) + np.sum(for_asset * _below(low + spread, high_density), axis=1)
            else:
                cash = end_density / total + np.sum(for_cash * density / spread, axis=1)
                asset = end_high / total + _below(end_low + total, end_high)
                asset += np.sum(for_asset * (_below(low + spread, high_density) + high_density / spread), axis=1)
            moved = -log_top - (rate - dividend) * tau + np.log(cash / asset)
            log = np.where(np.isfinite(moved), np.minimum(moved, 0.0), log)
    return log


def _density(x: Floats) -> Floats:
    return np.asarray(INV_SQRT_2PI * np.exp(-0.5 * x * x))


def _below(x: Floats, density: Floats) -> Floats:
    """N(x), given the normal density at x."""
    small = tail(np.abs(x)) * density / INV_SQRT_2PI
    return np.where(x > 0.0, 1.0 - small, small)


def _qd_plus(puts: Puts, tau: Floats) -> Floats:
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


def points(puts: Puts, orders: tuple[int, int, int, int], *, steep: bool, slopes: bool = False, shared: int = 1) -> Floats:
    """Rows: value, and with slopes delta, gamma, whether exercise is due (1), and delta and value a little nearer to expiry and further.

    steep: all are EARLY_STEEP, else EARLY; shared: every so many puts that follow each other differ in nothing but spot and strike, and
    have one boundary.
    """
    done = compiled.american(puts.fields(), slopes=slopes, shared=shared) if orders == ORDERS and not steep else None
    if done is not None:
        return done
    orders = suited(orders, steep=steep)
    rows = np.empty((8 if slopes else 1, len(puts.spot)))
    for options in chunks(np.arange(len(puts.spot) // shared), max(CHUNK // shared, 1)):
        place = np.arange(options[0] * shared, (options[-1] + 1) * shared)
        with np.errstate(all="ignore"):
            log = np.repeat(boundary(puts.at(options * shared), orders, steep=steep), shared, axis=1)
            rows[:, place] = _from_boundary(puts.at(place), log, orders, slopes)
    return rows


def _from_boundary(puts: Puts, log: Floats, orders: tuple[int, int, int, int], slopes: bool) -> Floats:
    intrinsic = puts.strike - puts.spot
    due = puts.spot <= puts.top * np.exp(log[0])
    now = _with_premium(puts, log, orders, 0, slopes)
    value = np.where(due, intrinsic, np.maximum(now[0], intrinsic))
    if not slopes:
        return np.array([value])
    early, late = (_with_premium(puts, log, orders, place, slopes) for place in (1, 2))
    return np.array([value, now[1], now[2], due, early[1], late[1], early[0], late[0]])


def _with_premium(puts: Puts, log: Floats, orders: tuple[int, int, int, int], place: int, slopes: bool) -> Floats:
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
