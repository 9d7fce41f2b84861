"""What one account's books are made of while events come in: running sums, what is open at hand, and everything else on shelves.

What is open (positions, live orders, armed standing orders, trades that hold something) is bounded by what is open; what grows with the
history stands on a `Shelf`, so that a picture of it, a snapshot and a start cost what changed and not what there ever was.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from core.domain.accounts import Account
from core.domain.encoding import from_plain, to_plain
from core.domain.events import (
    Adjusted,
    CashMoved,
    CorporateAction,
    ExternalOrder,
    FillsNamed,
    MarginCalled,
    Replaced,
    Settled,
    Submitting,
    TradeLogged,
)
from core.domain.instruments import Equity, Instrument, Option
from core.domain.orders import Fill, Leg
from core.domain.shelf import PACK, Shelf
from core.domain.structures import Position, Trade, average_after
from core.orders.standing import Standing
from core.orders.states import Order
from core.portfolio.settling import Became, Ending, Lot, delivery_of, ending_by, ending_of, line_id, shared_out

T = TypeVar("T")
ZERO = Decimal(0)
Held = Mapping[str, tuple[Instrument, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What a corporate action made of one leg of a trade; `opened` was opened of it until then, which is `opened_as` of the new one."""

    at: datetime
    old: str  # key
    became: Became
    opened: int
    opened_as: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeState:
    """A trade from its first opening order on, and what of its executions and settlements counts."""

    opening: Trade  # before anything was counted
    held: Held = field(default_factory=dict)
    opened: Mapping[str, int] = field(default_factory=dict)
    premium: Decimal = ZERO
    closing: Decimal = ZERO
    fees: Decimal = ZERO
    times: Mapping[str, datetime] = field(default_factory=dict)  # of what counts, by execution or settlement id
    conversions: Mapping[str, Conversion] = field(default_factory=dict)  # by line of a corporate action

    @property
    def open_units(self) -> int:
        """Units held, a started one counted whole."""
        # What it closed without having opened it (a roll out of a holding from elsewhere) was never this trade's own.
        return self._units({key: count for key, (_, count) in self.held.items() if key in self.opened})

    @property
    def closed_at(self) -> datetime | None:
        """When the last unit was closed or settled; None while one is held, or where nothing counts."""
        return None if not self.times or self.open_units else max(self.times.values())

    @property
    def trade(self) -> Trade:
        """The trade as it stands."""
        return replace(
            self.opening, legs=self.legs, opened_units=self._units(self.opened), open_units=self.open_units, premium=self.premium,
            closing_cash=self.closing, fees=self.fees, closed_at=self.closed_at,
        )

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs as they are now: as opened, and as corporate actions replaced them."""
        legs = self.opening.legs
        for at in sorted({item.at for item in self.conversions.values()}):
            became = {item.old: item.became for item in self.conversions.values() if item.at == at}
            beside = any(isinstance(leg.instrument, Option) for leg in legs) and all(
                item.new == item.old for item in became.values() if isinstance(item.instrument, Option)
            )
            legs = tuple(_replaced(leg, became.get(leg.instrument.key), beside=beside) for leg in legs)
        return legs

    def converted(self, what: str, conversion: Conversion | None, became: int) -> TradeState:
        """With `became` contracts or shares in the place of a leg, by a line of a corporate action; None takes the line back."""
        item = conversion or self.conversions[what]
        sign = 1 if conversion is not None else -1
        key, opened = item.became.instrument.key, dict(self.opened)
        opened[item.old] = opened.get(item.old, 0) - sign * item.opened
        opened[key] = opened.get(key, 0) + sign * item.opened_as
        held = {**self.held, key: (item.became.instrument, self.held.get(key, (item.became.instrument, 0))[1] + became)}
        others = {name: one for name, one in self.conversions.items() if name != what}
        return replace(
            self, held={name: pair for name, pair in held.items() if pair[1]},
            opened={name: count for name, count in opened.items() if count},
            conversions=others if conversion is None else {**others, what: conversion},
        )

    def counted(
        self, what: str, at: datetime | None, instrument: Instrument, change: int, *, opens: bool, money: Decimal, fees: Decimal
    ) -> TradeState:
        """With one more execution or settlement counted at a time, or no longer where `at` is None."""
        key = instrument.key
        times = {name: time for name, time in self.times.items() if name != what}
        if at is not None:
            times[what] = at
        held = {**self.held, key: (instrument, self.held.get(key, (instrument, 0))[1] + change)}
        opened = {**self.opened, key: self.opened.get(key, 0) + change} if opens else self.opened
        return replace(
            self, times=times, held={name: pair for name, pair in held.items() if pair[1]},
            opened={name: count for name, count in opened.items() if count}, fees=self.fees + fees,
            premium=self.premium + (money if opens else ZERO), closing=self.closing + (ZERO if opens else money),
        )

    def _units(self, counts: Mapping[str, int]) -> int:
        ratios = {leg.instrument.key: leg.ratio for leg in self.legs}
        return max((-(-abs(count) // ratios.get(key, 1)) for key, count in counts.items()), default=0)


def _replaced(leg: Leg, became: Became | None, *, beside: bool) -> Leg:
    """A leg after a corporate action. Shares beside contracts that stay as many keep their place in the unit by a ratio of their own."""
    if became is None:
        return leg
    ratio = max(1, became.scaled(leg.ratio)) if beside and isinstance(leg.instrument, Equity) else leg.ratio
    return replace(leg, instrument=became.instrument, ratio=ratio)


def opening_of(body: Submitting | TradeLogged, at: datetime) -> TradeState:
    """The trade that an opening order, or the booking of a trade done elsewhere, begins."""
    if isinstance(body, Submitting):
        strategy, legs, thesis = body.envelope.strategy, body.envelope.legs, body.thesis
    else:
        strategy, legs, thesis = body.strategy, body.legs, ""
    first = legs[0].instrument
    return TradeState(
        opening=Trade(
            id=body.trade_id, account=body.account, strategy=strategy,
            underlying=first.underlying if isinstance(first, Option) else first.key, legs=legs, opened_at=at,
            opened_units=0, open_units=0, premium=ZERO, closing_cash=ZERO, fees=ZERO, thesis=thesis,
        )
    )


SHELVES: Mapping[str, Any] = {
    "orders": Order,
    "standing": Standing,
    "trades": TradeState,
    "closings": tuple[str, ...],
    "fills": tuple[Fill, ...],
    "executed": str,
    "superseded": str,
    "settlements": tuple[Settled, ...],
    "settled": str,
    "lots": tuple[Lot, ...],
    "endings": tuple[Ending, ...],
    "outside": str,
    "moved": CashMoved,
    "adjusted": Adjusted,
    "logged": TradeLogged,
    "named": FillsNamed,
    "actions": CorporateAction,
}
PACKS = {"closings": 16, "fills": 2, "settlements": 2}  # days: one is as large as many other records


def _shelf(name: str) -> Shelf[Any]:
    return Shelf(SHELVES[name], pack_size=PACKS.get(name, PACK))


@dataclass(slots=True)
class AccountState:
    """The accumulators of one account. Fields named in `SHELVES` grow with the history, the others with what is open."""

    account: Account
    cash: Decimal = ZERO
    deposits: Decimal = ZERO
    fees: Decimal = ZERO
    positions: dict[str, Position] = field(default_factory=dict)
    live: dict[str, Order] = field(default_factory=dict)
    overfilled: dict[str, Order] = field(default_factory=dict)
    armed: dict[str, Standing] = field(default_factory=dict)
    holding: dict[str, TradeState] = field(default_factory=dict)  # trades that hold something
    external: dict[str, ExternalOrder] = field(default_factory=dict)
    external_since: dict[str, datetime] = field(default_factory=dict)
    trades_counted: int = 0  # trades of which anything counts
    orders: Shelf[Order] = field(default_factory=partial(_shelf, "orders"))
    standing: Shelf[Standing] = field(default_factory=partial(_shelf, "standing"))
    trades: Shelf[TradeState] = field(default_factory=partial(_shelf, "trades"))
    closings: Shelf[tuple[str, ...]] = field(default_factory=partial(_shelf, "closings"))  # trades by the UTC day they closed on
    fills: Shelf[tuple[Fill, ...]] = field(default_factory=partial(_shelf, "fills"))  # every report, by the UTC day of it
    executed: Shelf[str] = field(default_factory=partial(_shelf, "executed"))  # execution -> that day
    superseded: Shelf[str] = field(default_factory=partial(_shelf, "superseded"))  # execution -> the one that corrects it
    lots: Shelf[tuple[Lot, ...]] = field(default_factory=partial(_shelf, "lots"))  # by instrument
    endings: Shelf[tuple[Ending, ...]] = field(default_factory=partial(_shelf, "endings"))  # settlements by the instrument they end
    outside: Shelf[str] = field(default_factory=partial(_shelf, "outside"))  # instruments of which anything was booked outside trades
    settlements: Shelf[tuple[Settled, ...]] = field(default_factory=partial(_shelf, "settlements"))  # by UTC day
    settled: Shelf[str] = field(default_factory=partial(_shelf, "settled"))  # settlement -> that day
    moved: Shelf[CashMoved] = field(default_factory=partial(_shelf, "moved"))
    adjusted: Shelf[Adjusted] = field(default_factory=partial(_shelf, "adjusted"))
    logged: Shelf[TradeLogged] = field(default_factory=partial(_shelf, "logged"))  # bookings of trades done elsewhere
    named: Shelf[FillsNamed] = field(default_factory=partial(_shelf, "named"))  # executions from elsewhere a person named -> the words
    actions: Shelf[CorporateAction] = field(default_factory=partial(_shelf, "actions"))
    call: MarginCalled | None = None  # the broker's last word on margin
    _sorted: Mapping[str, Position] | None = None

    # --- orders --------------------------------------------------------------------------------------------------------

    def put_order(self, order: Order) -> None:
        """An order as it now stands."""
        self.orders[order.client_id] = order
        _keep(self.live, order.client_id, order, not order.state.terminal)
        _keep(self.overfilled, order.client_id, order, order.overfilled)

    def put_standing(self, standing: Standing) -> None:
        """A standing order as it now stands."""
        self.standing[standing.id] = standing
        _keep(self.armed, standing.id, standing, standing.is_live)

    # --- executions and settlements ------------------------------------------------------------------------------------

    def execution(self, exec_id: str) -> Fill | None:
        """An execution that was reported."""
        day = self.executed.get(exec_id)
        return None if day is None else next(fill for fill in self.fills[day] if fill.exec_id == exec_id)

    def put_execution(self, fill: Fill) -> None:
        """A new execution report; by day in order of time."""
        day = fill.at.date().isoformat()
        self.fills[day] = _with(self.fills.get(day, ()), fill, key=lambda one: (one.at, one.exec_id))
        self.executed[fill.exec_id] = day

    def put_settlement(self, settled: Settled) -> None:
        """A new settlement; by day in order of time."""
        day = settled.at.date().isoformat()
        self.settlements[day] = _with(self.settlements.get(day, ()), settled, key=lambda one: (one.at, one.settlement_id))
        self.settled[settled.settlement_id] = day

    # --- holdings ------------------------------------------------------------------------------------------------------

    def hold(self, instrument: Instrument, lot: Lot) -> None:
        """A holding changes by a lot."""
        key, lots = instrument.key, self.lots.get(instrument.key, ())
        held = self.positions.get(key)
        quantity, average = (held.quantity, held.average_price) if held is not None else (0, ZERO)
        if lots and lot < lots[-1]:
            in_order = self.lots[key] = _with(lots, lot, key=lambda one: one)
            average = average_price((one.quantity, one.price) for one in in_order)
        else:
            self.lots[key] = (*lots, lot)
            average = average_after(quantity, average, lot.quantity, lot.price)
        self._stand(instrument, quantity + lot.quantity, average)

    def release(self, instrument: Instrument, lot: Lot) -> None:
        """A lot that was held never was."""
        key = instrument.key
        lots = list(self.lots[key])
        lots.remove(lot)
        if lots:
            self.lots[key] = tuple(lots)
        else:
            del self.lots[key]
        average = average_price((one.quantity, one.price) for one in lots)
        self._stand(instrument, sum(one.quantity for one in lots), average)

    def sorted_positions(self) -> Mapping[str, Position]:
        """What is held, by key."""
        if self._sorted is None:
            self._sorted = MappingProxyType(dict(sorted(self.positions.items())))
        return self._sorted

    def _stand(self, instrument: Instrument, quantity: int, average: Decimal) -> None:
        self._sorted = None
        position = Position(account=self.account.id, instrument=instrument, quantity=quantity, average_price=average)
        _keep(self.positions, instrument.key, position, bool(quantity))

    # --- trades --------------------------------------------------------------------------------------------------------

    def put_trade(self, trade: TradeState) -> None:
        """A trade as it now stands."""
        trade_id, before = trade.opening.id, self.trades.get(trade.opening.id)
        self.trades[trade_id] = trade
        _keep(self.holding, trade_id, trade, bool(trade.held))
        if before is not None:
            self.trades_counted += bool(trade.times) - bool(before.times)
            self._closed(trade_id, before.closed_at, trade.closed_at)

    def settle(self, settled: Settled) -> None:
        """A settlement ends what trades hold of its instrument; its lot is held already."""
        key = settled.instrument.key
        self._share_out(settled.instrument, (*self.endings.get(key, ()), ending_of(settled)))

    def replace_holding(self, action: CorporateAction, line: Replaced) -> None:
        """A corporate action puts a holding in the place of another, and in the trades that held it."""
        self.cash += line.cash
        item = line.instrument
        self.hold(item, Lot(action.at, line_id(action, line), -line.quantity, ZERO, settles=True))
        self._share_out(item, (*self.endings.get(item.key, ()), ending_by(action, line)))

    def deliver(self, stock: Instrument, settled: Settled) -> None:
        """The shares of a settlement close what trades hold on the other side of them; their lot is held already."""
        self._share_out(stock, (*self.endings.get(stock.key, ()), delivery_of(settled)))

    def counted(self, instrument: Instrument, lot: Lot, *, gone: bool = False) -> None:
        """An execution or a delivery was counted, or is not any more: what trades took of the settlements of its instrument may change."""
        endings = self.endings.get(instrument.key, ())
        if any(not ending.precedes(lot) for ending in endings):
            self._share_out(instrument, endings)
        elif lot.trade is None and gone:
            self._look_outside(instrument.key)
        elif lot.trade is None:
            self.outside.setdefault(instrument.key, "")

    def _share_out(self, instrument: Instrument, before: tuple[Ending, ...]) -> None:
        key = instrument.key
        after = self.endings[key] = shared_out(self.lots.get(key, ()), before, self.trades.in_order)
        was = {ending.id: ending for ending in before}
        changed = [ending for ending in after if ending.parts != was[ending.id].parts]
        for ending in reversed(changed):
            self._count(instrument, was[ending.id], sign=-1)
        for ending in changed:
            self._count(instrument, ending, sign=1)
        for ending in after:
            if ending.became is not None:
                self._begin(instrument, ending, ending.became)
        self._look_outside(key)

    def _count(self, instrument: Instrument, ending: Ending, *, sign: int) -> None:
        became = {lot.trade: lot.quantity for lot in ending.begun(self.trades.in_order(ending.parts), ZERO)} if ending.became else {}
        for name, (cash, fees) in ending.money_of(self.trades.in_order(ending.parts)).items():
            trade = self.trades[name].counted(
                ending.id, ending.at if sign > 0 else None, instrument, sign * ending.parts[name], opens=False, money=sign * cash,
                fees=sign * fees,
            )
            if ending.became is not None:
                part = became.get(name, 0)
                conversion = self._conversion(instrument, ending, ending.became, name, part) if sign > 0 else None
                trade = trade.converted(ending.id, conversion, sign * part)
            self.put_trade(trade)

    def _conversion(self, instrument: Instrument, ending: Ending, became: Became, trade: str, part: int) -> Conversion:
        """What a trade had opened of a leg until then, as what is left and what was closed became."""
        opened = sum(
            lot.quantity for lot in self.lots.get(instrument.key, ()) if lot.trade == trade and lot.opens and lot.at < ending.at
        )
        closed = opened + ending.parts[trade]
        return Conversion(
            at=ending.at, old=instrument.key, became=became, opened=opened, opened_as=part + (became.scaled(closed) if closed else 0),
        )

    def _begin(self, instrument: Instrument, ending: Ending, became: Became) -> None:
        """Hold what took the place of a holding, as the trades share it now and at what the old one cost."""
        before = (lot for lot in self.lots.get(instrument.key, ()) if lot.at < ending.at)
        average = average_price((lot.quantity, lot.price) for lot in before)
        wanted = ending.begun(self.trades.in_order(ending.parts), average)
        here = [lot for lot in self.lots.get(became.instrument.key, ()) if lot.id.startswith(f"{ending.id}>")]
        if [_whole(lot) for lot in here] == [_whole(lot) for lot in sorted(wanted)]:
            return
        for lot in here:
            self.release(became.instrument, lot)
        for lot in wanted:
            self.hold(became.instrument, lot)
        for lot in (*here, *wanted):
            self.counted(became.instrument, lot, gone=lot not in wanted)

    def _look_outside(self, key: str) -> None:
        """Keep in mind whether anything of an instrument is booked outside trades."""
        endings = {ending.id: ending.rest for ending in self.endings.get(key, ())}
        apart = (lot for lot in self.lots.get(key, ()) if lot.trade is None and not (lot.settles and lot.id in endings))
        if any(endings.values()) or any(True for _ in apart):
            self.outside.setdefault(key, "")
        elif key in self.outside:
            del self.outside[key]

    def _closed(self, trade_id: str, before: datetime | None, now: datetime | None) -> None:
        was, day = (None if at is None else at.date().isoformat() for at in (before, now))
        if was == day:
            return
        if was is not None:
            self._close_on(was, (name for name in self.closings[was] if name != trade_id))
        if day is not None:
            self._close_on(day, (*self.closings.get(day, ()), trade_id))

    def _close_on(self, day: str, names: Iterable[str]) -> None:
        in_order = tuple(self.trades.in_order(names))
        if in_order:
            self.closings[day] = in_order
        else:
            del self.closings[day]

    # --- storing -------------------------------------------------------------------------------------------------------

    def to_plain(self) -> dict[str, Any]:
        """All but the shelves as JSON types; what is open and stands on a shelf too, by name."""
        return {
            **{name: to_plain(getattr(self, name)) for name in ("account", *_SUMS, "positions", *_EXTERNAL, "trades_counted", "call")},
            **{name: list(getattr(self, name)) for name in _OPEN},
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], shelves: Mapping[str, Shelf[Any]]) -> AccountState:
        """The state `to_plain` was made of, with its shelves; raise KeyError or EncodingError where they do not fit."""
        made = cls(account=from_plain(Account, plain["account"]))
        for name in SHELVES:
            setattr(made, name, shelves[name])
        for name in _SUMS:
            setattr(made, name, from_plain(Decimal, plain[name]))
        made.positions = from_plain(dict[str, Position], plain["positions"])
        made.external = from_plain(dict[str, ExternalOrder], plain["external"])
        made.external_since = from_plain(dict[str, datetime], plain["external_since"])
        made.trades_counted = from_plain(int, plain["trades_counted"])
        made.call = from_plain(MarginCalled | None, plain["call"])
        for name, shelf in _OPEN.items():
            setattr(made, name, {key: getattr(made, shelf)[key] for key in plain[name]})
        return made


# What is open: field -> the shelf its objects stand on too.
_SUMS = ("cash", "deposits", "fees")
_EXTERNAL = ("external", "external_since")
_OPEN = {"live": "orders", "overfilled": "orders", "armed": "standing", "holding": "trades"}


def _whole(lot: Lot) -> tuple[object, ...]:
    """All of a lot; two of them are equal without their trades."""
    return lot.id, lot.at, lot.quantity, lot.price, lot.trade


def average_price(lots: Iterable[tuple[int, Decimal]]) -> Decimal:
    """Average opening price of what is left after a sequence of (signed quantity, price) changes; zero where flat.

    See `average_after` for one of them.
    """
    held, average = 0, ZERO
    for quantity, price in lots:
        average = average_after(held, average, quantity, price)
        held += quantity
    return average


def closed_since(closings: Mapping[str, tuple[str, ...]], at: datetime) -> Iterator[str]:
    """Names of the trades that closed on the UTC day of `at` or later."""
    first = at.astimezone(UTC).date().isoformat()
    for day in sorted(day for day in closings if day >= first):
        yield from closings[day]


def _with(records: tuple[T, ...], record: T, *, key: Callable[[T], Any]) -> tuple[T, ...]:
    """One more, in its place of a sorted row."""
    in_order = list(records)
    insort(in_order, record, key=key)
    return tuple(in_order)


def _keep(where: dict[str, Any], key: str, record: Any, wanted: bool) -> None:
    if wanted:
        where[key] = record
    else:
        where.pop(key, None)
