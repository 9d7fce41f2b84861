"""Settlements of trades: the same facts give the same book, in whatever order they are heard. Each figure is worked out in its test."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.domain.events import Adjusted, Body, Filled, Settled
from core.domain.instruments import Equity, Instrument, Right
from core.domain.orders import Effect, Leg
from core.portfolio.book import Book
from core.portfolio.pnl import closed_outside
from tests.unit.portfolio.test_book import again, texts
from tests.unit.risk.market import EXPIRY, NOW, PRACTICE, SPREAD, Log, acknowledged, buy, closing, event, filled, put, sell, submitting

SHORT, LONG = SPREAD
KO, KO_PUT = Equity(symbol="KO"), put(45, root="KO")
ENDED = datetime(EXPIRY.year, EXPIRY.month, EXPIRY.day, 20, 0, tzinfo=UTC)
NIGHT = NOW + timedelta(hours=12)


def settled(item: Instrument, quantity: int, *, cash: str = "0", at: datetime = ENDED, name: str = "S1", **more: Any) -> Settled:
    given = {"outcome": "expired", "value": None} | more
    return Settled(settlement_id=name, account=PRACTICE, instrument=item, quantity=quantity, cash=Decimal(cash), at=at, **given)


def assigned(contracts: int, *, at: datetime = NIGHT, name: str = "S1") -> Settled:
    """Short puts on KO of 45 assigned."""
    return settled(
        KO_PUT, contracts, cash=f"-{4500 * contracts}", at=at, name=name, outcome="assigned", shares=100 * contracts, share_symbol="KO"
    )


def adopted(item: Instrument, quantity: int, *, cash: str = "0", name: str = "J1", **more: Any) -> Adjusted:
    return Adjusted(
        adjustment_id=name,
        account=PRACTICE,
        person="a",
        reason="split",
        instrument=item,
        quantity=quantity,
        cash=Decimal(cash),
        at=NIGHT,
        **more,
    )


def sold(quantity: int, price: str, *, of: str, exec_id: str, at: datetime = NOW, fees: str = "0", **more: Any) -> Filled:
    """Puts on KO sold by an order."""
    return filled(sell(KO_PUT), quantity, price, exec_id=exec_id, client_id=of, at=at, fees=fees, **more)


def opening(*quantities: int, legs: tuple[Leg, ...] = (sell(KO_PUT),)) -> list[Body]:
    """Orders O1, O2, ... that open the trades PO1, PO2, ..."""
    return [submitting(legs, quantity, client_id=f"O{number}") for number, quantity in enumerate(quantities, 1)]


def folded(*bodies: Body) -> Book:
    log = Log()
    log.add(*bodies)
    return log.book


def in_every_order(orders: list[Body], *reports: Body) -> Book:
    """The book of these reports, after comparing every order in which they may be heard. What persons signed is listed as it was signed."""
    books = [replace(folded(*orders, *told), adjustments=()) for told in itertools.permutations(reports)]
    assert all(book == books[0] for book in books)
    return books[0]


def results(book: Book) -> dict[str, Any]:
    return {name: (trade.open_units, trade.premium, trade.closing_cash, trade.fees, trade.closed_at) for name, trade in book.trades.items()}


def test_e3_settlement_when_a_leg_is_heard_of_after_it_then_the_trade_ends() -> None:
    book = in_every_order(
        opening(2, legs=SPREAD),
        filled(SHORT, 2, "30.00", exec_id="E1", fees="1.30"),
        filled(LONG, 2, "21.00", exec_id="E2", fees="1.30"),
        settled(SHORT.instrument, 2, cash="-4000", outcome="cash_settled"),
        settled(LONG.instrument, -2, name="S2"),
    )
    assert results(book) == {"PO1": (0, Decimal(1800), Decimal(-4000), Decimal("2.60"), ENDED)}
    assert book.trades["PO1"].realized == book.cash == Decimal("-2202.60")
    assert not book.open_trades
    assert not book.positions


def test_settlement_when_a_covered_call_is_called_away_then_the_trade_that_bought_the_shares_sells_them_at_the_strike() -> None:
    call = replace(KO_PUT, right=Right.CALL)
    orders = [
        submitting((buy(KO),), 250, client_id="O1"),
        submitting((sell(call),), 2, client_id="O2"),
    ]
    book = in_every_order(
        orders,
        filled(buy(KO), 250, "44.00", exec_id="E1", client_id="O1", fees="1.25"),
        filled(sell(call), 2, "0.80", exec_id="E2", client_id="O2", at=NOW + timedelta(minutes=1), fees="1.30"),
        settled(call, 2, cash="9000", outcome="assigned", shares=-200, share_symbol="KO"),
    )
    assert results(book) == {
        "PO1": (50, Decimal(-11000), Decimal(9000), Decimal("1.25"), None),
        "PO2": (0, Decimal(160), Decimal(0), Decimal("1.30"), ENDED),
    }
    assert (book.positions["KO"].quantity, book.held_by_trade["PO1"]["KO"][1]) == (50, 50)
    assert not book.outside and book.booked_outside() == ([], [])


def test_settlement_when_more_is_called_away_than_trades_hold_then_the_rest_is_outside_them() -> None:
    call = replace(KO_PUT, right=Right.CALL)
    book = in_every_order(
        [submitting((buy(KO),), 100, client_id="O1")],
        filled(buy(KO), 100, "44.00", exec_id="E1", client_id="O1"),
        settled(call, 2, cash="9000", outcome="assigned", shares=-200, share_symbol="KO"),
    )
    assert results(book)["PO1"] == (0, Decimal(-4400), Decimal(4500), Decimal(0), ENDED)
    (outside,) = book.booked_outside()[1]
    assert (outside.shares, outside.cash, book.positions["KO"].quantity) == (-100, Decimal(4500), -100)


def test_e4_settlement_when_a_fill_is_busted_after_it_then_the_younger_trade_gives_its_part() -> None:
    book = in_every_order(
        opening(2, 2),
        sold(2, "0.80", of="O1", exec_id="E1"),
        sold(2, "0.90", of="O2", exec_id="E2", at=NOW + timedelta(minutes=1)),
        settled(KO_PUT, 2, cash="-300", outcome="cash_settled"),
        sold(2, "0", of="O1", exec_id="E1.B", corrects="E1", busted=True),
    )
    assert results(book) == {"PO2": (0, Decimal(180), Decimal(-300), Decimal(0), ENDED)}
    assert not book.positions
    assert not book.outside


def test_e4_settlement_when_a_fill_is_corrected_after_it_then_the_correction_alone_is_settled() -> None:
    book = in_every_order(
        opening(3),
        sold(3, "0.80", of="O1", exec_id="E1", fees="1.95"),
        sold(2, "0.70", of="O1", exec_id="E1.1", fees="1.30", corrects="E1"),
        settled(KO_PUT, 2, cash="-100", outcome="cash_settled"),
    )
    assert results(book) == {"PO1": (0, Decimal(140), Decimal(-100), Decimal("1.30"), ENDED)}


def test_n1_settlement_when_an_assignment_is_partial_and_trades_share_the_contract_then_the_oldest_gives_first() -> None:
    book = in_every_order(
        opening(1, 3),
        sold(1, "0.80", of="O1", exec_id="E1"),
        sold(3, "0.90", of="O2", exec_id="E2"),
        assigned(2),
        settled(KO_PUT, 2, name="S2"),
    )
    assert results(book) == {
        "PO1": (0, Decimal(80), Decimal(0), Decimal(0), NIGHT),
        "PO2": (0, Decimal(270), Decimal(0), Decimal(0), ENDED),
    }
    assert book.positions["KO"].quantity == 200


def test_settlement_when_a_trade_opened_after_an_assignment_then_it_is_not_touched() -> None:
    book = in_every_order(
        opening(1, 1),
        filled(sell(KO_PUT), 1, "0.50", exec_id="X1", client_id=None),
        assigned(1),
        sold(1, "0.90", of="O1", exec_id="E1", at=NIGHT + timedelta(hours=8)),
    )
    assert [trade.id for trade in book.open_trades] == ["PO1"]
    assert book.held_by_trade == {"PO1": {KO_PUT.key: (KO_PUT, -1)}}


def test_settlement_when_a_fill_is_stamped_after_it_then_it_ends_that_too() -> None:
    late = sold(1, "0.90", of="O1", exec_id="E1", at=NIGHT + timedelta(hours=1))
    assert results(in_every_order(opening(1), late, assigned(1))) == {"PO1": (0, Decimal(90), Decimal(0), Decimal(0), late.fill.at)}


def test_settlement_when_what_it_ended_late_is_closed_after_all_then_it_is_outside() -> None:
    at = NIGHT + timedelta(hours=1)
    book = in_every_order(
        [*opening(1), submitting(closing((sell(KO_PUT),)), 1, client_id="O2", trade_id="PO1")],
        sold(1, "0.90", of="O1", exec_id="E1", at=at),
        filled(buy(KO_PUT, Effect.CLOSE), 1, "0.20", exec_id="E2", client_id="O2", at=at + timedelta(hours=1)),
        assigned(1),
    )
    assert results(book) == {"PO1": (0, Decimal(90), Decimal(-20), Decimal(0), at + timedelta(hours=1))}
    assert book.positions[KO_PUT.key].quantity == 1


def test_settlement_when_it_ran_out_then_closing_fills_of_the_day_count_first_whatever_the_clocks_say() -> None:
    midnight = datetime(EXPIRY.year, EXPIRY.month, EXPIRY.day, tzinfo=UTC)  # a broker that gives the day alone
    book = in_every_order(
        [*opening(1, 1), submitting(closing((sell(KO_PUT),)), 1, client_id="O3", trade_id="PO1")],
        sold(1, "0.80", of="O1", exec_id="E1"),
        sold(1, "0.80", of="O2", exec_id="E2"),
        filled(buy(KO_PUT, Effect.CLOSE), 1, "0.10", exec_id="E3", client_id="O3", at=ENDED - timedelta(hours=1)),
        settled(KO_PUT, 1, at=midnight),
    )
    assert {name: item[:3] for name, item in results(book).items()} == {
        "PO1": (0, Decimal(80), Decimal(-10)),
        "PO2": (0, Decimal(80), Decimal(0)),
    }
    assert book.held_by_trade == {}


def test_settlement_when_its_money_is_not_divisible_then_the_parts_add_up_to_the_cent() -> None:
    book = in_every_order(
        opening(1, 1, 1),
        *(sold(1, "0.80", of=f"O{number}", exec_id=f"E{number}") for number in (1, 2, 3)),
        settled(KO_PUT, 3, cash="-100.00", fees=Decimal("1.00"), outcome="cash_settled"),
    )
    assert [trade.closing_cash for trade in book.trades.values()] == [Decimal("-33.33"), Decimal("-33.34"), Decimal("-33.33")]
    assert [trade.fees for trade in book.trades.values()] == [Decimal("0.33"), Decimal("0.34"), Decimal("0.33")]
    assert sum(trade.realized or 0 for trade in book.trades.values()) == book.cash == Decimal(139)


def test_settlement_when_a_part_was_outside_trades_then_its_result_and_fees_are_told_there() -> None:
    book = in_every_order(
        opening(1),
        sold(1, "0.80", of="O1", exec_id="E1"),
        filled(sell(KO_PUT), 1, "0.50", exec_id="X1", client_id=None),
        settled(KO_PUT, 2, cash="-40", fees=Decimal(2), outcome="cash_settled"),
    )
    fills, settlements = book.booked_outside()
    outside = closed_outside(fills=fills, settlements=settlements)
    assert [(item.gross, item.fees) for item in outside] == [(Decimal(0), Decimal(0)), (Decimal(30), Decimal(1))]
    assert book.trades["PO1"].realized == Decimal(59)
    assert book.cash == Decimal(59 + 29)


def test_settlement_when_an_adopted_holding_ends_then_its_result_is_told_outside() -> None:
    book = in_every_order([], adopted(KO_PUT, -1, price=Decimal("0.60")), settled(KO_PUT, 1))
    fills, settlements = book.booked_outside()
    assert [item.gross for item in closed_outside(fills=fills, settlements=settlements)] == [Decimal(0), Decimal(60)]


def test_n5_settlement_when_shares_of_a_trade_are_split_then_the_old_ones_leave_the_trade_at_cost() -> None:
    book = in_every_order(
        opening(1, legs=(buy(KO, ratio=100),)),
        filled(buy(KO), 100, "48.00", exec_id="E1"),
        adopted(KO, -100, cash="4800"),
        adopted(KO, 200, cash="-4800", name="J2"),
    )
    assert book.trades["PO1"].realized == 0
    assert (book.positions["KO"].quantity, book.positions["KO"].average_price) == (200, Decimal(24))
    assert book.cash == Decimal(-4800)


def test_settlement_when_shares_are_traded_long_after_a_split_then_it_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.add(*opening(1, 1, legs=(buy(KO, ratio=100),)), filled(buy(KO), 100, "48.00", exec_id="E1"))
    log.add(adopted(KO, -100, cash="4800"), adopted(KO, 200, cash="-4800", name="J2"))
    monkeypatch.setattr("core.portfolio.account.shared_out", lambda *given: pytest.fail("every settlement was shared out anew"))
    log.add(filled(buy(KO), 100, "25.00", exec_id="E2", client_id="O2", at=NIGHT + timedelta(days=1)))
    assert log.book.held_by_trade == {"PO2": {"KO": (KO, 100)}}


def test_held_by_trade_when_settled_then_the_oldest_trade_gives_first() -> None:
    book = folded(*opening(2, 2), sold(2, "1", of="O1", exec_id="E1"), sold(2, "1", of="O2", exec_id="E2"), settled(KO_PUT, 3))
    assert book.held_by_trade == {"PO2": {KO_PUT.key: (KO_PUT, -1)}}


def test_n7_held_by_trade_when_one_leg_filled_then_shows_the_naked_remainder() -> None:
    book = folded(*opening(2, legs=SPREAD), filled(SHORT, 2, "30", exec_id="E1"), filled(LONG, 1, "21", exec_id="E2"))
    assert book.held_by_trade == {"PO1": {SHORT.instrument.key: (SHORT.instrument, -2), LONG.instrument.key: (LONG.instrument, 1)}}


def test_fold_when_saved_between_a_settlement_and_its_late_fill_then_goes_on_alike() -> None:
    log = Log()
    log.add(*opening(1, 1), acknowledged(), sold(1, "0.80", of="O2", exec_id="E2"), settled(KO_PUT, 2, cash="-50", outcome="cash_settled"))
    loaded = again(log.fold)
    late = sold(1, "0.80", of="O1", exec_id="E1")
    log.add(late)
    loaded.apply(event(late, log.seq))
    assert loaded.publish() == log.fold.publish()
    assert texts(loaded) == texts(log.fold)
    assert not log.book.open_trades
