"""The volatility at which an American price arises: a search that the value itself is handed to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.pricing import bsm
from core.pricing.bsm import POINT, Floats
from core.pricing.exercise import EARLY, EARLY_STEEP, LEAST_TOTAL_VOL, as_puts
from core.pricing.implied import implied_vol

STEPS = 60


Columns = tuple[Floats, ...]


def search(columns: Columns, worth: Callable[[Columns, int | None], Floats]) -> Floats:
    """Find the volatility of each price; all lanes at once.

    columns: sign, spot, strike, years, rate, dividend, price, each over the value without volatility; worth: values of the same columns
    with a volatility for the price, and how those with one boundary are valued, as in `core.pricing.exercise.Puts.kinds`. Returns
    volatilities, NaN for a price that is more than any gives.

    On its way down a search tries volatilities at which boundaries are steep and values slow. It goes with the fast ones, which are right
    where the boundary is not steep; what ends where it is has been led astray at worst, and is searched again with the others.
    """
    found = _sought(columns, lambda each: worth(each, EARLY))
    steep = np.flatnonzero(as_puts((*columns[:6], found)).kinds() == EARLY_STEEP)
    if len(steep):
        found[steep] = _sought(tuple(column[steep] for column in columns), lambda each: worth(each, None))
    return found


def _sought(columns: Columns, worth: Callable[[Columns], Floats]) -> Floats:
    """Secant steps inside a bracket, from the European volatility, where the first slope is known.

    The bracket's lower end is next to no volatility, where the caller has found every price to be above the value. A step that leaves the
    bracket, and each third one where the bracket has not become half as wide since, goes to its middle.
    """
    signs, spot, strike, years, rate, dividend, price = columns
    root = np.sqrt(years)
    with np.errstate(all="ignore"):
        forward, discount = spot * np.exp((rate - dividend) * years), np.exp(-rate * years)
        high = implied_vol(right=signs, price=price, forward=forward, strike=strike, t_years=years, discount=discount)
        known = np.isfinite(high)
        high = np.where(known, high * (1.0 + 1e-9), 20.0 / root)
        plain = bsm.greeks(right=signs, spot=spot, strike=strike, t_years=years, rate=rate, dividend=dividend, vol=high)
    low = np.minimum(0.5 * LEAST_TOTAL_VOL / root, 0.5 * high)
    vol, slope, width = high.copy(), plain.vega_per_point / POINT, high - low
    place = np.arange(len(spot))
    miss = worth((*columns[:6], vol)) - price
    found = np.where(known | (miss >= 0.0), vol, np.nan)  # more than any volatility gives
    for step in range(STEPS):
        at, gap = vol[place], miss[place]
        low[place], high[place] = np.where(gap < 0.0, at, low[place]), np.where(gap < 0.0, high[place], at)
        found[place] = np.where(np.isnan(found[place]), np.nan, at)
        left, right = low[place], high[place]
        # A value that misses even at the European volatility does so by the error of the orders: there is nothing to find above it.
        going = (np.abs(gap) > 1e-13 * price[place]) & (right - left > 1e-13 * right) & ~((step == 0) & (gap < 0.0))
        with np.errstate(all="ignore"):
            moved = at - gap / slope[place]
        slow = (step % 3 == 2) & (right - left > 0.5 * width[place])
        if step % 3 == 2:
            width[place] = right - left
        moved = np.where((moved > left) & (moved < right) & ~slow, moved, 0.5 * (left + right))
        place, moved, at, gap = place[going], moved[going], at[going], gap[going]
        if not len(place):
            break
        now = worth((*(column[place] for column in columns[:6]), moved)) - price[place]
        with np.errstate(all="ignore"):
            slope[place] = (now - gap) / (moved - at)
        vol[place], miss[place] = moved, now
        settled = np.abs(moved - at) <= 1e-13 * moved
        found[place], place = moved, place[~settled]
    return found
