"""Letters: at least once, one key each, no address behind another, critical ones until somebody takes note."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bot.auth import local_owner
from bot.letters import from_text, to_text
from bot.outbox import Blocked, Later, Letter, Outbox, Refused
from bot.session import Session
from core.announce import Announcement, Urgency
from core.desk import Desk
from core.domain.events import AlertRaised, Mode, ModeSet, Scope
from core.errors import Corrupt
from core.reply import Action, Column, Fact, Facts, Format, Notice, Table, Text, Tone
from core.store.archive import MemoryArchive
from tests.paper_desk import open_desk

SOON = 2.0


class Box:
    """A channel that keeps what it gets, and says no as it is told to."""

    def __init__(self, desk: Desk, name: str = "box", *addresses: str) -> None:
        self._desk = desk
        self.name = name
        self.at = list(addresses or ("4711",))
        self.got: list[tuple[str, Letter]] = []
        self.answers: dict[str, list[Exception]] = {}
        self.arrived = desk.runtime.event()

    def addresses(self) -> Sequence[str]:
        return tuple(self.at)

    async def deliver(self, address: str, letter: Letter) -> None:
        no = self.answers.get(address, [])
        if no:
            raise no.pop(0)
        self.got.append((address, letter))
        self.arrived.set()

    async def have(self, count: int) -> list[tuple[str, str]]:
        """Address and text of the letters, once there are so many."""
        async with self._desk.runtime.timeout(SOON):
            while len(self.got) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return [(address, said(letter)) for address, letter in self.got]


def said(letter: Letter) -> str:
    return " ".join(block.text for block in letter.news.blocks if isinstance(block, Notice))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = await open_desk()
    yield made
    await made.runtime.aclose()


async def begun(desk: Desk, *boxes: Box, repeat_seconds: float = 60.0) -> Outbox:
    outbox = Outbox(desk, repeat_seconds=repeat_seconds)
    for box in boxes:
        outbox.join(box)
    await outbox.start()
    return outbox


async def raise_alert(desk: Desk, key: str, *, urgency: str = "high", lines: tuple[str, ...] = ()) -> None:
    body = AlertRaised(key=key, urgency=urgency, text=f"Look at {key}.", lines=lines, labels=tuple(line.split()[0] for line in lines))
    await desk.record(desk.draft(body, actor="desk"))


def waiting(desk: Desk) -> list[str]:
    """Keys in the archive whose delivery is not noted."""
    assert isinstance(desk.archive, MemoryArchive)
    return [str(row["key"]) for row in desk.archive.durable_image().rows["outbox"] if row["delivered_at"] is None]


def test_news_when_kept_and_read_back_then_is_the_same_to_the_cent() -> None:
    fact = Fact(label="net", value=Decimal("0.480"), format=Format.PRICE, unit="USD", signed=True)
    row = ("a", Decimal("1.10"), 2, 0.5, date(2026, 11, 20), datetime(2026, 11, 20, 15, tzinfo=UTC), None, True)
    table = Table(columns=tuple(Column(title=str(number)) for number in range(8)), rows=(row,))
    news = Announcement(
        key="fill:O1:1", urgency=Urgency.MEDIUM,
        blocks=(Notice(text="Filled ✓", tone=Tone.GOOD), Facts(facts=(fact,)), table, Text(text="x")),
        actions=(Action(label="Close it", line="close O1", style="danger", once=True),), cites=(3, 4), ticket="T1",
    )
    assert from_text(to_text(news)) == news


@pytest.mark.parametrize("text", ["", "[]", '{"~":"Urgency","=":"low"}', '{"~":"Announcement"}', '{"~":"os"}', "[" * 100_000])
def test_kept_text_when_it_is_no_news_then_says_so(text: str) -> None:
    with pytest.raises(Corrupt):
        from_text(text)


async def test_event_when_it_is_news_then_comes_once_to_every_address(desk: Desk) -> None:
    box = Box(desk, "box", "1", "2")
    await begun(desk, box)
    await raise_alert(desk, "margin")
    assert sorted(await box.have(2)) == [("1", "Look at margin."), ("2", "Look at margin.")]
    await raise_alert(desk, "delta")
    await box.have(4)
    assert len({letter.key for _, letter in box.got}) == 4


async def test_address_when_it_is_slow_or_blocked_then_no_other_waits(desk: Desk) -> None:
    box = Box(desk, "box", "blocked", "later", "open")
    box.answers = {"blocked": [Blocked()], "later": [Later(3600)]}
    await begun(desk, box)
    await raise_alert(desk, "margin")
    assert ("open", "Look at margin.") in await box.have(1)
    assert len(waiting(desk)) >= 1


async def test_address_when_it_is_blocked_then_the_others_are_told_and_its_letters_wait_for_it(desk: Desk) -> None:
    box = Box(desk, "box", "gone", "open")
    box.answers = {"gone": [Blocked()]}
    outbox = await begun(desk, box)
    await raise_alert(desk, "margin")
    told = await box.have(2)
    assert ("open", "The box chat gone takes no messages any more; what it should hear waits, and comes here too.") in told
    await outbox.wake("box", "gone")
    assert ("gone", "Look at margin.") in await box.have(3)


async def test_delivery_when_it_fails_then_is_tried_again_until_it_arrives(desk: Desk) -> None:
    box = Box(desk)
    box.answers = {"4711": [OSError("connection reset"), Later(0.0)]}
    await begun(desk, box)
    await raise_alert(desk, "margin")
    assert await box.have(1) == [("4711", "Look at margin.")]


async def test_letter_when_it_can_never_be_shown_then_the_next_one_comes(desk: Desk) -> None:
    reported: list[str] = []
    desk.runtime.on_failure = lambda name, error: reported.append(f"{name}: {error}")
    box = Box(desk)
    box.answers = {"4711": [Refused("no such emoji")]}
    await begun(desk, box)
    await raise_alert(desk, "margin")
    await raise_alert(desk, "delta")
    assert await box.have(1) == [("4711", "Look at delta.")]
    assert reported == ["box: a message cannot be shown there: no such emoji"]


async def test_letter_when_the_process_died_before_it_was_noted_then_comes_again_with_the_same_key(desk: Desk) -> None:
    box = Box(desk)
    box.answers = {"4711": [Later(3600)]}
    await begun(desk, box)
    await raise_alert(desk, "margin")
    async with desk.runtime.timeout(SOON):
        while not waiting(desk):
            await desk.runtime.sleep(0.01)
    key = waiting(desk)[0]
    again = Box(desk)
    await begun(desk, again)
    assert await again.have(1) == [("4711", "Look at margin.")]
    assert again.got[0][1].key == key


async def test_event_when_stored_while_nothing_listened_then_is_told_at_the_next_start_and_only_once(desk: Desk) -> None:
    first = await begun(desk, Box(desk))
    await first.stop()
    await raise_alert(desk, "margin")
    box = Box(desk)
    second = await begun(desk, box)
    assert await box.have(1) == [("4711", "Look at margin.")]
    await desk.runtime.sleep(0.05)
    await second.stop()
    third = Box(desk)
    await begun(desk, third)
    await desk.runtime.sleep(0.05)
    assert third.got == []


async def test_first_start_when_there_is_a_history_then_none_of_it_is_told(desk: Desk) -> None:
    await raise_alert(desk, "old")
    box = Box(desk)
    await begun(desk, box)
    await raise_alert(desk, "new")
    assert await box.have(1) == [("4711", "Look at new.")]


async def test_critical_news_when_nobody_takes_note_then_rings_again_until_its_button_is_pressed(desk: Desk) -> None:
    box = Box(desk)
    await begun(desk, box, repeat_seconds=0.02)
    await raise_alert(desk, "margin", urgency="critical")
    await box.have(3)
    assert [letter.again for _, letter in box.got[:3]] == [0, 1, 2]
    button = box.got[0][1].news.actions[-1]
    assert (button.label, button.line[:5]) == ("Take note", "ack N")
    reply = await Session(desk, person=local_owner(), chat="box:4711").message(button.line)
    assert reply.ok
    await desk.runtime.sleep(0.05)
    heard = len(box.got)
    await desk.runtime.sleep(0.1)
    assert len(box.got) == heard


async def test_critical_news_when_it_was_unanswered_at_the_end_then_rings_after_a_restart(desk: Desk) -> None:
    first = await begun(desk, Box(desk))
    await raise_alert(desk, "margin", urgency="critical")
    await desk.runtime.sleep(0.05)
    await first.stop()
    box = Box(desk)
    await begun(desk, box, repeat_seconds=0.02)
    assert ("4711", "Look at margin.") in await box.have(1)


async def test_halt_when_it_is_lifted_then_it_rings_no_more(desk: Desk) -> None:
    box = Box(desk)
    await begun(desk, box, repeat_seconds=0.05)
    halt = ModeSet(scope=Scope(), mode=Mode.HALT, cause="halt", reason="a test")
    await desk.record(desk.draft(halt, actor="owner"))
    await box.have(2)
    await desk.record(desk.draft(replace(halt, mode=Mode.ACTIVE, reason="over"), actor="owner"))
    await desk.runtime.sleep(0.1)
    heard = len(box.got)
    await desk.runtime.sleep(0.15)
    assert len(box.got) == heard


async def test_news_when_an_answer_told_it_then_does_not_come_a_second_time(desk: Desk) -> None:
    box = Box(desk)
    outbox = await begun(desk, box)
    await raise_alert(desk, "first")
    await box.have(1)
    async with outbox.answering("box", "4711") as said:
        await raise_alert(desk, "told")
        await raise_alert(desk, "untold")
        await desk.runtime.sleep(0.02)
        said((desk.fold.seq - 1,))
    assert [text for _, text in await box.have(2)] == ["Look at first.", "Look at untold."]


async def test_urgency_when_several_letters_wait_then_the_critical_one_goes_first(desk: Desk) -> None:
    box = Box(desk)
    outbox = await begun(desk, box)
    await raise_alert(desk, "first")
    await box.have(1)
    async with outbox.answering("box", "4711"):
        await raise_alert(desk, "quiet", urgency="low")
        await raise_alert(desk, "loud", urgency="critical")
        await box.have(2)
    assert [text for _, text in await box.have(3)] == ["Look at first.", "Look at loud.", "Look at quiet."]
