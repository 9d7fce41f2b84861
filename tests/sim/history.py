"""What happened, as far as the checkers share it: their own account from the durable log, the wire and the chat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from core.domain.accounts import AccountId
from core.domain.events import (
    Adjusted,
    Armed,
    CancelRequested,
    Disarmed,
    Event,
    Filled,
    MandateGranted,
    MandateOffered,
    MandateRevoked,
    Mode,
    ModeSet,
    OrderAcknowledged,
    OrderEnded,
    OrderUnknown,
    Reconciled,
    Replacing,
    ScopeKind,
    SettingChanged,
    Settled,
    Submitting,
    TicketClosed,
    TicketConfirmed,
    TicketDrafted,
    TicketShown,
)
from core.domain.instruments import Equity, Instrument, Option
from core.domain.mandates import Mandate
from core.domain.orders import Effect, Fill, Leg, Side
from core.store.codec import Row
from tests.sim.chat import Message
from tests.sim.exchange import Exchange, Wire


@dataclass(slots=True, kw_only=True)
class Told:
    """Everything known of one ticket."""

    drafted: TicketDrafted
    drafted_at: Event
    policy: int  # how many changes of settings and halts had come before
    chats: set[str] = field(default_factory=set)
    confirmed: Event | None = None
    closed: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A mandate's card."""

    event: Event
    policy: int


@dataclass(slots=True, kw_only=True)
class Sent:
    """Everything known of one intent."""

    submitting: Submitting
    seq: int
    ref: bool = False  # the broker acknowledged it
    cancel_asked: bool = False
    wires: list[Wire] = field(default_factory=list)
    replacing: Replacing | None = None
    ended: str | None = None
    unknown: bool = False
    heard: set[str] = field(default_factory=set)  # the broker's words, as the desk received them
    filled: dict[tuple[str, Side], int] = field(default_factory=dict)  # contracts that count
    fills: dict[str, Fill] = field(default_factory=dict)  # the executions that count
    over_since: dict[str, int] = field(default_factory=dict)  # contract -> the event that last took it beyond what was confirmed

    @property
    def legs(self) -> tuple[Leg, ...]:
        return self.submitting.envelope.legs

    def contracts(self, leg: Leg) -> int:
        """Contracts of a leg that were filled, on either side: the desk counts a leg by its contract."""
        return sum(count for (key, _), count in self.filled.items() if key == leg.instrument.key)

    @property
    def units(self) -> int:
        """Whole units filled on every leg."""
        return min(self.contracts(leg) // leg.ratio for leg in self.legs)

    @property
    def price(self) -> Decimal | None:
        """Net price of a unit (+ received) over what was filled; None where nothing was, or the legs do not match."""
        units = self.units
        if not units or any(self.contracts(leg) != units * leg.ratio for leg in self.legs):
            return None
        money = sum((-fill.side.sign * fill.price * fill.quantity for fill in self.fills.values()), Decimal(0))
        return money / units

    @property
    def over(self) -> set[str]:
        """Contracts of which more was traded than was confirmed, or the wrong way round."""
        covered = {(leg.instrument.key, leg.side): self.submitting.quantity * leg.ratio for leg in self.legs}
        return {key for (key, side), count in self.filled.items() if count > covered.get((key, side), 0)}

    @property
    def live(self) -> bool:
        """It may still fill, as far as the log knows."""
        return self.ended is None and self.units < self.submitting.quantity

    @property
    def opens(self) -> bool:
        return any(leg.effect is Effect.OPEN for leg in self.legs)

    def left(self, leg: Leg) -> int:
        """Contracts of a leg that may still be filled, signed."""
        return leg.side.sign * max(0, self.submitting.quantity * leg.ratio - self.contracts(leg))


class Fills:
    """A set of execution reports: any order and repetition gives the same."""

    def __init__(self) -> None:
        self.known: dict[str, Fill] = {}
        self._gone: set[str] = set()

    def add(self, fill: Fill) -> list[tuple[Fill, int]]:
        """What a report changes: executions that count from now on (+1), and those that do no longer (-1)."""
        if fill.exec_id in self.known:
            return []
        self.known[fill.exec_id] = fill
        changes = []
        if fill.corrects and fill.corrects not in self._gone:
            self._gone.add(fill.corrects)
            replaced = self.known.get(fill.corrects)
            if replaced is not None and not replaced.busted:
                changes.append((replaced, -1))
        if fill.exec_id not in self._gone and not fill.busted:
            changes.append((fill, 1))
        return changes


class Ledger:
    """One account as the log tells it."""

    def __init__(self) -> None:
        self.fills = Fills()
        self.settled: set[str] = set()
        self.held: dict[str, tuple[Instrument, int]] = {}
        self.trades: dict[str, dict[str, int]] = {}  # contracts left of each opening
        self.reconciled: Reconciled | None = None

    def hold(self, instrument: Instrument, change: int) -> None:
        count = self.held.get(instrument.key, (instrument, 0))[1] + change
        if count:
            self.held[instrument.key] = (instrument, count)
        else:
            self.held.pop(instrument.key, None)


    def end(self, instrument: Instrument, change: int, shares: int, share_symbol: str | None) -> None:
        """A holding ended otherwise than by a trade, maybe in shares; trades it belonged to end with it."""
        self.hold(instrument, change)
        if shares and share_symbol:
            self.hold(Equity(symbol=share_symbol), shares)
        for trade in self.trades.values():
            held = trade.get(instrument.key, 0)
            if held * change < 0:
                part = max(change, -held) if change < 0 else min(change, -held)
                trade[instrument.key] = held + part
                change -= part


class History:
    """Brought up to date by each durable event, before the checkers' later hooks are asked."""

    def __init__(self, exchanges: dict[AccountId, Exchange]) -> None:
        self.exchanges = exchanges
        self.rows: list[Row] = []
        self.events: list[Event] = []
        self.tickets: dict[str, Told] = {}
        self.intents: dict[str, Sent] = {}
        self.standing: dict[str, Armed] = {}
        self.disarmed: set[str] = set()
        self.offered: dict[str, Offered] = {}
        self.granted: dict[str, Mandate] = {}  # those in force, their end by time aside
        self.modes: dict[str, ModeSet] = {}
        self.halted_seqs: dict[str, int] = {}  # instrument -> the newest HALT on it
        self.desk_halted_at = -1.0  # the loop's second at which a HALT of the whole desk came into force last
        self.halt_file: str | None = None
        self.policy = 0  # changes of settings and halts: a card drawn before one is dead
        self.settings: dict[str, str] = {}  # changed since the start
        self.configured: dict[str, str] = {}  # as the configuration has them
        self.messages: dict[str, Message] = {}
        self.inbox: dict[str, int] = {}  # message -> the life that made its receipt durable
        self.put_back: list[tuple[float, float]] = []  # when the desk's clock was put back, and by how many seconds
        self.boot = 0  # the life that has the lease
        self.ledgers = {account: Ledger() for account in exchanges}
        self.openings: dict[str, AccountId] = {}
        self._seconds = next(iter(exchanges.values())).loop.time

    def setting(self, key: str, default: object) -> str:
        """What a setting is now."""
        return self.settings.get(key, self.configured.get(key, str(default)))

    def add(self, event: Event) -> None:
        body = event.body
        if isinstance(body, TicketDrafted):
            self.tickets[body.ticket_id] = Told(drafted=body, drafted_at=event, policy=self.policy)
        elif isinstance(body, TicketShown):
            self.tickets[body.ticket_id].chats.add(body.chat)
        elif isinstance(body, TicketConfirmed):
            self.tickets[body.ticket_id].confirmed = event
        elif isinstance(body, TicketClosed):
            self.tickets[body.ticket_id].closed = event
        elif isinstance(body, Submitting):
            self.intents[body.client_id] = Sent(submitting=body, seq=event.seq)
            if any(leg.effect is Effect.OPEN for leg in body.envelope.legs):
                self.openings[body.trade_id] = body.account
        elif isinstance(body, Armed):
            self.standing[body.standing_id] = body
        elif isinstance(body, Disarmed):
            self.disarmed.add(body.standing_id)
        elif isinstance(body, MandateOffered):
            self.offered[body.mandate.id] = Offered(event=event, policy=self.policy)
        elif isinstance(body, MandateGranted):
            self.granted[body.mandate.id] = body.mandate
        elif isinstance(body, MandateRevoked):
            self.granted.pop(body.mandate_id, None)
        elif isinstance(body, ModeSet):
            self._mode(event, body)
        elif isinstance(body, SettingChanged):
            self.policy += 1
            self.settings[body.key] = body.new
        elif isinstance(body, Reconciled):
            self.ledgers[body.account].reconciled = body
        elif isinstance(body, Settled):
            self._settled(body)
        elif isinstance(body, Adjusted):
            self._adjusted(body)
        else:
            self._order(event)

    def working(self, account: AccountId) -> list[Sent]:
        """The orders of an account that may still fill."""
        return [sent for sent in self.intents.values() if sent.live and sent.submitting.account == account]

    def open_trades(self, account: AccountId) -> set[str]:
        """Trades with something left of what they opened, and those that an order is opening."""
        held = {key for key, left in self.ledgers[account].trades.items() if any(left.values())}
        return held | {sent.submitting.trade_id for sent in self.working(account) if sent.opens}

    def in_force(self, wire: Wire) -> list[ModeSet]:
        """The modes the log has set on anything an order touches."""
        assert wire.order is not None
        envelope = wire.order.envelope
        items = [leg.instrument for leg in envelope.legs]
        names = {
            ScopeKind.DESK: {""},
            ScopeKind.ACCOUNT: {str(wire.account)},
            ScopeKind.STRATEGY: {envelope.strategy},
            ScopeKind.INSTRUMENT: {item.key for item in items} | {item.underlying for item in items if isinstance(item, Option)},
        }
        return [entry for entry in self.modes.values() if entry.scope.name in names[entry.scope.kind]]

    def _mode(self, event: Event, body: ModeSet) -> None:
        key = f"{body.scope.kind.value}:{body.scope.name}:{body.cause}"
        if body.mode is Mode.ACTIVE:
            self.modes.pop(key, None)
            return
        self.modes[key] = body
        if body.mode is Mode.HALT:
            self.policy += 1
            if body.scope.kind is ScopeKind.DESK:
                self.desk_halted_at = self._seconds()
            elif body.scope.kind is ScopeKind.INSTRUMENT:
                self.halted_seqs[body.scope.name] = event.seq

    def _order(self, event: Event) -> None:
        body = event.body
        if isinstance(body, Filled):
            return self._fill(event, body.fill)
        sent = self.intents.get(getattr(body, "client_id", "") or "")
        if sent is None:
            return None
        if isinstance(body, Replacing):
            sent.replacing = body
        elif isinstance(body, OrderEnded):
            if sent.ended is None:
                sent.ended, sent.unknown = body.outcome, False
        elif isinstance(body, OrderUnknown):
            sent.unknown = sent.unknown or sent.ended is None
        elif isinstance(body, CancelRequested):
            sent.cancel_asked = sent.cancel_asked or sent.ended is None
        elif isinstance(body, OrderAcknowledged):
            sent.unknown, sent.ref = False, True
            if body.from_books:
                sent.ended = None
        return None

    def _fill(self, event: Event, fill: Fill) -> None:
        sent, ledger = self.intents.get(fill.client_id or ""), self.ledgers[fill.account]
        if sent is not None and fill.exec_id not in ledger.fills.known:
            sent.unknown = False
        for counted, sign in ledger.fills.add(fill):
            key, change = counted.instrument.key, counted.quantity * counted.side.sign * sign
            ledger.hold(counted.instrument, change)
            own = self.intents.get(counted.client_id or "")
            if own is None:
                continue
            slot = (key, counted.side)
            own.filled[slot] = own.filled.get(slot, 0) + counted.quantity * sign
            if sign > 0:
                own.fills[counted.exec_id] = counted
            else:
                own.fills.pop(counted.exec_id, None)
            if sign > 0 and key in own.over:
                own.over_since[key] = event.seq
            if self.openings.get(own.submitting.trade_id) is not None:  # its closing fill may be heard before the opening one
                trade = ledger.trades.setdefault(own.submitting.trade_id, {})
                trade[key] = trade.get(key, 0) + change

    def _settled(self, body: Settled) -> None:
        ledger = self.ledgers[body.account]
        if body.settlement_id in ledger.settled:
            return
        ledger.settled.add(body.settlement_id)
        ledger.end(body.instrument, body.quantity, body.shares, body.share_symbol)

    def _adjusted(self, body: Adjusted) -> None:
        ledger = self.ledgers[body.account]
        if body.adjustment_id not in ledger.settled and body.instrument is not None:
            ledger.settled.add(body.adjustment_id)
            ledger.end(body.instrument, body.quantity, body.shares, body.share_symbol)


def plus(held: Iterable[tuple[Instrument, int]], changes: Iterable[tuple[Instrument, int]]) -> list[tuple[Instrument, int]]:
    """Holdings with changes."""
    total = {instrument.key: (instrument, count) for instrument, count in held}
    for instrument, change in changes:
        total[instrument.key] = (instrument, total.get(instrument.key, (instrument, 0))[1] + change)
    return list(total.values())
