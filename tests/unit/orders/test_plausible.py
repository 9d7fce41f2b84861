"""What a broker can say and what it cannot: nonsense is told, never booked, and what stands beside it is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.app import replay
from core.domain.events import CashMoved, CorporateAction, MarginCalled, Mode, Replaced, Settled
from core.domain.instruments import Cash, Equity, Future, Index, Instrument
from core.domain.orders import Fill, OrderState
from core.errors import Unavailable
from core.orders.plausible import LONGEST_WORDS, believed, sensible_snapshot, sensible_updates, words
from core.orders.ticket import _preview
from core.ports import BrokerOrder, BrokerPosition, BrokerSnapshot, BrokerStatus, OrderReport, Preview
from core.runtime import SimRuntime
from tests.fake_broker import open_world, simulated
from tests.unit.risk.market import NOW, PRACTICE, SPREAD, envelope, put

FILL = Fill(
    exec_id="E1", account=PRACTICE, client_id="O1", instrument=SPREAD[0].instrument, side=SPREAD[0].side, quantity=1,
    price=Decimal("30.05"), fees=Decimal("-0.2512"), at=NOW,
)
SETTLED = Settled(
    settlement_id="S1", account=PRACTICE, instrument=SPREAD[0].instrument, quantity=1, outcome="assigned", value=Decimal(2790),
    cash=Decimal(-1000), at=NOW, shares=100, share_symbol="KO",
)
MOVED = CashMoved(movement_id="M1", account=PRACTICE, amount=Decimal("-1.25"), reason="fee", at=NOW)
REPORT = OrderReport(client_id="O1", broker_ref="R1", status=BrokerStatus.WORKING, limit=Decimal("-4.55"))
ORDER = BrokerOrder(client_id=None, broker_ref="R1", status=BrokerStatus.WORKING, limit=Decimal(5), quantity=3, filled=1)
SPLIT = CorporateAction(
    action_id="A1", account=PRACTICE, symbol="KO", new=3, old=2, at=NOW,
    lines=(Replaced(instrument=Equity(symbol="KO"), quantity=101, successor=Equity(symbol="KO"), becomes=151, cash=Decimal("20.00")),),
)
CALLED = MarginCalled(call_id="C1", account=PRACTICE, amount=Decimal("1250.00"), at=NOW, due_at=NOW, reason="short")
HELD = BrokerPosition(instrument=Equity(symbol="BRK B"), quantity=-300)
PREVIEW = Preview(
    margin_before=Decimal(0), margin_after=Decimal(5000), buying_power_before=Decimal(9), buying_power_after=Decimal(-4), source="x",
    commission=Decimal("-0.10"),
)


@pytest.mark.parametrize("item", [FILL, SETTLED, MOVED, REPORT, ORDER, HELD, SPLIT, CALLED, PREVIEW], ids=lambda item: type(item).__name__)
def test_report_when_it_can_be_true_then_nothing_is_wrong_with_it(item: Any) -> None:
    assert believed(item) == (item, "")


@pytest.mark.parametrize(
    ("item", "field", "value"),
    [
        (FILL, "quantity", -1), (FILL, "quantity", 0), (FILL, "quantity", True), (FILL, "quantity", 10**10), (FILL, "quantity", Decimal(1)),
        (FILL, "price", Decimal("NaN")), (FILL, "price", Decimal("sNaN")), (FILL, "price", Decimal("Infinity")),
        (FILL, "price", Decimal("-0.01")), (FILL, "price", Decimal("1E+999999")), (FILL, "price", Decimal("1E-30")), (FILL, "price", 30.05),
        (FILL, "fees", Decimal("1E+13")), (FILL, "exec_id", ""), (FILL, "exec_id", "a\nb"), (FILL, "exec_id", "x" * 129),
        (FILL, "exec_id", "\ud800"), (FILL, "client_id", 7), (FILL, "side", "bought"), (FILL, "instrument", Cash()),
        (FILL, "instrument", Index(symbol="SPX")), (FILL, "instrument", Equity(symbol="")), (FILL, "at", NOW.replace(tzinfo=None)),
        (FILL, "at", datetime(1970, 1, 1, tzinfo=UTC)), (FILL, "busted", None),
        (SETTLED, "quantity", 0), (SETTLED, "share_symbol", None), (SETTLED, "cash", Decimal("NaN")),
        (SETTLED, "value", Decimal("-Infinity")),
        (MOVED, "amount", Decimal("1.7E308")), (MOVED, "movement_id", ""), (MOVED, "reason", ""),
        (SPLIT, "new", 0), (SPLIT, "old", -1), (SPLIT, "lines", ()), (SPLIT, "lines", (SPLIT.lines[0], SPLIT.lines[0])),
        (SPLIT, "lines", (replace(SPLIT.lines[0], quantity=0),)), (SPLIT, "lines", (replace(SPLIT.lines[0], becomes=-151),)),
        (SPLIT, "lines", (replace(SPLIT.lines[0], cash=Decimal("NaN")),)), (SPLIT, "symbol", ""),
        (CALLED, "amount", Decimal(-1)), (CALLED, "amount", Decimal("Infinity")), (CALLED, "due_at", NOW.replace(tzinfo=None)),
        (REPORT, "status", "filed"), (REPORT, "limit", Decimal("NaN")), (REPORT, "client_id", ""),
        (ORDER, "quantity", -1), (ORDER, "filled", None), (ORDER, "client_id", ""), (HELD, "quantity", 2.0),
        (PREVIEW, "margin_after", Decimal("1.7976931348623157E+308")), (PREVIEW, "commission", Decimal("NaN")), (PREVIEW, "source", None),
    ],
    ids=str,
)  # fmt: skip
def test_f9_report_when_a_field_cannot_be_true_then_says_what(item: Any, field: str, value: Any) -> None:
    found, wrong = believed(replace(item, **{field: value}))
    assert found is None and wrong


def test_report_when_a_word_stands_for_its_kind_then_is_read_as_that_kind() -> None:
    found, _ = believed(replace(FILL, side=FILL.side.value))
    assert found is not None and found.side is FILL.side


def test_fill_when_of_a_future_then_its_price_may_be_negative() -> None:
    oil = Future(root="CL", expiry=NOW.date(), multiplier=1000)
    assert believed(replace(FILL, instrument=oil, price=Decimal("-37.63")))[0] is not None


def test_m1_fill_when_it_has_more_digits_than_add_up_exactly_then_is_nonsense() -> None:
    dear = replace(FILL, quantity=123_456_789, price=Decimal("1234567.0123456789"))
    assert "more digits than can be booked exactly" in believed(dear)[1]


def test_words_when_a_broker_sends_a_page_then_are_cut() -> None:
    assert len(words("<html>" * 10_000)) == LONGEST_WORDS + 4
    assert words("no margin") == "no margin"


def test_k2_words_when_a_secret_stands_where_they_are_cut_then_nothing_of_it_is_kept() -> None:
    page = "x" * (LONGEST_WORDS - 5) + "hunter2-Hunter2"
    kept, _ = believed(replace(ORDER, description=page), lambda text: text.replace("hunter2-Hunter2", "****"))
    assert kept is not None and kept.description == "x" * (LONGEST_WORDS - 5) + "****"


@pytest.mark.parametrize(
    "instrument", [replace(put(2700), expiry=date(2041, 1, 18)), Future(root="ES", expiry=date(1997, 3, 20), multiplier=50)], ids=str
)
def test_f9_holding_when_no_calendar_says_when_it_ends_then_is_nonsense(instrument: Instrument) -> None:
    assert "an expiry of" in believed(replace(HELD, instrument=instrument))[1]
    assert "an expiry of" in believed(replace(FILL, instrument=instrument))[1]


@pytest.mark.parametrize("answer", [None, 7, "no books", b"", {}, []])
def test_f9_answer_when_it_is_of_another_kind_then_unavailable(answer: Any) -> None:
    with pytest.raises(Unavailable, match="its answer is none"):
        sensible_snapshot(answer)
    with pytest.raises(Unavailable, match="its answer is none"):
        sensible_updates([answer])


def test_f9_books_when_their_orders_are_none_then_are_not_complete() -> None:
    books = BrokerSnapshot(
        account=PRACTICE, epoch=1, complete=True, at=NOW, cash=Decimal(7), orders=("an order", None), positions=(HELD,),  # type: ignore[arg-type]
        fills=(), settlements=(), movements=(), cursor=4,
    )
    kept, wrong = sensible_snapshot(books)
    assert wrong is not None and not kept.complete and not kept.orders and kept.positions == (HELD,)


def test_f9_snapshot_when_a_part_is_nonsense_then_keeps_the_rest_and_is_not_complete() -> None:
    books = BrokerSnapshot(
        account=PRACTICE, epoch=1, complete=True, at=NOW, cash=Decimal(7), orders=(ORDER,), positions=(replace(HELD, quantity=1.5), HELD),
        fills=(FILL,), settlements=(), movements=(), cursor=4,
    )

    kept, wrong = sensible_snapshot(books)

    assert wrong is not None and not kept.complete
    assert (kept.fills, kept.positions) == ((FILL,), (HELD,))
    assert sensible_snapshot(replace(books, positions=(HELD,)))[1] is None
    assert sensible_snapshot(replace(books, cash=Decimal("NaN"), positions=()))[1] == "cash of NaN"


@simulated
async def test_f9_updates_when_one_is_nonsense_then_the_others_are_booked_and_the_account_is_in_recovery(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker.fill(SPREAD[1], 1, "25", exec_id="E1")
    world.broker._add(replace(FILL, price=Decimal("NaN")))

    heard = await world.sender.pump(0)

    assert heard == 1
    assert list(world.order().fills) == ["E1"]
    assert world.mode() is Mode.RECOVERY
    assert world.state() is OrderState.UNKNOWN


@simulated
async def test_f9_updates_when_one_was_nonsense_then_the_complete_books_of_a_new_connection_end_it(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send()
    world.broker._add(replace(REPORT, status="filed"))  # type: ignore[arg-type]  # what an adapter makes of a word it does not know
    await world.sender.pump(0)

    await runtime.sleep(30)

    assert world.mode() is Mode.ACTIVE
    assert world.state() is OrderState.WORKING
    assert world.broker.sent("submit") == ["O1"]


@simulated
async def test_f9_books_when_they_make_no_sense_then_the_account_stays_in_recovery_and_the_log_can_be_read(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.cash = Decimal("sNaN")

    result = await world.sender.reconcile()

    assert not result.complete and "make no sense" in result.differences[0]
    assert world.mode() is Mode.RECOVERY
    assert (await replay(world.store)).digest() == world.desk.fold.digest()


@simulated
async def test_connection_when_the_broker_counts_it_as_an_earlier_one_then_is_a_new_one_all_the_same(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.epoch -= 1
    world.broker.complete = False

    await world.sender.connect()

    assert world.mode() is Mode.RECOVERY


@simulated
async def test_f9_submit_when_the_answer_is_no_reference_then_unknown_and_found_out(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    answered = world.broker.submit

    async def submit(order: Any) -> Any:
        await answered(order)
        return {"id": 7}

    world.broker.submit = submit  # type: ignore[method-assign]
    order = await world.send()
    assert order.state is OrderState.UNKNOWN

    await runtime.sleep(30)

    assert world.state() is OrderState.WORKING


@simulated
async def test_f9_preview_when_its_figures_make_no_sense_then_unknown_with_the_reason(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.margin_effect = Decimal("1.7976931348623157E+308")

    found, why = await _preview(world.desk, envelope(SPREAD))

    assert found is None
    assert "make no sense" in why
