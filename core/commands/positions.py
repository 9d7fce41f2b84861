"""Open trades by strategy: days to expiry, credit, P&L in money and as a share of the credit, short delta, distance to the strike, flags.

Example: a put spread sold for 400 USD that now costs 150 to close shows P&L +250, 62.5% of its credit.
"""

from __future__ import annotations

from core import plugins
from core.command import Access, Call, Command, Kind, Parameter
from core.commands._exits import told_rules
from core.commands._mandates import mandates_table
from core.commands._standing import armed, standing_table
from core.commands._trades import NOT_REPORTED, Holdings, distance_to_strike, flags_of, holdings_of, short_delta
from core.desk import Desk
from core.domain.instruments import Option
from core.domain.structures import describe_legs
from core.errors import Unavailable
from core.orders.expiry_day import unreported
from core.portfolio.pnl import OpenResult
from core.reply import Action, Block, Cell, Column, Format, Notice, Reply, Table, Text, Tone

COLUMNS = (
    Column(title="trade"), Column(title="strategy"), Column(title="structure"), Column(title="units", format=Format.INTEGER),
    Column(title="DTE", format=Format.INTEGER), Column(title="credit", format=Format.MONEY, unit="USD", signed=True),
    Column(title="P&L", format=Format.MONEY, unit="USD", signed=True), Column(title="of credit", format=Format.PERCENT, signed=True),
    Column(title="short delta", format=Format.GREEK), Column(title="to strike", format=Format.PERCENT, signed=True), Column(title="flags"),
)


async def run(desk: Desk, call: Call) -> Reply:
    """Price every open trade in one view."""
    symbol = call.args.get("symbol")
    found = await holdings_of(desk, call, symbol=symbol)
    of = f" of {symbol}" if symbol else ""
    if not found.trades and not found.rest:
        return Reply(blocks=(Text(text=f"No open positions{of} in {found.account.name}."),))
    close_dte = _close_dte(desk)
    blocks: list[Block] = []
    if found.trades:
        ordered = sorted(found.trades, key=lambda item: (item.trade.strategy, item.trade.id))
        rows = tuple(_row(result, found, close_dte, told_rules(desk, result.trade.id)) for result in ordered)
        blocks.append(Table(title=f"Open trades{of} in {found.account.name}", columns=COLUMNS, rows=rows, source=found.view.label))
    shown = {result.trade.id for result in found.trades}
    waiting = [item for item in armed(desk) if item.trade_id in shown]
    if waiting:
        blocks.append(standing_table(desk, waiting, title="Their exits"))
    if found.rest:
        blocks.append(_outside(found))
    blocks += mandates_table(desk, found.account.id)
    stale = sorted({name for result in found.trades for name in result.stale})
    if stale:
        blocks.append(Notice(text=f"No usable price for {', '.join(stale)}; their P&L is not known now.", tone=Tone.WARNING))
    actions = tuple(Action(label=f"Close {result.trade.id}", line=f"close position_id={result.trade.id}") for result in found.trades[:8])
    return Reply(blocks=tuple(blocks), actions=actions)


def _row(result: OpenResult, found: Holdings, close_dte: dict[str, int], told: tuple[str, ...]) -> tuple[Cell, ...]:
    trade, view = result.trade, found.view
    dte = None if trade.expiry is None else (trade.expiry - view.session).days
    flags = ", ".join(word for word in (flags_of(result, view, close_dte=close_dte), *told) if word)
    return (
        trade.id, trade.strategy, describe_legs(trade.legs), trade.open_units, dte, trade.premium, result.pnl, result.fraction_of_credit,
        short_delta(result, view), distance_to_strike(result, view), flags,
    )


def _close_dte(desk: Desk) -> dict[str, int]:
    """The day count at which a strategy wants to be closed or rolled, where it has one."""
    key = "strategies.{}.close_dte"
    values = {name: desk.settings.values.get(key.format(name)) for name in plugins.names("strategies")}
    return {name: value for name, value in values.items() if isinstance(value, int)}


def _outside(found: Holdings) -> Table:
    rows: list[tuple[Cell, ...]] = []
    pending = {item.key for item in unreported(found.rest, found.view.at)}
    for key, (instrument, quantity) in sorted(found.rest.items()):
        position = found.book.positions.get(key)
        try:
            price: Cell = found.view.mid(instrument)
        except Unavailable:
            price = None
        name = instrument.label if isinstance(instrument, Option) else key.strip()
        flag = NOT_REPORTED if key in pending else ""
        rows.append((name, quantity, None if position is None else position.average_price, price, flag))
    columns = (
        Column(title="holding"), Column(title="quantity", format=Format.INTEGER, signed=True), Column(title="average", format=Format.PRICE),
        Column(title="mid", format=Format.PRICE), Column(title="flags"),
    )
    return Table(title="Held outside any trade (assigned, external)", columns=columns, rows=tuple(rows), source=found.view.label)


COMMAND = Command(
    name="positions", help="Open trades with days to expiry, P&L, short delta, distance to the strike and flags.", run=run,
    access=Access.READ, parameters=(Parameter(name="symbol", kind=Kind.SYMBOL, help="one underlying only"),),
    examples=("positions", "positions SPY"),
)
