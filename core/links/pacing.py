"""A pace below the broker's own limit, with tokens kept back for cancels. Pure: whoever asks says what time it is.

Tokens come back evenly; a read leaves those alone that are kept for orders and cancels, an order those kept for cancels. The burst and
what comes back within a minute together stay below the share of the broker's limit, whatever minute one looks at.

Worked example: a broker takes 200 requests a minute, the share is 0.8: a burst of 40, and 2 a second come back. 10 of the 40 are
kept for cancels, 10 more for orders, so that 20 reads, 10 orders and 10 cancels may leave at once.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum

BURST_SHARE = 0.25  # of what may leave in a minute, at once
RESERVED_SHARE = 0.25  # of the burst: for cancels, and as much again for orders
SMALLEST_BURST = 4  # one cancel, one order and two reads
SLOWEST_PER_MINUTE = 2 * SMALLEST_BURST


class Lane(IntEnum):
    """What a request is for; a lower one may take what is kept back from a higher one."""

    CANCEL = 0
    ORDER = 1
    READ = 2


class Pacing:
    """A token bucket with reserved tokens, and a stop that the broker itself may ask for; no limit where `per_minute` is None."""

    def __init__(self, *, per_minute: Decimal | None, now_seconds: float) -> None:
        self._held_until_seconds = now_seconds
        self._limited = per_minute is not None
        if per_minute is None:
            return
        if per_minute < SLOWEST_PER_MINUTE:
            raise ValueError(f"a pace of {per_minute} requests a minute leaves none to keep back; it is at least {SLOWEST_PER_MINUTE}")
        self.burst = max(SMALLEST_BURST, int(float(per_minute) * BURST_SHARE))
        self.per_second = (float(per_minute) - self.burst) / 60
        self._reserved = max(1, int(self.burst * RESERVED_SHARE))
        self._tokens = float(self.burst)
        self._counted_seconds = now_seconds

    def take(self, lane: Lane, now_seconds: float) -> float:
        """Take a token and return 0, or take none and return the seconds after which to ask again."""
        if now_seconds < self._held_until_seconds:
            return self._held_until_seconds - now_seconds
        if not self._limited:
            return 0.0
        self._come_back(now_seconds)
        missing = 1 + lane * self._reserved - self._tokens
        if missing > 0:
            return missing / self.per_second
        self._tokens -= 1
        return 0.0

    def charge(self, now_seconds: float) -> None:
        """Take a token that may not be there: the debt is paid by whoever asks next."""
        if self._limited:
            self._come_back(now_seconds)
            self._tokens -= 1

    def hold(self, seconds: float, now_seconds: float) -> None:
        """Let nothing leave for some seconds: the broker said how long."""
        self._held_until_seconds = max(self._held_until_seconds, now_seconds + seconds)

    def _come_back(self, now_seconds: float) -> None:
        gone_seconds = max(0.0, now_seconds - self._counted_seconds)
        self._tokens = min(float(self.burst), self._tokens + gone_seconds * self.per_second)
        self._counted_seconds = max(self._counted_seconds, now_seconds)
