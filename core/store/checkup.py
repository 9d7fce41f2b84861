"""What `doctor` asks of the store without owning it: the library, the directory, the database. Changes nothing but a probe file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import Clock
from core.errors import DeskError, UserError
from core.store import sql
from core.store.files import make_private_directory, refuse_access
from core.store.place import Reader, is_used, place_of, read_archive, read_log
from core.store.reader import SqliteReader, open_read_only

if TYPE_CHECKING:
    from core.runtime import Runtime, Worker

LEAST_FREE_BYTES = 200 * 1024 * 1024
TAIL = 1_000
READABLE = "can be read by other users of this machine"
Checked = tuple[bool | None, str]  # sound, not sound, or None: worth knowing; and the sentence


def check_library() -> Checked:
    """The SQLite library in use."""
    note = sql.library_note()
    return (True, "library in good order") if note is None else (None, note)


def check_directory(home: Path) -> Checked:
    """Whether the data directory can be written and is private."""
    if not home.exists():
        return True, f"{home} does not exist yet; the first start makes it"
    probe = home / ".probe"
    try:
        make_private_directory(home)
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(b"probe")
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()
    except UserError as error:
        return False, str(error)
    except OSError as error:
        return False, f"{home} cannot be written ({error.strerror}); nothing can be traded until it can"
    free = shutil.disk_usage(home).free
    return (True if free >= LEAST_FREE_BYTES else None), f"{home} can be written; {free // 2**20:,} MiB free"


async def check_database(path: Path, *, clock: Clock, worker: Worker, audit: bool) -> Checked:
    """Whether the log opens and its chain holds: its last part, or with `audit` every page and event."""
    try:
        refuse_access(path, by_others=0o077, what=READABLE)
        reader = await open_read_only(path, clock=clock, worker=worker)
        try:
            return True, await (_whole(reader) if audit else _tail(reader))
        finally:
            await reader.close()
    except DeskError as error:
        return False, f"{error}; nothing was changed"


async def check_archive(path: Path, *, clock: Clock, worker: Worker, audit: bool) -> Checked:
    """Whether the archive beside the log is private and opens: with `audit`, every page of it."""
    try:
        refuse_access(path, by_others=0o077, what=READABLE)
        await worker.run(sql.look_at, path, clock.now(), audit)
    except DeskError as error:
        return False, f"{error}; nothing was changed"
    return True, "every page of it is sound" if audit else "it opens (--audit checks every page)"


async def check_server(home: Path, address: str, *, clock: Clock, runtime: Runtime, audit: bool) -> tuple[Checked, ...]:
    """The same of a log and tables on a server, which is asked for nothing but to be read."""
    try:
        place = place_of(home, address)
        if not await is_used(place, clock=clock, runtime=runtime):
            return ((True, f"nothing yet at {place}, which answers; the first start makes it"),)
        reader = await read_log(place, clock=clock, runtime=runtime)
        try:
            log = await (_whole(reader) if audit else _tail(reader))
        finally:
            await reader.close()
        archive = await read_archive(place, clock=clock, runtime=runtime)
        try:
            rows = f"; {sum(map(len, (await archive.everything()).values())):,} rows read" if audit else ""
        finally:
            await archive.close()
    except DeskError as error:
        return ((False, f"{error}; nothing was changed"),)
    return (True, f"{place}: {log}"), (True, f"it opens{rows}")


async def _whole(reader: Reader) -> str:
    found = await reader.audit()
    parts = "page" if isinstance(reader, SqliteReader) else "event"
    return f"audit: {found.events:,} events, every {parts} and hash checked, the chain ends in {found.head.hash[:12]}"


async def _tail(reader: Reader) -> str:
    last = await reader.last_seq()
    await reader.read(after=max(0, last - TAIL))
    return f"{last:,} events; the chain of the last {min(last, TAIL):,} holds (--audit checks all of it)"
