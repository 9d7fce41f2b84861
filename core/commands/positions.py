"""Open trades by strategy: days to expiry, credit, P&L in money and as a share of the credit, short delta, distance to the strike, flags.

`account=all` shows every account together, each row with its account; `position_id=` tells one trade's whole story with its rolls.
Example: a put spread sold for 400 USD that now costs 150 to close shows P&L +250, 62.5% of its credit.
"""

from __future__ import annotations

from core import plugins
from core.command import Access, Call, Command, Kind, Parameter
from core.commands._accounts import TOGETHER, words_of_accounts
from core.commands._exits import told_rules
from core.commands._mandates import mandates_table
from core.commands._standing import armed, standing_table
from core.commands._story import offered_rolls, story
from core.commands._trades import NOT_REPORTED, Holdings, distance_to_strike, flags_of, holdings_of, short_delta
from core.desk import Desk
from core.domain.instruments import Cash, Option
from core.domain.money import ZERO
from core.domain.structures import describe_legs
from core.errors import Unavailable
from core.orders.closable import position_id
from core.orders.expiry_day import unreported
from core.portfolio.pnl import OpenResult
from core.portfolio.whose import addressed, whose
from core.reply import Action, Block, Cell, Column, Format, Notice, Reply, Table, Text, Tone

COLUMNS = (
    Column(title="trade"), Column(title="strategy"), Column(title="structure"), Column(title="units", format=Format.INTEGER),
    Column(title="DTE", format=Format.INTEGER), Column(title="credit", format=Format.MONEY, unit="USD", signed=True),
    Column(title="P&L", format=Format.MONEY, unit="USD", signed=True), Column(title="of credit", format=Format.PERCENT, signed=True),
    Column(title="short delta", format=Format.GREEK), Column(title="to strike", format=Format.PERCENT, signed=True), Column(title="flags"),
)
TOTALS = (
    Column(title="account"), Column(title="trades", format=Format.INTEGER),
    Column(title="credit", format=Format.MONEY, unit="USD", signed=True), Column(title="P&L", format=Format.MONEY, unit="USD", signed=True),
)


async def run(desk: Desk, call: Call) -> Reply:
    """Price every open trade in one view."""
    if call.args.get("position_id") is not None:
        return await story(desk, call)
    symbol = call.args.get("symbol")
    found = await holdings_of(desk, call, symbol=symbol)
    many = len(found) > 1
    of = f" of {symbol}" if symbol else ""
    where = words_of_accounts(tuple(item.account for item in found))
    if not any(item.trades or item.rest for item in found):
        return Reply(blocks=(Text(text=f"No open positions{of} in {where}."),))
    ordered = [(item, result) for item in found for result in sorted(item.trades, key=lambda one: (one.trade.strategy, one.trade.id))]
    blocks: list[Block] = []
    if ordered:
        close_dte = _close_dte(desk)
        rows = [_row(result, item, close_dte, told_rules(desk, result.trade.id)) for item, result in ordered]
        columns = COLUMNS
        if many:
            columns = (COLUMNS[0], Column(title="account"), *COLUMNS[1:])
            rows = [(row[0], item.account.name, *row[1:]) for row, (item, _) in zip(rows, ordered, strict=True)]
        blocks.append(Table(title=f"Open trades{of} in {where}", columns=columns, rows=tuple(rows), source=found[0].view.label))
    if many:
        blocks.append(_totals(found))
    shown = {result.trade.id for _, result in ordered}
    waiting = [item for item in armed(desk) if item.trade_id in shown]
    if waiting:
        blocks.append(standing_table(desk, waiting, title="Their exits"))
    blocks += [_outside(item, many=many) for item in found if item.rest]
    for item in found:
        blocks += mandates_table(desk, item.account.id)
    stale = sorted({name for _, result in ordered for name in result.stale})
    if stale:
        blocks.append(Notice(text=f"No usable price for {', '.join(stale)}; their P&L is not known now.", tone=Tone.WARNING))
    closing = [Action(label=f"Close {one.trade.id}", line=f"close position_id={one.trade.id}") for item, one in ordered[:8]
               if not item.account.id.outside]
    closing += [action for item in found if not item.account.id.outside for action in _closing_rest(desk, item)][: 8 - len(closing)]
    rolls = [action for item, result in ordered[:8] for action in offered_rolls(desk, item.book, result.trade.id)]
    if rolls:
        blocks.append(Notice(text="Some look like rolls of trades closed the same day; they are counted as such once you say so."))
    return Reply(blocks=tuple(blocks), actions=(*closing, *rolls))


def _totals(found: tuple[Holdings, ...]) -> Table:
    """Each account's trades and what they come to; the sum leaves out what has no price, which a notice names."""
    rows: list[tuple[Cell, ...]] = []
    for item in (*found, None):
        results = [result for one in found for result in one.trades] if item is None else list(item.trades)
        known = [result.pnl for result in results if result.pnl is not None]
        name = TOGETHER if item is None else item.account.name
        pnl = sum(known, ZERO) if known or not results else None
        rows.append((name, len(results), sum((result.trade.premium for result in results), ZERO), pnl))
    return Table(title="By account", columns=TOTALS, rows=tuple(rows))


def _row(result: OpenResult, found: Holdings, close_dte: dict[str, int], told: tuple[str, ...]) -> tuple[Cell, ...]:
    trade, view = result.trade, found.view
    dte = "" if result.expiry is None else (result.expiry - view.session).days
    short = any(quantity < 0 and isinstance(item, Option) for item, quantity in result.held.values())
    flags = ", ".join(word for word in (flags_of(result, view, close_dte=close_dte), *told) if word)
    if found.account.id.outside:
        flags = flags.replace(NOT_REPORTED, "OVER: say how it ended, see `alerts`")
    return (
        trade.id, trade.strategy, describe_legs(trade.legs), trade.open_units, dte, trade.premium, result.pnl, result.fraction_of_credit,
        short_delta(result, view) if short else "", distance_to_strike(result, view) if short else "", flags,
    )


def _close_dte(desk: Desk) -> dict[str, int]:
    """The day count at which a strategy wants to be closed or rolled, where it has one."""
    key = "strategies.{}.close_dte"
    values = {name: desk.settings.values.get(key.format(name)) for name in plugins.names("strategies")}
    return {name: value for name, value in values.items() if isinstance(value, int)}


def _closing_rest(desk: Desk, found: Holdings) -> list[Action]:
    """A way out of each holding outside trades that still trades, in the account that holds it."""
    owner = whose(desk.accounts, str(found.account.id))
    over = {item.key for item in unreported(found.rest, found.view.at)}
    return [
        Action(label=f"Close {getattr(item, 'label', key.strip())}", line=addressed(f"close position_id={position_id(item)}", owner))
        for key, (item, _) in sorted(found.rest.items()) if key not in over and not isinstance(item, Cash)
    ]


def _outside(found: Holdings, *, many: bool) -> Table:
    rows: list[tuple[Cell, ...]] = []
    pending = {item.key for item in unreported(found.rest, found.view.at)}
    cost = {position.instrument.key: position.average_price for position in found.book.untraded_positions()}
    for key, (instrument, quantity) in sorted(found.rest.items()):
        try:
            price: Cell = found.view.mid(instrument)
        except Unavailable:
            price = None
        name = instrument.label if isinstance(instrument, Option) else key.strip()
        flag = NOT_REPORTED if key in pending else ""
        rows.append((name, quantity, cost.get(key), price, flag))
    columns = (
        Column(title="holding"), Column(title="quantity", format=Format.INTEGER, signed=True), Column(title="average", format=Format.PRICE),
        Column(title="mid", format=Format.PRICE), Column(title="flags"),
    )
    where = f" in {found.account.name}" if many else ""
    return Table(title=f"Held outside any trade{where} (assigned, external)", columns=columns, rows=tuple(rows), source=found.view.label)


COMMAND = Command(
    name="positions", help="Open trades with days to expiry, P&L, short delta, distance to the strike and flags.", run=run,
    access=Access.READ,
    parameters=(
        Parameter(name="symbol", kind=Kind.SYMBOL, help="one underlying only"),
        Parameter(name="position_id", kind=Kind.ID, positional=False, help="one trade's whole story with its rolls, open or closed"),
    ),
    examples=("positions", "positions SPY", "positions position_id=P1A2B3C", "positions account=all"),
)
