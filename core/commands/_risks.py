"""What `risk` measures, and its answer for every account in a line with all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from core.commands._accounts import TOGETHER
from core.commands._modes import modes_table
from core.commands._trades import marked_needs
from core.desk import Desk
from core.domain.accounts import Account, AccountKind
from core.domain.events import Mode
from core.domain.money import ZERO
from core.market.view import Needs, View
from core.reply import Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Tone
from core.risk.measures import CLUSTER, added, underlying_of
from core.risk.stress import stress
from core.risk.usage import FURTHEST, MarginCall, Stand, Use, margin_calls, stand_of, uses

ACCOUNTS = (
    Column(title="account"), Column(title="NLV USD", format=Format.INTEGER), Column(title="margin", format=Format.PERCENT),
    Column(title="stress", format=Format.PERCENT), Column(title="mode"), Column(title="margin call"),
)


async def view_of(desk: Desk, accounts: Sequence[Account]) -> View:
    """One view of everything held and working in some accounts, and of what counts beside them."""
    items = [item for held in (desk.beside, *(desk.book(account.id).exposed() for account in accounts)) for item, _ in held.values()]
    return await desk.reader.view(marked_needs(desk, items) | Needs.of_symbols("VIX"))


Measured = tuple[Stand, tuple[Use, ...], tuple[MarginCall | None, MarginCall | None] | None]


def measured_of(desk: Desk, account: Account, view: View) -> Measured:
    """An account as it stands, its limits beside their use, and its margin calls; heavy: call it in a thread."""
    stand = stand_of(desk.book(account.id), view, beside={} if account.id.outside else desk.beside)
    return stand, uses(stand, desk.rules), None if account.id.outside else margin_calls(stand)


def usd(label: str, value: Decimal | float | None, note: str = "", *, signed: bool = False) -> Fact:
    """An amount with its label."""
    return Fact(label=label, value=value, format=Format.MONEY, unit="USD", note=note, signed=signed)


def call_words(found: MarginCall | None, sign: str = "-") -> str:
    """`SPX 2,450, -8.7%`."""
    if found is None:
        return f"none within {sign}{FURTHEST}%"
    return "NOW: the account is short of margin" if found.move == 0 else f"{found.symbol} {found.level:,.2f}, {found.move:+.1%}"


async def all_risks(desk: Desk, accounts: Sequence[Account]) -> Reply:
    """Every account in a line, and what all hold together; the gate judges each account by its own limits."""
    view = await view_of(desk, accounts)
    measured = [await desk.runtime.in_thread(measured_of, desk, account, view) for account in accounts]
    rows = [_line(desk, account, stand, calls) for account, (stand, _, calls) in zip(accounts, measured, strict=True)]
    table = modes_table(desk)
    blocks: list[Block] = [Table(title="Risk by account", columns=ACCOUNTS, rows=tuple(rows), source=view.label)]
    worths = [stand.measures.net_liquidation for account, (stand, _, _) in zip(accounts, measured, strict=True) if not account.id.outside]
    worth = None if None in worths else sum((item for item in worths if item is not None), ZERO)
    counted = [stand for account, (stand, _, _) in zip(accounts, measured, strict=True) if not account.id.outside]
    held = added(*(stand.held for stand in counted), desk.beside)
    result = stress(held, view)
    worst = result.worst
    loss = None if worst is None or worst.pnl_usd is None else min(0.0, worst.pnl_usd)
    symbols = sorted({underlying_of(item) for item, _ in held.values()})
    named = "+".join(name for name in symbols if name in CLUSTER)
    facts = [
        usd("net liquidation value", worth, "at mids"),
        usd("worst stress", loss, "" if worst is None else worst.name, signed=True),
        Fact(label="of the value", value=None if loss is None or not worth else -loss / float(worth), format=Format.PERCENT),
        Fact(label="underlyings", value=", ".join(symbols) or "none", note=f"{named} are one cluster" if "+" in named else ""),
    ]
    blocks.append(Facts(title=f"Together, {TOGETHER}", facts=tuple(facts)))
    blocks.append(Notice(text="The gate judges each account by its own limits; `risk account=NAME` shows them."))
    if any(account.id.outside for account in accounts):
        state = "count" if desk.settings.desk.flag("count_outside") else "do not count"
        blocks.append(Notice(text=f"Trades done elsewhere {state} in stress and capital (setting desk.count_outside)."))
    full = [f"{account.name}: {use.what} {use.share:.0%}" for account, (_, used, _) in zip(accounts, measured, strict=True)
            for use in used if use.share is not None and use.share > 1 and not account.id.outside]
    if full:
        blocks.insert(1, Notice(text=f"Over a limit: {'; '.join(full)}.", tone=Tone.BAD))
    return Reply(blocks=(*blocks, *((table,) if table is not None else ())))


def _line(desk: Desk, account: Account, stand: Stand, calls: tuple[MarginCall | None, MarginCall | None] | None) -> tuple[Cell, ...]:
    worth, margin, loss = stand.measures.net_liquidation, stand.measures.margin, stand.measures.stress_loss_usd
    lost = None if loss is None or not worth else loss / float(worth)
    if account.id.outside:
        return (account.name, worth, None, None, "elsewhere", "only the broker there knows")
    mode, _ = desk.mode(account=account.id)
    used = None if margin is None or not worth else margin / worth
    words = "unknown" if calls is None else call_words(calls[0])
    if account.kind in (AccountKind.CASH, AccountKind.IRA):
        words = "none, paid in full"
    return (account.name, worth, used, lost, "active" if mode is Mode.ACTIVE else mode.value.upper(), words)
