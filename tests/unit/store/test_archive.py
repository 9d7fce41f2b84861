"""The ordinary tables, over the file and over memory."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import Corrupt, LeaseHeld, NewerSchema, Unavailable
from core.ports import Archive, Delete, Put
from core.runtime import SystemRuntime
from core.store.archive import MemoryArchive, SqliteArchive, migrate
from core.store.postgres.archive import PostgresArchive
from core.store.tables import BY_NAME, SCHEMA, TABLES, AddedColumn, ArchiveError, Table

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@pytest.fixture
async def runtime() -> AsyncIterator[SystemRuntime]:
    made = SystemRuntime()
    yield made
    await made.aclose()


async def opened(path: Path, runtime: SystemRuntime) -> SqliteArchive:
    return await SqliteArchive.open(path, clock=ManualClock(NOW), worker=runtime.worker(runtime.entropy.nonce()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "archive.db"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def archive(request: pytest.FixtureRequest, path: Path, runtime: SystemRuntime) -> AsyncIterator[Archive]:
    if request.param == "memory":
        yield MemoryArchive()
        return
    made: SqliteArchive | PostgresArchive
    if request.param == "sqlite":
        made = await opened(path, runtime)
    else:
        made = await PostgresArchive.open(request.getfixturevalue("schema"), clock=ManualClock(NOW), runtime=runtime)
    yield made
    await made.close()


def iv(symbol: str, day: str, value: float | None) -> Put:
    return Put(table="iv_history", row={"symbol": symbol, "day": day, "iv": value})


async def test_write_when_rows_are_put_then_read_back_with_every_column(archive: Archive) -> None:
    await archive.write([Put(table="outbox", row={"key": "n1", "body": "naïve ½ \0 text", "attempts": 2})])

    (row,) = await archive.select("outbox")

    assert row == {
        "key": "n1", "created_at": None, "channel": None, "urgency": None, "body": "naïve ½ \0 text", "delivered_at": None, "attempts": 2,
    }


async def test_write_when_the_primary_key_exists_then_the_whole_row_is_replaced(archive: Archive) -> None:
    await archive.write([Put(table="outbox", row={"key": "n1", "body": "one", "attempts": 1}), Put(table="outbox", row={"key": "n2"})])

    await archive.write([Put(table="outbox", row={"key": "n1", "channel": "terminal"})])

    (row,) = await archive.select("outbox", where={"key": "n1"})
    assert (row["channel"], row["body"], row["attempts"]) == ("terminal", None, None)
    assert len(await archive.select("outbox")) == 2


async def test_delete_when_columns_match_then_only_those_rows_go(archive: Archive) -> None:
    await archive.write([iv("SPX", "2026-11-18", 0.15), iv("SPX", "2026-11-19", None), iv("SPY", "2026-11-19", 0.14)])

    await archive.write([Delete(table="iv_history", where={"symbol": "SPX", "iv": None})])

    assert [(row["symbol"], row["day"]) for row in await archive.select("iv_history")] == [("SPX", "2026-11-18"), ("SPY", "2026-11-19")]


async def test_select_when_sorted_then_unknown_comes_first_and_ties_fall_by_key(archive: Archive) -> None:
    await archive.write([iv("A", "2", 0.2), iv("B", "1", None), iv("C", "1", 0.1), iv("A", "1", 0.2)])

    async def order(**asked: Any) -> list[str]:
        return [row["symbol"] + row["day"] for row in await archive.select("iv_history", **asked)]

    assert await order() == ["A1", "A2", "B1", "C1"]
    assert await order(order_by="iv") == ["B1", "C1", "A1", "A2"]
    assert await order(order_by="iv", descending=True) == ["A2", "A1", "C1", "B1"]
    assert await order(order_by="day", limit=2) == ["A1", "B1"]
    assert await order(where={"day": "1"}, order_by="symbol", descending=True, limit=1) == ["C1"]
    assert await order(limit=0) == []


MISTAKES: list[tuple[Put | Delete, str]] = [
    (Put(table="recipes", row={"key": "x"}), "no table 'recipes'"),
    (Put(table="outbox", row={"key": "x", "colour": "red"}), "no column 'colour'"),
    (Put(table="outbox", row={"body": "x"}), "needs key"),
    (Put(table="inbox", row={"transport": "telegram", "update_id": None}), "needs update_id"),
    (Put(table="outbox", row={"key": "x", "body": Decimal("1.20")}), "amounts are handed as text"),
    (Put(table="iv_history", row={"symbol": "SPX", "day": "1", "iv": Decimal("0.2")}), "amounts are handed as text"),
    (Put(table="iv_history", row={"symbol": "SPX", "day": "1", "iv": float("nan")}), "holds float"),
    (Put(table="iv_history", row={"symbol": "SPX", "day": "1", "iv": "0.2"}), "holds float"),
    (Put(table="outbox", row={"key": "x", "attempts": "2"}), "holds int"),
    (Put(table="outbox", row={"key": "x", "attempts": 2**63}), "holds int"),
    (Put(table="outbox", row={"key": 5}), "holds str"),
    (Put(table="outbox", row={"key": "x", "created_at": NOW}), "holds str"),
    (Put(table="outbox", row={"key": "x", "body": "\ud800"}), "Unicode"),
    (Delete(table="outbox", where={"colour": "red"}), "no column 'colour'"),
    (Delete(table="recipes", where={}), "no table"),
]


@pytest.mark.parametrize(("mistake", "told"), MISTAKES, ids=lambda value: value if isinstance(value, str) else "")
async def test_write_when_one_operation_is_wrong_then_told_and_none_is_applied(archive: Archive, mistake: Put | Delete, told: str) -> None:
    with pytest.raises(ArchiveError, match=told):
        await archive.write([Put(table="outbox", row={"key": "good"}), mistake])

    assert await archive.select("outbox") == ()


async def test_select_when_table_column_or_limit_is_wrong_then_told(archive: Archive) -> None:
    with pytest.raises(ArchiveError, match="no table"):
        await archive.select("recipes")
    with pytest.raises(ArchiveError, match="no column"):
        await archive.select("outbox", order_by="key; DROP TABLE outbox")
    with pytest.raises(ArchiveError, match="no column"):
        await archive.select("outbox", where={"colour": "red"})
    with pytest.raises(ArchiveError, match="limit"):
        await archive.select("outbox", limit=-1)


async def test_archives_when_given_the_same_seeded_work_then_answer_alike(archive: Archive) -> None:
    chance = random.Random(16)
    memory = MemoryArchive()
    for _ in range(120):
        rows = [iv(chance.choice("ABC"), str(chance.randrange(5)), chance.choice([None, 0.1, 1, -0.0, 2.5])) for _ in range(3)]
        gone = Delete(table="iv_history", where={chance.choice(["symbol", "day"]): chance.choice(["A", "1"])})
        work = [*rows, gone] if chance.random() < 0.3 else rows
        asked: dict[str, Any] = {
            "order_by": chance.choice([None, "iv", "day"]), "descending": chance.random() < 0.5, "limit": chance.choice([None, 1, 4]),
        }
        for one in (memory, archive):
            await one.write(work)
        assert await memory.select("iv_history", **asked) == await archive.select("iv_history", **asked)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_file_when_reopened_then_rows_are_there_and_modes_are_private(path: Path, runtime: SystemRuntime) -> None:
    first = await opened(path, runtime)
    await first.write([iv("SPX", "2026-11-19", 0.15)])
    with pytest.raises(LeaseHeld):
        await opened(path, runtime)
    await first.close()
    with pytest.raises(Unavailable):
        await first.select("iv_history")

    again = await opened(path, runtime)

    assert (await again.select("iv_history"))[0]["iv"] == 0.15
    assert mode_of(path) == 0o600
    await again.close()


async def test_file_when_made_then_tables_are_as_declared(path: Path, runtime: SystemRuntime) -> None:
    made = await opened(path, runtime)
    await made.close()
    looking = sqlite3.connect(path)

    for table in TABLES:
        columns = looking.execute(f'PRAGMA table_info("{table.name}")').fetchall()
        assert [column[1] for column in columns] == list(table.columns)
        assert tuple(column[1] for column in sorted(columns, key=lambda column: column[5]) if column[5]) == table.key
    assert looking.execute("SELECT count(*) FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchone()[0] == sum(
        len(table.indexes) for table in TABLES
    )
    looking.close()


async def test_h1_write_when_the_disk_is_full_then_unavailable_and_no_part_of_it_is_there(path: Path, runtime: SystemRuntime) -> None:
    made = await opened(path, runtime)
    await made._run(lambda: made._connection.execute("PRAGMA max_page_count = 40"))

    with pytest.raises(Unavailable, match="disk is full"):
        await made.write([Put(table="notes", row={"id": str(number), "text": "x" * 4000}) for number in range(60)])

    assert await made.select("notes") == ()
    await made.close()


async def test_h7_open_when_written_by_a_newer_program_then_refused(path: Path, runtime: SystemRuntime) -> None:
    await (await opened(path, runtime)).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()

    with pytest.raises(NewerSchema) as raised:
        await opened(path, runtime)

    assert raised.value.found == 99


async def test_h7_open_when_older_then_new_tables_and_columns_are_added_and_rows_kept(
    path: Path, runtime: SystemRuntime
) -> None:
    first = await opened(path, runtime)
    await first.write([iv("SPX", "1", 0.15)])
    await first.close()
    wider = Table(name="iv_history", columns={**BY_NAME["iv_history"].columns, "skew": float}, key=BY_NAME["iv_history"].key)
    later = Table(name="later", columns={"id": str}, key=("id",), since=SCHEMA + 1)
    tables = (*(table for table in TABLES if table.name != "iv_history"), wider, later)
    connection = sqlite3.connect(path, isolation_level=None)
    added = [AddedColumn(table="iv_history", column="skew", since=SCHEMA + 1)]

    migrate(connection, SCHEMA, tables=tables, added=added, schema=SCHEMA + 1)

    assert connection.execute("SELECT symbol, iv, skew FROM iv_history").fetchall() == [("SPX", 0.15, None)]
    assert connection.execute("SELECT count(*) FROM later").fetchone() == (0,)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA + 1,)
    connection.close()


async def test_h7_migrate_when_a_step_fails_then_nothing_of_it_stays(path: Path, runtime: SystemRuntime) -> None:
    await (await opened(path, runtime)).close()
    connection = sqlite3.connect(path, isolation_level=None)
    since = SCHEMA + 1
    wrong = tuple(Table(name=name, columns={"id": str}, key=("id",), since=since) for name in ("later", "notes"))

    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(connection, SCHEMA, tables=wrong, schema=SCHEMA + 1)

    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'later'").fetchone() == (0,)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    connection.close()


@pytest.fixture(params=[b"", b"not a database at all " * 300], ids=["empty", "text"])
def no_database(request: pytest.FixtureRequest, path: Path) -> Path:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(request.param)
    path.chmod(0o600)
    return path


async def test_h5_open_when_the_file_is_no_database_then_corrupt(no_database: Path, runtime: SystemRuntime) -> None:
    with pytest.raises(Corrupt, match="restore a backup"):
        await opened(no_database, runtime)


USING = """
import asyncio, sys
from pathlib import Path
from core.clock import SystemClock
from core.runtime import SystemRuntime
from core.store.archive import SqliteArchive

async def main():
    archive = await SqliteArchive.open(Path(sys.argv[1]), clock=SystemClock(), worker=SystemRuntime().worker("archive"))
    await archive.select("inbox")
    await archive.close()

asyncio.run(main())
print(sorted({"sqlite_utils", "pandas", "numpy"} & set(sys.modules)))
"""


def loaded_by_a_process_using(path: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", USING, str(path)], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    ).stdout


async def test_open_when_the_archive_is_up_to_date_then_sqlite_utils_is_not_loaded(path: Path, runtime: SystemRuntime) -> None:
    await (await opened(path, runtime)).close()

    assert loaded_by_a_process_using(path) == "[]\n"


@pytest.mark.parametrize("column", ["kind", "body"])
async def test_archive_when_a_file_holds_a_value_of_another_type_then_is_corrupt(column: str, path: Path, runtime: SystemRuntime) -> None:
    archive = await opened(path, runtime)
    await archive.write([Put(table="paper", row={"kind": "k", "key": "1", "body": "{}"})])
    await archive.close()
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE paper SET {column} = x'ff'")
    connection.commit()
    connection.close()
    archive = await opened(path, runtime)

    with pytest.raises(Corrupt, match=f"holds bytes where {column} is str"):
        await archive.select("paper")
    with pytest.raises(Corrupt, match=f"holds bytes where {column} is str"):
        await archive.everything()
    await archive.close()
