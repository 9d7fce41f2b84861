"""A term of the trade in a sentence or two, with the command that shows your own figure; a trade's or a ticket's id explains that one.

Example: `explain P1A2B3C` says what the trade received, what it can lose and where it stands.
"""

from __future__ import annotations

import difflib

from core import plugins
from core.command import Access, Call, Command, Kind, Parameter, repeated
from core.commands._glossary import ALIASES, TERMS
from core.commands._payoff import ticket_chart, trade_chart
from core.commands._trades import priced_holdings
from core.desk import Desk
from core.domain.structures import Trade, describe_legs
from core.errors import UserError
from core.orders import ticket
from core.orders.figures import has_payoff
from core.reply import Action, Fact, Facts, Format, Notice, Reply, Text, Tone

NEAR = 3


async def run(desk: Desk, call: Call) -> Reply:
    """Look the topic up: a trade of one's own first, then the glossary, then strategies."""
    topic = " ".join(call.args["topic"].split())
    trade = desk.books.trade(topic.removeprefix("#").upper())
    if trade is not None:
        return await _trade(desk, trade)
    if topic.removeprefix("#").upper() in desk.fold.tickets:
        return await _ticket(desk, topic.removeprefix("#").upper())
    word = topic.lower().replace("_", " ").removeprefix("what is ").removeprefix("a ").removeprefix("my ").rstrip("?")
    term = ALIASES.get(word, word)
    if term in TERMS:
        text, line = TERMS[term]
        own = (Action(label="Show mine", line=line),) if line else ()
        return Reply(blocks=(Text(text=f"{topic if topic.lower() == term else term}: {text}"),), actions=own)
    name = term.replace(" ", "_")
    if any(name in plugins.names(family) for family in ("commands", "strategies", "rules")):
        return Reply(blocks=(Text(text=f"`help {name}` explains it."),), actions=(Action(label=f"Help {name}", line=f"help topic={name}"),))
    near = difflib.get_close_matches(term, [*TERMS, *ALIASES], n=NEAR)
    if not near:
        raise UserError(f"I have no explanation of {repeated(topic)}.", "`explain delta` is one I have; `help` lists the commands.")
    actions = tuple(Action(label=item, line=f'explain topic="{item}"') for item in near)
    return Reply(blocks=(Text(text=f"I have no explanation of {repeated(topic)}. Did you mean one of these?"),), actions=actions, ok=False)


async def _ticket(desk: Desk, name: str) -> Reply:
    """What the order of a ticket can make and lose, in the figures of its card and as a picture."""
    found = ticket.find(desk, name)
    drafted = found.drafted
    actions = (Action(label="Why", line=f"why ticket={name}"),)
    if not has_payoff(drafted.envelope):
        text = f"Ticket {name} closes, rolls or guards what is held; its card says what that makes or loses."
        return Reply(blocks=(Text(text=text),), actions=actions)
    priced = await ticket.price(desk, drafted.intent, limit=drafted.said_limit, envelope=drafted.envelope)
    chart = await desk.runtime.in_thread(ticket_chart, name, priced)
    state = () if found.is_open else (Notice(text=f"Ticket {name} is {ticket.ended_words(found)}.", tone=Tone.WARNING),)
    return Reply(blocks=(*state, chart), actions=actions)


async def _trade(desk: Desk, trade: Trade) -> Reply:
    """One's own trade in its figures."""
    account = desk.book(trade.account).account
    facts = [
        Fact(label="trade", value=trade.id, note=trade.strategy),
        Fact(label="structure", value=f"{trade.opened_units} x {describe_legs(trade.legs)}", note=f"{trade.open_units} open"),
        Fact(label="opened", value=trade.opened_at),
        Fact(
            label="received" if trade.premium >= 0 else "paid", value=abs(trade.premium), format=Format.MONEY, unit="USD",
            note="for all units, before fees",
        ),
        Fact(label="fees so far", value=trade.fees, format=Format.MONEY, unit="USD"),
    ]
    if trade.thesis:
        facts.append(Fact(label="why", value=trade.thesis))
    if not trade.is_open:
        facts.append(Fact(label="closed", value=trade.closed_at))
        facts.append(Fact(label="result, net", value=trade.realized, format=Format.MONEY, unit="USD", signed=True))
        return Reply(blocks=(Facts(facts=tuple(facts)),))
    (found,) = await priced_holdings(desk, (account,))
    result = next((item for item in found.trades if item.trade.id == trade.id), None)
    pnl = None if result is None else result.pnl
    note = "at mids, net of fees so far" if pnl is not None else "a leg has no usable price"
    facts.append(Fact(label="P&L now", value=pnl, format=Format.MONEY, unit="USD", signed=True, note=note))
    chart = None if result is None else await desk.runtime.in_thread(trade_chart, result, found.view)
    blocks = (Facts(facts=tuple(facts)),) if chart is None else (Facts(facts=tuple(facts)), chart)
    return Reply(blocks=blocks, actions=(Action(label="Close", line=f"close position_id={trade.id}"),))


COMMAND = Command(
    name="explain", help="A term, or one of your own trades or tickets, explained.", run=run, access=Access.READ,
    parameters=(Parameter(name="topic", kind=Kind.TEXT, help="a term such as delta, or the id of a trade or a ticket", required=True),),
    examples=("explain delta", "explain buying power"),
)
