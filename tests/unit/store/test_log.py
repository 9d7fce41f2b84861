"""The chain, checked as rows stream by."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.domain.events import Draft, Mode, ModeSet, NoteWritten, Scope
from core.errors import Corrupt, NewerSchema
from core.store.codec import Row, encode, row_hash
from core.store.log import START, Head, audit, verify

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def chain(count: int) -> list[Row]:
    rows: list[Row] = []
    for seq in range(1, count + 1):
        body = NoteWritten(text=str(seq)) if seq % 3 else ModeSet(scope=Scope(), mode=Mode.PAUSED, cause="person", reason="lunch")
        prev_hash = rows[-1].hash if rows else START.hash
        rows.append(encode(Draft(body=body, stream="desk", at=NOW, actor="desk"), seq=seq, prev_hash=prev_hash, recorded_at=NOW))
    return rows


def test_h5_audit_when_chain_holds_then_counts_what_is_there() -> None:
    rows = chain(9)

    found = audit(iter(rows), head=Head(seq=9, hash=rows[-1].hash))

    assert (found.events, found.kinds) == (9, (("ModeSet", 3), ("NoteWritten", 6)))
    assert found.first_recorded_at == found.last_recorded_at == NOW.isoformat()
    assert audit([]).head == START


def test_h5_verify_when_rows_are_missing_swapped_or_repeated_then_corrupt() -> None:
    rows = chain(5)
    for wrong in (rows[1:], [*rows[:2], *rows[3:]], [rows[1], rows[0], *rows[2:]], [rows[0], *rows]):
        with pytest.raises(Corrupt, match="belongs"):
            list(verify(wrong))


def test_h5_verify_when_a_row_was_replaced_with_its_own_new_hash_then_the_next_one_shows_it() -> None:
    rows = chain(5)
    forged = rows[2]._replace(actor="person:mallory")
    rows[2] = forged._replace(hash=row_hash(rows[1].hash, forged))

    with pytest.raises(Corrupt, match="event 4 is not what was written"):
        list(verify(rows))


def test_h5_audit_when_the_end_is_cut_off_then_corrupt() -> None:
    rows = chain(5)

    with pytest.raises(Corrupt, match="ends at event 3, but event 5 was written"):
        audit(rows[:3], head=Head(seq=5, hash=rows[-1].hash))


def test_verify_when_started_in_the_middle_then_follows_from_there() -> None:
    rows = chain(5)

    assert list(verify(rows[3:], after=Head(seq=3, hash=rows[2].hash))) == rows[3:]
    with pytest.raises(Corrupt):
        list(verify(rows[3:], after=Head(seq=3, hash=rows[1].hash)))


def test_verify_when_streaming_then_passes_good_rows_on_before_it_meets_the_bad_one() -> None:
    rows = chain(3)
    stream = verify([*rows[:2], rows[0]])

    assert [next(stream).seq, next(stream).seq] == [1, 2]
    with pytest.raises(Corrupt):
        next(stream)


def test_h7_audit_when_an_event_is_from_a_newer_program_then_newer_schema() -> None:
    (row,) = chain(1)
    newer = row._replace(version=9)

    with pytest.raises(NewerSchema):
        audit([newer._replace(hash=row_hash(START.hash, newer))])
