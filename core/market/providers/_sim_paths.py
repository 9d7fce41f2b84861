"""Prices of the simulated market as a function of time alone: which session an instant belongs to, and what stood where at that moment.

Days come from seeded chains (`_sim_index`, `_sim_names`), minutes from bridges between them; what is kept is for speed alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from core.clock import exchange_date
from core.domain.calendar import is_session, next_session, session, sessions
from core.errors import Unavailable
from core.market.providers._sim_index import LAST_DAY, STEPS, Ints, Market, variance_clock
from core.market.providers._sim_listed import LISTED
from core.market.providers._sim_names import FUND_TO_INDEX, Name, Names, Payment
from core.market.providers._sim_noise import Floats, Noise
from core.market.providers._sim_scenarios import SCENARIOS
from core.market.providers._sim_surface import VIX3M_YEARS, VIX9D_YEARS, VIX_YEARS, Mood, index_vol

FIRST = 2  # number of the first session of the back-history; the one before it is its eve
ANNOUNCED = timedelta(days=30)  # dividends are known this long before their ex-date
_VOL_INDICES = {"VIX9D": VIX9D_YEARS, "VIX": VIX_YEARS, "VIX3M": VIX3M_YEARS}
_INDEX_FAMILY = ("SPX", "XSP", "SPY")
_KEPT_DAYS = 192


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
        return float(np.interp(self.step, np.arange(STEPS + 1), variance_clock()))


class Paths:
    """The prices of one seed. One thread at a time may ask."""

    def __init__(
        self, noise: Noise, *, start: date, history_sessions: int, scenario: str = "",
        splits: Mapping[str, tuple[tuple[date, int, int], ...]] | None = None,
    ) -> None:
        first = start if is_session(start) else next_session(start)
        earlier = sessions(first - timedelta(days=int(history_sessions * 1.6) + 30), first)
        self.origin = earlier[-1 - history_sessions]
        self.anchor = FIRST + history_sessions - 1  # the eve of `start`, on which the listed levels stand
        self._market = Market(
            noise, first=earlier[-1 - history_sessions - FIRST], scenario=SCENARIOS.get(scenario), starts=self.anchor + 1,
        )
        self._market.reach(first)
        self._base = float(self._market.days.level[self.anchor])
        self._names = Names(self._market, anchor=self.anchor, told_splits=splits or {})
        self._grids: dict[tuple[str, int], Floats] = {}

    def moment(self, now: datetime) -> Moment:
        """The last instant of a session at or before `now`, to the second; Unavailable before the back-history and after the calendar."""
        at = now.replace(microsecond=0)
        day = exchange_date(at)
        if day < self.origin or day > LAST_DAY:
            raise Unavailable("the simulated market", why=f"it has prices from {self.origin} to {LAST_DAY}, not on {day}")
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
        self._market.reach(day)
        return int(np.searchsorted(self._market.days.ordinal, day.toordinal(), side="right")) - 1

    def day(self, index: int) -> date:
        """The session of a number."""
        return date.fromordinal(int(self._market.days.ordinal[index]))

    def level(self, symbol: str, moment: Moment) -> float:
        """Price of a symbol at a moment, in cents."""
        return round(self._at(symbol, moment) / self.divisor(symbol, moment.index), 2)

    def close(self, symbol: str, index: int) -> float:
        """Closing price of a session, in cents, as it was traded."""
        return round(float(self._grid(symbol, index)[-1]) / self.divisor(symbol, index), 2)

    def open(self, symbol: str, index: int) -> float:
        """Opening price of a session, in cents, as it was traded."""
        return round(float(self._grid(symbol, index)[0]) / self.divisor(symbol, index), 2)

    def minutes(self, symbol: str, index: int) -> Floats:
        """Prices on the grid of a session, as they were traded."""
        return self._grid(symbol, index) / self.divisor(symbol, index)

    def mood(self, moment: Moment) -> Mood:
        """The market's volatility at a moment."""
        return Mood(fast=self._at("fast", moment), slow=self._at("slow", moment))

    def close_mood(self, index: int) -> Mood:
        """The market's volatility at the close of a session."""
        return Mood(fast=float(self._market.days.fast[index]), slow=float(self._market.days.slow[index]))

    def bars(self, symbol: str, first: int, last: int, *, seen_from: int | None = None) -> Floats:
        """Open, high, low, close (columns) of sessions `first` to `last`, adjusted for splits up to session `seen_from` (or the last)."""
        grid = self._levels(symbol, np.arange(first, last + 1)) / self.divisor(symbol, last if seen_from is None else seen_from)
        return np.round(np.stack([grid[:, 0], grid.max(axis=1), grid.min(axis=1), grid[:, -1]], axis=1), 2)

    def closes(self, symbol: str, first: int, last: int) -> Floats:
        """Closing prices of sessions as if nothing was ever split; of a name without its minutes."""
        if symbol in LISTED and symbol not in _VOL_INDICES and symbol not in _INDEX_FAMILY:
            self._market.reach(self.day(last))
            return np.exp(self.name(symbol).log_close[first : last + 1])
        return self._levels(symbol, np.arange(first, last + 1))[:, -1]

    def name(self, symbol: str) -> Name:
        """The course of a fund or stock."""
        return self._names.of(symbol)

    def divisor(self, symbol: str, index: int) -> float:
        """Shares at a session for one at the start."""
        return self.name(symbol).divisor(index) if symbol in LISTED and LISTED[symbol].sector else 1.0

    def payments(self, symbol: str, until: date) -> tuple[Payment, ...]:
        """Dividends from the second ex-date of the history on, up to `until`, unsplit. Their amounts are fixed at the ex-date before."""
        self._market.reach(until)
        if symbol != "SPY" and not LISTED[symbol].sector:
            return ()
        return tuple(payment for payment in self.name(symbol).payments if payment.ex_date <= until)

    def _at(self, symbol: str, moment: Moment) -> float:
        return float(np.interp(moment.step, np.arange(STEPS + 1), self._grid(symbol, moment.index)))

    def _grid(self, symbol: str, index: int) -> Floats:
        found = self._grids.get((symbol, index))
        if found is None:
            if len(self._grids) >= _KEPT_DAYS:
                self._grids = {}
            found = self._grids[symbol, index] = self._levels(symbol, np.array([index]))[0]
        return found

    def _levels(self, symbol: str, index: Ints) -> Floats:
        """Prices on the grid of each session, one row per session, as if nothing was ever split."""
        if symbol in ("fast", "slow"):
            return self._market.fast(index) if symbol == "fast" else self._market.slow(index)
        if symbol in _VOL_INDICES:
            return index_vol(self._market.fast(index), self._market.slow(index), _VOL_INDICES[symbol])
        if symbol in _INDEX_FAMILY:
            scale = LISTED["SPX"].level / (1 if symbol == "SPX" else 10)
            level = scale * np.exp(self._market.days.level[index - 1, None] - self._base + self._market.log_returns(index))
            return level if symbol != "SPY" else FUND_TO_INDEX * level + self._names.collected(index)[:, None]
        return self._names.levels(symbol, index)
