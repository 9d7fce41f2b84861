"""What keeps a standing order back: a halt, books nobody compared, less held than it would close, and its own end."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.events import Disarmed, Mode, StopTriggered
from core.domain.orders import OrderState
from core.domain.plans import Wish
from core.errors import BrokerTimeout
from core.orders.ticket import Confirmed
from core.runtime import SimRuntime
from tests.fake_broker import FOR_EVER, simulated
from tests.unit.orders.test_steward import CLOSE, Held, holding
from tests.unit.risk.market import PRACTICE, intent

HALF, MOST = {"target_share": Decimal("0.5")}, {"target_share": Decimal("0.8")}
TWICE = {"stop_multiple": Decimal(2)}


async def one_closed_elsewhere(desk: Held) -> None:
    for number, leg in enumerate(CLOSE):
        desk.broker.fill(leg, 1, "30", exec_id=f"app{number}", client_id=None)
    await desk.world.sender.pump(0)


@simulated
async def test_target_when_armed_anew_at_another_price_then_the_old_order_is_cancelled_and_one_rests(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (old,) = await desk.arm(**HALF)
    await desk.turns(3)
    (first,) = desk.children(old)
    (new,) = await desk.arm(**MOST)
    await desk.turns(5)
    assert (desk.standing(old).ended, desk.world.state(first)) == ("replaced", OrderState.CANCELLED)
    (second,) = desk.children(new)
    assert [order.client_id for order in desk.world.desk.book(PRACTICE).live.values()] == [second]
    assert desk.world.order(second).limit == Decimal("-1.00")
    assert await desk.alerts() == []


@simulated
async def test_stop_when_one_is_armed_for_another_trade_then_both_stand(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    await desk.world.send("O1")
    desk.broker.fill_spread("O1", name="F")
    await desk.world.sender.pump(0)
    (first,) = await desk.arm(**TWICE)
    card = await desk.shop.card(intent(CLOSE, 1, trade_id="PO1", quantity_said=True, wish=Wish(**TWICE)))
    assert card.ok, card
    confirmed = await desk.shop.press()
    assert isinstance(confirmed, Confirmed)
    (second,) = confirmed.standing
    assert [(desk.standing(name).trade_id, desk.standing(name).ended) for name in (first, second)] == [("PO0", None), ("PO1", None)]


@pytest.mark.parametrize("mode", [Mode.HALT, Mode.RECOVERY])
@simulated
async def test_target_when_halted_then_waits_without_asking_and_rests_once_lifted(runtime: SimRuntime, mode: Mode) -> None:
    desk = await holding(runtime)
    (target,) = await desk.arm(**HALF)
    await desk.world.halt(mode)
    await desk.turns(90)
    assert (desk.children(target), await desk.alerts()) == ([], [])
    await desk.world.halt(Mode.ACTIVE)
    await desk.turns(3)
    assert len(desk.children(target)) == 1


@simulated
async def test_f5_stop_when_the_books_came_incomplete_then_nothing_is_concluded_until_they_are_whole(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(**TWICE)
    desk.broker.complete = False
    await desk.world.sender.connect()
    desk.price(40.5)
    await desk.turns(90)
    assert (await desk.events(StopTriggered), await desk.events(Disarmed), await desk.alerts()) == ([], [], [])
    desk.broker.complete = True
    await desk.world.sender.connect()
    await desk.turns(60)
    assert len(desk.children(stop)) == 1


@simulated
async def test_n8_target_when_a_part_was_closed_elsewhere_then_rests_for_what_is_still_held(runtime: SimRuntime) -> None:
    desk = await holding(runtime, 2)
    (target,) = await desk.arm(2, **HALF)
    await desk.turns(3)
    (first,) = desk.children(target)
    assert desk.world.order(first).quantity == 2
    await one_closed_elsewhere(desk)
    await desk.turns(5)
    assert desk.world.state(first) is OrderState.CANCELLED
    assert [desk.world.order(name).quantity for name in desk.children(target)] == [2, 1]


@simulated
async def test_l5_target_when_its_cancel_is_not_answered_then_asked_again_every_ten_seconds_and_not_every_turn(runtime: SimRuntime) -> None:
    desk = await holding(runtime, 2)
    (target,) = await desk.arm(2, **HALF)
    await desk.turns(3)
    desk.broker.fault("cancel", BrokerTimeout(), times=FOR_EVER)
    await one_closed_elsewhere(desk)
    await desk.turns(35)
    (first,) = desk.children(target)
    assert desk.world.state(first) is OrderState.PENDING_CANCEL
    assert desk.broker.sent("cancel") == [first] * 4
