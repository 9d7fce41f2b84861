"""Take no new entries: at all, or of one strategy, underlying or account. Exits, cancels and questions go on; `resume` ends it.

Example: `pause naked_put` refuses every new naked put while open ones can still be closed.
"""

from __future__ import annotations

from core.command import Access, Call, Command
from core.commands._modes import PAUSED, SCOPE_PARAMETERS, scope_argument, scope_of, scope_words, set_mode, standing_words
from core.desk import Desk
from core.domain.events import Mode
from core.reply import Action, Notice, Reply, Text, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Record the pause."""
    scope = scope_of(desk, call)
    recorded = await set_mode(desk, call, Mode.PAUSED, cause=PAUSED, reason=f"paused by {call.caller.person}", scope=scope)
    notice = Notice(text=f"No new entries for {scope_words(scope)}; exits go on.", tone=Tone.WARNING)
    actions = (Action(label="Resume", line=f"resume{scope_argument(scope)}"),)
    return Reply(blocks=(notice, Text(text=standing_words(desk, scope))), actions=actions, cites=recorded.seqs)


COMMAND = Command(
    name="pause", help="No new entries: at all, or of one strategy, underlying or account; exits go on.", run=run, access=Access.REDUCE,
    parameters=SCOPE_PARAMETERS, examples=("pause", "pause naked_put", "pause account=practice"),
)
