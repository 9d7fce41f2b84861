"""Implied volatility of the simulated market: one smooth surface from the market's volatility and the time left.

Time is counted in sessions (252 a year), as the simulated prices move: nights and weekends cost what they bring. The forward variance runs
from today's through the slow volatility's to a long-run one, always positive, so that total variance rises with time; a report of earnings
adds its own at once. At a distance of `y` standard deviations from the forward the variance is

    1 + slope * (tilt * y + sqrt(1 + y * y) - 1)

times that at the money, J. Gatheral's SVI shape ("The Volatility Surface", 2006, chapter 3) in standardised moneyness: steep in strike for
short dates, linear in the wings. Total variance then rises with time at every strike and the smile stays free of butterfly arbitrage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from core.market.providers._sim_listed import LISTED, Listed, Smile
from core.market.providers._sim_noise import Floats

MEAN_LOG_VOL = math.log(0.122)  # a year, realised: the middle of the market's volatility
PREMIUM, SLOW_PREMIUM = 1.06, 1.12  # implied over realised volatility: now, and when what is fast has gone
FLOOR = 0.045  # implied volatility does not go to nothing however still the market is
LONG_RUN_VOL = 0.190  # implied, at the money
FAST_PULL, SLOW_PULL = 8.0, 1.2  # a year, as options see it
OWN_PULL = 4.0  # a year: how fast a name's own variance returns to its mean
OWN_ELASTICITY = 0.35  # of a name's own volatility to the market's
VIX9D_YEARS, VIX_YEARS, VIX3M_YEARS = 9 / 365, 30 / 365, 93 / 365
RATE, RATE_RISE = 0.036, 0.003  # continuously compounded: overnight, and how much more at the long end


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """The market's volatility at a moment: what is fast and what is slow of its logarithm, around the mean."""

    fast: float
    slow: float

    @property
    def log_vol(self) -> float:
        """Log of the realised volatility a year."""
        return MEAN_LOG_VOL + self.fast + self.slow


CALM = Mood(fast=0.0, slow=0.0)


def rate(days: float) -> float:
    """Riskless rate for a term in calendar days."""
    return RATE + RATE_RISE * (1.0 - math.exp(-max(days, 0.0) / 365.0))


def market_variance(fast: npt.ArrayLike, slow: npt.ArrayLike, years: npt.ArrayLike) -> Floats:
    """At-the-money total variance of the index over `years` (of 252 sessions)."""
    time = np.asarray(years, dtype=np.float64)
    soon, later = _gone(FAST_PULL, time), _gone(SLOW_PULL, time)
    slow = np.asarray(slow, dtype=np.float64)
    spot = (PREMIUM * np.exp(MEAN_LOG_VOL + np.asarray(fast) + slow)) ** 2 + FLOOR**2
    between = (SLOW_PREMIUM * np.exp(MEAN_LOG_VOL + slow)) ** 2
    return spot * soon + between * (later - soon) + LONG_RUN_VOL**2 * (time - later)


def fast_of(total: float, slow: float, years: float) -> float:
    """The fast part at which the market's total variance over `years` is `total`; where no such is, the lowest there may be."""
    soon, later = (float(_gone(pull, np.float64(years))) for pull in (FAST_PULL, SLOW_PULL))
    between = (SLOW_PREMIUM * math.exp(MEAN_LOG_VOL + slow)) ** 2
    spot = (total - between * (later - soon) - LONG_RUN_VOL**2 * (years - later)) / soon - FLOOR**2
    return 0.5 * math.log(max(spot, 0.03**2) / PREMIUM**2) - MEAN_LOG_VOL - slow


def variance(listed: Listed, mood: Mood, years: Floats) -> Floats:
    """At-the-money total variance of a symbol without its reports: its beta's share of the market's, and its own."""
    own = (PREMIUM * listed.own_vol) ** 2
    excess = math.exp(2.0 * OWN_ELASTICITY * (mood.fast + mood.slow)) - 1.0
    return listed.beta**2 * market_variance(mood.fast, mood.slow, years) + own * (years + excess * _gone(OWN_PULL, years))


def shape(smile: Smile, y: Floats) -> Floats:
    """Variance over at-the-money variance at `y` standard deviations from the forward."""
    return 1.0 + smile.slope * (smile.tilt * y + np.sqrt(1.0 + y * y) - 1.0)


def fair_variance(total: npt.ArrayLike) -> Floats:
    """What a strip of index options pays for at-the-money total variance: what VIX measures, skew included."""
    total = np.asarray(total, dtype=np.float64)
    deviations, factors = _fair_factors()
    return total * np.interp(np.sqrt(total), deviations, factors)


def at_money_variance(fair: float) -> float:
    """The at-the-money total variance of which a strip is `fair`."""
    deviations, factors = _fair_factors()
    return float(np.interp(fair, deviations**2 * factors, deviations**2))


def index_vol(fast: npt.ArrayLike, slow: npt.ArrayLike, years: float) -> Floats:
    """Level of a volatility index over a term, in points."""
    return 100.0 * np.sqrt(fair_variance(market_variance(fast, slow, years)) / years)


def _gone(pull: float, time: npt.ArrayLike) -> Floats:
    """Integral of exp(-pull t) up to a time."""
    return np.asarray(-np.expm1(-pull * np.asarray(time, dtype=np.float64)) / pull)


@lru_cache(maxsize=1)
def _fair_factors() -> tuple[Floats, Floats]:
    """Fair over at-the-money variance by standard deviation: the smile's mean over a standard normal d2 (Gatheral 2006, equation 11.5)."""
    deviations = np.concatenate([np.linspace(0.002, 0.3, 100), np.linspace(0.32, 1.6, 33)])
    y = np.linspace(-45.0, 45.0, 901)[None, :]
    relative = shape(LISTED["SPX"].smile, y)
    root = np.sqrt(relative)
    d2 = -y / root - 0.5 * deviations[:, None] * root
    weighted = np.exp(-0.5 * d2 * d2) / math.sqrt(2.0 * math.pi) * relative
    middle = 0.5 * (weighted[:, 1:] + weighted[:, :-1])
    return deviations, np.sum(middle * -np.diff(d2, axis=1), axis=1)
