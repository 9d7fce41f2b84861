"""Questions, cards, presses, pages, pictures and documents over the real client; what happens to cards between two lives of the desk."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.channels.telegram.gate import where_of
from bot.channels.telegram.menu import commands_for
from bot.channels.telegram.place import find_place
from bot.serving import Serving
from bot.session import Shown
from core.command import Role
from core.config import TelegramChats, parse_config
from core.config_file import ConfigError
from core.errors import UserError
from core.people import OWNER
from core.reply import Axis, Chart, Fact, Format, Panel, Reply, Series
from tests.paper_desk import open_desk
from tests.telegram_server import TOKEN, telegram_server
from tests.unit.bot.telegram.hand import ALICE, BOB, OPEN, chat, on, pair, pins


async def test_question_when_typed_then_is_answered_in_one_message(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        sent = await hand.ask("/status", "exchange time")
        assert sent.text.startswith("PAPER · SIMULATED")
        assert hand.server.refused == []


async def test_card_when_confirmed_then_the_order_is_sent_and_the_card_becomes_its_answer(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        card = await hand.card()
        hand.server.press(ALICE, card, "Confirm")
        await hand.server.until(lambda: card.edits)
        assert hand.orders() == 1
        assert "Sent and working" in card.text or "Filled" in card.text
        assert len(hand.server.acknowledged) == 1


async def test_card_when_pressed_a_second_time_then_one_order_and_a_word_about_it(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        card = await hand.card()
        token = card.data("Confirm")
        hand.server.press(ALICE, card, "Confirm")
        await hand.server.until(lambda: card.edits)
        hand.server.press(ALICE, card, "Confirm", data=token)
        await hand.quiet()
        assert hand.orders() == 1
        assert len(hand.server.acknowledged) == 2


async def test_card_when_it_is_old_then_its_press_sends_nothing(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        card = await hand.card()
        hand.desk.runtime.clock.set(hand.desk.now() + timedelta(minutes=10))  # type: ignore[attr-defined]
        hand.server.press(ALICE, card, "Confirm")
        await hand.server.last(ALICE, "expired")
        assert hand.orders() == 0


async def test_cards_when_two_are_open_then_a_press_means_its_own(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        first = await hand.card("open put_credit_spread XSP 1")
        second = await hand.card("open put_credit_spread SPY 1")
        hand.server.press(ALICE, first, "Confirm")
        await hand.server.until(lambda: first.edits)
        [order] = hand.desk.book(hand.desk.config.accounts[0].id).orders.values()
        assert "XSP" in repr(order.envelope.legs)
        assert second.edits == 0


async def test_card_when_the_desk_was_restarted_before_the_press_then_its_button_still_answers(tmp_path: Path) -> None:
    desk = await open_desk()
    await pair(desk, ALICE, OWNER, Role.OWNER)
    async with telegram_server() as server:
        async with on(server, desk, tmp_path) as hand:
            card = await hand.card()
        async with on(server, desk, tmp_path) as hand:
            await hand.quiet()
            server.press(ALICE, card, "Confirm")
            await server.until(lambda: card.edits)
            assert hand.orders() == 1
    await desk.runtime.aclose()


async def test_pages_when_turned_then_the_message_is_edited_and_another_person_may_not(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        await pair(hand.desk, BOB, "bob", Role.TRADER)
        answer = await hand.ask("settings", "Settings (1-8 of")
        hand.server.press(ALICE, answer, next(label for label, _ in answer.buttons if label.startswith("2/")))
        await hand.server.until(lambda: "Settings (9-16 of" in answer.text)
        hand.server.press(BOB, answer, "CSV")
        await hand.quiet()
        assert all(one.kind == "text" for chat in hand.server.chats.values() for one in chat)


async def test_pages_when_the_desk_was_restarted_then_still_turn(tmp_path: Path) -> None:
    desk = await open_desk()
    await pair(desk, ALICE, OWNER, Role.OWNER)
    async with telegram_server() as server:
        async with on(server, desk, tmp_path) as hand:
            answer = await hand.ask("settings", "Settings (1-8 of")
        async with on(server, desk, tmp_path) as hand:
            await hand.quiet()
            server.press(ALICE, answer, next(label for label, _ in answer.buttons if label.startswith("2/")))
            await server.until(lambda: "Settings (9-16 of" in answer.text)
    await desk.runtime.aclose()


async def test_long_table_when_its_document_is_asked_for_then_holds_every_row(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        answer = await hand.ask("settings", "Settings (1-8 of")
        hand.server.press(ALICE, answer, "CSV")
        sent = await hand.server.until(lambda: next((one for one in hand.server.chats[ALICE] if one.kind == "document"), None))
        rows = list(csv.reader(io.StringIO(sent.file.decode("utf-8-sig"))))
        assert rows[0] == ["setting", "value", "unit", "default", "what it does"]
        assert len(rows) == len(hand.desk.settings.specs) + 1


async def test_photo_when_a_reply_holds_a_chart_then_comes_with_its_figures_in_words(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        series = Series(name="payoff", x=(1.0, 2.0, 3.0), y=(-1.0, 0.0, 1.0))
        figure = Fact(label="most", value=1.0, format=Format.NUMBER, unit="USD", signed=True)
        chart = Chart(title="Payoff & more", panels=(Panel(series=(series,), axis=Axis()),), axis=Axis(), facts=(figure,), note="to <1>")
        await hand.front._sender.answer(where_of(str(ALICE)), Shown(reply=Reply(blocks=(chart,))), person=OWNER)
        photo = await hand.server.until(lambda: next((one for one in hand.server.chats[ALICE] if one.kind == "photo"), None))
        assert photo.text == "Payoff & more\nmost  +1.0 USD\nto <1>"
        assert photo.file.startswith(b"\x89PNG")


def test_menu_when_made_for_a_viewer_then_holds_questions_alone() -> None:
    owner, viewer = ([one.command for one in commands_for(role)] for role in (Role.OWNER, Role.VIEWER))
    assert owner[:3] == ["status", "positions", "pnl"]
    assert {"open", "halt", "pair"} <= set(owner)
    assert not {"open", "halt", "pair", "confirm"} & set(viewer)
    assert all(len(one.description) <= 256 for one in commands_for(Role.OWNER))


@pytest.mark.parametrize("given", ["", "hello", "123:short", f"{TOKEN} x"])
def test_token_when_it_is_none_then_the_refusal_does_not_repeat_it(given: str, tmp_path: Path) -> None:
    (tmp_path / "telegram-token").write_text(given)
    (tmp_path / "telegram-token").chmod(0o600)
    with pytest.raises(UserError) as refused:
        find_place(TelegramChats(), tmp_path, {})
    assert not given or given not in str(refused.value)


def test_token_file_when_others_may_read_it_then_is_refused(tmp_path: Path) -> None:
    (tmp_path / "telegram-token").write_text(TOKEN)
    (tmp_path / "telegram-token").chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        find_place(TelegramChats(), tmp_path, {})


def test_token_when_in_the_environment_or_a_private_file_then_is_taken_and_not_shown(tmp_path: Path) -> None:
    by_name = find_place(TelegramChats(group=-5, topic=7), tmp_path, {"TELEGRAM_TOKEN": TOKEN})
    (tmp_path / "telegram-token").write_text(f"{TOKEN}\n")
    (tmp_path / "telegram-token").chmod(0o600)
    by_file = find_place(TelegramChats(), tmp_path, {})
    assert by_name is not None and by_file is not None
    assert by_name.token == by_file.token == TOKEN
    assert (by_name.group, by_name.topic) == (-5, 7)
    assert TOKEN not in repr(by_name)


@pytest.mark.parametrize(
    ("telegram", "words"),
    [
        ({"token": TOKEN}, "never from here"), ({"base_url": "ftp://x"}, "base_url must be an address"),
        ({"group": 5}, "which is negative"), ({"topic": 7}, "goes with a group"), ("x", "takes base_url"),
    ],
)
def test_configuration_when_telegram_is_wrong_there_then_says_what_would_be_right(telegram: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_config({"telegram": telegram})


async def test_serving_when_no_token_is_given_then_nothing_is_started(tmp_path: Path) -> None:
    desk = await open_desk()
    serving = Serving(desk, pins=pins(tmp_path, desk), home=tmp_path, environment={}, web=False, say=lambda text: None)
    await serving.listen()
    assert await serving.start() == []
    assert not serving.serves
    assert desk.runtime.running() == ()
    await serving.stop()


async def test_serving_when_a_token_is_given_then_the_channel_answers_at_the_configured_server(tmp_path: Path) -> None:
    desk = await open_desk()
    async with telegram_server() as server:
        desk.config = replace(desk.config, telegram=TelegramChats(base_url=server.url))
        given = {"TELEGRAM_TOKEN": TOKEN}
        serving = Serving(desk, pins=pins(tmp_path, desk), home=tmp_path, environment=given, web=False, say=lambda text: None)
        await serving.listen()
        [line] = await serving.start()
        server.write(ALICE, f"/start {line.split('/start ')[1].split('`')[0]}")
        await server.last(ALICE, "you are its owner")
        await serving.stop()
    await desk.runtime.aclose()


async def test_serving_when_the_token_is_wrong_then_the_desk_goes_on_and_says_so(tmp_path: Path) -> None:
    desk, wrong = await open_desk(), {"TELEGRAM_TOKEN": "nonsense"}
    serving = Serving(desk, pins=pins(tmp_path, desk), home=tmp_path, environment=wrong, web=False, say=lambda text: None)
    await serving.listen()
    [line] = await serving.start()
    assert line.startswith("[x] What TELEGRAM_TOKEN holds is no Telegram bot token")


async def test_token_when_the_server_does_not_know_it_then_one_sentence_says_so(tmp_path: Path) -> None:
    desk = await open_desk()
    said: list[str] = []
    async with telegram_server() as server:
        desk.config = replace(desk.config, telegram=TelegramChats(base_url=server.url))
        other = {"TELEGRAM_TOKEN": TOKEN.replace("A", "B")}
        serving = Serving(desk, pins=pins(tmp_path, desk), home=tmp_path, environment=other, web=False, say=said.append)
        await serving.listen()
        await serving.start()
        await server.until(lambda: said)
        await serving.stop()
    assert len(said) == 1 and said[0].startswith("[!] Telegram does not know this token.")
    assert other["TELEGRAM_TOKEN"] not in said[0]
    await desk.runtime.aclose()


async def test_flood_when_one_person_sends_a_hundred_then_the_limits_of_the_server_hold(tmp_path: Path) -> None:
    async with chat(tmp_path) as hand:
        for _ in range(100):
            hand.server.write(ALICE, "status")
        hand.server.write(ALICE, OPEN)
        await hand.quiet()
        hand.server.write(ALICE, "halt")
        await hand.server.last(ALICE, "HALT")
        assert not [words for _, words in hand.server.refused if "Too Many" in words]
