"""Exposure and stress against the closed form, and what happens where a number is missing."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.calendar import settlement_at, years_to
from core.domain.instruments import Equity, Index, Instrument, Option, series_of
from core.domain.money import from_market
from core.market.view import View
from core.portfolio.exposure import exposure
from core.pricing.bsm import greeks, value
from core.risk.measures import capital_by_underlying, measure, uncovered
from core.risk.stress import CRASH, SCENARIOS, UNKNOWN_VOL, Scenario, stress, worst_price
from tests.unit.risk.market import EXPIRY, FAR, NOW, VOL, account, book, call, chain, put, quoted, view

KO = Equity(symbol="KO")


def holdings(*items: tuple[Instrument, int]) -> dict[str, tuple[Instrument, int]]:
    return {item.key: (item, quantity) for item, quantity in items}


def worth(item: Option, *, spot: float, vol: float, t_years: float | None = None) -> float:
    years = years_to(settlement_at(item.series, item.expiry), NOW) if t_years is None else t_years
    return float(value(right=item.right.value, spot=spot, strike=float(item.strike), t_years=years, rate=0.0, dividend=0.0, vol=vol))


def test_stress_when_option_is_short_then_equals_full_repricing_with_vol_scaled_by_tenor() -> None:
    rows = stress(holdings((put(2800), -2)), view()).rows
    days = years_to(settlement_at(series_of("SPXW"), EXPIRY), NOW) * 365
    shift = 0.40 * math.sqrt(30 / days)
    expected = -200 * (worth(put(2800), spot=2320.0, vol=VOL + shift) - worth(put(2800), spot=2900.0, vol=VOL))
    assert rows[3].name == "-20%, VIX +40"
    assert rows[3].pnl_usd == pytest.approx(expected, rel=1e-6)


def test_stress_when_a_short_american_put_falls_deep_into_the_money_then_it_costs_its_exercise_at_least() -> None:
    item = put(300, root="SPY")
    market = replace(view(), rate=0.06)

    fall = (Scenario(name="fall", spot_move=-0.2, vol_points=0.0),)

    lost = stress(holdings((item, -1)), market, scenarios=fall).rows[0].pnl_usd

    exercise, t_years = 300.0 - 290.0 * 0.8, market.mark(item).t_years
    assert lost == pytest.approx(-100 * (exercise - market.mid(item)), abs=0.5)
    assert lost < -100 * (exercise * math.exp(-0.06 * t_years) - market.mid(item)) - 10.0  # what waiting for expiry would cost


def test_stress_when_nothing_moves_then_an_american_position_neither_gains_nor_loses() -> None:
    market = replace(view(), rate=0.06)
    held = holdings((put(300, root="SPY"), -1), (call(280, root="SPY"), 2), (put(270, root="SPY"), 1))

    row = stress(held, market, scenarios=(Scenario(name="calm", spot_move=0.0, vol_points=0.0),)).rows[0]

    assert row.pnl_usd == pytest.approx(0.0, abs=0.5)


def test_stress_when_vix_is_known_then_doubling_adds_its_level() -> None:
    row = stress(holdings((put(2800), -1)), view()).rows[4]
    days = years_to(settlement_at(series_of("SPXW"), EXPIRY), NOW) * 365
    shift = 0.15 * math.sqrt(30 / days)
    assert row.pnl_usd == pytest.approx(
        -100 * (worth(put(2800), spot=2900.0, vol=VOL + shift) - worth(put(2800), spot=2900.0, vol=VOL)), rel=1e-6
    )


def test_stress_when_vix_is_unknown_then_own_volatility_doubles() -> None:
    market = view(drop=[Index(symbol="VIX")])
    assert stress(holdings((put(2800), -1)), market).rows[4].pnl_usd == pytest.approx(
        stress(holdings((put(2800), -1)), view()).rows[4].pnl_usd, rel=1e-6
    )  # VIX 15 and the flat volatility are the same here


def test_stress_when_shares_then_move_with_spot() -> None:
    result = stress(holdings((KO, 100)), view())
    assert [row.pnl_usd for row in result.rows] == pytest.approx([-144.0, -240.0, -480.0, -960.0, 0.0])
    assert result.worst is not None
    assert (result.worst.name, result.loss_usd) == ("-20%, VIX +40", pytest.approx(960.0))


def test_stress_when_nothing_is_held_then_zero_loss() -> None:
    assert stress({}, view()).loss_usd == 0.0


def test_stress_when_book_only_gains_then_zero_loss() -> None:
    assert stress(holdings((put(2800), 1)), view(), scenarios=(CRASH,)).loss_usd == 0.0


def test_g6_stress_when_short_has_no_quote_then_worst_plausible_and_named() -> None:
    market = view(drop=[put(2800)])
    result, known = stress(holdings((put(2800), -1)), market), stress(holdings((put(2800), -1)), view())
    assert result.unmarked == (put(2800).label,)
    assert result.loss_usd is not None and known.loss_usd is not None
    assert result.loss_usd > known.loss_usd > 0
    assert worst_price(put(2800), short=True, view=market) == pytest.approx(worth(put(2800), spot=2900.0, vol=UNKNOWN_VOL), rel=1e-6)


def test_g6_stress_when_long_has_no_quote_then_it_may_lose_its_dearest_price() -> None:
    result = stress(holdings((put(2800), 1)), view(drop=[put(2800)]), scenarios=(Scenario(name="calm", spot_move=0.0, vol_points=0.0),))
    assert result.loss_usd == pytest.approx(100 * worth(put(2800), spot=2900.0, vol=UNKNOWN_VOL), rel=1e-6)
    assert worst_price(put(2800), short=False, view=view(drop=[put(2800)])) == 0.0


def test_g6_stress_when_quote_is_below_intrinsic_then_not_ignored() -> None:
    deep = call(2500)
    market = view(drop=[put(2500)], **quoted(deep, 390.0, 391.0))
    assert market.mark(deep).iv is None
    result = stress(holdings((deep, -1)), market)
    assert result.unmarked == (deep.label,)
    assert result.rows[4].pnl_usd is not None
    assert result.rows[4].pnl_usd < -10_000


def test_stress_when_underlying_is_unknown_then_unknown() -> None:
    result = stress(holdings((KO, 100), (put(2800), -1)), view(drop=[Index(symbol="SPX")]))
    assert {row.pnl_usd for row in result.rows} == {None}
    assert (result.worst, result.loss_usd) == (None, None)


def test_stress_when_option_is_on_vix_then_its_future_moves_by_the_points() -> None:
    vix_expiry = EXPIRY.replace(day=19)
    base = view()
    vix = call(20, root="VIX", expiry=vix_expiry)
    years = years_to(settlement_at(series_of("VIX"), vix_expiry), NOW)
    market = replace(
        base, chains={**base.chains, "VIX": chain("VIX", 15.0, {vix_expiry: "VIX"}, step=1, half_spread=0.05, at=NOW, vol=0.9)}
    )
    shift = 40.0 * min(1.0, math.sqrt(30 / (years * 365)))
    expected = -100 * (worth(vix, spot=15.0 + shift, vol=0.9, t_years=years) - worth(vix, spot=15.0, vol=0.9, t_years=years))
    assert stress(holdings((vix, -1)), market, scenarios=(CRASH,)).rows[0].pnl_usd == pytest.approx(expected, rel=1e-6)


def test_stress_when_volatility_falls_by_more_than_there_is_then_by_all_of_it() -> None:
    rows = stress(holdings((put(2950), 1)), view(), scenarios=(Scenario(name="calm", spot_move=0.0, vol_points=-60.0),)).rows

    assert rows[0].pnl_usd == pytest.approx(100 * (50.0 - worth(put(2950), spot=2900.0, vol=VOL)), rel=1e-6)


def test_stress_when_holdings_are_added_then_results_add() -> None:
    both = stress(holdings((put(2800), -3), (call(3050), -2), (KO, 10)), view())
    one, other = stress(holdings((put(2800), -3)), view()), stress(holdings((call(3050), -2), (KO, 10)), view())
    for total, first, second in zip(both.rows, one.rows, other.rows, strict=True):
        assert first.pnl_usd is not None and second.pnl_usd is not None
        assert total.pnl_usd == pytest.approx(first.pnl_usd + second.pnl_usd)


def test_scenarios_when_listed_then_those_of_the_rules() -> None:
    assert [(item.spot_move, item.vol_points) for item in SCENARIOS] == [(-0.03, 5), (-0.05, 10), (-0.10, 20), (-0.20, 40), (0.0, None)]


# --- exposure ------------------------------------------------------------------------------------------------------------


def test_exposure_when_option_is_short_then_greeks_in_money() -> None:
    found = exposure(holdings((put(2800), -2), (KO, 100)), view())
    years = years_to(settlement_at(series_of("SPXW"), EXPIRY), NOW)
    one = greeks(right="put", spot=2900.0, strike=2800.0, t_years=years, rate=0.0, dividend=0.0, vol=VOL)
    assert found.delta_usd_per_pct == pytest.approx(-200 * float(one.delta) * 29 + 48, rel=1e-6)
    assert found.gamma_usd_per_pct2 == pytest.approx(-200 * float(one.gamma) * 29 * 29, rel=1e-5)
    assert found.theta_usd_per_day == pytest.approx(-200 * float(one.theta_per_day), rel=1e-5)
    assert found.vega_usd_per_point == pytest.approx(-200 * float(one.vega_per_point), rel=1e-5)


def test_g6_exposure_when_a_contract_has_no_mark_then_unknown_and_named() -> None:
    found = exposure(holdings((put(2800), -2), (put(2750), 2)), view(drop=[put(2750)]))
    assert (found.delta_usd_per_pct, found.theta_usd_per_day, found.unmarked) == (None, None, (put(2750).label,))


# --- measures ------------------------------------------------------------------------------------------------------------


def test_measure_when_spread_is_held_then_margin_is_its_width() -> None:
    held = book((put(2800), -2), (put(2750), 2))
    found = measure(held.holdings(), book=held, view=view())
    assert (found.margin, found.margin_refusals, dict(found.uncovered)) == (10_000, (), {})
    market = view()
    assert found.net_liquidation == 100_000 + 200 * (from_4(market, put(2750)) - from_4(market, put(2800)))


def from_4(market: View, item: Option) -> Decimal:
    return from_market(market.mid(item), Decimal("0.0001"))


def test_g6_measure_when_short_has_no_quote_then_margin_assumes_the_dearest() -> None:
    held = book((put(2800), -1))
    blind, seen = (measure(held.holdings(), book=held, view=market) for market in (view(drop=[put(2800)]), view()))
    assert blind.margin is not None and seen.margin is not None
    assert blind.margin > seen.margin
    assert blind.net_liquidation is None


def test_uncovered_when_wing_expires_first_then_short_is_uncovered() -> None:
    found = uncovered(holdings((put(2800, expiry=FAR), -1), (put(2750), 1)))
    assert list(found.values()) == [1]
    assert found[("SPX", FAR, put(2800).right)] == 1


def test_capital_by_underlying_when_mixed_then_shares_spreads_and_longs_in_money() -> None:
    found = capital_by_underlying(
        holdings((KO, 100), (put(2800), -1), (put(2750), 1), (put(280, root="SPY"), 2)), kind=account().kind, view=view()
    )
    assert found["KO"] == 4800
    assert found["SPX"] == 5000
    assert float(found["SPY"] or 0) == pytest.approx(200 * view().mid(put(280, root="SPY")), abs=0.02)


def test_capital_by_underlying_when_short_is_naked_then_at_least_the_crash() -> None:
    found = capital_by_underlying(holdings((put(2800), -1)), kind=account().kind, view=view())["SPX"]
    assert found is not None
    assert float(found) == pytest.approx(stress(holdings((put(2800), -1)), view()).loss_usd, abs=0.01)
