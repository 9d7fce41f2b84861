"""A SQLite file held open in one thread: how it comes to be, how its errors are told, how it is let go."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.clock import Clock
from core.errors import Corrupt, DeskError, Unavailable
from core.store import sql
from core.store.files import LockFile, make_private_directory, refuse_access, sync_directory
from core.store.log import START

if TYPE_CHECKING:
    from core.runtime import Worker

T = TypeVar("T")

# A larger file is checked page by page and event by event only by an audit: the start of the desk must not grow with its history.
_CHECKED_BYTES = 32 * 1024 * 1024


class SqliteFile:
    """The base of everything kept in a SQLite file. After a failed read, write or sync it refuses all work until opened again."""

    def __init__(self, path: Path, clock: Clock, worker: Worker) -> None:
        self.path = path
        self._clock = clock
        self._worker = worker
        self._open_connection: sqlite3.Connection | None = None
        self._lock: LockFile | None = None
        self._failed: DeskError | None = None

    async def close(self) -> None:
        """Let go of file and lock; a second call does nothing.

        SQLite empties the write-ahead file into the database at that. Where it cannot (a full disk, an onlooker), nothing is lost: the
        file stays and the next start reads it.
        """
        await self._worker.run(self._let_go)

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._open_connection is None:
            raise Unavailable("storage", why=f"{self.path} is closed")
        return self._open_connection

    async def _begin(self, start: Callable[[], None]) -> None:
        try:
            await self._run(start)
        except BaseException:
            await self._worker.run(self._let_go)
            raise

    async def _run(self, work: Callable[[], T], *, limit_seconds: float | None = None) -> T:
        try:
            return await self._worker.run(self._guarded, work, limit_seconds=limit_seconds)
        except TimeoutError as error:
            why = f"{self.path}: no answer of the disk in {limit_seconds:g} seconds; whether anything was written is known when it answers"
            raise Unavailable("storage", since=self._clock.now(), why=why) from error

    def _guarded(self, work: Callable[[], T]) -> T:
        if self._failed is not None:
            raise self._failed
        try:
            return work()
        except sqlite3.Error as error:
            told = sql.storage_error(error, self.path, since=self._clock.now())
            if sql.is_final(error):
                self._failed = told
            raise told from error
        except UnicodeDecodeError as error:  # how Python's binding fails on a damaged table of contents
            raise Corrupt(f"{self.path} is damaged (it holds text that is none); restore a backup") from error
        except OSError as error:
            raise Unavailable("storage", since=self._clock.now(), why=f"{self.path}: {error.strerror or error}") from error

    def _open_to_write(self, fill: Callable[[sqlite3.Connection], None]) -> tuple[sqlite3.Connection, LockFile]:
        """Take the lock, make the file with `fill` where there is none, and connect."""
        make_private_directory(self.path.parent)
        lock = self._lock = LockFile(self.path)
        wal = self.path.with_name(self.path.name + "-wal")
        if not self.path.exists() and wal.exists():
            raise Corrupt(f"{self.path} is missing although its write-ahead file {wal.name} is there; restore a backup")
        if not self.path.exists() and lock.noted not in (None, START):
            raise Corrupt(f"{self.path} is missing, but events were written here; put it back, or restore a backup")
        if not self.path.exists():
            write_database(self.path, fill)
        refuse_access(self.path, by_others=0o077, what="can be read by other users of this machine")
        sql.check_file(self.path)
        connection = self._open_connection = sql.connect(self.path)
        return connection, lock

    def _check_pages(self) -> bool:
        """Have every page of a small file read; False for a large one."""
        small = self.path.stat().st_size <= _CHECKED_BYTES
        if small:
            sql.integrity(self._connection, self.path)
        return small

    def _let_go(self) -> None:
        connection, self._open_connection = self._open_connection, None
        lock, self._lock = self._lock, None
        try:
            if connection is not None:
                connection.close()
        finally:
            if lock is not None:
                lock.release()


def write_database(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Put a database (0600) at `path` in one step: what `fill` wrote into an empty one, complete and synced, or nothing.

    It is made under another name, so that a file under its own name was always whole: an empty one is damage, never a beginning.
    """
    draft = path.with_name(path.name + ".new")
    for leftover in (draft, draft.with_name(draft.name + "-wal"), draft.with_name(draft.name + "-shm")):
        leftover.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sql.connect(draft)
    try:
        fill(connection)
        sql.checkpoint(connection)
        sql.integrity(connection, draft)
    finally:
        connection.close()
    os.replace(draft, path)
    sync_directory(path.parent)
