"""The floor of the paper exchange: orders that trade, wait and end, and what happens by itself, booked in whole transactions.

Callers hold `lock` around a change of the books, except where a method fetches quotes first and takes the lock itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from core import plugins
from core.brokers import _paper_rules as rules
from core.brokers._paper_events import Liquidation, is_exercised, may_be_assigned, without_position
from core.brokers._paper_judge import Judge
from core.brokers._paper_ledger import Item, Ledger, PaperOrder, Taken
from core.brokers._paper_match import Market, Match, marks, match
from core.brokers._paper_settle import assign_early, settle, settlement_id, settles_at
from core.brokers._paper_source import Checked, QuoteSource
from core.clock import Clock, exchange_date
from core.domain.accounts import Account
from core.domain.calendar import is_session
from core.domain.instruments import Option, underlying_instrument
from core.domain.orders import Effect, Envelope, Fill, Leg, Limit, Side, TimeInForce
from core.domain.structures import describe_legs
from core.errors import DeskError, Unavailable
from core.fees import Execution, Schedule, order_fees
from core.market.quote import Quote
from core.ports import Archive, BrokerOrder, BrokerStatus, OrderReport
from core.runtime import Runtime

HELD_WORDS = "held until its market opens"
MARGIN_EVERY = timedelta(minutes=1)  # between two looks at whether the account is short of margin
NO_LIMIT = Decimal(-1_000_000)  # a liquidation takes what there is


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """fees: the fee schedule; partial_fills: trade no more than the quoted size; unknown_size: contracts a quote without a size is good
    for; latency_seconds: how long the exchange takes to answer; early_assignment: holders exercise where waiting pays them nothing;
    liquidates: positions of an account short of margin are closed."""

    fees: str = "ibkr"
    partial_fills: bool = True
    unknown_size: int = 50
    latency_seconds: float = 0.0
    early_assignment: bool = True
    liquidates: bool = True


class Floor:
    """One account's orders and positions, and the market they meet."""

    def __init__(
        self, parameters: Parameters, *, account: Account, quotes: QuoteSource, clock: Clock, runtime: Runtime, archive: Archive,
        on_news: Callable[[], None],
    ) -> None:
        self._parameters = parameters
        self._account = account
        self._source = Checked(quotes)
        self._clock = clock
        self._schedule: Schedule = plugins.load("fees", parameters.fees).schedule
        self._on_news = on_news
        self._margin_looked_at: datetime | None = None
        self.ledger = Ledger(archive, account.id)
        self.judge = Judge(self.ledger, kind=account.kind, schedule=self._schedule)
        self.lock = runtime.lock()

    async def turn(self) -> None:
        """Everything that is due: assignments of the morning, orders that end, wake or trade, margin calls, settlements."""
        async with self.lock:
            await self.ledger.refresh()
            await self.expire()
        await self.assign_early()
        async with self.lock:
            await self.wake_or_hold()
        await self.match_resting()
        await self.liquidate()
        await self.settle_due()

    def new_order(
        self, envelope: Envelope, client_id: str, *, ref: str, limit: Decimal, fingerprint: str, external: bool = False,
        quantity: int | None = None,
    ) -> PaperOrder:
        """A taken order; `quantity` where it is a part of what its envelope covers."""
        number, now = self.ledger.cursor + 1, self._clock.now()
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
            items = [*items, *self._fills(order, found, market.at)]
            taken = found.taken
            order = replace(order, filled=order.filled + found.units, executions=order.executions + 1)
            if order.filled == order.quantity:
                order = replace(order, status=BrokerStatus.FILLED)
            if order.filled == order.quantity or order.external:
                items.append(report(order))
        if items:
            await self.write(items=items, orders=[replace(order, last=self.ledger.cursor + len(items))], taken=taken)

    def _fills(self, order: PaperOrder, found: Match, at: datetime) -> list[Fill]:
        legs = order.envelope.legs
        opens = {leg.instrument.key: leg.effect is Effect.OPEN for leg in legs}
        before = [_execution(fill, opens=opens.get(fill.instrument.key, True)) for fill in self.ledger.fills_of(order.client_id)]
        new = [
            Execution(
                instrument=leg.instrument, side=leg.side, quantity=leg.ratio * found.units, price=price, opens=leg.effect is Effect.OPEN,
            )
            for leg, price in zip(legs, found.prices, strict=True)
        ]
        fees = order_fees(self._schedule, [*before, *new])[len(before):]
        return [
            Fill(
                exec_id=f"{order.ref}.{order.executions + 1}.{number}", account=self._account.id,
                client_id=None if order.external else order.client_id, instrument=item.instrument, side=item.side, quantity=item.quantity,
                price=item.price, fees=fee, at=at, broker_ref=order.ref,
            )
            for number, (item, fee) in enumerate(zip(new, fees, strict=True), 1)
        ]

    async def end(self, ended: Sequence[PaperOrder], reason: str) -> None:
        start = self.ledger.cursor
        orders = [replace(order, last=start + number) for number, order in enumerate(ended, 1)]
        await self.write(items=[report(order, reason) for order in orders], orders=orders)

    async def expire(self) -> None:
        now = self._clock.now()
        over = [order for order in self.ledger.working if order.ends_at is not None and now >= order.ends_at]
        if over:
            await self.end([replace(order, status=BrokerStatus.EXPIRED) for order in over], "the session ended")

    async def wake_or_hold(self) -> None:
        """Orders that outlive a session are held while their market is closed, and work again from its open."""
        now, changed = self._clock.now(), []
        for order in self.ledger.working:
            status = BrokerStatus.WORKING if rules.is_open(order.envelope.legs, now) else BrokerStatus.HELD
            if status is not order.status:
                changed.append(replace(order, status=status))
        if changed:
            await self.end(changed, "")

    async def assign_early(self) -> None:
        """Once a session, at the first look of its day: which holders exercised overnight."""
        now = self._clock.now()
        today = exchange_date(now)
        if not is_session(today) or self.ledger.morning == today:
            return
        before, found = self.ledger.morning, []
        options = may_be_assigned(self.ledger.positions, today) if before is not None and self._parameters.early_assignment else ()
        if options:
            shares = [underlying_instrument(option.underlying) for option in options]
            try:
                prices = marks((*options, *shares), self.market(await self._source.quotes((*options, *shares))))
                paid = {share.key: await self._dividend(share.key, today) for share in shares}
            except Unavailable:
                return  # nobody can say yet; at the next look
            found = [
                option for option in options if option.key in prices and option.underlying in prices
                and is_exercised(option, price=prices[option.key], spot=prices[option.underlying], dividend=paid[option.underlying])
            ]
        async with self.lock:
            await self.ledger.refresh()
            held, account = self.ledger.positions, self._account.id
            items = [
                assign_early(option, held[option.key][1], value=prices[option.underlying], account=account, at=now, day=today)
                for option in found if option.key in held
            ]
            await self.write(items=items, morning=today)
            await self.drop_orphans()

    async def _dividend(self, symbol: str, day: date) -> Decimal:
        return sum((item.amount for item in await self._source.dividends(symbol, start=day, end=day)), Decimal(0))

    async def drop_orphans(self) -> None:
        """Orders that close what is not held any more end here; callers hold the lock."""
        orphans = without_position(self.ledger.working, self.ledger.positions)
        if orphans:
            await self.end([replace(order, status=BrokerStatus.CANCELLED) for order in orphans], "the position it closes is gone")

    async def liquidate(self) -> None:
        """Close one position of an account that is short of margin, as far as the quoted size goes; the next look goes on."""
        owes = self.ledger.cash < 0 or any(quantity < 0 for _, quantity in self.ledger.positions.values())
        now, last = self._clock.now(), self._margin_looked_at
        if not self._parameters.liquidates or not owes or (last is not None and timedelta(0) <= now - last < MARGIN_EVERY):
            return
        self._margin_looked_at = now
        try:
            quotes = await self._source.quotes(self.judge.wanted(()))
        except Unavailable:
            return
        async with self.lock:
            await self.ledger.refresh()
            market = self.market(quotes)
            call = self.judge.margin_call(market)
            if call is None or not rules.is_open((leg := closing(call),), market.at):
                return
            order = self.new_order(
                self._outside(leg, abs(call.quantity)), ref := f"PX-L{self.ledger.cursor + 1}", ref=ref, limit=NO_LIMIT, fingerprint=ref,
                external=True,
            )
            found = match(order, market)
            if found is None:
                return
            done = replace(order, filled=found.units, executions=1, quantity=found.units, status=BrokerStatus.FILLED)
            items = [replace(fill, note=call.note) for fill in self._fills(order, found, market.at)]
            await self.write(items=items, orders=[replace(done, last=self.ledger.cursor + len(items))], taken=found.taken)
            await self.drop_orphans()

    def _outside(self, leg: Leg, quantity: int) -> Envelope:
        now = self._clock.now()
        return Envelope(
            account=self._account.id, legs=(leg,), quantity=quantity, plan=Limit(start=NO_LIMIT, worst=NO_LIMIT), tif=TimeInForce.DAY,
            expires_at=now, policy_version=0, strategy="external", trade_id=None,
        )

    async def match_resting(self) -> None:
        now = self._clock.now()
        legs = tuple(leg for order in self.ledger.working if rules.is_open(order.envelope.legs, now) for leg in order.envelope.legs)
        if not legs:
            return
        try:
            quotes = await self._source.quotes(tuple({leg.instrument.key: leg.instrument for leg in legs}.values()))
        except Unavailable:
            return  # a market nobody can see trades nothing; orders rest until the next look
        async with self.lock:
            await self.ledger.refresh()
            for order in self.ledger.working:
                if order.ends_at is None or self._clock.now() < order.ends_at:
                    await self.trade(order, self.market(quotes), [])

    async def settle_due(self) -> None:
        now = self._clock.now()
        due = [item for item, _ in self.ledger.positions.values() if isinstance(item, Option) and now >= settles_at(item)]
        for option in due:
            try:
                value = await self._source.settlement(option)
            except Unavailable:
                continue  # nobody can say yet: pending, as without a value
            if value is None:
                continue
            async with self.lock:
                await self.ledger.refresh()
                quantity = self.ledger.positions.get(option.key, (option, 0))[1]
                if quantity and not self.ledger.is_settled(settlement_id(self._account.id, option)):
                    await self.write(items=[settle(option, quantity, value=value.value, account=self._account.id, at=now)])
                    await self.drop_orphans()

    async def quotes_for_order(self, legs: tuple[Leg, ...]) -> Mapping[str, Quote]:
        """Quotes for an order; where the source has none, the order is judged without and refused if it needs them."""
        async with self.lock:
            await self.ledger.refresh()
            wanted = self.judge.wanted(legs)
        try:
            return await self._source.quotes(wanted)
        except DeskError:
            return {}

    def market(self, quotes: Mapping[str, Quote]) -> Market:
        return Market(
            quotes=quotes, taken=self.ledger.taken, at=self._clock.now(), standing=self._clock.standing,
            partial_fills=self._parameters.partial_fills, unknown_size=self._parameters.unknown_size,
        )

    async def write(
        self, *, items: Sequence[Item] = (), orders: Sequence[PaperOrder] = (), taken: Mapping[str, Taken] | None = None,
        epoch: int | None = None, morning: date | None = None,
    ) -> None:
        await self.ledger.write(items=items, orders=orders, taken=taken, epoch=epoch, morning=morning)
        if items:
            self._on_news()


def closing(call: Liquidation) -> Leg:
    """The leg that closes what is liquidated."""
    return Leg(instrument=call.instrument, side=Side.BUY if call.quantity > 0 else Side.SELL, effect=Effect.CLOSE)


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
