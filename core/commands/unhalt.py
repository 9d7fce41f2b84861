"""Lift HALT: asks for the PIN. What a reconciliation halted can be lifted once the books agree, not before, whatever the PIN.

`unhalt` alone lifts every halt and the HALT file; `unhalt SPX` only those on SPX and its contracts.
"""

from __future__ import annotations

from core.announce import revoke_action
from core.command import Access, Call, Command, Kind, Parameter, Role
from core.commands._mandates import mandates_table
from core.commands._modes import SCOPE_PARAMETERS, in_scope, lift, scope_of, scope_words, standing_words, still_differs
from core.commands._standing import armed, cancel_actions, standing_table
from core.desk import Desk
from core.domain.events import Mode, ScopeKind
from core.domain.modes import lets_through, scope_names
from core.errors import UserError
from core.orders.standing import Standing
from core.reply import Block, Notice, Reply, Text, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Lift every HALT in scope that a person may lift, and the HALT file with the desk's."""
    async with desk.halting:
        return await _lifted(desk, call)


async def _lifted(desk: Desk, call: Call) -> Reply:
    scope = scope_of(desk, call)
    everything = scope.kind is ScopeKind.DESK
    halts = [entry for entry in desk.fold.all_modes() if entry.mode is Mode.HALT and (everything or in_scope(entry, scope))]
    stay = [entry for entry in halts if still_differs(desk, entry)]
    lifted = [entry for entry in halts if entry not in stay]
    file = desk.halt_reason() if everything else None
    if not lifted and file is None:
        left = "; ".join(f"{scope_words(entry.scope)}: {entry.reason}" for entry in stay)
        where = "" if everything else f" on {scope_words(scope)}"
        said = f"Only the broker's books can lift this: {left}." if stay else f"Nothing is halted{where}; nothing was changed."
        raise UserError(said, standing_words(desk, scope))
    recorded = await lift(desk, call, lifted)
    if file is not None and desk.clear_halt is not None:
        desk.clear_halt()
    words = "; ".join(f"{scope_words(entry.scope)}, {entry.reason}" for entry in lifted) or f"the HALT file: {file}"
    blocks: list[Block] = [Notice(text=f"Lifted: {words}.", tone=Tone.GOOD)]
    for entry in stay:
        blocks.append(Notice(text=f"Stays halted until the books agree: {scope_words(entry.scope)}, {entry.reason}.", tone=Tone.WARNING))
    blocks += [Text(text=standing_words(desk, scope)), *mandates_table(desk)]
    waiting = [item for item in armed(desk) if _goes_on(desk, item)]
    if waiting:
        text = "These go on by themselves now: a target rests again, a stop is watched again, and one that is touched still is sent."
        blocks += [Notice(text=text, tone=Tone.WARNING), standing_table(desk, waiting)]
    again = tuple(revoke_action(state.mandate.id) for state in desk.fold.mandates(now=desk.now()).values() if state.in_force)
    return Reply(blocks=tuple(blocks), actions=(*again, *cancel_actions(waiting)), cites=recorded.seqs)


def _goes_on(desk: Desk, item: Standing) -> bool:
    """Whether nothing else keeps a standing order from sending."""
    legs, strategy = item.envelope.legs, item.envelope.strategy
    mode, _ = desk.mode(account=item.account, strategy=strategy, keys=scope_names(legs))
    return lets_through(mode, reducing=True, exits=True, automation=True)


_PIN = Parameter(name="pin", kind=Kind.SECRET, help="your PIN; asked for where it is left out", positional=False)
COMMAND = Command(
    name="unhalt", help="Lifts HALT, with your PIN: all of it, or that of what you name.", run=run, access=Access.STEPUP,
    parameters=(*SCOPE_PARAMETERS, _PIN),
    examples=("unhalt", "unhalt SPX"), roles=frozenset({Role.OWNER}),
)
