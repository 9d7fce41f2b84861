"""The life of an order: its state follows from its facts, and what should not have happened is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.events import Body, CancelRequested, OrderAcknowledged, OrderEnded, OrderUnknown, ReplaceRefused, Replacing
from core.domain.orders import OrderState, Side
from core.orders.states import TRANSITIONS, Order, Outcome, step
from tests.unit.risk.market import NOW, SPREAD, acknowledged, filled, submitting

SHORT, LONG = SPREAD
CANCELLED = OrderEnded(client_id="O1", outcome="cancelled", reason="asked")
REJECTED = OrderEnded(client_id="O1", outcome="rejected", reason="no")
EXPIRED = OrderEnded(client_id="O1", outcome="expired", reason="day order")
UNKNOWN = OrderUnknown(client_id="O1", reason="no answer in time")


def after(*bodies: Body, quantity: int = 2) -> tuple[Order, tuple[Outcome, ...]]:
    """The order once submitted and told all that, with the outcomes of the last."""
    order, outcomes = step(None, submitting(SPREAD, quantity), at=NOW)
    for number, body in enumerate(bodies, 1):
        order, outcomes = step(order, body, at=NOW + timedelta(seconds=number))
    assert order is not None
    return order, outcomes


def both(quantity: int, name: str = "E") -> tuple[Body, Body]:
    return filled(SHORT, quantity, "30", exec_id=f"{name}1"), filled(LONG, quantity, "21", exec_id=f"{name}2")


def test_step_when_submitted_then_waits_for_the_broker() -> None:
    order, outcomes = after()
    assert (order.state, order.leaves, outcomes) == (OrderState.SUBMITTING, 2, ())


def test_step_when_acknowledged_and_filled_then_filled_once() -> None:
    order, outcomes = after(acknowledged(), *both(2))
    assert (order.state, order.leaves, outcomes) == (OrderState.FILLED, 0, (Outcome.FILLED,))


def test_step_when_some_units_fill_then_partially_filled() -> None:
    order, outcomes = after(acknowledged(), *both(1))
    assert (order.state, order.filled, order.leaves, outcomes) == (OrderState.PARTIALLY_FILLED, 1, 1, (Outcome.PARTIAL,))


def test_e1_step_when_nobody_knows_then_unknown_until_evidence() -> None:
    order, outcomes = after(UNKNOWN)
    assert (order.state, order.leaves, outcomes) == (OrderState.UNKNOWN, 2, (Outcome.UNKNOWN,))
    known, _ = step(order, acknowledged(), at=NOW)
    assert known is not None
    assert known.state is OrderState.WORKING


def test_e4_live_fills_when_one_was_corrected_and_one_busted_then_only_what_stands_of_them() -> None:
    order, _ = after(
        acknowledged(), *both(1), filled(SHORT, 1, "29", exec_id="E1.2", corrects="E1"),
        filled(LONG, 1, "20", exec_id="B"), filled(LONG, 1, "20", exec_id="B.2", corrects="B", busted=True),
    )
    assert [(fill.exec_id, fill.price) for fill in order.live_fills] == [("E1.2", Decimal(29)), ("E2", Decimal(21))]
    assert (order.filled, order.leaves) == (1, 1)


def test_e6_overfilled_when_a_leg_is_traded_on_its_wrong_side_then_covered_by_nothing() -> None:
    bought = replace(SHORT, side=Side.BUY)
    order, outcomes = after(acknowledged(), filled(bought, 1, "30", exec_id="E1"))
    assert order.overfilled_keys == (SHORT.instrument.key,)
    assert Outcome.OVERFILL in outcomes


def test_e3_step_when_fill_comes_before_the_acknowledgement_then_counted() -> None:
    order, _ = after(*both(2), acknowledged())
    assert order.state is OrderState.FILLED


@pytest.mark.parametrize("end", [CANCELLED, REJECTED, EXPIRED])
def test_e3_step_when_fill_comes_after_the_end_then_counted_and_told(end: OrderEnded) -> None:
    order, outcomes = after(acknowledged(), end, *both(2))
    assert order.state is OrderState.FILLED
    assert Outcome.FILL_AFTER_END in outcomes


def test_e3_step_when_late_fill_is_partial_then_state_stays_ended() -> None:
    order, outcomes = after(acknowledged(), CANCELLED, *both(1))
    assert (order.state, order.filled, order.leaves) == (OrderState.CANCELLED, 1, 0)
    assert outcomes == (Outcome.FILL_AFTER_END, Outcome.PARTIAL)


def test_e4_step_when_execution_repeats_then_nothing_changes() -> None:
    first, _ = after(acknowledged(), *both(1))
    again, outcomes = step(first, both(1)[0], at=NOW + timedelta(hours=1))
    assert again is first
    assert outcomes == ()


def test_e4_step_when_execution_is_corrected_then_the_correction_supersedes() -> None:
    order, _ = after(acknowledged(), *both(2), filled(SHORT, 1, "30", exec_id="E1.01", corrects="E1"))
    assert order.filled_contracts == {SHORT.instrument.key: 1, LONG.instrument.key: 2}
    assert order.state is OrderState.PARTIALLY_FILLED


def test_e4_step_when_execution_is_busted_then_never_happened() -> None:
    order, _ = after(acknowledged(), *both(2), filled(SHORT, 0, "0", exec_id="E1.B", corrects="E1", busted=True))
    assert order.filled_contracts[SHORT.instrument.key] == 0


def test_e6_step_when_more_fills_than_confirmed_then_kept_and_told() -> None:
    order, outcomes = after(acknowledged(), *both(2), filled(SHORT, 1, "30", exec_id="E9"))
    assert order.overfilled
    assert Outcome.OVERFILL in outcomes
    assert order.filled_contracts[SHORT.instrument.key] == 3


def test_n7_step_when_one_leg_fills_alone_then_alarmed_until_its_partner_does() -> None:
    order, outcomes = after(acknowledged(), filled(SHORT, 2, "30", exec_id="E1"))
    assert order.uneven
    assert outcomes == (Outcome.UNEVEN_LEGS,)
    done, told = step(order, filled(LONG, 2, "21", exec_id="E2"), at=NOW)
    assert done is not None
    assert not done.uneven
    assert told == (Outcome.FILLED,)


def test_n7_step_when_ratios_differ_then_even_means_in_ratio() -> None:
    legs = (SHORT, LONG.__class__(instrument=LONG.instrument, side=LONG.side, effect=LONG.effect, ratio=2))
    order, _ = step(None, submitting(legs, 2), at=NOW)
    order, _ = step(order, filled(SHORT, 1, "30", exec_id="E1"), at=NOW)
    order, outcomes = step(order, filled(legs[1], 2, "21", exec_id="E2"), at=NOW)
    assert order is not None
    assert not order.uneven
    assert outcomes == (Outcome.PARTIAL,)


def test_e7_step_when_cancel_asked_then_pending_until_the_broker_says() -> None:
    order, _ = after(acknowledged(), CancelRequested(client_id="O1", reason="person"))
    assert (order.state, order.leaves) == (OrderState.PENDING_CANCEL, 2)
    ended, outcomes = step(order, CANCELLED, at=NOW)
    assert ended is not None
    assert (ended.state, outcomes) == (OrderState.CANCELLED, (Outcome.ENDED,))


def test_e8_step_when_replace_is_refused_then_the_original_limit_stands() -> None:
    order, _ = after(acknowledged(), Replacing(client_id="O1", limit=Decimal("4.90")))
    assert (order.limit, order.pending_limit) == (Decimal(5), Decimal("4.90"))
    refused, _ = step(order, ReplaceRefused(client_id="O1", limit=Decimal(5), reason="tick"), at=NOW)
    assert refused is not None
    assert (refused.limit, refused.pending_limit, refused.state) == (Decimal(5), None, OrderState.WORKING)


def test_step_when_replace_is_acknowledged_then_the_new_limit_stands() -> None:
    done = OrderAcknowledged(client_id="O1", broker_ref="BO1", limit=Decimal("4.90"))
    order, _ = after(acknowledged(), Replacing(client_id="O1", limit=Decimal("4.90")), done)
    assert (order.limit, order.pending_limit) == (Decimal("4.90"), None)


def test_step_when_two_ends_are_reported_then_the_first_stands() -> None:
    order, outcomes = after(acknowledged(), CANCELLED, EXPIRED)
    assert (order.state, outcomes) == (OrderState.CANCELLED, ())


def test_step_when_order_was_never_submitted_then_nothing() -> None:
    assert step(None, acknowledged(), at=NOW) == (None, ())


def test_step_when_submitted_twice_then_the_first_stands() -> None:
    order, _ = after(acknowledged())
    assert step(order, submitting(SPREAD, 9), at=NOW) == (order, ())


def test_transitions_when_documented_then_the_page_holds_the_same_table() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "orders.md").read_text(encoding="utf-8")
    for state in OrderState:
        row = f"| {state.value} | {', '.join(other.value for other in OrderState if other in TRANSITIONS[state])} |"
        assert row in page, f"docs/orders.md lacks: {row}"
