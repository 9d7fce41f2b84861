"""The one door to the command table: who may do what from where, and what is said when something goes wrong.

Anyone may reduce risk, only a person may add it; that is held here, not in a prompt. A command runs only when the role, the way the call
came and the access class of its arguments allow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core import plugins
from core.command import Access, Call, Caller, Command, Kind, Role, Via, format_call, repeated
from core.commands._planned import planned
from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.events import CancelRequested, Event, Mode, ModeSet, Replacing, Scope, ScopeKind, Submitting
from core.errors import Conflict, DeskError, Unavailable, UserError
from core.logs import Level, about
from core.orders.card import badge_words
from core.orders.states import Outcome
from core.reply import Action, Block, Notice, Reply, Text, Tone, refusal

BY_A_PERSON = frozenset({Via.BUTTON, Via.LINE})
ORDER_PATH = frozenset({"confirm", "cancel"})
ONLY_ON_ITS_CARD = frozenset({"confirm"})  # no button for it is ever made outside the card itself
_WIRE = (Submitting, Replacing, CancelRequested)


def command_of(name: str) -> Command:
    """The command of a name; raise UserError where there is none, or none yet."""
    if name in planned():
        raise UserError(f"`{name}` is planned and not available yet ({planned()[name]}).", "`help` lists what there is.")
    if name not in plugins.names("commands"):
        raise UserError(f"There is no command {repeated(name)}.", "`help` lists what there is.")
    command: Command = plugins.load("commands", name).COMMAND
    return command


async def dispatch(desk: Desk, call: Call) -> Reply:
    """Check and run a call. Never raises but for cancellation: what goes wrong is a reply that says so in a sentence."""
    try:
        command = command_of(call.command)
    except UserError as error:
        return stamped(desk, refusal(str(error)), call.caller)
    line = call_line(command, call.args)
    access = command.access_for(call.args, desk)
    caller = call.caller
    with about(call=caller.message_id or desk.logs.call_id(), person=caller.person, via=caller.via.value):
        reply = _stands_in_the_way(command, call, access, line)
        if reply is None:
            reply = await _run(desk, command, call, access)
        _write_down(desk, line, access, reply)
    return stamped(desk, replace(reply, command=reply.command or line), caller)


def _write_down(desk: Desk, line: str, access: Access, reply: Reply) -> None:
    """Who asked what and whether it was done; why not, where it was not."""
    no = "" if reply.ok else " ".join(block.text for block in reply.blocks if isinstance(block, Notice | Text))
    routine = access is Access.READ and reply.ok
    desk.log(Level.DEBUG if routine else Level.INFO, "call", line=line, access=access.name.lower(), ok=reply.ok, no=no, cites=reply.cites)


def call_line(command: Command, args: Mapping[str, Any]) -> str:
    """The typed line of a call, without secrets."""
    secret = {parameter.name for parameter in command.parameters if parameter.kind is Kind.SECRET}
    return format_call(command, {name: value for name, value in args.items() if name not in secret})


def stamped(desk: Desk, reply: Reply, caller: Caller) -> Reply:
    """A reply with the badge and time every answer carries, and without any secret."""
    return desk.redaction.clean(replace(reply, badge=reply.badge or badge(desk, caller), at=reply.at or desk.now()))


def badge(desk: Desk, caller: Caller) -> str:
    """PAPER or LIVE, the mode where it is not ACTIVE, and where the market data comes from."""
    try:
        account = desk.account(caller).id
    except (UserError, KeyError):
        return f"NO ACCOUNT · {desk.reader.label()}"
    mode, _ = desk.mode(account=account)
    return badge_words(account.env, mode, desk.reader.label())


def _stands_in_the_way(command: Command, call: Call, access: Access, line: str) -> Reply | None:
    """The reply to a call this caller may not make in this way, None where it may."""
    caller = call.caller
    if caller.role not in command.roles or (caller.role is Role.VIEWER and access is not Access.READ):
        return refusal(f"Your role ({caller.role.value}) may look but not do that. Ask the owner to make you a trader.")
    if access in (Access.READ, Access.DRAFT):
        return None
    if access is Access.REDUCE:
        return _offer(command, line, "A model may not do this by itself; press the button to do it.") if caller.via is Via.MODEL else None
    if access is Access.COMMIT:
        return None if caller.via in BY_A_PERSON else _not_committed(command, call, line)  # a mandate's orders never come this way
    if caller.via is Via.SENTENCE:
        return _offer(command, line, "This loosens what protects the account. Press the button; you will be asked for your PIN.")
    if caller.via not in BY_A_PERSON:
        return refusal(f"Only a person may do this, with a PIN: `{line}`. Nothing was changed.")
    if not caller.proved:
        notice = Notice(text=f"`{line}` loosens what protects the account and needs your PIN. Nothing was changed yet.", tone=Tone.WARNING)
        return Reply(blocks=(notice,), ok=False, data={"needs": "pin"})
    return None


def _not_committed(command: Command, call: Call, line: str) -> Reply:
    caller = call.caller
    if call.args.get("card") is not None:  # the press on a card that grants something: no button of it is ever made elsewhere either
        return refusal("Only your own press on that card, or its exact line typed, does this. Nothing was changed.")
    if command.name in ONLY_ON_ITS_CARD:
        return refusal("Only a press on the card, or the typed words `confirm` and the ticket's id, can confirm. Nothing was sent.")
    if caller.via in (Via.SENTENCE, Via.MODEL):
        return _offer(command, line, "Only your own press does this.")
    return refusal(f"Only a person may do this: `{line}`. Nothing was changed.")


def _offer(command: Command, line: str, why: str) -> Reply:
    """A card with the button that does it: where a sentence or a model may not act itself."""
    label = command.name.replace("_", " ").capitalize()
    blocks: tuple[Block, ...] = (Notice(text=f"{command.help} {why} Nothing was done yet.", tone=Tone.WARNING),)
    return Reply(blocks=blocks, actions=(Action(label=label, line=line, style="danger", once=True),), ok=False)


async def _run(desk: Desk, command: Command, call: Call, access: Access) -> Reply:
    wire = _Wire()
    stop = desk.listen(wire)
    try:
        for last in (False, True):
            try:
                return await command.run(desk, call)
            except Conflict as error:
                if last:
                    return refusal(f"The desk was busy with something else ({error}). {wire.words} Try again.")
        raise AssertionError("a conflict is retried once")
    except UserError as error:
        return refusal(_sentence(str(error)))
    except Unavailable as error:
        return refusal(f"{_capital(str(error))}. {wire.words}")
    except DeskError as error:
        return refusal(f"{_capital(str(error))}. {wire.words}")
    except Exception as error:  # noqa: BLE001 - a bug in any command is reported with an id and answered with a sentence
        return await _bug(desk, command, call, error, wire)
    finally:
        stop()


async def _bug(desk: Desk, command: Command, call: Call, error: Exception, wire: _Wire) -> Reply:
    identity = desk.report(f"command {command.name}", error)
    text = f"Something went wrong on our side ({identity}). {wire.words}"
    if command.name in ORDER_PATH or wire.touched:
        text += await _reduce_only(desk, call, identity)
    return refusal(text)


async def _reduce_only(desk: Desk, call: Call, identity: str) -> str:
    """After an error on the order path only reducing orders pass until a person has looked."""
    try:
        account = _account_meant(desk, call)
        scope = Scope(kind=ScopeKind.ACCOUNT, name=str(account))
        mode = ModeSet(scope=scope, mode=Mode.REDUCING, cause=f"bug:{identity}", reason=f"an error on the order path ({identity})")
        await desk.record(desk.draft(mode, actor="desk", stream=str(account)))
    except (DeskError, KeyError) as error:
        desk.runtime.report(f"{identity}: REDUCING was not recorded", error)
        return ""
    return " Until you `resume`, only orders that reduce risk are sent."


def _account_meant(desk: Desk, call: Call) -> AccountId:
    """The account of the ticket or order a call names, else the one it is made for."""
    ticket = desk.fold.tickets.get(str(call.args.get("ticket")))
    if ticket is not None:
        return ticket.drafted.envelope.account
    order = desk.books.order(str(call.args.get("order_id")))
    return order.account if order is not None else desk.account(call.caller, call.args.get("account")).id


class _Wire:
    """Hears whether anything was written ahead for a broker meanwhile: without it no byte of an order can have left."""

    def __init__(self) -> None:
        self.touched = False

    def __call__(self, event: Event, outcomes: tuple[Outcome, ...]) -> None:
        self.touched = self.touched or isinstance(event.body, _WIRE)

    @property
    def words(self) -> str:
        """Whether anything was sent, as far as this call can know."""
        return "Whether anything was sent is unknown: see `status`." if self.touched else "Nothing was sent to the broker."


def _sentence(text: str) -> str:
    """A reason as a sentence; the name of a command, strategy or parameter in front keeps its letters."""
    text = text if text.endswith((".", "!", "?")) else f"{text}."
    return text if "_" in text.split(" ", 1)[0] else _capital(text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
