"""The records: what is in them, where they go, how large they get, and that nothing fails for their sake."""

from __future__ import annotations

import json
import logging
import math
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.commands import note
from core.domain.events import CashMoved, NoteWritten, OrderEnded
from core.logs import FILE_NAME, LINE_BYTES, TEXT_CHARACTERS, FileLogs, Level, Logs, RotatingFile, about, capture_libraries
from core.redaction import MARK, Redaction
from core.runtime import SimLoop, SimRuntime
from tests.paper_desk import START, lines, open_desk, say, text

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
SECRET = "canary-broker-key"


def secretive() -> Redaction:
    redaction = Redaction()
    redaction.add(SECRET)
    redaction.add("482133")
    return redaction


def file_logs(home: Path, *, patient: bool = False) -> FileLogs:
    return FileLogs(home, secretive(), now=lambda: NOON, patient=patient)


def read(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / FILE_NAME).read_text().splitlines()]


def of(records: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [record for record in records if record["event"] == event]


@contextmanager
def bare_root() -> Iterator[None]:
    """The root logger as a new process has it."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = before


# --- the file --------------------------------------------------------------------------------------------------------------


def test_write_when_to_a_file_then_each_record_is_a_line_of_json_in_a_private_file(tmp_path: Path) -> None:
    logs = file_logs(tmp_path)

    logs.write(Level.INFO, "verdict", order="O1", limit=Decimal("1.20"), delta=0.16, day=date(2026, 11, 20), text="a\nb", unknown=None)

    assert read(tmp_path) == [
        {"time": NOON.isoformat(), "level": "info", "event": "verdict", "order": "O1", "limit": "1.20", "delta": 0.16, "day": "2026-11-20",
         "text": "a\nb", "unknown": None},
    ]
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_write_when_a_process_is_patient_then_the_lines_are_the_same(tmp_path: Path) -> None:
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir()
        logs = file_logs(home, patient=home is homes[1])
        with about(call="c1"):
            logs.write(Level.WARNING, "wire", answer=f"refused {SECRET}", price=Decimal(1), many=(1, 2))
    assert (homes[0] / FILE_NAME).read_bytes() == (homes[1] / FILE_NAME).read_bytes()


def test_write_when_routine_and_patient_then_it_waits_for_what_matters_or_the_end(tmp_path: Path) -> None:
    logs = file_logs(tmp_path, patient=True)
    logs.write(Level.DEBUG, "call")
    assert not (tmp_path / FILE_NAME).exists()
    logs.write(Level.INFO, "verdict")
    assert [record["event"] for record in read(tmp_path)] == ["call", "verdict"]
    logs.write(Level.DEBUG, "later")
    logs.close()
    assert [record["event"] for record in read(tmp_path)] == ["call", "verdict", "later"]


def test_write_when_the_file_was_open_to_others_then_it_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("")
    (tmp_path / FILE_NAME).chmod(0o644)
    file_logs(tmp_path).write(Level.INFO, "x")
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_write_when_the_name_is_a_link_then_nothing_is_written_through_it(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    (tmp_path / FILE_NAME).symlink_to(elsewhere)
    logs = file_logs(tmp_path)
    logs.write(Level.INFO, "x")
    assert elsewhere.read_text() == ""
    assert logs.lost == 1


def test_write_when_the_disk_refuses_then_nothing_fails_and_the_loss_is_told_later(tmp_path: Path) -> None:
    logs = FileLogs(tmp_path / "gone", secretive(), now=lambda: NOON)
    logs.write(Level.INFO, "first")
    logs.write(Level.INFO, "second")
    assert logs.lost == 2
    (tmp_path / "gone").mkdir()
    logs.write(Level.INFO, "third")
    told, third = read(tmp_path / "gone")
    assert (told["event"], told["lost"], third["event"]) == ("records lost", 2, "third")
    assert "FileNotFoundError" in told["why"]
    assert logs.lost == 0


def test_write_when_a_value_cannot_be_said_then_the_record_still_comes(tmp_path: Path) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    logs = file_logs(tmp_path)
    logs.write(Level.INFO, "odd", value=Broken(), lone="\ud800", nan=math.nan, nested={"a": (Decimal("NaN"), {1})})
    (record,) = read(tmp_path)
    assert "cannot be written" in record["value"]
    assert record["nan"] == "nan"
    assert record["nested"] == {"a": ["NaN", [1]]}


def test_write_when_a_record_is_huge_then_it_is_cut_and_stays_one_line(tmp_path: Path) -> None:
    logs = file_logs(tmp_path)
    logs.write(Level.INFO, "long", order="O1", words="x" * 10**6)
    logs.write(Level.INFO, "longer", order="O1", words=["y" * 3000] * 100)
    long, longer = read(tmp_path)
    assert len(long["words"]) < TEXT_CHARACTERS + 10
    assert longer["order"] == "O1"
    assert "cut" in longer
    assert max(map(len, (tmp_path / FILE_NAME).read_bytes().splitlines())) <= LINE_BYTES


def test_file_when_full_then_it_turns_over_and_the_oldest_goes(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.log", most_bytes=100, old_files=2)
    for number in range(20):
        file.info(f"{number:02d}" + "x" * 37)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
    kept = [line[:2] for name in ("a.log.2", "a.log.1", "a.log") for line in (tmp_path / name).read_text().splitlines()]
    assert kept == ["14", "15", "16", "17", "18", "19"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())


def test_file_when_another_process_turned_it_over_then_goes_on_in_the_new_one(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.log")
    file.info("one")
    os.replace(tmp_path / "a.log", tmp_path / "a.log.1")
    file.info("two")
    assert (tmp_path / "a.log.1").read_text() == "one\n"
    assert (tmp_path / "a.log").read_text() == "two\n"


# --- errors and secrets ------------------------------------------------------------------------------------------------------


def test_failed_when_an_error_is_recorded_then_has_its_id_and_trace_and_no_secret(tmp_path: Path) -> None:
    logs = file_logs(tmp_path)
    try:
        raise ValueError(f"bad literal 482133, {SECRET}, http://a:b@c/")
    except ValueError as error:
        with about(error_id="E1234567", call="c7"):
            logs.failed("E1234567 command note", error)
    (record,) = read(tmp_path)
    assert (record["level"], record["event"], record["error_id"], record["call"]) == ("error", "failed", "E1234567", "c7")
    assert (record["where"], record["kind"]) == ("command note", "ValueError")
    assert "Traceback" in record["trace"]
    assert "test_logs.py" in record["trace"]
    for part in ("482133", SECRET, "a:b"):
        assert part not in (tmp_path / FILE_NAME).read_text()


def test_about_when_left_then_its_ids_are_in_no_later_record() -> None:
    logs = Logs()
    with about(call="c1"), about(person="owner"):
        logs.write(Level.INFO, "inside")
    logs.write(Level.INFO, "outside")
    assert logs.records() == [{"level": "info", "event": "inside", "call": "c1", "person": "owner"}, {"level": "info", "event": "outside"}]


def test_capture_when_a_library_warns_then_it_is_a_record_and_not_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logs = Logs(secretive())
    with bare_root(), warnings.catch_warnings():
        warnings.simplefilter("always")
        capture_libraries(logs)
        capture_libraries(logs)  # a second time adds nothing
        logging.getLogger("vendor").warning("GET https://x/bot123456:AAcanaryAAcanaryAAcanary/getMe %s", SECRET)
        logging.getLogger("vendor").info("chatter")
        logging.getLogger("vendor").warning("%d apples", "two")
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    records = of(logs.records(), "library")
    assert [record["library"] for record in records] == ["vendor", "vendor", "py.warnings"]
    assert records[0]["message"] == f"GET https://x/bot{MARK}/getMe {MARK}"
    assert "".join(capsys.readouterr()) == ""


# --- what the desk records ---------------------------------------------------------------------------------------------------


async def test_order_when_drafted_and_confirmed_then_each_decision_is_recorded_with_what_it_was_made_on() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread XSP quantity=1")
    await say(desk, lines(card)[0])
    records = desk.logs.records()

    drafted, pressed = of(records, "verdict")
    (submitting,), wire = of(records, "Submitting"), of(records, "wire")[0]
    ticket, order = card.data["ticket"], submitting["order"]
    assert (drafted["stage"], pressed["stage"], drafted["ticket"], pressed["ticket"]) == ("draft", "press", ticket, ticket)
    assert drafted["view_time"] == START.isoformat()
    assert drafted["allowed"] is True
    assert [item["rule"] for item in drafted["findings"]] == [rule.name for rule in desk.rules]
    assert all(item["measured"] and item["limit"] and item["level"] in ("pass", "reduce") for item in drafted["findings"])
    assert (wire["what"], wire["order"], wire["ticket"], wire["answer"]) == ("submit", order, ticket, "accepted")
    assert [(record["call"], record["person"], record["via"]) for record in (drafted, pressed, wire)] == [
        ("c1", "owner", "line"), ("c2", "owner", "line"), ("c2", "owner", "line"),
    ]
    assert submitting["envelope"]["legs"].startswith("XSP")
    assert [record["line"] for record in of(records, "call")][-1] == f"confirm ticket={ticket}"


async def test_verdict_when_a_rule_blocks_then_the_record_says_which_measured_what_and_why() -> None:
    desk = await open_desk(cash=1_000)
    await say(desk, "open put_credit_spread XSP quantity=50")
    (verdict,) = of(desk.logs.records(), "verdict")
    assert (verdict["level"], verdict["allowed"]) == ("warning", False)
    blocks = [item for item in verdict["findings"] if item["level"] == "block"]
    assert blocks
    assert all(item["why"] for item in blocks)


async def test_reconciliation_when_the_books_agree_or_differ_then_both_are_recorded() -> None:
    desk = await open_desk()
    (agreed,) = of(desk.logs.records(), "Reconciled")
    assert (agreed["level"], agreed["complete"]) == ("debug", True)
    account = desk.config.accounts[0].id
    body = CashMoved(movement_id="M1", account=account, amount=Decimal(5), reason="not at the broker", at=desk.now())
    await desk.record(desk.draft(body, actor="desk", stream=str(account)))
    await desk.senders[account].reconcile()
    differed = of(desk.logs.records(), "Reconciled")[-1]
    assert differed["level"] == "warning"
    assert "cash" in differed["differences"][0]


async def test_refusal_when_a_call_is_refused_then_the_record_says_why() -> None:
    desk = await open_desk()
    await say(desk, "unhalt")
    record = of(desk.logs.records(), "call")[-1]
    assert (record["ok"], record["access"]) == (False, "stepup")
    assert "PIN" in record["no"]


async def test_bug_when_a_command_fails_then_the_id_shown_is_the_id_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk()
    desk.runtime.on_failure = desk.logs.failed

    async def broken(*_: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(note, "COMMAND", replace(note.COMMAND, run=broken))
    reply = await say(desk, "note hello")
    (record,) = of(desk.logs.records(), "failed")
    assert f"({record['error_id']})" in text(reply)
    assert (record["where"], record["error"], record["call"]) == ("command note", "inside", "c1")
    assert "Traceback" in record["trace"]


async def test_k2_event_when_a_broker_or_a_person_says_a_secret_then_the_log_of_events_never_holds_it() -> None:
    desk = await open_desk()
    desk.redaction.add(SECRET)
    ended = OrderEnded(client_id="O-482133", outcome="rejected", reason=f"login {SECRET} at https://a:b@host/ refused")
    recorded = await desk.record(
        desk.draft(ended, actor="broker:x"), desk.draft(NoteWritten(text=f"my key is {SECRET}", symbol="SPY"), actor="person:owner")
    )
    stored = [event.body for event in await desk.store.read(after=recorded.seqs[0] - 1)]
    assert stored == [
        OrderEnded(client_id="O-482133", outcome="rejected", reason=f"login {MARK} at https://{MARK}@host/ refused"),
        NoteWritten(text=f"my key is {MARK}", symbol="SPY"),
    ]


async def test_k2_reply_when_a_sentence_holds_a_secret_then_the_person_does_not_see_it() -> None:
    desk = await open_desk()
    desk.redaction.add(SECRET)
    reply = await say(desk, f"note bought with {SECRET}")
    assert SECRET not in repr(reply)
    assert SECRET not in json.dumps(desk.logs.records())


def test_records_when_simulated_twice_then_are_the_same_and_tell_only_the_desks_time() -> None:
    def once() -> list[dict[str, Any]]:
        loop = SimLoop(7, START)
        runtime = SimRuntime(loop, 7)
        logs = Logs()

        async def work() -> None:
            with about(call=logs.call_id()):
                task = runtime.spawn(later(), name="later")
            await task

        async def later() -> None:
            await runtime.sleep(3)
            logs.write(Level.INFO, "woke", at=runtime.clock.now())

        runtime.run(work())
        return logs.records()

    first = once()
    assert first == once()
    assert first == [{"level": "info", "event": "woke", "call": "c1", "at": first[0]["at"]}]
    assert first[0]["at"].startswith("2026-11-20T15:00:03")
