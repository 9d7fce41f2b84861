"""How many units: the base size as a share of net liquidation value, and parts of what is held. Pure.

Worked example: base 5% of 100,000 USD is 5,000 USD; at 1,240 USD of capital a unit that is 4 units. A third of 5 contracts is 1, a
quarter of 3 is at least 1; half of 1 cannot be and is asked.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

from core.errors import UserError


def units_for(*, capital_per_unit: Decimal, net_liquidation: Decimal, fraction: Decimal) -> int:
    """Whole units whose capital fits `fraction` of net liquidation value; at least 1, so that the rules can say why one is too many.

    An order that ties up no capital (it reduces, or is covered by what is held) has nothing to be sized by: 1.
    """
    if capital_per_unit <= 0 or net_liquidation <= 0:
        return 1
    return max(1, int((net_liquidation * fraction / capital_per_unit).to_integral_value(rounding=ROUND_FLOOR)))


def part_of(held: int, part: Fraction | Decimal) -> int:
    """Units in a part ("half", 25%) of what is held: rounded down, at least 1; raise UserError where it cannot be meant."""
    share = Fraction(part)
    if held < 1:
        raise UserError("There is nothing held to take a part of.", "See `positions`.")
    if not 0 < share <= 1:
        raise UserError(f"A part is more than nothing and at most all of it, not {float(share):g}.", "Say a number of contracts.")
    if held == 1 and share < 1:
        raise UserError("Only 1 is held, so a part of it cannot be traded.", "Close all of it, or nothing?")
    return max(1, int(held * share))
