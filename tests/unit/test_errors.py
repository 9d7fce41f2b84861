"""Errors: each says what happened in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime

from core.errors import BrokerRejected, Conflict, Corrupt, LeaseHeld, NewerSchema, Unavailable, UserError


def test_user_error_when_next_step_is_known_then_said_after_the_message() -> None:
    assert str(UserError("there is no ticket T7", "Ask for a new one with open.")) == "there is no ticket T7. Ask for a new one with open."
    assert str(UserError("there is no ticket T7")) == "there is no ticket T7"


def test_unavailable_when_since_and_why_are_known_then_said() -> None:
    error = Unavailable("quotes for SPX", datetime(2026, 3, 6, 14, 30, tzinfo=UTC), "the feed is down")

    assert str(error) == "quotes for SPX is not available since 2026-03-06 14:30:00+00:00: the feed is down"
    assert str(Unavailable("VIX")) == "VIX is not available"


def test_conflict_when_sequences_are_known_then_said() -> None:
    assert "expected seq 4, found 6" in str(Conflict(expected_seq=4, actual_seq=6))
    assert str(Conflict("somebody wrote first")) == "somebody wrote first"


def test_store_and_broker_errors_when_shown_then_name_the_facts() -> None:
    assert str(Corrupt("hash of event 7 differs", "desk.db")) == "hash of event 7 differs (at desk.db)"
    assert "version 9, this desk reads up to 3" in str(NewerSchema("the database", 9, 3))
    assert "process 41" in str(LeaseHeld("process 41"))
    assert "insufficient funds (code 201)" in str(BrokerRejected("201", "insufficient funds"))
