"""Clocks: what moves, what stands, and what never runs backwards."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from core.clock import (
    LoopClock,
    ManualClock,
    ScaledClock,
    SystemClock,
    as_utc,
    check_zone_data,
    exchange_date,
    exchange_time,
    load_zone,
    seconds_until,
    skip_closed,
)
from core.errors import UserError

OPEN = datetime(2026, 3, 6, 14, 30, tzinfo=UTC)


class Ticks:
    """Process seconds, moved by the test."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class FixedLoop:
    start = OPEN

    def __init__(self) -> None:
        self.seconds = 0.0

    def time(self) -> float:
        return self.seconds


def test_system_clock_when_read_twice_then_utc_and_never_backwards() -> None:
    clock = SystemClock()

    first, second = clock.monotonic(), clock.monotonic()

    assert clock.now().utcoffset() == timedelta(0)
    assert second >= first
    assert clock.standing is False


def test_manual_clock_when_advanced_then_both_times_move() -> None:
    clock = ManualClock(OPEN)

    clock.advance(timedelta(minutes=5))

    assert clock.now() == OPEN + timedelta(minutes=5)
    assert clock.monotonic() == 300.0
    assert clock.standing is True


def test_manual_clock_when_told_to_run_then_timers_do_not_fire_at_once() -> None:
    clock = ManualClock(OPEN, standing=False)

    assert clock.standing is False
    assert seconds_until(clock, OPEN + timedelta(seconds=8)) == 8.0


def test_manual_clock_when_set_back_then_refused_and_unmoved() -> None:
    clock = ManualClock(OPEN)

    with pytest.raises(ValueError, match="does not go back"):
        clock.set(OPEN - timedelta(seconds=1))

    assert clock.now() == OPEN


def test_manual_clock_when_stepped_back_on_purpose_then_monotonic_stays() -> None:
    clock = ManualClock(OPEN)
    clock.advance(timedelta(seconds=10))

    clock.set(OPEN - timedelta(hours=1), allow_backward=True)

    assert clock.now() == OPEN - timedelta(hours=1)
    assert clock.monotonic() == 10.0


def test_manual_clock_when_start_has_another_zone_then_shown_in_utc() -> None:
    clock = ManualClock(datetime(2026, 3, 6, 9, 30, tzinfo=ZoneInfo("America/New_York")))

    assert clock.now() == OPEN
    assert clock.now().tzinfo is UTC


def test_as_utc_when_zone_is_missing_then_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        as_utc(OPEN.replace(tzinfo=None))


def test_scaled_clock_when_speed_is_sixty_then_a_second_is_a_minute() -> None:
    ticks = Ticks()
    clock = ScaledClock(OPEN, 60.0, ticks)

    ticks.seconds += 2

    assert clock.now() == OPEN + timedelta(minutes=2)
    assert clock.monotonic() == 120.0
    assert clock.seconds_until(OPEN + timedelta(minutes=5)) == 3.0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_scaled_clock_when_speed_is_senseless_then_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        ScaledClock(OPEN, speed, Ticks())


def test_scaled_clock_when_jumped_then_runs_on_from_there() -> None:
    ticks = Ticks()
    clock = ScaledClock(OPEN, 10.0, ticks)
    ticks.seconds += 1

    clock.jump(OPEN + timedelta(days=1))
    ticks.seconds += 1

    assert clock.now() == OPEN + timedelta(days=1, seconds=10)


def test_scaled_clock_when_jumped_back_then_refused() -> None:
    clock = ScaledClock(OPEN, 10.0, Ticks())

    with pytest.raises(ValueError, match="does not go back"):
        clock.jump(OPEN - timedelta(seconds=1))


def test_scaled_clock_when_session_closes_then_runs_on_from_the_next_open() -> None:
    ticks = Ticks()
    close, next_open = OPEN + timedelta(minutes=10), OPEN + timedelta(days=3)
    wrap = skip_closed(is_open=lambda at: at < close or at >= next_open, next_open=lambda _: next_open)
    clock = ScaledClock(OPEN, 60.0, ticks, wrap=wrap)

    ticks.seconds += 9
    before_close = clock.now()
    ticks.seconds += 2
    at_skip = clock.now()
    ticks.seconds += 1
    after_skip = clock.now()

    assert before_close == OPEN + timedelta(minutes=9)
    assert at_skip == next_open
    assert after_skip == next_open + timedelta(minutes=1)
    assert clock.monotonic() == timedelta(days=3, minutes=1).total_seconds()


def test_scaled_clock_when_wrap_goes_back_then_refused() -> None:
    clock = ScaledClock(OPEN, 1.0, Ticks(), wrap=lambda at: at - timedelta(seconds=1))

    with pytest.raises(ValueError, match="moved the clock back"):
        clock.now()


def test_loop_clock_when_wall_steps_back_then_monotonic_does_not() -> None:
    loop = FixedLoop()
    clock = LoopClock(loop)
    loop.seconds = 90.0

    clock.step(timedelta(hours=-1))

    assert clock.now() == OPEN + timedelta(seconds=90, hours=-1)
    assert clock.monotonic() == 90.0


def test_seconds_until_when_clock_stands_then_zero() -> None:
    assert seconds_until(ManualClock(OPEN), OPEN + timedelta(days=1)) == 0.0


def test_seconds_until_when_instant_is_past_then_zero() -> None:
    assert seconds_until(ManualClock(OPEN, standing=False), OPEN - timedelta(days=1)) == 0.0


def test_seconds_until_when_clock_runs_fast_then_in_process_seconds() -> None:
    assert seconds_until(ScaledClock(OPEN, 60.0, Ticks()), OPEN + timedelta(minutes=1)) == 1.0


def test_exchange_time_when_hour_changes_then_follows_new_york() -> None:
    before = exchange_time(datetime(2026, 3, 8, 6, 59, tzinfo=UTC))
    after = exchange_time(datetime(2026, 3, 8, 7, 0, tzinfo=UTC))

    assert (before.hour, before.minute) == (1, 59)
    assert (after.hour, after.minute) == (3, 0)


def test_exchange_date_when_utc_is_a_day_ahead_then_new_yorks_date() -> None:
    assert exchange_date(datetime(2026, 3, 7, 2, 0, tzinfo=UTC)) == date(2026, 3, 6)


def test_load_zone_when_data_is_missing_then_says_what_to_install() -> None:
    with pytest.raises(UserError, match="tzdata"):
        load_zone("America/Nowhere")


def test_check_zone_data_when_present_then_passes() -> None:
    check_zone_data()


def test_check_zone_data_when_rules_are_not_new_yorks_then_refused() -> None:
    # Regina, like stale data, knows no change of the hour.
    with pytest.raises(UserError, match="out of date"):
        check_zone_data(ZoneInfo("America/Regina"))


def test_as_utc_when_offset_is_fixed_then_same_instant() -> None:
    assert as_utc(datetime(2026, 3, 6, 16, 30, tzinfo=timezone(timedelta(hours=2)))) == OPEN
