"""A reply as plain texts for a template: every figure as `bot.render` writes it, nothing of HTML.

A view is made of dicts, lists and texts alone, so that what was shown can be kept and shown again after a restart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bot.render import MARKS, NUMERIC, caption, cell_text, clean, heading, value_text
from core.reply import Block, Chart, Fact, Facts, File, Format, Notice, Reply, Steps, Table, Text, Tone

ROWS = 8  # of a table; the others fold away
FEW_COLUMNS = 3  # that fit a phone side by side
WORDS = {Tone.INFO: "Note", Tone.GOOD: "Done", Tone.WARNING: "Warning", Tone.BAD: "No"}  # what a mark is read out as
_CODE = re.compile(r"`([^`\n]+)`")

View = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """What a view names by number: pictures to be drawn and files to be fetched."""

    charts: tuple[Chart, ...] = ()
    files: tuple[File, ...] = ()


def view_of(reply: Reply) -> tuple[View, Attachments]:
    """A reply's texts, and its charts and files."""
    charts = tuple(block for block in reply.blocks if isinstance(block, Chart))
    files = tuple(block for block in reply.blocks if isinstance(block, File))
    counters = {Chart: iter(range(len(charts))), File: iter(range(len(files)))}
    blocks = [_block(block, counters) for block in reply.blocks]
    view: View = {
        "ok": reply.ok, "badge": clean(reply.badge), "when": "" if reply.at is None else value_text(reply.at, Format.TEXT),
        "at": "" if reply.at is None else reply.at.isoformat(), "command": clean(reply.command), "blocks": blocks,
    }
    return view, Attachments(charts=charts, files=files)


def prose(text: str) -> list[View]:
    """A text in pieces: what stands between backticks is something to type."""
    pieces = _CODE.split(clean(text))
    return [{"code": number % 2 == 1, "text": piece} for number, piece in enumerate(pieces) if piece]


def _block(block: Block, counters: dict[type, Any]) -> View:
    match block:
        case Text(text=text):
            return {"kind": "text", "text": prose(text)}
        case Notice(text=text, tone=tone):
            return {"kind": "notice", "tone": tone.value, "mark": MARKS[tone], "word": WORDS[tone], "text": prose(text)}
        case Facts(title=title, facts=facts):
            return {"kind": "facts", "title": clean(title), "facts": [_fact(fact) for fact in facts]}
        case Table():
            return _table(block)
        case Steps(steps=steps, done=done):
            return {"kind": "steps", "steps": [{"text": clean(step), "done": number < done} for number, step in enumerate(steps)]}
        case Chart(title=title):
            return {"kind": "chart", "title": clean(title), "caption": caption(block), "number": next(counters[Chart])}
        case File(name=name, content=content):
            return {"kind": "file", "name": clean(name), "size": f"{len(content):,} bytes", "number": next(counters[File])}


def _fact(fact: Fact) -> View:
    number = fact.format in NUMERIC and not isinstance(fact.value, str)
    text = value_text(fact.value, fact.format, unit=fact.unit, signed=fact.signed)
    return {"label": clean(fact.label), "text": text, "number": number, "note": clean(fact.note)}


def _table(block: Table) -> View:
    heads = [
        {"text": heading(column), "number": column.format in NUMERIC, "short": column.format is not Format.TEXT} for column in block.columns
    ]
    rows = [[cell_text(value, column) for value, column in zip(row, block.columns, strict=True)] for row in block.rows]
    return {
        "kind": "table", "title": clean(block.title), "heads": heads, "rows": rows[:ROWS], "more": rows[ROWS:],
        "wide": len(heads) > FEW_COLUMNS,
    }
