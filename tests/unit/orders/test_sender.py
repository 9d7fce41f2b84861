"""The wire: what leaves, what must not, and what becomes of an order nobody answers for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.clock import LoopClock
from core.command import Call, Caller, Via
from core.dispatch import dispatch
from core.domain.events import CancelRequested, Mode, ModeSet, NoteWritten, OrderEnded, ReplaceRefused, Replacing, Scope
from core.domain.orders import Effect, OrderState, Side
from core.errors import BrokerRejected, BrokerTimeout, LeaseLost, Unavailable
from core.orders.sender import CANCEL_AGAIN_SECONDS, PRESS_TO_WIRE_SECONDS, cancel_all, closes_too_much, may_send
from core.orders.states import Order
from core.ports import BrokerStatus
from core.runtime import SimRuntime
from tests.fake_broker import FOR_EVER, SECOND, World, open_world, reopened, simulated, taken_over
from tests.unit.risk.market import PRACTICE, SPREAD, buy, closing, put, sell

SHORT, LONG = SPREAD
PERSON = "person:a"
CLOSING = {"legs": closing(SPREAD), "start": "-4.00", "worst": "-5.00"}


async def bodies(world: World, kind: type) -> list[object]:
    return [event.body for event in await world.store.read() if isinstance(event.body, kind)]


# --- sending -------------------------------------------------------------------------------------------------------------


@simulated
async def test_send_when_asked_twice_then_sent_once(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    confirmed = await world.press()
    world.broker.fault("submit", seconds=1)
    await runtime.gather(world.sender.send(confirmed), world.sender.send(confirmed))
    assert world.broker.sent("submit") == ["O1"]
    assert world.state() is OrderState.WORKING


@simulated
async def test_send_when_rejected_then_ended_with_the_brokers_words(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", BrokerRejected("201", "margin"))
    order = await world.send()
    assert (order.state, order.reason) == (OrderState.REJECTED, "the broker rejected it: margin (code 201)")
    assert world.mode() is Mode.ACTIVE


@pytest.mark.parametrize("error", [ConnectionResetError("peer"), ValueError("garbage"), KeyError("status")])
@simulated
async def test_f9_send_when_the_link_breaks_then_unknown_and_reducing_until_a_person_looks(runtime: SimRuntime, error: Exception) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", error, after=True)
    order = await world.send()
    assert order.state is OrderState.UNKNOWN
    await runtime.sleep(30)
    assert world.state() is OrderState.WORKING
    assert world.mode() is Mode.REDUCING


@simulated
async def test_send_when_an_order_is_unknown_then_entries_wait_and_exits_go(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O0")
    world.broker.fill_spread("O0")
    await world.sender.pump(0)
    world.broker.fault("submit", BrokerTimeout())
    await world.send("O1")
    assert world.mode() is Mode.REDUCING
    assert (await world.send("O2")).state is OrderState.DENIED
    assert (await world.send("O3", **CLOSING, reducing=True, trade_id="PO0")).state is OrderState.WORKING
    assert world.broker.sent("submit") == ["O0", "O1", "O3"]


@simulated
async def test_send_when_another_account_has_an_unknown_order_then_this_one_goes_on(runtime: SimRuntime) -> None:
    world = await open_world(runtime, accounts=("PRACTICE", "SECOND"))
    world.broker.fault("submit", BrokerTimeout())
    await world.send("O1")
    assert (await world.send("O2", account=SECOND)).state is OrderState.WORKING


@simulated
async def test_send_when_the_caller_goes_away_on_the_wire_then_the_answer_is_still_heard(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", seconds=5)
    caller = runtime.spawn(world.send(), name="caller")
    await runtime.sleep(1)
    caller.cancel()
    await runtime.sleep(10)
    assert caller.cancelled()
    assert world.state() is OrderState.WORKING
    assert world.broker.sent("submit") == ["O1"]


@simulated
async def test_send_when_the_caller_goes_away_before_the_wire_then_the_order_ends_for_all_to_see(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.press()
    await runtime.sleep(PRESS_TO_WIRE_SECONDS - 5)
    assert world.state() is OrderState.SUBMITTING
    await runtime.sleep(10)
    assert world.state() is OrderState.DENIED
    assert "never sent" in world.order().reason
    assert world.broker.wire == []
    assert world.desk.book(PRACTICE).exposed() == {}


@simulated
async def test_d3_send_when_it_waits_longer_than_a_minute_for_the_wire_then_denied(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    confirmed = await world.press()
    await runtime.sleep(PRESS_TO_WIRE_SECONDS + 1)
    order = await world.sender.send(confirmed)
    assert (order.state, order.reason) == (OrderState.DENIED, "61 seconds passed between the press and the wire")
    assert world.broker.wire == []


@simulated
async def test_i3_send_when_the_clock_was_set_back_since_the_press_then_denied(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    confirmed = await world.press()
    assert isinstance(runtime.clock, LoopClock)
    runtime.clock.step(timedelta(hours=-1))
    assert (await world.sender.send(confirmed)).state is OrderState.DENIED
    assert world.broker.wire == []


@simulated
async def test_send_when_cancelled_before_it_left_then_it_never_leaves(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    confirmed = await world.press()
    await world.sender.cancel("O1", "changed my mind", actor=PERSON)
    order = await world.sender.send(confirmed)
    assert order.state is OrderState.DENIED
    assert world.broker.sent("submit") == []


@simulated
async def test_h1_send_when_the_answer_could_not_be_written_down_then_not_sent_again_nor_called_unsent(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    confirmed = await world.press()
    world.broker.fault("submit", seconds=1)
    sending = runtime.spawn(world.sender.send(confirmed), name="send")
    await runtime.sleep(0.5)  # it is on its way, and the disk fills up
    world.faults.full = True
    with pytest.raises(Unavailable):
        await sending
    world.faults.full = False
    await world.record(NoteWritten(text="the disk works again"))
    order = await world.sender.send(confirmed)
    assert (order.state, order.broker_ref) == (OrderState.SUBMITTING, None)  # the log has not heard the broker's answer
    await runtime.sleep(PRESS_TO_WIRE_SECONDS + 10)
    await world.sender.work()
    assert world.broker.sent("submit") == ["O1"]
    assert await bodies(world, OrderEnded) == []
    await world.sender.connect()
    assert (world.state(), world.order().broker_ref) == (OrderState.WORKING, "RO1")


# --- halting -------------------------------------------------------------------------------------------------------------


@simulated
async def test_halt_when_it_is_stored_while_an_order_waits_then_the_order_does_not_leave(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    confirmed = await world.press()
    world.faults.late_seconds = 1
    halting = runtime.spawn(world.halt(), name="halt")
    await runtime.sleep(0.5)  # durable, and the desk has not heard so yet
    order = await world.sender.send(confirmed)
    await halting
    assert order.state is OrderState.DENIED
    assert world.broker.wire == []


@simulated
async def test_halt_when_recorded_while_a_replace_waits_then_no_replace_leaves(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.faults.slow_seconds = 0.1
    halting = runtime.spawn(world.halt(), name="halt")
    replacing = runtime.spawn(world.sender.replace("O1", Decimal("4.80")), name="replace")
    await halting
    before = len(world.broker.wire)
    await replacing
    left = world.broker.wire[before:]
    refused = await bodies(world, ReplaceRefused)
    assert left == []
    assert len(world.broker.sent("replace")) + len(refused) == len(await bodies(world, Replacing))
    assert world.order().pending_limit is None


@simulated
async def test_halt_when_stored_before_a_replace_is_written_then_refused_and_the_limit_stays(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.faults.slow_seconds = 0.1
    replacing = runtime.spawn(world.sender.replace("O1", Decimal("4.80")), name="replace")
    holding = runtime.spawn(world.record(NoteWritten(text="holds the log")), name="note")
    await runtime.sleep(0)
    halting = runtime.spawn(world.halt(), name="halt")
    await runtime.gather(replacing, holding, halting)
    assert world.order().pending_limit is None
    assert world.order().limit == world.broker.orders["O1"].limit
    after = await world.sender.replace("O1", Decimal("4.60"))
    assert after.limit == world.broker.orders["O1"].limit
    assert "4.60" not in [str(limit) for _, _, limit in world.broker.wire]


@simulated
async def test_halt_when_stored_between_the_check_and_the_written_replace_then_it_is_taken_back_and_never_leaves(
    runtime: SimRuntime,
) -> None:
    world = await open_world(runtime)
    await world.send()
    world.faults.slow_seconds = 0.1
    holding = runtime.spawn(world.record(NoteWritten(text="holds the log")), name="note")
    await runtime.sleep(0.01)
    replacing = runtime.spawn(world.sender.replace("O1", Decimal("4.80")), name="replace")
    await runtime.sleep(0.01)  # it waits for the note, to read the mode
    halting = runtime.spawn(world.halt(), name="halt")
    await runtime.gather(replacing, holding, halting)
    (refused,) = await bodies(world, ReplaceRefused)
    assert isinstance(refused, ReplaceRefused)
    assert (refused.limit, refused.reason) == (Decimal("5.00"), "the desk is in HALT: kill")
    assert (world.order().limit, world.order().pending_limit) == (Decimal("5.00"), None)
    assert world.broker.sent("replace") == []


@pytest.mark.parametrize("mode", [Mode.PAUSED, Mode.REDUCING, Mode.HALT, Mode.RECOVERY, Mode.STANDBY])
@simulated
async def test_send_when_the_desk_is_not_active_then_no_entry_leaves(runtime: SimRuntime, mode: Mode) -> None:
    world = await open_world(runtime)
    await world.halt(mode)
    assert (await world.send()).state is OrderState.DENIED
    assert world.broker.wire == []


def _order(world: World, **facts: bool) -> Order:
    return replace(world.order(), **facts)


@simulated
async def test_may_send_when_paused_then_a_roll_that_adds_risk_stays_and_an_exit_goes(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.press("O1", (*closing((SHORT,)), sell(put(2775))))
    roll = world.order("O1")
    await world.press("O2", closing((LONG,)))
    wing = world.order("O2")
    assert not may_send(Mode.PAUSED, roll)
    assert may_send(Mode.PAUSED, _order(world, reducing=True, exits=True))
    assert not may_send(Mode.PAUSED, wing)  # as the gate has it: it leaves the short uncovered, so it is an entry
    await world.press("O3", closing((LONG,)), exits=True)
    assert may_send(Mode.PAUSED, world.order("O3"))
    assert not may_send(Mode.REDUCING, world.order("O3"))


@pytest.mark.parametrize(("by", "goes"), [({}, True), ({"standing_id": "S1"}, False), ({"mandate": "M1"}, False)])
@simulated
async def test_may_send_when_halted_then_only_an_exit_that_a_person_pressed_by_itself_goes(
    runtime: SimRuntime, by: dict[str, str], goes: bool
) -> None:
    world = await open_world(runtime)
    await world.press("O1", **CLOSING, reducing=True)
    order = replace(world.order("O1"), **by)
    assert may_send(Mode.HALT, order) is goes
    assert may_send(Mode.REDUCING, order)


@simulated
async def test_n9_trade_when_a_holding_from_elsewhere_is_closed_then_no_phantom_trade(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fill(SHORT, exec_id="ext", client_id=None)
    await world.sender.pump(0)
    await world.send("O9", closing((SHORT,)), start="-28", worst="-29", reducing=True)
    world.broker.fill(closing((SHORT,))[0], exec_id="c", client_id="O9")
    await world.sender.pump(0)
    book = world.desk.book(PRACTICE)
    assert (dict(book.positions), dict(book.trades)) == ({}, {})


@simulated
async def test_trade_when_a_holding_from_elsewhere_is_rolled_then_only_what_it_opened_is_open(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fill(SHORT, exec_id="ext", client_id=None)
    await world.sender.pump(0)
    new = sell(put(2775))
    await world.send("O9", (*closing((SHORT,)), new), start="1", worst="0")
    world.broker.fill(closing((SHORT,))[0], exec_id="c", client_id="O9")
    world.broker.fill(new, exec_id="o", client_id="O9")
    await world.sender.pump(0)
    assert world.desk.book(PRACTICE).trades["PO9"].open_units == 1
    await world.send("O10", closing((new,)), start="-28", worst="-29", reducing=True, trade_id="PO9")
    world.broker.fill(closing((new,))[0], exec_id="c2", client_id="O10")
    await world.sender.pump(0)
    assert not world.desk.book(PRACTICE).trades["PO9"].is_open


# --- cancelling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ConnectionResetError("peer"), BrokerTimeout(), ValueError("garbage"), BrokerRejected("1", "no")])
@simulated
async def test_cancel_all_when_one_order_fails_then_the_others_are_cancelled_all_the_same(runtime: SimRuntime, error: Exception) -> None:
    world = await open_world(runtime)
    for number in range(3):
        await world.send(f"O{number}")
    world.broker.fault("cancel", error, only="O0")
    await world.halt()
    result = await cancel_all(world.desk, [world.sender], reason="kill", actor=PERSON)
    assert (result.done, result.pending) == (("O1", "O2"), ("O0",))
    assert world.broker.sent("cancel") == ["O0", "O1", "O2"]


@simulated
async def test_cancel_all_when_one_broker_hangs_then_the_other_account_does_not_wait(runtime: SimRuntime) -> None:
    world = await open_world(runtime, accounts=("PRACTICE", "SECOND"))
    await world.send("O1")
    await world.send("O2", account=SECOND)
    world.broker.fault("cancel", seconds=1000)
    killing = runtime.spawn(cancel_all(world.desk, tuple(world.desk.senders.values()), reason="kill", actor=PERSON), name="kill")
    await runtime.sleep(1)
    assert world.brokers[SECOND].orders["O2"].status is BrokerStatus.CANCELLED
    result = await killing
    assert (result.done, result.pending) == (("O2",), ("O1",))


@simulated
async def test_cancel_when_all_are_meant_then_those_of_every_account_end_and_of_a_named_one_only_its_own(runtime: SimRuntime) -> None:
    world = await open_world(runtime, accounts=("PRACTICE", "SECOND"))
    await world.send("O1")
    await world.send("O2", account=SECOND)
    owner = Caller(person="a", via=Via.LINE)
    await dispatch(world.desk, Call(command="cancel", args={"scope": "all", "account": "second"}, caller=owner))
    assert (world.state("O1"), world.state("O2")) == (OrderState.WORKING, OrderState.CANCELLED)
    await world.send("O3", account=SECOND)
    await dispatch(world.desk, Call(command="cancel", args={"scope": "all"}, caller=owner))
    assert (world.state("O1"), world.state("O3")) == (OrderState.CANCELLED, OrderState.CANCELLED)


@simulated
async def test_cancel_when_the_ears_fail_afterwards_then_it_has_left_and_says_not_yet(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fault("updates", ValueError("cannot parse"))
    order = await world.sender.cancel("O1", "a person", actor=PERSON)
    assert order.state is OrderState.PENDING_CANCEL
    assert world.broker.sent("cancel") == ["O1"]


@simulated
async def test_e7_cancel_when_nobody_answers_then_pending_and_asked_again_in_halt_too(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.send()
    await world.halt()
    world.broker.fault("cancel", BrokerTimeout(), times=3)
    result = await cancel_all(world.desk, [world.sender], reason="kill", actor=PERSON)
    assert result.pending == ("O1",)
    assert world.state() is OrderState.PENDING_CANCEL
    await runtime.sleep(CANCEL_AGAIN_SECONDS * 4 + 5)
    assert world.broker.sent("cancel") == ["O1"] * 4
    assert world.state() is OrderState.CANCELLED


@simulated
async def test_e7_cancel_when_the_desk_is_restarted_then_asked_again(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fault("cancel", BrokerTimeout())
    await world.sender.cancel("O1", "a person", actor=PERSON)
    again = await reopened(world)
    again.run_accounts()
    await runtime.sleep(5)
    assert again.state() is OrderState.CANCELLED


@simulated
async def test_e7_cancel_when_too_late_then_filled_and_the_connection_stays(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    epoch = world.broker.epoch
    world.broker.fill_spread()
    order = await world.sender.cancel("O1", "a person", actor=PERSON)
    await runtime.sleep(30)
    assert order.state is OrderState.FILLED
    assert world.broker.epoch == epoch


@simulated
async def test_h1_cancel_when_the_disk_is_full_then_it_leaves_and_is_asked_again_until_answered(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.send()
    world.faults.full = True
    world.broker.fault("cancel", BrokerTimeout())
    result = await cancel_all(world.desk, [world.sender], reason="kill", actor=PERSON)
    assert result.pending == ("O1",)
    assert world.broker.sent("cancel") == ["O1"]
    await runtime.sleep(120)
    assert world.broker.orders["O1"].status is BrokerStatus.CANCELLED
    world.faults.full = False
    await runtime.sleep(120)
    assert world.state() is OrderState.CANCELLED


@simulated
async def test_e5_cancel_when_a_part_filled_first_then_the_part_counts_and_the_rest_is_over(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send(quantity=3)
    for leg, price in zip(SPREAD, ("30", "25"), strict=True):
        world.broker.fill(leg, 1, price, exec_id=leg.side.value)
    order = await world.sender.cancel("O1", "a person", actor=PERSON)
    assert (order.state, order.filled, order.leaves) == (OrderState.CANCELLED, 1, 0)


# --- replacing -----------------------------------------------------------------------------------------------------------


@simulated
async def test_l5_e8_replace_when_its_price_was_refused_then_asked_for_again_only_after_a_pause(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")
    world.broker.fault("replace", BrokerRejected("110", "no such price"), times=FOR_EVER)

    for _ in range(10):
        await world.sender.replace("O1", Decimal("4.80"))
        await runtime.sleep(1)
    assert world.broker.wire.count(("replace", "O1", Decimal("4.80"))) == 1
    await world.sender.replace("O1", Decimal("4.60"))
    await runtime.sleep(15)
    await world.sender.replace("O1", Decimal("4.60"))

    assert [limit for call, _, limit in world.broker.wire if call == "replace"] == [Decimal("4.80"), Decimal("4.60"), Decimal("4.60")]


@simulated
async def test_e8_replace_when_refused_then_the_original_stays_live_at_its_price(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fault("replace", BrokerRejected("110", "tick"))
    order = await world.sender.replace("O1", Decimal("4.80"))
    assert (order.state, order.limit, order.pending_limit) == (OrderState.WORKING, Decimal("5.00"), None)


@simulated
async def test_replace_when_nobody_answers_then_unknown_until_the_broker_says(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fault("replace", BrokerTimeout(), after=True)
    order = await world.sender.replace("O1", Decimal("4.80"))
    assert order.state is OrderState.UNKNOWN
    await runtime.sleep(30)
    assert (world.state(), world.order().limit) == (OrderState.WORKING, Decimal("4.80"))


@simulated
async def test_replace_when_the_last_one_was_not_answered_then_none_follows_until_the_broker_names_the_limit(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send(quantity=3)
    world.broker.fault("replace", BrokerTimeout(), after=True)
    await world.sender.replace("O1", Decimal("4.80"))
    for leg, price in zip(SPREAD, ("30", "25"), strict=True):
        world.broker.fill(leg, 1, price, exec_id=leg.side.value)
    await world.sender.pump(0)  # a part fills: it works, and which of the two limits stands is still unknown
    order = await world.sender.replace("O1", Decimal("4.60"))
    assert (order.state, order.limit, order.pending_limit) == (OrderState.PARTIALLY_FILLED, Decimal("5.00"), Decimal("4.80"))
    assert world.broker.sent("replace") == ["O1"]
    await world.sender.connect()
    order = await world.sender.replace("O1", Decimal("4.60"))
    assert (order.limit, order.pending_limit) == (Decimal("4.60"), None)


@simulated
async def test_e11_replace_when_the_broker_holds_the_order_then_its_price_waits_until_it_works_again(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.report("O1", BrokerStatus.HELD, "5.00")
    await world.sender.pump(0)
    await world.sender.replace("O1", Decimal("4.80"))
    assert world.broker.sent("replace") == []
    world.broker.report("O1", BrokerStatus.WORKING, "5.00")
    await world.sender.pump(0)
    assert (await world.sender.replace("O1", Decimal("4.80"))).limit == Decimal("4.80")


@simulated
async def test_n8_replace_when_what_a_close_is_for_was_closed_elsewhere_then_its_price_stays_where_it_is(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1", quantity=2)
    world.broker.fill_spread("O1", quantity=2)
    await world.sender.pump(0)
    await world.send("O2", **CLOSING, quantity=2, reducing=True, trade_id="PO1")
    assert (await world.sender.replace("O2", Decimal("-4.20"))).limit == Decimal("-4.20")
    for number, leg in enumerate(closing(SPREAD)):
        world.broker.fill(leg, 1, exec_id=f"app{number}", client_id=None)
    await world.sender.pump(0)  # 1 is held, the order would close 2 and so open 1 the other way
    order = await world.sender.replace("O2", Decimal("-4.40"))
    assert (order.limit, order.pending_limit) == (Decimal("-4.20"), None)
    assert [limit for call, _, limit in world.broker.wire if call == "replace"] == [Decimal("-4.20")]


@pytest.mark.parametrize(("closed", "mine", "too_much"), [(0, 0, False), (1, 0, True), (1, 1, False), (2, 0, True)])
@simulated
async def test_closes_too_much_when_less_is_held_than_is_left_of_it_then_yes(
    runtime: SimRuntime, closed: int, mine: int, too_much: bool
) -> None:
    world = await open_world(runtime)
    await world.send("O1", quantity=2)
    world.broker.fill_spread("O1", quantity=2)
    await world.send("O2", **CLOSING, quantity=2, reducing=True, trade_id="PO1")
    for number in range(closed):
        for leg in closing(SPREAD):
            world.broker.fill(leg, 1, exec_id=f"{leg.side.value}{number}", client_id="O2" if number < mine else None)
    await world.sender.pump(0)
    assert closes_too_much(world.order("O2"), world.desk.book(PRACTICE)) is too_much


@simulated
async def test_replace_when_one_leg_filled_alone_then_in_reducing_what_is_left_waits_for_a_person(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")
    world.broker.fill_spread("O1")
    await world.sender.pump(0)
    await world.send("O2", **CLOSING, reducing=True, trade_id="PO1")
    world.broker.fill(closing((SHORT,))[0], 1, exec_id="c", client_id="O2")
    await world.sender.pump(0)  # what is left only sells the long put
    await world.halt(Mode.REDUCING)
    assert (await world.sender.replace("O2", Decimal("-4.20"))).limit == Decimal("-4.00")
    assert world.broker.sent("replace") == []
    await world.halt(Mode.ACTIVE)
    assert (await world.sender.replace("O2", Decimal("-4.20"))).limit == Decimal("-4.20")


@simulated
async def test_work_when_nothing_fills_then_walks_to_the_worst_price_and_never_past_it(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.send()
    await runtime.sleep(600)
    assert [str(limit) for name, _, limit in world.broker.wire if name == "replace"] == ["4.80", "4.60", "4.40", "4.20", "4.00"]


# --- runaway -------------------------------------------------------------------------------------------------------------


@simulated
async def test_l4_orders_when_they_only_walk_then_no_runaway(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    for number in range(25):
        await world.send(f"O{number}")
    await runtime.sleep(120)
    assert len(world.broker.sent("replace")) == 125
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_l4_orders_when_too_many_add_risk_in_a_minute_then_halt_once_and_exits_still_go(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    limit = world.desk.settings.desk.whole("orders_per_minute")
    for number in range(limit + 3):
        await world.send(f"O{number}")
    assert len(world.broker.sent("submit")) == limit
    assert [body.cause for body in await bodies(world, ModeSet) if isinstance(body, ModeSet)] == ["runaway"]
    assert world.mode() is Mode.HALT
    assert (await world.send("X", **CLOSING, reducing=True)).state is OrderState.WORKING


@simulated
async def test_l4_orders_when_they_reduce_then_never_too_many(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    limit = world.desk.settings.desk.whole("orders_per_minute")
    for number in range(limit + 5):
        await world.send(f"O{number}", **CLOSING, reducing=True)
    assert len(world.broker.sent("submit")) == limit + 5
    assert world.mode() is Mode.ACTIVE


# --- one owner -----------------------------------------------------------------------------------------------------------


@simulated
async def test_h8_send_when_another_desk_took_over_then_the_old_one_sends_nothing(runtime: SimRuntime) -> None:
    old = await open_world(runtime)
    await old.send("O1")
    confirmed = await old.press("O2")
    new = await taken_over(old)
    before = list(new.broker.wire)
    with pytest.raises(LeaseLost):
        await old.sender.send(confirmed)
    await old.sender.replace("O1", Decimal("4.80"))
    with pytest.raises(LeaseLost):
        await old.sender.cancel("O1", "old", actor=PERSON)
    assert new.broker.wire == before
    assert old.mode() is Mode.STANDBY
    assert (await new.send("O3")).state is OrderState.WORKING


@simulated
async def test_d7_send_when_the_process_dies_on_the_wire_then_one_order_and_the_next_start_knows_it(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", seconds=3, after=True)
    runtime.spawn(world.send(), name="send")
    await asyncio.sleep(1)
    again = await reopened(world)
    assert again.state() is OrderState.WORKING
    assert again.broker.sent("submit") == ["O1"]


@simulated
async def test_at_rest_when_an_answer_is_awaited_then_waits_for_it_but_not_for_ever(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", seconds=3)
    runtime.spawn(world.send(), name="send")
    await runtime.sleep(1)
    assert not await world.sender.at_rest(1)
    assert await world.sender.at_rest(5)
    assert world.state() is OrderState.WORKING


@simulated
async def test_cancel_when_asked_again_then_each_request_is_written_first(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.send()
    world.broker.fault("cancel", BrokerTimeout(), times=FOR_EVER)
    await world.sender.cancel("O1", "a person", actor=PERSON)
    await runtime.sleep(35)
    assert len(await bodies(world, CancelRequested)) == len(world.broker.sent("cancel"))
    assert await bodies(world, OrderEnded) == []


@simulated
async def test_lift_when_a_runaway_was_halted_then_entries_go_again_after_a_minute(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    for number in range(world.desk.settings.desk.whole("orders_per_minute") + 1):
        await world.send(f"O{number}", legs=(buy(put(2600)),), start="-1.00", worst="-1.10")
    await world.record(ModeSet(scope=Scope(), mode=Mode.ACTIVE, cause="runaway", reason="lifted"))
    await runtime.sleep(61)
    assert (await world.send("X")).state is OrderState.WORKING


@simulated
async def test_send_when_another_order_closes_a_part_of_it_already_then_not_sent_in_the_place_of_a_third(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1", quantity=2)
    world.broker.fill_spread("O1", quantity=2)
    await world.sender.pump(0)
    await world.send("O2", **CLOSING, reducing=True, trade_id="PO1")
    await world.send("O3", **CLOSING, reducing=True, trade_id="PO1")
    order = await world.send("O4", **CLOSING, quantity=2, reducing=True, trade_id="PO1", instead_of=("O2",))
    assert world.state("O2") is OrderState.CANCELLED
    assert order.state is OrderState.DENIED  # 2 are held, O3 closes 1 of them
    assert "is not held any more" in order.reason
    assert (await world.send("O5", **CLOSING, reducing=True, trade_id="PO1", instead_of=("O2",))).state is OrderState.WORKING


@simulated
async def test_e2_send_when_the_opening_in_its_way_sells_more_before_it_is_gone_then_the_wing_is_not_sold(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1", quantity=2)
    world.broker.fill(SPREAD[1], 2, "25", exec_id="L")  # the wing alone
    await world.sender.pump(0)
    world.broker.fill(SPREAD[0], 2, "30", exec_id="S")  # and its short, which nobody has heard of
    wing = (replace(SPREAD[1], side=Side.SELL, effect=Effect.CLOSE),)
    order = await world.send("O2", legs=wing, start="24.00", worst="23.00", reducing=True, trade_id="PO1", instead_of=("O1",))
    assert order.state is OrderState.DENIED
    assert order.reason == "O1 sold more before it was cancelled: this would lay a short open now"
    assert world.broker.sent("submit") == ["O1"]


@simulated
async def test_e7_send_when_the_order_in_its_way_cannot_be_proved_cancelled_then_denied_and_no_error(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")
    world.broker.fault("cancel", BrokerTimeout())
    world.broker.fault("updates", seconds=1000, times=FOR_EVER)
    order = await world.send("O2", **CLOSING, reducing=True, instead_of=("O1",))
    assert (order.state, order.reason) == (OrderState.DENIED, "O1 could not be cancelled first")
    assert world.broker.sent("submit") == ["O1"]
