"""What only a server can do to a log: connections that break, commits nobody heard of, paused owners. Numbers are rows of the catalogue."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.domain.events import Draft, NoteWritten
from core.errors import Corrupt, LeaseHeld, LeaseLost, NewerSchema, Unavailable, UserError
from core.runtime import SystemRuntime
from core.store.memory import MemoryStore
from core.store.postgres.address import Address, read_address
from core.store.postgres.log import PostgresReader, PostgresStore
from core.store.postgres.schema import MIGRATIONS
from core.store.postgres.session import from_server, to_server
from tests.postgres_server import ask, break_connections, sessions, url

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def note(text: str, dedupe: str | None = None, **more: Any) -> Draft:
    return Draft(**{"body": NoteWritten(text=text), "stream": "desk", "at": NOW, "actor": "person:owner", "dedupe": dedupe, **more})


async def opened(address: Address, runtime: SystemRuntime, **more: Any) -> PostgresStore:
    return await PostgresStore.open(address, clock=ManualClock(NOW), runtime=runtime, **{"patience_seconds": 0.1, **more})


@pytest.fixture
async def store(schema: Address, runtime: SystemRuntime) -> AsyncIterator[PostgresStore]:
    made = await opened(schema, runtime)
    yield made
    await made.close()


async def told(store: PostgresStore, statement: str) -> None:
    """Run a statement in the store's own session."""
    await store._session.run(lambda connection: connection.execute(statement))


# --- the same log as everywhere ----------------------------------------------------------------------------------------------------


async def test_append_when_given_the_same_drafts_then_rows_and_hashes_are_those_of_every_store(store: PostgresStore) -> None:
    memory = MemoryStore(clock=ManualClock(NOW))
    hard = note('naïve ½ "quoted" \\ \0 \1 \n', "k\0\1", actor="a\0b", causation="\1", correlation="\1\1\2")
    drafts = [note("plain", "k1"), hard, note("0.10")]

    here, there = await store.append(drafts), await memory.append(drafts)

    assert here == there == await store.read()
    assert await store.rows() == tuple(memory.disk.rows)
    assert await store.append([note("again", "k\0\1")]) == ()


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=6), st.text(alphabet="\0\1\2a", max_size=6))
def test_text_when_sent_to_the_server_then_reads_back_and_sorts_alike(texts: list[str], hard: str) -> None:
    texts = [*texts, hard, hard + "\0", hard + "\1"]
    sent = [to_server(text) for text in texts]

    assert [from_server(text) for text in sent] == texts
    assert not any("\0" in text for text in sent)
    assert [from_server(text) for text in sorted(sent)] == sorted(texts)


async def test_append_when_many_at_once_then_one_after_another_without_a_gap(store: PostgresStore) -> None:
    await asyncio.gather(*(store.append([note(str(number), f"k{number % 7}"), note("free")]) for number in range(20)))

    events = await store.read()
    assert [event.seq for event in events] == list(range(1, 28))
    assert sorted(event.dedupe for event in events if event.dedupe) == [f"k{number}" for number in range(7)]


async def test_append_when_there_are_thousands_then_all_are_read_in_order(store: PostgresStore) -> None:
    written = await store.append([note(str(number), f"k{number}") for number in range(4500)])

    assert await store.read() == written
    assert await store.read(after=1999, limit=2) == written[1999:2001]
    assert await store.append([note("again", f"k{number}") for number in range(4500)]) == ()


@pytest.mark.parametrize(
    "statement", ["UPDATE event SET body = '{}' WHERE seq = 1", "DELETE FROM event WHERE seq = 2", "TRUNCATE event"]
)
async def test_event_when_somebody_changes_it_in_the_database_then_refused(store: PostgresStore, schema: Address, statement: str) -> None:
    await store.append([note("one"), note("two")])

    with pytest.raises(Exception, match="append-only"):
        ask(statement.replace("event", f"{schema.schema}.event"))

    assert len(await store.read()) == 2


DAMAGE = {
    "row": ("UPDATE {0}.event SET body = replace(body, 'two', 'too') WHERE seq = 2", "event 2 is not what was written"),
    "gap": ("DELETE FROM {0}.event WHERE seq = 2", "event 2 belongs|event 2 is missing"),
    "end": ("DELETE FROM {0}.event WHERE seq = 3", "ends at event 2|event 3 is missing"),
    "note": ("UPDATE {0}.meta SET value = '[2, \"00\"]' WHERE key = 'head'", "own note of its head"),
}


@pytest.mark.parametrize("damage", sorted(DAMAGE))
async def test_h5_log_when_a_hand_changed_it_past_the_triggers_then_corrupt(
    store: PostgresStore, schema: Address, runtime: SystemRuntime, damage: str
) -> None:
    await store.append([note("one"), note("two"), note("three")])
    statement, found = DAMAGE[damage]
    ask(f"ALTER TABLE {schema.schema}.event DISABLE TRIGGER ALL")
    ask(statement.format(schema.schema))

    with pytest.raises(Corrupt, match=found):
        await store.read()
    with pytest.raises(Corrupt, match=found):
        reader = await PostgresReader.open(schema, clock=ManualClock(NOW), runtime=runtime)
        try:
            await reader.audit()
        finally:
            await reader.close()


async def test_audit_when_the_owner_is_at_work_then_tells_what_is_there(
    store: PostgresStore, schema: Address, runtime: SystemRuntime
) -> None:
    written = await store.append([note(str(number)) for number in range(2500)])
    reader = await PostgresReader.open(schema, clock=ManualClock(NOW), runtime=runtime)

    found = await reader.audit()

    assert (found.events, found.head.hash, found.kinds) == (2500, written[-1].hash, (("NoteWritten", 2500),))
    await store.append([note("meanwhile")])
    assert await reader.last_seq() == 2501
    await reader.close()


async def test_h7_open_when_written_by_a_newer_program_then_refused(store: PostgresStore, schema: Address, runtime: SystemRuntime) -> None:
    await store.close()
    newer = await opened(schema, runtime, migrations=(*MIGRATIONS, ("CREATE TABLE later (id text)",)))
    await newer.close()

    with pytest.raises(NewerSchema):
        await opened(schema, runtime)


async def test_h7_open_when_a_migration_fails_half_way_then_nothing_of_it_stays(
    store: PostgresStore, schema: Address, runtime: SystemRuntime
) -> None:
    await store.append([note("kept")])
    await store.close()

    with pytest.raises(Corrupt):
        await opened(schema, runtime, migrations=(*MIGRATIONS, ("CREATE TABLE later (id text)", "CREATE TABLE later (id text)")))

    again = await opened(schema, runtime)
    assert len(await again.read()) == 1
    assert ask("SELECT to_regclass(%s)", f"{schema.schema}.later") == [(None,)]
    await again.close()


async def test_h5_open_when_the_server_has_an_older_copy_then_refused_until_restored(
    schema: Address, runtime: SystemRuntime, tmp_path: Path
) -> None:
    beside = tmp_path / "home" / "postgres"
    first = await opened(schema, runtime, note=beside)
    await first.append([note("one")])
    await first.close()
    ask(f'DROP SCHEMA "{schema.schema}" CASCADE')

    with pytest.raises(Corrupt, match="there is no log at"):
        await opened(schema, runtime, note=beside)

    elsewhere = await opened(schema, runtime)
    await elsewhere.append([note("another history"), note("as long")])
    await elsewhere.close()
    with pytest.raises(Corrupt, match="another history was written from this directory"):
        await opened(schema, runtime, note=beside)


# --- who may write -----------------------------------------------------------------------------------------------------------------


async def test_h8_append_when_the_lock_was_lost_unnoticed_then_the_token_still_keeps_the_old_owner_out(
    store: PostgresStore, schema: Address, runtime: SystemRuntime
) -> None:
    old_token = await store.acquire_lease("old")
    await told(store, "SELECT pg_advisory_unlock_all()")
    new = await opened(schema, runtime)
    new_token = await new.acquire_lease("new")

    with pytest.raises(LeaseLost):
        await store.append([note("late")], token=old_token)

    assert [event.seq for event in await new.append([note("owner")], token=new_token)] == [1]
    await new.close()


async def test_h8_append_when_the_session_was_ended_and_another_owns_it_then_lost_even_without_a_token(
    store: PostgresStore, schema: Address, runtime: SystemRuntime
) -> None:
    break_connections(schema)
    new = await opened(schema, runtime)

    with pytest.raises(LeaseLost):
        await store.append([note("late")])
    with pytest.raises(LeaseLost):
        await store.acquire_lease("old")

    assert await store.last_seq() == 0  # it may still look
    await new.close()


async def test_h8_append_when_the_session_was_ended_and_nobody_else_came_then_goes_on(store: PostgresStore, schema: Address) -> None:
    token = await store.acquire_lease("desk")
    for number in range(3):
        break_connections(schema)
        assert len(await store.append([note("on", f"k{number}")], token=token)) == 1
        break_connections(schema)
        assert len(await store.read()) == number + 1


CHILD = """
import asyncio, itertools, sys
from core.clock import SystemClock
from core.domain.events import Draft, NoteWritten
from core.errors import DeskError
from core.runtime import SystemRuntime
from core.store.postgres.address import read_address
from core.store.postgres.log import PostgresStore

async def main():
    clock = SystemClock()
    store = await PostgresStore.open(read_address(sys.argv[1]), clock=clock, runtime=SystemRuntime())
    token = await store.acquire_lease("the child")
    for line in itertools.chain(["first"], iter(sys.stdin.readline, "")):
        draft = Draft(body=NoteWritten(text=line), stream="desk", at=clock.now(), actor="child")
        try:
            print([event.seq for event in await store.append([draft], token=token)], flush=True)
        except DeskError as error:
            print(type(error).__name__, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def child(schema: Address) -> Any:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, url(schema)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    yield process
    process.kill()
    process.communicate()


def said(process: Any, line: str = "") -> str:
    if line:
        process.stdin.write(line + "\n")
    return str(process.stdout.readline()).strip()


async def test_h8_k4_process_when_paused_and_replaced_then_writes_nothing_after_it_wakes(
    child: Any, schema: Address, runtime: SystemRuntime
) -> None:
    assert said(child) == "[1]"
    child.send_signal(signal.SIGSTOP)
    with pytest.raises(LeaseHeld, match="in use by the child"):
        await opened(schema, runtime)
    break_connections(schema)
    new = await opened(schema, runtime)
    token = await new.acquire_lease("the new one")

    child.send_signal(signal.SIGCONT)

    assert said(child, "late") == "LeaseLost"
    assert [event.seq for event in await new.append([note("owner")], token=token)] == [2]
    await new.close()


async def test_h8_process_when_killed_then_its_lease_is_free_and_what_it_said_is_there(
    child: Any, schema: Address, runtime: SystemRuntime
) -> None:
    assert [said(child), said(child, "two"), said(child, "three")] == ["[1]", "[2]", "[3]"]
    child.kill()
    child.wait()

    new = await opened(schema, runtime, patience_seconds=5.0)

    assert await new.last_seq() == 3
    await new.close()


async def test_h8_open_when_a_whole_directory_is_in_use_then_lease_held(schema: Address, runtime: SystemRuntime, tmp_path: Path) -> None:
    first = await opened(schema, runtime, note=tmp_path / "home" / "postgres")

    with pytest.raises(LeaseHeld):
        await opened(schema, runtime, note=tmp_path / "home" / "postgres")

    await first.close()
    assert sessions(schema) == []


# --- connections that break at work ------------------------------------------------------------------------------------------------


@dataclass
class Cable:
    """A line to the server that breaks, once, around the COMMIT of an event: before it arrives, or before the answer comes back."""

    host: str
    port: int
    breaks: str = ""  # before | after
    dead: bool = False  # nobody is let through any more
    broken: int = 0
    dies: bool = False  # stays dead once it broke
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()
        self._cut()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.dead:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        self._writers += [writer, far_writer]
        deaf, answered = asyncio.Event(), asyncio.Event()
        back = asyncio.ensure_future(self._carry(far_reader, writer, deaf, answered))
        await self._requests(reader, far_writer, deaf, answered)
        await asyncio.gather(back, return_exceptions=True)

    async def _requests(
        self, reader: asyncio.StreamReader, far: asyncio.StreamWriter, deaf: asyncio.Event, answered: asyncio.Event
    ) -> None:
        writing = False
        while data := await reader.read(1 << 16):
            writing = writing or b"INSERT INTO event" in data or b"note under test" in data
            if self.breaks and writing and b"COMMIT" in data:
                after, self.breaks = self.breaks == "after", ""
                if after:
                    deaf.set()
                    far.write(data)
                    await answered.wait()
                self.broken += 1
                self.dead = self.dies
                self._cut()
                return
            far.write(data)
        far.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deaf: asyncio.Event, answered: asyncio.Event
    ) -> None:
        while data := await reader.read(1 << 16):
            if deaf.is_set():
                answered.set()  # the server has committed, and nobody will hear of it
                return
            writer.write(data)
        writer.close()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


@pytest.fixture
async def cable(schema: Address) -> AsyncIterator[Cable]:
    parts = urlsplit(schema.conninfo)
    made = Cable(parts.hostname or "127.0.0.1", parts.port or 5432)
    yield made
    await made.stop()


async def through(cable: Cable, schema: Address, runtime: SystemRuntime) -> PostgresStore:
    port = await cable.start()
    parts = urlsplit(schema.conninfo)
    netloc = f"{parts.username or 'root'}@127.0.0.1:{port}"
    address = read_address(parts._replace(netloc=netloc, query=f"schema={schema.schema}").geturl())
    return await opened(address, runtime, patience_seconds=2.0)


@pytest.mark.parametrize("breaks", ["before", "after"])
async def test_append_when_the_connection_breaks_at_commit_then_the_events_are_there_exactly_once(
    cable: Cable, schema: Address, runtime: SystemRuntime, breaks: str
) -> None:
    store = await through(cable, schema, runtime)
    token = await store.acquire_lease("desk")
    await store.append([note("first", "k0")], token=token)
    cable.breaks = breaks

    written = await store.append([note("note under test"), note("note under test", "k1")], token=token, expected_seq=1)

    assert cable.broken == 1
    assert [event.seq for event in written] == [2, 3]
    assert await store.read(after=1) == written
    assert [event.seq for event in await store.append([note("next")], token=token)] == [4]
    await store.close()


@pytest.mark.parametrize(("breaks", "kept"), [("before", 1), ("after", 2)])
async def test_append_when_the_server_stays_away_then_unavailable_and_nothing_is_guessed(
    cable: Cable, schema: Address, runtime: SystemRuntime, breaks: str, kept: int
) -> None:
    store = await through(cable, schema, runtime)
    await store.append([note("first")])
    cable.breaks, cable.dies = breaks, True

    with pytest.raises(Unavailable, match="known when it is back"):
        await store.append([note("note under test")])
    with pytest.raises(Unavailable, match="cannot be reached"):
        await store.append([note("too early")])

    cable.dead = False
    assert await store.last_seq() == kept
    assert [event.seq for event in await store.append([note("note under test, again")])] == [kept + 1]
    await store.close()


async def test_append_when_its_caller_gives_up_then_it_is_there_whole_or_not_at_all_and_the_store_goes_on(store: PostgresStore) -> None:
    for number in range(12):
        task = asyncio.ensure_future(store.append([note("a", f"a{number}"), note("b", f"b{number}")]))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    after = await store.append([note("after")])

    events = await store.read()
    assert events[-1] == after[0]
    keys = {event.dedupe for event in events if event.dedupe}
    assert {key[1:] for key in keys if key[0] == "a"} == {key[1:] for key in keys if key[0] == "b"}


# --- a server that refuses ---------------------------------------------------------------------------------------------------------


async def test_h1_append_when_the_database_is_read_only_then_unavailable_and_works_again_afterwards(store: PostgresStore) -> None:
    await told(store, "SET default_transaction_read_only = on")
    with pytest.raises(Unavailable, match="read-only") as raised:
        await store.append([note("refused")])
    assert raised.value.what == "storage"

    await told(store, "SET default_transaction_read_only = off")

    assert [event.seq for event in await store.append([note("taken")])] == [1]


@pytest.mark.parametrize(("code", "words"), [("53100", "disk is full"), ("58030", "could not read or write its disk"), ("53200", "memory")])
async def test_h1_h3_append_when_the_servers_disk_refuses_then_unavailable_and_nothing_of_it_is_there(
    store: PostgresStore, schema: Address, code: str, words: str
) -> None:
    ask(
        f"CREATE FUNCTION {schema.schema}.fails() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '{code}'; END $$"
    )
    ask(f"CREATE TRIGGER fails BEFORE INSERT ON {schema.schema}.event FOR EACH STATEMENT EXECUTE FUNCTION {schema.schema}.fails()")
    with pytest.raises(Unavailable, match=words):
        await store.append([note("one"), note("two")])
    assert await store.last_seq() == 0

    ask(f"DROP TRIGGER fails ON {schema.schema}.event")

    assert len(await store.append([note("one")])) == 1


async def test_h4_append_when_another_session_holds_the_row_then_unavailable_after_the_limit(
    store: PostgresStore, schema: Address, runtime: SystemRuntime
) -> None:
    import psycopg

    await told(store, "SET lock_timeout = '50ms'")
    with psycopg.connect(schema.conninfo) as other:
        other.execute(f"SELECT * FROM {schema.schema}.meta FOR UPDATE")
        with pytest.raises(Unavailable, match="another session holds"):
            await store.append([note("waits")])

    assert len(await store.append([note("free")])) == 1


async def test_open_when_nobody_listens_then_unavailable_without_the_password(runtime: SystemRuntime) -> None:
    address = read_address("postgresql://desk:s3cret-w0rd@127.0.0.1:9/desk")

    with pytest.raises(Unavailable, match="cannot be reached") as raised:
        await opened(address, runtime)

    assert "s3cret" not in str(raised.value) + repr(raised.value) + repr(address)


# --- addresses and imports ---------------------------------------------------------------------------------------------------------


def test_address_when_read_then_shows_server_and_schema_only() -> None:
    address = read_address("postgres://desk:s3cret@db.example:5433/trading?schema=paper_1&sslmode=require")

    assert str(address) == "postgresql://db.example:5433/trading (schema paper_1)"
    assert address.conninfo == "postgresql://desk:s3cret@db.example:5433/trading?sslmode=require"
    assert address.key != read_address("postgres://desk:s3cret@db.example:5433/trading").key
    assert len(address.beside("x" * 40).schema) <= 63


@pytest.mark.parametrize(
    "text",
    [
        "mysql://a/b", "postgresql://host", "postgresql://host/a/b", "postgresql://u:s3cret@host/db?schema=Robert'); DROP", "postgresql://[u:s3cret/db",
        "postgresql://host/db?schema=public", "postgresql://host/db?schema=pg_x", "postgresql://u:s3cret@host/db?nonsense",
    ],
)
def test_address_when_it_cannot_be_read_then_told_without_repeating_it(text: str) -> None:
    with pytest.raises(UserError) as raised:
        read_address(text)

    assert "s3cret" not in str(raised.value)


def test_library_when_no_server_is_asked_for_then_not_loaded() -> None:
    code = "import core.store.place, core.store.backup, core.store.postgres.log, sys; print('psycopg' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


