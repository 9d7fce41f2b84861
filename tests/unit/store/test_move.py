"""A log carried from place to place: everything is there afterwards, or nothing has changed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.clock import ManualClock
from core.domain.events import Draft, NoteWritten
from core.errors import Corrupt, DeskError, LeaseHeld, UserError
from core.ports import Put
from core.runtime import SystemRuntime
from core.store import move as moving
from core.store.move import contents_of, move
from core.store.place import Place, is_used, open_archive, open_log, place_named, place_of, read_archive, read_log
from tests import postgres_server

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
CLOCK = ManualClock(NOW)


def note(text: str) -> Draft:
    return Draft(body=NoteWritten(text=text), stream="desk", at=NOW, actor="person:owner", dedupe=f"note:{text}")


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """Makes new places by kind: "files" or "server"."""
    with contextlib.ExitStack() as stack:
        numbers = itertools.count()

        def new(kind: str) -> Place:
            if kind == "files":
                return Place(home=tmp_path / f"home {next(numbers)}" / "data")
            return Place(home=None, address=stack.enter_context(contextlib.contextmanager(postgres_server.new_schema)()))

        yield new


async def filled(place: Place, runtime: SystemRuntime, *, events: int = 7) -> Place:
    log = await open_log(place, clock=CLOCK, runtime=runtime)
    for _ in range(3):
        token = await log.acquire_lease("desk")
    await log.append([note(f"½ \0 {number}") for number in range(events)], token=token)
    await log.close()
    archive = await open_archive(place, clock=CLOCK, runtime=runtime)
    rows: list[dict[str, Any]] = [{"symbol": "A\0", "day": "1", "iv": 0.1}, {"symbol": "A", "day": "2", "iv": None}]
    await archive.write([*(Put(table="iv_history", row=row) for row in rows), Put(table="outbox", row={"key": "n", "attempts": 2**62})])
    await archive.close()
    return place


@pytest.fixture
async def machine() -> AsyncIterator[SystemRuntime]:
    made = SystemRuntime()
    yield made
    await made.aclose()


async def rows_at(place: Place, runtime: SystemRuntime) -> tuple[Any, Any]:
    log = await read_log(place, clock=CLOCK, runtime=runtime)
    archive = await read_archive(place, clock=CLOCK, runtime=runtime)
    try:
        return await log.rows(), await archive.everything()
    finally:
        await log.close()
        await archive.close()


@pytest.mark.parametrize(
    ("source", "target"), [("files", "server"), ("server", "files"), ("files", "files"), ("server", "server")]
)
async def test_move_when_the_target_is_empty_then_every_row_and_hash_is_there_and_the_log_goes_on(
    places: Callable[[str], Place], machine: SystemRuntime, source: str, target: str
) -> None:
    old, new = await filled(places(source), machine), places(target)
    before = await rows_at(old, machine)

    done = await move(old, new, clock=CLOCK, runtime=machine)

    assert await rows_at(new, machine) == before
    assert await rows_at(done.old, machine) == before
    assert not await is_used(old, clock=CLOCK, runtime=machine)
    assert (done.contents.head.seq, done.contents.rows["iv_history"]) == (7, 2)
    log = await open_log(new, clock=CLOCK, runtime=machine)
    token = await log.acquire_lease("desk")
    assert token > 3
    assert await log.append([note("½ \0 1")], token=token) == ()
    assert [event.seq for event in await log.append([note("next")], token=token)] == [8]
    await log.close()


@pytest.mark.parametrize("target", ["files", "server"])
async def test_move_when_the_target_holds_anything_then_refused_and_both_stay(
    places: Callable[[str], Place], machine: SystemRuntime, target: str
) -> None:
    old, new = await filled(places("files"), machine), await filled(places(target), machine, events=2)
    before = await rows_at(old, machine), await rows_at(new, machine)

    with pytest.raises(UserError, match="already holds"):
        await move(old, new, clock=CLOCK, runtime=machine)

    assert (await rows_at(old, machine), await rows_at(new, machine)) == before


@pytest.mark.parametrize("kind", ["files", "server"])
async def test_h8_move_when_a_desk_runs_on_the_source_then_refused(
    places: Callable[[str], Place], machine: SystemRuntime, kind: str
) -> None:
    old, new = await filled(places(kind), machine), places("files")
    running = await open_log(old, clock=CLOCK, runtime=machine)

    with pytest.raises(LeaseHeld):
        await move(old, new, clock=CLOCK, runtime=machine)

    assert not await is_used(new, clock=CLOCK, runtime=machine)
    await running.close()


@pytest.mark.parametrize("target", ["files", "server"])
async def test_move_when_it_breaks_off_then_the_target_is_empty_and_the_next_attempt_is_whole(
    places: Callable[[str], Place], machine: SystemRuntime, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    old, new = await filled(places("files"), machine, events=30), places(target)
    monkeypatch.setattr(moving, "BATCH", 10)
    whole = moving._fill

    async def breaks(*arguments: Any) -> None:
        raise Corrupt("the disk went away")

    monkeypatch.setattr(moving, "_fill", breaks)
    with pytest.raises(Corrupt, match="went away"):
        await move(old, new, clock=CLOCK, runtime=machine)
    assert not await is_used(new, clock=CLOCK, runtime=machine)
    assert await is_used(old, clock=CLOCK, runtime=machine)

    monkeypatch.setattr(moving, "_fill", whole)
    assert (await move(old, new, clock=CLOCK, runtime=machine)).contents.head.seq == 30


@pytest.mark.parametrize("target", ["files", "server"])
async def test_move_when_what_arrives_differs_then_found_and_not_put_in_place(
    places: Callable[[str], Place], machine: SystemRuntime, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    old, new = await filled(places("files"), machine), places(target)

    async def loses_rows(*arguments: Any) -> None:
        return None

    monkeypatch.setattr(moving, "_fill", loses_rows)

    with pytest.raises(Corrupt, match="does not read back the same"):
        await move(old, new, clock=CLOCK, runtime=machine)

    assert not await is_used(new, clock=CLOCK, runtime=machine)


async def test_h5_move_when_the_source_is_damaged_then_refused(places: Callable[[str], Place], machine: SystemRuntime) -> None:
    import sqlite3

    old, new = await filled(places("files"), machine), places("files")
    with contextlib.closing(sqlite3.connect(old.files / "desk.db")) as connection, connection:
        connection.execute("DROP TRIGGER event_is_not_changed")
        connection.execute("UPDATE event SET actor = 'somebody' WHERE seq = 4")

    with pytest.raises(Corrupt, match="event 4"):
        await move(old, new, clock=CLOCK, runtime=machine)

    assert not await is_used(new, clock=CLOCK, runtime=machine)


async def test_move_when_there_is_nothing_or_the_places_are_one_then_told(
    places: Callable[[str], Place], machine: SystemRuntime
) -> None:
    place = places("files")
    with pytest.raises(UserError, match="no log"):
        await move(place, places("files"), clock=CLOCK, runtime=machine)
    assert not await is_used(place, clock=CLOCK, runtime=machine)
    await filled(place, machine)
    with pytest.raises(UserError, match="where it is"):
        await move(place, place_named(str(place.home)), clock=CLOCK, runtime=machine)


async def test_home_when_its_log_was_moved_away_then_no_empty_one_is_begun_there(
    places: Callable[[str], Place], machine: SystemRuntime
) -> None:
    old = await filled(places("files"), machine)
    await move(old, places("files"), clock=CLOCK, runtime=machine)

    with pytest.raises(UserError, match="is elsewhere"):
        place_of(old.files, None)
    with pytest.raises(DeskError, match="is missing"):
        await open_log(old, clock=CLOCK, runtime=machine)
    assert not await is_used(old, clock=CLOCK, runtime=machine)


async def test_contents_when_any_row_differs_then_the_figures_differ(places: Callable[[str], Place], machine: SystemRuntime) -> None:
    one, other = await filled(places("files"), machine), await filled(places("files"), machine)
    archive = await open_archive(other, clock=CLOCK, runtime=machine)
    await archive.write([Put(table="iv_history", row={"symbol": "A", "day": "2", "iv": 0.0})])
    await archive.close()

    here, there = [await contents_of(place, clock=CLOCK, runtime=machine) for place in (one, other)]

    assert (here.head, here.state, here.rows) == (there.head, there.state, there.rows)
    assert here.tables != there.tables
