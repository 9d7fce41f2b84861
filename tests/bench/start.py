"""Cold start of one command, the memory it takes, and the size of a base installation."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = 7


def rows() -> list[dict[str, object]]:
    """`do status` on an existing home, each run a new process; beside it the bare interpreter importing numpy, in the same minutes."""
    with tempfile.TemporaryDirectory() as home:
        status = [sys.executable, "-m", "bot", "do", "--home", home, "status"]
        peer = [sys.executable, "-c", "import numpy, sqlite3, asyncio, json"]
        _run(status)  # the first one creates the home
        ours, bare = [], []
        for _ in range(RUNS):
            ours.append(_seconds(status))
            bare.append(_seconds(peer))
        memory = _peak_bytes(status)
    ratio = statistics.median(ours) / statistics.median(bare)
    return [
        {"name": "do status, cold, median of 7", "value": statistics.median(ours), "unit": "s"},
        {"name": "do status, slowest of 7", "value": max(ours), "unit": "s"},
        {"name": "do status / python importing numpy, sqlite3, asyncio", "value": ratio, "unit": "times"},
        {"name": "do status, peak memory", "value": memory / 2**20, "unit": "MiB"},
        {"name": "installed packages of this environment", "value": _size(Path(sysconfig.get_paths()["purelib"])) / 2**20, "unit": "MiB"},
    ]


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)


def _seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    _run(command)
    return time.perf_counter() - begin


def _peak_bytes(command: list[str]) -> int:
    pid = os.posix_spawn(
        command[0],
        command,
        {**os.environ, "PYTHONPATH": str(ROOT)},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise RuntimeError(f"{command} ended with {status}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
