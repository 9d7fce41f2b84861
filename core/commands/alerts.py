"""What is watched, what stands told and unanswered, and what the desk rang for lately, newest first.

Example: a put spread that doubled in price stands told as `P1A2B3C4.credit_stop` until it is closed, put off or left as it is.
"""

from __future__ import annotations

from datetime import timedelta

from core.announce import Urgency, announce
from core.clock import exchange_time
from core.command import Access, Call, Command
from core.commands._accounts import accounts_of
from core.commands._standing import armed, standing_table
from core.desk import Desk
from core.domain.accounts import Account
from core.domain.events import AlertRaised, Event
from core.domain.mandates import Rung
from core.fold import Alert
from core.reply import Action, Block, Cell, Column, Format, Notice, Reply, Table

LOOKED_BACK = 500  # events
DAYS = timedelta(days=7)
SHOWN = 10
NIGHTLY = "overnight:"  # how the keys of what lasts over the night begin
RANG = (Urgency.MEDIUM, Urgency.HIGH, Urgency.CRITICAL)
WATCHED = (Column(title="trade"), Column(title="structure"), Column(title="watched by"))
TOLD = (Column(title="alert"), Column(title="since", format=Format.TEXT), Column(title="stands"), Column(title="what"))
RECENT = (Column(title="when"), Column(title="loud"), Column(title="what"))


async def run(desk: Desk, call: Call) -> Reply:
    """Read the live state, and the end of the log."""
    accounts = accounts_of(desk, call) if call.args.get("account") is not None else desk.accounts
    names = {account.id for account in accounts}
    told = [item for item in desk.fold.exits.items() if item[1].due.account in names]
    open_now = [(key, one) for key, one in desk.fold.alerts.items() if one.answered_by is None and _concerns(one, accounts)]
    open_now = _still(desk, open_now)
    blocks: list[Block] = []
    if told or open_now:
        rows: list[tuple[Cell, ...]] = [
            (key, one.since, _stands(desk, key), one.due.reason) for key, one in told
        ]
        rows += [(key, one.at, "unanswered", one.raised.text) for key, one in reversed(open_now[-SHOWN:])]
        blocks.append(Table(title="Told and not answered", columns=TOLD, rows=tuple(rows), source="log"))
    else:
        blocks.append(Notice(text="Nothing that was told waits for an answer."))
    waiting = [item for item in armed(desk) if item.account in names]
    if waiting:
        blocks.append(standing_table(desk, waiting, title="Armed: stops, targets, orders in parts"))
    blocks += _watched(desk, accounts)
    recent = await _recent(desk)
    quiet = Notice(text=f"Nothing rang in {DAYS.days} days.")
    blocks.append(Table(title="Rang lately", columns=RECENT, rows=recent, source="log") if recent else quiet)
    actions = [action for key, _ in told[:4] for action in _actions(key)]
    actions += [action for key, one in open_now[-2:] for action in _answers(key, one.raised)]
    return Reply(blocks=tuple(blocks), actions=tuple(actions))


def _still(desk: Desk, found: list[tuple[str, Alert]]) -> list[tuple[str, Alert]]:
    """Without what a later morning said anew of orders that stay at the broker, and without what it said of those that are over."""
    last = {key.rpartition(":")[0]: key for key, _ in found if key.startswith(NIGHTLY)}
    return [
        (key, one) for key, one in found
        if not key.startswith(NIGHTLY) or (key == last[key.rpartition(":")[0]] and any(_lasts(desk, line) for line in one.raised.lines))
    ]


def _lasts(desk: Desk, line: str) -> bool:
    """Whether the order that a button would cancel is not known to be over; one of the broker's own may always be there."""
    order = desk.books.order(line.rpartition("order_id=")[2].split(" ")[0])
    return order is None or not order.state.terminal


def _concerns(alert: Alert, accounts: tuple[Account, ...]) -> bool:
    return alert.raised.account is None or alert.raised.account in {account.id for account in accounts}


def _stands(desk: Desk, key: str) -> str:
    """Whether a told exit is put off, and how often it was told."""
    one = desk.fold.exits[key]
    if not one.is_put_off(desk.now()):
        return f"told {one.due.times} time{'' if one.due.times == 1 else 's'}"
    until = "it is over" if one.snoozed_until is None else f"{exchange_time(one.snoozed_until):%a %H:%M} ET"
    return f"put off by {one.snoozed_by} until {until}"


def _actions(key: str) -> tuple[Action, ...]:
    return Action(label=f"Snooze {key}", line=f"snooze {key} for=1h"), Action(label=f"Leave {key}", line=f"ack {key}")


def _answers(key: str, raised: AlertRaised) -> list[Action]:
    """The buttons it came with, and the one that takes note of it."""
    own = [Action(label=label, line=line) for label, line in zip(raised.labels, raised.lines, strict=False)]
    return [*own, Action(label=f"Take note of {key}", line=f"ack {key}")]


def _watched(desk: Desk, accounts: tuple[Account, ...]) -> list[Block]:
    """Which exits look at which open trade each minute; trades done elsewhere are watched by none."""
    rows: list[tuple[Cell, ...]] = []
    for account in accounts:
        for trade in desk.book(account.id).open_trades:
            serve = [item for item in desk.exits if item.serves(trade.strategy) and item.rung(trade.strategy) is not Rung.OFF]
            names = "nothing: it was done elsewhere" if account.id.outside else ", ".join(item.name for item in serve) or "nothing"
            rows.append((trade.id, f"{trade.strategy} {trade.underlying}", names))
    return [Table(title="Open trades and the exits on them", columns=WATCHED, rows=tuple(rows))] if rows else []


async def _recent(desk: Desk) -> tuple[tuple[Cell, ...], ...]:
    """What rang in the last days, from the end of the log."""
    first, since = max(0, desk.fold.seq - LOOKED_BACK), desk.now() - DAYS
    found: dict[str, tuple[Event, str, str]] = {}
    for event in await desk.store.read(after=first):
        news = announce(event, (), desk.books) if event.at >= since else None
        if news is not None and news.urgency in RANG:
            text = " ".join(block.text for block in news.blocks if isinstance(block, Notice))
            found[news.key] = (event, news.urgency.value, text)
    newest = sorted(found.values(), key=lambda item: item[0].seq, reverse=True)[:SHOWN]
    return tuple((event.at, loud, text) for event, loud, text in newest)


COMMAND = Command(
    name="alerts", help="What is watched, what stands told and unanswered, and what rang lately.", run=run, access=Access.READ,
    examples=("alerts", "alerts account=practice", "alerts account=all"),
)
