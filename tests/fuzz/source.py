"""Where malformed inputs come from: one seeded stream of hostile texts, bytes, numbers, structures and records.

Half of what it gives is made from nothing, half is a valid sample that was bent: bits flipped, cut off, doubled, spliced, types swapped.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cache
from random import Random
from typing import Any, TypeVar, Union, get_args, get_origin

from core.runtime import seed_of

T = TypeVar("T")
R = TypeVar("R")

PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-_/=:#$%'\"`~!?()[]{}<>@&*+|\\;"
# Signs that break what was not written for them: NUL, escapes, direction and zero-width marks, lookalike digits, joined letters,
# a byte order mark, a lone surrogate, the last character there is.
HOSTILE = (
    "\0\a\b\t\n\r\x1b\x7f\x85\xa0\xad\u200b\u200d\u200e\u202e\u2028\u2029\u2066\ufeff\ufffd\ufffe\ud800\udfff\U0010ffff½²٣१１０－−–"
    "éßıİſﬁ𝟏𝔘👩\u0301\u0489‰€Ω中ש"
    "\u061c\u200f\u2067\u202a\u202d\u2060\u180e\u3164\u034f\ufe0f\U000e0041\udcff۳๓१٫٬∞\u212aЅ"
)
WORDS = (
    "nan", "NaN", "inf", "-inf", "Infinity", "1e3", "1e999999999", "-0", "0x10", "1_000", "1,000", "1.000", "1k", "ten", "½", "１０",
    "null", "None",
    "true", "yes", "no", "all", "today", "SPX", "XSP", "SPXW  190517P02700000", "..", "../../etc/passwd", "%s%n", "{0}", "${HOME}",
    "'; DROP TABLE event;--", "<script>", "=1+1", "2026-02-30", "2019-05-17", "9999-12-31", "0001-01-01", "paper:PRACTICE:paper", "confirm",
    "open", "ticket=T1", "quantity=-1", "pin=0000", "--", '"', "'", "`", "",
    "1e400", "-1e400", "1.7976931348623157e308", "0x1p-1074", "0b1", "٣", "१.५", "1٫5", "∞", "9" * 400, "1/0", "1:1:1:1",
    "S\u200bPY", "ЅPY", "ＳＰＹ", "SPY\u202e", "\u202eYPS", "\u212aO", "ſPX", "confirm\u200b", "ｃonfirm", "\udcff\udcfe",
)
DECIMALS = tuple(map(Decimal, (
    "NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "0", "-0", "0E-400", "1E-30", "1E-999999", "1E+30", "1E+308", "-1.7E308", "1E+999999",
    "9" * 40, "0." + "1" * 40, "-1", "0.01", "0.005", "1.20", "99999999.99", "1E+2", "100", "-0.01", "12345678901234567890.123456789",
)))
FLOATS = (
    math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, -5e-324, 1e308, -1e308, 1.7976931348623157e308, 1e-9, -1.0, 0.01, 1.2, 2900.0, 1e16,
)
INTEGERS = (0, -1, 1, 2, 3, 100, -100, 2**31, -(2**31), 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, -(10**30), True)
INSTANTS = (
    datetime(1, 1, 1), datetime(9999, 12, 31), datetime(2019, 5, 6, 15, 0), datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(2019, 5, 6, 15, 0, tzinfo=UTC),
    datetime(2040, 12, 31, 21, 0, tzinfo=UTC), datetime(2019, 5, 6, 15, 0, tzinfo=timezone(timedelta(hours=14))),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23, minutes=59))),
)
DAYS = (
    date.min, date.max, date(1, 1, 1), date(1997, 12, 31), date(1998, 1, 1), date(2000, 2, 29), date(2019, 5, 17), date(2040, 12, 31),
    date(2041, 1, 1), date(9999, 12, 31), date(2026, 6, 19), date(2014, 7, 19),
)
SWAPS: tuple[Any, ...] = (None, "", "7", 7, 7.5, True, (), [], {}, b"\xff", Decimal(7), date(2019, 5, 6), object)
LONGEST = 20_000


class Source:
    """A stream of inputs. `seed` begins it anew, so that every input can be had again alone."""

    def __init__(self) -> None:
        self.rng = Random()

    def seed(self, *parts: str | int) -> None:
        """Begin the stream that `parts` determine."""
        self.rng.seed(seed_of(*parts))

    # --- choices ---------------------------------------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        """True in this share of cases."""
        return self.rng.random() < share

    def pick(self, items: Sequence[T]) -> T:
        """One of them."""
        return items[int(self.rng.random() * len(items))]

    def number(self, most: int) -> int:
        """From 0 to `most`, small ones more often."""
        return int(self.rng.random() ** 2 * (most + 1))

    # --- texts and bytes ---------------------------------------------------------------------------------------------------

    def text(self, samples: Sequence[str] = ()) -> str:
        """Any text; with samples, most often a bent one."""
        if samples and self.chance(0.7):
            return self.bent_text(self.pick(samples), samples)
        kind = self.rng.random()
        if kind < 0.3:
            return self.pick(WORDS)
        if kind < 0.6:
            return " ".join(self.pick(WORDS) for _ in range(1 + self.number(5)))
        if kind < 0.8:
            return "".join(self.pick(PLAIN) for _ in range(self.number(40)))
        if kind < 0.98:
            return "".join(self.character() for _ in range(self.number(40)))
        again = self.pick((self.character(), self.pick(WORDS) or "x", "((((", "\\", "'\""))
        return again * (self.number(LONGEST) // len(again))

    def character(self) -> str:
        """Any character there is, the awkward ones more often."""
        kind = self.rng.random()
        if kind < 0.4:
            return self.pick(PLAIN)
        return self.pick(HOSTILE) if kind < 0.8 else chr(self.rng.randrange(0x110000))

    def bent_text(self, sample: str, samples: Sequence[str] = ()) -> str:
        """A sample changed in one to three places."""
        text = sample
        for _ in range(1 + self.number(2)):
            text = self._bend_text(text, samples)
        return text

    def _bend_text(self, text: str, samples: Sequence[str]) -> str:
        size = len(text)
        place, other = sorted((self.number(size), int(self.rng.random() * (size + 1))))
        match int(self.rng.random() * 11):
            case 0:
                return text[:place]
            case 1:
                return text[:place] + text[other:]
            case 2:
                return text[:other] + text[place:other] + text[other:]
            case 3:
                return text[:place] + self.character() + text[place:]
            case 4:
                return text[:place] + self.character() + text[place + 1 :]
            case 5:
                return text[:place] + self.pick(WORDS) + text[other:]
            case 6 if samples:
                return text[:place] + self.pick(samples)[place:]
            case 7:
                return text.swapcase() if self.chance(0.3) else text[:place] + text[place:].upper()
            case 8:
                words = text.split(" ")
                self.rng.shuffle(words)
                return " ".join(words)
            case 9:
                return text + self.pick((" ", "\n", "\0", text, "=", "'", "x" * 5000 if self.chance(0.02) else "x"))
            case _:
                return "".join(chr(ord(sign) ^ (1 << self.number(5))) if self.chance(0.1) and ord(sign) < 0xD000 else sign for sign in text)

    def raw(self, samples: Sequence[bytes] = ()) -> bytes:
        """Any bytes; with samples, most often a bent one."""
        if not samples or self.chance(0.15):
            return self.rng.randbytes(self.number(64))
        data = bytearray(self.pick(samples))
        for _ in range(1 + self.number(3)):
            place, other = sorted(int(self.rng.random() * (len(data) + 1)) for _ in range(2))
            match int(self.rng.random() * 6):
                case 0:
                    del data[place:]
                case 1:
                    del data[place : min(other, place + 40)]
                case 2:
                    data[place:place] = data[place : min(other, place + 40)]
                case 3:
                    data[place:place] = self.rng.randbytes(1 + self.number(8))
                case 4 if data:
                    data[place % len(data)] ^= 1 << int(self.rng.random() * 8)
                case _:
                    data[place:] = self.pick(samples)[place:]
        return bytes(data)

    # --- values ------------------------------------------------------------------------------------------------------------

    def decimal(self) -> Decimal:
        """Any Decimal, also those that are no amount."""
        if self.chance(0.6):
            return self.pick(DECIMALS)
        return Decimal(self.rng.randrange(-(10**9), 10**9)).scaleb(-self.number(12))

    def float_(self) -> float:
        """Any float, also those that are no price."""
        return self.pick(FLOATS) if self.chance(0.6) else self.rng.uniform(-1, 1) * 10.0 ** self.rng.randrange(-12, 300, 6)

    def integer(self) -> int:
        """Any whole number, of any size."""
        return self.pick(INTEGERS) if self.chance(0.6) else self.rng.randrange(-1000, 10_000)

    def instant(self) -> datetime:
        """Any instant, without a zone too."""
        if self.chance(0.5):
            return self.pick(INSTANTS)
        return datetime(2019, 5, 6, 15, 0, tzinfo=UTC) + timedelta(seconds=self.rng.randrange(-(10**9), 10**9))

    def day(self) -> date:
        """Any date."""
        return self.pick(DAYS) if self.chance(0.4) else date.fromordinal(self.rng.randrange(1, 3_652_060))

    def near_day(self) -> date:
        """A date an exchange calendar might know."""
        return self.day() if self.chance(0.2) else date.fromordinal(self.rng.randrange(729_000, 745_500))

    def plain(self, depth: int = 3) -> Any:
        """Any value JSON or YAML can hold."""
        kind = self.rng.random()
        if depth and kind < 0.15:
            return [self.plain(depth - 1) for _ in range(self.number(4))]
        if depth and kind < 0.3:
            return {self.text(): self.plain(depth - 1) for _ in range(self.number(4))}
        if kind < 0.6:
            return self.text()
        if kind < 0.75:
            return self.integer()
        if kind < 0.85:
            return self.float_()
        return self.pick((None, True, False))

    def bent_plain(self, sample: Any) -> Any:
        """A structure changed in one to three places."""
        for _ in range(1 + self.number(2)):
            sample = self._bend_plain(sample)
        return sample

    def _bend_plain(self, node: Any) -> Any:
        if isinstance(node, dict) and node and self.chance(0.85):
            return self._bend_mapping(dict(node))
        if isinstance(node, list) and node and self.chance(0.85):
            items = list(node)
            place = int(self.rng.random() * len(items))
            match int(self.rng.random() * 5):
                case 0:
                    del items[place]
                case 1:
                    items.insert(place, items[place])
                case 2:
                    self.rng.shuffle(items)
                case _:
                    items[place] = self._bend_plain(items[place])
            return items
        if isinstance(node, str) and self.chance(0.6):
            return self.bent_text(node)
        if isinstance(node, int) and not isinstance(node, bool) and self.chance(0.6):
            return self.integer()
        return self.plain(1)

    def _bend_mapping(self, node: dict[Any, Any]) -> dict[Any, Any]:
        key = self.pick(tuple(node))
        match int(self.rng.random() * 8):
            case 0:
                del node[key]
            case 1:
                node[self.text((str(key),))] = node.pop(key)
            case 2:
                node[self.pick((self.text(), 7, None, True))] = self.plain(1)
            case 3:
                other = self.pick(tuple(node))
                node[key], node[other] = node[other], node[key]
            case _:
                node[key] = self._bend_plain(node[key])
        return node

    def typed(self, kind: Any) -> Any:
        """A value of a declared type, sane or not; for a record, one whose fields are such values."""
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            return self.typed(self.pick(get_args(kind)))
        if origin is tuple:
            arguments = get_args(kind)
            kinds = [arguments[0]] * self.number(3) if arguments[-1] is Ellipsis else list(arguments)
            return tuple(self.typed(one) for one in kinds)
        if origin in (dict, Mapping):
            return {self.text(): self.typed(get_args(kind)[1]) for _ in range(self.number(3))}
        if origin in (frozenset, list):
            return origin(self.typed(get_args(kind)[0]) for _ in range(self.number(3)))
        if isinstance(kind, type) and issubclass(kind, Enum):
            return self.pick(tuple(kind))
        if is_dataclass(kind):
            return kind(**{name: self.typed(hint) for name, hint in hints_of(typing.cast(type, kind)).items()})
        return self._scalars[kind](self) if kind in self._scalars else None

    _scalars: typing.ClassVar[dict[Any, Callable[[Source], Any]]] = {}

    def bent(self, record: R, *, swaps: bool = False) -> R:
        """A record with one field, at any depth, that holds another value of its type; with `swaps`, now and then of another type.

        A record that refuses the value itself (ValueError, as documented) is left as it was.
        """
        hints = hints_of(type(record))
        name = self.pick(tuple(hints))
        value = getattr(record, name)
        if is_dataclass(value) and not isinstance(value, type) and self.chance(0.75):
            new = self.bent(value, swaps=swaps)
        elif isinstance(value, tuple) and value and self.chance(0.75):
            new = self._bent_items(value, swaps)
        elif swaps and self.chance(0.2):
            new = self.pick(SWAPS)
        elif isinstance(value, str) and not isinstance(value, Enum) and self.chance(0.5):
            new = self.bent_text(value)
        else:
            new = self._other(hints[name], value)
        try:
            return replace(record, **{name: new})  # type: ignore[type-var]
        except ValueError:
            return record
        except (TypeError, ArithmeticError, AttributeError):
            if swaps:
                return record  # a value of another type never came to be
            raise

    def _other(self, hint: Any, value: Any) -> Any:
        try:
            return self.typed(hint)
        except ValueError:
            return value  # no such record can be made

    def _bent_items(self, items: tuple[Any, ...], swaps: bool) -> tuple[Any, ...]:
        place = int(self.rng.random() * len(items))
        item = items[place]
        match int(self.rng.random() * 6):
            case 0:
                return items[:place] + items[place + 1 :]
            case 1:
                return (*items, item)
            case 2:
                return items[::-1]
            case _ if is_dataclass(item) and not isinstance(item, type):
                return (*items[:place], self.bent(item, swaps=swaps), *items[place + 1 :])
            case _:
                return (*items[:place], self.pick(SWAPS) if swaps else item, *items[place + 1 :])


Source._scalars.update({
    str: Source.text, int: Source.integer, float: Source.float_, bool: lambda source: source.chance(0.5), Decimal: Source.decimal,
    datetime: Source.instant, date: Source.day, bytes: Source.raw, type(None): lambda source: None, Any: Source.plain,
})


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """The fields of a record and their types."""
    found = typing.get_type_hints(kind)
    return {item.name: found[item.name] for item in fields(kind)}
