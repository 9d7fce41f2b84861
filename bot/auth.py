"""Who is talking: a person (never a chat) with a role, and the PIN that a loosening change asks for."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.command import Role
from core.people import People

TRIES = 5
LOCKED_SECONDS = 15 * 60.0
PIN_FORM = re.compile(r"[0-9]{4,12}")
_COST = {"n": 2**14, "r": 8, "p": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody the desk answers to."""

    id: str
    role: Role


def local_owner() -> Person:
    """Whoever sits at this machine's terminal under the desk's own user account is its owner."""
    return Person(id="owner", role=Role.OWNER)


def person_of(people: People, identity: str) -> Person | None:
    """Who a chat's own identity stands for, None for a stranger. Asked for each message and press, so a removal holds at once."""
    known = people.who(identity)
    return None if known is None else Person(id=known.person, role=known.role)


class Ticks(Protocol):
    """What the PIN needs of the runtime: the process's seconds and a source of secrets."""

    def seconds(self) -> float: ...


class Pins:
    """The owner's PIN, kept as a salted scrypt hash; five wrong tries lock it for a quarter of an hour. HALT never needs it."""

    def __init__(self, stored: bytes, ticks: Ticks) -> None:
        self._stored = stored
        self._ticks = ticks
        self._wrong = 0
        self._locked_until = 0.0

    def check(self, typed: str) -> str | None:
        """None where the PIN is right, else the sentence that says no."""
        left = self._locked_until - self._ticks.seconds()
        if self._wrong >= TRIES and left > 0:
            return f"The PIN is locked for another {_minutes(left)} after {TRIES} wrong tries. `halt` and `kill` work as always."
        if self._wrong >= TRIES:
            self._wrong = 0
        if _matches(typed, self._stored):
            self._wrong = 0
            return None
        self._wrong += 1
        if self._wrong < TRIES:
            return f"That is not the PIN; nothing was changed ({_tries(TRIES - self._wrong)} left)."
        self._locked_until = self._ticks.seconds() + LOCKED_SECONDS
        return f"That is not the PIN; it is locked now for {_minutes(LOCKED_SECONDS)}. `halt` and `kill` work as always."


def open_pins(home: Path, ticks: Ticks, *, make: str, salt: str, given: str | None = None) -> tuple[Pins, str | None]:
    """The PIN of a home directory, and the PIN itself where it was made just now (to be shown once).

    `given` (the environment's DESK_PIN) is used as it is and not stored. Without one, the file `pin` (0600) holds the hash; where there is
    none yet, `make` becomes the PIN, hashed with the random `salt`. Raises ValueError where `given` is no PIN.
    """
    if given:
        if not PIN_FORM.fullmatch(given):
            raise ValueError("DESK_PIN must be 4 to 12 digits")
        return Pins(_hashed(given, salt.encode()), ticks), None
    path = home / "pin"
    try:
        return Pins(path.read_bytes(), ticks), None
    except FileNotFoundError:
        stored = _hashed(make, salt.encode())
        _write_private(path, stored)
        return Pins(stored, ticks), make


def pin_from(token: str) -> str:
    """Six digits from a random token."""
    return f"{int.from_bytes(hashlib.sha256(token.encode()).digest()[:8], 'big') % 10**6:06d}"


def _hashed(pin: str, salt: bytes) -> bytes:
    digest = hashlib.scrypt(pin.encode(), salt=salt, n=_COST["n"], r=_COST["r"], p=_COST["p"])
    return json.dumps({"salt": salt.hex(), "hash": digest.hex()}).encode()


def _matches(typed: str, stored: bytes) -> bool:
    try:
        kept = json.loads(stored)
        again = json.loads(_hashed(typed, bytes.fromhex(kept["salt"])))
        return hmac.compare_digest(again["hash"], kept["hash"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return False  # a damaged file lets nobody through; removing it makes a new PIN at the next start


def _write_private(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} minutes" if seconds >= 90 else "a minute"


def _tries(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"
