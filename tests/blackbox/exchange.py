"""A pretended exchange as a process of its own: `python -m tests.blackbox.exchange`, newline JSON over TCP on loopback.

It prints its port, lives until its input ends and outlives every desk that trades there. Every request's bytes are kept in order of
arrival, whether they are then processed or not. A checker talks to it over the same port with `{"op": "control", ...}`: to set what goes
wrong, to let it kill the process at the other end at a chosen moment of a request, and to read the books.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

from tests.blackbox.ledger import Books, Refused

TICK_SECONDS = 0.1
LINE_LIMIT = 16 * 1024 * 1024
SENDS = ("submit", "replace", "cancel")
GARBAGE = {
    "html": b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n",
    "nonsense": b"[[[{\"id\": }}}]\n",
    "binary": bytes(range(256)).replace(b"\n", b"\0") + b"\n",
    "huge": b"{\"id\": 1, \"padding\": \"" + b"x" * (9 * 1024 * 1024) + b"\"}\n",
    "partial": b"{\"id\": 1, \"ok\": tr",
    "empty": b"\n",
}


@dataclass(slots=True, kw_only=True)
class Faults:
    """What the wire does, as chances between 0 and 1 for each request, and switches. `only` limits the chances to some operations."""

    drop_request: float = 0.0
    drop_answer: float = 0.0
    delay_request: float = 0.0  # processed later, unless the connection is gone by then
    delay_answer: float = 0.0
    hang_up: float = 0.0  # the connection is closed instead of an answer
    repeat: float = 0.0  # updates come again, and out of order
    cut: float = 0.0  # a snapshot is incomplete
    delay_seconds: float = 1.5
    only: list[str] = field(default_factory=list)
    black_hole: bool = False  # half open: bytes are taken, nothing is answered, on new connections too
    refuse_connections: bool = False
    garbage: str = ""  # what is sent instead of the next answer to `only`
    strange: str = ""  # "status" or "field": what the next updates hold
    empty_snapshot: str = ""  # "incomplete" or "complete": an empty answer that says so of itself
    wrong_account: str = ""  # the account and environment a login lands in instead
    many_sessions: bool = False  # a second login does not end the first


@dataclass(slots=True, kw_only=True)
class Trap:
    """A process to be killed at the n-th time a moment comes: `operation:stage`, where stage is arrived, done or answered."""

    pidfd: int
    moment: str
    left: int


@dataclass(slots=True, eq=False)
class Connection:
    """One client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    account: str = ""
    pid: int = 0
    epoch: int = 0
    dead: bool = False


@dataclass(slots=True)
class Account:
    """One account with the state of its line."""

    books: Books
    faults: Faults = field(default_factory=Faults)
    epoch: int = 0
    connections: set[Connection] = field(default_factory=set)
    requests: list[dict[str, Any]] = field(default_factory=list)
    traps: list[Trap] = field(default_factory=list)
    sprung: list[str] = field(default_factory=list)


class Exchange:
    """All accounts, and who is connected."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self._rng = random.Random(1)
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=LINE_LIMIT)
        print(server.sockets[0].getsockname()[1], flush=True)
        ticking = asyncio.create_task(self._tick())
        await asyncio.to_thread(sys.stdin.read)  # ends with whoever started this
        ticking.cancel()
        server.close()

    async def _tick(self) -> None:
        while True:
            for account in self.accounts.values():
                account.books.tick(time.monotonic())
            await asyncio.sleep(TICK_SECONDS)

    # --- the line -------------------------------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            while line := await reader.readline():
                request = json.loads(line)
                if request["op"] == "control":
                    await self._write(connection, self._control(request))
                elif not connection.dead:
                    task = asyncio.create_task(self._handle(connection, request, line))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass  # it broke off, or the exchange ends
        finally:
            self._bury(connection)

    async def _handle(self, connection: Connection, request: dict[str, Any], line: bytes) -> None:
        account = self.accounts[request["account"]]
        arrived = {
            "n": len(account.requests), "at": time.time(), "pid": request.get("pid", connection.pid), "epoch": connection.epoch,
            "bytes": line.decode("utf-8", "replace"), "taken": False, **request,
        }
        if request["op"] not in ("updates", "ping"):
            account.requests.append(arrived)
        account.books.desk_time = request.get("now", account.books.desk_time)
        self._spring(account, f"{request['op']}:arrived")
        faults = account.faults
        if faults.black_hole or self._hits(faults, faults.drop_request, request["op"]):
            return
        if self._hits(faults, faults.delay_request, request["op"]):
            await asyncio.sleep(faults.delay_seconds)
        if connection.dead:
            return  # a request of a connection that has ended can no longer arrive
        answer = self._process(account, connection, request)
        arrived["taken"] = answer.get("error") is None
        arrived["refused"] = answer.get("error")
        self._spring(account, f"{request['op']}:done")
        if request["op"] == "updates" and not answer.get("updates"):
            await asyncio.sleep(min(float(request.get("wait", 0)), 1.0))
        await self._answer(account, connection, request, answer)

    async def _answer(self, account: Account, connection: Connection, request: dict[str, Any], answer: dict[str, Any]) -> None:
        faults = account.faults
        if faults.black_hole or self._hits(faults, faults.drop_answer, request["op"]):
            return
        if self._hits(faults, faults.hang_up, request["op"]):
            self._bury(connection)
            return
        if self._hits(faults, faults.delay_answer, request["op"]):
            await asyncio.sleep(faults.delay_seconds)
        if faults.garbage and self._meant(faults, request["op"]):
            kind, faults.garbage = faults.garbage, ""
            await self._write_bytes(connection, GARBAGE[kind])
            if kind == "partial":
                self._bury(connection)
            return
        await self._write(connection, {"id": request["id"], **answer})
        self._spring(account, f"{request['op']}:answered")

    def _process(self, account: Account, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": True, **getattr(self, f"_op_{request['op']}")(account, connection, request)}
        except Refused as refused:
            return {"ok": False, "error": {"code": refused.code, "text": refused.text}}

    async def _write(self, connection: Connection, answer: dict[str, Any]) -> None:
        await self._write_bytes(connection, json.dumps(answer).encode() + b"\n")

    async def _write_bytes(self, connection: Connection, content: bytes) -> None:
        if connection.dead:
            return
        try:
            connection.writer.write(content)
            await connection.writer.drain()
        except ConnectionError:
            self._bury(connection)

    def _bury(self, connection: Connection) -> None:
        connection.dead = True
        if connection.account in self.accounts:
            self.accounts[connection.account].connections.discard(connection)
        connection.writer.close()

    def _hits(self, faults: Faults, chance: float, operation: str) -> bool:
        return chance > 0 and self._meant(faults, operation) and self._rng.random() < chance

    def _meant(self, faults: Faults, operation: str) -> bool:
        return not faults.only or operation in faults.only

    def _spring(self, account: Account, moment: str) -> None:
        """Kill whoever waits in a trap of this moment, at once."""
        for trap in [trap for trap in account.traps if trap.moment == moment]:
            trap.left -= 1
            if trap.left <= 0:
                account.traps.remove(trap)
                try:
                    signal.pidfd_send_signal(trap.pidfd, signal.SIGKILL)
                    account.sprung.append(moment)
                except ProcessLookupError:
                    pass
                os.close(trap.pidfd)

    # --- what a client asks ---------------------------------------------------------------------------------------------

    def _op_hello(self, account: Account, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        if account.faults.refuse_connections:
            raise Refused("login", "the gateway is down for maintenance")
        if not account.faults.many_sessions:
            for other in [other for other in account.connections if other is not connection]:
                self._bury(other)
        account.epoch += 1
        connection.account, connection.pid, connection.epoch = account.books.account, request["pid"], account.epoch
        account.connections.add(connection)
        landed = account.faults.wrong_account or f"{account.books.account}:{account.books.env}"
        return {"epoch": account.epoch, "account": landed.split(":")[0], "env": landed.split(":")[1]}

    def _op_ping(self, account: Account, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        return {}

    def _op_preview(self, account: Account, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        return account.books.preview(request)

    def _op_submit(self, account: Account, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        return {"ref": account.books.place(request)}

    def _op_replace(self, account: Account, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        account.books.replace(request)
        return {}

    def _op_cancel(self, account: Account, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        account.books.cancel(request)
        return {}

    def _op_snapshot(self, account: Account, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        whole = account.books.snapshot(int(request["since"]))
        if account.faults.empty_snapshot:
            nothing: dict[str, Any] = {"orders": [], "positions": [], "fills": [], "movements": [], "cash": "0"}
            return {**whole, **nothing, "complete": account.faults.empty_snapshot == "complete", "epoch": account.epoch}
        if self._hits(account.faults, account.faults.cut, "snapshot"):
            parts = {name: whole[name][: len(whole[name]) // 2] for name in ("orders", "positions", "fills")}
            return {**whole, **parts, "complete": False, "epoch": account.epoch}
        return {**whole, "epoch": account.epoch}

    def _op_updates(self, account: Account, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        since = int(request["since"])
        fresh = account.books.updates(since)
        if fresh and since and self._hits(account.faults, account.faults.repeat, "updates"):
            fresh = [*account.books.updates(max(0, since - self._rng.randint(1, 5))), self._rng.choice(fresh)]
            self._rng.shuffle(fresh)
        if fresh and account.faults.strange:
            strange, account.faults.strange = account.faults.strange, ""
            held = {"kind": "report", "client_id": "?", "ref": "?", "limit": "1", "reason": "", "status": "held for review"}
            fresh = [{"cursor": fresh[0]["cursor"], **(held if strange == "status" else {"kind": "fill"})}]
        return {"updates": fresh, "epoch": account.epoch}

    # --- what a checker asks --------------------------------------------------------------------------------------------

    def _control(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "open":
            made = Books(account=request["account"], env=request.get("env", "paper"), seed=int(request.get("seed", 1)))
            made.deposit(Decimal(request.get("cash", "1000000")))
            made.now = time.monotonic()
            made.tick(made.now + 1)
            self.accounts[request["account"]] = Account(made)
            return {"ok": True}
        account = self.accounts[request["account"]]
        found: dict[str, Any] = getattr(self, f"_do_{request['do']}")(account, request)
        return {"ok": True, **found}

    def _do_habits(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        _set(account.books.habits, request["set"])
        return {}

    def _do_faults(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        """Everything as it should be, but for what is named."""
        account.faults = Faults()
        _set(account.faults, request["set"])
        return {}

    def _do_freeze(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        account.books.frozen = bool(request["on"])
        account.books.tick(time.monotonic())
        return {}

    def _do_bounce(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        """Restart as in the night: every connection ends and references are numbered from an earlier place on."""
        account.books.roll_back()
        for connection in list(account.connections):
            self._bury(connection)
        return {}

    def _do_trap(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        self._do_untrap(account, request)
        trap = Trap(pidfd=os.pidfd_open(int(request["pid"])), moment=request["moment"], left=int(request.get("nth", 1)))
        account.traps.append(trap)
        return {}

    def _do_untrap(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        for trap in account.traps:
            os.close(trap.pidfd)
        account.traps.clear()
        return {}

    def _do_outside(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        account.books.trade_outside(request["key"], int(request["quantity"]), Decimal(request["price"]))
        return {}

    def _do_fill(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        order = account.books.live(request["client_id"])
        if order is not None:
            account.books.fill(order, int(request.get("units", order.leaves)))
        account.books.tick(time.monotonic() + 1)
        return {"filled": order is not None}

    def _do_books(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        since = int(request.get("since", 0))
        return {**account.books.whole(), "epoch": account.epoch, "requests": account.requests[since:], "sprung": account.sprung}


def _set(target: Any, values: dict[str, Any]) -> None:
    known = {item.name for item in fields(target)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"there is no {name}")
        setattr(target, name, value)


if __name__ == "__main__":
    asyncio.run(Exchange().serve())
