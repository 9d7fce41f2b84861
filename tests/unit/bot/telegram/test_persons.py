"""Who may speak, from where, and whose words count. Numbers only; both person and chat; strangers get silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.auth import TRIES, local_owner
from bot.session import Session
from core.command import Role
from core.domain.events import Mode
from core.people import TRIES as GUESSES
from tests.telegram_server import BOT, TOKEN
from tests.unit.bot.telegram.hand import ALICE, BOB, EVE, GROUP, OPEN, PIN, TOPIC, Chat, chat, pair

FORWARDED = {"type": "hidden_user", "date": 1, "sender_user_name": "X"}
LOOSEN = "settings desk.ticket_life_seconds 300"


def silent(hand: Chat, number: int = EVE) -> bool:
    """Whether the bot never said a word there."""
    return hand.server.chats.get(number) is None


async def test_owner_when_the_code_of_the_start_is_sent_then_is_paired_with_a_menu_and_a_first_trade(tmp_path: Path) -> None:
    async with chat(tmp_path, paired=False) as hand:
        code = hand.said[0].split("/start ")[1].split("`")[0]
        welcome = await hand.ask(f"/start {code}", "you are its owner")
        assert [label for label, _ in welcome.buttons] == ["First paper trade", "Status", "Help"]
        await hand.server.until(lambda: "status" in hand.server.menus.get(str(ALICE), []))
        hand.server.press(ALICE, welcome, "First paper trade")
        await hand.server.last(ALICE, "Ticket T")


async def test_code_when_it_is_guessed_then_silence_and_even_the_right_one_waits(tmp_path: Path) -> None:
    async with chat(tmp_path, paired=False) as hand:
        code = hand.said[0].split("/start ")[1].split("`")[0]
        for number in range(GUESSES):
            hand.server.write(EVE, f"/start WRONG{number}")
        hand.server.write(EVE, f"/start {code}")
        await hand.quiet()
        assert silent(hand)
        await hand.ask(f"/start {code}", "you are its owner")


async def test_b1_stranger_when_writing_anything_then_hears_nothing_and_the_owner_hears_of_it_once(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        for text in ("status", "/start", "hello", "kill", OPEN):
            hand.server.write(EVE, text)
        await hand.server.last(ALICE, f"Somebody unknown (telegram:{EVE}) wrote to the bot.")
        await hand.quiet()
        assert silent(hand)
        assert len(hand.server.texts(ALICE)) == 1
        assert hand.desk.mode()[0] is Mode.ACTIVE


async def test_b1_strangers_when_they_come_by_hundreds_then_the_owner_is_not_flooded(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        for number in range(300):
            hand.server.write(10_000 + number, "status")
        await hand.quiet()
        assert len(hand.server.texts(ALICE)) == 5
        assert list(hand.server.chats) == [ALICE]


@pytest.mark.parametrize(
    "more",
    [
        {"sender_chat": {"id": GROUP, "type": "supergroup", "title": "Desk"}},
        {"sender_chat": {"id": -100777, "type": "channel", "title": "News"}},
    ],
    ids=["anonymous_admin", "channel_post"],
)
async def test_b2_group_message_when_no_person_wrote_it_then_is_refused(more: dict[str, Any], tmp_path: Path) -> None:
    async with chat(tmp_path, group=GROUP) as hand:
        hand.server.write(ALICE, "halt", chat=GROUP, **more)
        await hand.quiet()
        assert silent(hand, GROUP) and hand.desk.mode()[0] is Mode.ACTIVE


async def test_b2_group_when_a_stranger_or_a_known_person_elsewhere_writes_then_silence(tmp_path: Path) -> None:
    async with chat(tmp_path, group=GROUP, topic=TOPIC) as hand:
        hand.server.write(EVE, "halt", chat=GROUP, message_thread_id=TOPIC)
        hand.server.write(ALICE, "halt", chat=GROUP)  # the general topic
        hand.server.write(ALICE, "halt", chat=-100999)  # another group
        await hand.quiet()
        assert silent(hand, GROUP) and silent(hand, -100999)
        assert hand.desk.mode()[0] is Mode.ACTIVE


async def test_b2_group_topic_when_a_known_person_writes_there_then_is_answered_there(tmp_path: Path) -> None:
    async with chat(tmp_path, group=GROUP, topic=TOPIC) as hand:
        hand.server.write(ALICE, "/status@desk_of_tests_bot", chat=GROUP, message_thread_id=TOPIC)
        answer = await hand.server.last(GROUP, "exchange time")
        assert answer.topic == TOPIC
        hand.server.write(ALICE, "/status@another_bot", chat=GROUP, message_thread_id=TOPIC)
        await hand.quiet()
        assert len(hand.server.texts(GROUP)) == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"forward_origin": FORWARDED}, "it was forwarded"),
        ({"via_bot": {**BOT, "id": 5}}, "another bot wrote it"),
        ({"quote": {"text": "halt", "position": 0}}, "it quotes something"),
        ({"external_reply": {"origin": FORWARDED}}, "it quotes something"),
    ],
    ids=["forwarded", "via_bot", "quoted", "external"],
)
async def test_b3_words_when_they_are_not_the_senders_own_then_are_no_command(more: dict[str, Any], words: str, tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        hand.server.write(ALICE, "halt", **more)
        await hand.server.last(ALICE, words)
        assert hand.desk.mode()[0] is Mode.ACTIVE


async def test_b3_message_when_edited_into_a_command_then_is_not_read(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        update = hand.server.write(ALICE, "status")
        await hand.server.last(ALICE, "exchange time")
        hand.server.put({"edited_message": {**update["message"], "text": "halt", "edit_date": update["message"]["date"]}})
        await hand.server.last(ALICE, "An edited message is not read again")
        assert hand.desk.mode()[0] is Mode.ACTIVE


@pytest.mark.parametrize("data", ["A" * 22, "p:0:" + "A" * 22, "c:x", "p:zz:x", "confirm T1", "1", "Confirm"])
async def test_b4_button_data_when_forged_then_nothing_happens(data: str, tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await pair(hand.desk, BOB, "bob", Role.TRADER)
        card = await hand.card()
        hand.server.press(BOB, card, "Confirm", data=data)
        await hand.quiet()
        assert hand.orders() == 0


async def test_b4_card_when_another_person_of_the_group_presses_it_then_is_refused_and_stays(tmp_path: Path) -> None:
    async with chat(tmp_path, group=GROUP) as hand:
        await pair(hand.desk, BOB, "bob", Role.TRADER)
        hand.desk.runtime.on_failure = lambda name, error: None  # it is reported as an alarm
        hand.server.write(ALICE, OPEN, chat=GROUP)
        card = await hand.server.last(GROUP, "Ticket T")
        hand.server.press(BOB, card, "Confirm")
        await hand.server.last(GROUP, "That button is not yours; nothing was done.")
        assert hand.orders() == 0 and card.edits == 0
        hand.server.press(ALICE, card, "Confirm")
        await hand.server.until(lambda: hand.orders() == 1)


async def test_b5_name_when_it_is_that_of_somebody_known_then_only_the_number_counts(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        hand.server.write(EVE, "status")  # every account of the tests is called anna, as Alice's is
        await hand.quiet()
        assert silent(hand)


async def test_b7_person_when_removed_while_a_card_is_open_then_the_press_is_not_heard(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await pair(hand.desk, BOB, "bob", Role.TRADER)
        hand.server.write(BOB, OPEN)
        card = await hand.server.last(BOB, "Ticket T")
        await Session(hand.desk, person=local_owner(), chat="terminal").message("pair remove=bob")
        before = len(hand.server.texts(BOB))
        hand.server.press(BOB, card, "Confirm")
        hand.server.write(BOB, "status")
        await hand.quiet()
        assert hand.orders() == 0
        assert len(hand.server.texts(BOB)) == before


async def test_b8_stolen_account_when_it_tries_to_loosen_then_the_pin_stands_in_its_way_and_the_terminal_halts(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await hand.ask(LOOSEN, "needs your PIN")
        for number in range(TRIES):
            await hand.ask(LOOSEN, "Type your PIN now")
            hand.server.write(ALICE, f"00000{number}")
        await hand.server.last(ALICE, "locked")
        assert hand.desk.settings.values["desk.ticket_life_seconds"] == 120
        await Session(hand.desk, person=local_owner(), chat="terminal").message("halt")
        await hand.ask("unhalt", "needs your PIN")
        hand.server.write(ALICE, "1234")
        await hand.quiet()
        assert hand.desk.mode()[0] is Mode.HALT


async def test_b9_pin_when_tried_by_force_then_is_locked_and_halt_still_works(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        for number in range(TRIES):
            hand.server.write(ALICE, f"{LOOSEN} pin=11111{number}")
        await hand.server.last(ALICE, "it is locked now")
        hand.server.write(ALICE, f"{LOOSEN} pin={PIN}")
        hand.server.write(ALICE, "halt")
        await hand.server.until(lambda: hand.desk.mode()[0] is Mode.HALT)
        assert hand.desk.settings.values["desk.ticket_life_seconds"] == 120


async def test_pin_when_given_then_is_never_echoed_never_written_down_and_taken_out_of_the_chat(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await hand.ask(LOOSEN, "Type your PIN now")
        update = hand.server.write(ALICE, PIN)
        await hand.server.until(lambda: (ALICE, update["message"]["message_id"]) in hand.server.deleted)
        await hand.server.until(lambda: hand.desk.settings.values["desk.ticket_life_seconds"] == 300)
        await hand.quiet()
        assert not any(PIN in text for text in hand.server.texts(ALICE))
        assert PIN not in repr(hand.desk.archive.durable_image())  # type: ignore[attr-defined]


async def test_pin_when_asked_for_in_a_group_then_is_not_taken_there(tmp_path: Path) -> None:
    async with chat(tmp_path, group=GROUP) as hand:
        hand.server.write(ALICE, LOOSEN, chat=GROUP)
        await hand.server.last(GROUP, "This needs a PIN, and there is none in this place")


@pytest.mark.parametrize(("role", "orders", "words"), [(Role.VIEWER, 0, "Your role (viewer)"), (Role.TRADER, 1, "Ticket T")])
async def test_role_when_an_order_is_asked_for_then_only_who_may_trade_gets_a_card(
    role: Role, orders: int, words: str, tmp_path: Path
) -> None:
    async with chat(tmp_path) as hand:
        await pair(hand.desk, BOB, "bob", role)
        hand.server.write(BOB, OPEN)
        await hand.server.last(BOB, words)
        assert len(hand.desk.fold.tickets) == orders


async def test_person_when_the_owner_invites_one_in_the_chat_then_the_code_pairs_them_and_the_owner_hears_of_it(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await hand.ask("pair name=anna role=trader", "Type your PIN now")
        given = await hand.ask(PIN, "Code for anna (trader)")
        code = given.text.split("anna (trader): ")[1].split(".")[0]
        await hand.ask(f"/start {code}", "you are anna, trader", user=BOB)
        told = await hand.server.last(ALICE, f"telegram:{BOB} is anna (trader) from now on, invited by owner.")
        before = len(hand.server.texts(BOB))
        hand.server.press(ALICE, told, "Remove anna")
        await hand.server.last(ALICE, "Removed: anna")
        hand.server.write(BOB, "status")
        await hand.quiet()
        assert len(hand.server.texts(BOB)) == before


async def test_role_when_a_trader_invites_or_loosens_then_is_refused(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await pair(hand.desk, BOB, "bob", Role.TRADER)
        await hand.ask("pair name=eve role=trader", "Your role (trader)", user=BOB)


async def test_token_when_looked_for_in_what_the_channel_says_of_itself_then_is_nowhere(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        assert TOKEN not in repr(hand.front)
        assert TOKEN not in hand.desk.redaction.redact(f"https://api.telegram.org/bot{TOKEN}/getMe failed")
