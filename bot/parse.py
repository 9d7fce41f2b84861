"""`python -m bot parse`: JSON lines in, one answer a line out, by the offline parser alone. No desk is opened and no book consulted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from bot.intent.frames import plain
from bot.intent.offline import parse
from core.errors import UserError

FORM = 'A line is {"id", "text", "context"?: [{"role", "text"}], "today"?: "2026-11-27"}.'


def answer_all(lines: Iterable[str], write: Callable[[str], object], *, today: date) -> bool:
    """Answer each line, in order, as soon as it is read; False where one of them could not be read, which its answer says."""
    sound = True
    for line in lines:
        if not line.strip():
            continue
        try:
            answer = answer_of(line, today=today)
        except UserError as error:
            sound, answer = False, {"id": None, "error": str(error)}
        write(json.dumps(answer, ensure_ascii=False) + "\n")
    return sound


def answer_of(line: str, *, today: date) -> dict[str, Any]:
    """The answer to one line: its id, the label, the slots in normal form. Raises UserError where the line is of another form."""
    row = _row(line)
    text, context, said = row.get("text"), row.get("context") or [], row.get("today")
    if not isinstance(text, str):
        raise UserError("text is missing or no text.", FORM)
    if not isinstance(context, list) or not all(isinstance(turn, dict) and isinstance(turn.get("text"), str) for turn in context):
        raise UserError("context is no list of turns.", FORM)
    try:
        day = today if said is None else date.fromisoformat(str(said))
    except ValueError as error:
        raise UserError(f"today cannot be {str(said)[:40]!r}.", FORM) from error
    frame = parse(text, context=context, today=day)
    return {"id": row.get("id"), "label": frame.label, "slots": {name: plain(value) for name, value in frame.slots.items()}}


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError("That line is no JSON.", FORM) from error
    if not isinstance(row, dict):
        raise UserError("That line is no JSON object.", FORM)
    return row
