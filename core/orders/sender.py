"""The wire: the only place that sends orders to a broker, one sender per account.

Before the first byte of anything leaves, `Submitting` (or `Replacing`, `CancelRequested`) is durable; then the mode, the fencing token and
the send rate are read again. What the broker answers is recorded as it comes; what nobody knows becomes UNKNOWN and is found out, never
sent again under a new id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.desk import Desk
from core.domain.events import (
    CancelRequested,
    ExternalCancelRequested,
    ExternalOrder,
    Mode,
    ModeSet,
    OrderAcknowledged,
    OrderEnded,
    ReplaceRefused,
    Replacing,
    Scope,
)
from core.domain.modes import lets_through, scope_names
from core.domain.orders import Effect, OrderState, Permitted
from core.errors import BrokerRejected, DeskError, LeaseLost, LoginNeeded, RateLimited, Unavailable
from core.links.pacing import Lane
from core.orders.lifeline import NO_ANSWER
from core.orders.link import CHECK_AGAIN_SECONDS, BrokerLink
from core.orders.plausible import words
from core.orders.states import Order
from core.orders.ticket import Confirmed
from core.orders.work import limit_at_step, steps_done
from core.portfolio.book import Book
from core.risk import gate
from core.risk.measures import uncovered

PUMP_SECONDS = 1
CANCEL_AGAIN_SECONDS = 10
REPLACE_AGAIN_SECONDS = 15  # a price the broker refused is not asked for again sooner
CLEARING_SECONDS = 0.25  # between looks whether an order that is to be replaced is gone
LOGIN_AGAIN_SECONDS = 120  # asking more often may lock the account at the broker
HEAR_SECONDS = 3  # a cancel waits no longer for its echo where a reconciliation has the ears
PRESS_TO_WIRE_SECONDS = 60  # a confirmed order that could not leave within this is not sent any more


class AccountSender(BrokerLink):
    """Everything between the log and one broker account: the ears, and the one mouth."""

    # --- sending -------------------------------------------------------------------------------------------------------

    async def send(self, confirmed: Confirmed) -> Order:
        """Send a confirmed order; returns it as it stands after the broker's first answer. A cancelled caller leaves nothing half sent."""
        return await self._desk.runtime.to_the_end(self._cleared(confirmed), name=f"send {confirmed.client_id}")

    async def _cleared(self, confirmed: Confirmed) -> Order:
        """Own orders in the way are cancelled first, and proved so; what they filled meanwhile is no more there to be closed."""
        order = self._order(confirmed.client_id)
        stop = await self._clear_the_way(order) if self._unsent(order) and order.envelope.instead_of else None
        if stop is not None:
            async with self._wire:
                if self._unsent(self._order(order.client_id)):
                    await self._one(OrderEnded(client_id=order.client_id, outcome="denied", reason=stop))
            return self._order(order.client_id)
        return await self._send(confirmed)

    async def _clear_the_way(self, order: Order) -> str | None:
        """Why an order cannot be sent in the place of others; None where they are gone and what it closes is still there."""
        book, runtime = self._desk.book, self._desk.runtime
        waiting = [name for name in order.envelope.instead_of if name in book(self._account).live]
        for name in waiting:
            await self.cancel(name, f"order {order.client_id} takes its place")
        until = runtime.seconds() + self._seconds()
        while any(name in book(self._account).live for name in waiting) and runtime.seconds() < until:
            await runtime.sleep(CLEARING_SECONDS)
            try:
                await self.pump(0)
            except (DeskError, TimeoutError, OSError) as error:  # what cannot be heard is not proved: the time limit decides
                runtime.report(f"link of {self._account.id}", error)
        still = [name for name in waiting if name in book(self._account).live]
        if still:
            return f"{', '.join(still)} could not be cancelled first"
        short = shortfall(book(self._account), order)
        if short is None and order.exits and lays_bare(book(self._account), order):
            return f"{', '.join(waiting)} sold more before it was cancelled: this would lay a short open now"
        return None if short is None else f"{short} is not held any more: it was closed meanwhile"

    async def _send(self, confirmed: Confirmed) -> Order:
        await self._mouth.paced(Lane.ORDER)
        async with self._wire:
            async with self._mouth.turn(Lane.ORDER):
                order = self._order(confirmed.client_id)
                if not self._unsent(order):
                    return order
                stop = await self._stop(order, new=True)
                stop = "cancelled before it was sent" if self._order(order.client_id).cancel_asked else self._too_late(order) or stop
                if stop is None:
                    stop = await self._submit(order, confirmed)
            if stop is not None:
                await self._one(OrderEnded(client_id=order.client_id, outcome="denied", reason=stop))
        return self._order(order.client_id)

    def _unsent(self, order: Order) -> bool:
        """Not left in this connection, and nothing heard of it: an earlier connection's orders were found out when this one began."""
        waiting = order.state in (OrderState.SUBMITTING, OrderState.PENDING_CANCEL) and order.broker_ref is None and not order.fills
        return waiting and order.client_id not in self._sent

    def _too_late(self, order: Order) -> str | None:
        waited = abs((self._desk.now() - order.submitted_at).total_seconds())  # abs: a clock set back makes the press as doubtful
        return f"{waited:.0f} seconds passed between the press and the wire" if waited > PRESS_TO_WIRE_SECONDS else None

    async def _end_unsent(self) -> None:
        """An order whose caller went away between the press and the wire: once it is too late to send it, it ends for all to see."""
        for waiting in tuple(self._desk.book(self._account).live.values()):
            if not self._unsent(waiting) or self._too_late(waiting) is None:
                continue
            async with self._wire:
                order = self._order(waiting.client_id)
                if self._unsent(order) and self._reconciled_now():
                    reason = self._too_late(order) or ""
                    await self._one(OrderEnded(client_id=order.client_id, outcome="denied", reason=f"never sent: {reason}"))

    async def _submit(self, order: Order, confirmed: Confirmed) -> str | None:
        try:
            permitted = self._permitted(order, confirmed)
        except gate.NotPermitted as error:
            return str(error)
        self._sent.add(order.client_id)
        try:
            ref: object = await self._wired("submit", order, self._broker.submit(permitted), limit=permitted.limit)
        except (BrokerRejected, LoginNeeded) as error:
            await self._one(OrderEnded(client_id=order.client_id, outcome="rejected", reason=self._said(error)))
            if isinstance(error, LoginNeeded):
                await self._locked_out(error)
        except NO_ANSWER:
            await self._unknown(order, "no answer to the order in time")
        except Exception as error:  # noqa: BLE001 - on the order path any bug leaves the order unknown and the account reducing
            await self._bug(order, error)
        else:
            if isinstance(ref, str) and ref:
                await self._one(OrderAcknowledged(client_id=order.client_id, broker_ref=words(ref), limit=order.limit))
            else:
                await self._unknown(order, f"the broker's answer was no reference ({ref!r:.40})")
        return None

    def _permitted(self, order: Order, confirmed: Confirmed) -> Permitted:
        if order.standing_id is None:
            return gate.permit(
                verdict=confirmed.verdict, envelope=order.envelope, confirmed_hash=order.envelope_hash, client_id=order.client_id,
                ticket_id=order.ticket_id, limit=order.limit, quantity=order.quantity,
            )
        book = self._desk.book(self._account)
        standing, press = book.standing.get(order.standing_id), confirmed.ticket.confirmed
        if standing is None or press is None or press.ticket_id != standing.ticket_id:
            raise gate.NotPermitted(f"{order.standing_id} was never confirmed")
        return gate.permit_part(order, standing, verdict=confirmed.verdict, orders=book.orders, confirmed_hash=press.envelope_hash)

    async def replace(self, client_id: str, limit: Decimal) -> Order:
        """Move the limit of a working order within its envelope; returns the order as it then stands. Nothing is left half sent."""
        return await self._desk.runtime.to_the_end(self._replace(client_id, limit), name=f"replace {client_id}")

    async def _replace(self, client_id: str, limit: Decimal) -> Order:
        await self._mouth.paced(Lane.ORDER)
        async with self._wire, self._mouth.turn(Lane.ORDER):
            order = self._order(client_id)
            if (
                order.state not in (OrderState.WORKING, OrderState.PARTIALLY_FILLED)
                or order.pending_limit is not None
                or limit == order.limit
                or order.held
                or self._refused_lately(client_id, limit)
                or closes_too_much(order, self._desk.book(self._account))
            ):
                return order
            if await self._stop(order, new=False) is not None:
                return order
            permitted = gate.permit_replace(order, limit=limit)
            await self._one(Replacing(client_id=client_id, limit=limit))
            # A HALT or a cancel may have been recorded just before: nothing is awaited between this and the wire.
            stop = "a cancel was asked for" if self._order(client_id).cancel_asked else self._mode_stop(order)
            if stop is not None:
                await self._one(ReplaceRefused(client_id=client_id, limit=order.limit, reason=stop))
                return self._order(client_id)
            await self._replace_on_wire(order, permitted)
        return self._order(client_id)

    def _refused_lately(self, client_id: str, limit: Decimal) -> bool:
        if self._refused.get(client_id) != limit:
            return False
        return self._desk.runtime.seconds() - self._refused_seconds[client_id] < REPLACE_AGAIN_SECONDS

    def _said(self, error: Exception) -> str:
        """The broker's own words: without what they may give away, at a length that can be stored and read."""
        return words(self._desk.redaction.redact(str(error)))

    async def _replace_on_wire(self, order: Order, permitted: Permitted) -> None:
        try:
            await self._wired("replace", order, self._broker.replace(order.client_id, permitted), limit=permitted.limit)
        except (BrokerRejected, LoginNeeded) as error:
            self._refused[order.client_id], self._refused_seconds[order.client_id] = permitted.limit, self._desk.runtime.seconds()
            self._look_soon = True  # the broker may have it as finished: its books say so
            await self._one(ReplaceRefused(client_id=order.client_id, limit=order.limit, reason=self._said(error)))
            if isinstance(error, LoginNeeded):
                await self._locked_out(error)
        except NO_ANSWER:
            await self._unknown(order, "no answer to the price change in time")
        except Exception as error:  # noqa: BLE001 - as in _submit
            await self._bug(order, error)
        else:
            await self._one(OrderAcknowledged(client_id=order.client_id, broker_ref=order.broker_ref or "", limit=permitted.limit))

    async def cancel(self, client_id: str, reason: str, *, actor: str = "desk", writes_off: bool = True) -> Order:
        """Ask the broker to cancel. Works in every mode, with a full disk too; the order is cancelled only when the broker says so.

        An order that the broker's complete books do not have is written off by a person's cancel of that very order: that is the signed
        end of an UNKNOWN. A cancel of everything signs nothing.
        """
        order = self._order(client_id)
        if order.state.terminal:
            return order
        if writes_off and client_id in self._lost and actor.startswith("person:"):
            reason = "not in the broker's complete books; written off by a person"
            await self._one(OrderEnded(client_id=client_id, outcome="cancelled", reason=reason), actor=actor)
            return self._order(client_id)
        try:
            await self._one(CancelRequested(client_id=client_id, reason=reason), actor=actor)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - a cancel takes risk away: it leaves although it cannot be written down now
            self._desk.report(f"cancel of {client_id}", error)
        self._cancel_tried_seconds[client_id] = self._desk.runtime.seconds()
        await self._mouth.paced(Lane.CANCEL)
        async with self._mouth.turn(Lane.CANCEL):
            try:
                await self._wired("cancel", order, self._broker.cancel(client_id))
            except Exception as error:  # noqa: BLE001 - whatever the link does, the other cancels go on and this one is found out
                self._desk.runtime.report(f"cancel of {client_id} not accepted", error)
        try:
            await self._desk.runtime.wait_for(self._desk.runtime.to_the_end(self.pump(0), name=f"hear {self._account.id}"), HEAR_SECONDS)
        except Exception as error:  # noqa: BLE001 - the cancel has left; what is wrong with the ears the account's loop finds too
            self._desk.runtime.report(f"link of {self._account.id}", error)
        order = self._order(client_id)
        if not order.state.terminal and order.broker_ref is None:
            self._find_out()
        return order

    async def cancel_external(self, broker_ref: str, reason: str, *, actor: str) -> ExternalOrder | None:
        """Ask the broker to cancel an order from elsewhere, because a person said so; returns it as it then stands, None if it is over."""
        desk, account = self._desk, self._account
        try:
            await self._one(ExternalCancelRequested(account=account, broker_ref=broker_ref, reason=reason), actor=actor)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - as in cancel: it takes an order away, written down or not
            desk.report(f"cancel of the external order {broker_ref}", error)
        await self._mouth.paced(Lane.CANCEL)
        async with self._mouth.turn(Lane.CANCEL):
            try:
                await self._asked(self._broker.cancel_external(broker_ref), self._seconds())
            except Exception as error:  # noqa: BLE001 - what became of it the broker's books say
                desk.runtime.report(f"cancel of the external order {broker_ref} not accepted", error)
        try:
            await self.pump(0)
            if broker_ref in desk.book(account).external:
                await self.reconcile()
        except Exception as error:  # noqa: BLE001 - the cancel has left; what is wrong with the ears the account's loop finds too
            desk.runtime.report(f"link of {account}", error)
        return desk.book(account).external.get(broker_ref)

    async def _cancel_again(self) -> None:
        """A cancel that may have been lost is asked for again until the broker's word is there."""
        for order in tuple(self._desk.book(self._account).live.values()):
            tried = self._cancel_tried_seconds.get(order.client_id)
            due = tried is None or self._desk.runtime.seconds() - tried >= CANCEL_AGAIN_SECONDS
            asked = order.cancel_asked or tried is not None  # one asked for with a full disk is known to this process only
            if asked and due and order.client_id not in self._lost:
                await self.cancel(order.client_id, order.reason or "asked before")

    async def _stop(self, order: Order, *, new: bool) -> str | None:
        """Why nothing may leave now; None where it may. Read again at the last moment, the mode last of all."""
        desk = self._desk
        try:
            await desk.check_lease()
        except (LeaseLost, Unavailable) as error:
            return str(error)
        too_fast = await self._too_fast() if new and not order.reducing else None
        await desk.settled()  # a HALT that is being written counts
        return too_fast or self._mode_stop(order)

    def _mode_stop(self, order: Order) -> str | None:
        keys, strategy = scope_names(order.envelope.legs), order.envelope.strategy
        mode, reason = self._desk.mode(account=self._account, strategy=strategy, keys=keys)
        if mode not in (Mode.ACTIVE, Mode.PAUSED) and order.uneven:
            return f"the desk is in {mode.value.upper()} ({reason}), and what is left of it is not the structure that was measured"
        if not may_send(mode, order):
            return f"the desk is in {mode.value.upper()}: {reason}"
        return mandate_stop(self._desk, order)

    async def _too_fast(self) -> str | None:
        """New orders that add risk, counted over a minute; more than the limit is a runaway and halts the desk."""
        seconds, limit = self._desk.runtime.seconds(), self._desk.settings.desk.whole("orders_per_minute")
        while self._sent_seconds and seconds - self._sent_seconds[0] >= 60:
            self._sent_seconds.popleft()
        if len(self._sent_seconds) >= limit:
            reason = f"more than {limit} new orders in a minute"
            if not any(entry.cause == "runaway" for entry in self._desk.fold.all_modes()):
                mode = ModeSet(scope=Scope(), mode=Mode.HALT, cause="runaway", reason=reason)
                await self._desk.record(self._desk.draft(mode, actor="rule:orders_per_minute"))
            return reason
        self._sent_seconds.append(seconds)
        return None

    # --- working -------------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Let the exchange do its periodic work, hear it, and walk the price of each working order by the clock."""
        await self.beat()
        await self._cancel_again()
        await self._end_unsent()
        settings = self._desk.settings.desk
        for order in self._walked():
            elapsed = (self._desk.now() - order.submitted_at).total_seconds()
            done = steps_done(
                elapsed_seconds=elapsed, walk_seconds=settings.whole("walk_seconds"), steps=settings.whole("walk_steps"),
                patience_seconds=settings.whole("stop_patience_seconds"),
            )
            target = limit_at_step(order.envelope, done=done, steps=settings.whole("walk_steps"))
            if target < order.limit:
                await self.replace(order.client_id, target)

    def _walked(self) -> tuple[Order, ...]:
        """The orders whose price walks by the clock; what standing orders send is priced by the market, see `core.orders.steward`."""
        return tuple(order for order in self._desk.book(self._account).live.values() if order.standing_id is None)

    async def at_rest(self, limit_seconds: float) -> bool:
        """Wait until nothing is on its way to the broker; False where something still is after that time."""
        try:
            async with self._desk.runtime.timeout(limit_seconds), self._wire, self._mouth.turn(Lane.CANCEL):
                return True
        except TimeoutError:
            return False

    async def settle_down(self, *, walk: bool = False) -> None:
        """Hear all the broker has to say now.

        With `walk`, or where the clock stands so that no time passes by itself, also walk every price to its end.
        """
        await self._alive(self._broker.poll, waits_seconds=self._seconds())
        while await self.pump(0):
            pass
        if not walk and not self._desk.runtime.clock.standing:
            return
        steps = self._desk.settings.desk.whole("walk_steps")
        for done in range(1, steps + 2):
            for order in self._walked():
                target = limit_at_step(order.envelope, done=done, steps=steps)
                if target < order.limit:
                    await self.replace(order.client_id, target)
            while await self.pump(0):
                pass

    async def run(self) -> None:
        """The account's background loop: hear, work, reconcile while something differs, reconnect with growing pauses after a failure.

        It ends where another process has taken the lease: in STANDBY the broker is the other's.
        """
        if self._ran:
            self._down("its loop was started again")  # what it was at is not known: a new connection finds out
        self._ran = True
        while not self._desk.lease_lost:
            await self._desk.runtime.sleep(await self._round_pause_seconds())

    async def _round_pause_seconds(self) -> float:
        """One round of the loop; returns the seconds until the next."""
        try:
            if self._desk.trouble:
                await self._cancel_again()
            if self._retry.failures or self._desk.trouble or not self._reconciled_now() or self._unknown_waits():
                await self.connect()  # after a storage failure too: it shows whether the disk works, and what was not written down
            await self.work()
            await self.keep_books()
            if not self._reconciled_now():
                return self._failed_pause_seconds()
            self._retry.succeeded()
            await self._let_in()
            return PUMP_SECONDS
        except LoginNeeded as error:
            await self._locked_out(error)
            return self._failed_pause_seconds(at_least_seconds=LOGIN_AGAIN_SECONDS)
        except (DeskError, TimeoutError, OSError) as error:
            self._desk.runtime.report(f"link of {self._account.id}", error)
            return self._failed_pause_seconds(at_least_seconds=error.retry_after_seconds if isinstance(error, RateLimited) else 0)
        except Exception as error:  # noqa: BLE001 - a bug must not end the account's ears: it is told, entries stop, the loop goes on
            await self._reducing(self._desk.report(f"account {self._account.id}", error))
            return self._failed_pause_seconds()

    @property
    def may_send_now(self) -> bool:
        """Whether the broker's complete books were compared in this connection and the desk can write down what it does."""
        return self._reconciled_now() and not self._desk.trouble and not self._desk.lease_lost

    def is_lost(self, client_id: str) -> bool:
        """Whether the broker's complete books did not have an order when they were last compared."""
        return client_id in self._lost

    async def reducing_after(self, identity: str) -> None:
        """After a bug with that id only orders that reduce risk pass in this account, until a person has looked."""
        await self._reducing(identity)

    def _reconciled_now(self) -> bool:
        state = self._desk.fold.reconciled(self._account)
        return state is not None and state.complete and state.epoch == self._desk.epochs.get(self._account)

    def _unknown_waits(self) -> bool:
        """An order is still UNKNOWN and nobody is finding out; one the complete books do not have waits for a person instead."""
        live = self._desk.book(self._account).live.values()
        waits = any(order.unknown and order.client_id not in self._lost for order in live)
        return waits and not self._finding_out and self._due(CHECK_AGAIN_SECONDS)


def may_send(mode: Mode, order: Order) -> bool:
    """The mode table for a confirmed order, by what was measured at the press; a standing order's was pressed at an earlier time,
    a mandate's never: in HALT neither is sent.
    """
    automation = order.standing_id is not None or order.mandate is not None
    return lets_through(mode, reducing=order.reducing, exits=order.exits, automation=automation)


def closes_too_much(order: Order, book: Book) -> bool:
    """Whether what is left of an order closes more of a contract than is held."""
    filled = order.filled_contracts
    for leg in order.envelope.legs:
        left = order.quantity * leg.ratio - filled[leg.instrument.key]
        if leg.effect is not Effect.CLOSE or left <= 0:
            continue
        held = book.positions[leg.instrument.key].quantity if leg.instrument.key in book.positions else 0
        if held * leg.side.sign >= 0 or left > abs(held):
            return True
    return False


def shortfall(book: Book, order: Order) -> str | None:
    """The first contract of which less is held than an order would close, beside what other live orders close."""
    for leg in order.envelope.legs:
        if leg.effect is not Effect.CLOSE:
            continue
        held = book.positions.get(leg.instrument.key)
        claimed = sum(
            other.ratio * live.leaves
            for live in book.live.values()
            if live.client_id != order.client_id
            for other in live.envelope.legs
            if other.instrument.key == leg.instrument.key and other.effect is Effect.CLOSE
        )
        asked = leg.contracts(order.quantity)
        if held is None or held.quantity * asked >= 0 or abs(asked) > abs(held.quantity) - claimed:
            return str(getattr(leg.instrument, "label", leg.instrument.key))
    return None


def lays_bare(book: Book, order: Order) -> bool:
    """Whether what an order closes covers a short that nothing else covers; it was judged when less was sold."""
    held = book.holdings()
    before = uncovered(held)
    for leg in order.envelope.legs:
        quantity = held.get(leg.instrument.key, (leg.instrument, 0))[1] + leg.contracts(order.quantity)
        held[leg.instrument.key] = (leg.instrument, quantity)
    return any(count > before.get(slot, 0) for slot, count in uncovered(held).items())


def mandate_stop(desk: Desk, order: Order) -> str | None:
    """Why the mandate an order rests on no longer carries it, None where it does or where a person pressed."""
    if order.mandate is None:
        return None
    state = desk.fold.mandates(now=desk.now()).get(order.mandate)
    if state is None:
        return f"there is no mandate {order.mandate}"
    return f"mandate {order.mandate} {state.ended}" if state.ended else None


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
                await sender.cancel(client_id, reason, actor=actor, writes_off=False)
            except Exception as error:  # noqa: BLE001 - one order's trouble must not keep the others from being cancelled
                desk.runtime.report(f"cancel of {client_id}", error)

    await desk.runtime.gather(*(one_account(sender) for sender in senders))
    done: list[str] = []
    pending: list[str] = []
    for client_id in (client_id for ids in wanted.values() for client_id in ids):
        order = desk.books.order(client_id)
        (done if order is not None and order.state.terminal else pending).append(client_id)
    return Cancelled(done=tuple(done), pending=tuple(pending))
