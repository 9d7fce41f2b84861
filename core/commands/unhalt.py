"""Lift HALT: asks for the PIN. What a reconciliation halted can be lifted once the books agree, not before, whatever the PIN."""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter, Role
from core.commands._modes import lift, scope_words, standing_words
from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.events import Mode
from core.errors import UserError
from core.fold import ModeEntry
from core.reply import Block, Notice, Reply, Text, Tone

BY_THE_BOOKS = "reconciliation:"


async def run(desk: Desk, call: Call) -> Reply:
    """Lift every HALT a person may lift and remove the HALT file."""
    halts = [entry for entry in desk.fold.all_modes() if entry.mode is Mode.HALT]
    stay = [entry for entry in halts if _still_differs(desk, entry)]
    lifted = [entry for entry in halts if entry not in stay]
    file = desk.halt_reason()
    if not lifted and file is None:
        left = "; ".join(f"{scope_words(entry.scope)}: {entry.reason}" for entry in stay)
        raise UserError(
            f"Only the broker's books can lift this: {left}." if stay else "Nothing is halted; nothing was changed.", standing_words(desk)
        )
    recorded = await lift(desk, call, lifted)
    if file is not None and desk.clear_halt is not None:
        desk.clear_halt()
    words = "; ".join(f"{scope_words(entry.scope)}, {entry.reason}" for entry in lifted) or f"the HALT file: {file}"
    blocks: list[Block] = [Notice(text=f"Lifted: {words}.", tone=Tone.GOOD)]
    for entry in stay:
        blocks.append(Notice(text=f"Stays halted until the books agree: {scope_words(entry.scope)}, {entry.reason}.", tone=Tone.WARNING))
    blocks.append(Text(text=standing_words(desk)))
    return Reply(blocks=tuple(blocks), cites=recorded.seqs)


def _still_differs(desk: Desk, entry: ModeEntry) -> bool:
    if not entry.cause.startswith(BY_THE_BOOKS):
        return False
    state = desk.fold.reconciled(AccountId.parse(entry.cause.removeprefix(BY_THE_BOOKS)))
    return state is None or not state.complete or entry.scope.name in state.broken_instruments


COMMAND = Command(
    name="unhalt", help="Lifts HALT, with your PIN.", run=run, access=Access.STEPUP,
    parameters=(Parameter(name="pin", kind=Kind.SECRET, help="your PIN; asked for where it is left out", positional=False),),
    examples=("unhalt",), roles=frozenset({Role.OWNER}),
)
