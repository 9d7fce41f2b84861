"""Book and order are functions of the set of reports: order and repetition do not matter, and cash equals exact arithmetic."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.domain.events import Body, Filled, OrderEnded, OrderUnknown
from core.domain.orders import OrderState
from core.orders.states import TRANSITIONS, Order, step
from core.portfolio.book import Book, average_price
from tests.unit.risk.market import NOW, SPREAD, Log, acknowledged, filled, submitting

PRICES = st.integers(0, 9_999).map(lambda cents: f"{Decimal(cents) / 100:.2f}")


@st.composite
def reports(draw: st.DrawFn) -> list[Filled]:
    """Executions of a spread, some of them corrected (corrections too), some busted."""
    found: list[Filled] = []
    for number in range(draw(st.integers(1, 6))):
        leg = draw(st.sampled_from(SPREAD))
        at = NOW + timedelta(seconds=draw(st.integers(0, 5)))
        name = f"E{number}"
        found.append(filled(leg, draw(st.integers(1, 4)), draw(PRICES), exec_id=name, at=at, fees=draw(PRICES)))
        for turn in range(draw(st.integers(0, 2))):
            bust = draw(st.booleans())
            later = NOW + timedelta(seconds=draw(st.integers(0, 5)))
            found.append(
                filled(
                    leg,
                    draw(st.integers(1, 4)),
                    draw(PRICES),
                    exec_id=f"{name}.{turn}",
                    at=later,
                    fees=draw(PRICES),
                    corrects=name if turn == 0 else f"{name}.{turn - 1}",
                    busted=bust,
                )
            )
    return found


def folded(bodies: list[Any]) -> Book:
    log = Log()
    log.add(submitting(SPREAD, 4), *bodies)
    return log.book


def facts(book: Book) -> tuple[Any, ...]:
    """Everything of a book but when the desk heard of it."""
    orders = {key: replace(order, updated_at=NOW) for key, order in book.orders.items()}
    states = {key: order.state for key, order in book.orders.items()}
    return book.cash, book.fees, dict(book.positions), dict(book.trades), orders, states, set(book.live), book.fills


def counted(found: list[Filled]) -> list[Any]:
    replaced = {item.fill.corrects for item in found}
    return [item.fill for item in found if item.fill.exec_id not in replaced and not item.fill.busted]


@given(data=st.data(), found=reports(), ended=st.sampled_from([None, "cancelled", "rejected", "expired"]))
def test_e3_e4_fold_when_reports_permuted_and_repeated_then_same_book_and_order(
    data: st.DataObject, found: list[Filled], ended: str | None
) -> None:
    bodies: list[Any] = [acknowledged(), *found]
    bodies += [OrderEnded(client_id="O1", outcome=ended, reason="")] if ended else []
    repeated = bodies + data.draw(st.lists(st.sampled_from(bodies), max_size=5))
    shuffled = data.draw(st.permutations(repeated))
    assert facts(folded(shuffled)) == facts(folded(bodies))


@given(found=reports())
def test_m5_fold_when_fills_corrected_and_busted_then_cash_equals_rational_oracle(found: list[Filled]) -> None:
    book = folded([acknowledged(), *found])
    cash = sum(
        (-Fraction(fill.price) * 100 * fill.side.sign * fill.quantity - Fraction(fill.fees) for fill in counted(found)), start=Fraction(0)
    )
    held: dict[str, int] = {}
    for fill in counted(found):
        held[fill.instrument.key] = held.get(fill.instrument.key, 0) + fill.side.sign * fill.quantity
    assert Fraction(book.cash) == cash
    assert {key: position.quantity for key, position in book.positions.items()} == {key: count for key, count in held.items() if count}
    assert sum((Fraction(trade.premium - trade.fees) for trade in book.trades.values()), start=Fraction(0)) == cash


@given(found=reports())
def test_n7_e6_order_when_filled_unevenly_or_over_then_it_says_so(found: list[Filled]) -> None:
    order = folded([acknowledged(), *found]).orders["O1"]
    counts = {leg.instrument.key: 0 for leg in SPREAD}
    for fill in counted(found):
        counts[fill.instrument.key] += fill.quantity
    assert order.filled_contracts == counts
    assert order.uneven == (len(set(counts.values())) > 1)
    assert order.overfilled == (max(counts.values()) > 4)
    assert (order.state is OrderState.FILLED) == (min(counts.values()) >= 4)


@given(lots=st.lists(st.tuples(st.integers(-5, 5).filter(bool), PRICES.map(Decimal)), max_size=12))
def test_m5_average_price_when_lots_flip_and_close_then_equals_rational_oracle(lots: list[tuple[int, Decimal]]) -> None:
    held, average = 0, Fraction(0)
    for quantity, price in lots:
        total = held + quantity
        if held * quantity >= 0:
            average = (average * abs(held) + Fraction(price) * abs(quantity)) / abs(total)
        elif total * held < 0:
            average = Fraction(price)
        held, average = total, average if total else Fraction(0)
    assert abs(Fraction(average_price(lots)) - average) < Fraction(1, 10**20)


@given(data=st.data(), found=reports())
def test_order_when_told_anything_in_any_order_then_only_listed_transitions(data: st.DataObject, found: list[Filled]) -> None:
    others: list[Body] = [
        acknowledged(),
        OrderUnknown(client_id="O1", reason=""),
        *(OrderEnded(client_id="O1", outcome=outcome, reason="") for outcome in ("cancelled", "rejected", "expired")),
    ]
    told = data.draw(st.permutations([*found, *data.draw(st.lists(st.sampled_from(others), max_size=4))]))
    order: Order | None = step(None, submitting(SPREAD, 4), at=NOW)[0]
    for body in told:
        assert order is not None
        was = order.state
        order, _ = step(order, body, at=NOW)
        assert order is not None
        assert order.state is was or order.state in TRANSITIONS[was], f"{was} -> {order.state} by {type(body).__name__}"
