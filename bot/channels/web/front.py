"""The web page as a front of the desk: it listens at once, loads its server beside the greeting, and shows what the desk tells."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bot.auth import Pins
from bot.channels.web.door import EVERYWHERE, LOOPBACK, Door, address, bind
from bot.outbox import Letter, Outbox
from core.desk import Desk

if TYPE_CHECKING:
    from bot.channels.web.server import WebServer

PAGE = "page"


class Web:
    """The page of one desk."""

    name = "web"

    def __init__(self, desk: Desk, *, pins: Pins | None, outbox: Outbox, say: Callable[[str], object]) -> None:
        """`say` prints where the desk was started: each use of a link prints the next one there."""
        self._desk = desk
        self._pins = pins
        self._outbox = outbox
        self._say = say
        self._door = Door(desk.config.web, desk.archive, desk.runtime.entropy)
        self._listening: socket.socket | None = None
        self._server: WebServer | None = None
        self._ready = desk.runtime.event()
        self._stopped = False

    @property
    def link(self) -> str:
        """Where a browser signs in, once."""
        return "" if self._listening is None else f"{address(self._listening)}{self._door.link}"

    def addresses(self) -> Sequence[str]:
        """One: every open tab shows the same conversation, and one opened later what it was."""
        return (PAGE,)

    async def deliver(self, address: str, letter: Letter) -> None:
        """Put news into the conversation."""
        await self._ready.wait()
        assert self._server is not None
        await self._server.room.tell(letter)

    async def start(self) -> list[str]:
        """Listen; returns the link that signs in. Raises UserError where the place is taken."""
        web = self._desk.config.web
        self._listening = bind(web)
        self._desk.runtime.spawn(self._serve(self._listening), name="web page")
        said = [f"Web:  {self.link}"]
        if web.host not in LOOPBACK:
            where = "every network this machine is in" if web.host in EVERYWHERE else web.host
            said.append(f"[!] The web page listens on {where} without encryption: let nobody near but a proxy that adds it.")
        return said

    async def _serve(self, listening: socket.socket) -> None:
        try:
            server_of = await self._desk.runtime.in_thread(_load)
            if self._stopped:
                return
            self._server = server_of(
                self._desk, listening, door=self._door, pins=self._pins, outbox=self._outbox, entered=self._entered, name=self.name,
                address=PAGE,
            )
            await self._server.serve(self._ready.set)
        except Exception as error:  # noqa: BLE001 - whatever ails the page, the desk and its terminal go on
            identity = self._desk.report("web page", error)
            self._say(f"[x] The web page is not served any more ({identity}). Everything else works; a restart serves it again.\n")
            listening.close()

    async def stop(self) -> None:
        """End every open page and listen no more."""
        self._stopped = True
        if self._server is not None:
            await self._server.close()
        if self._listening is not None:
            self._listening.close()

    def _entered(self) -> None:
        self._say(f"[i] The web page was opened in a browser. For another one: {self.link}\n")


def _load() -> type[WebServer]:
    """Load the server and the templates: in a thread, so that the terminal answers meanwhile."""
    from bot.channels.web import pages
    from bot.channels.web.server import WebServer

    pages.load()
    return WebServer
