"""Send nothing but cancels and closing orders you confirm one by one. Working orders stay; `kill` also cancels them.

Of the whole desk, or of one account, strategy or underlying: `halt SPX` holds for every SPX and SPXW contract. It survives a restart;
`unhalt` lifts it with the PIN.
"""

from __future__ import annotations

from core.command import Access, Call, Command
from core.commands._modes import HALTED, NOT_WRITTEN, SCOPE_PARAMETERS, scope_argument, scope_of, set_mode, standing_words
from core.desk import Desk
from core.domain.events import Mode, Scope, ScopeKind
from core.domain.modes import scope_names
from core.errors import Unavailable
from core.orders.kill import HALTED_BY, kills
from core.orders.states import Order
from core.reply import Action, Notice, Reply, Text, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Record the halt; where the log cannot be written, leave the HALT file instead, which halts the whole desk."""
    scope, reason, written = scope_of(desk, call), f"{HALTED_BY}{call.caller.person}", True
    try:
        cites = (await set_mode(desk, call, Mode.HALT, cause=HALTED, reason=reason, scope=scope)).seqs
    except Unavailable:
        if desk.write_halt is None:
            raise
        there = desk.halt_reason()
        if there is None or not kills(desk, there):  # one that kills says more
            written = await desk.halt_by_file(reason, only_halts=True)
        cites, scope = (), Scope()
    working = sum(_concerns(scope, order) for book in desk.books.accounts.values() for order in book.live.values())
    blocks = [Notice(text=standing_words(desk, scope), tone=Tone.WARNING)]
    if not written:
        blocks.append(Notice(text=NOT_WRITTEN, tone=Tone.BAD))
    if working:
        blocks.append(Notice(text=f"{working} working order(s) stay at the broker; `kill` cancels them.", tone=Tone.WARNING))
    everything: tuple[Action, ...] = ()
    if scope.kind is not ScopeKind.DESK:  # a word too much, such as `halt now`, names a ticker
        blocks.append(Notice(text="Only that is halted; all else goes on. `halt` alone halts the desk.", tone=Tone.WARNING))
        everything = (Action(label="Halt everything", line="halt", style="danger"),)
    lift = f"unhalt{scope_argument(scope)}"
    closing = Text(text=f"Closing orders can still be confirmed one by one. `{lift}` lifts this with your PIN.")
    actions = (*everything, Action(label="Kill", line="kill", style="danger"), Action(label="Status", line="status"))
    return Reply(blocks=(*blocks, closing), actions=actions, cites=cites)


def _concerns(scope: Scope, order: Order) -> bool:
    names = {
        ScopeKind.DESK: ("",), ScopeKind.ACCOUNT: (str(order.account),), ScopeKind.STRATEGY: (order.envelope.strategy,),
        ScopeKind.INSTRUMENT: scope_names(order.envelope.legs),
    }
    return scope.name in names[scope.kind]


COMMAND = Command(
    name="halt", help="Nothing is sent but cancels and closing orders you confirm one by one: at all, or of what you name.", run=run,
    access=Access.REDUCE, parameters=SCOPE_PARAMETERS, examples=("halt", "halt SPX", "halt account=practice"),
)
