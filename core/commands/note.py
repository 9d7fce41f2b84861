"""Write a line into the journal, with a symbol where it is about one, or on a trade.

Example: `note "sold into the spike, would do it again" symbol=SPX`. `note "moved it out a month" position_id=P9 rolls=P7` also says that
trade P9 continues P7: `positions position_id=P9` then tells both as one story; `rolls=none` takes that back.
"""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter
from core.desk import Desk
from core.domain.events import NoteWritten
from core.domain.structures import Trade
from core.errors import UserError
from core.portfolio.campaign import chain
from core.reply import Action, Notice, Reply, Tone

NONE = "none"


async def run(desk: Desk, call: Call) -> Reply:
    """Record the words as they are, and what a trade continues where that is said."""
    named, rolls = call.args.get("position_id"), call.args.get("rolls")
    if rolls is not None and named is None:
        raise UserError("Which trade is the roll?", "Name it, as in `note rolled position_id=P9 rolls=P7`.")
    trade = None if named is None else _trade(desk, named)
    before = None
    if rolls is not None and trade is not None:
        before = "" if rolls == NONE else _continued(desk, trade, _trade(desk, rolls)).id
    symbol = call.args.get("symbol") or (None if trade is None else trade.underlying)
    body = NoteWritten(text=call.args["text"], symbol=symbol, trade_id=None if trade is None else trade.id, rolls=before)
    recorded = await desk.record(desk.draft(body, actor=f"person:{call.caller.person}", causation=call.caller.message_id))
    about = f" on {trade.id}" if trade is not None else f" about {body.symbol}" if body.symbol else ""
    said = "" if before is None or trade is None else f" {trade.id} {f'continues {before}' if before else 'stands by itself again'}."
    actions = () if trade is None else (Action(label="Its story", line=f"positions position_id={trade.id}"),)
    text = f"Noted{about}: {body.text}" + (f".{said}" if said else "")
    return Reply(blocks=(Notice(text=text, tone=Tone.GOOD),), actions=actions, cites=recorded.seqs)


def _trade(desk: Desk, name: str) -> Trade:
    found = desk.books.trade(name)
    if found is None:
        raise UserError(f"There is no trade {name!r} of which anything was filled; nothing was noted.", "`positions` shows their ids.")
    return found


def _continued(desk: Desk, trade: Trade, before: Trade) -> Trade:
    """The trade that this one is said to continue; raise UserError where it cannot."""
    rolls = desk.fold.rolls
    if trade.id == before.id or (trade.id in rolls and before.id != rolls[trade.id]):
        said = f"{trade.id} continues {rolls[trade.id]} already" if trade.id in rolls else f"{trade.id} cannot continue itself"
        raise UserError(f"{said}; nothing was noted.", "`rolls=none` takes back what was said.")
    if (trade.account, trade.underlying) != (before.account, before.underlying):
        raise UserError(
            f"{before.id} is {before.underlying} in {before.account.id}, {trade.id} is {trade.underlying} in {trade.account.id}: "
            "no roll; nothing was noted.", "A roll stays on one underlying of one account.",
        )
    in_order = desk.book(trade.account).trades_in_order([trade.id, before.id])
    if in_order[0] == trade.id or (trade.id not in rolls and before.id in chain(rolls, trade.id)):
        raise UserError(f"{before.id} was opened after {trade.id}; nothing was noted.", "Name the newer trade as position_id.")
    if before.open_units == before.opened_units:
        raise UserError(f"Nothing of {before.id} was closed, so {trade.id} is no roll of it; nothing was noted.", "Close it first.")
    return before


COMMAND = Command(
    name="note", help="A journal note, also on a trade; says too which trade another one continues.", run=run, access=Access.DRAFT,
    parameters=(
        Parameter(name="text", kind=Kind.TEXT, help="the words", required=True),
        Parameter(name="symbol", kind=Kind.SYMBOL, help="what it is about", positional=False),
        Parameter(name="position_id", kind=Kind.ID, help="the trade it is on", positional=False),
        Parameter(name="rolls", kind=Kind.ID, help="the trade that one continues; none takes it back", positional=False),
    ),
    examples=('note "sold into the spike"', "note symbol=SPX kept the wing wide", "note rolled position_id=P1A2B3C rolls=P4D5E6F"),
)
