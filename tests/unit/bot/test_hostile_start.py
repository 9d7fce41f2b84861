"""Starts nobody meant: arguments, variables, files and neighbours of any kind. Each is refused with a sentence; none holds up the desk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import bot.doctor
import core.store.owner
from bot.__main__ import main
from bot.auth import open_pins
from bot.channels.terminal import LONGEST_BYTES, LineReader
from core.config import ConfigError, load_config, speed_of
from core.errors import Unavailable, UserError
from core.redaction import MARK, Redaction
from core.runtime import SystemRuntime
from core.store.owner import clear_halt, read_answer, read_halt, write_halt

NO_TEXT = "\udcff\udcfe"  # how Python shows bytes of the environment that are no UTF-8
LAUGHS = "a: &a [lol, lol, lol]\n" + "".join(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip(
    "abcdefgh", "bcdefghi", strict=True
))


@pytest.mark.parametrize("text", [f"{NO_TEXT}hidden-token", "\ud800hidden-token"])
def test_k2_secret_when_it_is_no_text_then_is_struck_out(text: str) -> None:
    redaction = Redaction.of_environment({"DESK_TOKEN": text})
    assert redaction.redact(f"it said {text}") == f"it said {MARK}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "more than 20,000 values"), (f"fees: {'x' * 1_001}\n", "a value of more than 1,000 characters"),
        (f"market: {{seed: 0x{'f' * 9_000}}}\n", "a value of more than 1,000 characters"), (f"#{'x' * 100_000}\n", "over 100,000 bytes"),
    ],
    ids=["anchors", "word", "number", "file"],
)
def test_k1_file_when_it_would_grow_without_bound_then_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(path)


def test_k1_file_when_it_has_no_end_then_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(ConfigError, match="it is no file"):
            load_config(path)


def test_k1_file_when_a_value_is_endless_then_its_refusal_is_not(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"fees: [{', '.join(['x' * 900] * 90)}]\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(str(caught.value)) < 1_000


def test_digits_when_of_another_script_then_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="4 to 12 digits"):
        open_pins(tmp_path, SystemRuntime(), make="471100", salt="00", given="٤٧١١٠٠")
    with pytest.raises(ValueError, match="speed must be a number"):
        speed_of("٣")


@pytest.mark.parametrize(
    "arguments",
    [("--seed", "٣"), ("--seed", "9" * 30), ("--speed", "1e400"), ("--speed", "٣"), ("--home", "x" * 300), ("--data", "x/" * 3_000)],
    ids=lambda pair: f"{pair[0]} {pair[1][:8]}",
)
def test_arguments_when_absurd_then_are_refused_in_a_few_words(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "do", "status"])
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()[-1]) < 200


def test_home_when_it_cannot_be_one_then_says_why(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["--home", "/dev/null/x", "do", "status"]) == 1
    monkeypatch.setenv("DESK_HOME", "x" * 5_000)
    assert main(["do", "status"]) == 1
    said = capsys.readouterr().err
    assert "/dev/null/x cannot be a data directory" in said
    assert "DESK_HOME cannot be used: 'xxxxxxxxxxxxxxxxxxxx'... is longer than" in said
    assert len(said) < 400


def test_home_when_its_name_is_no_text_then_serves_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(tmp_path / NO_TEXT), "do", "status"]) == 0
    assert "cash" in capsys.readouterr().out


def test_move_when_the_lock_is_a_directory_then_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    assert main(["--home", str(home), "do", "status"]) == 0
    (home / "desk.db.lock").unlink()
    (home / "desk.db.lock").mkdir()
    assert main(["--home", str(home), "move", "--from", str(home), "--to", str(tmp_path / "new")]) == 1
    assert "desk.db.lock: Is a directory" in capsys.readouterr().err


def test_places_when_they_can_be_none_then_nothing_is_moved_and_nothing_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    (tmp_path / "taken.partial").write_bytes(b"")
    assert main(["--home", str(home), "do", "note hello"]) == 0
    for words in (
        ("move", "--from", str(home), "--to", str(home / "incoming")), ("backup", str(home / "incoming")),
        ("restore", "/dev/null", "--force"),
        ("restore", str(tmp_path), "--force"), ("backup", str(tmp_path / "taken")), ("backup", "/dev/null/x"),
    ):
        capsys.readouterr()
        assert main([*words, "--home", str(home)]) == 1
        assert "wrong on our side" not in capsys.readouterr().err
    assert main(["--home", str(home), "doctor", "--audit"]) == 0


# --- HALT ---------------------------------------------------------------------------------------------------------------------


def _directory(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _nowhere(path: Path) -> None:
    path.symlink_to("nowhere/at/all")


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [_directory, _device, _nowhere, _circle, os.mkfifo], ids=lambda make: make.__name__)
def test_l1_halt_when_it_is_no_file_then_halts_and_holds_nobody_up(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "HALT")
    assert read_halt(tmp_path)
    write_halt(tmp_path, "kill")
    assert read_halt(tmp_path)


def test_l1_halt_when_it_is_endless_then_its_beginning_is_read(tmp_path: Path) -> None:
    (tmp_path / "HALT").write_bytes(b"x" * 1_000_000)
    assert read_halt(tmp_path) == "x" * 4_096


def test_l1_halt_when_it_cannot_be_removed_then_says_so_and_stays(tmp_path: Path) -> None:
    (tmp_path / "HALT").mkdir()
    with pytest.raises(UserError, match="the desk stays halted"):
        clear_halt(tmp_path)
    assert read_halt(tmp_path)


# --- who answers, who writes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'"status"'])
def test_f9_owner_when_its_answer_is_none_then_unavailable(answer: bytes) -> None:
    with pytest.raises(Unavailable, match="does not answer as a desk does"):
        read_answer(answer)


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"ok": "yes", "text": 7}', b'{"ok": true, "text": " "}'])
@pytest.mark.parametrize("words", [("do", "status"), ("doctor",), ("kill",)], ids=lambda words: words[0])
def test_f9_command_when_something_else_listens_then_ends_with_a_sentence(
    words: tuple[str, ...], answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ask(*args: Any, **kwargs: Any) -> bytes:
        return answer

    for module in (core.store.owner, bot.doctor):
        monkeypatch.setattr(module, "ask_owner", ask)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    assert main([*words, "--home", str(home)]) in (0, 1)
    shown = capsys.readouterr()
    assert "wrong on our side" not in shown.out + shown.err
    assert (shown.out + shown.err).strip()
    assert words[0] != "kill" or read_halt(home) == "kill from the command line"


async def test_line_when_it_has_no_end_then_only_its_beginning_is_kept_and_the_next_is_read(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"x" * (3 * LONGEST_BYTES) + b"\nhalt\n")
    runtime = SystemRuntime()
    with (tmp_path / "input").open("rb") as file:
        lines = LineReader(runtime, file.fileno(), stopping=lambda: False)
        first, second = await lines(), await lines()
        assert first is not None and LONGEST_BYTES <= len(first) < 2 * LONGEST_BYTES
        assert second == "halt"
        assert await lines() is None
    await runtime.aclose()


def test_log_when_it_is_a_pipe_then_no_answer_waits_for_a_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    os.mkfifo(home / "desk.log")
    assert main(["--home", str(home), "do", "note hello"]) == 0
    assert "Noted: hello" in capsys.readouterr().out
