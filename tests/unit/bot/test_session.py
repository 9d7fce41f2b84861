"""Conversations: numbers, labels, tokens, PIN, and each message once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from bot.auth import Person, Pins, open_pins
from bot.buttons import Buttons, hash_of
from bot.session import Session, Shown
from core.clock import ManualClock
from core.command import Role
from core.desk import Desk
from core.domain.events import Mode
from core.errors import Unavailable
from core.ports import Put
from core.reply import Action, Reply, Text
from core.runtime import SystemRuntime
from core.store.archive import MemoryArchive
from tests.paper_desk import open_desk, text

OWNER = Person(id="owner", role=Role.OWNER)
OPEN = "open put_credit_spread XSP 1"


@pytest.fixture
def pins(tmp_path: Path) -> Pins:
    return open_pins(tmp_path, SystemRuntime(), make="471100", salt="00")[0]


def session(desk: Desk, *, person: Person = OWNER, chat: str = "terminal", pins: Pins | None = None) -> Session:
    return Session(desk, person=person, chat=chat, pins=pins)


def orders(desk: Desk) -> int:
    """How many orders were ever submitted."""
    return len(desk.book(desk.config.accounts[0].id).orders)


def token(shown: Shown, label: str) -> str:
    return next(button.token for button in shown.buttons if button.label == label)


def said(reply: Reply) -> str:
    """All sentences of a reply."""
    return " ".join([text(reply), *(block.text for block in reply.blocks if isinstance(block, Text))])


async def test_message_when_a_command_is_typed_then_it_is_answered() -> None:
    desk = await open_desk()
    reply = await session(desk).message("positions spy")
    assert reply.ok
    assert reply.command == "positions symbol=SPY"


async def test_number_when_typed_then_presses_that_button_of_the_last_answer() -> None:
    desk = await open_desk()
    talk = session(desk)
    card = await talk.hear(OPEN)
    assert [button.number for button in card.buttons] == list(range(1, len(card.buttons) + 1))
    assert card.buttons[0].label == "Confirm"
    reply = await talk.message("1")
    assert reply.command.startswith("confirm ticket=T")
    assert orders(desk) == 1


@pytest.mark.parametrize("word", ["Confirm", "confirm", "CONFIRM", "conf"])
async def test_label_when_typed_then_presses_the_newest_card_that_has_it(word: str) -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message(OPEN)
    second = await talk.hear("open put_credit_spread SPY 1")
    await talk.message("positions")
    reply = await talk.message(word)
    assert reply.command == f"confirm ticket={second.reply.data['ticket']}"


async def test_d6_number_when_another_answer_came_since_then_never_hits_the_older_card() -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message(OPEN)
    await talk.message("positions")  # no buttons
    reply = await talk.message("1")
    assert "no button 1" in text(reply)
    assert orders(desk) == 0


async def test_d6_number_when_news_with_buttons_came_since_then_still_means_the_card() -> None:
    desk = await open_desk()
    talk = session(desk)
    card = await talk.hear(OPEN)
    news = await talk.tell(Reply(blocks=(Text(text="news"),), actions=(Action(label="Kill", line="kill"),)))
    assert news.buttons[0].number == len(card.buttons) + 1
    reply = await talk.message("1")
    assert reply.command.startswith("confirm")
    assert desk.mode()[0] is Mode.ACTIVE


@pytest.mark.parametrize("word", ["c", "co"])
async def test_label_when_too_short_then_is_no_press(word: str) -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message(OPEN)
    assert not (await talk.message(word)).ok
    assert orders(desk) == 0


async def test_label_when_two_buttons_begin_so_then_asks_which() -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.tell(Reply(blocks=(), actions=(Action(label="Use P1", line="kill"), Action(label="Use P2", line="kill"))))
    reply = await talk.message("use p")
    assert "Several buttons" in text(reply)
    assert desk.mode()[0] is Mode.ACTIVE


async def test_label_when_an_older_card_has_it_and_it_is_a_command_then_the_command_is_meant() -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message("pause naked_put")  # offers Resume for that strategy
    await talk.message("pause")
    await talk.message("positions")
    reply = await talk.message("resume")
    assert reply.command == "resume"
    assert desk.mode()[0] is Mode.ACTIVE
    assert desk.mode(strategy="naked_put")[0] is Mode.PAUSED


async def test_confirm_when_typed_with_its_id_then_is_exact() -> None:
    desk = await open_desk()
    talk = session(desk)
    first = await talk.message(OPEN)
    await talk.message("open put_credit_spread SPY 1")
    reply = await talk.message(f"confirm {first.data['ticket']}")
    assert reply.command == f"confirm ticket={first.data['ticket']}"
    assert orders(desk) == 1


async def test_d1_press_when_tapped_twenty_times_at_once_then_one_order() -> None:
    desk = await open_desk()
    talk, other = session(desk), session(desk, chat="phone")
    card = await talk.hear(OPEN)
    press = token(card, "Confirm")
    replies = await asyncio.gather(*((talk if number % 2 else other).press(press) for number in range(20)))
    assert orders(desk) == 1
    assert sum(1 for reply in replies if "already confirmed" in text(reply)) == 19


async def test_d1_number_when_typed_twice_in_a_row_then_the_second_does_not_press_what_it_means_now() -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.hear("open put_credit_spread XSP 1 limit=2.00")
    sent = await talk.message("1")
    order = desk.books.order(str(sent.data["order"]))
    twice = await talk.message("1")  # the answer's own first button is Cancel
    assert order is not None
    assert not desk.book(order.account).orders[order.client_id].cancel_asked
    assert "came twice in a row, and now means Cancel" in text(twice)
    await desk.runtime.sleep(1.1)
    once_more = await talk.message("1")
    assert "Cancelled" in text(once_more), text(once_more)


async def test_d2_press_when_the_card_expired_then_a_fresh_card_comes_and_nothing_is_sent() -> None:
    desk = await open_desk()
    talk = session(desk)
    card = await talk.hear(OPEN)
    clock = desk.runtime.clock
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(seconds=121))
    reply = await talk.press(token(card, "Confirm"))
    assert not reply.ok
    assert "expired" in text(reply)
    assert reply.data["ticket"] != card.reply.data["ticket"]
    assert orders(desk) == 0


async def test_d2_press_when_the_process_was_restarted_then_the_old_button_still_answers() -> None:
    desk = await open_desk()
    card = await session(desk).hear(OPEN)
    reply = await session(desk).press(token(card, "Confirm"))
    assert reply.command == f"confirm ticket={card.reply.data['ticket']}"
    assert orders(desk) == 1


@pytest.mark.parametrize("forged", ["", "x", "AAAAAAAAAAAAAAAAAAAAAA", "1; kill"])
async def test_b4_press_when_the_token_is_forged_then_refuses(forged: str) -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message(OPEN)
    reply = await talk.press(forged)
    assert not reply.ok
    assert orders(desk) == 0
    assert desk.mode()[0] is Mode.ACTIVE


async def test_b4_press_when_the_button_is_another_persons_then_refuses_and_alarms() -> None:
    desk = await open_desk()
    alarms: list[str] = []
    desk.runtime.on_failure = lambda name, error: alarms.append(str(error))
    card = await session(desk).hear(OPEN)
    reply = await session(desk, person=Person(id="mallory", role=Role.TRADER)).press(token(card, "Confirm"))
    assert "not yours" in text(reply)
    assert orders(desk) == 0
    assert alarms == ["mallory pressed a button of owner"]


async def test_d4_press_when_the_stored_card_is_another_then_refuses() -> None:
    desk = await open_desk()
    talk = session(desk)
    card = await talk.hear(OPEN)
    press = token(card, "Confirm")
    rows = await desk.archive.select("buttons", where={"hash": hash_of(press)})
    await desk.archive.write([Put(table="buttons", row={**rows[0], "card_hash": "0" * 64})])
    reply = await talk.press(press)
    assert "not the one on record" in text(reply)
    assert orders(desk) == 0


async def test_d8_buttons_when_stored_then_the_token_itself_is_not() -> None:
    desk = await open_desk()
    card = await session(desk).hear(OPEN)
    rows = await desk.archive.select("buttons")
    assert len(rows) == len(card.buttons)
    assert all(button.token not in repr(rows) for button in card.buttons)
    assert all(len(button.token) >= 22 for button in card.buttons)  # 128 bits in base 64


async def test_once_button_when_it_has_no_ticket_then_works_once() -> None:
    desk = await open_desk()
    talk = session(desk)
    shown = await talk.tell(Reply(blocks=(), actions=(Action(label="Stop", line="pause", once=True),)))
    assert (await talk.press(shown.buttons[0].token)).ok
    assert "already used" in text(await talk.press(shown.buttons[0].token))


async def test_button_when_a_week_old_then_refuses() -> None:
    desk = await open_desk()
    talk = session(desk)
    shown = await talk.tell(Reply(blocks=(), actions=(Action(label="Stop", line="pause"),)))
    clock = desk.runtime.clock
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(days=8))
    assert "too old" in text(await talk.press(shown.buttons[0].token))
    assert desk.mode()[0] is Mode.ACTIVE


async def test_buttons_when_found_then_give_back_what_was_stored() -> None:
    desk = await open_desk()
    buttons = Buttons(desk.archive, desk.runtime.entropy)
    reply = Reply(blocks=(Text(text="x"),), actions=(Action(label="A", line='note text="a b"', once=True),), data={"ticket": "T1"})
    (button,) = await buttons.issue(reply, person="owner", chat="phone", now=desk.now(), first=5)
    stored = await buttons.find(button.token)
    assert stored is not None
    assert (stored.line, stored.person, stored.chats, stored.ticket_id, stored.once) == ('note text="a b"', "owner", ("phone",), "T1", True)
    assert button.number == 5
    assert await buttons.find("nothing") is None


async def test_a1_message_when_delivered_again_then_same_answer_and_one_effect() -> None:
    desk = await open_desk()
    talk = session(desk)
    first = await talk.message("note once", "m1")
    again = await asyncio.gather(*(talk.message("note once", "m1") for _ in range(4)))
    assert all(reply == first for reply in again)
    assert len(desk.fold.notes) == 1


async def test_a1_message_when_delivered_in_parallel_then_one_effect() -> None:
    desk = await open_desk()
    talk = session(desk)
    replies = await asyncio.gather(*(talk.message("note once", "m1") for _ in range(5)))
    assert len(desk.fold.notes) == 1
    assert all(reply == replies[0] for reply in replies)


async def test_a2_message_when_delivered_again_after_a_restart_then_no_second_effect() -> None:
    desk = await open_desk()
    await session(desk).message("note once", "m1")
    reply = await session(desk).message("note once", "m1")
    assert not reply.ok
    assert "before" in text(reply)
    assert len(desk.fold.notes) == 1


async def test_a2_halt_when_the_life_that_took_it_in_ended_before_its_effect_then_the_next_one_halts() -> None:
    desk = await open_desk()
    row = {"transport": "terminal", "update_id": "m1", "at": desk.now().isoformat()}
    await desk.archive.write([Put(table="inbox", row=row)])

    reply = await session(desk).message("halt", "m1")

    assert reply.ok
    assert desk.mode()[0] is Mode.HALT
    again = await session(desk).message("note once", "m1")
    assert "before" in text(again)


class Full:
    """A disk that refuses every write."""

    async def before_write(self, operations: object) -> None:
        raise Unavailable("storage", why="no space left")

    async def after_write(self, operations: object) -> None:
        """Never reached."""


async def test_h1_a2_message_when_the_inbox_cannot_be_written_then_what_may_not_be_done_twice_is_not_done() -> None:
    desk = await open_desk()
    card = await session(desk).message("open put_credit_spread XSP 1 limit=2.00", "m1")
    sent = await session(desk).message(f"confirm {card.data['ticket']}", "m2")
    order = str(sent.data["order"])
    desk.archive = MemoryArchive(faults=Full())
    talk = session(desk)
    replies = await asyncio.wait_for(asyncio.gather(*(talk.message("note twice", "m3") for _ in range(3))), 5)
    assert all(not reply.ok and "no space left" in text(reply) for reply in replies)
    assert desk.fold.notes == ()
    assert (await talk.message("status", "m4")).ok
    await talk.message(f"cancel {order}", "m5")
    ended = desk.books.order(order)
    assert ended is not None
    assert ended.state.terminal


async def test_h1_message_when_the_inbox_cannot_be_written_then_halt_is_heard_once_and_nothing_waits() -> None:
    desk = await open_desk()
    desk.archive = MemoryArchive(faults=Full())
    talk = session(desk)
    first = await asyncio.wait_for(talk.message("halt", "m1"), 5)
    again = await asyncio.wait_for(talk.message("halt", "m1"), 5)
    assert again == first
    assert desk.mode()[0] is Mode.HALT


async def test_a3_message_when_its_id_is_smaller_than_the_last_then_is_still_handled() -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message("note one", "900")
    await talk.message("note two", "3")
    assert [note.text for note in desk.fold.notes] == ["one", "two"]


async def test_unclear_when_typed_then_suggests_lines_that_do_not_trade() -> None:
    desk = await open_desk()
    shown = await session(desk).hear("sttaxxus")
    rows = await desk.archive.select("buttons")
    assert not shown.reply.ok
    assert "status" in [button.label for button in shown.buttons]
    assert all(row["line"] in ("status", "positions") or row["line"].startswith("help") for row in rows)


async def test_unclear_when_somebody_types_stop_then_everything_stops() -> None:
    desk = await open_desk()
    reply = await session(desk).message("stop!")
    assert reply.command == "kill"
    assert desk.mode()[0] is Mode.HALT


async def test_usage_error_when_typed_then_is_a_refusal_with_an_example() -> None:
    desk = await open_desk()
    reply = await session(desk).message("open put_credit_spread SPY quantity=lots")
    assert not reply.ok
    assert "quantity cannot be 'lots'" in text(reply)
    assert reply.badge


async def test_viewer_when_pressing_confirm_then_is_refused() -> None:
    desk = await open_desk()
    viewer = Person(id="owner", role=Role.VIEWER)
    card = await session(desk).hear(OPEN)
    reply = await session(desk, person=viewer).press(token(card, "Confirm"))
    assert not reply.ok
    assert orders(desk) == 0


async def test_pin_when_asked_and_typed_then_the_change_is_made(pins: Pins) -> None:
    desk = await open_desk()
    talk = session(desk, pins=pins)
    await talk.message("halt")
    asked = await talk.message("unhalt")
    assert "PIN" in said(asked)
    assert talk.expects_secret
    reply = await talk.message("471100")
    assert reply.ok
    assert desk.mode()[0] is Mode.ACTIVE
    assert "471100" not in repr(reply)


async def test_pin_when_given_in_the_line_then_no_trace_of_it_is_kept(pins: Pins) -> None:
    desk = await open_desk()
    talk = session(desk, pins=pins)
    await talk.message("halt")
    reply = await talk.message("unhalt pin=471100")
    events = await desk.store.read()
    assert reply.ok
    assert reply.command == "unhalt"
    assert "471100" not in repr((reply, events, await desk.archive.select("buttons")))


async def test_pin_when_wrong_then_nothing_changes_and_the_question_is_over(pins: Pins) -> None:
    desk = await open_desk()
    talk = session(desk, pins=pins)
    await talk.message("halt")
    await talk.message("unhalt")
    assert "not the PIN" in text(await talk.message("000000"))
    assert not talk.expects_secret
    assert desk.mode()[0] is Mode.HALT


async def test_pin_when_something_else_is_typed_then_that_is_done_instead(pins: Pins) -> None:
    desk = await open_desk()
    talk = session(desk, pins=pins)
    await talk.message("halt")
    await talk.message("unhalt")
    assert (await talk.message("positions")).command == "positions"
    assert not (await talk.message("471100")).ok  # nothing waits for it any more
    assert desk.mode()[0] is Mode.HALT


async def test_pin_when_the_person_says_no_then_it_is_left(pins: Pins) -> None:
    desk = await open_desk()
    talk = session(desk, pins=pins)
    await talk.message("halt")
    await talk.message("unhalt")
    assert "Left as it was" in said(await talk.message("no"))
    assert desk.mode()[0] is Mode.HALT


async def test_b9_pin_when_locked_then_halt_and_kill_still_work(pins: Pins) -> None:
    desk = await open_desk()
    talk = session(desk, pins=pins)
    for _ in range(10):
        await talk.message("settings desk.ticket_life_seconds 600 pin=000000")
        await talk.message("unhalt pin=000000")
        await talk.message("settings rules.capital.max_fraction 0.2")
        await talk.message("000000")
    assert (await talk.message("kill")).ok
    assert desk.mode()[0] is Mode.HALT
    assert "locked" in text(await talk.message("unhalt pin=471100"))


@pytest.mark.parametrize("typed", ["123", "1", "1234567890123"])
async def test_pin_when_digits_are_no_pin_then_says_so(pins: Pins, typed: str) -> None:
    desk = await open_desk()
    talk = session(desk, pins=pins)
    await talk.message("halt")
    await talk.message("unhalt")
    assert "A PIN is 4 to 12 digits" in text(await talk.message(typed))
    assert desk.mode()[0] is Mode.HALT


async def test_pin_when_there_is_one_line_only_then_says_how_to_give_it_there(pins: Pins) -> None:
    desk = await open_desk()
    talk = Session(desk, person=OWNER, chat="do", pins=pins, one_line=True)
    await talk.message("halt")
    assert "`unhalt pin=...`" in said(await talk.message("unhalt"))
    assert not talk.expects_secret


async def test_h1_card_when_buttons_cannot_be_stored_then_it_comes_with_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk()
    talk = session(desk)
    told: list[str] = []
    desk.runtime.on_failure = lambda name, error: told.append(name)
    monkeypatch.setattr(desk.archive, "write", _full)
    shown = await talk.hear(OPEN)
    assert shown.buttons == ()
    assert "`confirm T" in text(shown.reply)
    assert (await talk.tell(shown.reply)).buttons == ()
    assert told == ["conversation", "buttons"]


async def test_h1_press_when_the_disk_refuses_then_nothing_is_sent_and_the_chat_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.hear("halt")
    monkeypatch.setattr(desk.archive, "select", _full)
    reply = await talk.message("Kill")
    assert not reply.ok
    assert "the disk is full" in text(reply)
    monkeypatch.undo()
    assert (await talk.message("positions")).ok


async def _full(*_: object, **__: object) -> None:
    raise Unavailable("storage", why="the disk is full")


async def test_pin_when_there_is_none_here_then_says_where(pins: Pins) -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message("halt")
    assert "use the terminal" in text(await talk.message("unhalt"))
    assert not talk.expects_secret
