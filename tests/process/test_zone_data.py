"""A machine whose time zone data is missing or out of date: the desk does not start, says why, and can be halted all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAID = {"missing": "no time zone data for 'America/New_York'", "stale": "does not change the hour on 2007-03-11"}


@pytest.fixture(params=["missing", "stale"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def environment(kind: str, tmp_path: Path) -> dict[str, str]:
    """An environment without zone data, or with one in which New York keeps the hour of Greenwich all year."""
    if kind == "missing":
        (tmp_path / "hidden" / "tzdata").mkdir(parents=True)
        (tmp_path / "hidden" / "tzdata" / "__init__.py").touch()  # stands before the package that has the data
        return {**os.environ, "PYTHONTZPATH": "", "PYTHONPATH": str(tmp_path / "hidden")}
    zones = tmp_path / "zones" / "America"
    zones.mkdir(parents=True)
    (zones / "New_York").write_bytes((files("tzdata") / "zoneinfo" / "UTC").read_bytes())
    return {**os.environ, "PYTHONTZPATH": str(tmp_path / "zones")}


def bot(home: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bot", *arguments, "--home", str(home)]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    "arguments", [("chat", "--no-web"), ("do", "status"), ("do", "open put_credit_spread XSP")], ids=["chat", "status", "open"]
)
def test_i7_zone_data_when_missing_or_stale_then_nothing_starts_and_the_log_is_not_touched(
    tmp_path: Path, kind: str, environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    done = bot(tmp_path / "home", environment, *arguments)
    assert done.returncode == 1
    assert SAID[kind] in done.stdout + done.stderr
    assert "start again" in done.stdout + done.stderr
    assert not (tmp_path / "home" / "desk.db").exists()


def test_i7_doctor_when_zone_data_is_missing_or_stale_then_names_it(tmp_path: Path, kind: str, environment: dict[str, str]) -> None:
    done = bot(tmp_path / "home", environment, "doctor")
    assert done.returncode == 1
    assert "[x]  time zones" in done.stdout and SAID[kind].partition(" for ")[0] in done.stdout


def test_i7_kill_when_zone_data_is_missing_or_stale_then_the_halt_file_is_there(
    tmp_path: Path, kind: str, environment: dict[str, str]
) -> None:
    done = bot(tmp_path / "home", environment, "kill")
    assert done.returncode == 0
    assert SAID[kind] in done.stdout
    assert "A HALT file was written" in done.stdout
    assert (tmp_path / "home" / "HALT").exists()
