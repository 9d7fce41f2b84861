"""A standing permission: the desk closes trades by itself where a rule calls for it, inside bounds you grant and can take back at once.

`mandate grant profit_target put_credit_spread XSP quantity=2` draws a card with every bound and the open trades it would act on now;
nothing is in force until you press Grant on it. Example: with a profit target of 50% a spread sold for 1.20 is then bought back by itself
once it costs 0.60, at most 2 units an order and 3 orders a day. `mandate list` shows what is in force, `mandate revoke` ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import plugins
from core.announce import revoke_action
from core.command import Access, Call, Command, Kind, Parameter, Role
from core.commands._mandates import asked, left_over, standing_words
from core.commands._modes import actor_of
from core.desk import Desk
from core.errors import UserError
from core.orders import mandates
from core.reply import Action, Block, Facts, Notice, Reply, Text, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """List, revoke, draw the card of a grant, or grant what a card offered."""
    action = call.args["action"]
    if action == "list":
        return _listed(desk, call.args)
    if action == "revoke":
        return await _revoke(desk, call)
    if call.caller.role is not Role.OWNER:
        raise UserError("Only the owner grants mandates.", "Ask the owner; you may revoke one.")
    if call.args.get("card") is not None:
        return await _grant(desk, call)
    return await mandates.offer(desk, asked(desk, call))


def access(args: Mapping[str, Any]) -> Access:
    """READ to list, REDUCE to revoke, COMMIT to grant."""
    return {"list": Access.READ, "revoke": Access.REDUCE}.get(args.get("action", ""), Access.COMMIT)


async def _grant(desk: Desk, call: Call) -> Reply:
    name = str(call.args.get("id") or "")
    found = await mandates.grant(desk, name, str(call.args["card"]), call.caller)
    if isinstance(found, Reply):
        return found
    state = desk.fold.mandates(now=desk.now())[name]
    notice = Notice(text=f"Mandate {name} is in force until {state.mandate.valid_until:%d %b %y}.", tone=Tone.GOOD)
    return Reply(blocks=(notice,), actions=(revoke_action(name),), cites=found, data={"mandate": name})


async def _revoke(desk: Desk, call: Call) -> Reply:
    """End one mandate, or all in force where none is named; orders that work already are named, with their Cancel buttons."""
    name = call.args.get("id")
    states = desk.fold.mandates(now=desk.now())
    if name is not None and name not in states:
        raise UserError(f"There is no mandate {name!r}.", "`mandate list` shows them.")
    ended = [state for key, state in states.items() if state.in_force and name in (None, key)]
    if not ended:
        which = f"Mandate {name} {states[name].ended}" if name is not None else "No mandate is in force"
        return Reply(blocks=(Notice(text=f"{which}; nothing was to be revoked."),))
    cites = await mandates.revoke(desk, ended, actor=actor_of(call), reason=f"by {call.caller.person}")
    names = [state.mandate.id for state in ended]
    blocks: list[Block] = [Notice(text=f"Revoked: {', '.join(names)}. Nothing more is sent or repriced under it.", tone=Tone.GOOD)]
    working = [order for book in desk.books.accounts.values() for order in book.live.values() if order.mandate in names]
    blocks += left_over(working)
    actions = tuple(Action(label=f"Cancel {order.client_id}", line=f"cancel {order.client_id}", style="danger") for order in working)
    return Reply(blocks=tuple(blocks), actions=actions, cites=cites)


def _listed(desk: Desk, args: Mapping[str, Any]) -> Reply:
    states = desk.fold.mandates(now=desk.now())
    named = args.get("id")
    shown = [state for key, state in states.items() if (key == named if named is not None else state.in_force)]
    if not shown:
        example = "`mandate grant profit_target quantity=1` draws the card of one."
        return Reply(blocks=(Text(text=f"No mandate is in force: nothing is sent without your press. {example}"),))
    blocks = tuple(
        Facts(title=f"Mandate {item.mandate.id}: {standing_words(desk, item)}", facts=mandates.bounds_facts(desk, item.mandate))
        for item in shown
    )
    return Reply(blocks=blocks, actions=tuple(revoke_action(state.mandate.id) for state in shown if state.in_force))


COMMAND = Command(
    name="mandate",
    help="Standing permissions with bounds: what the desk may close by itself. Grant, revoke, list.",
    run=run,
    access=access,
    parameters=(
        Parameter(name="action", kind=Kind.CHOICE, choices=("grant", "revoke", "list"), required=True, help="grant, revoke or list"),
        Parameter(name="rule", kind=Kind.CHOICE, choices=plugins.names("exits"), help="the exit that may act by itself"),
        Parameter(name="strategy", kind=Kind.STRATEGY, help="trades of this strategy only"),
        Parameter(name="symbol", kind=Kind.SYMBOL, help="trades on this underlying only"),
        Parameter(name="id", kind=Kind.ID, help="a mandate's id, as on its card"),
        Parameter(name="quantity", kind=Kind.QUANTITY, help="most units one order may close", positional=False),
        Parameter(name="orders", kind=Kind.QUANTITY, help="most orders a day; 3 where left out", positional=False),
        Parameter(name="concession", kind=Kind.MONEY, help="most a share an urgent exit may pay beyond natural", positional=False),
        Parameter(name="days", kind=Kind.INTEGER, help="days it lasts; 30 where left out", positional=False),
        Parameter(name="card", kind=Kind.ID, help="the card a press is for; its Grant button carries it", positional=False),
    ),
    examples=(
        "mandate grant profit_target put_credit_spread XSP quantity=2 orders=3 days=30", "mandate grant credit_stop quantity=1",
        "mandate revoke M1A2B3C4", "mandate revoke", "mandate list",
    ),
)
