"""Ports of the process itself: its command line and environment, the files of its home, what answers at its socket, and its screen.

A command ends with one of the exit codes it documents and with sentences. It never shows where in the code it was, and never has to say
that something went wrong on our side.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import bot.__main__
import bot.auth
import bot.doctor
import core.store.owner
from bot.__main__ import _config_path, _database, _home, _parser, _secrets, main
from bot.auth import local_owner
from bot.channels.terminal import LineReader, Terminal
from bot.session import Session
from core.desk import Desk
from core.errors import DeskError
from core.logs import FILE_NAME
from tests.fuzz.chats import CHEAP, PINS
from tests.fuzz.figures import CONFIG_TEXTS
from tests.fuzz.harness import Changed, Port
from tests.fuzz.looped import Looped
from tests.fuzz.source import HOSTILE, Source
from tests.fuzz.words import ADDRESSES, LINES, held, stateless
from tests.paper_desk import open_desk

FIXED = ("--start", "2026-11-20")
COMMAND_LINES: tuple[tuple[str, ...], ...] = (
    (), ("chat",), ("do", "status"), ("do", "positions", "SPY", "--json"), ("doctor", "--audit"), ("config", "--json"),
    ("kill", "--flatten"),
    ("backup", "copy"), ("restore", "copy", "--force"), ("move", "--from", "data", "--to", "postgresql://u:secret@127.0.0.1/d"),
    ("--home", "data", "do", "quote XSP"), ("--data", "recorded", "do", "chain SPX"), ("--config", "config.yaml", "doctor"),
    ("--seed", "1", "--speed", "60", "--start", "2026-11-20"), ("--database", "postgresql://desk@127.0.0.1:5432/desk", "do", "status"),
)
WORDS = (
    "--home", "--config", "--data", "--seed", "--speed", "--start", "--json", "-h", "do", "status", "٣", "1e400", "nan", "-1", "9" * 30,
    "0001-01-01", "9999-12-31", "/dev/zero", "/proc", "/etc/passwd/x", "x" * 300, "x/" * 3_000, "\udcff\udcfe", "=", "--=", "",
)
VARIABLES = ("DESK_HOME", "DESK_DATABASE", "DESK_PIN", "DESK_TOKEN", "ANTHROPIC_API_KEY", "LANG", "DESK_COMPILED")
VALUES = ("data", "/dev/null", "x" * 5_000, "\udcff\udcfehidden-token", "secret-token-1234", "hunter2-Hunter2")


OFFLINE = tuple(text for text in CONFIG_TEXTS if b"postgres" not in text)  # no input goes to a server


def given(text: str) -> str:
    """A text as an argument or a variable can hold it: bytes without NUL, which the system may not have been able to read."""
    return text.replace("\0", "").encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")


def environment(source: Source) -> dict[str, str]:
    """Some of the desk's variables with values of any kind."""
    values = (*VALUES, *ADDRESSES, *PINS)
    return {name: given(source.text(values)) for name in VARIABLES if name != "DESK_COMPILED" and source.chance(0.3)}


@contextlib.contextmanager
def screens() -> Iterator[io.StringIO]:
    """Both standard streams of a command, as one text."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        yield shown


def clean_screen(shown: str) -> None:
    """No trace of the code and no confession on a screen."""
    held("Traceback (most recent" not in shown and ", line " not in shown, f"a trace is shown: {shown[-2000:]!r}")
    held("went wrong on our side" not in shown, f"an error nobody expected: {shown[-500:]!r}")


def feed_command_line(source: Source) -> str:
    """Arguments and variables of any kind: read, or refused by a usage with exit code 2; secrets of the environment are known."""
    words = [given(source.text((word,))) if source.chance(0.3) else word for word in source.pick(COMMAND_LINES)]
    for _ in range(source.number(3)):
        words.insert(source.number(len(words)), given(source.pick(WORDS) if source.chance(0.6) else source.text()))
    around = environment(source)
    with screens() as shown, mock.patch.dict(os.environ, around):
        try:
            options = _parser().parse_args(words)
        except SystemExit as ended:
            held(ended.code in (0, 2) and bool(shown.getvalue()), f"ended with {ended.code}, saying {shown.getvalue()!r}")
            clean_screen(shown.getvalue())
            return "usage"
        options.config = None  # a file that a fuzzer names may be anything on this machine
        redaction = _secrets(options)
        token = around.get("DESK_TOKEN", "").strip()
        held(len(token) < 6 or token.isdigit() or token not in redaction.redact(f"<{token}>", strict=True), f"{token!r} is no secret")
        try:
            (_home(options), _database(options), _config_path(options))
        except DeskError as error:
            held(bool(str(error)), "a refusal without a sentence")
            return "refused"
    return "read"


class Commands:
    """Whole commands on a home whose files, configuration, environment and neighbour at the socket may hold anything."""

    LINES = (
        ("do", "status"), ("do", "positions"), ("doctor",), ("doctor", "--audit"), ("config", "--json"), ("kill",), ("backup",),
        ("do", "unhalt"),
        ("do", "open put_credit_spread XSP 1"), ("move", "--from", "HOME", "--to", "NEW"), ("restore", "COPY", "--force"),
    )

    def __init__(self, source: Source) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name)
        self._handlers = list(logging.getLogger().handlers)
        self._patches = (
            mock.patch.object(bot.auth, "_COST", CHEAP), mock.patch.object(bot.__main__, "PROOF_SECONDS", 0.0),
            mock.patch.dict(os.environ, {"DESK_COMPILED": "0", "DESK_PIN": "", "DESK_HOME": ""}),
        )
        for patch in self._patches:
            patch.start()
        whole = self._path / "whole"
        with screens() as shown:
            for words in (("do", "note hello"), ("backup", str(self._path / "copy"))):
                held(main([*words, "--home", str(whole), *FIXED]) == 0, f"no home to begin with: {shown.getvalue()}")
        self._files = {path.name: path.read_bytes() for path in whole.iterdir() if path.is_file()}
        self._names = (*self._files, "HALT", "desk.sock", "starts", "desk.db-wal", "archive.db-wal")

    def one(self, source: Source) -> str:
        home = self._path / "home"
        for name in ("home", "new"):
            shutil.rmtree(self._path / name, ignore_errors=True)
        home.mkdir(mode=0o700)
        for name, content in self._files.items():
            self._put(home / name, content)
        if source.chance(0.7):
            self._bend(source, home)
        words = [word.replace("HOME", str(home)).replace("NEW", str(self._path / "new")).replace("COPY", str(self._path / "copy"))
                 for word in source.pick(self.LINES)]
        if source.chance(0.3):
            config = self._path / "config.yaml"
            config.write_bytes(source.raw(OFFLINE))
            words += ["--config", str(config)]
        around = environment(source) if source.chance(0.3) else {}
        for name in ("DESK_HOME", "DESK_DATABASE"):
            around.pop(name, None)
        code, shown = self._run(source, [*words, "--home", str(home), *FIXED], around)
        log = home / FILE_NAME
        if "went wrong on our side" in shown and log.is_file():
            raise Changed(f"{words}: {json.loads(log.read_bytes().splitlines()[-1]).get('trace', shown)!s}"[-1500:])
        clean_screen(shown)
        held(code in (0, 1, 2) and bool(shown.strip()), f"{words} ended with {code}, saying {shown!r}")
        return f"{words[0]} {code}"

    def _run(self, source: Source, words: list[str], around: dict[str, str]) -> tuple[int, str]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, around))
            if source.chance(0.15):
                answer = source.raw((b'{"ok": true, "text": "x", "json": {}}', b'{"pid": 7}', b"[]", b"[" * 100_000))
                for module in (core.store.owner, bot.doctor):
                    stack.enter_context(mock.patch.object(module, "ask_owner", _answering(answer)))
            shown = stack.enter_context(screens())
            try:
                return main(words), shown.getvalue()
            except SystemExit as ended:
                return int(str(ended.code)), shown.getvalue()

    def _bend(self, source: Source, home: Path) -> None:
        """One or two of its files damaged, gone, a directory, or a link that leads nowhere or in a circle; the log a pipe, too."""
        for _ in range(1 + source.number(1)):
            path = home / source.pick(self._names)
            content = self._files.get(path.name, b"")
            if path.is_dir():
                continue
            path.unlink(missing_ok=True)
            match int(source.rng.random() * 8):
                case 0 if path.name in (FILE_NAME, "HALT", "desk.sock") and source.chance(0.5):
                    os.mkfifo(path)
                case 0:
                    path.mkdir()
                case 1:
                    path.symlink_to("nowhere/at/all")
                case 2:
                    path.symlink_to(path.name)
                case 3:
                    self._put(path, content[: source.number(len(content))])
                case 4:
                    pass
                case _:
                    self._put(path, source.raw((content,)))

    @staticmethod
    def _put(path: Path, content: bytes) -> None:
        path.write_bytes(content)
        path.chmod(0o600)

    def close(self) -> None:
        for patch in self._patches:
            patch.stop()
        logging.captureWarnings(False)
        logging.getLogger().handlers = self._handlers
        self._folder.cleanup()


def _answering(answer: bytes) -> Callable[..., Any]:
    async def ask(*args: Any, **kwargs: Any) -> bytes:
        return answer

    return ask


class AtOnce:
    """A thread that is none: what it is given is done at once."""

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)


class Screen(Looped):
    """Bytes on the standard input of a chat: every line is answered, and nothing unseen reaches the screen."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._desk: Desk = self.run(open_desk())
        self._folder = tempfile.TemporaryDirectory()
        self._file = (Path(self._folder.name) / "input").open("w+b")
        self._lines = LineReader(self._desk.runtime, self._file.fileno(), stopping=lambda: False)
        self._lines._worker = AtOnce()  # type: ignore[assignment]
        self._bytes = tuple(f"{line}\n".encode() for line in LINES if not line.startswith(("next", "to ", "kill")))

    def one(self, source: Source) -> str:
        parts = [source.raw(self._bytes) if source.chance(0.5) else source.pick(self._bytes) for _ in range(1 + source.number(2))]
        if source.chance(0.02):
            parts.append(source.pick((b"x", b"\0", b"\xff", "‮".encode())) * source.pick((4_000, 4_001, 1_100_000)))
        content = b"".join(parts)
        self._file.truncate(0)
        self._file.seek(0)
        self._file.write(content)
        self._file.flush()
        self._file.seek(0)
        self._lines._ended, self._lines._buffer = False, b""
        shown: list[str] = []
        session = Session(self._desk, person=local_owner(), chat="terminal")
        self.run(Terminal(session, lines=self._lines, write=shown.append).run())
        text = "".join(shown)
        clean_screen(text)
        held(not any(sign in text for sign in HOSTILE[:8].replace("\n", "") + "\u200b\u202e\u2066\ufeff"), "an unseen character is shown")
        held(max(map(len, text.split("\n"))) <= 500, "a line without end is shown")
        said = sum(1 for line in content.split(b"\n") if line.decode("utf-8", "replace").strip())
        leaving = any(word in content.lower() for word in (b"exit", b"quit", b"bye"))
        held(leaving or text.count("\n> ") + text.startswith("> ") == said, f"{said} lines, not all of them answered: {text!r:.500}")
        return "answered"

    def close(self) -> None:
        super().close()
        self._file.close()
        self._folder.cleanup()


PORTS = (
    stateless("command line", 8, feed_command_line),
    Port(name="commands", share=0.15, opened=Commands),
    Port(name="terminal", share=4, opened=Screen, episode=200),
)
