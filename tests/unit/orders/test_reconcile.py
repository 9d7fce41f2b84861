"""The broker's books against ours: what is evidence, what is only a difference, and who may end it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.command import Call, Caller, Via
from core.dispatch import dispatch
from core.domain.events import Body, CashMoved, ExternalOrder, Mode, OrderEnded, Replacing, Submitting
from core.domain.orders import Leg, OrderState
from core.errors import BrokerRejected, BrokerTimeout
from core.orders.reconcile import concluded, differences, endings, facts
from core.orders.sender import cancel_all
from core.portfolio.book import Book
from core.ports import BrokerOrder, BrokerSnapshot, BrokerStatus
from core.reply import Notice, Reply
from core.runtime import SimRuntime
from tests.fake_broker import FOR_EVER, World, open_world, reopened, simulated
from tests.unit.risk.market import NOW, PRACTICE, SPREAD, Log, acknowledged, closing, filled, submitting

SHORT, LONG = SPREAD
PERSON = "person:a"


def snapshot(*orders: BrokerOrder, complete: bool = True, cash: str = "0") -> BrokerSnapshot:
    return BrokerSnapshot(
        account=PRACTICE, epoch=1, complete=complete, at=NOW, cash=Decimal(cash), orders=orders, positions=(), fills=(), settlements=(),
        movements=(), cursor=1,
    )


def reported(status: BrokerStatus = BrokerStatus.WORKING, *, client_id: str | None = "O1", limit: str = "5") -> BrokerOrder:
    return BrokerOrder(client_id=client_id, broker_ref="B1", status=status, limit=Decimal(limit), quantity=1, filled=0, description="it")


def external_order(*, legs: tuple[Leg, ...] | None = SPREAD) -> ExternalOrder:
    return ExternalOrder(
        account=PRACTICE, broker_ref="B1", status="working", limit=Decimal(5), quantity=1, filled=0, legs=legs, description="it"
    )


def book_after(*bodies: Body) -> Book:
    log = Log()
    log.add(*bodies)
    return log.book


# --- what a snapshot says, purely ----------------------------------------------------------------------------------------


def test_e2_endings_when_never_acknowledged_and_absent_from_complete_books_then_denied() -> None:
    book = book_after(submitting(SPREAD, 1))
    assert [body.outcome for _, body in endings(book, snapshot(), sent_now=()) if isinstance(body, OrderEnded)] == ["denied"]


@pytest.mark.parametrize(("complete", "sent_now"), [(False, ()), (True, ("O1",))], ids=["incomplete", "sent_in_this_connection"])
def test_e2_endings_when_the_absence_proves_nothing_then_nothing(complete: bool, sent_now: tuple[str, ...]) -> None:
    book = book_after(submitting(SPREAD, 1))
    assert endings(book, snapshot(complete=complete), sent_now=sent_now) == []


def test_endings_when_acknowledged_and_absent_then_not_ended_but_a_difference() -> None:
    book = book_after(submitting(SPREAD, 1), acknowledged())
    assert endings(book, snapshot(), sent_now=()) == []
    (finding,) = differences(book, snapshot(), sent_now=())
    assert finding.client_id == "O1"
    assert set(finding.keys) == {leg.instrument.key for leg in SPREAD}


def test_differences_when_the_answer_is_incomplete_then_none() -> None:
    book = book_after(submitting(SPREAD, 1), acknowledged(), filled(SHORT, 1, "30", exec_id="a"))
    assert differences(book, snapshot(complete=False, cash="7"), sent_now=()) == ()


@pytest.mark.parametrize(("complete", "asked_next"), [(True, 9), (False, 5)])
def test_f5_concluded_when_the_answer_was_cut_then_asked_again_from_the_last_complete_one(complete: bool, asked_next: int) -> None:
    book = book_after()
    last = concluded(book, replace(snapshot(), cursor=5), (), epoch=1, last=None, now=NOW)
    answer = replace(snapshot(complete=complete), cursor=9)
    assert concluded(book, answer, (), epoch=1, last=last, now=NOW).cursor == asked_next
    assert concluded(book, replace(answer, complete=False), (), epoch=1, last=None, now=NOW).cursor == 0


def test_e9_differences_when_a_strange_order_works_then_shown_without_stopping_an_instrument() -> None:
    strange = replace(reported(client_id=None), legs=SPREAD)
    ((key, body),) = facts(book_after(), snapshot(strange))
    assert key is None
    assert isinstance(body, ExternalOrder)
    assert (body.broker_ref, body.status, body.legs, body.live) == ("B1", "working", SPREAD, True)
    assert differences(book_after(body), snapshot(strange), sent_now=()) == ()
    assert facts(book_after(body), snapshot(strange)) == []


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ((replace(reported(BrokerStatus.CANCELLED, client_id=None), legs=SPREAD),), "cancelled"),
        ((replace(reported(client_id=None, limit="4.50"), legs=SPREAD),), "working"),
        ((), "gone"),
    ],
    ids=["ended", "moved", "absent"],
)
def test_e9_facts_when_a_strange_order_changed_then_its_new_state_is_recorded(shown: tuple[BrokerOrder, ...], status: str) -> None:
    book = book_after(external_order())
    ((_, body),) = facts(book, snapshot(*shown))
    assert isinstance(body, ExternalOrder)
    assert body.status == status


def test_e9_facts_when_the_answer_is_incomplete_then_an_absent_strange_order_stays() -> None:
    assert facts(book_after(external_order()), snapshot(complete=False)) == []


def test_facts_when_the_book_knows_the_order_as_it_is_then_nothing_new() -> None:
    book = book_after(submitting(SPREAD, 1), acknowledged())
    assert facts(book, snapshot(reported())) == []
    assert len(facts(book, snapshot(reported(limit="4.80")))) == 1


def test_facts_when_the_book_has_it_ended_then_only_complete_books_bring_it_back() -> None:
    book = book_after(submitting(SPREAD, 1), OrderEnded(client_id="O1", outcome="cancelled", reason=""))
    assert facts(book, snapshot(reported(), complete=False)) == []
    assert len(facts(book, snapshot(reported()))) == 1


# --- whole stories -------------------------------------------------------------------------------------------------------


async def ask(world: World, command: str, *, proved: bool = False, **args: str) -> Reply:
    caller = Caller(person="a", via=Via.LINE, proved=proved)
    return await dispatch(world.desk, Call(command=command, args=args, caller=caller))


def words(reply: Reply) -> str:
    return " ".join(block.text for block in reply.blocks if isinstance(block, Notice))


@simulated
async def test_e2_order_when_the_book_has_it_ended_and_the_broker_working_then_counted_and_killed(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.press()
    await world.record(OrderEnded(client_id="O1", outcome="denied", reason="absent"))
    world.broker.orders["O1"] = replace(reported(), broker_ref="RO1")
    await world.sender.reconcile()
    assert world.state() is OrderState.WORKING
    assert set(world.desk.book(PRACTICE).exposed()) == {leg.instrument.key for leg in SPREAD}
    cancelled = await cancel_all(world.desk, [world.sender], reason="kill", actor=PERSON)
    assert cancelled.done == ("O1",)
    assert world.broker.orders["O1"].status is BrokerStatus.CANCELLED


async def lost(runtime: SimRuntime) -> World:
    """A desk whose filled position is its own and whose other order the broker's complete books do not have."""
    world = await open_world(runtime)
    await world.send("O1")
    world.broker.fill_spread()
    await world.send("O2", legs=closing(SPREAD), start="-4.00", worst="-5.00", reducing=True, trade_id="PO1")
    await world.sender.pump(0)
    world.broker.orders.clear()
    await world.sender.connect()
    return world


@simulated
async def test_e1_order_when_complete_books_do_not_have_it_then_unknown_and_its_instruments_halt(runtime: SimRuntime) -> None:
    world = await lost(runtime)
    assert world.state("O2") is OrderState.UNKNOWN
    assert world.mode(*SPREAD) is Mode.HALT
    assert world.mode() is Mode.REDUCING
    await world.send("O3")
    assert world.state("O3") is OrderState.DENIED
    assert world.broker.sent("submit") == ["O1", "O2"]


@simulated
async def test_e1_order_when_lost_then_neither_time_nor_the_desk_itself_ends_it(runtime: SimRuntime) -> None:
    world = await lost(runtime)
    world.run_accounts()
    world.broker.fault("cancel", BrokerRejected("unknown", "no such order"), times=FOR_EVER)
    await world.sender.cancel("O2", "a rule wants it", actor="rule:x")
    await runtime.sleep(3600)
    assert world.state("O2") is OrderState.UNKNOWN


@simulated
async def test_e1_order_when_lost_then_a_person_writes_it_off_and_can_close_the_position(runtime: SimRuntime) -> None:
    world = await lost(runtime)
    world.run_accounts()
    reply = await ask(world, "cancel", order_id="O2")
    assert world.state("O2") is OrderState.CANCELLED
    assert reply.ok
    order = await world.send("O4", legs=closing(SPREAD), start="-4.00", worst="-5.00", reducing=True, trade_id="PO1")
    assert order.state is OrderState.WORKING
    await runtime.sleep(120)
    assert (await ask(world, "unhalt", proved=True)).ok
    assert world.mode(*SPREAD) is Mode.ACTIVE


@simulated
async def test_e1_order_when_never_acknowledged_and_its_fills_are_busted_then_its_absence_does_not_say_it_never_was(
    runtime: SimRuntime,
) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", BrokerTimeout("submit"), after=True)
    await world.send()
    world.broker.fill_spread()
    world.broker.orders.clear()
    await world.sender.pump(0)
    assert (world.state(), world.order().broker_ref) == (OrderState.FILLED, None)
    for leg, name, price in ((SPREAD[0], "E0", "30"), (SPREAD[1], "E1", "25")):
        world.broker.fill(leg, 1, price, exec_id=f"{name}b", corrects=name, busted=True)
    await world.sender.connect()
    assert world.state() is OrderState.UNKNOWN
    assert world.mode(*SPREAD) is Mode.HALT


@simulated
async def test_unhalt_when_the_books_still_differ_then_refused_and_later_possible(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.send()
    world.broker.fill_spread()
    await world.sender.pump(0)
    kept = dict(world.broker.positions)
    world.broker.positions.clear()
    await world.sender.reconcile()
    assert world.mode(*SPREAD) is Mode.HALT
    reply = await ask(world, "unhalt", proved=True)
    assert "Only the broker's books can lift this" in words(reply)
    assert world.mode(*SPREAD) is Mode.HALT
    world.broker.positions = kept
    await runtime.sleep(120)
    assert world.mode(*SPREAD) is Mode.HALT
    assert (await ask(world, "unhalt", proved=True)).ok
    assert world.mode(*SPREAD) is Mode.ACTIVE


@simulated
async def test_reconcile_when_only_the_cash_differs_then_entries_wait_until_it_agrees(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.record(CashMoved(movement_id="ghost", account=PRACTICE, amount=Decimal(7), reason="fee", at=NOW))
    await world.sender.reconcile()
    assert world.mode() is Mode.REDUCING
    world.broker.cash += 7
    await runtime.sleep(120)
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_e9_order_when_it_is_not_ours_then_never_cancelled_and_nothing_stops(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.orders["X"] = replace(reported(client_id=None), broker_ref="X", legs=SPREAD)
    result = await world.sender.reconcile()
    assert result.differences == ()
    assert world.desk.book(PRACTICE).external["X"].live
    assert world.mode(*SPREAD) is Mode.ACTIVE
    await cancel_all(world.desk, [world.sender], reason="kill", actor=PERSON)
    assert world.broker.wire == []


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
@simulated
async def test_j1_replace_when_the_desk_died_before_the_answer_then_the_price_walks_on(runtime: SimRuntime, arrived: bool) -> None:
    world = await open_world(runtime)
    await world.send()
    await world.record(Replacing(client_id="O1", limit=Decimal("4.80")))
    if arrived:
        world.broker.orders["O1"] = replace(world.broker.orders["O1"], limit=Decimal("4.80"))
    again = await reopened(world)
    assert again.order().pending_limit is None
    assert again.order().limit == world.broker.orders["O1"].limit
    again.run_accounts()
    await runtime.sleep(600)
    assert again.order().limit == world.broker.orders["O1"].limit == Decimal("4.00")


@pytest.mark.parametrize(("accepted", "state"), [(True, OrderState.WORKING), (False, OrderState.DENIED)], ids=["accepted", "lost"])
@simulated
async def test_e1_submit_when_nobody_answers_then_found_out_and_never_sent_again(
    runtime: SimRuntime, accepted: bool, state: OrderState
) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", BrokerTimeout(), after=accepted)
    order = await world.send()
    assert order.state is OrderState.UNKNOWN
    await runtime.sleep(30)
    assert world.state() is state
    assert world.broker.sent("submit") == ["O1"]


@simulated
async def test_e1_submit_when_nobody_can_be_reached_then_unknown_until_complete_books_are_evidence(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    world.broker.fault("submit", BrokerTimeout())
    world.broker.fault("connect", OSError("down"), times=FOR_EVER)
    await world.send()
    await runtime.sleep(3600)
    assert world.state() is OrderState.UNKNOWN
    world.broker.heal()
    world.broker.complete = False
    await runtime.sleep(300)
    assert world.state() is OrderState.UNKNOWN
    world.broker.complete = True
    await runtime.sleep(120)
    assert world.state() is OrderState.DENIED
    assert world.broker.sent("submit") == ["O1"]


@simulated
async def test_j1_start_when_killed_around_the_wire_then_none_or_exactly_one_order(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.press("O1")
    await world.press("O2")
    world.broker.orders["O2"] = replace(reported(), client_id="O2", broker_ref="RO2")
    again = await reopened(world)
    assert again.state("O1") is OrderState.DENIED
    assert again.state("O2") is OrderState.WORKING
    assert again.broker.wire == []


@simulated
async def test_j5_reconcile_when_killed_in_the_middle_then_the_next_start_ends_alike(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")
    world.broker.fill_spread()
    await world.press("O2")
    kept = await world.store.last_seq()
    again = world
    for append in range(4):
        again = await reopened(again, connect=False, process=f"desk {append}")
        again.faults.die = "after"
        again.runtime.spawn(again.sender.connect(), name="connect")
        await runtime.sleep(1)
    last = await reopened(again, process="last")
    assert last.mode(*SPREAD) is Mode.ACTIVE
    assert last.state("O1") is OrderState.FILLED
    assert last.state("O2") is OrderState.DENIED
    told = [event.body for event in await last.store.read(after=kept)]
    assert sum(isinstance(body, OrderEnded) for body in told) == 1
    assert not any(isinstance(body, Submitting) for body in told)
