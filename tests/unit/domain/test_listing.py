"""Contracts by name: every term filled in, and refusals a person can act on."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from core.domain.instruments import Deliverable, Delivery, Exercise, InstrumentError, Right, Settlement
from core.domain.listing import from_occ, option, series_for


def test_option_when_spxw_then_cash_european_pm_terms() -> None:
    contract = option("SPXW", date(2019, 5, 17), Right.PUT, Decimal(2700))

    assert contract.key == "SPXW  190517P02700000"
    assert (contract.underlying, contract.multiplier, contract.deliverable) == ("SPX", 100, None)
    assert (contract.exercise, contract.settlement, contract.delivery) == (Exercise.EUROPEAN, Settlement.PM, Delivery.CASH)
    assert contract.last_trade_at == datetime(2019, 5, 17, 20, 0, tzinfo=UTC)


def test_option_when_stock_then_100_shares_american() -> None:
    contract = option("AAPL", date(2026, 12, 18), Right.CALL, Decimal("262.5"))

    assert contract.deliverable == Deliverable(symbol="AAPL", shares=100)
    assert (contract.exercise, contract.delivery) == (Exercise.AMERICAN, Delivery.PHYSICAL)
    assert contract.last_trade_at == datetime(2026, 12, 18, 21, 0, tzinfo=UTC)


def test_n3_option_when_spx_monthly_then_last_trade_is_the_session_before() -> None:
    contract = option("SPX", date(2019, 4, 18), Right.PUT, Decimal(2800))  # Good Friday moved the expiry

    assert contract.settlement is Settlement.AM
    assert contract.last_trade_at == datetime(2019, 4, 17, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("root", "expiry", "sentence"),
    [
        ("SPXW", date(2026, 4, 18), "18 April 2026 is a Saturday; nearest listed expiries are 17 April 2026 and 20 April 2026"),
        (
            "SPX",
            date(2026, 6, 19),
            "the exchange is closed on 19 June 2026 (Juneteenth); nearest listed expiries are 18 June 2026 and 17 July 2026",
        ),
        ("SPX", date(2026, 6, 17), "SPX has no expiry on Wednesday 17 June 2026; nearest listed expiries are 15 May 2026 and 18 June 2026"),
        ("SPXW", date(2019, 5, 21), "SPXW has no expiry on Tuesday 21 May 2019; nearest listed expiries are 20 May 2019 and 22 May 2019"),
        ("VIX", date(2026, 5, 20), "VIX has no expiry on Wednesday 20 May 2026; nearest listed expiries are 19 May 2026 and 17 June 2026"),
        (
            "AAPL",
            date(2026, 4, 3),
            "the exchange is closed on 3 April 2026 (Good Friday); nearest listed expiries are 2 April 2026 and 10 April 2026",
        ),
        ("AAPL", date(2055, 4, 2), "AAPL cannot expire on 2 April 2055: the exchange calendar covers 1998 to 2040, not 2055-04-02"),
    ],
)
def test_n6_option_when_expiry_cannot_be_then_says_so_and_names_the_nearest(root: str, expiry: date, sentence: str) -> None:
    with pytest.raises(InstrumentError) as refusal:
        option(root, expiry, Right.PUT, Decimal(100))

    assert str(refusal.value) == sentence


@pytest.mark.parametrize("strike", [Decimal(0), Decimal(-5), Decimal("NaN"), Decimal("Infinity"), Decimal("100.0001"), Decimal(100_000)])
def test_n6_option_when_strike_is_impossible_then_refused(strike: Decimal) -> None:
    with pytest.raises(InstrumentError, match="strike"):
        option("SPY", date(2026, 11, 20), Right.PUT, strike)


def test_option_when_strike_is_negative_then_sentence_says_positive() -> None:
    with pytest.raises(InstrumentError, match="a strike must be positive, not -5"):
        option("SPY", date(2026, 11, 20), Right.PUT, Decimal(-5))


@pytest.mark.parametrize("root", ["XYZ1", "AAPL7", "1", ""])
def test_n5_option_when_root_is_adjusted_then_refused(root: str) -> None:
    with pytest.raises(InstrumentError, match="adjusted series"):
        option(root, date(2026, 11, 20), Right.PUT, Decimal(100))


@pytest.mark.parametrize("root", ["OEX", "SPXPM", "VIX3M"])
def test_option_when_index_root_has_no_tabled_terms_then_refused_and_not_taken_for_a_stock(root: str) -> None:
    with pytest.raises(InstrumentError, match=f"terms of {root} options are not known"):
        option(root, date(2026, 11, 20), Right.PUT, Decimal(100))


@pytest.mark.parametrize(
    "text",
    [
        "SPXW  190517P02700000",
        "SPXW190517P02700000",
        "AAPL  150117C00110710",  # the Saturday dates of monthlies before February 2015
        "VIX   260519C00020000",
    ],
)
def test_n6_from_occ_when_padded_or_not_then_same_contract_back(text: str) -> None:
    contract = from_occ(text)

    assert contract.key.replace(" ", "") == text.replace(" ", "")
    assert from_occ(contract.key) == contract


def test_from_occ_when_saturday_expiry_then_last_trade_is_friday() -> None:
    assert from_occ("AAPL  150117C00110000").last_trade_at == datetime(2015, 1, 16, 21, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["SPXW  190517X02700000", "SPXW  191317P02700000", "SPXW  190517P00000000", "SPXW  19051702700000", "SPXW 190517P2700", "", "SPX"],
)
def test_n6_from_occ_when_malformed_then_refused(text: str) -> None:
    with pytest.raises(InstrumentError):
        from_occ(text)


@pytest.mark.parametrize(
    ("underlying", "expiry", "roots"),
    [
        ("SPX", date(2026, 6, 18), ["SPX", "SPXW"]),  # two series: a person must say which
        ("SPX", date(2026, 6, 17), ["SPXW"]),
        ("SPX", date(2026, 6, 19), []),
        ("SPX", date(2019, 5, 21), []),
        ("XSP", date(2026, 6, 18), ["XSP"]),
        ("VIX", date(2026, 5, 19), ["VIX"]),
        ("VIX", date(2026, 5, 27), ["VIXW"]),
        ("SPY", date(2026, 6, 18), ["SPY"]),
        ("AAPL", date(2026, 6, 18), ["AAPL"]),
        ("AAPL", date(2026, 4, 18), []),
        ("AAPL", date(2055, 4, 2), []),
    ],
)
def test_n4_series_for_when_asked_then_every_root_with_that_expiry(underlying: str, expiry: date, roots: list[str]) -> None:
    assert [spec.root for spec in series_for(underlying, expiry)] == roots
