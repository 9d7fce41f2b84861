"""Invariants of the desk as a whole: what it says, what it keeps, who may write, and what never leaves."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from core.announce import announce
from core.command import Call
from core.domain.accounts import AccountKind
from core.domain.events import (
    Event,
    Filled,
    Mode,
    ModeSet,
    NoteWritten,
    OrderUnknown,
    Settled,
    Submitting,
    TicketClosed,
    TicketConfirmed,
    TicketDrafted,
    TicketShown,
)
from core.domain.instruments import Option
from core.domain.orders import Effect
from core.fold import DeskFold
from core.orders.states import Outcome
from core.reply import Reply
from core.store.codec import GENESIS, Row, row_hash
from tests.sim.chat import Message
from tests.sim.checker import Checker
from tests.sim.exchange import Wire
from tests.sim.faults import CANARY
from tests.sim.feed import FakeProvider
from tests.sim.history import History
from tests.sim.machines import GHOSTS
from tests.sim.worth import uncovered

if TYPE_CHECKING:
    from core.desk import Desk



class Machines(Checker):
    id = "12"
    says = "What no person asked for adds only answers and cards, whatever it calls with whatever arguments."

    _MAY = (TicketDrafted, TicketShown, TicketClosed, NoteWritten)
    _ACTORS = frozenset({"model", *(f"person:{name}" for name in GHOSTS.values())})

    def before_event(self, event: Event) -> str | None:
        body = event.body
        machine = event.actor in self._ACTORS or event.causation.startswith("x")
        if machine and not isinstance(body, self._MAY):
            return f"{event.actor} brought about {event.kind}"
        if machine and isinstance(body, TicketClosed) and body.outcome != "replaced":
            return f"{event.actor} closed {body.ticket_id} ({body.outcome})"
        return None

    def machine_answered(self, call: Call, reply: Reply) -> str | None:
        done = [seq for seq in reply.cites if not isinstance(self.history.events[seq - 1].body, self._MAY)]
        return f"a {call.caller.via.value}'s {call.command} cites {self.history.events[done[0] - 1].kind}" if done else None


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

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._replayed = DeskFold()  # from the first event on, in pace with the lives of the desk

    def before_event(self, event: Event) -> str | None:
        rows = self.history.rows
        last = rows[-1]  # the row of this event, already taken over
        prev = rows[-2].hash if len(rows) > 1 else GENESIS
        if event.seq != len(rows) or last.seq != event.seq:
            return f"event {event.seq} follows {len(rows) - 1}"
        if last.hash != row_hash(prev, last) or event.hash != last.hash:
            return f"the hash of event {event.seq} does not follow from the one before"
        return None

    def ended(self, rows: Sequence[Row], fold: DeskFold | None) -> str | None:
        known = self.history.rows
        if len(rows) != len(known) or any(row.hash != own.hash for row, own in zip(rows, known, strict=False)):
            return f"the disk holds {len(rows)} events, {len(known)} were durable"
        if fold is None or fold.seq < self._replayed.seq:
            return None
        for event in self.history.events[self._replayed.seq : fold.seq]:
            self._replayed.apply(event)
        same = _same(fold, self._replayed) or fold.digest() == self._replayed.digest()
        return None if same else f"replaying {fold.seq} events gives another state than the live one"

    def at_rest(self, desk: Desk) -> str | None:
        """Once more in full, by the digest: also through a snapshot of the state."""
        whole = DeskFold()
        for event in self.history.events:
            whole.apply(event)
        saving = whole.begin_saving()
        saving.pack()
        if not desk.fold.digest() == whole.digest() == DeskFold.load(saving.state, saving.parts).digest():
            return "replaying the whole log, or a snapshot of it, gives another state than the live one"
        return None


def _same(one: DeskFold, other: DeskFold) -> bool:
    """Whether two states are equal field by field: quicker than their digests, which have the last word."""
    return one._desk == other._desk and one._books._accounts == other._books._accounts


class OnceIn(Checker):
    id = "17"
    says = "A message has at most one effect, however often it is delivered, and the same answer."

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._effects: set[tuple[str, str]] = set()
        self._notes: set[str] = set()
        self._drafts: dict[str, list[int]] = {}  # message -> the lives in which it drew a card

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, TicketDrafted):
            return self._drafted(event.causation)
        if not isinstance(body, TicketConfirmed | NoteWritten) or event.causation.startswith("x"):
            return None
        if isinstance(body, TicketConfirmed) and body.mandate is not None:
            return None  # no message brought it about
        key = (event.causation, event.kind)
        twice = key in self._effects or (isinstance(body, NoteWritten) and body.text in self._notes)
        self._effects.add(key)
        if isinstance(body, NoteWritten):
            self._notes.add(body.text)
        return f"the message {event.causation} had its effect twice ({event.kind})" if twice else None

    def _drafted(self, message_id: str) -> str | None:
        """One card a message; only closing everything draws one for each position.

        A full disk cannot keep the receipt of a message: then it may draw another card after a restart, which harms nobody.
        """
        boots = self._drafts.setdefault(message_id, [])
        boots.append(self.history.boot)
        message = self.history.messages.get(message_id)
        if message is None or "scope=all" in message.content or "flatten" in message.content or message.press:
            return None
        known = self.history.inbox.get(message_id, self.history.boot) < self.history.boot or boots.count(self.history.boot) > 1
        return f"the message {message_id} drew {len(boots)} cards" if len(boots) > 1 and known else None

    def replied(self, message: Message, reply: Reply, again: bool) -> str | None:
        if again and message.answers[-1][1].blocks != reply.blocks:
            return f"the message {message.id} was answered differently the second time"
        return None


class Announced(Checker):
    id = "18"
    says = "What a person must hear of without asking becomes news that cites it: fills, unknown orders, overfills, halts, settlements."

    def announced(self, desk: Desk, event: Event, outcomes: Any) -> str | None:
        if not self._must(event, outcomes):
            return None
        news = announce(event, outcomes, desk.books)
        if news is None or event.seq not in news.cites or not news.blocks:
            return f"nobody is told of {event.kind} {event.seq}"
        return None

    def _must(self, event: Event, outcomes: Sequence[Outcome]) -> bool:
        body = event.body
        if isinstance(body, Filled):
            return bool(outcomes) and (Outcome.OVERFILL in outcomes or Outcome.FILLED in outcomes)
        if isinstance(body, OrderUnknown):
            return Outcome.UNKNOWN in outcomes
        return isinstance(body, Settled) or (isinstance(body, ModeSet) and body.mode is Mode.HALT)


class Freshness(Checker):
    id = "19"
    says = "No card that can be pressed and no press rests on a stale, missing or insane quote."

    KEPT_SECONDS = 5.0  # the desk may use a chain again for a few seconds of its clock

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self.feed: FakeProvider | None = None

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, TicketDrafted) and body.allowed and any(leg.effect is Effect.OPEN for leg in body.envelope.legs):
            return self._sound(event.causation, body)
        if isinstance(body, Submitting) and not body.reducing and body.ticket_id in self.history.tickets:
            told = self.history.tickets[body.ticket_id]
            return self._sound("" if told.confirmed is None else told.confirmed.causation, told.drafted)
        return None  # what only takes risk off may be closed whatever the quotes are: nobody is trapped

    def _sound(self, message_id: str, drafted: TicketDrafted) -> str | None:
        message = self.history.messages.get(message_id)
        if message is None or message.delivered_at is None or self.feed is None:
            return None
        since = message.delivered_at - self.KEPT_SECONDS
        since -= sum(by for second, by in self.history.put_back if second >= since)
        for leg in drafted.envelope.legs:
            if not self.feed.gave_sound(leg.instrument, since=since):
                return f"{drafted.ticket_id} rests on no sound quote of {leg.instrument.key}"
        return None


class Money(Checker):
    id = "20"
    says = "No binary float in an amount of the log, and every price that leaves is on its tick."

    _OPINIONS = frozenset({"short_delta", "short_deltas", "net_liquidation"})

    def before_event(self, event: Event) -> str | None:
        body = self.history.rows[-1].body
        if "." not in body:
            return None
        wrong = _floats(json.loads(body), self._OPINIONS)
        return f"{event.kind} {event.seq} holds the float {wrong}" if wrong else None

    def wire(self, wire: Wire) -> str | None:
        if wire.order is None:
            return None
        limit = wire.order.limit
        whole = limit == limit.quantize(Decimal("0.01"))
        if len(wire.order.envelope.legs) == 1 and _nickel(wire.order.envelope.legs[0].instrument, limit):
            whole = limit % Decimal("0.05") == 0
        return None if whole else f"{wire.kind} of {wire.client_id} at {limit}, which is on no tick"


def _nickel(instrument: object, limit: Decimal) -> bool:
    """A stock's option trades in steps of five cents from three dollars on; an index here in cents."""
    return isinstance(instrument, Option) and instrument.root == "KO" and abs(limit) >= 3


def _floats(value: Any, allowed: frozenset[str], name: str = "") -> str:
    if isinstance(value, float):
        return f"{name}={value}"
    items: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else ((name, item) for item in value)
    return next((found for key, item in items if key not in allowed and (found := _floats(item, allowed, key))), "")


class Contracts(Checker):
    id = "21"
    says = "Every leg that leaves is a listed contract, with the terms of its listing, that still trades; no cash account sells it bare."

    def wire(self, wire: Wire) -> str | None:
        if wire.kind == "cancel" or wire.order is None:
            return None
        exchange = self.history.exchanges[wire.account]
        for leg in wire.order.envelope.legs:
            item = leg.instrument
            if isinstance(item, Option) and exchange.market.contracts.get(item.key) != item:
                return f"{wire.kind} of {wire.client_id} trades {item.key}, which is not listed with these terms"
            if wire.kind == "submit" and isinstance(item, Option) and wire.at >= item.last_trade_at:
                return f"{wire.kind} of {wire.client_id} trades {item.key}, which has expired"
        return None

    def folded(self, desk: Desk, event: Event) -> str | None:
        body = event.body
        if not isinstance(body, Submitting):
            return None
        book = desk.book(body.account)
        if book.account.kind not in (AccountKind.CASH, AccountKind.IRA) or body.envelope.strategy == "cash_secured_put":
            return None
        opening = [(leg.instrument, leg.contracts(body.quantity)) for leg in body.envelope.legs if leg.effect is Effect.OPEN]
        bare = uncovered(opening)
        # A short put may be secured by cash, a short call by shares: what is sold alone is judged by the desk as such.
        return f"{body.client_id} sells {bare} uncovered in a {book.account.kind.value} account" if bare and len(opening) > 1 else None


class OneWriter(Checker):
    id = "23"
    says = "Whoever lost the lease commits and sends nothing more."

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self.boot = 0  # which life took the lease last

    def appended(self, boot: int) -> str | None:
        """A life of the desk made something durable."""
        return f"life {boot} wrote to the log, which life {self.boot} owns" if boot < self.boot else None

    def wire(self, wire: Wire) -> str | None:
        return f"life {wire.boot} sent a {wire.kind} although life {self.boot} owns the desk" if wire.boot < self.boot else None


class Separation(Checker):
    id = "24"
    says = "An order reaches the very account, and environment, that its card names."

    def wire(self, wire: Wire) -> str | None:
        if wire.order is None or wire.order.envelope.account == wire.order.account == wire.account:
            return None
        return f"{wire.kind} of {wire.client_id}, confirmed for {wire.order.envelope.account}, went to {wire.account}"


class Secrets(Checker):
    id = "25"
    says = "A secret the desk knows stands in no event, no answer, no record and no table."

    def before_event(self, event: Event) -> str | None:
        row = self.history.rows[-1]
        return f"{event.kind} {event.seq} holds a secret" if CANARY in row.body or CANARY in f"{row.actor}{row.causation}" else None

    def replied(self, message: Message, reply: Reply, again: bool) -> str | None:
        return f"the answer to {message.content!r:.40} holds a secret" if CANARY in repr(reply) else None

    def machine_answered(self, call: Call, reply: Reply) -> str | None:
        return f"the answer to a {call.caller.via.value} holds a secret" if CANARY in repr(reply) else None


class Bounded(Checker):
    id = "26"
    says = "Cards and new orders that add risk stay under their limits a minute, whatever floods in."

    ORDERS, CARDS = "desk.orders_per_minute", "desk.cards_per_minute"

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._cards: deque[Event] = deque()
        self._orders: dict[int, deque[float]] = {}
        self._seconds = next(iter(history.exchanges.values())).loop.time

    def before_event(self, event: Event) -> str | None:
        if not isinstance(event.body, TicketDrafted):
            return None
        self._cards.append(event)
        while event.at - self._cards[0].at > timedelta(minutes=1):
            self._cards.popleft()
        recent = sum(timedelta(0) <= event.at - other.at < timedelta(seconds=59) for other in self._cards)
        most = int(self.history.settings.get(self.CARDS, 60))
        # Everything that is open may be closed at once, each with its own card, by the last message that still came through.
        return f"{recent} cards within a minute, over {most}" if recent > most + 20 else None

    def wire(self, wire: Wire) -> str | None:
        sent = self.history.intents.get(wire.client_id)
        if wire.kind != "submit" or sent is None or sent.submitting.reducing:
            return None
        times = self._orders.setdefault(wire.boot, deque())
        times.append(self._seconds())
        while times[-1] - times[0] > 59:
            times.popleft()
        most = int(self.history.settings.get(self.ORDERS, 30)) * len(self.history.exchanges)
        return f"{len(times)} orders that add risk within a minute, over {most}" if len(times) > most else None
