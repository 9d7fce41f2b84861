"""Sentences in a conversation: cards for orders, buttons for what commits, one question where something is missing, stops at once."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from bot.auth import Person
from bot.intent.meaning import lane_meant
from bot.intent.memory import TURNS, Memory
from bot.parse import answer_all, answer_of
from bot.session import Session
from core.clock import ManualClock
from core.command import Role
from core.desk import Desk
from core.domain.events import Mode
from core.errors import UserError
from core.lanes import Lane
from core.reply import Notice, Reply, Text
from tests.paper_desk import open_desk

OWNER = Person(id="owner", role=Role.OWNER)
TODAY = date(2026, 11, 27)
CREDIT_SPREAD = "sell a put credit spread on XSP, 1 contract"


def session(desk: Desk) -> Session:
    return Session(desk, person=OWNER, chat="terminal")


def said(reply: Reply) -> str:
    return " ".join(block.text for block in reply.blocks if isinstance(block, Notice | Text))


async def test_order_when_said_then_it_is_a_card_with_its_line_and_nothing_is_sent() -> None:
    desk = await open_desk()
    shown = await session(desk).hear(CREDIT_SPREAD)
    assert [button.label for button in shown.buttons][:1] == ["Confirm"]
    assert shown.reply.command == "open strategy=put_credit_spread symbol=XSP quantity=1"
    assert not desk.book(desk.config.accounts[0].id).orders


async def test_question_when_said_then_it_is_answered_with_the_command_it_is() -> None:
    desk = await open_desk()
    reply = await session(desk).message("what am i holding right now")
    assert reply.ok
    assert reply.command == "positions"


async def test_stop_when_said_then_the_desk_stops_at_once() -> None:
    desk = await open_desk()
    reply = await session(desk).message("please stop everything now!")
    assert reply.command == "kill"
    assert desk.mode()[0] is Mode.HALT


async def test_commit_when_said_then_it_is_offered_as_a_button_and_not_done() -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message("pause")
    shown = await talk.hear("ok i'm back, start trading again")
    assert desk.mode()[0] is Mode.PAUSED
    assert [button.line for button in shown.buttons] == ["resume"]
    await talk.push(shown.buttons[0].token)
    assert desk.mode()[0] is Mode.ACTIVE


async def test_confirm_when_said_in_a_sentence_then_nothing_is_sent() -> None:
    desk = await open_desk()
    talk = session(desk)
    card = await talk.hear(CREDIT_SPREAD)
    reply = await talk.message(f"please go ahead and confirm ticket {card.reply.data['ticket']}")
    assert not reply.ok
    assert not desk.book(desk.config.accounts[0].id).orders


async def test_order_when_its_side_is_missing_then_one_question_has_both_answers_as_buttons() -> None:
    desk = await open_desk()
    shown = await session(desk).hear("590/580 put spread on xsp")
    assert said(shown.reply) == "Is it sold or bought?"
    assert [button.line for button in shown.buttons] == [
        "open strategy=put_credit_spread symbol=XSP strikes=580/590",
        "open strategy=put_debit_spread symbol=XSP strikes=580/590",
    ]


async def test_answer_when_typed_after_a_question_then_both_together_are_the_order() -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message("sell a put credit spread")
    reply = await talk.message("xsp")
    assert reply.command == "open strategy=put_credit_spread symbol=XSP"


async def test_follow_up_when_the_desk_started_anew_then_it_still_knows_what_was_said() -> None:
    desk = await open_desk()
    await session(desk).message("pnl yesterday")
    reply = await session(desk).message("and this week?")
    assert reply.command == "pnl period=week"


async def test_follow_up_when_half_an_hour_went_by_then_it_is_taken_by_itself() -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message("sell a put credit spread")
    assert isinstance(desk.runtime.clock, ManualClock)
    desk.runtime.clock.advance(timedelta(hours=1))
    assert not (await talk.message("the qs")).command.startswith("open")


async def test_exact_line_when_wrong_then_what_was_said_before_does_not_complete_it() -> None:
    desk = await open_desk()
    talk = session(desk)
    await talk.message("open put_credit_spread XSP expiry=2026-12-25")
    assert "quantity cannot be '0'" in said(await talk.message("open put_credit_spread XSP 0"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("what's the weather in boston", "nothing I can help with"),
        ("hello there", "listening"),
        ("show me the sector rotation", "planned"),
        ("thanks a lot", "listening"),
    ],
)
async def test_sentence_when_no_command_of_today_then_it_is_answered_shortly(text: str, words: str) -> None:
    desk = await open_desk()
    assert words in said(await session(desk).message(text))


async def test_pin_when_typed_in_a_line_then_it_is_not_kept_in_the_conversation() -> None:
    desk = await open_desk()
    await session(desk).message("unhalt pin=471100")
    rows = await desk.archive.select("conversations")
    assert "471100" not in json.dumps([dict(row) for row in rows])


async def test_memory_when_a_conversation_is_long_then_only_its_last_turns_are_kept() -> None:
    desk = await open_desk()
    memory = Memory(desk.archive, person="owner", chat="terminal")
    for number in range(30):
        await memory.add(desk.now(), f"said {number}", f"told {number}")
    again = Memory(desk.archive, person="owner", chat="terminal")
    assert await again.turns(desk.now()) == await memory.turns(desk.now())
    assert (await again.turns(desk.now()))[-1] == {"role": "bot", "text": "told 29"}
    assert len(await desk.archive.select("conversations")) == TURNS


async def test_c10_memory_when_two_people_talk_then_neither_hears_the_other() -> None:
    desk = await open_desk()
    await Memory(desk.archive, person="ann", chat="terminal").add(desk.now(), "sell a put on spy", "Which strike?")
    assert await Memory(desk.archive, person="ben", chat="terminal").turns(desk.now()) == []
    assert await Memory(desk.archive, person="ann", chat="web").turns(desk.now()) == []


@pytest.mark.parametrize(
    ("text", "lane"),
    [
        ("stop everything", Lane.STOP),
        ("kill it", Lane.STOP),
        ("cancel all orders now!!", Lane.DECIDE),
        ("please pause new entries", Lane.STOP),
        ("how am i doing", Lane.ASK),
        ("kill", Lane.STOP),
        ("positions SPY", Lane.ASK),
        ("don't stop", Lane.ASK),
        ("x" * 10_000, Lane.ASK),
    ],
)
def test_lane_when_a_sentence_stops_something_then_it_goes_first(text: str, lane: Lane) -> None:
    assert lane_meant(text) is lane


def test_parse_when_given_lines_then_each_has_an_answer_in_order() -> None:
    out: list[str] = []
    lines = ['{"id": 1, "text": "close half of spy"}', "", "nonsense", '{"id": "b", "text": "what expires friday?", "today": "2026-11-26"}']
    assert not answer_all(lines, out.append, today=TODAY)
    first, second, third = map(json.loads, out)
    assert first == {"id": 1, "label": "close", "slots": {"symbol": "SPY", "fraction": 0.5}}
    assert second["id"] is None
    assert "no JSON" in second["error"]
    assert third == {"id": "b", "label": "positions", "slots": {}}


def test_parse_when_there_is_a_context_then_the_slots_are_those_of_the_whole_dialogue() -> None:
    line = {
        "id": 7,
        "text": "just two",
        "context": [{"role": "user", "text": "close my tesla trade"}, {"role": "bot", "text": "All of it?"}],
    }
    assert answer_of(json.dumps(line), today=TODAY) == {"id": 7, "label": "close", "slots": {"symbol": "TSLA", "quantity": 2}}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"id": 1}', "text is missing"),
        ('{"text": "hi", "context": "no"}', "context is no list"),
        ('{"text": "hi", "today": "soon"}', "today cannot be"),
        ("[1]", "no JSON object"),
        ('{"text": "hi", "context": [1]}', "context is no list"),
    ],
)
def test_parse_when_a_line_is_of_another_form_then_it_says_what_is_wrong(line: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        answer_of(line, today=TODAY)
