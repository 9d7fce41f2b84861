"""Values, Greeks and implied volatilities against fifty digits, on both paths: ordinary chains, far wings, the last hour of trading."""

from __future__ import annotations

from collections.abc import Mapping

import mpmath
import numpy as np
import pytest

from core.pricing import bsm, implied

DIGITS = 50
REGIONS = {  # years, volatilities, deviations of the strike from the forward
    "a month": ((0.01, 0.3), (0.08, 0.6), (-5.0, 5.0)),
    "the last day": ((1e-4, 3e-3), (0.08, 0.6), (-6.0, 6.0)),
    "the last minute": ((2e-7, 2e-6), (0.05, 0.6), (-3.0, 3.0)),
    "far wings": ((0.02, 1.0), (0.1, 0.8), (-9.0, 9.0)),
    "years and wild": ((1.0, 10.0), (0.3, 3.0), (-3.0, 3.0)),
    "at the money": ((1e-5, 2.0), (0.05, 1.0), (-1e-6, 1e-6)),
}
SIZE = 120


def drawn(region: str) -> dict[str, np.ndarray]:
    years, vols, deviations = REGIONS[region]
    draw = np.random.default_rng(sorted(REGIONS).index(region))
    t_years, vol = np.exp(draw.uniform(*np.log(years), SIZE)), np.exp(draw.uniform(*np.log(vols), SIZE))
    forward = np.exp(draw.uniform(np.log(5.0), np.log(6000.0), SIZE))
    strike = forward * np.exp(draw.uniform(*deviations, SIZE) * vol * np.sqrt(t_years))
    return {"forward": forward, "strike": strike, "t_years": t_years, "vol": vol, "discount": np.exp(-0.04 * t_years),
            "right": np.where(strike > forward, 1, -1)}


def exact(row: Mapping[str, float]) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf]:
    """Value, delta and charm a year of Black-76 with fifty digits."""
    f, k, t, v, d = (mpmath.mpf(row[name]) for name in ("forward", "strike", "t_years", "vol", "discount"))
    s, sign = v * mpmath.sqrt(t), int(row["right"])
    d1 = mpmath.log(f / k) / s + s / 2
    d2 = d1 - s
    below = [mpmath.erfc(-sign * each / mpmath.sqrt(2)) / 2 for each in (d1, d2)]
    charm = -mpmath.log(d) / t * sign * below[0] + mpmath.npdf(d1) * d2 / (2 * t)
    return d * sign * (f * below[0] - k * below[1]), d * sign * below[0], d * charm


@pytest.mark.parametrize("region", REGIONS)
def test_value_when_the_price_is_over_a_billionth_then_the_relative_error_is_under_a_trillionth(region: str, each_path: str) -> None:
    given = drawn(region)
    rows = [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)]

    greeks = bsm.greeks_forward(**given)

    with mpmath.workdps(DIGITS):
        for place, row in enumerate(rows):
            value, delta, charm = exact(row)
            if value > 1e-9:
                assert abs(greeks.value[place] / value - 1) < 1e-12, row
                assert abs(greeks.delta[place] / delta - 1) < 1e-11, row
                assert abs(greeks.charm_per_day[place] * 365 - charm) < 1e-10 * (abs(charm) + 1), row


@pytest.mark.parametrize("region", REGIONS)
def test_implied_vol_when_the_price_is_exact_then_so_is_the_volatility(region: str, each_path: str) -> None:
    given = drawn(region)
    with mpmath.workdps(DIGITS):
        price = np.array([float(exact(dict(zip(given, row, strict=True)))[0]) for row in zip(*given.values(), strict=True)])
    known = price / given["discount"] < np.minimum(given["strike"], given["forward"]) * 0.999

    found = implied.implied_vol(price=price, **{name: each for name, each in given.items() if name != "vol"})

    np.testing.assert_allclose(found[known], given["vol"][known], rtol=5e-13)
