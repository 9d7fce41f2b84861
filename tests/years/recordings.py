"""What recorded files say of a market, read by plain csv for `audit.py`: quotes of each day, closes, dividends."""

from __future__ import annotations

import csv
import lzma
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

SPX_CHAIN, SPX_CLOSES = "spx_spxw_chain_2019-04-25_2019-07-22.csv.xz", "spx_close_1990-2022.csv.xz"
SPY_CHAIN, SPY_BARS = "spy_chain_20perday_2021.csv.xz", "spy_ohlc_div_2021.csv.xz"
Quotes = dict[tuple[str, str], tuple[Decimal, Decimal]]  # (day, contract) -> bid, ask


def spx_2019(folder: Path) -> tuple[dict[str, Any], Quotes]:
    """SPX and SPXW of 2019."""
    days = (row for row in _rows(folder / SPX_CLOSES) if row["SP500"] and row["Date"].startswith("2019"))
    closes = {row["Date"]: f"{Decimal(row['SP500']):.2f}" for row in days}
    quotes = {
        (row["quote_date"], _key(row["root"], row["expiration"], row["type"], row["strike"])): (Decimal(row["bid"]), Decimal(row["ask"]))
        for row in _rows(folder / SPX_CHAIN)
    }
    return {"close": {"SPX": closes}, "open": {}, "dividends": {}, "splits": {}}, quotes


def spy_2021(folder: Path) -> tuple[dict[str, Any], Quotes]:
    """SPY of 2021, twenty contracts a day, its closes and dividends. Shares trade at the close printed beside a day's quotes."""
    bars = list(_rows(folder / SPY_BARS))
    closes = {row["date"]: f"{Decimal(row['close']):.2f}" for row in bars}
    paid = {row["date"]: row["divCash"] for row in bars if Decimal(row["divCash"])}
    quotes: Quotes = {}
    for row in _rows(folder / SPY_CHAIN):
        quotes[row["quotedate"], _key("SPY", row["expiration"], row["type"], row["strike"])] = Decimal(row["bid"]), Decimal(row["ask"])
        quotes[row["quotedate"], "SPY"] = Decimal(row["underlying_last"]), Decimal(row["underlying_last"])
    return {"close": {"SPY": closes}, "open": {}, "dividends": {"SPY": paid}, "splits": {}}, quotes


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _key(root: str, expiry: str, right: str, strike: str) -> str:
    return f"{root:<6}{date.fromisoformat(expiry):%y%m%d}{right[0].upper()}{int(Decimal(strike) * 1000):08d}"
