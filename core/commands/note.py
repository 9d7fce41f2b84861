"""Write a line into the journal, with a symbol where it is about one.

Example: `note "sold into the spike, would do it again" symbol=SPX`.
"""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter
from core.desk import Desk
from core.domain.events import NoteWritten
from core.reply import Notice, Reply, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Record the words as they are."""
    body = NoteWritten(text=call.args["text"], symbol=call.args.get("symbol"))
    recorded = await desk.record(desk.draft(body, actor=f"person:{call.caller.person}", causation=call.caller.message_id))
    about = f" about {body.symbol}" if body.symbol else ""
    return Reply(blocks=(Notice(text=f"Noted{about}: {body.text}", tone=Tone.GOOD),), cites=recorded.seqs)


COMMAND = Command(
    name="note", help="A journal note.", run=run, access=Access.DRAFT,
    parameters=(
        Parameter(name="text", kind=Kind.TEXT, help="the words", required=True),
        Parameter(name="symbol", kind=Kind.SYMBOL, help="what it is about", positional=False),
    ),
    examples=('note "sold into the spike"', "note symbol=SPX kept the wing wide"),
)
