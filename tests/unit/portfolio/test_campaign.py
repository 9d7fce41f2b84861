"""A trade's story with its rolls, in figures; what only looks like a roll is never one by itself."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.events import Settled, TradeLogged
from core.domain.instruments import Option
from core.portfolio.campaign import campaign_of, chain, look_alikes
from tests.unit.risk.market import FAR, NOW, PRACTICE, SPREAD, Log, acknowledged, buy, closing, filled, put, sell, submitting

NEXT = (sell(put(2750, expiry=FAR)), buy(put(2700, expiry=FAR)))


def rolled(*, days: int = 0, minutes: int = 1) -> Log:
    """A spread sold for 1.20 bought back for 3.10, and `days` and `minutes` after it the next one sold for 2.40; one unit of each."""
    log = Log()
    later = NOW + timedelta(hours=1)
    log.add(submitting(SPREAD), acknowledged())
    log.add(filled(SPREAD[0], 1, "6.20", exec_id="E1"), filled(SPREAD[1], 1, "5.00", exec_id="E2", fees="1.40"))
    back = closing(SPREAD)
    log.add(submitting(back, client_id="O2", trade_id="PO1"))
    log.add(
        filled(back[0], 1, "9.10", exec_id="E3", client_id="O2", at=later),
        filled(back[1], 1, "6.00", exec_id="E4", client_id="O2", at=later, fees="1.40"),
    )
    again = later + timedelta(days=days, minutes=minutes)
    log.add(submitting(NEXT, client_id="O3"), acknowledged("O3"), at=again)
    log.add(
        filled(NEXT[0], 1, "7.40", exec_id="E5", client_id="O3", at=again),
        filled(NEXT[1], 1, "5.00", exec_id="E6", client_id="O3", at=again, fees="1.40"),
    )
    return log


def test_campaign_when_two_trades_are_linked_then_credits_costs_and_fees_of_both_to_the_cent() -> None:
    found = campaign_of(rolled().book, {"PO3": "PO1"}, "PO3")

    assert [trade.id for trade in found.trades] == ["PO1", "PO3"]
    assert [(step.what, step.net, step.cash) for step in found.steps] == [
        ("opened", Decimal("1.20"), Decimal("120.00")), ("closed", Decimal("-3.10"), Decimal("-310.00")),
        ("opened", Decimal("2.40"), Decimal("240.00")),
    ]
    assert (found.premium, found.closing_cash, found.fees) == (Decimal("360.00"), Decimal("-310.00"), Decimal("4.20"))
    assert found.cash == Decimal("45.80")


def test_campaign_when_asked_from_either_end_then_the_same_story() -> None:
    book = rolled().book

    assert campaign_of(book, {"PO3": "PO1"}, "PO1") == campaign_of(book, {"PO3": "PO1"}, "PO3")


def test_campaign_when_nobody_said_so_then_each_trade_stands_by_itself() -> None:
    found = campaign_of(rolled().book, {}, "PO3")

    assert [trade.id for trade in found.trades] == ["PO3"]
    assert found.cash == Decimal("238.60")


def test_campaign_when_shares_were_assigned_then_the_step_names_them_and_the_premium_is_the_trades() -> None:
    log, contract = Log(), put(45, root="KO")
    assert isinstance(contract, Option)
    log.add(submitting((sell(contract),)), acknowledged(), filled(sell(contract), 1, "0.60", exec_id="E1"))
    end = NOW + timedelta(days=39)
    log.add(Settled(
        settlement_id="S1", account=PRACTICE, instrument=contract, quantity=1, outcome="assigned", value=Decimal(44), cash=Decimal(-4500),
        at=end, shares=100, share_symbol="KO",
    ))

    found = campaign_of(log.book, {}, "PO1")

    step = found.steps[-1]
    assert (step.what, step.quantity, step.cash, step.shares, step.share_symbol, step.share_price) == (
        "assigned", 1, Decimal(0), 100, "KO", Decimal(45),
    )
    assert found.cash == Decimal("60.00") and not found.open_trades and found.days(end) == 39


def test_campaign_when_nothing_of_it_was_filled_then_unknown() -> None:
    with pytest.raises(KeyError):
        campaign_of(rolled().book, {}, "PO9")


def test_chain_when_a_trade_was_rolled_twice_and_into_two_then_all_of_them_once() -> None:
    rolls = {"B": "A", "C": "B", "D": "B", "X": "W"}

    assert set(chain(rolls, "C")) == {"A", "B", "C", "D"} == set(chain(rolls, "A"))
    assert chain({"A": "B", "B": "A"}, "A") == ("B", "A")


def test_look_alikes_when_closed_the_same_day_before_then_named() -> None:
    assert [trade.id for trade in look_alikes(rolled().book, {}, "PO3")] == ["PO1"]


@pytest.mark.parametrize(
    ("days", "minutes", "rolls"),
    [(1, 1, {}), (0, -10, {}), (0, 1, {"PO3": "PO1"}), (0, 1, {"PO3": "PO0"}), (0, 1, {"PO9": "PO1"})],
    ids=["next day", "opened before the other closed", "said already", "said of another", "continued by another"],
)
def test_look_alikes_when_another_day_or_said_already_then_none(days: int, minutes: int, rolls: dict[str, str]) -> None:
    assert look_alikes(rolled(days=days, minutes=minutes).book, rolls, "PO3") == ()


def test_look_alikes_when_the_older_trade_is_asked_then_none() -> None:
    assert look_alikes(rolled().book, {}, "PO1") == ()


def test_logged_when_the_same_booking_is_heard_twice_then_counted_once() -> None:
    log, contract = Log(), put(45, root="KO")
    fill = filled(sell(contract), 2, "0.60", exec_id="L1-1", client_id=None, fees="1.30").fill
    body = TradeLogged(
        log_id="L1", account=PRACTICE, person="owner", trade_id="X1", strategy="naked_put", legs=(sell(contract),), quantity=2,
        price=Decimal("0.60"), fills=(fill,), fees_known=True,
    )
    log.add(body)
    once = log.book

    log.add(body)

    assert log.book == once and once.cash == Decimal("118.70")
    assert campaign_of(once, {}, "X1").cash == Decimal("118.70")
