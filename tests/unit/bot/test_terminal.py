"""The terminal: answers in order, news as it comes, a clean end."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from bot.auth import Person, local_owner
from bot.channels.terminal import LineReader, Terminal
from bot.session import Session
from core.desk import Desk
from core.domain.events import Mode, ModeSet, NoteWritten, Scope
from core.runtime import SystemRuntime
from tests.paper_desk import open_desk


def typed(*lines: str) -> Callable[[], Awaitable[str | None]]:
    """Lines that come one after another, then the end."""
    left = list(lines)

    async def line() -> str | None:
        return left.pop(0) if left else None

    return line


async def screen(desk: Desk, *lines: str, keyboard: bool = False, person: Person | None = None) -> str:
    """What the terminal shows for these lines."""
    out: list[str] = []
    session = Session(desk, person=person or local_owner(), chat="terminal")
    await Terminal(session, lines=typed(*lines), write=out.append, keyboard=keyboard, greeting=("Welcome",)).run()
    return "".join(out)


async def test_chat_when_lines_come_through_a_pipe_then_each_is_answered_in_order() -> None:
    desk = await open_desk()
    text = await screen(desk, "positions", "", "note hello", "quit", "note never")
    assert text.startswith("Welcome\n")
    assert text.index("> positions") < text.index("No open positions") < text.index("> note hello") < text.index("Noted: hello")
    assert [note.text for note in desk.fold.notes] == ["hello"]


async def test_chat_when_a_trade_is_made_by_number_then_the_fill_is_told_once() -> None:
    desk = await open_desk()
    text = await screen(desk, "open put_credit_spread XSP 2", "1")
    assert "[1] Confirm" in text
    assert text.count("Filled: 2") == 1


async def test_chat_when_something_happens_elsewhere_then_it_is_told() -> None:
    desk = await open_desk()

    async def line() -> str | None:
        if desk.mode()[0] is Mode.HALT:
            return None
        mode = ModeSet(scope=Scope(), mode=Mode.HALT, cause="rule", reason="a rule said so")
        await desk.record(desk.draft(mode, actor="rule:test"))
        return "positions"

    out: list[str] = []
    await Terminal(Session(desk, person=local_owner(), chat="terminal"), lines=line, write=out.append).run()
    assert "The desk is HALTED" in "".join(out)
    assert "".join(out).count("a rule said so") == 1


async def test_chat_when_it_ends_then_listens_no_more() -> None:
    desk = await open_desk()
    out: list[str] = []
    await Terminal(Session(desk, person=local_owner(), chat="terminal"), lines=typed(), write=out.append).run()
    before = len(out)
    await desk.record(desk.draft(ModeSet(scope=Scope(), mode=Mode.HALT, cause="x", reason="late"), actor="desk"))
    await desk.record(desk.draft(NoteWritten(text="x"), actor="desk"))
    assert len(out) == before


async def test_chat_when_an_order_still_works_at_the_end_then_says_which() -> None:
    desk = await open_desk()
    text = await screen(desk, "open put_credit_spread XSP 1 limit=2.00", "confirm")
    (order,) = desk.book(desk.config.accounts[0].id).live
    assert f"Still working: {order}" in text


async def test_k2_chat_when_a_pin_is_typed_through_a_pipe_then_it_is_not_echoed() -> None:
    desk = await open_desk()
    text = await screen(desk, "halt", "unhalt pin=471100", "unhalt PIN=1234567")
    assert "471100" not in text
    assert "1234567" not in text
    assert "> unhalt pin=****" in text


async def test_a8_chat_when_a_line_through_a_pipe_is_hostile_then_its_echo_is_harmless() -> None:
    desk = await open_desk()
    text = await screen(desk, "\x1b[31mstatus\x00", "\u202equote SPY", "x" * 1_000_000)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert max(map(len, text.split("\n"))) < 250


async def test_l1_kill_when_typed_at_a_keyboard_then_does_not_wait_for_the_answer_before_it() -> None:
    desk = await open_desk()
    held = desk.runtime.event()

    class SlowReader:
        async def view(self, needs: object) -> object:
            await held.wait()
            raise AssertionError("not asked again")

        def label(self) -> str:
            return "SLOW"

    reader, desk.reader = desk.reader, SlowReader()  # type: ignore[assignment] # a data source that hangs
    out: list[str] = []
    state: list[Mode] = []

    async def line() -> str | None:
        if not out or "HALTED" not in "".join(out):
            return ["positions", "kill"][len(state)] if not state.append(desk.mode()[0]) and len(state) < 2 else "kill"
        desk.reader = reader
        held.set()
        return None

    session = Session(desk, person=local_owner(), chat="terminal")
    await Terminal(session, lines=line, write=out.append, keyboard=True).run()
    assert desk.mode()[0] is Mode.HALT


async def test_reader_when_bytes_come_in_pieces_then_gives_whole_lines_and_the_rest() -> None:
    runtime = SystemRuntime()
    read, write = os.pipe()
    lines = LineReader(runtime, read, stopping=lambda: False)
    os.write(write, b"one\r\ntw")
    assert await lines() == "one"
    os.write(write, "o ü\n\xff".encode())
    assert await lines() == "two ü"
    os.close(write)
    assert await lines() == "ÿ"
    assert await lines() is None
    os.close(read)
    await runtime.aclose()


async def test_reader_when_the_process_stops_then_ends_without_waiting_for_a_line() -> None:
    runtime = SystemRuntime()
    read, write = os.pipe()
    lines = LineReader(runtime, read, stopping=lambda: True)
    assert await lines() is None
    os.close(read)
    os.close(write)
    await runtime.aclose()
