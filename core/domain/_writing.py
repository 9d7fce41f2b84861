"""Writers: one function per declared type, made once from the type hints, that gives the canonical text of a value.

A writer takes only what its type says to the letter: the class itself and no subclass, UTC itself, text every encoding has. Anything
else is `Inexact`: it may have a text, but reading that text would give another value. So what a writer took reads back equal to what it
was, and where nothing of it can be changed (`lasting`) one is as good as the other.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from json.encoder import encode_basestring_ascii as quoted
from operator import attrgetter
from typing import Any, Union, get_args, get_origin

from core.domain._reading import hints_of, is_recurring

Writer = Callable[[Any], str]

# Metadata of a field that came later: it is left out of the text while it has its default, so what was written and hashed before it
# existed still gives the same text.
SPARSE: Mapping[str, Any] = types.MappingProxyType({"sparse": True})
_KEPT = 1 << 12  # texts kept of a recurring class before it starts anew
_WIDEST = 1 << 63
_LONGEST = 100  # characters of an amount


class Inexact(Exception):
    """This value would not read back as it is."""


@cache
def writer(kind: Any) -> Writer:
    """The function that writes a value of `kind`; for a type that is never exact, one that always raises Inexact."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _row(writer(arguments[0]))
    if origin is frozenset and arguments == (str,):
        return _names
    if origin in (dict, Mapping) and arguments[0] is str:
        return _mapping(writer(arguments[1]))
    if is_dataclass(kind) and isinstance(kind, type):
        return _kept(_dataclass(kind)) if is_recurring(kind) else _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind)
    return _SCALARS.get(kind, _never)


@cache
def lasting(kind: Any) -> bool:
    """Whether nothing in a value of this type can be changed: no mapping, list or set is part of it."""
    seen: set[Any] = set()

    def lasts(part: Any) -> bool:
        if part in seen or part is Ellipsis:
            return True
        seen.add(part)
        if is_dataclass(part) and isinstance(part, type):
            return all(map(lasts, hints_of(part).values()))
        return get_origin(part) not in (dict, Mapping, list, set) and all(map(lasts, get_args(part)))

    return lasts(kind)


def _never(value: Any) -> str:
    raise Inexact


def _text(value: Any) -> str:
    if type(value) is not str:
        raise Inexact
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:  # half a character: two of them would be read as one
            raise Inexact from error
    return quoted(value)


def _whole(value: Any) -> str:
    if type(value) is not int or not -_WIDEST <= value < _WIDEST:
        raise Inexact
    return repr(value)


def _truth(value: Any) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise Inexact


def _opinion(value: Any) -> str:
    if type(value) is not float or value - value != 0:
        raise Inexact
    return repr(value)


def _amount(value: Any) -> str:
    if type(value) is not Decimal or not value.is_finite():
        raise Inexact
    text = str(value)
    if "E" in text or len(text) > _LONGEST:
        raise Inexact  # it is written out, and read with another exponent; or it may be too long to be written
    return f'"{text}"'


def _instant(value: Any) -> str:
    if type(value) is not datetime or value.tzinfo is not UTC or value.fold:
        raise Inexact
    return f'"{value.isoformat()}"'


def _day(value: Any) -> str:
    if type(value) is not date:
        raise Inexact
    return f'"{value.isoformat()}"'


_SCALARS: dict[Any, Writer] = {
    str: _text, int: _whole, bool: _truth, float: _opinion, Decimal: _amount, datetime: _instant, date: _day,
}


def _enum(kind: type[Enum]) -> Writer:
    if not all(type(member.value) is str for member in kind):
        return _never

    def write(value: Any) -> str:
        if type(value) is not kind:
            raise Inexact
        return quoted(value._value_)

    return write


def _names(value: Any) -> str:
    if type(value) is not frozenset:
        raise Inexact
    return f"[{','.join(map(_text, sorted(value)))}]"


def _row(item: Writer) -> Writer:
    def write(value: Any) -> str:
        if type(value) is not tuple:
            raise Inexact
        return f"[{','.join(map(item, value))}]"

    return write


def _mapping(item: Writer) -> Writer:
    def write(value: Any) -> str:
        if not isinstance(value, Mapping):
            raise Inexact
        return f"{{{','.join([f'{_text(key)}:{item(part)}' for key, part in sorted(value.items())])}}}"

    return write


def _union(choices: tuple[Any, ...]) -> Writer:
    kinds = [kind for kind in choices if kind is not type(None)]
    optional = len(kinds) < len(choices)
    if len(kinds) == 1:
        only = writer(kinds[0])
        return (lambda value: "null" if value is None else only(value)) if optional else only
    if not all(is_dataclass(kind) for kind in kinds):
        return _never  # which of them a text is read as depends on their order
    by_type = {kind: writer(kind) for kind in kinds}

    def write(value: Any) -> str:
        if value is None and optional:
            return "null"
        found = by_type.get(type(value))
        if found is None:
            raise Inexact
        return found(value)

    return write


def _dataclass(kind: type) -> Writer:
    hints = hints_of(kind)
    if not hints or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # every dataclass has it
        return _never
    names = sorted(hints)
    take = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
    writers = cache(lambda: tuple(writer(hints[name]) for name in names))  # when first used: a class may hold one of its own kind
    sparse = {names.index(field.name): field.default for field in fields(kind) if field.metadata.get("sparse")}
    template = "{" + ",".join(f'"{name}":%s' for name in names) + f',"~":"{kind.__name__}"}}'

    def write(value: Any) -> str:
        if type(value) is not kind:
            raise Inexact
        texts = [write_field(part) for write_field, part in zip(writers(), take(value), strict=True)]
        return template % tuple(texts)

    def write_sparsely(value: Any) -> str:
        if type(value) is not kind:
            raise Inexact
        shown = []
        for place, (name, write_field, part) in enumerate(zip(names, writers(), take(value), strict=True)):
            text = write_field(part)
            if place not in sparse or part != sparse[place]:
                shown.append(f'"{name}":{text},')
            elif text != write_field(sparse[place]):
                raise Inexact  # equal to the default, and not the same: 0.00 would be read as 0
        return f'{{{"".join(shown)}"~":"{kind.__name__}"}}'

    return write_sparsely if sparse else write


def _kept(write: Writer) -> Writer:
    """Keep the texts of objects seen lately; each is held with its text, so that no other object can take its place in memory."""
    known: dict[int, tuple[Any, str]] = {}

    def remember(value: Any) -> str:
        found = known.get(id(value))
        if found is not None and found[0] is value:
            return found[1]
        text = write(value)
        if len(known) >= _KEPT:
            known.clear()
        known[id(value)] = (value, text)
        return text

    return remember
