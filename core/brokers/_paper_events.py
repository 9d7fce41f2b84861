"""What happens at the paper exchange without anybody's order: early assignment, liquidation, orders whose position went. Pure.

Early assignment is looked at once a session, before trading: a short American contract in the money is exercised by its holder where
waiting pays nothing. That is a put (or a call going ex-dividend today, for the dividend) whose price holds no more than its intrinsic
value; what the holder would give up is the extrinsic value, what is gained the dividend.

Worked example: short one SPY 295 call, SPY at 310.00 on the ex-date of a dividend of 1.40, the call at 15.20. It holds 0.20 over its
intrinsic value of 15.00, less than 1.40: assigned, 100 shares go at 295.00.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.brokers._paper_ledger import PaperOrder
from core.domain.instruments import Delivery, Exercise, Instrument, Option, Right
from core.domain.orders import Effect

NOTHING_MORE = Decimal("0.01")  # extrinsic value up to this is no reason for a holder to wait
ZERO = Decimal(0)
Held = Mapping[str, tuple[Instrument, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidation:
    """A position the exchange closes because the account is short of margin, and its words for it."""

    instrument: Instrument
    quantity: int  # signed change of the holding
    note: str


def may_be_assigned(held: Held, today: date) -> tuple[Option, ...]:
    """Short American contracts for shares that expire after today."""
    return tuple(
        item for item, quantity in held.values()
        if isinstance(item, Option) and quantity < 0 and item.exercise is Exercise.AMERICAN and item.delivery is Delivery.PHYSICAL
        and item.expiry > today and item.deliverable is not None
    )


def is_exercised(option: Option, *, price: Decimal, spot: Decimal, dividend: Decimal) -> bool:
    """Whether the holder of a contract exercises it today, at these mids, with this dividend going off the share today."""
    intrinsic = option.intrinsic(spot) / option.multiplier
    extrinsic = price - intrinsic
    if intrinsic == 0:
        return False
    if option.right is Right.CALL:
        return dividend * option.shares / option.multiplier > max(ZERO, extrinsic)
    return extrinsic <= NOTHING_MORE


def to_liquidate(
    candidates: Iterable[tuple[Instrument, int]], missing: Callable[[Instrument | None, int], Decimal | None]
) -> Liquidation | None:
    """The position whose end lowers what is missing most, and no more of it than has to go; None where none helps.

    `missing` is what is short of the requirement without so much of a holding; None where nobody can say.
    """
    now = missing(None, 0)
    if now is None or now <= 0:
        return None
    without = {item.key: (item, quantity, missing(item, quantity)) for item, quantity in candidates}
    helpful = [(item, quantity, left) for item, quantity, left in without.values() if left is not None and left < now]
    if not helpful:
        return None
    item, quantity, left = min(helpful, key=lambda one: (one[2], one[0].key))
    sign, enough = (1 if quantity > 0 else -1), abs(quantity)
    if left <= 0:
        few = 0  # too few; `enough` is enough
        while enough - few > 1:
            middle = (few + enough) // 2
            part = missing(item, sign * middle)
            few, enough = (few, middle) if part is not None and part <= 0 else (middle, enough)
    note = f"liquidated, {now:,.2f} USD short of the margin requirement"
    return Liquidation(instrument=item, quantity=-sign * enough, note=note)


def without_position(working: Iterable[PaperOrder], held: Held) -> tuple[PaperOrder, ...]:
    """Working orders that close more than is held now: filled, they would open the other way."""
    return tuple(order for order in working if any(_too_much(order, key, held) for key in _closes(order)))


def _closes(order: PaperOrder) -> dict[str, int]:
    return {leg.instrument.key: leg.contracts(order.leaves) for leg in order.envelope.legs if leg.effect is Effect.CLOSE}


def _too_much(order: PaperOrder, key: str, held: Held) -> bool:
    change = _closes(order)[key]
    have = held[key][1] if key in held else 0
    return have * change >= 0 or abs(change) > abs(have)
