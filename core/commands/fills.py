"""Executions with their quality: the net price of each order against the mid when you decided and when the order left, in price and money.

Example: the card of a spread showed a mid of 4.00; when the order left it was 3.98; it sold at 3.95 for 2 units. Against the decision that
is -0.05, -10.00 USD; against arrival -0.03, -6.00 USD: the market took 4.00 USD meanwhile, working the order cost 6.00.
"""

from __future__ import annotations

from decimal import Decimal

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._periods import days_of, words_of
from core.desk import Desk
from core.domain.calendar import exchange_day
from core.domain.instruments import Option
from core.domain.money import ZERO
from core.domain.orders import Fill
from core.domain.structures import describe_legs
from core.orders.standing import net_filled
from core.orders.states import Order
from core.portfolio.book import Book
from core.reply import Block, Cell, Column, Format, Reply, Table, Text
from core.risk.examine import net_multiplier

ORDERS = (
    Column(title="order"), Column(title="structure"), Column(title="units", format=Format.INTEGER),
    Column(title="net", format=Format.PRICE, signed=True), Column(title="mid at decision", format=Format.PRICE, signed=True),
    Column(title="against it", format=Format.MONEY, unit="USD", signed=True),
    Column(title="mid at arrival", format=Format.PRICE, signed=True),
    Column(title="against that", format=Format.MONEY, unit="USD", signed=True),
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
    fills = [fill for fill in book.fills.within(first, last) if first <= exchange_day(fill.at) <= last]
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
    ticket = None if order.standing_id is not None else desk.fold.ticket_of_order(order.client_id)
    decided = order.mid if ticket is None else ticket.drafted.mid
    net = net_filled(order)
    fees = sum((fill.fees for fill in order.live_fills), ZERO)
    name = describe_legs(order.envelope.legs)
    return (order.client_id, name, order.filled, net, decided, _money(order, net, decided), order.mid, _money(order, net, order.mid), fees)


def _money(order: Order, net: Decimal | None, mid: Decimal | None) -> Decimal | None:
    """What the price was better (+) or worse (-) than a mid, for all that filled."""
    if net is None or mid is None:
        return None
    return (net - mid) * order.filled * net_multiplier(order.envelope.legs)


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
