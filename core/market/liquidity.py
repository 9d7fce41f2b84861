"""How easily a contract or a structure can be traded: a score from 0 to 100 and the word for it. Pure.

Spread counts for seven tenths and open interest for three; where open interest is not known the spread decides alone. Example: a put
at 1.20 by 1.30 has a spread of 8% of its mid of 1.25, that is 68 of 100 for the spread; with 900 contracts open the score is 78, "good".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

GOOD_SPREAD, WIDEST_SPREAD = 0.15, 0.25  # of mid
GOOD_INTEREST, LEAST_INTEREST = 500, 100  # contracts
ABSOLUTE_SPREAD, ABSOLUTE_SHARE = 0.20, 0.05  # points, or share of mid where that is more
_SPREAD_WEIGHT = 0.7
_HAIR = 1e-9  # of a point: binary dust in a difference of two prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidity:
    """`score` is None where there is no usable price; `word` is good, acceptable or poor."""

    score: int | None
    word: str
    relative: float | None  # spread as a share of mid
    why: str


def judge_liquidity(
    *, mid: Decimal | float, spread: Decimal | float, open_interest: int | None, combo: bool = False, index: bool = False
) -> Liquidity:
    """Score a market: `spread` is what a trade costs against `mid` (ask - bid of a contract, mid - natural of a structure).

    A `combo` is not measured in points, since its legs are. On an `index` little open interest is advice, not a verdict.
    """
    price, gap = abs(float(mid)), float(spread)
    if not (math.isfinite(price) and math.isfinite(gap)) or price == 0 or gap < 0:
        return Liquidity(score=None, word="poor", relative=None, why="no usable price")
    relative = gap / price
    too_wide = not combo and gap > max(ABSOLUTE_SPREAD, ABSOLUTE_SHARE * price) + _HAIR
    spread_score = 0.0 if too_wide else max(0.0, 1 - relative / WIDEST_SPREAD)
    share = 1.0 if open_interest is None else _SPREAD_WEIGHT
    interest_score = 0.0 if open_interest is None else min(1.0, open_interest / GOOD_INTEREST)
    score = round(100 * (share * spread_score + (1 - share) * interest_score))
    word, why = _word(relative, gap, too_wide=too_wide, open_interest=open_interest)
    if index and word == "poor" and relative <= WIDEST_SPREAD and not too_wide:
        word = "acceptable"
    return Liquidity(score=score, word=word, relative=relative, why=why)


def _word(relative: float, gap: float, *, too_wide: bool, open_interest: int | None) -> tuple[str, str]:
    few = open_interest is not None and open_interest < LEAST_INTEREST
    if relative > WIDEST_SPREAD or too_wide:
        return "poor", f"spread is {gap:.2f}, too wide"
    if few:
        return "poor", f"only {open_interest} contracts open"
    if relative >= GOOD_SPREAD:
        return "acceptable", f"spread is {relative:.0%} of mid"
    if open_interest is not None and open_interest <= GOOD_INTEREST:
        return "acceptable", f"{open_interest} contracts open"
    return "good", ""
