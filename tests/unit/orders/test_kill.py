"""After a kill: only the broker's complete books prove that nothing works, and what they do not prove is named until they do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.announce import announce
from core.command import Call, Caller, Via
from core.commands import unhalt
from core.dispatch import dispatch
from core.domain.events import CancelRequested, KillChecked, KilledOrder, Mode, ModeSet
from core.domain.orders import OrderState
from core.errors import BrokerTimeout, Unavailable
from core.orders.kill import HALTED_BY, TOLD_AFTER_SECONDS, TOLD_AGAIN_SECONDS
from core.ports import BrokerStatus
from core.reply import Notice, Reply
from core.runtime import SimRuntime
from tests.fake_broker import FOR_EVER, SECOND, World, open_world, reopened, simulated
from tests.unit.orders.exit_floor import open_floor
from tests.unit.orders.test_steward import holding
from tests.unit.risk.market import PRACTICE, SPREAD, closing

SHORT, LONG = SPREAD
CLOSE = closing(SPREAD)


class Told:
    """What people are told of the kill, and the file that may stand beside the log."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.lines: list[str] = []
        self.file: str | None = None

    def hears(self, world: World) -> None:
        """Listen to a desk, and start its loops as the keeper would."""
        desk = world.desk

        def heard(event: object, outcomes: object) -> None:
            news = announce(event, outcomes, desk.books)  # type: ignore[arg-type]
            if news is not None and isinstance(event.body, KillChecked):  # type: ignore[attr-defined]
                self.texts += [block.text for block in news.blocks if isinstance(block, Notice)]
                self.lines = [action.line for action in news.actions]

        desk.listen(heard)
        world.run_accounts()
        for account, check in desk.kill_checks.items():
            world.runtime.spawn(check.run(), name=f"kill check {account.id}")

    async def opened(self, runtime: SimRuntime, **more: object) -> World:
        """A desk that runs."""
        world = await open_world(runtime, halt_reason=lambda: self.file, **more)  # type: ignore[arg-type]
        self.hears(world)
        return world


@pytest.fixture
def told() -> Told:
    return Told()


async def checks(world: World) -> list[KillChecked]:
    return [event.body for event in await world.store.read(after=0) if isinstance(event.body, KillChecked)]


async def count(world: World, kind: type) -> int:
    return sum(isinstance(event.body, kind) for event in await world.store.read(after=0))


async def say(world: World, command: str, **args: str) -> Reply:
    return await dispatch(world.desk, Call(command=command, args=args, caller=Caller(person="owner", via=Via.LINE)))


# --- proved ----------------------------------------------------------------------------------------------------------------


@simulated
async def test_kill_when_the_complete_books_show_nothing_then_proved_with_how_each_order_ended(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    await world.send("O2")
    reply = await say(world, "kill")
    await runtime.sleep(5)
    assert reply.ok
    (body,) = await checks(world)
    assert body.proved and body.pending == () and body.read_at is not None
    assert body.kill == world.desk.fold.kill.seq  # type: ignore[union-attr]
    assert [(item.client_id, item.outcome, item.filled) for item in body.ended] == [("O1", "cancelled", 0), ("O2", "cancelled", 0)]
    (text,) = told.texts
    assert text.startswith("Proved: no order of the desk is working at PRACTICE. Its complete books of ")
    assert text.endswith("Ended: O1 cancelled; O2 cancelled.")
    await runtime.sleep(600)
    assert len(await checks(world)) == 1
    assert world.broker.sent("cancel") == ["O1", "O2"]


@simulated
async def test_kill_when_nothing_worked_then_that_is_proved_too(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await say(world, "kill")
    await runtime.sleep(5)
    assert [(body.proved, body.ended) for body in await checks(world)] == [(True, ())]


@simulated
async def test_e4_kill_when_an_order_filled_before_its_cancel_then_told_as_filled(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    await world.send("O2", quantity=2)
    world.broker.fill_spread("O1")
    world.broker.fill(SHORT, 1, "30", exec_id="P0", client_id="O2")
    world.broker.fill(LONG, 1, "25", exec_id="P1", client_id="O2")
    await say(world, "kill")
    await runtime.sleep(5)
    (body,) = await checks(world)
    assert body.proved
    assert body.ended == (
        KilledOrder(client_id="O1", outcome="filled", filled=1, quantity=1),
        KilledOrder(client_id="O2", outcome="cancelled", filled=1, quantity=2),
    )
    assert "Ended: O1 FILLED before its cancel, 1 of 1; O2 cancelled after 1 of 2 filled." in told.texts[0]


@simulated
async def test_kill_when_an_order_from_elsewhere_works_then_named_with_its_button_and_left_alone(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    world.broker.enter("X1")
    await runtime.sleep(2)
    await say(world, "kill")
    await runtime.sleep(5)
    (body,) = await checks(world)
    assert body.proved and body.external == ("X1",)
    assert "EXTERNAL and left alone, they may still fill: X1." in told.texts[0]
    assert told.lines == ["cancel order_id=X1"]
    assert world.broker.sent("cancel_external") == []


@simulated
async def test_kill_when_a_person_closes_afterwards_then_that_order_is_no_part_of_it_and_goes_on(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    world.broker.fill_spread("O1")
    await world.sender.pump(0)
    world.broker.fault("snapshot", Unavailable("books", why="down"), times=FOR_EVER)
    await world.halt()
    await world.send("O2", CLOSE, start="-5.00", worst="-6.00", reducing=True, trade_id="PO1")
    world.broker.heal()
    await runtime.sleep(90)
    assert world.broker.sent("cancel") == []
    body = (await checks(world))[-1]
    assert body.proved and body.confirmed_since == ("O2",)
    assert told.texts[-1].endswith("You confirmed since, and it goes on: O2.")
    assert world.state("O2") is OrderState.WORKING


# --- not proved ------------------------------------------------------------------------------------------------------------


@simulated
async def test_f5_kill_when_the_books_come_incomplete_then_nothing_is_proved_until_they_are_whole(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    world.broker.complete = False
    await say(world, "kill")
    assert world.state("O1") is OrderState.CANCELLED  # by its report; the books say nothing
    await runtime.sleep(TOLD_AFTER_SECONDS + 10)
    (body,) = await checks(world)
    assert not body.proved and body.pending == () and body.read_at is None
    assert body.reason == "the broker's books came incomplete"
    assert "the desk knows of no order that works there, and the broker's complete books have not said so" in told.texts[0]
    world.broker.complete = True
    await runtime.sleep(90)
    assert [item.proved for item in await checks(world)] == [False, True]


@simulated
async def test_e5_kill_when_the_broker_does_not_cancel_then_asked_again_and_named_ever_rarer(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    world.broker.fault("cancel", BrokerTimeout("cancel"), times=FOR_EVER)
    await say(world, "kill")
    await runtime.sleep(TOLD_AFTER_SECONDS + 10)
    (body,) = await checks(world)
    assert not body.proved and body.pending == ("O1",)
    assert "NOT proved at PRACTICE: these may still fill: O1 (1 x " in told.texts[0]
    assert "the broker's number RO1). Cancel them at the broker." in told.texts[0]
    assert 3 <= len(world.broker.sent("cancel")) <= 6  # every ten seconds
    await runtime.sleep(TOLD_AGAIN_SECONDS)
    assert len(told.texts) == 2
    await runtime.sleep(TOLD_AGAIN_SECONDS)
    assert len(told.texts) == 2
    await runtime.sleep(TOLD_AGAIN_SECONDS)
    assert len(told.texts) == 3
    assert [item.times for item in await checks(world)] == [0, 1, 2]
    world.broker.heal()
    await runtime.sleep(90)
    assert (await checks(world))[-1].proved


@simulated
async def test_f1_kill_when_the_broker_is_down_then_not_proved_and_proved_after_the_reconnect(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    for call in ("connect", "poll", "updates", "snapshot", "cancel"):
        world.broker.fault(call, Unavailable("broker", why="no route to host"), times=FOR_EVER)
    reply = await say(world, "kill")
    assert not reply.ok
    await runtime.sleep(60)
    (body,) = await checks(world)
    assert (body.proved, body.pending) == (False, ("O1",))
    assert "no route to host" in told.texts[0].lower()
    world.broker.heal()
    await runtime.sleep(120)
    assert [item.proved for item in await checks(world)] == [False, True]
    assert world.broker.orders["O1"].status is BrokerStatus.CANCELLED


@simulated
async def test_f1_kill_when_the_link_dies_while_the_books_are_read_then_they_prove_nothing(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    cut = Unavailable("broker", why="the line was cut")
    world.broker.fault("snapshot", seconds=8)  # complete books that show nothing are on their way
    world.broker.fault("poll", cut, seconds=3)
    world.broker.fault("connect", cut, times=FOR_EVER)
    await say(world, "kill")
    await runtime.sleep(TOLD_AFTER_SECONDS + 10)
    assert [(body.proved, body.read_at) for body in await checks(world)] == [(False, None)]
    assert "the line was cut" in told.texts[0]
    world.broker.heal()
    await runtime.sleep(120)
    assert [body.proved for body in await checks(world)] == [False, True]


@simulated
async def test_e1_kill_when_nobody_knows_whether_an_order_arrived_then_only_a_new_connection_proves_it(
    runtime: SimRuntime, told: Told
) -> None:
    world = await told.opened(runtime)
    world.broker.fault("submit", BrokerTimeout("submit"))
    await world.send("O1")
    world.broker.fault("connect", Unavailable("broker", why="down"), times=FOR_EVER)
    await say(world, "kill")
    await runtime.sleep(60)
    assert [(body.proved, body.pending) for body in await checks(world)] == [(False, ("O1",))]
    world.broker.heal()
    await runtime.sleep(120)
    body = (await checks(world))[-1]
    assert body.proved and body.ended == (KilledOrder(client_id="O1", outcome="denied", filled=0, quantity=1),)
    assert "O1 was not sent" in told.texts[-1]


@simulated
async def test_e2_kill_when_the_complete_books_do_not_have_an_order_then_a_person_writes_it_off(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    del world.broker.orders["O1"]
    await world.sender.connect()
    await say(world, "kill")
    await runtime.sleep(TOLD_AFTER_SECONDS + 10)
    (body,) = await checks(world)
    assert (body.proved, body.pending, body.lost) == (False, ("O1",), ("O1",))
    assert told.lines == ["cancel order_id=O1", "status"]
    await say(world, "cancel", order_id="O1")
    await runtime.sleep(90)
    assert (await checks(world))[-1].proved


@simulated
async def test_kill_when_an_order_comes_to_life_after_the_proof_then_it_is_cancelled_and_proved_again(
    runtime: SimRuntime, told: Told
) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    await say(world, "kill")
    await runtime.sleep(5)
    world.broker.orders["O1"] = replace(world.broker.orders["O1"], status=BrokerStatus.WORKING)
    await world.sender.reconcile()
    assert world.order("O1").state.terminal is False
    await runtime.sleep(90)
    assert [body.proved for body in await checks(world)] == [True, True]
    assert world.broker.orders["O1"].status is BrokerStatus.CANCELLED


@simulated
async def test_kill_when_one_of_two_accounts_is_down_then_the_other_is_proved_all_the_same(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime, accounts=("PRACTICE", "SECOND"))
    await world.send("O1")
    world.brokers[SECOND].fault("snapshot", BrokerTimeout("books"), times=FOR_EVER)
    await say(world, "kill")
    await runtime.sleep(60)
    found = {body.account: body.proved for body in await checks(world)}
    assert found == {PRACTICE: True, SECOND: False}


# --- once, and for ever ----------------------------------------------------------------------------------------------------


@simulated
async def test_kill_when_killed_twice_then_one_check_goes_on_and_proves_the_second(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    world.broker.fault("cancel", BrokerTimeout("cancel"), times=2)
    await say(world, "kill")
    await say(world, "kill")
    await runtime.sleep(90)
    (body,) = await checks(world)
    kills = [event.seq for event in await world.store.read(after=0) if isinstance(event.body, ModeSet) and event.body.cause == "kill"]
    assert len(kills) == 2 and body.kill == kills[1]
    assert len(told.texts) == 1


@simulated
async def test_j1_kill_when_the_desk_dies_before_the_proof_then_the_next_one_takes_it_up(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    world.broker.fault("cancel", BrokerTimeout("cancel"), times=FOR_EVER)
    await say(world, "kill")
    await runtime.sleep(40)
    world.broker.heal()
    world = await reopened(world)
    told.hears(world)
    await world.runtime.sleep(20)
    bodies = await checks(world)
    assert [(body.proved, body.kill) for body in bodies] == [(False, bodies[0].kill), (True, bodies[0].kill)]
    world = await reopened(world, process="third desk")
    told.hears(world)
    await world.runtime.sleep(120)
    assert len(await checks(world)) == 2, "what is proved is not asked for again"


@simulated
async def test_kill_when_killed_again_during_a_reading_then_that_reading_proves_nothing_of_the_second(
    runtime: SimRuntime, told: Told
) -> None:
    world = await told.opened(runtime)
    await say(world, "kill")
    world.broker.fault("snapshot", seconds=2)
    await runtime.sleep(2)
    await say(world, "kill")
    await runtime.sleep(30)
    (body,) = await checks(world)
    assert body.proved and body.kill == world.desk.fold.kill.seq  # type: ignore[union-attr]


@simulated
async def test_j1_kill_when_the_desk_dies_after_it_said_not_proved_then_the_next_one_still_proves_it(
    runtime: SimRuntime, told: Told
) -> None:
    world = await told.opened(runtime)
    world.broker.complete = False
    await say(world, "kill")
    await runtime.sleep(40)
    world.broker.complete = True
    world = await reopened(world)
    told.hears(world)
    await world.runtime.sleep(20)
    assert [body.proved for body in await checks(world)] == [False, True]


@simulated
async def test_j1_kill_when_the_desk_dies_between_two_tellings_then_the_next_one_goes_on_in_the_same_pauses(
    runtime: SimRuntime, told: Told
) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    world.broker.fault("cancel", BrokerTimeout("cancel"), times=FOR_EVER)
    await say(world, "kill")
    await runtime.sleep(TOLD_AFTER_SECONDS + TOLD_AGAIN_SECONDS + 10)
    world = await reopened(world)
    told.hears(world)
    await world.runtime.sleep(TOLD_AFTER_SECONDS + 10)
    assert [body.times for body in await checks(world)] == [0, 1, 2]
    await world.runtime.sleep(4 * TOLD_AGAIN_SECONDS - 20)
    assert len(told.texts) == 3
    await world.runtime.sleep(20)
    assert len(told.texts) == 4


@simulated
async def test_kill_when_lifted_before_the_proof_then_the_check_ends(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    world.broker.fault("cancel", BrokerTimeout("cancel"), times=FOR_EVER)
    await say(world, "kill")
    await world.halt(Mode.ACTIVE)
    await runtime.sleep(600)
    assert await checks(world) == []


@simulated
async def test_h1_kill_when_the_disk_is_full_then_cancelled_all_the_same_and_proved_once_there_is_space(
    runtime: SimRuntime, told: Told
) -> None:
    world = await told.opened(runtime)
    world.desk.write_halt = lambda reason: setattr(told, "file", reason)
    await world.send("O1")
    world.faults.full = True
    await say(world, "kill")
    await runtime.sleep(60)
    assert told.file == "killed by owner"
    assert world.broker.orders["O1"].status is BrokerStatus.CANCELLED
    world.faults.full = False
    await runtime.sleep(120)
    assert [body.proved for body in await checks(world)] == [True]


# --- the HALT file ---------------------------------------------------------------------------------------------------------


@simulated
async def test_kill_when_a_halt_file_appears_then_written_down_cancelled_and_proved(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    told.file = "no reason given"
    await runtime.sleep(10)
    assert world.broker.sent("cancel") == ["O1"]
    assert [body.proved for body in await checks(world)] == [True]
    told.file = None
    assert world.mode() is Mode.HALT, "the file going lifts nothing"
    await runtime.sleep(60)
    assert len(await checks(world)) == 1


@simulated
async def test_halt_file_when_it_goes_within_seconds_and_the_broker_is_down_then_the_halt_stays(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    world.broker.fault("snapshot", Unavailable("books", why="down"), times=FOR_EVER)
    told.file = "by hand"
    await runtime.sleep(3)
    told.file = None
    assert world.mode() is Mode.HALT
    assert world.desk.fold.kill is not None


@simulated
async def test_halt_file_when_the_desk_wrote_that_it_only_halts_then_working_orders_stay(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    for text in (f"{HALTED_BY}owner", "5 starts in a row died within a minute"):
        told.file = text
        await runtime.sleep(60)
    assert world.broker.sent("cancel") == []
    assert await checks(world) == []
    assert world.mode() is Mode.HALT


@simulated
async def test_h1_halt_when_the_disk_keeps_the_reason_out_of_the_file_then_working_orders_stay(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    world.desk.write_halt = lambda reason: setattr(told, "file", "no reason given")
    await world.send("O1")
    world.faults.full = True
    await say(world, "halt")
    await runtime.sleep(60)
    assert world.broker.sent("cancel") == []


@simulated
async def test_unhalt_when_the_file_is_still_there_as_it_lifts_then_it_is_not_written_down_again(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    world.desk.clear_halt = lambda: setattr(told, "file", None)
    told.file = "by hand"
    await runtime.sleep(10)
    world.faults.slow_seconds = 3
    await unhalt.run(world.desk, Call(command="unhalt", args={}, caller=Caller(person="owner", via=Via.LINE)))
    await runtime.sleep(30)
    assert (told.file, world.mode()) == (None, Mode.ACTIVE)
    assert sum(isinstance(event.body, ModeSet) and event.body.mode is Mode.HALT for event in await world.store.read(after=0)) == 1


# --- silence meanwhile -----------------------------------------------------------------------------------------------------


def legs_sent(world: World) -> list[str]:
    return [client_id for call, client_id, _ in world.broker.wire if call in ("submit", "replace")]


@simulated
async def test_kill_when_its_check_goes_on_then_no_price_walks_and_every_cancel_is_written_ahead(runtime: SimRuntime, told: Told) -> None:
    world = await told.opened(runtime)
    await world.send("O1")
    world.broker.fault("cancel", BrokerTimeout("cancel"), times=FOR_EVER)
    await say(world, "kill")
    await runtime.sleep(300)
    assert legs_sent(world) == ["O1"]
    assert await count(world, CancelRequested) == len(world.broker.sent("cancel"))


@simulated
async def test_kill_when_its_check_goes_on_then_a_touched_stop_sends_nothing(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    await desk.arm(stop_multiple=Decimal(2))
    sent = desk.broker.sent("submit")
    desk.broker.fault("snapshot", Unavailable("books", why="down"), times=FOR_EVER)
    for account, check in desk.world.desk.kill_checks.items():
        runtime.spawn(check.run(), name=f"kill check {account.id}")
    await desk.world.halt()
    desk.price(40.0)
    await desk.turns(400)
    assert desk.broker.sent("submit") == sent
    assert [body.proved for body in await desk.events(KillChecked)] == [False, False]
    desk.broker.heal()
    await desk.turns(90)
    assert [body.proved for body in await desk.events(KillChecked)][-1]
    assert desk.broker.sent("submit") == sent


@simulated
async def test_kill_when_its_check_goes_on_then_a_mandate_acts_on_nothing(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    for account, check in floor.desk.kill_checks.items():
        runtime.spawn(check.run(), name=f"kill check {account.id}")
    await floor.world.halt()
    floor.costs("2.50")
    await floor.round()
    await floor.round()
    assert await floor.sent() == []
    assert [body.proved for body in await floor.bodies(KillChecked)] == [True]
