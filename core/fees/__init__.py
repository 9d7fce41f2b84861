"""Commissions and exchange fees as dated schedules, one file each, and the pure functions that apply them.

A schedule's file has `NAME` (as the file), a docstring with a worked example, and `schedule`, a `Schedule`. Every component is computed
exactly; one execution's sum is rounded to cents, half to even. Cash settlement and expiry are free in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from core.domain.instruments import Instrument, Option, UnderlyingKind
from core.domain.money import to_cents
from core.domain.orders import Side

__all__ = ["Band", "Component", "Execution", "Schedule", "components", "fees", "order_fees", "rate"]

ZERO = Decimal(0)
_BROAD = (UnderlyingKind.BROAD_INDEX, UnderlyingKind.VOLATILITY_INDEX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A rate per contract for premiums under `below`; None is every higher premium."""

    below: Decimal | None
    rate: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A published fee schedule. Rates are money per contract or per share unless named otherwise."""

    name: str
    as_of: date
    source: str
    commission: tuple[Band, ...]  # by premium; to open, and to close too unless `closing` says otherwise
    order_minimum: Decimal  # of the commission of one order
    share_commission: Decimal
    share_commission_cap: Decimal  # as a fraction of the trade's value
    regulatory: Decimal  # options regulatory fee (ORF)
    clearing: Decimal  # OCC
    clearing_cap: Decimal | None  # per execution; None: no most
    sale_rate: Decimal  # SEC transaction fee, fraction of the proceeds of a sale
    activity: Decimal  # FINRA trading activity fee on sales, per contract
    share_activity: Decimal
    share_activity_cap: Decimal  # per execution
    exchange: Mapping[str, tuple[Band, ...]] = field(default_factory=dict)  # by option root; roots not named pay none
    exchange_free_under: Mapping[str, int] = field(default_factory=dict)  # no exchange fee for fewer contracts
    closing: tuple[Band, ...] | None = None  # commission of what closes a position
    leg_cap: Decimal | None = None  # the most commission of one leg of one order; options on broad indices have none
    share_clearing: Decimal = ZERO
    audit: Decimal = ZERO  # consolidated audit trail, per share; a contract counts as many as its multiplier
    delivery: Decimal = ZERO  # one exercise or assignment of any number of contracts of one series


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What a fee is charged on: contracts or shares (positive) at a price per share."""

    instrument: Instrument
    side: Side
    quantity: int
    price: Decimal
    opens: bool = True  # a position, or closes one


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One named part of a fee, not rounded."""

    name: str
    amount: Decimal


def fees(schedule: Schedule, instrument: Instrument, side: Side, quantity: int, price: Decimal) -> Decimal:
    """Fee of one execution to the cent, without the order minimum: what one more execution of a large order costs."""
    return to_cents(sum((item.amount for item in components(schedule, _checked(instrument, side, quantity, price))), ZERO))


def order_fees(schedule: Schedule, executions: Sequence[Execution]) -> tuple[Decimal, ...]:
    """Fee of each execution of one order to the cent, in their order, the commission's minimum included.

    The first execution pays up to the minimum and later ones pay nothing until it is used up, so what was charged never changes when
    the order fills further.
    """
    charged, total, found = ZERO, ZERO, []
    legs: dict[str, Decimal] = {}
    for execution in executions:
        parts = components(schedule, execution)
        total += _capped(schedule, execution, parts[0].amount, legs)
        due = max(schedule.order_minimum, total)
        found.append(to_cents(due - charged + sum((item.amount for item in parts[1:]), ZERO)))
        charged = due
    return tuple(found)


def _capped(schedule: Schedule, execution: Execution, commission: Decimal, legs: dict[str, Decimal]) -> Decimal:
    """What of a commission is still under the cap of its leg; `legs` is what each leg paid before, and is kept up to date."""
    item = execution.instrument
    if schedule.leg_cap is None or not isinstance(item, Option) or item.series.underlying_kind in _BROAD:
        return commission
    paid = legs.get(item.key, ZERO)
    legs[item.key] = min(schedule.leg_cap, paid + commission)
    return legs[item.key] - paid


def components(schedule: Schedule, execution: Execution) -> tuple[Component, ...]:
    """The parts of an execution's fee by name, the broker's commission first."""
    if isinstance(execution.instrument, Option):
        return _option_parts(schedule, execution, execution.instrument)
    return _share_parts(schedule, execution)


def rate(bands: Sequence[Band], premium: Decimal) -> Decimal:
    """The rate of the first band the premium is under."""
    for band in bands:
        if band.below is None or premium < band.below:
            return band.rate
    raise ValueError("the last band of a schedule must be open")


def _option_parts(schedule: Schedule, execution: Execution, option: Option) -> tuple[Component, ...]:
    count, sale = execution.quantity, execution.side is Side.SELL
    bands = schedule.commission if execution.opens or schedule.closing is None else schedule.closing
    clearing = schedule.clearing * count
    parts = [
        Component(name="commission", amount=rate(bands, execution.price) * count),
        Component(name="options regulatory fee", amount=schedule.regulatory * count),
        Component(name="clearing", amount=clearing if schedule.clearing_cap is None else min(clearing, schedule.clearing_cap)),
        Component(name="consolidated audit trail", amount=schedule.audit * option.multiplier * count),
    ]
    own = schedule.exchange.get(option.root)
    if own and count >= schedule.exchange_free_under.get(option.root, 0):
        parts.append(Component(name="exchange fee", amount=rate(own, execution.price) * count))
    if sale:
        parts.append(Component(name="FINRA trading activity fee", amount=schedule.activity * count))
    if sale and option.series.underlying_kind not in _BROAD:  # options on broad indices are exempt
        proceeds = execution.price * option.multiplier * count
        parts.append(Component(name="SEC transaction fee", amount=schedule.sale_rate * proceeds))
    return tuple(parts)


def _share_parts(schedule: Schedule, execution: Execution) -> tuple[Component, ...]:
    value = execution.price * execution.instrument.multiplier * execution.quantity
    commission = min(schedule.share_commission * execution.quantity, schedule.share_commission_cap * value)
    parts = (
        Component(name="commission", amount=commission),
        Component(name="clearing", amount=schedule.share_clearing * execution.quantity),
        Component(name="consolidated audit trail", amount=schedule.audit * execution.quantity),
    )
    if execution.side is Side.BUY:
        return parts
    return (
        *parts,
        Component(name="FINRA trading activity fee", amount=min(schedule.share_activity * execution.quantity, schedule.share_activity_cap)),
        Component(name="SEC transaction fee", amount=schedule.sale_rate * value),
    )


def _checked(instrument: Instrument, side: Side, quantity: int, price: Decimal) -> Execution:
    if quantity < 1:
        raise ValueError("an execution has at least one contract")
    return Execution(instrument=instrument, side=side, quantity=quantity, price=price)
