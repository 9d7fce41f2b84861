"""What the desk says unasked, to every chat that wants it: events become announcements, announcements become letters, and each letter is
delivered at least once, whatever dies in between.

How a channel registers (before `start`): `outbox.join(channel)`, where a channel has

- `name`: one word, such as `telegram`; with an address it makes a letter's key;
- `addresses()`: where news goes now, as texts the channel understands (`4711`, `-100123/7`); empty while nobody is paired;
- `await deliver(address, letter)`: show it. Returning means it arrived. Raise `Later(seconds)` where the other side asks to wait, `Blocked`
  where that address takes nothing any more (then `wake(name, address)` once it does), `Refused` where this one letter can never be shown.
  Anything else is tried again, later and later.

`letter.key` is the same at every attempt: a channel that can tell a copy may drop it. A critical letter comes again (`letter.again` counts)
until somebody takes note: by its own button, by the button added here (`ack N...`), or because what it told of is over. Each address has
its own task, so a slow or blocked one never holds up another, and nothing here ever holds up the order path. While an answer is on its way
to a chat, `async with outbox.answering(name, address) as said:` keeps news that would cross it; `said(reply.cites)` drops what the answer
has told already.

Kept in the archive: each letter until it is delivered, and how far the log was read. A letter whose delivery nobody noted down before the
process died is delivered again; an event nobody had made a letter of yet is read again at the next start.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from bot.letters import from_text, to_text
from bot.rings import Rings
from core.announce import Announcement, Urgency, announce, came_to
from core.desk import Desk
from core.domain.encoding import digest
from core.domain.events import Event
from core.errors import Corrupt, DeskError, Unavailable
from core.logs import Level
from core.ports import Delete, Put
from core.reply import Notice, Tone

CURSOR = "outbox"
READ_EACH = 500  # events between two notes of how far the log was read, where none of them is news
REMEMBERED = 2_000  # keys of letters made lately
MOST_WAITING = 500  # letters of one address in memory; the others wait in the archive
KEPT = timedelta(days=7)  # delivered letters
HOLD_SECONDS = 5.0
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 1.0, 60.0
COMPLAIN_AFTER = 4  # attempts in vain before the others are told
REPEAT_SECONDS = 300.0
_WEIGHT = {Urgency.CRITICAL: 0, Urgency.HIGH: 1, Urgency.MEDIUM: 2, Urgency.LOW: 3}


class Later(Exception):
    """The other side asks to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Blocked(Exception):
    """That address takes nothing any more."""


class Refused(Exception):
    """This one letter can never be shown there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One piece of news for one address. `again` is how often it came before."""

    key: str
    news: Announcement
    again: int = 0

    @property
    def rings(self) -> bool:
        """Whether it should make a sound."""
        return self.news.urgency is not Urgency.LOW


class Channel(Protocol):
    """What the outbox needs of a way to reach people."""

    @property
    def name(self) -> str: ...

    def addresses(self) -> Sequence[str]: ...

    async def deliver(self, address: str, letter: Letter) -> None: ...


@dataclass(slots=True)
class _Route:
    """One address of one channel, and what waits for it, the most urgent first."""

    channel: Channel
    address: str
    waiting: list[tuple[int, int, Letter]] = field(default_factory=list)
    there: Any = None
    held: int = 0
    held_until: float = 0.0
    blocked: bool = False
    in_vain: int = 0


class Outbox:
    """The letters of one desk."""

    def __init__(self, desk: Desk, *, repeat_seconds: float = REPEAT_SECONDS) -> None:
        self._desk = desk
        self._runtime = desk.runtime
        self._channels: list[Channel] = []
        self._routes: dict[tuple[str, str], _Route] = {}
        self._fresh: list[tuple[int, Announcement]] = []
        self._unwritten: list[Put] = []
        self._read_to = 0
        self._noted = 0
        self._made: OrderedDict[str, None] = OrderedDict()
        self._something = self._runtime.event()
        self._count = 0
        self._rings = Rings(desk, repeat_seconds=repeat_seconds, ring=self._ring)
        self._silence: Callable[[], None] | None = None
        self._tasks: list[Any] = []

    def join(self, channel: Channel) -> None:
        """Deliver to this channel too."""
        self._channels.append(channel)

    async def start(self) -> None:
        """Take up what the last process left, then hear every event."""
        await self._forget_old()
        await self._take_up()
        self._silence = self._desk.listen(self._heard)
        await self._read_missed()
        self._tasks += [self._runtime.spawn(self._write_for_ever(), name="outbox"), self._runtime.spawn(self._rings.run(), name="rings")]

    async def stop(self) -> None:
        """Hear nothing more; what waits is delivered after the next start."""
        if self._silence is not None:
            self._silence()
            self._silence = None
        for task in self._tasks:
            task.cancel()
        self._tasks, self._routes = [], {}
        try:
            await self._post()
        except Unavailable as error:  # what was not written is read again from the log at the next start
            self._runtime.report("outbox", error)

    def tell(self, news: Announcement) -> None:
        """Tell what no event tells, such as who knocked; the same key is told once."""
        self._fresh.append((self._read_to, news))
        self._something.set()

    async def wake(self, name: str, address: str) -> None:
        """The address takes messages again: what waited in the archive is delivered now."""
        route = self._routes.get((name, address))
        if route is not None and route.blocked:
            route.blocked, route.in_vain = False, 0
            await self._load(route)

    @asynccontextmanager
    async def answering(self, name: str, address: str) -> AsyncIterator[Callable[[Collection[int]], None]]:
        """Hold news (never what is critical) while an answer is on its way there, for a few seconds at most."""
        route = self._routes.get((name, address))
        if route is None:
            yield lambda cites: None
            return
        route.held += 1
        route.held_until = self._runtime.seconds() + HOLD_SECONDS
        told: list[str] = []
        try:
            yield lambda cites: told.extend(self._told(route, frozenset(cites)))
        finally:
            route.held -= 1
            route.there.set()
        await self._note_delivered(told)

    # --- events into letters ---------------------------------------------------------------------------------------------

    def _heard(self, event: Event, outcomes: tuple[Any, ...]) -> None:
        self._rings.heard(event)
        news = announce(event, outcomes, self._desk.books)
        self._read_to = max(self._read_to, event.seq)
        if news is not None:
            self._fresh.append((event.seq, news))
        if news is not None or self._read_to - self._noted >= READ_EACH or self._rings.changed:
            self._something.set()

    async def _read_missed(self) -> None:
        """Events after the one that was last read for news. What they came to is judged by how things stand now."""
        rows = await self._desk.archive.select("settings_meta", where={"key": CURSOR})
        self._read_to = self._noted = int(rows[0]["value"]) if rows else self._desk.fold.seq
        for event in await self._desk.store.read(after=self._read_to) if self._read_to < self._desk.fold.seq else ():
            self._heard(event, came_to(event, self._desk.books))
        await self._post(also_cursor=not rows)

    async def _write_for_ever(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            try:
                await self._post()
            except Unavailable as error:
                self._runtime.report("outbox", error)
                await self._runtime.sleep(FIRST_BACKOFF_SECONDS)
                self._something.set()

    async def _post(self, *, also_cursor: bool = False) -> None:
        """Write letters and how far was read in one piece, then hand the letters out. A disk that refuses keeps no news from anybody:
        they go all the same, and are written when it works again."""
        fresh, self._fresh = self._fresh, []
        letters = [item for _, news in fresh for item in self._letters(news)]
        self._unwritten += [self._row(route, letter) for route, letter in letters] + self._rings.answers()
        for route, letter in letters:
            self._queue(route, letter)
        if self._unwritten or also_cursor or self._read_to - self._noted >= READ_EACH:
            operations, read_to = tuple(self._unwritten), self._read_to
            cursor = {"key": CURSOR, "value": str(read_to), "at": self._desk.now().isoformat()}
            await self._desk.archive.write([*operations, Put(table="settings_meta", row=cursor)])
            del self._unwritten[: len(operations)]
            self._noted = read_to

    def _letters(self, news: Announcement) -> list[tuple[_Route, Letter]]:
        """One letter for each address, but for those that have this news already."""
        self._unwritten += self._rings.puts(news)
        shown, made = self._rings.with_button(news), []
        for channel in self._channels:
            for address in channel.addresses():
                key = _key(channel.name, address, news.key)
                if key not in self._made:
                    self._remember(key)
                    made.append((self._route(channel, address), Letter(key=key, news=shown)))
        return made

    def _row(self, route: _Route, letter: Letter, delivered_at: str | None = None, attempts: int = 0) -> Put:
        row = {
            "key": letter.key, "created_at": self._desk.now().isoformat(), "channel": f"{route.channel.name} {route.address}",
            "urgency": letter.news.urgency.value, "body": to_text(letter.news), "delivered_at": delivered_at, "attempts": attempts,
        }
        return Put(table="outbox", row=row)

    def _remember(self, key: str) -> None:
        self._made[key] = None
        while len(self._made) > REMEMBERED:
            self._made.popitem(last=False)

    def _ring(self, news: Announcement, again: int) -> None:
        """Tell something critical once more, everywhere it goes."""
        for channel in self._channels:
            for address in channel.addresses():
                key = _key(channel.name, address, f"{news.key}#{again}")
                self._queue(self._route(channel, address), Letter(key=key, news=news, again=again))

    # --- letters to addresses --------------------------------------------------------------------------------------------

    def _route(self, channel: Channel, address: str) -> _Route:
        route = self._routes.get((channel.name, address))
        if route is None:
            route = self._routes[channel.name, address] = _Route(channel, address, there=self._runtime.event())
            self._tasks.append(self._runtime.spawn(self._deliver_for_ever(route), name=f"{channel.name} {address}"))
        return route

    def _queue(self, route: _Route, letter: Letter) -> None:
        if route.blocked or len(route.waiting) >= MOST_WAITING:
            return  # it waits in the archive
        self._count += 1
        heapq.heappush(route.waiting, (_WEIGHT[letter.news.urgency], self._count, letter))
        route.there.set()

    async def _deliver_for_ever(self, route: _Route) -> None:
        while True:
            await self._next(route)
            weight, number, letter = heapq.heappop(route.waiting)
            try:
                await route.channel.deliver(route.address, letter)
            except Later as later:
                heapq.heappush(route.waiting, (weight, number, letter))
                await self._runtime.sleep(later.seconds)
                continue
            except Blocked:
                route.blocked = True
                route.waiting.clear()
                self._complain(route, "takes no messages any more")
                continue
            except Refused as error:
                self._runtime.report(f"{route.channel.name}: a message cannot be shown there", DeskError(str(error)))
            except Exception as error:  # noqa: BLE001 - reported; whatever one channel does, its letter is tried again
                heapq.heappush(route.waiting, (weight, number, letter))
                await self._tried_in_vain(route, error)
                continue
            route.in_vain = 0
            await self._note_delivered([letter.key])
            if not route.waiting:
                await self._load(route)

    async def _next(self, route: _Route) -> None:
        """Return when there is a letter that may go now."""
        while True:
            critical = bool(route.waiting) and route.waiting[0][0] == 0
            left = route.held_until - self._runtime.seconds()
            if route.waiting and (critical or not route.held or left <= 0):
                return
            route.there.clear()
            try:
                await self._runtime.wait_for(route.there.wait(), max(left, 0.05) if route.waiting else None)
            except TimeoutError:
                continue

    async def _tried_in_vain(self, route: _Route, error: Exception) -> None:
        route.in_vain += 1
        self._desk.log(Level.WARNING, "not delivered", channel=route.channel.name, address=route.address, attempt=route.in_vain,
                       why=type(error).__name__)
        if route.in_vain == COMPLAIN_AFTER:
            self._complain(route, "cannot be reached")
        await self._runtime.sleep(min(FIRST_BACKOFF_SECONDS * 2 ** (route.in_vain - 1), LONGEST_BACKOFF_SECONDS))

    def _complain(self, route: _Route, what: str) -> None:
        """Tell every other address that one hears nothing."""
        self._desk.log(Level.ERROR, "chat lost", channel=route.channel.name, address=route.address, why=what)
        text = f"The {route.channel.name} chat {route.address} {what}; what it should hear waits, and comes here too."
        self._count += 1
        news = Announcement(key=f"lost:{route.channel.name}:{route.address}:{self._count}", urgency=Urgency.HIGH,
                            blocks=(Notice(text=text, tone=Tone.WARNING),))
        for other in self._routes.values():
            if other is not route and not other.blocked:
                self._queue(other, Letter(key=_key(other.channel.name, other.address, news.key), news=news))

    def _told(self, route: _Route, cites: frozenset[int]) -> list[str]:
        """Drop what an answer has just told; returns the keys."""
        gone = [item for item in route.waiting if item[2].news.cites and cites.issuperset(item[2].news.cites) and item[0] > 0]
        route.waiting = [item for item in route.waiting if item not in gone]
        heapq.heapify(route.waiting)
        return [item[2].key for item in gone]

    async def _note_delivered(self, keys: Sequence[str]) -> None:
        try:
            for key in keys:
                rows = await self._desk.archive.select("outbox", where={"key": key})
                at = self._desk.now().isoformat()
                await self._desk.archive.write([
                    Put(table="outbox", row={**row, "delivered_at": at, "attempts": (row["attempts"] or 0) + 1}) for row in rows
                ])
        except Unavailable as error:  # then it comes a second time after a restart
            self._runtime.report("outbox", error)

    # --- from the archive ------------------------------------------------------------------------------------------------

    async def _take_up(self) -> None:
        await self._rings.load()
        for channel in self._channels:
            for address in channel.addresses():
                await self._load(self._route(channel, address))

    async def _load(self, route: _Route) -> None:
        """What is not delivered there yet, the oldest first."""
        where = {"channel": f"{route.channel.name} {route.address}", "delivered_at": None}
        try:
            rows = await self._desk.archive.select("outbox", where=where, order_by="created_at", limit=MOST_WAITING)
        except Unavailable as error:  # what is in memory goes on
            self._runtime.report("outbox", error)
            return
        waiting = {item[2].key for item in route.waiting}
        for row in rows:
            if row["key"] in waiting:
                continue
            self._remember(row["key"])
            try:
                self._queue(route, Letter(key=row["key"], news=from_text(row["body"])))
            except Corrupt as error:
                self._runtime.report("outbox", error)
                await self._note_delivered([row["key"]])

    async def _forget_old(self) -> None:
        rows = await self._desk.archive.select("outbox", order_by="created_at")
        since = (self._desk.now() - KEPT).isoformat()
        for row in rows:
            if row["delivered_at"] is not None:
                if row["created_at"] >= since:
                    self._remember(row["key"])
                else:
                    await self._desk.archive.write([Delete(table="outbox", where={"key": row["key"]})])


def _key(channel: str, address: str, news: str) -> str:
    """The key of one piece of news at one address."""
    return f"{channel}:{address}:{digest(news)[:32]}"

