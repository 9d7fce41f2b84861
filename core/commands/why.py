"""Say what stands in the way of a trade, with the measured number, its limit and what would clear it. Changes nothing."""

from __future__ import annotations

from dataclasses import replace

from core import plugins
from core.command import Access, Call, Command, Kind, Parameter
from core.commands._modes import modes_table
from core.commands._payoff import ticket_chart
from core.commands._proposals import ideas_for, intent_of, request_of
from core.desk import Desk
from core.domain.accounts import Account
from core.domain.calendar import CalendarError, is_open
from core.domain.events import Mode
from core.domain.instruments import InstrumentError, roots_of
from core.domain.structures import describe_legs
from core.errors import Unavailable, UserError
from core.orders import ticket
from core.orders.card import blocked_words, findings_table
from core.orders.figures import has_payoff
from core.orders.ticket import Priced
from core.reply import Action, Block, Cell, Column, Fact, Facts, Notice, Reply, Table, Tone
from core.risk.exam import Finding, Level


async def run(desk: Desk, call: Call) -> Reply:
    """The verdict on a ticket, or on one unit of what a strategy would open now."""
    if call.args.get("ticket") is not None:
        return await _ticket(desk, str(call.args["ticket"]))
    account = desk.account(call.caller, call.args.get("account"))
    symbol, strategy = call.args.get("symbol"), call.args.get("strategy")
    if symbol is not None:
        await desk.reader.expiries(request_of({"symbol": symbol}).symbol)  # says at once where nobody knows it
    blocks: list[Block] = list(_modes(desk, account))
    symbols = (symbol,) if symbol else desk.config.watch_list[:1]
    for each in symbols:
        blocks += await _probe(desk, account, strategy, each) if strategy else [await _survey(desk, account, each)]
    return Reply(blocks=tuple(blocks))


async def _ticket(desk: Desk, name: str) -> Reply:
    """Every rule on the ticket's order as it stands now, and what the order of the card can make and lose."""
    found = ticket.find(desk, name)
    drafted = found.drafted
    priced = await ticket.price(desk, drafted.intent, limit=drafted.said_limit, second_order=drafted.second_order)
    head: list[Block] = []
    if not found.is_open:
        head.append(Notice(text=f"Ticket {name} is {ticket.ended_words(found)}; this is its order judged now.", tone=Tone.WARNING))
    allowed = priced.verdict.allowed
    text = "Nothing stands in the way of this order." if allowed else blocked_words(priced)
    head.append(Notice(text=text, tone=Tone.GOOD if allowed else Tone.BAD))
    actions = (Action(label="Reprice", line=f"reprice {name}"),) if found.confirmed is None else ()
    table = findings_table(priced.verdict.findings, title=f"Rules on {describe_legs(drafted.intent.legs)}, {drafted.intent.quantity}")
    shown = replace(priced, envelope=drafted.envelope)  # at the prices of the card
    chart = (await desk.runtime.in_thread(ticket_chart, name, shown),) if has_payoff(drafted.envelope) else ()
    return Reply(blocks=(*head, table, *_reasons(priced), *chart), actions=actions)


def _reasons(priced: Priced) -> tuple[Table, ...]:
    """What would clear each rule that does not simply pass."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (item.rule, _clears(item)) for item in priced.verdict.findings if item.level is not Level.PASS
    )
    columns = (Column(title="rule"), Column(title="do this"))
    return (Table(title="What would clear it", columns=columns, rows=rows),) if rows else ()


def _clears(item: Finding) -> str:
    if item.next_step:
        return item.next_step
    if item.fits:
        return f"{item.fits} or fewer"
    return f"{item.measured} within {item.limit}"


def _modes(desk: Desk, account: Account) -> tuple[Block, ...]:
    """The mode in force with its reason, and every other scope that is stopped."""
    mode, reason = desk.mode(account=account.id)
    text = "Entries are allowed: the desk is ACTIVE." if mode is Mode.ACTIVE else f"{mode.value.upper()}: {reason}."
    head = Notice(text=text, tone=Tone.INFO if mode is Mode.ACTIVE else Tone.WARNING)
    table = modes_table(desk)
    return (head,) if table is None else (head, table)


async def _probe(desk: Desk, account: Account, strategy: str, symbol: str) -> list[Block]:
    """What stands in the way of one unit of what the strategy would open now."""
    title = f"{strategy} on {symbol}"
    try:
        idea = (await ideas_for(desk, account.id, strategy, request_of({"symbol": symbol})))[0]
        priced = await ticket.price(desk, intent_of(idea, account.id, 1), limit=None)
    except (UserError, Unavailable) as error:
        return [Notice(text=f"{title}: {error}", tone=Tone.BAD)]
    found: list[Block] = [
        Facts(
            title=title,
            facts=(
                Fact(label="would open", value=describe_legs(idea.legs), note=idea.thesis, source=priced.view.label),
                Fact(label="market", value=_hours(desk, symbol)),
                Fact(label="verdict", value=_short(priced)),
            ),
        )
    ]
    standing = tuple(item for item in priced.verdict.findings if item.level is not Level.PASS)
    if standing:
        found += [findings_table(standing, title="In the way"), *_reasons(priced)]
    return found


async def _survey(desk: Desk, account: Account, symbol: str) -> Table:
    """Every strategy in a line: what one unit of it would open now, and what stands in the way."""
    rows: list[tuple[Cell, ...]] = []
    for name in plugins.names("strategies"):
        try:
            idea = (await ideas_for(desk, account.id, name, request_of({"symbol": symbol})))[0]
            priced = await ticket.price(desk, intent_of(idea, account.id, 1), limit=None)
        except (UserError, Unavailable) as error:
            rows.append((name, "", str(error).partition(". ")[0]))
            continue
        rows.append((name, describe_legs(idea.legs), _short(priced)))
    columns = (Column(title="strategy"), Column(title="would open"), Column(title="verdict"))
    return Table(title=f"On {symbol} now; `why STRATEGY {symbol}` shows the numbers", columns=columns, rows=tuple(rows))


def _short(priced: Priced) -> str:
    """The verdict in a line; the tables below it say the rest."""
    if priced.verdict.allowed:
        return "nothing stands in the way"
    return f"blocked by {', '.join(item.rule for item in priced.verdict.blocks) or priced.verdict.reason}"


def _hours(desk: Desk, symbol: str) -> str:
    try:
        return "open" if any(is_open(spec, desk.now()) for spec in roots_of(symbol)) else "closed now"
    except (InstrumentError, CalendarError):
        return "hours not known"


COMMAND = Command(
    name="why",
    help="Says what stands in the way: of a ticket, of a strategy on a symbol, or of entries at all, with numbers and what would clear it.",
    run=run,
    access=Access.READ,
    parameters=(
        Parameter(name="strategy", kind=Kind.STRATEGY, help="a strategy; all of them in a line each where left out"),
        Parameter(name="symbol", kind=Kind.SYMBOL, help="an underlying; the first of the watch list where left out"),
        Parameter(name="ticket", kind=Kind.ID, help="a ticket's id, as on its card", positional=False),
    ),
    examples=("why", "why SPX", "why put_credit_spread SPY", "why ticket=T1A2B3C"),
)
