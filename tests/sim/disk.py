"""The disk: writes that wait, fail, or end the process, before or after they are durable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.domain.events import Draft, Event
from core.errors import Unavailable
from core.ports import Delete, Put
from core.runtime import Runtime, SimLoop, SimProcess
from tests.sim.faults import Faults


class Disk:
    """The store's and the archive's fault hooks for one life of the desk. `durable` hears of every append once it is on disk."""

    def __init__(
        self,
        loop: SimLoop,
        faults: Faults,
        *,
        process: SimProcess,
        runtime: Runtime,
        full: Callable[[], bool],
        step: Callable[[str], None],
        durable: Callable[[Sequence[Event]], None],
    ) -> None:
        self._loop = loop
        self._faults = faults
        self._process = process
        self._runtime = runtime
        self._full = full
        self._step = step
        self._durable = durable

    async def before_append(self, drafts: Sequence[Draft]) -> None:
        self._step("append")
        await self._trouble()
        if self._faults.hits("crash_before_append"):
            await self._loop.die(self._process)

    async def after_append(self, events: Sequence[Event]) -> None:
        self._durable(events)
        if self._faults.hits("crash_after_append"):
            await self._loop.die(self._process)

    async def before_write(self, operations: Sequence[Put | Delete]) -> None:
        self._step("archive write")
        await self._trouble()
        if self._faults.hits("crash_before_append"):
            await self._loop.die(self._process)

    async def after_write(self, operations: Sequence[Put | Delete]) -> None:
        if self._faults.hits("crash_after_append"):
            await self._loop.die(self._process)

    async def _trouble(self) -> None:
        if self._faults.hits("slow_disk"):
            await self._runtime.sleep(self._faults.rng.choice((0.001, 0.05, 0.5, 2.0)))
        if self._full():
            raise Unavailable("storage", why="no space left on the disk")
        if self._faults.hits("refused_write"):
            raise Unavailable("storage", why="the disk refused the write")
