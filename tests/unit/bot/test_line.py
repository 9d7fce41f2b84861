"""Typed lines: understood exactly, or answered with suggestions; never a guess that trades."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.intent.line import LONGEST_LINE, Typed, Unclear, parse
from core.errors import UserError


def test_parse_when_a_command_is_typed_then_is_read_with_its_arguments() -> None:
    read = parse("open put_credit_spread xsp 2 strikes=640/635 limit=1.20")
    assert isinstance(read, Typed)
    assert read.command.name == "open"
    assert read.args["symbol"] == "XSP"
    assert read.args["quantity"] == 2
    assert read.args["strikes"] == (Decimal(635), Decimal(640))
    assert read.args["limit"] == Decimal("1.20")


@pytest.mark.parametrize("text", ["POSITIONS SPY", "/positions spy", "  positions   SPY "])
def test_parse_when_written_in_another_way_then_means_the_same(text: str) -> None:
    read = parse(text)
    assert isinstance(read, Typed)
    assert (read.command.name, read.args) == ("positions", {"symbol": "SPY"})


@pytest.mark.parametrize(
    ("text", "meant"), [("statsu", "status"), ("postions", "positions"), ("grek", "greeks"), ("show me my positions", "positions")]
)
def test_parse_when_misspelt_then_suggests_what_was_meant(text: str, meant: str) -> None:
    read = parse(text)
    assert isinstance(read, Unclear)
    assert meant in read.suggestions
    assert len(read.suggestions) <= 3


@pytest.mark.parametrize("text", ["stop", "STOP!", "stop all", "panic", "flatten", "emergency"])
def test_parse_when_somebody_is_alarmed_then_what_stops_things_is_offered(text: str) -> None:
    read = parse(text)
    assert isinstance(read, Unclear)
    assert read.suggestions[:2] == ("halt", "kill")


@pytest.mark.parametrize(("text", "args"), [
    ("halt all", {"scope": "all"}), ("pause all", {"scope": "all"}), ("kill all", {"scope": "all"}), ("halt symbol=ALL", {"symbol": "ALL"}),
    ("kill flatten", {"flatten": True}),
])
def test_parse_when_all_is_said_to_what_stops_things_then_it_is_no_ticker(text: str, args: dict[str, object]) -> None:
    read = parse(text)
    assert isinstance(read, Typed) and read.args == args


def test_parse_when_a_kill_cannot_be_read_then_it_says_that_nothing_was_stopped() -> None:
    with pytest.raises(UserError, match=r"Nothing was stopped\. Type `kill` alone"):
        parse("kill now")


@pytest.mark.parametrize("text", ["hello", "", "?", "zzzzqqq", "12345678"])
def test_parse_when_nothing_is_near_then_suggests_where_to_begin(text: str) -> None:
    read = parse(text)
    assert isinstance(read, Unclear)
    assert read.suggestions


@pytest.mark.parametrize("text", ["confrm T1A2B3C", "comfirm", "confirmm", "please confirm", "sell 10 puts now"])
def test_parse_when_it_might_mean_a_trade_then_confirm_is_never_suggested(text: str) -> None:
    read = parse(text)
    assert isinstance(read, Unclear)
    assert "confirm" not in read.suggestions


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("open put_credit_spread SPY 0", "whole number"),
        ("open put_credit_spread SPY 1000000000", "10,000"),
        ("open put_credit_spread", "needs symbol"),
        ("open put_credit_spread SPY quantity=two", "quantity cannot be"),
        ("positions a b", "does not understand"),
        ('note "open', "unfinished quote"),
        ("backtest", "planned"),
        ("positions sym=SPY", "no parameter"),
        ("confirm", "needs ticket"),
    ],
)
def test_m6_parse_when_arguments_do_not_fit_then_says_what_would(text: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["x" * (LONGEST_LINE + 1), "positions\u202eYPS", "status\x00", "posi\u200btions"])
def test_a8_parse_when_hidden_or_endless_then_reads_nothing_of_it(text: str) -> None:
    with pytest.raises(UserError):
        parse(text)
