"""Ordinary tables: inbox, outbox, conversations, histories, the paper exchange's ledger. Declared in `core.store.tables`.

The archive is a file of its own, `archive.db` beside the log, so that its bulk and its transactions never stand in the log's way;
it has its own lock, thread and single writing connection. sqlite-utils changes tables and is only loaded for that: making, reading and
writing are plain statements, because its own helpers commit by themselves and begin transactions that can fail at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.clock import Clock
from core.errors import Corrupt, NewerSchema, Unavailable, UserError
from core.ports import Delete, Put
from core.store import sql
from core.store.sqlitefile import SqliteFile, write_database
from core.store.tables import (
    ADDED,
    BY_NAME,
    SCHEMA,
    TABLES,
    AddedColumn,
    Table,
    Value,
    as_stored,
    check_selection,
    checked,
    condition,
    full_row,
    sort_columns,
    table_of,
)

if TYPE_CHECKING:
    from core.runtime import Worker

Row = dict[str, Any]

_ANSWER_SECONDS = 8.0  # longer than SQLite waits for a busy file, and no person's `kill` waits longer for a disk that hangs
_APPLICATION_ID = 0x74686561  # "thea", in the file's header


class SqliteArchive(SqliteFile):
    """The Archive port over a SQLite file. Made by `open`."""

    @classmethod
    async def open(cls, path: Path, *, clock: Clock, worker: Worker) -> SqliteArchive:
        """Open the archive for writing, creating or migrating it; raises as `SqliteStore.open` does."""
        archive = cls(path, clock, worker)
        await archive._begin(archive._start)
        return archive

    @classmethod
    async def open_read_only(cls, path: Path, *, clock: Clock, worker: Worker) -> SqliteArchive:
        """Open an archive that somebody else may own, only to look at it."""
        archive = cls(path, clock, worker)
        await archive._begin(archive._start_reading)
        return archive

    async def write(self, operations: Sequence[Put | Delete]) -> None:
        """Apply all operations in one durable transaction."""
        statements = [_statement(operation) for operation in operations]
        if statements:
            await self._run(lambda: self._write(statements), limit_seconds=_ANSWER_SECONDS)

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
        values = checked(found, where or {})
        text = f"SELECT {_names(found.columns)} FROM {_quoted(table)}{_where(values)} ORDER BY " + ", ".join(
            f"{_quoted(name)}{' DESC' if descending else ''}" for name in sort_columns(found, order_by)
        )
        text += " LIMIT ?"
        arguments = (*values.values(), -1 if limit is None else limit)
        rows = await self._run(lambda: self._connection.execute(text, arguments).fetchall(), limit_seconds=_ANSWER_SECONDS)
        return tuple(as_stored(found, dict(zip(found.columns, row, strict=True))) for row in rows)

    async def everything(self) -> dict[str, tuple[Row, ...]]:
        """All rows of all tables as of one instant, each table by its primary key."""
        return await self._run(self._everything)

    async def backup(self, target: Path) -> None:
        """Write a complete copy to `target` (0600), as of one instant; an existing file is replaced only by a whole one."""
        await self._run(lambda: write_database(target, self._connection.backup))

    def _start(self) -> None:
        connection, _ = self._open_to_write(_fill)
        found = self._schema(connection)
        if found < SCHEMA:
            migrate(connection, found)
        self._check_pages()

    def _start_reading(self) -> None:
        if not self.path.exists():
            raise Unavailable("storage", why=f"there is no archive {self.path}")
        sql.check_file(self.path)
        self._open_connection = sql.connect_read_only(self.path)
        if (found := self._schema(self._open_connection)) < SCHEMA:
            raise UserError(f"{self.path} has an older schema ({found}).", "Start the desk once: that brings it up to date.")
        sql.integrity(self._open_connection, self.path)

    def _schema(self, connection: sqlite3.Connection) -> int:
        if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
            raise Corrupt(f"{self.path} is not an archive of the desk; name another file, or restore a backup")
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > SCHEMA:
            raise NewerSchema(f"the archive {self.path}", found=found, supported=SCHEMA)
        return found

    def _everything(self) -> dict[str, tuple[Row, ...]]:
        with sql.one_view(self._connection):
            return {table.name: self._all(table) for table in TABLES}

    def _all(self, table: Table) -> tuple[Row, ...]:
        text = f"SELECT {_names(table.columns)} FROM {_quoted(table.name)} ORDER BY {_names(table.key)}"
        rows = self._connection.execute(text).fetchall()
        return tuple(as_stored(table, dict(zip(table.columns, row, strict=True))) for row in rows)

    def _write(self, statements: Iterable[tuple[str, tuple[Value, ...]]]) -> None:
        connection = self._connection
        with sql.transaction(connection):
            for text, values in statements:
                connection.execute(text, values)


def migrate(
    connection: sqlite3.Connection,
    found: int,
    *,
    tables: Sequence[Table] = TABLES,
    added: Sequence[AddedColumn] = ADDED,
    schema: int = SCHEMA,
) -> None:
    """Bring the tables from schema `found` to `schema` in one transaction.

    New tables are plain statements, so that a first start pays nothing for sqlite-utils (which loads pandas where it is installed, two
    seconds); changing a table that holds rows is its work.
    """
    by_name = {table.name: table for table in tables}
    with sql.transaction(connection):
        for table in tables:
            if found < table.since <= schema:
                for statement in _creation(table):
                    connection.execute(statement)
        changes = [one for one in added if by_name[one.table].since <= found < one.since <= schema]
        if changes:
            from sqlite_utils import Database

            database = Database(connection)
            for one in changes:
                database.table(one.table).add_column(one.column, by_name[one.table].columns[one.column])
        connection.execute(f"PRAGMA user_version = {schema}")


_TYPES = {str: "TEXT", int: "INTEGER", float: "REAL", bytes: "BLOB"}


def _creation(table: Table) -> list[str]:
    """The statements that make a table and its indexes."""
    columns = ", ".join(f"{_quoted(name)} {_TYPES[kind]}" for name, kind in table.columns.items())
    indexes = [
        f"CREATE INDEX {_quoted('_'.join(('idx', table.name, *names)))} ON {_quoted(table.name)} ({_names(names)})"
        for names in table.indexes
    ]
    return [f"CREATE TABLE {_quoted(table.name)} ({columns}, PRIMARY KEY ({_names(table.key)}))", *indexes]


class ArchiveFaults(Protocol):
    """Where a simulation breaks the archive; as `StoreFaults`."""

    async def before_write(self, operations: Sequence[Put | Delete]) -> None:
        """Called before anything is written."""

    async def after_write(self, operations: Sequence[Put | Delete]) -> None:
        """Called when all is durable, before the caller is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveImage:
    """Every row of every table that is durable at one instant."""

    rows: Mapping[str, tuple[Mapping[str, Value], ...]]


class MemoryArchive:
    """The Archive port in memory, behaving as the file does."""

    def __init__(self, *, image: ArchiveImage | None = None, faults: ArchiveFaults | None = None) -> None:
        self._faults = faults
        self._tables: dict[str, dict[tuple[Value, ...], dict[str, Value]]] = {name: {} for name in BY_NAME}
        for name, rows in (image.rows if image is not None else {}).items():
            self._tables[name] = {_key(BY_NAME[name], row): dict(row) for row in rows}

    @classmethod
    def from_image(cls, image: ArchiveImage, *, faults: ArchiveFaults | None = None) -> MemoryArchive:
        """Make the archive a process finds that starts after a crash."""
        return cls(image=image, faults=faults)

    def durable_image(self) -> ArchiveImage:
        """Return exactly what would survive a crash at this instant."""
        return ArchiveImage(rows={name: tuple(dict(row) for row in rows.values()) for name, rows in self._tables.items()})

    async def write(self, operations: Sequence[Put | Delete]) -> None:
        """Apply all operations or none."""
        steps: list[tuple[Table, dict[str, Value], bool]] = []
        for operation in operations:
            put = isinstance(operation, Put)
            steps.append((table_of(operation.table), full_row(operation) if isinstance(operation, Put) else condition(operation), put))
        if self._faults is not None:
            await self._faults.before_write(operations)
        for table, values, put in steps:
            rows = self._tables[table.name]
            if put:
                rows[_key(table, values)] = values
            else:
                self._tables[table.name] = {key: row for key, row in rows.items() if not _matches(row, values)}
        if self._faults is not None:
            await self._faults.after_write(operations)

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
        values = checked(found, where or {})
        columns = sort_columns(found, order_by)
        if values.keys() == set(found.key):  # one row, by its primary key
            row = self._tables[table].get(_key(found, values))
            return () if row is None or limit == 0 else (as_stored(found, row),)
        rows = [as_stored(found, row) for row in self._tables[table].values() if _matches(row, values)]
        rows.sort(key=lambda row: tuple((row[name] is not None, row[name]) for name in columns), reverse=descending)
        return tuple(rows if limit is None else rows[:limit])

    async def close(self) -> None:
        """Nothing to let go of."""


def _fill(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    migrate(connection, 0)


def _statement(operation: Put | Delete) -> tuple[str, tuple[Value, ...]]:
    if isinstance(operation, Put):
        row = full_row(operation)
        marks = ", ".join("?" * len(row))
        return f"INSERT OR REPLACE INTO {_quoted(operation.table)} ({_names(row)}) VALUES ({marks})", tuple(row.values())
    values = condition(operation)
    return f"DELETE FROM {_quoted(operation.table)}{_where(values)}", tuple(values.values())


def _where(values: Mapping[str, Value]) -> str:
    return " WHERE " + " AND ".join(f"{_quoted(name)} IS ?" for name in values) if values else ""


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(_quoted, columns))


def _quoted(name: str) -> str:
    return f'"{name}"'  # only declared names come here


def _key(table: Table, row: Mapping[str, Value]) -> tuple[Value, ...]:
    return tuple(row[name] for name in table.key)


def _matches(row: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    return all(row[name] == value for name, value in values.items())
