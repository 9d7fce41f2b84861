"""Which bot, at which server, in which group. The token comes from the environment or a private file and is never shown."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.config import TelegramChats
from core.errors import UserError

TOKEN, TOKEN_FILE, FILE_NAME = "TELEGRAM_TOKEN", "TELEGRAM_TOKEN_FILE", "telegram-token"
_FORM = re.compile(r"[0-9]{5,20}:[A-Za-z0-9_-]{20,100}")
LONGEST_FILE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the channel talks."""

    token: str = field(repr=False)
    base_url: str
    group: int | None = None
    topic: int | None = None


def find_place(chats: TelegramChats, home: Path, environment: Mapping[str, str]) -> Place | None:
    """The configured bot, None where no token is given. Raises UserError for one that cannot be used, without repeating it."""
    given = environment.get(TOKEN, "").strip()
    where = TOKEN
    if not given:
        named = environment.get(TOKEN_FILE, "").strip()
        path = Path(named) if named else home / FILE_NAME
        if not named and not path.exists():
            return None
        given, where = _read(path), str(path)
    if not _FORM.fullmatch(given):
        raise UserError(f"What {where} holds is no Telegram bot token.", "It looks like 123456789:AAF..., as @BotFather gives it.")
    return Place(token=given, base_url=chats.base_url, group=chats.group, topic=chats.topic)


def _read(path: Path) -> str:
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UserError(f"Others may read {path}, which holds a token.", f"`chmod 600 {path}` makes it yours alone.")
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST_FILE).strip()
    except OSError as error:
        raise UserError(f"The token file {path} cannot be read: {error.strerror}.") from error
