"""End a pause, or the REDUCING that an error on the order path or stale data brought, once a person has looked.

It does not lift HALT (`unhalt` does, with the PIN) nor what a reconciliation found (that ends when the books agree).
"""

from __future__ import annotations

from core.command import Access, Call, Command, Role
from core.commands._modes import LOOKED_AT, SCOPE_PARAMETERS, in_scope, lift, scope_of, scope_words, standing_words
from core.desk import Desk
from core.domain.events import Mode, Scope, ScopeKind
from core.errors import UserError
from core.fold import ModeEntry
from core.reply import Notice, Reply, Text, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Lift what a resume may lift in the scope named."""
    scope = scope_of(desk, call)
    found = [entry for entry in desk.fold.all_modes() if _lifts(entry, scope)]
    if not found:
        raise UserError(f"Nothing is paused for {scope_words(scope)}; nothing was changed.", standing_words(desk, scope))
    recorded = await lift(desk, call, found)
    words = "; ".join(f"{scope_words(entry.scope)}: {entry.mode.value.upper()} ({entry.reason})" for entry in found)
    return Reply(blocks=(Notice(text=f"Lifted: {words}.", tone=Tone.GOOD), Text(text=standing_words(desk, scope))), cites=recorded.seqs)


def _lifts(entry: ModeEntry, scope: Scope) -> bool:
    """A pause of the very scope; what a person had to look at, in that scope or, for the desk, in any."""
    if entry.mode is Mode.REDUCING:
        return entry.cause.startswith(LOOKED_AT) and (scope.kind is ScopeKind.DESK or in_scope(entry, scope))
    return entry.mode is Mode.PAUSED and in_scope(entry, scope)


COMMAND = Command(
    name="resume", help="Ends a pause, or the REDUCING that an error or stale data brought.", run=run, access=Access.COMMIT,
    parameters=SCOPE_PARAMETERS, examples=("resume", "resume naked_put"), roles=frozenset({Role.OWNER, Role.TRADER}),
)
