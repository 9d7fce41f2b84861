"""Reads views: asks the providers for what is needed, once each, with a time limit, and says what is missing and why.

A provider that has no answer, or none in time, is followed by the next that knows the symbol. Old quotes are handed on with their age;
whether they may be traded on is the gate's business.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

from core.clock import Clock
from core.domain.calendar import session_date
from core.domain.instruments import Cash, Equity, Future, Instrument, Option, underlying_instrument
from core.errors import DeskError, Unavailable, UserError
from core.market.answers import (
    checked_bars,
    checked_chain,
    checked_dividends,
    checked_earnings,
    checked_expiries,
    checked_headlines,
    checked_instant,
    checked_quotes,
    checked_rate,
    checked_settlement,
    checked_splits,
)
from core.market.chain import Chain
from core.market.quote import Quote, session_age_seconds
from core.market.subscriptions import Subscriptions
from core.market.view import BarsNeed, ChainNeed, Needs, View
from core.ports import Bars, Dividend, Earnings, Headline, Provider, SettlementValue, Split, Streaming
from core.runtime import Runtime

__all__ = ["Heartbeat", "Reader", "session_age_seconds"]

T = TypeVar("T")

TIMEOUT_SECONDS = 10.0
KEEP_SECONDS = 3.0
_RATE_DAYS = 30
_DIVIDEND_SPAN = timedelta(days=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """When a provider last answered, by the desk's clock, and what it said when it last did not."""

    name: str
    label: str
    answered_at: datetime | None
    age_seconds: float | None
    failure: str | None  # of the last request, None where it was answered


def _as_it_is(answer: T) -> T:
    return answer


class Reader:
    """The desk's one door to market data."""

    def __init__(
        self, providers: Sequence[Provider], *, clock: Clock, runtime: Runtime, timeout_seconds: float = TIMEOUT_SECONDS,
        keep_seconds: float = KEEP_SECONDS,
    ) -> None:
        self._providers = tuple(providers)
        self._clock = clock
        self._runtime = runtime
        self._timeout_seconds = timeout_seconds
        self._keep_seconds = keep_seconds
        self._kept: dict[tuple[object, ...], tuple[datetime, Any, Provider]] = {}
        self._answered: dict[int, datetime] = {}
        self._failures: dict[int, str | None] = {}
        self._subscriptions: dict[int, Subscriptions] = {
            id(item): Subscriptions(most) for item in self._providers if (most := item.capabilities.most_subscriptions) is not None
        }
        self.at_stake: Callable[[], Collection[str]] = frozenset  # keys that keep their subscription whatever else is asked for

    async def view(self, needs: Needs, *, fresh: bool = False) -> View:
        """Everything needed, as known now. What nobody has stands in `missing` with the reason; nothing raises but a bug.

        Chains, bars and rates are kept for a few seconds of the desk's clock (while it stands, as long as it stands); `fresh` asks anew.
        """
        reading = _Reading(self, at=self._clock.now(), fresh=fresh)
        self._forget_old()
        await self._runtime.gather(
            *(reading.load_chain(symbol, first, last) for symbol, first, last in _merged_chains(needs.chains, reading.session)),
            *(reading.load_bars(symbol, count) for symbol, count in _merged_bars(needs.bars)),
            *(reading.load_dividends(symbol) for symbol in sorted(_paying_underlyings(needs))),
            *(reading.load_events(symbol) for symbol in sorted(needs.events)),
            reading.load_rate(),
        )
        await reading.load_quotes(needs)
        return reading.view()

    async def expiries(self, symbol: str) -> tuple[date, ...]:
        """Listed expiries from today on; raise UserError for an unknown symbol, Unavailable where nobody answers."""
        return (await self.ask(symbol, lambda provider: provider.expiries(symbol), lambda days: checked_expiries(days, symbol)))[0]

    async def settlement(self, contract: Option) -> SettlementValue | None:
        """The published settlement value of a contract's series, None while there is none."""
        found, _ = await self.ask(
            contract.underlying, lambda provider: provider.settlement(contract), lambda value: checked_settlement(value, contract)
        )
        return found

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        """Splits of a symbol as far as announced."""
        found, _ = await self.ask(
            symbol, lambda source: source.splits(symbol, start=start, end=end), lambda found: checked_splits(found, symbol)
        )
        return found

    async def earnings(self, symbol: str, *, start: date, end: date) -> tuple[Earnings, ...]:
        """When a company reports, as far as known; raise Unavailable where nobody knows."""
        found, _ = await self.ask(
            symbol, lambda source: source.earnings(symbol, start=start, end=end), lambda found: checked_earnings(found, symbol)
        )
        return found

    async def headlines(self, symbol: str | None, *, since: datetime) -> tuple[Headline, ...]:
        """News of a symbol, or of everything, after `since`."""
        return (await self.ask(symbol, lambda source: source.headlines(symbol, since=since), checked_headlines))[0]

    async def next_instant(self) -> datetime | None:
        """The earliest next instant of a recorded or simulated market; None where time is real or the recording has ended."""
        check = partial(checked_instant, now=self._clock.now())
        instants = [await self._answer(provider, provider.next_instant(), check) for provider in self._providers]
        return min((instant for instant in instants if instant is not None), default=None)

    def label(self) -> str:
        """What every card shows: SIMULATED, RECORDED and its day, or the vendor."""
        return " + ".join(dict.fromkeys(provider.capabilities.label for provider in self._providers)) or "NO MARKET DATA"

    def ages(self) -> tuple[Heartbeat, ...]:
        """Each provider's last answer, for `status`; in market time where the market is recorded or simulated."""
        now = self._clock.now()
        found = []
        for provider in self._providers:
            at = self._answered.get(id(provider))
            found.append(Heartbeat(
                name=provider.capabilities.name, label=provider.capabilities.label, answered_at=at,
                age_seconds=None if at is None else (now - at).total_seconds(), failure=self._failures.get(id(provider)),
            ))
        return tuple(found)

    async def resubscribe(self, symbols: Iterable[str]) -> None:
        """Ask streaming sources anew for what is live on these underlyings; a source that does not answer is found out by its prices."""
        wanted = frozenset(symbols)
        for provider in self._providers:
            kept = self._subscriptions.get(id(provider))
            lost = [item for item in kept.live if _symbol_of(item) in wanted] if kept is not None else []
            if lost:
                with contextlib.suppress(UserError, Unavailable):
                    await self._answer(provider, cast(Streaming, provider).subscribe(lost), _as_it_is)

    async def _subscribed(self, provider: Provider, asked: Sequence[Instrument]) -> Sequence[Instrument]:
        """Make a streaming source live for what is asked; returns what it can answer for."""
        kept = self._subscriptions.get(id(provider))
        if kept is None:
            return asked
        change, source = kept.want(asked, at_stake=self.at_stake()), cast(Streaming, provider)
        if change.drop:
            await self._answer(provider, source.unsubscribe(change.drop), _as_it_is)
        if change.add:
            await self._answer(provider, source.subscribe(change.add), _as_it_is)
        refused = {item.key for item in change.refused}
        return [item for item in asked if item.key not in refused]

    async def ask(
        self, symbol: str | None, question: Callable[[Provider], Awaitable[T]], check: Callable[[T], T] = _as_it_is
    ) -> tuple[T, Provider]:
        """The first answer among the providers that know the symbol; raise what the last of them raised, a UserError before all.

        `check` gives what of an answer may be used, and raises Unavailable for one that makes no sense.
        """
        told: DeskError | None = None
        for provider in self._providers:
            known = provider.capabilities.symbols
            if symbol is not None and known is not None and symbol not in known:
                continue
            try:
                return await self._answer(provider, question(provider), check), provider
            except (UserError, Unavailable) as error:
                told = told if isinstance(told, UserError) else error
        if told is not None:
            raise told
        if symbol is None:
            raise Unavailable("market data", why="no source is configured")
        raise UserError(f"no market data source knows {symbol}", "Check the symbol; `status` lists the sources.")

    async def _answer(self, provider: Provider, asked: Awaitable[T], check: Callable[[T], T]) -> T:
        """Wait for an answer within the time limit and check it; remember that there was one, or why not."""
        name, key = provider.capabilities.name, id(provider)
        try:
            async with self._runtime.timeout(self._timeout_seconds):
                answer = check(await asked)
        except TimeoutError as error:
            self._failures[key] = f"no answer within {self._timeout_seconds:g} seconds"
            raise Unavailable(name, self._answered.get(key), self._failures[key] or "") from error
        except OSError as error:
            self._failures[key] = str(error) or type(error).__name__
            raise Unavailable(name, self._answered.get(key), self._failures[key] or "") from error
        except (UserError, Unavailable) as error:
            self._answered[key] = self._clock.now()  # a clear "I have not got that" is a sign of life
            self._failures[key] = str(error) if isinstance(error, Unavailable) else None
            raise
        self._answered[key], self._failures[key] = self._clock.now(), None
        return answer

    async def _kept_or_asked(self, key: tuple[object, ...], symbol: str | None, *, fresh: bool,
                             question: Callable[[Provider], Awaitable[T]], check: Callable[[T], T]) -> tuple[T, Provider]:
        kept = self._kept.get(key)
        if kept is not None and not fresh and self._good(kept[0]):
            return kept[1], kept[2]
        asked_at = self._clock.now()
        answer, provider = await self.ask(symbol, question, check)
        self._kept[key] = (asked_at, answer, provider)
        return answer, provider

    def _good(self, kept_at: datetime) -> bool:
        gone_seconds = (self._clock.now() - kept_at).total_seconds()
        return gone_seconds == 0 if self._clock.standing else 0 <= gone_seconds <= self._keep_seconds

    def _forget_old(self) -> None:
        self._kept = {key: kept for key, kept in self._kept.items() if self._good(kept[0])}


class _Reading:
    """One view in the making."""

    def __init__(self, reader: Reader, *, at: datetime, fresh: bool) -> None:
        self._reader = reader
        self._fresh = fresh
        self.at = at
        self.session = session_date(at)
        self._quotes: dict[str, Quote] = {}
        self._chains: dict[str, Chain] = {}
        self._bars: dict[str, Bars] = {}
        self._dividends: dict[str, tuple[Dividend, ...]] = {}
        self._splits: dict[str, tuple[Split, ...]] = {}
        self._earnings: dict[str, tuple[Earnings, ...]] = {}
        self._rate: float | None = None
        self._missing: dict[str, str] = {}
        self._labels: dict[str, None] = {}

    def view(self) -> View:
        return View(
            at=self.at, session=self.session, label=" + ".join(self._labels) or self._reader.label(), quotes=self._quotes,
            chains=self._chains, bars=self._bars, dividends=self._dividends, splits=self._splits, earnings=self._earnings,
            rate=self._rate, missing=self._missing,
        )

    async def load_chain(self, symbol: str, first: date, last: date) -> None:
        chain = await self._load(("chain", symbol, first, last), symbol, lambda provider: provider.chain(symbol, first=first, last=last),
                                 lambda found: checked_chain(found, symbol), missing=f"chain:{symbol}")
        if chain is not None:
            self._chains[symbol] = chain

    async def load_bars(self, symbol: str, count: int) -> None:
        start = self.session - timedelta(days=count * 3 // 2 + 10)  # 252 sessions a year, and a holiday week
        bars = await self._load(("bars", symbol, start), symbol, lambda provider: provider.bars(symbol, start=start, end=self.session),
                                lambda found: checked_bars(found, symbol), missing=f"bars:{symbol}")
        if bars is not None:
            self._bars[symbol] = _last(bars, count)

    async def load_dividends(self, symbol: str) -> None:
        start, end = self.session - _DIVIDEND_SPAN, self.session + _DIVIDEND_SPAN
        paid = await self._load(("dividends", symbol, start), symbol, lambda provider: provider.dividends(symbol, start=start, end=end),
                                lambda found: checked_dividends(found, symbol), missing=f"dividends:{symbol}")
        if paid is not None:
            self._dividends[symbol] = paid

    async def load_events(self, symbol: str) -> None:
        """Splits and earnings, each missing by itself."""
        start, end = self.session - _DIVIDEND_SPAN, self.session + _DIVIDEND_SPAN
        splits = await self._load(("splits", symbol, start), symbol, lambda provider: provider.splits(symbol, start=start, end=end),
                                  lambda found: checked_splits(found, symbol), missing=f"splits:{symbol}")
        if splits is not None:
            self._splits[symbol] = splits
        earnings = await self._load(("earnings", symbol, start), symbol, lambda provider: provider.earnings(symbol, start=start, end=end),
                                    lambda found: checked_earnings(found, symbol), missing=f"earnings:{symbol}")
        if earnings is not None:
            self._earnings[symbol] = earnings

    async def load_rate(self) -> None:
        self._rate = await self._load(("rate",), None, lambda provider: provider.rate(_RATE_DAYS), checked_rate, missing="rate")

    async def load_quotes(self, needs: Needs) -> None:
        """Quotes of what was asked for and of every underlying of it; options come from a loaded chain where that has them."""
        wanted: dict[str, Instrument] = {instrument.key: instrument for instrument in needs.instruments if not isinstance(instrument, Cash)}
        for symbol in _option_underlyings(needs):
            wanted.setdefault(symbol, underlying_instrument(symbol))
        for key, instrument in list(wanted.items()):
            quote = self._in_chain(instrument)
            if quote is not None:
                self._quotes[key] = quote
                del wanted[key]
        for provider in self._reader._providers:
            asked = [instrument for _, instrument in sorted(wanted.items()) if _serves(provider, instrument)]
            if asked:
                await self._quote_from(provider, asked, wanted)
        for key, instrument in wanted.items():
            name = "contract" if isinstance(instrument, Option) else "symbol"
            self._missing.setdefault(key, f"no source has a quote of this {name}")

    async def _quote_from(self, provider: Provider, asked: Sequence[Instrument], wanted: dict[str, Instrument]) -> None:
        try:
            live = await self._reader._subscribed(provider, asked)
            found: Mapping[str, Quote] = await self._reader._answer(provider, provider.quotes(live), checked_quotes)
        except (UserError, Unavailable) as error:
            for instrument in asked:
                self._missing[instrument.key] = str(error)
            return
        for key, quote in found.items():
            if wanted.pop(key, None) is not None:
                self._quotes[key] = quote
                self._missing.pop(key, None)
                self._labels[provider.capabilities.label] = None

    def _in_chain(self, instrument: Instrument) -> Quote | None:
        chain = self._chains.get(instrument.underlying) if isinstance(instrument, Option) else None
        row = chain.row(instrument) if chain is not None and isinstance(instrument, Option) else None
        return None if chain is None or row is None else chain.quote(row)

    async def _load(
        self, key: tuple[object, ...], symbol: str | None, question: Callable[[Provider], Awaitable[T]], check: Callable[[T], T], *,
        missing: str,
    ) -> T | None:
        try:
            answer, provider = await self._reader._kept_or_asked(key, symbol, fresh=self._fresh, question=question, check=check)
        except (UserError, Unavailable) as error:
            self._missing[missing] = str(error)
            return None
        self._labels[provider.capabilities.label] = None
        return answer


def _merged_chains(needs: frozenset[ChainNeed], today: date) -> list[tuple[str, date, date]]:
    """One range of expiries for each symbol, wide enough for all needs."""
    ranges: dict[str, tuple[int, int]] = {}
    for need in needs:
        first, last = ranges.get(need.symbol, (need.first_dte, need.last_dte))
        ranges[need.symbol] = min(first, need.first_dte), max(last, need.last_dte)
    return [(symbol, today + timedelta(days=first), today + timedelta(days=last)) for symbol, (first, last) in sorted(ranges.items())]


def _merged_bars(needs: frozenset[BarsNeed]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for need in needs:
        counts[need.symbol] = max(counts.get(need.symbol, 0), need.sessions)
    return sorted(counts.items())


def _option_underlyings(needs: Needs) -> set[str]:
    return {need.symbol for need in needs.chains} | {each.underlying for each in needs.instruments if isinstance(each, Option)}


def _paying_underlyings(needs: Needs) -> set[str]:
    """Underlyings of options that may pay dividends themselves; an index's are in its forwards."""
    return {symbol for symbol in _option_underlyings(needs) if isinstance(underlying_instrument(symbol), Equity)}


def _serves(provider: Provider, instrument: Instrument) -> bool:
    known = provider.capabilities.symbols
    return known is None or _symbol_of(instrument) in known


def _symbol_of(instrument: Instrument) -> str:
    if isinstance(instrument, Option):
        return instrument.underlying
    return instrument.root if isinstance(instrument, Future) else instrument.key


def _last(bars: Bars, count: int) -> Bars:
    """The last `count` bars."""
    return Bars(
        symbol=bars.symbol, days=bars.days[-count:], open=bars.open[-count:], high=bars.high[-count:], low=bars.low[-count:],
        close=bars.close[-count:], source=bars.source,
    )
