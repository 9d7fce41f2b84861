"""Settings as data: name, kind, default, unit, and which way a change loosens. Pure; plug-ins declare theirs in `PARAMETERS`.

The full key of a plug-in's setting is `<family>.<plug-in>.<name>`, e.g. `rules.capital.max_fraction`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from core.domain.instruments import plain_number
from core.domain.money import MoneyError, exact

Value = Decimal | int | bool | str


class Loosens(StrEnum):
    """Which change of a setting allows more risk."""

    UP = "up"  # raising it loosens
    DOWN = "down"  # lowering it loosens
    ANY = "any"  # every change counts as loosening
    EXIT = "exit"  # concerns exits, stops, targets or mandates: needs a person's confirmation either way
    NEVER = "never"


class Kind(StrEnum):
    """How a setting is typed and shown."""

    FRACTION = "fraction"
    MONEY = "money"
    NUMBER = "number"
    INTEGER = "integer"
    FLAG = "flag"
    TEXT = "text"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. `low` and `high` are the allowed range, both included."""

    name: str
    kind: Kind
    default: Value
    help: str
    unit: str = ""
    loosens: Loosens = Loosens.NEVER
    low: Decimal | None = None
    high: Decimal | None = None
    choices: tuple[str, ...] = ()

    def read(self, text: str) -> Value:
        """The value a person typed; raise ValueError that says what would be right."""
        word = text.strip()
        if self.kind is Kind.FLAG:
            if word.lower() not in ("yes", "no", "on", "off", "true", "false"):
                raise ValueError(f"{self.name} is yes or no, not {text!r:.60}")
            return word.lower() in ("yes", "on", "true")
        if self.kind in (Kind.TEXT, Kind.CHOICE):
            if self.choices and word not in self.choices:
                raise ValueError(f"{self.name} must be one of {', '.join(self.choices)}, not {text!r:.60}")
            return word
        try:
            number = exact(word.removesuffix("%").replace("_", "")) / (100 if word.endswith("%") else 1)
        except MoneyError as error:
            raise ValueError(f"{self.name}: {error}") from error
        return self.check(number)

    def check(self, number: Decimal) -> Value:
        """A number within the allowed range, as int for whole-number settings; raise ValueError otherwise."""
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise ValueError(f"{self.name} must be from {self.low} to {self.high}{' ' + self.unit if self.unit else ''}, not {number}")
        if self.kind is not Kind.INTEGER:
            return number
        if number != number.to_integral_value():
            raise ValueError(f"{self.name} must be a whole number, not {number}")
        return int(number)

    def write(self, value: Value) -> str:
        """A value as a person would type it."""
        if isinstance(value, bool):
            return "yes" if value else "no"
        return plain_number(value) if isinstance(value, Decimal) else str(value)

    def is_looser(self, old: Value, new: Value) -> bool:
        """True where the change allows more risk."""
        if old == new or self.loosens in (Loosens.NEVER, Loosens.EXIT):
            return False
        if self.loosens is Loosens.ANY or isinstance(old, str) or isinstance(new, str):
            return True
        return new > old if self.loosens is Loosens.UP else new < old


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The effective values of one plug-in's settings."""

    values: Mapping[str, Value]

    def number(self, name: str) -> Decimal:
        """A numeric setting."""
        value = self.values[name]
        if isinstance(value, bool | str):
            raise TypeError(f"{name} is not a number")
        return Decimal(value)

    def whole(self, name: str) -> int:
        """A whole-number setting."""
        return int(self.number(name))

    def flag(self, name: str) -> bool:
        """A yes/no setting."""
        return bool(self.values[name])

    def text(self, name: str) -> str:
        """A text setting."""
        return str(self.values[name])


def defaults(settings: tuple[Setting, ...]) -> Parameters:
    """The default values of a plug-in's settings."""
    return Parameters(values={setting.name: setting.default for setting in settings})
