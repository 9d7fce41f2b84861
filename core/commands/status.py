"""Where everything stands, in one screen: mode and why, accounts, links with their ages, the session, positions and the day's P&L.

Example: after `halt` the badge reads HALTED and the line `mode` says who halted and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from core.clock import exchange_date
from core.command import Access, Call, Command
from core.commands._accounts import ALL
from core.commands._external import external_orders, external_table
from core.commands._mandates import mandates_table
from core.commands._modes import modes_table
from core.commands._standing import armed, standing_table
from core.commands._trades import DayResult, day_result
from core.desk import Desk
from core.domain.accounts import Account
from core.domain.calendar import EXCHANGE, closure, next_session, session
from core.domain.events import Mode
from core.domain.money import ZERO
from core.domain.structures import describe_legs
from core.orders.states import Order
from core.portfolio.book import Book
from core.reply import Block, Column, Fact, Facts, Format, Notice, Reply, Table, Tone

SHOWN_MISSING = 5


async def run(desk: Desk, call: Call) -> Reply:
    """Answer from the live state; a link that is down is shown, never waited for."""
    blocks: list[Block] = [Facts(facts=(*_mode(desk), *_session(desk.now()), *_market(desk), *_open(desk)))]
    standing = modes_table(desk)
    blocks += [standing] if standing is not None else []
    named = call.args.get("account")
    shown = desk.config.accounts if named in (None, ALL) else (desk.account(call.caller, named),)
    days = [await day_result(desk, account) for account in shown]
    blocks += [_account(desk, account, day) for account, day in zip(shown, days, strict=True)]
    blocks += [_together(days)] if len(days) > 1 else []
    blocks += _elsewhere(desk)
    blocks += [*_working(desk), *mandates_table(desk), *_parts(desk)]
    blocks += [Notice(text=note, tone=Tone.WARNING) for note in desk.notes]
    return Reply(blocks=tuple(blocks))


def _mode(desk: Desk) -> list[Fact]:
    worst, reason = desk.mode()
    return [Fact(label="mode", value=worst.value.upper(), note=reason)]


def _session(now: datetime) -> list[Fact]:
    day = exchange_date(now)
    today = session(day)
    facts = [Fact(label="exchange time", value=now)]
    if today is None:
        facts.append(Fact(label="session", value=f"closed ({closure(day)})", note=f"next {_day(next_session(day))}"))
    elif now < today.open_at:
        facts.append(Fact(label="session", value=f"opens in {_span(today.open_at, now)}"))
    elif now < today.close_at:
        early = "half day, " if today.early else ""
        text = f"open, {early}closes in {_span(today.close_at, now)}"
        facts.append(Fact(label="session", value=text, note="index options 15 minutes later"))
    else:
        facts.append(Fact(label="session", value="closed", note=f"next {_day(next_session(day))}"))
    return facts


def _market(desk: Desk) -> list[Fact]:
    facts: list[Fact] = []
    for link in desk.reader.ages():
        note = link.failure or ("" if link.answered_at is not None else "not asked yet")
        facts.append(Fact(label=f"data: {link.label}", value=link.age_seconds, format=Format.AGE, note=note))
    for provider in desk.providers:
        missing = getattr(provider, "missing_sessions", ())
        if missing:
            days = ", ".join(_day(day) for day in missing[:SHOWN_MISSING]) + (" ..." if len(missing) > SHOWN_MISSING else "")
            facts.append(Fact(label="sessions not recorded", value=len(missing), format=Format.INTEGER, note=days))
    return facts


def _open(desk: Desk) -> list[Fact]:
    books = (book for name, book in desk.books.accounts.items() if not name.outside)
    count = sum(len(book.open_trades) for book in books)
    return [Fact(label="open trades", value=count, format=Format.INTEGER)]


def _account(desk: Desk, account: Account, day: DayResult) -> Facts:
    title = f"Account {account.name} ({account.id.broker} {account.id.id}, {account.id.env.value}, {account.kind.value})"
    book = desk.book(account.id)
    mode, reason = desk.mode(account=account.id)
    facts = [Fact(label="may trade", value="yes" if mode is Mode.ACTIVE else mode.value.upper(), note=reason)]
    facts += _worth(day)
    facts.append(Fact(label="cash", value=book.cash, format=Format.MONEY, unit="USD"))
    facts += _called(book)
    facts.append(_compared(desk, account))
    facts += _killed(desk, account)
    return Facts(title=title, facts=tuple(facts))


def _together(days: Sequence[DayResult]) -> Facts:
    """All accounts as one; a figure that one account does not have, the sum does not have either."""
    known = [day.pnl for day in days if day.pnl is not None]
    powers = [day.buying_power for day in days if day.buying_power is not None]
    pnl = sum(known, ZERO) if len(known) == len(days) else None
    power = sum(powers, ZERO) if len(powers) == len(days) else None
    since = " and ".join(dict.fromkeys(day.since for day in days))
    worth = DayResult(
        net_liquidation=sum((day.net_liquidation for day in days), ZERO), pnl=pnl, since=since, buying_power=power,
        stale=tuple(dict.fromkeys(name for day in days for name in day.stale)),
        margin=None if any(day.margin is None for day in days) else sum((day.margin for day in days if day.margin is not None), ZERO),
    )
    return Facts(title=f"All {len(days)} accounts together", facts=tuple(_worth(worth)))


def _elsewhere(desk: Desk) -> list[Block]:
    """What was logged of trades done elsewhere: shown beside the accounts, part of none."""
    books = [desk.book(account.id) for account in desk.accounts if account.id.outside]
    count = sum(len(book.open_trades) for book in books)
    note = "no broker of this desk keeps them; `positions account=outside`"
    return [Facts(facts=(Fact(label="trades elsewhere", value=count, format=Format.INTEGER, note=note),))] if count else []


def _called(book: Book) -> list[Fact]:
    """The broker's margin call, while it stands."""
    if book.call is None:
        return []
    due = "at once" if book.call.due_at is None else f"by {book.call.due_at.astimezone(EXCHANGE):%a %d %b %H:%M} ET"
    return [Fact(label="MARGIN CALL", value=book.call.amount, format=Format.MONEY, unit="USD", note=f"missing, {due}")]


def _compared(desk: Desk, account: Account) -> Fact:
    """When the books were last compared with the broker's, and whether they agree."""
    sender, state = desk.senders.get(account.id), desk.fold.reconciled(account.id)
    at = None if sender is None else sender.compared_at
    age_seconds = None if at is None else (desk.now() - at).total_seconds()
    count = 0 if state is None else len(state.differences)
    note = "agree with the broker's" if not count else f"{count} differ from the broker's; see `account books=yes account={account.name}`"
    return Fact(label="books compared", value=age_seconds, format=Format.AGE, note=note if at is not None else "not yet")


def _killed(desk: Desk, account: Account) -> list[Fact]:
    """Whether it is proved that nothing works any more; nothing where there was no kill."""
    kill = desk.fold.kill
    if kill is None:
        return []
    checked = kill.checked.get(str(account.id))
    if checked is None or not checked.proved:
        pending = "" if checked is None else ", ".join(checked.pending)
        return [Fact(label="after the kill", value="NOT proved yet", note=pending or "the broker is being asked")]
    return [Fact(label="after the kill", value="no order works", note="proved by the broker's complete books")]


def _worth(day: DayResult) -> list[Fact]:
    note = f"without {', '.join(day.stale)}: no usable price" if day.stale else ""
    partly = "; what has no price now is left out" if day.stale else ""
    less = day.kept is not None and day.margin is not None and day.kept < day.margin
    keeps = f", {_amount(day.kept)} to keep it" if less else ""
    return [
        Fact(label="net liquidation value", value=day.net_liquidation, format=Format.MONEY, unit="USD", note=note or "at mids"),
        Fact(
            label="buying power", value=day.buying_power, format=Format.MONEY, unit="USD",
            note=f"margin in use {_amount(day.margin)}{keeps}",
        ),
        Fact(label="day P&L", value=day.pnl, format=Format.MONEY, unit="USD", signed=True, note=f"since {day.since}{partly}"),
    ]


def _amount(value: Decimal | None) -> str:
    return "unknown" if value is None else f"{value:,.2f} USD"


def _parts(desk: Desk) -> list[Block]:
    """The background parts that stopped once, and how they are now; nothing where all is well."""
    if desk.keeper is None:
        return []
    found: list[Block] = []
    for part in desk.keeper.health:
        if part.restarts or not part.runs:
            now = "runs again" if part.runs else "does not run now"
            text = f"The part {part.name!r} stopped {part.restarts} time(s), last because {part.why}; it {now}."
            found.append(Notice(text=text, tone=Tone.WARNING if part.runs else Tone.BAD))
    if desk.keeper.stalled_seconds:
        found.append(Notice(text=f"The desk once stood still for {desk.keeper.stalled_seconds:.0f} seconds.", tone=Tone.WARNING))
    return found


def _working(desk: Desk) -> list[Block]:
    waiting = armed(desk)
    standing = [standing_table(desk, waiting)] if waiting else []
    orders = [order for book in desk.books.accounts.values() for order in book.live.values()]
    strange = external_orders(desk, desk.books.accounts)
    shown: list[Block] = [external_table(strange)] if strange else []
    if not orders:
        return [Facts(facts=(Fact(label="working orders", value="none"),)), *standing, *shown]
    columns = (
        Column(title="order"), Column(title="state"), Column(title="filled"), Column(title="limit", format=Format.PRICE, signed=True),
        Column(title="structure"),
    )
    rows = tuple(
        (order.client_id, _state(order), f"{order.filled}/{order.quantity}", order.limit, describe_legs(order.envelope.legs))
        for order in orders
    )
    return [Table(title="Working orders", columns=columns, rows=rows), *standing, *shown]


def _state(order: Order) -> str:
    if order.cancel_asked and not order.unknown:
        return "not yet cancelled"
    words = order.state.value.replace("_", " ")
    return f"{words}, held at the broker" if order.held else words


def _span(until: datetime, now: datetime) -> str:
    minutes = int((until - now).total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _day(day: date) -> str:
    return f"{day:%a %d %b %y}"


COMMAND = Command(
    name="status", help="Mode, accounts, links, session, positions and day P&L in one screen.", run=run, access=Access.READ,
    examples=("status", "status account=practice"),
)
