"""`parse(format(call)) == call`, for every command and every value its parameters can have."""

from __future__ import annotations

import string
from decimal import Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from core import plugins
from core.command import ACCOUNT, MAX_QUANTITY, STRATEGIES, Command, Kind, Parameter, format_call, parse_args, split_line
from core.errors import UserError

COMMANDS: tuple[Command, ...] = tuple(plugins.load("commands", name).COMMAND for name in plugins.names("commands"))
MONEY = st.decimals(min_value="0.01", max_value="999999", places=2)
IDS = st.text(alphabet=string.ascii_letters + string.digits + ":_.-", min_size=1, max_size=20)
WORDS = st.text(min_size=1, max_size=60).map(str.strip).filter(bool)
DAYS = st.dates()
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.SYMBOL: st.from_regex(r"\A/?[A-Z][A-Z0-9]{0,5}(\.[A-Z])?\Z"),
    Kind.STRATEGY: st.sampled_from(STRATEGIES),
    Kind.INTEGER: st.integers(0, 10**6),
    Kind.QUANTITY: st.integers(1, MAX_QUANTITY),
    Kind.DELTA: st.decimals(min_value="0.001", max_value=1, places=3),
    Kind.STRIKES: st.lists(MONEY, min_size=1, max_size=4, unique=True).map(lambda strikes: tuple(sorted(strikes))),
    Kind.DATE: DAYS,
    Kind.MONEY: MONEY,
    Kind.SIGNED: st.decimals(min_value=-99999, max_value=99999, places=3),
    Kind.FRACTION: st.decimals(min_value=-1, max_value=10, places=4),
    Kind.PERIOD: st.sampled_from(["today", "week", "ytd", "all", "2026-11-20", "2026-01-01..2026-11-20"]),
    Kind.ID: IDS,
    Kind.TEXT: WORDS,
    Kind.SECRET: WORDS,
    Kind.FLAG: st.booleans(),
}


@st.composite
def calls(draw: st.DrawFn) -> tuple[Command, dict[str, Any]]:
    """A command with some of its parameters, all the required ones among them."""
    command = draw(st.sampled_from(COMMANDS))
    args = {item.name: draw(value(item)) for item in (*command.parameters, ACCOUNT) if item.required or draw(st.booleans())}
    return command, args


def value(parameter: Parameter) -> st.SearchStrategy[Any]:
    return st.sampled_from(parameter.choices) if parameter.kind is Kind.CHOICE else VALUES[parameter.kind]


@given(calls())
def test_call_line_when_written_then_reads_back_as_the_same_call(made: tuple[Command, dict[str, Any]]):
    command, args = made

    name, *words = split_line(format_call(command, args))

    assert name == command.name
    assert parse_args(command, words) == args


@given(st.sampled_from(COMMANDS), st.text(max_size=80))
def test_m6_line_when_it_is_anything_at_all_then_it_parses_exactly_or_is_refused(command: Command, line: str):
    try:
        args = parse_args(command, split_line(line))
    except UserError as error:
        assert str(error)
        return
    assert set(args) <= {parameter.name for parameter in (*command.parameters, ACCOUNT)}
    written = split_line(format_call(command, args))
    assert parse_args(command, written[1:]) == args


@given(st.integers() | st.decimals(allow_nan=True, allow_infinity=True) | st.sampled_from(["½", "１０", "1e3", "ten", "1.000.000", "1k"]))
def test_m6_quantity_when_typed_then_it_is_a_whole_number_in_range_or_refused(typed: int | Decimal | str):
    command = next(command for command in COMMANDS if command.name == "size")
    text = str(typed)
    assume(text)
    try:
        quantity = parse_args(command, ["ticket=T1", f"quantity={text}"])["quantity"]
    except UserError:
        return
    assert type(quantity) is int and 1 <= quantity <= MAX_QUANTITY
    assert Decimal(text.replace(",", "")) == quantity
