"""Readers: one function per declared type, made once from the type hints, that turns JSON types back into values.

A reader raises whatever Python raises where a value does not fit; `core.domain.encoding.from_plain` names the fault.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from operator import itemgetter
from typing import Any, TypeVar, Union, get_args, get_origin

Reader = Callable[[Any], Any]
T = TypeVar("T")

_KEPT = 1 << 14  # values kept of a recurring class before it starts anew
_FIGURES = "0123456789.-"
MOST_PLACES = 100  # digits before or after the point of a stored amount; without a bound a few letters could stand for gigabytes
_recurring: set[type] = set()


class EncodingError(ValueError):
    """A value that cannot be written or read exactly."""


def recurring(kind: type[T]) -> type[T]:
    """Mark a frozen class whose equal values come again and again: what is read alike is then one object.

    Its fields, two at least, are text, whole numbers, or objects of frozen classes.
    """
    _recurring.add(kind)
    return kind


def is_recurring(kind: type) -> bool:
    """True for a class marked so."""
    return kind in _recurring


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """The declared type of every field of a dataclass."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def shape_of(*kinds: Any) -> str:
    """What these types are made of, down to names, declared types and members: another text where any of it changed."""
    found: dict[str, Any] = {}

    def visit(kind: Any) -> None:
        for part in get_args(kind):
            visit(part)
        if not isinstance(kind, type) or kind.__qualname__ in found:
            return
        if is_dataclass(kind):
            hints = hints_of(kind)
            found[kind.__qualname__] = {name: str(hint) for name, hint in hints.items()}
            for hint in hints.values():
                visit(hint)
        elif issubclass(kind, Enum):
            found[kind.__qualname__] = [str(member.value) for member in kind]

    for kind in kinds:
        visit(kind)
    return str(sorted(found.items()))


@cache
def reader(kind: Any) -> Reader:
    """The function that reads a value of `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is object:
        return lambda plain: plain
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if kind is type(None):
        return _nothing
    if origin is typing.Literal:
        return _literal(arguments)
    if origin in (tuple, list, frozenset, set):
        return _sequence(origin, arguments)
    if origin in (dict, Mapping) or kind is dict:
        return _mapping(reader(arguments[1] if arguments else Any))
    if is_dataclass(kind) and isinstance(kind, type):
        return _kept(kind) if is_recurring(kind) else _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind)
    return _SCALARS.get(kind) or _unreadable(kind)


def _nothing(plain: Any) -> None:
    if plain is not None:
        raise EncodingError("expected nothing")


def _text(plain: Any) -> str:
    if type(plain) is not str:
        raise _misfit(plain, str)
    return plain


def _whole(plain: Any) -> int:
    if type(plain) is not int:
        raise _misfit(plain, int)
    return plain


def _truth(plain: Any) -> bool:
    if type(plain) is not bool:
        raise _misfit(plain, bool)
    return plain


def _opinion(plain: Any) -> float:
    if type(plain) is float:
        if plain - plain != 0:
            raise EncodingError("a stored number is finite")
        return plain
    if type(plain) is not int:
        raise _misfit(plain, float)
    return float(plain)


def _amount(plain: Any) -> Decimal:
    if type(plain) is not str:
        raise EncodingError("an amount is stored as text")
    if plain.strip(_FIGURES):
        raise EncodingError(f"{plain!r:.40} is no amount written out")  # no NaN, no infinity, no exponent that stands for a million digits
    found = Decimal(plain)
    if len(plain) > MOST_PLACES and (found.adjusted() > MOST_PLACES or int(found.as_tuple().exponent) < -MOST_PLACES):
        raise EncodingError(f"{plain:.40}... has more than {MOST_PLACES} places")
    return found


def _instant(plain: Any) -> datetime:
    found = datetime.fromisoformat(plain)
    if found.tzinfo is None:
        raise EncodingError("a stored time carries its zone")
    return found if found.tzinfo is UTC else found.astimezone(UTC)


def _day(plain: Any) -> date:
    return date.fromisoformat(plain)


_SCALARS: dict[Any, Reader] = {
    str: _text, int: _whole, bool: _truth, float: _opinion, Decimal: _amount, datetime: _instant, date: _day,
}


def _unreadable(kind: Any) -> Reader:
    def read(plain: Any) -> Any:
        raise _misfit(plain, kind)

    return read


def _enum(kind: type[Enum]) -> Reader:
    members = {member.value: member for member in kind if type(member.value) is str}

    def read(plain: Any) -> Any:
        return members.get(plain) or kind(plain)

    return read


def _literal(choices: tuple[Any, ...]) -> Reader:
    def read(plain: Any) -> Any:
        if plain not in choices:
            raise EncodingError(f"{plain!r} is not one of {choices}")
        return plain

    return read


def _sequence(origin: Any, arguments: tuple[Any, ...]) -> Reader:
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return _fixed(tuple(map(reader, arguments)))
    item = reader(arguments[0])

    def read(plain: Any) -> Any:
        if type(plain) is not list:
            raise EncodingError("expected a list")
        return origin(map(item, plain))

    return read


def _fixed(items: tuple[Reader, ...]) -> Reader:
    def read(plain: Any) -> Any:
        if type(plain) is not list or len(plain) != len(items):
            raise EncodingError(f"expected a list of {len(items)}")
        return tuple(item(value) for item, value in zip(items, plain, strict=True))

    return read


def _mapping(item: Reader) -> Reader:
    def read(plain: Any) -> Any:
        if type(plain) is not dict:
            raise EncodingError("expected an object")
        return {key: item(value) for key, value in plain.items()}

    return read


def _union(choices: tuple[Any, ...]) -> Reader:
    named = {kind.__name__: reader(kind) for kind in choices if is_dataclass(kind) and isinstance(kind, type)}
    others = tuple(reader(kind) for kind in choices if kind is not type(None) and not is_dataclass(kind))
    optional = type(None) in choices
    if len(others) == 1 and optional and not named:
        only = others[0]
        return lambda plain: None if plain is None else only(plain)

    def read(plain: Any) -> Any:
        if plain is None:
            if optional:
                return None
            raise EncodingError("missing value")
        name = plain.get("~") if type(plain) is dict else None
        if name is not None:
            if name not in named:
                raise EncodingError(f"unknown kind {name!r}")
            return named[name](plain)
        for other in others:
            try:
                return other(plain)
            except (ValueError, TypeError, KeyError, ArithmeticError):
                continue  # the next member of the union may fit
        raise EncodingError(f"{plain!r:.80} fits none of {choices}")

    return read


def _dataclass(kind: type) -> Reader:
    name, hints = kind.__name__, hints_of(kind)
    readers = cache(lambda: tuple((field, reader(hint)) for field, hint in hints.items()))  # when first used: as in `_writing`
    size = len(hints) + 1

    def read(plain: Any) -> Any:
        _check_object(name, plain)
        if len(plain) == size and "~" in plain:  # every field and nothing else, or an unknown one in place of a missing one
            return kind(**{field: read_field(plain[field]) for field, read_field in readers()})
        unknown = set(plain) - set(hints) - {"~"}
        if unknown:
            raise EncodingError(f"{name} has no field {sorted(unknown)}")
        return kind(**{field: read_field(plain[field]) for field, read_field in readers() if field in plain})

    return read


def _kept(kind: type) -> Reader:
    """As `_dataclass`, for recurring classes: an object whose stored parts are the same as an earlier one's is that one."""
    name, hints = kind.__name__, hints_of(kind)
    readers, make = {field: reader(hint) for field, hint in hints.items()}, _dataclass(kind)
    take = itemgetter(*hints)
    # Text is its own key, so amounts of 1.0 and 1.00 are two. Numbers are checked before they are part of one, where 1 and True are the
    # same. Of a part that is an object the identity counts: whoever is kept keeps it alive.
    numbers = [(place, readers[field]) for place, (field, hint) in enumerate(hints.items()) if hint in (int, bool)]
    objects = [(place, field, readers[field]) for place, (field, hint) in enumerate(hints.items()) if any(map(is_dataclass, _kinds(hint)))]
    known: dict[tuple[Any, ...], Any] = {}

    def read(plain: Any) -> Any:
        _check_object(name, plain)
        if len(plain) != len(hints) + 1:
            return make(plain)
        values = take(plain)
        for place, check in numbers:
            check(values[place])
        key, parts = list(values), {}
        for place, field, read_part in objects:
            part = parts[field] = read_part(values[place])
            key[place] = id(part)
        found = known.get(tuple(key))
        if found is None:
            if len(known) >= _KEPT:
                known.clear()
            rest = {field: readers[field](value) for field, value in zip(hints, values, strict=True) if field not in parts}
            found = known[tuple(key)] = kind(**rest, **parts)
        return found

    return read


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _check_object(name: str, plain: Any) -> None:
    if type(plain) is not dict:
        raise EncodingError(f"expected an object for {name}")
    if plain.get("~", name) != name:
        raise EncodingError(f"expected {name}, found {plain['~']}")


def _misfit(plain: Any, kind: Any) -> EncodingError:
    return EncodingError(f"{plain!r:.80} is not a {getattr(kind, '__name__', kind)}")
