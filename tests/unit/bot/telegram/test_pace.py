"""How fast messages go into a chat, on seconds that only waiting moves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from telegram.error import RetryAfter

from bot.channels.telegram.pace import ANSWER, NEWS, ONCE, URGENT, Pace
from core.runtime import SystemRuntime

ALICE, GROUP = 4711, -100123


class Waiting(SystemRuntime):
    """Seconds that pass only where somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def seconds(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        due = self.at + seconds
        await asyncio.sleep(0)
        self.at = max(self.at, due)


class Wire:
    """What left, and when."""

    def __init__(self) -> None:
        self.runtime = Waiting()
        self.pace = Pace(self.runtime)
        self.sent: list[tuple[str, float]] = []
        self.errors: list[Exception] = []

    async def send(self, name: str, chat: int | None = ALICE, weight: int | None = None, endpoint: str = "sendMessage") -> None:
        async def leave() -> bool:
            if self.errors:
                raise self.errors.pop(0)
            self.sent.append((name, round(self.runtime.at, 1)))
            return True

        data: dict[str, Any] = {} if chat is None else {"chat_id": chat}
        await self.pace.process_request(leave, (), {}, endpoint, data, weight)


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def test_messages_when_four_go_into_one_chat_then_two_at_once_and_one_a_second(wire: Wire) -> None:
    for name in "abcd":
        await wire.send(name)
    assert wire.sent == [("a", 0.0), ("b", 0.0), ("c", 1.0), ("d", 2.0)]


async def test_messages_when_they_go_into_a_group_then_never_more_than_twenty_in_a_minute(wire: Wire) -> None:
    for number in range(60):
        await wire.send(str(number), GROUP)
    times = [at for _, at in wire.sent]
    assert max(sum(start <= at < start + 60 for at in times) for start in times) <= 20
    assert times[-1] == (60 - 5) * 4.0


async def test_acknowledgement_when_the_chat_is_full_then_goes_at_once(wire: Wire) -> None:
    for name in "ab":
        await wire.send(name)
    await wire.send("press", None, endpoint="answerCallbackQuery")
    assert wire.sent[-1] == ("press", 0.0)


async def test_chat_when_told_to_wait_then_waits_so_long_and_another_chat_does_not(wire: Wire) -> None:
    wire.errors = [RetryAfter(30)]
    waiting = asyncio.ensure_future(wire.send("alice"))
    await asyncio.sleep(0)
    await wire.send("bob", 4712)
    await waiting
    assert wire.sent == [("bob", 0.0), ("alice", 30.1)]


async def test_news_when_told_to_wait_then_is_given_back_to_the_outbox(wire: Wire) -> None:
    wire.errors = [RetryAfter(30)]
    with pytest.raises(RetryAfter):
        await wire.send("news", weight=NEWS + ONCE)
    await wire.send("answer")
    assert wire.sent == [("answer", 30.1)]


async def test_answers_when_news_waits_too_then_go_first(wire: Wire) -> None:
    for name in "ab":
        await wire.send(name)
    weights = (("news", NEWS), ("answer", ANSWER), ("now", URGENT))
    await asyncio.wait([asyncio.ensure_future(wire.send(name, weight=weight)) for name, weight in weights])
    assert [name for name, _ in wire.sent] == ["a", "b", "now", "answer", "news"]
