"""Plans: how a confirmed order is to be carried out.

All prices are net per unit and per share: + is received, - is paid. Every plan has a `start` and a `worst`: whatever is sent under it
lies between them, both included. `Limit` is sent at once and walked from start to worst. The others are carried out by the desk over
time: `Exits` wait at a target, at a stop, or at both; a `Bracket` opens and then waits so; `Sliced` sends its quantity in parts.

An exit's net price follows from the entry's: `exit = -entry + share x |entry|`. A credit of 1.20: half of it kept is -1.20 + 0.60 = -0.60
(buy back at 0.60); a loss of twice the credit is -1.20 - 2.40 = -3.60. A debit of 2.00 (entry -2.00): half of it won is +3.00.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from core.domain.encoding import SPARSE

ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Start at `start` and move, at most, to `worst`; both net per unit (+ credit, - debit), `worst` never above `start`.

    With a `rest` the price walks there first and goes on to `worst` only after a while unfilled.
    """

    start: Decimal
    worst: Decimal
    rest: Decimal | None = field(default=None, metadata=SPARSE)

    def __post_init__(self) -> None:
        _check_range(self.start, self.worst)
        _check_numbers(self.rest)
        if self.rest is not None and not self.worst <= self.rest <= self.start:
            raise ValueError("a limit rests within its prices")


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityScale:
    """A stop that widens and narrows with implied volatility: its distance from `anchor` times iv now / `iv`, within [least, most]."""

    anchor: Decimal  # net price the distance is measured from: what closing would have cost at the entry
    iv: Decimal  # as a decimal (0.18), when it was confirmed
    least: Decimal
    most: Decimal

    def __post_init__(self) -> None:
        _check_numbers(self.anchor, self.iv, self.least, self.most)
        if not (self.iv > 0 and 0 < self.least <= ONE <= self.most):
            raise ValueError("a stop scaled by volatility needs a volatility over 0 and bounds around 1")

    def level(self, stop: Decimal, iv: Decimal | None) -> Decimal:
        """Where a stop at `stop` stands when volatility is `iv`; unchanged where that is unknown."""
        ratio = ONE if iv is None else min(self.most, max(self.least, iv / self.iv))
        return self.anchor - (self.anchor - stop) * ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTerms:
    """Close when the structure's net mid is at `level` or lower, at `level - guard` at the worst.

    `trail`: the level follows the best mid seen at this distance and never goes back. `scale`: it moves with implied volatility.
    """

    level: Decimal
    guard: Decimal
    trail: Decimal | None = None
    scale: VolatilityScale | None = None

    def __post_init__(self) -> None:
        _check_numbers(self.level, self.guard, self.trail)
        if self.guard < 0 or (self.trail is not None and self.trail <= 0):
            raise ValueError("a stop's guard is not negative and its trail is over 0")
        if self.trail is not None and self.scale is not None:
            raise ValueError("a stop either trails or is scaled by volatility")

    def level_now(self, *, best: Decimal | None = None, iv: Decimal | None = None) -> Decimal:
        """The level in force: after a best mid of `best` where it trails, at a volatility of `iv` where it is scaled."""
        if self.trail is not None and best is not None:
            return max(self.level, best - self.trail)
        return self.level if self.scale is None else self.scale.level(self.level, iv)

    @property
    def lowest(self) -> Decimal:
        """The lowest level it can ever stand at."""
        return self.level if self.scale is None else min(self.level, self.scale.level(self.level, self.scale.iv * self.scale.most))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """Close at `target` by a resting order, or by the stop, whichever comes first; the other one ends with it."""

    start: Decimal
    worst: Decimal
    target: Decimal | None = None
    stop: StopTerms | None = None

    def __post_init__(self) -> None:
        _check_range(self.start, self.worst)
        _check_numbers(self.target)
        if self.target is None and self.stop is None:
            raise ValueError("an exit waits for a target, a stop or both")
        if self.target is not None and not self.worst <= self.target <= self.start:
            raise ValueError("the target lies outside the plan's prices")
        if self.stop is not None and self.stop.lowest - self.stop.guard < self.worst:
            raise ValueError("the stop can go beyond the plan's worst price")
        if self.stop is not None and self.target is not None and self.stop.level >= self.target:
            raise ValueError("the stop lies on the wrong side of the target")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Open by a limit order; what fills gets exits whose prices follow from the price it filled at.

    `target_share`: part of the premium to win. `stop_multiple`: loss as a multiple of the premium. `trail_share`: a trailing stop at this
    multiple of the premium. The stop's guard is the larger of `guard_share` of its level and `guard_least`. `iv`, `least` and `most`
    scale the stop by volatility.
    """

    start: Decimal
    worst: Decimal
    target_share: Decimal | None = None
    stop_multiple: Decimal | None = None
    trail_share: Decimal | None = None
    guard_share: Decimal = Decimal("0.25")
    guard_least: Decimal = Decimal("0.10")
    iv: Decimal | None = None
    least: Decimal = ONE
    most: Decimal = ONE

    def __post_init__(self) -> None:
        _check_range(self.start, self.worst)
        shares = (self.target_share, self.stop_multiple, self.trail_share)
        _check_numbers(*shares, self.guard_share, self.guard_least, self.iv, self.least, self.most)
        if all(share is None for share in shares) or any(share is not None and share <= 0 for share in shares):
            raise ValueError("a bracket has a target or a stop, each over 0")
        if self.stop_multiple is not None and self.trail_share is not None:
            raise ValueError("a bracket has one stop: a fixed or a trailing one")


class Slicing(StrEnum):
    """How the parts of a sliced order are timed."""

    TWAP = "twap"  # equal parts at equal intervals
    VWAP = "vwap"  # parts as large as the volume expected in each interval
    ICEBERG = "iceberg"  # the next part when the one before is filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Sliced:
    """Send the quantity in parts: at `weights` over `seconds` (TWAP, VWAP), or `show` units at a time (iceberg)."""

    start: Decimal
    worst: Decimal
    style: Slicing
    seconds: int = 0
    weights: tuple[Decimal, ...] = ()
    show: int = 0

    def __post_init__(self) -> None:
        _check_range(self.start, self.worst)
        _check_numbers(*self.weights)
        if self.style is Slicing.ICEBERG:
            if self.show < 1:
                raise ValueError("an iceberg shows at least 1 unit")
        elif self.seconds < 1 or len(self.weights) < 2 or any(weight <= 0 for weight in self.weights):
            raise ValueError("a timed order has at least 2 parts and a duration")


Plan = Limit | Exits | Bracket | Sliced


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person said about how an order is to be carried out; the plan follows from it and from the market.

    Targets and stops of an opening order are shares of its premium, of a closing order shares of what the trade was opened for, or prices
    (positive, as said). `parts`, `minutes` and `show` belong to a sliced order.
    """

    target_share: Decimal | None = None
    target_price: Decimal | None = None
    stop_multiple: Decimal | None = None
    stop_price: Decimal | None = None
    stop_limit: Decimal | None = None
    trail: Decimal | None = None  # points the stop stays behind the best mid
    trail_share: Decimal | None = None
    with_volatility: bool = False
    slicing: Slicing | None = None
    parts: int | None = None
    minutes: int | None = None
    show: int | None = None

    @property
    def exits(self) -> bool:
        """Whether a target or a stop was named."""
        named = (self.target_share, self.target_price, self.stop_multiple, self.stop_price, self.trail, self.trail_share)
        return any(value is not None for value in named)


def exit_price(entry: Decimal, share: Decimal) -> Decimal:
    """The net price at which closing wins (+) or loses (-) `share` of the premium; see the module's text."""
    return -entry + share * abs(entry)


def _check_numbers(*values: Decimal | None) -> None:
    if not all(value is None or value.is_finite() for value in values):
        raise ValueError("a plan's figures are numbers, not NaN or infinite")


def _check_range(start: Decimal, worst: Decimal) -> None:
    _check_numbers(start, worst)
    if worst > start:
        raise ValueError("the worst price of a limit cannot be better than its start")
