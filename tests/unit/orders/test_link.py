"""The ears of an account: what a broker says is kept once, in any order, and a bad link mends itself."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.announce import Announcement, announce
from core.app import replay
from core.domain.accounts import AccountId, Env
from core.domain.events import AlertRaised, CashMoved, CorporateAction, Filled, MarginCalled, Mode, ModeSet, Reconciled, Replaced
from core.domain.instruments import Equity
from core.domain.orders import Leg, OrderState, Side
from core.errors import BrokerRejected, BrokerTimeout, Unavailable
from core.ports import BrokerOrder, BrokerPosition, BrokerStatus
from core.runtime import SimRuntime
from tests.fake_broker import FOR_EVER, SECOND, World, open_world, reopened, simulated, taken_over
from tests.unit.risk.market import PRACTICE, SPREAD, filled, put, sell

SHORT, LONG = SPREAD
STRANGER = AccountId(broker="paper", id="SUB1", env=Env.PAPER)


def causes(world: World) -> list[str]:
    return [entry.cause for entry in world.desk.fold.all_modes()]


async def halts(world: World) -> int:
    return sum(isinstance(event.body, ModeSet) and event.body.mode is Mode.HALT for event in await world.store.read())


async def lift(world: World) -> None:
    for entry in world.desk.fold.all_modes():
        await world.record(ModeSet(scope=entry.scope, mode=Mode.ACTIVE, cause=entry.cause, reason="lifted"))


async def alerts(world: World) -> list[AlertRaised]:
    return [event.body for event in await world.store.read() if isinstance(event.body, AlertRaised)]


# --- changed at the broker's own screen ----------------------------------------------------------------------------------


@simulated
async def test_e9_order_when_its_price_was_changed_at_the_broker_then_a_person_hears_of_it_once(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")  # from 5.00, never under 4.00
    world.broker.report("O1", BrokerStatus.WORKING, "4.50")
    await world.sender.pump(0)
    assert await alerts(world) == []
    for cursor in (90, 91):
        world.broker.report("O1", BrokerStatus.WORKING, "1.00", cursor=cursor)
        await world.sender.pump(0)
    (alert,) = await alerts(world)
    assert alert.urgency == "critical" and "it stands at +1.00, you confirmed +5.00 to +4.00" in alert.text
    assert "cancel O1" in alert.lines


@simulated
async def test_e9_order_when_its_quantity_was_changed_at_the_broker_then_a_person_hears_of_it_before_it_fills(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")
    await world.sender.reconcile()
    assert await alerts(world) == []
    world.broker.orders["O1"] = replace(world.broker.orders["O1"], quantity=10)
    await world.sender.reconcile()
    (alert,) = await alerts(world)
    assert "it is for 10, you confirmed 1" in alert.text


@simulated
async def test_e9_fill_when_another_accounts_broker_names_an_order_of_ours_then_it_is_external_there_and_the_order_is_untouched(
    runtime: SimRuntime,
) -> None:
    world = await open_world(runtime, accounts=("PRACTICE", "SECOND"))
    news: list[Announcement] = []
    world.desk.listen(lambda event, outcomes: news.extend(filter(None, [announce(event, outcomes, world.desk.books)])))
    await world.send("O1")
    world.brokers[SECOND].fill(SHORT, 1, "30", exec_id="E1", client_id="O1")
    await world.desk.senders[SECOND].pump(0)
    order = world.order("O1")
    assert (order.state, order.fills) == (OrderState.WORKING, {})
    assert world.desk.book(SECOND).positions[SHORT.instrument.key].quantity == -1
    assert f"external:{SECOND}:E1" in [item.key for item in news]


# --- connecting ----------------------------------------------------------------------------------------------------------


@simulated
async def test_f5_snapshot_when_it_times_out_at_the_start_then_the_account_recovers_by_itself(runtime: SimRuntime) -> None:
    world = await open_world(runtime, connect=False)
    world.broker.fault("snapshot", seconds=1000, times=2)
    world.run_accounts()
    await runtime.sleep(15)
    assert world.mode() is Mode.RECOVERY
    await runtime.sleep(120)
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_k4_link_when_another_desk_took_over_then_it_takes_no_new_login_and_its_loop_ends(runtime: SimRuntime) -> None:
    old = await open_world(runtime)
    new = await taken_over(old)
    logins = old.broker.epoch
    old.broker.fault("updates", Unavailable("broker", why="the other's login ended this one"), times=FOR_EVER)
    loop = runtime.spawn(old.sender.run(), name="old")

    await runtime.sleep(30)

    assert old.broker.epoch == logins
    assert loop.done()
    assert old.mode() is Mode.STANDBY
    assert new.mode() is Mode.ACTIVE


@simulated
async def test_f5_snapshot_when_incomplete_at_the_start_then_blocked_until_a_complete_one(runtime: SimRuntime) -> None:
    world = await open_world(runtime, connect=False)
    world.broker.complete = False
    world.run_accounts()
    await runtime.sleep(60)
    assert world.mode() is Mode.RECOVERY
    world.broker.complete = True
    await runtime.sleep(120)
    assert world.mode() is Mode.ACTIVE


@pytest.mark.parametrize("error", [OSError("reset"), Unavailable("gateway"), BrokerTimeout()])
@simulated
async def test_f1_connect_when_refused_for_a_while_then_reconnects_with_growing_pauses(runtime: SimRuntime, error: Exception) -> None:
    world = await open_world(runtime, connect=False)
    fault = world.broker.fault("connect", error, times=FOR_EVER)
    world.run_accounts()
    await runtime.sleep(600)
    assert FOR_EVER - fault.times < 20
    assert world.mode() is Mode.RECOVERY
    world.broker.heal()
    await runtime.sleep(120)
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_j4_run_when_an_adapter_has_a_bug_then_the_loop_lives_and_entries_stop(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    world.broker.fault("updates", ValueError("cannot parse"), times=3)
    await runtime.sleep(120)
    assert world.mode() is Mode.REDUCING
    assert [cause.partition(":")[0] for cause in causes(world)] == ["bug"]
    assert runtime.running() == ("account PRACTICE",)
    world.broker.fill(SHORT, exec_id="E0", client_id=None)
    await runtime.sleep(120)
    assert world.desk.book(PRACTICE).positions[SHORT.instrument.key].quantity == -1


@simulated
async def test_h1_run_when_the_disk_was_full_then_goes_on_by_itself_once_there_is_space(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    world.faults.full = True
    world.broker.fill(SHORT, exec_id="E0", client_id=None)
    await runtime.sleep(10)
    assert world.mode() is Mode.RECOVERY
    world.faults.full = False
    await runtime.sleep(120)
    assert world.mode() is Mode.ACTIVE
    assert world.desk.book(PRACTICE).positions[SHORT.instrument.key].quantity == -1


@simulated
async def test_h1_run_when_the_acknowledgement_could_not_be_written_then_found_out_without_a_restart(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    confirmed = await world.press()
    world.faults.full = True
    with pytest.raises(Unavailable):
        await world.sender.send(confirmed)
    assert world.mode() is Mode.HALT
    world.faults.full = False
    await runtime.sleep(10)
    assert world.state() is OrderState.WORKING
    assert world.mode() is Mode.ACTIVE
    assert world.broker.sent("submit") == ["O1"]


# --- hearing -------------------------------------------------------------------------------------------------------------


@simulated
async def test_e4_pump_when_executions_come_twice_and_in_any_order_then_counted_once(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fill_spread()
    last = len(world.broker.journal)
    world.broker.journal += [(last + 1, world.broker.journal[-1][1]), (last + 2, world.broker.journal[0][1])]
    world.broker.journal.reverse()
    await world.sender.pump(0)
    assert world.state() is OrderState.FILLED
    assert world.desk.book(PRACTICE).cash == world.broker.cash == Decimal(100_500)
    await world.sender.pump(0)
    assert len(world.desk.book(PRACTICE).fills) == 2


@simulated
async def test_e4_pump_when_an_execution_is_corrected_and_one_busted_then_the_books_agree(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fill_spread()
    world.broker.fill(SHORT, 1, "31", exec_id="E0c", corrects="E0")
    world.broker.fill(LONG, 1, "25", exec_id="E1b", corrects="E1", busted=True)
    await world.sender.pump(0)
    assert world.state() is OrderState.PARTIALLY_FILLED
    assert (await world.sender.reconcile()).differences == ()
    assert world.state() is OrderState.CANCELLED  # done at the broker, and one execution of it does not count any more
    assert world.desk.book(PRACTICE).cash == Decimal(103_100)


@simulated
async def test_f8_pump_when_a_fill_is_of_another_account_then_refused_before_it_is_written(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    fill = world.broker.fill(SHORT, exec_id="X1", client_id=None)
    world.broker.journal[-1] = (1, replace(fill, account=STRANGER))
    before = await world.store.last_seq()
    with pytest.raises(Unavailable, match="another account"):
        await world.sender.pump(0)
    assert await world.store.last_seq() == before


@simulated
async def test_f8_reconcile_when_a_fill_is_of_another_account_then_refused_before_it_is_written(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    fill = world.broker.fill(SHORT, exec_id="X1", client_id=None)
    world.broker.fills[-1] = replace(fill, account=STRANGER)
    before = await world.store.last_seq()
    with pytest.raises(Unavailable, match="another account"):
        await world.sender.reconcile()
    assert await world.store.last_seq() == before


@simulated
async def test_replay_when_the_log_holds_a_fill_of_an_unknown_account_then_still_readable(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    body = filled(SHORT, 1, "30", exec_id="X1", client_id=None)
    await world.record(Filled(fill=replace(body.fill, account=STRANGER)))
    fold = await replay(world.store)
    assert fold.digest() == world.desk.fold.digest()
    assert fold.books.accounts[STRANGER].positions[SHORT.instrument.key].quantity == -1
    assert fold.books.accounts[PRACTICE].positions == {}


@simulated
async def test_f10_fills_when_heard_while_a_snapshot_is_on_its_way_then_no_false_break(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    await world.sender.pump(0)
    world.broker.fault("snapshot", seconds=0.5, after=True)
    connecting = runtime.spawn(world.sender.connect(), name="connect")
    await runtime.sleep(0.1)
    world.broker.fill_spread()
    await world.sender.pump(0)
    await connecting
    assert world.state() is OrderState.FILLED
    assert await halts(world) == 0
    assert world.mode(*SPREAD) is Mode.ACTIVE


@simulated
async def test_f10_snapshot_when_positions_run_ahead_of_executions_then_no_halt(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    ahead = BrokerPosition(instrument=SHORT.instrument, quantity=-1)
    world.broker.positions[SHORT.instrument.key] = ahead
    world.broker.cash += 3000
    world.broker.fault("snapshot", seconds=1, after=True)
    looking = runtime.spawn(world.sender.reconcile(), name="reconcile")
    await runtime.sleep(0.5)  # the torn answer is taken; now the execution arrives
    world.broker.positions.clear()
    world.broker.cash -= 3000
    world.broker.fill(SHORT, exec_id="E0", client_id=None)
    assert (await looking).differences == ()
    assert await halts(world) == 0


@simulated
async def test_f5_reconcile_when_incomplete_then_nothing_is_concluded(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")
    world.broker.fill_spread()
    await world.send("O2")
    await world.sender.pump(0)
    broker = world.broker
    broker.positions, broker.cash, broker.complete = {}, Decimal(0), False
    del broker.orders["O2"]
    result = await world.sender.reconcile()
    assert result.differences == ()
    assert causes(world) == []
    assert world.state("O2") is OrderState.WORKING
    assert world.mode() is Mode.RECOVERY


@simulated
async def test_pump_when_a_batch_holds_old_and_new_reports_then_the_newest_stands(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    await world.sender.replace("O1", Decimal("4.80"))
    world.broker.report("O1", BrokerStatus.WORKING, "4.80", cursor=2)
    world.broker.report("O1", BrokerStatus.WORKING, "5.00", cursor=1)
    await world.sender.pump(0)
    assert world.order().limit == Decimal("4.80")


@simulated
async def test_pump_when_a_cursor_starts_over_with_a_connection_then_told_and_nothing_is_missed(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    for _ in range(20):
        world.broker.report("O1", BrokerStatus.WORKING, "5.00")
    await world.sender.pump(0)
    await world.sender.reconcile()
    world.broker.journal, world.broker.cursor = [], 0
    await world.sender.connect()
    world.broker.fill_spread()
    await world.sender.pump(0)
    assert world.state() is OrderState.FILLED
    assert any("went back from 20 to 0" in str(error) for _, error in world.troubles)


@simulated
async def test_e2_report_when_it_works_after_all_then_counted_again_from_the_complete_books(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", BrokerTimeout())
    await world.send()
    await runtime.sleep(10)
    assert world.state() is OrderState.DENIED
    world.broker.orders["O1"] = BrokerOrder(
        client_id="O1", broker_ref="RO1", status=BrokerStatus.WORKING, limit=Decimal(5), quantity=1, filled=0
    )
    world.broker.report("O1", BrokerStatus.WORKING, "5.00")
    await world.sender.pump(0)
    await runtime.sleep(10)
    assert world.state() is OrderState.WORKING


@simulated
async def test_e3_fill_when_the_order_was_rejected_then_counted_and_the_rest_found_out(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", BrokerRejected("201", "rejected, says the gateway"), after=True)
    await world.send(quantity=2)
    assert world.state() is OrderState.REJECTED
    for leg, price in zip(SPREAD, ("30", "25"), strict=True):
        world.broker.fill(leg, 1, price, exec_id=leg.side.value)
    await world.sender.pump(0)
    await runtime.sleep(10)
    assert world.state() is OrderState.PARTIALLY_FILLED
    assert world.order().leaves == 1


# --- overfills -----------------------------------------------------------------------------------------------------------


@simulated
async def test_e6_overfill_when_it_happens_then_a_fact_and_the_instrument_halts(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fill(SHORT, 2, exec_id="a")
    await world.sender.pump(0)
    assert world.desk.book(PRACTICE).positions[SHORT.instrument.key].quantity == -2
    assert world.mode(SHORT) is Mode.HALT
    assert world.mode(LONG) is Mode.ACTIVE


@simulated
async def test_e6_overfill_when_a_second_one_follows_a_lift_then_halts_again(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fill(SHORT, 2, exec_id="a")
    await world.sender.pump(0)
    await lift(world)
    await world.sender.reconcile()
    assert world.mode(SHORT) is Mode.ACTIVE
    world.broker.fill(SHORT, 1, exec_id="b")
    await world.sender.pump(0)
    assert world.mode(SHORT) is Mode.HALT


@simulated
async def test_e6_overfill_when_busted_lifted_and_filled_again_then_halts_again(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fill(SHORT, 1, exec_id="a")
    world.broker.fill(SHORT, 1, exec_id="b")
    await world.sender.pump(0)
    world.broker.fill(SHORT, 1, exec_id="b-", corrects="b", busted=True)
    await world.sender.pump(0)
    await lift(world)
    world.broker.fill(SHORT, 1, exec_id="c")
    await world.sender.pump(0)
    assert world.mode(SHORT) is Mode.HALT


@pytest.mark.parametrize(
    "leg", [Leg(instrument=SHORT.instrument, side=Side.BUY, effect=SHORT.effect), sell(put(2600))], ids=["the_wrong_side", "no_leg_of_it"]
)
@simulated
async def test_e6_fill_when_the_order_does_not_cover_it_then_halts_the_instrument(runtime: SimRuntime, leg: Leg) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fill(leg, 1, exec_id="a")
    await world.sender.pump(0)
    assert world.desk.book(PRACTICE).cash == world.broker.cash
    assert world.mode(leg) is Mode.HALT


@simulated
async def test_e6_overfill_when_the_desk_died_before_the_halt_then_halted_at_the_start(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fill(SHORT, 2, exec_id="a")
    await world.record(*[Filled(fill=fill) for fill in world.broker.fills])
    again = await reopened(world)
    assert again.mode(SHORT) is Mode.HALT


@simulated
async def test_l6_reconcile_when_the_books_agree_then_nothing_but_the_reconciliation_is_written(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fill_spread()
    await world.sender.pump(0)
    before = await world.store.last_seq()
    await world.sender.reconcile()
    assert [type(event.body) for event in await world.store.read(after=before)] == [Reconciled]


# --- what executions are measured against --------------------------------------------------------------------------------


@pytest.mark.parametrize("heard", ["by_the_stream", "by_the_books"])
@simulated
async def test_fill_when_heard_then_it_carries_the_mid_at_arrival_however_it_came(runtime: SimRuntime, heard: str) -> None:
    world = await open_world(runtime)
    await world.send(mid="5.10")
    world.broker.fill_spread()
    if heard == "by_the_books":
        world.broker.journal.clear()
        await world.sender.reconcile()
    else:
        await world.sender.pump(0)
    fills = [event.body for event in await world.store.read() if isinstance(event.body, Filled)]
    assert [body.mid_at_arrival for body in fills] == [Decimal("5.10")] * 2


@simulated
async def test_fill_when_it_is_nobodys_order_then_it_is_measured_against_nothing(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fill(SHORT, exec_id="X1", client_id=None)
    await world.sender.pump(0)
    (body,) = [event.body for event in await world.store.read() if isinstance(event.body, Filled)]
    assert (body.mid_at_decision, body.mid_at_arrival) == (None, None)


@simulated
async def test_bust_when_it_takes_a_filled_order_back_then_the_books_soon_say_that_nothing_of_it_works(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.send()
    world.broker.fill_spread()
    await runtime.sleep(10)
    world.broker.fill(SHORT, exec_id="E0.B", corrects="E0", busted=True)
    await runtime.sleep(10)
    assert (world.state(), world.order().filled_contracts) == (OrderState.CANCELLED, {SHORT.instrument.key: 0, LONG.instrument.key: 1})
    assert world.desk.book(PRACTICE).live == {}


# --- away and back -------------------------------------------------------------------------------------------------------


@simulated
async def test_f1_connection_when_back_after_an_outage_then_orders_fills_and_money_of_the_meantime_are_booked_first(
    runtime: SimRuntime,
) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.send("O1")
    await runtime.sleep(2)
    world.broker.fault("connect", OSError("1100"), times=5)
    world.broker.fault("updates", OSError("1100"), times=5)
    world.broker.fault("poll", OSError("1100"), times=5)
    await runtime.sleep(3)
    world.broker.fill_spread()
    world.broker.enter("X1")
    assert (await world.send("O2")).state is OrderState.DENIED
    world.broker.heal()
    await runtime.sleep(120)
    assert world.mode(*SPREAD) is Mode.ACTIVE
    assert world.state("O1") is OrderState.FILLED
    assert "X1" in world.desk.book(PRACTICE).external
    assert world.desk.book(PRACTICE).cash == world.broker.cash
    assert world.broker.sent("submit") == ["O1"]


@simulated
async def test_f3_numbers_when_the_broker_starts_over_then_orders_are_told_apart_by_their_own_id(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")
    world.broker.fill_spread()
    await world.sender.pump(0)
    await world.sender.connect()
    await world.send("O2")
    again = replace(world.broker.orders["O2"], broker_ref="RO1")
    world.broker.orders["O2"] = again
    world.broker.orders["RO1"] = replace(again, client_id=None, legs=SPREAD)
    await world.sender.reconcile()
    assert (world.state("O1"), world.state("O2")) == (OrderState.FILLED, OrderState.WORKING)
    assert list(world.desk.book(PRACTICE).external) == ["RO1"]


@simulated
async def test_f4_restart_when_it_falls_into_a_batch_then_what_left_is_found_and_what_did_not_is_denied(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    world.broker.fault("submit", BrokerTimeout(), after=True, only="O1")
    world.broker.fault("submit", BrokerTimeout(), only="O2")
    await world.send("O1")
    await world.send("O2")
    assert {world.state("O1"), world.state("O2")} <= {OrderState.UNKNOWN, OrderState.DENIED}
    await runtime.sleep(120)
    assert (world.state("O1"), world.state("O2")) == (OrderState.WORKING, OrderState.DENIED)
    assert world.broker.sent("submit").count("O1") == 1
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_f5_books_when_they_come_back_empty_and_cut_then_external_orders_are_not_taken_for_gone(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.enter("X1")
    await world.sender.pump(0)
    world.broker.complete, kept = False, dict(world.broker.orders)
    world.broker.orders.clear()
    await world.sender.connect()
    assert "X1" in world.desk.book(PRACTICE).external
    assert world.mode() is Mode.RECOVERY
    world.broker.complete, world.broker.orders = True, kept
    await world.sender.connect()
    assert "X1" in world.desk.book(PRACTICE).external


@simulated
async def test_e9_order_from_elsewhere_when_taken_and_filled_within_one_batch_then_it_does_not_work_on_in_the_book(
    runtime: SimRuntime,
) -> None:
    world = await open_world(runtime)
    working = BrokerOrder(
        client_id=None, broker_ref="X1", status=BrokerStatus.WORKING, limit=Decimal(5), quantity=1, filled=0, legs=SPREAD,
    )
    world.broker.tell(working)
    world.broker.tell(replace(working, status=BrokerStatus.FILLED, filled=1))
    await world.sender.pump(0)
    assert world.desk.book(PRACTICE).external == {}
    world.broker.tell(replace(working, broker_ref="X2"))
    await world.sender.pump(0)
    assert list(world.desk.book(PRACTICE).external) == ["X2"]


@simulated
async def test_n5_corporate_action_when_told_or_in_the_books_then_recorded_once_with_everything_else(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    shares = Equity(symbol="KO")
    action = CorporateAction(
        action_id="A1", account=PRACTICE, symbol="KO", new=2, old=1,
        lines=(Replaced(instrument=shares, quantity=100, successor=shares, becomes=200),), at=runtime.clock.now(),
    )
    call = MarginCalled(call_id="C1", account=PRACTICE, amount=Decimal(100), at=runtime.clock.now(), reason="x")
    paid = CashMoved(
        movement_id="M1", account=PRACTICE, amount=Decimal(48), reason="dividend", at=runtime.clock.now(), symbol="KO", quantity=100,
    )
    cash = world.desk.book(PRACTICE).cash
    for item in (action, call, paid, action, call):
        world.broker.tell(item)
    await world.sender.pump(0)
    book = world.desk.book(PRACTICE)
    assert (list(book.actions), book.call, book.cash - cash) == (["A1"], call, Decimal(48))
