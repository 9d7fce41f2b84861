"""Every limit in force beside its use, what stops entries now and what lifts it, the worst stress, and where a margin call would come.

Example: margin of 21,000 USD on 100,000 USD is 42% of the 50,000 USD entries may take it to: `[####------]`. "Margin call at SPX 2,450,
-8.7%" means that the account would be short of margin if SPX fell that far, everything moving alike and VIX rising 2 points a percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from core.clock import exchange_time
from core.command import Access, Call, Command
from core.commands._accounts import TOGETHER, accounts_of
from core.commands._modes import modes_table
from core.commands._trades import marked_needs, together
from core.desk import Desk
from core.domain.accounts import Account, AccountKind
from core.domain.events import Mode
from core.domain.money import ZERO
from core.market.view import Needs, View
from core.reply import Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Text, Tone
from core.risk.exam import Rule
from core.risk.measures import CLUSTER, funds, underlying_of
from core.risk.stress import stress
from core.risk.usage import FURTHEST, MarginCall, Stand, Use, margin_calls, stand_of, uses
from core.settings import Kind, Setting

BAR = 10  # signs
LIMITS = (
    Column(title="limit"), Column(title="use"), Column(title="", format=Format.PERCENT), Column(title="used of limit"),
)
ACCOUNTS = (
    Column(title="account"), Column(title="NLV USD", format=Format.INTEGER), Column(title="margin", format=Format.PERCENT),
    Column(title="stress", format=Format.PERCENT), Column(title="mode"), Column(title="margin call"),
)
ORDERS = (Column(title="rule"), Column(title="limit"))


async def run(desk: Desk, call: Call) -> Reply:
    """Measure one account in full, or with account=all every one in a line and all of them together."""
    accounts = accounts_of(desk, call)
    if len(accounts) > 1:
        return await _all(desk, accounts)
    account = accounts[0]
    view = await _view(desk, accounts)
    stand, used, calls = await desk.runtime.in_thread(_measured, desk, account, view)
    blocks: list[Block] = [*_in_force(desk, account)]
    if account.id.outside:
        blocks.append(Facts(title="Stress", facts=tuple(_margin(stand)[3:])))
        return Reply(blocks=tuple(blocks))
    blocks.append(Table(title=f"Limits of {account.name}", columns=LIMITS, rows=tuple(_row(use) for use in used), source=view.label))
    blocks.append(Facts(title="Margin and stress", facts=(*_margin(stand), *_calls(account, stand, calls))))
    if stand.measures.unmarked:
        names = ", ".join(stand.measures.unmarked)
        blocks.append(Notice(text=f"No volatility for {names}; the worst is assumed for them.", tone=Tone.WARNING))
    blocks += _order_by_order(desk.rules)
    return Reply(blocks=tuple(blocks))


async def _view(desk: Desk, accounts: Sequence[Account]) -> View:
    items = [item for account in accounts for item, _ in desk.book(account.id).exposed().values()]
    return await desk.reader.view(marked_needs(desk, items) | Needs.of_symbols("VIX"))


Measured = tuple[Stand, tuple[Use, ...], tuple[MarginCall | None, MarginCall | None] | None]


def _measured(desk: Desk, account: Account, view: View) -> Measured:
    stand = stand_of(desk.book(account.id), view)
    return stand, uses(stand, desk.rules), None if account.id.outside else margin_calls(stand)


def _in_force(desk: Desk, account: Account) -> list[Block]:
    """The broker's margin call, the mode, and everything that is not ACTIVE in any scope with what lifts it."""
    if account.id.outside:
        return [Notice(text="Trades done elsewhere: nothing can be sent for them, and no limit of the desk holds there.")]
    mode, reason = desk.mode(account=account.id)
    if mode is Mode.ACTIVE:
        head = Notice(text=f"{account.name} may trade: ACTIVE.", tone=Tone.GOOD)
    else:
        head = Notice(text=f"{account.name} is {mode.value.upper()}: {reason}.", tone=Tone.WARNING)
    table = modes_table(desk)
    called = desk.book(account.id).call
    due = "" if called is None else "at once" if called.due_at is None else f"by {exchange_time(called.due_at):%a %d %b %H:%M} ET"
    warned = [] if called is None else [Notice(text=f"MARGIN CALL: the broker wants {called.amount:,.2f} USD {due}.", tone=Tone.BAD)]
    return [*warned, head] if table is None else [*warned, head, table]


def bar(share: Decimal | None) -> str:
    """A use as ten signs: `[####------]`, full and marked where it is over."""
    if share is None:
        return "?"
    filled = min(BAR, max(0, int(share * BAR)))
    return f"[{'#' * filled}{'-' * (BAR - filled)}]{'!' if share > 1 else ''}"


def _row(use: Use) -> tuple[Cell, ...]:
    used = "unknown" if use.used is None else f"{use.used:,.0f}"
    words = f"{used} of {use.limit:,.0f}{' ' + use.unit if use.unit else ''}"
    return (use.what, bar(use.share), use.share, f"{words} ({use.note})" if use.note else words)


def _margin(stand: Stand) -> list[Fact]:
    worth, margin, loss = stand.measures.net_liquidation, stand.measures.margin, stand.measures.stress_loss_usd
    share = None if worth is None or margin is None or worth <= 0 else margin / worth
    note = "" if share is None else f"{share:.1%} of net liquidation value"
    _, power = funds(stand.held, book=stand.book, view=stand.view)
    return [
        _usd("net liquidation value", worth, "at mids"), _usd("margin in use", margin, note), _usd("buying power", power, ""),
        _usd("worst stress", None if loss is None else -loss, stand.measures.stress_scenario, signed=True),
    ]


def _usd(label: str, value: Decimal | float | None, note: str = "", *, signed: bool = False) -> Fact:
    return Fact(label=label, value=value, format=Format.MONEY, unit="USD", note=note, signed=signed)


def _calls(account: Account, stand: Stand, calls: tuple[MarginCall | None, MarginCall | None] | None) -> list[Fact]:
    """Where the margin call is, down and up."""
    if account.kind in (AccountKind.CASH, AccountKind.IRA):
        return [Fact(label="margin call", value="none", note="everything is paid in full")]
    if not stand.book.positions:
        return [Fact(label="margin call", value="none", note="nothing is held")]
    if calls is None:
        return [Fact(label="margin call", value=None, note="a price is missing")]
    notes = ("all moving alike, VIX +2 a percent", "volatilities as they are")
    return [
        Fact(label=f"margin call {way}", value=call_words(found, sign), note=note)
        for way, sign, found, note in zip(("below", "above"), ("-", "+"), calls, notes, strict=True)
    ]


def call_words(found: MarginCall | None, sign: str = "-") -> str:
    """`SPX 2,450, -8.7%`."""
    if found is None:
        return f"none within {sign}{FURTHEST}%"
    return "NOW: the account is short of margin" if found.move == 0 else f"{found.symbol} {found.level:,.2f}, {found.move:+.1%}"


def _order_by_order(rules: Sequence[Rule]) -> list[Block]:
    """The rules that judge each order by itself: those with settings, then the names of the others. They have no use between orders."""
    each = [rule for rule in rules if not hasattr(rule.module, "use")]
    rows = tuple(
        (rule.name, "; ".join(f"{item.help}: {_setting(rule, item)}" for item in rule.module.PARAMETERS))
        for rule in each if rule.module.PARAMETERS
    )
    names = ", ".join(rule.name for rule in each if not rule.module.PARAMETERS)
    table = Table(title="Judged on each order; `why` shows how", columns=ORDERS, rows=rows)
    return [table, Text(text=f"And, without a number of their own: {names}.")]


def _setting(rule: Rule, item: Setting) -> str:
    value = rule.parameters.values[item.name]
    return f"{value:.0%}" if item.kind is Kind.FRACTION and isinstance(value, Decimal) else f"{value}{' ' + item.unit if item.unit else ''}"


async def _all(desk: Desk, accounts: Sequence[Account]) -> Reply:
    """Every account in a line, and what all hold together; the gate judges each account by its own limits."""
    view = await _view(desk, accounts)
    measured = [await desk.runtime.in_thread(_measured, desk, account, view) for account in accounts]
    rows = [_line(desk, account, stand, calls) for account, (stand, _, calls) in zip(accounts, measured, strict=True)]
    table = modes_table(desk)
    blocks: list[Block] = [Table(title="Risk by account", columns=ACCOUNTS, rows=tuple(rows), source=view.label)]
    worths = [stand.measures.net_liquidation for stand, _, _ in measured]
    worth = None if None in worths else sum((item for item in worths if item is not None), ZERO)
    held = together([stand.held for stand, _, _ in measured])
    result = stress(held, view)
    worst = result.worst
    loss = None if worst is None or worst.pnl_usd is None else min(0.0, worst.pnl_usd)
    symbols = sorted({underlying_of(item) for item, _ in held.values()})
    named = "+".join(name for name in symbols if name in CLUSTER)
    facts = [
        _usd("net liquidation value", worth, "at mids"),
        _usd("worst stress", loss, "" if worst is None else worst.name, signed=True),
        Fact(label="of the value", value=None if loss is None or not worth else -loss / float(worth), format=Format.PERCENT),
        Fact(label="underlyings", value=", ".join(symbols) or "none", note=f"{named} are one cluster" if "+" in named else ""),
    ]
    blocks.append(Facts(title=f"Together, {TOGETHER}", facts=tuple(facts)))
    blocks.append(Notice(text="The gate judges each account by its own limits; `risk account=NAME` shows them."))
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


COMMAND = Command(
    name="risk", help="Every limit beside its use, what stops entries and what lifts it, worst stress, where the margin call is.", run=run,
    access=Access.READ, examples=("risk", "risk account=all"),
)
