"""Equity and drawdown from marks: the result without payments, drawdown by its definition, gaps as gaps."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands._equity import Close, closes_of, curve_of, equity_chart
from core.domain.events import CashMoved, Marked
from core.reply import Chart, Fact
from tests.paper_desk import open_desk, say
from tests.unit.risk.market import PRACTICE, Log

MONDAY, TUESDAY, WEDNESDAY = date(2019, 5, 6), date(2019, 5, 7), date(2019, 5, 8)
EXAMPLE = (
    Close(day=MONDAY, worth=100_000.0, paid=0.0), Close(day=TUESDAY, worth=104_000.0, paid=0.0),
    Close(day=WEDNESDAY, worth=150_920.0, paid=50_000.0),
)


def mark(day: date, worth: float, *, stale: tuple[str, ...] = ()) -> Marked:
    return Marked(account=PRACTICE, session=day, net_liquidation=worth, stale=stale)


def paid(amount: str, at: datetime, *, reason: str = "deposit") -> CashMoved:
    return CashMoved(movement_id=f"M{at}", account=PRACTICE, amount=Decimal(amount), reason=reason, at=at)


def figure(chart: Chart | None, label: str) -> Fact:
    assert chart is not None
    return next(item for item in chart.facts if item.label == label)


def test_curve_when_money_is_paid_in_then_result_and_drawdown_are_those_of_the_example() -> None:
    curve = curve_of(EXAMPLE)

    assert curve.result == pytest.approx((0.0, 4_000.0, 920.0))
    assert curve.drawdown == pytest.approx((0.0, 0.0, -0.02))


def test_curve_when_a_close_is_unknown_then_a_gap_and_its_payment_counts_with_the_next() -> None:
    closes = (EXAMPLE[0], Close(day=TUESDAY, worth=None, paid=50_000.0), Close(day=WEDNESDAY, worth=151_000.0, paid=0.0))

    curve = curve_of(closes)

    assert curve.result == (0.0, None, pytest.approx(1_000.0))
    assert curve.drawdown == (0.0, None, 0.0)


@given(st.lists(st.floats(min_value=1.0, max_value=1e7), min_size=2, max_size=40))
def test_drawdown_when_nothing_is_paid_then_is_the_fall_from_the_highest_close_before(worths: list[float]) -> None:
    closes = [Close(day=date.fromordinal(MONDAY.toordinal() + at), worth=worth, paid=0.0) for at, worth in enumerate(worths)]

    curve = curve_of(closes)

    peaks = accumulate(worths, max)
    assert curve.drawdown == pytest.approx([worth / peak - 1.0 for worth, peak in zip(worths, peaks, strict=True)], abs=1e-9)
    assert curve.result == pytest.approx([worth - worths[0] for worth in worths], abs=1e-6)


@given(st.lists(st.tuples(st.floats(min_value=-0.2, max_value=0.2), st.floats(min_value=0, max_value=1e5)), min_size=1, max_size=30))
def test_drawdown_when_money_is_paid_in_then_is_that_of_the_same_returns_without_it(days: list[tuple[float, float]]) -> None:
    plain = [*accumulate(days, lambda worth, day: worth * (1 + day[0]), initial=1e5)]
    fed = [*accumulate(days, lambda worth, day: (worth + day[1]) * (1 + day[0]), initial=1e5)]
    flows = [0.0, *(flow for _, flow in days)]

    one, other = (
        curve_of([Close(day=date.fromordinal(MONDAY.toordinal() + at), worth=worth, paid=flow) for at, (worth, flow) in enumerate(each)])
        for each in ([(worth, 0.0) for worth in plain], [*zip(fed, flows, strict=True)])
    )

    assert one.drawdown == pytest.approx(other.drawdown, abs=1e-9)
    gains = (after - before - flow for (before, after), flow in zip(pairwise(fed), flows[1:], strict=True))
    assert other.result[-1] == pytest.approx(sum(gains), abs=1e-3)


def test_closes_when_the_account_begins_then_its_result_counts_from_what_was_paid_in() -> None:
    log = Log(None)
    log.add(
        paid("100000", datetime(2019, 5, 6, 14, tzinfo=UTC)), paid("-3000", datetime(2019, 5, 7, 21, tzinfo=UTC), reason="withdrawal"),
        paid("12.50", datetime(2019, 5, 7, 15, tzinfo=UTC), reason="dividend"),
    )
    marks = (mark(MONDAY, 99_900.0), mark(TUESDAY, 100_400.0), mark(WEDNESDAY, 97_500.0))

    closes = closes_of([(log.book, marks)], first=MONDAY, last=WEDNESDAY)

    assert [(one.day, one.worth, one.paid) for one in closes] == [
        (date(2019, 5, 3), 100_000.0, 0.0), (MONDAY, 99_900.0, 0.0), (TUESDAY, 100_400.0, 0.0), (WEDNESDAY, 97_500.0, -3_000.0),
    ]
    assert curve_of(closes).result == pytest.approx((0.0, -100.0, 400.0, 500.0))


def test_closes_when_the_period_begins_later_then_the_close_before_it_is_the_base() -> None:
    marks = (mark(MONDAY, 99_900.0), mark(TUESDAY, 100_400.0), mark(WEDNESDAY, 97_500.0))

    closes = closes_of([(Log(None).book, marks)], first=TUESDAY, last=TUESDAY)

    assert [one.day for one in closes] == [MONDAY, TUESDAY]


def test_closes_when_a_holding_had_no_price_or_an_account_no_mark_then_unknown() -> None:
    book = Log(None).book
    marks = (mark(MONDAY, 1.0), mark(TUESDAY, 2.0, stale=("SPXW",)), mark(WEDNESDAY, 3.0))

    closes = closes_of([(book, marks), (book, marks[:2])], first=MONDAY, last=WEDNESDAY)

    assert [one.worth for one in closes] == [2.0, None, None]


def test_chart_when_drawn_then_the_caption_has_the_figures_of_the_lines() -> None:
    chart = equity_chart(EXAMPLE, title="Equity")

    assert figure(chart, "result").value == pytest.approx(920.0)
    assert (figure(chart, "highest").value, figure(chart, "highest").note) == (4_000.0, "7 May")
    assert (figure(chart, "deepest").value, figure(chart, "deepest").note) == (pytest.approx(-3_080.0), "2.00%, 8 May")
    assert chart is not None and [panel.series[0].name for panel in chart.panels] == ["result", "drawdown"]


def test_chart_when_fewer_than_three_closes_are_known_then_none() -> None:
    assert equity_chart(EXAMPLE[:2], title="Equity") is None
    assert equity_chart((), title="Equity") is None


async def test_pnl_when_sessions_were_marked_then_shows_the_equity_of_the_account_alone() -> None:
    desk = await open_desk()
    account = desk.account().id
    for day, worth in ((date(2026, 11, 17), 100_000.0), (date(2026, 11, 18), 100_500.0), (date(2026, 11, 19), 100_250.0)):
        body = Marked(account=account, session=day, net_liquidation=worth)
        await desk.record(desk.draft(body, actor="clock", stream=str(account)))

    shown, of_one_name = await say(desk, "pnl all"), await say(desk, "pnl all SPX")

    (chart,) = (block for block in shown.blocks if isinstance(block, Chart))
    assert figure(chart, "deepest").value == -250.0
    assert not any(isinstance(block, Chart) for block in of_one_name.blocks)
