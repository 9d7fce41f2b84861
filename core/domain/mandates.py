"""Mandates: a person's standing permission to send a kind of order without a press, with every bound in figures.

The autonomy ladder has four rungs: off, suggest (say so), confirm (say so with a ready ticket), auto (send it). The first three are
settings; the last exists only through a mandate that names the rule, and lasts as long as that mandate does.

A mandate covers exactly what its card said. Where a setting of a rule it names has changed since, it covers nothing until it is granted
anew: the person agreed to other figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.accounts import AccountId
from core.domain.orders import Effect

MOST_CONCESSION_POINTS = Decimal("0.10")  # an exit under a mandate may pay natural + max(0.10, 10%), never more
MOST_CONCESSION_FRACTION = Decimal("0.10")


class Rung(StrEnum):
    """How far the desk goes by itself; AUTO is never a setting, only ever a mandate."""

    OFF = "off"
    SUGGEST = "suggest"
    CONFIRM = "confirm"
    AUTO = "auto"


class MandateAction(StrEnum):
    """What the orders of a mandate do to a trade."""

    CLOSE = "close"
    ROLL = "roll"
    OPEN = "open"

    @property
    def effect(self) -> Effect | None:
        """The effect all legs of such an order have; None for a roll, whose legs differ."""
        return {MandateAction.CLOSE: Effect.CLOSE, MandateAction.OPEN: Effect.OPEN, MandateAction.ROLL: None}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """A standing permission as its card showed it.

    `terms` are the settings of the rules it names at the grant, by full key as a person would type them. `valid_until` is the first
    instant at which it covers nothing any more.
    """

    id: str
    account: AccountId
    rules: tuple[str, ...]
    action: MandateAction
    strategies: tuple[str, ...]
    symbols: tuple[str, ...] | None  # underlyings; None: any
    max_quantity: int  # units of one order
    max_orders_per_day: int  # over all its rules, by exchange date
    concession_points: Decimal  # how much worse than natural the worst price may be, per share
    concession_fraction: Decimal  # or this share of natural, whichever is more
    valid_until: datetime
    granted_by: str
    chat: str
    terms: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.rules or not self.strategies or self.symbols == ():
            raise ValueError("a mandate names at least one rule, strategy and symbol")
        if self.max_quantity < 1 or self.max_orders_per_day < 1:
            raise ValueError("a mandate allows at least one unit and one order")
        points, fraction = self.concession_points, self.concession_fraction
        if not (points.is_finite() and fraction.is_finite()):
            raise ValueError("a mandate's figures are numbers, not NaN or infinite")
        if not (0 <= points <= MOST_CONCESSION_POINTS and 0 <= fraction <= MOST_CONCESSION_FRACTION):
            raise ValueError("a mandate concedes at most max(0.10, 10%) beyond the natural price")

    def worst_allowed(self, natural: Decimal) -> Decimal:
        """The worst net price of an order whose natural price is this: natural less the concession."""
        return natural - max(self.concession_points, abs(natural) * self.concession_fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateState:
    """A mandate as it stands: why it is over (empty while it is in force), and how many orders it has sent today."""

    mandate: Mandate
    granted_at: datetime
    ended: str = ""
    revoked: bool = False
    lapsed: bool = False  # a setting it was granted on was changed since, maybe back again
    sent_today: int = 0

    @property
    def in_force(self) -> bool:
        """Neither revoked nor run out."""
        return not self.ended

    @property
    def left_today(self) -> int:
        """Orders it may still send today."""
        return max(0, self.mandate.max_orders_per_day - self.sent_today) if self.in_force else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What an order nobody pressed for rests on: a mandate as it stands, the rule that called for it, the rule's settings now."""

    state: MandateState
    rule: str
    terms: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One bound of a mandate that an order breaks."""

    name: str
    measured: str
    limit: str
    why: str


def broken_bounds(
    authority: Authority, *, account: AccountId, strategy: str, symbol: str, effect: Effect | None, quantity: int
) -> tuple[Bound, ...]:
    """Every bound an order would break, price aside; empty where the mandate covers it.

    Example: 3 units under a mandate for 2 a day's third order: over its quantity, and over its number of orders where that is 2.
    """
    state, mandate = authority.state, authority.state.mandate
    name = f"mandate {mandate.id}"
    checks = (
        (not state.in_force, "in force", state.ended, "in force", f"{name} {state.ended}"),
        (account != mandate.account, "account", account.id, mandate.account.id, f"{name} is for account {mandate.account.id}"),
        (
            authority.rule not in mandate.rules, "rule", authority.rule, ", ".join(mandate.rules),
            f"{name} does not name the rule {authority.rule}",
        ),
        (
            state.lapsed or dict(authority.terms) != dict(mandate.terms), "terms", _words(authority.terms), _words(mandate.terms),
            f"a setting of its rules changed since {name} was granted; grant it anew",
        ),
        (
            effect is not mandate.action.effect, "action", _effect_words(effect), mandate.action.value,
            f"{name} is to {mandate.action.value}, this order would {_effect_words(effect)}",
        ),
        (
            strategy not in mandate.strategies, "strategy", strategy, ", ".join(mandate.strategies),
            f"{name} does not cover {strategy} trades",
        ),
        (
            mandate.symbols is not None and symbol not in mandate.symbols, "symbol", symbol, ", ".join(mandate.symbols or ()),
            f"{name} does not cover {symbol}",
        ),
        (
            quantity > mandate.max_quantity, "quantity", str(quantity), str(mandate.max_quantity),
            f"{quantity} units are over the {mandate.max_quantity} an order of {name} may have",
        ),
        (
            state.sent_today >= mandate.max_orders_per_day, "orders today", str(state.sent_today), str(mandate.max_orders_per_day),
            f"{name} has sent its {mandate.max_orders_per_day} order{'s' if mandate.max_orders_per_day > 1 else ''} of today",
        ),
    )
    return tuple(Bound(name=item[1], measured=item[2], limit=item[3], why=item[4]) for item in checks if item[0])


def _effect_words(effect: Effect | None) -> str:
    return "roll" if effect is None else effect.value


def _words(terms: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(terms.items())) or "none"
