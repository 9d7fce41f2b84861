"""A line of a chart in one row of block characters, for where no picture can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from core.reply import Series

STEPS = "▁▂▃▄▅▆▇█"
GAP = " "
LARGEST = 1e30


def spark(series: Series, columns: int) -> str:
    """The series in so many characters, lowest to highest; a gap stays empty. Nothing where no value is known."""
    points = drawable(series)
    known = [y for _, y in points if y is not None]
    if not known or columns < 1:
        return ""
    (first, _), (last, _) = points[0], points[-1]
    low, high = min(known), max(known)
    columns = columns if last > first else 1
    places = [first + (last - first) * index / max(columns - 1, 1) for index in range(columns)]
    return "".join(_step(_between(points, x), low, high) for x in places).rstrip()


def drawable(series: Series) -> list[tuple[float, float | None]]:
    """Its points in order of x; what is no figure anybody reads is left out, or left open."""
    pairs = [(place(x), y) for x, y in zip(series.x, series.y, strict=True)]
    found = [(x, y if y is not None and abs(y) <= LARGEST else None) for x, y in pairs if abs(x) <= LARGEST]
    return sorted(found, key=lambda pair: pair[0])


def place(x: float | date) -> float:
    """Where an x lies on a scale of numbers: a date by its day."""
    return float(x.toordinal()) if isinstance(x, date) else float(x)


def _step(value: float | None, low: float, high: float) -> str:
    if value is None:
        return GAP
    return STEPS[0] if high == low else STEPS[min(int((value - low) / (high - low) * len(STEPS)), len(STEPS) - 1)]


def _between(points: Sequence[tuple[float, float | None]], x: float) -> float | None:
    """The value at x on the straight line between its neighbours; None in a gap."""
    after = next((index for index, (at, _) in enumerate(points) if at >= x), len(points) - 1)
    (right, end), (left, start) = points[after], points[max(after - 1, 0)]
    if right in (x, left):
        return end
    if start is None or end is None:
        return None
    return start + (end - start) * (x - left) / (right - left)
