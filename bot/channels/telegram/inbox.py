"""What comes in is on disk before the server forgets it, and each update is taken up once.

The server forgets an update with the request for the next ones, which is made when `put` has returned for all of them. So a process that
dies in between finds in the archive what it never answered. What came while nobody listened is marked late: it is asked about before it
acts.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from telegram import Bot, Update
from telegram.ext import ExtBot

from bot.auth import PIN_FORM
from core.desk import Desk
from core.errors import Unavailable
from core.ports import Delete, Put

LATE_SECONDS = 60.0  # a message that took longer came while nobody listened
KEEP_SECONDS = 2.0  # a disk that hangs does not keep `halt` from being read
BATCH = 100  # the most updates in one answer of the server
REMEMBERED = 10_000
TABLE, TRANSPORT = "updates", "telegram"


class Inbox(asyncio.Queue[object]):
    """The queue between polling and handling."""

    def __init__(self, desk: Desk, *, wall: Callable[[], datetime]) -> None:
        super().__init__()
        self._desk = desk
        self._wall = wall
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._kept: set[int] = set()  # updates that stand in the archive
        self.late: set[int] = set()  # updates that came while nobody listened

    async def put(self, item: object) -> None:
        """Store an update, then hand it on; a second delivery is dropped. Where the disk refuses, it is handled all the same."""
        if isinstance(item, Update):
            if item.update_id in self._seen:
                return
            self._seen[item.update_id] = None
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            if not _may_hold_a_secret(item) and self._is_of_somebody_known(item):
                await self._keep(item)
        await super().put(item)

    async def done(self, update: Update) -> None:
        """An update was answered, or never will be."""
        self.late.discard(update.update_id)
        if update.update_id not in self._kept:
            return
        self._kept.discard(update.update_id)
        try:
            await self._desk.archive.write([Delete(table=TABLE, where={"transport": TRANSPORT, "update_id": str(update.update_id)})])
        except Unavailable as error:  # then the next start says that it was handled before
            self._desk.runtime.report("inbox", error)

    async def left_over(self, bot: Bot) -> list[Update]:
        """What the last process took in and never answered, oldest first."""
        rows = await self._desk.archive.select(TABLE, where={"transport": TRANSPORT}, order_by="at")
        found = [update for row in rows if (update := Update.de_json(json.loads(row["body"]), bot)) is not None]
        old = [row["update_id"] for row in rows if self._wall() - datetime.fromisoformat(row["at"]) > timedelta(seconds=LATE_SECONDS)]
        self.late.update(int(name) for name in old)
        for update in found:
            self._seen[update.update_id] = None
            self._kept.add(update.update_id)
        return found

    def waited_too_long(self, update: Update) -> bool:
        """Whether it came while nobody listened: by its own time where it has one (a press has none), else by when it was fetched."""
        message = update.message or update.edited_message
        if message is not None:
            return self._wall() - message.date > timedelta(seconds=LATE_SECONDS)
        return update.update_id in self.late

    def _is_of_somebody_known(self, update: Update) -> bool:
        """What strangers send is worth no write to the disk."""
        user = update.effective_user
        return user is not None and self._desk.people.who(f"{TRANSPORT}:{user.id}") is not None

    async def _keep(self, update: Update) -> None:
        row = {
            "transport": TRANSPORT, "update_id": str(update.update_id), "at": self._wall().isoformat(),
            "body": update.to_json(),
        }
        try:
            await self._desk.runtime.wait_for(self._desk.archive.write([Put(table=TABLE, row=row)]), KEEP_SECONDS)
            self._kept.add(update.update_id)
        except (Unavailable, TimeoutError) as error:
            self._desk.runtime.report("inbox", error)


def _may_hold_a_secret(update: Update) -> bool:
    """A PIN or a code is never written down, not even for a moment."""
    text = (update.message.text or "").strip().lower() if update.message is not None else ""
    return PIN_FORM.fullmatch(text) is not None or "pin=" in text or text.startswith(("/start", "/pair", "pair"))


class PollingBot(ExtBot[int]):
    """A bot that knows when it is behind: after a start, or after a while in which the server could not be asked."""

    __slots__ = ("_behind", "_heard_at", "_inbox", "_seconds")

    def __init__(self, *args: Any, inbox: Inbox, seconds: Callable[[], float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._inbox = inbox
        self._seconds = seconds
        self._behind = True
        self._heard_at = float("-inf")

    async def get_updates(self, *args: Any, **kwargs: Any) -> tuple[Update, ...]:
        """The next updates; those that waited at the server while nobody asked are marked late."""
        behind = self._behind or self._seconds() - self._heard_at > LATE_SECONDS
        if behind:
            kwargs["timeout"] = 0  # only what waits there already
        found: tuple[Update, ...] = await super().get_updates(*args, **kwargs)
        self._heard_at = self._seconds()
        self._behind = behind and len(found) >= BATCH
        if behind:
            self._inbox.late.update(update.update_id for update in found)
        return found

