"""Time: what every other part asks instead of the machine. All instants are UTC-aware; exchange time is a view of them.

A clock has three faces. `now()` is the instant the desk believes it is. `monotonic()` is seconds gone by on this clock,
which never runs backwards, so that the pair shows a stepped wall clock. `standing` says that time moves only by hand
(a recorded day, a test), so a timer set on this clock fires at once instead of never.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import UserError


class Clock(Protocol):
    """What the desk knows of time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds gone by on this clock since an arbitrary start; never less than before."""
        ...

    @property
    def standing(self) -> bool:
        """Return True when time moves only by hand, so a timer on this clock fires at once."""
        ...


class LoopTime(Protocol):
    """An event loop with time of its own: the instant it began and the seconds since."""

    @property
    def start(self) -> datetime: ...

    def time(self) -> float: ...


class SystemClock:
    """The machine's own clock: live trading and paper trading on a real market."""

    standing = False

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock moved by hand. With `standing=False` timers on it wait until somebody moves it, instead of firing at once."""

    def __init__(self, start: datetime, standing: bool = True) -> None:
        self._now = as_utc(start)
        self._gone_seconds = 0.0
        self._standing = standing

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._gone_seconds

    @property
    def standing(self) -> bool:
        return self._standing

    def set(self, at: datetime, *, allow_backward: bool = False) -> None:
        """Move to `at`. A step back must be asked for, and leaves `monotonic()` where it was, as on a real machine."""
        target = as_utc(at)
        gone_seconds = (target - self._now).total_seconds()
        if gone_seconds < 0 and not allow_backward:
            raise ValueError(f"the clock stands at {self._now.isoformat()} and does not go back to {target.isoformat()}")
        self._gone_seconds += max(gone_seconds, 0.0)
        self._now = target

    def advance(self, by: timedelta) -> None:
        """Move forward by `by`."""
        self.set(self._now + by)


class ScaledClock:
    """Exchange time that starts at `start` and runs `speed` times as fast as `monotonic`, the seconds of the process.

    `wrap` is a pure function applied to each computed instant; it returns that instant or a later one (a time outside the
    session becomes the next open) and the clock runs on from there. `monotonic()` counts the skipped time too.
    """

    standing = False

    def __init__(
        self,
        start: datetime,
        speed: float,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        wrap: Callable[[datetime], datetime] | None = None,
    ) -> None:
        if not 0 < speed < float("inf"):
            raise ValueError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self._monotonic = monotonic
        self._wrap = wrap
        # Threads read the time as well, and a wrap moves the base that the others are counting from.
        self._lock = threading.Lock()
        self._start = as_utc(start)
        self._base = self._start
        self._base_seconds = monotonic()

    def now(self) -> datetime:
        with self._lock:
            return self._advanced()

    def monotonic(self) -> float:
        return (self.now() - self._start).total_seconds()

    def jump(self, at: datetime) -> None:
        """Move forward to `at` and run on from there."""
        target = as_utc(at)
        with self._lock:
            shown = self._advanced()
            if target < shown:
                raise ValueError(f"the clock shows {shown.isoformat()} and does not go back to {target.isoformat()}")
            self._rebase(target)

    def seconds_until(self, at: datetime) -> float:
        """Return the process seconds until this clock shows `at`; with `wrap` the wait can only be shorter."""
        return max((as_utc(at) - self.now()).total_seconds() / self.speed, 0.0)

    def _advanced(self) -> datetime:
        gone_seconds = (self._monotonic() - self._base_seconds) * self.speed
        computed = self._base + timedelta(seconds=gone_seconds)
        if self._wrap is None:
            return computed
        wrapped = as_utc(self._wrap(computed))
        if wrapped < computed:
            raise ValueError(f"wrap moved the clock back from {computed.isoformat()} to {wrapped.isoformat()}")
        if wrapped > computed:
            # From here the clock counts from the later instant; else it would stand there until the skipped time had gone by.
            self._rebase(wrapped)
        return wrapped

    def _rebase(self, at: datetime) -> None:
        self._base = at
        self._base_seconds = self._monotonic()


class LoopClock:
    """The clock of a simulation: the loop's virtual time, with a wall clock that a fault may step either way."""

    standing = False

    def __init__(self, loop: LoopTime) -> None:
        self._loop = loop
        self._offset = timedelta(0)

    def now(self) -> datetime:
        return self._loop.start + timedelta(seconds=self._loop.time()) + self._offset

    def monotonic(self) -> float:
        return self._loop.time()

    def step(self, by: timedelta) -> None:
        """Step the wall clock, back or forth, as a time server would; `monotonic()` does not notice."""
        self._offset += by


def skip_closed(*, is_open: Callable[[datetime], bool], next_open: Callable[[datetime], datetime]) -> Callable[[datetime], datetime]:
    """Return a `wrap` for ScaledClock that leaves an open instant alone and turns a closed one into the next open."""

    def wrap(at: datetime) -> datetime:
        return at if is_open(at) else next_open(at)

    return wrap


def seconds_until(clock: Clock, at: datetime) -> float:
    """Return the process seconds to wait until `clock` shows `at`: 0 when it is past, or when the clock stands."""
    if clock.standing:
        return 0.0
    if isinstance(clock, ScaledClock):
        return clock.seconds_until(at)
    return max((as_utc(at) - clock.now()).total_seconds(), 0.0)


def as_utc(at: datetime) -> datetime:
    """Return the same instant in UTC; a datetime without a zone is refused, since nobody can say when it is."""
    if at.tzinfo is None or at.utcoffset() is None:
        raise ValueError(f"{at.isoformat()} has no time zone")
    return at.astimezone(UTC)


def load_zone(name: str) -> ZoneInfo:
    """Return the time zone `name`, or say plainly that the zone data of this machine is missing."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UserError(
            f"there is no time zone data for {name!r} on this machine",
            "Check the name; if it is right, install the tzdata package (it is in requirements) and start again.",
        ) from error


# Instants at which the United States changed or will change the hour, with the offset in hours just before and after.
_KNOWN_CHANGES = (
    (datetime(2007, 3, 11, 7, tzinfo=UTC), -5, -4),
    (datetime(2025, 11, 2, 6, tzinfo=UTC), -4, -5),
    (datetime(2026, 3, 8, 7, tzinfo=UTC), -5, -4),
)


class _Absent(tzinfo):
    """Stands for a zone without data: the program starts far enough to say so and to halt, and every question of the hour is refused."""

    def __init__(self, error: UserError) -> None:
        self._error = error

    def utcoffset(self, at: datetime | None) -> timedelta:
        raise self._error

    def dst(self, at: datetime | None) -> timedelta:
        raise self._error

    def tzname(self, at: datetime | None) -> str:
        raise self._error


def _exchange_zone() -> tzinfo:
    try:
        return load_zone("America/New_York")
    except UserError as error:
        return _Absent(error)


def check_zone_data(zone: tzinfo | None = None) -> None:
    """Raise UserError unless the exchange zone changes the hour when it is known to: stale data moves every expiry."""
    exchange = zone or EXCHANGE_ZONE
    for change, hours_before, hours_after in _KNOWN_CHANGES:
        before = (change - timedelta(minutes=1)).astimezone(exchange).utcoffset()
        after = change.astimezone(exchange).utcoffset()
        if before != timedelta(hours=hours_before) or after != timedelta(hours=hours_after):
            raise UserError(
                f"the time zone data of this machine is wrong or out of date: {exchange} does not change the hour on {change.date()}",
                "Update the tzdata package and start again; no scheduled job runs until then.",
            )


EXCHANGE_ZONE = _exchange_zone()


def exchange_time(at: datetime) -> datetime:
    """Return the instant as exchange (New York) time."""
    return as_utc(at).astimezone(EXCHANGE_ZONE)


def exchange_date(at: datetime) -> date:
    """Return the calendar date in New York at the instant; whether it is a session is for the calendar to say."""
    return exchange_time(at).date()
