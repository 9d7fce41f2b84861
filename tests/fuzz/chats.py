"""Ports of people: what they type, press and prove, in a whole desk in memory.

Whatever is typed or pressed is answered. Nothing is confirmed but by a press of that card's Confirm or the typed words with that ticket's
id, and nothing that needs the PIN happens without it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from unittest import mock

import bot.auth
from bot.auth import Person, Pins, open_pins
from bot.render import render, to_json
from bot.session import Session, Shown
from core.command import Role
from core.desk import Desk
from core.domain.events import Mode, ModeSet, SettingChanged, Submitting, TicketConfirmed
from tests.fuzz.harness import Port
from tests.fuzz.looped import Looped
from tests.fuzz.source import Source
from tests.fuzz.words import LINES, held
from tests.paper_desk import open_desk

PIN = "471100"
STRANGER = Person(id="somebody", role=Role.VIEWER)
CHEAP = {"n": 2, "r": 1, "p": 1}  # of scrypt: thousands of tries an input would take minutes
PRESSES = ("1", "2", "99", "confirm", "Confirm", "cancel", "drop", "no", "why", "one less", "１", "²", "-1", "0", "000", "conf", "")
PINS = (PIN, "0000", "471101", "４７１１００", "4711000", "12345678901234567890", "no", "never mind", "pin=471100", "")


class Conversation(Looped):
    """A desk with an open card; what is typed and pressed is bent from what could be."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.desk: Desk = self.run(open_desk())
        self._cheap = mock.patch.object(bot.auth, "_COST", CHEAP)
        self._cheap.start()
        self.pins = open_pins(Path(self._folder.name), self.desk.runtime, make=PIN, salt="00")[0]
        self.talk = Session(self.desk, person=Person(id="owner", role=Role.OWNER), chat="terminal", pins=self.pins)
        self.other = Session(self.desk, person=STRANGER, chat="group", pins=self.pins)
        self.shown: Shown = self.run(self.talk.hear("open put_credit_spread XSP 1"))
        self.tokens = [button.token for button in self.shown.buttons]
        self.failures: list[BaseException] = []
        self.desk.runtime.on_failure = lambda name, error: self.failures.append(error)

    def asked(self, talk: Session, text: str, *, press: bool, message_id: str = "") -> str:
        """Hear it, check what it led to, and show the answer."""
        before = self.desk.fold.seq
        shown = self.run(talk.push(text, message_id) if press else talk.hear(text, message_id))
        events = self.run(self.desk.store.read(after=before))
        self._allowed(events, text, proved=False)
        bugs = [error for error in self.failures if not isinstance(error, OSError | TimeoutError) and type(error).__name__ not in _EXPECTED]
        self.failures.clear()
        if bugs:
            raise bugs[0]
        held("Traceback (most recent" not in render(shown.reply, shown.buttons), f"{text!r} is answered with a trace")
        json.dumps(to_json(shown.reply, shown.buttons), allow_nan=False)
        if talk is self.talk:
            self.tokens = [*self.tokens, *(button.token for button in shown.buttons)][-50:]
        return "done" if shown.reply.ok else "refused"

    def _allowed(self, events: object, text: str, *, proved: bool) -> None:
        for event in events:  # type: ignore[attr-defined]
            body = event.body
            if isinstance(body, TicketConfirmed | Submitting):
                held(self._may_confirm(text, body.ticket_id), f"{text!r} confirmed {body.ticket_id}")
            if isinstance(body, SettingChanged) and body.loosens and not proved:
                held(PIN in text, f"{text!r} loosened {body.key}")
            if isinstance(body, ModeSet) and body.mode is Mode.ACTIVE and event.actor.startswith("person"):
                held(PIN in text or body.cause != "kill", f"{text!r} lifted {body.cause}")

    def _may_confirm(self, text: str, ticket_id: str) -> bool:
        word = text.strip().lower()
        pressed = text.strip() in self.tokens or "confirm".startswith(word) or word.isdecimal()
        return pressed or (word.removeprefix("/").startswith("confirm") and ticket_id.lower() in word)

    def close(self) -> None:
        self._cheap.stop()
        super().close()
        self._folder.cleanup()


_EXPECTED = frozenset({"DeskError", "Unavailable", "UserError"})


class Typed(Conversation):
    """Typed lines, most of them near to real ones."""

    def one(self, source: Source) -> str:
        ticket = next(iter(self.desk.fold.tickets))
        text = source.text((*LINES, *PRESSES, f"confirm {ticket}", f"drop {ticket}", f"why {ticket}"))
        if text.strip().lower().startswith(("next", "to ")) or "flatten" in text:
            return "left out"  # moves the market's clock by sessions: no input is worth a day
        talk = self.talk if source.chance(0.9) else self.other
        return self.asked(talk, text, press=False, message_id=source.pick(("", "", "m1", source.text())))


class Pressed(Conversation):
    """Tokens, numbers and labels of buttons, none of them quite right."""

    def one(self, source: Source) -> str:
        what = source.text((*self.tokens, *PRESSES))
        if what in self.tokens:
            what = what[:-1]
        talk = self.talk if source.chance(0.8) else self.other
        return self.asked(talk, what, press=True, message_id=source.pick(("", "", "m1", source.text())))


class Proved(Conversation):
    """PINs, right ones never among them."""

    def one(self, source: Source) -> str:
        pin = source.text(PINS)
        if PIN in pin:
            pin = pin.replace(PIN, "174400")
        if source.chance(0.3):
            held(self.pins.check(pin) is not None, f"{pin!r} passed for the PIN")
            return "wrong"
        line = source.pick(("settings desk.orders_per_minute 500", "unhalt", "settings rules.capital.max_fraction 0.10"))
        self.asked(self.talk, line if source.chance(0.8) else f"{line} pin={pin}", press=False)
        word = self.asked(self.talk, pin, press=False)
        if source.chance(0.01):
            self.pins = Pins(source.raw((b'{"salt": "00", "hash": "11"}', b"[]", b"{}", b'{"salt": 7}')), self.desk.runtime)
            held(self.pins.check(pin) is not None, "a damaged file let somebody through")
            self.pins = self.talk._pins  # type: ignore[assignment]
        return word


PORTS = (
    Port(name="typed", share=12, opened=Typed, episode=150),
    Port(name="pressed", share=25, opened=Pressed, episode=1_000),
    Port(name="pins", share=12, opened=Proved, episode=500),
)
