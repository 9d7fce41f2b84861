"""Payoffs of random leg sets against brute force: a grid over all prices that matter, evaluated leg by leg in fractions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.pricing.payoff import PayoffLeg, expiry_payoff, probability_of_profit

SIZES = st.integers(-5, 5).filter(bool)
TOP = 200
OPTIONS = st.builds(
    PayoffLeg,
    kind=st.sampled_from(["call", "put"]),
    strike=st.integers(1, TOP).map(lambda halves: Decimal(halves) / 2),
    quantity=SIZES,
    multiplier=st.sampled_from([Decimal(1), Decimal(10), Decimal(100)]),
)
LOTS = SIZES.map(lambda lots: lots * 100)
STOCK = st.builds(PayoffLeg, kind=st.just("stock"), strike=st.none(), quantity=LOTS, multiplier=st.just(Decimal(1)))
LEGS = st.lists(st.one_of(OPTIONS, OPTIONS, STOCK), min_size=1, max_size=6)
CASH = st.decimals(-5000, 5000, places=2)


def brute(legs: list[PayoffLeg], cash: Decimal, spot: Fraction) -> Fraction:
    """The definition, written again in fractions."""
    total = Fraction(cash)
    for leg in legs:
        size = Fraction(leg.quantity) * Fraction(leg.multiplier)
        if leg.kind == "stock":
            total += size * spot
        elif leg.kind == "call":
            total += size * max(spot - Fraction(leg.strike), Fraction(0))
        else:
            total += size * max(Fraction(leg.strike) - spot, Fraction(0))
    return total


# Every quarter from 0 past the last strike (all strikes are on halves), then far beyond.
GRID = [Fraction(quarter, 4) for quarter in range(2 * TOP + 9)]
FAR = (Fraction(10**7), Fraction(2 * 10**7))


@given(legs=LEGS, cash=CASH)
def test_m7_max_profit_and_loss_when_brute_forced_over_all_prices_then_equal(legs: list[PayoffLeg], cash: Decimal) -> None:
    payoff = expiry_payoff(legs, net_cash=cash)

    results = [brute(legs, cash, spot) for spot in GRID]
    beyond, further = (brute(legs, cash, spot) for spot in FAR)

    assert payoff.max_profit == (None if further > beyond else max(results))
    assert payoff.max_loss == (None if further < beyond else max(-min(results), 0))
    assert payoff.upside_uncovered is (further < beyond)


@given(legs=LEGS, cash=CASH, spot=st.decimals(0, 10_000, places=4))
def test_at_when_evaluated_anywhere_then_the_definition_holds(legs: list[PayoffLeg], cash: Decimal, spot: Decimal) -> None:
    assert Fraction(expiry_payoff(legs, net_cash=cash).at(spot)) == brute(legs, cash, Fraction(spot))


@given(legs=LEGS, cash=CASH)
def test_break_evens_when_the_sign_changes_then_exactly_there(legs: list[PayoffLeg], cash: Decimal) -> None:
    payoff = expiry_payoff(legs, net_cash=cash)
    edges = [Decimal(0), *payoff.break_evens]

    assert list(payoff.break_evens) == sorted(set(payoff.break_evens))
    assert all(abs(payoff.at(each)) < Decimal("1e-18") for each in payoff.break_evens)
    for low, high in pairwise(edges):
        inside = [payoff.at(low + (high - low) * Decimal(part) / 16) for part in range(1, 16)]
        assert len({(each > 0) - (each < 0) for each in inside}) == 1 or low == high
    after = [payoff.at(edges[-1] + step) for step in (Decimal(1) / 16, Decimal(1), Decimal(50), Decimal(10**6))]
    assert len({(each > 0) - (each < 0) for each in after}) == 1


@given(legs=LEGS, cash=CASH)
def test_downside_uncovered_when_true_then_short_puts_lose_all_the_way_to_zero(legs: list[PayoffLeg], cash: Decimal) -> None:
    payoff = expiry_payoff(legs, net_cash=cash)
    short_puts = sum(leg.units for leg in legs if leg.kind == "put") < 0

    falls_to_zero = brute(legs, cash, Fraction(0)) < brute(legs, cash, Fraction(1, 4))

    assert payoff.downside_uncovered is (short_puts and falls_to_zero)


@given(legs=LEGS, cash=CASH, forward=st.floats(1.0, 200.0), t_years=st.floats(0.0, 3.0), vol=st.floats(0.0, 2.0))
def test_probability_of_profit_when_the_position_is_turned_round_then_both_sum_to_one_at_most(
    legs: list[PayoffLeg], cash: Decimal, forward: float, t_years: float, vol: float
) -> None:
    mirror = [PayoffLeg(kind=leg.kind, strike=leg.strike, quantity=-leg.quantity, multiplier=leg.multiplier) for leg in legs]

    ours = probability_of_profit(expiry_payoff(legs, net_cash=cash), forward=forward, t_years=t_years, vol=vol)
    theirs = probability_of_profit(expiry_payoff(mirror, net_cash=-cash), forward=forward, t_years=t_years, vol=vol)

    assert 0.0 <= ours <= 1.0
    assert ours + theirs <= 1.0 + 1e-12
