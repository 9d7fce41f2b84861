"""Whatever is asked of the paper exchange in whatever order, its books add up and no order is filled beyond its words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import exchange_date
from core.domain.events import Body, Filled
from core.domain.orders import Fill, Leg, Permitted, TimeInForce
from core.errors import BrokerRejected, BrokerTimeout, Unavailable
from core.orders.reconcile import differences
from core.ports import BrokerStatus, Delete, Dividend, OrderReport, Put, Split, Update
from core.store.archive import MemoryArchive
from tests.unit.brokers.paper_world import (
    BUY,
    CLOSE,
    HIGH,
    LOW,
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
from tests.unit.risk.market import Log

AFTER_EXPIRY = datetime(2019, 5, 17, 20, 30, tzinfo=UTC)
STRUCTURES: tuple[tuple[Leg, ...], ...] = (
    SPREAD,
    SPREAD_BACK,
    (leg(HIGH, SELL), leg(LOW, BUY, ratio=2)),
    (leg(SPY_PUT, SELL),),
    (leg(SPY_PUT, BUY, CLOSE),),
    (leg(SPY, BUY, ratio=100), leg(SPY_CALL, SELL)),
    (leg(SPY_CALL, BUY),),
)


@dataclass(frozen=True, slots=True)
class Submit:
    structure: int
    nickels: int
    quantity: int
    tif: TimeInForce


@dataclass(frozen=True, slots=True)
class Replace:
    order: int
    nickels: int


@dataclass(frozen=True, slots=True)
class Again:
    order: int


@dataclass(frozen=True, slots=True)
class Cancel:
    order: int


@dataclass(frozen=True, slots=True)
class Quotes:
    shift: int
    size: int | None
    bid: bool


@dataclass(frozen=True, slots=True)
class Later:
    minutes: int


@dataclass(frozen=True, slots=True)
class Do:
    what: str  # poll | restart | expire | lose the next write | lose the next answer


Step = Submit | Replace | Again | Cancel | Quotes | Later | Do

NICKELS = st.sampled_from((0, 0, -2, -20, -40, 1, 4))
steps = st.one_of(
    *[st.builds(Submit, st.integers(0, len(STRUCTURES) - 1), NICKELS, st.integers(1, 12), st.sampled_from(TimeInForce))] * 4,
    *[st.builds(Replace, st.integers(0, 9), NICKELS)] * 2,
    st.builds(Again, st.integers(0, 9)),
    st.builds(Cancel, st.integers(0, 9)),
    *[st.builds(Quotes, st.integers(-10, 10), st.one_of(st.none(), st.integers(0, 8)), st.sampled_from((True, True, True, False)))] * 2,
    st.builds(Later, st.sampled_from((1, 1, 1, 30, 80, 1440))),
    *[st.just(Do("poll"))] * 2,
    st.builds(Do, st.sampled_from(("restart", "expire", "lose the next write", "lose the next answer"))),
    st.builds(Do, st.sampled_from(("split 2 1", "split 3 2", "split 1 10", "pay"))),
)


class Faults:
    """Loses the next write, or only the answer to it."""

    def __init__(self) -> None:
        self.next = ""

    async def before_write(self, operations: Sequence[Put | Delete]) -> None:
        if self.next == "lose the next write":
            self.next = ""
            raise Unavailable("the disk")

    async def after_write(self, operations: Sequence[Put | Delete]) -> None:
        if self.next == "lose the next answer":
            self.next = ""
            raise Unavailable("the answer")


class Player:
    """Plays steps on a world and remembers what it asked for."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.world = World(cash=Decimal(250_000), archive=MemoryArchive(faults=self.faults), standing=False)
        self.asked: list[Permitted] = []

    async def play(self, step: Step) -> None:
        with suppress(BrokerRejected, BrokerTimeout, Unavailable):  # a refusal or a broken disk; the books must hold all the same
            await self._play(step)

    async def _play(self, step: Step) -> None:
        broker = self.world.broker
        match step:
            case Submit():
                legs, limit = STRUCTURES[step.structure], _limit(step.structure, step.nickels)
                order = permitted(self.world, legs, limit, step.quantity, id=f"O{len(self.asked)}", tif=step.tif)
                self.asked.append(order)
                await broker.submit(order)
            case Replace() if self.asked:
                order = self.asked[step.order % len(self.asked)]
                structure = STRUCTURES.index(order.envelope.legs)
                await broker.replace(order.client_id, moved(order, _limit(structure, step.nickels)))
            case Again() if self.asked:
                await broker.submit(self.asked[step.order % len(self.asked)])
            case Cancel() if self.asked:
                await broker.cancel(self.asked[step.order % len(self.asked)].client_id)
            case Quotes():
                self._quote(step)
            case Later():
                self.world.later(minutes=step.minutes)
                self._quote(Quotes(shift=0, size=5, bid=True))
            case Do("poll"):
                await broker.poll()
            case Do("restart"):
                self.faults.next = ""
                await self.world.restart()
            case Do("expire"):
                self.world.clock.set(max(self.world.clock.now(), AFTER_EXPIRY))
                self.world.board.publish(HIGH, "2681.37")
                self.world.board.publish(SPY_PUT, "284.50")
                await broker.poll()
            case Do() if step.what.startswith(("split", "pay")):
                await self._next_day(step.what)
            case Do() if step.what.startswith("lose"):
                self.faults.next = step.what

    async def _next_day(self, what: str) -> None:
        """The next day begins with a split or a dividend of SPY."""
        day = exchange_date(self.world.clock.now()) + timedelta(days=1)
        if what.startswith("pay"):
            self.world.board.paid.append(Dividend(symbol="SPY", ex_date=day, amount=Decimal("1.405")))
        else:
            new, old = map(int, what.split()[1:])
            self.world.board.made.append(Split(symbol="SPY", ex_date=day, new=new, old=old))
        self.world.clock.set(datetime(day.year, day.month, day.day, 14, 0, tzinfo=UTC))
        self._quote(Quotes(shift=0, size=5, bid=True))
        await self.world.broker.poll()

    def _quote(self, step: Quotes) -> None:
        self.world.usual_market()
        for item, bid in ((HIGH, 6.5), (LOW, 3.9), (SPY_PUT, 3.0), (SPY_CALL, 2.0)):
            shifted = round(bid + 0.1 * step.shift, 2)
            self.world.board.set(item, shifted if step.bid else 0.0, round(shifted + 0.2, 2), size=step.size)

    async def check(self) -> None:
        updates = await journal(self.world)
        working = [order for order in (await self.world.broker.snapshot()).orders if order.status is BrokerStatus.HELD]
        assert all(order.tif is TimeInForce.GTC for order in working)
        shown = await self.world.broker.snapshot()
        cash, held = ledger_of(updates)
        assert Fraction(shown.cash) == cash
        assert {item.instrument.key: item.quantity for item in shown.positions} == held
        assert [update.cursor for update in updates] == list(range(1, shown.cursor + 1))
        exec_ids = [fill.exec_id for fill in shown.fills]
        assert len(set(exec_ids)) == len(exec_ids)
        for order in self.asked:
            self._check_order(order, updates)

    def _check_order(self, order: Permitted, updates: Sequence[Update]) -> None:
        limit, filled, status = None, 0, BrokerStatus.WORKING
        batch: list[Fill] = []
        for item in (update.item for update in updates):
            if isinstance(item, OrderReport) and item.client_id == order.client_id:
                assert status.live
                limit, status = item.limit, item.status
            elif isinstance(item, Fill) and item.client_id == order.client_id:
                assert status is BrokerStatus.WORKING
                assert limit is not None
                batch.append(item)
                if len(batch) == len(order.envelope.legs):
                    filled += _check_batch(order, batch, limit)
                    batch = []
        assert batch == []
        assert (filled == order.quantity) == (status is BrokerStatus.FILLED)
        assert filled <= order.quantity


def _check_batch(order: Permitted, fills: list[Fill], limit: Decimal) -> int:
    """All legs together in their ratio, at the limit or better; returns the units."""
    legs = order.envelope.legs
    assert [fill.instrument for fill in fills] == [item.instrument for item in legs]
    units = {Fraction(fill.quantity, item.ratio) for fill, item in zip(fills, legs, strict=True)}
    (count,) = units
    assert count.denominator == 1
    money = sum(
        (-fill.side.sign * Fraction(fill.price) * fill.quantity * fill.instrument.multiplier for fill in fills), Fraction(0)
    )
    assert money >= Fraction(limit) * max(item.instrument.multiplier for item in legs) * count
    return int(count)


def _limit(structure: int, nickels: int) -> str:
    """A price near the market of the structure, on a tick of every series."""
    base = {5: Decimal("-288.00"), 0: Decimal("2.40"), 1: Decimal("-2.80"), 3: Decimal("3.00"), 4: Decimal("-3.00"), 6: Decimal("-2.00")}
    return str(base.get(structure, Decimal("-1.70")) + Decimal(nickels) / 40 * 2)


@settings(max_examples=100)
@given(st.lists(steps, min_size=10, max_size=40))
def test_books_when_steps_come_in_any_order_then_they_add_up(todo: list[Step]) -> None:
    player = Player()

    async def main() -> None:
        await player.world.broker.connect()
        for step in todo:
            await player.play(step)
            await player.check()

    player.world.run(main())


@settings(max_examples=40)
@given(st.lists(steps, min_size=10, max_size=30))
def test_books_when_read_back_then_they_are_the_same(todo: list[Step]) -> None:
    player = Player()

    async def main() -> None:
        await player.world.broker.connect()
        for step in todo:
            await player.play(step)
        player.faults.next = ""
        before = await player.world.broker.snapshot()
        updates = await journal(player.world)
        await player.world.restart()
        after = await player.world.broker.snapshot()
        assert (after.cash, after.positions, after.orders, after.fills, after.settlements, after.cursor) == (
            before.cash, before.positions, before.orders, before.fills, before.settlements, before.cursor
        )
        assert [update.item for update in await journal(player.world)] == [update.item for update in updates]

    player.world.run(main())


@settings(max_examples=60)
@given(st.lists(steps, min_size=10, max_size=40), st.integers(0, 10**6))
def test_books_when_a_desk_hears_of_them_twice_and_in_any_order_then_nothing_differs(todo: list[Step], seed: int) -> None:
    player = Player()

    async def main() -> None:
        await player.world.broker.connect()
        for step in todo:
            await player.play(step)
        player.faults.next = ""
        stream = [update.item for update in await journal(player.world) if not isinstance(update.item, OrderReport)]
        told: list[Body] = [Filled(fill=item) if isinstance(item, Fill) else item for item in (*stream, *stream)]
        Random(seed).shuffle(told)
        log = Log(player.world.account)
        log.add(*told)
        found = differences(log.book, await player.world.broker.snapshot(), sent_now=())
        assert [item for item in found if item.kind != "order"] == []

    player.world.run(main())
