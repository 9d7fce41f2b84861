"""As fast as Telegram allows: about one message a second into a chat, twenty a minute into a group; edits count. What it turns away with
`retry_after` waits that long, for that chat alone; everything not meant for a chat (answers to presses, polling) goes at once.

Worked example: three answers into one private chat within a moment go at 0 s, 0 s and 1 s (a short burst is taken); a press meanwhile is
acknowledged at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from telegram.error import RetryAfter
from telegram.ext import BaseRateLimiter

from core.runtime import Runtime

CHAT_SECONDS, CHAT_BURST = 1.0, 2
GROUP_SECONDS, GROUP_BURST = 4.0, 5  # together never more than twenty in a minute
MOST_TRIES = 6
LOOK_SECONDS = 0.05
REMEMBERED = 1_000  # chats
URGENT, ANSWER, NEWS = 0, 1, 2  # who goes first into a chat
ONCE = 10  # added: what is turned away is not tried again here


@dataclass(slots=True)
class _Chat:
    seconds: float  # between two messages, in the long run
    burst: int
    left: float
    counted: float
    closed_until: float = 0.0
    waiting: list[tuple[int, int]] = field(default_factory=list)

    def wait(self, now: float) -> float:
        """Seconds until one more may go."""
        self.left = min(float(self.burst), self.left + (now - self.counted) / self.seconds) if self.seconds else float(self.burst)
        self.counted = now
        return max(self.closed_until - now, 0.0 if self.left >= 1 else (1 - self.left) * self.seconds)


class Pace(BaseRateLimiter[int]):
    """The limiter of one bot. `rate_limit_args` is one of URGENT, ANSWER, NEWS, with ONCE added where the caller waits by itself."""

    def __init__(self, runtime: Runtime, *, chat_seconds: float = CHAT_SECONDS, group_seconds: float = GROUP_SECONDS) -> None:
        self._runtime = runtime
        self._chat_seconds = chat_seconds
        self._group_seconds = group_seconds
        self._chats: dict[str, _Chat] = {}
        self._count = 0

    async def initialize(self) -> None:
        """Nothing to prepare."""

    async def shutdown(self) -> None:
        """Nothing to let go of."""

    async def process_request(
        self,
        callback: Callable[..., Coroutine[Any, Any, Any]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: int | None,
    ) -> Any:
        """Send when it may go; one that is turned away waits as long as it is told."""
        chat_id = data.get("chat_id")
        if chat_id is None or endpoint in ("getChat", "deleteMessage"):
            return await callback(*args, **kwargs)
        asked = ANSWER if rate_limit_args is None else rate_limit_args
        chat = self._chat(str(chat_id))
        for attempt in range(1, MOST_TRIES + 1):
            await self._turn(chat, asked % ONCE)
            try:
                return await callback(*args, **kwargs)
            except RetryAfter as error:
                chat.closed_until = self._runtime.seconds() + seconds_of(error)
                if asked >= ONCE or attempt == MOST_TRIES:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _turn(self, chat: _Chat, weight: int) -> None:
        self._count += 1
        mine = (weight, self._count)
        heapq.heappush(chat.waiting, mine)
        try:
            while True:
                left = chat.wait(self._runtime.seconds())
                if chat.waiting[0] == mine and left <= 0:
                    chat.left -= 1
                    return
                await self._runtime.sleep(max(left, LOOK_SECONDS if chat.waiting[0] != mine else 0.001))
        finally:
            chat.waiting.remove(mine)
            heapq.heapify(chat.waiting)

    def _chat(self, chat_id: str) -> _Chat:
        found = self._chats.pop(chat_id, None)
        if found is None:
            group = chat_id.startswith(("-", "@"))
            burst = GROUP_BURST if group else CHAT_BURST
            seconds = self._group_seconds if group else self._chat_seconds
            found = _Chat(seconds=seconds, burst=burst, left=float(burst), counted=self._runtime.seconds())
        self._chats[chat_id] = found
        while len(self._chats) > REMEMBERED:
            del self._chats[next(iter(self._chats))]
        return found


def seconds_of(error: RetryAfter) -> float:
    """How long the server asks to wait."""
    after = error.retry_after
    return (after.total_seconds() if isinstance(after, timedelta) else float(after)) + 0.1
