"""Every port that is fed, by name."""

from __future__ import annotations

from tests.fuzz import accounts, chats, figures, markets, stores, words
from tests.fuzz.harness import Port

PORTS: dict[str, Port] = {port.name: port for group in (words, chats, figures, stores, accounts, markets) for port in group.PORTS}
