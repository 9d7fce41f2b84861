"""A real desk process that dies at a chosen point of an order, as by kill -9: `crash_child.py HOME before|after|working|none`.

`before` dies with Submitting on disk and nothing sent; `after` once the broker has the order but nobody was told; `working` with the order
resting at the broker; `none` runs through and stops cleanly. Prints the last reply of each step first.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

from bot.auth import local_owner
from bot.render import render
from bot.session import Session
from core.app import Options, open_app
from core.runtime import run


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(home: Path, where: str) -> None:
    app = await open_app(Options(home=home, start=date(2026, 11, 20), background=False))
    await app.start()
    for broker in app.desk.brokers.values():
        submit: Callable[[Any], Awaitable[str]] = broker.submit

        async def sent(order: Any, submit: Callable[[Any], Awaitable[str]] = submit) -> str:
            if where == "before":
                die()
            reference = await submit(order)
            if where == "after":
                die()
            return reference

        broker.submit = sent  # type: ignore[method-assign]
    session = Session(app.desk, person=local_owner(), chat="terminal")
    limit = " limit=4.50" if where == "working" else ""
    for line in (f"open put_credit_spread XSP quantity=1{limit}", "Confirm"):
        print(render(await session.message(line)), flush=True)
    if where == "working":
        die()
    await app.stop()


if __name__ == "__main__":
    run(main(Path(sys.argv[1]), sys.argv[2]))
