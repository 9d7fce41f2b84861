"""The same lines and presses in the terminal and in Telegram come to the same events, in the same order, and the same figures."""

from __future__ import annotations

from pathlib import Path

from bot.auth import local_owner
from bot.session import Session
from core.desk import Desk
from tests.paper_desk import open_desk
from tests.unit.bot.telegram.hand import ALICE, PIN, chat, pins

LINES = ("status", "open put_credit_spread XSP 2", "pause", "resume", "settings desk.ticket_life_seconds 300")


async def kinds(desk: Desk) -> list[str]:
    """What the log holds once nothing moves any more."""
    for sender in desk.senders.values():
        await sender.settle_down()
    return [event.kind for event in await desk.store.read()]


async def test_story_when_told_in_the_terminal_and_in_telegram_then_is_the_same_log(tmp_path: Path) -> None:
    desk = await open_desk()
    talk = Session(desk, person=local_owner(), chat="terminal", pins=pins(tmp_path, desk))
    for line in (*LINES[:2], "Confirm", *LINES[2:], PIN, "help"):
        await talk.message(line)
    async with chat(tmp_path) as hand:
        await hand.ask(LINES[0], "exchange time")
        card = await hand.card(LINES[1])
        hand.server.press(ALICE, card, "Confirm")
        await hand.server.until(lambda: card.edits)
        await hand.ask(LINES[2], "PAUSED")
        await hand.ask(LINES[3], "\nresume")
        await hand.ask(LINES[4], "Type your PIN now")
        hand.server.write(ALICE, PIN)
        await hand.ask("help", "help")
        assert await kinds(hand.desk) == await kinds(desk)
        [here], [there] = (book.book(book.config.accounts[0].id).orders.values() for book in (hand.desk, desk))
        assert (here.envelope.legs, here.envelope.plan, here.quantity) == (there.envelope.legs, there.envelope.plan, there.quantity)
    await desk.runtime.aclose()
