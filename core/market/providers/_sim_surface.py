"""Implied volatility of the simulated market: one smooth surface from the market's volatility and the time left.

Time is counted in sessions (252 a year), as the simulated prices move: nights and weekends cost what they bring. The at-the-money
variance runs from today's volatility to a long-run one; at a distance of `y` standard deviations from the forward the variance is

    1 + slope * (tilt * y + sqrt(1 + y * y) - 1)

times that, J. Gatheral's SVI shape ("The Volatility Surface", 2006, chapter 3) in standardised moneyness: steep in strike for short
dates, linear in the wings. Total variance then rises with time at every strike and the smile stays free of butterfly arbitrage.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from core.market.providers._sim_listed import LISTED, Listed, Smile
from core.market.providers._sim_noise import Floats

PREMIUM = 1.08  # implied over realised volatility, short-dated
LONG_RUN_VOL = 0.180  # implied, at the money
PULL_PER_YEAR = 6.0
VIX_YEARS, VIX3M_YEARS = 30 / 365, 93 / 365
RATE, RATE_RISE = 0.036, 0.003  # continuously compounded: overnight, and how much more at the long end


def rate(days: float) -> float:
    """Riskless rate for a term in calendar days."""
    return RATE + RATE_RISE * (1.0 - math.exp(-max(days, 0.0) / 365.0))


def market_variance(log_vol: npt.ArrayLike, years: npt.ArrayLike) -> Floats:
    """At-the-money total variance of the index over `years` (of 252 sessions)."""
    spot, long_run = (PREMIUM * np.exp(log_vol)) ** 2, LONG_RUN_VOL**2
    time = np.asarray(years, dtype=np.float64)
    return long_run * time + (spot - long_run) * -np.expm1(-PULL_PER_YEAR * time) / PULL_PER_YEAR


def variance(listed: Listed, log_vol: float, years: Floats) -> Floats:
    """At-the-money total variance of a symbol: its beta's share of the market's and its own."""
    return listed.beta**2 * market_variance(log_vol, years) + (PREMIUM * listed.own_vol) ** 2 * years


def shape(smile: Smile, y: Floats) -> Floats:
    """Variance over at-the-money variance at `y` standard deviations from the forward."""
    return 1.0 + smile.slope * (smile.tilt * y + np.sqrt(1.0 + y * y) - 1.0)


def fair_vol(log_vol: npt.ArrayLike, years: float) -> Floats:
    """Volatility a strip of index options pays for over a term: what VIX measures, skew included."""
    states, vols = _fair_vols(years)
    return np.interp(np.asarray(log_vol, dtype=np.float64), states, vols)


@lru_cache(maxsize=4)
def _fair_vols(years: float) -> tuple[Floats, Floats]:
    """Fair vols on a grid of log vols: the mean of the smile's variance over a standard normal d2 (Gatheral 2006, equation 11.5)."""
    states = np.linspace(math.log(0.02), math.log(2.0), 120)
    deviation = np.sqrt(market_variance(states, years))[:, None]
    y = np.linspace(-45.0, 45.0, 1801)[None, :]
    relative = shape(LISTED["SPX"].smile, y)
    d2 = -y / np.sqrt(relative) - 0.5 * deviation * np.sqrt(relative)
    density = np.exp(-0.5 * d2 * d2) / math.sqrt(2.0 * math.pi)
    weighted = 0.5 * (density * relative + np.roll(density * relative, -1, axis=1))[:, :-1]
    total = deviation[:, 0] ** 2 * np.sum(weighted * -np.diff(d2, axis=1), axis=1)
    return states, np.sqrt(total / years)
