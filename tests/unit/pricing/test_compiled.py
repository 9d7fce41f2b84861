"""The compiled kernels against the numpy code behind the same calls: the same numbers, for every kind of lane and every shape."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.pricing import bsm, compiled, implied

ROOT = Path(__file__).parents[3]
ODD = [0.0, -1.0, np.nan, np.inf, -np.inf, 1e-320, 1e-200, 1e300, 1e-9]


def market(size: int, seed: int = 3) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    t_years = np.exp(draw.uniform(np.log(1e-5), np.log(3.0), size))
    return {
        "right": np.where(draw.random(size) < 0.5, 1, -1),
        "spot": np.exp(draw.uniform(np.log(1.0), np.log(5000.0), size)),
        "strike": np.ones(size),
        "t_years": t_years,
        "rate": draw.uniform(-0.02, 0.12, size),
        "dividend": draw.uniform(0.0, 0.08, size),
        "vol": np.exp(draw.uniform(np.log(0.03), np.log(2.0), size)),
    }


def spread(size: int, seed: int = 3) -> dict[str, np.ndarray]:
    """Strikes up to six deviations away, where prices still mean something."""
    chain, draw = market(size, seed), np.random.default_rng(seed + 1)
    deviations = draw.uniform(-6.0, 6.0, size) * chain["vol"] * np.sqrt(chain["t_years"])
    return {**chain, "strike": chain["spot"] * np.exp(deviations)}


def with_odd_lanes(chain: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every odd number in every argument, one lane each; the other lanes as they were."""
    chain = {name: column.astype(np.float64) for name, column in chain.items()}
    lane = 0
    for name in chain:
        if name != "right":
            for odd in ODD:
                chain[name][lane] = odd
                lane += 1
    return chain


def both(kernels: Mapping[str, Any], work: Any) -> tuple[Any, Any]:
    by_numpy = work()
    compiled._LOADED.kernels = kernels
    try:
        return by_numpy, work()
    finally:
        compiled._LOADED.kernels = {}


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000, compiled.PARALLEL_FROM])
def test_greeks_when_compiled_then_the_numpy_numbers(kernels: Mapping[str, Any], size: int) -> None:
    chain = spread(size)

    by_numpy, by_kernel = both(kernels, lambda: bsm.greeks(**chain))

    for name in bsm.FIELDS:
        scale = np.abs(chain["spot"]) if name == "value" else 1.0
        np.testing.assert_allclose(
            getattr(by_kernel, name) / scale, getattr(by_numpy, name) / scale, rtol=2e-11, atol=3e-15, err_msg=name
        )


def test_greeks_when_lanes_are_odd_then_numpy_does_them(kernels: Mapping[str, Any]) -> None:
    chain = with_odd_lanes(spread(400))

    by_numpy, by_kernel = both(kernels, lambda: bsm.greeks(**chain))

    for name in bsm.FIELDS:
        np.testing.assert_allclose(getattr(by_kernel, name), getattr(by_numpy, name), rtol=2e-11, atol=1e-12, err_msg=name)
        assert np.isnan(getattr(by_kernel, name)).sum() > 20


def test_greeks_forward_when_compiled_then_the_numpy_numbers(kernels: Mapping[str, Any]) -> None:
    chain = spread(1000)
    given = {"right": chain["right"], "forward": chain["spot"], "strike": chain["strike"], "t_years": chain["t_years"],
             "discount": np.exp(-chain["rate"] * chain["t_years"]), "vol": chain["vol"]}
    given = with_odd_lanes(given)

    by_numpy, by_kernel = both(kernels, lambda: bsm.greeks_forward(**given))

    for name in bsm.FIELDS:
        np.testing.assert_allclose(getattr(by_kernel, name), getattr(by_numpy, name), rtol=2e-11, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("size", [1, 300, compiled.PARALLEL_FROM])
def test_implied_vol_when_compiled_then_the_numpy_numbers(kernels: Mapping[str, Any], size: int) -> None:
    chain = spread(size)
    right = np.where(chain["strike"] > chain["spot"], 1, -1)
    terms = {"right": right, "forward": chain["spot"], "strike": chain["strike"], "t_years": chain["t_years"], "discount": 0.98}
    price = bsm.value_forward(vol=chain["vol"], **terms)

    by_numpy, by_kernel = both(kernels, lambda: implied.implied_vol(price=price, **terms))

    np.testing.assert_allclose(by_kernel, by_numpy, rtol=1e-12)
    np.testing.assert_allclose(by_kernel, chain["vol"], rtol=1e-11)


def test_implied_vol_when_lanes_are_odd_then_the_same_ones_have_none(kernels: Mapping[str, Any]) -> None:
    chain = spread(400)
    discount = np.exp(-chain["rate"] * chain["t_years"])
    terms = {"right": chain["right"], "forward": chain["spot"], "strike": chain["strike"], "t_years": chain["t_years"]}
    terms["discount"] = discount
    terms = with_odd_lanes({**terms, "price": bsm.value_forward(vol=chain["vol"], **terms)})

    by_numpy, by_kernel = both(kernels, lambda: implied.implied_vol(**terms))

    np.testing.assert_allclose(by_kernel, by_numpy, rtol=1e-9)  # in-the-money prices know no more of their volatility
    assert np.isnan(by_kernel).sum() > 20


@pytest.mark.parametrize(
    "shapes",
    [((), (), ()), ((1,), (), (1,)), ((5,), (1,), ()), ((3, 1), (4,), ()), ((3, 4), (1, 4), (3, 1)), ((2, 3, 4), (3, 1), (4,)),
     ((2, 1, 4), (3, 1), (1,)), ((4, 1), (4, 1), (1, 1)), ((0,), (), ()), ((3, 0), (1,), (3, 1))],
    ids=str,
)
def test_value_when_shapes_broadcast_then_the_numpy_shape_and_numbers(
    kernels: Mapping[str, Any], shapes: tuple[tuple[int, ...], ...]
) -> None:
    draw = np.random.default_rng(5)
    right, strike, vol = (np.sign(draw.random(shapes[0]) - 0.5), draw.uniform(80, 120, shapes[1]), draw.uniform(0.1, 0.5, shapes[2]))

    by_numpy, by_kernel = both(
        kernels, lambda: bsm.value(right=right, spot=100.0, strike=strike, t_years=0.5, rate=0.02, dividend=0.01, vol=vol)
    )

    assert by_kernel.shape == by_numpy.shape
    np.testing.assert_allclose(by_kernel, by_numpy, rtol=1e-13)


def test_value_when_columns_are_strided_or_read_only_then_the_numpy_numbers(kernels: Mapping[str, Any]) -> None:
    strikes = np.linspace(80.0, 120.0, 40)
    strikes.flags.writeable = False
    vols = np.linspace(0.1, 0.5, 80)[::2]

    by_numpy, by_kernel = both(
        kernels, lambda: bsm.value_forward(right="put", forward=100.0, strike=strikes, t_years=0.5, discount=0.99, vol=vols)
    )

    np.testing.assert_allclose(by_kernel, by_numpy, rtol=1e-13)


@pytest.mark.parametrize("right", ["c", 0, 2, np.array([1, 0]), np.array([1.0, np.nan])], ids=str)
def test_value_when_the_right_is_neither_then_value_error(by_kernel: object, right: object) -> None:
    with pytest.raises(ValueError, match="right is"):
        bsm.value(right=right, spot=100.0, strike=95.0, t_years=0.5, rate=0.0, dividend=0.0, vol=0.2)
    with pytest.raises(ValueError, match="right is"):
        implied.implied_vol(right=right, price=5.0, forward=100.0, strike=95.0, t_years=0.5, discount=1.0)


def test_value_when_shapes_do_not_fit_then_value_error(by_kernel: object) -> None:
    with pytest.raises(ValueError, match="broadcast"):
        bsm.value(right=1, spot=np.ones(3), strike=np.ones(2), t_years=0.5, rate=0.0, dividend=0.0, vol=0.2)


def test_kernel_when_there_are_few_options_then_the_calling_thread_s_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled._LOADED, "kernels", {"european": "one core", "european_wide": "all cores", "implied": "one core"})

    assert compiled.PARALLEL_FROM == 30_000
    assert compiled._kernel("european", 29_999) == "one core"
    assert compiled._kernel("european", 30_000) == "all cores"
    assert compiled._kernel("implied", 10**6) == "one core"


def test_import_when_nothing_asked_for_speed_then_numba_is_not_loaded() -> None:
    code = (
        "import sys, core.pricing.bsm as b, core.pricing.implied;"
        "b.value(right=1, spot=1.0, strike=1.0, t_years=1.0, rate=0.0, dividend=0.0, vol=0.2); sys.exit('numba' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_warm_when_numba_is_missing_then_false_and_the_numpy_numbers() -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from core.pricing import bsm, compiled\n"
        "assert compiled.warm() is False and not compiled.ready()\n"
        "assert abs(bsm.value(right=1, spot=100.0, strike=100.0, t_years=1.0, rate=0.0, dividend=0.0, vol=0.2) - 7.965567455405804) < 1e-12"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
