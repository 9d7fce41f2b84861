"""Greeks of holdings in money: what is added up, and how far a move of a volatility index reaches."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.adjusting import split_option
from core.domain.calendar import settlement_at
from core.domain.instruments import Option, Right, series_of
from core.domain.listing import option
from core.market.quote import Quote
from core.market.view import OptionMark, View
from core.portfolio.exposure import exposure
from core.risk.stress import stress

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def mark(delta: float, *, days: float, spot: float, forward: float) -> OptionMark:
    return OptionMark(
        mid=1.0, iv=0.8, delta=delta, gamma=0.01, theta_per_day=-0.02, vega_per_point=0.03, spot=spot, forward=forward, discount=1.0,
        t_years=days / 365.0,
    )


def view_of(symbol: str, level: float) -> View:
    quote = Quote(key=symbol, bid=level, ask=level, at=AT, source="test")
    return View(at=AT, session=date(2026, 11, 20), label="TEST", quotes={symbol: quote}, chains={})


def test_exposure_when_an_index_put_is_short_then_as_its_example_says() -> None:
    contract, view = option("SPXW", date(2026, 12, 18), Right.PUT, Decimal(2700)), view_of("SPX", 3000.0)
    view._marks[contract.key] = mark(-0.20, days=28, spot=3000.0, forward=3000.0)

    found = exposure({contract.key: (contract, -1)}, view)

    assert found.delta_usd_per_pct == pytest.approx(600.0)
    assert found.theta_usd_per_day == pytest.approx(2.0)
    assert found.vega_usd_per_point == pytest.approx(-3.0)


def test_exposure_when_a_volatility_option_is_far_then_half_of_a_move_of_the_index_reaches_it() -> None:
    contract, view = option("VIX", date(2027, 3, 17), Right.CALL, Decimal(20)), view_of("VIX", 20.0)
    view._marks[contract.key] = mark(0.50, days=120, spot=20.0, forward=22.0)

    found = exposure({contract.key: (contract, 1)}, view)

    assert found.delta_usd_per_pct == pytest.approx(5.0)
    assert found.gamma_usd_per_pct2 == pytest.approx(0.01 * 100 * (20.0 * 0.01 * 0.5) ** 2)


def test_mark_when_on_a_volatility_index_then_delta_is_against_the_future() -> None:
    contract = option("VIX", date(2027, 3, 17), Right.CALL, Decimal(20))
    years = (settlement_at(series_of("VIX"), contract.expiry) - AT) / timedelta(days=365)
    quotes = {
        key: Quote(key=key, bid=bid, ask=ask, at=AT, source="test") for key, bid, ask in (("VIX", 15.0, 15.0), (contract.key, 3.0, 3.1))
    }
    view = View(at=AT, session=AT.date(), label="TEST", quotes=quotes, chains={}, rate=0.0)
    view._curves["VIX", contract.expiry, "VIX"] = (20.0, 1.0)  # the future stands far over the index

    found = view.mark(contract)

    assert 0.5 < found.delta < 0.65  # at the money of its future; a third more against the index
    assert found.t_years == pytest.approx(years, rel=0.01)


def quoted(contract: Option, *, spot: float) -> View:
    """One quote of the contract, 1.50 whatever its terms are, beside its underlying and VIX."""
    prices = (("KO", spot), ("VIX", 20.0), (contract.key, 1.5))
    quotes = {key: Quote(key=key, bid=price, ask=price, at=AT, source="test") for key, price in prices}
    return View(at=AT, session=AT.date(), label="TEST", quotes=quotes, chains={}, rate=0.0)


@pytest.mark.parametrize(("right", "strike"), [(Right.PUT, 63), (Right.CALL, 69), (Right.CALL, 65)])
def test_greeks_and_stress_when_a_contract_is_adjusted_then_they_are_what_they_were_before_the_split(right: Right, strike: int) -> None:
    before = option("KO", date(2027, 1, 15), right, Decimal(strike))
    after = split_option(before, 1, new=3, old=2).instrument
    assert isinstance(after, Option) and (after.root, after.shares, after.strike) == ("KO1", 150, strike)
    old, new = quoted(before, spot=66.0), quoted(after, spot=44.0)
    greeks_before, greeks_after = exposure({before.key: (before, -2)}, old), exposure({after.key: (after, -2)}, new)

    assert greeks_after.delta_usd_per_pct == pytest.approx(greeks_before.delta_usd_per_pct)
    assert greeks_after.gamma_usd_per_pct2 == pytest.approx(greeks_before.gamma_usd_per_pct2)
    assert greeks_after.theta_usd_per_day == pytest.approx(greeks_before.theta_usd_per_day)
    assert greeks_after.vega_usd_per_point == pytest.approx(greeks_before.vega_usd_per_point)
    assert new.mark(after).delta == pytest.approx(old.mark(before).delta)
    assert stress({after.key: (after, -2)}, new).worst.pnl_usd == pytest.approx(stress({before.key: (before, -2)}, old).worst.pnl_usd)
