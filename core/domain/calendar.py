"""The exchange calendar: sessions, trading hours per series, last trade and settlement times.

Days are exchange dates (America/New_York); instants are UTC. Everything comes from rule tables, so the same question has the same
answer in every mode. What a root lists is in `core.domain.expiries`, whose names are offered here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.domain.expiries import (
    expires_on,
    listed_expiries,
    may_expire,
    monthly_expiry,
    third_friday,
    trading_expiry,
    vix_expiry,
)
from core.domain.holidays import SPECIAL_OPENS, half_days
from core.domain.instruments import Delivery, InstrumentError, SeriesSpec, Settlement
from core.domain.sessions import CalendarError, closure, is_session, next_session, previous_session, sessions

__all__ = [
    "EXCHANGE", "CalendarError", "ExtendedHours", "Session", "closure", "dte", "exchange_day", "expires_on", "extended_hours", "hours",
    "is_open", "is_session", "last_trade_at", "listed_expiries", "may_expire", "monthly_expiry", "next_session", "previous_session",
    "session", "session_date", "sessions", "settlement_at", "third_friday", "trading_expiry", "vix_expiry", "years_to",
]



class _Absent(tzinfo):
    """Stands for the exchange's zone where this machine has no data of it: no start gets further, and no hour is guessed."""

    def utcoffset(self, at: datetime | None) -> timedelta:
        raise CalendarError("this machine has no time zone data of the exchange")

    def dst(self, at: datetime | None) -> timedelta:
        raise CalendarError("this machine has no time zone data of the exchange")

    def tzname(self, at: datetime | None) -> str:
        raise CalendarError("this machine has no time zone data of the exchange")


def _exchange() -> tzinfo:
    try:
        return ZoneInfo("America/New_York")
    except (ZoneInfoNotFoundError, OSError):
        return _Absent()


EXCHANGE: Final = _exchange()
DAYS_PER_YEAR: Final = 365
_OPEN, _CLOSE, _HALF_CLOSE = time(9, 30), time(16, 0), time(13, 0)
_LATE: Final = timedelta(minutes=15)  # late-close series trade this much longer, on half days too
_SECONDS_PER_YEAR: Final = DAYS_PER_YEAR * 86_400.0

# Cboe's other sessions for its S&P 500 and VIX options: first trade date, the evening before?, from, to (exchange time).
_GLOBAL: Final = (
    (date(2015, 3, 2), False, time(3, 0), time(9, 15)),
    (date(2021, 11, 22), True, time(20, 15), time(9, 15)),
    (date(2022, 4, 25), True, time(20, 15), time(9, 25)),
)
_CURB_FROM: Final = date(2022, 4, 25)
_CURB_CLOSE: Final = time(17, 0)
_GLOBAL_ROOTS: Final = frozenset({"SPX", "SPXW", "XSP", "VIX", "VIXW"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The regular US equity session of one exchange day; `early` marks a 13:00 close."""

    day: date
    open_at: datetime  # UTC
    close_at: datetime  # UTC
    early: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedHours:
    """A trading session outside regular hours. Known so that it can be named; the desk sends no orders in it."""

    name: str  # global | curb
    open_at: datetime
    close_at: datetime


@lru_cache(maxsize=4096)
def session(day: date) -> Session | None:
    """The regular equity session of a day, None where the exchange is closed."""
    return _regular(day) if is_session(day) else None


def exchange_day(at: datetime) -> date:
    """The New York date of an instant; raises CalendarError for one without zone, or at the end of time."""
    if at.tzinfo is None:
        raise CalendarError("an instant needs a time zone to have an exchange date")
    try:
        return at.astimezone(EXCHANGE).date()
    except (OverflowError, ValueError) as error:
        raise CalendarError(f"{at.isoformat()} has no exchange date") from error


def session_date(at: datetime) -> date:
    """The session an instant belongs to: the day's own until its late close (16:15, half days 13:15), from then on the next one.

    Before the open, at night, on weekends and holidays it is the session to come. Raises CalendarError for a time without zone.
    """
    day = exchange_day(at)
    today = session(day)
    if today is not None and at < today.close_at + _LATE:
        return day
    return next_session(day)


def hours(spec: SeriesSpec, day: date, expiry: date | None = None) -> tuple[datetime, datetime] | None:
    """Regular trading hours of a series on a day; of one contract where its expiry is given, whose last day may end earlier.

    None where the exchange is closed or the contract no longer trades. Raises InstrumentError for an expiry on a closed day.
    """
    regular = session(day)
    if regular is None:
        return None
    closes = regular.close_at + _LATE if spec.late_close else regular.close_at
    if expiry is not None:
        last = last_trade_at(spec, expiry)
        if last <= regular.open_at:
            return None
        closes = min(closes, last)
    return regular.open_at, closes


def is_open(spec: SeriesSpec, at: datetime, expiry: date | None = None) -> bool:
    """True in regular trading hours, [open, close); the only hours the desk sends orders in."""
    span = hours(spec, exchange_day(at), expiry)
    return span is not None and span[0] <= at < span[1]


def extended_hours(spec: SeriesSpec, day: date) -> tuple[ExtendedHours, ...]:
    """Cboe's global (overnight) and curb sessions that carry this trade date; half days are shown without a curb session."""
    regular = session(day)
    if spec.root not in _GLOBAL_ROOTS or regular is None:
        return ()
    found = []
    bands = [band for band in _GLOBAL if band[0] <= day]
    if bands:
        _, evening_before, opens, closes = bands[-1]
        start = day - timedelta(days=1) if evening_before else day
        found.append(ExtendedHours(name="global", open_at=_at(start, opens), close_at=_at(day, closes)))
    if day >= _CURB_FROM and not regular.early:
        found.append(ExtendedHours(name="curb", open_at=regular.close_at + _LATE, close_at=_at(day, _CURB_CLOSE)))
    return tuple(found)


@lru_cache(maxsize=8192)
def last_trade_at(spec: SeriesSpec, expiry: date) -> datetime:
    """The instant regular trading of a contract ends for good.

    AM-settled series: the late close of the session before settlement morning. PM-settled cash series: the equity close of expiry day,
    without the fifteen extra minutes. Others: their own close on expiry day. Raises InstrumentError where expiry is not a trading day.
    """
    final = _final_session(spec, expiry)
    if spec.settlement is Settlement.AM:
        eve = _regular(previous_session(final.day))
        return eve.close_at + _LATE if spec.late_close else eve.close_at
    if spec.delivery is Delivery.CASH or not spec.late_close:
        return final.close_at
    return final.close_at + _LATE


def settlement_at(spec: SeriesSpec, expiry: date) -> datetime:
    """The instant whose prices decide the contract: the open of settlement morning (AM) or the equity close of expiry day (PM).

    An AM value (SET, SOQ) is computed from opening prints and published later the same morning; until then it is pending.
    """
    final = _final_session(spec, expiry)
    return final.open_at if spec.settlement is Settlement.AM else final.close_at


def dte(expiry: date, today: date) -> int:
    """Calendar days from an exchange date to expiry; negative once expired."""
    return (expiry - today).days


def years_to(end: datetime, at: datetime) -> float:
    """Time from `at` to a last trade or settlement instant in years of 365 days, to the second; 0.0 once passed."""
    if at.tzinfo is None or end.tzinfo is None:
        raise CalendarError("the time between instants needs their time zones")
    return max(0.0, (end - at).total_seconds() / _SECONDS_PER_YEAR)


def _regular(day: date) -> Session:
    """The hours of a day already known to be a session."""
    early = day in half_days(day.year)
    return Session(
        day=day, open_at=_at(day, SPECIAL_OPENS.get(day, _OPEN)), close_at=_at(day, _HALF_CLOSE if early else _CLOSE), early=early,
    )


def _final_session(spec: SeriesSpec, expiry: date) -> Session:
    day = trading_expiry(spec, expiry)
    final = session(day)
    if final is None:
        raise InstrumentError(f"{spec.root} cannot expire on {expiry.isoformat()}: the exchange is closed ({closure(day)})")
    return final


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, EXCHANGE).astimezone(UTC)
