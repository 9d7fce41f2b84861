"""Compiled pricing is made beside the desk: nobody waits, and where it cannot be made the desk goes on without."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from core import warming
from core.pricing import compiled
from core.runtime import SystemRuntime

T = TypeVar("T")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for loading: the directories it was asked to load from."""
    asked: list[str] = []
    monkeypatch.setattr(compiled, "warm", lambda cache: asked.append(cache) or True)
    return asked


async def test_warm_up_when_the_compiler_has_done_its_work_then_its_results_are_loaded(
    tmp_path: Path, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "_COMPILE", "import sys, core.pricing; open(sys.argv[1] + '/made', 'w').close()")
    runtime = SystemRuntime()

    ready = await warming.warm_up(runtime, tmp_path)
    await runtime.aclose()

    assert ready
    assert loaded == [str(warming.cache_directory(tmp_path))]
    assert (Path(loaded[0]) / "made").exists()


async def test_warm_up_when_the_compiler_fails_then_it_is_reported_and_nothing_is_loaded(
    tmp_path: Path, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "_COMPILE", "raise SystemExit(3)")
    reports: list[str] = []
    runtime = SystemRuntime(on_failure=lambda name, error: reports.append(f"{name}: {error}"))

    ready = await warming.warm_up(runtime, tmp_path)
    await runtime.aclose()

    assert not ready
    assert loaded == []
    assert reports == ["compiled pricing: its compiler ended with 3; numpy goes on pricing"]


async def test_warm_up_when_the_home_cannot_hold_a_folder_then_it_is_reported_and_numpy_stays(tmp_path: Path, loaded: list[str]) -> None:
    (tmp_path / warming.FOLDER).write_text("in the way", encoding="utf-8")
    reports: list[str] = []
    runtime = SystemRuntime(on_failure=lambda name, error: reports.append(name))

    ready = await warming.warm_up(runtime, tmp_path)
    await runtime.aclose()

    assert not ready
    assert loaded == []
    assert reports == ["compiled pricing has no place to be kept"]


async def test_warm_up_when_the_desk_stops_meanwhile_then_the_compiler_ends_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "import os, sys, time; open(sys.argv[1] + '/pid', 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setattr(warming, "_COMPILE", slow)
    runtime = SystemRuntime()
    task = runtime.spawn(warming.warm_up(runtime, tmp_path), name="compiled pricing")
    note = warming.cache_directory(tmp_path) / "pid"
    while not (note.exists() and note.read_text()):
        await asyncio.sleep(0.01)
    process = Path("/proc") / note.read_text()

    await runtime.stop()
    await runtime.aclose()

    assert task.cancelled()
    for _ in range(200):
        if not process.exists() or "Z" in (process / "stat").read_text().split(")")[1].split()[0]:
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("the compiler still runs")


def test_cache_directory_when_the_code_has_changed_then_it_is_another_and_the_old_one_is_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = warming.cache_directory(tmp_path)
    (before / "old").write_text("machine code", encoding="utf-8")
    monkeypatch.setattr(compiled, "SOURCES", ("bsm.py",))

    after = warming.cache_directory(tmp_path)

    assert after != before
    assert not (before / "old").exists()
    assert after.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("switch", "installed", "expected"), [("0", True, False), ("1", True, True), ("1", False, False)])
def test_wanted_when_switched_off_or_not_installed_then_no(
    switch: str, installed: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(warming.SWITCH, switch)
    monkeypatch.setattr(warming, "find_spec", lambda name: object() if installed else None)

    assert warming.wanted() is expected


def test_j3_compiler_when_the_desk_is_killed_then_it_ends_by_itself(tmp_path: Path) -> None:
    slow = "import sys, time; print('compiling', flush=True); open(sys.argv[1] + '/up', 'w').close(); time.sleep(60)"
    desk = f"""
import asyncio, pathlib
from core import warming
from core.runtime import SystemRuntime
warming._COMPILE = {slow!r}
asyncio.run(warming.warm_up(SystemRuntime(), pathlib.Path({str(tmp_path)!r})))
"""
    process = subprocess.Popen([sys.executable, "-c", desk], cwd=Path(__file__).parents[2])
    compilers = _wait_for(lambda: [pid for pid in _children(process.pid) if (warming.cache_directory(tmp_path) / "up").exists()])

    process.kill()
    process.wait()

    assert len(compilers) == 1
    _wait_for(lambda: not Path(f"/proc/{compilers[0]}").exists() or "zombie" in Path(f"/proc/{compilers[0]}/status").read_text())


def _children(pid: int) -> list[int]:
    if not Path("/proc/self/task").exists():
        pytest.skip("no /proc here that names a process's children")
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def _wait_for(found: Callable[[], T], seconds: float = 30) -> T:
    until = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return result
