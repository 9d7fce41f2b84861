"""The event log beside a plain list: whatever is appended, refused, fenced off, cut by a crash, kept or taken over, they agree."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from core.domain.encoding import EncodingError
from core.domain.events import Draft, Event, OrderAcknowledged
from core.errors import Conflict, LeaseHeld, LeaseLost
from core.ports import Snapshot, Store
from core.store.codec import GENESIS
from core.store.memory import MemoryDisk, MemoryStore
from tests import postgres_server
from tests.contracts.test_store import MemoryPlace, PostgresPlace, SqlitePlace, note

T = TypeVar("T")
TEXTS = st.sampled_from(("a", "b", "line\nbreak", "\u2013 \U0001f4c8", ""))
DRAFTS = st.lists(st.tuples(TEXTS, st.none() | st.sampled_from([f"k{number}" for number in range(6)])), max_size=4)
PARTS = st.dictionaries(st.sampled_from(("a#0", "a#1", "b#0")), st.binary(max_size=3), max_size=3)
NAMES, VERSIONS = st.sampled_from(("desk", "other")), st.sampled_from(("v1", "v1", "v1", "v2"))


def drafts_of(items: Sequence[tuple[str, str | None]]) -> list[Draft]:
    return [note(text, key) for text, key in items]


class Memory(MemoryPlace):
    """A disk of which only what is durable outlives a crash."""

    async def die(self, store: MemoryStore, drafts: Sequence[Draft], *, durable: bool) -> Store:
        before = store.durable_image()
        await store.append(drafts)
        self.disk = MemoryDisk.from_image(store.durable_image() if durable else before)
        return await self.open()

    async def aclose(self) -> None:
        """Nothing is left open."""


class Sqlite(SqlitePlace):
    """A directory; a crash leaves what its files hold at that instant."""

    async def die(self, store: Any, drafts: Sequence[Draft], *, durable: bool) -> Store:
        left = self.path.parent.with_name(f"{self.path.parent.name}+")
        insert = store._insert

        def inserted(rows: Sequence[Any]) -> None:
            insert(rows)
            self._copy(left)

        if durable:
            await store.append(drafts)
            self._copy(left)
        else:
            store._insert = inserted  # the files as they are when all is written and nothing committed
            await store.append(drafts)
        await store.close()
        self.path = left / self.path.name
        return await self.open()

    def _copy(self, left: Path) -> None:
        shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(self.path.parent, left, ignore=shutil.ignore_patterns("*-shm"))


class Postgres(PostgresPlace):
    """A schema; a crash breaks the session before the append, or when it was stored."""

    async def die(self, store: Store, drafts: Sequence[Draft], *, durable: bool) -> Store:
        if durable:
            await store.append(drafts)
        return await self.take_over()


class Log(RuleBasedStateMachine):
    """One owner, stores that were taken over from, and a list of what must be there."""

    def __init__(self, place: Memory | Sqlite | Postgres) -> None:
        super().__init__()
        self.place = place
        self.loop = asyncio.new_event_loop()
        self.events: list[Event] = []
        self.tokens = [0]
        self.lease = 0  # the token this opening holds
        self.old: list[tuple[Store, int]] = []
        self.snapshots: dict[str, Snapshot] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def open(self) -> None:
        self.store: Store = self.run(self.place.open())

    # --- appending -----------------------------------------------------------------------------------------------------

    @rule(items=DRAFTS, expected=st.sampled_from((None, None, 0, 0, -1, 1)), fenced=st.booleans())
    def append(self, items: Sequence[tuple[str, str | None]], expected: int | None, fenced: bool) -> None:
        end, token = len(self.events), self.lease if fenced and self.lease else None
        asked = self.store.append(drafts_of(items), expected_seq=None if expected is None else end + expected, token=token)
        if expected:
            with pytest.raises(Conflict) as raised:
                self.run(asked)
            assert (raised.value.expected_seq, raised.value.actual_seq) == (end + expected, end)
        else:
            self._stored(items, self.run(asked))

    @rule(items=DRAFTS, by=st.sampled_from((-1, 1, 7)), right=st.booleans())
    def append_under_another_token(self, items: Sequence[tuple[str, str | None]], by: int, right: bool) -> None:
        with pytest.raises(LeaseLost):
            self.run(self.store.append(drafts_of(items), expected_seq=len(self.events) if right else None, token=self.tokens[-1] + by))

    @rule(items=DRAFTS)
    def append_what_cannot_be_stored(self, items: Sequence[tuple[str, str | None]]) -> None:
        wrong = OrderAcknowledged(client_id="C-1", broker_ref="B-1", limit=1.25)  # type: ignore[arg-type]  # the mistake under test
        with pytest.raises(EncodingError):
            self.run(self.store.append([*drafts_of(items), replace(note("bad"), body=wrong)]))

    @rule(items=DRAFTS, durable=st.booleans())
    def die_in_an_append(self, items: Sequence[tuple[str, str | None]], durable: bool) -> None:
        if not items or not self._new(items):
            durable = True
        self.store = self.run(self.place.die(self.store, drafts_of(items), durable=durable))  # type: ignore[arg-type]  # its own kind
        self.old, self.lease = [], 0
        if durable:
            self._stored(items, self.run(self.store.read(after=len(self.events))))

    def _new(self, items: Sequence[tuple[str, str | None]]) -> list[str]:
        known, new = {event.dedupe for event in self.events}, []
        for text, key in items:
            if key is None or key not in known:
                new.append(text)
                known.add(key)
        return new

    def _stored(self, items: Sequence[tuple[str, str | None]], written: tuple[Event, ...]) -> None:
        assert [getattr(event.body, "text", None) for event in written] == self._new(items)
        assert [event.seq for event in written] == list(range(len(self.events) + 1, len(self.events) + 1 + len(written)))
        self.events += written
        assert len({GENESIS, *(event.hash for event in self.events)}) == len(self.events) + 1

    # --- reading -------------------------------------------------------------------------------------------------------

    @rule(after=st.integers(-1, 12), limit=st.none() | st.integers(0, 5))
    def read(self, after: int, limit: int | None) -> None:
        rest = [event for event in self.events if event.seq > after]
        assert list(self.run(self.store.read(after=after, limit=limit))) == rest[:limit]

    @invariant()
    def the_end_is_the_same(self) -> None:
        assert self.run(self.store.last_seq()) == len(self.events)

    # --- owning --------------------------------------------------------------------------------------------------------

    @rule()
    def acquire(self) -> None:
        self.lease = self.run(self.store.acquire_lease("desk"))
        assert self.lease > max(self.tokens)
        self.tokens.append(self.lease)
        assert self.run(self.store.lease_token()) == self.lease

    @precondition(lambda self: self.lease)
    @rule(right=st.booleans())
    def release(self, right: bool) -> None:
        self.run(self.store.release_lease(self.lease if right else self.lease + 1))
        assert self.run(self.store.lease_token()) == (0 if right else self.lease)
        self.lease = 0 if right else self.lease

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.open()
        self.lease = 0

    @precondition(lambda self: self.lease)
    @rule()
    def another_cannot_own_it(self) -> None:
        async def second() -> None:
            await (await self.place.open()).acquire_lease("second")

        with pytest.raises(LeaseHeld):
            self.run(second())

    @precondition(lambda self: self.lease)
    @rule()
    def take_over(self) -> None:
        self.old.append((self.store, self.lease))
        self.store = self.run(self.place.take_over())
        self.acquire()

    @precondition(lambda self: self.old)
    @rule(data=st.data(), items=DRAFTS)
    def the_one_before_goes_on(self, data: st.DataObject, items: Sequence[tuple[str, str | None]]) -> None:
        store, token = data.draw(st.sampled_from(self.old))
        with pytest.raises(LeaseLost):
            self.run(store.append(drafts_of(items), token=token))

    # --- snapshots -----------------------------------------------------------------------------------------------------

    @rule(data=st.data(), name=NAMES, version=VERSIONS, parts=PARTS, adds=st.booleans(), wrong=st.sampled_from((False, False, False, True)))
    def keep(self, data: st.DataObject, name: str, version: str, parts: dict[str, bytes], adds: bool, wrong: bool) -> None:
        seq = data.draw(st.just(len(self.events)) | st.integers(0, len(self.events)), label="seq")
        kept = self._kept(name, version)
        after = data.draw(st.integers(0, len(self.events)), label="after") if wrong else kept.seq if kept else 0
        end = GENESIS if seq == 0 else self.events[seq - 1].hash
        snapshot = Snapshot(
            name=name, seq=seq, hash=end, code_version=version, state=f"at {seq}".encode(), parts=parts, after=after if adds else None
        )
        again = adds and kept is not None and kept.seq == seq
        if adds and not again and (kept is None or kept.seq != after):
            with pytest.raises(Conflict):
                self.run(self.store.save_snapshot(snapshot))
            return
        for _ in range(2):  # once more, because the answer was lost
            self.run(self.store.save_snapshot(snapshot))
        if not again and (kept is None or kept.seq <= seq):
            before = dict(kept.parts) if kept is not None and adds else {}
            self.snapshots[name] = replace(snapshot, parts=before | parts, after=None)
        self.load(name, version)

    @rule(name=NAMES, version=VERSIONS)
    def keep_one_of_another_history(self, name: str, version: str) -> None:
        wrong = Snapshot(name=name, seq=len(self.events), hash="0" * 64, code_version=version, state=b"wrong")
        self.run(self.store.save_snapshot(wrong))
        self.snapshots.pop(name, None)

    @rule(name=NAMES, version=VERSIONS)
    def load(self, name: str, version: str) -> None:
        assert self.run(self.store.load_snapshot(name, code_version=version)) == self._kept(name, version)

    def _kept(self, name: str, version: str) -> Snapshot | None:
        kept = self.snapshots.get(name)
        return kept if kept is not None and kept.code_version == version else None

    def teardown(self) -> None:
        try:
            if hasattr(self, "store"):
                assert list(self.run(self.store.read())) == self.events
                self.reopen()
                assert list(self.run(self.store.read())) == self.events
        finally:
            self.run(self.place.aclose())
            self.loop.close()


def tried(examples: int) -> settings:
    """So many examples by default, and as many more as the profile says."""
    return settings(max_examples=max(1, settings().max_examples * examples // 100), stateful_step_count=25)


def test_log_when_in_memory_then_it_is_the_list() -> None:
    run_state_machine_as_test(lambda: Log(Memory()), settings=tried(100))


def test_log_when_in_a_file_then_it_is_the_list() -> None:
    with tempfile.TemporaryDirectory() as folder:
        places = (Sqlite(Path(folder) / str(number) / "desk.db") for number in range(1_000_000))
        run_state_machine_as_test(lambda: Log(next(places)), settings=tried(60))


def test_log_when_on_a_server_then_it_is_the_list() -> None:
    with contextlib.ExitStack() as schemas:
        run_state_machine_as_test(lambda: Log(Postgres(schemas.enter_context(_schema()))), settings=tried(10))


@contextlib.contextmanager
def _schema() -> Iterator[Any]:
    yield from postgres_server.new_schema()


