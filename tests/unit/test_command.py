"""The grammar of typed lines."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from core.command import Access, Command, Kind, Parameter, format_call, format_value, parse_args, read_value, split_line
from core.errors import UserError
from core.reply import Reply


async def run(desk: Any, call: Any) -> Reply:
    return Reply(blocks=())


BUY = Command(
    name="buy", help="Buys.", run=run, access=Access.DRAFT, examples=("buy SPY 2",),
    parameters=(
        Parameter(name="symbol", kind=Kind.SYMBOL, required=True), Parameter(name="quantity", kind=Kind.QUANTITY),
        Parameter(name="expiry", kind=Kind.DATE), Parameter(name="strikes", kind=Kind.STRIKES, positional=False),
    ),
)
NOTE = Command(
    name="note", help="Notes.", run=run, access=Access.DRAFT, examples=("note sold too early",),
    parameters=(Parameter(name="symbol", kind=Kind.SYMBOL, positional=False), Parameter(name="text", kind=Kind.TEXT, required=True)),
)


def parse(command: Command, line: str) -> dict[str, Any]:
    return parse_args(command, split_line(line))


@pytest.mark.parametrize(("line", "args"), [
    ("SPY", {"symbol": "SPY"}),
    ("spy 2", {"symbol": "SPY", "quantity": 2}),
    ("quantity=2 spy", {"symbol": "SPY", "quantity": 2}),
    ("SPY 2026-12-18", {"symbol": "SPY", "expiry": date(2026, 12, 18)}),
    ("SPY 2 2026-12-18", {"symbol": "SPY", "quantity": 2, "expiry": date(2026, 12, 18)}),
    ("SPY strikes=480/470", {"symbol": "SPY", "strikes": (Decimal(470), Decimal(480))}),
    ("SPY 1,000 account=practice", {"symbol": "SPY", "quantity": 1000, "account": "practice"}),
])
def test_parse_when_words_are_named_or_in_order_then_arguments_are_typed(line: str, args: dict[str, Any]):
    assert parse(BUY, line) == args


@pytest.mark.parametrize(("line", "sentence"), [
    ("", "buy needs symbol. For example: buy SPY 2."),
    ("SPY 2 3 4", "does not understand '3 4'|cannot be '3'"),
    ("SPY quantity=0", "quantity cannot be '0': it must be a whole number from 1 to 10,000"),
    ("SPY quantity=1000000000", "from 1 to 10,000"),
    ("SPY quantity=ten", "quantity cannot be 'ten'"),
    ("SPY quantity=2 quantity=3", "quantity is given twice"),
    ("SPY colour=blue", "no parameter 'colour'.*It takes: symbol, quantity"),
    ("SPY expiry=18.12.2026", "a date is written as 2026-12-18"),
    ("SPY strikes=480/480", "one to four different numbers"),
    ("S!PY", "a symbol is one to six letters"),
])
def test_parse_when_a_line_is_wrong_then_says_what_would_be_right(line: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        parse(BUY, line)


def test_parse_when_text_is_last_then_it_takes_all_the_words():
    assert parse(NOTE, "sold SPY too early, limit=5 was wrong") == {"text": "sold SPY too early, limit=5 was wrong"}


def test_split_when_a_quote_is_open_then_refuses():
    with pytest.raises(UserError, match="unfinished quote"):
        split_line('note "sold')


def test_split_when_a_slash_comes_first_then_it_is_left_out():
    assert split_line("/buy SPY") == ["buy", "SPY"]


@pytest.mark.parametrize(("kind", "text", "value"), [
    (Kind.DELTA, "16", Decimal("0.16")), (Kind.DELTA, "0.16", Decimal("0.16")), (Kind.FRACTION, "50%", Decimal("0.5")),
    (Kind.MONEY, "$1,234.50", Decimal("1234.50")), (Kind.FLAG, "yes", True), (Kind.FLAG, "off", False), (Kind.ID, "#P1", "P1"),
    (Kind.PERIOD, "YTD", "ytd"), (Kind.SYMBOL, "brk.b", "BRK.B"),
])
def test_read_value_when_it_can_be_said_in_two_ways_then_both_have_one_form(kind: Kind, text: str, value: Any):
    assert read_value(Parameter(name="x", kind=kind), text) == value


@pytest.mark.parametrize(("kind", "text"), [
    (Kind.MONEY, "0"), (Kind.MONEY, "-5"), (Kind.MONEY, "1e3"), (Kind.MONEY, "nan"), (Kind.DELTA, "0"), (Kind.DELTA, "101"),
    (Kind.FRACTION, "2000%"), (Kind.ID, "a b"), (Kind.FLAG, "maybe"), (Kind.PERIOD, "soon"), (Kind.TEXT, " "), (Kind.INTEGER, "1.5"),
])
def test_read_value_when_it_cannot_be_then_refuses(kind: Kind, text: str):
    with pytest.raises(UserError, match="x cannot be"):
        read_value(Parameter(name="x", kind=kind), text)


@pytest.mark.parametrize("text", ["600,610", "600,605,680,685"])
def test_strikes_when_a_comma_stands_between_them_then_says_what_would_be_right(text: str):
    with pytest.raises(UserError, match="strikes have a slash between them, such as 480/470"):
        read_value(Parameter(name="strikes", kind=Kind.STRIKES), text)


def test_strikes_when_a_comma_stands_between_thousands_then_it_is_read_over():
    assert read_value(Parameter(name="strikes", kind=Kind.STRIKES), "6,550/6,500") == (6500, 6550)


def test_format_when_values_are_typed_then_the_line_is_as_a_person_would_type_it():
    args = {"strikes": (Decimal(470), Decimal("480.50")), "symbol": "SPY", "quantity": 2, "expiry": date(2026, 12, 18)}

    assert format_call(BUY, args) == "buy symbol=SPY quantity=2 expiry=2026-12-18 strikes=470/480.5"
    assert format_value(True) == "yes"


def test_access_when_it_depends_on_arguments_then_they_decide():
    command = Command(
        name="list", help="Lists.", run=run, access=lambda args: Access.COMMIT if args.get("remove") else Access.READ, examples=("list",)
    )

    assert (command.access_for({}), command.access_for({"remove": True})) == (Access.READ, Access.COMMIT)


def test_split_when_a_word_has_an_apostrophe_then_it_is_a_letter_of_it() -> None:
    assert split_line("note it's Bob's idea") == ["note", "it's", "Bob's", "idea"]
    assert split_line("note 'it is' \"it's\"") == ["note", "it is", "it's"]


def test_read_when_a_wrong_value_is_endless_then_only_its_beginning_is_repeated() -> None:
    with pytest.raises(UserError) as caught:
        parse_args(NOTE, ["x" * 3_000])
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.SYMBOL, "ßo"), (Kind.SYMBOL, "ſpx"), (Kind.SYMBOL, "\u212ao"), (Kind.SYMBOL, "ЅPY"), (Kind.SYMBOL, "S\u200bPY"),
        (Kind.CHOICE, "stoc\u212a"), (Kind.PERIOD, "wee\u212a"), (Kind.QUANTITY, "٣"), (Kind.STRIKES, "４８０/４７０"),
        (Kind.DATE, "２０２６-11-20"),
        (Kind.ID, "T１"), (Kind.FLAG, "ｙes"), (Kind.FRACTION, "٥%"), (Kind.MONEY, "１００"), (Kind.DELTA, "०.16"),
        (Kind.STRIKES, "480/\x85470"),
    ],
)  # fmt: skip
def test_a8_value_when_a_letter_or_digit_is_a_lookalike_then_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(UserError, match="cannot be"):
        read_value(Parameter(name="x", kind=kind, choices=("stock",)), text)
