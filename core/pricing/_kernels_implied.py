"""Implied volatility in compiled code: the arithmetic of `core.pricing.implied`, a block of lanes at a time.

The lanes of a block are sorted into those near the money with little time, which take the series, and the others, so that each kind runs
four lanes at once. A lane of absurd sizes is marked and left to numpy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from core.pricing._kernels import BLOCK, FLAT, INT, LARGEST, LEAST_YEARS, MARKS, MOST_YEARS, ROWS, SMALLEST, STEPS, fill, narrow_gap
from core.pricing._machine import inlined, kernel, log_ratio, tail, workspace
from core.pricing.bsm import MAX_TOTAL_VOL, NARROW, NEAR
from core.pricing.implied import (
    CONVERGED,
    GUESS,
    GUESS_KNEE,
    MAX_STEPS,
    NARROW_STEPS,
    ROUNDING,
    SMALL_ERF,
    SQRT_2PI,
    WINITZKI,
)

# Columns of the buffer: what is given, the lane's kind, then the lanes to solve, gathered.
SIGN, PRICE, FORWARD, STRIKE, YEARS, DISCOUNT = 0, 1, 2, 3, 4, 5
DISTANCE, RATIO, BOUND, TOTAL, KIND = 6, 7, 8, 9, 10
G_DISTANCE, G_RATIO, G_BOUND, G_TOTAL, G_TARGET, G_FLOOR, G_CEILING, G_PLACE = 11, 12, 13, 14, 15, 16, 17, 18
COLUMNS = 19
NONE, FAR, CLOSE, LEFT = 0.0, 1.0, 2.0, 3.0
LEAST_RATIO = 1e-290
POLYNOMIAL = tuple(GUESS)
WINITZKI_MIDDLE = 2.0 / (math.pi * WINITZKI)
SQRT_8 = math.sqrt(8.0)


@inlined
def prepare(buffer: Any, n: int) -> None:
    """Turn each price to its out-of-the-money side, guess, and say which kind of lane it is."""
    for i in range(n):
        sign, price, discount = buffer[SIGN * BLOCK + i], buffer[PRICE * BLOCK + i], buffer[DISCOUNT * BLOCK + i]
        forward, strike, years = buffer[FORWARD * BLOCK + i], buffer[STRIKE * BLOCK + i], buffer[YEARS * BLOCK + i]
        moneyness = sign * (forward - strike)
        inside = moneyness > 0.0
        time_value = price / discount - (moneyness if inside else 0.0)
        lower, upper = min(forward, strike), max(forward, strike)
        root = math.sqrt(forward * strike)
        ratio, bound = time_value / root, lower / root
        distance = abs(log_ratio(forward, strike))
        scaled = distance / (ratio * SQRT_2PI)
        w = log_ratio(1.0 + scaled, 1.0)
        t = (w - GUESS_KNEE) / (w + GUESS_KNEE)
        p = POLYNOMIAL[0]
        p = p * t + POLYNOMIAL[1]
        p = p * t + POLYNOMIAL[2]
        p = p * t + POLYNOMIAL[3]
        p = p * t + POLYNOMIAL[4]
        p = p * t + POLYNOMIAL[5]
        p = p * t + POLYNOMIAL[6]
        p = p * t + POLYNOMIAL[7]
        p = p * t + POLYNOMIAL[8]
        h = w / math.sqrt(1.0 + 0.5 * w) * p
        total = SQRT_2PI * ratio if scaled < 1e-8 else distance / h
        usual = (forward > SMALLEST) & (forward < LARGEST) & (strike > SMALLEST) & (strike < LARGEST)
        usual &= (years > LEAST_YEARS) & (years < MOST_YEARS) & (discount > SMALLEST) & (discount < LARGEST)
        usual &= (ratio > LEAST_RATIO) & (abs(sign) == 1.0)
        least = ROUNDING * upper if inside else 0.0
        solvable = (price > 0.0) & (time_value > least) & (ratio < bound * (1.0 - ROUNDING))
        # Where even the sum of the arguments is no number there is nothing to find, and nothing to leave.
        everything = forward + strike + years + discount + price
        nothing = (price <= 0.0) | (everything != everything)
        close = (distance < NEAR) & (total * total < NARROW * (total + distance))
        kind = CLOSE if close else FAR
        kind = kind if solvable else NONE
        kind = kind if usual else LEFT
        buffer[KIND * BLOCK + i] = NONE if nothing & (abs(sign) == 1.0) else kind
        buffer[DISTANCE * BLOCK + i] = distance
        buffer[RATIO * BLOCK + i] = ratio
        buffer[BOUND * BLOCK + i] = bound
        buffer[TOTAL * BLOCK + i] = total


@inlined
def gather(buffer: Any, n: int, kind: float) -> int:
    """Put the lanes of one kind side by side; return how many there are."""
    count = 0
    for i in range(n):
        if buffer[KIND * BLOCK + i] == kind:
            buffer[G_DISTANCE * BLOCK + count] = buffer[DISTANCE * BLOCK + i]
            buffer[G_RATIO * BLOCK + count] = buffer[RATIO * BLOCK + i]
            buffer[G_BOUND * BLOCK + count] = buffer[BOUND * BLOCK + i]
            buffer[G_TOTAL * BLOCK + count] = buffer[TOTAL * BLOCK + i]
            buffer[G_PLACE * BLOCK + count] = float(i)
            count += 1
    return count


@inlined
def step_from(newton: float, second: float, third: float) -> float:
    """Householder's third-order step, or Newton's where that turns back."""
    step = newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))
    return step if step * newton > 0.0 else newton


@inlined
def solve_close(buffer: Any, n: int) -> None:
    """Solve ln b = ln(ratio) with the series."""
    for i in range(n):
        buffer[G_TARGET * BLOCK + i] = log_ratio(buffer[G_RATIO * BLOCK + i], 1.0)
    for _ in range(NARROW_STEPS):
        moving = 0
        for i in range(n):
            distance, total = buffer[G_DISTANCE * BLOCK + i], buffer[G_TOTAL * BLOCK + i]
            per_total = 1.0 / total
            h, half = distance * per_total, 0.5 * total
            gap = narrow_gap(h, half)
            slope = 1.0 / (SQRT_2PI * gap)
            convexity = h * h * per_total - 0.25 * total
            ratio = h * per_total
            third = convexity * convexity - 3.0 * ratio * ratio - 0.25
            newton = (buffer[G_TARGET * BLOCK + i] - log_ratio(gap, 1.0) + 0.5 * (h * h + half * half)) / slope
            step = step_from(newton, convexity - slope, third + slope * (2.0 * slope - 3.0 * convexity))
            moved = max(total + step, 0.5 * total)
            buffer[G_TOTAL * BLOCK + i] = moved
            moving += 0 if abs(step) <= CONVERGED * moved else 1
        if moving == 0:
            break


@inlined
def solve_far(buffer: Any, n: int) -> None:
    """Solve on 1 / ln(b) below the turn, on ln(b_max - b) above, inside a bracket. A floor of -1 marks the lanes below."""
    for i in range(n):
        distance, ratio, bound = buffer[G_DISTANCE * BLOCK + i], buffer[G_RATIO * BLOCK + i], buffer[G_BOUND * BLOCK + i]
        turn = math.sqrt(2.0 * distance)
        low = ratio < bound * (0.5 - tail(turn))
        floor, ceiling = (0.0 if low else turn), (turn if low else MAX_TOTAL_VOL)
        cosh, sinh = 0.5 * (1.0 / bound + bound), 0.5 * (1.0 / bound - bound)
        y = (ratio + sinh) / cosh
        log = log_ratio(1.0 - y * y, 1.0)
        middle = WINITZKI_MIDDLE + 0.5 * log
        erf = SQRT_8 * math.sqrt(max(math.sqrt(middle * middle - log / WINITZKI) - middle, 0.0))
        guess = buffer[G_TOTAL * BLOCK + i] if low else (SQRT_2PI * y if y < SMALL_ERF else erf)
        buffer[G_TOTAL * BLOCK + i] = guess if (guess > floor) & (guess < ceiling) else 0.5 * (floor + ceiling)
        buffer[G_TARGET * BLOCK + i] = log_ratio(ratio if low else bound - ratio, 1.0)
        buffer[G_BOUND * BLOCK + i] = 1.0 if low else 0.0
        buffer[G_FLOOR * BLOCK + i] = floor
        buffer[G_CEILING * BLOCK + i] = ceiling
    for _ in range(MAX_STEPS):
        moving = 0
        for i in range(n):
            distance, total, target = buffer[G_DISTANCE * BLOCK + i], buffer[G_TOTAL * BLOCK + i], buffer[G_TARGET * BLOCK + i]
            low = buffer[G_BOUND * BLOCK + i] == 1.0
            per_total = 1.0 / total
            h, half = distance * per_total, 0.5 * total
            near, far = tail(abs(h - half)), tail(h + half)
            part = near - far if low else near + far
            log = log_ratio(part, 1.0) - 0.5 * (h * h + half * half)
            slope, per_log = 1.0 / (SQRT_2PI * part), 1.0 / log
            convexity = h * h * per_total - 0.25 * total
            bend = h * per_total
            third = convexity * convexity - 3.0 * bend * bend - 0.25
            gap = target - log
            lean = slope * (1.0 + 2.0 * per_log)
            newton = (gap * (log / target) if low else -gap) / slope
            second = convexity - lean if low else convexity + slope
            below = 2.0 * slope * slope * (1.0 + 3.0 * per_log * (1.0 + per_log)) - 3.0 * convexity * lean
            above = slope * (3.0 * convexity + 2.0 * slope)
            stepped = total + step_from(newton, second, third + (below if low else above))
            too_low = (gap > 0.0) == low
            floor = total if too_low else buffer[G_FLOOR * BLOCK + i]
            ceiling = buffer[G_CEILING * BLOCK + i] if too_low else total
            moved = stepped if (stepped >= floor) & (stepped <= ceiling) else 0.5 * (floor + ceiling)
            buffer[G_FLOOR * BLOCK + i] = floor
            buffer[G_CEILING * BLOCK + i] = ceiling
            buffer[G_TOTAL * BLOCK + i] = moved
            moving += 0 if abs(moved - total) <= CONVERGED * total else 1
        if moving == 0:
            break


@inlined
def scatter(buffer: Any, n: int) -> None:
    """Put solved lanes back where they came from."""
    for i in range(n):
        buffer[TOTAL * BLOCK + int(buffer[G_PLACE * BLOCK + i])] = buffer[G_TOTAL * BLOCK + i]


@inlined
def some(given: Any, steps: Any, width: int, out: Any, marks: Any, start: int, stop: int) -> int:
    """Do the lanes from `start` to `stop`; return how many were left to numpy, marked with 1."""
    buffer = workspace(COLUMNS * BLOCK)
    left, at = 0, start
    while at < stop:
        row, place = at // width, at % width
        n = min(BLOCK, stop - at, width - place)
        for column, each in enumerate(given):
            fill(buffer, column, each, row * steps[column, 0] + place * steps[column, 1], steps[column, 1], n)
        prepare(buffer, n)
        count = gather(buffer, n, CLOSE)
        if count:
            solve_close(buffer, count)
            scatter(buffer, count)
        count = gather(buffer, n, FAR)
        if count:
            solve_far(buffer, count)
            scatter(buffer, count)
        for i in range(n):
            kind, vol = buffer[KIND * BLOCK + i], buffer[TOTAL * BLOCK + i] / math.sqrt(buffer[YEARS * BLOCK + i])
            solved = ((kind == CLOSE) | (kind == FAR)) & (vol > 0.0) & (vol < np.inf)
            out[0, at + i] = vol if solved else np.nan
            marks[at + i] = 1 if kind == LEFT else 0
            left += 1 if kind == LEFT else 0
        at += n
    return left


IMPLIED = INT(types.UniTuple(FLAT, 6), STEPS, INT, ROWS, MARKS)


@kernel(IMPLIED)
def implied(given: Any, steps: Any, width: int, out: Any, marks: Any) -> int:
    """Solve every lane."""
    return some(given, steps, width, out, marks, 0, out.shape[1])
