"""Ordinary commands take turns; what stops trading never waits for one."""

from __future__ import annotations

import asyncio

import pytest

from bot.lane import Lane
from core.errors import UserError
from core.runtime import SystemRuntime


async def test_l1_turn_when_the_slots_are_taken_then_ordinary_lines_wait_and_reserved_ones_do_not() -> None:
    lane, gate, order = Lane(SystemRuntime(), at_once=1, waiting=2), asyncio.Event(), []

    async def do(line: str) -> None:
        async with lane.turn(line):
            order.append(line)
            if line == "positions":
                await gate.wait()

    tasks = [asyncio.create_task(do(line)) for line in ("positions", "status", "/halt", "confirm T1", "KILL flatten", "cancel O1")]
    await asyncio.sleep(0.01)
    assert order == ["positions", "/halt", "confirm T1", "KILL flatten", "cancel O1"]
    gate.set()
    await asyncio.gather(*tasks)
    assert order[-1] == "status"


async def test_l1_turn_when_too_many_wait_then_refused_in_words_and_room_again_afterwards() -> None:
    lane, gate = Lane(SystemRuntime(), at_once=1, waiting=1), asyncio.Event()

    async def hold() -> None:
        async with lane.turn("open x"):
            await gate.wait()

    tasks = [asyncio.create_task(hold()) for _ in range(2)]
    await asyncio.sleep(0.01)
    with pytest.raises(UserError, match="2 commands are waiting already; this one was left out"):
        async with lane.turn("status"):
            pass
    gate.set()
    await asyncio.gather(*tasks)
    async with lane.turn("status"):
        pass
