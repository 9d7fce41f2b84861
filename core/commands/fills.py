"""Executions with their quality: the net price of each order against the mid at the decision, per share and in money.

Example: a spread whose mid was 4.00 when you confirmed, sold at 3.95 for 2 units, shows -0.05, that is -10.00 USD.
"""

from __future__ import annotations

from core.announce import net_filled
from core.command import Access, Call, Command, Kind, Parameter
from core.commands._periods import days_of, words_of
from core.desk import Desk
from core.domain.instruments import Option
from core.domain.money import ZERO
from core.domain.orders import Fill
from core.domain.structures import describe_legs
from core.orders.states import Order
from core.portfolio.book import Book
from core.portfolio.pnl import exchange_day
from core.reply import Block, Cell, Column, Format, Reply, Table, Text

ORDERS = (
    Column(title="order"), Column(title="structure"), Column(title="units", format=Format.INTEGER),
    Column(title="net", format=Format.PRICE, signed=True), Column(title="mid then", format=Format.PRICE, signed=True),
    Column(title="against mid", format=Format.PRICE, signed=True), Column(title="in money", format=Format.MONEY, unit="USD", signed=True),
    Column(title="fees", format=Format.MONEY, unit="USD"),
)
FILLS = (
    Column(title="when"), Column(title="order"), Column(title="side"), Column(title="qty", format=Format.INTEGER),
    Column(title="instrument"), Column(title="price", format=Format.PRICE), Column(title="fees", format=Format.MONEY),
)


async def run(desk: Desk, call: Call) -> Reply:
    """Read the book; no market data is asked for."""
    account = desk.account(call.caller, call.args.get("account"))
    book = desk.book(account.id)
    first, last = days_of(call.args.get("period", "today"), desk.now())
    fills = [fill for fill in book.fills if first <= exchange_day(fill.at) <= last]
    words = words_of(first, last)
    if not fills:
        further = "" if call.args.get("period") == "all" else " `fills all` shows every one."
        return Reply(blocks=(Text(text=f"No fills in {account.name}, {words}.{further}"),))
    orders = [book.orders[key] for key in dict.fromkeys(fill.client_id or "" for fill in fills) if key in book.orders]
    blocks: list[Block] = []
    if orders:
        rows = tuple(_order(desk, order) for order in orders)
        blocks.append(Table(title=f"Orders filled in {account.name}, {words}", columns=ORDERS, rows=rows))
    blocks.append(Table(title="Executions", columns=FILLS, rows=tuple(_fill(fill, book) for fill in fills)))
    return Reply(blocks=tuple(blocks))


def _order(desk: Desk, order: Order) -> tuple[Cell, ...]:
    ticket = desk.fold.ticket_of_order(order.client_id)
    mid = None if ticket is None else ticket.drafted.mid
    net = net_filled(order)
    against = None if mid is None or net is None else net - mid
    per_point = max((leg.instrument.multiplier for leg in order.envelope.legs), default=1)
    money = None if against is None else against * order.filled * per_point
    fees = sum((fill.fees for fill in order.live_fills), ZERO)
    return (order.client_id, describe_legs(order.envelope.legs), order.filled, net, mid, against, money, fees)


def _fill(fill: Fill, book: Book) -> tuple[Cell, ...]:
    name = fill.instrument.label if isinstance(fill.instrument, Option) else fill.instrument.key
    order = fill.client_id if fill.client_id in book.orders else "EXTERNAL"
    return (fill.at, order or "EXTERNAL", fill.side.value, fill.quantity, name, fill.price, fill.fees)


COMMAND = Command(
    name="fills", help="Executions with fill quality.", run=run, access=Access.READ,
    parameters=(
        Parameter(name="period", kind=Kind.PERIOD, help="today (default), yesterday, week, month, ytd, year, all, a day, or from..to"),
    ),
    examples=("fills", "fills all"),
)
