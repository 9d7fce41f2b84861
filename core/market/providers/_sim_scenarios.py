"""Named scenarios of the simulated market: how the index and VIX go, session by session, from the market's start on.

Sizes follow the public record of the days they are named after, rounded; nothing of a recording is in them, and what a scenario does not
say (the minutes, the names, the skew) is the seed's. VIX is led to the scenario's first level in the sessions before, and afterwards the
market goes on by itself from where it was left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

LEAD_IN: Final = 40  # sessions before the start in which VIX is led to where the market begins
ORDINARY: Final = 16.5  # VIX on the eve of the start without a scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One entry a session: the index's return from close to close in percent, and VIX at the close.

    noise: standard deviation in percent of what the seed adds to each return; before: VIX on the eve. Inside: (session, waypoints) of one
    session with a shape of its own, as (minutes since the open, index in percent, fast volatility in log points) on top of its path.
    """

    before: float
    returns: tuple[float, ...]
    vix: tuple[float, ...]
    noise: float = 0.0
    inside: tuple[int, tuple[tuple[int, float, float], ...]] | None = None


def _slow_bull() -> Scenario:
    """Half a year up by a sixth, hardly a day over one percent."""
    count = 126
    return Scenario(
        before=15.0, returns=(0.12,) * count, vix=tuple(11.5 + 3.5 * math.exp(-day / 15) + 0.8 * math.sin(day / 5) for day in range(count)),
        noise=0.42,
    )


def _chop() -> Scenario:
    """Three months of waves of three percent that lead nowhere."""
    count = 63
    level = [3.0 * math.sin(2 * math.pi * (day + 1) / 21) for day in range(count)]
    returns = tuple(after - before for before, after in zip([0.0, *level], level, strict=False))
    return Scenario(before=18.0, returns=returns, vix=tuple(19.0 - 0.9 * one for one in level), noise=0.35)


SCENARIOS: Final = MappingProxyType({
    "slow_bull": _slow_bull(),
    "chop": _chop(),
    # 2 to 28 February 2018: short volatility is wound up in one afternoon.
    "feb_2018": Scenario(
        before=13.5,
        returns=(-2.1, -4.1, 1.7, -0.5, -3.8, 1.5, 1.4, 0.3, 1.3, 1.2, 0.0, -0.6, -0.6, 0.1, 1.6, 1.2, -1.3, -1.1),
        vix=(17.3, 37.3, 30.0, 27.7, 33.5, 29.1, 25.6, 25.0, 19.3, 19.1, 19.5, 20.6, 20.0, 18.7, 16.5, 15.8, 18.6, 19.9),
        inside=(1, ((0, 0.0, 0.0), (325, 0.0, 0.0), (340, -1.6, 0.25), (352, 0.3, 0.0), (390, 0.0, 0.0))),
    ),
    # 20 February to 7 April 2020: 34 percent down in 23 sessions, the market halted four times, then the way back.
    "covid_2020": Scenario(
        before=14.4,
        returns=(
            -0.4, -1.1, -3.4, -3.0, -0.4, -4.4, -0.8, 4.6, -2.8, 4.2, -3.4, -1.7, -7.6, 4.9, -4.9, -9.5, 9.3, -12.0, 6.0, -5.2, 0.5, -4.3,
            -2.9, 9.4, 1.2, 6.2, -3.4, 3.4, -1.6, -4.4, 2.3, -1.5, 7.0, -0.2, 3.4, 1.4, -1.0, 3.1, -2.2, 0.6,
        ),
        vix=(
            15.6, 17.1, 25, 27.9, 27.6, 39.2, 40.1, 33.4, 36.8, 32, 39.6, 41.9, 54.5, 47.3, 53.9, 75.5, 57.8, 82.7, 75.9, 76.5, 72, 66,
            61.6, 61.7, 64, 61, 65.5, 57.1, 53.5, 57.1, 50.9, 46.8, 45.2, 46.7, 43.4, 41.7, 41.2, 37.8, 40.8, 40.1,
        ),
    ),
    # 6 May 2010: nine percent down and most of it back within half an hour of the afternoon.
    "flash_crash": Scenario(
        before=23.8, returns=(-0.7, -3.2, -1.5, 4.4, -0.3, 1.4, -1.2, -1.9, 0.1, -1.4),
        vix=(24.9, 32.8, 41.0, 28.8, 28.3, 25.5, 26.7, 31.2, 30.8, 33.6),
        inside=(1, ((0, 0, 0.0), (270, 0.5, 0.0), (302, -1.5, 0.1), (316, -6.6, 0.5), (325, -2.0, 0.2), (345, 0, 0.05), (390, 0, 0.0))),
    ),
    # No one day: three bad sessions, and six weeks in which fear wears off faster than the loss.
    "spike_and_fade": Scenario(
        before=15.0,
        returns=(-0.9, -1.8, -3.4, 1.1, -0.6, 1.4, *(0.22,) * 26),
        vix=(18, 23.5, 36, 31, 31.5, 27, *(16.0 + 10.0 * math.exp(-day / 8) for day in range(26))),
        noise=0.3,
    ),
})
