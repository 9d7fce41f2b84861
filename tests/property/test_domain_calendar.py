"""What holds for every day, instant, series and contract the calendar covers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.domain.calendar import (
    EXCHANGE,
    dte,
    expires_on,
    hours,
    is_open,
    is_session,
    last_trade_at,
    listed_expiries,
    next_session,
    previous_session,
    session,
    session_date,
    sessions,
    settlement_at,
)
from core.domain.instruments import Right, SeriesSpec, Settlement, series_of
from core.domain.listing import from_occ, option, series_for

ROOTS = ("SPX", "SPXW", "XSP", "NDX", "NDXP", "RUT", "RUTW", "VIX", "VIXW", "SPY", "QQQ", "IWM", "DIA", "GLD", "AAPL", "F", "BRKB")
days = st.dates(min_value=date(1998, 2, 1), max_value=date(2040, 11, 30))
trading_days = days.filter(is_session)
instants = st.datetimes(min_value=datetime(1998, 2, 1), max_value=datetime(2040, 11, 30), timezones=st.just(UTC))
specs = st.sampled_from(ROOTS).map(series_of)
strikes = st.integers(min_value=1, max_value=10**8 - 1).map(lambda milli: Decimal(milli) / 1000)


@st.composite
def listed(draw: st.DrawFn) -> tuple[SeriesSpec, date, date]:
    """A series, a day, and an expiry it lists on that day."""
    spec = draw(specs)
    today = draw(st.dates(min_value=date(2019, 2, 1), max_value=date(2037, 1, 1)))
    return spec, today, draw(st.sampled_from(listed_expiries(spec, today, days=900)))


@given(days)
def test_neighbours_when_stepped_then_inverse_and_nothing_between(day: date) -> None:
    after, before = next_session(day), previous_session(day)

    assert before < day < after
    assert sessions(before, after) == ((before, day, after) if is_session(day) else (before, after))
    assert previous_session(after) == (day if is_session(day) else before)


@given(days)
def test_i6_session_when_any_day_then_opens_on_it_in_both_zones(day: date) -> None:
    regular = session(day)

    assert (regular is not None) == is_session(day)
    if regular is not None:
        assert regular.open_at.tzinfo is UTC and regular.open_at.date() == regular.close_at.date() == day
        assert regular.open_at.astimezone(EXCHANGE).date() == day
        assert regular.close_at - regular.open_at in (timedelta(hours=6.5), timedelta(hours=3.5), timedelta(hours=4))


@given(instants)
def test_i6_session_date_when_any_instant_then_first_session_not_yet_over(at: datetime) -> None:
    day = session_date(at)
    span = hours(series_of("SPX"), day)
    span_before = hours(series_of("SPX"), previous_session(day))

    assert span is not None and at < span[1]
    assert span_before is not None and at >= span_before[1]


@given(instants, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10)))
def test_session_date_when_time_passes_then_never_goes_back(at: datetime, later: timedelta) -> None:
    assert session_date(at) <= session_date(at + later)


@given(specs, trading_days)
def test_is_open_when_inside_hours_then_true_and_false_at_the_close(spec: SeriesSpec, day: date) -> None:
    span = hours(spec, day)

    assert span is not None
    assert is_open(spec, span[0]) and is_open(spec, span[1] - timedelta(seconds=1))
    assert not is_open(spec, span[0] - timedelta(seconds=1)) and not is_open(spec, span[1])


@given(listed())
def test_n3_contract_when_listed_then_trading_ends_before_am_value_and_not_before_pm_value(found: tuple[SeriesSpec, date, date]) -> None:
    spec, _, expiry = found
    last, settled = last_trade_at(spec, expiry), settlement_at(spec, expiry)

    assert session(expiry) is not None
    assert (last < settled) is (spec.settlement is Settlement.AM)
    assert not is_open(spec, last, expiry) and is_open(spec, last - timedelta(seconds=1), expiry)
    assert hours(spec, next_session(expiry), expiry) is None


@given(listed())
def test_n4_listed_expiry_when_found_then_tabled_and_among_the_series_of_its_underlying(found: tuple[SeriesSpec, date, date]) -> None:
    spec, today, expiry = found

    assert 0 <= dte(expiry, today) <= 900
    assert expires_on(spec, expiry)
    assert spec in series_for(spec.underlying, expiry)


@given(specs, st.dates(min_value=date(1999, 1, 1), max_value=date(2039, 1, 1)), st.integers(0, 400), st.integers(0, 400))
def test_listed_expiries_when_looking_further_then_only_adds_later_days(spec: SeriesSpec, today: date, near: int, more: int) -> None:
    short, long = listed_expiries(spec, today, days=near), listed_expiries(spec, today, days=near + more)

    assert long[: len(short)] == short
    assert list(long) == sorted(set(long))
    assert all(dte(day, today) > near for day in long[len(short) :])


@given(listed(), st.sampled_from(Right), strikes)
def test_n6_option_when_written_and_read_back_then_equal(found: tuple[SeriesSpec, date, date], right: Right, strike: Decimal) -> None:
    contract = option(found[0].root, found[2], right, strike)

    assert from_occ(contract.key) == contract
    assert len(contract.key) == 21
    assert from_occ(contract.key.replace(" ", "")) == contract
