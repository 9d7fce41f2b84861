"""Expiry on the paper exchange: cash, shares, pending, once."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.brokers.paper import Parameters
from core.domain.accounts import AccountKind
from core.domain.events import Settled
from core.domain.instruments import Option, Right
from core.domain.listing import option
from core.domain.orders import Side
from tests.unit.brokers.paper_world import (
    BUY,
    HIGH,
    LOW,
    MAY,
    PUT,
    SELL,
    SPREAD,
    SPY,
    SPY_CALL,
    SPY_PUT,
    World,
    journal,
    ledger_of,
    leg,
    permitted,
)

CLOSE_OF_EXPIRY = datetime(2019, 5, 17, 20, 0, tzinfo=UTC)  # 16:00 in New York
LATE_CLOSE = datetime(2019, 5, 17, 20, 15, tzinfo=UTC)


async def settlements(world: World) -> list[Settled]:
    return [update.item for update in await journal(world) if isinstance(update.item, Settled)]


async def held(world: World) -> dict[str, int]:
    return {item.instrument.key: item.quantity for item in (await world.broker.snapshot()).positions}


async def with_spread() -> World:
    world = World()
    await world.broker.connect()
    await world.broker.submit(permitted(world, SPREAD, "2.40"))
    return world


async def with_option(
    item: Option, side: Side, limit: str, *, kind: AccountKind = AccountKind.REG_T, quantity: int = 1, pin: float = 0.0, fees: str = "ibkr"
) -> World:
    """Held to its end; by exception alone unless `pin` says otherwise."""
    world = World(kind=kind, parameters=Parameters(pin_percent=pin, fees=fees))
    await world.broker.connect()
    await world.broker.submit(permitted(world, (leg(item, side),), limit, quantity))
    return world


@pytest.mark.parametrize(
    ("value", "short_cash", "long_cash"),
    [
        ("2859.53", "0", "0"),
        ("2700.00", "0", "0"),
        ("2699.99", "-1.00", "0"),
        ("2680.25", "-1975.00", "0"),
        ("2600.10", "-9990.00", "4990.00"),
    ],
)
async def test_cash_settlement_when_the_value_is_published_then_intrinsic_times_multiplier(
    value: str, short_cash: str, long_cash: str
) -> None:
    world = await with_spread()
    before = (await world.broker.snapshot()).cash
    world.clock.set(CLOSE_OF_EXPIRY)
    world.board.publish(HIGH, value)

    await world.broker.poll()

    found = {item.instrument.key: item for item in await settlements(world)}
    assert (found[HIGH.key].cash, found[LOW.key].cash) == (Decimal(short_cash), Decimal(long_cash))
    assert (found[HIGH.key].quantity, found[LOW.key].quantity) == (1, -1)
    assert (await world.broker.snapshot()).cash == before + Decimal(short_cash) + Decimal(long_cash)
    assert await held(world) == {}


async def test_cash_settlement_when_out_of_the_money_then_outcome_is_expired() -> None:
    world = await with_spread()
    world.clock.set(CLOSE_OF_EXPIRY)
    world.board.publish(HIGH, "2680.25")

    await world.broker.poll()

    assert {item.instrument.key: item.outcome for item in await settlements(world)} == {HIGH.key: "cash_settled", LOW.key: "expired"}


async def test_settlement_when_trading_has_not_ended_then_nothing_settles() -> None:
    world = await with_spread()
    world.board.publish(HIGH, "2680.25")
    world.clock.set(CLOSE_OF_EXPIRY.replace(hour=19, minute=59))

    await world.broker.poll()

    assert await settlements(world) == []


async def test_settlement_when_the_value_is_missing_then_pending_until_it_comes() -> None:
    world = await with_spread()
    world.clock.set(CLOSE_OF_EXPIRY)

    await world.broker.poll()
    pending = await held(world)
    world.board.publish(HIGH, "2680.25")
    await world.broker.poll()

    assert pending == {HIGH.key: -1, LOW.key: 1}
    assert await held(world) == {}


async def test_settlement_when_the_source_is_silent_then_pending() -> None:
    world = await with_spread()
    world.clock.set(CLOSE_OF_EXPIRY)
    world.board.publish(HIGH, "2680.25")
    world.board.down = True

    await world.broker.poll()

    assert await held(world) == {HIGH.key: -1, LOW.key: 1}


async def test_settlement_when_polled_again_or_restarted_then_happens_once() -> None:
    world = await with_spread()
    world.clock.set(CLOSE_OF_EXPIRY)
    world.board.publish(HIGH, "2680.25")
    await world.broker.poll()
    cash = (await world.broker.snapshot()).cash

    await world.broker.poll()
    await world.restart()
    await world.broker.poll()

    assert len(await settlements(world)) == 2
    assert (await world.broker.snapshot()).cash == cash
    assert {item.settlement_id for item in await settlements(world)} == {
        f"paper:TEST:paper:{HIGH.key}:2019-05-17", f"paper:TEST:paper:{LOW.key}:2019-05-17"
    }


async def test_morning_settlement_when_the_value_is_not_out_then_pending_through_the_day() -> None:
    morning = option("SPX", MAY, PUT, Decimal(2700))
    world = World()
    world.board.set(morning, 6.40, 6.60)
    await world.broker.connect()
    await world.broker.submit(permitted(world, (leg(morning, SELL),), "6.40"))
    world.clock.set(datetime(2019, 5, 17, 13, 30, tzinfo=UTC))  # the open of settlement morning

    await world.broker.poll()
    at_open = await held(world)
    world.board.publish(morning, "2690.00")
    world.later(hours=2)
    await world.broker.poll()

    assert at_open == {morning.key: -1}
    assert [item.cash for item in await settlements(world)] == [Decimal("-1000.00")]


@pytest.mark.parametrize(
    ("item", "side", "limit", "value", "outcome", "shares", "cash"),
    [
        (SPY_PUT, SELL, "3.00", "280.00", "assigned", 100, "-28500"),
        (SPY_PUT, BUY, "-3.02", "280.00", "exercised", -100, "28500"),
        (SPY_CALL, SELL, "2.00", "295.01", "assigned", -100, "29500"),
        (SPY_CALL, BUY, "-2.02", "300.00", "exercised", 100, "-29500"),
        (SPY_CALL, BUY, "-2.02", "295.00", "expired", 0, "0"),
        (SPY_PUT, SELL, "3.00", "285.00", "expired", 0, "0"),
    ],
)
async def test_physical_settlement_when_a_cent_in_the_money_then_shares_move_at_the_strike(
    item: Option, side: Side, limit: str, value: str, outcome: str, shares: int, cash: str
) -> None:
    world = await with_option(item, side, limit)
    world.board.publish(item, value)
    world.clock.set(LATE_CLOSE)

    await world.broker.poll()

    (found,) = await settlements(world)
    assert (found.outcome, found.shares, found.cash) == (outcome, shares, Decimal(cash))
    assert (found.share_symbol, found.fees) == ("SPY" if shares else None, 0)
    assert await held(world) == ({"SPY": shares} if shares else {})


async def test_physical_settlement_when_the_options_still_trade_then_nothing_settles() -> None:
    world = await with_option(SPY_PUT, SELL, "3.00")
    world.board.publish(SPY_PUT, "280.00")
    world.clock.set(CLOSE_OF_EXPIRY)  # 16:00, and SPY options trade to 16:15

    await world.broker.poll()

    assert await held(world) == {SPY_PUT.key: -1}


async def test_physical_settlement_when_covered_call_is_assigned_then_shares_are_gone() -> None:
    world = World()
    await world.broker.connect()
    await world.broker.submit(permitted(world, (leg(SPY, BUY, ratio=100), leg(SPY_CALL, SELL)), "-288.02"))
    world.board.publish(SPY_CALL, "300.00")
    world.clock.set(LATE_CLOSE)

    await world.broker.poll()

    assert await held(world) == {}


async def test_margin_when_an_expired_position_is_pending_then_it_counts_at_what_it_would_pay() -> None:
    world = await with_spread()
    world.clock.set(datetime(2019, 5, 20, 15, 0, tzinfo=UTC))  # Monday, the value still missing
    world.usual_market()
    del world.board.quoted[HIGH.key], world.board.quoted[LOW.key]
    later = option("SPXW", MAY.replace(day=31), Right.PUT, Decimal(2700))
    world.board.set(later, 6.50, 6.70)

    await world.broker.submit(permitted(world, (leg(later, BUY),), "-6.70", id="O2"))

    assert (await held(world))[later.key] == 1


# --- pinned at the strike ------------------------------------------------------------------------------------------------


async def pinned(value: str, *, side: Side = SELL, quantity: int = 10, pin: float = 0.1) -> list[Settled]:
    """Ten SPY 285 puts at their end; a sliver of 0.1% is 0.285."""
    world = await with_option(SPY_PUT, side, "3.00" if side is SELL else "-3.02", quantity=quantity, pin=pin)
    world.board.publish(SPY_PUT, value)
    world.clock.set(LATE_CLOSE)
    await world.broker.poll()
    await world.restart()
    await world.broker.poll()
    cash, positions = ledger_of(await journal(world))
    assert ((await world.broker.snapshot()).cash, await held(world)) == (cash, positions)
    return await settlements(world)


@pytest.mark.parametrize(("value", "assigned"), [("284.70", 10), ("285.29", 0)])
async def test_n2_pin_when_it_finishes_beyond_the_sliver_then_all_or_none_are_assigned(value: str, assigned: int) -> None:
    (found,) = await pinned(value)
    assert (found.shares, found.note) == (100 * assigned, "")


async def test_n2_pin_when_it_finishes_at_the_strike_then_some_are_assigned_and_it_says_so() -> None:
    assigned, expired = await pinned("285.00")
    assert (assigned.outcome, expired.outcome) == ("assigned", "expired")
    assert assigned.quantity + expired.quantity == 10
    assert (assigned.shares, assigned.cash) == (100 * assigned.quantity, Decimal(-28_500) * assigned.quantity)
    assert assigned.note == f"pinned within 0.28 of its strike: {assigned.quantity} of 10 assigned"


async def test_n2_pin_when_asked_again_then_the_draw_is_the_same() -> None:
    assert [item.quantity for item in await pinned("285.03")] == [item.quantity for item in await pinned("285.03")]


async def test_n2_pin_when_the_contract_is_long_then_exercised_by_exception() -> None:
    (cent,), (half,) = await pinned("284.99", side=BUY), await pinned("284.995", side=BUY)
    assert (cent.outcome, half.outcome) == ("exercised", "expired")


async def test_n2_pin_when_switched_off_then_a_cent_decides() -> None:
    (cent,), (half,) = await pinned("284.99", pin=0.0), await pinned("284.995", pin=0.0)
    assert (cent.outcome, half.outcome) == ("assigned", "expired")


async def test_delivery_when_the_schedule_charges_for_it_then_booked_with_the_settlement() -> None:
    world = await with_option(SPY_PUT, SELL, "3.00", quantity=2, fees="tastytrade")
    world.board.publish(SPY_PUT, "280.00")
    world.clock.set(LATE_CLOSE)
    await world.broker.poll()
    (found,) = await settlements(world)
    assert (found.outcome, found.fees) == ("assigned", Decimal("5.00"))
    cash, _ = ledger_of(await journal(world))
    assert (await world.broker.snapshot()).cash == cash
