"""What a long log costs: the start of a process, the first book, the audit, the size and the memory, as the log grows tenfold.

Every figure of a size is of a process of its own on a home whose log holds that many events of a realistic mix (`tests/long_log.py`).
Named on the command line it also measures a million events, which takes some minutes.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import Any

from core.app import replay, save_snapshot
from core.clock import SystemClock
from core.runtime import SystemRuntime
from core.store.place import LOG_FILE
from core.store.sqlite import SqliteStore
from tests.long_log import START, drafts

ROOT = Path(__file__).resolve().parents[2]
SIZES, FULL = (10_000, 100_000), (10_000, 100_000, 1_000_000)
STARTS = 3
BATCH = 5_000
AFTER = 5_000  # events that come while the desk runs, before its next snapshot


def rows(*, full: bool = False) -> list[dict[str, Any]]:
    """One row a figure and size, then how each grows: the exponent of the last tenfold (1 is proportional)."""
    found: dict[str, list[tuple[int, float, str]]] = {}
    for size in FULL if full else SIZES:
        with _home() as home:
            for name, value, unit in _measure(home, size):
                found.setdefault(name, []).append((size, value, unit))
    made: list[dict[str, Any]] = []
    for name, each in found.items():
        made += [{"name": f"{name}, {size:,} events", "value": value, "unit": unit} for size, value, unit in each]
    for name, each in found.items():
        for (small, before, _), (large, after, _) in pairwise(each):
            exponent = math.log(after / before) / math.log(large / small)
            made.append({"name": f"{name}: exponent {small:,} to {large:,}", "value": exponent, "unit": "(1 is proportional)"})
    return made


def _measure(home: Path, size: int) -> Iterator[tuple[str, float, str]]:
    yield "bulk append with encoding", asyncio.run(_fill(home, size)), "s"
    status = [sys.executable, "-m", "bot", "do", "--home", str(home), "status"]
    yield from _run("start and status, the whole log replayed", status, 1)
    yield from _run("start and status from a snapshot", status, STARTS)
    yield from _run("doctor --audit", [sys.executable, "-m", "bot", "doctor", "--home", str(home), "--audit"], 1)
    seen = json.loads(subprocess.check_output([sys.executable, "-m", "tests.bench.growth", str(home)], cwd=ROOT, text=True))
    yield "state from the snapshot", seen["state_seconds"], "s"
    yield "first book", seen["book_seconds"], "s"
    yield f"snapshot after {AFTER:,} more events, beside the loop", seen["snapshot_seconds"], "s"
    yield "the same: longest hold of the loop", 1000 * seen["held_seconds"], "ms"
    yield "the same: longest hold by its own work", 1000 * seen["worked_seconds"], "ms"
    yield "the same: bytes stored", seen["snapshot_bytes"] / 2**20, "MiB"
    yield "database", (home / LOG_FILE).stat().st_size / 2**20, "MiB"
    with sqlite3.connect(home / LOG_FILE) as looking:
        (parts,) = looking.execute("SELECT sum(length(content)) FROM snapshot_part").fetchone()
    looking.close()
    yield "of it the snapshot", parts / 2**20, "MiB"


async def _fill(home: Path, size: int) -> float:
    runtime = SystemRuntime()
    store = await SqliteStore.open(home / LOG_FILE, clock=SystemClock(), worker=runtime.worker("bench"))
    token, log, taken = await store.acquire_lease("bench"), drafts(size), 0.0
    while batch := list(islice(log, BATCH)):
        began = time.perf_counter()
        await store.append(batch, token=token)
        taken += time.perf_counter() - began
    await store.release_lease(token)
    await store.close()
    await runtime.aclose()
    return taken


async def _look(home: Path) -> dict[str, float]:
    """In a process of its own: the state from the snapshot, its first book, and a snapshot while the loop is watched."""
    runtime = SystemRuntime()
    store = await SqliteStore.open(home / LOG_FILE, clock=SystemClock(), worker=runtime.worker("bench"))
    token = await store.acquire_lease("bench")
    began = time.perf_counter()
    fold = await replay(store)
    state_seconds = time.perf_counter() - began
    began = time.perf_counter()
    for book in fold.books.accounts.values():
        book.exposed()
    book_seconds = time.perf_counter() - began
    await store.append(list(drafts(AFTER, seed=2, start=fold.last_at or START)), token=token)
    for event in await store.read(after=fold.seq):
        fold.apply(event)
    size = (home / LOG_FILE).stat().st_size
    held, worked, seconds = await _saved(runtime, fold, store)
    await store.close()
    stored = (home / LOG_FILE).stat().st_size - size
    await runtime.aclose()
    return {
        "state_seconds": state_seconds, "book_seconds": book_seconds, "snapshot_seconds": seconds, "held_seconds": held,
        "worked_seconds": worked, "snapshot_bytes": max(stored, 0) or 1.0,
    }


async def _saved(runtime: SystemRuntime, fold: Any, store: Any) -> tuple[float, float, float]:
    """Save a snapshot as the app does: the longest hold of the loop by the clock and by the processor, and how long all took.

    By the clock it also waits for a processor that others use, and for the thread that packs.
    """
    held, worked, running = 0.0, 0.0, True

    async def watch() -> None:
        nonlocal held, worked
        while running:
            began, work_began = time.perf_counter(), time.thread_time()
            await runtime.sleep(0)
            held, worked = max(held, time.perf_counter() - began), max(worked, time.thread_time() - work_began)

    watching = runtime.spawn(watch(), name="watch")
    await runtime.sleep(0.01)
    began = time.perf_counter()
    await save_snapshot(fold, store, runtime)
    seconds = time.perf_counter() - began
    running = False
    await watching
    return held, worked, seconds


def _run(name: str, command: list[str], times: int) -> Iterator[tuple[str, float, str]]:
    """What processes took, by the clock and by the processor (which a busy machine does not stretch), and their peak memory."""
    seconds, worked, memory = [], [], []
    for _ in range(times):
        began = time.perf_counter()
        pid = os.posix_spawn(
            command[0], command, {**os.environ, "PYTHONPATH": str(ROOT)},
            file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
        )
        _, status, usage = os.wait4(pid, 0)
        if status != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {status}")
        seconds.append(time.perf_counter() - began)
        worked.append(usage.ru_utime + usage.ru_stime)
        memory.append(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20)
    yield name, median(seconds), "s"
    yield f"{name}: processor", median(worked), "s"
    yield f"{name}: peak memory", max(memory), "MiB"


@contextmanager
def _home() -> Iterator[Path]:
    """A home on a real disk; see the bench of the store."""
    folder = Path(tempfile.mkdtemp(dir=Path.cwd(), prefix=".bench-"))
    try:
        yield folder / "home"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_look(Path(sys.argv[1])))))
