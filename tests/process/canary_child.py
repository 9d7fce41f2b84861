"""A real process in which a broker, a command and a library fail with secrets in their words: `canary_child.py HOME end|die`.

`die` ends it as kill -9 does, with the write-ahead files of its databases left behind.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from bot.__main__ import _hear_everything
from bot.auth import local_owner
from bot.render import render
from bot.session import Session
from core.app import Options, open_app
from core.commands import note
from core.errors import BrokerRejected, Unavailable
from core.redaction import Redaction
from core.runtime import run

TOKEN = os.environ["TELEGRAM_TOKEN"]
PIN = os.environ["DESK_PIN"]
SECRET = os.environ["BROKER_SECRET"]


async def main(home: Path, end: str) -> None:
    redaction = Redaction.of_environment(os.environ)
    app = await open_app(Options(home=home, start=date(2026, 11, 20), background=False, redaction=redaction))
    desk = app.desk
    _hear_everything(desk.logs)
    await app.start()
    session = Session(desk, person=local_owner(), chat="terminal")

    async def say(line: str) -> None:
        print(render(await session.message(line)), flush=True)

    (broker,) = desk.brokers.values()
    works: Any = broker.submit
    for error in (BrokerRejected("401", f"login with {SECRET} refused"), RuntimeError(f"GET https://x/bot{TOKEN}/send: '{PIN}'")):

        async def submit(order: Any, error: Exception = error) -> str:
            raise error

        broker.submit = submit  # type: ignore[method-assign]
        await say("open put_credit_spread XSP quantity=1")
        await say("Confirm")
    broker.submit = works  # type: ignore[method-assign]

    preview: Any = broker.preview

    async def unavailable(*_: Any) -> Any:
        raise Unavailable("preview", why=f"https://me:canary18@broker.example/?api_key={SECRET}")

    broker.preview = unavailable  # type: ignore[method-assign]
    await say("open put_credit_spread SPY quantity=1")
    broker.preview = preview  # type: ignore[method-assign]

    works_still = note.COMMAND

    async def broken(*_: Any) -> Any:
        raise ValueError(f"invalid literal for int(): '{PIN}' with {SECRET}")

    note.COMMAND = replace(works_still, run=broken)
    await say("note hello")
    note.COMMAND = works_still

    logging.getLogger("vendor").warning("POST https://api.telegram.org/bot%s/getUpdates", TOKEN)
    lost = OSError(f"Authorization: Bearer {SECRET}")
    asyncio.get_running_loop().call_exception_handler({"message": f"lost: {SECRET}", "exception": lost})
    desk.runtime.report(f"link {SECRET}", OSError(f"{PIN}"))
    await say("status")
    if end == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    await app.stop()
    await desk.runtime.aclose()
    desk.logs.close()


if __name__ == "__main__":
    run(main(Path(sys.argv[1]), sys.argv[2]))
