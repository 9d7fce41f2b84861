"""Calendars and diagonals: which expiries go together, and which strikes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import ModuleType

import numpy as np
import pytest

from core.domain.ideas import Idea, Request
from core.domain.instruments import Option, Right
from core.domain.orders import Side
from core.domain.structures import describe_legs
from core.errors import UserError
from core.market.view import View
from core.risk.two_dates import most_lost, pair_of
from core.settings import defaults
from core.strategies import calendar, diagonal
from tests.hand_market import TODAY, book, chain, view

NEAR, MONTHLY, FAR, LATE = date(2026, 12, 4), date(2026, 12, 18), date(2027, 1, 15), date(2027, 2, 19)


def spy() -> View:
    series = tuple(("SPY", day) for day in (NEAR, MONTHLY, FAR, LATE))
    return view(chain("SPY", series, spot=500, strikes=np.arange(430, 571, 5), tick=0.01, half_spread=0.02))


def find(strategy: ModuleType, seen: View, **asked: object) -> tuple[Idea, ...]:
    found: tuple[Idea, ...] = strategy.find(seen, book(), defaults(strategy.PARAMETERS), Request(symbol="SPY", **asked))  # type: ignore[arg-type]
    return found


def legs(idea: Idea) -> list[tuple[Side, date, Decimal]]:
    return [(leg.side, leg.instrument.expiry, leg.instrument.strike) for leg in idea.legs if isinstance(leg.instrument, Option)]


def test_calendar_when_all_is_left_open_then_sells_a_month_and_buys_two_at_the_money():
    idea = find(calendar, spy())[0]

    assert legs(idea) == [(Side.BUY, FAR, Decimal(500)), (Side.SELL, MONTHLY, Decimal(500))]
    assert describe_legs(idea.legs) == "SPY 18 Dec 26 / 15 Jan 27 500 call calendar"


def test_docstring_examples_when_worked_out_then_no_more_than_the_debit_can_be_lost_and_the_target_is_a_part_of_it():
    for strategy, debit, words in ((calendar, "4.00", ("400 USD", "5.00")), (diagonal, "27.00", ("2,700 USD", "33.75"))):
        pair = pair_of(find(strategy, spy())[0].legs)
        assert pair is not None
        paid = Decimal(debit)
        assert most_lost(pair, spy(), quantity=1, net_cash=-paid * 100) == paid * 100
        assert f"{paid * (1 + defaults(strategy.PARAMETERS).number('profit_target')):.2f}" == words[1]
        assert all(word in str(strategy.__doc__) for word in words)


def test_diagonal_when_all_is_left_open_then_the_far_leg_is_deeper_in_the_money():
    idea = find(diagonal, spy())[0]

    (bought, far, long), (sold, near, short) = legs(idea)
    assert (bought, sold, far, near) == (Side.BUY, Side.SELL, LATE, MONTHLY) and long < 500 < short
    assert describe_legs(idea.legs) == f"SPY 18 Dec 26 {short} / 19 Feb 27 {long} call diagonal"


def test_diagonal_when_puts_and_a_width_are_said_then_the_long_strike_is_so_much_higher():
    (_, _, long), (_, _, short) = legs(find(diagonal, spy(), right=Right.PUT, width=Decimal(20))[0])

    assert long - short == 20


@pytest.mark.parametrize(("asked", "days"), [
    ({"dte": 14, "far_dte": 56}, [FAR, NEAR]), ({"expiry": NEAR, "far_expiry": LATE}, [LATE, NEAR]), ({"dte": 14}, [FAR, NEAR]),
    ({"far_dte": 90}, [LATE, MONTHLY]),
])
def test_calendar_when_expiries_are_said_then_what_is_left_open_goes_with_them(asked: dict[str, object], days: list[date]):
    assert [day for _, day, _ in legs(find(calendar, spy(), **asked)[0])] == days


@pytest.mark.parametrize(("strategy", "asked", "sentence"), [
    (calendar, {"expiry": MONTHLY, "far_expiry": NEAR}, "far_expiry 2026-12-04 is not after the near expiry 2026-12-18"),
    (calendar, {"far_dte": 60, "far_expiry": FAR}, "far_dte and far_expiry are both given"),
    (calendar, {"dte": 30, "far_dte": 30}, "far_dte 30 is not later than the near expiry, 30 days out"),
    (calendar, {"far_dte": 14}, "far_dte 14 is not later than the near expiry, 28 days out"),
    (calendar, {"width": Decimal(5)}, "no width"),
    (calendar, {"strikes": (Decimal(500), Decimal(510))}, "has one strike, not 500/510"),
    (calendar, {"strikes": (Decimal(502),)}, "there is no 502 call on 2026-12-18; nearest are 500 and 505"),
    (calendar, {"far_expiry": date(2027, 1, 16)}, "no expiry on 2027-01-16, a Saturday"),
    (diagonal, {"strikes": (Decimal(500),)}, "a diagonal has two strikes"),
    (diagonal, {"strikes": (Decimal(480), Decimal(515)), "width": Decimal(30)}, "35 points apart, not 30"),
])
def test_find_when_what_is_said_cannot_be_then_refuses(strategy: ModuleType, asked: dict[str, object], sentence: str):
    with pytest.raises(UserError, match=sentence):
        find(strategy, spy(), **asked)


def test_diagonal_when_two_strikes_are_said_then_the_one_further_in_the_money_is_bought():
    calls, puts = (find(diagonal, spy(), right=right, strikes=(Decimal(515), Decimal(480)))[0] for right in (Right.CALL, Right.PUT))

    assert [strike for *_, strike in legs(calls)] == [480, 515] and [strike for *_, strike in legs(puts)] == [515, 480]


def test_calendar_when_the_far_date_has_two_series_then_the_near_ones_own_is_taken():
    series = (("SPXW", date(2026, 12, 17)), ("SPX", FAR), ("SPXW", FAR))
    seen = view(chain("SPX", series, spot=2900, strikes=np.arange(2700, 3101, 25)))
    request = Request(symbol="SPX", expiry=date(2026, 12, 17), far_expiry=FAR)

    idea = calendar.find(seen, book(), defaults(calendar.PARAMETERS), request)[0]

    assert [leg.instrument.root for leg in idea.legs if isinstance(leg.instrument, Option)] == ["SPXW", "SPXW"]


@pytest.mark.parametrize("strategy", [calendar, diagonal])
def test_find_when_the_two_dates_are_on_two_futures_then_refuses_since_the_loss_has_no_bound(strategy: ModuleType):
    series = (("VIX", date(2026, 12, 16)), ("VIX", date(2027, 1, 20)), ("VIX", date(2027, 2, 17)))
    seen = view(chain("VIX", series, spot=20, strikes=np.arange(12, 41, 1), tick=0.05, vol=1.0))

    with pytest.raises(UserError, match=f"VIX options of two dates are on two futures.*no {strategy.NAME}"):
        strategy.find(seen, book(), defaults(strategy.PARAMETERS), Request(symbol="VIX"))


def test_needs_when_near_and_far_are_left_open_then_both_ranges_are_loaded():
    needed = calendar.needs(defaults(calendar.PARAMETERS), Request(symbol="SPY"), TODAY).chains

    assert {(need.first_dte, need.last_dte) for need in needed} == {(20, 45), (50, 80)}
