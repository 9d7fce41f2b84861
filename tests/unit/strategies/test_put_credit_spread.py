"""The put credit spread: what it chooses, what it takes as said, what it refuses."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from core.domain.ideas import Idea, Request
from core.domain.instruments import Option, Right
from core.domain.orders import Effect, Side
from core.errors import Unavailable, UserError
from core.market.view import View
from core.pricing.payoff import PayoffLeg, expiry_payoff
from core.settings import Parameters, defaults
from core.strategies import put_credit_spread as strategy
from core.strategies._expiries import WhichSeries
from tests.hand_market import TODAY, book, chain, view

MONTHLY, WEEKLY, JANUARY = date(2026, 12, 18), date(2026, 12, 31), date(2027, 1, 15)
SPX_STRIKES = np.arange(2400, 3201, 25)


def spx(*, extra: tuple[tuple[str, date], ...] = ()) -> View:
    return view(chain("SPX", (("SPX", MONTHLY), ("SPXW", MONTHLY), ("SPXW", JANUARY), *extra), spot=2900, strikes=SPX_STRIKES))


def spy(**changes: float) -> View:
    return view(chain("SPY", (("SPY", WEEKLY), ("SPY", JANUARY)), spot=500, strikes=np.arange(430, 541, 1), tick=0.01, half_spread=0.02))


def find(seen: View, **asked: object) -> tuple[Idea, ...]:
    return strategy.find(seen, book(), defaults(strategy.PARAMETERS), Request(**asked))  # type: ignore[arg-type]


def strikes(idea: Idea) -> tuple[Decimal, ...]:
    return tuple(leg.instrument.strike for leg in idea.legs if isinstance(leg.instrument, Option))


def test_docstring_example_when_worked_out_then_its_figures_hold():
    held = ((2700, -1), (2650, 1))
    legs = [PayoffLeg(kind="put", strike=Decimal(strike), quantity=count, multiplier=Decimal(100)) for strike, count in held]

    payoff = expiry_payoff(legs, net_cash=(Decimal("12.00") - Decimal("8.00")) * 100)

    assert (payoff.max_profit, payoff.max_loss, payoff.break_evens) == (400, 4600, (Decimal(2696),))
    assert all(words in str(strategy.__doc__) for words in ("400 USD", "4,600", "2,696", "2.00 to buy back"))
    assert Decimal("4.00") * (1 - defaults(strategy.PARAMETERS).number("profit_target")) == Decimal("2.00")


def test_find_when_all_is_left_open_then_sells_near_16_delta_and_buys_50_points_lower_in_the_evening_series():
    idea = find(spx(), symbol="SPX")[0]

    short, long = idea.legs
    assert (short.side, long.side) == (Side.SELL, Side.BUY)
    assert {leg.effect for leg in idea.legs} == {Effect.OPEN}
    assert strikes(idea)[0] - strikes(idea)[1] == 50
    assert idea.short_delta == pytest.approx(0.16, abs=0.03)
    assert all(isinstance(leg.instrument, Option) and leg.instrument.root == "SPXW" for leg in idea.legs)
    assert all(isinstance(leg.instrument, Option) and leg.instrument.right is Right.PUT for leg in idea.legs)


def test_find_when_several_expiries_fit_then_the_one_nearest_to_45_days_comes_first():
    idea = find(spy(), symbol="SPY")[0]

    assert idea.legs[0].instrument.expiry == WEEKLY  # type: ignore[union-attr]  # 41 days, against 56
    assert "41 days" in idea.thesis


def test_find_when_the_underlying_is_a_stock_or_fund_then_the_wing_is_five_percent_lower():
    short, long = strikes(find(spy(), symbol="SPY")[0])

    assert long == (short * Decimal("0.95")).to_integral_value()


def test_find_when_two_listed_strikes_are_equally_near_the_wing_then_the_nearer_one_is_bought():
    usual = defaults(strategy.PARAMETERS)
    between = Parameters(values={**usual.values, "wing_points_spx": Decimal("37.5")})  # strikes stand 25 points apart

    short, long = strikes(strategy.find(spx(), book(), between, Request(symbol="SPX"))[0])

    assert short - long == 25


def test_find_when_asked_twice_then_answers_the_same_nearest_delta_first():
    first, again = find(spy(), symbol="SPY"), find(spy(), symbol="SPY")

    assert first == again
    away = [abs((idea.short_delta or 0) - 0.16) for idea in first]
    assert away == sorted(away) and len(first) == 3


def test_find_when_delta_and_width_are_said_then_both_are_taken():
    idea = find(spy(), symbol="SPY", delta=Decimal("0.30"), width=Decimal(7))[0]

    assert idea.short_delta == pytest.approx(0.30, abs=0.02)
    assert strikes(idea)[0] - strikes(idea)[1] == 7


def test_find_when_two_strikes_are_said_then_the_lower_is_bought():
    idea = find(spy(), symbol="SPY", strikes=(Decimal(470), Decimal(480)))

    assert [strikes(item) for item in idea] == [(480, 470)]
    assert idea[0].legs[1].side is Side.BUY


def test_find_when_one_strike_and_a_width_are_said_then_the_strike_is_sold():
    assert strikes(find(spy(), symbol="SPY", strikes=(Decimal(480),), width=Decimal(5))[0]) == (480, 475)


@pytest.mark.parametrize(("asked", "sentence"), [
    ({"strikes": (Decimal("481.3"), Decimal(470))}, "there is no 481.3 put on 2026-12-31; nearest are 481 and 482"),
    ({"strikes": (Decimal(400), Decimal(470))}, "there is no 400 put on 2026-12-31; nearest is 430"),
    ({"strikes": (Decimal(480),)}, "two strikes"),
    ({"strikes": (Decimal(480), Decimal(470)), "width": Decimal(5)}, "10 points apart, not 5"),
    ({"strikes": (Decimal(480), Decimal(470), Decimal(460))}, "2 strikes at most"),
    ({"strikes": (Decimal(480), Decimal(470)), "delta": Decimal("0.1")}, "strikes and delta are both given"),
    ({"width": Decimal("7.5")}, r"there is no .* put on 2026-12-31"),
    ({"right": Right.CALL}, "made of puts"),
    ({"delta": Decimal("0.0001")}, "near 0.0001 delta"),
    ({"expiry": date(2026, 12, 25)}, r"no expiry on 2026-12-25: the exchange is closed \(Christmas\)"),
    ({"expiry": date(2026, 12, 19)}, "2026-12-19, a Saturday"),
    ({"dte": 10}, r"no SPY options near 10 days are quoted. Listed are 2026-11-30 \(10 days\)"),
    ({"dte": 10**9}, r"no option has 1000000000 days to expiry. Ask for 0 to 1100"),
    ({"dte": -1}, r"no option has -1 days to expiry"),
    ({"dte": 1000}, r"SPY has no expiry near 1000 days. Listed are"),
])
def test_find_when_what_is_said_cannot_be_then_refuses_with_what_would_be_right(asked: dict[str, object], sentence: str):
    with pytest.raises(UserError, match=sentence):
        find(spy(), symbol="SPY", **asked)


def test_needs_when_the_expiry_is_past_then_refuses():
    with pytest.raises(UserError, match="expiry 2026-11-14 is in the past"):
        strategy.needs(defaults(strategy.PARAMETERS), Request(symbol="SPX", expiry=date(2026, 11, 14)), TODAY)


def test_needs_when_days_and_expiry_are_both_said_then_refuses():
    with pytest.raises(UserError, match="both given"):
        strategy.needs(defaults(strategy.PARAMETERS), Request(symbol="SPX", expiry=MONTHLY, dte=30), TODAY)


def test_needs_when_an_expiry_is_said_then_only_its_contracts_are_loaded():
    (need,) = strategy.needs(defaults(strategy.PARAMETERS), Request(symbol="SPX", expiry=MONTHLY), TODAY).chains

    assert (need.symbol, need.first_dte, need.last_dte) == ("SPX", 28, 28)


def test_n4_find_when_a_date_has_a_morning_and_an_evening_series_then_asks_which():
    with pytest.raises(WhichSeries, match=r"SPX \(settles on the opening prices.*SPXW \(settles at that day's close\)") as question:
        find(spx(), symbol="SPX", expiry=MONTHLY)

    assert question.value.roots == ("SPX", "SPXW")


def test_find_when_the_series_is_said_then_it_is_taken():
    idea = find(spx(), symbol="SPX", expiry=MONTHLY, root="SPX")[0]

    assert {leg.instrument.root for leg in idea.legs} == {"SPX"}  # type: ignore[union-attr]


def test_n3_find_when_the_morning_series_has_stopped_trading_then_it_is_not_offered():
    before = spx(extra=(("SPX", TODAY),))

    with pytest.raises(UserError, match="stopped trading"):
        find(before, symbol="SPX", expiry=TODAY)


def test_find_when_nobody_bids_for_the_short_strike_then_refuses():
    seen = spy()
    whole = seen.chains["SPY"]
    none = dataclasses.replace(seen, chains={"SPY": dataclasses.replace(whole, bid=np.where(whole.strike == 480, 0.0, whole.bid))})

    with pytest.raises(UserError, match="SPY 31 Dec 26 480 put cannot be sold to open: no bid"):
        find(none, symbol="SPY", strikes=(Decimal(480), Decimal(470)))


def test_find_when_the_spread_brings_nothing_then_refuses():
    seen = spy()
    whole = seen.chains["SPY"]
    flat = dataclasses.replace(seen, chains={"SPY": dataclasses.replace(whole, bid=np.full(len(whole), 1.0), ask=np.full(len(whole), 1.1))})

    with pytest.raises(UserError, match="480/470 put spread on 2026-12-31 brings no credit"):
        find(flat, symbol="SPY", strikes=(Decimal(480), Decimal(470)))


def test_find_when_the_chain_is_missing_then_it_is_unavailable():
    with pytest.raises(Unavailable, match="option chain of SPY"):
        find(view(), symbol="SPY")


def test_find_when_the_chain_is_empty_then_says_what_is_listed():
    empty = spy().chains["SPY"]

    with pytest.raises(UserError, match=r"no SPY options near 45 days are quoted. Listed are 2026-12-24 \(34 days\)"):
        find(view(empty.select(np.zeros(len(empty), dtype=bool))), symbol="SPY")
