"""The 30-day index: the worked strip, Cboe's rules for what belongs to it, a flat surface, and real closes where they are at hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.pricing import bsm, variance_index
from core.pricing.variance_index import ExpiryVariance, expiry_variance, index_level


def quoted(strike: np.ndarray, forward: float, t_years: float, rate: float, vol: float, width: float = 0.0) -> dict[str, np.ndarray]:
    """Both rights at their values, with a bid-ask width around them."""
    terms = {"forward": forward, "strike": strike, "t_years": t_years, "discount": math.exp(-rate * t_years), "vol": vol}
    call, put = bsm.value_forward(right=1, **terms), bsm.value_forward(right=-1, **terms)
    return {"strike": strike, "call_bid": call - width, "call_ask": call + width, "put_bid": put - width, "put_ask": put + width}


def expiry(days: int, vol: float) -> ExpiryVariance:
    return ExpiryVariance(days=days, t_years=days / 365, variance=vol * vol, forward=100.0, base=100.0, used=50)


def test_expiry_variance_when_the_strip_is_the_worked_example_then_its_figures() -> None:
    found = expiry_variance(
        strike=[90.0, 100.0, 110.0], call_bid=[11.0, 4.9, 1.4], call_ask=[11.4, 5.1, 1.6], put_bid=[1.0, 5.1, 11.6],
        put_ask=[1.2, 5.3, 12.0], days=91, t_years=0.25, rate=0.0,
    )

    assert found is not None
    assert found.forward == pytest.approx(99.8)
    assert found.base == 90.0
    strip = 10 / 90**2 * (11.2 + 1.1) / 2 + 10 / 100**2 * 5.0 + 10 / 110**2 * 1.5
    assert found.variance == pytest.approx(2 / 0.25 * strip - (99.8 / 90 - 1) ** 2 / 0.25, rel=1e-12)


def test_expiry_variance_when_volatility_is_flat_and_strikes_are_dense_then_its_square() -> None:
    strike = np.arange(40.0, 250.0, 0.05)

    found = expiry_variance(**quoted(strike, 100.3, 0.08, 0.03, 0.2), days=29, t_years=0.08, rate=0.03)

    assert found is not None
    assert math.sqrt(found.variance) == pytest.approx(0.2, abs=2e-5)
    assert found.forward == pytest.approx(100.3, abs=1e-9)


def test_expiry_variance_when_rates_count_then_the_difference_of_call_and_put_is_carried_to_expiry() -> None:
    quotes = quoted(np.arange(40.0, 201.0, 10.0), 104.0, 0.08, 0.25, 0.4)

    found = expiry_variance(**quotes, days=29, t_years=0.08, rate=0.25)

    assert found is not None
    assert found.forward == pytest.approx(104.0, rel=1e-12)
    assert found.base == 100.0


def test_expiry_variance_when_two_strikes_in_a_row_have_no_bid_then_the_strip_ends_there() -> None:
    strike = np.arange(70.0, 131.0, 5.0)
    quotes = quoted(strike, 100.2, 0.08, 0.0, 0.4)
    quotes["put_bid"] = quotes["put_bid"].copy()
    quotes["put_bid"][[0, 2, 3]] = 0.0  # 70 has a twin without bid inside of it; 80 and 85 end the puts
    quotes["call_bid"] = quotes["call_bid"].copy()
    quotes["call_bid"][-2] = 0.0  # one alone is passed over

    found = expiry_variance(**quotes, days=29, t_years=0.08, rate=0.0)

    assert found is not None
    assert found.used == 3 + 5  # 90, 95 and 100 below and at the money, then 105 to 130 without 125


def test_expiry_variance_when_no_pair_is_quoted_or_no_time_is_left_then_none() -> None:
    strike = np.arange(70.0, 131.0, 5.0)
    quotes = quoted(strike, 100.0, 0.08, 0.0, 0.3)

    assert expiry_variance(**quotes, days=0, t_years=0.0, rate=0.0) is None
    assert expiry_variance(**{**quotes, "put_bid": np.full(13, np.nan)}, days=29, t_years=0.08, rate=0.0) is None
    assert expiry_variance(**{name: each[-2:] for name, each in quotes.items()}, days=29, t_years=0.08, rate=0.0) is None


def test_index_level_when_two_terms_stand_around_thirty_days_then_variance_is_weighted() -> None:
    level = index_level([expiry(16, 0.9), expiry(24, 0.18), expiry(31, 0.22), expiry(38, 0.9)])

    share = (31 - 30) / (31 - 24)
    assert level == pytest.approx(100 * math.sqrt((share * 24 * 0.18**2 + (1 - share) * 31 * 0.22**2) / 30), rel=1e-12)


def test_index_level_when_it_is_a_wednesday_then_the_terms_of_thirty_and_thirty_seven_days() -> None:
    assert index_level([expiry(23, 0.5), expiry(30, 0.2), expiry(37, 0.3)]) == pytest.approx(20.0, rel=1e-12)


@pytest.mark.parametrize("terms", [[], [(24, 0.2)], [(31, 0.2)], [(23, 0.2), (31, 0.2)], [(24, 0.2), (38, 0.2)]], ids=str)
def test_index_level_when_a_term_is_missing_then_none(terms: list[tuple[int, float]]) -> None:
    assert index_level([expiry(*each) for each in terms]) is None


def test_index_level_when_variance_is_below_zero_then_none() -> None:
    bad = ExpiryVariance(days=30, t_years=30 / 365, variance=-0.1, forward=100.0, base=100.0, used=3)

    assert index_level([bad, expiry(37, 0.1)]) is None
    assert variance_index.TARGET_DAYS == 30


@pytest.mark.parametrize(
    ("name", "place", "wrong"), [("put_ask", 3, math.nan), ("put_ask", 3, math.inf), ("put_bid", 3, -1.0), ("put_bid", 3, 50.0)], ids=str
)
def test_expiry_variance_when_a_quote_is_none_then_the_strip_without_it(name: str, place: int, wrong: float) -> None:
    quotes = {each: column.copy() for each, column in quoted(np.arange(70.0, 131.0, 5.0), 100.2, 0.08, 0.0, 0.4).items()}
    whole = expiry_variance(**quotes, days=29, t_years=0.08, rate=0.0)
    quotes[name][place] = wrong

    found = expiry_variance(**quotes, days=29, t_years=0.08, rate=0.0)

    assert found is not None and whole is not None
    assert found.used == whole.used - 1
    assert found.variance == pytest.approx(whole.variance, rel=0.03)


def test_expiry_variance_when_the_strike_under_the_forward_lacks_a_side_then_the_next_one_is_the_base() -> None:
    quotes = {each: column.copy() for each, column in quoted(np.arange(60.0, 150.0, 1.0), 100.2, 0.08, 0.0, 0.2).items()}
    quotes["call_ask"][40] = math.nan

    found = expiry_variance(**quotes, days=29, t_years=0.08, rate=0.0)

    assert found is not None
    assert found.base == 99.0
    assert math.sqrt(found.variance) == pytest.approx(0.2, abs=2e-3)
