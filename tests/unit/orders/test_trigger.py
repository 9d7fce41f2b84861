"""When a level counts as touched: two fresh looks, far enough apart, at a market one can believe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.orders.trigger import Discipline, First, Look, Sight, look, see
from tests.unit.risk.market import NOW, SPREAD, closing, view

OPEN = datetime(2019, 5, 6, 13, 30, tzinfo=UTC)
STOP = Decimal("-3.60")
RULE = Discipline()
CLOSE = closing(SPREAD)


def sight(mid: str, *, after: int = 3600, spread: str = "0.20", one_sided: bool = False) -> Sight:
    price = Decimal(mid)
    natural = None if one_sided else price - Decimal(spread) / 2
    return Sight(at=OPEN + timedelta(seconds=after), opened_at=OPEN, mid=price, natural=natural, one_sided=one_sided)


def looks(*seen: Sight, rule: Discipline = RULE) -> list[Look]:
    found, first = [], None
    for item in seen:
        result, first = look(item, level=STOP, first=first, discipline=rule)
        found.append(result)
    return found


def test_look_when_the_worked_example_then_touched_on_the_second_after_the_gap() -> None:
    said = looks(sight("-3.65"), sight("-3.70", after=3615), sight("-3.62", after=3630))
    assert said == [Look.FIRST, Look.FIRST, Look.TOUCHED]
    said = looks(sight("-3.65"), sight("-3.55", after=3615), sight("-3.62", after=3630))
    assert said == [Look.FIRST, Look.QUIET, Look.FIRST]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (sight("-3.59"), Look.QUIET),
        (sight("-3.60"), Look.FIRST),
        (sight("-9.00", after=299), Look.WAITING),
        (sight("-9.00", after=300), Look.FIRST),
        (sight("-4.00", spread="1.00"), Look.FIRST),
        (sight("-4.00", spread="1.02"), Look.WAITING),
        (sight("-4.00", one_sided=True), Look.ONE_SIDED),
        (Sight(at=OPEN, opened_at=None), Look.CLOSED),
        (Sight(at=NOW, opened_at=OPEN), Look.UNKNOWN),
    ],
)
def test_look_when_one_thing_differs_then_the_rule_says_which(seen: Sight, said: Look) -> None:
    assert looks(seen) == [said]


def test_look_when_the_first_is_too_old_then_begins_anew() -> None:
    assert looks(sight("-3.65"), sight("-3.65", after=3600 + 601)) == [Look.FIRST, Look.FIRST]


def test_look_when_the_clock_went_back_then_begins_anew() -> None:
    assert looks(sight("-3.65", after=3700), sight("-3.65", after=3600)) == [Look.FIRST, Look.FIRST]


def test_look_when_an_instant_has_one_look_then_that_is_enough() -> None:
    assert looks(sight("-3.65"), rule=Discipline(looks=1)) == [Look.TOUCHED]


def test_look_when_a_target_then_touched_from_below() -> None:
    first = First(at=OPEN + timedelta(seconds=3000), mid=Decimal("-1.70"))
    found, _ = look(sight("-1.79", after=3040), level=Decimal("-1.80"), first=first, discipline=RULE, falling=False)
    assert found is Look.TOUCHED
    found, kept = look(sight("-1.81", after=3040), level=Decimal("-1.80"), first=first, discipline=RULE, falling=False)
    assert (found, kept) == (Look.QUIET, None)


@given(st.lists(st.tuples(st.integers(-500, -200), st.integers(1, 900)), min_size=1, max_size=30))
def test_look_when_any_walk_then_touched_needs_two_beyond_in_a_row_a_gap_apart(walk: list[tuple[int, int]]) -> None:
    at, seen = 3600, []
    for cents, wait in walk:
        at += wait
        seen.append((sight(f"{Decimal(cents) / 100:.2f}", after=at), at))
    first, since = None, None
    for item, when in seen:
        result, first = look(item, level=STOP, first=first, discipline=RULE)
        beyond = item.mid is not None and item.mid <= STOP
        if result is Look.TOUCHED:
            assert beyond and since is not None and 30 <= when - since <= 600
        if not beyond:
            since = None
        elif since is None or when - since > 600:
            since = when
        assert (first is None) == (since is None)


def test_see_when_a_leg_has_no_quote_then_there_is_no_mid() -> None:
    seen = see(CLOSE, view(drop=[SPREAD[0].instrument]), opened_at=OPEN, stale_seconds=120)
    assert (seen.mid, seen.natural) == (None, None)
    assert "missing" in seen.why


def test_see_when_quotes_are_old_then_there_is_no_mid() -> None:
    seen = see(CLOSE, view(at=NOW, quoted_at=NOW - timedelta(seconds=200)), opened_at=OPEN, stale_seconds=120)
    assert seen.mid is None
    assert "older than 120 s" in seen.why


def test_see_when_the_long_wing_has_no_bid_then_one_sided() -> None:
    key = SPREAD[1].instrument.key
    seen = see(CLOSE, view(**{key: (0.0, 0.05)}), opened_at=OPEN, stale_seconds=120)
    assert seen.one_sided and seen.mid is not None
