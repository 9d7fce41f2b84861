"""A page of sections with tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

HEAD = """# How exact the prices are

Written by `make accuracy` with `DESK_REAL_DATA` naming the folder of recorded markets; run it again after a change of pricing. Against
closed forms, fifty digits, published tables and other libraries the tests in `tests/unit/pricing` hold the arithmetic itself; this page is
about real quotes, where what differs is mostly what was assumed: the rate, the forward, the minute of the day, the vendor's own model.
"""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading, what is to be seen, and a table."""

    title: str
    text: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default_factory=list)


def page(sections: Sequence[Section]) -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for section in sections:
        lines = [f"## {section.title}", "", section.text.strip(), ""]
        if section.columns:
            lines += ["| " + " | ".join(section.columns) + " |", "|" + "|".join("---" for _ in section.columns) + "|"]
            lines += ["| " + " | ".join(row) + " |" for row in section.rows]
            lines.append("")
        parts.append("\n".join(lines))
    return "\n".join(parts).rstrip() + "\n"
