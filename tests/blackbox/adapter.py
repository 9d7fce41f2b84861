"""The Broker port over the pretended exchange's line, as an adapter for a real broker would be: a plug-in of its own, `loopback`.

One connection at a time. What leaves over it and is not answered is BrokerTimeout for orders and Unavailable for questions; an answer
that cannot be read ends the connection, for nobody knows what came of anything on it. `DESK_LOOPBACK` names the port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.clock import Clock
from core.domain.accounts import Account, AccountId
from core.domain.events import CashMoved
from core.domain.instruments import Instrument
from core.domain.listing import from_occ
from core.domain.orders import Envelope, Fill, Permitted, Side
from core.errors import BrokerRejected, BrokerTimeout, Unavailable
from core.ports import BrokerCapabilities, BrokerOrder, BrokerPosition, BrokerSnapshot, BrokerStatus, OrderReport, Preview, Update
from core.runtime import Runtime

NAME = "loopback"
LONGEST_ANSWER = 8 * 1024 * 1024
ORDERS = frozenset({"submit", "replace", "cancel"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """None: where the exchange is stands in the environment."""


PARAMETERS = Parameters


def build(parameters: Parameters, *, account: Account, quotes: Any, clock: Clock, runtime: Runtime, archive: Any) -> LoopbackBroker:
    """Make the link of one account; `connect` opens it."""
    return LoopbackBroker(account=account, clock=clock, runtime=runtime, port=int(os.environ["DESK_LOOPBACK"]))


class LoopbackBroker:
    """The Broker port over one TCP connection."""

    def __init__(self, *, account: Account, clock: Clock, runtime: Runtime, port: int) -> None:
        self._account = account
        self._clock = clock
        self._runtime = runtime
        self._port = port
        self._line: _Line | None = None
        self._instruments: dict[str, Instrument] = {}

    @property
    def capabilities(self) -> BrokerCapabilities:
        """What this exchange can do."""
        env = self._account.id.env.value
        return BrokerCapabilities(name=NAME, env=env, max_legs=4, combos=True, what_if=True, deduplicates=False, gtc=True)

    @property
    def account(self) -> AccountId:
        """The account this link trades."""
        return self._account.id

    async def connect(self) -> int:
        """Log in anew; the exchange ends every earlier session of the account. Raises Unavailable where the login is another account's."""
        await self.close()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=LONGEST_ANSWER)
        except OSError as error:
            raise Unavailable("broker", why=error.strerror or str(error)) from error
        line = _Line(self._runtime, reader, writer)
        try:
            answer = await line.ask(self._request("hello", pid=os.getpid()))
            landed, wanted = f"{answer['account']} ({answer['env']})", f"{self._account.id.id} ({self._account.id.env.value})"
            if landed != wanted:
                raise Unavailable("broker", why=f"this login is for {landed}, the account configured is {wanted}")
        except BaseException:
            line.close("the login failed")
            raise
        self._line = line
        return int(answer["epoch"])

    async def preview(self, envelope: Envelope) -> Preview:
        answer = await self._ask("preview", legs=_legs(envelope), quantity=envelope.quantity, limit=str(envelope.plan.worst))
        return Preview(
            margin_before=Decimal(answer["margin_before"]), margin_after=Decimal(answer["margin_after"]),
            buying_power_before=Decimal(answer["buying_power_before"]), buying_power_after=Decimal(answer["buying_power_after"]),
            commission=Decimal(answer["commission"]), source=NAME,
        )

    async def submit(self, order: Permitted) -> str:
        answer = await self._ask(
            "submit", client_id=order.client_id, legs=_legs(order.envelope), quantity=order.quantity, limit=str(order.limit),
            ticket_id=order.ticket_id, envelope_hash=order.envelope_hash,
        )
        return str(answer["ref"])

    async def replace(self, client_id: str, order: Permitted) -> None:
        await self._ask("replace", client_id=client_id, limit=str(order.limit))

    async def cancel(self, client_id: str) -> None:
        await self._ask("cancel", client_id=client_id)

    async def snapshot(self, *, since: int = 0) -> BrokerSnapshot:
        answer = await self._ask("snapshot", since=since)
        return BrokerSnapshot(
            account=self.account, epoch=answer["epoch"], complete=answer["complete"] is True, at=_time(answer["at"]),
            cash=Decimal(answer["cash"]),
            orders=tuple(
                BrokerOrder(
                    client_id=order["client_id"], broker_ref=order["ref"], status=BrokerStatus(order["status"]),
                    limit=Decimal(order["limit"]), quantity=order["quantity"], filled=order["filled"],
                )
                for order in answer["orders"]
            ),
            positions=tuple(
                BrokerPosition(instrument=self._instrument(held["key"]), quantity=held["quantity"]) for held in answer["positions"]
            ),
            fills=tuple(self._fill(item) for item in answer["fills"]), settlements=(),
            movements=tuple(self._movement(item) for item in answer["movements"]), cursor=answer["cursor"],
        )

    async def updates(self, *, since: int, wait_seconds: float) -> tuple[Update, ...]:
        answer = await self._ask("updates", since=since, wait=wait_seconds)
        return tuple(Update(cursor=item["cursor"], epoch=answer["epoch"], item=self._item(item)) for item in answer["updates"])

    async def poll(self) -> None:
        """A sign of life."""
        await self._ask("ping")

    async def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close("the connection was closed here")

    # --- inside ---------------------------------------------------------------------------------------------------------

    async def _ask(self, operation: str, **fields: Any) -> dict[str, Any]:
        try:
            if self._line is None:
                raise Unavailable("broker", why="there is no connection")
            return await self._line.ask(self._request(operation, **fields))
        except Unavailable as error:
            if operation in ORDERS:
                raise BrokerTimeout(f"{error}; whether the broker acted is unknown") from error
            raise

    def _request(self, operation: str, **fields: Any) -> dict[str, Any]:
        return {"op": operation, "account": self._account.id.id, "now": self._clock.now().isoformat(), **fields}

    def _item(self, item: dict[str, Any]) -> OrderReport | Fill | CashMoved:
        if item["kind"] == "fill":
            return self._fill(item)
        if item["kind"] == "cash":
            return self._movement(item)
        return OrderReport(
            client_id=item["client_id"], broker_ref=item["ref"], status=BrokerStatus(item["status"]), limit=Decimal(item["limit"]),
            reason=item["reason"],
        )

    def _fill(self, item: dict[str, Any]) -> Fill:
        return Fill(
            exec_id=item["exec_id"], account=self.account, client_id=item["client_id"], instrument=self._instrument(item["key"]),
            side=Side(item["side"]), quantity=item["quantity"], price=Decimal(item["price"]), fees=Decimal(item["fees"]),
            at=_time(item["at"]), corrects=item["corrects"],
        )

    def _movement(self, item: dict[str, Any]) -> CashMoved:
        return CashMoved(
            movement_id=item["id"], account=self.account, amount=Decimal(item["amount"]), reason=item["reason"], at=_time(item["at"])
        )

    def _instrument(self, key: str) -> Instrument:
        if key not in self._instruments:
            self._instruments[key] = from_occ(key)
        return self._instruments[key]


class _Line:
    """One connection: questions out, answers in, told apart by number."""

    def __init__(self, runtime: Runtime, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._ended = ""
        self._task = runtime.spawn(self._listen(), name="loopback line")

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer; raise BrokerRejected for a no, Unavailable where the connection ends first."""
        if self._ended:
            raise Unavailable("broker", why=self._ended)
        self._number += 1
        number, future = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._writer.write(json.dumps({"id": number, **request}).encode() + b"\n")
            answer: dict[str, Any] = await future
        finally:
            self._waiting.pop(number, None)
        error = answer.get("error")
        if error is not None:
            raise BrokerRejected(str(error["code"]), str(error["text"]))
        return answer

    def close(self, why: str) -> None:
        """End the connection; whoever still waits is told."""
        self._ended = self._ended or why
        self._task.cancel()
        with contextlib.suppress(RuntimeError):  # the loop may be gone
            self._writer.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Unavailable("broker", why=self._ended))
        self._waiting.clear()

    async def _listen(self) -> None:
        why = "the broker closed the connection"
        try:
            while line := await self._reader.readline():
                answer = json.loads(line)
                future = self._waiting.get(answer["id"])
                if future is not None and not future.done():
                    future.set_result(answer)
        except OSError as error:
            why = f"the connection was lost ({error})"
        except (ValueError, KeyError, TypeError) as error:
            why = f"the broker sent what cannot be read ({type(error).__name__})"
        self.close(why)


def _legs(envelope: Envelope) -> list[dict[str, Any]]:
    return [
        {
            "key": leg.instrument.key, "side": leg.side.value, "ratio": leg.ratio, "effect": leg.effect.value,
            "multiplier": leg.instrument.multiplier,
        }
        for leg in envelope.legs
    ]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
