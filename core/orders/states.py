"""The life of an order as a pure reducer: `step(order, body) -> (order, outcomes)`.

An order keeps *facts* (acknowledged, ended as, cancel asked for, unknown since, the set of executions) and its state is a function of
them, so any permutation or repetition of the same reports gives the same state. Fills are counted in every state; what should not have
happened (an overfill, a leg filled without its partners) is an outcome to be told, never a reason to drop a fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.accounts import AccountId
from core.domain.events import (
    Body,
    CancelRequested,
    Filled,
    OrderAcknowledged,
    OrderEnded,
    OrderUnknown,
    ReplaceRefused,
    Replacing,
    Submitting,
)
from core.domain.executions import Executions
from core.domain.orders import Envelope, Fill, OrderState


class Outcome(StrEnum):
    """What a step brought about that somebody must act on or be told."""

    FILLED = "filled"
    PARTIAL = "partial"
    OVERFILL = "overfill"
    UNEVEN_LEGS = "uneven_legs"  # one leg of a structure filled without its partners
    FILL_AFTER_END = "fill_after_end"
    UNKNOWN = "unknown"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order of the desk. Quantities are units of the structure."""

    client_id: str
    ticket_id: str
    trade_id: str
    account: AccountId
    envelope: Envelope
    envelope_hash: str
    quantity: int
    limit: Decimal
    reducing: bool
    submitted_at: datetime
    updated_at: datetime
    exits: bool = False
    pending_limit: Decimal | None = None
    broker_ref: str | None = None
    ended: str | None = None  # cancelled | rejected | denied | expired
    cancel_asked: bool = False
    held: bool = False  # the broker has it and does not work it now; it may fill any time
    unknown: bool = False
    reason: str = ""
    fills: Mapping[str, Fill] = field(default_factory=dict)
    superseded: frozenset[str] = frozenset()
    standing_id: str | None = None  # the standing order it was sent for
    mid: Decimal | None = None  # net mid per unit when it left for the broker
    natural: Decimal | None = None  # net per unit at which it would have filled at once then
    mandate: str | None = None  # what it rests on where nobody pressed

    @property
    def executions(self) -> Executions:
        """Its executions, with what of them counts."""
        return self.fills if isinstance(self.fills, Executions) else Executions.of(self.fills.values())

    @property
    def live_fills(self) -> tuple[Fill, ...]:
        """Executions that count: not corrected away, not busted."""
        return tuple(fill for key, fill in sorted(self.fills.items()) if key not in self.superseded and not fill.busted)

    @property
    def filled_contracts(self) -> dict[str, int]:
        """Contracts filled per leg key."""
        counts = {leg.instrument.key: 0 for leg in self.envelope.legs}
        for (key, _), count in self.executions.counts.items():
            counts[key] = counts.get(key, 0) + count
        return counts

    @property
    def filled(self) -> int:
        """Whole units filled on every leg."""
        counts = self.filled_contracts
        return min(counts[leg.instrument.key] // leg.ratio for leg in self.envelope.legs)

    @property
    def leaves(self) -> int:
        """Units that may still fill; 0 once the order ended."""
        return 0 if self.state.terminal else max(0, self.quantity - self.filled)

    @property
    def overfilled(self) -> bool:
        """More contracts were filled than confirmed, of a leg or of anything that is none of its legs."""
        return bool(self.overfilled_keys)

    @property
    def overfilled_keys(self) -> tuple[str, ...]:
        """The instruments of which more was bought or sold than this order covers; the wrong side is covered by nothing."""
        covered = {(leg.instrument.key, leg.side): self.quantity * leg.ratio for leg in self.envelope.legs}
        return tuple(sorted({key for (key, side), count in self.executions.counts.items() if count > covered.get((key, side), 0)}))

    @property
    def uneven(self) -> bool:
        """Legs filled out of their ratio: a residual position, maybe a naked one."""
        counts = self.filled_contracts
        return len({counts[leg.instrument.key] * 1000 // leg.ratio for leg in self.envelope.legs}) > 1

    @property
    def state(self) -> OrderState:
        """Where the order stands, from its facts."""
        if self.filled >= self.quantity:
            return OrderState.FILLED
        if self.ended is not None:
            return OrderState(self.ended)
        if self.unknown:
            return OrderState.UNKNOWN
        if self.cancel_asked:
            return OrderState.PENDING_CANCEL
        if any(self.filled_contracts.values()):
            return OrderState.PARTIALLY_FILLED
        return OrderState.SUBMITTING if self.broker_ref is None else OrderState.WORKING


# Denied is the desk's own no, before anything was sent. Executions are facts, so a bust may lead back to a state without fills.
_SENT = frozenset(OrderState) - {OrderState.DENIED}
_AFTER_ALL = frozenset({OrderState.FILLED, OrderState.WORKING, OrderState.PARTIALLY_FILLED, OrderState.PENDING_CANCEL})
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.SUBMITTING: frozenset(OrderState) - {OrderState.SUBMITTING},
    OrderState.WORKING: _SENT - {OrderState.SUBMITTING},
    OrderState.PENDING_CANCEL: _SENT - {OrderState.SUBMITTING},
    OrderState.PARTIALLY_FILLED: _SENT,
    OrderState.UNKNOWN: frozenset(OrderState),
    # After the end executions move an order (late fills complete it, a bust takes one back), and so do the broker's complete books
    # where they show it working after all.
    OrderState.FILLED: _SENT,
    OrderState.CANCELLED: _AFTER_ALL,
    OrderState.REJECTED: _AFTER_ALL,
    OrderState.EXPIRED: _AFTER_ALL,
    OrderState.DENIED: _AFTER_ALL,
}

OrderBody = Submitting | OrderAcknowledged | Replacing | ReplaceRefused | CancelRequested | OrderEnded | OrderUnknown | Filled
ORDER_BODIES = (Submitting, OrderAcknowledged, Replacing, ReplaceRefused, CancelRequested, OrderEnded, OrderUnknown, Filled)


def step(order: Order | None, body: Body, *, at: datetime) -> tuple[Order | None, tuple[Outcome, ...]]:
    """Apply one event body to an order; `None` is an order not seen yet.

    Returns the order and what must be acted on. A body that does not concern orders, or an order never submitted here, changes nothing.
    """
    if isinstance(body, Submitting):
        return (order, ()) if order is not None else (_submitted(body, at), ())
    if order is None:
        return None, ()
    if isinstance(body, Filled):
        return _filled(order, body.fill, at)
    changed = _reported(order, body)
    if changed is order:
        return order, ()
    changed = replace(changed, updated_at=at)
    outcomes = (Outcome.UNKNOWN,) if changed.unknown and not order.unknown else ()
    return changed, (Outcome.ENDED,) if changed.ended and not order.ended else outcomes


def _submitted(body: Submitting, at: datetime) -> Order:
    return Order(
        client_id=body.client_id,
        ticket_id=body.ticket_id,
        trade_id=body.trade_id,
        account=body.account,
        envelope=body.envelope,
        envelope_hash=body.envelope_hash,
        quantity=body.quantity,
        limit=body.limit,
        reducing=body.reducing,
        standing_id=body.standing_id,
        mid=body.mid,
        natural=body.natural,
        exits=body.reducing or body.exits,
        mandate=body.mandate,
        submitted_at=at,
        updated_at=at,
    )


def _reported(order: Order, body: Body) -> Order:
    if isinstance(body, OrderAcknowledged):
        ended = None if body.from_books else order.ended
        return replace(
            order, broker_ref=body.broker_ref, limit=body.limit, pending_limit=None, unknown=False, ended=ended, held=body.held,
            reason=body.reason or order.reason,
        )
    if isinstance(body, Replacing):
        return replace(order, pending_limit=body.limit)
    if isinstance(body, ReplaceRefused):
        return replace(order, limit=body.limit, pending_limit=None)
    if isinstance(body, CancelRequested):
        return order if order.ended else replace(order, cancel_asked=True, reason=body.reason)
    if isinstance(body, OrderEnded):
        # The first end stands: a second, different one is a late duplicate of the broker's.
        return order if order.ended else replace(order, ended=body.outcome, unknown=False, reason=body.reason)
    if isinstance(body, OrderUnknown):
        return order if order.ended else replace(order, unknown=True, reason=body.reason)
    return order


def _filled(order: Order, fill: Fill, at: datetime) -> tuple[Order, tuple[Outcome, ...]]:
    if fill.exec_id in order.fills:
        return order, ()
    superseded = order.superseded | ({fill.corrects} if fill.corrects else frozenset())
    changed = replace(order, fills=order.executions.plus(fill), superseded=superseded, unknown=False, updated_at=at)
    outcomes: list[Outcome] = []
    if changed.overfilled:
        outcomes.append(Outcome.OVERFILL)
    if order.ended is not None:
        outcomes.append(Outcome.FILL_AFTER_END)
    if changed.uneven:
        outcomes.append(Outcome.UNEVEN_LEGS)
    if changed.state is OrderState.FILLED and order.state is not OrderState.FILLED:
        outcomes.append(Outcome.FILLED)
    elif changed.filled > order.filled:
        outcomes.append(Outcome.PARTIAL)
    return changed, tuple(outcomes)
