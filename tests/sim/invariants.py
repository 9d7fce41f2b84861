"""What must hold after every step, as small checkers with an id and a sentence each.

They keep their own account of what happened, from the durable log, the wire, the broker's books and the chat; they never ask the desk
what it thinks, except to compare. Each event costs a checker a bounded amount of work; what reads a whole log (invariants 8 and 16) runs
at crashes and at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING, ClassVar

from core.domain.encoding import digest
from core.domain.events import (
    Adjusted,
    CashMoved,
    Event,
    Filled,
    Mode,
    ModeSet,
    NoteWritten,
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
from core.domain.instruments import Option, Right
from core.domain.orders import Effect, Envelope, Fill, Side
from core.fold import DeskFold
from core.reply import Reply
from core.store.codec import GENESIS, Row, decode, row_hash
from tests.sim.broker import Exchange, Resting, Wire, worst_at_expiry
from tests.sim.chat import AUTHORISED, CHATS, Message

if TYPE_CHECKING:
    from core.desk import Desk

ZERO = Decimal(0)
DUPLICATE = timedelta(
    seconds=55
)  # the rule holds identical orders back for 60 s; a little less, since the press is judged before it is stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that did not hold."""

    invariant: str
    text: str
    step: int
    second: float


@dataclass(slots=True, kw_only=True)
class Told:
    """Everything known of one ticket."""

    drafted: TicketDrafted
    drafted_at: Event
    policy: int  # how many changes of settings and halts had come before
    chats: set[str] = field(default_factory=set)
    shown_cards: set[str] = field(default_factory=set)  # hashes of what a chat was really given
    confirmed: Event | None = None
    closed: Event | None = None


@dataclass(slots=True, kw_only=True)
class Sent:
    """Everything known of one intent."""

    submitting: Submitting
    seq: int
    wires: list[Wire] = field(default_factory=list)
    replacing: Replacing | None = None
    ended: str | None = None
    unknown: bool = False
    heard: set[str] = field(default_factory=set)  # the broker's words, as the desk received them
    filled: dict[str, int] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """Units filled: legs fill together, so the leg that was reported most tells."""
        return max((self.filled.get(leg.instrument.key, 0) // leg.ratio for leg in self.submitting.envelope.legs), default=0)

    def unreported(self) -> list[tuple[Option, int]]:
        """Contracts that must have been traded with the legs reported so far."""
        legs = [leg for leg in self.submitting.envelope.legs if isinstance(leg.instrument, Option)]
        missing = [(leg, self.units * leg.ratio - self.filled.get(leg.instrument.key, 0)) for leg in legs]
        return [(leg.instrument, leg.side.sign * count) for leg, count in missing if count and isinstance(leg.instrument, Option)]


class History:
    """What happened, as far as the checkers share it; brought up to date before they are asked."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.events: list[Event] = []
        self.tickets: dict[str, Told] = {}
        self.intents: dict[str, Sent] = {}
        self.halts: dict[str, ModeSet] = {}
        self.halt_file: str | None = None
        self.policy = 0  # changes of settings and halts of the whole desk: a card drawn before one is dead
        self.most_positions = 0
        self.reconciled: Reconciled | None = None
        self.messages: dict[str, Message] = {}
        self.held: dict[str, tuple[Option, int]] = {}
        self.trades: dict[str, dict[str, int]] = {}  # contracts left of each opening
        self.openings: set[str] = set()
        self._counted: set[str] = set()

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
                self.openings.add(body.trade_id)
        elif isinstance(body, ModeSet):
            self._mode(body)
        elif isinstance(body, SettingChanged):
            self.policy += 1
            if body.key == "rules.positions.max_positions":
                self.most_positions = int(body.new)
        elif isinstance(body, Reconciled):
            self.reconciled = body
        else:
            self._order(body)

    def _mode(self, body: ModeSet) -> None:
        key = f"{body.scope.kind.value}:{body.scope.name}:{body.cause}"
        if body.mode is Mode.HALT:
            self.halts[key] = body
            self.policy += body.scope.kind is ScopeKind.DESK
        else:
            self.halts.pop(key, None)

    def _order(self, body: object) -> None:
        sent = self.intents.get(getattr(body, "client_id", "") or "")
        if isinstance(body, Filled):
            sent = self.intents.get(body.fill.client_id or "")
            if sent is not None:
                sent.unknown = False
            self._fill(body.fill)
        elif sent is None:
            return
        elif isinstance(body, Replacing):
            sent.replacing = body
        elif isinstance(body, OrderEnded):
            sent.ended, sent.unknown = sent.ended or body.outcome, False
        elif isinstance(body, OrderUnknown):
            sent.unknown = sent.ended is None
        elif isinstance(body, OrderAcknowledged):
            sent.unknown = False

    def _fill(self, fill: Fill) -> None:
        if fill.exec_id in self._counted or fill.corrects is not None or not isinstance(fill.instrument, Option):
            return  # a correction here changes the price only
        self._counted.add(fill.exec_id)
        key, change = fill.instrument.key, fill.quantity * fill.side.sign
        self.held[key] = (fill.instrument, self.held.get(key, (fill.instrument, 0))[1] + change)
        sent = self.intents.get(fill.client_id or "")
        if sent is None:
            return
        sent.filled[key] = sent.filled.get(key, 0) + fill.quantity
        if sent.submitting.trade_id in self.openings:  # its closing fill may be heard before the opening one
            trade = self.trades.setdefault(sent.submitting.trade_id, {})
            trade[key] = trade.get(key, 0) + change


class Checker:
    """One invariant. Hooks return the sentence of a violation, or None; each is asked at its moment."""

    id = ""
    says = ""

    def __init__(self, history: History, exchange: Exchange) -> None:
        self.history = history
        self.exchange = exchange

    def before_event(self, event: Event) -> str | None:
        """An event became durable; `history` does not hold it yet."""

    def wire(self, wire: Wire) -> str | None:
        """The first byte of a place, replace or cancel leaves."""

    def accepted(self, order: Resting) -> str | None:
        """The exchange took an order."""

    def folded(self, desk: Desk) -> str | None:
        """The desk has taken in every durable event."""

    def replied(self, message: Message, reply: Reply, again: bool) -> str | None:
        """An answer leaves for a chat; `again` where the same conversation has answered this message before."""

    def ended(self, rows: Sequence[Row], live: tuple[int, str] | None, rng: Random) -> str | None:
        """A life of the desk ended, or the run did: `live` is the sequence number and digest of its state."""


class Confirmed(Checker):
    id = "1"
    says = "Every wire lies inside exactly one live envelope that an authorised person confirmed in time from a card shown to them."

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, Submitting):
            told = self.history.tickets.get(body.ticket_id)
            if told is None or told.confirmed is None:
                return f"{body.client_id} is submitted without a confirmation"
            return None
        if not isinstance(body, TicketConfirmed):
            return None
        told = self.history.tickets.get(body.ticket_id)
        if told is None:
            return f"{body.ticket_id} was confirmed and never drafted"
        wrong = [
            (told.confirmed is not None, "was confirmed twice"),
            (told.closed is not None, "was confirmed after it was closed"),
            (not told.drafted.allowed, "was confirmed although the rules blocked its card"),
            (event.at >= told.drafted.envelope.expires_at, "was confirmed after it expired"),
            (event.at < told.drafted_at.at, "was confirmed before it was drafted (the clock went back)"),
            (told.policy != self.history.policy, "was confirmed although a setting changed or the desk was halted since its card"),
            (not (body.chat in told.chats or body.person == "owner"), "was confirmed from a chat that never saw it"),
            (body.person not in AUTHORISED, f"was confirmed by {body.person}"),
            (body.quantity > told.drafted.envelope.quantity, "was confirmed for more than its card says"),
        ]
        return next((f"{body.ticket_id} {words}" for bad, words in wrong if bad), None) or self._pressed(event, body)

    def _pressed(self, event: Event, body: TicketConfirmed) -> str | None:
        message = self.history.messages.get(event.causation)
        if message is None:
            return f"{body.ticket_id} was confirmed by no message"
        if message.person.id != body.person or message.chat != body.chat:
            return f"{body.ticket_id} was confirmed as {body.person} in {body.chat} by a message of {message.person.id} in {message.chat}"
        by_label = not message.press and message.content == "confirm"  # the label of a button, typed: the newest card's
        if message.word != "confirm" or (message.ticket != body.ticket_id and not by_label):
            return f"{body.ticket_id} was confirmed by the message {message.content!r:.40} ({message.word})"
        return None

    def wire(self, wire: Wire) -> str | None:
        if wire.kind == "cancel" or wire.order is None:
            return None
        sent = self.history.intents.get(wire.client_id)
        if sent is None:
            return f"{wire.kind} of {wire.client_id}, which was never submitted"
        told, order = self.history.tickets[sent.submitting.ticket_id], wire.order
        envelope = told.drafted.envelope
        confirmed = None if told.confirmed is None else told.confirmed.body
        if not isinstance(confirmed, TicketConfirmed) or confirmed.client_id != wire.client_id or order.ticket_id != confirmed.ticket_id:
            return f"{wire.kind} of {wire.client_id} belongs to no confirmation"
        if sent.ended is not None:
            return f"{wire.kind} of {wire.client_id} after it ended as {sent.ended}"
        if not envelope.plan.worst <= order.limit <= envelope.plan.start:
            return f"{wire.kind} of {wire.client_id} at {order.limit}, outside {envelope.plan.start} to {envelope.plan.worst}"
        if order.quantity > confirmed.quantity:
            return f"{wire.kind} of {wire.client_id} for {order.quantity}, confirmed were {confirmed.quantity}"
        return None

    def accepted(self, order: Resting) -> str | None:
        return over_quantity(self.history, self.exchange, order.client_id)


class Seen(Checker):
    id = "2"
    says = "The hash covers every field, and what the person saw is what was hashed and what is sent."

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, TicketDrafted) and digest(body.envelope) != body.envelope_hash:
            return f"{body.ticket_id} was drafted with a hash that is not its envelope's"
        if isinstance(body, TicketConfirmed):
            drafted = self.history.tickets[body.ticket_id].drafted
            if (body.envelope_hash, body.card_hash) != (drafted.envelope_hash, drafted.card_hash):
                return f"{body.ticket_id} was confirmed with other hashes than its card's"
        if isinstance(body, Submitting):
            drafted = self.history.tickets[body.ticket_id].drafted
            if body.envelope_hash != drafted.envelope_hash or digest(body.envelope) != drafted.envelope_hash:
                return f"{body.client_id} is submitted with another envelope than the card's"
            if body.quantity != drafted.envelope.quantity or body.limit != drafted.envelope.plan.start:
                return f"{body.client_id} is submitted with another quantity or start price than the card's"
        return None

    def wire(self, wire: Wire) -> str | None:
        if wire.order is None or wire.client_id not in self.history.intents:
            return None
        drafted = self.history.tickets[self.history.intents[wire.client_id].submitting.ticket_id].drafted
        if digest(wire.order.envelope) != drafted.envelope_hash:
            return f"{wire.kind} of {wire.client_id} carries another envelope than the card's"
        return None

    def replied(self, message: Message, reply: Reply, again: bool) -> str | None:
        for action in reply.actions:
            name, _, ticket = action.line.partition(" ")
            told = self.history.tickets.get(ticket) if name == "confirm" else None
            if told is None or reply.data.get("ticket") != ticket:
                continue  # several cards in one answer are compared by their parts elsewhere
            if digest(reply.blocks) != told.drafted.card_hash:
                return f"the card of {ticket} that was shown is not the one that was hashed"
        return None


class WriteAhead(Checker):
    id = "3"
    says = "Submitting or Replacing is durable before the first byte of it leaves, and no other way leads to the wire."

    def wire(self, wire: Wire) -> str | None:
        sent = self.history.intents.get(wire.client_id)
        if sent is None or sent.seq > wire.durable_seq or self.history.rows[sent.seq - 1].kind != "Submitting":
            return f"{wire.kind} of {wire.client_id} left before Submitting was durable"
        if wire.kind == "replace" and (sent.replacing is None or wire.order is None or sent.replacing.limit != wire.order.limit):
            return f"replace of {wire.client_id} left before Replacing was durable"
        return None  # a cancel takes risk away: it leaves even where it cannot be written down


class Identity(Checker):
    id = "4"
    says = "One intent has one client id for ever, and one client id is placed once."

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if not isinstance(body, Submitting):
            return None
        if body.client_id in self.history.intents:
            return f"the client id {body.client_id} was used twice"
        told = self.history.tickets.get(body.ticket_id)
        confirmed = None if told is None or told.confirmed is None else told.confirmed.body
        if isinstance(confirmed, TicketConfirmed) and confirmed.client_id != body.client_id:
            return f"{body.ticket_id} was confirmed as {confirmed.client_id} and submitted as {body.client_id}"
        return None

    def wire(self, wire: Wire) -> str | None:
        sent = self.history.intents.get(wire.client_id)
        if wire.kind == "submit" and sent is not None and any(other.kind == "submit" for other in sent.wires):
            return f"{wire.client_id} was placed twice"
        return None


class NoGuess(Checker):
    id = "5"
    says = "UNKNOWN is left only by what the broker said, and an order is declared absent only when it can no longer arrive."

    _WORDS: ClassVar[dict[str, set[str]]] = {"cancelled": {"cancelled"}, "rejected": {"rejected"}, "expired": {"expired"}}

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, OrderEnded):
            return self._ended(body, event.actor)
        sent = self.history.intents.get(getattr(body, "client_id", "") or "")
        if isinstance(body, OrderAcknowledged) and sent is not None and "working" not in sent.heard:
            return f"{body.client_id} is acknowledged, but the broker never said so"
        ours = isinstance(body, Filled) and body.fill.client_id in self.history.intents
        if isinstance(body, Filled) and ours and "filled" not in self.history.intents[body.fill.client_id].heard:
            return f"{body.fill.client_id} has a fill the broker never reported"
        return None

    def _ended(self, body: OrderEnded, actor: str) -> str | None:
        sent = self.history.intents.get(body.client_id)
        if sent is None:
            return f"{body.client_id} ended and was never submitted"
        if actor.startswith("person:"):
            return None if self.exchange.live(body.client_id) is None else f"{body.client_id} is written off while it works at the broker"
        if body.outcome != "denied":
            return None if self._WORDS[body.outcome] & sent.heard else f"{body.client_id} is {body.outcome}, but the broker never said so"
        places = [wire for wire in sent.wires if wire.kind == "submit"]
        if not places:
            return None
        if any(order.client_id == body.client_id for order in self.exchange.orders.values()):
            return f"{body.client_id} is declared absent, but the broker has it"
        if any(wire.epoch == self.exchange.epoch for wire in places):
            return f"{body.client_id} is declared absent while its request can still arrive"
        return None

    def wire(self, wire: Wire) -> str | None:
        sent = self.history.intents.get(wire.client_id)
        if wire.kind == "replace" and sent is not None and sent.unknown:
            return f"replace of {wire.client_id} while it is UNKNOWN"
        return None


class NoDuplicate(Checker):
    id = "6"
    says = "The broker never holds two live orders of one intent, nor more in all than was confirmed."

    def __init__(self, history: History, exchange: Exchange) -> None:
        super().__init__(history, exchange)
        self._confirmed = 0
        self._out = 0

    def before_event(self, event: Event) -> str | None:
        if isinstance(event.body, TicketConfirmed):
            self._confirmed += event.body.quantity
        return None

    def accepted(self, order: Resting) -> str | None:
        self._out += order.quantity
        if self._out > self._confirmed:
            return f"{self._out} units went out, {self._confirmed} were confirmed"
        if sum(other.client_id == order.client_id and other.live for other in self.exchange.orders.values()) > 1:
            return f"the broker holds two live orders of {order.client_id}"
        return over_quantity(self.history, self.exchange, order.client_id)


class Conservation(Checker):
    id = "7"
    says = "Positions and cash are the sum of the recorded facts, and at rest those of the broker."

    def __init__(self, history: History, exchange: Exchange) -> None:
        super().__init__(history, exchange)
        self.cash = ZERO
        self.held: dict[str, int] = {}
        self._fills: dict[str, Fill] = {}
        self._gone: set[str] = set()
        self._others: set[str] = set()
        self._changed = False

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, Filled):
            self._fill(body.fill)
        elif isinstance(body, CashMoved) and body.movement_id not in self._others:
            self._others.add(body.movement_id)
            self.cash += body.amount
        elif isinstance(body, Settled) and body.settlement_id not in self._others:
            self._others.add(body.settlement_id)
            self.cash += body.cash - body.fees
            self._hold(body.instrument.key, body.quantity)
            self._hold(body.share_symbol or "", body.shares)
        elif isinstance(body, Adjusted) and body.adjustment_id not in self._others:
            self._others.add(body.adjustment_id)
            self.cash += body.cash
            self._hold("" if body.instrument is None else body.instrument.key, body.quantity)
            self._hold(body.share_symbol or "", body.shares)
        else:
            return None
        self._changed = True
        return None

    def folded(self, desk: Desk) -> str | None:
        if not self._changed:
            return None
        self._changed = False
        book = desk.book(self.exchange.account)
        if book.cash != self.cash:
            return f"the book has {book.cash} in cash, the recorded facts add up to {self.cash}"
        held = {key: position.quantity for key, position in book.positions.items()}
        return None if held == self.held else f"the book holds {held}, the recorded facts add up to {self.held}"

    def _fill(self, fill: Fill) -> None:
        if fill.exec_id in self._fills:
            return
        self._fills[fill.exec_id] = fill
        if fill.corrects and fill.corrects not in self._gone:
            self._gone.add(fill.corrects)
            if fill.corrects in self._fills:
                self._count(self._fills[fill.corrects], -1)
        if fill.exec_id not in self._gone and not fill.busted:
            self._count(fill, 1)

    def _count(self, fill: Fill, sign: int) -> None:
        change = fill.quantity * (1 if fill.side is Side.BUY else -1) * sign
        self.cash -= fill.price * fill.instrument.multiplier * change + fill.fees * sign
        self._hold(fill.instrument.key, change)

    def _hold(self, key: str, change: int) -> None:
        if not key:
            return
        count = self.held.get(key, 0) + change
        if count:
            self.held[key] = count
        else:
            self.held.pop(key, None)


class FillAlgebra(Checker):
    id = "8"
    says = "The state is a function of the set of execution reports: any order and repetition gives the same."

    def ended(self, rows: Sequence[Row], live: tuple[int, str] | None, rng: Random) -> str | None:
        events = self.history.events
        slots = [number for number, event in enumerate(events) if isinstance(event.body, Filled)]
        if len(slots) < 2:
            return None
        first = {self._order_of(event): number for number, event in reversed(list(enumerate(events))) if isinstance(event.body, Submitting)}
        shuffled = list(events)
        order = slots[:]
        rng.shuffle(order)
        bodies = [events[number].body for number in order]
        bodies.sort(key=lambda body: first.get(self._fill_order(body), -1))  # nothing fills before it was submitted
        for number, body in zip(slots, self._placed(slots, bodies, first), strict=True):
            shuffled[number] = replace(events[number], body=body)
        repeated = [
            copy for event in shuffled for copy in ((event, event) if isinstance(event.body, Filled) and rng.random() < 0.3 else (event,))
        ]
        one, other = DeskFold(), DeskFold()
        for event in events:
            one.apply(event)
        for seq, event in enumerate(repeated, 1):
            other.apply(replace(event, seq=seq))
        return self._compare(one, other)

    def _placed(self, slots: list[int], bodies: list[object], first: dict[str, int]) -> Iterable[Filled]:
        """Each slot takes some fill whose order was submitted before it."""
        left = list(bodies)
        for number in slots:
            fits = next(body for body in reversed(left) if first.get(self._fill_order(body), -1) < number)
            left.remove(fits)
            assert isinstance(fits, Filled)
            yield fits

    def _compare(self, one: DeskFold, other: DeskFold) -> str | None:
        mine, theirs = (fold.books.accounts[self.exchange.account] for fold in (one, other))
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

    @staticmethod
    def _order_of(event: Event) -> str:
        return event.body.client_id if isinstance(event.body, Submitting) else ""

    @staticmethod
    def _fill_order(body: object) -> str:
        return (body.fill.client_id or "") if isinstance(body, Filled) else ""


class RiskReserved(Checker):
    id = "11"
    says = "No confirmation raises an exposure that is, or would be, over a limit; what is confirmed counts from that moment on."

    def __init__(self, history: History, exchange: Exchange, *, capital_fraction: Decimal, margin_fraction: Decimal) -> None:
        super().__init__(history, exchange)
        self._capital_fraction = capital_fraction
        self._margin_fraction = margin_fraction

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if not isinstance(body, Submitting):
            return None
        if any(leg.effect is Effect.CLOSE for leg in body.envelope.legs):
            return self._closing(body)
        return None if body.reducing else self._count(body) or self._capital(body) or self._exposure(body) or self._again(event, body)

    def _closing(self, body: Submitting) -> str | None:
        """A close may not lay a short open by more than a trade may risk, whatever else that is being closed fills or not."""
        closing = [sent for sent in self._live() if any(leg.effect is Effect.CLOSE for leg in sent.submitting.envelope.legs)][:4]
        most = self._worth() * self._capital_fraction * Decimal("1.01")
        own = Sent(submitting=body, seq=0)
        for size in range(len(closing) + 1):
            for others in combinations(closing, size):
                before, after = (worst_at_expiry(self._worst_case(filled), floor=self._floor()) for filled in (others, (*others, own)))
                if after - before > most:
                    return f"{body.client_id} closes, and raises the worst case from {before} to {after}"
        return None

    def _count(self, body: Submitting) -> str | None:
        trades = {key for key, held in self.history.trades.items() if any(held.values())} | {
            sent.submitting.trade_id for sent in self._live() if any(leg.effect is Effect.OPEN for leg in sent.submitting.envelope.legs)
        }
        if body.trade_id not in trades and len(trades) >= self.history.most_positions:
            return f"{body.client_id} opens trade {len(trades) + 1}, over {self.history.most_positions}"
        return None

    def _capital(self, body: Submitting) -> str | None:
        worth, loss = self._worth(), min(self._loss(body.envelope), self._more(body.envelope))
        if loss > worth * self._capital_fraction * Decimal("1.01"):
            return f"{body.client_id} ties up {loss}, over {self._capital_fraction} of {worth}"
        return None

    def _exposure(self, body: Submitting) -> str | None:
        worst = worst_at_expiry(self._worst_case((Sent(submitting=body, seq=0),)), floor=self._floor())
        most = self._worth() * self._margin_fraction * Decimal("1.01")
        return f"{body.client_id} makes the worst case {worst}, over {most}" if worst > most else None

    def _worst_case(self, more: Sequence[Sent]) -> list[tuple[Option, int]]:
        """Holdings, what must have been traded with the legs reported so far, live openings as if filled, and `more` as if filled."""
        held = dict(self.history.held)
        changes = [change for sent in self.history.intents.values() for change in sent.unreported()]
        live = self._live()
        for sent in (*live, *(one for one in more if not any(one is sent for sent in live))):
            for leg in sent.submitting.envelope.legs:
                if isinstance(leg.instrument, Option) and (leg.effect is Effect.OPEN or any(sent is one for one in more)):
                    left = sent.submitting.quantity - sent.units
                    changes.append((leg.instrument, leg.contracts(left) if left else 0))
        for instrument, change in changes:
            held[instrument.key] = (instrument, held.get(instrument.key, (instrument, 0))[1] + change)
        return list(held.values())

    def _floor(self) -> Decimal:
        """A crash of a fifth: where an uncovered put is judged, as the desk's own rules do."""
        return Decimal(str(round(self.exchange.market.spot() * 0.8, 2)))

    def _again(self, event: Event, body: Submitting) -> str | None:
        drafted = self.history.tickets[body.ticket_id].drafted
        for other in reversed(self.history.intents.values()):
            told = self.history.tickets[other.submitting.ticket_id]
            if told.confirmed is None or not timedelta(0) <= event.at - told.confirmed.at:
                continue
            if event.at - told.confirmed.at > DUPLICATE:
                break
            if other.ended in ("denied", "rejected") and not other.filled:
                continue  # what came to nothing is no reason to fear a second one
            if (
                same_legs(other.submitting.envelope, body.envelope)
                and other.submitting.quantity == body.quantity
                and not drafted.second_order
            ):
                return f"{body.client_id} repeats {other.submitting.client_id} of {event.at - told.confirmed.at} ago"
        return None

    def _live(self) -> list[Sent]:
        return [
            sent
            for sent in self.history.intents.values()
            if sent.ended is None
            and any(sent.filled.get(leg.instrument.key, 0) < sent.submitting.quantity * leg.ratio for leg in sent.submitting.envelope.legs)
        ]

    def _loss(self, envelope: Envelope) -> Decimal:
        """What an opening order could lose at expiry at its worst price."""
        legs = [(leg.instrument, leg.contracts(envelope.quantity)) for leg in envelope.legs]
        return worst_at_expiry(legs) - envelope.plan.worst * 100 * envelope.quantity

    def _more(self, envelope: Envelope) -> Decimal:
        """By how much it raises what the holdings could lose: long ones held already may cover it."""
        held = dict(self.history.held)
        for leg in envelope.legs:
            if isinstance(leg.instrument, Option):
                count = held.get(leg.instrument.key, (leg.instrument, 0))[1]
                held[leg.instrument.key] = (leg.instrument, count + leg.contracts(envelope.quantity))
        return worst_at_expiry(held.values()) - worst_at_expiry(self.history.held.values())

    def _worth(self) -> Decimal:
        prices = self.exchange.market.prices()
        return self.exchange.cash + sum(
            (Decimal(str(sum(prices[key]) / 2)) * 100 * count for key, (_, count) in self.exchange.held.items() if key in prices), ZERO
        )


class Halted(Checker):
    id = "13"
    says = "After HALT nothing leaves but cancels and confirmed orders that reduce what is held."

    def wire(self, wire: Wire) -> str | None:
        if wire.kind == "cancel" or wire.order is None:
            return None
        keys = {leg.instrument.key for leg in wire.order.envelope.legs}
        in_force = [
            halt
            for halt in self.history.halts.values()
            if halt.scope.kind is ScopeKind.DESK
            or (halt.scope.kind is ScopeKind.ACCOUNT and halt.scope.name == str(self.exchange.account))
            or (halt.scope.kind is ScopeKind.INSTRUMENT and halt.scope.name in keys)
        ]
        if not in_force and self.history.halt_file is None:
            return None
        if self._reduces(wire):
            return None
        why = in_force[0].reason if in_force else f"HALT file: {self.history.halt_file}"
        return f"{wire.kind} of {wire.client_id} left after HALT ({why})"

    def _reduces(self, wire: Wire) -> bool:
        """What is left of it only takes off what is known to be held, and the worst that can come of the rest is no worse."""
        assert wire.order is not None
        sent = self.history.intents.get(wire.client_id)
        left = wire.order.quantity - (sent.units if sent is not None else 0)
        held = dict(self.history.held)
        for leg in wire.order.envelope.legs:
            instrument, count = held.get(leg.instrument.key, (leg.instrument, 0))
            change = leg.contracts(left)
            if leg.effect is not Effect.CLOSE or count * change > 0 or abs(change) > abs(count):
                return False
            if isinstance(instrument, Option):
                held[leg.instrument.key] = (instrument, count + change)
        return worst_at_expiry(held.values()) <= worst_at_expiry(self.history.held.values())


class Reconciled14(Checker):
    id = "14"
    says = "Nothing is placed before the broker's complete books were compared in this very connection."

    def wire(self, wire: Wire) -> str | None:
        if wire.kind == "cancel":
            return None
        last = self.history.reconciled
        if last is None or not last.complete or last.epoch != wire.epoch:
            return f"{wire.kind} of {wire.client_id} left without a complete reconciliation in epoch {wire.epoch}"
        return None


class SaidDurable(Checker):
    id = "15"
    says = "What a message claims, it cites, and what it cites is durable before it leaves."

    _CLAIMS: ClassVar[dict[str, tuple[type, ...]]] = {
        "confirm": (TicketConfirmed, TicketDrafted),
        "drop": (TicketClosed,),
        "note": (NoteWritten,),
        "halt": (ModeSet,),
        "kill": (ModeSet,),
        "pause": (ModeSet,),
    }

    def replied(self, message: Message, reply: Reply, again: bool) -> str | None:
        missing = [seq for seq in reply.cites if not 1 <= seq <= len(self.history.rows)]
        if missing:
            return f"the answer to {message.content!r:.40} cites {missing}, which is not in the log"
        kinds = {type(self.history.events[seq - 1].body) for seq in reply.cites}
        wanted = self._CLAIMS.get(message.word)
        if message.word in ("halt", "kill") and self.history.halt_file is not None:
            return None  # the log could not be written: the file is what halts
        if reply.ok and wanted is not None and not kinds & set(wanted):
            return f"the answer to {message.content!r:.40} cites nothing of what it claims"
        if reply.data.get("filled") and Filled not in kinds:
            return f"the answer to {message.content!r:.40} claims a fill and cites none"
        return None


class Log(Checker):
    id = "16"
    says = "The log is gapless, chained and append-only, and replaying it gives the live state."

    def before_event(self, event: Event) -> str | None:
        rows = self.history.rows
        last = rows[-1]  # the row of this event, already taken over
        prev = rows[-2].hash if len(rows) > 1 else GENESIS
        if event.seq != len(rows) or last.seq != event.seq:
            return f"event {event.seq} follows {len(rows) - 1}"
        if last.hash != row_hash(prev, last) or event.hash != last.hash:
            return f"the hash of event {event.seq} does not follow from the one before"
        return None

    def ended(self, rows: Sequence[Row], live: tuple[int, str] | None, rng: Random) -> str | None:
        known = self.history.rows
        if len(rows) != len(known) or any(row.hash != own.hash for row, own in zip(rows, known, strict=False)):
            return f"the disk holds {len(rows)} events, {len(known)} were durable"
        if live is None:
            return None
        fold, seq = DeskFold(), live[0]
        for row in rows[:seq]:
            fold.apply(decode(row))
        return None if fold.digest() == live[1] else f"replaying {seq} events gives another state than the live one"


class OnceIn(Checker):
    id = "17"
    says = "A message has at most one effect, however often it is delivered, and the same answer."

    _EFFECTS = (TicketConfirmed, NoteWritten)

    def __init__(self, history: History, exchange: Exchange) -> None:
        super().__init__(history, exchange)
        self._effects: set[tuple[str, str]] = set()
        self._notes: set[str] = set()
        self._drafts: dict[str, int] = {}

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, TicketDrafted):
            return self._drafted(event.causation)
        if not isinstance(body, self._EFFECTS):
            return None
        key = (event.causation, event.kind)
        twice = key in self._effects or (isinstance(body, NoteWritten) and body.text in self._notes)
        self._effects.add(key)
        if isinstance(body, NoteWritten):
            self._notes.add(body.text)
        return f"the message {event.causation} had its effect twice ({event.kind})" if twice else None

    def _drafted(self, message_id: str) -> str | None:
        """One card a message; only `close scope=all` draws one for each position."""
        self._drafts[message_id] = self._drafts.get(message_id, 0) + 1
        message = self.history.messages.get(message_id)
        if message is None or "scope=all" in message.content or message.press:
            return None
        return f"the message {message_id} drew {self._drafts[message_id]} cards" if self._drafts[message_id] > 1 else None

    def replied(self, message: Message, reply: Reply, again: bool) -> str | None:
        if again and message.answers[-1][1].blocks != reply.blocks:
            return f"the message {message.id} was answered differently the second time"
        return None


def over_quantity(history: History, exchange: Exchange, client_id: str) -> str | None:
    """Filled and working at the broker under one intent, against what was confirmed."""
    sent = history.intents.get(client_id)
    out = sum(order.quantity if order.live else order.filled for order in exchange.orders.values() if order.client_id == client_id)
    most = 0 if sent is None else sent.submitting.quantity
    return f"{out} units of {client_id} are filled or working, {most} were confirmed" if out > most else None


def same_legs(one: Envelope, other: Envelope) -> bool:
    """Whether two envelopes trade the same contracts in the same way."""

    def plain(envelope: Envelope) -> set[tuple[str, str, int, str]]:
        return {(leg.instrument.key, leg.side.value, leg.ratio, leg.effect.value) for leg in envelope.legs}

    return one.account == other.account and plain(one) == plain(other)


class Monitor:
    """All checkers, and what they found. `note` is called for each violation."""

    def __init__(self, exchange: Exchange, *, most_positions: int, capital_fraction: Decimal, margin_fraction: Decimal) -> None:
        self.history = History()
        self.history.most_positions = most_positions
        self.violations: list[Violation] = []
        self.steps = 0
        self._exchange = exchange
        made: list[Checker] = [
            kind(self.history, exchange)
            for kind in (
                Confirmed,
                Seen,
                WriteAhead,
                Identity,
                NoGuess,
                NoDuplicate,
                Conservation,
                FillAlgebra,
                Halted,
                Reconciled14,
                SaidDurable,
                Log,
                OnceIn,
            )
        ]
        made.append(RiskReserved(self.history, exchange, capital_fraction=capital_fraction, margin_fraction=margin_fraction))
        self.checkers = tuple(made)

    def find(self, invariant: str, text: str | None) -> None:
        """Note a violation."""
        if text is not None:
            self.violations.append(Violation(invariant=invariant, text=text, step=self.steps, second=self._exchange.loop.time()))

    def durable(self, rows: Sequence[Row], events: Sequence[Event]) -> None:
        """Rows reached the disk."""
        by_seq = {event.seq: event for event in events}
        for row in rows[len(self.history.rows) :]:
            event = by_seq.get(row.seq) or decode(row)
            self.history.rows.append(row)
            for checker in self.checkers:
                self.find(checker.id, checker.before_event(event))
            self.history.events.append(event)
            self.history.add(event)

    def wire(self, wire: Wire) -> None:
        for checker in self.checkers:
            self.find(checker.id, checker.wire(wire))
        sent = self.history.intents.get(wire.client_id)
        if sent is not None:
            sent.wires.append(wire)

    def accepted(self, order: Resting) -> None:
        for checker in self.checkers:
            self.find(checker.id, checker.accepted(order))

    def executed(self, order: Resting, units: int) -> None:
        self.find("6", over_quantity(self.history, self._exchange, order.client_id))

    def heard(self, client_id: str, word: str) -> None:
        sent = self.history.intents.get(client_id)
        if sent is not None:
            sent.heard.add(word)

    def folded(self, desk: Desk) -> None:
        for checker in self.checkers:
            self.find(checker.id, checker.folded(desk))

    def replied(self, message: Message, reply: Reply, conversation: int) -> None:
        again = bool(message.answers) and message.answers[-1][0] == conversation
        for checker in self.checkers:
            self.find(checker.id, checker.replied(message, reply, again))

    def ended(self, rows: Sequence[Row], live: tuple[int, str] | None, rng: Random) -> None:
        for checker in self.checkers:
            self.find(checker.id, checker.ended(rows, live, rng))


__all__ = ["CHATS", "Checker", "History", "Monitor", "Right", "Violation"]
