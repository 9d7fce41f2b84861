"""Reconciliation: compare a complete broker snapshot with the book.

Everything here is pure. Executions, settlements, cash movements and orders from elsewhere that the broker reports are facts and are
recorded; what then still differs is shown and stops the instruments concerned, never silently adopted. Nothing is concluded from an
incomplete answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.domain.encoding import digest
from core.domain.events import (
    Body,
    Difference,
    ExternalOrder,
    Filled,
    Mode,
    ModeSet,
    OrderAcknowledged,
    OrderEnded,
    Reconciled,
    Scope,
    ScopeKind,
)
from core.domain.instruments import Instrument, Option
from core.domain.orders import Fill
from core.fold import ModeEntry
from core.orders.readings import explained
from core.orders.states import Order
from core.portfolio.book import Book
from core.ports import BrokerOrder, BrokerSnapshot, BrokerStatus

ENDED = {BrokerStatus.CANCELLED: "cancelled", BrokerStatus.REJECTED: "rejected", BrokerStatus.EXPIRED: "expired"}
CAUSE = "reconciliation:"


def _bare(fill: Fill) -> Filled:
    return Filled(fill=fill)


def facts(book: Book, snapshot: BrokerSnapshot, *, filled: Callable[[Fill], Filled] = _bare) -> list[tuple[str | None, Body]]:
    """What the broker reports that the book lacks, as (dedupe key, body), in an order that can be recorded; `filled` adds what an
    execution is measured against."""
    account = str(snapshot.account)
    found: list[tuple[str | None, Body]] = [(f"cash:{account}:{item.movement_id}", item) for item in snapshot.movements]
    for reported in snapshot.orders:
        order = book.orders.get(reported.client_id or "")
        if order is not None and reported.status.live and _news(order, reported, complete=snapshot.complete):
            found.append((None, _acknowledged(reported)))
    found += [(f"fill:{account}:{fill.exec_id}", filled(fill)) for fill in snapshot.fills if fill.exec_id not in book.executed]
    found += [(f"settle:{account}:{item.settlement_id}", item) for item in snapshot.settlements]
    found += [(f"action:{account}:{item.action_id}", item) for item in snapshot.actions]
    found += [(f"call:{account}:{item.call_id}", item) for item in snapshot.calls]
    return found + [(None, body) for body in _externals(book, snapshot)]


def external(book: Book, reported: BrokerOrder) -> ExternalOrder | None:
    """What the broker shows of an order that is not this desk's; None where it is, where the book knows it so, or where it is over."""
    if reported.client_id in book.orders:
        return None
    known = book.external.get(reported.broker_ref)
    now = ExternalOrder(
        account=book.account.id, broker_ref=reported.broker_ref, status=reported.status.value, limit=reported.limit,
        quantity=reported.quantity, filled=reported.filled, legs=reported.legs, description=reported.description, label=reported.client_id,
    )
    return None if now == known or (known is None and not now.live) else now


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
        elif reported is not None and reported.status is BrokerStatus.FILLED and snapshot.complete:
            # Every execution of it is in the book by now; that not all of it counts is a correction's work, or a bust's.
            reason = f"the broker's books show it done; {order.filled} of {order.quantity} count after its corrections"
            found.append((None, OrderEnded(client_id=order.client_id, outcome="cancelled", reason=reason)))
        elif reported is None and snapshot.complete and not _was_there(order) and order.client_id not in sent_now:
            # Evidence of absence: a complete answer names every order since the cursor, and this one was never heard of.
            reason = "the broker's complete books never had this order"
            found.append((None, OrderEnded(client_id=order.client_id, outcome="denied", reason=reason)))
    return found


def _was_there(order: Order) -> bool:
    """The broker once had it: it said so, or it reported an execution, be it one that was taken back since."""
    return order.broker_ref is not None or bool(order.fills)


def differences(book: Book, snapshot: BrokerSnapshot, *, sent_now: Collection[str]) -> tuple[Difference, ...]:
    """What still differs once every reported fact is in the book; nothing where the answer was incomplete."""
    if not snapshot.complete:
        return ()
    at = snapshot.at
    found = list(_positions(book, snapshot))
    if snapshot.cash != book.cash:
        text = f"cash: the broker has {snapshot.cash:,.2f}, the book {book.cash:,.2f}"
        found.append(_difference("cash", text, at=at, theirs=snapshot.cash, ours=book.cash))
    by_client = {order.client_id for order in snapshot.orders if order.client_id}
    for order in book.live.values():
        if order.client_id not in by_client and _was_there(order) and order.client_id not in sent_now:
            keys = tuple(leg.instrument.key for leg in order.envelope.legs)
            text = f"order {order.client_id} works in the book, the broker does not have it"
            units = Decimal(order.quantity - order.filled)
            found.append(_difference("order", text, at=at, theirs=Decimal(0), ours=units, client_id=order.client_id, keys=keys))
    return explained(book, tuple(found), at)


def concluded(
    account_book: Book, snapshot: BrokerSnapshot, found: tuple[Difference, ...], *, epoch: int, last: Reconciled | None, now: datetime
) -> Reconciled:
    """The result of a comparison; a difference that stood at the last one keeps the time it was first found."""
    since = {item.id: item.since for item in (last.found if last is not None else ())}
    dated = tuple(replace(item, since=since.get(item.id, now)) for item in found)
    return Reconciled(
        account=account_book.account.id, epoch=epoch, complete=snapshot.complete, differences=tuple(item.text for item in dated),
        broken_instruments=tuple(sorted({key for item in dated for key in item.keys})),
        cursor=snapshot.cursor if snapshot.complete else (last.cursor if last is not None else 0), found=dated,
    )


def breaks(result: Reconciled, standing: Iterable[ModeEntry]) -> list[ModeSet]:
    """Stop what differs: an instrument is halted until a person lifts it; a cash difference stops entries until the books agree."""
    cause = f"{CAUSE}{result.account}"
    stopped = {entry.scope for entry in standing if entry.cause == cause}
    found: list[ModeSet] = []

    def put(scope: Scope, mode: Mode, reason: str) -> None:
        found.append(ModeSet(scope=scope, mode=mode, cause=cause, reason=reason))

    for item in result.found:
        for scope in (Scope(kind=ScopeKind.INSTRUMENT, name=key) for key in item.keys):
            if scope not in stopped:
                stopped.add(scope)
                put(scope, Mode.HALT, item.text)
    account = Scope(kind=ScopeKind.ACCOUNT, name=str(result.account))
    cash = next((item.text for item in result.found if item.kind == "cash"), None)
    if cash is not None and account not in stopped:
        put(account, Mode.REDUCING, cash)
    if cash is None and account in stopped and result.complete:
        put(account, Mode.ACTIVE, "the cash agrees again")
    return found


def name_of(instrument: Instrument) -> str:
    """An instrument in a sentence."""
    return instrument.label if isinstance(instrument, Option) else instrument.key


def _positions(book: Book, snapshot: BrokerSnapshot) -> Iterable[Difference]:
    theirs = {item.instrument.key: item.quantity for item in snapshot.positions if item.quantity}
    ours = {key: position.quantity for key, position in book.positions.items()}
    instruments = {item.instrument.key: item.instrument for item in snapshot.positions}
    instruments.update({key: position.instrument for key, position in book.positions.items()})
    for key in sorted(theirs.keys() | ours.keys()):
        held, booked = theirs.get(key, 0), ours.get(key, 0)
        if held != booked:
            text = f"{key.strip()}: the broker holds {held:+d}, the book {booked:+d}"
            yield _difference(
                "position", text, at=snapshot.at, theirs=Decimal(held), ours=Decimal(booked), instrument=instruments[key], keys=(key,)
            )


def _difference(
    kind: str, text: str, *, at: datetime, theirs: Decimal, ours: Decimal, instrument: Instrument | None = None,
    client_id: str | None = None, keys: tuple[str, ...] = (),
) -> Difference:
    what = {"kind": kind, "theirs": theirs, "ours": ours, "of": client_id or (instrument.key if instrument is not None else "")}
    return Difference(
        id=f"D{digest(what)[:7].upper()}", kind=kind, text=text, since=at, theirs=theirs, ours=ours, instrument=instrument,
        client_id=client_id, keys=keys,
    )


def _externals(book: Book, snapshot: BrokerSnapshot) -> list[ExternalOrder]:
    """Orders from elsewhere that are new, changed or over; one that complete books do not have any more is gone."""
    found = [body for reported in snapshot.orders if (body := external(book, reported)) is not None]
    shown = {reported.broker_ref for reported in snapshot.orders}
    gone = [known for ref, known in book.external.items() if ref not in shown] if snapshot.complete else []
    return [*found, *(replace(known, status="gone") for known in gone)]


def _news(order: Order, reported: BrokerOrder, *, complete: bool) -> bool:
    if order.state.terminal:
        return complete and order.filled < order.quantity
    changed = order.pending_limit is not None or order.limit != reported.limit or order.held != (reported.status is BrokerStatus.HELD)
    return order.broker_ref is None or order.unknown or changed


def _acknowledged(order: BrokerOrder) -> OrderAcknowledged:
    return OrderAcknowledged(
        client_id=order.client_id or "", broker_ref=order.broker_ref, limit=order.limit, from_books=True,
        held=order.status is BrokerStatus.HELD, reason=order.reason,
    )
