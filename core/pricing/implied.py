"""Implied volatility of European option prices on whole arrays, and the forward and discount that put-call parity implies.

A price that no volatility explains gives NaN: never a number, never an exception.

A price is turned to its out-of-the-money side and written as `b = price / sqrt(F K)`, a function of `x = |ln(F/K)|` and the total
volatility `s` alone. With `h = x/s` and `m = s/2` it is convex in `s` up to `s = sqrt(2 x)`, where `h = m`, and concave above. After
P. Jaeckel, "Let's Be Rational" (2015), the objective is `1 / ln b` below that turn and `ln(b_max - b)` above it, both nearly straight, and
the steps are Householder's of third order; near the money with little time, where both lose digits, it is `ln b` with the series of
`core.pricing.normal.narrow_gap`. The guesses are our own: the normal (Bachelier) model inverted by a polynomial, and the inverse of the
error function of S. Winitzki, "A handy approximation for the error function and its inverse" (2008).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.pricing import compiled
from core.pricing.bsm import MAX_TOTAL_VOL, NARROW, NEAR, Floats, right_signs
from core.pricing.normal import log_ratio, narrow_gap, tail

MAX_STEPS = 40
NARROW_STEPS = 4
# The time value of an in-the-money price is a difference; below this many units in the last place of the forward or strike it is rounding,
# and so is what a price lacks to its upper bound.
ROUNDING = 16.0 * float(np.finfo(np.float64).eps)
# A third-order step leaves an error of about its fourth power: after one this small (relative) only rounding is left.
CONVERGED = 1e-4
MIN_PAIRS = 4
NEAR_MONEY = 0.10
WANTED_PAIRS = 12
PLAUSIBLE_DISCOUNT = (0.5, 1.05)
SQRT_2PI = float(np.sqrt(2.0 * np.pi))
# With w = ln(1 + x / (b sqrt(2 pi))), h sqrt(1 + w/2) / w in the normal model as a polynomial in (w - 5) / (w + 5), within 6e-4.
GUESS_KNEE = 5.0
GUESS = (0.12355105, -0.07086756, -0.13472392, 0.0554887, 0.10118245, -0.11197938, 0.10841562, 0.12680366, 0.80096622)
WINITZKI = 0.147
SMALL_ERF = 1e-4
_LEAST_RATIO = 1e-300


def implied_vol(
    *, right: ArrayLike, price: ArrayLike, forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, discount: ArrayLike
) -> Floats:
    """Find the volatility per year at which Black-76 gives each price.

    right: +1 call, -1 put, or 'call' / 'put'; price: per unit of underlying, today; forward, strike: per unit; t_years: to expiry;
    discount: present value of 1 at expiry. Arguments broadcast. Returns vols as decimals, NaN where there is none: a price at or below
    zero or intrinsic value, at or above the upper bound (forward for a call, strike for a put, discounted), no time left, NaN anywhere.
    Raises ValueError for another right. Source: P. Jaeckel, "Let's Be Rational" (2015), as the module's text says.
    """
    done = compiled.implied(right, (price, forward, strike, t_years, discount))
    if done is None:
        return _solve(right_signs(right), price, forward, strike, t_years, discount)
    return done.finished(lambda rows: (_solve(right_signs(rows[0]), *rows[1:]),))[0]


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


def _solve(
    right: NDArray[np.int8], price: ArrayLike, forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, discount: ArrayLike
) -> Floats:
    given = (right, price, forward, strike, t_years, discount)
    signs, prices, forwards, strikes, years, discounts = np.broadcast_arrays(*(np.asarray(each, dtype=np.float64) for each in given))
    vols = np.full(prices.shape, np.nan)
    with np.errstate(all="ignore"):
        moneyness = signs * (forwards - strikes)
        time_value = prices / discounts - np.maximum(moneyness, 0.0)
        least = np.where(moneyness > 0.0, ROUNDING * np.maximum(forwards, strikes), 0.0)
        root = np.sqrt(forwards) * np.sqrt(strikes)
        ratio, bound = time_value / root, np.minimum(forwards, strikes) / root
        distance = np.abs(log_ratio(forwards, strikes))
        solvable = (prices > 0.0) & (discounts > 0.0) & (time_value > least) & (ratio > _LEAST_RATIO) & (ratio < bound * (1.0 - ROUNDING))
        solvable &= (years > 0.0) & np.isfinite(years) & np.isfinite(distance)
        found = _total_vol(distance[solvable], ratio[solvable], bound[solvable]) / np.sqrt(years[solvable])
        vols[solvable] = np.where((found > 0.0) & np.isfinite(found), found, np.nan)
    return vols


def _total_vol(distance: Floats, ratio: Floats, bound: Floats) -> Floats:
    """Solve for the total volatility: distance x, ratio b and bound b_max, all 1-d and in range."""
    total = _normal_guess(distance, ratio)
    narrow = (distance < NEAR) & (total * total < NARROW * (total + distance))
    total[narrow] = _narrow(distance[narrow], ratio[narrow], total[narrow])
    wide = ~narrow
    total[wide] = _wide(distance[wide], ratio[wide], bound[wide], total[wide])
    return total


def _normal_guess(distance: Floats, ratio: Floats) -> Floats:
    """The total volatility of the normal model, exact as x and s go to zero."""
    scaled = distance / (ratio * SQRT_2PI)
    w = np.log1p(scaled)
    h = w / np.sqrt(1.0 + 0.5 * w) * np.polyval(GUESS, (w - GUESS_KNEE) / (w + GUESS_KNEE))
    return np.where(scaled < 1e-8, SQRT_2PI * ratio, distance / h)


def _erf_guess(distance: Floats, ratio: Floats) -> Floats:
    """The total volatility where b_max - b is 2 cosh(x/2) N(-s/2), which it is at the money and for large s."""
    half = 0.5 * distance
    y = (ratio + np.sinh(half)) / np.cosh(half)
    log = np.log1p(-y * y)
    middle = 2.0 / (np.pi * WINITZKI) + 0.5 * log
    inverse = np.sqrt(np.sqrt(middle * middle - log / WINITZKI) - middle)
    return np.where(y < SMALL_ERF, SQRT_2PI * y, np.sqrt(8.0) * inverse)


def _narrow(distance: Floats, ratio: Floats, total: Floats) -> Floats:
    """Solve ln b = ln(ratio) from a guess good to a thousandth."""
    target = np.log(ratio)
    for _ in range(NARROW_STEPS):
        h, half = distance / total, 0.5 * total
        gap = narrow_gap(h, half)
        slope = 1.0 / (SQRT_2PI * gap)
        convexity, third = _bends(h, total)
        newton = (target - np.log(gap) + 0.5 * (h * h + half * half)) / slope
        step = _householder(newton, convexity - slope, third + slope * (2.0 * slope - 3.0 * convexity))
        total = np.maximum(total + step, 0.5 * total)
        if np.all(np.abs(step) <= CONVERGED * total):
            break
    return total


def _wide(distance: Floats, ratio: Floats, bound: Floats, guess: Floats) -> Floats:
    """Solve on 1 / ln(b) below the turn, on ln(b_max - b) above, halving the bracket where a step leaves it."""
    turn = np.sqrt(2.0 * distance)
    low = ratio < bound * (0.5 - tail(turn))
    floor, ceiling = np.where(low, 0.0, turn), np.where(low, turn, MAX_TOTAL_VOL)
    target = np.log(np.where(low, ratio, bound - ratio))
    guess = np.where(low, guess, _erf_guess(distance, ratio))
    total = np.where((guess > floor) & (guess < ceiling), guess, 0.5 * (floor + ceiling))
    for _ in range(MAX_STEPS):
        too_low, step = _look(distance, total, low, target)
        floor, ceiling = np.where(too_low, total, floor), np.where(too_low, ceiling, total)
        stepped = total + step
        moved = np.where((stepped >= floor) & (stepped <= ceiling), stepped, 0.5 * (floor + ceiling))
        settled = np.abs(moved - total) <= CONVERGED * total
        total = moved
        if settled.all():
            break
    return total


def _look(distance: Floats, total: Floats, low: NDArray[np.bool_], target: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return whether each total volatility is too low, and the step from it."""
    h, half = distance / total, 0.5 * total
    near, far = tail(np.abs(h - half)), tail(h + half)
    part = np.where(low, near - far, near + far)  # of b, or of b_max - b
    log = np.log(part) - 0.5 * (h * h + half * half)
    slope = 1.0 / (SQRT_2PI * part)
    convexity, third = _bends(h, total)
    gap = target - log
    lean = slope * (1.0 + 2.0 / log)
    newton = np.where(low, gap * (log / target), -gap) / slope
    second = np.where(low, convexity - lean, convexity + slope)
    below = 2.0 * slope * slope * (1.0 + 3.0 / log * (1.0 + 1.0 / log)) - 3.0 * convexity * lean
    above = slope * (3.0 * convexity + 2.0 * slope)
    return (gap > 0.0) == low, _householder(newton, second, third + np.where(low, below, above))


def _householder(newton: Floats, second: Floats, third: Floats) -> Floats:
    """Return the third-order step from Newton's step and the objective's second and third derivatives over its first."""
    step = newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))
    return np.where(step * newton > 0.0, step, newton)


def _bends(h: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Return the second and third derivatives of b in total volatility, each over the first."""
    convexity = h * h / total - 0.25 * total
    return convexity, convexity * convexity - 3.0 * (h / total) ** 2 - 0.25


def _parity_slope(strikes: Floats, gaps: Floats) -> float:
    """Return how much call - put falls per unit of strike: the median over all pairs of strikes (Theil-Sen)."""
    first, second = np.triu_indices(len(strikes), k=1)
    widths = strikes[second] - strikes[first]
    apart = widths != 0.0
    return float(np.median((gaps[first] - gaps[second])[apart] / widths[apart]))
