"""A small market of its own: XSP options settled in cash, KO options settled in shares, and prices that a seed decides.

Prices move every `TICK_SECONDS` of the loop. Something expires every day; what has stopped trading is quoted no more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random

import numpy as np

from core.domain.calendar import EXCHANGE, hours, listed_expiries, previous_session, session, sessions
from core.domain.instruments import Equity, Instrument, Option, Right, series_of
from core.domain.listing import option
from core.market.chain import CALL, PUT, Chain
from core.ports import Bars

SYMBOLS = ("KO", "SPX", "SPY", "VIX", "XSP")
LISTED = ("KO", "XSP")
SPOTS = {"XSP": 640.0, "KO": 62.0}
STRIKES = {"XSP": range(540, 661, 10), "KO": range(50, 75, 2)}
VOLATILITIES = {"XSP": 0.16, "KO": 0.2}
SHARES = Equity(symbol="KO")
RATE = 0.04
CENT = Decimal("0.01")
TICK_SECONDS = 5.0
NEAR_DAYS = 6
_HALF_SPREAD = 0.02
_YEAR_SECONDS = 365 * 86_400.0


class Market:
    """True prices by true time: within one tick a price asked for twice is the same."""

    def __init__(self, start: datetime, rng: Random, seconds: Callable[[], float]) -> None:
        self.start = start
        self._rng = rng
        self._seconds = seconds
        self._ticks = 0
        self._spots = dict(SPOTS)
        self._drift = rng.choice((-2e-5, 0.0, 0.0, 2e-5))  # a share of every price, each second: some days go one way
        self._skipped = timedelta(0)
        self._version = 0  # rises with every change of a price
        self._bars: dict[str, Bars] = {}
        self._quoted: dict[tuple[str, date], tuple[int, dict[str, tuple[float, float]]]] = {}
        self._chains: dict[tuple[str, date, date], tuple[int, Chain]] = {}
        self.today = start.astimezone(EXCHANGE).date()
        self.listed = {root: _listed(root, self.today) for root in LISTED}
        self.contracts = {item.key: item for root in LISTED for expiry in self.listed[root] for item in _contracts(root, expiry)}

    # --- time

    def now(self) -> datetime:
        """True time, whatever the desk's clock shows."""
        return self.start + timedelta(seconds=self._seconds()) + self._skipped

    def skip(self, by: timedelta) -> None:
        """Let time pass for everybody at once: the machine was asleep. Prices move meanwhile, and gap over a night."""
        self._skipped += by
        self.jump(self._rng.gauss(0, 0.002 * math.sqrt(by.total_seconds() / 3600)))

    def closed(self, instrument: Instrument) -> bool:
        """Whether the exchange trades the instrument at this moment."""
        day = self.now().astimezone(EXCHANGE).date()
        if isinstance(instrument, Option):
            span = hours(instrument.series, day, instrument.expiry)
        else:
            regular = session(day)
            span = None if regular is None else (regular.open_at, regular.close_at)
        return span is None or not span[0] <= self.now() < span[1]

    # --- prices

    def jump(self, share: float) -> None:
        """Move every price at once."""
        self._move()
        self._spots = {symbol: max(1.0, spot * (1 + share)) for symbol, spot in self._spots.items()}
        self._version += 1

    def spot(self, symbol: str = "XSP") -> float:
        """An underlying now."""
        self._move()
        return self._spots[symbol]

    def price(self, key: str) -> tuple[float, float] | None:
        """Bid and ask of a contract, None for one that is not listed or has ceased to trade."""
        contract = self.contracts.get(key)
        if contract is None:
            return self.bid_ask(key) if key in SYMBOLS else None
        return self._slice(contract.root, contract.expiry).get(key)

    def bid_ask(self, symbol: str) -> tuple[float, float]:
        """Bid and ask of an underlying now."""
        index = {"XSP": 1.0, "SPX": 10.0, "SPY": 1.0, "VIX": 17.0 / SPOTS["XSP"]}
        level = self.spot("KO") if symbol == "KO" else index[symbol] * self.spot()
        return level * (1 - 1e-5), level * (1 + 1e-5)

    def trading(self, root: str) -> tuple[date, ...]:
        """The expiries of a root that still trade."""
        return tuple(expiry for expiry in self.listed[root] if _contracts(root, expiry)[0].last_trade_at > self.now())

    def far(self, root: str = "XSP") -> tuple[date, ...]:
        """The expiries some weeks away, which trades are opened on."""
        return tuple(expiry for expiry in self.listed[root] if (expiry - self.today).days > 20)

    def chain(self, symbol: str, first: date, last: date) -> Chain:
        """Every contract of the underlying that still trades and expires within the range."""
        self._move()
        kept = self._chains.get((symbol, first, last))
        if kept is None or kept[0] != self._version:
            kept = self._chains[symbol, first, last] = (self._version, self._chain(symbol, first, last))
        return kept[1]

    def bars(self, symbol: str, start: date, end: date) -> Bars:
        """Daily bars before the first day."""
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

    def years(self, expiry_at: datetime) -> float:
        """Time to an instant, at least a minute."""
        return max((expiry_at - self.now()).total_seconds(), 60.0) / _YEAR_SECONDS

    # --- inside

    def _move(self) -> None:
        """The walk up to now; nothing moves between two ticks."""
        ticks = int(self._seconds() / TICK_SECONDS)
        if ticks > self._ticks:
            for symbol in LISTED:
                seconds = TICK_SECONDS * (ticks - self._ticks)
                self._spots[symbol] *= 1 + self._drift * seconds + self._rng.gauss(0.0, 0.0001) * math.sqrt(seconds)
            self._ticks = ticks
            self._version += 1

    def _slice(self, root: str, expiry: date) -> dict[str, tuple[float, float]]:
        self._move()
        kept = self._quoted.get((root, expiry))
        if kept is None or kept[0] != self._version:
            kept = self._quoted[root, expiry] = (self._version, self._priced(root, expiry))
        return kept[1]

    def _priced(self, root: str, expiry: date) -> dict[str, tuple[float, float]]:
        contracts = _contracts(root, expiry)
        if contracts[0].last_trade_at <= self.now():
            return {}
        spot, years = self._spots[root], self.years(contracts[0].last_trade_at)
        prices = {}
        for contract in contracts:
            mid = max(0.03, round(fair(contract, spot=spot, years=years), 2))
            prices[contract.key] = (round(mid - _HALF_SPREAD, 2), round(mid + _HALF_SPREAD, 2))
        return prices

    def _chain(self, symbol: str, first: date, last: date) -> Chain:
        expiries = [expiry for expiry in self.listed[symbol] if first <= expiry <= last]
        prices = {key: price for expiry in expiries for key, price in self._slice(symbol, expiry).items()}
        rows = [self.contracts[key] for key in prices]
        count = len(rows)
        known, unknown = np.full(count, 500, dtype=np.int64), np.full(count, np.nan)
        return Chain(
            symbol=symbol,
            at=self.now(),
            source="sim",
            spot=self._spots[symbol],
            root=np.array([symbol] * count, dtype=object),
            expiry=np.array([item.expiry.toordinal() for item in rows], dtype=np.int64),
            right=np.array([CALL if item.right is Right.CALL else PUT for item in rows], dtype=np.int8),
            strike_milli=np.array([int(item.strike * 1000) for item in rows], dtype=np.int64),
            bid=np.array([bid for bid, _ in prices.values()], dtype=np.float64),
            ask=np.array([ask for _, ask in prices.values()], dtype=np.float64),
            bid_size=known,
            ask_size=known,
            open_interest=known,
            volume=known,
            vendor_iv=unknown,
            vendor_delta=unknown,
        )


def fair(contract: Option, *, spot: float, years: float, more_volatility: float = 0.0) -> float:
    """What a contract is worth, by Black and Scholes with a skew: this world's truth."""
    strike = float(contract.strike)
    volatility = VOLATILITIES[contract.root] + 0.25 * max(0.0, 1 - strike / SPOTS[contract.root]) + more_volatility
    deviation = volatility * math.sqrt(years)
    forward, discount = spot * math.exp(RATE * years), math.exp(-RATE * years)
    near = math.log(forward / strike) / deviation + deviation / 2
    call = discount * (forward * _normal(near) - strike * _normal(near - deviation))
    return call if contract.right is Right.CALL else call - discount * (forward - strike)


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _listed(root: str, today: date) -> tuple[date, ...]:
    """Every expiry of the days ahead, and those nearest to 33 and 45 days."""
    listed = listed_expiries(series_of(root), today, days=70)
    near = [day for day in listed if (day - today).days <= NEAR_DAYS]
    far = [next(day for day in listed if (day - today).days >= days) for days in (33, 45)]
    return tuple(dict.fromkeys((*near, *far)))


@lru_cache(maxsize=512)
def _contracts(root: str, expiry: date) -> tuple[Option, ...]:
    """The contracts of an expiry: puts, then calls, by strike."""
    return tuple(option(root, expiry, right, Decimal(strike)) for right in (Right.PUT, Right.CALL) for strike in STRIKES[root])
