"""Money against rational numbers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from core.domain.money import Money, exact, from_market, on_tick, to_cents, to_tick

amounts = st.decimals(min_value=Decimal("-1e15"), max_value=Decimal("1e15"), places=4, allow_nan=False, allow_infinity=False)
ticks = st.sampled_from([Decimal("0.01"), Decimal("0.05"), Decimal("0.10"), Decimal("0.25"), Decimal(1)])


@given(amounts, amounts, st.integers(min_value=-(10**9), max_value=10**9))
def test_m1_money_when_added_and_multiplied_then_equals_rational_arithmetic(first: Decimal, second: Decimal, units: int) -> None:
    result = (Money(first) + Money(second)) * units - Money(first)

    assert Fraction(result.amount) == (Fraction(first) + Fraction(second)) * units - Fraction(first)


@given(amounts)
def test_m1_to_cents_when_rounded_then_nearest_and_half_to_even(amount: Decimal) -> None:
    assert Fraction(to_cents(amount)) == Fraction(round(Fraction(amount) * 100), 100)


@given(amounts, ticks)
def test_m2_to_tick_when_rounded_both_ways_then_brackets_the_price_within_one_step(price: Decimal, tick: Decimal) -> None:
    below, above = to_tick(price, tick, up=False), to_tick(price, tick, up=True)

    assert below <= price <= above and above - below in (0, tick)
    assert on_tick(below, tick) and on_tick(above, tick)
    assert (below == above) == on_tick(price, tick)


@given(st.floats(min_value=-1e9, max_value=1e9), ticks)
def test_m1_from_market_when_any_float_then_on_tick_and_within_half_a_step(price: float, tick: Decimal) -> None:
    rounded = from_market(price, tick)

    assert on_tick(rounded, tick)
    assert abs(rounded - Decimal(repr(price))) * 2 <= tick


@given(amounts)
def test_m6_exact_when_given_plain_text_then_reads_back_the_same(amount: Decimal) -> None:
    assert exact(f"{amount:f}") == amount
