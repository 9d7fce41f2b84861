"""Which strikes the simulated market lists for an expiry, and which it still quotes because somebody may hold them."""

from __future__ import annotations

import numpy as np

from core.market.providers._sim_index import Ints
from core.market.providers._sim_listed import Grid, Listed, stock_grid
from core.market.providers._sim_noise import Floats

LOW_STRIKE, HIGH_STRIKE = 0.2, 3.0  # of the close before: off the listed window a held contract is quoted as far as this
_VIX_STEPS = ((10.0, 20.0, 0.5), (20.0, 30.0, 1.0), (30.0, 50.0, 2.5), (50.0, 100.0, 5.0), (100.0, 150.0, 10.0))
_VIX_LONG_STEPS = ((10.0, 30.0, 1.0), (30.0, 50.0, 2.5), (50.0, 100.0, 5.0), (100.0, 150.0, 10.0))
_VIX_NEAR_DAYS = 40


def ladder(listed: Listed, reference: float, deviation: float, days: int) -> Ints:
    """Listed strikes in thousandths: fine steps near the money, coarse ones farther out; on VIX the exchange's table."""
    if listed.symbol == "VIX":
        steps = _VIX_STEPS if days <= _VIX_NEAR_DAYS else _VIX_LONG_STEPS
        return np.unique(np.concatenate([_steps(step, low, high) for low, high, step in steps]))
    if listed.grid is None:
        return np.zeros(0, dtype=np.int64)
    grid = stock_grid(reference) if listed.stock else listed.grid
    near = days <= grid.near_days
    fine, coarse = (grid.fine, grid.coarse) if near else (grid.coarse, 2 * grid.coarse)
    lowest, highest = -min(max(0.18, 6.0 * deviation), 1.4), min(max(0.12, 3.5 * deviation), 1.0)
    wide = _steps(coarse, reference * np.exp(lowest), reference * np.exp(highest))
    close = _steps(fine, reference * np.exp(-max(0.025, 1.8 * deviation)), reference * np.exp(max(0.02, 1.2 * deviation)))
    return np.union1d(wide, close)


def quoted(strike: float, listed: Listed, reference: float, ratios: tuple[float, ...]) -> bool:
    """Whether a strike is one of the grid, or was before one of the splits that made so many shares of one."""
    if listed.grid is None:
        return False
    if listed.symbol == "VIX":
        return strike % listed.grid.finest == 0 and 5.0 <= strike <= 200.0
    on_grid = any(_on_grid(strike, ratio, listed.grid) for ratio in (1.0, *ratios))
    return on_grid and LOW_STRIKE * reference <= strike <= HIGH_STRIKE * reference


def roundness(listed: Listed, strike_milli: Ints) -> Floats:
    """How many more contracts a round strike carries."""
    if listed.grid is None:
        return np.ones(len(strike_milli))
    step = round(listed.grid.fine * 1000)
    round_to = [strike_milli % (step * count) == 0 for count in (20, 10, 5)]
    weights = np.select(round_to, [3.0, 2.0, 1.4], 1.0)
    return np.asarray(weights, dtype=np.float64)


def _on_grid(strike: float, ratio: float, grid: Grid) -> bool:
    """An adjusted strike is rounded to a cent."""
    before = round(strike * ratio / grid.finest) * grid.finest
    return abs(before / ratio - strike) < (0.0051 if ratio != 1.0 else 1e-9)


def _steps(step: float, low: float, high: float) -> Ints:
    milli = round(step * 1000)
    return np.arange(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1, dtype=np.int64) * milli
