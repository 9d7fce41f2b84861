"""The tables of the event log and how they change. A released migration is never edited; a new one is added at the end."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from core.errors import Corrupt, NewerSchema
from core.store.log import START, Head
from core.store.sql import transaction

APPLICATION_ID = 0x74686564  # "thed", in the file's header
Migrations = Sequence[Iterable[str]]

MIGRATIONS: Migrations = (
    (
        """CREATE TABLE event (
            seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL, at TEXT NOT NULL,
            recorded_at TEXT NOT NULL, actor TEXT NOT NULL, causation TEXT NOT NULL, correlation TEXT NOT NULL, dedupe TEXT,
            body TEXT NOT NULL, hash TEXT NOT NULL)""",
        "CREATE UNIQUE INDEX event_dedupe ON event (dedupe) WHERE dedupe IS NOT NULL",
        "CREATE TRIGGER event_is_not_changed BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END",
        "CREATE TRIGGER event_is_not_removed BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END",
        """CREATE TABLE snapshot (
            name TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash TEXT NOT NULL, code_version TEXT NOT NULL, state BLOB NOT NULL,
            digest TEXT NOT NULL)""",
    ),
    (
        """CREATE TABLE snapshot_part (
            name TEXT NOT NULL, part TEXT NOT NULL, content BLOB NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (name, part))""",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who owns the log; `token` only ever grows, and is valid while there is an owner."""

    token: int = 0
    owner: str | None = None
    pid: int | None = None


def create(connection: sqlite3.Connection, migrations: Migrations = MIGRATIONS) -> None:
    """Set up an empty database."""
    with transaction(connection):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal TEXT NOT NULL) WITHOUT ROWID")
        _put(connection, "schema", 0)
        write_head(connection, START)
        write_lease(connection, Lease())
        _apply(connection, migrations, 0)


def migrate(connection: sqlite3.Connection, path: Path, migrations: Migrations = MIGRATIONS) -> int:
    """Bring an existing database up to date in one transaction; return the schema it had.

    Raises NewerSchema where a later program wrote it, Corrupt where it is no database of the desk.
    """
    found = check_schema(connection, path, supported=len(migrations))
    if found < len(migrations):
        with transaction(connection):
            _apply(connection, migrations, found)
    return found


def check_schema(connection: sqlite3.Connection, path: Path, *, supported: int = len(MIGRATIONS)) -> int:
    """Return the schema of a database this program can read."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise Corrupt(f"{path} is not a database of the desk; name another file, or restore a backup")
    found = _get(connection, "schema")
    if not isinstance(found, int):
        raise Corrupt(f"{path} does not say which schema it has; restore a backup")
    if found > supported:
        raise NewerSchema(f"the database {path}", found=found, supported=supported)
    return found


def read_head(connection: sqlite3.Connection) -> Head:
    """Return where the log ends."""
    return _head(connection.execute("SELECT value, seal FROM meta WHERE key = 'head'").fetchone())


def read_head_and_lease(connection: sqlite3.Connection) -> tuple[Head, Lease]:
    """Return where the log ends and who owns it, as they stand in this transaction; one look for every append."""
    rows = {key: row for key, *row in connection.execute("SELECT key, value, seal FROM meta WHERE key IN ('head', 'lease')")}
    return _head(rows.get("head")), _lease(rows.get("lease"))


def write_head(connection: sqlite3.Connection, head: Head) -> None:
    """Note where the log ends, in the transaction that moves the end."""
    _put(connection, "head", [head.seq, head.hash])


def read_lease(connection: sqlite3.Connection) -> Lease:
    """Return the lease as it stands in this transaction."""
    return _lease(connection.execute("SELECT value, seal FROM meta WHERE key = 'lease'").fetchone())


def write_lease(connection: sqlite3.Connection, lease: Lease) -> None:
    """Hand the lease over, or give it up."""
    _put(connection, "lease", [lease.token, lease.owner, lease.pid])


def sealed(key: str, value: Any) -> tuple[str, str]:
    """Return a note as stored: its text, and a seal that a changed text does not fit."""
    text = json.dumps(value)
    return text, _seal(key, text)


def unsealed(key: str, row: tuple[Any, ...] | None) -> Any:
    """Return what a stored note says; raise Corrupt where it is missing or was changed."""
    if row is None or row[1] != _seal(key, row[0]):
        raise Corrupt(f"the database's own note of its {key} is damaged; restore a backup")
    return json.loads(row[0])


def _head(row: Sequence[Any] | None) -> Head:
    seq, end_hash = _known("head", row)
    return Head(seq=seq, hash=end_hash)


def _lease(row: Sequence[Any] | None) -> Lease:
    token, owner, pid = _known("lease", row)
    return Lease(token=token, owner=owner, pid=pid)


def _known(key: str, row: Sequence[Any] | None) -> tuple[Any, ...]:
    """A note that was read before need not be checked again: the same text with the same seal says the same."""
    return tuple(unsealed(key, None)) if row is None else _unsealed(key, *row)


@lru_cache(maxsize=64)
def _unsealed(key: str, *row: Any) -> tuple[Any, ...]:
    return tuple(unsealed(key, row))


def _apply(connection: sqlite3.Connection, migrations: Migrations, found: int) -> None:
    for statements in migrations[found:]:
        for statement in statements:
            connection.execute(statement)
    _put(connection, "schema", len(migrations))


def _put(connection: sqlite3.Connection, key: str, value: Any) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (key, *sealed(key, value)))


def _get(connection: sqlite3.Connection, key: str) -> Any:
    return unsealed(key, connection.execute("SELECT value, seal FROM meta WHERE key = ?", (key,)).fetchone())


def _seal(key: str, text: object) -> str:
    return sha256(f"{key}={text}".encode("utf-8", "replace")).hexdigest()[:16]
