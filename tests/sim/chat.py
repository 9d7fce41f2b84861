"""Chat: the platform that carries what people send and repeats, delays and reorders it on the way.

A message that was not answered when the desk died is delivered again after its restart, as every chat platform does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import scrypt
from typing import TYPE_CHECKING

import bot.auth
from bot.auth import Person, Pins
from bot.session import Session, Shown
from core.command import Role
from core.errors import DeskError
from core.reply import Reply

if TYPE_CHECKING:
    from tests.sim.world import Life, World

PIN = "471194"
COST = {"n": 2, "r": 1, "p": 1}  # a PIN's hash is slow on purpose, and simulated people are many
OWNER = Person(id="owner", role=Role.OWNER)
TRADER = Person(id="trader", role=Role.TRADER)
VIEWER = Person(id="viewer", role=Role.VIEWER)
CHATS: dict[str, Person] = {"owner-phone": OWNER, "owner-desk": OWNER, "trader-phone": TRADER, "viewer-phone": VIEWER}
AUTHORISED = frozenset({"owner", "trader"})
HALT_SECONDS = 15.0  # within this a halt is in force, whatever else is going on
_CARDS_KEPT, _OFFERS_KEPT, _GRANTS_KEPT = 25, 8, 6
_OFFERED = frozenset({"close", "cancel", "resume", "open"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A ticket's card as a person got it."""

    ticket: str
    chat: str
    confirm: str | None  # the token of its Confirm button
    others: tuple[str, ...]  # tokens of its other buttons


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A mandate's card as a person got it."""

    mandate: str
    chat: str
    token: str  # of its Grant button


@dataclass(slots=True, kw_only=True)
class Message:
    """One thing a person sent; the transport may deliver it several times."""

    id: str
    chat: str
    press: bool
    content: str
    word: str  # the command as a checker reads it, "" for a button that is not Confirm
    ticket: str | None  # the ticket it confirms, or the mandate it grants
    sent_at: float
    delivered_at: float | None = None  # to a desk, for the first time
    answers: list[tuple[int, Reply]] = field(default_factory=list)  # with the conversation that gave it
    delivered: int = 0

    @property
    def person(self) -> Person:
        return CHATS[self.chat]


class Chat:
    """The platform: delivers to the desk that is alive, keeps what it owes, and shows answers to people."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.messages: dict[str, Message] = {}
        self.open: dict[str, Message] = {}  # not answered yet
        self.cards: list[Card] = []
        self.tokens: dict[str, Card] = {}  # of Confirm buttons
        self.pressed: set[str] = set()
        self.orders: list[str] = []
        self.standing: list[str] = []
        self.grants: list[Grant] = []
        self.offers: list[tuple[str, str]] = []  # chat and token of buttons that belong to no card
        self.wants_pin: set[str] = set()
        self.badge = ""
        self._sessions: dict[tuple[int, str], tuple[int, Session]] = {}  # by life and chat, numbered
        self._opened = 0
        self._stored_pin = json.dumps({"salt": "00", "hash": scrypt(PIN.encode(), salt=b"\0", **COST).hex()}).encode()  # type: ignore[arg-type]

    def send(
        self, chat: str, content: str, *, press: bool = False, ticket: str | None = None, word: str = "", after: float = 0.0
    ) -> Message:
        """A person sends something."""
        message = Message(
            id=f"m{len(self.messages) + 1}",
            chat=chat,
            press=press,
            content=content,
            ticket=ticket,
            sent_at=self._world.loop.time(),
            word=word or ("" if press else (content.split() or [""])[0]),
        )
        self.messages[message.id] = self.open[message.id] = message
        faults = self._world.faults
        copies = 1 + (faults.rng.randint(1, 4) if faults.hits("repeat_message") else 0)
        for _ in range(copies):
            late = faults.rng.uniform(0.5, 20.0) if faults.hits("reorder_message") else faults.rng.uniform(0.0, 0.3)
            self._world.later(after + late, lambda: self._deliver(message))
        return message

    def desk_is_back(self) -> None:
        """Deliver again what was never answered."""
        for message in list(self.open.values()):
            if message.delivered:
                self._world.later(self._world.faults.rng.uniform(0.0, 2.0), lambda message=message: self._deliver(message))

    def _deliver(self, message: Message) -> None:
        life = self._world.life
        message.delivered += 1
        if life is None or life.desk is None or not life.process.alive:
            return  # kept by the platform until somebody fetches it
        if message.delivered_at is None:
            message.delivered_at = self._world.loop.time()
        self._world.step("message delivered")
        key = (life.boot, message.chat)
        if key not in self._sessions:
            self._opened += 1
            pins = Pins(self._stored_pin, life.runtime) if message.person is OWNER else None
            self._sessions[key] = (self._opened, Session(life.desk, person=message.person, chat=message.chat, pins=pins))
        life.runtime.spawn(self._handle(key, *self._sessions[key], message), name=f"chat {message.id}")
        if message.word in ("halt", "kill") and message.content in ("halt", "kill") and message.person.id in AUTHORISED:
            self._expect_halt(message, life)

    async def _handle(self, key: tuple[int, str], conversation: int, session: Session, message: Message) -> None:
        """Hand it over. A desk that cannot even take a message in raises; the platform then keeps it and tries again."""
        say = session.push if message.press else session.hear
        try:
            shown = await say(message.content, message.id)
        except DeskError as error:
            self._world.errors.append(f"chat {message.id}: {error}")
            if self._sessions.get(key, (0, None))[0] == conversation:
                del self._sessions[key]
            self._world.later(self._world.faults.rng.uniform(2.0, 10.0), lambda: self._deliver(message))
            return
        self._shown(message, shown, conversation)

    def _expect_halt(self, message: Message, life: Life) -> None:
        """A halt that was delivered is in force soon, as long as the desk lives: nothing else may stand in its way."""

        def look() -> None:
            if self._world.life is life and life.process.alive and not life.was_paused:
                self._world.monitor.halt_is_due(message)

        self._world.later(HALT_SECONDS, look)

    def _shown(self, message: Message, shown: Shown, conversation: int) -> None:
        self._world.step("answer shown")
        self._world.sent_out(shown.reply)
        self._world.monitor.replied(message, shown.reply, conversation)
        first = message.id in self.open
        self.open.pop(message.id, None)
        message.answers.append((conversation, shown.reply))
        if not first:
            return
        self.badge = shown.reply.badge or self.badge
        if shown.reply.data.get("needs") == "pin":
            self.wants_pin.add(message.chat)
        order = shown.reply.data.get("order")
        if order is not None:
            self.orders.append(str(order))
        armed = shown.reply.data.get("standing")
        if isinstance(armed, list):  # a press armed them; a cancel names the one it took back
            self.standing += armed
        self._keep_card(message.chat, shown)
        self._keep_grant(message.chat, shown)
        if not shown.reply.data.get("ticket"):
            lines = {action.label: action.line for action in shown.reply.actions}
            offered = [button for button in shown.buttons if lines.get(button.label, "").split(" ")[0] in _OFFERED]
            self.offers = [*self.offers, *((message.chat, button.token) for button in offered)][-_OFFERS_KEPT:]

    def _keep_grant(self, chat: str, shown: Shown) -> None:
        lines = {action.label: action.line.split(" ") for action in shown.reply.actions}
        for button in shown.buttons:
            words = lines.get(button.label, [])
            if words[:2] == ["mandate", "grant"]:
                name = next(word.removeprefix("id=") for word in words if word.startswith("id="))
                self.grants = [*self.grants, Grant(mandate=name, chat=chat, token=button.token)][-_GRANTS_KEPT:]

    def _keep_card(self, chat: str, shown: Shown) -> None:
        confirm = {action.line.split()[1]: None for action in shown.reply.actions if action.line.startswith("confirm ")}
        tokens = {button.label: button.token for button in shown.buttons}
        lines = {action.label: action.line for action in shown.reply.actions}
        for ticket in confirm or (
            {str(shown.reply.data["ticket"]): None} if shown.reply.data.get("ticket") and "order" not in shown.reply.data else {}
        ):
            own = {label: token for label, token in tokens.items() if ticket in lines[label]}
            press = next((token for label, token in own.items() if lines[label].startswith("confirm ")), None)
            card = Card(ticket=ticket, chat=chat, confirm=press, others=tuple(token for token in own.values() if token != press))
            self.cards = [*self.cards, card][-_CARDS_KEPT:]
            if press is not None:
                self.tokens[press] = card


def cheap_pins() -> None:
    """Let the PIN be checked without its deliberately slow hash."""
    bot.auth._COST = dict(COST)
