"""What is critical rings again until somebody takes note of it, or until it is over.

Worked example: a mode HALT at 10:00 is told at once and, unanswered, at 10:05, 10:10 and so on; `ack N4F2A90B1C3` (the button under it)
or the lifting of the halt ends that. An alert that has an `ack` of its own ends with that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bot.letters import from_text, to_text
from core.announce import Announcement, Urgency
from core.desk import Desk
from core.domain.encoding import digest
from core.domain.events import AlertAnswered, Event, ExitSnoozed, Mode, ModeSet
from core.errors import Corrupt, Unavailable
from core.ports import Delete, Put
from core.reply import Action

LOOK_SECONDS = 1.0
KEPT = timedelta(days=30)  # answered ones, so that `ack` still says by whom


@dataclass(slots=True)
class _Ring:
    id: str
    topic: str
    since: str
    news: Announcement
    times: int
    due: float


class Rings:
    """The critical news nobody has answered."""

    def __init__(self, desk: Desk, *, repeat_seconds: float, ring: Callable[[Announcement, int], None]) -> None:
        self._desk = desk
        self._repeat_seconds = repeat_seconds
        self._ring = ring
        self._open: dict[str, _Ring] = {}
        self._topics: dict[int, str] = {}  # of the events of this life, for the news that cites them
        self._over: list[tuple[str, str]] = []  # topic, who ended it

    @property
    def changed(self) -> bool:
        """Whether something was answered that is not written down yet."""
        return bool(self._over)

    async def load(self) -> None:
        """What rang unanswered when the last process ended; what was answered weeks ago is forgotten."""
        since = (self._desk.now() - KEPT).isoformat()
        for row in await self._desk.archive.select("rings"):
            if row["answered_at"] is not None and row["answered_at"] < since:
                await self._desk.archive.write([Delete(table="rings", where={"id": row["id"]})])
        for row in await self._desk.archive.select("rings", where={"answered_at": None}):
            try:
                news = from_text(row["body"])
            except Corrupt as error:
                self._desk.runtime.report("outbox", error)
                continue
            self._open[row["id"]] = _Ring(row["id"], row["topic"], row["since"], news, row["times"] or 0, self._next())

    def heard(self, event: Event) -> None:
        """Note what an event ends: an answered alert, an exit left or put off, a lifted mode."""
        body = event.body
        if isinstance(body, AlertAnswered):
            self._over.append((f"ack {body.key}", body.person))
        elif isinstance(body, ExitSnoozed):
            self._over.append((f"ack {body.trade_id}.{body.rule}", body.person))
        elif isinstance(body, ModeSet):
            topic = f"mode {body.scope.kind.value} {body.scope.name} {body.cause}"
            self._topics[event.seq] = topic
            while len(self._topics) > 100:
                del self._topics[next(iter(self._topics))]
            if body.mode is Mode.ACTIVE:
                self._over.append((topic, event.actor))

    def with_button(self, news: Announcement) -> Announcement:
        """The news with a button that takes note, where it has none and is critical."""
        if news.urgency is not Urgency.CRITICAL or any(action.line.startswith("ack ") for action in news.actions):
            return news
        return replace(news, actions=(*news.actions, Action(label="Take note", line=f"ack {ring_id(news)}")))

    def puts(self, news: Announcement) -> list[Put]:
        """The row of news that is to ring until it is answered; nothing for the rest."""
        if news.urgency is not Urgency.CRITICAL or ring_id(news) in self._open:
            return []
        own = next((action.line for action in news.actions if action.line.startswith("ack ")), None)
        topic = own or next((self._topics[seq] for seq in news.cites if seq in self._topics), "")
        made = _Ring(ring_id(news), topic, self._desk.now().isoformat(), self.with_button(news), 0, self._next())
        self._open[made.id] = made
        return [_row(made)]

    def answers(self) -> list[Put]:
        """What was answered since, as rows to write; it rings no more."""
        over, self._over = self._over, []
        ended = [(ring, by) for ring in self._open.values() for topic, by in over if ring.topic == topic]
        for ring, _ in ended:
            self._open.pop(ring.id, None)
        at = self._desk.now().isoformat()
        return [_row(ring, answered_at=at, answered_by=by) for ring, by in ended]

    async def run(self) -> None:
        """Ring again whatever is due, for ever."""
        while True:
            await self._desk.runtime.sleep(min(LOOK_SECONDS, self._repeat_seconds))
            for ring in [ring for ring in self._open.values() if ring.due <= self._desk.runtime.seconds()]:
                ring.due = self._next()
                try:
                    if await self._answered(ring):
                        continue
                    await self._desk.archive.write([_row(ring)])
                except Unavailable as error:  # nobody is known to have taken note: it rings
                    self._desk.runtime.report("outbox", error)
                self._ring(ring.news, ring.times)

    async def _answered(self, ring: _Ring) -> bool:
        """Whether `ack` noted an answer in the archive; counts the ring that follows otherwise."""
        rows = await self._desk.archive.select("rings", where={"id": ring.id})
        ring.times += 1
        if rows and rows[0]["answered_at"] is not None:
            self._open.pop(ring.id, None)
            return True
        return False

    def _next(self) -> float:
        return self._desk.runtime.seconds() + self._repeat_seconds


def ring_id(news: Announcement) -> str:
    """What the button under critical news names."""
    return f"N{digest(news.key)[:10].upper()}"


def _row(ring: _Ring, **answer: Any) -> Put:
    row: Mapping[str, Any] = {
        "id": ring.id, "topic": ring.topic, "since": ring.since, "body": to_text(ring.news), "times": ring.times, "answered_at": None,
        "answered_by": None, **answer,
    }
    return Put(table="rings", row=row)
