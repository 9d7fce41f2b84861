"""Lives and deaths of one desk: started, talked to, killed at a random or a chosen moment, compared, started again.

A *cycle* is one process killed by SIGKILL. After each death the log as it lies on the disk is held against the exchange's books and
against everything the dead process had said; after each start, once the desk has reconciled, every execution must be in the log. At the
end of a home everything is healed and brought to rest, and then books and log must be equal and `doctor --audit` sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.blackbox.checker import Checker, Claim, claims_of_text
from tests.blackbox.load import People
from tests.blackbox.machine import PIN, READY, Desk, Died, Exchange, Home, Warm

HABITS = {
    "fill_at_once": 0.3, "fill_a_tick": 0.15, "stubborn": 0.15, "partial": 0.5, "late_report": 0.15, "too_late": 0.15, "refuse": 0.04,
    "refuse_late": 0.04, "refuse_replace": 0.1, "correct": 0.05,
}
WEATHERS: tuple[dict[str, Any], ...] = (
    {}, {}, {},
    {"drop_answer": 0.15}, {"drop_request": 0.15}, {"delay_request": 0.2}, {"delay_answer": 0.2, "delay_seconds": 2.5}, {"hang_up": 0.1},
    {"repeat": 0.5, "cut": 0.3}, {"drop_answer": 0.4, "only": ["submit", "replace", "cancel"]},
    {"delay_request": 0.4, "delay_seconds": 0.4, "only": ["submit", "cancel", "replace"]},
    {"drop_request": 0.05, "drop_answer": 0.05, "delay_answer": 0.1, "hang_up": 0.03, "repeat": 0.3, "cut": 0.1},
)
TRAPS = (
    *("submit:arrived", "submit:done", "submit:answered") * 4, "replace:arrived", "replace:done", "cancel:arrived", "cancel:done",
    "preview:answered", "updates:done", "updates:answered",
)
RECOVERY_TRAPS = ("hello:arrived", "hello:done", "hello:answered", "snapshot:arrived", "snapshot:done", "snapshot:answered")
LIFE_ANSWERS = 12  # about how many answers a desk gives before it dies
LONGEST_LIFE_SECONDS = 12.0
STEP_SECONDS = 0.002
REST_SECONDS = 90.0
SLOW_SECONDS = 180.0  # nothing is wrong with a start that takes long on a busy machine
LIVES = 25  # deaths of one home


@dataclass(slots=True)
class Tally:
    """What happened in all."""

    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    homes: int = 0
    orders: int = 0
    fills: int = 0
    requests: int = 0
    events: int = 0
    answers: int = 0
    claims: int = 0
    unknown: int = 0
    taken_over: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def cycles(self) -> int:
        """Processes killed."""
        return sum(self.kills.values())


class Campaign:
    """One home from its first start to its last audit."""

    def __init__(self, home: Home, *, seed: int, tally: Tally, life_answers: int, weathers: tuple[dict[str, Any], ...]) -> None:
        self.home = home
        self.life_answers = life_answers
        self.weathers = weathers
        self.rng = random.Random(seed)
        self.tally = tally
        self.checker = Checker(home.data)
        self.notes: Counter[str] = Counter()
        self.claims: list[Claim] = []
        self.seed = seed
        self.sprung = 0

    async def run(self, lives: int, *, only: str | None = None) -> None:
        """Live and die so often, then come to rest. `only`: always at this moment."""
        await self.home.habits(**HABITS)
        for life in range(lives):
            moment = self._moment() if only is None else getattr(self, only)
            began = time.monotonic()
            await moment()
            if time.monotonic() - began > 30:
                print(f"seed {self.seed}: life {life} took {time.monotonic() - began:.0f} s ({moment.__name__})", flush=True)
        await self.rest()
        self._count()

    def _moment(self) -> Callable[[], Awaitable[None]]:
        choices = (
            (self.at_random, 30), (self.at_the_wire, 34), (self.in_an_append, 14), (self.in_the_start, 10), (self.in_the_recovery, 14),
            (self.in_a_stop, 6), (self.in_a_backup, 4), (self.one_command, 6), (self.overtaken, 3), (self.two_at_once, 3),
            (self.half_open, 4),
        )
        return self.rng.choices([made for made, _ in choices], [weight for _, weight in choices])[0]

    # --- moments to die ----------------------------------------------------------------------------------------------------

    async def at_random(self) -> None:
        """Somewhere in its life."""
        desk, people = await self._living()
        await self._live(people, 2.0)
        await asyncio.sleep(self.rng.uniform(0.0, 0.2))
        await self._die(desk, people, "at random")

    async def at_the_wire(self) -> None:
        """At the n-th time a request arrives at the exchange, was processed, or was answered."""
        moment, nth = self.rng.choice(TRAPS), self.rng.randint(1, 3)
        desk, people = await self._living(trap=(moment, nth))
        await people.heard(3 * self.life_answers, seconds=LONGEST_LIFE_SECONDS)
        await self._die(desk, people, "waiting for a trap")

    async def in_an_append(self) -> None:
        """While the write-ahead file of the log or of the tables is being written: a moment after its size changed."""
        desk, people = await self._living()
        name = self.rng.choice(("desk.db-wal", "desk.db-wal", "archive.db-wal"))
        await self._live(people, 1.0)
        path, until = self.home.data / name, time.monotonic() + 2
        before = _size(path)
        while _size(path) == before and time.monotonic() < until and desk.alive:
            await asyncio.sleep(STEP_SECONDS / 4)
        await asyncio.sleep(self.rng.choice((0, 0, STEP_SECONDS / 2, STEP_SECONDS)))
        await self._die(desk, people, "in an append")

    async def in_the_start(self) -> None:
        """Before it is ready: opening, migrating, replaying, connecting."""
        await self._weather()
        desk = await self._start()
        await asyncio.sleep(self.rng.uniform(0.0, 0.35))
        await self._die(desk, None, "in the start")

    async def in_the_recovery(self) -> None:
        """At a chosen moment of its reconciliation, some of it with new executions to book."""
        await self._weather()
        desk = await self._start(trap=(self.rng.choice(RECOVERY_TRAPS), self.rng.choice((1, 1, 1, 2))))
        people = People(desk, self.rng, self.notes)
        people.come(at_the_socket=1)
        with contextlib.suppress(TimeoutError):
            await desk.gone(3)
        await self._die(desk, people, "in the recovery")

    async def in_a_stop(self) -> None:
        """While it ends in good order: last answers, snapshot, lease, files."""
        desk, people = await self._living()
        await self._live(people, 1.0)
        desk.signal(signal.SIGTERM)
        await asyncio.sleep(self.rng.choice((0.0, 0.05, 0.3, 0.6, 1.0)) + self.rng.uniform(0, 0.1))
        await self._die(desk, people, "in a stop")

    async def in_a_backup(self) -> None:
        """While another process makes a backup; that one is killed too, or allowed to end and then believed."""
        desk, people = await self._living()
        await self._live(people, 0.5)
        folder = self.home.path / f"backup.{self.home.starts}"
        backup = await self.home.start("backup", str(folder))
        if self.rng.random() < 0.5:
            await asyncio.sleep(self.rng.uniform(0, 0.15))
            backup.signal(signal.SIGKILL)
        await asyncio.sleep(self.rng.uniform(0, 0.1))
        await self._die(desk, people, "in a backup")
        if await backup.gone() == 0:
            await self._believe(folder)

    async def half_open(self) -> None:
        """While the exchange takes every byte and answers nothing: with orders on their way, or already given up."""
        desk, people = await self._living()
        await self._live(people, 1.0)
        await self.home.faults(black_hole=True)
        await asyncio.sleep(self.rng.uniform(0.1, 6.0))
        await self._die(desk, people, "half open")

    async def one_command(self) -> None:
        """A single command, `do`, that opens the desk for itself, killed anywhere; before it, one that runs to its end."""
        await self._weather(calm=True)
        _, said, _ = await self.home.run("do", "close scope=all" if self.rng.random() < 0.5 else "positions")
        self._hear(said.splitlines())
        desk = await self.home.start("do", self._a_line())
        await asyncio.sleep(self.rng.uniform(0.05, 0.9))
        await self._die(desk, None, "one command")

    async def overtaken(self) -> None:
        """Stopped in the middle of its work; a second process finds the desk owned and changes nothing; the first goes on; then it dies."""
        desk, people = await self._living()
        await self._live(people, 1.0)
        desk.signal(signal.SIGSTOP)
        second = await self._start()
        code = await second.gone()
        if code != 1 or "owns" not in second.text + second.trouble:
            self.checker.wrong.append(f"23: a second process on an owned desk ended with {code}: {second.text[-300:]}")
        desk.signal(signal.SIGCONT)
        await asyncio.sleep(self.rng.uniform(0.1, 1.0))
        await self._die(desk, people, "stopped and gone on")

    async def two_at_once(self) -> None:
        """Stopped, and its lock taken from it; a second process takes the lease; the first wakes and may write and send nothing."""
        desk, people = await self._living()
        await self._live(people, 1.0)
        desk.signal(signal.SIGSTOP)
        for name in ("desk.db.lock", "archive.db.lock", "desk.sock"):
            (self.home.data / name).unlink(missing_ok=True)
        second = await self._start()
        try:
            await second.hears(re.escape(READY), seconds=SLOW_SECONDS)
        except Died:  # stopped in the middle of an append, the first one has the database itself
            if "another program holds the database" not in second.text:
                self.checker.wrong.append(f"23: a second process could not take over: {second.text[-300:]}")
            await second.gone()
            await self._die(desk, people, "stopped in an append")
            return
        sent = len((await self.home.books())["requests"])
        desk.signal(signal.SIGCONT)
        late = [f"remember {self.rng.getrandbits(48):012x}" for _ in range(3)]
        desk.type(*(f"note {text}" for text in late), "open put_credit_spread XSP quantity=1", "Confirm", "close scope=all", "1")
        newcomers = People(second, self.rng, self.notes)
        newcomers.come(at_the_socket=1)
        await newcomers.heard(4, seconds=LONGEST_LIFE_SECONDS)
        await asyncio.sleep(1)
        after = [request for request in (await self.home.books())["requests"][sent:] if request["pid"] == desk.pid]
        orders = [request for request in after if request["op"] in ("submit", "replace", "cancel")]
        if orders:
            self.checker.wrong.append(f"23: a desk that had lost its lease sent {orders}")
        self._hear(desk.said)
        await desk.kill()
        await people.leave()
        await self._die(second, newcomers, "after a take-over")
        kept = [text for text in late if self.checker.log.notes[text]]
        if kept:
            self.checker.wrong.append(f"23: a desk that had lost its lease wrote {kept}")
        self.tally.taken_over += 1

    # --- parts of a life ----------------------------------------------------------------------------------------------------

    async def _living(self, *, trap: tuple[str, int] | None = None) -> tuple[Desk, People]:
        """A desk that started and reconciled, or is at it, with people talking to it."""
        await self._weather()
        desk = await self._start(cold=self.rng.random() < 0.03)
        with contextlib.suppress(TimeoutError):
            await desk.hears(re.escape(READY), seconds=SLOW_SECONDS)
            await self._reconciled()
            if self.rng.random() < 0.9:
                await desk.ask(f"unhalt pin={PIN}")  # a HALT outlives its process, and most people want to trade
        if trap is not None:
            await self.home.exchange.do("trap", self.home.account, pid=desk.pid, moment=trap[0], nth=trap[1])
        people = People(desk, self.rng, self.notes)
        people.come(at_the_socket=self.rng.randint(1, 2))
        return desk, people

    async def _live(self, people: People, share: float) -> None:
        """Let people talk for a while: from nothing up to so many lives' answers."""
        await people.heard(self.rng.randint(0, max(1, round(share * self.life_answers))), seconds=LONGEST_LIFE_SECONDS)

    async def _start(self, *, trap: tuple[str, int] | None = None, cold: bool = False) -> Desk:
        self.tally.starts += 1
        desk = await self.home.start(cold=cold)
        if trap is not None:
            with contextlib.suppress(ProcessLookupError):
                await self.home.exchange.do("trap", self.home.account, pid=desk.pid, moment=trap[0], nth=trap[1])
        return desk

    async def _reconciled(self) -> None:
        """Every execution up to the desk's own reconciliation is in its log; a desk still in RECOVERY has said nothing yet."""
        self.checker.read(dead=False)
        books = await self.home.books()
        self.checker.agrees(books)
        self.checker.heard_everything(books, epoch=books["epoch"])

    async def _die(self, desk: Desk, people: People | None, how: str) -> None:
        """kill -9 where it still lives, and look at what is left."""
        await desk.kill()
        code = await desk.gone()
        if people is not None:
            self.claims += await people.leave()
            self.tally.answers += people.answers
        else:
            self._hear(desk.said)
        await self.home.exchange.do("untrap", self.home.account)
        if code == -signal.SIGKILL:
            self.tally.kills[await self._sprung() or how] += 1
        elif (code not in (0, 1) and not (code == -signal.SIGTERM and READY not in desk.text)) or "Traceback" in desk.trouble:
            self.checker.wrong.append(f"J: pid {desk.pid} ended by itself with {code} ({how}): {desk.trouble[-2000:]} {desk.text[-500:]}")
        await self._compare()

    async def _sprung(self) -> str:
        """The moment at which the exchange killed it, if it was the exchange."""
        sprung: list[str] = (await self.home.books())["sprung"]
        new, self.sprung = sprung[self.sprung :], len(sprung)
        return f"trap {new[0]}" if new else ""

    async def _compare(self) -> None:
        """The log of a dead process against the books and what was said."""
        self.checker.read(dead=True)
        books = await self.home.books()
        self.checker.agrees(books)
        self.checker.writes_ahead(books["requests"])
        self.checker.heard_everything(books, epoch=books["epoch"])
        self.tally.claims += len(self.claims)
        self.checker.keeps(self.claims)
        self.checker.doubles(self.notes)

    async def _weather(self, *, calm: bool = False) -> None:
        """What goes wrong on the wire in this life; now and then the exchange restarts and numbers from an earlier place."""
        await self.home.faults(**({} if calm else self.rng.choice(self.weathers)))
        if self.rng.random() < 0.1:
            await self.home.exchange.do("bounce", self.home.account)

    async def _believe(self, folder: Path) -> None:
        """A backup that was said to be whole is, and a prefix of the log."""
        backed = Checker(folder)
        backed.read(dead=True)
        ours = self.checker.log.rows
        theirs = backed.log.rows
        if not theirs or [row.hash for row in theirs] != [row.hash for row in ours[: len(theirs)]]:
            self.checker.wrong.append(f"H6: the backup in {folder.name} is no beginning of the log ({len(theirs)} of {len(ours)} events)")

    # --- the end ------------------------------------------------------------------------------------------------------------

    async def rest(self) -> None:
        """Heal everything, let the desk come to rest, and compare for equality."""
        await self.home.faults()
        await self.home.habits(refuse=0, refuse_late=0, too_late=0, late_report=0, refuse_replace=0)
        desk = await self._start(cold=True)
        await desk.hears(re.escape(READY), seconds=SLOW_SECONDS)
        await desk.ask(f"unhalt pin={PIN}")
        until, left = time.monotonic() + REST_SECONDS, ["nothing was asked yet"]
        while left and time.monotonic() < until:
            await desk.ask("cancel scope=all")
            await self.home.exchange.do("freeze", self.home.account, on=True)
            await asyncio.sleep(0.5)
            self.checker.read(dead=False)
            left = self.checker.rests(await self.home.books())
        self.checker.wrong += [f"27: at rest {sentence}" for sentence in left]
        status = await desk.ask("status")
        if status is None or "mode             ACTIVE" not in status["text"]:
            self.checker.wrong.append(f"27: healed and at rest, and yet {status and status['text']}")
        if await desk.stop() != 0:
            self.checker.wrong.append(f"J: the last stop failed: {desk.trouble[-2000:]}")
        await self._compare()
        code, said, errors = await self.home.run("doctor", "--audit")
        if code != 0:
            self.checker.wrong.append(f"16: doctor --audit: {said} {errors}")

    def _count(self) -> None:
        log = self.checker.log
        self.tally.homes += 1
        self.tally.orders += len(log.orders)
        self.tally.fills += len(log.fills)
        self.tally.events += len(log.rows)
        self.tally.unknown += sum(row.kind == "OrderUnknown" for row in log.rows)
        self.tally.wrong += [f"{self.home.account} (seed {self.seed}) {sentence}" for sentence in self.checker.wrong]

    def _hear(self, lines: list[str]) -> None:
        self.claims += claims_of_text(lines)

    def _a_line(self) -> str:
        note = f"remember {self.rng.getrandbits(48):012x}"
        self.notes[note] += 1
        return self.rng.choice(("open put_credit_spread XSP quantity=1", "kill", "cancel scope=all", f"note {note}", "status"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


async def one_home(
    root: Path, exchange: Exchange, warm: Warm, *, name: str, seed: int, lives: int, tally: Tally, life_answers: int = LIFE_ANSWERS,
    weathers: tuple[dict[str, Any], ...] = WEATHERS, planted: str = "", only: str | None = None,
) -> Campaign:
    """A home's whole story."""
    home = await Home.make(root, exchange, warm, name=name, seed=seed)
    if planted:
        home.env["DESK_PLANTED"] = planted
    campaign = Campaign(home, seed=seed, tally=tally, life_answers=life_answers, weathers=weathers)
    try:
        await campaign.run(lives, only=only)
    except (Died, TimeoutError, OSError) as error:
        campaign.checker.wrong.append(f"J: {type(error).__name__}: {error}")
        for desk in [desk for desk in warm.desks if desk.home == home.data]:
            await desk.kill()
        campaign._count()
    tally.requests += len((await home.books())["requests"])
    return campaign
