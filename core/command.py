"""Commands: one typed table behind every front end.

A command is one file in `core/commands/` with a module-level `COMMAND = Command(...)`. Its parameters are declared once; parsing a
typed line, generating a tool schema and checking a button all use them. `parse_line(format_call(call)) == call` for every call.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any

from core.domain.instruments import plain_number
from core.domain.money import MoneyError, exact
from core.errors import UserError

if TYPE_CHECKING:
    from core.desk import Desk
    from core.reply import Reply

STRATEGIES = (
    "naked_put",
    "cash_secured_put",
    "put_credit_spread",
    "call_credit_spread",
    "iron_condor",
    "short_strangle",
    "calendar",
    "diagonal",
    "covered_call",
    "protective_put",
    "long_put",
    "long_call",
    "put_debit_spread",
    "call_debit_spread",
    "stock",
)
HUGE_STRIKE = 100_000  # no listed strike is so high: 480,470 were two
MAX_QUANTITY = 10_000


class Access(IntEnum):
    """What a call may change, in rising order of weight."""

    READ = 0
    DRAFT = 1
    REDUCE = 2
    COMMIT = 3
    STEPUP = 4


class Via(StrEnum):
    """How a call reached the desk; decides what it may do."""

    BUTTON = "button"  # a person's press on a stored button
    LINE = "line"  # an exact typed command
    SENTENCE = "sentence"  # words turned into a command by a parser
    MODEL = "model"
    CLOCK = "clock"
    MANDATE = "mandate"


class Role(StrEnum):
    """What a person may do at all."""

    OWNER = "owner"
    TRADER = "trader"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, how, from where."""

    person: str
    via: Via
    role: Role = Role.OWNER
    account: str | None = None
    chat: str = "terminal"
    message_id: str = ""
    proved: bool = False  # a PIN or one-time code was checked for this very call


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A command with its typed arguments and who asked."""

    command: str
    args: Mapping[str, Any]
    caller: Caller


class Kind(StrEnum):
    """Types of parameters and the normal form of their values."""

    SYMBOL = "symbol"  # upper case
    STRATEGY = "strategy"
    CHOICE = "choice"
    INTEGER = "integer"
    QUANTITY = "quantity"  # positive int, at most MAX_QUANTITY
    DELTA = "delta"  # Decimal fraction 0..1
    STRIKES = "strikes"  # ascending tuple of Decimal
    DATE = "date"
    MONEY = "money"  # positive Decimal
    SIGNED = "signed"  # any Decimal
    FRACTION = "fraction"  # Decimal
    PERIOD = "period"
    ID = "id"
    TEXT = "text"
    SECRET = "secret"  # never logged or shown
    FLAG = "flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One typed parameter. `positional` ones may be given without a name in a typed line, in order."""

    name: str
    kind: Kind
    help: str = ""
    required: bool = False
    positional: bool = True
    choices: tuple[str, ...] = ()


Run = Callable[["Desk", Call], Awaitable["Reply"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A row of the table. `access` may depend on the arguments. `examples` are typed lines that parse."""

    name: str
    help: str
    run: Run
    access: Access | Callable[[Mapping[str, Any]], Access]
    parameters: tuple[Parameter, ...] = ()
    examples: tuple[str, ...] = ()
    roles: frozenset[Role] = field(default_factory=lambda: frozenset(Role))
    in_modes: str = "any"
    weigh: Callable[[Desk, Mapping[str, Any]], Access] | None = None  # where the class also depends on the desk's state

    def access_for(self, args: Mapping[str, Any], desk: Desk | None = None) -> Access:
        """The access class of a call with these arguments; without a desk the heaviest it may be."""
        if self.weigh is not None and desk is not None:
            return self.weigh(desk, args)
        return self.access(args) if callable(self.access) else self.access


ACCOUNT = Parameter(name="account", kind=Kind.ID, help="account name or id; the default account otherwise", positional=False)

_PERIODS = frozenset({"today", "yesterday", "week", "month", "ytd", "year", "all"})


LONGEST_SAID = 60  # characters of a wrong value that are repeated to whoever typed it
_HELD = "\0"


def split_line(line: str) -> list[str]:
    """Words of a typed line; quotes group words, and an apostrophe inside a word (it's) is a letter."""
    text = line.strip().removeprefix("/")
    held = text if _HELD in text else re.sub(r"(?<=\w)'(?=\w)", _HELD, text)
    try:
        words = shlex.split(held)
    except ValueError as error:
        raise UserError("That line has an unfinished quote.", 'Close it, as in note "sold too early".') from error
    return words if held == text else [word.replace(_HELD, "'") for word in words]


def parse_args(command: Command, words: list[str]) -> dict[str, Any]:
    """Typed arguments of a command from the words after its name: `name=value` in any order, the rest by position.

    The last text parameter takes all remaining words. Raises UserError that says what is wrong and what would be right.
    """
    known = {parameter.name: parameter for parameter in (*command.parameters, ACCOUNT)}
    open_slots = [parameter for parameter in command.parameters if parameter.positional]
    args: dict[str, Any] = {}
    loose: list[str] = []
    for word in words:
        name, found, value = word.partition("=")
        if found and name in known:
            if name in args:
                raise UserError(f"{name} is given twice.", "Give it once.")
            args[name] = read_value(known[name], value)
        elif found and re.fullmatch(r"[a-z_]+", name) and not _takes_text(open_slots):
            raise UserError(f"{command.name} has no parameter {repeated(name)}.", f"It takes: {_names(command)}.")
        else:
            loose.append(word)
    _place(command, loose, [slot for slot in open_slots if slot.name not in args], args)
    missing = [parameter.name for parameter in command.parameters if parameter.required and parameter.name not in args]
    if missing:
        raise UserError(f"{command.name} needs {' and '.join(missing)}.", _example(command))
    return args


def _place(command: Command, loose: list[str], slots: list[Parameter], args: dict[str, Any]) -> None:
    while loose and slots:
        slot = slots.pop(0)
        if slot.kind is Kind.TEXT:
            args[slot.name] = read_value(slot, " ".join(loose))
            return
        try:
            args[slot.name] = read_value(slot, loose[0])
        except UserError:
            if slot.required or not slots:
                raise
            continue  # an optional parameter that this word does not fit is skipped; a later one may fit
        loose.pop(0)
    if loose:
        said = repeated(" ".join(loose))
        raise UserError(f"{command.name} does not understand {said}.", f"It takes: {_names(command)}. {_example(command)}")


def read_value(parameter: Parameter, text: str) -> Any:
    """A parameter's value in normal form from typed text; raise UserError with what would be right."""
    try:
        return _READERS[parameter.kind](parameter, text)
    except (MoneyError, ValueError) as error:
        raise UserError(f"{parameter.name} cannot be {repeated(text)}: {error}.") from error


def repeated(text: str) -> str:
    """What somebody said and was not understood, as it is repeated to them: quoted, and not endless."""
    return repr(text if len(text) <= LONGEST_SAID else f"{text[:LONGEST_SAID]}...")


def format_call(command: Command, args: Mapping[str, Any]) -> str:
    """The typed line of a call: every argument by name, in the order of the parameters."""
    order = [parameter.name for parameter in (*command.parameters, ACCOUNT)]
    parts = [f"{name}={shlex.quote(format_value(args[name]))}" for name in order if name in args and args[name] is not None]
    return " ".join([command.name, *parts])


def format_value(value: Any) -> str:
    """A value as it would be typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return plain_number(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return "/".join(format_value(item) for item in value)
    return str(value)


def _number(text: str, *, low: Decimal | None = None, high: Decimal | None = None, above: bool = False) -> Decimal:
    number = exact(text.replace(",", "") if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", text) else text)
    if low is not None and (number < low or (above and number == low)):
        raise ValueError(f"it must be {'above' if above else 'at least'} {low}")
    if high is not None and number > high:
        raise ValueError(f"it must be at most {high}")
    return number


def _whole(text: str) -> int:
    try:
        number = _number(text)
    except MoneyError as error:
        raise ValueError("it must be a whole number such as 2, in digits") from error
    if number != number.to_integral_value():
        raise ValueError("it must be a whole number")
    return int(number)


def _read_symbol(parameter: Parameter, text: str) -> str:
    symbol = text.upper()
    if not text.isascii() or not re.fullmatch(r"/?[A-Z][A-Z0-9]{0,5}(\.[A-Z])?", symbol):
        raise ValueError("a symbol is one to six letters, such as SPY")
    return symbol


def _read_choice(parameter: Parameter, text: str) -> str:
    choice = text.lower().replace("-", "_").replace(" ", "_")
    choices = STRATEGIES if parameter.kind is Kind.STRATEGY else parameter.choices
    if choice not in choices or not text.isascii():
        raise ValueError(f"it must be one of {', '.join(choices)}")
    return choice


def _read_quantity(parameter: Parameter, text: str) -> int:
    count = _whole(text)
    if not 1 <= count <= MAX_QUANTITY:
        raise ValueError(f"it must be a whole number from 1 to {MAX_QUANTITY:,}")
    return count


def _read_integer(parameter: Parameter, text: str) -> int:
    count = _whole(text)
    if not 0 <= count <= 10**6:
        raise ValueError("it must be a whole number from 0 to 1,000,000")
    return count


def _read_delta(parameter: Parameter, text: str) -> Decimal:
    number = _number(text, low=Decimal(0), high=Decimal(100), above=True)
    return number / 100 if number > 1 else number


def _read_strikes(parameter: Parameter, text: str) -> tuple[Decimal, ...]:
    strikes = sorted(_number(part, low=Decimal(0), above=True) for part in text.split("/"))
    if "," in text and strikes[-1] >= HUGE_STRIKE:
        raise ValueError("a comma stands between thousands; strikes have a slash between them, such as 480/470")
    if len(set(strikes)) != len(strikes) or len(strikes) > 4:
        raise ValueError("strikes are one to four different numbers, such as 480/470")
    return tuple(strikes)


def _read_date(parameter: Parameter, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("a date is written as 2026-12-18") from None


def _read_money(parameter: Parameter, text: str) -> Decimal:
    return _number(text.removeprefix("$"), low=Decimal(0), high=Decimal(10) ** 9, above=True)


def _read_signed(parameter: Parameter, text: str) -> Decimal:
    return _number(text, low=-(Decimal(10) ** 9), high=Decimal(10) ** 9)


def _read_fraction(parameter: Parameter, text: str) -> Decimal:
    number = _number(text.lower().removesuffix("%").removesuffix("x")) / (100 if text.endswith("%") else 1)
    if not -1 <= number <= 10:
        raise ValueError("a fraction is written as 0.5 or 50%, a multiple as 2x")
    return number


def _read_period(parameter: Parameter, text: str) -> str:
    period = text.lower()
    if period in _PERIODS and text.isascii():
        return period
    for part in period.split("..", 1):
        try:
            date.fromisoformat(part)
        except ValueError:
            raise ValueError(f"a period is one of {', '.join(sorted(_PERIODS))}, a day such as 2026-11-20, or from..to") from None
    return period


def _read_id(parameter: Parameter, text: str) -> str:
    value = text.removeprefix("#")
    if not re.fullmatch(r"[A-Za-z0-9:_.-]{1,64}", value):
        raise ValueError("an id is letters, digits and dashes, as shown on the card")
    return value


def _read_text(parameter: Parameter, text: str) -> str:
    words = text.strip()
    if not words or len(words) > 2000:
        raise ValueError("it must be 1 to 2,000 characters")
    return words


def _read_flag(parameter: Parameter, text: str) -> bool:
    word = text.lower()
    if word in ("yes", "true", "on", "1", parameter.name):
        return True
    if word in ("no", "false", "off", "0"):
        return False
    raise ValueError("it is yes or no")


_READERS: dict[Kind, Callable[[Parameter, str], Any]] = {
    Kind.SYMBOL: _read_symbol,
    Kind.STRATEGY: _read_choice,
    Kind.CHOICE: _read_choice,
    Kind.INTEGER: _read_integer,
    Kind.QUANTITY: _read_quantity,
    Kind.DELTA: _read_delta,
    Kind.STRIKES: _read_strikes,
    Kind.DATE: _read_date,
    Kind.MONEY: _read_money,
    Kind.SIGNED: _read_signed,
    Kind.FRACTION: _read_fraction,
    Kind.PERIOD: _read_period,
    Kind.ID: _read_id,
    Kind.TEXT: _read_text,
    Kind.SECRET: _read_text,
    Kind.FLAG: _read_flag,
}


def _takes_text(slots: list[Parameter]) -> bool:
    return bool(slots) and slots[-1].kind is Kind.TEXT


def _names(command: Command) -> str:
    return ", ".join(parameter.name + ("" if parameter.required else "?") for parameter in command.parameters) or "nothing"


def _example(command: Command) -> str:
    return f"For example: {command.examples[0]}." if command.examples else ""
