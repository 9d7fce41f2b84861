"""What every SQLite file of the desk has in common: how it is opened, how a transaction runs, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from core.errors import Corrupt, DeskError, Unavailable

MAGIC = b"SQLite format 3\x00"
WAL_PAGES = 1000  # a checkpoint is tried whenever the write-ahead file has this many pages
_WAL_BYTES = 4 * 1024 * 1024  # what is left of the write-ahead file after a checkpoint
_BUSY_MILLISECONDS = 5000
_RESET_BUG = ((3, 7, 0), (3, 51, 2))

_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full, or a limit on its use is reached; nothing was written",
    sqlite3.SQLITE_READONLY: "the database or its file system is read-only; nothing was written",
    sqlite3.SQLITE_BUSY: "another program holds the database; nothing was written",
    sqlite3.SQLITE_LOCKED: "another program holds the database; nothing was written",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened",
    sqlite3.SQLITE_PERM: "access to the database is refused",
    sqlite3.SQLITE_NOMEM: "there is not enough memory; nothing was written",
    sqlite3.SQLITE_IOERR: "reading or writing the disk failed; whether the last write was kept is known after a restart",
}


def connect(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes: WAL, every commit synced, transactions begun by hand."""
    connection = sqlite3.connect(_address(path, "rw"), uri=True, isolation_level=None, timeout=_BUSY_MILLISECONDS / 1000)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write, and so cannot checkpoint either."""
    connection = sqlite3.connect(_address(path, "ro"), uri=True, isolation_level=None, timeout=_BUSY_MILLISECONDS / 1000)
    connection.execute("PRAGMA query_only = ON")
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one write transaction: all of it durable when the block is left, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def one_view(connection: sqlite3.Connection) -> Iterator[None]:
    """Let every statement of the block see the database as of one instant, whatever the owner writes meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def checkpoint(connection: sqlite3.Connection) -> None:
    """Move everything from the write-ahead file into the database; raise where that fails."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def make_single(path: Path) -> None:
    """Leave a database as one file that can be read where nothing can be written."""
    connection = connect(path)
    try:
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        connection.close()


def check_file(path: Path) -> None:
    """Raise Corrupt unless the file begins as a SQLite database does; called before SQLite gets to see it."""
    with path.open("rb") as file:
        beginning = file.read(100)
    # Bytes 18 and 19 are the journal's kind, old (1) or write-ahead (2): with anything else SQLite takes the file for a read-only one.
    if not beginning.startswith(MAGIC) or len(beginning) < 100 or beginning[18:20] not in (b"\1\1", b"\2\2"):
        what = "is empty" if not beginning else "is not a database, or its beginning was overwritten"
        raise Corrupt(f"{path} {what}; restore a backup, or move the file away to start anew")


def integrity(connection: sqlite3.Connection, path: Path) -> None:
    """Have SQLite read every page and index; raise Corrupt with its first finding."""
    found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    if found != "ok":
        raise Corrupt(f"{path} is damaged ({found.splitlines()[-1]}); restore a backup")


def look_at(path: Path, now: datetime, every_page: bool) -> None:
    """Open a database only to see that it can be read, all of it with `every_page`; raise Corrupt or Unavailable where it cannot."""
    check_file(path)
    try:
        with contextlib.closing(connect_read_only(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if every_page:
                integrity(connection, path)
    except sqlite3.Error as error:
        raise storage_error(error, path, since=now) from error


def storage_error(error: sqlite3.Error, path: Path, *, since: datetime) -> DeskError:
    """Say what a SQLite error means to the desk. The statements are the desk's own, so what SQLite cannot run points at the file."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    reason = _REASONS.get(code)
    if code in _DAMAGE or reason is None:
        return Corrupt(f"{path} is damaged ({error}); restore a backup")
    return Unavailable("storage", since=since, why=f"{reason} ({path}: {error})")


def is_final(error: sqlite3.Error) -> bool:
    """True after a failed read, write or sync: what the disk holds is unknown until the file is opened again."""
    return (getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF) == sqlite3.SQLITE_IOERR


def library_note(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str | None:
    """Return what is to be known about the SQLite library in use, None for nothing."""
    first, last = _RESET_BUG
    if not first <= version <= last:
        return None
    named = ".".join(str(part) for part in version)
    return (
        f"SQLite {named} can damage a write-ahead log that two connections write at once (3.7.0 to 3.51.2); "
        "the desk is safe from it because only one connection ever writes"
    )


def _address(path: Path, mode: str) -> str:
    return f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}"
