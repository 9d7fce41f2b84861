"""The failure catalogue in docs/safety.md: its rows with the tests that carry their ids, written by `python -m tests.catalogue`.

`tests/catalogue.txt` holds the rows (id, what goes wrong, and for one without a test the reason); the tests are found by their names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "safety.md"
HEAD = "## Failure catalogue\n"
GROUPS = {
    "A": "Chat transport", "B": "Authentication and authorisation", "C": "LLM", "D": "Confirmation", "E": "Order lifecycle",
    "F": "Broker connection", "G": "Market data", "H": "Storage", "I": "Scheduler and time", "J": "Process crash",
    "K": "Configuration, secrets, supply chain", "L": "Load", "M": "Money arithmetic", "N": "Options",
}
NAMED = 3  # tests named for each row
_TEST = re.compile(r"^(?:async )?def (test_((?:[a-n]\d+_)+)\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the catalogue."""

    id: str
    what: str
    open_because: str


def rows() -> tuple[Row, ...]:
    """The catalogue, in order."""
    found = []
    for line in (TESTS / "catalogue.txt").read_text(encoding="utf-8").splitlines():
        name, what, *why = (part.strip() for part in line.split(" | "))
        found.append(Row(id=name, what=what, open_because=why[0] if why else ""))
    return tuple(found)


def tests() -> Mapping[str, list[tuple[str, str]]]:
    """(file, test) by row, ordered by file and line."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for match in _TEST.finditer(path.read_text(encoding="utf-8")):
            for name in match.group(2).split("_"):
                if name:
                    found.setdefault(name.upper(), []).append((str(path.relative_to(TESTS)), match.group(1)))
    return found


def section() -> str:
    """The section of the page, as it should read."""
    named = tests()
    covered = [row for row in rows() if row.id in named]
    parts = [
        HEAD,
        f"{len(covered)} of {len(rows())} rows have at least one test that carries their id in its name; tests are in `tests/`, up to "
        f"{NAMED} are named here. (`python -m tests.catalogue` writes this part; a test keeps it true.)\n",
    ]
    for letter, title in GROUPS.items():
        lines = [f"| {row.id} | {row.what} | {_names(named[row.id])} |" for row in covered if row.id[0] == letter]
        if lines:
            parts += [f"### {letter} {title}\n", "\n".join(["| row | what goes wrong | tests |", "|---|---|---|", *lines]) + "\n"]
    left = [row for row in rows() if row.id not in named]
    if left:
        lines = [f"| {row.id} | {row.what} | {row.open_because or 'OPEN: no reason is given'} |" for row in left]
        parts += ["## Open rows\n", "\n".join(["| row | what goes wrong | why it is open |", "|---|---|---|", *lines]) + "\n"]
    return "\n".join(parts)


def page() -> str:
    """The whole page with this section brought up to date."""
    text = PAGE.read_text(encoding="utf-8")
    return text[: text.index(HEAD)] + section()


def _names(found: list[tuple[str, str]]) -> str:
    by_file: dict[str, list[str]] = {}
    for file, test in found[:NAMED]:
        by_file.setdefault(file, []).append(f"`{test}`")
    words = [f"`{file}`: {', '.join(names)}" for file, names in by_file.items()]
    return "<br>".join([*words, *([f"and {len(found) - NAMED} more"] if len(found) > NAMED else [])])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(0)
