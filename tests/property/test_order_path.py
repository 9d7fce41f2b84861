"""The order path as a state machine: presses, lost answers, fills, cancels, deaths and restarts in any order, over a broker that counts.

However it goes: one confirmation leaves for the broker once at most, nothing fills beyond what was confirmed, the log folds to what the
desk believes, and once all is quiet the desk and the broker have the same books.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.domain.events import Filled
from core.domain.orders import Leg, OrderState
from core.errors import BrokerRejected, BrokerTimeout, Unavailable
from core.fold import DeskFold
from core.orders.states import ORDER_BODIES, Order, OrderBody, step
from core.orders.ticket import Confirmed
from core.ports import BrokerOrder, BrokerStatus, OrderReport
from core.runtime import SimLoop, SimRuntime
from tests.fake_broker import World, open_world, reopened
from tests.unit.risk.market import NOW, SPREAD

T = TypeVar("T")
QUIET_SECONDS = 75  # an order nobody sent ends after a minute, what is unknown is looked up after seconds
LEGS = (SPREAD, SPREAD[:1], SPREAD[1:])
QUANTITIES = st.integers(1, 3)
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "lost on the way": {"error": BrokerTimeout()},
    "answer lost": {"error": BrokerTimeout(), "after": True},
    "too slow": {"seconds": 400, "after": True},
    "refused": {"error": BrokerRejected("201", "margin")},
    "disk full": {},
    "disk late": {},
}
OFTEN_NONE = st.sampled_from(["none"] * 6 + list(FAULTS))


class OrderPath(RuleBasedStateMachine):
    """A desk, a broker that never fills more than it was asked for, and whatever goes wrong between them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = SimLoop(1, start=NOW, max_steps=4_000_000)
        self.outer = SimRuntime(self.loop, 2, process="test")
        self.confirmed: dict[str, tuple[Confirmed, int]] = {}
        self.starts = 0
        self.executions = 0
        self.random = random.Random(7)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.outer.run(work)

    @initialize()
    def start(self) -> None:
        self.world: World = self.run(open_world(SimRuntime(self.loop, 1)))

    # --- the desk ------------------------------------------------------------------------------------------------------

    @rule(quantity=QUANTITIES, fault=OFTEN_NONE, times=st.sampled_from((0, 1, 1, 1, 2)), legs=st.sampled_from(((), *LEGS)))
    def press_and_send(self, quantity: int, fault: str, times: int, legs: tuple[Leg, ...]) -> None:
        name = self._press(quantity)
        self._send(name, fault, times)
        if name in self.working:
            self._fill(name, legs, quantity)

    def _press(self, quantity: int) -> str:
        name = f"O{len(self.confirmed) + 1}"
        self.confirmed[name] = (self.run(self.world.press(name, quantity=quantity)), quantity)
        return name

    @precondition(lambda self: self.confirmed)
    @rule(data=st.data(), fault=OFTEN_NONE)
    def send(self, data: st.DataObject, fault: str) -> None:
        self._send(self._one_of(data), fault, 1)

    def _send(self, name: str, fault: str, times: int) -> None:
        if FAULTS[fault]:
            self.world.broker.fault("submit", only=name, **FAULTS[fault])
        faults = self.world.faults
        faults.full, faults.late = fault == "disk full", fault == "disk late"
        for _ in range(times):
            with suppress(Unavailable):  # what the disk did not take
                self.run(self.outer.gather(*(self.world.sender.send(self.confirmed[name][0]) for _ in range(times))))
            faults.full = faults.late = False
        faults.full = faults.late = False
        self.world.broker.heal()

    @precondition(lambda self: self.confirmed)
    @rule(data=st.data(), fault=st.sampled_from(("none", "none", "lost on the way", "answer lost", "too slow")))
    def cancel(self, data: st.DataObject, fault: str) -> None:
        name = self._one_of(data)
        if FAULTS[fault]:
            self.world.broker.fault("cancel", only=name, **FAULTS[fault])
        self.run(self.world.sender.cancel(name, "changed my mind"))
        self.world.broker.heal()

    @rule(what=st.sampled_from(("hear", "work", "compare", "compare in part")), seconds=st.sampled_from((0, 0, 1, 5, 20, 70)))
    def go_on(self, what: str, seconds: int) -> None:
        sender, broker = self.world.sender, self.world.broker
        broker.complete = what != "compare in part"
        with suppress(Unavailable):  # the link is down since the disk was full: the account's own loop would connect again
            self.run(sender.pump(0) if what == "hear" else sender.work() if what == "work" else sender.reconcile())
        broker.complete = True
        self.run(self.outer.sleep(seconds))

    # --- deaths --------------------------------------------------------------------------------------------------------

    @rule(quantity=QUANTITIES, where=st.sampled_from(("", "", "before", "after", "submit", "arrived", "replace", "replaced")))
    def die(self, quantity: int, where: str) -> None:
        """At rest, while an append is stored, or on the wire before or after the request arrived."""
        name, sender, broker = self._press(quantity), self.world.sender, self.world.broker
        doing: Coroutine[Any, Any, Any] = sender.send(self.confirmed[name][0])
        if where.startswith("replace"):
            self.run(doing)
            self.run(self.outer.sleep(31))
            doing = sender.work()
        if where in ("before", "after"):
            self.world.faults.die = where
        else:
            call = "replace" if where.startswith("replace") else "submit"
            broker.fault(call, seconds=3, after=where in ("arrived", "replaced"))
        self.world.runtime.spawn(doing, name="doing")
        self.run(self.outer.sleep(1 if where else 0))
        broker.heal()
        self.starts += 1
        self.world = self.run(reopened(self.world, process=f"desk {self.starts}"))

    # --- the broker ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.working)
    @rule(data=st.data(), legs=st.sampled_from(LEGS), quantity=QUANTITIES, heard=st.booleans())
    def fill(self, data: st.DataObject, legs: tuple[Leg, ...], quantity: int, heard: bool) -> None:
        self._fill(data.draw(st.sampled_from(sorted(self.working)), label="order"), legs, quantity)
        if heard:
            self.run(self.world.sender.pump(0))

    def _fill(self, name: str, legs: tuple[Leg, ...], quantity: int) -> None:
        order = self.working[name]
        for leg in legs:
            left = order.quantity - self._filled(name)[leg.instrument.key]
            if left:
                self.executions += 1
                self.world.broker.fill(leg, min(left, quantity), "30", exec_id=f"E{self.executions}", client_id=name)
        filled = min(self._filled(name)[one.instrument.key] for one in SPREAD)
        done = BrokerStatus.FILLED if filled == order.quantity else BrokerStatus.WORKING
        self.world.broker.orders[name] = replace(order, status=done, filled=filled)

    @precondition(lambda self: self.world.broker.fills)
    @rule(data=st.data(), price=st.sampled_from((None, "29")))
    def bust_or_correct(self, data: st.DataObject, price: str | None) -> None:
        replaced = {fill.corrects for fill in self.world.broker.fills}
        left = [fill for fill in self.world.broker.fills if fill.exec_id not in replaced and not fill.busted]
        if left:
            old = data.draw(st.sampled_from(left), label="execution")
            leg = next(leg for leg in SPREAD if leg.instrument == old.instrument)
            self.executions += 1
            self.world.broker.fill(
                leg, old.quantity, price or "0", exec_id=f"E{self.executions}", client_id=old.client_id, corrects=old.exec_id,
                busted=price is None,
            )

    @precondition(lambda self: self.working)
    @rule(data=st.data(), status=st.sampled_from((BrokerStatus.WORKING, BrokerStatus.WORKING, BrokerStatus.EXPIRED)))
    def report(self, data: st.DataObject, status: BrokerStatus) -> None:
        name = data.draw(st.sampled_from(sorted(self.working)), label="order")
        order = self.working[name]
        self.world.broker.orders[name] = replace(order, status=status)
        self.world.broker.report(name, status, order.limit)

    @precondition(lambda self: self.facts)
    @rule(data=st.data())
    def report_again_and_in_disorder(self, data: st.DataObject) -> None:
        self.world.broker._add(data.draw(st.sampled_from(self.facts), label="report"))
        self.random.shuffle(self.world.broker.journal)

    @property
    def facts(self) -> list[Any]:
        """What may be said again at any time: that an order works is true of its time alone."""
        said = (item for _, item in self.world.broker.journal)
        return [item for item in said if not (isinstance(item, OrderReport) and item.status.live)]

    @property
    def working(self) -> dict[str, BrokerOrder]:
        return {name: order for name, order in self.world.broker.orders.items() if order.status is BrokerStatus.WORKING}

    def _filled(self, name: str) -> Counter[str]:
        fills = self.world.broker.fills
        replaced = {fill.corrects for fill in fills}
        counts: Counter[str] = Counter()
        for fill in fills:
            if fill.client_id == name and fill.exec_id not in replaced and not fill.busted:
                counts[fill.instrument.key] += fill.quantity
        return counts

    def _one_of(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.confirmed)), label="order")

    # --- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def one_confirmation_leaves_once(self) -> None:
        sent = Counter(self.world.broker.sent("submit"))
        assert sent.keys() <= self.confirmed.keys()
        assert all(count == 1 for count in sent.values())

    @invariant()
    def nothing_fills_beyond_what_was_confirmed(self) -> None:
        for order in self.world.desk.books.accounts[self.world.broker.account].orders.values():
            assert not order.overfilled
            assert order.filled <= self.confirmed[order.client_id][1]

    @invariant()
    def the_log_says_what_the_desk_believes(self) -> None:
        self.run(self._replayed())

    async def _replayed(self) -> None:
        again, now = DeskFold(), self.world.desk.fold
        for event in await self.world.store.read():
            if event.seq <= now.seq:  # one more may be stored by now, and on its way into the fold
                again.apply(event)
        assert again.digest() == now.digest()

    def teardown(self) -> None:
        try:
            self.run(self._quiet())
        finally:
            self.loop.abandon()
            self.loop.close()

    async def _quiet(self) -> None:
        self.world.run_accounts()
        await self.outer.sleep(QUIET_SECONDS)
        book, broker = self.world.desk.book(self.world.broker.account), self.world.broker
        assert {key: item.quantity for key, item in book.positions.items()} == {
            key: item.quantity for key, item in broker.positions.items() if item.quantity
        }
        assert book.cash == broker.cash
        assert set(book.live) == set(self.working)
        for name, order in book.orders.items():
            assert order.state is not OrderState.UNKNOWN
            assert {key: count for key, count in order.filled_contracts.items() if count} == {
                key: count for key, count in self._filled(name).items() if count
            }
        bodies = [event.body for event in await self.world.store.read() if isinstance(event.body, ORDER_BODIES)]
        for order in book.orders.values():
            assert _heard_otherwise(order, bodies) == order
        assert not any(entry.cause.startswith("bug:") for entry in self.world.desk.fold.all_modes())


def _heard_otherwise(order: Order, bodies: Sequence[OrderBody]) -> Order:
    """The order as it were, had its executions been heard last, the newest first, and all of them twice."""
    fills = [body for body in bodies if isinstance(body, Filled) and body.fill.client_id == order.client_id]
    others = [body for body in bodies if not isinstance(body, Filled) and body.client_id == order.client_id]
    again: Order | None = None
    for body in (*others, *reversed(fills), *fills):
        again, _ = step(again, body, at=order.submitted_at)
    assert again is not None
    return replace(again, updated_at=order.updated_at)


TestOrderPath = OrderPath.TestCase
TestOrderPath.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=30)
