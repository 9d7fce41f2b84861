"""The watchdog: stale prices and silent brokers stop what adds risk and nothing else, and a person resumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from core.announce import Urgency, announce
from core.clock import LoopClock
from core.domain.events import AlertRaised, CancelRequested, Mode, ModeSet, SettingChanged
from core.domain.instruments import Instrument
from core.domain.orders import OrderState
from core.errors import Unavailable
from core.market.quote import Quote
from core.market.reader import Reader
from core.ports import ProviderCapabilities
from core.runtime import SimRuntime
from core.watchdog import Watchdog, in_session, keys_at_stake
from tests.fake_broker import FOR_EVER, World, open_world, simulated
from tests.paper_desk import say
from tests.unit.risk.market import CALL_SPREAD, NOW, PRACTICE, SPREAD, closing, put

MINUTE = 60


class Feed:
    """A streaming source of prices that can freeze, fall silent and lose its subscriptions."""

    def __init__(self, runtime: SimRuntime, *, most: int | None = 50) -> None:
        self.capabilities = ProviderCapabilities(name="feed", label="FEED", symbols=None, most_subscriptions=most)
        self.runtime = runtime
        self.frozen: dict[str, datetime] = {}  # underlying -> when its last price was made
        self.missing: set[str] = set()
        self.failure = ""
        self.subscribed: list[str] = []
        self.unsubscribed: list[str] = []
        self.heals_on_subscribe = False

    async def subscribe(self, instruments: Sequence[Instrument]) -> None:
        self.subscribed += [item.key for item in instruments]
        if self.heals_on_subscribe:
            for item in instruments:
                self.frozen.pop(item.key, None)

    async def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        self.unsubscribed += [item.key for item in instruments]

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        if self.failure:
            raise Unavailable("FEED", why=self.failure)
        now = self.runtime.clock.now()
        found = {}
        for item in instruments:
            name = getattr(item, "underlying", item.key)
            if name not in self.missing:
                found[item.key] = Quote(key=item.key, bid=30.0, ask=30.2, at=self.frozen.get(name, now), source="FEED")
        return found

    async def rate(self, days: int) -> float:
        return 0.04

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[object, ...]:
        return ()


async def watched(runtime: SimRuntime, **more: object) -> tuple[World, Feed, Watchdog]:
    """A desk with a working entry O1, a resting exit O2 and a position, over a feed."""
    world, feed = await open_world(runtime, **more), Feed(runtime)  # type: ignore[arg-type]
    world.desk.reader = Reader((feed,), clock=runtime.clock, runtime=runtime)  # type: ignore[arg-type]
    world.desk.reader.at_stake = lambda: keys_at_stake(world.desk.books)
    await world.send("O0")
    world.broker.fill_spread("O0")
    await world.sender.pump(0)
    await world.send("O1", CALL_SPREAD)
    await world.send("O2", closing(SPREAD), start="-1.00", worst="-1.00", reducing=True, trade_id="PO0")
    world.run_accounts()
    return world, feed, Watchdog(world.desk)


def standing(world: World) -> list[tuple[str, Mode, str]]:
    return [(entry.scope.name, entry.mode, entry.cause) for entry in world.desk.fold.all_modes()]


async def texts(world: World) -> list[str]:
    return [event.body.text for event in await world.store.read() if isinstance(event.body, AlertRaised)]


@simulated
async def test_g1_f6_feed_when_it_freezes_then_entries_stop_what_adds_risk_is_cancelled_and_exits_stay(runtime: SimRuntime) -> None:
    world, feed, dog = await watched(runtime)
    runtime.spawn(dog.run(), name="watchdog")
    await runtime.sleep(50)
    assert standing(world) == []
    feed.frozen["SPX"] = runtime.clock.now()
    await runtime.sleep(120 + 45 + 10)
    assert standing(world) == [("SPX", Mode.REDUCING, "stale data:SPX")]
    assert world.state("O1") is OrderState.CANCELLED
    assert world.state("O2") is OrderState.WORKING
    assert (await world.send("O3")).state is OrderState.DENIED
    assert (await world.send("O4", closing(SPREAD), start="-1", worst="-1", reducing=True)).state is OrderState.WORKING
    asked = [event for event in await world.store.read() if isinstance(event.body, CancelRequested)]
    assert [(event.actor, event.body.client_id) for event in asked] == [("rule:watchdog", "O1")]  # type: ignore[union-attr]


@simulated
async def test_f6_alert_when_a_feed_is_stale_then_critical_once_with_the_age_and_a_way_on(runtime: SimRuntime) -> None:
    world, feed, dog = await watched(runtime)
    heard = []
    world.desk.listen(lambda event, outcomes: heard.append(announce(event, outcomes, world.desk.books)))
    runtime.spawn(dog.run(), name="watchdog")
    feed.frozen["SPX"] = runtime.clock.now()
    await runtime.sleep(15 * MINUTE)
    told = [news for news in heard if news is not None and "the price of SPX is" in str(news.blocks[0])]
    modes = [news for news in told if news.key.startswith("mode:")]
    assert len(modes) == 1
    assert modes[0].urgency is Urgency.CRITICAL
    assert [action.line for action in modes[0].actions] == ["resume", "status"]


@simulated
async def test_f6_feed_when_prices_come_back_then_told_and_entries_wait_for_a_person(runtime: SimRuntime) -> None:
    world, feed, dog = await watched(runtime)
    runtime.spawn(dog.run(), name="watchdog")
    feed.frozen["SPX"] = runtime.clock.now()
    await runtime.sleep(4 * MINUTE)
    feed.frozen.clear()
    await runtime.sleep(10 * MINUTE)
    assert standing(world) == [("SPX", Mode.REDUCING, "stale data:SPX")]
    (told,) = [text for text in await texts(world) if "current again" in text]
    assert told == "SPX is current again. Entries stay halted until you `resume`."
    assert (await say(world.desk, "resume")).ok
    assert (await world.send("O3")).state is OrderState.WORKING


@simulated
async def test_f6_feed_when_it_is_still_stale_after_a_resume_then_stopped_again(runtime: SimRuntime) -> None:
    world, feed, dog = await watched(runtime)
    runtime.spawn(dog.run(), name="watchdog")
    feed.frozen["SPX"] = runtime.clock.now()
    await runtime.sleep(4 * MINUTE)
    await say(world.desk, "resume")
    assert standing(world) == []
    await runtime.sleep(MINUTE)
    assert [cause for _, _, cause in standing(world)] == ["stale data:SPX"]


@simulated
async def test_f6_farm_when_subscribing_anew_helps_then_nothing_stops(runtime: SimRuntime) -> None:
    world, feed, dog = await watched(runtime)
    runtime.spawn(dog.run(), name="watchdog")
    await runtime.sleep(50)
    feed.subscribed.clear()
    feed.heals_on_subscribe = True
    feed.frozen["SPX"] = runtime.clock.now()
    await runtime.sleep(10 * MINUTE)
    assert "SPX" in feed.subscribed
    assert standing(world) == []
    assert world.state("O1") is OrderState.WORKING


@simulated
async def test_f6_farm_when_it_flaps_then_one_look_stops_nothing(runtime: SimRuntime) -> None:
    world, feed, dog = await watched(runtime)
    runtime.spawn(dog.run(), name="watchdog")

    async def flap() -> None:
        while True:
            feed.frozen["SPX"] = runtime.clock.now() - timedelta(minutes=5)
            await runtime.sleep(2)
            feed.frozen.clear()
            await runtime.sleep(41)

    runtime.spawn(flap(), name="farm")
    await runtime.sleep(20 * MINUTE)
    assert standing(world) == []


@simulated
async def test_f6_session_when_another_one_takes_the_data_away_then_the_desk_stops_and_says_why(runtime: SimRuntime) -> None:
    world, feed, dog = await watched(runtime)
    runtime.spawn(dog.run(), name="watchdog")
    feed.failure = "another session uses this login's market data (10197)"
    await runtime.sleep(4 * MINUTE)
    assert standing(world) == [("", Mode.REDUCING, "stale data:market data")]
    assert "another session uses this login's market data (10197)" in world.desk.fold.all_modes()[0].reason
    assert world.state("O1") is OrderState.CANCELLED
    assert world.state("O2") is OrderState.WORKING


@simulated
async def test_watchdog_when_one_underlying_is_stale_then_the_others_trade_on(runtime: SimRuntime) -> None:
    world, feed, dog = await watched(runtime)
    await world.send("O5", tuple(replace(leg, instrument=put(strike, root="SPY")) for leg, strike in zip(SPREAD, (280, 275), strict=True)))
    runtime.spawn(dog.run(), name="watchdog")
    feed.missing.add("SPX")
    await runtime.sleep(5 * MINUTE)
    assert [scope for scope, _, _ in standing(world)] == ["SPX"]
    assert "has had no price for" in world.desk.fold.all_modes()[0].reason
    assert world.state("O1") is OrderState.CANCELLED
    assert world.state("O5") is OrderState.WORKING


@simulated
async def test_watchdog_when_the_broker_is_silent_for_two_minutes_then_the_account_stops_for_good(runtime: SimRuntime) -> None:
    world, _, dog = await watched(runtime)
    runtime.spawn(dog.run(), name="watchdog")
    for call in ("poll", "updates", "connect", "snapshot"):
        world.broker.fault(call, seconds=100_000, times=FOR_EVER)
    await runtime.sleep(4 * MINUTE)
    assert standing(world) == [(str(PRACTICE), Mode.REDUCING, "stale data:link PRACTICE")]
    world.broker.heal()
    await runtime.sleep(5 * MINUTE)
    assert world.mode() is Mode.REDUCING
    assert world.state("O1") is OrderState.CANCELLED
    assert world.state("O2") is OrderState.WORKING
    await say(world.desk, "resume")
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_watchdog_when_nothing_is_held_or_working_then_nothing_is_asked(runtime: SimRuntime) -> None:
    world, feed = await open_world(runtime), Feed(runtime)
    world.desk.reader = Reader((feed,), clock=runtime.clock, runtime=runtime)  # type: ignore[arg-type]
    feed.failure = "down"
    runtime.spawn(Watchdog(world.desk).run(), name="watchdog")
    await runtime.sleep(10 * MINUTE)
    assert standing(world) == []
    assert feed.subscribed == []


@simulated
async def test_watchdog_when_the_market_is_closed_then_old_prices_are_no_alarm_and_the_open_gives_them_time(runtime: SimRuntime) -> None:
    world, feed, dog = await watched(runtime)
    assert isinstance(runtime.clock, LoopClock)
    feed.frozen["SPX"] = runtime.clock.now()
    runtime.clock.step(datetime(2019, 5, 6, 20, 30, tzinfo=NOW.tzinfo) - runtime.clock.now())  # after the late close
    runtime.spawn(dog.run(), name="watchdog")
    await runtime.sleep(10 * MINUTE)
    assert standing(world) == []
    feed.frozen["SPX"] = datetime(2019, 5, 6, 20, 15, tzinfo=NOW.tzinfo)
    runtime.clock.step(datetime(2019, 5, 7, 13, 29, tzinfo=NOW.tzinfo) - runtime.clock.now())
    await runtime.sleep(2 * MINUTE)
    assert standing(world) == []
    await runtime.sleep(3 * MINUTE)
    assert [cause for _, _, cause in standing(world)] == ["stale data:SPX"]


@simulated
async def test_h1_watchdog_when_the_disk_is_full_then_what_adds_risk_is_cancelled_all_the_same(runtime: SimRuntime) -> None:
    world, feed, dog = await watched(runtime)
    feed.frozen["SPX"] = runtime.clock.now() - timedelta(minutes=10)
    world.faults.full = True
    await dog.turn()
    assert world.broker.sent("cancel") == ["O1"]
    assert world.mode() is Mode.HALT  # storage
    world.faults.full = False
    await dog.turn()
    assert [body.cause for body in [event.body for event in await world.store.read()] if isinstance(body, ModeSet)] == ["stale data:SPX"]


def test_in_session_when_asked_over_a_day_then_from_the_open_to_the_late_close() -> None:
    day = [datetime(2019, 5, 6, hour, minute, tzinfo=NOW.tzinfo) for hour, minute in ((13, 29), (13, 30), (20, 14), (20, 15))]
    assert [in_session(at) for at in day] == [False, True, True, False]
    assert not in_session(datetime(2019, 5, 5, 15, 0, tzinfo=NOW.tzinfo))


@pytest.mark.parametrize("limit", ["30", "600"])
@simulated
async def test_settings_when_the_limit_is_changed_then_the_watch_follows(runtime: SimRuntime, limit: str) -> None:
    world, feed, dog = await watched(runtime)
    await world.record(SettingChanged(key="desk.stale_seconds", old="120", new=limit, loosens=limit == "600"))
    feed.frozen["SPX"] = runtime.clock.now() - timedelta(minutes=5)
    await dog.turn()
    assert bool(standing(world)) is (limit == "30")
