"""What an account's period brought, part by part, for `pnl`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal

from core.commands._trades import Holdings
from core.domain.calendar import EXCHANGE, exchange_day
from core.domain.events import Settled
from core.domain.money import ZERO
from core.domain.structures import Trade
from core.portfolio.pnl import (
    OutsideResult,
    Result,
    closed_outside,
    moved_within,
    realised,
    settled_within,
    untraded_pnl,
)

BY = ("strategy", "symbol", "account", "trade")
CASH = "cash: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One account in a period: what ended, what holdings outside trades brought, cash without a trade, what settled, what is open."""

    found: Holdings
    trades: tuple[Trade, ...]
    outside: tuple[OutsideResult, ...]
    moved: tuple[tuple[str, Decimal], ...]
    settled: tuple[Settled, ...]

    @property
    def gross(self) -> Decimal:
        """Realised on trades and holdings, before fees."""
        return sum((trade.premium + trade.closing_cash for trade in self.trades), ZERO) + sum((item.gross for item in self.outside), ZERO)

    @property
    def fees(self) -> Decimal:
        """Their commission and fees."""
        return sum((trade.fees for trade in self.trades), ZERO) + sum((item.fees for item in self.outside), ZERO)

    @property
    def cash(self) -> Decimal:
        """Dividends, interest and other cash without a trade."""
        return sum((amount for _, amount in self.moved), ZERO)

    @property
    def net(self) -> Decimal:
        """Everything realised."""
        return self.gross - self.fees + self.cash

    @property
    def open_pnl(self) -> Decimal | None:
        """Of the open trades, at mids; what has no price is left out, None where nothing has one."""
        known = [result.pnl for result in self.found.trades if result.pnl is not None]
        return sum(known, ZERO) if known or not self.found.trades else None

    @property
    def rest(self) -> tuple[Decimal, tuple[str, ...]]:
        """P&L of what is held outside trades, and what of it has no price."""
        return untraded_pnl(self.found.book.untraded_positions(), self.found.rest, self.found.view)

    @property
    def stale(self) -> set[str]:
        """What has no usable price."""
        return {name for result in self.found.trades for name in result.stale} | set(self.rest[1])


def period_of(found: Holdings, *, first: date, last: date, symbol: str | None) -> Period:
    """What the days [first, last] brought an account, of one underlying where it is named."""
    book = found.book
    closed = (
        trade for trade in book.closed_since(datetime.combine(first, time(), EXCHANGE))
        if trade.closed_at is not None and not trade.is_open and first <= exchange_day(trade.closed_at) <= last
        and symbol in (None, trade.underlying)
    )
    fills, settlements = book.booked_outside()
    outside = closed_outside(fills=fills, settlements=settlements, replaced=book.replaced_outside())
    settled = settled_within(book.settlements.within(first, last), first=first, last=last)
    return Period(
        found=found, trades=tuple(closed), settled=tuple(item for item in settled if symbol in (None, symbol_of(item))),
        outside=tuple(item for item in outside if first <= exchange_day(item.at) <= last and symbol in (None, item.underlying)),
        moved=moved_within(book.movements, book.adjustments, first=first, last=last, symbol=symbol),
    )


def symbol_of(item: Settled) -> str:
    """The underlying a settlement is on."""
    return str(getattr(item.instrument, "underlying", item.instrument.key))


def grouped(periods: Iterable[Period], by: str, *, first: date, last: date) -> tuple[Result, ...]:
    """Everything realised, by strategy, symbol, account or trade: the rows add up to the whole, to the cent."""
    rows: dict[str, Result] = {}
    for period in periods:
        account = period.found.account.name
        for trade in period.trades:
            name = {"strategy": trade.strategy, "symbol": trade.underlying, "account": account, "trade": trade.id}[by]
            (one,) = realised([trade], first=first, last=last)
            _add(rows, name, one)
        for item in period.outside:
            if item.gross or item.fees:
                name = {"symbol": f"{item.underlying} outside trades", "account": account}.get(by, "outside trades")
                _add(rows, name, Result(name=name, trades=0, winners=0, gross=item.gross, fees=item.fees))
        for reason, amount in period.moved:
            name = account if by == "account" else f"{CASH}{reason}"
            _add(rows, name, Result(name=name, trades=0, winners=0, gross=amount, fees=ZERO))
    return tuple(rows[name] for name in sorted(rows, key=lambda name: (rows[name].trades == 0, name)))


def _add(rows: dict[str, Result], name: str, more: Result) -> None:
    before = rows.get(name, Result(name=name, trades=0, winners=0, gross=ZERO, fees=ZERO))
    rows[name] = Result(
        name=name, trades=before.trades + more.trades, winners=before.winners + more.winners, gross=before.gross + more.gross,
        fees=before.fees + more.fees,
    )


