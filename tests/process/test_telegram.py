"""The desk as a service on Telegram, killed without a word: what it had to tell comes after the restart, its token is nowhere."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from pathlib import Path

from tests.telegram_server import TOKEN, TelegramServer, telegram_server

ALICE = 4711
ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20.0


async def start(home: Path) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "--no-web", "--config", str(home / "config.yaml"), "--home", str(home / "data"),
        stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, cwd=ROOT, env={**os.environ, "TELEGRAM_TOKEN": TOKEN},
    )


async def code_of(process: Process) -> str:
    """The code that the start prints."""
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        while b"/start" not in (line := await process.stdout.readline()):
            assert line, "the desk ended"
    return line.decode().split("/start ")[1].split("`")[0]


async def halted_while_nobody_can_be_reached(server: TelegramServer, process: Process) -> None:
    server.write(ALICE, f"/start {await code_of(process)}")
    await server.last(ALICE, "you are its owner")
    server.blocked.add(ALICE)
    server.write(ALICE, "halt")
    await server.until(lambda: any("blocked" in words for _, words in server.refused))


async def test_a6_service_when_killed_before_its_news_arrived_then_tells_it_after_the_restart_and_shows_no_token(tmp_path: Path) -> None:
    async with telegram_server() as server:
        (tmp_path / "config.yaml").write_text(f"telegram: {{base_url: '{server.url}'}}\n")
        first = await start(tmp_path)
        await halted_while_nobody_can_be_reached(server, first)
        first.kill()
        await first.communicate()
        server.blocked.clear()
        second = await start(tmp_path)
        await server.until(lambda: any("The desk is HALTED" in text for text in server.texts(ALICE)))
        second.send_signal(signal.SIGTERM)
        said, _ = await second.communicate()
    assert second.returncode == 0
    assert TOKEN.encode() not in said
    kept = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert kept and not [path for path in kept if TOKEN.split(":")[1].encode() in path.read_bytes()]
