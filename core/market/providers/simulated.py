"""The practice market: SPX, XSP, the VIX family with its futures, five funds and 26 stocks, invented and labelled SIMULATED.

Every price is a function of the parameters and the instant, so a restart, a jump in time or a second process sees the same market. The
index has jumps and a volatility that returns to its mean and rises when prices fall; names follow by beta and sector, report earnings,
pay and split; VIX is what the index options imply. Chains carry skew and term structure, bid and ask on ticks, sizes, volume and open
interest. Example: the eve of `start` has the index at 6,800 and VIX at 16.5, of which 14% is at the money; with the scenario feb_2018 the
second session ends 4.1% lower with VIX at 37.3.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import TypeVar, TypeVarTuple

from core.clock import EXCHANGE_ZONE, Clock, ScaledClock, as_utc, exchange_date, skip_closed
from core.domain.calendar import CalendarError, next_session, session, settlement_at
from core.domain.instruments import Equity, Future, Index, Instrument, InstrumentError, Option, Settlement
from core.domain.money import from_market
from core.errors import Unavailable, UserError
from core.market.chain import Chain
from core.market.providers._sim_chains import SOURCE, Chains
from core.market.providers._sim_halts import Halts, halts_of, splits_of
from core.market.providers._sim_listed import LISTED
from core.market.providers._sim_news import News
from core.market.providers._sim_noise import Noise
from core.market.providers._sim_paths import ANNOUNCED, FIRST, Moment, Paths
from core.market.providers._sim_scenarios import SCENARIOS
from core.market.providers._sim_surface import rate
from core.market.providers._sim_vix import MULTIPLIER, TICK
from core.market.providers._sim_vix import ROOT as VX
from core.market.quote import Quote
from core.ports import Bars, Dividend, Earnings, Headline, ProviderCapabilities, SettlementValue, Split
from core.runtime import Runtime

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NAME = "simulated"
SET_DELAY = timedelta(minutes=15)  # the morning settlement value is published this long after the open
LATE_CLOSE = timedelta(minutes=15)  # index and ETF options trade this much longer than shares
STEP_TO = time(10, 0)  # exchange time
AFTER_CLOSE = timedelta(minutes=1)
HISTORY = (2, 2520)  # sessions of back-history


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """seed: which market; start: the day on whose eve the listed levels stand; history_sessions: back-history before it, about two years;
    scenario: what the index and VIX go through from the start on, one of `_sim_scenarios` or nothing; splits: those of single names in
    place of the market's own, as "KO 2026-11-20 3:2; NVDA ...".

    These are part of the market: change one and it is another market. halts: when something does not trade although its session is
    open, as "KO 2026-11-20 10:30-10:35 volatility pause; SPY ..." in exchange time; its prices go on being quoted, and nothing fills.
    """

    seed: int = 1
    history_sessions: int = field(default=504, metadata={"bounds": HISTORY})
    start: date = date(2026, 11, 2)
    scenario: str = field(default="", metadata={"reads": lambda text: _scenario(text)})
    splits: str = field(default="", metadata={"reads": lambda text: splits_of(text)})
    halts: str = field(default="", metadata={"reads": lambda text: halts_of(text)})


PARAMETERS = Parameters


def build(parameters: Parameters, *, clock: Clock, runtime: Runtime | None = None) -> SimulatedProvider:
    """Make the market of these parameters. With a runtime, work is done in its threads."""
    if not HISTORY[0] <= parameters.history_sessions <= HISTORY[1]:
        raise UserError(f"history_sessions must be from {HISTORY[0]} to {HISTORY[1]:,}, not {parameters.history_sessions}")
    try:
        return SimulatedProvider(parameters, clock=clock, runtime=runtime)
    except CalendarError as error:
        raise UserError(f"the simulated market cannot start on {parameters.start}: {error}") from error


def simulated_clock(start: datetime, speed: float = 1.0, monotonic: Callable[[], float] | None = None) -> ScaledClock:
    """A clock for the practice market, which never closes: from 16:15 New York time it skips to the next session's 09:30."""

    def is_open(at: datetime) -> bool:
        today = session(exchange_date(at))
        return today is not None and today.open_at <= at < today.close_at + LATE_CLOSE

    def next_open(at: datetime) -> datetime:
        day = exchange_date(at)
        today = session(day)
        upcoming = today if today is not None and at < today.open_at else session(next_session(day))
        return at if upcoming is None else upcoming.open_at

    wrap = skip_closed(is_open=is_open, next_open=next_open)
    first = wrap(as_utc(start))
    return ScaledClock(first, speed, wrap=wrap) if monotonic is None else ScaledClock(first, speed, monotonic, wrap=wrap)


class SimulatedProvider:
    """The Provider port over one simulated market."""

    def __init__(self, parameters: Parameters, *, clock: Clock, runtime: Runtime | None = None) -> None:
        noise = Noise(parameters.seed)
        self._parameters = parameters
        self._clock = clock
        self._runtime = runtime
        self._lock = threading.Lock()
        self._paths = Paths(
            noise, start=parameters.start, history_sessions=parameters.history_sessions, scenario=_scenario(parameters.scenario),
            splits=splits_of(parameters.splits),
        )
        self._chains = Chains(self._paths, noise)
        self._halts = Halts(self._paths, halts_of(parameters.halts))
        self._news = News(self._paths, self._halts)

    @property
    def identity(self) -> str:
        """Which market this is: a log belongs to one."""
        of = self._parameters
        told = "".join(f", {name} {text}" for name, text in (("scenario", of.scenario), ("splits", of.splits)) if text)
        return f"simulated market of seed {of.seed}, {of.history_sessions} sessions before {of.start}{told}"

    @property
    def capabilities(self) -> ProviderCapabilities:
        return ProviderCapabilities(name=NAME, label="SIMULATED", symbols=frozenset((*LISTED, VX)), settlements=True)

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        return await self._off_loop(self._quotes, tuple(instruments), self._clock.now())

    async def chain(self, symbol: str, *, first: date, last: date) -> Chain:
        _check(symbol)
        if LISTED[symbol].grid is None:
            raise UserError(f"the simulated market lists no options on {symbol}", f"It has them on {_names(options=True)}.")
        now = self._clock.now()
        found = await self._off_loop(self._chains.chain, symbol, now, first, last)
        why = await self._off_loop(self._halted, symbol, now)
        return replace(found, halted=why) if why else found

    async def expiries(self, symbol: str) -> tuple[date, ...]:
        _check(symbol)
        return await self._off_loop(self._expiries, symbol, self._clock.now())

    async def bars(self, symbol: str, *, start: date, end: date) -> Bars:
        _check(symbol)
        return await self._off_loop(self._bars, symbol, start, end, self._clock.now())

    async def settlement(self, contract: Option) -> SettlementValue | None:
        listed = LISTED.get(contract.underlying)
        if listed is None or listed.grid is None:
            raise Unavailable(f"settlement value of {contract.root}", why="the simulated market does not list it")
        return await self._off_loop(self._settlement, contract, self._clock.now())

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        _check(symbol)
        return await self._off_loop(self._dividends, symbol, start, end, self._clock.now())

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        _check(symbol)
        return await self._off_loop(self._news.splits, symbol, start, end, self._clock.now())

    async def earnings(self, symbol: str, *, start: date, end: date) -> tuple[Earnings, ...]:
        _check(symbol)
        return await self._off_loop(self._news.earnings, symbol, start, end, self._clock.now())

    async def headlines(self, symbol: str | None, *, since: datetime) -> tuple[Headline, ...]:
        if symbol is not None:
            _check(symbol)
        now = self._clock.now()
        return await self._off_loop(lambda: self._news.headlines(symbol, since, self._paths.moment(now), now))

    async def rate(self, days: int) -> float:
        return rate(days)

    async def next_instant(self) -> datetime | None:
        now = self._clock.now()
        day = exchange_date(now)
        while True:
            stops = _stops(day)
            following = [at for at in stops if at > now]
            if following:
                return following[0]
            try:
                day = next_session(day)
            except CalendarError as error:
                raise Unavailable("the next session", why=str(error)) from error

    def _quotes(self, instruments: tuple[Instrument, ...], now: datetime) -> dict[str, Quote]:
        moment = self._paths.moment(now)
        found: dict[str, Quote] = {}
        contracts: dict[str, list[Option]] = {}
        for instrument in instruments:
            if isinstance(instrument, Option):
                contracts.setdefault(instrument.underlying, []).append(instrument)
            elif isinstance(instrument, Equity | Index) and instrument.symbol in LISTED:
                found[instrument.key] = self._share_quote(instrument, moment)
            elif isinstance(instrument, Future):
                future = self._future_quote(instrument, moment, now)
                found |= {} if future is None else {instrument.key: future}
        for symbol, wanted in contracts.items():
            if symbol in LISTED:
                found |= self._chains.quotes(symbol, wanted, now)
        halted = {symbol: self._halted(symbol, now) for symbol in {*contracts, *found} & LISTED.keys()}
        if not any(halted.values()):
            return found
        on = {item.key: item.underlying if isinstance(item, Option) else item.key for item in instruments}
        return {key: replace(quote, halted=halted.get(on[key], "")) for key, quote in found.items()}

    def _halted(self, symbol: str, now: datetime) -> str:
        return self._halts.why(symbol, self._paths.moment(now), now)

    def _future_quote(self, contract: Future, moment: Moment, now: datetime) -> Quote | None:
        """A VIX future a tick wide around its price, while it has not settled."""
        if (contract.root, contract.multiplier) != (VX, MULTIPLIER):
            return None
        at = self._chains.at("VIX", moment, now)
        price = self._chains.vix_future(contract.expiry, moment, at)
        if price is None:
            return None
        bid = round(int(price / TICK) * TICK, 2)
        return Quote(key=contract.key, bid=bid, ask=round(bid + TICK, 2), at=at, source=SOURCE, bid_size=80, ask_size=80, last=bid)

    def _share_quote(self, instrument: Equity | Index, moment: Moment) -> Quote:
        """An index has one level, bid and ask alike; shares are a cent or two apart around the level."""
        level = self._paths.level(instrument.symbol, moment)
        if isinstance(instrument, Index):
            return Quote(key=instrument.key, bid=level, ask=level, at=moment.at, source=SOURCE, last=level)
        bid = round(level - LISTED[instrument.symbol].share_spread / 2 - 1e-9, 2)
        ask = round(bid + LISTED[instrument.symbol].share_spread, 2)
        size = 100 * (1 + int(moment.step) % 9)
        return Quote(key=instrument.key, bid=bid, ask=ask, at=moment.at, source=SOURCE, bid_size=size, ask_size=1000 - size, last=level)

    def _expiries(self, symbol: str, now: datetime) -> tuple[date, ...]:
        moment = self._paths.moment(now)
        return tuple(dict.fromkeys(expiry for _, expiry in self._chains.series(symbol, moment, self._chains.at(symbol, moment, now))))

    def _bars(self, symbol: str, start: date, end: date, now: datetime) -> Bars:
        moment = self._paths.moment(now)
        today = session(moment.day)
        complete = moment.index if today is not None and moment.at >= today.close_at else moment.index - 1
        first = max(self._paths.index_of(max(start, self._paths.origin) - timedelta(days=1)) + 1, FIRST)
        last = min(self._paths.index_of(min(end, moment.day)), complete)
        if last < first:
            return Bars(symbol=symbol, days=(), open=(), high=(), low=(), close=(), source=SOURCE)
        opens, highs, lows, closes = (tuple(column) for column in self._paths.bars(symbol, first, last, seen_from=moment.index).T.tolist())
        days = tuple(self._paths.day(index) for index in range(first, last + 1))
        return Bars(symbol=symbol, days=days, open=opens, high=highs, low=lows, close=closes, source=SOURCE)

    def _settlement(self, contract: Option, now: datetime) -> SettlementValue | None:
        decided = settlement_at(contract.series, contract.expiry)
        morning = contract.settlement is Settlement.AM
        published = decided + SET_DELAY if morning else decided
        if now < published:
            return None
        day = exchange_date(decided)
        if day < self._paths.origin:
            raise Unavailable(f"settlement value of {contract.label}", why=f"the simulated market opened on {self._paths.origin}")
        index = self._paths.index_of(day)
        level = self._paths.open(contract.underlying, index) if morning else self._paths.close(contract.underlying, index)
        evening = "closing index" if contract.deliverable is None else "closing price"
        label = evening if not morning else "SOQ" if contract.underlying == "VIX" else "SET"
        return SettlementValue(root=contract.root, expiry=contract.expiry, value=from_market(level), published_at=published, label=label)

    def _dividends(self, symbol: str, start: date, end: date, now: datetime) -> tuple[Dividend, ...]:
        known = exchange_date(now) + ANNOUNCED
        paid = self._paths.payments(symbol, min(end, known))
        dividends = (
            Dividend(symbol=symbol, ex_date=one.ex_date, amount=from_market(round(one.amount / self._shares(symbol, one.index, now), 4)))
            for one in paid if one.ex_date >= start
        )
        return tuple(dividend for dividend in dividends if dividend.amount > Decimal(0))

    def _shares(self, symbol: str, index: int, now: datetime) -> float:
        """Shares for one at the start, when a dividend goes ex, as far as that is known."""
        return self._paths.divisor(symbol, min(index, self._paths.index_of(exchange_date(now))))

    async def _off_loop(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        try:
            return self._alone(fn, *args) if self._runtime is None else await self._runtime.in_thread(partial(self._alone, fn, *args))
        except (CalendarError, InstrumentError) as error:
            raise Unavailable("the simulated market", why=str(error)) from error

    def _alone(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """One caller at a time: the parts below keep what they computed."""
        with self._lock:
            return fn(*args)


def _scenario(name: str) -> str:
    """A scenario's name, empty for none; raise UserError for another."""
    if name and name not in SCENARIOS:
        raise UserError(f"market: there is no scenario {name!r:.40}", f"There are {', '.join(SCENARIOS)}; none is an empty name.")
    return name


def _check(symbol: str) -> None:
    if symbol not in LISTED:
        raise UserError(f"the simulated market does not know {symbol!r}", f"It has {_names()}.")


def _names(*, options: bool = False) -> str:
    return ", ".join(symbol for symbol, listed in LISTED.items() if listed.grid is not None or not options)


def _stops(day: date) -> tuple[datetime, ...]:
    """The morning, and the moment after the close at which that day's expiries have settled; none on a closed day."""
    today = session(day)
    if today is None:
        return ()
    return as_utc(datetime.combine(day, STEP_TO, EXCHANGE_ZONE)), today.close_at + AFTER_CLOSE
