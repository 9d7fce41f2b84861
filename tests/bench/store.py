"""Durable appends against SQLite itself, which writes the same bytes into the same tables under the same settings; below 1 is faster.

Two peers take turns with the store, event by event: raw sqlite3 (the event's row and the note of the log's end, one transaction, as the
store writes them) and a plain file (write and fdatasync of the row's bytes). What raw sqlite3 has not to do is encoding: turning a typed
draft into text, hashing it into the chain, making the event. The rows below the ratios say what that and the rest take.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import quantiles
from time import perf_counter_ns
from typing import Any

from core.clock import ManualClock
from core.domain.accounts import AccountId, Env
from core.domain.events import Draft, Filled
from core.domain.instruments import Equity
from core.domain.orders import Fill, Side
from core.runtime import SystemRuntime
from core.store import schema, sql
from core.store.codec import COLUMNS, GENESIS, Row, stored
from core.store.log import Head
from core.store.sqlite import SqliteStore
from tests.long_log import drafts as long_log

SINGLE = 600
BULK = 5_000
ROUNDS = 7
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM event ORDER BY seq"
_INSERT = f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


def rows() -> list[dict[str, Any]]:
    """One row per comparison: name, ours_ns and peer_ns per event, ratio ours / peer, accuracy in words; then where the time goes."""
    return asyncio.run(_measure())


class _Times(dict[str, list[float]]):
    """Nanoseconds by what took them."""

    @contextlib.contextmanager
    def of(self, what: str, events: int = 1) -> Iterator[None]:
        began = perf_counter_ns()
        yield
        self.setdefault(what, []).append((perf_counter_ns() - began) / events)

    def compared(self, name: str, ours: str, peer: str, accuracy: str) -> dict[str, Any]:
        ours_ns, peer_ns = self._usual(ours), self._usual(peer)
        return {"name": name, "ours_ns": ours_ns, "peer_ns": peer_ns, "ratio": ours_ns / peer_ns, "accuracy": accuracy}

    def part(self, name: str, what: str) -> dict[str, Any]:
        return {"name": name, "value": self._usual(what) / 1000, "unit": "us an event"}

    def _usual(self, what: str) -> float:
        """The lower quartile: what else runs on the machine only ever adds."""
        return quantiles(self[what], n=4)[0]


async def _measure() -> list[dict[str, Any]]:
    runtime, times = SystemRuntime(), _Times()
    same = [await _singly(runtime, times), await _in_bulk(runtime, times)]
    await runtime.aclose()
    accuracy = "same bytes stored" if all(same) else "DIFFERENT BYTES"
    return [
        times.compared("durable append, one event: raw sqlite3", "one", "one raw", accuracy),
        times.compared("durable append, one event: write + fdatasync", "one", "one plain", "the row's bytes"),
        times.part("  of it: encode, hash, make the event", "one encode"),
        times.part("  of it: to the thread and back", "one hop"),
        times.part("  of it: SQLite without the sync, as raw sqlite3 does it", "one unsynced"),
        times.compared(f"durable append, {BULK:,} events at once: raw sqlite3", "bulk", "bulk raw", accuracy),
        times.compared(f"durable append, {BULK:,} events at once: write + fdatasync", "bulk", "bulk plain", "the rows' bytes"),
        times.part("  of it: encode, hash, make the event", "bulk encode"),
        times.compared(f"append, {BULK:,} events of all kinds at once: raw sqlite3", "mixed", "mixed raw", accuracy),
        times.compared("read, chain checked and decoded: rows only", "read", "read raw", "peer: rows only"),
    ]


async def _singly(runtime: SystemRuntime, times: _Times) -> bool:
    """Ours and the peers in turns, one event each, so that whatever else the disk does slows all of them."""
    with _directory() as place:
        async with _opened(place, runtime, "singly") as (store, token):
            raw, unsynced, plain = _peer(place / "raw.db"), _peer(place / "unsynced.db"), _plain(place / "plain")
            unsynced.execute("PRAGMA synchronous = OFF")
            last_hash, rows = GENESIS, []
            for seq, draft in enumerate(_fills(SINGLE, 0), 1):
                with times.of("one"):
                    await store.append([draft], token=token)
                with times.of("one encode"):
                    row, _ = stored(draft, seq=seq, prev_hash=last_hash, recorded_at=NOW)
                last_hash = row.hash
                rows.append(row)
                with times.of("one raw"):
                    _insert(raw, [row])
                with times.of("one unsynced"):
                    _insert(unsynced, [row])
                with times.of("one plain"):
                    _write(plain, [row])
                with times.of("one hop"):
                    await store._worker.run(int)
            return _same(place / "ours" / "desk.db", raw, rows)


async def _in_bulk(runtime: SystemRuntime, times: _Times) -> bool:
    same = True
    for number in range(ROUNDS):
        for what, drafts in (("bulk", _fills(BULK, 0)), ("mixed", list(long_log(BULK, seed=number)))):
            with _directory() as place:
                async with _opened(place, runtime, f"{what} {number}") as (store, token):
                    raw, plain = _peer(place / "raw.db"), _plain(place / "plain")
                    with times.of(what, BULK):
                        await store.append(drafts, token=token)
                    rows = list(await store.rows())
                    with times.of(f"{what} raw", BULK):
                        _insert(raw, rows)
                    with times.of(f"{what} plain", BULK):
                        _write(plain, rows)
                    with times.of(f"{what} encode", BULK):
                        _encoded(drafts)
                    with times.of("read", BULK):
                        await store.read()
                    with times.of("read raw", BULK):
                        raw.execute(_SELECT).fetchall()
                    same = same and _same(place / "ours" / "desk.db", raw, rows)
    return same


def _encoded(drafts: list[Draft]) -> None:
    last_hash = GENESIS
    for seq, draft in enumerate(drafts, 1):
        row, _ = stored(draft, seq=seq, prev_hash=last_hash, recorded_at=NOW)
        last_hash = row.hash


def _fills(count: int, first: int) -> list[Draft]:
    account = AccountId(broker="paper", id="PAPER-1", env=Env.PAPER)
    return [
        Draft(
            body=Filled(
                fill=Fill(
                    exec_id=f"X-{number}", account=account, client_id="C-1", instrument=Equity(symbol="SPY"), side=Side.BUY, quantity=100,
                    price=Decimal("431.17"), fees=Decimal("0.35"), at=NOW,
                )
            ),
            stream=str(account), at=NOW, actor="broker:paper", correlation="T-1", dedupe=f"fill:X-{number}",
        )
        for number in range(first, first + count)
    ]


@contextlib.asynccontextmanager
async def _opened(place: Path, runtime: SystemRuntime, name: str) -> Any:
    store = await SqliteStore.open(place / "ours" / "desk.db", clock=ManualClock(NOW), worker=runtime.worker(name))
    try:
        yield store, await store.acquire_lease("bench")
    finally:
        await store.close()


def _peer(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sql.connect(path)
    schema.create(connection)
    return connection


def _insert(connection: sqlite3.Connection, rows: list[Row]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(_INSERT, rows)
    schema.write_head(connection, Head(seq=rows[-1].seq, hash=rows[-1].hash))
    connection.execute("COMMIT")


def _plain(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)


def _write(file: int, rows: list[Row]) -> None:
    os.write(file, "".join([str(value) for row in rows for value in row]).encode())
    os.fdatasync(file)


def _same(ours: Path, peer: sqlite3.Connection, rows: list[Row]) -> bool:
    looking = sqlite3.connect(ours)
    found = [connection.execute(_SELECT).fetchall() for connection in (looking, peer)]
    looking.close()
    return found[0] == found[1] == [tuple(row) for row in rows]


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A directory on a real disk where there is one: the default temporary place may be memory, where a sync costs nothing."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        yield Path(name)
