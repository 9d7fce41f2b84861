"""Money of recorded SPX spreads, worked out a second time from the files by plain arithmetic and compared with the desk's answer.

Nothing here but `csv` and Decimal: the quotes of the day it was sold, the close of the day it expired, and the published rates.
"""

from __future__ import annotations

import csv
import lzma
import os
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.golden.theatre import Stage, Theatre

SOLD = "2019-04-25"
CHAIN, CLOSES = "spx_spxw_chain_2019-04-25_2019-07-22.csv.xz", "spx_close_1990-2022.csv.xz"
MULTIPLIER = 100
# An order of two SPXW contracts, both over 1.00: 0.65 each, of which the first execution carries the order's minimum of 1.00; regulatory
# fee, clearing and exchange on each; the activity fee on the sale. Every execution is charged in whole cents.
SALE = (Decimal("1.00") + Decimal("0.02685") + Decimal("0.02") + Decimal("0.58") + Decimal("0.00279")).quantize(Decimal("0.01"))
PURCHASE = (Decimal("0.30") + Decimal("0.02685") + Decimal("0.02") + Decimal("0.58")).quantize(Decimal("0.01"))


@pytest.fixture(scope="module")
def folder() -> Path:
    """The recorded market."""
    data = os.environ.get("DESK_REAL_DATA")
    if not data:
        pytest.skip("DESK_REAL_DATA is not set")
    return Path(data)


@pytest.fixture(scope="module")
def quotes(folder: Path) -> dict[tuple[str, Decimal], tuple[Decimal, Decimal]]:
    """Bid and ask of the SPXW puts on the day of the sale, by expiry and strike."""
    return {
        (row["expiration"], Decimal(row["strike"])): (Decimal(row["bid"]), Decimal(row["ask"]))
        for row in rows(folder / CHAIN) if row["quote_date"] == SOLD and row["root"] == "SPXW" and row["type"] == "put"
    }


@pytest.fixture(scope="module")
def closes(folder: Path) -> dict[str, Decimal]:
    """SPX closes by day."""
    return {row["Date"]: Decimal(row["SP500"]) for row in rows(folder / CLOSES) if row["SP500"]}


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The lines of a compressed table of the days in question."""
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if path.name == CHAIN and row["quote_date"] > SOLD:
                return
            yield row


@pytest.mark.parametrize(
    ("expiry", "short", "long"),
    [("2019-05-15", 2815, 2765), ("2019-05-13", 2850, 2800), ("2019-05-31", 2810, 2760)],
    ids=["ends worthless", "ends between the strikes", "ends under both strikes"],
)
def test_spread_when_held_to_expiry_then_the_desk_books_what_the_files_say(
    folder: Path, quotes: dict[tuple[str, Decimal], tuple[Decimal, Decimal]], closes: dict[str, Decimal],
    tmp_path_factory: pytest.TempPathFactory, expiry: str, short: int, long: int,
) -> None:
    credit = quotes[expiry, Decimal(short)][0] - quotes[expiry, Decimal(long)][1]
    owed = max(short - closes[expiry], Decimal(0)) - max(long - closes[expiry], Decimal(0))
    expected = (credit - owed) * MULTIPLIER - SALE - PURCHASE

    cache = Path(os.environ.get("GOLDEN_CACHE") or tmp_path_factory.getbasetemp() / "recorded")
    theatre = Theatre(stage=Stage(market="recorded", start=date.fromisoformat(SOLD), data_dir=folder), cache_dir=cache)
    said = theatre.play(
        f"> open put_credit_spread SPXW 1 expiry={expiry} strikes={short}/{long} limit={credit}\n"
        "> Confirm\n> to 2019-06-04\n> pnl all\n> status\n"
    )
    theatre.end()

    assert figure(said, "you received") == credit
    assert figure(said, "realised, net") == expected
    assert figure(said, "cash", last=True) == 100_000 + expected


def figure(text: str, label: str, *, last: bool = False) -> Decimal:
    """A figure of the desk's answer by the label in front of it: the first one, or the last."""
    found = re.findall(rf"^{label} +([-+]?[\d,.]+) (?:per share|USD)", text, re.MULTILINE)
    return Decimal(found[-1 if last else 0].replace(",", ""))
