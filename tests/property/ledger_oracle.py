"""A second set of books in rational numbers, as a bookkeeper with much time keeps them: always anew from every fact, contract by contract.

Nothing of `core.portfolio` is used, and nothing is clever: what the desk's fold does in running sums is here done again from the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import TypeVar

from core.domain.events import Adjusted, CashMoved, Filled, Settled, Submitting
from core.domain.instruments import Equity, Instrument, Option
from core.domain.orders import Effect, Fill, Leg

Fact = Filled | Settled | Adjusted | CashMoved
T = TypeVar("T", Filled, Settled, Adjusted, CashMoved)
ZERO = Fraction(0)


@dataclass(slots=True)
class Account:
    """What the account has in all."""

    cash: Fraction = ZERO
    deposits: Fraction = ZERO
    fees: Fraction = ZERO
    positions: dict[str, tuple[int, Fraction]] = field(default_factory=dict)  # quantity and average price
    trades: dict[str, Story] = field(default_factory=dict)  # those of which anything counts
    outside: Fraction = ZERO  # what holdings outside trades brought, before fees
    outside_fees: Fraction = ZERO


@dataclass(slots=True)
class Story:
    """A trade."""

    premium: Fraction = ZERO
    closing: Fraction = ZERO
    fees: Fraction = ZERO
    held: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    opened: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    times: list[datetime] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Deal:
    """Something was bought or sold."""

    at: datetime
    id: str
    item: Instrument
    quantity: int
    price: Fraction
    fees: Fraction
    trade: str | None
    opens: bool


@dataclass(frozen=True, slots=True)
class _End:
    """Something was settled, or booked on the broker's word."""

    at: datetime
    id: str
    item: Instrument
    quantity: int
    cash: Fraction
    fees: Fraction
    word: bool  # the broker's: it opens what it does not close
    price: Fraction
    shares: int = 0
    symbol: str | None = None

    @property
    def last(self) -> bool:
        return isinstance(self.item, Option) and self.at.date() >= self.item.expiry


class Ledger:
    """All facts that were told, each once, and the orders that were sent."""

    def __init__(self) -> None:
        self._orders: dict[str, Submitting] = {}
        self._facts: dict[tuple[str, str], Fact] = {}

    def told(self, fact: Fact | Submitting) -> None:
        """Write down what was told."""
        match fact:
            case Submitting():
                self._orders[fact.client_id] = fact
            case Filled():
                self._facts.setdefault(("fill", fact.fill.exec_id), fact)
            case Settled():
                self._facts.setdefault(("end", fact.settlement_id), fact)
            case Adjusted():
                self._facts.setdefault(("word", fact.adjustment_id), fact)
            case CashMoved():
                self._facts.setdefault(("cash", fact.movement_id), fact)

    @property
    def trades(self) -> list[str]:
        """Trades in the order in which they were begun."""
        return [order.trade_id for order in self._orders.values() if order.envelope.trade_id is None]

    def legs(self, trade: str) -> tuple[Leg, ...]:
        """The legs a trade was opened with."""
        return next(order.envelope.legs for order in self._orders.values() if order.trade_id == trade)

    def account(self) -> Account:
        """Everything, counted from the start."""
        found, deals, ends = Account(), list(self._deals()), list(self._ends())
        for move in self._of(CashMoved):
            found.cash += Fraction(move.amount)
            found.deposits += Fraction(move.amount) if move.reason in ("deposit", "withdrawal") else ZERO
        for word in self._of(Adjusted):
            if word.instrument is None:
                found.cash += Fraction(word.cash)
                found.deposits += Fraction(word.cash) if word.deposit else ZERO
        for deal in deals:
            found.cash -= deal.price * deal.quantity * deal.item.multiplier + deal.fees
            found.fees += deal.fees
        for end in ends:
            found.cash += end.cash - end.fees
            found.fees += end.fees
        whole = [*ends, *_deliveries(ends)]
        found.positions = _positions(deals, whole)
        self._count_trades(found, deals, whole)
        return found

    def _of(self, kind: type[T]) -> Iterator[T]:
        return (fact for fact in self._facts.values() if isinstance(fact, kind))

    def _deals(self) -> Iterator[_Deal]:
        replaced = {fact.fill.corrects for fact in self._of(Filled)}
        for fill in (fact.fill for fact in self._of(Filled)):
            if fill.exec_id not in replaced and not fill.busted:
                yield self._deal(fill)

    def _deal(self, fill: Fill) -> _Deal:
        order = self._orders.get(fill.client_id or "")
        legs = [leg for leg in order.envelope.legs if leg.instrument == fill.instrument] if order else []
        begun = order is not None and legs and order.trade_id in self.trades
        return _Deal(
            fill.at, fill.exec_id, fill.instrument, fill.side.sign * fill.quantity, Fraction(fill.price), Fraction(fill.fees),
            order.trade_id if begun and order else None, bool(legs) and legs[0].effect is Effect.OPEN,
        )

    def _ends(self) -> Iterator[_End]:
        for end in self._of(Settled):
            yield _End(
                end.at, end.settlement_id, end.instrument, end.quantity, Fraction(end.cash), Fraction(end.fees), False,
                _price(Fraction(end.cash), end.quantity, end.shares, end.instrument), end.shares, end.share_symbol,
            )
        for word in self._of(Adjusted):
            if word.instrument is not None:
                price = _price(Fraction(word.cash), word.quantity, word.shares, word.instrument)
                free = word.outcome == "adjusted" and not word.cash and not word.shares
                yield _End(
                    word.at, word.adjustment_id, word.instrument, word.quantity, Fraction(word.cash), ZERO, word.outcome == "adjusted",
                    Fraction(word.price or 0) if free else price, word.shares, word.share_symbol,
                )

    def _count_trades(self, found: Account, deals: list[_Deal], ends: list[_End]) -> None:
        stories = {name: Story() for name in self.trades}
        for deal in deals:
            if deal.trade is not None:
                story, money = stories[deal.trade], -deal.price * deal.quantity * deal.item.multiplier
                story.premium += money if deal.opens else ZERO
                story.closing += ZERO if deal.opens else money
                story.fees += deal.fees
                story.times.append(deal.at)
        apart: list[tuple[datetime, str, Instrument, int, Fraction]] = []
        for key in {deal.item.key for deal in deals} | {end.item.key for end in ends}:
            own = [deal for deal in deals if deal.item.key == key]
            apart += _share_out(key, stories, own, [end for end in ends if end.item.key == key])
        held: dict[str, tuple[int, Fraction]] = {}
        for deal in deals:
            if deal.trade is None:
                apart.append((deal.at, deal.id, deal.item, deal.quantity, deal.price))
        for _, _, item, quantity, price in sorted(apart, key=lambda row: row[:2]):
            held[item.key], gained = _averaged(held.get(item.key, (0, ZERO)), quantity, price)
            found.outside += gained * item.multiplier
        found.trades = {name: story for name, story in stories.items() if story.times}
        found.outside_fees = found.fees - sum((story.fees for story in stories.values()), ZERO)


def _deliveries(ends: list[_End]) -> list[_End]:
    """Shares that settlements delivered: they end what is held on the other side of them, at the strike, and open what is not."""
    return [
        _End(end.at, end.id, Equity(symbol=end.symbol), end.shares, end.cash, ZERO, True, abs(end.cash / end.shares))
        for end in ends if end.shares and end.symbol
    ]


def _share_out(
    key: str, stories: dict[str, Story], deals: list[_Deal], ends: list[_End]
) -> Iterator[tuple[datetime, str, Instrument, int, Fraction]]:
    """Who holds what of one instrument, contract by contract; what no trade took of a settlement is handed back."""
    outside, missing, taken = 0, [], {end.id: 0 for end in ends}
    happened: list[_Deal | _End] = [*deals, *ends]
    happened.sort(key=lambda row: (isinstance(row, _End) and row.last, row.at, isinstance(row, _End), row.id))
    for row in happened:
        if isinstance(row, _Deal):
            outside += row.quantity if row.trade is None else 0
            if row.trade is not None:
                stories[row.trade].held[key] += row.quantity
                stories[row.trade].opened[key] += row.quantity if row.opens else 0
            continue
        sign = 1 if row.quantity > 0 else -1
        for _ in range(abs(row.quantity)):
            if _taken_by_a_trade(stories, row, sign):
                taken[row.id] += sign
            elif row.word or outside * sign < 0:
                outside += sign
            else:
                missing.append((row, sign))
    for row, sign in missing:
        taken[row.id] += sign if _taken_by_a_trade(stories, row, sign) else 0
    for end in ends:
        if end.quantity != taken[end.id]:
            yield end.at, end.id, end.item, end.quantity - taken[end.id], end.price


def _taken_by_a_trade(stories: dict[str, Story], end: _End, sign: int) -> bool:
    """One contract of a settlement goes to the oldest trade that holds the other side of it."""
    key = end.item.key
    for story in stories.values():
        if story.opened[key] and story.held[key] * sign < 0:
            story.held[key] += sign
            story.closing += ZERO if end.shares else end.cash / abs(end.quantity)
            story.fees += end.fees / abs(end.quantity)
            story.times.append(end.at)
            return True
    return False


def _positions(deals: list[_Deal], ends: list[_End]) -> dict[str, tuple[int, Fraction]]:
    rows = [(deal.at, deal.id, deal.item.key, deal.quantity, deal.price) for deal in deals]
    rows += [(end.at, end.id, end.item.key, end.quantity, end.price) for end in ends]
    held: dict[str, tuple[int, Fraction]] = {}
    for _, _, key, quantity, price in sorted(rows):
        held[key], _ = _averaged(held.get(key, (0, ZERO)), quantity, price)
    return {key: pair for key, pair in held.items() if pair[0]}


def _averaged(held: tuple[int, Fraction], quantity: int, price: Fraction) -> tuple[tuple[int, Fraction], Fraction]:
    """Quantity and average price after a change, and what the closed part gained; one by one."""
    count, average = held
    sign, gained = (1 if quantity > 0 else -1), ZERO
    for _ in range(abs(quantity)):
        if count * sign >= 0:
            average = (average * abs(count) + price) / (abs(count) + 1)
        else:
            gained -= sign * (price - average)
        count += sign
        average = average if count else ZERO
    return (count, average), gained


def _price(cash: Fraction, quantity: int, shares: int, item: Instrument) -> Fraction:
    return ZERO if shares or not quantity else abs(cash) / (abs(quantity) * item.multiplier)

