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
from core.domain.orders import Effect, Fill, OrderState
from core.errors import BrokerRejected, BrokerTimeout, Conflict, DeskError, LeaseLost, Unavailable, UserError
from core.orders.reconcile import ENDED, cash_body, differences, endings, facts, settled_body
from core.orders.states import Order
from core.orders.ticket import Confirmed
from core.orders.work import limit_at_step, steps_done
from core.ports import Broker, BrokerStatus, CashMovement, OrderReport, Settlement, Update
from core.risk import gate

RECONNECT_TRIES = 5
RECONNECT_FIRST_SECONDS = 2.0
PUMP_SECONDS = 1.0
NO_ANSWER = (BrokerTimeout, TimeoutError)


class AccountSender:
    """Everything between the log and one broker account."""

    def __init__(self, desk: Desk, account: AccountId, broker: Broker) -> None:
        self._desk = desk
        self._account = account
        self._broker = broker
        self._wire = desk.runtime.lock()  # held across a broker call and across a reconciliation
        self._sent: set[str] = set()  # client ids that left in this connection: absence proves nothing about them yet
        self._cursor = 0
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
        """Connect (again) and reconcile; until that succeeds the account is in RECOVERY. Raises Unavailable where the broker is not there."""
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
        desk, account = self._desk, self._account
        last = desk.fold.reconciled(account)
        try:
            snapshot = await desk.runtime.wait_for(self._broker.snapshot(since=last.cursor if last else 0), self._seconds())
        except NO_ANSWER as error:
            raise Unavailable(f"books of {account.id}", why="no answer to the reconciliation") from error
        await self._record([(key, body) for key, body in facts(desk.book(account), snapshot)], causation=f"snapshot:{epoch}")
        ended = [
            (key, body)
            for key, body in endings(desk.book(account), snapshot)
            if not (isinstance(body, OrderEnded) and body.outcome == "denied" and body.client_id in self._sent)
        ]
        await self._record(ended, causation=f"snapshot:{epoch}")
        found = differences(desk.book(account), snapshot)
        broken = tuple(item.key for item in found if item.key is not None)
        cursor = max(snapshot.cursor, last.cursor if last else 0) if snapshot.complete else (last.cursor if last else 0)
        result = Reconciled(
            account=account,
            epoch=epoch,
            complete=snapshot.complete,
            differences=tuple(item.text for item in found),
            broken_instruments=broken,
            cursor=cursor,
        )
        drafts = [desk.draft(result, actor=self._actor, stream=str(account))]
        drafts += self._breaks(result)
        await desk.record(*drafts)
        self._cursor = max(self._cursor, cursor)
        return result

    def _breaks(self, result: Reconciled) -> list[Draft]:
        """Stop what differs, free what agrees again. A cash difference stops the account's entries."""
        desk, stream = self._desk, str(self._account)
        drafts: list[Draft] = []
        cause = f"reconciliation:{self._account}"
        for key in result.broken_instruments:
            text = next(item for item in result.differences if item.startswith(key.strip()))
            scope = Scope(kind=ScopeKind.INSTRUMENT, name=key)
            drafts.append(desk.draft(ModeSet(scope=scope, mode=Mode.HALT, cause=cause, reason=text), actor=self._actor, stream=stream))
        others = [text for text in result.differences if text.startswith("cash")]
        if others:
            scope = Scope(kind=ScopeKind.ACCOUNT, name=stream)
            drafts.append(
                desk.draft(ModeSet(scope=scope, mode=Mode.REDUCING, cause=cause, reason=others[0]), actor=self._actor, stream=stream)
            )
        for entry in desk.fold.all_modes():
            healed = entry.scope.name not in result.broken_instruments and (entry.scope.kind is ScopeKind.INSTRUMENT or not others)
            if entry.cause == cause and healed and result.complete:
                drafts.append(
                    desk.draft(
                        ModeSet(scope=entry.scope, mode=Mode.ACTIVE, cause=cause, reason="books agree again"),
                        actor=self._actor,
                        stream=stream,
                    )
                )
        return drafts

    # --- sending -------------------------------------------------------------------------------------------------------

    async def send(self, confirmed: Confirmed) -> Order:
        """Send a confirmed order; returns it as it stands after the broker's first answer."""
        order = self._order(confirmed.client_id)
        async with self._wire:
            order = self._order(confirmed.client_id)
            if order.state is not OrderState.SUBMITTING or order.client_id in self._sent:
                return order
            stop = await self._stop(order)
            if stop is None:
                stop = await self._submit(order, confirmed)
            if stop is not None:
                await self._one(
                    OrderEnded(client_id=order.client_id, outcome="denied", reason=stop), key=f"end:{self._account}:{order.client_id}"
                )
        return self._order(order.client_id)

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
            await self._one(
                OrderEnded(client_id=order.client_id, outcome="rejected", reason=str(error)), key=f"end:{self._account}:{order.client_id}"
            )
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
            if await self._stop(order) is not None:
                return order
            permitted = gate.permit_replace(order, limit=limit)
            await self._one(Replacing(client_id=client_id, limit=limit))
            try:
                await self._desk.runtime.wait_for(self._broker.replace(client_id, permitted), self._seconds())
            except BrokerRejected as error:
                await self._one(ReplaceRefused(client_id=client_id, limit=order.limit, reason=str(error)))
            except NO_ANSWER:
                await self._unknown(order, "no answer to the price change in time")
            except Exception as error:  # noqa: BLE001 - as in _submit
                await self._bug(order, error)
            else:
                await self._one(OrderAcknowledged(client_id=client_id, broker_ref=order.broker_ref or "", limit=limit))
        return self._order(client_id)

    async def cancel(self, client_id: str, reason: str, *, actor: str = "desk") -> Order:
        """Ask the broker to cancel. Works in every mode; the order is cancelled only when the broker says so."""
        async with self._wire:
            order = self._order(client_id)
            if order.state.terminal:
                return order
            await self._one(CancelRequested(client_id=client_id, reason=reason), actor=actor)
            try:
                await self._desk.runtime.wait_for(self._broker.cancel(client_id), self._seconds())
            except (BrokerRejected, *NO_ANSWER) as error:
                self._desk.runtime.report(f"cancel of {client_id} not accepted", error)
                self._find_out()
        await self.pump(0.0)
        return self._order(client_id)

    async def _stop(self, order: Order) -> str | None:
        """Why nothing may leave now; None where it may. Read again at the last moment."""
        desk = self._desk
        try:
            if await desk.store.lease_token() != desk.token:
                raise LeaseLost
        except (LeaseLost, Unavailable) as error:
            desk.lease_lost = desk.lease_lost or isinstance(error, LeaseLost)
            return str(error)
        keys = tuple(leg.instrument.key for leg in order.envelope.legs)
        mode, reason = desk.mode(account=self._account, strategy=order.envelope.strategy, keys=keys)
        if not may_send(mode, order):
            return f"the desk is in {mode.value.upper()}: {reason}"
        return await self._too_fast()

    async def _too_fast(self) -> str | None:
        seconds, limit = self._desk.runtime.seconds(), self._desk.settings.desk.whole("orders_per_minute")
        while self._recent and seconds - self._recent[0] >= 60:
            self._recent.popleft()
        if len(self._recent) >= limit:
            reason = f"more than {limit} sends in a minute"
            mode = ModeSet(scope=Scope(), mode=Mode.HALT, cause="runaway", reason=reason)
            await self._desk.record(self._desk.draft(mode, actor="rule:orders_per_minute"))
            return reason
        self._recent.append(seconds)
        return None

    # --- hearing -------------------------------------------------------------------------------------------------------

    async def pump(self, wait_seconds: float) -> int:
        """Record the broker's updates since the last; returns how many there were."""
        updates = await self._desk.runtime.wait_for(
            self._broker.updates(since=self._cursor, wait_seconds=wait_seconds), wait_seconds + self._seconds()
        )
        if not updates:
            return 0
        bodies = [item for update in updates for item in self._bodies(update)]
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
            new = order.broker_ref is None or order.unknown or item.limit != order.limit
            return [(None, OrderAcknowledged(client_id=item.client_id, broker_ref=item.broker_ref, limit=item.limit))] if new else []
        outcome = ENDED.get(item.status)
        if outcome is None:
            return []  # filled: the executions themselves say so
        return [(f"end:{self._account}:{item.client_id}", OrderEnded(client_id=item.client_id, outcome=outcome, reason=item.reason))]

    # --- working -------------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Let the exchange do its periodic work, hear it, and walk the price of each working order by the clock."""
        await self._desk.runtime.wait_for(self._broker.poll(), self._seconds())
        await self.pump(0.0)
        settings = self._desk.settings.desk
        for order in tuple(self._desk.book(self._account).live.values()):
            elapsed = (self._desk.now() - order.submitted_at).total_seconds()
            done = steps_done(elapsed_seconds=elapsed, walk_seconds=settings.whole("walk_seconds"), steps=settings.whole("walk_steps"))
            target = limit_at_step(order.envelope, done=done, steps=settings.whole("walk_steps"))
            if target < order.limit:
                await self.replace(order.client_id, target)

    async def settle_down(self) -> None:
        """Hear everything the broker has to say now. On a standing clock, also walk every working order to its worst price: no time passes by itself."""
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
        """The account's background loop: hear, work, and reconnect with growing pauses after a failure."""
        failures = 0
        while True:
            try:
                if self._desk.epochs.get(self._account) is None or failures:
                    await self.connect()
                await self.work()
                failures = 0
                await self._desk.runtime.sleep(PUMP_SECONDS)
            except (DeskError, TimeoutError) as error:
                failures += 1
                self._desk.runtime.report(f"link of {self._account.id}", error)
                await self._desk.runtime.sleep(min(60.0, RECONNECT_FIRST_SECONDS * 2 ** min(failures, 5)))

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
            if not isinstance(event.body, Filled):
                continue
            order = self._desk.book(self._account).orders.get(event.body.fill.client_id or "")
            if order is not None and order.overfilled:
                key = event.body.fill.instrument.key
                mode = ModeSet(
                    scope=Scope(kind=ScopeKind.INSTRUMENT, name=key),
                    mode=Mode.HALT,
                    cause=f"overfill:{order.client_id}",
                    reason=f"order {order.client_id} filled more than the confirmed {order.quantity}",
                )
                await self._desk.record(
                    self._desk.draft(mode, actor="desk", stream=str(self._account), dedupe=f"overfill:{order.client_id}:{key}")
                )

    async def _unknown(self, order: Order, reason: str) -> None:
        await self._one(OrderUnknown(client_id=order.client_id, reason=reason))
        self._find_out()

    async def _bug(self, order: Order, error: Exception) -> None:
        identity = self._desk.report(f"order {order.client_id}", error)
        await self._one(OrderUnknown(client_id=order.client_id, reason=f"the broker link failed ({identity})"))
        scope = Scope(kind=ScopeKind.ACCOUNT, name=str(self._account))
        mode = ModeSet(scope=scope, mode=Mode.REDUCING, cause=f"bug:{identity}", reason=f"an error on the order path ({identity})")
        await self._desk.record(self._desk.draft(mode, actor="desk", stream=str(self._account)))
        self._find_out()

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
                except (DeskError, Conflict, TimeoutError) as error:
                    self._desk.runtime.report(f"reconciliation of {self._account.id}", error)
                    continue
                if not any(order.unknown for order in self._desk.book(self._account).live.values()):
                    return
        finally:
            self._finding_out = False


def may_send(mode: Mode, order: Order) -> bool:
    """The mode table, for an order already confirmed: entries only when ACTIVE, exits also when PAUSED, in REDUCING and HALT only measured reducing ones."""
    if mode is Mode.ACTIVE:
        return True
    if mode is Mode.PAUSED:
        return order.reducing or any(leg.effect is Effect.CLOSE for leg in order.envelope.legs)
    return mode in (Mode.REDUCING, Mode.HALT) and order.reducing


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """What a cancel-all came to: orders proved cancelled, and those not yet."""

    done: tuple[str, ...]
    pending: tuple[str, ...]


async def cancel_all(desk: Desk, senders: Sequence[AccountSender], *, reason: str, actor: str) -> Cancelled:
    """Ask for a cancel of every live order in every account and say which are proved."""
    wanted = [(sender, order.client_id) for sender in senders for order in desk.book(sender.account).live.values()]
    for sender, client_id in wanted:
        try:
            await sender.cancel(client_id, reason, actor=actor)
        except (DeskError, TimeoutError) as error:
            desk.runtime.report(f"cancel of {client_id}", error)
    done: list[str] = []
    pending: list[str] = []
    for _, client_id in wanted:
        order = desk.books.order(client_id)
        (done if order is not None and order.state.terminal else pending).append(client_id)
    return Cancelled(done=tuple(done), pending=tuple(pending))
