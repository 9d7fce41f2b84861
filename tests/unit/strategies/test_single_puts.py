"""The naked and the cash-secured put."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from types import ModuleType

import numpy as np
import pytest

from core.domain.ideas import Idea, Request
from core.domain.instruments import Option
from core.domain.orders import Side
from core.errors import Unavailable, UserError
from core.market.view import View
from core.pricing.payoff import PayoffLeg, expiry_payoff
from core.settings import defaults
from core.strategies import cash_secured_put, naked_put
from tests.hand_market import TODAY, book, chain, view

MONDAY, TUESDAY, NEW_YEAR = date(2026, 11, 23), date(2026, 11, 24), date(2026, 12, 31)


def xsp() -> View:
    series = (("XSP", TODAY), ("XSP", MONDAY), ("XSP", TUESDAY))
    return view(chain("XSP", series, spot=680, strikes=np.arange(600, 701, 1), tick=0.01, half_spread=0.01, vol=0.25))


def spy() -> View:
    return view(chain("SPY", (("SPY", NEW_YEAR),), spot=500, strikes=np.arange(430, 541, 5), tick=0.01, half_spread=0.02))


def find(strategy: ModuleType, seen: View, **asked: object) -> tuple[Idea, ...]:
    found: tuple[Idea, ...] = strategy.find(seen, book(), defaults(strategy.PARAMETERS), Request(**asked))  # type: ignore[arg-type]
    return found


def contract(idea: Idea) -> Option:
    (leg,) = idea.legs
    assert isinstance(leg.instrument, Option) and leg.side is Side.SELL
    return leg.instrument


@pytest.mark.parametrize(("strategy", "strike", "price", "figures", "words"), [
    (naked_put, "655", "0.40", (40, 65460, "654.60"), ("40 USD", "65,460", "654.60", "0.12 to buy back")),
    (cash_secured_put, "480", "4.80", (480, 47520, "475.20"), ("480 USD", "48,000 USD", "47,520", "475.20", "2.40 to buy back")),
])
def test_docstring_example_when_worked_out_then_its_figures_hold(
    strategy: ModuleType, strike: str, price: str, figures: tuple[int, int, str], words: tuple[str, ...]
):
    leg = PayoffLeg(kind="put", strike=Decimal(strike), quantity=-1, multiplier=Decimal(100))

    payoff = expiry_payoff([leg], net_cash=Decimal(price) * 100)

    assert (payoff.max_profit, payoff.max_loss, payoff.break_evens) == (figures[0], figures[1], (Decimal(figures[2]),))
    assert all(word in str(strategy.__doc__) for word in words)
    target = Decimal(price) * (1 - defaults(strategy.PARAMETERS).number("profit_target"))
    assert f"{target:.2f} to buy back" in str(strategy.__doc__)


def test_naked_put_when_all_is_left_open_then_sells_near_6_5_delta_one_to_four_days_out():
    ideas = find(naked_put, xsp(), symbol="XSP")

    assert contract(ideas[0]).expiry == TUESDAY
    assert ideas[0].short_delta == pytest.approx(0.065, abs=0.006)


@pytest.mark.parametrize(("days", "expiry"), [(0, TODAY), (3, MONDAY), (4, TUESDAY), (1, MONDAY)])
def test_naked_put_when_the_days_are_said_then_the_nearest_expiry_is_taken_and_zero_means_today(days: int, expiry: date):
    assert contract(find(naked_put, xsp(), symbol="XSP", dte=days)[0]).expiry == expiry


def test_naked_put_when_nobody_bids_anywhere_then_nothing_is_offered():
    seen = xsp()
    whole = seen.chains["XSP"]
    none = dataclasses.replace(seen, chains={"XSP": dataclasses.replace(whole, bid=np.zeros(len(whole)))})

    with pytest.raises(Unavailable, match="no quote with a bid"):
        find(naked_put, none, symbol="XSP")


def test_naked_put_when_its_strike_is_said_but_nobody_bids_then_refuses():
    assert xsp().chains["XSP"].bid[0] == 0  # 600, far below the market, expiring today

    with pytest.raises(UserError, match="cannot be sold to open: no bid"):
        find(naked_put, xsp(), symbol="XSP", strikes=(Decimal(600),), dte=0)


def test_naked_put_when_the_strike_is_said_then_exactly_that_is_sold():
    (idea,) = find(naked_put, xsp(), symbol="XSP", strikes=(Decimal(655),))

    assert contract(idea).strike == 655
    assert "655" in idea.thesis


@pytest.mark.parametrize(("asked", "sentence"), [
    ({"strikes": (Decimal(655), Decimal(650))}, "has one strike, not 655/650"),
    ({"width": Decimal(5)}, "one strike and no width"),
    ({"expiry": date(2026, 11, 26)}, r"closed \(Thanksgiving\)"),
    ({"strikes": (Decimal("655.5"),)}, "there is no 655.5 put on 2026-11-24; nearest are 655 and 656"),
])
def test_naked_put_when_what_is_said_cannot_be_then_refuses(asked: dict[str, object], sentence: str):
    with pytest.raises(UserError, match=sentence):
        find(naked_put, xsp(), symbol="XSP", **asked)


def test_cash_secured_put_when_all_is_left_open_then_sells_between_25_and_30_delta_30_to_45_days_out():
    idea = find(cash_secured_put, spy(), symbol="SPY")[0]

    assert idea.short_delta is not None and 0.23 <= idea.short_delta <= 0.32  # strikes stand five points apart
    assert contract(idea).expiry == NEW_YEAR


def test_cash_secured_put_when_the_aim_is_read_then_it_lies_within_its_band():
    parameters = defaults(cash_secured_put.PARAMETERS)

    assert Decimal("0.25") <= parameters.number("delta") <= Decimal("0.30")
    assert (parameters.whole("min_dte"), parameters.whole("max_dte")) == (30, 45)
