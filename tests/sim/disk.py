"""The disk: writes that wait, fail, or end the process before, in the middle of, or after they are durable.

What a crash in the middle of a write leaves is decided here too: by the contract of the store none of it. A `torn` disk shows the next
start the beginning of such a write with its last row cut, as long as the journal was not rolled back: the desk must refuse to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from core.domain.events import Draft, Event
from core.errors import Unavailable
from core.ports import Delete, Put, Snapshot
from core.runtime import Runtime, SimLoop, SimProcess
from core.store.memory import Image, MemoryDisk, MemoryStore
from tests.sim.faults import Faults


class Disk:
    """The store's and the archive's fault hooks for one life of the desk. `durable` and `archived` hear of what is on disk."""

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
        archived: Callable[[Sequence[Put | Delete]], None],
        torn: Callable[[Sequence[Draft]], None],
        at_write: Callable[[], str],
    ) -> None:
        """`torn` hears what a crash in the middle was about to write. `at_write` names the crash that a test has planned for this write."""
        self._loop = loop
        self._faults = faults
        self._process = process
        self._runtime = runtime
        self._full = full
        self._step = step
        self._durable = durable
        self._archived = archived
        self._torn = torn
        self._at_write = at_write
        self._planned = ""

    async def before_append(self, drafts: Sequence[Draft]) -> None:
        self._step("append")
        self._planned = self._at_write()
        await self._trouble()
        if self._planned == "before" or self._faults.hits("crash_before_append"):
            await self._loop.die(self._process)
        if self._planned == "torn" or self._faults.hits("crash_in_append"):
            self._torn(drafts)
            await self._loop.die(self._process)

    async def after_append(self, events: Sequence[Event]) -> None:
        self._durable(events)
        if self._planned == "after" or self._faults.hits("crash_after_append"):
            await self._loop.die(self._process)

    async def before_write(self, operations: Sequence[Put | Delete]) -> None:
        self._step("archive write")
        self._planned = self._at_write()
        await self._trouble()
        if self._planned in ("before", "torn") or self._faults.hits("crash_before_append"):
            await self._loop.die(self._process)

    async def after_write(self, operations: Sequence[Put | Delete]) -> None:
        self._archived(operations)
        if self._planned == "after" or self._faults.hits("crash_after_append"):
            await self._loop.die(self._process)

    async def reading(self) -> None:
        """The log or a snapshot is about to be read at a start."""
        self._step("read")
        if self._faults.hits("crash_in_recovery"):
            await self._loop.die(self._process)

    async def _trouble(self) -> None:
        if self._faults.hits("slow_disk"):
            await self._runtime.sleep(self._faults.rng.choice((0.001, 0.05, 0.5, 2.0)))
        if self._full():
            raise Unavailable("storage", why="no space left on the disk")
        if self._faults.hits("refused_write"):
            raise Unavailable("storage", why="the disk refused the write")


class SimStore(MemoryStore):
    """The store of one life; what it reads at a start may be where that life ends."""

    def __init__(self, disk: MemoryDisk, *, hooks: Disk, clock: object) -> None:
        super().__init__(clock=clock, disk=disk, faults=hooks)  # type: ignore[arg-type]
        self._hooks = hooks

    async def read(self, *, after: int = 0, limit: int | None = None) -> tuple[Event, ...]:
        await self._hooks.reading()
        return await super().read(after=after, limit=limit)

    async def load_snapshot(self, name: str, *, code_version: str) -> Snapshot | None:
        await self._hooks.reading()
        return await super().load_snapshot(name, code_version=code_version)


def torn_tail(image: Image, drafts: Sequence[Draft], clock: object, rng: Random) -> Image | None:
    """The log as a crash in the middle of a write leaves it where nothing rolls it back: some rows, and the last one cut short."""
    scratch = MemoryDisk.from_image(image)
    MemoryStore(clock=clock, disk=scratch)._append(drafts, None, None)  # type: ignore[arg-type]
    fresh = scratch.rows[len(image.rows) :]
    if not fresh:
        return None  # everything in it had been written before
    kept = fresh[: rng.randint(1, len(fresh))]
    cut = kept[-1]._replace(body=kept[-1].body[: rng.randrange(len(kept[-1].body))])
    return replace(image, rows=(*image.rows, *kept[:-1], cut))


def damaged_snapshots(image: Image, rng: Random) -> Image:
    """Snapshots whose bytes did not all reach the disk."""
    damaged = tuple(replace(item, state=item.state[: rng.randrange(max(1, len(item.state)))]) for item in image.snapshots)
    return replace(image, snapshots=damaged)


def restore(disk: MemoryDisk, image: Image) -> None:
    """Make a disk hold exactly what was durable; whoever still has it open finds the same."""
    fresh = MemoryDisk.from_image(image)
    disk.rows, disk.snapshots, disk.dedupe = fresh.rows, fresh.snapshots, fresh.dedupe
    disk.token, disk.owner = image.token, image.owner
