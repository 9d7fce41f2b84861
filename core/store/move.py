"""A log and its tables carried from one place to another: the same events, numbers and hashes, verified before they count.

Everything is copied beside the target, read back and compared (chain, number and end of the log, the state it folds to, every row of
every table), and takes the target's name in one step. A move that ends early leaves the target as it was; doing it again begins anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from core.errors import Corrupt, LeaseLost, UserError
from core.fold import DeskFold
from core.ports import Put
from core.store.codec import Row, decode
from core.store.log import Head
from core.store.place import (
    MOVED,
    Place,
    Reader,
    Tables,
    incoming,
    is_used,
    open_archive,
    open_log,
    owned,
    put_in_place,
    read_archive,
    read_log,
    set_aside,
    settle,
)
from core.store.tables import TABLES

if TYPE_CHECKING:
    from core.clock import Clock
    from core.runtime import Runtime

BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a place holds, in figures that differ wherever anything differs."""

    head: Head
    state: str  # digest of the state the log folds to
    tables: str  # digest of every row of every table
    rows: Mapping[str, int]
    token: int  # the greatest lease token ever given


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a move did."""

    contents: Contents
    old: Place  # where the source is now, which no desk opens by mistake


async def move(source: Place, target: Place, *, clock: Clock, runtime: Runtime) -> Moved:
    """Carry a desk's log and tables to an empty place; afterwards the source is kept under another name.

    Raises UserError where the target is not empty, LeaseHeld where a desk runs on either, and what damage in the source raises.
    """
    if str(source) == str(target):
        raise UserError("A log cannot be moved to where it is.", "Name another place.")
    if not await is_used(source, clock=clock, runtime=runtime):
        raise UserError(f"There is no log at {source}.")
    await refuse_used(target, clock=clock, runtime=runtime)
    async with (
        owned(source, clock=clock, runtime=runtime),
        owned(target, clock=clock, runtime=runtime) as lock,
        incoming(target, clock=clock, runtime=runtime) as made,
    ):
        contents = await copy(source, made, clock=clock, runtime=runtime)
        await settle(made, runtime=runtime)
        await put_in_place(made, target, head=contents.head, lock=lock, clock=clock, runtime=runtime)
        old = await set_aside(source, f"{MOVED}_{clock.now():%Y%m%d%H%M%S}", clock=clock, runtime=runtime)
    return Moved(contents=contents, old=old)


async def refuse_used(place: Place, *, clock: Clock, runtime: Runtime, next_step: str = "Name an empty place.") -> None:
    """Raise UserError where something of a desk stands at a place."""
    if await is_used(place, clock=clock, runtime=runtime):
        raise UserError(f"{place} already holds a log or a part of one; nothing was changed.", next_step)


async def copy(source: Place, made: Place, *, clock: Clock, runtime: Runtime, above_token: int = 0) -> Contents:
    """Copy log and tables as of now into an empty place, read them back there and compare. The source may be in use."""
    log = await read_log(source, clock=clock, runtime=runtime)
    try:
        wanted = await _copy_log(log, made, clock=clock, runtime=runtime, above_token=above_token)
    finally:
        await log.close()
    # The tables after the log: then the paper broker's books are never behind the orders the log tells of.
    archive = await read_archive(source, clock=clock, runtime=runtime)
    try:
        everything = await archive.everything()
    finally:
        await archive.close()
    tables = await open_archive(made, clock=clock, runtime=runtime)
    try:
        await _fill(tables, everything)
    finally:
        await tables.close()
    found = await contents_of(made, clock=clock, runtime=runtime)
    if (found.head, found.state, found.tables) != (*wanted, digest_of(everything)):
        raise Corrupt(f"what was copied from {source} does not read back the same; nothing was changed")
    return found


async def contents_of(place: Place, *, clock: Clock, runtime: Runtime) -> Contents:
    """Read everything at a place, every hash checked; raise Corrupt or NewerSchema at the first fault."""
    log = await read_log(place, clock=clock, runtime=runtime)
    try:
        audit = await log.audit()
        fold = DeskFold()
        while fold.seq < audit.head.seq:
            rows = await log.rows(after=fold.seq, limit=min(BATCH, audit.head.seq - fold.seq))
            await runtime.in_thread(_fold, fold, rows)
        token = await log.last_token()
    finally:
        await log.close()
    archive = await read_archive(place, clock=clock, runtime=runtime)
    try:
        everything = await archive.everything()
    finally:
        await archive.close()
    return Contents(
        head=audit.head, state=fold.digest(), tables=digest_of(everything), rows={name: len(rows) for name, rows in everything.items()},
        token=token,
    )


def digest_of(everything: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A digest of all rows of all tables."""
    digest = sha256()
    for name in sorted(everything):
        for row in everything[name]:
            text = json.dumps([name, sorted(row.items())], default=lambda value: f"bytes {value.hex()}")
            digest.update(text.encode("ascii") + b"\n")
    return digest.hexdigest()


async def _copy_log(log: Reader, made: Place, *, clock: Clock, runtime: Runtime, above_token: int) -> tuple[Head, str]:
    head, fold = await log.head(), DeskFold()
    token = max(await log.last_token(), above_token)
    store = await open_log(made, clock=clock, runtime=runtime)
    try:
        await store.adopt((), token=token)
        while fold.seq < head.seq:
            rows = await log.rows(after=fold.seq, limit=min(BATCH, head.seq - fold.seq))
            await store.adopt(rows, token=token)
            await runtime.in_thread(_fold, fold, rows)
        if await store.head() != head:
            raise LeaseLost("the copy was changed by another process while it was made; nothing was moved")
    finally:
        await store.close()
    return head, fold.digest()


async def _fill(tables: Tables, everything: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for table in TABLES:
        rows = everything[table.name]
        for start in range(0, len(rows), BATCH):
            await tables.write([Put(table=table.name, row=row) for row in rows[start : start + BATCH]])


def _fold(fold: DeskFold, rows: Sequence[Row]) -> None:
    for row in rows:
        fold.apply(decode(row))
