"""The default schedule against figures worked by hand and the examples printed beside the published rates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import plugins
from core.domain.instruments import SERIES, Delivery, Equity, Instrument, Right
from core.domain.listing import option
from core.domain.orders import Side
from core.fees import Band, Execution, components, fees, order_fees, rate
from core.fees.ibkr import schedule

BUY, SELL = Side.BUY, Side.SELL
MAY = date(2019, 5, 17)
SPXW = option("SPXW", MAY, Right.PUT, Decimal(2700))
WING = option("SPXW", MAY, Right.PUT, Decimal(2650))
MSFT = option("MSFT", MAY, Right.PUT, Decimal(100))
XSP = option("XSP", MAY, Right.PUT, Decimal(270))


def execution(instrument: Instrument, side: Side, quantity: int, price: str) -> Execution:
    return Execution(instrument=instrument, side=side, quantity=quantity, price=Decimal(price))


def test_example_when_a_spread_is_sold_then_costs_what_the_docstring_says() -> None:
    charged = order_fees(schedule, [execution(SPXW, SELL, 1, "6.50"), execution(WING, BUY, 1, "4.10")])

    assert charged == (Decimal("1.63"), Decimal("0.93"))


@pytest.mark.parametrize(
    ("quantity", "premium", "commission"),
    [(1, "2", "1.00"), (2, "5", "1.30"), (3, "0.075", "1.50"), (5, "0.03", "1.25")],
)
def test_commission_when_published_example_then_agrees(quantity: int, premium: str, commission: str) -> None:
    bought = execution(MSFT, BUY, quantity, premium)
    passed_through = sum((item.amount for item in components(schedule, bought)[1:]), Decimal(0))

    (charged,) = order_fees(schedule, [bought])

    assert charged == round(Decimal(commission) + passed_through, 2)


@pytest.mark.parametrize(
    ("sold", "expected"),
    [
        # 6.50 + 0.2685 + 0.20 + TAF 0.0279 + SEC 0.000008 x 5,000 = 0.04: 7.0364
        (execution(MSFT, SELL, 10, "5"), "7.04"),
        # 6.50 + 0.2685 + 0.20: 6.9685
        (execution(MSFT, BUY, 10, "5"), "6.97"),
        # XSP: under ten contracts the exchange charges nothing: 9 x (0.65 + 0.02685 + 0.02) = 6.27165
        (execution(XSP, BUY, 9, "3"), "6.27"),
        # from ten on 0.07 each: 10 x (0.65 + 0.02685 + 0.02 + 0.07) = 7.6685
        (execution(XSP, BUY, 10, "3"), "7.67"),
        # an index option pays no SEC fee: 10 x (0.65 + 0.02685 + 0.02 + 0.58 + 0.00279) = 12.7964
        (execution(SPXW, SELL, 10, "20"), "12.80"),
        # under 1.00 the exchange takes 0.49: 10 x (0.65 + 0.02685 + 0.02 + 0.49) = 11.8685
        (execution(SPXW, BUY, 10, "0.95"), "11.87"),
        # clearing is capped: 3,000 x (0.65 + 0.02685) + 55 = 2,085.55
        (execution(MSFT, BUY, 3000, "5"), "2085.55"),
        # shares: 0.5 + 0.0166 + 0.000008 x 10,000 = 0.08: 0.5966
        (execution(Equity(symbol="MSFT"), SELL, 100, "100"), "0.60"),
    ],
)
def test_fees_when_worked_by_hand_then_agree(sold: Execution, expected: str) -> None:
    assert fees(schedule, sold.instrument, sold.side, sold.quantity, sold.price) == Decimal(expected)


def test_shares_when_cheap_then_commission_is_one_percent_of_value_and_the_order_minimum_holds() -> None:
    cheap = execution(Equity(symbol="MSFT"), BUY, 1000, "0.10")

    assert components(schedule, cheap)[0].amount == Decimal("1.00")
    assert order_fees(schedule, [execution(Equity(symbol="MSFT"), BUY, 10, "100")]) == (Decimal("1.00"),)


def test_minimum_when_an_order_fills_in_parts_then_it_is_paid_once() -> None:
    parts = [execution(MSFT, BUY, 1, "2")] * 3

    charged = order_fees(schedule, parts)

    # commission 1.00, then 0.30 up to 1.30, then 0.65; each with 0.04685 passed through
    assert charged == (Decimal("1.05"), Decimal("0.35"), Decimal("0.70"))


executions = st.builds(
    execution, st.sampled_from([SPXW, MSFT, XSP]), st.sampled_from([BUY, SELL]), st.integers(1, 50),
    st.integers(1, 5000).map(lambda cents: f"{Decimal(cents) / 100}"),
)


@given(st.lists(executions, min_size=1, max_size=6), st.integers(0, 6))
def test_order_fees_when_the_order_fills_further_then_what_was_charged_stands(parts: list[Execution], cut: int) -> None:
    assert order_fees(schedule, parts)[:cut] == order_fees(schedule, parts[:cut])


@given(st.lists(executions, min_size=1, max_size=6))
def test_order_fees_when_summed_then_are_minimum_or_more_and_never_negative(parts: list[Execution]) -> None:
    charged = order_fees(schedule, parts)

    assert min(charged) >= 0
    assert sum(charged) >= schedule.order_minimum


def test_exchange_fee_when_an_index_root_is_tabled_then_it_has_one() -> None:
    cash_settled = {root for root, spec in SERIES.items() if spec.delivery is Delivery.CASH}

    assert set(schedule.exchange) == cash_settled


def test_rate_when_no_band_is_open_then_the_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="last band"):
        rate((Band(below=Decimal(1), rate=Decimal(1)),), Decimal(2))


def test_fees_when_nothing_was_traded_then_refused() -> None:
    with pytest.raises(ValueError, match="at least one contract"):
        fees(schedule, MSFT, BUY, 0, Decimal(1))


@pytest.mark.parametrize("name", plugins.names("fees"))
def test_schedules_when_loaded_then_are_dated_and_sourced(name: str) -> None:
    found = plugins.load("fees", name).schedule

    assert (found.name, found.as_of <= date(2026, 11, 20), bool(found.source)) == (name, True, True)
