"""A desk with an open spread, a market made by hand and the exits at work, on virtual time over a broker that can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from core.announce import Announcement, announce
from core.command import Call, Caller, Via, parse_args, split_line
from core.desk import Desk
from core.dispatch import command_of, dispatch
from core.domain.events import ExitDue, ExitOver, MandateGranted, Submitting, TicketConfirmed
from core.domain.mandates import Mandate, MandateAction
from core.domain.orders import Leg
from core.market.chain import Chain
from core.market.quote import Quote
from core.market.view import Needs, View
from core.orders.exit_loop import ExitLoop
from core.orders.states import Order
from core.reply import Notice, Reply
from core.runtime import SimRuntime
from tests.fake_broker import World, open_world, reopened
from tests.unit.risk.market import EXPIRY, NOW, PRACTICE, SPREAD, TODAY, chain

OWNER = Caller(person="owner", via=Via.BUTTON)
CREDIT = Decimal(5)  # what `hold` receives per spread
LONG_MID = 25.0


@cache
def _chain() -> Chain:
    return chain("SPX", 2900.0, {EXPIRY: "SPXW"}, step=25, half_spread=0.10, at=NOW)


class HandMarket:
    """SPX at 2,900 with a spread whose price a test sets; `blind` hides contracts, `stale_seconds` makes every quote older."""

    def __init__(self, runtime: SimRuntime) -> None:
        self._runtime = runtime
        self.prices: dict[str, tuple[float, float]] = {}
        self.blind: set[str] = set()
        self.stale_seconds = 0.0
        self.meanwhile: Callable[[], Any] | None = None

    def quote(self, leg: Leg, bid: float, ask: float) -> None:
        self.prices[leg.instrument.key] = (bid, ask)

    async def view(self, needs: Needs, *, fresh: bool = False) -> View:
        now = self._runtime.clock.now()
        at = now - timedelta(seconds=self.stale_seconds)
        quotes = {key: Quote(key=key, bid=bid, ask=ask, at=at, source="test") for key, (bid, ask) in self.prices.items()}
        for symbol, level in (("SPX", 2900.0), ("VIX", 15.0)):
            quotes[symbol] = Quote(key=symbol, bid=level, ask=level, at=at, source="test")
        for key in self.blind:
            quotes[key] = Quote(key=key, bid=float("nan"), ask=1.0, at=at, source="test")
        if self.meanwhile is not None:
            again, self.meanwhile = self.meanwhile, None
            await again()
        return View(at=now, session=TODAY, label="TEST", quotes=quotes, chains={"SPX": replace(_chain(), at=at)}, rate=0.0)

    def label(self) -> str:
        return "TEST"

    def ages(self) -> tuple[()]:
        return ()


class Floor:
    """The desk, its market, its exits and what was told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.market = HandMarket(world.runtime)
        world.desk.reader = self.market  # type: ignore[assignment]
        self.loop = ExitLoop(world.desk)
        self.news: list[Announcement] = []
        world.desk.listen(self._heard)
        self.costs(CREDIT)

    @property
    def desk(self) -> Desk:
        return self.world.desk

    @property
    def now(self) -> datetime:
        return self.desk.now()

    def _heard(self, event: Any, outcomes: Any) -> None:
        news = announce(event, outcomes, self.desk.books)
        if news is not None:
            self.news.append(news)

    def costs(self, cost: Decimal | str, *, half_spread: float = 0.05, legs: tuple[Leg, Leg] = SPREAD) -> None:
        """What closing a spread costs at mid from now on."""
        short, long = legs
        mid = LONG_MID + float(cost)
        self.market.quote(short, mid - half_spread, mid + half_spread)
        self.market.quote(long, LONG_MID - half_spread, LONG_MID + half_spread)

    async def hold(self, units: int = 1, *, client_id: str = "O1") -> str:
        """Open spreads for a credit of 5 each; returns the trade's id."""
        await self.world.send(client_id, quantity=units)
        self.world.broker.fill_spread(client_id, quantity=units, name=f"E{client_id}")
        await self.world.sender.pump(0)
        return f"P{client_id}"

    async def grant(self, rule: str = "profit_target", **bounds: Any) -> str:
        """A mandate in force, as a press on its card leaves it."""
        asked: dict[str, Any] = {
            "id": "M1", "account": PRACTICE, "rules": (rule,), "action": MandateAction.CLOSE, "strategies": ("put_credit_spread",),
            "symbols": None, "max_quantity": 2, "max_orders_per_day": 3, "concession_points": Decimal("0.10"),
            "concession_fraction": Decimal("0.10"), "valid_until": self.now + timedelta(days=30), "granted_by": "owner", "chat": "terminal",
        }
        asked |= bounds
        terms = asked.pop("terms", self.desk.exit_terms(asked["rules"], asked["strategies"]))
        mandate = Mandate(**asked, terms=terms)
        await self.world.record(MandateGranted(mandate=mandate, card_hash="ab" * 32))
        return mandate.id

    async def say(self, line: str, *, via: Via = Via.BUTTON, person: str = "owner", **more: Any) -> Reply:
        """A typed line or a press."""
        words = split_line(line)
        args = parse_args(command_of(words[0]), words[1:])
        return await dispatch(self.desk, Call(command=words[0], args=args, caller=replace(OWNER, via=via, person=person, **more)))

    async def round(self, *, after_seconds: float = 60) -> None:
        """Let time pass, then one round of the exits."""
        await self.world.runtime.sleep(after_seconds)
        await self.loop.round()

    async def restart(self) -> Floor:
        """The process dies; another one starts from the disk, with the same market."""
        prices = self.market.prices
        floor = Floor(await reopened(self.world))
        floor.market.prices = prices
        return floor

    async def bodies(self, *kinds: type) -> list[Any]:
        """What the log holds of these kinds."""
        return [event.body for event in await self.world.store.read() if isinstance(event.body, kinds)]

    async def told(self) -> list[ExitDue]:
        return await self.bodies(ExitDue)

    async def over(self) -> list[ExitOver]:
        return await self.bodies(ExitOver)

    async def by_mandate(self) -> list[TicketConfirmed]:
        """Confirmations nobody pressed for."""
        return [body for body in await self.bodies(TicketConfirmed) if body.mandate is not None]

    async def sent(self) -> list[Submitting]:
        """Orders written ahead that rest on a mandate."""
        return [body for body in await self.bodies(Submitting) if body.mandate is not None]

    def order(self) -> Order:
        """The newest order a mandate sent."""
        return [order for order in self.desk.book(PRACTICE).orders.values() if order.mandate is not None][-1]

    async def fill(self, order: Order, price: str = "0.10") -> None:
        """The broker fills an order whole."""
        for number, leg in enumerate(order.envelope.legs):
            self.world.broker.fill(
                leg, order.quantity * leg.ratio, price, exec_id=f"F{order.client_id}.{number}", client_id=order.client_id
            )
        await self.world.sender.pump(0)


async def open_floor(runtime: SimRuntime, **more: Any) -> Floor:
    return Floor(await open_world(runtime, **more))


def text(reply: Reply) -> str:
    """Everything a reply notes."""
    return " ".join(block.text for block in reply.blocks if isinstance(block, Notice))
