"""Move a simulated or recorded clock to a day, doing everything that falls due on the way: expiries, settlements, day orders.

Example: `to 2026-12-18` walks to that day's first instant worth looking at.
"""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._clock import move
from core.desk import Desk
from core.reply import Reply


async def run(desk: Desk, call: Call) -> Reply:
    """All steps until the day; without one, a single step."""
    return await move(desk, call.args.get("date"))


COMMAND = Command(
    name="to", help="Moves a recorded or simulated clock to a day.", run=run, access=Access.READ,
    parameters=(Parameter(name="date", kind=Kind.DATE, help="the day, as 2026-12-18"),), examples=("to 2026-12-18",),
)
