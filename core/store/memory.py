"""The event log in memory, with the same promises as the file: for backtests, tests and the simulation.

A `MemoryDisk` is what survives a crash: several stores may share one, as several processes share a file, and a new store on a disk
made `from_image` of what was durable is the desk after its restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Protocol

from core.clock import Clock
from core.domain.events import Draft, Event
from core.errors import Conflict, LeaseHeld, LeaseLost, Unavailable
from core.ports import Snapshot
from core.store.codec import Row, decode, stored
from core.store.log import START, Head, verify
from core.store.snapshots import is_newer, part_digest


class StoreFaults(Protocol):
    """Where a simulation breaks things: each hook may wait, raise, or end the simulated process.

    Nothing is written while `before_append` runs: what fails or crashes there is a write that never reached the disk. Everything is
    durable while `after_append` runs: what crashes there is a write whose caller never heard of it.
    """

    async def before_append(self, drafts: Sequence[Draft]) -> None:
        """Called before anything of an append is written."""

    async def after_append(self, events: Sequence[Event]) -> None:
        """Called when an append is durable, before its caller is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Everything of a log that is durable at one instant."""

    rows: tuple[Row, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    digests: tuple[str, ...] = ()
    token: int = 0
    owner: str | None = None


@dataclass(slots=True)
class MemoryDisk:
    """What is durable, and which store holds the lock on it."""

    rows: list[Row] = field(default_factory=list)
    snapshots: dict[str, tuple[Snapshot, str]] = field(default_factory=dict)  # with the digest of its state
    token: int = 0
    owner: str | None = None
    dedupe: set[str] = field(default_factory=set)
    locked_by: MemoryStore | None = None

    @classmethod
    def from_image(cls, image: Image) -> MemoryDisk:
        """Make a disk that holds exactly what was durable; nobody holds its lock."""
        snapshots = {snapshot.name: (snapshot, digest) for snapshot, digest in zip(image.snapshots, image.digests, strict=True)}
        dedupe = {row.dedupe for row in image.rows if row.dedupe is not None}
        return cls(rows=list(image.rows), snapshots=snapshots, token=image.token, owner=image.owner, dedupe=dedupe)

    def image(self) -> Image:
        """Return what is durable now."""
        kept = tuple(self.snapshots.values())
        return Image(
            rows=tuple(self.rows), snapshots=tuple(one for one, _ in kept), digests=tuple(digest for _, digest in kept),
            token=self.token, owner=self.owner,
        )

    @property
    def head(self) -> Head:
        """Where the log ends."""
        return Head(seq=self.rows[-1].seq, hash=self.rows[-1].hash) if self.rows else START

    @property
    def valid_token(self) -> int:
        """The token now valid, 0 while nobody holds the lease."""
        return self.token if self.owner is not None else 0

    def break_lock(self) -> None:
        """Let another store take over although the owner lives: what a removed lock file or a lost network lock does."""
        self.locked_by = None


class MemoryStore:
    """The Store port over a MemoryDisk."""

    def __init__(self, *, clock: Clock, disk: MemoryDisk | None = None, faults: StoreFaults | None = None) -> None:
        self.disk = disk if disk is not None else MemoryDisk()
        self._clock = clock
        self._faults = faults
        self._closed = False

    @classmethod
    def from_image(cls, image: Image, *, clock: Clock, faults: StoreFaults | None = None) -> MemoryStore:
        """Make the store a process finds that starts after a crash."""
        return cls(clock=clock, disk=MemoryDisk.from_image(image), faults=faults)

    def durable_image(self) -> Image:
        """Return exactly what would survive a crash at this instant."""
        return self.disk.image()

    async def append(self, drafts: Sequence[Draft], *, expected_seq: int | None = None, token: int | None = None) -> tuple[Event, ...]:
        """Store all drafts or none; see the port."""
        self._check_open()
        if self._faults is not None:
            await self._faults.before_append(drafts)
            self._check_open()
        events = self._append(drafts, expected_seq, token)
        if self._faults is not None:
            await self._faults.after_append(events)
        return events

    async def read(self, *, after: int = 0, limit: int | None = None) -> tuple[Event, ...]:
        """Events with seq > `after` in order, their chain checked."""
        self._check_open()
        rows, start = self.disk.rows, max(after, 0)
        if start >= len(rows) or limit == 0:
            return ()
        before = Head(seq=rows[start - 1].seq, hash=rows[start - 1].hash) if start else START
        end = len(rows) if limit is None else start + limit
        return tuple(map(decode, verify(rows[start:end], after=before)))

    async def last_seq(self) -> int:
        """Sequence number of the last event, 0 for an empty log."""
        self._check_open()
        return self.disk.head.seq

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep the newest snapshot of its name."""
        kept = await self.load_snapshot(snapshot.name, code_version=snapshot.code_version)
        if is_newer(snapshot, None if kept is None else kept.seq):
            before = kept.parts if kept is not None and snapshot.after is not None else {}
            whole = replace(snapshot, parts={**before, **snapshot.parts}, after=None)
            self.disk.snapshots[snapshot.name] = (whole, _digest(whole))

    async def load_snapshot(self, name: str, *, code_version: str) -> Snapshot | None:
        """The snapshot of that name and code version if it still fits the log, else None."""
        self._check_open()
        snapshot, digest = self.disk.snapshots.get(name, (None, ""))
        if snapshot is None or snapshot.code_version != code_version or _digest(snapshot) != digest:
            return None
        if not 0 <= snapshot.seq <= len(self.disk.rows):
            return None
        found = self.disk.rows[snapshot.seq - 1].hash if snapshot.seq else START.hash
        return snapshot if snapshot.hash == found else None

    async def acquire_lease(self, owner: str) -> int:
        """Become the owner under a new fencing token; raise LeaseHeld while another open store holds the disk."""
        self._check_open()
        holder = self.disk.locked_by
        if holder is not None and holder is not self:
            raise LeaseHeld(self.disk.owner or "another desk process")
        self.disk.locked_by = self
        self.disk.token += 1
        self.disk.owner = owner
        return self.disk.token

    async def lease_token(self) -> int:
        """The token now valid, 0 while nobody holds the lease."""
        self._check_open()
        return self.disk.valid_token

    async def release_lease(self, token: int) -> None:
        """Give the lease up, if the token still holds it."""
        self._check_open()
        if token == self.disk.valid_token:
            self.disk.owner = None
            self.disk.locked_by = None

    async def close(self) -> None:
        """Let go of the disk; a second call does nothing."""
        self._closed = True
        if self.disk.locked_by is self:
            self.disk.locked_by = None

    def _append(self, drafts: Sequence[Draft], expected_seq: int | None, token: int | None) -> tuple[Event, ...]:
        disk = self.disk
        if token is not None and token != (disk.valid_token or None):  # nobody's is no token
            raise LeaseLost()
        head = disk.head
        if expected_seq is not None and expected_seq != head.seq:
            raise Conflict(expected_seq=expected_seq, actual_seq=head.seq)
        rows: list[Row] = []
        events: list[Event] = []
        keys: set[str] = set()
        recorded_at = self._clock.now()
        for draft in drafts:
            if draft.dedupe is not None:
                if draft.dedupe in disk.dedupe or draft.dedupe in keys:
                    continue
                keys.add(draft.dedupe)
            row, event = stored(draft, seq=head.seq + 1, prev_hash=head.hash, recorded_at=recorded_at)
            head = Head(seq=row.seq, hash=row.hash)
            rows.append(row)
            events.append(event)
        disk.rows.extend(rows)
        disk.dedupe |= keys
        return tuple(events)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("storage", why="the memory store is closed")


def _digest(snapshot: Snapshot) -> str:
    parts = "".join(part_digest(name, content) for name, content in sorted(snapshot.parts.items()))
    return sha256(snapshot.state + parts.encode("ascii")).hexdigest()
