"""Reconciliation: compare a complete broker snapshot with the book.

`compare` is pure. Executions, settlements and cash movements the broker reports are facts and are recorded; what then still differs is
shown and stops the instruments concerned, never silently adopted. Nothing is concluded from an incomplete answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.domain.events import Body, Filled, OrderAcknowledged, OrderEnded
from core.orders.states import Order
from core.portfolio.book import Book
from core.ports import BrokerOrder, BrokerSnapshot, BrokerStatus

ENDED = {BrokerStatus.CANCELLED: "cancelled", BrokerStatus.REJECTED: "rejected", BrokerStatus.EXPIRED: "expired"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference between the broker's books and ours, in words. `keys` are the instruments it concerns; none for cash."""

    text: str
    keys: tuple[str, ...] = ()
    lost: str | None = None  # client id of an order of ours that the broker's complete books do not have


def facts(book: Book, snapshot: BrokerSnapshot) -> list[tuple[str | None, Body]]:
    """What the broker reports that the book lacks, as (dedupe key, body), in an order that can be recorded."""
    known = {fill.exec_id for fill in book.fills}
    account = str(snapshot.account)
    found: list[tuple[str | None, Body]] = [(f"cash:{account}:{item.movement_id}", item) for item in snapshot.movements]
    for reported in snapshot.orders:
        order = book.orders.get(reported.client_id or "")
        if order is not None and reported.status is BrokerStatus.WORKING and _news(order, reported, complete=snapshot.complete):
            found.append((None, _acknowledged(reported)))
    found += [(f"fill:{account}:{fill.exec_id}", Filled(fill=fill)) for fill in snapshot.fills if fill.exec_id not in known]
    found += [(f"settle:{account}:{item.settlement_id}", item) for item in snapshot.settlements]
    return found


def endings(book: Book, snapshot: BrokerSnapshot, *, sent_now: Collection[str]) -> list[tuple[str | None, Body]]:
    """Orders of ours that the broker's books show as ended, or never had. Judge after `facts` were recorded.

    `sent_now` are the client ids that left in the present connection: for those an absence proves nothing yet.
    """
    by_client = {order.client_id: order for order in snapshot.orders if order.client_id}
    found: list[tuple[str | None, Body]] = []
    for order in book.live.values():
        reported = by_client.get(order.client_id)
        if reported is not None and reported.status in ENDED:
            ended = OrderEnded(client_id=order.client_id, outcome=ENDED[reported.status], reason="as the broker's books show")
            found.append((None, ended))
        elif reported is None and snapshot.complete and order.broker_ref is None and order.client_id not in sent_now:
            # Evidence of absence: a complete answer names every order since the cursor, and this one was never acknowledged.
            reason = "the broker's complete books never had this order"
            found.append((None, OrderEnded(client_id=order.client_id, outcome="denied", reason=reason)))
    return found


def differences(book: Book, snapshot: BrokerSnapshot, *, sent_now: Collection[str]) -> tuple[Finding, ...]:
    """What still differs once every reported fact is in the book; nothing where the answer was incomplete."""
    if not snapshot.complete:
        return ()
    found: list[Finding] = []
    theirs = {item.instrument.key: item.quantity for item in snapshot.positions if item.quantity}
    ours = {key: position.quantity for key, position in book.positions.items()}
    for key in sorted(theirs.keys() | ours.keys()):
        if theirs.get(key, 0) != ours.get(key, 0):
            text = f"{key.strip()}: the broker holds {theirs.get(key, 0):+d}, the book {ours.get(key, 0):+d}"
            found.append(Finding(keys=(key,), text=text))
    if snapshot.cash != book.cash:
        found.append(Finding(text=f"cash: the broker has {snapshot.cash:,.2f}, the book {book.cash:,.2f}"))
    by_client = {order.client_id for order in snapshot.orders if order.client_id}
    for order in book.live.values():
        if order.client_id not in by_client and order.broker_ref is not None and order.client_id not in sent_now:
            keys = tuple(leg.instrument.key for leg in order.envelope.legs)
            text = f"order {order.client_id} works in the book, the broker does not have it"
            found.append(Finding(keys=keys, text=text, lost=order.client_id))
    for reported in snapshot.orders:
        if reported.status is BrokerStatus.WORKING and reported.client_id not in book.orders:
            found.append(Finding(text=f"EXTERNAL order {reported.broker_ref} works at the broker: {reported.description}"))
    return tuple(found)


def _news(order: Order, reported: BrokerOrder, *, complete: bool) -> bool:
    if order.state.terminal:
        return complete and order.filled < order.quantity
    return order.broker_ref is None or order.unknown or order.pending_limit is not None or order.limit != reported.limit


def _acknowledged(order: BrokerOrder) -> OrderAcknowledged:
    return OrderAcknowledged(client_id=order.client_id or "", broker_ref=order.broker_ref, limit=order.limit, from_books=True)
