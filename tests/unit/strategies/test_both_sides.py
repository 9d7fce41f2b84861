"""The iron condor and the short strangle: a put and a call side of one expiry."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from core.domain.accounts import AccountKind, Charter
from core.domain.ideas import Idea, Request
from core.domain.instruments import Option, Right
from core.domain.orders import Side
from core.domain.structures import describe_legs
from core.errors import UserError
from core.market.view import View
from core.portfolio.book import Book
from core.pricing.payoff import PayoffLeg, expiry_payoff
from core.settings import defaults
from core.strategies import iron_condor, short_strangle
from tests.hand_market import ACCOUNT, AT, TODAY, book, chain, view

EXPIRY, TUESDAY = date(2026, 12, 31), date(2026, 11, 24)


def spy() -> View:
    return view(chain("SPY", (("SPY", EXPIRY),), spot=500, strikes=np.arange(430, 571, 1), tick=0.01, half_spread=0.02))


def xsp() -> View:
    series = (("XSP", TODAY + timedelta(days=3)), ("XSP", TUESDAY))
    return view(chain("XSP", series, spot=680, strikes=np.arange(600, 761, 1), tick=0.01, half_spread=0.01, vol=0.25))


def condor(**asked: object) -> tuple[Idea, ...]:
    return iron_condor.find(spy(), book(), defaults(iron_condor.PARAMETERS), Request(symbol="SPY", **asked))  # type: ignore[arg-type]


def strangle(seen: View, held: Book, **asked: object) -> tuple[Idea, ...]:
    return short_strangle.find(seen, held, defaults(short_strangle.PARAMETERS), Request(symbol="XSP", **asked))  # type: ignore[arg-type]


def strikes(idea: Idea) -> list[Decimal]:
    return [leg.instrument.strike for leg in idea.legs if isinstance(leg.instrument, Option)]


def test_docstring_example_of_the_condor_when_worked_out_then_its_figures_hold():
    held = (("put", 2700, -1), ("put", 2650, 1), ("call", 3050, -1), ("call", 3100, 1))
    legs = [PayoffLeg(kind=kind, strike=Decimal(strike), quantity=count, multiplier=Decimal(100)) for kind, strike, count in held]  # type: ignore[arg-type]

    payoff = expiry_payoff(legs, net_cash=(Decimal("12.00") - Decimal("8.00") + Decimal("9.00") - Decimal("5.50")) * 100)

    assert (payoff.max_profit, payoff.max_loss, payoff.break_evens) == (750, 4250, (Decimal("2692.50"), Decimal("3057.50")))
    assert all(words in str(iron_condor.__doc__) for words in ("750 USD", "4,250", "2,692.50 and 3,057.50", "3.75 to buy back"))
    assert Decimal("7.50") * (1 - defaults(iron_condor.PARAMETERS).number("profit_target")) == Decimal("3.75")


def test_docstring_example_of_the_strangle_when_worked_out_then_its_figures_hold():
    held = (("put", 655), ("call", 700))
    legs = [PayoffLeg(kind=kind, strike=Decimal(strike), quantity=-1, multiplier=Decimal(100)) for kind, strike in held]  # type: ignore[arg-type]

    payoff = expiry_payoff(legs, net_cash=Decimal(60))

    assert (payoff.max_profit, payoff.max_loss, payoff.break_evens) == (60, None, (Decimal("654.40"), Decimal("700.60")))
    assert all(words in str(short_strangle.__doc__) for words in ("60 USD", "unlimited", "654.40 and 700.60", "0.18 to buy back"))
    assert Decimal("0.60") * (1 - defaults(short_strangle.PARAMETERS).number("profit_target")) == Decimal("0.18")


def test_condor_when_all_is_left_open_then_both_sides_are_sold_near_16_delta_with_wings_outside():
    idea = condor()[0]

    put, lower, call, upper = strikes(idea)
    assert [leg.side for leg in idea.legs] == [Side.SELL, Side.BUY, Side.SELL, Side.BUY]
    assert lower < put < 500 < call < upper and idea.short_delta == pytest.approx(0.16, abs=0.02)
    assert describe_legs(idea.legs) == f"SPY 31 Dec 26 {lower}/{put}/{call}/{upper} iron condor"


def test_condor_when_a_width_is_said_then_both_wings_are_so_far():
    put, lower, call, upper = strikes(condor(width=Decimal(7))[0])

    assert (put - lower, upper - call) == (7, 7)


@pytest.mark.parametrize("asked", [
    {"strikes": tuple(Decimal(each) for each in (530, 460, 540, 470))}, {"strikes": (Decimal(470), Decimal(530)), "width": Decimal(10)},
])
def test_condor_when_its_strikes_are_said_then_exactly_these_are_taken(asked: dict[str, object]):
    (idea,) = condor(**asked)

    assert strikes(idea) == [470, 460, 530, 540]


@pytest.mark.parametrize(("asked", "sentence"), [
    ({"strikes": (Decimal(470), Decimal(530))}, "an iron condor has four strikes"),
    ({"strikes": tuple(Decimal(each) for each in (460, 470, 530, 545)), "width": Decimal(10)}, "530/545 are 15 points apart, not 10"),
    ({"right": Right.PUT}, "has puts and calls"),
    ({"far_dte": 60}, "far_dte belongs to calendars"),
    ({"delta": Decimal("0.001")}, "near 0.001 delta"), ({"delta": Decimal("0.8")}, "lies above the .* call: that is no iron_condor"),
])
def test_condor_when_what_is_said_cannot_be_then_refuses(asked: dict[str, object], sentence: str):
    with pytest.raises(UserError, match=sentence):
        condor(**asked)


def test_strangle_when_all_is_left_open_then_the_call_is_sold_much_further_out_than_the_put():
    idea = strangle(xsp(), book())[0]

    put, call = strikes(idea)
    assert {leg.side for leg in idea.legs} == {Side.SELL} and put < 680 < call
    assert idea.short_delta == pytest.approx(0.065, abs=0.006) and "0.02" in idea.thesis
    assert describe_legs(idea.legs) == f"XSP 24 Nov 26 {put}/{call} strangle"


def test_strangle_when_a_delta_is_said_then_it_counts_for_both_sides():
    idea = strangle(xsp(), book(), delta=Decimal("0.16"))[0]

    assert idea.thesis.count("at 0.1") == 2


@pytest.mark.parametrize(("change", "words", "instead"), [
    ({"kind": AccountKind.CASH}, "is a cash account", "cash_secured_put"), ({"kind": AccountKind.IRA}, "is an IRA account", "iron_condor"),
    ({"charter": Charter(defined_risk_only=True)}, "may only hold defined risk", "iron_condor"),
])
def test_strangle_when_the_account_may_not_be_uncovered_then_refuses_at_once(change: dict[str, Any], words: str, instead: str):
    with pytest.raises(UserError, match=f"practice {words}: it may not sell a strangle, whose call can lose without end. Name {instead}"):
        strangle(xsp(), book(dataclasses.replace(ACCOUNT, **change)))


def test_strangle_when_it_is_after_three_in_new_york_then_no_call_is_sold():
    late = dataclasses.replace(xsp(), at=AT.replace(hour=20, minute=5))

    with pytest.raises(UserError, match="no call is sold after 15:00 New York time, and it is 15:05"):
        strangle(late, book())


@pytest.mark.parametrize(("asked", "sentence"), [
    ({"strikes": (Decimal(655),)}, "a short strangle has two strikes"), ({"width": Decimal(5)}, "no width"),
    ({"right": Right.CALL}, "a put and a call"), ({"delta": Decimal("0.8")}, "lies above the .* call: that is no short_strangle"),
])
def test_strangle_when_what_is_said_cannot_be_then_refuses(asked: dict[str, object], sentence: str):
    with pytest.raises(UserError, match=sentence):
        strangle(xsp(), book(), **asked)


def test_strangle_when_its_strikes_are_said_then_the_lower_is_the_put():
    (idea,) = strangle(xsp(), book(), strikes=(Decimal(700), Decimal(660)))

    assert [(leg.instrument.right, leg.instrument.strike) for leg in idea.legs if isinstance(leg.instrument, Option)] == [
        (Right.PUT, 660), (Right.CALL, 700),
    ]
