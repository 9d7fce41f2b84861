"""Draw a ticket again with another number of units; the old card dies. Nothing is sent by this."""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter
from core.desk import Desk
from core.orders import ticket
from core.orders.card import sizes
from core.reply import Action, Notice, Reply


async def run(desk: Desk, call: Call) -> Reply:
    """The ticket with the quantity said, or buttons with the quantities worth asking for."""
    found = ticket.find(desk, call.args["ticket"])
    quantity = call.args.get("quantity")
    if quantity is not None:
        return await ticket.redraw(desk, found.id, call.caller, quantity=quantity, second_order=found.drafted.second_order)
    drafted = found.drafted
    priced = await ticket.price(desk, drafted.intent, limit=drafted.said_limit, second_order=drafted.second_order)
    actions = tuple(Action(label=f"{count}", line=f"size {found.id} quantity={count}") for count in sizes(priced))
    text = f"Ticket {found.id} is for {drafted.intent.quantity}. How many instead? Press a number, or type `size {found.id} quantity=N`."
    return Reply(blocks=(Notice(text=text),), actions=actions)


COMMAND = Command(
    name="size",
    help="Draws a ticket again with another number of units.",
    run=run,
    access=Access.DRAFT,
    parameters=(
        Parameter(name="ticket", kind=Kind.ID, required=True, help="the ticket's id, as on its card"),
        Parameter(name="quantity", kind=Kind.QUANTITY, help="units; left out, you are offered some"),
    ),
    examples=("size T1A2B3C quantity=2", "size T1A2B3C"),
)
