"""`make bench`: every figure as a ratio against a named peer in the same run.

A bench module has `rows() -> list[dict]`, each row with at least `name` and either `ours_ns`, `peer_ns`, `ratio` and `accuracy`, or `value`
and `unit`. Name modules on the command line to run only those; one that is named is run in full where its `rows` takes `full`.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import platform
import sys
from pathlib import Path


def main(wanted: list[str]) -> int:
    """Run the bench modules, print one line a figure, and write them all as JSON lines where BENCH_JSON names a file."""
    here = Path(__file__).parent
    names = wanted or sorted(path.stem for path in here.glob("*.py") if not path.stem.startswith("_"))
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    rows: list[dict[str, object]] = []
    for name in names:
        print(f"\n{name}")
        measure = importlib.import_module(f"tests.bench.{name}").rows
        for row in measure(full=True) if name in wanted and "full" in inspect.signature(measure).parameters else measure():
            rows.append({"bench": name, **row})
            print(f"  {describe(row)}")
    target = os.environ.get("BENCH_JSON")
    if target:
        Path(target).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return 0


def describe(row: dict[str, object]) -> str:
    """One figure in a line."""
    if "ratio" in row:
        extra = f"  {row['accuracy']}" if row.get("accuracy") is not None else ""
        ours, peer = _number(row.get("ours_ns")), _number(row.get("peer_ns"))
        return f"{row['name']!s:<58} {ours:>12} ns  peer {peer:>12} ns  ratio {_number(row['ratio'])}{extra}"
    return f"{row['name']!s:<58} {_number(row.get('value')):>12} {row.get('unit', '')}"


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
