"""The wire between the desk and an exchange: it loses, delays and cuts. And the Broker port of one life of the desk, which only carries.

A connection has an epoch; a request carries the epoch it was sent in, and once a new connection is made a request of an older one can no
longer arrive.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from core.domain.accounts import AccountId
from core.domain.orders import Envelope, Permitted
from core.errors import BrokerRejected, BrokerTimeout, DeskError, Unavailable
from core.ports import BrokerCapabilities, BrokerSnapshot, BrokerStatus, OrderReport, Preview, Update
from core.runtime import SimProcess
from tests.sim.exchange import Exchange, Wire


class Line:
    """The connection to one exchange, whoever holds it."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.down_until = -1.0
        self._waiting: dict[int, tuple[int, Any]] = {}  # answers that a connection still owes: serial -> epoch, future
        self._serial = 0

    def disconnect(self, seconds: float, *, silent: bool) -> None:
        """Drop the connection. A silent one just stops answering; otherwise whoever waits is told at once."""
        self.exchange.epoch += 1
        self.down_until = self.exchange.loop.time() + seconds
        if not silent:
            for serial, (_, future) in list(self._waiting.items()):
                del self._waiting[serial]
                self.exchange.later(0.0, lambda future=future: _fail(future, Unavailable("broker", why="the connection was lost")))

    def roll(self) -> None:
        """The broker restarts: connections drop and its numbering begins again at an arbitrary place below."""
        rng = self.exchange.faults.rng
        self.exchange.refs = rng.randrange(1, max(2, self.exchange.refs))
        self.disconnect(rng.uniform(1, 20), silent=False)

    def open_connection(self) -> int:
        """A new connection; requests of all earlier ones are dead from here on."""
        if self.exchange.loop.time() < self.down_until:
            raise Unavailable("broker", why="nobody answers there")
        self.exchange.epoch += 1
        return self.exchange.epoch

    async def call(self, name: str, epoch: int | None, act: Callable[[], Any]) -> Any:
        """Carry a request over and its answer back, if they get there. `epoch` None is a request for a connection."""
        exchange = self.exchange
        faults, rng = exchange.faults, exchange.faults.rng
        exchange.step(f"broker {name}")
        future = exchange.loop.create_future()
        self._serial += 1
        serial = self._serial
        self._waiting[serial] = (epoch or 0, future)
        if epoch is not None and epoch != exchange.epoch:
            if rng.random() < 0.7:
                raise Unavailable("broker", why="the connection is gone")
            await future  # half open: no error and no answer
        there, back = rng.uniform(0.005, 0.2), rng.uniform(0.005, 0.2)
        if faults.hits("request_slow"):
            there += rng.choice((2.0, 9.9, 15.0))
        lost = name != "updates" and faults.hits("request_lost")
        unanswered = faults.hits("answer_lost") if name in ("submit", "replace", "cancel", "connect") else faults.hits("hang")
        if not lost:
            exchange.later(there, lambda: self._arrive(name, epoch, act, future, serial, None if unanswered else back))
        return await future

    def _arrive(self, name: str, epoch: int | None, act: Callable[[], Any], future: Any, serial: int, back: float | None) -> None:
        exchange = self.exchange
        if epoch is not None and epoch != exchange.epoch:
            exchange.faults.count("dead_request")
            return
        error: DeskError | None = None
        result: Any = None
        try:
            result = act()
        except DeskError as raised:
            error = raised
        if back is None:
            return
        bound = result if name == "connect" and error is None else epoch

        def answer() -> None:
            self._waiting.pop(serial, None)
            if bound is not None and bound != exchange.epoch:
                return
            if error is not None:
                _fail(future, error)
            elif not future.done():
                future.set_result(result)

        exchange.later(back, answer)


class Link:
    """The Broker port of one life of the desk: it only carries requests to the exchange."""

    def __init__(
        self, line: Line, *, boot: int, process: SimProcess, durable_seq: Callable[[], int], now: Callable[[], datetime]
    ) -> None:
        self._line = line
        self._exchange = line.exchange
        self._boot = boot
        self._process = process
        self._durable_seq = durable_seq
        self._now = now
        self._epoch = 0

    @property
    def capabilities(self) -> BrokerCapabilities:
        return BrokerCapabilities(name="sim", env="paper", max_legs=4, combos=True, what_if=True, deduplicates=False, gtc=True)

    @property
    def account(self) -> AccountId:
        return self._exchange.account

    async def connect(self) -> int:
        self._epoch = await self._line.call("connect", None, self._line.open_connection)
        return self._epoch

    async def preview(self, envelope: Envelope) -> Preview:
        found: Preview = await self._ask("preview", lambda: self._exchange.preview(envelope))
        return found

    async def submit(self, order: Permitted) -> str:
        ref: str = await self._order("submit", order.client_id, order, lambda: self._exchange.submit(order))
        return ref

    async def replace(self, client_id: str, order: Permitted) -> None:
        await self._order("replace", client_id, order, lambda: self._exchange.replace(client_id, order))

    async def cancel(self, client_id: str) -> None:
        await self._order("cancel", client_id, None, lambda: self._exchange.cancel(client_id))

    async def cancel_external(self, broker_ref: str) -> None:
        if self._exchange.watcher is not None:
            self._exchange.watcher.cancels_external(self.account, broker_ref)
        await self._ask("cancel external", lambda: self._exchange.cancel_external(broker_ref))

    async def snapshot(self, *, since: int = 0) -> BrokerSnapshot:
        await self._maybe_die("crash_in_recovery")
        self._asked(since)
        found: BrokerSnapshot = await self._ask("snapshot", lambda: self._exchange.snapshot(since))
        self._heard(*found.orders, *found.fills, *found.settlements, *found.movements)
        await self._maybe_die("crash_in_recovery")
        return found

    async def updates(self, *, since: int, wait_seconds: float) -> tuple[Update, ...]:
        self._asked(since)
        found: tuple[Update, ...] = await self._ask("updates", lambda: self._exchange.updates(since))
        self._heard(*(update.item for update in found))
        return found

    async def poll(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def _ask(self, name: str, act: Callable[[], Any]) -> Any:
        return await self._line.call(name, self._epoch, act)

    async def _order(self, kind: str, client_id: str, order: Permitted | None, act: Callable[[], Any]) -> Any:
        """A place, replace or cancel: noted at its first byte. Its connection breaking says nothing of what became of it."""
        exchange = self._exchange
        when = exchange.faults.rng.choice(("before", "after")) if exchange.faults.hits("crash_at_wire") else ""
        if when == "before":
            await exchange.loop.die(self._process)
        if exchange.watcher is not None:
            exchange.watcher.wire(
                Wire(
                    kind=kind,
                    account=exchange.account,
                    client_id=client_id,
                    order=order,
                    epoch=self._epoch,
                    boot=self._boot,
                    durable_seq=self._durable_seq(),
                    at=self._now(),
                )
            )
        if when == "after":
            exchange.later(0.001, lambda: exchange.loop.abandon(self._process))
        try:
            answer = await self._line.call(kind, self._epoch, act)
        except Unavailable as error:
            raise BrokerTimeout(str(error)) from error
        except BrokerRejected:
            if kind == "submit":
                self._answered(client_id, BrokerStatus.REJECTED, order)
            raise
        if kind != "cancel":
            self._answered(client_id, BrokerStatus.WORKING, order)
        return answer

    async def _maybe_die(self, fault: str) -> None:
        if self._exchange.faults.hits(fault):
            await self._exchange.loop.die(self._process)

    def _answered(self, client_id: str, status: BrokerStatus, order: Permitted | None) -> None:
        """The answer to a request is the broker's word too."""
        if order is not None:
            self._heard(OrderReport(client_id=client_id, broker_ref="", status=status, limit=order.limit))

    def _heard(self, *items: object) -> None:
        if self._exchange.watcher is not None:
            self._exchange.watcher.heard(self.account, items)

    def _asked(self, since: int) -> None:
        if self._exchange.watcher is not None:
            self._exchange.watcher.asked(self.account, since)


def _fail(future: Any, error: DeskError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # who waited may be dead; nobody else is to be told
