"""Who may do what from where, and what is said when something goes wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.command import Access, Call, Caller, Command, Kind, Parameter, Role, Via
from core.commands import cancel, note, settings
from core.desk import Desk
from core.dispatch import call_line, dispatch
from core.domain.events import Mode, ModeSet, NoteWritten, Scope
from core.errors import Conflict, Unavailable
from core.reply import Reply, Text
from tests.paper_desk import call, open_desk, say, text

OWNER = Caller(person="owner", via=Via.LINE)


def command_that(error: Exception, of: Command, *, times: int = 100) -> tuple[Command, list[int]]:
    """A copy of a command that fails the first `times` times; the list counts its runs."""
    runs: list[int] = []

    async def run(desk: Desk, call: Call) -> Reply:
        runs.append(1)
        if len(runs) <= times:
            raise error
        return Reply(blocks=(Text(text="done"),))

    return replace(of, run=run), runs


async def test_dispatch_when_the_command_is_unknown_then_says_so() -> None:
    desk = await open_desk()
    reply = await call(desk, "blah", {})
    assert not reply.ok
    assert "no command 'blah'" in text(reply)


async def test_dispatch_when_the_command_is_planned_then_says_not_yet() -> None:
    desk = await open_desk()
    reply = await call(desk, "backtest", {})
    assert not reply.ok
    assert "planned and not available yet" in text(reply)


async def test_dispatch_when_answered_then_carries_badge_time_and_line() -> None:
    desk = await open_desk()
    reply = await say(desk, "positions SPY")
    assert reply.badge == "PAPER · SIMULATED"
    assert reply.at == desk.now()
    assert reply.command == "positions symbol=SPY"


async def test_badge_when_halted_then_says_so() -> None:
    desk = await open_desk()
    await desk.record(desk.draft(ModeSet(scope=Scope(), mode=Mode.HALT, cause="kill", reason="test"), actor="person:owner"))
    assert (await say(desk, "positions")).badge == "PAPER · HALTED · SIMULATED"


@pytest.mark.parametrize("line", ["note hello", "pause", "kill", "resume", "unhalt"])
async def test_dispatch_when_a_viewer_does_more_than_read_then_refuses(line: str) -> None:
    desk = await open_desk()
    before = desk.fold.seq
    name, *words = line.split()
    args = {"text": words[0]} if words else {}
    reply = await dispatch(desk, Call(command=name, args=args, caller=replace(OWNER, role=Role.VIEWER, proved=True)))
    assert not reply.ok
    assert "may look but not do that" in text(reply)
    assert desk.fold.seq == before


async def test_dispatch_when_a_viewer_reads_then_answers() -> None:
    desk = await open_desk()
    reply = await dispatch(desk, Call(command="positions", args={}, caller=replace(OWNER, role=Role.VIEWER)))
    assert reply.ok


@pytest.mark.parametrize("name", ["kill", "halt", "pause"])
async def test_c2_reduce_when_a_model_calls_then_only_offers_the_button(name: str) -> None:
    desk = await open_desk()
    before = desk.fold.seq
    reply = await call(desk, name, {}, via=Via.MODEL)
    assert not reply.ok
    assert [action.line for action in reply.actions] == [name]
    assert desk.fold.seq == before


@pytest.mark.parametrize("via", [Via.CLOCK, Via.SENTENCE, Via.BUTTON])
async def test_reduce_when_the_clock_or_words_call_then_acts(via: Via) -> None:
    desk = await open_desk()
    assert (await call(desk, "pause", {}, via=via)).ok
    assert desk.mode()[0] is Mode.PAUSED


@pytest.mark.parametrize("via", [Via.SENTENCE, Via.MODEL])
async def test_commit_when_said_in_a_sentence_then_ends_as_a_card_with_its_button(via: Via) -> None:
    desk = await open_desk()
    await call(desk, "pause", {})
    reply = await call(desk, "resume", {}, via=via)
    assert not reply.ok
    assert [action.line for action in reply.actions] == ["resume"]
    assert desk.mode()[0] is Mode.PAUSED


async def test_i5_commit_when_the_clock_calls_then_refuses() -> None:
    desk = await open_desk()
    await call(desk, "pause", {})
    reply = await call(desk, "resume", {}, via=Via.CLOCK)
    assert not reply.ok
    assert not reply.actions
    assert desk.mode()[0] is Mode.PAUSED


@pytest.mark.parametrize("via", [Via.SENTENCE, Via.MODEL, Via.CLOCK])
async def test_c2_confirm_when_not_pressed_or_typed_then_refuses_without_a_button(via: Via) -> None:
    desk = await open_desk()
    ticket = str((await say(desk, "open put_credit_spread XSP 1")).data["ticket"])
    reply = await call(desk, "confirm", {"ticket": ticket}, via=via)
    assert not reply.ok
    assert not reply.actions
    assert "Nothing was sent" in text(reply)
    assert desk.fold.tickets[ticket].is_open


@pytest.mark.parametrize("via", [Via.LINE, Via.BUTTON])
async def test_stepup_when_no_pin_was_proved_then_asks_for_it(via: Via) -> None:
    desk = await open_desk()
    await call(desk, "halt", {})
    reply = await call(desk, "unhalt", {}, via=via)
    assert reply.data["needs"] == "pin"
    assert desk.mode()[0] is Mode.HALT


@pytest.mark.parametrize("via", [Via.MODEL, Via.CLOCK, Via.MANDATE, Via.SENTENCE])
async def test_stepup_when_not_a_press_or_a_line_then_refuses_even_with_proof(via: Via) -> None:
    desk = await open_desk()
    await call(desk, "halt", {})
    reply = await dispatch(desk, Call(command="unhalt", args={}, caller=replace(OWNER, via=via, proved=True)))
    assert not reply.ok
    assert desk.mode()[0] is Mode.HALT


async def test_stepup_when_proved_then_acts() -> None:
    desk = await open_desk()
    await call(desk, "halt", {})
    reply = await dispatch(desk, Call(command="unhalt", args={}, caller=replace(OWNER, proved=True)))
    assert reply.ok
    assert desk.mode()[0] is Mode.ACTIVE


def test_call_line_when_an_argument_is_secret_then_leaves_it_out() -> None:
    command = replace(note.COMMAND, parameters=(Parameter(name="pin", kind=Kind.SECRET), Parameter(name="text", kind=Kind.TEXT)))
    assert call_line(command, {"pin": "4711", "text": "a b"}) == "note text='a b'"


async def test_k2_reply_when_a_pin_was_typed_then_holds_no_trace_of_it() -> None:
    desk = await open_desk()
    reply = await call(desk, "unhalt", {"pin": "471100"})
    assert "471100" not in repr(reply)


async def test_bug_when_a_command_fails_then_an_id_is_shown_and_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk()
    reported: list[str] = []
    desk.runtime.on_failure = lambda name, error: reported.append(f"{name}: {error}")
    monkeypatch.setattr(note, "COMMAND", command_that(RuntimeError("secret inside"), note.COMMAND)[0])
    reply = await call(desk, "note", {"text": "x"})
    assert not reply.ok
    assert "Something went wrong on our side (E" in text(reply)
    assert "Nothing was sent to the broker" in text(reply)
    assert "secret inside" not in text(reply)
    assert "Traceback" not in text(reply)
    assert "secret inside" in reported[0]
    assert reported[0].split()[0] in text(reply)
    assert desk.mode(account=desk.config.accounts[0].id)[0] is Mode.ACTIVE


async def test_bug_when_on_the_order_path_then_the_account_goes_to_reducing(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk()
    desk.runtime.on_failure = lambda name, error: None
    monkeypatch.setattr(cancel, "COMMAND", command_that(RuntimeError("x"), cancel.COMMAND)[0])
    reply = await call(desk, "cancel", {})
    mode, reason = desk.mode(account=desk.config.accounts[0].id)
    assert mode is Mode.REDUCING
    assert "order path" in reason
    assert "resume" in text(reply)


async def test_unavailable_when_raised_then_names_what_and_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk()
    monkeypatch.setattr(note, "COMMAND", command_that(Unavailable("quotes of SPY", desk.now(), "no answer"), note.COMMAND)[0])
    reply = await call(desk, "note", {"text": "x"})
    assert text(reply) == "Quotes of SPY is not available since 2026-11-20 15:00:00+00:00: no answer. Nothing was sent to the broker."


async def test_conflict_when_it_passes_then_the_call_is_done_on_the_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk()
    command, runs = command_that(Conflict(), note.COMMAND, times=1)
    monkeypatch.setattr(note, "COMMAND", command)
    assert (await call(desk, "note", {"text": "x"})).ok
    assert len(runs) == 2


async def test_conflict_when_it_stays_then_refuses_after_two_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk()
    command, runs = command_that(Conflict(), note.COMMAND)
    monkeypatch.setattr(note, "COMMAND", command)
    reply = await call(desk, "note", {"text": "x"})
    assert not reply.ok
    assert "Nothing was sent" in text(reply)
    assert len(runs) == 2


async def test_access_when_a_setting_is_weighed_then_depends_on_its_direction() -> None:
    desk = await open_desk()
    command = settings.COMMAND
    tighter = {"key": "desk.ticket_life_seconds", "value": "60"}
    looser = {"key": "desk.ticket_life_seconds", "value": "600"}
    assert command.access_for(tighter, desk) is Access.REDUCE
    assert command.access_for(looser, desk) is Access.STEPUP
    assert command.access_for(tighter) is Access.STEPUP


async def test_note_when_written_then_the_log_names_person_and_words() -> None:
    desk = await open_desk()
    reply = await say(desk, "note wings were wide")
    event = (await desk.store.read(after=reply.cites[0] - 1))[0]
    assert event.actor == "person:owner"
    assert event.body == NoteWritten(text="wings were wide")

