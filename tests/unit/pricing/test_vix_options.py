"""VIX options stand on the future of their own expiry, and shocks reach far futures damped."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from core.pricing import bsm, vix_options

NOVEMBER, DECEMBER, JANUARY = date(2026, 11, 18), date(2026, 12, 16), date(2027, 1, 20)
FUTURES = {NOVEMBER: 17.2, DECEMBER: 18.9}


def test_greeks_when_each_expiry_has_its_future_then_black_76_on_that_one() -> None:
    given = {"right": np.array([1, -1]), "strike": np.array([20.0, 18.0]), "t_years": np.array([0.05, 0.13]), "discount": 0.995, "vol": 0.9}

    greeks = vix_options.greeks(expiry=[NOVEMBER, DECEMBER], futures=FUTURES, **given)

    expected = bsm.greeks_forward(forward=np.array([17.2, 18.9]), **given)
    np.testing.assert_array_equal(greeks.value, expected.value)
    np.testing.assert_array_equal(greeks.delta, expected.delta)


def test_value_when_the_future_of_that_expiry_is_unknown_then_nan_and_no_neighbour_stands_in() -> None:
    value = vix_options.value(
        right=1, strike=20.0, expiry=[DECEMBER, JANUARY], futures=FUTURES, t_years=0.2, discount=1.0, vol=0.8
    )

    assert np.isnan(value).tolist() == [False, True]


@pytest.mark.parametrize(("days", "share"), [(1, 1.0), (30, 1.0), (120, 0.5), (270, 1 / 3)])
def test_shocked_futures_when_the_term_is_longer_then_the_move_is_damped_by_its_root(days: int, share: float) -> None:
    moved = vix_options.shocked_futures(20.0, points=10.0, t_years=days / 365)

    assert float(moved) == pytest.approx(20.0 + 10.0 * share, rel=1e-12)


def test_shocked_futures_when_the_shock_is_more_than_the_future_then_nothing_is_left() -> None:
    assert float(vix_options.shocked_futures(15.0, points=-40.0, t_years=0.05)) == 0.0
