"""The books of a pretended exchange, one account: orders, executions, positions, cash, and a journal of all it will tell.

Standard library only and nothing of the desk: what the desk believes is compared with these books. They live in the memory of the
exchange's own process, which outlives every desk that trades there.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

FEE = Decimal("0.65")
CENT = Decimal("0.01")
OTHER_LEGS = Decimal(20)  # what every leg but the first trades at; the first makes up the net price
FIRST_REF = 5_000


class Refused(Exception):
    """The exchange's definite no."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


@dataclass(slots=True, kw_only=True)
class Leg:
    """One contract of an order."""

    key: str
    side: str
    ratio: int
    multiplier: int

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1


@dataclass(slots=True, kw_only=True)
class Resting:
    """An order as the exchange holds it."""

    ref: str
    client_id: str
    legs: list[Leg]
    quantity: int
    limit: Decimal
    filled: int = 0
    status: str = "working"
    stubborn: bool = False  # nobody takes the other side

    @property
    def live(self) -> bool:
        return self.status == "working"

    @property
    def leaves(self) -> int:
        return self.quantity - self.filled

    def shown(self) -> dict[str, Any]:
        """As told to a client."""
        return {
            "client_id": self.client_id, "ref": self.ref, "status": self.status, "limit": str(self.limit), "quantity": self.quantity,
            "filled": self.filled,
        }


@dataclass(slots=True, kw_only=True)
class Fact:
    """Something the exchange will tell; `cursor` is its place in the stream once it is out."""

    item: dict[str, Any]
    due: float  # seconds of the exchange's clock at which it goes out
    cursor: int | None = None


@dataclass(slots=True, kw_only=True)
class Habits:
    """How this exchange treats orders, as chances between 0 and 1."""

    fill_at_once: float = 0.25
    fill_a_tick: float = 0.15
    stubborn: float = 0.2
    partial: float = 0.5
    late_report: float = 0.0  # a report is overtaken by later ones
    too_late: float = 0.0  # a cancel finds the order filled
    refuse: float = 0.0  # a definite no to an order
    refuse_late: float = 0.0  # accepted, then refused
    refuse_replace: float = 0.0
    correct: float = 0.0  # an execution is corrected by a cent


@dataclass(slots=True)
class Books:
    """One account's books at the exchange."""

    account: str
    env: str
    seed: int
    cash: Decimal = Decimal(0)
    habits: Habits = field(default_factory=Habits)
    orders: dict[str, Resting] = field(default_factory=dict)  # by ref
    held: dict[str, int] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    stream: list[Fact] = field(default_factory=list)
    frozen: bool = False  # no fills of its own accord, and every report is out
    now: float = 0.0
    desk_time: str = "2026-01-02T15:00:00+00:00"  # what the desk's clock said last: executions are stamped with it
    refs: int = FIRST_REF
    executions: int = 0
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    # --- what a client may ask ------------------------------------------------------------------------------------------

    def place(self, asked: dict[str, Any]) -> str:
        """Take a new order; the same client id a second time is another order, as at brokers that do not de-duplicate."""
        if self._hits(self.habits.refuse):
            raise Refused("201", "not enough margin for this order")
        self.refs += 1
        while str(self.refs) in self.orders:
            self.refs += 1
        legs = [Leg(key=leg["key"], side=leg["side"], ratio=leg["ratio"], multiplier=leg["multiplier"]) for leg in asked["legs"]]
        order = Resting(
            ref=str(self.refs), client_id=asked["client_id"], legs=legs, quantity=asked["quantity"], limit=Decimal(asked["limit"]),
            stubborn=self._hits(self.habits.stubborn),
        )
        self.orders[order.ref] = order
        self._report(order)
        if self._hits(self.habits.refuse_late):
            order.status = "rejected"
            self._report(order, "the exchange refused it after all")
        elif not order.stubborn and self._hits(self.habits.fill_at_once):
            self.fill(order, self._some(order))
        return order.ref

    def replace(self, asked: dict[str, Any]) -> None:
        """Move the limit of a live order."""
        order = self.live(asked["client_id"])
        if order is None:
            raise Refused("104", "cannot modify a finished order")
        if self._hits(self.habits.refuse_replace):
            raise Refused("110", "the price does not conform to the minimum variation")
        order.limit = Decimal(asked["limit"])
        self._report(order)

    def cancel(self, asked: dict[str, Any]) -> None:
        """End a live order, if the cancel comes in time."""
        order = self.live(asked["client_id"])
        if order is None:
            raise Refused("161", "no such working order")
        if self._hits(self.habits.too_late):
            self.fill(order, order.leaves)
            raise Refused("161", "too late to cancel")
        order.status = "cancelled"
        self._report(order, "cancelled on request")

    def snapshot(self, since: int) -> dict[str, Any]:
        """All of it, with everything told after `since`, or not told yet."""
        fresh = [fact.item for fact in self.facts if fact.cursor is None or fact.cursor > since]
        lately = {item["ref"] for item in fresh if item["kind"] == "report"}
        return {
            "complete": True, "cash": str(self.cash), "cursor": len(self.stream), "at": self.desk_time,
            "orders": [order.shown() for order in self.orders.values() if order.live or order.ref in lately],
            "positions": [{"key": key, "quantity": count} for key, count in self.held.items()],
            "fills": [item for item in fresh if item["kind"] == "fill"],
            "movements": [item for item in fresh if item["kind"] == "cash"],
        }

    def updates(self, since: int) -> list[dict[str, Any]]:
        """The stream after `since`."""
        return [{**fact.item, "cursor": fact.cursor} for fact in self.stream[since:]]

    def preview(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Margin, here what the holdings could lose at expiry, before and after an order."""
        legs = [(leg["key"], (1 if leg["side"] == "buy" else -1) * leg["ratio"] * asked["quantity"]) for leg in asked["legs"]]
        working = [(leg.key, leg.sign * leg.ratio * order.leaves) for order in self.orders.values() if order.live for leg in order.legs]
        before = worst_at_expiry([*self.held.items(), *working])
        after = worst_at_expiry([*self.held.items(), *working, *legs])
        commission = FEE * sum(abs(count) for _, count in legs)
        return {
            "margin_before": str(before), "margin_after": str(after), "buying_power_before": str(self.cash - before),
            "buying_power_after": str(self.cash - after), "commission": str(commission),
        }

    # --- what happens by itself -----------------------------------------------------------------------------------------

    def deposit(self, amount: Decimal) -> None:
        """Money comes in."""
        self.cash += amount
        self._tell({"kind": "cash", "id": f"M{len(self.facts)}", "amount": str(amount), "reason": "deposit"})

    def trade_outside(self, key: str, quantity: int, price: Decimal) -> None:
        """An execution that no order of the desk brought about: a trade by telephone, or in the broker's own programme."""
        leg = Leg(key=key, side="buy" if quantity > 0 else "sell", ratio=1, multiplier=100)
        self._execute(None, leg, abs(quantity), price)

    def tick(self, now: float) -> None:
        """Let time go on to `now`: reports go out, resting orders may fill."""
        self.now = now
        if not self.frozen:
            for order in [order for order in self.orders.values() if order.live and not order.stubborn]:
                if self._hits(self.habits.fill_a_tick):
                    self.fill(order, self._some(order))
        for fact in self.facts:
            if fact.cursor is None and (self.frozen or fact.due <= now):
                self.stream.append(fact)
                fact.cursor = len(self.stream)

    def fill(self, order: Resting, units: int) -> None:
        """Trade `units` of an order at its limit, leg by leg."""
        order.filled += units
        if not order.leaves:
            order.status = "filled"
        first, others = order.legs[0], order.legs[1:]
        rest = sum((leg.sign * leg.ratio * OTHER_LEGS for leg in others), Decimal(0))
        for leg in others:
            self._execute(order.client_id, leg, units * leg.ratio, OTHER_LEGS)
        self._execute(order.client_id, first, units * first.ratio, -first.sign * (order.limit + rest) / first.ratio)
        if order.status == "filled":
            self._report(order)

    def roll_back(self) -> None:
        """Number orders from an earlier place on, as some brokers do after their nightly restart."""
        self.refs = self.rng.randrange(1, FIRST_REF)

    def live(self, client_id: str) -> Resting | None:
        """The live order of a client id."""
        return next((order for order in self.orders.values() if order.client_id == client_id and order.live), None)

    def whole(self) -> dict[str, Any]:
        """The books, for whoever checks them."""
        return {
            "account": self.account, "cash": str(self.cash), "positions": {key: count for key, count in self.held.items() if count},
            "orders": [order.shown() for order in self.orders.values()], "published": len(self.stream), "facts": len(self.facts),
            "fills": [{**fact.item, "cursor": fact.cursor} for fact in self.facts if fact.item["kind"] == "fill"],
        }

    # --- inside ---------------------------------------------------------------------------------------------------------

    def _hits(self, chance: float) -> bool:
        return chance > 0 and self.rng.random() < chance

    def _some(self, order: Resting) -> int:
        return self.rng.randint(1, order.leaves) if self._hits(self.habits.partial) else order.leaves

    def _execute(self, client_id: str | None, leg: Leg, quantity: int, price: Decimal) -> None:
        self.executions += 1
        fill = {
            "kind": "fill", "exec_id": f"X{self.executions}", "client_id": client_id, "key": leg.key, "side": leg.side,
            "quantity": quantity, "price": str(price), "fees": str(FEE * quantity), "corrects": None,
        }
        self._book(leg, quantity, price, fees=FEE * quantity)
        self._tell(fill)
        if self._hits(self.habits.correct):
            self._book(leg, 0, Decimal(0), cash=-leg.sign * leg.multiplier * quantity * CENT)
            self._tell({**fill, "exec_id": f"{fill['exec_id']}.1", "price": str(price + CENT), "corrects": fill["exec_id"]})

    def _book(self, leg: Leg, quantity: int, price: Decimal, *, fees: Decimal = Decimal(0), cash: Decimal = Decimal(0)) -> None:
        self.cash += cash - leg.sign * quantity * price * leg.multiplier - fees
        self.held[leg.key] = self.held.get(leg.key, 0) + leg.sign * quantity

    def _report(self, order: Resting, reason: str = "") -> None:
        self._tell({
            "kind": "report", "client_id": order.client_id, "ref": order.ref, "status": order.status, "limit": str(order.limit),
            "reason": reason,
        })

    def _tell(self, item: dict[str, Any]) -> None:
        late = self.rng.uniform(0.2, 2.0) if self._hits(self.habits.late_report) else self.rng.uniform(0, 0.05)
        self.facts.append(Fact(item={**item, "at": self.desk_time}, due=self.now + late))


def worst_at_expiry(holdings: list[tuple[str, int]]) -> Decimal:
    """The most that options can lose at expiry, date by date, read off their 21-character symbols."""
    by_expiry: dict[str, list[tuple[Decimal, str, int]]] = {}
    for key, count in holdings:
        if count:
            by_expiry.setdefault(key[:12], []).append((Decimal(key[13:]) / 1000, key[12], count))
    total = Decimal(0)
    for rows in by_expiry.values():
        levels = [Decimal(0), *(strike for strike, _, _ in rows), 3 * max(strike for strike, _, _ in rows)]
        total -= min(Decimal(0), *(sum((_worth(row, level) for row in rows), Decimal(0)) for level in levels))
    return total


def _worth(row: tuple[Decimal, str, int], level: Decimal) -> Decimal:
    strike, right, count = row
    return max(Decimal(0), strike - level if right == "P" else level - strike) * 100 * count
