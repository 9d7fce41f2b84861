"""How many units."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from core.errors import UserError
from core.risk.sizing import part_of, units_for


@pytest.mark.parametrize(
    ("per_unit", "worth", "units"),
    [
        ("1240", "100000", 4),
        ("5000", "100000", 1),
        ("5000.01", "100000", 1),
        ("1666.66", "100000", 3),
        ("0", "100000", 1),
        ("100", "-5", 1),
    ],
)
def test_units_when_capital_is_known_then_base_share_of_worth(per_unit: str, worth: str, units: int) -> None:
    assert units_for(capital_per_unit=Decimal(per_unit), net_liquidation=Decimal(worth), fraction=Decimal("0.05")) == units


@pytest.mark.parametrize(
    ("held", "part", "units"),
    [
        (5, Fraction(1, 3), 1),
        (3, Fraction(1, 4), 1),
        (4, Fraction(1, 2), 2),
        (5, Fraction(1, 2), 2),
        (3, Decimal("0.333"), 1),
        (1, Fraction(1), 1),
    ],
)
def test_part_when_fraction_then_rounded_down_to_at_least_one(held: int, part: Fraction | Decimal, units: int) -> None:
    assert part_of(held, part) == units


@pytest.mark.parametrize(("held", "part"), [(1, Fraction(1, 2)), (0, Fraction(1, 2)), (4, Fraction(0)), (4, Fraction(3, 2))])
def test_part_when_it_cannot_be_meant_then_asked(held: int, part: Fraction) -> None:
    with pytest.raises(UserError):
        part_of(held, part)
