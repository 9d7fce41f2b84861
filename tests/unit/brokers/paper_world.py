"""A paper exchange with a market set by hand, for tests of the exchange and of what uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from core.brokers.paper import PaperBroker, Parameters, build
from core.clock import ManualClock
from core.domain.accounts import Account, AccountId, AccountKind, Env
from core.domain.events import CashMoved, CorporateAction, Settled
from core.domain.instruments import Equity, Instrument, Option, Right, underlying_instrument
from core.domain.listing import option
from core.domain.orders import Effect, Envelope, Fill, Leg, Limit, Permitted, Side, TimeInForce
from core.errors import Unavailable
from core.market.quote import Quote
from core.ports import Archive, Dividend, SettlementValue, Split, Update
from core.runtime import SeededEntropy, SimLoop, SimRuntime
from core.store.archive import MemoryArchive

T = TypeVar("T")
PUT, CALL = Right.PUT, Right.CALL
BUY, SELL = Side.BUY, Side.SELL
OPEN, CLOSE = Effect.OPEN, Effect.CLOSE
START = datetime(2019, 4, 25, 19, 0, tzinfo=UTC)  # a Thursday, 15:00 in New York
MAY = date(2019, 5, 17)
CASH = Decimal(100_000)

HIGH = option("SPXW", MAY, PUT, Decimal(2700))
LOW = option("SPXW", MAY, PUT, Decimal(2650))
SPY_PUT = option("SPY", MAY, PUT, Decimal(285))
SPY_CALL = option("SPY", MAY, CALL, Decimal(295))
SPY = Equity(symbol="SPY")


class Board:
    """Quotes and settlement values as a test sets them."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.quoted: dict[str, Quote] = {}
        self.values: dict[tuple[str, date], Decimal] = {}
        self.paid: list[Dividend] = []
        self.made: list[Split] = []
        self.down = False
        self.mute = False  # says nothing of dividends

    def set(self, item: Instrument, bid: float, ask: float, *, size: int | None = None, at: datetime | None = None) -> None:
        self.quoted[item.key] = Quote(
            key=item.key, bid=bid, ask=ask, at=at or self._clock.now(), source="test", bid_size=size, ask_size=size
        )

    def publish(self, contract: Option, value: str) -> None:
        self.values[contract.root, contract.expiry] = Decimal(value)

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        if self.down:
            raise Unavailable("quotes", why="the test took them away")
        return {item.key: self.quoted[item.key] for item in instruments if item.key in self.quoted}

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        if self.mute:
            raise Unavailable("dividends", why="the test took them away")
        return tuple(item for item in self.paid if item.symbol == symbol and start <= item.ex_date <= end)

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        return tuple(item for item in self.made if item.symbol == symbol and start <= item.ex_date <= end)

    async def settlement(self, contract: Option) -> SettlementValue | None:
        if self.down:
            raise Unavailable("settlement values", why="the test took them away")
        value = self.values.get((contract.root, contract.expiry))
        if value is None:
            return None
        return SettlementValue(root=contract.root, expiry=contract.expiry, value=value, published_at=self._clock.now(), label="test")


class World:
    """One account on one market; `restart` is a new process that finds the same archive."""

    def __init__(
        self, *, kind: AccountKind = AccountKind.REG_T, cash: Decimal = CASH, parameters: Parameters | None = None,
        archive: Archive | None = None, standing: bool = True, name: str = "TEST",
    ) -> None:
        self.clock = ManualClock(START, standing=standing)
        self.loop = SimLoop(1, START)
        self.runtime = SimRuntime(self.loop, "paper", clock=self.clock, entropy=SeededEntropy("paper"))
        self.board = Board(self.clock)
        self.archive: Archive = archive or MemoryArchive()
        self.account = Account(id=AccountId(broker="paper", id=name, env=Env.PAPER), name="test", kind=kind, start_cash=cash)
        self.parameters = parameters or Parameters()
        self.broker = self._build()
        self.usual_market()

    def _build(self) -> PaperBroker:
        return build(
            self.parameters, account=self.account, quotes=self.board, clock=self.clock, runtime=self.runtime, archive=self.archive
        )

    def usual_market(self) -> None:
        """SPX at 2,900, SPY at 290; the 2700/2650 put spread is naturally worth 2.40."""
        self.board.set(underlying_instrument("SPX"), 2900, 2900)
        self.board.set(SPY, 290.00, 290.02, size=1000)
        self.board.set(HIGH, 6.50, 6.70, size=10)
        self.board.set(LOW, 3.90, 4.10, size=20)
        self.board.set(SPY_PUT, 3.00, 3.02, size=10)
        self.board.set(SPY_CALL, 2.00, 2.02, size=10)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return self.runtime.run(main)

    async def restart(self) -> int:
        self.broker = self._build()
        return await self.broker.connect()

    def later(self, **by: float) -> None:
        self.clock.advance(timedelta(**by))


def leg(item: Instrument, side: Side, effect: Effect = OPEN, ratio: int = 1) -> Leg:
    return Leg(instrument=item, side=side, effect=effect, ratio=ratio)


SPREAD = (leg(HIGH, SELL), leg(LOW, BUY))
SPREAD_BACK = (leg(HIGH, BUY, CLOSE), leg(LOW, SELL, CLOSE))


def permitted(
    world: World, legs: tuple[Leg, ...], limit: str, quantity: int = 1, *, id: str = "O1", tif: TimeInForce = TimeInForce.DAY,
    account: AccountId | None = None,
) -> Permitted:
    """An order as the gate would let it through; its envelope allows any price."""
    envelope = Envelope(
        account=account or world.account.id, legs=legs, quantity=quantity, plan=Limit(start=Decimal(1000), worst=Decimal(limit)), tif=tif,
        expires_at=START + timedelta(days=365), policy_version=1, strategy="test", trade_id=None,
    )
    return Permitted(
        account=envelope.account, client_id=id, ticket_id="T1", envelope=envelope, envelope_hash=envelope.hash, limit=Decimal(limit),
        quantity=quantity, reducing=False, verdict_hash="",
    )


def moved(order: Permitted, limit: str) -> Permitted:
    """The same order at another price."""
    return Permitted(
        account=order.account, client_id=order.client_id, ticket_id=order.ticket_id, envelope=order.envelope,
        envelope_hash=order.envelope_hash, limit=Decimal(limit), quantity=order.quantity, reducing=order.reducing, verdict_hash="",
    )


def ledger_of(updates: Sequence[Update]) -> tuple[Fraction, dict[str, int]]:
    """Cash and positions worked out from the broker's stream alone, in fractions."""
    cash, held = Fraction(0), {}
    for item in (update.item for update in updates):
        changes: list[tuple[str, int]] = []
        if isinstance(item, CashMoved):
            cash += Fraction(item.amount)
        elif isinstance(item, Fill):
            sign = 1 if item.side is BUY else -1
            cash -= sign * item.quantity * Fraction(item.price) * item.instrument.multiplier + Fraction(item.fees)
            changes = [(item.instrument.key, sign * item.quantity)]
        elif isinstance(item, Settled):
            cash += Fraction(item.cash) - Fraction(item.fees)
            changes = [(item.instrument.key, item.quantity), (item.share_symbol or "", item.shares)]
        elif isinstance(item, CorporateAction):
            cash += sum(Fraction(line.cash) for line in item.lines)
            changes = [(line.instrument.key, -line.quantity) for line in item.lines]
            changes += [(line.successor.key, line.becomes) for line in item.lines]
        for key, change in changes:
            held[key] = held.get(key, 0) + change
    return cash, {key: count for key, count in held.items() if count}


async def journal(world: World) -> tuple[Update, ...]:
    return await world.broker.updates(since=0, wait_seconds=0)


async def spin(times: int = 20) -> None:
    """Let other tasks run, without time passing."""
    for _ in range(times):
        await asyncio.sleep(0)
