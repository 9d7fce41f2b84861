"""The figures of an order as they are found, and what a reader of them looks at around each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from bot.intent.tokens import Token
from bot.intent.when import When

COINS = {"penny": Decimal("0.01"), "nickel": Decimal("0.05"), "dime": Decimal("0.10"), "quarter": Decimal("0.25"), "buck": Decimal(1)}
RIGHTS = {"put": "put", "puts": "put", "call": "call", "calls": "call", "p": "put", "c": "call", "ps": "put", "cs": "call"}
COUNTED = frozenset(
    {"contract", "contracts", "lot", "lots", "unit", "units", "cars", "x", "times", "spreads", "condors", "strangles", "of"}
)

HIGHEST_STRIKE = 100_000  # no listed option has a strike beyond it
EXPIRES = frozenset({"expiring", "expires", "expire", "expiry", "exp", "expired", "dated", "for", "exps", "expiries"})
PARTS = {
    "half": Decimal("0.5"),
    "quarter": Decimal("0.25"),
    "third": Decimal(1) / 3,
    "twothirds": Decimal(2) / 3,
    "threequarters": Decimal("0.75"),
}
SPREADS = frozenset(
    {
        "put_credit_spread",
        "call_credit_spread",
        "put_debit_spread",
        "call_debit_spread",
        "iron_condor",
        "short_strangle",
        "put_spread",
        "call_spread",
        "credit_spread",
        "debit_spread",
        "vertical",
        "diagonal",
    }
)
SINGLES = frozenset({"naked_put", "cash_secured_put", "covered_call", "protective_put", "long_put", "long_call", "calendar", "option", ""})


def delta_of(value: Decimal) -> Decimal:
    return value / 100 if value >= 1 else value


def spoken_price(token: Token) -> Decimal:
    """A price as said: "three twenty" is 3.20, "one ten" 1.10; figures are as they stand."""
    value: Decimal = token.value
    words = token.raw.lower().split()
    whole = token.spelled and value == int(value) and value >= 100 and "hundred" not in words and "thousand" not in words
    return value / 100 if whole else value


@dataclass(slots=True)
class Figures:
    """What was found in one sentence. A value said twice differently is in `clashes`; what could not be placed in `loose`."""

    quantity: int | None = None
    fraction: Decimal | None = None
    strikes: list[Decimal] = field(default_factory=list)
    delta: Decimal | None = None
    width: Decimal | None = None
    price: Decimal | None = None
    target: Decimal | None = None
    stop: Decimal | None = None
    rights: list[str] = field(default_factory=list)
    whens: list[When] = field(default_factory=list)  # expiries and days ahead, in the order said
    done: date | None = None  # the day of what is already done
    position: str | None = None
    clashes: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    counts: bool = False  # "100 shares" is a quantity of shares and of nothing else
    shares: int | None = None


class Around:
    """The tokens of one sentence and the figures found so far."""

    def __init__(self, tokens: list[Token], *, structure: str, past: bool = False, closing: bool = False) -> None:
        self._tokens = tokens
        self._structure = structure
        self._past = past
        self._closing = closing
        self._found = Figures()
        self._spread = structure in SPREADS
        self._bare: list[int] = []

    # --- what stands around ----------------------------------------------------------------------------------------------

    def _text(self, place: int) -> str:
        return self._tokens[place].text if 0 <= place < len(self._tokens) else ""

    def _kind(self, place: int) -> str:
        return self._tokens[place].kind if 0 <= place < len(self._tokens) else ""

    def _before(
        self,
        place: int,
        *,
        skip: frozenset[str] = frozenset({"a", "the", "of", "is", "around", "about", "approximately", "roughly", "at", "to", "="}),
    ) -> str:
        place -= 1
        while place >= 0 and self._text(place) in skip:
            place -= 1
        return self._text(place)

    def _corrects(self, place: int) -> bool:
        """Whether what is said at a place takes back what was said before ("... no, 3", "make it 30")."""
        before = [self._text(index) for index in range(max(0, place - 4), place)]
        return any(word in before for word in ("no", "actually", "well", "sorry", "rather", "instead")) or any(
            before[index : index + 2] in (["make", "it"], ["make", "that"], ["i", "mean"], ["scratch", "that"])
            for index in range(len(before))
        )

    def _set(self, name: str, value: Any, place: int) -> None:
        known = getattr(self._found, name)
        if known is not None and known != value and not self._corrects(place):
            self._found.clashes.append(name)
            return
        setattr(self._found, name, value)
        self._tokens[place].used = True

    def _free(self, place: int) -> bool:
        """Whether a figure stands here that has no role of its own, or was placed as a strike."""
        return self._kind(place) == "number" and (place in self._bare or self._tokens[place].value in self._found.strikes)

    def _add_strikes(self, values: list[Decimal]) -> None:
        self._found.loose += [str(value) for value in values if not 0 < value <= HIGHEST_STRIKE]
        self._found.strikes += [value for value in values if value not in self._found.strikes]

    def _use(self, place: int) -> None:
        if 0 <= place < len(self._tokens):
            self._tokens[place].used = True

    def _set_price(self, value: Decimal, place: int) -> None:
        self._found.price = value
        self._tokens[place].used = True
