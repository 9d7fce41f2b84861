"""What every strategy owes: pure and deterministic answers from its view alone, a stated worst loss, examples that parse."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from core import plugins
from core.clock import ManualClock
from core.command import STRATEGIES, parse_args, split_line
from core.dispatch import command_of
from core.domain.ideas import Idea, Request
from core.domain.instruments import Option
from core.domain.orders import Effect, Side
from core.errors import Unavailable, UserError
from core.market.providers import simulated
from core.market.reader import Reader
from core.market.view import View
from core.runtime import SystemRuntime
from core.settings import Parameters, defaults
from tests.hand_market import AT, TODAY, book
from tests.hand_market import view as hand_view

SYMBOLS = ("SPX", "XSP", "SPY", "IWM")
ALL = [plugins.load("strategies", name) for name in plugins.names("strategies")]
pytestmark = pytest.mark.parametrize("strategy", ALL, ids=lambda strategy: strategy.NAME)


async def view_for(strategy: ModuleType, parameters: Parameters, request: Request) -> View:
    """What the strategy says it needs, of the simulated market, and nothing else."""
    clock = ManualClock(AT)
    reader = Reader((simulated.build(simulated.Parameters(), clock=clock),), clock=clock, runtime=SystemRuntime(clock))
    return await reader.view(strategy.needs(parameters, request, TODAY))


def found(strategy: ModuleType, view: View, request: Request) -> tuple[Idea, ...]:
    ideas: tuple[Idea, ...] = strategy.find(view, book(), defaults(strategy.PARAMETERS), request)
    return ideas


@pytest.mark.parametrize("symbol", SYMBOLS)
async def test_find_when_given_what_it_needs_then_offers_openings_that_state_their_worst_loss(strategy: ModuleType, symbol: str):
    request = Request(symbol=symbol)
    view = await view_for(strategy, defaults(strategy.PARAMETERS), request)

    ideas = found(strategy, view, request)

    assert ideas
    for idea in ideas:
        options = [leg.instrument for leg in idea.legs]
        assert idea.strategy == strategy.NAME and idea.symbol == symbol and idea.thesis.endswith(".")
        assert all(isinstance(option, Option) and option.underlying == symbol and option.last_trade_at > view.at for option in options)
        assert {leg.effect for leg in idea.legs} == {Effect.OPEN} and idea.legs[0].side is Side.SELL
        assert all(view.quote(leg.instrument).bid > 0 for leg in idea.legs if leg.side is Side.SELL)
        assert worst_loss(idea, view) > 0


@pytest.mark.parametrize("symbol", SYMBOLS)
async def test_find_when_asked_twice_then_answers_alike_and_leaves_its_view_as_it_was(strategy: ModuleType, symbol: str):
    request = Request(symbol=symbol)
    parameters = defaults(strategy.PARAMETERS)
    one, two = [await view_for(strategy, parameters, request) for _ in range(2)]
    before = {name: chain.bid.copy() for name, chain in one.chains.items()}

    first = found(strategy, one, request)

    assert first == found(strategy, one, request) == found(strategy, two, request)
    assert all((one.chains[name].bid == bid).all() for name, bid in before.items())


async def test_find_when_the_nearest_idea_is_named_by_its_strikes_then_exactly_that_is_offered(strategy: ModuleType):
    request = Request(symbol="SPY")
    view = await view_for(strategy, defaults(strategy.PARAMETERS), request)
    best = found(strategy, view, request)[0]
    legs: list[Any] = [leg.instrument for leg in best.legs]

    named = found(strategy, view, dataclasses.replace(request, strikes=tuple(leg.strike for leg in legs), expiry=legs[0].expiry))

    assert [leg.instrument for leg in named[0].legs] == legs


def test_find_when_the_view_is_empty_then_it_is_unavailable_and_nothing_is_offered(strategy: ModuleType):
    with pytest.raises(Unavailable):
        found(strategy, hand_view(), Request(symbol="SPX"))


def test_needs_when_the_expiry_is_past_then_refuses(strategy: ModuleType):
    with pytest.raises(UserError, match="in the past"):
        strategy.needs(defaults(strategy.PARAMETERS), Request(symbol="SPX", expiry=TODAY - timedelta(days=1)), TODAY)


def test_plug_in_when_read_then_it_teaches_with_an_example_and_its_settings_are_sound(strategy: ModuleType):
    assert strategy.NAME in STRATEGIES
    assert "Example:" in (strategy.__doc__ or "")
    names = [setting.name for setting in strategy.PARAMETERS]
    assert len(set(names)) == len(names) and {"delta", "dte", "profit_target", "iv_percentile"} <= set(names)
    for setting in strategy.PARAMETERS:
        assert setting.help and setting.read(setting.write(setting.default)) == setting.default


def test_examples_when_parsed_then_each_opens_this_strategy(strategy: ModuleType):
    assert strategy.EXAMPLES
    for line in strategy.EXAMPLES:
        name, *words = split_line(line)
        assert name == "open" and parse_args(command_of(name), words)["strategy"] == strategy.NAME


def worst_loss(idea: Idea, view: View) -> Decimal:
    """Loss at expiry with the underlying at zero, a unit filled at mid; these structures lose most there."""
    legs: list[Any] = [(leg, leg.instrument) for leg in idea.legs]
    owed = sum(-leg.side.sign * option.strike for leg, option in legs)
    credit = sum(-leg.side.sign * Decimal(str(view.mid(option))) for leg, option in legs)
    return Decimal((owed - credit) * 100)
