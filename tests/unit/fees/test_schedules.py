"""Alpaca's and tastytrade's schedules against figures worked by hand from their published rates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from core.domain.instruments import Equity, Instrument, Right
from core.domain.listing import option
from core.domain.orders import Side
from core.fees import Execution, Schedule, alpaca, order_fees, tastytrade

BUY, SELL = Side.BUY, Side.SELL
MAY = date(2019, 5, 17)
SPY = option("SPY", MAY, Right.PUT, Decimal(285))
SPXW = option("SPXW", MAY, Right.PUT, Decimal(2700))
XSP = option("XSP", MAY, Right.PUT, Decimal(270))
KO = Equity(symbol="KO")


def traded(item: Instrument, side: Side, quantity: int, price: str, *, opens: bool = True) -> Execution:
    return Execution(instrument=item, side=side, quantity=quantity, price=Decimal(price), opens=opens)


@pytest.mark.parametrize(
    ("schedule", "execution", "expected"),
    [
        (alpaca.schedule, traded(SPY, SELL, 2, "3.00"), "0.13"),
        (alpaca.schedule, traded(SPY, BUY, 2, "1.00", opens=False), "0.10"),
        # clearing is capped at 55.00: 3,000 x 0.02685 + 55 + 300,000 x 0.000046 = 149.35
        (alpaca.schedule, traded(SPY, BUY, 3000, "1.00"), "149.35"),
        # 1,000 x 0.000046 + 1,000 x 0.000166 + 0.0000278 x 60,000 = 1.88
        (alpaca.schedule, traded(KO, SELL, 1000, "60"), "1.88"),
        (tastytrade.schedule, traded(SPY, SELL, 12, "2.00"), "11.57"),
        (tastytrade.schedule, traded(SPY, BUY, 12, "2.00", opens=False), "1.52"),
        # an index has no most, and its exchange takes 0.65: 12 x (1.00 + 0.10 + 0.02685 + 0.65) = 21.3222
        (tastytrade.schedule, traded(SPXW, BUY, 12, "6.50"), "21.32"),
        # closing, sold: 2 x (0.10 + 0.02685 + 0.65 + 0.00279) = 1.55928
        (tastytrade.schedule, traded(SPXW, SELL, 2, "6.50", opens=False), "1.56"),
        # nine of XSP are free of the exchange's fee: 9 x 1.12685 = 10.14165; ten are not: 10 x 1.19685
        (tastytrade.schedule, traded(XSP, BUY, 9, "3.00"), "10.14"),
        (tastytrade.schedule, traded(XSP, BUY, 10, "3.00"), "11.97"),
        # shares: clearing 0.80, TAF 0.166, SEC 0.000008 x 55,000 = 0.44
        (tastytrade.schedule, traded(Equity(symbol="ABC"), SELL, 1000, "55"), "1.41"),
    ],
)
def test_fees_when_worked_by_hand_then_agree(schedule: Schedule, execution: Execution, expected: str) -> None:
    assert order_fees(schedule, [execution]) == (Decimal(expected),)


def test_cap_when_a_leg_fills_in_parts_then_it_is_one_cap_for_the_leg_and_one_for_each_leg() -> None:
    other = option("SPY", MAY, Right.PUT, Decimal(280))
    parts = [traded(SPY, BUY, 8, "1.00"), traded(SPY, BUY, 8, "1.00"), traded(other, BUY, 8, "1.00")]

    charged = order_fees(tastytrade.schedule, parts)

    # 8.00, then 2.00 up to the most of 10.00, then 8.00 of the other leg; each with 8 x 0.12685 = 1.0148
    assert charged == (Decimal("9.01"), Decimal("3.01"), Decimal("9.01"))
