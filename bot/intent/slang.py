"""How people shorten and what they mean by it: contractions, dictated and typed slang, in plain words. Data, read once."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).with_name("data")
Words = tuple[str, ...]


def _rows(name: str) -> dict[str, Words]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    rows = (line.partition(":") for line in lines if line.strip() and not line.startswith("#"))
    return {left.strip(): tuple(right.split()) for left, _, right in rows}


def _by_first(table: dict[str, Words]) -> dict[str, list[tuple[Words, Words]]]:
    """Phrases by their first word, the longest first."""
    found: dict[str, list[tuple[Words, Words]]] = {}
    for left, right in table.items():
        words = tuple(left.split())
        if words != right:
            found.setdefault(words[0], []).append((words, right))
    for rows in found.values():
        rows.sort(key=lambda row: -len(row[0]))
    return found


CONTRACTIONS = _rows("contractions.txt")
PHRASES = _by_first(_rows("slang.txt"))
