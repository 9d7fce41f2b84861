"""The exchange calendar against an independent library, published dates and the recorded 2019 chain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pandas_market_calendars as market_calendars
import pytest

from core.domain.calendar import (
    EXCHANGE,
    CalendarError,
    closure,
    dte,
    expires_on,
    extended_hours,
    hours,
    is_open,
    is_session,
    last_trade_at,
    listed_expiries,
    monthly_expiry,
    next_session,
    previous_session,
    session,
    session_date,
    sessions,
    settlement_at,
    third_friday,
    vix_expiry,
    years_to,
)
from core.domain.instruments import InstrumentError, Settlement, series_of
from core.domain.listing import from_occ

pytestmark = pytest.mark.filterwarnings("ignore:Series.dt.weekday is deprecated")  # inside pandas_market_calendars

FIRST, LAST = date(1998, 1, 1), date(2030, 12, 31)
SPX, SPXW, XSP, VIX, VIXW = (series_of(root) for root in ("SPX", "SPXW", "XSP", "VIX", "VIXW"))
SPY, AAPL, GLD = (series_of(root) for root in ("SPY", "AAPL", "GLD"))

Day = tuple[time, time]


def ny(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=EXCHANGE).astimezone(UTC)


def clock(at: datetime) -> time:
    return at.astimezone(EXCHANGE).time()


def library_days(name: str) -> dict[date, Day]:
    schedule = market_calendars.get_calendar(name).schedule(FIRST.isoformat(), LAST.isoformat())
    opens = schedule.market_open.dt.tz_convert("America/New_York").dt.time
    closes = schedule.market_close.dt.tz_convert("America/New_York").dt.time
    return {stamp.date(): (opened, closed) for stamp, opened, closed in zip(schedule.index, opens, closes, strict=True)}


def our_days(span_of: Callable[[date], tuple[datetime, datetime] | None]) -> dict[date, Day]:
    found = {}
    for day in sessions(FIRST, LAST):
        span = span_of(day)
        assert span is not None
        found[day] = (clock(span[0]), clock(span[1]))
    return found


def differing(ours: dict[date, Day], theirs: dict[date, Day]) -> dict[date, tuple[Day | None, Day | None]]:
    return {day: (ours.get(day), theirs.get(day)) for day in sorted(ours.keys() | theirs.keys()) if ours.get(day) != theirs.get(day)}


# Every day between 1998 and 2030 on which pandas_market_calendars says something else, and why ours stands.
FULL, HALF = (time(9, 30), time(16, 0)), (time(9, 30), time(13, 0))
LATE, LATE_HALF = (time(9, 30), time(16, 15)), (time(9, 30), time(13, 15))
MINUTES_OF_SILENCE = {  # the opening bell a few minutes late; the trading day itself was regular
    date(2001, 9, 17): (FULL, (time(9, 33), time(16, 0))),
    date(2001, 10, 8): (FULL, (time(9, 31), time(16, 0))),
    date(2003, 3, 20): (FULL, (time(9, 32), time(16, 0))),
    date(2004, 6, 7): (FULL, (time(9, 32), time(16, 0))),
    date(2006, 12, 27): (FULL, (time(9, 32), time(16, 0))),
}
BREAKDOWN = {date(2005, 6, 1): (FULL, (time(9, 30), time(15, 56)))}  # a communications failure, not a scheduled close
ATTACKS = [date(2001, 9, day) for day in (11, 12, 13, 14)]  # its option calendars hold sessions on days when every US exchange was closed
CHRISTMAS_EVES = [date(year, 12, 24) for year in range(1998, 2031) if date(year, 12, 24).weekday() <= 3]  # it omits them for options
SHORT_DAYS_IT_OMITS = [*CHRISTMAS_EVES, date(2003, 12, 26)]
LATE_OPEN = date(2002, 9, 11)  # anniversary ceremonies: it has the noon opening for shares but not for options


def test_sessions_when_compared_with_nyse_1998_to_2030_then_only_known_differences() -> None:
    ours = our_days(lambda day: (found.open_at, found.close_at) if (found := session(day)) else None)

    assert differing(ours, library_days("NYSE")) == MINUTES_OF_SILENCE | BREAKDOWN
    assert len(ours) == 8298


@pytest.mark.parametrize(
    ("library", "spec", "full", "half"),
    [("CBOE_Index_Options", SPXW, LATE, LATE_HALF), ("CBOE_Equity_Options", AAPL, FULL, HALF)],
)
def test_hours_when_compared_with_cboe_then_only_known_differences(library: str, spec: Any, full: Day, half: Day) -> None:
    known: dict[date, tuple[Day | None, Day | None]] = dict.fromkeys(ATTACKS, (None, full))
    known |= dict.fromkeys(SHORT_DAYS_IT_OMITS, (half, full))
    known[LATE_OPEN] = ((time(12, 0), full[1]), full)

    assert differing(our_days(lambda day: hours(spec, day)), library_days(library)) == known


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (date(2026, 4, 18), "weekend"),
        (date(2026, 4, 3), "Good Friday"),
        (date(2026, 6, 19), "Juneteenth"),
        (date(2026, 11, 26), "Thanksgiving"),
        (date(2020, 7, 3), "Independence Day"),
        (date(2023, 1, 2), "New Year"),
        (date(2025, 1, 9), "closed: national day of mourning (President Carter)"),
        (date(2012, 10, 29), "closed: Hurricane Sandy"),
        (date(2021, 6, 18), None),  # the law was signed the day before; exchanges kept the holiday from 2022
        (date(2021, 12, 31), None),  # a Saturday New Year is not moved
        (date(2038, 12, 24), "Christmas"),
    ],
)
def test_closure_when_day_is_special_then_reason_is_named(day: date, reason: str | None) -> None:
    assert closure(day) == reason
    assert is_session(day) is (reason is None)


@pytest.mark.parametrize(
    "day",
    [date(2026, 11, 27), date(2026, 12, 24), date(2025, 7, 3), date(2024, 7, 3), date(2002, 7, 5), date(2003, 12, 26)],
)
def test_n11_session_when_half_day_then_shares_stop_at_1300_and_late_series_at_1315(day: date) -> None:
    regular = session(day)
    share_hours, index_hours = hours(AAPL, day), hours(SPX, day)

    assert regular is not None and regular.early and clock(regular.close_at) == time(13, 0)
    assert share_hours is not None and clock(share_hours[1]) == time(13, 0)
    assert index_hours is not None and clock(index_hours[1]) == time(13, 15)


@pytest.mark.parametrize("day", [date(2026, 7, 2), date(2020, 7, 2), date(2021, 7, 2), date(2021, 12, 23), date(1999, 12, 31)])
def test_session_when_day_only_precedes_a_moved_holiday_then_it_is_full(day: date) -> None:
    regular = session(day)

    assert regular is not None and not regular.early and clock(regular.close_at) == time(16, 0)


@pytest.mark.parametrize("day", [date(1997, 12, 31), date(2041, 1, 2)])
def test_is_session_when_outside_the_tables_then_error_and_no_guess(day: date) -> None:
    with pytest.raises(CalendarError, match="covers 1998 to 2040"):
        is_session(day)


def test_is_session_when_given_an_instant_then_error() -> None:
    with pytest.raises(CalendarError, match="not an instant"):
        is_session(ny(2026, 11, 20, 12))


def test_neighbours_when_around_a_long_weekend_then_skip_it() -> None:
    assert next_session(date(2019, 4, 18)) == date(2019, 4, 22)
    assert previous_session(date(2019, 4, 22)) == date(2019, 4, 18)
    assert next_session(date(2019, 4, 17)) == date(2019, 4, 18)
    assert sessions(date(2019, 4, 18), date(2019, 4, 23)) == (date(2019, 4, 18), date(2019, 4, 22), date(2019, 4, 23))
    assert sessions(date(2019, 4, 23), date(2019, 4, 18)) == ()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (ny(2026, 11, 20, 2), date(2026, 11, 20)),
        (ny(2026, 11, 20, 16, 14), date(2026, 11, 20)),
        (ny(2026, 11, 20, 16, 15), date(2026, 11, 23)),
        (datetime(2026, 11, 20, 0, 30, tzinfo=UTC), date(2026, 11, 20)),  # 19:30 on the 19th in New York, after the close
        (datetime(2026, 11, 21, 0, 30, tzinfo=UTC), date(2026, 11, 23)),
        (ny(2026, 11, 22, 12), date(2026, 11, 23)),
        (ny(2026, 11, 26, 12), date(2026, 11, 27)),
        (ny(2026, 11, 27, 13, 14), date(2026, 11, 27)),
        (ny(2026, 11, 27, 13, 15), date(2026, 11, 30)),
        (ny(2025, 12, 31, 20), date(2026, 1, 2)),
        (ny(2024, 2, 28, 20), date(2024, 2, 29)),
    ],
)
def test_i6_session_date_when_utc_and_exchange_dates_differ_then_session_is_explicit(at: datetime, expected: date) -> None:
    assert session_date(at) == expected


def test_instants_when_without_zone_then_error() -> None:
    naive = ny(2026, 11, 20, 12).replace(tzinfo=None)

    with pytest.raises(CalendarError, match="time zone"):
        session_date(naive)
    with pytest.raises(CalendarError, match="time zone"):
        is_open(SPX, naive)


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        (date(2026, 3, 6), datetime(2026, 3, 6, 14, 30, tzinfo=UTC)),
        (date(2026, 3, 9), datetime(2026, 3, 9, 13, 30, tzinfo=UTC)),
        (date(2026, 10, 30), datetime(2026, 10, 30, 13, 30, tzinfo=UTC)),
        (date(2026, 11, 2), datetime(2026, 11, 2, 14, 30, tzinfo=UTC)),
    ],
)
def test_i2_session_when_clocks_change_then_open_moves_in_utc(day: date, opens: datetime) -> None:
    regular = session(day)

    assert regular is not None and regular.open_at == opens


def test_i2_ten_years_when_walked_day_by_day_then_each_session_opens_and_closes_once() -> None:
    spans = [hours(SPX, date(2020, 1, 1) + timedelta(days=step)) for step in range(3653)]
    opened = [span for span in spans if span is not None]

    assert len(opened) == 2512
    assert all(earlier[1] < later[0] for earlier, later in pairwise(opened))
    assert {clock(opens) for opens, _ in opened} == {time(9, 30)}


# --- hours of one contract ---------------------------------------------------------------------------------------------------

MONTHLY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("root", "day", "expiry", "closes"),
    [
        ("AAPL", MONTHLY, None, time(16, 0)),
        ("AAPL", MONTHLY, MONTHLY, time(16, 0)),
        ("GLD", MONTHLY, None, time(16, 0)),
        ("SPY", MONTHLY, None, time(16, 15)),
        ("SPY", MONTHLY, MONTHLY, time(16, 15)),
        ("XLF", MONTHLY, None, time(16, 15)),
        ("SPXW", MONTHLY, date(2026, 11, 23), time(16, 15)),
        ("SPXW", MONTHLY, MONTHLY, time(16, 0)),
        ("XSP", MONTHLY, MONTHLY, time(16, 0)),
        ("SPX", date(2026, 11, 19), MONTHLY, time(16, 15)),
        ("VIX", date(2026, 11, 17), date(2026, 11, 18), time(16, 15)),
        ("SPXW", date(2026, 11, 27), date(2026, 11, 27), time(13, 0)),
        ("SPXW", date(2026, 11, 27), date(2026, 11, 30), time(13, 15)),
        ("SPY", date(2026, 11, 27), date(2026, 11, 27), time(13, 15)),
    ],
)
def test_hours_when_contract_trades_then_close_of_its_series_and_day(root: str, day: date, expiry: date | None, closes: time) -> None:
    span = hours(series_of(root), day, expiry)

    assert span is not None
    assert (clock(span[0]), clock(span[1])) == (time(9, 30), closes)


@pytest.mark.parametrize(
    ("root", "day", "expiry"),
    [
        ("SPX", MONTHLY, MONTHLY),  # AM-settled: its last trade was the evening before
        ("VIX", date(2026, 11, 18), date(2026, 11, 18)),
        ("SPXW", date(2026, 11, 23), MONTHLY),
        ("AAPL", date(2026, 11, 26), None),
        ("AAPL", date(2026, 11, 21), None),
    ],
)
def test_hours_when_contract_no_longer_trades_or_exchange_is_closed_then_none(root: str, day: date, expiry: date | None) -> None:
    assert hours(series_of(root), day, expiry) is None


def test_is_open_when_at_the_edges_then_open_is_inside_and_close_is_not() -> None:
    assert not is_open(SPXW, ny(2026, 11, 20, 9, 29))
    assert is_open(SPXW, ny(2026, 11, 20, 9, 30))
    assert is_open(SPXW, ny(2026, 11, 20, 16, 14))
    assert not is_open(SPXW, ny(2026, 11, 20, 16, 15))
    assert not is_open(SPXW, ny(2026, 11, 20, 16, 0), MONTHLY)
    assert not is_open(SPX, ny(2026, 11, 20, 9, 30), MONTHLY)
    assert not is_open(SPXW, ny(2026, 11, 20, 20, 30))  # global hours are known, and closed to orders


def test_n3_am_settled_when_expiry_morning_then_no_trade_and_open_decides() -> None:
    assert last_trade_at(SPX, MONTHLY) == ny(2026, 11, 19, 16, 15)
    assert settlement_at(SPX, MONTHLY) == ny(2026, 11, 20, 9, 30)
    assert last_trade_at(VIX, date(2026, 11, 18)) == ny(2026, 11, 17, 16, 15)
    assert settlement_at(VIX, date(2026, 11, 18)) == ny(2026, 11, 18, 9, 30)


def test_pm_settled_when_expiry_day_then_trades_to_the_close_that_decides() -> None:
    assert last_trade_at(SPXW, MONTHLY) == settlement_at(SPXW, MONTHLY) == ny(2026, 11, 20, 16)
    assert last_trade_at(SPY, MONTHLY) == ny(2026, 11, 20, 16, 15)
    assert settlement_at(SPY, MONTHLY) == ny(2026, 11, 20, 16)
    assert last_trade_at(SPXW, date(2026, 12, 24)) == settlement_at(SPXW, date(2026, 12, 24)) == ny(2026, 12, 24, 13)


def test_n11_am_settled_when_session_before_is_a_holiday_then_last_trade_is_the_one_before() -> None:
    assert last_trade_at(VIX, date(2024, 6, 20)) == ny(2024, 6, 18, 16, 15)
    assert last_trade_at(SPX, date(2026, 11, 27)) == ny(2026, 11, 25, 16, 15)


def test_last_trade_when_expiry_is_a_holiday_then_refused_with_the_reason() -> None:
    with pytest.raises(InstrumentError, match="Juneteenth"):
        last_trade_at(SPXW, date(2026, 6, 19))


def test_saturday_expiry_when_before_february_2015_then_friday_decides() -> None:
    saturday = date(2015, 1, 17)

    assert last_trade_at(AAPL, saturday) == settlement_at(AAPL, saturday) == ny(2015, 1, 16, 16)
    assert last_trade_at(SPX, saturday) == ny(2015, 1, 15, 16, 15)
    assert settlement_at(SPX, saturday) == ny(2015, 1, 16, 9, 30)
    assert last_trade_at(AAPL, date(2014, 4, 19)) == ny(2014, 4, 17, 16)  # Good Friday moved the last trade to Thursday
    with pytest.raises(InstrumentError, match="weekend"):
        last_trade_at(AAPL, date(2015, 2, 21))


def test_extended_hours_when_asked_then_cboe_sessions_of_the_trade_date() -> None:
    overnight, curb = extended_hours(SPXW, date(2026, 11, 23))

    assert (overnight.name, overnight.open_at, overnight.close_at) == ("global", ny(2026, 11, 22, 20, 15), ny(2026, 11, 23, 9, 25))
    assert (curb.name, curb.open_at, curb.close_at) == ("curb", ny(2026, 11, 23, 16, 15), ny(2026, 11, 23, 17))
    assert [one.name for one in extended_hours(SPXW, date(2026, 11, 27))] == ["global"]
    assert extended_hours(SPXW, date(2019, 5, 17))[0].open_at == ny(2019, 5, 17, 3)
    assert extended_hours(SPXW, date(2014, 5, 16)) == ()
    assert extended_hours(AAPL, date(2026, 11, 23)) == ()
    assert extended_hours(SPXW, date(2026, 11, 26)) == ()


# --- expiries ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("year", "month", "friday", "expiry"),
    [
        (2019, 4, date(2019, 4, 19), date(2019, 4, 18)),
        (2026, 6, date(2026, 6, 19), date(2026, 6, 18)),
        (2027, 6, date(2027, 6, 18), date(2027, 6, 17)),
        (2026, 12, date(2026, 12, 18), date(2026, 12, 18)),
    ],
)
def test_n11_monthly_expiry_when_third_friday_is_a_holiday_then_session_before(year: int, month: int, friday: date, expiry: date) -> None:
    assert third_friday(year, month) == friday
    assert monthly_expiry(year, month) == expiry


@pytest.mark.parametrize(
    ("year", "month", "expiry"),
    [  # Cboe's published VIX expiration dates
        (2019, 3, date(2019, 3, 19)),
        (2019, 5, date(2019, 5, 22)),
        (2024, 6, date(2024, 6, 18)),
        (2025, 3, date(2025, 3, 18)),
        (2026, 5, date(2026, 5, 19)),
        (2026, 12, date(2026, 12, 16)),
    ],
)
def test_vix_expiry_when_month_given_then_30_days_before_next_spx_expiry(year: int, month: int, expiry: date) -> None:
    assert vix_expiry(year, month) == expiry
    assert expires_on(VIX, expiry)
    assert not expires_on(VIXW, expiry)


def test_listed_expiries_when_spxw_2026_then_every_session_and_the_monthly_beside_spx() -> None:
    today = date(2026, 6, 1)

    daily = listed_expiries(SPXW, today, days=30)

    assert daily == sessions(today, today + timedelta(days=30))
    assert listed_expiries(SPX, today, days=30) == (date(2026, 6, 18),)
    assert date(2026, 6, 18) in daily


def test_listed_expiries_when_spxw_2019_then_monday_wednesday_friday_and_month_end() -> None:
    listed = listed_expiries(SPXW, date(2019, 5, 20), days=14)

    assert [day.strftime("%a %d %b") for day in listed] == [
        "Mon 20 May", "Wed 22 May", "Fri 24 May", "Tue 28 May", "Wed 29 May", "Fri 31 May", "Mon 03 Jun",  # 27 May is a holiday
    ]  # fmt: skip


def test_listed_expiries_when_far_ahead_then_only_what_is_listed_that_early() -> None:
    far = [day for day in listed_expiries(SPXW, date(2026, 11, 20), days=366) if (day - date(2026, 11, 20)).days > 80]

    assert date(2027, 2, 19) in far and date(2027, 3, 31) in far
    assert date(2027, 2, 24) not in far and date(2027, 2, 12) not in far


def test_listed_expiries_when_stock_then_fridays_for_eight_weeks_then_monthlies() -> None:
    listed = listed_expiries(AAPL, date(2026, 3, 2), days=120)

    assert [day.isoformat() for day in listed] == [
        "2026-03-06", "2026-03-13", "2026-03-20", "2026-03-27", "2026-04-02", "2026-04-10", "2026-04-17", "2026-04-24",
        "2026-05-15", "2026-06-18",
    ]  # fmt: skip


@pytest.mark.parametrize(("root", "today"), [("SPY", date(2026, 11, 16)), ("QQQ", date(2026, 11, 16)), ("XSP", date(2026, 11, 16))])
def test_listed_expiries_when_daily_fund_or_xsp_then_every_session_of_two_weeks(root: str, today: date) -> None:
    assert listed_expiries(series_of(root), today, days=14) == sessions(today, today + timedelta(days=14))


def test_listed_expiries_when_spy_before_november_2022_then_no_tuesday_or_thursday() -> None:
    listed = listed_expiries(SPY, date(2021, 10, 4), days=11)

    assert [day.strftime("%a") for day in listed] == ["Mon", "Wed", "Fri", "Mon", "Wed", "Fri"]


def test_listed_expiries_when_spy_since_2022_then_mondays_are_listed_two_weeks_ahead_no_longer_five() -> None:
    assert date(2021, 10, 25) in listed_expiries(SPY, date(2021, 10, 4), days=30)
    assert date(2026, 10, 26) not in listed_expiries(SPY, date(2026, 10, 5), days=30)


def test_expires_on_when_third_friday_before_may_2017_then_pm_contracts_were_not_spxw() -> None:
    assert not expires_on(SPXW, date(2017, 4, 21)) and expires_on(SPX, date(2017, 4, 21))
    assert expires_on(SPXW, date(2017, 5, 19)) and expires_on(SPX, date(2017, 5, 19))


def test_listed_expiries_when_vix_then_wednesdays_weekly_and_monthly_roots_apart() -> None:
    assert listed_expiries(VIX, date(2026, 4, 23), days=60) == (date(2026, 5, 19), date(2026, 6, 17))
    assert listed_expiries(VIXW, date(2026, 4, 23), days=27) == (date(2026, 4, 29), date(2026, 5, 6), date(2026, 5, 13))


def test_listed_expiries_when_the_calendar_ends_then_shorter_and_no_error() -> None:
    assert listed_expiries(SPX, date(2040, 10, 1), days=900) == (date(2040, 10, 19), date(2040, 11, 16), date(2040, 12, 21))
    assert listed_expiries(VIX, date(2040, 10, 1), days=900) == (date(2040, 10, 17), date(2040, 11, 21))
    with pytest.raises(CalendarError, match="covers 1998 to 2040"):
        listed_expiries(SPX, date(2041, 1, 2), days=30)


# --- time to expiry ----------------------------------------------------------------------------------------------------------


def test_dte_when_counted_then_calendar_days() -> None:
    assert dte(date(2026, 12, 18), date(2026, 11, 20)) == 28
    assert dte(date(2026, 11, 20), date(2026, 11, 20)) == 0
    assert dte(date(2026, 11, 19), date(2026, 11, 20)) == -1


def test_years_to_when_measured_then_365_day_years_and_zero_once_passed() -> None:
    assert years_to(ny(2026, 11, 20, 16), ny(2025, 11, 20, 16)) == pytest.approx(1.0, abs=1e-12)
    assert years_to(ny(2026, 11, 20, 16), ny(2026, 11, 20, 10)) == pytest.approx(6 / 24 / 365, rel=1e-12)
    assert years_to(ny(2026, 11, 20, 16), ny(2026, 11, 20, 17)) == 0.0


# --- recorded market ---------------------------------------------------------------------------------------------------------


def test_tables_when_read_beside_the_2019_chain_then_every_root_lists_its_expiries(real_data: Path) -> None:
    columns = ["quote_date", "contract", "root", "expiration"]
    chain = pd.read_csv(real_data / "spx_spxw_chain_2019-04-25_2019-07-22.csv.xz", usecols=columns)
    blocks = chain.drop_duplicates(["quote_date", "root", "expiration"])

    unlisted = set()
    for (quoted, root), rows in blocks.groupby(["quote_date", "root"]):
        today = date.fromisoformat(quoted)
        if is_session(today):  # on two holidays the file repeats the session before
            listed = set(listed_expiries(series_of(root), today, days=1100))
            unlisted |= {(root, quoted, expiry) for expiry in rows.expiration if date.fromisoformat(expiry) not in listed}
    contracts = [from_occ(text) for text in blocks.contract]

    assert len(blocks) > 2000
    assert unlisted == set()
    assert [one.root for one in contracts] == list(blocks.root)
    assert {(one.root, one.settlement) for one in contracts} == {("SPX", Settlement.AM), ("SPXW", Settlement.PM)}
    assert all(one.expiry == monthly_expiry(one.expiry.year, one.expiry.month) for one in contracts if one.root == "SPX")


@pytest.mark.parametrize(
    ("name", "root", "quoted", "expiration"),
    [
        ("aapl_chain_2014-12-30_2015-01-07.csv.xz", "AAPL", "quote_datetime", "expiration"),
        ("spy_chain_20perday_2021.csv.xz", "SPY", "quotedate", "expiration"),
    ],
)
def test_tables_when_read_beside_stock_and_fund_chains_then_expiries_are_listed(
    real_data: Path, name: str, root: str, quoted: str, expiration: str
) -> None:
    pairs = pd.read_csv(real_data / name, usecols=[quoted, expiration]).drop_duplicates()

    unlisted = {
        (today, expiry)
        for today, expiry in zip(pairs[quoted].str[:10], pairs[expiration].str[:10], strict=True)
        if date.fromisoformat(expiry) not in listed_expiries(series_of(root), date.fromisoformat(today), days=1100)
    }

    assert len(pairs) > 30
    assert unlisted == set()
