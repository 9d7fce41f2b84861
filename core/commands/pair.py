"""The people who may talk to the desk from a chat: who they are, inviting one, and sending one away.

`pair name=anna role=trader` gives a code; whoever sends `/start CODE` to the desk's bot within a day is anna from then on. A trader may do
everything but loosen limits, lift a halt and change people; a viewer only looks. `pair name=owner` makes a code for the owner's own phone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.command import Access, Call, Command, Kind, Parameter, Role
from core.desk import Desk
from core.errors import UserError
from core.people import INVITE_LIFE, OWNER
from core.reply import Action, Block, Cell, Column, Notice, Reply, Table, Text, Tone

COLUMNS = (Column(title="person"), Column(title="role"), Column(title="known as"), Column(title="called there"), Column(title="by"))


def access(args: Mapping[str, Any]) -> Access:
    """Letting somebody in asks for the PIN; sending somebody away never does."""
    return Access.REDUCE if args.get("remove") else Access.STEPUP if args.get("name") else Access.READ


async def run(desk: Desk, call: Call) -> Reply:
    """List, invite or remove. A code from a stranger never comes here: the channel asks for the person behind it."""
    name, away = call.args.get("name"), call.args.get("remove")
    if call.args.get("code"):
        raise UserError("This chat is paired already; the code was left as it is.", "It is sent from the account that is to be paired.")
    if name and away:
        raise UserError("Either a person comes or one goes.", "`pair name=anna role=viewer`, or `pair remove=anna`.")
    if call.caller.role is not Role.OWNER:
        raise UserError("Only the owner says who may talk to this desk.")
    if away:
        return await _remove(desk, call, str(away).lower())
    return await (_invite(desk, call, str(name).lower()) if name else _listed(desk))


async def _invite(desk: Desk, call: Call, name: str) -> Reply:
    given = call.args.get("role")
    role = Role(given) if given else Role.OWNER if name == OWNER else Role.VIEWER
    code = await desk.people.invite(name, role, by=call.caller.person, now=desk.now())
    hours = int(INVITE_LIFE.total_seconds() // 3600)
    words = f"Code for {name} ({role.value}): {code}. It works once, for {hours} hours: sent to the desk's bot as `/start {code}`."
    return Reply(blocks=(Notice(text=words, tone=Tone.WARNING), Text(text="Give it to nobody else: whoever sends it is that person.")))


async def _remove(desk: Desk, call: Call, name: str) -> Reply:
    gone = await desk.people.remove(name)
    known = f" ({', '.join(one.identity for one in gone)})" if gone else ", who was not paired"
    return Reply(blocks=(Notice(text=f"Removed: {name}{known}. Cards and codes of theirs answer nobody any more.", tone=Tone.GOOD),))


async def _listed(desk: Desk) -> Reply:
    await desk.people.load()
    everybody, waiting = desk.people.everybody, await desk.people.waiting(now=desk.now())
    rows: tuple[tuple[Cell, ...], ...] = tuple((one.person, one.role.value, one.identity, one.name, one.by) for one in everybody)
    blocks: list[Block] = [Table(title="People", columns=COLUMNS, rows=rows)]
    if waiting:
        blocks.append(Text(text=f"Codes not used yet: {', '.join(waiting)}."))
    blocks.append(Text(text="`pair name=anna role=trader` invites somebody; `pair name=owner` pairs your own phone."))
    names = dict.fromkeys(one.person for one in everybody)
    actions = tuple(Action(label=f"Remove {name}", line=f"pair remove={name}", style="danger") for name in names)
    return Reply(blocks=tuple(blocks), actions=actions)


COMMAND = Command(
    name="pair", help="The people who may talk to the desk from a chat: list, invite, remove.", run=run, access=access,
    parameters=(
        Parameter(name="code", kind=Kind.ID, help="the code you were given, from a chat account that is not paired yet"),
        Parameter(name="name", kind=Kind.ID, help="who is invited; owner for your own account", positional=False),
        Parameter(name="role", kind=Kind.CHOICE, choices=("owner", "trader", "viewer"), help="what they may do", positional=False),
        Parameter(name="remove", kind=Kind.ID, help="who is sent away", positional=False),
        Parameter(name="pin", kind=Kind.SECRET, help="your PIN for an invitation; asked for where it is left out", positional=False),
    ),
    examples=("pair", "pair name=anna role=trader", "pair remove=anna"), roles=frozenset({Role.OWNER}),
)
