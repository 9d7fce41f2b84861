"""Which files of a recorded-data folder are used, as what: by its manifest, or by the headers of its CSV files.

A manifest (`manifest.yaml`, `manifest.yml` or `manifest.json`) is a list of `{role, file}` with, where needed, `symbol` (the underlying,
where the file does not say) and `time` (exchange time of the quotes, "15:45", where the file gives only the day).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from hashlib import sha256
from pathlib import Path

from core.errors import UserError
from core.market.providers._layouts import BARS, CHAIN, DIVIDENDS, RATES, SETTLEMENTS, Layout, header_of, recognise

MANIFESTS = ("manifest.yaml", "manifest.yml", "manifest.json")
# What a manifest may call a file, the layout it must have, and the symbol it stands for.
_ROLES: Mapping[str, tuple[frozenset[str], str | None]] = {
    "chain": (frozenset({CHAIN}), None),
    "chains": (frozenset({CHAIN}), None),
    "closes": (frozenset({BARS}), None),
    "bars": (frozenset({BARS}), None),
    "vix": (frozenset({BARS}), "VIX"),
    "dividends": (frozenset({DIVIDENDS, BARS}), None),
    "rates": (frozenset({RATES}), None),
    "settlements": (frozenset({SETTLEMENTS}), None),
}
_KEYS = frozenset({"role", "file", "layout", "symbol", "time"})
_LONGEST_WORD = 200
_HELP = "See docs/recorded-data.md for the form of a manifest."


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file and how to read it."""

    path: Path
    layout: Layout
    symbol: str | None = None
    time: time | None = None  # exchange time of the quotes
    only_dividends: bool = False


def manifest_of(folder: Path) -> Path | None:
    """The folder's manifest, None where it has none."""
    return next((folder / name for name in MANIFESTS if (folder / name).is_file()), None)


def fingerprint(folder: Path, *, salt: str) -> str:
    """A key that changes with any file of the folder (name, size, time of change) and with `salt`."""
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _files(folder)]
    return sha256(json.dumps([stats, salt]).encode()).hexdigest()[:16]


def find_sources(folder: Path, note: Callable[[str], None]) -> list[Source]:
    """The files to read. Raises UserError for a manifest that is wrong; files of an unknown layout are noted and left alone."""
    manifest = manifest_of(folder)
    if manifest is not None:
        return [_listed(folder, number, entry) for number, entry in enumerate(_entries(manifest), start=1)]
    found = []
    for path in _files(folder):
        if not path.name.removesuffix(".xz").endswith(".csv"):
            continue
        layout = recognise(header_of(path))
        if layout is None:
            note(f"{path.name} is not used: its columns are no layout known here")
        else:
            found.append(Source(path=path, layout=layout))
    return found


def _files(folder: Path) -> list[Path]:
    """The files of the folder and its direct subfolders, in a fixed order; no deeper, since the folder named may be anything."""
    try:
        found = [*folder.glob("*"), *folder.glob("*/*")]
        return sorted(path for path in found if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"the folder of recorded data cannot be read: {error}", "Check the path after --data.") from error


def _entries(manifest: Path) -> list[object]:
    try:
        text = manifest.read_text(encoding="utf-8")
        if manifest.suffix == ".json":
            content = json.loads(text)
        else:
            import yaml

            content = yaml.safe_load(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{manifest.name} is not valid: {error}", _HELP) from error
    except Exception as error:
        # PyYAML's errors are no ValueErrors, and its name is only known where it is installed and imported.
        if type(error).__module__.partition(".")[0] != "yaml":
            raise
        raise UserError(f"{manifest.name} is not valid: {' '.join(str(error).split())}", _HELP) from error
    files = content.get("files") if isinstance(content, dict) else content
    if not isinstance(files, list) or not files:
        raise UserError(f"{manifest.name} lists no files", _HELP)
    return files


def _listed(folder: Path, number: int, entry: object) -> Source:
    where = f"manifest entry {number}"
    if not isinstance(entry, dict) or not {"role", "file"} <= entry.keys():
        raise UserError(f"{where} needs a role and a file", _HELP)
    unknown = sorted(str(key) for key in entry.keys() - _KEYS)
    if unknown:
        raise UserError(f"{where} has {', '.join(unknown)}, which means nothing here", f"Known are {', '.join(sorted(_KEYS))}.")
    for key, value in entry.items():
        if not _is_word(value):
            raise UserError(f"{where}: {key} is no word", "Put it in quotes where it is one. " + _HELP)
    if entry["role"] not in _ROLES:
        raise UserError(f"{where} has the role {entry['role']!r}", f"Known are {', '.join(sorted(_ROLES))}.")
    roles, symbol = _ROLES[entry["role"]]
    path = folder / str(entry["file"])
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{where}: {entry['file']} lies outside the folder", "Name files of the folder itself.")
    if path not in _files(folder):
        raise UserError(f"{where}: there is no file {entry['file']}", "Correct the name or take the entry out.")
    layout = recognise(header_of(path))
    wanted = entry.get("layout")
    if layout is None or layout.role not in roles or wanted not in (None, layout.role):
        found = "no known layout" if layout is None else f"the layout {layout.role}"
        raise UserError(f"{where}: {entry['file']} has {found}, which does not serve as {wanted or entry['role']}", _HELP)
    said = entry.get("symbol", symbol)
    return Source(
        path=path, layout=layout, symbol=None if said is None else str(said).upper(), time=_time(where, entry.get("time")),
        only_dividends=entry["role"] == "dividends",
    )


def _is_word(value: object) -> bool:
    """A short text, or what YAML reads from one: a number, or nothing."""
    if isinstance(value, str):
        return len(value) <= _LONGEST_WORD and value.isprintable()
    return value is None or (type(value) is int and abs(value) < 10**9)


def _time(where: str, value: object) -> time | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(*divmod(value, 60))  # YAML 1.1 reads an unquoted 15:45 as minutes in base 60
    try:
        return time.fromisoformat(str(value))
    except ValueError:
        raise UserError(f"{where}: time {value!r} is no exchange time such as \"15:45\"", _HELP) from None
