"""A small market of its own: XSP with two expiries and a walk that a seed decides, and a data source that may fail in every known way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

import numpy as np

from core.domain.calendar import listed_expiries, previous_session, sessions
from core.domain.instruments import Instrument, Option, Right, series_of
from core.domain.listing import option
from core.errors import Unavailable, UserError
from core.market.chain import CALL, PUT, Chain
from core.market.quote import Quote
from core.ports import Bars, Dividend, ProviderCapabilities, SettlementValue
from core.runtime import Runtime
from tests.sim.faults import Faults

SYMBOLS = ("SPX", "SPY", "VIX", "XSP")
SPOT = 640.0
RATE = 0.04
STRIKES = range(540, 661, 10)
CENT = Decimal("0.01")
_HALF_SPREAD = 0.02


class Market:
    """True prices by true time. One step of the walk a second, so that a price is asked for twice and is the same."""

    def __init__(self, start: datetime, rng: Random, seconds: Callable[[], float]) -> None:
        self._start = start
        self._rng = rng
        self._seconds = seconds
        self._path = [SPOT]
        self._skipped = timedelta(0)
        self.today = start.date()
        listed = listed_expiries(series_of("XSP"), self.today, days=60)
        self.expiries = tuple(next(day for day in listed if (day - self.today).days >= days) for days in (33, 45))
        self._contracts = {
            contract.key: contract
            for expiry in self.expiries
            for right in (Right.CALL, Right.PUT)
            for strike in STRIKES
            for contract in (option("XSP", expiry, right, Decimal(strike)),)
        }
        self._rows = sorted(self._contracts.values(), key=lambda item: (item.expiry, item.right is Right.CALL, item.strike))
        self._bars: dict[str, Bars] = {}
        self._quoted: tuple[object, dict[str, tuple[float, float]]] = (None, {})

    def now(self) -> datetime:
        """True time, whatever the desk's clock shows."""
        return self._start + timedelta(seconds=self._seconds()) + self._skipped

    def skip(self, by: timedelta) -> None:
        """Let time pass for everybody at once: the machine was asleep."""
        self._skipped += by

    def jump(self, share: float) -> None:
        """Move the price at once."""
        self._path[-1] *= 1 + share

    def spot(self) -> float:
        """The underlying now."""
        second = int(self._seconds())
        while len(self._path) <= second:
            self._path.append(self._path[-1] * (1 + self._rng.gauss(0.0, 0.00002)))
        return self._path[second]

    def prices(self) -> dict[str, tuple[float, float]]:
        """Bid and ask of every contract now."""
        stamp = (int(self._seconds()), self.spot(), self._skipped)
        if self._quoted[0] != stamp:
            self._quoted = (stamp, {key: self._price(contract) for key, contract in self._contracts.items()})
        return self._quoted[1]

    def bid_ask(self, symbol: str) -> tuple[float, float]:
        """Bid and ask of an underlying now."""
        spot = {"XSP": 1.0, "SPX": 10.0, "SPY": 1.0, "VIX": 17.0 / SPOT}[symbol] * self.spot()
        return spot * (1 - 1e-5), spot * (1 + 1e-5)

    def chain(self, first: date, last: date) -> Chain:
        """Every contract expiring within the range."""
        rows = [item for item in self._rows if first <= item.expiry <= last]
        prices = self.prices()
        count = len(rows)
        known = np.full(count, 500, dtype=np.int64)
        unknown = np.full(count, np.nan)
        return Chain(
            symbol="XSP",
            at=self.now(),
            source="sim",
            spot=self.spot(),
            root=np.array(["XSP"] * count, dtype=object),
            expiry=np.array([item.expiry.toordinal() for item in rows], dtype=np.int64),
            right=np.array([CALL if item.right is Right.CALL else PUT for item in rows], dtype=np.int8),
            strike_milli=np.array([int(item.strike * 1000) for item in rows], dtype=np.int64),
            bid=np.array([prices[item.key][0] for item in rows], dtype=np.float64),
            ask=np.array([prices[item.key][1] for item in rows], dtype=np.float64),
            bid_size=known,
            ask_size=known,
            open_interest=known,
            volume=known,
            vendor_iv=unknown,
            vendor_delta=unknown,
        )

    def bars(self, symbol: str, start: date, end: date) -> Bars:
        """Daily bars before today."""
        whole = self._bars.get(symbol)
        if whole is None:
            days = sessions(self.today - timedelta(days=420), previous_session(self.today))
            level = sum(self.bid_ask(symbol)) / 2
            closes = tuple(level * (1 + 0.03 * math.sin(number / 9)) for number in range(len(days)))
            whole = self._bars[symbol] = Bars(
                symbol=symbol, days=tuple(days), open=closes, high=closes, low=closes, close=closes, source="sim"
            )
        kept = [number for number, day in enumerate(whole.days) if start <= day <= end]
        pick = lambda column: tuple(column[number] for number in kept)  # noqa: E731
        return replace(
            whole, days=pick(whole.days), open=pick(whole.open), high=pick(whole.high), low=pick(whole.low), close=pick(whole.close)
        )

    def _price(self, contract: Option) -> tuple[float, float]:
        years = max((contract.last_trade_at - self.now()).total_seconds(), 60.0) / (365 * 86_400)
        strike, spot = float(contract.strike), self.spot()
        deviation = (0.16 + 0.25 * max(0.0, 1 - strike / spot)) * math.sqrt(years)
        forward, discount = spot * math.exp(RATE * years), math.exp(-RATE * years)
        near = math.log(forward / strike) / deviation + deviation / 2
        call = discount * (forward * _normal(near) - strike * _normal(near - deviation))
        fair = call if contract.right is Right.CALL else call - discount * (forward - strike)
        mid = max(0.03, round(fair, 2))
        return round(mid - _HALF_SPREAD, 2), round(mid + _HALF_SPREAD, 2)


class FakeProvider:
    """The Provider port over a Market. What it hands out may be late, wrong or missing; never newer than the market."""

    def __init__(self, market: Market, faults: Faults, runtime: Runtime, step: Callable[[str], None]) -> None:
        self._market = market
        self._faults = faults
        self._runtime = runtime
        self._step = step

    @property
    def capabilities(self) -> ProviderCapabilities:
        return ProviderCapabilities(name="sim", label="SIMULATED", symbols=frozenset(SYMBOLS))

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        await self._asked("quotes")
        found = {}
        for instrument in instruments:
            if self._faults.hits("missing_quote"):
                continue
            priced = self._market.prices().get(instrument.key)
            if priced is None and instrument.key in SYMBOLS:
                priced = self._market.bid_ask(instrument.key)
            if priced is not None:
                found[instrument.key] = self._quote(instrument.key, *priced)
        return found

    async def chain(self, symbol: str, *, first: date, last: date) -> Chain:
        await self._asked("chain")
        if symbol != "XSP":
            raise Unavailable(f"option chain of {symbol}", why="this market lists XSP only")
        chain = self._market.chain(first, last)
        if len(chain) and self._faults.hits("insane_quote"):
            row = self._faults.rng.randrange(len(chain))
            chain.bid[row], chain.ask[row] = self._insane()
        if self._faults.hits("stale_quote"):
            chain = replace(chain, at=chain.at - timedelta(seconds=self._faults.rng.uniform(60, 900)))
        return chain

    async def expiries(self, symbol: str) -> tuple[date, ...]:
        await self._asked("expiries")
        if symbol not in SYMBOLS:
            raise UserError(f"{symbol} is not known here")
        return self._market.expiries if symbol == "XSP" else ()

    async def bars(self, symbol: str, *, start: date, end: date) -> Bars:
        await self._asked("bars")
        return self._market.bars(symbol, start, end)

    async def settlement(self, contract: Option) -> SettlementValue | None:
        return None

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
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
            at -= timedelta(seconds=self._faults.rng.uniform(60, 900))
        if self._faults.hits("insane_quote"):
            bid, ask = self._insane()
        return Quote(key=key, bid=bid, ask=ask, at=at, source="sim", bid_size=500, ask_size=500)

    def _insane(self) -> tuple[float, float]:
        return self._faults.rng.choice(
            ((math.nan, 1.0), (2.0, 1.0), (-1.0, 1.0), (0.0, 0.0), (1.0, 1e308), (math.inf, math.inf), (0.0, 0.05), (90.0, 90.1))
        )


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))
