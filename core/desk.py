"""The Desk: one live state, the ports it uses, and the few doors through which it changes.

Everything that happens is recorded first (`record`), folded second and told third. Rules, tickets and senders read the state from here
and change it only through `record`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from core.command import Caller
from core.config import Config, SettingsTable
from core.decisions import event_fields, event_level, without_secrets
from core.domain.accounts import OUTSIDE, Account, AccountId
from core.domain.events import Body, Draft, Event, ExternalOrder, Mode, Scope, ScopeKind, SettingChanged, strictest
from core.domain.instruments import Instrument
from core.errors import DeskError, LeaseLost, Unavailable, UserError
from core.exits import Exit, load_exits
from core.fold import DeskFold
from core.lanes import Lanes
from core.logs import Level, Logs, about
from core.market.reader import Reader
from core.orders.states import Order, Outcome
from core.people import People
from core.portfolio.book import Book, Books
from core.ports import Archive, Broker, Provider, Store
from core.redaction import Redaction
from core.reply import Reply
from core.risk.exam import Rule
from core.risk.registry import load_rules
from core.runtime import Overdue, Runtime

if TYPE_CHECKING:
    from core.keeper import Keeper
    from core.orders.kill import KillCheck
    from core.orders.lookout import Lookout
    from core.orders.sender import AccountSender
    from core.orders.steward import Steward

CARDS_KEPT = 50
APPEND_SECONDS = 8.0  # longer than SQLite waits for a busy file; cancels and `kill` wait no longer for a disk that hangs
NO_ANSWER = "the disk does not answer; whether the last write was kept is known when it does"

Listener = Callable[[Event, tuple[Outcome, ...]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What an append brought: the stored events and what they meant for orders, in step."""

    events: tuple[Event, ...]
    outcomes: tuple[tuple[Outcome, ...], ...]

    @property
    def seqs(self) -> tuple[int, ...]:
        """Sequence numbers, for replies that cite them."""
        return tuple(event.seq for event in self.events)


class OwnMode(NamedTuple):
    """A mode this process knows of itself: it stands in no event and ends when its cause does."""

    mode: Mode
    reason: str
    scope: Scope
    lifted_by: str


@dataclass(kw_only=True)
class Desk:
    """State and ports. Made by `core.app.build`; nothing else constructs one outside tests."""

    runtime: Runtime
    config: Config
    store: Store
    archive: Archive
    token: int
    reader: Reader
    providers: Sequence[Provider]
    brokers: Mapping[AccountId, Broker]
    halt_reason: Callable[[], str | None]  # the HALT file, settable without chat, model, data or network
    fold: DeskFold = field(default_factory=DeskFold)
    logs: Logs = field(default_factory=Logs)  # what was decided and on what, for operators; the event log alone is believed
    epochs: dict[AccountId, int] = field(default_factory=dict)  # of the connection each account has now; none while it has none
    links_down: dict[AccountId, str] = field(default_factory=dict)  # why an account has no connection now
    trouble: str = ""  # a storage failure: nothing is sent until an append works again
    lease_lost: bool = False
    senders: dict[AccountId, AccountSender] = field(default_factory=dict)
    stewards: dict[AccountId, Steward] = field(default_factory=dict)
    lookouts: dict[AccountId, Lookout] = field(default_factory=dict)
    kill_checks: dict[AccountId, KillCheck] = field(default_factory=dict)
    keeper: Keeper | None = None  # of the background parts; None where a process has none
    default_account: AccountId | None = None
    ticket_seconds: dict[str, float] = field(default_factory=dict)  # ticket -> the clock's own seconds when drawn, whatever the wall says
    cards: dict[str, Reply] = field(default_factory=dict)  # the newest cards the clock drew, for whoever is told of them
    cards_in_hand: int = 0  # being priced and drawn, not recorded yet
    notes: list[str] = field(default_factory=list)  # what start-up wants a person to know
    only_halts_by_file: bool = False  # the HALT file there is was written by this process, and cancels nothing
    write_halt: Callable[[str], None] | None = None  # makes the HALT file; None where the desk has no directory (tests, simulation)
    clear_halt: Callable[[], None] | None = None  # removes it
    step_clock: Callable[[date | None], Awaitable[tuple[str, ...]]] | None = None  # moves a simulated or recorded clock

    def __post_init__(self) -> None:
        self.lanes = Lanes(self.runtime)
        self.people = People(self.archive, self.runtime)  # who may talk to it from elsewhere
        self.halting = self.runtime.lock()  # held while the HALT file is written down, and while HALT is lifted
        self._log = self.runtime.lock()
        self._unanswered = False  # an append is under way of which nobody knows what becomes
        self._lanes: dict[AccountId, asyncio.Lock] = {}
        self._listeners: list[Listener] = [self._write_down]
        self.reload_settings()

    # --- state ---------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Desk time, UTC."""
        return self.runtime.clock.now()

    @property
    def redaction(self) -> Redaction:
        """What strikes secrets out of everything said and written."""
        return self.logs.redaction

    @property
    def books(self) -> Books:
        """All accounts as of the last event."""
        return self.fold.books

    @property
    def settings(self) -> SettingsTable:
        """Effective settings."""
        return self._settings

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the gate with their effective parameters."""
        return self._rules

    @property
    def exits(self) -> tuple[Exit, ...]:
        """The exits with their effective settings, the most urgent first."""
        return self._exits

    def exit_terms(self, rules: Collection[str], strategies: Collection[str]) -> dict[str, str]:
        """The settings that decide when these exits speak for trades of these strategies: what a mandate is granted on."""
        specs = self._settings.specs
        return {key: text for item in self._exits if item.name in rules for key, text in item.terms(strategies, specs).items()}

    def reload_settings(self) -> None:
        """Rebuild effective settings, rules and exits after a change."""
        self._settings = SettingsTable(self.config, self.fold.settings)
        self._rules = load_rules(self._settings.all_parameters("rules"))
        self._exits = load_exits(self._settings.values)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The configured accounts, and the one of trades done elsewhere once anything was booked there."""
        apart = tuple(book.account for name, book in self.books.accounts.items() if name.outside)
        return (*self.config.accounts, *(account for account in apart if account not in self.config.accounts))

    def account(self, caller: Caller | None = None, named: str | None = None) -> Account:
        """The account a call means: by name or id, else the caller's, else the default; raise UserError for an unknown one."""
        wanted = named or (caller.account if caller else None)
        if wanted is None:
            if not self.config.accounts:
                raise UserError("No account is open: the configuration has errors.", "`python -m bot doctor` lists them.")
            chosen = self.default_account or self.config.accounts[0].id
            return self.books.accounts[chosen].account
        for account in self.accounts:
            if wanted in (account.name, account.id.id, str(account.id)):
                return account
        if wanted == "all":
            raise UserError("One account at a time here.", "account=all is for positions, pnl, fills, greeks, risk and alerts.")
        if wanted == OUTSIDE.name:
            raise UserError("No trade done elsewhere was logged yet.", "`log_trade` books one, in the account outside.")
        names = ", ".join(account.name for account in self.accounts)
        raise UserError(f"There is no account {wanted!r}.", f"There are: {names}.")

    @property
    def beside(self) -> dict[str, tuple[Instrument, int]]:
        """Holdings of trades done elsewhere that count in risk: none unless the owner says so by `desk.count_outside`."""
        book = self.books.accounts.get(OUTSIDE.id)
        return book.holdings() if book is not None and self.settings.desk.flag("count_outside") else {}

    def book(self, account: AccountId) -> Book:
        """The book of an account."""
        return self.books.accounts[account]

    def lane(self, account: AccountId) -> asyncio.Lock:
        """The lock under which an account's orders are judged and reserved."""
        return self._lanes.setdefault(account, self.runtime.lock())

    def mode(self, *, account: AccountId | None = None, strategy: str | None = None, keys: tuple[str, ...] = ()) -> tuple[Mode, str]:
        """The strictest mode in scope with its reason: what the log says, and what this process knows of itself."""
        found = [self.fold.mode(account=account, strategy=strategy, keys=keys), *self._own_modes(account)]
        mode = strictest(tuple(item[0] for item in found))
        return mode, "; ".join(item[1] for item in found if item[0] is mode and item[1])

    def own_modes(self) -> tuple[OwnMode, ...]:
        """Every mode this process knows of itself, for all accounts."""
        return tuple(self._own_modes(None))

    def _own_modes(self, account: AccountId | None) -> list[OwnMode]:
        own: list[OwnMode] = []
        halted = self.halt_reason()
        if halted is not None:
            own.append(OwnMode(Mode.HALT, f"HALT file: {halted}", Scope(), "`unhalt` with the PIN, which removes the file"))
        if self.trouble:
            own.append(OwnMode(Mode.HALT, f"storage: {self.trouble}", Scope(), "the disk working again"))
        if self.lease_lost:
            own.append(OwnMode(Mode.STANDBY, "another process owns the database", Scope(), "a restart, once the other process has ended"))
        for name in self.brokers if account is None else (account,):
            scope, state = Scope(kind=ScopeKind.ACCOUNT, name=str(name)), self.fold.reconciled(name)
            if state is None or not state.complete or state.epoch != self.epochs.get(name):
                own.append(OwnMode(Mode.RECOVERY, self._unreconciled(name), scope, "a complete comparison with the broker's books"))
            unknown = [order.client_id for order in self._live(name) if order.unknown]
            if unknown:
                reason = f"nobody knows yet what became of order {', '.join(unknown)}"
                own.append(OwnMode(Mode.REDUCING, reason, scope, "the broker's word on it, or your own `cancel` of it"))
            strange = [order.broker_ref for order in self._external(name) if order.legs is None]
            if strange:
                reason = f"the EXTERNAL order {', '.join(strange)} works at the broker, which does not say what it trades"
                own.append(OwnMode(Mode.REDUCING, reason, scope, "its end; `cancel` with its number asks the broker for that"))
        return own

    def _unreconciled(self, account: AccountId) -> str:
        down = self.links_down.get(account)
        return f"{account.id}: {down}" if down else f"{account.id} is not reconciled with its broker yet"

    def _live(self, account: AccountId) -> tuple[Order, ...]:
        book = self.books.accounts.get(account)
        return tuple(book.live.values()) if book is not None else ()

    def _external(self, account: AccountId) -> tuple[ExternalOrder, ...]:
        book = self.books.accounts.get(account)
        return tuple(book.external.values()) if book is not None else ()

    # --- change --------------------------------------------------------------------------------------------------------

    def draft(
        self, body: Body, *, actor: str, stream: str = "desk", causation: str = "", correlation: str = "", dedupe: str | None = None
    ) -> Draft:
        """An event of now, ready for `record`."""
        return Draft(body=body, stream=stream, at=self.now(), actor=actor, causation=causation, correlation=correlation, dedupe=dedupe)

    async def record(self, *drafts: Draft, expected_seq: int | None = None) -> Recorded:
        """Store, fold and tell; durable when it returns.

        Raises Conflict where `expected_seq` is no longer the end of the log, LeaseLost where another process owns it, Unavailable where
        the disk refuses or does not answer: then nothing is sent until storing works again. What a disk that did not answer has stored
        all the same comes into the state when it answers.
        """
        if not drafts:
            return Recorded(events=(), outcomes=())
        clean = tuple(self._without_secrets(draft) for draft in drafts)
        return await self.runtime.to_the_end(self._record(clean, expected_seq), name="record")

    def _without_secrets(self, draft: Draft) -> Draft:
        body = without_secrets(draft.body, self.redaction)
        return draft if body is draft.body else replace(draft, body=body)

    async def _record(self, drafts: Sequence[Draft], expected_seq: int | None) -> Recorded:
        async with self._log:
            try:
                events = await self._append(drafts, expected_seq)
            except Overdue as error:
                self._unanswered = True
                self.trouble = NO_ANSWER
                raise Unavailable("storage", why=NO_ANSWER) from error
            except Exception as error:
                self.lease_lost = self.lease_lost or isinstance(error, LeaseLost)
                if isinstance(error, Unavailable):
                    self.trouble = str(error)
                await self._catch_up()  # the store may have kept what it could not acknowledge
                raise
            if events and events[0].seq == self.fold.seq + 1:
                outcomes = self._folded(events)
                self.trouble = ""
            else:
                outcomes = await self._recorded_before(events)
        return Recorded(events=events, outcomes=outcomes)

    async def _append(self, drafts: Sequence[Draft], expected_seq: int | None) -> tuple[Event, ...]:
        """Append, waiting only so long. While nobody knows what became of an append none follows it, so nothing is stored twice."""
        if self._unanswered:
            raise Overdue(NO_ANSWER)
        append = self.store.append(drafts, expected_seq=expected_seq, token=self.token)
        return await self.runtime.to_the_end(append, name="append", limit_seconds=APPEND_SECONDS, late=self._answered)

    async def _answered(self) -> None:
        """The disk answers again: what was stored meanwhile comes into the state. That it works only a new append shows."""
        async with self._log:
            self._unanswered = False
            if await self._catch_up():
                self.trouble = ""

    async def halt_by_file(self, reason: str, *, only_halts: bool = False) -> bool:
        """Halt by the HALT file, where the log cannot be written; False where the disk does not answer: the file comes when it does.

        Until then nothing is sent either, for a desk that nothing can be written down for is halted. Such a file also has every order
        cancelled, but for one that `only_halts`.
        """
        if self.write_halt is None:
            raise Unavailable("the HALT file", why="this desk has no directory")
        self.only_halts_by_file = only_halts
        try:
            await self.runtime.wait_for(self.runtime.in_thread(self.write_halt, reason), APPEND_SECONDS)
        except TimeoutError:
            self.trouble = self.trouble or NO_ANSWER
            return False
        return True

    async def check_lease(self) -> None:
        """Raise LeaseLost where another process owns the log, Unavailable where that cannot be found out now."""
        if self._unanswered:
            raise Unavailable("storage", why=NO_ANSWER)
        try:
            token = await self.runtime.wait_for(self.store.lease_token(), APPEND_SECONDS)
        except TimeoutError as error:
            raise Unavailable("storage", why=NO_ANSWER) from error
        if token != self.token:
            self.lease_lost = True
            raise LeaseLost

    async def _recorded_before(self, events: tuple[Event, ...]) -> tuple[tuple[Outcome, ...], ...]:
        """Nothing new was stored, or the state had fallen behind the log: trouble ends only where it stands at the log's end again."""
        if not events and not self.trouble:
            return ()
        caught_up = await self._catch_up()
        if caught_up is None:
            return tuple(() for _ in events)
        self.trouble = ""
        return caught_up[len(caught_up) - len(events) :]

    async def _catch_up(self) -> tuple[tuple[Outcome, ...], ...] | None:
        """Fold whatever is in the log and not in the state; None where the log cannot be read now."""
        try:
            missed = await self.runtime.wait_for(self.store.read(after=self.fold.seq), APPEND_SECONDS)
        except (DeskError, TimeoutError) as error:
            self.report("log", error)
            self.trouble = self.trouble or str(error) or NO_ANSWER
            return None
        return self._folded(missed)

    def _folded(self, events: tuple[Event, ...]) -> tuple[tuple[Outcome, ...], ...]:
        outcomes = tuple(self.fold.apply(event) for event in events)
        self._told(events, outcomes)
        return outcomes

    async def settled(self) -> None:
        """Return when no append is under way: what is durable now is in the state, a HALT above all."""
        async with self._log:
            return

    def _told(self, events: tuple[Event, ...], outcomes: tuple[tuple[Outcome, ...], ...]) -> None:
        if any(isinstance(event.body, SettingChanged) for event in events):
            self.reload_settings()
        for event, result in zip(events, outcomes, strict=True):
            for listener in tuple(self._listeners):
                try:
                    listener(event, result)
                except Exception as error:  # noqa: BLE001 - whoever listens must not stand between the log and the order path
                    self.report("listener", error)

    def keep_card(self, ticket_id: str, card: Reply) -> None:
        """Keep a card that no chat asked for until it is shown; the oldest are forgotten, and drawn again on demand."""
        self.cards[ticket_id] = card
        while len(self.cards) > CARDS_KEPT:
            del self.cards[next(iter(self.cards))]

    def first_symbol(self) -> str:
        """What to try first on this market: XSP, or else the first of the watch list that it has."""
        known = [provider.capabilities.symbols for provider in self.providers]
        wanted = ("XSP", *self.config.watch_list)
        return next((symbol for symbol in wanted if any(names is None or symbol in names for names in known)), "XSP")

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after each stored event; returns the function that stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def report(self, where: str, error: BaseException) -> str:
        """Log an unexpected error with a short id and return the id, to be shown instead of a trace."""
        identity = self.runtime.entropy.id("E")
        with about(error_id=identity):
            self.runtime.report(f"{identity} {where}", error)
        return identity

    def log(self, level: Level, event: str, /, **facts: object) -> None:
        """Make a record of a decision that is no event of its own, with the desk's time."""
        self.logs.write(level, event, at=self.now(), **facts)

    def _write_down(self, event: Event, outcomes: tuple[Outcome, ...]) -> None:
        self.logs.write(Level(event_level(event)), event.kind, facts=partial(event_fields, event, outcomes))
