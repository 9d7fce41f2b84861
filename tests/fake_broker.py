"""A broker with a ledger of its own that misbehaves as told, and a desk beside it on simulated time.

Nothing of the desk's own arithmetic is used here: what the broker holds is the oracle. Whatever goes wrong is scripted with `fault`, so a
race comes out the same on every run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from core.app import assemble, replay
from core.config import parse_config
from core.desk import Desk, Recorded
from core.domain.accounts import AccountId
from core.domain.events import Body, CashMoved, Draft, Event, Mode, ModeSet, Scope, Submitting
from core.domain.orders import Envelope, Fill, Leg, Limit, OrderState, Permitted, TimeInForce
from core.errors import BrokerRejected, Unavailable
from core.orders.sender import AccountSender
from core.orders.states import Order
from core.orders.ticket import Confirmed
from core.ports import BrokerCapabilities, BrokerOrder, BrokerPosition, BrokerSnapshot, BrokerStatus, OrderReport, Preview, Update
from core.risk.exam import Verdict
from core.runtime import SimLoop, SimRuntime
from core.store.memory import MemoryDisk, MemoryStore
from tests.unit.risk.market import NOW, PRACTICE, SPREAD

START_CASH = Decimal(100_000)
SECOND = replace(PRACTICE, id="SECOND")
ALLOWED = Verdict(findings=(), allowed=True, reducing=False, factor=Decimal(1), quantity_allowed=99)
FOR_EVER = 1_000_000


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next `times` calls: wait, then raise; `after` the call did its work, or instead of it."""

    call: str
    error: Exception | None = None
    seconds: float = 0
    after: bool = False
    times: int = 1
    only: str | None = None


class FakeBroker:
    """One account at a broker; `wire` is all that ever left for it."""

    capabilities = BrokerCapabilities(name="fake", env="paper", max_legs=4, combos=True, what_if=True, deduplicates=False, gtc=True)

    def __init__(self, *, account: AccountId = PRACTICE) -> None:
        self.account = account
        self.runtime: SimRuntime | None = None  # of the desk that is connected now
        self.epoch = 0
        self.complete = True
        self.cash = START_CASH
        self.orders: dict[str, BrokerOrder] = {}
        self.positions: dict[str, BrokerPosition] = {}
        self.fills: list[Fill] = []
        self.journal: list[tuple[int, Any]] = []
        self.cursor = 0
        self.wire: list[tuple[str, str, Decimal | None]] = []
        self.faults: list[Fault] = []
        self.margin_effect: Decimal | None = Decimal(5000)

    # --- the script ----------------------------------------------------------------------------------------------------

    def fault(self, call: str, error: Exception | None = None, **more: Any) -> Fault:
        """Let the next call of that name go wrong."""
        made = Fault(call=call, error=error, **more)
        self.faults.append(made)
        return made

    def heal(self) -> None:
        """From now on all goes well."""
        self.faults.clear()

    def report(self, client_id: str, status: BrokerStatus, limit: str | Decimal, *, cursor: int | None = None) -> None:
        """Put a report of an order into the stream."""
        self._add(OrderReport(client_id=client_id, broker_ref=f"R{client_id}", status=status, limit=Decimal(limit)), cursor=cursor)

    def tell(self, item: Any) -> None:
        """Put anything into the stream."""
        self._add(item)

    def fill(
        self, leg: Leg, quantity: int = 1, price: str = "30", *, exec_id: str, client_id: str | None = "O1", **more: Any
    ) -> Fill:
        """Execute a leg: the ledger moves and the stream says so."""
        made = Fill(
            exec_id=exec_id, account=self.account, client_id=client_id, instrument=leg.instrument, side=leg.side, quantity=quantity,
            price=Decimal(price), fees=Decimal(0), at=NOW, **more,
        )
        known = next((fill for fill in self.fills if fill.exec_id == made.corrects), None)
        if known is not None:
            self._move(known, -1)
        if not made.busted:
            self._move(made, 1)
        self.fills.append(made)
        self._add(made)
        return made

    def enter(self, ref: str = "X1", legs: Sequence[Leg] | None = SPREAD, *, quantity: int = 1, **more: Any) -> BrokerOrder:
        """An order entered at the broker's own screen; the stream says so."""
        made = BrokerOrder(
            client_id=None, broker_ref=ref, status=more.pop("status", BrokerStatus.WORKING), limit=Decimal(more.pop("limit", "5.00")),
            quantity=quantity, filled=0, legs=None if legs is None else tuple(legs), **more,
        )
        self.orders[ref] = made
        self._add(made)
        return made

    def fill_spread(self, client_id: str = "O1", *, quantity: int = 1, name: str = "E") -> None:
        """Execute both legs of SPREAD for a net credit of 5."""
        for number, (leg, price) in enumerate(zip(SPREAD, ("30", "25"), strict=True)):
            self.fill(leg, quantity, price, exec_id=f"{name}{number}", client_id=client_id)
        if client_id in self.orders:
            self.orders[client_id] = replace(self.orders[client_id], status=BrokerStatus.FILLED, filled=quantity)

    def sent(self, call: str) -> list[str]:
        """The client ids of every request of that name that left."""
        return [client_id for name, client_id, _ in self.wire if name == call]

    # --- the port ------------------------------------------------------------------------------------------------------

    async def connect(self) -> int:
        await self._before("connect")
        self.epoch += 1
        return self.epoch

    async def preview(self, envelope: Envelope) -> Preview:
        await self._before("preview")
        if self.margin_effect is None:
            raise Unavailable("preview")
        return Preview(
            margin_before=Decimal(0), margin_after=self.margin_effect, buying_power_before=Decimal(90_000),
            buying_power_after=Decimal(85_000), commission=Decimal(2), source="fake",
        )

    async def submit(self, order: Permitted) -> str:
        self.wire.append(("submit", order.client_id, order.limit))
        await self._before("submit", order.client_id)
        self.orders[order.client_id] = BrokerOrder(
            client_id=order.client_id, broker_ref=f"R{order.client_id}", status=BrokerStatus.WORKING, limit=order.limit,
            quantity=order.quantity, filled=0,
        )
        await self._after("submit", order.client_id)
        return f"R{order.client_id}"

    async def replace(self, client_id: str, order: Permitted) -> None:
        self.wire.append(("replace", client_id, order.limit))
        await self._before("replace", client_id)
        self.orders[client_id] = replace(self.orders[client_id], limit=order.limit)
        await self._after("replace", client_id)

    async def cancel(self, client_id: str) -> None:
        self.wire.append(("cancel", client_id, None))
        await self._before("cancel", client_id)
        order = self.orders.get(client_id)
        if order is None or order.status is not BrokerStatus.WORKING:
            raise BrokerRejected("not_working", "there is no such working order")
        self.orders[client_id] = replace(order, status=BrokerStatus.CANCELLED)
        self.report(client_id, BrokerStatus.CANCELLED, order.limit)
        await self._after("cancel", client_id)

    async def cancel_external(self, broker_ref: str) -> None:
        self.wire.append(("cancel_external", broker_ref, None))
        await self._before("cancel_external", broker_ref)
        order = self.orders[broker_ref]
        self.orders[broker_ref] = replace(order, status=BrokerStatus.CANCELLED)
        self._add(self.orders[broker_ref])

    async def snapshot(self, *, since: int = 0) -> BrokerSnapshot:
        await self._before("snapshot")
        assert self.runtime is not None
        deposit = CashMoved(movement_id="D1", account=self.account, amount=START_CASH, reason="deposit", at=NOW)
        taken = BrokerSnapshot(
            account=self.account, epoch=self.epoch, complete=self.complete, at=self.runtime.clock.now(), cash=self.cash,
            orders=tuple(self.orders.values()), positions=tuple(self.positions.values()), fills=tuple(self.fills), settlements=(),
            movements=(deposit,), cursor=self.cursor,
        )
        await self._after("snapshot")
        return taken

    async def updates(self, *, since: int, wait_seconds: float) -> tuple[Update, ...]:
        await self._before("updates")
        return tuple(Update(cursor=cursor, epoch=self.epoch, item=item) for cursor, item in self.journal if cursor > since)

    async def poll(self) -> None:
        await self._before("poll")

    async def close(self) -> None:
        await self._before("close")

    # --- inside --------------------------------------------------------------------------------------------------------

    def _add(self, item: Any, *, cursor: int | None = None) -> None:
        self.cursor = max(self.cursor, cursor) if cursor is not None else self.cursor + 1
        self.journal.append((self.cursor if cursor is None else cursor, item))

    def _move(self, fill: Fill, sign: int) -> None:
        key, change = fill.instrument.key, fill.side.sign * fill.quantity * sign
        held = self.positions.get(key)
        total = change + (held.quantity if held else 0)
        self.positions[key] = BrokerPosition(instrument=fill.instrument, quantity=total)
        self.cash -= change * fill.price * fill.instrument.multiplier

    async def _before(self, call: str, client_id: str | None = None) -> None:
        await self._suffer(call, client_id, after=False)

    async def _after(self, call: str, client_id: str | None = None) -> None:
        await self._suffer(call, client_id, after=True)

    async def _suffer(self, call: str, client_id: str | None, *, after: bool) -> None:
        for fault in self.faults:
            if (fault.call, fault.after) == (call, after) and fault.times > 0 and fault.only in (None, client_id):
                fault.times -= 1
                if fault.seconds:
                    assert self.runtime is not None
                    await self.runtime.sleep(fault.seconds)
                if fault.error is not None:
                    raise fault.error
                return


@dataclass(slots=True)
class DiskFaults:
    """What the disk does to appends: `full` refuses them, `late` fails one after it was stored, `slow_seconds` holds each up."""

    runtime: SimRuntime | None = None
    full: bool = False
    late: bool = False
    slow_seconds: float = 0
    late_seconds: float = 0  # durable already, its caller not told yet
    die: str = ""  # "before" or "after" the next append: the process is killed on that very line

    async def before_append(self, drafts: Sequence[Draft]) -> None:
        await self._wait(self.slow_seconds)
        if self.full:
            raise Unavailable("disk", why="full")
        await self._perhaps_die("before")

    async def after_append(self, events: Sequence[Event]) -> None:
        await self._perhaps_die("after")
        await self._wait(self.late_seconds)
        if self.late:
            self.late = False
            raise Unavailable("disk", why="late error")

    async def _wait(self, seconds: float) -> None:
        if seconds and self.runtime is not None:
            await self.runtime.sleep(seconds)

    async def _perhaps_die(self, where: str) -> None:
        if self.die == where:
            assert self.runtime is not None
            await self.runtime.loop.die(self.runtime.process)


@dataclass(kw_only=True)
class World:
    """A desk, its disk and its brokers."""

    runtime: SimRuntime
    desk: Desk
    disk: MemoryDisk
    store: MemoryStore
    faults: DiskFaults
    brokers: dict[AccountId, FakeBroker]
    troubles: list[tuple[str, BaseException]] = field(default_factory=list)

    @property
    def broker(self) -> FakeBroker:
        """The broker of the first account."""
        return self.brokers[PRACTICE]

    @property
    def sender(self) -> AccountSender:
        """The sender of the first account."""
        return self.desk.senders[PRACTICE]

    def order(self, client_id: str = "O1") -> Order:
        """An order as the book has it."""
        found = self.desk.books.order(client_id)
        assert found is not None
        return found

    def state(self, client_id: str = "O1") -> OrderState:
        """Where an order stands."""
        return self.order(client_id).state

    def mode(self, *legs: Leg) -> Mode:
        """The mode of the first account, with the instruments of the legs."""
        return self.desk.mode(account=PRACTICE, keys=tuple(leg.instrument.key for leg in legs))[0]

    async def record(self, *bodies: Body, stream: str = str(PRACTICE)) -> Recorded:
        """Store bodies as the desk would."""
        return await self.desk.record(*(self.desk.draft(body, actor="test", stream=stream) for body in bodies))

    async def halt(self, mode: Mode = Mode.HALT) -> None:
        """A person's kill, or (with ACTIVE) its end."""
        await self.record(ModeSet(scope=Scope(), mode=mode, cause="kill", reason="kill"))

    async def press(
        self, client_id: str = "O1", legs: Sequence[Leg] = SPREAD, *, account: AccountId = PRACTICE, start: str = "5.00",
        worst: str = "4.00", quantity: int = 1, reducing: bool = False, exits: bool = False, trade_id: str | None = None,
        strategy: str = "put_credit_spread", tif: TimeInForce = TimeInForce.DAY, instead_of: tuple[str, ...] = (),
        mid: str | None = None,
    ) -> Confirmed:
        """Record a confirmation without sending it."""
        covered = Envelope(
            account=account, legs=tuple(legs), quantity=quantity, plan=Limit(start=Decimal(start), worst=Decimal(worst)),
            tif=tif, instead_of=instead_of, expires_at=self.desk.now() + timedelta(seconds=120), policy_version=1, strategy=strategy,
            trade_id=trade_id,
        )
        await self.record(
            Submitting(
                client_id=client_id, ticket_id=f"T{client_id}", account=account, envelope=covered, envelope_hash=covered.hash,
                limit=covered.plan.start, quantity=quantity, trade_id=trade_id or f"P{client_id}", reducing=reducing,
                exits=exits, mid=None if mid is None else Decimal(mid),
            ),
            stream=str(account),
        )
        return Confirmed(client_id=client_id, ticket=None, verdict=ALLOWED, seqs=())  # type: ignore[arg-type]  # the sender does not read it

    async def send(self, client_id: str = "O1", legs: Sequence[Leg] = SPREAD, **more: Any) -> Order:
        """Confirm and send."""
        confirmed = await self.press(client_id, legs, **more)
        return await self.desk.senders[more.get("account", PRACTICE)].send(confirmed)

    def run_accounts(self) -> None:
        """Start the background loop of every account."""
        for account, sender in self.desk.senders.items():
            self.runtime.spawn(sender.run(), name=f"account {account.id}")


async def open_world(
    runtime: SimRuntime, *, disk: MemoryDisk | None = None, brokers: Sequence[FakeBroker] | None = None,
    accounts: Sequence[str] = ("PRACTICE",), connect: bool = True, halt_reason: Callable[[], str | None] = lambda: None,
) -> World:
    """A desk over a disk (a new one, or what another desk left) and fake brokers, connected and reconciled."""
    faults, disk = DiskFaults(runtime=runtime), disk or MemoryDisk()
    store = MemoryStore(clock=runtime.clock, disk=disk, faults=faults)
    token = await store.acquire_lease("test")
    made = {broker.account: broker for broker in brokers or [FakeBroker(account=replace(PRACTICE, id=name)) for name in accounts]}
    for broker in made.values():
        broker.runtime = runtime
    config = parse_config({
        "accounts": [
            {"name": account.id.lower(), "broker": "paper", "id": account.id, "env": "paper", "kind": "reg_t", "start_cash": 100_000}
            for account in made
        ]
    })
    desk = await assemble(
        config=config, runtime=runtime, store=store, archive=None, token=token, fold=await replay(store), providers=(),  # type: ignore[arg-type]
        halt_reason=halt_reason, brokers=tuple(made.values()),
    )
    world = World(runtime=runtime, desk=desk, disk=disk, store=store, faults=faults, brokers=made)
    runtime.on_failure = lambda name, error: world.troubles.append((name, error))
    if connect:
        for sender in desk.senders.values():
            await sender.connect()
    return world


async def reopened(world: World, *, process: str = "desk again", **more: Any) -> World:
    """The desk after a crash: another process over the same disk and brokers."""
    if world.runtime.process.alive:
        world.runtime.kill()
    return await taken_over(world, process=process, **more)


async def taken_over(world: World, *, process: str = "other desk", **more: Any) -> World:
    """A second desk that takes the lease while the first still lives."""
    world.disk.break_lock()
    runtime = SimRuntime(world.runtime.loop, f"{process}", process=process)
    return await open_world(runtime, disk=world.disk, brokers=tuple(world.brokers.values()), **more)


def simulated(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test's coroutine on virtual time; its first argument is the runtime, the others are pytest's."""
    parameters = list(inspect.signature(test).parameters.values())

    def run(**given: Any) -> None:
        loop = SimLoop(1, start=NOW, max_steps=400_000)
        runtime = SimRuntime(loop, 1)
        outer = SimRuntime(loop, 2, process="test")
        try:
            outer.run(test(runtime, **given))
        finally:
            loop.abandon()
            loop.close()

    run.__name__, run.__doc__, run.__module__, run.__qualname__ = test.__name__, test.__doc__, test.__module__, test.__qualname__
    run.__signature__ = inspect.Signature(parameters[1:])  # type: ignore[attr-defined]
    return run
