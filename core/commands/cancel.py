"""Cancel a working order, or all of them. An order counts as cancelled only when the broker says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.announce import revoke_action
from core.command import Access, Call, Command, Kind, Parameter, Role
from core.commands._accounts import connected
from core.commands._external import cancel_external, left_alone
from core.commands._orders import Heard, order_blocks
from core.commands._standing import armed, cancel_actions, disarm, standing_table
from core.desk import Desk
from core.domain.events import Role as StandingRole
from core.domain.orders import OrderState
from core.domain.structures import describe_legs
from core.errors import UserError
from core.orders.sender import AccountSender, Cancelled, cancel_all
from core.orders.standing import Standing, live_children
from core.orders.states import Order
from core.reply import Action, Block, Column, Format, Notice, Reply, Table, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Cancel what is meant; without an order or a scope, list what is working."""
    actor = f"person:{call.caller.person}"
    wanted = call.args.get("order_id")
    if wanted is not None:
        return await _one(desk, str(wanted), actor)
    senders = _senders(desk, call)
    told = await _several(desk, senders, actor, everything=call.args.get("scope") == "all")
    strange, buttons = left_alone(desk, [sender.account for sender in senders])
    return replace(told, blocks=(*told.blocks, *strange), actions=(*told.actions, *buttons)) if strange else told


async def _several(desk: Desk, senders: Sequence[AccountSender], actor: str, *, everything: bool) -> Reply:
    """Every working order of this desk, or the list of them.

    What would send again by itself, a target, an order in parts or a touched stop, ends with them; a stop that is not touched stays
    armed, and is named.
    """
    working = [order for sender in senders for order in desk.book(sender.account).live.values()]
    waiting = [item for item in armed(desk) if item.account in {sender.account for sender in senders}]
    sending = {order.standing_id for order in working}
    ended = [item for item in waiting if item.id in sending or not _only_waits(item)] if everything else []
    if not working and not ended:
        words = " What waits at the desk is not sent; cancel it by its own button." if waiting else ""
        blocks: tuple[Block, ...] = (Notice(text=f"No order is working; there is nothing to cancel.{words}"),)
        return Reply(blocks=(*blocks, *((standing_table(desk, waiting),) if waiting else ())), actions=cancel_actions(waiting))
    if not everything:
        return _which(working, desk, waiting)
    heard = Heard(desk, *(order.client_id for order in working))
    try:
        for item in ended:
            heard.seqs += await disarm(desk, item, actor=actor, reason="cancelled by a person")
        result = await cancel_all(desk, senders, reason="cancelled by a person", actor=actor)
    finally:
        heard.stop()
    return _summary(desk, result, tuple(heard.seqs), ended=ended, left=[item for item in waiting if item not in ended])


def _only_waits(item: Standing) -> bool:
    return item.role is StandingRole.STOP and item.triggered_at is None


def _summary(desk: Desk, result: Cancelled, cites: tuple[int, ...], *, ended: Sequence[Standing], left: Sequence[Standing]) -> Reply:
    orders = [found for name in (*result.done, *result.pending) if (found := desk.books.order(name)) is not None]
    cancelled = sum(1 for order in orders if order.state is OrderState.CANCELLED)
    text = f"{cancelled} of {len(orders)} cancelled."
    if result.pending:
        text += f" Not yet, by the broker's word: {', '.join(result.pending)}."
    tone = Tone.WARNING if result.pending else Tone.INFO
    blocks: list[Block] = [Notice(text=text, tone=tone), _table(orders)] if orders else []
    if ended:
        words = "sends nothing any more" if len(ended) == 1 else "send nothing any more"
        blocks.append(Notice(text=f"Ended too: {', '.join(item.id for item in ended)}; {words}."))
    if left:
        blocks.append(Notice(text="Still armed: what is not touched yet sends nothing until it is.", tone=Tone.WARNING))
        blocks.append(standing_table(desk, left))
    granted = [state.mandate.id for state in desk.fold.mandates(now=desk.now()).values() if state.in_force]
    if granted:
        text = f"Still in force and may send again once its rule is due: mandate {', '.join(granted)}."
        blocks.append(Notice(text=text, tone=Tone.WARNING))
    actions = (*cancel_actions(left), *(revoke_action(name) for name in granted))
    return Reply(blocks=tuple(blocks), actions=actions, ok=not result.pending, cites=cites)


async def _one(desk: Desk, client_id: str, actor: str) -> Reply:
    order = desk.books.order(client_id)
    standing = desk.books.find_standing(client_id if order is None else order.standing_id or "")
    if standing is not None and (standing.is_live or order is None):
        return await _standing(desk, standing, actor)
    strange = desk.books.external(client_id) if order is None else None
    if strange is not None:
        return await cancel_external(desk, strange, actor)
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


async def _standing(desk: Desk, item: Standing, actor: str) -> Reply:
    """A standing order ends with what it has working: cancelling its order alone would only bring the next one."""
    if not item.is_live:
        over = Notice(text=f"{item.id} is over already ({item.ended}). Nothing was changed.", tone=Tone.WARNING)
        return Reply(blocks=(over, standing_table(desk, [item])), ok=False)
    cites = await disarm(desk, item, actor=actor, reason="cancelled by a person")
    now = desk.books.find_standing(item.id) or item
    pending = live_children(now, desk.book(item.account).orders)
    blocks: list[Block] = [Notice(text=f"{item.id} is cancelled: it sends nothing any more.", tone=Tone.INFO), standing_table(desk, [now])]
    if pending:
        names = ", ".join(order.client_id for order in pending)
        blocks.append(Notice(text=f"NOT YET CANCELLED at the broker, may still fill: {names}.", tone=Tone.BAD))
    return Reply(blocks=tuple(blocks), ok=not pending, cites=cites, data={"standing": item.id})


def _senders(desk: Desk, call: Call) -> Sequence[AccountSender]:
    """The account named, else every account: a working order must not be missed."""
    named = call.args.get("account")
    return (desk.senders[connected(desk.account(call.caller, named)).id],) if named else tuple(desk.senders.values())


def _which(working: Sequence[Order], desk: Desk, waiting: Sequence[Standing]) -> Reply:
    actions = [Action(label=f"Cancel {order.client_id}", line=f"cancel {order.client_id}", style="danger") for order in working]
    if len(working) > 1:
        actions.append(Action(label="Cancel all", line="cancel scope=all", style="danger"))
    actions += cancel_actions(waiting)
    tables = (_table(working), *((standing_table(desk, waiting),) if waiting else ()))
    return Reply(blocks=(Notice(text="Which order?", tone=Tone.WARNING), *tables), actions=tuple(actions), ok=False)


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
