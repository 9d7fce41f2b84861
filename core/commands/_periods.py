"""Periods as a person names them, as exchange days."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from core.clock import exchange_date
from core.domain.calendar import previous_session
from core.errors import UserError

FIRST_DAY = date(1998, 1, 1)


def days_of(period: str, now: datetime) -> tuple[date, date]:
    """First and last exchange day of a period, both included."""
    today = exchange_date(now)
    if ".." in period:
        first, last = (date.fromisoformat(part) for part in period.split("..", 1))
        if first > last:
            raise UserError(f"The period {period} ends before it begins.", "Write it as 2026-11-01..2026-11-20.")
        return first, last
    if period == "yesterday":
        before = previous_session(today)
        return before, before
    starts = {
        "today": today,
        "week": today - timedelta(days=today.weekday()),
        "month": today.replace(day=1),
        "ytd": today.replace(month=1, day=1),
        "year": today - timedelta(days=365),
        "all": FIRST_DAY,
    }
    if period in starts:
        return starts[period], today
    day = date.fromisoformat(period)
    return day, day


def words_of(first: date, last: date) -> str:
    """A period for a title."""
    if first == last:
        return f"{first.day} {first:%b %y}"
    if first == FIRST_DAY:
        return f"up to {last.day} {last:%b %y}"
    return f"{first.day} {first:%b %y} to {last.day} {last:%b %y}"
