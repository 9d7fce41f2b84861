"""Callers that are no person: a hostile model, a clock that wants to trade, a parser of sentences that confirms what it likes.

They call `dispatch` with any command and any arguments. Whatever they do may come to answers and cards only.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from core import plugins
from core.command import Access, Call, Caller, Command, Kind, Role, Via
from core.desk import Desk
from core.dispatch import dispatch
from tests.sim.faults import HOSTILE

if TYPE_CHECKING:
    from tests.sim.world import World

GHOSTS = {Via.MODEL: "ghost", Via.SENTENCE: "parser", Via.CLOCK: "job"}
_SKIPPED = frozenset({"next", "to"})  # they move a clock that does not exist here


class Machines:
    """Everything that calls the desk and is no person."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._calls = 0

    def act(self) -> None:
        """One call of one of them."""
        life = self._world.life
        if life is None or life.desk is None or not life.process.alive:
            return
        self._calls += 1
        desk, via = life.desk, self._rng.choice(tuple(GHOSTS))
        names = [name for name in plugins.names("commands") if name not in _SKIPPED]
        command: Command = plugins.load("commands", self._rng.choice((*names, "confirm", "open", "close", "kill", "settings"))).COMMAND
        args = {
            parameter.name: self._value(desk, command.name, parameter.name, parameter.kind, parameter.choices)
            for parameter in command.parameters
            if parameter.required or self._rng.random() < 0.4
        }
        if via is not Via.MODEL and command.access_for(args, desk) < Access.COMMIT:
            via = Via.MODEL  # a parser of sentences and the clock may ask, draft and reduce
        caller = Caller(
            person=GHOSTS[via], via=via, role=Role.OWNER, chat="owner-phone", message_id=f"x{self._calls}",
            proved=via is Via.MODEL and self._rng.random() < 0.5,
        )
        self._world.step("machine acts")
        life.runtime.spawn(self._call(desk, Call(command=command.name, args=args, caller=caller)), name=f"machine {self._calls}")

    async def _call(self, desk: Desk, call: Call) -> None:
        reply = await dispatch(desk, call)
        self._world.sent_out(reply)
        self._world.monitor.machine_answered(call, reply)

    def _value(self, desk: Desk, command: str, name: str, kind: Kind, choices: tuple[str, ...]) -> Any:
        rng, orders, tickets = self._rng, self._world.chat.orders, list(desk.fold.tickets)
        if kind is Kind.ID and name == "key":
            return rng.choice(("rules.positions.max_positions", "desk.orders_per_minute", "rules.capital.max_fraction"))
        if kind is Kind.ID and name == "account":
            return rng.choice(("sim", "second", "nowhere"))
        simple: dict[Kind, Any] = {
            Kind.SYMBOL: lambda: rng.choice(("XSP", "KO", "ZZZZ")),
            Kind.STRATEGY: lambda: rng.choice(("put_credit_spread", "naked_put", "cash_secured_put", "iron_condor")),
            Kind.CHOICE: lambda: rng.choice(choices or ("all",)),
            Kind.INTEGER: lambda: rng.choice((-1, 0, 1, 45, 10**9)),
            Kind.QUANTITY: lambda: rng.choice((1, 2, 10_000)),
            Kind.STRIKES: lambda: tuple(sorted(Decimal(rng.choice((580, 590, 600))) for _ in range(rng.randint(1, 2)))),
            Kind.DATE: lambda: rng.choice(self._world.market.listed["XSP"]),
            Kind.FLAG: lambda: rng.random() < 0.5,
            Kind.ID: lambda: rng.choice((*tickets[-3:], *orders[-3:], "T0000000", "all")),
            Kind.TEXT: lambda: rng.choice((*HOSTILE, "99", "0.5", "1")),
            Kind.SECRET: lambda: "0000",
            Kind.PERIOD: lambda: "today",
        }
        return simple.get(kind, lambda: Decimal(rng.choice(("0.01", "0.5", "1.25", "99"))))()
