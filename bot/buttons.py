"""Buttons: a random token stands for a stored call line, so an old button still answers after a restart.

Only the token's hash is stored. What a ticket's button may do is decided by the ticket's own state, never here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from core.domain.encoding import digest
from core.errors import Corrupt
from core.ports import Archive, Delete, Put
from core.reply import Reply
from core.runtime import Entropy

TOKEN_BITS = 128
LIFE = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button as a channel shows it. `number` is its place in the terminal."""

    number: int
    label: str
    style: str
    token: str
    line: str  # what it stands for; a channel shows the label alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a token stands for."""

    hash: str
    line: str
    person: str
    chats: tuple[str, ...]
    card_hash: str
    ticket_id: str
    expires_at: datetime
    once: bool
    used_at: str | None


class Buttons:
    """Issues and looks up buttons in the archive."""

    def __init__(self, archive: Archive, entropy: Entropy) -> None:
        self._archive = archive
        self._entropy = entropy

    async def issue(self, reply: Reply, *, person: str, chat: str, now: datetime, first: int = 1) -> tuple[Button, ...]:
        """A button for each action of a reply, stored before it is shown; numbered from `first`."""
        ticket = str(reply.data.get("ticket") or "")
        card = digest(reply.blocks) if ticket else ""
        buttons: list[Button] = []
        rows: list[Put] = []
        for number, action in enumerate(reply.actions, first):
            token = self._entropy.token(TOKEN_BITS)
            buttons.append(Button(number=number, label=action.label, style=action.style, token=token, line=action.line))
            rows.append(Put(table="buttons", row={
                "hash": hash_of(token), "line": action.line, "person": person, "chats": chat, "card_hash": card, "ticket_id": ticket,
                "expires_at": (now + LIFE).isoformat(), "once": int(action.once), "used_at": None,
            }))
        if rows:
            await self._archive.write(rows)
        return tuple(buttons)

    async def find(self, token: str) -> Stored | None:
        """What a token stands for, None where it was never issued."""
        rows = await self._archive.select("buttons", where={"hash": hash_of(token)})
        return _stored(rows[0]) if rows else None

    async def renew(self, hashed: str, *, now: datetime) -> str | None:
        """A new token for a button that is drawn again after a restart; None where it is unknown or too old.

        What may still be pressed once, and has no ticket whose state says whether it was, moves to the new token: the old one is gone.
        """
        rows = await self._archive.select("buttons", where={"hash": hashed})
        if not rows or now > _stored(rows[0]).expires_at:
            return None
        token, stored = self._entropy.token(TOKEN_BITS), _stored(rows[0])
        moved = [Delete(table="buttons", where={"hash": hashed})] if stored.once and stored.used_at is None and not stored.ticket_id else []
        await self._archive.write([Put(table="buttons", row={**rows[0], "hash": hash_of(token)}), *moved])
        return token

    async def mark_used(self, stored: Stored, *, now: datetime) -> None:
        """Note the first press of a once-button."""
        rows = await self._archive.select("buttons", where={"hash": stored.hash})
        await self._archive.write([Put(table="buttons", row={**row, "used_at": now.isoformat()}) for row in rows])


def _stored(row: Mapping[str, Any]) -> Stored:
    texts = ("hash", "line", "person", "chats", "expires_at")
    try:
        expires_at = datetime.fromisoformat(str(row["expires_at"]))
    except ValueError:
        expires_at = None
    if expires_at is None or expires_at.tzinfo is None or not all(isinstance(row[name], str) for name in texts):
        raise Corrupt("that button's record is damaged")
    return Stored(
        hash=row["hash"], line=row["line"], person=row["person"], chats=tuple(row["chats"].split()), card_hash=row["card_hash"] or "",
        ticket_id=row["ticket_id"] or "", expires_at=expires_at, once=bool(row["once"]), used_at=row["used_at"],
    )


def hash_of(token: str) -> str:
    """What is stored of a token."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()  # a press may bring anything, half a character too
