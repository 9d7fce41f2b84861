"""The paper exchange: orders are real to the desk, money is not. Used for practice, tests, backtests and the simulated market.

It keeps its own books behind the Broker port, in the archive, apart from the desk's log, so that the two can be reconciled after a crash.
Orders fill against quotes only: who buys pays the ask, who sells gets the bid, all legs of a structure together; never at mid, never at a
worse price than the limit, and no more than the quoted size, once per quote. The rest waits for the next quote. Margin is Regulation T,
fees are those of the chosen schedule. Expired positions settle on the published value; without one they stay pending.

Example: sell 1 SPXW put spread, 2700 quoted 6.50 at 6.70 and 2650 quoted 3.90 at 4.10. Natural is 6.50 - 4.10 = +2.40 (you receive 240
USD). A limit of +2.40 or less fills at +2.40; +2.45 waits. The margin is 5,000 USD (50 wide x 100), the fee of `us_retail` 2.56 USD.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from core import plugins
from core.brokers import _paper_rules as rules
from core.brokers._paper_events import Liquidation, is_exercised, may_be_assigned, without_position
from core.brokers._paper_judge import Asked, Judge
from core.brokers._paper_ledger import Item, Ledger, PaperOrder, Taken
from core.brokers._paper_match import Market, Match, marks, match
from core.brokers._paper_settle import assign_early, settle, settlement_id, settles_at
from core.clock import Clock, exchange_date
from core.domain.accounts import Account, AccountId
from core.domain.calendar import is_session
from core.domain.encoding import digest
from core.domain.events import CashMoved, Settled
from core.domain.instruments import Instrument, Option, underlying_instrument
from core.domain.orders import Effect, Envelope, Fill, Leg, Limit, Permitted, Side, TimeInForce
from core.domain.structures import describe_legs
from core.errors import BrokerRejected, BrokerTimeout, DeskError, Unavailable
from core.fees import Execution, Schedule, order_fees
from core.margin.reg_t import MissingPrice
from core.market.quote import Quote
from core.ports import (
    Archive,
    BrokerCapabilities,
    BrokerOrder,
    BrokerPosition,
    BrokerSnapshot,
    BrokerStatus,
    Dividend,
    OrderReport,
    Preview,
    SettlementValue,
    Update,
)
from core.runtime import Runtime

NAME = "paper"
HELD_WORDS = "held until its market opens"
NO_LIMIT = Decimal(-1_000_000)  # a liquidation takes what there is
SOURCE = "paper exchange, Reg-T"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """fees: the fee schedule; partial_fills: trade no more than the quoted size; unknown_size: contracts a quote without a size is good
    for; latency_seconds: how long the exchange takes to answer; early_assignment: holders exercise where waiting pays them nothing;
    liquidates: positions of an account short of margin are closed."""

    fees: str = "us_retail"
    partial_fills: bool = True
    unknown_size: int = 50
    latency_seconds: float = 0.0
    early_assignment: bool = True
    liquidates: bool = True


PARAMETERS = Parameters


class QuoteSource(Protocol):
    """The market the exchange trades on; every Provider is one."""

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        """Quotes by instrument key; a key that is not quoted is left out."""
        ...

    async def settlement(self, contract: Option) -> SettlementValue | None:
        """The published settlement value, None while there is none."""
        ...

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        """Dividends with ex-date in [start, end], as far as known now."""
        ...


def build(
    parameters: Parameters, *, account: Account, quotes: QuoteSource, clock: Clock, runtime: Runtime, archive: Archive
) -> PaperBroker:
    """Make the exchange of one account; `connect` opens its books."""
    return PaperBroker(parameters, account=account, quotes=quotes, clock=clock, runtime=runtime, archive=archive)


class PaperBroker:
    """The Broker port over a pretended exchange."""

    def __init__(
        self, parameters: Parameters, *, account: Account, quotes: QuoteSource, clock: Clock, runtime: Runtime, archive: Archive
    ) -> None:
        self._parameters = parameters
        self._account = account
        self._source = quotes
        self._clock = clock
        self._runtime = runtime
        self._schedule: Schedule = plugins.load("fees", parameters.fees).schedule
        self._ledger = Ledger(archive, account.id)
        self._judge = Judge(self._ledger, kind=account.kind, schedule=self._schedule)
        self._lock = runtime.lock()
        self._news: asyncio.Event = runtime.event()
        self._connected = False

    @property
    def capabilities(self) -> BrokerCapabilities:
        """What this exchange can do."""
        return BrokerCapabilities(
            name=NAME,
            env="paper",
            max_legs=rules.MAX_LEGS,
            combos=True,
            what_if=True,
            deduplicates=True,
            gtc=True,
            physical_settlement=True,
        )

    @property
    def account(self) -> AccountId:
        """The account this exchange keeps."""
        return self._account.id

    async def connect(self) -> int:
        """Open the books and start a new epoch; the first time, the start cash is deposited."""
        async with self._lock:
            await self._ledger.load()
            epoch = self._ledger.epoch + 1
            deposit = [] if self._ledger.cursor or not self._account.start_cash else [self._deposit()]
            await self._write(items=deposit, epoch=epoch)
            self._connected = True
            return epoch

    async def preview(self, envelope: Envelope) -> Preview:
        """Judge an order at its worst price.

        Raises Unavailable where a price for the margin is missing, BrokerRejected for contracts that cannot be traded here.
        """
        if not self._connected:
            raise self._not_connected()
        unknown = rules.contract_refusal(envelope.legs)
        if unknown is not None:
            raise BrokerRejected(unknown.code, unknown.message)
        async with self._lock:
            await self._ledger.refresh()
            wanted = self._judge.wanted(envelope.legs)
        quotes = await self._source.quotes(wanted)
        async with self._lock:
            await self._ledger.refresh()
            asked = Asked(envelope=envelope, limit=envelope.plan.worst, quantity=envelope.quantity)
            market = self._market(quotes)
            try:
                commission, before, after = self._judge.funds(asked, market)
            except MissingPrice as error:
                raise Unavailable("the margin of this order", why=str(error)) from error
            refusal = self._judge.refusal(asked, market)
        return Preview(
            margin_before=before.margin, margin_after=after.margin, buying_power_before=before.buying_power,
            buying_power_after=after.buying_power, commission=commission, source=SOURCE, refusal=refusal.message if refusal else None,
        )

    async def submit(self, order: Permitted) -> str:
        """Take an order and trade what trades at once; all of it is durable on return. The same order again changes nothing."""
        async with self._answering():
            return await self._take(order)

    async def _take(self, order: Permitted) -> str:
        quotes = await self._quotes_for_order(order.envelope.legs)
        async with self._lock:
            await self._ledger.refresh()
            known = self._ledger.orders.get(order.client_id)
            if known is not None:
                if known.fingerprint != _fingerprint(order):
                    raise BrokerRejected("duplicate_id", f"{order.client_id} is the id of another order")
                return known.ref
            market = self._market(quotes)
            self._check_account(order)
            refusal = self._judge.refusal(Asked(envelope=order.envelope, limit=order.limit, quantity=order.quantity), market)
            if refusal is not None:
                raise BrokerRejected(refusal.code, refusal.message)
            ref = f"PX-{order.client_id}"
            taken = self._new_order(
                order.envelope, order.client_id, ref=ref, limit=order.limit, fingerprint=_fingerprint(order), quantity=order.quantity
            )
            await self._trade(taken, market, [_report(taken)])
            return taken.ref

    async def enter(self, envelope: Envelope, limit: Decimal) -> str:
        """Take an order entered at the exchange's own screen, not by the desk; returns its reference. Judged like any other."""
        async with self._answering():
            quotes = await self._quotes_for_order(envelope.legs)
            async with self._lock:
                await self._ledger.refresh()
                market = self._market(quotes)
                refusal = self._judge.refusal(Asked(envelope=envelope, limit=limit, quantity=envelope.quantity), market)
                if refusal is not None:
                    raise BrokerRejected(refusal.code, refusal.message)
                ref = f"PX-E{self._ledger.cursor + 1}"
                taken = self._new_order(envelope, ref, ref=ref, limit=limit, fingerprint=envelope.hash, external=True)
                await self._trade(taken, market, [_report(taken)])
                return ref

    async def replace(self, client_id: str, order: Permitted) -> None:
        """Move the limit of a working order, what is filled stays; trades at once where the new limit allows."""
        async with self._answering():
            await self._move(client_id, order)

    async def _move(self, client_id: str, order: Permitted) -> None:
        self._check_account(order)
        quotes = await self._quotes_for_order(order.envelope.legs)
        async with self._lock:
            await self._ledger.refresh()
            await self._wake_or_hold()
            known = self._working(client_id)
            market = self._market(quotes)
            if order.client_id != client_id or order.envelope != known.envelope:
                raise BrokerRejected("another_order", f"the new price is for another order than {client_id}; the old price stands")
            if known.ends_at is not None and market.at >= known.ends_at:
                raise BrokerRejected("closed", f"order {client_id} ended with the session")
            asked = Asked(envelope=known.envelope, limit=order.limit, quantity=known.leaves, instead_of=client_id)
            refusal = rules.price_refusal(known.envelope.legs, order.limit, known.leaves) or self._judge.funds_refusal(asked, market)
            if refusal is not None:
                raise BrokerRejected(refusal.code, f"{refusal.message}; the old price stands")
            moved = replace(known, limit=order.limit)
            await self._trade(moved, market, [_report(moved)])

    async def cancel_external(self, broker_ref: str) -> None:
        """Cancel what has not traded of an order that was not the desk's."""
        known = self._ledger.orders.get(broker_ref)
        if known is None or not known.external:
            raise BrokerRejected("unknown_order", f"there is no order {broker_ref} from elsewhere")
        await self.cancel(broker_ref)

    async def cancel(self, client_id: str) -> None:
        """Cancel what has not traded; an order cancelled before stays so."""
        async with self._answering(), self._lock:
            await self._ledger.refresh()
            known = self._ledger.orders.get(client_id)
            if known is not None and known.status is BrokerStatus.CANCELLED:
                return
            ended = replace(self._working(client_id), status=BrokerStatus.CANCELLED)
            await self._end([ended], "cancelled as asked")

    async def snapshot(self, *, since: int = 0) -> BrokerSnapshot:
        """The whole account, and everything that happened after cursor `since`."""
        if not self._connected:
            raise self._not_connected()
        async with self._lock:
            await self._ledger.refresh()
            ledger = self._ledger
            items = [entry.item for entry in ledger.after(since)]
            return BrokerSnapshot(
                account=self.account,
                epoch=ledger.epoch,
                complete=True,
                at=self._clock.now(),
                cash=ledger.cash,
                orders=tuple(
                    _public(order) for order in ledger.orders.values() if order.status.live or order.last > since
                ),
                positions=tuple(BrokerPosition(instrument=item, quantity=count) for item, count in ledger.positions.values()),
                fills=tuple(item for item in items if isinstance(item, Fill)),
                settlements=tuple(item for item in items if isinstance(item, Settled)),
                movements=tuple(item for item in items if isinstance(item, CashMoved)),
                cursor=ledger.cursor,
            )

    async def updates(self, *, since: int, wait_seconds: float) -> tuple[Update, ...]:
        """The journal after `since`; waits for a first entry where there is none."""
        if not self._connected:
            raise self._not_connected()
        async with self._lock:
            await self._ledger.refresh()
        news = self._news
        if self._ledger.cursor <= since and wait_seconds > 0:
            try:
                await self._runtime.wait_for(news.wait(), wait_seconds)
            except TimeoutError:
                return ()
        epoch = self._ledger.epoch
        return tuple(Update(cursor=entry.cursor, epoch=epoch, item=entry.item) for entry in self._ledger.after(since))

    async def poll(self) -> None:
        """Everything that is due: assignments of the morning, orders that end, wake or trade, margin calls, settlements."""
        if not self._connected:
            raise self._not_connected()
        async with self._lock:
            await self._ledger.refresh()
            await self._expire()
        await self._assign_early()
        async with self._lock:
            await self._wake_or_hold()
        await self._match_resting()
        await self._liquidate()
        await self._settle()

    async def close(self) -> None:
        """Disconnect; the books stay in the archive."""
        self._connected = False
        self._wake()

    # --- orders --------------------------------------------------------------------------------------------------------

    def _new_order(
        self, envelope: Envelope, client_id: str, *, ref: str, limit: Decimal, fingerprint: str, external: bool = False,
        quantity: int | None = None,
    ) -> PaperOrder:
        """A taken order; `quantity` where it is a part of what its envelope covers."""
        number, now = self._ledger.cursor + 1, self._clock.now()
        return PaperOrder(
            client_id=client_id, ref=ref, envelope=envelope, quantity=quantity or envelope.quantity, limit=limit, filled=0,
            executions=0,
            status=BrokerStatus.WORKING if rules.is_open(envelope.legs, now) else BrokerStatus.HELD, fingerprint=fingerprint,
            ends_at=rules.order_end(envelope, now), first=number, last=number, external=external,
        )

    async def _trade(self, order: PaperOrder, market: Market, items: list[Item]) -> None:
        """Trade what trades now and book it together with `items`, in one transaction."""
        found = match(order, market) if rules.is_open(order.envelope.legs, market.at) else None
        taken: Mapping[str, Taken] = {}
        if found is not None:
            items = [*items, *self._fills(order, found, market.at)]
            taken = found.taken
            order = replace(order, filled=order.filled + found.units, executions=order.executions + 1)
            if order.filled == order.quantity:
                order = replace(order, status=BrokerStatus.FILLED)
                items.append(_report(order))
        if items:
            await self._write(items=items, orders=[replace(order, last=self._ledger.cursor + len(items))], taken=taken)

    def _fills(self, order: PaperOrder, found: Match, at: datetime) -> list[Fill]:
        legs = order.envelope.legs
        before = [_execution(fill) for fill in self._ledger.fills_of(order.client_id)]
        new = [
            Execution(instrument=leg.instrument, side=leg.side, quantity=leg.ratio * found.units, price=price)
            for leg, price in zip(legs, found.prices, strict=True)
        ]
        fees = order_fees(self._schedule, [*before, *new])[len(before):]
        return [
            Fill(
                exec_id=f"{order.ref}.{order.executions + 1}.{number}", account=self.account,
                client_id=None if order.external else order.client_id, instrument=item.instrument, side=item.side, quantity=item.quantity,
                price=item.price, fees=fee, at=at, broker_ref=order.ref,
            )
            for number, (item, fee) in enumerate(zip(new, fees, strict=True), 1)
        ]

    async def _end(self, ended: Sequence[PaperOrder], reason: str) -> None:
        start = self._ledger.cursor
        orders = [replace(order, last=start + number) for number, order in enumerate(ended, 1)]
        await self._write(items=[_report(order, reason) for order in orders], orders=orders)

    async def _expire(self) -> None:
        now = self._clock.now()
        over = [order for order in self._ledger.working if order.ends_at is not None and now >= order.ends_at]
        if over:
            await self._end([replace(order, status=BrokerStatus.EXPIRED) for order in over], "the session ended")

    async def _wake_or_hold(self) -> None:
        """Orders that outlive a session are held while their market is closed, and work again from its open."""
        now, changed = self._clock.now(), []
        for order in self._ledger.working:
            status = BrokerStatus.WORKING if rules.is_open(order.envelope.legs, now) else BrokerStatus.HELD
            if status is not order.status:
                changed.append(replace(order, status=status))
        if changed:
            await self._end(changed, "")

    async def _assign_early(self) -> None:
        """Once a session, at the first look of its day: which holders exercised overnight."""
        now = self._clock.now()
        today = exchange_date(now)
        if not is_session(today) or self._ledger.morning == today:
            return
        before, found = self._ledger.morning, []
        options = may_be_assigned(self._ledger.positions, today) if before is not None and self._parameters.early_assignment else ()
        if options:
            shares = [underlying_instrument(option.underlying) for option in options]
            try:
                prices = marks((*options, *shares), self._market(await self._source.quotes((*options, *shares))))
                paid = {share.key: await self._dividend(share.key, today) for share in shares}
            except Unavailable:
                return  # nobody can say yet; at the next look
            found = [
                option for option in options if option.key in prices and option.underlying in prices
                and is_exercised(option, price=prices[option.key], spot=prices[option.underlying], dividend=paid[option.underlying])
            ]
        async with self._lock:
            await self._ledger.refresh()
            items = [
                assign_early(
                    option, self._ledger.positions[option.key][1], value=prices[option.underlying], account=self.account, at=now, day=today
                )
                for option in found if option.key in self._ledger.positions
            ]
            await self._write(items=items, morning=today)
            await self._drop_orphans()

    async def _dividend(self, symbol: str, day: date) -> Decimal:
        return sum((item.amount for item in await self._source.dividends(symbol, start=day, end=day)), Decimal(0))

    async def _drop_orphans(self) -> None:
        """Orders that close what is not held any more end here; callers hold the lock."""
        orphans = without_position(self._ledger.working, self._ledger.positions)
        if orphans:
            await self._end([replace(order, status=BrokerStatus.CANCELLED) for order in orphans], "the position it closes is gone")

    async def _liquidate(self) -> None:
        """Close one position of an account that is short of margin, as far as the quoted size goes; the next look goes on."""
        if not self._parameters.liquidates or not any(quantity < 0 for _, quantity in self._ledger.positions.values()):
            return
        try:
            quotes = await self._source.quotes(self._judge.wanted(()))
        except Unavailable:
            return
        async with self._lock:
            await self._ledger.refresh()
            market = self._market(quotes)
            call = self._judge.margin_call(market)
            if call is None or not rules.is_open((leg := _closing(call),), market.at):
                return
            order = self._new_order(
                self._outside(leg, abs(call.quantity)), ref := f"PX-L{self._ledger.cursor + 1}", ref=ref, limit=NO_LIMIT, fingerprint=ref,
                external=True,
            )
            found = match(order, market)
            if found is None:
                return
            done = replace(order, filled=found.units, executions=1, quantity=found.units, status=BrokerStatus.FILLED)
            items = [replace(fill, note=call.note) for fill in self._fills(order, found, market.at)]
            await self._write(items=items, orders=[replace(done, last=self._ledger.cursor + len(items))], taken=found.taken)
            await self._drop_orphans()

    def _outside(self, leg: Leg, quantity: int) -> Envelope:
        now = self._clock.now()
        return Envelope(
            account=self.account, legs=(leg,), quantity=quantity, plan=Limit(start=NO_LIMIT, worst=NO_LIMIT), tif=TimeInForce.DAY,
            expires_at=now, policy_version=0, strategy="external", trade_id=None,
        )

    async def _match_resting(self) -> None:
        now = self._clock.now()
        legs = tuple(leg for order in self._ledger.working if rules.is_open(order.envelope.legs, now) for leg in order.envelope.legs)
        if not legs:
            return
        try:
            quotes = await self._source.quotes(tuple({leg.instrument.key: leg.instrument for leg in legs}.values()))
        except Unavailable:
            return  # a market nobody can see trades nothing; orders rest until the next look
        async with self._lock:
            await self._ledger.refresh()
            for order in self._ledger.working:
                if order.ends_at is None or self._clock.now() < order.ends_at:
                    await self._trade(order, self._market(quotes), [])

    async def _settle(self) -> None:
        now = self._clock.now()
        due = [item for item, _ in self._ledger.positions.values() if isinstance(item, Option) and now >= settles_at(item)]
        for option in due:
            try:
                value = await self._source.settlement(option)
            except Unavailable:
                continue  # nobody can say yet: pending, as without a value
            if value is None:
                continue
            async with self._lock:
                await self._ledger.refresh()
                quantity = self._ledger.positions.get(option.key, (option, 0))[1]
                if quantity and not self._ledger.is_settled(settlement_id(self.account, option)):
                    await self._write(items=[settle(option, quantity, value=value.value, account=self.account, at=now)])
                    await self._drop_orphans()

    # --- inside --------------------------------------------------------------------------------------------------------

    async def _quotes_for_order(self, legs: tuple[Leg, ...]) -> Mapping[str, Quote]:
        """Quotes for an order; where the source has none, the order is judged without and refused if it needs them."""
        async with self._lock:
            await self._ledger.refresh()
            wanted = self._judge.wanted(legs)
        try:
            return await self._source.quotes(wanted)
        except DeskError:
            return {}

    def _market(self, quotes: Mapping[str, Quote]) -> Market:
        return Market(
            quotes=quotes, taken=self._ledger.taken, at=self._clock.now(), standing=self._clock.standing,
            partial_fills=self._parameters.partial_fills, unknown_size=self._parameters.unknown_size,
        )

    def _working(self, client_id: str) -> PaperOrder:
        known = self._ledger.orders.get(client_id)
        if known is None:
            raise BrokerRejected("unknown_order", f"unknown order {client_id}")
        if not known.status.live:
            raise BrokerRejected("not_working", f"too late: order {client_id} is {known.status.value}")
        return known

    def _check_account(self, order: Permitted) -> None:
        if order.account != self.account or order.envelope.account != self.account:
            raise BrokerRejected("account", f"the order is for {order.account}, this is {self.account}")

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        """A request on its way: books that cannot be read or written leave its outcome unknown."""
        if not self._connected:
            raise BrokerRejected("not_connected", "the paper exchange is not connected; nothing was taken")
        if self._parameters.latency_seconds:
            await self._runtime.sleep(self._parameters.latency_seconds)
        try:
            yield
        except Unavailable as error:
            raise BrokerTimeout(f"the paper exchange could not reach its books ({error}); whether it acted is unknown") from error

    async def _write(
        self, *, items: Sequence[Item] = (), orders: Sequence[PaperOrder] = (), taken: Mapping[str, Taken] | None = None,
        epoch: int | None = None, morning: date | None = None,
    ) -> None:
        await self._ledger.write(items=items, orders=orders, taken=taken, epoch=epoch, morning=morning)
        if items:
            self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = self._runtime.event()

    def _deposit(self) -> CashMoved:
        cash, now = self._account.start_cash, self._clock.now()
        return CashMoved(movement_id=f"{self.account}:start", account=self.account, amount=cash, reason="deposit", at=now)

    def _not_connected(self) -> Unavailable:
        return Unavailable("the paper exchange", why="not connected")


def _fingerprint(order: Permitted) -> str:
    return digest({"envelope": order.envelope.hash, "limit": order.limit, "quantity": order.quantity, "account": str(order.account)})


def _closing(call: Liquidation) -> Leg:
    return Leg(instrument=call.instrument, side=Side.BUY if call.quantity > 0 else Side.SELL, effect=Effect.CLOSE)


def _report(order: PaperOrder, reason: str = "") -> OrderReport | BrokerOrder:
    if order.external:
        return _public(order)
    reason = reason or (HELD_WORDS if order.status is BrokerStatus.HELD else "")
    return OrderReport(client_id=order.client_id, broker_ref=order.ref, status=order.status, limit=order.limit, reason=reason)


def _execution(fill: Fill) -> Execution:
    return Execution(instrument=fill.instrument, side=fill.side, quantity=fill.quantity, price=fill.price)


def _public(order: PaperOrder) -> BrokerOrder:
    return BrokerOrder(
        client_id=None if order.external else order.client_id, broker_ref=order.ref, status=order.status, limit=order.limit,
        quantity=order.quantity, filled=order.filled, description=f"{order.quantity} x {describe_legs(order.envelope.legs)}",
        legs=order.envelope.legs, tif=order.envelope.tif, reason=HELD_WORDS if order.status is BrokerStatus.HELD else "",
    )
