"""The process itself: one command, the owner asked from outside, doctor, bad configuration, a second process."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FIXED = ("--start", "2026-11-20")


def bot(home: Path, *arguments: str, text: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m bot` to its end."""
    command = [sys.executable, "-m", "bot", *arguments, "--home", str(home), *FIXED]
    around = {**os.environ, **(env or {})}
    return subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False, env=around)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A directory after its first start, and what that start said: making the tables is the slow part, so it is done once."""
    home = tmp_path_factory.mktemp("template") / "home"
    return home, bot(home, "chat", "--no-web", text="positions\nnote hello\n").stdout


@pytest.fixture
def home(template: tuple[Path, str], tmp_path: Path) -> Path:
    """A directory of a desk that was started once before."""
    return Path(shutil.copytree(template[0], tmp_path / "home"))


@pytest.fixture
def owner(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A chat that owns the desk in `home` and has greeted."""
    command = [sys.executable, "-m", "bot", "--no-web", "--home", str(home), *FIXED]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    assert process.stdout is not None
    while "help" not in (line := process.stdout.readline()):
        assert line, "the chat ended before it greeted"
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_do_when_a_command_is_given_then_answers_and_exits_0(home: Path) -> None:
    done = bot(home, "do", "positions SPY")
    assert done.returncode == 0, done.stderr
    assert "No open positions of SPY" in done.stdout
    assert done.stderr == ""


def test_do_when_refused_then_exits_1_with_a_sentence_and_no_trace(home: Path) -> None:
    done = bot(home, "do", "open put_credit_spread ZZZZ")
    assert done.returncode == 1
    assert "ZZZZ" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_do_when_used_wrongly_then_exits_2(home: Path) -> None:
    assert bot(home, "do").returncode == 2
    assert bot(home, "backups").returncode == 2


def test_do_when_json_is_asked_then_is_data(home: Path) -> None:
    done = bot(home, "do", "--json", "account")
    plain = json.loads(done.stdout)
    assert plain["ok"] is True
    assert plain["blocks"][0]["rows"][0][5] == "100000"


def test_do_when_a_trade_is_made_by_two_processes_then_the_second_sees_the_first(home: Path) -> None:
    card = json.loads(bot(home, "do", "--json", "open put_credit_spread XSP 1").stdout)
    sent = json.loads(bot(home, "do", "--json", f"confirm {card['data']['ticket']}").stdout)
    again = bot(home, "do", f"confirm {card['data']['ticket']}")
    assert sent["data"]["order"] in again.stdout
    assert "already confirmed" in again.stdout
    assert again.returncode == 1


def test_files_when_made_then_only_this_user_can_read_them(home: Path) -> None:
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o600}


def test_pin_when_made_then_is_shown_at_the_first_start_only(template: tuple[Path, str], home: Path) -> None:
    assert template[1].count("Your PIN is") == 1
    assert "Your PIN is" not in bot(home, "chat", "--no-web", text="positions\n").stdout


def test_chat_when_the_pin_comes_from_the_environment_then_it_lifts_a_halt(home: Path) -> None:
    done = bot(home, "chat", "--no-web", text="halt\nunhalt\n97531\n", env={"DESK_PIN": "97531"})
    assert "Lifted" in done.stdout
    assert "97531" not in done.stdout


def test_config_when_it_is_bad_then_the_chat_lists_every_error_and_trades_nothing(home: Path) -> None:
    bad = home / "bad.yaml"
    bad.write_text("accounts: nobody\nmargin: 3\nwatch_list: spy\n")
    done = bot(home, "chat", "--no-web", "--config", str(bad), text="open put_credit_spread XSP 1\n1\n")
    assert done.returncode == 0
    assert "RECOVERY" in done.stdout
    for words in ("unknown key 'margin'", "accounts must be a list", "watch_list must be a list"):
        assert done.stdout.split("> open")[0].count(words) == 1
    assert "Confirm" not in done.stdout


def test_chat_when_the_page_is_served_or_its_port_taken_then_says_so_and_a_pipe_still_ends_it(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        texts = ("web: {port: 0}\n", f"web: {{port: {port}}}\n")
        configs = [home / f"{number}.yaml" for number in range(2)]
        [config.write_text(text) for config, text in zip(configs, texts, strict=True)]
        served, refused = (bot(home, "chat", "--config", str(config), text="positions\n") for config in configs)
    assert re.search(r"Web:  http://127\.0\.0\.1:\d+/enter/\S{22}\n", served.stdout)
    assert f"port {port} cannot be used" in refused.stdout
    assert "--no-web" in refused.stdout
    for done in (served, refused):
        assert done.returncode == 0
        assert "No open positions" in done.stdout
        assert done.stderr == ""


def test_doctor_when_all_is_well_then_exits_0_and_audits(home: Path) -> None:
    done = bot(home, "doctor", "--audit")
    assert done.returncode == 0, done.stdout
    assert "every page and hash checked" in done.stdout
    assert "no desk process is running" in done.stdout


def test_h5_doctor_when_a_row_was_edited_then_exits_1(home: Path) -> None:
    path = home / "desk.db"
    content = path.read_bytes()
    assert b'"text":"hello"' in content
    path.write_bytes(content.replace(b'"text":"hello"', b'"text":"jello"'))
    done = bot(home, "doctor", "--audit")
    assert done.returncode == 1
    assert "[x]  database" in done.stdout
    start = bot(home, "do", "positions")
    assert start.returncode == 1
    assert "Traceback" not in start.stderr


@pytest.mark.parametrize("name", ["desk.db", "archive.db"])
def test_k6_doctor_when_others_can_read_a_database_then_exits_1_as_the_start_does(home: Path, name: str) -> None:
    (home / name).chmod(0o644)
    done = bot(home, "doctor")
    assert done.returncode == bot(home, "do", "positions").returncode == 1
    assert f"{name} can be read by other users" in done.stdout
    assert "chmod 600" in done.stdout


def test_h5_doctor_when_the_archive_is_damaged_then_exits_1_as_the_start_does(home: Path) -> None:
    (home / "archive.db").write_bytes(b"this is no database at all" * 100)
    done = bot(home, "doctor")
    assert done.returncode == bot(home, "do", "positions").returncode == 1
    assert "[x]  archive" in done.stdout


def test_doctor_when_the_configuration_is_bad_then_exits_1_with_each_error(home: Path) -> None:
    bad = home / "bad.yaml"
    bad.write_text("accounts: nobody\nmargin: 3\n")
    done = bot(home, "doctor", "--config", str(bad))
    assert done.returncode == 1
    assert done.stdout.count("[x]  config") == 2


def test_kill_when_nobody_owns_the_desk_then_halts_it_for_the_next_start(home: Path) -> None:
    assert bot(home, "kill").returncode == 0
    assert "HALTED" in bot(home, "do", "status").stdout


def test_kill_when_the_desk_cannot_be_opened_then_writes_the_halt_file(home: Path) -> None:
    (home / "desk.db").write_bytes(b"this is no database at all" * 100)
    done = bot(home, "kill")
    assert (home / "HALT").exists()
    assert "HALT file was written" in done.stdout
    assert done.returncode == 0


def test_h8_second_process_when_one_owns_the_desk_then_is_told_and_changes_nothing(home: Path, owner: subprocess.Popen[str]) -> None:
    done = bot(home, "chat", "--no-web", text="note x\n")
    assert done.returncode == 1
    assert "in use by another desk process" in done.stdout
    assert owner.poll() is None


def test_owner_when_asked_from_outside_then_answers_and_kills(home: Path, owner: subprocess.Popen[str]) -> None:
    assert "Noted: hi" in bot(home, "do", "note hi").stdout
    assert "answers" in bot(home, "doctor").stdout
    killed = bot(home, "kill")
    assert killed.returncode == 0
    assert "HALTED" in bot(home, "do", "status").stdout
    assert not (home / "HALT").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_j2_signal_when_sent_then_the_chat_stops_cleanly(home: Path, owner: subprocess.Popen[str], number: signal.Signals) -> None:
    owner.send_signal(number)
    out, _ = owner.communicate(timeout=20)
    assert owner.returncode == 0, out
    assert "Traceback" not in out
    assert bot(home, "do", "positions").returncode == 0


def shell(home: Path, redirected: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m bot` with its streams as a shell would set them."""
    command = " ".join([sys.executable, "-m", "bot", *arguments, "--home", f"'{home}'", *FIXED, redirected])
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def test_streams_when_closed_then_the_database_is_not_written_to_and_no_trace_shows(home: Path) -> None:
    assert shell(home, "<&- >&- 2>&-", "do", "positions").returncode == 0
    chat = shell(home, "<&-", "chat", "--no-web")
    assert (chat.returncode, chat.stderr) == (0, "")
    done = bot(home, "doctor", "--audit")
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_streams_when_the_answer_cannot_be_written_then_says_so_and_exits_1(home: Path) -> None:
    done = shell(home, ">/dev/full", "do", "positions")
    assert done.returncode == 1
    assert done.stderr == "[x] The answer could not be written: No space left on device.\n"


def test_streams_when_the_reader_left_then_ends_quietly(home: Path) -> None:
    done = shell(home, "| true", "do", "help")
    assert done.stderr == ""


def test_streams_when_they_are_ascii_then_what_they_lack_is_a_question_mark(home: Path) -> None:
    done = bot(home, "do", "positions", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "PAPER ? SIMULATED" in done.stdout


def test_kill_when_not_even_the_halt_file_can_be_written_then_says_that_nothing_was_stopped(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("no directory")
    done = bot(place, "kill")
    assert done.returncode == 1
    assert "No HALT file could be written" in done.stdout
    assert "Nothing was stopped" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--speed", "0"), "speed must be a number above 0 and up to 100,000, not '0'"),
        (("--speed", "nan"), "speed must be a number above 0"),
        (("--start", "soon"), "a day is written as 2026-11-20, not 'soon'"),
        (("--home", ""), "a directory has a name"),
    ],
)
def test_options_when_wrong_then_exit_2_says_what_would_be_right(arguments: tuple[str, str], words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "bot", *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 2
    assert words in done.stderr


def test_data_when_a_file_is_damaged_then_names_it_as_it_is_called(home: Path, tmp_path: Path) -> None:
    (tmp_path / "chain.csv").write_bytes(bytes(range(128, 256)))
    done = bot(home, "do", "status", "--data", str(tmp_path))
    assert done.returncode == 1
    assert "[x] chain.csv cannot be read" in done.stderr
