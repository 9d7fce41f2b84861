"""The broker's books beside ours: shown with what they stop, adopted one by one by a person's signature, never silently."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from core.app import replay
from core.command import Call, Caller, Role, Via, parse_args, split_line
from core.dispatch import command_of, dispatch
from core.domain.events import Adjusted, Mode
from core.domain.instruments import Equity, Right
from core.domain.listing import option
from core.domain.orders import OrderState
from core.ports import BrokerPosition
from core.reply import Notice, Reply, Table
from core.runtime import SimRuntime
from tests.fake_broker import FakeBroker, World, open_world, reopened, simulated
from tests.unit.risk.market import PRACTICE, sell

SPY = Equity(symbol="SPY")
PUT = option("SPY", date(2019, 6, 14), Right.PUT, Decimal(285))


async def say(world: World, line: str, *, proved: bool = False, via: Via = Via.LINE, role: Role = Role.OWNER) -> Reply:
    words = split_line(line)
    args = parse_args(command_of(words[0]), words[1:])
    return await dispatch(world.desk, Call(command=words[0], args=args, caller=Caller(person="a", via=via, role=role, proved=proved)))


def text(reply: Reply) -> str:
    return " ".join(block.text for block in reply.blocks if isinstance(block, Notice))


def table(reply: Reply, title: str) -> Table:
    return next(block for block in reply.blocks if isinstance(block, Table) and block.title == title)


def line(reply: Reply, label: str) -> str:
    return next(action.line for action in reply.actions if action.label.startswith(label))


def holds(broker: FakeBroker, *held: tuple[object, int], cash: str) -> None:
    broker.positions = {item.key: BrokerPosition(instrument=item, quantity=quantity) for item, quantity in held}  # type: ignore[attr-defined]
    broker.cash = Decimal(cash)


async def assigned(runtime: SimRuntime) -> World:
    """A short put that the broker turned into shares without reporting it."""
    world = await open_world(runtime)
    world.broker.fill(sell(PUT), 1, "3.00", exec_id="E1", client_id=None)
    await world.sender.pump(0)
    holds(world.broker, (SPY, 100), cash="71800")
    await world.sender.reconcile()
    return world


async def adjustments(world: World) -> list[Adjusted]:
    return [event.body for event in await world.store.read() if isinstance(event.body, Adjusted)]


@simulated
async def test_books_when_they_agree_then_said_with_what_was_compared(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    reply = await say(world, "account books=yes")
    assert reply.ok
    assert "agree (0 positions, 0 working orders, 0 external ones)" in text(reply)


@simulated
async def test_n1_books_when_a_put_became_shares_then_shown_explained_and_halted(runtime: SimRuntime) -> None:
    world = await assigned(runtime)
    reply = await say(world, "account books=yes")
    rows = {row[1]: row for row in table(reply, "Positions and orders").rows}
    assert (rows["SPY"][2:4], rows["SPY 14 Jun 19 285 put"][2:4]) == ((100, 0), (0, -1))
    assert rows["SPY"][5] == "HALT on SPY"
    assert "looks like an assignment" in str(rows["SPY"][7])
    (money,) = table(reply, "Cash").rows
    assert (money[2], money[3], money[5]) == (Decimal(71_800), Decimal(100_300), "entries of the account")
    assert world.mode(sell(PUT)) is Mode.HALT
    assert await adjustments(world) == []


@simulated
async def test_books_when_the_same_difference_is_found_again_then_it_keeps_its_time_and_writes_nothing(runtime: SimRuntime) -> None:
    world = await assigned(runtime)
    first = world.desk.fold.reconciled(PRACTICE)
    before = await world.store.last_seq()
    await runtime.sleep(120)
    assert await world.sender.reconcile() == first
    assert await world.store.last_seq() == before


@simulated
async def test_resolve_when_asked_then_a_card_shows_every_line_and_nothing_is_booked(runtime: SimRuntime) -> None:
    world = await assigned(runtime)
    card = await say(world, line(await say(world, "account books=yes"), "Resolve"))
    assert table(card, "What would be booked").rows == (("SPY 14 Jun 19 285 put", 1, "", 100, Decimal(-28_500), "assigned"),)
    assert "Nothing is booked yet" in text(card)
    assert await adjustments(world) == []


@simulated
async def test_resolve_when_booked_with_the_pin_then_signed_the_books_agree_and_a_person_lifts_the_halt(runtime: SimRuntime) -> None:
    world = await assigned(runtime)
    book_it = line(await say(world, line(await say(world, "account books=yes"), "Resolve")), "Book it")
    assert (await say(world, book_it)).data["needs"] == "pin"
    assert await adjustments(world) == []

    reply = await say(world, book_it, proved=True)

    (adopted,) = await adjustments(world)
    assert (adopted.person, adopted.outcome, adopted.shares, adopted.cash) == ("a", "assigned", 100, Decimal(-28_500))
    assert "agree" in text(reply) and "Still halted until you lift it" in text(reply)
    assert [type((await world.store.read(after=seq - 1, limit=1))[0].body) for seq in reply.cites] == [Adjusted]
    book = world.desk.book(PRACTICE)
    assert {key: held.quantity for key, held in book.positions.items()} == {"SPY": 100}
    assert (book.cash, book.positions["SPY"].average_price) == (Decimal(71_800), Decimal(285))
    assert world.mode(sell(PUT)) is Mode.HALT
    assert (await say(world, "unhalt", proved=True)).ok
    assert world.mode(sell(PUT)) is Mode.ACTIVE


@simulated
async def test_resolve_when_booked_then_a_restart_and_a_replay_have_the_same_books(runtime: SimRuntime) -> None:
    world = await assigned(runtime)
    await say(world, line(await say(world, line(await say(world, "account books=yes"), "Resolve")), "Book it"), proved=True)
    again = await reopened(world)
    assert again.desk.fold.reconciled(PRACTICE).differences == ()  # type: ignore[union-attr]
    assert (await replay(world.store)).digest() == again.desk.fold.digest()


@simulated
async def test_resolve_when_pressed_twice_at_once_then_booked_once(runtime: SimRuntime) -> None:
    world = await assigned(runtime)
    book_it = line(await say(world, line(await say(world, "account books=yes"), "Resolve")), "Book it")
    world.broker.fault("snapshot", seconds=1, times=4)
    replies = await runtime.gather(say(world, book_it, proved=True), say(world, book_it, proved=True))
    assert len(await adjustments(world)) == 1
    assert [reply.ok for reply in replies].count(True) == 1


@simulated
async def test_resolve_when_the_broker_reports_it_meanwhile_then_nothing_is_booked(runtime: SimRuntime) -> None:
    world = await assigned(runtime)
    book_it = line(await say(world, line(await say(world, "account books=yes"), "Resolve")), "Book it")
    holds(world.broker, (PUT, -1), cash="100300")
    reply = await say(world, book_it, proved=True)
    assert not reply.ok
    assert "There is no difference" in text(reply)
    assert await adjustments(world) == []


@simulated
async def test_resolve_when_it_would_be_booked_otherwise_by_now_then_shown_anew_and_nothing_is_booked(runtime: SimRuntime) -> None:
    world = await assigned(runtime)
    book_it = line(await say(world, line(await say(world, "account books=yes"), "Resolve")), "Book it")
    world.broker.cash = Decimal(100_300)
    reply = await say(world, book_it, proved=True)
    assert "stands otherwise than on that card" in text(reply)
    assert await adjustments(world) == []


@pytest.mark.parametrize("deposit", [True, False])
@simulated
async def test_resolve_when_only_the_cash_differs_then_a_person_says_what_it_was(runtime: SimRuntime, deposit: bool) -> None:
    world = await open_world(runtime)
    world.broker.cash = Decimal("100500.25")
    await world.sender.reconcile()
    card = await say(world, line(await say(world, "account books=yes"), "Resolve"))
    label = "Book as deposit" if deposit else "Book as result"
    await say(world, line(card, label), proved=True)
    book = world.desk.book(PRACTICE)
    assert book.cash == Decimal("100500.25")
    assert book.deposits - 100_000 == (Decimal("500.25") if deposit else 0)
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_resolve_when_a_holding_came_without_money_then_booked_at_the_price_a_person_names(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    holds(world.broker, (SPY, 7), cash="100000")
    result = await world.sender.reconcile()
    card = await say(world, f"account resolve={result.found[0].id} price=290.50")
    await say(world, line(card, "Book it"), proved=True)
    position = world.desk.book(PRACTICE).positions["SPY"]
    assert (position.quantity, position.average_price) == (7, Decimal("290.50"))
    assert world.desk.book(PRACTICE).cash == 100_000


@simulated
async def test_resolve_when_an_order_is_lost_then_a_persons_cancel_writes_it_off(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.orders.clear()
    await world.sender.connect()
    reply = await say(world, "account books=yes")
    (row,) = table(reply, "Positions and orders").rows
    assert (row[1], row[6]) == ("order O1", "write it off: `cancel O1`")
    await say(world, line(reply, "Write O1 off"))
    assert world.state() is OrderState.CANCELLED
    await runtime.sleep(10)
    assert "agree" in text(await say(world, "account books=yes"))


@pytest.mark.parametrize(
    ("via", "role"), [(Via.MODEL, Role.OWNER), (Via.SENTENCE, Role.OWNER), (Via.CLOCK, Role.OWNER), (Via.LINE, Role.VIEWER)]
)
@simulated
async def test_c2_resolve_when_no_person_with_the_right_asks_then_nothing_is_booked(runtime: SimRuntime, via: Via, role: Role) -> None:
    world = await assigned(runtime)
    book_it = line(await say(world, line(await say(world, "account books=yes"), "Resolve")), "Book it")
    reply = await say(world, book_it, via=via, role=role)
    assert not reply.ok
    assert await adjustments(world) == []


@simulated
async def test_resolve_when_a_trader_has_a_pin_then_only_the_owner_books(runtime: SimRuntime) -> None:
    world = await assigned(runtime)
    book_it = line(await say(world, line(await say(world, "account books=yes"), "Resolve")), "Book it")
    reply = await say(world, book_it, proved=True, role=Role.TRADER)
    assert "Only the owner" in text(reply)
    assert await adjustments(world) == []


@simulated
async def test_l6_books_when_looked_at_again_and_again_then_the_broker_is_asked_once_and_nothing_is_written(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await runtime.sleep(10)
    before = await world.store.last_seq()
    fault = world.broker.fault("snapshot", times=1000)
    for _ in range(20):
        await say(world, "account books=yes")
    assert 1000 - fault.times == 1
    assert await world.store.last_seq() == before


@simulated
async def test_trade_when_its_leg_is_adopted_as_assigned_then_it_ends_with_its_premium(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send(legs=(sell(PUT),), start="3.00", worst="3.00")
    world.broker.fill(sell(PUT), 1, "3.00", exec_id="E1")
    await world.sender.pump(0)
    holds(world.broker, (SPY, 100), cash="71800")
    await world.sender.reconcile()
    await say(world, line(await say(world, line(await say(world, "account books=yes"), "Resolve")), "Book it"), proved=True)
    trade = world.desk.book(PRACTICE).trades["PO1"]
    assert (trade.is_open, trade.realized) == (False, Decimal(300))
