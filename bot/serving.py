"""The chats that are served beside the terminal: which are configured, started together, and stopped in the order that loses nothing.

A front is a channel of the outbox (`bot/outbox.py` says what that is) with a start and a stop. To add one: a module under `bot/channels/`
and a line in `fronts`, which imports it only where the configuration or the environment asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bot.auth import Pins
from bot.outbox import Channel, Outbox
from core.desk import Desk
from core.errors import DeskError, UserError

TELEGRAM = "TELEGRAM_TOKEN"


class Front(Channel, Protocol):
    """A channel that talks to the outside."""

    async def start(self) -> Sequence[str]:
        """Begin to serve; returns sentences for whoever sits at the machine. Raises UserError where it cannot."""

    async def stop(self) -> None:
        """Take nothing in any more and let go of every connection."""


def fronts(
    desk: Desk, *, pins: Pins, home: Path, environment: Mapping[str, str], outbox: Outbox, web: bool, say: Callable[[str], object],
) -> tuple[list[Front], list[str]]:
    """The fronts that are configured, and a sentence for each that is configured wrongly: that never keeps the others from serving."""
    found: list[Front] = []
    wrong: list[str] = []
    if web:
        from bot.channels.web.front import Web

        found.append(Web(desk, pins=pins, outbox=outbox, say=say))
    if TELEGRAM in environment or f"{TELEGRAM}_FILE" in environment or (home / "telegram-token").exists():
        from bot.channels.telegram.front import TelegramFront  # loads the client only where there is a bot
        from bot.channels.telegram.place import find_place

        try:
            place = find_place(desk.config.telegram, home, environment)
        except UserError as error:
            wrong.append(f"[x] {error}")
        else:
            found += [] if place is None else [TelegramFront(desk, place, pins=pins, outbox=outbox, say=say)]
    return found, wrong


class Serving:
    """All fronts of a process and their outbox."""

    def __init__(
        self, desk: Desk, *, pins: Pins, home: Path, environment: Mapping[str, str], web: bool, say: Callable[[str], object],
    ) -> None:
        """`web`: whether to serve the page in a browser; `say` prints where the desk was started."""
        self._desk = desk
        self._outbox = Outbox(desk)
        self._started: list[Front] = []
        self._fronts, self._problems = fronts(
            desk, pins=pins, home=home, environment=environment, outbox=self._outbox, web=web, say=say
        )

    @property
    def serves(self) -> bool:
        """Whether anybody can reach the desk by another way than the terminal."""
        return bool(self._started)

    async def listen(self) -> None:
        """Take up the letters that wait and hear every event from now on; before the desk itself starts."""
        if self._fronts:
            await self._desk.people.load()
            for front in self._fronts:
                self._outbox.join(front)
            await self._outbox.start()

    async def start(self) -> list[str]:
        """Start every front; one that cannot says why and the others go on."""
        said = list(self._problems)
        for front in self._fronts:
            try:
                said += await front.start()
                self._started.append(front)
            except DeskError as error:
                said.append(f"[x] {front.name} is not served: {error}")
        return [self._desk.redaction.redact(line) for line in said]

    async def stop(self) -> None:
        """Stop the fronts, then the outbox."""
        for front in reversed(self._started):
            try:
                await front.stop()
            except DeskError as error:
                self._desk.report(front.name, error)
        self._started = []
        if self._fronts:
            await self._outbox.stop()
