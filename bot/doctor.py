"""`python -m bot doctor`: what a person should know before trusting this machine with a desk. Works without chat, model and data."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from core.clock import SystemClock, check_zone_data
from core.config import ConfigError, load_config
from core.errors import DeskError, UserError
from core.runtime import SystemRuntime
from core.store.checkup import check_archive, check_database, check_directory, check_library
from core.store.owner import ask_owner, read_halt

PING_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at. `ok` None: no problem, but worth knowing."""

    name: str
    ok: bool | None
    text: str

    @property
    def line(self) -> str:
        """As printed."""
        mark = {True: "[ok]", False: "[x] ", None: "[!] "}[self.ok]
        return f"{mark} {self.name:<11} {self.text}"


async def examine(home: Path, config_path: Path | None, *, socket: Path, audit: bool) -> list[Check]:
    """Look at everything; a check that finds a fault says what to do, and the others go on."""
    runtime = SystemRuntime()
    try:
        checks = [_python(), _named("sqlite", check_library()), _zones(), *_config(config_path)]
        checks += [_named("directory", check_directory(home)), _halt(home), await _owner(runtime, socket)]
        database = home / "desk.db"
        if not _there(database):
            checks.append(Check(name="database", ok=True, text="none yet; the first start makes it"))
        else:
            found = await check_database(database, clock=SystemClock(), worker=runtime.worker("doctor"), audit=audit)
            checks.append(_named("database", found))
        archive = home / "archive.db"
        if _there(archive):
            found = await check_archive(archive, clock=SystemClock(), worker=runtime.worker("archive"), audit=audit)
            checks.append(_named("archive", found))
        return checks
    finally:
        await runtime.aclose()


def _named(name: str, found: tuple[bool | None, str]) -> Check:
    return Check(name=name, ok=found[0], text=found[1])


def _there(path: Path) -> bool:
    return path.exists()


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check(name="python", ok=sys.version_info >= (3, 11), text=f"{version} (3.11 or later is needed)")


def _zones() -> Check:
    try:
        check_zone_data()
    except UserError as error:
        return Check(name="time zones", ok=False, text=str(error))
    return Check(name="time zones", ok=True, text="New York changes the hour when it should")


def _config(path: Path | None) -> list[Check]:
    try:
        config = load_config(path)
    except ConfigError as error:
        return [Check(name="config", ok=False, text=text) for text in error.errors]
    accounts = ", ".join(f"{account.name} ({account.id.env.value})" for account in config.accounts)
    return [Check(name="config", ok=True, text=f"{config.path or 'defaults, no file'}; accounts: {accounts}")]


def _halt(home: Path) -> Check:
    reason = read_halt(home)
    if reason is None:
        return Check(name="HALT file", ok=True, text="none")
    return Check(name="HALT file", ok=None, text=f"present: {reason}; `unhalt` lifts it")


async def _owner(runtime: SystemRuntime, socket: Path) -> Check:
    try:
        answer = await ask_owner(socket, json.dumps({"ping": True}).encode(), PING_SECONDS, runtime=runtime)
    except DeskError as error:
        return Check(name="owner", ok=False, text=f"{error}; `kill` writes a HALT file in that case")
    if answer is None:
        return Check(name="owner", ok=True, text="no desk process is running here")
    return Check(name="owner", ok=True, text=f"a desk process is running (pid {json.loads(answer).get('pid')}) and answers")
