"""Chances and expectations against published barrier values, QuantLib, quadrature and what must hold in the limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import mpmath
import numpy as np
import pytest
import QuantLib as ql
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from core.pricing import bsm, odds
from core.pricing.odds import Density, lognormal, payoff_curve, smile_density, touch_lognormal, value_curve
from core.pricing.payoff import Payoff, PayoffLeg, expiry_payoff, probability_of_profit
from core.pricing.scenarios import Legs, make_legs
from core.pricing.surface import Smile

FORWARD, YEARS, VOL = 101.0, 45 / 365, 0.28


def leg(kind: str, strike: str | None, quantity: int) -> PayoffLeg:
    multiplier = Decimal(1 if kind == "stock" else 100)
    return PayoffLeg(kind=kind, strike=None if strike is None else Decimal(strike), quantity=quantity, multiplier=multiplier)


TRADES = {
    "put": expiry_payoff([leg("put", "95", -1)], net_cash=Decimal(120)),
    "vertical": expiry_payoff([leg("put", "95", -1), leg("put", "90", 1)], net_cash=Decimal(130)),
    "condor": expiry_payoff(
        [leg("put", "90", 1), leg("put", "95", -1), leg("call", "108", -1), leg("call", "113", 1)], net_cash=Decimal(210)
    ),
    "call": expiry_payoff([leg("call", "105", 2)], net_cash=Decimal(-430)),
    "strangle": expiry_payoff([leg("call", "110", -1), leg("put", "90", -1)], net_cash=Decimal(260)),
    "covered": expiry_payoff([leg("stock", None, 100), leg("call", "105", -1)], net_cash=Decimal(-9700)),
    "butterfly": expiry_payoff([leg("call", "95", 1), leg("call", "100", -2), leg("call", "105", 1)], net_cash=Decimal(-120)),
    "ratio": expiry_payoff([leg("put", "100", 1), leg("put", "95", -2)], net_cash=Decimal(15)),
}
SMILE = Smile(
    t_years=YEARS, centre=np.array([0.9, 1.02, 1.1]) / 1.008, width=np.array([0.14, 0.07, 0.05]), chance=np.array([0.2, 0.65, 0.15]),
    misfit=0.0, low=-0.3, high=0.2,
)
DENSITIES = {
    "lognormal": lognormal(forward=FORWARD, t_years=YEARS, vol=VOL),
    "smile": smile_density(SMILE, forward=FORWARD),
}


def result_at(payoff: Payoff, price: float) -> float:
    """The definition, written again in floats."""
    total = float(payoff.net_cash)
    for each in payoff.legs:
        gap = price if each.strike is None else (price - float(each.strike)) * (1 if each.kind == "call" else -1)
        total += float(each.units) * (gap if each.strike is None else max(gap, 0.0))
    return total


def by_quadrature(payoff: Payoff, density: Density, of: Callable[[float], float]) -> float:
    """The mean of a function of the result, integrated between all corners."""
    corners = sorted({each.strike for each in payoff.legs if each.strike is not None} | set(payoff.break_evens))
    total = mpmath.mpf(0)
    with mpmath.workdps(20):
        for forward, width, chance in zip(density.forward, density.total_vol, density.chance, strict=True):
            edges = [-12.0, *(float((math.log(float(each) / forward) + width**2 / 2) / width) for each in corners if each > 0), 12.0]

            def weighted(z: mpmath.mpf, forward: float = forward, width: float = width) -> mpmath.mpf:
                price = forward * mpmath.exp(width * z - width**2 / 2)
                return of(result_at(payoff, float(price))) * mpmath.npdf(z)

            total += float(chance) * mpmath.quad(weighted, sorted(each for each in edges if -12.0 <= each <= 12.0))
        return float(total)


def worst_mean(mean_gap: Callable[[float], float], share: float, low: float, high: float) -> float:
    """Expected shortfall as the least of Rockafellar and Uryasev's function, found by search."""
    found = minimize_scalar(lambda q: mean_gap(q) / share - q, bounds=(low, high), method="bounded", options={"xatol": 1e-7})
    return float(found.fun)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("trade", TRADES)
def test_odds_when_integrated_numerically_then_chance_and_mean_are_met(trade: str, name: str) -> None:
    payoff, density = TRADES[trade], DENSITIES[name]

    found = odds.odds(payoff, density)

    assert found.profit == pytest.approx(by_quadrature(payoff, density, lambda result: float(result > 0)), abs=1e-9)
    assert found.expected == pytest.approx(by_quadrature(payoff, density, lambda result: result), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("trade", TRADES)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_expected_shortfall_when_searched_by_quadrature_then_met(trade: str, name: str, level: float) -> None:
    payoff, density = TRADES[trade], DENSITIES[name]
    corners = [float(each.strike) for each in payoff.legs if each.strike is not None]

    def mean_gap(q: float) -> float:
        total = 0.0
        for forward, width, chance in zip(density.forward, density.total_vol, density.chance, strict=True):
            edges = [(math.log(each / forward) + width**2 / 2) / width for each in corners]

            def lacking(z: float, forward: float = forward, width: float = width) -> float:
                price = forward * math.exp(width * z - width**2 / 2)
                return max(q - result_at(payoff, price), 0.0) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

            total += chance * quad(lacking, -10.0, 10.0, points=[each for each in edges if abs(each) < 10.0], limit=200)[0]
        return total

    found = odds.odds(payoff, density, level=level)

    around = -found.value_at_risk
    assert found.shortfall == pytest.approx(worst_mean(mean_gap, 1 - level, around - 500.0, around + 500.0), rel=2e-6, abs=2e-4)
    assert odds.expected_shortfall(payoff_curve(payoff), density, level=level) == found.shortfall
    assert odds.value_at_risk(payoff_curve(payoff), density, level=level) == found.value_at_risk


def test_odds_when_the_worked_example_is_run_then_its_figures() -> None:
    found = odds.odds(TRADES["put"], lognormal(forward=100.0, t_years=30 / 365, vol=0.25))

    assert [round(each, 2) for each in (found.profit, found.max_profit, found.max_loss)] == [0.80, 0.75, 0.0]
    assert [round(each) for each in (found.value_at_risk, found.shortfall)] == [515, 773]
    assert found.below == (pytest.approx(1.0 - found.profit),)


def test_odds_when_a_result_is_the_most_on_a_stretch_then_its_chance_else_none() -> None:
    density = DENSITIES["lognormal"]

    condor, call, butterfly = (odds.odds(TRADES[name], density) for name in ("condor", "call", "butterfly"))

    low, high = density.below([95.0, 108.0])
    assert condor.max_profit == pytest.approx(high - low)
    assert condor.max_loss == pytest.approx(float(density.below(90.0) + 1.0 - density.below(113.0)))
    assert (call.max_profit, call.max_loss) == (0.0, pytest.approx(float(density.below(105.0))))
    assert (butterfly.max_profit, round(butterfly.max_loss, 6)) == (0.0, round(float(1 - density.below(105.0) + density.below(95.0)), 6))


@pytest.mark.parametrize("trade", TRADES)
def test_odds_when_the_density_is_lognormal_then_the_tickets_probability_of_profit(trade: str) -> None:
    found = odds.odds(TRADES[trade], DENSITIES["lognormal"])

    assert found.profit == pytest.approx(probability_of_profit(TRADES[trade], forward=FORWARD, t_years=YEARS, vol=VOL), abs=1e-14)


def test_expected_result_when_an_option_is_bought_for_nothing_then_its_undiscounted_value() -> None:
    strikes = ["80", "95", "101", "120"]
    k = np.log(np.array([float(each) for each in strikes]) / FORWARD)

    flat = [odds.expected_result(payoff_curve(expiry_payoff([leg("call", each, 1)], net_cash=Decimal(0))), DENSITIES["lognormal"])
            for each in strikes]
    smiled = [odds.expected_result(payoff_curve(expiry_payoff([leg("put", each, 1)], net_cash=Decimal(0))), DENSITIES["smile"])
              for each in strikes]

    terms = {"forward": FORWARD, "strike": FORWARD * np.exp(k), "t_years": YEARS, "discount": 1.0}
    np.testing.assert_allclose(flat, 100.0 * bsm.value_forward(right=1, vol=VOL, **terms), rtol=1e-12)
    np.testing.assert_allclose(smiled, 100.0 * bsm.value_forward(right=-1, vol=SMILE.vol(k), **terms), rtol=1e-9)
    assert DENSITIES["smile"].mean == pytest.approx(FORWARD, rel=1e-12)


def test_odds_when_no_time_is_left_then_the_price_is_certain() -> None:
    at, away = lognormal(forward=93.8, t_years=0.0, vol=0.25), lognormal(forward=90.0, t_years=0.5, vol=0.0)

    even, losing = odds.odds(TRADES["put"], at), odds.odds(TRADES["put"], away)

    assert (even.profit, round(even.expected, 9), round(even.shortfall, 9)) == (0.0, 0.0, 0.0)
    assert (losing.profit, losing.expected, losing.value_at_risk) == (0.0, pytest.approx(-380.0), pytest.approx(380.0))
    assert losing.shortfall == pytest.approx(380.0)
    assert odds.odds(TRADES["put"], lognormal(forward=95.0, t_years=0.0, vol=0.1)).max_profit == 1.0


@pytest.mark.parametrize("bad", [{"forward": 0.0}, {"forward": math.nan}, {"t_years": -0.1}, {"vol": -0.2}, {"vol": math.inf}], ids=str)
def test_odds_when_an_argument_is_impossible_then_nan(bad: dict[str, float]) -> None:
    found = odds.odds(TRADES["condor"], lognormal(**{"forward": 100.0, "t_years": 0.1, "vol": 0.2, **bad}))

    assert np.isnan([found.profit, found.max_profit, found.max_loss, *found.below, found.expected, found.shortfall]).all()
    assert math.isnan(found.value_at_risk)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, math.nan])
def test_expected_shortfall_when_the_level_is_impossible_then_nan(level: float) -> None:
    assert math.isnan(odds.expected_shortfall(payoff_curve(TRADES["put"]), DENSITIES["lognormal"], level=level))


# --- legs that outlive the first expiry --------------------------------------------------------------------------------------------


def diagonal(*, american: bool) -> Legs:
    """Short a call of 30 days, long one of 90 further in."""
    return make_legs(right=1, units=[-100.0, 100.0], price=100.0, strike=[105.0, 100.0], t_years=[30 / 365, 90 / 365], rate=0.04,
                     dividend=0.03, vol=[0.25, 0.28], american=american)


@pytest.mark.parametrize("american", [False, True])
def test_value_curve_when_a_leg_outlives_the_first_expiry_then_odds_are_those_of_quadrature(american: bool) -> None:
    legs = diagonal(american=american)
    density = lognormal(forward=100.0 * math.exp(0.01 * 30 / 365), t_years=30 / 365, vol=0.25)

    curve = value_curve(legs, density, years=30 / 365, worth_now=430.0)

    total = 0.25 * math.sqrt(30 / 365)
    z = np.linspace(-9.0, 9.0, 200_001)
    price = density.mean * np.exp(total * z - total**2 / 2)
    terms = {"right": 1, "strike": 100.0, "t_years": 60 / 365, "rate": 0.04, "dividend": 0.03, "vol": 0.28}
    later = american_values(price, **terms) if american else bsm.value(spot=price, **terms)
    result = 100.0 * (later - np.maximum(price - 105.0, 0.0)) - 430.0
    weight = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    worst = np.argsort(result)
    share = np.cumsum(weight[worst])
    in_tail = np.diff(np.minimum(share, 0.05), prepend=0.0)
    assert odds.expected_result(curve, density) == pytest.approx(float(np.sum(result * weight)), abs=0.02)
    assert odds.chance_above(curve, density) == pytest.approx(float(np.sum(weight[result > 0])), abs=2e-5)
    assert odds.expected_shortfall(curve, density) == pytest.approx(-float(np.sum(result[worst] * in_tail)) / 0.05, abs=0.05)


def american_values(spots: np.ndarray, **terms: float) -> np.ndarray:
    from core.pricing import american

    return american.value_over_spots(spots=spots, **terms)


@pytest.mark.parametrize("name", DENSITIES)
def test_value_curve_when_all_legs_expire_then_the_payoffs_odds(name: str) -> None:
    payoff, density = TRADES["condor"], DENSITIES[name]
    legs = make_legs(right=[-1, -1, 1, 1], units=[100.0, -100.0, -100.0, 100.0], price=100.0, strike=[90.0, 95.0, 108.0, 113.0],
                     t_years=YEARS, vol=0.2)

    curve = value_curve(legs, density, years=YEARS, worth_now=-210.0)

    assert odds.chance_above(curve, density) == pytest.approx(odds.odds(payoff, density).profit, abs=1e-12)
    assert odds.expected_result(curve, density) == pytest.approx(odds.odds(payoff, density).expected, abs=1e-8)
    assert odds.expected_shortfall(curve, density) == pytest.approx(odds.odds(payoff, density).shortfall, abs=1e-6)


def test_value_curve_when_a_volatility_or_the_density_is_unknown_then_nan() -> None:
    density = DENSITIES["lognormal"]
    unknown = make_legs(right=1, units=100.0, price=100.0, strike=105.0, t_years=0.5)

    blind = value_curve(unknown, density, years=YEARS, worth_now=0.0)
    nowhere = value_curve(diagonal(american=False), lognormal(forward=-1.0, t_years=0.1, vol=0.2), years=YEARS, worth_now=0.0)

    for curve in (blind, nowhere):
        figures = (odds.expected_result, odds.expected_shortfall, odds.value_at_risk, odds.chance_above)
        assert [math.isnan(figure(curve, density)) for figure in figures] == [True] * 4


# --- touching a level --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spot", "published"), [(105.0, 9.3604), (95.0, 11.2223)])
def test_touch_when_haug_publishes_cash_at_expiry_then_it_is_met(spot: float, published: float) -> None:
    """Binary barrier options of Haug (1998), page 95: cash of 15, barrier 100, half a year, r = b = 0.1, volatility 0.2."""
    chance = touch_lognormal(spot=spot, level=100.0, forward=spot * math.exp(0.05), t_years=0.5, vol=0.2)

    assert 15.0 * math.exp(-0.05) * float(chance) == pytest.approx(published, abs=1e-4)


def test_touch_when_quantlib_values_one_touch_options_then_the_same_chance() -> None:
    draw, today = np.random.default_rng(2), ql.Date(1, 1, 2020)
    ql.Settings.instance().evaluationDate = today
    spot, level = draw.uniform(80.0, 120.0, 60), draw.uniform(70.0, 130.0, 60)
    days, vol = draw.integers(5, 700, 60), draw.uniform(0.1, 0.8, 60)
    rate, dividend = draw.uniform(0.0, 0.1, 60), draw.uniform(0.0, 0.1, 60)
    years, count = days / 365, ql.Actual365Fixed()

    found = touch_lognormal(spot=spot, level=level, forward=spot * np.exp((rate - dividend) * years), t_years=years, vol=vol)

    for place in range(60):
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(spot[place])),
            ql.YieldTermStructureHandle(ql.FlatForward(today, float(dividend[place]), count)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, float(rate[place]), count)),
            ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), float(vol[place]), count)),
        )
        side = ql.Option.Call if level[place] > spot[place] else ql.Option.Put
        option = ql.VanillaOption(
            ql.CashOrNothingPayoff(side, float(level[place]), 1.0), ql.AmericanExercise(today, today + int(days[place]), True)
        )
        option.setPricingEngine(ql.AnalyticDigitalAmericanEngine(process))
        assert found[place] == pytest.approx(option.NPV() * math.exp(rate[place] * years[place]), abs=1e-10)


def test_touch_when_the_logarithm_has_no_drift_then_twice_the_chance_to_end_beyond() -> None:
    total = 0.3 * math.sqrt(0.4)
    levels = np.array([70.0, 90.0, 110.0, 160.0])

    found = touch_lognormal(spot=100.0, level=levels, forward=100.0 * math.exp(total**2 / 2), t_years=0.4, vol=0.3)

    below = lognormal(forward=100.0 * math.exp(total**2 / 2), t_years=0.4, vol=0.3).below(levels)
    np.testing.assert_allclose(found, 2.0 * np.where(levels < 100.0, below, 1.0 - below), rtol=1e-12)


def test_touch_when_the_level_is_here_time_is_up_or_nothing_moves_then_certain() -> None:
    terms = {"spot": 100.0, "forward": 110.0}

    assert touch_lognormal(level=100.0, t_years=0.0, vol=0.2, **terms) == 1.0
    np.testing.assert_array_equal(touch_lognormal(level=[105.0, 110.0, 115.0, 99.0], t_years=0.5, vol=0.0, **terms), [1.0, 1.0, 0.0, 0.0])
    np.testing.assert_array_equal(touch_lognormal(level=[90.0, 120.0], t_years=0.5, vol=[1e-3, 1e-3], **terms), [0.0, 0.0])
    assert 0.9999 < float(touch_lognormal(level=120.0, t_years=400.0, vol=0.3, spot=100.0, forward=100.0 * math.exp(40.0))) <= 1.0


@pytest.mark.parametrize("bad", [{"spot": 0.0}, {"level": -1.0}, {"forward": math.nan}, {"t_years": -1.0}, {"vol": math.inf}], ids=str)
def test_touch_when_an_argument_is_impossible_then_nan(bad: dict[str, float]) -> None:
    terms = {"spot": 100.0, "level": 90.0, "forward": 101.0, "t_years": 0.5, "vol": 0.2, **bad}

    assert math.isnan(float(touch_lognormal(**terms)))
