"""News as it is kept until it is delivered: an announcement to text and back, amounts exact, times in UTC."""

from __future__ import annotations

import base64
import json
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from core import reply
from core.announce import Announcement, Urgency
from core.errors import Corrupt

_KIND, _VALUE = "~", "="
_KINDS = [Announcement, Urgency, *(item for item in vars(reply).values() if isinstance(item, type))]
_PARTS: dict[str, Any] = {kind.__name__: kind for kind in _KINDS if is_dataclass(kind)}
_ENUMS: dict[str, Any] = {kind.__name__: kind for kind in _KINDS if issubclass(kind, Enum)}


def to_text(news: Announcement) -> str:
    """The one text of an announcement."""
    return json.dumps(_plain(news), separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def from_text(text: str) -> Announcement:
    """What `to_text` was given; raise Corrupt for anything else."""
    try:
        found = _read(json.loads(text))
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError, RecursionError) as error:
        raise Corrupt("a message in the outbox is damaged") from error
    if not isinstance(found, Announcement):
        raise Corrupt("a message in the outbox is no message")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return {_KIND: type(value).__name__, _VALUE: value.value}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None  # what is no number is unknown
    if isinstance(value, Decimal):
        return {_KIND: "decimal", _VALUE: str(value)}
    if isinstance(value, datetime):
        return {_KIND: "time", _VALUE: value.isoformat()}
    if isinstance(value, date):
        return {_KIND: "date", _VALUE: value.isoformat()}
    if isinstance(value, bytes):
        return {_KIND: "bytes", _VALUE: base64.b64encode(value).decode("ascii")}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if is_dataclass(value) and type(value).__name__ in _PARTS:
        return {_KIND: type(value).__name__, **{item.name: _plain(getattr(value, item.name)) for item in fields(value)}}
    raise TypeError(f"{type(value).__name__} is no part of an announcement")


_SCALARS: dict[str, Any] = {"decimal": Decimal, "time": datetime.fromisoformat, "date": date.fromisoformat, "bytes": base64.b64decode}


def _read(plain: Any) -> Any:
    if isinstance(plain, list):
        return tuple(_read(item) for item in plain)
    if not isinstance(plain, dict):
        return plain
    kind = plain[_KIND]
    make = _SCALARS.get(kind) or _ENUMS.get(kind)
    if make is not None:
        return make(plain[_VALUE])
    return _PARTS[kind](**{name: _read(item) for name, item in plain.items() if name != _KIND})
