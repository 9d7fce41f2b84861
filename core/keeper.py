"""Keeps the background parts of the desk alive: one that ended or hangs is started again, the others go on meanwhile, and it is told.

A part is a loop that sleeps between its rounds. A round has limits of its own for every call it makes; one that takes longer than
`HANGS_SECONDS` in all hangs. A loop of the whole process that stands still cannot be mended from inside: it is told once it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from core.desk import Desk
from core.errors import DeskError
from core.orders.alarm import raise_alert

LOOK_SECONDS = 5.0
HANGS_SECONDS = 300.0
STALLED_SECONDS = 10.0  # the event loop came back so much later than asked
PAUSE_FIRST_SECONDS = 1.0
PAUSE_LONGEST_SECONDS = 60.0
CALM_SECONDS = 600.0  # after so long without an accident a part's accidents are forgotten

Run = Callable[[], Coroutine[Any, Any, None]]
OnIll = Callable[[str, str], Awaitable[None]]  # an error's id and what does not work: entries stop until a person has looked


@dataclass(slots=True, kw_only=True)
class _Part:
    name: str
    run: Run
    task: asyncio.Task[None] | None = None
    started_seconds: float = 0.0
    due_seconds: float = 0.0
    accidents: int = 0
    restarts: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a part is: whether it runs now, how often it was started again, and why last."""

    name: str
    runs: bool
    restarts: int
    why: str


class Keeper:
    """Watches over the parts it was given."""

    def __init__(self, desk: Desk, *, on_ill: OnIll) -> None:
        self._desk = desk
        self._on_ill = on_ill
        self._parts: dict[str, _Part] = {}
        self._stalled_seconds = 0.0

    def keep(self, name: str, run: Run) -> None:
        """Start a part and keep it running."""
        part = self._parts[name] = _Part(name=name, run=run)
        self._start(part)

    @property
    def health(self) -> tuple[Health, ...]:
        """Every part as it is now."""
        return tuple(
            Health(name=part.name, runs=part.task is not None and not part.task.done(), restarts=part.restarts, why=part.why)
            for part in self._parts.values()
        )

    @property
    def stalled_seconds(self) -> float:
        """The longest time the whole process stood still."""
        return self._stalled_seconds

    async def run(self) -> None:
        """Look at every part for ever."""
        runtime = self._desk.runtime
        while True:
            before = runtime.seconds()
            await runtime.sleep(LOOK_SECONDS)
            await self._stood_still(runtime.seconds() - before - LOOK_SECONDS)
            for part in tuple(self._parts.values()):
                try:
                    await self._look(part)
                except Exception as error:  # noqa: BLE001 - the keeper must not fall over what it keeps
                    runtime.report(f"keeper of {part.name}", error)

    async def _look(self, part: _Part) -> None:
        runtime, task = self._desk.runtime, part.task
        if task is None:
            if runtime.seconds() >= part.due_seconds:
                self._start(part)
            return
        if task.done():
            await self._accident(part, _ended(task))
        elif runtime.busy_seconds(task) > HANGS_SECONDS:
            hung = DeskError(f"a round took more than {HANGS_SECONDS:.0f} seconds")
            task.cancel()
            await self._accident(part, hung)
        elif part.accidents and runtime.seconds() - part.started_seconds > CALM_SECONDS:
            part.accidents = 0

    def _start(self, part: _Part) -> None:
        part.task = self._desk.runtime.spawn(part.run(), name=part.name)
        part.started_seconds = self._desk.runtime.seconds()

    async def _accident(self, part: _Part, error: BaseException) -> None:
        """Note it, plan the next start, and tell: the first time, and again where it keeps happening."""
        pause = min(PAUSE_LONGEST_SECONDS, PAUSE_FIRST_SECONDS * 2 ** min(part.accidents, 10))
        part.task, part.due_seconds = None, self._desk.runtime.seconds() + pause
        part.accidents += 1
        part.restarts += 1
        part.why = str(error) or type(error).__name__
        identity = self._desk.report(f"part {part.name}", error)
        if part.accidents == 1:
            await self._on_ill(identity, f"a part of the desk ({part.name}) stopped")
        if part.accidents in (1, 3) or part.accidents % 20 == 0:
            often = f"for the {part.accidents}th time " if part.accidents > 1 else ""
            await self._tell(f"part:{identity}", f"A part of the desk ({part.name}) stopped {often}({identity}) and is started again.")

    async def _stood_still(self, seconds: float) -> None:
        if seconds <= STALLED_SECONDS:
            return
        self._stalled_seconds = max(self._stalled_seconds, seconds)
        identity = self._desk.report("event loop", DeskError(f"nothing ran for {seconds:.0f} seconds"))
        text = f"The desk stood still for {seconds:.0f} seconds ({identity}); orders and prices were not watched meanwhile."
        await self._tell(f"stall:{identity}", text)

    async def _tell(self, key: str, text: str) -> None:
        try:
            await raise_alert(self._desk, key, urgency="high", text=text, buttons={"Status": "status"}, actor="desk")
        except DeskError as error:
            self._desk.runtime.report("alert of the keeper", error)


def _ended(task: asyncio.Task[None]) -> BaseException:
    if task.cancelled():
        return DeskError("somebody cancelled it")
    return task.exception() or DeskError("it ended by itself")
