"""When instruments and whole structures trade: the calendar's hours, instrument by instrument."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from core.domain.calendar import CalendarError, exchange_day, hours, session
from core.domain.instruments import Instrument, InstrumentError, Option


def trading_hours(instrument: Instrument, day: date) -> tuple[datetime, datetime] | None:
    """Regular hours of an instrument on a day, None where it does not trade.

    An adjusted series, whose terms are not tabled, has the equity session until its own last trade.
    """
    regular = session(day)
    if not isinstance(instrument, Option):
        return None if regular is None else (regular.open_at, regular.close_at)
    try:
        return hours(instrument.series, day, instrument.expiry)
    except (InstrumentError, CalendarError):
        return None if regular is None else (regular.open_at, min(regular.close_at, instrument.last_trade_at))


def open_together(instruments: Iterable[Instrument], now: datetime) -> tuple[datetime, datetime] | None:
    """The span in which all of them trade, where `now` lies in it, else None."""
    day = exchange_day(now)
    spans = [trading_hours(instrument, day) for instrument in instruments]
    known = [span for span in spans if span is not None]
    if not spans or len(known) < len(spans):
        return None
    start, end = max(span[0] for span in known), min(span[1] for span in known)
    return (start, end) if start <= now < end else None
