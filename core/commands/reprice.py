"""Draw a ticket again at today's prices; the old card dies. Nothing is sent by this."""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter
from core.desk import Desk
from core.orders import ticket
from core.reply import Reply


async def run(desk: Desk, call: Call) -> Reply:
    """The same ticket anew."""
    drafted = ticket.find(desk, call.args["ticket"]).drafted
    second = call.args.get("second_order", drafted.second_order)
    return await ticket.redraw(desk, drafted.ticket_id, call.caller, quantity=call.args.get("quantity"), second_order=bool(second))


COMMAND = Command(
    name="reprice",
    help="Draws a ticket again at today's prices.",
    run=run,
    access=Access.DRAFT,
    parameters=(
        Parameter(name="ticket", kind=Kind.ID, required=True, help="the ticket's id, as on its card"),
        Parameter(name="quantity", kind=Kind.QUANTITY, help="another number of units"),
        Parameter(
            name="second_order", kind=Kind.FLAG, help="yes: a second order like one just confirmed, on purpose", positional=False,
        ),
    ),
    examples=("reprice T1A2B3C", "reprice T1A2B3C quantity=2", "reprice T1A2B3C second_order=yes"),
)
