"""Where a desk's log and tables are: two files in its directory, or a schema on a server. How either is opened, and changed whole.

What is put in place of an earlier state is first made beside it, complete, and then takes its name in one step; what it replaces is
renamed, never removed.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from core.errors import DeskError, Unavailable, UserError
from core.store import sql
from core.store.archive import SqliteArchive
from core.store.files import LockFile, make_private_directory, sync_directory
from core.store.log import Head
from core.store.postgres.address import Address, is_address, read_address
from core.store.reader import SqliteReader, open_read_only
from core.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from core.clock import Clock
    from core.runtime import Runtime
    from core.store.postgres.archive import PostgresArchive
    from core.store.postgres.log import PostgresReader, PostgresStore
    from core.store.postgres.session import Session

Log: TypeAlias = "SqliteStore | PostgresStore"
Reader: TypeAlias = "SqliteReader | PostgresReader"
Tables: TypeAlias = "SqliteArchive | PostgresArchive"

LOG_FILE = "desk.db"
ARCHIVE_FILE = "archive.db"
INCOMING = "incoming"
MOVED = "moved"
_SIDE_FILES = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory, and a server's schema where the log is not in the directory."""

    home: Path | None
    address: Address | None = None

    def __str__(self) -> str:
        return str(self.address or self.home)

    @property
    def files(self) -> Path:
        """The directory, of a place that keeps its log in one."""
        if self.home is None:
            raise UserError("No data directory is named.", "Give one with --home DIR.")
        return self.home

    @property
    def note(self) -> Path | None:
        """The name beside which the directory remembers how far the log on the server goes."""
        return None if self.home is None or self.address is None else self.home / f"postgres-{self.address.key}"


def place_of(home: Path, database: str | None) -> Place:
    """The place of a desk by its directory and, where one is given, the address of its database."""
    if database:
        return Place(home=home, address=read_address(database))
    if not (home / LOG_FILE).exists() and (any(home.glob("postgres-*.lock")) or any(home.glob(f"{MOVED}_*"))):
        raise UserError(
            f"The log of {home} is elsewhere, on a PostgreSQL server or moved, and no address is given.",
            "Give it with --database URL, DESK_DATABASE or `database` in config.yaml.",
        )
    return Place(home=home)


def place_named(text: str) -> Place:
    """The place a person names: a directory, or the address of a database."""
    if is_address(text):
        return Place(home=None, address=read_address(text))
    refuse_scratch(Path(text))
    return Place(home=Path(text))


def refuse_scratch(path: Path) -> None:
    """Raise UserError for the name under which something is made, and removed where the attempt was killed."""
    if path.name == INCOMING:
        raise UserError(f"{path} would be removed by the next move or restore beside it.", "Name another directory.")


async def open_log(place: Place, *, clock: Clock, runtime: Runtime) -> Log:
    """Open the log as its owner; see the stores' own `open`."""
    if place.address is None:
        return await SqliteStore.open(place.files / LOG_FILE, clock=clock, worker=runtime.worker(f"log {runtime.entropy.nonce()}"))
    from core.store.postgres.log import PostgresStore

    return await PostgresStore.open(place.address, clock=clock, runtime=runtime, note=place.note)


async def open_archive(place: Place, *, clock: Clock, runtime: Runtime) -> Tables:
    """Open the tables as their owner."""
    if place.address is None:
        worker = runtime.worker(f"archive {runtime.entropy.nonce()}")
        return await SqliteArchive.open(place.files / ARCHIVE_FILE, clock=clock, worker=worker)
    from core.store.postgres.archive import PostgresArchive

    return await PostgresArchive.open(place.address, clock=clock, runtime=runtime)


async def read_log(place: Place, *, clock: Clock, runtime: Runtime) -> Reader:
    """Open the log to look at, whoever owns it."""
    if place.address is None:
        return await open_read_only(place.files / LOG_FILE, clock=clock, worker=runtime.worker(f"reader {runtime.entropy.nonce()}"))
    from core.store.postgres.log import PostgresReader

    return await PostgresReader.open(place.address, clock=clock, runtime=runtime, note=place.note)


async def read_archive(place: Place, *, clock: Clock, runtime: Runtime) -> Tables:
    """Open the tables to look at."""
    if place.address is None:
        worker = runtime.worker(f"archive reader {runtime.entropy.nonce()}")
        return await SqliteArchive.open_read_only(place.files / ARCHIVE_FILE, clock=clock, worker=worker)
    from core.store.postgres.archive import PostgresArchive

    return await PostgresArchive.open_read_only(place.address, clock=clock, runtime=runtime)


async def is_used(place: Place, *, clock: Clock, runtime: Runtime) -> bool:
    """Whether anything of a desk stands there already, whole or not."""
    if place.address is None:
        return any(path.exists() for path in _files(place.files) if not path.name.endswith("-shm"))
    from core.store.postgres import schema

    async with _session(place.address, clock, runtime) as session:
        return await session.run(lambda connection: schema.is_used(connection, session.address))


@contextlib.asynccontextmanager
async def incoming(place: Place, *, clock: Clock, runtime: Runtime) -> AsyncIterator[Place]:
    """An empty place beside `place`, to make in it what shall stand there; what is left of it in the end is removed."""
    beside = Place(home=place.files / INCOMING) if place.address is None else Place(home=None, address=place.address.beside(INCOMING))
    await _remove(beside, clock=clock, runtime=runtime)  # of an attempt that was killed
    if place.address is None:
        make_private_directory(beside.files)
    try:
        yield beside
    finally:
        with contextlib.suppress(DeskError):
            await _remove(beside, clock=clock, runtime=runtime)


async def _remove(beside: Place, *, clock: Clock, runtime: Runtime) -> None:
    if beside.address is None:
        if beside.files.exists():
            shutil.rmtree(beside.files)
        return
    from core.store.postgres import schema

    address = beside.address
    async with _session(address, clock, runtime, writes="log") as session:
        await session.write(lambda connection: schema.drop(connection, address))


@contextlib.asynccontextmanager
async def owned(place: Place, *, clock: Clock, runtime: Runtime) -> AsyncIterator[LockFile | None]:
    """Keep every desk away from a place while it is changed as a whole; raise LeaseHeld where one runs."""
    path = place.files / LOG_FILE if place.address is None else place.note
    if path is not None:
        make_private_directory(path.parent)
    try:
        lock = None if path is None else LockFile(path)
    except OSError as error:
        raise Unavailable("storage", since=clock.now(), why=f"{error.filename or path}: {error.strerror or error}") from error
    try:
        if place.address is None:
            yield lock
            return
        async with _session(place.address, clock, runtime, writes="log"), _session(place.address, clock, runtime, writes="archive"):
            yield lock
    finally:
        if lock is not None:
            lock.release()


async def settle(made: Place, *, runtime: Runtime) -> None:
    """Leave each file of what was made whole in itself, so that it can be renamed. To be called before anything is set aside."""
    if made.address is None:
        for name in (ARCHIVE_FILE, LOG_FILE):
            await runtime.in_thread(sql.make_single, made.files / name)


async def put_in_place(made: Place, place: Place, *, head: Head, lock: LockFile | None, clock: Clock, runtime: Runtime) -> None:
    """Give what was made and settled the name of `place`, where nothing stands (any more). To be called while `place` is owned."""
    if place.address is None:
        _put_files(made.files, place.files)
    elif made.address is not None:
        from core.store.postgres import schema

        source, target = made.address, place.address
        async with _session(source, clock, runtime, writes="incoming") as session:
            await session.write(lambda connection: schema.replace_empty(connection, source, target))
    if lock is not None:
        lock.note(head)


async def set_aside(place: Place, suffix: str, *, clock: Clock, runtime: Runtime) -> Place:
    """Rename what stands at a place, so that no desk opens it by mistake; returns where it is now. To be called while it is owned."""
    if place.address is None:
        return _files_aside(place.files, place.files / suffix)
    from core.store.postgres import schema

    address, aside = place.address, place.address.beside(suffix)
    async with _session(address, clock, runtime, writes="aside") as session:
        await session.write(lambda connection: schema.rename(connection, address, aside))
    return Place(home=None, address=aside)


def _files(home: Path) -> list[Path]:
    # The log last: while it is not there, no desk is.
    return [home / f"{name}{side}" for name in (ARCHIVE_FILE, LOG_FILE) for side in _SIDE_FILES]


def _files_aside(home: Path, folder: Path) -> Place:
    if folder.exists():
        raise UserError(f"{folder} exists already; nothing was changed.", "Try again in a second.")
    make_private_directory(folder)
    for path in _files(home):
        if path.exists():
            path.rename(folder / path.name)
    sync_directory(folder)
    sync_directory(home)
    return Place(home=folder)


def _put_files(made: Path, home: Path) -> None:
    for name in (ARCHIVE_FILE, LOG_FILE):
        for side in _SIDE_FILES[1:]:
            (home / f"{name}{side}").unlink(missing_ok=True)  # of another database: they would be taken for this one's
        (made / name).rename(home / name)
        sync_directory(home)


@contextlib.asynccontextmanager
async def _session(address: Address, clock: Clock, runtime: Runtime, writes: str | None = None) -> AsyncIterator[Session]:
    from core.store.postgres.session import Session

    session = await Session.open(address, clock=clock, runtime=runtime, writes=writes)
    try:
        yield session
    finally:
        await session.close()
