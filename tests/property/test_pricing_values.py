"""What holds for every European option: parity, bounds, monotonicity, and implied volatility as the inverse of the value."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.pricing import bsm, implied

PRICES = st.floats(1.0, 1e4)
YEARS = st.floats(1e-5, 5.0)
VOLS = st.floats(0.01, 3.0)
DISCOUNTS = st.floats(0.7, 1.02)
RIGHTS = st.sampled_from([1, -1])
TINY = 1e-12


@given(forward=PRICES, strike=PRICES, t_years=YEARS, discount=DISCOUNTS, vol=VOLS)
def test_value_when_call_and_put_share_a_strike_then_parity_holds(
    forward: float, strike: float, t_years: float, discount: float, vol: float
) -> None:
    call, put = bsm.value_forward(right=[1, -1], forward=forward, strike=strike, t_years=t_years, discount=discount, vol=vol)

    assert abs(call - put - discount * (forward - strike)) <= TINY * (forward + strike)


@given(right=RIGHTS, forward=PRICES, strike=PRICES, t_years=YEARS, discount=DISCOUNTS, vol=VOLS)
def test_value_when_inputs_are_possible_then_it_lies_between_intrinsic_and_the_upper_bound(
    right: int, forward: float, strike: float, t_years: float, discount: float, vol: float
) -> None:
    worth = float(bsm.value_forward(right=right, forward=forward, strike=strike, t_years=t_years, discount=discount, vol=vol))

    assert discount * max(right * (forward - strike), 0.0) <= worth <= discount * (forward if right > 0 else strike) * (1.0 + TINY)


@given(right=RIGHTS, forward=PRICES, strike=PRICES, t_years=YEARS, vols=st.tuples(VOLS, VOLS))
def test_value_when_volatility_rises_then_it_never_falls(
    right: int, forward: float, strike: float, t_years: float, vols: tuple[float, float]
) -> None:
    low, high = bsm.value_forward(right=right, forward=forward, strike=strike, t_years=t_years, discount=0.98, vol=np.sort(vols))

    assert low <= high * (1.0 + TINY)


@given(forward=PRICES, strikes=st.tuples(PRICES, PRICES), t_years=YEARS, vol=VOLS)
def test_value_when_the_strike_rises_then_calls_fall_and_puts_rise(
    forward: float, strikes: tuple[float, float], t_years: float, vol: float
) -> None:
    (call_low, call_high), (put_low, put_high) = bsm.value_forward(
        right=[[1], [-1]], forward=forward, strike=np.sort(strikes), t_years=t_years, discount=0.98, vol=vol
    )
    slack = TINY * (forward + max(strikes))

    assert call_high <= call_low + slack
    assert put_low <= put_high + slack


@given(right=RIGHTS, spot=PRICES, strike=PRICES, t_years=YEARS, rate=st.floats(-0.02, 0.15), dividend=st.floats(0.0, 0.1), vol=VOLS)
def test_greeks_when_inputs_are_possible_then_signs_and_bounds_hold(
    right: int, spot: float, strike: float, t_years: float, rate: float, dividend: float, vol: float
) -> None:
    greeks = bsm.greeks(right=right, spot=spot, strike=strike, t_years=t_years, rate=rate, dividend=dividend, vol=vol)

    assert 0.0 <= right * greeks.delta <= np.exp(-dividend * t_years) * (1.0 + TINY)
    assert greeks.gamma >= 0.0
    assert greeks.vega_per_point >= 0.0
    assert right * greeks.rho_per_point >= 0.0


@given(right=RIGHTS, forward=PRICES, strike=PRICES, t_years=YEARS, discount=DISCOUNTS, vol=VOLS)
def test_implied_vol_when_found_then_it_gives_the_price_back(
    right: int, forward: float, strike: float, t_years: float, discount: float, vol: float
) -> None:
    terms = {"right": right, "forward": forward, "strike": strike, "t_years": t_years, "discount": discount}
    price = bsm.value_forward(vol=vol, **terms)

    found = implied.implied_vol(price=price, **terms)

    assert np.isnan(found) or abs(bsm.value_forward(vol=found, **terms) - price) <= 1e-11 * price + 1e-14 * (forward + strike)


@given(right=RIGHTS, numbers=st.lists(st.floats(), min_size=5, max_size=5))
def test_implied_vol_when_the_input_is_any_float_at_all_then_nan_or_a_positive_number(right: int, numbers: list[float]) -> None:
    price, forward, strike, t_years, discount = numbers

    found = float(implied.implied_vol(right=right, price=price, forward=forward, strike=strike, t_years=t_years, discount=discount))

    assert np.isnan(found) or 0.0 < found < np.inf
