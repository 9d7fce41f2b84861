"""Walking the price: from start to worst, on ticks, never outside."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.accounts import AccountId, Env
from core.domain.instruments import Right
from core.domain.listing import option
from core.domain.money import on_tick
from core.domain.orders import Effect, Envelope, Leg, Limit, Side, TimeInForce
from core.orders.work import limit_at_step, steps_done

ACCOUNT = AccountId(broker="paper", id="P", env=Env.PAPER)
LEGS = (
    Leg(instrument=option("SPXW", date(2019, 5, 17), Right.PUT, Decimal(2700)), side=Side.SELL, effect=Effect.OPEN),
    Leg(instrument=option("SPXW", date(2019, 5, 17), Right.PUT, Decimal(2650)), side=Side.BUY, effect=Effect.OPEN),
)


def envelope(start: str, worst: str) -> Envelope:
    return Envelope(
        account=ACCOUNT, legs=LEGS, quantity=1, plan=Limit(start=Decimal(start), worst=Decimal(worst)), tif=TimeInForce.DAY,
        expires_at=datetime(2019, 4, 25, 20, tzinfo=UTC), policy_version=1, strategy="put_credit_spread", trade_id=None,
    )


def test_walk_when_steps_pass_then_moves_in_ticks_from_start_to_worst() -> None:
    limits = [limit_at_step(envelope("2.50", "2.25"), done=done, steps=5) for done in range(7)]
    assert limits == [Decimal(text) for text in ("2.50", "2.45", "2.40", "2.35", "2.30", "2.25", "2.25")]


def test_walk_when_a_debit_then_pays_more_step_by_step() -> None:
    limits = [limit_at_step(envelope("-1.00", "-1.10"), done=done, steps=2) for done in range(3)]
    assert limits == [Decimal("-1.00"), Decimal("-1.05"), Decimal("-1.10")]


def test_walk_when_a_loss_exit_rests_then_waits_at_natural_before_it_pays_up() -> None:
    plan = replace(envelope("-3.60", "-4.10"), plan=Limit(start=Decimal("-3.60"), worst=Decimal("-4.10"), rest=Decimal("-3.70")))
    limits = [limit_at_step(plan, done=done, steps=2) for done in range(5)]
    assert limits == [Decimal(text) for text in ("-3.60", "-3.65", "-3.70", "-4.10", "-4.10")]


@pytest.mark.parametrize(("elapsed", "done"), [(0, 0), (11.9, 0), (12, 1), (59.9, 4), (60, 5), (89.9, 5), (90, 6), (900, 6), (-5, 0)])
def test_steps_done_when_time_passes_then_counts_whole_steps(elapsed: float, done: int) -> None:
    assert steps_done(elapsed_seconds=elapsed, walk_seconds=60, steps=5, patience_seconds=30) == done


@given(start=st.integers(-200, 200), width=st.integers(0, 60), done=st.integers(-1, 12), steps=st.integers(1, 10))
def test_walk_when_any_plan_then_stays_inside_on_tick_and_never_goes_back(start: int, width: int, done: int, steps: int) -> None:
    tick = Decimal("0.05")
    plan = envelope(str(start * tick), str((start - width) * tick))
    limit = limit_at_step(plan, done=done, steps=steps)
    assert plan.plan.worst <= limit <= plan.plan.start
    assert on_tick(limit, tick)
    assert limit_at_step(plan, done=done + 1, steps=steps) <= limit
