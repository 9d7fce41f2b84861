"""When a price counts as touched: the discipline of every stop and exit that watches the market. Pure.

A level is touched when the structure's net mid is at it or beyond on two fresh checks in a row, at least `gap_seconds` apart, both later
than `opening_seconds` into the session and with a spread of at most `spread_fraction` of the mid. A market with one side missing never
triggers: it is told instead, since its mid is no price anybody trades at. A look in between that finds the mid on the right side again
starts anew.

Worked example: a stop at a cost of 3.60 (net -3.60). 10:00:00 mid -3.65: first look. 10:00:15 mid -3.70: too soon. 10:00:30 mid -3.62:
touched. Had 10:00:15 shown -3.55, the look of 10:00:30 would have been a first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.orders import Leg, Side
from core.errors import Unavailable
from core.market.quote import QuoteState
from core.market.view import View
from core.risk.examine import natural_and_mid


@dataclass(frozen=True, slots=True, kw_only=True)
class Discipline:
    """The numbers of the rule. On a clock that stands (recorded days) one look is all an instant has: `looks` is then 1."""

    gap_seconds: int = 30
    opening_seconds: int = 300
    spread_fraction: Decimal = Decimal("0.25")
    longest_gap_seconds: int = 600  # a first look older than this is forgotten
    looks: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A structure's market at one look. `opened_at` is None while any leg's market is closed."""

    at: datetime
    opened_at: datetime | None
    mid: Decimal | None = None  # net per unit, + received; None where a quote is missing, stale or insane
    natural: Decimal | None = None  # what closing would get at once
    one_sided: bool = False
    why: str = ""  # what keeps it from being judged


class Look(StrEnum):
    """What one look came to."""

    CLOSED = "closed"
    WAITING = "waiting"  # too early in the session, or the spread is too wide to believe the mid
    UNKNOWN = "unknown"  # no usable price
    ONE_SIDED = "one_sided"  # beyond the level by its mid, but nobody is there to trade with
    QUIET = "quiet"
    FIRST = "first"  # beyond the level once
    TOUCHED = "touched"


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first of the two looks."""

    at: datetime
    mid: Decimal


def see(legs: Sequence[Leg], view: View, *, opened_at: datetime | None, stale_seconds: float) -> Sight:
    """The sight of legs in a view; quotes older than `stale_seconds` of trading time give no mid."""
    if opened_at is None:
        return Sight(at=view.at, opened_at=None, why="the market is closed")
    old = [leg for leg in legs if _age_seconds(leg, view) > stale_seconds]
    if old:
        name = getattr(old[0].instrument, "label", old[0].instrument.key)
        return Sight(at=view.at, opened_at=opened_at, why=f"the quote of {name} is missing or older than {stale_seconds:.0f} s")
    halted = next((why for leg in legs if (why := view.halt_of(leg.instrument))), "")
    if halted:  # what is quoted meanwhile is no price anybody could close at
        return Sight(at=view.at, opened_at=opened_at, why=f"trading is halted: {halted}")
    natural, mid = natural_and_mid(legs, view)
    sold_for_nothing = any(
        leg.side is Side.SELL and view.quote(leg.instrument).state is QuoteState.NO_BID for leg in legs
    ) if mid is not None else False
    return Sight(
        at=view.at, opened_at=opened_at, mid=mid, natural=natural, one_sided=mid is not None and (natural is None or sold_for_nothing),
        why="" if mid is not None else "a quote is insane",
    )


def is_believable(sight: Sight, discipline: Discipline) -> bool:
    """Whether the mid is a price one could trade near: some minutes into the session, quoted on both sides, and not too wide."""
    if sight.opened_at is None or sight.mid is None or _is_early(sight, sight.opened_at, discipline):
        return False
    return not sight.one_sided and sight.natural is not None and not _is_wide(sight.mid, sight.natural, discipline)


def look(
    sight: Sight, *, level: Decimal, first: First | None, discipline: Discipline, falling: bool = True
) -> tuple[Look, First | None]:
    """Judge one look at a level; returns what it came to and the first look that now stands.

    `falling`: the level is touched from above (a stop: the mid at it or lower); False for a target (the mid at it or higher).
    """
    if sight.opened_at is None:
        return Look.CLOSED, None
    if sight.mid is None:
        return Look.UNKNOWN, None
    if (sight.mid > level) if falling else (sight.mid < level):
        return Look.QUIET, None
    if _is_early(sight, sight.opened_at, discipline):
        return Look.WAITING, None
    if sight.one_sided or sight.natural is None:
        return Look.ONE_SIDED, None
    if _is_wide(sight.mid, sight.natural, discipline):
        return Look.WAITING, None
    if discipline.looks <= 1:
        return Look.TOUCHED, first or First(at=sight.at, mid=sight.mid)
    waited = None if first is None else (sight.at - first.at).total_seconds()
    if first is None or waited is None or not 0 <= waited <= discipline.longest_gap_seconds:
        return Look.FIRST, First(at=sight.at, mid=sight.mid)
    return (Look.FIRST if waited < discipline.gap_seconds else Look.TOUCHED), first


def _is_early(sight: Sight, opened_at: datetime, discipline: Discipline) -> bool:
    return (sight.at - opened_at).total_seconds() < discipline.opening_seconds


def _is_wide(mid: Decimal, natural: Decimal, discipline: Discipline) -> bool:
    return mid - natural > abs(mid) * discipline.spread_fraction / 2


def _age_seconds(leg: Leg, view: View) -> float:
    try:
        return view.session_age_seconds(leg.instrument)
    except Unavailable:
        return float("inf")
