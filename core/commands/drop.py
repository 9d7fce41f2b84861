"""Withdraw a ticket: its card can no longer be confirmed. Nothing was sent and nothing will be."""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter
from core.desk import Desk
from core.orders import ticket
from core.reply import Notice, Reply


async def run(desk: Desk, call: Call) -> Reply:
    """Close the ticket."""
    name = call.args["ticket"]
    seqs = await ticket.drop(desk, name, call.caller)
    return Reply(blocks=(Notice(text=f"Ticket {name} is withdrawn. Nothing was sent to the broker."),), cites=seqs, data={"ticket": name})


COMMAND = Command(
    name="drop",
    help="Withdraws a ticket, so that it can no longer be confirmed.",
    run=run,
    access=Access.REDUCE,
    parameters=(Parameter(name="ticket", kind=Kind.ID, required=True, help="the ticket's id, as on its card"),),
    examples=("drop T1A2B3C",),
)
