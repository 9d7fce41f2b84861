"""Careless changes, as data: each must be noticed by the simulation or by the tests, or be listed as a survivor.

`mutants.toml` holds them: a file, the text that stands in it exactly once, and what a careless hand would have put there instead. A mutant
lives in a copy of the product beside the real tests; the product itself is never touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parent / "mutants.toml"
LIMIT_SECONDS = 600
SIM_SEEDS = 4
SIM_STEPS = 1_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One careless change. `look` are the tests that are run, `area` what of the product it concerns."""

    id: str
    area: str
    file: str
    find: str
    replace: str
    look: tuple[str, ...]
    sim: bool = False  # whether the seeded simulation is asked first


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a mutant; `by` names the simulation's invariant or the first test that failed, "" where nothing did."""

    mutant: Mutant
    by: str
    seconds: float


def load(path: Path = DATA) -> tuple[Mutant, ...]:
    """All mutants, in the order of the file."""
    with path.open("rb") as file:
        rows = tomllib.load(file)["mutant"]
    return tuple(Mutant(**{**row, "look": tuple(row["look"])}) for row in rows)


def mutated(mutant: Mutant) -> str:
    """The changed text of its file; raises ValueError where the text to be changed does not stand there exactly once."""
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    if source.count(mutant.find) != 1:
        raise ValueError(f"{mutant.id}: its text stands {source.count(mutant.find)} times in {mutant.file}")
    changed = source.replace(mutant.find, mutant.replace)
    compile(changed, mutant.file, "exec")
    return changed


def plant(mutant: Mutant, place: Path) -> Path:
    """A copy of the tree at `place` that carries the mutant; whole, so that no test fails for what is missing beside it."""
    changed = mutated(mutant)
    for item in ROOT.iterdir():
        if item.name.startswith("."):
            continue
        if item.is_dir():
            shutil.copytree(item, place / item.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(item, place / item.name)
    (place / mutant.file).write_text(changed, encoding="utf-8")
    return place


def judge(mutant: Mutant, place: Path) -> Outcome:
    """Plant it at `place` and look who notices."""
    began, tree = monotonic(), plant(mutant, place)
    by = _simulated(tree) if mutant.sim else ""
    by = by or _tested(tree, mutant.look)
    return Outcome(mutant=mutant, by=by, seconds=monotonic() - began)


def _simulated(tree: Path) -> str:
    for seed in range(1, SIM_SEEDS + 1):
        done = _run(tree, ["-m", "tests.sim", "--seed", str(seed), "--steps", str(SIM_STEPS)])
        found = next((line for line in done.stdout.splitlines() if "VIOLATION" in line), "")
        if found:
            return f"simulation: {found.strip()[:100]}"
        if done.returncode:
            return f"simulation: ended with {done.returncode}"
    return ""


def _tested(tree: Path, look: Sequence[str]) -> str:
    done = _run(tree, ["-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--no-header", "-rf", *look])
    if done.returncode == 0:
        return ""
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0][:140] if failed else f"tests: ended with {done.returncode}"


def _run(tree: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_PROFILE": "unshrunk"}
    command = [sys.executable, *arguments]
    try:
        return subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(args=command, returncode=124, stdout="", stderr="")  # a hang is noticed too
