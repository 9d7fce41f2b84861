"""Options on VIX: Black-76 on the future of their own expiry. The index itself cannot be held, so it is no forward for them.

Each expiry has a future of its own, and an option takes that one and no other: a calendar between two expiries is a trade between two
underlyings. Where no future is quoted, put-call parity of the options' own expiry gives its price
(`core.pricing.implied.forward_discount`). A move of a 30-day volatility reaches a far future damped; see `tenor_share`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import ArrayLike

from core.pricing import bsm
from core.pricing.bsm import DAYS_PER_YEAR, Floats, Greeks

TENOR_DAYS = 30.0


def futures_of(expiry: Sequence[date], futures: Mapping[date, float]) -> Floats:
    """The price of the future of each option's own expiry, NaN where it is not known; a neighbouring one never stands in."""
    return np.array([futures.get(each, np.nan) for each in expiry], dtype=np.float64)


def value(
    *, right: ArrayLike, strike: ArrayLike, expiry: Sequence[date], futures: Mapping[date, float], t_years: ArrayLike, discount: ArrayLike,
    vol: ArrayLike,
) -> Floats:
    """Value options on VIX, one an expiry date given.

    expiry: of each option; futures: price by expiry date; the rest as in `core.pricing.bsm.value_forward`. Returns points of the index
    (times 100 in money), NaN without the future. Raises ValueError for another right. Source: trading rules, 28.
    """
    return bsm.value_forward(
        right=right, forward=futures_of(expiry, futures), strike=strike, t_years=t_years, discount=discount, vol=vol
    )


def greeks(
    *, right: ArrayLike, strike: ArrayLike, expiry: Sequence[date], futures: Mapping[date, float], t_years: ArrayLike, discount: ArrayLike,
    vol: ArrayLike,
) -> Greeks:
    """Value options on VIX, with Greeks against their own futures. Arguments as in `value`."""
    return bsm.greeks_forward(
        right=right, forward=futures_of(expiry, futures), strike=strike, t_years=t_years, discount=discount, vol=vol
    )


def tenor_share(t_years: ArrayLike) -> Floats:
    """How much of a move of 30-day volatility reaches a term of `t_years`: min(1, sqrt(30 / max(days, 30))). Source: trading rules, 28."""
    days = np.asarray(t_years, dtype=np.float64) * DAYS_PER_YEAR
    return np.asarray(np.minimum(1.0, np.sqrt(TENOR_DAYS / np.maximum(days, TENOR_DAYS))))


def shocked_futures(futures: ArrayLike, *, points: ArrayLike, t_years: ArrayLike) -> Floats:
    """Move futures by a shock of the index in points, damped by their terms; never below zero."""
    return np.asarray(np.maximum(np.asarray(futures, dtype=np.float64) + np.asarray(points, dtype=np.float64) * tenor_share(t_years), 0.0))
