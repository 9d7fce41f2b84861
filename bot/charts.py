"""A chart as a PNG for a phone: large letters, light or dark, nothing told by colour alone.

Drawing is work for a thread. matplotlib is loaded with the first picture; only its object interface is used, and one picture is drawn at
a time, since the library promises nothing about threads.
"""

from __future__ import annotations

import io
import math
import textwrap
import threading
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from bot.render import clean
from bot.scales import Ticks, days_of, ends_of, mark_words, rows_of, ticks_of
from bot.sparks import LARGEST, drawable, place
from core.reply import Axis, Chart, Mark, Panel, Series, Shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT, DPI = 880, 550, 110  # pixels: 8 by 5 inches
TITLE, WORDS, SMALL = 17.0, 14.0, 13.0  # points; a phone shows the picture at less than half its size
LETTER, LINE = 0.62, 1.3  # width of a letter and height of a line, of the size of the letters
MARGIN, BELOW = 14, 30  # pixels: around everything; of ticks, of the name of an axis, of the legend
MOST_TICKS, MOST_SMALL, MOST_ACROSS = 5, 4, 7
_DRAWING = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours on a background; lines are told apart by dash and marker too."""

    paper: str
    ink: str
    faint: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in pixels from the upper left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The ends of an axis and what stands along it."""

    ends: tuple[float, float]
    ticks: Ticks


LIGHT = Theme(paper="#ffffff", ink="#1b1f24", faint="#c5cad2", lines=("#0060a8", "#c44e00", "#00795a", "#8b3a86"))
DARK = Theme(paper="#14181d", ink="#eef1f4", faint="#4a525c", lines=("#6cb8f0", "#f0a040", "#4fd0a5", "#e39bdc"))
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)))
MARKERS = ("o", "s", "^", "D")


def png(chart: Chart, *, dark: bool) -> bytes:
    """Draw a chart, 880 by 550 pixels. Heavy: call it in a thread."""
    theme = DARK if dark else LIGHT
    with _DRAWING:
        out = io.BytesIO()
        figure_of(chart, theme).savefig(out, format="png", facecolor=theme.paper, metadata={"Software": None})
        return out.getvalue()


def figure_of(chart: Chart, theme: Theme) -> Figure:
    """The chart laid out, not yet turned into pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=theme.paper)
    FigureCanvasAgg(figure)
    _draw(figure, chart, theme)
    return figure


def _draw(figure: Figure, chart: Chart, theme: Theme) -> None:
    top = _title(figure, chart.title, theme)
    several = any(len(panel.series) > 1 for panel in chart.panels)
    below = BELOW * (1 + bool(_name(chart.axis)) + several) + MARGIN
    boxes = _boxes(len(chart.panels), Box(left=MARGIN, top=top, width=WIDTH - 2 * MARGIN, height=HEIGHT - top - below))
    x_ends = _x_ends(chart)
    columns = 2 if len(chart.panels) > 3 else 1
    scales = [_scale(panel, box) for panel, box in zip(chart.panels, boxes, strict=True)]
    for index, (panel, box, scale) in enumerate(zip(chart.panels, boxes, scales, strict=True)):
        last = index + columns >= len(chart.panels)
        beside = max((_wide(text, SMALL) for each in scales[index % columns::columns] for _, text in each.ticks), default=0.0)
        _panel(figure, panel, box, scale, x_axis=chart.axis, x_ends=x_ends, beside=beside, named=last, theme=theme)
    if _name(chart.axis):
        _words(figure, _name(chart.axis), WIDTH / 2, HEIGHT - MARGIN - BELOW * several, theme, ha="center", va="bottom", size=SMALL)
    if several:
        _legend(figure, chart, theme)


def _words(figure: Figure, text: str, x: float, y: float, theme: Theme, *, size: float = WORDS, **how: Any) -> None:
    """Write at pixels from the upper left corner; a dollar sign is a dollar sign."""
    figure.text(x / WIDTH, 1 - y / HEIGHT, _drawable(text), fontsize=size, color=theme.ink, parse_math=False, **how)


def _title(figure: Figure, title: str, theme: Theme) -> float:
    """Write the title; return the pixel below it."""
    room = int((WIDTH - 2 * MARGIN) / _wide("x", TITLE))
    lines = textwrap.TextWrapper(width=room, max_lines=2, placeholder=" …").wrap(_shown(title))
    _words(figure, "\n".join(lines), MARGIN, MARGIN, theme, size=TITLE, ha="left", va="top", fontweight="bold")
    return MARGIN + _high(TITLE) * len(lines) + 4


def _boxes(count: int, room: Box) -> list[Box]:
    """One panel beneath the other, the first twice as high as each other one; four and more in two columns."""
    if count > 3:
        rows = math.ceil(count / 2)
        width, height = room.width / 2, room.height / rows
        return [
            Box(left=room.left + width * (index % 2), top=room.top + height * (index // 2), width=width, height=height)
            for index in range(count)
        ]
    height = room.height / (count + 1) if count > 1 else room.height
    tops = [0.0, *(height * (index + 1) for index in range(1, count))]
    return [
        Box(left=room.left, top=room.top + top, width=room.width, height=height * (2 if index == 0 and count > 1 else 1))
        for index, top in enumerate(tops[:count])
    ]


def _x_ends(chart: Chart) -> tuple[float, float]:
    found = [x for panel in chart.panels for series in panel.series for x, _ in drawable(series)]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    return (low, high) if high > low else (low - 1, high + 1)


def _scale(panel: Panel, box: Box) -> Scale:
    """The axis of y of a panel, for everything that is drawn on it."""
    values = [y for series in panel.series for _, y in drawable(series) if y is not None]
    values += [mark.y for mark in panel.marks if mark.y is not None and abs(mark.y) <= LARGEST]
    ends = ends_of(values, panel.axis, zero=any(series.shape is Shape.FILLED for series in panel.series))
    return Scale(ends=ends, ticks=ticks_of(*ends, panel.axis, most=MOST_TICKS if box.height > HEIGHT / 2 else MOST_SMALL))


def _panel(
    figure: Figure, panel: Panel, box: Box, scale: Scale, *, x_axis: Axis, x_ends: tuple[float, float], beside: float, named: bool,
    theme: Theme,
) -> None:
    """A heading, rows of labels for places on x, and the picture under them."""
    left = box.left + beside + 12
    width = box.left + box.width - left - 32  # half a tick's words
    heading = _shown(panel.title) or _name(panel.axis)
    _words(figure, heading, box.left, box.top, theme, size=WORDS, ha="left", va="top")
    marks = [mark for mark in panel.marks if _is_inside(mark, x_ends)]
    levels = [mark_words(mark, x_axis, panel.axis).replace("\n", " ") for mark in marks if mark.x is None and mark.y is not None]
    if levels:
        words = f"dashed: {', '.join(levels)}"
        _words(figure, words, left + width, box.top + 1, theme, size=SMALL, ha="right", va="top")
    top = box.top + _high(WORDS) + 4
    span = x_ends[1] - x_ends[0]
    told = [(place(mark.x), mark) for mark in marks if mark.label and mark.x is not None and mark.y is None]
    told.sort(key=lambda pair: pair[0])
    labels = [mark_words(mark, x_axis, panel.axis) for _, mark in told]
    wishes = [(where - x_ends[0]) / span * width for where, _ in told]
    rows = rows_of(wishes, [max(_wide(line, SMALL) for line in label.split("\n")) + 10 for label in labels], room=width)
    row_high = 2 * _high(SMALL)
    used = row_high * (max((row for _, row in rows), default=-1) + 1)
    for label, (middle, row) in zip(labels, rows, strict=True):
        above = top + used - row * row_high - 6
        _words(figure, label, left + middle, above, theme, size=SMALL, ha="center", va="baseline", linespacing=1.1)
    top += used
    bottom = box.top + box.height - (0 if named else 8)
    axes = figure.add_axes((left / WIDTH, 1 - bottom / HEIGHT, width / WIDTH, (bottom - top) / HEIGHT))
    _frame(axes, theme, scale, x_ends=x_ends, x_ticks=_x_ticks(x_ends, x_axis, panel, width), named=named)
    if not any(y is not None for series in panel.series for _, y in drawable(series)):
        how: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": WORDS, "color": theme.ink}
        axes.text(0.5, 0.5, "no figures yet", transform=axes.transAxes, bbox={"facecolor": theme.paper, "edgecolor": "none"}, **how)
        return
    for index, series in enumerate(panel.series):
        _series(axes, series, index, theme)
    for mark in marks:
        _mark(axes, mark, x_axis, panel.axis, theme)


def _is_inside(mark: Mark, x_ends: tuple[float, float]) -> bool:
    return (mark.x is None or x_ends[0] <= place(mark.x) <= x_ends[1]) and (mark.y is None or abs(mark.y) <= LARGEST)


def _x_ticks(ends: tuple[float, float], axis: Axis, panel: Panel, width: float) -> Ticks:
    """As many ticks as their words leave room for."""
    dated = any(isinstance(x, date) for series in panel.series for x in series.x)
    found: Ticks = []
    for most in range(MOST_ACROSS, 0, -1):
        found = days_of(*ends, most=most) if dated else ticks_of(*ends, axis, most=most)
        if sum(_wide(text, SMALL) + MARGIN for _, text in found) <= width:
            break
    return found


def _frame(axes: Axes, theme: Theme, scale: Scale, *, x_ends: tuple[float, float], x_ticks: Ticks, named: bool) -> None:
    axes.set_facecolor(theme.paper)
    axes.set_xlim(*x_ends)
    axes.set_ylim(*scale.ends)
    axes.set_xticks([where for where, _ in x_ticks], [text if named else "" for _, text in x_ticks])
    axes.set_yticks([where for where, _ in scale.ticks], [text for _, text in scale.ticks])
    axes.tick_params(labelsize=SMALL, colors=theme.ink, length=0, pad=5)
    axes.grid(True, color=theme.faint, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.ink)
    if scale.ends[0] < 0 < scale.ends[1]:
        axes.axhline(0, color=theme.ink, linewidth=1.4)


def _series(axes: Axes, series: Series, index: int, theme: Theme) -> None:
    points = drawable(series)
    xs, ys = [x for x, _ in points], [math.nan if y is None else y for _, y in points]
    colour, dash, marker = theme.lines[index % len(theme.lines)], DASHES[index % len(DASHES)], MARKERS[index % len(MARKERS)]
    if series.shape is Shape.FILLED:
        known = [not math.isnan(y) for y in ys]
        gains, losses = [known[at] and y >= 0 for at, y in enumerate(ys)], [known[at] and y <= 0 for at, y in enumerate(ys)]
        axes.fill_between(xs, ys, where=gains, interpolate=True, color=theme.lines[0], alpha=0.22, linewidth=0)
        axes.fill_between(
            xs, ys, where=losses, interpolate=True, facecolor="none", edgecolor=theme.lines[1], alpha=0.55, hatch="//", linewidth=0
        )
    every = max(1, len(xs) // 7)
    marks: dict[str, Any] = {"marker": marker, "markersize": 8, "markevery": (every // 2 * (index % 2), every)} if index else {}
    known = [False, *(not math.isnan(y) for y in ys), False]
    alone = [at for at in range(len(ys)) if known[at + 1] and not (known[at] or known[at + 2])]  # between gaps, where no line shows them
    axes.plot([xs[at] for at in alone], [ys[at] for at in alone], color=colour, linestyle="", marker=marker, markersize=8)
    axes.plot(xs, ys, color=colour, linestyle=dash, linewidth=2.6, label=_drawable(_shown(series.name)), **marks)


def _mark(axes: Axes, mark: Mark, x_axis: Axis, y_axis: Axis, theme: Theme) -> None:
    if mark.y is None:
        if mark.x is not None:
            axes.axvline(place(mark.x), color=theme.ink, linewidth=1.3, linestyle=(0, (2, 2)))
        return
    words = _drawable(mark_words(mark, x_axis, y_axis).replace("\n", " "))
    how: dict[str, Any] = {
        "fontsize": SMALL, "color": theme.ink, "parse_math": False,
        "bbox": {"facecolor": theme.paper, "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
    }
    if mark.x is None:
        axes.axhline(mark.y, color=theme.ink, linewidth=1.3, linestyle=(0, (4, 3)))
        return
    low, high = axes.get_xlim()
    share = (place(mark.x) - low) / (high - low)
    bottom, top = axes.get_ylim()
    up = 1 if (mark.y - bottom) / (top - bottom) < 0.75 else -1
    axes.plot([place(mark.x)], [mark.y], marker="o", markersize=10, color=theme.paper, markeredgecolor=theme.ink, markeredgewidth=2.2)
    ha = "left" if share < 0.3 else "right" if share > 0.7 else "center"
    axes.annotate(
        words, (place(mark.x), mark.y), xytext=(0, 12 * up), textcoords="offset points", ha=ha, va="bottom" if up > 0 else "top", **how
    )


def _legend(figure: Figure, chart: Chart, theme: Theme) -> None:
    drawn = {str(line.get_label()): line for axes in figure.axes for line in axes.get_lines() if not str(line.get_label()).startswith("_")}
    legend = figure.legend(
        list(drawn.values()), list(drawn), loc="lower center", ncols=min(len(drawn), 4) or 1, fontsize=SMALL, frameon=False,
        labelcolor=theme.ink, handlelength=3.2, borderpad=0.1, borderaxespad=0.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _name(axis: Axis) -> str:
    return _shown(", ".join(part for part in (axis.label, axis.unit) if part))


def _shown(text: str) -> str:
    return clean(text).strip()


def _drawable(text: str) -> str:
    """The text with a question mark for each letter the font lacks."""
    return "".join(letter if letter == "\n" or ord(letter) in _letters() else "?" for letter in text)


@cache
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont("DejaVu Sans")).get_charmap())


def _wide(text: str, size: float) -> float:
    return len(text) * size * LETTER * DPI / 72


def _high(size: float) -> float:
    return size * LINE * DPI / 72
