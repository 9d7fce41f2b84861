"""Typed values to canonical JSON and back.

Dataclasses become objects keyed by field; Decimal and dates become text; a field whose type is a union of dataclasses carries the
class name under `"~"`. The same value always gives the same bytes, so hashes of cards, envelopes and events are hashes of this text.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar, Union, get_args, get_origin

T = TypeVar("T")
# Metadata of a field that came later: it is left out of the text while it has its default, so what was written and hashed before it
# existed still gives the same text.
SPARSE: Mapping[str, Any] = types.MappingProxyType({"sparse": True})
Write = Callable[[Any], Any]
Read = Callable[[Any], Any]
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class EncodingError(ValueError):
    """A value that cannot be written or read exactly."""


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII."""
    return _ENCODER.encode(to_plain(value))


def digest(value: object) -> str:
    """SHA-256 of the canonical text, in hexadecimal."""
    return sha256(canonical(value).encode("ascii")).hexdigest()


def to_plain(value: Any) -> Any:
    """Turn a value into JSON types; floats must be finite, datetimes must carry UTC."""
    kind = type(value)
    write = _WRITERS.get(kind)
    if write is None:
        write = _WRITERS[kind] = _writer(kind)
    return write(value)


def from_plain(kind: Any, plain: Any) -> Any:
    """Read JSON types back as `kind` (a dataclass, union, container or scalar type); raise EncodingError where they do not fit."""
    try:
        return _reader(kind)(plain)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, EncodingError):
            raise
        raise EncodingError(f"{plain!r:.80} is not a {_name(kind)}: {error}") from error


# --- writing: what a type needs is found out once for each type ------------------------------------------------------------


def _writer(kind: type) -> Write:
    if issubclass(kind, Enum):
        return _enum_value
    if issubclass(kind, bool | str | int | type(None)):
        return _itself
    if issubclass(kind, float):
        return _write_float
    for known, write in ((Decimal, _write_decimal), (datetime, _write_datetime), (date, date.isoformat)):
        if issubclass(kind, known):
            return write
    if is_dataclass(kind):
        return _dataclass_writer(kind)
    if issubclass(kind, Mapping):
        return _write_mapping
    if issubclass(kind, frozenset | set):
        return lambda value: sorted(map(to_plain, value))
    if issubclass(kind, list | tuple):
        return lambda value: list(map(to_plain, value))
    raise EncodingError(f"{kind.__name__} cannot be stored")


def _itself(value: Any) -> Any:
    return value


def _enum_value(value: Any) -> Any:
    return value.value


def _write_float(value: Any) -> Any:
    if not math.isfinite(value):
        raise EncodingError("a stored number must be finite; unknown is None")
    return value


def _write_decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise EncodingError("a stored amount must be finite; unknown is None")
    return f"{value:f}"


def _write_datetime(value: datetime) -> str:
    if value.tzinfo is not UTC:
        if value.tzinfo is None or value.utcoffset() != UTC.utcoffset(None):
            raise EncodingError("a stored time must be in UTC")
        value = value.astimezone(UTC)
    return value.isoformat()


def _write_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    if not all(isinstance(key, str) for key in value):
        raise EncodingError("a stored mapping has text keys")
    return {key: to_plain(item) for key, item in value.items()}


def _dataclass_writer(kind: type) -> Write:
    name, names, writers = kind.__name__, tuple(field.name for field in fields(kind)), _WRITERS
    sparse = {field.name: field.default for field in fields(kind) if field.metadata.get("sparse")}

    def write(value: Any) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for field in names:
            item = getattr(value, field)
            if field in sparse and item == sparse[field]:
                continue
            known = writers.get(type(item))
            plain[field] = to_plain(item) if known is None else known(item)
        plain["~"] = name
        return plain

    return write


_WRITERS: dict[type, Write] = {str: _itself, int: _itself, bool: _itself, type(None): _itself}


# --- reading: what a type asks for is found out once for each type -----------------------------------------------------------


@cache
def _reader(kind: Any) -> Read:
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return _itself
    if origin in (Union, types.UnionType):
        return _union_reader(get_args(kind))
    if kind is type(None):
        return _read_nothing
    return _present(kind, _known_reader(kind, origin))


def _known_reader(kind: Any, origin: Any) -> Read:
    if origin is typing.Literal:
        return _literal_reader(get_args(kind))
    if origin in (tuple, list, frozenset, set):
        return _sequence_reader(origin, get_args(kind))
    if origin in (dict, Mapping) or kind is dict:
        return _mapping_reader((get_args(kind) or (str, Any))[1])
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass_reader(kind)
    return _scalar_reader(kind)


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))


def _present(kind: Any, read: Read) -> Read:
    def present(plain: Any) -> Any:
        if plain is None:
            raise EncodingError(f"missing {_name(kind)}")
        return read(plain)

    return present


def _read_nothing(plain: Any) -> None:
    if plain is not None:
        raise EncodingError("expected nothing")


def _literal_reader(choices: tuple[Any, ...]) -> Read:
    def read(plain: Any) -> Any:
        if plain not in choices:
            raise EncodingError(f"{plain!r} is not one of {choices}")
        return plain

    return read


def _mapping_reader(kind: Any) -> Read:
    item = _reader(kind)
    return lambda plain: {key: item(value) for key, value in plain.items()}


def _sequence_reader(origin: Any, arguments: tuple[Any, ...]) -> Read:
    endless = origin is not tuple or (len(arguments) == 2 and arguments[1] is Ellipsis)
    items = (_reader(arguments[0]),) if endless else tuple(map(_reader, arguments))

    def read(plain: Any) -> Any:
        if not isinstance(plain, list):
            raise EncodingError("expected a list")
        if endless:
            return origin(map(items[0], plain))
        if len(items) != len(plain):
            raise EncodingError("a list of another length")
        return tuple(item(value) for item, value in zip(items, plain, strict=True))

    return read


def _scalar_reader(kind: Any) -> Read:
    if isinstance(kind, type) and issubclass(kind, Enum):
        members = {member.value: member for member in kind}
        return lambda plain: members[plain] if plain in members else kind(plain)
    if kind is Decimal:
        return _read_decimal
    if kind is datetime:
        return _read_datetime
    if kind is date:
        return date.fromisoformat
    if kind is float:
        return _read_float
    if kind in (int, str, bool):
        return _exactly(kind)
    return _misfit(kind)


def _read_decimal(plain: Any) -> Decimal:
    if not isinstance(plain, str):
        raise EncodingError("an amount is stored as text")
    return Decimal(plain)


def _read_datetime(plain: Any) -> datetime:
    read = datetime.fromisoformat(plain)
    return read if read.tzinfo is UTC else read.astimezone(UTC)


def _read_float(plain: Any) -> Any:
    if not isinstance(plain, int | float) or isinstance(plain, bool):
        raise EncodingError(f"{plain!r:.80} is not a float")
    return float(plain)


def _exactly(kind: type) -> Read:
    def read(plain: Any) -> Any:
        if type(plain) is not kind:
            raise EncodingError(f"{plain!r:.80} is not a {kind.__name__}")
        return plain

    return read


def _misfit(kind: Any) -> Read:
    def read(plain: Any) -> Any:
        raise EncodingError(f"{plain!r:.80} is not a {_name(kind)}")

    return read


def _union_reader(choices: tuple[Any, ...]) -> Read:
    by_name = {kind.__name__: _reader(kind) for kind in choices if is_dataclass(kind) and isinstance(kind, type)}
    others = tuple(_reader(kind) for kind in choices if kind is not type(None) and not is_dataclass(kind))
    optional = type(None) in choices

    def read(plain: Any) -> Any:
        if plain is None:
            if optional:
                return None
            raise EncodingError("missing value")
        named = plain.get("~") if isinstance(plain, dict) else None
        if named is not None:
            if named not in by_name:
                raise EncodingError(f"unknown kind {named!r}")
            return by_name[named](plain)
        for other in others:
            try:
                return other(plain)
            except (EncodingError, ValueError, TypeError, ArithmeticError):
                continue  # the next member of the union may fit
        raise EncodingError(f"{plain!r:.80} fits none of {choices}")

    return read


def _dataclass_reader(kind: type) -> Read:
    name, readers = kind.__name__, cache(lambda: _field_readers(kind))  # when first read: a class may hold one of its own kind

    def read(plain: Any) -> Any:
        if not isinstance(plain, dict):
            raise EncodingError(f"expected an object for {name}")
        if plain.get("~", name) != name:
            raise EncodingError(f"expected {name}, found {plain['~']}")
        known = readers()
        unknown = plain.keys() - known.keys() - {"~"}
        if unknown:
            raise EncodingError(f"{name} has no field {sorted(unknown)}")
        return kind(**{field: item(plain[field]) for field, item in known.items() if field in plain})

    return read


def _field_readers(kind: type) -> dict[str, Read]:
    hints = typing.get_type_hints(kind)
    return {field.name: _reader(hints[field.name]) for field in fields(kind)}
