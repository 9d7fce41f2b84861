"""Exits that were told, for the commands that answer and show them, and those that would be due now."""

from __future__ import annotations

from core.autonomy import ExitTold
from core.desk import Desk
from core.domain.mandates import Rung
from core.errors import UserError
from core.orders.exit_view import due_now, look_over
from core.reply import Block, Cell, Column, Notice, Table


def told_exit(desk: Desk, key: str) -> ExitTold:
    """An exit that stands told; raise UserError where none of that name does."""
    told = desk.fold.exits.get(key)
    if told is None:
        raise UserError(f"Nothing called {key!r} stands told.", "The button on the message carries its name, such as P1A2B3C4.credit_stop.")
    return told


def told_rules(desk: Desk, trade_id: str) -> tuple[str, ...]:
    """The rules that stand told of a trade, as flags."""
    return tuple(f"due: {told.due.rule}" for told in desk.fold.exits.values() if told.due.trade_id == trade_id)


async def due_blocks(desk: Desk) -> tuple[Block, ...]:
    """The open trades the exits would speak of now, with their effective settings."""
    looked = await look_over(desk)
    rows: list[tuple[Cell, ...]] = [
        (one.trade.id, item.name, one.structure, "its price is not known now" if judgement is None else judgement.reason)
        for item in desk.exits
        for one, judgement in due_now(desk, looked, item)
        if item.rung(one.trade.strategy) is not Rung.OFF
    ]
    if not rows:
        return (Notice(text="No open trade is due under it now."),)
    columns = (Column(title="trade"), Column(title="rule"), Column(title="structure"), Column(title="now"))
    return (Table(title="Due now with this setting", columns=columns, rows=tuple(rows)),)
