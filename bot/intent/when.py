"""A time that was said: the period of the past it is, the day ahead and the day behind, and the days it counts.

The same words mean a day ahead where an expiry is named and a day or span behind where the past is asked about, so a reading carries both
and the command takes the one it needs. Here are the reading itself, the exchange's days, and what every reader of times looks at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Self

from bot.intent.tokens import Token
from core.domain.calendar import is_session, monthly_expiry, previous_session

DAY = timedelta(days=1)
MONTHS = {
    name: number
    for number, names in enumerate(
        "jan january,feb february,mar march,apr april,may,jun june,jul july,aug august,sep sept september,oct "
        "october,nov november,dec december".split(","),
        1,
    )
    for name in names.split()
}
DAYS = {
    name: number
    for number, names in enumerate(
        "mon monday,tue tues tuesday,wed weds wednesday,thu thur thurs thursday,fri friday,saturday,sunday".split(",")
    )
    for name in names.split()
}
UNITS = {
    "day": 1,
    "days": 1,
    "session": 1,
    "sessions": 1,
    "week": 7,
    "weeks": 7,
    "month": 30,
    "months": 30,
    "mo": 30,
    "year": 365,
    "years": 365,
    "fortnight": 14,
    "quarter": 91,
    "quarters": 91,
}
YEARS = range(1990, 2040)


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A time said: the period it is of the past, the day it is ahead and behind, and the days it counts where it was said as a number."""

    period: str | None = None
    ahead: date | None = None
    back: date | None = None
    days: int | None = None
    since: bool = False  # the period has no end of its own
    named: bool = True  # a day or month by name; False where it may be a word of another meaning (today, weekly)


class Around:
    """The words from a token on, against a day."""

    def __init__(self, tokens: list[Token], place: int, today: date) -> None:
        self._tokens, self._place, self._today = tokens, place, today
        self._words = [token.text for token in tokens[place : place + 9]]
        self._before = tokens[place - 1].text if place else ""

    def _word(self, offset: int) -> str:
        return self._words[offset] if offset < len(self._words) else ""

    def _number(self, offset: int) -> Decimal | None:
        place = self._place + offset
        if place >= len(self._tokens) or self._tokens[place].kind != "number":
            return None
        value: Decimal = self._tokens[place].value
        return value

    def _rest(self, offset: int) -> Self:
        return type(self)(self._tokens, self._place + offset, self._today)

    # --- the calendar --------------------------------------------------------------------------------------------------

    @staticmethod
    def _monday(day: date) -> date:
        return day - day.weekday() * DAY

    @staticmethod
    def _expiry_friday(day: date) -> date:
        """A day as an expiry: where the exchange is closed on a Friday, the session before."""
        return day if day.weekday() != 4 or is_session(day) else previous_session(day)

    def _next_monthly(self) -> date:
        this = monthly_expiry(self._today.year, self._today.month)
        following = next_month(self._today)
        return this if this >= self._today else monthly_expiry(following.year, following.month)

    def _ahead_month(self, month: int) -> date:
        today = self._today
        if month == today.month and monthly_expiry(today.year, month) < today:
            return date(today.year + 1, month, 1)
        return date(today.year + (month < today.month), month, 1)

    def _back_month(self, month: int) -> date:
        return date(self._today.year - (month > self._today.month), month, 1)

    def _month_day(self, month: int, day: int) -> When:
        year = self._today.year
        this = date(year, month, day) if not (month == 2 and day == 29) else date(year + (-year % 4), 2, 29)
        ahead = this if this >= self._today else date(year + 1, month, day)
        back = this if this <= self._today else date(year - 1, month, day)
        return When(ahead=ahead, back=back, period=str(back))

    def _day_of_month(self, day: int) -> When:
        today = self._today
        this = today.replace(day=day) if day <= month_end(today.replace(day=1)).day else month_end(today.replace(day=1))
        following = next_month(today)
        ahead = this if this >= today else following.replace(day=min(day, month_end(following).day))
        before = months_back(today.replace(day=1), 1)
        back = this if this <= today else before.replace(day=min(day, month_end(before).day))
        return When(ahead=ahead, back=back, period=str(back))

    def _last_session(self, first: date) -> date:
        last = month_end(first.replace(day=1))
        return last if is_session(last) else previous_session(last)


def on(day: date) -> When:
    return When(period=str(day), ahead=day, back=day)


def span(first: date, last: date) -> str:
    return f"{first}..{last}"


def next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def month_end(first: date) -> date:
    return next_month(first) - DAY


def months_back(day: date, count: int) -> date:
    months = day.year * 12 + day.month - 1 - count
    first = date(months // 12, months % 12 + 1, 1)
    return first.replace(day=min(day.day, month_end(first).day))


def quarter_of(day: date, shift: int) -> tuple[date, date]:
    """First and last day of the quarter of a day, or of one before or after it."""
    months = day.year * 12 + (day.month - 1) // 3 * 3 + 3 * shift
    first = date(months // 12, months % 12 + 1, 1)
    last = date((months + 2) // 12, (months + 2) % 12 + 1, 1)
    return first, month_end(last)
