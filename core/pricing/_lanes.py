"""Arguments that broadcast, laid out for a compiled kernel: flat columns with two steps each, one for rows and one within a row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
FLOAT = np.dtype(np.float64)


class Lanes(NamedTuple):
    """`rows` times `width` lanes of `shape`; lane (i, j) of a column is `column[i * step[0] + j * step[1]]`."""

    columns: tuple[Floats, ...]
    steps: NDArray[np.int64]
    rows: int
    width: int
    shape: tuple[int, ...]

    def at(self, places: NDArray[np.int64]) -> tuple[Floats, ...]:
        """Return the columns' values at flat places."""
        row, place = places // self.width, places % self.width
        return tuple(column[row * step[0] + place * step[1]] for column, step in zip(self.columns, self.steps, strict=True))


def lanes(given: Sequence[ArrayLike]) -> Lanes:
    """Lay out arguments that broadcast. Raises ValueError where they do not, like numpy."""
    columns: list[Floats] = []
    long, width = 0, -1
    shape: tuple[int, ...] = ()
    for place, each in enumerate(given):
        array = each if type(each) is np.ndarray and each.dtype is FLOAT else np.asarray(each, dtype=FLOAT)
        if array.ndim == 0:
            columns.append(array.reshape(1))
            continue
        if array.ndim > 1 or array.strides[0] != FLOAT.itemsize:
            return _general(given)
        size = len(array)
        if size != 1:
            if width not in (-1, size):
                return _general(given)
            long, width = long | 1 << place, size
        shape = (max(size, 1) if width == -1 else width,)
        columns.append(array)
    return Lanes(tuple(columns), _plain_steps(long, len(columns)), 1, 1 if width == -1 else width, shape)


@cache
def _plain_steps(long: int, columns: int) -> NDArray[np.int64]:
    return np.array([(0, long >> place & 1) for place in range(columns)], dtype=np.int64)


def _general(given: Sequence[ArrayLike]) -> Lanes:
    arrays = [np.asarray(each, dtype=FLOAT) for each in given]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    if len(shape) < 2 or shape[-1] == 1:  # one long row
        leading: tuple[int, ...] = ()
        last: tuple[int, ...] = shape
    else:
        leading, last = shape[:-1], shape[-1:]
    rows, width = prod(leading), prod(last)
    columns, steps = [], []
    for array in arrays:
        padded = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
        above, within = padded.shape[: len(leading)], padded.shape[len(leading) :]
        spread_above, spread_within = prod(above) != 1, prod(within) != 1
        if (spread_above and above != leading) or (spread_within and within != last):
            padded, spread_above, spread_within = np.broadcast_to(padded, shape), rows != 1, width != 1
        columns.append(np.ascontiguousarray(padded).reshape(-1))
        steps.append(((width if spread_within else 1) if spread_above else 0, 1 if spread_within else 0))
    return Lanes(tuple(columns), np.array(steps, dtype=np.int64), rows, width, shape)
