"""The paper exchange's own books: orders, a journal of everything that happened, and what both come to. Written through to the archive.

Cash and positions are nothing but sums over the journal, so they cannot disagree with it. A change is one durable transaction; memory
follows only once it is written. Where a write failed or was given up on, memory no longer knows what the disk has, and is read again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from core.clock import exchange_date
from core.domain.accounts import AccountId
from core.domain.encoding import SPARSE, EncodingError, canonical, from_plain
from core.domain.events import CashMoved, CorporateAction, MarginCalled, Settled
from core.domain.instruments import Equity, Instrument, Option, is_adjusted
from core.domain.orders import Envelope, Fill
from core.errors import Corrupt
from core.ports import Archive, BrokerOrder, BrokerStatus, OrderReport, Put

TABLE = "paper"
ZERO = Decimal(0)
Item = OrderReport | BrokerOrder | Fill | Settled | CashMoved | CorporateAction | MarginCalled


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperOrder:
    """An order as the exchange keeps it. `first` and `last` are the cursors of its first and latest report."""

    client_id: str
    ref: str
    envelope: Envelope
    quantity: int
    limit: Decimal
    filled: int
    executions: int  # how often it traded
    status: BrokerStatus
    fingerprint: str  # of the order as first submitted
    ends_at: datetime | None  # when it expires by itself
    first: int
    last: int
    external: bool = field(default=False, metadata=SPARSE)  # entered at the exchange's own screen, not by the desk

    @property
    def leaves(self) -> int:
        """Units that may still trade."""
        return self.quantity - self.filled if self.status.live else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was traded on one quote: a quote's size is there once."""

    quoted_at: datetime
    at: datetime
    bought: int = 0
    sold: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A journal line."""

    cursor: int
    item: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    epoch: int
    morning: date | None = None


@dataclass(slots=True)
class _State:
    epoch: int = 0
    morning: date | None = None
    cash: Decimal = ZERO
    journal: list[Item] = field(default_factory=list)
    orders: dict[str, PaperOrder] = field(default_factory=dict)
    positions: dict[str, tuple[Instrument, int]] = field(default_factory=dict)
    fills: dict[str, list[Fill]] = field(default_factory=dict)
    booked: set[str] = field(default_factory=set)  # settlements, movements and corporate actions by id
    roots: set[str] = field(default_factory=set)  # of adjusted series
    call: MarginCalled | None = None
    taken: dict[str, Taken] = field(default_factory=dict)


class Ledger:
    """One account's books. Callers hold the exchange's lock around every change."""

    def __init__(self, archive: Archive, account: AccountId) -> None:
        self._archive = archive
        self._account = account
        self._state = _State()
        self._known = False  # memory is what the disk has

    @property
    def epoch(self) -> int:
        """How often somebody connected."""
        return self._state.epoch

    @property
    def morning(self) -> date | None:
        """The last session whose morning the exchange has seen: early exercise is decided once for each."""
        return self._state.morning

    @property
    def cursor(self) -> int:
        """Number of the last journal entry."""
        return len(self._state.journal)

    @property
    def cash(self) -> Decimal:
        """Money in the account."""
        return self._state.cash

    @property
    def positions(self) -> Mapping[str, tuple[Instrument, int]]:
        """Holdings by key: instrument and signed quantity, none of them zero."""
        return self._state.positions

    @property
    def orders(self) -> Mapping[str, PaperOrder]:
        """Every order by client id, in the order they came."""
        return self._state.orders

    @property
    def working(self) -> tuple[PaperOrder, ...]:
        """Orders that may still trade, oldest first."""
        return tuple(order for order in self._state.orders.values() if order.status.live)

    @property
    def taken(self) -> Mapping[str, Taken]:
        """What was last traded on whose quote."""
        return self._state.taken

    def after(self, cursor: int) -> list[Entry]:
        """Journal entries after a cursor."""
        start = max(0, cursor)
        return [Entry(cursor=start + place, item=item) for place, item in enumerate(self._state.journal[start:], 1)]

    def fills_of(self, client_id: str) -> Sequence[Fill]:
        """Executions of an order, oldest first."""
        return self._state.fills.get(client_id, ())

    def is_booked(self, name: str) -> bool:
        """Whether this settlement, movement or corporate action was booked."""
        return name in self._state.booked

    @property
    def adjusted_roots(self) -> frozenset[str]:
        """Roots of adjusted series that stand for some deliverable already."""
        return frozenset(self._state.roots)

    @property
    def call(self) -> MarginCalled | None:
        """The margin call that stands, None where there is none."""
        call = self._state.call
        return call if call is not None and call.amount else None

    def held_overnight(self, day: date) -> dict[str, tuple[Instrument, int]]:
        """What was held when a day began: what trades and expires on the day comes too late for what is paid on it.

        What was exercised before the day and booked on its morning counts.
        """
        held = dict(self._state.positions)
        for item in reversed(self._state.journal):
            at = getattr(item, "at", None)
            if at is None:
                continue
            if exchange_date(at) < day:
                break
            if isinstance(item, Fill):
                _add(held, item.instrument, -item.side.sign * item.quantity)
            elif isinstance(item, Settled) and isinstance(item.instrument, Option) and item.instrument.expiry == day:
                _add(held, item.instrument, -item.quantity)
                if item.shares and item.share_symbol:
                    _add(held, Equity(symbol=item.share_symbol), -item.shares)
        return held

    async def refresh(self) -> None:
        """Read the books from disk where memory may have fallen behind them."""
        if not self._known:
            await self.load()

    async def load(self) -> None:
        """Read everything from disk."""
        state = _State()
        for body in await self._rows("head"):
            head = _read(_Head, body)
            state.epoch, state.morning = head.epoch, head.morning
        for number, body in enumerate(await self._rows("journal"), 1):
            entry = _read(Entry, body)
            if entry.cursor != number:
                raise Corrupt(f"entry {number} of the paper exchange's journal is missing", f"account {self._account}")
            _book(state, entry.item)
        orders = [_read(PaperOrder, body) for body in await self._rows("order")]
        state.orders = {order.client_id: order for order in sorted(orders, key=lambda order: order.first)}
        for row in await self._archive.select(TABLE, where={"kind": self._kind("taken")}):
            state.taken[row["key"]] = _read(Taken, row["body"])
        self._state, self._known = state, True

    async def write(
        self,
        *,
        items: Sequence[Item] = (),
        orders: Sequence[PaperOrder] = (),
        taken: Mapping[str, Taken] | None = None,
        epoch: int | None = None,
        morning: date | None = None,
    ) -> None:
        """Book a change: all of it durable when this returns, or none of it."""
        entries = [Entry(cursor=number, item=item) for number, item in enumerate(items, self.cursor + 1)]
        rows = [self._row("journal", f"{entry.cursor:012d}", entry) for entry in entries]
        rows += [self._row("order", order.client_id, order) for order in orders]
        rows += [self._row("taken", key, value) for key, value in (taken or {}).items()]
        new_epoch = self._state.epoch if epoch is None else epoch
        new_morning = morning or self._state.morning
        if (new_epoch, new_morning) != (self._state.epoch, self._state.morning):
            rows.append(self._row("head", "head", _Head(epoch=new_epoch, morning=new_morning)))
        if not rows:
            return
        self._known = False  # until the disk has answered; a write given up on may still happen
        await self._archive.write(rows)
        for item in items:
            _book(self._state, item)
        self._state.orders.update({order.client_id: order for order in orders})
        self._state.taken.update(taken or {})
        self._state.epoch, self._state.morning = new_epoch, new_morning
        self._known = True

    async def _rows(self, kind: str) -> list[Any]:
        return [row["body"] for row in await self._archive.select(TABLE, where={"kind": self._kind(kind)}, order_by="key")]

    def _kind(self, kind: str) -> str:
        return f"{self._account}/{kind}"

    def _row(self, kind: str, key: str, value: object) -> Put:
        return Put(table=TABLE, row={"kind": self._kind(kind), "key": key, "body": canonical(value)})


def _book(state: _State, item: Item) -> None:
    state.journal.append(item)
    if isinstance(item, Fill):
        state.cash += -item.side.sign * item.quantity * item.price * item.instrument.multiplier - item.fees
        state.fills.setdefault(item.client_id or item.broker_ref or "", []).append(item)
        _hold(state, item.instrument, item.side.sign * item.quantity)
    elif isinstance(item, Settled):
        state.cash += item.cash - item.fees
        state.booked.add(item.settlement_id)
        _hold(state, item.instrument, item.quantity)
        if item.shares and item.share_symbol:
            _hold(state, Equity(symbol=item.share_symbol), item.shares)
    elif isinstance(item, CashMoved):
        state.cash += item.amount
        state.booked.add(item.movement_id)
    elif isinstance(item, CorporateAction):
        state.booked.add(item.action_id)
        for line in item.lines:
            state.cash += line.cash
            _hold(state, line.instrument, -line.quantity)
        for line in item.lines:
            _hold(state, line.successor, line.becomes)
            if isinstance(line.successor, Option) and is_adjusted(line.successor.root):
                state.roots.add(line.successor.root)
    elif isinstance(item, MarginCalled):
        state.call = item


def _hold(state: _State, instrument: Instrument, change: int) -> None:
    _add(state.positions, instrument, change)


def _add(held: dict[str, tuple[Instrument, int]], instrument: Instrument, change: int) -> None:
    total = held.get(instrument.key, (instrument, 0))[1] + change
    if total:
        held[instrument.key] = (instrument, total)
    else:
        held.pop(instrument.key, None)


def _read(kind: Any, body: str) -> Any:
    try:
        return from_plain(kind, json.loads(body))
    except (EncodingError, ValueError, TypeError, RecursionError) as error:
        raise Corrupt(f"the paper exchange's books cannot be read: {error}") from error
