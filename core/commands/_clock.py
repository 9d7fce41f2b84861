"""Moving a simulated or recorded clock, for `next` and `to`."""

from __future__ import annotations

from datetime import date

from core.desk import Desk
from core.errors import UserError
from core.reply import Action, Block, Notice, Reply, Text, Tone


async def move(desk: Desk, to: date | None) -> Reply:
    """Move, with everything that falls due on the way, and say where the clock stands."""
    if desk.step_clock is None:
        raise UserError("This desk's clock cannot be moved.", "`next` and `to` belong to simulated and recorded markets.")
    before = desk.fold.seq
    sentences = await desk.step_clock(to)
    blocks: list[Block] = [Notice(text=sentences[0], tone=Tone.GOOD), *(Text(text=text) for text in sentences[1:])]
    cites = (desk.fold.seq,) if desk.fold.seq > before else ()
    actions = (Action(label="Next", line="next"), Action(label="Positions", line="positions"), Action(label="P&L", line="pnl period=all"))
    return Reply(blocks=tuple(blocks), actions=actions, cites=cites)
