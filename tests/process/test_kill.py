"""Pulling the plug on a real process: what was on disk is found again, nothing is lost, nothing is sent twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 90


def crash(home: Path, where: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.process.crash_child", str(home), where],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )


def do(home: Path, line: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bot", "do", "--home", str(home), "--json", line]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert "Traceback" not in done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def kinds(home: Path) -> list[str]:
    with sqlite3.connect(home / "desk.db") as connection:
        return [row[0] for row in connection.execute("SELECT kind FROM event ORDER BY seq")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("where", "ended"), [("before", 1), ("after", 0), ("working", 0)], ids=["d7_before_the_wire", "d7_after_the_wire", "j1_while_it_works"]
)
def test_kill_9_when_an_order_is_on_its_way_then_it_is_found_out_and_never_sent_twice(tmp_path: Path, where: str, ended: int) -> None:
    killed = crash(tmp_path, where)
    assert killed.returncode == -signal.SIGKILL
    assert "Traceback" not in killed.stderr

    status = do(tmp_path, "status")
    assert status["ok"] is True

    log = kinds(tmp_path)
    assert log.count("Submitting") == 1
    assert log.count("OrderEnded") == ended
    assert log.count("OrderAcknowledged") == 1 - ended
    assert do(tmp_path, "status")["ok"] is True
    assert kinds(tmp_path).count("Submitting") == 1


@pytest.mark.timeout(300)
def test_clean_stop_when_started_again_then_the_log_goes_on(tmp_path: Path) -> None:
    assert crash(tmp_path, "none").returncode == 0
    before = kinds(tmp_path)
    assert do(tmp_path, "positions")["ok"] is True
    assert kinds(tmp_path)[: len(before)] == before


@pytest.mark.timeout(300)
def test_a10_second_process_when_the_first_lives_then_it_is_told_who_owns_the_desk(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-m", "bot", "chat", "--no-web", "--home", str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline()
        second = subprocess.run(
            [sys.executable, "-m", "bot", "chat", "--no-web", "--home", str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT_SECONDS,
        )
        assert second.returncode == 1
        assert f"pid {first.pid}" in second.stdout + second.stderr
        assert "Traceback" not in second.stderr
    finally:
        first.kill()
        first.communicate()
