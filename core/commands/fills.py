"""Executions with their quality: the net price of each order against the mid when you decided and when the order left, in price and money.

Example: the card of a spread showed a mid of 4.00; when the order left it was 3.98, bid 3.92; it sold at 3.95 for 2 units. Against the
decision that is -0.05, -10.00 USD; against arrival -0.03, -6.00 USD, 50% of the half-spread of 0.06: the market took 4.00 USD meanwhile,
working the order cost 6.00. At the natural price it would have cost 100% of it, 12.00.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._accounts import accounts_of, words_of_accounts
from core.commands._periods import days_of, words_of
from core.desk import Desk
from core.domain.calendar import exchange_day
from core.domain.events import TradeLogged
from core.domain.instruments import Option
from core.domain.money import ZERO
from core.domain.orders import Fill
from core.domain.structures import describe_legs
from core.orders.standing import net_filled
from core.orders.states import Order
from core.portfolio.book import Book
from core.reply import Block, Cell, Column, Fact, Facts, Format, Reply, Table, Text
from core.risk.examine import net_multiplier

ORDERS = (
    Column(title="order"), Column(title="structure"), Column(title="units", format=Format.INTEGER),
    Column(title="net", format=Format.PRICE, signed=True), Column(title="mid at decision", format=Format.PRICE, signed=True),
    Column(title="against it", format=Format.MONEY, unit="USD", signed=True),
    Column(title="mid at arrival", format=Format.PRICE, signed=True),
    Column(title="against that", format=Format.MONEY, unit="USD", signed=True),
    Column(title="of the half-spread", format=Format.PERCENT, signed=True),
    Column(title="fees", format=Format.MONEY, unit="USD"),
)
FILLS = (
    Column(title="when"), Column(title="order"), Column(title="side"), Column(title="qty", format=Format.INTEGER),
    Column(title="instrument"), Column(title="price", format=Format.PRICE), Column(title="fees", format=Format.MONEY),
)
ACCOUNT = Column(title="account")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How an order was filled; None where a mid was not known."""

    net: Decimal | None
    decided: Decimal | None  # mid per unit when it was decided
    arrived: Decimal | None  # and when it left
    against_decision: Decimal | None  # money, + better
    against_arrival: Decimal | None
    half_spread: Decimal | None  # money, of all that filled, when it left
    fees: Decimal


async def run(desk: Desk, call: Call) -> Reply:
    """Read the book; no market data is asked for."""
    accounts = accounts_of(desk, call)
    first, last = days_of(call.args.get("period", "today"), desk.now())
    words, where = words_of(first, last), words_of_accounts(accounts)
    found = [(desk.book(account.id), fill) for account in accounts for fill in _within(desk.book(account.id), first, last)]
    if not found:
        further = "" if call.args.get("period") == "all" else " `fills all` shows every one."
        return Reply(blocks=(Text(text=f"No fills in {where}, {words}.{further}"),))
    many, lead = len(accounts) > 1, (ACCOUNT,) if len(accounts) > 1 else ()
    ordered = {(fill.client_id or ""): book for book, fill in found if (fill.client_id or "") in book.orders}
    judged = [(book, book.orders[key], _quality(desk, book.orders[key])) for key, book in ordered.items()]
    blocks: list[Block] = []
    if judged:
        rows = tuple(_beside(_order(order, one), book, many) for book, order, one in judged)
        blocks.append(Table(title=f"Orders filled in {where}, {words}", columns=(ORDERS[0], *lead, *ORDERS[1:]), rows=rows))
        blocks += [_summary([one for _, _, one in judged])] if len(judged) > 1 else []
    rows = tuple(_beside(_fill(fill, book), book, many) for book, fill in found)
    blocks.append(Table(title="Executions", columns=(FILLS[0], *lead, *FILLS[1:]), rows=rows))
    named = {item.log_id: item for book, fill in found if (item := book.named.get(fill.exec_id)) is not None}
    blocks += [Text(text=f"{', '.join(item.exec_ids)}, as {item.person} says: {item.text}") for item in named.values()]
    logged = {item.log_id: item for book, fill in found if (item := _logged(fill, book)) is not None and len(item.legs) > 1}
    blocks += [Text(text=_net_words(item)) for item in logged.values()]
    return Reply(blocks=tuple(blocks))


def _logged(fill: Fill, book: Book) -> TradeLogged | None:
    """The booking that an execution elsewhere came from."""
    return book.logged.get(fill.broker_ref or "") if book.account.id.outside else None


def _net_words(item: TradeLogged) -> str:
    what = f"{item.quantity} x {describe_legs(item.legs)} at {item.price:+.2f} net"
    return f"{item.log_id}: {what}; the price of each leg was not said."


def _beside(row: tuple[Cell, ...], book: Book, many: bool) -> tuple[Cell, ...]:
    """A row with its account behind the first cell, where there are several."""
    return (row[0], book.account.name, *row[1:]) if many else row


def _within(book: Book, first: date, last: date) -> list[Fill]:
    return [fill for fill in book.fills.within(first, last) if first <= exchange_day(fill.at) <= last]


def _quality(desk: Desk, order: Order) -> Quality:
    ticket = None if order.standing_id is not None else desk.fold.ticket_of_order(order.client_id)
    decided = order.mid if ticket is None else ticket.drafted.mid
    net = net_filled(order)
    half = None if order.mid is None or order.natural is None else abs(order.mid - order.natural) * _units(order)
    return Quality(
        net=net, decided=decided, arrived=order.mid, against_decision=_money(order, net, decided),
        against_arrival=_money(order, net, order.mid), half_spread=half or None,
        fees=sum((fill.fees for fill in order.live_fills), ZERO),
    )


def _order(order: Order, found: Quality) -> tuple[Cell, ...]:
    return (
        order.client_id, describe_legs(order.envelope.legs), order.filled, found.net, found.decided, found.against_decision, found.arrived,
        found.against_arrival, _share(found.against_arrival, found.half_spread), found.fees,
    )


def _summary(found: Sequence[Quality]) -> Facts:
    """All orders together: what the decision became, and what working them cost of what crossing the spread would have."""
    known = [(one.against_arrival, one.half_spread) for one in found if one.against_arrival is not None and one.half_spread is not None]
    share = _share(sum((money for money, _ in known), ZERO), sum((half for _, half in known), ZERO))
    some = "" if len(known) == len(found) else f", {len(known)} of {len(found)} orders"
    of = "" if share is None else f"{share:+.0%} of the half-spread{some}"
    facts = (
        _sum("against mid at decision", [one.against_decision for one in found], ""),
        _sum("against mid at arrival", [one.against_arrival for one in found], of),
        Fact(label="fees", value=sum((one.fees for one in found), ZERO), format=Format.MONEY, unit="USD"),
    )
    return Facts(title=f"Together, {len(found)} order{'' if len(found) == 1 else 's'}", facts=facts)


def _sum(label: str, amounts: Sequence[Decimal | None], note: str) -> Fact:
    known = [amount for amount in amounts if amount is not None]
    missing = "" if len(known) == len(amounts) else f"{len(known)} of {len(amounts)} orders"
    value = sum(known, ZERO) if known else None
    return Fact(label=label, value=value, format=Format.MONEY, unit="USD", signed=True, note=note or missing)


def _share(money: Decimal | None, half: Decimal | None) -> Decimal | None:
    return None if money is None or not half else money / half


def _money(order: Order, net: Decimal | None, mid: Decimal | None) -> Decimal | None:
    """What the price was better (+) or worse (-) than a mid, for all that filled."""
    return None if net is None or mid is None else (net - mid) * _units(order)


def _units(order: Order) -> int:
    return order.filled * net_multiplier(order.envelope.legs)


def _fill(fill: Fill, book: Book) -> tuple[Cell, ...]:
    name = fill.instrument.label if isinstance(fill.instrument, Option) else fill.instrument.key
    order = fill.client_id if fill.client_id in book.orders else fill.broker_ref if book.account.id.outside else "EXTERNAL"
    logged = _logged(fill, book)
    price = fill.price if logged is None or len(logged.legs) == 1 else None  # of a structure only the net price was said
    fees = fill.fees if logged is None or logged.fees_known else None
    return (fill.at, order or "EXTERNAL", fill.side.value, fill.quantity, name, price, fees)


COMMAND = Command(
    name="fills", help="Executions with fill quality.", run=run, access=Access.READ,
    parameters=(
        Parameter(name="period", kind=Kind.PERIOD, help="today (default), yesterday, week, month, ytd, year, all, a day, or from..to"),
    ),
    examples=("fills", "fills all", "fills week account=all"),
)
