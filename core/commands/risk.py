"""Every limit in force beside its use, what stops entries now and what lifts it, the worst stress, and where a margin call would come.

Example: margin of 21,000 USD on 100,000 USD is 42% of the 50,000 USD entries may take it to: `[####------]`. "Margin call at SPX 2,450,
-8.7%" means that the account would be short of margin if SPX fell that far, everything moving alike and VIX rising 2 points a percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from core.clock import exchange_time
from core.command import Access, Call, Command
from core.commands._accounts import accounts_of
from core.commands._modes import modes_table
from core.commands._risks import all_risks, call_words, measured_of, usd, view_of
from core.desk import Desk
from core.domain.accounts import Account, AccountKind
from core.domain.events import Mode
from core.reply import Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Text, Tone
from core.risk.exam import Rule
from core.risk.measures import funds
from core.risk.usage import MarginCall, Stand, Use
from core.settings import Kind, Setting

BAR = 10  # signs
LIMITS = (
    Column(title="limit"), Column(title="use"), Column(title="", format=Format.PERCENT), Column(title="used of limit"),
)
ORDERS = (Column(title="rule"), Column(title="limit"))


async def run(desk: Desk, call: Call) -> Reply:
    """Measure one account in full, or with account=all every one in a line and all of them together."""
    accounts = accounts_of(desk, call)
    if len(accounts) > 1:
        return await all_risks(desk, accounts)
    account = accounts[0]
    view = await view_of(desk, accounts)
    stand, used, calls = await desk.runtime.in_thread(measured_of, desk, account, view)
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
        usd("net liquidation value", worth, "at mids"), usd("margin in use", margin, note), usd("buying power", power, ""),
        usd("worst stress", None if loss is None else -loss, stand.measures.stress_scenario, signed=True),
    ]


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


COMMAND = Command(
    name="risk", help="Every limit beside its use, what stops entries and what lifts it, worst stress, where the margin call is.", run=run,
    access=Access.READ, examples=("risk", "risk account=all"),
)
