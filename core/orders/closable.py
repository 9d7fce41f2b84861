"""What of an account can be closed, and by which legs: shared by the closing commands and the exits. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.domain.instruments import SERIES, Equity, Instrument, Option
from core.domain.orders import Effect, Leg, Side
from core.domain.structures import Trade, describe_legs
from core.orders.states import Order
from core.portfolio.book import Book


@dataclass(frozen=True, slots=True, kw_only=True)
class Closable:
    """A trade, a leg left of one, or a position without a trade: `legs` close one unit, `units` may be closed now.

    `working` names the closing orders already out, which hold the other `held - units` units.
    """

    id: str
    label: str
    strategy: str
    underlying: str
    expiry: date | None
    legs: tuple[Leg, ...]
    held: int
    units: int
    trade_id: str | None
    working: tuple[str, ...] = ()
    credit: Decimal | None = None  # received (+) or paid (-) per unit and share when it was opened

    @property
    def pays(self) -> bool:
        """Whether closing costs money: the first leg, which defines the structure, is bought back."""
        return self.legs[0].side is Side.BUY


def closables(book: Book) -> tuple[Closable, ...]:
    """Everything held: open trades first, oldest first, then positions that belong to none."""
    left = {key: quantity for key, (_, quantity) in book.holdings().items()}
    found: list[Closable] = []
    for trade in book.open_trades:
        found += _of_trade(trade, left, book)
    for key, quantity in left.items():
        if quantity:
            found.append(_loose(book.positions[key].instrument, quantity, book))
    return tuple(found)


def named_leg(book: Book, name: str) -> tuple[Closable, ...]:
    """A leg of open trades by itself, by its contract's name: buying back a short alone is a way out that no rule closes."""
    wanted, left = name.upper().removeprefix("#"), {key: quantity for key, (_, quantity) in book.holdings().items()}
    return tuple(item for trade in book.open_trades for item in _of_trade(trade, left, book, apart=True) if item.id == wanted)


def on_symbol(found: Iterable[Closable], symbol: str) -> tuple[Closable, ...]:
    """Everything on an underlying, its shares among it; a root such as SPXW stands for what it is on."""
    series = SERIES.get(symbol)
    underlying = symbol if series is None else series.underlying
    return tuple(item for item in found if item.underlying == underlying)


def with_id(found: Iterable[Closable], name: str) -> tuple[Closable, ...]:
    """Those a trade id, contract symbol or ticker of shares names."""
    wanted = name.upper().removeprefix("#")
    return tuple(item for item in found if wanted in (item.id.upper(), (item.trade_id or "").upper()))


def position_id(instrument: Instrument) -> str:
    """A position's id as it is typed: the contract symbol without spaces, or the ticker."""
    return instrument.key.replace(" ", "")


def _of_trade(trade: Trade, left: dict[str, int], book: Book, *, apart: bool = False) -> list[Closable]:
    """A whole structure, or each leg by itself where that is wanted or they are not held in their ratio any more."""
    held: list[tuple[Leg, int]] = []
    for leg in trade.legs:
        key, opened = leg.instrument.key, leg.contracts(trade.open_units)
        now = left.get(key, 0)
        count = min(abs(opened), abs(now)) if now * opened > 0 else 0
        left[key] = now - leg.side.sign * count
        if count:
            held.append((leg, count))
    orders = [order for order in book.live.values() if order.trade_id == trade.id and _holds(order)]
    units = {count // leg.ratio for leg, count in held if count % leg.ratio == 0}
    if not apart and len(units) == 1 and all(count % leg.ratio == 0 for leg, count in held):
        whole = units.pop()
        busy = sum(order.leaves for order in orders)
        intact = len(held) == len(trade.legs)
        credit = trade.credit_per_unit / trade.legs[0].instrument.multiplier if intact and trade.opened_units else None
        legs = tuple(_reversed(leg, leg.ratio) for leg, _ in held)
        return [_closable(trade, trade.id, legs, whole, busy, tuple(order.client_id for order in orders), credit)]
    single = []
    for leg, count in held:
        mine = [order for order in orders if any(other.instrument == leg.instrument for other in order.envelope.legs)]
        busy = sum(order.leaves * leg.ratio for order in mine)
        legs = (_reversed(leg, 1),)
        names = tuple(order.client_id for order in mine)
        single.append(_closable(trade, position_id(leg.instrument), legs, count, busy, names, None))
    return single


def _closable(
    trade: Trade, name: str, legs: tuple[Leg, ...], held: int, busy: int, working: tuple[str, ...], credit: Decimal | None
) -> Closable:
    return Closable(
        id=name,
        label=describe_legs(legs),
        strategy=trade.strategy,
        underlying=trade.underlying,
        expiry=min((leg.instrument.expiry for leg in legs if isinstance(leg.instrument, Option)), default=None),
        legs=legs,
        held=held,
        units=max(0, held - busy),
        trade_id=trade.id,
        working=working,
        credit=credit,
    )


def _loose(instrument: Instrument, quantity: int, book: Book) -> Closable:
    side = Side.SELL if quantity > 0 else Side.BUY
    legs = (Leg(instrument=instrument, side=side, effect=Effect.CLOSE),)
    closing = [order for order in book.live.values() if order.envelope.trade_id is None and _holds(order)]
    orders = [order for order in closing if any(leg.instrument == instrument for leg in order.envelope.legs)]
    busy = sum(order.leaves for order in orders)
    return Closable(
        id=position_id(instrument),
        label=getattr(instrument, "label", instrument.key),
        strategy="stock" if isinstance(instrument, Equity) else "external",
        underlying=instrument.underlying if isinstance(instrument, Option) else instrument.key,
        expiry=instrument.expiry if isinstance(instrument, Option) else None,
        legs=legs,
        held=abs(quantity),
        units=max(0, abs(quantity) - busy),
        trade_id=None,
        working=tuple(order.client_id for order in orders),
    )


def _reversed(leg: Leg, ratio: int) -> Leg:
    side = Side.BUY if leg.side is Side.SELL else Side.SELL
    return Leg(instrument=leg.instrument, side=side, effect=Effect.CLOSE, ratio=ratio)


def _holds(order: Order) -> bool:
    """A closing order that keeps its units from others; an exit of a standing order is cancelled before another close instead."""
    return order.standing_id is None and all(leg.effect is Effect.CLOSE for leg in order.envelope.legs)
