"""Smiles and surfaces: quotes met, no arbitrage by construction, sane wings, and time that respects events."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.pricing import bsm, surface
from core.pricing.surface import Event, Quiet

K = np.linspace(-0.4, 0.2, 61)
WIDE = np.linspace(-1.5, 1.0, 501)


def skewed(k: np.ndarray, t_years: float) -> np.ndarray:
    """An index's smile: SVI in standard deviations, steep on the put side."""
    y = k / (0.17 * math.sqrt(t_years))
    return 0.17 * np.sqrt(1.0 + 0.12 * (-0.7 * y + np.sqrt(1.0 + y * y) - 1.0))


def smile(t_years: float, *, level: float = 1.0) -> surface.Smile:
    made = surface.fit_smile(k=K * math.sqrt(t_years / 0.25), vol=level * skewed(K * math.sqrt(t_years / 0.25), t_years), t_years=t_years)
    assert made is not None
    return made


def densities(k: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Second differences of the call in the strike, from out-of-the-money prices over the forward."""
    strikes = np.exp(k)
    calls = np.where(k < 0.0, prices + 1.0 - strikes, prices)
    return np.diff(np.diff(calls) / np.diff(strikes))


@pytest.mark.parametrize("t_years", [1 / 365, 0.05, 0.25, 2.0])
def test_fit_smile_when_quotes_are_smooth_then_met_within_a_tenth_of_a_point(t_years: float) -> None:
    made = smile(t_years)

    k = K * math.sqrt(t_years / 0.25)
    assert made.misfit < 1e-3
    np.testing.assert_allclose(made.vol(k), skewed(k, t_years), atol=3e-3)


def test_fit_smile_when_made_then_mean_and_sum_of_the_mixture_are_one() -> None:
    made = smile(0.25)

    assert float(np.sum(made.chance)) == pytest.approx(1.0, abs=1e-12)
    assert float(made.centre @ made.chance) == pytest.approx(1.0, abs=1e-12)
    assert (made.chance > 0.0).all()


def test_smile_when_looked_at_far_beyond_its_quotes_then_no_butterfly_costs_less_than_nothing_and_wings_keep_to_lees_bound() -> None:
    made = smile(0.25)

    assert densities(WIDE, made.price(WIDE)).min() > -1e-12
    slopes = np.diff(made.variance(WIDE)) / np.diff(WIDE)
    assert np.abs(slopes).max() < 2.0
    assert (made.vol(WIDE) > 0.05).all()
    assert (made.vol(WIDE) < 1.5).all()


def test_smile_when_quotes_have_a_butterfly_arbitrage_then_the_check_says_so_and_the_fit_has_none() -> None:
    vols = skewed(K, 0.25)
    vols[30] += 0.03

    made = surface.fit_smile(k=K, vol=vols, t_years=0.25)

    assert surface.butterfly_gaps(K, vols, 0.25).min() < -1e-4
    assert surface.butterfly_gaps(K, skewed(K, 0.25), 0.25).min() > 0.0
    assert made is not None
    assert densities(WIDE, made.price(WIDE)).min() > -1e-12
    assert made.misfit > 1e-3


def test_fit_smile_when_a_quote_weighs_little_then_it_moves_little() -> None:
    vols, weight = skewed(K, 0.25), np.ones_like(K)
    vols[20], weight[20] = vols[20] + 0.05, 1e-3

    made = surface.fit_smile(k=K, vol=vols, t_years=0.25, weight=weight)

    assert made is not None
    assert float(made.vol(K[20])) == pytest.approx(float(skewed(K, 0.25)[20]), abs=2e-3)


@pytest.mark.parametrize(
    "changed",
    [{"t_years": 0.0}, {"t_years": math.nan}, {"vol": math.nan}, {"vol": -0.2}, {"weight": 0.0}, {"k": K[:4], "vol": 0.2}],
    ids=str,
)
def test_fit_smile_when_there_is_too_little_to_fit_then_none(changed: dict[str, object]) -> None:
    given = {"k": K, "vol": skewed(K, 0.25), "t_years": 0.25, **changed}

    assert surface.fit_smile(**given) is None


def test_surface_when_a_later_smile_is_worth_less_then_it_is_lifted_and_told() -> None:
    made = surface.make_surface([smile(0.25), smile(0.30, level=0.8), smile(0.5)])

    k = np.linspace(-0.3, 0.15, 31)
    rows = made.variances(k)
    assert (np.diff(rows, axis=0) >= -1e-12).all()
    gaps = made.calendar_gaps(k)
    assert gaps[0].min() < -1e-4
    assert gaps[1].min() > 0.0
    lifted = np.maximum(made.smiles[0].price(WIDE), made.smiles[1].price(WIDE))
    assert densities(WIDE, lifted).min() > -1e-12


def test_surface_when_time_lies_between_expiries_then_total_variance_is_straight_and_rises() -> None:
    made = surface.make_surface([smile(0.1), smile(0.3)])

    near, middle, far = (made.variance(-0.05, t) for t in (0.1, 0.2, 0.3))

    assert float(middle) == pytest.approx((float(near) + float(far)) / 2, rel=1e-9)
    times = np.linspace(0.01, 1.0, 60)
    assert (np.diff(made.variance(-0.05, times)) > 0.0).all()
    assert np.isnan(made.vol(0.0, 0.0))


def test_surface_when_time_is_before_the_first_or_after_the_last_then_volatility_is_kept() -> None:
    made = surface.make_surface([smile(0.1), smile(0.3)])

    assert float(made.vol(0.02, 0.05)) == pytest.approx(float(made.smiles[0].vol(0.02)), rel=1e-9)
    assert float(made.vol(0.02, 0.9)) == pytest.approx(float(np.sqrt(made.variances(0.02)[1] / 0.3)), rel=1e-9)


def test_surface_when_an_event_lies_between_two_expiries_then_variance_jumps_there_and_nowhere_else() -> None:
    event = Event(t_years=0.2, extra_days=10.0)
    plain, made = (surface.make_surface([smile(0.1), smile(0.3)], events=events) for events in ((), (event,)))

    before, after = made.variance(0.0, 0.1999), made.variance(0.0, 0.2001)
    jump = float(after - before)

    rise = float(made.variance(0.0, 0.3) - made.variance(0.0, 0.1))
    assert jump == pytest.approx(rise * (10 / 365) / (0.2 + 10 / 365), rel=0.02)
    assert float(before) < float(plain.variance(0.0, 0.1999))
    assert float(made.variance(0.0, 0.3)) == pytest.approx(float(plain.variance(0.0, 0.3)), rel=1e-12)


def test_weighted_years_when_a_weekend_counts_a_third_then_two_days_are_two_thirds_of_one() -> None:
    weekend = Quiet(start_years=1 / 365, end_years=3 / 365, weight=1 / 3)

    clock = surface.weighted_years(np.array([0.0, 1.0, 2.0, 3.0, 5.0]) / 365, quiet=(weekend,))

    np.testing.assert_allclose(clock * 365, [0.0, 1.0, 1.0 + 1 / 3, 1.0 + 2 / 3, 3.0 + 2 / 3], rtol=1e-12)


def test_make_surface_when_there_is_nothing_or_two_of_one_time_then_value_error() -> None:
    for smiles in ([], [smile(0.1), smile(0.1)]):
        with pytest.raises(ValueError, match="different expiries"):
            surface.make_surface(smiles)


def test_smile_when_one_lognormal_made_the_quotes_then_the_smile_is_flat() -> None:
    made = surface.fit_smile(k=K, vol=0.2, t_years=0.25)

    assert made is not None
    np.testing.assert_allclose(made.vol(np.linspace(-0.4, 0.2, 13)), 0.2, atol=2e-3)
    exact = bsm.value_forward(right=-1, forward=1.0, strike=math.exp(-0.1), t_years=0.25, discount=1.0, vol=0.2)
    assert float(made.price(-0.1)) == pytest.approx(float(exact), rel=0.02)


def test_fit_smile_when_a_quote_is_absurd_then_it_does_not_count() -> None:
    vols, plain = skewed(K, 0.25), smile(0.25)
    vols[30] = 1e6

    made = surface.fit_smile(k=K, vol=vols, t_years=0.25)

    assert made is not None
    np.testing.assert_allclose(made.vol(K), plain.vol(K), atol=1e-3)
    assert surface.fit_smile(k=K, vol=1e300, t_years=0.25) is None


def test_fit_smile_when_it_holds_a_quoted_option_worthless_then_the_misfit_says_so() -> None:
    made = surface.fit_smile(k=np.append(K, 2.0), vol=np.append(skewed(K, 0.003), 3.0), t_years=0.003)

    assert made is not None
    assert made.misfit > 0.1
