"""One episode: a desk, a broker, a market, people and a fate that breaks things, all in virtual time and decided by one seed.

A *step* is one thing that happens to the desk: a message delivered or answered, a call of a machine, a request to the broker or its
report, an order taken or filled at the exchange, a settlement, a question to the data source, a write to the disk or a read of it at a
start, a fault, a start, a death. The checkers look after every one.

After the given number of steps everything is healed, and the desk has some minutes to come to rest: no order left hanging, every message
answered, a mode with a reason, books that agree with the broker's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from hashlib import blake2b
from random import Random
from typing import Any

import core.snapshots
from core.app import App, assemble, replay
from core.clock import LoopClock
from core.config import Config, parse_config
from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.events import Draft, Event
from core.errors import DeskError
from core.logs import Logs
from core.redaction import Redaction
from core.reply import Reply
from core.runtime import SeededEntropy, SimLoop, SimProcess, SimRuntime
from core.store.archive import ArchiveImage, MemoryArchive
from core.store.memory import Image, MemoryDisk
from tests.sim.broker import Line, Link
from tests.sim.chat import Chat, cheap_pins
from tests.sim.clearing import Clearing
from tests.sim.disk import Disk, SimStore, damaged_snapshots, restore, torn_tail
from tests.sim.exchange import Exchange
from tests.sim.fate import Fate, first_instant
from tests.sim.faults import CANARY, Faults, Rates, draw
from tests.sim.feed import FakeProvider
from tests.sim.invariants import Monitor, Violation
from tests.sim.machines import Machines
from tests.sim.market import Market
from tests.sim.people import SECOND_ACCOUNT, People

START_CASH = {"sim": Decimal(120_000), SECOND_ACCOUNT: Decimal(50_000)}
MOST_POSITIONS = 4
SNAPSHOT_EVERY = 250  # so that restarts begin from snapshots too
REST_SECONDS = 200.0
BUG_ID = re.compile(r"E[0-9A-Z]{7} (command|order) ")  # how the desk reports an error nobody expected


# Exits that are due within minutes, so that an episode sees many of them.
RESTLESS = {
    "strategies.put_credit_spread.profit_target": "0.05",
    "strategies.cash_secured_put.profit_target": "0.05",
    "exits.profit_target.share": "0.05",
    "exits.credit_stop.loss": "0.25",
    "exits.days_left.days": 40,
    "desk.exit_check_seconds": 10,
    "desk.stop_check_seconds": 3,
    "desk.stop_gap_seconds": 6,
    "desk.stop_opening_seconds": 0,
    "desk.stop_walk_seconds": 15,
}


def config_of(accounts: int, kind: str, *, restless: bool = False) -> Config:
    """One account or two at one broker; the second of a kind the seed decides."""
    names = ("sim", SECOND_ACCOUNT)[:accounts]
    kinds = {"sim": "reg_t", SECOND_ACCOUNT: kind}
    listed = [
        {"name": name, "broker": "paper", "id": f"SIM{number}", "env": "paper", "kind": kinds[name], "start_cash": int(START_CASH[name])}
        for number, name in enumerate(names, 1)
    ]
    settings = {"rules.positions.max_positions": MOST_POSITIONS, **(RESTLESS if restless else {})}
    return parse_config({"accounts": listed, "watch_list": ["XSP"], "settings": settings})


@dataclass(kw_only=True)
class Life:
    """One life of the desk, from its start to its death."""

    boot: int
    process: SimProcess
    runtime: SimRuntime
    store: SimStore
    archive: MemoryArchive
    logs: Logs
    feed: FakeProvider
    desk: Desk | None = None  # once it takes messages
    app: App | None = None
    was_paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an episode came to."""

    seed: int
    steps: int
    callbacks: int
    seconds: float
    faults: dict[str, int]
    crashes: int
    events: int
    orders: int
    fills: int
    violations: tuple[Violation, ...]
    errors: tuple[str, ...]  # what the desk reported as unexpected; not violations by themselves
    digest: str


@dataclass(slots=True)
class Platter:
    """What survives: the log and the archive, and what the last crash did to them."""

    log: MemoryDisk = field(default_factory=MemoryDisk)
    archive: ArchiveImage | None = None
    torn: Image | None = None  # the log as a start finds it that comes before the journal was rolled back
    full_until: float = -1.0


class World:
    """Everything of one episode."""

    def __init__(
        self,
        seed: int,
        *,
        steps: int,
        rates: Rates | None = None,
        habits: Mapping[str, float] | None = None,
        accounts: int | None = None,
        crash_at: tuple[int, str] | None = None,
        calm: bool = False,
    ) -> None:
        """`crash_at` kills the desk at its k-th durable write: before, in the middle of (torn) or after it. `calm`: a morning like any
        other, for a test of one fault; else the seed decides the day, the hour and whether the episode sees the close."""
        self.seed = seed
        self.most_steps = steps
        self.steps = 0
        entropy = SeededEntropy(seed)
        self.rng: Random = entropy.rng("fate")
        start = first_instant(self.rng, calm=calm)
        self.loop = SimLoop(seed, start, max_steps=steps * 400 + 1_000_000)
        self.entropy = entropy
        self.faults = Faults(rates if rates is not None else draw(entropy.rng("rates")), entropy.rng("faults"))
        self.clock = LoopClock(self.loop)
        self.market = Market(start, entropy.rng("market"), self.loop.time)
        drawn, kind = self.rng.choice((1, 1, 2)), self.rng.choice(("reg_t", "reg_t", "ira", "cash"))
        restless = self.rng.random() < 0.6
        self.config = config_of(accounts or (1 if calm else drawn), kind, restless=restless)
        names = {account.id: account.name for account in self.config.accounts}
        self.exchanges = {
            key: Exchange(self.loop, key, self.market, self.faults, self.step, START_CASH[name]) for key, name in names.items()
        }
        self.exchange = next(iter(self.exchanges.values()))  # the default account's
        self.lines = {key: Line(exchange) for key, exchange in self.exchanges.items()}
        self.clearing = {key: Clearing(exchange, entropy.rng("clearing", str(key))) for key, exchange in self.exchanges.items()}
        self.monitor = Monitor(
            self.exchanges, most_positions=MOST_POSITIONS, capital_fraction=Decimal("0.05"), stress_fraction=Decimal("0.20")
        )
        for exchange in self.exchanges.values():
            exchange.watcher = self.monitor
        self.chat = Chat(self)
        self.monitor.history.messages = self.chat.messages
        self.monitor.history.configured = {key: str(value) for key, value in (RESTLESS if restless else {}).items()}
        self.people = People(self.chat, self.market, entropy.rng("people"), habits or {}, accounts=len(self.exchanges))
        self.machines = Machines(self, entropy.rng("machines"))
        self.life: Life | None = None
        self.ghosts: list[Life] = []  # lives that were paused and replaced
        self.crashes = 0
        self.halt_file: str | None = None
        self.errors: list[str] = []
        self.outbound = blake2b(digest_size=16)
        self.platter = Platter()
        self.writes = 0
        self.healed = False
        self._crash_at = crash_at
        self._boots = 0
        self._world = self.loop.process("world")
        self.fate = Fate(self, calm=calm)

    # --- bookkeeping

    def step(self, what: str) -> None:
        """One thing happened."""
        self.steps += 1
        self.monitor.steps = self.steps
        self.outbound.update(f"{self.loop.time()!r} {what}\n".encode())

    def sent_out(self, reply: Reply) -> None:
        """What leaves the desk for a person belongs to the digest too."""
        self.outbound.update(repr((reply.blocks, reply.cites)).encode())

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something later, whatever becomes of the desk."""
        with self.loop.inside(self._world):
            self.loop.call_later(seconds, act)

    def step_clock(self, by: timedelta) -> None:
        """Step the desk's wall clock, not true time."""
        self.clock.step(by)
        if by < timedelta(0):
            self.monitor.history.put_back.append((self.loop.time(), -by.total_seconds()))

    def _full(self) -> bool:
        return self.loop.time() < self.platter.full_until

    def _planned_crash(self) -> str:
        self.writes += 1
        return self._crash_at[1] if self._crash_at is not None and self._crash_at[0] == self.writes else ""

    # --- the desk

    def boot(self) -> None:
        """Start the desk from what is durable."""
        if self.life is not None:
            return
        self._boots += 1
        self.step("boot")
        process = self.loop.process(f"desk {self._boots}")
        redaction = Redaction()
        redaction.add(CANARY)
        logs = Logs(redaction)
        runtime = SimRuntime(
            self.loop,
            self.seed,
            process=process.name,
            clock=self.clock,
            entropy=self.entropy.child("boot", self._boots),
            on_failure=lambda name, error: self._failed(logs, name, error),
        )
        boot = self._boots
        hooks = Disk(
            self.loop,
            self.faults,
            process=runtime.process,
            runtime=runtime,
            full=self._full,
            step=self.step,
            durable=lambda events: self.monitor.durable(self.platter.log.rows, events, boot=boot),
            archived=lambda operations: self.monitor.archived(operations, boot=boot),
            torn=self._torn,
            at_write=self._planned_crash,
        )
        torn, self.platter.torn = self.platter.torn, None
        disk = self.platter.log if torn is None else MemoryDisk.from_image(torn)
        store = SimStore(disk, hooks=hooks, clock=self.clock)
        life = self.life = Life(
            boot=boot,
            process=runtime.process,
            runtime=runtime,
            store=store,
            archive=MemoryArchive(image=self.platter.archive, faults=hooks),
            logs=logs,
            feed=FakeProvider(self.market, self.faults, runtime, self.step),
        )
        self.monitor.feed = life.feed
        self.loop.after_abandon(runtime.process, lambda: self._died(life))
        runtime.spawn(self._start(life, torn=torn is not None), name="start")
        self.fate.booted(life)

    async def _start(self, life: Life, *, torn: bool) -> None:
        try:
            life.store.disk.break_lock()  # its owner is dead, or was replaced by somebody who took the lock away from it
            token = await life.store.acquire_lease(f"boot {life.boot}")
            if not torn:
                self.monitor.took_over(life.boot)
            fold = await replay(life.store)
            if torn:
                self.monitor.find("16", "the desk went on with a log whose last write was torn")
            await self._assembled(life, token, fold)
        except DeskError as error:
            self.errors.append(f"start: {error}")
            self.loop.abandon(life.process)  # the process ends with a message; whoever watches it starts it again

    async def _assembled(self, life: Life, token: int, fold: Any) -> None:
        links = tuple(
            Link(
                line,
                boot=life.boot,
                process=life.process,
                durable_seq=lambda: len(self.platter.log.rows),
                now=self.clock.now,
            )
            for line in self.lines.values()
        )
        desk = await assemble(
            config=self.config,
            runtime=life.runtime,
            store=life.store,
            archive=life.archive,
            token=token,
            fold=fold,
            providers=(life.feed,),
            halt_reason=lambda: self.halt_file,
            brokers=links,
            logs=life.logs,
        )
        desk.write_halt, desk.clear_halt = self._write_halt, self._clear_halt
        desk.listen(lambda event, outcomes: self._folded(desk, event, outcomes))
        life.app = App(desk=desk, home=None)
        await life.app.start()
        life.desk = desk
        self.chat.desk_is_back()

    def _torn(self, drafts: Sequence[Draft]) -> None:
        """A write is about to be cut in the middle: sometimes the next start comes before the journal was rolled back."""
        if self.faults.rng.random() < 0.5:
            self.platter.torn = torn_tail(self.platter.log.image(), drafts, self.clock, self.faults.rng)

    def _died(self, life: Life) -> None:
        """Keep what is durable, check it, and start again in a while."""
        self.step("crash")
        self.monitor.left_behind(life.archive.durable_image(), life.logs)
        if life in self.ghosts:
            self.ghosts.remove(life)
            return
        self.crashes += 1
        if life.store.disk is self.platter.log:
            image = self.platter.log.image()
            if image.snapshots and self.faults.hits("torn_snapshot"):
                image = damaged_snapshots(image, self.faults.rng)
            restore(self.platter.log, image)
            self.platter.archive = life.archive.durable_image()
        self.life = None
        self.monitor.ended(self.platter.log.rows, None if life.desk is None else life.desk.fold)
        self.later(1.0 if self.healed else self.rng.uniform(0.5, 20.0), self.boot)

    def replace_paused(self) -> None:
        """The desk is stopped in its tracks; somebody starts another one, which takes the lease; then the old one wakes up."""
        old = self.life
        if old is None or old.desk is None or self.ghosts:
            return
        self.loop.pause(old.process)
        old.was_paused = True
        self.ghosts.append(old)
        self.platter.archive = old.archive.durable_image()
        self.life = None
        self.later(self.rng.uniform(0.1, 5.0), self.boot)
        self.later(self.rng.uniform(5.2, 40.0), lambda: self._wakes(old))

    def _wakes(self, old: Life) -> None:
        self.step("the replaced desk wakes up")
        self.loop.resume(old.process)
        self.later(self.rng.uniform(1.0, 30.0), lambda: self.loop.abandon(old.process) if old.process.alive else None)

    def _folded(self, desk: Desk, event: Event, outcomes: Any) -> None:
        if event.seq == desk.fold.seq == len(self.monitor.history.rows):
            self.monitor.folded(desk, event)
        self.monitor.announced(desk, event, outcomes)

    def _failed(self, logs: Logs, name: str, error: BaseException) -> None:
        logs.failed(name, error)
        self.errors.append(f"{name}: {type(error).__name__}: {error}")
        if not isinstance(error, DeskError | TimeoutError) or BUG_ID.match(name):
            self.monitor.find("bug", f"{name}: {type(error).__name__}: {error}")

    def _write_halt(self, reason: str) -> None:
        self.halt_file = self.monitor.history.halt_file = reason
        self.monitor.history.desk_halted_at = self.loop.time()

    def _clear_halt(self) -> None:
        self.halt_file = self.monitor.history.halt_file = None

    # --- the run

    def run(self) -> Result:
        """Run the episode to its end."""
        cheap_pins()
        every, core.snapshots.SNAPSHOT_EVERY = core.snapshots.SNAPSHOT_EVERY, SNAPSHOT_EVERY
        try:
            return self._run()
        finally:
            core.snapshots.SNAPSHOT_EVERY = every

    def _run(self) -> Result:
        self.fate.begin()
        self.boot()
        while self.steps < self.most_steps and not self.monitor.violations:
            self.loop.run_for(5.0)
        if not self.monitor.violations:
            self._heal()
        if not self.monitor.violations:
            self.monitor.at_rest(self.life, self.chat.open.values())
        result = self._result()
        self._end()
        return result

    def _end(self) -> None:
        """Let the tasks that are left end in peace: what they do now is nobody's business."""
        self.healed = True
        self.faults.heal()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.loop.close()

    def _heal(self) -> None:
        self.healed = True
        self.faults.heal()
        self.fate.heal()
        self.platter.full_until = -1.0
        self.platter.torn = None
        self.loop.run_for(REST_SECONDS)
        self.chat.send("owner-phone", "cancel scope=all")
        self.loop.run_for(REST_SECONDS)
        self.chat.send("owner-phone", "status")
        self.loop.run_for(30.0)

    def _result(self) -> Result:
        for failure in self.loop.failures:
            self.monitor.find("bug", f"{failure.get('message')}: {failure.get('exception')!r}")
        history = self.monitor.history
        whole = blake2b(digest_size=16)
        for part in (self.loop.digest, self.outbound.hexdigest(), history.rows[-1].hash if history.rows else ""):
            whole.update(part.encode())
        return Result(
            seed=self.seed,
            steps=self.steps,
            callbacks=self.loop.steps,
            seconds=self.loop.time(),
            faults=dict(sorted(self.faults.counts.items())),
            crashes=self.crashes,
            events=len(history.rows),
            orders=len(history.intents),
            fills=sum(row.kind == "Filled" for row in history.rows),
            violations=tuple(self.monitor.violations),
            errors=tuple(self.errors),
            digest=whole.hexdigest(),
        )


def episode(
    seed: int,
    *,
    steps: int,
    rates: Rates | None = None,
    habits: Mapping[str, float] | None = None,
    accounts: int | None = None,
    calm: bool = False,
) -> Result:
    """Run one seed. `rates` and `habits` replace what the seed would draw for faults and for people."""
    return World(seed, steps=steps, rates=rates, habits=habits, accounts=accounts, calm=calm).run()


def account_of(world: World, name: str) -> AccountId:
    """An account of the episode by its name."""
    return next(account.id for account in world.config.accounts if account.name == name)
