"""Symbols, series terms and price steps."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from core.domain.accounts import AccountId, Env
from core.domain.instruments import (
    Cash,
    Delivery,
    Equity,
    Exercise,
    Future,
    Index,
    InstrumentError,
    Right,
    Settlement,
    UnderlyingKind,
    combo_tick,
    occ_symbol,
    parse_occ,
    plain_number,
    roots_of,
    series_of,
    underlying_instrument,
)
from core.domain.listing import option

EXPIRY = date(2026, 11, 20)


def test_occ_symbol_when_written_then_21_characters_with_padding() -> None:
    assert occ_symbol("F", EXPIRY, Right.CALL, Decimal("12.5")) == "F     261120C00012500"
    assert occ_symbol("SPXW", EXPIRY, Right.PUT, Decimal(6800)) == "SPXW  261120P06800000"


@pytest.mark.parametrize(("root", "expiry", "strike"), [
    ("", EXPIRY, Decimal(1)), ("TOOLONG", EXPIRY, Decimal(1)), ("SPY", date(1999, 1, 15), Decimal(1)), ("SPY", EXPIRY, Decimal("0.0001")),
])  # fmt: skip
def test_occ_symbol_when_it_cannot_be_written_then_refused(root: str, expiry: date, strike: Decimal) -> None:
    with pytest.raises(InstrumentError):
        occ_symbol(root, expiry, Right.PUT, strike)


def test_parse_occ_when_read_then_parts_are_exact() -> None:
    assert parse_occ("SPXW  190517P02712500") == ("SPXW", date(2019, 5, 17), Right.PUT, Decimal("2712.5"))
    assert parse_occ("XYZ1190517P00010000")[0] == "XYZ1"


@pytest.mark.parametrize("text", ["SPXW  １９０５１７P02700000", "spxw  190517P02700000", "SPXW  190230P02700000", "SPXW  190517P0270000"])
def test_m6_parse_occ_when_digits_or_letters_are_off_then_refused(text: str) -> None:
    with pytest.raises(InstrumentError):
        parse_occ(text)


def test_series_of_when_unknown_root_then_plain_stock_option() -> None:
    spec = series_of("MSFT")

    assert (spec.underlying, spec.underlying_kind, spec.multiplier) == ("MSFT", UnderlyingKind.STOCK, 100)
    assert (spec.exercise, spec.delivery, spec.settlement) == (Exercise.AMERICAN, Delivery.PHYSICAL, Settlement.PM)
    assert not spec.late_close and not spec.section_1256


@pytest.mark.parametrize(
    ("root", "settlement", "delivery", "section_1256"),
    [
        ("SPX", Settlement.AM, Delivery.CASH, True),
        ("SPXW", Settlement.PM, Delivery.CASH, True),
        ("XSP", Settlement.PM, Delivery.CASH, True),
        ("VIX", Settlement.AM, Delivery.CASH, True),
        ("SPY", Settlement.PM, Delivery.PHYSICAL, False),
    ],
)
def test_series_of_when_tabled_then_its_own_terms(root: str, settlement: Settlement, delivery: Delivery, section_1256: bool) -> None:
    spec = series_of(root)

    assert (spec.settlement, spec.delivery, spec.section_1256, spec.late_close) == (settlement, delivery, section_1256, True)


@pytest.mark.parametrize("root", ["XYZ1", "spy", "BRK/B", "TOOLONG", "", "ＳＰＹ"])
def test_n5_series_of_when_root_is_not_plain_then_refused(root: str) -> None:
    with pytest.raises(InstrumentError, match="not a plain option root"):
        series_of(root)


def test_n4_roots_of_when_index_then_both_series() -> None:
    assert [spec.root for spec in roots_of("SPX")] == ["SPX", "SPXW"]
    assert [spec.root for spec in roots_of("MSFT")] == ["MSFT"]


@pytest.mark.parametrize(
    ("root", "price", "tick"),
    [
        ("SPXW", "2.95", "0.05"), ("SPXW", "3.00", "0.10"), ("SPXW", "-2.95", "0.05"),
        ("AAPL", "2.99", "0.01"), ("AAPL", "3.00", "0.05"), ("SPY", "12.34", "0.01"), ("XSP", "5.00", "0.01"),
    ],
)  # fmt: skip
def test_m2_tick_when_price_crosses_three_then_step_changes_by_class(root: str, price: str, tick: str) -> None:
    assert series_of(root).ticks.tick(Decimal(price)) == Decimal(tick)


def test_m2_combo_tick_when_one_leg_its_own_and_several_the_combo_step() -> None:
    short, long = (option("SPXW", EXPIRY, Right.PUT, Decimal(strike)) for strike in (6800, 6750))

    assert combo_tick((short,), Decimal("3.40")) == Decimal("0.10")
    assert combo_tick((short, long), Decimal("3.40")) == Decimal("0.05")
    assert combo_tick((), Decimal(1)) == Decimal("0.01")


def test_m3_multiplier_when_asked_then_from_the_instrument() -> None:
    assert option("SPXW", EXPIRY, Right.PUT, Decimal(6800)).multiplier == 100
    assert (Equity(symbol="SPY").multiplier, Index(symbol="SPX").multiplier, Cash().multiplier) == (1, 1, 1)
    assert Future(root="ES", expiry=date(2026, 12, 18), multiplier=50).multiplier == 50


def test_keys_and_labels_when_shown_then_unique_words() -> None:
    contract = option("SPXW", date(2019, 5, 17), Right.PUT, Decimal("2712.5"))

    assert contract.label == "SPXW 17 May 19 2712.5 put"
    assert contract.series is series_of("SPXW")
    assert Future(root="ES", expiry=date(2026, 12, 18), multiplier=50).key == "/ES 2026-12-18"
    assert (Cash().key, Equity(symbol="SPY").key, Index(symbol="SPX").key) == ("$USD", "SPY", "SPX")


def test_underlying_instrument_when_index_or_share_then_its_kind() -> None:
    assert underlying_instrument("SPX") == Index(symbol="SPX")
    assert underlying_instrument("SPY") == Equity(symbol="SPY")


@pytest.mark.parametrize(("value", "text"), [("2700.000", "2700"), ("2712.50", "2712.5"), ("1E+2", "100"), ("100", "100")])
def test_plain_number_when_zeros_or_exponent_then_short(value: str, text: str) -> None:
    assert plain_number(Decimal(value)) == text


def test_account_id_when_written_and_read_then_the_same() -> None:
    account = AccountId(broker="paper", id="PAPER-1", env=Env.PAPER)

    assert str(account) == "paper:PAPER-1:paper"
    assert AccountId.parse(str(account)) == account


@pytest.mark.parametrize("text", ["paper:PAPER-1", "paper::paper", "paper:1:demo", "a:b:c:paper", ""])
def test_account_id_when_malformed_then_error(text: str) -> None:
    with pytest.raises(ValueError):
        AccountId.parse(text)
