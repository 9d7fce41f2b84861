"""The chain of the log, as pure functions over stored rows: gapless numbers, hashes that follow from each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.errors import Corrupt
from core.store.codec import GENESIS, Row, decode, row_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a log ends: the last sequence number and hash; 0 and the genesis constant for an empty log."""

    seq: int
    hash: str


START = Head(seq=0, hash=GENESIS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What a full reading of a log found; only a log without a fault has one."""

    events: int
    head: Head
    kinds: tuple[tuple[str, int], ...]  # by name
    first_recorded_at: str | None
    last_recorded_at: str | None


def verify(rows: Iterable[Row], *, after: Head = START) -> Iterator[Row]:
    """Pass rows on one by one while each follows from the one before; raise Corrupt at the first that does not."""
    seq, prev_hash = after.seq, after.hash
    for row in rows:
        if row.seq != seq + 1:
            raise Corrupt(f"the log has event {row.seq!r:.20} where event {seq + 1} belongs")
        if row.hash != row_hash(prev_hash, row):
            raise Corrupt(f"event {row.seq} is not what was written: its hash does not follow from the event before")
        seq, prev_hash = row.seq, row.hash
        yield row


def check_end(reached: Head, head: Head) -> None:
    """Raise Corrupt unless reading to the end of the rows reached the noted end of the log."""
    if reached != head:
        raise Corrupt(f"the log ends at event {reached.seq}, but event {head.seq} was written: events are missing or were replaced")


class Auditing:
    """A reading of a whole log from its beginning, in parts: chain, versions and bodies, in constant memory."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._reached = START
        self._first: str | None = None
        self._last: str | None = None

    def read(self, rows: Iterable[Row]) -> None:
        """Read the next rows; raise Corrupt or NewerSchema at the first that cannot stand."""
        for row in verify(rows, after=self._reached):
            decode(row)
            self._kinds[row.kind] += 1
            self._first, self._last = self._first or row.recorded_at, row.recorded_at
            self._reached = Head(seq=row.seq, hash=row.hash)

    def done(self, head: Head | None = None) -> Audit:
        """Return what was found; `head` is where the log must end."""
        if head is not None:
            check_end(self._reached, head)
        return Audit(
            events=self._reached.seq, head=self._reached, kinds=tuple(sorted(self._kinds.items())),
            first_recorded_at=self._first, last_recorded_at=self._last,
        )


def audit(rows: Iterable[Row], *, head: Head | None = None) -> Audit:
    """Read a whole log in one pass; `head` is where it must end."""
    auditing = Auditing()
    auditing.read(rows)
    return auditing.done(head)
