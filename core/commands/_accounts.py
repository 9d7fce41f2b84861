"""Which accounts a call means, what an account of each kind may do, and the default one, kept in the archive through a restart."""

from __future__ import annotations

from core.command import Call
from core.desk import Desk
from core.domain.accounts import Account, AccountId, AccountKind, Charter
from core.errors import DeskError, UserError
from core.ports import Put

KEY = "default_account"
ALL = "all"  # account=all: every account together
TOGETHER = "all accounts"
MAY: dict[AccountKind, tuple[str, str]] = {  # what a kind may do and what it refuses, as the margin engine judges it
    AccountKind.CASH: ("long options, shares, covered calls, puts secured by cash", "naked calls, uncovered legs, short shares, spreads"),
    AccountKind.IRA: ("long options, shares, covered calls, puts secured by cash, spreads", "naked calls, uncovered legs, short shares"),
    AccountKind.REG_T: ("everything, naked and uncovered shorts on margin too", "any short under 2,000 USD of equity"),
    AccountKind.PORTFOLIO_MARGIN: ("everything, naked and uncovered shorts on margin too", "any short under 2,000 USD of equity"),
}


def accounts_of(desk: Desk, call: Call) -> tuple[Account, ...]:
    """The account a call means, or with account=all every one."""
    named = call.args.get("account")
    return desk.accounts if named == ALL else (desk.account(call.caller, named),)


def charter_words(charter: Charter, refused: str) -> list[str]:
    """What a charter refuses besides what its kind of account does."""
    return [
        *(["everything but long positions"] if charter.long_only else []), *(["undefined risk"] if charter.defined_risk_only else []),
        *(["short shares"] if charter.no_shares_short and "short shares" not in refused else []),
        *([f"symbols other than {', '.join(sorted(charter.symbols))}"] if charter.symbols is not None else []),
    ]


def connected(account: Account) -> Account:
    """An account that orders can be sent for; raise UserError for the one of trades done elsewhere."""
    if account.id.outside:
        raise UserError(f"No order of this desk is ever sent for {account.name}: there is nothing to do there.", "Name another account.")
    return account


def words_of_accounts(accounts: tuple[Account, ...]) -> str:
    """Which accounts an answer is about, for its title."""
    return accounts[0].name if len(accounts) == 1 else TOGETHER


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
