"""The terminal: lines in, text out; fills and alarms appear as they come. Works on a keyboard and through a pipe."""

from __future__ import annotations

import asyncio
import os
import select
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bot.render import clean, render
from bot.session import Session, Shown, without_pin
from core.announce import Announcement, Urgency, announce
from core.domain.events import Event
from core.lanes import Lane
from core.runtime import Runtime

LEAVING = frozenset({"exit", "quit", "bye"})
MOST_WAITING = {Lane.STOP: 20, Lane.DECIDE: 20, Lane.ASK: 100}  # typed lines that wait for the answer before them, each lane apart
LAST_NEWS_SECONDS = 3.0
LOOK_SECONDS = 0.25
CHUNK_BYTES = 65_536
LONGEST_BYTES = 1_000_000  # kept of one line
REMEMBERED = 1_000
LONGEST_ECHO = 200
_BELL = {Urgency.HIGH: "\a", Urgency.CRITICAL: "\a"}


class LineReader:
    """Lines of a file descriptor, read in a thread that never waits long, so that the process can always end."""

    def __init__(self, runtime: Runtime, fd: int, *, stopping: Callable[[], bool]) -> None:
        self._runtime = runtime
        self._fd = fd
        self._stopping = stopping
        self._buffer = b""
        self._ended = False
        self.any = False  # whether anything was ever typed
        self._worker = runtime.worker(f"lines of {fd}")  # its own thread: however busy the others are, `kill` is read

    async def __call__(self) -> str | None:
        """The next line, None at the end or when the process is stopping."""
        while b"\n" not in self._buffer:
            if self._stopping():
                return None
            if self._ended:
                rest, self._buffer = self._buffer, b""
                return rest.decode("utf-8", "replace") if rest else None
            chunk = await self._worker.run(_read_some, self._fd)
            self._ended = chunk == b""
            self.any = self.any or bool(chunk)
            if chunk and len(self._buffer) >= LONGEST_BYTES:  # of a line without end only the beginning is kept
                chunk = chunk[chunk.find(b"\n") :] if b"\n" in chunk else b""
            self._buffer += chunk or b""
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r")


def _read_some(fd: int) -> bytes | None:
    """What is there, b"" at the end, None where nothing came for a moment."""
    try:
        ready, _, _ = select.select([fd], [], [], LOOK_SECONDS)
        return os.read(fd, CHUNK_BYTES) if ready else None
    except OSError:
        return b""  # the terminal went away


class Terminal:
    """One conversation on a screen."""

    def __init__(
        self, session: Session, *, lines: Callable[[], Awaitable[str | None]], write: Callable[[str], object], keyboard: bool = False,
        greeting: Sequence[str] = (),
    ) -> None:
        self._session = session
        self._desk = session.desk
        self._lines = lines
        self._write = write
        self._keyboard = keyboard
        self._greeting = greeting
        self._screen = self._desk.runtime.lock()  # an answer and the news after it are not mixed
        self._news: list[Announcement] = []
        self._told: OrderedDict[str, None] = OrderedDict()
        self._something = self._desk.runtime.event()

    async def run(self) -> bool:
        """Talk until the lines end; then wait a little for news of orders on their way. True where the person said goodbye."""
        silence = self._desk.listen(self._heard)
        teller = self._desk.runtime.spawn(self._tell_for_ever(), name="announcements")
        try:
            self._write("\n".join(self._greeting) + "\n")
            left = await self._talk()
            await self._last_news()
            return left
        finally:
            silence()
            teller.cancel()

    async def _talk(self) -> bool:
        """Hand each line to its lane: at a keyboard what stops and what decides by name does not wait behind questions."""
        runtime = self._desk.runtime
        queues = {lane: runtime.queue(most) for lane, most in MOST_WAITING.items()}
        workers = [runtime.spawn(self._answer_all(queue, lane), name=f"answers {lane}") for lane, queue in queues.items()]
        left = False
        while not left and (line := await self._lines()) is not None:
            text = line.strip()
            left = text.lower() in LEAVING
            if left or not text:
                continue
            queue = queues[self._session.lane(text) if self._keyboard else Lane.ASK]
            if self._keyboard and queue.full():
                self._write("[!] That is faster than I can answer; the line was left out. `kill` and `halt` always work.\n")
                await runtime.sleep(0)  # whatever comes in, what is at work goes on
            else:
                await queue.put(text)
                await runtime.sleep(0)
        for queue in queues.values():
            await queue.put(None)
        for worker in workers:
            await worker
        return left

    async def _answer_all(self, queue: asyncio.Queue[str | None], lane: Lane) -> None:
        while (text := await queue.get()) is not None:
            if self._keyboard and lane is not Lane.DECIDE:
                shown = await self._session.hear(text)  # news does not wait for it, nor it for another answer
                self._show(shown)
                continue
            async with self._screen:
                if not self._keyboard:
                    self._write(f"> {'****' if self._session.expects_secret else _echo(self._desk.redaction.redact(text))}\n")
                self._show(await self._session.hear(text))

    def _show(self, shown: Shown) -> None:
        said = set(shown.reply.cites)  # what an answer tells is not told a second time
        self._news = [item for item in self._news if not said.issuperset(item.cites)]
        self._write(render(shown.reply, shown.buttons) + "\n\n")

    # --- news ----------------------------------------------------------------------------------------------------------

    def _heard(self, event: Event, outcomes: tuple[Any, ...]) -> None:
        news = announce(event, outcomes, self._desk.books)
        if news is None or news.key in self._told:
            return
        self._told[news.key] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        self._news.append(news)
        self._something.set()

    async def _tell_for_ever(self) -> None:
        while True:
            await self._something.wait()
            async with self._screen:
                await self._tell()

    async def _tell(self) -> None:
        self._something.clear()
        news, self._news = self._news, []
        for item in news:
            shown = await self._session.tell(item.reply)
            bell = _BELL.get(item.urgency, "") if self._keyboard else ""
            self._write(bell + render(shown.reply, shown.buttons) + "\n\n")

    async def _last_news(self) -> None:
        waited = 0.0
        moving = not self._desk.runtime.clock.standing  # while the clock stands nothing happens by itself
        while moving and waited < LAST_NEWS_SECONDS and any(book.live for book in self._desk.books.accounts.values()):
            await self._desk.runtime.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
        async with self._screen:
            await self._tell()
        working = [order.client_id for book in self._desk.books.accounts.values() for order in book.live.values()]
        if working:
            self._write(f"[!] Still working: {', '.join(working)}. The next start finds out what became of them.\n")


def _echo(text: str) -> str:
    """A line as shown again: no PIN, nothing unseen, and not endless."""
    shown = clean(without_pin(text))
    return shown if len(shown) <= LONGEST_ECHO else f"{shown[:LONGEST_ECHO]}..."
