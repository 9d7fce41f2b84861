"""The default account: kept in the archive, so that it survives a restart."""

from __future__ import annotations

from core.desk import Desk
from core.domain.accounts import AccountId
from core.errors import DeskError
from core.ports import Put

KEY = "default_account"


async def load_default(desk: Desk) -> None:
    """Take up the default account that was chosen earlier, if it is still configured."""
    rows = await desk.archive.select("settings_meta", where={"key": KEY})
    known = {str(account.id): account.id for account in desk.config.accounts}
    if rows:
        desk.default_account = known.get(str(rows[0]["value"]))


async def keep_default(desk: Desk, account: AccountId) -> None:
    """Make an account the default, now and after a restart."""
    if account not in desk.books.accounts:
        raise DeskError(f"{account} is not open")
    await desk.archive.write([Put(table="settings_meta", row={"key": KEY, "value": str(account), "at": desk.now().isoformat()})])
    desk.default_account = account
