"""All checkers, asked after every step.

They keep their own account of what happened, from the durable log, the wire, the broker's books and the chat; they never ask the desk
what it thinks, except to compare. Each event costs a checker a bounded amount of work; what reads a whole log (invariants 8 and 16) runs
at deaths and at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from core.command import Call
from core.domain.accounts import AccountId
from core.domain.events import Event, ExternalCancelRequested, Mode
from core.domain.events import Role as StandingRole
from core.domain.orders import Fill, OrderState
from core.errors import DeskError
from core.fold import DeskFold
from core.logs import Logs
from core.ports import BrokerOrder, BrokerStatus, Delete, OrderReport, Put
from core.reply import Reply
from core.store.archive import ArchiveImage
from core.store.codec import Row, decode
from tests.sim.chat import Message
from tests.sim.checker import Checker, Violation
from tests.sim.checks_account import Conservation, FactsKept, FillAlgebra, Modes, ReconciledFirst, RiskReserved
from tests.sim.checks_automatic import ClosedOnce, Mandated, StandsInPlan
from tests.sim.checks_desk import (
    Announced,
    Bounded,
    Contracts,
    Freshness,
    Log,
    Machines,
    Money,
    OnceIn,
    OneWriter,
    SaidDurable,
    Secrets,
    Separation,
)
from tests.sim.checks_kill import KillProved
from tests.sim.checks_orders import Confirmed, Identity, NoDuplicate, NoGuess, Seen, States, WriteAhead
from tests.sim.exchange import Exchange, Resting, Wire
from tests.sim.faults import CANARY
from tests.sim.feed import FakeProvider
from tests.sim.history import History

if TYPE_CHECKING:
    from core.desk import Desk
    from tests.sim.world import Life

KINDS: tuple[type[Checker], ...] = (
    Confirmed,
    StandsInPlan,
    Mandated,
    ClosedOnce,
    Seen,
    WriteAhead,
    Identity,
    NoGuess,
    NoDuplicate,
    Conservation,
    FillAlgebra,
    FactsKept,
    States,
    Machines,
    Modes,
    KillProved,
    ReconciledFirst,
    SaidDurable,
    Log,
    OnceIn,
    Announced,
    Money,
    Contracts,
    Separation,
    Secrets,
    Bounded,
)
EVERY_NTH_DEATH = 4  # the records of a life are searched for secrets only so often: that takes longer than the life


class Monitor:
    """All checkers, and what they found."""

    def __init__(
        self, exchanges: dict[AccountId, Exchange], *, most_positions: int, capital_fraction: Decimal, stress_fraction: Decimal
    ) -> None:
        self.history = History(exchanges)
        self.violations: list[Violation] = []
        self.steps = 0
        self._loop = next(iter(exchanges.values())).loop
        self._deaths = 0
        self._freshness = Freshness(self.history)
        self._writer = OneWriter(self.history)
        limits = RiskReserved(
            self.history, most_positions=most_positions, capital_fraction=capital_fraction, stress_fraction=stress_fraction
        )
        self.checkers: tuple[Checker, ...] = (*(kind(self.history) for kind in KINDS), limits, self._freshness, self._writer)
        self._asked = {name: self._overriding(name) for name in vars(Checker) if not name.startswith("_") and name not in ("id", "says")}

    def _overriding(self, hook: str) -> tuple[tuple[str, Any], ...]:
        """The checkers that have something to do at a hook."""
        found = [checker for checker in self.checkers if getattr(type(checker), hook) is not getattr(Checker, hook)]
        return tuple((checker.id, getattr(checker, hook)) for checker in found)

    @property
    def feed(self) -> FakeProvider | None:
        """The data source of the life that is on."""
        return self._freshness.feed

    @feed.setter
    def feed(self, feed: FakeProvider) -> None:
        self._freshness.feed = feed

    def find(self, invariant: str, text: str | None) -> None:
        """Note a violation."""
        if text is not None:
            self.violations.append(Violation(invariant=invariant, text=text, step=self.steps, second=self._loop.time()))

    def _ask(self, hook: str, *about: Any) -> None:
        for invariant, asked in self._asked[hook]:
            text = asked(*about)
            if text is not None:
                self.find(invariant, text)

    # --- what the world tells

    def took_over(self, boot: int) -> None:
        """A life of the desk has the lease."""
        self._writer.boot = self.history.boot = max(self._writer.boot, boot)

    def durable(self, rows: Sequence[Row], events: Sequence[Event], *, boot: int) -> None:
        """Rows reached the disk."""
        self.find("23", self._writer.appended(boot) if events else None)
        given = {event.seq: event for event in events}
        for row in rows[len(self.history.rows) :]:
            try:
                event = decode(row)
            except DeskError as error:
                self.find("16", f"event {row.seq} ({row.kind}) cannot be read back: {error}")
                return
            if given.get(row.seq, event) != event:
                self.find("16", f"event {row.seq} reads back otherwise than it was given to the desk")
            self.history.rows.append(row)
            self._ask("before_event", event)
            self.history.events.append(event)
            self.history.add(event)
            self._ask("after_event", event)

    def archived(self, operations: Sequence[Put | Delete], *, boot: int) -> None:
        """Rows of the archive reached the disk."""
        for operation in operations:
            if isinstance(operation, Put) and operation.table == "inbox":
                self.history.inbox.setdefault(str(operation.row["update_id"]), boot)

    def wire(self, wire: Wire) -> None:
        self._ask("wire", wire)
        sent = self.history.intents.get(wire.client_id)
        if sent is not None:
            sent.wires.append(wire)

    def accepted(self, exchange: Exchange, order: Resting) -> None:
        self._ask("accepted", exchange, order)

    def executed(self, exchange: Exchange, order: Resting) -> None:
        self._ask("executed", exchange, order)

    def heard(self, account: AccountId, items: Iterable[object]) -> None:
        """The desk received these from a broker: words about its orders among them."""
        for item in items:
            if isinstance(item, OrderReport | BrokerOrder):
                self._word(item.client_id, item.status.value)
            elif isinstance(item, Fill):
                self._word(item.client_id, BrokerStatus.FILLED.value)

    def _word(self, client_id: str | None, word: str) -> None:
        sent = self.history.intents.get(client_id or "")
        if sent is not None:
            sent.heard.add(word)

    def asked(self, account: AccountId, since: int) -> None:
        self._ask("asked", self.history.exchanges[account], since)

    def cancels_external(self, account: AccountId, broker_ref: str) -> None:
        """The desk cancels an order that is not its own: only ever because a person said so."""
        asked = [event for event in self.history.events if isinstance(event.body, ExternalCancelRequested)]
        if not any(event.body.broker_ref == broker_ref and event.actor.startswith("person:") for event in asked):
            self.find("9", f"the desk cancels {broker_ref} of {account.id}, which is not its own, unasked")

    def folded(self, desk: Desk, event: Event) -> None:
        self._ask("folded", desk, event)

    def announced(self, desk: Desk, event: Event, outcomes: Any) -> None:
        self._ask("announced", desk, event, outcomes)

    def replied(self, message: Message, reply: Reply, conversation: int) -> None:
        again = bool(message.answers) and message.answers[-1][0] == conversation
        self._ask("replied", message, reply, again)

    def machine_answered(self, call: Call, reply: Reply) -> None:
        self._ask("machine_answered", call, reply)

    def halt_is_due(self, message: Message) -> None:
        """A halt was delivered a while ago."""
        in_force = self.history.halt_file is not None or self.history.desk_halted_at >= (message.delivered_at or 0.0)
        standing = any(entry.mode is Mode.HALT and not entry.scope.name for entry in self.history.modes.values())
        if not in_force and not standing:
            self.find("13", f"{message.content} of {message.chat} ({message.id}) is not in force though it was delivered a while ago")

    def ended(self, rows: Sequence[Row], fold: DeskFold | None) -> None:
        """A life of the desk ended: what is durable, and the state it had."""
        self._ask("ended", rows, fold)

    def left_behind(self, archive: ArchiveImage, logs: Logs) -> None:
        """What a life left on the disk and in its records holds no secret."""
        self._deaths += 1
        if self._deaths % EVERY_NTH_DEATH == 1:
            self._search(archive, logs)

    def _search(self, archive: ArchiveImage, logs: Logs) -> None:
        if CANARY in repr(archive.rows):
            self.find("25", "a table of the archive holds a secret")
        if CANARY in repr(logs.records()):
            self.find("25", "a record of the desk holds a secret")

    # --- at rest

    def at_rest(self, life: Life | None, unanswered: Iterable[Message]) -> None:
        """Liveness, and the final comparison with the broker's books."""
        if life is None or life.desk is None:
            self.find("27", "the desk did not come back")
            return
        for message in unanswered:
            self.find("27", f"the message {message.id} ({message.content!r:.40}) was never answered")
        for account in self.history.exchanges:
            self._account_at_rest(life.desk, account)
        self._ask("at_rest", life.desk)
        self._ask("ended", life.store.durable_image().rows, life.desk.fold)
        self._search(life.archive.durable_image(), life.logs)

    def _account_at_rest(self, desk: Desk, account: AccountId) -> None:
        mode, reason = desk.mode(account=account)
        if mode not in (Mode.ACTIVE, Mode.PAUSED, Mode.REDUCING, Mode.HALT) or (mode is not Mode.ACTIVE and not reason):
            self.find("27", f"{account.id} stays in {mode.value}: {reason}")
        for order in desk.book(account).live.values():
            stands = self.history.standing.get(order.standing_id or "")
            exits = order.mandate is not None or (stands is not None and stands.role is StandingRole.STOP)  # may leave at any moment
            if order.state is not OrderState.UNKNOWN and not exits:
                self.find("27", f"order {order.client_id} stays {order.state.value}")


__all__ = ["Checker", "Monitor", "Violation"]
