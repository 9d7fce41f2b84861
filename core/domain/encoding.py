"""Typed values to canonical JSON and back.

Dataclasses become objects keyed by field; Decimal and dates become text; a field whose type is a union of dataclasses carries the
class name under `"~"`. The same value always gives the same bytes, so hashes of cards, envelopes and events are hashes of this text.

`to_plain` says what the text is, by looking at a value. `_writing` gives the same text with functions made once for each declared type;
whatever is not to the letter of its type goes the long way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Any, TypeVar

from core.domain._reading import MOST_PLACES, EncodingError, reader, recurring, shape_of
from core.domain._writing import SPARSE, Inexact, lasting, writer

__all__ = ["SPARSE", "EncodingError", "canonical", "digest", "from_plain", "read_back", "recurring", "shape_of", "text_as", "to_plain"]

T = TypeVar("T")
Write = Callable[[Any], Any]
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII."""
    return text_as(type(value), value)


def text_as(kind: Any, value: object) -> str:
    """The canonical text of a value whose declared type is known, which is quicker; the text is the same."""
    try:
        return writer(kind)(value)
    except Inexact:
        return _ENCODER.encode(to_plain(value))


def read_back(value: T) -> tuple[str, T]:
    """The canonical text of a dataclass and what reading it gives; raise EncodingError for what would not read.

    A value of frozen parts that is to the letter of its types reads back as it is, and is given as it is. Anything else is read.
    """
    kind: Any = type(value)
    try:
        text = writer(kind)(value)
        if lasting(kind):
            return text, value
    except Inexact:
        text = _ENCODER.encode(to_plain(value))
    try:
        return text, from_plain(kind, json.loads(text))
    except (ValueError, RecursionError) as error:
        raise EncodingError(f"this {kind.__name__} would not read back: {error}") from error


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
        return reader(kind)(plain)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        if isinstance(error, EncodingError):
            raise
        raise EncodingError(f"{plain!r:.80} is not a {getattr(kind, '__name__', kind)}: {error}") from error


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
    exponent = value.as_tuple().exponent
    if value.adjusted() > MOST_PLACES or (isinstance(exponent, int) and exponent < -MOST_PLACES):
        raise EncodingError(f"a stored amount has at most {MOST_PLACES} places, not those of {value:.3E}")
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
