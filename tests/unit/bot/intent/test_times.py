"""Days and periods as they are said, on Thursday 26 November 2026 (Thanksgiving)."""

from __future__ import annotations

from datetime import date

import pytest

from bot.intent.sentence import read
from bot.intent.when import When

THURSDAY = date(2026, 11, 26)


def when(text: str, today: date = THURSDAY) -> When:
    [token] = read(text, today).of("time")
    value: When = token.value
    return value


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("friday", "2026-11-27"),
        ("next friday", "2026-12-04"),
        ("this friday", "2026-11-27"),
        ("jan 16", "2027-01-16"),
        ("16th of january", "2027-01-16"),
        ("16JAN27", "2027-01-16"),
        ("jan16'27", "2027-01-16"),
        ("1/16", "2027-01-16"),
        ("12/18/2026", "2026-12-18"),
        ("2026-12-18", "2026-12-18"),
        ("jan monthly", "2027-01-15"),
        ("third friday of january", "2027-01-15"),
        ("june monthly", "2027-06-17"),
        ("end of month", "2026-11-30"),
        ("eom", "2026-11-30"),
        ("monthly", "2026-12-18"),
        ("weekly", "2026-11-27"),
        ("next week", "2026-12-04"),
        ("tomorrow", "2026-11-27"),
        ("in two weeks", "2026-12-10"),
        ("end of next month", "2026-12-31"),
        ("january sixteenth", "2027-01-16"),
        ("the 16th", "2026-12-16"),
    ],
)
def test_expiry_when_said_in_any_way_then_it_is_that_day_ahead(text: str, day: str) -> None:
    assert when(text).ahead == date.fromisoformat(day)


def test_expiry_when_the_friday_is_a_holiday_then_it_is_the_session_before() -> None:
    assert when("friday", date(2026, 3, 30)).ahead == date(2026, 4, 2)
    assert when("june monthly", date(2026, 6, 1)).ahead == date(2026, 6, 18)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("45 dte", 45),
        ("45 days out", 45),
        ("0dte", 0),
        ("zero dte", 0),
        ("in two weeks", 14),
        ("a month out", 30),
        ("45-day", 45),
        ("three weeks", 21),
        ("a fortnight", 14),
    ],
)
def test_days_when_counted_then_they_are_that_many(text: str, days: int) -> None:
    assert when(text).days == days


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("today", "today"),
        ("yesterday", "yesterday"),
        ("this week", "week"),
        ("this month", "month"),
        ("year to date", "ytd"),
        ("this year", "ytd"),
        ("the past year", "year"),
        ("all time", "all"),
        ("last week", "2026-11-16..2026-11-20"),
        ("last month", "2026-10-01..2026-10-31"),
        ("in october", "2026-10-01..2026-10-31"),
        ("since june", "2026-06-01..2026-11-26"),
        ("in q3", "2026-07-01..2026-09-30"),
        ("from 2018 to 2022", "2018-01-01..2022-12-31"),
        ("between march 1 and april 15", "2026-03-01..2026-04-15"),
        ("in 2024", "2024-01-01..2024-12-31"),
        ("past 30 days", "2026-10-27..2026-11-26"),
        ("last friday", "2026-11-20"),
        ("2025-01-01..2025-06-30", "2025-01-01..2025-06-30"),
        ("the first half of the year", "2026-01-01..2026-06-30"),
        ("from november 16 to 20", "2026-11-16..2026-11-20"),
        ("last year", "2025-01-01..2025-12-31"),
    ],
)
def test_period_when_said_in_any_way_then_it_is_that_span(text: str, period: str) -> None:
    assert when(text).period == period


@pytest.mark.parametrize("text", ["60/55 put spread", "feb 30", "13/45", "may i ask", "march on", "5/10 put spread"])
def test_time_when_the_words_are_of_something_else_then_there_is_none(text: str) -> None:
    assert read(text, THURSDAY).of("time") == []
