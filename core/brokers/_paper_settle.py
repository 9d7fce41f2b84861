"""What an expired position turns into. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from core.domain.accounts import AccountId
from core.domain.calendar import settlement_at
from core.domain.events import Settled
from core.domain.instruments import Delivery, Option, Right

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


def assign_early(option: Option, quantity: int, *, value: Decimal, account: AccountId, at: datetime, day: date) -> Settled:
    """Assign short contracts before their expiry: the shares change hands at the strike. `value` is the share's price by then."""
    assigned = settle(option, quantity, value=value, account=account, at=at)
    return replace(assigned, settlement_id=early_id(account, option, day))


def settle(option: Option, quantity: int, *, value: Decimal, account: AccountId, at: datetime) -> Settled:
    """Settle `quantity` contracts (+ long) on the published value: cash for cash-settled series, shares at the strike for others."""
    points = value - option.strike if option.right is Right.CALL else option.strike - value
    cash, shares, outcome = ZERO, 0, "expired"
    if option.delivery is Delivery.CASH:
        if points > 0:
            cash, outcome = points * option.multiplier * quantity, "cash_settled"
    elif points >= EXERCISE_FROM and option.deliverable is not None:
        direction = 1 if option.right is Right.CALL else -1
        shares = direction * option.deliverable.shares * quantity
        cash = -direction * option.strike * option.multiplier * quantity
        outcome = "exercised" if quantity > 0 else "assigned"
    return Settled(
        settlement_id=settlement_id(account, option), account=account, instrument=option, quantity=-quantity, outcome=outcome, value=value,
        cash=cash, at=at, shares=shares, share_symbol=option.deliverable.symbol if shares and option.deliverable else None,
    )
