"""The wire: the only place that sends orders to a broker, one sender per account.

Before the first byte of anything leaves, `Submitting` (or `Replacing`, `CancelRequested`) is durable; then the mode, the fencing token and
the send rate are read again. What the broker answers is recorded as it comes; what nobody knows becomes UNKNOWN and is found out, never
sent again under a new id.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.desk import Desk, Recorded
from core.domain.accounts import AccountId
from core.domain.events import (
    Body,
    CancelRequested,
    Draft,
    Filled,
    Mode,
    ModeSet,
    OrderAcknowledged,
    OrderEnded,
    OrderUnknown,
    Reconciled,
    ReplaceRefused,
    Replacing,
    Scope,
    ScopeKind,
)
from core.domain.orders import Effect, Fill, OrderState, Permitted
from core.errors import BrokerRejected, BrokerTimeout, DeskError, LeaseLost, Unavailable, UserError
from core.orders.reconcile import ENDED, Finding, cash_body, differences, endings, facts, settled_body
from core.orders.states import Order
from core.orders.ticket import Confirmed
from core.orders.work import limit_at_step, steps_done
from core.ports import Broker, BrokerStatus, CashMovement, OrderReport, Settlement, Update
from core.risk import gate

RECONNECT_TRIES = 5
RECONNECT_FIRST_SECONDS = 2.0
PUMP_SECONDS = 1.0
CHECK_AGAIN_SECONDS = 60.0  # between reconciliations while a break stands
CANCEL_AGAIN_SECONDS = 10.0
PRESS_TO_WIRE_SECONDS = 60.0  # a confirmed order that could not leave within this is not sent any more
NO_ANSWER = (BrokerTimeout, TimeoutError)


class AccountSender:
    """Everything between the log and one broker account."""

    def __init__(self, desk: Desk, account: AccountId, broker: Broker) -> None:
        self._desk = desk
        self._account = account
        self._broker = broker
        self._wire = desk.runtime.lock()  # held across a broker call and across a reconciliation
        self._sent: set[str] = set()  # client ids that left in this connection: absence proves nothing about them yet
        self._hear = desk.runtime.lock()  # held while updates or a snapshot are fetched and recorded: neither may overtake the other
        self._lost: set[str] = set()  # orders the broker's complete books did not have
        self._cancel_tried: dict[str, float] = {}
        self._cursor = 0
        self._checked_at = 0.0
        self._recent: deque[float] = deque()
        self._finding_out = False

    @property
    def account(self) -> AccountId:
        """The account this sender serves."""
        return self._account

    @property
    def broker(self) -> Broker:
        """The account's broker: previews and books; orders reach it through this class only."""
        return self._broker

    # --- connection ----------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect (again) and reconcile; until then the account is in RECOVERY. Raises Unavailable where the broker is not there."""
        async with self._wire:
            try:
                epoch = await self._desk.runtime.wait_for(self._broker.connect(), self._seconds())
            except NO_ANSWER as error:
                raise Unavailable(f"broker {self._broker.capabilities.name}", why="no answer to connect") from error
            self._desk.epochs[self._account] = epoch
            self._sent.clear()
            await self._reconcile(epoch)

    async def reconcile(self) -> Reconciled:
        """Compare with the broker now; raises Unavailable where it does not answer."""
        async with self._wire:
            return await self._reconcile(self._desk.epochs[self._account])

    async def _reconcile(self, epoch: int) -> Reconciled:
        async with self._hear:
            result = await self._compared(epoch)
            if result.differences:
                result = await self._compared(epoch)  # once more: what was on its way may have arrived
        self._checked_at = self._desk.runtime.seconds()
        for order in tuple(self._desk.book(self._account).orders.values()):
            if order.overfilled:
                await self._stop_overfilled(order)
        return result

    async def _compared(self, epoch: int) -> Reconciled:
        desk, account = self._desk, self._account
        last = desk.fold.reconciled(account)
        since = last.cursor if last else 0
        try:
            snapshot = await desk.runtime.wait_for(self._broker.snapshot(since=since), self._seconds())
        except NO_ANSWER as error:
            raise Unavailable(f"books of {account.id}", why="no answer to the reconciliation") from error
        told = {fill.account for fill in snapshot.fills}
        told |= {item.account for item in snapshot.settlements} | {item.account for item in snapshot.movements}
        self._same_account(snapshot.account, *told)
        await self._record(facts(desk.book(account), snapshot), causation=f"snapshot:{epoch}")
        await self._record(endings(desk.book(account), snapshot, sent_now=self._sent), causation=f"snapshot:{epoch}")
        found = differences(desk.book(account), snapshot, sent_now=self._sent)
        self._lost = {item.lost for item in found if item.lost is not None}
        lost = [order for order in desk.book(account).live.values() if order.client_id in self._lost and not order.unknown]
        await self._record(
            [(None, OrderUnknown(client_id=order.client_id, reason="the broker's books do not have it")) for order in lost],
            causation=f"snapshot:{epoch}",
        )
        result = Reconciled(
            account=account, epoch=epoch, complete=snapshot.complete, differences=tuple(item.text for item in found),
            broken_instruments=tuple(sorted({key for item in found for key in item.keys})),
            cursor=max(snapshot.cursor, since) if snapshot.complete else since,
        )
        await desk.record(desk.draft(result, actor=self._actor, stream=str(account)), *self._breaks(result, found))
        self._cursor = max(self._cursor, result.cursor)
        return result

    def _same_account(self, *accounts: AccountId) -> None:
        strangers = sorted({str(account) for account in accounts if account != self._account})
        if strangers:
            raise Unavailable(f"books of {self._account.id}", why=f"the broker speaks of another account: {', '.join(strangers)}")

    def _breaks(self, result: Reconciled, found: Sequence[Finding]) -> list[Draft]:
        """Stop what differs: an instrument is halted until a person lifts it; a cash difference stops entries until the books agree."""
        desk, stream, cause = self._desk, str(self._account), f"reconciliation:{self._account}"
        standing = {entry.scope for entry in desk.fold.all_modes() if entry.cause == cause}
        drafts: list[Draft] = []

        def put(scope: Scope, mode: Mode, reason: str) -> None:
            body = ModeSet(scope=scope, mode=mode, cause=cause, reason=reason)
            drafts.append(desk.draft(body, actor=self._actor, stream=stream))

        for item in found:
            for scope in (Scope(kind=ScopeKind.INSTRUMENT, name=key) for key in item.keys):
                if scope not in standing:
                    standing.add(scope)
                    put(scope, Mode.HALT, item.text)
        account = Scope(kind=ScopeKind.ACCOUNT, name=stream)
        cash = next((item.text for item in found if not item.keys and item.text.startswith("cash")), None)
        if cash is not None and account not in standing:
            put(account, Mode.REDUCING, cash)
        if cash is None and account in standing and result.complete:
            put(account, Mode.ACTIVE, "the cash agrees again")
        return drafts

    # --- sending -------------------------------------------------------------------------------------------------------

    async def send(self, confirmed: Confirmed) -> Order:
        """Send a confirmed order; returns it as it stands after the broker's first answer. A cancelled caller leaves nothing half sent."""
        return await self._desk.runtime.to_the_end(self._send(confirmed), name=f"send {confirmed.client_id}")

    async def _send(self, confirmed: Confirmed) -> Order:
        async with self._wire:
            order = self._order(confirmed.client_id)
            if order.state is not OrderState.SUBMITTING or order.client_id in self._sent:
                return order
            stop = self._too_late(order) or await self._stop(order, new=True)
            if stop is None:
                stop = await self._submit(order, confirmed)
            if stop is not None:
                await self._one(OrderEnded(client_id=order.client_id, outcome="denied", reason=stop))
        return self._order(order.client_id)

    def _too_late(self, order: Order) -> str | None:
        waited = (self._desk.now() - order.submitted_at).total_seconds()
        return f"{waited:.0f} seconds passed between the press and the wire" if waited > PRESS_TO_WIRE_SECONDS else None

    async def _submit(self, order: Order, confirmed: Confirmed) -> str | None:
        desk = self._desk
        try:
            permitted = gate.permit(
                verdict=confirmed.verdict,
                envelope=order.envelope,
                confirmed_hash=order.envelope_hash,
                client_id=order.client_id,
                ticket_id=order.ticket_id,
                limit=order.limit,
                quantity=order.quantity,
            )
        except gate.NotPermitted as error:
            return str(error)
        self._sent.add(order.client_id)
        try:
            ref = await desk.runtime.wait_for(self._broker.submit(permitted), self._seconds())
        except BrokerRejected as error:
            await self._one(OrderEnded(client_id=order.client_id, outcome="rejected", reason=str(error)))
        except NO_ANSWER:
            await self._unknown(order, "no answer to the order in time")
        except Exception as error:  # noqa: BLE001 - on the order path any bug leaves the order unknown and the account reducing
            await self._bug(order, error)
        else:
            await self._one(OrderAcknowledged(client_id=order.client_id, broker_ref=ref, limit=order.limit))
        return None

    async def replace(self, client_id: str, limit: Decimal) -> Order:
        """Move the limit of a working order within its envelope; returns the order as it then stands."""
        async with self._wire:
            order = self._order(client_id)
            if (
                order.state not in (OrderState.WORKING, OrderState.PARTIALLY_FILLED)
                or order.pending_limit is not None
                or limit == order.limit
            ):
                return order
            if await self._stop(order, new=False) is not None:
                return order
            permitted = gate.permit_replace(order, limit=limit)
            await self._one(Replacing(client_id=client_id, limit=limit))
            stop = self._mode_stop(order)  # a HALT may have been recorded just before: nothing is awaited between this and the wire
            if stop is not None:
                await self._one(ReplaceRefused(client_id=client_id, limit=order.limit, reason=stop))
                return self._order(client_id)
            await self._replace_on_wire(order, permitted)
        return self._order(client_id)

    async def _replace_on_wire(self, order: Order, permitted: Permitted) -> None:
        try:
            await self._desk.runtime.wait_for(self._broker.replace(order.client_id, permitted), self._seconds())
        except BrokerRejected as error:
            await self._one(ReplaceRefused(client_id=order.client_id, limit=order.limit, reason=str(error)))
        except NO_ANSWER:
            await self._unknown(order, "no answer to the price change in time")
        except Exception as error:  # noqa: BLE001 - as in _submit
            await self._bug(order, error)
        else:
            await self._one(OrderAcknowledged(client_id=order.client_id, broker_ref=order.broker_ref or "", limit=permitted.limit))

    async def cancel(self, client_id: str, reason: str, *, actor: str = "desk") -> Order:
        """Ask the broker to cancel. Works in every mode, with a full disk too; the order is cancelled only when the broker says so.

        An order that the broker's complete books do not have is written off by a person's cancel: that is the signed end of an UNKNOWN.
        """
        order = self._order(client_id)
        if order.state.terminal:
            return order
        if client_id in self._lost and actor.startswith("person:"):
            reason = "not in the broker's complete books; written off by a person"
            await self._one(OrderEnded(client_id=client_id, outcome="cancelled", reason=reason), actor=actor)
            return self._order(client_id)
        async with self._wire:
            try:
                await self._one(CancelRequested(client_id=client_id, reason=reason), actor=actor)
            except Unavailable as error:  # a cancel takes risk away: it leaves although it cannot be written down now
                self._desk.report(f"cancel of {client_id}", error)
            self._cancel_tried[client_id] = self._desk.runtime.seconds()
            try:
                await self._desk.runtime.wait_for(self._broker.cancel(client_id), self._seconds())
            except Exception as error:  # noqa: BLE001 - whatever the link does, the other cancels go on and this one is found out
                self._desk.runtime.report(f"cancel of {client_id} not accepted", error)
        try:
            await self.pump(0.0)
        except (DeskError, TimeoutError) as error:
            self._desk.runtime.report(f"link of {self._account.id}", error)
        order = self._order(client_id)
        if not order.state.terminal and order.broker_ref is None:
            self._find_out()
        return order

    async def _cancel_again(self) -> None:
        """A cancel that may have been lost is asked for again until the broker's word is there."""
        for order in tuple(self._desk.book(self._account).live.values()):
            tried = self._cancel_tried.get(order.client_id)
            due = tried is None or self._desk.runtime.seconds() - tried >= CANCEL_AGAIN_SECONDS
            if order.cancel_asked and due and order.client_id not in self._lost:
                await self.cancel(order.client_id, order.reason or "asked before")

    async def _stop(self, order: Order, *, new: bool) -> str | None:
        """Why nothing may leave now; None where it may. Read again at the last moment, the mode last of all."""
        desk = self._desk
        try:
            if await desk.store.lease_token() != desk.token:
                raise LeaseLost
        except (LeaseLost, Unavailable) as error:
            desk.lease_lost = desk.lease_lost or isinstance(error, LeaseLost)
            return str(error)
        too_fast = await self._too_fast() if new and not order.reducing else None
        return too_fast or self._mode_stop(order)

    def _mode_stop(self, order: Order) -> str | None:
        keys = tuple(leg.instrument.key for leg in order.envelope.legs)
        mode, reason = self._desk.mode(account=self._account, strategy=order.envelope.strategy, keys=keys)
        return None if may_send(mode, order) else f"the desk is in {mode.value.upper()}: {reason}"

    async def _too_fast(self) -> str | None:
        """New orders that add risk, counted over a minute; more than the limit is a runaway and halts the desk."""
        seconds, limit = self._desk.runtime.seconds(), self._desk.settings.desk.whole("orders_per_minute")
        while self._recent and seconds - self._recent[0] >= 60:
            self._recent.popleft()
        if len(self._recent) >= limit:
            reason = f"more than {limit} new orders in a minute"
            if not any(entry.cause == "runaway" for entry in self._desk.fold.all_modes()):
                mode = ModeSet(scope=Scope(), mode=Mode.HALT, cause="runaway", reason=reason)
                await self._desk.record(self._desk.draft(mode, actor="rule:orders_per_minute"))
            return reason
        self._recent.append(seconds)
        return None

    # --- hearing -------------------------------------------------------------------------------------------------------

    async def pump(self, wait_seconds: float) -> int:
        """Record the broker's updates since the last; returns how many there were."""
        async with self._hear:
            updates = await self._desk.runtime.wait_for(
                self._broker.updates(since=self._cursor, wait_seconds=wait_seconds), wait_seconds + self._seconds()
            )
            if not updates:
                return 0
            self._same_account(*(update.item.account for update in updates if not isinstance(update.item, OrderReport)))
            bodies = [item for update in _newest_reports(updates) for item in self._bodies(update)]
            await self._record(bodies, causation=f"update:{updates[-1].cursor}")
            self._cursor = max(self._cursor, *(update.cursor for update in updates))
            return len(updates)

    def _bodies(self, update: Update) -> list[tuple[str | None, Body]]:
        item, account = update.item, str(self._account)
        if isinstance(item, Fill):
            ticket = self._desk.fold.ticket_of_order(item.client_id or "")
            return [(f"fill:{account}:{item.exec_id}", Filled(fill=item, mid_at_decision=ticket.drafted.mid if ticket else None))]
        if isinstance(item, Settlement):
            return [(f"settle:{account}:{item.settlement_id}", settled_body(item))]
        if isinstance(item, CashMovement):
            return [(f"cash:{account}:{item.movement_id}", cash_body(item))]
        return self._report_bodies(item)

    def _report_bodies(self, item: OrderReport) -> list[tuple[str | None, Body]]:
        order = self._desk.book(self._account).orders.get(item.client_id)
        if order is None:
            return []
        if item.status is BrokerStatus.WORKING:
            new = order.broker_ref is None or order.unknown or order.pending_limit is not None or item.limit != order.limit
            return [(None, OrderAcknowledged(client_id=item.client_id, broker_ref=item.broker_ref, limit=item.limit))] if new else []
        outcome = ENDED.get(item.status)
        if outcome is None:
            return []  # filled: the executions themselves say so
        return [(None, OrderEnded(client_id=item.client_id, outcome=outcome, reason=item.reason))] if order.ended is None else []

    # --- working -------------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Let the exchange do its periodic work, hear it, and walk the price of each working order by the clock."""
        await self._desk.runtime.wait_for(self._broker.poll(), self._seconds())
        await self.pump(0.0)
        await self._cancel_again()
        settings = self._desk.settings.desk
        for order in tuple(self._desk.book(self._account).live.values()):
            elapsed = (self._desk.now() - order.submitted_at).total_seconds()
            done = steps_done(elapsed_seconds=elapsed, walk_seconds=settings.whole("walk_seconds"), steps=settings.whole("walk_steps"))
            target = limit_at_step(order.envelope, done=done, steps=settings.whole("walk_steps"))
            if target < order.limit:
                await self.replace(order.client_id, target)

    async def settle_down(self) -> None:
        """Hear everything the broker has to say now. On a standing clock, where no time passes by itself, also walk every price to its end."""
        await self._desk.runtime.wait_for(self._broker.poll(), self._seconds())
        while await self.pump(0.0):
            pass
        if not self._desk.runtime.clock.standing:
            return
        steps = self._desk.settings.desk.whole("walk_steps")
        for done in range(1, steps + 1):
            for order in tuple(self._desk.book(self._account).live.values()):
                target = limit_at_step(order.envelope, done=done, steps=steps)
                if target < order.limit:
                    await self.replace(order.client_id, target)
            while await self.pump(0.0):
                pass

    async def run(self) -> None:
        """The account's background loop: hear, work, reconcile while something differs, reconnect with growing pauses after a failure."""
        failures = 0
        while True:
            try:
                if failures or not self._reconciled_now():
                    await self.connect()
                await self.work()
                if self._break_stands() and self._desk.runtime.seconds() - self._checked_at >= CHECK_AGAIN_SECONDS:
                    await self.reconcile()
                failures = 0 if self._reconciled_now() else failures + 1
            except (DeskError, TimeoutError, OSError) as error:
                failures += 1
                self._desk.runtime.report(f"link of {self._account.id}", error)
            except Exception as error:  # noqa: BLE001 - a bug must not end the account's ears: it is told, entries stop, the loop goes on
                failures += 1
                await self._reducing(self._desk.report(f"account {self._account.id}", error))
            pause = PUMP_SECONDS if not failures else min(60.0, RECONNECT_FIRST_SECONDS * 2 ** min(failures, 5))
            await self._desk.runtime.sleep(pause)

    def _reconciled_now(self) -> bool:
        state = self._desk.fold.reconciled(self._account)
        return state is not None and state.complete and state.epoch == self._desk.epochs.get(self._account)

    def _break_stands(self) -> bool:
        state = self._desk.fold.reconciled(self._account)
        return state is not None and bool(state.differences)

    # --- inside --------------------------------------------------------------------------------------------------------

    @property
    def _actor(self) -> str:
        return f"broker:{self._account}"

    def _seconds(self) -> float:
        return float(self._desk.settings.desk.whole("broker_seconds"))

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
        """After a batch: an overfill stops its instruments. (A leg filled without its partners is announced from the order's own state.)"""
        for event in recorded.events:
            if isinstance(event.body, Filled):
                order = self._desk.book(self._account).orders.get(event.body.fill.client_id or "")
                if order is not None and order.overfilled:
                    await self._stop_overfilled(order)

    async def _stop_overfilled(self, order: Order) -> None:
        reason = f"order {order.client_id} filled more than the confirmed {order.quantity}"
        drafts = []
        for leg in order.envelope.legs:
            key, filled = leg.instrument.key, order.filled_contracts[leg.instrument.key]
            if filled > order.quantity * leg.ratio:
                scope = Scope(kind=ScopeKind.INSTRUMENT, name=key)
                mode = ModeSet(scope=scope, mode=Mode.HALT, cause=f"overfill:{order.client_id}", reason=reason)
                dedupe = f"overfill:{order.client_id}:{key}:{filled}"
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
                await self._desk.runtime.sleep(RECONNECT_FIRST_SECONDS * 2**attempt)
                try:
                    await self.connect()
                except (DeskError, TimeoutError, OSError) as error:
                    self._desk.runtime.report(f"reconciliation of {self._account.id}", error)
                    continue
                if not any(order.unknown for order in self._desk.book(self._account).live.values()):
                    return
        finally:
            self._finding_out = False


def may_send(mode: Mode, order: Order) -> bool:
    """The mode table for a confirmed order: entries when ACTIVE, exits also when PAUSED, in REDUCING and HALT only measured reducing ones."""
    if mode is Mode.ACTIVE:
        return True
    if mode is Mode.PAUSED:
        return order.reducing or all(leg.effect is Effect.CLOSE for leg in order.envelope.legs)
    return mode in (Mode.REDUCING, Mode.HALT) and order.reducing


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """What a cancel-all came to: orders proved cancelled, and those not yet."""

    done: tuple[str, ...]
    pending: tuple[str, ...]


async def cancel_all(desk: Desk, senders: Sequence[AccountSender], *, reason: str, actor: str) -> Cancelled:
    """Ask for a cancel of every live order in every account and say which are proved."""
    wanted = {sender.account: tuple(desk.book(sender.account).live) for sender in senders}

    async def one_account(sender: AccountSender) -> None:
        for client_id in wanted[sender.account]:
            try:
                await sender.cancel(client_id, reason, actor=actor)
            except Exception as error:  # noqa: BLE001 - one order's trouble must not keep the others from being cancelled
                desk.runtime.report(f"cancel of {client_id}", error)

    await desk.runtime.gather(*(one_account(sender) for sender in senders))
    done: list[str] = []
    pending: list[str] = []
    for client_id in (client_id for ids in wanted.values() for client_id in ids):
        order = desk.books.order(client_id)
        (done if order is not None and order.state.terminal else pending).append(client_id)
    return Cancelled(done=tuple(done), pending=tuple(pending))


def _newest_reports(updates: Sequence[Update]) -> list[Update]:
    """Of several WORKING reports of one order in a batch only the last speaks of now."""
    last: dict[str, Update] = {}
    for update in updates:
        if isinstance(update.item, OrderReport) and update.item.status is BrokerStatus.WORKING:
            last[update.item.client_id] = update
    kept = set(map(id, last.values()))
    return [
        update for update in updates
        if not isinstance(update.item, OrderReport) or update.item.status is not BrokerStatus.WORKING or id(update) in kept
    ]
