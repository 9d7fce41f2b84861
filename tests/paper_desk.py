"""A whole desk in memory, of the shipped parts: simulated market, paper exchange, memory log, a clock that stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from core.app import assemble
from core.clock import ManualClock
from core.command import Call, Caller, Via, parse_args, split_line
from core.config import parse_config
from core.desk import Desk
from core.dispatch import command_of, dispatch
from core.fold import DeskFold
from core.market.providers import simulated
from core.reply import Fact, Facts, Notice, Reply, Table
from core.runtime import SeededEntropy, SystemRuntime
from core.store.archive import MemoryArchive
from core.store.memory import MemoryStore

START = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # Friday, 10:00 in New York


def account(name: str, *, kind: str = "reg_t", cash: int = 100_000) -> dict[str, Any]:
    """A paper account as config.yaml has it."""
    return {"name": name, "broker": "paper", "id": name.upper(), "env": "paper", "kind": kind, "start_cash": cash}


async def open_desk(*, cash: int = 100_000, at: datetime = START, accounts: Sequence[dict[str, Any]] = ()) -> Desk:
    """One paper account, or those named, reconciled and ready."""
    clock = ManualClock(at)
    runtime = SystemRuntime(clock, entropy=SeededEntropy(1))
    store = MemoryStore(clock=clock)
    desk = await assemble(
        config=parse_config({"accounts": [*accounts] or [account("practice", cash=cash)]}), runtime=runtime, store=store,
        archive=MemoryArchive(), token=await store.acquire_lease("test"), fold=DeskFold(),
        providers=(simulated.build(simulated.Parameters(), clock=clock),), halt_reason=lambda: None,
    )
    for sender in desk.senders.values():
        await sender.connect()
    return desk


async def say(desk: Desk, line: str, *, via: Via = Via.LINE) -> Reply:
    """A typed line, through the one door."""
    words = split_line(line)
    return await call(desk, words[0], parse_args(command_of(words[0]), words[1:]), via=via)


async def call(desk: Desk, name: str, args: dict[str, Any], *, via: Via = Via.LINE) -> Reply:
    """A call as a button, a sentence or a model makes it."""
    return await dispatch(desk, Call(command=name, args=args, caller=Caller(person="owner", via=via)))


def text(reply: Reply) -> str:
    """All the notices of a reply."""
    return " ".join(block.text for block in reply.blocks if isinstance(block, Notice))


def fact(reply: Reply, label: str) -> Fact:
    """The first fact of that label."""
    return next(item for block in reply.blocks if isinstance(block, Facts) for item in block.facts if item.label == label)


def table(reply: Reply, title: str) -> Table:
    """The table of that title."""
    return next(block for block in reply.blocks if isinstance(block, Table) and block.title == title)


def lines(reply: Reply) -> list[str]:
    """What the buttons stand for."""
    return [action.line for action in reply.actions]
