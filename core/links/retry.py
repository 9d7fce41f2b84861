"""When a broken connection is tried again: growing pauses with jitter, a budget, and a breaker. Pure: time and chance come from the caller.

The pause doubles from the first to the longest, each stretched or shortened by chance, so that many who lost the same peer do not come
back at the same moment. After some failures in a row the breaker is open: single probes at the longest pause decide when it closes. A
budget bounds all tries, whatever asked for them: 20 at once, and one more for every 30 seconds.
"""

from __future__ import annotations

from collections.abc import Callable

SPREAD = 0.25  # a pause is between 75% and 125% of its length


class Retry:
    """The tries of one connection."""

    def __init__(
        self, *, chance: Callable[[], float], first_seconds: float = 2.0, longest_seconds: float = 60.0, trips: int = 6, budget: int = 20,
        refill_seconds: float = 30.0,
    ) -> None:
        """`chance` draws a number in [0, 1)."""
        self._chance = chance
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._trips = trips
        self._budget = budget
        self._refill_seconds = refill_seconds
        self._left = float(budget)
        self._counted_seconds = 0.0
        self._due_seconds = 0.0
        self.failures = 0

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open: so many failures in a row that only single probes go out."""
        return self.failures >= self._trips

    def wait_seconds(self, now_seconds: float) -> float:
        """How long until the next try may leave; 0 where it may now."""
        self._refill(now_seconds)
        return max(0.0, self._due_seconds - now_seconds, (1 - self._left) * self._refill_seconds)

    def tried(self, now_seconds: float) -> None:
        """A try leaves."""
        self._refill(now_seconds)
        self._left -= 1

    def failed(self, now_seconds: float, *, at_least_seconds: float = 0.0) -> float:
        """A try failed; returns the pause until the next. `at_least_seconds` is what the peer asked for."""
        longest = self.is_open or self._first_seconds * 2**self.failures >= self._longest_seconds
        pause = self._longest_seconds if longest else self._first_seconds * 2**self.failures
        self.failures += 1
        self._due_seconds = now_seconds + max(at_least_seconds, pause * (1 - SPREAD + 2 * SPREAD * self._chance()))
        return self.wait_seconds(now_seconds)

    def succeeded(self) -> None:
        """A try worked: the next failure begins with the shortest pause again."""
        self.failures, self._due_seconds = 0, 0.0

    def _refill(self, now_seconds: float) -> None:
        gone_seconds = max(0.0, now_seconds - self._counted_seconds)
        self._left = min(float(self._budget), self._left + gone_seconds / self._refill_seconds)
        self._counted_seconds = max(self._counted_seconds, now_seconds)
