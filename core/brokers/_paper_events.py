"""What happens at the paper exchange without anybody's order: early assignment, liquidation, orders whose position went. Pure.

Early assignment is looked at once a session, before trading: a short American contract in the money is exercised by its holder where
waiting pays nothing. That is a put (or a call going ex-dividend today, for the dividend) whose price holds no more than its intrinsic
value; what the holder would give up is the extrinsic value, what is gained the dividend.

Worked example: short one SPY 295 call, SPY at 310.00 on the ex-date of a dividend of 1.40, the call at 15.20. It holds 0.20 over its
intrinsic value of 15.00, less than 1.40: assigned, 100 shares go at 295.00.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.brokers._paper_ledger import PaperOrder
from core.domain.instruments import Delivery, Equity, Exercise, Instrument, Option, Right
from core.domain.orders import Effect

MAINTENANCE = Decimal("0.25")
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
    intrinsic = max(ZERO, spot - option.strike if option.right is Right.CALL else option.strike - spot)
    extrinsic = price - intrinsic
    if intrinsic == 0:
        return False
    if option.right is Right.CALL:
        return dividend > max(ZERO, extrinsic)
    return extrinsic <= NOTHING_MORE


def to_liquidate(held: Held, *, cash: Decimal, prices: Mapping[str, Decimal], requirement: Decimal) -> Liquidation | None:
    """The position the exchange closes first where cash and shares are under the requirement: the dearest short option, then shares.

    Shares that were bought on margin are asked for a quarter of their value, not for the half that buying them takes.
    """
    shares = [prices.get(item.key, ZERO) * quantity for item, quantity in held.values() if isinstance(item, Equity)]
    lent = MAINTENANCE * sum((worth for worth in shares if worth > 0), ZERO)
    missing = requirement - lent - cash - sum(shares, ZERO)
    if missing <= 0:
        return None
    shorts = [(item, quantity) for item, quantity in held.values() if isinstance(item, Option) and quantity < 0]
    shares = [(item, quantity) for item, quantity in held.values() if isinstance(item, Equity)]
    for group in (shorts, shares):
        if group:
            item, quantity = max(group, key=lambda pair: (_worth(pair, prices), pair[0].key))
            note = f"liquidated, {missing:,.2f} USD short of the margin requirement"
            return Liquidation(instrument=item, quantity=-quantity, note=note)
    return None


def without_position(working: Iterable[PaperOrder], held: Held) -> tuple[PaperOrder, ...]:
    """Working orders that close more than is held now: filled, they would open the other way."""
    return tuple(order for order in working if any(_too_much(order, key, held) for key in _closes(order)))


def _closes(order: PaperOrder) -> dict[str, int]:
    return {leg.instrument.key: leg.contracts(order.leaves) for leg in order.envelope.legs if leg.effect is Effect.CLOSE}


def _too_much(order: PaperOrder, key: str, held: Held) -> bool:
    change = _closes(order)[key]
    have = held[key][1] if key in held else 0
    return have * change >= 0 or abs(change) > abs(have)


def _worth(pair: tuple[Instrument, int], prices: Mapping[str, Decimal]) -> Decimal:
    item, quantity = pair
    return abs(quantity) * item.multiplier * prices.get(item.key, ZERO)
