"""Reads recorded CSV files by their layout.

Every cell that decides a contract, a day or a price level is checked, and a complaint names the file, the line and the fault. Bids and
asks are taken as they are, since judging a quote is the chain's business.
"""

from __future__ import annotations

import lzma
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from core.market.answers import LARGEST_DIVIDEND
from core.market.providers._layouts import Layout
from core.market.quote import LARGEST_PRICE

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Stamp = tuple[date, time | None]

_OCC_TAIL = re.compile(r"(?P<root>[A-Z.]{1,6}?\d?) *(?:\d{8}|\d{6})[CP]\d{8}")
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?(\+00:00)?)?")
_RIGHTS = {"call": 1, "c": 1, "put": -1, "p": -1}
_COUNTS = ("bid_size", "ask_size", "open_interest", "volume")
_LARGEST_COUNT = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRows:
    """The quotes of one underlying at one recorded time, sorted as a chain is."""

    symbol: str
    stamp: Stamp
    spot: float  # NaN where the file has none
    roots: tuple[str, ...]
    columns: Mapping[str, npt.NDArray[Any]]  # `root` as codes into `roots`


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRows:
    """Daily prices of one symbol, ascending; NaN where a price is not in the file."""

    symbol: str
    days: tuple[date, ...]
    prices: Mapping[str, Floats]  # open, high, low, close
    dividends: tuple[tuple[date, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRows:
    """Yield curves, ascending by day."""

    days: tuple[date, ...]
    term_days: tuple[float, ...]
    yields: Floats  # (days, terms), decimals, NaN where unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRow:
    """A published settlement value; the value as text, so that it stays exact."""

    root: str
    expiry: date
    value: str
    published_at: str | None
    label: str | None


@dataclass(slots=True)
class Rename:
    """Vendor symbols to the desk's own: SP500 is SPX everywhere, the rest is said by the person."""

    names: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, symbol: str) -> str:
        upper = symbol.strip().upper().removeprefix("^")
        return self.names.get(upper, {"SP500": "SPX", "GSPC": "SPX"}.get(upper, upper))


def read_chain(path: Path, layout: Layout, *, symbol: str | None, rename: Rename, root_symbol: Callable[[str], str | None],
               note: Callable[[str], None]) -> list[SnapshotRows]:
    """Every snapshot of a chain file.

    `symbol`: the underlying where the file does not say; `root_symbol` gives a root's underlying, None for adjusted series, whose rows
    are left out and counted. Raises UserError naming the line of a row that describes no contract.
    """
    table = _Table(path, layout)
    stamps, of_row = table.coded("stamp", _stamp, "no date")
    expiries = table.each("expiry", lambda cell: _stamp(cell)[0].toordinal(), "no expiry date").astype(np.int64)
    rights = table.each("right", lambda cell: _RIGHTS[cell.strip().lower()], "neither call nor put").astype(np.int8)
    strikes = table.numbers("strike")
    table.refuse(~(np.isfinite(strikes) & (strikes > 0) & (strikes < 1e5)), "strike", "no possible strike")
    milli = np.round(strikes * 1000)
    table.refuse(np.abs(strikes * 1000 - milli) > 1e-4, "strike", "a strike finer than a thousandth")
    roots = table.roots(symbol, rename)
    symbols = _symbols_of(roots, root_symbol, path=path, note=note)
    kept = symbols != ""
    columns: dict[str, npt.NDArray[Any]] = {"expiry": expiries, "right": rights, "strike_milli": milli.astype(np.int64)}
    columns["bid"], columns["ask"] = table.numbers("bid"), table.numbers("ask")
    columns |= {name: _counts(table.numbers(name)) for name in _COUNTS}
    columns["vendor_iv"], columns["vendor_delta"] = _positive(table.numbers("vendor_iv")), table.numbers("vendor_delta")
    spots = table.numbers("spot")
    snapshots = []
    for code, stamp in sorted(enumerate(stamps), key=lambda each: (each[1][0], each[1][1] or time.min)):
        inside = np.flatnonzero((of_row == code) & kept)
        for name in sorted(set(symbols[inside])):
            rows = inside[symbols[inside] == name]
            snapshots.append(_snapshot(table, rows, symbol=name, stamp=stamp, roots=roots, columns=columns, spot=spots))
    return snapshots


def _snapshot(table: _Table, rows: npt.NDArray[np.int64], *, symbol: str, stamp: Stamp, roots: npt.NDArray[np.object_],
              columns: Mapping[str, npt.NDArray[Any]], spot: Floats) -> SnapshotRows:
    names, codes = np.unique(roots[rows].astype(str), return_inverse=True)
    keys = (columns["strike_milli"][rows], columns["right"][rows], codes, columns["expiry"][rows])
    order = np.lexsort(keys)
    same = np.ones(max(len(rows) - 1, 0), dtype=bool)
    for key in keys:
        same &= np.diff(key[order].astype(np.int64)) == 0
    if same.any():
        twice = int(rows[order][1:][same].min())
        raise table.fault(twice, "the same contract twice in one snapshot")
    prices = spot[rows]
    known = prices[np.isfinite(prices) & (prices > 0)]
    return SnapshotRows(
        symbol=symbol, stamp=stamp, spot=float(np.median(known)) if len(known) else math.nan, roots=tuple(str(name) for name in names),
        columns={"root": codes[order].astype(np.int8)} | {name: values[rows][order] for name, values in columns.items()},
    )


def read_bars(path: Path, layout: Layout, *, symbol: str | None, rename: Rename) -> list[BarRows]:
    """Daily prices by symbol. Raises UserError for a day or close that is none, and for a day given twice."""
    table = _Table(path, layout)
    days = table.each("stamp", lambda cell: _stamp(cell)[0], "no date")
    closes = table.numbers("close")
    table.refuse(~(np.isfinite(closes) & (closes > 0) & (closes <= LARGEST_PRICE)), "close", "no possible price")
    prices = {name: _positive(table.numbers(name)) for name in ("open", "high", "low")} | {"close": closes}
    dividends = table.numbers("dividend")
    symbols = table.symbols(symbol or layout.symbol or path.name.split("_")[0].split(".")[0], rename)
    found = []
    for name in sorted(set(symbols)):
        rows = np.flatnonzero(symbols == name)
        rows = rows[np.argsort([days[row] for row in rows], kind="stable")]
        for before, row in pairwise(rows):
            if days[before] == days[row]:
                raise table.fault(int(row), f"{days[row]} is there twice")
        paid = tuple((days[row], repr(float(dividends[row]))) for row in rows if 0 < dividends[row] <= LARGEST_DIVIDEND)
        of_symbol = {key: values[rows] for key, values in prices.items()}
        found.append(BarRows(symbol=name, days=tuple(days[row] for row in rows), prices=of_symbol, dividends=paid))
    return found


def read_dividends(path: Path, layout: Layout, *, rename: Rename) -> list[tuple[str, date, str]]:
    """Cash dividends: symbol, ex-date, amount a share as text."""
    table = _Table(path, layout)
    days = table.each("ex_date", lambda cell: _stamp(cell)[0], "no date")
    amounts = table.numbers("amount")
    table.refuse(~(np.isfinite(amounts) & (amounts > 0) & (amounts <= LARGEST_DIVIDEND)), "amount", "no possible amount a share")
    symbols = table.symbols(None, rename)
    return [(str(symbols[row]), days[row], repr(float(amounts[row]))) for row in range(len(amounts))]


def read_rates(path: Path, layout: Layout) -> RateRows:
    """Yield curves by day, yields as decimals."""
    table = _Table(path, layout)
    days = table.each("stamp", lambda cell: _stamp(cell)[0], "no date")
    yields = np.column_stack([table.column_numbers(header) for header, _ in layout.terms])
    with np.errstate(invalid="ignore"):
        table.refuse(np.any(np.abs(yields) > 0.5, axis=1), layout.terms[0][0], "a yield over 50 % (decimals are expected: 0.05)")
    order = sorted(range(len(days)), key=lambda row: days[row])
    return RateRows(days=tuple(days[row] for row in order), term_days=tuple(days_ for _, days_ in layout.terms), yields=yields[order])


def read_settlements(path: Path, layout: Layout) -> list[SettlementRow]:
    """Published settlement values; `published_at` is an ISO time with its zone."""
    table = _Table(path, layout)
    expiries = table.each("expiry", lambda cell: _stamp(cell)[0], "no expiry date")
    values = table.numbers("value")
    table.refuse(~(np.isfinite(values) & (values >= 0) & (values <= LARGEST_PRICE)), "value", "no settlement value")
    roots = table.texts("root")
    published, labels = table.texts("published_at"), table.texts("label")
    for row, text in enumerate(published):
        if text and not _zoned(text):
            raise table.fault(row, f"{text!r} is no ISO time with a zone, such as 2019-05-17T14:30:00+00:00")
    return [
        SettlementRow(root=roots[row].upper(), expiry=expiries[row], value=repr(float(values[row])),
                      published_at=published[row] or None, label=labels[row] or None)
        for row in range(len(values))
    ]


class _Table:
    """A CSV file in memory whose complaints name the line."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.layout = layout
        self.frame = _read(path)

    def fault(self, row: int, wrong: str) -> UserError:
        return UserError(f"{self.path.name}, line {row + 2}: {wrong}", "Correct or remove that line; nothing of the file was used.")

    def refuse(self, bad: npt.NDArray[np.bool_], name: str, wrong: str) -> None:
        """Raise for the first bad row, quoting its cell."""
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            cell = self.frame[self.layout.columns.get(name, name)].iloc[row]
            raise self.fault(row, f"{name.replace('_', ' ')} {_cell(cell)} is {wrong}")

    def each(self, name: str, convert: Callable[[str], Any], wrong: str) -> npt.NDArray[np.object_]:
        """A column converted cell by cell, each distinct cell once."""
        converted, codes = self.coded(name, convert, wrong)
        values = np.empty(len(converted), dtype=object)
        values[:] = converted
        return values[codes]

    def coded(self, name: str, convert: Callable[[str], Any], wrong: str) -> tuple[list[Any], npt.NDArray[np.int64]]:
        """The distinct cells of a column, converted, and for each row its place among them."""
        import pandas as pd

        codes, cells = pd.factorize(self.frame[self.layout.columns[name]], use_na_sentinel=False)
        converted = []
        for code, cell in enumerate(cells):
            try:
                converted.append(convert(_text(cell)))
            except (ValueError, KeyError):
                raise self.fault(int(np.argmax(codes == code)), f"{name.replace('_', ' ')} {_cell(cell)} is {wrong}") from None
        return converted, np.asarray(codes, dtype=np.int64)

    def numbers(self, name: str) -> Floats:
        """A column as float64, NaN where it is empty or the layout has none."""
        header = self.layout.columns.get(name)
        return np.full(len(self.frame), np.nan) if header is None else self.column_numbers(header)

    def column_numbers(self, header: str) -> Floats:
        import pandas as pd

        cells = self.frame[header]
        if cells.dtype.kind not in "fiub":
            read = pd.to_numeric(cells, errors="coerce")
            wrong = np.asarray(read.isna() & cells.notna())
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise self.fault(row, f"{header} {_cell(cells.iloc[row])} is no number")
            cells = read
        return np.asarray(cells, dtype=np.float64)

    def texts(self, name: str) -> list[str]:
        """A column as text, empty where it is empty or the layout has none."""
        header = self.layout.columns.get(name)
        return [""] * len(self.frame) if header is None else [_text(cell) for cell in self.frame[header]]

    def symbols(self, fallback: str | None, rename: Rename) -> npt.NDArray[np.object_]:
        """The symbol of each row, from its column or `fallback`."""
        if "symbol" not in self.layout.columns:
            result = np.empty(len(self.frame), dtype=object)
            result[:] = rename(fallback or "")
            return result
        return self.each("symbol", lambda cell: rename(_filled(cell)), "no symbol")

    def roots(self, symbol: str | None, rename: Rename) -> npt.NDArray[np.object_]:
        """The option root of each row: its own column, the front of the contract's name, or the underlying."""
        if "root" in self.layout.columns:
            return self.each("root", lambda cell: rename(_filled(cell)), "no root")
        if "contract" in self.layout.columns:
            return self.each("contract", lambda cell: rename(_root(cell)), "no option symbol")
        return self.symbols(symbol, rename)


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        # All columns, although some are not used: with a choice of columns pandas overlooks rows that are too long.
        frame = pd.read_csv(path, skip_blank_lines=False, low_memory=False)
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name} cannot be read: {error}", "Replace the file with an undamaged copy.") from error
    except ValueError as error:  # pandas' parser errors are ValueErrors that name the line themselves
        raise UserError(f"{path.name}: {str(error).strip()}", "Correct the file; nothing of it was used.") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise UserError(f"{path.name}, line 2: more cells than the header has names", "Correct the file; nothing of it was used.")
    if frame.empty:
        raise UserError(f"{path.name} has a header and no rows", "Remove it or replace it with a full copy.")
    return frame


def _stamp(cell: str) -> Stamp:
    match = _DAY.fullmatch(cell.strip().removesuffix(".0"))
    if match is None:
        raise ValueError(cell)
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    when = time(hour, minute, second)
    if when == time(0):
        return date(year, month, day), None  # a day written as its midnight
    if match[7]:
        raise ValueError(f"{cell}: times are exchange times, without a zone")
    return date(year, month, day), when


def _root(contract: str) -> str:
    match = _OCC_TAIL.fullmatch(contract.strip())
    if match is None:
        raise ValueError(contract)
    return match["root"]


def _symbols_of(roots: npt.NDArray[np.object_], root_symbol: Callable[[str], str | None], *, path: Path,
                note: Callable[[str], None]) -> npt.NDArray[np.object_]:
    """The underlying of each row, empty where the root's terms are not known."""
    known = {root: root_symbol(root) or "" for root in set(roots)}
    for root in sorted(root for root, symbol in known.items() if not symbol):
        note(f"{path.name}: {int((roots == root).sum())} rows of {root} left out, the terms of that series are not known")
    result = np.empty(len(roots), dtype=object)
    result[:] = [known[root] for root in roots]
    return result


def _counts(numbers: Floats) -> npt.NDArray[np.int64]:
    known = np.isfinite(numbers) & (numbers >= 0) & (numbers < _LARGEST_COUNT)
    return np.where(known, np.nan_to_num(numbers, posinf=0, neginf=0), -1).astype(np.int64) if known.any() else np.full(len(numbers), -1)


def _positive(numbers: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(numbers) & (numbers > 0) & (numbers <= LARGEST_PRICE), numbers, np.nan)


def _text(cell: object) -> str:
    return "" if cell is None or (isinstance(cell, float) and math.isnan(cell)) else str(cell).strip()


def _filled(cell: str) -> str:
    if not cell:
        raise ValueError("empty")
    return cell


def _cell(cell: object) -> str:
    return repr(_text(cell)) if _text(cell) else "(empty)"


def _zoned(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
