"""Every way the desk says no: what went wrong, in a type that tells the caller what may be done about it.

`UserError` is told to the person, `Unavailable` blocks at the gate, and anything that is not a `DeskError` is a bug.
"""

from __future__ import annotations

from datetime import datetime


class DeskError(Exception):
    """The base of every error the desk raises on purpose."""


class UserError(DeskError):
    """Something the person asked for that cannot be done; `str()` is the sentence to show, next step included."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{_sentence(self.message)} {self.next_step}" if self.next_step else self.message


class Unavailable(DeskError):
    """A fact nobody can supply now: what (or who), since when, and why. Never replaced by 0; the gate reads it as block."""

    def __init__(self, what: str, since: datetime | None = None, why: str = "") -> None:
        super().__init__(what, since, why)
        self.what = what
        self.since = since
        self.why = why

    def __str__(self) -> str:
        since = f" since {self.since.isoformat(sep=' ', timespec='seconds')}" if self.since else ""
        why = f": {self.why}" if self.why else ""
        return f"{self.what} is not available{since}{why}"


class Conflict(DeskError):
    """The log moved on between reading and appending; nothing was written. Read again and decide again."""

    def __init__(self, message: str = "", *, expected_seq: int | None = None, actual_seq: int | None = None) -> None:
        super().__init__(message, expected_seq, actual_seq)
        self.message = message
        self.expected_seq = expected_seq
        self.actual_seq = actual_seq

    def __str__(self) -> str:
        said = self.message or "the log has moved on, nothing was written"
        if self.expected_seq is None and self.actual_seq is None:
            return said
        return f"{said} (expected seq {_known(self.expected_seq)}, found {_known(self.actual_seq)})"


class Corrupt(DeskError):
    """Stored bytes are not what was written: what, and where it was read."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(what, where)
        self.what = what
        self.where = where

    def __str__(self) -> str:
        return f"{self.what} (at {self.where})" if self.where else self.what


class NewerSchema(DeskError):
    """The database, or one event in it, was written by a later version of the desk; this one will not touch it."""

    def __init__(self, what: str, found: int | None = None, supported: int | None = None) -> None:
        super().__init__(what, found, supported)
        self.what = what
        self.found = found
        self.supported = supported

    def __str__(self) -> str:
        versions = ""
        if self.found is not None or self.supported is not None:
            versions = f" (version {_known(self.found)}, this desk reads up to {_known(self.supported)})"
        return f"{self.what} was written by a newer desk{versions}; start that version, nothing was changed"


class LeaseLost(DeskError):
    """This process no longer owns the database: another holds the lease, so nothing may be written or sent."""

    def __init__(self, message: str = "this desk no longer owns the database; another process has taken the lease") -> None:
        super().__init__(message)


class LeaseHeld(DeskError):
    """Another process owns the database; `owner` says which."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner

    def __str__(self) -> str:
        return f"the database is in use by {self.owner}"


class BrokerRejected(DeskError):
    """The broker said no, and so the order does not exist there."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"the broker rejected it: {self.message} (code {self.code})"


class RateLimited(BrokerRejected):
    """The broker turned a request away for coming too fast, and did nothing; it says after how many seconds it will listen again."""

    def __init__(self, retry_after_seconds: float, message: str = "too many requests") -> None:
        super().__init__("429", message)
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"the broker turned it away: {self.message}; it listens again in {self.retry_after_seconds:.0f} seconds"


class LoginNeeded(Unavailable):
    """The other side does not let the desk in any more: keys expired, a new login or second factor is due, a permission was taken away.

    A request answered so was not acted on. Only a person can end it; until then the desk reads what it can and sends nothing there.
    """

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, None, why)

    def __str__(self) -> str:
        return f"{self.what} does not let the desk in: {self.why}"


class BrokerTimeout(DeskError):
    """The broker did not answer in time. The outcome is unknown: never retried under a new id, left to reconciliation."""

    def __init__(self, message: str = "the broker did not answer in time; whether it acted is unknown") -> None:
        super().__init__(message)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":", ";")) else f"{text}."


def _known(number: int | None) -> str:
    return "unknown" if number is None else str(number)
