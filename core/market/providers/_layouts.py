"""The CSV layouts of recorded market data, told apart by their headers.

A layout maps column names to the desk's own; `core.market.providers._reading` reads files by it.
"""

from __future__ import annotations

import csv
import io
import lzma
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from core.errors import UserError

CHAIN, BARS, DIVIDENDS, RATES, SETTLEMENTS = "chain", "bars", "dividends", "rates", "settlements"

# The desk's name -> the header names it goes by, in lower case without blanks, underscores and hyphens.
_NAMES: Mapping[str, frozenset[str]] = MappingProxyType({
    "stamp": frozenset({"quotedate", "quotedatetime", "quotetime", "date", "timeperiod", "day"}),
    "expiry": frozenset({"expiration", "expiry", "expirationdate"}),
    "right": frozenset({"type", "optiontype", "right"}),
    "strike": frozenset({"strike"}),
    "bid": frozenset({"bid"}),
    "ask": frozenset({"ask"}),
    "bid_size": frozenset({"bidsize"}),
    "ask_size": frozenset({"asksize"}),
    "volume": frozenset({"volume"}),
    "open_interest": frozenset({"openinterest"}),
    "vendor_iv": frozenset({"impliedvol", "impliedvolatility", "iv"}),
    "vendor_delta": frozenset({"delta"}),
    "spot": frozenset({"underlyinglast", "spotprice", "underlyingprice"}),
    "symbol": frozenset({"symbol", "underlying"}),
    "root": frozenset({"root"}),
    "contract": frozenset({"contract", "optionid", "optionroot", "optionsymbol"}),
    "open": frozenset({"open"}),
    "high": frozenset({"high"}),
    "low": frozenset({"low"}),
    "close": frozenset({"close"}),
    "dividend": frozenset({"divcash"}),
    "ex_date": frozenset({"exdate"}),
    "amount": frozenset({"amount"}),
    "value": frozenset({"value"}),
    "published_at": frozenset({"publishedat"}),
    "label": frozenset({"label"}),
})
_TERM = re.compile(r"(\d+)(month|year)s?")
_TERM_DAYS = {"month": 365 / 12, "year": 365.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a file is: its role and where each of the desk's columns stands in it."""

    role: str
    columns: Mapping[str, str]  # the desk's name -> header
    symbol: str | None = None  # where the close column is named after the symbol
    terms: tuple[tuple[str, float], ...] = ()  # rates: header, days


def header_of(path: Path) -> tuple[str, ...]:
    """The first line of a CSV file, packed with xz or not, as cells; empty for an empty file."""
    try:
        with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as lines:
            line = lines.readline(65_536)
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name} cannot be read: {error}", "Replace the file with an undamaged copy.") from error
    return tuple(next(csv.reader(io.StringIO(line)), ()))


def recognise(header: Sequence[str]) -> Layout | None:
    """The layout of a header, None where it is none of those known here."""
    plain = [re.sub(r"[\s_\-]", "", cell).lower() for cell in header]
    columns: dict[str, str] = {}
    for name, spellings in _NAMES.items():
        hits = [given for given, cell in zip(header, plain, strict=True) if cell in spellings]
        if hits:
            columns[name] = hits[0]
    terms = tuple((given, _term_days(cell)) for given, cell in zip(header, plain, strict=True) if _TERM.fullmatch(cell))
    if {"stamp", "expiry", "right", "strike", "bid", "ask"} <= columns.keys():
        return Layout(role=CHAIN, columns=columns)
    if {"root", "expiry", "value"} <= columns.keys():
        return Layout(role=SETTLEMENTS, columns=columns)
    if {"symbol", "ex_date", "amount"} <= columns.keys():
        return Layout(role=DIVIDENDS, columns=columns)
    if "stamp" in columns and len(terms) >= 2:
        return Layout(role=RATES, columns={"stamp": columns["stamp"]}, terms=terms)
    if {"stamp", "close"} <= columns.keys():
        return Layout(role=BARS, columns=columns)
    if len(header) == 2 and set(columns) == {"stamp"} and re.fullmatch(r"[\^]?[A-Za-z][A-Za-z0-9.]{0,7}", header[1]):
        return Layout(role=BARS, columns={**columns, "close": header[1]}, symbol=header[1])
    return None


def _term_days(cell: str) -> float:
    match = _TERM.fullmatch(cell)
    return int(match[1]) * _TERM_DAYS[match[2]] if match else math.nan
