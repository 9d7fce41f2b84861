"""What every rule of the gate must do, held over the registry: a new rule is tested the day it lands."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core import plugins
from core.domain.events import Mode
from core.domain.instruments import Index
from core.errors import Unavailable
from core.risk import gate
from core.risk.exam import Exam, Finding, Level, Rule, RuleClass
from core.risk.registry import load_rules
from core.settings import Kind, Parameters
from tests.unit.risk.market import SPREAD, book, buy, closing, empty_view, exam, intent, put, sell, view

RULES = load_rules()
IDS = [rule.name for rule in RULES]
# Rules that look at the order, the book or the clock alone. Any other must not pass where nothing is known of the market.
BLIND = {"contract", "duplicate", "effect", "mandate", "positions", "session", "state", "wash_trade"}
REQUIRED = {
    "buying_power",
    "capital",
    "charter",
    "collar",
    "contract",
    "duplicate",
    "effect",
    "halted",
    "liquidity",
    "mandate",
    "margin_line",
    "margin_use",
    "per_underlying",
    "positions",
    "quotes",
    "session",
    "state",
    "stress",
    "wash_trade",
}


def unknown() -> Exam:
    """An entry judged where neither the market nor the broker says anything, not even of what is held."""
    return exam(intent(SPREAD), of=book((put(2700), 1)), market=empty_view(), preview=None)


def examples() -> list[Exam]:
    held = book((put(2800), -2), (put(2750), 2), trades=[((sell(put(2700)),), 1)], working=[((buy(put(2600)),), 1)])
    return [
        exam(),
        exam(of=held),
        exam(intent(SPREAD, 40)),
        exam(intent(closing(SPREAD), 2, start="-9.00", worst="-9.90"), of=held),
        exam(intent([sell(put(2800))], 3, start="30.00")),
        exam(mode=Mode.HALT, of=held),
        exam(intent(SPREAD), market=view(drop=[put(2800)])),
        exam(intent(SPREAD), of=held, market=view(drop=[Index(symbol="SPX")])),
    ]


EXAMPLES = examples()


def answer(rule: Rule, examined: Exam) -> Finding | str:
    try:
        found: Finding = rule.module.judge(examined, rule.parameters)
    except Unavailable as error:
        return str(error)
    return found


def never(rule: str, error: BaseException) -> str:
    raise AssertionError(f"{rule} failed") from error


def test_registry_when_loaded_then_every_required_rule_is_there() -> None:
    assert set(IDS) >= REQUIRED
    assert sorted(plugins.names("rules")) == IDS


def test_registry_when_tuned_then_value_is_used_and_no_rule_is_lost() -> None:
    tuned = load_rules({"capital": Parameters(values={"max_fraction": Decimal("0.02")})})
    assert [rule.name for rule in tuned] == IDS
    capital = next(rule for rule in tuned if rule.name == "capital")
    assert capital.parameters.number("max_fraction") == Decimal("0.02")
    assert capital.parameters.number("small_account_fraction") == Decimal("0.08")


@pytest.mark.parametrize("given", [{"no_such_rule": {}}, {"capital": {"no_such": 1}}, {"capital": {"max_fraction": Decimal(7)}}])
def test_registry_when_a_name_or_value_is_wrong_then_refused(given: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(ValueError):
        load_rules({name: Parameters(values=values) for name, values in given.items()})


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_rule_when_declared_then_it_teaches_and_its_settings_are_sound(rule: Rule) -> None:
    assert "Worked example:" in (rule.module.__doc__ or "")
    assert any(character.isdigit() for character in (rule.module.__doc__ or "").split("Worked example:")[1])
    assert rule.name == rule.module.__name__.rpartition(".")[2]
    assert rule.rule_class in RuleClass
    for setting in rule.module.PARAMETERS:
        assert setting.help
        if setting.kind in (Kind.FRACTION, Kind.MONEY, Kind.NUMBER, Kind.INTEGER):
            assert setting.low is not None and setting.high is not None
            assert setting.check(Decimal(setting.default)) == setting.default
            assert setting.read(setting.write(setting.default)) == setting.default


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_rule_when_nothing_is_known_then_it_never_passes(rule: Rule) -> None:
    found = answer(rule, unknown())
    passed = isinstance(found, Finding) and found.level is Level.PASS
    assert passed == (rule.name in BLIND)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_rule_when_asked_twice_then_answers_alike_and_in_full(rule: Rule, number: int) -> None:
    examined = EXAMPLES[number]
    found = answer(rule, examined)
    assert answer(rule, examined) == found
    if isinstance(found, Finding):
        assert (found.rule, found.rule_class) == (rule.name, rule.rule_class)
        assert found.measured and found.limit and found.why
        assert found.level is not Level.BLOCK or found.fits is None or 0 <= found.fits < examined.intent.quantity


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_rule_when_order_buys_back_a_short_in_the_dark_then_nobody_is_trapped(rule: Rule) -> None:
    # The person's own limit, no quote of the short, no price of its underlying, no answer from the broker, and the account is gone.
    dark = view(drop=[put(2800), Index(symbol="SPX")])
    order = intent([buy(put(2800), closing(SPREAD)[0].effect)], 2, start="-60.00")
    examined = exam(order, of=book((put(2800), -2), cash="-50000"), market=dark, preview=None, mode=Mode.HALT)
    assert examined.reducing
    verdict = gate.judge(examined, (rule,), report=never)
    assert verdict.allowed, verdict.reason


def test_gate_when_nothing_is_known_then_refused() -> None:
    assert not gate.judge(unknown(), RULES, report=never).allowed


def test_gate_when_first_spread_in_a_practice_account_then_allowed() -> None:
    verdict = gate.judge(exam(), RULES, report=never)
    assert verdict.allowed, verdict.reason


def test_gate_when_too_many_are_asked_then_says_how_many_fit() -> None:
    verdict = gate.judge(exam(intent(SPREAD, 3, start="9.60")), RULES, report=never)
    assert not verdict.allowed
    assert verdict.quantity_allowed == 1
    assert "1 would fit" in verdict.reason


def test_gate_when_long_wing_is_sold_alone_then_refused() -> None:
    held = book((put(2800), -1), (put(2750), 1))
    wing = exam(intent([sell(put(2750), closing(SPREAD)[1].effect)], start="20.00"), of=held)
    assert not gate.judge(wing, RULES, report=never).allowed
