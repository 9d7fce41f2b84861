"""What put-call parity of a European chain implies about rates."""

from __future__ import annotations

import math
from datetime import date

from core.domain.calendar import CalendarError, settlement_at, years_to
from core.domain.instruments import InstrumentError, series_of
from core.market.chain import Chain
from core.pricing.implied import forward_discount

_SHORTEST_YEARS = 0.05  # below, the bid-ask spread drowns the discount
_PLAUSIBLE = (-0.02, 0.20)
_TRIES = 5


def parity_rate(chain: Chain, days: int) -> float | None:
    """The continuously compounded rate implied at the expiry nearest to `days`, None where no expiry gives a plausible one."""
    candidates = []
    pairs = {(int(ordinal), str(root)) for ordinal, root in zip(chain.expiry, chain.root, strict=True)}
    for ordinal, root in pairs:
        try:
            spec = series_of(root)
            t_years = years_to(settlement_at(spec, date.fromordinal(ordinal)), chain.at)
        except (InstrumentError, CalendarError):
            continue  # a series the calendar does not know says nothing about time
        if t_years >= _SHORTEST_YEARS:
            candidates.append((abs(t_years * 365 - days), ordinal, root, t_years))
    for _, ordinal, root, t_years in sorted(candidates)[:_TRIES]:
        strikes, calls, puts = chain.pairs(expiry=date.fromordinal(ordinal), root=root)
        found = forward_discount(strike=strikes, call_mid=calls, put_mid=puts)
        if found is not None and _PLAUSIBLE[0] <= -math.log(found[1]) / t_years <= _PLAUSIBLE[1]:
            return -math.log(found[1]) / t_years
    return None
