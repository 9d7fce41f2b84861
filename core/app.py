"""Puts a desk together: the only file that picks adapters.

`open_app` makes the real process's desk over a home directory; `assemble` joins given ports, which is how tests, the simulation and a
backtest get the same desk with other ports plugged in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import plugins
from core.clock import EXCHANGE_ZONE, Clock, ManualClock, ScaledClock, SystemClock, check_zone_data, exchange_date, exchange_time
from core.config import Config, ConfigError, configured_database, hold_back, load_config, loosened_accounts, parse_config, speed_of
from core.desk import Desk
from core.domain.accounts import Account, Env
from core.domain.calendar import CalendarError, is_session, next_session
from core.domain.events import AccountOpened, ClockMoved, ConfigSeen, Mode, ModeSet, Scope
from core.domain.holidays import LAST_YEAR
from core.errors import DeskError, UserError
from core.fold import DeskFold
from core.keeper import Keeper
from core.logs import FILE_NAME, FileLogs, Level, Logs
from core.market.reader import Reader
from core.marks import mark_session
from core.orders.exit_loop import ExitLoop
from core.orders.kill import DIED_YOUNG, TURN_SECONDS, KillCheck
from core.orders.lookout import Lookout
from core.orders.sender import AccountSender
from core.orders.steward import Steward
from core.outside import settle_outside
from core.ports import Archive, Broker, Provider, Put, Store
from core.redaction import Redaction
from core.runtime import Runtime, SystemRuntime
from core.snapshots import is_due, save_snapshot
from core.snapshots import replay as replay
from core.store.files import make_private_directory
from core.store.owner import clear_halt, read_halt, write_halt
from core.store.starts import YOUNG_SECONDS, Starts, wait_seconds
from core.watchdog import Watchdog, keys_at_stake

if TYPE_CHECKING:
    from core.store.place import Place

TICK_SECONDS = 5.0
STOP_SECONDS = 5.0  # for answers of brokers at a clean stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a process is started; None means the configuration's or the default."""

    home: Path
    config_path: Path | None = None
    data_dir: Path | None = None  # a recorded market
    seed: int | None = None
    scenario: str | None = None
    speed: float | None = None
    start: date | None = None
    background: bool = True  # False for one command: nothing runs but what the command needs
    database: str | None = None  # a PostgreSQL database's address; None: what the configuration says, or files in `home`
    redaction: Redaction = field(default_factory=Redaction)  # the secrets this process was given


@dataclass(kw_only=True)
class App:
    """A desk with its background work and a way to end it."""

    desk: Desk
    home: Path | None
    background: bool = True
    config_errors: tuple[str, ...] = ()
    starts: Starts | None = None
    wait_seconds: float = 0.0  # before it connects, in a crash loop
    exits: ExitLoop = field(init=False)
    passed: tuple[str, ...] = ()  # exits found due at the start: what was passed while the desk was down
    _stopped: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        self.desk.step_clock = self.step_clock
        self.exits = ExitLoop(self.desk)

    async def start(self) -> None:
        """Reconcile every account, then start the background loops. A broker that is not there leaves its account in RECOVERY."""
        desk = self.desk
        if self.starts is not None:
            desk.runtime.spawn(self._outlive(self.starts), name="a minute of life")
        if self.config_errors:
            if self.background:
                self._keep_kill_checks()
            return  # recovery: read-only, nothing is connected
        if self.wait_seconds:
            await desk.runtime.sleep(self.wait_seconds)
        for account, sender in desk.senders.items():
            try:
                await sender.connect()
            except (DeskError, TimeoutError, OSError) as error:
                desk.notes.append(f"{account.id}: {str(error) or 'no answer'}. Nothing is sent for it until it answers.")
            except Exception as error:  # noqa: BLE001 - a bug of one adapter must not keep the desk from starting, nor from being asked
                identity = desk.report(f"account {account.id}", error)
                desk.notes.append(f"{account.id}: its link failed ({identity}). Nothing is sent for it until it answers.")
        if not self.background:
            return
        keeper = self._keep_kill_checks()
        for account, steward in desk.stewards.items():
            try:
                await steward.turn()  # stops before anything else: what was passed meanwhile is told first
            except Exception as error:  # noqa: BLE001 - its own loop goes on trying; the desk starts all the same
                desk.runtime.report(f"standing orders of {account.id}", error)
            keeper.keep(f"standing orders {account.id}", steward.run)
        self.passed = await self._look_at_exits()
        for account, sender in desk.senders.items():
            keeper.keep(f"account {account.id}", sender.run)
            keeper.keep(f"lookout {account.id}", desk.lookouts[account].run)
        keeper.keep("marks and snapshots", self._tick)
        keeper.keep("exits", self._watch_exits)
        keeper.keep("watchdog", Watchdog(desk).run)
        if self.home is not None:
            from core import warming

            if warming.wanted():
                desk.runtime.spawn(warming.warm_up(desk.runtime, self.home), name="compiled pricing")

    def _keep_kill_checks(self) -> Keeper:
        """Start the keeper, with the checks of a kill: they need neither market data nor a sound configuration."""
        keeper = self.desk.keeper = Keeper(self.desk, on_ill=self._reducing)
        for account, check in self.desk.kill_checks.items():
            keeper.keep(f"kill check {account.id}", check.run)
        self.desk.runtime.spawn(keeper.run(), name="keeper")
        return keeper

    async def prove_kill(self, limit_seconds: float) -> None:
        """In a process without background work: hear the brokers until the kill in force is proved, or so long, and record which."""
        runtime = self.desk.runtime
        if self.config_errors:
            limit_seconds = min(limit_seconds, 2 * TURN_SECONDS)  # nothing is connected: there is nobody to wait for
        else:
            for account, sender in self.desk.senders.items():
                runtime.spawn(sender.run(), name=f"account {account}")
        await runtime.gather(*(check.prove(limit_seconds) for check in self.desk.kill_checks.values()))

    async def stop(self, *, failed: bool = False) -> None:
        """End the background work, keep a snapshot, give up the lease and close everything. Safe to call twice.

        `failed`: a bug ends it, which counts as a death where it comes soon after the start.
        """
        desk = self.desk
        if self._stopped:
            return
        self._stopped = True
        if self.starts is not None and not failed:
            self.starts.ended(SystemClock().now())
        for sender in desk.senders.values():
            await sender.at_rest(STOP_SECONDS)  # what is on its way gets its answer; what gets none is found out at the next start
        await desk.runtime.stop()
        for account, broker in desk.brokers.items():
            try:
                await desk.runtime.wait_for(broker.close(), STOP_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever a link does at the end, the log is closed properly
                desk.runtime.report(f"close of {account.id}", error)
        if not desk.lease_lost and not desk.trouble:
            try:
                await save_snapshot(desk.fold, desk.store, desk.runtime)
                await desk.store.release_lease(desk.token)
            except DeskError as error:
                desk.runtime.report("last snapshot", error)
        await desk.store.close()
        close = getattr(desk.archive, "close", None)
        if close is not None:
            await close()

    async def _outlive(self, starts: Starts) -> None:
        await self.desk.runtime.sleep(YOUNG_SECONDS)
        starts.lived(SystemClock().now())

    async def step_clock(self, to: date | None = None) -> tuple[str, ...]:
        """Move a recorded or simulated clock on: to the next snapshot or session, or through all of them until `to`.

        Everything due on the way (expiries, settlements, day orders) is done in order. Returns sentences on where the clock stands now.
        Raises UserError on a real clock, for a date behind, and where the recording has ended.
        """
        clock = self.desk.runtime.clock
        if not isinstance(clock, ManualClock | ScaledClock):
            raise UserError(
                "This desk runs in real time; its clock cannot be moved.", "`next` and `to` belong to simulated and recorded markets."
            )
        today = exchange_date(clock.now())
        if to is not None and to <= today:
            raise UserError(f"The clock stands at {today}; it only moves forward.", f"Name a day after {today}.")
        if to is not None and to.year >= LAST_YEAR and not self._snapshot_instants():
            raise UserError(f"The exchange calendar ends with {LAST_YEAR}, and {to} is too near to that.", "Name an earlier day.")
        moved = await self._step(clock)
        while moved and to is not None and exchange_date(clock.now()) < to:
            moved = await self._step(clock)
        await self.desk.record(self.desk.draft(ClockMoved(to=clock.now()), actor="person"))
        where = f"The clock stands at {exchange_time(clock.now()):%a %d %b %Y %H:%M} ET."
        return (where,) if moved else (where, "The recording ends here.")

    async def _step(self, clock: ManualClock | ScaledClock) -> bool:
        """One natural step, with everything due in between; False where there is nothing further."""
        start, stops = clock.now(), self._snapshot_instants()
        target = next((at for at in stops if at > start), None)
        while True:
            instant = await self.desk.reader.next_instant()
            if instant is None:
                return False
            if exchange_date(instant) > exchange_date(clock.now()):
                await mark_session(self.desk, last_chance=True)
            for account, sender in self.desk.senders.items():
                await self.desk.stewards[account].turn(one_look=True)
                await sender.settle_down(walk=True)  # the time that is skipped is far longer than any walk
            if isinstance(clock, ManualClock):
                clock.set(instant)
            else:
                clock.jump(instant)
            for sender in self.desk.senders.values():
                await sender.settle_down()
            for account, steward in self.desk.stewards.items():
                await steward.turn(one_look=True)
                await self.desk.senders[account].settle_down()
                await self.desk.lookouts[account].turn(one_look=True)
            await settle_outside(self.desk)
            await mark_session(self.desk)
            await self._look_at_exits(one_look=True)
            reached = exchange_date(instant) > exchange_date(start) if target is None else instant >= target
            if reached:
                return True

    def _snapshot_instants(self) -> tuple[datetime, ...]:
        for provider in self.desk.providers:
            instants: tuple[datetime, ...] = getattr(provider, "snapshot_instants", ())
            if instants:
                return instants
        return ()

    async def _watch_exits(self) -> None:
        """The rounds of the exits, by the desk's clock; where it stands they are held at its steps."""
        while True:
            await self.desk.runtime.sleep(TICK_SECONDS)
            if self.exits.due and not self.desk.runtime.clock.standing:
                await self._look_at_exits()

    async def _look_at_exits(self, *, one_look: bool = False) -> tuple[str, ...]:
        """One round. Whatever goes wrong is told and ends neither the loop nor a step of the clock."""
        try:
            return await self.exits.round(one_look=one_look)
        except (DeskError, TimeoutError, OSError) as error:
            self.desk.runtime.report("exits", error)
        except Exception as error:  # noqa: BLE001 - a desk whose exits do not work takes no new risk: it is told, entries stop, the loop goes on
            await self._reducing(self.desk.report("exits", error), "the exits cannot be watched")
        return ()

    async def _tick(self) -> None:
        failing = False
        while True:
            await self.desk.runtime.sleep(TICK_SECONDS)
            try:
                await settle_outside(self.desk)
                await mark_session(self.desk)
                if is_due(self.desk.fold):
                    await save_snapshot(self.desk.fold, self.desk.store, self.desk.runtime)
                failing = False
            except (DeskError, TimeoutError, OSError) as error:  # a full disk has space again one day, and then the marks go on
                if not failing:
                    self.desk.runtime.report("marks and snapshots", error)
                failing = True
            except Exception as error:  # noqa: BLE001 - without marks the brakes see nothing: it is told, entries stop, the loop goes on
                if not failing:
                    await self._reducing(self.desk.report("marks and snapshots", error), "the accounts cannot be marked")
                failing = True

    async def _reducing(self, identity: str, what: str) -> None:
        """Entries stop until a person has looked; where they already do for such a reason, that one stands."""
        if any(entry.cause.startswith("bug:") and entry.scope == Scope() for entry in self.desk.fold.all_modes()):
            return
        mode = ModeSet(scope=Scope(), mode=Mode.REDUCING, cause=f"bug:{identity}", reason=f"{what} ({identity})")
        try:
            await self.desk.record(self.desk.draft(mode, actor="desk"))
        except DeskError as error:
            self.desk.runtime.report("mode after an error", error)


async def open_app(options: Options, *, note: Callable[[str], None] | None = None) -> App:
    """The desk of a real process. `note` hears of slow steps. Raises DeskError with a sentence where it cannot start at all."""
    from core.store.place import Tables, open_archive, open_log

    check_zone_data()
    config, errors = _config(options)
    make_private_directory(options.home)
    place = where(options)
    logs = FileLogs(options.home, options.redaction, now=SystemClock().now, patient=not options.background)
    runtime = SystemRuntime(on_failure=logs.failed)
    try:
        store = await open_log(place, clock=SystemClock(), runtime=runtime)
    except BaseException:
        await runtime.aclose()
        raise
    archive: Tables | None = None
    starts = Starts(options.home, pid=os.getpid()) if options.background else None
    died = starts.begin(SystemClock().now()) if starts is not None else 0
    try:
        archive = await open_archive(place, clock=SystemClock(), runtime=runtime)
        token = await store.acquire_lease(f"pid {os.getpid()}")
        fold = await replay(store)
        providers, clock = _market(config, options, fold, runtime, note)
        if not errors:  # a desk that only reads because its configuration is wrong may stand beside the wrong market
            await _bind_market(archive, providers[0], options.home, clock)
        runtime.clock = clock
        if errors:
            config = replace(config, accounts=tuple(book.account for name, book in fold.books.accounts.items() if not name.outside))
        desk = await assemble(
            config=config, runtime=runtime, store=store, archive=archive, token=token, fold=fold, providers=providers,
            halt_reason=lambda: read_halt(options.home), logs=logs, read_only=bool(errors),
        )
        await _told_of_its_configuration(desk, errors)
    except BaseException as error:
        if starts is not None and isinstance(error, DeskError):
            starts.refused(SystemClock().now())
        if archive is not None:
            await archive.close()
        await store.close()
        await runtime.aclose()
        raise
    desk.write_halt = lambda reason: write_halt(options.home, reason)
    desk.clear_halt = lambda: clear_halt(options.home)
    app = App(desk=desk, home=options.home, background=options.background, config_errors=errors, starts=starts)
    _slow_down(app, died, note)
    return app


async def _told_of_its_configuration(desk: Desk, errors: tuple[str, ...]) -> None:
    """What the start has to say, and RECOVERY for as long as the configuration has errors."""
    for provider in desk.providers:
        desk.notes.extend(getattr(provider, "notes", ()))
    if errors:
        desk.notes.extend(errors)
        mode = ModeSet(scope=Scope(), mode=Mode.RECOVERY, cause="config", reason="the configuration has errors; `doctor` lists them")
        await desk.record(desk.draft(mode, actor="desk"))
    elif any(entry.cause == "config" for entry in desk.fold.all_modes()):
        sound = ModeSet(scope=Scope(), mode=Mode.ACTIVE, cause="config", reason="the configuration is sound again")
        await desk.record(desk.draft(sound, actor="desk"))


def _slow_down(app: App, died: int, note: Callable[[str], None] | None) -> None:
    """In a crash loop: wait before connecting, and at last halt by the HALT file, which needs neither log nor broker."""
    desk, limit = app.desk, app.desk.settings.desk.whole("crash_starts")
    app.wait_seconds = wait_seconds(died, limit=limit)
    if died >= limit and desk.halt_reason() is None and desk.write_halt is not None:
        desk.write_halt(f"{died} {DIED_YOUNG}")
    if not app.wait_seconds:
        return
    halted = " The desk is HALTED; `unhalt` lifts it with the PIN." if died >= limit else ""
    text = f"{died} {DIED_YOUNG}.{halted} `{FILE_NAME}` says what went wrong."
    desk.notes.append(text)
    desk.log(Level.ERROR, "crash loop", died=died, wait_seconds=app.wait_seconds, halted=died >= limit)
    if note is not None:
        note(f"[!] {text} This one waits {app.wait_seconds:.0f} seconds before it connects.")


def where(options: Options) -> Place:
    """Where the log of a desk is: as the process was told, or as the configuration says, or in its directory."""
    from core.store.place import place_of

    return place_of(options.home, options.database or configured_database(options.config_path))


async def assemble(
    *,
    config: Config,
    runtime: Runtime,
    store: Store,
    archive: Archive,
    token: int,
    fold: DeskFold,
    providers: Sequence[Provider],
    halt_reason: Callable[[], str | None],
    brokers: Sequence[Broker] | None = None,
    logs: Logs | None = None,
    read_only: bool = False,
) -> Desk:
    """Join ports to a desk with a sender per account; accounts new in the configuration are opened in the log.

    `read_only` is the desk of a wrong configuration: nothing will be connected, so it may stand beside whatever market there is.
    """
    config, seen, held = hold_back(config, fold.config_seen)
    config, kept = loosened_accounts(config, {key: book.account for key, book in fold.books.accounts.items()})
    reader = Reader(providers, clock=runtime.clock, runtime=runtime)
    if not read_only:
        _refuse_pretended_markets(config.accounts, providers)
    made = brokers if brokers is not None else [_broker(account, config, providers[0], runtime, archive) for account in config.accounts]
    desk = Desk(
        runtime=runtime,
        config=config,
        store=store,
        archive=archive,
        token=token,
        reader=reader,
        providers=providers,
        brokers={broker.account: broker for broker in made},
        halt_reason=halt_reason,
        fold=fold,
        logs=logs or Logs(),
    )
    reader.at_stake = lambda: keys_at_stake(desk.books)
    wrong = [broker for broker in made if broker.capabilities.env != broker.account.env.value]
    if wrong:
        raise UserError(f"Broker {wrong[0].capabilities.name} is {wrong[0].capabilities.env}, its account {wrong[0].account} is not.")
    desk.notes.extend((*held, *kept))
    if fold.config_seen != seen and not read_only:  # what a wrong file stands for was never accepted
        await desk.record(desk.draft(ConfigSeen(settings=seen), actor="config"))
    known = desk.books.accounts
    new = [account for account in config.accounts if account.id not in known or known[account.id].account != account]
    await desk.record(*(desk.draft(AccountOpened(account=account), actor="config", stream=str(account.id)) for account in new))
    for account_id, broker in desk.brokers.items():
        desk.senders[account_id] = AccountSender(desk, account_id, broker)
        desk.stewards[account_id] = Steward(desk, desk.senders[account_id])
        desk.lookouts[account_id] = Lookout(desk, desk.senders[account_id])
    for account_id in (name for name in desk.books.accounts if not name.outside):
        desk.kill_checks[account_id] = KillCheck(desk, account_id, desk.senders.get(account_id))
    return desk


def _refuse_pretended_markets(accounts: Sequence[Account], providers: Sequence[Provider]) -> None:
    """Real money is never traded on simulated or recorded prices."""
    live = [account.name for account in accounts if account.id.env is Env.LIVE]
    pretended = [provider.capabilities.label for provider in providers if provider.capabilities.name in ("simulated", "recorded")]
    if live and pretended:
        raise UserError(f"Account {live[0]} is live, the market data is {pretended[0]}.", "A live account needs a live market data source.")


def _config(options: Options) -> tuple[Config, tuple[str, ...]]:
    overrides: dict[str, Any] = {}
    if options.data_dir is not None:
        overrides["market"] = {"provider": "recorded", "data_dir": str(options.data_dir)}
    try:
        return load_config(options.config_path, overrides=overrides), ()
    except ConfigError as error:
        return parse_config(overrides), error.errors


async def _bind_market(archive: Archive, provider: Provider, home: Path, clock: Clock) -> None:
    """Tie a home to its market at the first start; raise UserError where it belongs to another one."""
    market = getattr(provider, "identity", "")
    rows = await archive.select("settings_meta", where={"key": "market"})
    if not rows:
        await archive.write([Put(table="settings_meta", row={"key": "market", "value": market, "at": clock.now().isoformat()})])
    elif rows[0]["value"] != market:
        raise UserError(f"{home} belongs to the {rows[0]['value']}, and this is the {market}.", "Each market needs its own --home.")


def _market(
    config: Config, options: Options, fold: DeskFold, runtime: Runtime, note: Callable[[str], None] | None
) -> tuple[tuple[Provider, ...], Clock]:
    if config.provider == "recorded":
        return _recorded(config, options, fold, runtime, note)
    module = plugins.load("providers", config.provider)
    settings = dict(config.provider_options)
    if options.seed is not None:
        settings["seed"] = options.seed
    if options.scenario is not None:
        settings["scenario"] = options.scenario
    configured = speed_of(settings.pop("speed", 1))
    speed = configured if options.speed is None else options.speed
    resumed = max((at for at in (fold.clock, fold.last_at) if at is not None), default=None)
    parameters = _parameters(module, settings)
    told = parameters.start if getattr(parameters, "scenario", "") else None  # a scenario is watched from its first day on
    clock: Clock = module.simulated_clock(resumed or _first_instant(options.start or told), speed)
    return (module.build(parameters, clock=clock, runtime=runtime),), clock


def _recorded(
    config: Config, options: Options, fold: DeskFold, runtime: Runtime, note: Callable[[str], None] | None
) -> tuple[tuple[Provider, ...], Clock]:
    module = plugins.load("providers", "recorded")
    settings = dict(config.provider_options)
    settings.pop("speed", None)  # this clock is moved by hand
    data_dir = Path(str(settings.pop("data_dir", "")))
    start = options.start or settings.get("start")
    if not data_dir.is_dir():
        raise UserError(f"The recorded market's folder {str(data_dir)!r} is not there.", "Give one with --data DIR.")
    parameters = _parameters(module, {**settings, "data_dir": data_dir, "cache_dir": options.home / "cache", "start": start})
    clock = ManualClock(datetime(1998, 1, 2, tzinfo=UTC))
    provider = module.build(parameters, clock=clock, runtime=runtime, note=note)
    resumed = fold.clock or fold.last_at
    clock.set(
        max(provider.first_instant, resumed) if resumed is not None and options.start is None else _resume(provider.first_instant, fold)
    )
    return (provider,), clock


def _resume(first: datetime, fold: DeskFold) -> datetime:
    if fold.last_at is not None and fold.last_at > first:
        raise UserError(
            f"This desk's log already reaches {exchange_time(fold.last_at):%d %b %Y}; "
            f"it cannot start again at {exchange_time(first):%d %b %Y}.",
            "Use another --home for another run.",
        )
    return first


def _first_instant(start: date | None) -> datetime:
    """10:00 New York on the first session from `start` (or from the machine's date) on."""
    day = start or exchange_date(SystemClock().now())
    try:
        day = day if is_session(day) else next_session(day)
    except CalendarError as error:
        raise UserError(f"The market cannot start on {day}: {error}.", "Give another day with --start.") from error
    return datetime.combine(day, time(10, 0), EXCHANGE_ZONE).astimezone(UTC)


def _parameters(module: Any, settings: dict[str, Any]) -> Any:
    known = {item.name for item in fields(module.PARAMETERS)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise UserError(f"market: {module.NAME} has no option {', '.join(unknown)}.", f"It has: {', '.join(sorted(known))}.")
    return module.PARAMETERS(**{key: value for key, value in settings.items() if value is not None})


def _broker(account: Account, config: Config, provider: Provider, runtime: Runtime, archive: Archive) -> Broker:
    module = plugins.load("brokers", account.id.broker)
    settings = {"fees": config.fee_schedule} if any(item.name == "fees" for item in fields(module.PARAMETERS)) else {}
    broker: Broker = module.build(
        module.PARAMETERS(**settings), account=account, quotes=provider, clock=runtime.clock, runtime=runtime, archive=archive
    )
    return broker
