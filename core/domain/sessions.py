"""Which days are sessions, and the steps between them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from core.domain.holidays import FIRST_YEAR, LAST_YEAR, SAT, closures

_DAY = timedelta(days=1)


class CalendarError(ValueError):
    """A day or instant the exchange calendar cannot answer for."""


def is_session(day: date) -> bool:
    """True where the US equity and option exchanges hold a regular session."""
    return closure(day) is None


def closure(day: date) -> str | None:
    """Why the exchange is closed all day ("Thanksgiving", "weekend"), None on a session; CalendarError outside 1998 to 2040."""
    if isinstance(day, datetime):
        raise CalendarError("the calendar takes an exchange date, not an instant")
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise CalendarError(f"the exchange calendar covers {FIRST_YEAR} to {LAST_YEAR}, not {day.isoformat()}")
    if day.weekday() >= SAT:
        return "weekend"
    return closures(day.year).get(day)


def next_session(day: date) -> date:
    """The first session strictly after a day."""
    day = _beside(day, _DAY)
    while not is_session(day):
        day += _DAY
    return day


def previous_session(day: date) -> date:
    """The last session strictly before a day."""
    day = _beside(day, -_DAY)
    while not is_session(day):
        day -= _DAY
    return day


def sessions(start: date, end: date) -> tuple[date, ...]:
    """All sessions from `start` to `end`, both included; empty where `end` is before `start`."""
    span = (end - start).days
    return tuple(day for day in (start + timedelta(days=step) for step in range(span + 1)) if is_session(day))


def _beside(day: date, step: timedelta) -> date:
    try:
        return day + step
    except OverflowError as error:
        raise CalendarError(f"there is no day beside {day.isoformat()}") from error
