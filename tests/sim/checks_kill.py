"""What a kill comes to, beside the exchange's own books."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain.accounts import AccountId
from core.domain.events import Event, KillChecked, Mode, ModeSet, ScopeKind, Submitting
from tests.sim.checker import Checker
from tests.sim.history import History

if TYPE_CHECKING:
    from core.desk import Desk


class KillProved(Checker):
    id = "13"
    says = "A kill is proved only while nothing from before it works at the exchange, and once all is well it is proved, or says why not."

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._kill: int | None = None
        self._placed: dict[str, int] = {}  # client id -> the event that wrote it ahead
        self._last: dict[AccountId, KillChecked] = {}

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, Submitting):
            self._placed[body.client_id] = event.seq
        elif isinstance(body, ModeSet) and body.cause == "kill" and body.scope.kind is ScopeKind.DESK:
            self._kill = event.seq if body.mode is Mode.HALT else None
        elif isinstance(body, KillChecked):
            return self._checked(body)
        return None

    def _checked(self, body: KillChecked) -> str | None:
        if body.kill != self._kill:
            return f"a check of the kill {body.kill} is recorded while {self._kill} is in force"
        self._last[body.account] = body
        working = self._working(body.account)
        if body.proved and working:
            return f"it is proved that nothing works at {body.account.id}, and {', '.join(working)} does"
        if body.proved and body.pending:
            return f"{', '.join(body.pending)} is pending at {body.account.id}, and it is proved that nothing is"
        there = {order.client_id for order in self.history.exchanges[body.account].orders.values()}
        wrong = [item.client_id for item in body.ended if item.outcome == "denied" and item.client_id in there]
        return f"{', '.join(wrong)} is told as never sent, and the exchange had it" if wrong else None

    def _working(self, account: AccountId) -> list[str]:
        """The desk's orders from before the kill that the exchange works, by its own books."""
        orders = [order.client_id for order in self.history.exchanges[account].orders.values() if order.live]
        return [name for name in orders if name is not None and self._kill is not None and self._placed.get(name, self._kill) < self._kill]

    def at_rest(self, desk: Desk) -> str | None:
        if self._kill is None:
            return None
        for account in self.history.exchanges:
            last, working = self._last.get(account), self._working(account)
            if last is None or last.kill != self._kill:
                return f"a kill is in force at {account.id}, and nobody said what came of it"
            if working:
                return f"{', '.join(working)} still works at {account.id} after a kill"
            doubtful = [name for name, order in desk.book(account).live.items() if order.unknown and name in last.pending]
            if not last.proved and not doubtful:
                return f"nothing works at {account.id} any more, and the kill is not proved: {last.reason}"
        return None
