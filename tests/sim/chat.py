"""Chat: people who ask, press and change their minds, and a transport that repeats, delays and reorders what they send.

A message that was not answered when the desk died is delivered again after its restart, as every chat platform does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from bot.auth import Person, Pins
from bot.session import Session, Shown
from core.command import Role
from core.errors import DeskError
from core.reply import Reply
from tests.sim.market import Market

if TYPE_CHECKING:
    from tests.sim.world import World

PIN = "4711"
OWNER = Person(id="owner", role=Role.OWNER)
TRADER = Person(id="trader", role=Role.TRADER)
VIEWER = Person(id="viewer", role=Role.VIEWER)
CHATS: dict[str, Person] = {"owner-phone": OWNER, "owner-desk": OWNER, "trader-phone": TRADER, "viewer-phone": VIEWER}
AUTHORISED = frozenset({"owner", "trader"})
_CARDS_KEPT = 25


class SimPins(Pins):
    """The owner's PIN without the deliberately slow hash."""

    def __init__(self) -> None:
        pass

    def check(self, typed: str) -> str | None:
        return None if typed == PIN else "That is not the PIN; nothing was changed."


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A ticket's card as a person got it."""

    ticket: str
    chat: str
    confirm: str | None  # the token of its Confirm button
    others: tuple[str, ...]  # tokens of its other buttons


@dataclass(slots=True, kw_only=True)
class Message:
    """One thing a person sent; the transport may deliver it several times."""

    id: str
    chat: str
    press: bool
    content: str
    word: str  # the command as a checker reads it, "" for a button that is not Confirm
    ticket: str | None  # the ticket it confirms
    sent_at: float
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
        self.wants_pin: set[str] = set()
        self._sessions: dict[tuple[int, str], tuple[int, Session]] = {}  # by life and chat, numbered
        self._opened = 0

    def send(self, chat: str, content: str, *, press: bool = False, ticket: str | None = None, word: str = "") -> Message:
        """A person sends something."""
        message = Message(
            id=f"m{len(self.messages) + 1}",
            chat=chat,
            press=press,
            content=content,
            ticket=ticket,
            sent_at=self._world.loop.time(),
            word=word or ("" if press else content.split()[0]),
        )
        self.messages[message.id] = self.open[message.id] = message
        faults = self._world.faults
        copies = 1 + (faults.rng.randint(1, 4) if faults.hits("repeat_message") else 0)
        for _ in range(copies):
            late = faults.rng.uniform(0.5, 20.0) if faults.hits("reorder_message") else faults.rng.uniform(0.0, 0.3)
            self._world.later(late, lambda: self._deliver(message))
        return message

    def desk_is_back(self) -> None:
        """Deliver again what was never answered."""
        for message in list(self.open.values()):
            if message.delivered:
                self._world.later(self._world.faults.rng.uniform(0.0, 2.0), lambda message=message: self._deliver(message))

    def _deliver(self, message: Message) -> None:
        life = self._world.life
        if life is None or life.desk is None or not life.process.alive:
            message.delivered += 1  # kept by the platform until somebody fetches it
            return
        message.delivered += 1
        self._world.step("message delivered")
        key = (life.boot, message.chat)
        if key not in self._sessions:
            self._opened += 1
            session = Session(life.desk, person=message.person, chat=message.chat, pins=SimPins() if message.person is OWNER else None)
            self._sessions[key] = (self._opened, session)
        life.runtime.spawn(self._handle(key, *self._sessions[key], message), name=f"chat {message.id}")

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

    def _shown(self, message: Message, shown: Shown, conversation: int) -> None:
        self._world.step("answer shown")
        self._world.monitor.replied(message, shown.reply, conversation)
        first = message.id in self.open
        self.open.pop(message.id, None)
        message.answers.append((conversation, shown.reply))
        if not first:
            return
        if shown.reply.data.get("needs") == "pin":
            self.wants_pin.add(message.chat)
        order = shown.reply.data.get("order")
        if order is not None:
            self.orders.append(str(order))
        self._keep_card(message.chat, shown)

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


class People:
    """What people do, one act after another, from weights that each seed draws for itself."""

    def __init__(self, chat: Chat, market: Market, rng: Random, habits: Mapping[str, float]) -> None:
        """`habits` are weights, by the name of an act, that replace the drawn ones."""
        self._chat = chat
        self._market = market
        self._rng = rng
        self._notes = 0
        self._acts: dict[Callable[[], None], float] = {
            act: habits.get(act.__name__.strip("_"), weight * rng.choice((0.3, 1.0, 1.0, 2.0)))
            for act, weight in (
                (self._open, 5.0),
                (self._same_again, 0.5),
                (self._press, 10.0),
                (self._press_often, 1.0),
                (self._press_and_drop, 0.7),
                (self._press_old, 0.7),
                (self._press_two_cards, 1.0),
                (self._type_confirm, 0.7),
                (self._press_other, 0.7),
                (self._forge, 0.3),
                (self._steal, 0.3),
                (self._viewer_tries, 0.2),
                (self._close, 3.0),
                (self._cancel, 0.7),
                (self._ask, 0.7),
                (self._note, 0.5),
                (self._pause, 0.15),
                (self._resume, 0.5),
                (self._halt, 0.12),
                (self._kill, 0.1),
                (self._unhalt, 0.8),
                (self._limits, 0.2),
            )
        }
        self._pace_seconds = rng.choice((0.5, 1.0, 2.0))

    def act(self) -> float:
        """One act; returns the seconds until the next."""
        if self._chat.wants_pin:
            chat = min(self._chat.wants_pin)
            self._chat.wants_pin.discard(chat)
            self._chat.send(chat, PIN if self._rng.random() < 0.8 else "0000", word="pin")
        else:
            self._rng.choices(list(self._acts), list(self._acts.values()))[0]()
        return self._rng.expovariate(1 / self._pace_seconds)

    def _someone(self) -> str:
        return self._rng.choice(("owner-phone", "owner-phone", "owner-desk", "trader-phone"))

    def _say(self, line: str) -> None:
        self._chat.send(self._someone(), line)

    def _open(self) -> None:
        rng = self._rng
        expiry = rng.choice(self._market.expiries)
        short = rng.choice((570, 580, 590, 600, 610))
        quantity = rng.choice(("1", "1", "2", "3", "3", "8", ""))
        kind = rng.random()
        if kind < 0.85:
            self._say(
                f"open put_credit_spread XSP {quantity} expiry={expiry} strikes={short}/{short - rng.choice((10, 10, 20))}".replace(
                    "  ", " "
                )
            )
        elif kind < 0.95:
            self._say(f"open put_credit_spread XSP 1 expiry={expiry} strikes={short}/{short - 10} limit=0.{rng.randint(10, 99)}")
        else:
            self._say(f"open {rng.choice(('naked_put', 'cash_secured_put'))} XSP 1 expiry={expiry} strikes={short}")

    def _same_again(self) -> None:
        line = f"open put_credit_spread XSP 1 expiry={self._market.expiries[0]} strikes=590/580"
        for chat in ("owner-phone", "trader-phone"):
            self._chat.send(chat, line)

    def _confirmable(self) -> list[Card]:
        return [card for card in self._chat.cards if card.confirm is not None]

    def _push(self, card: Card, chat: str | None = None) -> None:
        assert card.confirm is not None
        self._chat.pressed.add(card.ticket)
        self._chat.send(chat or card.chat, card.confirm, press=True, ticket=card.ticket, word="confirm")

    def _press(self) -> None:
        """The newest card nobody has pressed yet; with none there, ask for one or close something."""
        fresh = [card for card in self._confirmable() if card.ticket not in self._chat.pressed]
        if fresh:
            self._push(fresh[-1])
        elif self._chat.orders and self._rng.random() < 0.4:
            self._close()
        else:
            self._open()

    def _press_often(self) -> None:
        if cards := self._confirmable():
            for _ in range(self._rng.randint(2, 6)):
                self._push(cards[-1], self._rng.choice((cards[-1].chat, "owner-phone", "owner-desk")))

    def _press_old(self) -> None:
        if cards := self._confirmable():
            self._push(self._rng.choice(cards))

    def _press_two_cards(self) -> None:
        for card in self._confirmable()[-self._rng.choice((2, 3, 4)) :]:
            self._push(card)

    def _press_and_drop(self) -> None:
        if cards := self._confirmable():
            for act in self._rng.sample(("press", "drop"), 2):
                if act == "press":
                    self._push(cards[-1])
                else:
                    self._say(f"drop {cards[-1].ticket}")

    def _type_confirm(self) -> None:
        if self._chat.cards:
            card = self._rng.choice(self._chat.cards)
            self._chat.send(self._someone(), f"confirm {card.ticket}", ticket=card.ticket)

    def _press_other(self) -> None:
        if self._chat.cards:
            card = self._rng.choice(self._chat.cards)
            if card.others:
                self._chat.send(card.chat, self._rng.choice(card.others), press=True)

    def _forge(self) -> None:
        token = self._rng.randbytes(16).hex()[:22]
        self._chat.send(self._someone(), token, press=True, word="forged")

    def _steal(self) -> None:
        if cards := self._confirmable():
            thief = "trader-phone" if cards[-1].chat.startswith("owner") else "viewer-phone"
            self._chat.send(thief, cards[-1].confirm or "", press=True, ticket=cards[-1].ticket, word="stolen")

    def _viewer_tries(self) -> None:
        if self._chat.cards:
            self._chat.send("viewer-phone", f"confirm {self._chat.cards[-1].ticket}", ticket=self._chat.cards[-1].ticket)

    def _close(self) -> None:
        if not self._chat.orders:
            return self._open()
        return self._say(self._rng.choice(("close scope=all", "close scope=all", "close XSP", "close XSP quantity=1")))

    def _cancel(self) -> None:
        if self._chat.orders and self._rng.random() < 0.7:
            self._say(f"cancel {self._rng.choice(self._chat.orders[-4:])}")
        else:
            self._say("cancel scope=all")

    def _ask(self) -> None:
        self._say(
            self._rng.choice(("status", "positions", "fills", "quote XSP", "why XSP", "nonsense", "confirm", "open put_credit_spread"))
        )

    def _note(self) -> None:
        self._notes += 1
        self._say(f"note thought {self._notes}")

    def _pause(self) -> None:
        self._say("pause")

    def _resume(self) -> None:
        self._say("resume")

    def _halt(self) -> None:
        self._say("halt")

    def _kill(self) -> None:
        self._say("kill")

    def _unhalt(self) -> None:
        self._chat.send("owner-phone", "unhalt")

    def _limits(self) -> None:
        if self._rng.random() < 0.5:
            self._say(f"settings rules.positions.max_positions {self._rng.choice((2, 3, 4))}")
        else:
            self._say(f"settings desk.walk_seconds {self._rng.randint(30, 90)}")
