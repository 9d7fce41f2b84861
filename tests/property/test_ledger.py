"""The book beside a second one in rational numbers: equal after every event, and equal for every order in which the facts may be heard."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.domain.events import Adjusted, CashMoved, Filled, Settled, Submitting
from core.domain.instruments import Equity, Instrument
from core.domain.orders import Effect, Leg, Side
from core.portfolio.book import Book
from core.portfolio.pnl import closed_outside
from tests.property.ledger_oracle import Ledger, Story
from tests.unit.portfolio.test_book import again
from tests.unit.risk.market import EXPIRY, NOW, PRACTICE, Log, buy, closing, filled, put, sell, submitting

KO, UPPER, LOWER = Equity(symbol="KO"), put(45, root="KO"), put(40, root="KO")
NIGHT = NOW + timedelta(hours=12)
LAST_DAY = datetime(EXPIRY.year, EXPIRY.month, EXPIRY.day, tzinfo=UTC)
OPENINGS: tuple[tuple[Leg, ...], ...] = (
    (sell(UPPER), buy(LOWER)),
    (sell(UPPER),),
    (sell(LOWER), buy(UPPER)),
    (buy(KO, ratio=2), sell(LOWER)),
    (buy(UPPER, ratio=2), sell(LOWER)),
)
INSTRUMENTS: tuple[Instrument, ...] = (UPPER, LOWER, KO)
EXACT = Fraction(1, 10**15)  # an average that no decimal can hold is rounded in its 28th digit

TIMES = st.sampled_from((NOW, NOW, NOW + timedelta(minutes=1), NIGHT, NIGHT + timedelta(hours=8), LAST_DAY + timedelta(hours=19)))
ENDS = st.sampled_from((NIGHT, NIGHT, NIGHT + timedelta(hours=8), LAST_DAY, LAST_DAY + timedelta(hours=20)))
CENTS = st.integers(0, 999).map(lambda cents: Decimal(cents) / 100)
QUANTITIES = st.integers(1, 3)
SIGNED = st.sampled_from((1, 2, 3, 5, -1, -2, -3, -5))


class Books(RuleBasedStateMachine):
    """Orders are sent, and reports of every kind come, also of what was not heard of yet; the fold is stored and read back in between."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.ledger = Ledger()
        self.orders: list[Submitting] = []
        self.facts: list[Any] = []
        self.number = 0

    def name(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}{self.number}"

    def tell(self, body: Any) -> None:
        self.log.add(body)
        self.ledger.told(body)
        (self.orders if isinstance(body, Submitting) else self.facts).append(body)

    @rule(legs=st.sampled_from(OPENINGS), quantity=QUANTITIES)
    def open(self, legs: tuple[Leg, ...], quantity: int) -> None:
        self.tell(submitting(legs, quantity, client_id=self.name("O")))

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), quantity=QUANTITIES)
    def close(self, data: st.DataObject, quantity: int) -> None:
        trade = data.draw(st.sampled_from(self.ledger.trades), label="trade")
        self._send(trade, closing(self.ledger.legs(trade)), quantity)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), legs=st.sampled_from(OPENINGS), quantity=QUANTITIES)
    def roll(self, data: st.DataObject, legs: tuple[Leg, ...], quantity: int) -> None:
        trade = data.draw(st.sampled_from(self.ledger.trades), label="trade")
        new = tuple(leg for leg in legs if leg.instrument not in {old.instrument for old in self.ledger.legs(trade)})
        self._send(trade, (*closing(self.ledger.legs(trade)), *new), quantity)

    def _send(self, trade: str, legs: tuple[Leg, ...], quantity: int) -> None:
        body = submitting(legs, quantity, client_id=self.name("O"), trade_id=trade)
        self.tell(replace(body, envelope=replace(body.envelope, trade_id=trade)))

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), quantity=QUANTITIES, price=CENTS, fees=CENTS, at=TIMES, early=st.booleans())
    def fill(self, data: st.DataObject, quantity: int, price: Decimal, fees: Decimal, at: datetime, early: bool) -> None:
        order = data.draw(st.sampled_from(self.orders), label="order")
        leg = data.draw(st.sampled_from(order.envelope.legs), label="leg")
        told = filled(leg, quantity, str(price), exec_id=self.name("E"), client_id=order.client_id, at=at, fees=str(fees))
        if early:  # its bust comes first
            self.tell(replace(told, fill=replace(told.fill, exec_id=self.name("E"), corrects=told.fill.exec_id, busted=True)))
        self.tell(told)

    @rule(item=st.sampled_from(INSTRUMENTS), quantity=SIGNED, price=CENTS, fees=CENTS, at=TIMES)
    def fill_from_elsewhere(self, item: Instrument, quantity: int, price: Decimal, fees: Decimal, at: datetime) -> None:
        leg = Leg(instrument=item, side=Side.BUY if quantity > 0 else Side.SELL, effect=Effect.OPEN)
        self.tell(filled(leg, abs(quantity), str(price), exec_id=self.name("E"), client_id=None, at=at, fees=str(fees)))

    @precondition(lambda self: self.uncorrected)
    @rule(data=st.data(), quantity=QUANTITIES, price=CENTS, at=TIMES, bust=st.booleans())
    def correct(self, data: st.DataObject, quantity: int, price: Decimal, at: datetime, bust: bool) -> None:
        old = data.draw(st.sampled_from(self.uncorrected), label="execution").fill
        new = replace(old, exec_id=self.name("E"), corrects=old.exec_id, quantity=quantity, price=price, at=at, busted=bust)
        self.tell(Filled(fill=new))

    @property
    def uncorrected(self) -> list[Filled]:
        found = [fact for fact in self.facts if isinstance(fact, Filled)]
        replaced = {fact.fill.corrects for fact in found}
        return [fact for fact in found if fact.fill.exec_id not in replaced]

    @rule(item=st.sampled_from((UPPER, LOWER)), quantity=SIGNED, cents=st.integers(-400, 400), at=ENDS, delivers=st.booleans())
    def settle(self, item: Any, quantity: int, cents: int, at: datetime, delivers: bool) -> None:
        shares = 100 * quantity if delivers else 0
        cash = Decimal(cents) * abs(quantity) / 100 if not shares else item.strike * -shares
        self.tell(Settled(
            settlement_id=self.name("S"), account=PRACTICE, instrument=item, quantity=quantity, outcome="assigned" if shares else "expired",
            value=None, cash=cash, at=at, shares=shares, share_symbol="KO" if shares else None, fees=Decimal(abs(quantity)) * 65 / 100,
        ))

    @precondition(lambda self: self.ledger.account().positions)
    @rule(data=st.data(), at=ENDS, cents=st.sampled_from((0, 0, -125, 40)))
    def settle_all(self, data: st.DataObject, at: datetime, cents: int) -> None:
        positions = self.ledger.account().positions
        item = data.draw(st.sampled_from([item for item in INSTRUMENTS if item.key in positions]), label="instrument")
        quantity = -positions[item.key][0]
        self.tell(Settled(
            settlement_id=self.name("S"), account=PRACTICE, instrument=item, quantity=quantity, outcome="cash_settled", value=None,
            cash=Decimal(cents) * abs(quantity) / 100, at=at,
        ))

    @rule(item=st.sampled_from(INSTRUMENTS), quantity=SIGNED, cents=st.sampled_from((0, -2_500, 4_800)), price=CENTS, at=ENDS)
    def adopt(self, item: Instrument, quantity: int, cents: int, price: Decimal, at: datetime) -> None:
        self.tell(Adjusted(
            adjustment_id=self.name("J"), account=PRACTICE, person="a", reason="word", instrument=item, quantity=quantity, at=at,
            cash=Decimal(cents) * abs(quantity) / 100, price=None if cents else price,
        ))

    @rule(amount=CENTS, deposit=st.booleans())
    def adopt_cash(self, amount: Decimal, deposit: bool) -> None:
        self.tell(Adjusted(
            adjustment_id=self.name("J"), account=PRACTICE, person="a", reason="word", instrument=None, quantity=0, cash=amount, at=NOW,
            deposit=deposit,
        ))

    @rule(amount=CENTS, reason=st.sampled_from(("deposit", "withdrawal", "dividend", "interest")))
    def move_cash(self, amount: Decimal, reason: str) -> None:
        signed = -amount if reason == "withdrawal" else amount
        self.tell(CashMoved(movement_id=self.name("M"), account=PRACTICE, amount=signed, reason=reason, at=NOW))

    @precondition(lambda self: self.facts)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.tell(data.draw(st.sampled_from(self.facts), label="fact"))

    @rule()
    def store_and_read_back(self) -> None:
        self.log.fold = again(self.log.fold)

    @invariant()
    def both_books_agree(self) -> None:
        book, ours = self.log.book, self.ledger.account()
        assert (Fraction(book.cash), Fraction(book.deposits), Fraction(book.fees)) == (ours.cash, ours.deposits, ours.fees)
        assert {key: item.quantity for key, item in book.positions.items()} == {key: count for key, (count, _) in ours.positions.items()}
        for key, (_, average) in ours.positions.items():
            assert abs(Fraction(book.positions[key].average_price) - average) < EXACT
        assert {name: _story(book, name) for name in book.trades} == {
            name: _story_of(story, _ratios(self.ledger.legs(name))) for name, story in ours.trades.items()
        }
        fills, settlements = book.booked_outside()
        results = closed_outside(fills=fills, settlements=settlements)
        assert abs(sum((Fraction(item.gross) for item in results), Fraction(0)) - ours.outside) < EXACT
        assert sum((Fraction(item.fees) for item in results), Fraction(0)) == ours.outside_fees

    def teardown(self) -> None:
        for seed in range(3):
            shuffled = self.facts + self.facts[:3]
            random.Random(seed).shuffle(shuffled)
            other = Log()
            other.add(*self.orders, *shuffled)
            assert _facts(other.book) == _facts(self.log.book)


def _facts(book: Book) -> Book:
    """Everything but when the desk heard of it, and in what order cash moved and persons signed."""
    orders = {key: replace(order, updated_at=NOW) for key, order in book.orders.items()}
    assert set(book.live) == {key for key, order in orders.items() if not order.state.terminal}
    movements = tuple(sorted(book.movements, key=lambda item: item.movement_id))
    return replace(book, orders=orders, live={}, overfilled=(), adjustments=(), movements=movements)


def _story(book: Book, name: str) -> tuple[Any, ...]:
    trade = book.trades[name]
    held = {key: count for key, (_, count) in book.held_by_trade.get(name, {}).items()}
    money = Fraction(trade.premium), Fraction(trade.closing_cash), Fraction(trade.fees)
    realised = None if trade.realized is None else Fraction(trade.realized)
    return (*money, held, trade.opened_units, trade.open_units, trade.closed_at, realised)


def _story_of(story: Story, ratios: Mapping[str, int]) -> tuple[Any, ...]:
    held = {key: count for key, count in story.held.items() if count}
    opened = {key: count for key, count in story.opened.items() if count}
    units = [-(-abs(count) // ratios.get(key, 1)) for key, count in held.items() if key in opened]
    begun = max((-(-abs(count) // ratios.get(key, 1)) for key, count in opened.items()), default=0)
    left = max(units, default=0)
    realised = None if left else story.premium + story.closing - story.fees
    return (story.premium, story.closing, story.fees, held, begun, left, None if left else max(story.times), realised)


def _ratios(legs: tuple[Leg, ...]) -> dict[str, int]:
    return {leg.instrument.key: leg.ratio for leg in legs}


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=40)
