"""Worth and Greeks over prices: at no move the book's own figures, at expiry the exact payoff, in between the model's."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from core.domain.instruments import Equity, Instrument
from core.errors import Unavailable
from core.portfolio.exposure import exposure
from core.pricing.bsm import value
from core.risk.examine import held_payoff
from core.risk.profile import Holdings, profile, worth
from tests.unit.risk.market import FAR, VOL, call, put, view

MOVES = (-0.1, -0.03, 0.0, 0.02, 0.1)


def holdings(*items: tuple[Instrument, int]) -> dict[str, tuple[Instrument, int]]:
    return {item.key: (item, quantity) for item, quantity in items}


def test_profile_when_the_put_of_the_example_is_over_then_is_worth_its_exercise() -> None:
    held, market = holdings((put(2850), -1)), view()
    years = market.mark(put(2850)).t_years

    found = worth(held, market, moves=(2800 / 2900 - 1, 0.0), years=years)

    assert found == pytest.approx([-100 * 50.0, 0.0], abs=1e-6)


def test_profile_when_nothing_moves_then_worth_is_that_of_the_mids() -> None:
    held, market = holdings((put(2800), -2), (call(3000, expiry=FAR), 1), (put(280, root="SPY"), 3)), replace(view(), rate=0.03)

    found = worth(held, market, moves=(0.0,))

    mids = sum(quantity * 100 * market.mid(item) for item, quantity in held.values())
    assert found[0] == pytest.approx(mids, abs=0.5)


def test_profile_when_spot_falls_then_worth_is_the_closed_form_at_the_same_volatility() -> None:
    market = view()
    t_years = market.mark(put(2800)).t_years

    found = worth(holdings((put(2800), -2)), market, moves=(-0.05,))

    expected = -200 * float(value(right=-1, spot=2755.0, strike=2800, t_years=t_years, rate=0.0, dividend=0.0, vol=VOL))
    assert found[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "held",
    [
        holdings((put(2800), -3), (put(2750), 3)),
        holdings((call(3000, expiry=FAR), 2), (call(3000), -2)),
        holdings((put(285, root="SPY"), -1), (Equity(symbol="SPY"), 100)),
    ],
)
def test_profile_when_nothing_moves_then_the_greeks_are_those_of_the_book(held: Holdings) -> None:
    market = replace(view(), rate=0.03)

    found, own = profile(held, market, moves=MOVES), exposure(held, market)

    assert found.delta_usd_per_pct[2] == pytest.approx(own.delta_usd_per_pct, rel=1e-4)
    assert found.gamma_usd_per_pct2[2] == pytest.approx(own.gamma_usd_per_pct2, rel=1e-3, abs=1e-6)
    assert found.theta_usd_per_day[2] == pytest.approx(own.theta_usd_per_day, rel=1e-3, abs=1e-6)
    assert found.vega_usd_per_point[2] == pytest.approx(own.vega_usd_per_point, rel=1e-4, abs=1e-6)


def test_profile_when_the_forward_lies_over_spot_then_theta_holds_it_as_the_book_does() -> None:
    even = view()
    market = replace(even, chains={**even.chains, "SPX": replace(even.chains["SPX"], spot=2880.0)})
    held = holdings((put(2800), -3), (call(3000), 2))

    found, own = profile(held, market, moves=(0.0,)), exposure(held, market)

    assert market.mark(put(2800)).forward > 2890.0
    assert found.theta_usd_per_day[0] == pytest.approx(own.theta_usd_per_day, rel=1e-6)
    assert found.delta_usd_per_pct[0] == pytest.approx(own.delta_usd_per_pct, rel=1e-6)


def test_profile_when_delta_is_compared_with_worth_then_is_its_slope() -> None:
    held, market, step = holdings((put(2800), -3), (call(3000), 2)), view(), 1e-4

    found = profile(held, market, moves=(0.03,)).delta_usd_per_pct[0]

    low, high = worth(held, market, moves=(0.03 - step, 0.03 + step))
    assert found == pytest.approx((high - low) / (2 * step) * 1.03 / 100, rel=1e-4)


def test_profile_when_a_volatility_is_unknown_then_says_so_and_invents_none() -> None:
    with pytest.raises(Unavailable):
        worth(holdings((put(2800), -1)), view(drop=[put(2800)]), moves=(0.0,))


def test_held_payoff_when_compared_with_worth_at_expiry_then_is_the_same() -> None:
    held, market = holdings((put(2800), -3), (put(2750), 3)), view()
    exact = held_payoff(list(held.values()), net_cash=Decimal(0))
    assert exact is not None

    found = worth(held, market, moves=MOVES, years=market.mark(put(2800)).t_years)

    spots = [2900.0 * (1 + move) for move in MOVES]
    assert np.allclose(found, [float(exact.at(Decimal(str(spot)))) for spot in spots], atol=1e-6)
