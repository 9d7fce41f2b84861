"""The 30-day index of expected volatility, recomputed from a chain as Cboe publishes the method.

Source: Cboe, "Volatility Index Methodology: Cboe Volatility Index" (the VIX white paper): the strip of out-of-the-money options of two
expiries around 30 days, each quote at its mid, cut where two strikes in a row have no bid, weighted to constant maturity in variance.

Worked example of one expiry: strikes 90, 100, 110; at 100 the call costs 5.00 and the put 5.20; no interest, a quarter year. Then
F = 100 + (5.00 - 5.20) = 99.80, K0 = 90, and the strip is the call and put at 90 averaged, and the calls at 100 and 110.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.pricing.bsm import DAYS_PER_YEAR, Floats

TARGET_DAYS = 30
NEAREST_DAYS, FURTHEST_DAYS = 23, 37  # calendar days; on a Wednesday the terms of 30 and 37 days are taken
SILENT_STRIKES = 2  # without a bid, one after the other, end the strip


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryVariance:
    """The variance a strip of one expiry pays for: `variance` per year; `forward` and `base` are F and K0; `used` counts its strikes.

    `days` are whole calendar days to expiry, by which terms are chosen; `t_years` is exact, and what they are weighted by.
    """

    days: int
    t_years: float
    variance: float
    forward: float
    base: float
    used: int


def expiry_variance(
    *, strike: ArrayLike, call_bid: ArrayLike, call_ask: ArrayLike, put_bid: ArrayLike, put_ask: ArrayLike,
    days: int, t_years: float,
    rate: float,
) -> ExpiryVariance | None:
    """Work out the variance of one expiry.

    strike and the four quotes: arrays of one length, NaN where a side has no quote (a crossed, negative or endless one is none); days:
    whole calendar days to expiry; t_years: to settlement; rate: continuously compounded to expiry. Returns None where no forward can be
    read, no strike at or below it has both rights quoted, or fewer than three strikes are left.
    """
    columns = (np.asarray(each, dtype=np.float64).ravel() for each in (strike, call_bid, call_ask, put_bid, put_ask))
    strikes, call_bids, call_asks, put_bids, put_asks = columns
    order = np.argsort(strikes, kind="stable")
    strikes, call_bids, call_asks, put_bids, put_asks = (each[order] for each in (strikes, call_bids, call_asks, put_bids, put_asks))
    if not (t_years > 0.0 and math.isfinite(rate)):
        return None
    calls, call_bids = _mids(call_bids, call_asks)
    puts, put_bids = _mids(put_bids, put_asks)
    gaps = np.where((call_bids > 0.0) & (put_bids > 0.0), np.abs(calls - puts), np.nan)
    if not np.isfinite(gaps).any():
        return None
    nearest = int(np.nanargmin(gaps))
    forward = float(strikes[nearest] + math.exp(rate * t_years) * (calls[nearest] - puts[nearest]))
    under = np.flatnonzero((strikes <= forward) & np.isfinite(calls + puts))
    if not len(under):
        return None
    base = int(under[-1])
    kept = np.zeros(len(strikes), dtype=bool)
    kept[base] = True
    kept[_walk(put_bids, range(base - 1, -1, -1))] = True
    kept[_walk(call_bids, range(base + 1, len(strikes)))] = True
    quotes = np.where(np.arange(len(strikes)) < base, puts, calls)
    quotes[base] = 0.5 * (calls[base] + puts[base])
    used, prices = strikes[kept], quotes[kept]
    if len(used) < 3:
        return None
    widths = np.empty(len(used))
    widths[1:-1] = 0.5 * (used[2:] - used[:-2])
    widths[0], widths[-1] = used[1] - used[0], used[-1] - used[-2]
    strip = float(np.sum(widths / used**2 * prices)) * math.exp(rate * t_years)
    variance = 2.0 / t_years * strip - (forward / float(strikes[base]) - 1.0) ** 2 / t_years
    return ExpiryVariance(days=days, t_years=t_years, variance=variance, forward=forward, base=float(strikes[base]), used=len(used))


def index_level(expiries: Sequence[ExpiryVariance]) -> float | None:
    """Weight two expiries to 30 days, in points of volatility (20 is 20 % a year).

    The last expiry of more than 23 and at most 30 days and the first of more than 30 and at most 37 are taken. None where either is
    missing, or the result is no variance.
    """
    near = [each for each in expiries if NEAREST_DAYS < each.days <= TARGET_DAYS]
    far = [each for each in expiries if TARGET_DAYS < each.days <= FURTHEST_DAYS]
    if not near or not far:
        return None
    first, second = max(near, key=lambda each: each.days), min(far, key=lambda each: each.days)
    target = TARGET_DAYS / DAYS_PER_YEAR
    share = (second.t_years - target) / (second.t_years - first.t_years)
    total = share * first.t_years * first.variance + (1.0 - share) * second.t_years * second.variance
    return 100.0 * math.sqrt(total / target) if total > 0.0 else None


def _mids(bids: Floats, asks: Floats) -> tuple[Floats, Floats]:
    """Mids and bids of one right, NaN and 0 where there is no sound quote."""
    sound = (bids >= 0.0) & (bids <= asks) & (asks < np.inf)
    with np.errstate(all="ignore"):
        return np.where(sound, 0.5 * (bids + asks), np.nan), np.where(sound, bids, 0.0)


def _walk(bids: Floats, places: Sequence[int]) -> NDArray[np.int64]:
    """The strikes with a bid, going outwards until two in a row have none."""
    found, silent = [], 0
    for place in places:
        if bids[place] > 0.0:
            found.append(place)
            silent = 0
        else:
            silent += 1
            if silent == SILENT_STRIKES:
                break
    return np.array(found, dtype=np.int64)
