"""Profit and loss net of commission and fees: closed trades to the cent, settlements, and what is open at mids.

`by=` groups what was realised by strategy, symbol, account or trade; the rows add up to the whole. `account=all` takes every account.
Example: a spread sold for 400.00 and bought back for 150.00 with 5.28 of commission and fees counts 244.72 on the day it closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._accounts import TOGETHER, words_of_accounts
from core.commands._booking import standing_bookings
from core.commands._equity import closes_of, equity_chart
from core.commands._periods import days_of, words_of
from core.commands._results import BY, Period, grouped, period_of
from core.commands._trades import holdings_of
from core.desk import Desk
from core.domain.instruments import Option
from core.domain.money import ZERO
from core.portfolio.pnl import Result
from core.reply import Action, Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Tone

STORIES = 4  # buttons


async def run(desk: Desk, call: Call) -> Reply:
    """Realised by close date in exchange time, then the open trades at mids."""
    first, last = days_of(call.args.get("period", "today"), desk.now())
    symbol, by = call.args.get("symbol"), call.args.get("by")
    found = await holdings_of(desk, call, symbol=symbol)
    periods = [period_of(one, first=first, last=last, symbol=symbol) for one in found]
    of = f" of {symbol}" if symbol else ""
    where = words_of_accounts(tuple(one.account for one in found))
    title = f"P&L{of} in {where}, {words_of(first, last)}"
    blocks: list[Block] = [Facts(title=title, facts=(*_realised(periods), *_open(periods)))]
    if len(periods) > 1:
        blocks.append(_by_account(periods))
    if by is not None:
        blocks.append(_grouped(grouped(periods, by, first=first, last=last), by))
    blocks += _settlements(periods)
    blocks += [] if symbol is not None else _equity(desk, periods, first=first, last=last)
    stale = sorted({name for period in periods for name in period.stale})
    if stale:
        blocks.append(Notice(text=f"Left out for want of a usable price: {', '.join(stale)}.", tone=Tone.WARNING))
    told = [trade.id for period in periods for trade in period.trades][-STORIES:] if by == "trade" else []
    actions = tuple(Action(label=f"Story of {name}", line=f"positions position_id={name}") for name in told)
    return Reply(blocks=tuple(blocks), actions=actions, data={"realised_net": sum((period.net for period in periods), ZERO)})


def _equity(desk: Desk, periods: Sequence[Period], *, first: date, last: date) -> list[Block]:
    """What the accounts came to, close by close; nothing where fewer than three closes are known."""
    kept = [(period.found.book, desk.fold.marks(period.found.account.id)) for period in periods if not period.found.account.id.outside]
    where = words_of_accounts(tuple(period.found.account for period in periods if not period.found.account.id.outside))
    chart = equity_chart(closes_of(kept, first=first, last=last), title=f"Equity of {where}, {words_of(first, last)}") if kept else None
    return [] if chart is None else [chart]


def _usd(label: str, value: Decimal | None, note: str = "") -> Fact:
    return Fact(label=label, value=value, format=Format.MONEY, unit="USD", signed=True, note=note)


def _realised(periods: Sequence[Period]) -> list[Fact]:
    trades = [trade for period in periods for trade in period.trades]
    outside = [item for period in periods for item in period.outside if item.gross or item.fees]
    moved = _moved(periods)
    if not trades and not outside:
        facts = [Fact(label="closed trades", value="none")]
        return [*facts, *moved, _usd("realised, net", sum((period.net for period in periods), ZERO))] if moved else facts
    winners = sum(1 for trade in trades if (trade.realized or ZERO) > 0)
    facts = [Fact(label="closed trades", value=len(trades), format=Format.INTEGER, note=f"{winners} with a profit")]
    apart = sum((item.gross for item in outside), ZERO)
    if apart:
        facts.append(_usd("closed outside trades", apart, "assigned shares and others, in the figures below"))
    gross, fees = sum((period.gross for period in periods), ZERO), sum((period.fees for period in periods), ZERO)
    return [
        *facts, _usd("before commission", gross),
        Fact(label="commission and fees", value=fees, format=Format.MONEY, unit="USD", note=_unsaid(periods)), *moved,
        _usd("realised, net", sum((period.net for period in periods), ZERO)),
    ]


def _unsaid(periods: Sequence[Period]) -> str:
    """That fees are missing, where a person who logged a trade did not say them."""
    ended = {trade.id for period in periods for trade in period.trades}
    bookings = [body for period in periods for body in standing_bookings(period.found.book)]
    count = sum(1 for body in bookings if not body.fees_known and body.trade_id in ended)
    return f"without those of {count} logged trade{'' if count == 1 else 's'}, which were not said" if count else ""


def _moved(periods: Iterable[Period]) -> list[Fact]:
    """Cash without a trade, by what it was."""
    sums: dict[str, Decimal] = {}
    for reason, amount in (pair for period in periods for pair in period.moved):
        sums[reason] = sums.get(reason, ZERO) + amount
    return [_usd(reason, amount) for reason, amount in sorted(sums.items())]


def _open(periods: Sequence[Period]) -> list[Fact]:
    results = [result for period in periods for result in period.found.trades]
    known = [result.pnl for result in results if result.pnl is not None]
    facts: list[Fact] = []
    if results:
        note = f"{len(known)} of {len(results)} trades at mids, net of fees paid so far"
        facts.append(_usd("open, at mids", sum(known, ZERO) if known else None, note))
        facts += _taken(periods)
    if any(period.found.rest for period in periods):
        facts.append(_usd("held outside trades", sum((period.rest[0] for period in periods), ZERO), "against average price"))
    return facts or [Fact(label="open", value="nothing")]


def _taken(periods: Sequence[Period]) -> list[Fact]:
    """What parts already closed brought: a share of the open figure that no price moves any more."""
    parts = [result for period in periods for result in period.found.trades if result.taken is not None]
    if not parts:
        return []
    closed = sum(result.trade.opened_units - result.trade.open_units for result in parts)
    units = sum(result.trade.opened_units for result in parts)
    total = sum((result.taken for result in parts if result.taken is not None), ZERO)
    return [_usd("of it from closed parts", total, f"for {closed} of {units} units, before commission")]


def _by_account(periods: Sequence[Period]) -> Table:
    columns: tuple[Column, ...] = (
        Column(title="account"), Column(title="closed", format=Format.INTEGER),
        Column(title="realised", format=Format.MONEY, unit="USD", signed=True), Column(title="open trades", format=Format.INTEGER),
        Column(title="open", format=Format.MONEY, unit="USD", signed=True),
    )
    rows: list[tuple[Cell, ...]] = [
        (period.found.account.name, len(period.trades), period.net, len(period.found.trades), period.open_pnl) for period in periods
    ]
    known = [period.open_pnl for period in periods if period.open_pnl is not None]
    rows.append((
        TOGETHER, sum(len(period.trades) for period in periods), sum((period.net for period in periods), ZERO),
        sum(len(period.found.trades) for period in periods), sum(known, ZERO) if known else None,
    ))
    if any(period.found.rest for period in periods):  # assigned shares: without them an account's row would not tell how it stands
        columns = (*columns, Column(title="beside trades", format=Format.MONEY, unit="USD", signed=True))
        held = [period.rest[0] for period in periods]
        rows = [(*row, amount) for row, amount in zip(rows, (*held, sum(held, ZERO)), strict=True)]
    return Table(title="By account", columns=columns, rows=tuple(rows))


def _grouped(groups: tuple[Result, ...], by: str) -> Table:
    columns = (
        Column(title=by), Column(title="trades", format=Format.INTEGER), Column(title="with profit", format=Format.INTEGER),
        Column(title="gross", format=Format.MONEY, unit="USD", signed=True), Column(title="fees", format=Format.MONEY, unit="USD"),
        Column(title="net", format=Format.MONEY, unit="USD", signed=True),
    )
    rows = tuple((item.name, item.trades, item.winners, item.gross, item.fees, item.net) for item in groups)
    return Table(title=f"Realised by {by}", columns=columns, rows=rows)


def _settlements(periods: Sequence[Period]) -> list[Block]:
    """What expired, was exercised or assigned, and on which value."""
    many = len(periods) > 1
    settled = [(period, item) for period in periods for item in period.settled]
    if not settled:
        return []
    columns: tuple[Column, ...] = (
        Column(title="settled", format=Format.DATE), *((Column(title="account"),) if many else ()), Column(title="contract"),
        Column(title="change", format=Format.INTEGER, signed=True), Column(title="how"),
        Column(title="on", format=Format.PRICE), Column(title="cash", format=Format.MONEY, unit="USD", signed=True),
    )
    shares = any(item.shares for _, item in settled)
    if shares:
        columns = (*columns, Column(title="shares", format=Format.INTEGER, signed=True))
    rows: list[tuple[Cell, ...]] = []
    for period, item in settled:
        name = item.instrument.label if isinstance(item.instrument, Option) else item.instrument.key
        where = (period.found.account.name,) if many else ()
        row: tuple[Cell, ...] = (item.at, *where, name, item.quantity, item.outcome.replace("_", " "), item.value, item.cash)
        rows.append((*row, item.shares) if shares else row)
    return [Table(title="Settlements", columns=columns, rows=tuple(rows))]


COMMAND = Command(
    name="pnl", help="Profit and loss net of commission, realised and open.", run=run, access=Access.READ,
    parameters=(
        Parameter(name="period", kind=Kind.PERIOD, help="today (default), yesterday, week, month, ytd, year, all, a day, or from..to"),
        Parameter(name="symbol", kind=Kind.SYMBOL, help="one underlying only"),
        Parameter(name="by", kind=Kind.CHOICE, help="also grouped", choices=BY),
    ),
    examples=("pnl", "pnl week", "pnl all by=strategy", "pnl 2026-11-01..2026-11-20 SPY", "pnl month by=account account=all"),
)
