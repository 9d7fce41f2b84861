"""The planted careless changes as data: each still applies, and a few of them are really planted and noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.runner import Mutant, judge, load, mutated

MUTANTS = load()
SAMPLE = ("gate-hash-not-compared", "trigger-one-look")


def test_mutants_when_listed_then_at_least_sixty_over_path_gate_and_log() -> None:
    assert len(MUTANTS) >= 60
    assert {"states", "sender", "gate", "ticket", "reconcile", "standing", "log", "door"} <= {item.area for item in MUTANTS}
    assert len({item.id for item in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda item: item.id)
def test_mutant_when_applied_then_its_text_stands_once_and_the_change_compiles(mutant: Mutant) -> None:
    assert mutated(mutant) != (Path(__file__).resolve().parents[2] / mutant.file).read_text(encoding="utf-8")
    for place in mutant.look:
        assert (Path(__file__).resolve().parents[2] / place).exists(), place


@pytest.mark.parametrize("mutant", [item for item in MUTANTS if item.id in SAMPLE], ids=lambda item: item.id)
def test_mutant_when_planted_then_a_test_notices(mutant: Mutant, tmp_path: Path) -> None:
    narrow = Mutant(
        id=mutant.id, area=mutant.area, file=mutant.file, find=mutant.find, replace=mutant.replace,
        look=("tests/property/test_gate.py",) if mutant.area == "gate" else ("tests/unit/orders/test_trigger.py",),
    )
    assert judge(narrow, tmp_path).by.startswith("FAILED")


def test_mutant_when_nothing_is_changed_then_nobody_notices(tmp_path: Path) -> None:
    same = Mutant(
        id="none", area="none", file="core/orders/trigger.py", find="    if sight.mid is None:", replace="    if sight.mid is None :",
        look=("tests/unit/orders/test_trigger.py", "tests/unit/orders/test_states.py"),  # the second reads a page of the documentation
    )
    assert judge(same, tmp_path).by == ""
