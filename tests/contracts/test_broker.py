"""What every broker owes the desk. A broker joins by a stage: itself, an order that fills at once and one that rests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core import plugins
from core.domain.accounts import Account
from core.domain.events import AccountOpened, Body, CashMoved, Event, Filled, OrderAcknowledged, OrderEnded, Settled, Submitting
from core.domain.orders import Fill, OrderState, Permitted
from core.errors import BrokerRejected
from core.orders.reconcile import ENDED
from core.portfolio.book import Book, BookFold
from core.ports import Broker, BrokerStatus, OrderReport, Update
from tests.unit.brokers.paper_world import CASH, SPREAD, SPREAD_BACK, World, moved, permitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A broker whose market fills `filling` at once and lets `resting` wait until its price is `reaching`."""

    broker: Broker
    account: Account
    filling: Permitted  # sells a spread, for a credit
    closing: Permitted  # buys it back, for a debit
    resting: Permitted
    reaching: Permitted
    impossible: Permitted
    restart: Callable[[], Awaitable[Broker]]  # a new process that finds what the broker keeps


def paper() -> Stage:
    world = World()

    async def restart() -> Broker:
        await world.restart()
        return world.broker

    resting = permitted(world, SPREAD, "2.60", id="O2")
    return Stage(
        broker=world.broker, account=world.account, filling=permitted(world, SPREAD, "2.40", id="O1"),
        closing=permitted(world, SPREAD_BACK, "-2.80", id="O3"), resting=resting, reaching=moved(resting, "2.40"),
        impossible=permitted(world, SPREAD, "2.40", 1000, id="O4"), restart=restart,
    )


STAGES: dict[str, Callable[[], Stage]] = {"paper": paper}


@pytest.fixture(params=sorted(STAGES))
def stage(request: pytest.FixtureRequest) -> Stage:
    return STAGES[request.param]()


def test_registry_when_a_broker_is_added_then_it_has_a_stage_here() -> None:
    assert set(STAGES) == set(plugins.names("brokers"))


class Desk:
    """The desk's own book, folded from what the broker reports."""

    def __init__(self, account: Account) -> None:
        self._fold = BookFold()
        self._account = account
        self._seq = 0
        self.take(AccountOpened(account=account))

    def take(self, body: Body) -> None:
        self._seq += 1
        now = datetime(2019, 4, 25, 19, tzinfo=UTC)
        self._fold.apply(
            Event(
                seq=self._seq, stream="desk", kind=type(body).__name__, version=1, at=now, recorded_at=now, actor="desk", causation="",
                correlation="", dedupe=None, body=body, hash="",
            )
        )

    def sends(self, order: Permitted) -> None:
        self.take(
            Submitting(
                client_id=order.client_id, ticket_id=order.ticket_id, account=order.account, envelope=order.envelope,
                envelope_hash=order.envelope_hash, limit=order.limit, quantity=order.quantity, trade_id=f"P{order.client_id}",
                reducing=False,
            )
        )

    def hears(self, update: Update) -> None:
        item = update.item
        if isinstance(item, Fill):
            self.take(Filled(fill=item))
        elif isinstance(item, Settled | CashMoved):
            self.take(item)
        elif item.status is BrokerStatus.WORKING:
            self.take(OrderAcknowledged(client_id=item.client_id, broker_ref=item.broker_ref, limit=item.limit))
        elif item.status in ENDED:
            self.take(OrderEnded(client_id=item.client_id, outcome=ENDED[item.status], reason=item.reason))

    @property
    def book(self) -> Book:
        return self._fold.publish().accounts[self._account.id]


async def stream(broker: Broker, since: int = 0) -> tuple[Update, ...]:
    return await broker.updates(since=since, wait_seconds=0)


async def fills(broker: Broker) -> tuple[Fill, ...]:
    return (await broker.snapshot()).fills


async def test_connect_when_done_again_then_the_epoch_rises(stage: Stage) -> None:
    first = await stage.broker.connect()
    again = await (await stage.restart()).connect()

    assert again > first


async def test_capabilities_when_asked_then_account_and_environment_agree(stage: Stage) -> None:
    await stage.broker.connect()

    assert stage.broker.account == stage.account.id
    assert stage.broker.capabilities.name == stage.account.id.broker
    assert stage.broker.capabilities.env == stage.account.id.env.value


async def test_signs_when_a_spread_is_sold_then_cash_rises_and_bought_back_then_falls(stage: Stage) -> None:
    await stage.broker.connect()
    await stage.broker.submit(stage.filling)
    sold = await stage.broker.snapshot()

    await stage.broker.submit(stage.closing)

    after = await stage.broker.snapshot()
    fees = sum(fill.fees for fill in sold.fills)
    assert stage.filling.limit > 0 > stage.closing.limit
    assert sold.cash >= CASH + stage.filling.limit * 100 - fees
    assert after.cash < sold.cash
    assert after.positions == ()


async def test_submit_when_repeated_then_one_order_and_one_set_of_fills(stage: Stage) -> None:
    await stage.broker.connect()
    refs = {await stage.broker.submit(stage.filling) for _ in range(3)}

    assert stage.broker.capabilities.deduplicates
    assert len(refs) == 1
    assert len(await fills(stage.broker)) == len(stage.filling.envelope.legs)


async def test_submit_when_rejected_then_there_is_no_trace_of_it(stage: Stage) -> None:
    await stage.broker.connect()
    before = await stage.broker.snapshot()

    with pytest.raises(BrokerRejected):
        await stage.broker.submit(stage.impossible)

    after = await stage.broker.snapshot()
    assert (after.orders, after.cash, after.fills) == (before.orders, before.cash, before.fills)


async def test_updates_when_replayed_twice_and_backwards_then_the_book_is_the_same(stage: Stage) -> None:
    await stage.broker.connect()
    once, twice, backwards = Desk(stage.account), Desk(stage.account), Desk(stage.account)
    for desk in (once, twice, backwards):
        desk.sends(stage.filling)
    await stage.broker.submit(stage.filling)
    updates = await stream(stage.broker)

    for update in updates:
        once.hears(update)
    for update in (*updates, *updates):
        twice.hears(update)
    for update in reversed(updates):
        backwards.hears(update)

    assert once.book.cash == twice.book.cash == backwards.book.cash == (await stage.broker.snapshot()).cash
    assert once.book.holdings() == twice.book.holdings() == backwards.book.holdings()
    assert {desk.book.orders["O1"].state for desk in (once, twice, backwards)} == {OrderState.FILLED}


async def test_updates_when_asked_from_a_cursor_then_cursors_rise_and_nothing_is_missed(stage: Stage) -> None:
    await stage.broker.connect()
    await stage.broker.submit(stage.filling)
    everything = await stream(stage.broker)

    rest = await stream(stage.broker, since=everything[1].cursor)

    cursors = [update.cursor for update in everything]
    assert cursors == sorted(set(cursors))
    assert rest == everything[2:]
    assert await stream(stage.broker, since=cursors[-1]) == ()


async def test_replace_when_the_price_is_reached_then_fills_no_worse_than_asked(stage: Stage) -> None:
    await stage.broker.connect()
    await stage.broker.submit(stage.resting)
    resting = await fills(stage.broker)

    await stage.broker.replace(stage.resting.client_id, stage.reaching)

    done = await fills(stage.broker)
    net = sum(-fill.side.sign * fill.price for fill in done)
    assert resting == ()
    assert net >= stage.reaching.limit


async def test_cancel_when_it_comes_too_late_then_rejected_and_the_fill_stands(stage: Stage) -> None:
    await stage.broker.connect()
    await stage.broker.submit(stage.filling)

    with pytest.raises(BrokerRejected):
        await stage.broker.cancel(stage.filling.client_id)

    assert len(await fills(stage.broker)) == len(stage.filling.envelope.legs)


async def test_cancel_when_in_time_then_an_update_says_so_and_nothing_fills_after(stage: Stage) -> None:
    await stage.broker.connect()
    await stage.broker.submit(stage.resting)

    await stage.broker.cancel(stage.resting.client_id)

    with pytest.raises(BrokerRejected):
        await stage.broker.replace(stage.resting.client_id, stage.reaching)
    await stage.broker.poll()
    reports = [update.item.status for update in await stream(stage.broker) if isinstance(update.item, OrderReport)]
    assert reports[-1] is BrokerStatus.CANCELLED
    assert await fills(stage.broker) == ()


async def test_cancel_when_the_order_is_unknown_then_rejected(stage: Stage) -> None:
    await stage.broker.connect()

    with pytest.raises(BrokerRejected):
        await stage.broker.cancel("nobody")


async def test_snapshot_when_the_desk_heard_nothing_then_its_facts_make_the_book_agree(stage: Stage) -> None:
    await stage.broker.connect()
    desk = Desk(stage.account)
    for order in (stage.filling, stage.resting):
        desk.sends(order)
        await stage.broker.submit(order)
    broker = await stage.restart()

    snapshot = await broker.snapshot(since=0)
    for item in (*snapshot.movements, *snapshot.fills, *snapshot.settlements):
        desk.hears(Update(cursor=snapshot.cursor, epoch=snapshot.epoch, item=item))

    held = {item.instrument.key: item.quantity for item in snapshot.positions}
    assert snapshot.complete
    assert desk.book.cash == snapshot.cash
    assert {key: position.quantity for key, position in desk.book.positions.items()} == held
    assert {order.client_id: (order.status, order.filled) for order in snapshot.orders} == {
        "O1": (BrokerStatus.FILLED, 1), "O2": (BrokerStatus.WORKING, 0)
    }


async def test_snapshot_when_an_order_never_arrived_then_complete_books_do_not_name_it(stage: Stage) -> None:
    await stage.broker.connect()
    await stage.broker.submit(stage.resting)

    snapshot = await stage.broker.snapshot(since=0)

    assert snapshot.complete
    assert [order.client_id for order in snapshot.orders] == [stage.resting.client_id]


async def test_restart_when_orders_are_working_then_they_can_be_cancelled_by_the_same_id(stage: Stage) -> None:
    await stage.broker.connect()
    await stage.broker.submit(stage.resting)

    broker = await stage.restart()
    await broker.cancel(stage.resting.client_id)

    assert [order.status for order in (await broker.snapshot()).orders] == [BrokerStatus.CANCELLED]


async def test_preview_when_an_order_is_sent_then_it_takes_the_margin_and_fees_that_were_shown(stage: Stage) -> None:
    await stage.broker.connect()
    shown = await stage.broker.preview(stage.filling.envelope)
    await stage.broker.submit(stage.filling)

    again = await stage.broker.preview(stage.closing.envelope)

    assert shown.refusal is None
    assert again.margin_before == shown.margin_after
    assert sum((fill.fees for fill in await fills(stage.broker)), Decimal(0)) == shown.commission


async def test_preview_when_the_order_is_impossible_then_says_why(stage: Stage) -> None:
    await stage.broker.connect()

    assert (await stage.broker.preview(stage.impossible.envelope)).refusal
