"""Profit and loss: what ended, what is open at mids, what settled. Pure.

Realised amounts are exact, net of commission and fees, and belong to the exchange day the trade closed on. Open amounts are at mids; what
has no usable price is named and left out, never counted as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.domain.calendar import exchange_day
from core.domain.events import Settled
from core.domain.instruments import Equity, Instrument, Option
from core.domain.money import ZERO
from core.domain.orders import Fill
from core.domain.structures import Position, Trade, average_after
from core.errors import Unavailable
from core.market.view import View
from core.orders.states import Order

Held = Mapping[str, tuple[Instrument, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Closed trades of one name (a strategy, a symbol, or all together)."""

    name: str
    trades: int
    winners: int
    gross: Decimal  # premium and closing cash, before fees
    fees: Decimal

    @property
    def net(self) -> Decimal:
        """After commission and fees."""
        return self.gross - self.fees


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideResult:
    """What one execution or settlement brought on a holding that belongs to no trade, against its average price."""

    underlying: str
    at: datetime
    gross: Decimal  # zero where it opened or added
    fees: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenResult:
    """An open trade at mids. `pnl` is None where a held contract has no usable price; `stale` names those."""

    trade: Trade
    held: Held
    mark: Decimal | None  # money it would bring (+) or cost (-) to close at mid
    pnl: Decimal | None  # net of fees paid so far
    stale: tuple[str, ...] = ()

    @property
    def taken(self) -> Decimal | None:
        """Of the P&L, what the closed part of the trade brought, before fees; None where no whole unit was closed."""
        trade = self.trade
        closed = trade.opened_units - trade.open_units
        return trade.credit_per_unit * closed + trade.closing_cash if 0 < closed < trade.opened_units else None

    @property
    def fraction_of_credit(self) -> Decimal | None:
        """P&L as a fraction of the premium received or paid, None where unknown."""
        return None if self.pnl is None or not self.trade.premium else self.pnl / abs(self.trade.premium)


def realised(trades: Iterable[Trade], *, first: date, last: date, name: Callable[[Trade], str] = lambda trade: "all") -> tuple[Result, ...]:
    """Results of the trades that closed on days [first, last], grouped by `name`, sorted by it."""
    groups: dict[str, list[Trade]] = {}
    for trade in trades:
        if trade.closed_at is not None and not trade.is_open and first <= exchange_day(trade.closed_at) <= last:
            groups.setdefault(name(trade), []).append(trade)
    return tuple(_result(key, group) for key, group in sorted(groups.items()))


def closed_outside(
    *, fills: Iterable[Fill], orders: Mapping[str, Order], trades: Mapping[str, Trade], settlements: Iterable[Settled]
) -> tuple[OutsideResult, ...]:
    """Results on holdings outside trades (assigned shares, external fills), one for each change, oldest first.

    Shares come in at the strike they were assigned at. Example: 100 shares assigned at 175.00 and sold at 171.89 for 1.15 of fees bring
    -311.00 before and -312.15 after fees; the premium of the put is its trade's.
    """
    changes = [_fill_change(fill, orders, trades) for fill in fills]
    for item in settlements:
        changes += _settlement_changes(item)
    inside: dict[str, int] = {}
    outside: dict[str, tuple[int, Decimal]] = {}
    found: list[OutsideResult] = []
    for change in sorted(changes, key=lambda item: (item.at, item.id)):
        key, quantity = change.instrument.key, change.quantity
        if change.inside is None:  # a settlement: trades first, as the book does it
            part = _closing_part(quantity, inside.get(key, 0))
            inside[key] = inside.get(key, 0) + part
            quantity = _closing_part(quantity - part, outside.get(key, (0, ZERO))[0])
        elif change.inside:
            inside[key] = inside.get(key, 0) + quantity
            continue
        held, average = outside.get(key, (0, ZERO))
        closed = _closing_part(quantity, held)
        gross = -closed * (change.price - average) * change.instrument.multiplier
        if quantity:
            outside[key] = (held + quantity, average_after(held, average, quantity, change.price))
            found.append(OutsideResult(underlying=_underlying(change.instrument), at=change.at, gross=gross, fees=change.fees))
    return tuple(found)


def settled_within(settlements: Iterable[Settled], *, first: date, last: date) -> tuple[Settled, ...]:
    """Settlements on days [first, last], oldest first."""
    return tuple(sorted((item for item in settlements if first <= exchange_day(item.at) <= last), key=lambda item: item.at))


def held_by_trade(
    trades: Iterable[Trade], orders: Iterable[Order], settlements: Iterable[Settled]
) -> dict[str, dict[str, tuple[Instrument, int]]]:
    """What each trade holds now, leg by leg: its orders' executions less what was settled, oldest trade first.

    Legs filled without their partners show as they are, so that a naked remainder is never drawn as a spread.
    """
    held: dict[str, dict[str, tuple[Instrument, int]]] = {trade.id: {} for trade in trades}
    for order in orders:
        if order.trade_id in held:
            legs = {leg.instrument.key for leg in order.envelope.legs}
            for fill in order.live_fills:
                if fill.instrument.key in legs:
                    _add(held[order.trade_id], fill)
    for item in settlements:
        _settle(held, item)
    return {key: {name: pair for name, pair in legs.items() if pair[1]} for key, legs in held.items()}


def untraded(positions: Mapping[str, Position], held: Mapping[str, Held]) -> dict[str, tuple[Instrument, int]]:
    """Positions, or parts of them, that belong to no trade of this desk."""
    rest = {key: (position.instrument, position.quantity) for key, position in positions.items()}
    for legs in held.values():
        for key, (instrument, quantity) in legs.items():
            left = rest.get(key, (instrument, 0))[1] - quantity
            rest[key] = (instrument, left)
    return {key: pair for key, pair in rest.items() if pair[1]}


def market_value(held: Held, view: View) -> tuple[Decimal, tuple[str, ...]]:
    """Money the holdings are worth at mids (short ones negative), and the names of those without a usable price, left out."""
    total, stale = ZERO, []
    for key, (instrument, quantity) in held.items():
        try:
            mid = view.mid(instrument)
        except Unavailable:
            stale.append(instrument.label if isinstance(instrument, Option) else key.strip())
            continue
        total += Decimal(str(round(mid, 6))) * quantity * instrument.multiplier
    return total, tuple(stale)


def open_result(trade: Trade, held: Held, view: View) -> OpenResult:
    """An open trade at mids, net of the commission and fees paid so far."""
    value, stale = market_value(held, view)
    if stale:
        return OpenResult(trade=trade, held=held, mark=None, pnl=None, stale=stale)
    return OpenResult(trade=trade, held=held, mark=value, pnl=trade.premium + trade.closing_cash - trade.fees + value)


def untraded_pnl(positions: Sequence[Position], rest: Held, view: View) -> tuple[Decimal, tuple[str, ...]]:
    """P&L at mids of holdings outside trades against their average price, and those without a usable price, left out."""
    average = {position.instrument.key: position.average_price for position in positions}
    value, stale = market_value(rest, view)
    missing = set(stale)
    cost = sum(
        (
            average[key] * quantity * instrument.multiplier
            for key, (instrument, quantity) in rest.items()
            if key in average and (instrument.label if isinstance(instrument, Option) else key.strip()) not in missing
        ),
        ZERO,
    )
    return value - cost, stale


def _result(name: str, trades: Sequence[Trade]) -> Result:
    return Result(
        name=name,
        trades=len(trades),
        winners=sum(1 for trade in trades if (trade.realized or ZERO) > 0),
        gross=sum((trade.premium + trade.closing_cash for trade in trades), ZERO),
        fees=sum((trade.fees for trade in trades), ZERO),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A change of what is held; `inside` says whether it belongs to a trade, None where that is to be found out."""

    at: datetime
    id: str
    instrument: Instrument
    quantity: int
    price: Decimal
    fees: Decimal
    inside: bool | None


def _fill_change(fill: Fill, orders: Mapping[str, Order], trades: Mapping[str, Trade]) -> _Change:
    order = orders.get(fill.client_id or "")
    legs = () if order is None or order.trade_id not in trades else order.envelope.legs
    inside = any(leg.instrument.key == fill.instrument.key for leg in legs)
    return _Change(
        at=fill.at, id=fill.exec_id, instrument=fill.instrument, quantity=fill.side.sign * fill.quantity, price=fill.price, fees=fill.fees,
        inside=inside,
    )


def _settlement_changes(item: Settled) -> list[_Change]:
    """The option ends, at its cash value or, delivered, at zero; shares come or go at the strike."""
    ended = _Change(
        at=item.at, id=item.settlement_id, instrument=item.instrument, quantity=item.quantity, price=item.price, fees=ZERO, inside=None,
    )
    if not item.shares or not item.share_symbol:
        return [ended]
    stock, strike = Equity(symbol=item.share_symbol), abs(item.cash / item.shares)
    shares = _Change(at=item.at, id=item.settlement_id, instrument=stock, quantity=item.shares, price=strike, fees=ZERO, inside=False)
    return [ended, shares]


def _closing_part(quantity: int, held: int) -> int:
    """How much of a change closes what is held; zero where it adds."""
    if not held or not quantity or (held > 0) == (quantity > 0):
        return 0
    return max(quantity, -held) if quantity < 0 else min(quantity, -held)


def _underlying(instrument: Instrument) -> str:
    return instrument.underlying if isinstance(instrument, Option) else instrument.key


def _add(legs: dict[str, tuple[Instrument, int]], fill: Fill) -> None:
    key = fill.instrument.key
    legs[key] = (fill.instrument, legs.get(key, (fill.instrument, 0))[1] + fill.side.sign * fill.quantity)


def _settle(held: dict[str, dict[str, tuple[Instrument, int]]], item: Settled) -> None:
    remaining, key = item.quantity, item.instrument.key
    for legs in held.values():
        instrument, count = legs.get(key, (item.instrument, 0))
        if remaining == 0 or count == 0 or (count > 0) == (remaining > 0):
            continue
        part = max(remaining, -count) if remaining < 0 else min(remaining, -count)
        legs[key] = (instrument, count + part)
        remaining -= part
