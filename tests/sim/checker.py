"""What a checker is: one invariant, with an id and a sentence. Its hooks return the sentence of a violation, or None."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.command import Call
from core.domain.events import Event
from core.reply import Reply
from core.store.codec import Row
from tests.sim.chat import Message
from tests.sim.exchange import Exchange, Resting, Wire
from tests.sim.history import History

if TYPE_CHECKING:
    from core.desk import Desk
    from core.fold import DeskFold


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that did not hold."""

    invariant: str
    text: str
    step: int
    second: float


class Checker:
    """One invariant; each hook is asked at its moment. Those that are not overridden cost nothing."""

    id = ""
    says = ""

    def __init__(self, history: History) -> None:
        self.history = history

    def before_event(self, event: Event) -> str | None:
        """An event became durable; `history` does not hold it yet, but for its row."""

    def after_event(self, event: Event) -> str | None:
        """The same, once `history` holds it."""

    def wire(self, wire: Wire) -> str | None:
        """The first byte of a place, replace or cancel leaves."""

    def accepted(self, exchange: Exchange, order: Resting) -> str | None:
        """The exchange took an order."""

    def executed(self, exchange: Exchange, order: Resting) -> str | None:
        """The exchange executed something of an order."""

    def asked(self, exchange: Exchange, since: int) -> str | None:
        """The desk asks for what the broker has to say after `since`."""

    def folded(self, desk: Desk, event: Event) -> str | None:
        """The desk has taken in every durable event; this was the last."""

    def announced(self, desk: Desk, event: Event, outcomes: Any) -> str | None:
        """The desk has taken in an event, and whoever listens is told."""

    def replied(self, message: Message, reply: Reply, again: bool) -> str | None:
        """An answer leaves for a chat; `again` where the same conversation has answered this message before."""

    def machine_answered(self, call: Call, reply: Reply) -> str | None:
        """A call that no person made was answered."""

    def ended(self, rows: Sequence[Row], fold: DeskFold | None) -> str | None:
        """A life of the desk ended, or the run did: what is durable, and the state it had in memory."""

    def at_rest(self, desk: Desk) -> str | None:
        """Faults have stopped for some minutes."""
