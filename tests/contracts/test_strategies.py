"""What every strategy owes: pure and deterministic answers from its view alone, a stated worst loss that holds, examples that parse."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from types import ModuleType

import numpy as np
import pytest

from core import plugins
from core.clock import ManualClock
from core.command import STRATEGIES, parse_args, split_line
from core.dispatch import command_of
from core.domain.ideas import Idea, Request
from core.domain.instruments import INDICES, Equity, Option, Right
from core.domain.orders import Effect, Leg, Side
from core.domain.structures import Position
from core.errors import Unavailable, UserError
from core.market.providers import simulated
from core.market.reader import Reader
from core.market.view import View
from core.portfolio.book import Book
from core.pricing import american
from core.pricing.bsm import value_forward
from core.pricing.payoff import expiry_payoff
from core.risk import two_dates
from core.risk.examine import legs_payoff, natural_and_mid, net_multiplier
from core.runtime import SystemRuntime
from core.settings import defaults
from tests.hand_market import ACCOUNT, AT, TODAY, book
from tests.hand_market import view as hand_view

SYMBOLS = ("SPX", "XSP", "SPY", "IWM")
ALL = [plugins.load("strategies", name) for name in plugins.names("strategies")]
ON_SHARES = ("covered_call", "protective_put", "stock")  # not for an index
NO_LIMIT = ("short_strangle",)  # to what they may lose
SPOTS = np.array([0.0, 0.01, 0.2, 0.5, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0])  # times the price now
PAIRS = [
    pytest.param(strategy, symbol, id=f"{strategy.NAME}-{symbol}")
    for strategy in ALL for symbol in SYMBOLS if not (strategy.NAME in ON_SHARES and symbol in INDICES)
]
each_strategy = pytest.mark.parametrize("strategy", ALL, ids=lambda strategy: strategy.NAME)
each_option_strategy = pytest.mark.parametrize(
    "strategy", [strategy for strategy in ALL if strategy.NAME != "stock"], ids=lambda strategy: strategy.NAME
)
each_pair = pytest.mark.parametrize(("strategy", "symbol"), PAIRS)


async def view_for(strategy: ModuleType, request: Request) -> View:
    """What the strategy says it needs, of the simulated market, and nothing else."""
    clock = ManualClock(AT)
    reader = Reader((simulated.build(simulated.Parameters(), clock=clock),), clock=clock, runtime=SystemRuntime(clock))
    return await reader.view(strategy.needs(defaults(strategy.PARAMETERS), request, TODAY))


def owner(strategy: ModuleType, symbol: str) -> Book:
    """An account with cash, and with shares where the strategy is for such."""
    if strategy.NAME not in ("covered_call", "protective_put"):
        return book()
    shares = Position(account=ACCOUNT.id, instrument=Equity(symbol=symbol), quantity=250, average_price=Decimal(200))
    return dataclasses.replace(book(), positions={symbol: shares})


def found(strategy: ModuleType, view: View, request: Request) -> tuple[Idea, ...]:
    ideas: tuple[Idea, ...] = strategy.find(view, owner(strategy, request.symbol), defaults(strategy.PARAMETERS), request)
    return ideas


@each_pair
async def test_find_when_given_what_it_needs_then_offers_openings_at_prices_there_are(strategy: ModuleType, symbol: str):
    view = await view_for(strategy, Request(symbol=symbol))

    ideas = found(strategy, view, Request(symbol=symbol))

    assert ideas
    for idea in ideas:
        options = [leg.instrument for leg in idea.legs if isinstance(leg.instrument, Option)]
        assert idea.strategy == strategy.NAME and idea.symbol == symbol and idea.thesis.endswith(".")
        assert all(option.underlying == symbol and option.last_trade_at > view.at for option in options)
        assert {leg.effect for leg in idea.legs} == {Effect.OPEN}
        assert all(view.quote(leg.instrument).bid > 0 for leg in idea.legs if leg.side is Side.SELL)
        _, mid = natural_and_mid(idea.legs, view)
        assert mid is not None and (mid > 0) == (idea.legs[0].side is Side.SELL)


@each_pair
async def test_find_when_offered_then_no_outcome_is_worse_than_the_most_it_says_it_can_lose(strategy: ModuleType, symbol: str):
    view = await view_for(strategy, Request(symbol=symbol))

    for idea in found(strategy, view, Request(symbol=symbol)):
        natural, _ = natural_and_mid(idea.legs, view)
        assert natural is not None
        cash = natural * net_multiplier(idea.legs)
        stated = most_lost(idea, view, cash)

        assert (stated is None) == (strategy.NAME in NO_LIMIT)
        if stated is not None:
            assert 0 <= stated < 10**7
            assert min(outcomes(idea, view, cash)) >= -float(stated) - 0.01


@each_pair
async def test_find_when_asked_twice_then_answers_alike_and_leaves_its_view_as_it_was(strategy: ModuleType, symbol: str):
    request = Request(symbol=symbol)
    one, two = [await view_for(strategy, request) for _ in range(2)]
    before = {name: chain.bid.copy() for name, chain in one.chains.items()}

    first = found(strategy, one, request)

    assert first == found(strategy, one, request) == found(strategy, two, request)
    assert all((one.chains[name].bid == bid).all() for name, bid in before.items())


@each_option_strategy
async def test_find_when_the_nearest_idea_is_named_by_its_strikes_then_exactly_that_is_offered(strategy: ModuleType):
    view = await view_for(strategy, Request(symbol="SPY"))
    best = found(strategy, view, Request(symbol="SPY"))[0]
    options = [leg.instrument for leg in best.legs if isinstance(leg.instrument, Option)]
    days = sorted({option.expiry for option in options})
    named = Request(
        symbol="SPY", strikes=tuple(sorted({option.strike for option in options})), expiry=days[0],
        far_expiry=days[1] if len(days) > 1 else None,
    )

    again = found(strategy, view, named)

    assert [leg.instrument for leg in again[0].legs] == options


@each_option_strategy
def test_find_when_the_view_is_empty_then_it_is_unavailable_and_nothing_is_offered(strategy: ModuleType):
    with pytest.raises(Unavailable):
        found(strategy, hand_view(), Request(symbol="SPY"))


@each_option_strategy
def test_needs_when_the_expiry_is_past_then_refuses(strategy: ModuleType):
    with pytest.raises(UserError, match="in the past"):
        strategy.needs(defaults(strategy.PARAMETERS), Request(symbol="SPX", expiry=TODAY - timedelta(days=1)), TODAY)


@pytest.mark.parametrize("asked", [
    {"strikes": tuple(Decimal(400 + 5 * step) for step in range(5))}, {"strikes": (Decimal(600),), "delta": Decimal("0.2")},
    {"far_dte": 3, "far_expiry": TODAY}, {"far_dte": 60, "width": Decimal(5), "strikes": (Decimal(1), Decimal(2), Decimal(3))},
])
@each_strategy
async def test_find_when_what_is_said_does_not_fit_then_it_is_refused_and_never_left_out(strategy: ModuleType, asked: dict[str, object]):
    view = await view_for(strategy, Request(symbol="SPY"))

    with pytest.raises(UserError):
        found(strategy, view, Request(symbol="SPY", **asked))  # type: ignore[arg-type]


@each_strategy
def test_plug_in_when_read_then_it_teaches_with_an_example_and_its_settings_are_sound(strategy: ModuleType):
    assert strategy.NAME in STRATEGIES
    assert "Example:" in (strategy.__doc__ or "")
    names = {setting.name for setting in strategy.PARAMETERS}
    assert len(names) == len(strategy.PARAMETERS)
    assert strategy.NAME == "stock" or ({"delta", "dte", "profit_target"} <= names and names & {"iv_percentile", "max_iv_percentile"})
    for setting in strategy.PARAMETERS:
        assert setting.help and setting.read(setting.write(setting.default)) == setting.default


@each_strategy
def test_examples_when_parsed_then_each_opens_this_strategy(strategy: ModuleType):
    assert strategy.EXAMPLES
    for line in strategy.EXAMPLES:
        name, *words = split_line(line)
        assert name == "open" and parse_args(command_of(name), words)["strategy"] == strategy.NAME


def test_strategies_when_counted_then_every_one_of_the_table_is_there():
    assert sorted(plugins.names("strategies")) == sorted(STRATEGIES)


def most_lost(idea: Idea, view: View, cash: Decimal) -> Decimal | None:
    """The most one unit can lose, as its card says it; together with the shares it leans on."""
    pair = two_dates.pair_of(idea.legs)
    if pair is not None:
        lost = two_dates.most_lost(pair, view, quantity=1, net_cash=cash)
        assert lost is not None
        return lost
    payoff = legs_payoff(idea.legs, 1, net_cash=cash)
    assert payoff is not None
    if idea.most_units is None:
        return payoff.max_loss
    shares = legs_payoff((Leg(instrument=Equity(symbol=idea.symbol), side=Side.BUY, effect=Effect.OPEN),), 100, net_cash=Decimal(0))
    assert shares is not None
    return expiry_payoff((*payoff.legs, *shares.legs), net_cash=cash - 100 * Decimal(200)).max_loss


def outcomes(idea: Idea, view: View, cash: Decimal) -> Sequence[float]:
    """Results of one unit when its first expiry is over, for many prices and, of what lives on, many volatilities."""
    options = [leg.instrument for leg in idea.legs if isinstance(leg.instrument, Option)]
    end = min((option.expiry for option in options), default=None)
    spots = SPOTS * view.spot(idea.symbol)
    spots = np.union1d(spots, [float(option.strike) for option in options])
    total = np.zeros((3, len(spots))) + float(cash)
    for leg in idea.legs:
        item, units = leg.instrument, leg.side.sign * leg.instrument.multiplier
        if not isinstance(item, Option):
            total += units * spots
        elif item.expiry == end:
            sign = 1 if item.right is Right.CALL else -1
            total += units * np.maximum(sign * (spots - float(item.strike)), 0.0)
        else:
            near = next(option for option in options if option.expiry == end)
            total += units * np.array([living(item, near, view, spots, vol) for vol in (0.05, 0.2, 1.0)])
    if idea.most_units is not None:
        total += 100 * (spots - 200.0)
    return [float(value) for value in total.ravel()]


def living(item: Option, near: Option, view: View, spots: np.ndarray[tuple[int], np.dtype[np.float64]], vol: float) -> object:
    """What a contract is worth when a nearer one has run out; dividends stay the money they are today."""
    first, second = view.mark(near), view.mark(item)
    years, discount, growth = second.t_years - first.t_years, second.discount / first.discount, second.forward / first.forward
    right = 1.0 if item.right is Right.CALL else -1.0
    paid = max(0.0, first.spot * (1.0 - discount * growth))
    forward = np.maximum(spots - paid, 1e-6) / discount
    even = value_forward(right=right, forward=forward, strike=float(item.strike), t_years=years, discount=discount, vol=vol)
    if item.exercise.value == "european":
        return even
    rate = -np.log(discount) / years
    spot, rate = np.maximum(spots, 1e-6), max(float(rate), 0.0)
    return american.value(right=right, spot=spot, strike=float(item.strike), t_years=years, rate=rate, dividend=0.0, vol=vol)
