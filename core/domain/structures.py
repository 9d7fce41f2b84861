"""Structures: positions and trades as a person thinks of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.domain.accounts import AccountId
from core.domain.instruments import Instrument, Option, Right, plain_number
from core.domain.orders import Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A holding: contracts long (+) or short (-) and their average opening price per share."""

    account: AccountId
    instrument: Instrument
    quantity: int
    average_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A structure from opening to end. `legs` are as opened; amounts are money for the filled units."""

    id: str
    account: AccountId
    strategy: str
    underlying: str
    legs: tuple[Leg, ...]
    opened_at: datetime
    opened_units: int
    open_units: int
    premium: Decimal  # received (+) or paid (-) to open, before fees
    closing_cash: Decimal  # received (+) or paid (-) to close and settle, before fees
    fees: Decimal
    thesis: str = ""
    closed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """True while any unit is held."""
        return self.open_units != 0

    @property
    def realized(self) -> Decimal | None:
        """Profit net of fees once fully closed, None while open."""
        return None if self.is_open else self.premium + self.closing_cash - self.fees

    @property
    def credit_per_unit(self) -> Decimal:
        """Premium per opened unit in money; negative for a debit."""
        return self.premium / self.opened_units

    @property
    def expiry(self) -> date | None:
        """The nearest option expiry of the structure, None for stock."""
        days = [leg.instrument.expiry for leg in self.legs if isinstance(leg.instrument, Option)]
        return min(days, default=None)


def describe_legs(legs: tuple[Leg, ...]) -> str:
    """Short words for a structure: `2700/2650 put spread 17 May 19 SPXW`, falling back to a list of its legs."""
    options = [leg.instrument for leg in legs if isinstance(leg.instrument, Option)]
    if len(options) == len(legs) == 1:
        return options[0].label
    if len(legs) == 1:
        return f"{legs[0].instrument.key} shares"
    if len(options) == len(legs) and len({leg.ratio for leg in legs}) == 1:
        named = _one_expiry(legs, options) if len({(item.root, item.expiry) for item in options}) == 1 else _two_expiries(legs, options)
        if named:
            return named
    return " + ".join(f"{leg.side.value} {getattr(leg.instrument, 'label', leg.instrument.key)}" for leg in legs)


def _one_expiry(legs: tuple[Leg, ...], options: list[Option]) -> str:
    """Spreads, condors, strangles and straddles, nothing for anything else."""
    first, rights, sides = options[0], {item.right for item in options}, {leg.side for leg in legs}
    head = f"{first.root} {first.expiry.day} {first.expiry:%b %y}"
    if len(options) == 2 and len(rights) == 1 and len(sides) == 2:
        return f"{head} {_strikes(options)} {first.right.value} spread"
    if len(options) == 2 and len(rights) == 2 and len(sides) == 1:
        same = options[0].strike == options[1].strike
        return f"{head} {plain_number(first.strike)} straddle" if same else f"{head} {_strikes(options)} strangle"
    pairs = {(leg.side, item.right) for leg, item in zip(legs, options, strict=True)}
    if len(options) == len(pairs) == 4:
        return f"{head} {_strikes(sorted(options, key=lambda item: item.strike))} iron condor"
    return ""


def _two_expiries(legs: tuple[Leg, ...], options: list[Option]) -> str:
    """Calendars and diagonals, the near leg first, nothing for anything else."""
    if len(options) != 2 or options[0].right is not options[1].right or legs[0].side is legs[1].side:
        return ""
    near, far = sorted(options, key=lambda item: item.expiry)
    first, second = (f"{item.expiry.day} {item.expiry:%b %y}" for item in (near, far))
    root = "" if far.root == near.root else f"{far.root} "
    if near.strike == far.strike:
        return f"{near.root} {first} / {root}{second} {plain_number(near.strike)} {near.right.value} calendar"
    return f"{near.root} {first} {plain_number(near.strike)} / {root}{second} {plain_number(far.strike)} {near.right.value} diagonal"


def _strikes(options: list[Option]) -> str:
    return "/".join(plain_number(option.strike) for option in options)


def average_after(held: int, average: Decimal, quantity: int, price: Decimal) -> Decimal:
    """Average opening price once `quantity` (signed) was added to `held` at a price; zero where that leaves nothing.

    Additions average in, reductions leave the average, a flip through zero starts again at the flipping price.
    """
    if held + quantity == 0:
        return Decimal(0)
    if held == 0 or (held > 0) == (quantity > 0):
        return (average * abs(held) + price * abs(quantity)) / abs(held + quantity)
    return price if abs(quantity) > abs(held) else average


def uncovered_short(positions: dict[str, tuple[Instrument, int]], underlying: str) -> dict[tuple[date, Right], int]:
    """Short contracts per expiry and right not matched by a long option of the same right and at least that expiry, or by shares.

    `positions` maps key to (instrument, signed quantity). A long option covers a short one of the same or an earlier expiry; as many
    long shares as a contract delivers cover a short call.
    """
    shorts: dict[tuple[date, Right], int] = {}
    longs: dict[Right, dict[date, int]] = {Right.PUT: {}, Right.CALL: {}}
    shares, multiplier = 0, 100
    for instrument, quantity in positions.values():
        if isinstance(instrument, Option) and instrument.underlying == underlying:
            multiplier = instrument.shares
            if quantity < 0:
                slot = (instrument.expiry, instrument.right)
                shorts[slot] = shorts.get(slot, 0) - quantity
            else:
                lots = longs[instrument.right]
                lots[instrument.expiry] = lots.get(instrument.expiry, 0) + quantity
        elif not isinstance(instrument, Option) and instrument.key == underlying:
            shares += quantity
    covered_calls = max(0, shares // multiplier)
    for slot in sorted(shorts, key=lambda item: (item[0], item[1].value)):
        expiry, right = slot
        for last in sorted(day for day in longs[right] if day >= expiry):
            used = min(longs[right][last], shorts[slot])
            longs[right][last] -= used
            shorts[slot] -= used
        if right is Right.CALL:
            used = min(covered_calls, shorts[slot])
            covered_calls -= used
            shorts[slot] -= used
    return {slot: count for slot, count in shorts.items() if count > 0}


def lots_free(positions: dict[str, tuple[Instrument, int]], underlying: str, right: Right) -> int:
    """Lots of long shares that no short call (or, of puts, no long put) goes with yet.

    `positions` as in `uncovered_short`. Calls that long calls cover, and puts that cover short puts, leave the shares free.
    """
    own = {key: pair for key, pair in positions.items() if isinstance(pair[0], Option) and pair[0].underlying == underlying}
    lot = next((item.multiplier for item, _ in own.values()), 100)
    shares = sum(count for key, (item, count) in positions.items() if key == underlying and not isinstance(item, Option))
    if right is Right.CALL:
        used = sum(count for (_, side), count in uncovered_short(own, underlying).items() if side is Right.CALL)
    else:
        used = max(0, sum(count for item, count in own.values() if isinstance(item, Option) and item.right is Right.PUT))
    return max(0, shares // lot - used)
