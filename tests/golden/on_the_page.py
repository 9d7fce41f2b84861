"""Plays golden transcripts on the web page: what is typed and pressed goes through the page's room, and every answer is what it shows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from html import unescape
from typing import Any

from bot.auth import Pins, local_owner
from bot.channels.web.room import Piece, Room
from bot.render import caption, render
from bot.session import Shown
from core.desk import Desk
from core.reply import Chart, Reply
from core.runtime import SeededEntropy
from tests.golden.theatre import Theatre

MARKS = frozenset({"x", "i", "ok"})  # what the terminal draws before a notice; the page reads out a word


def words(text: str) -> set[str]:
    """Every word and figure of a text."""
    return set(re.findall(r"[\w.,%+/-]*\w", text.replace("`", " ")))


def page_text(html: str) -> str:
    """What somebody reads of a piece of the page."""
    return unescape(re.sub(r"<[^>]+>", " ", html))


class Through:
    """The conversation of a room, as the theatre speaks with a session."""

    def __init__(self, desk: Desk, pins: Pins) -> None:
        self.room = Room(desk, person=local_owner(), pins=pins, answering=_at_once)
        self.session: Any = self.room._session
        self.shown: Shown | None = None
        self.count = 0
        self.session.hear, self.session.push = self._noted(self.session.hear), self._noted(self.session.push)

    @classmethod
    async def opened(cls, desk: Desk, pins: Pins) -> Through:
        """A page that is there already: what its opening draws by chance is no part of the story, whose ids stay as written."""
        runtime, entropy = desk.runtime, desk.runtime.entropy
        runtime.entropy = SeededEntropy(f"page {desk.fold.seq}")
        through = cls(desk, pins)
        await through.room.open()
        runtime.entropy = through.session._buttons._entropy = entropy
        return through

    async def hear(self, text: str) -> Shown:
        return await self._answered(self.room.say(text, self._name()))

    async def push(self, token: str) -> Shown:
        return await self._answered(self.room.press(token, self._name()))

    async def tell(self, reply: Reply) -> Shown:
        shown: Shown = await self.session.tell(reply)
        await self.room._put(shown)
        return self._on_the_page(shown, self.room.pieces[-1])

    async def _answered(self, piece: Piece) -> Shown:
        await piece.done.wait()
        assert self.shown is not None
        return self._on_the_page(self.shown, piece)

    def _on_the_page(self, shown: Shown, piece: Piece) -> Shown:
        charts = [block for block in shown.reply.blocks if isinstance(block, Chart)]  # the page has pictures, and the same captions
        told = replace(shown.reply, blocks=tuple(block for block in shown.reply.blocks if block not in charts))
        said = " ".join([render(told), *map(caption, charts)])
        missing = words(said) - words(page_text(piece.html)) - MARKS
        assert not missing, f"the page does not say {missing}"
        assert [button.token for button in piece.buttons] == [button.token for button in shown.buttons]
        return shown

    def _noted(self, act: Callable[..., Awaitable[Shown]]) -> Callable[..., Awaitable[Shown]]:
        async def noted(*given: str) -> Shown:
            self.shown = await act(*given)
            return self.shown

        return noted

    def _name(self) -> str:
        self.count += 1
        return f"{self.room.mark} {self.count}"


class PageTheatre(Theatre):
    """The same desk, talked to on its page."""

    async def _conversation(self, desk: Desk, pins: Pins) -> Through:
        return await Through.opened(desk, pins)


@asynccontextmanager
async def _at_once() -> AsyncIterator[Callable[[Collection[int]], None]]:
    """Nothing is held: the theatre tells news itself, after the answer."""
    yield lambda cites: None
