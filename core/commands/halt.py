"""Send nothing but cancels and closing orders you confirm one by one. Working orders stay; `kill` also cancels them.

It survives a restart; `unhalt` lifts it with the PIN.
"""

from __future__ import annotations

from core.command import Access, Call, Command
from core.commands._modes import HALTED, set_mode, standing_words
from core.desk import Desk
from core.domain.events import Mode
from core.errors import Unavailable
from core.reply import Action, Notice, Reply, Text, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Record the halt; where the log cannot be written, leave the HALT file instead."""
    reason = f"halted by {call.caller.person}"
    try:
        cites = (await set_mode(desk, call, Mode.HALT, cause=HALTED, reason=reason)).seqs
    except Unavailable:
        if desk.write_halt is None:
            raise
        desk.write_halt(reason)
        cites = ()
    working = sum(len(book.live) for book in desk.books.accounts.values())
    blocks = [Notice(text=standing_words(desk), tone=Tone.WARNING)]
    if working:
        blocks.append(Notice(text=f"{working} working order(s) stay at the broker; `kill` cancels them.", tone=Tone.WARNING))
    closing = Text(text="Closing orders can still be confirmed one by one. `unhalt` lifts this with your PIN.")
    actions = (Action(label="Kill", line="kill", style="danger"), Action(label="Status", line="status"))
    return Reply(blocks=(*blocks, closing), actions=actions, cites=cites)


COMMAND = Command(
    name="halt", help="Nothing is sent but cancels and closing orders you confirm one by one.", run=run, access=Access.REDUCE,
    examples=("halt",),
)
