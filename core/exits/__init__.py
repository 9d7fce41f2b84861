"""Exits: when an open trade should be closed, rolled or looked at. One file each, pure.

An exit declares `NAME`, `PARAMETERS`, `URGENCY` (of several that are due the most urgent speaks), `RUNG` (off, suggest or confirm where
no setting says otherwise), `REPEAT_MINUTES` (told again after so long until it is answered; 0: told once), `CAREFUL` (acted on by the
trigger discipline of stops, and told where its price cannot be seen), `PAYS_UP` (a loss exit: under a mandate it may go beyond natural),
`COVERED_BY` (a person's own standing exit that makes it silent), `STRATEGIES` (that it is for; None: all), `FROM_STRATEGY` (parameters
for which a strategy's own setting, where it has one, counts), `needs(trade, parameters, today)` and `judge(case, view, parameters)`. It
looks at nothing but its arguments and raises `Unavailable` for what cannot be known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import ModuleType

from core import plugins
from core.domain.calendar import EXCHANGE
from core.domain.instruments import Equity
from core.domain.mandates import Rung
from core.domain.structures import Trade
from core.errors import Unavailable
from core.market.view import Needs, View
from core.portfolio.pnl import OpenResult
from core.settings import Kind, Loosens, Parameters, Setting, Value

GENERAL = "general"  # a strategy's level that is the exit's own


class Decision(StrEnum):
    """What an exit says of a trade."""

    HOLD = "hold"
    CLOSE = "close"
    ROLL = "roll"
    LOOK = "look"  # it cannot judge and a person should: the price cannot be seen, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """An exit's answer with its number; `reason` is a sentence for a person."""

    decision: Decision
    measured: str
    limit: str
    reason: str
    level: Decimal | None = None  # of a careful exit: the net price per unit (+ received) for closing at which it is due

    @property
    def due(self) -> bool:
        """Something is to be done."""
        return self.decision is not Decision.HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One open trade as its exits see it. `told` says that this exit speaks of it already: it goes back on its word only where the
    measure has clearly gone back, so that a price around the line does not ring twice. `delivered`: a leg that ran out became shares,
    which are held outside the trade and not in its result."""

    result: OpenResult
    told: bool = False
    delivered: bool = False

    @property
    def trade(self) -> Trade:
        """The trade itself."""
        return self.result.trade

    @property
    def whole(self) -> bool:
        """Whether every leg is held in its ratio; a trade with a leg missing is measured as a whole, closed parts included."""
        return self._as_opened(frozenset())

    @property
    def intact(self) -> bool:
        """Whether it is whole but for legs that have run out: what is left is closed in one order."""
        return self._as_opened(self.result.run_out)

    @property
    def premium(self) -> Decimal:
        """Received (+) or paid (-) for what is open now, before fees, in money."""
        return self.trade.credit_per_unit * self.trade.open_units if self.whole else self.trade.premium

    @property
    def gain(self) -> Decimal:
        """Profit (+) or loss (-) of what is open at mids, before fees, in money; raise Unavailable without a usable price."""
        if self.result.mark is None:
            raise Unavailable(f"price of trade {self.trade.id}", why=f"no usable quote of {', '.join(self.result.stale)}")
        return self.result.mark + (self.premium if self.whole else self.trade.premium + self.trade.closing_cash)

    @property
    def gain_fraction(self) -> Decimal | None:
        """The gain as a share of the credit received, or of the debit paid; None where nothing was."""
        return self.gain / abs(self.premium) if self.premium else None

    @property
    def holds_shares(self) -> bool:
        """Whether shares are part of it, or came of it, whose price is no premium."""
        return self.delivered or any(isinstance(leg.instrument, Equity) for leg in self.trade.legs)

    def per_share(self, money: Decimal) -> Decimal:
        """Money of the open units as a price per unit and share."""
        return money / (self.trade.open_units * self.trade.legs[0].instrument.multiplier)

    def days_left(self, today: date) -> int | None:
        """Calendar days to the nearest expiry of what is held, None where nothing expires."""
        return None if self.result.expiry is None else (self.result.expiry - today).days

    @property
    def days_at_start(self) -> int | None:
        """Calendar days it had when it was opened, None where nothing expires."""
        expiry = self.trade.expiry
        return None if expiry is None else (expiry - self.trade.opened_at.astimezone(EXCHANGE).date()).days

    def _as_opened(self, without: frozenset[str]) -> bool:
        living = (leg for leg in self.trade.legs if leg.instrument.key not in without)
        expected = {leg.instrument.key: leg.contracts(self.trade.open_units) for leg in living}
        return {key: quantity for key, (_, quantity) in self.result.held.items()} == expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """A loaded exit with the effective settings of everything it may look up."""

    module: ModuleType
    values: Mapping[str, Value]

    @property
    def name(self) -> str:
        """The plug-in's name."""
        return str(self.module.NAME)

    @property
    def says(self) -> str:
        """What it does, in its own first sentence."""
        return " ".join(re.split(r"[:.]", self.module.__doc__ or "", maxsplit=1)[0].split())

    def serves(self, strategy: str) -> bool:
        """Whether it is for trades of a strategy at all."""
        return self.module.STRATEGIES is None or strategy in self.module.STRATEGIES

    def rung(self, strategy: str) -> Rung:
        """How far the desk goes for a strategy's trades where no mandate covers them."""
        if not self.serves(strategy):
            return Rung.OFF
        own = self.values.get(_level_key(self.name, strategy), GENERAL)
        return Rung(str(self.values[_level_key(self.name)] if own == GENERAL else own))

    @property
    def repeat_minutes(self) -> int:
        """Minutes after which it is told again, 0 where it is told once."""
        return int(self.values[f"exits.{self.name}.repeat_minutes"])

    def parameters(self, strategy: str) -> Parameters:
        """Effective parameters for a strategy's trades: its own setting first, then the exit's."""
        return Parameters(values={setting.name: self.values[self._key(setting.name, strategy)] for setting in self.module.PARAMETERS})

    def terms(self, strategies: Iterable[str], specs: Mapping[str, Setting]) -> dict[str, str]:
        """The settings that decide for these strategies, by full key, as a person would type them: what a mandate was granted on."""
        keys = {self._key(setting.name, strategy) for strategy in strategies for setting in self.module.PARAMETERS}
        return {key: specs[key].write(self.values[key]) for key in sorted(keys)}

    def needs(self, trade: Trade, today: date) -> Needs:
        """What a view must hold for `judge`."""
        needs: Needs = self.module.needs(trade, self.parameters(trade.strategy), today)
        return needs

    def judge(self, case: Case, view: View) -> Judgement:
        """Ask the plug-in; raise TypeError where it answers something else."""
        found = self.module.judge(case, view, self.parameters(case.trade.strategy))
        if not isinstance(found, Judgement):
            raise TypeError(f"exit {self.name} answered {type(found).__name__}")
        return found

    def _key(self, name: str, strategy: str) -> str:
        theirs = f"strategies.{strategy}.{self.module.FROM_STRATEGY.get(name, '')}"
        return theirs if theirs in self.values else f"exits.{self.name}.{name}"


def load_exits(values: Mapping[str, Value]) -> tuple[Exit, ...]:
    """Every exit with the effective settings, the most urgent first."""
    exits = [Exit(module=plugins.load("exits", name), values=values) for name in plugins.names("exits")]
    return tuple(sorted(exits, key=lambda item: (-item.module.URGENCY, item.name)))


def exit_settings(module: ModuleType, strategies: Iterable[str]) -> tuple[Setting, ...]:
    """An exit's parameters and its rungs on the ladder: one for all, one for each strategy it is for."""
    rungs = (Rung.OFF.value, Rung.SUGGEST.value, Rung.CONFIRM.value)
    general = Setting(
        name="level", kind=Kind.CHOICE, default=module.RUNG.value, choices=rungs, loosens=Loosens.EXIT,
        help="off, suggest (say so) or confirm (with a ready ticket); automatic only under a mandate",
    )
    served = [name for name in strategies if module.STRATEGIES is None or name in module.STRATEGIES]
    own = [
        Setting(
            name=f"level_{name}", kind=Kind.CHOICE, default=GENERAL, choices=(GENERAL, *rungs), loosens=Loosens.EXIT,
            help=f"the same for {name} trades; general: as the level above",
        )
        for name in served
    ]
    repeat = Setting(
        name="repeat_minutes", kind=Kind.INTEGER, default=module.REPEAT_MINUTES, unit="min", loosens=Loosens.EXIT,
        help="told again after so long until it is answered; 0: told once", low=Decimal(0), high=Decimal(1440),
    )
    declared: tuple[Setting, ...] = module.PARAMETERS
    return (*declared, general, *own, repeat)


def quotes_of(trade: Trade) -> Needs:
    """The quotes of a trade's own legs."""
    return Needs(instruments=frozenset(leg.instrument for leg in trade.legs))


def hold(measured: str, limit: str, reason: str) -> Judgement:
    """Nothing is to be done."""
    return Judgement(decision=Decision.HOLD, measured=measured, limit=limit, reason=reason)


def _level_key(name: str, strategy: str = "") -> str:
    return f"exits.{name}.level_{strategy}" if strategy else f"exits.{name}.level"
