"""What is due by the clock: comparisons with the broker's books, in session, before the open and after the close."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.domain.events import Reconciled
from core.orders.rounds import comparison_due
from core.runtime import SimRuntime
from tests.fake_broker import World, open_world, simulated

DAY = datetime(2019, 5, 6, tzinfo=UTC)  # a Monday; New York is four hours behind


def at(hour: int, minute: int = 0, *, days: int = 0) -> datetime:
    return DAY + timedelta(days=days, hours=hour + 4, minutes=minute)


@pytest.mark.parametrize(
    ("now", "last", "due"),
    [
        (at(11), None, True),
        (at(11), at(10, 46), False),
        (at(11), at(10, 45), True),
        (at(9, 14), at(16, 30, days=-3), False),
        (at(9, 15), at(16, 30, days=-3), True),
        (at(9, 25), at(9, 15), False),
        (at(9, 30), at(9, 15), True),
        (at(9, 31), at(9, 30), False),
        (at(16, 10), at(15, 55), True),
        (at(16, 20), at(16, 10), True),
        (at(23), at(16, 20), False),
        (at(11, days=-1), at(16, 30, days=-3), False),
        (at(10), at(11), True),
        (datetime(2019, 7, 3, 17, 20, tzinfo=UTC), datetime(2019, 7, 3, 17, 10, tzinfo=UTC), True),
    ],
    ids=[
        "never", "a_little_early", "by_the_minutes", "night", "before_the_open", "once_before_the_open", "at_the_open", "just_done",
        "late_series_still_trade", "after_the_close", "once_after_the_close", "sunday", "clock_went_back", "half_day",
    ],
)
def test_comparison_when_asked_at_a_time_then_due_as_the_rule_says(now: datetime, last: datetime | None, due: bool) -> None:
    assert comparison_due(now, last, 15) is due


def test_comparison_when_the_calendar_has_ended_then_by_the_minutes_alone() -> None:
    far = datetime(2041, 5, 6, 15, tzinfo=UTC)
    assert comparison_due(far, far - timedelta(minutes=15), 15)
    assert not comparison_due(far, far - timedelta(minutes=14), 15)


def snapshots(world: World) -> int:
    return 1_000 - world.broker.faults[0].times


@simulated
async def test_l6_reconcile_when_nothing_differs_then_compared_by_the_clock_and_nothing_is_written(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    world.broker.fault("snapshot", times=1_000)
    before = await world.store.last_seq()
    await runtime.sleep(46 * 60)
    assert snapshots(world) == 3
    assert world.sender.compared_at is not None and world.sender.compared_at >= at(11, 45)
    assert await world.store.last_seq() == before


@simulated
async def test_reconcile_when_something_changes_between_two_rounds_then_found_by_the_clock(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    world.broker.cash += 12
    await runtime.sleep(16 * 60)
    (last,) = [event.body for event in await world.store.read() if isinstance(event.body, Reconciled)][1:]
    assert [item.kind for item in last.found] == ["cash"]
    written = await world.store.last_seq()
    await runtime.sleep(300)  # compared every minute while it stands, and said once
    assert await world.store.last_seq() == written
