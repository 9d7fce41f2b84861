"""Profit and loss on books made by hand, each figure worked out in the test."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from core.domain.accounts import AccountId, Env
from core.domain.calendar import exchange_day
from core.domain.events import Adjusted, CashMoved, Settled
from core.domain.instruments import Equity, Right
from core.domain.listing import option
from core.domain.orders import Effect, Fill, Leg, Side
from core.domain.structures import Position, Trade
from core.market.quote import Quote
from core.market.view import View
from core.portfolio.pnl import (
    OpenResult,
    closed_outside,
    market_value,
    moved_within,
    open_result,
    realised,
    settled_within,
    untraded,
    untraded_pnl,
)

ACCOUNT = AccountId(broker="paper", id="PRACTICE", env=Env.PAPER)
OPENED = datetime(2026, 11, 2, 15, 0, tzinfo=UTC)
SHORT = option("SPXW", date(2026, 12, 18), Right.PUT, Decimal(2700))
LONG = option("SPXW", date(2026, 12, 18), Right.PUT, Decimal(2650))
LEGS = (Leg(instrument=SHORT, side=Side.SELL, effect=Effect.OPEN), Leg(instrument=LONG, side=Side.BUY, effect=Effect.OPEN))


def trade(
    identity: str = "P1", *, premium: str = "400.00", closing: str = "-150.00", fees: str = "5.28", closed_at: datetime | None = None,
    strategy: str = "put_credit_spread", underlying: str = "SPX", units: int = 1,
) -> Trade:
    return Trade(
        id=identity, account=ACCOUNT, strategy=strategy, underlying=underlying, legs=LEGS, opened_at=OPENED, opened_units=units,
        open_units=0 if closed_at else units, premium=Decimal(premium), closing_cash=Decimal(closing if closed_at else "0"),
        fees=Decimal(fees), closed_at=closed_at,
    )


def settled(quantity: int, *, at: datetime = datetime(2026, 12, 18, 21, 0, tzinfo=UTC), identity: str = "S1") -> Settled:
    return Settled(
        settlement_id=identity, account=ACCOUNT, instrument=SHORT, quantity=quantity, outcome="expired", value=Decimal(2800),
        cash=Decimal(0), at=at,
    )


def view(**mids: float) -> View:
    """Quotes of the short and the long put by name; a missing name has none."""
    names = {"short": SHORT.key, "long": LONG.key, "spy": "SPY"}
    quotes = {names[name]: Quote(key=names[name], bid=mid, ask=mid, at=OPENED, source="hand") for name, mid in mids.items()}
    return View(at=OPENED, session=OPENED.date(), label="TEST", quotes=quotes, chains={})


def test_realised_when_closed_then_is_net_of_fees_to_the_cent() -> None:
    closed = trade(closed_at=datetime(2026, 11, 20, 20, 0, tzinfo=UTC))
    (result,) = realised([closed], first=date(2026, 11, 20), last=date(2026, 11, 20))
    assert (result.gross, result.fees, result.net) == (Decimal("250.00"), Decimal("5.28"), Decimal("244.72"))
    assert (result.trades, result.winners) == (1, 1)


def test_i6_realised_when_closed_after_midnight_utc_then_counts_on_the_exchange_day() -> None:
    closed = trade(closed_at=datetime(2026, 11, 21, 1, 0, tzinfo=UTC))  # 20:00 on the 20th in New York
    assert realised([closed], first=date(2026, 11, 20), last=date(2026, 11, 20))
    assert not realised([closed], first=date(2026, 11, 21), last=date(2026, 11, 21))


def test_realised_when_still_open_then_is_not_counted() -> None:
    assert realised([trade()], first=date(2026, 1, 1), last=date(2026, 12, 31)) == ()


def test_realised_when_grouped_then_each_name_has_its_own_and_they_add_up() -> None:
    at = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
    trades = [
        trade("P1", closed_at=at), trade("P2", closed_at=at, strategy="naked_put", premium="100.00", closing="-160.00", fees="2.00"),
        trade("P3", closed_at=at, premium="1.00", closing="0.00", fees="1.00"),
    ]
    groups = realised(trades, first=at.date(), last=at.date(), name=lambda item: item.strategy)
    (whole,) = realised(trades, first=at.date(), last=at.date())
    assert [(group.name, group.trades, group.winners, group.net) for group in groups] == [
        ("naked_put", 1, 0, Decimal("-62.00")), ("put_credit_spread", 2, 1, Decimal("244.72")),
    ]
    assert whole.net == sum(group.net for group in groups)


def test_open_result_when_both_legs_are_priced_then_is_premium_less_cost_to_close_less_fees() -> None:
    held = {SHORT.key: (SHORT, -1), LONG.key: (LONG, 1)}
    result = open_result(trade(), held, view(short=4.0, long=2.5))
    assert result.mark == Decimal("-150.0")  # buy back 4.00, sell 2.50, x 100
    assert result.pnl == Decimal("244.72")
    assert result.fraction_of_credit == Decimal("244.72") / 400


def test_open_result_when_a_leg_has_no_price_then_is_unknown_and_names_it() -> None:
    held = {SHORT.key: (SHORT, -1), LONG.key: (LONG, 1)}
    result = open_result(trade(), held, view(short=4.0))
    assert (result.mark, result.pnl, result.fraction_of_credit) == (None, None, None)
    assert result.stale == ("SPXW 18 Dec 26 2650 put",)


def test_market_value_when_one_is_unpriced_then_it_is_left_out_and_named() -> None:
    value, stale = market_value({SHORT.key: (SHORT, -2), LONG.key: (LONG, 2)}, view(long=2.5))
    assert value == Decimal(500)
    assert stale == ("SPXW 18 Dec 26 2700 put",)


def test_untraded_when_more_is_held_than_traded_then_is_the_rest() -> None:
    stock = Equity(symbol="SPY")
    positions = {
        "SPY": Position(account=ACCOUNT, instrument=stock, quantity=100, average_price=Decimal(480)),
        SHORT.key: Position(account=ACCOUNT, instrument=SHORT, quantity=-3, average_price=Decimal(4)),
    }
    assert untraded(positions, {"P1": {SHORT.key: (SHORT, -2)}}) == {"SPY": (stock, 100), SHORT.key: (SHORT, -1)}


def test_untraded_pnl_when_shares_were_assigned_then_is_against_the_strike() -> None:
    stock = Equity(symbol="SPY")
    position = Position(account=ACCOUNT, instrument=stock, quantity=100, average_price=Decimal(480))
    assert untraded_pnl([position], {"SPY": (stock, 100)}, view(spy=470.5)) == (Decimal(-950), ())


def test_untraded_pnl_when_there_is_no_price_then_neither_value_nor_cost_counts() -> None:
    stock = Equity(symbol="SPY")
    position = Position(account=ACCOUNT, instrument=stock, quantity=100, average_price=Decimal(480))
    assert untraded_pnl([position], {"SPY": (stock, 100)}, view()) == (Decimal(0), ("SPY",))


@pytest.mark.parametrize(("first", "last", "count"), [((2026, 12, 18), (2026, 12, 18), 1), ((2026, 12, 19), (2026, 12, 31), 0)])
def test_settled_within_when_asked_for_days_then_gives_those(first: tuple[int, int, int], last: tuple[int, int, int], count: int) -> None:
    assert len(settled_within([settled(1)], first=date(*first), last=date(*last))) == count


def test_exchange_day_when_late_in_the_evening_utc_then_is_new_yorks() -> None:
    assert exchange_day(datetime(2026, 11, 21, 4, 59, tzinfo=UTC)) == date(2026, 11, 20)


KO = Equity(symbol="KO")
KO_PUT = option("KO", date(2026, 12, 18), Right.PUT, Decimal(65))


def share_fill(identity: str, side: Side, quantity: int, price: str, *, fees: str = "0", day: int = 21) -> Fill:
    return Fill(
        exec_id=identity, account=ACCOUNT, client_id=None, instrument=KO, side=side, quantity=quantity, price=Decimal(price),
        fees=Decimal(fees), at=datetime(2026, 12, day, 15, 0, tzinfo=UTC),
    )


def assigned() -> Settled:
    """One short put of 65 assigned: 100 shares come in at 65. The put was a trade's, which took all of it."""
    return Settled(
        settlement_id="S9", account=ACCOUNT, instrument=KO_PUT, quantity=0, outcome="assigned", value=Decimal("63.50"),
        cash=Decimal("-6500.00"), at=datetime(2026, 12, 18, 21, 0, tzinfo=UTC), shares=100, share_symbol="KO",
    )


def test_closed_outside_when_assigned_shares_are_sold_then_counts_from_the_strike() -> None:
    sold = share_fill("X1", Side.SELL, 40, "63.00", fees="1.00"), share_fill("X2", Side.SELL, 60, "66.00", fees="1.15", day=22)
    found = closed_outside(fills=sold, settlements=[assigned()])
    assert [(item.underlying, item.gross, item.fees) for item in found] == [
        ("KO", Decimal(0), Decimal(0)), ("KO", Decimal("-80.00"), Decimal("1.00")), ("KO", Decimal("60.00"), Decimal("1.15")),
    ]


def test_closed_outside_when_bought_in_two_lots_then_counts_from_their_average() -> None:
    fills = [
        share_fill("X1", Side.BUY, 100, "60.00", day=1), share_fill("X2", Side.BUY, 100, "70.00", day=2),
        share_fill("X3", Side.SELL, 250, "66.00", day=3), share_fill("X4", Side.BUY, 50, "64.00", day=4),
    ]
    found = closed_outside(fills=fills, settlements=[])
    # 200 at an average of 65 sold at 66; the other 50 are short from 66 and bought back at 64
    assert [item.gross for item in found] == [Decimal(0), Decimal(0), Decimal(200), Decimal(100)]


def test_taken_when_a_part_was_closed_then_is_its_premium_less_what_it_cost() -> None:
    half = trade(premium="188.00", units=4)
    half = dataclasses.replace(half, open_units=2, closing_cash=Decimal("-26.00"))
    assert OpenResult(trade=half, held={}, mark=None, pnl=None).taken == Decimal("68.00")
    assert OpenResult(trade=trade(units=4), held={}, mark=None, pnl=None).taken is None


def moved(amount: str, reason: str, *, day: int = 18, symbol: str = "") -> CashMoved:
    at = datetime(2026, 12, day, 14, 30, tzinfo=UTC)
    return CashMoved(movement_id=f"{reason}{day}{symbol}", account=ACCOUNT, amount=Decimal(amount), reason=reason, at=at, symbol=symbol)


def adopted(cash: str, *, deposit: bool = False) -> Adjusted:
    return Adjusted(
        adjustment_id=f"J{cash}", account=ACCOUNT, person="owner", reason="word", instrument=None, quantity=0, cash=Decimal(cash),
        at=datetime(2026, 12, 18, 15, 0, tzinfo=UTC), deposit=deposit,
    )


MOVES = (
    moved("100000", "deposit"), moved("170.00", "dividend", symbol="SPY"), moved("-48.00", "dividend", symbol="KO"),
    moved("-12.40", "interest"), moved("9.99", "interest", day=21), moved("-500", "withdrawal"),
)


def test_moved_when_dividends_and_interest_came_then_rows_by_what_it_was_and_no_deposits() -> None:
    rows = moved_within(MOVES, (adopted("-3.00"), adopted("50", deposit=True)), first=date(2026, 12, 18), last=date(2026, 12, 18))

    assert rows == (
        ("KO dividend", Decimal("-48.00")), ("SPY dividend", Decimal("170.00")), ("booked on the broker's word", Decimal("-3.00")),
        ("interest", Decimal("-12.40")),
    )


def test_moved_when_a_symbol_is_named_then_only_what_was_paid_on_it() -> None:
    rows = moved_within(MOVES, (adopted("-3.00"),), first=date(2026, 12, 1), last=date(2026, 12, 31), symbol="SPY")

    assert rows == (("SPY dividend", Decimal("170.00")),)
