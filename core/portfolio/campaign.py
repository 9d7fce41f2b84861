"""One trade's whole story with its rolls: what was opened, closed, rolled, assigned, and what came of it in money. Pure.

A roll is never guessed. One combo order that closes and opens belongs to one trade already; two orders are a roll where a person said so
(`NoteWritten.rolls`). What only looks like one is named by `look_alikes` and counted by nobody.

Example: a put spread sold for 120.00 is bought back for 310.00 and sold again a month later for 240.00, which ends worthless: together
-190.00 + 240.00 = +50.00 before commission.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal

from core.domain.calendar import EXCHANGE, exchange_day
from core.domain.events import Settled, TradeLogged
from core.domain.instruments import Instrument
from core.domain.money import ZERO
from core.domain.orders import Effect, Fill, Leg
from core.domain.structures import Trade
from core.orders.standing import net_filled
from core.orders.states import Order
from core.portfolio.book import Book
from core.portfolio.settling import Became, Ending

OPENED, CLOSED, ROLLED = "opened", "closed", "rolled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One order's executions, or one settlement, as far as a trade counts them."""

    at: datetime
    trade_id: str
    what: str  # opened | closed | rolled, or how a contract ended
    reference: str  # of the order, the booking or the settlement
    legs: tuple[Leg, ...] = ()
    instrument: Instrument | None = None  # of a settlement
    quantity: int = 0  # units of an order, contracts of a settlement
    net: Decimal | None = None  # per unit and share, + received
    cash: Decimal = ZERO  # before fees
    fees: Decimal = ZERO
    shares: int = 0  # that came (+) or went with it; their money is not the trade's
    share_symbol: str | None = None
    share_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Trades that continue each other, the oldest first, and everything that happened to them."""

    trades: tuple[Trade, ...]
    steps: tuple[Step, ...]

    @property
    def premium(self) -> Decimal:
        """Received (+) and paid (-) to open, over all of them, before fees."""
        return sum((trade.premium for trade in self.trades), ZERO)

    @property
    def closing_cash(self) -> Decimal:
        """Received (+) and paid (-) to close and settle, before fees."""
        return sum((trade.closing_cash for trade in self.trades), ZERO)

    @property
    def fees(self) -> Decimal:
        """Commission and fees."""
        return sum((trade.fees for trade in self.trades), ZERO)

    @property
    def cash(self) -> Decimal:
        """Everything received less everything paid, net of fees: the result once nothing is open."""
        return self.premium + self.closing_cash - self.fees

    @property
    def open_trades(self) -> tuple[Trade, ...]:
        """Those that hold something."""
        return tuple(trade for trade in self.trades if trade.is_open)

    def days(self, now: datetime) -> int:
        """Calendar days from the first opening to the end, or to now where one is open."""
        ends = [trade.closed_at or now for trade in self.trades]
        last = now if self.open_trades else max(ends)
        return (exchange_day(last) - exchange_day(self.trades[0].opened_at)).days


def campaign_of(book: Book, rolls: Mapping[str, str], trade_id: str) -> Campaign:
    """The story a trade belongs to; raise KeyError where nothing of it was ever filled. `rolls`: trade -> the one it continues."""
    names = book.trades_in_order(name for name in chain(rolls, trade_id) if name in book.trades)
    if trade_id not in names:
        raise KeyError(trade_id)
    trades = tuple(book.trades[name] for name in names)
    steps = [step for trade in trades for step in _steps(book, trade)]
    # On a clock that stands many things happen at one instant: then in the order of the trades, each opened before it closed.
    return Campaign(trades=trades, steps=tuple(sorted(steps, key=lambda step: (step.at, names.index(step.trade_id), step.what != OPENED))))


def chain(rolls: Mapping[str, str], trade_id: str) -> tuple[str, ...]:
    """The trade, all it continues and all that continues any of them."""
    first, seen = trade_id, {trade_id}
    while first in rolls and rolls[first] not in seen:
        first = rolls[first]
        seen.add(first)
    found, waiting = [first], [first]
    while waiting:
        before = waiting.pop()
        after = [name for name, old in rolls.items() if old == before and name not in found]
        found += after
        waiting += after
    return tuple(found)


def look_alikes(book: Book, rolls: Mapping[str, str], trade_id: str) -> tuple[Trade, ...]:
    """Trades this one may be a roll of: bought back by an order the same day before it was opened, same underlying and strategy.

    They are an inference, for a person to confirm; a trade that already continues one has none, nor one that another continues.
    """
    trade = book.trades[trade_id]
    if trade_id in rolls:
        return ()
    taken, day = set(rolls.values()), exchange_day(trade.opened_at)  # nothing closed before that day is looked at
    same = (
        other for other in book.closed_since(datetime.combine(day, time(), EXCHANGE))
        if other.id not in (*taken, trade_id) and other.closed_at is not None and other.closed_at <= trade.opened_at
        and book.trades_in_order([other.id, trade_id])[0] == other.id
        and (other.underlying, other.strategy) == (trade.underlying, trade.strategy)
    )
    return tuple(other for other in same if any(step.what == CLOSED and step.at == other.closed_at for step in _steps(book, other)))


def _steps(book: Book, trade: Trade) -> list[Step]:
    orders = [order for order in book.sent_since(trade.opened_at) if order.trade_id == trade.id and order.live_fills]
    logged = [body for body in book.logged.values() if body.trade_id == trade.id]
    steps = [_of_order(order) for order in orders]
    steps += _of_bookings(logged)
    legs = (*trade.legs, *(leg for order in orders for leg in order.envelope.legs), *(leg for body in logged for leg in body.legs))
    instruments = {leg.instrument.key: leg.instrument for leg in legs}
    return [*steps, *(step for instrument in instruments.values() for step in _endings(book, trade, instrument))]


def _of_order(order: Order) -> Step:
    fills = order.live_fills
    return Step(
        at=max(fill.at for fill in fills), trade_id=order.trade_id, what=_what(order.envelope.legs), reference=order.client_id,
        legs=order.envelope.legs, quantity=order.filled, net=net_filled(order), cash=_cash(fills), fees=_fees(fills),
    )


def _of_bookings(bookings: Iterable[TradeLogged]) -> Iterator[Step]:
    kept = {body.log_id: body for body in bookings}
    undone = {body.undoes for body in kept.values() if body.undoes is not None}
    for body in kept.values():
        if body.undoes is None and body.log_id not in undone:
            yield Step(
                at=max(fill.at for fill in body.fills), trade_id=body.trade_id, what=_what(body.legs), reference=body.log_id,
                legs=body.legs, quantity=body.quantity, net=body.price, cash=_cash(body.fills), fees=_fees(body.fills),
            )


def _endings(book: Book, trade: Trade, instrument: Instrument) -> Iterator[Step]:
    for ending in book.endings.get(instrument.key, ()):
        if not ending.parts.get(trade.id):
            continue
        if ending.became is not None:
            yield _split(book, trade, ending, ending.became)
            continue
        settled: Settled
        (settled,) = book.settlements.named(book.settled[ending.id], "settlement_id", ending.id)
        cash, fees = ending.money_of(book.trades_in_order(ending.parts))[trade.id]
        part = ending.parts[trade.id]
        own = settled.instrument.key == instrument.key  # else it is the shares that went, and their money is this trade's
        shares = settled.shares * part // settled.quantity if own and settled.shares and settled.quantity else 0
        yield Step(
            at=ending.at, trade_id=trade.id, what=settled.outcome.replace("_", " "), reference=ending.id, instrument=instrument,
            quantity=part, cash=cash, fees=fees, shares=shares, share_symbol=settled.share_symbol if shares else None,
            share_price=abs(settled.cash / settled.shares) if shares else None,
        )


def _split(book: Book, trade: Trade, ending: Ending, became: Became) -> Step:
    """What a leg became, and what was paid for a part of a share."""
    names = book.trades_in_order(ending.parts)
    count = sum(lot.quantity for lot in ending.begun(names, ZERO) if lot.trade == trade.id)
    return Step(
        at=ending.at, trade_id=trade.id, what="split", reference=ending.id, instrument=became.instrument, quantity=count,
        cash=ending.money_of(names)[trade.id][0],
    )


def _what(legs: tuple[Leg, ...]) -> str:
    effects = {leg.effect for leg in legs}
    return ROLLED if len(effects) > 1 else OPENED if effects == {Effect.OPEN} else CLOSED


def _cash(fills: Iterable[Fill]) -> Decimal:
    return sum((-fill.side.sign * fill.quantity * fill.price * fill.instrument.multiplier for fill in fills), ZERO)


def _fees(fills: Iterable[Fill]) -> Decimal:
    return sum((fill.fees for fill in fills), ZERO)
