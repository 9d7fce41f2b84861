"""What a rule is given and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from types import ModuleType

from core.domain.accounts import Account
from core.domain.encoding import digest
from core.domain.events import ExternalOrder, Mode
from core.domain.instruments import Instrument, Right
from core.domain.mandates import Authority
from core.domain.orders import Envelope, Intent
from core.market.view import View
from core.orders.states import Order
from core.portfolio.book import Book
from core.portfolio.exposure import Exposure as Exposure
from core.ports import Preview
from core.pricing.payoff import Payoff
from core.settings import Parameters


class RuleClass(StrEnum):
    """Hard rules have no override; a soft one an owner may override with a reason; an advisory one only blocks automation."""

    HARD = "hard"
    SOFT = "soft"
    ADVISORY = "advisory"


class Level(StrEnum):
    """A rule's answer."""

    PASS = "pass"
    REDUCE = "reduce"
    BLOCK = "block"


class Family(StrEnum):
    """Factors multiply across families; within one the smallest wins."""

    NONE = "none"
    VOLATILITY = "volatility"
    MARKET = "market"
    EVENTS = "events"
    CORRELATION = "correlation"
    BRAKES = "brakes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's verdict with its number. `fits` is the largest quantity the rule would pass, where it knows one."""

    rule: str
    rule_class: RuleClass
    level: Level
    measured: str
    limit: str
    why: str
    factor: Decimal = Decimal(1)
    family: Family = Family.NONE
    fits: int | None = None
    next_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What a set of holdings amounts to. `stress_loss_usd` is the worst scenario's loss (positive).

    `margin` and `stress_loss_usd` are None where the price of an underlying is unknown; `unmarked` names contracts without a volatility,
    which entered both at their worst plausible value.
    """

    margin: Decimal | None
    margin_refusals: tuple[str, ...]
    stress_loss_usd: float | None
    stress_scenario: str
    uncovered: Mapping[tuple[str, date, Right], int]
    exposure: Exposure
    net_liquidation: Decimal | None
    unmarked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """A confirmation of the last minutes, for the duplicate rule."""

    envelope_hash: str
    legs_key: str
    quantity: int
    at: datetime
    ticket_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """Everything a rule may look at. `held_before` counts live orders as filled; `held_after` adds this order.

    `reducing` is measured, see `core.risk.examine.is_reducing`: worst stress loss, margin requirement and uncovered short quantity per
    underlying, expiry and right are each no larger after than before. `exits`: it reduces, or closes and leaves no more shorts uncovered.
    """

    intent: Intent
    account: Account
    book: Book
    held_before: Mapping[str, tuple[Instrument, int]]
    held_after: Mapping[str, tuple[Instrument, int]]
    before: Measures
    after: Measures
    reducing: bool
    exits: bool
    view: View
    preview: Preview | None
    payoff: Payoff | None  # of the order's own legs; None for several expiries
    capital: Decimal | None  # trading-rules "capital of a trade", for the whole quantity
    natural: Decimal | None  # net price at which the order would fill at once
    mid: Decimal | None
    now: datetime
    mode: Mode
    mode_reason: str
    automation: bool = False  # nobody presses for it
    authority: Authority | None = None  # the mandate it rests on then
    second_order: bool = False  # the person said it is a second, identical order on purpose
    recent: tuple[Recent, ...] = ()
    standing: str | None = None  # the standing order it is sent for: covered by an earlier press, by nobody's now
    elsewhere: tuple[Order, ...] = ()  # live orders of the desk's other accounts
    beside: Mapping[str, tuple[Instrument, int]] = field(default_factory=dict)  # trades done elsewhere, where the owner counts them in
    strangers: tuple[ExternalOrder, ...] = ()  # live orders of all its accounts that this desk did not send


def passing(rule: str, rule_class: str, *, measured: str, limit: str, why: str) -> Finding:
    """A rule's yes, with its number."""
    return Finding(rule=rule, rule_class=RuleClass(rule_class), level=Level.PASS, measured=measured, limit=limit, why=why)


def blocking(rule: str, rule_class: str, *, measured: str, limit: str, why: str, fits: int | None = None, next_step: str = "") -> Finding:
    """A rule's no, with its number; `fits` is the largest quantity it would pass (0: none), None where quantity does not matter."""
    return Finding(
        rule=rule, rule_class=RuleClass(rule_class), level=Level.BLOCK, measured=measured, limit=limit, why=why, fits=fits,
        next_step=next_step,
    )


def legs_key(order: Intent | Envelope) -> str:
    """Identifies the same legs on the same account, whatever the price."""
    legs = sorted(f"{leg.side.value} {leg.ratio} {leg.instrument.key} {leg.effect.value}" for leg in order.legs)
    return f"{order.account}|{'|'.join(legs)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A loaded rule plug-in with its effective parameters."""

    module: ModuleType
    parameters: Parameters

    @property
    def name(self) -> str:
        """The plug-in's name."""
        return str(self.module.NAME)

    @property
    def rule_class(self) -> RuleClass:
        """Hard, soft or advisory, as the plug-in declares."""
        return RuleClass(self.module.CLASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All findings and what they come to."""

    findings: tuple[Finding, ...]
    allowed: bool
    reducing: bool
    factor: Decimal
    quantity_allowed: int
    exits: bool = False
    reason: str = ""
    overridden: tuple[str, ...] = field(default=())

    @property
    def hash(self) -> str:
        """Changes when any rule's level changes, not when a measured number moves within its limit."""
        levels = [f"{item.rule}:{item.level.value}" for item in self.findings]
        measured = {"reducing": self.reducing, "exits": self.exits}
        return digest({"allowed": self.allowed, "levels": levels, "quantity": self.quantity_allowed, **measured})

    @property
    def blocks(self) -> tuple[Finding, ...]:
        """The findings that stand in the way."""
        return tuple(item for item in self.findings if item.level is Level.BLOCK)
