"""Contracts of trades done elsewhere, once they are over: settled on the published value where they settle in cash, else asked for.

No broker reports on them. A cash-settled series ends at its published value and nothing else; where shares may change hands only the
person knows whether they did, and is asked once.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.command import format_value
from core.desk import Desk
from core.domain.accounts import OUTSIDE
from core.domain.calendar import settlement_at
from core.domain.events import AlertRaised, Settled
from core.domain.instruments import Delivery, Option, Right
from core.domain.money import ZERO
from core.errors import Unavailable
from core.orders.readings import intrinsic


def over(option: Option, now: datetime) -> bool:
    """Whether trading in a contract has ended and what decides its end has come."""
    return now >= max(settlement_at(option.series, option.expiry), option.last_trade_at)


async def settle_outside(desk: Desk) -> None:
    """Book what has settled in cash since the last look, and ask once about the rest."""
    book = desk.books.accounts.get(OUTSIDE.id)
    if book is None:
        return
    now = desk.now()
    for position in tuple(book.positions.values()):
        option = position.instrument
        if not isinstance(option, Option) or not over(option, now):
            continue
        if option.delivery is not Delivery.CASH:
            await _ask(desk, option, position.quantity)
            continue
        try:
            published = await desk.reader.settlement(option)
        except Unavailable:
            continue  # asked for again with the next look
        if published is not None:
            body = settled_in_cash(option, position.quantity, published.value, at=now)
            await desk.record(desk.draft(body, actor="desk", stream=str(OUTSIDE.id), dedupe=body.settlement_id))


def settled_in_cash(option: Option, quantity: int, value: Decimal, *, at: datetime) -> Settled:
    """What contracts (+ long) of a cash-settled series came to on its published value."""
    cash = intrinsic(option, value) * option.multiplier * quantity
    return Settled(
        settlement_id=f"{OUTSIDE.id}:{option.key}:{option.expiry.isoformat()}:{quantity}", account=OUTSIDE.id, instrument=option,
        quantity=-quantity, outcome="cash_settled" if cash else "expired", value=value, cash=cash, at=at,
    )


def outcome_of(option: Option, quantity: int, outcome: str, *, settlement_id: str, at: datetime) -> Settled:
    """What a person says became of contracts: expired worthless, or shares changed hands at the strike."""
    cash, shares = ZERO, 0
    deliverable = option.deliverable
    if outcome != "expired" and deliverable is not None:
        direction = 1 if option.right is Right.CALL else -1
        shares = direction * deliverable.shares * quantity
        cash = -direction * option.strike * option.multiplier * quantity
    return Settled(
        settlement_id=settlement_id, account=OUTSIDE.id, instrument=option, quantity=-quantity, outcome=outcome, value=None, cash=cash,
        at=at, shares=shares, share_symbol=deliverable.symbol if shares and deliverable is not None else None,
    )


async def _ask(desk: Desk, option: Option, quantity: int) -> None:
    key = f"outside:{option.key.replace(' ', '')}"
    if key in desk.fold.alerts:
        return
    terms = f"symbol={option.root} strikes={format_value(option.strike)} right={option.right.value} expiry={option.expiry.isoformat()}"
    other = "assigned" if quantity < 0 else "exercised"
    body = AlertRaised(
        key=key, urgency="high", account=OUTSIDE.id,
        text=f"{quantity:+d} {option.label}, held outside, is over. Did it expire worthless, or was it {other}? Only you can say.",
        lines=(f"log_trade outcome=expired {terms}", f"log_trade outcome={other} {terms}"), labels=("Expired", other.capitalize()),
    )
    await desk.record(desk.draft(body, actor="clock", stream=str(OUTSIDE.id), dedupe=f"alert:{key}"))
