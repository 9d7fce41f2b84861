"""What every event store promises, over each store there is. Numbers in names are rows of the failure catalogue."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from core.clock import ManualClock
from core.domain.encoding import EncodingError
from core.domain.events import Draft, NoteWritten, OrderAcknowledged
from core.errors import Conflict, LeaseHeld, LeaseLost, Unavailable, UserError
from core.ports import Snapshot, Store
from core.runtime import SystemRuntime
from core.store.codec import GENESIS
from core.store.memory import MemoryDisk, MemoryStore
from core.store.postgres.address import Address
from core.store.postgres.log import PostgresStore
from core.store.sqlite import SqliteStore
from tests import postgres_server

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def note(text: str, dedupe: str | None = None) -> Draft:
    return Draft(body=NoteWritten(text=text), stream="desk", at=NOW, actor="person:owner", dedupe=dedupe)


def notes(count: int) -> list[Draft]:
    return [note(f"note {number}", f"note:{number}") for number in range(1, count + 1)]


class Place(Protocol):
    """Somewhere a store can be opened, closed and opened again."""

    async def open(self) -> Store:
        """Open the one store that may write here."""

    async def take_over(self) -> Store:
        """Open a second store while the first still runs, as after a lost lock."""


@dataclass
class MemoryPlace:
    disk: MemoryDisk = field(default_factory=MemoryDisk)

    async def open(self) -> Store:
        return MemoryStore(clock=ManualClock(NOW), disk=self.disk)

    async def take_over(self) -> Store:
        self.disk.break_lock()
        return await self.open()


@dataclass
class SqlitePlace:
    path: Path
    runtime: SystemRuntime = field(default_factory=SystemRuntime)
    opened: list[SqliteStore] = field(default_factory=list)

    async def open(self) -> SqliteStore:
        worker = self.runtime.worker(f"store {len(self.opened)} {self.runtime.entropy.nonce()}")
        store = await SqliteStore.open(self.path, clock=ManualClock(NOW), worker=worker)
        self.opened.append(store)
        return store

    async def take_over(self) -> SqliteStore:
        self.path.with_name(self.path.name + ".lock").unlink()
        return await self.open()

    async def aclose(self) -> None:
        for store in self.opened:
            await store.close()
        await self.runtime.aclose()


@dataclass
class PostgresPlace:
    address: Address
    runtime: SystemRuntime = field(default_factory=SystemRuntime)
    opened: list[PostgresStore] = field(default_factory=list)

    async def open(self) -> PostgresStore:
        store = await PostgresStore.open(self.address, clock=ManualClock(NOW), runtime=self.runtime, patience_seconds=0.2)
        self.opened.append(store)
        return store

    async def take_over(self) -> PostgresStore:
        postgres_server.break_connections(self.address)
        return await self.open()

    async def aclose(self) -> None:
        for store in self.opened:
            await store.close()
        await self.runtime.aclose()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "memory":
        yield MemoryPlace()
        return
    if request.param == "postgres":
        with contextlib.contextmanager(postgres_server.new_schema)() as address:
            server = PostgresPlace(address)
            try:
                yield server
            finally:
                await server.aclose()
        return
    made = SqlitePlace(tmp_path / "data" / "desk.db")
    yield made
    await made.aclose()


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[SqlitePlace]:
    made = SqlitePlace(tmp_path / "data" / "desk.db")
    yield made
    await made.aclose()


# --- every store ---------------------------------------------------------------------------------------------------------


async def test_append_when_reopened_then_every_event_is_there(place: Place) -> None:
    store = await place.open()
    written = await store.append(notes(5))
    await store.close()

    reopened = await place.open()

    assert await reopened.read() == written
    assert [event.body for event in written] == [draft.body for draft in notes(5)]
    assert {event.recorded_at for event in written} == {NOW}
    assert await reopened.last_seq() == 5


async def test_append_when_called_repeatedly_then_numbers_have_no_gap_and_hashes_differ(place: Place) -> None:
    store = await place.open()

    for batch in (notes(3), notes(7)[3:], []):
        await store.append(batch)

    events = await store.read()
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert len({GENESIS, *(event.hash for event in events)}) == 8


async def test_read_when_given_a_window_then_returns_that_part(place: Place) -> None:
    store = await place.open()
    await store.append(notes(6))

    assert [event.seq for event in await store.read(after=2, limit=3)] == [3, 4, 5]
    assert [event.seq for event in await store.read(after=4)] == [5, 6]
    assert await store.read(after=6) == ()
    assert await store.read(after=600) == ()
    assert await store.read(limit=0) == ()


async def test_append_when_expected_seq_is_stale_then_conflict_and_nothing_is_written(place: Place) -> None:
    store = await place.open()
    await store.append(notes(2), expected_seq=0)

    with pytest.raises(Conflict) as raised:
        await store.append([note("late")], expected_seq=1)

    assert (raised.value.expected_seq, raised.value.actual_seq) == (1, 2)
    assert await store.last_seq() == 2


async def test_append_when_dedupe_key_is_known_then_left_out(place: Place) -> None:
    store = await place.open()
    await store.append([note("first", "k1")])

    written = await store.append([note("again", "k1"), note("new", "k2"), note("twice in one call", "k2"), note("free"), note("free")])

    assert [event.body for event in written] == [NoteWritten(text="new"), NoteWritten(text="free"), NoteWritten(text="free")]
    assert await store.append([note("again", "k1")]) == ()
    assert await store.last_seq() == 4


async def test_append_when_dedupe_key_was_stored_before_a_restart_then_left_out(place: Place) -> None:
    store = await place.open()
    await store.append([note("first", "k1")])
    await store.close()

    reopened = await place.open()

    assert await reopened.append([note("again", "k1")]) == ()


async def test_append_when_one_draft_cannot_be_stored_then_none_is(place: Place) -> None:
    store = await place.open()
    wrong_amount = OrderAcknowledged(client_id="C-1", broker_ref="B-1", limit=1.25)  # type: ignore[arg-type]  # the mistake under test

    with pytest.raises(EncodingError, match="would not read back"):
        await store.append([note("good"), replace(note("bad"), body=wrong_amount)])
    with pytest.raises(EncodingError):
        await store.append([note("good"), note("no Unicode \ud800", "\ud800")])

    assert await store.last_seq() == 0
    assert [event.seq for event in await store.append([note("good")])] == [1]


async def test_h8_append_when_another_took_the_lease_then_lease_lost_and_nothing_written(place: Place) -> None:
    old = await place.open()
    old_token = await old.acquire_lease("old")
    await old.append([note("mine")], token=old_token)

    new = await place.take_over()
    new_token = await new.acquire_lease("new")

    assert new_token > old_token
    with pytest.raises(LeaseLost):
        await old.append([note("paused process")], token=old_token)
    assert [event.seq for event in await new.append([note("owner")], token=new_token)] == [2]
    assert await old.lease_token() == new_token


async def test_h8_open_when_a_live_owner_exists_then_lease_held(place: Place) -> None:
    first = await place.open()
    await first.acquire_lease("the first desk")

    with pytest.raises(LeaseHeld) as raised:
        await (await place.open()).acquire_lease("the second desk")

    assert "in use by" in str(raised.value)


async def test_lease_when_released_then_its_token_is_no_longer_valid(place: Place) -> None:
    store = await place.open()
    token = await store.acquire_lease("desk")
    await store.release_lease(token + 1)
    assert await store.lease_token() == token

    await store.release_lease(token)

    assert await store.lease_token() == 0
    with pytest.raises(LeaseLost):
        await store.append([note("late")], token=token)
    with pytest.raises(LeaseLost):
        await store.append([note("nobody's")], token=0)
    assert await store.acquire_lease("desk") == token + 1


async def test_lease_when_store_is_reopened_then_token_is_greater_than_every_earlier_one(place: Place) -> None:
    tokens = []
    for _ in range(3):
        store = await place.open()
        tokens.append(await store.acquire_lease("desk"))
        await store.close()

    assert tokens == sorted(set(tokens))


async def snapshot_of(store: Store, *, seq: int, state: bytes = b"state") -> Snapshot:
    events = await store.read()
    return Snapshot(name="book", seq=seq, hash=events[seq - 1].hash if seq else GENESIS, code_version="v1", state=state)


async def test_snapshot_when_it_fits_the_log_then_loaded_after_reopening(place: Place) -> None:
    store = await place.open()
    await store.append(notes(4))
    saved = await snapshot_of(store, seq=3)
    await store.save_snapshot(await snapshot_of(store, seq=2))
    await store.save_snapshot(saved)
    await store.save_snapshot(await snapshot_of(store, seq=1))  # an older one that finished late does not win
    await store.close()

    reopened = await place.open()

    assert await reopened.load_snapshot("book", code_version="v1") == saved
    assert await reopened.load_snapshot("other", code_version="v1") is None


async def test_snapshot_when_hash_or_code_version_differ_then_not_loaded(place: Place) -> None:
    store = await place.open()
    await store.append(notes(4))
    good = await snapshot_of(store, seq=3)

    for wrong in (replace(good, hash="0" * 64), replace(good, seq=2), replace(good, seq=9), replace(good, code_version="v0")):
        await store.save_snapshot(wrong)
        assert await store.load_snapshot("book", code_version="v1") is None

    await store.save_snapshot(good)
    assert await store.load_snapshot("book", code_version="v1") == good


async def test_h9_snapshot_when_it_adds_to_the_one_before_then_loaded_as_one(place: Place) -> None:
    store = await place.open()
    await store.append(notes(6))
    first, second = await snapshot_of(store, seq=2, state=b"two"), await snapshot_of(store, seq=4, state=b"four")
    await store.save_snapshot(replace(first, parts={"a#0": b"old", "b#0": b"\0stays"}))
    for _ in range(2):  # a repetition, because the answer was lost, changes nothing
        await store.save_snapshot(replace(second, parts={"a#0": b"new", "a#1": b"more"}, after=2))
    await store.close()

    reopened = await place.open()

    whole = replace(second, parts={"a#0": b"new", "a#1": b"more", "b#0": b"\0stays"})
    assert await reopened.load_snapshot("book", code_version="v1") == whole
    await reopened.save_snapshot(replace(await snapshot_of(reopened, seq=5), parts={"c#0": b"all"}))
    complete = await reopened.load_snapshot("book", code_version="v1")
    assert complete is not None
    assert complete.parts == {"c#0": b"all"}


async def test_h9_snapshot_when_it_adds_to_another_than_the_stored_then_conflict_and_nothing_changes(place: Place) -> None:
    store = await place.open()
    await store.append(notes(6))
    stored = replace(await snapshot_of(store, seq=3), parts={"a#0": b"a"})
    later = replace(await snapshot_of(store, seq=5), parts={"a#1": b"b"})
    with pytest.raises(Conflict):
        await store.save_snapshot(replace(later, after=3))
    await store.save_snapshot(stored)

    for wrong in (replace(later, after=2), replace(later, after=3, code_version="v0")):
        with pytest.raises(Conflict):
            await store.save_snapshot(wrong)

    assert await store.load_snapshot("book", code_version="v1") == stored


async def test_store_when_closed_then_unavailable_and_a_second_close_is_harmless(place: Place) -> None:
    store = await place.open()
    await store.close()
    await store.close()

    with pytest.raises(Unavailable):
        await store.append([note("late")])
    with pytest.raises(Unavailable):
        await store.last_seq()


# --- the file: who may have it -------------------------------------------------------------------------------------------


async def test_k6_file_when_created_then_only_its_user_can_read_it(files: SqlitePlace) -> None:
    store = await files.open()
    await store.append(notes(1))

    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in files.path.parent.iterdir()}

    assert set(modes.values()) == {"0o600"}
    assert {"desk.db", "desk.db-wal", "desk.db.lock"} <= set(modes)
    assert files.path.parent.stat().st_mode & 0o777 == 0o700


async def test_k6_open_when_others_could_read_or_replace_it_then_refused_with_the_remedy(files: SqlitePlace) -> None:
    await (await files.open()).close()
    files.path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        await files.open()

    files.path.chmod(0o600)
    files.path.parent.chmod(0o777)
    with pytest.raises(UserError, match="chmod 700"):
        await files.open()
