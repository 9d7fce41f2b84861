"""What differences look like: the cause that explains them, to the cent, and what would be booked for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from core.domain.events import Adjusted, Body, CashMoved, Difference
from core.domain.instruments import Deliverable, Equity, Instrument, Right
from core.domain.listing import option
from core.orders.readings import Reading, explained, reading_of, readings
from core.orders.reconcile import differences
from core.portfolio.book import Book
from core.ports import BrokerPosition, BrokerSnapshot
from tests.unit.risk.market import PRACTICE, Log, buy, filled, sell, submitting

NOW = datetime(2019, 5, 6, 15, 0, tzinfo=UTC)
LATER = datetime(2019, 5, 20, 13, 0, tzinfo=UTC)  # the Monday after May's expiry
MAY = date(2019, 5, 17)
SPY = Equity(symbol="SPY")
SPY_PUT = option("SPY", MAY, Right.PUT, Decimal(285))
SPY_CALL = option("SPY", MAY, Right.CALL, Decimal(295))
HIGH, LOW = (option("SPXW", MAY, Right.PUT, Decimal(strike)) for strike in (2700, 2650))


def book_with(*held: tuple[Instrument, int], cash: str = "50000", more: tuple[Body, ...] = ()) -> Book:
    log = Log()
    for number, (item, quantity) in enumerate(held):
        leg = (buy if quantity > 0 else sell)(item)
        log.add(filled(leg, abs(quantity), "0", exec_id=f"X{number}", client_id=None))
    log.add(CashMoved(movement_id="M", account=PRACTICE, amount=Decimal(cash), reason="deposit", at=NOW), *more)
    return log.book


def found(book: Book, *held: tuple[Instrument, int], cash: str = "50000", at: datetime = NOW) -> tuple[Difference, ...]:
    theirs = BrokerSnapshot(
        account=PRACTICE, epoch=1, complete=True, at=at, cash=Decimal(cash), orders=(), fills=(), settlements=(), movements=(), cursor=1,
        positions=tuple(BrokerPosition(instrument=item, quantity=quantity) for item, quantity in held),
    )
    return differences(book, theirs, sent_now=())


def words(items: tuple[Difference, ...]) -> list[str]:
    return [item.looks_like for item in items]


@pytest.mark.parametrize(
    ("item", "booked", "shares", "cash", "what"),
    [
        (SPY_PUT, -1, 100, "21500", "an assignment: 1 x SPY 17 May 19 285 put, +100 SPY at 285"),
        (SPY_PUT, 2, -200, "107000", "an exercise: 2 x SPY 17 May 19 285 put, -200 SPY at 285"),
        (SPY_CALL, -1, -100, "79500", "an assignment: 1 x SPY 17 May 19 295 call, -100 SPY at 295"),
        (SPY_CALL, 1, 100, "20500", "an exercise: 1 x SPY 17 May 19 295 call, +100 SPY at 295"),
    ],
)
def test_n1_reading_when_an_option_went_and_its_shares_came_at_the_strike_then_an_assignment(
    item: Instrument, booked: int, shares: int, cash: str, what: str
) -> None:
    book = book_with((item, booked))
    items = found(book, (SPY, shares), cash=cash)
    assert words(items) == [f"looks like {what}"] * 3
    (reading,) = readings(book, items, NOW)
    (booking,) = reading.bookings
    assert (booking.quantity, booking.shares, booking.cash) == (-booked, shares, Decimal(cash) - 50_000)
    assert set(reading.ids) == {item.id for item in items}


def test_n1_reading_when_fees_went_with_the_assignment_then_the_rest_of_the_cash_is_its_own_difference() -> None:
    book = book_with((SPY_PUT, -1))
    items = found(book, (SPY, 100), cash="21495")
    first, rest = readings(book, items, NOW)
    assert (first.bookings[0].cash, rest.bookings[0].cash, rest.words) == (Decimal(-28_500), Decimal(-5), "")
    cash = next(item.id for item in items if item.kind == "cash")
    assert reading_of(book, items, NOW, named=cash) == rest


def test_n1_reading_when_the_cash_has_not_moved_yet_then_said_and_no_money_is_booked() -> None:
    book = book_with((SPY_PUT, -1))
    items = found(book, (SPY, 100))
    assert "whose cash of -28,500.00 has not moved" in items[0].looks_like
    (reading,) = readings(book, items, NOW)
    assert [(booking.quantity, booking.cash) for booking in reading.bookings] == [(1, 0), (100, 0)]


def test_n1_reading_when_two_contracts_were_assigned_and_shares_were_held_before_then_both_are_found() -> None:
    book = book_with((SPY_PUT, -3), (SPY, 50))
    items = found(book, (SPY_PUT, -1), (SPY, 250), cash="-7000")
    (reading,) = readings(book, items, NOW)
    assert (reading.bookings[0].quantity, reading.bookings[0].shares) == (2, 200)


def test_reading_when_shares_came_but_not_at_that_strikes_money_then_not_taken_for_an_assignment_at_it() -> None:
    book = book_with((SPY_PUT, -1))
    items = found(book, (SPY_PUT, -1), (SPY, 100), cash="21300")
    (reading,) = readings(book, items, NOW)
    assert "a trade the broker has not reported: bought 100 SPY at 287.00" in reading.words


@pytest.mark.parametrize(
    ("cash", "says", "cashes"),
    [
        ("48025", "at about 2,680.25", ["-1975.00", "0.00"]),
        ("45000", "at about 2,650.00", ["-5000.00", "0.00"]),
        ("50000", "without value", ["0", "0"]),
    ],
)
def test_n2_reading_when_a_cash_settled_spread_went_after_its_expiry_then_at_the_value_the_money_fits(
    cash: str, says: str, cashes: list[str]
) -> None:
    book = book_with((HIGH, -1), (LOW, 1))
    items = found(book, cash=cash, at=LATER)
    (reading,) = readings(book, items, LATER)
    assert reading.words.startswith("looks like the settlement of") and reading.words.endswith(says)
    booked = {booking.instrument.key: booking.cash for booking in reading.bookings if booking.instrument is not None}
    assert [booked[HIGH.key], booked[LOW.key]] == [Decimal(amount) for amount in cashes]
    assert sum(booked.values()) == Decimal(cash) - 50_000


def test_n2_reading_when_the_series_has_not_settled_yet_then_no_settlement() -> None:
    book = book_with((HIGH, -1))
    (item,) = found(book, at=NOW)
    assert item.looks_like == ""


def test_n2_reading_when_a_put_for_shares_went_and_nothing_came_after_its_last_trade_then_an_expiry() -> None:
    book = book_with((SPY_PUT, -1))
    assert words(found(book, at=LATER)) == ["looks like the expiry of 1 x SPY 17 May 19 285 put, without value"]
    assert words(found(book, at=NOW)) == [""]


def test_n10_reading_when_one_holding_and_its_money_differ_then_a_trade_nobody_reported() -> None:
    book = book_with((HIGH, -1))
    items = found(book, cash="49347.40")
    traded = "looks like a trade the broker has not reported: bought 1 SPXW 17 May 19 2700 put at 6.53, fees included"
    assert words(items) == [f"{traded}; a liquidation by the broker looks like this too"] * 2
    (reading,) = readings(book, items, NOW)
    assert (reading.bookings[0].quantity, reading.bookings[0].cash) == (1, Decimal("-652.60"))


def test_reading_when_nothing_explains_it_then_the_brokers_word_alone() -> None:
    book = book_with()
    items = found(book, (SPY, 7), (HIGH, 1))
    assert words(items) == ["", ""]
    assert [(reading.bookings[0].quantity, reading.bookings[0].cash) for reading in readings(book, items, NOW)] == [(1, 0), (7, 0)]


def test_reading_when_a_person_booked_it_and_the_broker_reported_it_since_then_its_reverse() -> None:
    adopted = Adjusted(
        adjustment_id="J1", account=PRACTICE, person="owner", reason="looks like an assignment", instrument=SPY_PUT, quantity=1,
        cash=Decimal(-28_500), at=NOW, outcome="assigned", shares=100, share_symbol="SPY",
    )
    reported = (adopted, CashMoved(movement_id="late", account=PRACTICE, amount=Decimal(-28_500), reason="assignment", at=NOW))
    book = book_with((SPY, 100), more=reported)
    items = found(book, (SPY, 100), cash="21500")
    (reading,) = readings(book, items, NOW)
    assert "looks like what owner booked as J1" in reading.words
    (booking,) = reading.bookings
    assert (booking.quantity, booking.shares, booking.cash) == (-1, -100, Decimal(28_500))


def test_explained_when_called_again_then_the_same_ids_and_words() -> None:
    book = book_with((SPY_PUT, -1))
    items = found(book, (SPY, 100), cash="21500")
    assert explained(book, items, NOW) == items
    assert len({item.id for item in items}) == 3


# --- corporate actions ---------------------------------------------------------------------------------------------------

XYZ = option("XYZ", MAY, Right.CALL, Decimal(50))
XYZ1 = replace(XYZ, root="XYZ1", deliverable=Deliverable(symbol="XYZ", shares=150, cash=Decimal(12)))


def adopted(reading: Reading) -> tuple[Adjusted, ...]:
    return tuple(
        Adjusted(
            adjustment_id=f"J{number}", account=PRACTICE, person="owner", reason=reading.words, instrument=item.instrument,
            quantity=item.quantity, cash=item.cash, at=LATER, outcome=item.outcome, shares=item.shares, share_symbol=item.share_symbol,
        )
        for number, item in enumerate(reading.bookings)
    )


def test_n5_reading_when_an_adjusted_series_came_in_place_of_a_contract_then_the_holding_moves_on_at_its_cost() -> None:
    sold = (submitting((sell(XYZ),), 2), filled(sell(XYZ), 2, "3.10", exec_id="a"))
    book = book_with(more=sold, cash="50000")
    items = found(book, (XYZ1, -2), cash="50620")
    assert words(items) == ["looks like a corporate action: -2 XYZ 17 May 19 50 call became -2 XYZ1 17 May 19 50 call"] * 2
    (reading,) = readings(book, items, NOW)
    after = book_with(more=(*sold, *adopted(reading)), cash="50000")
    assert {key: (held.quantity, held.average_price) for key, held in after.positions.items()} == {XYZ1.key: (-2, Decimal("3.10"))}
    assert (after.cash, after.trades["PO1"].is_open, after.trades["PO1"].realized) == (book.cash, False, Decimal(0))
    assert found(after, (XYZ1, -2), cash="50620") == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "says", "average"), [(100, 200, "2 for 1", "5"), (300, 30, "1 for 10", "100"), (200, 300, "3 for 2", "6.67")]
)
def test_n5_reading_when_shares_multiplied_without_money_then_a_split_that_spreads_their_cost(
    ours: int, theirs: int, says: str, average: str
) -> None:
    held = filled(buy(Equity(symbol="XYZ")), ours, "10.00", exec_id="a", client_id=None)
    book = book_with(more=(held,), cash="50000")
    items = found(book, (Equity(symbol="XYZ"), theirs), cash=str(book.cash))
    assert words(items) == [f"looks like a split {says} of XYZ"]
    (reading,) = readings(book, items, NOW)
    after = book_with(more=(held, *adopted(reading)), cash="50000")
    assert (after.positions["XYZ"].quantity, round(after.positions["XYZ"].average_price, 2)) == (theirs, Decimal(average))
    assert after.cash == book.cash


def test_n5_reading_when_the_number_of_shares_is_no_simple_ratio_then_no_split() -> None:
    book = book_with((SPY, 101))
    assert words(found(book, (SPY, 94))) == [""]
