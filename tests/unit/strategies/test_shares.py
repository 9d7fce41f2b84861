"""Shares, and the options that lean on them."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from types import ModuleType

import numpy as np
import pytest

from core.domain.ideas import Idea, Request
from core.domain.instruments import Equity, Instrument, Option, Right
from core.domain.listing import option
from core.domain.orders import Side
from core.domain.structures import Position
from core.errors import UserError
from core.market.view import View
from core.portfolio.book import Book
from core.pricing.payoff import PayoffLeg, expiry_payoff
from core.settings import Parameters, defaults
from core.strategies import covered_call, long_call, long_put, protective_put, stock
from tests.hand_market import ACCOUNT, book, chain, view

EXPIRY, LATER = date(2026, 12, 18), date(2026, 12, 31)
KO = Equity(symbol="KO")


def ko() -> View:
    return view(chain("KO", (("KO", EXPIRY), ("KO", LATER)), spot=70, strikes=np.arange(55, 86, 1), tick=0.01, half_spread=0.01))


def holding(*held: tuple[Instrument, int, str]) -> Book:
    positions = {
        item.key: Position(account=ACCOUNT.id, instrument=item, quantity=count, average_price=Decimal(price)) for item, count, price in held
    }
    return dataclasses.replace(book(), positions=positions)


def find(strategy: ModuleType, held: Book, **asked: object) -> tuple[Idea, ...]:
    found: tuple[Idea, ...] = strategy.find(ko(), held, defaults(strategy.PARAMETERS), Request(symbol="KO", **asked))  # type: ignore[arg-type]
    return found


def strike(idea: Idea) -> Decimal:
    (leg,) = idea.legs
    assert isinstance(leg.instrument, Option)
    return leg.instrument.strike


@pytest.mark.parametrize(("strategy", "kind", "level", "count", "cash", "figures", "words"), [
    (covered_call, "call", 72, -1, 90, (290, 6910, "69.10"), ("90 USD", "290", "6,910", "69.10", "0.45 to buy back")),
    (protective_put, "put", 67, 1, -80, (None, 380, "70.80"), ("80 USD", "380", "unlimited", "70.80", "sells for 1.60")),
    (stock, None, None, 0, 0, (None, 7000, "70"), ("7,000 USD", "unlimited", "Break-even: 70")),
])
def test_docstring_example_when_worked_out_with_the_shares_then_its_figures_hold(
    strategy: ModuleType, kind: str | None, level: int | None, count: int, cash: int, figures: tuple[int | None, int, str],
    words: tuple[str, ...],
):
    legs = [PayoffLeg(kind="stock", strike=None, quantity=100, multiplier=Decimal(1))]
    legs += [PayoffLeg(kind=kind, strike=Decimal(level or 0), quantity=count, multiplier=Decimal(100))] if kind else []  # type: ignore[arg-type]

    payoff = expiry_payoff(legs, net_cash=Decimal(cash - 7000))

    assert (payoff.max_profit, payoff.max_loss, payoff.break_evens) == (figures[0], figures[1], (Decimal(figures[2]),))
    assert all(word in str(strategy.__doc__) for word in words)


@pytest.mark.parametrize(("strategy", "kind", "paid", "figures", "words"), [
    (long_put, "put", "11.00", (48900, 1100, "489"), ("1,100 USD", "48,900", "489", "16.50")),
    (long_call, "call", "12.00", (None, 1200, "512"), ("1,200 USD", "unlimited", "512", "18.00")),
])
def test_docstring_example_of_a_long_option_when_worked_out_then_its_figures_hold(
    strategy: ModuleType, kind: str, paid: str, figures: tuple[int | None, int, str], words: tuple[str, ...]
):
    leg = PayoffLeg(kind=kind, strike=Decimal(500), quantity=1, multiplier=Decimal(100))  # type: ignore[arg-type]

    payoff = expiry_payoff([leg], net_cash=-Decimal(paid) * 100)

    assert (payoff.max_profit, payoff.max_loss, payoff.break_evens) == (figures[0], figures[1], (Decimal(figures[2]),))
    assert all(word in str(strategy.__doc__) for word in words)
    assert f"{Decimal(paid) * (1 + defaults(strategy.PARAMETERS).number('profit_target')):.2f}" == words[-1]


def test_covered_call_when_shares_are_held_then_sells_at_or_above_their_cost_two_to_four_weeks_out():
    idea = find(covered_call, holding((KO, 250, "74.20")))[0]

    assert strike(idea) == 75 and idea.legs[0].side is Side.SELL and idea.most_units == 2
    assert "28 days to expiry, against 200 shares held at 74.20" in idea.thesis


def test_covered_call_when_shares_cost_little_then_the_usual_delta_is_taken():
    idea = find(covered_call, holding((KO, 100, "40")))[0]

    assert idea.short_delta == pytest.approx(0.30, abs=0.06) and strike(idea) > 70


def test_covered_call_when_a_strike_under_their_cost_is_said_then_it_is_taken_and_told():
    (idea,) = find(covered_call, holding((KO, 100, "74.20")), strikes=(Decimal(72),))

    assert strike(idea) == 72 and idea.thesis.endswith("The 72 strike is under what they cost.")


def test_covered_call_when_strikes_under_the_cost_may_be_chosen_then_the_delta_decides():
    usual = defaults(covered_call.PARAMETERS)
    any_strike = Parameters(values={**usual.values, "above_cost": False})

    idea = covered_call.find(ko(), holding((KO, 100, "74.20")), any_strike, Request(symbol="KO"))[0]

    assert strike(idea) < Decimal("74.20") and "under what they cost" in idea.thesis


@pytest.mark.parametrize(("held", "sentence"), [
    ((), r"no shares of KO are held in practice. `open stock KO 100 side=buy` buys what is missing"),
    (((KO, 30, "70"),), r"30 shares of KO are held in practice. `open stock KO 70 side=buy`"),
    (((KO, -100, "70"),), "no shares of KO are held"),
    (((KO, 150, "70"), (option("KO", LATER, Right.CALL, Decimal(75)), -1, "1")), "of the 150 KO shares held in practice no 100 are left"),
])
def test_covered_call_when_no_lot_is_free_then_says_what_is_missing(held: tuple[tuple[Instrument, int, str], ...], sentence: str):
    with pytest.raises(UserError, match=sentence):
        find(covered_call, holding(*held))


def test_covered_call_when_the_calls_sold_are_covered_by_calls_then_the_shares_are_free():
    spread = (option("KO", LATER, Right.CALL, Decimal(75)), -1, "1"), (option("KO", LATER, Right.CALL, Decimal(80)), 1, "0.3")

    assert find(covered_call, holding((KO, 100, "70"), *spread))[0].most_units == 1


def test_protective_put_when_shares_are_held_then_buys_a_few_percent_under_the_market():
    idea = find(protective_put, holding((KO, 200, "70")))[0]

    assert 62 <= strike(idea) < 70 and idea.legs[0].side is Side.BUY and idea.most_units == 2


def test_protective_put_when_puts_protect_them_already_then_refuses():
    with pytest.raises(UserError, match="no 100 are left that are not protected"):
        find(protective_put, holding((KO, 100, "70"), (option("KO", LATER, Right.PUT, Decimal(65)), 1, "1")))


@pytest.mark.parametrize("strategy", [covered_call, protective_put, stock])
def test_find_when_the_symbol_is_an_index_then_no_shares_can_be_held(strategy: ModuleType):
    with pytest.raises(UserError, match="SPX is an index; nobody can hold shares of it"):
        strategy.find(ko(), book(), defaults(strategy.PARAMETERS), Request(symbol="SPX"))


@pytest.mark.parametrize("side", [None, Side.BUY, Side.SELL])
def test_stock_when_a_side_is_said_then_it_is_taken_and_bought_otherwise(side: Side | None):
    (idea,) = find(stock, book(), side=side)

    assert (idea.legs[0].instrument, idea.legs[0].side) == (KO, side or Side.BUY)


@pytest.mark.parametrize(("held", "side", "sentence"), [
    (100, Side.SELL, "100 KO shares are held. Selling them is `close KO`"),
    (-100, Side.BUY, "100 KO shares are held short. Buying them back is `close KO`"),
])
def test_stock_when_it_runs_against_what_is_held_then_that_is_a_close(held: int, side: Side, sentence: str):
    with pytest.raises(UserError, match=sentence):
        find(stock, holding((KO, held, "70")), side=side)


def test_stock_when_something_of_options_is_said_then_refuses():
    with pytest.raises(UserError, match="shares have no dte and no delta"):
        find(stock, book(), dte=30, delta=Decimal("0.2"))
