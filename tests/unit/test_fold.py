"""The whole desk as a fold: order of events, modes by scope, tickets once only, snapshots equal replay."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.accounts import Account, AccountId, AccountKind, Env
from core.domain.events import (
    AccountOpened,
    AlertAnswered,
    AlertRaised,
    Body,
    CashMoved,
    Event,
    Filled,
    Mode,
    ModeSet,
    NoteWritten,
    Scope,
    ScopeKind,
    SettingChanged,
    Submitting,
    TicketClosed,
    TicketConfirmed,
    TicketDrafted,
    TicketShown,
)
from core.domain.instruments import Equity
from core.domain.orders import Effect, Envelope, Fill, Intent, Leg, Limit, Side, TimeInForce
from core.fold import ALERTS_KEPT, DeskFold

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
ACCOUNT = AccountId(broker="paper", id="P", env=Env.PAPER)
STOCK = Leg(instrument=Equity(symbol="XYZ"), side=Side.BUY, effect=Effect.OPEN)
PLAN = Limit(start=Decimal("-10.00"), worst=Decimal("-10.05"))


def envelope() -> Envelope:
    return Envelope(
        account=ACCOUNT,
        legs=(STOCK,),
        quantity=2,
        plan=PLAN,
        tif=TimeInForce.DAY,
        expires_at=NOW + timedelta(minutes=2),
        policy_version=1,
        strategy="stock",
        trade_id=None,
    )


def drafted(ticket_id: str = "T1") -> TicketDrafted:
    intent = Intent(account=ACCOUNT, legs=(STOCK,), quantity=2, plan=PLAN, strategy="stock")
    return TicketDrafted(
        ticket_id=ticket_id,
        intent=intent,
        envelope=envelope(),
        envelope_hash=envelope().hash,
        card_hash="c",
        allowed=True,
        mid=Decimal(-10),
        short_delta=None,
        margin_effect=None,
        verdict_hash="v",
    )


def confirmed(client_id: str, ticket_id: str = "T1") -> TicketConfirmed:
    return TicketConfirmed(
        ticket_id=ticket_id, person="owner", chat="terminal", envelope_hash=envelope().hash, card_hash="c", quantity=2, client_id=client_id
    )


def submitting(client_id: str) -> Submitting:
    return Submitting(
        client_id=client_id,
        ticket_id="T1",
        account=ACCOUNT,
        envelope=envelope(),
        envelope_hash=envelope().hash,
        limit=PLAN.start,
        quantity=2,
        trade_id="P1",
        reducing=False,
    )


def filled(exec_id: str, client_id: str | None, quantity: int = 2) -> Filled:
    return Filled(
        fill=Fill(
            exec_id=exec_id,
            account=ACCOUNT,
            client_id=client_id,
            instrument=Equity(symbol="XYZ"),
            side=Side.BUY,
            quantity=quantity,
            price=Decimal("10.00"),
            fees=Decimal("1.00"),
            at=NOW,
        )
    )


def fold_of(*bodies: Body) -> DeskFold:
    fold = DeskFold()
    opened = AccountOpened(account=Account(id=ACCOUNT, name="practice", kind=AccountKind.REG_T))
    for seq, body in enumerate((opened, *bodies), 1):
        fold.apply(
            Event(
                seq=seq,
                stream="desk",
                kind=type(body).__name__,
                version=1,
                at=NOW + timedelta(seconds=seq),
                recorded_at=NOW,
                actor="test",
                causation="",
                correlation="",
                dedupe=None,
                body=body,
                hash=f"h{seq}",
            )
        )
    return fold


def test_fold_when_an_event_is_missing_then_refuses() -> None:
    fold = fold_of()
    with pytest.raises(ValueError, match="does not follow"):
        fold.apply(
            Event(
                seq=3,
                stream="desk",
                kind="NoteWritten",
                version=1,
                at=NOW,
                recorded_at=NOW,
                actor="test",
                causation="",
                correlation="",
                dedupe=None,
                body=NoteWritten(text="x"),
                hash="h",
            )
        )


def test_fold_when_dumped_and_loaded_then_is_the_same_state() -> None:
    fold = fold_of(
        CashMoved(movement_id="d", account=ACCOUNT, amount=Decimal("1000.00"), reason="deposit", at=NOW),
        drafted(),
        TicketShown(ticket_id="T1", chat="terminal", at=NOW),
        confirmed("O1"),
        submitting("O1"),
        filled("x1", "O1"),
        SettingChanged(key="desk.walk_steps", old="5", new="6", loosens=False),
        NoteWritten(text="calm day", symbol="XYZ"),
        ModeSet(scope=Scope(kind=ScopeKind.STRATEGY, name="naked_put"), mode=Mode.PAUSED, cause="person", reason="resting"),
        AlertRaised(key="a", urgency="high", text="look", account=ACCOUNT, lines=("close XYZ",)),
        AlertAnswered(key="a", person="owner"),
    )
    saving = fold.begin_saving()
    saving.pack()
    again = DeskFold.load(saving.state, saving.parts)
    fold.end_saving(saving, saved=True)
    assert again.digest() == fold.digest()
    assert again.books == fold.books
    assert again.tickets == fold.tickets
    assert again.mode(strategy="naked_put") == (Mode.PAUSED, "resting")
    assert again.policy_version == 2


def test_fold_when_a_ticket_is_confirmed_twice_then_the_first_stands() -> None:
    fold = fold_of(drafted(), confirmed("O1"), confirmed("O2"), TicketClosed(ticket_id="T1", outcome="dropped", reason="late"))
    ticket = fold.tickets["T1"]
    assert ticket.confirmed is not None
    assert ticket.confirmed.client_id == "O1"
    assert ticket.closed is None
    assert fold.ticket_of_order("O2") is None


def test_fold_when_a_ticket_was_dropped_then_a_confirmation_is_not_taken() -> None:
    fold = fold_of(drafted(), TicketClosed(ticket_id="T1", outcome="dropped", reason="person"), confirmed("O1"))
    assert fold.tickets["T1"].confirmed is None
    assert not fold.tickets["T1"].is_open


def test_modes_when_several_apply_then_the_strictest_wins_in_its_scope_only() -> None:
    fold = fold_of(
        ModeSet(scope=Scope(), mode=Mode.PAUSED, cause="person", reason="lunch"),
        ModeSet(scope=Scope(kind=ScopeKind.ACCOUNT, name=str(ACCOUNT)), mode=Mode.REDUCING, cause="brake", reason="daily loss"),
        ModeSet(scope=Scope(kind=ScopeKind.INSTRUMENT, name="XYZ"), mode=Mode.HALT, cause="break", reason="books differ"),
    )
    assert fold.mode() == (Mode.PAUSED, "lunch")
    assert fold.mode(account=ACCOUNT) == (Mode.REDUCING, "daily loss")
    assert fold.mode(account=ACCOUNT, keys=("XYZ",)) == (Mode.HALT, "books differ")
    assert fold.mode(keys=("ABC",)) == (Mode.PAUSED, "lunch")


def test_modes_when_one_cause_is_lifted_then_the_other_stays() -> None:
    fold = fold_of(
        ModeSet(scope=Scope(), mode=Mode.PAUSED, cause="person", reason="lunch"),
        ModeSet(scope=Scope(), mode=Mode.HALT, cause="kill", reason="kill"),
        ModeSet(scope=Scope(), mode=Mode.ACTIVE, cause="kill", reason="unhalt"),
    )
    assert fold.mode() == (Mode.PAUSED, "lunch")


def test_recent_confirmations_when_asked_since_then_newest_first_and_old_ones_left_out() -> None:
    fold = fold_of(drafted("T1"), confirmed("O1", "T1"), drafted("T2"), confirmed("O2", "T2"))
    assert [ticket.id for ticket in fold.recent_confirmed(NOW)] == ["T2", "T1"]
    assert [ticket.id for ticket in fold.recent_confirmed(NOW + timedelta(seconds=4))] == ["T2"]
    assert fold.drafted_since(NOW + timedelta(seconds=3)) == 1


def test_e9_external_fill_when_no_order_of_ours_then_is_counted_in_the_book() -> None:
    book = fold_of(filled("x9", None, 3)).books.accounts[ACCOUNT]
    assert book.positions["XYZ"].quantity == 3
    assert book.cash == Decimal("-31.00")
    assert not book.trades


def test_alerts_when_weeks_have_passed_then_only_what_may_still_matter_is_kept() -> None:
    fold = fold_of(AlertRaised(key="old", urgency="high", text="look"), AlertAnswered(key="unknown", person="owner"))
    late = NOW + ALERTS_KEPT + timedelta(minutes=1)
    fold.apply(
        Event(
            seq=4, stream="desk", kind="AlertRaised", version=1, at=late, recorded_at=late, actor="clock", causation="", correlation="",
            dedupe=None, body=AlertRaised(key="new", urgency="low", text="look"), hash="h4",
        )
    )
    assert list(fold.alerts) == ["new"]
