"""The payoff at expiry in worked figures: one structure a test, then the odd corners."""

from __future__ import annotations

import math
from decimal import Decimal as D
from fractions import Fraction

import pytest
from scipy.stats import norm

from core.pricing.payoff import Payoff, PayoffLeg, expiry_payoff, probability_of_profit


def leg(kind: str, strike: str | None, quantity: int, multiplier: str = "100") -> PayoffLeg:
    return PayoffLeg(kind=kind, strike=None if strike is None else D(strike), quantity=quantity, multiplier=D(multiplier))


def shares(quantity: int) -> PayoffLeg:
    return leg("stock", None, quantity, "1")


def of(*legs: PayoffLeg, cash: str) -> Payoff:
    return expiry_payoff(legs, net_cash=D(cash))


STRUCTURES = {
    # name: payoff, max profit, max loss, break-evens, downside uncovered, upside uncovered
    "put credit spread": (of(leg("put", "95", -1), leg("put", "90", 1), cash="120"), "120", "380", ["93.8"], False, False),
    "call credit spread": (of(leg("call", "105", -2), leg("call", "110", 2), cash="200"), "200", "800", ["106"], False, False),
    "iron condor": (
        of(leg("put", "90", 1), leg("put", "95", -1), leg("call", "105", -1), leg("call", "110", 1), cash="150"),
        "150", "350", ["93.5", "106.5"], False, False,
    ),
    "naked put": (of(leg("put", "95", -1), cash="250"), "250", "9250", ["92.5"], True, False),
    "naked call": (of(leg("call", "105", -1), cash="250"), "250", None, ["107.5"], False, True),
    "short straddle": (of(leg("put", "100", -1), leg("call", "100", -1), cash="700"), "700", None, ["93", "107"], True, True),
    "long straddle": (of(leg("put", "100", 1), leg("call", "100", 1), cash="-700"), None, "700", ["93", "107"], False, False),
    "long call": (of(leg("call", "100", 1), cash="-300"), None, "300", ["103"], False, False),
    "long put": (of(leg("put", "100", 1), cash="-300"), "9700", "300", ["97"], False, False),
    "call butterfly": (
        of(leg("call", "95", 1), leg("call", "100", -2), leg("call", "105", 1), cash="-125"),
        "375", "125", ["96.25", "103.75"], False, False,
    ),
    "covered call": (of(shares(100), leg("call", "105", -1), cash="-9800"), "700", "9800", ["98"], False, False),
    "collar": (of(shares(100), leg("put", "95", 1), leg("call", "105", -1), cash="-10000"), "500", "500", ["100"], False, False),
    "short shares with a short put": (of(shares(-100), leg("put", "95", -1), cash="10200"), "700", None, ["102"], False, True),
    "covered strangle": (
        of(shares(100), leg("put", "90", -1), leg("call", "110", -1), cash="-9700"), "1300", "18700", ["97"], True, False
    ),
    "ratio put spread": (of(leg("put", "100", 1), leg("put", "95", -2), cash="50"), "550", "8950", ["89.5"], True, False),
    "jade lizard": (
        of(leg("put", "95", -1), leg("call", "105", -1), leg("call", "110", 1), cash="600"), "600", "8900", ["89"], True, False
    ),
    "short put with a lower long put of twice the size": (
        of(leg("put", "95", -1), leg("put", "90", 2), cash="100"), "8600", "400", ["86", "94"], False, False
    ),
    "short mini against a long standard contract": (
        of(leg("call", "100", -10, "10"), leg("call", "105", 1), cash="90"), "90", "410", ["100.9"], False, False
    ),
    "free option": (of(leg("call", "100", 1), cash="0"), None, "0", ["100"], False, False),
    "spread sold above its width": (of(leg("put", "95", -1), leg("put", "90", 1), cash="600"), "600", "0", [], False, False),
    "spread bought above its width": (of(leg("put", "95", 1), leg("put", "90", -1), cash="-600"), "-100", "600", [], False, False),
    "butterfly for nothing": (
        of(leg("call", "95", 1), leg("call", "100", -2), leg("call", "105", 1), cash="0"), "500", "0", ["95", "105"], False, False
    ),
    "peak at zero": (of(leg("put", "100", -1), leg("call", "100", -1), cash="0"), "0", None, ["100"], True, True),
    "position and its mirror": (of(leg("call", "100", 1), leg("call", "100", -1), cash="0"), "0", "0", [], False, False),
    "put bought at its strike": (of(leg("put", "100", 1), cash="-10000"), "0", "10000", ["0"], False, False),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_expiry_payoff_when_the_structure_is_known_then_its_figures_are_exact(name: str) -> None:
    payoff, profit, loss, break_evens, downside, upside = STRUCTURES[name]

    assert payoff.max_profit == (None if profit is None else D(profit))
    assert payoff.max_loss == (None if loss is None else D(loss))
    assert payoff.break_evens == tuple(D(each) for each in break_evens)
    assert (payoff.downside_uncovered, payoff.upside_uncovered) == (downside, upside)
    assert payoff.defined_risk is not (downside or upside)


def test_at_when_prices_lie_between_and_beyond_strikes_then_the_line_is_followed() -> None:
    payoff = of(leg("put", "95", -1), leg("put", "90", 1), cash="118.70")

    results = [payoff.at(D(spot)) for spot in ("0", "90", "93.8", "95", "1e6")]

    assert results == [D("-381.30"), D("-381.30"), D("-1.30"), D("118.70"), D("118.70")]


def test_break_evens_when_one_is_no_short_decimal_then_it_is_rounded_to_28_digits() -> None:
    payoff = of(leg("call", "100", 3), cash="-100")

    assert payoff.break_evens == (D("100.3333333333333333333333333"),)


def test_expiry_payoff_when_amounts_are_long_decimals_then_nothing_is_rounded() -> None:
    payoff = of(leg("put", "12345678901.123456789", -999999), cash="0.000000000000001")

    assert payoff.max_loss is not None
    assert Fraction(payoff.max_loss) == Fraction(12345678901123456789, 10**9) * 99999900 - Fraction(1, 10**15)


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "call", "strike": None}, {"kind": "put", "strike": D(0)}, {"kind": "put", "strike": D(-5)},
     {"kind": "put", "strike": D("NaN")}, {"kind": "stock", "strike": D(5)}, {"kind": "future", "strike": D(5)},
     {"kind": "put", "strike": D(5), "quantity": 0},
     {"kind": "put", "strike": D(5), "multiplier": D(0)}, {"kind": "put", "strike": D(5), "multiplier": D("Infinity")}],
    ids=str,
)
def test_leg_when_it_cannot_exist_then_value_error(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"leg|multiplier"):
        PayoffLeg(**{"quantity": 1, "multiplier": D(100), **wrong})


def test_expiry_payoff_when_there_are_no_legs_or_no_amount_then_value_error() -> None:
    with pytest.raises(ValueError, match="at least one leg"):
        of(cash="0")
    with pytest.raises(ValueError, match="finite"):
        of(leg("put", "95", -1), cash="NaN")


@pytest.mark.parametrize("spot", ["-1", "NaN", "Infinity"])
def test_at_when_the_price_cannot_be_then_value_error(spot: str) -> None:
    with pytest.raises(ValueError, match="zero or more"):
        of(leg("put", "95", -1), cash="0").at(D(spot))


def chance_above(level: float, vol: float) -> float:
    """N(d2) for a forward of 100 and a quarter year, from scipy's own distribution."""
    total = vol * 0.5
    return float(norm.sf((math.log(level / 100.0) + total * total / 2) / total))


def test_probability_of_profit_when_the_position_is_a_credit_spread_then_n_d2_at_the_break_even() -> None:
    payoff = STRUCTURES["put credit spread"][0]

    assert probability_of_profit(payoff, forward=100.0, t_years=0.25, vol=0.2) == pytest.approx(chance_above(93.8, 0.2), rel=1e-12)


def test_probability_of_profit_when_it_is_a_condor_then_the_chance_between_the_break_evens() -> None:
    payoff = STRUCTURES["iron condor"][0]

    result = probability_of_profit(payoff, forward=100.0, t_years=0.25, vol=0.2)

    assert result == pytest.approx(chance_above(93.5, 0.2) - chance_above(106.5, 0.2), rel=1e-12)


def test_probability_of_profit_when_the_profit_lies_outside_then_both_tails_are_added() -> None:
    payoff = STRUCTURES["long straddle"][0]

    result = probability_of_profit(payoff, forward=100.0, t_years=0.25, vol=0.2)

    assert result == pytest.approx(1 - chance_above(93, 0.2) + chance_above(107, 0.2), rel=1e-12)


@pytest.mark.parametrize("vol", [[0.25, 0.15], lambda strike: {93.5: 0.25, 106.5: 0.15}[strike]], ids=["array", "function"])
def test_probability_of_profit_when_there_is_a_skew_then_each_break_even_has_its_own_vol(vol: object) -> None:
    payoff = STRUCTURES["iron condor"][0]

    result = probability_of_profit(payoff, forward=100.0, t_years=0.25, vol=vol)

    assert result == pytest.approx(chance_above(93.5, 0.25) - chance_above(106.5, 0.15), rel=1e-12)


def test_probability_of_profit_when_the_vols_cross_then_no_interval_counts_below_zero() -> None:
    payoff = STRUCTURES["iron condor"][0]

    assert probability_of_profit(payoff, forward=120.0, t_years=0.25, vol=[0.9, 0.05]) == 0.0


@pytest.mark.parametrize(("name", "expected"), [("spread sold above its width", 1.0), ("spread bought above its width", 0.0),
                                                ("position and its mirror", 0.0), ("put bought at its strike", 0.0)])
def test_probability_of_profit_when_the_result_never_changes_sign_then_zero_or_one(name: str, expected: float) -> None:
    assert probability_of_profit(STRUCTURES[name][0], forward=100.0, t_years=0.25, vol=0.2) == expected


@pytest.mark.parametrize(("forward", "expected"), [(95.0, 1.0), (93.8, 0.0), (93.0, 0.0)])
def test_probability_of_profit_when_no_time_is_left_then_the_payoff_decides(forward: float, expected: float) -> None:
    payoff = of(leg("put", "95", -1), leg("put", "90", 1), cash="125")
    level = payoff.break_evens[0] - D("93.8") + D(str(forward))  # 93.75 exactly: a price a float holds

    assert probability_of_profit(payoff, forward=float(level), t_years=0.0, vol=0.2) == expected


def test_probability_of_profit_when_volatility_is_zero_then_the_forward_decides() -> None:
    payoff = STRUCTURES["put credit spread"][0]

    assert probability_of_profit(payoff, forward=100.0, t_years=0.25, vol=0.0) == 1.0
    assert probability_of_profit(payoff, forward=90.0, t_years=0.25, vol=0.0) == 0.0


@pytest.mark.parametrize(
    "wrong",
    [{"forward": 0.0}, {"forward": float("nan")}, {"t_years": -0.1}, {"t_years": float("nan")}, {"vol": float("nan")}, {"vol": -0.1},
     {"vol": [0.2]}, {"vol": float("inf")}],
    ids=str,
)
def test_probability_of_profit_when_an_argument_is_impossible_then_value_error(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"forward|volatility|vols"):
        probability_of_profit(STRUCTURES["iron condor"][0], **{"forward": 100.0, "t_years": 0.25, "vol": 0.2, **wrong})
