"""Durable appends against SQLite itself, which writes the same bytes into the same tables under the same settings; below 1 is faster."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

from core.clock import ManualClock
from core.domain.accounts import AccountId, Env
from core.domain.events import Draft, Filled
from core.domain.instruments import Equity
from core.domain.orders import Fill, Side
from core.runtime import SystemRuntime
from core.store import schema, sql
from core.store.codec import COLUMNS
from core.store.sqlite import SqliteStore

SINGLE = 200
BULK = 5_000
ROUNDS = 5
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM event ORDER BY seq"
_INSERT = f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


def rows() -> list[dict[str, Any]]:
    """One row per comparison: name, ours_ns and peer_ns per event, ratio ours / peer, accuracy in words."""
    return asyncio.run(_measure())


@dataclass
class _Round:
    single_ns: float
    bulk_ns: float
    read_ns: float
    stored: list[tuple[Any, ...]]


async def _measure() -> list[dict[str, Any]]:
    ours: list[_Round] = []
    peers: list[_Round] = []
    runtime = SystemRuntime()
    for number in range(ROUNDS):
        with _directory() as place:
            ours.append(await _ours(place / "ours" / "desk.db", runtime, number))
            peers.append(_peer(place / "peer.db", ours[-1].stored))
    await runtime.aclose()
    same = "same bytes stored" if all(one.stored == other.stored for one, other in zip(ours, peers, strict=True)) else "DIFFERENT BYTES"
    return [
        _row("durable append, one event", [one.single_ns for one in ours], [one.single_ns for one in peers], same),
        _row(f"durable append, {BULK:,} events at once", [one.bulk_ns for one in ours], [one.bulk_ns for one in peers], same),
        _row("read, chain checked and decoded", [one.read_ns for one in ours], [one.read_ns for one in peers], "peer: rows only"),
    ]


def _row(name: str, ours: list[float], peer: list[float], accuracy: str) -> dict[str, Any]:
    ours_ns, peer_ns = median(ours), median(peer)
    return {"name": name, "ours_ns": ours_ns, "peer_ns": peer_ns, "ratio": ours_ns / peer_ns, "accuracy": accuracy}


def _drafts(count: int, first: int) -> list[Draft]:
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


async def _ours(path: Path, runtime: SystemRuntime, number: int) -> _Round:
    store = await SqliteStore.open(path, clock=ManualClock(NOW), worker=runtime.worker(f"bench {number}"))
    token = await store.acquire_lease("bench")
    singles, bulk = _drafts(SINGLE, 0), _drafts(BULK, SINGLE)
    began = perf_counter_ns()
    for draft in singles:
        await store.append([draft], token=token)
    between = perf_counter_ns()
    await store.append(bulk, token=token)
    appended = perf_counter_ns()
    await store.read()
    ended = perf_counter_ns()
    await store.close()
    looking = sqlite3.connect(path)
    stored = looking.execute(_SELECT).fetchall()
    looking.close()
    return _Round((between - began) / SINGLE, (appended - between) / BULK, (ended - appended) / (SINGLE + BULK), stored)


def _peer(path: Path, stored: list[tuple[Any, ...]]) -> _Round:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sql.connect(path)
    schema.create(connection)
    began = perf_counter_ns()
    for row in stored[:SINGLE]:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_INSERT, row)
        connection.execute("COMMIT")
    between = perf_counter_ns()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(_INSERT, stored[SINGLE:])
    connection.execute("COMMIT")
    appended = perf_counter_ns()
    found = connection.execute(_SELECT).fetchall()
    ended = perf_counter_ns()
    connection.close()
    return _Round((between - began) / SINGLE, (appended - between) / BULK, (ended - appended) / (SINGLE + BULK), found)


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A directory on a real disk where there is one: the default temporary place may be memory, where a sync costs nothing."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        yield Path(name)
