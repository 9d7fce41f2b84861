"""Compiled kernels for pricing, where numba is installed: loaded on demand, off the path of any answer.

`warm` compiles them, or loads them from a cache on disk, and from then on the pricing functions use them; until then, without numba, and
where compiling fails, the numpy code behind the same calls gives the same numbers. Compiling takes about half a minute the first time,
loading from the cache about a second, so a process that answers people calls `warm` in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.pricing._lanes import Lanes, lanes

Floats = NDArray[np.float64]

# From this many options on the work is shared by all cores; below it the threads cost more than they save.
PARALLEL_FROM = 30_000
GRID_WORK = 3_000  # European values that take as long as one on the grid


@dataclass(slots=True)
class _Loaded:
    """What `warm` has loaded, by name: nothing but faster ways to the same numbers. Those named `_wide` use all cores."""

    kernels: Mapping[str, Any] = field(default_factory=dict)


_LOADED = _Loaded()


def warm(cache_dir: str | None = None) -> bool:
    """Load the kernels; True where they are ready, False without numba. Raises whatever numba raises where it cannot compile.

    cache_dir: a directory of its own that can be written to, where compiled code is kept for the next process; None keeps nothing.
    The directory must belong to this very version of the code: see `SOURCES`.
    """
    if _LOADED.kernels:
        return True
    try:
        import numba
    except ImportError:
        return False
    numba.config.CACHE_DIR = cache_dir or ""
    from core.pricing import _kernels, _kernels_american, _kernels_grid, _kernels_implied

    own = (_kernels.european, _kernels_implied.implied, _kernels_american.american, _kernels_grid.grid)
    wide = (_kernels.european_wide, _kernels_grid.grid_wide)
    run = {each.__name__: each for each in (*own, *(wide if _shares(numba, _kernels) else ()))}
    _LOADED.kernels = run
    return True


def ready() -> bool:
    """Whether the compiled kernels are in use."""
    return bool(_LOADED.kernels)


# The files whose text the compiled code follows from.
SOURCES = (
    "_lanes.py", "_machine.py", "_kernels.py", "_kernels_implied.py", "_kernels_american.py", "_kernels_grid.py", "bsm.py",
    "dividend_grid.py", "exercise.py", "implied.py",
)


@dataclass(slots=True)
class Found:
    """Results of a kernel, one row a quantity, and the lanes it left to numpy."""

    lanes: Lanes
    rows: Floats
    marks: NDArray[np.uint8]
    left: int = field(default=0)

    def finished(self, by_numpy: Callable[[tuple[Floats, ...]], tuple[Floats, ...]]) -> tuple[Floats, ...]:
        """Have numpy do the lanes left and return the results in their shape."""
        if self.left:
            places = np.flatnonzero(self.marks)
            for row, done in zip(self.rows, by_numpy(self.lanes.at(places)), strict=True):
                row[places] = done
        shape = self.lanes.shape
        if len(shape) == 1:
            return tuple(self.rows)
        return tuple(row.reshape(shape) for row in self.rows)


def european(kind: Literal["value", "greeks"], right: ArrayLike, given: Sequence[ArrayLike], *, on_spot: bool) -> Found | None:
    """Value European options with the compiled kernels; None where they are not ready."""
    if not _LOADED.kernels:
        return None
    laid = lanes((_signs(right), *given))
    size = laid.rows * laid.width
    if size == 0:
        return None
    out, marks = np.empty((1 if kind == "value" else 8, size)), np.empty(size, dtype=np.uint8)
    run = _kernel("european", size)
    return Found(laid, out, marks, run(laid.columns, laid.steps, laid.width, on_spot, out, marks))


def implied(right: ArrayLike, given: Sequence[ArrayLike]) -> Found | None:
    """Find implied volatilities with the compiled kernels; None where they are not ready."""
    if not _LOADED.kernels:
        return None
    laid = lanes((_signs(right), *given))
    size = laid.rows * laid.width
    if size == 0:
        return None
    out, marks = np.empty((1, size)), np.empty(size, dtype=np.uint8)
    return Found(laid, out, marks, _LOADED.kernels["implied"](laid.columns, laid.steps, laid.width, out, marks))


def american(puts: Sequence[Floats], *, slopes: bool, shared: int) -> Floats | None:
    """Value American puts with the compiled kernels, as `core.pricing.exercise.points` does; None where they are not ready."""
    if "american" not in _LOADED.kernels or not len(puts[0]):
        return None
    out = np.empty((8 if slopes else 1, len(puts[0])))
    _LOADED.kernels["american"](tuple(puts), shared, out)
    return out


def grid(columns: Sequence[Floats], due: Sequence[Any], *, escrowed: bool, american: bool) -> Floats | None:
    """Solve options over cash dividends with the compiled grid, rows as in `core.pricing.dividends`; None where it is not ready."""
    if "grid" not in _LOADED.kernels:
        return None
    out = np.empty((4, len(columns[0])))
    dates, amounts = np.array([each.t_years for each in due]), np.array([each.amount for each in due])
    _kernel("grid", len(columns[0]) * GRID_WORK)(tuple(columns), dates, amounts, escrowed, american, out)
    return out


def _kernel(name: str, size: int) -> Any:
    """The kernel for a number of options."""
    found = _LOADED.kernels
    return found.get(f"{name}_wide", found[name]) if size >= PARALLEL_FROM else found[name]


def _signs(right: ArrayLike) -> ArrayLike:
    """Numbers as they are (a lane of neither +1 nor -1 is left to numpy, which refuses it), words turned to numbers."""
    if type(right) is np.ndarray and right.dtype.kind in "if":
        return right
    from core.pricing.bsm import right_signs

    return right_signs(right)


def _shares(numba: Any, kernels: Any) -> bool:
    """Whether this machine has more than one core and threads that may be called from any thread."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        return False
    numba.config.THREADING_LAYER = "threadsafe"
    one = np.ones(1)
    try:
        kernels.european_wide((one,) * 7, np.zeros((7, 2), dtype=np.int64), 1, True, np.empty((1, 1)), np.empty(1, dtype=np.uint8))
    except ValueError:  # no thread-safe layer (OpenMP) is installed
        return False
    return True
