"""What the stores have in common about snapshots: how one is checked against damage, and when it may be added to."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from core.errors import Conflict
from core.ports import Snapshot


def part_digest(name: str, content: bytes) -> str:
    """What a stored part must hash to: its name is in it, so that one cannot stand for another."""
    return sha256(name.encode("utf-8", "surrogatepass") + b"\0" + content).hexdigest()


def whole_parts(rows: Iterable[tuple[str, Any, str]]) -> dict[str, bytes] | None:
    """Stored parts by name, None where one is not what was written."""
    found: dict[str, bytes] = {}
    for name, content, digest in rows:
        if not isinstance(content, bytes) or part_digest(name, content) != digest:
            return None
        found[name] = content
    return found


def is_newer(snapshot: Snapshot, kept_seq: int | None) -> bool:
    """Whether a snapshot takes the place of the stored one at `kept_seq`; raise Conflict where it was to add to another."""
    if snapshot.after is not None and kept_seq == snapshot.seq:
        return False  # this very one: only its acknowledgement was lost
    if snapshot.after is not None and snapshot.after != kept_seq:
        raise Conflict(expected_seq=snapshot.after, actual_seq=kept_seq)
    return kept_seq is None or kept_seq <= snapshot.seq
