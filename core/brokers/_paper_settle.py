"""What an expired position turns into. Pure.

Cash-settled contracts pay what they are worth. Of those for shares OCC exercises by exception what is a cent or more in the money; nobody
else's holder has to: near the strike some let go what is worth a little and some exercise what is not (they trade after the close). So of
short contracts that finish within a sliver of their strike each is assigned or not by a draw, the likelier the deeper in the money, which
follows from account, contract and closing price alone: the same question never has two answers.

Worked example: short 2 KO 60 puts, KO closes at 59.98. A sliver of 0.1% is 0.06, so each is assigned with a chance of
50% + 50% x 0.02 / 0.06 = 67%; at 59.94 or below both are, at 60.06 or above none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256

from core.domain.accounts import AccountId
from core.domain.calendar import settlement_at
from core.domain.events import Settled
from core.domain.instruments import Option, Right

EXERCISE_FROM = Decimal("0.01")  # OCC exercises by exception what is this much in the money
ZERO = Decimal(0)


def settles_at(option: Option) -> datetime:
    """From when on a position can settle: the instant that decides it, once trading has ended."""
    return max(settlement_at(option.series, option.expiry), option.last_trade_at)


def settlement_id(account: AccountId, option: Option) -> str:
    """The one settlement a contract has in an account."""
    return f"{account}:{option.key}:{option.expiry.isoformat()}"


def early_id(account: AccountId, option: Option, day: date) -> str:
    """The early assignment of a contract on a day."""
    return f"{account}:{option.key}:early:{day.isoformat()}"


def expire(
    option: Option, quantity: int, *, value: Decimal, account: AccountId, at: datetime, sliver: Decimal = ZERO, fees: Decimal = ZERO
) -> list[Settled]:
    """The end of a position on its published value: one settlement, or two where a part of a pinned short is assigned.

    `sliver` is the part of the strike within which a short may or may not be assigned; `fees` are those of one exercise or assignment.
    """
    plain = settle(option, quantity, value=value, account=account, at=at, fees=fees)
    reach = sliver * option.strike
    away = (value * option.shares + _paid(option)) / option.multiplier - option.strike  # above the strike, per unit of price
    if quantity > 0 or option.deliverable is None or abs(away) >= reach:
        return [plain]
    deep = away if option.right is Right.CALL else -away
    chance = (1 + deep / reach) / 2
    drawn = sum(_draw(account, option, value, number) < chance for number in range(-quantity))
    words = f"pinned within {reach:.2f} of its strike: {drawn} of {-quantity} assigned"
    assigned = _delivered(option, -drawn, value=value, account=account, at=at, fees=fees)
    left = replace(plain, quantity=-quantity - drawn, outcome="expired", cash=ZERO, shares=0, share_symbol=None, fees=ZERO)
    parts: Sequence[Settled] = ([assigned] if drawn else []) + ([left] if left.quantity else [])
    return [
        replace(part, note=words, settlement_id=plain.settlement_id + (":pin" if number else "")) for number, part in enumerate(parts)
    ]


def _draw(account: AccountId, option: Option, value: Decimal, number: int) -> Decimal:
    """A number in [0, 1) that nobody chose."""
    text = f"{account}|{option.key}|{option.expiry}|{value}|{number}"
    return Decimal(int.from_bytes(sha256(text.encode()).digest()[:8], "big")) / 2**64


def _paid(option: Option) -> Decimal:
    return ZERO if option.deliverable is None else option.deliverable.cash


def assign_early(
    option: Option, quantity: int, *, value: Decimal, account: AccountId, at: datetime, day: date, fees: Decimal = ZERO
) -> Settled:
    """Assign short contracts before their expiry: the shares change hands at the strike. `value` is the share's price by then."""
    assigned = _delivered(option, quantity, value=value, account=account, at=at, fees=fees)
    return replace(assigned, settlement_id=early_id(account, option, day))


def settle(option: Option, quantity: int, *, value: Decimal, account: AccountId, at: datetime, fees: Decimal = ZERO) -> Settled:
    """Settle `quantity` contracts (+ long) on the published value: cash for cash-settled series, shares at the strike for others."""
    worth = option.intrinsic(value)
    if option.deliverable is not None and worth >= EXERCISE_FROM * option.multiplier:
        return _delivered(option, quantity, value=value, account=account, at=at, fees=fees)
    in_cash = option.deliverable is None and worth > 0
    return Settled(
        settlement_id=settlement_id(account, option), account=account, instrument=option, quantity=-quantity,
        outcome="cash_settled" if in_cash else "expired", value=value, cash=worth * quantity if in_cash else ZERO, at=at,
    )


def _delivered(option: Option, quantity: int, *, value: Decimal, account: AccountId, at: datetime, fees: Decimal) -> Settled:
    """What the contract delivers changes hands at its strike: shares, and the cash for a part of one that an adjusted contract holds."""
    assert option.deliverable is not None
    direction = 1 if option.right is Right.CALL else -1
    return Settled(
        settlement_id=settlement_id(account, option), account=account, instrument=option, quantity=-quantity,
        outcome="exercised" if quantity > 0 else "assigned", value=value,
        cash=direction * quantity * (option.deliverable.cash - option.strike * option.multiplier), at=at,
        shares=direction * quantity * option.deliverable.shares, share_symbol=option.deliverable.symbol, fees=fees,
    )
