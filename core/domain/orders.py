"""Orders: what a person asks for, what a confirmation covers, what the broker did.

Net prices are per unit of the structure and per share: + is received, - is paid. A *unit* is one set of legs at their ratios;
`quantity` counts units; a leg trades `quantity * ratio` contracts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.accounts import AccountId
from core.domain.encoding import SPARSE, digest, recurring
from core.domain.instruments import Instrument, Option
from core.domain.plans import Bracket as Bracket
from core.domain.plans import Exits as Exits
from core.domain.plans import Limit as Limit
from core.domain.plans import Plan as Plan
from core.domain.plans import Sliced as Sliced
from core.domain.plans import Wish as Wish


class Side(StrEnum):
    """Buy pays and adds, sell receives and removes."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale: the change of the position."""
        return 1 if self is Side.BUY else -1


class Effect(StrEnum):
    """Whether a leg opens a position or closes one; enforced when the order is confirmed."""

    OPEN = "open"
    CLOSE = "close"


class TimeInForce(StrEnum):
    """DAY orders end with the session, GTC orders live until cancelled."""

    DAY = "day"
    GTC = "gtc"


@recurring
@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One instrument of a structure: `ratio` contracts a unit, bought or sold, to open or to close."""

    instrument: Instrument
    side: Side
    effect: Effect
    ratio: int = 1

    def __post_init__(self) -> None:
        if type(self.ratio) is not int or self.ratio < 1:
            raise ValueError("a leg's ratio is a whole number of at least 1")

    def contracts(self, quantity: int) -> int:
        """Signed change of the position for `quantity` units."""
        return self.side.sign * self.ratio * quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is wanted, before any check: legs, units, how to work the price, and why."""

    account: AccountId
    legs: tuple[Leg, ...]
    quantity: int
    plan: Plan
    strategy: str
    thesis: str = ""
    trade_id: str | None = None  # the open trade a closing intent belongs to
    quantity_said: bool = False  # a person named the number; it is never cut silently
    most_units: int | None = field(default=None, metadata=SPARSE)  # what it leans on is held for no more units than these
    wish: Wish | None = field(default=None, metadata=SPARSE)  # how it is to be carried out, where a person said so
    instead_of: tuple[str, ...] = field(default=(), metadata=SPARSE)  # own orders cancelled, and proved so, before this one is sent

    def __post_init__(self) -> None:
        _check_order(self.legs, self.quantity)

    @property
    def effect(self) -> Effect | None:
        """OPEN or CLOSE where all legs agree, None for a roll."""
        effects = {leg.effect for leg in self.legs}
        return effects.pop() if len(effects) == 1 else None

    @property
    def options(self) -> tuple[Option, ...]:
        """The option legs' contracts."""
        return tuple(leg.instrument for leg in self.legs if isinstance(leg.instrument, Option))

    @property
    def underlying(self) -> str:
        """The symbol the structure is on (its first leg's)."""
        first = self.legs[0].instrument
        return first.underlying if isinstance(first, Option) else first.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Exactly what a confirmation covers; anything outside it may not reach a broker."""

    account: AccountId
    legs: tuple[Leg, ...]
    quantity: int
    plan: Plan
    tif: TimeInForce
    expires_at: datetime
    policy_version: int
    strategy: str
    trade_id: str | None
    regular_hours_only: bool = True
    instead_of: tuple[str, ...] = field(default=(), metadata=SPARSE)  # own orders cancelled, and proved so, before this one is sent

    def __post_init__(self) -> None:
        _check_order(self.legs, self.quantity)

    @property
    def hash(self) -> str:
        """SHA-256 over every field, contract terms included."""
        return digest(self)


def _check_order(legs: tuple[Leg, ...], quantity: int) -> None:
    if not legs:
        raise ValueError("an order needs at least one leg")
    if type(quantity) is not int or quantity < 1:
        raise ValueError("a quantity is a whole number of at least 1")
    keys = [leg.instrument.key for leg in legs]
    if len(set(keys)) != len(keys):
        raise ValueError("an order names each contract once")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of one leg as the broker reported it; `exec_id` is unique per account for ever."""

    exec_id: str
    account: AccountId
    client_id: str | None  # None where the order was not ours
    instrument: Instrument
    side: Side
    quantity: int
    price: Decimal
    fees: Decimal  # commission and exchange fees, positive = paid
    at: datetime
    corrects: str | None = None  # exec_id this report replaces
    busted: bool = False  # the execution named by `corrects` never happened
    broker_ref: str | None = field(default=None, metadata=SPARSE)  # the broker's own reference of the order, where it says so
    note: str = field(default="", metadata=SPARSE)  # the broker's words, where the order was not ours: a liquidation, a trade by phone


class OrderState(StrEnum):
    """Where an order stands. Denied is refused by the desk, rejected by the broker."""

    SUBMITTING = "submitting"
    WORKING = "working"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    PENDING_CANCEL = "pending_cancel"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    DENIED = "denied"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """No further broker action is expected (fills and corrections are still counted)."""
        return self in _TERMINAL


_TERMINAL = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.DENIED, OrderState.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """An order the gate let through; made only in `core.risk.gate`, the only thing a broker accepts."""

    account: AccountId
    client_id: str
    ticket_id: str
    envelope: Envelope
    envelope_hash: str
    limit: Decimal  # net per unit now sent; start >= limit >= worst
    quantity: int
    reducing: bool
    verdict_hash: str
