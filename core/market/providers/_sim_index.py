"""The market as a whole: volatility and index of the simulated market, day by day and within a day.

The log of volatility has a fast part, which jumps up when the index falls, and a slow one; both return to zero. The index follows with
jumps of its own, more often and larger when volatility is high. Entry 0 of the chain is its start, 1 the eve of the back-history; it grows
in blocks as later days are asked for. Within a session each source of noise is a Brownian bridge to its value for the day, on 390 steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from core.domain.calendar import sessions
from core.domain.holidays import LAST_YEAR
from core.market.providers._sim_noise import Floats, Noise
from core.market.providers._sim_scenarios import LEAD_IN, ORDINARY, Scenario
from core.market.providers._sim_surface import MEAN_LOG_VOL, VIX_YEARS, at_money_variance, fast_of

Ints = npt.NDArray[np.int64]

SESSIONS_PER_YEAR = 252.0
STEPS = 390
OVERNIGHT = 0.25  # of a day's variance falls before the open
LAST_DAY = date(LAST_YEAR, 12, 31)
_BLOCK = timedelta(days=730)

DRIFT = 0.075  # of the index a year
FAST_PULL, FAST_VOL, FAST_LEVERAGE = 0.036, 0.080, -0.72  # per session
SLOW_PULL, SLOW_VOL, SLOW_LEVERAGE = 0.0035, 0.027, -0.2
HIGH, HIGH_PULL = 1.05, 0.15  # above so much over the mean volatility comes down faster
_LOWEST, _HIGHEST = math.log(0.03) - MEAN_LOG_VOL, math.log(1.1) - MEAN_LOG_VOL  # log volatility over its mean stays between
JUMPS = 0.014  # a session, at mean volatility; proportional to it
DOWN_SHARE = 0.72
DOWN_LEAST, DOWN_MEAN, UP_LEAST, UP_MEAN = 0.008, 0.014, 0.006, 0.006  # log sizes of jumps: what they have at least, and more on average
JUMP_GROWTH = 0.8  # their elasticity to volatility
LARGEST_JUMP = 0.11
FEAR, RELIEF, FEAR_WEAR = 11.0, 5.0, -0.7  # by how much a jump down or up of one moves the fast part; elasticity to volatility
_OVERNIGHT_JUMPS = 0.5  # of all


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """The chain so far. `market` and `wave` are the draws the index and the fast part end the day with; a jump's step is 0 at the open."""

    ordinal: Ints
    fast: Floats
    slow: Floats
    level: Floats  # log of the index over that of entry 0
    drift: Floats
    market: Floats
    wave: Floats
    jump: Floats
    jump_step: Ints

    def joined(self, rows: Sequence[tuple[float, ...]], ordinal: Ints) -> Days:
        """With more days."""
        columns = np.array(rows).T
        names = [field.name for field in fields(self) if field.name != "ordinal"]
        grown = {
            name: np.concatenate([getattr(self, name), column.astype(getattr(self, name).dtype)])
            for name, column in zip(names, columns, strict=True)
        }
        return Days(ordinal=np.concatenate([self.ordinal, ordinal]), **grown)


class Market:
    """The chain of one seed. One thread at a time may ask."""

    def __init__(self, noise: Noise, *, first: date, scenario: Scenario | None, starts: int) -> None:
        """`starts`: number of the session a scenario begins with."""
        self.noise = noise
        self._scenario = scenario
        self._starts = starts
        none = np.zeros(1)
        self.days = Days(
            ordinal=np.array([first.toordinal()]), fast=none, slow=none, level=none, drift=none, market=none, wave=none, jump=none,
            jump_step=np.zeros(1, dtype=np.int64),
        )

    def reach(self, day: date) -> None:
        """Grow the chain past a day."""
        days = self.days
        while days.ordinal[-1] < min(day, LAST_DAY).toordinal():
            last = date.fromordinal(int(days.ordinal[-1]))
            more = sessions(last + timedelta(days=1), min(max(day, last) + _BLOCK, LAST_DAY))
            if not more:
                break
            days = self._grown(days, np.array([one.toordinal() for one in more]))
        self.days = days

    def _grown(self, days: Days, ordinal: Ints) -> Days:
        draw, chance = self.noise.normal, self.noise.uniform
        drawn = [draw(f"daily {stream}", ordinal) for stream in ("market", "vol", "slow")]
        drawn += [chance(f"leap {stream}", ordinal) for stream in ("falls", "side", "size", "step")]
        fast, slow, level = float(days.fast[-1]), float(days.slow[-1]), float(days.level[-1])
        rows, number = [], len(days.ordinal)
        for z, w, z2, falls, side, size, when in zip(*(column.tolist() for column in drawn), strict=True):
            log_vol = max(_LOWEST, min(_HIGHEST, fast + slow))
            chances, relative = min(JUMPS * math.exp(log_vol), 0.3), math.exp(JUMP_GROWTH * log_vol)
            drift = _drift(log_vol, chances, relative)
            jump, step = (_jump(relative, side, size), _step(when)) if falls < chances else (0.0, 0)
            place, later = number - self._starts, _next_slow(slow, z, z2)
            if -LEAD_IN <= place < 0:
                jump, (w, later) = 0.0, self._led(place, fast, slow, log_vol, z, z2)
            elif self._scenario is not None and 0 <= place < len(self._scenario.returns):
                jump, (z, w) = 0.0, self._told(self._scenario, place, fast, log_vol, drift, z, later)
            else:
                w = FAST_LEVERAGE * z + math.sqrt(1.0 - FAST_LEVERAGE**2) * w
            level += drift + _session_vol(log_vol) * z + jump
            fast, slow = _next_fast(fast, log_vol, w, jump), later
            rows.append((fast, slow, level, drift, z, w, jump, float(step)))
            number += 1
        return days.joined(rows, ordinal)

    def _led(self, place: int, fast: float, slow: float, log_vol: float, z: float, own: float) -> tuple[float, float]:
        """The draw and the slow part of a session before the start: a part of the way to an ordinary market, all of it in the last."""
        later = slow - slow / -place if place > -LEAD_IN else _next_slow(slow, z, own)
        wanted = _fast_at(ORDINARY if self._scenario is None else self._scenario.before, later)
        return (fast + (wanted - fast) / -place - _next_fast(fast, log_vol, 0.0, 0.0)) / FAST_VOL, later

    def _told(
        self, scenario: Scenario, place: int, fast: float, log_vol: float, drift: float, z: float, later: float
    ) -> tuple[float, float]:
        """The draws of a session that a scenario decides, so that index and VIX end where it says."""
        wanted_return = math.log1p((scenario.returns[place] + scenario.noise * z) / 100.0)
        wanted = _fast_at(scenario.vix[place], later)
        return (wanted_return - drift) / _session_vol(log_vol), (wanted - _next_fast(fast, log_vol, 0.0, 0.0)) / FAST_VOL

    # --- within a session -------------------------------------------------------------------------------------------------

    def log_returns(self, index: Ints) -> Floats:
        """Log return of the index since the close before, on the grid, one row a session."""
        days = self.days
        before = _held(days.fast[index - 1] + days.slow[index - 1])[:, None]
        moved = days.drift[index, None] * variance_clock() + _session_vols(before) * self.walk("market", index, days.market[index])
        return moved + self._jumped(index) + self._inside(index, 1) / 100.0

    def fast(self, index: Ints) -> Floats:
        """The fast part of log volatility on the grid."""
        days, clock = self.days, variance_clock()
        before = days.fast[index - 1, None]
        log_vol = _held(before + days.slow[index - 1, None])
        pulled = -FAST_PULL * before - HIGH_PULL * np.maximum(log_vol - HIGH, 0.0)
        moved = before + pulled * clock + FAST_VOL * self._wave(index)
        jumped = self._jumped(index)
        return moved - np.where(jumped < 0, FEAR, RELIEF) * jumped * np.exp(FEAR_WEAR * log_vol) + self._inside(index, 2)

    def slow(self, index: Ints) -> Floats:
        """The slow part on the grid: straight from close to close, since it moves little in a day."""
        days, clock = self.days, variance_clock()
        return days.slow[index - 1, None] + (days.slow[index] - days.slow[index - 1])[:, None] * clock

    def walk(self, stream: str, index: Ints, end: Floats) -> Floats:
        """Standard Brownian motion over each session's day of variance, from the open on, pinned to `end` at the close."""
        clock = variance_clock()
        pieces = np.sqrt(np.diff(clock, prepend=0.0))
        ordinal = self.days.ordinal[index]
        free = np.cumsum(self.noise.normal(f"minute {stream}", ordinal[:, None], np.arange(STEPS + 1)[None, :]) * pieces, axis=1)
        return free - clock * (free[:, -1:] - end[:, None])

    def _wave(self, index: Ints) -> Floats:
        """What moves the fast part: the index's own walk against it, and one of its own, ending with the day's draw."""
        own = self.walk("vol", index, np.zeros(len(index)))
        with_index = self.walk("market", index, np.zeros(len(index)))
        free = FAST_LEVERAGE * with_index + math.sqrt(1.0 - FAST_LEVERAGE**2) * own
        return free + variance_clock() * self.days.wave[index, None]

    def _jumped(self, index: Ints) -> Floats:
        return self.days.jump[index, None] * (np.arange(STEPS + 1)[None, :] >= self.days.jump_step[index, None])

    def _inside(self, index: Ints, column: int) -> Floats:
        """The shape a scenario gives one of its sessions on top of its path: nothing at the open and the close."""
        shape = np.zeros((len(index), STEPS + 1))
        if self._scenario is not None and self._scenario.inside is not None:
            place, points = self._scenario.inside
            step, values = [point[0] for point in points], [point[column] for point in points]
            shape[index == self._starts + place] = np.interp(np.arange(STEPS + 1), step, values)
        return shape


@lru_cache(maxsize=1)
def variance_clock() -> Floats:
    """Part of a day's variance gone by at each step: more of it after the open and before the close than at noon."""
    busy = 0.7 + 1.2 * (2.0 * (np.arange(STEPS) + 0.5) / STEPS - 1.0) ** 2
    clock = OVERNIGHT + (1.0 - OVERNIGHT) * np.concatenate([np.zeros(1), np.cumsum(busy) / busy.sum()])
    clock[-1] = 1.0
    return clock


def _held(log_vol: npt.ArrayLike) -> Floats:
    """Log volatility over its mean, within bounds."""
    return np.clip(log_vol, _LOWEST, _HIGHEST)


def _session_vol(log_vol: float) -> float:
    return math.exp(MEAN_LOG_VOL + log_vol) / math.sqrt(SESSIONS_PER_YEAR)


def _session_vols(log_vol: Floats) -> Floats:
    return np.exp(MEAN_LOG_VOL + log_vol) / math.sqrt(SESSIONS_PER_YEAR)


def _drift(log_vol: float, chances: float, relative: float) -> float:
    """What the index gains a session besides noise and jumps, so that it grows by DRIFT a year with them."""
    expected = chances * relative * ((1.0 - DOWN_SHARE) * (UP_LEAST + UP_MEAN) - DOWN_SHARE * (DOWN_LEAST + DOWN_MEAN))
    return DRIFT / SESSIONS_PER_YEAR - 0.5 * _session_vol(log_vol) ** 2 - expected


def _jump(relative: float, side: float, size: float) -> float:
    more = -math.log(size)  # of mean one
    down = side < DOWN_SHARE
    jump = -(DOWN_LEAST + DOWN_MEAN * more) if down else UP_LEAST + UP_MEAN * more
    return max(-LARGEST_JUMP, min(LARGEST_JUMP, jump * relative))


def _step(when: float) -> int:
    """Half of all jumps come overnight, the others at any minute."""
    return 0 if when < _OVERNIGHT_JUMPS else 1 + int((when - _OVERNIGHT_JUMPS) / (1.0 - _OVERNIGHT_JUMPS) * (STEPS - 1))


def _next_fast(fast: float, log_vol: float, wave: float, jump: float) -> float:
    pulled = fast - FAST_PULL * fast - HIGH_PULL * max(log_vol - HIGH, 0.0)
    return pulled + FAST_VOL * wave - (FEAR if jump < 0 else RELIEF) * jump * math.exp(FEAR_WEAR * log_vol)


def _next_slow(slow: float, z: float, own: float) -> float:
    return slow - SLOW_PULL * slow + SLOW_VOL * (SLOW_LEVERAGE * z + math.sqrt(1.0 - SLOW_LEVERAGE**2) * own)


def _fast_at(vix: float, slow: float) -> float:
    """The fast part at which VIX stands so high."""
    return fast_of(at_money_variance((vix / 100.0) ** 2 * VIX_YEARS), slow, VIX_YEARS)
