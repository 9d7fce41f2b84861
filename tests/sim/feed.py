"""The data source: what it hands out may be late, wrong or missing, never newer than the market. It remembers what it handed out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from core.domain.calendar import EXCHANGE, session
from core.domain.instruments import Instrument, Option
from core.errors import Unavailable, UserError
from core.market.chain import Chain
from core.market.quote import Quote
from core.ports import Bars, Dividend, Earnings, Headline, ProviderCapabilities, SettlementValue, Split
from core.runtime import Runtime
from tests.sim.faults import Faults
from tests.sim.market import LISTED, RATE, SYMBOLS, Market

_REMEMBERED = 400
MOST_AGE = timedelta(seconds=120)  # the limit of the desk's own rule for quotes


class FakeProvider:
    """The Provider port over a Market."""

    def __init__(self, market: Market, faults: Faults, runtime: Runtime, step: Callable[[str], None]) -> None:
        self._market = market
        self._faults = faults
        self._runtime = runtime
        self._step = step
        self._given: deque[tuple[float, datetime, Chain | dict[str, Quote]]] = deque(maxlen=_REMEMBERED)

    @property
    def capabilities(self) -> ProviderCapabilities:
        return ProviderCapabilities(name="sim", label="SIMULATED", symbols=frozenset(SYMBOLS))

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        await self._asked("quotes")
        found: dict[str, Quote] = {}
        for instrument in instruments:
            priced = self._market.price(instrument.key)
            if priced is not None and not self._faults.hits("missing_quote"):
                found[instrument.key] = self._quote(instrument.key, *priced)
        self._remember(found)
        return found

    async def chain(self, symbol: str, *, first: date, last: date) -> Chain:
        await self._asked("chain")
        if symbol not in LISTED:
            raise Unavailable(f"option chain of {symbol}", why=f"this market lists {' and '.join(LISTED)} only")
        chain = self._market.chain(symbol, first, last)
        if len(chain) and self._faults.hits("insane_quote"):
            row = self._faults.rng.randrange(len(chain))
            bid, ask = chain.bid.copy(), chain.ask.copy()
            bid[row], ask[row] = self._insane()
            chain = replace(chain, bid=bid, ask=ask)
        if self._faults.hits("stale_quote"):
            chain = replace(chain, at=chain.at - timedelta(seconds=self._faults.rng.uniform(150, 900)))
        self._remember(chain)
        return chain

    async def expiries(self, symbol: str) -> tuple[date, ...]:
        await self._asked("expiries")
        if symbol not in SYMBOLS:
            raise UserError(f"{symbol} is not known here")
        return self._market.trading(symbol) if symbol in LISTED else ()

    async def bars(self, symbol: str, *, start: date, end: date) -> Bars:
        await self._asked("bars")
        return self._market.bars(symbol, start, end)

    async def settlement(self, contract: Option) -> SettlementValue | None:
        return None

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        return ()

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        return ()

    async def earnings(self, symbol: str, *, start: date, end: date) -> tuple[Earnings, ...]:
        return ()

    async def headlines(self, symbol: str | None, *, since: datetime) -> tuple[Headline, ...]:
        return ()

    async def rate(self, days: int) -> float:
        return RATE

    async def next_instant(self) -> datetime | None:
        return None

    async def _asked(self, what: str) -> None:
        self._step(f"data {what}")
        if self._faults.hits("silent_feed"):
            await self._runtime.sleep(self._faults.rng.choice((3.0, 30.0)))
        if self._faults.hits("missing_quote"):
            raise Unavailable("sim", why="the feed is down")

    def _quote(self, key: str, bid: float, ask: float) -> Quote:
        at = self._market.now()
        if self._faults.hits("stale_quote"):
            at -= timedelta(seconds=self._faults.rng.uniform(150, 900))
        if self._faults.hits("insane_quote"):
            bid, ask = self._insane()
        return Quote(key=key, bid=bid, ask=ask, at=at, source="sim", bid_size=500, ask_size=500)

    def _insane(self) -> tuple[float, float]:
        return self._faults.rng.choice(
            ((math.nan, 1.0), (2.0, 1.0), (-1.0, 1.0), (0.0, 0.0), (1.0, 1e308), (math.inf, math.inf), (0.0, 0.05), (90.0, 90.1))
        )

    # --- for the checker of freshness

    def gave_sound(self, contract: Instrument, *, since: float) -> bool:
        """Whether a sane quote of the contract, no older than the desk's rule allows, was handed out since then."""
        for second, at, given in reversed(self._given):
            if second < since:
                return False
            row = given.row(contract) if isinstance(given, Chain) and isinstance(contract, Option) else None
            quote = given.quote(row) if isinstance(given, Chain) and row is not None else None
            if isinstance(given, dict):
                quote = given.get(contract.key)
            if quote is not None and trading_age(quote.at, at) <= MOST_AGE and sane(quote.bid, quote.ask):
                return True
        return False

    def _remember(self, given: Chain | dict[str, Quote]) -> None:
        self._given.append((self._runtime.seconds(), self._market.now(), given))


def trading_age(quoted_at: datetime, now: datetime) -> timedelta:
    """How long the exchange was open since a quote was made, today at least: closed hours make nothing old."""
    today = session(now.astimezone(EXCHANGE).date())
    return now - quoted_at if today is None else min(now - quoted_at, max(timedelta(0), now - today.open_at))


def sane(bid: float, ask: float) -> bool:
    """The quote rule in this world's own words."""
    return all(map(math.isfinite, (bid, ask))) and 0 <= bid <= ask < 1e7 and ask > 0
