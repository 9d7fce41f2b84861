"""Alerts that a person takes note of: told once, answered once."""

from __future__ import annotations

from core.domain.events import AlertAnswered, AlertRaised
from core.orders.alarm import raise_alert
from tests.paper_desk import open_desk, say, text

KEY = "expiry:PRACTICE:SPY261120P00600000"


async def test_alert_when_raised_twice_then_recorded_once() -> None:
    desk = await open_desk()
    await raise_alert(desk, KEY, urgency="high", text="The put is in the money.", buttons={"Close": "close SPY"})
    before = desk.fold.seq

    again = await raise_alert(desk, KEY, urgency="high", text="The put is in the money.")

    assert again.events == ()
    assert desk.fold.seq == before
    assert desk.fold.alerts[KEY].raised.lines == ("close SPY",)


async def test_ack_when_an_alert_stands_then_the_answer_is_recorded_and_cited() -> None:
    desk = await open_desk()
    await raise_alert(desk, KEY, urgency="high", text="The put is in the money.")

    reply = await say(desk, f"ack {KEY}")

    (event,) = await desk.store.read(after=desk.fold.seq - 1)
    assert event.body == AlertAnswered(key=KEY, person="owner")
    assert reply.ok and reply.cites == (event.seq,)
    assert desk.fold.alerts[KEY].answered_by == "owner"


async def test_ack_when_answered_before_then_nothing_more_is_written() -> None:
    desk = await open_desk()
    await raise_alert(desk, KEY, urgency="high", text="The put is in the money.")
    await say(desk, f"ack {KEY}")
    before = desk.fold.seq

    reply = await say(desk, f"ack {KEY}")

    assert "Noted before, by owner" in text(reply)
    assert desk.fold.seq == before


async def test_ack_when_there_is_no_such_alert_then_says_so() -> None:
    desk = await open_desk()

    reply = await say(desk, "ack nothing")

    assert not reply.ok
    assert "no alert" in text(reply)
    assert not [event for event in await desk.store.read() if isinstance(event.body, AlertRaised | AlertAnswered)]
