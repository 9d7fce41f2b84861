"""Plays golden transcripts: who says what, what the desk answers, which events result.

A transcript is Markdown a trader can read. Its first comment sets the stage:

    <!-- market: simulated; start: 2026-11-20; cash: 100000 -->
    <!-- market: recorded; start: 2019-04-25 -->

Inside ```desk fences a line that starts with `> ` is said by the person; what follows, up to the next such line, is the desk's answer, word
for word. Three stage directions stand beside what is said: `> !wait 130` lets that many seconds pass, `> !kill before the wire` and
`> !kill after the wire` end the process at the next order like `kill -9` would, and start it again from what was on the disk,
`> !events` lists the log's new events.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from bot.auth import local_owner
from bot.render import render
from bot.session import Session
from core import plugins
from core.announce import announce
from core.app import App, assemble, replay
from core.clock import EXCHANGE_ZONE, ManualClock
from core.config import parse_config
from core.runtime import SimLoop, SimRuntime
from core.store.archive import MemoryArchive
from core.store.memory import MemoryStore

FENCE = re.compile(r"```desk\n(.*?)```", re.DOTALL)
STAGE = re.compile(r"<!--(.*?)-->")


class Killed(BaseException):
    """The process ended here, as by kill -9."""


@dataclass(kw_only=True)
class Stage:
    """What a transcript's first comment asks for."""

    market: str = "simulated"
    start: date = date(2026, 11, 20)
    seed: int = 1
    cash: str = "100000"
    data_dir: Path | None = None

    @classmethod
    def of(cls, text: str, data_dir: Path | None) -> Stage:
        """Read the first comment."""
        found = STAGE.search(text)
        pairs = dict(part.split(":", 1) for part in found.group(1).split(";")) if found else {}
        said = {key.strip(): value.strip() for key, value in pairs.items()}
        return cls(
            market=said.get("market", "simulated"), start=date.fromisoformat(said.get("start", "2026-11-20")), seed=int(said.get("seed", "1")),
            cash=said.get("cash", "100000"), data_dir=data_dir,
        )


@dataclass(kw_only=True)
class Theatre:
    """One desk in memory, played with by a script."""

    stage: Stage
    cache_dir: Path
    loop: SimLoop = field(init=False)
    boots: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        self.loop = SimLoop(seed=self.stage.seed, start=datetime(2026, 1, 1, tzinfo=UTC))
        self.clock = ManualClock(datetime.combine(self.stage.start, time(10, 0), EXCHANGE_ZONE).astimezone(UTC))
        self.provider = self._provider()
        self.store = MemoryStore(clock=self.clock)
        self.archive = MemoryArchive()
        self.app: App | None = None
        self.news: list[tuple[Any, Any]] = []
        self.told: set[str] = set()

    def play(self, script: str) -> str:
        """Perform a fence's lines; returns the fence as it should read."""
        said = [line for line in script.splitlines() if line.startswith("> ")]
        parts = [f"{line}\n{self._perform(line[2:])}".rstrip() for line in said]
        return "\n\n".join(parts) + "\n"

    # --- inside ----------------------------------------------------------------------------------------------------------

    def _provider(self) -> Any:
        module = plugins.load("providers", self.stage.market)
        if self.stage.market == "recorded":
            parameters = module.PARAMETERS(data_dir=self.stage.data_dir, cache_dir=self.cache_dir, start=self.stage.start)
            provider = module.build(parameters, clock=self.clock)
            self.clock.set(provider.first_instant, allow_backward=True)
            return provider
        return module.build(module.PARAMETERS(seed=self.stage.seed), clock=self.clock)

    def _perform(self, line: str) -> str:
        if line.startswith("!"):
            return self._direct(line[1:].strip())
        try:
            return self._run(lambda: self._said(line))
        except Killed:
            self._restart()
            return "(the process is killed here, and started again)\n" + self._flush()

    def _direct(self, order: str) -> str:
        if order.startswith("wait "):
            self.clock.advance(timedelta(seconds=float(order[5:])))
            return ""
        if order == "events":
            return self._run(self._events)
        if order in ("kill before the wire", "kill after the wire"):
            self._run(lambda: self._arm(before=order == "kill before the wire"))
            return ""
        if order == "kill":
            self._restart()
            return self._flush()
        raise ValueError(f"there is no stage direction {order!r}")

    async def _said(self, line: str) -> str:
        shown = await self.session.hear(line)
        return self._flush() + render(shown.reply, shown.buttons)

    def _flush(self) -> str:
        if self.app is None:
            return ""
        text = ""
        for event, outcomes in self.news:
            told = announce(event, outcomes, self.app.desk.books)
            if told is not None and told.key not in self.told:
                self.told.add(told.key)
                text += f"{render(told.reply)}\n\n"
        self.news.clear()
        return text

    async def _events(self) -> str:
        events = await self.store.read(after=self.seen)
        self.seen = events[-1].seq if events else self.seen
        return "\n".join(f"{event.seq:>3} {event.kind}" for event in events)

    async def _arm(self, *, before: bool) -> None:
        assert self.app is not None
        for broker in self.app.desk.brokers.values():
            submit = broker.submit

            async def killed(order: Any, submit: Callable[[Any], Awaitable[str]] = submit) -> str:
                if not before:
                    await submit(order)
                raise Killed

            broker.submit = killed  # type: ignore[method-assign]

    def _restart(self) -> None:
        self.runtime.kill()
        self.store = MemoryStore.from_image(self.store.durable_image(), clock=self.clock)
        self.archive = MemoryArchive.from_image(self.archive.durable_image())
        self.app = None
        self._run(self._nothing)

    async def _nothing(self) -> str:
        return ""

    def _run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        if self.app is None:
            self.boots += 1
            self.runtime = SimRuntime(self.loop, f"{self.stage.seed}/{self.boots}", clock=self.clock, process=f"desk {self.boots}")
            self.runtime.run(self._boot())
        return self.runtime.run(self._await(work))

    async def _await(self, work: Callable[[], Awaitable[Any]]) -> Any:
        return await work()

    async def _boot(self) -> None:
        account = {"name": "practice", "broker": "paper", "id": "PRACTICE", "env": "paper", "kind": "reg_t", "start_cash": self.stage.cash}
        config = parse_config({"accounts": [account]})
        token = await self.store.acquire_lease(f"boot {self.boots}")
        desk = await assemble(
            config=config, runtime=self.runtime, store=self.store, archive=self.archive, token=token, fold=await replay(self.store),
            providers=(self.provider,), halt_reason=lambda: None,
        )
        self.app = App(desk=desk, home=None, background=False)
        desk.listen(self._heard)
        await self.app.start()
        self.session = Session(desk, person=local_owner(), chat="terminal")

    def _heard(self, event: Any, outcomes: Any) -> None:
        self.news.append((event, outcomes))


def perform(path: Path, *, data_dir: Path | None, cache_dir: Path) -> tuple[str, str]:
    """The transcript as written and as it plays now."""
    written = path.read_text(encoding="utf-8")
    theatre = Theatre(stage=Stage.of(written, data_dir), cache_dir=cache_dir)
    played = FENCE.sub(lambda found: f"```desk\n{theatre.play(found.group(1))}```", written)
    return written, played
