"""`python -m bot`: the terminal, single commands, and what must work when nothing else does. Alone installs signal handlers."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from bot.streams import open_streams, write_out
from core import runtime as machine
from core.clock import SystemClock
from core.errors import DeskError, LeaseHeld, Unavailable, UserError
from core.logs import FILE_NAME, FileLogs, Logs, about, capture_libraries
from core.redaction import Redaction
from core.runtime import Runtime, SystemEntropy, SystemRuntime

SOCKET = "desk.sock"
OWNER_SECONDS = 60.0
KILL_SECONDS = 10.0
SETTLE_SECONDS = 5.0
PROOF_SECONDS = 15.0  # `kill` waits so long for the brokers' books; whatever desk runs then goes on
PROOF_AGAIN_SECONDS = 0.5
LINE_WIDTH = 100
LONGEST_NAME, LONGEST_PATH = 255, 4_000  # bytes that a file system takes
DESCRIPTION = "An options desk you talk to. Without a command: the terminal chat on a simulated market with paper money."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit code: 0 done, 1 refused or a problem, 2 wrong usage."""
    open_streams()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads of compiled code sleep between two calls instead of spinning
    options = _parser().parse_args(arguments)
    options.redaction, options.logs = Redaction(), None
    try:
        options.redaction = _secrets(options)
        return machine.run(_COMMANDS[options.command](options))
    except KeyboardInterrupt:
        return 130
    except DeskError as error:
        sys.stderr.write(options.redaction.redact(f"[x] {_capital(str(error))}\n"))
    except Exception as error:  # noqa: BLE001 - a person never sees a trace: it goes to the log of the desk
        sys.stderr.write(_bug(options, error))
    finally:
        if options.logs is not None:
            options.logs.close()
    return 1


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--config", type=Path, metavar="FILE", help="configuration (default: config.yaml here, if there is one)")
    common.add_argument("--home", type=_directory, metavar="DIR", help="where the log lives (default: DESK_HOME or ./data)")
    common.add_argument("--database", metavar="URL", help="a PostgreSQL database for the log (default: DESK_DATABASE, or files at home)")
    common.add_argument("--data", type=_directory, metavar="DIR", help="a recorded market instead of the simulated one")
    common.add_argument("--seed", type=_whole, metavar="NUMBER", help="seed of the simulated market")
    common.add_argument("--scenario", metavar="NAME", help="what the simulated market goes through, as feb_2018 or covid_2020")
    common.add_argument("--speed", type=_speed, help="simulated seconds per real second")
    common.add_argument("--start", type=_day, metavar="DATE", help="first day of a simulated or recorded market, as 2026-11-20")
    parser = argparse.ArgumentParser(prog="python -m bot", description=DESCRIPTION, parents=[common])
    parser.set_defaults(command="chat")
    commands = parser.add_subparsers(metavar="command")
    chat = _add(commands, "chat", "talk in the terminal and on a page in your browser (the default)", common)
    for place in (parser, chat):
        place.add_argument("--no-web", action="store_true", default=argparse.SUPPRESS, help="no page in the browser")
    do = _add(commands, "do", 'one command, such as do "positions SPY"', common)
    do.add_argument("line", nargs="+", help="the command line")
    do.add_argument("--json", action="store_true", help="the answer as data")
    _add(commands, "parse", "JSON lines of sentences in, what each of them means out; no desk is opened", common)
    doctor = _add(commands, "doctor", "check this machine, the configuration and the database", common)
    doctor.add_argument("--audit", action="store_true", help="verify every event of the log")
    config = _add(commands, "config", "the full effective configuration", common)
    config.add_argument("--json", action="store_true", help="the answer as data")
    kill = _add(commands, "kill", "stop all sending and cancel all working orders, whatever else is down", common)
    kill.add_argument("--flatten", action="store_true", help="also draft tickets that close everything")
    backup = _add(commands, "backup", "copy log and tables of a desk, running or not, and verify the copy", common)
    backup.add_argument("folder", nargs="?", type=_directory, help="a new directory (default: one in the home's backups)")
    restore = _add(commands, "restore", "put a backup in the place of a desk that is not running", common)
    restore.add_argument("folder", type=_directory, help="the directory that `backup` made")
    restore.add_argument("--force", action="store_true", help="also where there is a log; that one is kept under another name")
    move = _add(commands, "move", "carry log and tables to another directory or database", common)
    move.add_argument("--from", dest="source", required=True, type=_place_name, metavar="PLACE", help="a directory, or postgresql://...")
    move.add_argument("--to", dest="target", required=True, type=_place_name, metavar="PLACE", help="an empty one of either")
    return parser


def _add(commands: Any, name: str, text: str, common: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text, parents=[common])
    parser.set_defaults(command=name)
    return parser


def _directory(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("a directory has a name")
    if len(os.fsencode(text)) > LONGEST_PATH or any(len(os.fsencode(part)) > LONGEST_NAME for part in text.split("/")):
        raise argparse.ArgumentTypeError(f"{text[:20]!r}... is longer than the name of a directory can be")
    return Path(text)


def _place_name(text: str) -> str:
    return text if text.startswith(("postgresql://", "postgres://")) else str(_directory(text))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a day is written as 2026-11-20, not {text!r}") from error


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"a seed is a whole number of at most 18 digits, not {text!r:.60}")
    return int(text)


def _speed(text: str) -> float:
    try:
        from core.config import speed_of  # only where it is given

        return speed_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


# --- chat ----------------------------------------------------------------------------------------------------------------


async def _chat(options: argparse.Namespace) -> int:
    from bot.channels.terminal import LineReader, Terminal
    from bot.serving import Serving
    from core.store.owner import OwnerServer

    opened = await _open(options, background=True, say=write_out)
    if opened is None:
        return 1
    app, pins, greeting = opened
    desk, stopping = app.desk, desk_stop(app.desk.runtime)
    server, failed = OwnerServer(_home(options) / SOCKET, _handler(desk, pins), runtime=desk.runtime), True
    web = desk.config.web.on and not getattr(options, "no_web", False)
    serving = Serving(desk, pins=pins, home=_home(options), environment=os.environ, web=web, say=write_out)
    try:
        await server.start()
        await serving.listen()
        await app.start()
        greeting += await serving.start()
        session = _session(desk, pins, chat="terminal")
        lines = LineReader(desk.runtime, sys.stdin.fileno(), stopping=stopping.is_set)
        keyboard, greeting = sys.stdin.isatty(), await _greeting(app, greeting)
        left = await Terminal(session, lines=lines, write=write_out, keyboard=keyboard, greeting=greeting).run()
        if serving.serves and not keyboard and not left and not lines.any:  # a service without a terminal serves until it is told to end
            await stopping.wait()
        failed = False
    except DeskError as error:
        failed = False
        write_out(options.redaction.redact(f"[x] {error}\n"))
        return 1
    finally:
        await serving.stop()
        await server.close()
        await app.stop(failed=failed)
        await desk.runtime.aclose()
    return 0


def desk_stop(runtime: Runtime) -> asyncio.Event:
    """An event that SIGTERM, SIGINT and SIGHUP set: the chat then ends as if its input had."""
    stopping = runtime.event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def _greeting(app: Any, news: list[str]) -> list[str]:
    from core.command import Caller, Via
    from core.dispatch import badge

    desk = app.desk
    caller = Caller(person="owner", via=Via.LINE)
    lines = [f"Thetadesk · {badge(desk, caller)}", *news]
    lines += [f"[!] {note}" for note in desk.notes if note not in app.config_errors]
    lines += [f"[!] Exit due: {text}." for text in app.passed]
    if app.config_errors:
        lines += ["[x] The configuration has errors, so this desk only reads (RECOVERY):", *(f"    - {text}" for text in app.config_errors)]
    first = f"open put_credit_spread {desk.first_symbol()}"
    lines += [
        f"Try: {first:<28} a first guided paper trade: you get a card, nothing is sent until you confirm",
        "     positions                    what is held, with P&L",
        "     help                         everything else. Buttons are typed as their number or label; `quit` ends.",
    ]
    return [*map(desk.redaction.redact, lines), ""]


# --- one command ---------------------------------------------------------------------------------------------------------


async def _do(options: argparse.Namespace) -> int:
    return await _one(options, " ".join(options.line), as_json=options.json, seconds=OWNER_SECONDS)


async def _config(options: argparse.Namespace) -> int:
    return await _one(options, "config", as_json=options.json, seconds=OWNER_SECONDS)


async def _one(options: argparse.Namespace, line: str, *, as_json: bool, seconds: float) -> int:
    """Forward a command to the process that owns the desk, or open the desk for it."""

    asking = SystemRuntime()
    try:
        answer = await _ask(options, asking, {"do": line}, seconds)
    except Unavailable as error:
        write_out(f"[x] {error}. Whether it acted on the command is unknown: ask for `status`.\n")
        return 1
    finally:
        await asking.aclose()
    if answer is None:
        answer = await _here(options, line, say=_to_stderr)
    if answer is None:
        return 1
    written = write_out(json.dumps(answer["json"], indent=2, ensure_ascii=False) + "\n" if as_json else answer["text"] + "\n")
    return 0 if answer["ok"] and written else 1


async def _here(options: argparse.Namespace, line: str, *, say: Callable[[str], None]) -> dict[str, Any] | None:
    """Open the desk, reconcile, do one command, hear what became of it, stop."""
    opened = await _open(options, background=False, say=say)
    if opened is None:
        return None
    app, pins, _ = opened
    try:
        await app.start()
        before = app.desk.fold.kill
        answer = await _answer(app.desk, pins, line, chat="do")
        await _settle(app.desk)
        if app.desk.fold.kill not in (None, before):
            await app.prove_kill(PROOF_SECONDS)
            answer = _with_proof(answer, _proof(app.desk))
        return answer
    finally:
        await app.stop()
        await app.desk.runtime.aclose()


def _proof(desk: Any) -> dict[str, Any]:
    """How far it is proved that a kill left nothing working: `ok` where all of it is, and what is known in words."""
    from core.announce import kill_words

    kill = desk.fold.kill
    checked = {} if kill is None else dict(kill.checked)
    proved = kill is not None and all(body.proved for body in checked.values()) and checked.keys() >= {str(name) for name in desk.senders}
    lines = [f"[{'i' if body.proved else 'x'}] {kill_words(body, desk.books)}" for body in checked.values()]
    words = "\n".join(lines) or "[x] No broker's books have been looked at since."  # an answer without words is no desk's
    return {"ok": proved, "text": desk.redaction.redact(words), "json": {"kill": kill is not None}}


def _with_proof(answer: dict[str, Any], found: dict[str, Any] | None) -> dict[str, Any]:
    if found is None or not _kill_known(found):
        return answer
    open_still = "[!] The brokers' complete books have not proved all of it yet; whatever desk runs here goes on asking."
    lines = (answer["text"], "", found["text"], "" if found["ok"] else open_still)
    return {**answer, "ok": answer["ok"] or found["ok"], "text": "\n".join(lines).rstrip()}


def _kill_known(found: dict[str, Any]) -> bool:
    """Whether the answer speaks of a kill in the log: one that only the HALT file holds is proved once it can be written down."""
    return isinstance(found["json"], dict) and found["json"].get("kill") is True


async def _settle(desk: Any) -> None:
    """Wait a little for the broker's word on orders just sent, so that it is in the log before the process ends."""
    waited = 0.0
    while waited < SETTLE_SECONDS and any(order.broker_ref is None for order in _live(desk)):
        for sender in desk.senders.values():
            await sender.settle_down()
        await desk.runtime.sleep(0.2)
        waited += 0.2


def _live(desk: Any) -> list[Any]:
    """Orders of the accounts that are connected: nobody answers for the others."""
    return [order for account in desk.senders for order in desk.book(account).live.values()]


async def _answer(desk: Any, pins: Any, line: str, *, chat: str) -> dict[str, Any]:
    from bot.render import render, to_json

    shown = await _session(desk, pins, chat=chat, one_line=True).hear(line)
    actions = "".join(f"\n  {action.label}: {action.line}" for action in shown.reply.actions)
    return {"ok": shown.reply.ok, "text": render(shown.reply) + actions, "json": to_json(shown.reply)}


def _handler(desk: Any, pins: Any) -> Callable[[bytes], Any]:
    """What the owner's local socket answers: one command, or whether it is there."""
    from bot.lane import Lane

    lane = Lane(desk.runtime)

    async def handle(request: bytes) -> bytes:
        try:
            asked = json.loads(request)
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict):
            return json.dumps({"ok": False, "text": "[x] That request was not understood.", "json": None}).encode()
        if asked.get("ping"):
            return json.dumps({"pid": os.getpid()}).encode()
        if asked.get("proof"):
            return json.dumps(_proof(desk)).encode()
        line = str(asked.get("do", ""))
        try:
            async with lane.turn(line):
                return json.dumps(await _answer(desk, pins, line, chat="do")).encode()
        except UserError as error:
            return json.dumps({"ok": False, "text": f"[x] {error}", "json": None}).encode()

    return handle


async def _parse(options: argparse.Namespace) -> int:
    from bot.parse import answer_all
    from core.clock import exchange_date

    return 0 if answer_all(sys.stdin, write_out, today=exchange_date(SystemClock().now())) else 1


# --- when little else works ----------------------------------------------------------------------------------------------


async def _kill(options: argparse.Namespace) -> int:
    """Through the owner; without one by opening the desk; and where neither works, by the HALT file that every send looks at."""
    from core.store.owner import write_halt

    line = "kill flatten=yes" if options.flatten else "kill"
    asking = SystemRuntime()
    try:
        answer = await _ask(options, asking, {"do": line}, KILL_SECONDS)
        if answer is None:
            answer = await _here(options, line, say=write_out)
        else:
            answer = _with_proof(answer, await _proof_of_owner(options, asking))
    except (DeskError, OSError, TimeoutError) as error:
        write_out(options.redaction.redact(f"[!] {error}\n"))
        answer = None
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the desk, the HALT file does without it
        write_out(_bug(options, error))
        answer = None
    finally:
        await asking.aclose()
    if answer is not None:
        write_out(answer["text"] + "\n")
    if answer is None or not answer["ok"]:
        try:
            write_halt(_home(options), "kill from the command line")
        except (DeskError, OSError) as error:
            why = str(error).rstrip(".")
            write_out(f"[x] No HALT file could be written: {why}. Nothing was stopped; end the desk's process, cancel at the broker.\n")
            return 1
        orders = "Working orders were not cancelled." if answer is None else "What is named above may still fill."
        write_out(
            f"[!] A HALT file was written: no process on this directory sends anything any more. {orders} A desk that runs on it, now or "
            "later, cancels them and tells you what is proved; until then cancel them at the broker.\n"
        )
        return 0 if answer is None else 1
    return 0


async def _proof_of_owner(options: argparse.Namespace, asking: Runtime) -> dict[str, Any] | None:
    """What the running desk proves within a while; None where it does not say."""
    until, found = asking.seconds() + PROOF_SECONDS, None
    while asking.seconds() < until:
        try:
            found = await _ask(options, asking, {"proof": True}, KILL_SECONDS)
        except Unavailable:
            return found  # the kill itself was answered; what became of it the desk tells
        if found is None or found["ok"] or not _kill_known(found):
            return found
        await asking.sleep(PROOF_AGAIN_SECONDS)
    return found


async def _doctor(options: argparse.Namespace) -> int:
    from bot.doctor import examine

    home = _home(options)
    checks = await examine(home, _config_path(options), socket=home / SOCKET, audit=options.audit, database=_database(options))
    write_out(options.redaction.redact("\n".join(check.line for check in checks) + "\n"))
    return 1 if any(check.ok is False for check in checks) else 0


async def _backup(options: argparse.Namespace) -> int:
    from bot.upkeep import write_backup

    return _said(options, await write_backup(_place(options), _home(options), options.folder))


async def _restore(options: argparse.Namespace) -> int:
    from bot.upkeep import restore_backup

    return _said(options, await restore_backup(_place(options), options.folder, force=options.force))


async def _move(options: argparse.Namespace) -> int:
    from bot.upkeep import move_log

    for text in (options.source, options.target):
        options.redaction.learn(text)
    return _said(options, await move_log(options.source, options.target))


def _said(options: argparse.Namespace, lines: Sequence[str]) -> int:
    write_out(options.redaction.redact("\n".join(lines) + "\n"))
    return 0


# --- shared --------------------------------------------------------------------------------------------------------------


async def _open(options: argparse.Namespace, *, background: bool, say: Callable[[str], None]) -> tuple[Any, Any, list[str]] | None:
    """The desk of this process, the PIN and what to greet with; None (and a sentence said) where it cannot be opened."""
    from bot.auth import open_pins, pin_from
    from core.app import Options, open_app
    from core.commands._accounts import load_default

    home = _home(options)
    wanted = Options(
        home=home, config_path=_config_path(options), data_dir=getattr(options, "data", None), seed=getattr(options, "seed", None),
        scenario=getattr(options, "scenario", None), speed=getattr(options, "speed", None), start=getattr(options, "start", None),
        background=background, redaction=options.redaction, database=_database(options),
    )
    try:
        app = await open_app(wanted, note=lambda text: say(f"{text}\n"))
    except LeaseHeld as error:
        say(f"[x] {_capital(str(error))}. Stop it first, or give this one another --home; nothing was changed.\n")
        return None
    except DeskError as error:
        say(options.redaction.redact(f"[x] {_capital(str(error))}\n"))
        return None
    desk = app.desk
    options.logs = desk.logs
    _hear_everything(desk.logs)
    entropy = desk.runtime.entropy
    try:
        pins, made = open_pins(home, desk.runtime, make=pin_from(entropy.token()), salt=entropy.nonce(), given=os.environ.get("DESK_PIN"))
    except (ValueError, OSError) as error:
        say(options.redaction.redact(f"[x] The PIN cannot be used: {error}\n"))
        await app.stop()
        await desk.runtime.aclose()
        return None
    await load_default(desk)
    shown = [] if made is None else [f"[!] Your PIN is {made}. It is shown this once; loosening a limit or lifting HALT asks for it."]
    return app, pins, shown


def _session(desk: Any, pins: Any, *, chat: str, one_line: bool = False) -> Any:
    from bot.auth import local_owner
    from bot.session import Session

    return Session(desk, person=local_owner(), chat=chat, pins=pins, one_line=one_line)


async def _ask(options: argparse.Namespace, runtime: Runtime, request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    from core.store.owner import ask_owner, no_desk, read_answer

    answer = await ask_owner(_home(options) / SOCKET, json.dumps(request).encode(), seconds, runtime=runtime)
    if answer is None:
        return None
    found = read_answer(answer)
    if type(found.get("ok")) is not bool or not isinstance(found.get("text"), str) or not found["text"].strip():
        raise no_desk()
    return {"json": None, **found}


def _secrets(options: argparse.Namespace) -> Redaction:
    """What strikes out the secrets of the environment, and any that somebody wrote into the configuration after all."""
    redaction = Redaction.of_environment(os.environ)
    redaction.learn(_database(options) or "")
    path = _config_path(options)
    if path is not None:
        from core.config_file import ConfigError, read_text

        with contextlib.suppress(ConfigError):  # whoever reads it for its sake says so
            redaction.learn(read_text(path))
    return redaction


def _hear_everything(logs: Logs) -> None:
    """Warnings of libraries and errors of the event loop become records; the terminal is for sentences."""
    capture_libraries(logs)

    def heard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message = str(context.get("message") or "the event loop")
        logs.failed(message, context.get("exception") or DeskError(message))

    asyncio.get_running_loop().set_exception_handler(heard)


def _bug(options: argparse.Namespace, error: Exception) -> str:
    """What to say of an error nobody expected. Its trace goes to the log; where that cannot be written, its kind is at least named."""
    logs = options.logs or FileLogs(_home(options), options.redaction, now=SystemClock().now)
    identity = SystemEntropy().id("E")
    with about(error_id=identity):
        logs.failed("desk", error)
    where = f"`{FILE_NAME}` says what ({identity})" if not logs.lost else f"{type(error).__name__}; `{FILE_NAME}` cannot be written"
    return f"[x] Something went wrong on our side: {where}. The next start finds out what is on its way.\n"


def _home(options: argparse.Namespace) -> Path:
    try:
        return getattr(options, "home", None) or _directory(os.environ.get("DESK_HOME") or "data")
    except argparse.ArgumentTypeError as error:
        raise UserError(f"DESK_HOME cannot be used: {error}.") from error


def _database(options: argparse.Namespace) -> str | None:
    return getattr(options, "database", None) or os.environ.get("DESK_DATABASE") or None


def _place(options: argparse.Namespace) -> Any:
    from core.app import Options, where

    return where(Options(home=_home(options), config_path=_config_path(options), database=_database(options)))


def _config_path(options: argparse.Namespace) -> Path | None:
    given: Path | None = getattr(options, "config", None)
    if given is not None:
        return given
    default = Path("config.yaml")
    return default if default.exists() else None


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)


def _capital(text: str) -> str:
    """A sentence begun with a capital; the name of a file in front keeps its letters."""
    return text if "." in text.split(" ", 1)[0] else text[:1].upper() + text[1:]


_COMMANDS = {
    "chat": _chat, "do": _do, "parse": _parse, "doctor": _doctor, "config": _config, "kill": _kill, "backup": _backup,
    "restore": _restore, "move": _move,
}


if __name__ == "__main__":
    sys.exit(main())
