"""`python -m bot backup`, `restore` and `move`: a desk's log and tables as a whole. Works without a running desk, chat, model and data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.clock import SystemClock
from core.runtime import SystemRuntime
from core.store.backup import back_up, restore
from core.store.move import Contents, move
from core.store.place import Place, place_named

FOLDER = "backups"


async def write_backup(place: Place, home: Path, folder: Path | None) -> Sequence[str]:
    """Back up a desk, running or not, into `folder` or a new directory of its home; returns what to say."""
    runtime, clock = SystemRuntime(), SystemClock()
    try:
        wanted = folder or home / FOLDER / f"{clock.now():%Y%m%dT%H%M%SZ}"
        made = await back_up(place, wanted, clock=clock, runtime=runtime)
    finally:
        await runtime.aclose()
    return (
        f"[ok] Backup of {place} in {made.folder}: {_told(made.contents)}.",
        "     It was read back and every hash checked. Keep a copy on another machine; the PIN and the configuration are not in it.",
    )


async def restore_backup(place: Place, folder: Path, *, force: bool) -> Sequence[str]:
    """Put a backup in a desk's place; returns what to say."""
    runtime = SystemRuntime()
    try:
        done = await restore(folder, place, force=force, clock=SystemClock(), runtime=runtime)
    finally:
        await runtime.aclose()
    kept = [] if done.old is None else [f"     What stood there before is kept in {done.old}."]
    return (
        f"[ok] {folder} restored to {place}: {_told(done.contents)}.",
        *kept,
        "[!]  It is older than the world: every account stays in RECOVERY until the next start has compared its broker's complete books.",
        "     Orders sent after the backup then show as made elsewhere. A HALT file, where there is one, stays in force.",
    )


async def move_log(source: str, target: str) -> Sequence[str]:
    """Carry a log and its tables from one directory or database to another; returns what to say."""
    runtime = SystemRuntime()
    try:
        old, new = place_named(source), place_named(target)
        done = await move(old, new, clock=SystemClock(), runtime=runtime)
    finally:
        await runtime.aclose()
    how = "--database and that address" if new.address is not None else f"--home {new}"
    return (
        f"[ok] {old} moved to {new}: {_told(done.contents)}.",
        f"     It was read back there and compared. The old one is kept in {done.old}, where no desk opens it.",
        f"     From now on start with {how}.",
    )


def _told(contents: Contents) -> str:
    rows = sum(contents.rows.values())
    return f"{contents.head.seq:,} events ending in {contents.head.hash[:12]}, {rows:,} rows of tables"
