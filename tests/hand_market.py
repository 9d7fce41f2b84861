"""A market made by hand: Black-76 chains at one volatility, quoted on ticks, in a View; and an account with nothing but cash."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np

from core.domain.accounts import Account, AccountId, AccountKind, Env
from core.domain.calendar import settlement_at, years_to
from core.domain.instruments import series_of
from core.market.chain import CALL, PUT, Chain
from core.market.quote import Quote
from core.market.view import View
from core.portfolio.book import Book
from core.pricing.bsm import value_forward

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)
ACCOUNT = Account(
    id=AccountId(broker="paper", id="PRACTICE", env=Env.PAPER), name="practice", kind=AccountKind.REG_T, start_cash=Decimal(100_000)
)


def chain(
    symbol: str, series: Sequence[tuple[str, date]], *, spot: float, strikes: Sequence[float], vol: float = 0.2, half_spread: float = 0.05,
    tick: float = 0.05, interest: int = 1000,
) -> Chain:
    """Puts and calls of each (root, expiry), around fair value; what is worth less than the half spread has no bid."""
    parts = [(root, expiry, right, strike) for root, expiry in sorted(series, key=lambda item: (item[1], item[0]))
             for right in (PUT, CALL) for strike in sorted(strikes)]
    strike = np.array([part[3] for part in parts])
    right = np.array([part[2] for part in parts], dtype=np.int8)
    years = np.array([years_to(settlement_at(series_of(root), expiry), AT) for root, expiry, _, _ in parts])
    even = np.ones(len(parts))
    fair = value_forward(right=right, forward=spot * even, strike=strike, t_years=years, discount=even, vol=vol)
    bid = np.maximum(np.floor((fair - half_spread) / tick + 1e-9) * tick, 0.0)
    ask = np.maximum(np.ceil((fair + half_spread) / tick - 1e-9) * tick, tick)
    return Chain(
        symbol=symbol, at=AT, source="hand", spot=spot, root=np.array([part[0] for part in parts], dtype=object),
        expiry=np.array([part[1].toordinal() for part in parts], dtype=np.int64), right=right,
        strike_milli=np.round(strike * 1000).astype(np.int64), bid=np.round(bid, 2), ask=np.round(ask, 2),
        bid_size=np.full(len(parts), 20), ask_size=np.full(len(parts), 20), open_interest=np.full(len(parts), interest),
        volume=np.full(len(parts), 50), vendor_iv=np.full(len(parts), np.nan), vendor_delta=np.full(len(parts), np.nan),
    )


def view(*chains: Chain, vix: float = 16.0) -> View:
    """The chains with their underlyings' quotes and VIX."""
    prices = {item.symbol: item.spot for item in chains} | {"VIX": vix}
    quotes = {symbol: Quote(key=symbol, bid=price, ask=price, at=AT, source="hand") for symbol, price in prices.items()}
    return View(at=AT, session=TODAY, label="TEST", quotes=quotes, chains={item.symbol: item for item in chains}, rate=0.0)


def book(account: Account = ACCOUNT, *, cash: str = "100000") -> Book:
    """An account with cash and nothing else."""
    return Book(
        account=account, cash=Decimal(cash), deposits=Decimal(cash), fees=Decimal(0), positions={}, trades={}, orders={}, live={},
    )
