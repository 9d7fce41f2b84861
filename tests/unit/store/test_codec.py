"""Rows: what is stored reads back, old versions are upcast, later ones refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.domain.encoding import EncodingError, canonical
from core.domain.events import VERSIONS, Draft, NoteWritten, OrderAcknowledged
from core.errors import Corrupt, NewerSchema
from core.store import codec
from core.store.codec import GENESIS, KINDS, Row, decode, encode, row_hash

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SAMPLES = sorted((Path(__file__).parents[2] / "refdata" / "events").glob("*.json"))


def row_of(text: str = "a note") -> Row:
    draft = Draft(body=NoteWritten(text=text, symbol="SPX"), stream="desk", at=NOW, actor="person:owner")
    return encode(draft, seq=1, prev_hash=GENESIS, recorded_at=NOW)


def test_samples_when_listed_then_every_kind_and_version_has_one() -> None:
    wanted = {f"{kind.__name__}.v{version}" for kind, current in VERSIONS.items() for version in range(1, current + 1)}

    missing = wanted - {path.stem for path in SAMPLES}

    assert not missing, f"store one row of each in tests/refdata/events, and keep it for ever: {sorted(missing)}"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_sample_when_read_by_this_program_then_hash_holds_and_nothing_stored_is_lost(path: Path) -> None:
    row = Row(**json.loads(path.read_text("ascii")))

    event = decode(row)

    assert row.hash == row_hash(GENESIS, row), "a stored sample is never edited"
    assert path.stem == f"{event.kind}.v{event.version}"
    assert type(event.body) is KINDS[row.kind]
    if row.version == VERSIONS[KINDS[row.kind]]:
        stored, now = json.loads(row.body), json.loads(canonical(event.body))
        assert {key: now.get(key) for key in stored} == stored


def test_encode_when_amounts_are_stored_then_they_are_text() -> None:
    body = OrderAcknowledged(client_id="C-1", broker_ref="B-1", limit=Decimal("1.10"))

    row = encode(Draft(body=body, stream="desk", at=NOW, actor="desk"), seq=1, prev_hash=GENESIS, recorded_at=NOW)

    assert json.loads(row.body)["limit"] == "1.10"


NAIVE = NOW.replace(tzinfo=None)
IN_NEW_YORK = NOW.astimezone(timezone(timedelta(hours=-5)))


@pytest.mark.parametrize("at", [NAIVE, IN_NEW_YORK])
def test_encode_when_time_is_not_utc_then_refused(at: datetime) -> None:
    with pytest.raises(EncodingError, match="UTC"):
        encode(Draft(body=NoteWritten(text="x"), stream="desk", at=at, actor="desk"), seq=1, prev_hash=GENESIS, recorded_at=NOW)


def test_h7_decode_when_version_is_later_than_this_programs_then_newer_schema() -> None:
    with pytest.raises(NewerSchema) as raised:
        decode(row_of()._replace(version=7))

    assert (raised.value.found, raised.value.supported) == (7, VERSIONS[NoteWritten])
    assert "event 1 (NoteWritten) was written by a newer desk" in str(raised.value)


def test_h7_decode_when_kind_is_unknown_then_newer_schema_names_it() -> None:
    with pytest.raises(NewerSchema, match="FutureThing"):
        decode(row_of()._replace(kind="FutureThing"))


def test_h7_decode_when_version_is_old_then_upcast_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(plain: dict[str, Any]) -> dict[str, Any]:
        return {"text": plain["words"], "~": plain["~"]}

    def with_symbol(plain: dict[str, Any]) -> dict[str, Any]:
        return {**plain, "symbol": "SPX"}

    old = row_of()._replace(body='{"words":"a note","~":"NoteWritten"}')
    monkeypatch.setitem(VERSIONS, NoteWritten, 3)
    monkeypatch.setitem(codec.UPCASTS, ("NoteWritten", 1), rename)
    monkeypatch.setitem(codec.UPCASTS, ("NoteWritten", 2), with_symbol)

    event = decode(old)

    assert event.body == NoteWritten(text="a note", symbol="SPX")
    assert event.version == 1, "the event says what is stored, not what it became"


def test_decode_when_an_upcast_is_missing_then_corrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    old = row_of()
    monkeypatch.setitem(VERSIONS, NoteWritten, 2)

    with pytest.raises(Corrupt, match="no upcast is known from version 1"):
        decode(old)


@pytest.mark.parametrize("body", ["", "[]", "{", '{"text":5}', '{"text":"x","other":1}', '{"~":"Filled"}', "[" * 100_000])
def test_decode_when_body_does_not_fit_then_corrupt(body: str) -> None:
    with pytest.raises(Corrupt, match="event 1"):
        decode(row_of()._replace(body=body))


def test_row_hash_when_any_column_differs_then_differs() -> None:
    row = row_of()
    changed: list[dict[str, Any]] = [
        {"seq": 2}, {"stream": "x"}, {"kind": "x"}, {"version": 2}, {"at": "x"}, {"recorded_at": "x"}, {"actor": "x"}, {"causation": "x"},
        {"correlation": "x"}, {"dedupe": "x"}, {"dedupe": ""}, {"body": "x"}, {"actor": "person", "causation": ":owner"},
    ]

    hashes = {row_hash(GENESIS, row._replace(**change)) for change in changed} | {row_hash("0" * 64, row)}

    assert len(hashes) == len(changed) + 1
    assert row.hash not in hashes


WRONG_TYPES: list[dict[str, Any]] = [
    {"seq": "1"}, {"seq": True}, {"version": 1.0}, {"version": None}, {"at": None}, {"body": b"{}"}, {"dedupe": 5},
]


@pytest.mark.parametrize("change", WRONG_TYPES, ids=repr)
def test_row_hash_when_a_column_has_another_type_then_corrupt(change: dict[str, Any]) -> None:
    with pytest.raises(Corrupt, match="wrong type"):
        row_hash(GENESIS, row_of()._replace(**change))
