"""End a pause, or the REDUCING that an error on the order path brought, once a person has looked.

It does not lift HALT (`unhalt` does, with the PIN) nor what a reconciliation found (that ends when the books agree).
"""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter, Role
from core.commands._modes import lift, scope_of, scope_words, standing_words
from core.desk import Desk
from core.domain.events import Mode
from core.errors import UserError
from core.fold import ModeEntry
from core.reply import Notice, Reply, Text, Tone

AFTER_AN_ERROR = "bug:"


async def run(desk: Desk, call: Call) -> Reply:
    """Lift what a resume may lift in the scope named."""
    strategy = call.args.get("strategy")
    found = [entry for entry in desk.fold.all_modes() if _lifts(entry, strategy)]
    if not found:
        where = scope_words(scope_of(strategy))
        raise UserError(f"Nothing is paused for {where}; nothing was changed.", standing_words(desk))
    recorded = await lift(desk, call, found)
    words = "; ".join(f"{scope_words(entry.scope)}: {entry.mode.value.upper()} ({entry.reason})" for entry in found)
    return Reply(blocks=(Notice(text=f"Lifted: {words}.", tone=Tone.GOOD), Text(text=standing_words(desk))), cites=recorded.seqs)


def _lifts(entry: ModeEntry, strategy: str | None) -> bool:
    if strategy is not None:
        return entry.mode is Mode.PAUSED and entry.scope == scope_of(strategy)
    if entry.mode is Mode.REDUCING:
        return entry.cause.startswith(AFTER_AN_ERROR)
    return entry.mode is Mode.PAUSED and entry.scope == scope_of(None)


COMMAND = Command(
    name="resume", help="Ends a pause, or the REDUCING that an error brought.", run=run, access=Access.COMMIT,
    parameters=(Parameter(name="strategy", kind=Kind.STRATEGY, help="only this strategy"),), examples=("resume", "resume naked_put"),
    roles=frozenset({Role.OWNER, Role.TRADER}),
)
