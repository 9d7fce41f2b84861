"""The event log in one SQLite file: one owner, one connection that writes, in one thread.

Every append is one `BEGIN IMMEDIATE` transaction that checks the fencing token and the expected end of the log, and is on the disk
when it returns. Nobody else ever writes the file: the lock is taken before it is opened and ends with the process.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import Clock
from core.domain.events import Draft, Event
from core.errors import Conflict, LeaseLost
from core.ports import Snapshot
from core.store import schema, sql
from core.store.codec import COLUMNS, Row, check_text, decode, stored
from core.store.log import Head, verify
from core.store.reader import SqliteLog, SqliteReader, open_read_only
from core.store.snapshots import is_newer, part_digest

if TYPE_CHECKING:
    from core.runtime import Worker

__all__ = ["SqliteReader", "SqliteStore", "open_read_only"]

_INSERT = f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


class SqliteStore(SqliteLog):
    """The Store port over a SQLite file. Made by `open`."""

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
        await store._begin(lambda: store._start(accept_older, migrations))
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

    async def adopt(self, rows: Sequence[Row], *, token: int) -> None:
        """Take the next rows of another store's log as they are; lease tokens go on above `token`. For moves and restores."""
        await self._run(lambda: self._adopt(rows, token))

    def _start(self, accept_older: bool, migrations: schema.Migrations) -> None:
        connection, lock = self._open_to_write(lambda new: schema.create(new, migrations))
        schema.migrate(connection, self.path, migrations)
        small = self._check_pages()
        head = self._check_end(None if accept_older else lock.noted)
        if small:  # of a large log a start reads what came after its snapshot
            self._check_chain(head)
        lock.note(head)

    def _append(self, drafts: Sequence[Draft], expected_seq: int | None, token: int | None, recorded_at: datetime) -> tuple[Event, ...]:
        keyed = any(draft.dedupe is not None for draft in drafts)
        try:
            return self._append_new(drafts, expected_seq, token, recorded_at)
        except sqlite3.IntegrityError:
            if not keyed:
                raise
        # Something of it is stored already: nothing was written, and now every key is looked up first.
        return self._append_new(drafts, expected_seq, token, recorded_at, look_up=True)

    def _append_new(
        self, drafts: Sequence[Draft], expected_seq: int | None, token: int | None, recorded_at: datetime, *, look_up: bool = False
    ) -> tuple[Event, ...]:
        connection = self._connection
        with sql.transaction(connection):
            head, lease = schema.read_head_and_lease(connection)
            if token is not None and token != (_valid_token(lease) or None):  # nobody's is no token
                raise LeaseLost()
            if expected_seq is not None and expected_seq != head.seq:
                raise Conflict(expected_seq=expected_seq, actual_seq=head.seq)
            rows: list[Row] = []
            events: list[Event] = []
            seq, last_hash = head.seq, head.hash
            for draft in self._new(drafts, look_up):
                seq += 1
                row, event = stored(draft, seq=seq, prev_hash=last_hash, recorded_at=recorded_at)
                last_hash = event.hash
                rows.append(row)
                events.append(event)
            self._insert(rows)
        if rows and self._lock is not None:
            self._lock.note(Head(seq=seq, hash=last_hash))
        return tuple(events)

    def _adopt(self, rows: Sequence[Row], token: int) -> None:
        connection = self._connection
        with sql.transaction(connection):
            for row in verify(rows, after=schema.read_head(connection)):
                decode(row)
            self._insert(rows)
            schema.write_lease(connection, schema.Lease(token=max(token, schema.read_lease(connection).token)))
        if rows and self._lock is not None:
            self._lock.note(Head(seq=rows[-1].seq, hash=rows[-1].hash))

    def _insert(self, rows: Sequence[Row]) -> None:
        if rows:
            self._connection.executemany(_INSERT, rows)
            schema.write_head(self._connection, Head(seq=rows[-1].seq, hash=rows[-1].hash))

    def _new(self, drafts: Sequence[Draft], look_up: bool) -> Iterator[Draft]:
        """Drafts whose key does not come twice and, with `look_up`, is not stored. Without it the index refuses what is."""
        seen: set[str] = set()
        for draft in drafts:
            key = draft.dedupe
            if key is None:
                yield draft
            elif key not in seen:
                seen.add(key)
                check_text(key)
                if not look_up or self._connection.execute("SELECT 1 FROM event WHERE dedupe = ?", (key,)).fetchone() is None:
                    yield draft

    def _save_snapshot(self, snapshot: Snapshot) -> None:
        name, parts = snapshot.name, snapshot.parts
        with sql.transaction(self._connection):
            kept = self._snapshot_head(name, snapshot.code_version)
            if not is_newer(snapshot, None if kept is None else kept.seq):
                return
            self._connection.execute(
                "INSERT OR REPLACE INTO snapshot (name, seq, hash, code_version, state, digest) VALUES (?, ?, ?, ?, ?, ?)",
                (name, snapshot.seq, snapshot.hash, snapshot.code_version, snapshot.state, sha256(snapshot.state).hexdigest()),
            )
            if snapshot.after is None:
                self._connection.execute("DELETE FROM snapshot_part WHERE name = ?", (name,))
            self._connection.executemany(
                "INSERT OR REPLACE INTO snapshot_part (name, part, content, digest) VALUES (?, ?, ?, ?)",
                ((name, part, content, part_digest(part, content)) for part, content in parts.items()),
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


def _valid_token(lease: schema.Lease) -> int:
    return lease.token if lease.owner is not None else 0
