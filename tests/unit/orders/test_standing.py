"""Standing orders as a pure reducer, what they cover, and the prices that follow from an entry."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.events import Armed, Disarmed, Role, StopMoved, StopTriggered, Submitting
from core.domain.instruments import Equity
from core.domain.orders import Envelope, Leg, Permitted
from core.domain.plans import Bracket, Exits, Limit, Sliced, Slicing, StopTerms, VolatilityScale, exit_price
from core.orders.standing import Standing, bracket_exits, covers, exits_plan, net_filled, parts_due, same_holding, step, volume_curve
from core.orders.states import Order
from core.orders.states import step as step_order
from core.risk import gate
from core.risk.exam import Verdict
from tests.unit.risk.market import NOW, PRACTICE, SPREAD, Log, buy, call, closing, envelope, filled, sell
from tests.unit.risk.market import submitting as submitted

D = Decimal
CLOSE = closing(SPREAD)
STOP = StopTerms(level=D("-15.00"), guard=D("3.75"))
PLAN = exits_plan(CLOSE, target=D("-2.50"), stop=STOP, now=D("-5.00"))
COVERED = replace(envelope(CLOSE, 3, start="-2.50", worst="-18.75", trade_id="P1"), plan=PLAN)


def armed(covered: Envelope = COVERED, role: Role = Role.STOP) -> Standing:
    body = Armed(
        standing_id="S1", role=role, ticket_id="T1", account=PRACTICE, envelope=covered, envelope_hash=covered.hash, trade_id="P1",
    )
    found = step(None, body, at=NOW)
    assert found is not None
    return found


def child(name: str = "O1", quantity: int = 3) -> Submitting:
    return Submitting(
        client_id=name, ticket_id="T1", account=PRACTICE, envelope=COVERED, envelope_hash=COVERED.hash, limit=D("-15.50"),
        quantity=quantity, trade_id="P1", reducing=True, standing_id="S1",
    )


ALLOWED = Verdict(findings=(), allowed=True, reducing=True, factor=D(1), quantity_allowed=3)
TRIGGERED = StopTriggered(standing_id="S1", level=D("-15"), mid=D("-15.50"), first_mid=D("-15.20"), first_at=NOW)


def test_step_when_any_event_comes_twice_then_nothing_changes() -> None:
    item: Standing | None = armed()
    done = Disarmed(standing_id="S1", outcome="done", reason="")
    for body in (StopMoved(standing_id="S1", best=D("-4"), level=D("-14")), TRIGGERED, child(), done):
        once = step(item, body, at=NOW)
        assert step(once, body, at=NOW) == once
        item = once
    assert item is not None and item.state == "done"


def test_step_when_over_then_nothing_brings_it_back() -> None:
    over = step(armed(), Disarmed(standing_id="S1", outcome="cancelled", reason="by a person"), at=NOW)
    for body in (TRIGGERED, child(), Disarmed(standing_id="S1", outcome="done", reason="")):
        assert step(over, body, at=NOW) == over


def test_step_when_of_an_order_never_armed_then_ignored() -> None:
    assert step(None, TRIGGERED, at=NOW) is None


@pytest.mark.parametrize(
    ("legs", "of", "trade", "loose", "same"),
    [
        (CLOSE, CLOSE, "P1", False, True),
        (CLOSE[:1], CLOSE, "P1", False, True),  # of a trade whose legs come apart
        (CLOSE[:1], CLOSE[1:], "P1", False, False),  # its other leg
        (CLOSE, CLOSE, "P2", False, False),  # another trade of the same contracts
        (CLOSE[:1], CLOSE[:1], None, True, True),  # of none: each press makes up a trade of its own
        (CLOSE[:1], CLOSE[1:], None, True, False),
    ],
)
def test_holding_when_compared_then_the_same_only_for_a_common_contract_of_one_trade_or_of_none(
    legs: tuple[Leg, ...], of: tuple[Leg, ...], trade: str | None, loose: bool, same: bool,
) -> None:
    item = armed(replace(envelope(of, 3, start="-2.50", worst="-18.75", trade_id=None if loose else "P1"), plan=PLAN))
    asked = envelope(legs, 1, start="-2.50", worst="-18.75", trade_id=trade)
    assert same_holding(asked, trade, item) is same


OUTSIDE = [
    ({"limit": D("-18.76")}, "outside"),
    ({"limit": D("-2.49")}, "outside"),
    ({"limit": D("NaN")}, "outside"),
    ({"quantity": 4}, "more than the 3"),
    ({"quantity": 0}, "more than the 3"),
    ({"confirmed_hash": "0" * 64}, "differs"),
    ({"envelope": replace(COVERED, quantity=2)}, "differs"),
    ({"envelope": replace(COVERED, plan=Limit(start=D(-2), worst=D(-3)))}, "differs"),
]


@pytest.mark.parametrize(("changes", "why"), OUTSIDE)
def test_d4_covers_when_one_thing_differs_from_what_was_confirmed_then_says_so(changes: dict[str, Any], why: str) -> None:
    asked = {"envelope": COVERED, "limit": D("-15.50"), "quantity": 3, "confirmed_hash": COVERED.hash}
    assert covers(armed(), {}, **asked) is None
    assert why in (covers(armed(), {}, **(asked | changes)) or "")


def part(name: str = "O1", quantity: int = 3, **changes: Any) -> Order:
    order, _ = step_order(None, child(name, quantity), at=NOW)
    assert order is not None
    return replace(order, **changes)


def let_through(order: Order, *others: Order, confirmed_hash: str = COVERED.hash, verdict: Verdict = ALLOWED) -> Permitted:
    standing = replace(armed(), children=tuple(item.client_id for item in (*others, order)))
    orders = {item.client_id: item for item in (*others, order)}
    return gate.permit_part(order, standing, verdict=verdict, orders=orders, confirmed_hash=confirmed_hash)


@pytest.mark.parametrize(("changes", "why"), OUTSIDE)
def test_d4_permit_part_when_one_thing_differs_from_what_was_confirmed_then_refused(changes: dict[str, Any], why: str) -> None:
    told = {"confirmed_hash": changes["confirmed_hash"]} if "confirmed_hash" in changes else {}
    order = part(**{name: value for name, value in changes.items() if name not in told})
    with pytest.raises(gate.NotPermitted, match=why):
        let_through(replace(order, envelope_hash=order.envelope.hash), **told)


def test_permit_part_when_two_of_three_still_work_then_one_more_and_no_second() -> None:
    first = part("O1", 2)
    assert let_through(part("O2", 1), first).quantity == 1
    with pytest.raises(gate.NotPermitted, match="2 is more than the 1 still covered by S1"):
        let_through(part("O2", 2), first)


def test_d4_permit_part_when_it_is_not_the_order_that_was_written_down_then_refused() -> None:
    with pytest.raises(gate.NotPermitted, match="the one that was written down"):
        let_through(part(envelope_hash="0" * 64))


def test_permit_part_when_the_rules_say_no_then_refused_with_their_words() -> None:
    with pytest.raises(gate.NotPermitted, match="too much"):
        let_through(part(), verdict=replace(ALLOWED, allowed=False, reason="too much"))


def test_covers_when_a_target_then_at_its_own_price_only() -> None:
    asked = {"envelope": COVERED, "quantity": 3, "confirmed_hash": COVERED.hash}
    target = armed(role=Role.TARGET)
    assert covers(target, {}, limit=D("-2.50"), **asked) is None
    assert covers(target, {}, limit=D("-2.55"), **asked) is not None


@pytest.mark.parametrize(
    ("entry", "share", "price"),
    [("1.20", "0.5", "-0.60"), ("1.20", "-2", "-3.60"), ("-2.00", "0.5", "3.00"), ("-2.00", "-0.5", "1.00"), ("0", "0.5", "0")],
)
def test_exit_price_when_credit_or_debit_then_as_the_worked_examples(entry: str, share: str, price: str) -> None:
    assert exit_price(D(entry), D(share)) == D(price)


def test_bracket_when_filled_at_1_20_then_half_and_twice_as_the_worked_example() -> None:
    plan = Bracket(start=D("1.25"), worst=D("1.15"), target_share=D("0.5"), stop_multiple=D(2))
    exits = bracket_exits(plan, entry=D("1.20"), legs=CLOSE)
    assert exits.stop is not None
    assert (exits.target, exits.stop.level, exits.stop.guard, exits.worst) == (D("-0.60"), D("-3.60"), D("0.90"), D("-4.50"))


@given(cents=st.integers(5, 900), share=st.integers(1, 99), multiple=st.integers(1, 50))
def test_bracket_when_any_credit_then_target_wins_stop_loses_and_nothing_goes_beyond(cents: int, share: int, multiple: int) -> None:
    entry = D(cents) / 20
    plan = Bracket(start=entry, worst=entry, target_share=D(share) / 100, stop_multiple=D(multiple) / 10)
    exits = bracket_exits(plan, entry=entry, legs=CLOSE)
    assert exits.stop is not None and exits.target is not None
    assert exits.target + entry > 0 > exits.stop.level + entry - D("0.05")
    assert exits.worst <= exits.stop.level - exits.stop.guard <= exits.stop.level < exits.target <= exits.start


def test_stop_when_scaled_by_volatility_then_moves_within_its_bounds() -> None:
    scale = VolatilityScale(anchor=D("-1.20"), iv=D("0.18"), least=D("0.75"), most=D("1.5"))
    stop = StopTerms(level=D("-3.60"), guard=D("0.90"), scale=scale)
    assert stop.level_now(iv=D("0.18")) == D("-3.60")
    assert stop.level_now(iv=D("0.36")) == D("-4.80")  # twice the volatility: held at 1.5 times the distance of 2.40
    assert stop.level_now(iv=D("0.09")) == D("-3.00")
    assert stop.level_now(iv=None) == D("-3.60")
    assert stop.lowest == D("-4.80")


def test_stop_when_trailing_then_never_goes_back() -> None:
    stop = StopTerms(level=D("-7.00"), guard=D("1.00"), trail=D("2.00"))
    assert stop.level_now(best=D("-2.00")) == D("-4.00")
    assert stop.level_now(best=D("-6.00")) == D("-7.00")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Exits(start=D(0), worst=D(-5)),
        lambda: Exits(start=D(-1), worst=D(-5), target=D(0)),
        lambda: Exits(start=D(-1), worst=D(-5), stop=STOP),
        lambda: Exits(start=D(-1), worst=D(-20), target=D(-16), stop=STOP),
        lambda: StopTerms(level=D(-1), guard=D(-1)),
        lambda: StopTerms(level=D(-1), guard=D(0), trail=D(0)),
        lambda: Bracket(start=D(1), worst=D(1)),
        lambda: Bracket(start=D(1), worst=D(1), stop_multiple=D(1), trail_share=D(1)),
        lambda: Sliced(start=D(1), worst=D(1), style=Slicing.ICEBERG),
        lambda: Sliced(start=D(1), worst=D(1), style=Slicing.TWAP, seconds=60, weights=(D(1),)),
        lambda: Limit(start=D(1), worst=D(2)),
    ],
)
def test_plan_when_it_cannot_be_meant_then_cannot_be_made(wrong: Any) -> None:
    with pytest.raises(ValueError):
        wrong()


def twap(parts: int = 4, seconds: int = 1200) -> Sliced:
    return Sliced(start=D(1), worst=D(1), style=Slicing.TWAP, seconds=seconds, weights=(D(1),) * parts)


def test_parts_when_ten_units_in_four_parts_then_as_the_worked_example() -> None:
    due = [parts_due(twap(), 10, elapsed_seconds=minute * 60, filled_units=0) for minute in (0, 4, 5, 10, 15, 99)]
    assert due == [3, 3, 5, 8, 10, 10]


@given(quantity=st.integers(2, 200), parts=st.integers(2, 12), seconds=st.integers(12, 4000))
def test_parts_when_timed_then_rise_to_the_whole_and_never_beyond(quantity: int, parts: int, seconds: int) -> None:
    plan = twap(min(parts, quantity), seconds)
    due = [parts_due(plan, quantity, elapsed_seconds=at, filled_units=0) for at in range(0, seconds + 60, max(1, seconds // 50))]
    assert due == sorted(due)
    assert due[0] >= 0 and due[-1] == quantity == max(due)


def test_volume_curve_when_over_a_day_then_u_shaped() -> None:
    curve = volume_curve(0, 390, 13)
    assert curve[0] > curve[6] < curve[-1]
    assert min(curve) >= 1


def test_net_when_shares_and_a_call_fill_together_then_per_share_with_the_shares_as_part_of_a_contract() -> None:
    shares, calls = buy(Equity(symbol="SPY"), ratio=100), sell(call(295, root="SPY"))
    log = Log()
    log.add(
        submitted((shares, calls), 1), filled(shares, 100, "290.00", exec_id="a"), filled(calls, 1, "2.02", exec_id="b"),
    )
    assert net_filled(log.book.orders["O1"]) == Decimal("-287.98")
