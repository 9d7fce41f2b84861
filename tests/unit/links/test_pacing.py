"""The pace of requests: never over the broker's limit, and a cancel always has a token."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.links.pacing import Lane, Pacing

LIMIT = 200
SHARE = Decimal("0.8")


def paced(per_minute: Decimal | None = LIMIT * SHARE) -> Pacing:
    return Pacing(per_minute=per_minute, now_seconds=0.0)


def test_f7_pacing_when_reads_flood_then_orders_and_cancels_have_their_own_tokens() -> None:
    pacing = paced()
    left = dict.fromkeys(Lane, 0)
    for lane in (Lane.READ, Lane.ORDER, Lane.CANCEL):
        while pacing.take(lane, 0.0) == 0:
            left[lane] += 1
    assert left == {Lane.READ: 20, Lane.ORDER: 10, Lane.CANCEL: 10}


@given(st.lists(st.tuples(st.sampled_from(Lane), st.floats(0, 5)), max_size=400), st.integers(10, 600))
def test_f7_pacing_when_anything_is_asked_then_no_minute_holds_more_than_the_share(asked: list[tuple[Lane, float]], limit: int) -> None:
    pacing, now, left = paced(limit * SHARE), 0.0, []
    for lane, pause in asked:
        now += pause
        if pacing.take(lane, now) == 0:
            left.append(now)
    for first in left:
        assert sum(first <= at < first + 60 for at in left) <= limit * SHARE


@given(st.lists(st.sampled_from(Lane), max_size=200))
def test_f7_pacing_when_it_says_how_long_then_after_that_the_request_may_leave(asked: list[Lane]) -> None:
    pacing, now = paced(Decimal(60)), 0.0
    for lane in asked:
        wait = pacing.take(lane, now)
        if wait > 0:
            now += wait + 1e-9
            assert pacing.take(lane, now) == 0


def test_f7_pacing_when_the_broker_asks_for_silence_then_nothing_leaves_before_it_ends() -> None:
    pacing = paced()
    pacing.hold(30, 100.0)
    pacing.hold(5, 101.0)  # a shorter wish does not shorten it
    assert pacing.take(Lane.CANCEL, 110.0) == 20.0
    assert pacing.take(Lane.CANCEL, 130.0) == 0.0


def test_pacing_when_the_broker_states_no_limit_then_nothing_waits_but_for_its_word() -> None:
    pacing = paced(None)
    assert [pacing.take(Lane.READ, 0.0) for _ in range(1000)] == [0.0] * 1000
    pacing.hold(3, 0.0)
    assert pacing.take(Lane.READ, 1.0) == 2.0


def test_pacing_when_charged_without_asking_then_what_follows_pays() -> None:
    pacing = paced()
    for _ in range(40):
        pacing.charge(0.0)
    assert pacing.take(Lane.CANCEL, 0.0) == 0.5


def test_pacing_when_the_limit_leaves_nothing_to_keep_back_then_refused() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        paced(Decimal(7))
