"""The web page's server in the desk's own loop. It takes no signals: the process ends as its terminal or a signal says."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from bot.auth import Pins, local_owner
from bot.channels.web.door import Door
from bot.channels.web.room import Room
from bot.channels.web.site import make_site
from bot.outbox import Outbox
from core.desk import Desk

AT_ONCE = 60  # connections that are served; more are turned away with 503
CLOSE_SECONDS = 2


class _Quiet(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    """The page of one desk, served from a socket that listens already."""

    def __init__(
        self, desk: Desk, listening: socket.socket, *, door: Door, pins: Pins | None, outbox: Outbox, entered: Callable[[], None],
        name: str, address: str,
    ) -> None:
        self.room = Room(desk, person=local_owner(), pins=pins, answering=lambda: outbox.answering(name, address))
        self._listening = listening
        self._ended = desk.runtime.event()
        port = listening.getsockname()[1]
        site = make_site(room=self.room, door=door, desk=desk, cookie=f"desk_{port}", entered=entered)
        self._server = _Quiet(uvicorn.Config(
            site, log_config=None, access_log=False, lifespan="off", ws="none", server_header=False, limit_concurrency=AT_ONCE,
            timeout_graceful_shutdown=CLOSE_SECONDS, timeout_keep_alive=30, proxy_headers=False,
        ))

    async def serve(self, ready: Callable[[], None]) -> None:
        """Take up the conversation and serve it until closed."""
        try:
            await self.room.open()
            ready()
            await self._server.serve(sockets=[self._listening])
        finally:
            self._ended.set()

    async def close(self) -> None:
        """End every open page and stop listening."""
        self.room.close()
        self._server.should_exit = True
        await self._ended.wait()
