"""The paper exchange's books: durable before it answers, read back after a crash, whatever happened to a write."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest

from core.brokers.paper import build
from core.domain.accounts import Account, AccountId, Env
from core.domain.events import CashMoved
from core.errors import BrokerRejected, BrokerTimeout, Corrupt, Unavailable
from core.ports import BrokerStatus, Delete, Put
from core.store.archive import MemoryArchive
from tests.unit.brokers.paper_world import (
    CASH,
    HIGH,
    LOW,
    SPREAD,
    World,
    journal,
    ledger_of,
    moved,
    permitted,
)


class Faults:
    """Breaks the next write, before or after it is durable."""

    def __init__(self) -> None:
        self.before = False
        self.after = False

    async def before_write(self, operations: Sequence[Put | Delete]) -> None:
        if self.before:
            self.before = False
            raise Unavailable("the disk", why="the test says so")

    async def after_write(self, operations: Sequence[Put | Delete]) -> None:
        if self.after:
            self.after = False
            raise Unavailable("the disk", why="it was written all the same")


async def test_connect_when_first_then_start_cash_is_a_deposit_and_epochs_rise() -> None:
    world = World()

    first = await world.broker.connect()
    again = await world.broker.connect()
    third = await world.restart()

    assert (first, again, third) == (1, 2, 3)
    (entry,) = await journal(world)
    assert isinstance(entry.item, CashMoved)
    assert (entry.item.reason, entry.item.amount, entry.epoch, entry.cursor) == ("deposit", CASH, 3, 1)


async def test_restart_when_orders_rest_and_filled_then_everything_is_there() -> None:
    world = World()
    await world.broker.connect()
    await world.broker.submit(permitted(world, SPREAD, "2.40"))
    await world.broker.submit(permitted(world, SPREAD, "2.50", 2, id="O2"))
    before = await world.broker.snapshot()

    await world.restart()
    after = await world.broker.snapshot()

    assert after.epoch == before.epoch + 1
    assert (after.cash, after.positions, after.orders, after.fills, after.cursor) == (
        before.cash, before.positions, before.orders, before.fills, before.cursor
    )
    await world.broker.cancel("O2")


async def test_restart_when_a_quote_was_used_up_then_it_stays_used_up() -> None:
    world = World(cash=Decimal(500_000), standing=False)
    await world.broker.connect()
    await world.broker.submit(permitted(world, SPREAD, "2.40", 15))

    await world.restart()
    await world.broker.poll()

    assert {item.instrument.key: item.quantity for item in (await world.broker.snapshot()).positions} == {HIGH.key: -10, LOW.key: 10}


async def test_submit_when_killed_right_after_then_the_order_and_fill_are_durable() -> None:
    archive = MemoryArchive()
    world = World(archive=archive)
    await world.broker.connect()
    await world.broker.submit(permitted(world, SPREAD, "2.40"))

    found = World(archive=MemoryArchive.from_image(archive.durable_image()))
    await found.broker.connect()

    assert len((await found.broker.snapshot()).fills) == 2


async def test_submit_when_the_disk_refuses_then_outcome_is_unknown_and_nothing_was_booked() -> None:
    faults = Faults()
    world = World(archive=MemoryArchive(faults=faults))
    await world.broker.connect()
    faults.before = True

    with pytest.raises(BrokerTimeout, match="whether it acted is unknown"):
        await world.broker.submit(permitted(world, SPREAD, "2.40"))

    shown = await world.broker.snapshot()
    assert (shown.orders, shown.fills, shown.cash) == ((), (), CASH)
    assert await world.broker.submit(permitted(world, SPREAD, "2.40")) == "PX-O1"


async def test_submit_when_written_but_not_heard_of_then_memory_follows_the_disk() -> None:
    faults = Faults()
    world = World(archive=MemoryArchive(faults=faults))
    await world.broker.connect()
    faults.after = True

    with pytest.raises(BrokerTimeout):
        await world.broker.submit(permitted(world, SPREAD, "2.40"))
    updates = await journal(world)
    again = await world.broker.submit(permitted(world, SPREAD, "2.40"))

    assert len(updates) == 5
    assert again == "PX-O1"
    assert len((await world.broker.snapshot()).fills) == 2


async def test_submit_when_repeated_then_the_same_reference_and_nothing_more() -> None:
    world = World()
    await world.broker.connect()
    first = await world.broker.submit(permitted(world, SPREAD, "2.40"))
    await world.restart()

    second = await world.broker.submit(permitted(world, SPREAD, "2.40"))

    assert first == second
    assert len((await world.broker.snapshot()).fills) == 2


async def test_submit_when_repeated_after_a_replace_then_still_the_same_order() -> None:
    world = World()
    await world.broker.connect()
    order = permitted(world, SPREAD, "2.60")
    await world.broker.submit(order)
    await world.broker.replace("O1", moved(order, "2.55"))

    await world.broker.submit(order)

    assert [item.limit for item in (await world.broker.snapshot()).orders] == [Decimal("2.55")]


async def test_submit_when_the_id_belongs_to_another_order_then_rejected() -> None:
    world = World()
    await world.broker.connect()
    await world.broker.submit(permitted(world, SPREAD, "2.50"))

    with pytest.raises(BrokerRejected, match="O1 is the id of another order"):
        await world.broker.submit(permitted(world, SPREAD, "2.50", 2))


async def test_snapshot_when_since_a_cursor_then_only_what_came_after() -> None:
    world = World()
    await world.broker.connect()
    await world.broker.submit(permitted(world, SPREAD, "2.40"))
    seen = (await world.broker.snapshot()).cursor
    await world.broker.submit(permitted(world, SPREAD, "2.50", id="O2"))
    await world.broker.submit(permitted(world, SPREAD, "2.55", id="O3"))
    await world.broker.cancel("O3")

    found = await world.broker.snapshot(since=seen)
    later = await world.broker.snapshot(since=found.cursor)

    assert {item.client_id: item.status for item in found.orders} == {"O2": BrokerStatus.WORKING, "O3": BrokerStatus.CANCELLED}
    assert (found.fills, found.movements, found.complete) == ((), (), True)
    assert [item.client_id for item in later.orders] == ["O2"]


async def test_books_when_summed_from_the_stream_in_fractions_then_balance_to_zero() -> None:
    world = World(cash=Decimal(500_000))
    await world.broker.connect()
    await world.broker.submit(permitted(world, SPREAD, "2.40", 7))
    world.later(seconds=30)
    world.usual_market()
    await world.broker.submit(permitted(world, SPREAD, "2.40", 13, id="O2"))

    cash, held = ledger_of(await journal(world))
    shown = await world.broker.snapshot()

    assert Fraction(shown.cash) - cash == 0
    assert {item.instrument.key: item.quantity for item in shown.positions} == held


async def test_accounts_when_two_share_an_archive_then_their_books_are_apart() -> None:
    world = World()
    other_account = Account(
        id=AccountId(broker="paper", id="OTHER", env=Env.PAPER), name="other", kind=world.account.kind, start_cash=Decimal(5_000)
    )
    other = build(
        world.parameters, account=other_account, quotes=world.board, clock=world.clock, runtime=world.runtime, archive=world.archive
    )
    await world.broker.connect()
    await other.connect()
    await world.broker.submit(permitted(world, SPREAD, "2.40"))

    assert (await other.snapshot()).cash == Decimal(5_000)
    assert (await other.snapshot()).positions == ()


async def test_load_when_a_journal_line_is_missing_then_corrupt() -> None:
    world = World()
    await world.broker.connect()
    await world.broker.submit(permitted(world, SPREAD, "2.40"))
    await world.archive.write([Delete(table="paper", where={"kind": "paper:TEST:paper/journal", "key": "000000000003"})])

    with pytest.raises(Corrupt, match="entry 3 of the paper exchange's journal is missing"):
        await world.restart()


async def test_load_when_a_row_is_damaged_then_corrupt() -> None:
    world = World()
    await world.broker.connect()
    await world.archive.write([Put(table="paper", row={"kind": "paper:TEST:paper/head", "key": "head", "body": '{"epoch":"one"}'})])

    with pytest.raises(Corrupt, match="cannot be read"):
        await world.restart()


def test_submit_when_given_up_while_writing_then_memory_follows_the_disk() -> None:
    class Slow:
        """Takes ten seconds to write, and writes even where nobody waits any more."""

        async def before_write(self, operations: Sequence[Put | Delete]) -> None:
            return None

        async def after_write(self, operations: Sequence[Put | Delete]) -> None:
            if slow:
                await world.runtime.sleep(10)

    slow = False
    world = World(archive=MemoryArchive(faults=Slow()))

    async def main() -> int:
        nonlocal slow
        await world.broker.connect()
        slow = True
        with pytest.raises(TimeoutError):
            await world.runtime.wait_for(world.broker.submit(permitted(world, SPREAD, "2.40")), 1)
        slow = False
        return len((await world.broker.snapshot()).fills)

    assert world.run(main()) == 2
