"""The ears of an account: connect, reconcile, hear what the broker says and record it. Nothing here sends an order.

Updates and snapshots are never heard at the same time, so that neither overtakes the other. What differs after every reported fact was
recorded is shown and stops the instruments concerned.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TypeVar

from core.desk import Desk, Recorded
from core.domain.accounts import AccountId
from core.domain.events import (
    Body,
    CashMoved,
    CorporateAction,
    Difference,
    Filled,
    MarginCalled,
    Mode,
    ModeSet,
    OrderAcknowledged,
    OrderEnded,
    OrderUnknown,
    Reconciled,
    Scope,
    ScopeKind,
    Settled,
)
from core.domain.orders import Fill
from core.errors import DeskError, LeaseLost, LoginNeeded, Unavailable, UserError
from core.links.pacing import Lane
from core.logs import Level
from core.orders.alarm import raise_alarms
from core.orders.altered import other_price, other_quantities
from core.orders.lifeline import NO_ANSWER, Lifeline
from core.orders.plausible import sensible_snapshot, sensible_updates
from core.orders.reconcile import ENDED, breaks, concluded, differences, endings, external, facts
from core.orders.residue import residues
from core.orders.rounds import comparison_due
from core.orders.states import Order
from core.portfolio.book import Book
from core.ports import Broker, BrokerOrder, BrokerSnapshot, BrokerStatus, OrderReport, Update

T = TypeVar("T")
RECONNECT_TRIES = 5
RECONNECT_FIRST_SECONDS = 2
NEVER_WORKED = ("denied", "rejected")
CHECK_AGAIN_SECONDS = 60  # between reconciliations while a break stands
LOOK_AGAIN_SECONDS = 5  # after something was heard that only the broker's books explain, and between looks that people ask for


class BrokerLink(Lifeline):
    """What comes in from one broker account."""

    def __init__(self, desk: Desk, account: AccountId, broker: Broker) -> None:
        super().__init__(desk, account, broker)
        self._wire = desk.runtime.lock()  # held while an order is sent or changed, and across a reconciliation
        self._sent: set[str] = set()  # client ids that left in this connection: absence proves nothing about them yet
        self._hear = desk.runtime.lock()  # held while updates or a snapshot are fetched and recorded: neither may overtake the other
        self._lost: set[str] = set()  # orders the broker's complete books did not have
        self._cancel_tried_seconds: dict[str, float] = {}
        self._refused: dict[str, Decimal] = {}  # the new price of an order that the broker refused last, and when
        self._refused_seconds: dict[str, float] = {}
        self._cursor = 0
        self._reported: dict[str, int] = {}  # client id -> cursor of the newest report heard of it
        self._checked_at_seconds: float = 0
        self._compared_at: datetime | None = None  # when complete books were last compared, by the desk's clock
        self._look_soon = False  # something was heard that only the broker's books explain
        self._sent_seconds: deque[float] = deque()
        self._finding_out = False
        self._ran = False  # the account's loop was started before in this process

    @property
    def compared_at(self) -> datetime | None:
        """When the broker's complete books were last compared with ours in this process, None before."""
        return self._compared_at

    # --- connection ----------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect (again) and reconcile; until then the account is in RECOVERY. Raises Unavailable where the broker is not there."""
        await self._mouth.paced(Lane.READ)
        async with self._wire:
            await self._still_owner()
            epoch = await self._open()
            self._sent.clear()
            await self._reconcile(epoch)

    async def _still_owner(self) -> None:
        """A desk that another has replaced leaves the broker to it: its login could end the other's. Raises LeaseLost."""
        desk = self._desk
        with contextlib.suppress(Unavailable):  # a disk that fails must keep nobody from reaching the broker to cancel
            await desk.check_lease()
        if desk.lease_lost:
            raise LeaseLost

    async def reconcile(self) -> Reconciled:
        """Compare with the broker now; raises Unavailable where it does not answer."""
        await self._mouth.paced(Lane.READ)
        async with self._wire:
            return await self._reconcile(self._epoch())

    async def beat(self) -> int:
        """Ask the other end for a sign of life and hear what it has to say; a link that gives none in time is down.

        Returns how many updates there were.
        """
        await self._mouth.paced(Lane.READ)
        await self._alive(self._broker.poll)
        return await self.pump(0)

    async def look(self) -> Reconciled:
        """Compare because a person asks; what was found a moment ago answers too. Raises Unavailable where the broker does not answer."""
        last = self._desk.fold.reconciled(self._account)
        if last is not None and last.epoch == self._epoch() and not self._due(LOOK_AGAIN_SECONDS):
            return last
        return await self.reconcile()

    async def keep_books(self) -> None:
        """Compare by the clock, while a break stands, and soon after something strange was heard."""
        every = self._desk.settings.desk.whole("reconcile_minutes")
        strange = self._look_soon and self._due(LOOK_AGAIN_SECONDS)
        standing = self._break_stands() and self._due(CHECK_AGAIN_SECONDS)
        if strange or standing or (comparison_due(self._desk.now(), self._compared_at, every) and self._due(CHECK_AGAIN_SECONDS)):
            await self.reconcile()

    async def _reconcile(self, epoch: int) -> Reconciled:
        self._look_soon = False
        async with self._hear:
            snapshot, found, wrong = await self._compared(epoch)
            if found or wrong:
                self._mouth.charge()
                snapshot, found, wrong = await self._compared(epoch)  # once more: what was on its way may have arrived
            result = await self._concluded(epoch, snapshot, found, wrong)
        self._checked_at_seconds = self._desk.runtime.seconds()
        self._compared_at = self._desk.now() if result.complete else self._compared_at
        for order in self._desk.book(self._account).overfilled:
            await self._stop_overfilled(order)
        await raise_alarms(self._desk, other_quantities(self._desk.book(self._account).live, snapshot.orders), self._account, actor="desk")
        await raise_alarms(self._desk, residues(self._desk.book(self._account), self._desk.now()), self._account, actor="desk")
        return result

    async def _compared(self, epoch: int) -> tuple[BrokerSnapshot, tuple[Difference, ...], str | None]:
        """Record what the broker's books show, find what differs even then and what cannot be true; nothing is concluded from it yet."""
        desk, account = self._desk, self._account
        snapshot, wrong = sensible_snapshot(await self._snapshot(self._since()), desk.redaction.redact)
        if snapshot.complete and snapshot.cursor < max(self._since(), self._cursor):
            went_back = f"the broker's cursor went back from {max(self._since(), self._cursor)} to {snapshot.cursor}"
            desk.report(f"books of {account.id}", Unavailable("its journal", why=went_back))
            self._mouth.charge()
            # all of it again: what is known is left out by its own id
            snapshot, wrong = sensible_snapshot(await self._snapshot(0), desk.redaction.redact)
            self._cursor = 0
        told = {fill.account for fill in snapshot.fills}
        told |= {item.account for item in snapshot.settlements} | {item.account for item in snapshot.movements}
        told |= {item.account for item in snapshot.actions} | {item.account for item in snapshot.calls}
        self._same_account(snapshot.account, *told)
        await self._record(facts(desk.book(account), snapshot, filled=self._filled), causation=f"snapshot:{epoch}")
        await self._record(endings(desk.book(account), snapshot, sent_now=self._sent), causation=f"snapshot:{epoch}")
        return snapshot, differences(desk.book(account), snapshot, sent_now=self._sent), wrong

    async def _snapshot(self, since: int) -> BrokerSnapshot:
        try:
            return await self._asked(self._broker.snapshot(since=since), self._seconds())
        except NO_ANSWER as error:
            raise Unavailable(f"books of {self._account.id}", why="no answer to the reconciliation") from error

    def _since(self) -> int:
        last = self._desk.fold.reconciled(self._account)
        return last.cursor if last else 0

    async def _concluded(
        self, epoch: int, snapshot: BrokerSnapshot, found: tuple[Difference, ...], wrong: str | None
    ) -> Reconciled:
        """Write down what is new in the result and stop what differs; a comparison that says nothing new leaves no trace in the log."""
        desk, account = self._desk, self._account
        self._lost = {item.client_id for item in found if item.client_id is not None}
        lost = [order for order in desk.book(account).live.values() if order.client_id in self._lost and not order.unknown]
        await self._record(
            [(None, OrderUnknown(client_id=order.client_id, reason="the broker's books do not have it")) for order in lost],
            causation=f"snapshot:{epoch}",
        )
        last = desk.fold.reconciled(account)
        result = concluded(desk.book(account), snapshot, found, epoch=epoch, last=last, now=desk.now())
        if wrong is not None:
            result = replace(result, differences=(f"the broker's books make no sense: {wrong}",))
        bodies: list[Body] = [*([] if result == last else [result]), *breaks(result, desk.fold.all_modes())]
        await desk.record(*(desk.draft(body, actor=self._actor, stream=str(account)) for body in bodies))
        level = Level.DEBUG if result.complete and not found else Level.WARNING
        desk.log(level, "reconciliation", account=str(account), epoch=epoch, complete=result.complete, differences=result.differences)
        self._cursor = max(self._cursor, result.cursor)
        return result

    def _same_account(self, *accounts: AccountId) -> None:
        strangers = sorted({str(account) for account in accounts if account != self._account})
        if strangers:
            raise Unavailable(f"books of {self._account.id}", why=f"the broker speaks of another account: {', '.join(strangers)}")

    # --- hearing -------------------------------------------------------------------------------------------------------

    async def pump(self, wait_seconds: float) -> int:
        """Record the broker's updates since the last; returns how many there were."""
        async with self._hear:
            asked = partial(self._broker.updates, since=self._cursor, wait_seconds=wait_seconds)
            updates = await self._alive(asked, waits_seconds=wait_seconds)
            if not updates:
                return 0
            sensible, bad = sensible_updates(updates, self._desk.redaction.redact)
            if bad:
                self._desk.epochs.pop(self._account, None)  # only the complete books of a new connection are believed again
                self._find_out()
            items = [update.item for update in sensible]
            self._same_account(*(item.account for item in items if not isinstance(item, OrderReport | BrokerOrder)))
            bodies = [item for update in self._news(sensible) for item in self._bodies(update)]
            await self._record(bodies, causation=f"update:{updates[-1].cursor!s:.20}")
            self._cursor = max(self._cursor, *(update.cursor for update in sensible), 0)
            for update, why in bad:
                await self._senseless(update, why)
            return len(sensible)

    async def _senseless(self, update: Update, why: str) -> None:
        """A report that cannot be true is told; what became of the order it speaks of is unknown."""
        self._desk.report(f"reports of {self._account.id}", Unavailable(f"report {update.cursor!r:.20}", why=why))
        order = self._desk.book(self._account).live.get(str(getattr(update.item, "client_id", "")))
        if order is not None and not order.unknown:
            await self._unknown(order, f"the broker's report of it makes no sense: {why}")

    def _news(self, updates: Sequence[Update]) -> list[Update]:
        """All but what is out of date: that an order works is true of now only in its newest report, however late the others come.

        Of an order from elsewhere only the newest word of a batch is looked at: the book knows none of the others yet.
        """
        newest = {update.item.broker_ref: update.cursor for update in sorted(updates, key=_cursor) if isinstance(update.item, BrokerOrder)}
        for update in updates:
            if isinstance(update.item, OrderReport):
                self._reported[update.item.client_id] = max(update.cursor, self._reported.get(update.item.client_id, 0))
        return [
            update for update in updates
            if not (isinstance(update.item, BrokerOrder) and update.cursor != newest[update.item.broker_ref])
            and (
                not isinstance(update.item, OrderReport)
                or not update.item.status.live
                or update.cursor == self._reported[update.item.client_id]
            )
        ]

    def _bodies(self, update: Update) -> list[tuple[str | None, Body]]:
        item, account = update.item, str(self._account)
        if isinstance(item, Fill):
            return [(f"fill:{account}:{item.exec_id}", self._filled(item))]
        if isinstance(item, Settled):
            return [(f"settle:{account}:{item.settlement_id}", item)]
        if isinstance(item, CashMoved):
            return [(f"cash:{account}:{item.movement_id}", item)]
        if isinstance(item, CorporateAction):
            return [(f"action:{account}:{item.action_id}", item)]
        if isinstance(item, MarginCalled):
            return [(f"call:{account}:{item.call_id}", item)]
        if isinstance(item, BrokerOrder):
            known = external(self._desk.book(self._account), item)
            return [] if known is None else [(None, known)]
        return self._report_bodies(item)

    def _filled(self, fill: Fill) -> Filled:
        """An execution with the mids it is measured against: at the decision (its card's, or its standing order's) and at arrival."""
        order = self._desk.book(self._account).orders.get(fill.client_id or "")
        if order is None:
            return Filled(fill=fill)
        ticket = None if order.standing_id is not None else self._desk.fold.ticket_of_order(order.client_id)
        return Filled(fill=fill, mid_at_decision=order.mid if ticket is None else ticket.drafted.mid, mid_at_arrival=order.mid)

    def _report_bodies(self, item: OrderReport) -> list[tuple[str | None, Body]]:
        order = self._desk.book(self._account).orders.get(item.client_id)
        if order is None:
            self._look_soon = True  # an order from elsewhere: the broker's books say what it is
            return []
        if item.status.live:
            if order.ended is not None and order.filled < order.quantity:
                self._find_out()  # the book has it ended: only the broker's complete books can tell who is right
            held = item.status is BrokerStatus.HELD
            changed = order.pending_limit is not None or item.limit != order.limit or held != order.held
            if order.broker_ref is not None and not order.unknown and not changed:
                return []
            body = OrderAcknowledged(
                client_id=item.client_id, broker_ref=item.broker_ref, limit=item.limit, held=held, reason=item.reason if held else ""
            )
            return [(None, body)]
        outcome = ENDED.get(item.status)
        if outcome is None:
            return []  # filled: the executions themselves say so
        return [(None, OrderEnded(client_id=item.client_id, outcome=outcome, reason=item.reason))] if order.ended is None else []

    # --- inside --------------------------------------------------------------------------------------------------------

    def _break_stands(self) -> bool:
        state = self._desk.fold.reconciled(self._account)
        return state is not None and bool(state.differences)

    def _due(self, after_seconds: float) -> bool:
        """So much time has passed since the books were last compared, or tried to be."""
        return self._desk.runtime.seconds() - self._checked_at_seconds >= after_seconds

    async def _wired(self, what: str, order: Order, call: Awaitable[T], **facts: object) -> T:
        """Await a call over the wire within its time limit and write down what came of it; the record's loss changes nothing."""
        runtime, level, answer, why = self._desk.runtime, Level.WARNING, "given up", ""
        began_seconds = runtime.seconds()
        try:
            result = await self._asked(call, self._seconds())
            level, answer = Level.INFO, "accepted"
            return result
        except Exception as error:
            answer, why = type(error).__name__, str(error)
            raise
        finally:
            took_seconds = round(runtime.seconds() - began_seconds, 3)
            self._desk.log(
                level, "wire", account=str(self._account), order=order.client_id, ticket=order.ticket_id, what=what, answer=answer,
                error=why, quantity=order.quantity, took_seconds=took_seconds, **facts,
            )

    def _order(self, client_id: str) -> Order:
        order = self._desk.book(self._account).orders.get(client_id)
        if order is None:
            raise UserError(f"There is no order {client_id!r} in {self._account.id}.", "`status` lists the working orders.")
        return order

    async def _one(self, body: Body, *, key: str | None = None, actor: str | None = None) -> Recorded:
        return await self._record([(key, body)], actor=actor)

    async def _record(self, bodies: Sequence[tuple[str | None, Body]], *, causation: str = "", actor: str | None = None) -> Recorded:
        drafts = [
            self._desk.draft(
                body,
                actor=actor or self._actor,
                stream=str(self._account),
                causation=causation,
                dedupe=key,
                correlation=str(getattr(body, "client_id", "") or ""),
            )
            for key, body in bodies
        ]
        recorded = await self._desk.record(*drafts)
        await self._alarms(recorded)
        return recorded

    async def _alarms(self, recorded: Recorded) -> None:
        """After a batch: an overfill stops its instruments, cover that went and shares that came are told.

        A leg filled without its partners is announced from the order's own state.
        """
        if any(isinstance(event.body, Settled) or _from_elsewhere(event.body, self._desk.book(self._account)) for event in recorded.events):
            await raise_alarms(self._desk, residues(self._desk.book(self._account), self._desk.now()), self._account, actor="desk")
        for event in recorded.events:
            if isinstance(event.body, OrderAcknowledged):
                known = self._desk.book(self._account).orders.get(event.body.client_id)
                altered = None if known is None else other_price(known)
                await raise_alarms(self._desk, () if altered is None else (altered,), self._account, actor="desk")
            if isinstance(event.body, Filled):
                order = self._desk.book(self._account).orders.get(event.body.fill.client_id or "")
                if order is not None and order.overfilled:
                    await self._stop_overfilled(order)
                elif order is None:
                    self._look_soon = True  # an execution from elsewhere: its order and the money are in the broker's books
                elif event.body.fill.corrects is not None and not order.state.terminal:
                    self._look_soon = True  # it was filled, maybe to its end: whether the rest works again the broker's books say
                elif order.ended in NEVER_WORKED and order.filled < order.quantity:
                    self._find_out()  # it fills although it should not exist: what is left of it may still work

    async def _stop_overfilled(self, order: Order) -> None:
        reason = f"order {order.client_id} filled more than the confirmed {order.quantity}"
        drafts = []
        for key in order.overfilled_keys:
            reports = sum(fill.instrument.key == key for fill in order.fills.values())  # each new one halts again, also after a lift
            mode = ModeSet(
                scope=Scope(kind=ScopeKind.INSTRUMENT, name=key), mode=Mode.HALT, cause=f"overfill:{order.client_id}", reason=reason
            )
            dedupe = f"overfill:{order.client_id}:{key}:{reports}"
            drafts.append(self._desk.draft(mode, actor="desk", stream=str(self._account), dedupe=dedupe))
        await self._desk.record(*drafts)

    async def _unknown(self, order: Order, reason: str) -> None:
        self._find_out()
        await self._one(OrderUnknown(client_id=order.client_id, reason=reason))

    async def _bug(self, order: Order, error: Exception) -> None:
        identity = self._desk.report(f"order {order.client_id}", error)
        await self._unknown(order, f"the broker link failed ({identity})")
        await self._reducing(identity)

    async def _reducing(self, identity: str) -> None:
        if any(entry.cause.startswith("bug:") and entry.scope.name == str(self._account) for entry in self._desk.fold.all_modes()):
            return
        scope = Scope(kind=ScopeKind.ACCOUNT, name=str(self._account))
        mode = ModeSet(scope=scope, mode=Mode.REDUCING, cause=f"bug:{identity}", reason=f"an error on the order path ({identity})")
        try:
            await self._desk.record(self._desk.draft(mode, actor="desk", stream=str(self._account)))
        except DeskError as error:
            self._desk.report("mode after an error", error)

    def _find_out(self) -> None:
        if not self._finding_out:
            self._finding_out = True
            self._desk.runtime.spawn(self._find_out_by_reconnecting(), name=f"find out {self._account.id}")

    async def _find_out_by_reconnecting(self) -> None:
        """A request of a dead connection can no longer arrive, so a fresh connection's complete books are evidence."""
        try:
            for attempt in range(RECONNECT_TRIES):
                own_seconds, runtime = RECONNECT_FIRST_SECONDS * 2**attempt, self._desk.runtime
                await runtime.sleep(max(own_seconds, self._retry.wait_seconds(runtime.seconds())))
                try:
                    await self.connect()
                except LoginNeeded as error:
                    await self._locked_out(error)
                    return  # the account's own loop goes on asking
                except (DeskError, TimeoutError, OSError) as error:
                    runtime.report(f"reconciliation of {self._account.id}", error)
                    self._failed_pause_seconds()
                    continue
                if not any(order.unknown for order in self._desk.book(self._account).live.values()):
                    return
        finally:
            self._finding_out = False


def _cursor(update: Update) -> int:
    return update.cursor


def _from_elsewhere(body: Body, book: Book) -> bool:
    return isinstance(body, Filled) and body.fill.client_id not in book.orders
