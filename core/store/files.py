"""Files and directories only their owner may touch, writes that survive a power cut, and the lock that names one owner."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path

from core.errors import LeaseHeld, UserError
from core.store.codec import GENESIS
from core.store.log import START, Head

_NOTE_BYTES = 128


class LockFile:
    """The right to write a database, held by an operating system lock that ends with the process, however it ends.

    The file also carries a note of the last event written. It is not synced for its own sake, so it may lag behind the log, but a
    log that is behind the note has lost events: a missing write-ahead file, a damaged one, or an older copy put in place.
    """

    def __init__(self, database: Path) -> None:
        """Take the lock; raise LeaseHeld where a living process has it."""
        self._database = database
        self._path = lock_path(database)
        self._fd = self._take()
        self.noted = _read_note(self._fd)
        self.note(self.noted or START)  # with the new owner's number

    def note(self, head: Head) -> None:
        """Remember how far the log goes."""
        with contextlib.suppress(OSError):  # the event itself is synced, and a note may lag behind
            os.pwrite(self._fd, f"{os.getpid():>10} {head.seq:>20} {head.hash:>64}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let another process have the database; safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _take(self) -> int:
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                pid = os.pread(fd, _NOTE_BYTES, 0)[:10].strip().decode("ascii", "replace")
                os.close(fd)
                who = f"another desk process (pid {pid})" if pid.isdigit() else "another desk process"
                raise LeaseHeld(f"{who}, which owns {self._database}") from error
            with contextlib.suppress(FileNotFoundError):
                if os.stat(self._path).st_ino == os.fstat(fd).st_ino:
                    return fd
            os.close(fd)  # somebody removed the file between opening and locking it: the lock would exclude nobody


def lock_path(database: Path) -> Path:
    """Return the lock file beside a database."""
    return database.with_name(database.name + ".lock")


def noted_head(database: Path) -> Head | None:
    """Return how far the log of `database` is known to go, without taking its lock; None where nothing readable is noted."""
    try:
        fd = os.open(lock_path(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _read_note(fd)
    finally:
        os.close(fd)


def make_private_directory(path: Path) -> None:
    """Make a directory for this user alone, parents included; refuse one that others may write into."""
    try:
        missing = [part for part in (path, *path.parents) if not part.exists()]
        for part in reversed(missing):
            part.mkdir(mode=0o700, exist_ok=True)
        if missing:
            sync_directory(missing[-1].parent)
    except OSError as error:
        raise UserError(f"{path} cannot be a data directory: {error.strerror}", "Name another place for the data.") from error
    if not path.is_dir():
        raise UserError(f"{path} is not a directory", "Name another place for the data.")
    refuse_access(path, by_others=0o022, what="may be changed by other users of this machine")


def refuse_access(path: Path, *, by_others: int, what: str) -> None:
    """Raise UserError where the mode bits `by_others` are set on `path`."""
    status = path.stat()
    if status.st_mode & by_others:
        wanted = "700" if stat.S_ISDIR(status.st_mode) else "600"
        raise UserError(f"{path} {what} (mode {stat.S_IMODE(status.st_mode):o})", f"Run: chmod {wanted} {path}")


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file's content so that after a power cut it is the old or the new, never a mixture; mode 0600."""
    draft = path.with_name(path.name + ".new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names created, renamed or removed in a directory survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read_note(fd: int) -> Head | None:
    words = os.pread(fd, _NOTE_BYTES, 0).decode("ascii", "replace").split()
    if len(words) != 3 or not words[1].isdigit() or len(words[2]) != len(GENESIS):
        return None  # a new file, or one that never reached the disk
    return Head(seq=int(words[1]), hash=words[2])
