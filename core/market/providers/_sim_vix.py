"""Futures on VIX and what options on them are worth in the simulated market.

A future is the fair volatility of the thirty days from its settlement on, as the index surface has it, less what the uncertainty of that
volatility takes from it; at its settlement it is VIX itself. Options are valued by Black-76 on the future of their own expiry, calls dearer
than puts. Example: with VIX at 16.5 the future of a month ahead stands near 17.5, and one of half a year near 20.
"""

from __future__ import annotations

import math

import numpy as np

from core.market.providers._sim_noise import Floats
from core.market.providers._sim_surface import VIX_YEARS, Mood, fair_variance, market_variance

ROOT = "VX"
MULTIPLIER = 1000
TICK = 0.05
FAST_VOL, SLOW_VOL, PULL = 1.15, 0.28, 5.0  # of a future's logarithm a year: what wears off, what stays, how fast
LEVEL_ELASTICITY, ORDINARY = 0.35, 18.0  # volatility of VIX rises with its level
DOUBT = 0.45  # share of a future's own variance that lowers it, the rest is what sellers of volatility are paid


def future(mood: Mood, years: float) -> float:
    """Price of a future by the years of sessions left until it settles."""
    ahead = market_variance(mood.fast, mood.slow, np.array([years, years + VIX_YEARS]))
    fair = 100.0 * math.sqrt(float(fair_variance(ahead[1] - ahead[0])) / VIX_YEARS)
    return fair * math.exp(-0.5 * DOUBT * float(_variance(np.array([years]))[0]))


def option_variance(mood: Mood, years: Floats) -> Floats:
    """Total variance at the money of options on futures so far from settlement."""
    now = future(mood, 0.0)
    return _variance(years) * (now / ORDINARY) ** (2 * LEVEL_ELASTICITY)


def _variance(years: Floats) -> Floats:
    return np.asarray(FAST_VOL**2 * -np.expm1(-2.0 * PULL * years) / (2.0 * PULL) + SLOW_VOL**2 * years)
