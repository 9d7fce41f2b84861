"""Orders and executions from the broker's own app: shown, counted, never cancelled unasked."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.command import Call, Caller, Via
from core.dispatch import dispatch
from core.domain.events import Body, ExternalCancelRequested, ExternalOrder, Mode
from core.domain.orders import Leg, OrderState
from core.errors import BrokerTimeout
from core.portfolio.book import Book
from core.ports import BrokerStatus
from core.reply import Notice, Reply, Table
from core.risk.exam import Level
from core.risk.rules import effect, wash_trade
from core.runtime import SimRuntime
from core.settings import Parameters
from tests.fake_broker import World, open_world, reopened, simulated
from tests.unit.risk.market import PRACTICE, SPREAD, Log, acknowledged, buy, closing, exam, filled, intent, put, sell, submitting

SHORT, LONG = SPREAD
NONE = Parameters(values={})


def external(*legs: Leg, quantity: int = 1, done: int = 0, ref: str = "X1") -> ExternalOrder:
    return ExternalOrder(
        account=PRACTICE, broker_ref=ref, status="working", limit=Decimal(5), quantity=quantity, filled=done, legs=legs or None
    )


async def ask(world: World, command: str, **args: str) -> Reply:
    return await dispatch(world.desk, Call(command=command, args=args, caller=Caller(person="a", via=Via.LINE)))


def words(reply: Reply) -> str:
    return " ".join(block.text for block in reply.blocks if isinstance(block, Notice))


def lines(reply: Reply) -> list[str]:
    return [action.line for action in reply.actions]


# --- what it means for risk ----------------------------------------------------------------------------------------------


def book_of(*bodies: Body) -> Book:
    log = Log()
    log.add(*bodies)
    return log.book


def counts(*bodies: Body) -> dict[str, int]:
    return {key: count for key, (_, count) in book_of(*bodies).exposed().items()}


HELD: tuple[Body, ...] = (
    submitting(SPREAD, 1), acknowledged(), filled(SHORT, 1, "30", exec_id="a"), filled(LONG, 1, "25", exec_id="b"),
)


def test_e9_exposed_when_a_spread_works_elsewhere_then_counted_as_if_filled() -> None:
    assert counts(external(*SPREAD, quantity=3, done=1)) == {SHORT.instrument.key: -2, LONG.instrument.key: 2}


def test_e9_exposed_when_the_last_report_says_it_is_over_then_counted_no_more() -> None:
    assert counts(external(*SPREAD), replace(external(*SPREAD), status="cancelled")) == {}


def test_e9_exposed_when_a_long_wing_is_being_sold_elsewhere_then_the_cover_is_not_there() -> None:
    assert counts(*HELD, external(sell(LONG.instrument))) == {SHORT.instrument.key: -1}


def test_e9_exposed_when_a_short_is_being_bought_back_elsewhere_then_it_may_not_fill() -> None:
    assert counts(*HELD, external(buy(SHORT.instrument))) == {SHORT.instrument.key: -1, LONG.instrument.key: 1}


def test_e9_exposed_when_a_purchase_works_elsewhere_then_it_covers_nothing() -> None:
    book = book_of(filled(SHORT, 1, "30", exec_id="a", client_id=None), external(LONG))
    assert LONG.instrument.key in book.exposed()
    assert LONG.instrument.key not in book.exposed(purchases=False)


def test_e9_exam_when_a_naked_put_is_being_sold_elsewhere_then_margin_and_stress_count_it() -> None:
    alone, beside = exam(of=book_of()), exam(of=book_of(external(sell(put(2800)))))
    assert alone.before.margin == 0
    assert beside.before.margin is not None and beside.before.margin > 10_000
    assert (beside.before.stress_loss_usd or 0) > 10_000
    assert beside.before.uncovered


def test_e9_effect_when_the_holding_is_being_closed_elsewhere_then_not_closed_twice() -> None:
    order = intent(closing(SPREAD), start="-5.00")
    assert effect.judge(exam(order, of=book_of(*HELD)), NONE).level is Level.PASS
    found = effect.judge(exam(order, of=book_of(*HELD, external(*closing(SPREAD)))), NONE)
    assert (found.level, found.fits) == (Level.BLOCK, 0)


def test_e9_effect_when_the_other_side_works_elsewhere_then_no_order_may_cross_it() -> None:
    found = effect.judge(exam(intent([buy(put(2800))], start="-30.00"), of=book_of(external(sell(put(2800))))), NONE)
    assert found.level is Level.BLOCK


def test_e9_wash_when_the_other_side_was_entered_elsewhere_then_refused_unless_the_prices_cannot_meet() -> None:
    order, seen = intent([sell(put(2800))], start="30.00", worst="29.00"), book_of()
    for limit, level in (("-31.00", Level.BLOCK), ("-28.00", Level.PASS)):
        stranger = replace(external(buy(put(2800))), limit=Decimal(limit))
        assert wash_trade.judge(exam(order, of=seen, strangers=(stranger,)), NONE).level is level


# --- whole stories -------------------------------------------------------------------------------------------------------


@simulated
async def test_e9_order_when_entered_elsewhere_then_shown_in_status_and_counted(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.enter("X1", quantity=2)
    await world.sender.pump(0)
    assert {key: count for key, (_, count) in world.desk.book(PRACTICE).exposed().items()} == {
        SHORT.instrument.key: -2, LONG.instrument.key: 2
    }
    assert world.mode(*SPREAD) is Mode.ACTIVE
    reply = await ask(world, "status")
    table = next(block for block in reply.blocks if isinstance(block, Table) and block.title.startswith("EXTERNAL"))
    assert table.rows[0][0] == "X1"


@simulated
async def test_e9_order_when_its_legs_are_not_told_then_only_reducing_orders_pass_until_it_is_over(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.enter("X1", None)
    await world.sender.pump(0)
    assert world.mode() is Mode.REDUCING
    assert "does not say what it trades" in world.desk.mode(account=PRACTICE)[1]
    assert (await world.send()).state is OrderState.DENIED
    world.broker.orders["X1"] = replace(world.broker.orders["X1"], status=BrokerStatus.FILLED)
    await world.sender.reconcile()
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_e9_order_when_only_a_report_names_it_then_the_books_are_looked_at_soon(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await runtime.sleep(10)
    world.broker.enter("X1")
    world.broker.journal.clear()
    world.broker.report("strange", BrokerStatus.WORKING, "5.00")
    await runtime.sleep(10)
    assert "X1" in world.desk.book(PRACTICE).external


@simulated
async def test_e9_fill_when_it_came_from_elsewhere_then_booked_shown_and_its_order_followed(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    world.broker.enter("X1", (SHORT,), quantity=2)
    await runtime.sleep(10)
    world.broker.fill(SHORT, 1, "30", exec_id="E0", client_id=None, broker_ref="X1", note="entered by phone")
    world.broker.orders["X1"] = replace(world.broker.orders["X1"], filled=1)
    await runtime.sleep(10)
    book = world.desk.book(PRACTICE)
    assert book.positions[SHORT.instrument.key].quantity == -1
    assert book.external["X1"].filled == 1
    assert book.exposed()[SHORT.instrument.key][1] == -2
    reply = await ask(world, "fills", period="all")
    rows = [row for block in reply.blocks if isinstance(block, Table) and block.title == "Executions" for row in block.rows]
    assert [row[1] for row in rows] == ["EXTERNAL"]


@simulated
async def test_e9_cancel_when_everything_is_cancelled_then_it_is_named_and_left_alone(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.enter("X1")
    await world.sender.pump(0)
    for command, args in (("cancel", {"scope": "all"}), ("kill", {})):
        reply = await ask(world, command, **args)
        assert "EXTERNAL X1" in words(reply)
        assert "cancel order_id=X1" in lines(reply)
    assert world.broker.sent("cancel_external") == []
    assert world.broker.orders["X1"].status is BrokerStatus.WORKING
    assert world.broker.orders["O1"].status is BrokerStatus.CANCELLED


@simulated
async def test_e9_cancel_when_a_person_names_it_then_the_broker_is_asked_and_its_word_counts(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.enter("X1")
    await world.sender.pump(0)
    reply = await ask(world, "cancel", order_id="X1")
    assert world.broker.sent("cancel_external") == ["X1"]
    assert "is over, by the broker's word" in words(reply)
    assert world.desk.book(PRACTICE).external == {}
    kinds = [type((await world.store.read(after=seq - 1, limit=1))[0].body) for seq in reply.cites]
    assert kinds == [ExternalCancelRequested, ExternalOrder]


@simulated
async def test_e9_cancel_when_the_broker_does_not_answer_then_it_may_still_fill(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.enter("X1")
    await world.sender.pump(0)
    world.broker.fault("cancel_external", BrokerTimeout())
    reply = await ask(world, "cancel", order_id="X1")
    assert not reply.ok
    assert "Not yet cancelled" in words(reply)
    assert "X1" in world.desk.book(PRACTICE).external


@simulated
async def test_e9_order_when_the_desk_restarts_then_still_known_and_still_counted(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.enter("X1")
    await world.sender.pump(0)
    again = await reopened(world)
    assert again.desk.book(PRACTICE).external["X1"].legs == SPREAD
    del again.broker.orders["X1"]
    await again.sender.reconcile()
    assert again.desk.book(PRACTICE).external == {}


@simulated
async def test_h6_order_when_the_log_is_older_than_the_broker_then_it_is_external_and_never_sent_again(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")
    fresh = await open_world(SimRuntime(world.runtime.loop, "restored", process="restored"), brokers=(world.broker,))
    assert fresh.desk.book(PRACTICE).orders == {}
    assert fresh.desk.book(PRACTICE).external["RO1"].label == "O1"
    await fresh.sender.reconcile()
    assert fresh.broker.sent("submit") == ["O1"]
    assert fresh.broker.sent("cancel") == []


@simulated
async def test_k2_order_when_its_description_holds_a_secret_then_stored_without_it_and_once(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.desk.redaction.add("hunter2-secret-token")
    world.broker.enter("X1", description="sent by hunter2-secret-token")
    world.broker.fill(put_sale(), 1, "3", exec_id="E1", client_id=None, note="by hunter2-secret-token")
    await world.sender.pump(0)
    before = await world.store.last_seq()
    await world.sender.reconcile()
    await world.sender.reconcile()
    events = await world.store.read()
    assert "hunter2" not in repr(events)
    assert sum(isinstance(event.body, ExternalOrder) for event in events) == 1
    assert [type(event.body).__name__ for event in events if event.seq > before] == ["Reconciled"]


def put_sale() -> Leg:
    return sell(put(2700))
