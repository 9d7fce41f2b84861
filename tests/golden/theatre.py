"""Plays golden transcripts: who says what, what the desk answers, which events result.

A transcript is Markdown a trader can read. Its first comment sets the stage:

    <!-- market: simulated; start: 2026-11-20; cash: 100000 -->
    <!-- market: simulated; scenario: covid_2020; start: 2026-11-20 -->
    <!-- market: recorded; start: 2019-04-25; cards: short -->
    <!-- market: hand; start: 2026-12-07; prices: KO=66; volatility: 0.20 -->

Inside ```desk fences a line that starts with `> ` is said by the person; what follows, up to the next such line, is the desk's answer, word
for word. Stage directions stand beside what is said:

    > !wait 130                     that many seconds pass (on a recorded day, where the clock stands, only the process gets older)
    > !press Confirm of T1A2B3C     that button of that card, however old the card is
    > !pin                          the owner's PIN is typed, unseen
    > !kill before the wire         the next order ends the process like `kill -9` just before it leaves; it is started again from the disk
    > !kill after the wire          the same, just after the broker took the order and before anybody heard of it
    > !kill                         the process ends now and is started again
    > !hold the wire                the last check before the next order leaves takes half a minute
    > !elsewhere T1A2B3C at 0.90    somebody enters that card's order at the broker's own screen, with this limit
    > !the broker has 12.50 more    from now on the broker's books show so much more cash, and it does not say why
    > !the broker goes silent       nothing that is asked of the broker is answered any more
    > !the broker is back           until this
    > !KO stands at 61.20           on a market set by hand: from now on it costs that
    > !KO pays 0.48 on 2026-12-11   a dividend is announced
    > !KO splits 2 for 1 on 2026-12-14
    > !events                       what the log took down since the last time

`accounts: practice reg_t 100000, pension ira 40000` names several instead of the one called practice.

With `cards: short` a card shows what is ordered, at which price, and its buttons; the stories that are about the card show all of it.

The simulated market runs with its time; on a recorded one and on one set by hand the clock stands at an instant, as in a real process.
The process is the one `core.app` makes, with its background work; store and archive are in memory, time and order are a seeded
`SimLoop`'s.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

from bot.auth import Pins, local_owner, open_pins
from bot.render import render
from bot.session import Session, Shown
from core import plugins
from core.announce import Announcement, announce
from core.app import App, assemble, replay
from core.clock import EXCHANGE_ZONE, ManualClock
from core.commands._accounts import load_default
from core.config import parse_config
from core.desk import Desk
from core.domain.events import Event
from core.ports import Dividend, Split
from core.reply import Facts, Notice, Reply, Text
from core.runtime import SimRuntime
from core.simloop import Abandoned, SimLoop
from core.store.archive import MemoryArchive
from core.store.memory import MemoryStore
from tests.golden.hand import HandMarket

FENCE = re.compile(r"```desk\n(.*?)```", re.DOTALL)
STAGE = re.compile(r"<!--(.*?)-->")
PRESS = re.compile(r"press (.+) of (\w+)")
STANDS = re.compile(r"(\w+) stands at ([.\d]+)")
PAYS = re.compile(r"(\w+) pays ([.\d]+) on ([-\d]+)")
SPLITS = re.compile(r"(\w+) splits (\d+) for (\d+) on ([-\d]+)")
ELSEWHERE = re.compile(r"elsewhere (\w+) at ([-.\d]+)")
RICHER = re.compile(r"the broker has ([-.\d]+) more")
KILL = re.compile(r"kill (before|after) the wire")
PIN = "271828"
SHORT = ("Ticket", "Price", "Exits", "In parts", "Result")  # the parts of a card that are shown where cards are short
NAMED = ("ticket_id", "client_id", "outcome", "mandate_id", "mandate", "trade_id", "rule")  # what of a body says which one it is


@dataclass(kw_only=True)
class Stage:
    """What a transcript's first comment asks for."""

    market: str = "simulated"
    start: date = date(2026, 11, 20)
    seed: int = 1
    cash: str = "100000"
    accounts: str = ""
    short_cards: bool = False
    prices: str = ""
    volatility: float = 0.2
    fees: str = "ibkr"
    scenario: str = ""
    data_dir: Path | None = None

    @classmethod
    def of(cls, text: str, data_dir: Path | None) -> Stage:
        """Read the first comment."""
        found = STAGE.search(text)
        pairs = dict(part.split(":", 1) for part in found.group(1).split(";")) if found else {}
        said = {key.strip(): value.strip() for key, value in pairs.items()}
        return cls(
            market=said.get("market", "simulated"), start=date.fromisoformat(said.get("start", "2026-11-20")),
            seed=int(said.get("seed", "1")), cash=said.get("cash", "100000"), accounts=said.get("accounts", ""),
            short_cards=said.get("cards") == "short", prices=said.get("prices", ""), volatility=float(said.get("volatility", "0.2")),
            fees=said.get("fees", "ibkr"), scenario=said.get("scenario", ""), data_dir=data_dir,
        )

    @property
    def configured(self) -> list[dict[str, str]]:
        """The accounts as a configuration has them."""
        named = [tuple(item.split()) for item in (self.accounts or f"practice reg_t {self.cash}").split(",")]
        return [
            {"name": name, "broker": "paper", "id": name.upper(), "env": "paper", "kind": kind, "start_cash": cash}
            for name, kind, cash in named
        ]


@dataclass(kw_only=True)
class Theatre:
    """One desk in memory, played with by a script."""

    stage: Stage
    cache_dir: Path
    loop: SimLoop = field(init=False)
    boots: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        self.loop = SimLoop(seed=self.stage.seed, start=datetime(2026, 1, 1, tzinfo=UTC))
        self.clock, self.provider = self._market()
        self.store = MemoryStore(clock=self.clock)
        self.archive = MemoryArchive()
        self.app: App | None = None
        self.news: list[Announcement] = []
        self.told: set[str] = set()
        self.buttons: dict[tuple[str, str], str] = {}

    def play(self, script: str) -> str:
        """Perform a fence's lines; returns the fence as it should read."""
        said = [line for line in script.splitlines() if line.startswith("> ")]
        parts = [f"{line}\n{self._perform(line[2:])}".rstrip() for line in said]
        return "\n\n".join(parts) + "\n"

    def end(self) -> None:
        """The curtain: nothing runs on."""
        self.runtime.kill()

    # --- what happens on the stage -----------------------------------------------------------------------------------------

    def _perform(self, line: str) -> str:
        if not line.startswith("!"):
            return self._saying(lambda: self.session.hear(line))
        order = line[1:].strip()
        if order.startswith("wait "):
            return str(self._run(lambda: self._wait(float(order[5:]))))
        if order == "events":
            return str(self._run(self._events))
        if order == "pin":
            return self._saying(lambda: self.session.hear(PIN))
        if pressed := PRESS.fullmatch(order):
            return self._saying(lambda: self.session.push(self.buttons[pressed[1], pressed[2]]))
        if armed := KILL.fullmatch(order):
            return str(self._run(lambda: self._arm(before=armed[1] == "before")))
        if order == "kill":
            return self._killed()
        if entered := ELSEWHERE.fullmatch(order):
            return str(self._run(lambda: self._enter(entered[1], Decimal(entered[2]))))
        if richer := RICHER.fullmatch(order):
            return str(self._run(lambda: self._enrich(Decimal(richer[1]))))
        if order in ("the broker goes silent", "the broker is back"):
            return str(self._run(lambda: self._silence(silent=order.endswith("silent"))))
        if self.hand is not None and self._set_by_hand(self.hand, order):
            return ""
        if order == "hold the wire":
            return self._hold()
        raise ValueError(f"there is no stage direction {order!r}")

    def _set_by_hand(self, market: HandMarket, order: str) -> bool:
        """What a direction says of a market that is set by hand; False where it speaks of something else."""
        if stands := STANDS.fullmatch(order):
            market.stand(stands[1], float(stands[2]))
        elif pays := PAYS.fullmatch(order):
            market.paid.append(Dividend(symbol=pays[1], ex_date=date.fromisoformat(pays[3]), amount=Decimal(pays[2])))
        elif splits := SPLITS.fullmatch(order):
            market.made.append(Split(symbol=splits[1], ex_date=date.fromisoformat(splits[4]), new=int(splits[2]), old=int(splits[3])))
        else:
            return False
        return True

    def _saying(self, say: Callable[[], Awaitable[Shown]]) -> str:
        try:
            return str(self._run(lambda: self._answer(say)))
        except Abandoned:
            return self._killed()

    async def _answer(self, say: Callable[[], Awaitable[Shown]]) -> str:
        """As the terminal shows it: the answer, then the news it does not tell itself."""
        shown = await say()
        self._keep(shown)
        said = set(shown.reply.cites)
        self.news = [item for item in self.news if not said.issuperset(item.cites)]
        reply = _shortened(shown.reply) if self.stage.short_cards else shown.reply
        return f"{render(reply, shown.buttons)}\n\n{await self._tell()}"

    async def _wait(self, seconds: float) -> str:
        await self.runtime.sleep(seconds)
        return await self._tell()

    async def _tell(self) -> str:
        news, self.news = self.news, []
        return "\n\n".join([self._keep(await self.session.tell(item.reply)) for item in news])

    def _keep(self, shown: Shown) -> str:
        """Remember the buttons; a card that is pushed is shown short, since its story is about something else."""
        for button, action in zip(shown.buttons, shown.reply.actions, strict=True):
            for word in action.line.replace("=", " ").split():
                self.buttons[button.label, word] = button.token
        return render(_shortened(shown.reply), shown.buttons)

    async def _events(self) -> str:
        events = await self.store.read(after=self.seen)
        self.seen = events[-1].seq if events else self.seen
        lines = [(words, len(list(same))) for words, same in groupby(_event_words(event) for event in events)]
        return "\n".join(words if count == 1 else f"{words}, {count} times" for words, count in lines) or "nothing"

    async def _arm(self, *, before: bool) -> str:
        assert self.app is not None
        for broker in self.app.desk.brokers.values():
            submit = broker.submit

            async def killed(order: Any, submit: Callable[[Any], Awaitable[str]] = submit) -> str:
                if not before:
                    await submit(order)
                self.runtime.kill()
                await asyncio.Event().wait()
                return ""

            broker.submit = killed
        return ""

    def _hold(self) -> str:
        """The lease is the last thing a sender asks for before an order leaves."""
        assert self.app is not None
        desk = self.app.desk
        asked = desk.check_lease

        async def slowly() -> None:
            desk.check_lease = asked  # type: ignore[method-assign]
            await self.runtime.sleep(30)
            await asked()

        desk.check_lease = slowly  # type: ignore[method-assign]
        return ""

    async def _enter(self, ticket_id: str, limit: Decimal) -> str:
        assert self.app is not None
        envelope = self.app.desk.fold.tickets[ticket_id].drafted.envelope
        await self.app.desk.brokers[envelope.account].enter(envelope, limit)
        return ""

    async def _enrich(self, amount: Decimal) -> str:
        assert self.app is not None
        for broker in self.app.desk.brokers.values():
            snapshot = broker.snapshot

            async def richer(*, since: int = 0, snapshot: Callable[..., Awaitable[Any]] = snapshot) -> Any:
                taken = await snapshot(since=since)
                return replace(taken, cash=taken.cash + amount)

            broker.snapshot = richer
        return ""

    async def _silence(self, *, silent: bool) -> str:
        assert self.app is not None
        for broker in self.app.desk.brokers.values():
            for name in ("connect", "poll", "updates", "snapshot", "cancel", "submit", "replace"):
                if silent:
                    setattr(broker, name, self._never)
                else:
                    delattr(broker, name)
        return ""

    async def _never(self, *about: object, **more: object) -> None:
        await self.runtime.sleep(3600)

    def _killed(self) -> str:
        """The process ends, and a new one finds what was on the disk."""
        self.runtime.kill()
        self.store = MemoryStore.from_image(self.store.durable_image(), clock=self.clock)
        self.archive = MemoryArchive.from_image(self.archive.durable_image())
        self.app = None
        self.news.clear()
        return f"(the process is killed and started again)\n{self._run(self._tell)}"

    # --- the house -------------------------------------------------------------------------------------------------------

    def _market(self) -> tuple[Any, Any]:
        self.hand: HandMarket | None = None
        if self.stage.market == "hand":
            prices = {name: float(price) for name, _, price in (one.partition("=") for one in self.stage.prices.split())}
            self.hand = HandMarket(prices, start=self.stage.start, volatility=self.stage.volatility)
            return self.hand.clock, self.hand
        module = plugins.load("providers", self.stage.market)
        morning = datetime.combine(self.stage.start, time(10, 0), EXCHANGE_ZONE).astimezone(UTC)
        if self.stage.market == "recorded":
            clock = ManualClock(morning)
            parameters = module.PARAMETERS(data_dir=self.stage.data_dir, cache_dir=self.cache_dir, start=self.stage.start)
            provider = module.build(parameters, clock=clock)
            clock.set(provider.first_instant, allow_backward=True)
            return clock, provider
        running = module.simulated_clock(morning, 1.0, self.loop.time)
        told = {"scenario": self.stage.scenario, "start": self.stage.start} if self.stage.scenario else {}
        return running, module.build(module.PARAMETERS(seed=self.stage.seed, **told), clock=running)

    def _run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        if self.app is None:
            self.boots += 1
            self.runtime = SimRuntime(self.loop, f"{self.stage.seed}/{self.boots}", clock=self.clock, process=f"desk {self.boots}")
            self.runtime.run(self._boot())
        return self.runtime.run(self._await(work))

    async def _await(self, work: Callable[[], Awaitable[Any]]) -> Any:
        return await work()

    async def _boot(self) -> None:
        config = parse_config({"accounts": self.stage.configured, "fees": self.stage.fees})
        token = await self.store.acquire_lease(f"boot {self.boots}")
        desk = await assemble(
            config=config, runtime=self.runtime, store=self.store, archive=self.archive, token=token, fold=await replay(self.store),
            providers=(self.provider,), halt_reason=lambda: None,
        )
        await load_default(desk)
        desk.listen(self._heard)
        self.app = App(desk=desk, home=None)
        await self.app.start()
        pins, _ = open_pins(Path(), self.runtime, make="", salt="theatre", given=PIN)
        self.session = await self._conversation(desk, pins)
        if self.boots == 1:
            self.seen = desk.fold.seq  # what a first start writes is no part of a story

    async def _conversation(self, desk: Desk, pins: Pins) -> Any:
        """Who is talked to: whatever hears, takes presses and tells news as a Session does."""
        return Session(desk, person=local_owner(), chat="terminal", pins=pins)

    def _heard(self, event: Event, outcomes: Any) -> None:
        news = announce(event, outcomes, self.app.desk.books) if self.app is not None else None
        if news is not None and news.key not in self.told:
            self.told.add(news.key)
            self.news.append(news)


def _shortened(reply: Reply) -> Reply:
    """A card without its lower parts; any other answer as it is."""
    if "ticket" not in reply.data or not any(isinstance(block, Facts) and block.title == "Price" for block in reply.blocks):
        return reply
    kept = [block for block in reply.blocks if isinstance(block, Notice) or (isinstance(block, Facts) and block.title.startswith(SHORT))]
    return replace(reply, blocks=(*kept, Text(text="...")))


def _event_words(event: Event) -> str:
    """An event in one line: its kind and what it is about."""
    body = event.body
    fill = getattr(body, "fill", None)
    if fill is not None:
        name = getattr(fill.instrument, "label", fill.instrument.key)
        return f"Filled {fill.client_id}: {fill.side.value} {fill.quantity} {name} at {fill.price:.2f}"
    if event.kind == "ModeSet":
        return f"ModeSet {body.mode.value}: {body.reason}"
    if event.kind == "KillChecked":
        return f"KillChecked {body.account.id}: {'proved' if body.proved else 'not proved'}"
    if event.kind == "Settled":
        return f"Settled {abs(body.quantity)} x {body.instrument.label}: {body.outcome.replace('_', ' ')}"
    values = [getattr(body, name, None) for name in NAMED if name != "trade_id" or event.kind.startswith("Exit")]
    named = [str(getattr(value, "id", value)) for value in values if value]
    limit = getattr(body, "limit", None)
    return " ".join([event.kind, *named]) + (f" at {limit:+.2f}" if limit is not None else "")


def perform(path: Path, *, data_dir: Path | None, cache_dir: Path, house: type[Theatre] = Theatre) -> tuple[str, str]:
    """The transcript as written and as it plays now."""
    written = path.read_text(encoding="utf-8")
    theatre = house(stage=Stage.of(written, data_dir), cache_dir=cache_dir)
    played = FENCE.sub(lambda found: f"```desk\n{theatre.play(found.group(1))}```", written)
    theatre.end()
    return written, played
