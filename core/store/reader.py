"""A log in a SQLite file, read: what the owner and an onlooker have in common, and the onlooker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import Clock
from core.domain.events import Event
from core.errors import Corrupt, Unavailable
from core.ports import Snapshot
from core.store import schema, sql
from core.store.codec import COLUMNS, Row, decode, row_from
from core.store.files import make_private_directory, noted_head
from core.store.log import START, Audit, Head, audit, check_end, verify
from core.store.snapshots import whole_parts
from core.store.sqlitefile import SqliteFile, write_database

if TYPE_CHECKING:
    from core.runtime import Worker

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM event"
_BATCH = 1000


class SqliteLog(SqliteFile):
    """Reading, the same for the owner and an onlooker."""

    @property
    def library_note(self) -> str | None:
        """What doctor should say about the SQLite library in use."""
        return sql.library_note()

    async def read(self, *, after: int = 0, limit: int | None = None) -> tuple[Event, ...]:
        """Events with seq > `after` in order, their chain checked."""
        return await self._run(lambda: tuple(map(decode, self._read(after, limit))))

    async def rows(self, *, after: int = 0, limit: int | None = None) -> tuple[Row, ...]:
        """As `read`, the rows as they are stored."""
        return await self._run(lambda: self._read(after, limit))

    async def head(self) -> Head:
        """Where the log ends."""
        return await self._run(lambda: schema.read_head(self._connection))

    async def last_seq(self) -> int:
        """Sequence number of the last event, 0 for an empty log."""
        return (await self.head()).seq

    async def last_token(self) -> int:
        """The greatest lease token ever given, valid or not."""
        return await self._run(lambda: schema.read_lease(self._connection).token)

    async def backup(self, target: Path) -> None:
        """Write a complete copy of the log to `target` (0600), as of one instant; an existing file is replaced only by a whole one."""
        await self._run(lambda: self._backup(target))

    async def load_snapshot(self, name: str, *, code_version: str) -> Snapshot | None:
        """The snapshot of that name and code version if it still fits the log, else None."""
        return await self._run(lambda: self._load_snapshot(name, code_version))

    def _backup(self, target: Path) -> None:
        make_private_directory(target.parent)
        write_database(target, self._connection.backup)

    def _read(self, after: int, limit: int | None) -> tuple[Row, ...]:
        with sql.one_view(self._connection):
            return self._read_in_view(after, limit)

    def _read_in_view(self, after: int, limit: int | None) -> tuple[Row, ...]:
        head = schema.read_head(self._connection)
        if after >= head.seq or limit == 0:
            return ()
        start = START if after <= 0 else Head(seq=after, hash=self._hash_at(after))
        cursor = self._connection.execute(f"{_SELECT} WHERE seq > ? ORDER BY seq LIMIT ?", (start.seq, -1 if limit is None else limit))
        rows = tuple(verify(map(row_from, cursor.fetchall()), after=start))
        if limit is None or len(rows) < limit:
            check_end(Head(seq=rows[-1].seq, hash=rows[-1].hash) if rows else start, head)
        return rows

    def _hash_at(self, seq: int) -> str:
        found = self._connection.execute("SELECT hash FROM event WHERE seq = ?", (seq,)).fetchone()
        if found is None or not isinstance(found[0], str):
            raise Corrupt(f"event {seq} is missing from the log")
        return found[0]

    def _load_snapshot(self, name: str, code_version: str) -> Snapshot | None:
        with sql.one_view(self._connection):
            found = self._snapshot_head(name, code_version)
            if found is None:
                return None
            parts = whole_parts(self._connection.execute("SELECT part, content, digest FROM snapshot_part WHERE name = ?", (name,)))
        return None if parts is None else replace(found, parts=parts)

    def _snapshot_head(self, name: str, code_version: str) -> Snapshot | None:
        """The stored snapshot without its parts."""
        found = self._connection.execute(
            "SELECT seq, hash, state, digest FROM snapshot WHERE name = ? AND code_version = ?", (name, code_version)
        ).fetchone()
        if found is None:
            return None
        seq, end_hash, state, digest = found
        if not isinstance(state, bytes) or digest != sha256(state).hexdigest() or not 0 <= seq <= schema.read_head(self._connection).seq:
            return None
        if end_hash != (START.hash if seq == 0 else self._hash_at(seq)):
            return None
        return Snapshot(name=name, seq=seq, hash=end_hash, code_version=code_version, state=state)

    def _check_end(self, noted: Head | None) -> Head:
        """Check that the log ends where it says, and is not older than what was noted outside it."""
        with sql.one_view(self._connection):
            head = schema.read_head(self._connection)
            last = self._connection.execute("SELECT max(seq) FROM event").fetchone()[0] or 0
            check_end(Head(seq=last, hash=self._hash_at(last)) if last else START, head)
        if noted is None or noted == START:
            return head
        if noted.seq > head.seq or self._hash_at(noted.seq) != noted.hash:
            raise Corrupt(
                f"{self.path} ends at event {head.seq}, but event {noted.seq} of another history was written here: it is an older copy, or "
                "its write-ahead file (-wal) is missing or damaged; put that file back, or restore a backup"
            )
        return head


    def _check_chain(self, head: Head) -> None:
        """Check the hash of every event."""
        reached = START
        for row in verify(self._rows(head.seq)):
            reached = Head(seq=row.seq, hash=row.hash)
        check_end(reached, head)

    def _rows(self, last: int) -> Iterator[Row]:
        # Batches rather than one long statement: a reader that stays in the way lets the write-ahead file grow without bound.
        for start in range(0, last, _BATCH):
            cursor = self._connection.execute(f"{_SELECT} WHERE seq > ? AND seq <= ? ORDER BY seq", (start, min(start + _BATCH, last)))
            yield from map(row_from, cursor.fetchall())


class SqliteReader(SqliteLog):
    """A log opened only to look at, whoever owns it. Made by `open_read_only`."""

    async def audit(self) -> Audit:
        """Check every page, index and event; raise Corrupt or NewerSchema at the first fault."""
        return await self._run(self._audit)

    def _start(self) -> None:
        if not self.path.exists():
            raise Unavailable("storage", why=f"there is no database {self.path}")
        sql.check_file(self.path)
        self._open_connection = sql.connect_read_only(self.path)
        schema.check_schema(self._open_connection, self.path)
        self._check_end(noted_head(self.path))

    def _audit(self) -> Audit:
        sql.integrity(self._connection, self.path)
        head = schema.read_head(self._connection)
        return audit(self._rows(head.seq), head=head)


async def open_read_only(path: Path, *, clock: Clock, worker: Worker) -> SqliteReader:
    """Open a log that somebody else may own, without writing a byte of it."""
    reader = SqliteReader(path, clock, worker)
    await reader._begin(reader._start)
    return reader
