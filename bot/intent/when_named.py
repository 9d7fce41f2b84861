"""Times by count and by name: "45 days out", "in two weeks", "jan 16", "next friday", "1/16/27", "today"."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from bot.intent.tokens import Token
from bot.intent.when import DAY, DAYS, MONTHS, UNITS, YEARS, Around, When, month_end, months_back, on, quarter_of, span
from core.domain.calendar import monthly_expiry, next_session, previous_session

_STRUCTURES = frozenset({"spread", "vertical", "condor", "strangle", "pc"})
_QUARTERS = {"q1": 1, "q2": 4, "q3": 7, "q4": 10}


class Named(Around):
    """A day, month or number of days."""

    # --- counted -------------------------------------------------------------------------------------------------------

    def _count(self) -> tuple[int, When]:
        """45 days, in two weeks, a month out, 45 dte, 0dte, three weeks ago."""
        lead = 1 if self._word(0) in ("in", "within") else 0
        if self._word(0) == "0dte":
            return 1, When(days=0, ahead=self._today)
        count, size = self._number(lead), lead + 1
        if count is None and self._word(lead) in ("a", "an") and self._word(lead + 1) in UNITS:
            count = Decimal(1) if self._word(lead + 1) != "quarter" else None
        if (count is None and self._word(lead) == "couple") or self._word(lead) == "few":
            count = Decimal(2 if self._word(lead) == "couple" else 3) if self._word(lead + 1) in UNITS else None
        if count is None and self._word(lead) == "fortnight":
            count, size = Decimal(1), lead
        if count is None and self._word(lead) == "half" and self._words[lead + 1 : lead + 3] == ["a", "year"]:
            return lead + 3, When(days=182)
        if count is None or count != int(count) or not 0 <= count < 4_000:
            return 0, When()
        if self._word(size) in ("-", "or", "to") and self._number(size + 1) is not None and self._word(size + 2) in ("dte", *UNITS):
            return 0, When()  # a range of days is no number of days
        unit = self._word(size)
        if unit == "dte":
            return size + 1, When(days=int(count), ahead=self._today + int(count) * DAY)
        if unit == "r" or unit not in UNITS:
            return 0, When()
        days = int(count) * UNITS[unit]
        size += 1
        if self._words[size : size + 2] == ["and", "half"] or self._words[size : size + 3] == ["and", "a", "half"]:
            return 0, When()
        if self._word(size) in ("ago", "back", "earlier"):
            first = self._today - days * DAY if unit[:5] != "month" else months_back(self._today, int(count))
            return size + 1, When(period=str(first), back=first)
        if self._word(size) == "dte":
            return size + 1, When(days=days, ahead=self._today + days * DAY)
        if self._words[size : size + 2] in (
            ["from", "now"],
            ["from", "today"],
            ["to", "expiry"],
            ["till", "expiry"],
            ["until", "expiry"],
            ["before", "expiry"],
        ):
            return size + 2, When(days=days, ahead=self._today + days * DAY)
        if self._words[size : size + 1] == ["from"] and self._word(size + 1) in DAYS:
            return size + 2, When(ahead=self._weekday(DAYS[self._word(size + 1)], "").ahead, days=None)
        if self._word(size) in ("out", "expiry", "away", "ahead", "later", "longer"):
            size += 1
        return size, When(days=days, ahead=self._today + days * DAY, period=None)

    # --- named ---------------------------------------------------------------------------------------------------------

    def _named(self) -> tuple[int, When]:
        if self._word(0) in _QUARTERS:
            year = self._number(1)
            start = date(int(year) if year is not None and year in YEARS else self._today.year, _QUARTERS[self._word(0)], 1)
            if start > self._today and year is None:
                start = start.replace(year=start.year - 1)
            return 1 + (year in YEARS), When(period=span(start, quarter_of(start, 0)[1]), back=start)
        return self._day_or_month()

    def _day_or_month(self) -> tuple[int, When]:
        """One day, month or year by its name or figures."""
        token = self._tokens[self._place] if self._place < len(self._tokens) else None
        if token is None:
            return 0, When()
        word = token.text
        if token.kind == "iso":
            return 1, on(date.fromisoformat(word))
        if token.kind == "pair":
            return self._slashes(token)
        if word in MONTHS and token.kind == "word":
            return self._month(MONTHS[word])
        if word in DAYS and token.kind == "word":
            return self._weekday_named(word)
        if word == "the" and (number := self._number(1)) is not None and self._tokens[self._place + 1].ordinal and self._word(2) != "of":
            return 2, self._day_of_month(int(number))
        if word == "on" and self._word(1) == "the":
            size, when = self._rest(1)._day_or_month()
            return (size + 1, when) if size else (0, When())
        number = self._number(0)
        if number is None or number != int(number):
            return 0, When()
        return self._figure(int(number))

    def _figure(self, number: int) -> tuple[int, When]:
        """A number that begins a date, or is a year."""
        if number == 3 and self._word(1) in ("friday", "fri") and self._word(2) in ("of", "in") and self._word(3) in MONTHS:
            return 4, self._of_month(self._ahead_month(MONTHS[self._word(3)]), self._back_month(MONTHS[self._word(3)]))
        skip = 2 if self._word(1) == "of" else 1
        month = self._word(skip)
        if month in MONTHS and 1 <= number <= 31 and (month not in ("may", "march") or skip == 2 or self._tokens[self._place].ordinal):
            year = self._number(skip + 1)
            if year in YEARS and year is not None:
                return skip + 2, on(date(int(year), MONTHS[month], number))
            return skip + 1, self._month_day(MONTHS[month], number)
        places = ("in", "since", "from", "of", "for", "during", "between", "to", "and", "until", "through", "year", "back", "over", "all")
        spelled = self._tokens[self._place]
        if (
            number in YEARS
            and self._before in places
            and not spelled.raw.startswith("$")
            and (self._before not in ("to", "for", "at", "and") or self._word(1) in ("", "?", ".", ","))
        ):
            return 1, When(period=f"{number}-01-01..{number}-12-31", back=date(number, 1, 1))
        return 0, When()

    def _month(self, month: int) -> tuple[int, When]:
        """A month's name: with a day, with a year, or alone."""
        word, raw = self._word(0), self._tokens[self._place].raw
        number, second, year = self._number(1), self._number(2), self._number(3)
        if self._word(1) == "the" and second is not None and self._tokens[self._place + 2].ordinal:
            return 3, self._month_day(month, int(second))
        if number is not None and number == int(number):
            if 1 <= number <= 31 and self._word(2) not in ("put", "puts", "call", "calls", "delta", "dte", "contracts"):
                if second in YEARS and second is not None:
                    return 3, on(date(int(second), month, int(number)))
                if self._word(2) == "," and year in YEARS and year is not None:
                    return 4, on(date(int(year), month, int(number)))
                if word not in ("may", "march") or self._tokens[self._place + 1].ordinal or raw[:1].isupper() or self._before != "i":
                    return 2, self._month_day(month, int(number))
            if number in YEARS:
                return 2, self._of_month(date(int(number), month, 1), date(int(number), month, 1))
        if self._word(1) == "'" and second is not None:
            return 3, self._of_month(date(2000 + int(second), month, 1), date(2000 + int(second), month, 1))
        if word in ("may", "march") and not (
            self._word(1) in ("expiry", "monthly", "opex", "monthlies", "expiries")
            or self._before in ("in", "since", "until", "for", "of", "last", "next", "the", "to")
        ):
            return 0, When()
        size = 1
        while self._word(size) in ("monthly", "monthlies", "opex", "expiry", "cycle", "expiries"):
            size += 1
        return size, self._of_month(self._ahead_month(month), self._back_month(month))

    def _of_month(self, ahead: date, back: date) -> When:
        return When(period=span(back, month_end(back)), ahead=monthly_expiry(ahead.year, ahead.month), back=back)

    def _weekday_named(self, word: str) -> tuple[int, When]:
        if self._words[1:3] == ["next", "week"]:
            return 3, When(ahead=self._expiry_friday(self._monday(self._today) + (7 + DAYS[word]) * DAY))
        if self._words[1:3] == ["this", "week"]:
            return 3, When(ahead=self._expiry_friday(self._monday(self._today) + DAYS[word] * DAY))
        if self._words[1:3] == ["last", "week"]:
            day = self._monday(self._today) + (DAYS[word] - 7) * DAY
            return 3, When(period=str(day), back=day)
        if self._words[1:3] == ["after", "next"]:
            return 3, When(ahead=self._expiry_friday(self._monday(self._today) + (14 + DAYS[word]) * DAY))
        if self._word(1) == "the" and (number := self._number(2)) is not None and self._tokens[self._place + 2].ordinal:
            return 3, self._day_of_month(int(number))
        inner = self._rest(1 + (self._word(1) == ","))
        if self._word(1 + (self._word(1) == ",")) in MONTHS:
            size, when = inner._day_or_month()
            if size >= 2:
                return size + 1 + (self._word(1) == ","), when
        return 1 + (self._word(1) in ("expiry", "expiries", "weekly", "weeklies")), self._weekday(DAYS[word], "")

    def _weekday(self, number: int, lead: str) -> When:
        today = self._today
        monday = self._monday(today)
        coming = today + ((number - today.weekday()) % 7) * DAY
        behind = today - ((today.weekday() - number) % 7) * DAY
        if lead == "next":
            return When(ahead=self._expiry_friday(monday + (7 + number) * DAY), period=str(monday + (7 + number) * DAY))
        if lead in ("last", "past", "previous"):
            behind = behind if behind < today else behind - 7 * DAY
            return When(period=str(behind), back=behind)
        if lead == "this":
            coming = monday + number * DAY if monday + number * DAY >= today else coming
        return When(ahead=self._expiry_friday(coming), back=behind, period=str(behind))

    def _slashes(self, token: Token) -> tuple[int, When]:
        """1/16, 1/16/27, 12/18/2026; a pair that cannot be a date is left to be strikes."""
        found = re.fullmatch(r"(\d{1,2})/(\d{1,2})(?:/(\d{2}|\d{4}))?", token.text)
        if found is None or not (1 <= int(found[1]) <= 12 and 1 <= int(found[2]) <= 31):
            return 0, When()
        following = [word.removesuffix("s") for word in self._words[1:4]]
        if found[3] is None and self._words[1:2] and self._words[1] in ("dte", "day", "days", "delta", "weeks"):
            return 0, When()
        if found[3] is None and self._before not in ("on", "exp", "expiry", "expiring") and _STRUCTURES.intersection(following[:3]):
            return 0, When()  # 5/10 put spread
        if found[3] is not None:
            year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
            return 1, on(date(year, int(found[1]), int(found[2])))
        return 1, self._month_day(int(found[1]), int(found[2]))

    def _plain(self) -> tuple[int, When]:
        word, today = self._word(0), self._today
        if word in ("today", "tonight", "intraday"):
            return 1, When(period="today", ahead=today, back=today, named=False)
        if self._words[:3] == ["day", "after", "tomorrow"] or self._words[:4] == ["the", "day", "after", "tomorrow"]:
            day = next_session(next_session(today))
            return 3 + (word == "the"), When(ahead=day, period=str(day))
        if self._words[:3] == ["day", "before", "yesterday"] or self._words[:4] == ["the", "day", "before", "yesterday"]:
            day = previous_session(previous_session(today))
            return 3 + (word == "the"), When(back=day, period=str(day))
        if word == "tomorrow":
            return 1, When(ahead=next_session(today), period=str(next_session(today)), named=False)
        if word == "yesterday":
            return 1, When(period="yesterday", back=today - DAY, named=False)
        if word in ("ytd", "mtd", "wtd", "qtd"):
            return 1, When(period={"mtd": "month", "wtd": "week", "qtd": span(quarter_of(today, 0)[0], today)}.get(word, word), named=False)
        if self._words[1:3] == ["to", "date"] and word in ("year", "month", "week"):
            return 3, When(period={"year": "ytd"}.get(word, word), named=False)
        if word in ("monthly", "monthlies", "opex"):
            return 1 + (self._word(1) == "expiry"), When(period="month", ahead=self._next_monthly(), named=False)
        if word in ("weekly", "weeklies"):
            return 1 + (self._word(1) == "expiry"), When(
                period="week", ahead=self._expiry_friday(self._monday(today) + 4 * DAY), named=False
            )
        if (
            word == "day"
            and (self._before in ("the", "my") or self._word(1) in ("pnl", "trading"))
            and self._word(1) not in ("after", "before", "trade", "trader")
        ) and self._word(1) in ("pnl", "trading", "", "?", "please", ".", ",", "so", "in", "by"):
            return 1, When(period="today", named=False)
        if word == "daily":
            return 1, When(period="today", named=False)
        if word in ("week", "month", "year") and self._before in (
            "the",
            "this",
            "for",
            "my",
            "by",
            "",
            "of",
            "pnl",
            "over",
            "whole",
            "all",
            "attribution",
            "fills",
            "journal",
            "review",
            "calendar",
            "day",
        ):
            return 1, When(
                period={"year": "ytd"}.get(word, word) if self._before not in ("attribution", "pnl", "fills", "journal") else word,
                named=False,
            )
        return 0, When()
