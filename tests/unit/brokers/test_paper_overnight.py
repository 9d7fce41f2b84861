"""What outlives a session at the paper exchange, and what happens there without the desk: GTC, early assignment, margin, other screens."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from core.brokers.paper import Parameters
from core.domain.events import CashMoved, MarginCalled, Settled
from core.domain.instruments import Option
from core.domain.listing import option
from core.domain.orders import Fill, TimeInForce
from core.errors import BrokerRejected
from core.ports import BrokerOrder, BrokerStatus, Dividend, OrderReport
from tests.unit.brokers.paper_world import (
    BUY,
    CALL,
    CLOSE,
    PUT,
    SELL,
    SPREAD,
    SPREAD_BACK,
    SPY,
    SPY_CALL,
    SPY_PUT,
    World,
    journal,
    ledger_of,
    leg,
    moved,
    permitted,
)

EVENING = datetime(2019, 4, 25, 21, 0, tzinfo=UTC)  # 17:00 in New York
NEXT_OPEN = datetime(2019, 4, 26, 13, 30, tzinfo=UTC)
NEXT_WEEK = datetime(2019, 5, 2, 14, 0, tzinfo=UTC)
GTC = TimeInForce.GTC
JUNE = date(2019, 6, 21)
DEEP_PUT = option("SPY", JUNE, PUT, Decimal(330))
DEEP_CALL = option("SPY", JUNE, CALL, Decimal(250))


async def statuses(world: World, client_id: str = "O1") -> list[str]:
    return [
        update.item.status.value for update in await journal(world)
        if isinstance(update.item, OrderReport) and update.item.client_id == client_id
    ]


async def shown(world: World) -> dict[str, BrokerOrder]:
    return {order.broker_ref: order for order in (await world.broker.snapshot()).orders}


async def held(world: World) -> dict[str, int]:
    return {item.instrument.key: item.quantity for item in (await world.broker.snapshot()).positions}


async def connected(**more: object) -> World:
    world = World(**more)  # type: ignore[arg-type]
    await world.broker.connect()
    await world.broker.poll()
    return world


async def at(world: World, now: datetime) -> None:
    """The clock moves, the market is quoted anew and the exchange looks."""
    world.clock.set(now)
    world.usual_market()
    await world.broker.poll()


# --- orders that outlive the session -------------------------------------------------------------------------------------


async def test_e11_gtc_when_nights_and_a_week_go_by_then_held_and_woken_until_it_fills() -> None:
    world = await connected()
    await world.broker.submit(permitted(world, SPREAD, "2.60", tif=GTC))
    for day in (25, 26, 29, 30):
        await at(world, datetime(2019, 4, day, 21, 0, tzinfo=UTC))
        assert (await shown(world))["PX-O1"].status is BrokerStatus.HELD
        await at(world, datetime(2019, 4, day, 21, 0, tzinfo=UTC).replace(hour=23))
    await at(world, datetime(2019, 5, 1, 14, 0, tzinfo=UTC))
    assert (await shown(world))["PX-O1"].status is BrokerStatus.WORKING
    world.board.set(SPREAD[0].instrument, 6.80, 7.00)
    await world.broker.poll()
    assert await statuses(world) == ["working", "held", "working", "filled"]


async def test_e11_gtc_when_sent_after_hours_then_held_until_the_open_and_a_day_order_is_refused() -> None:
    world = await connected()
    await at(world, EVENING)
    with pytest.raises(BrokerRejected, match="closed"):
        await world.broker.submit(permitted(world, SPREAD, "2.40", id="O2"))
    await world.broker.submit(permitted(world, SPREAD, "2.40", tif=GTC))
    assert (await shown(world))["PX-O1"].reason == "held until its market opens"
    assert await held(world) == {}
    await at(world, NEXT_OPEN)
    assert await statuses(world) == ["held", "working", "filled"]


async def test_e11_gtc_when_held_then_its_price_can_be_moved_and_it_can_be_cancelled() -> None:
    world = await connected()
    resting = permitted(world, SPREAD, "2.60", tif=GTC)
    await world.broker.submit(resting)
    await at(world, EVENING)
    await world.broker.replace("O1", moved(resting, "2.50"))
    assert ((await shown(world))["PX-O1"].limit, await held(world)) == (Decimal("2.50"), {})
    await world.broker.cancel("O1")
    assert (await statuses(world))[-1] == "cancelled"


async def test_e11_gtc_when_restarted_overnight_then_still_held_and_tried_in_the_morning() -> None:
    world = await connected()
    await world.broker.submit(permitted(world, SPREAD, "2.60", tif=GTC))
    await at(world, EVENING)
    await world.restart()
    assert (await shown(world))["PX-O1"].status is BrokerStatus.HELD
    await at(world, NEXT_OPEN)
    assert (await shown(world))["PX-O1"].status is BrokerStatus.WORKING


async def test_e11_gtc_when_its_contract_ends_then_expires_with_it() -> None:
    world = await connected()
    await world.broker.submit(permitted(world, SPREAD, "2.60", tif=GTC))
    await at(world, datetime(2019, 5, 17, 20, 0, tzinfo=UTC))
    assert (await statuses(world))[-1] == "expired"
    with pytest.raises(BrokerRejected, match="does not trade any more"):
        await world.broker.submit(permitted(world, SPREAD, "2.60", id="O2", tif=GTC))


async def test_e11_exit_when_its_position_settles_then_it_ends_and_never_opens_the_other_way() -> None:
    world = await connected()
    await world.broker.submit(permitted(world, (leg(SPY_PUT, SELL),), "3.00"))
    await world.broker.submit(permitted(world, (leg(SPY_PUT, BUY, CLOSE),), "-0.50", id="O2", tif=GTC))
    world.board.publish(SPY_PUT, "280.00")
    await at(world, datetime(2019, 5, 17, 20, 15, tzinfo=UTC))
    assert (await statuses(world, "O2"))[-1] == "expired"
    assert await held(world) == {"SPY": 100}


# --- early assignment ----------------------------------------------------------------------------------------------------


async def short_of(item: Option, bid: float) -> World:
    world = await connected()
    world.board.set(item, bid, bid + 0.02, size=10)
    await world.broker.submit(permitted(world, (leg(item, SELL),), str(bid)))
    return world


async def morning(world: World, item: Option, bid: float, ask: float) -> list[Settled]:
    world.clock.set(NEXT_OPEN)
    world.usual_market()
    world.board.set(item, bid, ask, size=10)
    await world.broker.poll()
    return [update.item for update in await journal(world) if isinstance(update.item, Settled)]


@pytest.mark.parametrize(("bid", "ask", "assigned"), [(39.95, 40.03, True), (40.10, 40.20, False)], ids=["no_time_value", "time_value"])
async def test_n1_put_when_its_time_value_is_gone_then_assigned_in_the_morning(bid: float, ask: float, assigned: bool) -> None:
    world = await short_of(DEEP_PUT, 40.05)
    found = await morning(world, DEEP_PUT, bid, ask)
    assert bool(found) is assigned
    if assigned:
        assert (found[0].outcome, found[0].quantity, found[0].shares, found[0].cash) == ("assigned", 1, 100, Decimal(-33_000))
        assert await held(world) == {"SPY": 100}


@pytest.mark.parametrize(("dividend", "assigned"), [("1.40", True), ("0.10", False), (None, False)])
async def test_n1_call_when_the_dividend_is_more_than_its_time_value_then_assigned_on_the_ex_date(
    dividend: str | None, assigned: bool
) -> None:
    world = await short_of(DEEP_CALL, 40.05)
    if dividend is not None:
        world.board.paid.append(Dividend(symbol="SPY", ex_date=date(2019, 4, 26), amount=Decimal(dividend)))
    found = await morning(world, DEEP_CALL, 40.15, 40.25)
    assert bool(found) is assigned
    assert await held(world) == ({"SPY": -100} if assigned else {DEEP_CALL.key: -1})


async def test_n1_assignment_when_looked_at_again_the_same_day_or_restarted_then_decided_once() -> None:
    world = await short_of(DEEP_PUT, 40.05)
    assert len(await morning(world, DEEP_PUT, 40.10, 40.20)) == 0
    world.board.set(DEEP_PUT, 39.95, 40.03, size=10)
    await world.broker.poll()
    await world.restart()
    await world.broker.poll()
    assert await held(world) == {DEEP_PUT.key: -1}


async def test_n1_assignment_when_it_takes_the_short_of_a_resting_exit_then_that_ends_too() -> None:
    world = await short_of(DEEP_PUT, 40.05)
    await world.broker.submit(permitted(world, (leg(DEEP_PUT, BUY, CLOSE),), "-30.00", id="O2", tif=GTC))
    assert len(await morning(world, DEEP_PUT, 39.95, 40.03)) == 1
    assert (await statuses(world, "O2"))[-1] == "cancelled"


async def test_n1_assignment_when_switched_off_then_none() -> None:
    world = await connected(parameters=Parameters(early_assignment=False))
    world.board.set(DEEP_PUT, 40.05, 40.07, size=10)
    await world.broker.submit(permitted(world, (leg(DEEP_PUT, SELL),), "40.05"))
    assert await morning(world, DEEP_PUT, 39.95, 40.03) == []


# --- margin --------------------------------------------------------------------------------------------------------------


AT_ONCE = Parameters(call_minutes=None)


async def squeezed(**more: object) -> World:
    """Short five naked puts in an account that can just carry them; then the market falls."""
    world = await connected(cash=Decimal(30_000), **{"parameters": AT_ONCE} | more)
    await world.broker.submit(permitted(world, (leg(SPY_PUT, SELL),), "3.00", 5))
    world.later(minutes=5)
    world.board.set(SPY, 250.00, 250.02, size=1000)
    world.board.set(SPY_PUT, 36.00, 36.40, size=3)
    return world


async def test_n10_account_when_short_of_margin_then_positions_are_closed_as_far_as_needed_and_it_says_why() -> None:
    world = await squeezed()
    before = await held(world)
    await world.broker.poll()
    fills = [update.item for update in await journal(world) if isinstance(update.item, Fill) and update.item.client_id is None]
    assert before == {SPY_PUT.key: -5}
    assert [(fill.side, fill.quantity, fill.price) for fill in fills] == [(BUY, 2, Decimal("36.40"))]
    assert fills[0].note.startswith("liquidated, ") and "short of the margin requirement" in fills[0].note
    assert await held(world) == {SPY_PUT.key: -3}
    cash, positions = ledger_of(await journal(world))
    assert ((await world.broker.snapshot()).cash, await held(world)) == (cash, positions)


async def test_n10_account_when_it_is_enough_again_then_no_more_is_closed() -> None:
    world = await squeezed()
    for _ in range(5):
        await world.broker.poll()
        world.later(minutes=2)
        world.board.set(SPY, 250.00, 250.02, size=1000)
        world.board.set(SPY_PUT, 36.00, 36.40, size=3)
    assert await held(world) == {SPY_PUT.key: -3}


async def test_n10_account_when_liquidation_is_off_or_the_market_is_closed_then_nothing_is_closed() -> None:
    off = await squeezed(parameters=Parameters(liquidates=False, call_minutes=None))
    await off.broker.poll()
    closed = await squeezed()
    closed.clock.set(EVENING)
    await closed.broker.poll()
    assert await held(off) == await held(closed) == {SPY_PUT.key: -5}


async def calls(world: World) -> list[MarginCalled]:
    return [update.item for update in await journal(world) if isinstance(update.item, MarginCalled)]


async def stands(world: World, now: datetime, *, spot: float = 250.0, put: float = 36.0) -> None:
    """The market stands there at that time, and the exchange looks."""
    world.clock.set(now)
    world.board.set(SPY, spot, spot + 0.02, size=1000)
    world.board.set(SPY_PUT, put, put + 0.40, size=10)
    await world.broker.poll()


async def test_n10_call_when_margin_is_short_then_told_with_amount_and_deadline_and_nothing_is_closed_before() -> None:
    world = await squeezed(parameters=Parameters())
    await world.broker.poll()
    await stands(world, datetime(2019, 4, 26, 13, 59, tzinfo=UTC))
    (call,) = await calls(world)
    # 5 x (36.20 + 15% of 250.01) x 100 = 36,850.75 are asked for; 30,000 + 1,500 less 3.51 of fees are there
    assert (call.amount, call.due_at) == (Decimal("5354.26"), datetime(2019, 4, 26, 14, 0, tzinfo=UTC))
    assert call.reason == "Keeping what is held needs 36,850.75 USD, and 31,496.49 USD are there for it"
    assert await held(world) == {SPY_PUT.key: -5}


async def test_n10_call_when_not_met_by_its_deadline_then_closed_as_far_as_needed_and_taken_back() -> None:
    world = await squeezed(parameters=Parameters())
    await world.broker.poll()
    for minute in (0, 2, 4):
        await stands(world, datetime(2019, 4, 26, 14, minute, tzinfo=UTC))
    assert await held(world) == {SPY_PUT.key: -3}
    assert [call.amount > 0 for call in await calls(world)] == [True, False]


async def test_n10_call_when_the_market_comes_back_then_taken_back_and_nothing_is_closed() -> None:
    world = await squeezed(parameters=Parameters())
    await world.broker.poll()
    await stands(world, datetime(2019, 4, 26, 13, 45, tzinfo=UTC), spot=290.0, put=3.0)
    await stands(world, datetime(2019, 4, 26, 15, 0, tzinfo=UTC), spot=290.0, put=3.0)
    assert [call.amount > 0 for call in await calls(world)] == [True, False]
    assert await held(world) == {SPY_PUT.key: -5}


async def test_n10_call_when_much_more_is_missing_then_told_anew_with_the_old_deadline() -> None:
    world = await squeezed(parameters=Parameters())
    await world.broker.poll()
    await stands(world, datetime(2019, 4, 25, 19, 30, tzinfo=UTC), spot=245.0, put=41.0)
    first, second = await calls(world)
    assert (second.amount > first.amount, second.due_at) == (True, first.due_at)


async def test_n10_call_when_the_account_is_worth_nothing_then_closed_at_once() -> None:
    world = await squeezed(parameters=Parameters())
    await stands(world, datetime(2019, 4, 25, 19, 30, tzinfo=UTC), spot=220.0, put=65.0)
    (call,) = await calls(world)
    assert call.due_at is None
    assert SPY_PUT.key not in await held(world)


async def test_n10_call_when_restarted_then_still_stands_and_is_in_the_books() -> None:
    world = await squeezed(parameters=Parameters())
    await world.broker.poll()
    await world.restart()
    await stands(world, datetime(2019, 4, 25, 19, 30, tzinfo=UTC))
    assert (await world.broker.snapshot()).calls == tuple(await calls(world))
    assert len(await calls(world)) == 1


async def test_n10_liquidation_when_a_spread_and_a_naked_short_are_held_then_the_naked_one_goes_and_the_wing_stays() -> None:
    world = await connected(cash=Decimal(30_000), parameters=AT_ONCE)
    await world.broker.submit(permitted(world, (leg(SPY_PUT, SELL),), "3.00", 4))
    await world.broker.submit(permitted(world, SPREAD, "2.40", id="O2"))
    world.later(minutes=5)
    world.usual_market()
    await stands(world, datetime(2019, 4, 25, 19, 30, tzinfo=UTC))
    found = await held(world)
    assert found[SPREAD[0].instrument.key] == -1 and found[SPREAD[1].instrument.key] == 1
    assert -4 < found[SPY_PUT.key] < 0


# --- other screens -------------------------------------------------------------------------------------------------------


async def test_e9_order_when_entered_at_the_exchange_then_shown_as_nobodys_and_filled_as_such() -> None:
    world = await connected()
    envelope = permitted(world, SPREAD, "2.60").envelope
    ref = await world.broker.enter(envelope, Decimal("2.60"))
    (order,) = (await world.broker.snapshot()).orders
    assert (order.client_id, order.broker_ref, order.legs, order.tif) == (None, ref, SPREAD, TimeInForce.DAY)
    world.later(minutes=1)
    world.usual_market()
    world.board.set(SPREAD[0].instrument, 6.80, 7.00, size=10)
    await world.broker.poll()
    items = [update.item for update in await journal(world)]
    assert [item.client_id for item in items if isinstance(item, Fill)] == [None, None]
    assert [item.status.value for item in items if isinstance(item, BrokerOrder)] == ["working", "filled"]


async def test_e9_order_when_cancelled_by_its_number_then_over_and_the_desks_own_are_no_such_orders() -> None:
    world = await connected()
    ref = await world.broker.enter(permitted(world, SPREAD, "2.60").envelope, Decimal("2.60"))
    await world.broker.submit(permitted(world, SPREAD, "2.70", id="O2"))
    with pytest.raises(BrokerRejected):
        await world.broker.cancel_external("O2")
    await world.broker.cancel_external(ref)
    orders = await shown(world)
    assert (orders[ref].status, orders["PX-O2"].status) == (BrokerStatus.CANCELLED, BrokerStatus.WORKING)


async def test_e9_order_when_it_closes_what_the_desk_is_closing_then_refused_like_any_other() -> None:
    world = await connected()
    await world.broker.submit(permitted(world, SPREAD, "2.40"))
    await world.broker.submit(permitted(world, SPREAD_BACK, "-1.00", id="O2", tif=GTC))
    with pytest.raises(BrokerRejected, match="of it being closed already"):
        await world.broker.enter(permitted(world, SPREAD_BACK, "-2.00").envelope, Decimal("-2.00"))


async def test_n10_liquidation_when_only_money_is_owed_then_what_is_held_is_sold_as_far_as_needed() -> None:
    """Three calls are held and 350 USD are owed, a dividend on shares that were short: two calls at 2.01 bring them."""
    world = await connected(cash=Decimal(700), parameters=AT_ONCE)
    await world.broker.submit(permitted(world, (leg(SPY_CALL, BUY),), "-2.02", 3))
    owed = CashMoved(movement_id="M1", account=world.account.id, amount=Decimal(-440), reason="dividend", at=world.clock.now())
    await world.broker._floor.write(items=[owed])
    world.later(minutes=5)
    world.usual_market()
    await world.broker.poll()
    assert await held(world) == {SPY_CALL.key: 1}
