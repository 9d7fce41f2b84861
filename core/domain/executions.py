"""The executions of one order: a set that only grows, with what of it counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from core.domain.orders import Fill, Side


class Executions(Mapping[str, Fill]):
    """Execution reports by id, frozen. One more costs the same however many there are.

    All versions of a set share one dict; each shows as many of its entries as there were when it was made.
    """

    __slots__ = ("_all", "_size", "counts", "superseded")

    counts: Mapping[tuple[str, Side], int]  # contracts by key and side, of what is neither corrected away nor busted
    superseded: frozenset[str]  # ids of what was corrected or busted, whether or not it was reported

    def __init__(self) -> None:
        self._all: dict[str, tuple[int, Fill]] = {}
        self._size = 0
        self.counts = {}
        self.superseded = frozenset()

    @classmethod
    def of(cls, fills: Iterable[Fill]) -> Executions:
        """The set of these reports, in this order."""
        made = cls()
        for fill in fills:
            made = made.plus(fill)
        return made

    def plus(self, fill: Fill) -> Executions:
        """The set with one more report; itself where it has that one."""
        if fill.exec_id in self:
            return self
        made = Executions()
        made._all = self._all if len(self._all) == self._size else dict(islice(self._all.items(), self._size))
        made._all[fill.exec_id] = (self._size, fill)
        made._size = self._size + 1
        made.superseded, counts = self.superseded, dict(self.counts)
        if fill.corrects and fill.corrects not in self.superseded:
            made.superseded |= {fill.corrects}
            replaced = self.get(fill.corrects)
            if replaced is not None and not replaced.busted:
                _count(counts, replaced, -1)
        if fill.exec_id not in made.superseded and not fill.busted:
            _count(counts, fill, 1)
        made.counts = counts
        return made

    def __getitem__(self, exec_id: str) -> Fill:
        place, fill = self._all[exec_id]
        if place >= self._size:
            raise KeyError(exec_id)
        return fill

    def __iter__(self) -> Iterator[str]:
        return iter(list(islice(self._all, self._size)))

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"Executions.of({list(self.values())!r})"


def _count(counts: dict[tuple[str, Side], int], fill: Fill, sign: int) -> None:
    slot = (fill.instrument.key, fill.side)
    counts[slot] = counts.get(slot, 0) + sign * fill.quantity
    if not counts[slot]:
        del counts[slot]
