"""What positions guard each other: spreads that cannot all lose at once, and shares held with an option of one's own. Pure.

To keep shares that an option guards FINRA Rule 4210(f)(2)(H) asks, a share, for no more than

- long with a long put: 10% of the put's strike and what it is out of the money
- collar (long put, short call that the shares cover, ending together): the same, at most 25% of the call's strike
- conversion (both at one strike): 10% of the strike
- short with a long call: 10% of the call's strike and what it is out of the money
- reverse conversion (short put, long call at one strike, ending together): 10% of the strike

and for what a short option of the two is in the money. Buying the shares takes half their value all the same (Regulation T).

Worked example: KO at 60 with a 55 put: 10% of 55 and 5 out of the money are 10.50 a share; a quarter of 60 is 15.00. It saves 4.50.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import add

from core.domain.instruments import Option, Right, plain_number

ZERO = Decimal(0)
TENTH, QUARTER = Decimal("0.10"), Decimal("0.25")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Shares as they are without a guard: what each asks for, and the part of its value that is (of long ones)."""

    spot: Decimal
    each: Decimal
    rate: Decimal
    long: bool


def levels_of(options: Iterable[Option]) -> tuple[Decimal, ...]:
    """Prices between which what contracts pay is a straight line: zero, every strike, and one beyond them all."""
    strikes = sorted({item.share_strike for item in options})
    return (ZERO, *strikes, 2 * strikes[-1])


def pays(short: Option, long: Option, levels: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """Money a spread ends with at each price."""
    return tuple(long.intrinsic(level) - short.intrinsic(level) for level in levels)


def joint_loss(one: Sequence[Decimal], other: Sequence[Decimal]) -> Decimal:
    """The most that two spreads which end together can lose, from what each pays at the same prices."""
    least: Decimal = min(map(add, one, other))
    return max(ZERO, -least)


def reliefs(
    lot: Lot, covering: Sequence[tuple[Option | None, int]], guards: Sequence[tuple[Option, int]]
) -> Iterator[tuple[str, int, Decimal]]:
    """Words, lots and what is saved a share, the most first. `covering` are short options the shares cover with their lots, None for the
    rest of them; `guards` are long options that nothing else uses."""
    right = Right.PUT if lot.long else Right.CALL
    found = [
        (saved, place, number, f"{_words(lot, sold)} guarded by the {plain_number(item.strike)} {item.right.value}")
        for place, (sold, _) in enumerate(covering) for number, (item, _) in enumerate(guards)
        if item.right is right and (saved := _saved(lot, sold, item)) > 0
    ]
    lots, options = [count for _, count in covering], [count for _, count in guards]
    for saved, place, number, words in sorted(found, reverse=True):
        units = min(lots[place], options[number])
        if units:
            lots[place] -= units
            options[number] -= units
            yield words, units, saved


def _saved(lot: Lot, sold: Option | None, guard: Option) -> Decimal:
    """Less a share than without the guard."""
    strike, spot = guard.share_strike, lot.spot
    if sold is None:
        return lot.each - TENTH * strike - max(ZERO, spot - strike if lot.long else strike - spot)
    if (sold.expiry, sold.settlement) != (guard.expiry, guard.settlement):
        return ZERO
    counted = min(spot, sold.share_strike) if lot.long else max(spot, sold.share_strike)
    before = lot.rate * counted if lot.long else lot.each
    away = max(ZERO, counted - strike if lot.long else strike - counted)
    if sold.share_strike == strike:
        return before - TENTH * strike
    return before - min(TENTH * strike + away, QUARTER * sold.share_strike) if lot.long else ZERO


def _words(lot: Lot, sold: Option | None) -> str:
    side = "shares" if lot.long else "short shares"
    return side if sold is None else f"{side} under the {plain_number(sold.strike)} {sold.right.value},"
