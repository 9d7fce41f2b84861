"""Standing orders: what rests, what is watched, what is sent in parts, and that nothing is ever closed twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.command import Call, Caller, Via
from core.command import Role as PersonRole
from core.dispatch import dispatch
from core.domain.events import AlertRaised, Armed, Disarmed, Mode, Role, StopMoved, StopTriggered, Submitting
from core.domain.orders import Effect, Leg, OrderState
from core.domain.plans import Bracket, Exits, Slicing, Wish
from core.errors import BrokerRejected, BrokerTimeout, UserError
from core.orders.standing import Standing, committed
from core.orders.ticket import Confirmed
from core.ports import BrokerStatus
from core.reply import Reply
from core.risk.rules import capital
from core.runtime import SimRuntime
from tests.fake_broker import FOR_EVER, World, open_world, reopened, simulated
from tests.unit.orders.test_ticket_press import Shop
from tests.unit.risk.market import PRACTICE, SPREAD, closing, intent

SHORT, LONG = SPREAD
CLOSE = closing(SPREAD)


class Held:
    """A desk that holds one or more spreads sold for 5.00, trade PO0, beside a market made by hand."""

    def __init__(self, world: World) -> None:
        self.shop = Shop(world)
        self.world = world

    @property
    def steward(self) -> Any:
        return self.world.desk.stewards[PRACTICE]

    @property
    def broker(self) -> Any:
        return self.world.broker

    def price(self, short_bid: float, long_bid: float = 25.0, *, spread: float = 0.2) -> None:
        """Bids of the two puts; closing at mid costs their difference."""
        self.shop.market.quotes[SHORT.instrument.key] = (short_bid, short_bid + spread)
        self.shop.market.quotes[LONG.instrument.key] = (long_bid, long_bid + spread)

    async def arm(self, quantity: int = 1, **wish: Any) -> tuple[str, ...]:
        """Press a card that closes by a plan; returns the standing orders."""
        asked = intent(CLOSE, quantity, trade_id="PO0", quantity_said=True, wish=Wish(**wish))
        card = await self.shop.card(asked)
        assert card.ok, card
        confirmed = await self.shop.press()
        assert isinstance(confirmed, Confirmed), confirmed
        assert not confirmed.sends
        return confirmed.standing

    async def turns(self, seconds: float, *, every: float = 1.0) -> None:
        """Let the steward and the sender work for a while."""
        for _ in range(int(seconds / every)):
            await self.world.runtime.sleep(every)
            await self.world.sender.work()
            await self.steward.turn()

    def standing(self, name: str) -> Standing:
        found = self.world.desk.books.find_standing(name)
        assert found is not None
        return found

    def children(self, name: str) -> list[str]:
        return list(self.standing(name).children)

    def fill(self, client_id: str, legs: Sequence[Leg], prices: Sequence[str], *, quantity: int = 1) -> None:
        for number, (leg, price) in enumerate(zip(legs, prices, strict=True)):
            self.broker.fill(leg, quantity, price, exec_id=f"{client_id}.{number}.{len(self.broker.fills)}", client_id=client_id)
        order = self.broker.orders[client_id]
        filled = order.filled + quantity
        status = BrokerStatus.FILLED if filled >= order.quantity else order.status
        self.broker.orders[client_id] = replace(order, filled=filled, status=status)

    async def events(self, kind: type) -> list[Any]:
        return [event.body for event in await self.world.store.read() if isinstance(event.body, kind)]

    async def alerts(self) -> list[str]:
        return [body.text for body in await self.events(AlertRaised)]


async def holding(runtime: SimRuntime, units: int = 1, **more: Any) -> Held:
    world = await open_world(runtime, **more)
    await world.send("O0", quantity=units)
    world.broker.fill_spread("O0", quantity=units)
    await world.sender.pump(0)
    desk = Held(world)
    desk.price(30.0)
    return desk


# --- targets -------------------------------------------------------------------------------------------------------------


@simulated
async def test_target_when_armed_then_rests_at_the_broker_at_its_price_until_cancelled(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (target,) = await desk.arm(target_share=Decimal("0.5"))
    await desk.turns(120)
    (child,) = desk.children(target)
    order = desk.world.order(child)
    assert (order.state, order.limit, order.quantity, order.envelope.tif.value) == (OrderState.WORKING, Decimal("-2.50"), 1, "gtc")
    assert desk.broker.sent("submit") == ["O0", child]
    assert desk.broker.sent("replace") == []  # it rests: its price never walks


@simulated
async def test_target_when_filled_then_the_stop_ends_with_it(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    target, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    desk.fill(desk.children(target)[0], CLOSE, ("12.50", "10.00"))
    await desk.turns(3)
    assert (desk.standing(target).ended, desk.standing(stop).ended) == ("done", "done")
    assert not desk.world.desk.book(PRACTICE).positions


@simulated
async def test_target_when_the_desk_dies_after_arming_then_placed_once_after_the_restart(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (target,) = await desk.arm(target_share=Decimal("0.5"))
    again = Held(await reopened(desk.world))
    again.price(30.0)
    await again.turns(5)
    assert len(again.children(target)) == 1
    assert again.broker.sent("submit") == ["O0", again.children(target)[0]]


@simulated
async def test_target_when_its_order_is_unknown_then_no_second_one_is_sent(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (target,) = await desk.arm(target_share=Decimal("0.5"))
    desk.broker.fault("submit", BrokerTimeout(), after=True)
    await desk.turns(30)
    assert len(desk.children(target)) == 1
    assert desk.world.state(desk.children(target)[0]) is OrderState.WORKING


@simulated
async def test_target_when_reached_already_then_refused_with_the_number(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    desk.price(26.0)
    with pytest.raises(UserError, match=r"costs 1\.00 to close now.*target of 2\.50"):
        await desk.arm(target_share=Decimal("0.5"))


@simulated
async def test_target_when_a_person_closes_it_themselves_then_waits_silently_and_rests_after_their_cancel(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    await desk.world.send("O7", CLOSE, start="-5.00", worst="-5.00", reducing=True, trade_id="PO0")
    (target,) = await desk.arm(target_share=Decimal("0.5"))
    await desk.turns(30)
    assert desk.children(target) == []
    assert await desk.alerts() == []  # it is no refusal: nothing was asked of the rules
    await desk.world.sender.cancel("O7", "changed my mind")
    await desk.turns(3)
    assert [desk.world.order(name).quantity for name in desk.children(target)] == [1]


# --- stops ---------------------------------------------------------------------------------------------------------------


@simulated
async def test_stop_when_touched_on_two_looks_then_closes_inside_its_guard(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    await desk.turns(60)
    assert desk.children(stop) == []
    desk.price(40.5)  # closing costs 15.50: beyond 15.00
    await desk.turns(29)
    assert desk.children(stop) == []  # one look is none
    await desk.turns(30)
    (child,) = desk.children(stop)
    (triggered,) = await desk.events(StopTriggered)
    assert (triggered.level, triggered.mid) == (Decimal("-15.00"), Decimal("-15.50"))
    assert desk.world.order(child).limit <= Decimal("-15.50")
    await desk.turns(90)
    order = desk.world.order(child)
    assert order.limit == Decimal("-15.70")  # natural
    limits = [limit for name, client_id, limit in desk.broker.wire if client_id == child and name != "cancel"]
    assert all(Decimal("-18.75") <= limit <= Decimal("-5.00") for limit in limits)
    assert limits == sorted(limits, reverse=True)


@simulated
async def test_stop_when_the_mid_only_flickers_then_nothing_is_sent(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    for short_bid in (40.5, 39.0, 40.5, 39.0, 40.5, 39.0):
        desk.price(short_bid)
        await desk.turns(16)
    assert desk.children(stop) == []
    assert not await desk.events(StopTriggered)


@simulated
async def test_stop_when_the_spread_is_too_wide_then_told_and_not_sent(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    desk.price(40.5, spread=4.0)
    await desk.turns(120)
    assert desk.children(stop) == []
    (text,) = await desk.alerts()
    assert "the spread is too wide" in text


@simulated
async def test_stop_when_touched_then_the_resting_target_is_cancelled_and_proved_so_first(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    target, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    resting = desk.children(target)[0]
    desk.price(40.5)
    desk.broker.fault("cancel", seconds=20)
    await desk.turns(80)
    (child,) = desk.children(stop)
    wire = [(name, client_id) for name, client_id, _ in desk.broker.wire]
    assert wire.index(("cancel", resting)) < wire.index(("submit", child))
    assert desk.world.state(resting) is OrderState.CANCELLED


@simulated
async def test_e10_stop_when_the_target_fills_while_it_is_cancelled_then_nothing_is_closed_twice(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    target, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    resting = desk.children(target)[0]
    desk.price(40.5)
    desk.broker.fault("cancel", BrokerRejected("161", "too late"))
    desk.fill(resting, CLOSE, ("12.50", "10.00"))
    await desk.turns(90)
    assert desk.children(stop) == []
    assert not desk.world.desk.book(PRACTICE).positions
    assert desk.standing(stop).ended == "done"


@simulated
async def test_e10_stop_when_the_broker_refuses_it_then_alarmed_tried_again_and_never_silently_gone(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    desk.price(40.5)
    desk.broker.fault("submit", BrokerRejected("201", "no"), times=3)
    await desk.turns(50)
    assert len(desk.children(stop)) == 1
    assert any("could not be sent" in text for text in await desk.alerts())
    await desk.turns(200)
    assert len(desk.children(stop)) == 3
    assert desk.standing(stop).ended == "refused"


@simulated
async def test_stop_when_halted_then_nothing_leaves_and_a_person_is_rung(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    await desk.world.halt()
    desk.price(40.5)
    await desk.turns(120)
    assert desk.broker.sent("submit") == ["O0"]
    raised = [body for body in await desk.events(AlertRaised) if body.urgency == "critical"]
    assert [body.lines for body in raised] == [("close position_id=PO0", "positions")]
    await desk.world.halt(Mode.ACTIVE)
    await desk.turns(5)
    assert len(desk.children(stop)) == 1


@simulated
async def test_stop_when_halted_between_its_order_and_the_wire_then_the_order_never_leaves(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    desk.price(40.5)
    async with desk.world.sender._wire:  # something else is on its way to the broker
        turning = runtime.spawn(desk.turns(60), name="turns")
        await runtime.sleep(50)
        (child,) = desk.children(stop)
        await desk.world.halt()
    await turning
    assert (desk.world.state(child), desk.world.order(child).reason) == (OrderState.DENIED, "the desk is in HALT: kill")
    assert desk.broker.sent("submit") == ["O0"]


@pytest.mark.parametrize("mode", [Mode.PAUSED, Mode.REDUCING])
@simulated
async def test_stop_when_entries_are_stopped_then_exits_go_on(runtime: SimRuntime, mode: Mode) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    await desk.world.halt(mode)
    desk.price(40.5)
    await desk.turns(60)
    assert len(desk.children(stop)) == 1


@simulated
async def test_stop_when_passed_while_the_desk_was_away_then_told_before_it_is_sent(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    again = Held(await reopened(desk.world))
    again.price(40.5)
    await again.turns(2)
    (text,) = await again.alerts()
    assert "was passed while the desk was away" in text
    assert again.children(stop) == []
    await again.turns(40)
    assert len(again.children(stop)) == 1


@pytest.mark.parametrize("arrived", [True, False])
@simulated
async def test_j1_stop_when_killed_on_the_wire_then_exactly_one_order_works_after_the_restart(runtime: SimRuntime, arrived: bool) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    desk.price(40.5)
    desk.broker.fault("submit", seconds=8, after=arrived)
    runtime.spawn(desk.turns(120), name="turns")
    while not desk.children(stop):
        await asyncio.sleep(0.5)
    again = Held(await reopened(desk.world))
    again.broker.heal()
    again.price(40.5)
    await again.turns(90)
    live = [name for name in again.children(stop) if not again.world.order(name).state.terminal]
    assert len(live) == 1
    working = [name for name, order in again.broker.orders.items() if order.status is BrokerStatus.WORKING]
    assert working == live


@simulated
async def test_stop_when_not_filled_at_natural_then_a_person_may_pay_more(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    await desk.arm(stop_multiple=Decimal(2))
    desk.price(40.5)
    await desk.turns(140)
    (raised,) = [body for body in await desk.events(AlertRaised) if body.urgency == "critical"]
    assert "sent and not filled" in raised.text
    assert "close position_id=PO0 limit=17.30" in raised.lines  # natural 15.70 and a tenth, on the price step


@simulated
async def test_stop_when_a_person_closes_themselves_then_it_waits_and_says_so(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    await desk.world.send("O7", CLOSE, start="-5.00", worst="-5.00", reducing=True, trade_id="PO0")
    desk.price(40.5)
    await desk.turns(60)
    assert desk.children(stop) == []
    assert any("Both would close it twice" in text for text in await desk.alerts())


# --- trailing and scaled -------------------------------------------------------------------------------------------------


@simulated
async def test_trailing_stop_when_the_price_improves_then_follows_and_never_goes_back(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(trail=Decimal(2))
    desk.price(27.0)  # closing costs 2.00: the stop follows to 4.00
    await desk.turns(20)
    desk.price(28.0)
    await desk.turns(60)
    assert desk.standing(stop).level == Decimal("-4.00")
    assert desk.children(stop) == []
    desk.price(29.2)  # 4.20
    await desk.turns(60)
    assert len(desk.children(stop)) == 1
    levels = [body.level for body in await desk.events(StopMoved)]
    assert levels == sorted(levels)


@simulated
async def test_trailing_stop_when_restarted_then_remembers_the_best_price(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(trail=Decimal(2))
    desk.price(27.0)
    await desk.turns(20)
    again = Held(await reopened(desk.world))
    again.price(29.2)
    await again.turns(60)
    assert len(again.children(stop)) == 1


# --- brackets ------------------------------------------------------------------------------------------------------------


async def bracketed(runtime: SimRuntime, quantity: int = 2) -> tuple[Held, Confirmed]:
    desk = Held(await open_world(runtime))
    desk.price(30.0)
    wish = Wish(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.shop.card(intent(SPREAD, quantity, quantity_said=True, wish=wish))
    confirmed = await desk.shop.press()
    assert isinstance(confirmed, Confirmed), confirmed
    await desk.world.sender.send(confirmed)
    return desk, confirmed


@simulated
async def test_bracket_when_nothing_fills_then_its_exits_end_with_the_entry(runtime: SimRuntime) -> None:
    desk, confirmed = await bracketed(runtime)
    assert isinstance(desk.world.order(confirmed.client_id).envelope.plan, Bracket)
    await desk.turns(5)
    assert all(desk.standing(name).is_live and not desk.children(name) for name in confirmed.standing)
    await desk.world.sender.cancel(confirmed.client_id, "test")
    await desk.turns(5)
    assert [desk.standing(name).ended for name in confirmed.standing] == ["cancelled", "cancelled"]


@simulated
async def test_bracket_when_partly_filled_then_the_target_rests_for_what_is_filled_and_grows(runtime: SimRuntime) -> None:
    desk, confirmed = await bracketed(runtime)
    target, _ = confirmed.standing
    desk.fill(confirmed.client_id, SPREAD, ("30", "25"))
    await desk.turns(3)
    (first,) = desk.children(target)
    child = desk.world.order(first)
    assert (child.quantity, child.limit) == (1, Decimal("-2.50"))
    assert isinstance(child.envelope.plan, Exits)
    assert all(leg.effect is Effect.CLOSE for leg in child.envelope.legs)
    desk.fill(confirmed.client_id, SPREAD, ("30", "25"))
    await desk.turns(3)
    book = desk.world.desk.book(PRACTICE)
    assert sum(book.orders[name].leaves for name in desk.children(target)) == 2
    assert committed(desk.standing(target), book.orders) == 2


@simulated
async def test_bracket_when_the_stop_is_touched_while_the_entry_works_then_the_entry_is_taken_back_first(runtime: SimRuntime) -> None:
    desk, confirmed = await bracketed(runtime)
    _, stop = confirmed.standing
    desk.fill(confirmed.client_id, SPREAD, ("30", "25"))
    await desk.turns(3)
    desk.price(40.5)
    await desk.turns(90)
    (child,) = desk.children(stop)
    wire = [(name, client_id) for name, client_id, _ in desk.broker.wire]
    assert wire.index(("cancel", confirmed.client_id)) < wire.index(("submit", child))
    assert desk.world.order(child).quantity == 1


# --- another close -------------------------------------------------------------------------------------------------------


@simulated
async def test_close_when_a_target_rests_then_that_is_cancelled_before_it_is_sent(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (target,) = await desk.arm(target_share=Decimal("0.5"))
    await desk.turns(3)
    resting = desk.children(target)[0]
    await desk.shop.card(intent(CLOSE, 1, trade_id="PO0", quantity_said=True))
    confirmed = await desk.shop.press()
    assert isinstance(confirmed, Confirmed), confirmed
    order = await desk.world.sender.send(confirmed)
    assert order.state is OrderState.WORKING
    assert [entry[:2] for entry in desk.broker.wire[-2:]] == [("cancel", resting), ("submit", order.client_id)]
    await desk.turns(10)
    assert desk.children(target) == [resting]  # not rested again while the person's own close works


@simulated
async def test_close_when_the_target_fills_meanwhile_then_not_sent(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (target,) = await desk.arm(target_share=Decimal("0.5"))
    await desk.turns(3)
    resting = desk.children(target)[0]
    await desk.shop.card(intent(CLOSE, 1, trade_id="PO0", quantity_said=True))
    confirmed = await desk.shop.press()
    assert isinstance(confirmed, Confirmed)
    desk.broker.fault("cancel", BrokerRejected("161", "too late"))
    desk.fill(resting, CLOSE, ("12.50", "10.00"))
    order = await desk.world.sender.send(confirmed)
    assert order.state is OrderState.DENIED
    assert "not held any more" in order.reason
    assert desk.broker.sent("submit") == ["O0", resting]


@simulated
async def test_stop_when_armed_again_then_the_new_one_replaces_the_old(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (old,) = await desk.arm(stop_multiple=Decimal(2))
    await runtime.sleep(1)
    (new,) = await desk.arm(stop_multiple=Decimal(3))
    assert (desk.standing(old).ended, desk.standing(new).ended) == ("replaced", None)


# --- parts ---------------------------------------------------------------------------------------------------------------


async def in_parts(runtime: SimRuntime, quantity: int = 4, **wish: Any) -> tuple[Held, str]:
    desk = Held(await open_world(runtime))
    desk.price(30.0)
    wanted = {"slicing": Slicing.TWAP, "parts": 4, "minutes": 4} | wish
    order = intent(SPREAD, quantity, quantity_said=True, wish=Wish(**wanted))
    card = await desk.shop.card(order)
    assert card.ok, card
    confirmed = await desk.shop.press()
    assert isinstance(confirmed, Confirmed), confirmed
    return desk, confirmed.standing[0]


@pytest.fixture(autouse=True)
def _roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are not what these tests are about."""
    wide = tuple(replace(item, default=Decimal("0.9"), high=Decimal(1)) for item in capital.PARAMETERS if item.name == "max_fraction")
    others = tuple(item for item in capital.PARAMETERS if item.name != "max_fraction")
    monkeypatch.setattr(capital, "PARAMETERS", (*wide, *others))


@simulated
async def test_parts_when_timed_then_sent_one_after_another_and_never_more_than_confirmed(runtime: SimRuntime) -> None:
    desk, name = await in_parts(runtime)
    for number in range(4):
        await desk.turns(3)
        assert len(desk.children(name)) == number + 1
        desk.fill(desk.children(name)[-1], SPREAD, ("30", "25"))
        await desk.turns(57)
    await desk.turns(5)
    assert desk.standing(name).ended == "done"
    orders = [desk.world.order(child) for child in desk.children(name)]
    assert [order.quantity for order in orders] == [1, 1, 1, 1]
    assert sum(order.filled for order in orders) == 4


@simulated
async def test_parts_when_one_does_not_fill_then_taken_back_and_sent_with_the_next(runtime: SimRuntime) -> None:
    desk, name = await in_parts(runtime)
    await desk.turns(62)
    first, second = desk.children(name)
    assert desk.world.state(first) is OrderState.CANCELLED
    assert desk.world.order(second).quantity == 2


@simulated
async def test_parts_when_the_brokers_books_do_not_have_one_then_it_is_a_persons_to_write_off(runtime: SimRuntime) -> None:
    desk = await holding(runtime, 4)
    (name,) = await desk.arm(4, slicing=Slicing.TWAP, parts=4, minutes=4)
    await desk.turns(3)
    (first,) = desk.children(name)
    del desk.broker.orders[first]
    await desk.world.sender.connect()
    assert desk.world.sender.is_lost(first)
    await desk.turns(120)  # two more parts are due
    assert (desk.world.state(first), desk.children(name)) == (OrderState.UNKNOWN, [first])
    assert desk.broker.sent("cancel") == []


@simulated
async def test_parts_when_halted_then_the_rest_is_never_sent(runtime: SimRuntime) -> None:
    desk, name = await in_parts(runtime)
    await desk.turns(3)
    await desk.world.halt()
    await desk.turns(3)
    assert desk.standing(name).ended == "cancelled"
    assert desk.world.state(desk.children(name)[0]) is OrderState.CANCELLED
    await desk.world.halt(Mode.ACTIVE)
    await desk.turns(120)
    assert len(desk.children(name)) == 1


@simulated
async def test_parts_when_restarted_then_go_on_where_they_were(runtime: SimRuntime) -> None:
    desk, name = await in_parts(runtime)
    await desk.turns(3)
    desk.fill(desk.children(name)[0], SPREAD, ("30", "25"))
    again = Held(await reopened(desk.world))
    again.price(30.0)
    await again.turns(60)
    book = again.world.desk.book(PRACTICE)
    assert len(again.children(name)) == 2
    assert committed(again.standing(name), book.orders) == 2


@simulated
async def test_parts_when_an_iceberg_then_shows_no_more_than_said(runtime: SimRuntime) -> None:
    desk, name = await in_parts(runtime, 5, slicing=Slicing.ICEBERG, parts=None, minutes=None, show=2)
    sizes = []
    for _ in range(3):
        await desk.turns(3)
        child = desk.world.order(desk.children(name)[-1])
        sizes.append(child.quantity)
        desk.fill(child.client_id, SPREAD, ("30", "25"), quantity=child.quantity)
    await desk.turns(3)
    assert sizes == [2, 2, 1]
    assert desk.standing(name).ended == "done"


@simulated
async def test_parts_when_reserved_then_count_against_the_limits_before_they_are_sent(runtime: SimRuntime) -> None:
    desk, _ = await in_parts(runtime)
    held = desk.world.desk.book(PRACTICE).exposed()
    assert held[SHORT.instrument.key][1] == -4
    await desk.turns(3)
    assert desk.world.desk.book(PRACTICE).exposed()[SHORT.instrument.key][1] == -4


@simulated
async def test_parts_when_the_session_ends_then_expire(runtime: SimRuntime) -> None:
    desk, name = await in_parts(runtime)
    await desk.turns(3)
    await runtime.sleep(timedelta(hours=8).total_seconds())
    await desk.turns(3)
    assert desk.standing(name).ended == "expired"


@simulated
async def test_card_when_a_plan_waits_then_says_it_in_money_and_that_the_desk_watches(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    card = await desk.shop.card(intent(CLOSE, 1, trade_id="PO0", quantity_said=True, wish=Wish(stop_multiple=Decimal(2))))
    assert isinstance(card, Reply)
    facts = {item.label: item for block in card.blocks for item in getattr(block, "facts", ())}
    assert facts["stop"].value == Decimal("15.00")
    assert "loss 1,000.00 USD each" in facts["stop"].note
    assert "only while the desk runs" in facts["stop"].note


@pytest.mark.parametrize(("limit", "never_beyond"), [(None, "23.75"), ("21.00", "21.00"), ("21.03", "21.00")])
@simulated
async def test_card_when_a_stop_moves_with_volatility_then_its_worst_price_is_the_one_confirmed(
    runtime: SimRuntime, limit: str | None, never_beyond: str,
) -> None:
    desk = await holding(runtime)
    wish = Wish(stop_price=Decimal(15), stop_limit=None if limit is None else Decimal(limit), with_volatility=True)
    card = await desk.shop.card(intent(CLOSE, 1, trade_id="PO0", quantity_said=True, wish=wish))
    facts = {item.label: item for block in card.blocks for item in getattr(block, "facts", ())}
    plan = desk.world.desk.fold.tickets[desk.shop.ticket].drafted.envelope.plan
    assert isinstance(plan, Exits)
    assert facts["never beyond"].value == -plan.worst == Decimal(never_beyond)  # the level may widen to 20.00


@simulated
async def test_stop_when_volatility_may_move_it_beyond_its_limit_then_refused_with_the_number(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    wish = Wish(stop_price=Decimal(15), stop_limit=Decimal(17), with_volatility=True)
    with pytest.raises(UserError, match=r"better than 20\.00, to which volatility may move the stop"):
        await desk.shop.card(intent(CLOSE, 1, trade_id="PO0", quantity_said=True, wish=wish))


@simulated
async def test_log_when_a_plan_was_carried_out_then_every_order_names_what_it_was_sent_for(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    target, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    armed = await desk.events(Armed)
    assert [(body.standing_id, body.role) for body in armed] == [(target, Role.TARGET), (stop, Role.STOP)]
    sent = [body for body in await desk.events(Submitting) if body.standing_id is not None]
    assert [body.standing_id for body in sent] == [target]
    assert not await desk.events(Disarmed)


@simulated
async def test_e7_stop_when_the_target_cannot_be_proved_cancelled_then_waits_and_a_person_is_rung(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    _, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    desk.broker.fault("cancel", BrokerRejected("10147", "not found"), times=FOR_EVER)
    desk.price(40.5)
    await desk.turns(120)
    assert desk.children(stop) == []
    assert any("is to be cancelled first" in body.text and body.urgency == "critical" for body in await desk.events(AlertRaised))


@simulated
async def test_exit_when_something_fills_while_it_is_judged_then_counted_anew(runtime: SimRuntime) -> None:
    desk = await holding(runtime, 2)
    (stop,) = await desk.arm(2, stop_multiple=Decimal(2))
    desk.price(40.5)

    async def one_is_closed_elsewhere() -> None:
        for number, (leg, price) in enumerate(zip(CLOSE, ("40.6", "25.1"), strict=True)):
            desk.broker.fill(leg, 1, price, exec_id=f"X{number}", client_id=None)
        await desk.world.sender.pump(0)

    desk.shop.market.meanwhile = one_is_closed_elsewhere  # at the moment the stop's own order is priced
    await desk.turns(60)
    assert [desk.world.order(name).quantity for name in desk.children(stop)] == [1]


@simulated
async def test_target_when_replaced_while_its_order_waits_for_the_lane_then_nothing_is_written_sent_or_told(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (target,) = await desk.arm(target_share=Decimal("0.5"))
    async with desk.world.desk.lane(PRACTICE):
        turning = runtime.spawn(desk.steward.turn(), name="turn")
        await runtime.sleep(5)
        gone = Disarmed(standing_id=target, outcome="replaced", reason="replaced by another")
        await desk.world.desk.record(desk.world.desk.draft(gone, actor="person:owner", stream=str(PRACTICE)))
    await turning
    assert desk.children(target) == []
    assert desk.broker.sent("submit") == ["O0"]
    assert await desk.alerts() == []


@simulated
async def test_target_when_its_entry_fills_further_while_its_order_waits_for_the_lane_then_it_is_priced_anew(runtime: SimRuntime) -> None:
    desk, confirmed = await bracketed(runtime)
    target, _ = confirmed.standing
    desk.fill(confirmed.client_id, SPREAD, ("30", "25"))
    await desk.world.sender.pump(0)
    async with desk.world.desk.lane(PRACTICE):
        turning = runtime.spawn(desk.steward.turn(), name="turn")
        await runtime.sleep(5)
        desk.fill(confirmed.client_id, SPREAD, ("29", "25"))
        await desk.world.sender.pump(0)
    await turning
    await desk.turns(60)
    (child,) = desk.children(target)
    assert (desk.world.order(child).quantity, desk.world.order(child).limit) == (2, Decimal("-2.25"))  # half of 4.50
    assert await desk.alerts() == []


def typed(**args: str) -> Call:
    """A `cancel` that the owner types."""
    return Call(command="cancel", args=args, caller=Caller(person="owner", via=Via.LINE, role=PersonRole.OWNER, chat="phone"))


@simulated
async def test_cancel_when_the_order_of_a_target_is_named_then_the_target_ends_with_it_and_sends_no_next_one(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    target, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    (child,) = desk.children(target)
    assert (await dispatch(desk.world.desk, typed(order_id=child))).ok
    await desk.turns(30)
    assert desk.world.state(child) is OrderState.CANCELLED
    assert (desk.standing(target).ended, desk.standing(stop).ended) == ("cancelled", None)
    assert desk.broker.sent("submit") == ["O0", child]


@simulated
async def test_cancel_all_when_a_target_waits_behind_a_close_then_nothing_is_sent_after_it_and_the_stop_is_named(
    runtime: SimRuntime,
) -> None:
    desk = await holding(runtime)
    target, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    await desk.shop.card(intent(CLOSE, 1, trade_id="PO0", quantity_said=True))
    confirmed = await desk.shop.press()
    assert isinstance(confirmed, Confirmed), confirmed
    order = await desk.world.sender.send(confirmed)  # takes the place of the target's order
    reply = await dispatch(desk.world.desk, typed(scope="all"))
    sent = desk.broker.sent("submit")
    await desk.turns(30)
    assert desk.world.order(order.client_id).state is OrderState.CANCELLED
    assert (desk.standing(target).ended, desk.standing(stop).ended) == ("cancelled", None)
    assert desk.broker.sent("submit") == sent
    words = str(reply.blocks)
    assert f"Ended too: {target}" in words
    assert "Still armed" in words
    assert [action.line for action in reply.actions] == [f"cancel {stop}"]
