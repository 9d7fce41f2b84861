"""Canonical text: what is to the letter of its type is written and read at once, anything else the long way, to the same bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.domain.accounts import AccountId, Env
from core.domain.encoding import SPARSE, EncodingError, canonical, from_plain, read_back, to_plain
from core.domain.events import CashMoved, ConfigSeen, Marked, NoteWritten, Reconciled
from core.domain.instruments import Equity, Instrument, Option, Right
from core.domain.listing import option
from core.domain.orders import Effect, Leg, Side

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
ACCOUNT = AccountId(broker="paper", id="P", env=Env.PAPER)
CASH = CashMoved(movement_id="M", account=ACCOUNT, amount=Decimal("5.00"), reason="deposit", at=NOW)
MARK = Marked(account=ACCOUNT, session=date(2026, 11, 20), net_liquidation=1.5)
BOOKS = Reconciled(account=ACCOUNT, epoch=1, complete=True, differences=("a", "b"))
PUT = option("SPXW", date(2026, 12, 18), Right.PUT, Decimal("2700.0"))


class Shouting(str):
    """Text, but not text to the letter."""

    __slots__ = ()


def long_way(value: object) -> str:
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


@pytest.mark.parametrize("value", [CASH, MARK, BOOKS, Leg(instrument=PUT, side=Side.SELL, effect=Effect.OPEN)], ids=type)
def test_read_back_when_to_the_letter_then_the_value_itself_and_the_long_ways_bytes(value: Any) -> None:
    text, back = read_back(value)

    assert back is value
    assert text == canonical(value) == long_way(value)
    assert repr(from_plain(type(value), json.loads(text))) == repr(value)


LOOSE: dict[str, tuple[Any, Any]] = {
    "whole number for an opinion": (replace(MARK, net_liquidation=5), replace(MARK, net_liquidation=5.0)),
    "list for a row": (replace(BOOKS, differences=["a", "b"]), BOOKS),
    "exponent": (replace(CASH, amount=Decimal("1E+5")), replace(CASH, amount=Decimal(100_000))),
    "small number": (replace(CASH, amount=Decimal("1E-9")), replace(CASH, amount=Decimal("0.000000001"))),
    "two halves of a character": (NoteWritten(text="\ud83d\ude00"), NoteWritten(text="\U0001f600")),
    "kind of text": (NoteWritten(text=Shouting("x")), NoteWritten(text="x")),
    "member for text": (NoteWritten(text=Right.PUT), NoteWritten(text="put")),
    "another UTC": (replace(CASH, at=NOW.astimezone(ZoneInfo("UTC"))), CASH),
}


@pytest.mark.parametrize("name", LOOSE)
def test_read_back_when_not_to_the_letter_then_what_reading_gives(name: str) -> None:
    value, wanted = LOOSE[name]

    text, back = read_back(value)

    assert text == canonical(value) == long_way(value)
    assert repr(back) == repr(wanted)
    assert repr(from_plain(type(value), json.loads(text))) == repr(back)


def test_read_back_when_a_part_can_be_changed_then_a_copy() -> None:
    settings = {"b": "2", "a": "1"}
    text, back = read_back(ConfigSeen(settings=settings))
    settings["a"] = "later"

    assert text == '{"settings":{"a":"1","b":"2"},"~":"ConfigSeen"}'
    assert back.settings == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    "value",
    [
        replace(CASH, amount=5), replace(CASH, amount=5.5), replace(CASH, reason=None), replace(BOOKS, epoch=True),
        replace(BOOKS, complete=1), replace(MARK, net_liquidation="5"), NoteWritten(text=b"x"), replace(BOOKS, differences="ab"),
    ],
    ids=repr,
)
def test_read_back_when_of_the_wrong_type_then_refused(value: Any) -> None:
    with pytest.raises(EncodingError):
        read_back(value)


@pytest.mark.parametrize(
    "value", [Decimal("NaN"), Decimal("Infinity"), float("nan"), float("inf"), NOW.replace(tzinfo=None), object(), {1: 2}]
)
def test_canonical_when_it_cannot_be_written_then_refused(value: Any) -> None:
    with pytest.raises(EncodingError):
        canonical(value)


def test_from_plain_when_a_recurring_value_comes_again_then_one_object() -> None:
    strikes = map(Decimal, ("2700.0", "2700.0", "2700.00"))
    one, two, other = (from_plain(Option, json.loads(canonical(replace(PUT, strike=strike)))) for strike in strikes)

    assert one is two
    assert one == other
    assert repr(one) != repr(other)


@pytest.mark.parametrize("multiplier", [True, 1.0, "1", None])
def test_from_plain_when_a_recurring_values_number_is_of_another_type_then_refused(multiplier: object) -> None:
    plain = json.loads(canonical(replace(PUT, multiplier=1)))
    assert from_plain(Option, plain).multiplier == 1

    with pytest.raises(EncodingError):
        from_plain(Option, {**plain, "multiplier": multiplier})


def test_from_plain_when_recurring_values_differ_in_a_part_then_two_objects() -> None:
    items = (PUT, replace(PUT, strike=Decimal(2800)), Equity(symbol="SPY"))
    legs = [Leg(instrument=item, side=Side.BUY, effect=Effect.OPEN) for item in items]

    again = [from_plain(Leg, json.loads(canonical(leg))) for leg in legs + legs]

    assert again == legs + legs
    assert all(one is two for one, two in zip(again[:3], again[3:], strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Widely:
    """Unions of several scalars, optional objects, fixed rows."""

    number: int | str | None = None
    item: Instrument | None = None
    pair: tuple[str, int] = ("a", 1)


@pytest.mark.parametrize("value", [Widely(), Widely(number=5), Widely(number="5"), Widely(item=PUT), Widely(pair=("b", 2))])
def test_read_back_when_a_type_leaves_a_choice_then_read(value: Widely) -> None:
    assert repr(read_back(value)[1]) == repr(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Fields that came later, and one of the class's own kind."""

    name: str
    amount: Decimal = field(default=Decimal(0), metadata=SPARSE)
    inner: Later | None = field(default=None, metadata=SPARSE)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Later(name="a"), '{"name":"a","~":"Later"}'),
        (Later(name="a", amount=Decimal("1.0")), '{"amount":"1.0","name":"a","~":"Later"}'),
        (Later(name="a", inner=Later(name="b")), '{"inner":{"name":"b","~":"Later"},"name":"a","~":"Later"}'),
    ],
)
def test_read_back_when_a_later_field_has_its_default_then_left_out(value: Later, text: str) -> None:
    written, back = read_back(value)

    assert written == text == long_way(value)
    assert back is value
    assert from_plain(Later, json.loads(text)) == value


def test_read_back_when_a_later_field_only_equals_its_default_then_the_default() -> None:
    text, back = read_back(Later(name="a", amount=Decimal("0.00")))

    assert text == '{"name":"a","~":"Later"}'
    assert repr(back.amount) == "Decimal('0')"


@pytest.mark.parametrize(
    "plain",
    [
        None, [], "x", {"item": {"symbol": "SPY"}}, {"item": {"~": "Fill"}}, {"item": 5}, {"pair": ["a"]}, {"pair": "ab"}, {"number": 5.5},
        {"~": "Other"}, {"more": 1}, {"number": None, "item": None, "more": [], "~": "Widely"},
    ],
)
def test_from_plain_when_it_does_not_fit_then_refused(plain: Any) -> None:
    with pytest.raises(EncodingError):
        from_plain(Widely, plain)


def test_from_plain_when_a_field_with_a_default_is_absent_then_the_default() -> None:
    assert from_plain(Widely, {"number": "x"}) == Widely(number="x")
    assert from_plain(Equity, {"symbol": "SPY"}) == Equity(symbol="SPY")
