"""A recorded market: option chains, closes and rates from files, replayed by a clock that stands.

Start with `--data DIR`. The folder holds CSV files (packed with xz or not) of the layouts in docs/recorded-data.md, and may hold a
`manifest.yaml` that says which file is what. The clock stands at a snapshot, and quotes are exactly as old as their snapshot in that time;
`next` moves on. Nothing is shown that was not known at the instant the clock stands at.

Example: in a recording of 2019 the snapshot of 25 April, 15:45 in New York, shows SPX at 2,919.04; the close of 2,926.17 appears at
16:15, and an SPXW put of that day settles on it then.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np

from core.clock import Clock, exchange_date
from core.domain.calendar import session, sessions
from core.domain.instruments import Cash, Instrument, Option
from core.errors import Unavailable, UserError
from core.market.chain import Chain
from core.market.providers._compact import Arrays, Recording, SnapshotHead, open_recording
from core.market.providers._rates import curve_rate, parity_rate
from core.market.providers._settling import PUBLICATION, Settlements
from core.market.providers._snapshots import Snapshot, chain_of, ended, instant_of, on_sessions
from core.market.quote import Quote
from core.ports import Bars, Dividend, Earnings, Headline, ProviderCapabilities, SettlementValue, Split
from core.runtime import Runtime

NAME = "recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What is replayed, and from when."""

    data_dir: Path | None = None  # the folder of recorded data; never written to
    start: date | None = None  # the first day; None: the first of the symbol with most quotes
    symbols: Mapping[str, str] = field(default_factory=dict)  # the files' symbol -> the desk's
    cache_dir: Path | None = None  # where the compact form is kept; None: parsed at each start


PARAMETERS = Parameters


def build(
    parameters: Parameters, *, clock: Clock, runtime: Runtime | None = None, note: Callable[[str], None] | None = None
) -> RecordedProvider:
    """Open the recording; `note` hears of progress. With a runtime, long work is done in its threads.

    The clock is left alone: the desk sets it to `first_instant`, or to where it stopped.
    """
    if parameters.data_dir is None:
        raise UserError("the recorded market needs a folder of data", "Start with --data DIR.")
    symbols = {vendor.upper(): own.upper() for vendor, own in parameters.symbols.items()}
    recording = open_recording(Path(parameters.data_dir), cache_dir=parameters.cache_dir, symbols=symbols, note=note or _silent)
    return RecordedProvider(recording, clock=clock, runtime=runtime, start=parameters.start)


class RecordedProvider:
    """Market data from a recording, as far as known at the clock's now."""

    def __init__(self, recording: Recording, *, clock: Clock, runtime: Runtime | None = None, start: date | None = None) -> None:
        self._recording = recording
        self._clock = clock
        self._runtime = runtime
        self._closes = {symbol: _by_day(bars) for symbol, bars in recording.bars.items()}
        kept, self.dropped_repeats = on_sessions(recording.snapshots)
        dated = (Snapshot(at=instant_of(head, close=self._close(head)), head=head) for head in kept)
        self._snapshots = sorted(dated, key=lambda each: each.at)
        if not self._snapshots:
            raise UserError("no snapshot of the recording falls on a session of the exchange", "Check the dates in the chain files.")
        self._by_symbol: dict[str, list[Snapshot]] = {}
        for each in self._snapshots:
            self._by_symbol.setdefault(each.head.symbol, []).append(each)
        self._settlements = Settlements(recording, closes=self._closes)
        listed = {pair for each in self._snapshots for pair in each.head.expiries}
        self._timeline = sorted({each.at for each in self._snapshots} | self._settlements.instants(listed, after=self._snapshots[0].at))
        self.first_instant = self._first(start)
        self._loaded: dict[str, Chain] = {}
        self._rates: dict[str, float | None] = {}

    # --- what it is -------------------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> ProviderCapabilities:
        """The label carries the recorded day, so that no card can be taken for today's market."""
        return ProviderCapabilities(
            name=NAME, label=f"RECORDED {exchange_date(self._clock.now()).isoformat()}", settlements=True,
            symbols=frozenset(self._by_symbol) | frozenset(self._recording.bars),
        )

    @property
    def identity(self) -> str:
        """Which market this is, by its first day: a recording may grow at its end, and a log belongs to one market."""
        return f"recorded market that begins on {exchange_date(self._snapshots[0].at)}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of the files, and why."""
        days = ", ".join(head.day.isoformat() for head in self.dropped_repeats)
        return (*self._recording.notes, *([f"snapshots of closed days left out: {days}"] if days else []))

    @property
    def missing_sessions(self) -> tuple[date, ...]:
        """Sessions without a snapshot between a symbol's first and last one."""
        missing: set[date] = set()
        for snapshots in self._by_symbol.values():
            there = {each.head.day for each in snapshots}
            missing |= {day for day in sessions(min(there), max(there)) if day not in there}
        return tuple(sorted(missing))

    @property
    def snapshot_instants(self) -> tuple[datetime, ...]:
        """Every instant with a snapshot, ascending."""
        return tuple(sorted({each.at for each in self._snapshots}))

    # --- the port ---------------------------------------------------------------------------------------------------------

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        """Options from the last snapshot; underlyings at their last known print, which has no spread."""
        found: dict[str, Quote] = {}
        for instrument in instruments:
            quote = self._option_quote(instrument) if isinstance(instrument, Option) else self._print(instrument)
            if quote is not None:
                found[instrument.key] = quote
        return found

    async def chain(self, symbol: str, *, first: date, last: date) -> Chain:
        """The last snapshot's contracts expiring within [first, last]."""
        chain = self._chain(self._snapshot(symbol))
        return chain.select((chain.expiry >= first.toordinal()) & (chain.expiry <= last.toordinal()))

    async def expiries(self, symbol: str) -> tuple[date, ...]:
        """Expiries that traded in the last snapshot, from today on."""
        today = exchange_date(self._clock.now())
        snapshot = self._snapshot(symbol)
        over = ended(snapshot)
        return tuple(sorted({expiry for root, expiry in snapshot.head.expiries if expiry >= today and (root, expiry) not in over}))

    async def bars(self, symbol: str, *, start: date, end: date) -> Bars:
        """Completed sessions only: a day's bar appears when its close is published. Open, high and low are NaN where only closes exist."""
        bars = self._recording.bars.get(symbol)
        if bars is None:
            self._known_symbol(symbol)
            raise Unavailable(f"daily prices of {symbol}", why="the recording has none")
        last = min(end, self._last_complete_day())
        rows = (bars["day"] >= start.toordinal()) & (bars["day"] <= last.toordinal())
        prices = {name: tuple(bars[name][rows].tolist()) for name in ("open", "high", "low", "close")}
        days = tuple(date.fromordinal(ordinal) for ordinal in bars["day"][rows].tolist())
        return Bars(symbol=symbol, days=days, source=NAME, **prices)

    async def settlement(self, contract: Option) -> SettlementValue | None:
        """A published value, or the official close for PM series once it is out; AM series without a published value stay pending."""
        found = self._settlements.value(contract.series, contract.expiry)
        return found if found is not None and found.published_at <= self._clock.now() else None

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        """Dividends that have gone ex: the recording does not say when one was announced, so none is known before."""
        last = min(end, exchange_date(self._clock.now()))
        paid = self._recording.dividends.get(symbol, ())
        return tuple(Dividend(symbol=symbol, ex_date=day, amount=Decimal(amount)) for day, amount in paid if start <= day <= last)

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        """None: recordings hold no splits, and one known of would have changed the contracts in it."""
        self._known_symbol(symbol)
        return ()

    async def earnings(self, symbol: str, *, start: date, end: date) -> tuple[Earnings, ...]:
        """Not in a recording, which is not the same as no report."""
        self._known_symbol(symbol)
        raise Unavailable(f"reports of {symbol}", why="the recording has none")

    async def headlines(self, symbol: str | None, *, since: datetime) -> tuple[Headline, ...]:
        """Not in a recording."""
        raise Unavailable("headlines", why="the recording has none")

    async def rate(self, days: int) -> float:
        """From the last published yield curve; without a recent one, what put-call parity of a European chain implies."""
        found = curve_rate(self._recording.rates, today=exchange_date(self._clock.now()), days=days)
        if found is None:
            found = await self._implied_rate()
        if found is None:
            raise Unavailable("riskless rate", why="the recording has no yield curve of this time and no chain that implies one")
        return found

    async def next_instant(self) -> datetime | None:
        """The next snapshot, or the publication of a settlement before it (16:15 on expiry days); None at the end of the recording."""
        place = bisect_right(self._timeline, self._clock.now())
        return self._timeline[place] if place < len(self._timeline) else None

    def next_snapshot(self) -> datetime | None:
        """The next snapshot, past whatever settles before it; None after the last one."""
        instants = self.snapshot_instants
        place = bisect_right(instants, self._clock.now())
        return instants[place] if place < len(instants) else None

    # --- snapshots --------------------------------------------------------------------------------------------------------

    def _close(self, head: SnapshotHead) -> float | None:
        """The official close of a snapshot's day."""
        return self._closes.get(head.symbol, {}).get(head.day.toordinal())

    def _first(self, start: date | None) -> datetime:
        if start is None:
            quotes: dict[str, int] = {}
            for each in self._snapshots:
                quotes[each.head.symbol] = quotes.get(each.head.symbol, 0) + each.head.rows
            return self._by_symbol[max(quotes, key=lambda symbol: (quotes[symbol], symbol))][0].at
        later = [each.at for each in self._snapshots if each.head.day >= start]
        if not later:
            last = self._snapshots[-1].head.day
            raise UserError(f"the recording ends on {last.isoformat()}, before {start.isoformat()}", "Start earlier.")
        return later[0]

    def _snapshot(self, symbol: str) -> Snapshot:
        """The last snapshot of a symbol at or before now."""
        snapshots = self._by_symbol.get(symbol)
        if snapshots is None:
            self._known_symbol(symbol)
            raise Unavailable(f"option chain of {symbol}", why="the recording has no options on it")
        place = bisect_right(snapshots, self._clock.now(), key=lambda each: each.at)
        if place == 0:
            raise Unavailable(f"option chain of {symbol}", why=f"its recording begins on {snapshots[0].head.day.isoformat()}")
        return snapshots[place - 1]

    def _chain(self, snapshot: Snapshot) -> Chain:
        head = snapshot.head
        kept = self._loaded.get(head.symbol)
        if kept is None or kept.at != snapshot.at:
            kept = self._loaded[head.symbol] = chain_of(snapshot, self._recording.load(head.name))
        return kept

    def _known_symbol(self, symbol: str) -> None:
        if symbol not in self._by_symbol and symbol not in self._recording.bars:
            there = ", ".join(sorted(self._by_symbol))
            raise UserError(f"the recording has no {symbol}", f"It has options on {there}.")

    # --- quotes -----------------------------------------------------------------------------------------------------------

    def _option_quote(self, contract: Option) -> Quote | None:
        if contract.underlying not in self._by_symbol:
            return None
        try:
            chain = self._chain(self._snapshot(contract.underlying))
        except Unavailable:
            return None
        row = chain.row(contract)
        return None if row is None else chain.quote(row)

    def _print(self, instrument: Instrument) -> Quote | None:
        """The last price known by now: a snapshot's underlying, a session's open, or a published close."""
        if isinstance(instrument, Cash):
            return None
        symbol, now = instrument.key, self._clock.now()
        prints = list(self._bar_prints(symbol))
        snapshots = self._by_symbol.get(symbol, [])
        place = bisect_right(snapshots, now, key=lambda each: each.at)
        if place and snapshots[place - 1].head.spot > 0:
            prints.append((snapshots[place - 1].at, snapshots[place - 1].head.spot))
        if not prints:
            return None
        at, price = max(prints)
        return Quote(key=symbol, bid=price, ask=price, last=price, at=at, source=NAME)

    def _bar_prints(self, symbol: str) -> list[tuple[datetime, float]]:
        bars = self._recording.bars.get(symbol)
        if bars is None:
            return []
        found = []
        now = self._clock.now()
        today = exchange_date(now)
        complete = bisect_right(bars["day"], self._last_complete_day().toordinal())
        if complete:
            last = session(date.fromordinal(int(bars["day"][complete - 1])))
            if last is not None:
                found.append((last.close_at, float(bars["close"][complete - 1])))
        regular = session(today)
        place = int(np.searchsorted(bars["day"], today.toordinal()))
        if regular is not None and now >= regular.open_at and place < len(bars["day"]) and bars["day"][place] == today.toordinal():
            opening = float(bars["open"][place])
            if math.isfinite(opening):
                found.append((regular.open_at, opening))
        return found

    def _last_complete_day(self) -> date:
        """The last day whose closing prices are published."""
        now = self._clock.now()
        today = exchange_date(now)
        regular = session(today)
        return today if regular is not None and now >= regular.close_at + PUBLICATION else today - timedelta(days=1)

    async def _implied_rate(self) -> float | None:
        """From the first chain that implies one, kept for as long as its snapshot is the last."""
        for symbol in sorted(self._by_symbol):
            try:
                snapshot = self._snapshot(symbol)
            except Unavailable:
                continue
            name = snapshot.head.name
            if name not in self._rates:
                chain = self._chain(snapshot)
                rate = parity_rate(chain) if self._runtime is None else await self._runtime.in_thread(parity_rate, chain)
                self._rates = {name: rate}
            if self._rates[name] is not None:
                return self._rates[name]
        return None


def _by_day(bars: Arrays) -> dict[int, float]:
    return dict(zip(bars["day"].tolist(), bars["close"].tolist(), strict=True))


def _silent(_: str) -> None:
    """Nobody listens."""
