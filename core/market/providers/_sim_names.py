"""Funds and stocks of the simulated market over its index: closes, dividends, reports of earnings, and splits.

A name moves with the index by beta, shares a part of its own noise with its sector, and jumps on its reports and now and then on news.
Its own volatility follows the market's a part of the way, so names move together in a crash. Levels are worked out as if nothing was ever
split and divided by the splits that have gone ex; dividends likewise.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from core.domain.calendar import is_session, monthly_expiry, next_session
from core.market.providers._sim_index import SESSIONS_PER_YEAR, STEPS, Days, Ints, Market, variance_clock
from core.market.providers._sim_listed import LISTED, SECTOR_SHARE, Listed, Reports
from core.market.providers._sim_noise import Floats
from core.market.providers._sim_surface import OWN_ELASTICITY

FUND_TO_INDEX = 0.9975  # SPY per tenth of the index, before the dividend it has collected
NEWS = 0.006  # jumps a session on news of a stock's own
NEWS_LEAST, NEWS_MEAN = 0.02, 0.02  # their size at an own volatility of 20%: at least, and more on average
SPLIT_NOTICE = 20  # sessions between a split's announcement and its ex-date
_SPLIT_MONTHS = (2, 5, 8, 11)  # a board looks at its share price in their first session
_DEAR, _DEAR_CHANCE, _AIM = 750.0, 0.5, 150.0  # above, it splits one time in two, to about so much
_ODD, _ODD_CHANCE = 60.0, 0.004  # above, it splits 3 for 2 now and then
_WHOLE = (2, 3, 4, 5, 10)
_TO_MIDWEEK = {0: 1, 4: -1, 5: 3, 6: 2}  # by weekday, Monday first


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A dividend of a fund or stock, by session number of its ex-date, as if nothing was ever split."""

    index: int
    ex_date: date
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """A split: announced after the close of one session, ex at the open of another."""

    announced: int
    index: int
    ex_date: date
    new: int
    old: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report of earnings, by the session whose open it moves."""

    index: int
    day: date
    when: str
    move: float  # log


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """The course of one name on the days so far."""

    log_close: Floats  # unsplit
    payments: tuple[Payment, ...] = ()
    splits: tuple[Parted, ...] = ()
    reports: tuple[Report, ...] = ()

    def divisor(self, index: int) -> float:
        """Shares at a session for one at the start."""
        return math.prod(one.new / one.old for one in self.splits if one.index <= index)


class Names:
    """All names over one market."""

    def __init__(self, market: Market, *, anchor: int, told_splits: Mapping[str, tuple[tuple[date, int, int], ...]]) -> None:
        """`anchor`: the session on which the listed levels stand; `told_splits`: by symbol (ex-date, new, old)."""
        self._market = market
        self._anchor = anchor
        self._told = told_splits
        self._kept: dict[str, Name] = {}

    @property
    def _days(self) -> Days:
        return self._market.days

    def of(self, symbol: str) -> Name:
        """The course of a name, as far as the market has been reached."""
        found = self._kept.get(symbol)
        if found is None or len(found.log_close) < len(self._days.ordinal):
            listed = LISTED[symbol]
            found = self._kept[symbol] = self._fund(listed) if symbol == "SPY" else self._course(listed)
        return found

    def levels(self, symbol: str, index: Ints) -> Floats:
        """Unsplit prices on the grid of each session, one row a session."""
        listed, name = LISTED[symbol], self.of(symbol)
        own = self._market.walk(f"own {symbol}", index, self._market.noise.normal(f"daily own {symbol}", self._days.ordinal[index]))
        stream = f"sector {listed.sector}"
        shared = self._market.walk(stream, index, self._market.noise.normal(f"daily {stream}", self._days.ordinal[index]))
        moved = _moved(listed, self._stress(index), variance_clock(), self._market.log_returns(index), shared, own)
        news, step = self._news(listed, index)
        moved = moved + news[:, None] * (np.arange(STEPS + 1)[None, :] >= step[:, None]) + self._reported(name, index)[:, None]
        return np.exp((name.log_close[index - 1] + self._dropped(name, index))[:, None] + moved)

    def collected(self, index: Ints) -> Floats:
        """What SPY has collected of its next dividend, in equal parts a day since the last ex-date."""
        payments = self.of("SPY").payments
        starts = [0, *(payment.index for payment in payments)]
        collected = []
        for one in index.tolist():
            at = bisect_right(starts, one) - 1
            if at == len(payments):
                collected.append(0.0)
                continue
            begun, paid = self._days.ordinal[starts[at]], self._days.ordinal[payments[at].index]
            collected.append(payments[at].amount * float(self._days.ordinal[one] - begun) / float(paid - begun))
        return np.array(collected)

    # --- courses ----------------------------------------------------------------------------------------------------------

    def _fund(self, listed: Listed) -> Name:
        days = self._days
        log_close = math.log(FUND_TO_INDEX * LISTED["SPX"].level / 10) + days.level - float(days.level[self._anchor])
        indexes = self._ex_indexes(listed)
        references = [0, *(index - 1 for index in indexes)]
        return Name(log_close=log_close, payments=self._paid(listed, list(zip(indexes, references, strict=False)), log_close))

    def _course(self, listed: Listed) -> Name:
        days, index = self._days, np.arange(1, len(self._days.ordinal))
        streams = f"sector {listed.sector}", f"own {listed.symbol}"
        shared, alone = (self._market.noise.normal(f"daily {stream}", days.ordinal[1:]) for stream in streams)
        steps = _moved(listed, self._stress(index), np.ones(1), np.diff(days.level)[:, None], shared[:, None], alone[:, None])[:, 0]
        steps += self._news(listed, index)[0]
        reports = self._reports(listed)
        for report in reports:
            steps[report.index - 1] += report.move
        log_close = np.concatenate([np.zeros(1), np.cumsum(steps)])
        parts = []  # each dividend as a part of the close before its ex-date; no price level is needed for that
        reference = 0
        for place in self._ex_indexes(listed):
            part = listed.dividend_yield / len(listed.ex_months) * math.exp(log_close[reference] - log_close[place - 1])
            log_close[place:] += math.log1p(-part)
            parts.append((place, reference))
            reference = place - 1
        log_close += math.log(listed.level) - log_close[self._anchor]
        splits = tuple(self._splits(listed, log_close))
        return Name(log_close=log_close, payments=self._paid(listed, parts, log_close), splits=splits, reports=tuple(reports))

    def _stress(self, index: Ints) -> Floats:
        """Log of the market's volatility over its mean at the close before, one row a session."""
        return (self._days.fast[index - 1] + self._days.slow[index - 1])[:, None]

    def _news(self, listed: Listed, index: Ints) -> tuple[Floats, Ints]:
        """Log jump of each session on news of the stock's own, and its step."""
        if not listed.stock:
            return np.zeros(len(index)), np.zeros(len(index), dtype=np.int64)
        ordinal, chance = self._days.ordinal[index], self._market.noise.uniform
        jump, step = np.zeros(len(index)), np.zeros(len(index), dtype=np.int64)
        (struck,) = np.nonzero(chance(f"news {listed.symbol}", ordinal) < NEWS)
        if len(struck):
            side, size, when = (chance(f"news {what} {listed.symbol}", ordinal[struck]) for what in ("side", "size", "step"))
            sizes = (NEWS_LEAST - NEWS_MEAN * np.log(size)) * listed.own_vol / 0.2
            jump[struck] = np.clip(np.where(side < 0.55, -sizes, sizes), -0.3, 0.25)
            step[struck] = np.maximum(0, (2.0 * when - 1.0) * STEPS).astype(np.int64)
        return jump, step

    def _reports(self, listed: Listed) -> list[Report]:
        if listed.reports is None:
            return []
        days = self._days.ordinal
        years = range(date.fromordinal(int(days[1])).year, date.fromordinal(int(days[-1])).year + 1)
        due = np.array([_due(listed.reports, year, quarter).toordinal() for year in years for quarter in range(4)])
        on = np.searchsorted(days, due)
        index = on if listed.reports.when == "before_open" else on + 1
        known = (index > 1) & (index < len(days))
        on, index = on[known], index[known]
        z = self._market.noise.normal(f"report {listed.symbol}", days[index])
        fat = self._market.noise.uniform(f"report tail {listed.symbol}", days[index])
        moves = np.clip(listed.reports.move * z * (0.6 + 0.7 * fat), -0.35, 0.3)
        return [
            Report(index=place, day=date.fromordinal(day), when=listed.reports.when, move=move)
            for place, day, move in zip(index.tolist(), days[on].tolist(), moves.tolist(), strict=True)
        ]

    def _reported(self, name: Name, index: Ints) -> Floats:
        moves = {report.index: report.move for report in name.reports}
        return np.array([moves.get(one, 0.0) for one in index.tolist()])

    def _paid(self, listed: Listed, parts: list[tuple[int, int]], log_close: Floats) -> tuple[Payment, ...]:
        part = listed.dividend_yield / len(listed.ex_months)
        return tuple(
            Payment(index=index, ex_date=date.fromordinal(int(self._days.ordinal[index])), amount=part * math.exp(log_close[reference]))
            for index, reference in parts
        )

    def _ex_indexes(self, listed: Listed) -> list[int]:
        if not listed.dividend_yield:
            return []
        days = self._days.ordinal
        years = range(date.fromordinal(int(days[1])).year, date.fromordinal(int(days[-1])).year + 1)
        months = [(year, month) for year in years for month in listed.ex_months]
        dates = [monthly_expiry(*month) if listed.ex_day is None else date(*month, listed.ex_day) for month in months]
        found = np.searchsorted(days, [day.toordinal() for day in dates])
        return [int(index) for index in found if 1 < index < len(days)]

    def _dropped(self, name: Name, index: Ints) -> Floats:
        """Log of what an ex-date leaves of the close before it: 0 on other days."""
        amounts = {payment.index: payment.amount for payment in name.payments}
        return np.array([math.log1p(-amounts.get(one, 0.0) / math.exp(name.log_close[one - 1])) for one in index.tolist()])

    def _splits(self, listed: Listed, log_close: Floats) -> Iterator[Parted]:
        """Those the parameters tell, else those a board decides on when the share has become dear."""
        if listed.symbol in self._told:
            for ex_date, new, old in self._told[listed.symbol]:
                index = int(np.searchsorted(self._days.ordinal, ex_date.toordinal()))
                if index < len(self._days.ordinal):
                    yield Parted(announced=max(index - SPLIT_NOTICE, 0), index=index, ex_date=ex_date, new=new, old=old)
            return
        if not listed.stock:
            return
        divisor, checks = 1.0, self._checks()
        chances = self._market.noise.uniform(f"split {listed.symbol}", self._days.ordinal[checks]) if len(checks) else ()
        for check, chance, level in zip(checks.tolist(), chances, np.exp(log_close[checks]).tolist(), strict=True):
            ratio = _ratio(level / divisor, float(chance))
            if ratio is not None and check + SPLIT_NOTICE < len(self._days.ordinal):
                index = check + SPLIT_NOTICE
                divisor *= ratio[0] / ratio[1]
                ex_date = date.fromordinal(int(self._days.ordinal[index]))
                yield Parted(announced=check, index=index, ex_date=ex_date, new=ratio[0], old=ratio[1])

    def _checks(self) -> Ints:
        """The sessions on which splits are decided, from the market's start on."""
        first, last = (date.fromordinal(int(self._days.ordinal[place])) for place in (self._anchor, -1))
        months = [date(year, month, 1).toordinal() for year in range(first.year, last.year + 1) for month in _SPLIT_MONTHS]
        found = np.searchsorted(self._days.ordinal, months)
        return found[(found > self._anchor) & (found < len(self._days.ordinal))]


def _moved(listed: Listed, stress: Floats, gone: Floats, market: Floats, shared: Floats, alone: Floats) -> Floats:
    """Log return of a name without its own news: rows are sessions, columns parts of a day gone by."""
    noise = math.sqrt(SECTOR_SHARE) * shared + math.sqrt(1 - SECTOR_SHARE) * alone
    vol = listed.own_vol / math.sqrt(SESSIONS_PER_YEAR) * np.exp(OWN_ELASTICITY * stress)
    beta = listed.beta - listed.hedge * np.clip(np.expm1(stress) / 2.0, 0.0, 1.0)
    return np.asarray(beta * market - 0.5 * vol * vol * gone + vol * noise)


def _ratio(level: float, chance: float) -> tuple[int, int] | None:
    if level > _DEAR and chance < _DEAR_CHANCE:
        return min(_WHOLE, key=lambda whole: abs(math.log(level / whole / _AIM))), 1
    return (3, 2) if level > _ODD and chance < _ODD_CHANCE else None


def report_day(symbol: str, year: int, quarter: int) -> date:
    """When a company reports: about its day of the month, from Tuesday to Thursday, or on the session after a closed day."""
    reports = LISTED[symbol].reports
    if reports is None:
        raise ValueError(f"{symbol} reports no earnings")
    day = _due(reports, year, quarter)
    return day if is_session(day) else next_session(day)


def _due(reports: Reports, year: int, quarter: int) -> date:
    day = date(year, reports.month + 3 * quarter, 1) + timedelta(days=reports.day - 1)
    return day + timedelta(days=_TO_MIDWEEK.get(day.weekday(), 0))
