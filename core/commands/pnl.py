"""Profit and loss net of commission and fees: closed trades to the cent, settlements, and what is open at mids.

Example: a spread sold for 400.00 and bought back for 150.00 with 5.28 of commission and fees counts 244.72 on the day it closed.
"""

from __future__ import annotations

from datetime import date

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._periods import days_of, words_of
from core.commands._trades import Holdings, holdings_of
from core.desk import Desk
from core.domain.instruments import Option
from core.domain.money import ZERO
from core.domain.structures import Trade
from core.portfolio.pnl import Result, realised, settled_within, untraded_pnl
from core.reply import Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Tone

BY_NOW = ("strategy", "symbol")


async def run(desk: Desk, call: Call) -> Reply:
    """Realised by close date in exchange time, then the open trades at mids."""
    first, last = days_of(call.args.get("period", "today"), desk.now())
    symbol, by = call.args.get("symbol"), call.args.get("by")
    found = await holdings_of(desk, call, symbol=symbol)
    trades = [trade for trade in found.book.trades.values() if symbol is None or trade.underlying == symbol]
    of = f" of {symbol}" if symbol else ""
    title = f"P&L{of} in {found.account.name}, {words_of(first, last)}"
    total = realised(trades, first=first, last=last)
    blocks: list[Block] = [Facts(title=title, facts=(*_realised(total), *_open(found)))]
    if by is not None:
        groups = realised(trades, first=first, last=last, name=lambda trade: _group(trade, by))
        blocks.append(_grouped(groups, by))
    blocks += _settlements(found, first=first, last=last, symbol=symbol)
    stale = sorted({name for result in found.trades for name in result.stale} | set(_rest(found)[1]))
    if stale:
        blocks.append(Notice(text=f"Left out for want of a usable price: {', '.join(stale)}.", tone=Tone.WARNING))
    net = sum((item.net for item in total), ZERO)
    return Reply(blocks=tuple(blocks), data={"realised_net": net})


def _group(trade: Trade, by: str) -> str:
    return trade.strategy if by == "strategy" else trade.underlying


def _realised(results: tuple[Result, ...]) -> list[Fact]:
    if not results:
        return [Fact(label="closed trades", value="none")]
    found = results[0]
    return [
        Fact(label="closed trades", value=found.trades, format=Format.INTEGER, note=f"{found.winners} with a profit"),
        Fact(label="before commission", value=found.gross, format=Format.MONEY, unit="USD", signed=True),
        Fact(label="commission and fees", value=found.fees, format=Format.MONEY, unit="USD"),
        Fact(label="realised, net", value=found.net, format=Format.MONEY, unit="USD", signed=True),
    ]


def _open(found: Holdings) -> list[Fact]:
    known = [result.pnl for result in found.trades if result.pnl is not None]
    facts: list[Fact] = []
    if found.trades:
        note = f"{len(known)} of {len(found.trades)} trades at mids, net of fees paid so far"
        facts.append(Fact(label="open, at mids", value=sum(known, ZERO), format=Format.MONEY, unit="USD", signed=True, note=note))
    if found.rest:
        value, _ = _rest(found)
        note = "against average price"
        facts.append(Fact(label="held outside trades", value=value, format=Format.MONEY, unit="USD", signed=True, note=note))
    return facts or [Fact(label="open", value="nothing")]


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


def _settlements(found: Holdings, *, first: date, last: date, symbol: str | None) -> list[Block]:
    settled = [
        item
        for item in settled_within(found.book.settlements, first=first, last=last)
        if symbol is None or (isinstance(item.instrument, Option) and item.instrument.underlying == symbol)
    ]
    if not settled:
        return []
    columns = (
        Column(title="settled", format=Format.DATE), Column(title="contract"), Column(title="change", format=Format.INTEGER, signed=True),
        Column(title="how"), Column(title="on", format=Format.PRICE), Column(title="cash", format=Format.MONEY, unit="USD", signed=True),
        Column(title="shares", format=Format.INTEGER, signed=True),
    )
    rows: list[tuple[Cell, ...]] = []
    for item in settled:
        name = item.instrument.label if isinstance(item.instrument, Option) else item.instrument.key
        rows.append((item.at, name, item.quantity, item.outcome.replace("_", " "), item.value, item.cash, item.shares or ""))
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
