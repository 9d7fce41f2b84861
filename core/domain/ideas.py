"""What a strategy is asked for and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.domain.instruments import Right
from core.domain.orders import Leg, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A structure as far as a person (or the plan) named it; what is None the strategy chooses from its parameters."""

    symbol: str
    dte: int | None = None
    expiry: date | None = None
    far_dte: int | None = None  # of the later leg of a calendar or diagonal
    far_expiry: date | None = None
    delta: Decimal | None = None  # absolute, of the leg that is sold, or of the one bought where nothing near it is
    strikes: tuple[Decimal, ...] = ()
    width: Decimal | None = None  # points between the legs of a vertical
    right: Right | None = None
    root: str | None = None  # SPX or SPXW where both list the expiry
    side: Side | None = None  # of shares; every other strategy has its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """One candidate: the legs of one unit and why these. The first leg defines it: sold, a credit is received; bought, a debit is paid.

    `most_units`: it leans on shares that are held, and these are enough for so many units; None where it stands alone.
    """

    strategy: str
    symbol: str
    legs: tuple[Leg, ...]
    thesis: str
    short_delta: float | None = None
    most_units: int | None = None
