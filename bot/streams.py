"""The process's own standard streams, whatever they were when it started."""

from __future__ import annotations

import io
import os
import sys


def open_streams() -> None:
    """Make the standard streams usable however the process was started.

    One that was closed leads nowhere: its number must not go to the database, which would then be written to by every answer. A
    character the terminal's encoding does not have becomes `?`.
    """
    for fd, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            _lead_nowhere(fd, flags)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def write_out(text: str) -> bool:
    """Write to standard output at once; False where it could not be written. A reader that went away is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _lead_nowhere(sys.stdout.fileno(), os.O_WRONLY)
        if isinstance(error, BrokenPipeError):
            return True
        sys.stderr.write(f"[x] The answer could not be written: {error.strerror}.\n")
        return False
    return True


def _lead_nowhere(fd: int, flags: int) -> None:
    nowhere = os.open(os.devnull, flags)
    if nowhere != fd:
        os.dup2(nowhere, fd)
        os.close(nowhere)
