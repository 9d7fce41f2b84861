"""The accounts there are; with a name or id, make it the default for calls that name none.

Every command takes `account=NAME` for one call. `account books=yes` compares with the broker's books now and shows what differs;
`account resolve=ID` draws the card that books one difference on the broker's word.
"""

from __future__ import annotations

from core.command import Call, Command, Kind, Parameter
from core.commands._accounts import keep_default
from core.commands._books import PARAMETERS, access_of, resolve, show
from core.desk import Desk
from core.domain.events import Mode
from core.errors import UserError
from core.reply import Action, Block, Cell, Column, Format, Notice, Reply, Table, Tone

COLUMNS = (
    Column(title="account"), Column(title="broker"), Column(title="id"), Column(title="env"), Column(title="kind"),
    Column(title="cash", format=Format.MONEY, unit="USD"), Column(title="mode"), Column(title="default"),
)


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
        await keep_default(desk, chosen.id)
        tone = Tone.WARNING if chosen.id.env.value == "live" else Tone.GOOD
        blocks.append(Notice(text=f"Calls that name no account now mean {chosen.name} ({chosen.id.env.value.upper()}).", tone=tone))
    default = desk.account().id
    rows: list[tuple[Cell, ...]] = []
    for account in desk.config.accounts:
        mode, _ = desk.mode(account=account.id)
        words = "active" if mode is Mode.ACTIVE else mode.value.upper()
        rows.append((
            account.name, account.id.broker, account.id.id, account.id.env.value, account.kind.value, desk.book(account.id).cash, words,
            "yes" if account.id == default else "",
        ))
    blocks.append(Table(title="Accounts", columns=COLUMNS, rows=tuple(rows)))
    others = [account for account in desk.config.accounts if account.id != default]
    return Reply(blocks=tuple(blocks), actions=tuple(Action(label=f"Use {item.name}", line=f"account id={item.name}") for item in others))


COMMAND = Command(
    name="account", help="Accounts, which one is the default, and the broker's books beside ours.", run=run, access=access_of,
    parameters=(Parameter(name="id", kind=Kind.ID, help="name or id to make the default"), *PARAMETERS),
    examples=("account", "account practice", "account books=yes", "account resolve=D12AB34"),
)
