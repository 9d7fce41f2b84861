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
    same = {(option.root, option.expiry, option.right) for option in options}
    if len(options) == len(legs) == 2 and len(same) == 1 and legs[0].side is not legs[1].side:
        first, second = options
        strikes = "/".join(plain_number(option.strike) for option in (first, second))
        return f"{first.root} {first.expiry.day} {first.expiry:%b %y} {strikes} {first.right.value} spread"
    return " + ".join(f"{leg.side.value} {getattr(leg.instrument, 'label', leg.instrument.key)}" for leg in legs)


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

    `positions` maps key to (instrument, signed quantity). A long option covers a short one of the same or an earlier expiry; 100 long
    shares (the option's multiplier) cover a short call.
    """
    shorts: dict[tuple[date, Right], int] = {}
    longs: dict[Right, dict[date, int]] = {Right.PUT: {}, Right.CALL: {}}
    shares, multiplier = 0, 100
    for instrument, quantity in positions.values():
        if isinstance(instrument, Option) and instrument.underlying == underlying:
            multiplier = instrument.multiplier
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
