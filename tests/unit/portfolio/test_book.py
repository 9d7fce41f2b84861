"""The book as a fold: cash, positions, trades and exposure."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.domain.events import CashMoved, OrderEnded, Settled
from core.domain.instruments import Equity
from core.domain.orders import Effect
from core.domain.shelf import PACK, Shelf
from core.portfolio.account import PACKS, SHELVES
from core.portfolio.book import BookFold, average_price
from tests.unit.risk.market import EXPIRY, NOW, PRACTICE, SPREAD, Log, acknowledged, buy, closing, event, filled, put, sell, submitting

SHORT, LONG = SPREAD


def opened(quantity: int = 2) -> Log:
    log = Log()
    log.add(submitting(SPREAD, quantity), acknowledged())
    log.add(filled(SHORT, quantity, "30.00", exec_id="E1", fees="1.30"), filled(LONG, quantity, "21.00", exec_id="E2", fees="1.30"))
    return log


def again(fold: BookFold) -> BookFold:
    """What a start finds that was stored of a fold."""
    shelves: dict[str, Shelf[Any]] = {}
    for name, shelf in fold.shelves().items():
        keeping = shelf.changes(everything=True)
        keeping.pack()
        shelf.kept(keeping, saved=True)
        kind = name.split()[0]
        shelves[name] = Shelf.from_parts(SHELVES[kind], keeping.parts, size=shelf.size, pack_size=PACKS.get(kind, PACK))
    return BookFold.from_plain(json.loads(json.dumps(fold.to_plain())), shelves)


def texts(fold: BookFold) -> list[Any]:
    """The whole state."""
    return [fold.to_plain(), {name: list(shelf.texts()) for name, shelf in fold.shelves().items()}]


def test_book_when_spread_filled_then_cash_positions_and_trade_agree() -> None:
    book = opened().book
    assert book.cash == Decimal("1797.40")  # (30 - 21) x 100 x 2 - 2.60
    assert {key: position.quantity for key, position in book.positions.items()} == {put(2800).key: -2, put(2750).key: 2}
    (trade,) = book.open_trades
    assert (trade.premium, trade.fees, trade.opened_units, trade.open_units) == (Decimal(1800), Decimal("2.60"), 2, 2)
    assert trade.credit_per_unit == Decimal(900)
    assert trade.realized is None


def test_book_when_same_execution_reported_twice_then_counted_once() -> None:
    log = opened()
    log.add(filled(SHORT, 2, "30.00", exec_id="E1", fees="1.30"))
    assert log.book == opened().book


def test_book_when_execution_corrected_then_only_the_correction_counts() -> None:
    log = opened()
    log.add(filled(SHORT, 2, "29.00", exec_id="E1.01", fees="1.30", corrects="E1"))
    assert log.book.cash == Decimal("1597.40")
    assert log.book.positions[put(2800).key].average_price == Decimal(29)


def test_book_when_every_execution_busted_then_nothing_is_left() -> None:
    log = opened()
    for exec_id, leg in (("E1", SHORT), ("E2", LONG)):
        log.add(filled(leg, 2, "0", exec_id=f"{exec_id}.B", corrects=exec_id, busted=True))
    assert log.book.cash == 0
    assert not log.book.positions
    assert not log.book.trades


def test_book_when_closed_then_realized_is_net_of_fees() -> None:
    log = opened()
    log.add(submitting(closing(SPREAD), 2, client_id="O2", trade_id="PO1"), acknowledged("O2"))
    later = NOW + timedelta(days=3)
    for number, (leg, price) in enumerate(zip(closing(SPREAD), ("12.00", "8.00"), strict=True)):
        log.add(filled(leg, 2, price, exec_id=f"C{number}", client_id="O2", fees="1.30", at=later))
    (trade,) = log.book.trades.values()
    assert trade.realized == Decimal("994.80")  # 1,800 - 800 - 5.20
    assert trade.closed_at == later
    assert not log.book.positions


def test_book_when_settled_for_cash_then_trade_ends_and_repetition_changes_nothing() -> None:
    log = opened()
    settled = [
        Settled(
            settlement_id="S1",
            account=PRACTICE,
            instrument=put(2800),
            quantity=2,
            outcome="cash_settled",
            value=Decimal(2780),
            cash=Decimal(-4000),
            at=NOW,
        ),
        Settled(
            settlement_id="S2",
            account=PRACTICE,
            instrument=put(2750),
            quantity=-2,
            outcome="expired",
            value=Decimal(2780),
            cash=Decimal(0),
            at=NOW,
        ),
    ]
    log.add(*settled, *settled)
    (trade,) = log.book.trades.values()
    assert trade.realized == Decimal("-2202.60")
    assert log.book.cash == Decimal("-2202.60")


def test_book_when_put_assigned_then_shares_come_in_at_strike() -> None:
    log = Log()
    short = sell(put(45, root="KO"))
    log.add(submitting((short,), 1), acknowledged(), filled(short, 1, "0.80", exec_id="E1"))
    log.add(
        Settled(
            settlement_id="S1",
            account=PRACTICE,
            instrument=put(45, root="KO"),
            quantity=1,
            outcome="assigned",
            value=Decimal(44),
            cash=Decimal(-4500),
            shares=100,
            share_symbol="KO",
            at=NOW,
        )
    )
    assert log.book.positions["KO"].quantity == 100
    assert log.book.positions["KO"].average_price == 45
    assert log.book.trades["PO1"].realized == Decimal(80)  # the premium is kept, the shares are another matter


def test_book_when_deposit_and_dividend_then_only_the_deposit_is_one() -> None:
    log = Log()
    log.add(CashMoved(movement_id="M1", account=PRACTICE, amount=Decimal(500), reason="deposit", at=NOW))
    log.add(CashMoved(movement_id="M2", account=PRACTICE, amount=Decimal(7), reason="dividend", at=NOW))
    log.add(CashMoved(movement_id="M2", account=PRACTICE, amount=Decimal(7), reason="dividend", at=NOW))
    assert (log.book.cash, log.book.deposits) == (Decimal(507), Decimal(500))


def test_e9_book_when_fill_is_not_ours_then_position_counts_without_a_trade() -> None:
    log = Log()
    log.add(filled(buy(Equity(symbol="KO")), 100, "48.00", exec_id="X1", client_id=None))
    assert log.book.positions["KO"].quantity == 100
    assert log.book.cash == Decimal(-4800)
    assert not log.book.trades


def test_exposed_when_opening_order_works_then_counts_as_filled() -> None:
    log = opened(1)
    log.add(submitting(SPREAD, 3, client_id="O2"), acknowledged("O2"))
    assert log.book.exposed()[put(2800).key][1] == -4


def test_exposed_when_closing_order_works_then_not_counted() -> None:
    log = opened(2)
    log.add(submitting(closing(SPREAD), 2, client_id="O2", trade_id="PO1"), acknowledged("O2"))
    assert log.book.exposed() == log.book.holdings()


def test_exposed_when_a_close_only_sells_the_long_then_its_fill_is_counted() -> None:
    log = opened(2)
    log.add(submitting(closing((LONG,)), 2, client_id="O2", trade_id="PO1"), acknowledged("O2"))
    assert {key: held[1] for key, held in log.book.exposed().items()} == {put(2800).key: -2}


def test_n7_exposed_when_a_close_bought_its_short_back_first_then_the_sale_that_is_left_is_counted() -> None:
    log = opened(2)
    bought = closing((SHORT,))[0]
    log.add(submitting(closing(SPREAD), 2, client_id="O2", trade_id="PO1"), acknowledged("O2"))
    log.add(filled(bought, 1, "20.00", exec_id="C1", client_id="O2"))
    assert {key: held[1] for key, held in log.book.exposed().items()} == {put(2800).key: -1, put(2750).key: 1}


def test_n7_exposed_when_one_leg_filled_first_then_not_counted_twice() -> None:
    log = Log()
    log.add(submitting(SPREAD, 10), acknowledged(), filled(LONG, 10, "21.00", exec_id="E1"))
    assert {key: held[1] for key, held in log.book.exposed().items()} == {put(2800).key: -10, put(2750).key: 10}


def test_exposed_when_order_ended_then_not_counted() -> None:
    log = Log()
    log.add(submitting(SPREAD, 3), acknowledged(), OrderEnded(client_id="O1", outcome="cancelled", reason=""))
    assert log.book.exposed() == {}


def test_fold_when_saved_and_loaded_then_goes_on_alike() -> None:
    log = opened()
    loaded = again(log.fold)
    bust = event(filled(SHORT, 2, "0", exec_id="E1.B", corrects="E1", busted=True), log.seq + 1)
    loaded.apply(bust)
    log.fold.apply(bust)
    assert loaded.publish() == log.fold.publish()
    assert texts(loaded) == texts(log.fold)


def test_fold_when_account_was_never_opened_then_keeps_the_fact_and_can_still_be_read() -> None:
    fold = BookFold()
    fold.apply(event(filled(SHORT, 1, "1", exec_id="E1", client_id=None), 1))
    (book,) = fold.publish().accounts.values()
    assert [fill.exec_id for fill in book.fills] == ["E1"]
    assert again(fold).publish() == fold.publish()


@pytest.mark.parametrize(
    ("lots", "average"),
    [
        ([(2, "10"), (2, "20")], "15"),  # additions average in
        ([(2, "10"), (-1, "99")], "10"),  # reductions leave the average
        ([(2, "10"), (-5, "12")], "12"),  # a flip starts again
        ([(-1, "3"), (1, "1")], "0"),  # flat
        ([(1, "10"), (-1, "12"), (-2, "7")], "7"),
    ],
)
def test_average_price_when_lots_change_then_follows_the_rule(lots: list[tuple[int, str]], average: str) -> None:
    assert average_price([(quantity, Decimal(price)) for quantity, price in lots]) == Decimal(average)


def test_open_trades_when_only_a_part_is_closed_then_units_are_left() -> None:
    log = opened(3)
    log.add(submitting(closing(SPREAD), 1, client_id="O2", trade_id="PO1"), acknowledged("O2"))
    for number, leg in enumerate(closing(SPREAD)):
        log.add(filled(leg, 1, "5.00", exec_id=f"C{number}", client_id="O2"))
    (trade,) = log.book.open_trades
    assert (trade.opened_units, trade.open_units) == (3, 2)
    assert trade.expiry == EXPIRY
    assert {leg.effect for leg in trade.legs} == {Effect.OPEN}
