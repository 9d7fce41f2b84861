"""The rule of the gate for orders nobody presses for, in the figures of its own page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.domain.events import Mode
from core.domain.mandates import Authority, Mandate, MandateAction, MandateState
from core.domain.orders import Limit
from core.errors import Unavailable
from core.risk import gate
from core.risk.exam import Exam, Finding, Level, RuleClass
from core.risk.registry import load_rules
from tests.unit.risk.market import NOW, PRACTICE, SPREAD, book, closing, exam, intent, put, quoted, view

MANDATE = Mandate(
    id="M1", account=PRACTICE, rules=("profit_target",), action=MandateAction.CLOSE, strategies=("put_credit_spread",), symbols=None,
    max_quantity=2, max_orders_per_day=3, concession_points=Decimal("0.10"), concession_fraction=Decimal("0.10"),
    valid_until=NOW + timedelta(days=30), granted_by="owner", chat="terminal",
)
RULE = next(rule for rule in load_rules() if rule.name == "mandate")
HELD = book((put(2800), -5), (put(2750), 5))
MARKET = view(**quoted(SPREAD[0].instrument, 10.28, 10.30), **quoted(SPREAD[1].instrument, 9.90, 9.92))  # natural: 10.30 - 9.90 = 0.40


def authority(*, sent: int = 0, ended: str = "", rule: str = "profit_target", **terms: str) -> Authority:
    state = MandateState(mandate=MANDATE, granted_at=NOW, ended=ended, sent_today=sent)
    return Authority(state=state, rule=rule, terms=terms)


def closes(quantity: int = 2, worst: str = "-0.50", **more: Any) -> Exam:
    order = replace(intent(closing(SPREAD), quantity), plan=Limit(start=Decimal("-0.39"), worst=Decimal(worst)))
    given: dict[str, Any] = {"automation": True, "authority": authority()}
    return exam(order, of=HELD, market=MARKET, **(given | more))


def judged(examined: Exam) -> Finding:
    found: Finding = RULE.module.judge(examined, RULE.parameters)
    return found


def test_order_when_inside_every_bound_then_passes() -> None:
    examined = closes()
    assert examined.natural == Decimal("-0.40") and examined.reducing
    found = judged(examined)
    assert (found.level, found.measured) == (Level.PASS, "M1")


@pytest.mark.parametrize(
    ("examined", "why"),
    [
        (closes(worst="-0.55"), "the worst price -0.55 is beyond what mandate M1 concedes (-0.50)"),
        (closes(3), "3 units are over the 2 an order of mandate M1 may have"),
        (closes(authority=authority(sent=3)), "mandate M1 has sent its 3 orders of today"),
        (closes(authority=authority(ended="was revoked: by owner")), "mandate M1 was revoked: by owner"),
        (closes(authority=authority(rule="credit_stop")), "mandate M1 does not name the rule credit_stop"),
        (closes(authority=authority(a="1")), "a setting of its rules changed since mandate M1 was granted"),
        (closes(authority=None), "rests on no mandate"),
        (exam(intent(SPREAD), market=MARKET, automation=True, authority=authority()), "mandate M1 is to close, this order would open"),
    ],
)
def test_order_when_a_bound_is_broken_then_refused_with_that_bound(examined: Exam, why: str) -> None:
    found = judged(examined)
    assert found.level is Level.BLOCK and found.rule_class is RuleClass.HARD
    assert why in found.why


def test_order_when_a_person_presses_then_no_mandate_is_asked_for() -> None:
    assert judged(closes(5, "-9.00", automation=False, authority=None)).level is Level.PASS


def test_order_when_natural_is_unknown_then_the_concession_cannot_be_measured() -> None:
    with pytest.raises(Unavailable, match="natural price"):
        judged(replace(closes(), natural=None))


def test_gate_when_an_order_reduces_under_a_mandate_then_the_rule_still_holds() -> None:
    rules = load_rules()
    assert gate.judge(closes(), rules, report=_never).allowed
    assert not gate.judge(closes(worst="-0.55"), rules, report=_never).allowed
    assert not gate.judge(closes(3), rules, report=_never).allowed
    assert gate.judge(closes(3, automation=False, authority=None), rules, report=_never).allowed


@pytest.mark.parametrize(("mode", "allowed"), [(Mode.PAUSED, True), (Mode.REDUCING, True), (Mode.HALT, False), (Mode.RECOVERY, False)])
def test_gate_when_the_desk_is_not_active_then_a_mandate_does_what_the_mode_lets_through(mode: Mode, allowed: bool) -> None:
    assert gate.judge(closes(mode=mode), load_rules(), report=_never).allowed is allowed


def _never(rule: str, error: BaseException) -> str:
    raise AssertionError(f"{rule} failed") from error
