"""`kill -9` anywhere between a mandate's trigger and the wire: none or one order, counted once, and nobody left without a way out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.domain.events import TicketConfirmed
from core.runtime import SimRuntime
from tests.fake_broker import simulated
from tests.unit.orders.exit_floor import Floor, open_floor
from tests.unit.risk.market import PRACTICE

HALF = "2.50"


def die_on_the_wire(floor: Floor, *, taken: bool) -> None:
    """The process ends as its next order leaves: before the broker has it, or just after."""
    broker, runtime = floor.world.broker, floor.world.runtime
    submit = broker.submit

    async def killed(order: Any) -> str:
        broker.submit = submit  # type: ignore[method-assign]
        if taken:
            await submit(order)
        await runtime.loop.die(runtime.process)
        return ""

    broker.submit = killed  # type: ignore[method-assign]


def die_on_append(floor: Floor, number: int, where: str) -> None:
    """The process ends before or after the disk took its append of that number."""
    store = floor.world.store
    append = store.append
    seen = 0

    async def counted(*drafts: Any, **more: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == number:
            floor.world.faults.die = where
        return await append(*drafts, **more)

    store.append = counted  # type: ignore[method-assign]


async def crashed(floor: Floor) -> Floor:
    """Let the exits run into their death, start again, and let everything come to rest."""
    floor.world.runtime.spawn(floor.loop.round(), name="round")
    await asyncio.sleep(30)
    again = await floor.restart()
    again.world.run_accounts()
    for _ in range(4):
        await again.round()
    return again


def at_broker(floor: Floor) -> list[str]:
    """What ever reached the broker beside the opening order."""
    return [client_id for client_id in floor.world.broker.orders if client_id != "O1"]


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
@simulated
async def test_j1_mandate_when_killed_in_an_append_then_none_or_one_order(runtime: SimRuntime, number: int, where: str) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    die_on_append(floor, number, where)
    again = await crashed(floor)
    sent = await again.sent()
    assert len(sent) == len(await again.by_mandate()) == 1
    assert len(at_broker(again)) == (0 if (number, where) == (1, "after") else 1)
    assert again.desk.fold.mandates(now=again.now)["M1"].sent_today == 1
    if at_broker(again):
        await again.fill(again.order())
        await again.round()
        assert not again.desk.book(PRACTICE).trades[trade].is_open
    else:  # written down and never sent: it ended denied, and a person has a ready card
        assert again.order().ended == "denied"
        assert (await again.told())[-1].ticket_id is not None
    assert len(await again.sent()) == 1


@pytest.mark.parametrize("taken", [False, True])
@simulated
async def test_j1_mandate_when_killed_on_the_wire_then_none_or_one_order(runtime: SimRuntime, taken: bool) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    die_on_the_wire(floor, taken=taken)
    again = await crashed(floor)
    assert at_broker(again) == ([again.order().client_id] if taken else [])
    assert len(await again.sent()) == 1
    confirmed = [body.ticket_id for body in await again.bodies(TicketConfirmed) if body.mandate == "M1"]
    assert len(confirmed) == len(set(confirmed)) == 1


@simulated
async def test_j1_mandate_when_killed_again_and_again_then_its_orders_of_the_day_are_never_exceeded(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.grant(max_orders_per_day=2)
    for number in range(1, 5):
        await floor.hold(client_id=f"O{number}")
        floor.costs(HALF)
        if number <= 2:
            die_on_the_wire(floor, taken=False)
        floor = await crashed(floor)
        assert len(await floor.by_mandate()) == min(number, 2)
    assert at_broker(floor) == ["O2", "O3", "O4"]  # the openings; no closing order ever got there
