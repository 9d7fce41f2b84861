"""Typed values to canonical JSON and back.

Dataclasses become objects keyed by field; Decimal and dates become text; a field whose type is a union of dataclasses carries the
class name under `"~"`. The same value always gives the same bytes, so hashes of cards, envelopes and events are hashes of this text.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar, Union, get_args, get_origin

T = TypeVar("T")


class EncodingError(ValueError):
    """A value that cannot be written or read exactly."""


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII."""
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: object) -> str:
    """SHA-256 of the canonical text, in hexadecimal."""
    return sha256(canonical(value).encode("ascii")).hexdigest()


def to_plain(value: Any) -> Any:
    """Turn a value into JSON types; floats must be finite, datetimes must carry UTC."""
    if value is None or (isinstance(value, bool | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EncodingError("a stored number must be finite; unknown is None")
        return value
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise EncodingError("a stored amount must be finite; unknown is None")
        return f"{value:f}"
    if isinstance(value, datetime):
        if value.tzinfo is None or value.utcoffset() != UTC.utcoffset(None):
            raise EncodingError("a stored time must be in UTC")
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        plain = {name: to_plain(getattr(value, name)) for name in _field_names(type(value))}
        plain["~"] = type(value).__name__
        return plain
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise EncodingError("a stored mapping has text keys")
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    raise EncodingError(f"{type(value).__name__} cannot be stored")


def from_plain(kind: Any, plain: Any) -> Any:
    """Read JSON types back as `kind` (a dataclass, union, container or scalar type); raise EncodingError where they do not fit."""
    try:
        return _read(kind, plain)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, EncodingError):
            raise
        raise EncodingError(f"{plain!r:.80} is not a {getattr(kind, '__name__', kind)}: {error}") from error


def _read(kind: Any, plain: Any) -> Any:
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return plain
    if origin in (Union, types.UnionType):
        return _read_union(get_args(kind), plain)
    if kind is type(None):
        if plain is not None:
            raise EncodingError("expected nothing")
        return None
    if plain is None:
        raise EncodingError(f"missing {getattr(kind, '__name__', kind)}")
    if origin is typing.Literal:
        if plain not in get_args(kind):
            raise EncodingError(f"{plain!r} is not one of {get_args(kind)}")
        return plain
    if origin in (tuple, list, frozenset, set):
        return _read_sequence(origin, get_args(kind), plain)
    if origin in (dict, Mapping) or kind is dict:
        arguments = get_args(kind) or (str, Any)
        return {key: _read(arguments[1], item) for key, item in plain.items()}
    return _read_scalar(kind, plain)


def _read_sequence(origin: Any, arguments: tuple[Any, ...], plain: Any) -> Any:
    if not isinstance(plain, list):
        raise EncodingError("expected a list")
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_read(arguments[0], item) for item in plain)
    if origin is tuple:
        if len(arguments) != len(plain):
            raise EncodingError("a list of another length")
        return tuple(_read(kind, item) for kind, item in zip(arguments, plain, strict=True))
    return origin(_read(arguments[0], item) for item in plain)


def _read_scalar(kind: Any, plain: Any) -> Any:
    if is_dataclass(kind):
        return _read_dataclass(kind, plain)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    if kind is Decimal:
        if not isinstance(plain, str):
            raise EncodingError("an amount is stored as text")
        return Decimal(plain)
    if kind is datetime:
        return datetime.fromisoformat(plain).astimezone(UTC)
    if kind is date:
        return date.fromisoformat(plain)
    if kind is float and isinstance(plain, int | float) and not isinstance(plain, bool):
        return float(plain)
    if kind in (int, str, bool) and type(plain) is kind:
        return plain
    raise EncodingError(f"{plain!r:.80} is not a {getattr(kind, '__name__', kind)}")


def _read_union(choices: tuple[Any, ...], plain: Any) -> Any:
    if plain is None:
        if type(None) in choices:
            return None
        raise EncodingError("missing value")
    named = plain.get("~") if isinstance(plain, dict) else None
    if named is not None:
        for kind in choices:
            if is_dataclass(kind) and getattr(kind, "__name__", "") == named:
                return _read_dataclass(kind, plain)
        raise EncodingError(f"unknown kind {named!r}")
    for kind in choices:
        if kind is type(None) or is_dataclass(kind):
            continue
        try:
            return _read(kind, plain)
        except (EncodingError, ValueError, TypeError, ArithmeticError):
            continue  # the next member of the union may fit
    raise EncodingError(f"{plain!r:.80} fits none of {choices}")


def _read_dataclass(kind: Any, plain: Any) -> Any:
    if not isinstance(plain, dict):
        raise EncodingError(f"expected an object for {kind.__name__}")
    hints = _hints(kind)
    if plain.get("~", kind.__name__) != kind.__name__:
        raise EncodingError(f"expected {kind.__name__}, found {plain['~']}")
    unknown = set(plain) - set(hints) - {"~"}
    if unknown:
        raise EncodingError(f"{kind.__name__} has no field {sorted(unknown)}")
    return kind(**{name: _read(hints[name], plain[name]) for name in hints if name in plain})


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
