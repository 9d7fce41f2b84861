"""One update of Telegram handled: who speaks, whether these are their own words, and the answer put where it belongs.

A press is acknowledged at once and worked on afterwards; a question that takes longer than a second shows that it is being worked on, and
the same message becomes the answer. What stops things and what decides never waits for questions: every update is its own task, and only
questions are counted (`MOST_ASKED` in hand for each chat, the rest is left out and told so once).
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable

from telegram import CallbackQuery, Message, Update
from telegram.error import TelegramError

from bot.auth import PIN_FORM, Person, Pins, person_of
from bot.channels.telegram.backlog import Backlog
from bot.channels.telegram.gate import NOT_YOUR_WORDS, Where, identity_of, not_own_words, place_of, press_place, words_of
from bot.channels.telegram.inbox import Inbox
from bot.channels.telegram.place import Place
from bot.channels.telegram.sending import Sender
from bot.channels.telegram.strangers import Strangers
from bot.intent.line import Typed, parse
from bot.outbox import Outbox
from bot.session import Session, Shown
from core.command import Access
from core.desk import Desk
from core.errors import UserError
from core.lanes import Lane, lane_of
from core.logs import Level
from core.people import OWNER
from core.reply import Action, Notice, Reply, Text, Tone, refusal

SLOW_SECONDS = 1.0
MOST_ASKED = 16  # questions of one chat that are worked on or wait to be sent
REMEMBERED = 1_000
IN_PLACE = frozenset({"confirm", "drop", "reprice", "size"})  # they decide about the card they stand on; news stays as it was told
WORKING = "⏳ Working on it…"
NOT_TEXT = "I read typed words only. `help` lists what I can do."
EDITED = "An edited message is not read again. Send it as a new one if you mean it; nothing was done."


class Talk:
    """Everything that is said over one bot."""

    def __init__(
        self, desk: Desk, *, place: Place, pins: Pins, outbox: Outbox, inbox: Inbox, sender: Sender, strangers: Strangers,
        welcome: Callable[[Where, Person], None],
    ) -> None:
        self._desk = desk
        self._place = place
        self._pins = pins
        self._outbox = outbox
        self._inbox = inbox
        self._sender = sender
        self._strangers = strangers
        self._welcome = welcome
        self._backlog = Backlog(desk, self.session, sender)
        self._sessions: OrderedDict[tuple[str, str], tuple[Person, Session]] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._asked: Counter[str] = Counter()
        self.username = ""

    def session(self, person: Person, where: Where) -> Session:
        """The conversation of a person in a chat; a new one where the person's role is another now. A PIN is taken in private only."""
        found = self._sessions.pop((person.id, where.address), None)
        if found is None or found[0] != person:
            pins = self._pins if where.private else None
            found = (person, Session(self._desk, person=person, chat=f"telegram:{where.address}", pins=pins))
        self._sessions[person.id, where.address] = found
        while len(self._sessions) > REMEMBERED:
            self._sessions.popitem(last=False)
        return found[1]

    async def handle(self, update: Update) -> None:
        """Do what an update asks for, whatever it is."""
        if update.callback_query is not None:
            await self._pressed(update, update.callback_query)
        elif update.message is not None:
            await self._wrote(update, update.message)
        elif update.edited_message is not None:
            await self._edited(update.edited_message)
        elif update.my_chat_member is not None and update.my_chat_member.new_chat_member.status in ("member", "administrator"):
            await self._outbox.wake("telegram", str(update.my_chat_member.chat.id))

    # --- words -----------------------------------------------------------------------------------------------------------

    async def _wrote(self, update: Update, message: Message) -> None:
        if not self._first(f"{message.chat.id}:{message.message_id}"):
            return
        identity, where = identity_of(message.from_user), place_of(message, message.from_user, self._place)
        person = None if identity is None else person_of(self._desk.people, identity)
        if person is None or where is None or identity is None:
            await self._unknown(message, identity, where, known=person is not None)
            return
        await self._outbox.wake("telegram", where.address)
        text = words_of(message, self.username)
        why = not_own_words(message)
        if text is None and message.text is not None:
            return  # it was for another bot
        if text is None or why is not None:
            words = NOT_TEXT if why is None else NOT_YOUR_WORDS.format(what=why)
            await self._sender.answer(where, self._said(words), person=person.id)
        elif text.split()[:1] == ["/start"]:
            self._welcome(where, person)
            await self._greet(where, person)
        elif self._inbox.waited_too_long(update) and self.session(person, where).lane(text) is not Lane.STOP:
            self._backlog.message(where, person, text)
        else:
            await self._hear(where, person, text, message)

    async def _hear(self, where: Where, person: Person, text: str, message: Message) -> None:
        session = self.session(person, where)
        lane = session.lane(text)
        if lane is Lane.ASK and self._asked[where.address] >= MOST_ASKED:
            self._desk.log(Level.INFO, "left out", chat=where.address, person=person.id)
            return
        secret = "pin=" in text.lower() or (session.expects_secret and PIN_FORM.fullmatch(text.strip()) is not None)
        self._asked[where.address] += lane is Lane.ASK
        try:
            if secret:
                self._desk.runtime.spawn(self._sender.forget(where, message.message_id), name="pin deleted")
            async with self._outbox.answering("telegram", where.address) as said:
                shown, note = await self._in_time(where, session, text, f"{message.chat.id}:{message.message_id}")
                said(shown.reply.cites)
                await self._sender.answer(where, shown, person=person.id, edit=note)
        finally:
            self._asked[where.address] -= lane is Lane.ASK

    async def _in_time(self, where: Where, session: Session, text: str, name: str) -> tuple[Shown, int | None]:
        """The answer, and the number of the message that says it is being worked on where it took longer than a second."""
        late = self._desk.runtime.event()
        slow = self._desk.runtime.spawn(self._say_slow(where, late), name="telegram working on it")
        try:
            shown = await session.hear(text, name)
        finally:
            if not late.is_set():
                slow.cancel()
        return shown, await slow if late.is_set() else None

    async def _say_slow(self, where: Where, late: asyncio.Event) -> int | None:
        """After a second, the message that becomes the answer; None where it could not be put there."""
        await self._desk.runtime.sleep(SLOW_SECONDS)
        late.set()
        try:
            return await self._sender.note(where, WORKING)
        except TelegramError:
            return None  # the answer comes as a message of its own

    async def _unknown(self, message: Message, identity: str | None, where: Where | None, *, known: bool) -> None:
        """Silence, but for the right code in a private chat."""
        words = (message.text or "").split()
        private = where is not None and where.private and not_own_words(message) is None
        if identity is not None and where is not None and private and len(words) == 2 and words[0].lower() in ("/start", "pair", "/pair"):
            name = message.from_user.full_name if message.from_user is not None else ""
            joined = await self._desk.people.join(identity, words[1], name=name, now=self._desk.now())
            if joined is not None:
                self._strangers.joined(joined)
                person = Person(id=joined.person, role=joined.role)
                self._welcome(where, person)
                await self._greet(where, person)
                return
        self._strangers.knocked(identity or f"telegram chat {message.chat.id}", elsewhere=known)

    async def _greet(self, where: Where, person: Person) -> None:
        first = Action(label="First paper trade", line="open put_credit_spread XSP", style="primary")
        actions = (Action(label="Status", line="status"), Action(label="Help", line="help"))
        able = person.id == OWNER or person.role.value != "viewer"
        name = "its owner" if person.id == OWNER else f"{person.id}, {person.role.value}"
        reply = Reply(
            blocks=(
                Notice(text=f"This chat is paired: you are {name}.", tone=Tone.GOOD),
                Text(text="Write what you want to know or do. Nothing is sent to a broker until you press Confirm on its card."),
            ),
            actions=(first, *actions) if able else actions,
        )
        await self._sender.answer(where, await self.session(person, where).tell(reply), person=person.id)

    async def _edited(self, message: Message) -> None:
        where, identity = place_of(message, message.from_user, self._place), identity_of(message.from_user)
        person = None if identity is None else person_of(self._desk.people, identity)
        if where is None or person is None or words_of(message, self.username) is None:
            return
        if self._first(f"edited {message.chat.id}:{message.message_id}"):
            await self._sender.answer(where, self._said(EDITED), person=person.id)

    # --- presses ---------------------------------------------------------------------------------------------------------

    async def _pressed(self, update: Update, query: CallbackQuery) -> None:
        identity, where, data = identity_of(query.from_user), press_place(update, self._place), query.data or ""
        person = None if identity is None else person_of(self._desk.people, identity)
        if person is None or where is None or query.message is None:
            self._strangers.knocked(identity or "telegram", elsewhere=person is not None)
            return
        self._desk.runtime.spawn(self._sender.acknowledge(query.id), name="press acknowledged")
        if not self._first(f"press {query.id}"):
            return
        if data[:2] in ("p:", "c:"):
            await self._turned(where, person, data, query.message.message_id)
        elif self._inbox.waited_too_long(update) and not await self._backlog.stops(data):
            self._backlog.press(where, person)
        else:
            await self._push(where, person, data, query)

    async def _push(self, where: Where, person: Person, data: str, query: CallbackQuery) -> None:
        session = self.session(person, where)
        async with self._outbox.answering("telegram", where.address) as said:
            shown = await session.push(data, f"press {query.id}")
            said(shown.reply.cites)
            card = query.message.message_id if query.message is not None and _replaces(shown.reply) else None
            await self._sender.answer(where, shown, person=person.id, edit=card)

    async def _turned(self, where: Where, person: Person, data: str, message_id: int) -> None:
        """Another page; where the answer is no longer remembered the question is asked again and shown at that page."""
        try:
            if await self._sender.turn(where, data, person=person.id, edit=message_id):
                return
            kind, *rest = data.split(":")
            shown = await self.session(person, where).push(rest[-1])
            if kind == "c" and shown.reply.ok:
                await self._sender.documents(where, shown.reply)
            else:
                page = int(rest[0]) if shown.reply.ok else 0
                await self._sender.answer(where, shown, person=person.id, edit=message_id if shown.reply.ok else None, page=page)
        except (UserError, ValueError) as error:
            await self._sender.answer(where, self._said(str(error)), person=person.id)

    # --- inside ----------------------------------------------------------------------------------------------------------

    def _first(self, name: str) -> bool:
        """Whether this message or press is new here; the session refuses what an earlier process did."""
        if name in self._seen:
            return False
        self._seen[name] = None
        while len(self._seen) > REMEMBERED * 10:
            self._seen.popitem(last=False)
        return True

    def _said(self, words: str) -> Shown:
        return Shown(reply=refusal(words))


def _replaces(reply: Reply) -> bool:
    """Whether the answer to a press takes the card's place: it decided about the card. A refusal without a fresh card leaves it."""
    if not reply.ok and not reply.actions:
        return False
    word = reply.command.split(maxsplit=1)[:1]
    if not word or word[0] not in IN_PLACE:
        return False
    try:
        read = parse(reply.command)
    except UserError:
        return lane_of(reply.command) is not Lane.ASK
    return isinstance(read, Typed) and read.command.access_for(read.args) is not Access.READ
