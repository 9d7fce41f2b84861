"""American puts in compiled code: the arithmetic of `core.pricing.american` for its default orders, a block of lanes at a time.

Every inner loop runs over the lanes of a block, whose columns lie at constant distances in one buffer, so that four lanes go at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from core.pricing._kernels import FLAT, INT, INV_SQRT_2PI, ROWS
from core.pricing._machine import exp, inlined, kernel, log_ratio, tail, workspace
from core.pricing.exercise import EXPIRIES, ORDERS, QD_STEPS, rule

NODES, INNER, STEPS, OUTER = ORDERS
assert NODES == 6, "the sums over the nodes below are written out"
_RULE = rule(NODES, INNER, OUTER)
NODE, LAG, WEIGHT, BLEND = _RULE.nodes, _RULE.lag, _RULE.weight, _RULE.blend
PRICE_LAG, PRICE_WEIGHT, PRICE_BLENDS = _RULE.price_lag, _RULE.price_weight, _RULE.price_blends
EXPIRY = np.array(EXPIRIES)
TINY = 2.2250738585072014e-308
LANES = 32

# Columns of the buffer, each LANES long.
SPOT, STRIKE, YEARS, RATE, DIVIDEND, VOL, TOP, LOG_TOP, FLOOR = 0, 1, 2, 3, 4, 5, 6, 7, 8
CASH, ASSET = 9, 10
VALUE, DELTA, GAMMA = 11, 12, 13
LOG = 14  # one a node
SQUARE = LOG + NODES  # one a node
MOVED = SQUARE + NODES  # one a node
FOR_CASH = MOVED + NODES  # one a node and inner node
FOR_ASSET = FOR_CASH + NODES * INNER
COLUMNS = FOR_ASSET + NODES * INNER


@inlined
def log(x: float) -> float:
    return log_ratio(x, 1.0)


@inlined
def density(x: float) -> float:
    return INV_SQRT_2PI * exp(-0.5 * x * x)


@inlined
def below(x: float, at: float) -> float:
    """N(x), given the normal density at x."""
    small = tail(abs(x)) * at / INV_SQRT_2PI
    return 1.0 - small if x > 0.0 else small


@inlined
def prepare(buffer: Any, n: int) -> None:
    """Where the boundary starts and where it ends."""
    for i in range(n):
        rate, dividend = buffer[RATE * LANES + i], buffer[DIVIDEND * LANES + i]
        vol, strike = buffer[VOL * LANES + i], buffer[STRIKE * LANES + i]
        share = min(1.0, rate / max(dividend, TINY))
        square = vol * vol
        carry = (rate - dividend) / square
        root = 0.5 - carry - math.sqrt((carry - 0.5) * (carry - 0.5) + 2.0 * rate / square)
        buffer[TOP * LANES + i] = strike * share
        buffer[LOG_TOP * LANES + i] = log(share)
        buffer[FLOOR * LANES + i] = strike * root / (root - 1.0)


@inlined
def qd_plus(buffer: Any, n: int, node: int) -> None:
    """Newton steps towards the QD+ boundary at one node."""
    part = NODE[node] * NODE[node]
    for i in range(n):
        strike, years, rate = buffer[STRIKE * LANES + i], buffer[YEARS * LANES + i], buffer[RATE * LANES + i]
        dividend, vol = buffer[DIVIDEND * LANES + i], buffer[VOL * LANES + i]
        top, floor = buffer[TOP * LANES + i], buffer[FLOOR * LANES + i]
        tau = part * years
        root_tau = math.sqrt(tau)
        drift, square, total = (rate - dividend) * tau, vol * vol, vol * root_tau
        pull = min(drift - 2.0 * total, 0.0) * top / (top - floor)
        bound = min(floor + (top - floor) * exp(pull), top * (1.0 - 1e-9))
        decay, fade = exp(-rate * tau), exp(-dividend * tau)
        omega, alpha = 2.0 * (rate - dividend) / square, 2.0 * rate / square
        # 1 - exp(-rate tau) without losing digits where the rate is small
        product = rate * tau
        lapse = product * (1.0 - product * (0.5 - product * (1.0 / 6.0 - product / 24.0))) if product < 1e-3 else 1.0 - decay
        spread = math.sqrt((omega - 1.0) * (omega - 1.0) + 4.0 * alpha / lapse)
        power = -0.5 * (omega - 1.0 + spread)
        turn = alpha / (lapse * spread)
        fixed = alpha / lapse - turn * turn
        for _ in range(QD_STEPS):
            gain = log(bound / strike) + drift
            low = gain / total - 0.5 * total
            low_density = density(low)
            high_density = low_density * exp(-gain)
            cash, asset = decay * (1.0 - below(low, low_density)), fade * (1.0 - below(low + total, high_density))
            curve = fade * high_density / (bound * total)
            theta = rate * strike * cash - dividend * bound * asset - 0.5 * square * bound * bound * curve
            theta_slope = -dividend * asset - (rate - dividend + square) * bound * curve
            theta_slope += 0.5 * square * bound * curve * (2.0 + low / total)
            gap, kept = strike - bound - (strike * cash - bound * asset), 1.0 - asset
            share = 2.0 / square * theta / gap
            lean = power + decay / spread * (fixed - share / decay)
            lean_slope = -1.0 / spread * (2.0 / square * theta_slope / gap + share * kept / gap)
            miss = kept * bound + lean * gap
            slope = (1.0 - lean) * kept + bound * curve + lean_slope * gap
            moved = bound - miss / slope
            bound = (moved if moved > 0.0 else 0.5 * bound) if moved < top else 0.5 * (bound + top)
        buffer[(LOG + node) * LANES + i] = log(bound / top)
        for k in range(INNER):
            to_come = LAG[k] * LAG[k] * tau
            passed, measure = tau - to_come, WEIGHT[k] * tau
            buffer[(FOR_CASH + node * INNER + k) * LANES + i] = rate * measure * exp(rate * passed)
            buffer[(FOR_ASSET + node * INNER + k) * LANES + i] = dividend * measure * exp(dividend * passed)


@inlined
def improve(buffer: Any, n: int, node: int) -> None:
    """One fixed point step at one node; the other nodes stay as they were."""
    part = NODE[node] * NODE[node]
    for i in range(n):
        tau, vol = part * buffer[YEARS * LANES + i], buffer[VOL * LANES + i]
        total = vol * math.sqrt(tau)
        gain = buffer[(LOG + node) * LANES + i] + buffer[LOG_TOP * LANES + i]
        gain += (buffer[RATE * LANES + i] - buffer[DIVIDEND * LANES + i]) * tau
        low = gain / total - 0.5 * total
        low_density = density(low)
        high_density = low_density * exp(-gain)
        buffer[CASH * LANES + i] = low_density / total
        buffer[ASSET * LANES + i] = high_density / total + below(low + total, high_density)
    for k in range(INNER):
        lag, lag_square = LAG[k], part * LAG[k] * LAG[k]
        w0, w1, w2 = BLEND[node, k, 0], BLEND[node, k, 1], BLEND[node, k, 2]
        w3, w4, w5 = BLEND[node, k, 3], BLEND[node, k, 4], BLEND[node, k, 5]
        for i in range(n):
            square = w0 * buffer[SQUARE * LANES + i] + w1 * buffer[(SQUARE + 1) * LANES + i]
            square += w2 * buffer[(SQUARE + 2) * LANES + i] + w3 * buffer[(SQUARE + 3) * LANES + i]
            square += w4 * buffer[(SQUARE + 4) * LANES + i] + w5 * buffer[(SQUARE + 5) * LANES + i]
            years = buffer[YEARS * LANES + i]
            spread = buffer[VOL * LANES + i] * math.sqrt(part * years) * lag
            gain = buffer[(LOG + node) * LANES + i] + math.sqrt(max(square, 0.0))
            gain += (buffer[RATE * LANES + i] - buffer[DIVIDEND * LANES + i]) * lag_square * years
            low = gain / spread - 0.5 * spread
            low_density = density(low)
            high_density = low_density * exp(-gain)
            buffer[CASH * LANES + i] += buffer[(FOR_CASH + node * INNER + k) * LANES + i] * low_density / spread
            high_part = below(low + spread, high_density) + high_density / spread
            buffer[ASSET * LANES + i] += buffer[(FOR_ASSET + node * INNER + k) * LANES + i] * high_part
    for i in range(n):
        tau = part * buffer[YEARS * LANES + i]
        ratio = buffer[CASH * LANES + i] / buffer[ASSET * LANES + i]
        moved = log(ratio) - buffer[LOG_TOP * LANES + i] - (buffer[RATE * LANES + i] - buffer[DIVIDEND * LANES + i]) * tau
        sound = (ratio > 1e-300) & (ratio < 1e300)
        buffer[(MOVED + node) * LANES + i] = min(moved, 0.0) if sound else buffer[(LOG + node) * LANES + i]


@inlined
def premium(buffer: Any, n: int, place: int) -> None:
    """The European value and the integral of the premium, with delta and gamma, for one of the expiries."""
    for i in range(n):
        spot, strike, vol = buffer[SPOT * LANES + i], buffer[STRIKE * LANES + i], buffer[VOL * LANES + i]
        rate, dividend, years = buffer[RATE * LANES + i], buffer[DIVIDEND * LANES + i], buffer[YEARS * LANES + i] * EXPIRY[place]
        spread = vol * math.sqrt(years)
        gain = log_ratio(spot, strike) + (rate - dividend) * years
        low = gain / spread - 0.5 * spread
        high = low + spread
        low_density = density(low)
        high_density = low_density * exp(-gain)
        cash, asset = strike * exp(-rate * years), exp(-dividend * years)
        above_high = below(-high, high_density)
        cash_density, asset_density = cash * low_density / (spot * spread), asset * high_density / spread
        buffer[VALUE * LANES + i] = cash * below(-low, low_density) - asset * spot * above_high
        buffer[DELTA * LANES + i] = asset_density - cash_density - asset * above_high
        buffer[GAMMA * LANES + i] = cash_density * (1.0 + low / spread) + asset_density * (1.0 - high / spread)
    for k in range(OUTER):
        lag, weight = PRICE_LAG[k], PRICE_WEIGHT[k]
        w0, w1, w2 = PRICE_BLENDS[place, k, 0], PRICE_BLENDS[place, k, 1], PRICE_BLENDS[place, k, 2]
        w3, w4, w5 = PRICE_BLENDS[place, k, 3], PRICE_BLENDS[place, k, 4], PRICE_BLENDS[place, k, 5]
        for i in range(n):
            square = w0 * buffer[SQUARE * LANES + i] + w1 * buffer[(SQUARE + 1) * LANES + i]
            square += w2 * buffer[(SQUARE + 2) * LANES + i] + w3 * buffer[(SQUARE + 3) * LANES + i]
            square += w4 * buffer[(SQUARE + 4) * LANES + i] + w5 * buffer[(SQUARE + 5) * LANES + i]
            spot, strike, vol = buffer[SPOT * LANES + i], buffer[STRIKE * LANES + i], buffer[VOL * LANES + i]
            rate, dividend, years = buffer[RATE * LANES + i], buffer[DIVIDEND * LANES + i], buffer[YEARS * LANES + i] * EXPIRY[place]
            to_come = lag * lag * years
            gain = log_ratio(spot, buffer[TOP * LANES + i]) + math.sqrt(max(square, 0.0)) + (rate - dividend) * to_come
            spread = vol * math.sqrt(to_come)
            low = gain / spread - 0.5 * spread
            high = low + spread
            low_density = density(low)
            high_density = low_density * exp(-gain)
            cash, asset = strike * rate * weight * years * exp(-rate * to_come), dividend * weight * years * exp(-dividend * to_come)
            above_high = below(-high, high_density)
            cash_density, asset_density = cash * low_density / (spot * spread), asset * high_density / spread
            buffer[VALUE * LANES + i] += cash * below(-low, low_density) - asset * spot * above_high
            buffer[DELTA * LANES + i] += asset_density - cash_density - asset * above_high
            buffer[GAMMA * LANES + i] += cash_density * (1.0 + low / spread) + asset_density * (1.0 - high / spread)


@inlined
def load(buffer: Any, puts: Any, start: int, step: int, n: int) -> None:
    """Take every `step`-th put into a block."""
    for column, each in enumerate(puts):
        for i in range(n):
            buffer[column * LANES + i] = each[start + i * step]


@inlined
def square(buffer: Any, n: int) -> None:
    """The squares of the boundary's logarithms, which is what is interpolated."""
    for node in range(NODES):
        for i in range(n):
            buffer[(SQUARE + node) * LANES + i] = buffer[(LOG + node) * LANES + i] * buffer[(LOG + node) * LANES + i]


@inlined
def solve(buffer: Any, n: int) -> None:
    """Find the boundaries of a block."""
    for node in range(NODES):
        qd_plus(buffer, n, node)
    for _ in range(STEPS):
        square(buffer, n)
        for node in range(NODES):
            improve(buffer, n, node)
        for node in range(NODES):
            for i in range(n):
                buffer[(LOG + node) * LANES + i] = buffer[(MOVED + node) * LANES + i]


@inlined
def read(buffer: Any, n: int, out: Any, at: int) -> None:
    """Value a block from its boundaries; rows as in core.pricing.exercise, one alone for the value only."""
    slopes = out.shape[0] > 1
    square(buffer, n)
    premium(buffer, n, 0)
    for i in range(n):
        intrinsic = buffer[STRIKE * LANES + i] - buffer[SPOT * LANES + i]
        due = buffer[SPOT * LANES + i] <= buffer[TOP * LANES + i] * exp(buffer[LOG * LANES + i])
        out[0, at + i] = intrinsic if due else max(buffer[VALUE * LANES + i], intrinsic)
        if slopes:
            out[1, at + i] = buffer[DELTA * LANES + i]
            out[2, at + i] = buffer[GAMMA * LANES + i] / buffer[SPOT * LANES + i]
            out[3, at + i] = 1.0 if due else 0.0
    if slopes:
        for place in range(1, 3):
            premium(buffer, n, place)
            for i in range(n):
                out[3 + place, at + i] = buffer[DELTA * LANES + i]
                out[5 + place, at + i] = buffer[VALUE * LANES + i]


AMERICAN = types.void(types.UniTuple(FLAT, 6), INT, ROWS)


@kernel(AMERICAN)
def american(puts: Any, shared: int, out: Any) -> None:
    """Value every put; every `shared` ones that follow each other have one boundary."""
    buffer, kept = workspace(COLUMNS * LANES), workspace(NODES * LANES)
    options, first = out.shape[1] // shared, 0
    while first < options:
        count = min(LANES, options - first)
        load(buffer, puts, first * shared, shared, count)
        prepare(buffer, count)
        solve(buffer, count)
        if shared == 1:
            read(buffer, count, out, first)
        else:
            for i in range(NODES * LANES):
                kept[i] = buffer[LOG * LANES + i]
            for option in range(count):
                at, stop = (first + option) * shared, (first + option + 1) * shared
                while at < stop:
                    n = min(LANES, stop - at)
                    load(buffer, puts, at, 1, n)
                    prepare(buffer, n)
                    for node in range(NODES):
                        for i in range(n):
                            buffer[(LOG + node) * LANES + i] = kept[node * LANES + option]
                    read(buffer, n, out, at)
                    at += n
        first += count
