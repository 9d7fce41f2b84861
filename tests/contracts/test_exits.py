"""What every exit owes, held over the registry: a sound declaration, a taught example, the same answer twice, silence about what it
cannot know, and nothing automatic but by a mandate."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core import plugins
from core.command import STRATEGIES
from core.config import SettingsTable, parse_config, setting_specs
from core.domain.mandates import Rung
from core.domain.orders import Leg
from core.errors import Unavailable
from core.exits import GENERAL, Case, Exit, Judgement, exit_settings, load_exits
from core.market.view import Needs, View
from core.settings import Kind, Loosens
from tests.unit.exits.cases import case, seen
from tests.unit.risk.market import CALL_SPREAD, SPREAD, TODAY, buy, call, empty_view, put, sell

SPECS = setting_specs()
EXITS = load_exits(SettingsTable(parse_config({})).values)
every = pytest.mark.parametrize("item", EXITS, ids=lambda item: item.name)
CONDOR = (*SPREAD, *CALL_SPREAD)
STRUCTURES: dict[str, tuple[str, tuple[Leg, ...], str]] = {
    "spread": ("put_credit_spread", SPREAD, "5.00"),
    "naked put": ("naked_put", (sell(put(2800)),), "30.00"),
    "condor": ("iron_condor", CONDOR, "9.00"),
    "strangle": ("short_strangle", (sell(put(2800)), sell(call(3050))), "40.00"),
    "long call": ("long_call", (buy(call(3050)),), "-20.00"),
    "secured put": ("cash_secured_put", (sell(put(2800)),), "30.00"),
}
structures = pytest.mark.parametrize("name", STRUCTURES)


def asked(item: Exit, one: Case, view: View) -> Judgement | str:
    try:
        return item.judge(one, view)
    except Unavailable as error:
        return str(error)


def test_registry_when_loaded_then_the_most_urgent_speaks_first_and_the_promised_ones_are_there() -> None:
    urgencies = [item.module.URGENCY for item in EXITS]
    assert urgencies == sorted(urgencies, reverse=True)
    assert {item.name for item in EXITS} == set(plugins.names("exits")) >= {"profit_target", "credit_stop", "days_left", "short_delta"}


@every
def test_exit_when_declared_then_it_teaches_and_its_settings_are_sound(item: Exit) -> None:
    module = item.module
    example = (module.__doc__ or "").partition("Worked example:")[2]
    assert any(character.isdigit() for character in example)
    assert item.says and item.name == module.__name__.rpartition(".")[2]
    assert module.STRATEGIES is None or set(module.STRATEGIES) <= set(STRATEGIES)
    assert set(module.FROM_STRATEGY) <= {setting.name for setting in module.PARAMETERS}
    for setting in exit_settings(module, plugins.names("strategies")):
        assert setting.help and setting.loosens is Loosens.EXIT  # whatever is changed about an exit, a person confirms it
        assert setting.read(setting.write(setting.default)) == setting.default
        assert setting.kind is Kind.CHOICE or (setting.low is not None and setting.high is not None)


@every
def test_exit_when_its_level_is_set_then_auto_is_no_level(item: Exit) -> None:
    for name in ("level", *(f"level_{strategy}" for strategy in plugins.names("strategies") if item.serves(strategy))):
        setting = SPECS[f"exits.{item.name}.{name}"]
        assert Rung.AUTO.value not in setting.choices
        with pytest.raises(ValueError, match="must be one of"):
            setting.read("auto")


@every
def test_rung_when_a_strategy_has_its_own_then_that_one_counts(item: Exit) -> None:
    strategy = next(name for name in plugins.names("strategies") if item.serves(name))
    values = SettingsTable(parse_config({})).values | {f"exits.{item.name}.level": "off"}
    assert Exit(module=item.module, values=values).rung(strategy) is Rung.OFF
    own = Exit(module=item.module, values=values | {f"exits.{item.name}.level_{strategy}": "confirm"})
    assert own.rung(strategy) is Rung.CONFIRM
    assert own.values[f"exits.{item.name}.level_{strategy}"] != GENERAL


@every
def test_rung_when_the_exit_is_not_for_a_strategy_then_off(item: Exit) -> None:
    others = [name for name in STRATEGIES if not item.serves(name)]
    assert all(item.rung(name) is Rung.OFF for name in others)


@every
@structures
def test_judge_when_asked_twice_then_answers_alike_in_full(item: Exit, name: str) -> None:
    strategy, legs, received = STRUCTURES[name]
    for costs in ("0.50", received.removeprefix("-"), "90.00"):
        one = case(legs, received=received, costs=costs, strategy=strategy)
        view = seen(legs, costs)
        found = asked(item, one, view)
        assert asked(item, one, view) == found
        assert isinstance(found, Judgement)
        assert found.reason and found.measured and found.limit


@every
@structures
def test_judge_when_nothing_is_known_then_never_due_by_its_price(item: Exit, name: str) -> None:
    strategy, legs, received = STRUCTURES[name]
    one = case(legs, received=received, strategy=strategy, market=empty_view())
    found = asked(item, one, empty_view())
    blind = item.needs(one.trade, TODAY) == Needs()
    assert isinstance(found, str) or not found.due or blind


@every
@structures
def test_judge_when_told_already_then_it_is_no_stricter_than_before(item: Exit, name: str) -> None:
    strategy, legs, received = STRUCTURES[name]
    for costs in ("0.50", "2.60", "5.00", "14.50", "15.50", "60.00", "100.00"):
        fresh, again = (case(legs, received=received, costs=costs, strategy=strategy, told=told) for told in (False, True))
        first, second = asked(item, fresh, seen(legs, costs)), asked(item, again, seen(legs, costs))
        assert isinstance(first, Judgement) and isinstance(second, Judgement)
        assert second.due or not first.due


@every
def test_terms_when_a_setting_that_decides_changes_then_they_change(item: Exit) -> None:
    strategy = "naked_put" if item.serves("naked_put") else "put_credit_spread"
    before = item.terms((strategy,), SPECS)
    assert before
    for key in before:
        setting = SPECS[key]
        other = setting.high if item.values[key] != setting.high else setting.low
        assert other is not None
        changed = Exit(module=item.module, values={**item.values, key: setting.check(Decimal(other))})
        assert changed.terms((strategy,), SPECS) != before


@every
def test_parameters_when_a_strategy_has_its_own_setting_then_that_one_counts(item: Exit) -> None:
    for parameter, theirs in item.module.FROM_STRATEGY.items():
        for strategy in plugins.names("strategies"):
            key = f"strategies.{strategy}.{theirs}"
            wanted = item.values[key] if key in item.values else item.values[f"exits.{item.name}.{parameter}"]
            assert item.parameters(strategy).values[parameter] == wanted
