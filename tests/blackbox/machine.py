"""What a test holds in its hands: a running exchange, homes on a real disk, and desk processes with their three standard files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PIN = "2468"
START = "2026-11-20"
READY = "help                         everything else"
WAIT_SECONDS = 60.0  # for a machine that does other things too
CHILD = "tests.blackbox.child"
SETTINGS: dict[str, Any] = {
    "desk.broker_seconds": 2, "desk.orders_per_minute": 1000, "desk.cards_per_minute": 1000, "desk.walk_seconds": 5,
    "desk.ticket_life_seconds": 900, "desk.crash_starts": 1000,
    "rules.duplicate.window_seconds": 0, "rules.positions.max_positions": 200, "rules.per_underlying.max_fraction": 1,
    "rules.per_underlying.cluster_fraction": 1, "rules.capital.max_fraction": 0.5, "rules.stress.max_fraction": 1,
    "rules.stress.warn_fraction": 1, "rules.margin_use.max_fraction": 0.6, "rules.margin_line.max_fraction": 0.8,
}


class Died(Exception):
    """The process ended before it said what was waited for."""


@dataclass(slots=True)
class Servers:
    """The two processes that outlive every desk: the exchange, and the server of warm processes."""

    exchange: subprocess.Popen[str]
    port: int
    warm: subprocess.Popen[bytes]
    socket: socket.socket

    @classmethod
    def launch(cls) -> Servers:
        exchange = subprocess.Popen(
            [sys.executable, "-m", "tests.blackbox.exchange"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        ours, theirs = socket.socketpair()
        warm = subprocess.Popen(
            [sys.executable, "-m", CHILD, "--warm", str(theirs.fileno())], cwd=ROOT, stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()], env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        theirs.close()
        ours.setblocking(False)
        assert exchange.stdout is not None
        return cls(exchange, int(exchange.stdout.readline()), warm, ours)

    def end(self) -> None:
        """End both; they end by themselves where this process dies."""
        self.socket.close()
        self.warm.wait()
        self.exchange.communicate()


class Exchange:
    """The line on which a checker talks to the exchange."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.port = port
        self._reader, self._writer = reader, writer
        self._lock = asyncio.Lock()

    @classmethod
    async def at(cls, port: int) -> Exchange:
        return cls(port, *await asyncio.open_connection("127.0.0.1", port, limit=256 * 1024 * 1024))

    async def do(self, what: str, account: str, **fields: Any) -> dict[str, Any]:
        """Ask for something of an account: open, habits, faults, freeze, bounce, trap, untrap, outside, fill, books."""
        async with self._lock:
            self._writer.write(json.dumps({"op": "control", "do": what, "account": account, **fields}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(await self._reader.readline())
        return answer

    def close(self) -> None:
        self._writer.close()


class Warm:
    """The line to the server that forks desk processes; see `child`."""

    def __init__(self, ours: socket.socket) -> None:
        self._socket = ours
        self.desks: list[Desk] = []  # every process of this test, warm or cold
        self._lock = asyncio.Lock()
        self._started: asyncio.Queue[int] = asyncio.Queue()
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._listening = asyncio.create_task(self._listen())

    async def spawn(
        self, arguments: Sequence[str], *, env: dict[str, str], cwd: Path, files: Sequence[int]
    ) -> tuple[int, asyncio.Future[int]]:
        """A new process with these standard files; its pid, and its exit code once it ended."""
        asked = json.dumps({"arguments": list(arguments), "env": env, "cwd": str(cwd)}).encode()
        async with self._lock:
            socket.send_fds(self._socket, [asked], list(files))
            pid = await self._started.get()
        return pid, self._ended.setdefault(pid, asyncio.get_running_loop().create_future())

    async def _listen(self) -> None:
        loop, buffer = asyncio.get_running_loop(), b""
        while chunk := await loop.sock_recv(self._socket, 65_536):
            *lines, buffer = (buffer + chunk).split(b"\n")
            for told in map(json.loads, lines):
                if "started" in told:
                    self._ended[told["started"]] = loop.create_future()
                    self._started.put_nowait(told["started"])
                elif told["ended"] in self._ended:
                    self._ended[told["ended"]].set_result(told["code"])

    async def close(self) -> None:
        """Kill whatever still runs, and listen no more."""
        for desk in self.desks:
            await desk.kill()
        self._listening.cancel()


@dataclass(eq=False)
class Desk:
    """One desk process."""

    pid: int
    home: Path
    stdin: int
    ended: asyncio.Future[int]
    heard: asyncio.Task[None]
    said: list[str] = field(default_factory=list)  # whole lines of its output
    stderr: Path = Path("/dev/null")
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def text(self) -> str:
        """Everything it said in whole lines, sentences in one piece."""
        return "\n".join(unwrapped(self.said))

    @property
    def alive(self) -> bool:
        return not self.ended.done()

    def type(self, *lines: str) -> None:
        """Type lines into the terminal chat; nothing where the process is gone."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.stdin, "".join(f"{line}\n" for line in lines).encode())

    async def hears(self, pattern: str, *, seconds: float = WAIT_SECONDS) -> re.Match[str]:
        """Wait until its output matches; raise Died where it ends first, TimeoutError where it never does."""
        until = time.monotonic() + seconds
        while True:
            ended = self.heard.done()
            found = re.search(pattern, self.text, re.MULTILINE)
            if found:
                return found
            if ended:
                raise Died(f"pid {self.pid} ended with {self.ended} before it said {pattern!r}:\n{self.text[-2000:]}\n{self.trouble}")
            self._news.clear()
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"pid {self.pid} did not say {pattern!r} in {seconds:g} s:\n{self.text[-2000:]}\n{self.trouble}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(left, 0.5))

    async def ready(self) -> None:
        """Wait until it has started, reconciled as far as it could, and reads what is typed."""
        await self.hears(re.escape(READY))

    async def ask(self, line: str, *, seconds: float = WAIT_SECONDS) -> dict[str, Any] | None:
        """One command over the owner's socket, as `do` sends it; its answer as data, None where the process ended without one."""
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_unix_connection(str(self.home / "desk.sock"))
                try:
                    request = json.dumps({"do": line}).encode()
                    writer.write(struct.pack(">I", len(request)) + request)
                    (length,) = struct.unpack(">I", await reader.readexactly(4))
                    answer: dict[str, Any] = json.loads(await reader.readexactly(length))
                    return answer
                finally:
                    writer.close()
        except (OSError, asyncio.IncompleteReadError):
            return None

    def signal(self, number: int) -> None:
        """Send a signal; nothing where the process is gone."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await self.gone()

    async def stop(self) -> int:
        """End its input, as a person who leaves; returns the exit code."""
        self._close_stdin()
        return await self.gone()

    async def gone(self, seconds: float = WAIT_SECONDS) -> int:
        """Wait for its end and for its last words."""
        async with asyncio.timeout(seconds):
            code = await asyncio.shield(self.ended)
            await asyncio.shield(self.heard)
        self._close_stdin()
        return code

    @property
    def trouble(self) -> str:
        """What it wrote to its standard error."""
        return self.stderr.read_text(errors="replace") if self.stderr.exists() else ""

    def _close_stdin(self) -> None:
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def _hear(self, line: str | None) -> None:
        if line is not None:
            self.said.append(line)
        self._news.set()


@dataclass
class Home:
    """A data directory, its account at the exchange, and how a process is started on it."""

    path: Path
    account: str
    exchange: Exchange
    warm: Warm
    env: dict[str, str] = field(default_factory=dict)
    config: str = ""
    starts: int = 0

    @classmethod
    async def make(
        cls, root: Path, exchange: Exchange, warm: Warm, *, name: str = "L1", settings: dict[str, Any] | None = None,
        env: str = "paper", seed: int = 1, market: str = "",
    ) -> Home:
        """A new directory with a configuration, and a new account with a million in cash."""
        path = root / name
        path.mkdir(mode=0o700, parents=True)
        lines = [f"  {key}: {value}" for key, value in {**SETTINGS, **(settings or {})}.items()]
        account = f"{{name: desk, broker: loopback, id: {name}, env: {env}, kind: reg_t}}"
        config = f"accounts: [{account}]\nsettings:\n" + "\n".join(lines) + f"\n{market}"
        (path / "config.yaml").write_text(config)
        await exchange.do("open", name, seed=seed, env=env)
        return cls(path=path, account=name, exchange=exchange, warm=warm)

    @property
    def data(self) -> Path:
        return self.path / "home"

    def arguments(self, *words: str) -> list[str]:
        """A command line of the desk on this directory."""
        return [*words, "--home", str(self.data), "--config", str(self.path / "config.yaml"), "--start", START]

    def environment(self) -> dict[str, str]:
        """What the process finds in its environment."""
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE") if key in os.environ}
        mine = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "DESK_PIN": PIN, "DESK_LOOPBACK": str(self.exchange.port)}
        mine["DESK_COMPILED"] = "0"  # half a minute of compiling for a desk that lives a second
        return {**inherited, **mine, **self.env}

    async def start(self, *words: str, cold: bool = False) -> Desk:
        """A desk process: the terminal chat, or another command. `cold` also starts the interpreter anew."""
        self.starts += 1
        (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
        stderr = self.path / f"stderr.{self.starts}"
        with stderr.open("wb") as errors:
            files = (in_read, out_write, errors.fileno())
            arguments = self.arguments(*(words or ("chat", "--no-web")))
            if cold:
                pid, ended = await self._exec(arguments, files)
            else:
                pid, ended = await self.warm.spawn(arguments, env=self.environment(), cwd=self.path, files=files)
        os.close(in_read)
        os.close(out_write)
        desk = Desk(pid=pid, home=self.data, stdin=in_write, ended=ended, heard=asyncio.create_task(asyncio.sleep(0)), stderr=stderr)
        desk.heard = asyncio.create_task(_listen(desk, out_read))
        self.warm.desks.append(desk)
        return desk

    async def run(self, *words: str, cold: bool = False) -> tuple[int, str, str]:
        """A command to its end: exit code, output, errors."""
        desk = await self.start(*words, cold=cold)
        code = await desk.gone(120)
        return code, desk.text, desk.trouble

    async def books(self, since: int = 0) -> dict[str, Any]:
        """The exchange's books of this account, with the requests from the `since`-th on."""
        return await self.exchange.do("books", self.account, since=since)

    async def faults(self, **values: Any) -> None:
        """What the wire does from now on; without arguments, nothing wrong."""
        await self.exchange.do("faults", self.account, set=values)

    async def habits(self, **values: Any) -> None:
        """How the exchange treats orders from now on."""
        await self.exchange.do("habits", self.account, set=values)

    async def _exec(self, arguments: Sequence[str], files: Sequence[int]) -> tuple[int, asyncio.Future[int]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", CHILD, *arguments, cwd=self.path, env=self.environment(), stdin=files[0], stdout=files[1],
            stderr=files[2],
        )
        return process.pid, asyncio.ensure_future(process.wait())


async def _listen(desk: Desk, fd: int) -> None:
    """Hear a process's output line by line to its end; a last line that was cut off is no line."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=64 * 1024 * 1024)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb"))
    try:
        while (line := await reader.readline()).endswith(b"\n"):
            desk._hear(line.decode("utf-8", "replace").rstrip("\n"))
    finally:
        transport.close()
        desk._hear(None)


def unwrapped(lines: Sequence[str]) -> list[str]:
    """Lines of a terminal with the sentences it wrapped in one piece again."""
    whole: list[str] = []
    for line in lines:
        if line.startswith("    ") and whole and whole[-1].startswith("["):
            whole[-1] += f" {line.strip()}"
        else:
            whole.append(line)
    return whole


@contextlib.asynccontextmanager
async def connected(servers: Servers) -> AsyncIterator[tuple[Exchange, Warm]]:
    """The lines to both servers, for as long as the block runs; no desk process survives it."""
    exchange, warm = await Exchange.at(servers.port), Warm(servers.socket)
    try:
        yield exchange, warm
    finally:
        await warm.close()
        exchange.close()
