"""The event log on a PostgreSQL server: one session that writes, appends one after another, each on the server's disk when it returns.

Every append is one transaction that first locks the row with the end of the log and the lease: so appends of two sessions follow each
other, and each sees the fencing token and the end as they are. Rows and hashes are byte for byte those of the other stores.

A connection that breaks during COMMIT leaves the question whether it was kept. It is answered on a new connection by looking for the
very hash that was to be written, behind the same row lock, which the old transaction holds until it has ended one way or the other.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.clock import Clock
from core.domain.events import Draft, Event
from core.errors import Conflict, Corrupt, LeaseHeld, LeaseLost, Unavailable
from core.ports import Snapshot
from core.store.codec import COLUMNS, Row, check_text, decode, row_from, stored
from core.store.files import LockFile, make_private_directory, noted_head
from core.store.log import START, Audit, Auditing, Head, check_end, verify
from core.store.postgres.address import Address
from core.store.postgres.schema import MIGRATIONS, Migrations, Notes, head_of, lease_of, prepare_log, write_head, write_lease
from core.store.postgres.session import ConnectionLost, Session, fetch, from_server, to_server
from core.store.schema import Lease
from core.store.snapshots import is_newer, part_digest, whole_parts

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from core.runtime import Runtime

T = TypeVar("T")

_BATCH = 2000
_IN_THREAD = 100  # more events than this are coded in a thread: the loop has others to serve
_TYPES = {"seq": "bigint", "version": "bigint"}
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM event"
_INSERT = f"INSERT INTO event ({', '.join(COLUMNS)}) SELECT * FROM unnest(" + ", ".join(
    f"%s::{_TYPES.get(name, 'text')}[]" for name in COLUMNS
) + ")"
_KNOWN = "SELECT dedupe FROM event WHERE dedupe = ANY(%s::text[])"
_VIEW = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class PostgresLog:
    """Reading, the same for the owner and an onlooker."""

    def __init__(self, session: Session, *, clock: Clock, runtime: Runtime) -> None:
        self.address = session.address
        self._session = session
        self._clock = clock
        self._runtime = runtime
        self._notes = Notes(session.address, "meta")

    async def read(self, *, after: int = 0, limit: int | None = None) -> tuple[Event, ...]:
        """Events with seq > `after` in order, their chain checked."""
        return await self._aside(_decoded, await self.rows(after=after, limit=limit))

    async def rows(self, *, after: int = 0, limit: int | None = None) -> tuple[Row, ...]:
        """As `read`, the rows as they are stored."""
        return await self._session.run(lambda connection: self._rows(connection, after, limit), limit_seconds=None)

    async def head(self) -> Head:
        """Where the log ends."""
        return await self._session.run(self._head)

    async def last_seq(self) -> int:
        """Sequence number of the last event, 0 for an empty log."""
        return (await self.head()).seq

    async def last_token(self) -> int:
        """The greatest lease token ever given, valid or not."""
        return (await self._session.run(self._lease)).token

    async def load_snapshot(self, name: str, *, code_version: str) -> Snapshot | None:
        """The snapshot of that name and code version if it still fits the log, else None."""
        return await self._session.run(lambda connection: self._load_snapshot(connection, name, code_version), limit_seconds=None)

    async def lease_token(self) -> int:
        """The token now valid, 0 while nobody holds the lease."""
        return _valid_token(await self._session.run(self._lease))

    async def close(self) -> None:
        """Disconnect; a second call does nothing."""
        await self._session.close()

    async def _head(self, connection: AsyncConnection[Any]) -> Head:
        return head_of(await self._notes.read(connection, "head"))

    async def _lease(self, connection: AsyncConnection[Any]) -> Lease:
        return lease_of(await self._notes.read(connection, "lease"))

    async def _rows(self, connection: AsyncConnection[Any], after: int, limit: int | None) -> tuple[Row, ...]:
        found: list[Row] = []
        async with connection.transaction():
            await connection.execute(_VIEW)
            head = await self._head(connection)
            if after >= head.seq or limit == 0:
                return ()
            start = START if after <= 0 else Head(seq=after, hash=await self._hash_at(connection, after))
            last = head.seq if limit is None else min(head.seq, start.seq + limit)
            reached = start
            async for batch in self._batches(connection, start.seq, last):
                checked = await self._aside(_verified, batch, reached)
                found += checked
                reached = Head(seq=checked[-1].seq, hash=checked[-1].hash) if checked else reached
            check_end(reached, head if last == head.seq else Head(seq=last, hash=reached.hash))
        return tuple(found)

    async def _batches(self, connection: AsyncConnection[Any], after: int, last: int) -> AsyncIterator[list[tuple[Any, ...]]]:
        for start in range(after, last, _BATCH):
            yield await fetch(connection, f"{_SELECT} WHERE seq > %s AND seq <= %s ORDER BY seq", (start, min(start + _BATCH, last)))

    async def _hash_at(self, connection: AsyncConnection[Any], seq: int) -> str:
        found = await fetch(connection, "SELECT hash FROM event WHERE seq = %s", (seq,))
        if not found:
            raise Corrupt(f"event {seq} is missing from the log")
        return str(found[0][0])

    async def _load_snapshot(self, connection: AsyncConnection[Any], name: str, code_version: str) -> Snapshot | None:
        async with connection.transaction():
            await connection.execute(_VIEW)
            found = await self._snapshot_head(connection, name, code_version)
            if found is None:
                return None
            rows = await fetch(connection, "SELECT part, content, digest FROM snapshot_part WHERE name = %s", (to_server(name),))
        parts = await self._aside(whole_parts, [(from_server(part), content, digest) for part, content, digest in rows])
        return None if parts is None else replace(found, parts=parts)

    async def _snapshot_head(self, connection: AsyncConnection[Any], name: str, code_version: str) -> Snapshot | None:
        """The stored snapshot without its parts."""
        statement = "SELECT seq, hash, state, digest FROM snapshot WHERE name = %s AND code_version = %s"
        found = await fetch(connection, statement, (to_server(name), to_server(code_version)))
        if not found:
            return None
        seq, end_hash, state, digest = found[0]
        if digest != sha256(state).hexdigest() or not 0 <= seq <= (await self._head(connection)).seq:
            return None
        if end_hash != (START.hash if seq == 0 else await self._hash_at(connection, seq)):
            return None
        return Snapshot(name=name, seq=seq, hash=end_hash, code_version=code_version, state=state)

    async def _check_end(self, connection: AsyncConnection[Any], noted: Head | None) -> Head:
        """Check that the log ends where it says, and is not older than what was noted outside it."""
        async with connection.transaction():
            await connection.execute(_VIEW)
            head = await self._head(connection)
            [(last,)] = await fetch(connection, "SELECT coalesce(max(seq), 0) FROM event")
            check_end(Head(seq=last, hash=await self._hash_at(connection, last)) if last else START, head)
            if noted is None or noted == START:
                return head
            if noted.seq > head.seq or await self._hash_at(connection, noted.seq) != noted.hash:
                raise Corrupt(
                    f"{self.address} ends at event {head.seq}, but event {noted.seq} of another history was written from this directory: "
                    "the server has an older copy, or it is another database; restore a backup"
                )
        return head

    async def _aside(self, work: Callable[..., T], rows: Sequence[Any], *more: Any) -> T:
        return await self._runtime.in_thread(work, rows, *more) if len(rows) > _IN_THREAD else work(rows, *more)


class PostgresStore(PostgresLog):
    """The Store port over a PostgreSQL schema. Made by `open`."""

    _lock: LockFile | None = None

    @classmethod
    async def open(
        cls,
        address: Address,
        *,
        clock: Clock,
        runtime: Runtime,
        note: Path | None = None,
        accept_older: bool = False,
        migrations: Migrations = MIGRATIONS,
        patience_seconds: float = 1.0,
    ) -> PostgresStore:
        """Open the log for writing, creating or migrating its tables as needed.

        `note` is a name in the data directory: beside it a lock file keeps a second process of that directory out and remembers how far
        the log went, so that an older copy on the server is noticed; `accept_older` takes it all the same. `patience_seconds` is how
        long a dead owner's session may linger. Raises LeaseHeld, NewerSchema, Corrupt, Unavailable or UserError.
        """
        lock = None
        if note is not None:
            make_private_directory(note.parent)
            lock = LockFile(note)
        try:
            store = cls(await _owner(address, clock, runtime, patience_seconds), clock=clock, runtime=runtime)
            store._lock = lock
            try:
                noted = lock.noted if lock is not None and not accept_older else None
                if noted not in (None, START) and not await store._session.run(store._notes.exist):
                    raise Corrupt(f"there is no log at {address}, but events were written from here; put it back, or restore a backup")
                await store._session.write(lambda connection: prepare_log(connection, store._notes, migrations))
                head = await store._session.run(lambda connection: store._check_end(connection, noted))
            except BaseException:
                await store.close()
                raise
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        if lock is not None:
            lock.note(head)
        return store

    async def append(self, drafts: Sequence[Draft], *, expected_seq: int | None = None, token: int | None = None) -> tuple[Event, ...]:
        """Store all drafts or none, on the server's disk; see the port."""
        recorded_at = self._clock.now()
        lost: ConnectionLost | None = None
        for _ in range(2):
            planned: list[tuple[Row, Event]] = []
            work = partial(self._append, drafts=tuple(drafts), expected_seq=expected_seq, token=token, at=recorded_at, planned=planned)
            try:
                await self._session.write(work, again=False)
            except ConnectionLost as error:
                lost = error
                if not await self._was_kept([row for row, _ in planned], error):
                    continue
            if planned and self._lock is not None:
                self._lock.note(Head(seq=planned[-1][0].seq, hash=planned[-1][0].hash))
            return tuple(event for _, event in planned)
        raise Unavailable("storage", self._clock.now(), f"{lost.why if lost else self.address}; nothing was written") from lost

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep the newest snapshot of its name."""
        await self._session.write(lambda connection: self._save_snapshot(connection, snapshot))

    async def acquire_lease(self, owner: str) -> int:
        """Become the owner under a new fencing token; the lock that keeps others out was taken when the store was opened."""

        async def acquire(connection: AsyncConnection[Any]) -> int:
            async with connection.transaction():
                token = lease_of(await self._notes.read(connection, "lease", lock=True)).token + 1
                await write_lease(connection, self._notes, Lease(token=token, owner=owner, pid=os.getpid()))
            return token

        return await self._session.write(acquire)

    async def release_lease(self, token: int) -> None:
        """Give the lease up, if the token still holds it."""

        async def release(connection: AsyncConnection[Any]) -> None:
            async with connection.transaction():
                if _valid_token(lease_of(await self._notes.read(connection, "lease", lock=True))) == token:
                    await write_lease(connection, self._notes, Lease(token=token))

        await self._session.run(release)

    async def adopt(self, rows: Sequence[Row], *, token: int) -> None:
        """Take the next rows of another store's log as they are; lease tokens go on above `token`. For moves and restores."""

        async def take(connection: AsyncConnection[Any]) -> None:
            async with connection.transaction():
                notes = await self._notes.read(connection, "head", "lease", lock=True)
                fresh = [row for row in rows if row.seq > head_of(notes).seq]  # a repetition after a lost connection
                for row in verify(fresh, after=head_of(notes)):
                    decode(row)
                await self._insert(connection, fresh)
                await write_lease(connection, self._notes, Lease(token=max(token, lease_of(notes).token)))

        await self._session.write(take)

    async def close(self) -> None:
        """Disconnect, which frees the log for another owner; a second call does nothing."""
        await self._session.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    async def _append(
        self,
        connection: AsyncConnection[Any],
        *,
        drafts: tuple[Draft, ...],
        expected_seq: int | None,
        token: int | None,
        at: datetime,
        planned: list[tuple[Row, Event]],
    ) -> None:
        # A pipeline: what needs no answer first travels together, so an append takes two ways to the server and back instead of six.
        keys = _keys(drafts)
        async with connection.pipeline(), connection.transaction():
            locked = await self._notes.ask(connection, "head", "lease", lock=True)
            asked = await connection.execute(_KNOWN, (keys,)) if keys else None
            notes = await self._notes.answer(locked)
            if token is not None and token != (_valid_token(lease_of(notes)) or None):  # nobody's is no token
                raise LeaseLost()
            head = head_of(notes)
            if expected_seq is not None and expected_seq != head.seq:
                raise Conflict(expected_seq=expected_seq, actual_seq=head.seq)
            known = frozenset(from_server(key) for (key,) in await asked.fetchall()) if asked is not None else frozenset()
            planned += await self._aside(_planned, drafts, known, head, at)
            await self._insert(connection, [row for row, _ in planned])

    async def _insert(self, connection: AsyncConnection[Any], rows: Sequence[Row]) -> None:
        if rows:
            await connection.execute(_INSERT, [list(map(_value, column)) for column in zip(*rows, strict=True)])
            await write_head(connection, self._notes, Head(seq=rows[-1].seq, hash=rows[-1].hash))

    async def _was_kept(self, planned: Sequence[Row], lost: ConnectionLost) -> bool:
        """Find out, after a lost connection, whether what was being written is there."""
        if not planned:
            return False

        async def look(connection: AsyncConnection[Any]) -> bool:
            async with connection.transaction():
                await self._notes.read(connection, "head", lock=True)  # waits for the lost transaction to have ended
                found = await fetch(connection, "SELECT hash FROM event WHERE seq = %s", (planned[-1].seq,))
                return found == [(planned[-1].hash,)]

        try:
            return await self._session.run(look)
        except Unavailable as error:
            why = f"{lost.why} during a write, and the server does not answer; whether it was kept is known when it is back"
            raise Unavailable("storage", self._clock.now(), why) from error

    async def _save_snapshot(self, connection: AsyncConnection[Any], snapshot: Snapshot) -> None:
        async with connection.transaction():
            kept = await self._snapshot_head(connection, snapshot.name, snapshot.code_version)
            if not is_newer(snapshot, None if kept is None else kept.seq):
                return
            await connection.execute(
                "INSERT INTO snapshot (name, seq, hash, code_version, state, digest) VALUES (%s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (name) DO UPDATE SET seq = EXCLUDED.seq, hash = EXCLUDED.hash, code_version = EXCLUDED.code_version,"
                " state = EXCLUDED.state, digest = EXCLUDED.digest",
                (
                    to_server(snapshot.name), snapshot.seq, snapshot.hash, to_server(snapshot.code_version), snapshot.state,
                    sha256(snapshot.state).hexdigest(),
                ),
            )
            name = to_server(snapshot.name)
            if snapshot.after is None:
                await connection.execute("DELETE FROM snapshot_part WHERE name = %s", (name,))
            if snapshot.parts:
                columns = [list(column) for column in zip(*(
                    (to_server(part), content, part_digest(part, content)) for part, content in snapshot.parts.items()
                ), strict=True)]
                await connection.execute(
                    "INSERT INTO snapshot_part (name, part, content, digest)"
                    " SELECT %s, * FROM unnest(%s::text[], %s::bytea[], %s::text[])"
                    " ON CONFLICT (name, part) DO UPDATE SET content = EXCLUDED.content, digest = EXCLUDED.digest",
                    (name, *columns),
                )


class PostgresReader(PostgresLog):
    """A log opened only to look at, whoever owns it. Made by `open`."""

    @classmethod
    async def open(cls, address: Address, *, clock: Clock, runtime: Runtime, note: Path | None = None) -> PostgresReader:
        """Open a log that somebody else may own, without writing anything."""
        reader = cls(await Session.open(address, clock=clock, runtime=runtime), clock=clock, runtime=runtime)
        try:
            await reader._session.run(lambda connection: reader._start(connection, noted_head(note) if note is not None else None))
        except BaseException:
            await reader.close()
            raise
        return reader

    async def audit(self) -> Audit:
        """Check every event; raise Corrupt or NewerSchema at the first fault."""
        return await self._session.run(self._audit, limit_seconds=None)

    async def _start(self, connection: AsyncConnection[Any], noted: Head | None) -> None:
        if not await self._notes.exist(connection):
            raise Unavailable("storage", why=f"there is no log at {self.address}")
        await self._notes.schema(connection, supported=len(MIGRATIONS))
        await self._check_end(connection, noted)

    async def _audit(self, connection: AsyncConnection[Any]) -> Audit:
        auditing = Auditing()
        async with connection.transaction():
            await connection.execute(_VIEW)
            head = await self._head(connection)
            async for batch in self._batches(connection, 0, head.seq):
                await self._runtime.in_thread(auditing.read, [_row(values) for values in batch])
        return auditing.done(head)


async def _owner(address: Address, clock: Clock, runtime: Runtime, patience_seconds: float) -> Session:
    try:
        return await Session.open(address, clock=clock, runtime=runtime, writes="log", patience_seconds=patience_seconds)
    except LeaseHeld as error:
        onlooker = await Session.open(address, clock=clock, runtime=runtime)
        notes = Notes(address, "meta")
        try:
            lease = lease_of(await onlooker.run(lambda connection: notes.read(connection, "lease")))
        except Corrupt:
            raise error from None
        finally:
            await onlooker.close()
        raise LeaseHeld(f"{lease.owner or 'another desk process'}, which owns {address}") from error


def _keys(drafts: Sequence[Draft]) -> list[str]:
    keys = [draft.dedupe for draft in drafts if draft.dedupe is not None]
    for key in keys:
        check_text(key)
    return list(map(to_server, keys))


def _planned(drafts: Sequence[Draft], known: frozenset[str], head: Head, at: datetime) -> list[tuple[Row, Event]]:
    planned = []
    for draft in _new(drafts, known):
        row, event = stored(draft, seq=head.seq + 1, prev_hash=head.hash, recorded_at=at)
        head = Head(seq=row.seq, hash=row.hash)
        planned.append((row, event))
    return planned


def _new(drafts: Sequence[Draft], known: frozenset[str]) -> Iterator[Draft]:
    seen = set(known)
    for draft in drafts:
        if draft.dedupe is None:
            yield draft
        elif draft.dedupe not in seen:
            seen.add(draft.dedupe)
            yield draft


def _verified(rows: Sequence[tuple[Any, ...]], after: Head) -> tuple[Row, ...]:
    return tuple(verify(map(_row, rows), after=after))


def _decoded(rows: Sequence[Row]) -> tuple[Event, ...]:
    return tuple(map(decode, rows))


def _row(values: tuple[Any, ...]) -> Row:
    return row_from(tuple(from_server(value) if isinstance(value, str) else value for value in values))


def _value(value: Any) -> Any:
    return to_server(value) if isinstance(value, str) else value


def _valid_token(lease: Lease) -> int:
    return lease.token if lease.owner is not None else 0
