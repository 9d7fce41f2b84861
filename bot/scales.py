"""Scales of a chart: where ticks stand, what is written at them, and where labels find room. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

from bot.render import clean, value_text
from core.reply import Axis, Format, Mark

Ticks = list[tuple[float, str]]
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
SHORT = ((1e12, "T"), (1e9, "bn"), (1e6, "M"), (1e3, "k"))
SHORT_FROM = 1e5  # what is written with its thousands in full below
FINEST = 1e-9  # of the larger end: closer together floats do not tell ends apart
SMALLEST = 1e-12  # no scale is finer
MOST_ASIDE = 0.3  # of its width a label makes way for its neighbour
ROOM = 0.07  # of the height left above and below a line
MONTH_DAYS = 30.44
MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 12_000, 60_000)  # between ticks


def ends_of(values: Sequence[float], axis: Axis, *, zero: bool = False) -> tuple[float, float]:
    """The lowest and highest place of a scale that shows all values with some room, and zero where asked."""
    found = [*values, 0.0] if zero or not values else list(values)
    low, high = min(found), max(found)
    least = max(max(abs(low), abs(high)) * FINEST, SMALLEST)
    if high - low <= least:
        room = abs(high) * 0.05 if abs(high) > least else 0.01 if axis.format is Format.PERCENT else 1.0
        return low - room, high + room
    room = (high - low) * ROOM
    return low - room, high + room


def ticks_of(low: float, high: float, axis: Axis, *, most: int) -> Ticks:
    """Round numbers between two ends, at most so many, as they are written beside an axis."""
    factor = 100.0 if axis.format is Format.PERCENT else 1.0
    low, high = low * factor, high * factor
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * size for nice in NICE if nice * size >= rough * (1 - FINEST))
    first, last = math.ceil(low / step - FINEST), math.floor(high / step + FINEST)
    places = [index * step for index in range(first, last + 1)]
    sign, suffix = "+" if axis.signed else "", "%" if axis.format is Format.PERCENT else ""
    return [(each / factor, _short(each, step, sign, max(abs(low), abs(high))) + suffix) for each in places]


def days_of(first: float, last: float, *, most: int) -> Ticks:
    """Days between two days, at most so many: firsts of months over a longer time, with the year where it is new."""
    start, end = date.fromordinal(math.ceil(first)), date.fromordinal(math.floor(last))
    span = (end - start).days
    if span > 2 * MONTH_DAYS:
        every = next(count for count in MONTHS if span / (count * MONTH_DAYS) <= most)
        months = range(start.year * 12 + start.month - 1, end.year * 12 + end.month)
        days = [date(month // 12, month % 12 + 1, 1) for month in months if month % every == 0]
        return [(float(day.toordinal()), f"{day:%b %y}") for day in days if start <= day <= end]
    every = max(1, math.ceil((span + 1) / most))
    days = [date.fromordinal(day) for day in range(start.toordinal(), end.toordinal() + 1, every)]
    return [(float(day.toordinal()), f"{day.day} {day:%b}") for day in days]


def rows_of(places: Sequence[float], widths: Sequence[float], *, room: float) -> list[tuple[float, int]]:
    """For labels of these widths, wished at these ascending places of a line: where the middle of each goes, and in which row.

    None stands over another. A label makes way for its neighbour by a part of its width before it takes another row.
    """
    found: list[tuple[float, int]] = []
    ends: list[float] = []
    for where, width in zip(places, widths, strict=True):
        half = width / 2
        wish = min(max(where, half), max(room - half, half))
        free = [max(wish, end + half) for end in ends]
        fits = (at for at, middle in enumerate(free) if middle - wish <= MOST_ASIDE * width and middle + half <= max(room, width))
        row = next(fits, len(ends))
        middle = free[row] if row < len(ends) else wish
        ends[row:row + 1] = [middle + half]
        found.append((middle, row))
    return found


def mark_words(mark: Mark, x_axis: Axis, y_axis: Axis) -> str:
    """What is written at a mark: its label, and its figure beneath."""
    if mark.y is not None:
        figure = value_text(mark.y, y_axis.format, signed=y_axis.signed)
    else:
        figure = "" if mark.x is None else value_text(mark.x, x_axis.format, signed=x_axis.signed)
    return "\n".join(part for part in (clean(mark.label), figure) if part)


def _short(value: float, step: float, sign: str, largest: float) -> str:
    if abs(value) < step / 2:
        return "0"
    divisor, suffix = next((pair for pair in SHORT if largest >= max(pair[0], SHORT_FROM)), (1.0, ""))
    places = -math.floor(math.log10(step / divisor) + FINEST)
    places += round(step / 10.0 ** math.floor(math.log10(step) + FINEST), 6) == 2.5
    if places > 6:
        return f"{value:{sign}.1e}"
    return f"{value / divisor:{sign},.{max(places, 0)}f}{suffix}"
