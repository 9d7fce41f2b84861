"""Scenario grids against the functions of one option, QuantLib, central differences, and what must hold at expiry."""

from __future__ import annotations

import importlib.util
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.pricing import american, bsm, dividends, scenarios
from core.pricing.dividends import CashDividend
from core.pricing.scenarios import greeks, grid, listed, make_legs, profits, values

MOVES, SHIFTS = np.array([-0.2, -0.05, 0.0, 0.1]), np.array([-0.05, 0.0, 0.1])
DAYS = np.array([0, 10, 40])
GRID = grid(spot_move=MOVES, vol_shift=SHIFTS, years=DAYS / 365)


def quantlib() -> Any:
    spec = importlib.util.spec_from_file_location("quantlib_oracle", Path(__file__).parent / "quantlib.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def book(**changed: Any) -> dict[str, Any]:
    """Four options and shares: two expiries, calls and puts, long and short."""
    return {
        "right": [1, -1, -1, 1, 0], "units": [100.0, -200.0, 100.0, -100.0, 300.0], "price": 100.0,
        "strike": [100.0, 95.0, 110.0, 105.0, math.nan], "t_years": [90 / 365, 90 / 365, 30 / 365, 180 / 365, math.nan], "rate": 0.04,
        "dividend": 0.02, "vol": [0.25, 0.3, 0.2, 0.35, math.nan], **changed,
    }


def test_values_when_the_worked_example_is_run_then_its_figures() -> None:
    legs = make_legs(right=-1, units=[-100.0, 100.0], price=100.0, strike=[95.0, 90.0], t_years=30 / 365, vol=0.25)

    worth = values(legs, grid(spot_move=-0.08, years=30 / 365))

    np.testing.assert_allclose(worth.ravel(), [-300.0, 0.0], atol=1e-9)


def test_values_when_legs_are_european_then_those_of_one_option_at_a_time(each_path: str) -> None:
    given = book()

    worth = values(make_legs(**given), GRID)

    assert worth.shape == (5, 4, 3, 3)
    for leg, (i, move), (j, shift), (k, day) in itertools.product(range(4), enumerate(MOVES), enumerate(SHIFTS), enumerate(DAYS)):
        alone = bsm.value(
            right=given["right"][leg], spot=100.0 * (1 + move), strike=given["strike"][leg], rate=0.04, dividend=0.02,
            t_years=max(given["t_years"][leg] - day / 365, 0.0), vol=given["vol"][leg] + shift,
        )
        assert worth[leg, i, j, k] == pytest.approx(given["units"][leg] * float(alone), rel=1e-12, abs=1e-9)
    np.testing.assert_allclose(worth[4], np.broadcast_to(300.0 * 100.0 * (1 + MOVES)[:, None, None], (4, 3, 3)))


def test_values_when_legs_are_american_then_quantlibs_within_the_engines_error(each_path: str) -> None:
    oracle, given = quantlib(), book(american=True)

    worth = values(make_legs(**given), GRID)

    for leg, (i, move), (j, shift), (k, day) in itertools.product(range(4), enumerate(MOVES), enumerate(SHIFTS), enumerate(DAYS)):
        left = round(given["t_years"][leg] * 365) - int(day)
        spot, strike, right = 100.0 * (1 + move), given["strike"][leg], given["right"][leg]
        alone = max(right * (spot - strike), 0.0) if left <= 0 else oracle.american(
            right=right, spot=spot, strike=strike, days=left, rate=0.04, dividend=0.02, vol=given["vol"][leg] + shift
        )
        assert worth[leg, i, j, k] / given["units"][leg] == pytest.approx(alone, abs=2e-4)


def test_values_when_american_and_european_legs_are_mixed_then_each_as_alone(each_path: str) -> None:
    early = np.array([True, False, True, False, False])

    mixed = values(make_legs(**book(american=early)), GRID)

    whole, plain = values(make_legs(**book(american=True)), GRID), values(make_legs(**book()), GRID)
    np.testing.assert_allclose(mixed, np.where(early[:, None, None, None], whole, plain), rtol=1e-12)


@pytest.mark.parametrize("shape", ["list", "grid"])
def test_values_when_american_spots_share_a_boundary_then_those_of_one_option_at_a_time(each_path: str, shape: str) -> None:
    given = book(american=True)
    made = listed(spot_move=MOVES[:3], vol_shift=SHIFTS, years=DAYS / 365) if shape == "list" else GRID

    worth = values(make_legs(**given), made)[:4]

    moves, shifts, years = np.broadcast_arrays(made.spot_move, made.vol_shift, made.years)
    column = (slice(None, 4), *(None,) * moves.ndim)
    alone = american.value(
        right=np.array(given["right"])[column], spot=100.0 * (1.0 + moves), strike=np.array(given["strike"])[column], rate=0.04,
        dividend=0.02, t_years=np.maximum(np.array(given["t_years"])[column] - years, 0.0), vol=np.array(given["vol"])[column] + shifts,
    )
    np.testing.assert_allclose(worth, alone * np.array(given["units"])[column], rtol=1e-10, atol=1e-8)


def test_values_when_an_option_is_on_a_future_then_black_76(each_path: str) -> None:
    legs = make_legs(right=[1, -1], units=50.0, price=5000.0, strike=4900.0, t_years=0.3, rate=0.05, dividend=0.05, vol=0.18)

    worth = values(legs, listed(spot_move=[0.0, 0.1], years=0.1))

    alone = bsm.value_forward(
        right=[[1], [-1]], forward=[5000.0, 5500.0], strike=4900.0, t_years=0.2, discount=math.exp(-0.05 * 0.2), vol=0.18
    )
    np.testing.assert_allclose(worth, 50.0 * alone, rtol=1e-12)


def test_values_when_an_american_option_is_on_a_future_then_quantlibs(each_path: str) -> None:
    legs = make_legs(right=[1, -1], units=1.0, price=100.0, strike=[95.0, 105.0], t_years=200 / 365, rate=0.06, dividend=0.06, vol=0.3,
                     american=True)

    worth = values(legs, grid(spot_move=[-0.1, 0.1], years=20 / 365))

    alone = [[quantlib().american(right=r, spot=s, strike=k, days=180, rate=0.06, dividend=0.06, vol=0.3) for s in (90.0, 110.0)]
             for r, k in ((1, 95.0), (-1, 105.0))]
    np.testing.assert_allclose(worth[:, :, 0, 0], alone, atol=2e-4)


def test_values_when_cash_dividends_are_to_come_then_those_left_at_the_time_and_quantlibs(each_path: str) -> None:
    paid = (CashDividend(t_years=20 / 365, amount=1.5), CashDividend(t_years=110 / 365, amount=1.5))
    legs = make_legs(right=[1, -1], units=[100.0, -100.0], price=100.0, strike=100.0, t_years=150 / 365, rate=0.04, vol=0.3,
                     american=[True, False], paid=(paid, paid))

    worth = values(legs, grid(spot_move=[0.0, 0.05], years=[0.0, 30 / 365, 120 / 365]))

    left = (paid, (CashDividend(t_years=80 / 365, amount=1.5),), ())
    for place, (days, due) in enumerate(zip((150, 120, 30), left, strict=True)):
        alone = dividends.value(right=1, spot=[100.0, 105.0], strike=100.0, t_years=days / 365, rate=0.04, vol=0.3, dividends=due,
                                model="spot")
        np.testing.assert_allclose(worth[0, :, 0, place], 100.0 * alone, rtol=1e-9)
    fine = quantlib().with_cash(right=1, spot=105.0, strike=100.0, days=120, rate=0.04, vol=0.3, dividends=[(80, 1.5)], model="spot",
                                points=1500)
    assert worth[0, 1, 0, 1] / 100.0 == pytest.approx(fine, abs=3e-3)
    plain = bsm.value(right=-1, spot=[100.0, 105.0], strike=100.0, t_years=30 / 365, rate=0.04, dividend=0.0, vol=0.3)
    np.testing.assert_allclose(worth[1, :, 0, 2], -100.0 * plain, atol=0.3)  # the grid's error, a hundred units


def test_values_when_shares_go_ex_on_the_way_then_the_dividend_was_received() -> None:
    paid = (CashDividend(t_years=20 / 365, amount=1.5), CashDividend(t_years=110 / 365, amount=2.0))
    legs = make_legs(right=0, units=[100.0, -100.0], price=50.0, paid=(paid, ()))

    worth = values(legs, listed(years=[0.0, 20 / 365, 1.0]))

    np.testing.assert_allclose(worth, [[5000.0, 5150.0, 5350.0], [-5000.0] * 3])


def test_greeks_when_legs_are_mixed_then_central_differences_of_the_values(each_path: str) -> None:
    legs = make_legs(**book(american=[True, False, False, True, False]))
    at = {"spot_move": np.array([-0.06, 0.03]), "vol_shift": 0.02, "years": 20 / 365}

    found = greeks(legs, listed(**at))

    def worth(**bumped: Any) -> np.ndarray:
        return values(legs, listed(**{**at, **bumped}))

    up, down, here = worth(spot_move=at["spot_move"] + 1e-3), worth(spot_move=at["spot_move"] - 1e-3), worth()
    np.testing.assert_allclose(found.value, here, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(found.delta, (up - down) / 0.2, rtol=2e-4, atol=2e-2)
    np.testing.assert_allclose(found.gamma, (up - 2 * here + down) / 0.01, rtol=5e-3, atol=2e-2)
    vega = (worth(vol_shift=0.021) - worth(vol_shift=0.019)) / 0.2
    np.testing.assert_allclose(found.vega_per_point, vega, rtol=2e-4, atol=2e-3)
    theta = (worth(years=20.05 / 365) - worth(years=19.95 / 365)) / 0.1
    np.testing.assert_allclose(found.theta_per_day, theta, rtol=2e-3, atol=2e-2)


def test_greeks_when_a_leg_has_expired_then_its_value_and_nothing_else(each_path: str) -> None:
    legs = make_legs(**book(american=[True, True, False, False, False]))

    found = greeks(legs, listed(spot_move=-0.15, years=60 / 365))

    assert float(found.value[2]) == pytest.approx(100.0 * 25.0)
    assert [float(getattr(found, name)[2]) for name in bsm.FIELDS[1:]] == [0.0] * 7
    assert float(found.delta[4]) == 300.0
    assert all(float(found.gamma[leg]) != 0.0 for leg in (0, 1, 3))


def test_profits_when_counted_from_the_market_then_from_there_else_from_the_models_own_value() -> None:
    legs = make_legs(**book())

    result = profits(legs, GRID)

    now = values(legs, listed()).sum()
    np.testing.assert_allclose(result, values(legs, GRID).sum(axis=0) - now, rtol=1e-9, atol=1e-7)
    assert result[2, 1, 0] == pytest.approx(0.0, abs=1e-7)
    np.testing.assert_allclose(profits(legs, GRID, worth_now=[1.0, 2.0, 3.0, 4.0, 5.0]), result + now - 15.0, rtol=1e-9, atol=1e-7)


def test_values_when_a_leg_takes_a_share_of_move_and_shift_then_only_that() -> None:
    legs = make_legs(right=[1, 0], units=1.0, price=100.0, strike=100.0, t_years=0.5, vol=0.2, spot_share=[2.0, 0.5], vol_share=0.25)

    worth = values(legs, listed(spot_move=0.1, vol_shift=0.08))

    alone = bsm.value(right=1, spot=120.0, strike=100.0, t_years=0.5, rate=0.0, dividend=0.0, vol=0.22)
    np.testing.assert_allclose(worth, [float(alone), 105.0], rtol=1e-12)


def test_values_when_a_volatility_is_unknown_then_that_leg_alone_and_only_until_it_expires(each_path: str) -> None:
    legs = make_legs(right=1, units=1.0, price=100.0, strike=90.0, t_years=[0.1, 0.5, 0.5], vol=[math.nan, math.nan, 0.2],
                     american=[False, True, False])

    worth = values(legs, listed(years=[0.0, 0.1, 0.5]))

    assert np.isnan(worth).tolist() == [[True, False, False], [True, True, False], [False] * 3]
    np.testing.assert_allclose(worth[:, 2], 10.0)
    np.testing.assert_allclose(worth[0, 1], 10.0)


def test_values_when_the_shift_would_take_the_volatility_below_zero_then_none_is_left() -> None:
    legs = make_legs(right=1, units=1.0, price=100.0, strike=[90.0, 110.0], t_years=0.5, vol=0.1, american=[True, False])

    np.testing.assert_allclose(values(legs, listed(vol_shift=-0.2)), [10.0, 0.0])


def test_values_when_a_scenario_is_impossible_then_nan_there_alone(each_path: str) -> None:
    legs = make_legs(**book(american=[True, False, False, True, False]))

    worth = values(legs, listed(spot_move=[-1.5, 0.0, np.nan, 0.0], years=[0.0, -0.1, 0.0, 0.0]))

    assert np.isnan(worth).tolist() == [[True, True, True, False]] * 5


def test_values_when_there_are_more_than_one_part_then_the_same(each_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    legs = make_legs(**book(american=[True, False, False, True, False]))
    whole, total, slopes = values(legs, GRID), profits(legs, GRID), greeks(legs, GRID)

    monkeypatch.setattr(scenarios, "CHUNK", 80)
    monkeypatch.setattr(scenarios, "NUMPY_CHUNK", 40)

    np.testing.assert_allclose(values(legs, GRID), whole, rtol=1e-12)
    np.testing.assert_allclose(profits(legs, GRID), total, rtol=1e-9)
    np.testing.assert_allclose(greeks(legs, GRID).delta, slopes.delta, rtol=1e-12)


def test_values_when_there_is_one_scenario_or_no_leg_then_the_shape_says_so(each_path: str) -> None:
    legs = make_legs(**book())

    assert values(legs, listed()).shape == (5,)
    assert values(legs.part(0, 0), GRID).shape == (0, 4, 3, 3)
    assert greeks(legs.part(0, 0), GRID).delta.shape == (0, 4, 3, 3)
    assert profits(legs.part(0, 0), GRID).shape == (4, 3, 3)
    assert greeks(legs, listed(spot_move=[])).delta.shape == (5, 0)


def test_make_legs_when_columns_do_not_fit_then_value_error() -> None:
    with pytest.raises(ValueError, match="right is"):
        make_legs(right=2, units=1.0, price=100.0)
    with pytest.raises(ValueError, match="one row"):
        make_legs(right=[[1, 1]], units=1.0, price=100.0)
    with pytest.raises(ValueError, match="2 legs need as many"):
        make_legs(right=[1, 1], units=1.0, price=100.0, paid=((),))
    with pytest.raises(ValueError, match="broadcast"):
        make_legs(right=[1, 1], units=[1.0, 2.0, 3.0], price=100.0)


def test_greeks_when_a_shock_takes_all_volatility_from_a_leg_with_dividends_then_still_known(each_path: str) -> None:
    paid = ((CashDividend(t_years=0.05, amount=1.0),),)
    legs = make_legs(right=-1, units=100.0, price=100.0, strike=105.0, t_years=0.1, rate=0.04, vol=0.15, paid=paid)

    moved = greeks(legs, listed(vol_shift=-0.2))

    assert np.isfinite([getattr(moved, name) for name in bsm.FIELDS]).all()


@pytest.mark.parametrize("early", [False, True])
def test_values_when_there_are_no_scenarios_then_empty(early: bool) -> None:
    legs = make_legs(**book(american=early))

    assert values(legs, grid(spot_move=[])).shape == (5, 0, 1, 1)
    assert greeks(legs, listed(spot_move=[])).delta.shape == (5, 0)
    assert profits(legs, listed(spot_move=[])).shape == (0,)
