"""Telegram misbehaving in every documented way: an update comes again, late or not at all, an answer gets lost, somebody else polls."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import Update

from bot.auth import local_owner
from bot.channels.telegram.front import TAKEN
from bot.channels.telegram.inbox import Inbox
from bot.channels.telegram.pages import LONGEST_TEXT, plain, to_pages, units
from bot.session import Session
from core.clock import SystemClock
from core.command import Role
from core.domain.events import AlertRaised, Mode
from core.errors import Unavailable
from core.people import OWNER
from core.reply import Fact, Facts, Notice, Reply, Text
from tests.paper_desk import open_desk
from tests.telegram_server import Fault, Lost, TelegramServer, telegram_server
from tests.unit.bot.telegram.hand import ALICE, BOB, OPEN, Chat, chat, on, pair

TOO_MANY = Fault(429, "Too Many Requests: retry after 1", retry_after=1)


async def alert(hand: Chat, key: str, urgency: str = "high") -> None:
    body = AlertRaised(key=key, urgency=urgency, text=f"Look at {key}.", lines=("status",), labels=("Status",))
    await hand.desk.record(hand.desk.draft(body, actor="desk"))


async def test_a1_update_when_delivered_five_times_then_has_one_effect(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        update = hand.server.write(ALICE, OPEN)
        for _ in range(4):
            hand.server.put(update, number=update["update_id"])
        hand.server.put(update)  # and under a new number
        await hand.server.last(ALICE, "Ticket T")
        await hand.quiet()
        assert len(hand.desk.fold.tickets) == 1
        assert len(hand.server.texts(ALICE)) == 1


async def test_a1_press_when_sent_again_under_new_numbers_then_one_order_is_sent(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        card = await hand.card()
        update = hand.server.press(ALICE, card, "Confirm", query="same")
        hand.server.put(update)
        hand.server.press(ALICE, card, "Confirm", query="other", data=update["callback_query"]["data"])
        await hand.quiet()
        assert hand.orders() == 1


async def test_a2_update_when_the_process_died_before_handling_it_then_is_handled_once_after_the_restart(tmp_path: Path) -> None:
    desk = await open_desk()
    await pair(desk, ALICE, OWNER, Role.OWNER)
    async with telegram_server() as server:
        update = server.write(ALICE, "status")
        server.updates.clear()  # it was fetched
        await Inbox(desk, wall=SystemClock().now).put(Update.de_json(update))  # and stored, and then the process died
        async with on(server, desk, tmp_path) as hand:
            await server.last(ALICE, "exchange time")
        async with on(server, desk, tmp_path) as hand:
            await hand.quiet()
            assert len(server.texts(ALICE)) == 1
    await desk.runtime.aclose()


async def test_a2_press_when_the_process_died_in_the_midst_of_it_then_the_person_is_told_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    desk = await open_desk()
    await pair(desk, ALICE, OWNER, Role.OWNER)
    async with telegram_server() as server:
        async with on(server, desk, tmp_path) as hand:
            card = await hand.card()
            update = server.press(ALICE, card, "Confirm", query="q1")
            await server.until(lambda: card.edits)
        await Inbox(desk, wall=SystemClock().now).put(Update.de_json(update))  # as if its end had never been noted
        async with on(server, desk, tmp_path) as hand:
            await server.last(ALICE, "was handled before")
            assert hand.orders() == 1
    await desk.runtime.aclose()


async def test_a3_update_when_the_numbers_jump_backwards_then_is_still_handled(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await hand.ask("status", "exchange time")
        update = hand.server.write(ALICE, "positions")
        hand.server.updates.clear()
        hand.server.put(update, number=5)
        await hand.server.last(ALICE, "positions")


async def test_a4_press_when_its_card_is_unknown_then_no_order_and_the_person_is_told(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        card = await hand.card()
        hand.server.press(ALICE, card, "Confirm", data="A" * 22)
        await hand.server.last(ALICE, "not known here")
        assert hand.orders() == 0


async def test_a4_edit_when_it_comes_before_its_original_then_only_the_original_is_read(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        update = hand.server.write(ALICE, "kill")
        hand.server.updates.clear()
        original = dict(update["message"], text="status")
        hand.server.put({"edited_message": dict(update["message"], edit_date=update["message"]["date"])})
        hand.server.put({"message": original})
        await hand.server.last(ALICE, "An edited message is not read again")
        await hand.server.last(ALICE, "exchange time")
        assert hand.desk.mode()[0] is Mode.ACTIVE


async def test_a5_send_when_told_to_wait_then_the_halt_is_in_force_at_once_and_its_answer_follows(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await hand.ask("status", "exchange time")
        hand.server.faults = [("sendMessage", TOO_MANY)] * 2  # the news of it, and the answer
        began = hand.desk.runtime.seconds()
        hand.server.write(ALICE, "halt")
        await hand.server.until(lambda: hand.desk.mode()[0] is Mode.HALT)
        assert hand.desk.runtime.seconds() - began < 0.9
        await hand.server.last(ALICE, "HALT")
        assert hand.desk.runtime.seconds() - began >= 1.0


async def test_a5_news_when_told_to_wait_then_what_is_critical_goes_first_and_all_of_it_comes(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        hand.server.faults = [("sendMessage", TOO_MANY)]
        await alert(hand, "margin", "low")
        await hand.server.until(lambda: hand.server.refused)
        await alert(hand, "loss", "critical")
        await hand.server.last(ALICE, "margin")
        assert [text.split("Look at ")[1] for text in hand.server.texts(ALICE)] == ["loss.", "margin."]
        assert [one.silent for one in hand.server.chats[ALICE]] == [False, True]


async def test_a6_news_when_its_answer_is_lost_then_a_copy_comes_with_the_very_same_buttons(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        hand.server.faults = [("sendMessage", Lost())]
        await alert(hand, "margin")
        await hand.server.until(lambda: len(hand.server.texts(ALICE)) == 2)
        first, second = hand.server.chats[ALICE]
        assert first.text == second.text
        assert first.buttons == second.buttons


async def test_a6_card_when_its_answer_is_lost_then_both_copies_stand_for_one_order(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        hand.server.faults = [("sendMessage", Lost())]
        await hand.card()
        await hand.server.until(lambda: len(hand.server.texts(ALICE)) == 2)
        for copy in hand.server.chats[ALICE][:2]:
            hand.server.press(ALICE, copy, "Confirm")
        await hand.quiet()
        assert hand.orders() == 1


async def test_a7_edit_when_nothing_changed_or_the_message_is_gone_then_the_answer_is_there_all_the_same(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        card = await hand.card()
        hand.server.faults = [("editMessageText", Fault(400, "Bad Request: message is not modified"))]
        hand.server.press(ALICE, card, "Reprice")
        await hand.server.until(lambda: not hand.server.faults)
        await hand.quiet()
        assert len(hand.server.texts(ALICE)) == 1
        card = await hand.card("open put_credit_spread SPY 1")
        hand.server.chats[ALICE].remove(card)
        hand.server.press(ALICE, card, "Confirm")
        await hand.server.last(ALICE, "confirm ticket=")
        assert hand.orders() == 1


async def test_a7_chat_when_the_bot_is_blocked_then_the_desk_goes_on_and_the_news_waits(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await hand.quiet()
        hand.server.blocked.add(ALICE)
        await alert(hand, "margin")
        await hand.server.until(lambda: hand.server.refused)
        assert hand.desk.mode()[0] is Mode.ACTIVE
        hand.server.blocked.clear()
        await hand.ask("status", "exchange time")
        await hand.server.last(ALICE, "Look at margin.")


@given(st.text(max_size=300), st.integers(min_value=1, max_value=60))
def test_a8_text_when_it_is_anything_then_every_page_is_taken_and_no_figure_is_changed(text: str, times: int) -> None:
    words = f"{text} 1,234.56 <b>BRK.B_</b> & " * times
    reply = Reply(blocks=(Notice(text=words), Text(text=words), Facts(title=text, facts=(Fact(label=text, value=words),))), badge="PAPER")
    server = TelegramServer()
    shown = [server._checked({"text": page, "parse_mode": "HTML"}, "text", LONGEST_TEXT) for page in to_pages(reply).pages]
    assert all(units(page) <= LONGEST_TEXT for page in to_pages(reply).pages)
    assert sum(page.count("1,234.56") for page in shown) == 3 * times
    assert [plain(page) for page in to_pages(reply).pages] == shown


async def test_a8_answer_when_the_server_does_not_take_its_marks_then_comes_as_plain_text(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        hand.server.faults = [("sendMessage", Fault(400, "Bad Request: can't parse entities: Unsupported start tag"))]
        sent = await hand.ask("status", "exchange time")
        assert "<pre>" not in sent.text


async def test_a9_acknowledgement_when_it_is_too_late_then_the_order_decides_and_its_result_comes(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        card = await hand.card()
        hand.server.press(ALICE, card, "Confirm")
        hand.server.close_queries()
        await hand.server.until(lambda: card.edits)
        assert hand.orders() == 1
        assert any("query is too old" in words for _, words in hand.server.refused)


async def test_a10_second_program_when_it_polls_the_same_bot_then_the_later_one_says_so_and_stops_reading(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        hand.front._began -= 3_600  # it has run for an hour
        await hand.ask("status", "exchange time")
        other = await open_desk()
        await pair(other, ALICE, OWNER, Role.OWNER)
        async with on(hand.server, other, tmp_path) as second:
            await hand.server.until(lambda: second.said)
            assert second.said == [f"[!] {TAKEN}\n"]
            await hand.ask("positions", "positions")
        await other.runtime.aclose()


async def test_a11_backlog_when_hundreds_wait_then_nothing_of_it_acts_and_one_summary_comes(tmp_path: Path) -> None:
    desk = await open_desk()
    await pair(desk, ALICE, OWNER, Role.OWNER)
    async with telegram_server() as server:
        async with on(server, desk, tmp_path) as hand:
            card = await hand.card()
        for _ in range(400):
            server.write(ALICE, OPEN, age=86_400)
        server.write(ALICE, "pause", age=86_400)
        server.press(ALICE, card, "Confirm")
        async with on(server, desk, tmp_path) as hand:
            summary = await server.last(ALICE, "While the desk was away came 400 messages and 1 press of a button. Nothing of it was done.")
            assert hand.orders() == 0
            assert len(desk.fold.tickets) == 1
            assert desk.mode()[0] is Mode.PAUSED
            server.press(ALICE, summary, OPEN)
            await server.until(lambda: len(desk.fold.tickets) == 2)
    await desk.runtime.aclose()


@pytest.mark.parametrize("age", [0.0, 30.0])
async def test_message_when_it_waited_less_than_a_minute_then_is_simply_answered(age: float, tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        hand.server.write(ALICE, "status", age=age)
        await hand.server.last(ALICE, "exchange time")


async def test_question_when_it_is_slow_then_shows_so_and_holds_up_neither_confirm_nor_halt(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    async with chat(tmp_path) as hand:
        card = await hand.card()
        go, chain = hand.desk.runtime.event(), hand.desk.reader.view

        async def slow(*args: object, **kwargs: object) -> object:
            await go.wait()
            return await chain(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(hand.desk.reader, "view", slow)
        for _ in range(30):
            hand.server.write(ALICE, "chain SPY")
        note = await hand.server.last(ALICE, "Working on it")
        hand.server.write(ALICE, "halt")
        await hand.server.until(lambda: hand.desk.mode()[0] is Mode.HALT)
        hand.server.press(ALICE, card, "Confirm")
        await hand.server.last(ALICE, "HALT")
        go.set()
        await hand.server.until(lambda: note.edits)
        assert "SPY" in note.text


class FullDisk:
    """Refuses every write."""

    async def before_write(self, operations: object) -> None:
        raise Unavailable("storage", why="the disk is full")

    async def after_write(self, operations: object) -> None:
        raise AssertionError("nothing was written")


async def test_halt_when_the_disk_is_full_then_is_heard_all_the_same_and_an_order_is_not(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        hand.desk.runtime.on_failure = lambda name, error: None  # each refusal of the disk is reported
        card = await hand.card()
        hand.desk.archive._faults = FullDisk()  # type: ignore[attr-defined]
        hand.server.write(ALICE, "halt")
        await hand.server.until(lambda: hand.desk.mode()[0] is Mode.HALT)
        hand.server.press(ALICE, card, "Confirm")
        await hand.quiet()
        assert hand.orders() == 0


async def test_terminal_when_telegram_is_down_then_works_as_ever(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        hand.server.faults = [("getUpdates", Fault(502, "Bad Gateway"))] * 50
        reply = await Session(hand.desk, person=local_owner(), chat="terminal").message("status")
        assert reply.ok


async def test_bob_when_a_chat_is_slow_then_hears_his_news_at_once(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await pair(hand.desk, BOB, "bob", Role.TRADER)
        hand.server.blocked.add(ALICE)
        await alert(hand, "margin")
        await hand.server.last(BOB, "Look at margin.")
        await hand.server.last(BOB, f"The telegram chat {ALICE} takes no messages any more")
