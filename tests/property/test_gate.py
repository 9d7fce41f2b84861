"""The gate fails closed: nothing that is added to it, broken in it or cut around it lets more through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.domain.instruments import Deliverable
from core.domain.orders import Envelope
from core.errors import Unavailable
from core.orders.states import Order, step
from core.risk import gate
from core.risk.exam import Exam, Family, Finding, Level, Rule, RuleClass, Verdict
from core.risk.registry import load_rules
from core.settings import Parameters
from tests.unit.risk.market import NOW, SPREAD, acknowledged, book, envelope, exam, intent, put, sell, submitting, view

NOTHING = Parameters(values={})


@dataclass(frozen=True)
class Said:
    """What a made-up rule answers."""

    rule_class: RuleClass
    level: Level
    factor: Decimal
    family: Family
    fits: int | None
    on_reducing: bool
    fails: type[Exception] | None


SAID = st.builds(
    Said,
    rule_class=st.sampled_from(RuleClass),
    level=st.sampled_from(Level),
    factor=st.integers(0, 100).map(lambda percent: Decimal(percent) / 100),
    family=st.sampled_from(Family),
    fits=st.none() | st.integers(0, 12),
    on_reducing=st.booleans(),
    fails=st.sampled_from([None, None, None, Unavailable, ZeroDivisionError]),
)


def rule(said: Said, name: str) -> Rule:
    module = ModuleType(name)
    module.NAME, module.CLASS, module.ON_REDUCING = name, said.rule_class.value, said.on_reducing  # type: ignore[attr-defined] # a rule

    def judge(examined: Exam, parameters: Parameters) -> Finding:
        if said.fails is not None:
            raise said.fails("broken")
        return Finding(
            rule=name,
            rule_class=said.rule_class,
            level=said.level,
            measured="1",
            limit="2",
            why=f"{name} says so",
            factor=said.factor,
            family=said.family,
            fits=said.fits,
        )

    module.judge = judge  # type: ignore[attr-defined] # a rule
    return Rule(module=module, parameters=NOTHING)


def judged(examined: Exam, said: list[Said]) -> Verdict:
    return gate.judge(examined, [rule(item, f"rule{number}") for number, item in enumerate(said)], report=lambda name, error: f"E-{name}")


@cache
def example(quantity: int = 10) -> Exam:
    return exam(intent(SPREAD, quantity, start="9.60", worst="9.40"))


@given(said=st.lists(SAID, min_size=1, max_size=6), more=SAID, reducing=st.booleans(), automation=st.booleans())
def test_gate_when_a_rule_is_added_then_never_turns_block_into_pass(said: list[Said], more: Said, reducing: bool, automation: bool) -> None:
    examined = replace(example(), reducing=reducing, automation=automation)
    without, with_it = judged(examined, said), judged(examined, [*said, more])
    assert without.allowed or not with_it.allowed
    assert with_it.quantity_allowed <= without.quantity_allowed


@given(said=st.lists(SAID, max_size=4), broken=st.sampled_from([Unavailable, ZeroDivisionError, KeyError, RecursionError]))
def test_gate_when_a_rule_fails_then_blocks_with_its_id(said: list[Said], broken: type[Exception]) -> None:
    failing = Said(RuleClass.HARD, Level.PASS, Decimal(1), Family.NONE, None, False, broken)
    verdict = judged(example(), [*said, failing])
    assert not verdict.allowed
    found = verdict.findings[-1]
    assert found.level is Level.BLOCK
    assert broken is Unavailable or f"E-rule{len(said)}" in found.why


@given(said=st.lists(SAID, min_size=1, max_size=6))
def test_gate_when_factors_reduce_then_smallest_in_a_family_and_product_over_families(said: list[Said]) -> None:
    told = [replace(item, level=Level.REDUCE, fails=None) for item in said]
    verdict = judged(example(), told)
    expected = Decimal(1)
    for family in Family:
        factors = [item.factor for item in told if item.family is family]
        for factor in factors if family is Family.NONE else sorted(factors)[:1]:
            expected *= factor
    assert verdict.factor == expected
    assert verdict.quantity_allowed == int(10 * expected)
    assert verdict.allowed == (verdict.quantity_allowed >= 10)


@pytest.mark.parametrize(
    ("factors", "allows", "words"), [(["0.5", "0.75"], 3, "you asked 10, rules allow 3"), (["0.1", "0.5"], 0, "less than one unit")]
)
def test_gate_when_factors_leave_less_then_floored_and_said(factors: list[str], allows: int, words: str) -> None:
    families = (Family.VOLATILITY, Family.MARKET)
    said = [
        Said(RuleClass.SOFT, Level.REDUCE, Decimal(factor), family, None, False, None)
        for factor, family in zip(factors, families, strict=True)
    ]
    verdict = judged(example(), said)
    assert (verdict.quantity_allowed, verdict.allowed) == (allows, False)
    assert words in verdict.reason


def test_gate_when_advisory_blocks_then_person_may_and_automation_may_not() -> None:
    said = [Said(RuleClass.ADVISORY, Level.BLOCK, Decimal(1), Family.NONE, None, False, None)]
    assert judged(example(), said).allowed
    assert not judged(replace(example(), automation=True), said).allowed


@pytest.mark.parametrize("rule_class", [RuleClass.SOFT, RuleClass.ADVISORY])
def test_gate_when_a_reducing_order_is_advised_against_then_person_may_and_automation_may_not(rule_class: RuleClass) -> None:
    said = [Said(rule_class, Level.BLOCK, Decimal(1), Family.NONE, None, True, None)]
    assert judged(replace(example(), reducing=True), said).allowed
    assert not judged(replace(example(), reducing=True, automation=True), said).allowed


@pytest.mark.parametrize(("on_reducing", "allowed"), [(True, False), (False, True)])
def test_gate_when_order_reduces_then_only_rules_that_say_so_may_block(on_reducing: bool, allowed: bool) -> None:
    said = [Said(RuleClass.HARD, Level.BLOCK, Decimal(1), Family.NONE, 0, on_reducing, None)]
    assert judged(replace(example(), reducing=True), said).allowed is allowed


def test_gate_when_no_rule_is_loaded_then_blocks() -> None:
    assert not gate.judge(example(), [], report=lambda name, error: "E").allowed


def test_gate_when_a_rule_answers_for_another_then_blocks() -> None:
    honest = Said(RuleClass.HARD, Level.PASS, Decimal(1), Family.NONE, None, False, None)
    liar = rule(honest, "liar")
    liar.module.judge = rule(honest, "other").module.judge
    assert not gate.judge(example(), [liar], report=lambda name, error: "E").allowed


def test_verdict_when_only_numbers_move_then_same_hash_and_with_a_level_another() -> None:
    said = Said(RuleClass.SOFT, Level.PASS, Decimal(1), Family.NONE, None, False, None)
    first = judged(example(), [said])
    moved = replace(first, findings=tuple(replace(item, measured="3") for item in first.findings))
    assert moved.hash == first.hash
    assert judged(example(), [replace(said, level=Level.BLOCK)]).hash != first.hash


# --- an order cut in two -------------------------------------------------------------------------------------------------

PORTFOLIO = [item for item in load_rules() if item.name in ("capital", "per_underlying", "margin_use", "margin_line", "stress")]
MARKET = view()
NAKED = (sell(put(2600)),)


def passes(legs: Any, quantity: int, worth: int, working: int) -> bool:
    reserved = book(cash=str(worth), working=[(legs, working)] if working else [])
    examined = exam(intent(legs, quantity, start="5.00"), of=reserved, market=MARKET)
    return gate.judge(examined, PORTFOLIO, report=lambda name, error: f"{name}: {error}").allowed


@given(data=st.data(), legs=st.sampled_from([SPREAD, NAKED]), quantity=st.integers(2, 9), worth=st.integers(20_000, 3_000_000))
def test_invariant_11_gate_when_a_blocked_order_is_cut_in_two_then_it_stays_blocked(
    data: st.DataObject, legs: Any, quantity: int, worth: int
) -> None:
    assume(not passes(legs, quantity, worth, 0))
    first = data.draw(st.integers(1, quantity - 1))
    assert not (passes(legs, first, worth, 0) and passes(legs, quantity - first, worth, first))


# --- the envelope --------------------------------------------------------------------------------------------------------

COVERED = replace(envelope(SPREAD, 3, start="9.60", worst="9.40", trade_id="P1"), instead_of=("O7", "O8"))
COVERED = replace(COVERED, plan=replace(COVERED.plan, rest=Decimal("9.50")))
ALLOWED = Verdict(findings=(), allowed=True, reducing=False, factor=Decimal(1), quantity_allowed=3)


def permitted(of: Envelope = COVERED, *, limit: str = "9.60", quantity: int = 3, verdict: Verdict = ALLOWED) -> Any:
    return gate.permit(
        verdict=verdict, envelope=of, confirmed_hash=COVERED.hash, client_id="O1", ticket_id="T1", limit=Decimal(limit), quantity=quantity
    )


def mutations(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every copy of a value with a single field, at any depth, changed."""
    for field in fields(value):
        inner = getattr(value, field.name)
        name = f"{path}{field.name}"
        if is_dataclass(inner):
            for deeper, changed in mutations(inner, f"{name}."):
                yield deeper, {field.name: changed}
        elif isinstance(inner, tuple):
            for index, item in enumerate(inner):
                if not is_dataclass(item):
                    yield f"{name}[{index}]", {field.name: (*inner[:index], other(item), *inner[index + 1 :])}
                    continue
                for deeper, changed in mutations(item, f"{name}[{index}]."):
                    yield deeper, {field.name: (*inner[:index], built(changed, item), *inner[index + 1 :])}
            yield name, {field.name: inner[:-1]}
            yield f"{name} reversed", {field.name: inner[::-1]}
        elif isinstance(inner, Decimal):
            yield f"{name} up", {field.name: inner + 1}
            yield f"{name} down", {field.name: inner - 1}
        else:
            yield name, {field.name: other(inner)}


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, Enum):
        return next(item for item in type(value) if item is not value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, datetime | date):
        return value + timedelta(days=1)
    if value is None:
        return Deliverable(symbol="SPX", shares=100)
    return value + "X" if isinstance(value, str) else value + type(value)(1)


def built(changes: dict[str, Any], of: Any) -> Any:
    """A copy of a dataclass with nested changes."""
    return replace(
        of, **{name: built(change, getattr(of, name)) if isinstance(change, dict) else change for name, change in changes.items()}
    )


def every_mutation() -> list[tuple[str, Envelope]]:
    found = []
    for name, changes in mutations(COVERED):
        try:
            found.append((name, built(changes, COVERED)))
        except (ValueError, TypeError):
            continue  # cannot even be built
    return found


MUTATED = [*every_mutation(), ("plan.rest", replace(COVERED, plan=replace(COVERED.plan, rest=None)))]  # a step of 1 would leave the range


def test_d4_mutations_when_listed_then_cover_every_field() -> None:
    names = {name for name, _ in MUTATED}
    for expected in (
        "account.env",
        "legs[0].instrument.strike up",
        "legs[1].instrument.multiplier",
        "legs[0].side",
        "legs[0].effect",
        "quantity",
        "plan.start up",
        "plan.worst down",
        "plan.rest",
        "tif",
        "expires_at",
        "policy_version",
        "strategy",
        "trade_id",
        "regular_hours_only",
        "instead_of",
        "instead_of[0]",
    ):
        assert expected in names


@pytest.mark.parametrize(("name", "changed"), MUTATED, ids=[name for name, _ in MUTATED])
def test_d4_permit_when_any_field_differs_from_the_confirmed_then_refused(name: str, changed: Envelope) -> None:
    with pytest.raises(gate.NotPermitted, match="differs"):
        permitted(changed, limit=str(changed.plan.worst), quantity=1)


def test_permit_when_inside_the_envelope_then_let_through() -> None:
    assert permitted().limit == Decimal("9.60")
    assert permitted(limit="9.40", quantity=1).quantity == 1


@pytest.mark.parametrize(
    ("limit", "quantity"), [("9.61", 3), ("9.39", 3), ("9.50", 4), ("9.50", 0), ("-9.50", 3), ("NaN", 3), ("Infinity", 3)]
)
def test_permit_when_outside_the_envelope_then_refused(limit: str, quantity: int) -> None:
    with pytest.raises(gate.NotPermitted):
        permitted(limit=limit, quantity=quantity)


def test_permit_when_the_verdict_says_no_then_refused() -> None:
    with pytest.raises(gate.NotPermitted, match="too much"):
        permitted(verdict=replace(ALLOWED, allowed=False, reason="too much"))


def working() -> Order:
    order, _ = step(None, submitting(SPREAD, 3), at=NOW)
    order, _ = step(order, acknowledged(), at=NOW)
    assert order is not None
    return replace(order, envelope=COVERED, envelope_hash=COVERED.hash)


@given(cents=st.integers(900, 1_000))
def test_permit_replace_when_limit_moves_then_only_inside_the_envelope(cents: int) -> None:
    limit = Decimal(cents) / 100
    if Decimal("9.40") <= limit <= Decimal("9.60"):
        assert gate.permit_replace(working(), limit=limit).quantity == 3
    else:
        with pytest.raises(gate.NotPermitted):
            gate.permit_replace(working(), limit=limit)


@pytest.mark.parametrize(("name", "changed"), MUTATED, ids=[name for name, _ in MUTATED])
def test_d4_permit_replace_when_any_field_differs_then_refused(name: str, changed: Envelope) -> None:
    with pytest.raises(gate.NotPermitted, match="differs"):
        gate.permit_replace(replace(working(), envelope=changed), limit=changed.plan.worst)
