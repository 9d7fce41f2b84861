"""What is told without asking: from stored events, after their whole batch."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.announce import Announcement, Urgency, announce
from core.domain.events import (
    AccountOpened,
    AlertRaised,
    Armed,
    Body,
    CashMoved,
    CorporateAction,
    Event,
    Filled,
    MarginCalled,
    Mode,
    ModeSet,
    NoteWritten,
    OrderEnded,
    OrderUnknown,
    Reconciled,
    Replaced,
    ReplaceRefused,
    Role,
    Scope,
    ScopeKind,
    Settled,
)
from core.portfolio.book import BookFold
from core.reply import Facts, Notice
from tests.unit.risk.market import PRACTICE, SPREAD, account, acknowledged, call, closing, filled, sell, submitting

AT = datetime(2019, 5, 6, 15, 0, tzinfo=UTC)
SHORT, LONG = SPREAD


def told(*batches: tuple[Body, ...], quantity: int = 2) -> list[Announcement]:
    """The news of an order submitted and then told these batches, each folded whole before it is told."""
    fold, seq, news = BookFold(), 0, []
    for batch in ((AccountOpened(account=account()), submitting(SPREAD, quantity)), *batches):
        done = []
        for body in batch:
            seq += 1
            event = Event(
                seq=seq,
                stream=str(PRACTICE),
                kind=type(body).__name__,
                version=1,
                at=AT,
                recorded_at=AT,
                actor="broker:x",
                causation="",
                correlation="",
                dedupe=None,
                body=body,
                hash="",
            )
            done.append((event, fold.apply(event)))
        news += [found for event, outcomes in done if (found := announce(event, outcomes, fold.publish())) is not None]
    return news


def words(item: Announcement) -> str:
    return " ".join(block.text for block in item.blocks if isinstance(block, Notice))


def value(item: Announcement, label: str) -> object:
    return next(fact.value for block in item.blocks if isinstance(block, Facts) for fact in block.facts if fact.label == label)


def both(quantity: int, name: str = "E", *, mid: str | None = None) -> tuple[Body, Body]:
    at_decision = None if mid is None else Decimal(mid)
    short, long = (
        filled(SHORT, quantity, "30", exec_id=f"{name}1", fees="0.65"),
        filled(LONG, quantity, "21", exec_id=f"{name}2", fees="0.65"),
    )
    assert isinstance(short, Filled) and isinstance(long, Filled)
    return Filled(fill=short.fill, mid_at_decision=at_decision), Filled(fill=long.fill, mid_at_decision=at_decision)


def test_fill_when_all_legs_come_in_one_batch_then_one_message_with_price_quality_and_fees() -> None:
    (news,) = told((acknowledged(),), both(2, mid="9.10"))
    assert news.urgency is Urgency.MEDIUM
    assert words(news).startswith("Filled: 2 x ")
    assert value(news, "net price") == Decimal(9)
    assert {each.unit for block in news.blocks if isinstance(block, Facts) for each in block.facts} == {"per share", "USD"}
    assert value(news, "against mid at decision") == Decimal("-0.10")
    assert value(news, "commission and fees") == Decimal("1.30")
    assert news.cites == (5,)


def test_fill_when_some_units_fill_then_says_how_many_of_how_many() -> None:
    first, second = told((acknowledged(),), both(1), both(1, "F"))
    assert words(first).startswith("Filled 1 of 2")
    assert words(second).startswith("Filled: 2 x")
    assert first.key != second.key


def test_n7_fill_when_one_leg_stays_alone_after_the_batch_then_critical() -> None:
    (news,) = told((acknowledged(),), (filled(SHORT, 2, "30", exec_id="E1"),))
    assert news.urgency is Urgency.CRITICAL
    assert "unevenly" in words(news)
    assert "2 of 2" in words(news) and "0 of 2" in words(news)
    assert [action.line for action in news.actions] == ["cancel order_id=O1", news.actions[1].line]
    assert news.actions[1].line.startswith("close position_id=")


def test_n7_fill_when_the_partner_comes_in_the_same_batch_then_no_alarm() -> None:
    assert [item.urgency for item in told((acknowledged(),), both(1))] == [Urgency.MEDIUM]


def test_fill_when_it_is_told_twice_then_is_news_once() -> None:
    assert len(told((acknowledged(),), both(2), both(2))) == 1


def test_e3_fill_when_the_order_had_ended_then_says_it_came_late() -> None:
    news = told((acknowledged(),), (OrderEnded(client_id="O1", outcome="cancelled", reason="asked"),), both(2))
    assert "after the order had ended" in words(news[-1])


def test_e6_fill_when_over_the_confirmed_number_then_critical() -> None:
    news = told((acknowledged(),), both(2), both(1, "F"))
    assert news[-1].urgency is Urgency.CRITICAL
    assert "more than the confirmed 2" in words(news[-1])


def test_e9_fill_when_not_an_order_of_this_desk_then_external() -> None:
    (news,) = told((filled(SHORT, 1, "30", exec_id="X1", client_id=None),))
    assert news.urgency is Urgency.HIGH
    assert "EXTERNAL" in words(news)


def test_e4_bust_when_a_fill_that_was_told_never_happened_then_told_once_for_all_legs() -> None:
    gone = tuple(
        filled(leg, 1, price, exec_id=f"B{number}", corrects=f"F{number}", busted=True)
        for number, (leg, price) in enumerate(((SHORT, "30"), (LONG, "21")), start=1)
    )
    news = told((acknowledged(),), both(1), both(1, "F"), gone)[2:]
    assert {(item.key, item.urgency) for item in news} == {("busted:O1:1/1", Urgency.HIGH)}
    assert "never happened: 1 of 2 are filled now at 9.00 (you received)" in words(news[0])


def test_e4_correction_when_the_price_of_a_fill_was_another_then_told() -> None:
    (news,) = told((acknowledged(),), both(2), (filled(SHORT, 2, "29", exec_id="C1", corrects="E1"),))[1:]
    assert "corrected an execution" in words(news) and "2 of 2 are filled now at 8.00" in words(news)


def test_e4_bust_when_not_an_order_of_this_desk_then_no_trade_is_told() -> None:
    (_, news) = told(
        (filled(SHORT, 1, "30", exec_id="X1", client_id=None),),
        (filled(SHORT, 1, "30", exec_id="X2", client_id=None, corrects="X1", busted=True),),
    )
    assert "never happened" in words(news)


@pytest.mark.parametrize(
    ("outcome", "said", "urgency"),
    [
        ("cancelled", "is cancelled", Urgency.LOW),
        ("rejected", "was rejected by the broker", Urgency.MEDIUM),
        ("denied", "was not sent", Urgency.MEDIUM),
        ("expired", "has expired", Urgency.MEDIUM),
    ],
)
def test_end_when_an_order_ends_then_says_how_and_what_was_filled(outcome: str, said: str, urgency: Urgency) -> None:
    end = OrderEnded(client_id="O1", outcome=outcome, reason="because")
    (news,) = told((acknowledged(),), (end,), (end,))
    assert said in words(news)
    assert "nothing was filled" in words(news)
    assert "nothing was filled. Because." in words(news)
    assert news.urgency is urgency


def test_e1_unknown_when_nobody_knows_then_says_so_and_warns_not_to_repeat() -> None:
    (news,) = told((OrderUnknown(client_id="O1", reason="no answer in time"),))
    assert news.urgency is Urgency.HIGH
    assert "Nobody knows whether the broker has order O1" in words(news)
    assert "do not enter it again" in words(news)


def test_e8_replace_when_refused_then_says_what_stays_in_force() -> None:
    (news,) = told((acknowledged(),), (ReplaceRefused(client_id="O1", limit=Decimal("5.00"), reason="tick"),))
    assert "stays at 5.00" in words(news)


def test_settlement_when_in_cash_then_tells_the_money() -> None:
    body = Settled(
        settlement_id="S1",
        account=PRACTICE,
        instrument=SHORT.instrument,
        quantity=2,
        outcome="cash_settled",
        value=Decimal("2790.50"),
        cash=Decimal("-1900.00"),
        at=AT,
    )
    (news,) = told((body,))
    assert "was settled in cash; SPX at 2,790.50." in words(news)
    assert value(news, "cash") == Decimal("-1900.00")


def test_n1_assignment_when_shares_come_in_then_high_with_shares_and_cash() -> None:
    body = Settled(
        settlement_id="S2",
        account=PRACTICE,
        instrument=SHORT.instrument,
        quantity=1,
        outcome="assigned",
        value=None,
        cash=Decimal(-28000),
        at=AT,
        shares=100,
        share_symbol="SPY",
    )
    (news,) = told((body,))
    assert news.urgency is Urgency.HIGH
    assert value(news, "shares of SPY") == 100
    assert value(news, "cash") == Decimal(-28000)


@pytest.mark.parametrize(
    ("mode", "urgency", "said"),
    [
        (Mode.HALT, Urgency.CRITICAL, "HALTED"),
        (Mode.REDUCING, Urgency.HIGH, "only orders that reduce risk"),
        (Mode.PAUSED, Urgency.MEDIUM, "no new entries"),
        (Mode.ACTIVE, Urgency.MEDIUM, "was lifted"),
    ],
)
def test_mode_when_it_changes_then_says_what_may_be_done_and_why(mode: Mode, urgency: Urgency, said: str) -> None:
    (news,) = told((ModeSet(scope=Scope(kind=ScopeKind.STRATEGY, name="naked_put"), mode=mode, cause="x", reason="a test"),))
    assert news.urgency is urgency
    assert said in words(news)
    assert "Strategy naked_put" in words(news)
    assert "a test" in words(news)


def test_reconciliation_when_books_differ_then_critical_once_for_the_same_difference() -> None:
    body = Reconciled(account=PRACTICE, epoch=1, complete=True, differences=("SPY: the broker holds +1, the book +0",))
    first, second = told((body,), (body,))
    assert first.urgency is Urgency.CRITICAL
    assert "the broker holds +1" in words(first)
    assert first.key == second.key


def test_reconciliation_when_all_agrees_then_is_no_news() -> None:
    assert told((Reconciled(account=PRACTICE, epoch=1, complete=True, differences=()),)) == []


def test_reconciliation_when_incomplete_then_says_nothing_is_sent() -> None:
    (news,) = told((Reconciled(account=PRACTICE, epoch=1, complete=False, differences=()),))
    assert "nothing is sent" in words(news)


def test_note_when_written_then_is_no_news() -> None:
    assert told((NoteWritten(text="x"),)) == []


def test_alert_when_raised_then_told_as_loud_as_it_says_with_its_buttons() -> None:
    body = AlertRaised(key="k", urgency="critical", text="A put is uncovered.", lines=("close SPY", "ack k"), labels=("Close", "Noted"))
    (news,) = told((body,))
    assert (news.key, news.urgency, words(news)) == ("alert:k", Urgency.CRITICAL, "A put is uncovered.")
    assert [(action.label, action.line) for action in news.actions] == [("Close", "close SPY"), ("Noted", "ack k")]
    assert news.cites == (3,)


# --- what happens to an account by itself ----------------------------------------------------------------------------------

KO_CALL = call(60, root="KO")
SPLIT = CorporateAction(
    action_id="A1", account=PRACTICE, symbol="KO", new=2, old=1, at=AT,
    lines=(Replaced(instrument=KO_CALL, quantity=-2, successor=call(30, root="KO"), becomes=-4),),
)


def test_n5_split_when_nothing_stands_on_it_then_told_high_with_what_each_holding_became() -> None:
    (news,) = told((SPLIT,))
    (facts,) = [block for block in news.blocks if isinstance(block, Facts)]
    assert (news.urgency, facts.facts[0].label, facts.facts[0].value) == (
        Urgency.HIGH, f"-2 {KO_CALL.label}", f"-4 {call(30, root='KO').label}",
    )
    assert "Nothing watches" not in words(news)


def test_n5_split_when_a_stop_stood_on_it_then_critical_and_names_it() -> None:
    exits = submitting(closing([sell(KO_CALL)]), 2, client_id="O2", trade_id="PO1").envelope
    armed = Armed(
        standing_id="S1", role=Role.STOP, ticket_id="T2", account=PRACTICE, envelope=exits, envelope_hash=exits.hash, trade_id="PO1",
    )
    (news,) = [item for item in told((armed, SPLIT)) if item.key.startswith("action:")]
    assert news.urgency is Urgency.CRITICAL
    assert "Over with it: stop S1 and any mandate that covered KO" in words(news) and "set the exits anew" in words(news)


def test_n10_margin_call_when_made_then_critical_with_amount_and_deadline_and_when_met_then_quiet() -> None:
    made = MarginCalled(call_id="C1", account=PRACTICE, amount=Decimal("1250.5"), at=AT, due_at=AT, reason="What is held needs 9")
    at_once = MarginCalled(call_id="C2", account=PRACTICE, amount=Decimal(9), at=AT, reason="x")
    met = MarginCalled(call_id="C3", account=PRACTICE, amount=Decimal(0), at=AT, reason="all is well")
    first, second, third = told((made,), (at_once,), (met,))
    assert (first.urgency, second.urgency, third.urgency) == (Urgency.CRITICAL, Urgency.CRITICAL, Urgency.MEDIUM)
    assert "1,250.50 USD are missing, by Mon 06 May 11:00 ET. What is held needs 9." in words(first)
    assert "AT ONCE" in words(second) and "is met: all is well." in words(third)


def test_dividend_when_received_or_owed_then_told_and_other_movements_are_not() -> None:
    paid = CashMoved(movement_id="M1", account=PRACTICE, amount=Decimal(48), reason="dividend", at=AT, symbol="KO", quantity=100)
    owed = CashMoved(movement_id="M2", account=PRACTICE, amount=Decimal(-48), reason="dividend", at=AT, symbol="KO", quantity=-100)
    fee = CashMoved(movement_id="M3", account=PRACTICE, amount=Decimal(-3), reason="fee", at=AT)
    first, second = told((paid, owed, fee))
    assert "100 KO paid 0.4800 a share; cash +48.00 USD" in words(first)
    assert "you owed the dividend of 0.4800 a share on 100 KO held short; cash -48.00 USD" in words(second)
