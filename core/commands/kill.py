"""Stop everything: no order leaves any more, and every working order is cancelled, in every account. Works in any mode.

With `flatten` also a closing ticket for every position; each still needs your press. An order counts as cancelled only when the broker
says so; the others are named. After that the desk goes on by itself until the broker's complete books prove that no order of it works, and
tells you so, or names what may still fill.
"""

from __future__ import annotations

from dataclasses import replace

from core import plugins
from core.command import Access, Call, Command, Kind, Parameter
from core.commands._external import left_alone
from core.commands._modes import NOT_WRITTEN, actor_of, set_mode
from core.commands._standing import armed
from core.desk import Desk
from core.domain.events import Mode
from core.domain.modes import KILL
from core.errors import DeskError, Unavailable, UserError
from core.orders.sender import Cancelled, cancel_all
from core.reply import Action, Block, Notice, Reply, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Halt first, durably; then cancel; then, if asked, draft what would close everything."""
    cites, written = await _halt(desk, call)
    cancelled = await cancel_all(desk, tuple(desk.senders.values()), reason=KILL, actor=actor_of(call))
    blocks: list[Block] = [Notice(text="HALTED. Nothing is sent but cancels and closing orders you confirm.", tone=Tone.BAD)]
    if not written:
        blocks.append(Notice(text=NOT_WRITTEN, tone=Tone.BAD))
    blocks += _cancel_words(cancelled)
    waiting = armed(desk)
    if waiting:
        text = f"{len(waiting)} standing orders wait" if len(waiting) > 1 else "1 standing order waits"
        send = "send" if len(waiting) > 1 else "sends"
        text += f" at the desk and {send} nothing while it is halted; "
        blocks.append(Notice(text=f"{text}a stop that is touched rings instead.", tone=Tone.WARNING))
    strange, actions = left_alone(desk, tuple(desk.senders))
    blocks += strange
    if call.args.get("flatten"):
        for reply in await _flatten(desk, call):
            blocks += reply.blocks
            actions += reply.actions
            cites += reply.cites
    elif any(book.positions for book in desk.books.accounts.values()):
        actions.append(Action(label="Close everything", line="close scope=all", style="danger"))
    actions.append(Action(label="Status", line="status"))
    return Reply(blocks=tuple(blocks), actions=tuple(actions), ok=not cancelled.pending, cites=cites, data={"halted": True})


async def _halt(desk: Desk, call: Call) -> tuple[tuple[int, ...], bool]:
    """In the log; where the log cannot be written, by the HALT file that every send looks at. False where neither is written yet."""
    reason = f"killed by {call.caller.person}"
    try:
        return (await set_mode(desk, call, Mode.HALT, cause=KILL, reason=reason)).seqs, True
    except (Unavailable, DeskError):
        if desk.write_halt is None:
            raise
        return (), await desk.halt_by_file(reason)


def _cancel_words(cancelled: Cancelled) -> list[Block]:
    if not cancelled.done and not cancelled.pending:
        return [Notice(text="No order was working.", tone=Tone.INFO)]
    blocks: list[Block] = []
    if cancelled.done:
        blocks.append(Notice(text=f"No longer working, by the broker's word: {', '.join(cancelled.done)}.", tone=Tone.GOOD))
    if cancelled.pending:
        text = f"NOT YET CANCELLED, they may still fill: {', '.join(cancelled.pending)}. The desk goes on and tells you what it proves."
        blocks.append(Notice(text=text, tone=Tone.BAD))
    return blocks


async def _flatten(desk: Desk, call: Call) -> list[Reply]:
    """A closing ticket for every position of every account; what cannot be drawn is said and holds up nothing else."""
    close: Command = plugins.load("commands", "close").COMMAND
    found: list[Reply] = []
    for account in desk.config.accounts:
        if not desk.book(account.id).positions:
            continue
        try:
            found.append(await close.run(desk, replace(call, command="close", args={"scope": "all", "account": account.name})))
        except (UserError, Unavailable) as error:
            found.append(Reply(blocks=(Notice(text=f"{account.name}: no closing tickets: {error}", tone=Tone.BAD),)))
    return found


COMMAND = Command(
    name="kill", help="Stops all sending and cancels every working order; with flatten also tickets that close everything.", run=run,
    access=Access.REDUCE,
    parameters=(
        Parameter(name="scope", kind=Kind.CHOICE, choices=("all",), help="all: it always stops everything; the word may be said"),
        Parameter(name="flatten", kind=Kind.FLAG, help="also draft tickets that close everything"),
    ),
    examples=("kill", "kill flatten"),
)
