"""Recorded data in compact form: parsed once into numpy files, so that a start reads milliseconds' worth and needs no pandas."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.domain.instruments import InstrumentError, series_of
from core.errors import UserError
from core.market.chain import pair_mids
from core.market.providers._layouts import BARS, CHAIN, DIVIDENDS, RATES
from core.market.providers._reading import (
    BarRows,
    Rename,
    SnapshotRows,
    read_bars,
    read_chain,
    read_dividends,
    read_rates,
    read_settlements,
)
from core.market.providers._sources import Source, find_sources, fingerprint
from core.pricing.implied import forward_discount

VERSION = 4  # of the compact form; raise it when the form or the reading of a layout changes
_INDEX = "index.json"
_PRICES = ("open", "high", "low", "close")
_PARITY_EXPIRIES = 6

Arrays = Mapping[str, npt.NDArray[Any]]
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotHead:
    """What is known of a snapshot without loading it."""

    symbol: str
    day: date
    time: time | None  # exchange time, None where only the day is known
    spot: float  # NaN where neither the file nor parity says
    rows: int
    roots: tuple[str, ...]
    expiries: tuple[tuple[str, date], ...]  # root and expiry
    source: str
    name: str  # of its arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Everything recorded, later than now or not; what may be shown is the provider's business."""

    snapshots: tuple[SnapshotHead, ...]  # ascending by day and time
    bars: Mapping[str, Arrays]  # symbol -> day (ordinals), open, high, low, close
    dividends: Mapping[str, tuple[tuple[date, str], ...]]
    rates: Arrays  # day, term, yield (days x terms); empty where there are none
    settlements: tuple[tuple[str, date, str, str | None, str | None], ...]  # root, expiry, value, published_at, label
    notes: tuple[str, ...]
    load: Callable[[str], Arrays] = field(compare=False)


def open_recording(folder: Path, *, cache_dir: Path | None, symbols: Mapping[str, str], note: Note) -> Recording:
    """Read a folder of recorded data, from its compact form where `cache_dir` holds one that is up to date.

    The folder itself is never written to. Without `cache_dir` everything is kept in memory and parsed at each start.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", "Name the folder of recorded data after --data.")
    key = fingerprint(folder, salt=json.dumps([VERSION, sorted(symbols.items())]))
    place = None if cache_dir is None else cache_dir / f"recorded-{key}"
    if place is not None and (place / _INDEX).is_file():
        return _stored(place)
    note(f"reading the recorded data in {folder} for the first time; this takes some seconds")
    index, arrays = _parse(folder, symbols=symbols, note=note)
    if place is None:
        return _recording(index, arrays.__getitem__)
    try:
        _store(place, index, arrays)
    except OSError as error:
        raise UserError(f"the compact form of the recorded data cannot be written to {place.parent}: {error}",
                        "Free some space there, or name another folder.") from error
    return _stored(place)


def _parse(folder: Path, *, symbols: Mapping[str, str], note: Note) -> tuple[dict[str, Any], dict[str, Arrays]]:
    """Read every source; returns the index (plain JSON) and the arrays by name."""
    notes: list[str] = []
    rename = Rename(dict(symbols))
    heads: list[dict[str, Any]] = []
    bars: dict[str, dict[int, list[float]]] = {}
    dividends: dict[str, dict[str, str]] = {}
    settlements: list[list[str | None]] = []
    arrays: dict[str, Arrays] = {}
    for source in find_sources(folder, notes.append):
        role, path, layout = source.layout.role, source.path, source.layout
        note(f"reading {path.name}")
        if role == CHAIN:
            for rows in read_chain(path, layout, symbol=source.symbol, rename=rename, root_symbol=_root_symbol, note=notes.append):
                head = _head(rows, source)
                if head["name"] in arrays:
                    raise UserError(f"{path.name}: {rows.symbol} at {head['name'].partition(' ')[2]} is in another file too",
                                    "Take one of the two out of the folder or the manifest.")
                heads.append(head)
                arrays[head["name"]] = rows.columns
        elif role == BARS:
            for each in read_bars(path, layout, symbol=source.symbol, rename=rename):
                dividends.setdefault(each.symbol, {}).update((day.isoformat(), amount) for day, amount in each.dividends)
                if not source.only_dividends:
                    _merge(bars.setdefault(each.symbol, {}), each)
        elif role == DIVIDENDS:
            for symbol, day, amount in read_dividends(path, layout, rename=rename):
                dividends.setdefault(symbol, {})[day.isoformat()] = amount
        elif role == RATES:
            rates = read_rates(path, layout)
            ordinals = np.array([day.toordinal() for day in rates.days], dtype=np.int64)
            arrays["rates"] = {"day": ordinals, "term": np.array(rates.term_days), "yield": rates.yields}
        else:
            settlements += [[row.root, row.expiry.isoformat(), row.value, row.published_at, row.label]
                            for row in read_settlements(path, layout)]
    if not heads:
        raise UserError(f"there is no option chain in {folder}", "It takes at least one CSV file with quotes; see docs/recorded-data.md.")
    for symbol, days in bars.items():
        arrays[f"bars {symbol}"] = _columns(days)
    heads.sort(key=lambda head: (head["day"], head["time"] or "", head["symbol"]))
    index = {
        "version": VERSION, "snapshots": heads, "bars": sorted(bars), "settlements": settlements, "notes": notes,
        "rates": "rates" in arrays,
        "dividends": {symbol: sorted(paid.items()) for symbol, paid in sorted(dividends.items()) if paid},
    }
    return index, arrays


def _head(rows: SnapshotRows, source: Source) -> dict[str, Any]:
    day, at = rows.stamp
    at = at or source.time
    columns = rows.columns
    pairs = np.unique(np.column_stack([columns["root"].astype(np.int64), columns["expiry"]]), axis=0)
    spot = rows.spot if rows.spot > 0 else _parity_spot(columns)
    return {
        "symbol": rows.symbol, "day": day.isoformat(), "time": None if at is None else at.isoformat(),
        "spot": spot if math.isfinite(spot) else None, "rows": len(columns["bid"]), "roots": list(rows.roots),
        "expiries": [[rows.roots[int(code)], int(ordinal)] for code, ordinal in pairs], "source": source.path.name,
        "name": f"{rows.symbol} {day.isoformat()}" + ("" if at is None else f"T{at.strftime('%H%M%S')}"),
    }


def _parity_spot(columns: Arrays) -> float:
    """The discounted forward of the nearest expiry that put-call parity gives one for: the index less its coming dividends."""
    usable = (columns["bid"] >= 0) & (columns["ask"] > 0) & (columns["bid"] <= columns["ask"])
    mids = np.where(usable, (columns["bid"] + columns["ask"]) / 2, np.nan)
    for expiry in np.unique(columns["expiry"])[:_PARITY_EXPIRIES]:
        for code in np.unique(columns["root"]):
            series = (columns["expiry"] == expiry) & (columns["root"] == code)
            strikes, calls, puts = pair_mids(columns["strike_milli"][series], columns["right"][series], mids[series])
            found = forward_discount(strike=strikes, call_mid=calls, put_mid=puts)
            if found is not None:
                return found[0] * found[1]
    return math.nan


def _merge(days: dict[int, list[float]], rows: BarRows) -> None:
    """Add a file's days: what an earlier file said stays, except that a file of closes alone is the official one for the close."""
    official = not any(np.isfinite(rows.prices[name]).any() for name in ("open", "high", "low"))
    for place, day in enumerate(rows.days):
        new = [float(rows.prices[name][place]) for name in _PRICES]
        old = days.get(day.toordinal())
        if old is not None:
            close = new[3] if official else old[3]
            new = [*(before if math.isfinite(before) else after for before, after in zip(old[:3], new[:3], strict=True)), close]
        days[day.toordinal()] = new


def _columns(days: Mapping[int, list[float]]) -> Arrays:
    ordinals = sorted(days)
    table = np.array([days[ordinal] for ordinal in ordinals], dtype=np.float64)
    return {"day": np.array(ordinals, dtype=np.int64)} | {name: table[:, place] for place, name in enumerate(_PRICES)}


def _root_symbol(root: str) -> str | None:
    try:
        return series_of(root).underlying
    except InstrumentError:
        return None


# --- on disk -------------------------------------------------------------------------------------------------------------


def _store(place: Path, index: Mapping[str, Any], arrays: Mapping[str, Arrays]) -> None:
    """Write everything beside its place and move it there in one step, so that no half-written form is ever read."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix="recorded-unfinished-", dir=place.parent))
    try:
        digests: dict[str, str] = {}
        for name, columns in arrays.items():
            path = beside / f"{name}.npz"
            np.savez(path, **columns)  # type: ignore[arg-type]  # the stub wants allow_pickle spelled out
            digests[name] = sha256(path.read_bytes()).hexdigest()
        text = json.dumps({**index, "digests": digests})
        (beside / _INDEX).write_text(f"{sha256(text.encode()).hexdigest()}\n{text}", encoding="utf-8")
        try:
            os.replace(beside, place)
        except OSError:
            if not (place / _INDEX).is_file():  # another process was first: its form is the same
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _stored(place: Path) -> Recording:
    """What was stored, to the byte: every file is compared with its digest before anything in it is believed."""

    def content_of(name: str, digest: str) -> bytes:
        try:
            content = (place / name).read_bytes()
        except OSError as error:
            raise _damaged(place, error.strerror or str(error)) from error
        if sha256(content).hexdigest() != digest:
            raise _damaged(place, f"{name} is not what was written")
        return content

    def load(name: str) -> Arrays:
        with np.load(io.BytesIO(content_of(f"{name}.npz", index["digests"][name])), allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    try:
        digest, _, text = (place / _INDEX).read_bytes().partition(b"\n")
    except OSError as error:
        raise _damaged(place, error.strerror or str(error)) from error
    if sha256(text).hexdigest().encode() != digest:
        raise _damaged(place, f"{_INDEX} is not what was written")
    index = json.loads(text)
    return _recording(index, load)


def _damaged(place: Path, why: str) -> UserError:
    return UserError(f"the compact form of the recorded data is damaged ({why})", f"Delete the folder {place} and start again.")


def _recording(index: Mapping[str, Any], load: Callable[[str], Arrays]) -> Recording:
    return Recording(
        snapshots=tuple(_snapshot_head(head) for head in index["snapshots"]),
        bars={symbol: load(f"bars {symbol}") for symbol in index["bars"]},
        dividends={symbol: tuple((date.fromisoformat(day), amount) for day, amount in paid) for symbol, paid in index["dividends"].items()},
        rates=load("rates") if index["rates"] else {},
        settlements=tuple((root, date.fromisoformat(expiry), value, at, label) for root, expiry, value, at, label in index["settlements"]),
        notes=tuple(index["notes"]),
        load=load,
    )


def _snapshot_head(head: Mapping[str, Any]) -> SnapshotHead:
    return SnapshotHead(
        symbol=head["symbol"], day=date.fromisoformat(head["day"]), rows=head["rows"], source=head["source"], name=head["name"],
        time=None if head["time"] is None else time.fromisoformat(head["time"]),
        spot=math.nan if head["spot"] is None else float(head["spot"]), roots=tuple(head["roots"]),
        expiries=tuple((root, date.fromordinal(ordinal)) for root, ordinal in head["expiries"]),
    )
