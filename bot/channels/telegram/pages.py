"""Replies as Telegram messages: HTML that cannot break, pages of at most 4,096 units, and what goes as a photo or a document.

Lengths are counted as Telegram counts them, in UTF-16 units, on the HTML itself, which is never shorter than what is shown. Sentences are
written as sentences; facts and tables are set in fixed width, as narrow as a phone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

from bot.buttons import Button
from bot.render import clean, head, render_block, to_csv
from core.reply import Block, Chart, Facts, File, Notice, Reply, Steps, Table, Text, Tone

LONGEST_TEXT, LONGEST_CAPTION, LONGEST_DATA = 4_096, 1_024, 64
WIDTH = 40  # columns of fixed width on a phone held upright
ROWS = 8  # of a table on one page
LONG_TABLE_ROWS = 24  # from here on a table is also offered as a document
SIGNS = {Tone.INFO: "ℹ️", Tone.GOOD: "✅", Tone.WARNING: "⚠️", Tone.BAD: "⛔"}
LONGEST_LABEL = 40
PASSED = "pass"
LOUD_UNITS = 200  # a warning as short as that stands in bold


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """A reply as Telegram shows it."""

    pages: tuple[str, ...]
    charts: tuple[Chart, ...] = ()
    files: tuple[File, ...] = ()
    tables: tuple[File, ...] = ()  # long tables as documents, sent where somebody asks for them


def units(text: str) -> int:
    """The length of a text as Telegram counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def to_pages(reply: Reply) -> Pages:
    """Everything a reply is in Telegram, but for its buttons."""
    blocks = [part for block in reply.blocks if not isinstance(block, Chart | File) for part in _folded(block)]
    charts = tuple(block for block in reply.blocks if isinstance(block, Chart))
    files = tuple(block for block in reply.blocks if isinstance(block, File))
    long = [block for block in reply.blocks if isinstance(block, Table) and len(block.rows) >= LONG_TABLE_ROWS]
    tables = tuple(File(name=f"{_file_name(table.title, number)}.csv", content=to_csv(table)) for number, table in enumerate(long, 1))
    top = f"<b>{_safe(head(reply))}</b>" if reply.badge else ""
    foot = f"<code>{_safe(_cut(clean(reply.command), 300))}</code>" if reply.command else ""
    room = LONGEST_TEXT - units(top) - units(foot) - 2
    found = [page for page in _packed(blocks, room) if page]
    pages = tuple("\n".join(part for part in (top, page, foot) if part) for page in found or [""])
    return Pages(pages=tuple(page or "…" for page in pages), charts=charts, files=files, tables=tables)


def caption_of(chart: Chart) -> str:
    """What stands under a picture: the same figures in words."""
    figures = render_block(Facts(facts=chart.facts), width=WIDTH) if chart.facts else ""
    parts = (f"<b>{_safe(clean(chart.title))}</b>", f"<pre>{_safe(figures)}</pre>" if figures else "", _safe(clean(chart.note)))
    return cut_html("\n".join(part for part in parts if part), LONGEST_CAPTION)


def plain(html: str) -> str:
    """The text of a page without its marks: for a server that will not take them."""
    for mark in ("<b>", "</b>", "<pre>", "</pre>", "<code>", "</code>"):
        html = html.replace(mark, "")
    for sign, entity in (("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;"), ("&", "&amp;")):
        html = html.replace(entity, sign)
    return html


def label_of(button: Button) -> str:
    """The words on a button: its label, with a sign where it is dangerous, so that no colour is needed."""
    label = _cut(clean(button.label), LONGEST_LABEL)
    return f"⚠ {label}" if button.style == "danger" else label


def cut_html(html: str, most: int) -> str:
    """HTML made by this module, shortened without leaving a mark open or an entity in two."""
    if units(html) <= most:
        return html
    text = plain(html)
    while units(escape(text)) > most - 1:
        text = text[: max(len(text) - max((units(escape(text)) - most) // 6, 1), 0)]
    return escape(text) + "…"


def _folded(block: Block) -> tuple[Block, ...]:
    """A long table of verdicts says in one sentence what passed, and in full only what did not: a card stays one message."""
    titles = [column.title for column in block.columns] if isinstance(block, Table) else []
    if not isinstance(block, Table) or len(block.rows) <= ROWS or "verdict" not in titles:
        return (block,)
    at = titles.index("verdict")
    passed = [str(row[0]) for row in block.rows if row[at] == PASSED]
    rest = tuple(row for row in block.rows if row[at] != PASSED)
    words = Text(text=f"{block.title}: {len(passed)} of {len(block.rows)} passed ({', '.join(passed)}).")
    return (words, replace(block, rows=rest, title=f"{block.title}: the others")) if rest else (words,)


def _packed(blocks: Sequence[Block], room: int) -> Iterator[str]:
    """Pieces put together to pages; a page ends where the next piece finds no room, or a long table goes on."""
    page, filled = "", False
    for block in blocks:
        for html, full in _pieces(block, room):
            if page and (filled or units(page) + units(html) + 1 > room):
                yield page
                page = ""
            page = f"{page}\n{html}" if page else html
            filled = full
    yield page


def _pieces(block: Block, room: int) -> Iterator[tuple[str, bool]]:
    """A block as HTML in pieces that fit a page each, and whether a piece ends its page."""
    match block:
        case Notice(text=text, tone=tone):
            for number, part in enumerate(_parts(f"{SIGNS[tone]} {clean(text)}", room - 7)):
                loud = not number and tone in (Tone.BAD, Tone.WARNING) and units(part) < LOUD_UNITS
                yield f"<b>{part}</b>" if loud else part, False
        case Text(text=text):
            yield from ((part, False) for part in _parts(clean(text), room))
        case Table() if len(block.rows) > ROWS:
            yield from _rows(block, room)
        case Facts() | Table():
            yield from ((f"<pre>{part}</pre>", False) for part in _parts(_fixed(block), room - 11))
        case Steps():
            yield from ((part, False) for part in _parts(render_block(block), room))
        case _:
            yield from ()


def _rows(table: Table, room: int) -> Iterator[tuple[str, bool]]:
    """A long table, so many rows a page, each with its heads."""
    starts = range(0, len(table.rows), ROWS)
    for number, start in enumerate(starts, 1):
        rows = table.rows[start : start + ROWS]
        title = f"{table.title} ({start + 1}-{start + len(rows)} of {len(table.rows)})".strip()
        last = number == len(starts)
        parts = list(_parts(_fixed(replace(table, rows=rows, title=title)), room - 11))
        for part in parts[:-1]:
            yield f"<pre>{part}</pre>", False
        yield f"<pre>{parts[-1]}</pre>", not last


def _fixed(block: Facts | Table) -> str:
    return render_block(block, width=WIDTH)


def _parts(text: str, most: int) -> Iterator[str]:
    """Escaped text in parts of at most so many units, broken between lines, else between words, else anywhere but inside an entity."""
    part = ""
    for line in text.split("\n"):
        for piece in _short_enough(line, most):
            html = _safe(piece)
            if part and units(part) + units(html) + 1 > most:
                yield part
                part = html
            else:
                part = f"{part}\n{html}" if part else html
    yield part


def _short_enough(line: str, most: int) -> Iterator[str]:
    while units(_safe(line)) > most:
        room = most // 6  # an escaped sign takes up to six
        cut = line.rfind(" ", 1, room)
        cut = cut if cut > 0 else room
        yield line[:cut]
        line = line[cut:].lstrip(" ")
    yield line


def _safe(text: str) -> str:
    return escape(text, quote=False)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _file_name(title: str, number: int) -> str:
    name = "".join(character if character.isascii() and character.isalnum() else "_" for character in title.lower()).strip("_")[:40]
    return name or f"table_{number}"
