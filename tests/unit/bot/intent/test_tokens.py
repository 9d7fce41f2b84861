"""Words and figures: characters made plain, codes told, numbers in words, days and symbols."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from bot.intent.sentence import nearest, read
from bot.intent.tokens import LONGEST, cleaned

THURSDAY = date(2026, 11, 26)


def kinds(text: str) -> list[str]:
    return [token.kind for token in read(text, THURSDAY).tokens]


def values(text: str, kind: str) -> list[object]:
    return [token.value for token in read(text, THURSDAY).tokens if token.kind == kind]


def numbers(text: str) -> list[Decimal]:
    return [token.value for token in read(text, THURSDAY).tokens if token.kind == "number"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("sell\u200b 2 \uff33\uff30\uff39", "sell 2 SPY"),
        ("don\u2019t", "don't"),
        ("16\u0394 put", "16 delta put"),
        ("\u00bd of it", "half of it"),
        ("\u201cnote\u201d", '"note"'),
        ("480\u2013470", "480-470"),
        ("a\u00a0b\tc", "a b c"),
    ],
)
def test_cleaned_when_characters_are_dressed_up_then_they_are_plain(text: str, plain: str) -> None:
    assert cleaned(text) == plain


def test_cleaned_when_a_text_is_endless_then_only_its_beginning_is_read() -> None:
    assert len(cleaned("x " * 100_000)) <= 2 * LONGEST


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("spy four eighty puts", [480]),
        ("two four eighty puts", [2, 480]),
        ("four eighty four seventy put spread", [480, 470]),
        ("twenty five hundred", [2500]),
        ("fifty eight fifty", [5850]),
        ("six thousand two hundred", [6200]),
        ("four oh five", [405]),
        ("six hundred five ninety", [600, 590]),
        ("sixty five hundred sixty four fifty", [6500, 6450]),
        ("a couple of puts", [2]),
        ("half a dozen puts", [6]),
        ("three and a half", [Decimal("3.5")]),
        ("1,000 and 2.5", [1000, Decimal("2.5")]),
        ("5k", [5000]),
    ],
)
def test_number_when_said_in_words_or_figures_then_it_is_that_number(text: str, wanted: list[Decimal]) -> None:
    assert numbers(text) == wanted


@pytest.mark.parametrize("text", ["1e9 puts", "2x45y puts", "12abc puts"])
def test_number_when_letters_run_into_it_then_it_is_none(text: str) -> None:
    assert numbers(text) == []


def test_one_when_it_stands_for_a_thing_then_it_is_no_number() -> None:
    assert numbers("close that one") == []
    assert numbers("close one spread") == [1]


@pytest.mark.parametrize(
    ("text", "tickers"),
    [
        ("apple and $tsla", ["AAPL", "TSLA"]),
        ("the qs", ["QQQ"]),
        ("brk.b", ["BRK.B"]),
        ("/es", ["/ES"]),
        ("s p y", ["SPY"]),
        ("MSFT550", ["MSFT"]),
        ("sell 3 NOW 800 puts", ["NOW"]),
        ("close it NOW", []),
        ("sell 2 puts on IT, 230 strike", ["IT"]),
        ("close all of it", []),
        ("am i on target", []),
        ("sell 2 target 140 puts", ["TGT"]),
        ("XYZW puts", ["XYZW"]),
        ("xyzw puts", []),
        ("SELL IT ALL NOW PLEASE", []),
        ("s&p 500", ["SPX"]),
        ("jp morgan", ["JPM"]),
        ("quote F", ["F"]),
        ("russell 2000", ["RUT"]),
    ],
)
def test_symbol_when_named_in_any_way_then_it_is_told_from_ordinary_words(text: str, tickers: list[str]) -> None:
    assert read(text, THURSDAY).symbols == tickers


def test_contract_when_given_by_its_occ_symbol_then_all_of_it_is_known() -> None:
    wanted = {"symbol": "SPY", "expiry": date(2026, 1, 16), "right": "put", "strike": Decimal(480)}
    assert values("sto SPY260116P00480000", "contract") == [wanted]
    assert values("sto .SPY260116P480", "contract") == [wanted]


def test_contract_when_its_date_is_none_then_it_is_no_contract() -> None:
    assert values("sto SPY261399P00480000", "contract") == []


@pytest.mark.parametrize(
    ("text", "values_of"),
    [
        ("iron condors", ["iron_condor"]),
        ("pcs", ["put_credit_spread"]),
        ("bull put spread", ["put_credit_spread"]),
        ("bear put", ["put_debit_spread"]),
        ("poor man's covered call", ["diagonal"]),
        ("a straddle", ["untraded"]),
        ("iron butterfly", ["untraded"]),
        ("naked calls", ["untraded"]),
        ("the bid ask spread", []),
        ("economic calendar", []),
        ("put calendar on SPY", ["calendar"]),
    ],
)
def test_structure_when_named_then_it_is_that_one_and_never_a_neighbour(text: str, values_of: list[str]) -> None:
    assert values(text, "structure") == values_of


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("positoins", "positions"),
        ("cloes", "close"),
        ("strnagle", "strangle"),
        ("microsfot", "microsoft"),
        ("flaten", "flatten"),
        ("qwertyuiop", None),
    ],
)
def test_nearest_when_a_word_is_mistyped_then_it_is_mended_only_into_one_that_is_near(word: str, meant: str | None) -> None:
    assert nearest(word) == meant


def test_words_when_ordinary_and_near_to_one_of_the_grammar_then_they_are_left_alone() -> None:
    assert [token.text for token in read("bids and offers at the toll", THURSDAY).tokens] == ["bids", "and", "offers", "at", "the", "toll"]
