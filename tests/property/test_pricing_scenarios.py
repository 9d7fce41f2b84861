"""What holds for every set of legs in every scenario, and for the odds of every payoff."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.pricing import odds
from core.pricing.payoff import PayoffLeg, expiry_payoff, probability_of_profit
from core.pricing.scenarios import greeks, grid, listed, make_legs, profits, values

PRICES = st.floats(40.0, 250.0)
YEARS = st.floats(0.0, 2.0)
RATES = st.floats(0.0, 0.12)
VOLS = st.floats(0.05, 1.0)
MOVES = st.lists(st.floats(-0.9, 1.0), min_size=1, max_size=3)
SHIFTS = st.lists(st.floats(-0.2, 0.5), min_size=1, max_size=2)
TIMES = st.lists(st.floats(0.0, 2.5), min_size=1, max_size=2)
ERROR = 5e-4  # of American values at a strike of 100
SIZES = st.integers(-3, 3).filter(bool)
OPTIONS = st.builds(
    PayoffLeg, kind=st.sampled_from(["call", "put"]), strike=st.integers(60, 140).map(Decimal), quantity=SIZES,
    multiplier=st.just(Decimal(100)),
)
TRADES = st.builds(
    expiry_payoff, st.lists(OPTIONS, min_size=1, max_size=4), net_cash=st.decimals(-2000, 2000, places=2),
)


@given(price=PRICES, t_years=YEARS, rate=RATES, dividend=RATES, vol=VOLS, moves=MOVES, shifts=SHIFTS, times=TIMES)
def test_values_when_call_and_put_share_a_strike_then_parity_holds_in_every_scenario(
    price: float, t_years: float, rate: float, dividend: float, vol: float, moves: list[float], shifts: list[float], times: list[float]
) -> None:
    legs = make_legs(right=[1, -1], units=[1.0, -1.0], price=price, strike=100.0, t_years=t_years, rate=rate, dividend=dividend, vol=vol)
    made = grid(spot_move=moves, vol_shift=shifts, years=times)

    worth = values(legs, made).sum(axis=0)

    left = np.maximum(t_years - made.years, 0.0)
    forward = price * (1.0 + made.spot_move) * np.exp(-dividend * left) - 100.0 * np.exp(-rate * left)
    np.testing.assert_allclose(worth, np.broadcast_to(forward, made.shape), atol=1e-9)


@given(
    right=st.sampled_from([1, -1]), price=PRICES, t_years=YEARS, rate=RATES, dividend=RATES, vol=VOLS, moves=MOVES, shifts=SHIFTS,
    times=TIMES,
)
def test_values_when_exercise_may_be_early_then_never_under_the_european_one_nor_exercise_now(
    right: int, price: float, t_years: float, rate: float, dividend: float, vol: float, moves: list[float], shifts: list[float],
    times: list[float],
) -> None:
    legs = make_legs(right=right, units=1.0, price=price, strike=100.0, t_years=t_years, rate=rate, dividend=dividend, vol=vol,
                     american=[True, False])
    made = grid(spot_move=moves, vol_shift=shifts, years=times)

    early, plain = values(legs, made)

    assert (early >= plain - ERROR).all()
    assert (early >= right * (price * (1.0 + made.spot_move) - 100.0) - 1e-9).all()


@given(units=st.lists(st.floats(-500.0, 500.0), min_size=3, max_size=3), moves=MOVES, shifts=SHIFTS, times=TIMES)
def test_profits_when_the_position_is_turned_round_then_the_opposite(
    units: list[float], moves: list[float], shifts: list[float], times: list[float]
) -> None:
    terms = {"right": [1, -1, 0], "price": 100.0, "strike": [95.0, 105.0, np.nan], "t_years": [0.1, 0.6, np.nan], "rate": 0.03,
             "vol": [0.2, 0.4, np.nan], "american": [True, False, False]}
    made = grid(spot_move=moves, vol_shift=shifts, years=times)

    ours, theirs = (profits(make_legs(units=side * np.array(units), **terms), made) for side in (1.0, -1.0))

    np.testing.assert_allclose(ours, -theirs, atol=1e-7)


@given(numbers=st.lists(st.floats(), min_size=9, max_size=9), right=st.sampled_from([1, -1, 0]), american=st.booleans())
def test_greeks_when_the_input_is_any_float_at_all_then_no_exception(numbers: list[float], right: int, american: bool) -> None:
    price, strike, t_years, rate, dividend, vol, move, shift, years = numbers
    legs = make_legs(right=right, units=1.0, price=price, strike=strike, t_years=t_years, rate=rate, dividend=dividend, vol=vol,
                     american=american)

    found = greeks(legs, listed(spot_move=move, vol_shift=shift, years=years))

    assert found.value.shape == (1,)


@given(payoff=TRADES, forward=PRICES, t_years=YEARS, vol=VOLS, level=st.floats(0.05, 0.999))
def test_odds_when_a_payoff_is_any_then_they_keep_their_order_and_bounds(
    payoff: odds.Payoff, forward: float, t_years: float, vol: float, level: float
) -> None:
    found = odds.odds(payoff, odds.lognormal(forward=forward, t_years=t_years, vol=vol), level=level)

    slack = 1e-6 * (1.0 + abs(found.shortfall))
    assert 0.0 <= found.profit <= 1.0
    assert found.shortfall >= found.value_at_risk - slack
    assert found.shortfall >= -found.expected - slack
    assert payoff.max_loss is None or found.shortfall <= float(payoff.max_loss) + slack or payoff.max_loss == 0
    assert payoff.max_profit is None or -found.value_at_risk <= float(payoff.max_profit) + slack
    assert abs(found.profit - probability_of_profit(payoff, forward=forward, t_years=t_years, vol=vol)) < 1e-12


@given(spot=PRICES, level=PRICES, forward=PRICES, t_years=st.floats(1e-3, 2.0), vol=VOLS)
def test_touch_when_a_price_may_end_beyond_a_level_then_it_touches_it_at_least_as_likely(
    spot: float, level: float, forward: float, t_years: float, vol: float
) -> None:
    touch = float(odds.touch_lognormal(spot=spot, level=level, forward=forward, t_years=t_years, vol=vol))

    below = float(odds.lognormal(forward=forward, t_years=t_years, vol=vol).below(level))
    assert (below if level <= spot else 1.0 - below) - 1e-12 <= touch <= 1.0
