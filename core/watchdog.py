"""The watchdog: is the broker there, and are the prices of what is held or working current? By the clock, in session only.

Stale is an underlying whose own price is older than the limit, or has none for as long; two looks some seconds apart have to agree, and
between them the source is asked to subscribe anew. Then working orders that add risk are cancelled, resting exits stay, entries halt
(REDUCING) on that underlying, on the account whose broker is silent, or on the whole desk where a source does not answer at all; only a
person resumes.

Worked example: SPX was last quoted 140 seconds ago, the limit is 120. SPX is subscribed anew; 5 seconds later it is 145 seconds old. A
working spread that opens is cancelled, a resting order that buys one back stays, and `resume` is offered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import exchange_date
from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.calendar import CalendarError, session
from core.domain.events import Mode, ModeSet, Scope, ScopeKind
from core.domain.instruments import Cash, Instrument, underlying_instrument
from core.domain.modes import adds_risk, scope_names
from core.errors import DeskError, LeaseLost, Unavailable
from core.market.view import Needs, View
from core.orders.alarm import raise_alert
from core.orders.states import Order
from core.portfolio.book import Books
from core.risk.measures import underlying_of

SECOND_LOOK_SECONDS = 5.0
LATE_CLOSE = timedelta(minutes=15)
CAUSE = "stale data:"
ACTOR = "rule:watchdog"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """Something that is not current: on what entries halt, and why in words."""

    scope: Scope
    what: str
    reason: str

    @property
    def cause(self) -> str:
        """Of the mode it brings."""
        return f"{CAUSE}{self.what}"


class Watchdog:
    """Looks at everything at stake, for all accounts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._unpriced_seconds: dict[str, float] = {}  # underlying -> since when it has no price at all

    async def run(self) -> None:
        """Look for ever. What goes wrong is told once and tried again."""
        runtime, failing = self._desk.runtime, False
        while not self._desk.lease_lost:
            await runtime.sleep(float(self._desk.settings.desk.whole("watchdog_seconds")))
            try:
                await self.turn()
                failing = False
            except (DeskError, TimeoutError, OSError) as error:
                if not failing:
                    runtime.report("watchdog", error)
                failing = True

    async def turn(self) -> None:
        """One look; a second one at whatever is not current."""
        if self._desk.runtime.clock.standing or not in_session(self._desk.now()):
            self._unpriced_seconds.clear()
            return
        found = await self.stale()
        if found:
            await self._desk.reader.resubscribe(item.what for item in found if item.scope.kind is ScopeKind.INSTRUMENT)
            await self._desk.runtime.sleep(SECOND_LOOK_SECONDS)
            again = {item.cause: item for item in await self.stale()}
            found = [again[item.cause] for item in found if item.cause in again]
        for item in found:
            await self._stop(item)
        await self._back(found)

    async def stale(self) -> list[Stale]:
        """What is not current now."""
        links = [item for account in self._desk.senders if (item := self._silent(account)) is not None]
        return [*links, *await self._old_prices()]

    def _silent(self, account: AccountId) -> Stale | None:
        book, silent_seconds = self._desk.book(account), self._desk.senders[account].silent_seconds
        if silent_seconds <= self._limit_seconds or not (book.positions or book.live):
            return None
        why = self._desk.links_down.get(account, "it gave no sign of life")
        reason = f"the broker of {account.id} was last heard {silent_seconds:.0f} s ago, the limit is {self._limit_seconds:.0f} s: {why}"
        return Stale(scope=Scope(kind=ScopeKind.ACCOUNT, name=str(account)), what=f"link {account.id}", reason=reason)

    async def _old_prices(self) -> list[Stale]:
        at_stake = by_underlying(self._desk.books)
        if not at_stake:
            return []
        wanted = {underlying_instrument(symbol) for symbol in at_stake} | {item for items in at_stake.values() for item in items}
        view = await self._desk.reader.view(Needs(instruments=frozenset(wanted)))
        found = [item for symbol, items in sorted(at_stake.items()) if (item := self._old(symbol, items, view)) is not None]
        dead = [link for link in self._desk.reader.ages() if link.failure is not None]
        if found and len(found) == len(at_stake) and len(dead) == len(self._desk.reader.ages()):
            return [Stale(scope=Scope(), what="market data", reason=f"{found[0].reason} ({dead[0].label}: {dead[0].failure})")]
        return found

    def _old(self, symbol: str, held: Iterable[Instrument], view: View) -> Stale | None:
        age_seconds, seconds = price_age_seconds(symbol, held, view), self._desk.runtime.seconds()
        if age_seconds is None:
            since = self._unpriced_seconds.setdefault(symbol, seconds)
            if seconds - since <= self._limit_seconds:
                return None
            reason = f"{symbol} has had no price for {seconds - since:.0f} s: {view.missing.get(symbol, 'no usable quote')}"
        else:
            self._unpriced_seconds.pop(symbol, None)
            if age_seconds <= self._limit_seconds:
                return None
            reason = f"the price of {symbol} is {age_seconds:,.0f} s old, the limit is {self._limit_seconds:.0f} s"
        return Stale(scope=Scope(kind=ScopeKind.INSTRUMENT, name=symbol), what=symbol, reason=reason)

    # --- what follows --------------------------------------------------------------------------------------------------------

    async def _stop(self, stale: Stale) -> None:
        """Halt entries, durably, then cancel what adds risk; cancels leave although the halt cannot be written down."""
        desk = self._desk
        if not any(entry.cause == stale.cause and entry.scope == stale.scope for entry in desk.fold.all_modes()):
            mode = ModeSet(scope=stale.scope, mode=Mode.REDUCING, cause=stale.cause, reason=stale.reason)
            try:
                await desk.record(desk.draft(mode, actor=ACTOR))
            except LeaseLost:
                raise
            except DeskError as error:
                desk.runtime.report("stale data", error)
        for account, sender in desk.senders.items():
            for order in tuple(desk.book(account).live.values()):
                if concerns(stale.scope, order) and adds_risk(reducing=order.reducing, exits=order.exits) and not order.cancel_asked:
                    await sender.cancel(order.client_id, stale.reason, actor=ACTOR)

    async def _back(self, found: Iterable[Stale]) -> None:
        """Tell that what stopped is current again: it stays stopped until a person resumes."""
        still = {item.cause for item in found}
        for entry in self._desk.fold.all_modes():
            if entry.cause.startswith(CAUSE) and entry.cause not in still:
                name = entry.cause.removeprefix(CAUSE)
                text = f"{name[:1].upper()}{name[1:]} is current again. Entries stay halted until you `resume`."
                key = f"current:{name.replace(' ', '-')}:{entry.at:%y%m%d%H%M%S}"
                await raise_alert(self._desk, key, urgency="medium", text=text, buttons={"Resume": "resume"}, actor=ACTOR)

    @property
    def _limit_seconds(self) -> float:
        return float(self._desk.settings.desk.whole("stale_seconds"))


def by_underlying(books: Books) -> dict[str, list[Instrument]]:
    """What is at stake in all accounts: underlying -> what is held of it or working on it."""
    found: dict[str, dict[str, Instrument]] = {}
    for book in books.accounts.values():
        held = [position.instrument for position in book.positions.values()]
        working = [leg.instrument for order in book.live.values() for leg in order.envelope.legs]
        for item in (*held, *working):
            if not isinstance(item, Cash):
                found.setdefault(underlying_of(item), {})[item.key] = item
    return {symbol: list(items.values()) for symbol, items in found.items()}


def keys_at_stake(books: Books) -> frozenset[str]:
    """The keys whose prices matter whatever else is looked at: what is held or working, and what it is on."""
    found = by_underlying(books)
    return frozenset((*found, *(item.key for items in found.values() for item in items)))


def in_session(now: datetime) -> bool:
    """Whether anything is traded now; beyond the calendar's tables nothing is known to be."""
    try:
        today = session(exchange_date(now))
    except CalendarError:
        return False
    return today is not None and today.open_at <= now < today.close_at + LATE_CLOSE


def price_age_seconds(symbol: str, held: Iterable[Instrument], view: View) -> float | None:
    """Trading time since the underlying's own usable price, or where it has none the newest of what is held on it; None without any."""
    own = _age_seconds(underlying_instrument(symbol), view)
    ages = [own] if own is not None else [age for item in held if (age := _age_seconds(item, view)) is not None]
    return min(ages, default=None)


def concerns(scope: Scope, order: Order) -> bool:
    """Whether an order is in a scope."""
    if scope.kind is ScopeKind.DESK:
        return True
    if scope.kind is ScopeKind.ACCOUNT:
        return scope.name == str(order.account)
    return scope.name in (order.envelope.strategy, *scope_names(order.envelope.legs))


def _age_seconds(item: Instrument, view: View) -> float | None:
    try:
        quote = view.quote(item)
        return view.session_age_seconds(item) if quote.state.usable else None
    except (Unavailable, ValueError):  # no quote; or an adjusted series, whose hours are not tabled
        return None
