"""What was said last: a few turns of one person in one chat, kept in the archive so that "close half of it" survives a restart.

Each conversation has a ring of places, so that it never grows; what is older than half an hour is no context any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.errors import Unavailable
from core.ports import Archive, Put

TURNS = 8
LONGEST_TURN = 400  # characters kept of one turn
LIFE = timedelta(minutes=30)
TABLE = "conversations"


class Memory:
    """The last turns of one conversation."""

    def __init__(self, archive: Archive, *, person: str, chat: str) -> None:
        self._archive = archive
        self._person, self._chat = person, chat
        self._turns: list[tuple[datetime, str, str]] | None = None  # None until they were read
        self._next = 0

    async def turns(self, now: datetime) -> list[dict[str, str]]:
        """The turns that still count, oldest first, as the parser takes them. Raises Unavailable where they cannot be read."""
        known = await self._known()
        return [{"role": role, "text": text} for at, role, text in known if now - at <= LIFE]

    async def add(self, now: datetime, said: str, answered: str) -> None:
        """Keep what a person said and was told. Raises Unavailable where it cannot be written; it then holds until the restart."""
        known = await self._known()
        rows: list[Put] = []
        for role, text in (("user", said[:LONGEST_TURN]), ("bot", answered[:LONGEST_TURN])):
            known.append((now, role, text))
            rows.append(
                Put(
                    table=TABLE,
                    row={
                        "id": f"{self._person}|{self._chat}|{self._next % TURNS}",
                        "person": self._person,
                        "chat": self._chat,
                        "at": f"{now.isoformat()}#{self._next:09d}",
                        "role": role,
                        "text": text,
                        "call": "",
                    },
                )
            )
            self._next += 1
        del known[:-TURNS]
        await self._archive.write(rows)

    async def _known(self) -> list[tuple[datetime, str, str]]:
        if self._turns is None:
            rows = await self._archive.select(TABLE, where={"person": self._person, "chat": self._chat}, order_by="at")
            found = [(*_when(str(row["at"])), str(row["role"]), str(row["text"])) for row in rows]
            found.sort(key=lambda row: row[1])
            self._turns = [(at, role, text) for at, _, role, text in found]
            self._next = found[-1][1] + 1 if found else 0
        return self._turns


def _when(stored: str) -> tuple[datetime, int]:
    """The instant and the number of a stored turn."""
    at, _, number = stored.partition("#")
    try:
        return datetime.fromisoformat(at), int(number)
    except ValueError as error:
        raise Unavailable("the last turns of this conversation are damaged") from error
