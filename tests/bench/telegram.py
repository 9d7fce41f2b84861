"""From an update waiting at the server to the reply put into the chat, over the real client and loopback, against its bare echo.

Both speak to the same server in the same run, one message after another. The desk checks who speaks, stores the update (in memory),
answers `explain delta`, a question without market data, and renders it; the echo sends the text back.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from telegram import Update
from telegram.ext import Application, MessageHandler, filters

from tests.telegram_server import TOKEN, TelegramServer, telegram_server
from tests.unit.bot.telegram.hand import ALICE, chat

ROUNDS, WARMING = 28, 8  # together within what the desk takes from one person at once
FAST = 1_000_000.0  # the limits of a chat are not what is measured


def rows() -> list[dict[str, Any]]:
    """One ratio and the spread of both."""
    ours, peer = asyncio.run(_ours()), asyncio.run(_echo())
    ratio = statistics.median(ours) / statistics.median(peer)
    return [
        {
            "name": "update to reply in the chat, median", "ours_ns": round(statistics.median(ours) * 1e9),
            "peer_ns": round(statistics.median(peer) * 1e9), "ratio": ratio, "accuracy": "peer: python-telegram-bot's bare echo",
        },
        {"name": "update to reply in the chat, 95th percentile", "value": statistics.quantiles(ours, n=20)[-1] * 1e3, "unit": "ms"},
    ]


async def _ours() -> list[float]:
    with tempfile.TemporaryDirectory() as home:
        async with chat(Path(home), speed=FAST) as hand:
            await hand.server.until(lambda: hand.server.menus)  # the start is over
            return await _timed(hand.server, lambda: hand.server.write(ALICE, "explain delta"))


async def _echo() -> list[float]:
    async with telegram_server(speed=FAST) as server:
        application = Application.builder().token(TOKEN).base_url(f"{server.url}/bot").job_queue(None).concurrent_updates(True).build()
        application.add_handler(MessageHandler(filters.TEXT, _answer))
        await application.initialize()
        await application.start()
        await application.updater.start_polling(timeout=2)
        try:
            return await _timed(server, lambda: server.write(ALICE, "explain delta"))
        finally:
            await application.updater.stop()
            await application.stop()
            await application.shutdown()


async def _answer(update: Update, context: Any) -> None:
    await context.bot.send_message(update.effective_chat.id, update.message.text)


async def _timed(server: TelegramServer, write: Callable[[], Any]) -> list[float]:
    """Seconds from each update to its reply."""
    found: list[float] = []
    for _ in range(ROUNDS + WARMING):
        before = len(server.chats.get(ALICE, []))
        began = time.perf_counter()
        write()
        while len(server.chats.get(ALICE, [])) == before:
            await server.called()
        found.append(time.perf_counter() - began)
    return found[WARMING:]
