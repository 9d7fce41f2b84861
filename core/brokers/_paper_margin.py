"""Margin calls at the paper exchange: told first, then positions are closed at the market until the account has what it needs.

An account that is short of its maintenance requirement is told how much is missing and until when: `call_minutes` after the open of the
next session. What is met by then is forgotten; what is not is closed, the position first whose end lowers what is missing most, and no
more of it than has to go. An account that is worth nothing any more is given no time (a house call).

Example: short 5 SPY 285 puts, SPY falls from 290 to 250, 9,800.00 USD are missing at 14:10. The call is due at 10:00 on the next session;
nothing was done, so puts are bought back at the ask then, as many as lift the account over its requirement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from core.brokers import _paper_rules as rules
from core.brokers._paper_events import Liquidation, to_liquidate
from core.brokers._paper_match import Market, match
from core.brokers._paper_rules import Shortage
from core.clock import exchange_date
from core.domain.calendar import next_session, session
from core.domain.events import MarginCalled
from core.domain.instruments import Equity, Instrument
from core.domain.money import CENT
from core.domain.orders import Effect, Envelope, Leg, Limit, Side, TimeInForce
from core.errors import Unavailable
from core.market.quote import Quote
from core.ports import BrokerStatus

if TYPE_CHECKING:
    from core.brokers._paper_floor import Floor

MARGIN_EVERY = timedelta(minutes=1)  # between two looks at whether the account is short of margin
NO_LIMIT = Decimal(-1_000_000)  # a liquidation takes what there is
MUCH_MORE = Decimal("1.25")  # of what was called for is told anew


class MarginDesk:
    """Looks at one account's margin."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._looked_at: datetime | None = None

    async def look(self) -> None:
        """Call, take a call back, or close one position as far as the quoted size goes; the next look goes on."""
        floor, now, last = self._floor, self._floor.clock.now(), self._looked_at
        owes = floor.ledger.cash < 0 or any(quantity < 0 for _, quantity in floor.ledger.positions.values())
        needless = not owes and floor.ledger.call is None
        if not floor.parameters.liquidates or needless or (last is not None and timedelta(0) <= now - last < MARGIN_EVERY):
            return
        self._looked_at = now
        try:
            quotes = await floor.source.quotes(floor.judge.wanted(()))
        except Unavailable:
            return
        async with floor.lock:
            await floor.ledger.refresh()
            market = floor.market(quotes)
            short = floor.judge.shortage(market)
            if short is None or not await self._called(short, market):
                return
            await self._close_one(market, quotes)

    async def _called(self, short: Shortage, market: Market) -> bool:
        """Tell what is new about a call; whether it is due."""
        floor, standing = self._floor, self._floor.ledger.call
        if short.missing <= 0:
            if standing is not None:
                await self._write(Decimal(0), market.at, None, f"the account has {-short.missing:,.2f} USD more than it needs")
            return False
        at_once = short.equity <= 0 or floor.parameters.call_minutes is None
        due_at = None if at_once else standing.due_at if standing is not None else self._due(market.at)
        told = standing is not None and (standing.due_at is None or not at_once) and short.missing <= standing.amount * MUCH_MORE
        if not told:
            there = short.required - short.missing  # cash and shares; to portfolio margin with the options
            reason = f"Keeping what is held needs {short.required:,.2f} USD, and {there:,.2f} USD are there for it"
            await self._write(short.missing, market.at, due_at, reason)
        return due_at is None or market.at >= due_at

    async def _write(self, amount: Decimal, at: datetime, due_at: datetime | None, reason: str) -> None:
        floor = self._floor
        call = MarginCalled(
            call_id=f"{floor.account.id}:call:{floor.ledger.cursor + 1}", account=floor.account.id,
            amount=amount.quantize(CENT, rounding=ROUND_CEILING), at=at, due_at=due_at, reason=reason,
        )
        await floor.write(items=[call])

    def _due(self, now: datetime) -> datetime:
        following = session(next_session(exchange_date(now)))
        assert following is not None
        return following.open_at + timedelta(minutes=self._floor.parameters.call_minutes or 0)

    async def _close_one(self, market: Market, quotes: Mapping[str, Quote]) -> None:
        floor = self._floor

        def missing(item: Instrument | None, quantity: int) -> Decimal | None:
            short = floor.judge.shortage(market, without=item, quantity=quantity)
            return None if short is None else short.missing

        open_now = [
            (item, quantity) for item, quantity in floor.ledger.positions.values()
            if rules.is_open((_closing(item, -quantity),), market.at) and item.key in quotes
        ]
        owed = [(item, quantity) for item, quantity in open_now if quantity < 0 or isinstance(item, Equity)]
        call = to_liquidate(owed, missing) or to_liquidate([pair for pair in open_now if pair not in owed], missing)
        if call is None:
            return
        leg = _closing(call.instrument, call.quantity)
        ref = f"PX-L{floor.ledger.cursor + 1}"
        order = floor.new_order(self._envelope(leg, call), ref, ref=ref, limit=NO_LIMIT, fingerprint=ref, external=True)
        found = match(order, market)
        if found is None:
            return
        done = replace(order, filled=found.units, executions=1, quantity=found.units, status=BrokerStatus.FILLED)
        items = [replace(fill, note=call.note) for fill in floor.fills_of(order, found, market.at)]
        await floor.write(items=items, orders=[replace(done, last=floor.ledger.cursor + len(items))], taken=found.taken)
        await floor.drop_orphans()

    def _envelope(self, leg: Leg, call: Liquidation) -> Envelope:
        return Envelope(
            account=self._floor.account.id, legs=(leg,), quantity=abs(call.quantity), plan=Limit(start=NO_LIMIT, worst=NO_LIMIT),
            tif=TimeInForce.DAY, expires_at=self._floor.clock.now(), policy_version=0, strategy="external", trade_id=None,
        )


def _closing(item: Instrument, change: int) -> Leg:
    """The leg that changes a holding so."""
    return Leg(instrument=item, side=Side.BUY if change > 0 else Side.SELL, effect=Effect.CLOSE)
