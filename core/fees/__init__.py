"""Commissions and exchange fees as dated schedules, one file each, and the pure functions that apply them.

A schedule's file has `NAME` (as the file), a docstring with a worked example, and `schedule`, a `Schedule`. Every component is computed
exactly; one execution's sum is rounded to cents, half to even. Exercise, assignment and cash settlement are free in all of them.
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
    commission: tuple[Band, ...]  # by premium
    order_minimum: Decimal  # of the commission of one order
    share_commission: Decimal
    share_commission_cap: Decimal  # as a fraction of the trade's value
    regulatory: Decimal  # options regulatory fee (ORF)
    clearing: Decimal  # OCC
    clearing_cap: Decimal  # per execution
    sale_rate: Decimal  # SEC transaction fee, fraction of the proceeds of a sale
    activity: Decimal  # FINRA trading activity fee on sales, per contract
    share_activity: Decimal
    share_activity_cap: Decimal  # per execution
    exchange: Mapping[str, tuple[Band, ...]] = field(default_factory=dict)  # by option root; roots not named pay none
    exchange_free_under: Mapping[str, int] = field(default_factory=dict)  # no exchange fee for fewer contracts


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What a fee is charged on: contracts or shares (positive) at a price per share."""

    instrument: Instrument
    side: Side
    quantity: int
    price: Decimal


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
    for execution in executions:
        parts = components(schedule, execution)
        total += parts[0].amount
        due = max(schedule.order_minimum, total)
        found.append(to_cents(due - charged + sum((item.amount for item in parts[1:]), ZERO)))
        charged = due
    return tuple(found)


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
    parts = [
        Component(name="commission", amount=rate(schedule.commission, execution.price) * count),
        Component(name="options regulatory fee", amount=schedule.regulatory * count),
        Component(name="OCC clearing", amount=min(schedule.clearing * count, schedule.clearing_cap)),
    ]
    bands = schedule.exchange.get(option.root)
    if bands and count >= schedule.exchange_free_under.get(option.root, 0):
        parts.append(Component(name="exchange fee", amount=rate(bands, execution.price) * count))
    if sale:
        parts.append(Component(name="FINRA trading activity fee", amount=schedule.activity * count))
    if sale and option.series.underlying_kind not in _BROAD:  # options on broad indices are exempt
        proceeds = execution.price * option.multiplier * count
        parts.append(Component(name="SEC transaction fee", amount=schedule.sale_rate * proceeds))
    return tuple(parts)


def _share_parts(schedule: Schedule, execution: Execution) -> tuple[Component, ...]:
    value = execution.price * execution.instrument.multiplier * execution.quantity
    commission = min(schedule.share_commission * execution.quantity, schedule.share_commission_cap * value)
    if execution.side is Side.BUY:
        return (Component(name="commission", amount=commission),)
    return (
        Component(name="commission", amount=commission),
        Component(name="FINRA trading activity fee", amount=min(schedule.share_activity * execution.quantity, schedule.share_activity_cap)),
        Component(name="SEC transaction fee", amount=schedule.sale_rate * value),
    )


def _checked(instrument: Instrument, side: Side, quantity: int, price: Decimal) -> Execution:
    if quantity < 1:
        raise ValueError("an execution has at least one contract")
    return Execution(instrument=instrument, side=side, quantity=quantity, price=price)
