"""A near short option against a far long one: the bound of its loss, and the estimate of its profit."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from core.domain.instruments import Option, Right
from core.domain.listing import option
from core.domain.orders import Effect, Leg, Side
from core.market.view import View
from core.risk.two_dates import Pair, estimate, most_lost, pair_of
from tests.hand_market import chain, view

NEAR, FAR = date(2026, 12, 18), date(2027, 1, 15)


def leg(root: str, expiry: date, strike: int, side: Side, right: Right = Right.CALL) -> Leg:
    return Leg(instrument=option(root, expiry, right, Decimal(strike)), side=side, effect=Effect.OPEN)


def pair(root: str = "SPY", *, short: int = 500, long: int = 500, right: Right = Right.CALL) -> Pair:
    found = pair_of((leg(root, FAR, long, Side.BUY, right), leg(root, NEAR, short, Side.SELL, right)))
    assert found is not None
    return found


def seen(root: str = "SPY", *, vol: float = 0.2) -> View:
    symbol, spot = ("SPX", 2900) if root == "SPXW" else ("SPY", 500)
    strikes = np.arange(spot * 0.8, spot * 1.2, spot * 0.01)
    return view(chain(symbol, ((root, NEAR), (root, FAR)), spot=spot, strikes=strikes, vol=vol, tick=0.01, half_spread=0.01))


@pytest.mark.parametrize(("short", "long", "right", "most"), [
    (500, 500, Right.CALL, 400), (500, 505, Right.CALL, 900), (500, 480, Right.CALL, 400), (500, 500, Right.PUT, 400),
    (500, 490, Right.PUT, 1400), (500, 520, Right.PUT, 400),
])
def test_most_lost_when_exercise_is_american_then_is_the_debit_and_the_distance_the_long_strike_is_worse(
    short: int, long: int, right: Right, most: int
):
    assert most_lost(pair(short=short, long=long, right=right), seen(), quantity=1, net_cash=Decimal(-400)) == most


def test_most_lost_when_several_units_are_traded_then_counts_them_all():
    assert most_lost(pair(short=500, long=505), seen(), quantity=3, net_cash=Decimal(-1200)) == 1200 + 3 * 500


def test_most_lost_when_puts_are_european_then_the_interest_to_the_far_expiry_comes_on_top():
    market = seen("SPXW")
    both = pair("SPXW", short=2900, long=2900, right=Right.PUT)
    near, far = market.mark(both.sold), market.mark(both.bought)
    market._marks[both.bought.key] = dataclasses.replace(far, discount=near.discount * 0.9967)

    assert most_lost(both, market, quantity=1, net_cash=Decimal(-4000)) == 4000 + Decimal("957.00")  # 2900 x 0.0033 x 100


def test_most_lost_when_a_european_leg_has_no_price_then_it_is_unknown():
    assert most_lost(pair("SPXW", short=2900, long=2900), seen(), quantity=1, net_cash=Decimal(-4000)) is None


def test_estimate_when_a_calendar_then_most_is_made_at_its_strike_between_two_break_evens():
    found = estimate(pair(), seen(), quantity=1, net_cash=Decimal(-480))

    assert found is not None
    low, high = found.break_evens
    assert found.best_at == 500 and low < 500 < high
    # At 500 the far call has 28 days: 0.4 x 500 x 0.2 x sqrt(28 / 365) = 11.08 a share, less the 4.80 paid
    assert found.max_profit == pytest.approx(Decimal(628), abs=Decimal(12))
    assert 0.3 < found.probability_of_profit < 0.6


def test_estimate_when_a_diagonal_then_most_is_made_at_the_short_strike():
    found = estimate(pair(short=515, long=480), seen(), quantity=2, net_cash=Decimal(-4600))

    assert found is not None
    assert found.best_at == 515 and len(found.break_evens) == 1


def test_estimate_when_a_quote_gives_no_volatility_then_there_is_none():
    assert estimate(pair(short=900, long=900), seen(), quantity=1, net_cash=Decimal(-10)) is None


@pytest.mark.parametrize("legs", [
    (leg("SPY", NEAR, 500, Side.SELL),),
    (leg("SPY", NEAR, 500, Side.SELL), leg("SPY", NEAR, 510, Side.BUY)),
    (leg("SPY", NEAR, 500, Side.SELL), leg("SPY", FAR, 500, Side.BUY, Right.PUT)),
    (leg("SPY", NEAR, 500, Side.BUY), leg("SPY", FAR, 500, Side.SELL)),
    (leg("SPY", NEAR, 500, Side.SELL), leg("KO", FAR, 500, Side.BUY)),
])
def test_pair_of_when_the_legs_are_something_else_then_there_is_none(legs: tuple[Leg, ...]):
    assert pair_of(legs) is None


def test_pair_of_when_the_legs_come_in_any_order_then_the_near_one_is_what_is_sold():
    one = pair_of((leg("SPY", NEAR, 500, Side.SELL), leg("SPY", FAR, 500, Side.BUY)))

    assert one is not None and isinstance(one.sold, Option)
    assert (one.sold.expiry, one.bought.expiry) == (NEAR, FAR)
