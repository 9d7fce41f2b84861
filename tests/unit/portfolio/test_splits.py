"""Corporate actions in the desk's books: the same facts give the same book, in whatever order they are heard, and nobody gains by them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.autonomy import Autonomy
from core.domain.adjusting import Adjustment, split_option, split_shares
from core.domain.events import Armed, Body, CorporateAction, Filled, MandateGranted, MarginCalled, Replaced, Role, Settled
from core.domain.instruments import Equity, Instrument, Option
from core.domain.mandates import Mandate, MandateAction
from core.domain.orders import Effect, Leg
from core.portfolio.book import Book
from core.portfolio.campaign import campaign_of
from core.portfolio.pnl import closed_outside
from tests.unit.portfolio.test_book import again, texts
from tests.unit.risk.market import NOW, PRACTICE, Log, buy, call, closing, event, filled, put, sell, submitting

KO, CALL, PUT = Equity(symbol="KO"), call(60, root="KO"), put(55, root="KO")
SPLIT_AT = NOW.replace(hour=5, minute=0) + timedelta(days=1)
LATER = SPLIT_AT + timedelta(hours=12)


def became(item: Instrument, quantity: int, *, new: int, old: int) -> Adjustment:
    if isinstance(item, Option):
        return split_option(item, quantity, new=new, old=old, price=Decimal(40))
    assert isinstance(item, Equity)
    return split_shares(item, quantity, new=new, old=old)


def split(*held: tuple[Instrument, int], new: int = 2, old: int = 1, at: datetime = SPLIT_AT, name: str = "X1") -> CorporateAction:
    lines = []
    for item, quantity in held:
        after = became(item, quantity, new=new, old=old)
        lines.append(Replaced(
            instrument=item, quantity=quantity, successor=after.instrument, becomes=after.quantity, cash=after.cash(Decimal(40)),
        ))
    return CorporateAction(action_id=name, account=PRACTICE, symbol="KO", new=new, old=old, lines=tuple(lines), at=at)


def traded(leg: Leg, quantity: int, price: str, *, of: str | None, exec_id: str, at: datetime = NOW, fees: str = "0") -> Filled:
    return filled(leg, quantity, price, exec_id=exec_id, client_id=of, at=at, fees=fees)


def folded(*bodies: Body) -> Book:
    log = Log()
    log.add(*bodies)
    return log.book


def in_every_order(orders: list[Body], *reports: Body) -> Book:
    books = [folded(*orders, *told) for told in itertools.permutations(reports)]
    assert all(book == books[0] for book in books)
    return books[0]


def held(book: Book) -> dict[str, tuple[int, Decimal]]:
    return {key: (position.quantity, position.average_price) for key, position in book.positions.items()}


def test_n5_split_when_two_for_one_then_positions_trade_and_average_price_follow_in_every_order() -> None:
    half = became(CALL, -2, new=2, old=1).instrument
    book = in_every_order(
        [submitting((sell(CALL),), 2, client_id="O1")],
        traded(sell(CALL), 1, "2.00", of="O1", exec_id="E1", fees="0.65"),
        traded(sell(CALL), 1, "2.20", of="O1", exec_id="E2", fees="0.65", at=NOW + timedelta(minutes=1)),
        split((CALL, -2)),
        traded(buy(half), 1, "0.50", of=None, exec_id="E3", at=LATER),
    )
    trade = book.trades["PO1"]
    assert held(book) == {half.key: (-3, Decimal("1.05"))}
    assert (trade.legs, trade.opened_units, trade.open_units) == ((sell(half),), 4, 4)
    assert (trade.premium, trade.credit_per_unit) == (Decimal(420), Decimal(105))


def test_n5_split_when_a_part_was_closed_before_then_units_and_credit_are_of_the_new_terms() -> None:
    half = became(CALL, -6, new=2, old=1).instrument
    book = in_every_order(
        [submitting((sell(CALL),), 10, client_id="O1"), submitting(closing([sell(CALL)]), 4, client_id="O2", trade_id="PO1")],
        traded(sell(CALL), 10, "2.00", of="O1", exec_id="E1"),
        traded(closing([sell(CALL)])[0], 4, "1.00", of="O2", exec_id="E2", at=NOW + timedelta(minutes=1)),
        split((CALL, -6)),
    )
    trade = book.trades["PO1"]
    assert held(book) == {half.key: (-12, Decimal(1))}
    assert (trade.opened_units, trade.open_units, trade.credit_per_unit, trade.closing_cash) == (20, 12, Decimal(100), Decimal(-400))


def test_n5_split_when_three_for_two_on_a_covered_call_then_150_shares_stand_beside_one_contract() -> None:
    legs = (buy(KO, ratio=100), sell(CALL))
    adjusted = became(CALL, -2, new=3, old=2).instrument
    book = in_every_order(
        [submitting(legs, 2, client_id="O1")],
        traded(buy(KO), 200, "60.00", of="O1", exec_id="E1"),
        traded(sell(CALL), 2, "2.00", of="O1", exec_id="E2"),
        split((KO, 200), (CALL, -2), new=3, old=2),
    )
    trade = book.trades["PO1"]
    assert held(book) == {"KO": (300, Decimal(40)), adjusted.key: (-2, Decimal(2))}
    assert (trade.legs, trade.opened_units, trade.open_units) == ((buy(KO, ratio=150), sell(adjusted)), 2, 2)


def test_n5_split_when_two_trades_share_a_fraction_then_the_oldest_gives_way_and_the_sum_holds() -> None:
    shares = (buy(KO),)
    book = folded(
        submitting(shares, 55, client_id="O1"), submitting(shares, 46, client_id="O2"),
        traded(buy(KO), 55, "60.00", of="O1", exec_id="E1"), traded(buy(KO), 46, "60.00", of="O2", exec_id="E2"),
        split((KO, 101), new=3, old=2),
    )
    assert {name: trade.open_units for name, trade in book.trades.items()} == {"PO1": 82, "PO2": 69}
    assert held(book) == {"KO": (151, Decimal(40))}
    assert sum(trade.closing_cash for trade in book.trades.values()) == Decimal("20.00")


def test_n5_split_when_the_successor_settles_then_the_trade_that_held_it_ends() -> None:
    half = became(PUT, -1, new=2, old=1).instrument
    end = datetime(half.expiry.year, half.expiry.month, half.expiry.day, 20, 0, tzinfo=UTC)
    book = in_every_order(
        [submitting((sell(PUT),), 1, client_id="O1")],
        traded(sell(PUT), 1, "1.50", of="O1", exec_id="E1"),
        split((PUT, -1)),
        Settled(
            settlement_id="S1", account=PRACTICE, instrument=half, quantity=2, outcome="assigned", value=Decimal(25), cash=Decimal(-5500),
            at=end, shares=200, share_symbol="KO",
        ),
    )
    trade = book.trades["PO1"]
    assert (trade.open_units, trade.premium, trade.realized) == (0, Decimal(150), Decimal(150))
    assert held(book) == {"KO": (200, Decimal("27.5"))}


def test_n5_split_when_shares_belong_to_no_trade_then_what_they_cost_moves_on_to_their_result() -> None:
    book = in_every_order(
        [],
        traded(buy(KO), 100, "60.00", of=None, exec_id="E1"),
        split((KO, 100)),
        traded(sell(KO), 200, "31.00", of=None, exec_id="E2", at=LATER),
    )
    fills, settlements = book.booked_outside()
    found = closed_outside(fills=fills, settlements=settlements, replaced=book.replaced_outside())
    assert [item.gross for item in found] == [0, Decimal(200)]
    assert (book.cash, book.positions) == (Decimal(200), {})


def test_n5_split_when_it_comes_twice_then_booked_once_and_two_splits_follow_each_other() -> None:
    first = split((KO, 100))
    second = split((KO, 200), at=SPLIT_AT + timedelta(days=30), name="X2")
    book = in_every_order([], traded(buy(KO), 100, "60.00", of=None, exec_id="E1"), first, first, second)
    assert held(book) == {"KO": (400, Decimal(15))}


def test_n5_split_when_plans_stand_on_what_it_replaces_then_they_are_over() -> None:
    entry = submitting((sell(CALL),), 2, client_id="O1")
    exit_order = submitting(closing([sell(CALL)]), 2, client_id="O2", trade_id="PO1")
    armed = Armed(
        standing_id="S1", role=Role.STOP, ticket_id="T2", account=PRACTICE, envelope=exit_order.envelope,
        envelope_hash=exit_order.envelope.hash, trade_id="PO1",
    )
    book = folded(entry, traded(sell(CALL), 2, "2.00", of="O1", exec_id="E1"), armed, split((CALL, -2)))
    assert (book.armed, book.standing["S1"].ended, book.standing["S1"].reason) == ((), "adjusted", "split 2 for 1 of KO")


def test_n5_split_when_saved_and_loaded_then_the_book_is_the_same() -> None:
    log = Log()
    log.add(
        submitting((sell(CALL),), 2, client_id="O1"), traded(sell(CALL), 2, "2.00", of="O1", exec_id="E1"), split((CALL, -2)),
        MarginCalled(call_id="C1", account=PRACTICE, amount=Decimal(100), at=LATER, reason="x"),
    )
    assert texts(again(log.fold)) == texts(log.fold)


def test_n10_call_when_heard_in_any_order_then_the_latest_word_stands() -> None:
    called = MarginCalled(call_id="C1", account=PRACTICE, amount=Decimal(100), at=NOW, reason="x")
    met = MarginCalled(call_id="C2", account=PRACTICE, amount=Decimal(0), at=LATER, reason="x")
    assert folded(called).call == called
    assert in_every_order([], called, met).call is None


def test_n5_story_when_a_trade_was_split_then_it_says_what_it_became() -> None:
    book = folded(
        submitting((sell(CALL),), 2, client_id="O1"), traded(sell(CALL), 2, "2.00", of="O1", exec_id="E1"), split((CALL, -2)),
    )
    opened, became_step = campaign_of(book, {}, "PO1").steps
    assert (opened.what, became_step.what, became_step.quantity) == ("opened", "split", -4)
    assert became_step.instrument == became(CALL, -2, new=2, old=1).instrument


@pytest.mark.parametrize(("symbols", "ended"), [(None, True), (("KO", "SPY"), True), (("SPY",), False)])
def test_n5_mandate_when_what_it_covers_is_split_then_it_is_over(symbols: tuple[str, ...] | None, ended: bool) -> None:
    mandate = Mandate(
        id="M1", account=PRACTICE, rules=("profit_target",), action=MandateAction.CLOSE, strategies=("covered_call",), symbols=symbols,
        max_quantity=1, max_orders_per_day=1, concession_points=Decimal(0), concession_fraction=Decimal(0),
        valid_until=NOW + timedelta(days=30), granted_by="owner", chat="terminal",
    )
    autonomy = Autonomy()
    autonomy.apply(event(MandateGranted(mandate=mandate, card_hash="x"), 1))
    autonomy.apply(event(split((CALL, -2)), 2))
    state = autonomy.states(now=NOW, latest=NOW)["M1"]
    assert (state.in_force, "ended with the split 2 for 1 of KO" in state.ended) == (not ended, ended)


STEPS = st.lists(
    st.tuples(st.sampled_from((KO, CALL, PUT)), st.integers(1, 9), st.booleans(), st.integers(1, 400), st.sampled_from(("O1", "O2", None))),
    min_size=1, max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from(((2, 1), (3, 1), (3, 2), (1, 10), (5, 4))), st.randoms(use_true_random=False))
def test_n5_split_when_anything_was_traded_before_then_the_exchange_and_the_book_agree_in_any_order(
    steps: list[tuple[Instrument, int, bool, int, str | None]], ratio: tuple[int, int], rng: object
) -> None:
    """Positions as the exchange counts them; cost moves on but for what was paid for parts of shares."""
    new, old = ratio
    orders: list[Body] = [submitting((buy(KO), sell(CALL), sell(PUT)), 9, client_id=name) for name in ("O1", "O2")]
    reports: list[Body] = []
    counted: dict[str, tuple[Instrument, int]] = {}
    for number, (item, count, sells, cents, of) in enumerate(steps):
        leg = Leg(instrument=item, side=(sell if sells else buy)(item).side, effect=Effect.OPEN)
        reports.append(traded(leg, count, f"{cents / 100:.2f}", of=of, exec_id=f"E{number}", at=NOW + timedelta(minutes=number)))
        counted[item.key] = (item, counted.get(item.key, (item, 0))[1] + leg.side.sign * count)
    there = [(item, count) for item, count in counted.values() if count]
    before = folded(*orders, *reports)
    action = split(*there, new=new, old=old)
    told = [*reports, *([action, action] if there else [])]
    rng.shuffle(told)  # type: ignore[attr-defined]
    book = folded(*orders, *told)
    expected = {item.key: became(item, count, new=new, old=old) for item, count in there}
    assert {key: position.quantity for key, position in book.positions.items()} == {
        one.instrument.key: one.quantity for one in expected.values() if one.quantity
    }
    assert book.cash - before.cash == sum((one.cash(Decimal(40)) for one in expected.values()), Decimal(0))
    for key, one in expected.items():
        if one.quantity:
            old_cost = Fraction(before.positions[key].average_price) * before.positions[key].quantity
            price, part = book.positions[one.instrument.key].average_price, Fraction(one.quantity) + one.fraction
            assert float(Fraction(price) * part) == pytest.approx(float(old_cost))
    in_trades: dict[str, int] = {}
    for legs in book.held_by_trade.values():
        for key, (_, count) in legs.items():
            in_trades[key] = in_trades.get(key, 0) + count
    for key in in_trades.keys() - counted.keys():
        assert in_trades[key] == sum(lot.quantity for lot in book.lots[key] if lot.trade is not None)
