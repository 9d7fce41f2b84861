"""Orders that somebody entered elsewhere: shown beside ours, named by every cancel, and cancelled only where a person says so by number."""

from __future__ import annotations

from collections.abc import Iterable

from core.commands._orders import Heard
from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.events import ExternalOrder
from core.domain.structures import describe_legs
from core.reply import Action, Block, Cell, Column, Format, Notice, Reply, Table, Tone

COLUMNS = (
    Column(title="order"), Column(title="account"), Column(title="state"), Column(title="filled"),
    Column(title="limit", format=Format.PRICE, signed=True), Column(title="structure"),
)


def external_orders(desk: Desk, accounts: Iterable[AccountId]) -> list[ExternalOrder]:
    """The live orders from elsewhere of some accounts."""
    return [order for account in accounts for order in desk.book(account).external.values()]


def external_table(orders: Iterable[ExternalOrder]) -> Table:
    """They are EXTERNAL, whatever id another program gave them."""
    rows: list[tuple[Cell, ...]] = [
        (order.broker_ref, order.account.id, order.status, f"{order.filled}/{order.quantity}", order.limit, structure_of(order))
        for order in orders
    ]
    return Table(title="EXTERNAL orders, not this desk's; counted in risk", columns=COLUMNS, rows=tuple(rows), source="the broker's books")


def structure_of(order: ExternalOrder) -> str:
    """What it trades, as far as the broker says."""
    return order.description or ("not told by the broker" if order.legs is None else describe_legs(order.legs))


def left_alone(desk: Desk, accounts: Iterable[AccountId]) -> tuple[list[Block], list[Action]]:
    """What a cancel of everything leaves alone, with a button that asks the broker to cancel each."""
    orders = external_orders(desk, accounts)
    if not orders:
        return [], []
    names = ", ".join(order.broker_ref for order in orders)
    text = f"Left alone, because this desk did not send them: EXTERNAL {names}. They may still fill; each has its button."
    actions = [
        Action(label=f"Cancel {order.broker_ref} at the broker", line=f"cancel order_id={order.broker_ref}", style="danger")
        for order in orders
    ]
    return [Notice(text=text, tone=Tone.WARNING), external_table(orders)], actions


async def cancel_external(desk: Desk, order: ExternalOrder, actor: str) -> Reply:
    """Ask the broker to cancel one, and say what its books say then."""
    heard = Heard(desk, order.broker_ref)
    try:
        left = await desk.senders[order.account].cancel_external(order.broker_ref, "cancelled by a person", actor=actor)
    finally:
        heard.stop()
    if left is None:
        notice = Notice(text=f"The EXTERNAL order {order.broker_ref} is over, by the broker's word.", tone=Tone.GOOD)
    else:
        notice = Notice(text=f"Not yet cancelled: the broker was asked and still has {order.broker_ref}; it may fill.", tone=Tone.WARNING)
    data = {"order": order.broker_ref, "state": "over" if left is None else left.status}
    shown: tuple[Block, ...] = () if left is None else (external_table([left]),)
    return Reply(blocks=(notice, *shown), ok=left is None, cites=tuple(heard.seqs), data=data)
