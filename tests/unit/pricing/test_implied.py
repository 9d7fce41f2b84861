"""Implied volatility: round trips, prices without one, vollib as an oracle, parity forwards, and a real chain where one is at hand."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from vollib.black.implied_volatility import implied_volatility as vollib_implied

from core.pricing import bsm, implied


@pytest.mark.parametrize(
    ("log_strikes", "total_vols"),
    [((-0.3, 0.3), (0.005, 0.6)), ((-0.05, 0.05), (0.0005, 0.05)), ((-3.0, 3.0), (0.01, 4.0)), ((-1e-6, 1e-6), (1e-4, 3.0)),
     ((-20.0, 20.0), (0.1, 10.0)), ((0.0, 0.0), (1e-4, 5.0))],
    ids=["listed", "0dte", "wide", "at-the-money", "extreme", "exactly-at-the-money"],
)
def test_implied_vol_when_an_out_of_the_money_price_is_inverted_then_ten_digits_return(
    log_strikes: tuple[float, float], total_vols: tuple[float, float]
) -> None:
    draw = np.random.default_rng(20190425)
    strike = 100.0 * np.exp(draw.uniform(*log_strikes, 5000))
    t_years, right = draw.uniform(0.0005, 2.0, 5000), np.where(strike >= 100.0, 1, -1)
    vol = np.exp(draw.uniform(*np.log(total_vols), 5000)) / np.sqrt(t_years)
    price = bsm.value_forward(right=right, forward=100.0, strike=strike, t_years=t_years, discount=0.97, vol=vol)
    seen = (price > 1e-290) & (price / 0.97 < np.minimum(strike, 100.0) * (1.0 - 1e-6))  # beyond, the price does not know its volatility

    result = implied.implied_vol(right=right, price=price, forward=100.0, strike=strike, t_years=t_years, discount=0.97)

    np.testing.assert_allclose(result[seen], vol[seen], rtol=1e-10, atol=0.0)


def test_implied_vol_when_an_in_the_money_price_is_inverted_then_it_returns_to_the_price_s_own_precision() -> None:
    strike, vol = np.linspace(70.0, 130.0, 61), 0.22
    right = np.where(strike >= 100.0, -1, 1)
    price = bsm.value_forward(right=right, forward=100.0, strike=strike, t_years=0.25, discount=0.99, vol=vol)

    result = implied.implied_vol(right=right, price=price, forward=100.0, strike=strike, t_years=0.25, discount=0.99)

    np.testing.assert_allclose(result, vol, atol=1e-10)


def test_implied_vol_when_compared_with_vollib_then_equal() -> None:
    strike, price = np.meshgrid([80.0, 95.0, 100.0, 105.0, 125.0], [0.01, 0.3, 2.0, 9.0])
    rate, t_years = 0.04, 30 / 365
    discount = math.exp(-rate * t_years)

    result = implied.implied_vol(right="call", price=price, forward=100.0, strike=strike, t_years=t_years, discount=discount)

    for ours, k, p in zip(result.ravel(), strike.ravel(), price.ravel(), strict=True):
        if p > discount * max(100.0 - k, 0.0):
            assert ours == pytest.approx(vollib_implied(p, 100.0, k, rate, t_years, "c"), rel=1e-9)
        else:
            assert math.isnan(ours)


@pytest.mark.parametrize(
    "changed",
    [{"price": 0.0}, {"price": -1.0}, {"price": math.nan}, {"price": math.inf}, {"price": 0.99 * 100.0}, {"price": 150.0},
     {"price": 0.99 * 10.0, "strike": 90.0}, {"price": 5.0, "strike": 90.0}, {"t_years": 0.0}, {"t_years": -1.0}, {"t_years": math.nan},
     {"t_years": math.inf}, {"forward": math.nan}, {"forward": 0.0}, {"forward": -5.0}, {"strike": 0.0}, {"strike": math.nan},
     {"discount": 0.0}, {"discount": -0.5}, {"discount": math.nan}],
    ids=str,
)
def test_implied_vol_when_no_volatility_explains_the_price_then_nan(changed: dict[str, float]) -> None:
    quote = {"price": 4.0, "forward": 100.0, "strike": 100.0, "t_years": 0.25, "discount": 0.99}

    result = implied.implied_vol(right="call", **{**quote, **changed})

    assert result.shape == ()
    assert math.isnan(float(result))


def test_implied_vol_when_a_put_costs_its_discounted_strike_then_nan() -> None:
    assert np.isnan(implied.implied_vol(right="put", price=[89.1, 90.0], forward=100.0, strike=90.0, t_years=1.0, discount=0.99)).all()


def test_implied_vol_when_time_value_is_lost_in_rounding_then_nan() -> None:
    # 3000 - 100 is 2900 with a step of 4.5e-13 between neighbouring floats: one step above is no information.
    price = np.nextafter(2900.0, 3000.0)

    assert np.isnan(implied.implied_vol(right="call", price=price, forward=3000.0, strike=100.0, t_years=0.01, discount=1.0))


def test_implied_vol_when_what_lacks_to_the_bound_is_rounding_then_nan(each_path: str) -> None:
    # 1 / 1e-5 is one step under 100,000, so that a put at its very bound seems to lack something.
    assert np.isnan(implied.implied_vol(right="put", price=1.0, forward=1e5, strike=1e5, t_years=1.0, discount=1e-5))


def test_implied_vol_when_one_lane_has_none_then_the_others_are_found() -> None:
    result = implied.implied_vol(right=[1, 1, -1], price=[4.0, -1.0, 4.0], forward=100.0, strike=100.0, t_years=0.25, discount=0.99)

    assert np.isnan(result).tolist() == [False, True, False]
    assert result[0] == pytest.approx(result[2], rel=1e-12)


def test_implied_vol_when_nothing_is_given_then_an_empty_array() -> None:
    empty = np.array([])

    result = implied.implied_vol(right=empty, price=empty, forward=100.0, strike=empty, t_years=0.1, discount=1.0)

    assert result.shape == (0,)


def parity_chain(*, forward: float, discount: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    strike = np.arange(2500.0, 3305.0, 5.0)
    vol = 0.18 - 0.4 * np.log(strike / forward)
    call, put = (
        bsm.value_forward(right=right, forward=forward, strike=strike, t_years=0.1, discount=discount, vol=vol) for right in ("call", "put")
    )
    return strike, call, put


def test_forward_discount_when_prices_obey_parity_then_both_are_read_exactly() -> None:
    strike, call, put = parity_chain(forward=2931.5, discount=0.9975)

    assert implied.forward_discount(strike=strike, call_mid=call, put_mid=put) == pytest.approx((2931.5, 0.9975), rel=1e-10)


def test_forward_discount_when_quotes_are_stale_or_missing_then_the_rest_decides() -> None:
    strike, call, put = parity_chain(forward=2931.5, discount=0.9975)
    call[::7] += 25.0
    put[3::11] = np.nan
    call[5::13] = 0.0

    forward, discount = implied.forward_discount(strike=strike, call_mid=call, put_mid=put) or (math.nan, math.nan)

    assert forward == pytest.approx(2931.5, abs=0.01)
    assert discount == pytest.approx(0.9975, abs=1e-6)


def test_forward_discount_when_the_discount_is_known_then_only_the_forward_is_read() -> None:
    strike, call, put = parity_chain(forward=2931.5, discount=0.9999)

    result = implied.forward_discount(strike=strike, call_mid=np.round(call * 2) / 2, put_mid=np.round(put * 2) / 2, discount=0.9999)

    assert result is not None
    assert result[1] == 0.9999
    assert result[0] == pytest.approx(2931.5, abs=0.1)


def test_forward_discount_when_four_pairs_are_quoted_then_they_are_enough() -> None:
    strike, call, put = (column[80:84] for column in parity_chain(forward=2931.5, discount=0.9975))

    assert implied.forward_discount(strike=strike, call_mid=call, put_mid=put) == pytest.approx((2931.5, 0.9975), rel=1e-9)


@pytest.mark.parametrize(
    "chain",
    [([100.0, 105.0, 110.0], [6.0, 3.0, 1.0], [1.0, 3.0, 6.0]), ([], [], []), ([100.0] * 5, [6.0] * 5, [1.0] * 5),
     ([90.0, 95.0, 100.0, 105.0], [math.nan] * 4, [1.0, 2.0, 3.0, 4.0]), ([90.0, 95.0, 100.0, 105.0], [5.0] * 4, [5.0] * 4)],
    ids=["three pairs", "empty", "one strike", "no calls", "no slope"],
)
def test_forward_discount_when_pairs_are_too_few_or_say_nothing_then_none(chain: tuple[list[float], list[float], list[float]]) -> None:
    strike, call, put = chain

    assert implied.forward_discount(strike=strike, call_mid=call, put_mid=put) is None


def test_carry_rates_when_forward_and_discount_are_known_then_the_spot_model_gives_the_same_value() -> None:
    rate, dividend = implied.carry_rates(spot=2900.0, forward=2931.5, discount=0.9975, t_years=0.1)

    by_spot = bsm.value(right="put", spot=2900.0, strike=2800.0, t_years=0.1, rate=rate, dividend=dividend, vol=0.2)

    by_forward = bsm.value_forward(right="put", forward=2931.5, strike=2800.0, t_years=0.1, discount=0.9975, vol=0.2)
    assert float(by_spot) == pytest.approx(float(by_forward), rel=1e-12)


def test_carry_rates_when_no_time_is_left_then_nan() -> None:
    assert np.isnan(implied.carry_rates(spot=100.0, forward=100.0, discount=1.0, t_years=0.0)).all()


@pytest.mark.skipif("DESK_REAL_DATA" not in os.environ, reason="DESK_REAL_DATA is not set: no recorded chain on this machine")
def test_implied_vol_when_the_spx_chain_of_2019_is_read_then_the_vendor_s_volatilities_are_met_near_the_money() -> None:
    import pandas as pd

    path = Path(os.environ["DESK_REAL_DATA"]) / "spx_spxw_chain_2019-04-25_2019-07-22.csv.xz"
    columns = ["quote_date", "underlying_last", "root", "type", "expiration", "strike", "bid", "ask", "implied_vol"]
    chain = pd.read_csv(path, usecols=columns, skiprows=range(1, 339_353), nrows=42_197)
    assert set(chain.quote_date) == {"2019-06-03", "2019-06-04", "2019-06-05"}  # the vendor's clock is off on some days of April and May
    chain["days"] = (pd.to_datetime(chain.expiration) - pd.to_datetime(chain.quote_date)).dt.days
    chain["mid"] = (chain.bid + chain.ask) / 2
    chain = chain[(chain.bid > 0) & (chain.root == "SPXW") & chain.days.between(8, 90)]
    differences, rates = [], []
    for (_, _), expiry in chain.groupby(["quote_date", "expiration"]):
        mids = expiry.pivot(index="strike", columns="type", values="mid")
        parity = implied.forward_discount(strike=mids.index, call_mid=mids["call"], put_mid=mids["put"])
        assert parity is not None
        forward, discount = parity
        t_years = expiry.days.iloc[0] / 365
        assert forward == pytest.approx(expiry.underlying_last.iloc[0], rel=0.01)
        rates.append(-math.log(discount) / t_years)
        near = expiry[(abs(expiry.strike / forward - 1) < 0.05) & ((expiry.type == "call") == (expiry.strike >= forward))]
        right = np.where(near.type == "call", 1, -1)
        vols = implied.implied_vol(right=right, price=near.mid, forward=forward, strike=near.strike, t_years=t_years, discount=discount)
        assert np.isfinite(vols).all()
        differences.append(np.abs(vols - near.implied_vol.to_numpy()))

    # The vendor prints four digits and measures time to the minute, we to the day here; the measured median is 0.00016.
    assert float(np.median(np.concatenate(differences))) < 0.0005
    assert float(np.median(rates)) == pytest.approx(0.0255, abs=0.005)  # three-month Treasury and Libor stood at 2.4 to 2.6 %
