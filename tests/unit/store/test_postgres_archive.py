"""The ordinary tables on a server: what the common tests of archives do not reach."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import Corrupt, LeaseHeld, LeaseLost, NewerSchema, Unavailable
from core.ports import Put
from core.runtime import SystemRuntime
from core.store.postgres.address import Address
from core.store.postgres.archive import PostgresArchive, migrate
from core.store.tables import BY_NAME, SCHEMA, TABLES, AddedColumn, Table
from tests.postgres_server import ask, break_connections

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


async def opened(schema: Address, runtime: SystemRuntime) -> PostgresArchive:
    return await PostgresArchive.open(schema, clock=ManualClock(NOW), runtime=runtime, patience_seconds=0.1)


def iv(symbol: str, value: Any) -> Put:
    return Put(table="iv_history", row={"symbol": symbol, "day": "2026-11-19", "iv": value})


async def test_tables_when_made_then_as_declared_and_amounts_are_text(schema: Address, runtime: SystemRuntime) -> None:
    made = await opened(schema, runtime)
    columns = ask(
        "SELECT table_name, column_name, data_type, collation_name FROM information_schema.columns WHERE table_schema = %s"
        " ORDER BY ordinal_position",
        schema.schema,
    )
    kinds = {str: ("text", "C"), int: ("bigint", None), float: ("double precision", None), bytes: ("bytea", None)}

    for table in TABLES:
        found = [(name, (kind, collation)) for owner, name, kind, collation in columns if owner == table.name]
        assert found == [(name, kinds[kind]) for name, kind in table.columns.items()]
    await made.close()


async def test_write_when_the_connection_broke_then_made_anew_and_the_rows_are_there_once(schema: Address, runtime: SystemRuntime) -> None:
    made = await opened(schema, runtime)
    for number in range(3):
        break_connections(schema)
        await made.write([iv("SPX", number / 10), iv("SPY", None)])

    break_connections(schema)
    assert [(row["symbol"], row["iv"]) for row in await made.select("iv_history")] == [("SPX", 0.2), ("SPY", None)]
    await made.close()
    with pytest.raises(Unavailable):
        await made.select("iv_history")


async def test_h8_write_when_another_process_owns_the_tables_then_refused(schema: Address, runtime: SystemRuntime) -> None:
    first = await opened(schema, runtime)
    with pytest.raises(LeaseHeld):
        await opened(schema, runtime)
    break_connections(schema)
    second = await opened(schema, runtime)

    with pytest.raises(LeaseLost):
        await first.write([iv("SPX", 0.1)])

    assert await second.select("iv_history") == ()
    await first.close()
    await second.close()


async def test_read_only_when_asked_to_write_then_refused(schema: Address, runtime: SystemRuntime) -> None:
    with pytest.raises(Unavailable, match="there is no archive"):
        await PostgresArchive.open_read_only(schema, clock=ManualClock(NOW), runtime=runtime)
    owner = await opened(schema, runtime)
    await owner.write([iv("SPX", 0.15)])

    onlooker = await PostgresArchive.open_read_only(schema, clock=ManualClock(NOW), runtime=runtime)

    assert (await onlooker.everything())["iv_history"] == await owner.select("iv_history")
    with pytest.raises(LeaseLost):
        await onlooker.write([iv("SPX", 0.1)])
    await onlooker.close()
    await owner.close()


async def test_h7_open_when_newer_then_refused_and_when_older_then_brought_up_to_date(schema: Address, runtime: SystemRuntime) -> None:
    made = await opened(schema, runtime)
    await made.write([iv("SPX", 0.15)])
    wider = Table(name="iv_history", columns={**BY_NAME["iv_history"].columns, "skew": float}, key=BY_NAME["iv_history"].key)
    later = Table(name="later", columns={"id": str}, key=("id",), since=SCHEMA + 1)
    tables = (*(table for table in TABLES if table.name != "iv_history"), wider, later)
    added = [AddedColumn(table="iv_history", column="skew", since=SCHEMA + 1)]

    await made._session.write(lambda connection: migrate(connection, SCHEMA, tables=tables, added=added, schema=SCHEMA + 1))
    await made._session.write(lambda connection: made._notes.write(connection, "schema", SCHEMA + 1))
    await made.close()

    assert ask(f'SELECT symbol, iv, skew FROM "{schema.schema}".iv_history') == [("SPX", 0.15, None)]
    assert ask(f'SELECT count(*) FROM "{schema.schema}".later') == [(0,)]
    with pytest.raises(NewerSchema):
        await opened(schema, runtime)
    ask(f"UPDATE \"{schema.schema}\".archive_meta SET value = '1'")
    with pytest.raises(Corrupt, match="own note of its schema"):
        await opened(schema, runtime)
