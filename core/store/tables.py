"""The ordinary tables beside the log: what they are, and the checks that make every Archive behave alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import Corrupt
from core.ports import Delete, Put

Value = str | int | float | bytes | None

_INTEGERS = range(-(2**63), 2**63)


class ArchiveError(ValueError):
    """An operation on a table, column or kind of value the archive does not have: a mistake in the program that asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: columns with their type (str, int, float or bytes), the primary key, columns that are searched, the schema it came in."""

    name: str
    columns: Mapping[str, type]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()
    since: int = 1  # the archive schema that added it


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedColumn:
    """A column that a table got later; older rows hold nothing there."""

    table: str
    column: str
    since: int


# To add a table: append it here with `since` one above SCHEMA, and raise SCHEMA. To add a column: put it into its table and name it
# in ADDED the same way. Amounts of money are text; a float column holds an opinion or a statistic.
SCHEMA = 2
ADDED: tuple[AddedColumn, ...] = ()
TABLES: tuple[Table, ...] = (
    Table(name="inbox", columns={"transport": str, "update_id": str, "at": str}, key=("transport", "update_id")),
    Table(
        name="outbox",
        columns={
            "key": str, "created_at": str, "channel": str, "urgency": str, "body": str, "delivered_at": str, "attempts": int,
        },
        key=("key",), indexes=(("delivered_at",),),
    ),
    Table(
        name="conversations",
        columns={"id": str, "person": str, "chat": str, "at": str, "role": str, "text": str, "call": str},
        key=("id",), indexes=(("person", "chat", "at"),),
    ),
    Table(name="runs", columns={"job": str, "due": str, "outcome": str, "at": str}, key=("job", "due")),
    Table(
        name="quote_history",
        columns={"symbol": str, "day": str, "open": float, "high": float, "low": float, "close": float, "volume": int, "source": str},
        key=("symbol", "day"),
    ),
    Table(name="iv_history", columns={"symbol": str, "day": str, "iv": float, "source": str}, key=("symbol", "day")),
    Table(
        name="buttons",
        columns={
            "hash": str, "line": str, "person": str, "chats": str, "card_hash": str, "ticket_id": str, "expires_at": str, "once": int,
            "used_at": str,
        },
        key=("hash",), indexes=(("ticket_id",),),
    ),
    Table(
        name="notes",
        columns={"id": str, "at": str, "person": str, "symbol": str, "text": str},
        key=("id",), indexes=(("symbol",),),
    ),
    Table(name="paper", columns={"kind": str, "key": str, "body": str}, key=("kind", "key")),
    Table(name="settings_meta", columns={"key": str, "value": str, "at": str}, key=("key",)),
    Table(
        name="people",
        columns={"identity": str, "person": str, "role": str, "name": str, "at": str, "by": str},
        key=("identity",), indexes=(("person",),), since=2,
    ),
    Table(name="invites", columns={"hash": str, "person": str, "role": str, "by": str, "expires_at": str}, key=("hash",), since=2),
    Table(name="updates", columns={"transport": str, "update_id": str, "at": str, "body": str}, key=("transport", "update_id"), since=2),
    Table(
        name="rings",
        columns={"id": str, "topic": str, "since": str, "body": str, "times": int, "answered_at": str, "answered_by": str},
        key=("id",), indexes=(("answered_at",), ("topic",)), since=2,
    ),
)
BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}


def table_of(name: str) -> Table:
    """Return a declared table."""
    table = BY_NAME.get(name)
    if table is None:
        raise ArchiveError(f"the archive has no table {name!r}; it has {', '.join(sorted(BY_NAME))}")
    return table


def full_row(operation: Put) -> dict[str, Value]:
    """Return every column of the row to put, None where it says nothing."""
    table = table_of(operation.table)
    given = checked(table, operation.row)
    missing = [name for name in table.key if given.get(name) is None]
    if missing:
        raise ArchiveError(f"a row of {table.name} needs {' and '.join(missing)}")
    return {name: given.get(name) for name in table.columns}


def condition(operation: Delete) -> dict[str, Value]:
    """Return the checked condition of a deletion."""
    return checked(table_of(operation.table), operation.where)


def checked(table: Table, values: Mapping[str, Any]) -> dict[str, Value]:
    """Return values as they will be read back; raise ArchiveError where a column or a kind of value is not the table's."""
    unknown = [name for name in values if name not in table.columns]
    if unknown:
        raise ArchiveError(f"the table {table.name} has no column {unknown[0]!r}; it has {', '.join(table.columns)}")
    return {name: _value(table, name, value) for name, value in values.items()}


def as_stored(table: Table, row: Mapping[str, Any]) -> dict[str, Value]:
    """A row as the database gave it; raise Corrupt where a value is not of its column's type, which a file does not prevent."""
    for name, value in row.items():
        if value is not None and type(value) is not table.columns[name]:
            wanted, found = table.columns[name].__name__, type(value).__name__
            raise Corrupt(f"a row of the table {table.name} holds {found} where {name} is {wanted}; restore a backup")
    return dict(row)


def check_selection(table: Table, order_by: str | None, limit: int | None) -> None:
    """Raise ArchiveError for an unknown column to sort by or a negative limit."""
    if order_by is not None:
        checked(table, {order_by: None})
    if limit is not None and limit < 0:
        raise ArchiveError(f"a limit is 0 or more, not {limit}")


def sort_columns(table: Table, order_by: str | None) -> Sequence[str]:
    """Return the columns that put rows into one definite order: the one asked for, then the primary key."""
    return tuple(dict.fromkeys((order_by, *table.key) if order_by is not None else table.key))


def _value(table: Table, column: str, value: Any) -> Value:
    wanted = table.columns[column]
    if value is None:
        return None
    if wanted is str and isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ArchiveError(f"{table.name}.{column} was given text that is not valid Unicode")
        return str(value)
    if wanted is int and isinstance(value, int) and value in _INTEGERS:
        return int(value)
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if wanted is bytes and isinstance(value, bytes):
        return value
    given = f"{value!r:.60} ({type(value).__name__})"
    raise ArchiveError(f"{table.name}.{column} holds {wanted.__name__}, not {given}; amounts are handed as text")
