"""What is no amount, contract, order, account or date is refused where it is made or read, and by the error that is declared there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.domain import calendar
from core.domain.accounts import AccountId, Env
from core.domain.calendar import CalendarError
from core.domain.encoding import EncodingError, canonical, from_plain
from core.domain.events import Draft, Mode, ModeSet, NoteWritten, OrderEnded, Scope, ScopeKind
from core.domain.instruments import Future, InstrumentError, occ_symbol
from core.domain.money import Money, MoneyError, exact, on_tick, to_cents, to_tick
from core.domain.plans import Exits, Limit, Sliced, Slicing, StopTerms, VolatilityScale
from core.fold import DeskFold
from core.market.quote import session_age_seconds
from core.store.codec import GENESIS, stored
from tests.unit.risk.market import NOW, SPREAD, envelope, put
from tests.unit.risk.test_mandate_rule import MANDATE

HUGE, TINY, NAN, SNAN, INFINITE = map(Decimal, ("1E+999999", "1E-999999", "NaN", "sNaN", "Infinity"))
CENT = Decimal("0.01")


@pytest.mark.parametrize("amount", [NAN, SNAN, INFINITE, HUGE])
def test_m1_money_when_it_is_no_amount_then_money_error(amount: Decimal) -> None:
    endless = Decimal("1E+999999999999999999")
    for refuse in (lambda: to_cents(amount), lambda: to_tick(amount, CENT, up=True), lambda: Money(amount) * endless):
        with pytest.raises(MoneyError):
            refuse()
    assert not on_tick(amount, CENT)


@pytest.mark.parametrize("tick", [NAN, INFINITE, Decimal(0), Decimal("-0.01")])
def test_m2_tick_when_it_is_none_then_money_error(tick: Decimal) -> None:
    for refuse in (lambda: on_tick(Decimal(1), tick), lambda: to_tick(Decimal(1), tick, up=True)):
        with pytest.raises(MoneyError):
            refuse()


@pytest.mark.parametrize("strike", [NAN, SNAN, INFINITE, HUGE, TINY, Decimal(0), Decimal("-5"), Decimal("0.0001"), Decimal(100_000)])
def test_n6_contract_when_it_has_no_symbol_then_cannot_be_made(strike: Decimal) -> None:
    contract = put(2800)
    with pytest.raises(InstrumentError):
        replace(contract, strike=strike)
    if not strike.is_snan():
        with pytest.raises(InstrumentError):
            occ_symbol("SPXW", contract.expiry, contract.right, strike)


@pytest.mark.parametrize("multiplier", [0, -100, True, 100.0, 10**9])
def test_m3_contract_when_its_multiplier_is_none_then_cannot_be_made(multiplier: Any) -> None:
    with pytest.raises(InstrumentError):
        replace(put(2800), multiplier=multiplier)
    with pytest.raises(InstrumentError):
        Future(root="ES", expiry=date(2026, 12, 18), multiplier=multiplier)


@pytest.mark.parametrize("price", [NAN, SNAN, INFINITE, -INFINITE])
def test_plan_when_a_figure_is_no_number_then_cannot_be_made(price: Decimal) -> None:
    one = Decimal(1)
    makers: tuple[Callable[[], Any], ...] = (
        lambda: Limit(start=price, worst=one), lambda: Limit(start=one, worst=price), lambda: StopTerms(level=price, guard=one),
        lambda: VolatilityScale(anchor=one, iv=price, least=one, most=one), lambda: Exits(start=one, worst=-one, target=price),
        lambda: Sliced(start=one, worst=one, style=Slicing.TWAP, seconds=60, weights=(one, price)),
    )
    for make in makers:
        with pytest.raises(ValueError, match="number"):
            make()


def test_envelope_when_it_has_no_legs_or_one_contract_twice_or_no_units_then_cannot_be_made() -> None:
    for bent in ({"legs": ()}, {"legs": (SPREAD[0], SPREAD[0])}, {"quantity": 0}, {"quantity": True}):
        with pytest.raises(ValueError, match=r"order|quantity"):
            replace(envelope(SPREAD), **bent)


def test_account_when_its_text_could_not_be_read_back_then_cannot_be_made() -> None:
    for broker, name in (("", "P1"), ("paper", ""), ("a:b", "P1"), ("paper", "P:1")):
        with pytest.raises(ValueError, match="no broker and account"):
            AccountId(broker=broker, id=name, env=Env.PAPER)
    with pytest.raises(ValueError, match="neither paper nor live"):
        AccountId(broker="paper", id="P1", env="demo")  # type: ignore[arg-type]


def test_order_when_it_ends_as_nothing_known_then_no_such_event() -> None:
    with pytest.raises(ValueError, match="does not end as"):
        OrderEnded(client_id="O1", outcome="vanished", reason="")


@pytest.mark.parametrize("amount", [HUGE, TINY, NAN, INFINITE])
def test_encoding_when_an_amount_has_no_measure_then_is_not_written(amount: Decimal) -> None:
    with pytest.raises(EncodingError):
        canonical({"amount": amount})


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (Decimal, "NaN"), (Decimal, "Infinity"), (Decimal, "1E+999999"), (Decimal, "１"), (Decimal, 7), (float, float("nan")),
        (float, float("inf")), (datetime, "2026-11-20"), (datetime, "2026-11-20T15:00:00"), (datetime, "0001-01-01T00:00:00+14:00"),
        (dict[str, int], [1]),
    ],
    ids=str,
)  # fmt: skip
def test_encoding_when_a_stored_value_is_none_then_is_not_read(kind: Any, plain: Any) -> None:
    with pytest.raises(EncodingError):
        from_plain(kind, plain)


@pytest.mark.parametrize("state", [b"", b"\xff", b"[]", b"7", b"{}", b'{"desk": {}, "books": []}', b"[" * 100_000, b'{"desk": []}'])
def test_h5_state_when_it_is_none_then_only_an_encoding_error(state: bytes) -> None:
    with pytest.raises(EncodingError):
        DeskFold.load(state, {})


def test_h5_state_when_its_books_are_bent_then_only_an_encoding_error() -> None:
    saving = DeskFold().begin_saving()
    saving.pack()
    plain = json.loads(saving.state)
    for accounts in ({"a": 1}, [1], [{"account": {"id": 7}}], [{}]):
        with pytest.raises(EncodingError):
            DeskFold.load(json.dumps({**plain, "books": {**plain["books"], "accounts": accounts}}).encode(), saving.parts)
    for sizes in ([], {}, {**plain["sizes"], "tickets": "x"}, {**plain["sizes"], "tickets": 5}, {**plain["sizes"], "nonsense": 0}):
        with pytest.raises(EncodingError):
            DeskFold.load(json.dumps({**plain, "sizes": sizes}).encode(), saving.parts)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: calendar.next_session(date.max), lambda: calendar.previous_session(date.min), lambda: calendar.third_friday(10_000, 1),
        lambda: calendar.vix_expiry(9999, 12), lambda: calendar.session_date(datetime.max.replace(tzinfo=UTC)),
        lambda: calendar.session_date(datetime(1, 1, 1, tzinfo=UTC)), lambda: calendar.session_date(datetime(2026, 11, 20)),
        lambda: calendar.years_to(datetime(2026, 11, 20), NOW), lambda: session_age_seconds(datetime(2019, 5, 6), NOW),
        lambda: calendar.is_open(put(2800).series, datetime(9999, 12, 31, 23, 59, tzinfo=UTC)),
        lambda: calendar.listed_expiries(put(2800).series, date.max, days=3),
    ],
    ids=range(11),
)
def test_i6_calendar_when_asked_beyond_its_years_then_calendar_error(ask: Callable[[], Any]) -> None:
    with pytest.raises(CalendarError):
        ask()


@pytest.mark.parametrize("amount", [NAN, SNAN, INFINITE])
def test_m1_plan_and_mandate_when_a_figure_is_no_amount_then_value_error(amount: Decimal) -> None:
    with pytest.raises(ValueError, match="not NaN or infinite"):
        Limit(start=Decimal(2), worst=Decimal(1), rest=amount)
    for field in ("concession_points", "concession_fraction"):
        with pytest.raises(ValueError, match="not NaN or infinite"):
            replace(MANDATE, **{field: amount})


def test_fold_when_a_text_holds_half_a_character_then_has_a_digest_and_survives_a_snapshot() -> None:
    draft = Draft(body=NoteWritten(text="half \ud800 of it", symbol="\ud800"), stream="desk", at=NOW, actor="desk", dedupe=None)
    fold = DeskFold()
    fold.apply(stored(draft, seq=1, prev_hash=GENESIS, recorded_at=NOW)[1])
    halted = ModeSet(scope=Scope(kind=ScopeKind.STRATEGY, name="\udfff"), mode=Mode.HALT, cause="x", reason="\ud800")
    held = Draft(body=halted, stream="desk", at=NOW, actor="desk", dedupe=None)
    fold.apply(stored(held, seq=2, prev_hash=fold.hash or "", recorded_at=NOW)[1])

    assert len(fold.digest()) == 64


@pytest.mark.parametrize("seq", [float("nan"), 1.5, "1", None, True])
def test_h5_snapshot_when_its_books_are_at_no_event_then_is_none(seq: object) -> None:
    saving = DeskFold().begin_saving()
    saving.pack()
    plain = json.loads(saving.state)
    plain["books"]["seq"] = seq
    with pytest.raises(EncodingError, match="no state of a desk"):
        DeskFold.load(json.dumps(plain).encode(), saving.parts)


def test_m1_amount_when_read_with_more_places_than_can_be_written_then_encoding_error() -> None:
    for text in ("9" * 102, f"0.{'0' * 100}1", "-" + "1" * 4_000):
        with pytest.raises(EncodingError, match="more than 100 places"):
            from_plain(Decimal, text)
    assert canonical(from_plain(Decimal, "9" * 101)) == f'"{"9" * 101}"'
    with pytest.raises(MoneyError) as caught:
        exact("9" * 4_000)
    assert len(str(caught.value)) < 120
