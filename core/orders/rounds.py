"""What an account's loop does by the clock: when the books are compared, and when orders and positions ask for a person's attention. Pure.

In session the books are compared every so many minutes, once shortly before the open and once after the last close, so that what an
exercise, an expiry or a broker did overnight is seen before anything is traded on it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.clock import exchange_date
from core.domain.calendar import CalendarError, session

BEFORE_OPEN = timedelta(minutes=15)
AFTER_CLOSE = timedelta(minutes=20)  # late-close series trade until 15 minutes after the close


def comparison_due(now: datetime, last: datetime | None, every_minutes: int) -> bool:
    """Whether the broker's books are to be compared now, having been compared completely at `last`.

    Example, with 15 minutes: compared at 09:10 New York, due at 09:15 (before the open), at 09:30, 09:45 ... 16:15, and at 16:20.
    """
    if last is None or now < last:
        return True
    try:
        today = session(exchange_date(now))
    except CalendarError:
        return now - last >= timedelta(minutes=every_minutes)  # beyond the tables: by the minutes alone
    if today is None:
        return False
    if now < today.open_at:
        return now >= today.open_at - BEFORE_OPEN > last
    if now >= today.close_at + AFTER_CLOSE:
        return last < today.close_at + AFTER_CLOSE
    return last < today.open_at or now - last >= timedelta(minutes=every_minutes)
