"""The cheapest way to explain every short position: as part of a spread, a condor, a strangle, covered, secured or naked.

A `Choice` takes one unit of each line it uses, at a cost; every short line must be used up, long lines may be left over. `cheapest`
searches until nothing cheaper can exist. A book too tangled for that gets the best explanation found, which is never too small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import gcd

MOST_UNITS = 300  # depth of the search
MOST_STEPS = 2_000  # its breadth: some 20 ms


@dataclass(frozen=True, slots=True, order=True)
class Cost:
    """Units that the account may not hold come before any amount of money."""

    refused: int
    amount: Decimal

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.refused + other.refused, self.amount + other.amount)

    def __mul__(self, units: int) -> Cost:
        return Cost(self.refused * units, self.amount * units)


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to use up one unit of each line in `uses` (indices); a line that is there twice gives two, as the middle of a butterfly."""

    uses: tuple[int, ...]
    cost: Cost
    words: str
    same_expiry: bool = True

    def units(self, left: Sequence[int]) -> int:
        """How often it can be made of what is left."""
        return min(left[line] // self.uses.count(line) for line in self.uses)


@dataclass(frozen=True, slots=True)
class Solution:
    """How many units each choice takes, and whether nothing cheaper exists."""

    taken: tuple[tuple[Choice, int], ...]
    cost: Cost
    exact: bool


FREE = Cost(0, Decimal(0))


def cheapest(counts: Sequence[int], shorts: int, choices: Sequence[Choice]) -> Solution:
    """Use up the first `shorts` lines of `counts` at the smallest cost; every short line must have a choice of its own alone."""
    parts = [_best(counts, shorts, group) for group in _components(shorts, choices)]
    taken = tuple(item for part in parts for item in part.taken)
    return Solution(taken, sum((part.cost for part in parts), FREE), all(part.exact for part in parts))


def _components(shorts: int, choices: Sequence[Choice]) -> list[list[Choice]]:
    """Groups of choices that share no line with each other."""
    parent: dict[int, int] = {}

    def root(line: int) -> int:
        while parent.setdefault(line, line) != line:
            line = parent[line]
        return line

    for choice in choices:
        for line in choice.uses[1:]:
            parent[root(line)] = root(choice.uses[0])
    groups: dict[int, list[Choice]] = {}
    for choice in choices:
        groups.setdefault(root(choice.uses[0]), []).append(choice)
    return [group for group in groups.values() if any(min(choice.uses) < shorts for choice in group)]


def _best(counts: Sequence[int], shorts: int, choices: Sequence[Choice]) -> Solution:
    lines = sorted({line for choice in choices for line in choice.uses})
    unit = gcd(*(counts[line] for line in lines))
    left = [counts[line] // unit if line in lines else 0 for line in range(len(counts))]
    quick = _quick(left, shorts, choices)
    search = _Search(shorts, choices, quick.cost)
    if sum(left[:shorts]) <= MOST_UNITS:
        search.down(left, FREE, search.bound(left), [])
    exact = not search.spent and sum(left[:shorts]) <= MOST_UNITS
    units: dict[Choice, int] = {}
    for choice in search.found or ():
        units[choice] = units.get(choice, 0) + 1
    taken = tuple(units.items()) if search.found is not None else quick.taken
    return Solution(tuple((choice, count * unit) for choice, count in taken), search.limit * unit, exact)


class _Search:
    """Depth first, unit by unit, the likeliest choice first; whatever cannot beat the best answer so far is not followed.

    The bound: a choice's cost shared equally by its short lines is never below the sum of what each line costs at its very best.
    """

    def __init__(self, shorts: int, choices: Sequence[Choice], limit: Cost) -> None:
        self.limit = limit
        self.found: tuple[Choice, ...] | None = None
        self.spent = False
        self._shorts = shorts
        self._steps = 0
        self._seen: dict[tuple[int, ...], Cost] = {}
        self._least: dict[int, Cost] = {}
        for choice in choices:
            mine = [line for line in choice.uses if line < shorts]
            share = Cost(min(choice.cost.refused, 1) if len(mine) == 1 else 0, choice.cost.amount / len(mine))
            for line in mine:
                self._least[line] = min(self._least.get(line, share), share)
        self._by_line: dict[int, list[tuple[Cost, Choice]]] = {}
        for choice in choices:
            mine = [line for line in choice.uses if line < shorts]
            over = Cost(
                choice.cost.refused - sum(self._least[line].refused for line in mine),
                choice.cost.amount - sum((self._least[line].amount for line in mine), Decimal(0)),
            )
            self._by_line.setdefault(min(mine), []).append((over, choice))
        for options in self._by_line.values():
            options.sort(key=lambda item: item[0])

    def bound(self, left: Sequence[int]) -> Cost:
        """No way to use up what is left costs less."""
        return sum((self._least[line] * left[line] for line in range(self._shorts) if left[line]), FREE)

    def down(self, left: list[int], spent: Cost, bound: Cost, path: list[Choice]) -> None:
        """Follow every promising way on; `bound` is the least that `path` and the rest can come to."""
        line = next((line for line in range(self._shorts) if left[line]), None)
        if line is None:
            self.limit, self.found = spent, tuple(path)
            return
        state = tuple(left)
        if state in self._seen and self._seen[state] <= spent:
            return
        self._seen[state] = spent
        for over, choice in self._by_line[line]:
            if bound + over >= self.limit:
                break  # the others are dearer still
            if not choice.units(left):
                continue
            self._steps += 1
            if self._steps > MOST_STEPS:
                self.spent = True
                return
            for used in choice.uses:
                left[used] -= 1
            self.down(left, spent + choice.cost, bound + over, [*path, choice])
            for used in choice.uses:
                left[used] += 1


def _quick(counts: Sequence[int], shorts: int, choices: Sequence[Choice]) -> Solution:
    """The better of several quick answers: each is a valid explanation, so none is below the smallest total."""
    alone = {choice.uses[0]: choice.cost for choice in sorted(choices, key=lambda item: item.cost, reverse=True) if len(choice.uses) == 1}

    def saving(choice: Choice) -> Cost:
        naked = sum((alone[line] for line in choice.uses if line in alone), FREE)
        return Cost(choice.cost.refused - naked.refused, choice.cost.amount - naked.amount)

    orders: tuple[Callable[[Choice], tuple[bool, bool, Cost]], ...] = (
        lambda choice: (False, False, saving(choice)),
        lambda choice: (not choice.same_expiry, False, saving(choice)),
        lambda choice: (len(choice.uses) == 1, not choice.same_expiry, choice.cost),
    )
    answers = [_greedy(counts, sorted(choices, key=order)) for order in orders]
    near = [choice for choice in choices if choice.same_expiry]
    if len(near) < len(choices):
        answers.append(cheapest(counts, shorts, near))
    return min(answers, key=lambda answer: answer.cost)


def _greedy(counts: Sequence[int], ordered: Sequence[Choice]) -> Solution:
    left = list(counts)
    taken: list[tuple[Choice, int]] = []
    for choice in ordered:
        units = choice.units(left)
        if units:
            taken.append((choice, units))
            for line in choice.uses:
                left[line] -= units
    return Solution(tuple(taken), sum((choice.cost * units for choice, units in taken), FREE), False)
