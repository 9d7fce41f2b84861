"""The book as a fold of the log: cash, positions, trades and orders per account.

`BookFold` is the private accumulator, `core.portfolio.account` what it accumulates in; `Book` and `Books` are the frozen pictures it
publishes. Cash and quantities are sums over the *set* of executions (each exec_id once, corrections supersede), and what a trade takes of a
settlement follows from that set too (`core.portfolio.settling`), so order and repetition of reports do not matter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import takewhile
from types import MappingProxyType
from typing import Any

from core.domain.accounts import Account, AccountId, AccountKind
from core.domain.encoding import from_plain
from core.domain.events import (
    AccountOpened,
    Adjusted,
    Armed,
    CashMoved,
    CorporateAction,
    Disarmed,
    Event,
    ExternalOrder,
    Filled,
    FillsNamed,
    MarginCalled,
    Role,
    Settled,
    StopMoved,
    StopTriggered,
    Submitting,
    TradeLogged,
)
from core.domain.instruments import Equity, Instrument
from core.domain.orders import Effect, Fill, Leg, Side
from core.domain.shelf import Picture, Shelf
from core.domain.structures import Position, Trade
from core.orders import standing as standings
from core.orders.standing import STANDING_BODIES, Standing
from core.orders.states import ORDER_BODIES, Order, OrderBody, Outcome, step
from core.portfolio.account import SHELVES, ZERO, AccountState, Held, TradeState, closed_since, opening_of
from core.portfolio.account import average_price as average_price
from core.portfolio.listed import Daily, Listed, Trades, executions
from core.portfolio.pnl import costs_outside, untraded
from core.portfolio.settling import Ending, Lot, ReplacedOutside


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
    fills: Daily[Fill] = field(default_factory=lambda: Daily({}))  # executions that count, in order of time
    settlements: Daily[Settled] = field(default_factory=lambda: Daily({}))
    standing: Mapping[str, Standing] = field(default_factory=dict)  # every standing order, ended ones too
    external: Mapping[str, ExternalOrder] = field(default_factory=dict)  # from elsewhere and live, by the broker's reference
    external_since: Mapping[str, datetime] = field(default_factory=dict)  # when each of them was first heard of
    movements: Sequence[CashMoved] = ()  # of cash outside trading, oldest first
    logged: Mapping[str, TradeLogged] = field(default_factory=dict)  # bookings of trades done elsewhere, by id
    named: Mapping[str, FillsNamed] = field(default_factory=dict)  # executions from elsewhere that a person named -> the words
    adjustments: Sequence[Adjusted] = ()  # what persons booked on the broker's word, oldest first
    armed: tuple[Standing, ...] = ()  # standing orders still to be carried out, oldest first
    holding: Mapping[str, TradeState] = field(default_factory=dict)  # the trades that hold something
    overfilled: tuple[Order, ...] = ()
    executed: Mapping[str, str] = field(default_factory=dict)  # every execution that was reported, busted ones too -> its UTC day
    settled: Mapping[str, str] = field(default_factory=dict)  # every settlement -> its UTC day
    lots: Mapping[str, tuple[Lot, ...]] = field(default_factory=dict)  # every change of a holding, by instrument
    endings: Mapping[str, tuple[Ending, ...]] = field(default_factory=dict)  # settlements by the instrument they end
    outside: Mapping[str, str] = field(default_factory=dict)  # instruments of which anything was booked outside trades
    closings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # trades by the UTC day they closed on
    actions: Mapping[str, CorporateAction] = field(default_factory=dict)  # corporate actions on what was held
    call: MarginCalled | None = None  # the broker's margin call that stands

    @property
    def open_trades(self) -> tuple[Trade, ...]:
        """Trades with units held, oldest first."""
        return tuple(state.trade for state in self._holding() if state.open_units)

    @property
    def held_by_trade(self) -> dict[str, Held]:
        """What each trade holds now, leg by leg, oldest trade first; legs filled without their partners show as they are."""
        return {state.opening.id: state.held for state in self._holding()}

    def _holding(self) -> list[TradeState]:
        return sorted(self.holding.values(), key=lambda state: state.opening.opened_at)

    def sent_since(self, at: datetime) -> Iterator[Order]:
        """Orders submitted since `at`, newest first."""
        newest = self.orders.newest() if isinstance(self.orders, Picture) else reversed(tuple(self.orders.values()))
        return takewhile(lambda order: order.submitted_at >= at, newest)

    def trades_in_order(self, names: Iterable[str]) -> list[str]:
        """Names of trades, the oldest first: the order in which they share a settlement."""
        return self.trades.in_order(names) if isinstance(self.trades, Trades) else [name for name in self.trades if name in set(names)]

    def booked_outside(self) -> tuple[list[Fill], list[Settled]]:
        """All executions outside trades and of the settlements what no trade took; see `replaced_outside` for corporate actions."""
        fills: list[Fill] = []
        settlements: dict[str, Settled] = {}
        replaced = {ending.id for key in self.outside for ending in self.endings.get(key, ()) if ending.became is not None}
        for lot in (lot for key in self.outside for lot in self.lots.get(key, ())):
            if lot.id.partition(">")[0] in replaced:
                continue
            if lot.settles:
                settlements[lot.id] = self._left(lot.id)
            elif lot.trade is None:
                fills += self.fills.named(self.executed[lot.id], "exec_id", lot.id)
        return fills, list(settlements.values())

    def replaced_outside(self) -> list[ReplacedOutside]:
        """What corporate actions made of holdings that belong to no trade."""
        found = []
        for key in self.outside:
            for ending in self.endings.get(key, ()):
                if ending.became is None or not ending.rest:
                    continue
                lots = self.lots.get(ending.became.instrument.key, ())
                quantity, cash, _ = ending.outside()
                found.append(ReplacedOutside(
                    id=ending.id, at=ending.at, key=key, quantity=-quantity, became=ending.became,
                    becomes=sum(lot.quantity for lot in lots if lot.id == f"{ending.id}>"), cash=cash,
                ))
        return found

    def untraded_positions(self) -> tuple[Position, ...]:
        """What is held outside trades, at its own average price: that of a whole position mixes it with what trades opened."""
        fills, settlements = self.booked_outside()
        costs = costs_outside(fills=fills, settlements=settlements, replaced=self.replaced_outside())
        found = []
        for key, (instrument, quantity) in untraded(self.positions, self.held_by_trade).items():
            count, average = costs.get(key, (0, ZERO))
            if count != quantity and key in self.positions:  # a part of it was booked with a trade
                average = self.positions[key].average_price
            found.append(Position(account=self.account.id, instrument=instrument, quantity=quantity, average_price=average))
        return tuple(found)

    def _left(self, settlement_id: str) -> Settled:
        """What no trade took of a settlement, and of the shares that changed hands with it."""
        (item,) = self.settlements.named(self.settled[settlement_id], "settlement_id", settlement_id)
        (ending,) = (one for one in self.endings[item.instrument.key] if one.id == settlement_id)
        quantity, cash, fees = ending.outside()
        if not item.shares or item.share_symbol is None:
            return replace(item, quantity=quantity, cash=cash, fees=fees)
        (delivery,) = (one for one in self.endings[Equity(symbol=item.share_symbol).key] if one.id == settlement_id)
        shares, paid, _ = delivery.outside()
        return replace(item, quantity=quantity, cash=paid, fees=fees, shares=shares)

    def delivered_since(self, at: datetime, keys: Collection[str]) -> bool:
        """Whether one of these contracts became shares, by exercise or assignment, at `at` or later."""
        return bool(keys) and any(item.shares and item.instrument.key in keys for item in self.settlements.since(at))

    def closed_since(self, at: datetime) -> Iterator[Trade]:
        """Trades that closed at `at` or later, by day."""
        found = (self.trades[name] for name in closed_since(self.closings, at))
        return (trade for trade in found if trade.closed_at is not None and trade.closed_at >= at)

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


def _leg_of(legs: tuple[Leg, ...], fill: Fill) -> Leg | None:
    return next((leg for leg in legs if leg.instrument.key == fill.instrument.key), None)


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


class BookFold:
    """Accumulates events into books. `apply` returns what the event brought about for its order."""

    def __init__(self) -> None:
        self._accounts: dict[AccountId, AccountState] = {}
        self._published: dict[AccountId, Book] = {}
        self._seq = 0

    def apply(self, event: Event) -> tuple[Outcome, ...]:
        """Fold one event; events must come in order of their sequence."""
        self._seq = event.seq
        body = event.body
        if isinstance(body, AccountOpened):
            state = self._accounts.setdefault(body.account.id, AccountState(account=body.account))
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
        elif isinstance(body, TradeLogged):
            self._logged(body)
        elif isinstance(body, FillsNamed):
            self._state(body.account).named.update(dict.fromkeys(body.exec_ids, body))
        elif isinstance(body, Settled):
            self._settle(body)
        elif isinstance(body, CashMoved):
            self._cash(body)
        elif isinstance(body, Adjusted):
            self._adjust(body)
        elif isinstance(body, CorporateAction):
            self._act(body)
        elif isinstance(body, MarginCalled):
            self._called(body)
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
        """All but what stands on shelves, as JSON types."""
        return {"accounts": [state.to_plain() for state in self._accounts.values()], "seq": self._seq}

    def shelves(self) -> dict[str, Shelf[Any]]:
        """What grows with the history, by name."""
        return {f"{name} {key}": getattr(state, name) for key, state in self._accounts.items() for name in SHELVES}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], shelves: Mapping[str, Shelf[Any]]) -> BookFold:
        """The fold `to_plain` and `shelves` were made of."""
        fold = cls()
        for item in plain["accounts"]:
            key = from_plain(AccountId, item["account"]["id"])
            fold._accounts[key] = AccountState.from_plain(item, {name: shelves[f"{name} {key}"] for name in SHELVES})
        fold._seq = from_plain(int, plain["seq"])
        return fold

    def _order(self, body: OrderBody, at: datetime) -> tuple[Outcome, ...]:
        client_id = body.fill.client_id if isinstance(body, Filled) else body.client_id
        if client_id is None:
            return ()
        account = next((key for key, state in self._accounts.items() if client_id in state.orders), None)
        if isinstance(body, Filled) and account != body.fill.account:
            return ()  # another account's broker names it: an execution from elsewhere there, and none of this order
        if isinstance(body, Submitting):
            account = account or body.account
            self._opening(body, at)
            self._child(body, at)
        if account is None:
            return ()
        state = self._state(account)
        before = state.orders.get(client_id)
        order, outcomes = step(before, body, at=at)
        if order is not None and order is not before:
            state.put_order(order)
        return outcomes

    def _opening(self, body: Submitting, at: datetime) -> None:
        state = self._state(body.account)
        opens = body.envelope.trade_id is None and any(leg.effect is Effect.OPEN for leg in body.envelope.legs)
        if opens and body.trade_id not in state.trades:
            state.put_trade(opening_of(body, at))

    def _child(self, body: Submitting, at: datetime) -> None:
        state = self._state(body.account)
        parent = state.standing.get(body.standing_id or "")
        child = standings.step(parent, body, at=at)
        if child is not None:
            state.put_standing(child)

    def _stand(self, body: Armed | StopMoved | StopTriggered | Disarmed, at: datetime) -> None:
        account = next((key for key, state in self._accounts.items() if body.standing_id in state.standing), None)
        if account is None and isinstance(body, Armed):
            account = body.account
        if account is None:
            return
        state = self._state(account)
        found = standings.step(state.standing.get(body.standing_id), body, at=at)
        if found is not None:
            state.put_standing(found)

    def _fill(self, fill: Fill) -> None:
        state = self._state(fill.account)
        if fill.exec_id in state.executed:
            return
        state.put_execution(fill)
        if fill.corrects and fill.corrects not in state.superseded:
            state.superseded[fill.corrects] = fill.exec_id
            replaced = state.execution(fill.corrects)
            if replaced is not None and not replaced.busted:
                self._book(state, replaced, sign=-1)
        if fill.exec_id not in state.superseded and not fill.busted:
            self._book(state, fill, sign=1)

    def _book(self, state: AccountState, fill: Fill, *, sign: int) -> None:
        order = state.orders.get(fill.client_id or "")
        leg = None if order is None else _leg_of(order.envelope.legs, fill)
        trade = None if order is None or leg is None else state.trades.get(order.trade_id)
        self._count(state, fill, leg, trade, sign=sign)

    def _count(self, state: AccountState, fill: Fill, leg: Leg | None, trade: TradeState | None, *, sign: int) -> None:
        change = fill.side.sign * fill.quantity
        money = -fill.price * fill.instrument.multiplier * change * sign
        state.cash += money - fill.fees * sign
        state.fees += fill.fees * sign
        if trade is not None and leg is not None:  # else: from elsewhere, or it closes a holding that no trade of this desk opened
            opens = leg.effect is Effect.OPEN
            lot = Lot(fill.at, fill.exec_id, change, fill.price, trade.opening.id, opens)
            state.put_trade(trade.counted(
                fill.exec_id, fill.at if sign > 0 else None, fill.instrument, change * sign, opens=opens, money=money,
                fees=fill.fees * sign,
            ))
        else:
            lot = Lot(fill.at, fill.exec_id, change, fill.price)
        if sign > 0:
            state.hold(fill.instrument, lot)
        else:
            state.release(fill.instrument, lot)
        state.counted(fill.instrument, lot, gone=sign < 0)

    def _logged(self, body: TradeLogged) -> None:
        """A trade done elsewhere: booked like executions of an order of its own, and taken back like busts of them."""
        state = self._state(body.account)
        if body.log_id in state.logged:
            return
        state.logged[body.log_id] = body
        if body.undoes is None and body.trade_id not in state.trades:
            state.put_trade(opening_of(body, min(fill.at for fill in body.fills)))
        for fill in body.fills:
            state.put_execution(fill)
            counts, sign = (fill, 1) if fill.corrects is None else (state.execution(fill.corrects), -1)
            if fill.corrects is not None:
                state.superseded[fill.corrects] = fill.exec_id
            if counts is not None:
                self._count(state, counts, _leg_of(body.legs, counts), state.trades.get(body.trade_id), sign=sign)

    def _settle(self, body: Settled) -> None:
        state = self._state(body.account)
        if body.settlement_id in state.settled:
            return
        state.put_settlement(body)
        state.cash += body.cash - body.fees
        state.fees += body.fees
        state.hold(body.instrument, Lot(body.at, body.settlement_id, body.quantity, body.price, settles=True))
        if body.shares and body.share_symbol:
            # Shares come in or go out at the strike; the option itself then ended at zero and its premium is kept.
            stock, strike = Equity(symbol=body.share_symbol), abs(body.cash / body.shares)
            delivered = Lot(body.at, body.settlement_id, body.shares, strike, settles=True)
            state.hold(stock, delivered)
            state.deliver(stock, body)
        state.settle(body)

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

    def _called(self, body: MarginCalled) -> None:
        state = self._state(body.account)
        if state.call is None or (body.at, not body.amount) >= (state.call.at, not state.call.amount):
            state.call = body  # reports come in any order: the latest word stands

    def _act(self, body: CorporateAction) -> None:
        """Every holding it names is another from then on, and plans for what it replaced end: their prices are of another contract."""
        state = self._state(body.account)
        if body.action_id in state.actions:
            return
        state.actions[body.action_id] = body
        for line in body.lines:
            state.replace_holding(body, line)
        keys = {line.instrument.key for line in body.lines}
        for item in tuple(state.armed.values()):
            if any(leg.instrument.key in keys for leg in item.envelope.legs):
                state.put_standing(replace(item, ended="adjusted", reason=body.words))

    def _cash(self, body: CashMoved) -> None:
        state = self._state(body.account)
        if body.movement_id in state.moved:
            return
        state.moved[body.movement_id] = body
        state.cash += body.amount
        if body.reason in ("deposit", "withdrawal"):
            state.deposits += body.amount

    def _state(self, account: AccountId) -> AccountState:
        found = self._accounts.get(account)
        if found is None:
            # A fact of an account nobody opened: kept and shown. It must never stop the log from being read.
            stranger = Account(id=account, name=account.id, kind=AccountKind.CASH)
            found = self._accounts[account] = AccountState(account=stranger)
        self._published.pop(account, None)
        return found


def _publish(state: AccountState) -> Book:
    days, superseded, trades = state.fills.picture(), state.superseded.picture(), state.trades.picture()
    return Book(
        account=state.account,
        cash=state.cash,
        deposits=state.deposits,
        fees=state.fees,
        positions=state.sorted_positions(),
        trades=Trades(trades, state.trades_counted),
        orders=state.orders.picture(),
        live=MappingProxyType(dict(state.live)),
        fills=executions(days, superseded),
        settlements=Daily(state.settlements.picture()),
        standing=state.standing.picture(),
        external=MappingProxyType(dict(state.external)),
        external_since=MappingProxyType(dict(state.external_since)),
        adjustments=Listed(state.adjusted.picture()),
        armed=tuple(state.armed.values()),
        holding=MappingProxyType(dict(state.holding)),
        overfilled=tuple(state.overfilled.values()),
        executed=state.executed.picture(),
        settled=state.settled.picture(),
        lots=state.lots.picture(),
        endings=state.endings.picture(),
        outside=state.outside.picture(),
        movements=Listed(state.moved.picture()),
        logged=state.logged.picture(),
        named=state.named.picture(),
        closings=state.closings.picture(),
        actions=state.actions.picture(),
        call=state.call if state.call is not None and state.call.amount else None,
    )
