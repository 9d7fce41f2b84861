"""Careless changes to the shipped process, to see that the checker notices each: it is only worth what it would have found.

`DESK_PLANTED` names one for a child process. `python -m tests.blackbox --planted` runs them all.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from core.commands import note
from core.desk import Desk
from core.errors import BrokerTimeout
from core.orders import link
from core.store import sqlite
from tests.blackbox import adapter

COMMIT_EVERY_SECONDS = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A change, and the invariants of which at least one must be found broken."""

    name: str
    plant: Callable[[], None]
    caught_by: frozenset[str]
    only: str | None = None  # the moment at which it shows
    weather: dict[str, Any] | None = None  # the weather in which it shows


def _commits_in_groups() -> None:
    """Several appends share a commit, and nobody waits for it. (On the log alone; reads see what is not committed yet.)

    The desk itself may be the first to notice: its next start finds the log behind the note of how far it went, and refuses.
    """
    last, whole = [time.monotonic()], sqlite.sql.transaction

    @contextlib.contextmanager
    def transaction(connection: sqlite3.Connection) -> Iterator[None]:
        if not str(connection.execute("PRAGMA database_list").fetchone()[2]).endswith("desk.db"):
            with whole(connection):
                yield
            return
        if not connection.in_transaction:
            connection.execute("BEGIN IMMEDIATE")
        yield
        if time.monotonic() - last[0] > COMMIT_EVERY_SECONDS:
            connection.execute("COMMIT")
            last[0] = time.monotonic()

    sqlite.sql.transaction = transaction
    sqlite.sql.one_view = lambda connection: contextlib.nullcontext()


def _tries_again() -> None:
    """An order without an answer is sent once more."""
    submit = adapter.LoopbackBroker.submit

    async def twice(self: Any, order: Any) -> str:
        try:
            return await self._runtime.wait_for(submit(self, order), 0.5)
        except (TimeoutError, BrokerTimeout):
            return await submit(self, order)

    adapter.LoopbackBroker.submit = twice  # type: ignore[method-assign]


def _forgets_fills_it_slept_through() -> None:
    """What was executed while the desk was down is not asked for."""
    facts = link.facts
    link.facts = lambda book, snapshot: [fact for fact in facts(book, snapshot) if type(fact[1]).__name__ != "Filled"]


def _books_repeated_reports() -> None:
    """Executions are not told apart by their id."""
    bodies = link.BrokerLink._bodies
    link.BrokerLink._bodies = lambda self, update: [(None, body) for _, body in bodies(self, update)]  # type: ignore[method-assign]


def _believes_half_an_answer() -> None:
    """An order that any answer leaves out counts as never sent, however incomplete the answer."""
    endings = link.endings

    def ended(book: Any, snapshot: Any, *, sent_now: Any) -> Any:
        named = {order.client_id for order in snapshot.orders}
        gone = [
            (None, link.OrderEnded(client_id=order.client_id, outcome="denied", reason="not there"))
            for order in book.live.values() if order.client_id not in named and not snapshot.complete
        ]
        return [*endings(book, snapshot, sent_now=sent_now), *gone]

    link.endings = ended


def _says_before_it_writes() -> None:
    """A note is acknowledged and written a moment later."""
    record = Desk.record

    async def run(desk: Any, call: Any) -> Any:
        async def later(*drafts: Any, **more: Any) -> Any:
            async def write() -> None:
                await desk.runtime.sleep(0.3)
                await record(desk, *drafts, **more)

            desk.runtime.spawn(write(), name="later")
            return type("Recorded", (), {"seqs": ()})()

        desk.record = later
        try:
            return await note.run(desk, call)
        finally:
            del desk.record

    object.__setattr__(note.COMMAND, "run", run)


def _writes_notes_twice() -> None:
    """The effect of one message comes twice."""
    run = note.run

    async def twice(desk: Any, call: Any) -> Any:
        await run(desk, call)
        return await run(desk, call)

    object.__setattr__(note.COMMAND, "run", twice)


def _ignores_the_lease() -> None:
    """A process goes on writing and sending although another took over."""
    sqlite._valid_token = lambda lease: 0

    async def acquire(self: Any, owner: str) -> int:
        return 0

    sqlite.SqliteStore.acquire_lease = acquire  # type: ignore[method-assign]


_LOST_ANSWERS = {"drop_answer": 0.6, "only": ["submit"]}
_HALF_ANSWERS = {"cut": 0.6}


def _planted(plant: Callable[[], None], caught_by: str, **more: Any) -> Planted:
    return Planted(name=plant.__name__.strip("_"), plant=plant, caught_by=frozenset(caught_by.split()), **more)


PLANTED = (
    _planted(_commits_in_groups, "3 15 16 J", only="at_the_wire"), _planted(_tries_again, "4 6", weather=_LOST_ANSWERS),
    _planted(_forgets_fills_it_slept_through, "7 9"), _planted(_books_repeated_reports, "6"),
    _planted(_believes_half_an_answer, "5", weather=_HALF_ANSWERS), _planted(_says_before_it_writes, "15"),
    _planted(_writes_notes_twice, "17"), _planted(_ignores_the_lease, "23", only="two_at_once"),
)


def plant(name: str) -> None:
    """Change this process as the name says."""
    next(bug for bug in PLANTED if bug.name == name).plant()
