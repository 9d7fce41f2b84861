"""What a morning brings at the paper exchange, once a session before anything trades: splits, early assignments, dividends, in this order.

Holders who exercise for a dividend did so the evening before, so the shares they called are gone when it is paid, and who lent them owes
it. Days on which nobody looked are made up for, each on its own. No source says when a dividend is paid: it is booked on its ex-date.

Example: long 200 KO and short one KO 60 call, KO at 66.00 before a dividend of 0.48, the call at 6.20. It holds 0.20 over its intrinsic
value, less than 0.48: assigned, 100 shares go at 60.00; the other 100 are paid 48.00.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from core.brokers._paper_events import is_exercised, may_be_assigned
from core.brokers._paper_ledger import PaperOrder
from core.brokers._paper_match import current_quote, marks
from core.brokers._paper_settle import assign_early
from core.clock import EXCHANGE_ZONE, exchange_date
from core.domain.accounts import AccountId
from core.domain.adjusting import Adjustment, is_whole, split_option, split_shares
from core.domain.calendar import is_session, session
from core.domain.events import CashMoved, CorporateAction, Replaced
from core.domain.instruments import Equity, Instrument, InstrumentError, Option, adjusted_root, underlying_instrument
from core.domain.money import from_market, to_cents
from core.errors import Unavailable
from core.ports import BrokerStatus, Dividend, Split

if TYPE_CHECKING:
    from core.brokers._paper_floor import Floor

ZERO = Decimal(0)
Held = Mapping[str, tuple[Instrument, int]]


class Morning:
    """One account's mornings."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    async def look(self) -> None:
        """Everything since the last morning; where a source cannot say, all of it waits for the next look."""
        floor, today = self._floor, exchange_date(self._floor.clock.now())
        last = floor.ledger.morning
        if not is_session(today) or last == today:
            return
        try:
            if last is not None:
                for day in _days(last + timedelta(days=1), today - timedelta(days=1)):
                    await self._split(day)
                    await self._pay(day)
                split = await self._split(today)
                if floor.parameters.early_assignment:
                    await self._assign(today, without=split)
                await self._pay(today)
        except Unavailable:
            return
        async with floor.lock:
            await floor.ledger.refresh()
            await floor.write(morning=today)

    # --- splits --------------------------------------------------------------------------------------------------------

    async def _split(self, day: date) -> frozenset[str]:
        """Book the splits of a day; returns the symbols."""
        floor, found = self._floor, []
        for symbol in _symbols(floor.ledger.positions):
            found += await floor.source.splits(symbol, start=day, end=day)
        for split in found:
            if split.new != split.old:
                await self._book(split)
        return frozenset(split.symbol for split in found)

    async def _book(self, split: Split) -> None:
        floor = self._floor
        name = f"{floor.account.id}:split:{split.symbol}:{split.ex_date.isoformat()}"
        price = None if is_whole(split.new, split.old) else await self._price(split)
        try:
            _lines(floor.ledger.positions, split, price=price, known=floor.ledger.adjusted_roots, at=_begin(split.ex_date))
        except ValueError:  # a contract that cannot be adjusted is paid out, which takes a price
            price = await self._price(split)
        async with floor.lock:
            await floor.ledger.refresh()
            if floor.ledger.is_booked(name):
                return
            at = _begin(split.ex_date)
            lines = _lines(floor.ledger.positions, split, price=price, known=floor.ledger.adjusted_roots, at=at)
            if not lines:
                return
            action = CorporateAction(
                action_id=name, account=floor.account.id, symbol=split.symbol, new=split.new, old=split.old, lines=lines, at=at
            )
            keys = {line.instrument.key for line in lines}
            over = [order for order in floor.ledger.working if any(leg.instrument.key in keys for leg in order.envelope.legs)]
            await floor.end([_cancelled(order) for order in over], f"its contracts were replaced: {action.words}", first=[action])

    async def _price(self, split: Split) -> Decimal:
        """What a part of a share is paid at: the first price of the day on which it is split."""
        floor = self._floor
        share, day = underlying_instrument(split.symbol), session(exchange_date(floor.clock.now()))
        quotes = await floor.source.quotes((share,))
        quote = current_quote(share, floor.market(quotes))
        if quote is None or day is None or floor.clock.now() < day.open_at:
            raise Unavailable(f"the price of {split.symbol}", why="it has not traded since its split")
        return from_market(quote.mid)

    # --- assignments and dividends -------------------------------------------------------------------------------------

    async def _assign(self, today: date, *, without: frozenset[str]) -> None:
        """Which holders exercised overnight. On the morning of a split nobody can tell old prices from new ones, so nobody did."""
        floor = self._floor
        options = [item for item in may_be_assigned(floor.ledger.positions, today) if item.underlying not in without]
        if not options:
            return
        shares = [underlying_instrument(option.underlying) for option in options]
        prices = marks((*options, *shares), floor.market(await floor.source.quotes((*options, *shares))))
        paid = {share.key: sum((item.amount for item in await self._dividends(share.key, today)), ZERO) for share in shares}
        found = [
            option for option in options if option.key in prices and option.underlying in prices
            and is_exercised(option, price=prices[option.key], spot=prices[option.underlying], dividend=paid[option.underlying])
        ]
        async with floor.lock:
            await floor.ledger.refresh()
            held = floor.ledger.positions
            items = [
                assign_early(
                    option, held[option.key][1], value=prices[option.underlying], account=floor.account.id, at=floor.clock.now(),
                    day=today, fees=floor.schedule.delivery,
                )
                for option in found if option.key in held
            ]
            new = [item for item in items if not floor.ledger.is_booked(item.settlement_id)]
            await floor.write(items=new)
            await floor.drop_orphans()

    async def _pay(self, day: date) -> None:
        """Dividends of a day on what was held when it began: received on shares, owed on shares that are short."""
        floor = self._floor
        symbols = _symbols(floor.ledger.held_overnight(day))
        paid = [item for symbol in symbols for item in await self._dividends(symbol, day)]
        async with floor.lock:
            await floor.ledger.refresh()
            held = floor.ledger.held_overnight(day)
            items = [_payment(item, held[item.symbol][1], floor.account.id, floor.clock.now()) for item in paid if item.symbol in held]
            await floor.write(items=[item for item in items if not floor.ledger.is_booked(item.movement_id)])

    async def _dividends(self, symbol: str, day: date) -> tuple[Dividend, ...]:
        return await self._floor.source.dividends(symbol, start=day, end=day)


def _payment(item: Dividend, shares: int, account: AccountId, at: datetime) -> CashMoved:
    return CashMoved(
        movement_id=f"{account}:dividend:{item.symbol}:{item.ex_date.isoformat()}", account=account, amount=to_cents(item.amount * shares),
        reason="dividend", at=at, symbol=item.symbol, quantity=shares,
    )


def _lines(held: Held, split: Split, *, price: Decimal | None, known: Iterable[str], at: datetime) -> tuple[Replaced, ...]:
    """What each holding on the split shares becomes; contracts that ran out before end on their own terms. Low strikes come first, so that
    none of them is taken for what a higher one becomes. What would deliver less than a share, or has no root left, is paid what exercise
    brings. Raises ValueError where that takes a price and there is none."""
    roots, taken, found = {}, set(known), []
    for item, quantity in sorted(held.values(), key=lambda pair: (getattr(pair[0], "strike", ZERO), pair[0].key)):
        if isinstance(item, Equity) and item.symbol == split.symbol:
            became = split_shares(item, quantity, new=split.new, old=split.old)
            found.append(_line(item, quantity, became, cash=became.cash(price) if price is not None else ZERO))
        elif isinstance(item, Option) and _delivers(item, split.symbol) and item.last_trade_at > at:
            if item.root not in roots:
                roots[item.root] = frozenset(taken)
                taken |= _next_root(item.root, taken)
            try:
                became = split_option(item, quantity, new=split.new, old=split.old, known=roots[item.root], price=price)
                found.append(_line(item, quantity, became, cash=ZERO))
            except ValueError:
                if price is None:
                    raise
                worth = to_cents(item.intrinsic(price * split.new / split.old) * quantity)
                found.append(Replaced(instrument=item, quantity=quantity, successor=item, becomes=0, cash=worth))
    return tuple(found)


def _next_root(root: str, taken: set[str]) -> set[str]:
    """The root its contracts move to, if there is one left."""
    try:
        return {adjusted_root(root, taken)}
    except InstrumentError:
        return set()


def _delivers(item: Option, symbol: str) -> bool:
    return item.deliverable is not None and item.deliverable.symbol == symbol


def _line(item: Instrument, quantity: int, became: Adjustment, *, cash: Decimal) -> Replaced:
    return Replaced(instrument=item, quantity=quantity, successor=became.instrument, becomes=became.quantity, cash=cash)


def _symbols(held: Held) -> tuple[str, ...]:
    """Shares that are held, or delivered by what is held."""
    found = [
        item.deliverable.symbol if isinstance(item, Option) and item.deliverable is not None else item.key
        for item, _ in held.values() if isinstance(item, Equity) or (isinstance(item, Option) and item.deliverable is not None)
    ]
    return tuple(sorted(set(found)))


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(0), EXCHANGE_ZONE).astimezone(UTC)


def _days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _cancelled(order: PaperOrder) -> PaperOrder:
    return replace(order, status=BrokerStatus.CANCELLED)
