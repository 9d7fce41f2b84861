"""The grid under `core.pricing.dividends`: options over cash dividends by finite differences in the logarithm, on whole arrays.

The payoff is averaged over each cell, Crank-Nicolson steps begin with four half implicit ones after expiry and after each ex-date
(R. Rannacher, Numerische Mathematik 43, 1984), the exercise condition is met within each step by M. Brennan and E. Schwartz's elimination
(Journal of Finance 32, 1977), and a four-point interpolation leads over each dividend. Index 0 is the end where exercise pays, the low one
for puts and the high one for calls, so that one elimination serves both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from core.pricing.normal import Floats

if TYPE_CHECKING:
    from core.pricing.dividends import CashDividend

NODES, STEPS = 200, 100
LEAST_STEPS = 4  # in a piece
PIECES = (1 / 64, 3 / 64, 12 / 64, 48 / 64)  # of the time between two dates
DAMPED = 2  # Crank-Nicolson steps that are done as two half implicit ones each
WIDTH, LEAST_WIDTH = 5.0, 0.05  # half the grid, in deviations beyond spot and strike, and at least
MARGIN = 0.02  # of the way from spot to strike at least, so that a few nodes lie beyond either however far apart they are


def layout(sign: Floats, spot: Floats, strike: Floats, years: Floats, vol: Floats, paid: float) -> tuple[Floats, Floats, Floats]:
    """Return ln(S) at index 0, the signed step, and the index of spot, which is a node. `paid`: all dividends, by which strikes move."""
    low, high = np.minimum(np.log(spot), np.log(strike)), np.maximum(np.log(spot), np.log(strike + paid))
    wide = np.maximum(np.maximum(WIDTH * vol * np.sqrt(years), LEAST_WIDTH), MARGIN * (high - low))
    low, high = low - wide, high + wide
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


def solve(columns: tuple[Floats, ...], due: tuple[CashDividend, ...], escrowed: bool, american: bool) -> Floats:
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
