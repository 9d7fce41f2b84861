"""Accounts: which book an order belongs to, what kind of margin it has and what it may hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from core.domain.encoding import recurring

OUTSIDE_BROKER = "outside"  # of the account that no broker of this desk keeps
RESERVED = frozenset({"all", OUTSIDE_BROKER})  # names no configured account may have


class Env(StrEnum):
    """Where an account's orders go: `paper` fills are pretended, `live` ones are real money."""

    PAPER = "paper"
    LIVE = "live"


class AccountKind(StrEnum):
    """The margin agreement of an account; cash and IRA accounts refuse naked and uncovered shorts."""

    CASH = "cash"
    IRA = "ira"
    REG_T = "reg_t"
    PORTFOLIO_MARGIN = "portfolio_margin"


@recurring
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountId:
    """Broker, the broker's account number, and whether it is paper or live; text form `paper:PAPER-1:paper`."""

    broker: str
    id: str
    env: Env

    def __post_init__(self) -> None:
        if not self.broker or not self.id or ":" in self.broker or ":" in self.id:
            raise ValueError(f"{self.broker!r:.40} and {self.id!r:.40} are no broker and account: each is a word without a colon")
        if not isinstance(self.env, Env):
            raise ValueError(f"{self.env!r:.40} is neither paper nor live")

    def __str__(self) -> str:
        return f"{self.broker}:{self.id}:{self.env.value}"

    @property
    def outside(self) -> bool:
        """Whether it is the book of trades done elsewhere, which no broker of this desk keeps."""
        return self.broker == OUTSIDE_BROKER

    @classmethod
    def parse(cls, text: str) -> AccountId:
        """Read `broker:id:env`; raise ValueError where it is not of that form."""
        parts = text.split(":")
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"{text!r} is not an account of the form broker:id:paper or broker:id:live")
        return cls(broker=parts[0], id=parts[1], env=Env(parts[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Charter:
    """What an account may hold. None as a symbol list means every symbol."""

    long_only: bool = False
    defined_risk_only: bool = False
    no_shares_short: bool = True
    symbols: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account as configured."""

    id: AccountId
    name: str
    kind: AccountKind
    charter: Charter = field(default_factory=Charter)
    start_cash: Decimal = Decimal(0)
    currency: str = "USD"


OUTSIDE = Account(
    id=AccountId(broker=OUTSIDE_BROKER, id="OUTSIDE", env=Env.LIVE), name=OUTSIDE_BROKER, kind=AccountKind.REG_T,
    charter=Charter(no_shares_short=False),
)
