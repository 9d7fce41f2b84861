"""Confirm a ticket: the one way an order is sent. Only a press on the card, or these words with the ticket's id, do it."""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter, Role
from core.commands._orders import Heard, order_blocks, order_ok
from core.commands._standing import armed_blocks, cancel_actions
from core.commands._story import offered_rolls
from core.desk import Desk
from core.domain.orders import Effect
from core.errors import DeskError
from core.orders import ticket
from core.orders.states import Order
from core.reply import Action, Block, Notice, Reply, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Re-price, re-judge, reserve, send, and say what became of it."""
    confirmed = await ticket.confirm(desk, call.args["ticket"], call.caller)
    if isinstance(confirmed, Reply):
        return confirmed
    account = confirmed.ticket.drafted.envelope.account
    if not confirmed.sends:
        return await _armed(desk, confirmed)
    sender = desk.senders[account]
    heard = Heard(desk, confirmed.client_id)
    trouble = ""
    try:
        await sender.send(confirmed)
        try:
            await sender.settle_down()
        except (DeskError, TimeoutError) as error:
            trouble = f"What the broker says could not be heard yet: {str(error) or 'no answer in time'}. `status` shows it as it comes."
    finally:
        heard.stop()
    order = desk.book(account).orders[confirmed.client_id]
    blocks: tuple[Block, ...] = order_blocks(order)
    if confirmed.standing:
        blocks = (*blocks, *armed_blocks(desk, confirmed.standing))
    if trouble:
        blocks = (*blocks, Notice(text=trouble, tone=Tone.WARNING))
    return Reply(
        blocks=blocks,
        actions=_actions(desk, order),
        ok=order_ok(order),
        cites=(*confirmed.seqs, *heard.seqs),
        data={
            "ticket": confirmed.ticket.id,
            "order": order.client_id,
            "state": order.state.value,
            "filled": order.filled,
            "trade": order.trade_id,
        },
    )


async def _armed(desk: Desk, confirmed: ticket.Confirmed) -> Reply:
    """Nothing left by this press alone: the desk carries the plan out from now on, the first of it at once where that is due."""
    account = confirmed.ticket.drafted.envelope.account
    heard = Heard(desk, *confirmed.standing, standing=True)
    trouble: tuple[Block, ...] = ()
    try:
        await desk.stewards[account].turn()
        await desk.senders[account].settle_down()
    except (DeskError, TimeoutError) as error:
        text = f"It is armed; its first step could not be taken yet: {str(error) or 'no answer in time'}. It is tried again."
        trouble = (Notice(text=text, tone=Tone.WARNING),)
    finally:
        heard.stop()
    found = [item for name in confirmed.standing if (item := desk.books.find_standing(name)) is not None]
    return Reply(
        blocks=(*armed_blocks(desk, confirmed.standing), *trouble), actions=(*cancel_actions(found), Action(label="Status", line="status")),
        cites=(*confirmed.seqs, *heard.seqs), data={"ticket": confirmed.ticket.id, "standing": list(confirmed.standing)},
    )


def _actions(desk: Desk, order: Order) -> tuple[Action, ...]:
    if not order.state.terminal:
        cancel = Action(label="Cancel the order", line=f"cancel {order.client_id}", style="danger")
        return cancel, Action(label="Status", line="status")
    found = [Action(label="Positions", line="positions")]
    if order.filled and all(leg.effect is Effect.OPEN for leg in order.envelope.legs):
        found.append(Action(label="Close it", line=f"close position_id={order.trade_id}"))
        found += offered_rolls(desk, desk.book(order.account), order.trade_id)
    return tuple(found)


COMMAND = Command(
    name="confirm",
    help="Sends the order of a ticket, after pricing and judging it once more. Only your own press or typed words do this.",
    run=run,
    access=Access.COMMIT,
    parameters=(Parameter(name="ticket", kind=Kind.ID, required=True, help="the ticket's id, as on its card"),),
    examples=("confirm T1A2B3C",),
    roles=frozenset({Role.OWNER, Role.TRADER}),
)
