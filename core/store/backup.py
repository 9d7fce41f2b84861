"""Backups: a complete copy of log and tables in a directory of its own, read back before it is called one; and the way back.

A backup is the same whatever the desk runs on: two SQLite files and a sheet with what they must hold. It is made while the desk runs,
as of one instant of the log; the tables are copied just after, so the paper broker's books are never behind the orders the log tells of.

A restored log is behind the world. So it is fenced before it takes its place: every account's reconciliation is declared incomplete and
from the beginning, which keeps it in RECOVERY until its broker's complete books were compared; lease tokens go on far above every one
the lost log can have given. Order ids count the machine's time, so none of the lost ones comes again while that clock is right.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain.events import Draft, Reconciled
from core.errors import Corrupt, UserError
from core.fold import DeskFold, code_version
from core.store.archive import SqliteArchive
from core.store.codec import decode
from core.store.files import make_private_directory, sync_directory, write_durably
from core.store.log import Head
from core.store.move import BATCH, Contents, contents_of, copy, refuse_used
from core.store.place import (
    ARCHIVE_FILE,
    LOG_FILE,
    Place,
    incoming,
    is_used,
    open_log,
    owned,
    put_in_place,
    refuse_scratch,
    set_aside,
    settle,
)
from core.store.reader import open_read_only

if TYPE_CHECKING:
    from core.clock import Clock
    from core.runtime import Runtime

SHEET = "backup.json"
FORMAT = 1
TOKENS_AHEAD = 1_000_000
REPLACED = "replaced"
RESTORED = "restored from a backup: everything at the broker is compared before anything is sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup and what it holds."""

    folder: Path
    contents: Contents
    made_at: datetime
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did."""

    contents: Contents  # with the fence
    old: Place | None  # where what stood there is now


async def back_up(place: Place, folder: Path, *, clock: Clock, runtime: Runtime) -> Backup:
    """Copy a desk's log and tables, running or not, into a new directory and verify the copy.

    Raises UserError where the directory exists, Unavailable where there is nothing to copy or the disk refuses, Corrupt where the log
    is damaged: then there is no backup, and earlier ones stay as they are.
    """
    draft = _draft(folder)
    try:
        if place.address is None:
            await _copy_files(place.files, draft, clock=clock, runtime=runtime)
        else:
            await copy(place, Place(home=draft), clock=clock, runtime=runtime)
        await settle(Place(home=draft), runtime=runtime)
        for name in (LOG_FILE, ARCHIVE_FILE):
            (draft / f"{name}.lock").unlink(missing_ok=True)
        contents = await contents_of(Place(home=draft), clock=clock, runtime=runtime)
        made = Backup(folder=folder, contents=contents, made_at=clock.now(), code_version=code_version())
        write_durably(draft / SHEET, _sheet(made))
        draft.rename(folder)
        sync_directory(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return made


async def read_backup(folder: Path, *, clock: Clock, runtime: Runtime) -> Backup:
    """Verify a backup against its sheet; raise UserError where it is none, Corrupt where it is not what was written."""
    expected = _read_sheet(folder)
    found = await contents_of(Place(home=folder), clock=clock, runtime=runtime)
    if expected.code_version != code_version():  # another version folds to another shape; the chain says the same
        found = replace(found, state=expected.contents.state)
    if found != expected.contents:
        raise Corrupt(f"{folder} does not hold what its sheet says; use another backup")
    return expected


async def restore(folder: Path, place: Place, *, force: bool, clock: Clock, runtime: Runtime) -> Restored:
    """Put a backup in the place of a desk that is not running, fenced; `force` keeps what stands there under another name.

    The backup is verified first and what was made of it again; until that is done nothing at `place` changes.
    """
    if not force:
        next_step = "`--force` keeps it under another name and restores over it."
        await refuse_used(place, clock=clock, runtime=runtime, next_step=next_step)
    backup = await read_backup(folder, clock=clock, runtime=runtime)
    if clock.now() < backup.made_at:
        when = f"{backup.made_at:%d %b %Y %H:%M} UTC"
        raise UserError(f"This machine's clock is behind the backup, which was made {when}.", "Set it right first.")
    old = None
    async with owned(place, clock=clock, runtime=runtime) as lock, incoming(place, clock=clock, runtime=runtime) as made:
        above = backup.contents.token + TOKENS_AHEAD
        await copy(Place(home=folder), made, clock=clock, runtime=runtime, above_token=above)
        head = await _fence(made, clock=clock, runtime=runtime)
        contents = await contents_of(made, clock=clock, runtime=runtime)
        if contents.head != head or contents.tables != backup.contents.tables:
            raise Corrupt("what was restored does not read back the same; nothing was changed")
        await settle(made, runtime=runtime)
        if await is_used(place, clock=clock, runtime=runtime):
            old = await set_aside(place, f"{REPLACED}_{clock.now():%Y%m%d%H%M%S}", clock=clock, runtime=runtime)
        await put_in_place(made, place, head=head, lock=lock, clock=clock, runtime=runtime)
    return Restored(contents=contents, old=old)


def _draft(folder: Path) -> Path:
    """The empty directory in which a backup is made before it gets its name."""
    if folder.exists():
        raise UserError(f"{folder} exists already; a backup is never written over another.", "Name a new directory.")
    refuse_scratch(folder)
    draft = folder.with_name(folder.name + ".partial")
    try:
        if draft.exists():
            shutil.rmtree(draft)
    except OSError as error:
        raise UserError(f"{draft} is in the way ({error.strerror}).", "Remove it, or name another directory.") from error
    make_private_directory(draft)
    return draft


async def _copy_files(home: Path, to: Path, *, clock: Clock, runtime: Runtime) -> None:
    worker = runtime.worker(f"backup {runtime.entropy.nonce()}")
    log = await open_read_only(home / LOG_FILE, clock=clock, worker=worker)
    try:
        await log.backup(to / LOG_FILE)
    finally:
        await log.close()
    archive = await SqliteArchive.open_read_only(home / ARCHIVE_FILE, clock=clock, worker=worker)
    try:
        await archive.backup(to / ARCHIVE_FILE)
    finally:
        await archive.close()


async def _fence(made: Place, *, clock: Clock, runtime: Runtime) -> Head:
    """Declare every account unreconciled in the log itself, so that no later start can take it for reconciled."""
    log = await open_log(made, clock=clock, runtime=runtime)
    try:
        fold = DeskFold()
        head = await log.head()
        while fold.seq < head.seq:
            for row in await log.rows(after=fold.seq, limit=BATCH):
                fold.apply(decode(row))
        drafts = [
            Draft(
                body=Reconciled(account=account, epoch=last.epoch, complete=False, differences=(RESTORED,)),
                stream=str(account), at=fold.last_at or clock.now(), actor="restore",
            )
            for account in fold.books.accounts
            if (last := fold.reconciled(account)) is not None
        ]
        await log.append(drafts)
        return await log.head()
    finally:
        await log.close()


def _sheet(backup: Backup) -> bytes:
    plain = {
        "format": FORMAT, "made_at": backup.made_at.isoformat(), "code_version": backup.code_version, "contents": asdict(backup.contents),
    }
    return json.dumps(plain, indent=2).encode("ascii") + b"\n"


def _read_sheet(folder: Path) -> Backup:
    try:
        plain: dict[str, Any] = json.loads((folder / SHEET).read_bytes())
        if plain["format"] != FORMAT:
            raise UserError(f"{folder} has a form this desk does not know.", "Restore it with the version that made it.")
        contents = dict(plain["contents"])
        head = Head(**contents.pop("head"))
        made_at = datetime.fromisoformat(plain["made_at"])
        if made_at.tzinfo is None:
            raise ValueError("a time without its zone")
        return Backup(
            folder=folder, contents=Contents(head=head, **contents), made_at=made_at, code_version=str(plain["code_version"]),
        )
    except OSError as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        why = f"it has no {SHEET}" if gone else f"{SHEET} cannot be read ({error.strerror})"
        raise UserError(f"{folder} is not a backup: {why}.", "Name the directory that `backup` made.") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Corrupt(f"{folder / SHEET} cannot be read; use another backup") from error
