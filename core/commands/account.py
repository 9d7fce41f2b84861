"""The accounts there are, what each may do and what is left to trade with; with a name or id, make it the default for calls that name none.

Every command takes `account=NAME` for one call. `account books=yes` compares with the broker's books now and shows what differs;
`account resolve=ID` draws the card that books one difference on the broker's word.
"""

from __future__ import annotations

from decimal import Decimal

from core.command import Call, Command, Kind, Parameter
from core.commands._accounts import MAY as MAY_BY_KIND
from core.commands._accounts import charter_words, keep_default
from core.commands._books import PARAMETERS, access_of, resolve, show
from core.commands._trades import day_result
from core.desk import Desk
from core.domain.accounts import Account, AccountId
from core.domain.events import Mode
from core.errors import UserError
from core.reply import Action, Block, Cell, Column, Format, Notice, Reply, Table, Tone

COLUMNS = (
    Column(title="account"), Column(title="default"), Column(title="mode"), Column(title="kind"),
    Column(title="cash", format=Format.MONEY, unit="USD"), Column(title="buying power", format=Format.MONEY, unit="USD"),
)
MAY = (Column(title="account"), Column(title="at"), Column(title="fees"), Column(title="may"), Column(title="refuses"))


async def run(desk: Desk, call: Call) -> Reply:
    """List, switch, or look at the broker's books beside ours."""
    if call.args.get("book") and not call.args.get("resolve"):
        raise UserError("`book` goes with the id of a difference; nothing was booked.", "`account books=yes` shows them.")
    if call.args.get("resolve"):
        return await resolve(desk, desk.account(call.caller, call.args.get("account")), call)
    if call.args.get("books"):
        return await show(desk, desk.account(call.caller, call.args.get("account")))
    blocks: list[Block] = []
    wanted = call.args.get("id")
    if wanted is not None:
        chosen = desk.account(None, wanted)
        if chosen.id.outside:
            raise UserError(f"{chosen.name} cannot be the default: nothing can be sent for it.", "Name it with account=outside.")
        await keep_default(desk, chosen.id)
        tone = Tone.WARNING if chosen.id.env.value == "live" else Tone.GOOD
        blocks.append(Notice(text=f"Calls that name no account now mean {chosen.name} ({chosen.id.env.value.upper()}).", tone=tone))
    default = desk.account().id
    rows = [await _row(desk, account, default) for account in desk.accounts]
    blocks.append(Table(title="Accounts", columns=COLUMNS, rows=tuple(rows)))
    blocks.append(Table(title="What each may do", columns=MAY, rows=tuple(_may(desk, account) for account in desk.accounts)))
    others = [account for account in desk.config.accounts if account.id != default]
    return Reply(blocks=tuple(blocks), actions=tuple(Action(label=f"Use {item.name}", line=f"account id={item.name}") for item in others))


async def _row(desk: Desk, account: Account, default: AccountId) -> tuple[Cell, ...]:
    if account.id.outside:
        unknown: Decimal | None = None  # what is left there only its own broker knows
        return (account.name, "", "nothing is sent", "elsewhere", unknown, unknown)
    mode, _ = desk.mode(account=account.id)
    words = "active" if mode is Mode.ACTIVE else mode.value.upper()
    power = (await day_result(desk, account)).buying_power
    return (
        account.name, "yes" if account.id == default else "", words, account.kind.value, desk.book(account.id).cash, power,
    )


def _may(desk: Desk, account: Account) -> tuple[Cell, ...]:
    if account.id.outside:
        return (account.name, "elsewhere", "as logged", "hold what `log_trade` books", "every order")
    may, refuses = MAY_BY_KIND[account.kind]
    where = f"{account.id.broker} {account.id.id}, {account.id.env.value.upper()}"
    fees = desk.config.fee_schedule if account.id.broker == "paper" else "the broker's"
    return (account.name, where, fees, may, "; ".join([refuses, *charter_words(account.charter, refuses)]))


COMMAND = Command(
    name="account", help="Accounts, which one is the default, and the broker's books beside ours.", run=run, access=access_of,
    parameters=(Parameter(name="id", kind=Kind.ID, help="name or id to make the default"), *PARAMETERS),
    examples=("account", "account practice", "account books=yes", "account resolve=D12AB34"),
)
