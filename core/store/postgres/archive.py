"""The ordinary tables on a PostgreSQL server: the same declarations, checks and answers as the file has.

They stand in the schema of the log, with a session, a lock and notes of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.clock import Clock
from core.errors import Unavailable, UserError
from core.ports import Delete, Put
from core.store.postgres.address import Address
from core.store.postgres.schema import Notes
from core.store.postgres.session import Session, fetch, from_server, to_server
from core.store.tables import (
    ADDED,
    BY_NAME,
    SCHEMA,
    TABLES,
    AddedColumn,
    Table,
    Value,
    check_selection,
    checked,
    condition,
    full_row,
    sort_columns,
    table_of,
)

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from core.runtime import Runtime

Row = dict[str, Any]
Statement = tuple[str, tuple[Value, ...]]

_TYPES = {str: 'TEXT COLLATE "C"', int: "BIGINT", float: "DOUBLE PRECISION", bytes: "BYTEA"}
_VIEW = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class PostgresArchive:
    """The Archive port over a PostgreSQL schema. Made by `open` or `open_read_only`."""

    def __init__(self, session: Session) -> None:
        self.address = session.address
        self._session = session
        self._notes = Notes(session.address, "archive_meta")

    @classmethod
    async def open(cls, address: Address, *, clock: Clock, runtime: Runtime, patience_seconds: float = 1.0) -> PostgresArchive:
        """Open the tables for writing, making or migrating them; raises as `PostgresStore.open` does."""
        archive = cls(await Session.open(address, clock=clock, runtime=runtime, writes="archive", patience_seconds=patience_seconds))
        return await archive._begun(archive._session.write(archive._prepare))

    @classmethod
    async def open_read_only(cls, address: Address, *, clock: Clock, runtime: Runtime) -> PostgresArchive:
        """Open tables that somebody else may own, only to look at them."""
        archive = cls(await Session.open(address, clock=clock, runtime=runtime))
        return await archive._begun(archive._session.run(archive._look))

    async def write(self, operations: Sequence[Put | Delete]) -> None:
        """Apply all operations in one durable transaction."""
        statements = [_statement(operation) for operation in operations]
        if not statements:
            return

        async def apply(connection: AsyncConnection[Any]) -> None:
            async with connection.transaction(), connection.pipeline():
                for text, values in statements:
                    await connection.execute(text, values)

        await self._session.write(apply)  # done twice it leaves the same rows, so a lost connection asks no question

    async def select(
        self,
        table: str,
        *,
        where: Mapping[str, Any] | None = None,
        order_by: str | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> tuple[Row, ...]:
        """Rows whose columns equal `where`, by `order_by` and then by primary key, both `descending` or neither."""
        found = table_of(table)
        check_selection(found, order_by, limit)
        condition_text, arguments = _where(checked(found, where or {}))
        order = ", ".join(f"{_quoted(name)} {'DESC NULLS LAST' if descending else 'NULLS FIRST'}" for name in sort_columns(found, order_by))
        text = f"SELECT {_names(found.columns)} FROM {_quoted(table)}{condition_text} ORDER BY {order}"
        if limit is not None:
            text, arguments = f"{text} LIMIT %s", (*arguments, limit)
        return _rows(found, await self._session.run(lambda connection: fetch(connection, text, arguments)))

    async def everything(self) -> dict[str, tuple[Row, ...]]:
        """All rows of all tables as of one instant, each table by its primary key."""

        async def read(connection: AsyncConnection[Any]) -> dict[str, tuple[Row, ...]]:
            async with connection.transaction():
                await connection.execute(_VIEW)
                return {table.name: _rows(table, await fetch(connection, _all(table))) for table in TABLES}

        return await self._session.run(read, limit_seconds=None)

    async def close(self) -> None:
        """Disconnect; a second call does nothing."""
        await self._session.close()

    async def _begun(self, start: Any) -> PostgresArchive:
        try:
            await start
        except BaseException:
            await self.close()
            raise
        return self

    async def _prepare(self, connection: AsyncConnection[Any]) -> None:
        async with connection.transaction():
            if await self._notes.make(connection):
                await self._notes.write(connection, "schema", 0)
            found = await self._notes.schema(connection, supported=SCHEMA)
            if found < SCHEMA:
                await migrate(connection, found)
                await self._notes.write(connection, "schema", SCHEMA)

    async def _look(self, connection: AsyncConnection[Any]) -> None:
        if not await self._notes.exist(connection):
            raise Unavailable("storage", why=f"there is no archive at {self.address}")
        found = await self._notes.schema(connection, supported=SCHEMA)
        if found < SCHEMA:
            raise UserError(f"{self.address} has an older schema ({found}).", "Start the desk once: that brings it up to date.")


async def migrate(
    connection: AsyncConnection[Any],
    found: int,
    *,
    tables: Sequence[Table] = TABLES,
    added: Sequence[AddedColumn] = ADDED,
    schema: int = SCHEMA,
) -> None:
    """Bring the tables from schema `found` to `schema`, within a transaction."""
    by_name = {table.name: table for table in tables}
    for table in tables:
        if found < table.since <= schema:
            for statement in _creation(table, [one.column for one in added if one.table == table.name and one.since > schema]):
                await connection.execute(statement)
    for one in added:
        if by_name[one.table].since <= found < one.since <= schema:
            kind = _TYPES[by_name[one.table].columns[one.column]]
            await connection.execute(f"ALTER TABLE {_quoted(one.table)} ADD COLUMN {_quoted(one.column)} {kind}")


def _creation(table: Table, later: Sequence[str]) -> list[str]:
    """The statements that make a table and its indexes."""
    columns = ", ".join(f"{_quoted(name)} {_TYPES[kind]}" for name, kind in table.columns.items() if name not in later)
    indexes = [
        f"CREATE INDEX {_quoted('_'.join(('idx', table.name, *names)))} ON {_quoted(table.name)} ({_names(names)})"
        for names in table.indexes
    ]
    return [f"CREATE TABLE {_quoted(table.name)} ({columns}, PRIMARY KEY ({_names(table.key)}))", *indexes]


def _statement(operation: Put | Delete) -> Statement:
    if isinstance(operation, Delete):
        text, arguments = _where(condition(operation))
        return f"DELETE FROM {_quoted(operation.table)}{text}", arguments
    row, key = full_row(operation), BY_NAME[operation.table].key
    changed = ", ".join(f"{_quoted(name)} = EXCLUDED.{_quoted(name)}" for name in row if name not in key)
    text = (
        f"INSERT INTO {_quoted(operation.table)} ({_names(row)}) VALUES ({', '.join(['%s'] * len(row))})"
        f" ON CONFLICT ({_names(key)}) DO {f'UPDATE SET {changed}' if changed else 'NOTHING'}"
    )
    return text, tuple(map(_sent, row.values()))


def _where(values: Mapping[str, Value]) -> Statement:
    if not values:
        return "", ()
    parts = [f"{_quoted(name)} IS NULL" if value is None else f"{_quoted(name)} = %s" for name, value in values.items()]
    return " WHERE " + " AND ".join(parts), tuple(_sent(value) for value in values.values() if value is not None)


def _all(table: Table) -> str:
    return f"SELECT {_names(table.columns)} FROM {_quoted(table.name)} ORDER BY {_names(table.key)}"


def _rows(table: Table, rows: Iterable[tuple[Any, ...]]) -> tuple[Row, ...]:
    return tuple({name: _read(value) for name, value in zip(table.columns, row, strict=True)} for row in rows)


def _sent(value: Value) -> Value:
    return to_server(value) if isinstance(value, str) else value


def _read(value: Any) -> Any:
    return from_server(value) if isinstance(value, str) else value


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(_quoted, columns))


def _quoted(name: str) -> str:
    return f'"{name}"'  # only declared names come here
