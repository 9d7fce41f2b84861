"""Halts and gaps at the paper exchange: nothing trades in one, everybody may leave, and after the other the price is the market's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.brokers.paper import Parameters
from core.domain.events import Settled
from core.domain.instruments import Instrument
from core.domain.orders import Fill, TimeInForce
from core.ports import BrokerStatus, OrderReport
from tests.unit.brokers.paper_world import BUY, CLOSE, SELL, SPY, SPY_PUT, World, journal, leg, moved, permitted

GTC = TimeInForce.GTC
NEXT_OPEN = datetime(2019, 4, 26, 13, 30, tzinfo=UTC)


def halt(world: World, item: Instrument, why: str = "volatility") -> None:
    world.board.quoted[item.key] = replace(world.board.quoted[item.key], halted=why)


async def fills(world: World) -> list[Fill]:
    return [update.item for update in await journal(world) if isinstance(update.item, Fill)]


async def last_status(world: World, client_id: str = "O1") -> BrokerStatus:
    found = [update.item for update in await journal(world) if isinstance(update.item, OrderReport) and update.item.client_id == client_id]
    return found[-1].status


async def opened(**more: object) -> World:
    world = World(**more)  # type: ignore[arg-type]
    await world.broker.connect()
    await world.broker.poll()
    return world


@pytest.mark.parametrize("halted", [SPY_PUT, SPY], ids=["the_contract", "what_it_is_on"])
async def test_halt_when_an_order_could_trade_then_it_waits_and_trades_when_it_is_over(halted: Instrument) -> None:
    world = await opened()
    halt(world, halted)
    await world.broker.submit(permitted(world, (leg(SPY_PUT, SELL),), "3.00"))
    await world.broker.poll()
    assert (await fills(world), await last_status(world)) == ([], BrokerStatus.WORKING)
    world.later(minutes=5)
    world.usual_market()
    await world.broker.poll()
    assert (len(await fills(world)), await last_status(world)) == (1, BrokerStatus.FILLED)


async def test_halt_when_an_order_works_then_it_can_be_moved_and_cancelled() -> None:
    world = await opened()
    resting = permitted(world, (leg(SPY_PUT, SELL),), "3.10")
    await world.broker.submit(resting)
    halt(world, SPY)
    await world.broker.replace("O1", moved(resting, "3.00"))
    assert await fills(world) == []
    await world.broker.cancel("O1")
    assert await last_status(world) is BrokerStatus.CANCELLED


async def test_halt_when_a_contract_ends_in_it_then_it_settles_on_what_is_published() -> None:
    world = await opened(parameters=Parameters(pin_percent=0.0))
    await world.broker.submit(permitted(world, (leg(SPY_PUT, SELL),), "3.00"))
    world.clock.set(datetime(2019, 5, 17, 19, 0, tzinfo=UTC))
    world.usual_market()
    halt(world, SPY)
    await world.broker.submit(permitted(world, (leg(SPY_PUT, BUY, CLOSE),), "-9.00", id="O2"))
    world.clock.set(datetime(2019, 5, 17, 20, 15, tzinfo=UTC))
    await world.broker.poll()
    assert [update.item for update in await journal(world) if isinstance(update.item, Settled)] == []  # nothing is published yet
    world.board.publish(SPY_PUT, "280.00")
    await world.broker.poll()
    (settled,) = [update.item for update in await journal(world) if isinstance(update.item, Settled)]
    assert (settled.outcome, len(await fills(world)), await last_status(world, "O2")) == ("assigned", 1, BrokerStatus.EXPIRED)


@pytest.mark.parametrize(("bid", "price"), [(2.00, None), (3.49, None), (3.50, "3.50"), (4.20, "4.20")])
async def test_e11_gap_when_the_market_opens_beside_a_resting_sale_then_at_the_opening_bid_or_not_at_all(
    bid: float, price: str | None
) -> None:
    world = await opened()
    await world.broker.submit(permitted(world, (leg(SPY_PUT, SELL),), "3.50", tif=GTC))
    world.clock.set(NEXT_OPEN)
    world.usual_market()
    world.board.set(SPY_PUT, bid, bid + 0.02, size=10)
    await world.broker.poll()
    assert [fill.price for fill in await fills(world)] == ([] if price is None else [Decimal(price)])


async def test_e11_fees_when_a_good_till_cancelled_order_fills_over_days_then_its_minimum_is_paid_once() -> None:
    world = await opened()
    world.board.set(SPY_PUT, 3.00, 3.02, size=1)
    await world.broker.submit(permitted(world, (leg(SPY_PUT, SELL),), "3.00", 2, tif=GTC))
    world.clock.set(NEXT_OPEN)
    world.usual_market()
    await world.broker.poll()
    # 1.00 + 0.02685 + 0.02 + 0.00279 + 0.0024 = 1.05; then 0.30 of the 1.30 that two contracts come to, and the same passed through
    assert [fill.fees for fill in await fills(world)] == [Decimal("1.05"), Decimal("0.35")]
