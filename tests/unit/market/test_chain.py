"""Columnar chains: rows to contracts and back, and the quote rule on whole columns."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from core.domain.instruments import InstrumentError, Right
from core.domain.listing import option
from core.market.chain import CALL, PUT, UNKNOWN, Chain

AT = datetime(2024, 5, 15, 19, 45, tzinfo=UTC)
MAY, JUNE = date(2024, 5, 17), date(2024, 6, 21)
ROWS = (
    # root, expiry, right, strike in thousandths, bid, ask
    ("SPX", MAY, PUT, 990_000, 2.0, 2.2),
    ("SPXW", MAY, PUT, 990_000, 2.1, 2.3),
    ("SPXW", MAY, PUT, 1_002_500, 0.0, 0.1),
    ("SPXW", MAY, CALL, 990_000, 12.0, 12.4),
    ("SPXW", MAY, CALL, 1_002_500, 5.0, 4.0),
    ("SPXW", JUNE, CALL, 990_000, np.nan, 1.0),
)


def chain_of(rows: tuple[tuple[str, date, int, int, float, float], ...] = ROWS) -> Chain:
    size = len(rows)
    unknown = np.full(size, UNKNOWN, dtype=np.int64)
    return Chain(
        symbol="SPX", at=AT, source="test", spot=1000.0,
        root=np.array([row[0] for row in rows], dtype=object),
        expiry=np.array([row[1].toordinal() for row in rows], dtype=np.int64),
        right=np.array([row[2] for row in rows], dtype=np.int8),
        strike_milli=np.array([row[3] for row in rows], dtype=np.int64),
        bid=np.array([row[4] for row in rows]), ask=np.array([row[5] for row in rows]),
        bid_size=np.array([7, *unknown[1:]]), ask_size=unknown, open_interest=unknown, volume=unknown,
        vendor_iv=np.full(size, np.nan), vendor_delta=np.full(size, np.nan),
    )


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_row_when_its_contract_is_looked_up_then_it_is_found_again(row: int) -> None:
    chain = chain_of()

    assert chain.row(chain.option(row)) == row
    assert chain.quote(row).key == chain.option(row).key


@pytest.mark.parametrize(
    ("root", "expiry", "right", "strike"),
    [("SPX", JUNE, Right.CALL, 990), ("SPXW", MAY, Right.PUT, 995), ("SPX", MAY, Right.CALL, 990), ("SPX", MAY, Right.PUT, "1002.5")],
)
def test_row_when_one_term_differs_then_none(root: str, expiry: date, right: Right, strike: object) -> None:
    assert chain_of().row(option(root, expiry, right, Decimal(str(strike)))) is None


def test_quote_when_sizes_are_unknown_then_none_and_not_minus_one() -> None:
    chain = chain_of()

    assert (chain.quote(0).bid_size, chain.quote(0).ask_size, chain.quote(1).bid_size) == (7, None, None)


def test_mid_when_quotes_are_insane_then_unknown_and_without_bid_half_the_ask() -> None:
    assert chain_of().mid.tolist() == pytest.approx([2.1, 2.2, 0.05, 12.2, np.nan, np.nan], nan_ok=True)


def test_only_when_narrowed_then_expiry_right_and_root_all_hold() -> None:
    narrowed = chain_of().only(expiry=MAY, right=Right.PUT, root="SPXW")

    assert [narrowed.option(row).label for row in range(len(narrowed))] == ["SPXW 17 May 24 990 put", "SPXW 17 May 24 1002.5 put"]
    assert narrowed.expiries() == (MAY,)
    assert narrowed.spot == 1000.0


def test_pairs_when_a_side_is_insane_then_its_mid_is_unknown_and_roots_are_kept_apart() -> None:
    strikes, calls, puts = chain_of().pairs(expiry=MAY, root="SPXW")

    assert strikes.tolist() == [990.0, 1002.5]
    assert calls.tolist() == pytest.approx([12.2, np.nan], nan_ok=True)
    assert puts.tolist() == pytest.approx([2.2, 0.05])


def test_pairs_when_a_series_has_one_right_only_then_empty() -> None:
    strikes, calls, puts = chain_of().pairs(expiry=MAY, root="SPX")

    assert (len(strikes), len(calls), len(puts)) == (0, 0, 0)


def test_option_when_no_such_contract_can_be_listed_then_it_raises_but_its_quote_does_not() -> None:
    chain = chain_of((("SPXW", date(2024, 5, 18), PUT, 990_000, 1.0, 1.1),))  # a Saturday

    with pytest.raises(InstrumentError, match="Saturday"):
        chain.option(0)
    assert chain.quote(0).key == "SPXW  240518P00990000"
