"""Take no new entries, of one strategy or at all. Exits, cancels and questions go on; `resume` ends it.

Example: `pause naked_put` refuses every new naked put while open ones can still be closed.
"""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._modes import PAUSED, scope_of, scope_words, set_mode, standing_words
from core.desk import Desk
from core.domain.events import Mode
from core.reply import Action, Notice, Reply, Text, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Record the pause."""
    scope = scope_of(call.args.get("strategy"))
    recorded = await set_mode(desk, call, Mode.PAUSED, cause=PAUSED, reason=f"paused by {call.caller.person}", scope=scope)
    resume = "resume" if call.args.get("strategy") is None else f"resume strategy={call.args['strategy']}"
    notice = Notice(text=f"No new entries for {scope_words(scope)}; exits go on.", tone=Tone.WARNING)
    actions = (Action(label="Resume", line=resume),)
    return Reply(blocks=(notice, Text(text=standing_words(desk))), actions=actions, cites=recorded.seqs)


COMMAND = Command(
    name="pause", help="No new entries, of one strategy or at all; exits go on.", run=run, access=Access.REDUCE,
    parameters=(Parameter(name="strategy", kind=Kind.STRATEGY, help="only this strategy"),), examples=("pause", "pause naked_put"),
)
