"""What is known of coming events in the simulated market, and its headlines: invented, and true of what happens in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import numpy as np

from core.clock import EXCHANGE_ZONE, as_utc, exchange_date
from core.domain.calendar import next_session, session
from core.market.providers._sim_halts import Halts
from core.market.providers._sim_listed import LISTED
from core.market.providers._sim_names import report_day
from core.market.providers._sim_paths import ANNOUNCED, FIRST, Moment, Paths
from core.ports import Earnings, Headline, Split

SOURCE = "SIMULATED"
REPORTS_KNOWN, HOUR_KNOWN = timedelta(days=100), timedelta(days=28)  # before a report: its day, and before the open or after the close
NEWS_SESSIONS = 10  # headlines go back so far
INDEX_MOVE, NAME_MOVE, VIX_MOVE = 0.02, 0.05, 0.25  # from close to close: worth a line
_BEFORE, _AFTER, _EVENING = time(7, 0), time(16, 5), time(16, 30)
_SHOWN = timedelta(minutes=1)  # after the close
AHEAD = timedelta(days=60)  # what is announced by now happens within


class News:
    """Events and headlines of one market."""

    def __init__(self, paths: Paths, halts: Halts) -> None:
        self._paths = paths
        self._halts = halts

    def splits(self, symbol: str, start: date, end: date, now: datetime) -> tuple[Split, ...]:
        """Those announced by now: after the close of their day of announcement."""
        if not LISTED[symbol].sector:
            return ()
        self._paths.index_of(exchange_date(now) + AHEAD)
        return tuple(
            Split(symbol=symbol, ex_date=one.ex_date, new=one.new, old=one.old) for one in self._paths.name(symbol).splits
            if start <= one.ex_date <= end and self._after(one.announced, _EVENING) <= now
        )

    def earnings(self, symbol: str, start: date, end: date, now: datetime) -> tuple[Earnings, ...]:
        """Reports since the market's first day and those whose day is known."""
        reports = LISTED[symbol].reports
        if reports is None:
            return ()
        today = exchange_date(now)
        first, last = max(start, self._paths.origin), min(end, today + REPORTS_KNOWN)
        days = [report_day(symbol, year, quarter) for year in range(first.year, last.year + 1) for quarter in range(4)]
        return tuple(
            Earnings(symbol=symbol, day=day, when=reports.when if day <= today + HOUR_KNOWN else "") for day in days if first <= day <= last
        )

    def headlines(self, symbol: str | None, since: datetime, moment: Moment, now: datetime) -> tuple[Headline, ...]:
        """Lines after `since`, at most of the last sessions, oldest first."""
        self._paths.index_of(exchange_date(now) + AHEAD)
        asked = self._paths.index_of(max(exchange_date(since), self._paths.origin))
        days = range(min(max(FIRST + 1, moment.index - NEWS_SESSIONS, asked), moment.index), moment.index + 1)
        wanted = [name for name in LISTED if LISTED[name].sector] if symbol is None else [symbol] if LISTED[symbol].sector else []
        lines = [line for name in wanted for line in self._of_name(name, days)]
        if symbol is None or not LISTED[symbol].sector:
            lines += self._of_market(days)
        return tuple(sorted((line for line in lines if since < line.at <= now), key=lambda line: (line.at, line.symbol or "", line.text)))

    def _of_market(self, days: range) -> Iterator[Headline]:
        closes, vix = (self._paths.closes(symbol, days[0] - 1, days[-1]) for symbol in ("SPX", "VIX"))
        for place, index in enumerate(days, start=1):
            for halt in self._halts.drawn("", index):
                yield _line(halt.start, None, f"Trading halted in all U.S. markets: {halt.why}")
            move, fear = closes[place] / closes[place - 1] - 1, vix[place] / vix[place - 1] - 1
            if abs(move) >= INDEX_MOVE or fear >= VIX_MOVE:
                yield _line(self._closed(index), None, f"S&P 500 {_moved(move)} to {closes[place]:,.2f}; VIX at {vix[place]:.2f}")

    def _of_name(self, symbol: str, days: range) -> Iterator[Headline]:
        name, listed = self._paths.name(symbol), LISTED[symbol]
        closes = self._paths.closes(symbol, days[0] - 1, days[-1])
        moves = {report.index: report for report in name.reports}
        paid = {payment.index: payment.amount / self._paths.divisor(symbol, payment.index) for payment in name.payments}
        for place, index in enumerate(days, start=1):
            move = closes[place] / closes[place - 1] - 1
            for halt in self._halts.drawn(symbol, index):
                yield _line(halt.start, symbol, f"{symbol} paused: {halt.why}")
            if index in moves:
                jumped = float(np.expm1(moves[index].move))
                yield _line(self._opened(index), symbol, f"{symbol} {_moved(jumped)} at the open after its report")
            if abs(move) >= NAME_MOVE:
                yield _line(self._closed(index), symbol, f"{symbol} {_moved(move)} on the day")
            if index in paid:
                yield _line(self._opened(index), symbol, f"{symbol} trades without its dividend of {paid[index]:.2f}")
            yield from self._splits(symbol, index)
        day, last = self._paths.day(days[0]), self._paths.day(days[-1])
        yield from self._declared(symbol, day, last)
        if listed.reports is not None:
            for report in name.reports:
                if day <= report.day <= next_session(last):
                    at = as_utc(datetime.combine(report.day, _BEFORE if report.when == "before_open" else _AFTER, EXCHANGE_ZONE))
                    yield _line(at, symbol, f"{symbol} reports its quarter")

    def _splits(self, symbol: str, index: int) -> Iterator[Headline]:
        for split in self._paths.name(symbol).splits:
            ratio = f"{split.new}-for-{split.old}"
            if split.announced == index:
                evening = self._after(index, _EVENING)
                yield _line(evening, symbol, f"{symbol} announces a {ratio} split, effective {split.ex_date.isoformat()}")
            if split.index == index:
                yield _line(self._opened(index), symbol, f"{symbol} trades {ratio} split-adjusted")

    def _declared(self, symbol: str, day: date, last: date) -> Iterator[Headline]:
        for payment in self._paths.payments(symbol, last + ANNOUNCED):
            declared = payment.ex_date - ANNOUNCED
            amount = payment.amount / self._paths.divisor(symbol, self._paths.index_of(declared))
            if day <= declared <= last:
                heard = declared if session(declared) is not None else next_session(declared)
                at = as_utc(datetime.combine(heard, _BEFORE, EXCHANGE_ZONE))
                yield _line(at, symbol, f"{symbol} declares a dividend of {amount:.2f}, ex {payment.ex_date.isoformat()}")

    def _after(self, index: int, clock: time) -> datetime:
        return as_utc(datetime.combine(self._paths.day(index), clock, EXCHANGE_ZONE))

    def _opened(self, index: int) -> datetime:
        today = session(self._paths.day(index))
        return self._after(index, _BEFORE) if today is None else today.open_at

    def _closed(self, index: int) -> datetime:
        today = session(self._paths.day(index))
        return self._after(index, _AFTER) if today is None else today.close_at + _SHOWN


def _line(at: datetime, symbol: str | None, text: str) -> Headline:
    return Headline(at=at, symbol=symbol, text=text, source=SOURCE)


def _moved(move: float) -> str:
    return f"{'falls' if move < 0 else 'rises'} {abs(move):.1%}"
