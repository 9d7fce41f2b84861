"""What people leave the desk to carry out by itself: targets, stops, orders in parts, and mandates. Some try it with what is not theirs."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from tests.sim.chat import Chat

EXITS = (
    "target=5%",
    "target=20% stop=1x",
    "target=50% stop=0.3x",
    "stop=0.1x",
    "stop=0.3x",
    "stop=0.5x follow_vol=yes",
    "trail_share=0.3x",
    "target=30% trail_share=0.5x",
)
PARTS = ("work=twap parts=2 minutes=2", "work=twap parts=3 minutes=4", "work=vwap parts=2 minutes=3", "work=iceberg show=1")
RULES = ("profit_target", "profit_target", "profit_target", "credit_stop", "credit_stop", "days_left", "short_delta")
STRATEGIES = ("put_credit_spread", "put_credit_spread", "put_credit_spread", "cash_secured_put", "")


class Opening(Protocol):
    """A line that opens something."""

    def __call__(self, *, several: bool = False) -> str:
        """`several`: of more than one unit."""


class Automatics:
    """The acts, for `People` to draw from."""

    def __init__(self, chat: Chat, rng: Random, say: Callable[[str], None], opening: Opening, where: Callable[[], str]) -> None:
        self._chat = chat
        self._rng = rng
        self._say = say
        self._opening = opening
        self._where = where

    def bracket(self) -> None:
        """Open with exits that follow from the fill."""
        self._say(f"{self._opening()} {self._rng.choice(EXITS)}")

    def in_parts(self) -> None:
        """Open, or close, in several orders."""
        if self._chat.orders and self._rng.random() < 0.3:
            self._say(f"close XSP {self._rng.choice(PARTS)}{self._where()}")
        else:
            self._say(f"{self._opening(several=True)} {self._rng.choice(PARTS)}")

    def exits(self) -> None:
        """Let something that is held be closed later."""
        what = self._rng.choice(("XSP", "XSP", "XSP quantity=1", "KO"))
        self._say(f"close {what} {self._rng.choice(EXITS)}{self._where()}")

    def take_back(self) -> None:
        """Cancel a standing order."""
        if self._chat.standing:
            self._say(f"cancel {self._rng.choice(self._chat.standing[-4:])}")

    def ask_mandate(self) -> None:
        """Ask for the card of a mandate; only the owner gets one."""
        rng, rule, strategy = self._rng, self._rng.choice(RULES), self._rng.choice(STRATEGIES)
        symbol = rng.choice(("", "", "XSP", "KO")) if strategy else ""
        bounds = f"quantity={rng.choice((1, 2, 8))} orders={rng.choice((1, 3))} days={rng.choice((1, 30))}"
        chat = rng.choice(("owner-phone", "owner-phone", "owner-desk", "trader-phone"))
        self._chat.send(chat, " ".join(f"mandate grant {rule} {strategy} {symbol} {bounds}{self._where()}".split()))

    def grant(self) -> None:
        """Press Grant: on the newest card, on an old one, several times, or on somebody else's."""
        if not self._chat.grants:
            return self.ask_mandate()
        rng = self._rng
        grant = self._chat.grants[-1] if rng.random() < 0.8 else rng.choice(self._chat.grants)
        chat = grant.chat if rng.random() < 0.85 else rng.choice(("trader-phone", "viewer-phone", "owner-desk"))
        for _ in range(rng.choice((1, 1, 1, 3))):
            self._chat.send(chat, grant.token, press=True, ticket=grant.mandate, word="grant")
        return None

    def revoke(self) -> None:
        """End all, or the newest."""
        name = f" id={self._chat.grants[-1].mandate}" if self._chat.grants and self._rng.random() < 0.5 else ""
        self._say(f"mandate revoke{name}")
