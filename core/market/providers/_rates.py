"""The riskless rate of a recording: from its yield curves, or as put-call parity of a European chain implies it."""

from __future__ import annotations

import math
from datetime import date

import numpy as np

from core.domain.calendar import CalendarError, settlement_at, years_to
from core.domain.instruments import Exercise, InstrumentError, series_of
from core.market.chain import Chain
from core.market.providers._compact import Arrays
from core.pricing.implied import forward_discount

# Under a month the bid-ask spread drowns the discount; beyond a year quotes are too wide. In between the median is good to 0.3 %.
_TERM_YEARS = (20 / 365, 400 / 365)


_CURVE_DAYS = 10  # a yield curve older than this is not used


def curve_rate(curves: Arrays, *, today: date, days: int) -> float | None:
    """The continuously compounded rate for a term in days, from the last curve of an earlier day; None without a recent one.

    A day's curve is published after its close. Yields are bond-equivalent: compounded twice a year.
    """
    if not curves:
        return None
    place = int(np.searchsorted(curves["day"], today.toordinal())) - 1
    if place < 0 or today.toordinal() - int(curves["day"][place]) > _CURVE_DAYS:
        return None
    yields = curves["yield"][place]
    known = np.flatnonzero(np.isfinite(yields))
    if not len(known):
        return None
    known = known[np.argsort(curves["term"][known])]
    yearly = float(np.interp(days, curves["term"][known], yields[known]))
    return 2 * math.log1p(yearly / 2)


def parity_rate(chain: Chain) -> float | None:
    """The continuously compounded rate, the median over the chain's expiries of one to twelve months; None where none implies one."""
    found = []
    ordinals, roots = np.unique(chain.expiry), sorted(set(chain.root))
    for expiry in (date.fromordinal(int(ordinal)) for ordinal in ordinals):
        for root in roots:
            t_years = _years(root, expiry, chain)
            if not _TERM_YEARS[0] <= t_years <= _TERM_YEARS[1]:
                continue
            strikes, calls, puts = chain.pairs(expiry=expiry, root=root)
            parity = forward_discount(strike=strikes, call_mid=calls, put_mid=puts)
            if parity is not None:
                found.append(-math.log(parity[1]) / t_years)
    return float(np.median(found)) if found else None


def _years(root: str, expiry: date, chain: Chain) -> float:
    """Time to settlement; 0 for American series, which parity does not hold for, and for what the calendar does not know."""
    try:
        spec = series_of(root)
        return years_to(settlement_at(spec, expiry), chain.at) if spec.exercise is Exercise.EUROPEAN else 0.0
    except (InstrumentError, CalendarError):
        return 0.0
