"""One account at an exchange with books of its own: orders, executions, holdings and cash, and the stream of what it reports.

Nothing here is shared with `core/brokers` or `core/portfolio`: what the desk believes is compared with these books. The exchange lives on
while the desk is killed. How its reports reach the desk is `tests.sim.broker`'s business, what befalls the account beside orders that of
`tests.sim.clearing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from core.domain.accounts import AccountId
from core.domain.calendar import EXCHANGE, hours, session
from core.domain.events import CashMoved, Settled
from core.domain.instruments import Instrument, Option
from core.domain.orders import Envelope, Fill, Leg, Permitted, Side, TimeInForce
from core.errors import BrokerRejected
from core.ports import BrokerOrder, BrokerPosition, BrokerSnapshot, BrokerStatus, OrderReport, Preview, Update
from core.runtime import SimLoop
from tests.sim.faults import Faults
from tests.sim.market import CENT, Market
from tests.sim.worth import worst_at_expiry

FEE = Decimal("0.65")
ZERO = Decimal(0)
ANY_PRICE = Decimal(-10_000)  # the limit of an order that is taken at any price
TICK_SECONDS = 1.0
Item = OrderReport | BrokerOrder | Fill | CashMoved | Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Something that left the desk for the broker, noted at its first byte."""

    kind: str  # submit | replace | cancel
    account: AccountId
    client_id: str
    order: Permitted | None
    epoch: int
    boot: int  # which life of the desk sent it
    durable_seq: int  # the end of the log that was durable at that moment
    at: datetime


@dataclass(slots=True, kw_only=True)
class Resting:
    """An order as the exchange holds it; `client_id` is None where somebody entered it in the broker's own program."""

    ref: str
    client_id: str | None
    legs: tuple[Leg, ...]
    quantity: int
    limit: Decimal
    until: datetime | None = None  # a day order's end
    done: dict[str, int] = field(default_factory=dict)  # contracts executed by leg
    over: bool = False  # the exchange itself executed more than was ordered
    late: int = 0  # units the exchange executed after it had said that the order is over
    silent: bool = False  # the books do not say what it trades
    status: BrokerStatus = BrokerStatus.WORKING

    @property
    def live(self) -> bool:
        return self.status.live

    @property
    def filled(self) -> int:
        """Whole units executed on every leg."""
        return min(self.done.get(leg.instrument.key, 0) // leg.ratio for leg in self.legs)

    @property
    def begun(self) -> int:
        """Units of which at least one leg was executed."""
        return max(-(-self.done.get(leg.instrument.key, 0) // leg.ratio) for leg in self.legs)

    @property
    def leaves(self) -> int:
        return max(0, self.quantity - self.begun)

    @property
    def lagging(self) -> list[tuple[Leg, int]]:
        """Legs that are behind the fullest one, with the contracts missing."""
        behind = [(leg, self.begun * leg.ratio - self.done.get(leg.instrument.key, 0)) for leg in self.legs]
        return [(leg, count) for leg, count in behind if count > 0]


@dataclass(slots=True, kw_only=True)
class Fact:
    """Something the broker will tell; `cursor` is its place in the stream once it was told."""

    item: Item
    cursor: int | None = None


class Watcher(Protocol):
    """Who is told of what happens at the broker, and of what the desk heard of it, as it happens."""

    def wire(self, wire: Wire) -> None: ...

    def accepted(self, exchange: Exchange, order: Resting) -> None: ...

    def executed(self, exchange: Exchange, order: Resting) -> None: ...

    def heard(self, account: AccountId, items: Iterable[object]) -> None: ...

    def asked(self, account: AccountId, since: int) -> None: ...

    def cancels_external(self, account: AccountId, broker_ref: str) -> None: ...


class Exchange:
    """One account's books and orders."""

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
        self.process = loop.process(f"exchange {account.id}")
        self.account = account
        self.market = market
        self.faults = faults
        self.step = step
        self.watcher: Watcher | None = None
        self.epoch = 0  # of the connection in force
        self.orders: dict[str, Resting] = {}
        self.cash = ZERO
        self.held: dict[str, tuple[Instrument, int]] = {}
        self.executions: dict[str, Fill] = {}  # those that count
        self.owners: dict[str, Resting] = {}  # execution -> the order it belongs to
        self.glitch: dict[str, tuple[Instrument, int]] = {}  # what the books show and do not hold
        self.facts: list[Fact] = []
        self.stream: list[Fact] = []
        self.refs = 1000
        self._made = 0
        self.move_cash(start_cash, "deposit")
        self.later(TICK_SECONDS, self._tick)

    # --- time

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something later, whatever becomes of the desk."""
        with self.loop.inside(self.process):
            self.loop.call_later(seconds, act)

    def _tick(self) -> None:
        """One second of the exchange."""
        self.later(TICK_SECONDS, self._tick)
        for order in [order for order in self.orders.values() if order.live]:
            self._match(order)
            if order.live and ((order.until is not None and self.market.now() >= order.until) or self.faults.hits("expire_order")):
                self.end(order, BrokerStatus.EXPIRED, "end of day")

    def new_id(self, prefix: str) -> str:
        """An id of this account; another account may well have the same."""
        self._made += 1
        return f"{prefix}{self._made}"

    # --- requests

    def submit(self, permitted: Permitted) -> str:
        self.step("exchange takes an order")
        if self.faults.hits("refuse_order"):
            raise BrokerRejected("201", self.faults.words("not enough margin"))
        day_ends = self._day_ends(permitted.envelope)
        if day_ends is None or day_ends <= self.market.now():
            raise BrokerRejected("201", "the exchange is closed")
        until = None if permitted.envelope.tif is TimeInForce.GTC else day_ends
        order = self.rest(permitted.client_id, permitted.envelope.legs, permitted.quantity, permitted.limit, until=until)
        if self.faults.hits("refuse_late"):
            self.later(self.faults.rng.uniform(0.1, 5.0), lambda: self.end(order, BrokerStatus.REJECTED, "the exchange refused it"))
        elif self.faults.hits("held_order"):
            self._hold_back(order, self.faults.rng.uniform(10, 120))
        elif self.faults.rng.random() < 0.3:
            self._match(order)  # filled before anybody hears that it was accepted
        return order.ref

    def _hold_back(self, order: Resting, seconds: float) -> None:
        """Keep an order from the exchange for a while, as before the open or for a locate."""
        order.status = BrokerStatus.HELD
        self._report(order, BrokerStatus.HELD, self.faults.words("held until it can be routed"))
        self.later(seconds, lambda: self.release(order))

    def release(self, order: Resting) -> None:
        """Let an order that was held back work."""
        if order.status is BrokerStatus.HELD:
            order.status = BrokerStatus.WORKING
            self._report(order, BrokerStatus.WORKING)

    def rest(self, client_id: str | None, legs: tuple[Leg, ...], quantity: int, limit: Decimal, *, until: datetime | None) -> Resting:
        """Put an order into the books."""
        self.refs += 1
        while str(self.refs) in self.orders:
            self.refs += 1
        order = Resting(ref=str(self.refs), client_id=client_id, legs=legs, quantity=quantity, limit=limit, until=until)
        self.orders[order.ref] = order
        if self.watcher is not None:
            self.watcher.accepted(self, order)
        self._report(order, BrokerStatus.WORKING)
        return order

    def replace(self, client_id: str, permitted: Permitted) -> None:
        self.step("exchange takes a replace")
        order = self.live(client_id)
        if order is None:
            raise BrokerRejected("104", "cannot modify a finished order")
        if self.faults.hits("refuse_replace"):
            raise BrokerRejected("110", self.faults.words("the price does not conform to the minimum variation"))
        order.limit = permitted.limit
        self._report(order, order.status)

    def cancel(self, client_id: str) -> None:
        self.step("exchange takes a cancel")
        order = self.live(client_id)
        if order is None:
            raise BrokerRejected("161", "no such working order")
        if self.faults.hits("cancel_too_late"):
            self._fill(order, order.leaves)
            if self.faults.rng.random() < 0.5:
                raise BrokerRejected("161", "too late to cancel")
            return
        self.end(order, BrokerStatus.CANCELLED, "cancelled on request")

    def cancel_external(self, ref: str) -> None:
        self.step("exchange takes a cancel")
        order = self.orders.get(ref)
        if order is None or not order.live or order.client_id is not None:
            raise BrokerRejected("161", "no such working order")
        self.end(order, BrokerStatus.CANCELLED, "cancelled on request")

    def snapshot(self, since: int) -> BrokerSnapshot:
        fresh = [fact.item for fact in self.facts if fact.cursor is None or fact.cursor > since]
        ended = {item.broker_ref for item in fresh if isinstance(item, OrderReport | BrokerOrder)}
        orders = [_shown(order) for order in self.orders.values() if order.live or order.ref in ended]
        positions = [BrokerPosition(instrument=instrument, quantity=count) for instrument, count in self.shown().values() if count]
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
            settlements=tuple(item for item in fresh if isinstance(item, Settled)),
            movements=tuple(item for item in fresh if isinstance(item, CashMoved)),
            cursor=len(self.stream),
        )

    def shown(self) -> dict[str, tuple[Instrument, int]]:
        """Holdings as the books show them."""
        shown = dict(self.held)
        for key, (instrument, count) in self.glitch.items():
            shown[key] = (instrument, shown.get(key, (instrument, 0))[1] + count)
        return shown

    def updates(self, since: int) -> tuple[Update, ...]:
        fresh = self.stream[since:]
        if fresh and since and self.faults.hits("repeat_update"):
            fresh = [*self.stream[max(0, since - self.faults.rng.randint(1, 4)) : since], *fresh, self.faults.rng.choice(fresh)]
            self.faults.rng.shuffle(fresh)
        if fresh:
            self.step("broker reports")
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

    # --- orders

    def live(self, client_id: str) -> Resting | None:
        """The live order of a client id."""
        return next((order for order in self.orders.values() if order.client_id == client_id and order.live), None)

    def end(self, order: Resting, status: BrokerStatus, reason: str) -> None:
        """An order's end, unless it has ended already."""
        if not order.live:
            return
        order.status = status
        self._report(order, status, self.faults.words(reason))
        if order.client_id is not None and self.faults.hits("fill_after_end"):
            self.later(self.faults.rng.uniform(0.5, 20.0), lambda: self._crossed(order))

    def open_for(self, legs: Iterable[Leg]) -> bool:
        """Whether every leg can trade at this moment."""
        return not any(self.market.closed(leg.instrument) or self.market.price(leg.instrument.key) is None for leg in legs)

    def _day_ends(self, envelope: Envelope) -> datetime | None:
        """When a day order of these legs ends; None where one of them does not trade today."""
        day = self.market.now().astimezone(EXCHANGE).date()
        ends = []
        for leg in envelope.legs:
            item, regular = leg.instrument, session(day)
            span = hours(item.series, day, item.expiry) if isinstance(item, Option) else regular and (regular.open_at, regular.close_at)
            if span is None:
                return None
            ends.append(span[1])
        return min(ends)

    def _crossed(self, order: Resting) -> None:
        """An execution had crossed the order's end: it counts."""
        if order.leaves and self.open_for(order.legs):
            units = self.faults.rng.randint(1, order.leaves)
            order.late += 0 if order.live else units
            self._fill(order, units)

    def _match(self, order: Resting) -> None:
        if order.status is BrokerStatus.HELD or not self.open_for(order.legs):
            return
        rng = self.faults.rng
        if order.lagging:
            if rng.random() < 0.3:
                self.catch_up(order)
            return
        natural = mid = 0.0
        for leg in order.legs:
            bid, ask = self.market.price(leg.instrument.key) or (0.0, 0.0)
            natural -= leg.side.sign * leg.ratio * (ask if leg.side is Side.BUY else bid)
            mid -= leg.side.sign * leg.ratio * (bid + ask) / 2
        limit = float(order.limit)
        chance = 0.5 if limit <= natural + 1e-9 else 0.08 if limit <= mid + 1e-9 else 0.0
        if order.leaves and rng.random() < chance:
            self._fill(order, rng.randint(1, order.leaves))

    def _fill(self, order: Resting, units: int) -> None:
        """Execute so many units, or one leg of them first while the others wait."""
        if not units:
            return self.catch_up(order)
        self.step("exchange fills")
        legs = order.legs
        if len(legs) > 1 and self.faults.hits("leg_alone"):
            legs = (self.faults.rng.choice(legs),)
        elif units == order.leaves and self.faults.hits("overfill"):
            units, order.over = units + 1, True
        for leg in legs:
            self._execute(order, leg, units * leg.ratio)
        return self._looked_at(order)

    def catch_up(self, order: Resting) -> None:
        """Legs that were left behind are executed too."""
        self.step("exchange fills")
        for leg, count in order.lagging:
            self._execute(order, leg, count)
        self._looked_at(order)

    def _looked_at(self, order: Resting) -> None:
        if order.live and order.filled >= order.quantity:
            order.status = BrokerStatus.FILLED
            self._report(order, BrokerStatus.FILLED)
        if self.watcher is not None:
            self.watcher.executed(self, order)

    def _execute(self, order: Resting, leg: Leg, quantity: int) -> None:
        key = leg.instrument.key
        order.done[key] = order.done.get(key, 0) + quantity
        fill = self.execution(order.client_id, leg.instrument, leg.side, quantity, self._price(order, leg))
        self.owners[fill.exec_id] = order
        if self.faults.hits("correct_fill"):
            self.correct(fill)

    def _price(self, order: Resting, leg: Leg) -> Decimal:
        """Every leg at the bid but the first, which makes the sum the order's limit; each at its bid where any price is taken."""
        quotes = {item.instrument.key: self.market.price(item.instrument.key) or (0.03, 0) for item in order.legs}
        bids = {key: Decimal(str(bid)).quantize(CENT) for key, (bid, _) in quotes.items()}
        if leg is not order.legs[0] or order.limit <= ANY_PRICE:
            return bids[leg.instrument.key]
        rest = sum((-item.side.sign * item.ratio * bids[item.instrument.key] for item in order.legs[1:]), ZERO)
        return ((rest - order.limit) * leg.side.sign / leg.ratio).quantize(CENT)

    # --- books

    def execution(self, client_id: str | None, instrument: Instrument, side: Side, quantity: int, price: Decimal) -> Fill:
        """An execution, booked and on its way to be told."""
        fill = Fill(
            exec_id=self.new_id("X"),
            account=self.account,
            client_id=client_id,
            instrument=instrument,
            side=side,
            quantity=quantity,
            price=price,
            fees=FEE * quantity if isinstance(instrument, Option) else ZERO,
            at=self.market.now(),
        )
        self.executions[fill.exec_id] = fill
        self._book(fill, 1)
        self.publish(fill)
        return fill

    def correct(self, fill: Fill, *, bust: bool = False) -> None:
        """Replace an execution by a better account of it, or by the news that it never happened."""
        rng, order = self.faults.rng, self.owners.get(fill.exec_id)
        quantity = fill.quantity if bust or rng.random() < 0.7 else max(1, fill.quantity - 1)
        corrected = Fill(
            exec_id=f"{fill.exec_id}.1",
            account=self.account,
            client_id=fill.client_id,
            instrument=fill.instrument,
            side=fill.side,
            quantity=quantity,
            price=fill.price if bust else fill.price + CENT,
            fees=fill.fees,
            at=fill.at,
            corrects=fill.exec_id,
            busted=bust,
        )
        del self.executions[fill.exec_id]
        self._book(fill, -1)
        if not bust:
            self.executions[corrected.exec_id] = corrected
            self._book(corrected, 1)
        if order is not None:
            order.done[fill.instrument.key] -= fill.quantity if bust else fill.quantity - quantity
            self.owners[corrected.exec_id] = order
        self.publish(corrected)

    def hold(self, instrument: Instrument, change: int) -> None:
        """Change a holding."""
        count = self.held.get(instrument.key, (instrument, 0))[1] + change
        if count:
            self.held[instrument.key] = (instrument, count)
        else:
            self.held.pop(instrument.key, None)

    def move_cash(self, amount: Decimal, reason: str, *, told_after: float = 0.0) -> None:
        """Book money outside trading; `told_after` seconds is how long the books hide why the cash has changed."""
        self.cash += amount
        item = CashMoved(movement_id=self.new_id("M"), account=self.account, amount=amount, reason=reason, at=self.market.now())
        if told_after:
            self.later(told_after, lambda: self.publish(item))
        else:
            self.publish(item)

    def _book(self, fill: Fill, sign: int) -> None:
        change = fill.side.sign * fill.quantity * sign
        self.cash -= fill.price * fill.instrument.multiplier * change + fill.fees * sign
        self.hold(fill.instrument, change)

    def _needed(self, more: Iterable[tuple[Instrument, int]]) -> Decimal:
        """What the options held could lose at expiry, at worst, with every live order filled: this broker's margin."""
        held = dict(self.held)
        added = [(leg.instrument, leg.contracts(order.leaves)) for order in self.orders.values() if order.live for leg in order.legs]
        for instrument, count in (*added, *more):
            held[instrument.key] = (instrument, held.get(instrument.key, (instrument, 0))[1] + count)
        return worst_at_expiry(held.values())

    # --- telling

    def publish(self, item: Item) -> None:
        """Put a report on its way into the stream; a late one is overtaken by what happens after it."""
        fact = Fact(item=item)
        self.facts.append(fact)
        rng = self.faults.rng
        self.later(rng.uniform(1, 40) if self.faults.hits("late_report") else rng.uniform(0, 0.3), lambda: self._release(fact))

    def _report(self, order: Resting, status: BrokerStatus, reason: str = "") -> None:
        if order.client_id is None:
            self.publish(_shown(order))
        else:
            self.publish(OrderReport(client_id=order.client_id, broker_ref=order.ref, status=status, limit=order.limit, reason=reason))

    def _release(self, fact: Fact) -> None:
        self.stream.append(fact)
        fact.cursor = len(self.stream)


def _shown(order: Resting) -> BrokerOrder:
    return BrokerOrder(
        client_id=order.client_id,
        broker_ref=order.ref,
        status=order.status,
        limit=order.limit,
        quantity=order.quantity,
        filled=order.filled,
        description=f"{order.quantity} of {len(order.legs)} legs",
        legs=None if order.silent else order.legs,
    )
