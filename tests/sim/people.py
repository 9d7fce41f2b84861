"""What people do, one act after another, from weights that each seed draws for itself. Some of them mean no good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from tests.sim.automatics import Automatics
from tests.sim.chat import PIN, Card, Chat
from tests.sim.faults import HOSTILE
from tests.sim.market import Market

SECOND_ACCOUNT = "second"
XSP_SHORTS, KO_SHORTS = (570, 580, 590, 600, 610, 620), (54, 56, 58, 60)


class People:
    """Everybody who talks to the desk."""

    def __init__(self, chat: Chat, market: Market, rng: Random, habits: Mapping[str, float], *, accounts: int) -> None:
        """`habits` are weights, by the name of an act, that replace the drawn ones."""
        self._chat = chat
        self._market = market
        self._rng = rng
        self._accounts = accounts
        self._notes = 0
        self._automatics = own = Automatics(chat, rng, self._say, self._opening, self._where)
        weights: dict[Callable[[], object], float] = {
            self._open: 6.0,
            self._same_again: 0.5,
            self._press: 12.0,
            self._press_often: 1.0,
            self._press_and_drop: 0.7,
            self._press_old: 0.7,
            self._press_two_cards: 1.0,
            self._type_confirm: 0.7,
            self._press_other: 0.7,
            self._forge: 0.3,
            self._steal: 0.3,
            self._viewer_tries: 0.2,
            self._close: 3.0,
            self._cancel: 0.7,
            self._ask: 0.7,
            self._note: 0.4,
            self._hostile_note: 0.2,
            self._pause: 0.2,
            self._resume: 0.3,
            self._halt: 0.1,
            self._kill: 0.1,
            self._unhalt: 0.4,
            self._limits: 0.2,
            self._guess_the_pin: 0.04,
            self._take_offer: 2.0,
            own.bracket: 1.5,
            own.in_parts: 1.0,
            own.exits: 2.0,
            own.take_back: 0.4,
            own.ask_mandate: 0.8,
            own.grant: 2.0,
            own.revoke: 0.15,
        }
        drawn = {act: weight * rng.choice((0.3, 1.0, 1.0, 2.0)) for act, weight in weights.items()}
        self._acts = {act: habits.get(act.__name__.strip("_"), weight) for act, weight in drawn.items()}
        self._pace_seconds = rng.choice((1.0, 2.0, 4.0))

    def act(self) -> float:
        """One act; returns the seconds until the next."""
        rng, badge = self._rng, self._chat.badge
        if self._chat.wants_pin:
            chat = min(self._chat.wants_pin)
            self._chat.wants_pin.discard(chat)
            self._chat.send(chat, PIN if rng.random() < 0.85 else "000000", word="pin")
        elif "HALT" in badge and rng.random() < 0.35:
            self._unhalt()
        elif ("PAUSED" in badge or "REDUCING" in badge) and rng.random() < 0.35:
            self._resume()
        else:
            rng.choices(list(self._acts), list(self._acts.values()))[0]()
        return rng.expovariate(1 / self._pace_seconds)

    def flood(self) -> None:
        """One person sends messages at a hundred a second."""
        rng, chat = self._rng, self._someone()
        kind = rng.choice(("cards", "presses", "words", "mixed"))
        for number in range(rng.choice((30, 60, 100))):
            after = number / 100
            if kind == "presses" and self._confirmable():
                card = rng.choice(self._confirmable())
                self._chat.send(card.chat, card.confirm or "", press=True, ticket=card.ticket, word="confirm", after=after)
            elif kind == "cards" or (kind == "mixed" and rng.random() < 0.3):
                self._chat.send(chat, self._opening(), after=after)
            else:
                self._chat.send(chat, rng.choice(("status", "help", "nonsense", *HOSTILE)), word="flood", after=after)

    # --- asking for trades

    def _someone(self) -> str:
        return self._rng.choice(("owner-phone", "owner-phone", "owner-desk", "trader-phone"))

    def _say(self, line: str) -> None:
        self._chat.send(self._someone(), line)

    def _where(self) -> str:
        return f" account={SECOND_ACCOUNT}" if self._accounts > 1 and self._rng.random() < 0.4 else ""

    def _open(self) -> None:
        self._say(self._opening())

    def _opening(self, *, several: bool = False) -> str:
        rng = self._rng
        quantity = rng.choice(("2", "3", "4") if several else ("1", "1", "1", "2", "3", "8", ""))
        if rng.random() < 0.25:
            expiry, short = rng.choice(self._market.trading("KO")), rng.choice(KO_SHORTS)
            what = f"put_credit_spread KO {quantity} expiry={expiry} strikes={short}/{short - 2}"
            if rng.random() < 0.5:
                what = f"cash_secured_put KO {quantity} expiry={expiry} strikes={short}"
        else:
            expiries, short = self._market.trading("XSP"), rng.choice(XSP_SHORTS)
            expiry = rng.choice(self._market.far() if rng.random() < 0.7 else expiries or self._market.far())
            what = f"put_credit_spread XSP {quantity} expiry={expiry} strikes={short}/{short - rng.choice((10, 10, 20))}"
            if rng.random() < 0.1:
                what = f"{rng.choice(('naked_put', 'cash_secured_put'))} XSP 1 expiry={expiry} strikes={short}"
        limit = f" limit=0.{rng.randint(10, 99)}" if rng.random() < 0.08 else ""
        return " ".join(f"open {what}{limit}{self._where()}".split())

    def _same_again(self) -> None:
        line = f"open put_credit_spread XSP 1 expiry={self._market.far()[0]} strikes=590/580"
        for chat in ("owner-phone", "trader-phone"):
            self._chat.send(chat, line)

    def _take_offer(self) -> None:
        """Press what an answer offered beside cards: one of several positions to close, a cancel, a way out of a mode."""
        if self._chat.offers:
            chat, token = self._chat.offers.pop()
            self._chat.send(chat, token, press=True)
        else:
            self._press()

    def _close(self) -> None:
        if not self._chat.orders:
            return self._open()
        what = self._rng.choice(("scope=all", "scope=all", "XSP", "XSP", "XSP quantity=1", "KO", "KO quantity=100"))
        return self._say(f"close {what}{self._where()}")

    def _cancel(self) -> None:
        if self._chat.orders and self._rng.random() < 0.7:
            self._say(f"cancel {self._rng.choice(self._chat.orders[-4:])}")
        else:
            self._say(f"cancel scope=all{self._where()}")

    # --- pressing

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

    # --- meaning no good

    def _forge(self) -> None:
        token = self._rng.randbytes(16).hex()[:22]
        self._chat.send(self._someone(), token, press=True, word="forged")

    def _steal(self) -> None:
        if cards := self._confirmable():
            thief = "trader-phone" if cards[-1].chat.startswith("owner") else "viewer-phone"
            self._chat.send(thief, cards[-1].confirm or "", press=True, ticket=cards[-1].ticket, word="stolen")

    def _viewer_tries(self) -> None:
        line = self._rng.choice(("confirm", "kill", "settings rules.positions.max_positions 9", "unhalt", "cancel scope=all"))
        if line == "confirm" and self._chat.cards:
            ticket = self._chat.cards[-1].ticket
            self._chat.send("viewer-phone", f"confirm {ticket}", ticket=ticket)
        elif line != "confirm":
            self._chat.send("viewer-phone", line, word="denied")

    def _guess_the_pin(self) -> None:
        """Somebody with the owner's phone tries one PIN after another, and a halt must be heard all the same."""
        for _ in range(7):
            self._chat.send("owner-phone", "settings rules.positions.max_positions 9")
            self._chat.send("owner-phone", str(self._rng.randrange(1000, 9999)), word="pin", after=0.5)
        self._chat.send("owner-desk", "halt", after=1.0)

    def _hostile_note(self) -> None:
        self._notes += 1
        self._chat.send(self._someone(), f"note thought {self._notes} {self._rng.choice(HOSTILE)}")

    # --- the rest

    def _ask(self) -> None:
        asked = ("status", "positions", "fills", "quote XSP", "quote KO", "why XSP", "nonsense", "confirm", "open put_credit_spread", "pnl")
        self._say(self._rng.choice(asked))

    def _note(self) -> None:
        self._notes += 1
        self._say(f"note thought {self._notes}")

    def _scope(self) -> str:
        if self._rng.random() < 0.5:
            return ""
        accounts = (f" account={SECOND_ACCOUNT}",) if self._accounts > 1 else ()
        return self._rng.choice((" symbol=XSP", " symbol=KO", " strategy=put_credit_spread", *accounts))

    def _pause(self) -> None:
        self._say(f"pause{self._scope()}")

    def _resume(self) -> None:
        self._say(f"resume{self._scope()}")

    def _halt(self) -> None:
        self._say(f"halt{self._scope()}")

    def _kill(self) -> None:
        self._say(self._rng.choice(("kill", "kill", "kill flatten")))

    def _unhalt(self) -> None:
        line = f"unhalt pin={PIN}" if self._rng.random() < 0.8 else "unhalt"
        self._chat.send(self._rng.choice(("owner-phone", "owner-desk")), line)

    def _limits(self) -> None:
        if self._rng.random() < 0.5:
            self._say(f"settings rules.positions.max_positions {self._rng.choice((3, 4, 5))}")
        else:
            self._say(f"settings desk.walk_seconds {self._rng.randint(30, 90)}")
