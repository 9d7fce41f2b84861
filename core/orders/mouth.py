"""One request to a broker account at a time, at a pace below the broker's limit; a cancel goes before everything that waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.links.pacing import Lane, Pacing
from core.runtime import Runtime


class Mouth:
    """Turns at the wire. What waits for a token of the pace waits outside, so that a cancel never stands behind it."""

    def __init__(self, runtime: Runtime, pacing: Pacing) -> None:
        self._runtime = runtime
        self._pacing = pacing
        self._busy = False
        self._waiting: dict[Lane, deque[asyncio.Event]] = {lane: deque() for lane in Lane}

    @asynccontextmanager
    async def turn(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for the wire and hold it; cancels first, then orders, each in the order they came. Wait for the pace before."""
        await self._enter(lane)
        try:
            yield
        finally:
            self._leave()

    async def paced(self, lane: Lane) -> None:
        """Wait until a request of this kind may leave by the broker's pace: at once where the broker has none."""
        while (seconds := self._pacing.take(lane, self._runtime.seconds())) > 0:
            await self._runtime.sleep(seconds)

    def charge(self) -> None:
        """A further request leaves with one that has its turn: what follows waits the longer for it."""
        self._pacing.charge(self._runtime.seconds())

    def hold(self, seconds: float) -> None:
        """Nothing leaves for so long: the broker asked for it."""
        self._pacing.hold(seconds, self._runtime.seconds())

    async def _enter(self, lane: Lane) -> None:
        if not self._busy:
            self._busy = True
            return
        mine = self._runtime.event()
        self._waiting[lane].append(mine)
        try:
            await mine.wait()  # whoever leaves hands the wire on, still busy
        except BaseException:
            if mine.is_set():
                self._leave()
            else:
                self._waiting[lane].remove(mine)
            raise

    def _leave(self) -> None:
        for lane in Lane:
            if self._waiting[lane]:
                self._waiting[lane].popleft().set()
                return
        self._busy = False
