"""Replies as text for a terminal and as data: the only place that formats a value.

Lines are at most 80 columns where the content allows it; a figure is never cut or wrapped in its middle.
"""

from __future__ import annotations

import base64
import csv
import io
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import Enum
from typing import Any

from bot.buttons import Button
from bot.sparks import drawable, spark
from core.clock import exchange_time
from core.reply import Block, Cell, Chart, Column, Fact, Facts, File, Format, Notice, Reply, Steps, Table, Text, Tone

WIDTH = 80
UNKNOWN = "unknown"
UNSAID = "?"  # the same in a table
MARKS = {Tone.INFO: "[i]", Tone.GOOD: "[ok]", Tone.WARNING: "[!]", Tone.BAD: "[x]"}
PLACES = {Format.MONEY: 2, Format.PRICE: 2, Format.NUMBER: 1, Format.INTEGER: 0, Format.GREEK: 3}
NUMERIC = frozenset({*PLACES, Format.PERCENT, Format.AGE})
LONGEST_LABEL = 26
LONGEST_FIGURE = 44  # kept on one line of a caption
SPARK = 32  # columns of a line drawn with block characters
MOST_PLACES = 40  # before or after the point; what is longer is no figure anybody reads, and is written with an exponent
_EXACT = Context(prec=2 * MOST_PLACES)
NARROWEST_TEXT = 24  # a wrapped last column narrower than this reads worse than row by row
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co"})  # control, format (zero-width, direction), surrogate and private characters


def render(reply: Reply, buttons: Sequence[Button] = (), *, width: int = WIDTH) -> str:
    """A reply as lines of text, buttons numbered."""
    parts = [_head(reply)] if reply.badge else []
    parts += [_block(block, width) for block in reply.blocks]
    if buttons:
        parts.append(_wrap("  ".join(f"[{button.number}]\N{NO-BREAK SPACE}{_sticky(button.label)}" for button in buttons), width, ""))
    if reply.command:
        parts.append(_wrap(f"» {clean(reply.command)}", width, "  "))
    return "\n".join(part for part in parts if part).replace("\N{NO-BREAK SPACE}", " ")


def render_block(block: Block, *, width: int = WIDTH) -> str:
    """One block as lines of text."""
    return _block(block, width).replace("\N{NO-BREAK SPACE}", " ")


def head(reply: Reply) -> str:
    """The badge and the time of an answer, without the rule before it."""
    return _head(reply).removeprefix("── ")


def to_csv(table: Table) -> bytes:
    """A table for a spreadsheet: plain values, no thousands separators; text that a spreadsheet would run as a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([clean(f"{column.title} {column.unit}").strip() for column in table.columns])
    writer.writerows([[_csv_cell(value) for value in row] for row in table.rows])
    return out.getvalue().encode("utf-8-sig", "replace")


def _csv_cell(value: Cell) -> str:
    if isinstance(value, str):
        text = clean(value)
        return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
    plain = _plain(value)
    return "" if plain is None else "yes" if plain is True else "no" if plain is False else str(plain)


def to_json(reply: Reply, buttons: Sequence[Button] = ()) -> dict[str, Any]:
    """A reply as data: amounts as text, dates in ISO form, nothing formatted."""
    plain: dict[str, Any] = {
        "ok": reply.ok, "badge": reply.badge, "at": _plain(reply.at), "command": reply.command,
        "blocks": [_plain_block(block) for block in reply.blocks],
        "actions": [{"label": action.label, "line": action.line, "style": action.style, "once": action.once} for action in reply.actions],
        "cites": list(reply.cites), "data": {key: _plain(value) for key, value in reply.data.items()},
    }
    return plain


def value_text(value: Cell, form: Format, *, unit: str = "", signed: bool = False) -> str:
    """One value as text: fixed decimals, thousands separators, sign and unit."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return _instant(value, form)
    if isinstance(value, date):
        return f"{value.day} {value:%b %y}"
    if isinstance(value, str):
        return clean(value)
    return _number(value, form, unit=unit, signed=signed)


def caption(chart: Chart) -> str:
    """A chart's figures in words, for beneath its picture and for who sees none."""
    title, note = clean(chart.title), clean(chart.note)
    figures = ", ".join(_figure(fact) for fact in chart.facts)
    words = f"{title}: {figures}." if figures else title
    return f"{words} {note}" if note else words


def _figure(fact: Fact) -> str:
    value = value_text(fact.value, fact.format, unit=fact.unit, signed=fact.signed)
    words = clean(f"{fact.label} {value} ({fact.note})" if fact.note else f"{fact.label} {value}")
    return _sticky(words) if len(words) <= LONGEST_FIGURE else words


def clean(text: str) -> str:
    """Text without control, zero-width and direction characters, which could hide or reorder figures."""
    return "".join(" " if character != "\n" and unicodedata.category(character) in UNSEEN else character for character in text)


def _number(value: Decimal | float | int, form: Format, *, unit: str, signed: bool) -> str:
    if isinstance(value, float) and value != value:
        return UNKNOWN
    number = value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        return UNKNOWN
    sign = "+" if signed else ""
    number = number or Decimal(0)
    if abs(number.adjusted()) > MOST_PLACES or len(number.as_tuple().digits) > MOST_PLACES:
        return f"{number:{sign}.6E} {unit}".strip()
    if form is Format.AGE:
        return _age(number)
    if form is Format.PERCENT:
        return f"{_fixed(_EXACT.multiply(number, Decimal(100)), 1):{sign},f}%"
    if form in (Format.TEXT, Format.DATE, Format.TIME):
        text = f"{number:{sign},f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{_fixed(number, _places(number, form)):{sign},f}"
    return f"{text} {unit}" if unit else text


def _places(number: Decimal, form: Format) -> int:
    """Prices keep a third or fourth decimal where there is one: a quarter of a cent must not look like a cent."""
    if form is Format.PRICE:
        exponent = _fixed(number, 4).normalize().as_tuple().exponent
        return min(4, max(2, -exponent)) if isinstance(exponent, int) else 2
    return PLACES[form]


def _fixed(number: Decimal, places: int) -> Decimal:
    fixed = number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN, context=_EXACT)
    return abs(fixed) if fixed == 0 else fixed  # no -0.00


def _age(seconds: Decimal) -> str:
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    if whole < 7_200:
        return f"{whole // 60}m"
    return f"{whole // 3_600}h" if whole < 172_800 else f"{whole // 86_400}d"


def _instant(at: datetime, form: Format) -> str:
    try:
        local = exchange_time(at)
    except (ValueError, OverflowError):
        return clean(at.isoformat(sep=" ", timespec="minutes"))  # without a zone, or at the end of time: nobody knows the exchange's
    if form is Format.DATE:
        return f"{local.day} {local:%b %y}"
    return f"{local:%H:%M} ET" if form is Format.TIME else f"{local.day} {local:%b %y} {local:%H:%M} ET"


def _head(reply: Reply) -> str:
    when = "" if reply.at is None else f" · {_instant(reply.at, Format.TEXT)}"
    return f"── {clean(reply.badge)}{when}"


def _block(block: Block, width: int) -> str:
    match block:
        case Text(text=text):
            return _wrap(clean(text), width, "")
        case Notice(text=text, tone=tone):
            mark = MARKS[tone]
            return _wrap(f"{mark} {clean(text)}", width, " " * (len(mark) + 1))
        case Facts():
            return _facts(block, width)
        case Table():
            return _table(block, width)
        case Steps(steps=steps, done=done):
            return "\n".join(f"[{'x' if number < done else ' '}] {clean(step)}" for number, step in enumerate(steps))
        case Chart():
            return "\n".join([_wrap(caption(block), width, "  "), *_sparks(block, width)])
        case File(name=name, content=content):
            return f"file {clean(name)}, {len(content):,} bytes"


def _sparks(chart: Chart, width: int) -> list[str]:
    """Every line of a chart as a row of blocks between its lowest and its highest value."""
    named = [(panel.axis, series) for panel in chart.panels for series in panel.series]
    room = min(max((len(series.name) for _, series in named), default=0), LONGEST_LABEL)
    lines = []
    for axis, series in named:
        known = [y for _, y in drawable(series) if y is not None]
        if len(known) < 2:
            continue  # the caption has that one figure
        low, high = (value_text(y, axis.format, signed=axis.signed) for y in (min(known), max(known)))
        ends = f"{low if low == high else f'{low} to {high}'} {axis.unit}".strip()
        drawn = "" if low == high else spark(series, min(SPARK, width - room - len(ends) - 6))
        lines.append(f"  {clean(series.name):<{room}}  {drawn}  {ends}" if drawn else f"  {clean(series.name):<{room}}  {ends}")
    return lines


def _facts(block: Facts, width: int) -> str:
    room = max((len(fact.label) for fact in block.facts), default=0)
    room = min(room, LONGEST_LABEL)
    lines = [clean(block.title)] if block.title else []
    for fact in block.facts:
        lines.append(_wrap(f"{clean(fact.label):<{room}}  {_fact(fact)}", width, " " * (room + 2)))
    return "\n".join(lines)


def _fact(fact: Fact) -> str:
    text = value_text(fact.value, fact.format, unit=fact.unit, signed=fact.signed)
    text = text if isinstance(fact.value, str) else _sticky(text)
    return f"{text}  ({clean(fact.note)})" if fact.note else text


def _table(block: Table, width: int) -> str:
    title = [clean(block.title)] if block.title else []
    if not block.rows:
        return "\n".join([*title, "none"])
    cells = [[cell_text(value, column) for value, column in zip(row, block.columns, strict=True)] for row in block.rows]
    heads = [heading(column) for column in block.columns]
    rights = [column.format in NUMERIC for column in block.columns]
    widths = [max(len(line[index]) for line in [heads, *cells]) for index in range(len(heads))]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    if over > 0 and not rights[-1] and widths[-1] - over >= NARROWEST_TEXT:
        return "\n".join([*title, *_long_last(heads, cells, [*widths[:-1], widths[-1] - over], rights)])
    if over > 0:
        return "\n".join([*title, *_cards(block.columns, cells, width)])
    lines = [_row(heads, widths, rights), *(_row(line, widths, rights) for line in cells)]
    return "\n".join([*title, *(line.rstrip() for line in lines)])


def _long_last(heads: Sequence[str], cells: Sequence[Sequence[str]], widths: Sequence[int], rights: Sequence[bool]) -> list[str]:
    """A table whose last column is text that goes on over several lines."""
    indent = " " * (sum(widths[:-1]) + 2 * (len(widths) - 1))
    lines = [_row(heads, widths, rights).rstrip()]
    for row in cells:
        first, *more = _wrap(row[-1], widths[-1], "").split("\n")
        lines.append(_row([*row[:-1], first], widths, rights).rstrip())
        lines += [indent + line for line in more]
    return lines


def _cards(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> list[str]:
    """A table too wide for the screen, row by row: the first cell leads, the others follow with their titles."""
    lines: list[str] = []
    for row in cells:
        named = zip(columns[1:], row[1:], strict=True)
        rest = ", ".join(_named_cell(column, text) for column, text in named if text)
        lines.append(_wrap(f"{row[0]}: {rest}", width, "  "))
    return lines


def _named_cell(column: Column, text: str) -> str:
    named = f"{clean(column.title)} {text}{' ' + clean(column.unit) if column.unit and text != UNSAID else ''}"
    return _sticky(named) if column.format in NUMERIC else named


def heading(column: Column) -> str:
    """A column's title with its unit."""
    return clean(f"{column.title} {column.unit}").strip()


def cell_text(value: Cell, column: Column) -> str:
    """One cell of a table; the unit stands in the heading."""
    return UNSAID if value is None else value_text(value, column.format, signed=column.signed)


def _row(cells: Sequence[str], widths: Sequence[int], rights: Sequence[bool]) -> str:
    return "  ".join(text.rjust(room) if right else text.ljust(room) for text, room, right in zip(cells, widths, rights, strict=True))


def _sticky(text: str) -> str:
    """Spaces that do not break a line: a figure stays with its unit, a label in one piece."""
    return clean(text).replace(" ", "\N{NO-BREAK SPACE}")


def _wrap(text: str, width: int, indent: str) -> str:
    wrapper = textwrap.TextWrapper(width=width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(_fill(wrapper, line) for line in text.split("\n"))


def _fill(wrapper: textwrap.TextWrapper, line: str) -> str:
    return line if len(line) <= wrapper.width else wrapper.fill(line)


def _plain_block(block: Block) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(block)
    return {"type": type(block).__name__.lower(), **plain}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() and abs(value.adjusted()) <= MOST_PLACES else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} is no cell of a reply")
