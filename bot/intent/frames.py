"""What a sentence comes to: a command with its slots, or one of the three endings, with a question where something is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

SMALLTALK, OUT_OF_SCOPE, AMBIGUOUS = "smalltalk", "out_of_scope", "ambiguous"
ENDINGS = frozenset({SMALLTALK, OUT_OF_SCOPE, AMBIGUOUS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A label and its slots in normal form; of an ambiguous sentence what is asked, the answers, and what was understood so far."""

    label: str
    slots: Mapping[str, Any] = field(default_factory=dict)
    question: str = ""
    choices: tuple[str, ...] = ()
    partial: str = ""  # the command it would be
    known: Mapping[str, Any] = field(default_factory=dict)  # the slots understood so far

    @property
    def ends(self) -> bool:
        """Whether this is no command."""
        return self.label in ENDINGS


def asks(question: str, *, partial: str = "", known: Mapping[str, Any] | None = None, choices: tuple[str, ...] = ()) -> Frame:
    """An ambiguous sentence with its one question."""
    return Frame(label=AMBIGUOUS, question=question, partial=partial, known=known or {}, choices=choices)


def plain(value: Any) -> Any:
    """A slot's value as JSON holds it: numbers as numbers, days as ISO dates."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 10**15 else round(float(value), 6)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
