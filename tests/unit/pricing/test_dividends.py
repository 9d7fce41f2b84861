"""Cash dividends: QuantLib's finite differences on a fine grid, closed forms, Greeks against differences, and assignment."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.pricing import american, bsm, compiled, dividends
from core.pricing.dividends import CashDividend

HERE = Path(__file__).parent
FINE = 1200
ERROR = 3e-3  # that the grid may have at a spot of 100
CASES = [
    (1, 100.0, 180, 0.05, 0.25, ((60, 1.5),)),
    (1, 80.0, 180, 0.05, 0.25, ((60, 1.5), (150, 1.5))),
    (-1, 100.0, 180, 0.05, 0.25, ((60, 1.5), (150, 1.5))),
    (-1, 120.0, 365, 0.03, 0.40, ((30, 1.0), (120, 1.0), (210, 1.0), (300, 1.0))),
    (1, 95.0, 40, 0.02, 0.20, ((35, 2.0),)),
    (1, 100.0, 8, 0.02, 0.30, ((2, 1.0),)),
]
AHEAD = (CashDividend(t_years=40 / 365, amount=0.9), CashDividend(t_years=130 / 365, amount=0.95))


def quantlib() -> Any:
    spec = importlib.util.spec_from_file_location("quantlib_oracle", HERE / "quantlib.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cash(paid: tuple[tuple[int, float], ...]) -> tuple[CashDividend, ...]:
    return tuple(CashDividend(t_years=days / 365, amount=amount) for days, amount in paid)


def present(t_years: np.ndarray) -> np.ndarray:
    """What the dividends before each expiry are worth now."""
    return sum(np.where(each.t_years < t_years, each.amount * math.exp(-0.04 * each.t_years), 0.0) for each in AHEAD)


def chain(size: int = 40) -> dict[str, Any]:
    draw = np.random.default_rng(3)
    return {"right": np.where(draw.random(size) < 0.5, 1, -1), "spot": 100.0, "strike": draw.uniform(75.0, 125.0, size),
            "t_years": np.repeat([0.1, 0.5], size // 2), "rate": 0.04, "vol": draw.uniform(0.12, 0.6, size), "dividends": AHEAD}


@pytest.mark.parametrize("model", ["spot", "escrowed"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_when_compared_with_a_fine_grid_then_within_three_thousandths(case: tuple[Any, ...], model: str, by_kernel: object) -> None:
    right, strike, days, rate, vol, paid = case
    terms = {"right": right, "spot": 100.0, "strike": strike, "rate": rate, "vol": vol}
    fine = quantlib().with_cash(**terms, days=days, dividends=paid, model=model, points=FINE)

    result = dividends.value(**terms, t_years=days / 365, dividends=cash(paid), model=model)

    assert float(result) == pytest.approx(fine, abs=ERROR)


@pytest.mark.parametrize("is_american", [True, False])
@pytest.mark.parametrize("model", ["spot", "escrowed"])
def test_value_when_compiled_then_the_numpy_numbers(kernels: Mapping[str, Any], model: str, is_american: bool) -> None:
    given = chain()
    by_numpy = dividends.value(**given, model=model, american=is_american)
    compiled._LOADED.kernels = kernels

    by_kernel = dividends.value(**given, model=model, american=is_american)

    compiled._LOADED.kernels = {}
    np.testing.assert_allclose(by_kernel, by_numpy, atol=1e-11)


def test_value_when_european_and_escrowed_then_black_scholes_on_the_spot_less_the_dividends(by_kernel: object) -> None:
    given = chain()
    left = present(given["t_years"])
    exact = bsm.value(right=given["right"], spot=100.0 - left, strike=given["strike"], t_years=given["t_years"], rate=0.04, dividend=0.0,
                      vol=given["vol"])

    result = dividends.value(**given, model="escrowed", american=False)

    np.testing.assert_allclose(result, exact, atol=ERROR)


def test_value_when_european_on_the_spot_then_put_call_parity_holds(by_kernel: object) -> None:
    given = {**chain(), "right": np.array([[1], [-1]])}
    paid = present(given["t_years"])

    call, put = dividends.value(**given, model="spot", american=False)

    np.testing.assert_allclose(call - put, 100.0 - paid - given["strike"] * np.exp(-0.04 * given["t_years"]), atol=ERROR)


def test_value_when_nothing_is_paid_then_the_american_one_without(by_kernel: object) -> None:
    given = {**chain(), "dividends": (CashDividend(t_years=2.0, amount=5.0), CashDividend(t_years=-0.1, amount=5.0))}
    terms = {name: each for name, each in given.items() if name != "dividends"}

    result = dividends.value(**given, model="spot")

    np.testing.assert_allclose(result, american.value(**terms, dividend=0.0), atol=ERROR)


def test_greeks_when_the_value_is_bumped_then_differences_agree(by_kernel: object) -> None:
    given = {**chain(), "model": "spot"}

    greeks = dividends.greeks(**given)

    def between(name: str, size: float) -> np.ndarray:
        up, down = (dividends.value(**{**given, name: given[name] + each}) for each in (size, -size))
        return (up - down) / (2 * size)

    np.testing.assert_allclose(greeks.delta, between("spot", 1.0), atol=1.2e-2)
    np.testing.assert_allclose(greeks.vega_per_point, between("vol", 0.01) / 100, atol=2e-3)
    np.testing.assert_allclose(greeks.rho_per_point, between("rate", 1e-3) / 100, atol=2e-3)
    later = [tuple(CashDividend(t_years=each.t_years - day, amount=each.amount) for each in AHEAD) for day in (1 / 365, -1 / 365)]
    after, before = (
        dividends.value(**{**given, "t_years": given["t_years"] - day, "dividends": paid})
        for day, paid in zip((1 / 365, -1 / 365), later, strict=True)
    )
    np.testing.assert_allclose(greeks.theta_per_day, (after - before) / 2, atol=2e-3)


def test_greeks_when_nothing_is_paid_then_the_american_ones(by_kernel: object) -> None:
    given = {**chain(), "dividends": (), "model": "spot"}
    terms = {name: each for name, each in given.items() if name not in ("dividends", "model")}

    bound = american.exercise_boundary(**{name: each for name, each in terms.items() if name != "spot"}, dividend=0.0)
    clear = ~(np.abs(100.0 / bound - 1.0) < 0.02)  # where exercise falls due the second derivative jumps

    greeks, exact = dividends.greeks(**given), american.greeks(**terms, dividend=0.0)

    for name, tolerance in (("delta", 3e-4), ("gamma", 2e-4), ("vega_per_point", 1e-3), ("charm_per_day", 1e-3), ("vanna_per_point", 1e-3)):
        np.testing.assert_allclose(getattr(greeks, name)[clear], getattr(exact, name)[clear], atol=tolerance, err_msg=name)


def test_value_when_the_call_is_deep_before_a_dividend_then_exercise_is_due_on_the_eve() -> None:
    eve = (CashDividend(t_years=0.5 / 365, amount=2.0),)

    greeks = dividends.greeks(right=1, spot=150.0, strike=100.0, t_years=0.2, rate=0.01, vol=0.2, dividends=eve, model="spot")

    assert float(greeks.value) == pytest.approx(50.0, abs=0.01)
    assert float(greeks.delta) == pytest.approx(1.0, abs=1e-3)


def test_value_when_the_dividend_is_more_than_the_stock_then_still_within_bounds(each_path: str) -> None:
    huge = (CashDividend(t_years=0.1, amount=150.0),)

    call, put = dividends.value(right=[1, -1], spot=100.0, strike=100.0, t_years=0.5, rate=0.03, vol=0.3, dividends=huge, model="spot")

    assert 0.0 < float(call) < 100.0
    assert 90.0 < float(put) <= 100.0
    assert np.isnan(dividends.value(right=1, spot=100.0, strike=100.0, t_years=0.5, rate=0.03, vol=0.3, dividends=huge, model="escrowed"))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"t_years": 0.0}, 10.0), ({"vol": 0.0, "rate": 0.0}, 10.0), ({"spot": math.nan}, math.nan), ({"vol": -1.0}, math.nan),
     ({"strike": 0.0}, math.nan), ({"t_years": math.inf}, math.nan)],
    ids=str,
)
def test_value_when_the_input_is_a_limit_or_impossible_then_the_limit_or_nan(changed: dict[str, float], expected: float) -> None:
    given = {"right": 1, "spot": 110.0, "strike": 100.0, "t_years": 0.5, "rate": 0.03, "vol": 0.2, **changed}

    result = float(dividends.value(**given, dividends=AHEAD, model="spot"))

    assert result == pytest.approx(expected, nan_ok=True)


def test_value_when_the_model_is_neither_then_value_error() -> None:
    with pytest.raises(ValueError, match="'spot' or 'escrowed'"):
        dividends.value(right=1, spot=100.0, strike=100.0, t_years=0.5, rate=0.03, vol=0.2, dividends=(), model="forward")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"amount": -1.0}, {"amount": math.nan}, {"t_years": math.inf}])
def test_cash_dividend_when_it_cannot_be_then_value_error(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="dividend"):
        CashDividend(**{"t_years": 0.1, "amount": 1.0, **wrong})


def test_assignment_risk_when_calls_are_deeper_then_more_likely(by_kernel: object) -> None:
    terms = {"spot": 100.0, "t_years": 60 / 365, "rate": 0.03, "vol": 0.2, "dividends": AHEAD, "model": "spot"}

    deep, near, far = (dividends.assignment_risk(strike=strike, **terms)[0] for strike in (80.0, 98.0, 115.0))

    assert deep.probability > 0.95
    assert 0.05 < near.probability < 0.6
    assert far.probability < 0.02
    assert deep.gain_now > 0.0 > near.gain_now > far.gain_now
    assert deep.critical_spot is not None and near.critical_spot is not None
    assert 80.0 < deep.critical_spot < near.critical_spot


def test_assignment_risk_when_the_critical_price_is_reached_then_the_holder_is_indifferent(by_kernel: object) -> None:
    risk = dividends.assignment_risk(
        spot=100.0, strike=95.0, t_years=60 / 365, rate=0.03, vol=0.2, dividends=AHEAD[:1], model="spot"
    )[0]

    assert risk.critical_spot is not None
    kept = bsm.value(right=1, spot=risk.critical_spot - 0.9, strike=95.0, t_years=20 / 365, rate=0.03, dividend=0.0, vol=0.2)
    assert float(kept) == pytest.approx(risk.critical_spot - 95.0, abs=2e-3)


def test_assignment_risk_when_interest_on_the_strike_beats_the_dividend_then_none() -> None:
    small = (CashDividend(t_years=0.1, amount=0.05),)

    risk = dividends.assignment_risk(spot=100.0, strike=90.0, t_years=0.6, rate=0.05, vol=0.2, dividends=small, model="spot")[0]

    assert risk.critical_spot is None
    assert risk.probability == 0.0
    assert risk.gain_now < 0.0


def test_assignment_risk_when_the_dividend_comes_after_expiry_then_nothing_is_at_stake() -> None:
    assert dividends.assignment_risk(spot=100.0, strike=90.0, t_years=0.05, rate=0.05, vol=0.2, dividends=AHEAD, model="spot") == ()


def test_assignment_risk_when_an_argument_is_impossible_then_value_error() -> None:
    with pytest.raises(ValueError, match="above zero"):
        dividends.assignment_risk(spot=100.0, strike=90.0, t_years=0.2, rate=0.05, vol=math.nan, dividends=AHEAD, model="spot")


@pytest.mark.parametrize("model", ["spot", "escrowed"])
def test_greeks_when_volatility_is_zero_then_nothing_moves_with_it(model: str) -> None:
    greeks = dividends.greeks(
        right=[1, -1], spot=110.0, strike=[100.0, 120.0], t_years=0.5, rate=0.03, vol=0.0, dividends=AHEAD, model=model  # type: ignore[arg-type]
    )

    assert greeks.vega_per_point.tolist() == [0.0, 0.0]
    assert greeks.vanna_per_point.tolist() == [0.0, 0.0]


def test_greeks_when_spot_and_strike_are_far_apart_then_the_deep_option_moves_with_the_stock(each_path: str) -> None:
    terms = {"t_years": 0.02, "rate": 0.04, "vol": 0.1, "dividends": (), "model": "spot"}

    call = dividends.greeks(right=1, spot=1000.0, strike=0.01, **terms)
    put = dividends.greeks(right=-1, spot=0.01, strike=1000.0, **terms)

    # So far apart the nodes lie six percent from each other, and the mean over a cell is a little more than its middle.
    assert [float(call.value), float(call.delta)] == pytest.approx([999.99, 1.0], rel=1e-3)
    assert [float(put.value), float(put.delta)] == pytest.approx([999.99, -1.0], rel=1e-3)


def test_assignment_risk_when_the_dividend_is_more_than_the_strike_then_certain(each_path: str) -> None:
    special = (CashDividend(t_years=0.05, amount=10.0),)

    risk = dividends.assignment_risk(spot=50.0, strike=5.0, t_years=0.1, rate=0.04, vol=0.1, dividends=special, model="spot")[0]

    assert risk.probability == pytest.approx(1.0)
    assert risk.critical_spot == pytest.approx(5.0, abs=1e-3)
    assert risk.gain_now == pytest.approx(10.0, abs=0.05)


def test_assignment_risk_when_dividends_are_escrowed_then_only_the_rest_of_the_stock_moves() -> None:
    paid = tuple(CashDividend(t_years=0.1 + 0.25 * each, amount=2.0) for each in range(4))
    draws = np.random.default_rng(8).standard_normal(400_000)

    risk = dividends.assignment_risk(spot=100.0, strike=90.0, t_years=0.95, rate=0.04, vol=0.2, dividends=paid, model="escrowed")[1]

    moved = (100.0 - sum(2.0 * math.exp(-0.04 * each.t_years) for each in paid)) * np.exp(0.02 * 0.35 + 0.2 * math.sqrt(0.35) * draws)
    stock = moved + sum(2.0 * math.exp(-0.04 * (each.t_years - 0.35)) for each in paid[1:])
    assert risk.probability == pytest.approx(float(np.mean(stock >= risk.critical_spot)), abs=3e-3)


def test_assignment_risk_when_escrowed_dividends_are_worth_the_stock_then_value_error() -> None:
    huge = (CashDividend(t_years=0.1, amount=150.0),)

    with pytest.raises(ValueError, match="no such stock"):
        dividends.assignment_risk(spot=100.0, strike=90.0, t_years=0.2, rate=0.05, vol=0.2, dividends=huge, model="escrowed")
