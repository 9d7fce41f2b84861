"""Days the US exchanges do not trade, or trade short: rules by computation, plus a table of what no rule foresees.

Source of the rules: NYSE Rule 7.2 (holidays and early closings) and the NYSE history of special closings.
"""

from __future__ import annotations

from datetime import date, time, timedelta
from functools import cache
from types import MappingProxyType
from typing import Final

FIRST_YEAR: Final = 1998
LAST_YEAR: Final = 2040
MON, TUE, WED, THU, FRI, SAT, SUN = range(7)

_ATTACKS = "closed: attacks of 11 September 2001"
UNSCHEDULED: Final = MappingProxyType({
    date(2001, 9, 11): _ATTACKS,
    date(2001, 9, 12): _ATTACKS,
    date(2001, 9, 13): _ATTACKS,
    date(2001, 9, 14): _ATTACKS,
    date(2004, 6, 11): "closed: national day of mourning (President Reagan)",
    date(2007, 1, 2): "closed: national day of mourning (President Ford)",
    date(2012, 10, 29): "closed: Hurricane Sandy",
    date(2012, 10, 30): "closed: Hurricane Sandy",
    date(2018, 12, 5): "closed: national day of mourning (President George H. W. Bush)",
    date(2025, 1, 9): "closed: national day of mourning (President Carter)",
})
SPECIAL_OPENS: Final = MappingProxyType({date(2002, 9, 11): time(12, 0)})  # anniversary ceremonies until noon
_SPECIAL_HALF_DAYS: Final = MappingProxyType({date(2003, 12, 26): "day after Christmas"})


@cache
def closures(year: int) -> MappingProxyType[date, str]:
    """Weekdays of a year on which the exchange is closed, with the reason."""
    holidays = {
        nth_weekday(year, 1, MON, 3): "Martin Luther King Jr. Day",
        nth_weekday(year, 2, MON, 3): "Presidents' Day",
        easter(year) - timedelta(days=2): "Good Friday",
        last_weekday(year, 5, MON): "Memorial Day",
        _observed(date(year, 7, 4)): "Independence Day",
        nth_weekday(year, 9, MON, 1): "Labor Day",
        nth_weekday(year, 11, THU, 4): "Thanksgiving",
        _observed(date(year, 12, 25)): "Christmas",
    }
    new_year = date(year, 1, 1)
    if new_year.weekday() != SAT:  # a Saturday New Year is not moved to 31 December, which ends the business year
        holidays[_observed(new_year)] = "New Year"
    if year >= 2022:
        holidays[_observed(date(year, 6, 19))] = "Juneteenth"
    holidays |= {day: reason for day, reason in UNSCHEDULED.items() if day.year == year}
    return MappingProxyType(holidays)


@cache
def half_days(year: int) -> MappingProxyType[date, str]:
    """Sessions of a year that close at 13:00 exchange time, with the occasion."""
    days = {nth_weekday(year, 11, THU, 4) + timedelta(days=1): "day after Thanksgiving"}
    christmas_eve = date(year, 12, 24)
    if christmas_eve.weekday() <= THU:  # on a Friday it is the observed holiday
        days[christmas_eve] = "Christmas Eve"
    eve = _independence_half_day(year)
    if eve is not None:
        days[eve] = "day before Independence Day" if eve.day == 3 else "day after Independence Day"
    days |= {day: occasion for day, occasion in _SPECIAL_HALF_DAYS.items() if day.year == year}
    return MappingProxyType(days)


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous computus, Meeus, Astronomical Algorithms, ch. 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1)


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """The nth Monday (0) to Sunday (6) of a month, counted from 1."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def last_weekday(year: int, month: int, weekday: int) -> date:
    """The last Monday (0) to Sunday (6) of a month."""
    last = month_end(year, month)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def month_end(year: int, month: int) -> date:
    """The last calendar day of a month."""
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def _observed(day: date) -> date:
    """Saturday holidays are kept on Friday, Sunday ones on Monday."""
    return day + timedelta(days={SAT: -1, SUN: 1}.get(day.weekday(), 0))


def _independence_half_day(year: int) -> date | None:
    fourth = date(year, 7, 4).weekday()
    if fourth == THU:  # the short day moved from the Friday after to the Wednesday before in 2013
        return date(year, 7, 3) if year >= 2013 else date(year, 7, 5)
    return date(year, 7, 3) if fourth in (TUE, WED, FRI) else None
