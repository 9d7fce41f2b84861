"""The book as a fold of the log: cash, positions, trades and orders per account.

`BookFold` is the private accumulator; `Book` and `Books` are the frozen pictures it publishes. Cash and quantities are sums over the
*set* of executions (each exec_id once, corrections supersede), so order and repetition of reports do not matter.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from core.domain.accounts import Account, AccountId, AccountKind
from core.domain.encoding import from_plain, to_plain
from core.domain.events import (
    AccountOpened,
    Adjusted,
    Armed,
    CashMoved,
    Disarmed,
    Event,
    ExternalOrder,
    Filled,
    Role,
    Settled,
    StopMoved,
    StopTriggered,
    Submitting,
)
from core.domain.instruments import Equity, Instrument, Option
from core.domain.orders import Effect, Fill, Leg, Side
from core.domain.structures import Position, Trade, average_after
from core.orders import standing as standings
from core.orders.standing import STANDING_BODIES, Standing
from core.orders.states import ORDER_BODIES, Order, OrderBody, Outcome, step

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """An order that may still fill, this desk's or one from elsewhere; `id` is its client id, or `external` and the broker's reference."""

    id: str
    legs: tuple[Leg, ...]
    quantity: int
    filled: Mapping[str, int]  # contracts by key

    def left(self, leg: Leg) -> int:
        """Contracts of a leg that may still fill."""
        return max(0, self.quantity * leg.ratio - self.filled.get(leg.instrument.key, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One account at an instant."""

    account: Account
    cash: Decimal
    deposits: Decimal
    fees: Decimal
    positions: Mapping[str, Position]
    trades: Mapping[str, Trade]
    orders: Mapping[str, Order]  # every order, ended ones too
    live: Mapping[str, Order]  # the orders that may still fill
    fills: tuple[Fill, ...]
    settlements: tuple[Settled, ...]
    standing: Mapping[str, Standing] = field(default_factory=dict)  # every standing order, ended ones too
    external: Mapping[str, ExternalOrder] = field(default_factory=dict)  # from elsewhere and live, by the broker's reference
    external_since: Mapping[str, datetime] = field(default_factory=dict)  # when each of them was first heard of
    adjustments: tuple[Adjusted, ...] = ()  # what persons booked on the broker's word, oldest first

    @property
    def armed(self) -> tuple[Standing, ...]:
        """Standing orders still to be carried out, oldest first."""
        return tuple(item for item in self.standing.values() if item.is_live)

    @property
    def open_trades(self) -> tuple[Trade, ...]:
        """Trades with units held, oldest first."""
        return tuple(trade for trade in self.trades.values() if trade.is_open)

    def holdings(self) -> dict[str, tuple[Instrument, int]]:
        """Positions as key -> (instrument, signed quantity)."""
        return {key: (position.instrument, position.quantity) for key, position in self.positions.items()}

    def resting(self) -> tuple[Resting, ...]:
        """Every order that may still fill, of this desk and from elsewhere; not those from elsewhere whose legs nobody knows.

        Whether a leg from elsewhere closes is judged by what is held: one that runs against a holding closes it as far as that goes.
        """
        own = [
            Resting(id=order.client_id, legs=order.envelope.legs, quantity=order.quantity, filled=order.filled_contracts)
            for order in self.live.values()
        ]
        return (*own, *(_from_elsewhere(order, order.legs, self.positions) for order in self.external.values() if order.legs is not None))

    def exposed(self, *, purchases: bool = True, without: Collection[str] = ()) -> dict[str, tuple[Instrument, int]]:
        """Holdings plus every resting order's opening legs as if they filled: the worst case limits are judged on.

        Closing orders are not counted, since they may not fill; but what they sell and no purchase of their own goes with any more is,
        since that fill can lay a short open. Nor may a working purchase fill that would cover a short: without `purchases` orders whose
        opening legs all buy are left out, and limits are judged both ways. A leg that filled ahead of its partners is held already: only
        what is left of each leg is added. An entry that is sent in parts counts with all of them. `without` names orders and standing
        orders to leave out too, by id.
        """
        held = self.holdings()
        for order in self.resting():
            if order.id in without:
                continue
            opened = order.quantity if purchases or not _only_buys(order.legs) else 0
            for leg in order.legs:
                if leg.effect is Effect.CLOSE and leg.side is Side.BUY:
                    continue
                units = opened if leg.effect is Effect.OPEN else _bare_units(order)
                left = units * leg.ratio - order.filled[leg.instrument.key]
                if left > 0:
                    _add(held, leg.instrument, leg.side.sign * left)
        for parts in self.armed:
            if parts.role is Role.PARTS and parts.id not in without and (purchases or not _only_buys(parts.envelope.legs)):
                opening = tuple(leg for leg in parts.envelope.legs if leg.effect is Effect.OPEN)
                add_legs(held, opening, standings.left_to_send(parts, self.orders))
        return held


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """All accounts."""

    accounts: Mapping[AccountId, Book]
    seq: int = 0

    def order(self, client_id: str) -> Order | None:
        """An order by its client id, in any account."""
        return next((book.orders[client_id] for book in self.accounts.values() if client_id in book.orders), None)

    def find_standing(self, standing_id: str) -> Standing | None:
        """A standing order by its id, in any account."""
        return next((book.standing[standing_id] for book in self.accounts.values() if standing_id in book.standing), None)

    def external(self, broker_ref: str) -> ExternalOrder | None:
        """A live order from elsewhere by the broker's reference, in any account."""
        return next((book.external[broker_ref] for book in self.accounts.values() if broker_ref in book.external), None)

    def trade(self, trade_id: str) -> Trade | None:
        """A trade by its id, in any account."""
        return next((book.trades[trade_id] for book in self.accounts.values() if trade_id in book.trades), None)


def _from_elsewhere(order: ExternalOrder, legs: tuple[Leg, ...], positions: Mapping[str, Position]) -> Resting:
    judged = []
    for leg in legs:
        held = positions[leg.instrument.key].quantity if leg.instrument.key in positions else 0
        closes = held * leg.side.sign < 0 and (order.quantity - order.filled) * leg.ratio <= abs(held)
        judged.append(replace(leg, effect=Effect.CLOSE if closes else Effect.OPEN))
    filled = {leg.instrument.key: order.filled * leg.ratio for leg in legs}
    return Resting(id=f"external {order.broker_ref}", legs=tuple(judged), quantity=order.quantity, filled=filled)


def _only_buys(legs: tuple[Leg, ...]) -> bool:
    return all(leg.side is Side.BUY for leg in legs if leg.effect is Effect.OPEN)


def _bare_units(order: Resting) -> int:
    """Units of which no purchase is left to fill: all of an order that only sells, else as many as its fullest leg has filled."""
    if all(leg.side is Side.SELL for leg in order.legs):
        return order.quantity
    return max(order.filled[leg.instrument.key] // leg.ratio for leg in order.legs)


def add_legs(held: dict[str, tuple[Instrument, int]], legs: Iterable[Leg], units: int) -> None:
    """Add `units` of the legs to holdings in place."""
    for leg in legs:
        _add(held, leg.instrument, leg.contracts(units))


def _add(held: dict[str, tuple[Instrument, int]], instrument: Instrument, change: int) -> None:
    total = held.get(instrument.key, (instrument, 0))[1] + change
    if total:
        held[instrument.key] = (instrument, total)
    else:
        held.pop(instrument.key, None)


@dataclass(slots=True)
class _TradeState:
    opening: Submitting
    opened_at: datetime
    held: dict[str, int] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)
    premium: Decimal = ZERO
    closing: Decimal = ZERO
    fees: Decimal = ZERO
    times: dict[str, datetime] = field(default_factory=dict)  # of what counts, by execution or settlement id


@dataclass(frozen=True, slots=True, order=True)
class _Lot:
    """One change of a holding; sorted by time so that the average price does not depend on the order of reports."""

    at: datetime
    id: str
    quantity: int
    price: Decimal


@dataclass(slots=True)
class _AccountState:
    account: Account
    cash: Decimal = ZERO
    deposits: Decimal = ZERO
    fees: Decimal = ZERO
    held: dict[str, tuple[Instrument, int]] = field(default_factory=dict)
    lots: dict[str, list[_Lot]] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    superseded: set[str] = field(default_factory=set)
    settled: dict[str, Settled] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
    live: dict[str, Order] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=dict)
    trades: dict[str, _TradeState] = field(default_factory=dict)
    frozen_trades: dict[str, Trade] = field(default_factory=dict)
    external: dict[str, ExternalOrder] = field(default_factory=dict)
    external_since: dict[str, datetime] = field(default_factory=dict)
    adjusted: dict[str, Adjusted] = field(default_factory=dict)


class BookFold:
    """Accumulates events into books. `apply` returns what the event brought about for its order."""

    def __init__(self) -> None:
        self._accounts: dict[AccountId, _AccountState] = {}
        self._client_account: dict[str, AccountId] = {}
        self._standing_account: dict[str, AccountId] = {}
        self._published: dict[AccountId, Book] = {}
        self._seq = 0

    def apply(self, event: Event) -> tuple[Outcome, ...]:
        """Fold one event; events must come in order of their sequence."""
        self._seq = event.seq
        body = event.body
        if isinstance(body, AccountOpened):
            state = self._accounts.setdefault(body.account.id, _AccountState(account=body.account))
            state.account = body.account
            self._published.pop(body.account.id, None)
            return ()
        outcomes: tuple[Outcome, ...] = ()
        if isinstance(body, ORDER_BODIES):
            outcomes = self._order(body, event.at)
        if isinstance(body, STANDING_BODIES):
            self._stand(body, event.at)
        if isinstance(body, Filled):
            self._fill(body.fill)
        elif isinstance(body, Settled):
            self._settle(body)
        elif isinstance(body, CashMoved):
            self._cash(body)
        elif isinstance(body, Adjusted):
            self._adjust(body)
        elif isinstance(body, ExternalOrder):
            self._external(body, event.at)
        return outcomes

    def publish(self) -> Books:
        """The books as of the last event."""
        for key, state in self._accounts.items():
            if key not in self._published:
                self._published[key] = _publish(state)
        return Books(accounts=MappingProxyType(dict(self._published)), seq=self._seq)

    def to_plain(self) -> dict[str, Any]:
        """The accumulators as JSON types."""
        accounts = [to_plain(state) for state in self._accounts.values()]
        clients = {key: str(account) for key, account in self._client_account.items()}
        standing = {key: str(account) for key, account in self._standing_account.items()}
        return {"accounts": accounts, "clients": clients, "standing": standing, "seq": self._seq}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> BookFold:
        """The fold `to_plain` was made of."""
        fold = cls()
        states: list[_AccountState] = [from_plain(_AccountState, item) for item in plain["accounts"]]
        fold._accounts = {state.account.id: state for state in states}
        fold._client_account = {key: AccountId.parse(account) for key, account in plain["clients"].items()}
        fold._standing_account = {key: AccountId.parse(account) for key, account in plain["standing"].items()}
        fold._seq = plain["seq"]
        return fold

    def _order(self, body: OrderBody, at: datetime) -> tuple[Outcome, ...]:
        client_id = body.fill.client_id if isinstance(body, Filled) else body.client_id
        if client_id is None:
            return ()
        if isinstance(body, Submitting):
            self._client_account.setdefault(client_id, body.account)
            if body.envelope.trade_id is None and any(leg.effect is Effect.OPEN for leg in body.envelope.legs):
                self._state(body.account).trades.setdefault(body.trade_id, _TradeState(opening=body, opened_at=at))
            self._child(body, at)
        account = self._client_account.get(client_id)
        if account is None:
            return ()
        state = self._state(account)
        order, outcomes = step(state.orders.get(client_id), body, at=at)
        if order is not None:
            state.orders[client_id] = order
            if order.state.terminal:
                state.live.pop(client_id, None)
            else:
                state.live[client_id] = order
        return outcomes

    def _child(self, body: Submitting, at: datetime) -> None:
        state = self._state(body.account)
        parent = state.standing.get(body.standing_id or "")
        child = standings.step(parent, body, at=at)
        if child is not None:
            state.standing[child.id] = child

    def _stand(self, body: Armed | StopMoved | StopTriggered | Disarmed, at: datetime) -> None:
        if isinstance(body, Armed):
            self._standing_account.setdefault(body.standing_id, body.account)
        account = self._standing_account.get(body.standing_id)
        if account is None:
            return
        state = self._state(account)
        found = standings.step(state.standing.get(body.standing_id), body, at=at)
        if found is not None:
            state.standing[body.standing_id] = found

    def _fill(self, fill: Fill) -> None:
        state = self._state(fill.account)
        if fill.exec_id in state.fills:
            return
        state.fills[fill.exec_id] = fill
        if fill.corrects and fill.corrects not in state.superseded:
            state.superseded.add(fill.corrects)
            replaced = state.fills.get(fill.corrects)
            if replaced is not None and not replaced.busted:
                self._book(state, replaced, sign=-1)
        if fill.exec_id not in state.superseded and not fill.busted:
            self._book(state, fill, sign=1)

    def _book(self, state: _AccountState, fill: Fill, *, sign: int) -> None:
        key = fill.instrument.key
        change = fill.side.sign * fill.quantity
        money = -fill.price * fill.instrument.multiplier * change * sign
        state.cash += money - fill.fees * sign
        state.fees += fill.fees * sign
        _hold(state, fill.instrument, change * sign, _Lot(fill.at, fill.exec_id, change, fill.price), add=sign > 0)
        order = state.orders.get(fill.client_id or "")
        leg = None if order is None else next((leg for leg in order.envelope.legs if leg.instrument.key == key), None)
        if order is None or leg is None:
            return
        trade = state.trades.get(order.trade_id)
        if trade is None:
            return  # it closes a holding that no trade of this desk opened: the position alone knows
        _count(trade.held, key, change * sign)
        trade.fees += fill.fees * sign
        if leg.effect is Effect.OPEN:
            _count(trade.opened, key, change * sign)
            trade.premium += money
        else:
            trade.closing += money
        if sign > 0:
            trade.times[fill.exec_id] = fill.at
        else:
            del trade.times[fill.exec_id]
        if trade.times:
            state.frozen_trades[order.trade_id] = _trade(order.trade_id, trade)
        else:
            state.frozen_trades.pop(order.trade_id, None)  # every execution was busted: there never was a trade

    def _settle(self, body: Settled) -> None:
        state = self._state(body.account)
        if body.settlement_id in state.settled:
            return
        state.settled[body.settlement_id] = body
        state.cash += body.cash - body.fees
        state.fees += body.fees
        _hold(state, body.instrument, body.quantity, _Lot(body.at, body.settlement_id, body.quantity, body.price), add=True)
        if body.shares and body.share_symbol:
            # Shares come in or go out at the strike; the option itself then ended at zero and its premium is kept.
            stock = Equity(symbol=body.share_symbol)
            _hold(state, stock, body.shares, _Lot(body.at, body.settlement_id, body.shares, abs(body.cash / body.shares)), add=True)
        self._settle_trades(state, body)

    def _external(self, body: ExternalOrder, at: datetime) -> None:
        state = self._state(body.account)
        state.external.pop(body.broker_ref, None)
        since = state.external_since.pop(body.broker_ref, at)
        if body.live:
            state.external[body.broker_ref], state.external_since[body.broker_ref] = body, since

    def _adjust(self, body: Adjusted) -> None:
        """A holding adopted on the broker's word is booked like a settlement of it, so that trades and results follow; cash as moved."""
        state = self._state(body.account)
        if body.adjustment_id in state.adjusted:
            return
        state.adjusted[body.adjustment_id] = body
        if body.instrument is None:
            state.cash += body.cash
            state.deposits += body.cash if body.deposit else ZERO
            return
        self._settle(Settled(
            settlement_id=body.adjustment_id, account=body.account, instrument=body.instrument, quantity=body.quantity,
            outcome=body.outcome, value=body.price, cash=body.cash, at=body.at, shares=body.shares, share_symbol=body.share_symbol,
        ))

    def _settle_trades(self, state: _AccountState, body: Settled) -> None:
        remaining = body.quantity
        for trade_id, trade in state.trades.items():
            held = trade.held.get(body.instrument.key, 0)
            if remaining == 0 or held == 0 or (held > 0) == (remaining > 0) or body.instrument.key not in trade.opened:
                continue
            part = max(remaining, -held) if remaining < 0 else min(remaining, -held)
            _count(trade.held, body.instrument.key, part)
            trade.closing += ZERO if body.shares else body.cash * part / body.quantity
            trade.fees += body.fees * part / body.quantity
            trade.times[body.settlement_id] = body.at
            remaining -= part
            state.frozen_trades[trade_id] = _trade(trade_id, trade)

    def _cash(self, body: CashMoved) -> None:
        state = self._state(body.account)
        if body.movement_id in state.moved:
            return
        state.moved.add(body.movement_id)
        state.cash += body.amount
        if body.reason in ("deposit", "withdrawal"):
            state.deposits += body.amount

    def _state(self, account: AccountId) -> _AccountState:
        found = self._accounts.get(account)
        if found is None:
            # A fact of an account nobody opened: kept and shown. It must never stop the log from being read.
            stranger = Account(id=account, name=account.id, kind=AccountKind.CASH)
            found = self._accounts[account] = _AccountState(account=stranger)
        self._published.pop(account, None)
        return found


def average_price(lots: Iterable[tuple[int, Decimal]]) -> Decimal:
    """Average opening price of what is left after a sequence of (signed quantity, price) changes; zero where flat.

    See `average_after` for one of them.
    """
    held, average = 0, ZERO
    for quantity, price in lots:
        average = average_after(held, average, quantity, price)
        held += quantity
    return average


def _count(counts: dict[str, int], key: str, change: int) -> None:
    counts[key] = counts.get(key, 0) + change
    if not counts[key]:
        del counts[key]


def _hold(state: _AccountState, instrument: Instrument, change: int, lot: _Lot, *, add: bool) -> None:
    key = instrument.key
    total = state.held.get(key, (instrument, 0))[1] + change
    lots = state.lots.setdefault(key, [])
    if add:
        insort(lots, lot)
    else:
        lots.remove(lot)
    if not lots:
        del state.lots[key]
    if total:
        state.held[key] = (instrument, total)
    else:
        state.held.pop(key, None)


def _publish(state: _AccountState) -> Book:
    positions = {
        key: Position(
            account=state.account.id,
            instrument=instrument,
            quantity=quantity,
            average_price=average_price((lot.quantity, lot.price) for lot in state.lots[key]),
        )
        for key, (instrument, quantity) in sorted(state.held.items())
    }
    counted = (fill for key, fill in state.fills.items() if key not in state.superseded and not fill.busted)
    return Book(
        account=state.account,
        cash=state.cash,
        deposits=state.deposits,
        fees=state.fees,
        positions=MappingProxyType(positions),
        trades=MappingProxyType(dict(state.frozen_trades)),
        orders=MappingProxyType(dict(state.orders)),
        live=MappingProxyType(dict(state.live)),
        fills=tuple(sorted(counted, key=lambda fill: (fill.at, fill.exec_id))),
        settlements=tuple(state.settled.values()),
        standing=MappingProxyType(dict(state.standing)),
        external=MappingProxyType(dict(state.external)),
        external_since=MappingProxyType(dict(state.external_since)),
        adjustments=tuple(state.adjusted.values()),
    )


def _trade(trade_id: str, trade: _TradeState) -> Trade:
    opening = trade.opening
    ratios = {leg.instrument.key: leg.ratio for leg in opening.envelope.legs}
    units = [-(-abs(count) // ratios.get(key, 1)) for key, count in trade.opened.items()]
    # What it closed without having opened it (a roll out of a holding from elsewhere) was never this trade's own.
    left = [-(-abs(count) // ratios.get(key, 1)) for key, count in trade.held.items() if key in trade.opened]
    open_units = max(left, default=0)
    return Trade(
        id=trade_id,
        account=opening.account,
        strategy=opening.envelope.strategy,
        underlying=_underlying(opening),
        legs=opening.envelope.legs,
        opened_at=trade.opened_at,
        opened_units=max(units, default=0),
        open_units=open_units,
        premium=trade.premium,
        closing_cash=trade.closing,
        fees=trade.fees,
        thesis=opening.thesis,
        closed_at=None if open_units else max(trade.times.values()),
    )


def _underlying(opening: Submitting) -> str:
    first = opening.envelope.legs[0].instrument
    return first.underlying if isinstance(first, Option) else first.key
