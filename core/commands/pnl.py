"""Profit and loss net of commission and fees: closed trades to the cent, settlements, and what is open at mids.

Example: a spread sold for 400.00 and bought back for 150.00 with 5.28 of commission and fees counts 244.72 on the day it closed.
"""

from __future__ import annotations

from datetime import date, datetime, time

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._periods import days_of, words_of
from core.commands._trades import Holdings, holdings_of
from core.desk import Desk
from core.domain.calendar import EXCHANGE, exchange_day
from core.domain.instruments import Option
from core.domain.money import ZERO
from core.domain.structures import Trade
from core.portfolio.pnl import OutsideResult, Result, closed_outside, realised, settled_within, untraded_pnl
from core.reply import Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Tone

BY_NOW = ("strategy", "symbol")


async def run(desk: Desk, call: Call) -> Reply:
    """Realised by close date in exchange time, then the open trades at mids."""
    first, last = days_of(call.args.get("period", "today"), desk.now())
    symbol, by = call.args.get("symbol"), call.args.get("by")
    found = await holdings_of(desk, call, symbol=symbol)
    closed = found.book.closed_since(datetime.combine(first, time(), EXCHANGE))
    trades = [trade for trade in closed if symbol is None or trade.underlying == symbol]
    of = f" of {symbol}" if symbol else ""
    title = f"P&L{of} in {found.account.name}, {words_of(first, last)}"
    total = realised(trades, first=first, last=last)
    outside = _outside(found, first=first, last=last, symbol=symbol)
    blocks: list[Block] = [Facts(title=title, facts=(*_realised(total, outside), *_open(found)))]
    if by is not None:
        groups = realised(trades, first=first, last=last, name=lambda trade: _group(trade, by))
        blocks.append(_grouped((*groups, *_outside_by(outside, by)), by))
    blocks += _settlements(found, first=first, last=last, symbol=symbol)
    stale = sorted({name for result in found.trades for name in result.stale} | set(_rest(found)[1]))
    if stale:
        blocks.append(Notice(text=f"Left out for want of a usable price: {', '.join(stale)}.", tone=Tone.WARNING))
    net = sum((item.net for item in total), ZERO) + sum((item.gross - item.fees for item in outside), ZERO)
    return Reply(blocks=tuple(blocks), data={"realised_net": net})


def _group(trade: Trade, by: str) -> str:
    return trade.strategy if by == "strategy" else trade.underlying


def _outside(found: Holdings, *, first: date, last: date, symbol: str | None) -> tuple[OutsideResult, ...]:
    """Results of the period on holdings that belong to no trade: assigned shares that were sold, external fills."""
    book = found.book
    fills, settlements = book.booked_outside()
    results = closed_outside(fills=fills, settlements=settlements)
    return tuple(item for item in results if first <= exchange_day(item.at) <= last and symbol in (None, item.underlying))


def _realised(results: tuple[Result, ...], outside: tuple[OutsideResult, ...]) -> list[Fact]:
    if not results and not any(item.gross or item.fees for item in outside):
        return [Fact(label="closed trades", value="none")]
    found = results[0] if results else Result(name="", trades=0, winners=0, gross=ZERO, fees=ZERO)
    apart = sum((item.gross for item in outside), ZERO)
    gross, fees = found.gross + apart, found.fees + sum((item.fees for item in outside), ZERO)
    facts = [Fact(label="closed trades", value=found.trades, format=Format.INTEGER, note=f"{found.winners} with a profit")]
    if apart:
        note = "assigned shares and others, in the figures below"
        facts.append(Fact(label="closed outside trades", value=apart, format=Format.MONEY, unit="USD", signed=True, note=note))
    return [
        *facts,
        Fact(label="before commission", value=gross, format=Format.MONEY, unit="USD", signed=True),
        Fact(label="commission and fees", value=fees, format=Format.MONEY, unit="USD"),
        Fact(label="realised, net", value=gross - fees, format=Format.MONEY, unit="USD", signed=True),
    ]


def _open(found: Holdings) -> list[Fact]:
    known = [result.pnl for result in found.trades if result.pnl is not None]
    facts: list[Fact] = []
    if found.trades:
        note = f"{len(known)} of {len(found.trades)} trades at mids, net of fees paid so far"
        total = sum(known, ZERO) if known else None
        facts.append(Fact(label="open, at mids", value=total, format=Format.MONEY, unit="USD", signed=True, note=note))
        facts += _taken(found)
    if found.rest:
        value, _ = _rest(found)
        note = "against average price"
        facts.append(Fact(label="held outside trades", value=value, format=Format.MONEY, unit="USD", signed=True, note=note))
    return facts or [Fact(label="open", value="nothing")]


def _taken(found: Holdings) -> list[Fact]:
    """What parts already closed brought: a share of the open figure that no price moves any more."""
    parts = [result for result in found.trades if result.taken is not None]
    if not parts:
        return []
    closed = sum(result.trade.opened_units - result.trade.open_units for result in parts)
    units = sum(result.trade.opened_units for result in parts)
    note = f"for {closed} of {units} units, before commission"
    total = sum((result.taken for result in parts if result.taken is not None), ZERO)
    return [Fact(label="of it from closed parts", value=total, format=Format.MONEY, unit="USD", signed=True, note=note)]


def _rest(found: Holdings) -> tuple[Cell, tuple[str, ...]]:
    return untraded_pnl(tuple(found.book.positions.values()), found.rest, found.view)


def _grouped(groups: tuple[Result, ...], by: str) -> Table:
    columns = (
        Column(title=by), Column(title="trades", format=Format.INTEGER), Column(title="with profit", format=Format.INTEGER),
        Column(title="gross", format=Format.MONEY, unit="USD", signed=True), Column(title="fees", format=Format.MONEY, unit="USD"),
        Column(title="net", format=Format.MONEY, unit="USD", signed=True),
    )
    rows = tuple((item.name, item.trades, item.winners, item.gross, item.fees, item.net) for item in groups)
    return Table(title=f"Realised by {by}", columns=columns, rows=rows)


def _outside_by(outside: tuple[OutsideResult, ...], by: str) -> list[Result]:
    """The same as rows of a grouped table."""
    groups: dict[str, list[OutsideResult]] = {}
    for item in outside:
        groups.setdefault(f"{item.underlying} outside trades" if by == "symbol" else "outside trades", []).append(item)
    rows: list[Result] = []
    for name, mine in sorted(groups.items()):
        gross, fees = sum((item.gross for item in mine), ZERO), sum((item.fees for item in mine), ZERO)
        rows.append(Result(name=name, trades=0, winners=0, gross=gross, fees=fees))
    return [row for row in rows if row.gross or row.fees]


def _settlements(found: Holdings, *, first: date, last: date, symbol: str | None) -> list[Block]:
    settled = [
        item
        for item in settled_within(found.book.settlements.within(first, last), first=first, last=last)
        if symbol is None or (isinstance(item.instrument, Option) and item.instrument.underlying == symbol)
    ]
    if not settled:
        return []
    columns: tuple[Column, ...] = (
        Column(title="settled", format=Format.DATE), Column(title="contract"), Column(title="change", format=Format.INTEGER, signed=True),
        Column(title="how"), Column(title="on", format=Format.PRICE), Column(title="cash", format=Format.MONEY, unit="USD", signed=True),
    )
    if any(item.shares for item in settled):
        columns = (*columns, Column(title="shares", format=Format.INTEGER, signed=True))
    rows: list[tuple[Cell, ...]] = []
    for item in settled:
        name = item.instrument.label if isinstance(item.instrument, Option) else item.instrument.key
        row: tuple[Cell, ...] = (item.at, name, item.quantity, item.outcome.replace("_", " "), item.value, item.cash, item.shares)
        rows.append(row[: len(columns)])
    return [Table(title="Settlements", columns=columns, rows=tuple(rows))]


COMMAND = Command(
    name="pnl", help="Profit and loss net of commission, realised and open.", run=run, access=Access.READ,
    parameters=(
        Parameter(name="period", kind=Kind.PERIOD, help="today (default), yesterday, week, month, ytd, year, all, a day, or from..to"),
        Parameter(name="symbol", kind=Kind.SYMBOL, help="one underlying only"),
        Parameter(name="by", kind=Kind.CHOICE, help="also grouped", choices=BY_NOW),
    ),
    examples=("pnl", "pnl week", "pnl all by=strategy", "pnl 2026-11-01..2026-11-20 SPY"),
)
