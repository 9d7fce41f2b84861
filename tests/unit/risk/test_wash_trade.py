"""Never an order that could trade with one's own, in whatever account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from core.domain.instruments import Instrument
from core.domain.orders import Leg, Limit
from core.portfolio.book import Book
from core.risk import gate
from core.risk.exam import Exam, Finding, Level
from core.risk.registry import load_rules
from core.risk.rules import wash_trade
from core.settings import defaults
from tests.unit.risk.market import SPREAD, book, buy, closing, exam, intent, put, sell


def judged(examined: Exam) -> Finding:
    return wash_trade.judge(examined, defaults(wash_trade.PARAMETERS))


def working(legs: Sequence[Leg], *, price: str = "5.00", held: Sequence[tuple[Instrument, int]] = ()) -> Book:
    """A book with one order working at a net price."""
    made = book(*held, working=[(tuple(legs), 1)])
    limit = Decimal(price)
    live = {
        name: replace(order, limit=limit, envelope=replace(order.envelope, plan=Limit(start=limit, worst=limit)))
        for name, order in made.live.items()
    }
    return replace(made, live=live)


def test_wash_trade_when_an_own_order_works_on_the_other_side_then_blocked_with_the_remedy() -> None:
    of = working([buy(put(2800))], price="-31.00")
    found = judged(exam(intent([sell(put(2800))], start="30.00"), of=of))
    (name,) = of.live
    assert found.level is Level.BLOCK
    assert f"`cancel {name}`" in found.next_step


def test_wash_trade_when_the_other_account_works_it_then_blocked_too() -> None:
    order = next(iter(working([buy(put(2800))], price="-31.00").live.values()))
    examined = replace(exam(intent([sell(put(2800))], start="30.00")), elsewhere=(order,))
    assert judged(examined).level is Level.BLOCK


def test_wash_trade_when_it_is_cancelled_first_then_passes() -> None:
    of = working([buy(put(2800))], price="-31.00")
    (name,) = of.live
    assert judged(exam(replace(intent([sell(put(2800))], start="30.00"), instead_of=(name,)), of=of)).level is Level.PASS


def test_wash_trade_when_the_same_side_works_then_passes() -> None:
    assert judged(exam(intent([sell(put(2800))], start="30.00"), of=working([sell(put(2800))]))).level is Level.PASS


def test_wash_trade_when_the_mirror_cannot_meet_then_passes_and_when_it_can_then_blocks() -> None:
    of = working(SPREAD)
    worst = next(iter(of.live.values())).envelope.plan.worst
    below, at = (intent(closing(SPREAD), start=str(-worst + step)) for step in (Decimal("0.05"), Decimal(0)))
    assert judged(exam(below, of=of)).level is Level.PASS  # pays less than the other asks at its worst
    assert judged(exam(at, of=of)).level is Level.BLOCK


def test_wash_trade_when_the_order_reduces_then_still_blocks() -> None:
    of = working([sell(put(2800))], held=((put(2800), -1),))
    examined = exam(intent([buy(put(2800), effect=closing([sell(put(2800))])[0].effect)], start="-30.00"), of=of)
    assert examined.reducing
    verdict = gate.judge(examined, load_rules(), report=lambda name, error: "E")
    assert "wash_trade" in {item.rule for item in verdict.blocks}
