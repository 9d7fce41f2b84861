"""One episode: a desk, a broker, a market, people and a fate that breaks things, all in virtual time and decided by one seed.

A *step* is one thing that happens to the desk: a message delivered or answered, a request to the broker or its report, an order taken or
filled at the exchange, a question to the data source, a write to the disk, a fault, a restart. The checkers look after every one.

After the given number of steps everything is healed, and the desk has some minutes to come to rest: no order left hanging, every message
answered, a mode with a reason, books that agree with the broker's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from random import Random

import core.app
from core.app import App, assemble, replay
from core.clock import LoopClock
from core.config import parse_config
from core.desk import Desk
from core.domain.events import Event, Mode
from core.domain.orders import OrderState
from core.errors import DeskError
from core.runtime import SeededEntropy, SimLoop, SimProcess, SimRuntime
from core.store.archive import ArchiveImage, MemoryArchive
from core.store.memory import Image, MemoryStore
from tests.sim.broker import Exchange, Link
from tests.sim.chat import Chat, People
from tests.sim.disk import Disk
from tests.sim.faults import Faults, Rates, draw
from tests.sim.invariants import Monitor, Violation
from tests.sim.market import FakeProvider, Market

START = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)  # a Tuesday, 10:00 in New York
START_CASH = Decimal(60000)
MOST_POSITIONS = 3
SNAPSHOT_EVERY = 150  # so that restarts begin from snapshots too
REST_SECONDS = 200.0
CONFIG = parse_config(
    {
        "accounts": [{"name": "sim", "broker": "paper", "id": "SIM", "env": "paper", "kind": "reg_t", "start_cash": int(START_CASH)}],
        "watch_list": ["XSP"],
        "settings": {"rules.positions.max_positions": MOST_POSITIONS},
    }
)
BUG_ID = re.compile(r"E[0-9A-Z]{7} (command|order) ")  # how the desk reports an error nobody expected


@dataclass(kw_only=True)
class Life:
    """One life of the desk, from its start to its death."""

    boot: int
    process: SimProcess
    runtime: SimRuntime
    store: MemoryStore
    archive: MemoryArchive
    desk: Desk | None = None  # once it takes messages
    app: App | None = None


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
class _Disk:
    """What survives: the log and the archive."""

    log: Image = field(default_factory=Image)
    archive: ArchiveImage | None = None
    full_until: float = -1.0


class World:
    """Everything of one episode."""

    def __init__(self, seed: int, *, steps: int, rates: Rates | None = None, habits: Mapping[str, float] | None = None) -> None:
        self.seed = seed
        self.most_steps = steps
        self.steps = 0
        self.loop = SimLoop(seed, START, max_steps=steps * 400 + 1_000_000)
        entropy = SeededEntropy(seed)
        self.entropy = entropy
        self.faults = Faults(rates if rates is not None else draw(entropy.rng("rates")), entropy.rng("faults"))
        self.rng: Random = entropy.rng("fate")
        self.clock = LoopClock(self.loop)
        self.market = Market(START, entropy.rng("market"), self.loop.time)
        self.exchange = Exchange(self.loop, CONFIG.accounts[0].id, self.market, self.faults, self.step, START_CASH)
        self.monitor = Monitor(
            self.exchange, most_positions=MOST_POSITIONS, capital_fraction=Decimal("0.05"), margin_fraction=Decimal("0.50")
        )
        self.exchange.watcher = self.monitor
        self.chat = Chat(self)
        self.monitor.history.messages = self.chat.messages
        self.people = People(self.chat, self.market, entropy.rng("people"), habits or {})
        self.life: Life | None = None
        self.crashes = 0
        self.halt_file: str | None = None
        self.errors: list[str] = []
        self.outbound = blake2b(digest_size=16)
        self._disk = _Disk()
        self._boots = 0
        self._world = self.loop.process("world")
        self._skew = timedelta(0)
        self._healed = False

    # --- bookkeeping

    def step(self, what: str) -> None:
        """One thing happened."""
        self.steps += 1
        self.monitor.steps = self.steps
        self.outbound.update(f"{self.loop.time()!r} {what}\n".encode())

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something later, whatever becomes of the desk."""
        with self.loop.inside(self._world):
            self.loop.call_later(seconds, act)

    def _full(self) -> bool:
        return self.loop.time() < self._disk.full_until

    # --- the desk

    def boot(self) -> None:
        """Start the desk from what is durable."""
        if self.life is not None:
            return
        self._boots += 1
        self.step("boot")
        process = self.loop.process(f"desk {self._boots}")
        runtime = SimRuntime(
            self.loop,
            self.seed,
            process=process.name,
            clock=self.clock,
            entropy=self.entropy.child("boot", self._boots),
            on_failure=self._failed,
        )
        process = runtime.process
        disk = Disk(self.loop, self.faults, process=process, runtime=runtime, full=self._full, step=self.step, durable=self._durable)
        archive = MemoryArchive(image=self._disk.archive, faults=disk)
        store = MemoryStore.from_image(self._disk.log, clock=self.clock, faults=disk)
        life = self.life = Life(boot=self._boots, process=process, runtime=runtime, store=store, archive=archive)
        self.loop.after_abandon(process, lambda: self._died(life))
        runtime.spawn(self._start(life), name="start")

    async def _start(self, life: Life) -> None:
        try:
            token = await life.store.acquire_lease(f"boot {life.boot}")
            fold = await replay(life.store)
            link = Link(
                self.exchange, boot=life.boot, process=life.process, durable_seq=lambda: life.store.disk.head.seq, now=self.clock.now
            )
            desk = await assemble(
                config=CONFIG,
                runtime=life.runtime,
                store=life.store,
                archive=life.archive,
                token=token,
                fold=fold,
                providers=(FakeProvider(self.market, self.faults, life.runtime, self.step),),
                halt_reason=lambda: self.halt_file,
                brokers=(link,),
            )
            desk.write_halt, desk.clear_halt = self._write_halt, self._clear_halt
            desk.listen(lambda event, outcomes: self._folded(desk, event))
            life.app = App(desk=desk, home=None)
            await life.app.start()
            life.desk = desk
            self.chat.desk_is_back()
        except DeskError as error:
            self.errors.append(f"start: {error}")
            self.loop.abandon(life.process)  # the process ends with a message; whoever watches it starts it again

    def _died(self, life: Life) -> None:
        """Keep what is durable, check it, and start again in a while."""
        self.crashes += 1
        self.step("crash")
        self._disk.log, self._disk.archive = life.store.durable_image(), life.archive.durable_image()
        self.life = None
        live = None if life.desk is None else (life.desk.fold.seq, life.desk.fold.digest())
        self.monitor.ended(self._disk.log.rows, live, self.rng)
        self.later(1.0 if self._healed else self.rng.uniform(0.5, 20.0), self.boot)

    def _durable(self, events: Sequence[Event]) -> None:
        assert self.life is not None
        self.monitor.durable(self.life.store.disk.rows, events)

    def _folded(self, desk: Desk, event: Event) -> None:
        if event.seq == desk.fold.seq == len(self.monitor.history.rows):
            self.monitor.folded(desk)

    def _failed(self, name: str, error: BaseException) -> None:
        self.errors.append(f"{name}: {type(error).__name__}: {error}")
        if not isinstance(error, DeskError | TimeoutError) or BUG_ID.match(name):
            self.monitor.find("bug", f"{name}: {type(error).__name__}: {error}")

    def _write_halt(self, reason: str) -> None:
        self.halt_file = self.monitor.history.halt_file = reason

    def _clear_halt(self) -> None:
        self.halt_file = self.monitor.history.halt_file = None

    # --- fate

    def _per_minute(self, name: str, act: Callable[[], object]) -> None:
        """Let something happen at a rate, at random moments."""
        rate = getattr(self.faults.rates, name)
        if rate <= 0:
            return

        def happen() -> None:
            if self._healed:
                return
            self.step(name)
            self.faults.count(name)
            act()
            self.later(self.rng.expovariate(rate / 60), happen)

        self.later(self.rng.expovariate(rate / 60), happen)

    def _begin(self) -> None:
        uniform = self.rng.uniform
        self._per_minute("disconnects_per_minute", lambda: self.exchange.disconnect(uniform(0, 25), silent=self.rng.random() < 0.3))
        self._per_minute("rolls_per_minute", self.exchange.roll)
        self._per_minute("outside_per_minute", self.exchange.outside_trade)
        self._per_minute("jumps_per_minute", lambda: self.market.jump(self.rng.gauss(0, 0.004)))
        self._per_minute("full_disks_per_minute", self._fill_disk)
        self._per_minute("crashes_per_minute", self._crash)
        self._per_minute("clock_jumps_per_minute", self._sleep)
        self._per_minute("clock_steps_per_minute", self._step_clock)
        self.later(5.0, self._someone_acts)
        self.later(self.rng.uniform(60, 900), self._deploy)

    def _someone_acts(self) -> None:
        if not self._healed:
            self.later(self.people.act(), self._someone_acts)

    def _fill_disk(self) -> None:
        self._disk.full_until = self.loop.time() + self.rng.uniform(1, 30)

    def _crash(self) -> None:
        if self.life is not None:
            self.loop.abandon(self.life.process)

    def _sleep(self) -> None:
        """The machine was suspended: time has passed for the whole world, and no timer ran."""
        by = timedelta(seconds=self.rng.choice((45, 200, 900)))
        self.clock.step(by)
        self.market.skip(by)

    def _step_clock(self) -> None:
        """A time server corrects this machine's clock, or gets it wrong for a while."""
        by = timedelta(seconds=self.rng.choice((-20, -5, -2, 2, 5, 20)))
        if abs(self._skew + by) <= timedelta(seconds=30):
            self._skew += by
            self.clock.step(by)

    def _deploy(self) -> None:
        """A clean stop and start, which keeps a snapshot."""
        life = self.life
        if self._healed or life is None or life.app is None or life.desk is None:
            return
        self.step("deploy")
        app = life.app

        async def stop() -> None:
            await app.stop()
            self.loop.abandon(life.process)

        with self.loop.inside(life.process):
            self.loop.create_task(stop(), name="deploy")

    # --- the run

    def run(self) -> Result:
        """Run the episode to its end."""
        every, core.app.SNAPSHOT_EVERY = core.app.SNAPSHOT_EVERY, SNAPSHOT_EVERY
        try:
            return self._run()
        finally:
            core.app.SNAPSHOT_EVERY = every

    def _run(self) -> Result:
        self._begin()
        self.boot()
        while self.steps < self.most_steps and not self.monitor.violations:
            self.loop.run_for(5.0)
        if not self.monitor.violations:
            self._heal()
        if not self.monitor.violations:
            self._at_rest()
        result = self._result()
        self._end()
        return result

    def _end(self) -> None:
        """Let the tasks that are left end in peace: what they do now is nobody's business."""
        self._healed = True
        self.faults.heal()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.loop.close()

    def _heal(self) -> None:
        self._healed = True
        self.faults.heal()
        self.exchange.down_until = -1.0
        self._disk.full_until = -1.0
        self.clock.step(-self._skew)
        self.loop.run_for(REST_SECONDS)
        self.chat.send("owner-phone", "cancel scope=all")
        self.loop.run_for(REST_SECONDS)
        self.chat.send("owner-phone", "status")
        self.loop.run_for(30.0)

    def _at_rest(self) -> None:
        """Liveness, and the final comparison with the broker's books."""
        find = self.monitor.find
        life = self.life
        if life is None or life.desk is None:
            find("27", "the desk did not come back")
            return
        desk, account = life.desk, self.exchange.account
        for message in self.chat.open.values():
            find("27", f"the message {message.id} ({message.content!r:.40}) was never answered")
        mode, reason = desk.mode(account=account)
        if mode not in (Mode.ACTIVE, Mode.PAUSED, Mode.REDUCING, Mode.HALT) or (mode is not Mode.ACTIVE and not reason):
            find("27", f"the desk stays in {mode.value}: {reason}")
        book = desk.book(account)
        for order in book.live.values():
            if order.state is not OrderState.UNKNOWN:
                find("27", f"order {order.client_id} stays {order.state.value}")
        held = {key: position.quantity for key, position in book.positions.items()}
        theirs = {key: count for key, (_, count) in self.exchange.held.items()}
        if held != theirs or book.cash != self.exchange.cash:
            find("7", f"at rest the book holds {book.cash} and {held}, the broker {self.exchange.cash} and {theirs}")
        self.monitor.ended(life.store.durable_image().rows, (desk.fold.seq, desk.fold.digest()), self.rng)

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


def episode(seed: int, *, steps: int, rates: Rates | None = None, habits: Mapping[str, float] | None = None) -> Result:
    """Run one seed. `rates` and `habits` replace what the seed would draw for faults and for people."""
    return World(seed, steps=steps, rates=rates, habits=habits).run()
