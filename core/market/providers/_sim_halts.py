"""When something in the simulated market does not trade although its session is open.

Told by a parameter, or drawn from the prices themselves as exchanges do it: a stock or fund pauses for five minutes after moving five
percent within five minutes (ten near the open and the close), and the whole market stops for a quarter of an hour when the index is 7
or 13 percent under the close before (until 15:25), for the rest of the day at 20. Quotes go on being shown; nothing fills.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np

from core.clock import EXCHANGE_ZONE, as_utc
from core.domain.calendar import session
from core.errors import UserError
from core.market.providers._sim_index import STEPS
from core.market.providers._sim_listed import LISTED
from core.market.providers._sim_paths import Moment, Paths

BAND, BAND_MINUTES, PAUSE = 0.05, 5, 5  # a pause: so much within so many minutes
WIDE_FIRST, WIDE_LAST = 15, 25  # minutes after the open and before the close in which the band is twice as wide
BREAKERS = ((0.07, 1), (0.13, 2), (0.20, 3))
BREAK, QUIET_LAST = 15, 35  # minutes of a halt of the market; none of the first two levels in the last minutes
_HALT = re.compile(
    r"(?P<symbol>[A-Z]+) +(?P<day>\d{4}-\d\d-\d\d) +(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)(?: +(?P<why>\S.{0,59}))?", re.ASCII
)
_SPLIT = re.compile(r"(?P<symbol>[A-Z]+) +(?P<day>\d{4}-\d\d-\d\d) +(?P<new>\d{1,3}):(?P<old>\d{1,3})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Something does not trade for a while; `symbol` is empty where it is the whole market."""

    symbol: str
    start: datetime
    end: datetime
    why: str


class Halts:
    """All halts of one market."""

    def __init__(self, paths: Paths, told: tuple[Halt, ...]) -> None:
        self._paths = paths
        self._told = told
        self._drawn: dict[tuple[str, int], tuple[Halt, ...]] = {}

    def why(self, symbol: str, moment: Moment, now: datetime) -> str:
        """Why a symbol does not trade; empty where it does."""
        for halt in (*self._told, *self.drawn(symbol, moment.index), *self.drawn("", moment.index)):
            if halt.symbol in (symbol, "") and halt.start <= now < halt.end:
                return halt.why
        return ""

    def drawn(self, symbol: str, index: int) -> tuple[Halt, ...]:
        """The halts of a session that its own prices make, as if all of it were known: ask only for what has begun."""
        found = self._drawn.get((symbol, index))
        if found is None:
            if len(self._drawn) > 256:
                self._drawn = {}
            found = self._drawn[symbol, index] = self._market(index) if not symbol else self._name(symbol, index)
        return found

    def _market(self, index: int) -> tuple[Halt, ...]:
        day, before = self._paths.day(index), self._paths.close("SPX", index - 1)
        level = self._paths.minutes("SPX", index)
        found = []
        for fall, number in BREAKERS:
            (under,) = np.nonzero(level <= (1.0 - fall) * before)
            if not len(under):
                break
            first = int(under[0])
            if number < 3 and _minutes(day) * (1.0 - first / STEPS) < QUIET_LAST:
                continue
            start = _instant(day, first)
            until = _instant(day, STEPS) if number == 3 else start + timedelta(minutes=BREAK)
            found.append(Halt(symbol="", start=start, end=until, why=f"market-wide circuit breaker, level {number}"))
        return tuple(found)

    def _name(self, symbol: str, index: int) -> tuple[Halt, ...]:
        if not LISTED[symbol].sector and symbol != "SPY":
            return ()
        day, level = self._paths.day(index), self._paths.minutes(symbol, index)
        moved = np.abs(np.log(level[BAND_MINUTES:] / level[:-BAND_MINUTES]))
        step = np.arange(BAND_MINUTES, STEPS + 1)
        wide = (step < WIDE_FIRST) | (step > STEPS - WIDE_LAST)
        found: list[Halt] = []
        for one in step[moved > np.where(wide, 2 * BAND, BAND)].tolist():
            start = _instant(day, one)
            if not found or start >= found[-1].end + timedelta(minutes=BAND_MINUTES):
                found.append(Halt(symbol=symbol, start=start, end=start + timedelta(minutes=PAUSE), why="volatility pause"))
        return tuple(found)


def halts_of(text: str) -> tuple[Halt, ...]:
    """Read the parameter `halts`; raise UserError where a part of it is none."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = _HALT.fullmatch(part)
        try:
            if match is None or match["symbol"] not in LISTED:
                raise ValueError(part)
            start, end = (
                as_utc(datetime.combine(date.fromisoformat(match["day"]), time.fromisoformat(match[name]), EXCHANGE_ZONE))
                for name in ("start", "end")
            )
        except ValueError as error:
            said = f"market: {part!r:.60} is no halt of the simulated market"
            raise UserError(said, 'Write for example "KO 2026-11-20 10:30-10:35 volatility pause".') from error
        found.append(Halt(symbol=match["symbol"], start=start, end=end, why=match["why"] or "halted"))
    return tuple(found)


def splits_of(text: str) -> dict[str, tuple[tuple[date, int, int], ...]]:
    """Read the parameter `splits` by symbol; raise UserError where a part of it is none."""
    found: dict[str, tuple[tuple[date, int, int], ...]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = _SPLIT.fullmatch(part)
        try:
            if match is None or match["symbol"] not in LISTED or not LISTED[match["symbol"]].sector:
                raise ValueError(part)
            day, new, old = date.fromisoformat(match["day"]), int(match["new"]), int(match["old"])
            if session(day) is None or not new or not old or new == old:
                raise ValueError(part)
        except ValueError as error:
            said = f"market: {part!r:.60} is no split of a stock or fund of the simulated market on a trading day"
            raise UserError(said, 'Write for example "KO 2026-11-20 3:2", three new shares for two old ones.') from error
        found[match["symbol"]] = tuple(sorted((*found.get(match["symbol"], ()), (day, new, old))))
    return found


def _instant(day: date, step: float) -> datetime:
    today = session(day)
    if today is None:
        raise ValueError(f"{day} is no session")
    return today.open_at + (today.close_at - today.open_at) * (step / STEPS)


def _minutes(day: date) -> float:
    return (_instant(day, STEPS) - _instant(day, 0)).total_seconds() / 60.0
