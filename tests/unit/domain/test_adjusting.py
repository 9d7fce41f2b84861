"""Adjusted contracts, with the example of the module and OCC's own: an XYZ 50 option after a split of 3 for 2."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.adjusting import split_option, split_shares
from core.domain.instruments import Equity, InstrumentError, Option, Right, adjusted_root, is_adjusted, series_of
from core.domain.listing import option

JUNE = date(2019, 6, 21)


def ko(strike: str, right: Right = Right.CALL, root: str = "KO") -> Option:
    return option(root, JUNE, right, Decimal(strike))


def test_split_when_three_for_two_then_the_contract_is_for_150_shares_at_the_same_money() -> None:
    after = split_option(ko("60"), -1, new=3, old=2)
    item = after.instrument
    assert isinstance(item, Option)
    assert (item.root, item.underlying, item.strike, item.multiplier, item.shares) == ("KO1", "KO", 60, 100, 150)
    assert (item.share_strike, item.is_standard, after.quantity) == (40, False, -1)
    assert split_shares(Equity(symbol="KO"), 101, new=3, old=2).cash(Decimal("40.00")) == Decimal("20.00")


def test_split_when_published_example_of_the_options_disclosure_document_then_5000_for_150() -> None:
    """XYZ 50: 5,000 USD for 100 shares before, the same 5,000 USD for 150 after a split of 3 for 2."""
    item = split_option(ko("50", root="XYZ"), 1, new=3, old=2).instrument
    assert isinstance(item, Option)
    assert (item.strike * item.multiplier, item.shares) == (5000, 150)


def test_split_when_three_for_one_then_three_contracts_at_a_third() -> None:
    """The clearing house's own example: one XYZ 60 becomes three XYZ 20, each for 100 shares."""
    after = split_option(ko("60", root="XYZ"), 1, new=3, old=1)
    assert (after.instrument, after.quantity) == (ko("20", root="XYZ"), 3)


def test_split_when_a_strike_has_no_cents_then_rounded_to_one() -> None:
    assert split_option(ko("150.625"), 1, new=5, old=1).instrument == ko("30.13")


def test_split_when_a_part_of_a_share_is_delivered_then_its_value_stands_beside() -> None:
    item = split_option(ko("60"), 1, new=9, old=8, price=Decimal("53.00")).instrument
    assert isinstance(item, Option) and item.deliverable is not None
    assert (item.shares, item.deliverable.cash) == (112, Decimal("26.50"))
    # 112 x 60 + 26.50 - 6,000 = 746.50
    assert item.intrinsic(Decimal(60)) == Decimal("746.50")
    with pytest.raises(ValueError, match="has no price"):
        split_option(ko("60"), 1, new=9, old=8)


def test_split_when_too_few_shares_are_left_then_refused() -> None:
    with pytest.raises(ValueError, match="no whole share"):
        split_option(ko("60"), 1, new=1, old=200, price=Decimal(60))


def test_root_when_adjusted_again_then_the_next_digit() -> None:
    assert (adjusted_root("KO", ()), adjusted_root("KO", {"KO1"}), adjusted_root("KO1", {"KO1"})) == ("KO1", "KO2", "KO2")
    with pytest.raises(InstrumentError, match="nine times"):
        adjusted_root("KO", {f"KO{digit}" for digit in range(10)})


@pytest.mark.parametrize(
    ("root", "adjusted"), [("KO1", True), ("SPX", False), ("KO", False), ("BRK.B", False), ("NANOS", False), ("KO0", False)]
)
def test_root_when_it_ends_in_a_digit_then_adjusted(root: str, adjusted: bool) -> None:
    assert is_adjusted(root) is adjusted


def test_terms_when_only_the_root_is_known_then_nobody_can_tell_and_a_contract_can() -> None:
    with pytest.raises(InstrumentError, match="need their own terms"):
        series_of("KO1")
    item = split_option(ko("60"), 1, new=3, old=2).instrument
    assert isinstance(item, Option)
    assert (item.series.root, item.series.underlying, item.series.ticks) == ("KO1", "KO", series_of("KO").ticks)


@given(
    st.integers(1, 400), st.sampled_from(((2, 1), (3, 2), (1, 4), (1, 10), (5, 4), (9, 8))), st.integers(1, 800), st.sampled_from(Right),
    st.integers(1, 20),
)
def test_split_when_made_then_exercise_is_worth_what_it_was(
    strike: int, ratio: tuple[int, int], dollars: int, right: Right, count: int
) -> None:
    """At a share price that moves by the ratio alone, to the cents of what is paid for parts."""
    new, old = ratio
    price = Fraction(dollars) * old / new
    level = Decimal(price.numerator) / price.denominator
    before = ko(str(2 * strike), right)
    after = split_option(before, count, new=new, old=old, price=level)
    item = after.instrument
    assert isinstance(item, Option)
    now, then = item.intrinsic(level) * after.quantity, before.intrinsic(Decimal(dollars)) * count
    assert abs(now - then) <= Decimal("0.01") * count
