"""Ports on the broker's side: updates, books, answers and previews of anything, heard by a whole desk in memory on virtual time.

Whatever is heard is recorded or refused. Nothing is ever sent because of it, the desk's books stay what its log folds to, and an account
whose broker talks nonsense is not ACTIVE on the strength of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

from core.app import replay
from core.domain.accounts import AccountId, Env
from core.domain.events import CashMoved, CorporateAction, MarginCalled, Mode, Replaced, Settled
from core.domain.instruments import Cash, Equity, Future, Index
from core.domain.orders import Envelope, Fill, Permitted
from core.errors import BrokerRejected, BrokerTimeout, DeskError, Unavailable
from core.orders.ticket import _preview
from core.ports import BrokerOrder, BrokerPosition, BrokerSnapshot, BrokerStatus, OrderReport, Preview, Update
from core.risk.gate import judge
from core.runtime import SimLoop, SimRuntime
from tests.fake_broker import FakeBroker, World, open_world
from tests.fuzz.harness import Port
from tests.fuzz.source import Source
from tests.fuzz.words import held
from tests.unit.risk.market import NOW, PRACTICE, SPREAD, envelope, exam, put

T = TypeVar("T")
MOST_STEPS = 20_000  # callbacks of the loop for one input
STRANGER = AccountId(broker="paper", id="SOMEBODY", env=Env.PAPER)
THINGS = (
    Cash(), Index(symbol="SPX"), Equity(symbol=""), Equity(symbol="X" * 500), Equity(symbol="KO"),
    Future(root="ES", expiry=NOW.date(), multiplier=50),
)
FILL = Fill(
    exec_id="E1", account=PRACTICE, client_id="O1", instrument=SPREAD[0].instrument, side=SPREAD[0].side, quantity=1,
    price=Decimal("30.05"), fees=Decimal("0.65"), at=NOW,
)
SETTLED = Settled(
    settlement_id="S1", account=PRACTICE, instrument=SPREAD[0].instrument, quantity=1, outcome="cash_settled", value=Decimal(2790),
    cash=Decimal(-1000), at=NOW,
)
ASSIGNED = replace(
    SETTLED, settlement_id="S2", instrument=put(45, root="KO"), outcome="assigned", shares=100, share_symbol="KO", cash=Decimal(-4500)
)
MOVED = CashMoved(movement_id="D2", account=PRACTICE, amount=Decimal("-1.25"), reason="fee", at=NOW)
REPORT = OrderReport(client_id="O1", broker_ref="RO1", status=BrokerStatus.WORKING, limit=Decimal("5.00"))
OTHER = replace(FILL, exec_id="E2", instrument=SPREAD[1].instrument, side=SPREAD[1].side, price=Decimal(25))
EXTERNAL = BrokerOrder(
    client_id=None, broker_ref="EXT", status=BrokerStatus.WORKING, limit=Decimal(1), quantity=1, filled=0, description="x", legs=SPREAD
)
CALLED = MarginCalled(call_id="C1", account=PRACTICE, amount=Decimal(1000), at=NOW, due_at=NOW + timedelta(days=1), reason="margin")
DIVIDED = CorporateAction(
    action_id="A1", account=PRACTICE, symbol="KO", new=2, old=1, at=NOW,
    lines=(Replaced(instrument=Equity(symbol="KO"), quantity=100, successor=Equity(symbol="KO"), becomes=200),),
)
ITEMS = (FILL, FILL, OTHER, SETTLED, ASSIGNED, MOVED, REPORT, EXTERNAL, CALLED, DIVIDED)
ERRORS = (
    BrokerRejected("201", "no\n\0 margin \u202e"), BrokerTimeout(), Unavailable("link"), TimeoutError(), ConnectionResetError(),
    OSError(5, "io"),
    KeyError("x"), ValueError("NaN"), RecursionError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), ZeroDivisionError(),
    BrokerRejected("", ""), DeskError(),
)


class HostileBroker(FakeBroker):
    """A broker with sane books that answers whatever it is told to, once."""

    def __init__(self) -> None:
        super().__init__()
        self.says: dict[str, Any] = {}

    def _said(self, call: str, sane: Any) -> Any:
        if call not in self.says:
            return sane
        answer = self.says.pop(call)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def connect(self) -> int:
        return int(self._said("connect", await super().connect()))

    async def preview(self, envelope: Envelope) -> Preview:
        found: Preview = self._said("preview", await super().preview(envelope))
        return found

    async def submit(self, order: Permitted) -> str:
        found: str = self._said("submit", await super().submit(order))
        return found

    async def replace(self, client_id: str, order: Permitted) -> None:
        self._said("replace", await super().replace(client_id, order))

    async def cancel(self, client_id: str) -> None:
        self._said("cancel", await super().cancel(client_id))

    async def snapshot(self, *, since: int = 0) -> BrokerSnapshot:
        found: BrokerSnapshot = self._said("snapshot", await super().snapshot(since=since))
        return found

    async def updates(self, *, since: int, wait_seconds: float) -> tuple[Update, ...]:
        found: tuple[Update, ...] = self._said("updates", await super().updates(since=since, wait_seconds=wait_seconds))
        return found


class Account:
    """One desk with a working order at a broker that may say anything."""

    def __init__(self, source: Source) -> None:
        self.loop = SimLoop(1, start=NOW)
        self.runtime = SimRuntime(self.loop, 1)
        self.test = SimRuntime(self.loop, 2, process="test")
        self.broker = HostileBroker()
        self.world: World = self.run(open_world(self.runtime, brokers=(self.broker,)))
        self.run(self.world.send("O1", quantity=3))
        self.cursor = 1000

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run to the end within the steps of one input."""
        self.loop.max_steps = self.loop.steps + MOST_STEPS
        return self.test.run(coro)

    def heard(self, coro: Coroutine[Any, Any, Any]) -> str:
        """Whether the desk took what it heard, or refused it in its own words."""
        try:
            self.run(coro)
        except (DeskError, TimeoutError, OSError) as error:
            held(bool(str(error)) or not isinstance(error, DeskError), "a refusal without a sentence")
            return "refused"
        return "taken"

    def sound(self, *, wires: int) -> None:
        """Nothing more was sent, no bug was met, and the figures are figures."""
        held(len(self.broker.wire) == wires, f"sent because of it: {self.broker.wire[wires:]}")
        troubles, self.world.troubles = self.world.troubles, []
        bugs = [error for _, error in troubles if not isinstance(error, DeskError | TimeoutError | OSError)]
        if bugs:
            raise bugs[0]
        book = self.world.desk.book(PRACTICE)
        held(book.cash.is_finite() and book.fees.is_finite(), f"cash {book.cash}")
        for order in book.orders.values():
            held(order.account == PRACTICE and order.leaves >= 0 and order.limit.is_finite(), f"{order}")

    def close(self) -> None:
        fold = self.run(replay(self.world.store))
        same = fold.digest() == self.world.desk.fold.digest()
        self.loop.abandon()
        self.loop.close()
        held(same, "the log folds to another state than the desk has")


class Updates(Account):
    """The stream: one to four messages, bent or not, with cursors in any order."""

    def one(self, source: Source) -> str:
        wires, before = len(self.broker.wire), self.world.desk.fold.seq
        told = tuple(self._update(source) for _ in range(1 + source.number(3)))
        self.broker.says["updates"] = told
        word = self.heard(self.world.sender.pump(0))
        self.broker.says.clear()
        if any(_insane(update.item) for update in told):
            word = f"insane, {word}"
            mode = self.world.desk.mode(account=PRACTICE)[0]
            held(mode in (Mode.RECOVERY, Mode.HALT), f"{mode} after {told}")
        self.sound(wires=wires)
        _no_stranger(self, before)
        if source.chance(0.05):
            word += f", books {self.heard(self.world.sender.connect())}"  # the sane books afterwards
            self.sound(wires=wires)
        return word

    def _update(self, source: Source) -> Update:
        item: Any = renamed(source, source.pick(ITEMS))
        if source.chance(0.7):
            item = bent(source, item)
        self.cursor += 1
        update = Update(cursor=self.cursor, epoch=self.broker.epoch, item=item)
        return replace(update, cursor=source.integer(), epoch=source.integer()) if source.chance(0.2) else update


class Snapshots(Account):
    """The books: bent positions, orders, executions, cash and cursors; on a connection of any number."""

    def one(self, source: Source) -> str:
        wires, before = len(self.broker.wire), self.world.desk.fold.seq
        self.broker.says["snapshot"] = self._snapshot(source)
        if source.chance(0.2):
            self.broker.says["connect"] = source.integer()
        word = self.heard(self.world.sender.connect() if source.chance(0.5) else self.world.sender.reconcile())
        self.broker.says.clear()
        self.sound(wires=wires)
        _no_stranger(self, before)
        if word == "refused":
            mode = self.world.desk.mode(account=PRACTICE)[0]
            last = self.world.desk.fold.reconciled(PRACTICE)
            held(mode is not Mode.ACTIVE or (last is not None and last.complete), f"{mode} after books that were refused")
        return word

    def _snapshot(self, source: Source) -> BrokerSnapshot:
        orders = (
            BrokerOrder(client_id="O1", broker_ref="RO1", status=source.pick(tuple(BrokerStatus)), limit=Decimal(5), quantity=3, filled=1),
            EXTERNAL,
        )
        sane = BrokerSnapshot(
            account=PRACTICE, epoch=self.broker.epoch, complete=source.chance(0.8), at=NOW, cash=self.broker.cash,
            orders=orders[: source.number(2)], positions=tuple(BrokerPosition(instrument=leg.instrument, quantity=1) for leg in SPREAD),
            fills=tuple(renamed(source, FILL) for _ in range(source.number(2))), settlements=(renamed(source, SETTLED),),
            movements=(MOVED,), cursor=self.cursor,
        )
        made = source.bent(sane, swaps=source.chance(0.2))
        if source.chance(0.3):
            made = replace(made, fills=tuple(bent(source, renamed(source, FILL)) for _ in range(1 + source.number(2))))
        if source.chance(0.2):
            made = replace(made, positions=(bent(source, BrokerPosition(instrument=SPREAD[0].instrument, quantity=1)),))
        return source.bent(made) if source.chance(0.3) else made


class Answers(Account):
    """Orders, price changes and cancels answered by anything: the order is sent once and what became of it is found out."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.sent = 1

    def one(self, source: Source) -> str:
        answer = source.pick(ERRORS) if source.chance(0.6) else source.pick((source.text(), None, 7, b"\xff", source.text(("RO1",))))
        call = source.pick(("submit", "replace", "cancel"))
        if call == "submit" and self.sent < 20:
            self.sent += 1
            name = f"O{self.sent}"
            self.broker.says[call] = answer
            self.heard(self.world.send(name))
            held(self.broker.sent("submit").count(name) <= 1, f"{name} was sent twice")
        else:
            name = source.pick(tuple(self.world.desk.book(PRACTICE).orders))
            self.broker.says[call] = answer
            if call == "replace":
                self.heard(self.world.sender.replace(name, source.pick((Decimal("4.50"), Decimal("4.00"), Decimal("4.95")))))
            else:
                self.heard(self.world.sender.cancel(name, "fuzz"))
        self.broker.says.clear()
        bugs = [error for _, error in self.world.troubles if not isinstance(error, tuple(type(one) for one in ERRORS))]
        self.world.troubles.clear()
        if bugs and not isinstance(answer, Exception | str):
            return "told"  # a type no adapter may return: told as a bug, the order is UNKNOWN
        if bugs:
            raise bugs[0]
        held(len(self.broker.sent("submit")) == len(set(self.broker.sent("submit"))), "an order was sent twice")
        self.run(asyncio.sleep(source.number(60)))
        return f"{call} {self.world.desk.book(PRACTICE).orders[name].state.value}"


PREVIEW = Preview(
    margin_before=Decimal(0), margin_after=Decimal(5000), buying_power_before=Decimal(100_000), buying_power_after=Decimal(95_000),
    commission=Decimal("2.60"), source="fuzz",
)


class Previews(Account):
    """What an order would do, as any broker may put it: used where it makes sense, else unknown, which the rules refuse."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.exam = exam()
        self.envelope = envelope(SPREAD)

    def one(self, source: Source) -> str:
        made = source.bent(PREVIEW, swaps=source.chance(0.2))
        self.broker.says["preview"] = source.pick(ERRORS[:4]) if source.chance(0.1) else made
        found, trouble = self.run(_preview(self.world.desk, self.envelope))
        held(found is not None or bool(trouble), "no preview, and no reason")
        reports: list[BaseException] = []
        verdict = judge(
            replace(self.exam, preview=found), self.world.desk.rules, report=lambda name, error: reports.append(error) or "E"
        )
        if reports:
            raise reports[0]
        held(found is not None or not verdict.allowed, "allowed without a preview")
        held(verdict.hash == replace(verdict).hash, "two hashes of one verdict")
        self.sound(wires=1)
        return "unknown" if found is None else "allowed" if verdict.allowed else "refused"


def _insane(item: Any) -> bool:
    """Figures that nobody could believe, whoever judges."""
    amounts = [getattr(item, name, None) for name in ("fees", "cash", "amount", "limit", *(("price",) if isinstance(item, Fill) else ()))]
    count = getattr(item, "quantity", 1)
    wild = any(isinstance(amount, Decimal) and not (amount.is_finite() and abs(amount) < 10**13) for amount in amounts)
    return wild or (isinstance(item, Fill) and isinstance(count, int) and count < 0)


def renamed(source: Source, item: T) -> T:
    """With ids of its own, most of the time: then it is news."""
    if source.chance(0.3):
        return item
    number = source.rng.randrange(10**6)
    for name in ("exec_id", "settlement_id", "movement_id"):
        if hasattr(item, name):
            return replace(item, **{name: f"N{number}"})  # type: ignore[type-var]
    return item


def bent(source: Source, item: T) -> T:
    """A report with a wrong account, a wrong instrument, a wrong time or any other wrong field."""
    kind = source.rng.random()
    names = {name for name in ("account", "instrument", "at") if hasattr(item, name)}
    if kind < 0.08 and "account" in names:
        return replace(item, account=STRANGER)  # type: ignore[type-var]
    if kind < 0.2 and "instrument" in names:
        return replace(item, instrument=source.pick((*THINGS, put(2700))))  # type: ignore[type-var]
    if kind < 0.25 and "at" in names:
        return replace(item, at=NOW + timedelta(days=source.rng.randrange(-9000, 9000)))  # type: ignore[type-var]
    return source.bent(item, swaps=source.chance(0.15))


def _no_stranger(account: Account, before: int) -> None:
    events = account.run(account.world.store.read(after=before))
    for event in events:
        told = getattr(getattr(event.body, "fill", event.body), "account", PRACTICE)
        held(told == PRACTICE, f"{event.kind} of {told} was recorded")


PORTS = (
    Port(name="updates", share=60, opened=Updates, episode=60),
    Port(name="books", share=30, opened=Snapshots, episode=40),
    Port(name="answers", share=8, opened=Answers, episode=6),
    Port(name="previews", share=15, opened=Previews, episode=3_000),
)
