"""The arithmetic under the compiled kernels: exponential, logarithm and normal tail without branches, so that a compiler runs four at once.

Imports numba; only `core.pricing.compiled` loads it, and never before it is asked to. Every function here takes and returns one float64
and is exact to about two units in the last place over the range its kernel lets through.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

# A fused multiply-add may take the place of a product and a sum; nothing else of the order of evaluation may change.
FAST = {"contract", "nsz"}


def inlined(function: Any) -> Any:
    """Compile a function that kernels call."""
    return numba.njit(error_model="numpy", fastmath=FAST, nogil=True)(function)


def kernel(signature: Any, *, parallel: bool = False) -> Any:
    """Compile a kernel at once for one signature; kept on disk where a cache directory was set before this module's users were imported."""
    cached = bool(numba.config.CACHE_DIR)
    return numba.njit(signature, error_model="numpy", fastmath=FAST, nogil=True, cache=cached, parallel=parallel)


PAGE = 512  # float64 in a page of memory


@inlined
def workspace(size: int) -> Any:
    """Memory for a kernel's columns, each page of it written to once.

    Loops with a condition become masked vector code, and a masked access that does nothing costs microseconds where its page was never
    written to: the processor must find out that the fault is none. A column that a call does not fill would stay like that.
    """
    made = np.empty(size)
    for i in range(0, size, PAGE):
        made[i] = 0.0
    made[size - 1] = 0.0
    return made


@intrinsic
def _bits(_: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@intrinsic
def _number(_: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate


LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LOG2_E = 1.4426950408889634
ROUNDER = 6755399441055744.0  # 1.5 * 2**52: adding and taking it away rounds to a whole number
EXP_FLOOR, EXP_CEILING = -708.0, 709.0
ROOT_HALF_BITS = 4604544271217802189  # of sqrt(1/2)
TAIL_KNEE = 5.0


@inlined
def exp(y: float) -> float:
    """e**y for y up to 709; 0 below -708."""
    held = min(max(y, EXP_FLOOR), EXP_CEILING)
    shifted = held * LOG2_E + ROUNDER
    whole = shifted - ROUNDER
    r = (held - whole * LN2_HIGH) - whole * LN2_LOW
    s = r * r
    p, q = 1.0 / 6227020800.0, 1.0 / 479001600.0
    p, q = p * s + 1.0 / 39916800.0, q * s + 1.0 / 3628800.0
    p, q = p * s + 1.0 / 362880.0, q * s + 1.0 / 40320.0
    p, q = p * s + 1.0 / 5040.0, q * s + 1.0 / 720.0
    p, q = p * s + 1.0 / 120.0, q * s + 1.0 / 24.0
    p, q = p * s + 1.0 / 6.0, q * s + 0.5
    p, q = p * s + 1.0, q * s + 1.0
    p = p * r + q
    power = _number((_bits(shifted) + 1023) << 52)
    return 0.0 if y < EXP_FLOOR else p * power


@inlined
def log_ratio(a: float, b: float) -> float:
    """ln(a / b) of two normal positive numbers; near one from their exact difference."""
    bits = _bits(a / b)
    power = (bits - ROOT_HALF_BITS) >> 52
    mantissa = _number(bits - (power << 52))
    near = power == 0
    f = ((a - b) if near else (mantissa - 1.0)) / ((a + b) if near else (mantissa + 1.0))
    g = f * f
    p = 1.0 / 21.0
    p = p * g + 1.0 / 19.0
    p = p * g + 1.0 / 17.0
    p = p * g + 1.0 / 15.0
    p = p * g + 1.0 / 13.0
    p = p * g + 1.0 / 11.0
    p = p * g + 1.0 / 9.0
    p = p * g + 1.0 / 7.0
    p = p * g + 1.0 / 5.0
    p = p * g + 1.0 / 3.0
    whole = float(power)
    return whole * LN2_HIGH + (2.0 * f + (2.0 * f * g * p + whole * LN2_LOW))


@inlined
def tail(a: float) -> float:
    """N(-a) / exp(-a*a/2) for a >= 0: erfcx(a / sqrt 2) / 2.

    (a + 5) times it is a polynomial in (a - 5) / (a + 5), the Chebyshev series of 40 digits cut at 4e-17; the map is that of M. Shepherd
    and J. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x", Mathematics of Computation 36 (1981).
    """
    w = 1.0 / (a + TAIL_KNEE)
    t = (a - TAIL_KNEE) * w
    s = t * t
    p, q = -1.331210743010702e-10, -7.854458583247658e-10
    p, q = p * s + 1.2713759260278231e-09, q * s + 9.275082241537343e-09
    p, q = p * s - 6.940847374044867e-09, q * s - 6.741689051823604e-08
    p, q = p * s + 3.8571448567257587e-08, q * s + 4.3347664285137567e-07
    p, q = p * s - 3.335427141231054e-07, q * s - 2.7688787836720915e-06
    p, q = p * s + 3.979361513829216e-06, q * s + 1.6680852719925394e-05
    p, q = p * s - 4.9762327924579515e-05, q * s - 5.937558833377767e-05
    p, q = p * s + 0.0005448989683735629, q * s - 0.0007978694277475297
    p, q = p * s - 0.002993376758978478, q * s + 0.02079506680323404
    p, q = p * s - 0.06911863870707162, q * s + 0.16502036617019517
    p, q = p * s - 0.3135331566712814, q * s + 0.4953056159699805
    p, q = p * s - 0.665382502890057, q * s + 0.769193049750063
    return (p * t + q) * w
