"""Exact money: what is accepted, what is refused, and the named places where it is rounded."""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import Any

import pytest

from core.domain.money import Money, MoneyError, exact, from_market, on_tick, to_cents, to_tick


def test_m1_money_when_tenths_are_added_then_exact() -> None:
    assert Money(Decimal("0.1")) + Money(Decimal("0.2")) == Money(Decimal("0.3"))


def test_m1_money_when_huge_meets_tiny_then_no_digit_is_lost() -> None:
    huge, tiny = Money(Decimal("1e30")), Money(Decimal("0.000001"))

    assert (huge + tiny) - huge == tiny
    assert -(huge + tiny) + huge == -tiny
    assert (huge + tiny) * -1 == -(huge + tiny)


@pytest.mark.parametrize("amount", [0.1, 1, "1.00", True, None, Decimal("NaN"), Decimal("Infinity")])
def test_m1_money_when_not_a_finite_decimal_then_refused(amount: Any) -> None:
    with pytest.raises(MoneyError):
        Money(amount)


@pytest.mark.parametrize("other", [Money(Decimal(1), "EUR"), 1, Decimal(1)])
def test_m4_money_when_other_currency_or_bare_number_then_refused(other: Any) -> None:
    with pytest.raises(MoneyError, match="cannot combine USD"):
        Money(Decimal(1)) + other
    with pytest.raises(MoneyError, match="cannot combine USD"):
        operator.lt(Money(Decimal(1)), other)


@pytest.mark.parametrize("factor", [0.5, True, "2"])
def test_m1_money_when_multiplied_by_a_float_or_truth_then_refused(factor: Any) -> None:
    with pytest.raises(MoneyError, match="integer or a Decimal"):
        Money(Decimal(1)) * factor


def test_money_when_multiplied_and_compared_then_signed_amounts() -> None:
    assert 3 * Money(Decimal("1.25")) == Money(Decimal("3.75"))
    assert Money(Decimal(-1)) < Money(Decimal(0)) <= Money(Decimal(0))
    assert Money(Decimal("1.0")) == Money(Decimal("1.00"))


@pytest.mark.parametrize(("amount", "cents"), [("1.005", "1.00"), ("1.015", "1.02"), ("-1.005", "-1.00"), ("2.675", "2.68"), ("7", "7.00")])
def test_m1_rounding_when_half_a_cent_then_to_even(amount: str, cents: str) -> None:
    assert to_cents(Decimal(amount)) == Decimal(cents)
    assert Money(Decimal(amount)).rounded() == Money(Decimal(cents))


@pytest.mark.parametrize(
    ("price", "tick", "up", "expected"),
    [
        ("1.23", "0.05", True, "1.25"), ("1.23", "0.05", False, "1.20"), ("1.25", "0.05", True, "1.25"), ("1.25", "0.05", False, "1.25"),
        ("-1.23", "0.05", True, "-1.20"), ("-1.23", "0.05", False, "-1.25"), ("0", "0.05", True, "0.00"),
    ],
)  # fmt: skip
def test_m2_to_tick_when_rounded_then_up_means_towards_more_received(price: str, tick: str, up: bool, expected: str) -> None:
    rounded = to_tick(Decimal(price), Decimal(tick), up=up)

    assert rounded == Decimal(expected)
    assert on_tick(rounded, Decimal(tick))


def test_m2_to_tick_when_tick_is_not_positive_then_refused() -> None:
    with pytest.raises(MoneyError, match="tick must be positive"):
        to_tick(Decimal(1), Decimal(0), up=True)


def test_on_tick_when_between_steps_then_false() -> None:
    assert not on_tick(Decimal("1.23"), Decimal("0.05"))


@pytest.mark.parametrize(
    ("value", "number"), [("1.20", "1.20"), (" -3 ", "-3"), ("+.5", "0.5"), (7, "7"), (Decimal("2.5"), "2.5"), ("0012", "12")]
)
def test_m6_exact_when_plain_number_then_read(value: Any, number: str) -> None:
    assert exact(value) == Decimal(number)


@pytest.mark.parametrize(
    "value",
    [
        "1,000", "1k", "½", "１０", "1e3", "ten", "", " ", "1.2.3", "--1", "1-2", "NaN", "inf", "1_000", "0x1",
        1.5, True, None, Decimal("NaN"), Decimal("-Infinity"),
    ],
)  # fmt: skip
def test_m6_exact_when_anything_else_then_refused(value: Any) -> None:
    with pytest.raises(MoneyError):
        exact(value)


@pytest.mark.parametrize(
    ("price", "tick", "expected"),
    [(1.1, "0.01", "1.10"), (2.675, "0.01", "2.68"), (1.23, "0.05", "1.25"), (0.1 + 0.2, "0.01", "0.30")],
)
def test_m1_from_market_when_float_then_nearest_tick(price: float, tick: str, expected: str) -> None:
    rounded = from_market(price, Decimal(tick))

    assert rounded == Decimal(expected)
    assert rounded.as_tuple().exponent == Decimal(tick).as_tuple().exponent


@pytest.mark.parametrize("price", [float("nan"), float("inf"), float("-inf"), 1e308])
def test_g2_from_market_when_price_is_absurd_then_refused(price: float) -> None:
    with pytest.raises(MoneyError):
        from_market(price)
