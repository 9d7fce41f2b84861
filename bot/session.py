"""A conversation with one person in one chat: message or press in, reply out. The only door a channel uses.

It knows who is talking, does each message once, keeps the buttons of the last answers and asks for the PIN where a change needs one.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from bot.auth import PIN_FORM, Person, Pins
from bot.buttons import Button, Buttons, Stored
from bot.intent.frames import Frame
from bot.intent.line import Typed, Unclear, parse
from bot.intent.meaning import answer_to, changes_nothing, lane_meant, meant
from bot.intent.memory import Memory
from core.clock import exchange_date
from core.command import Access, Call, Caller, Kind, Role, Via, repeated
from core.desk import Desk
from core.dispatch import call_line, command_of, dispatch, stamped
from core.domain.encoding import digest
from core.domain.events import TicketShown
from core.errors import DeskError, Unavailable, UserError
from core.lanes import STOPS, Lane, lane_of
from core.logs import Level
from core.ports import Put
from core.reply import Action, Notice, Reply, Text, Tone, refusal

REMEMBERED = 256  # messages whose answer can be repeated
CARDS = 20  # answers whose buttons can still be pressed by label
KEEPS_BUTTONS = "keeps_buttons"  # of an answer: the numbers go on meaning what they meant
SECOND_TAP_SECONDS = 1.0  # within this nobody has read the answer
SHORTEST_TOKEN = 16  # what is shorter is a number or a label
SHORTEST_LABEL = 3  # letters of a label that may stand for it
NO_PIN = "This needs a PIN, and there is none in this place; use the terminal."
NOT_DONE = "Nothing was done about what you typed, and nothing was sent."
SECRET = re.compile(r"\bpin=[^\s']+", re.IGNORECASE)
CANCEL_WORDS = frozenset({"cancel", "no", "stop", "never mind", "back"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A reply as it left, with the buttons it carries."""

    reply: Reply
    buttons: tuple[Button, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Handling:
    """A message in hand, and its answer once there is one."""

    done: asyncio.Event
    shown: Shown | None = None


class Session:
    """One person in one chat."""

    def __init__(self, desk: Desk, *, person: Person, chat: str, pins: Pins | None = None, one_line: bool = False) -> None:
        """`one_line`: nothing can be typed after the first line, so a PIN has to stand in it."""
        self._desk = desk
        self._person = person
        self._chat = chat
        self._pins = pins
        self._one_line = one_line
        self._buttons = Buttons(desk.archive, desk.runtime.entropy)
        self._last: tuple[Button, ...] = ()  # what a typed number means
        self._last_seconds = float("-inf")  # since when
        self._typed = ""  # the number typed last
        self._cards: list[tuple[Button, ...]] = []  # what a typed label means: the newest that has it
        self._waiting: Call | None = None  # for a PIN
        self._answers: OrderedDict[str, _Handling] = OrderedDict()
        self._inbox = desk.runtime.lock()
        self._memory = Memory(desk.archive, person=person.id, chat=chat)

    @property
    def desk(self) -> Desk:
        """The desk this conversation is with."""
        return self._desk

    @property
    def expects_secret(self) -> bool:
        """Whether the next line may be a PIN, which is not to be shown."""
        return self._waiting is not None

    # --- in ------------------------------------------------------------------------------------------------------------

    async def message(self, text: str, message_id: str = "") -> Reply:
        """Answer what a person typed. The same message id again gives the same answer and has no second effect."""
        return (await self.hear(text, message_id)).reply

    async def press(self, what: str | int, message_id: str = "") -> Reply:
        """Answer a press: the button's token, its number in the last answer, or its label."""
        return (await self.push(what, message_id)).reply

    async def hear(self, text: str, message_id: str = "") -> Shown:
        """`message`, with the buttons of the answer."""
        name = _storable(message_id)
        return await self._once(name, self.lane(text), self._line_of(text), lambda: self._heard(text.strip(), name))

    async def push(self, what: str | int, message_id: str = "") -> Shown:
        """`press`, with the buttons of the answer."""
        what, name = str(what).strip(), _storable(message_id)
        return await self._once(name, self.lane_of_press(what), self._line_of_press(what), lambda: self._pushed(what, name))

    def lane(self, text: str) -> Lane:
        """Which lane a typed text belongs to: what stops and what decides goes before questions, what stops also while a PIN is awaited."""
        lane = lane_meant(self._line_of(text))
        return Lane.DECIDE if self._waiting is not None and lane is not Lane.STOP else lane

    def lane_of_press(self, what: str) -> Lane:
        """Which lane a press belongs to; of a button only the archive knows, the one of decisions."""
        line = self._line_of_press(what)
        return lane_of(line) if line else Lane.DECIDE

    def _line_of(self, text: str) -> str:
        """The line a typed text stands for: a button's, where it names one."""
        try:
            button = self._named(text.strip())
        except UserError:
            return text
        return text if button is None else button.line

    def _line_of_press(self, what: str) -> str:
        """The line of a button on one of the last cards, empty where only the archive knows it."""
        known = next((button for card in reversed(self._cards) for button in card if button.token == what), None)
        return known.line if known is not None else self._line_of(what) if len(what) < SHORTEST_TOKEN else ""

    async def tell(self, reply: Reply) -> Shown:
        """Give an announcement's actions buttons. They are numbered after those already on the screen, whose numbers keep their meaning.

        One with a ready ticket is shown as that ticket's card, which then counts as shown in this chat.
        """
        reply = self._desk.redaction.clean(await self._with_card(reply))
        first = max((button.number for button in self._last), default=0) + 1
        try:
            buttons = await self._issue(reply, first=first)
        except Unavailable as error:  # the news itself is worth more than its buttons
            self._desk.runtime.report("buttons", error)
            return Shown(reply=reply)
        self._last = (*self._last, *buttons)
        return Shown(reply=reply, buttons=buttons)

    async def _with_card(self, reply: Reply) -> Reply:
        name = str(reply.data.get("ticket") or "")
        ticket, card = self._desk.fold.tickets.get(name), self._desk.cards.get(name)
        if ticket is None:
            return replace(reply, data={})
        drafted = ticket.drafted
        if card is None or not ticket.is_open or digest(card.blocks) != drafted.card_hash:
            trade = drafted.envelope.trade_id
            again = () if trade is None else (Action(label="Close it", line=f"close position_id={trade}"),)  # the card is drawn on demand
            return replace(reply, data={}, actions=(*again, *reply.actions))
        shown = TicketShown(ticket_id=name, chat=self._chat, at=self._desk.now())
        stream = str(drafted.envelope.account)
        try:
            await self._desk.record(self._desk.draft(shown, actor=f"chat:{self._chat}", stream=stream, correlation=name))
        except DeskError as error:  # the owner may press it all the same
            self._desk.runtime.report("card shown", error)
        return replace(card, actions=(*card.actions, *reply.actions), cites=reply.cites)

    async def _once(self, message_id: str, lane: Lane, line: str, answer: Callable[[], Awaitable[Reply]]) -> Shown:
        """Answer a message within its lane, and each message once; what finds no place is refused before anything of it is done."""
        try:
            if message_id not in self._answers:  # a repeat costs nobody anything
                self._desk.lanes.admit(lane, self._person.id)
        except UserError as error:
            return self._left_out(message_id, error)
        if not message_id:
            return await self._placed(lane, answer)
        try:
            mine, handling = await self._taken(message_id, again=lane is Lane.STOP, repeatable=_repeatable(lane, line))
        except Unavailable as error:
            return self._left_out(message_id, UserError(f"{_capital(str(error))}.", NOT_DONE))
        if not mine:
            await handling.done.wait()
            return handling.shown or Shown(reply=self._stamped(refusal("That message was handled before. `status` says how things stand.")))
        try:
            handling.shown = await self._placed(lane, answer)
            return handling.shown
        finally:
            handling.done.set()

    async def _placed(self, lane: Lane, answer: Callable[[], Awaitable[Reply]]) -> Shown:
        try:
            async with self._desk.lanes.place(lane, self._person.id):
                return await self._answered(await answer())
        except UserError as error:
            return Shown(reply=self._stamped(refusal(str(error))))

    def _left_out(self, message_id: str, error: UserError) -> Shown:
        """Say that a message was left out; nothing of it is stored, and the same message again hears the same."""
        shown = Shown(reply=self._stamped(refusal(str(error))))
        if message_id:
            handling = self._answers.get(message_id) or self._remembered(message_id)
            handling.shown = shown
            handling.done.set()
        return shown

    def _remembered(self, message_id: str) -> _Handling:
        fresh = self._answers[message_id] = _Handling(done=self._desk.runtime.event())
        while len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return fresh

    async def _taken(self, message_id: str, *, again: bool, repeatable: bool) -> tuple[bool, _Handling]:
        """Whether this delivery of a message is the one to act on; recorded before any effect, so at most once even through a crash.

        `again`: what stops things is done once more after a restart: the life that took it in may have ended before it had any effect.
        Where the record cannot be kept (a full disk), only what may be done twice is heard. Raises Unavailable for the rest, of which
        nothing is done.
        """
        async with self._inbox:
            known = self._answers.get(message_id)
            if known is not None:
                return False, known
            fresh = self._remembered(message_id)
            try:
                if await self._desk.archive.select("inbox", where={"transport": self._chat, "update_id": message_id}):
                    if again:
                        return True, fresh
                    fresh.done.set()  # before a restart: its answer is gone, its effect is not repeated
                    return False, fresh
                row = {"transport": self._chat, "update_id": message_id, "at": self._desk.now().isoformat()}
                await self._desk.archive.write([Put(table="inbox", row=row)])
            except Unavailable as error:
                self._desk.runtime.report("inbox", error)
                if not repeatable:
                    raise
            return True, fresh

    async def _answered(self, reply: Reply) -> Shown:
        """The answer with its buttons; without them, and a word on how to do without, where they cannot be stored."""
        try:
            buttons = await self._issue(reply, first=1)
        except Unavailable as error:
            self._desk.runtime.report("buttons", error)
            lines = ", ".join(f"`{action.line}`" for action in reply.actions)
            notice = Notice(text=f"There are no buttons now ({error}). Type the line itself: {lines}.", tone=Tone.WARNING)
            reply, buttons = replace(reply, blocks=(*reply.blocks, notice), actions=()), ()
        if not reply.data.get(KEEPS_BUTTONS):
            self._last, self._last_seconds = buttons, self._desk.runtime.seconds()
        return Shown(reply=reply, buttons=buttons)

    async def _issue(self, reply: Reply, *, first: int) -> tuple[Button, ...]:
        buttons = await self._buttons.issue(reply, person=self._person.id, chat=self._chat, now=self._desk.now(), first=first)
        if buttons:
            self._cards = [*self._cards, buttons][-CARDS:]
        return buttons

    # --- what was meant ------------------------------------------------------------------------------------------------

    async def _heard(self, text: str, message_id: str) -> Reply:
        try:
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                if PIN_FORM.fullmatch(text):
                    return await self._with_pin(waiting, text)
                if text.lower() in CANCEL_WORDS:
                    return self._stamped(Reply(blocks=(Text(text="Left as it was."),)))
                if text.isdecimal() and text not in {str(button.number) for button in self._last}:
                    raise UserError("A PIN is 4 to 12 digits; nothing was changed.", "Ask for the change again.")
            button = self._named(text)
            if button is not None:
                tapped = self._second_tap(text, button)
                return tapped if tapped is not None else await self._pressed(button.token, message_id)
            return await self._line(text, message_id)
        except UserError as error:
            return self._stamped(refusal(without_pin(str(error))))
        except DeskError as error:
            return self._stamped(refusal(f"{_capital(str(error))}. {NOT_DONE}"))

    async def _pushed(self, what: str, message_id: str) -> Reply:
        try:
            button = self._named(what)
            return await self._pressed(what if button is None else button.token, message_id)
        except UserError as error:
            return self._stamped(refusal(str(error)))
        except DeskError as error:
            return self._stamped(refusal(f"{_capital(str(error))}. {NOT_DONE}"))

    def _second_tap(self, text: str, button: Button) -> Reply | None:
        """A number typed twice in a row was meant for the answer before, whose buttons it no longer means: the answer then, else None."""
        again, self._typed = text == self._typed, text if text.isdigit() else ""
        fresh = self._desk.runtime.seconds() - self._last_seconds < SECOND_TAP_SECONDS
        if not (again and fresh and text.isdigit()) or lane_of(button.line) is Lane.ASK:
            return None
        words = f"{text} came twice in a row, and now means {button.label}. Nothing more was done; if you mean it, type {text} again."
        return self._stamped(replace(refusal(words), data={KEEPS_BUTTONS: True}))

    def _named(self, text: str) -> Button | None:
        """The button a number or label means, None where the text is neither. Raises UserError where it is a number without a button."""
        if text.isascii() and text.isdigit() and len(text) <= 3:
            found = next((button for button in self._last if button.number == int(text)), None)
            if found is None:
                raise UserError(f"There is no button {text} on the last answer.", "An earlier card's button answers to its label.")
            return found
        word = text.lower()
        # On the answer before one's eyes a label is the button. Further up it is so only where the words are no command of their own.
        for buttons in (self._last, *(() if self._is_command(text) else reversed(self._cards))):
            exact = [button for button in buttons if button.label.lower() == word]
            if exact:
                return exact[0] if len(exact) == 1 else _which(exact)
        if len(word) < SHORTEST_LABEL or self._names_command(word):
            return None
        for buttons in reversed(self._cards):
            near = [button for button in buttons if button.label.lower().startswith(word)]
            if near:
                return near[0] if len(near) == 1 else _which(near)
        return None

    def _is_command(self, text: str) -> bool:
        try:
            return isinstance(parse(text), Typed)
        except UserError:
            return False

    def _names_command(self, word: str) -> bool:
        try:
            command_of(word.split()[0])
        except UserError:
            return False
        return True

    async def _line(self, text: str, message_id: str) -> Reply:
        """A typed text: an exact command, or a sentence in the light of what was said before."""
        now = self._desk.now()
        context, today = await self._said_before(), exchange_date(now)
        read = meant(text, context=context, today=today)
        if isinstance(read, Unclear):
            reply = self._stamped(_unclear(read))
        elif isinstance(read, Frame):
            reply = self._stamped(answer_to(read, text, context=context, today=today))
        else:
            reply = await self._call(read.typed, read.via, message_id)
        await self._keep(text, reply)
        return reply

    async def _said_before(self) -> list[dict[str, str]]:
        try:
            return await self._memory.turns(self._desk.now())
        except Unavailable as error:  # a sentence is then taken by itself
            self._desk.runtime.report("conversation", error)
            return []

    async def _keep(self, text: str, reply: Reply) -> None:
        """Remember what was said, for a follow-up; never what may be a secret."""
        ticket = f"Ticket {reply.data['ticket']}: " if reply.data.get("ticket") else ""
        words = " ".join(block.text for block in reply.blocks if isinstance(block, Notice | Text))
        try:
            clean = self._desk.redaction.redact
            await self._memory.add(self._desk.now(), clean(without_pin(text)), clean(ticket + words))
        except Unavailable as error:
            self._desk.runtime.report("conversation", error)

    async def _call(self, read: Typed, via: Via, message_id: str) -> Reply:
        secret = [parameter.name for parameter in read.command.parameters if parameter.kind is Kind.SECRET]
        pins = [read.args.pop(name) for name in secret if name in read.args]
        call = Call(command=read.command.name, args=read.args, caller=self._caller(via, message_id))
        if pins and read.command.access_for(read.args, self._desk) is Access.STEPUP:
            return await self._with_pin(call, str(pins[0]))
        reply = await dispatch(self._desk, call)
        if reply.data.get("needs") != "pin":
            return reply
        if self._pins is None:
            return replace(reply, blocks=(Notice(text=NO_PIN, tone=Tone.BAD),))
        if self._one_line:
            line = f"{call_line(read.command, read.args)} pin=..."
            return replace(reply, blocks=(*reply.blocks, Text(text=f"Give the PIN with the command: `{line}`.")))
        self._waiting = call
        return replace(reply, blocks=(*reply.blocks, Text(text="Type your PIN now, or `no` to leave it as it is.")))

    async def _with_pin(self, call: Call, pin: str) -> Reply:
        self._desk.redaction.add(pin)
        no = NO_PIN if self._pins is None else self._pins.check(pin)
        line = call_line(command_of(call.command), call.args)
        if no is not None:
            self._desk.log(Level.WARNING, "pin refused", person=self._person.id, chat=self._chat, line=line)
            return self._stamped(refusal(no, command=line))
        return await dispatch(self._desk, replace(call, caller=replace(call.caller, proved=True)))

    # --- buttons -------------------------------------------------------------------------------------------------------

    async def _pressed(self, token: str, message_id: str) -> Reply:
        stored = await self._buttons.find(token)
        if stored is None:
            raise UserError("That button is not known here; nothing was done.", "Ask again for a fresh card.")
        if stored.person != self._person.id:
            self._desk.runtime.report("buttons", DeskError(f"{self._person.id} pressed a button of {stored.person}"))
            raise UserError("That button is not yours; nothing was done.")
        self._check(stored)
        read = parse(stored.line)
        if isinstance(read, Unclear):
            raise UserError("That button's command does not exist any more; nothing was done.", "Ask again for a fresh card.")
        if stored.once and stored.used_at is None:
            await self._buttons.mark_used(stored, now=self._desk.now())
        return await self._call(read, Via.BUTTON, message_id)

    def _check(self, stored: Stored) -> None:
        """Refuse what can be refused without the ticket; a ticket's own state decides about its buttons."""
        if self._chat not in stored.chats and self._person.role is not Role.OWNER:
            raise UserError("That button belongs to another chat; nothing was done.", "Ask for the card here.")
        ticket = self._desk.fold.tickets.get(stored.ticket_id)
        if ticket is not None:
            if stored.line.startswith("confirm") and stored.card_hash != ticket.drafted.card_hash:
                raise UserError("That card is not the one on record; nothing was sent.", "Ask again for a fresh card.")
            return
        if stored.once and stored.used_at is not None:
            raise UserError("That button was already used; nothing more was done.")
        if self._desk.now() > stored.expires_at:
            raise UserError("That button is too old; nothing was done.", "Ask again.")

    # --- inside --------------------------------------------------------------------------------------------------------

    def _caller(self, via: Via, message_id: str) -> Caller:
        return Caller(person=self._person.id, via=via, role=self._person.role, chat=self._chat, message_id=message_id)

    def _stamped(self, reply: Reply) -> Reply:
        return stamped(self._desk, reply, self._caller(Via.LINE, ""))


def _storable(name: str) -> str:
    """A message's id as any table can hold it: half a character, too, is always one and the same id."""
    return name.encode("utf-8", "backslashreplace").decode()


def _repeatable(lane: Lane, line: str) -> bool:
    """Whether a line may be done twice without harm: it stops something, decides about what can be decided once, or only answers."""
    if lane is not Lane.ASK:
        return line != ""
    word = line.strip().removeprefix("/").split(maxsplit=1)[:1]
    try:
        return not word or command_of(word[0].lower()).access_for({}) is Access.READ
    except UserError:
        return changes_nothing(line)


def without_pin(text: str) -> str:
    """Typed words with what stands for a PIN struck out."""
    return SECRET.sub("pin=****", text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _which(buttons: list[Button]) -> Button:
    names = " or ".join(f"{button.number} ({button.label})" for button in buttons)
    raise UserError("Several buttons are called that.", f"Type {names}, if they stand on the last answer.")


def _unclear(read: Unclear) -> Reply:
    words = read.text.split()
    said = f"I do not know {repeated(words[0])} as a command." if words else "Say what you would like to know or do."
    actions = tuple(_suggestion(name) for name in read.suggestions)
    return Reply(blocks=(Text(text=f"{said} Did you mean one of these? `help` lists everything."),), actions=actions, ok=False)


def _suggestion(name: str) -> Action:
    """A command that only answers is run by its button, and so is one that stops everything; any other is explained."""
    command = command_of(name)
    if name in STOPS:
        return Action(label=name, line=name, style="danger")
    runs = command.access_for({}) is Access.READ and not any(parameter.required for parameter in command.parameters)
    return Action(label=name, line=name if runs else f"help topic={name}")


