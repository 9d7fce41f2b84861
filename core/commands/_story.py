"""One trade's whole story with its rolls, as `positions position_id=` tells it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.command import Call
from core.commands._payoff import trade_chart
from core.commands._trades import Holdings, priced_holdings
from core.desk import Desk
from core.domain.accounts import Account
from core.domain.instruments import Option
from core.domain.money import ZERO
from core.domain.structures import Trade, describe_legs
from core.errors import UserError
from core.portfolio.book import Book
from core.portfolio.campaign import Campaign, Step, campaign_of, look_alikes
from core.reply import Action, Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Text

STEPS = (
    Column(title="date", format=Format.DATE), Column(title="trade"), Column(title="step"), Column(title="qty", format=Format.INTEGER),
    Column(title="net", format=Format.PRICE, signed=True), Column(title="cash", format=Format.MONEY, signed=True),
    Column(title="fees", format=Format.MONEY), Column(title="what"),
)
MOST_LIKE = 3


async def story(desk: Desk, call: Call) -> Reply:
    """Everything that happened to a trade and those it continues or that continue it; raise UserError for an unknown one."""
    named = str(call.args["position_id"])
    account = next((one for one in desk.accounts if named in desk.book(one.id).trades), None)
    if account is None:
        raise UserError(f"There is no trade {named!r} of which anything was filled.", "`positions` and `pnl all by=trade` show their ids.")
    book = desk.book(account.id)
    found = campaign_of(book, desk.fold.rolls, named)
    (holdings,) = await priced_holdings(desk, (account,))
    blocks: list[Block] = [Facts(title=_title(found, account), facts=(*_counts(found, desk.now()), *_money(found, holdings)))]
    blocks.append(Table(title="What happened", columns=STEPS, rows=tuple(_row(step) for step in found.steps), source="book"))
    blocks += _shares(found)
    blocks += await _payoffs(desk, found, holdings)
    blocks += _notes(desk, found)
    like = look_alikes(book, desk.fold.rolls, named)[:MOST_LIKE]
    if like:
        names = ", ".join(f"{item.id} ({describe_legs(item.legs)})" for item in like)
        text = f"It looks like a roll of {names}, closed the same day. It is not counted as one until you say so."
        blocks.append(Notice(text=text))
    return Reply(blocks=tuple(blocks), actions=(*roll_actions(named, like), *_closing(found, account)), data={"net": found.cash})


async def _payoffs(desk: Desk, found: Campaign, holdings: Holdings) -> list[Block]:
    """Of each of its trades that is open, what it makes and loses from here."""
    mine = {trade.id for trade in found.open_trades}
    results = [result for result in holdings.trades if result.trade.id in mine]
    charts = [await desk.runtime.in_thread(trade_chart, result, holdings.view) for result in results]
    return [chart for chart in charts if chart is not None]


def roll_actions(trade_id: str, like: tuple[Trade, ...]) -> tuple[Action, ...]:
    """A button for each trade that this one may be a roll of: pressing it says so."""
    return tuple(
        Action(label=f"It rolls {item.id}", line=f'note text="a roll of {item.id}" position_id={trade_id} rolls={item.id}', once=True)
        for item in like
    )


def offered_rolls(desk: Desk, book: Book, trade_id: str) -> tuple[Action, ...]:
    """The same for a trade's look-alikes."""
    return roll_actions(trade_id, look_alikes(book, desk.fold.rolls, trade_id)[:MOST_LIKE])


def _closing(found: Campaign, account: Account) -> tuple[Action, ...]:
    if account.id.outside:
        return ()
    return tuple(Action(label=f"Close {trade.id}", line=f"close position_id={trade.id}") for trade in found.open_trades)


def _title(found: Campaign, account: Account) -> str:
    last = found.trades[-1]
    return f"{' > '.join(trade.id for trade in found.trades)}: {last.strategy} on {last.underlying} in {account.name}"


def _counts(found: Campaign, now: datetime) -> list[Fact]:
    rolls = len(found.trades) - 1 + sum(step.what == "rolled" for step in found.steps)
    state = "open" if found.open_trades else "closed"
    return [
        Fact(label="state", value=state, note=f"{found.days(now)} days"), Fact(label="rolls", value=rolls, format=Format.INTEGER),
    ]


def _money(found: Campaign, holdings: Holdings) -> list[Fact]:
    first = "received to open" if found.premium >= 0 else "paid to open"
    facts = [
        _usd(first, found.premium, "all its openings together" if len(found.trades) > 1 else ""),
        _usd("to close and settle", found.closing_cash, ""),
        Fact(label="commission and fees", value=found.fees, format=Format.MONEY, unit="USD"),
    ]
    if not found.open_trades:
        return [*facts, _usd("result, net", found.cash, "")]
    mine = {trade.id for trade in found.open_trades}
    marks = [result.mark for result in holdings.trades if result.trade.id in mine]
    known = [mark for mark in marks if mark is not None]
    mark = sum(known, ZERO) if len(known) == len(marks) else None
    return [
        *facts, _usd("money so far, net", found.cash, ""), _usd("to close it now, at mids", mark, "before commission"),
        _usd("result if closed now", None if mark is None else found.cash + mark, ""),
    ]


def _usd(label: str, value: Decimal | None, note: str) -> Fact:
    return Fact(label=label, value=value, format=Format.MONEY, unit="USD", signed=True, note=note)


def _row(step: Step) -> tuple[Cell, ...]:
    item = step.instrument
    what = describe_legs(step.legs) if item is None else item.label if isinstance(item, Option) else item.key
    return (step.at, step.trade_id, step.what, step.quantity, step.net, step.cash, step.fees, what)


def _shares(found: Campaign) -> list[Block]:
    """Shares an assignment or exercise brought are held beside the trade, with a result of their own."""
    lines = [f"{step.shares:+,d} {step.share_symbol} at {step.share_price:,.2f}" for step in found.steps if step.shares]
    if not lines:
        return []
    text = f"Shares that changed hands: {'; '.join(lines)}. They are held outside the trade; its result above leaves theirs out."
    return [Notice(text=text)]


def _notes(desk: Desk, found: Campaign) -> list[Block]:
    names = {trade.id for trade in found.trades}
    return [Text(text=f"Note on {note.trade_id}: {note.text}") for note in desk.fold.notes if note.trade_id in names]

