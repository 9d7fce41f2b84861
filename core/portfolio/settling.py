"""Which trade a settlement belongs to: a pure function of the set of executions and settlements of one instrument.

A corporate action ends a holding too, and begins another in its place: each trade gets the part of it that its own share became.

Reports come in any order, hours apart: a fill is heard after the expiry that ended it, an execution is busted after its assignment. So what
each trade takes of a settlement is worked out anew from everything of that instrument, in the order in which it happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Context, Decimal

from core.domain.events import CorporateAction, Replaced, Settled
from core.domain.instruments import Equity, Instrument, Option
from core.domain.money import ZERO

CENTS = -2  # exponent
OldestFirst = Callable[[Iterable[str]], Sequence[str]]  # names of trades, put in order
_WIDE = Context(prec=80)
_NEXT = timedelta(microseconds=1)  # a holding that takes another's place begins after that one ended


@dataclass(frozen=True, slots=True, order=True)
class Lot:
    """One change of a holding; sorted by time so that the average price does not depend on the order of reports."""

    at: datetime
    id: str
    quantity: int
    price: Decimal
    trade: str | None = field(default=None, compare=False)  # of an execution: the trade it belongs to
    opens: bool = field(default=False, compare=False)
    settles: bool = field(default=False, compare=False)  # of a settlement: the contracts it ended, or the shares it delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class Became:
    """What a corporate action put in the place of a holding: how much of it in all, at `old` / `new` of the average price."""

    instrument: Instrument
    quantity: int
    new: int
    old: int

    def scaled(self, count: int) -> int:
        """So many of the old as so many of the new, towards zero."""
        return (abs(count) * self.new // self.old) * (1 if count > 0 else -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedOutside:
    """What a corporate action made of a holding outside trades: signed, before and after, and the cash for a part of a share."""

    id: str
    at: datetime
    key: str
    quantity: int
    became: Became
    becomes: int
    cash: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A settlement of one instrument and the part of it that each trade took; what none took is outside trades."""

    id: str
    at: datetime
    quantity: int
    cash: Decimal  # zero where shares were delivered
    fees: Decimal
    final: bool  # the contract had run out
    adopted: bool  # booked on the broker's word: what it does not close, it opens
    parts: Mapping[str, int] = field(default_factory=dict)
    waited: bool = False  # at its time less was held than it ends
    became: Became | None = None  # of a corporate action

    @property
    def rest(self) -> int:
        """What no trade took."""
        return self.quantity - sum(self.parts.values())

    def money_of(self, parts: Iterable[str]) -> dict[str, tuple[Decimal, Decimal]]:
        """Cash and fees of the part of each trade, given in the order in which they share: exact to the cent."""
        found, upto = {}, 0
        for trade in parts:
            before, upto = upto, upto + self.parts[trade]
            found[trade] = (
                _portion(self.cash, upto, self.quantity) - _portion(self.cash, before, self.quantity),
                _portion(self.fees, upto, self.quantity) - _portion(self.fees, before, self.quantity),
            )
        return found

    def outside(self) -> tuple[int, Decimal, Decimal]:
        """Quantity, cash and fees of what no trade took."""
        taken = self.quantity - self.rest
        return self.rest, self.cash - _portion(self.cash, taken, self.quantity), self.fees - _portion(self.fees, taken, self.quantity)

    def begun(self, trades: Iterable[str], average: Decimal) -> list[Lot]:
        """The lots of what took its place, by trade in the order in which they share, then outside trades."""
        assert self.became is not None
        price, began, ended, found = average * self.became.old / self.became.new, self.at + _NEXT, 0, []
        for name, part in (*((name, self.parts[name]) for name in trades), (None, self.rest)):
            before, ended = ended, ended + part
            count = self._upto(ended) - self._upto(before)
            if count:
                found.append(Lot(began, f"{self.id}>{name or ''}", count, price, name, opens=name is not None, settles=name is None))
        return found

    def _upto(self, ended: int) -> int:
        """Of the new holding, what so much of the old one became."""
        assert self.became is not None
        part = abs(ended) * abs(self.became.quantity) // abs(self.quantity)
        return part if self.became.quantity > 0 else -part

    def precedes(self, lot: Lot) -> bool:
        """Whether an execution came so much later that it cannot change what the trades took."""
        return not self.final and not self.waited and self.at < lot.at


def ending_of(body: Settled) -> Ending:
    """A settlement before anything is known of trades.

    A contract trades no more once it has run out, whatever the clocks say: what settles it on its last day or later comes after every
    execution of it.
    """
    return Ending(
        id=body.settlement_id, at=body.at, quantity=body.quantity, cash=ZERO if body.shares else body.cash, fees=body.fees,
        final=isinstance(body.instrument, Option) and body.at.date() >= body.instrument.expiry, adopted=body.outcome == "adjusted",
    )


def ending_by(action: CorporateAction, line: Replaced) -> Ending:
    """The end of a holding that a corporate action replaced, before anything is known of trades."""
    if isinstance(line.instrument, Equity):
        new, old = action.new, action.old
    else:
        new, old = (abs(line.becomes), abs(line.quantity)) if line.becomes else (1, 1)  # paid out: nothing is left to have cost anything
    return Ending(
        id=line_id(action, line), at=action.at, quantity=-line.quantity, cash=line.cash, fees=ZERO, final=False, adopted=False,
        became=Became(instrument=line.successor, quantity=line.becomes, new=new, old=old),
    )


def line_id(action: CorporateAction, line: Replaced) -> str:
    """One line of a corporate action, by name."""
    return f"{action.action_id}:{line.instrument.key}"


def delivery_of(body: Settled) -> Ending:
    """The shares of a settlement as the end of what is held on the other side of them, at the strike; the rest is held outside trades."""
    return Ending(id=body.settlement_id, at=body.at, quantity=body.shares, cash=body.cash, fees=ZERO, final=False, adopted=True)


def shared_out(lots: Iterable[Lot], endings: Sequence[Ending], oldest_first: OldestFirst) -> tuple[Ending, ...]:
    """The settlements of an instrument with the parts of the trades that opened it, the oldest trade first, then what is held outside.

    `lots` are all changes of the holding, those of the settlements too. Where a settlement finds less than it ends, some execution was
    stamped too late: what is left is taken from what the trades hold in the end.
    """
    ids = {ending.id for ending in endings}
    happened: list[tuple[bool, datetime, bool, str, Lot | Ending]] = [
        *((False, lot.at, False, lot.id, lot) for lot in lots if not (lot.settles and lot.id in ids)),
        *((ending.final, ending.at, True, ending.id, replace(ending, parts={}, waited=False)) for ending in endings),
    ]
    held = _Held(oldest_first)
    found: list[Ending] = []
    for *_, item in sorted(happened, key=lambda one: one[:4]):
        if isinstance(item, Lot):
            held.take(item)
        else:
            found.append(held.end(item))
    return tuple(held.end_late(ending) if ending.waited else ending for ending in found)


class _Held:
    """What is held of an instrument, by trade and outside trades, while its changes come in."""

    def __init__(self, oldest_first: OldestFirst) -> None:
        self._oldest_first = oldest_first
        self._held: dict[str, int] = {}
        self._opened: dict[str, int] = {}
        self._outside = 0
        self._waiting: dict[str, int] = {}  # by settlement: what it did not find

    def take(self, lot: Lot) -> None:
        if lot.trade is None:
            self._outside += lot.quantity
            return
        self._held[lot.trade] = self._held.get(lot.trade, 0) + lot.quantity
        if lot.opens:
            self._opened[lot.trade] = self._opened.get(lot.trade, 0) + lot.quantity

    def end(self, ending: Ending) -> Ending:
        parts, left = self._parts(ending.quantity)
        closed = left if ending.adopted else closing_part(left, self._outside)
        self._outside += closed
        self._waiting[ending.id] = left - closed
        return replace(ending, parts=parts, waited=left != closed)

    def end_late(self, ending: Ending) -> Ending:
        late, _ = self._parts(self._waiting[ending.id])
        return replace(ending, parts={**ending.parts, **{name: ending.parts.get(name, 0) + part for name, part in late.items()}})

    def _parts(self, quantity: int) -> tuple[dict[str, int], int]:
        parts: dict[str, int] = {}
        for name in self._oldest_first(name for name, count in self._opened.items() if count) if quantity else ():
            part = closing_part(quantity, self._held[name])
            if part:
                parts[name] = part
                self._held[name] += part
                quantity -= part
        return parts, quantity


def closing_part(quantity: int, held: int) -> int:
    """How much of a change closes what is held; zero where it adds."""
    if not held or not quantity or (held > 0) == (quantity > 0):
        return 0
    return max(quantity, -held) if quantity < 0 else min(quantity, -held)


def _portion(amount: Decimal, part: int, whole: int) -> Decimal:
    """`part` of `whole` of an amount, to the cent (or as finely as the amount is given)."""
    if part in (0, whole):
        return amount if part else ZERO
    finest = Decimal(1).scaleb(min(CENTS, int(amount.as_tuple().exponent)))
    return _WIDE.divide(_WIDE.multiply(amount, Decimal(part)), Decimal(whole)).quantize(finest, context=_WIDE)
