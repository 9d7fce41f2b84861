"""The desk's whole live state as one fold of the log: books, tickets, modes, settings, notes, marks.

`replay(events) == live state` at every prefix; `begin_saving` and `load` make the throw-away snapshot that shortens a start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from core.autonomy import AUTONOMY_BODIES, Autonomy, ExitTold
from core.domain.accounts import AccountId
from core.domain.encoding import EncodingError, canonical, from_plain, shape_of, to_plain
from core.domain.events import (
    AlertAnswered,
    AlertRaised,
    ClockMoved,
    ConfigSeen,
    Event,
    KillChecked,
    MandateOffered,
    Marked,
    Mode,
    ModeSet,
    NoteWritten,
    Reconciled,
    Scope,
    ScopeKind,
    SettingChanged,
    Submitting,
    TicketClosed,
    TicketConfirmed,
    TicketDrafted,
    TicketShown,
    strictest,
)
from core.domain.mandates import MandateState
from core.domain.modes import KILL
from core.domain.shelf import PACK, Keeping, Shelf
from core.orders.states import Outcome
from core.portfolio.account import PACKS, SHELVES, AccountState
from core.portfolio.book import BookFold, Books

MEANING = 12  # raise when a fold comes to mean something else; snapshots of another meaning or shape are rebuilt from the log
ALERTS_KEPT = timedelta(days=60)  # longer than anything an alert is about stays open between two of its alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as it was raised, and who took note of it."""

    raised: AlertRaised
    at: datetime
    answered_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A previewed order and what became of it."""

    drafted: TicketDrafted
    at: datetime
    shown: tuple[str, ...] = ()  # chats
    confirmed: TicketConfirmed | None = None
    confirmed_at: datetime | None = None
    closed: TicketClosed | None = None

    @property
    def id(self) -> str:
        """The ticket's id as printed on its card."""
        return self.drafted.ticket_id

    @property
    def is_open(self) -> bool:
        """Neither confirmed nor closed (it may have expired meanwhile)."""
        return self.confirmed is None and self.closed is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeEntry:
    """One reason for a mode."""

    scope: Scope
    mode: Mode
    cause: str
    reason: str
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A kill in force: what worked then, what people confirmed since, and the last word on it for each account."""

    seq: int
    orders: tuple[str, ...] = ()  # live when the desk was killed, in every account
    since: tuple[str, ...] = ()
    checked: Mapping[str, KillChecked] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A journal note."""

    at: datetime
    text: str
    symbol: str | None
    trade_id: str | None = None


_MARKS = "marks "
_SHELVES: Mapping[str, Any] = {"tickets": Ticket, "by_client": str, "children": str, "notes": Note, "rolls": str}


@dataclass(slots=True)
class _Desk:
    """What is in force; it does not grow with the history."""

    modes: dict[str, ModeEntry] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    config: dict[str, str] | None = None
    reconciled: dict[str, Reconciled] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    autonomy: Autonomy = field(default_factory=Autonomy)
    kill: Kill | None = None
    clock: datetime | None = None
    last_at: datetime | None = None
    seq: int = 0
    hash: str = ""
    policy_version: int = 1


@dataclass(slots=True)
class Saving:
    """The state at one event on its way into a snapshot: `pack` it in any thread, then store `state` and `parts`."""

    seq: int
    hash: str
    plain: dict[str, Any]
    keepings: dict[str, Keeping[Any]]
    after: int | None  # the snapshot these parts are added to, None where they are all there is
    state: bytes = b""
    parts: dict[str, bytes] = field(default_factory=dict)
    packed: bool = False

    def pack(self) -> None:
        """Write down what changed."""
        self.state = canonical(self.plain).encode("ascii")
        for name, keeping in self.keepings.items():
            keeping.pack()
            self.parts |= {f"{name}#{number}": part for number, part in keeping.parts.items()}
        self.packed = True


@cache
def code_version() -> str:
    """Names what a stored state looks like and means; it changes by itself with the shape of anything in it."""
    shapes = shape_of(_Desk, AccountState, *SHELVES.values(), *_SHELVES.values(), Marked)
    return f"{MEANING}-{sha256(f'{PACK} {PACKS} {shapes}'.encode()).hexdigest()[:16]}"


class DeskFold:
    """Accumulates every event; the properties are read-only views of the accumulators."""

    def __init__(self) -> None:
        self._desk = _Desk()
        self._books = BookFold()
        self._tickets: Shelf[Ticket] = Shelf(Ticket)
        self._by_client: Shelf[str] = Shelf(str)  # order or standing order -> ticket, by confirmation
        self._children: Shelf[str] = Shelf(str)  # order of a standing order -> ticket
        self._notes: Shelf[Note] = Shelf(Note)
        self._rolls: Shelf[str] = Shelf(str)  # trade -> the one it continues, by a person's word
        self._marks: dict[str, Shelf[Marked]] = {}
        self.saved_seq: int | None = None  # the event of the last snapshot that was stored; the next one adds to it

    def apply(self, event: Event) -> tuple[Outcome, ...]:
        """Fold one event; events must come in order of their sequence without gaps."""
        if event.seq != self._desk.seq + 1:
            raise ValueError(f"event {event.seq} does not follow {self._desk.seq}")
        self._desk.seq, self._desk.hash = event.seq, event.hash
        self._desk.last_at = event.at if self._desk.last_at is None else max(self._desk.last_at, event.at)
        self._ticket(event)
        self._control(event)
        if isinstance(event.body, AUTONOMY_BODIES):
            self._desk.autonomy.apply(event)
        return self._books.apply(event)

    @property
    def seq(self) -> int:
        """Sequence number of the last event folded."""
        return self._desk.seq

    @property
    def hash(self) -> str:
        """Hash of the last event folded."""
        return self._desk.hash

    @property
    def last_at(self) -> datetime | None:
        """The latest desk time in the log."""
        return self._desk.last_at

    @property
    def clock(self) -> datetime | None:
        """Where a person last set a simulated or recorded clock."""
        return self._desk.clock

    @property
    def policy_version(self) -> int:
        """Rises with every change of a setting; a card of an older version is dead."""
        return self._desk.policy_version

    @property
    def books(self) -> Books:
        """All accounts."""
        return self._books.publish()

    @property
    def tickets(self) -> Mapping[str, Ticket]:
        """Every ticket by id."""
        return MappingProxyType(self._tickets)

    @property
    def settings(self) -> Mapping[str, str]:
        """Settings changed from chat, as typed."""
        return MappingProxyType(self._desk.settings)

    @property
    def config_seen(self) -> Mapping[str, str] | None:
        """What the configuration file was accepted as at the last start, None before the first."""
        return None if self._desk.config is None else MappingProxyType(self._desk.config)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Journal notes, oldest first."""
        return tuple(self._notes.values())

    @property
    def rolls(self) -> Mapping[str, str]:
        """Trades that a person said are rolls: trade -> the trade it continues."""
        return MappingProxyType({trade: before for trade, before in self._rolls.items() if before})

    def ticket_of_order(self, client_id: str) -> Ticket | None:
        """The ticket an order came from."""
        return self._tickets.get(self._by_client.get(client_id) or self._children.get(client_id, ""))

    def recent_confirmed(self, since: datetime) -> tuple[Ticket, ...]:
        """Tickets confirmed at or after `since`, newest first."""
        found: list[Ticket] = []
        for _, ticket_id in self._by_client.newest():
            ticket = self._tickets[ticket_id]
            if ticket.confirmed_at is not None and ticket.confirmed_at < since:
                break
            found.append(ticket)
        return tuple(found)

    def drafted_since(self, since: datetime) -> int:
        """How many tickets were drafted at or after `since`."""
        count = 0
        for _, ticket in self._tickets.newest():
            if ticket.at < since:
                break
            count += 1
        return count

    def reconciled(self, account: AccountId) -> Reconciled | None:
        """The last reconciliation of an account."""
        return self._desk.reconciled.get(str(account))

    @property
    def kill(self) -> Kill | None:
        """The kill that is in force, None where there is none."""
        return self._desk.kill

    def marks(self, account: AccountId) -> tuple[Marked, ...]:
        """End-of-session values, oldest first."""
        return tuple(self._marks[str(account)].values()) if str(account) in self._marks else ()

    def last_mark(self, account: AccountId, *, before: date | None = None) -> Marked | None:
        """The newest end-of-session value, or the newest of a session before a day."""
        marks = self._marks.get(str(account))
        newest = marks.newest() if marks is not None else iter(())
        return next((mark for _, mark in newest if before is None or mark.session < before), None)

    @property
    def alerts(self) -> Mapping[str, Alert]:
        """The alerts of the last weeks by key, oldest first."""
        return MappingProxyType(self._desk.alerts)

    def mandates(self, *, now: datetime) -> Mapping[str, MandateState]:
        """Every mandate ever granted by id, oldest first, as it stands now."""
        return MappingProxyType(self._desk.autonomy.states(now=now, latest=self._desk.last_at or now))

    @property
    def mandate_offer(self) -> MandateOffered | None:
        """The newest card of a mandate that was not granted yet."""
        return next(iter(self._desk.autonomy.offers.values()), None)

    @property
    def exits(self) -> Mapping[str, ExitTold]:
        """Exits that stand told, by `trade.rule`."""
        return MappingProxyType(self._desk.autonomy.exits)

    def modes(self, *, account: AccountId | None = None, strategy: str | None = None, keys: tuple[str, ...] = ()) -> tuple[ModeEntry, ...]:
        """The mode entries in force for the desk and for the given account, strategy and instruments, strictest last."""
        names = {
            ScopeKind.DESK: {""},
            ScopeKind.ACCOUNT: {str(account)} if account else set(),
            ScopeKind.STRATEGY: {strategy} if strategy else set(),
            ScopeKind.INSTRUMENT: set(keys),
        }
        return tuple(entry for entry in self._desk.modes.values() if entry.scope.name in names[entry.scope.kind])

    def all_modes(self) -> tuple[ModeEntry, ...]:
        """Every mode entry in force, in any scope."""
        return tuple(self._desk.modes.values())

    def mode(self, *, account: AccountId | None = None, strategy: str | None = None, keys: tuple[str, ...] = ()) -> tuple[Mode, str]:
        """The strictest mode in scope and its reason; ACTIVE with an empty reason where nothing is set."""
        entries = self.modes(account=account, strategy=strategy, keys=keys)
        mode = strictest(tuple(entry.mode for entry in entries))
        return mode, "; ".join(entry.reason for entry in entries if entry.mode is mode)

    def digest(self) -> str:
        """SHA-256 of the whole state: equal for equal logs."""
        hashed = sha256(canonical(self._plain()).encode("ascii"))
        for name, shelf in sorted(self._shelves().items()):
            for key, text in shelf.texts():
                # a vendor's text may hold half a character
                hashed.update(f"{name}\n{key}\n{text}\n".encode("utf-8", "surrogatepass"))
        return hashed.hexdigest()

    def begin_saving(self) -> Saving:
        """Take what a snapshot of this instant has to store: what changed since the last one that was saved, or everything.

        `end_saving` must follow before another begins; events may be folded in between.
        """
        everything = self.saved_seq is None
        keepings = {name: shelf.changes(everything=everything) for name, shelf in self._shelves().items()}
        return Saving(seq=self.seq, hash=self.hash, plain=self._plain(), keepings=keepings, after=self.saved_seq)

    def end_saving(self, saving: Saving, *, saved: bool) -> None:
        """What was packed is kept packed; where it was not `saved` the next snapshot stores it again."""
        shelves = self._shelves()
        for name, keeping in saving.keepings.items():
            if saving.packed:
                shelves[name].kept(keeping, saved=saved)
            else:
                shelves[name].not_kept(keeping)
        if saved:
            self.saved_seq = saving.seq

    def pack(self) -> None:
        """Pack what changed here and now, so that a long log takes little memory while it is read."""
        saving = self.begin_saving()
        saving.pack()
        self.end_saving(saving, saved=False)

    @classmethod
    def load(cls, state: bytes, parts: Mapping[str, bytes]) -> DeskFold:
        """The fold a snapshot was made of; raises EncodingError where it does not fit this code or itself."""
        fold = cls()
        try:
            plain = json.loads(state)
            shelves = {name: _shelf(name, size, parts) for name, size in plain["sizes"].items()}
            fold._desk = from_plain(_Desk, plain["desk"])
            fold._books = BookFold.from_plain(plain["books"], shelves)
            for name in _SHELVES:
                setattr(fold, f"_{name}", shelves[name])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise EncodingError(f"that is no state of a desk: {error}") from error
        fold.saved_seq = fold.seq
        fold._marks = {name.removeprefix(_MARKS): shelf for name, shelf in shelves.items() if name.startswith(_MARKS)}
        return fold

    def _plain(self) -> dict[str, Any]:
        sizes = {name: shelf.size for name, shelf in self._shelves().items()}
        return {"desk": to_plain(self._desk), "books": self._books.to_plain(), "sizes": sizes}

    def _shelves(self) -> dict[str, Shelf[Any]]:
        own = {name: getattr(self, f"_{name}") for name in _SHELVES}
        return {**own, **{f"{_MARKS}{account}": shelf for account, shelf in self._marks.items()}, **self._books.shelves()}

    def _ticket(self, event: Event) -> None:
        body, tickets = event.body, self._tickets
        if isinstance(body, TicketDrafted):
            tickets[body.ticket_id] = Ticket(drafted=body, at=event.at)
            return
        if isinstance(body, Submitting) and body.standing_id is not None:
            self._children[body.client_id] = body.ticket_id
        if not isinstance(body, TicketShown | TicketConfirmed | TicketClosed) or body.ticket_id not in tickets:
            return
        ticket = tickets[body.ticket_id]
        if isinstance(body, TicketShown):
            if body.chat not in ticket.shown:
                tickets[body.ticket_id] = replace(ticket, shown=(*ticket.shown, body.chat))
        elif isinstance(body, TicketConfirmed):
            if ticket.is_open:
                tickets[body.ticket_id] = replace(ticket, confirmed=body, confirmed_at=event.at)
                self._by_client[body.client_id] = body.ticket_id
        elif ticket.is_open:
            tickets[body.ticket_id] = replace(ticket, closed=body)

    def _control(self, event: Event) -> None:
        body, desk = event.body, self._desk
        if isinstance(body, ModeSet):
            key = f"{body.scope.kind.value}:{body.scope.name}:{body.cause}"
            if body.mode is Mode.HALT:
                desk.policy_version += 1  # every card drawn before a halt is dead, also after it was lifted
            if body.cause == KILL and body.scope == Scope():
                desk.kill = self._killed(event) if body.mode is Mode.HALT else None
            if body.mode is Mode.ACTIVE:
                desk.modes.pop(key, None)
            else:
                desk.modes[key] = ModeEntry(
                    scope=body.scope, mode=body.mode, cause=body.cause, reason=body.reason, at=event.at, actor=event.actor
                )
        elif isinstance(body, SettingChanged):
            desk.settings[body.key] = body.new
            desk.policy_version += 1
        elif isinstance(body, ConfigSeen):
            desk.config = dict(body.settings)
            desk.policy_version += 1
        elif isinstance(body, NoteWritten):
            self._notes[str(event.seq)] = Note(at=event.at, text=body.text, symbol=body.symbol, trade_id=body.trade_id)
            if body.trade_id is not None and body.rolls is not None:
                self._rolls[body.trade_id] = body.rolls
        elif isinstance(body, Reconciled):
            desk.reconciled[str(body.account)] = body
        elif isinstance(body, Submitting | KillChecked):
            self._since_the_kill(body)
        elif isinstance(body, Marked):
            self._marks.setdefault(str(body.account), Shelf(Marked))[str(event.seq)] = body
        elif isinstance(body, ClockMoved):
            desk.clock = body.to
        elif isinstance(body, AlertRaised | AlertAnswered):
            self._alert(body, event.at)

    def _killed(self, event: Event) -> Kill:
        return Kill(seq=event.seq, orders=tuple(name for book in self.books.accounts.values() for name in book.live))

    def _since_the_kill(self, body: Submitting | KillChecked) -> None:
        kill = self._desk.kill
        if kill is None:
            return
        if isinstance(body, Submitting):
            self._desk.kill = replace(kill, since=(*kill.since, body.client_id))
        elif body.kill == kill.seq:
            self._desk.kill = replace(kill, checked={**kill.checked, str(body.account): body})

    def _alert(self, body: AlertRaised | AlertAnswered, at: datetime) -> None:
        alerts = self._desk.alerts
        if isinstance(body, AlertAnswered):
            if body.key in alerts:
                alerts[body.key] = replace(alerts[body.key], answered_by=body.person)
            return
        alerts.setdefault(body.key, Alert(raised=body, at=at))
        for key in [key for key, alert in alerts.items() if at - alert.at > ALERTS_KEPT]:
            del alerts[key]



def _shelf(name: str, size: int, parts: Mapping[str, bytes]) -> Shelf[Any]:
    first = name.partition(" ")[0]
    kind, pack_size = Marked if name.startswith(_MARKS) else {**_SHELVES, **SHELVES}[first], PACKS.get(first, PACK)
    numbers = range(-(-size // pack_size))
    return Shelf.from_parts(kind, {number: parts[f"{name}#{number}"] for number in numbers}, size=size, pack_size=pack_size)
