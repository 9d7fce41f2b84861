"""The grid of `core.pricing.dividend_grid` in compiled code: the same arithmetic, one option after another."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba import types

from core.pricing._kernels import FLAT, ROWS
from core.pricing._machine import inlined, kernel
from core.pricing.dividend_grid import DAMPED, LEAST_STEPS, LEAST_WIDTH, MARGIN, NODES, PIECES, STEPS, WIDTH

SHARES = tuple(PIECES)


@inlined
def fill_payoff(worth: Any, sign: float, strike: float, start: float, step: float) -> None:
    """The payoff's mean over each cell."""
    width, kink = abs(step), math.log(strike)
    for k in range(NODES):
        log = start + k * step
        low, high = log - 0.5 * width, log + 0.5 * width
        mean = 0.0
        if sign > 0.0 and high > kink:
            edge = max(low, kink)
            mean = math.exp(high) - math.exp(edge) - strike * (high - edge)
        elif sign < 0.0 and low < kink:
            edge = min(high, kink)
            mean = strike * (edge - low) - math.exp(edge) + math.exp(low)
        worth[k] = mean / width


@inlined
def present_of(dates: Any, amounts: Any, first: int, rate: float, now: float) -> float:
    """Present value of the dividends from `first` on."""
    total = 0.0
    for each in range(first, len(dates)):
        total += amounts[each] * math.exp(-rate * (dates[each] - now))
    return total


@inlined
def eliminate(inverse: Any, carried: Any, lower: float, middle: float, upper: float) -> None:
    """One over the pivots of the implicit matrix, its upper diagonal eliminated from the far end."""
    inverse[NODES - 2] = 1.0 / middle
    for k in range(NODES - 3, 0, -1):
        inverse[k] = 1.0 / (middle - upper * lower * inverse[k + 1])
    for k in range(1, NODES - 1):
        carried[k] = lower * inverse[k]


@inlined
def over_dividend(worth: Any, right: Any, stock: Any, sign: float, start: float, step: float, amount: float) -> None:
    """The value before an ex-date, between four nodes."""
    lowest = min(stock[0], stock[NODES - 1])
    for k in range(NODES):
        fallen = max(stock[k] - amount, 1e-6 * stock[k])
        place = min(max((math.log(fallen) - start) / step, 0.0), NODES - 1.0)
        first = min(max(math.floor(place) - 1, 0), NODES - 4)
        x = place - first
        value = -(x - 1.0) * (x - 2.0) * (x - 3.0) / 6.0 * worth[first] + x * (x - 2.0) * (x - 3.0) / 2.0 * worth[first + 1]
        value += -x * (x - 1.0) * (x - 3.0) / 2.0 * worth[first + 2] + x * (x - 1.0) * (x - 2.0) / 6.0 * worth[first + 3]
        right[k] = max(value, 0.0) + (max(lowest - fallen, 0.0) if sign < 0.0 else 0.0)
    for k in range(NODES):
        worth[k] = right[k]


@inlined
def one(
    sign: float, spot: float, strike: float, years: float, rate: float, dividend_yield: float, vol: float, dates: Any, amounts: Any,
    escrowed: bool, american: bool, out: Any, lane: int,
) -> None:
    """Solve one option."""
    count = len(dates)
    paid = 0.0
    if not escrowed:
        for each in range(count):
            paid += amounts[each]
    lowest, highest = min(math.log(spot), math.log(strike)), max(math.log(spot), math.log(strike + paid))
    wide = max(WIDTH * vol * math.sqrt(years), LEAST_WIDTH, MARGIN * (highest - lowest))
    lowest, highest = lowest - wide, highest + wide
    step = (highest - lowest) / (NODES - 1)
    start, step = (highest, -step) if sign > 0.0 else (lowest, step)
    index = int(np.rint((math.log(spot) - start) / step))
    start = math.log(spot) - index * step

    stock, worth, right = np.empty(NODES), np.empty(NODES), np.empty(NODES)
    inverse, carried = np.empty(NODES), np.empty(NODES)
    for k in range(NODES):
        stock[k] = math.exp(start + k * step)
    fill_payoff(worth, sign, strike, start, step)
    diffusion, drift = 0.5 * vol * vol / (step * step), 0.5 * (rate - dividend_yield - 0.5 * vol * vol) / step
    before, here, after = diffusion - drift, -2.0 * diffusion - rate, diffusion + drift

    passed = 0.0
    for part in range(count + 1):
        first = count - part  # the first dividend between this part and expiry
        edge = 0.0 if part == 0 else years - dates[first]
        length = (years if part == count else years - dates[first - 1]) - edge
        steps = max(LEAST_STEPS, math.ceil(STEPS * math.sqrt(length / years) / len(SHARES)))
        for piece in range(len(SHARES)):
            size = length * SHARES[piece] / steps
            for wholes in range(2):
                if wholes == 0 and piece > 0:
                    continue
                share, now = (0.5, size) if wholes else (1.0, 0.5 * size)
                rounds = (steps - DAMPED if piece == 0 else steps) if wholes else 2 * DAMPED
                implicit, explicit = share * now, (1.0 - share) * now
                lower, middle, upper = -implicit * before, 1.0 - implicit * here, -implicit * after
                eliminate(inverse, carried, lower, middle, upper)
                for _ in range(rounds):
                    passed += now
                    present = present_of(dates, amounts, first, rate, years - passed)
                    end = stock[0] * math.exp(-dividend_yield * passed) - (0.0 if escrowed else present)
                    end = max(sign * (end - strike * math.exp(-rate * passed)), 0.0)
                    added = present if escrowed else 0.0
                    for k in range(1, NODES - 1):
                        right[k] = worth[k] + explicit * (before * worth[k - 1] + here * worth[k] + after * worth[k + 1])
                    for k in range(NODES - 3, 0, -1):
                        right[k] -= upper * inverse[k + 1] * right[k + 1]
                    worth[NODES - 1] = 0.0
                    if american:
                        worth[0] = max(end, sign * (stock[0] + added - strike), 0.0)
                        for k in range(1, NODES - 1):
                            floor = max(sign * (stock[k] + added - strike), 0.0)
                            worth[k] = max(right[k] * inverse[k] - carried[k] * worth[k - 1], floor)
                    else:
                        worth[0] = end
                        for k in range(1, NODES - 1):
                            worth[k] = right[k] * inverse[k] - carried[k] * worth[k - 1]
        if part < count:
            passed = years - dates[first - 1]
            if not escrowed:
                over_dividend(worth, right, stock, sign, start, step, amounts[first - 1])
            if american:
                added = present_of(dates, amounts, first - 1, rate, years - passed) if escrowed else 0.0
                for k in range(NODES):
                    worth[k] = max(worth[k], sign * (stock[k] + added - strike), 0.0)

    v0, v1, v2, v3, v4 = worth[index - 2], worth[index - 1], worth[index], worth[index + 1], worth[index + 2]
    slope = (v0 - 8.0 * v1 + 8.0 * v3 - v4) / (12.0 * step)
    bend = (-v0 + 16.0 * v1 - 30.0 * v2 + 16.0 * v3 - v4) / (12.0 * step * step)
    whole = spot + (present_of(dates, amounts, 0, rate, 0.0) if escrowed else 0.0)
    intrinsic = sign * (whole - strike)
    exercised = american and intrinsic > 0.0 and v2 <= intrinsic
    out[0, lane] = v2
    out[1, lane] = sign if exercised else slope / spot
    out[2, lane] = 0.0 if exercised else (bend - slope) / (spot * spot)
    out[3, lane] = 1.0 if exercised else 0.0


GRID = types.void(types.UniTuple(FLAT, 7), FLAT, FLAT, types.boolean, types.boolean, ROWS)


@kernel(GRID)
def grid(columns: Any, dates: Any, amounts: Any, escrowed: bool, american: bool, out: Any) -> None:
    """Solve every option on the calling thread."""
    sign, spot, strike, years, rate, dividend_yield, vol = columns
    for i in range(out.shape[1]):
        one(sign[i], spot[i], strike[i], years[i], rate[i], dividend_yield[i], vol[i], dates, amounts, escrowed, american, out, i)


@kernel(GRID, parallel=True)
def grid_wide(columns: Any, dates: Any, amounts: Any, escrowed: bool, american: bool, out: Any) -> None:
    """Solve every option on all cores."""
    sign, spot, strike, years, rate, dividend_yield, vol = columns
    for i in numba.prange(out.shape[1]):
        one(sign[i], spot[i], strike[i], years[i], rate[i], dividend_yield[i], vol[i], dates, amounts, escrowed, american, out, i)
