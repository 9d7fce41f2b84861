"""Implied volatility of European option prices on whole arrays, and the forward and discount that put-call parity implies.

A price that no volatility explains gives NaN: never a number, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.pricing.bsm import MAX_TOTAL_VOL, Floats, erfcx, right_signs

MAX_STEPS = 40
# The time value of an in-the-money price is a difference; below this many units in the last place of the forward or strike it is rounding.
ROUNDING = 16.0 * float(np.finfo(np.float64).eps)
# A third-order step leaves an error of about its fourth power: after one this small (relative) only rounding is left.
CONVERGED = 3e-4
MIN_PAIRS = 4
NEAR_MONEY = 0.10
WANTED_PAIRS = 12
PLAUSIBLE_DISCOUNT = (0.5, 1.05)
_SQRT_HALF = np.sqrt(0.5)
_SQRT_2PI = np.sqrt(2.0 * np.pi)


def implied_vol(
    *, right: ArrayLike, price: ArrayLike, forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, discount: ArrayLike
) -> Floats:
    """Find the volatility per year at which Black-76 gives each price.

    right: +1 call, -1 put, or 'call' / 'put'; price: per unit of underlying, today; forward, strike: per unit; t_years: to expiry;
    discount: present value of 1 at expiry. Arguments broadcast. Returns vols as decimals, NaN where there is none: a price at or below
    zero or intrinsic value, at or above the upper bound (forward for a call, strike for a put, discounted), no time left, NaN anywhere.
    Raises ValueError for another right. Method: the price is turned to its out-of-the-money side and solved for the total volatility
    by third-order Householder steps inside a bracket, with the objectives of P. Jaeckel, "Let's Be Rational" (2015).
    """
    given = (right_signs(right), price, forward, strike, t_years, discount)
    signs, prices, forwards, strikes, years, discounts = np.broadcast_arrays(*(np.asarray(each, dtype=np.float64) for each in given))
    vols = np.full(prices.shape, np.nan)
    with np.errstate(all="ignore"):
        moneyness = signs * (forwards - strikes)
        time_value = prices / discounts - np.maximum(moneyness, 0.0)
        least = np.where(moneyness > 0.0, ROUNDING * np.maximum(forwards, strikes), 0.0)
        root = np.sqrt(forwards) * np.sqrt(strikes)
        ratio, distance = time_value / root, np.abs(np.log(forwards / strikes))
        solvable = (prices > 0.0) & (discounts > 0.0) & (time_value > least) & (ratio > 0.0) & (ratio < np.exp(-0.5 * distance))
        solvable &= (years > 0.0) & np.isfinite(years) & np.isfinite(distance)
        vols[solvable] = _total_vol(distance[solvable], ratio[solvable]) / np.sqrt(years[solvable])
    return vols


def forward_discount(
    *, strike: ArrayLike, call_mid: ArrayLike, put_mid: ArrayLike, discount: float | None = None
) -> tuple[float, float] | None:
    """Read the forward and discount of one expiry from put-call parity, `call - put = discount * (forward - strike)`.

    strike, call_mid, put_mid: arrays of one length, one row per strike, NaN where a side has no quote. Strikes within 10 % of the money
    are used (the nearest 12 pairs where fewer lie there). The slope is the median of the slopes of all pairs of strikes, the forward a
    median too, so single stale quotes do not move them. In the last days before expiry the slope says little about the rate
    (SPX chain of 2019: +-10 % a year at a week, +-0.4 % at two months): hand in `discount` where it is known, and only the forward is read.
    Returns (forward, discount), or None with fewer than 4 pairs or where the slope is no discount. European exercise only: an American
    option's early exercise is worth more than parity allows for.
    """
    strikes, calls, puts = (np.asarray(given, dtype=np.float64).ravel() for given in (strike, call_mid, put_mid))
    paired = np.isfinite(strikes) & np.isfinite(calls) & np.isfinite(puts) & (strikes > 0.0) & (calls > 0.0) & (puts > 0.0)
    strikes, gaps = strikes[paired], calls[paired] - puts[paired]
    if len(np.unique(strikes)) < MIN_PAIRS:
        return None
    away = np.abs(strikes - np.median(strikes + gaps))  # with a discount near one, strike + gap is the forward already
    order = np.argsort(away, kind="stable")
    count = max(int(np.count_nonzero(away <= NEAR_MONEY * np.median(strikes + gaps))), WANTED_PAIRS)
    strikes, gaps = strikes[order[:count]], gaps[order[:count]]
    if discount is None:
        discount = _parity_slope(strikes, gaps)
    if not PLAUSIBLE_DISCOUNT[0] < discount < PLAUSIBLE_DISCOUNT[1]:
        return None
    forward = float(np.median(strikes + gaps / discount))
    return (forward, discount) if forward > 0.0 else None


def carry_rates(*, spot: ArrayLike, forward: ArrayLike, discount: ArrayLike, t_years: ArrayLike) -> tuple[Floats, Floats]:
    """Turn a forward and discount into the continuously compounded (rate, dividend) per year that `core.pricing.bsm.greeks` takes.

    Arguments broadcast; NaN where no time is left or a price is not positive.
    """
    spots, forwards, discounts, years = (np.asarray(given, dtype=np.float64) for given in (spot, forward, discount, t_years))
    with np.errstate(all="ignore"):
        usable = (years > 0.0) & (spots > 0.0) & (forwards > 0.0) & (discounts > 0.0)
        rate = np.where(usable, -np.log(discounts) / years, np.nan)
        dividend = rate - np.where(usable, np.log(forwards / spots) / years, np.nan)
    return rate, dividend


def _total_vol(distance: Floats, ratio: Floats) -> Floats:
    """Solve for the total volatility of out-of-the-money prices: |ln(F/K)| and price / sqrt(F K), both 1-d and in range."""
    turn = np.sqrt(2.0 * distance)  # the price is convex in total volatility below this, concave above
    target, log_turn = np.log(ratio), _log_price(distance, turn)[0]
    low = target < log_turn
    total = np.empty_like(ratio)
    total[low] = _solve_low(distance[low], target[low], turn[low])
    total[~low] = _solve_high(distance[~low], ratio[~low], turn[~low], log_turn[~low])
    return total


def _solve_low(distance: Floats, target: Floats, turn: Floats) -> Floats:
    """Solve below the turn for ln(price) = target, on 1 / ln(price), which is nearly straight in total volatility squared."""

    def look(total: Floats) -> tuple[NDArray[np.bool_], Floats]:
        log_price, slope = _log_price(distance, total)
        convexity, third = _bends(distance, total)
        lean = slope * (1.0 + 2.0 / log_price)
        step = _householder(
            (target - log_price) * (log_price / target) / slope,
            convexity - lean,
            third + 2.0 * slope * slope * (1.0 + 3.0 / log_price * (1.0 + 1.0 / log_price)) - 3.0 * convexity * lean,
        )
        return log_price < target, step

    # For small total volatility the price over the distance is the normal model's, a function of h = distance / total alone.
    log_ratios, log_h = _normal_model_table()
    guess = distance / np.exp(np.interp(np.log(distance) - target, log_ratios, log_h))
    return _search(guess, np.zeros_like(turn), turn, look)


def _solve_high(distance: Floats, ratio: Floats, turn: Floats, log_turn: Floats) -> Floats:
    """Solve above the turn on ln(room), the logarithm of what is missing to the upper bound."""
    bound = np.exp(-0.5 * distance)
    log_room = np.log(bound - ratio)

    def look(total: Floats) -> tuple[NDArray[np.bool_], Floats]:
        room, price_slope = _room(distance, total)
        convexity, third = _bends(distance, total)
        pull, too_much = price_slope / room, np.log(room) - log_room
        step = _householder(too_much / pull, convexity + pull, third + pull * (3.0 * convexity + 2.0 * pull))
        return too_much > 0.0, step

    # room = 2 cosh(x/2) N(-total/2) at the money and for large totals; shifted to be right at the turn as well.
    weight = 2.0 * np.cosh(0.5 * distance)
    shift = turn + 2.0 * _ndtri()((bound - np.exp(log_turn)) / weight)
    return _search(shift - 2.0 * _ndtri()((bound - ratio) / weight), turn, np.full_like(turn, MAX_TOTAL_VOL), look)


def _search(guess: Floats, floor: Floats, ceiling: Floats, look: Callable[[Floats], tuple[NDArray[np.bool_], Floats]]) -> Floats:
    """Step from `guess` as `look` says (is it too low, and by how much), halving the bracket where a step leaves it."""
    total = np.where((guess > floor) & (guess < ceiling), guess, 0.5 * (floor + ceiling))
    for _ in range(MAX_STEPS):
        too_low, step = look(total)
        floor, ceiling = np.where(too_low, total, floor), np.where(too_low, ceiling, total)
        stepped = total + step
        moved = np.where((stepped >= floor) & (stepped <= ceiling), stepped, 0.5 * (floor + ceiling))
        settled = np.abs(moved - total) <= CONVERGED * total
        total = moved
        if settled.all():
            break
    return total


def _householder(newton: Floats, second: Floats, third: Floats) -> Floats:
    """Return the third-order step from Newton's step and the objective's second and third derivatives over its first."""
    step = newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))
    return np.where(step * newton > 0.0, step, newton)


def _bends(distance: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Return the second and third derivatives of the price in total volatility, each over the first."""
    convexity = distance * distance / total**3 - 0.25 * total
    return convexity, convexity * convexity - 3.0 * (distance / (total * total)) ** 2 - 0.25


def _log_price(distance: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Return ln(price) and d ln(price) / d total of the out-of-the-money option with sqrt(F K) = 1; in logs, so nothing underflows."""
    h, half = np.where(total > 0.0, -distance / total, 0.0), 0.5 * total
    inner = 0.5 * (erfcx()(-(h + half) * _SQRT_HALF) - erfcx()(-(h - half) * _SQRT_HALF))
    inner = np.maximum(inner, np.finfo(np.float64).tiny)
    return np.log(inner) - 0.5 * (h * h + half * half), 1.0 / (_SQRT_2PI * inner)


def _room(distance: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Return the upper bound less the price as a sum of positive terms, and d price / d total, with sqrt(F K) = 1."""
    h, half = -distance / total, 0.5 * total
    common = np.exp(-0.5 * (h * h + half * half))
    return 0.5 * common * (erfcx()((h + half) * _SQRT_HALF) + erfcx()(-(h - half) * _SQRT_HALF)), common / _SQRT_2PI


@cache
def _normal_model_table() -> tuple[Floats, Floats]:
    """Tabulate ln(h) against ln(distance / price) in the normal (Bachelier) model, where price = distance * (n(h)/h - N(-h))."""
    log_h = np.linspace(np.log(1e-6), np.log(60.0), 2048)
    h = np.exp(log_h)
    log_price = np.log((1.0 / h - 0.5 * _SQRT_2PI * erfcx()(h * _SQRT_HALF)) / _SQRT_2PI) - 0.5 * h * h
    return -log_price, log_h


def _parity_slope(strikes: Floats, gaps: Floats) -> float:
    """Return how much call - put falls per unit of strike: the median over all pairs of strikes (Theil-Sen)."""
    first, second = np.triu_indices(len(strikes), k=1)
    widths = strikes[second] - strikes[first]
    apart = widths != 0.0
    return float(np.median((gaps[first] - gaps[second])[apart] / widths[apart]))


@cache
def _ndtri() -> Callable[[Floats], Floats]:
    from scipy import special

    return cast("Callable[[Floats], Floats]", special.ndtri)
