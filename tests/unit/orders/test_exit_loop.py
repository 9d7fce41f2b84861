"""The exits at work: told once, prepared, or done under a mandate; never twice, never past a bound, never after a revocation."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.announce import Urgency
from core.command import Via
from core.domain.events import CancelRequested, ExitSnoozed, MandateRevoked, Mode, OrderEnded, SettingChanged
from core.domain.mandates import Rung
from core.domain.orders import OrderState
from core.domain.plans import Wish
from core.errors import BrokerRejected, BrokerTimeout
from core.orders.ticket import Confirmed, confirm, draft
from core.reply import Facts
from core.runtime import SimRuntime
from tests.fake_broker import SECOND, simulated
from tests.unit.orders.exit_floor import OWNER, Floor, open_floor, text
from tests.unit.risk.market import PRACTICE, SPREAD, closing, intent

HALF = "2.50"  # half of the credit is earned
STOP = "15.00"  # three times the credit: the stop


async def set_level(floor: Floor, rule: str, level: str) -> None:
    await floor.world.record(SettingChanged(key=f"exits.{rule}.level", old="", new=level, loosens=False), stream="desk")


# --- telling -------------------------------------------------------------------------------------------------------------


@simulated
async def test_target_when_reached_on_the_suggest_rung_then_told_once_with_buttons(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    floor.news.clear()
    await floor.round()
    assert await floor.told() == []
    floor.costs(HALF)
    for _ in range(3):
        await floor.round()
    (told,) = await floor.told()
    assert (told.trade_id, told.rule, told.decision, told.rung, told.times) == (trade, "profit_target", "close", Rung.SUGGEST, 1)
    (news,) = floor.news
    assert "profit is 50.0% of the credit at mid" in text(news.reply)
    assert [action.label for action in news.actions] == ["Close it", "Why", "Snooze 1 h"]
    assert await floor.by_mandate() == []


@simulated
async def test_target_when_the_price_swings_around_it_then_it_does_not_ring_twice(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    for cost in (HALF, "2.60", "2.49", "2.70", HALF):  # 50%, 48%, 50.2%, 46%, 50%
        floor.costs(cost)
        await floor.round()
    assert len(await floor.told()) == 1 and await floor.over() == []
    floor.costs("2.80")  # 44%: gone back clearly
    await floor.round()
    floor.costs(HALF)
    await floor.round()
    assert len(await floor.told()) == 2 and len(await floor.over()) == 1


@simulated
async def test_target_when_on_the_confirm_rung_then_a_ready_card_closes_it_by_one_press(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    await set_level(floor, "profit_target", "confirm")
    floor.costs(HALF)
    await floor.round()
    (told,) = await floor.told()
    assert told.rung is Rung.CONFIRM and told.ticket_id is not None
    card = floor.desk.cards[told.ticket_id]
    assert "profit is 50.0%" in text(card)
    assert floor.news[-1].ticket == told.ticket_id
    pressed = await confirm(floor.desk, told.ticket_id, OWNER)
    assert isinstance(pressed, Confirmed)
    order = floor.world.order(pressed.client_id)
    assert (order.trade_id, order.mandate) == (trade, None)


@simulated
async def test_i5_ready_card_when_the_clock_drew_it_then_no_clock_or_mandate_may_press_it(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await set_level(floor, "profit_target", "confirm")
    floor.costs(HALF)
    await floor.round()
    (told,) = await floor.told()
    for via in (Via.CLOCK, Via.MANDATE, Via.MODEL, Via.SENTENCE):
        reply = await floor.say(f"confirm {told.ticket_id}", via=via)
        assert not reply.ok
    assert floor.world.broker.sent("submit") == ["O1"]


@simulated
async def test_exit_when_off_then_silent_and_what_it_told_is_over(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    floor.costs(HALF)
    await floor.round()
    await set_level(floor, "profit_target", "off")
    await floor.round()
    assert len(await floor.told()) == 1 and len(await floor.over()) == 1


@simulated
async def test_exit_when_the_market_is_closed_then_nothing_is_looked_at(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    floor.costs(HALF)
    await floor.round(after_seconds=6 * 3600)  # 17:00 in New York
    assert await floor.told() == []


@simulated
async def test_told_exit_when_snoozed_or_left_then_it_is_not_repeated(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    floor.costs(STOP)
    await floor.round()
    await floor.round()
    assert len(await floor.told()) == 1
    assert (await floor.say(f"snooze {trade}.credit_stop for=10m")).ok
    await floor.round(after_seconds=301)
    assert len(await floor.told()) == 1
    await floor.round(after_seconds=301)
    told = await floor.told()
    assert [body.times for body in told] == [1, 2]
    assert floor.news[-1].urgency is Urgency.CRITICAL
    assert (await floor.say(f"ack {trade}.credit_stop")).ok
    await floor.round(after_seconds=3600)
    assert len(await floor.told()) == 2
    assert [body.until is None for body in await floor.bodies(ExitSnoozed)] == [False, True]


@simulated
async def test_start_when_a_target_was_passed_meanwhile_then_told_first_of_all(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    floor.costs(HALF)
    again = await floor.restart()
    assert await again.loop.round() == (f"{trade}: {again.desk.fold.exits[f'{trade}.profit_target'].due.reason}",)
    third = await again.restart()
    await third.loop.round()  # told before, and the person may not have seen it
    await third.loop.round()
    assert [body.times for body in await third.told()] == [1, 2]


# --- under a mandate -----------------------------------------------------------------------------------------------------


@simulated
async def test_mandate_when_its_rule_is_due_then_one_order_leaves_in_its_name(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    floor.news.clear()
    for _ in range(3):
        await floor.round()
    (confirmed,) = await floor.by_mandate()
    assert (confirmed.mandate, confirmed.rule, confirmed.person, confirmed.chat) == ("M1", "profit_target", "owner", "terminal")
    assert "profit is 50.0% of the credit at mid" in confirmed.evidence
    order = floor.order()
    assert floor.world.broker.sent("submit") == ["O1", order.client_id]
    assert (order.trade_id, order.quantity, order.mandate) == (trade, 1, "M1")
    assert order.envelope.plan.start == Decimal("-2.50") and order.envelope.plan.worst >= Decimal("-2.75")
    assert await floor.told() == []
    events = await floor.world.store.read()
    assert {event.actor for event in events if event.correlation in (confirmed.ticket_id, order.client_id)} >= {"mandate:M1"}
    assert {action.line for action in floor.news[0].actions} == {f"cancel {order.client_id}", "mandate revoke id=M1"}


@simulated
async def test_mandate_when_its_order_fills_then_that_message_revokes_too(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    await floor.round()
    floor.news.clear()
    await floor.fill(floor.order())
    assert [action.line for action in floor.news[-1].actions] == ["mandate revoke id=M1"]
    await floor.round()
    book = floor.desk.book(PRACTICE)
    assert not book.trades[trade].is_open
    assert len(await floor.by_mandate()) == 1


@pytest.mark.parametrize("answer", ["ack", "snooze"])
@simulated
async def test_mandate_when_a_person_has_answered_then_it_does_not_act_against_that(runtime: SimRuntime, answer: str) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    floor.costs(HALF)
    await floor.round()
    assert (await floor.say(f"{answer} {trade}.profit_target")).ok
    await floor.grant()
    await floor.round()
    assert await floor.sent() == []
    await floor.round(after_seconds=3600)
    assert len(await floor.sent()) == (0 if answer == "ack" else 1)


BOUNDS: dict[str, dict[str, Any]] = {
    "2 units are over the 1": {"max_quantity": 1},
    "does not cover put_credit_spread": {"strategies": ("naked_put",)},
    "does not cover SPX": {"symbols": ("XSP", "SPY")},
    "does not name the rule profit_target": {"rules": ("days_left",)},
    "is for account SECOND": {"account": SECOND},
    "a setting of its rules changed": {"terms": {"strategies.put_credit_spread.profit_target": "0.75"}},
    "ran out on 06 May 19": {"valid_until": "now"},
}


@pytest.mark.parametrize("why", BOUNDS)
@simulated
async def test_mandate_when_a_bound_is_broken_then_nothing_is_sent_and_a_person_is_asked(runtime: SimRuntime, why: str) -> None:
    floor = await open_floor(runtime)
    await floor.hold(2)
    bounds = BOUNDS[why]
    await floor.grant(**{key: floor.now + timedelta(seconds=30) if value == "now" else value for key, value in bounds.items()})
    floor.costs(HALF)
    await floor.round()
    assert await floor.sent() == []
    (told,) = await floor.told()
    if "strategies" in bounds or "rules" in bounds or "account" in bounds:
        assert (told.note, told.rung) == ("", Rung.SUGGEST)  # it has nothing to do with this trade
    else:
        assert why in told.note
        assert told.rung is Rung.CONFIRM and told.ticket_id is not None
        assert isinstance(await confirm(floor.desk, told.ticket_id, OWNER), Confirmed)


@simulated
async def test_mandate_when_its_orders_of_the_day_are_spent_then_a_person_is_asked_until_tomorrow(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold(1, client_id="O1")
    await floor.grant(max_orders_per_day=1)
    floor.costs(HALF)
    await floor.round()
    await floor.fill(floor.order())
    await floor.hold(1, client_id="O2")
    floor = await floor.restart()  # the count is in the log
    await floor.round()
    assert len(await floor.by_mandate()) == 1
    (told,) = await floor.told()
    assert "has sent its 1 order of today" in told.note
    await floor.round(after_seconds=24 * 3600)
    assert len(await floor.by_mandate()) == 2


@simulated
async def test_mandate_when_the_clock_goes_back_a_day_then_no_orders_are_freed(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold(1)
    await floor.grant(max_orders_per_day=1)
    floor.costs(HALF)
    await floor.round()
    before = floor.now - timedelta(days=1)
    assert floor.desk.fold.mandates(now=before)["M1"].left_today == 0


@simulated
async def test_mandate_when_it_ran_out_then_a_clock_set_back_does_not_revive_it(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.grant(valid_until=floor.now + timedelta(minutes=1))
    await runtime.sleep(120)
    await floor.say("note later")
    assert not floor.desk.fold.mandates(now=floor.now - timedelta(minutes=90))["M1"].in_force


@simulated
async def test_mandate_when_its_rule_is_set_otherwise_then_it_covers_nothing(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    reply = await floor.say("settings strategies.put_credit_spread.profit_target 0.25")
    assert reply.ok and "covering nothing more until it is granted anew: M1" in text(reply)
    (listed,) = (await floor.say("mandate list")).blocks
    assert isinstance(listed, Facts) and listed.title == "Mandate M1: covers nothing: a setting it was granted on has changed"
    floor.costs("3.00")
    await floor.round()
    assert await floor.sent() == []
    assert "a setting of its rules changed" in (await floor.told())[0].note


@simulated
async def test_mandate_when_granted_on_a_series_then_it_covers_the_trades_of_its_underlying(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    card = await floor.say("mandate grant profit_target put_credit_spread SPXW quantity=1")
    (grant, _) = card.actions
    await floor.say(grant.line)
    floor.costs(HALF)
    await floor.round()
    assert len(await floor.sent()) == 1


@simulated
async def test_mandate_when_its_setting_is_changed_and_changed_back_then_it_still_covers_nothing(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    for level in ("0.25", "0.50"):
        assert (await floor.say(f"settings strategies.put_credit_spread.profit_target {level}")).ok
    floor.costs(HALF)
    await floor.round()
    assert await floor.sent() == []
    assert "a setting of its rules changed" in (await floor.told())[0].note
    (listed,) = (await floor.say("mandate list")).blocks
    assert isinstance(listed, Facts) and "covers nothing" in listed.title


# --- revoked -------------------------------------------------------------------------------------------------------------


@simulated
async def test_mandate_when_revoked_between_trigger_and_wire_then_nothing_leaves(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    store, asked = floor.world.store, floor.world.store.lease_token

    async def slow() -> int:
        await runtime.sleep(5)
        return await asked()

    store.lease_token = slow  # type: ignore[method-assign]  # the last check before the wire takes its time
    looking = runtime.spawn(floor.loop.round(), name="round")
    await runtime.sleep(1)
    assert len(await floor.sent()) == 1
    assert (await floor.say("mandate revoke id=M1")).ok
    await looking
    order = floor.order()
    assert order.ended == "denied" and "mandate M1 was revoked: by owner" in order.reason
    assert floor.world.broker.sent("submit") == ["O1"]


@simulated
async def test_mandate_when_revoked_while_it_is_judged_then_nothing_is_written(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    looks = 0

    async def revoke() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:  # the first view is the round's, the second the order's own
            await floor.world.record(MandateRevoked(mandate_id="M1", reason="by owner"))
        else:
            floor.market.meanwhile = revoke

    floor.market.meanwhile = revoke
    await floor.round()
    assert looks == 2
    assert await floor.sent() == []
    assert len(await floor.told()) == 1


@simulated
async def test_d10_mandate_when_a_part_is_closed_elsewhere_while_it_is_judged_then_no_more_than_is_held_leaves(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold(2)
    await floor.grant()
    floor.costs(HALF)
    looks = 0

    async def one_is_closed() -> None:
        nonlocal looks
        looks += 1
        if looks < 2:  # the first view is the round's, the second the order's own
            floor.market.meanwhile = one_is_closed
            return
        for number, leg in enumerate(closing(SPREAD)):
            floor.world.broker.fill(leg, 1, "12", exec_id=f"app{number}", client_id=None)
        await floor.world.sender.pump(0)

    floor.market.meanwhile = one_is_closed
    await floor.round()
    assert looks == 2
    assert await floor.sent() == []
    (told,) = await floor.told()
    assert "1 held" in told.note


@simulated
async def test_mandate_when_revoked_while_its_order_works_then_the_price_walks_no_further(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    floor.costs(HALF, half_spread=0.10)
    await floor.round()
    order = floor.order()
    reply = await floor.say("mandate revoke id=M1")
    assert "Still working at the broker" in text(reply)
    assert [action.line for action in reply.actions] == [f"cancel {order.client_id}"]
    await runtime.sleep(60)
    await floor.world.sender.work()
    assert floor.world.broker.sent("replace") == []
    assert floor.world.state(order.client_id) is OrderState.WORKING


# --- modes ---------------------------------------------------------------------------------------------------------------


@simulated
async def test_mandate_when_halted_then_nothing_is_sent_and_a_person_may_press(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    await floor.world.halt()
    floor.costs(HALF)
    await floor.round()
    assert await floor.sent() == []
    (told,) = await floor.told()
    assert "the mode is halt" in told.note and told.ticket_id is not None
    assert isinstance(await confirm(floor.desk, told.ticket_id, OWNER), Confirmed)


@simulated
async def test_mandate_when_halted_between_trigger_and_wire_then_nothing_leaves(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    asked = floor.world.store.lease_token

    async def slow() -> int:
        await runtime.sleep(5)
        return await asked()

    floor.world.store.lease_token = slow  # type: ignore[method-assign]
    looking = runtime.spawn(floor.loop.round(), name="round")
    await runtime.sleep(1)
    await floor.world.halt()
    await looking
    assert floor.order().ended == "denied"
    assert floor.world.broker.sent("submit") == ["O1"]


@simulated
async def test_mandate_when_its_order_works_and_the_desk_is_halted_then_no_replace_leaves(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    floor.costs(HALF, half_spread=0.10)
    await floor.round()
    await floor.world.halt()
    await runtime.sleep(60)
    await floor.world.sender.work()
    assert floor.world.broker.sent("replace") == []


@pytest.mark.parametrize("mode", [Mode.PAUSED, Mode.REDUCING])
@simulated
async def test_mandate_when_entries_are_stopped_then_its_exits_go_on(runtime: SimRuntime, mode: Mode) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    await floor.world.halt(mode)
    floor.costs(HALF)
    await floor.round()
    assert len(await floor.sent()) == 1
    assert floor.world.state(floor.order().client_id) is OrderState.WORKING


@simulated
async def test_mandate_when_the_account_is_not_reconciled_then_nothing_is_sent(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    del floor.desk.epochs[PRACTICE]
    floor.costs(HALF)
    await floor.round()
    assert await floor.sent() == []
    assert "nothing can be sent now" in (await floor.told())[0].note


# --- the stop ------------------------------------------------------------------------------------------------------------


@simulated
async def test_stop_when_seen_once_then_silent_and_on_the_second_look_told_with_a_ready_card(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    floor.costs(STOP)
    await floor.round()
    assert await floor.told() == []
    await floor.round(after_seconds=15)
    assert await floor.told() == []  # too soon for a second look
    await floor.round(after_seconds=15)
    (told,) = await floor.told()
    assert told.rule == "credit_stop" and told.ticket_id is not None and told.must
    assert floor.news[-1].urgency is Urgency.HIGH


@simulated
async def test_stop_when_a_look_in_between_is_quiet_then_it_begins_anew(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    for cost in (STOP, "14.90", STOP):
        floor.costs(cost)
        await floor.round()
    assert await floor.told() == []


@simulated
async def test_g5_stop_when_the_session_is_five_minutes_old_then_not_yet(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    floor.costs(STOP)
    await runtime.sleep(22 * 3600 + 31 * 60)  # 9:31 the next morning
    for _ in range(3):
        await floor.round()
    assert await floor.told() == []
    await floor.round()  # 9:35
    await floor.round()
    assert len(await floor.told()) == 1


@simulated
async def test_stop_when_the_spread_is_wide_then_its_mid_is_not_believed(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    floor.costs(STOP, half_spread=1.0)  # 4.00 wide on 15.00
    await floor.round()
    await floor.round()
    assert await floor.told() == []


@simulated
async def test_stop_when_told_and_the_spread_is_wide_now_then_a_mandate_waits_for_a_mid_it_can_believe(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    floor.costs(STOP)
    await floor.round()
    await floor.round()  # touched, and told to a person
    floor.costs(STOP, half_spread=2.5)
    await floor.grant("credit_stop")
    for _ in range(3):
        await floor.round()
    assert len(await floor.told()) == 1
    assert await floor.sent() == []
    floor.costs(STOP)
    await floor.round()
    await floor.round()
    assert [body.quantity for body in await floor.sent()] == [1]


@simulated
async def test_stop_when_its_price_cannot_be_seen_twice_then_a_person_is_told_to_look(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant("credit_stop")
    floor.market.blind = {SPREAD[0].instrument.key}
    await floor.round()
    assert await floor.told() == []
    await floor.round()
    (told,) = await floor.told()
    assert told.decision == "look" and "credit_stop cannot be watched" in told.reason and told.ticket_id is None
    assert await floor.sent() == []


@simulated
async def test_g1_stop_when_its_quotes_are_old_then_it_is_blind_and_never_acts(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant("credit_stop")
    floor.costs(STOP)
    floor.market.stale_seconds = 500
    await floor.round()
    await floor.round()
    assert await floor.sent() == []
    assert (await floor.told())[0].decision == "look"


@simulated
async def test_stop_when_one_side_is_missing_then_it_alerts_instead_of_acting(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant("credit_stop")
    floor.market.quote(SPREAD[0], 15.0, 15.1)
    floor.market.quote(SPREAD[1], 0.0, 0.1)  # nobody bids for the wing
    await floor.round()
    await floor.round()
    assert await floor.sent() == []
    (told,) = await floor.told()
    assert told.decision == "look" and "nobody trades one side" in told.reason


@simulated
async def test_stop_under_a_mandate_when_hit_then_walks_to_natural_rests_pays_up_and_asks(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant("credit_stop")
    floor.costs(STOP, half_spread=0.10)
    await floor.round()
    await floor.round()
    order = floor.order()
    plan = order.envelope.plan
    # mid 15.00, natural 15.20, conceded max(0.10, 10%) of 15.20 beyond it
    assert (plan.start, plan.rest, plan.worst) == (Decimal("-15.00"), Decimal("-15.20"), Decimal("-16.70"))
    await runtime.sleep(60)
    await floor.world.sender.work()
    assert floor.world.order(order.client_id).limit == Decimal("-15.20")
    await runtime.sleep(20)
    await floor.world.sender.work()
    assert floor.world.order(order.client_id).limit == Decimal("-15.20")
    await runtime.sleep(10)
    await floor.world.sender.work()
    assert floor.world.order(order.client_id).limit == Decimal("-16.70")
    await floor.round(after_seconds=30)
    await floor.round()
    stuck = [alert for alert in floor.desk.fold.alerts.values() if alert.raised.key == f"exit:stuck:{order.client_id}"]
    assert len(stuck) == 1 and stuck[0].raised.urgency == "critical"
    assert "mandate revoke id=M1" in stuck[0].raised.lines
    assert any(line.startswith(f"close position_id={order.trade_id} limit=") for line in stuck[0].raised.lines)
    assert len(await floor.sent()) == 1


@simulated
async def test_stop_when_a_mandates_profit_order_works_then_that_is_cancelled_before_the_stop_leaves(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    await floor.grant("credit_stop", id="M2")
    floor.costs(HALF)
    await floor.round()
    profit = floor.order()
    floor.costs(STOP)
    await floor.round()
    await floor.round()
    assert floor.world.broker.sent("cancel") == [profit.client_id]
    assert [body.client_id for body in await floor.bodies(CancelRequested)] == [profit.client_id]
    await floor.round()
    await floor.round()
    stop = floor.order()
    assert stop.client_id != profit.client_id and stop.mandate == "M2"
    assert floor.world.order(profit.client_id).ended == "cancelled"
    live = floor.desk.book(PRACTICE).live
    assert list(live) == [stop.client_id]


@pytest.mark.parametrize(("rule", "cost", "wish"), [
    ("profit_target", HALF, {"target_share": Decimal("0.8")}),
    ("credit_stop", STOP, {"stop_multiple": Decimal(4)}),
])
@simulated
async def test_mandate_when_a_person_armed_their_own_exit_then_the_rule_it_stands_for_is_silent(
    runtime: SimRuntime, rule: str, cost: str, wish: dict[str, Decimal]
) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    own = intent(closing(SPREAD), 1, trade_id=trade, quantity_said=True, wish=Wish(**wish))
    card = await draft(floor.desk, own, OWNER)
    armed = await confirm(floor.desk, str(card.data["ticket"]), OWNER)
    assert isinstance(armed, Confirmed)
    await floor.grant(rule)
    floor.costs(cost)
    for _ in range(3):
        await floor.round()
    assert (await floor.sent(), await floor.told()) == ([], [])
    assert (await floor.say(f"cancel {armed.client_id}")).ok
    for _ in range(2):
        await floor.round()
    assert [body.quantity for body in await floor.sent()] == [1]


@simulated
async def test_stop_under_a_mandate_when_a_persons_own_target_stands_then_a_person_is_asked_first(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    own = intent(closing(SPREAD), 1, trade_id=trade, quantity_said=True, wish=Wish(target_share=Decimal("0.8")))
    card = await draft(floor.desk, own, OWNER)
    armed = await confirm(floor.desk, str(card.data["ticket"]), OWNER)
    assert isinstance(armed, Confirmed)
    await floor.grant("credit_stop")
    floor.costs(STOP)
    for _ in range(3):
        await floor.round()
    assert await floor.sent() == []  # both would close it twice
    (told,) = await floor.told()
    assert told.rule == "credit_stop"
    assert f"your own target {armed.client_id} stands, and a mandate does nothing beside that" in told.note


@simulated
async def test_stop_when_a_persons_own_order_is_closing_it_then_told_and_nothing_more(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    await floor.grant("credit_stop")
    card = await floor.say(f"close position_id={trade}")
    await floor.say(f"confirm {card.data['ticket']}")
    floor.costs(STOP)
    await floor.round()
    await floor.round()
    assert await floor.sent() == [] and floor.world.broker.sent("cancel") == []
    assert "works to close it, at 5.00 paid" in (await floor.told())[0].note


# --- what goes wrong -----------------------------------------------------------------------------------------------------


@simulated
async def test_delta_when_a_persons_own_order_stands_far_from_the_market_then_told_all_the_same(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    await floor.world.record(SettingChanged(key="exits.short_delta.most", old="0.60", new="0.20", loosens=False), stream="desk")
    card = await floor.say(f"close position_id={trade} limit=0.50")
    await floor.say(f"confirm {card.data['ticket']}")
    floor.costs("14.00")
    await floor.round()
    (told,) = await floor.told()
    assert told.rule == "short_delta" and told.ticket_id is None
    assert "works to close it, at 0.50 paid" in told.note


@simulated
async def test_e1_mandate_when_the_answer_is_lost_then_no_second_order_for_that_trade(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant(max_orders_per_day=3)
    floor.costs(HALF)
    floor.world.broker.fault("submit", BrokerTimeout("no answer"), after=True)
    floor.world.broker.fault("connect", times=100, error=OSError("away"))
    await floor.round()
    assert floor.world.state(floor.order().client_id) is OrderState.UNKNOWN
    for _ in range(5):
        await floor.round()
    assert len(await floor.sent()) == 1


@simulated
async def test_mandate_when_the_broker_rejects_its_order_then_a_person_decides(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    floor.world.broker.fault("submit", BrokerRejected("margin", "not today"))
    await floor.round()
    await floor.round()
    await floor.round()
    assert len(await floor.sent()) == 1
    (told,) = await floor.told()
    assert "was rejected (the broker rejected it: not today" in told.note and told.ticket_id is not None


@simulated
async def test_mandate_when_a_person_cancels_its_order_then_it_does_not_send_another(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    await floor.round()
    await floor.say(f"cancel {floor.order().client_id}")
    await floor.round()
    assert floor.order().ended == "cancelled"
    await floor.round()
    assert len(await floor.sent()) == 1
    assert "was cancelled" in (await floor.told())[0].note


@simulated
async def test_cancel_all_when_a_mandate_is_in_force_then_it_is_named_with_the_button_that_revokes_it(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    await floor.round()
    reply = await floor.say("cancel scope=all")
    assert "may send again once its rule is due: mandate M1" in text(reply)
    assert [action.line for action in reply.actions] == ["mandate revoke id=M1"]


@pytest.mark.parametrize(("granted_before", "orders"), [(True, 1), (False, 2)])
@simulated
async def test_mandate_when_a_person_cancels_the_order_of_another_then_it_sends_only_if_granted_since(
    runtime: SimRuntime, granted_before: bool, orders: int,
) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    if granted_before:
        await floor.grant(id="M2")
    floor.costs(HALF)
    await floor.round()
    await floor.say(f"cancel {floor.order().client_id}")
    await runtime.sleep(1)
    if not granted_before:
        await floor.grant(id="M2")
    await floor.round()
    assert len(await floor.sent()) == orders


@simulated
async def test_mandate_when_its_order_expired_with_the_day_then_the_next_day_brings_another(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant()
    floor.costs(HALF)
    await floor.round()
    first = floor.order().client_id
    await floor.world.record(OrderEnded(client_id=first, outcome="expired", reason="the session ended"))
    await floor.round(after_seconds=24 * 3600)
    assert len(await floor.sent()) == 2


@simulated
async def test_exits_when_one_of_them_fails_then_a_person_is_told_and_the_others_go_on(
    runtime: SimRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await set_level(floor, "profit_target", "suggest")
    broken = next(item for item in floor.desk.exits if item.name == "profit_target").module

    def fails(*given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(broken, "judge", fails)
    floor.costs(STOP)
    await floor.round()
    told = await floor.told()
    assert told[0].decision == "look" and "the exit profit_target failed (E" in told[0].reason
    await floor.round()
    assert (await floor.told())[-1].rule == "credit_stop"


@simulated
async def test_exits_when_a_leg_is_gone_then_no_order_is_made_for_half_a_structure(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    await floor.grant("credit_stop")
    floor.world.broker.fill(SPREAD[1], 1, "25", exec_id="gone", client_id="O1", corrects="EO11", busted=True)
    await floor.world.sender.pump(0)
    floor.costs("70.00")  # sold at 30.00, without its wing it costs 95.00
    await floor.round()
    await floor.round()
    assert await floor.sent() == []
    (told,) = await floor.told()
    assert told.decision == "look" and "cannot be closed by one order" in told.reason


# --- beside a person's own target ----------------------------------------------------------------------------------------


async def rest_a_target(floor: Floor, trade: str) -> str:
    """A person's own target rests at the broker; returns its order."""
    card = await floor.say(f"close position_id={trade} target=50%")
    await floor.say(f"confirm {card.data['ticket']}")
    await floor.desk.stewards[PRACTICE].turn()
    (resting,) = [order for order in floor.desk.book(PRACTICE).live.values() if order.standing_id is not None]
    return resting.client_id


@simulated
async def test_stop_when_a_persons_target_only_rests_then_rings_with_a_ready_card_that_takes_its_place(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    resting = await rest_a_target(floor, await floor.hold())
    floor.costs(STOP)
    await floor.round()
    await floor.round()
    (told,) = await floor.told()
    assert told.rule == "credit_stop" and told.ticket_id is not None
    assert "closing it already" not in told.reason + told.note  # it rests at 2.50, and closing costs 15.00
    assert floor.desk.fold.tickets[told.ticket_id].drafted.envelope.instead_of == (resting,)


@pytest.mark.parametrize(("units", "told"), [(2, []), (1, ["profit_target"])])
@simulated
async def test_rule_when_a_persons_own_exit_stands_for_a_part_then_it_still_speaks_for_the_rest(
    runtime: SimRuntime, units: int, told: list[str],
) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold(2)
    card = await floor.say(f"close position_id={trade} quantity={units} target=80%")
    await floor.say(f"confirm {card.data['ticket']}")
    floor.costs(HALF)
    await floor.round()
    assert [body.rule for body in await floor.told()] == told


@simulated
async def test_exits_when_a_persons_target_only_rests_then_the_others_still_speak(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await rest_a_target(floor, await floor.hold())
    await floor.world.record(SettingChanged(key="exits.short_delta.most", old="0.60", new="0.20", loosens=False), stream="desk")
    floor.costs("14.00")
    await floor.round()
    (told,) = await floor.told()
    assert told.rule == "short_delta" and told.ticket_id is not None


@simulated
async def test_mandate_when_a_persons_own_target_rests_then_says_why_it_does_nothing_and_a_card_is_ready(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    resting = await rest_a_target(floor, await floor.hold())
    await floor.grant("credit_stop")
    floor.costs(STOP)
    await floor.round()
    await floor.round()
    assert await floor.sent() == []
    (told,) = await floor.told()
    assert told.ticket_id is not None and "a mandate does nothing beside that" in told.note
    assert floor.desk.books.order(resting) is not None


# --- closing at a loss by a press ------------------------------------------------------------------------------------------


async def press_close(floor: Floor, line: str) -> Any:
    """Close by a card and a press; returns the order."""
    card = await floor.say(line)
    pressed = await confirm(floor.desk, card.data["ticket"], OWNER)
    assert isinstance(pressed, Confirmed)
    await floor.desk.senders[PRACTICE].send(pressed)
    return floor.world.order(pressed.client_id)


@simulated
async def test_close_when_it_loses_in_a_wide_market_then_it_goes_to_natural_and_with_a_profit_it_is_guarded(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    floor.costs("12.00", half_spread=2.0)  # natural 16.00
    losing = floor.desk.fold.tickets[(await floor.say(f"close position_id={trade}")).data["ticket"]].drafted.envelope.plan
    floor.costs("2.00", half_spread=1.0)  # natural 4.00, a guard of 10%
    winning = floor.desk.fold.tickets[(await floor.say(f"close position_id={trade}")).data["ticket"]].drafted.envelope.plan
    assert (losing.start, losing.worst) == (Decimal("-12.00"), Decimal("-16.00"))
    assert (winning.start, winning.worst) == (Decimal("-2.00"), Decimal("-2.20"))


@simulated
async def test_close_at_a_loss_when_unfilled_at_natural_then_a_person_is_asked_once_with_buttons(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    floor.costs("12.00", half_spread=0.10)
    order = await press_close(floor, f"close position_id={trade}")
    floor.costs("13.00", half_spread=0.10)  # the market goes on
    for _ in range(4):
        await floor.round()
    (stuck,) = [alert.raised for alert in floor.desk.fold.alerts.values() if alert.raised.key == f"exit:stuck:{order.client_id}"]
    assert stuck.urgency == "critical"
    assert "the market asks 13.20, and it never goes beyond 12.20" in stuck.text
    assert stuck.lines == (f"cancel {order.client_id}", f"close position_id={trade} limit=14.52")


@simulated
async def test_close_at_a_loss_when_a_person_named_its_price_then_nobody_asks(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    floor.costs("12.00", half_spread=0.10)
    order = await press_close(floor, f"close position_id={trade} limit=11.00")
    for _ in range(4):
        await floor.round()
    assert f"exit:stuck:{order.client_id}" not in floor.desk.fold.alerts
