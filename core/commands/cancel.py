"""Cancel a working order, or all of them. An order counts as cancelled only when the broker says so."""

from __future__ import annotations

from collections.abc import Sequence

from core.command import Access, Call, Command, Kind, Parameter, Role
from core.commands._orders import Heard, order_blocks
from core.desk import Desk
from core.domain.orders import OrderState
from core.domain.structures import describe_legs
from core.errors import UserError
from core.orders.sender import AccountSender, Cancelled, cancel_all
from core.orders.states import Order
from core.reply import Action, Column, Format, Notice, Reply, Table, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Cancel what is meant; without an order or a scope, list what is working."""
    actor = f"person:{call.caller.person}"
    wanted = call.args.get("order_id")
    if wanted is not None:
        return await _one(desk, str(wanted), actor)
    senders = _senders(desk, call)
    working = [order for sender in senders for order in desk.book(sender.account).live.values()]
    if not working:
        return Reply(blocks=(Notice(text="No order is working; there is nothing to cancel."),))
    if call.args.get("scope") != "all":
        return _which(working)
    heard = Heard(desk, *(order.client_id for order in working))
    try:
        result = await cancel_all(desk, senders, reason="cancelled by a person", actor=actor)
    finally:
        heard.stop()
    return _summary(desk, result, tuple(heard.seqs))


def _summary(desk: Desk, result: Cancelled, cites: tuple[int, ...]) -> Reply:
    orders = [found for name in (*result.done, *result.pending) if (found := desk.books.order(name)) is not None]
    cancelled = sum(1 for order in orders if order.state is OrderState.CANCELLED)
    text = f"{cancelled} of {len(orders)} cancelled."
    if result.pending:
        text += f" Not yet, by the broker's word: {', '.join(result.pending)}."
    tone = Tone.WARNING if result.pending else Tone.INFO
    return Reply(blocks=(Notice(text=text, tone=tone), _table(orders)), ok=not result.pending, cites=cites)


async def _one(desk: Desk, client_id: str, actor: str) -> Reply:
    order = desk.books.order(client_id)
    if order is None:
        raise UserError(f"There is no order {client_id!r}.", "`cancel` lists the working ones.")
    if order.state.terminal:
        over = Notice(text=f"Order {client_id} is over already. Nothing was sent.", tone=Tone.WARNING)
        return Reply(blocks=(over, *order_blocks(order)), ok=False)
    heard = Heard(desk, client_id)
    try:
        order = await desk.senders[order.account].cancel(client_id, "cancelled by a person", actor=actor)
    finally:
        heard.stop()
    return Reply(
        blocks=order_blocks(order), ok=order.state.terminal, cites=tuple(heard.seqs), data={"order": client_id, "state": order.state.value}
    )


def _senders(desk: Desk, call: Call) -> Sequence[AccountSender]:
    """The account named, else every account: a working order must not be missed."""
    named = call.args.get("account")
    return (desk.senders[desk.account(call.caller, named).id],) if named else tuple(desk.senders.values())


def _which(working: Sequence[Order]) -> Reply:
    actions = [Action(label=f"Cancel {order.client_id}", line=f"cancel {order.client_id}", style="danger") for order in working]
    if len(working) > 1:
        actions.append(Action(label="Cancel all", line="cancel scope=all", style="danger"))
    return Reply(blocks=(Notice(text="Which order?", tone=Tone.WARNING), _table(working)), actions=tuple(actions), ok=False)


def _table(orders: Sequence[Order]) -> Table:
    columns = (
        Column(title="order"), Column(title="account"), Column(title="structure"), Column(title="quantity", format=Format.INTEGER),
        Column(title="filled", format=Format.INTEGER), Column(title="limit", format=Format.PRICE, signed=True), Column(title="state"),
    )
    rows = tuple(
        (
            order.client_id, order.account.id, describe_legs(order.envelope.legs), order.quantity, order.filled, order.limit,
            order.state.value.replace("_", " "),
        )
        for order in orders
    )
    return Table(title="Orders", columns=columns, rows=rows, source="book")


COMMAND = Command(
    name="cancel",
    help="Cancels a working order, or with scope=all every one (in every account, unless you name one).",
    run=run,
    access=Access.COMMIT,
    parameters=(
        Parameter(name="scope", kind=Kind.CHOICE, choices=("all",), help="all: every working order"),
        Parameter(name="order_id", kind=Kind.ID, help="the order's id"),
    ),
    examples=("cancel O1A2B3C", "cancel scope=all"),
    roles=frozenset({Role.OWNER, Role.TRADER}),
)
