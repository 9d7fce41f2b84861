"""Call credit spreads and debit spreads: the mirror of the put credit spread, and the same strikes bought instead of sold."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from types import ModuleType

import numpy as np
import pytest

from core.domain.ideas import Idea, Request
from core.domain.instruments import Option, Right
from core.domain.orders import Side
from core.errors import UserError
from core.market.view import View
from core.pricing.payoff import PayoffLeg, expiry_payoff
from core.settings import defaults
from core.strategies import call_credit_spread, call_debit_spread, put_debit_spread
from tests.hand_market import book, chain, view

EXPIRY = date(2026, 12, 31)


def spy() -> View:
    return view(chain("SPY", (("SPY", EXPIRY),), spot=500, strikes=np.arange(430, 571, 1), tick=0.01, half_spread=0.02))


def find(strategy: ModuleType, seen: View, **asked: object) -> tuple[Idea, ...]:
    found: tuple[Idea, ...] = strategy.find(seen, book(), defaults(strategy.PARAMETERS), Request(symbol="SPY", **asked))  # type: ignore[arg-type]
    return found


def contracts(idea: Idea) -> list[Option]:
    return [leg.instrument for leg in idea.legs if isinstance(leg.instrument, Option)]


@pytest.mark.parametrize(("strategy", "kind", "legs", "cash", "figures", "words"), [
    (call_credit_spread, "call", ((3050, -1), (3100, 1)), "3.50", (350, 4650, "3053.50"), ("350 USD", "4,650", "3,053.50", "1.75 to buy")),
    (put_debit_spread, "put", ((500, 1), (475, -1)), "-6.00", (1900, 600, "494"), ("600 USD", "1,900", "494", "sells for 9.00")),
    (call_debit_spread, "call", ((500, 1), (525, -1)), "-8.00", (1700, 800, "508"), ("800 USD", "1,700", "508", "sells for 12.00")),
])
def test_docstring_example_when_worked_out_then_its_figures_hold(
    strategy: ModuleType, kind: str, legs: tuple[tuple[int, int], ...], cash: str, figures: tuple[int, int, str], words: tuple[str, ...]
):
    parts = [PayoffLeg(kind=kind, strike=Decimal(strike), quantity=count, multiplier=Decimal(100)) for strike, count in legs]  # type: ignore[arg-type]

    payoff = expiry_payoff(parts, net_cash=Decimal(cash) * 100)

    assert (payoff.max_profit, payoff.max_loss, payoff.break_evens) == (figures[0], figures[1], (Decimal(figures[2]),))
    assert all(word in str(strategy.__doc__) for word in words)
    kept = Decimal(cash) if Decimal(cash) > 0 else -Decimal(cash)
    gain = kept * defaults(strategy.PARAMETERS).number("profit_target")
    assert f"{kept - gain if Decimal(cash) > 0 else kept + gain:.2f}" in str(strategy.__doc__)


def test_call_credit_spread_when_all_is_left_open_then_sells_near_16_delta_and_buys_five_percent_higher():
    idea = find(call_credit_spread, spy())[0]

    short, long = contracts(idea)
    assert [leg.side for leg in idea.legs] == [Side.SELL, Side.BUY] and short.right is Right.CALL
    assert idea.short_delta == pytest.approx(0.16, abs=0.02) and short.strike > 500
    assert long.strike == (short.strike * Decimal("1.05")).to_integral_value()
    assert f"{long.strike - short.strike} points higher" in idea.thesis


@pytest.mark.parametrize(("strategy", "right", "away"), [(put_debit_spread, Right.PUT, -1), (call_debit_spread, Right.CALL, 1)])
def test_debit_spread_when_all_is_left_open_then_buys_near_the_money_and_sells_further_out(strategy: ModuleType, right: Right, away: int):
    idea = find(strategy, spy())[0]

    long, short = contracts(idea)
    assert [leg.side for leg in idea.legs] == [Side.BUY, Side.SELL] and long.right is right
    assert abs(long.strike - 500) <= 3 and (short.strike - long.strike) * away == 25
    assert idea.short_delta is None


def test_call_credit_spread_when_two_strikes_are_said_then_the_higher_is_bought():
    assert [item.strike for item in contracts(find(call_credit_spread, spy(), strikes=(Decimal(530), Decimal(520)))[0])] == [520, 530]


def test_put_debit_spread_when_strike_and_width_are_said_then_the_strike_is_bought():
    assert [item.strike for item in contracts(find(put_debit_spread, spy(), strikes=(Decimal(500),), width=Decimal(10))[0])] == [500, 490]


def test_put_debit_spread_when_nobody_bids_for_the_leg_that_is_sold_then_refuses():
    whole = spy().chains["SPY"]
    none = view(dataclasses.replace(whole, bid=np.where(whole.strike == 475, 0.0, whole.bid)))

    with pytest.raises(UserError, match="475 put cannot be sold to open: no bid"):
        find(put_debit_spread, none, strikes=(Decimal(500), Decimal(475)))


@pytest.mark.parametrize(("strategy", "asked", "sentence"), [
    (call_credit_spread, {"right": Right.PUT}, "made of calls"),
    (call_credit_spread, {"strikes": (Decimal(520),)}, r"two strikes\. Say both, as in strikes=520/HIGHER"),
    (call_debit_spread, {"strikes": (Decimal(500), Decimal(520)), "width": Decimal(10)}, "20 points apart, not 10"),
    (call_debit_spread, {"width": Decimal("7.5")}, r"there is no .* call on 2026-12-31; nearest are"),
    (put_debit_spread, {"far_expiry": date(2027, 1, 15)}, "far_expiry belongs to calendars and diagonals, not to put_debit_spread"),
])
def test_find_when_what_is_said_cannot_be_then_refuses(strategy: ModuleType, asked: dict[str, object], sentence: str):
    with pytest.raises(UserError, match=sentence):
        find(strategy, spy(), **asked)
