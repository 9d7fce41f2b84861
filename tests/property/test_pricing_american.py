"""What holds for every American option: bounds, early exercise worth something, convexity, symmetry, and the boundary's place."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.pricing import american, bsm

RIGHTS = st.sampled_from([1, -1])
SPOTS = st.floats(40.0, 250.0)
YEARS = st.floats(1 / 365, 3.0)
RATES = st.floats(0.0, 0.12)
VOLS = st.floats(0.05, 1.5)
ERROR = 2e-4  # of the default orders, at a strike of 100


@given(right=RIGHTS, spot=SPOTS, t_years=YEARS, rate=RATES, dividend=RATES, vol=VOLS)
def test_value_when_inputs_are_possible_then_it_lies_between_european_and_intrinsic_and_the_upper_bound(
    right: int, spot: float, t_years: float, rate: float, dividend: float, vol: float
) -> None:
    terms = {"right": right, "spot": spot, "strike": 100.0, "t_years": t_years, "rate": rate, "dividend": dividend, "vol": vol}

    worth = float(american.value(**terms))

    assert worth >= float(bsm.value(**terms)) - ERROR
    assert worth >= right * (spot - 100.0) - 1e-9
    assert worth <= (spot if right > 0 else 100.0) + ERROR


@given(right=RIGHTS, spots=st.tuples(SPOTS, SPOTS), t_years=YEARS, rate=RATES, dividend=RATES, vol=VOLS)
def test_value_when_the_spot_rises_then_calls_rise_puts_fall_and_the_middle_is_no_dearer(
    right: int, spots: tuple[float, float], t_years: float, rate: float, dividend: float, vol: float
) -> None:
    low, high = sorted(spots)

    down, middle, up = american.value(
        right=right, spot=[low, (low + high) / 2, high], strike=100.0, t_years=t_years, rate=rate, dividend=dividend, vol=vol
    )

    assert right * (up - down) >= -ERROR
    assert middle <= (up + down) / 2 + ERROR


@given(right=RIGHTS, spot=SPOTS, years=st.tuples(YEARS, YEARS), rate=RATES, dividend=RATES, vol=VOLS)
def test_value_when_there_is_more_time_then_never_worth_less(
    right: int, spot: float, years: tuple[float, float], rate: float, dividend: float, vol: float
) -> None:
    short, long = american.value(right=right, spot=spot, strike=100.0, t_years=np.sort(years), rate=rate, dividend=dividend, vol=vol)

    assert long >= short - ERROR


@given(right=RIGHTS, t_years=YEARS, rate=st.floats(0.001, 0.12), dividend=st.floats(0.001, 0.12), vol=VOLS)
def test_exercise_boundary_when_it_exists_then_on_the_far_side_of_strike_and_rates(
    right: int, t_years: float, rate: float, dividend: float, vol: float
) -> None:
    bound = float(american.exercise_boundary(right=right, strike=100.0, t_years=t_years, rate=rate, dividend=dividend, vol=vol))

    edge = 100.0 * rate / dividend  # where the interest on the strike and the yield of the stock are equal
    assert (bound >= max(100.0, edge) - 1e-9) if right > 0 else (0.0 < bound <= min(100.0, edge) + 1e-9)


@given(numbers=st.lists(st.floats(), min_size=6, max_size=6), right=RIGHTS)
def test_value_when_the_input_is_any_float_at_all_then_nan_or_a_number_of_zero_or_more(numbers: list[float], right: int) -> None:
    spot, strike, t_years, rate, dividend, vol = numbers

    worth = float(american.value(right=right, spot=spot, strike=strike, t_years=t_years, rate=rate, dividend=dividend, vol=vol))

    assert np.isnan(worth) or worth >= 0.0
