"""How the starts of a home ended, so that a desk which dies over and over is noticed: slowed down, and at last halted.

A small file holds a line for each start and each end. A start that neither lived a minute nor ended in good order died young. Order alone
counts, not the clock; a start that lived, or a good end, wipes out the deaths before it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from core.store.files import write_durably

FILE_NAME = "starts"
YOUNG_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 15.0
_KEPT_LINES = 200
_START, _REFUSED, _LIVED, _ENDED = "start", "refused", "lived", "ended"


class Starts:
    """The starts of one home. Only the process that owns the log writes them."""

    def __init__(self, directory: Path, *, pid: int) -> None:
        self._path = directory / FILE_NAME
        self._pid = pid

    def begin(self, at: datetime) -> int:
        """Write down that this process starts; returns how many starts in a row died young before it."""
        lines = _read(self._path)
        if len(lines) > _KEPT_LINES:
            lines = lines[-_KEPT_LINES // 2 :]
            with contextlib.suppress(OSError):
                write_durably(self._path, "".join(f"{line}\n" for line in lines).encode("ascii", "replace"))
        self._write(at, _START)
        return deaths(lines)

    def refused(self, at: datetime) -> None:
        """This process could not start and said why: neither a death nor a sign of health."""
        self._write(at, _REFUSED)

    def lived(self, at: datetime) -> None:
        """This process has lived long enough not to be part of a crash loop."""
        self._write(at, _LIVED)

    def ended(self, at: datetime) -> None:
        """This process ends in good order."""
        self._write(at, _ENDED)

    def _write(self, at: datetime, what: str) -> None:
        with contextlib.suppress(OSError):  # a full disk has its own alarm, and must not keep a desk from starting or ending
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.write(fd, f"{at.isoformat(timespec='seconds')} {self._pid} {what}\n".encode("ascii"))
            finally:
                os.close(fd)


def deaths_of(directory: Path) -> int:
    """How many of a home's last starts died young in a row; one that still runs counts until it has lived."""
    return deaths(_read(directory / FILE_NAME))


def deaths(lines: Sequence[str]) -> int:
    """How many starts at the end of these lines neither lived nor ended well. Lines that cannot be read are passed over."""
    young: list[str] = []
    for line in lines:
        words = line.split()
        if len(words) != 3:
            continue
        _, pid, what = words
        if what == _START:
            young.append(pid)
        elif what == _REFUSED and pid in young:
            young.remove(pid)
        elif what in (_LIVED, _ENDED) and pid in young:
            young.clear()
    return len(young)


def wait_seconds(died: int, *, limit: int) -> float:
    """How long a start waits before it connects: nothing at first, then twice as long after each death, up to a quarter of a minute."""
    over = died - max(2, limit // 2)
    return 0.0 if over < 0 else min(LONGEST_WAIT_SECONDS, 2.0 ** min(over, 10))


def _read(path: Path) -> list[str]:
    try:
        return path.read_text("ascii", "replace").splitlines()
    except OSError:
        return []
