"""Lanes: one who floods harms only themselves, questions are bounded, and what stops or decides never waits behind them."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from bot.auth import Person, open_pins
from bot.session import Session, Shown
from core.command import Role
from core.desk import Desk
from core.domain.events import Mode
from core.domain.orders import OrderState
from core.errors import UserError
from core.lanes import BOUNDS, REMEMBERED, Lane, Lanes, lane_of
from core.reply import Notice, Text
from core.runtime import SimRuntime
from tests.fake_broker import simulated
from tests.paper_desk import open_desk, say

OWNER = Person(id="owner", role=Role.OWNER)
OTHER = Person(id="other", role=Role.OWNER)


def said(shown: Shown) -> str:
    return " ".join(block.text for block in shown.reply.blocks if isinstance(block, Notice | Text))


def session(desk: Desk, person: Person, chat: str) -> Session:
    return Session(desk, person=person, chat=chat)


class SlowReader:
    """Market data that takes a minute, however it is asked; `prices` is what answers once it is there."""

    def __init__(self, desk: Desk) -> None:
        self.reader = desk.reader
        self.asked = 0
        self.release = desk.runtime.event()

    async def view(self, needs: object, *, fresh: bool = False) -> object:
        self.asked += 1
        await self.release.wait()
        return await self.reader.view(needs, fresh=fresh)  # type: ignore[arg-type]

    async def expiries(self, symbol: str) -> tuple[date, ...]:
        self.asked += 1
        await self.release.wait()
        return await self.reader.expiries(symbol)

    def __getattr__(self, name: str) -> object:
        return getattr(self.reader, name)


async def test_l1_flood_when_one_person_sends_a_hundred_messages_then_most_are_refused_and_nothing_is_stored_of_them() -> None:
    desk = await open_desk()
    mine = session(desk, OWNER, "phone")
    answers = [await mine.hear("help pause", f"m{number}") for number in range(100)]
    refused = [shown for shown in answers if "more than I take from one person" in said(shown)]
    assert 50 <= len(refused) <= 60
    kept = await desk.archive.select("inbox")
    assert len(kept) == 100 - len(refused)


async def test_l1_flood_when_it_runs_then_another_persons_confirm_and_halt_are_done_as_without_it() -> None:
    desk = await open_desk()
    mine, theirs = session(desk, OWNER, "phone"), session(desk, OTHER, "web")
    for number in range(100):
        await mine.hear("status", f"m{number}")
    card = await theirs.hear("open put_credit_spread XSP 1", "t1")
    sent = await theirs.push(card.buttons[0].token, "t2")
    assert desk.books.order(str(sent.reply.data["order"])).state is OrderState.FILLED  # type: ignore[union-attr]
    await theirs.hear("halt", "t3")
    assert desk.mode()[0] is Mode.HALT


async def test_l1_flood_when_it_is_ones_own_then_halt_kill_and_confirm_still_work() -> None:
    desk = await open_desk()
    mine = session(desk, OWNER, "phone")
    card = await mine.hear("open put_credit_spread XSP 1 limit=2.00", "c")
    for number in range(200):
        await mine.hear("positions", f"m{number}")
    sent = await mine.push(card.buttons[0].token, "p")
    order = str(sent.reply.data["order"])
    await mine.hear("kill", "k")
    assert desk.mode()[0] is Mode.HALT
    assert desk.books.order(order).state is OrderState.CANCELLED  # type: ignore[union-attr]


async def test_l1_halt_when_a_pin_is_awaited_and_decisions_come_too_fast_then_heard_all_the_same(tmp_path: Path) -> None:
    desk = await open_desk()
    pins, _ = open_pins(tmp_path, desk.runtime, make="471100", salt="00")
    mine = Session(desk, person=OWNER, chat="phone", pins=pins)
    for number in range(200):
        await mine.hear("confirm T0", f"m{number}")
    await mine.hear("settings rules.positions.max_positions 9", "s")
    assert mine.expects_secret
    await mine.hear("halt", "h")
    assert desk.mode()[0] is Mode.HALT


async def test_l1_repeats_when_a_message_is_delivered_often_then_they_cost_no_tokens_and_hear_the_same() -> None:
    desk = await open_desk()
    mine = session(desk, OWNER, "phone")
    answers = [await mine.hear("note hello", "m1") for _ in range(200)]
    assert {said(shown) for shown in answers} == {said(answers[0])}
    assert [note.text for note in desk.fold.notes] == ["hello"]


async def test_l1_message_when_it_was_left_out_then_the_same_one_again_hears_the_same() -> None:
    desk = await open_desk()
    mine = session(desk, OWNER, "phone")
    for number in range(60):
        await mine.hear("status", f"m{number}")
    first = await mine.hear("note late", "x")
    again = await mine.hear("note late", "x")
    assert said(first) == said(again)
    assert desk.fold.notes == ()


async def test_l2_questions_when_each_takes_a_minute_then_bounded_refused_in_words_and_stops_and_cancels_do_not_wait() -> None:
    desk = await open_desk()
    mine = session(desk, OWNER, "phone")
    card = await say(desk, "open put_credit_spread XSP 1 limit=2.00")
    order = str((await say(desk, f"confirm {card.data['ticket']}")).data["order"])
    slow = desk.reader = SlowReader(desk)  # type: ignore[assignment] # takes a minute, as a slow model or vendor would
    asked = [asyncio.ensure_future(mine.hear("positions", f"q{number}")) for number in range(30)]
    await desk.runtime.sleep(0.05)
    bounds = BOUNDS[Lane.ASK]
    assert bounds.at_work is not None
    done = [task for task in asked if task.done()]
    assert len(done) == 30 - bounds.at_work - bounds.waiting
    assert all("still at work on your earlier questions" in said(task.result()) for task in done)
    await mine.hear(f"cancel {order}", "c")
    assert desk.books.order(order).state is OrderState.CANCELLED  # type: ignore[union-attr]
    await mine.hear("halt", "h")
    assert desk.mode()[0] is Mode.HALT
    slow.release.set()  # type: ignore[attr-defined]
    answers = await asyncio.gather(*asked)
    assert sum("No open positions" in said(shown) for shown in answers) == bounds.at_work + bounds.waiting


async def test_l2_questions_when_one_person_fills_their_places_then_another_is_answered() -> None:
    desk = await open_desk()
    mine, theirs = session(desk, OWNER, "phone"), session(desk, OTHER, "web")
    slow = desk.reader = SlowReader(desk)  # type: ignore[assignment]
    asked = [asyncio.ensure_future(mine.hear("positions", f"q{number}")) for number in range(20)]
    await desk.runtime.sleep(0.05)
    shown = await theirs.hear("help", "t")
    assert shown.reply.ok
    slow.release.set()  # type: ignore[attr-defined]
    await asyncio.gather(*asked)


@simulated
async def test_l1_lanes_when_a_thousand_people_ask_at_once_then_no_more_than_the_places_work_and_all_end(runtime: SimRuntime) -> None:
    lanes, at_work, most, refused = Lanes(runtime), 0, 0, 0

    async def ask(person: str) -> None:
        nonlocal at_work, most, refused
        try:
            lanes.admit(Lane.ASK, person)
            async with lanes.place(Lane.ASK, person):
                at_work += 1
                most = max(most, at_work)
                await runtime.sleep(1)
                at_work -= 1
        except UserError:
            refused += 1

    await runtime.gather(*(ask(f"p{number}") for number in range(1000)))
    assert most == BOUNDS[Lane.ASK].at_work_in_all
    assert 0 < refused < 1000
    assert at_work == 0


@simulated
async def test_l1_lanes_when_a_person_waits_a_while_then_may_ask_again(runtime: SimRuntime) -> None:
    lanes = Lanes(runtime)
    for _ in range(BOUNDS[Lane.ASK].burst):
        lanes.admit(Lane.ASK, "a")
    with pytest.raises(UserError):
        lanes.admit(Lane.ASK, "a")
    lanes.admit(Lane.STOP, "a")
    lanes.admit(Lane.ASK, "b")
    await runtime.sleep(1)
    lanes.admit(Lane.ASK, "a")


@simulated
async def test_l6_lanes_when_ever_new_people_come_then_what_is_kept_of_them_is_bounded(runtime: SimRuntime) -> None:
    lanes = Lanes(runtime)
    for number in range(REMEMBERED * 2):
        lanes.admit(Lane.ASK, f"p{number}")
    assert len(lanes._people) <= REMEMBERED + 1


@simulated
async def test_lanes_when_whoever_waits_goes_away_then_the_place_is_free(runtime: SimRuntime) -> None:
    lanes = Lanes(runtime)
    release = runtime.event()

    async def ask() -> None:
        async with lanes.place(Lane.ASK, "a"):
            await release.wait()

    tasks = [runtime.spawn(ask(), name="ask") for _ in range(10)]
    await runtime.sleep(1)
    for task in tasks:
        task.cancel()
    await runtime.sleep(1)
    release.set()
    began = runtime.seconds()
    async with lanes.place(Lane.ASK, "a"):
        assert runtime.seconds() == began  # a place is free at once: those who went away hold none


@pytest.mark.parametrize(("line", "lane"), [
    ("halt", Lane.STOP), ("/KILL flatten", Lane.STOP), ("pause naked_put", Lane.STOP), ("confirm T1", Lane.DECIDE),
    ("cancel scope=all", Lane.DECIDE), ("drop T1", Lane.DECIDE), ("mandate revoke", Lane.DECIDE),
    ("positions", Lane.ASK), ("open naked_put SPX", Lane.ASK), ("", Lane.ASK),
])
def test_lane_of_when_a_line_is_typed_then_by_its_first_word(line: str, lane: Lane) -> None:
    assert lane_of(line) is lane
