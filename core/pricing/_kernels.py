"""European options in compiled code: the arithmetic of `core.pricing.bsm` and `core.pricing.implied`, a block of lanes at a time.

A block's columns lie side by side in one buffer, at constant distances from each other, because that is what lets the compiler see that
they never overlap and run four lanes at once. A lane the fast arithmetic is not meant for (no time, no volatility, absurd sizes) is
marked, and the caller's numpy code does it.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba import types

from core.pricing._machine import exp, inlined, kernel, log_ratio, tail, workspace
from core.pricing.bsm import DAYS_PER_YEAR, MAX_TOTAL_VOL, NARROW, NEAR, POINT

BLOCK = 256
CHUNK = 8192  # lanes a thread takes at once
INV_SQRT_2PI = 0.3989422804014327
DAILY = 1.0 / DAYS_PER_YEAR
SMALLEST, LARGEST = 1e-100, 1e100
LEAST_TOTAL_VOL, LEAST_YEARS, MOST_YEARS, MOST_DRIFT = 1e-8, 1e-10, 1e4, 700.0

FLAT = types.Array(types.float64, 1, "C", readonly=True)
STEPS = types.Array(types.int64, 2, "C", readonly=True)
ROWS = types.float64[:, ::1]
MARKS = types.uint8[::1]
INT = types.int64

# Columns of the buffer: what is given, what is derived from it, then results.
SIGN, PRICE, STRIKE, YEARS, FIRST, SECOND, VOL = 0, 1, 2, 3, 4, 5, 6
RATE, DIVIDEND, DISCOUNT, GROWTH, DRIFT, LOG, STATE = 7, 8, 9, 10, 11, 12, 13
OUT = 14
COLUMNS = OUT + 8


@inlined
def narrow_gap(h: float, half: float) -> float:
    """As in core.pricing.normal."""
    z, y0 = -h, tail(h)
    y1 = z * y0 + INV_SQRT_2PI
    y2 = z * y1 + y0
    y3 = z * y2 + 2.0 * y1
    y4 = z * y3 + 3.0 * y2
    y5 = z * y4 + 4.0 * y3
    y7 = z * (z * y5 + 5.0 * y4) + 6.0 * y5
    square = half * half
    return 2.0 * half * (y1 + square / 6.0 * (y3 + square / 20.0 * (y5 + square / 42.0 * y7)))


@inlined
def fill(buffer: Any, column: int, given: Any, start: int, step: int, n: int) -> None:
    """Copy `n` lanes of an argument into a column."""
    base = column * BLOCK
    if step == 1:
        for i in range(n):
            buffer[base + i] = given[start + i]
    else:
        same = given[start]
        for i in range(n):
            buffer[base + i] = same


@inlined
def load_spot(buffer: Any, n: int, same: bool) -> None:
    """FIRST and SECOND are rate and dividend; same: they and the time are those of the first lane all along."""
    for i in range(1 if same else n):
        rate, dividend, years = buffer[FIRST * BLOCK + i], buffer[SECOND * BLOCK + i], buffer[YEARS * BLOCK + i]
        drift = (rate - dividend) * years
        buffer[RATE * BLOCK + i] = rate
        buffer[DIVIDEND * BLOCK + i] = dividend
        buffer[DISCOUNT * BLOCK + i] = exp(-rate * years)
        buffer[GROWTH * BLOCK + i] = exp(drift)
        buffer[DRIFT * BLOCK + i] = drift
    if same:
        rate, dividend, drift = buffer[RATE * BLOCK], buffer[DIVIDEND * BLOCK], buffer[DRIFT * BLOCK]
        discount, growth = buffer[DISCOUNT * BLOCK], buffer[GROWTH * BLOCK]
        for i in range(n):
            buffer[RATE * BLOCK + i] = rate
            buffer[DIVIDEND * BLOCK + i] = dividend
            buffer[DISCOUNT * BLOCK + i] = discount
            buffer[GROWTH * BLOCK + i] = growth
            buffer[DRIFT * BLOCK + i] = drift
    for i in range(n):
        log = log_ratio(buffer[PRICE * BLOCK + i], buffer[STRIKE * BLOCK + i])
        buffer[LOG * BLOCK + i] = log + buffer[DRIFT * BLOCK + i]


@inlined
def load_forward(buffer: Any, n: int) -> None:
    """FIRST is the discount; a forward is a spot whose dividend is the rate."""
    for i in range(n):
        discount = buffer[FIRST * BLOCK + i]
        rate = -log_ratio(discount, 1.0) / buffer[YEARS * BLOCK + i]
        buffer[RATE * BLOCK + i] = rate
        buffer[DIVIDEND * BLOCK + i] = rate
        buffer[DISCOUNT * BLOCK + i] = discount
        buffer[GROWTH * BLOCK + i] = 1.0
        buffer[DRIFT * BLOCK + i] = 0.0
        buffer[LOG * BLOCK + i] = log_ratio(buffer[PRICE * BLOCK + i], buffer[STRIKE * BLOCK + i])


@inlined
def judge(buffer: Any, n: int, at_expiry: bool) -> None:
    """Set the state of each lane: 1 to be done here, 0 to be left to numpy, -1 impossible and so NaN.

    at_expiry: whether lanes without time, of which scenarios have many, are done here.
    """
    for i in range(n):
        sign, price, strike = buffer[SIGN * BLOCK + i], buffer[PRICE * BLOCK + i], buffer[STRIKE * BLOCK + i]
        years, vol, discount = buffer[YEARS * BLOCK + i], buffer[VOL * BLOCK + i], buffer[DISCOUNT * BLOCK + i]
        given = buffer[FIRST * BLOCK + i] + buffer[SECOND * BLOCK + i]
        total = vol * math.sqrt(years)
        possible = (price >= 0.0) & (strike >= 0.0) & (years >= 0.0) & (vol >= 0.0) & (given == given)
        usual = (price > SMALLEST) & (price < LARGEST) & (strike > SMALLEST) & (strike < LARGEST)
        timed = (years > LEAST_YEARS) & (years < MOST_YEARS) & (total > LEAST_TOTAL_VOL) & (total < MAX_TOTAL_VOL)
        usual &= timed | (at_expiry & (years == 0.0) & (vol >= 0.0) & (vol < LARGEST))
        usual &= (discount > SMALLEST) & (discount < LARGEST) & (abs(buffer[RATE * BLOCK + i] * years) < MOST_DRIFT)
        usual &= abs(buffer[DRIFT * BLOCK + i]) < MOST_DRIFT
        known = abs(sign) == 1.0
        buffer[STATE * BLOCK + i] = 1.0 if (usual & known) else (0.0 if (possible | (not known)) else -1.0)


@inlined
def values(buffer: Any, n: int) -> None:
    """Discounted values of a block, but for what `narrow` does over."""
    for i in range(n):
        sign, strike, discount = buffer[SIGN * BLOCK + i], buffer[STRIKE * BLOCK + i], buffer[DISCOUNT * BLOCK + i]
        forward = buffer[PRICE * BLOCK + i] * buffer[GROWTH * BLOCK + i]
        total = buffer[VOL * BLOCK + i] * math.sqrt(buffer[YEARS * BLOCK + i])
        h, half = abs(buffer[LOG * BLOCK + i]) / total, 0.5 * total
        high = half - h
        scale = math.sqrt(forward * strike) * exp(-0.5 * (h * h + half * half))
        near_tail, far_tail = scale * tail(abs(high)), scale * tail(h + half)
        lower = min(forward, strike)
        gap = (lower - near_tail if high > 0.0 else near_tail) - far_tail
        intrinsic = max(sign * (forward - strike), 0.0)
        worth = intrinsic + min(max(gap, 0.0), lower)
        buffer[OUT * BLOCK + i] = discount * (worth if total > 0.0 else intrinsic)


@inlined
def sensitivities(buffer: Any, n: int, on_spot: bool) -> None:
    """Values and Greeks of a block, but for the values that `narrow` does over."""
    for i in range(n):
        sign, price, strike = buffer[SIGN * BLOCK + i], buffer[PRICE * BLOCK + i], buffer[STRIKE * BLOCK + i]
        years, vol, discount = buffer[YEARS * BLOCK + i], buffer[VOL * BLOCK + i], buffer[DISCOUNT * BLOCK + i]
        rate, dividend, growth = buffer[RATE * BLOCK + i], buffer[DIVIDEND * BLOCK + i], buffer[GROWTH * BLOCK + i]
        log, root_years = buffer[LOG * BLOCK + i], math.sqrt(buffer[YEARS * BLOCK + i])
        forward, total = price * growth, vol * root_years
        per_total = 1.0 / total
        h, half = abs(log) * per_total, 0.5 * total
        high = half - h
        scale = math.sqrt(forward * strike) * exp(-0.5 * (h * h + half * half))
        near_tail, far_tail = scale * tail(abs(high)), scale * tail(h + half)
        lower, upper = min(forward, strike), max(forward, strike)
        beyond = high > 0.0
        gap = (lower - near_tail if beyond else near_tail) - far_tail
        moneyness = sign * (forward - strike)
        inside = moneyness > 0.0
        near, far = near_tail / lower, far_tail / upper
        own_high = near if inside == beyond else 1.0 - near
        own_low = 1.0 - far if inside else far
        receives_asset = (sign > 0.0) != inside
        in_asset = own_high if receives_asset else own_low
        in_cash = own_low if receives_asset else own_high
        signed = sign * discount
        delta, cash = signed * growth * in_asset, signed * strike * in_cash
        density = discount * scale * INV_SQRT_2PI
        per_price = density / price
        d2 = log * per_total - half
        worth = discount * (max(moneyness, 0.0) + min(max(gap, 0.0), lower))
        theta = -0.5 * density * vol / root_years + dividend * delta * price - rate * cash
        slide = (rate - dividend) * per_total - 0.5 * d2 / years
        buffer[OUT * BLOCK + i] = worth
        buffer[(OUT + 1) * BLOCK + i] = delta
        buffer[(OUT + 2) * BLOCK + i] = per_price / price * per_total
        buffer[(OUT + 3) * BLOCK + i] = theta * DAILY
        buffer[(OUT + 4) * BLOCK + i] = density * root_years * POINT
        buffer[(OUT + 5) * BLOCK + i] = (cash if on_spot else -worth) * years * POINT
        buffer[(OUT + 6) * BLOCK + i] = -per_price * d2 / vol * POINT
        buffer[(OUT + 7) * BLOCK + i] = (dividend * delta - per_price * slide) * DAILY


@inlined
def narrow(buffer: Any, n: int, on_spot: bool, greeks: bool) -> None:
    """Do over the values whose tails are too near to each other."""
    for i in range(n):
        total = buffer[VOL * BLOCK + i] * math.sqrt(buffer[YEARS * BLOCK + i])
        distance = abs(buffer[LOG * BLOCK + i])
        if distance < NEAR and 0.0 < total * total < NARROW * (total + distance) and buffer[STATE * BLOCK + i] == 1.0:
            h, half, strike = distance / total, 0.5 * total, buffer[STRIKE * BLOCK + i]
            forward, discount = buffer[PRICE * BLOCK + i] * buffer[GROWTH * BLOCK + i], buffer[DISCOUNT * BLOCK + i]
            gap = math.sqrt(forward * strike) * exp(-0.5 * (h * h + half * half)) * narrow_gap(h, half)
            moneyness = buffer[SIGN * BLOCK + i] * (forward - strike)
            worth = discount * (max(moneyness, 0.0) + min(max(gap, 0.0), min(forward, strike)))
            if greeks and not on_spot:
                buffer[(OUT + 3) * BLOCK + i] += buffer[RATE * BLOCK + i] * (worth - buffer[OUT * BLOCK + i]) * DAILY
                buffer[(OUT + 5) * BLOCK + i] = -worth * buffer[YEARS * BLOCK + i] * POINT
            buffer[OUT * BLOCK + i] = worth


@inlined
def some(given: Any, steps: Any, width: int, on_spot: bool, out: Any, marks: Any, start: int, stop: int) -> int:
    """Do the lanes from `start` to `stop`; return how many were left to numpy, marked with 1."""
    buffer = workspace(COLUMNS * BLOCK)
    results, left, at = out.shape[0], 0, start
    while at < stop:
        row, place = at // width, at % width
        n = min(BLOCK, stop - at, width - place)
        for column, each in enumerate(given):
            fill(buffer, column, each, row * steps[column, 0] + place * steps[column, 1], steps[column, 1], n)
        if on_spot:
            load_spot(buffer, n, (steps[YEARS, 1] == 0) & (steps[FIRST, 1] == 0) & (steps[SECOND, 1] == 0))
        else:
            load_forward(buffer, n)
        judge(buffer, n, on_spot and results == 1)
        if results == 1:
            values(buffer, n)
        else:
            sensitivities(buffer, n, on_spot)
        narrow(buffer, n, on_spot, results > 1)
        for j in range(results):
            for i in range(n):
                out[j, at + i] = buffer[(OUT + j) * BLOCK + i]
        for i in range(n):
            marks[at + i] = 0
            if buffer[STATE * BLOCK + i] < 1.0:
                if buffer[STATE * BLOCK + i] == 0.0:
                    left += 1
                    marks[at + i] = 1
                for j in range(results):
                    out[j, at + i] = np.nan
        at += n
    return left


GIVEN = types.UniTuple(FLAT, 7)
EUROPEAN = INT(GIVEN, STEPS, INT, types.boolean, ROWS, MARKS)


@kernel(EUROPEAN)
def european(given: Any, steps: Any, width: int, on_spot: bool, out: Any, marks: Any) -> int:
    """Value every lane on the calling thread."""
    return some(given, steps, width, on_spot, out, marks, 0, out.shape[1])


@kernel(EUROPEAN, parallel=True)
def european_wide(given: Any, steps: Any, width: int, on_spot: bool, out: Any, marks: Any) -> int:
    """Value every lane on all cores."""
    size, left = out.shape[1], 0
    for chunk in numba.prange((size + CHUNK - 1) // CHUNK):
        left += some(given, steps, width, on_spot, out, marks, chunk * CHUNK, min(size, (chunk + 1) * CHUNK))
    return left
