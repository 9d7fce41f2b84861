"""Whose news it is: where there are several accounts a sentence names its own, and so do the lines of its buttons. Pure.

Example: with accounts practice and pension, `2 x KO 18 Dec 26 62 put was exercised` becomes `pension: 2 x KO ...`, and its button
`close symbol=KO` becomes `close symbol=KO account=pension`: pressed as it was, it would look for KO in the default account.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from core.domain.accounts import Account

ADDRESSED = ("close", "open", "positions")  # commands that mean the default account where none is named


def whose(accounts: Collection[Account], stream: str) -> Account | None:
    """The account whose stream it is; None where there is but one, or it is the desk's."""
    return next((account for account in accounts if str(account.id) == stream), None) if len(accounts) > 1 else None


def named(text: str, account: Account | None) -> str:
    """A sentence that says whose it is, unless it did."""
    if account is None or re.search(rf"\b({re.escape(account.name)}|{re.escape(account.id.id)})\b", text):
        return text
    return f"{account.name}: {text}"


def addressed(line: str, account: Account | None) -> str:
    """A button's line that means this account and no other."""
    if account is None or " account=" in line or line.partition(" ")[0] not in ADDRESSED:
        return line
    return f"{line} account={account.name}"
