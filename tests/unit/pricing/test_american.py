"""American options: published values, QuantLib's precise engine, central differences, limits, and what must hold whatever the inputs."""

from __future__ import annotations

import csv
import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.pricing import american, bsm, compiled

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "refdata" / "american_published.csv"
PUBLISHED = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))
SIZE = 150


def quantlib() -> Any:
    spec = importlib.util.spec_from_file_location("quantlib_oracle", HERE / "quantlib.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drawn(seed: int = 0, size: int = SIZE) -> dict[str, np.ndarray]:
    """Options as a desk meets them, a day to three years, of a strike of 100."""
    draw = np.random.default_rng(seed)
    return {
        "right": np.where(draw.random(size) < 0.5, 1, -1),
        "spot": 100.0 * np.exp(draw.uniform(-0.3, 0.3, size)),
        "strike": np.full(size, 100.0),
        "t_years": np.round(np.exp(draw.uniform(0.0, np.log(1095.0), size))) / 365.0,
        "rate": draw.uniform(0.002, 0.1, size),
        "dividend": np.where(draw.random(size) < 0.3, 0.0, draw.uniform(0.0, 0.1, size)),
        "vol": np.exp(draw.uniform(np.log(0.1), np.log(0.9), size)),
    }


def steep(seed: int = 5, size: int = SIZE) -> dict[str, np.ndarray]:
    """Options whose drift to expiry is 0.7 to 5 deviations, so that rates count for more than volatility, about the price of exercise."""
    draw = np.random.default_rng(seed)
    right = np.where(draw.random(size) < 0.5, 1, -1)
    t_years = np.round(np.exp(draw.uniform(np.log(90.0), np.log(1095.0), size))) / 365.0
    low, apart = draw.uniform(0.002, 0.05, size), draw.uniform(0.02, 0.12, size)
    rate, dividend = np.where(right > 0, (low, low + apart), (low + apart, low))
    vol = np.abs(rate - dividend) * np.sqrt(t_years) / np.exp(draw.uniform(np.log(0.7), np.log(5.0), size))
    due = 100.0 * np.where(right > 0, np.maximum(1.0, rate / dividend), np.minimum(1.0, rate / dividend))
    spot = due * np.exp(draw.uniform(-1.5, 1.5, size) * vol * vol / np.abs(rate - dividend))
    return {
        "right": right, "spot": spot, "strike": np.full(size, 100.0), "t_years": t_years, "rate": rate, "dividend": dividend, "vol": vol,
    }


def clear_of_exercise(chain: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those that stand 1 % or more off the price at which exercise is due, where the second derivative jumps."""
    bound = american.exercise_boundary(**{name: each for name, each in chain.items() if name != "spot"})
    clear = ~(np.abs(chain["spot"] / bound - 1.0) < 0.01)
    return {name: each[clear] for name, each in chain.items()}


@pytest.fixture(scope="module")
def precise() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Options and their values by QuantLib's high-precision scheme."""
    chain, oracle = drawn(), quantlib()
    values = [
        oracle.american(right=int(k), spot=s, strike=x, days=round(t * 365), rate=r, dividend=q, vol=v)
        for k, s, x, t, r, q, v in zip(*(column.tolist() for column in chain.values()), strict=True)
    ]
    return chain, np.array(values)


@pytest.fixture(scope="module")
def precise_steep() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Steep options and their values by QuantLib's high-precision scheme."""
    chain, oracle = steep(), quantlib()
    values = [
        oracle.american(right=int(k), spot=s, strike=x, days=round(t * 365), rate=r, dividend=q, vol=v)
        for k, s, x, t, r, q, v in zip(*(column.tolist() for column in chain.values()), strict=True)
    ]
    return chain, np.array(values)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['strike']}-{row['t_years']}-{row['vol']}")
def test_value_when_a_paper_publishes_it_then_it_is_met(row: dict[str, str]) -> None:
    terms = {name: float(row[name]) for name in ("spot", "strike", "t_years", "rate", "dividend", "vol")}

    result = float(american.value(right=row["right"], **terms))

    less = float(bsm.value(right=row["right"], **terms)) if row["quantity"] == "premium" else 0.0
    assert result - less == pytest.approx(float(row["published"]), abs=float(row["tolerance"]))


def test_value_when_the_orders_are_high_then_eleven_digits_of_the_published_premium() -> None:
    terms = {"right": "put", "spot": 100.0, "strike": 100.0, "t_years": 1.0, "rate": 0.05, "dividend": 0.05, "vol": 0.25}

    premium = american.value(**terms, orders=american.EXACT_ORDERS) - bsm.value(**terms)

    assert float(premium) == pytest.approx(0.106952702747, abs=5e-12)


def test_value_when_compared_with_quantlib_then_a_fiftieth_of_a_cent(
    precise: tuple[dict[str, np.ndarray], np.ndarray], each_path: str
) -> None:
    chain, values = precise

    result = american.value(**chain)

    np.testing.assert_allclose(result, values, rtol=0.0, atol=2e-4)


def test_value_when_rates_count_for_more_than_volatility_then_quantlibs(
    precise_steep: tuple[dict[str, np.ndarray], np.ndarray], each_path: str
) -> None:
    chain, values = precise_steep

    result = american.value(**chain)

    np.testing.assert_allclose(result, values, rtol=0.0, atol=5e-4)


def test_greeks_when_rates_count_for_more_than_volatility_then_those_of_the_exact_orders(each_path: str) -> None:
    chain = clear_of_exercise(steep())

    greeks, exact = american.greeks(**chain), american.greeks(**chain, orders=american.EXACT_ORDERS)

    for name, tolerance in (("value", 5e-4), ("delta", 5e-3), ("vega_per_point", 5e-3), ("rho_per_point", 5e-3)):
        np.testing.assert_allclose(getattr(greeks, name), getattr(exact, name), atol=tolerance, err_msg=name)


def test_greeks_when_compiled_then_the_numpy_numbers(kernels: Mapping[str, Any]) -> None:
    chain = drawn(4)
    by_numpy = american.greeks(**chain)
    compiled._LOADED.kernels = kernels

    by_kernel = american.greeks(**chain)

    compiled._LOADED.kernels = {}
    for name in bsm.FIELDS:
        np.testing.assert_allclose(getattr(by_kernel, name), getattr(by_numpy, name), rtol=1e-9, atol=2e-10, err_msg=name)


@pytest.mark.parametrize(
    ("name", "bumped", "bump", "factor", "tolerance"),
    [("delta", "spot", 2e-3, 1.0, 3e-4), ("vega_per_point", "vol", 1e-3, 0.01, 1e-4), ("theta_per_day", "t_years", 1e-3, -1 / 365, 4e-4)],
)
def test_greeks_when_the_exact_value_is_bumped_then_the_central_difference_agrees(
    name: str, bumped: str, bump: float, factor: float, tolerance: float
) -> None:
    chain = drawn(1)
    chain["t_years"] = np.maximum(chain["t_years"], 10 / 365)  # nearer to expiry the difference itself is what errs
    chain = clear_of_exercise(chain)
    size = bump * chain[bumped]

    up, down = (american.value(**{**chain, bumped: chain[bumped] + each}, orders=american.EXACT_ORDERS) for each in (size, -size))

    np.testing.assert_allclose(getattr(american.greeks(**chain), name), (up - down) / (2 * size) * factor, atol=tolerance)


def test_greeks_when_delta_and_value_are_bumped_then_gamma_rho_vanna_and_charm_agree() -> None:
    chain = drawn(2)
    chain["t_years"] = np.maximum(chain["t_years"], 30 / 365)
    chain = clear_of_exercise(chain)

    greeks = american.greeks(**chain)

    def around(name: str, size: float | np.ndarray) -> tuple[bsm.Greeks, bsm.Greeks]:
        return tuple(american.greeks(**{**chain, name: chain[name] + each}, orders=(16, 24, 10, 40)) for each in (size, -size))

    up, down = around("spot", 0.05)
    np.testing.assert_allclose(greeks.gamma, (up.delta - down.delta) / 0.1, atol=4e-4)
    up, down = around("rate", 1e-4)
    np.testing.assert_allclose(greeks.rho_per_point, (up.value - down.value) / 2e-4 / 100, atol=3e-4)
    up, down = around("vol", 1e-3)
    np.testing.assert_allclose(greeks.vanna_per_point, (up.delta - down.delta) / 2e-3 / 100, atol=2e-4)
    up, down = around("t_years", 1e-3 * chain["t_years"])
    np.testing.assert_allclose(greeks.charm_per_day, (down.delta - up.delta) / (2e-3 * chain["t_years"]) / 365, atol=1e-4)


def test_gamma_when_spot_stands_next_to_the_boundary_then_its_size_is_still_right() -> None:
    terms = {"right": -1, "strike": 100.0, "t_years": 0.5, "rate": 0.05, "dividend": 0.02, "vol": 0.25}
    bound = american.exercise_boundary(**terms)

    gamma = american.greeks(**terms, spot=bound * np.array([1.001, 1.003, 1.01, 1.03])).gamma

    np.testing.assert_allclose(gamma, [0.01887, 0.01916, 0.01945, 0.02034], rtol=0.2)  # by EXACT_ORDERS


def test_value_when_spot_and_strike_and_rates_are_exchanged_then_call_and_put_are_one() -> None:
    chain = drawn(5)
    mirrored = {**chain, "right": -chain["right"], "spot": chain["strike"], "strike": chain["spot"], "rate": chain["dividend"],
                "dividend": chain["rate"]}

    np.testing.assert_allclose(american.value(**chain), american.value(**mirrored), rtol=1e-14)


def test_value_when_nothing_is_paid_then_the_call_is_european() -> None:
    chain = {**drawn(6), "right": 1, "dividend": 0.0}

    np.testing.assert_allclose(american.value(**chain), bsm.value(**chain), rtol=1e-12, atol=1e-14)
    assert np.isnan(american.exercise_boundary(**{name: each for name, each in chain.items() if name != "spot"})).all()


def test_exercise_boundary_when_spot_stands_on_it_then_value_is_intrinsic_and_a_step_inside_it_is_more() -> None:
    chain = {**drawn(7), "dividend": 0.05}
    terms = {name: each for name, each in chain.items() if name != "spot"}

    bound = american.exercise_boundary(**terms)

    assert np.isfinite(bound).all()
    intrinsic = chain["right"] * (bound - 100.0)
    np.testing.assert_allclose(american.value(**terms, spot=bound), intrinsic, atol=2e-4)
    inside = bound * (1.0 - 0.05 * chain["right"])
    assert (american.value(**terms, spot=inside) > chain["right"] * (inside - 100.0)).all()


def test_greeks_when_exercise_is_due_then_only_the_spot_moves_it() -> None:
    greeks = american.greeks(right=[-1, 1], spot=[50.0, 200.0], strike=100.0, t_years=0.5, rate=0.05, dividend=0.06, vol=0.2)

    assert greeks.value.tolist() == [50.0, 100.0]
    assert greeks.delta.tolist() == [-1.0, 1.0]
    for name in ("gamma", "theta_per_day", "vega_per_point", "rho_per_point", "vanna_per_point", "charm_per_day"):
        assert getattr(greeks, name).tolist() == [0.0, 0.0], name


def test_value_when_no_time_or_volatility_is_left_then_the_best_moment_on_the_only_path() -> None:
    now = american.value(right=[1, -1], spot=90.0, strike=100.0, t_years=0.0, rate=0.05, dividend=0.0, vol=0.3)
    still = american.value(right=[-1, 1, 1], spot=[90.0, 110.0, 90.0], strike=100.0, t_years=1.0, rate=0.05, dividend=0.0, vol=0.0)

    assert now.tolist() == [0.0, 10.0]
    np.testing.assert_allclose(still, [10.0, 110.0 - 100.0 * math.exp(-0.05), 0.0], atol=1e-12)


def test_value_when_rates_are_negative_so_that_two_boundaries_stand_then_between_its_bounds(by_kernel: object) -> None:
    terms = {"right": -1, "spot": 100.0, "strike": 100.0, "t_years": 1.0, "rate": -0.01, "dividend": -0.04, "vol": 0.2}

    result = float(american.value(**terms))

    assert float(bsm.value(**terms)) + 0.01 < result < 100.0 * math.exp(0.01)
    assert float(american.greeks(**terms).delta) == pytest.approx(
        (float(american.value(**{**terms, "spot": 101.0})) - float(american.value(**{**terms, "spot": 99.0}))) / 2, abs=2e-3
    )


@pytest.mark.parametrize("name", ["spot", "strike", "t_years", "rate", "dividend", "vol"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_greeks_when_one_input_is_impossible_then_only_that_lane_is_nan(name: str, bad: float, each_path: str) -> None:
    terms = {"spot": 100.0, "strike": 95.0, "t_years": 0.5, "rate": 0.03, "dividend": 0.01, "vol": 0.2}

    greeks = american.greeks(right=-1, **{**terms, name: np.array([terms[name], bad])})

    for field in bsm.FIELDS:
        assert np.isnan(getattr(greeks, field)).tolist() == [False, True], field


def test_value_when_rates_dwarf_the_volatility_then_still_a_number() -> None:
    result = american.value(right=-1, spot=[99.0, 100.0, 101.0], strike=100.0, t_years=1.0, rate=0.05, dividend=0.0, vol=1e-4)

    assert np.isfinite(result).all()
    assert (result >= np.array([1.0, 0.0, 0.0])).all()


def test_implied_vol_when_the_price_came_from_one_then_it_returns(each_path: str) -> None:
    chain = drawn(8, 60)
    price = american.value(**chain)
    terms = {name: each for name, each in chain.items() if name != "vol"}
    vega = american.greeks(**chain).vega_per_point

    found = american.implied_vol(price=price, **terms)

    seen = vega > 1e-3
    assert seen.sum() > 30
    np.testing.assert_allclose(found[seen], chain["vol"][seen], atol=1e-7)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, 5.0, 4.99, 100.0, 150.0])
def test_implied_vol_when_no_volatility_explains_the_price_then_nan(price: float) -> None:
    result = american.implied_vol(right=-1, price=price, spot=95.0, strike=100.0, t_years=0.5, rate=0.03, dividend=0.0)

    assert math.isnan(float(result))


def test_implied_vol_when_the_price_is_more_than_any_volatility_gives_then_nan() -> None:
    terms = {"right": -1, "spot": 100.0, "strike": 106.0, "t_years": 2.9, "rate": 0.15, "dividend": 0.01}
    most = float(american.value(**terms, vol=20.0 / math.sqrt(2.9)))

    found = american.implied_vol(**terms, price=[most - 1.0, most + 0.3])

    assert np.isnan(found).tolist() == [False, True]


def test_greeks_when_only_a_bump_of_the_rate_makes_two_boundaries_then_no_exception(each_path: str) -> None:
    greeks = american.greeks(right=-1, spot=[100.0, 1e-5], strike=[1e-5, 100.0], t_years=0.25, rate=1e-6, dividend=-0.05, vol=0.01)

    assert greeks.value.tolist() == pytest.approx([0.0, 100.0 - 1e-5])
    assert np.isfinite([getattr(greeks, name) for name in bsm.FIELDS]).all()


@pytest.mark.parametrize(
    "changed", [{"spot": 0.0}, {"strike": 0.0}, {"rate": -0.01, "dividend": -0.04, "vol": 0.003}, {"vol": 1e-7}], ids=str
)
def test_greeks_when_an_argument_is_at_its_limit_then_all_are_known(changed: dict[str, float], each_path: str) -> None:
    greeks = american.greeks(**{"right": [1, -1], "spot": 100.0, "strike": 95.0, "t_years": 0.5, "rate": 0.03, "dividend": 0.01, "vol": 0.2,
                                **changed})

    assert np.isfinite([getattr(greeks, name) for name in bsm.FIELDS]).all()


def test_value_when_there_is_no_volatility_then_exercise_at_the_best_moment_on_the_way() -> None:
    terms = {"spot": 100.0, "strike": 480.0, "rate": 0.02, "dividend": 0.1}
    moments = np.linspace(0.0, 1.0, 10_001)

    worth = float(american.value(right=-1, t_years=1.0, vol=0.0, **terms))

    gains = 480.0 * np.exp(-0.02 * moments) - 100.0 * np.exp(-0.1 * moments)
    assert worth == pytest.approx(float(gains.max()), abs=1e-6)
    assert worth > max(float(gains[0]), float(gains[-1])) + 0.05


def test_greeks_when_a_bump_would_change_the_way_of_valuing_then_it_does_not() -> None:
    # At a volatility of 0.1 the drift of a year is as many deviations as make a boundary steep.
    greeks = american.greeks(right=-1, spot=96.0, strike=100.0, t_years=1.0, rate=0.08, dividend=0.005, vol=np.array([0.0995, 0.1, 0.1005]))

    for name in ("rho_per_point", "vega_per_point", "vanna_per_point"):
        below, at, above = getattr(greeks, name).tolist()
        assert at == pytest.approx((below + above) / 2.0, abs=4e-3), name


def test_implied_vol_when_rates_count_for_more_than_volatility_then_the_price_returns(each_path: str) -> None:
    chain = steep()
    vol = chain.pop("vol")
    price = american.value(**chain, vol=vol)

    found = american.implied_vol(**chain, price=price)

    waiting = american.greeks(**chain, vol=vol).vega_per_point > 1e-3
    np.testing.assert_allclose(american.value(**chain, vol=found)[waiting], price[waiting], atol=1e-7)
    np.testing.assert_allclose(found[waiting], vol[waiting], rtol=1e-4)
