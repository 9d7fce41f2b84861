"""Who the desk answers to in a chat: people with a role, each known by what the chat itself vouches for (a number, never a name).

The owner sits at the machine and invites: a code, good once and for a while, makes whoever sends it that person. Nobody else is let in,
and five wrong codes shut the door on one identity for a quarter of an hour (twenty on everybody who is unknown).

Worked example: the owner's `pair name=anna role=trader` gives `K7QF-2M9X`; the Telegram account 4711 that sends `/start K7QF-2M9X` is
`telegram:4711` from then on, the person `anna`, a trader. `pair remove=anna` ends it, open cards and all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from core.command import Role
from core.errors import Corrupt, UserError
from core.ports import Archive, Delete, Put
from core.runtime import Runtime

OWNER = "owner"  # the person at the machine, wherever else that one is known
INVITE_LIFE = timedelta(hours=24)
TRIES, TRIES_IN_ALL = 5, 20
LOCKED_SECONDS = 15 * 60.0
REMEMBERED = 500  # identities whose wrong codes are counted
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_CHARACTERS = 10  # of 5 bits each


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One way in: `identity` is what the chat vouches for, `person` who that is."""

    identity: str
    person: str
    role: Role
    name: str
    at: str
    by: str


@dataclass(slots=True)
class _Guesses:
    wrong: int = 0
    until: float = 0.0


class People:
    """Everybody who is known, in memory and in the archive; `load` reads it once, changes are stored before they hold."""

    def __init__(self, archive: Archive, runtime: Runtime) -> None:
        self._archive = archive
        self._runtime = runtime
        self._known: dict[str, Known] = {}
        self._loaded = False
        self._guesses: OrderedDict[str, _Guesses] = OrderedDict()
        self._strangers = _Guesses()
        self._changing = runtime.lock()

    async def load(self) -> None:
        """Read who is known, once; raise Corrupt where a row names no role."""
        if self._loaded:
            return
        rows = await self._archive.select("people")
        self._known = {found.identity: found for found in map(_known, rows)}
        self._loaded = True

    @property
    def everybody(self) -> tuple[Known, ...]:
        """Every identity, the oldest first."""
        return tuple(sorted(self._known.values(), key=lambda one: (one.at, one.identity)))

    def who(self, identity: str) -> Known | None:
        """The person behind an identity, None for a stranger."""
        return self._known.get(identity)

    def identities(self, transport: str, role: Role | None = None) -> tuple[Known, ...]:
        """Who is known over one transport (`telegram`), of one role where it is given."""
        return tuple(one for one in self.everybody if one.identity.startswith(f"{transport}:") and role in (None, one.role))

    async def invite(self, person: str, role: Role, *, by: str, now: datetime) -> str:
        """A code that makes whoever sends it this person; an older code for the same person is void. Raises UserError for a taken name."""
        if (person == OWNER) != (role is Role.OWNER):
            raise UserError("There is one owner, called owner.", "Further people are traders or viewers.")
        await self.load()
        other = next((one for one in self._known.values() if one.person == person and one.role is not role), None)
        if other is not None:
            raise UserError(f"{person} is a {other.role.value} already.", f"`pair remove={person}` first, then invite anew.")
        code = self._code()
        row = {"hash": _hash(code), "person": person, "role": role.value, "by": by, "expires_at": (now + INVITE_LIFE).isoformat()}
        await self._archive.write([Delete(table="invites", where={"person": person}), Put(table="invites", row=row)])
        return f"{code[:5]}-{code[5:]}"

    async def join(self, identity: str, code: str, *, name: str, now: datetime) -> Known | None:
        """Make the identity the person a code was given for; None where the code is wrong, used, too old, or too many were wrong."""
        async with self._changing:
            await self.load()
            mine = self._guessed(identity)
            if any(one.until > self._runtime.seconds() for one in (mine, self._strangers)):
                return None
            rows = await self._archive.select("invites", where={"hash": _hash(_plain(code))})
            if not rows or datetime.fromisoformat(str(rows[0]["expires_at"])) < now:
                self._count(mine, TRIES)
                self._count(self._strangers, TRIES_IN_ALL)
                return None
            made = _known({**rows[0], "identity": identity, "name": name[:64], "at": now.isoformat()})
            put = Put(table="people", row={
                "identity": made.identity, "person": made.person, "role": made.role.value, "name": made.name, "at": made.at, "by": made.by,
            })
            await self._archive.write([put, Delete(table="invites", where={"hash": rows[0]["hash"]})])
            self._known[identity] = made
            return made

    async def remove(self, person: str) -> tuple[Known, ...]:
        """Forget every identity of a person and any code still open for them; what they had open answers them no more."""
        async with self._changing:
            await self.load()
            gone = tuple(one for one in self.everybody if one.person == person)
            await self._archive.write([Delete(table="people", where={"person": person}), Delete(table="invites", where={"person": person})])
            for one in gone:
                del self._known[one.identity]
            return gone

    async def waiting(self, *, now: datetime) -> tuple[str, ...]:
        """People for whom a code is still open."""
        rows = await self._archive.select("invites")
        return tuple(str(row["person"]) for row in rows if datetime.fromisoformat(str(row["expires_at"])) >= now)

    def _code(self) -> str:
        number = int.from_bytes(sha256(self._runtime.entropy.token().encode()).digest()[:8], "big")
        return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(_CODE_CHARACTERS))

    def _guessed(self, identity: str) -> _Guesses:
        found = self._guesses.setdefault(identity, _Guesses())
        self._guesses.move_to_end(identity)
        while len(self._guesses) > REMEMBERED:
            self._guesses.popitem(last=False)
        return found

    def _count(self, guesses: _Guesses, most: int) -> None:
        guesses.wrong += 1
        if guesses.wrong >= most:
            guesses.wrong, guesses.until = 0, self._runtime.seconds() + LOCKED_SECONDS


def _known(row: Mapping[str, object]) -> Known:
    try:
        role = Role(str(row["role"]))
    except ValueError as error:
        raise Corrupt(f"the table people names the role {row['role']!r}, which there is not; restore a backup") from error
    texts = {key: str(row[key] or "") for key in ("identity", "person", "name", "at", "by")}
    return Known(role=role, **texts)


def _plain(code: str) -> str:
    """A code as it was made, however it was typed: letters that look like digits are those digits."""
    return code.upper().replace("-", "").replace(" ", "").translate(str.maketrans("OIL", "011"))


def _hash(code: str) -> str:
    return sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
