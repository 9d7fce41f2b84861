"""A shelf is a dict, however often it was packed; a picture of it never changes; what it packed is the same whenever that was done."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from core.domain import shelf as module
from core.domain.events import NoteWritten
from core.domain.shelf import Keeping, Picture, Shelf

KEYS = st.sampled_from([f"k{number}" for number in range(12)])
RECORDS = st.builds(NoteWritten, text=st.text(max_size=3), symbol=st.none() | st.just("SPX"))
PACK = 3


class Shelves(RuleBasedStateMachine):
    """Puts, removals, pictures, keepings under way and snapshots, beside a plain dict that does the same."""

    pictures = Bundle("pictures")
    keepings = Bundle("keepings")

    def __init__(self) -> None:
        super().__init__()
        self.shelf: Shelf[NoteWritten] = Shelf(NoteWritten, pack_size=PACK)
        self.model: dict[str, NoteWritten] = {}
        self.taken: Keeping[NoteWritten] | None = None
        self.stored: dict[int, bytes] = {}
        self.history: list[tuple[str, NoteWritten | None]] = []
        self.seen: list[tuple[Picture[NoteWritten], dict[str, NoteWritten]]] = []

    @rule(key=KEYS, record=RECORDS)
    def put(self, key: str, record: NoteWritten) -> None:
        self.shelf[key] = self.model[key] = record
        self.history.append((key, record))

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        if key in self.model:
            del self.shelf[key], self.model[key]
            self.history.append((key, None))

    @rule(target=pictures)
    def look(self) -> int:
        self.seen.append((self.shelf.picture(), dict(self.model)))
        return len(self.seen) - 1

    @rule(number=consumes(pictures))
    def forget(self, number: int) -> None:
        self.seen[number] = (Shelf[NoteWritten](NoteWritten).picture(), {})

    @rule(key=KEYS, number=pictures)
    def one_of_a_picture(self, key: str, number: int) -> None:
        picture, model = self.seen[number]
        assert picture.get(key) == model.get(key)
        assert (key in picture) == (key in model)

    @rule(everything=st.booleans())
    def take(self, everything: bool) -> None:
        if self.taken is None:
            self.taken = self.shelf.changes(everything=everything)
            self.taken.pack()

    @rule(saved=st.booleans())
    def give_back(self, saved: bool) -> None:
        if self.taken is not None:
            self.shelf.kept(self.taken, saved=saved)
            self.stored |= self.taken.parts if saved else {}
            self.taken = None

    @rule()
    def fail(self) -> None:
        if self.taken is not None:
            self.shelf.not_kept(self.taken)
            self.taken = None

    @rule()
    def restart(self) -> None:
        if self.taken is not None:
            return
        keeping = self.shelf.changes()
        keeping.pack()
        self.shelf.kept(keeping, saved=True)
        self.stored |= keeping.parts
        self.shelf = Shelf.from_parts(NoteWritten, self.stored, size=self.shelf.size, pack_size=PACK)

    @invariant()
    def same_as_the_dict(self) -> None:
        assert list(self.shelf.items()) == list(self.model.items())
        assert list(self.shelf.newest()) == list(reversed(self.model.items()))
        assert len(self.shelf) == len(self.model)

    @invariant()
    def pictures_stay(self) -> None:
        for picture, model in self.seen:
            assert list(picture.items()) == list(model.items())
            assert len(picture) == len(model)

    def teardown(self) -> None:
        again: Shelf[NoteWritten] = Shelf(NoteWritten, pack_size=PACK)
        for key, record in self.history:
            if record is None:
                del again[key]
            else:
                again[key] = record
        assert list(again.texts()) == list(self.shelf.texts())
        packs = [_everything(shelf) for shelf in (again, self.shelf)] if self.taken is None else [0, 0]
        assert packs[0] == packs[1]


def _everything(shelf: Shelf[Any]) -> dict[int, bytes]:
    keeping = shelf.changes(everything=True)
    keeping.pack()
    return keeping.parts


class HardlyAnythingKept(Shelves):
    """The same with hardly anything kept of what was read."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = module._READ_KEPT
        module._READ_KEPT = 2

    def teardown(self) -> None:
        super().teardown()
        module._READ_KEPT = self._kept


TestShelves = Shelves.TestCase
TestHardlyAnythingKept = HardlyAnythingKept.TestCase
