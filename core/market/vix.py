"""What the level of VIX and its term structure say about sizes, deltas and positions. Pure; nothing here stops an order.

Bands are [low, high). Sizes of the level and of the term structure are of one family: the smaller factor is the one that counts.
Example: VIX 22 says 75% of the usual size and 6 of 8 positions; with VIX3M at 21.50 the curve is inverted (22 / 21.50 = 1.02), which says
50%: half the usual size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from core.errors import Unavailable

SESSIONS = 252  # a year of them, for the percentile
ONE = Decimal(1)
SPIKE = 0.20  # a rise in a day that is flagged
FLAT_FROM, INVERTED_ABOVE, DEEP_POINTS = 0.95, 1.00, 5.0
LOWER_FROM, GRANT_FROM, NO_NAKED_FROM = 20.0, 25.0, 35.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A range of VIX and what it leaves of the usual; `most` bounds the positions by number, `naked_delta` those of naked shorts."""

    name: str
    low: float
    high: float
    size: Decimal
    positions: Decimal = ONE
    most: int | None = None
    delta: Decimal = ONE  # of strategies with defined risk
    naked_delta: Decimal | None = None
    words: str = ""


BANDS = (
    Band(name="very calm", low=0.0, high=12.0, size=Decimal("0.75"), words="skip thin premium"),
    Band(name="normal", low=12.0, high=20.0, size=ONE),
    Band(name="raised", low=20.0, high=25.0, size=Decimal("0.75"), positions=Decimal("0.75"), delta=Decimal("0.75")),
    Band(
        name="high", low=25.0, high=30.0, size=Decimal("0.50"), positions=Decimal("0.50"), delta=Decimal("0.6"),
        naked_delta=Decimal("0.05"),
    ),
    Band(name="very high", low=30.0, high=40.0, size=Decimal("0.25"), most=3, delta=Decimal("0.5"), naked_delta=Decimal("0.04")),
    Band(
        name="extreme", low=40.0, high=float("inf"), size=Decimal(0), positions=Decimal(0), delta=Decimal(0),
        words="no new entries; rolls and hedges only; close the weakest",
    ),
)


class Term(StrEnum):
    """The shape of VIX against VIX3M."""

    NORMAL = "normal (rising)"
    FLAT = "flat"
    INVERTED = "inverted"
    DEEP = "deeply inverted"
    UNKNOWN = "unknown"


TERM_SIZE = {  # what the shape leaves of the usual size; unknown counts as inverted for entries
    Term.NORMAL: ONE, Term.FLAT: Decimal("0.8"), Term.INVERTED: Decimal("0.5"), Term.DEEP: Decimal("0.5"), Term.UNKNOWN: Decimal("0.5"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a level stands among its closes: `percentile` is the share of them below it."""

    percentile: float
    rank: float | None  # between their lowest (0) and highest (1); None where they are all one
    sessions: int


def band_of(level: float) -> Band:
    """The band a level of VIX lies in; raise Unavailable for what is no level."""
    found = next((band for band in BANDS if band.low <= level < band.high), None)
    if found is None:
        raise Unavailable("VIX", why=f"{level} is no level of it")
    return found


def term_of(vix: float, vix3m: float | None) -> Term:
    """The shape of the curve on one look."""
    if vix3m is None or vix3m <= 0:
        return Term.UNKNOWN
    if vix - vix3m > DEEP_POINTS:
        return Term.DEEP
    ratio = vix / vix3m
    return Term.INVERTED if ratio > INVERTED_ABOVE else Term.FLAT if ratio >= FLAT_FROM else Term.NORMAL


def size_of(band: Band, term: Term) -> Decimal:
    """What both leave of the usual size: the smaller factor."""
    return min(band.size, TERM_SIZE[term])


def positions_of(band: Band, usual: int) -> int:
    """How many positions a band leaves of the usual number, rounded down."""
    return min(int(usual * band.positions), usual if band.most is None else band.most)


def standing_of(level: float, closes: Sequence[float]) -> Standing | None:
    """Where a level stands among closes; None without any."""
    if not closes:
        return None
    low, high = min(closes), max(closes)
    return Standing(
        percentile=sum(close < level for close in closes) / len(closes), rank=(level - low) / (high - low) if high > low else None,
        sessions=len(closes),
    )


def naked_words(level: float) -> str:
    """What a level says of naked puts and strangles."""
    if level >= NO_NAKED_FROM:
        return "no new ones"
    if level >= GRANT_FROM:
        return "only with the owner's grant, else as a spread"
    return "at a lower delta" if level >= LOWER_FROM else "as usual"
