"""A few ordinary commands at a time, and a bounded number waiting, so that `halt`, `kill`, `cancel` and a press never stand behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.intent.meaning import lane_meant
from core.errors import UserError
from core.lanes import Lane as Lanes
from core.runtime import Runtime

AT_ONCE = 4
WAITING = 100
RESERVED = frozenset({"kill", "halt", "cancel", "confirm", "pause"})


class Lane:
    """Who may be worked on now. Reserved commands always may."""

    def __init__(self, runtime: Runtime, *, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._slots = runtime.semaphore(at_once)
        self._most = at_once + waiting
        self._there = 0

    @asynccontextmanager
    async def turn(self, line: str) -> AsyncIterator[None]:
        """Wait for a turn and hold it for the block; raise UserError where too many wait already."""
        if first_word(line) in RESERVED or lane_meant(line) is not Lanes.ASK:
            yield
            return
        if self._there >= self._most:
            raise UserError(f"{self._there} commands are waiting already; this one was left out.", "`halt` and `kill` always work.")
        self._there += 1
        try:
            async with self._slots:
                yield
        finally:
            self._there -= 1


def first_word(line: str) -> str:
    """The command a line begins with, as typed with or without a slash."""
    words = line.split(maxsplit=1)
    return words[0].lower().removeprefix("/") if words else ""
