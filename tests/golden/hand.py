"""A market set by hand, for transcripts whose figures a reader checks on paper: prices stand where a stage direction puts them.

Contracts are worth their Black-76 value at one volatility and no interest, never less than what exercise pays, quoted two cents around it
on whole cents; a split divides what its share costs from its ex-date on. The clock stands and moves through five instants of each session:
08:30, 10:00, 14:00, 15:30 and 16:30 New York.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np

from core.clock import EXCHANGE_ZONE, ManualClock, exchange_date
from core.domain.calendar import EXCHANGE, is_session, session, settlement_at, years_to
from core.domain.instruments import Delivery, Instrument, Option, Right, SeriesSpec, series_of
from core.errors import UserError
from core.market.chain import CALL, PUT, Chain
from core.market.quote import Quote
from core.ports import Bars, Dividend, Earnings, Headline, ProviderCapabilities, SettlementValue, Split
from core.pricing.bsm import value_forward

TIMES = (time(8, 30), time(10, 0), time(14, 0), time(15, 30), time(16, 30))
DAYS_AHEAD = 120
HALF_SPREAD = 0.02
SIZE = 200
INDICES = {"VIX": 16.0, "VIX9D": 15.0, "VIX3M": 18.0, "SPX": 6600.0, "SPY": 660.0}


class HandMarket:
    """The Provider port over prices that somebody sets."""

    def __init__(self, prices: Mapping[str, float], *, start: date, volatility: float) -> None:
        morning = datetime.combine(start, time(10, 0), EXCHANGE_ZONE).astimezone(UTC)
        self.clock = ManualClock(morning)
        self.volatility = volatility
        self._set: dict[str, list[tuple[datetime, float]]] = {
            symbol: [(morning - timedelta(days=500), price)] for symbol, price in {**INDICES, **prices}.items()
        }
        self.paid: list[Dividend] = []
        self.made: list[Split] = []
        days = (start + timedelta(days=number) for number in range(DAYS_AHEAD))
        self.snapshot_instants = tuple(
            datetime.combine(day, at, EXCHANGE_ZONE).astimezone(UTC) for day in days if is_session(day) for at in TIMES
        )

    # --- what a stage direction says ---------------------------------------------------------------------------------------

    def stand(self, symbol: str, price: float) -> None:
        """From now on it costs that."""
        self._set.setdefault(symbol, []).append((self.clock.now(), price))

    # --- the port ------------------------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> ProviderCapabilities:
        return ProviderCapabilities(name="hand", label="TEST", symbols=frozenset(self._set), settlements=True)

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        now = self.clock.now()
        return {item.key: self._quote(item, now) for item in instruments if self._trades(item, now)}

    async def chain(self, symbol: str, *, first: date, last: date) -> Chain:
        now, spot = self.clock.now(), self._spot(symbol, self.clock.now())
        spec = series_of("SPXW" if symbol == "SPX" else symbol)
        step = 0.5 if spot < 50 else 1.0 if spot < 200 else 25.0
        strikes = np.arange(math.floor(spot * 0.7 / step), math.ceil(spot * 1.3 / step) + 1) * step
        days = [day for day in await self.expiries(symbol) if first <= day <= last]
        rows = [(day, right, strike) for day in days for right in (PUT, CALL) for strike in strikes]
        size = len(rows)
        day, right, strike = (np.array([row[place] for row in rows]) for place in range(3)) if rows else (np.array([]),) * 3
        years = np.array([self._years(spec, item, now) for item in day])
        bid, ask = self._sides(right=right.astype(np.int8), spot=spot, strike=strike.astype(float), years=years)
        return Chain(
            symbol=symbol, at=now, source="hand", spot=spot, root=np.array([spec.root] * size, dtype=object),
            expiry=np.array([item.toordinal() for item in day], dtype=np.int64), right=right.astype(np.int8),
            strike_milli=np.round(strike.astype(float) * 1000).astype(np.int64), bid=bid, ask=ask, bid_size=np.full(size, SIZE),
            ask_size=np.full(size, SIZE), open_interest=np.full(size, 1000), volume=np.full(size, 500), vendor_iv=np.full(size, np.nan),
            vendor_delta=np.full(size, np.nan),
        )

    async def expiries(self, symbol: str) -> tuple[date, ...]:
        self._spot(symbol, self.clock.now())
        today = exchange_date(self.clock.now())
        days = (today + timedelta(days=number) for number in range(64))
        return tuple(day for day in days if day.weekday() == 4 and is_session(day))

    async def bars(self, symbol: str, *, start: date, end: date) -> Bars:
        """Quiet years: a hair up, a hair down."""
        now, days = self.clock.now(), []
        day = start
        while day <= end:
            today = session(day)
            if today is not None and today.close_at <= now:
                days.append(today)
            day += timedelta(days=1)
        closes = tuple(
            round(self._spot(symbol, item.close_at) * (1 + 0.004 * math.sin(1.7 * item.day.toordinal() + len(symbol))), 2) for item in days
        )
        return Bars(symbol=symbol, days=tuple(item.day for item in days), open=closes, high=closes, low=closes, close=closes, source="hand")

    async def settlement(self, contract: Option) -> SettlementValue | None:
        decided = settlement_at(contract.series, contract.expiry)
        if self.clock.now() < decided:
            return None
        value = Decimal(str(self._spot(contract.underlying, decided))).quantize(Decimal("0.01"))
        label = "closing index" if contract.delivery is Delivery.CASH else "closing price"
        return SettlementValue(root=contract.root, expiry=contract.expiry, value=value, published_at=decided, label=label)

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        return tuple(item for item in self.paid if item.symbol == symbol and start <= item.ex_date <= end)

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        return tuple(item for item in self.made if item.symbol == symbol and start <= item.ex_date <= end)

    async def earnings(self, symbol: str, *, start: date, end: date) -> tuple[Earnings, ...]:
        return ()

    async def headlines(self, symbol: str | None, *, since: datetime) -> tuple[Headline, ...]:
        return ()

    async def rate(self, days: int) -> float:
        return 0.0

    async def next_instant(self) -> datetime | None:
        place = bisect_right(self.snapshot_instants, self.clock.now())
        return self.snapshot_instants[place] if place < len(self.snapshot_instants) else None

    # --- prices --------------------------------------------------------------------------------------------------------------

    def _trades(self, item: Instrument, now: datetime) -> bool:
        if isinstance(item, Option):
            return item.underlying in self._set and now < item.last_trade_at
        return item.key in self._set

    def _spot(self, symbol: str, at: datetime) -> float:
        found = [(since, price) for since, price in self._set.get(symbol, ()) if since <= at]
        if not found:
            raise UserError(f"{symbol} is not known here")
        since, price = found[-1]
        for split in self.made:
            begins = datetime.combine(split.ex_date, time(0), EXCHANGE).astimezone(UTC)
            if split.symbol == symbol and since < begins <= at:
                price = price * split.old / split.new
        return price

    def _years(self, spec: SeriesSpec, expiry: date, now: datetime) -> float:
        return max(years_to(settlement_at(spec, expiry), now), 0.0)

    def _quote(self, item: Instrument, now: datetime) -> Quote:
        if not isinstance(item, Option):
            price = self._spot(item.key, now)
            half = 0.0 if item.key in INDICES else 0.01
            return Quote(
                key=item.key, bid=round(price - half, 2), ask=round(price + half, 2), at=now, source="hand", bid_size=50_000,
                ask_size=50_000,
            )
        per_share = item.shares / item.multiplier
        bid, ask = self._sides(
            right=np.array([CALL if item.right is Right.CALL else PUT], dtype=np.int8), spot=self._spot(item.underlying, now),
            strike=np.array([float(item.share_strike)]), years=np.array([self._years(item.series, item.expiry, now)]), times=per_share,
        )
        return Quote(
            key=item.key, bid=float(bid[0]), ask=float(ask[0]), at=now, source="hand", bid_size=SIZE, ask_size=SIZE,
        )

    def _sides(
        self, *, right: np.ndarray, spot: float, strike: np.ndarray, years: np.ndarray, times: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bid and ask on whole cents, two cents around what a contract is worth."""
        even = np.ones(len(strike))
        fair = value_forward(
            right=right, forward=spot * even, strike=strike, t_years=np.maximum(years, 1e-9), discount=even, vol=self.volatility * even
        ) * times
        bid = np.maximum(np.floor((fair - HALF_SPREAD) * 100 + 1e-6) / 100, 0.0)
        return np.round(bid, 2), np.round(np.maximum(np.ceil((fair + HALF_SPREAD) * 100 - 1e-6) / 100, 0.01), 2)
