"""What the desk answers: blocks of data and actions, formatted only by a renderer.

Cells hold Decimal, float, int, date, datetime, str or None ("unknown"), never formatted text of a number. Every front end shows the
same reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

Cell = Decimal | float | int | str | date | datetime | bool | None


class Format(StrEnum):
    """How a renderer writes a cell."""

    TEXT = "text"
    MONEY = "money"  # 1,240.00 with sign where `signed`
    PRICE = "price"  # 1.25
    NUMBER = "number"  # 1,234.5
    INTEGER = "integer"
    PERCENT = "percent"  # 0.125 -> 12.5%
    DATE = "date"
    TIME = "time"  # exchange time
    AGE = "age"  # seconds -> 3s, 2m
    GREEK = "greek"  # 0.162


class Tone(StrEnum):
    """How loud a notice is; never colour alone."""

    INFO = "info"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table."""

    title: str
    format: Format = Format.TEXT
    unit: str = ""
    signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A sentence or two."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One labelled value with its source."""

    label: str
    value: Cell
    format: Format = Format.TEXT
    unit: str = ""
    signed: bool = False
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Labelled values, one a line."""

    facts: tuple[Fact, ...]
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells under typed columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    source: str = ""


class Shape(StrEnum):
    """How a series is drawn."""

    LINE = "line"
    FILLED = "filled"  # a line filled down or up to zero, gains and losses told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What an axis measures and how its figures are written."""

    label: str = ""
    format: Format = Format.NUMBER
    unit: str = ""
    signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One named line or set of bars: as many y as x, ascending in x; a y of None is a gap."""

    name: str
    x: tuple[float | date, ...]
    y: tuple[float | None, ...]
    shape: Shape = Shape.LINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something pointed out: a point (both x and y), a place (x alone) or a level (y alone); its figures are written beside the label."""

    label: str
    x: float | date | None = None
    y: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture of a chart, on its own scale."""

    series: tuple[Series, ...]
    axis: Axis
    marks: tuple[Mark, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Data of a chart, drawn by whoever can; its panels share the axis of x. `facts` are the same figures for its caption."""

    title: str
    panels: tuple[Panel, ...]
    axis: Axis
    facts: tuple[Fact, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A document offered for download."""

    name: str
    content: bytes
    media_type: str = "text/csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Progress of a longer task; `done` steps are ticked."""

    steps: tuple[str, ...]
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that must not be overlooked."""

    text: str
    tone: Tone = Tone.INFO


Block = Text | Facts | Table | Chart | File | Steps | Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A button: its label and the command line it stands for. `once` buttons die with their first press."""

    label: str
    line: str
    style: str = "normal"  # normal | primary | danger
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. `ok` is False for a refusal; `badge` is the mode shown on every card; `cites` are the log events it speaks of."""

    blocks: tuple[Block, ...]
    actions: tuple[Action, ...] = ()
    ok: bool = True
    command: str = ""  # the equivalent command line, shown small
    badge: str = ""
    at: datetime | None = None
    cites: tuple[int, ...] = ()
    data: Mapping[str, Cell] = field(default_factory=dict)  # named results for callers (ticket id, order id)


def refusal(sentence: str, *, actions: tuple[Action, ...] = (), command: str = "") -> Reply:
    """A reply that says no in a clear sentence."""
    return Reply(blocks=(Notice(text=sentence, tone=Tone.BAD),), actions=actions, ok=False, command=command)
