"""Structured records of what the desk decided and did, for operators and for whoever asks afterwards why.

One record is one line of JSON: time, level, event, the ids it concerns, and what it was decided on. The records are no part of the
state: the event log alone is believed. A record that cannot be written is counted, and nothing waits or fails for it. Texts pass the
redaction first; a trace goes to the file and nowhere else.
"""

from __future__ import annotations

import json
import logging
import math
import os
import stat
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.redaction import Redaction

FILE_NAME = "desk.log"
FILE_BYTES = 5_000_000
OLD_FILES = 4  # desk.log.1 (newest) to desk.log.4
TEXT_CHARACTERS = 4_000
TRACE_CHARACTERS = 16_000
LINE_BYTES = 64_000
MOST_ITEMS = 200
KEPT = 500  # records in memory
MOST_PLACES = 100  # of an amount written in full; a few letters may stand for a million zeros
_STRICT = frozenset({"error", "trace", "where", "message"})  # texts of errors: also a secret of digits is struck out of these
_ABOUT: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))


class Level(StrEnum):
    """How much a record matters. Debug is routine: a short-lived process writes it last."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@contextmanager
def about(**ids: str) -> Iterator[None]:
    """Put these ids (call, person, error_id ...) into every record made meanwhile, also by tasks started meanwhile."""
    token = _ABOUT.set({**_ABOUT.get(), **ids})
    try:
        yield
    finally:
        _ABOUT.reset(token)


class Logs:
    """The newest records, in memory: what tests, the simulation and a backtest have. `FileLogs` also writes them down."""

    def __init__(self, redaction: Redaction | None = None) -> None:
        self.redaction = redaction or Redaction()
        self.lost = 0  # records that could not be written
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._calls = 0

    def write(self, level: Level, event: str, /, **fields: object) -> None:
        """Make a record. Raises nothing: whoever reports must never fail because of it.

        `facts` may be a function that gives more fields; it is called when the record is written or read.
        """
        self._kept.append({"level": level.value, "event": event, **_ABOUT.get(), **fields})

    def failed(self, name: str, error: BaseException, /, **fields: object) -> None:
        """Record an error with its trace; fits `Runtime.on_failure`."""
        identity = _ABOUT.get().get("error_id", "")
        where = name.removeprefix(identity).strip() or name
        self.write(Level.ERROR, "failed", where=where, kind=type(error).__name__, error=_said(error), trace=_trace(error), **fields)

    def call_id(self) -> str:
        """A number for a call that came without an id of its own."""
        self._calls += 1
        return f"c{self._calls}"

    def records(self) -> list[dict[str, Any]]:
        """The newest records as they would be written, oldest first."""
        return [plain_record(record, self.redaction) for record in self._kept]

    def close(self) -> None:
        """Write what was held back. Safe to call twice; a record made later is still written."""


class FileLogs(Logs):
    """Records as lines of JSON in a file of bounded size that only its owner can read.

    `now` is the machine's time, whatever day the desk believes it is. With `patient`, for a process that does one thing and ends,
    routine records wait for the next one that matters, or for `close`.
    """

    def __init__(self, directory: Path, redaction: Redaction, *, now: Callable[[], datetime], patient: bool = False) -> None:
        super().__init__(redaction)
        self._file = RotatingFile(directory / FILE_NAME)
        self._now = now
        self._patient = patient
        self._waiting: list[dict[str, Any]] = []
        self._logger: Any = None
        self._why_lost = ""

    def write(self, level: Level, event: str, /, **fields: object) -> None:
        self._waiting.append({"time": self._now().isoformat(), "level": level.value, "event": event, **_ABOUT.get(), **fields})
        if not self._patient or level is not Level.DEBUG or len(self._waiting) >= KEPT:
            self.close()

    def records(self) -> list[dict[str, Any]]:
        """The records not written yet."""
        return [plain_record(record, self.redaction) for record in self._waiting]

    def close(self) -> None:
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            try:
                if self.lost:
                    self._put({"time": record["time"], "level": "error", "event": "records lost", "lost": self.lost, "why": self._why_lost})
                    self.lost = 0
                self._put(record)
            except Exception as error:  # noqa: BLE001 - counted and told with the next record; the order path must not fail for its log
                self.lost += 1
                self._why_lost = f"{type(error).__name__}: {_said(error)}"

    def _put(self, record: Mapping[str, Any]) -> None:
        if self._patient:
            self._file.info(_as_line(None, "info", self._redacted(None, "info", record)))  # the same steps, without loading structlog
            return
        if self._logger is None:
            self._logger = self._open()
        self._logger.info(record["event"], **{key: value for key, value in record.items() if key != "event"})

    def _open(self) -> Any:
        import structlog  # on the first line written: a command that only answers should not wait for it

        every_level = structlog.make_filtering_bound_logger(logging.DEBUG)
        steps: list[Any] = [self._redacted, _as_line]
        return structlog.wrap_logger(self._file, processors=steps, wrapper_class=every_level, context_class=dict).bind()

    def _redacted(self, logger: object, method: str, record: Mapping[str, Any]) -> dict[str, Any]:
        first = {key: record[key] for key in ("time", "level", "event")}
        return plain_record({**first, **record}, self.redaction)


class RotatingFile:
    """Appends lines to a file of mode 0600; a full one is renamed and the oldest removed. Another process may do the same."""

    def __init__(self, path: Path, *, most_bytes: int = FILE_BYTES, old_files: int = OLD_FILES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._old_files = old_files
        self._fd = -1

    def info(self, line: str) -> None:
        """Append a line, whole or not at all as far as other writers can see."""
        content = line.encode("utf-8", "backslashreplace") + b"\n"
        self._ready(len(content))
        os.write(self._fd, content)

    def _ready(self, wanted_bytes: int) -> None:
        status = self._status()
        if status is not None and status.st_size and status.st_size + wanted_bytes > self._most_bytes:
            self._rotate()
            status = None
        if status is None:
            self._close()
            # Without waiting: of a pipe by that name, which nobody reads, a record is lost and the desk goes on.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._fd = os.open(self._path, flags, 0o600)
            if stat.S_IMODE(os.fstat(self._fd).st_mode) != 0o600:
                os.fchmod(self._fd, 0o600)

    def _status(self) -> os.stat_result | None:
        """The open file's state, None where none is open or somebody renamed or removed it."""
        if self._fd < 0:
            return None
        try:
            named = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return named if named.st_ino == os.fstat(self._fd).st_ino else None

    def _rotate(self) -> None:
        self._close()
        for number in range(self._old_files, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path if number == 1 else self._path.with_name(f"{self._path.name}.{number - 1}")
            if newer.exists():
                os.replace(newer, older)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def plain_record(record: Mapping[str, Any], redaction: Redaction) -> dict[str, Any]:
    """A record as JSON can hold it: secrets struck out, then long texts cut, amounts as text."""
    facts = record.get("facts")
    known = {**record, **facts()} if callable(facts) else record
    return {
        key: _plain(value, redaction, strict=key in _STRICT, cut=TRACE_CHARACTERS if key == "trace" else TEXT_CHARACTERS)
        for key, value in known.items()
        if not callable(value)
    }


def capture_libraries(logs: Logs) -> None:
    """Send the warnings of libraries (which know tokens and addresses, and would print) to the records instead of the terminal."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Library)]
    root.addHandler(_Library(logs))
    logging.captureWarnings(False)  # whoever set the warnings' door since, it is taken again
    logging.captureWarnings(True)


class _Library(logging.Handler):
    """Turns a library's log record into one of ours."""

    def __init__(self, logs: Logs) -> None:
        super().__init__(logging.WARNING)
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        level = Level.ERROR if record.levelno >= logging.ERROR else Level.WARNING
        try:
            message = record.getMessage()
        except (TypeError, ValueError) as error:  # a library's own mistake in its message
            message = f"{record.msg} ({error})"
        trace = {"trace": _trace(record.exc_info[1])} if record.exc_info and record.exc_info[1] is not None else {}
        self._logs.write(level, "library", library=record.name, message=message, **trace)


def _as_line(logger: object, method: str, record: Mapping[str, Any]) -> str:
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    if len(line.encode("utf-8", "backslashreplace")) <= LINE_BYTES:
        return line
    short = {key: value for key, value in record.items() if not isinstance(value, str | list | dict) or len(json.dumps(value)) <= 500}
    return json.dumps({**short, "cut": "this record was too long"}, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any, redaction: Redaction, *, strict: bool, cut: int) -> Any:
    if isinstance(value, str):
        text = redaction.redact(str(value), strict=strict)
        return text if len(text) <= cut else f"{text[: cut // 4]} ... {text[-cut * 3 // 4 :]}"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() and abs(value.adjusted()) <= MOST_PLACES else str(value)
    if isinstance(value, Mapping):
        pairs = list(value.items())[:MOST_ITEMS]
        return {str(key): _plain(item, redaction, strict=strict or key in _STRICT, cut=cut) for key, item in pairs}
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(item, redaction, strict=strict, cut=cut) for item in list(value)[:MOST_ITEMS]]
    return _plain(_said(value), redaction, strict=strict, cut=cut)


def _instant(at: datetime) -> str:
    try:
        return at.astimezone(UTC).isoformat() if at.tzinfo is not None else at.isoformat()
    except OverflowError:
        return at.isoformat()  # at the end of time another zone has no date


def _said(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a broken __str__ of a foreign object is itself worth saying
        return f"<{type(value).__name__} that cannot be written: {type(error).__name__}>"


def _trace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception as failure:  # noqa: BLE001 - as in _said: the record of the error matters more than its trace
        return f"<no trace: {type(failure).__name__}>"
