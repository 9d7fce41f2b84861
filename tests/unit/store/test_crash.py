"""What the file survives: processes killed, disks that fill or fail, other programs' files. Numbers are rows of the failure catalogue."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from core.clock import ManualClock
from core.domain.events import Draft, Event, NoteWritten
from core.errors import Corrupt, DeskError, LeaseHeld, NewerSchema, Unavailable
from core.ports import Snapshot
from core.runtime import SystemRuntime
from core.store import sql
from core.store.log import Audit
from core.store.schema import MIGRATIONS, Migrations
from core.store.sqlite import SqliteStore, open_read_only

T = TypeVar("T")

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

CHILD = """
import asyncio, os, resource, signal, sys
from pathlib import Path
from core.clock import SystemClock
from core.domain.events import Draft, NoteWritten
from core.errors import Unavailable
from core.runtime import SystemRuntime
from core.store.schema import MIGRATIONS
from core.store.sqlite import SqliteStore

path = Path(sys.argv[1])
clock = SystemClock()

def draft(text):
    return Draft(body=NoteWritten(text=text), stream="desk", at=clock.now(), actor="desk")

async def opened(**more):
    return await SqliteStore.open(path, clock=clock, worker=SystemRuntime().worker("store"), **more)
"""

APPENDING = """
async def main():
    store = await opened()
    token = await store.acquire_lease("child")
    for number in range(100_000):
        events = await store.append([draft(f"{number} {part} " + "x" * 200) for part in "abc"], token=token)
        print(events[-1].seq, flush=True)

asyncio.run(main())
"""


def note(text: str) -> Draft:
    return Draft(body=NoteWritten(text=text), stream="desk", at=NOW, actor="desk", dedupe=text)


def with_store(
    path: Path, work: Callable[[SqliteStore], Awaitable[T]], *, accept_older: bool = False, migrations: Migrations = MIGRATIONS
) -> T:
    """Open the store, do `work`, close it; all in a loop of its own, as a process would."""

    async def main() -> T:
        runtime = SystemRuntime()
        try:
            store = await SqliteStore.open(
                path, clock=ManualClock(NOW), worker=runtime.worker("store"), accept_older=accept_older, migrations=migrations
            )
            try:
                return await work(store)
            finally:
                await store.close()
        finally:
            await runtime.aclose()

    return asyncio.run(main())


def events_of(path: Path) -> tuple[Event, ...]:
    return with_store(path, lambda store: store.read())


def audit_of(path: Path) -> Audit:
    async def main() -> Audit:
        runtime = SystemRuntime()
        try:
            reader = await open_read_only(path, clock=ManualClock(NOW), worker=runtime.worker("reader"))
            try:
                return await reader.audit()
            finally:
                await reader.close()
        finally:
            await runtime.aclose()

    return asyncio.run(main())


def start(path: Path, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", CHILD + code, str(path)], cwd=ROOT, text=True, stdout=subprocess.PIPE)


def said_until_killed(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Kill a child with SIGKILL once it said `lines` lines; return every whole line it said."""
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return [line.strip() for line in said if line.endswith("\n")]


def killed_while_appending(path: Path, acknowledged: int = 40) -> int:
    """Leave the files as a kill -9 in the middle of appends leaves them; return the last acknowledged number."""
    return int(said_until_killed(start(path, APPENDING), acknowledged)[-1])


def copied(path: Path, to: Path) -> Path:
    """Copy a dead process's files, as they are, to another directory."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(path.parent, to)
    return to / path.name


def test_h2_kill_when_in_the_middle_of_appends_then_all_acknowledged_events_are_there(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    last = killed_while_appending(path)

    read_only = audit_of(path)
    events = events_of(path)

    assert read_only.events == len(events) >= last
    assert len(events) % 3 == 0, "an append was stored in part"
    assert events[last - 1].body == NoteWritten(text=f"{last // 3 - 1} c " + "x" * 200)


def test_h8_open_when_another_process_owns_it_then_lease_held_names_it_until_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    owner = start(path, APPENDING)
    assert owner.stdout is not None
    owner.stdout.readline()

    with pytest.raises(LeaseHeld, match=f"another desk process \\(pid {owner.pid}\\), which owns .*desk.db"):
        events_of(path)
    assert audit_of(path).events >= 3, "an onlooker may read while the owner writes"
    said_until_killed(owner, 1)

    assert with_store(path, lambda store: store.acquire_lease("after the kill")) == 2


def test_h5_open_when_the_write_ahead_file_is_missing_then_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    last = killed_while_appending(path)
    path.with_name("desk.db-wal").unlink()

    with pytest.raises(Corrupt, match=r"write-ahead file \(-wal\) is missing"):
        events_of(path)
    with pytest.raises(Corrupt):
        audit_of(path)
    assert len(with_store(path, lambda store: store.read(), accept_older=True)) < last


def test_h5_open_when_a_byte_of_the_write_ahead_file_flips_then_no_event_is_lost_silently(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    last = killed_while_appending(path, acknowledged=15)
    wal = path.with_name("desk.db-wal").read_bytes()
    found = 0
    for offset in (*range(0, 32, 5), *range(32, len(wal), len(wal) // 60)):
        broken = copied(path, tmp_path / "copy")
        broken.with_name("desk.db-wal").write_bytes(flipped(wal, offset))
        try:
            assert len(events_of(broken)) >= last, f"events vanished with byte {offset}"
        except Corrupt:
            found += 1
    assert found > 20


def test_h5_open_when_the_database_is_missing_but_not_its_write_ahead_file_then_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    killed_while_appending(path, acknowledged=3)
    path.unlink()

    with pytest.raises(Corrupt, match="is missing although"):
        events_of(path)


def test_h6_open_when_an_older_copy_was_put_in_place_then_refused_until_told_to_accept_it(tmp_path: Path) -> None:
    path, kept = tmp_path / "data" / "desk.db", tmp_path / "kept" / "desk.db"

    async def backed_up(store: SqliteStore) -> None:
        await store.append([note("before")])
        await store.backup(kept)
        await store.append([note("after")])

    with_store(path, backed_up)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert audit_of(kept).events == 1
    shutil.copyfile(kept, path)

    with pytest.raises(Corrupt, match="older copy"):
        events_of(path)
    with_store(path, lambda store: store.append([note("another history")]), accept_older=True)
    assert [event.dedupe for event in events_of(path)] == ["before", "another history"]


def test_h6_backup_when_taken_between_appends_of_a_running_owner_then_whole_and_readable(tmp_path: Path) -> None:
    path, kept = tmp_path / "data" / "desk.db", tmp_path / "kept" / "desk.db"

    async def busy(store: SqliteStore) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(store.append([note(f"{number} {part}") for part in "abc"]))
                if number % 5 == 4:
                    group.create_task(store.backup(kept))

    with_store(path, busy)

    assert audit_of(kept).events % 3 == 0
    assert [event.hash for event in events_of(kept)] == [event.hash for event in events_of(path)][: audit_of(kept).events]


FILLING = """
async def main():
    store = await opened()
    token = await store.acquire_lease("child")
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    try:
        while True:
            events = await store.append([draft("x" * 3000)], token=token)
            print(events[-1].seq, flush=True)
    except Unavailable as error:
        print(error, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        await store.append([draft("after a failed write")], token=token)
        print("wrote on")
    except Unavailable:
        print("stopped", flush=True)
    await store.close()
    print("closed", flush=True)

asyncio.run(main())
"""


def test_h3_append_when_a_write_fails_then_stops_until_restarted_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    process = start(path, FILLING)

    said = process.communicate()[0].splitlines()

    assert said[-2:] == ["stopped", "closed"], said
    assert said[-3].startswith("storage is not available since ")
    assert len(events_of(path)) >= int(said[-4]) > 10
    assert with_store(path, lambda store: store.append([note("after the restart")]))[0].dedupe == "after the restart"


def test_h1_append_when_the_disk_is_full_then_nothing_is_written_and_it_recovers_with_space(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"

    async def scenario(store: SqliteStore) -> None:
        await store.append([note("before")])
        await execute(store, "PRAGMA max_page_count = 12")
        with pytest.raises(Unavailable, match="the disk is full") as raised:
            await store.append([note("small"), *(note(str(number) + "x" * 3000) for number in range(50))])
        assert raised.value.what == "storage"
        assert raised.value.since == NOW
        assert await store.last_seq() == 1

        await execute(store, "PRAGMA max_page_count = 100000")
        await store.append([note("small")])

    with_store(path, scenario)

    assert [event.dedupe for event in events_of(path)] == ["before", "small"]


def test_h1_append_when_the_database_is_read_only_then_unavailable_and_nothing_is_written(tmp_path: Path) -> None:
    async def scenario(store: SqliteStore) -> None:
        await execute(store, "PRAGMA query_only = ON")
        with pytest.raises(Unavailable, match="read-only"):
            await store.append([note("never")])
        with pytest.raises(Unavailable, match="read-only"):
            await store.acquire_lease("never")
        assert await store.last_seq() == 0

    with_store(tmp_path / "data" / "desk.db", scenario)


async def execute(store: SqliteStore, statement: str) -> None:
    """Change a limit of the store's own connection, which is what a full or read-only disk does to it."""
    await store._run(lambda: store._connection.execute(statement).fetchall())


def test_h4_append_when_a_reader_stays_open_then_write_ahead_file_is_bounded_once_it_leaves(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    wal = path.with_name("desk.db-wal")
    batch = [note("y" * 2000 + str(number)) for number in range(900)]

    async def scenario(store: SqliteStore) -> None:
        await store.append(batch[:10])
        onlooker = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        onlooker.execute("BEGIN")
        assert onlooker.execute("SELECT count(*) FROM event").fetchone() == (10,)
        for first in range(10, 900, 10):
            await store.append(batch[first : first + 10])
        grown = wal.stat().st_size
        assert onlooker.execute("SELECT count(*) FROM event").fetchone() == (10,), "a reader keeps what it saw"
        onlooker.close()
        for number in range(40):
            await store.append([note(f"{number}" + "z" * 40_000)])
        assert grown > sql.WAL_PAGES * 2048
        assert wal.stat().st_size <= max(grown, 5 * 1024 * 1024)

    with_store(path, scenario)

    assert not wal.exists(), "closing empties the write-ahead file"


def test_h4_library_note_when_the_version_has_the_reset_bug_then_it_says_why_that_is_harmless() -> None:
    assert "3.40.1" in (sql.library_note((3, 40, 1)) or "")
    assert "only one connection ever writes" in (sql.library_note((3, 51, 2)) or "")
    assert sql.library_note((3, 51, 3)) is None
    assert sql.library_note((3, 6, 23)) is None


def test_h7_open_when_a_newer_program_wrote_it_then_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    newer = (*MIGRATIONS, ("CREATE TABLE later (x TEXT)",), ("CREATE TABLE latest (x TEXT)",))
    with_store(path, lambda store: store.append([note("from the future")]), migrations=newer)
    before = path.read_bytes()

    for attempt in (events_of, audit_of):
        with pytest.raises(NewerSchema) as raised:
            attempt(path)
        assert (raised.value.found, raised.value.supported) == (len(newer), len(MIGRATIONS))

    assert path.read_bytes() == before


def test_h7_open_when_a_migration_is_due_then_applied_and_events_kept(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    with_store(path, lambda store: store.append([note("old")]))

    newer = (*MIGRATIONS, ("CREATE TABLE later (x TEXT)",))

    assert [event.dedupe for event in with_store(path, lambda store: store.read(), migrations=newer)] == ["old"]
    with pytest.raises(NewerSchema):
        events_of(path)


MIGRATING = """
def steps():
    yield "CREATE TABLE later (x TEXT)"
    yield "INSERT INTO later VALUES ('half')"
    print("half way", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    yield "INSERT INTO later VALUES ('whole')"

asyncio.run(opened(migrations=(*MIGRATIONS, steps())))
"""


def test_h7_open_when_killed_in_a_migration_then_the_old_schema_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    with_store(path, lambda store: store.append([note("old")]))

    process = start(path, MIGRATING)
    assert process.communicate()[0] == "half way\n"
    assert process.returncode == -signal.SIGKILL

    assert [event.dedupe for event in events_of(path)] == ["old"]
    newer = (*MIGRATIONS, ("CREATE TABLE later (x TEXT)",))
    assert with_store(path, lambda store: store.last_seq(), migrations=newer) == 1


CREATING = """
def steps():
    yield "CREATE TABLE never (x TEXT)"
    print("half way", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(opened(migrations=(*MIGRATIONS, steps())))
"""


def test_h7_open_when_killed_while_creating_then_the_next_start_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    assert start(path, CREATING).communicate()[0] == "half way\n"
    assert not path.exists()

    assert with_store(path, lambda store: store.append([note("first")]))[0].seq == 1


# --- damage --------------------------------------------------------------------------------------------------------------


def flipped(content: bytes, offset: int) -> bytes:
    return content[:offset] + bytes([content[offset] ^ 0xFF]) + content[offset + 1 :]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed database of 40 events in about a dozen pages."""
    path = tmp_path_factory.mktemp("whole") / "data" / "desk.db"
    with_store(path, lambda store: store.append([note(f"note {number} " + "x" * (number * 13 % 400)) for number in range(40)]))
    return path


def test_h5_open_when_any_byte_flips_then_found_or_harmless_to_content(whole: Path, tmp_path: Path) -> None:
    content, original = whole.read_bytes(), events_of(whole)
    broken = copied(whole, tmp_path / "copy")
    found = 0
    for offset in (*range(100), *range(100, len(content), max(1, len(content) // 350))):
        for leftover in broken.parent.iterdir():
            leftover.unlink()
        broken.write_bytes(flipped(content, offset))
        broken.chmod(0o600)

        try:
            read = with_store(broken, read_and_repeat)
        except Corrupt as error:
            assert "Traceback" not in str(error)
            found += 1
            continue
        assert read == original, f"byte {offset} changed what was read"
    assert found > 100


async def read_and_repeat(store: SqliteStore) -> tuple[Event, ...]:
    events = await store.read()
    repeated = await store.append([note(event.dedupe or "") for event in events])
    assert repeated == (), "a damaged index let an event in twice"
    assert await store.lease_token() == 0
    return events


@pytest.mark.parametrize("size", [0, 1, 50, 99, 100, 4096, 5000, 20_000])
def test_h5_open_when_truncated_then_corrupt(whole: Path, tmp_path: Path, size: int) -> None:
    broken = copied(whole, tmp_path / "copy")
    broken.write_bytes(whole.read_bytes()[:size])

    for attempt in (events_of, audit_of):
        with pytest.raises(Corrupt, match="restore a backup"):
            attempt(broken)


@pytest.mark.parametrize("content", [b"underlying,strike,bid\nSPX,2700,1.20\n" * 200, b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 9000])
def test_h5_open_when_overwritten_by_something_else_then_corrupt(whole: Path, tmp_path: Path, content: bytes) -> None:
    broken = copied(whole, tmp_path / "copy")
    broken.write_bytes(content)

    with pytest.raises(Corrupt, match="restore a backup"):
        events_of(broken)


def test_h5_open_when_it_is_another_programs_database_then_corrupt_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    path.parent.mkdir(mode=0o700)
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.commit()
    other.close()
    path.chmod(0o600)

    with pytest.raises(Corrupt, match="not a database of the desk"):
        events_of(path)


EDITS = [
    ("UPDATE event SET body = replace(body, 'note 7', 'note 8') WHERE seq = 8", "event 8 is not what was written"),
    ("UPDATE event SET at = '2020-01-01T00:00:00+00:00' WHERE seq = 40", "event 40 is not what was written"),
    ("UPDATE event SET actor = 'person:mallory' WHERE seq = 1", "event 1 is not what was written"),
    ("UPDATE event SET version = 9 WHERE seq = 3", "event 3 is not what was written"),
    ("DELETE FROM event WHERE seq = 5", "event 6 where event 5 belongs"),
    ("DELETE FROM event WHERE seq > 30", "event 40 was written: events are missing"),
    ("DELETE FROM event", "the log ends at event 0"),
    ("UPDATE event SET seq = 41 WHERE seq = 40", "ends at event 41"),
    ("UPDATE event SET hash = 'x' WHERE seq = 40", "ends at event 40"),
    ("INSERT INTO event SELECT 41, stream, kind, version, at, recorded_at, actor, '', '', NULL, body, hash FROM event WHERE seq = 1", "41"),
    ("UPDATE event SET body = CAST('{}' AS BLOB) WHERE seq = 2", "wrong type"),
    ("UPDATE meta SET value = '[30, \"x\"]' WHERE key = 'head'", "note of its head is damaged"),
    ("UPDATE meta SET value = '[7, null, null]' WHERE key = 'lease'", "note of its lease is damaged"),
    ("DELETE FROM meta WHERE key = 'schema'", "note of its schema is damaged"),
]


@pytest.mark.parametrize(("edit", "told"), EDITS)
def test_h5_read_when_a_row_was_edited_by_hand_then_corrupt_says_where(whole: Path, tmp_path: Path, edit: str, told: str) -> None:
    broken = copied(whole, tmp_path / "copy")
    by_hand = sqlite3.connect(broken, isolation_level=None)
    by_hand.execute("DROP TRIGGER event_is_not_changed")
    by_hand.execute("DROP TRIGGER event_is_not_removed")
    by_hand.execute(edit)
    by_hand.close()

    with pytest.raises(Corrupt, match=told.replace("[", "\\[")):
        with_store(broken, read_and_repeat)


def test_h5_edit_when_the_triggers_stand_then_sqlite_itself_refuses(whole: Path, tmp_path: Path) -> None:
    by_hand = sqlite3.connect(copied(whole, tmp_path / "copy"), isolation_level=None)

    for edit in ("UPDATE event SET actor = 'x' WHERE seq = 1", "DELETE FROM event WHERE seq = 40"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            by_hand.execute(edit)
    by_hand.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE snapshot SET state = CAST('position 3' AS BLOB)",
        "UPDATE snapshot_part SET content = CAST('x' AS BLOB) WHERE part = 'a#0'",
        "UPDATE snapshot_part SET part = 'a#2' WHERE part = 'a#0'",
        "UPDATE snapshot_part SET content = 'a' WHERE part = 'a#0'",
    ],
)
def test_h5_snapshot_when_its_bytes_were_changed_then_not_loaded(tmp_path: Path, change: str) -> None:
    path = tmp_path / "data" / "desk.db"

    async def saved(store: SqliteStore) -> None:
        (event,) = await store.append([note("one")])
        parts = {"a#0": b"a", "a#1": b"b"}
        await store.save_snapshot(Snapshot(name="book", seq=1, hash=event.hash, code_version="v1", state=b"position 2", parts=parts))

    with_store(path, saved)
    by_hand = sqlite3.connect(path, isolation_level=None)
    by_hand.execute(change)
    by_hand.close()

    assert with_store(path, lambda store: store.load_snapshot("book", code_version="v1")) is None


@pytest.mark.parametrize(
    ("code", "kind", "final"),
    [
        (sqlite3.SQLITE_FULL, Unavailable, False),
        (sqlite3.SQLITE_READONLY, Unavailable, False),
        (sqlite3.SQLITE_BUSY, Unavailable, False),
        (sqlite3.SQLITE_CANTOPEN, Unavailable, False),
        (sqlite3.SQLITE_IOERR | 4 << 8, Unavailable, True),  # SQLITE_IOERR_FSYNC
        (sqlite3.SQLITE_IOERR, Unavailable, True),
        (sqlite3.SQLITE_CORRUPT, Corrupt, False),
        (sqlite3.SQLITE_NOTADB, Corrupt, False),
        (sqlite3.SQLITE_ERROR, Corrupt, False),
    ],
)
def test_h3_storage_error_when_sqlite_reports_a_code_then_told_as_what_it_means(code: int, kind: type[DeskError], final: bool) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code

    assert type(sql.storage_error(error, Path("desk.db"), since=NOW)) is kind
    assert sql.is_final(error) is final
