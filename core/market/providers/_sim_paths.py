"""Prices of the simulated market as a function of time alone: daily closes by a seeded chain, sessions by bridges between them.

The market's log volatility returns to its mean and rises when prices fall (a stochastic volatility with leverage); names follow by
beta, sector and their own noise. The chain starts just before the back-history and grows in blocks as later days are asked for.
Inside a session every source of noise is a Brownian bridge to its value for the day, on 390 steps (one minute of a full session).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from core.clock import exchange_date
from core.domain.calendar import is_session, monthly_expiry, next_session, session, sessions
from core.domain.holidays import LAST_YEAR
from core.errors import Unavailable
from core.market.providers._sim_listed import LISTED, SECTOR_SHARE, Listed
from core.market.providers._sim_noise import Floats, Noise
from core.market.providers._sim_surface import VIX3M_YEARS, VIX_YEARS, fair_vol

Ints = npt.NDArray[np.int64]

SESSIONS_PER_YEAR = 252.0
STEPS = 390
OVERNIGHT = 0.25  # of a day's variance falls before the open
FIRST = 2  # number of the first session of the back-history; the one before it is its eve
ANNOUNCED = timedelta(days=30)  # dividends are known this long before their ex-date
_BLOCK = timedelta(days=730)
_LAST_DAY = date(LAST_YEAR, 12, 31)

_MEAN_LOG_VOL, _PULL, _VOL_OF_VOL, _LEVERAGE = math.log(0.13), 0.05, 0.10, -0.75  # per session; a median vol of 13%
_DRIFT = 0.06  # of the index a year
_FUND_TO_INDEX = 0.9975  # SPY per tenth of the index, before the dividend it has collected
_KEPT_DAYS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where an instant stands: session number and its part gone by. Between sessions the last close stands."""

    index: int
    day: date
    step: float  # 0 at the open to STEPS at the close
    at: datetime  # when the prices that stand were made

    @property
    def gone(self) -> float:
        """Part of the session's day of variance that has gone by, OVERNIGHT at the open to 1 at the close."""
        return float(np.interp(self.step, np.arange(STEPS + 1), _variance_clock()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A quarterly dividend of a fund or stock, by session number of its ex-date."""

    index: int
    ex_date: date
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Days:
    """The chain so far: its start (0), the eve of the back-history (1), the back-history and on. `log_level` is over that of entry 0."""

    ordinal: Ints
    log_vol: Floats
    log_level: Floats


class Paths:
    """The prices of one seed. What is kept is for speed alone; one thread at a time may ask."""

    def __init__(self, noise: Noise, *, start: date, history_sessions: int) -> None:
        first = start if is_session(start) else next_session(start)
        earlier = sessions(first - timedelta(days=int(history_sessions * 1.6) + 30), first)
        self.origin = earlier[-1 - history_sessions]
        self._noise = noise
        self._anchor = FIRST + history_sessions - 1  # the eve of `start`, on which the listed levels stand
        chain_start = earlier[-1 - history_sessions - FIRST]
        self._days = _Days(ordinal=np.array([chain_start.toordinal()]), log_vol=np.array([_MEAN_LOG_VOL]), log_level=np.zeros(1))
        self._reach(first)
        self._base = float(self._days.log_level[self._anchor])
        self._grids: dict[tuple[str, int], Floats] = {}
        self._names: dict[str, tuple[Floats, tuple[Payment, ...]]] = {}

    def moment(self, now: datetime) -> Moment:
        """The last instant of a session at or before `now`, to the second; Unavailable before the back-history and after the calendar."""
        at = now.replace(microsecond=0)
        day = exchange_date(at)
        if day < self.origin or day > _LAST_DAY:
            raise Unavailable("the simulated market", why=f"it has prices from {self.origin} to {_LAST_DAY}, not on {day}")
        index = self.index_of(day)
        today = session(self.day(index))
        if today is not None and at < today.open_at:
            index -= 1
            today = session(self.day(index))
        if index < FIRST or today is None:
            raise Unavailable("the simulated market", why=f"it opens for the first time on {self.origin}")
        at = min(at, today.close_at)
        part = (at - today.open_at) / (today.close_at - today.open_at)
        return Moment(index=index, day=today.day, step=part * STEPS, at=at)

    def index_of(self, day: date) -> int:
        """Number of the last session up to and including a day."""
        self._reach(day)
        return int(np.searchsorted(self._days.ordinal, day.toordinal(), side="right")) - 1

    def day(self, index: int) -> date:
        """The session of a number."""
        return date.fromordinal(int(self._days.ordinal[index]))

    def level(self, symbol: str, moment: Moment) -> float:
        """Price of a symbol at a moment, in cents."""
        return round(float(np.interp(moment.step, np.arange(STEPS + 1), self._grid(symbol, moment.index))), 2)

    def close(self, symbol: str, index: int) -> float:
        """Closing price of a session, in cents."""
        return round(float(self._grid(symbol, index)[-1]), 2)

    def open(self, symbol: str, index: int) -> float:
        """Opening price of a session, in cents."""
        return round(float(self._grid(symbol, index)[0]), 2)

    def close_log_vol(self, index: int) -> float:
        """Log of the market's volatility a year at the close of a session."""
        return float(self._days.log_vol[index])

    def log_vol(self, moment: Moment) -> float:
        """Log of the market's volatility a year at a moment."""
        return float(np.interp(moment.step, np.arange(STEPS + 1), self._grid("log vol", moment.index)))

    def bars(self, symbol: str, first: int, last: int) -> Floats:
        """Open, high, low, close (columns) of sessions `first` to `last`."""
        grid = self._levels(symbol, np.arange(first, last + 1))
        return np.round(np.stack([grid[:, 0], grid.max(axis=1), grid.min(axis=1), grid[:, -1]], axis=1), 2)

    def payments(self, symbol: str, until: date) -> tuple[Payment, ...]:
        """Dividends from the second ex-date of the history on, up to `until`. Their amounts are fixed at the ex-date before."""
        self._reach(until)
        return tuple(payment for payment in self._name(symbol)[1] if payment.ex_date <= until)

    def _reach(self, day: date) -> None:
        """Grow the chain past a day."""
        days = self._days
        while days.ordinal[-1] < min(day, _LAST_DAY).toordinal():
            last = date.fromordinal(int(days.ordinal[-1]))
            more = sessions(last + timedelta(days=1), min(max(day, last) + _BLOCK, _LAST_DAY))
            if not more:
                break
            days = self._grown(days, np.array([one.toordinal() for one in more]))
        if days is not self._days:
            self._days = days

    def _grown(self, days: _Days, ordinal: Ints) -> _Days:
        market, vol = self._noise.normal("daily market", ordinal), self._noise.normal("daily vol", ordinal)
        log_vol, level = float(days.log_vol[-1]), float(days.log_level[-1])
        vols, levels = [], []
        for z, w in zip(market.tolist(), vol.tolist(), strict=True):
            level += _market_return(log_vol, 1.0, z)
            log_vol = _next_log_vol(log_vol, 1.0, z, w)
            levels.append(level)
            vols.append(log_vol)
        return _Days(
            ordinal=np.concatenate([days.ordinal, ordinal]),
            log_vol=np.concatenate([days.log_vol, vols]),
            log_level=np.concatenate([days.log_level, levels]),
        )

    def _grid(self, symbol: str, index: int) -> Floats:
        found = self._grids.get((symbol, index))
        if found is None:
            if len(self._grids) >= _KEPT_DAYS:
                self._grids = {}
            found = self._grids[symbol, index] = self._levels(symbol, np.array([index]))[0]
        return found

    def _levels(self, symbol: str, index: Ints) -> Floats:
        """Prices on the grid of each session, one row per session."""
        if symbol in ("log vol", "VIX", "VIX3M"):
            log_vol = self._log_vols(index)
            return log_vol if symbol == "log vol" else 100.0 * fair_vol(log_vol, VIX_YEARS if symbol == "VIX" else VIX3M_YEARS)
        listed = LISTED[symbol]
        if symbol in ("SPX", "XSP", "SPY"):
            scale = LISTED["SPX"].level / (1 if symbol == "SPX" else 10)
            level = scale * np.exp(self._days.log_level[index - 1, None] - self._base + self._market(index))
            return level if symbol != "SPY" else _FUND_TO_INDEX * level + self._collected(index)[:, None]
        log_close, payments = self._name(symbol)
        before = log_close[index - 1] + self._dropped(log_close, payments, index)
        return np.exp(before[:, None] + self._own(listed, index))

    def _market(self, index: Ints) -> Floats:
        return _market_return(self._days.log_vol[index - 1, None], _variance_clock(), self._walk("market", index))

    def _log_vols(self, index: Ints) -> Floats:
        return _next_log_vol(self._days.log_vol[index - 1, None], _variance_clock(), self._walk("market", index), self._walk("vol", index))

    def _own(self, listed: Listed, index: Ints) -> Floats:
        """Log return of a name since the close before, on the grid, without dividends."""
        shared, alone = self._walk(f"sector {listed.sector}", index), self._walk(f"own {listed.symbol}", index)
        return _name_return(listed, _variance_clock(), self._market(index), shared, alone)

    def _walk(self, stream: str, index: Ints) -> Floats:
        """Standard Brownian motion over each session's day of variance, from the open on, pinned to the day's own draw at the close."""
        ordinal = self._days.ordinal[index]
        clock = _variance_clock()
        pieces = np.sqrt(np.diff(clock, prepend=0.0))
        free = np.cumsum(self._noise.normal(f"minute {stream}", ordinal[:, None], np.arange(STEPS + 1)[None, :]) * pieces, axis=1)
        end = self._noise.normal(f"daily {stream}", ordinal)[:, None]
        return free - clock * (free[:, -1:] - end)

    def _name(self, symbol: str) -> tuple[Floats, tuple[Payment, ...]]:
        """Log closes of a fund or stock from the eve on, and its dividends."""
        days = self._days
        found = self._names.get(symbol)
        if found is None or len(found[0]) < len(days.ordinal):
            listed = LISTED[symbol]
            if symbol == "SPY":
                log_close = math.log(_FUND_TO_INDEX * LISTED["SPX"].level / 10) + days.log_level - self._base
                found = log_close, self._fund_payments(listed, log_close)
            elif listed.sector:
                found = self._name_closes(listed)
            else:
                found = days.log_level, ()
            self._names[symbol] = found
        return found

    def _name_closes(self, listed: Listed) -> tuple[Floats, tuple[Payment, ...]]:
        days = self._days
        ordinal = days.ordinal[1:]
        shared, alone = (self._noise.normal(f"daily {stream}", ordinal) for stream in (f"sector {listed.sector}", f"own {listed.symbol}"))
        steps = _name_return(listed, np.ones(1), np.diff(days.log_level), shared, alone)
        log_close = np.concatenate([np.zeros(1), np.cumsum(steps)])
        parts = []  # each dividend as a part of the close before its ex-date; no price level is needed for that
        reference = 0
        for index in self._ex_indexes(listed):
            part = listed.dividend_yield / 4 * math.exp(log_close[reference] - log_close[index - 1])
            log_close[index:] += math.log1p(-part)
            parts.append((index, reference))
            reference = index - 1
        log_close += math.log(listed.level) - log_close[self._anchor]
        return log_close, self._paid(listed, parts, log_close)

    def _fund_payments(self, listed: Listed, log_close: Floats) -> tuple[Payment, ...]:
        indexes = self._ex_indexes(listed)
        references = [0, *(index - 1 for index in indexes)]
        return self._paid(listed, list(zip(indexes, references, strict=False)), log_close)

    def _paid(self, listed: Listed, parts: list[tuple[int, int]], log_close: Floats) -> tuple[Payment, ...]:
        quarter = listed.dividend_yield / 4
        return tuple(
            Payment(index=index, ex_date=self.day(index), amount=quarter * math.exp(log_close[reference])) for index, reference in parts
        )

    def _ex_indexes(self, listed: Listed) -> list[int]:
        if not listed.dividend_yield:
            return []
        first, last = self.day(1), self.day(len(self._days.ordinal) - 1)
        months = ((year, month) for year in range(first.year, last.year + 1) for month in listed.ex_months)
        days = (_ex_date(year, month, listed.ex_day) for year, month in months)
        return [int(np.searchsorted(self._days.ordinal, day.toordinal())) for day in days if first < day <= last]

    def _dropped(self, log_close: Floats, payments: tuple[Payment, ...], index: Ints) -> Floats:
        """Log of what an ex-date leaves of the close before it: 0 on other days."""
        amounts = {payment.index: payment.amount for payment in payments}
        return np.array([math.log1p(-amounts.get(one, 0.0) / math.exp(log_close[one - 1])) for one in index.tolist()])

    def _collected(self, index: Ints) -> Floats:
        """What SPY has collected of its next dividend, in equal parts a day since the last ex-date."""
        payments = self._name("SPY")[1]
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


@lru_cache(maxsize=1)
def _variance_clock() -> Floats:
    """Part of a day's variance gone by at each step: more of it after the open and before the close than at noon."""
    busy = 0.7 + 1.2 * (2.0 * (np.arange(STEPS) + 0.5) / STEPS - 1.0) ** 2
    clock = OVERNIGHT + (1.0 - OVERNIGHT) * np.concatenate([np.zeros(1), np.cumsum(busy) / busy.sum()])
    clock[-1] = 1.0
    return clock


@lru_cache(maxsize=1024)
def _ex_date(year: int, month: int, day: int | None) -> date:
    if day is None:
        return monthly_expiry(year, month)
    found = date(year, month, day)
    return found if is_session(found) else next_session(found)


def _market_return(log_vol: npt.ArrayLike, gone: npt.ArrayLike, walk: npt.ArrayLike) -> Floats:
    vol = np.exp(log_vol)
    return (_DRIFT - 0.5 * vol * vol) / SESSIONS_PER_YEAR * np.asarray(gone) + vol / math.sqrt(SESSIONS_PER_YEAR) * np.asarray(walk)


def _next_log_vol(log_vol: npt.ArrayLike, gone: npt.ArrayLike, walk: npt.ArrayLike, own_walk: npt.ArrayLike) -> Floats:
    shock = _LEVERAGE * np.asarray(walk) + math.sqrt(1 - _LEVERAGE**2) * np.asarray(own_walk)
    return np.asarray(log_vol) + _PULL * (_MEAN_LOG_VOL - np.asarray(log_vol)) * np.asarray(gone) + _VOL_OF_VOL * shock


def _name_return(listed: Listed, gone: Floats, market: Floats, shared: Floats, alone: Floats) -> Floats:
    noise = math.sqrt(SECTOR_SHARE) * shared + math.sqrt(1 - SECTOR_SHARE) * alone
    vol = listed.own_vol / math.sqrt(SESSIONS_PER_YEAR)
    return listed.beta * market - 0.5 * vol * vol * gone + vol * noise
