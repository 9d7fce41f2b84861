"""A desk on Telegram as it is shipped, against the server of the tests: seconds in chats run fifty times as fast."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.auth import Pins, open_pins
from bot.channels.telegram.front import TelegramFront
from bot.channels.telegram.pace import Pace
from bot.channels.telegram.place import Place
from bot.outbox import Outbox
from core.command import Role
from core.desk import Desk
from core.people import OWNER
from tests.paper_desk import open_desk
from tests.telegram_server import TOKEN, Sent, TelegramServer, telegram_server

ALICE, BOB, EVE = 4711, 4712, 666
GROUP, TOPIC = -1001234, 7
PIN = "471147"
OPEN = "open put_credit_spread XSP 1"


@dataclass
class Chat:
    """Everything a test holds in its hand."""

    server: TelegramServer
    desk: Desk
    front: TelegramFront
    outbox: Outbox
    said: list[str]

    def orders(self) -> int:
        """How many orders were ever submitted."""
        return len(self.desk.book(self.desk.config.accounts[0].id).orders)

    async def ask(self, text: str, words: str, *, user: int = ALICE, chat: int | None = None) -> Sent:
        """Write, and wait for a message that says so."""
        self.server.write(user, text, chat=chat)
        return await self.server.last(chat or user, words)

    async def card(self, text: str = OPEN) -> Sent:
        """A fresh card in Alice's chat."""
        before = len(self.server.chats.get(ALICE, []))
        self.server.write(ALICE, text)
        cards = lambda: [one for one in self.server.chats.get(ALICE, [])[before:] if any(label == "Confirm" for label, _ in one.buttons)]  # noqa: E731
        return (await self.server.until(cards))[0]

    async def quiet(self) -> None:
        """Everything that waits at the server was fetched and handled, and a moment more."""
        await self.server.until(lambda: not self.server.updates)
        await self.desk.runtime.sleep(0.1)


async def pair(desk: Desk, user: int, person: str, role: Role) -> None:
    """Make a Telegram account somebody."""
    code = await desk.people.invite(person, role, by=OWNER, now=desk.now())
    await desk.people.join(f"telegram:{user}", code, name="Name", now=desk.now())


def pins(home: Path, desk: Desk) -> Pins:
    return open_pins(home, desk.runtime, make=PIN, salt="00")[0]


@asynccontextmanager
async def on(server: TelegramServer, desk: Desk, home: Path, *, group: int | None = None, topic: int | None = None) -> AsyncIterator[Chat]:
    """The channel over a desk and a server that may outlive it."""
    await desk.people.load()
    outbox, said = Outbox(desk), []
    place = Place(token=TOKEN, base_url=server.url, group=group, topic=topic)
    pace = Pace(desk.runtime, chat_seconds=1 / server.speed, group_seconds=4 / server.speed)
    front = TelegramFront(desk, place, pins=pins(home, desk), outbox=outbox, say=said.append, pace=pace, poll_seconds=2)
    outbox.join(front)
    await outbox.start()
    said += await front.start()
    try:
        yield Chat(server, desk, front, outbox, said)
    finally:
        await front.stop()
        await outbox.stop()


@asynccontextmanager
async def chat(
    home: Path, *, group: int | None = None, topic: int | None = None, paired: bool = True, speed: float = 50.0
) -> AsyncIterator[Chat]:
    """A desk whose owner is Alice, on a server of its own."""
    desk = await open_desk()
    if paired:
        await pair(desk, ALICE, OWNER, Role.OWNER)
    try:
        async with telegram_server(speed=speed) as server, on(server, desk, home, group=group, topic=topic) as made:
            yield made
    finally:
        await desk.runtime.aclose()
