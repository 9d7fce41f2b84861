"""Standing orders beside others: trades that share a contract, legs of one trade, trouble of one that must not be another's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.announce import Announcement, announce
from core.command import Call, Caller, Via
from core.command import Role as PersonRole
from core.dispatch import dispatch
from core.domain.events import AlertRaised, Mode, StopTriggered
from core.domain.orders import OrderState
from core.domain.plans import Slicing, Wish
from core.errors import BrokerRejected, UserError
from core.orders.plan_words import standing_words
from core.orders.ticket import Confirmed
from core.reply import Reply
from core.runtime import SimRuntime
from tests.fake_broker import open_world, simulated
from tests.unit.orders.test_steward import CLOSE, SHORT, Held, holding
from tests.unit.risk.market import PRACTICE, SPREAD, closing, intent


async def two_trades(runtime: SimRuntime) -> Held:
    """Two spreads of the same strikes, opened one after the other: trades PO0 and PO1."""
    desk = await holding(runtime)
    await desk.world.send("O1")
    desk.world.broker.fill_spread("O1", name="F")
    await desk.world.sender.pump(0)
    return desk


async def arm(desk: Held, trade: str, quantity: int = 1, **wish: Any) -> tuple[str, ...]:
    await desk.shop.card(intent(CLOSE, quantity, trade_id=trade, quantity_said=True, wish=Wish(**wish)))
    confirmed = await desk.shop.press()
    assert isinstance(confirmed, Confirmed), confirmed
    return confirmed.standing


async def say(desk: Held, command: str, **args: Any) -> Reply:
    caller = Caller(person="owner", via=Via.LINE, role=PersonRole.OWNER, chat="phone")
    return await dispatch(desk.world.desk, Call(command=command, args=args, caller=caller))


@simulated
async def test_target_when_another_trade_of_the_same_contracts_has_one_then_both_rest(runtime: SimRuntime) -> None:
    desk = await two_trades(runtime)
    (first,) = await arm(desk, "PO0", target_share=Decimal("0.5"))
    await desk.turns(3)
    await runtime.sleep(70)
    (second,) = await arm(desk, "PO1", target_share=Decimal("0.4"))
    await desk.turns(3)
    limits = [desk.world.order(name).limit for item in (first, second) for name in desk.children(item)]
    assert limits == [Decimal("-2.50"), Decimal("-3.00")]


@pytest.mark.parametrize(("sold_elsewhere", "stays"), [(0, True), (1, False)])
@simulated
async def test_close_when_another_trades_target_rests_then_that_stays_where_enough_is_held(
    runtime: SimRuntime, sold_elsewhere: int, stays: bool,
) -> None:
    desk = await two_trades(runtime)
    (target,) = await arm(desk, "PO0", target_share=Decimal("0.5"))
    await desk.turns(3)
    for number, leg in enumerate(CLOSE[: 2 * sold_elsewhere]):
        desk.broker.fill(leg, 1, "25", exec_id=f"X{number}", client_id=None)
    await desk.world.sender.pump(0)
    await runtime.sleep(70)
    await desk.shop.card(intent(CLOSE, 1, trade_id="PO1", quantity_said=True))
    resting = desk.children(target)[0]
    covered = desk.world.desk.fold.tickets[desk.shop.ticket].drafted.envelope
    assert covered.instead_of == (() if stays else (resting,))
    confirmed = await desk.shop.press()
    assert isinstance(confirmed, Confirmed), confirmed
    assert (await desk.world.sender.send(confirmed)).state is OrderState.WORKING
    assert desk.world.state(resting) is (OrderState.WORKING if stays else OrderState.CANCELLED)


@simulated
async def test_stop_when_another_trades_target_rests_on_its_contracts_then_closes_its_own_all_the_same(runtime: SimRuntime) -> None:
    desk = await two_trades(runtime)
    (target,) = await arm(desk, "PO0", target_share=Decimal("0.5"))
    await desk.turns(3)
    await runtime.sleep(70)
    (stop,) = await arm(desk, "PO1", stop_multiple=Decimal(2))
    desk.price(40.5)
    await desk.turns(60)
    (child,) = desk.children(stop)
    assert (desk.world.order(child).quantity, desk.world.order(child).trade_id) == (1, "PO1")
    assert [desk.world.state(name) for name in desk.children(target)] == [OrderState.WORKING]  # the other trade's is left alone
    assert await desk.alerts() == []


@simulated
async def test_stop_when_cancel_all_comes_between_its_touch_and_its_order_then_it_ends_and_sends_nothing(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    _, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    desk.broker.fault("cancel", BrokerRejected("10147", "not found"), times=2)
    desk.price(40.5)
    while not await desk.events(StopTriggered):
        await desk.turns(1)
    assert desk.children(stop) == []  # it waits for the target to be gone
    reply = await say(desk, "cancel", scope="all")
    sent = desk.broker.sent("submit")
    await desk.turns(60)
    assert desk.broker.sent("submit") == sent
    assert desk.standing(stop).ended == "cancelled"
    assert "Still armed" not in str(reply.blocks)


@simulated
async def test_trailing_stop_when_a_quote_is_wide_or_the_session_young_then_it_does_not_follow(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(trail=Decimal(2))
    desk.price(24.0, 24.0, spread=4.0)  # the mid says closing costs 0, and nobody would trade there
    await desk.turns(30)
    desk.price(30.0)
    await desk.turns(60)
    assert desk.children(stop) == []
    assert not await desk.events(StopTriggered)


@simulated
async def test_stop_when_anothers_turn_fails_then_it_is_watched_all_the_same(runtime: SimRuntime) -> None:
    desk = await two_trades(runtime)
    (first,) = await arm(desk, "PO0", stop_multiple=Decimal(2))
    await runtime.sleep(70)
    (second,) = await arm(desk, "PO1", stop_multiple=Decimal(2))
    own = desk.steward._one

    async def one(item: Any, *args: Any, **more: Any) -> None:
        if item.id == first:
            raise BrokerRejected("201", "no")
        await own(item, *args, **more)

    desk.steward._one = one
    desk.price(40.5)
    for _ in range(60):
        await runtime.sleep(1)
        await desk.world.sender.work()
        await desk.steward.turn()
    assert len(desk.children(second)) == 1


@pytest.mark.parametrize(("wish", "said"), [({"minutes": -5}, "minutes=-5"), ({"minutes": 0}, "minutes=0"), ({"parts": 1}, "2 parts")])
@simulated
async def test_parts_when_they_have_no_duration_then_refused_in_words(runtime: SimRuntime, wish: dict[str, int], said: str) -> None:
    desk = await holding(runtime, 4)
    with pytest.raises(UserError, match=said):
        await arm(desk, "PO0", 4, slicing=Slicing.TWAP, **wish)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"stop_price": Decimal(51)}, "A stop at 51.00 would never be touched: closing this never costs more than 50.00"),
        ({"stop_multiple": Decimal(9)}, "A stop at 50.00 would never"),  # sold for 5.00, 50 wide
        ({"stop_price": Decimal(49)}, ""),
        ({"trail": Decimal(60)}, ""),  # it comes nearer as the price improves
    ],
)
@simulated
async def test_stop_when_no_price_can_touch_it_then_refused_with_the_number(
    runtime: SimRuntime, wish: dict[str, Decimal], said: str,
) -> None:
    desk = await holding(runtime)
    asked = intent(CLOSE, 1, trade_id="PO0", quantity_said=True, wish=Wish(**wish))  # type: ignore[arg-type]
    if said:
        with pytest.raises(UserError, match=said):
            await desk.shop.card(asked)
    else:
        assert (await desk.shop.card(asked)).ok


@simulated
async def test_bracket_when_no_price_can_touch_its_stop_then_refused_before_anything_is_opened(runtime: SimRuntime) -> None:
    desk = Held(await open_world(runtime))
    desk.price(30.0)
    with pytest.raises(UserError, match="would never be touched"):
        await desk.shop.card(intent(SPREAD, 1, quantity_said=True, wish=Wish(stop_multiple=Decimal(10))))


# --- a price nobody can see ----------------------------------------------------------------------------------------------


@simulated
async def test_stop_when_its_price_cannot_be_seen_then_a_person_is_told_once(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    await desk.arm(stop_multiple=Decimal(2))
    await desk.turns(10)
    desk.price(float("nan"))
    await desk.turns(20)
    assert await desk.alerts() == []  # one bad quote is no news
    await desk.turns(120)
    (text,) = await desk.alerts()
    assert "cannot be watched" in text


@simulated
async def test_stop_when_touched_and_then_without_a_price_then_rings_and_is_sent_once_there_is_one(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    _, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    desk.price(40.5)
    while not await desk.events(StopTriggered):
        await desk.turns(1)
    desk.price(float("nan"))
    await desk.turns(20)
    (alert,) = await desk.events(AlertRaised)
    assert alert.urgency == "critical" and "touched and cannot be sent" in alert.text
    assert desk.children(stop) == []
    desk.price(40.5)
    await desk.turns(20)
    assert len(desk.children(stop)) == 1


# --- what never happened -------------------------------------------------------------------------------------------------


@simulated
async def test_e4_target_when_its_fill_is_taken_back_then_a_person_hears_that_nothing_watches_the_trade(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    target, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    (child,) = desk.children(target)
    desk.fill(child, CLOSE, ("27.5", "25.0"))
    await desk.turns(3)
    assert (desk.standing(target).ended, desk.standing(stop).ended) == ("done", "done")
    news: list[Announcement] = []
    desk.world.desk.listen(lambda event, outcomes: news.extend(filter(None, [announce(event, outcomes, desk.world.desk.books)])))
    for fill in desk.broker.fills[-2:]:
        leg = next(leg for leg in CLOSE if leg.instrument == fill.instrument)
        desk.broker.fill(leg, 1, str(fill.price), exec_id=f"B{fill.exec_id}", client_id=child, corrects=fill.exec_id, busted=True)
    await desk.world.sender.pump(0)
    told = [str(item.blocks) for item in news if item.key.startswith("busted:")]
    assert told and all("nothing watches this trade now" in text for text in told)


# --- what no trade of this desk opened, and what is left of one ----------------------------------------------------------


async def loose(runtime: SimRuntime) -> Held:
    """A short put from elsewhere, which belongs to no trade."""
    desk = Held(await open_world(runtime))
    desk.broker.fill(SHORT, 1, "30", exec_id="X1", client_id=None)
    await desk.world.sender.pump(0)
    await desk.world.sender.reconcile()
    desk.price(30.0)
    return desk


async def arm_leg(desk: Held, **wish: Any) -> tuple[str, ...]:
    asked = intent(closing((SHORT,)), 1, strategy="external", trade_id=None, quantity_said=True, wish=Wish(**wish))
    card = await desk.shop.card(asked)
    confirmed = await desk.shop.press()
    assert isinstance(confirmed, Confirmed), (card, confirmed)
    return confirmed.standing


@simulated
async def test_stop_when_no_trade_of_the_desk_opened_it_then_its_alert_closes_the_contract_by_name(runtime: SimRuntime) -> None:
    desk = await loose(runtime)
    await arm_leg(desk, stop_price=Decimal(40))
    desk.shop.market.quotes[SHORT.instrument.key] = (30.0, 60.0)
    await desk.turns(60)
    (alert,) = (body for body in await desk.events(AlertRaised) if "spread is too wide" in body.text)
    assert "trade" not in alert.text
    (line,) = (line for line in alert.lines if line.startswith("close"))
    args = dict(part.split("=") for part in line.split()[1:])
    desk.price(30.0)
    assert (await say(desk, "close", **args)).data["ticket"]


@simulated
async def test_stop_when_armed_anew_for_what_no_trade_opened_then_the_new_one_replaces_the_old(runtime: SimRuntime) -> None:
    desk = await loose(runtime)
    (first,) = await arm_leg(desk, target_price=Decimal(20))
    await desk.turns(3)
    await runtime.sleep(70)
    (second,) = await arm_leg(desk, target_price=Decimal(25))
    await desk.turns(3)
    assert desk.standing(first).ended == "replaced"
    assert [desk.world.order(name).limit for name in desk.children(second)] == [Decimal("-25.00")]


@pytest.mark.parametrize(("otherwise", "then"), [(2, []), (1, [1])])
@simulated
async def test_parts_when_what_they_close_was_closed_otherwise_then_they_leave_another_trades_contracts(
    runtime: SimRuntime, otherwise: int, then: list[int],
) -> None:
    desk = await holding(runtime, 4)
    await desk.world.send("O1", quantity=4)
    desk.world.broker.fill_spread("O1", quantity=4, name="F")
    await desk.world.sender.pump(0)
    (parts,) = await arm(desk, "PO0", 4, slicing=Slicing.TWAP, parts=2, minutes=10)
    await desk.turns(3)
    (child,) = desk.children(parts)
    desk.fill(child, CLOSE, ("30", "25"), quantity=2)
    await desk.turns(2)
    await desk.world.send("O7", CLOSE, start="-5.00", worst="-5.00", reducing=True, trade_id="PO0", quantity=otherwise)
    desk.fill("O7", CLOSE, ("30", "25"), quantity=otherwise)
    await desk.turns(600, every=5)
    assert [desk.world.order(name).quantity for name in desk.children(parts)] == [2, *then]
    for name, units in zip(desk.children(parts)[1:], then, strict=True):
        desk.fill(name, CLOSE, ("30", "25"), quantity=units)
    await desk.turns(3)
    assert desk.standing(parts).ended == "done"
    assert desk.world.desk.book(PRACTICE).trades["PO1"].open_units == 4


@simulated
async def test_n7_stop_when_the_target_filled_one_leg_alone_then_it_ends_loudly_with_what_is_left(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    target, stop = await desk.arm(target_share=Decimal("0.5"), stop_multiple=Decimal(2))
    await desk.turns(3)
    (child,) = desk.children(target)
    desk.broker.fill(CLOSE[1], 1, "25.0", exec_id="Q1", client_id=child)  # the long put is sold, the short one stays
    await desk.turns(3)
    assert desk.standing(stop).ended is None  # its order may still fill the other leg
    await desk.world.sender.cancel(child, "too odd", actor="person:owner")
    await desk.turns(3)
    assert (desk.standing(target).ended, desk.standing(stop).ended) == ("refused", "refused")
    assert "-1 SPXW 14 Jun 19 2800 put is left" in desk.standing(stop).reason


@simulated
async def test_stop_when_a_persons_own_close_fills_leg_by_leg_then_it_is_done_and_says_nothing(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    await desk.world.send("O7", CLOSE, start="-5.00", worst="-5.00", reducing=True, trade_id="PO0")
    for number, (leg, price) in enumerate(zip(CLOSE, ("30", "25"), strict=True)):
        desk.broker.fill(leg, 1, price, exec_id=f"Q{number}", client_id="O7")
        await desk.turns(2)
    assert desk.standing(stop).ended == "done"


@simulated
async def test_stop_when_it_closed_the_part_it_was_for_then_it_is_done_and_the_target_of_the_rest_goes_on(runtime: SimRuntime) -> None:
    desk = await holding(runtime, 2)
    (target,) = await desk.arm(2, target_share=Decimal("0.5"))
    await runtime.sleep(70)
    (stop,) = await desk.arm(1, stop_multiple=Decimal(2))
    desk.price(40.5)
    await desk.turns(60)
    (child,) = desk.children(stop)
    desk.fill(child, CLOSE, ("40.5", "25.0"))
    desk.price(30.0)
    await desk.turns(5)
    assert desk.standing(stop).ended == "done"
    assert desk.standing(target).ended is None
    assert [desk.world.order(name).quantity for name in desk.children(target) if desk.world.order(name).leaves] == [1]


@simulated
async def test_unhalt_when_standing_orders_wait_then_they_are_named_with_the_buttons_that_end_them(runtime: SimRuntime) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    await desk.world.halt()
    caller = Caller(person="owner", via=Via.LINE, role=PersonRole.OWNER, chat="phone", proved=True)
    reply = await dispatch(desk.world.desk, Call(command="unhalt", args={}, caller=caller))
    assert "go on by themselves now" in str(reply.blocks)
    assert [action.line for action in reply.actions] == [f"cancel {stop}"]
    await desk.world.halt()
    await say(desk, "halt", symbol="SPX")
    reply = await dispatch(desk.world.desk, Call(command="unhalt", args={"symbol": "SPX"}, caller=caller))
    assert reply.ok and "go on by themselves" not in str(reply.blocks)  # the desk's own halt still stands


@pytest.mark.parametrize(("short_bid", "orders"), [(30.0, 0), (40.5, 1)])
@simulated
async def test_stop_when_touched_in_a_halt_that_is_lifted_much_later_then_sent_only_if_it_still_is(
    runtime: SimRuntime, short_bid: float, orders: int,
) -> None:
    desk = await holding(runtime)
    (stop,) = await desk.arm(stop_multiple=Decimal(2))
    await desk.world.halt()
    desk.price(40.5)
    await desk.turns(60)
    assert desk.standing(stop).triggered_at is not None
    assert standing_words(desk.standing(stop), {}).endswith("touched at 15.50, nothing is sent yet")
    desk.price(short_bid)
    await desk.turns(900, every=5)
    await desk.world.halt(Mode.ACTIVE)
    await desk.turns(60)
    assert len(desk.children(stop)) == orders
    desk.price(40.5)  # it stays armed: a new touch is one
    await desk.turns(60)
    assert len(desk.children(stop)) == 1
