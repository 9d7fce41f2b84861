"""Mornings at the paper exchange: splits with adjusted contracts, dividends on shares held and owed, and what they do to orders."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random

import pytest

from core.brokers.paper import Parameters
from core.domain.events import Body, CashMoved, CorporateAction, Filled, Settled
from core.domain.instruments import Equity, Instrument, Option, Right
from core.domain.listing import option
from core.domain.orders import Fill, TimeInForce
from core.errors import BrokerRejected
from core.orders.reconcile import differences, facts
from core.portfolio.book import Book
from core.ports import Dividend, OrderReport, Split
from tests.unit.brokers.paper_world import BUY, CALL, CLOSE, PUT, SELL, World, journal, ledger_of, leg, permitted
from tests.unit.risk.market import Log

FRIDAY, MONDAY = date(2019, 4, 26), date(2019, 4, 29)
NIGHT = datetime(2019, 4, 26, 4, 5, tzinfo=UTC)  # 00:05 in New York
OPEN = datetime(2019, 4, 26, 13, 30, tzinfo=UTC)
JUNE = date(2019, 6, 21)
KO = Equity(symbol="KO")


def contract(strike: str, right: Right = CALL, expiry: date = JUNE) -> Option:
    return option("KO", expiry, right, Decimal(strike))


C60, P55, C30 = contract("60"), contract("55", PUT), contract("30")


async def holding(*lines: tuple[Instrument, int, float], spot: float = 60.0, **more: object) -> World:
    """An account that traded each of these at its price on Thursday afternoon."""
    world = World(cash=Decimal(1_000_000), **more)  # type: ignore[arg-type]
    await world.broker.connect()
    await world.broker.poll()
    quotes(world, *lines, spot=spot)
    for number, (item, count, price) in enumerate(lines):
        side, ask = (BUY, price + 0.02) if count > 0 else (SELL, price)
        limit = f"{-ask if count > 0 else ask:.2f}"
        await world.broker.submit(permitted(world, (leg(item, side),), limit, abs(count), id=f"H{number}"))
    return world


def quotes(world: World, *lines: tuple[Instrument, int, float], spot: float) -> None:
    world.board.set(KO, spot, spot + 0.02, size=10_000)
    for item, _, price in lines:
        world.board.set(item, price, round(price + 0.02, 2), size=10_000)


async def held(world: World) -> dict[str, int]:
    return {item.instrument.key: item.quantity for item in (await world.broker.snapshot()).positions}


async def items(world: World, kind: type) -> list[object]:
    return [update.item for update in await journal(world) if isinstance(update.item, kind)]


async def consistent(world: World) -> bool:
    cash, positions = ledger_of(await journal(world))
    return ((await world.broker.snapshot()).cash, await held(world)) == (cash, positions)


# --- splits --------------------------------------------------------------------------------------------------------------


async def test_n5_split_when_two_for_one_then_shares_and_contracts_double_and_strikes_halve() -> None:
    world = await holding((KO, 300, 60.0), (C60, -2, 2.0), (P55, 1, 1.0))
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=2, old=1))
    cash = (await world.broker.snapshot()).cash
    world.clock.set(NIGHT)
    await world.broker.poll()
    (action,) = await items(world, CorporateAction)
    assert isinstance(action, CorporateAction) and action.at == datetime(2019, 4, 26, 4, 0, tzinfo=UTC)
    assert await held(world) == {"KO": 600, C30.key: -4, contract("27.5", PUT).key: 2}
    assert ((await world.broker.snapshot()).cash, await consistent(world)) == (cash, True)


async def test_n5_split_when_three_for_two_then_the_contract_delivers_150_under_a_root_of_its_own() -> None:
    world = await holding((KO, 101, 60.0), (C60, -1, 2.0))
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=3, old=2))
    world.clock.set(NIGHT)
    await world.broker.poll()
    assert await held(world) == {"KO": 101, C60.key: -1}  # the half share has no price before the open
    world.clock.set(OPEN)
    quotes(world, spot=40.0)
    cash = (await world.broker.snapshot()).cash
    await world.broker.poll()
    found = {item.instrument.key: item for item in (await world.broker.snapshot()).positions}
    adjusted = found["KO1   190621C00060000"].instrument
    assert isinstance(adjusted, Option)
    assert (adjusted.strike, adjusted.multiplier, adjusted.shares, adjusted.share_strike) == (60, 100, 150, 40)
    assert (found["KO"].quantity, (await world.broker.snapshot()).cash - cash) == (151, Decimal("20.00"))  # half a share at 40.01
    assert await consistent(world)


async def test_n5_split_when_one_for_ten_then_few_shares_and_money_for_the_rest() -> None:
    world = await holding((KO, 105, 6.0), (contract("6"), -1, 0.2), spot=6.0)
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=1, old=10))
    world.clock.set(OPEN)
    quotes(world, spot=60.0)
    await world.broker.poll()
    (action,) = await items(world, CorporateAction)
    assert isinstance(action, CorporateAction)
    assert [(line.becomes, line.cash) for line in action.lines] == [(10, Decimal("30.00")), (-1, Decimal(0))]
    assert [getattr(line.successor, "shares", None) for line in action.lines] == [None, 10]


async def test_n5_adjusted_contract_when_it_ends_in_the_money_then_150_shares_for_6000() -> None:
    world = await holding((contract("60", expiry=date(2019, 5, 17)), -1, 2.0), parameters=Parameters(pin_percent=0.0))
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=3, old=2))
    world.clock.set(OPEN)
    quotes(world, spot=40.0)
    await world.broker.poll()
    (adjusted,) = [item.instrument for item in (await world.broker.snapshot()).positions]
    assert isinstance(adjusted, Option)
    world.board.publish(adjusted, "40.02")
    world.clock.set(datetime(2019, 5, 17, 20, 15, tzinfo=UTC))
    await world.broker.poll()
    (found,) = await items(world, Settled)
    assert isinstance(found, Settled)
    assert (found.outcome, found.shares, found.cash) == ("assigned", -150, Decimal(6000))


async def test_n5_adjusted_contract_when_held_then_closed_like_any_other_and_never_opened() -> None:
    world = await holding((C60, -1, 2.0))
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=3, old=2))
    world.clock.set(OPEN)
    quotes(world, spot=40.0)
    await world.broker.poll()
    (adjusted,) = [item.instrument for item in (await world.broker.snapshot()).positions]
    quotes(world, (adjusted, 0, 1.90), spot=40.0)
    with pytest.raises(BrokerRejected, match="adjusted series"):
        await world.broker.submit(permitted(world, (leg(adjusted, SELL),), "1.90", id="O1"))
    await world.broker.submit(permitted(world, (leg(adjusted, BUY, CLOSE),), "-1.92", id="O2"))
    assert await held(world) == {}


async def test_n5_split_when_orders_work_on_what_it_replaces_then_they_end_and_say_why() -> None:
    world = await holding((C60, -2, 2.0))
    await world.broker.submit(permitted(world, (leg(C60, BUY, CLOSE),), "-0.50", 2, id="T1", tif=TimeInForce.GTC))
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=2, old=1))
    world.clock.set(NIGHT)
    await world.broker.poll()
    last = [item for item in await items(world, OrderReport) if isinstance(item, OrderReport) and item.client_id == "T1"][-1]
    assert (last.status.value, last.reason) == ("cancelled", "its contracts were replaced: split 2 for 1 of KO")


async def test_n5_split_when_looked_at_again_or_restarted_then_booked_once() -> None:
    world = await holding((KO, 100, 60.0))
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=2, old=1))
    world.clock.set(NIGHT)
    await world.broker.poll()
    await world.broker.poll()
    await world.restart()
    await world.broker.poll()
    assert (await held(world), len((await world.broker.snapshot()).actions)) == ({"KO": 200}, 1)


async def test_n5_split_when_nobody_looked_for_days_then_made_up_for() -> None:
    world = await holding((KO, 100, 60.0))
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=2, old=1))
    world.board.paid.append(Dividend(symbol="KO", ex_date=MONDAY, amount=Decimal("0.24")))
    await world.restart()
    world.clock.set(datetime(2019, 4, 30, 14, 0, tzinfo=UTC))
    await world.broker.poll()
    (paid,) = [item for item in await items(world, CashMoved) if isinstance(item, CashMoved) and item.symbol]
    assert (await held(world), paid.amount) == ({"KO": 200}, Decimal("48.00"))


async def test_n5_split_when_the_market_goes_down_by_it_then_nobody_is_assigned_that_morning() -> None:
    deep = contract("90", PUT)
    world = await holding((deep, -1, 30.0))
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=2, old=1))
    world.clock.set(NIGHT)  # the market still quotes what it was
    await world.broker.poll()
    assert await held(world) == {contract("45", PUT).key: -2}


# --- dividends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shares", "amount"), [(300, "144.00"), (-200, "-96.00")])
async def test_dividend_when_its_ex_date_comes_then_paid_on_what_is_held_and_owed_on_what_is_short(shares: int, amount: str) -> None:
    world = await holding((KO, shares, 60.0))
    world.board.paid.append(Dividend(symbol="KO", ex_date=FRIDAY, amount=Decimal("0.48")))
    world.clock.set(NIGHT)
    await world.broker.poll()
    await world.broker.poll()
    (paid,) = [item for item in await items(world, CashMoved) if isinstance(item, CashMoved) and item.reason == "dividend"]
    assert (paid.amount, paid.symbol, paid.quantity) == (Decimal(amount), "KO", shares)
    assert await consistent(world)


async def test_dividend_when_bought_on_the_ex_date_then_not_paid_and_when_sold_on_it_then_paid() -> None:
    world = await holding((KO, 100, 60.0))
    world.board.paid.append(Dividend(symbol="KO", ex_date=FRIDAY, amount=Decimal("0.48")))
    world.clock.set(datetime(2019, 4, 26, 14, 0, tzinfo=UTC))
    quotes(world, spot=59.5)
    await world.broker.submit(permitted(world, (leg(KO, SELL, CLOSE),), "59.50", 100, id="O1"))
    await world.broker.poll()
    (paid,) = [item for item in await items(world, CashMoved) if isinstance(item, CashMoved) and item.symbol]
    assert paid.amount == Decimal("48.00")


async def test_dividend_when_it_is_heard_of_after_the_days_first_trades_then_paid_on_what_was_held_before_them() -> None:
    world = await holding((KO, 100, 60.0))
    world.board.paid.append(Dividend(symbol="KO", ex_date=FRIDAY, amount=Decimal("0.48")))
    world.board.mute = True
    world.clock.set(datetime(2019, 4, 26, 14, 0, tzinfo=UTC))
    quotes(world, spot=59.5)
    await world.broker.poll()
    await world.broker.submit(permitted(world, (leg(KO, BUY),), "-59.52", 200, id="O1"))
    world.board.mute = False
    await world.broker.poll()
    (paid,) = [item for item in await items(world, CashMoved) if isinstance(item, CashMoved) and item.symbol]
    assert (paid.amount, await held(world)) == (Decimal("48.00"), {"KO": 300})


async def test_dividend_when_the_covered_call_is_assigned_for_it_then_the_shares_go_before_it_is_paid() -> None:
    """The example of the module: 200 shares, one KO 60 call, 66.00 by 66.02 before a dividend of 0.48."""
    world = await holding((KO, 200, 66.0), (C60, -1, 6.2), spot=66.0)
    world.board.paid.append(Dividend(symbol="KO", ex_date=FRIDAY, amount=Decimal("0.48")))
    world.clock.set(NIGHT)
    await world.broker.poll()
    (assigned,) = await items(world, Settled)
    (paid,) = [item for item in await items(world, CashMoved) if isinstance(item, CashMoved) and item.symbol]
    assert isinstance(assigned, Settled) and (assigned.outcome, assigned.shares, assigned.cash) == ("assigned", -100, Decimal(6000))
    assert (paid.amount, await held(world)) == (Decimal("48.00"), {"KO": 100})


async def test_dividend_when_a_naked_call_is_assigned_for_it_then_the_shares_are_short_and_owe_it() -> None:
    world = await holding((C60, -1, 6.2), spot=66.0)
    world.board.paid.append(Dividend(symbol="KO", ex_date=FRIDAY, amount=Decimal("0.48")))
    world.clock.set(NIGHT)
    await world.broker.poll()
    (paid,) = [item for item in await items(world, CashMoved) if isinstance(item, CashMoved) and item.symbol]
    assert (paid.amount, await held(world)) == (Decimal("-48.00"), {"KO": -100})


# --- the desk's books beside these ---------------------------------------------------------------------------------------


async def test_n5_books_when_a_desk_comes_back_after_days_then_nothing_differs_in_whatever_order_it_hears() -> None:
    """Bought, split, dividend, assigned and expired while nobody listened; then the complete books, and the stream twice and shuffled."""
    may = contract("55", PUT, date(2019, 5, 17))
    world = await holding((KO, 101, 60.0), (C60, -1, 2.0), (may, -2, 1.0))
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=3, old=2))
    world.board.paid.append(Dividend(symbol="KO", ex_date=MONDAY, amount=Decimal("0.32")))
    world.clock.set(OPEN)
    quotes(world, spot=40.0)
    await world.broker.poll()
    (adjusted,) = [item.instrument for item in (await world.broker.snapshot()).positions if item.instrument.key.startswith("KO1   190517")]
    assert isinstance(adjusted, Option)
    world.board.publish(adjusted, "36.00")  # 150 at 36.00 are 5,400, under the 5,500 they are bought at
    world.clock.set(datetime(2019, 5, 20, 14, 0, tzinfo=UTC))
    quotes(world, spot=36.0)
    await world.broker.poll()
    snapshot = await world.broker.snapshot()
    stream = [update.item for update in await journal(world)]

    def book(bodies: list[Body]) -> Book:
        log = Log(world.account)
        log.add(*bodies)
        return log.book

    from_books = book([body for _, body in facts(book([]), snapshot)])
    heard: list[Body] = [item if not isinstance(item, Fill) else Filled(fill=item) for item in stream if not isinstance(item, OrderReport)]
    for seed in range(5):
        told = [*heard, *heard]
        Random(seed).shuffle(told)
        assert differences(book(told), snapshot, sent_now=()) == ()
        assert book(told).positions == from_books.positions
    assert differences(from_books, snapshot, sent_now=()) == ()
    assert from_books.positions["KO"].quantity == 451 and "KO1   190621C00060000" in from_books.positions


async def test_n5_split_when_a_contract_would_deliver_no_share_then_it_is_paid_what_exercise_brings() -> None:
    """Twice 1 for 20: of the 100 shares a KO1 contract delivers 5, and then a quarter of one."""
    world = await holding((contract("6"), 2, 0.2), (contract("7"), -1, 0.1), spot=6.5)
    world.board.made.append(Split(symbol="KO", ex_date=FRIDAY, new=1, old=20))
    world.clock.set(OPEN)
    quotes(world, spot=130.0)
    await world.broker.poll()
    assert await held(world) == {"KO1   190621C00006000": 2, "KO1   190621C00007000": -1}
    world.board.made.append(Split(symbol="KO", ex_date=MONDAY, new=1, old=20))
    world.clock.set(datetime(2019, 4, 29, 13, 30, tzinfo=UTC))
    quotes(world, spot=2600.0)
    await world.broker.poll()
    action = (await world.broker.snapshot()).actions[-1]
    # 5 shares at 2,600.01 / 20 are 650.0025 for 600; less than 700
    assert [(line.becomes, line.cash) for line in action.lines] == [(0, Decimal("100.00")), (0, Decimal(0))]
    assert (await held(world), await consistent(world)) == ({}, True)
