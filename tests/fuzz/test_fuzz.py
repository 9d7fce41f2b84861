"""Malformed inputs inside the default suite: some hundreds over every port, and planted faults to watch the harness.

`make fuzz SEED=1 INPUTS=1000000` feeds more of the same.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import core.command
import core.market.answers
import tests.fuzz.doors
import tests.fuzz.harness
import tests.fuzz.judges
import tests.fuzz.stores
import tests.fuzz.words
from core.command import Kind
from core.domain.events import CashMoved, CorporateAction, MarginCalled, Settled
from core.domain.orders import Fill
from core.ports import BrokerOrder, BrokerPosition, OrderReport, Preview, Update
from core.store.tables import TABLES
from tests.fuzz.__main__ import main, shares
from tests.fuzz.harness import Outcome, run_port
from tests.fuzz.ports import PORTS

SEED = 2
INPUTS = 3_000  # over all ports, each at least one
LINES = [line for line in (Path(__file__).parent / "seeds.txt").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
KEPT = [tuple(line.split("\t", 3)) for line in LINES]
MOST_REPLAYED = 300  # inputs of an episode that are fed again before the one that failed


def told(outcome: Outcome) -> str:
    return "\n".join(f"{failure.times} x {failure.error} in {failure.where}\n{failure.trace}" for failure in outcome.failures.values())


@pytest.mark.parametrize(("name", "inputs"), [(port.name, count) for port, count in shares(list(PORTS.values()), INPUTS)])
def test_port_when_fed_malformed_inputs_then_survives_every_one(name: str, inputs: int) -> None:
    outcome = run_port(PORTS[name], seed=SEED, inputs=inputs)

    assert not outcome.failed, told(outcome)
    assert outcome.inputs == inputs


@pytest.mark.parametrize(("name", "seed", "index", "what"), KEPT, ids=[f"{name} {index}" for name, _, index, _ in KEPT])
def test_port_when_an_input_once_failed_then_it_is_survived_now(name: str, seed: str, index: str, what: str) -> None:
    port, number = PORTS[name], int(index)
    assert not port.episode or number % port.episode <= MOST_REPLAYED

    outcome = run_port(port, seed=int(seed), inputs=1, first=number)

    assert not outcome.failed, f"{what} is back?\n{told(outcome)}"


def test_port_when_the_seed_is_the_same_then_so_is_what_comes_of_it() -> None:
    first, again, other = (run_port(PORTS["values"], seed=seed, inputs=200) for seed in (1, 1, 2))

    assert first.digest == again.digest != other.digest
    assert first.words == again.words


def test_ports_when_listed_then_every_kind_of_outside_word_is_among_them() -> None:
    assert {parameter.kind for parameter in tests.fuzz.words.KINDS} == set(Kind)
    reports = {type(report) for report in tests.fuzz.judges.REPORTS}
    assert reports == {Fill, Settled, CashMoved, CorporateAction, MarginCalled, OrderReport, BrokerOrder, BrokerPosition, Preview}
    assert {type(item) for item in tests.fuzz.accounts.ITEMS} == _updates()
    checks = [name for name in vars(core.market.answers) if name.startswith("checked_")]
    assert {check.__name__ for check in tests.fuzz.judges.MARKET_CHECKS} == {f"_{name.removeprefix('checked_')}" for name in checks}
    assert {table.name for table in TABLES} >= {"paper", "buttons", "settings_meta"}


def _updates() -> set[type]:
    """What an update of a broker may carry, as declared."""
    hints: Any = tests.fuzz.source.hints_of(Update)["item"]
    return set(hints.__args__)


# --- who watches the harness --------------------------------------------------------------------------------------------------


def _raises(*args: Any, **kwargs: Any) -> Any:
    raise KeyError("planted")


def _loops(*args: Any, **kwargs: Any) -> Any:
    while True:
        pass


def _shows_its_trace(words: list[str]) -> int:
    try:
        raise RuntimeError("planted")
    except RuntimeError:
        print(traceback.format_exc())
    return 1


def _anything(check: Callable[..., Any]) -> Callable[..., Any]:
    """A check that lets everything through."""
    return lambda answer, *rest: answer


@pytest.mark.parametrize(
    ("port", "module", "name", "planted", "kind", "inputs"),
    [
        ("values", core.command, "_number", _raises, "KeyError", 200),
        ("lines", tests.fuzz.words, "parse", _raises, "KeyError", 20),
        ("numbers", tests.fuzz.words, "exact", _anything(core.market.answers.checked_rate), "", 300),
        ("rows", tests.fuzz.stores, "decode", _raises, "KeyError", 20),
        ("rows", tests.fuzz.stores, "verify", lambda rows, after: (), "Changed", 50),
        ("halt file", tests.fuzz.stores, "read_halt", lambda path: None, "Changed", 5),
        ("market answers", core.market.answers, "checked_rate", lambda rate: rate, "", 400),
        ("market answers", core.market.answers, "checked_bars", lambda bars, symbol: bars, "", 400),
        ("reports", tests.fuzz.judges, "believed", lambda item, told: (item, ""), "", 100),
        ("commands", tests.fuzz.doors, "main", _shows_its_trace, "Changed", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_harness_when_a_fault_is_planted_then_it_is_noticed(
    monkeypatch: pytest.MonkeyPatch, port: str, module: Any, name: str, planted: Any, kind: str, inputs: int
) -> None:
    opened = PORTS[port].opened
    bench = opened(tests.fuzz.source.Source()) if port == "commands" else None  # a sound one: what comes after is broken
    monkeypatch.setattr(module, name, planted)
    whole = PORTS[port] if bench is None else tests.fuzz.harness.Port(name=port, share=1, opened=lambda source: bench)

    outcome = run_port(whole, seed=1, inputs=inputs)

    assert outcome.failed
    assert not kind or kind in {error for error, _ in outcome.failures}


def test_harness_when_an_input_loops_then_it_is_noticed_and_the_next_is_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests.fuzz.harness, "MOST_CPU_SECONDS", 0.05)
    monkeypatch.setattr(tests.fuzz.words, "parse", _loops)

    outcome = run_port(PORTS["lines"], seed=1, inputs=3)

    assert outcome.inputs == outcome.failed == 3
    assert {error for error, _ in outcome.failures} == {"Hang"}


def test_main_when_an_input_fails_then_says_how_to_have_it_again_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "values", "--inputs", "20", "--jobs", "1", "--seed", "5"]) == 0
    said = capsys.readouterr().out

    assert "failed     0" in said
    assert "inputs     20 over 1 ports" in said
