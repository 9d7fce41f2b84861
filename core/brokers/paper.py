"""The paper exchange: orders are real to the desk, money is not. Used for practice, tests, backtests and the simulated market.

It keeps its own books behind the Broker port, in the archive, apart from the desk's log, so that the two can be reconciled after a crash.
Orders fill against quotes only: who buys pays the ask, who sells gets the bid, all legs of a structure together; never at mid, never at a
worse price than the limit, and no more than the quoted size, once per quote. The rest waits for the next quote. Margin is Regulation T,
fees are those of the chosen schedule. Expired positions settle on the published value; without one they stay pending.

Example: sell 1 SPXW put spread, 2700 quoted 6.50 at 6.70 and 2650 quoted 3.90 at 4.10. Natural is 6.50 - 4.10 = +2.40 (you receive 240
USD). A limit of +2.40 or less fills at +2.40; +2.45 waits. The margin is 5,000 USD (50 wide x 100), the fee of `ibkr` 2.56 USD.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

from core.brokers import _paper_rules as rules
from core.brokers._paper_floor import Floor, Parameters, public, report
from core.brokers._paper_judge import Asked
from core.brokers._paper_ledger import PaperOrder
from core.brokers._paper_source import Checked, QuoteSource
from core.clock import Clock
from core.domain.accounts import Account, AccountId
from core.domain.encoding import digest
from core.domain.events import CashMoved, CorporateAction, MarginCalled, Settled
from core.domain.orders import Envelope, Fill, Permitted
from core.errors import BrokerRejected, BrokerTimeout, Unavailable
from core.margin.reg_t import MissingPrice
from core.ports import (
    Archive,
    BrokerCapabilities,
    BrokerPosition,
    BrokerSnapshot,
    BrokerStatus,
    Preview,
    Update,
)
from core.runtime import Runtime

NAME = "paper"
SOURCE = "paper exchange, Reg-T"


PARAMETERS = Parameters


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
        self._source = Checked(quotes)
        self._clock = clock
        self._runtime = runtime
        self._floor = Floor(
            parameters, account=account, quotes=quotes, clock=clock, runtime=runtime, archive=archive, on_news=self._wake
        )
        self._ledger, self._judge, self._lock = self._floor.ledger, self._floor.judge, self._floor.lock
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
            await self._floor.write(items=deposit, epoch=epoch)
            self._connected = True
            return epoch

    async def preview(self, envelope: Envelope) -> Preview:
        """Judge an order at its worst price.

        Raises Unavailable where a price for the margin is missing, BrokerRejected for contracts that cannot be traded here.
        """
        if not self._connected:
            raise self._not_connected()
        unknown = rules.contract_refusal(envelope.legs, self._ledger.positions)
        if unknown is not None:
            raise BrokerRejected(unknown.code, unknown.message)
        async with self._lock:
            await self._ledger.refresh()
            wanted = self._judge.wanted(envelope.legs)
        quotes = await self._source.quotes(wanted)
        async with self._lock:
            await self._ledger.refresh()
            asked = Asked(
                envelope=envelope, limit=envelope.plan.worst, quantity=envelope.quantity, instead_of=envelope.instead_of
            )
            market = self._floor.market(quotes)
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
        await self._floor.morning()
        quotes = await self._floor.quotes_for_order(order.envelope.legs)
        async with self._lock:
            await self._ledger.refresh()
            known = self._ledger.orders.get(order.client_id)
            if known is not None:
                if known.fingerprint != _fingerprint(order):
                    raise BrokerRejected("duplicate_id", f"{order.client_id} is the id of another order")
                return known.ref
            market = self._floor.market(quotes)
            self._check_account(order)
            refusal = self._judge.refusal(Asked(envelope=order.envelope, limit=order.limit, quantity=order.quantity), market)
            if refusal is not None:
                raise BrokerRejected(refusal.code, refusal.message)
            ref = f"PX-{order.client_id}"
            taken = self._floor.new_order(
                order.envelope, order.client_id, ref=ref, limit=order.limit, fingerprint=_fingerprint(order), quantity=order.quantity
            )
            await self._floor.trade(taken, market, [report(taken)])
            return taken.ref

    async def enter(self, envelope: Envelope, limit: Decimal) -> str:
        """Take an order entered at the exchange's own screen, not by the desk; returns its reference. Judged like any other."""
        async with self._answering():
            await self._floor.morning()
            quotes = await self._floor.quotes_for_order(envelope.legs)
            async with self._lock:
                await self._ledger.refresh()
                market = self._floor.market(quotes)
                refusal = self._judge.refusal(Asked(envelope=envelope, limit=limit, quantity=envelope.quantity), market)
                if refusal is not None:
                    raise BrokerRejected(refusal.code, refusal.message)
                ref = f"PX-E{self._ledger.cursor + 1}"
                taken = self._floor.new_order(envelope, ref, ref=ref, limit=limit, fingerprint=envelope.hash, external=True)
                await self._floor.trade(taken, market, [report(taken)])
                return ref

    async def replace(self, client_id: str, order: Permitted) -> None:
        """Move the limit of a working order, what is filled stays; trades at once where the new limit allows."""
        async with self._answering():
            await self._move(client_id, order)

    async def _move(self, client_id: str, order: Permitted) -> None:
        self._check_account(order)
        await self._floor.morning()
        quotes = await self._floor.quotes_for_order(order.envelope.legs)
        async with self._lock:
            await self._ledger.refresh()
            await self._floor.wake_or_hold()
            known = self._working(client_id)
            market = self._floor.market(quotes)
            if order.client_id != client_id or order.envelope != known.envelope:
                raise BrokerRejected("another_order", f"the new price is for another order than {client_id}; the old price stands")
            if known.ends_at is not None and market.at >= known.ends_at:
                raise BrokerRejected("closed", f"order {client_id} ended with the session")
            asked = Asked(envelope=known.envelope, limit=order.limit, quantity=known.leaves, instead_of=(client_id,))
            refusal = rules.price_refusal(known.envelope.legs, order.limit, known.leaves) or self._judge.funds_refusal(asked, market)
            if refusal is not None:
                raise BrokerRejected(refusal.code, f"{refusal.message}; the old price stands")
            moved = replace(known, limit=order.limit)
            await self._floor.trade(moved, market, [report(moved)])

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
            await self._floor.end([ended], "cancelled as asked")

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
                    public(order) for order in ledger.orders.values() if order.status.live or order.last > since
                ),
                positions=tuple(BrokerPosition(instrument=item, quantity=count) for item, count in ledger.positions.values()),
                fills=tuple(item for item in items if isinstance(item, Fill)),
                settlements=tuple(item for item in items if isinstance(item, Settled)),
                movements=tuple(item for item in items if isinstance(item, CashMoved)),
                actions=tuple(item for item in items if isinstance(item, CorporateAction)),
                calls=tuple(item for item in items if isinstance(item, MarginCalled)),
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
        await self._floor.turn()

    async def close(self) -> None:
        """Disconnect; the books stay in the archive."""
        self._connected = False
        self._wake()

    # --- inside --------------------------------------------------------------------------------------------------------

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
