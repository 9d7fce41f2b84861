"""Days as people say them, read against a day: "next friday", "jan 16", "45 days out", "end of month", "since june", "last week".

The same words mean a day ahead where an expiry is named and a day or span behind where the past is asked about, so a reading carries both
and the command takes the one it needs. Expiries are those of the exchange calendar: a month alone is its monthly expiry.

Worked example, on Thursday 26 November 2026: "friday" is the 27th, "next friday" 4 December, "jan" the monthly of 15 January 2027 as an
expiry and the January just past as a period; "last week" is 2026-11-16..2026-11-20.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from bot.intent.tokens import Token
from bot.intent.when import DAY, DAYS, MONTHS, UNITS, When, month_end, months_back, next_month, quarter_of, span
from bot.intent.when_named import Named
from core.domain.calendar import CalendarError, monthly_expiry, previous_session

_BACK = frozenset({"last", "past", "previous", "prior", "trailing", "preceding"})
_EVER = (
    "all time",
    "alltime",
    "ever",
    "since inception",
    "since the beginning",
    "since the start",
    "since i started",
    "from the beginning",
    "since day one",
    "lifetime",
    "since forever",
    "all history",
    "since i began",
    "from day one",
    "all years",
)


def join_times(tokens: list[Token], today: date) -> list[Token]:
    """The tokens with times made one token each, kind "time"."""
    found: list[Token] = []
    place = 0
    while place < len(tokens):
        try:
            size, when = _Reader(tokens, place, today).read()
        except (CalendarError, ValueError, OverflowError):  # a day no calendar has is no day
            size, when = 0, When()
        if size == 0:
            found.append(tokens[place])
            place += 1
            continue
        first, last = tokens[place], tokens[place + size - 1]
        words = " ".join(token.text for token in tokens[place : place + size])
        found.append(Token(words, words, first.start, last.end, "time", when))
        place += size
    return found


class _Reader(Named):
    """The time that begins at a token."""

    def read(self) -> tuple[int, When]:
        """How many tokens it takes and what it is; 0 where none begins here."""
        for reader in (
            self._range,
            self._halves,
            self._since,
            self._ever,
            self._end_of,
            self._relative,
            self._count,
            self._named,
            self._plain,
        ):
            size, when = reader()
            if size:
                return size, when
        return 0, When()

    # --- spans ---------------------------------------------------------------------------------------------------------

    def _range(self) -> tuple[int, When]:
        """from X to Y, between X and Y, X..Y, X through Y."""
        opened = self._word(0) in ("from", "between")
        inner = self._rest(1 if opened else 0)
        size, first = inner._day_or_month()
        if not size:
            return 0, When()
        place = size + opened
        joins = {"to", "until", "till", "through", "thru", "-", "and" if self._word(0) == "between" else "to"}
        if self._words[place : place + 2] == [".", "."]:
            place += 1
        elif self._word(place) not in joins:
            return 0, When()
        more, second = self._rest(place + 1)._day_or_month()
        day = self._number(place + 1)
        if not more and day is not None and opened and first.back is not None and first.period == str(first.back) and 1 <= day <= 31:
            more, second = 1, self._month_day(first.back.month, int(day))  # from november 16 to 20
        if not more or first.period is None or second.period is None:
            if first.period is None or not opened or self._word(place + 1) not in ("now", "today", "date"):
                return 0, When()
            return place + 2, When(period=f"{first.period.split('..')[0]}..{self._today}", back=first.back)
        if not opened and not (first.named and second.named):
            return 0, When()
        start, end = first.period.split("..")[0], second.period.split("..")[-1]
        return place + 1 + more, When(period=f"{min(start, end)}..{max(start, end)}", back=first.back, ahead=second.ahead)

    def _halves(self) -> tuple[int, When]:
        """the first half of the year."""
        words = self._words[1:] if self._word(0) == "the" else self._words
        if words[:3] in (["first", "half", "of"], ["second", "half", "of"]):
            size = 5 if words[3:4] in (["the"], ["this"]) else 4
            year = self._today.year
            half = (date(year, 1, 1), date(year, 6, 30)) if words[0] == "first" else (date(year, 7, 1), date(year, 12, 31))
            if words[size - 1 : size] == ["year"]:
                return size + (self._word(0) == "the"), When(period=span(*half), back=half[0])
        ordinals = {"first": 1, "second": 4, "third": 7, "fourth": 10}
        if words[1:2] == ["quarter"] and words[0] in ordinals:
            start = date(self._today.year, ordinals[words[0]], 1)
            start = start if start <= self._today else start.replace(year=start.year - 1)
            return 2 + (self._word(0) == "the"), When(period=span(start, quarter_of(start, 0)[1]), back=start)
        return 0, When()

    def _since(self) -> tuple[int, When]:
        if self._word(0) not in ("since", "starting", "from"):
            return 0, When()
        skip = 2 if self._word(1) in ("the", "start", "early") else 1
        if self._words[1:5] == ["the", "start", "of", "the"] or self._words[1:5] == ["the", "beginning", "of", "the"]:
            skip = 5
        elif self._words[1:4] in (["the", "start", "of"], ["the", "beginning", "of"]):
            skip = 4
        word = self._word(skip)
        if self._word(0) != "from" and word in ("year", "month", "week") and skip >= 4:
            start = {"year": self._today.replace(month=1, day=1), "month": self._today.replace(day=1), "week": self._monday(self._today)}[
                word
            ]
            return skip + 1, When(period={"year": "ytd"}.get(word, word), back=start, since=True)
        size, when = self._rest(skip)._day_or_month()
        if not size and word in ("last",):
            size, when = self._rest(skip)._relative()
        if not size or when.period is None or (self._word(0) == "from" and self._word(skip + size) not in ("on", "onwards", "onward")):
            return 0, When()
        first = date.fromisoformat(when.period.split("..")[0]) if ".." in when.period or when.period[:1].isdigit() else when.back
        if first is None:
            return 0, When()
        extra = 1 if self._word(skip + size) in ("onwards", "onward", "on") else 0
        return skip + size + extra, When(period=f"{first}..{self._today}", back=first, since=True)

    def _ever(self) -> tuple[int, When]:
        for phrase in _EVER:
            words = phrase.split()
            if self._words[: len(words)] == words:
                return len(words), When(period="all", named=False)
        return 0, When()

    def _end_of(self) -> tuple[int, When]:
        shorts = {"eom": "month", "eow": "week", "eoy": "year", "eoq": "quarter", "eod": "day"}
        word = self._word(0)
        unit, size, ahead = shorts.get(word, ""), 1, 0
        if not unit and word in ("month", "year", "quarter", "week") and self._word(1) in ("end", "close"):
            unit, size = word, 2
        if not unit and (self._words[:2] == ["end", "of"] or self._words[:3] in (["the", "end", "of"], ["last", "day", "of"])):
            size = 2 if self._words[:2] == ["end", "of"] else 3
            if self._word(size) in ("the", "this", "next"):
                ahead = self._word(size) == "next"
                size += 1
            unit = self._word(size)
            if unit in MONTHS:
                return size + 1, When(ahead=self._last_session(self._ahead_month(MONTHS[unit])))
            size += 1
        if unit == "month":
            first = self._today.replace(day=1)
            last = self._last_session(next_month(first) if ahead else first)
            if last < self._today:
                last = self._last_session(next_month(first))
            return size, When(ahead=last)
        if unit == "week":
            return size, When(ahead=self._expiry_friday(self._monday(self._today) + (11 if ahead else 4) * DAY))
        if unit == "quarter":
            month = (self._today.month - 1) // 3 * 3 + 3
            return size, When(ahead=self._last_session(self._today.replace(month=month, day=1)))
        if unit == "year":
            return size, When(ahead=self._last_session(self._today.replace(month=12, day=1)))
        return 0, When()

    def _relative(self) -> tuple[int, When]:
        """this week, last month, past 30 days, next friday, next month's monthly."""
        word = self._word(0)
        lead = 1 if word == "the" and (self._word(1) in _BACK or self._word(1) in ("next", "coming", "current")) else 0
        word, unit = self._word(lead), self._word(lead + 1)
        if word in ("this", "next", "last", "coming", "past", "previous", "following", "current") and unit in DAYS:
            return lead + 2, self._weekday(DAYS[unit], word)
        if word in _BACK:
            return self._behind(lead)
        if word in ("next", "coming", "following") and unit in (
            "week",
            "month",
            "year",
            "monthly",
            "monthlies",
            "opex",
            "weekly",
            "weeklies",
            "quarter",
        ):
            return self._after(lead, unit)
        if word in ("this", "current") and unit in ("week", "month", "year", "quarter", "morning", "afternoon", "session", "evening"):
            return self._this(lead, unit)
        if word == "next" and self._number(lead + 1) is not None and self._word(lead + 2) in UNITS:
            days = int(self._number(lead + 1) or 0) * UNITS[self._word(lead + 2)]
            return lead + 3, When(period=f"{self._today}..{self._today + days * DAY}", ahead=self._today + days * DAY, days=days)
        return 0, When()

    def _behind(self, lead: int) -> tuple[int, When]:
        unit, today = self._word(lead + 1), self._today
        word = self._word(lead)
        count = self._number(lead + 1)
        if unit in ("few", "couple"):
            count, lead = Decimal(2 if unit == "couple" else 3), lead
        if count is not None and self._word(lead + 2) in UNITS:
            if self._word(lead + 2) in ("months", "month") and count == 12:
                return lead + 3, When(period="year")
            first = today - int(min(count, Decimal(9_999))) * UNITS[self._word(lead + 2)] * DAY
            if self._word(lead + 2) in ("month", "months"):
                first = months_back(today, int(min(count, Decimal(400))))
            elif self._word(lead + 2) in ("year", "years"):
                first = months_back(today, 12 * int(min(count, Decimal(40))))
            return lead + 3, When(period=f"{first}..{today}", back=first, since=True)
        if unit in MONTHS:
            first = self._back_month(MONTHS[unit])
            return lead + 2, When(period=span(first, month_end(first)), back=first)
        if unit == "night":
            return lead + 2, When(period="yesterday", back=previous_session(today))
        spans = {
            "week": (self._monday(today) - 7 * DAY, self._monday(today) - 3 * DAY),
            "month": (months_back(today.replace(day=1), 1), today.replace(day=1) - DAY),
            "year": (date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)),
            "quarter": quarter_of(today, -1),
        }
        if unit in ("session", "day") and word != "past":
            return lead + 2, When(period="yesterday", back=previous_session(today))
        if word in ("past", "trailing") and unit in ("week", "month", "year"):
            return lead + 2, When(period=unit, back=spans[unit][0])
        if unit not in spans or (lead == 0 and self._before == "at"):
            return 0, When()
        return lead + 2, When(period=span(*spans[unit]), back=spans[unit][0])

    def _after(self, lead: int, unit: str) -> tuple[int, When]:
        monday = self._monday(self._today) + 7 * DAY
        size = lead + 2
        if unit == "week":
            extra = DAYS.get(self._word(size))
            if self._word(size) == "on" and self._word(size + 1) in DAYS:
                extra, size = DAYS[self._word(size + 1)], size + 1
            if extra is not None:
                return size + 1, When(ahead=self._expiry_friday(monday + extra * DAY))
            return size, When(period=span(monday, monday + 4 * DAY), ahead=self._expiry_friday(monday + 4 * DAY))
        if unit in ("weekly", "weeklies"):
            return size, When(ahead=self._expiry_friday(monday + 4 * DAY), period=span(monday, monday + 4 * DAY))
        if unit == "month":
            if self._word(size) in ("monthly", "monthlies", "opex", "expiry"):
                size += 1
            first = next_month(self._today)
            return size, When(period=span(first, month_end(first)), ahead=monthly_expiry(first.year, first.month))
        if unit in ("monthly", "monthlies", "opex"):
            return size, When(ahead=self._next_monthly(), period="month")
        if unit == "year":
            return size, When(period=f"{self._today.year + 1}-01-01..{self._today.year + 1}-12-31")
        return size, When(period=span(*quarter_of(self._today, 1)))

    def _this(self, lead: int, unit: str) -> tuple[int, When]:
        size = lead + 2
        if unit in ("morning", "afternoon", "session", "evening"):
            return size, When(period="today", back=self._today, ahead=self._today, named=False)
        extra = self._word(size)
        if unit == "week" and extra in DAYS:
            return size + 1, When(ahead=self._expiry_friday(self._monday(self._today) + DAYS[extra] * DAY))
        if unit == "quarter":
            return size, When(period=span(quarter_of(self._today, 0)[0], self._today))
        ahead = (
            self._expiry_friday(self._monday(self._today) + 4 * DAY)
            if unit == "week"
            else self._next_monthly()
            if unit == "month"
            else None
        )
        return size, When(period={"year": "ytd"}.get(unit, unit), ahead=ahead, named=False)
