"""The memory store's own part: faults at the edge of durability, and restarts from exactly what was durable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from core.clock import ManualClock
from core.domain.events import Draft, Event, NoteWritten
from core.errors import Unavailable
from core.ports import Delete, Put
from core.store.archive import MemoryArchive
from core.store.memory import MemoryStore

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


class Crash(Exception):
    """The simulated process ends."""


class CrashAt:
    """Crash before or after the n-th write, of the log or of the archive."""

    def __init__(self, *, before: int = 0, after: int = 0) -> None:
        self.left_before, self.left_after = before, after

    async def before_append(self, drafts: Sequence[Draft]) -> None:
        self.left_before -= 1
        if self.left_before == 0:
            raise Crash

    async def after_append(self, events: Sequence[Event]) -> None:
        self.left_after -= 1
        if self.left_after == 0:
            raise Crash

    async def before_write(self, operations: Sequence[Put | Delete]) -> None:
        await self.before_append(())

    async def after_write(self, operations: Sequence[Put | Delete]) -> None:
        await self.after_append(())


def note(text: str) -> Draft:
    return Draft(body=NoteWritten(text=text), stream="desk", at=NOW, actor="desk", dedupe=text)


@pytest.mark.parametrize(("faults", "kept"), [(CrashAt(before=2), ["a"]), (CrashAt(after=2), ["a", "b"])])
async def test_j1_append_when_crashed_around_a_write_then_image_has_exactly_what_was_durable(faults: CrashAt, kept: list[str]) -> None:
    store = MemoryStore(clock=ManualClock(NOW), faults=faults)
    token = await store.acquire_lease("desk")
    await store.append([note("a")], token=token)
    with pytest.raises(Crash):
        await store.append([note("b")], token=token)

    restarted = MemoryStore.from_image(store.durable_image(), clock=ManualClock(NOW))

    assert [event.dedupe for event in await restarted.read()] == kept
    assert await restarted.acquire_lease("desk again") == token + 1
    assert [event.dedupe for event in await restarted.append([note("a"), note("b"), note("c")])] == [
        key for key in ("a", "b", "c") if key not in kept
    ]


async def test_image_when_taken_then_later_appends_do_not_change_it() -> None:
    store = MemoryStore(clock=ManualClock(NOW))
    await store.append([note("a")])
    image = store.durable_image()
    restarted = MemoryStore.from_image(image, clock=ManualClock(NOW))

    await store.append([note("b")])
    await restarted.append([note("c")])

    assert [row.dedupe for row in image.rows] == ["a"]
    assert [event.dedupe for event in await store.read()] == ["a", "b"]


class FullDisk(CrashAt):
    full = True

    async def before_append(self, drafts: Sequence[Draft]) -> None:
        if self.full:
            raise Unavailable("storage", why="the disk is full")


async def test_h1_append_when_the_simulated_disk_is_full_then_nothing_is_written_and_it_recovers() -> None:
    disk = FullDisk()
    store = MemoryStore(clock=ManualClock(NOW), faults=disk)
    with pytest.raises(Unavailable):
        await store.append([note("a")])

    disk.full = False

    assert [event.seq for event in await store.append([note("a")])] == [1]


@pytest.mark.parametrize(("faults", "kept"), [(CrashAt(before=2), ["1"]), (CrashAt(after=2), ["1", "2"])])
async def test_j1_archive_when_crashed_around_a_write_then_image_has_exactly_what_was_durable(faults: CrashAt, kept: list[str]) -> None:
    archive = MemoryArchive(faults=faults)
    await archive.write([Put(table="paper", row={"kind": "fill", "key": "1", "body": "{}"})])
    with pytest.raises(Crash):
        await archive.write([Put(table="paper", row={"kind": "fill", "key": "2", "body": "{}"})])

    restarted = MemoryArchive.from_image(archive.durable_image())

    assert [row["key"] for row in await restarted.select("paper")] == kept
