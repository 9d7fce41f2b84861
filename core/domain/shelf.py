"""Records by key, made to grow for years: what nobody touched lately is kept as packed text and read when asked for.

A `Shelf` is used like a dict of frozen records. Three things cost only what changed, however much it holds: a `Picture`, which goes on
showing what the shelf held at one instant; `keep`, which packs what changed since the last time; and the parts a snapshot has to store.

Every key has a place, counted from the oldest. Records are packed by place, so many together as the shelf says, so that its packs follow
from its history alone and not from when they were made.
"""

from __future__ import annotations

import heapq
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from weakref import ref

from core.domain.encoding import EncodingError, from_plain, text_as

T = TypeVar("T")
PACK = 64  # records packed together where nothing else is said
_READ_KEPT = 4096  # records read from packs and held, before they are let go of
_GONE: Any = object()


@dataclass(slots=True)
class Keeping(Generic[T]):
    """What is to be packed: taken from a shelf by `changes`, packed by `pack` in any thread, given back to `kept`."""

    kind: Any
    pack_size: int
    packs: dict[int, bytes]  # as they were
    keys: dict[int, tuple[str | None, ...]]
    records: dict[int, T | None]  # by place; None was removed
    made: dict[int, bytes] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)  # for a snapshot

    def pack(self) -> None:
        """Write the records down and pack them."""
        by_pack: dict[int, list[int]] = {}
        for place in self.records:
            by_pack.setdefault(place // self.pack_size, []).append(place)
        for number, keys in self.keys.items():
            if number in by_pack:
                self.made[number] = self._packed(number, by_pack[number])
            names = zlib.compress(json.dumps(keys).encode("ascii"))
            self.parts[number] = len(names).to_bytes(4, "big") + names + (self.made.get(number) or self.packs[number])

    def _packed(self, number: int, places: Iterable[int]) -> bytes:
        texts = _unpacked(self.packs[number]) if number in self.packs else []
        texts += [""] * (len(self.keys[number]) - len(texts))
        for place in places:
            record = self.records[place]
            texts[place % self.pack_size] = "" if record is None else text_as(self.kind, record)
        return zlib.compress("\n".join(texts).encode("ascii"))


class Shelf(MutableMapping[str, T]):
    """Records by key, oldest first. A record is never changed in place: put the new one under its key."""

    def __init__(self, kind: Any, *, pack_size: int = PACK) -> None:
        self._kind = kind
        self._pack_size = pack_size
        self._places: dict[str, int] = {}
        self._keys: list[str | None] = []  # by place; None was removed
        self._packs: list[bytes] = []
        self._new: dict[str, T] = {}  # put here since the last keeping
        self._read: dict[str, T] = {}  # as packed
        self._changed: dict[int, None] = {}
        self._unsaved: set[int] = set()  # packs made since the last snapshot
        self._opened: tuple[int, Sequence[str]] = (-1, ())  # the pack looked into last
        self._picture: ref[Picture[T]] | None = None

    def __getitem__(self, key: str) -> T:
        found = self._new.get(key)
        if found is None:
            found = self._read.get(key)
            if found is None:
                found = self._fetched(key, self._places[key])
        return found

    def __setitem__(self, key: str, record: T) -> None:
        place = self._places.get(key)
        if self._picture is not None:
            self._show_as_it_was(key, place)
        if place is None:
            place = self._places[key] = len(self._keys)
            self._keys.append(key)
        self._new[key] = record
        self._changed[place] = None

    def __delitem__(self, key: str) -> None:
        place = self._places[key]
        if self._picture is not None:
            self._show_as_it_was(key, place)
        del self._places[key]
        self._keys[place] = None
        self._new.pop(key, None)
        self._read.pop(key, None)
        self._changed[place] = None

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def newest(self) -> Iterator[tuple[str, T]]:
        """Keys and records, newest key first."""
        for key in reversed(self._places):
            yield key, self[key]

    def in_order(self, keys: Iterable[str]) -> list[str]:
        """The given keys, which are all here, oldest first."""
        return sorted(keys, key=self._places.__getitem__)

    def picture(self) -> Picture[T]:
        """What is held now, for ever."""
        last = self._picture() if self._picture is not None else None
        if last is not None and not last.is_past:
            return last
        made = Picture(self, limit=len(self._keys), size=len(self._places))
        if last is not None:
            last.followed_by(made)
        self._picture = ref(made)
        return made

    # --- keeping -------------------------------------------------------------------------------------------------------

    @property
    def changed(self) -> int:
        """How many records changed since the last keeping."""
        return len(self._changed)

    def changes(self, *, everything: bool = False) -> Keeping[T]:
        """Take out what has to be packed, and what a snapshot has to store beside it: with `everything`, every pack."""
        changed, self._changed = self._changed, {}
        size = self._pack_size
        numbers = {place // size for place in changed} | self._unsaved
        if everything:
            numbers = set(range(-(-len(self._keys) // size)))
        self._unsaved = set()
        return Keeping(
            kind=self._kind,
            pack_size=size,
            packs={number: self._packs[number] for number in numbers if number < len(self._packs)},
            keys={number: tuple(self._keys[number * size : (number + 1) * size]) for number in sorted(numbers)},
            records={place: None if (key := self._keys[place]) is None else self._new[key] for place in changed},
        )

    def kept(self, keeping: Keeping[T], *, saved: bool) -> None:
        """Take over what was packed; not `saved` means that the next snapshot has to store it again."""
        for number, pack in keeping.made.items():
            if number < len(self._packs):
                self._packs[number] = pack
            else:
                self._packs.append(pack)
        self._opened = (-1, ())
        self._read = {}
        for place, record in keeping.records.items():
            key = self._keys[place]
            if record is not None and key is not None and place not in self._changed:
                self._read[key] = self._new.pop(key)
        if not saved:
            self._unsaved |= keeping.keys.keys()

    def not_kept(self, keeping: Keeping[T]) -> None:
        """Packing failed: everything stays as it was."""
        self._changed = {**dict.fromkeys(keeping.records), **self._changed}
        self._unsaved |= keeping.keys.keys()

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every key with the canonical text of its record, oldest first."""
        for key, place in self._places.items():
            record = self._new.get(key)
            yield key, self._text_at(place) if record is None else text_as(self._kind, record)

    @classmethod
    def from_parts(cls, kind: Any, parts: Mapping[int, bytes], *, size: int, pack_size: int = PACK) -> Shelf[T]:
        """The shelf of `size` places that a snapshot's parts were made of; raise EncodingError where they do not fit together."""
        made = cls(kind, pack_size=pack_size)
        for number in range(len(parts)):
            try:
                names, pack = _opened(parts[number])
            except (KeyError, ValueError, zlib.error) as error:
                raise EncodingError(f"pack {number} of a shelf is missing or damaged: {error}") from error
            made._keys += names
            made._packs.append(pack)
        made._places = {key: place for place, key in enumerate(made._keys) if key is not None}
        if len(made._keys) != size:
            raise EncodingError(f"a shelf of {size} places has {len(made._keys)}")
        return made

    @property
    def size(self) -> int:
        """How many places there are, emptied ones too."""
        return len(self._keys)

    # --- inside --------------------------------------------------------------------------------------------------------

    def _fetched(self, key: str, place: int) -> T:
        found: T = from_plain(self._kind, json.loads(self._text_at(place)))
        if len(self._read) >= _READ_KEPT:
            self._read.clear()
        self._read[key] = found
        return found

    def _text_at(self, place: int) -> str:
        number = place // self._pack_size
        if self._opened[0] != number:
            self._opened = (number, _unpacked(self._packs[number]))
        return self._opened[1][place % self._pack_size]

    def _show_as_it_was(self, key: str, place: int | None) -> None:
        picture = self._picture() if self._picture is not None else None
        if picture is None:
            self._picture = None
        elif not picture.knows(key):
            picture.remember(key, _GONE if place is None else self[key], place)


class Picture(Mapping[str, T]):
    """What a shelf held at one instant.

    The newest picture looks at the shelf itself; a change first writes what was there into it. An older one looks at the one that
    followed it. So pictures cost nothing to make, and a change costs the same however many there are.
    """

    __slots__ = ("__weakref__", "_limit", "_next", "_places", "_shelf", "_size", "_then")

    def __init__(self, shelf: Shelf[T], *, limit: int, size: int) -> None:
        self._shelf = shelf
        self._limit = limit
        self._size = size
        self._then: dict[str, T] = {}  # what changed since, as it was
        self._places: dict[str, int] = {}  # and where it stood
        self._next: Picture[T] | None = None

    def __getitem__(self, key: str) -> T:
        picture: Picture[T] | None = self
        if self._next is not None and self._next._next is not None:
            self._catch_up()
        while picture is not None:
            found = picture._then.get(key)
            if found is not None:
                if found is _GONE:
                    raise KeyError(key)
                return found
            picture = picture._next
        return self._shelf[key]

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]  # a key of another type is not there
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        self._catch_up()
        places, known = self._shelf._places, self._places if self._next is None else {**self._next._places, **self._places}
        here = [(place, key) for key, place in places.items() if place < self._limit]
        lost = sorted((place, key) for key, place in known.items() if place < self._limit and places.get(key) != place)
        return iter([key for _, key in heapq.merge(here, lost)])

    def __len__(self) -> int:
        return self._size

    def newest(self) -> Iterator[T]:
        """The records, that of the newest key first."""
        return (self[key] for key in reversed(tuple(self)))

    @property
    def is_past(self) -> bool:
        """True once the shelf holds something else."""
        return bool(self._then)

    def knows(self, key: str) -> bool:
        """Whether it has written down what was under a key."""
        return key in self._then

    def remember(self, key: str, record: T, place: int | None) -> None:
        """Write down what was under a key, before it changes."""
        self._then[key] = record
        if place is not None:
            self._places[key] = place

    def followed_by(self, picture: Picture[T]) -> None:
        """From now on changes are written into `picture`."""
        self._next = picture

    def _catch_up(self) -> None:
        """Take over what was written down between this picture and the newest, so that nobody has to go that way again."""
        following = self._next
        while following is not None and following._next is not None:
            self._then = {**following._then, **self._then}
            self._places = {**following._places, **self._places}
            following = following._next
        self._next = following


def _unpacked(pack: bytes) -> list[str]:
    return zlib.decompress(pack).decode("ascii").split("\n")


def _opened(part: bytes) -> tuple[list[str | None], bytes]:
    length = 4 + int.from_bytes(part[:4], "big")
    names = json.loads(zlib.decompress(part[4:length]))
    if not isinstance(names, list) or not all(name is None or isinstance(name, str) for name in names):
        raise ValueError("its keys are none")
    return names, part[length:]
