"""People at a desk, several at once: they open, confirm, press twice, close, cancel, halt, lift and write notes, until the process dies."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.blackbox.checker import Claim, claims_of_answer, claims_of_text
from tests.blackbox.machine import PIN, Desk

OPENINGS = (
    "open put_credit_spread XSP quantity={n} delta={delta}",
    "open put_credit_spread XSP quantity={n} delta={delta} dte={dte}",
    "open put_credit_spread SPY quantity={n} delta={delta} dte={dte}",
    "open cash_secured_put XSP quantity=1 delta={delta}",
)


@dataclass(slots=True)
class People:
    """Everybody who talks to one desk, and what they were told in this life of it."""

    desk: Desk
    rng: random.Random
    notes: Counter[str]  # every note ever typed on this home, kept or not
    claims: list[Claim] = field(default_factory=list)
    answers: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def come(self, *, at_the_socket: int) -> None:
        """Begin to talk: one at the terminal, others over the owner's socket."""
        self._tasks = [asyncio.create_task(self._terminal()), *(asyncio.create_task(self._socket(one)) for one in range(at_the_socket))]

    async def heard(self, answers: int, *, seconds: float) -> None:
        """Wait until so many answers were given, or the desk is gone, or time is up: a slow machine gets its orders too."""
        until = time.monotonic() + seconds
        while self.desk.alive and time.monotonic() < until:
            if self.answers + sum(line.startswith("> ") for line in self.desk.said) >= answers:
                return
            await asyncio.sleep(0.01)

    async def leave(self) -> list[Claim]:
        """Stop talking and say what was heard."""
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        self.answers += sum(line.startswith("> ") for line in self.desk.said)
        return [*self.claims, *claims_of_text(self.desk.said)]

    async def _terminal(self) -> None:
        while self.desk.alive:
            self.desk.type(*self._some_lines())
            await asyncio.sleep(self.rng.uniform(0.05, 0.4))

    def _some_lines(self) -> list[str]:
        return self.rng.choices((
            [self._opening(), "Confirm"], [self._opening(), "Confirm", "Confirm"], [self._opening(), "1", "Confirm", "status"],
            ["close scope=all", "1"], ["positions"], [self._note()], ["cancel scope=all"], ["fills"],
            ["halt", f"unhalt pin={PIN}"], ["kill"],
        ), weights=(30, 12, 10, 8, 4, 12, 6, 4, 2, 1))[0]

    async def _socket(self, one: int) -> None:
        while self.desk.alive:
            doings = (self._trade, self._twice, self._close, self._cancel, self._write, self._stop)
            await self.rng.choices(doings, weights=(30, 14, 14, 8, 12, 3))[0]()
            await asyncio.sleep(self.rng.uniform(0.0, 0.1))

    async def _trade(self) -> None:
        await self._insist(await self._buttons(self._opening(), "Confirm"))

    async def _insist(self, lines: list[str]) -> None:
        """Confirm; where the card was drawn again meanwhile, confirm that one, a few times."""
        for line in lines:
            for _ in range(4):
                again = await self._buttons(line, "Confirm")
                if not again:
                    break
                line = again[0]

    async def _twice(self) -> None:
        """Two, three or five presses of one card, from here and from the terminal."""
        for line in await self._buttons(self._opening(), "Confirm"):
            self.desk.type(line)
            await asyncio.gather(*(self._ask(line) for _ in range(self.rng.choice((2, 3, 5)))))

    async def _close(self) -> None:
        await self._insist(await self._buttons("close scope=all", "Confirm"))

    async def _cancel(self) -> None:
        lines = await self._buttons("cancel", "Cancel")
        if lines:
            await self._ask(self.rng.choice(lines))

    async def _write(self) -> None:
        await self._ask(self._note())

    async def _stop(self) -> None:
        await self._ask(self.rng.choice(("halt", "kill")))
        await asyncio.sleep(self.rng.uniform(0, 0.3))
        await self._ask(f"unhalt pin={PIN}")

    async def _buttons(self, line: str, label: str) -> list[str]:
        answer = await self._ask(line)
        actions = answer["json"]["actions"] if answer is not None else []
        return [action["line"] for action in actions if action["label"].startswith(label) and action["line"].startswith(label.lower())]

    async def _ask(self, line: str) -> dict[str, Any] | None:
        answer = await self.desk.ask(line)
        if answer is not None and answer["json"] is not None:
            self.answers += 1
            self.claims += claims_of_answer(answer)
            if line.startswith("note ") and answer["ok"]:
                self.claims.append(Claim(text=line, note=line.removeprefix("note ")))
            if line in ("halt", "kill") and answer["ok"]:
                self.claims.append(Claim(text=line, halted=True))
        return answer

    def _opening(self) -> str:
        delta, dte = self.rng.choice((0.1, 0.12, 0.16, 0.2, 0.25, 0.3)), self.rng.choice((30, 35, 40, 45, 50, 55))
        return self.rng.choice(OPENINGS).format(n=self.rng.randint(1, 5), delta=delta, dte=dte)

    def _note(self) -> str:
        text = f"remember {self.rng.getrandbits(48):012x}"
        self.notes[text] += 1
        return f"note {text}"
