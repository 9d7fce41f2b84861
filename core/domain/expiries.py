"""Which expiries each root lists: tables by date, since the exchanges added weekdays over the years.

A table says on which days a root may expire and how far ahead such expiries are listed. Sources: Cboe, Nasdaq and NYSE product
announcements. Lead times are those seen in recorded chains (SPX and SPXW 2019, SPY 2021, AAPL 2015), rounded up; where none was at
hand they are estimates, so a table may list an expiry somewhat early. The provider's chain decides what is quoted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from core.domain.holidays import FIRST_YEAR, FRI, LAST_YEAR, MON, SAT, THU, TUE, WED, month_end, nth_weekday
from core.domain.instruments import Delivery, SeriesSpec, Settlement
from core.domain.sessions import CalendarError, closure, is_session, next_session, previous_session

_SATURDAY_EXPIRY_UNTIL: Final = date(2015, 2, 1)  # before, standard monthly contracts carried the Saturday after the third Friday
_VIX_TERM: Final = timedelta(days=30)
_WEEK: Final = timedelta(days=7)
_FIRST_DAY: Final = date(FIRST_YEAR, 1, 1)
_LAST_DAY: Final = date(LAST_YEAR, 12, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """A weekday on which a root expires: from the first expiry to the last, listed up to `lead_days` ahead."""

    weekday: int
    first: date
    lead_days: int
    last: date = date.max


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """All expiries of a root: monthlies (third Friday), far months, weekdays, month ends."""

    monthly_days: int | None = None  # how far ahead every month is listed; None: no monthlies
    monthly_first: date = date(FIRST_YEAR, 1, 1)
    far: tuple[tuple[frozenset[int], int], ...] = ()  # months listed further ahead, and how far
    weekly: tuple[Weekly, ...] = ()
    month_end_days: int | None = None
    month_end_first: date = date(FIRST_YEAR, 1, 1)
    exhaustive: bool = False  # a day outside the table is certainly no expiry of this root


def _week(lead_days: int, friday_lead: int, *, mon: date, tue: date, wed: date, thu: date, fri: date) -> tuple[Weekly, ...]:
    """The five weekdays with their first expiries; Fridays have a longer lead."""
    days = ((MON, mon), (TUE, tue), (WED, wed), (THU, thu), (FRI, fri))
    return tuple(Weekly(weekday=day, first=first, lead_days=friday_lead if day == FRI else lead_days) for day, first in days)


_TWO_WEEKS_SINCE: Final = date(2022, 11, 30)
_QUARTERS: Final = frozenset({3, 6, 9, 12})
_INDEX_MONTHLY: Final = Cycle(monthly_days=370, far=((_QUARTERS, 560), (frozenset({6, 12}), 1100)), exhaustive=True)
_STOCK: Final = Cycle(
    monthly_days=295, far=((frozenset({1}), 930), (frozenset({6}), 560)),
    weekly=(Weekly(weekday=FRI, first=date(2010, 6, 4), lead_days=57),),
)


def _etf(*, mon: date, tue: date, wed: date, thu: date) -> Cycle:
    """A fund with daily expiries: two weeks ahead, five for Mondays and Wednesdays before Tuesdays and Thursdays came in 2022."""
    long = tuple(Weekly(weekday=day, first=first, last=_TWO_WEEKS_SINCE, lead_days=39) for day, first in ((MON, mon), (WED, wed)))
    return Cycle(
        monthly_days=370, far=((frozenset({1, 3, 6, 9, 12}), 930),), month_end_days=370, month_end_first=date(2007, 6, 29),
        weekly=long + _week(16, 74, mon=mon, tue=tue, wed=wed, thu=thu, fri=date(2010, 6, 4)),
    )


# The first PM-settled third Friday under the root SPXW is 19 May 2017; until then those contracts had the root SPXPM.
CYCLES: Final = MappingProxyType({
    "SPX": _INDEX_MONTHLY,
    "NDX": _INDEX_MONTHLY,
    "RUT": _INDEX_MONTHLY,
    "SPXW": Cycle(
        monthly_days=375, monthly_first=date(2017, 5, 19), month_end_days=375, month_end_first=date(2007, 6, 29), exhaustive=True,
        weekly=_week(
            39, 80, mon=date(2016, 8, 22), tue=date(2022, 4, 19), wed=date(2016, 3, 2), thu=date(2022, 5, 12), fri=date(2010, 12, 3),
        ),
    ),
    "XSP": Cycle(
        monthly_days=370, far=((_QUARTERS, 560),), month_end_days=370, month_end_first=date(2018, 1, 31),
        weekly=_week(
            30, 57, mon=date(2018, 2, 5), tue=date(2022, 9, 13), wed=date(2018, 2, 7), thu=date(2022, 9, 15), fri=date(2014, 1, 3),
        ),
    ),
    "NDXP": Cycle(
        monthly_days=370, monthly_first=date(2018, 2, 16), month_end_days=190, month_end_first=date(2018, 2, 28),
        weekly=_week(
            30, 57, mon=date(2018, 9, 10), tue=date(2022, 11, 15), wed=date(2018, 9, 10), thu=date(2022, 11, 17), fri=date(2018, 2, 2),
        ),
    ),
    "RUTW": Cycle(
        monthly_days=370, monthly_first=date(2019, 1, 18), month_end_days=370, month_end_first=date(2014, 11, 28),
        weekly=_week(
            30, 57, mon=date(2020, 10, 5), tue=date(2024, 1, 9), wed=date(2020, 10, 5), thu=date(2024, 1, 11), fri=date(2011, 1, 7),
        ),
    ),
    "SPY": _etf(mon=date(2018, 2, 26), tue=date(2022, 11, 15), wed=date(2016, 9, 7), thu=date(2022, 11, 17)),
    "QQQ": _etf(mon=date(2018, 6, 4), tue=date(2022, 11, 15), wed=date(2018, 6, 4), thu=date(2022, 11, 17)),
    "IWM": _etf(mon=date(2018, 6, 4), tue=date(2024, 5, 21), wed=date(2018, 6, 4), thu=date(2024, 5, 23)),
})
_VIX_LEAD: Final = MappingProxyType({"VIX": 370, "VIXW": 47})
_VIXW_FIRST: Final = date(2015, 10, 14)


def third_friday(year: int, month: int) -> date:
    """The third Friday of a month, session or not."""
    if not (date.min.year <= year <= date.max.year and 1 <= month <= 12):
        raise CalendarError(f"there is no month {month} of {year}")
    return nth_weekday(year, month, FRI, 3)


def monthly_expiry(year: int, month: int) -> date:
    """The session on which standard monthly options expire: the third Friday, or the session before where that is a holiday."""
    return _on_or_before(third_friday(year, month))


def vix_expiry(year: int, month: int) -> date:
    """The morning on which VIX options of a month settle: 30 days before the next month's SPX expiry, or the session before."""
    following = third_friday(year + month // 12, month % 12 + 1)
    return _vix_settlement(following)


def trading_expiry(spec: SeriesSpec, expiry: date) -> date:
    """The session that ends a contract with this expiry date: the same day, except for the Saturday dates used until January 2015."""
    if expiry.weekday() == SAT and expiry < _SATURDAY_EXPIRY_UNTIL and spec.root not in _VIX_LEAD:
        friday = expiry - timedelta(days=1)
        if friday == third_friday(friday.year, friday.month):
            return _on_or_before(friday)
    return expiry


def expires_on(spec: SeriesSpec, day: date) -> bool:
    """True where the tables know an expiry of this root on a day, however far ahead."""
    return any(expiry == day for expiry, _ in _expiries_near(spec, day))


def may_expire(spec: SeriesSpec, day: date) -> bool:
    """True where a contract of this root can carry this expiry.

    Index roots expire only as tabled. Exchanges add expiries of stocks and funds class by class, so any session may be one of theirs.
    """
    cycle = CYCLES.get(spec.root, _STOCK)
    if cycle.exhaustive or spec.root in _VIX_LEAD:
        return expires_on(spec, day)
    return is_session(trading_expiry(spec, day))


def listed_expiries(spec: SeriesSpec, today: date, *, days: int) -> tuple[date, ...]:
    """Expiries listed on `today` from today to `days` ahead, in order.

    Today's own expiry is included all day, even where it traded for the last time the session before (AM settlement).
    """
    closure(today)  # refuses days outside the calendar instead of listing nothing
    end = min(today + timedelta(days=days), date(LAST_YEAR, 12, 31) - _VIX_TERM)
    found = set()
    for expiry, lead_days in _expiries(spec, today, end):
        ahead = (expiry - today).days
        if 0 <= ahead <= min(days, lead_days):
            found.add(expiry)
    return tuple(sorted(found))


@lru_cache(maxsize=4096)
def _expiries_near(spec: SeriesSpec, day: date) -> tuple[tuple[date, int], ...]:
    return tuple(_expiries(spec, day, day))


def _expiries(spec: SeriesSpec, start: date, end: date) -> Iterator[tuple[date, int]]:
    """(expiry, lead days) of a root, at least all those from `start` to `end`; may repeat."""
    if spec.root in _VIX_LEAD:
        yield from _vix_expiries(spec.root, start, end)
        return
    cycle = CYCLES.get(spec.root, _STOCK)
    for year, month in _months(start, end):
        yield from _monthlies(spec, cycle, year, month)
        if cycle.month_end_days is not None:
            last = _on_or_before(month_end(year, month))
            if last >= cycle.month_end_first:
                yield last, cycle.month_end_days
    for weekly in cycle.weekly:
        for day in _weekdays(weekly.weekday, start, min(end, start + timedelta(days=weekly.lead_days))):
            if weekly.first <= day <= weekly.last and day != third_friday(day.year, day.month):
                yield _shifted(day), weekly.lead_days


def _monthlies(spec: SeriesSpec, cycle: Cycle, year: int, month: int) -> Iterator[tuple[date, int]]:
    if cycle.monthly_days is None:
        return
    expiry = monthly_expiry(year, month)
    if expiry < cycle.monthly_first:
        return
    if expiry < _SATURDAY_EXPIRY_UNTIL and (spec.settlement is Settlement.AM or spec.delivery is Delivery.PHYSICAL):
        expiry = third_friday(year, month) + timedelta(days=1)
    yield expiry, max([cycle.monthly_days, *(lead for months, lead in cycle.far if month in months)])


def _vix_expiries(root: str, start: date, end: date) -> Iterator[tuple[date, int]]:
    """VIX settles before each third Friday, VIXW before every other Friday."""
    for friday in _weekdays(FRI, min(start, _LAST_DAY) + _VIX_TERM, min(end, _LAST_DAY) + _VIX_TERM):
        monthly = friday == third_friday(friday.year, friday.month)
        expiry = _vix_settlement(friday)
        if monthly == (root == "VIX") and (monthly or expiry >= _VIXW_FIRST):
            yield expiry, _VIX_LEAD[root]


def _vix_settlement(friday: date) -> date:
    return _on_or_before(_on_or_before(friday) - _VIX_TERM)


def _shifted(day: date) -> date:
    """A weekly expiry on a holiday moves to the session before, a Monday one to the session after."""
    if is_session(day):
        return day
    return next_session(day) if day.weekday() == MON else previous_session(day)


def _on_or_before(day: date) -> date:
    return day if is_session(day) else previous_session(day)


def _weekdays(weekday: int, start: date, end: date) -> Iterator[date]:
    """Every such weekday from a week before `start` to a week after `end`: holidays may shift an expiry into the span."""
    day = max(start, _FIRST_DAY) - _WEEK
    day += timedelta(days=(weekday - day.weekday()) % 7)
    while day <= min(end, _LAST_DAY) + _WEEK:
        if FIRST_YEAR <= day.year <= LAST_YEAR:
            yield day
        day += _WEEK


def _months(start: date, end: date) -> Iterator[tuple[int, int]]:
    year, month = start.year, start.month
    while (year, month) <= (end.year, end.month):
        yield year, month
        year, month = year + month // 12, month % 12 + 1
