"""The event log in one SQLite file: one owner, one connection that writes, in one thread.

Every append is one `BEGIN IMMEDIATE` transaction that checks the fencing token and the expected end of the log, and is on the disk
when it returns. Nobody else ever writes the file: the lock is taken before it is opened and ends with the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import Clock
from core.domain.events import Draft, Event
from core.errors import Conflict, Corrupt, LeaseLost
from core.ports import Snapshot
from core.store import schema, sql
from core.store.codec import COLUMNS, Row, decode, encode
from core.store.files import LockFile, make_private_directory, refuse_access, sync_directory
from core.store.log import Head
from core.store.reader import SqliteLog, SqliteReader, open_read_only

if TYPE_CHECKING:
    from core.runtime import Worker

__all__ = ["SqliteReader", "SqliteStore", "open_read_only"]

_INSERT = f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
# A larger file is checked page by page only by an audit: the start of the desk must not grow with its history.
_CHECKED_BYTES = 32 * 1024 * 1024


class SqliteStore(SqliteLog):
    """The Store port over a SQLite file. Made by `open`."""

    def __init__(self, path: Path, clock: Clock, worker: Worker) -> None:
        super().__init__(path, clock, worker)
        self._lock: LockFile | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        clock: Clock,
        worker: Worker,
        accept_older: bool = False,
        migrations: schema.Migrations = schema.MIGRATIONS,
    ) -> SqliteStore:
        """Open the log for writing, creating or migrating it as needed.

        `worker` is a thread of the store's own. `accept_older` is for a restore: take the file although it lacks events that were
        written here. Raises LeaseHeld, NewerSchema, Corrupt, Unavailable or UserError, each with its sentence.
        """
        store = cls(path, clock, worker)
        try:
            await store._run(lambda: store._start(accept_older, migrations))
        except BaseException:
            await worker.run(store._let_go)
            raise
        return store

    async def append(self, drafts: Sequence[Draft], *, expected_seq: int | None = None, token: int | None = None) -> tuple[Event, ...]:
        """Store all drafts or none, synced to disk; see the port."""
        recorded_at = self._clock.now()
        return await self._run(lambda: self._append(drafts, expected_seq, token, recorded_at))

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep the newest snapshot of its name."""
        await self._run(lambda: self._save_snapshot(snapshot))

    async def acquire_lease(self, owner: str) -> int:
        """Become the owner under a new fencing token; the lock that keeps others out was taken when the store was opened."""
        return await self._run(lambda: self._acquire(owner))

    async def lease_token(self) -> int:
        """The token now valid, 0 while nobody holds the lease."""
        return await self._run(lambda: _valid_token(schema.read_lease(self._connection)))

    async def release_lease(self, token: int) -> None:
        """Give the lease up, if the token still holds it."""
        await self._run(lambda: self._release(token))

    async def backup(self, target: Path) -> None:
        """Write a complete copy of the log to `target` (0600), as of one instant; an existing file is replaced only by a whole one."""
        await self._run(lambda: self._backup(target))

    async def close(self) -> None:
        """Empty the write-ahead file into the database, let go of file and lock; a second call does nothing."""
        await self._worker.run(self._finish)

    def _start(self, accept_older: bool, migrations: schema.Migrations) -> None:
        make_private_directory(self.path.parent)
        self._lock = LockFile(self.path)
        if not self.path.exists():
            self._create(migrations)
        refuse_access(self.path, by_others=0o077, what="can be read by other users of this machine")
        sql.check_file(self.path)
        connection = self._open_connection = sql.connect(self.path)
        schema.migrate(connection, self.path, migrations)
        if self.path.stat().st_size <= _CHECKED_BYTES:
            sql.integrity(connection, self.path)
        self._lock.note(self._check_end(None if accept_older else self._lock.noted))

    def _create(self, migrations: schema.Migrations) -> None:
        wal = self.path.with_name(self.path.name + "-wal")
        if wal.exists():
            raise Corrupt(f"{self.path} is missing although its write-ahead file {wal.name} is there; restore a backup")
        # Made under another name, so that a file under this one was always whole: an empty one is damage, never a beginning.
        draft = self.path.with_name(self.path.name + ".new")
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = sql.connect(draft)
        try:
            schema.create(connection, migrations)
        finally:
            connection.close()
        os.replace(draft, self.path)
        sync_directory(self.path.parent)

    def _append(self, drafts: Sequence[Draft], expected_seq: int | None, token: int | None, recorded_at: datetime) -> tuple[Event, ...]:
        connection = self._connection
        with sql.transaction(connection):
            if token is not None and token != _valid_token(schema.read_lease(connection)):
                raise LeaseLost()
            head = schema.read_head(connection)
            if expected_seq is not None and expected_seq != head.seq:
                raise Conflict(expected_seq=expected_seq, actual_seq=head.seq)
            rows: list[Row] = []
            for draft in self._new(drafts):
                row = encode(draft, seq=head.seq + 1, prev_hash=head.hash, recorded_at=recorded_at)
                head = Head(seq=row.seq, hash=row.hash)
                rows.append(row)
            events = tuple(map(decode, rows))  # what could not be read back is not written
            if rows:
                connection.executemany(_INSERT, [tuple(getattr(row, name) for name in COLUMNS) for row in rows])
                schema.write_head(connection, head)
        if rows and self._lock is not None:
            self._lock.note(head)
        return events

    def _new(self, drafts: Sequence[Draft]) -> Iterator[Draft]:
        seen: set[str] = set()
        for draft in drafts:
            key = draft.dedupe
            if key is None:
                yield draft
            elif key not in seen:
                seen.add(key)
                if self._connection.execute("SELECT 1 FROM event WHERE dedupe = ?", (key,)).fetchone() is None:
                    yield draft

    def _save_snapshot(self, snapshot: Snapshot) -> None:
        with sql.transaction(self._connection):
            kept = self._load_snapshot(snapshot.name, snapshot.code_version)
            if kept is None or kept.seq <= snapshot.seq:
                self._connection.execute(
                    "INSERT OR REPLACE INTO snapshot (name, seq, hash, code_version, state, digest) VALUES (?, ?, ?, ?, ?, ?)",
                    (snapshot.name, snapshot.seq, snapshot.hash, snapshot.code_version, snapshot.state, sha256(snapshot.state).hexdigest()),
                )

    def _acquire(self, owner: str) -> int:
        with sql.transaction(self._connection):
            token = schema.read_lease(self._connection).token + 1
            schema.write_lease(self._connection, schema.Lease(token=token, owner=owner, pid=os.getpid()))
        return token

    def _release(self, token: int) -> None:
        with sql.transaction(self._connection):
            if _valid_token(schema.read_lease(self._connection)) == token:
                schema.write_lease(self._connection, schema.Lease(token=token))

    def _backup(self, target: Path) -> None:
        make_private_directory(target.parent)
        draft = target.with_name(target.name + ".new")
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        copy = sql.connect(draft)
        try:
            self._connection.backup(copy)
            sql.integrity(copy, draft)
        finally:
            copy.close()
        os.replace(draft, target)
        sync_directory(target.parent)

    def _finish(self) -> None:
        try:
            if self._open_connection is not None and self._failed is None:
                self._guarded(lambda: sql.checkpoint(self._connection))
        finally:
            self._let_go()

    def _let_go(self) -> None:
        connection, self._open_connection = self._open_connection, None
        lock, self._lock = self._lock, None
        try:
            if connection is not None:
                connection.close()
        finally:
            if lock is not None:
                lock.release()


def _valid_token(lease: schema.Lease) -> int:
    return lease.token if lease.owner is not None else 0
