"""The normal distribution's tails and what keeps their digits, on whole arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

INV_SQRT_2PI = float(1.0 / np.sqrt(2.0 * np.pi))
_SQRT_HALF = np.sqrt(0.5)


@cache
def erfcx() -> Callable[[Floats], Floats]:
    """Return the scaled complementary error function; scipy is loaded on first use, since it costs a tenth of a second."""
    from scipy import special

    return cast("Callable[[Floats], Floats]", special.erfcx)


def log_ratio(a: Floats, b: Floats) -> Floats:
    """Return ln(a / b), near one from the exact difference of the two."""
    excess = (a - b) / b
    return np.where(np.abs(excess) < 0.25, np.log1p(excess), np.log(a / b))


def tail(a: Floats) -> Floats:
    """Return N(-a) / exp(-a*a/2) for a >= 0: the tail of the normal distribution without the factor that makes it small."""
    return np.asarray(0.5 * erfcx()(a * _SQRT_HALF))


def below(x: Floats) -> Floats:
    """Return N(x), with all digits in its far tail."""
    with np.errstate(all="ignore"):
        small = np.where(np.isinf(x), 0.0, tail(np.abs(x)) * np.exp(-0.5 * x * x))
    return np.where(x > 0.0, 1.0 - small, np.where(np.isnan(x), np.nan, small))


def narrow_gap(h: Floats, half: Floats) -> Floats:
    """Return Y(m-h) - Y(-h-m) for small m, from the odd derivatives of Y at -h (Y' = z Y + 1/sqrt(2 pi), and so on upwards)."""
    z, y0 = -h, tail(h)
    y1 = z * y0 + INV_SQRT_2PI
    y2 = z * y1 + y0
    y3 = z * y2 + 2.0 * y1
    y4 = z * y3 + 3.0 * y2
    y5 = z * y4 + 4.0 * y3
    y7 = z * (z * y5 + 5.0 * y4) + 6.0 * y5
    square = half * half
    return np.asarray(2.0 * half * (y1 + square / 6.0 * (y3 + square / 20.0 * (y5 + square / 42.0 * y7))))
