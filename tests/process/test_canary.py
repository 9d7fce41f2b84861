"""Secrets given to a real process by every way there is; afterwards not one byte of them is in anything it left behind or said.

The marks stand in the environment, in the configuration, in typed lines and in what a broker answers; errors are provoked on the way.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 90
PIN = "918273645"
ENVIRONMENT = {
    "DESK_PIN": PIN,
    "TELEGRAM_TOKEN": "7712345678:AAcanary1AAcanary1AAcanary1AAcanary1",
    "ANTHROPIC_API_KEY": "sk-ant-api03-canary2",
    "BROKER_SECRET": "canary3 with spaces & signs/+",
    "DATABASE_URL": "postgresql://desk:canary4%40pg@127.0.0.1/desk",
}
TYPED = (
    "note my key is sk-ant-api03-canary5",
    "note broker at https://me:canary6@broker.example/v1?api_key=canary7",
    "open put_credit_spread XSP quantity=1",
    "Confirm",
    "halt",
    "unhalt",
    PIN,
    "halt",
    f"unhalt pin={PIN}",
    f"frobnicate pin={PIN} token=canary8canary8",
    "open put_credit_spread XSP password=canary9canary9",
    "status",
)
CANARIES = (PIN, *(f"canary{number}" for number in range(1, 20)))


def bot(home: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bot", *arguments, "--home", str(home), "--start", "2026-11-20"]
    around = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=home.parent, input=typed, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False, env=around
    )


def artefacts(home: Path) -> Iterator[tuple[str, bytes]]:
    """Every file the process made, whatever it is: databases and their write-ahead files, records, snapshots, caches."""
    for path in sorted(home.rglob("*")):
        if stat.S_ISREG(path.lstat().st_mode):
            yield str(path.relative_to(home)), path.read_bytes()


def found(home: Path, *said: str) -> list[str]:
    """Where which canary sings. Nothing may."""
    places = [*artefacts(home), *((f"what was said ({number})", text.encode()) for number, text in enumerate(said, 1))]
    return [f"{canary} in {name}" for name, content in places for canary in CANARIES if canary.encode() in content]


def records(home: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (home / "desk.log").read_text().splitlines()]


@pytest.mark.timeout(300)
def test_k2_canary_when_secrets_come_by_every_way_then_no_artefact_and_no_output_holds_one(tmp_path: Path) -> None:
    home = tmp_path / "home"

    chat = bot(home, "--no-web", typed="\n".join(TYPED) + "\n")
    wrong = bot(home, "do", "unhalt pin=918273640")
    status = bot(home, "do", "status")
    doctor = bot(home, "doctor", "--audit")

    assert [chat.returncode, wrong.returncode, status.returncode, doctor.returncode] == [0, 1, 0, 0], chat.stderr + doctor.stdout
    assert chat.stderr + wrong.stderr + status.stderr + doctor.stderr == ""
    said = chat.stdout + wrong.stdout + status.stdout + doctor.stdout
    assert found(home, said) == []
    assert {"desk.db", "archive.db", "desk.log"} <= {name for name, _ in artefacts(home)}
    assert "****" in chat.stdout
    assert {"verdict", "wire", "Submitting", "call", "pin refused"} <= {str(record["event"]) for record in records(home)}
    assert sum(record["event"] == "ModeSet" for record in records(home)) >= 4, "both PINs were right, so each HALT was lifted"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "config",
    [
        "market: {provider: recorded, data_dir: 'https://me:canary10@data.example/x?api_key=canary11'}\n",
        "market: {provider: simulated, url: 'postgres://me:canary12@host/db', password: canary13canary}\n",
        "accounts: [{name: a, broker: paper, id: A, env: 'https://u:canary14@h/', kind: reg_t, api_key: canary15canary}]\n",
        "market: {provider: 'Bearer canary16canary16'\n  token: canary17canary17: [\n",
    ],
    ids=["unusable_address", "unknown_options", "wrong_account", "broken_yaml"],
)
def test_k2_canary_when_secrets_stand_in_the_configuration_then_not_even_its_errors_show_them(tmp_path: Path, config: str) -> None:
    home = tmp_path / "home"
    (tmp_path / "config.yaml").write_text(config)

    said = [bot(home, "doctor"), bot(home, "--no-web", typed="status\nconfig\n")]

    assert found(home, *(done.stdout + done.stderr for done in said)) == []
    assert all("Traceback" not in done.stdout + done.stderr for done in said)
    assert all(done.stdout + done.stderr for done in said)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("end", "code"), [("end", 0), ("die", -signal.SIGKILL)])
def test_k2_canary_when_broker_and_commands_fail_with_secrets_then_only_their_ids_are_left(tmp_path: Path, end: str, code: int) -> None:
    home = tmp_path / "home"
    around = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.process.canary_child", str(home), end], cwd=ROOT, capture_output=True, text=True,
        timeout=LIMIT_SECONDS, check=False, env=around,
    )

    assert done.returncode == code, done.stderr
    assert ("desk.db-wal" in dict(artefacts(home))) is (end == "die")
    assert found(home, done.stdout, done.stderr) == []
    assert done.stderr == ""
    failed = [record for record in records(home) if record["event"] in ("failed", "library")]
    assert {record["where"] for record in failed if record["event"] == "failed"} >= {"command note", "lost: ****", "link ****"}
    assert all(record["trace"] for record in failed if record["event"] == "failed")
    assert [record["message"] for record in failed if record["event"] == "library"] == [
        "POST https://api.telegram.org/bot****/getUpdates"
    ]
    shown = [str(record["error_id"]) for record in failed if str(record.get("where", "")).startswith("command")]
    assert shown
    assert all(identity in done.stdout for identity in shown)
    assert "Traceback" not in done.stdout


def test_k6_home_when_everything_was_written_then_only_its_owner_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert bot(home, "--no-web", typed="status\n").returncode == 0
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in (home, *home.rglob("*"))}
    assert [name for name, mode in modes.items() if mode & 0o077] == []
