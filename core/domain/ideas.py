"""What a strategy is asked for and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.domain.instruments import Right
from core.domain.orders import Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A structure as far as a person (or the plan) named it; what is None the strategy chooses from its parameters."""

    symbol: str
    dte: int | None = None
    expiry: date | None = None
    delta: Decimal | None = None  # absolute, of the short leg
    strikes: tuple[Decimal, ...] = ()
    width: Decimal | None = None  # points between the legs of a vertical
    right: Right | None = None
    root: str | None = None  # SPX or SPXW where both list the expiry


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """One candidate: the legs of one unit, why these, and whether the structure's risk is defined."""

    strategy: str
    symbol: str
    legs: tuple[Leg, ...]
    thesis: str
    short_delta: float | None = None
