"""Events to stored rows and back: versions, upcasts and the hash that chains each row to the one before.

The hash covers the previous hash and the stored bytes of the row. It is checked before the body is read, so a body is only ever
upcast or refused for its version after it is known to be what was written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from core.domain.encoding import EncodingError, canonical, from_plain
from core.domain.events import VERSIONS, Draft, Event
from core.errors import Corrupt, NewerSchema

GENESIS = sha256(b"thetadesk event log, genesis").hexdigest()

KINDS: dict[str, type] = {kind.__name__: kind for kind in VERSIONS}

# (kind, stored version) -> function that turns the plain body of that version into the next one's.
UPCASTS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An event as stored: times and body are text, `hash` covers all the rest and the hash before it."""

    seq: int
    stream: str
    kind: str
    version: int
    at: str
    recorded_at: str
    actor: str
    causation: str
    correlation: str
    dedupe: str | None
    body: str
    hash: str


COLUMNS = ("seq", "stream", "kind", "version", "at", "recorded_at", "actor", "causation", "correlation", "dedupe", "body", "hash")


def encode(draft: Draft, *, seq: int, prev_hash: str, recorded_at: datetime) -> Row:
    """Make the row a draft is stored as; raise EncodingError for what cannot be written exactly."""
    kind = type(draft.body)
    if kind not in VERSIONS:
        raise EncodingError(f"{kind.__name__} is no kind of event")
    for text in (draft.stream, draft.actor, draft.causation, draft.correlation, draft.dedupe):
        check_text(text)
    values = (
        seq, draft.stream, kind.__name__, VERSIONS[kind], _time_text(draft.at), _time_text(recorded_at),
        draft.actor, draft.causation, draft.correlation, draft.dedupe, canonical(draft.body),
    )
    return _row((*values, _chain(prev_hash, values)))


def stored(draft: Draft, *, seq: int, prev_hash: str, recorded_at: datetime) -> tuple[Row, Event]:
    """Return a draft's row and the event it will read back as; what would not read back is refused before it is written."""
    row = encode(draft, seq=seq, prev_hash=prev_hash, recorded_at=recorded_at)
    try:
        return row, decode(row)
    except Corrupt as error:
        raise EncodingError(f"this {row.kind} would not read back: {error}") from error


def decode(row: Row) -> Event:
    """Read a row whose hash was checked; raise NewerSchema for a later kind or version, Corrupt where it cannot be read."""
    kind = KINDS.get(row.kind)
    if kind is None:
        raise NewerSchema(f"event {row.seq}, of a kind this desk does not know ({row.kind}),")
    if row.version > VERSIONS[kind]:
        raise NewerSchema(f"event {row.seq} ({row.kind})", found=row.version, supported=VERSIONS[kind])
    try:
        body = from_plain(kind, _upcast(row, VERSIONS[kind]))
        return Event(
            seq=row.seq, stream=row.stream, kind=row.kind, version=row.version, at=_read_time(row.at),
            recorded_at=_read_time(row.recorded_at), actor=row.actor, causation=row.causation, correlation=row.correlation,
            dedupe=row.dedupe, body=body, hash=row.hash,
        )
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"event {row.seq} ({row.kind}) cannot be read: {error}") from error


def row_from(values: tuple[Any, ...]) -> Row:
    """Make a Row of the columns as a database gave them; what they are is checked by `row_hash`."""
    return _row(values)


def row_hash(prev_hash: str, row: Row) -> str:
    """Return the hash `row` must carry after `prev_hash`; raise Corrupt where a column is not text or a number."""
    values = (
        row.seq, row.stream, row.kind, row.version, row.at, row.recorded_at,
        row.actor, row.causation, row.correlation, row.dedupe, row.body,
    )
    try:
        return _chain(prev_hash, values)
    except TypeError as error:
        raise Corrupt(f"event {row.seq!r:.20} holds a value of the wrong type") from error


def check_text(text: str | None) -> None:
    """Raise EncodingError for text that no database could hold."""
    try:
        if text is not None:
            text.encode("utf-8")
    except (UnicodeEncodeError, AttributeError) as error:
        raise EncodingError(f"{text!r:.40} is not text that can be stored") from error


def _chain(prev_hash: str, values: tuple[Any, ...]) -> str:
    # A JSON list keeps the columns apart and their types distinct, so no two rows give the same bytes.
    return sha256(f"{prev_hash}{json.dumps(values, separators=(',', ':'))}".encode("ascii")).hexdigest()


def _row(values: tuple[Any, ...]) -> Row:
    seq, stream, kind, version, at, recorded_at, actor, causation, correlation, dedupe, body, own_hash = values
    return Row(
        seq=seq, stream=stream, kind=kind, version=version, at=at, recorded_at=recorded_at, actor=actor,
        causation=causation, correlation=correlation, dedupe=dedupe, body=body, hash=own_hash,
    )


def _upcast(row: Row, current: int) -> dict[str, Any]:
    plain: Any = json.loads(row.body)
    if not isinstance(plain, dict) or row.version < 1:
        raise EncodingError(f"version {row.version} with a body of {type(plain).__name__}")
    for version in range(row.version, current):
        step = UPCASTS.get((row.kind, version))
        if step is None:
            raise EncodingError(f"no upcast is known from version {version}")
        plain = step(plain)
    return dict(plain)


def _time_text(at: datetime) -> str:
    if at.tzinfo is None or at.utcoffset() != UTC.utcoffset(None):
        raise EncodingError("a stored time must be in UTC")
    return at.astimezone(UTC).isoformat()


def _read_time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
