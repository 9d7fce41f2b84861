"""The floor of the paper exchange: orders that trade, wait and end, and what happens by itself, booked in whole transactions.

Callers hold `lock` around a change of the books, except where a method fetches quotes first and takes the lock itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from core import plugins
from core.brokers import _paper_rules as rules
from core.brokers._paper_events import without_position
from core.brokers._paper_judge import Judge
from core.brokers._paper_ledger import Item, Ledger, PaperOrder, Taken
from core.brokers._paper_margin import MarginDesk
from core.brokers._paper_match import Market, Match, match
from core.brokers._paper_morning import Morning
from core.brokers._paper_settle import expire, settlement_id, settles_at
from core.brokers._paper_source import Checked, QuoteSource
from core.clock import Clock
from core.domain.accounts import Account
from core.domain.instruments import Instrument, Option, underlying_instrument
from core.domain.orders import Effect, Envelope, Fill, Leg
from core.domain.structures import describe_legs
from core.errors import DeskError, Unavailable
from core.fees import Execution, Schedule, order_fees
from core.market.quote import Quote
from core.ports import Archive, BrokerOrder, BrokerStatus, OrderReport
from core.runtime import Runtime

HELD_WORDS = "held until its market opens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """fees: the fee schedule; partial_fills: trade no more than the quoted size; unknown_size: contracts a quote without a size is good
    for; latency_seconds: how long the exchange takes to answer; early_assignment: holders exercise where waiting pays them nothing;
    pin_percent: of the strike, within which a short that expires may or may not be assigned (0: exercised by exception alone); liquidates:
    positions of an account short of margin are closed; call_minutes: after the open of the next session, until when it may find the money
    first (None: not at all)."""

    fees: str = "ibkr"
    partial_fills: bool = True
    unknown_size: int = 50
    latency_seconds: float = 0.0
    early_assignment: bool = True
    pin_percent: float = 0.1
    liquidates: bool = True
    call_minutes: int | None = 30


class Floor:
    """One account's orders and positions, and the market they meet."""

    def __init__(
        self, parameters: Parameters, *, account: Account, quotes: QuoteSource, clock: Clock, runtime: Runtime, archive: Archive,
        on_news: Callable[[], None],
    ) -> None:
        self.parameters = parameters
        self.account = account
        self.source = Checked(quotes)
        self.clock = clock
        self.schedule: Schedule = plugins.load("fees", parameters.fees).schedule
        self._on_news = on_news
        self.ledger = Ledger(archive, account.id)
        self.judge = Judge(self.ledger, kind=account.kind, schedule=self.schedule)
        self.lock = runtime.lock()
        self._morning, self._margin = Morning(self), MarginDesk(self)

    async def morning(self) -> None:
        """What a morning brings comes before anything trades on its day; books that never saw one have nothing to make up for."""
        if self.ledger.morning is not None:
            await self._morning.look()

    async def turn(self) -> None:
        """Everything that is due: settlements, what a morning brings, orders that end, wake or trade, margin calls."""
        async with self.lock:
            await self.ledger.refresh()
            await self.expire()
        await self.settle_due()  # what ran out on an earlier day ends on its own terms, before a split changes any
        await self._morning.look()
        async with self.lock:
            await self.wake_or_hold()
        await self.match_resting()
        await self._margin.look()
        await self.settle_due()

    def new_order(
        self, envelope: Envelope, client_id: str, *, ref: str, limit: Decimal, fingerprint: str, external: bool = False,
        quantity: int | None = None,
    ) -> PaperOrder:
        """A taken order; `quantity` where it is a part of what its envelope covers."""
        number, now = self.ledger.cursor + 1, self.clock.now()
        return PaperOrder(
            client_id=client_id, ref=ref, envelope=envelope, quantity=quantity or envelope.quantity, limit=limit, filled=0,
            executions=0,
            status=BrokerStatus.WORKING if rules.is_open(envelope.legs, now) else BrokerStatus.HELD, fingerprint=fingerprint,
            ends_at=rules.order_end(envelope, now), first=number, last=number, external=external,
        )

    async def trade(self, order: PaperOrder, market: Market, items: list[Item]) -> None:
        """Trade what trades now and book it together with `items`, in one transaction."""
        found = match(order, market) if rules.is_open(order.envelope.legs, market.at) else None
        taken: Mapping[str, Taken] = {}
        if found is not None:
            items = [*items, *self.fills_of(order, found, market.at)]
            taken = found.taken
            order = replace(order, filled=order.filled + found.units, executions=order.executions + 1)
            if order.filled == order.quantity:
                order = replace(order, status=BrokerStatus.FILLED)
            if order.filled == order.quantity or order.external:
                items.append(report(order))
        if items:
            await self.write(items=items, orders=[replace(order, last=self.ledger.cursor + len(items))], taken=taken)

    def fills_of(self, order: PaperOrder, found: Match, at: datetime) -> list[Fill]:
        legs = order.envelope.legs
        opens = {leg.instrument.key: leg.effect is Effect.OPEN for leg in legs}
        before = [_execution(fill, opens=opens.get(fill.instrument.key, True)) for fill in self.ledger.fills_of(order.client_id)]
        new = [
            Execution(
                instrument=leg.instrument, side=leg.side, quantity=leg.ratio * found.units, price=price, opens=leg.effect is Effect.OPEN,
            )
            for leg, price in zip(legs, found.prices, strict=True)
        ]
        fees = order_fees(self.schedule, [*before, *new])[len(before):]
        return [
            Fill(
                exec_id=f"{order.ref}.{order.executions + 1}.{number}", account=self.account.id,
                client_id=None if order.external else order.client_id, instrument=item.instrument, side=item.side, quantity=item.quantity,
                price=item.price, fees=fee, at=at, broker_ref=order.ref,
            )
            for number, (item, fee) in enumerate(zip(new, fees, strict=True), 1)
        ]

    async def end(self, ended: Sequence[PaperOrder], reason: str, *, first: Sequence[Item] = ()) -> None:
        """Orders change their state, after what made them do so."""
        start = self.ledger.cursor + len(first)
        orders = [replace(order, last=start + number) for number, order in enumerate(ended, 1)]
        await self.write(items=[*first, *(report(order, reason) for order in orders)], orders=orders)

    async def expire(self) -> None:
        now = self.clock.now()
        over = [order for order in self.ledger.working if order.ends_at is not None and now >= order.ends_at]
        if over:
            await self.end([replace(order, status=BrokerStatus.EXPIRED) for order in over], "the session ended")

    async def wake_or_hold(self) -> None:
        """Orders that outlive a session are held while their market is closed, and work again from its open."""
        now, changed = self.clock.now(), []
        for order in self.ledger.working:
            status = BrokerStatus.WORKING if rules.is_open(order.envelope.legs, now) else BrokerStatus.HELD
            if status is not order.status:
                changed.append(replace(order, status=status))
        if changed:
            await self.end(changed, "")

    async def drop_orphans(self) -> None:
        """Orders that close what is not held any more end here; callers hold the lock."""
        orphans = without_position(self.ledger.working, self.ledger.positions)
        if orphans:
            await self.end([replace(order, status=BrokerStatus.CANCELLED) for order in orphans], "the position it closes is gone")

    async def match_resting(self) -> None:
        now = self.clock.now()
        legs = tuple(leg for order in self.ledger.working if rules.is_open(order.envelope.legs, now) for leg in order.envelope.legs)
        if not legs:
            return
        wanted: dict[str, Instrument] = {leg.instrument.key: leg.instrument for leg in legs}
        wanted |= {item.underlying: underlying_instrument(item.underlying) for item in wanted.values() if isinstance(item, Option)}
        try:
            quotes = await self.source.quotes(tuple(wanted.values()))
        except Unavailable:
            return  # a market nobody can see trades nothing; orders rest until the next look
        async with self.lock:
            await self.ledger.refresh()
            for order in self.ledger.working:
                if order.ends_at is None or self.clock.now() < order.ends_at:
                    await self.trade(order, self.market(quotes), [])

    async def settle_due(self) -> None:
        now = self.clock.now()
        due = [item for item, _ in self.ledger.positions.values() if isinstance(item, Option) and now >= settles_at(item)]
        for option in due:
            try:
                value = await self.source.settlement(option)
            except Unavailable:
                continue  # nobody can say yet: pending, as without a value
            if value is None:
                continue
            async with self.lock:
                await self.ledger.refresh()
                quantity = self.ledger.positions.get(option.key, (option, 0))[1]
                if quantity and not self.ledger.is_booked(settlement_id(self.account.id, option)):
                    sliver = Decimal(str(self.parameters.pin_percent)) / 100
                    items = expire(
                        option, quantity, value=value.value, account=self.account.id, at=now, sliver=sliver, fees=self.schedule.delivery,
                    )
                    await self.write(items=items)
                    await self.drop_orphans()

    async def quotes_for_order(self, legs: tuple[Leg, ...]) -> Mapping[str, Quote]:
        """Quotes for an order; where the source has none, the order is judged without and refused if it needs them."""
        async with self.lock:
            await self.ledger.refresh()
            wanted = self.judge.wanted(legs)
        try:
            return await self.source.quotes(wanted)
        except DeskError:
            return {}

    def market(self, quotes: Mapping[str, Quote]) -> Market:
        return Market(
            quotes=quotes, taken=self.ledger.taken, at=self.clock.now(), standing=self.clock.standing,
            partial_fills=self.parameters.partial_fills, unknown_size=self.parameters.unknown_size,
        )

    async def write(
        self, *, items: Sequence[Item] = (), orders: Sequence[PaperOrder] = (), taken: Mapping[str, Taken] | None = None,
        epoch: int | None = None, morning: date | None = None,
    ) -> None:
        await self.ledger.write(items=items, orders=orders, taken=taken, epoch=epoch, morning=morning)
        if items:
            self._on_news()


def report(order: PaperOrder, reason: str = "") -> OrderReport | BrokerOrder:
    """What the stream says of an order as it stands now."""
    if order.external:
        return public(order)
    reason = reason or (HELD_WORDS if order.status is BrokerStatus.HELD else "")
    return OrderReport(client_id=order.client_id, broker_ref=order.ref, status=order.status, limit=order.limit, reason=reason)


def _execution(fill: Fill, *, opens: bool) -> Execution:
    return Execution(instrument=fill.instrument, side=fill.side, quantity=fill.quantity, price=fill.price, opens=opens)


def public(order: PaperOrder) -> BrokerOrder:
    """An order as the books show it."""
    return BrokerOrder(
        client_id=None if order.external else order.client_id, broker_ref=order.ref, status=order.status, limit=order.limit,
        quantity=order.quantity, filled=order.filled, description=f"{order.quantity} x {describe_legs(order.envelope.legs)}",
        legs=order.envelope.legs, tif=order.envelope.tif, reason=HELD_WORDS if order.status is BrokerStatus.HELD else "",
    )
