"""`python -m bot doctor`: what a person should know before trusting this machine with a desk. Works without chat, model and data."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from core.clock import SystemClock, check_zone_data
from core.config import ConfigError, configured_database, load_config
from core.errors import DeskError, UserError
from core.runtime import SystemRuntime
from core.store.checkup import check_archive, check_database, check_directory, check_library, check_server
from core.store.owner import ask_owner, read_answer, read_halt
from core.store.place import place_of
from core.store.starts import deaths_of

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


async def examine(home: Path, config_path: Path | None, *, socket: Path, audit: bool, database: str | None = None) -> list[Check]:
    """Look at everything; a check that finds a fault says what to do, and the others go on."""
    runtime = SystemRuntime()
    try:
        checks = [_python(), _named("sqlite", check_library()), _zones(), *_config(config_path)]
        checks += [_named("directory", check_directory(home)), _halt(home), _starts(home), await _owner(runtime, socket)]
        return [*checks, *await _stores(home, config_path, database, runtime, audit=audit)]
    finally:
        await runtime.aclose()


async def _stores(home: Path, config_path: Path | None, database: str | None, runtime: SystemRuntime, *, audit: bool) -> list[Check]:
    """The log and the tables, wherever they are."""
    try:
        address = database or configured_database(config_path)
        if address is not None:
            found = await check_server(home, address, clock=SystemClock(), runtime=runtime, audit=audit)
            return [_named(name, one) for name, one in zip(("database", "archive"), found, strict=False)]
        place_of(home, None)
    except DeskError as error:
        return [Check(name="database", ok=False, text=f"{error}")]
    log, archive = home / "desk.db", home / "archive.db"
    if not _there(log):
        checks = [Check(name="database", ok=True, text="none yet; the first start makes it")]
    else:
        checks = [_named("database", await check_database(log, clock=SystemClock(), worker=runtime.worker("doctor"), audit=audit))]
    if _there(archive):
        checks.append(_named("archive", await check_archive(archive, clock=SystemClock(), worker=runtime.worker("archive"), audit=audit)))
    return checks


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


def _starts(home: Path) -> Check:
    died = deaths_of(home)
    if died < 3:  # one that runs is among them until it has lived a minute
        return Check(name="starts", ok=True, text="no crash loop")
    return Check(name="starts", ok=None, text=f"the last {died} neither lived a minute nor ended well; `desk.log` says what went wrong")


async def _owner(runtime: SystemRuntime, socket: Path) -> Check:
    try:
        answer = await ask_owner(socket, json.dumps({"ping": True}).encode(), PING_SECONDS, runtime=runtime)
        if answer is None:
            return Check(name="owner", ok=True, text="no desk process is running here")
        return Check(name="owner", ok=True, text=f"a desk process is running (pid {read_answer(answer).get('pid')}) and answers")
    except DeskError as error:
        return Check(name="owner", ok=False, text=f"{error}; `kill` writes a HALT file in that case")
