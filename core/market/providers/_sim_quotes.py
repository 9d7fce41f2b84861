"""How options of the simulated market are quoted around their value: spreads by price, moneyness, time and mood, and what trades.

The spread of SPX options follows the recorded chains of 2019: with the index at 2,900 it was about 0.070 + 0.068 times the root of the
price, more for long terms, in the last days, and for strikes deep in the money, which cost what the future costs. It grows with the index,
more slowly than prices do, and in a stressed market with volatility. Example: at that level a put worth 4.00 of a month is quoted 0.20
wide, 5.1% of its price.
"""

from __future__ import annotations

import numpy as np

from core.domain.instruments import SeriesSpec
from core.market.providers._sim_listed import Listed
from core.market.providers._sim_noise import Floats

REFERENCE = 2900.0  # the index level of the figures below
LEAST, ROOT = 0.070, 0.068
SOFT = 0.15  # a price at which half of LEAST is asked for
LONG, LONG_FROM, LONGEST = 1.0, 0.15, 3.0  # wider by so much a year of term over the second figure, up to
SHORT, SHORT_YEARS, SHORT_SOFT = 0.55, 7 / 365, 4.0  # and in the last days, half of it at the third figure's price
GROWTH = 0.7  # elasticity of the spread of one moneyness to the index
DEEP, DEEP_FROM, DEEP_TO = 0.0015, 0.6, 1.5  # of the spot: in the money, by standard deviations
FEAR = 0.8  # elasticity to implied over ordinary volatility
UNUSUAL = 0.0012  # contracts a session that trade many times as much as they are used to


def sides(
    value: Floats, *, spot: float, inside: Floats, years: Floats, fear: float, listed: Listed, spec: SeriesSpec
) -> tuple[Floats, Floats]:
    """Bid and ask on ticks, at least one tick apart, the value between them; far out nobody bids.

    inside: standard deviations in the money; fear: implied volatility over what is ordinary.
    """
    low, high, threshold = (float(part) for part in (spec.ticks.low, spec.ticks.high, spec.ticks.threshold))
    tick = np.where(value < threshold, low, high)
    scale = spot / REFERENCE
    least = LEAST * scale**GROWTH * value / (value + SOFT * scale)
    root = ROOT * np.sqrt(scale ** (2.0 * GROWTH - 1.0) * value)
    deep = DEEP * spot * np.clip((inside - DEEP_FROM) / (DEEP_TO - DEEP_FROM), 0.0, 1.0)
    last = SHORT * np.exp(-years / SHORT_YEARS) * value / (value + SHORT_SOFT * scale)
    term = np.minimum(1.0 + LONG * np.maximum(years - LONG_FROM, 0.0), LONGEST) + last
    spread = listed.spread * ((least + root) * term + deep) * fear**FEAR
    apart = np.maximum(np.rint(spread / tick), 1.0)
    below = np.rint(value / tick - apart / 2.0)
    bid, ask = np.maximum(below, 0.0) * tick, np.maximum(below + apart, 1.0) * tick
    ask = np.where((value < threshold) & (ask > threshold), np.ceil(ask / high - 1e-9) * high, ask)
    return np.round(bid, 2), np.round(ask, 2)


def burst(chance: Floats, size: Floats) -> Floats:
    """How many times its usual volume a contract trades: once, and now and then eight to forty times."""
    return np.where(chance < UNUSUAL, 8.0 + 32.0 * size, 1.0)
