"""Move a simulated or recorded clock to its next step: the next snapshot or session. A real clock is refused."""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._clock import move
from core.desk import Desk
from core.reply import Reply


async def run(desk: Desk, call: Call) -> Reply:
    """One step, or with a date all steps until then."""
    return await move(desk, call.args.get("date"))


COMMAND = Command(
    name="next", help="Moves a recorded or simulated clock to its next step.", run=run, access=Access.READ,
    parameters=(Parameter(name="date", kind=Kind.DATE, help="through all steps until this day"),), examples=("next",),
)
