"""The shipped process with one more broker: registers `loopback`, then runs the very main of `python -m bot` with its arguments.

`--warm FD` is a server instead: it imports everything once and forks such a process for each request on its socket, so that hundreds of
starts cost their own work and not that of the interpreter. A forked process has nothing of an earlier one but loaded code.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from bot.__main__ import main
from core import plugins
from tests.blackbox import adapter

plugins.register("brokers", adapter)


def serve(fd: int) -> None:
    """Fork a process for each request (JSON, with the three standard files), answer with its pid; tell of each that ended.

    Where the driver is gone, whatever it left running or stopped is killed.
    """
    _import_everything()
    gc.freeze()
    listening = socket.socket(fileno=fd)
    woken, waking = socket.socketpair()
    for end in (woken, waking):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking.fileno())
    alive: set[int] = set()
    while True:
        ready, _, _ = select.select([listening, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _tell_of_the_dead(listening, alive)
        if listening in ready:
            message, files, _, _ = socket.recv_fds(listening, 65_536, 3)
            if not message:
                for left in alive:
                    os.kill(left, signal.SIGKILL)
                return
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for other in (listening, woken, waking):
                    other.close()
                _become(json.loads(message), files)
            alive.add(pid)
            for file in files:
                os.close(file)
            listening.sendall(json.dumps({"started": pid}).encode() + b"\n")


def _become(asked: dict[str, Any], files: list[int]) -> None:
    """Be the process that was asked for."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), open(1, "w", closefd=False), open(2, "w", 1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    sys.exit(desk(asked["arguments"]))


def desk(arguments: list[str] | None = None) -> int:
    """The shipped main, in an environment that may ask for a planted bug."""
    if "DESK_PLANTED" in os.environ:
        from tests.blackbox import planted

        planted.plant(os.environ["DESK_PLANTED"])
    return main(arguments)


def _tell_of_the_dead(listening: socket.socket, alive: set[int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        alive.discard(pid)
        with contextlib.suppress(BrokenPipeError):  # the driver is gone; the next look at its socket says so
            listening.sendall(json.dumps({"ended": pid, "code": os.waitstatus_to_exitcode(status)}).encode() + b"\n")


def _import_everything() -> None:
    """What a desk loads on its first command, loaded now."""
    import scipy.special  # noqa: F401
    import yaml  # noqa: F401

    for name in ("bot.auth", "bot.channels.terminal", "bot.doctor", "bot.session", "bot.upkeep", "core.app", "core.store.place"):
        importlib.import_module(name)
    for family in plugins.FAMILIES:
        for name in plugins.names(family):
            plugins.load(family, name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--warm"]:
        serve(int(sys.argv[2]))
    else:
        sys.exit(desk())
