"""Lanes for what people ask: what stops things and what decides about orders never waits behind questions, however many there are.

Each person has a bucket of tokens for each lane, so that one who floods uses up only their own; questions are also bounded in how many are
worked on at once, for a person and in all. What finds no place is refused at once, in words: nothing queues without a limit.

Worked example: somebody sends 100 messages a second. 40 are answered or wait, the others are refused; somebody else's Confirm and HALT
have buckets of their own and no queue at all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from core.errors import UserError
from core.runtime import Runtime


class Lane(StrEnum):
    """What a message is, by how long it may wait."""

    STOP = "stop"  # halt, kill, pause: never waits
    DECIDE = "decide"  # confirm, cancel, drop, a mandate's end: never waits behind questions
    ASK = "ask"  # everything else


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of a lane: messages of one person at once and in a second after that; how many are worked on, and may wait, for one and in all."""

    burst: int
    per_second: float
    at_work: int | None = None
    waiting: int = 0
    at_work_in_all: int | None = None


BOUNDS = {
    Lane.STOP: Bounds(burst=30, per_second=5.0),
    Lane.DECIDE: Bounds(burst=30, per_second=3.0),
    Lane.ASK: Bounds(burst=40, per_second=3.0, at_work=4, waiting=12, at_work_in_all=16),
}
STOPS = frozenset({"halt", "kill", "pause"})
DECIDES = frozenset({"confirm", "cancel", "drop", "ack", "mandate", "resume", "unhalt"})
REMEMBERED = 2_000  # people whose buckets are kept; one forgotten begins with a full one
TOO_FAST = "That is more than I take from one person in a moment; this message was left out, nothing was done. `halt` and `kill` work."
TOO_MANY = "I am still at work on your earlier questions; this one was left out. `halt`, `kill` and cards do not wait."
TOO_BUSY = "The desk has too many questions at once; yours was left out. Ask again in a moment. `halt`, `kill` and cards do not wait."


@dataclass(slots=True)
class _Person:
    tokens: dict[Lane, tuple[float, float]]  # left, when counted
    at_work: int = 0
    waiting: int = 0


class Lanes:
    """The lanes of one desk, for all people and chats."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._people: OrderedDict[str, _Person] = OrderedDict()
        self._in_all = 0
        self._freed = runtime.event()

    def admit(self, lane: Lane, person: str) -> None:
        """Count a message; raise UserError where the person sends faster than the lane takes."""
        bounds, who, now = BOUNDS[lane], self._person(person), self._runtime.seconds()
        left, counted = who.tokens.get(lane, (float(bounds.burst), now))
        left = min(float(bounds.burst), left + (now - counted) * bounds.per_second)
        if left < 1:
            who.tokens[lane] = (left, now)
            raise UserError(TOO_FAST)
        who.tokens[lane] = (left - 1, now)

    @asynccontextmanager
    async def place(self, lane: Lane, person: str) -> AsyncIterator[None]:
        """Hold a place to work in; raise UserError at once where too many wait already."""
        bounds, who = BOUNDS[lane], self._person(person)
        if bounds.at_work is None or bounds.at_work_in_all is None:
            yield
            return
        if not self._free(bounds, who):
            await self._wait(bounds, who)
        who.at_work += 1
        self._in_all += 1
        try:
            yield
        finally:
            who.at_work -= 1
            self._in_all -= 1
            self._freed.set()

    async def _wait(self, bounds: Bounds, who: _Person) -> None:
        if who.waiting >= bounds.waiting:
            raise UserError(TOO_MANY)
        if sum(each.waiting for each in self._people.values()) >= bounds.waiting * (bounds.at_work_in_all or 1):
            raise UserError(TOO_BUSY)
        who.waiting += 1
        try:
            while not self._free(bounds, who):
                self._freed.clear()
                await self._freed.wait()
        finally:
            who.waiting -= 1

    def _free(self, bounds: Bounds, who: _Person) -> bool:
        return who.at_work < (bounds.at_work or 0) and self._in_all < (bounds.at_work_in_all or 0)

    def _person(self, person: str) -> _Person:
        who = self._people.get(person)
        if who is None:
            who = self._people[person] = _Person(tokens={})
            idle = [name for name, each in self._people.items() if not each.at_work and not each.waiting and name != person]
            for name in idle[: max(0, len(self._people) - REMEMBERED)]:
                del self._people[name]
        self._people.move_to_end(person)
        return who


def lane_of(line: str) -> Lane:
    """The lane of a typed line, by its first word."""
    word = line.strip().removeprefix("/").split(maxsplit=1)[:1]
    name = word[0].lower() if word else ""
    return Lane.STOP if name in STOPS else Lane.DECIDE if name in DECIDES else Lane.ASK
