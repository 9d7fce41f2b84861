"""Invariants of an account: conservation, the algebra of fills, facts kept, limits, modes, reconciliation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING

from core.domain.accounts import AccountId
from core.domain.events import Adjusted, CashMoved, Event, Filled, Mode, ModeSet, Reconciled, ScopeKind, Settled, Submitting
from core.domain.instruments import Equity, Instrument
from core.domain.orders import Effect, Side
from core.fold import DeskFold
from core.store.codec import Row
from tests.sim.checker import Checker
from tests.sim.checks_orders import same_legs
from tests.sim.exchange import Exchange, Wire
from tests.sim.history import Fills, History, plus
from tests.sim.worth import Holding, crash_loss, net_worth, uncovered, worst_at_expiry

if TYPE_CHECKING:
    from core.desk import Desk

ZERO = Decimal(0)
DUPLICATE = timedelta(seconds=55)  # the rule holds identical orders back for 60 s; the press is judged a little before it is stored
SLACK = 1.03  # prices move between the judgement and its record
CLOSINGS_LOOKED_AT = 4


class Conservation(Checker):
    id = "7"
    says = "Positions and cash are the sum of the recorded facts, and at rest those of the broker."

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._fills = {account: Fills() for account in history.exchanges}
        self._others: set[tuple[AccountId, str]] = set()
        self.cash = dict.fromkeys(history.exchanges, ZERO)
        self.held: dict[AccountId, dict[str, int]] = {account: {} for account in history.exchanges}
        self._changed: set[AccountId] = set()

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, Filled):
            for fill, sign in self._fills[body.fill.account].add(body.fill):
                change = fill.quantity * (1 if fill.side is Side.BUY else -1) * sign
                self.cash[fill.account] -= fill.price * fill.instrument.multiplier * change + fill.fees * sign
                self._hold(fill.account, fill.instrument.key, change)
            self._changed.add(body.fill.account)
        elif isinstance(body, CashMoved) and (body.account, body.movement_id) not in self._others:
            self._others.add((body.account, body.movement_id))
            self.cash[body.account] += body.amount
            self._changed.add(body.account)
        elif isinstance(body, Settled) and (body.account, body.settlement_id) not in self._others:
            self._others.add((body.account, body.settlement_id))
            self.cash[body.account] += body.cash - body.fees
            self._hold(body.account, body.instrument.key, body.quantity)
            if body.shares:
                self._hold(body.account, str(body.share_symbol), body.shares)
            self._changed.add(body.account)
        elif isinstance(body, Adjusted) and (body.account, body.adjustment_id) not in self._others:
            self._others.add((body.account, body.adjustment_id))
            self.cash[body.account] += body.cash
            if body.instrument is not None:
                self._hold(body.account, body.instrument.key, body.quantity)
            if body.shares:
                self._hold(body.account, str(body.share_symbol), body.shares)
            self._changed.add(body.account)
        return None

    def folded(self, desk: Desk, event: Event) -> str | None:
        changed, self._changed = self._changed, set()
        return next((wrong for account in sorted(changed, key=str) if (wrong := self._compare(desk, account)) is not None), None)

    def at_rest(self, desk: Desk) -> str | None:
        for account, exchange in self.history.exchanges.items():
            book = desk.book(account)
            held = {key: position.quantity for key, position in book.positions.items()}
            theirs = {key: count for key, (_, count) in exchange.held.items()}
            if held != theirs or book.cash != exchange.cash:
                return f"at rest the book of {account.id} holds {book.cash} and {held}, the broker {exchange.cash} and {theirs}"
        return None

    def _compare(self, desk: Desk, account: AccountId) -> str | None:
        book = desk.book(account)
        if book.cash != self.cash[account]:
            return f"the book of {account.id} has {book.cash} in cash, the recorded facts add up to {self.cash[account]}"
        held = {key: position.quantity for key, position in book.positions.items()}
        wanted = self.held[account]
        return None if held == wanted else f"the book of {account.id} holds {held}, the recorded facts add up to {wanted}"

    def _hold(self, account: AccountId, key: str, change: int) -> None:
        held = self.held[account]
        held[key] = held.get(key, 0) + change
        if not held[key]:
            del held[key]


class FillAlgebra(Checker):
    id = "8"
    says = "The state is a function of the set of execution reports: any order and repetition gives the same."

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._rng = Random("fill algebra")
        self._looks = 0

    def ended(self, rows: Sequence[Row], fold: DeskFold | None) -> str | None:
        self._looks += 1
        return None if self._looks % 3 else self._shuffled()

    def at_rest(self, desk: Desk) -> str | None:
        return self._shuffled()

    def _shuffled(self) -> str | None:
        events, rng = self.history.events, self._rng
        slots = [number for number, event in enumerate(events) if isinstance(event.body, Filled)]
        if len(slots) < 2:
            return None
        first = {event.body.client_id: number for number, event in enumerate(events) if isinstance(event.body, Submitting)}
        bodies = [events[number].body for number in slots]
        rng.shuffle(bodies)
        shuffled = list(events)
        for number, body in zip(slots, _placed(slots, bodies, first), strict=True):
            shuffled[number] = replace(events[number], body=body)
        repeated = [
            copy for event in shuffled for copy in ((event, event) if isinstance(event.body, Filled) and rng.random() < 0.3 else (event,))
        ]
        one, other = DeskFold(), DeskFold()
        for event in events:
            one.apply(event)
        for seq, event in enumerate(repeated, 1):
            other.apply(replace(event, seq=seq))
        return next((wrong for account in self.history.exchanges if (wrong := _differs(one, other, account)) is not None), None)


def _placed(slots: Sequence[int], bodies: Sequence[object], first: dict[str, int]) -> Iterable[Filled]:
    """Each slot takes some fill whose order was submitted before it."""
    left = sorted(bodies, key=lambda body: first.get(_order_of(body), -1))
    for number in slots:
        fits = next(body for body in reversed(left) if first.get(_order_of(body), -1) < number)
        left.remove(fits)
        assert isinstance(fits, Filled)
        yield fits


def _order_of(body: object) -> str:
    return (body.fill.client_id or "") if isinstance(body, Filled) else ""


def _differs(one: DeskFold, other: DeskFold, account: AccountId) -> str | None:
    books = (one.books.accounts, other.books.accounts)
    if account not in books[0]:
        return None
    mine, theirs = (accounts[account] for accounts in books)
    for name in ("cash", "fees", "positions", "fills"):
        if getattr(mine, name) != getattr(theirs, name):
            return f"the same reports in another order give other {name}"
    for client_id, order in mine.orders.items():
        same = theirs.orders[client_id]
        if (order.filled_contracts, order.overfilled, order.ended) != (same.filled_contracts, same.overfilled, same.ended):
            return f"the same reports in another order leave {client_id} otherwise"
        if order.state.terminal and order.state is not same.state:
            return f"the same reports in another order end {client_id} as {same.state.value}, not {order.state.value}"
    return None


class FactsKept(Checker):
    id = "9"
    says = "What the broker has reported is in the log before the desk asks for what came after it; beyond quantity it halts the contract."

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._looked = dict.fromkeys(history.exchanges, 0)
        self._logged: dict[AccountId, set[str]] = {account: set() for account in history.exchanges}

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, Filled):
            self._logged[body.fill.account].add(body.fill.exec_id)
        elif isinstance(body, CashMoved):
            self._logged[body.account].add(body.movement_id)
        elif isinstance(body, Settled):
            self._logged[body.account].add(body.settlement_id)
        return None

    def asked(self, exchange: Exchange, since: int) -> str | None:
        account, begin = exchange.account, self._looked[exchange.account]
        for fact in exchange.stream[begin:since]:
            name = _fact_id(fact.item)
            if name is not None and name not in self._logged[account]:
                return f"the desk asks {account.id} for what came after {since}, and {name} of {fact.cursor} is not in its log"
        self._looked[account] = max(begin, since)
        return None

    def wire(self, wire: Wire) -> str | None:
        if wire.kind == "cancel" or wire.order is None or _reduces(self.history, wire):
            return None
        keys = {leg.instrument.key for leg in wire.order.envelope.legs}
        loose = [key for key in self._unhalted() if key in keys]
        return f"{wire.kind} of {wire.client_id} left although {loose[0]} was overfilled and is not halted" if loose else None

    def at_rest(self, desk: Desk) -> str | None:
        for account, exchange in self.history.exchanges.items():
            missing = [name for fact in exchange.facts if (name := _fact_id(fact.item)) and name not in self._logged[account]]
            if missing:
                return f"at rest the log of {account.id} does not hold {', '.join(missing[:3])}"
        loose = self._unhalted()
        return f"{loose[0]} was overfilled and never halted" if loose else None

    def _unhalted(self) -> list[str]:
        """Contracts of an overfilled order that nobody halted since its newest execution report."""
        over = [(key, sent) for sent in self.history.intents.values() for key in sent.over]
        return [key for key, sent in over if self.history.halted_seqs.get(key, 0) < sent.over_since[key]]


def _fact_id(item: object) -> str | None:
    return getattr(item, "exec_id", None) or getattr(item, "movement_id", None) or getattr(item, "settlement_id", None)


class RiskReserved(Checker):
    id = "11"
    says = "No confirmation raises an exposure that is, or would be, over a limit; what is confirmed counts from that moment on."

    def __init__(self, history: History, *, most_positions: int, capital_fraction: Decimal, stress_fraction: Decimal) -> None:
        super().__init__(history)
        self._most_positions = most_positions
        self._capital_fraction = capital_fraction
        self._stress_fraction = stress_fraction

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if not isinstance(body, Submitting) or body.ticket_id not in self.history.tickets:
            return None
        if any(leg.effect is Effect.CLOSE for leg in body.envelope.legs):
            return self._closing(body)
        return None if body.reducing else self._count(body) or self._capital(body) or self._stress(body) or self._again(event, body)

    def wire(self, wire: Wire) -> str | None:
        sent = self.history.intents.get(wire.client_id)
        if wire.kind != "submit" or sent is None or not sent.submitting.envelope.instead_of:
            return None
        for name in sent.submitting.envelope.instead_of:
            if name in self.history.intents and self.history.intents[name].live:
                return f"{wire.client_id} leaves, and {name}, in whose place it goes, may still fill"
        return self._closing(sent.submitting)

    def _count(self, body: Submitting) -> str | None:
        trades = self.history.open_trades(body.account)
        most = int(self.history.settings.get("rules.positions.max_positions", self._most_positions))
        if body.trade_id not in trades and len(trades) >= most:
            return f"{body.client_id} opens trade {len(trades) + 1}, over {most}"
        return None

    def _capital(self, body: Submitting) -> str | None:
        """What the order could lose at expiry at its worst price, or what it adds to that of the holdings where they cover it."""
        envelope, worth = body.envelope, self._worth(body.account)
        legs = [(leg.instrument, leg.contracts(envelope.quantity)) for leg in envelope.legs]
        alone = worst_at_expiry(legs) - envelope.plan.worst * 100 * envelope.quantity
        held = self.history.ledgers[body.account].held.values()
        added = worst_at_expiry(plus(held, legs)) - worst_at_expiry(held)
        naked = uncovered(legs) and envelope.strategy != "cash_secured_put"
        loss = float(min(alone, added))
        if not naked and loss > worth * float(self._capital_fraction) * SLACK:
            return f"{body.client_id} ties up {loss:.0f}, over {self._capital_fraction} of {worth:.0f}"
        return None

    def _stress(self, body: Submitting) -> str | None:
        market, worth = self._market(body.account), self._worth(body.account)
        most = worth * float(self._stress_fraction)
        for purchases in (True, False):
            before = self._exposed(body.account, purchases=purchases)
            after = plus(before, ((leg.instrument, leg.contracts(body.quantity)) for leg in body.envelope.legs))
            was, would = crash_loss(market, before), crash_loss(market, after)
            if would > most * 1.1 and would > was * 1.02 + 50:
                return f"{body.client_id} makes a crash cost {would:.0f} instead of {was:.0f}, over {most:.0f}"
        return None

    def _exposed(self, account: AccountId, *, purchases: bool = True, without: tuple[str, ...] = ()) -> list[Holding]:
        """Holdings, and live openings as if filled; without `purchases` those that only buy are left out."""
        changes = [
            (leg.instrument, sent.left(leg))
            for sent in self.history.working(account)
            if sent.submitting.client_id not in without
            for leg in sent.legs
            if leg.effect is Effect.OPEN and (purchases or any(item.side is Side.SELL for item in sent.legs))
        ]
        return plus(self.history.ledgers[account].held.values(), changes)

    def _closing(self, body: Submitting) -> str | None:
        """A close may not lay a short open by more than a trade may risk, whatever else that is being closed fills or not.

        Openings it takes the place of must be gone when it leaves, with whatever they filled until then: `wire` looks again.
        """
        market, worth = self._market(body.account), self._worth(body.account)
        most = max(worth, 0.0) * float(self._capital_fraction) * 1.1 + 50
        closing = [sent for sent in self.history.working(body.account) if not sent.opens][:CLOSINGS_LOOKED_AT]
        own = [(leg.instrument, leg.contracts(body.quantity)) for leg in body.envelope.legs if leg.effect is Effect.CLOSE]
        for size in range(len(closing) + 1):
            for others in combinations(closing, size):
                exposed = self._exposed(body.account, without=body.envelope.instead_of)
                before = plus(exposed, ((leg.instrument, sent.left(leg)) for sent in others for leg in sent.legs))
                was, would = crash_loss(market, before), crash_loss(market, plus(before, own))
                if would - was > most and sum(uncovered(plus(before, own)).values()) > sum(uncovered(before).values()):
                    return f"{body.client_id} closes, and a crash would cost {would:.0f} instead of {was:.0f}"
        return None

    def _again(self, event: Event, body: Submitting) -> str | None:
        if self.history.tickets[body.ticket_id].drafted.second_order or body.standing_id is not None:
            return None
        for other in reversed(self.history.intents.values()):
            confirmed = self.history.tickets[other.submitting.ticket_id].confirmed
            if confirmed is None or event.at < confirmed.at:
                continue
            if event.at - confirmed.at > DUPLICATE:
                break
            if other.submitting.standing_id is not None:
                continue  # a part of a larger one
            if other.ended in ("denied", "rejected") and not other.filled:
                continue  # what came to nothing is no reason to fear a second one
            if same_legs(other.submitting.envelope, body.envelope) and other.submitting.quantity == body.quantity:
                return f"{body.client_id} repeats {other.submitting.client_id} of {event.at - confirmed.at} ago"
        return None

    def _market(self, account: AccountId):  # type: ignore[no-untyped-def]
        return self.history.exchanges[account].market

    def _worth(self, account: AccountId) -> float:
        exchange = self.history.exchanges[account]
        return net_worth(exchange.market, exchange.cash, exchange.held.values())


class Modes(Checker):
    id = "13"
    says = "After HALT nothing leaves but cancels and confirmed orders that reduce what is held; after PAUSED no entry, while UNKNOWN none."

    def wire(self, wire: Wire) -> str | None:
        if wire.kind == "cancel" or wire.order is None:
            return None
        entries = self.history.in_force(wire)
        strict = next((entry for entry in entries if entry.mode is not Mode.PAUSED), None)
        unknown = [sent for sent in self.history.working(wire.account) if sent.unknown]
        file = self.history.halt_file
        if strict is None and file is None and not unknown:
            opening = any(leg.effect is Effect.OPEN for leg in wire.order.envelope.legs)
            if entries and opening and not _reduces(self.history, wire):
                return f"{wire.kind} of {wire.client_id}, an entry, left although {entries[0].reason}"
            return None
        if _reduces(self.history, wire):
            return None
        why = f"HALT file: {file}" if file is not None else strict.reason if strict is not None else "an order is UNKNOWN"
        return f"{wire.kind} of {wire.client_id} left, which does not reduce what is held, after {why}"


def _reduces(history: History, wire: Wire) -> bool:
    """What is left of it only takes off what is known to be held; no more is uncovered, and what can be lost is no more."""
    assert wire.order is not None
    ledger, sent = history.ledgers[wire.account], history.intents.get(wire.client_id)
    held = list(ledger.held.values())
    changes: list[tuple[Instrument, int]] = []
    for leg in wire.order.envelope.legs:
        count = ledger.held.get(leg.instrument.key, (leg.instrument, 0))[1]
        change = sent.left(leg) if sent is not None else leg.contracts(wire.order.quantity)
        if leg.effect is not Effect.CLOSE or count * change > 0 or abs(change) > abs(count):
            return False
        changes.append((leg.instrument, change))
    after, market = plus(held, changes), history.exchanges[wire.account].market
    bare, before = uncovered(after), uncovered(held)
    if any(count > before.get(slot, 0) for slot, count in bare.items()):
        return False
    if all(change >= 0 and not isinstance(item, Equity) for item, change in changes):
        return True  # short options are bought back, nothing else
    return crash_loss(market, after) <= crash_loss(market, held) * 1.02 + 25


class ReconciledFirst(Checker):
    id = "14"
    says = "Nothing is placed before the broker's complete books were compared in this very connection; what differs is halted."

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._broken: dict[AccountId, set[str]] = {account: set() for account in history.exchanges}

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, Reconciled):
            if body.complete:
                self._broken[body.account] = set(body.broken_instruments)
        elif isinstance(body, ModeSet) and body.mode is Mode.ACTIVE and body.scope.kind is ScopeKind.INSTRUMENT:
            for broken in self._broken.values():
                broken.discard(body.scope.name)  # a person looked at it
        return None

    def wire(self, wire: Wire) -> str | None:
        if wire.kind == "cancel" or wire.order is None:
            return None
        last = self.history.ledgers[wire.account].reconciled
        if last is None or not last.complete or last.epoch != wire.epoch:
            return f"{wire.kind} of {wire.client_id} left without a complete reconciliation in epoch {wire.epoch}"
        broken = self._broken[wire.account] & {leg.instrument.key for leg in wire.order.envelope.legs}
        if broken and not _reduces(self.history, wire):
            return f"{wire.kind} of {wire.client_id} left although the books differ on {min(broken)}"
        return None
