"""A season on the simulated market and the recorded ones, worked out again; and that the audit sees what is wrong with a record."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.years import recordings
from tests.years.audit import Audit, audit
from tests.years.played import RECORDED_2019, RECORDED_2021, Year

SEED, SESSIONS = 2, 45
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a season's trading."""
    folder = tmp_path_factory.mktemp("season")
    Year.simulated(seed=SEED, folder=folder).play(SESSIONS)
    return folder


@pytest.fixture
def tampered(season: Path, tmp_path: Path) -> Callable[[str, Change], Audit]:
    """Change a file of the record and audit it."""

    def change(name: str, how: Change) -> Audit:
        folder = tmp_path / "tampered"
        shutil.copytree(season, folder)
        path = folder / f"{name}.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        how(content)
        path.write_text(json.dumps(content), encoding="utf-8")
        return audit(folder)

    return change


def first(journal: Any, kind: str, **fields: object) -> dict[str, Any]:
    """The first line of a kind with these fields."""
    return next(line for line in journal if line["~"] == kind and all(line[name] == value for name, value in fields.items()))


def test_season_when_worked_out_again_then_every_cent_contract_and_fee_is_explained(season: Path) -> None:
    found = audit(season)

    assert found.findings == []
    assert found.counts["days"] == SESSIONS
    assert found.counts["executions"] >= 15
    assert found.counts["expired"] >= 3
    assert found.overdrawn == {}


@pytest.mark.parametrize(
    ("name", "how", "says"),
    [
        ("journal", lambda lines: first(lines, "Fill").update(fees="9.99"), "the rates come to"),
        ("journal", lambda lines: first(lines, "Fill", side="sell").update(price="0.01"), "worse than what was confirmed"),
        ("journal", lambda lines: first(lines, "Fill").update(quantity=7), "the desk says"),
        ("journal", lambda lines: lines.remove(first(lines, "Settled", outcome="expired")), "held after their last day"),
        ("journal", lambda lines: first(lines, "Settled").update(value="1.00"), "settled on 1.00"),
        ("journal", lambda lines: first(lines, "Settled").update(outcome="assigned", cash="100"), "it is"),
        ("journal", lambda lines: first(lines, "Settled", outcome="expired").update(at="2026-11-21T00:00:00+00:00"), "assigned early"),
        ("journal", lambda lines: lines.append({**first(lines, "CashMoved"), "reason": "a gift", "amount": "5"}), "nothing says why"),
        ("days", lambda days: days[30].update(cash="1"), "the desk says 1"),
        ("days", lambda days: days[30].update(positions={"KO": 1}), "the desk says {'KO': 1}"),
        ("orders", lambda orders: orders[0].update(filled=99), "units are filled"),
        ("orders", lambda orders: orders.pop(), "there is no such order"),
        ("market", lambda market: market["close"].clear(), "the market published nothing"),
    ],
    ids=[
        "fee", "price", "quantity", "settlement lost", "settlement value", "outcome", "settled early", "gift", "cash", "position", "units",
        "order lost", "closes lost",
    ],
)
def test_audit_when_a_record_is_wrong_then_it_says_so(
    tampered: Callable[[str, Change], Audit], name: str, how: Change, says: str,
) -> None:
    assert any(says in text for text in tampered(name, how).findings)


@pytest.fixture(scope="module")
def data_dir() -> Path:
    """The recorded markets."""
    data = os.environ.get("DESK_REAL_DATA")
    if not data:
        pytest.skip("DESK_REAL_DATA is not set")
    return Path(data)


def test_recorded_spx_2019_when_worked_out_from_its_files_then_every_fill_fee_and_settlement_agrees(data_dir: Path, tmp_path: Path) -> None:
    year = Year.recorded(seed=1, folder=tmp_path, data_dir=data_dir, start=date(2019, 4, 25), plans=RECORDED_2019)
    year.play(28)
    market, quotes = recordings.spx_2019(data_dir)

    found = audit(tmp_path, market=market, quotes=quotes)

    assert found.findings == []
    assert found.counts["executions"] >= 4


def test_recorded_spy_2021_when_worked_out_from_its_files_then_every_fill_dividend_and_assignment_agrees(
    data_dir: Path, tmp_path: Path,
) -> None:
    year = Year.recorded(seed=1, folder=tmp_path, data_dir=data_dir, start=date(2021, 1, 4), plans=RECORDED_2021)
    year.play(90)
    market, quotes = recordings.spy_2021(data_dir)

    found = audit(tmp_path, market=market, quotes=quotes)

    assert found.findings == []
    assert found.counts["executions"] >= 4
