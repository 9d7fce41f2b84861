"""Every port that is fed, by name."""

from __future__ import annotations

from tests.fuzz import accounts, chats, doors, figures, judges, markets, stores, words
from tests.fuzz.harness import Port

GROUPS = (words, chats, figures, stores, accounts, markets, judges, doors)
PORTS: dict[str, Port] = {port.name: port for group in GROUPS for port in group.PORTS}
