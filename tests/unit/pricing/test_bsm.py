"""Black-Scholes-Merton and Black-76 against published tables, exact arithmetic, vollib, QuantLib and central differences."""

from __future__ import annotations

import csv
import math
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import QuantLib as ql
from vollib.black_scholes_merton import black_scholes_merton as vollib_value
from vollib.black_scholes_merton.greeks import analytical as vollib_greeks

from core.domain.instruments import Right
from core.pricing import bsm

REFDATA = Path(__file__).parents[2] / "refdata"
PUBLISHED = list(csv.DictReader((REFDATA / "bsm_published.csv").read_text(encoding="utf-8").splitlines()))
EXACT = list(csv.DictReader((REFDATA / "black76_exact.csv").read_text(encoding="utf-8").splitlines()))
GREEKS = ("value", "delta", "gamma", "theta_per_day", "vega_per_point", "rho_per_point")
PER_YEAR = {"theta": ("theta_per_day", 365.0), "vega": ("vega_per_point", 100.0), "rho": ("rho_per_point", 100.0)}


def grid() -> dict[str, np.ndarray]:
    axes = np.meshgrid([1, -1], [60.0, 90.0, 100.0, 104.0, 150.0], [1 / 365, 0.1, 1.0, 4.0], [-0.01, 0.05], [0.0, 0.03], [0.08, 0.25, 0.9])
    right, strike, t_years, rate, dividend, vol = (axis.ravel() for axis in axes)
    return {"right": right, "spot": np.full(right.shape, 100.0), "strike": strike, "t_years": t_years, "rate": rate, "dividend": dividend,
            "vol": vol}


def rows_of(arrays: dict[str, np.ndarray]) -> list[dict[str, float]]:
    return [dict(zip(arrays, map(float, row), strict=True)) for row in zip(*arrays.values(), strict=True)]


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['book'][:4]}-{row['page']}-{row['quantity']}-{row['right']}")
def test_greeks_when_a_book_publishes_the_value_then_it_is_met(row: dict[str, str]) -> None:
    inputs = {name: float(row[name]) for name in ("spot", "strike", "t_years", "rate", "dividend", "vol")}
    field, factor = PER_YEAR.get(row["quantity"], (row["quantity"], 1.0))

    result = getattr(bsm.greeks(right=row["right"], **inputs), field) * factor

    assert float(result) == pytest.approx(float(row["published"]), abs=float(row["tolerance"]))


# Theta needs ln(discount), whose own digits are few near a discount of one.
@pytest.mark.parametrize(("name", "tolerance"), [(name, 1e-11 if name == "theta_per_day" else 2e-12) for name in GREEKS])
def test_greeks_forward_when_compared_with_exact_arithmetic_then_the_digits_agree(name: str, tolerance: float) -> None:
    inputs = {column: np.array([float(row[column]) for row in EXACT]) for column in ("forward", "strike", "t_years", "discount", "vol")}

    result = getattr(bsm.greeks_forward(right=[row["right"] for row in EXACT], **inputs), name)

    np.testing.assert_allclose(result, [float(row[name]) for row in EXACT], rtol=tolerance, atol=0.0)


def test_exact_table_when_worked_out_again_then_it_is_the_stored_one() -> None:
    maker = runpy.run_path(str(REFDATA / "make_black76_exact.py"))

    again = [maker["row"](*case) for case in maker["CASES"][:4]]

    assert again == EXACT[:4]


def test_value_when_far_out_of_the_money_then_the_relative_error_stays_small() -> None:
    # From black76_exact.csv: a 90 call on a forward of 50 with 36 days at 15 %.
    result = float(bsm.value_forward(right="call", forward=50.0, strike=90.0, t_years=0.1, discount=0.99, vol=0.15))

    assert result == pytest.approx(3.63965681414364866933e-36, rel=1e-12)


def test_value_when_compared_with_vollib_then_equal() -> None:
    arrays = grid()

    result = bsm.value(**arrays)

    peers = [
        vollib_value("c" if row["right"] > 0 else "p", row["spot"], row["strike"], row["t_years"], row["rate"], row["vol"], row["dividend"])
        for row in rows_of(arrays)
    ]
    np.testing.assert_allclose(result, peers, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "peer"),
    [("delta", "delta"), ("gamma", "gamma"), ("theta_per_day", "theta"), ("vega_per_point", "vega"), ("rho_per_point", "rho")],
)
def test_greeks_when_compared_with_vollib_then_equal(name: str, peer: str) -> None:
    arrays = grid()

    result = getattr(bsm.greeks(**arrays), name)

    peers = [
        getattr(vollib_greeks, peer)(
            "c" if row["right"] > 0 else "p", row["spot"], row["strike"], row["t_years"], row["rate"], row["vol"], row["dividend"]
        )
        for row in rows_of(arrays)
    ]
    np.testing.assert_allclose(result, peers, rtol=1e-9, atol=1e-12)


def test_greeks_when_compared_with_quantlib_then_equal() -> None:
    arrays = grid()

    result = bsm.greeks(**arrays)

    peers = {name: [] for name in GREEKS}
    for row in rows_of(arrays):
        years, discount = row["t_years"], math.exp(-row["rate"] * row["t_years"])
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if row["right"] > 0 else ql.Option.Put, row["strike"])
        forward = row["spot"] * math.exp((row["rate"] - row["dividend"]) * years)
        peer = ql.BlackCalculator(payoff, forward, row["vol"] * math.sqrt(years), discount)
        peers["value"].append(peer.value())
        peers["delta"].append(peer.delta(row["spot"]))
        peers["gamma"].append(peer.gamma(row["spot"]))
        peers["theta_per_day"].append(peer.theta(row["spot"], years) / 365)
        peers["vega_per_point"].append(peer.vega(years) / 100)
        peers["rho_per_point"].append(peer.rho(years) / 100)
    for name in GREEKS:
        np.testing.assert_allclose(getattr(result, name), peers[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(
    ("name", "bumped", "bump", "factor"),
    [
        ("delta", "spot", 1e-3, 1.0),
        ("theta_per_day", "t_years", 1e-6, -1 / 365),
        ("vega_per_point", "vol", 1e-5, 0.01),
        ("rho_per_point", "rate", 1e-5, 0.01),
    ],
)
def test_greeks_when_the_value_is_bumped_then_the_central_difference_agrees(name: str, bumped: str, bump: float, factor: float) -> None:
    arrays = grid()

    difference = bsm.value(**{**arrays, bumped: arrays[bumped] + bump}) - bsm.value(**{**arrays, bumped: arrays[bumped] - bump})

    np.testing.assert_allclose(getattr(bsm.greeks(**arrays), name), difference / (2 * bump) * factor, rtol=2e-5, atol=2e-6)


def test_gamma_when_delta_is_bumped_then_the_central_difference_agrees() -> None:
    arrays = grid()

    up, down = (bsm.greeks(**{**arrays, "spot": arrays["spot"] + bump}).delta for bump in (1e-3, -1e-3))

    np.testing.assert_allclose(bsm.greeks(**arrays).gamma, (up - down) / 2e-3, rtol=2e-5, atol=1e-8)


def test_greeks_forward_when_the_value_is_bumped_then_central_differences_agree() -> None:
    base = {"right": np.array([1, -1]), "forward": 100.0, "strike": 97.0, "vol": 0.3}
    at = {"t_years": 0.4, "discount": math.exp(-0.05 * 0.4)}

    greeks = bsm.greeks_forward(**base, **at)

    def value(*, forward: float = 100.0, t_years: float = 0.4, rate: float = 0.05) -> np.ndarray:
        return bsm.value_forward(**{**base, "forward": forward}, t_years=t_years, discount=math.exp(-rate * t_years))

    np.testing.assert_allclose(greeks.delta, (value(forward=100.001) - value(forward=99.999)) / 0.002, rtol=1e-7)
    np.testing.assert_allclose(greeks.gamma, (value(forward=100.01) - 2 * value() + value(forward=99.99)) / 1e-4, rtol=1e-5)
    np.testing.assert_allclose(greeks.theta_per_day, (value(t_years=0.399999) - value(t_years=0.400001)) / 2e-6 / 365, rtol=1e-7)
    np.testing.assert_allclose(greeks.rho_per_point, (value(rate=0.05001) - value(rate=0.04999)) / 2e-5 / 100, rtol=1e-7)


def test_value_when_no_time_is_left_then_intrinsic() -> None:
    result = bsm.value(right=[1, 1, -1, -1], spot=100.0, strike=[90.0, 110.0, 90.0, 110.0], t_years=0.0, rate=0.05, dividend=0.0, vol=0.2)

    assert result.tolist() == [10.0, 0.0, 0.0, 10.0]


def test_value_when_volatility_is_zero_then_discounted_intrinsic_of_the_forward() -> None:
    result = bsm.value_forward(right=[1, -1], forward=105.0, strike=100.0, t_years=1.0, discount=0.9, vol=0.0)

    assert result.tolist() == [4.5, 0.0]


def test_greeks_when_no_time_is_left_then_limits_without_warnings() -> None:
    greeks = bsm.greeks(right=[1, 1, 1, -1], spot=100.0, strike=[90.0, 110.0, 100.0, 100.0], t_years=0.0, rate=0.05, dividend=0.01, vol=0.2)

    assert greeks.delta.tolist() == [1.0, 0.0, 0.5, -0.5]
    assert greeks.gamma.tolist() == [0.0] * 4
    assert greeks.vega_per_point.tolist() == [0.0] * 4
    assert np.isfinite(greeks.theta_per_day).all()


def test_value_when_the_underlying_is_worth_nothing_then_the_put_is_its_discounted_strike() -> None:
    greeks = bsm.greeks(right=[1, -1], spot=0.0, strike=50.0, t_years=1.0, rate=0.05, dividend=0.0, vol=0.3)

    np.testing.assert_allclose(greeks.value, [0.0, 50.0 * math.exp(-0.05)], rtol=1e-15)
    assert greeks.delta.tolist() == [0.0, -1.0]


def test_value_when_volatility_is_absurd_then_the_upper_bound() -> None:
    result = bsm.value_forward(right=[1, -1], forward=80.0, strike=100.0, t_years=1.0, discount=0.9, vol=1e6)

    np.testing.assert_allclose(result, [72.0, 90.0], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "bad"),
    [("spot", math.nan), ("strike", math.nan), ("t_years", math.nan), ("rate", math.nan), ("dividend", math.nan), ("vol", math.nan),
     ("spot", -1.0), ("strike", -1.0), ("t_years", -0.1), ("vol", -0.2), ("spot", math.inf), ("strike", math.inf)],
)
def test_greeks_when_one_input_is_impossible_then_only_that_lane_is_nan(name: str, bad: float) -> None:
    inputs = {"spot": 100.0, "strike": 95.0, "t_years": 0.5, "rate": 0.03, "dividend": 0.01, "vol": 0.2}

    greeks = bsm.greeks(right=-1, **{**inputs, name: np.array([inputs[name], bad])})

    for field in GREEKS:
        assert np.isnan(getattr(greeks, field)).tolist() == [False, True], field


def test_value_when_shapes_differ_then_they_broadcast() -> None:
    result = bsm.value(right=np.array([[1], [-1]], dtype=np.int8), spot=100.0, strike=np.array([90.0, 100.0, 110.0]), t_years=0.5, rate=0.0,
                       dividend=0.0, vol=0.2)

    assert result.shape == (2, 3)
    assert float(result[1, 2]) == float(bsm.value(right="put", spot=100.0, strike=110.0, t_years=0.5, rate=0.0, dividend=0.0, vol=0.2))


def test_right_signs_when_words_or_enum_members_are_given_then_they_are_understood() -> None:
    assert bsm.right_signs(["call", "put"]).tolist() == [1, -1]
    assert bsm.right_signs(Right.PUT).tolist() == -1
    assert bsm.right_signs(np.array([Right.CALL, Right.PUT], dtype=object)).tolist() == [1, -1]


@pytest.mark.parametrize("right", ["c", "", 0, 2, [1, 0], math.nan])
def test_value_when_the_right_is_neither_then_value_error(right: object) -> None:
    with pytest.raises(ValueError, match="right is"):
        bsm.value(right=right, spot=100.0, strike=95.0, t_years=0.5, rate=0.0, dividend=0.0, vol=0.2)


def test_import_when_nothing_is_priced_yet_then_scipy_is_not_loaded() -> None:
    code = "import sys, core.pricing.bsm, core.pricing.implied; sys.exit('scipy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0


def test_import_when_only_the_payoff_is_wanted_then_numpy_is_not_loaded() -> None:
    code = "import sys, core.pricing.payoff; sys.exit('numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0


def test_value_when_next_to_no_time_is_left_then_intrinsic_value() -> None:
    worth = bsm.value(right=[1, -1], spot=[90.0, 90.0], strike=100.0, t_years=1e-187, rate=0.0, dividend=0.0, vol=1.0)

    assert worth.tolist() == [0.0, 10.0]


def test_value_when_the_time_left_is_minus_zero_then_intrinsic(each_path: str) -> None:
    worth = bsm.value(right=[1, -1], spot=[90.0, 90.0], strike=100.0, t_years=-0.0, rate=0.05, dividend=0.0, vol=0.2)

    assert worth.tolist() == [0.0, 10.0]


def test_value_when_rates_are_absurd_then_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    bsm.value(right=1, spot=1e300, strike=1.0, t_years=10.0, rate=-80.0, dividend=0.0, vol=0.2)

    assert [str(each.message) for each in recwarn] == []
