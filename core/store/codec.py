"""Events to stored rows and back: versions, upcasts and the hash that chains each row to the one before.

The hash covers the previous hash and the stored bytes of the row. It is checked before the body is read, so a body is only ever
upcast or refused for its version after it is known to be what was written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple

from core.domain.encoding import EncodingError, from_plain, read_back
from core.domain.events import VERSIONS, Draft, Event
from core.errors import Corrupt, NewerSchema

GENESIS = sha256(b"thetadesk event log, genesis").hexdigest()

KINDS: dict[str, type] = {kind.__name__: kind for kind in VERSIONS}

# (kind, stored version) -> function that turns the plain body of that version into the next one's.
UPCASTS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}


class Row(NamedTuple):
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


COLUMNS = Row._fields


def stored(draft: Draft, *, seq: int, prev_hash: str, recorded_at: datetime) -> tuple[Row, Event]:
    """Return a draft's row and the event it will read back as; raise EncodingError for what would not read back."""
    kind = type(draft.body)
    version = VERSIONS.get(kind)
    if version is None:
        raise EncodingError(f"{kind.__name__} is no kind of event")
    for text in (draft.stream, draft.actor, draft.causation, draft.correlation, draft.dedupe):
        check_text(text)
    body, read = read_back(draft.body)
    values = (
        seq, draft.stream, kind.__name__, version, _time_text(draft.at), _time_text(recorded_at),
        draft.actor, draft.causation, draft.correlation, draft.dedupe, body,
    )
    own_hash = _chain(prev_hash, *values)
    event = Event(
        seq=seq, stream=draft.stream, kind=kind.__name__, version=version, at=_utc(draft.at), recorded_at=_utc(recorded_at),
        actor=draft.actor, causation=draft.causation, correlation=draft.correlation, dedupe=draft.dedupe, body=read, hash=own_hash,
    )
    return Row(*values, own_hash), event


def encode(draft: Draft, *, seq: int, prev_hash: str, recorded_at: datetime) -> Row:
    """Make the row a draft is stored as; raise EncodingError for what cannot be written exactly."""
    return stored(draft, seq=seq, prev_hash=prev_hash, recorded_at=recorded_at)[0]


def decode(row: Row) -> Event:
    """Read a row whose hash was checked; raise NewerSchema for a later kind or version, Corrupt where it cannot be read."""
    kind = KINDS.get(row.kind)
    if kind is None:
        raise NewerSchema(f"event {row.seq!r:.20}, of a kind this desk does not know ({row.kind!s:.40}),")
    if type(row.version) is not int:
        raise Corrupt(f"event {row.seq!r:.20} ({row.kind}) has no version")
    if row.version > VERSIONS[kind]:
        raise NewerSchema(f"event {row.seq} ({row.kind})", found=row.version, supported=VERSIONS[kind])
    try:
        body = from_plain(kind, _upcast(row, VERSIONS[kind]))
        return Event(
            seq=row.seq, stream=row.stream, kind=row.kind, version=row.version, at=_read_time(row.at),
            recorded_at=_read_time(row.recorded_at), actor=row.actor, causation=row.causation, correlation=row.correlation,
            dedupe=row.dedupe, body=body, hash=row.hash,
        )
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Corrupt(f"event {row.seq!r:.20} ({row.kind}) cannot be read: {error}") from error


row_from = Row._make  # of the columns as a database gave them; what they are is checked by `row_hash`


def row_hash(prev_hash: str, row: Row) -> str:
    """Return the hash `row` must carry after `prev_hash`; raise Corrupt where a column is not text or a number."""
    try:
        return _chain(prev_hash, *row[:-1])
    except TypeError as error:
        raise Corrupt(f"event {row.seq!r:.20} holds a value of the wrong type") from error


def check_text(text: str | None) -> None:
    """Raise EncodingError for text that no database could hold."""
    try:
        if text is not None and not text.isascii():
            text.encode("utf-8")
    except (UnicodeEncodeError, AttributeError) as error:
        raise EncodingError(f"{text!r:.40} is not text that can be stored") from error


def _chain(
    prev_hash: str, seq: int, stream: str, kind: str, version: int, at: str, recorded_at: str, actor: str, causation: str,
    correlation: str, dedupe: str | None, body: str,
) -> str:
    # The JSON list of the columns, which keeps them apart and their types distinct, so that no two rows give the same bytes.
    if type(seq) is not int or type(version) is not int:
        raise TypeError("a number is stored as a whole number")
    key = "null" if dedupe is None else quoted(dedupe)
    return sha256(
        f"{prev_hash}[{seq},{quoted(stream)},{quoted(kind)},{version},{quoted(at)},{quoted(recorded_at)},{quoted(actor)},{quoted(causation)},"
        f"{quoted(correlation)},{key},{quoted(body)}]".encode("ascii")
    ).hexdigest()


def _upcast(row: Row, current: int) -> dict[str, Any]:
    plain: Any = json.loads(row.body)
    if type(plain) is not dict or row.version < 1:
        raise EncodingError(f"version {row.version} with a body of {type(plain).__name__}")
    for version in range(row.version, current):
        step = UPCASTS.get((row.kind, version))
        if step is None:
            raise EncodingError(f"no upcast is known from version {version}")
        plain = step(plain)
    return dict(plain)


def _utc(at: datetime) -> datetime:
    """The same instant with UTC itself for its zone; raise EncodingError where its zone is another."""
    if at.tzinfo is UTC:
        return at
    if at.tzinfo is None or at.utcoffset() != UTC.utcoffset(None):
        raise EncodingError("a stored time must be in UTC")
    return at.astimezone(UTC)


def _time_text(at: datetime) -> str:
    return _utc(at).isoformat()


def _read_time(text: str) -> datetime:
    return _utc(datetime.fromisoformat(text))
