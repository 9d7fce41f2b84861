"""An exchange and a broker with books of their own, behind a wire that loses, delays, repeats and reorders.

Nothing here is shared with `core/brokers` or `core/portfolio`: what the desk believes is compared with these books. The exchange lives on
while the desk is killed. A connection has an epoch; a request carries the epoch it was sent in, and once a new connection is made a
request of an older one can no longer arrive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from core.domain.accounts import AccountId
from core.domain.calendar import session
from core.domain.events import CashMoved
from core.domain.instruments import Instrument, Option, Right
from core.domain.orders import Envelope, Fill, Leg, Permitted, Side
from core.errors import BrokerRejected, BrokerTimeout, DeskError, Unavailable
from core.ports import BrokerCapabilities, BrokerOrder, BrokerPosition, BrokerSnapshot, BrokerStatus, OrderReport, Preview, Update
from core.runtime import SimLoop, SimProcess
from tests.sim.faults import Faults
from tests.sim.market import CENT, Market

FEE = Decimal("0.65")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Something that left the desk for the broker, noted at its first byte."""

    kind: str  # submit | replace | cancel
    client_id: str
    order: Permitted | None
    epoch: int
    boot: int  # which life of the desk sent it
    durable_seq: int  # the end of the log that was durable at that moment
    at: datetime


@dataclass(slots=True, kw_only=True)
class Resting:
    """An order as the exchange holds it."""

    ref: str
    client_id: str
    legs: tuple[Leg, ...]
    quantity: int
    limit: Decimal
    filled: int = 0
    status: BrokerStatus = BrokerStatus.WORKING

    @property
    def live(self) -> bool:
        return self.status is BrokerStatus.WORKING

    @property
    def leaves(self) -> int:
        return self.quantity - self.filled


@dataclass(slots=True, kw_only=True)
class Fact:
    """Something the broker will tell; `cursor` is its place in the stream once it was told."""

    item: OrderReport | Fill | CashMoved
    cursor: int | None = None


class Watcher(Protocol):
    """Who is told of what happens at the broker, and of what the desk heard of it, as it happens."""

    def wire(self, wire: Wire) -> None: ...

    def accepted(self, order: Resting) -> None: ...

    def executed(self, order: Resting, units: int) -> None: ...

    def heard(self, client_id: str, word: str) -> None: ...


class Exchange:
    """The broker's side: books, matching, reports and connections."""

    def __init__(
        self,
        loop: SimLoop,
        account: AccountId,
        market: Market,
        faults: Faults,
        step: Callable[[str], None],
        start_cash: Decimal,
    ) -> None:
        self.loop = loop
        self.process = loop.process("exchange")
        self.account = account
        self.market = market
        self.faults = faults
        self.watcher: Watcher | None = None
        self.epoch = 0
        self.down_until = -1.0
        self.waiting: dict[int, tuple[int, Any]] = {}  # answers that a connection still owes: serial -> epoch, future
        self.orders: dict[str, Resting] = {}
        self.cash = ZERO
        self.held: dict[str, tuple[Instrument, int]] = {}
        self.facts: list[Fact] = []
        self.stream: list[Fact] = []
        self._step = step
        self._executions = 0
        self._refs = 1000
        self._serial = 0
        self._move(start_cash, "deposit")
        self.later(1.0, self._tick)

    # --- time

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something later, whatever becomes of the desk."""
        with self.loop.inside(self.process):
            self.loop.call_later(seconds, act)

    def _tick(self) -> None:
        """One second of the exchange."""
        self.later(1.0, self._tick)
        for order in [order for order in self.orders.values() if order.live]:
            self._match(order)
            if order.live and (self._closed() or self.faults.hits("expire_order")):
                self._end(order, BrokerStatus.EXPIRED, "end of day")

    def _closed(self) -> bool:
        now = self.market.now()
        today = session(now.date())
        return today is None or now >= today.close_at

    # --- connections

    def disconnect(self, seconds: float, *, silent: bool) -> None:
        """Drop the connection. A silent one just stops answering; otherwise whoever waits is told at once."""
        self.epoch += 1
        self.down_until = self.loop.time() + seconds
        if not silent:
            for serial, (_, future) in list(self.waiting.items()):
                del self.waiting[serial]
                self.later(0.0, lambda future=future: _fail(future, Unavailable("broker", why="the connection was lost")))

    def roll(self) -> None:
        """The broker restarts: connections drop and its numbering begins again at an arbitrary place below."""
        self._refs = self.faults.rng.randrange(1, max(2, self._refs))
        self.disconnect(self.faults.rng.uniform(1, 20), silent=False)

    def open_connection(self) -> int:
        """A new connection; requests of all earlier ones are dead from here on."""
        if self.loop.time() < self.down_until:
            raise Unavailable("broker", why="nobody answers there")
        self.epoch += 1
        return self.epoch

    async def call(self, name: str, epoch: int | None, act: Callable[[], Any]) -> Any:
        """Carry a request over and its answer back, if they get there. `epoch` None is a request for a connection."""
        faults, rng = self.faults, self.faults.rng
        self._step(f"broker {name}")
        future = self.loop.create_future()
        self._serial += 1
        serial = self._serial
        self.waiting[serial] = (epoch or 0, future)
        if epoch is not None and epoch != self.epoch:
            if rng.random() < 0.7:
                raise Unavailable("broker", why="the connection is gone")
            await future  # half open: no error and no answer
        there, back = rng.uniform(0.005, 0.2), rng.uniform(0.005, 0.2)
        if faults.hits("request_slow"):
            there += rng.choice((2.0, 9.9, 15.0))
        lost = name not in ("updates", "poll") and faults.hits("request_lost")
        unanswered = faults.hits("answer_lost") if name in ("submit", "replace", "cancel", "connect") else faults.hits("hang")
        if not lost:
            self.later(there, lambda: self._arrive(name, epoch, act, future, serial, None if unanswered else back))
        return await future

    def _arrive(self, name: str, epoch: int | None, act: Callable[[], Any], future: Any, serial: int, back: float | None) -> None:
        if epoch is not None and epoch != self.epoch:
            self.faults.count("dead_request")
            return
        error: DeskError | None = None
        result: Any = None
        try:
            result = act()
        except DeskError as raised:
            error = raised
        if back is None:
            return
        bound = result if name == "connect" and error is None else epoch

        def answer() -> None:
            self.waiting.pop(serial, None)
            if bound is not None and bound != self.epoch:
                return
            if error is not None:
                _fail(future, error)
            elif not future.done():
                future.set_result(result)

        self.later(back, answer)

    # --- requests

    def submit(self, order: Permitted) -> str:
        self._step("exchange takes an order")
        if self.faults.hits("refuse_order"):
            raise BrokerRejected("201", "not enough margin")
        self._refs += 1
        while str(self._refs) in self.orders:
            self._refs += 1
        resting = Resting(
            ref=str(self._refs), client_id=order.client_id, legs=order.envelope.legs, quantity=order.quantity, limit=order.limit
        )
        self.orders[resting.ref] = resting
        if self.watcher is not None:
            self.watcher.accepted(resting)
        self._report(resting, BrokerStatus.WORKING)
        if self.faults.hits("refuse_late"):
            self.later(self.faults.rng.uniform(0.1, 5.0), lambda: self._end(resting, BrokerStatus.REJECTED, "the exchange refused it"))
        elif self.faults.rng.random() < 0.3:
            self._match(resting)  # filled before anybody hears that it was accepted
        return resting.ref

    def replace(self, client_id: str, order: Permitted) -> None:
        self._step("exchange takes a replace")
        resting = self.live(client_id)
        if resting is None:
            raise BrokerRejected("104", "cannot modify a finished order")
        if self.faults.hits("refuse_replace"):
            raise BrokerRejected("110", "the price does not conform to the minimum variation")
        resting.limit = order.limit
        self._report(resting, BrokerStatus.WORKING)

    def cancel(self, client_id: str) -> None:
        self._step("exchange takes a cancel")
        resting = self.live(client_id)
        if resting is None:
            raise BrokerRejected("161", "no such working order")
        if self.faults.hits("cancel_too_late"):
            self._fill(resting, resting.leaves)
            if self.faults.rng.random() < 0.5:
                raise BrokerRejected("161", "too late to cancel")
            return
        self._end(resting, BrokerStatus.CANCELLED, "cancelled on request")

    def snapshot(self, since: int) -> BrokerSnapshot:
        fresh = [fact.item for fact in self.facts if fact.cursor is None or fact.cursor > since]
        ended = {item.broker_ref for item in fresh if isinstance(item, OrderReport)}
        orders = [self._shown(order) for order in self.orders.values() if order.live or order.ref in ended]
        positions = [BrokerPosition(instrument=instrument, quantity=count) for instrument, count in self.held.values()]
        fills = [item for item in fresh if isinstance(item, Fill)]
        complete = True
        if self.faults.hits("snapshot_cut"):
            complete = False
            rng = self.faults.rng
            orders, positions, fills = ([item for item in part if rng.random() < 0.5] for part in (orders, positions, fills))
        elif self.faults.hits("snapshot_empty"):
            complete, orders, positions, fills = False, [], [], []
        return BrokerSnapshot(
            account=self.account,
            epoch=self.epoch,
            complete=complete,
            at=self.market.now(),
            cash=self.cash,
            orders=tuple(orders),
            positions=tuple(positions),
            fills=tuple(fills),
            settlements=(),
            movements=tuple(item for item in fresh if isinstance(item, CashMoved)),
            cursor=len(self.stream),
        )

    def updates(self, since: int) -> tuple[Update, ...]:
        fresh = self.stream[since:]
        if fresh and since and self.faults.hits("repeat_update"):
            fresh = [*self.stream[max(0, since - self.faults.rng.randint(1, 4)) : since], *fresh, self.faults.rng.choice(fresh)]
            self.faults.rng.shuffle(fresh)
        if fresh:
            self._step("broker reports")
        return tuple(Update(cursor=fact.cursor or 0, epoch=self.epoch, item=fact.item) for fact in fresh)

    def preview(self, envelope: Envelope) -> Preview:
        before = self._needed(())
        after = self._needed([(leg.instrument, leg.contracts(envelope.quantity)) for leg in envelope.legs])
        cash_after = self.cash + envelope.plan.start * 100 * envelope.quantity
        return Preview(
            margin_before=before,
            margin_after=after,
            buying_power_before=self.cash - before,
            buying_power_after=cash_after - after,
            commission=FEE * envelope.quantity * len(envelope.legs),
            source="sim",
        )

    # --- books

    def live(self, client_id: str) -> Resting | None:
        """The live order of a client id."""
        return next((order for order in self.orders.values() if order.client_id == client_id and order.live), None)

    def outside_trade(self) -> None:
        """A fill and a fee that did not come from the desk."""
        rng = self.faults.rng
        contract, (_, ask) = rng.choice([(item, self.market.prices()[item.key]) for item in self.market._rows if item.right is Right.PUT])
        self._execute(None, contract, Side.BUY, 1, Decimal(str(ask)))
        self._move(Decimal("-1.25"), "fee")
        self.faults.count("outside")

    def _match(self, order: Resting) -> None:
        prices = self.market.prices()
        natural = mid = 0.0
        for leg in order.legs:
            bid, ask = prices[leg.instrument.key]
            natural -= leg.side.sign * leg.ratio * (ask if leg.side is Side.BUY else bid)
            mid -= leg.side.sign * leg.ratio * (bid + ask) / 2
        limit = float(order.limit)
        chance = 0.5 if limit <= natural + 1e-9 else 0.08 if limit <= mid + 1e-9 else 0.0
        if self.faults.rng.random() < chance:
            self._fill(order, self.faults.rng.randint(1, order.leaves))

    def _fill(self, order: Resting, units: int) -> None:
        self._step("exchange fills")
        order.filled += units
        if order.filled >= order.quantity:
            order.status = BrokerStatus.FILLED
        if self.watcher is not None:
            self.watcher.executed(order, units)
        rest, first = ZERO, order.legs[0]
        prices = self.market.prices()
        for leg in order.legs[1:]:
            price = Decimal(str(prices[leg.instrument.key][0])).quantize(CENT)
            rest -= leg.side.sign * price
            self._execute(order.client_id, leg.instrument, leg.side, units * leg.ratio, price)
        self._execute(order.client_id, first.instrument, first.side, units * first.ratio, (rest - order.limit) * first.side.sign)
        if order.status is BrokerStatus.FILLED:
            self._report(order, BrokerStatus.FILLED)

    def _execute(self, client_id: str | None, instrument: Instrument, side: Side, quantity: int, price: Decimal) -> None:
        self._executions += 1
        fill = Fill(
            exec_id=f"X{self._executions}",
            account=self.account,
            client_id=client_id,
            instrument=instrument,
            side=side,
            quantity=quantity,
            price=price,
            fees=FEE * quantity,
            at=self.market.now(),
        )
        self._book(fill, 1)
        self._publish(fill)
        if self.faults.hits("correct_fill"):
            corrected = Fill(
                exec_id=f"{fill.exec_id}.1",
                account=self.account,
                client_id=client_id,
                instrument=instrument,
                side=side,
                quantity=quantity,
                price=price + CENT,
                fees=fill.fees,
                at=fill.at,
                corrects=fill.exec_id,
            )
            self._book(fill, -1)
            self._book(corrected, 1)
            self._publish(corrected)

    def _book(self, fill: Fill, sign: int) -> None:
        key, change = fill.instrument.key, fill.side.sign * fill.quantity * sign
        self.cash -= fill.price * fill.instrument.multiplier * change + fill.fees * sign
        count = self.held.get(key, (fill.instrument, 0))[1] + change
        if count:
            self.held[key] = (fill.instrument, count)
        else:
            self.held.pop(key, None)

    def _move(self, amount: Decimal, reason: str) -> None:
        self.cash += amount
        self._publish(
            CashMoved(movement_id=f"M{len(self.facts)}", account=self.account, amount=amount, reason=reason, at=self.market.now())
        )

    def _end(self, order: Resting, status: BrokerStatus, reason: str) -> None:
        if order.live:
            order.status = status
            self._report(order, status, reason)

    def _needed(self, more: Any) -> Decimal:
        """What the holdings could lose at expiry, at worst, with every live opening order filled: this broker's margin."""
        held = {key: (item, count) for key, (item, count) in self.held.items()}
        added = [(leg.instrument, leg.contracts(order.leaves)) for order in self.orders.values() if order.live for leg in order.legs]
        for instrument, count in (*added, *more):
            held[instrument.key] = (instrument, held.get(instrument.key, (instrument, 0))[1] + count)
        return worst_at_expiry(held.values())

    # --- telling

    def _shown(self, order: Resting) -> BrokerOrder:
        return BrokerOrder(
            client_id=order.client_id,
            broker_ref=order.ref,
            status=order.status,
            limit=order.limit,
            quantity=order.quantity,
            filled=order.filled,
            description=f"{order.quantity} of {len(order.legs)} legs",
        )

    def _report(self, order: Resting, status: BrokerStatus, reason: str = "") -> None:
        self._publish(OrderReport(client_id=order.client_id, broker_ref=order.ref, status=status, limit=order.limit, reason=reason))

    def _publish(self, item: OrderReport | Fill | CashMoved) -> None:
        """Put a report on its way into the stream; a late one is overtaken by what happens after it."""
        fact = Fact(item=item)
        self.facts.append(fact)
        rng = self.faults.rng
        self.later(rng.uniform(1, 40) if self.faults.hits("late_report") else rng.uniform(0, 0.3), lambda: self._release(fact))

    def _release(self, fact: Fact) -> None:
        self.stream.append(fact)
        fact.cursor = len(self.stream)


class Link:
    """The Broker port of one life of the desk: it only carries requests to the exchange."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        boot: int,
        process: SimProcess,
        durable_seq: Callable[[], int],
        now: Callable[[], datetime],
    ) -> None:
        self._exchange = exchange
        self._boot = boot
        self._process = process
        self._durable_seq = durable_seq
        self._now = now
        self._epoch = 0

    @property
    def capabilities(self) -> BrokerCapabilities:
        return BrokerCapabilities(name="sim", env="paper", max_legs=4, combos=True, what_if=True, deduplicates=False, gtc=True)

    @property
    def account(self) -> AccountId:
        return self._exchange.account

    async def connect(self) -> int:
        self._epoch = await self._exchange.call("connect", None, self._exchange.open_connection)
        return self._epoch

    async def preview(self, envelope: Envelope) -> Preview:
        found: Preview = await self._ask("preview", lambda: self._exchange.preview(envelope))
        return found

    async def submit(self, order: Permitted) -> str:
        ref: str = await self._order("submit", order.client_id, order, lambda: self._exchange.submit(order))
        return ref

    async def replace(self, client_id: str, order: Permitted) -> None:
        await self._order("replace", client_id, order, lambda: self._exchange.replace(client_id, order))

    async def cancel(self, client_id: str) -> None:
        await self._order("cancel", client_id, None, lambda: self._exchange.cancel(client_id))

    async def cancel_external(self, broker_ref: str) -> None:
        raise BrokerRejected("161", "no such order")  # nobody enters orders elsewhere here; outside trades are fills at once

    async def snapshot(self, *, since: int = 0) -> BrokerSnapshot:
        found: BrokerSnapshot = await self._ask("snapshot", lambda: self._exchange.snapshot(since))
        for order in found.orders:
            self._heard(order.client_id, order.status.value)
        for fill in found.fills:
            self._heard(fill.client_id, "filled")
        if self._exchange.faults.hits("crash_in_recovery"):
            await self._exchange.loop.die(self._process)
        return found

    async def updates(self, *, since: int, wait_seconds: float) -> tuple[Update, ...]:
        found: tuple[Update, ...] = await self._ask("updates", lambda: self._exchange.updates(since))
        for update in found:
            if isinstance(update.item, OrderReport):
                self._heard(update.item.client_id, update.item.status.value)
            elif isinstance(update.item, Fill):
                self._heard(update.item.client_id, "filled")
        return found

    async def poll(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def _ask(self, name: str, act: Callable[[], Any]) -> Any:
        return await self._exchange.call(name, self._epoch, act)

    async def _order(self, kind: str, client_id: str, order: Permitted | None, act: Callable[[], Any]) -> Any:
        """A place, replace or cancel: noted at its first byte. Its connection breaking says nothing of what became of it."""
        exchange = self._exchange
        when = exchange.faults.rng.choice(("before", "after")) if exchange.faults.hits("crash_at_wire") else ""
        if when == "before":
            await exchange.loop.die(self._process)
        if exchange.watcher is not None:
            exchange.watcher.wire(
                Wire(
                    kind=kind,
                    client_id=client_id,
                    order=order,
                    epoch=self._epoch,
                    boot=self._boot,
                    durable_seq=self._durable_seq(),
                    at=self._now(),
                )
            )
        if when == "after":
            exchange.later(0.001, lambda: exchange.loop.abandon(self._process))
        try:
            answer = await exchange.call(kind, self._epoch, act)
        except Unavailable as error:
            raise BrokerTimeout(str(error)) from error
        except BrokerRejected:
            if kind == "submit":
                self._heard(client_id, "rejected")
            raise
        if kind != "cancel":
            self._heard(client_id, "working")
        return answer

    def _heard(self, client_id: str | None, word: str) -> None:
        if self._exchange.watcher is not None and client_id:
            self._exchange.watcher.heard(client_id, word)


def worst_at_expiry(held: Any, *, floor: Decimal = ZERO) -> Decimal:
    """The most that option holdings can lose at expiry, expiry by expiry, from `floor` to three times the highest strike."""
    total = ZERO
    by_expiry: dict[Any, list[tuple[Option, int]]] = {}
    for instrument, count in held:
        if isinstance(instrument, Option) and count:
            by_expiry.setdefault(instrument.expiry, []).append((instrument, count))
    for group in by_expiry.values():
        strikes = sorted({item.strike for item, _ in group if item.strike > floor})
        top = max(item.strike for item, _ in group) * 3
        worst = min(sum(_value(item, level) * count for item, count in group) for level in (floor, *strikes, top))
        total -= min(ZERO, worst)
    return total


def _value(contract: Option, level: Decimal) -> Decimal:
    intrinsic = contract.strike - level if contract.right is Right.PUT else level - contract.strike
    return max(ZERO, intrinsic) * contract.multiplier


def _fail(future: Any, error: DeskError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # who waited may be dead; nobody else is to be told


@dataclass(slots=True)
class Ledger:
    """What the exchange says at the end, for comparison."""

    cash: Decimal
    held: dict[str, int] = field(default_factory=dict)


def ledger(exchange: Exchange) -> Ledger:
    """The exchange's books as plain numbers."""
    return Ledger(cash=exchange.cash, held={key: count for key, (_, count) in exchange.held.items()})
