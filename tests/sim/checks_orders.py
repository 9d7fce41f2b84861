"""Invariants of the order path: confirmation, write-ahead, identity, evidence, quantities, states."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from core.domain.encoding import digest
from core.domain.events import (
    Armed,
    CancelRequested,
    Event,
    Filled,
    OrderAcknowledged,
    OrderEnded,
    OrderUnknown,
    Submitting,
    TicketConfirmed,
    TicketDrafted,
)
from core.domain.orders import Envelope, OrderState
from core.ports import BrokerStatus
from core.reply import Reply
from tests.sim.chat import AUTHORISED, Message
from tests.sim.checker import Checker
from tests.sim.exchange import Exchange, Resting, Wire
from tests.sim.history import Sent, Told

if TYPE_CHECKING:
    from core.desk import Desk


class Confirmed(Checker):
    id = "1"
    says = "Every wire lies inside exactly one live envelope that an authorised person confirmed in time from a card shown to them."

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, Submitting | Armed):
            told = self.history.tickets.get(body.ticket_id)
            name = body.client_id if isinstance(body, Submitting) else body.standing_id
            return f"{name} stands without a confirmation" if told is None or told.confirmed is None else None
        if not isinstance(body, TicketConfirmed):
            return None
        told = self.history.tickets.get(body.ticket_id)
        if told is None:
            return f"{body.ticket_id} was confirmed and never drafted"
        pressed = body.mandate is None  # else its mandate is looked at where the mandates are
        wrong = [
            (told.confirmed is not None, "was confirmed twice"),
            (told.closed is not None, "was confirmed after it was closed"),
            (not told.drafted.allowed, "was confirmed although the rules blocked its card"),
            (event.at >= told.drafted.envelope.expires_at, "was confirmed after it expired"),
            (event.at < told.drafted_at.at, "was confirmed before it was drafted (the clock went back)"),
            (told.policy != self.history.policy, "was confirmed although a setting changed or something was halted since its card"),
            (pressed and not (body.chat in told.chats or body.person == "owner"), "was confirmed from a chat that never saw it"),
            (body.person not in AUTHORISED, f"was confirmed by {body.person}"),
            (body.quantity > told.drafted.envelope.quantity, "was confirmed for more than its card says"),
        ]
        return next((f"{body.ticket_id} {words}" for bad, words in wrong if bad), None) or (self._pressed(event, body) if pressed else None)

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
        told, order, name = self.history.tickets[sent.submitting.ticket_id], wire.order, f"{wire.kind} of {wire.client_id}"
        confirmed = None if told.confirmed is None else told.confirmed.body
        if not isinstance(confirmed, TicketConfirmed) or order.ticket_id != confirmed.ticket_id:
            return f"{name} belongs to no confirmation"
        if sent.ended is not None:
            return f"{name} after it ended as {sent.ended}"
        if order.quantity > confirmed.quantity:
            return f"{name} for {order.quantity}, confirmed were {confirmed.quantity}"
        plan = sent.submitting.envelope.plan
        if not plan.worst <= order.limit <= plan.start:
            return f"{name} at {order.limit}, outside {plan.start} to {plan.worst}"
        return self._direct(wire, sent, told, confirmed) if sent.submitting.standing_id is None else None

    def _direct(self, wire: Wire, sent: Sent, told: Told, confirmed: TicketConfirmed) -> str | None:
        """An order that is no part and no exit of anything else is the very one of its ticket."""
        if confirmed.client_id != wire.client_id or sent.submitting.envelope != told.drafted.envelope:
            return f"{wire.kind} of {wire.client_id} is not the order that {confirmed.ticket_id} was confirmed as"
        return None


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
        if isinstance(body, Submitting) and body.standing_id is None and body.ticket_id in self.history.tickets:
            drafted = self.history.tickets[body.ticket_id].drafted
            if body.envelope_hash != drafted.envelope_hash or body.envelope != drafted.envelope:
                return f"{body.client_id} is submitted with another envelope than the card's"
            if body.quantity != drafted.envelope.quantity or body.limit != drafted.envelope.plan.start:
                return f"{body.client_id} is submitted with another quantity or start price than the card's"
        return None

    def wire(self, wire: Wire) -> str | None:
        sent = self.history.intents.get(wire.client_id)
        if wire.order is None or sent is None:
            return None
        if wire.order.envelope != sent.submitting.envelope or wire.order.envelope_hash != sent.submitting.envelope_hash:
            return f"{wire.kind} of {wire.client_id} carries another envelope than was written down"
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
        if isinstance(confirmed, TicketConfirmed) and body.standing_id is None and confirmed.client_id != body.client_id:
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

    _WORDS: ClassVar[dict[str, set[str]]] = {
        "cancelled": {"cancelled"}, "rejected": {"rejected"}, "expired": {"expired"}, "filled": {"filled"},
    }  # fmt: skip

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, OrderEnded):
            return self._ended(body, event.actor)
        sent = self.history.intents.get(getattr(body, "client_id", "") or "")
        if isinstance(body, OrderAcknowledged) and sent is not None and not {"working", "held"} & sent.heard:
            return f"{body.client_id} is acknowledged, but the broker never said so"
        ours = self.history.intents.get(body.fill.client_id or "") if isinstance(body, Filled) else None
        if ours is not None and "filled" not in ours.heard:
            return f"{ours.submitting.client_id} has a fill the broker never reported"
        return None

    def _ended(self, body: OrderEnded, actor: str) -> str | None:
        sent = self.history.intents.get(body.client_id)
        if sent is None:
            return f"{body.client_id} ended and was never submitted"
        exchange = self.history.exchanges[sent.submitting.account]
        if actor.startswith("person:"):
            return None if exchange.live(body.client_id) is None else f"{body.client_id} is written off while it works at the broker"
        orders = [order for order in exchange.orders.values() if order.client_id == body.client_id]
        if body.outcome == "cancelled" and "filled" in sent.heard and any(order.status is BrokerStatus.FILLED for order in orders):
            return None  # done at the broker, and a correction took some of it back
        if body.outcome != "denied":
            return None if self._WORDS[body.outcome] & sent.heard else f"{body.client_id} is {body.outcome}, but the broker never said so"
        places = [wire for wire in sent.wires if wire.kind == "submit"]
        if not places:
            return None
        if orders:
            return f"{body.client_id} is declared absent, but the broker has it"
        if any(wire.epoch == exchange.epoch for wire in places):
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

    def accepted(self, exchange: Exchange, order: Resting) -> str | None:
        if order.client_id is None:
            return None
        if sum(other.client_id == order.client_id and other.live for other in exchange.orders.values()) > 1:
            return f"the broker holds two live orders of {order.client_id}"
        return self._over(exchange, order)

    def executed(self, exchange: Exchange, order: Resting) -> str | None:
        return self._over(exchange, order)

    def _over(self, exchange: Exchange, order: Resting) -> str | None:
        """Filled and working at the broker under one confirmation, against what was confirmed. What the broker itself did beyond what it
        was asked counts against nobody."""
        sent = self.history.intents.get(order.client_id or "")
        if order.client_id is None:
            return None
        if sent is None:
            return f"{order.client_id} works at the broker and was never submitted"
        own = {order.client_id}
        if sent.submitting.standing_id is not None:
            own = {name for name, other in self.history.intents.items() if other.submitting.standing_id == sent.submitting.standing_id}
        parts = [other for other in exchange.orders.values() if other.client_id in own]
        out = sum(part.quantity if part.live or part.over else part.begun - part.late for part in parts)
        told = self.history.tickets[sent.submitting.ticket_id]
        most = told.drafted.envelope.quantity
        return f"{out} units of {order.client_id} are filled or working, {most} were confirmed" if out > most else None


class States(Checker):
    id = "10"
    says = "An order changes its state only as its facts say; filled falls by a correction only; after the end only executions count."

    def __init__(self, history: object) -> None:
        super().__init__(history)  # type: ignore[arg-type]
        self._last: dict[str, tuple[OrderState, int]] = {}
        self._unseen: dict[str, list[int]] = {}  # events of an order since it was looked at

    def before_event(self, event: Event) -> str | None:
        name = _order_name(event)
        if name in self.history.intents:
            self._unseen.setdefault(name, []).append(event.seq)
        return None

    def folded(self, desk: Desk, event: Event) -> str | None:
        name = _order_name(event)
        sent = self.history.intents.get(name)
        if sent is None or isinstance(event.body, TicketConfirmed):
            return None
        order = desk.book(sent.submitting.account).orders[name]
        expected, units = _state(sent), sent.units
        if order.state is not expected or order.filled != units:
            return f"{name} is {order.state.value} with {order.filled} filled; its facts say {expected.value} with {units}"
        before, self._last[name] = self._last.get(name), (expected, units)
        between = [seq for seq in self._unseen.pop(name, []) if seq < event.seq]  # of one write with others: only the last is looked at
        if before is None or between or before == (expected, units):
            return None
        return self._moved(event, name, before, (expected, units))

    def _moved(self, event: Event, name: str, before: tuple[OrderState, int], after: tuple[OrderState, int]) -> str | None:
        body = event.body
        corrects = isinstance(body, Filled) and body.fill.corrects is not None
        books = isinstance(body, OrderAcknowledged) and body.from_books
        if after[1] < before[1] and not corrects:
            return f"{name} had {before[1]} filled and has {after[1]} after {event.kind}"
        if before[0].terminal and before[0] is not after[0] and not (isinstance(body, Filled) or books):
            return f"{name} had ended as {before[0].value} and is {after[0].value} after {event.kind}"
        if after[0] is OrderState.UNKNOWN and not isinstance(body, OrderUnknown | Filled):
            return f"{name} is UNKNOWN after {event.kind}"
        if after[0] is OrderState.PENDING_CANCEL and not isinstance(body, CancelRequested | OrderAcknowledged | Filled):
            return f"{name} waits for a cancel after {event.kind}"
        return None


def _order_name(event: Event) -> str:
    body = event.body
    return (body.fill.client_id if isinstance(body, Filled) else getattr(body, "client_id", None)) or ""


def _state(sent: Sent) -> OrderState:
    """The state that an order's facts make, by the words of the specification."""
    if sent.units >= sent.submitting.quantity:
        return OrderState.FILLED
    if sent.ended is not None:
        return OrderState(sent.ended)
    if sent.unknown:
        return OrderState.UNKNOWN
    if sent.cancel_asked:
        return OrderState.PENDING_CANCEL
    if any(sent.contracts(leg) for leg in sent.legs):
        return OrderState.PARTIALLY_FILLED
    return OrderState.WORKING if sent.ref else OrderState.SUBMITTING


def same_legs(one: Envelope, other: Envelope) -> bool:
    """Whether two envelopes trade the same contracts in the same way."""

    def plain(envelope: Envelope) -> set[tuple[str, str, int, str]]:
        return {(leg.instrument.key, leg.side.value, leg.ratio, leg.effect.value) for leg in envelope.legs}

    return one.account == other.account and plain(one) == plain(other)
