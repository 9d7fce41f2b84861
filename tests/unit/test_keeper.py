"""Background parts: one that dies or hangs is started again, the others go on, and it is seen."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from core.app import App
from core.domain.events import AlertRaised, Mode
from core.keeper import HANGS_SECONDS, Keeper
from core.runtime import SimRuntime
from tests.fake_broker import World, open_world, simulated
from tests.paper_desk import open_desk, say, text
from tests.unit.risk.market import PRACTICE


async def kept(runtime: SimRuntime) -> tuple[World, Keeper, list[str]]:
    world, ill = await open_world(runtime), []

    async def on_ill(identity: str, what: str) -> None:
        ill.append(what)

    keeper = world.desk.keeper = Keeper(world.desk, on_ill=on_ill)
    runtime.spawn(keeper.run(), name="keeper")
    return world, keeper, ill


async def alerts(world: World) -> list[str]:
    return [event.body.text for event in await world.store.read() if isinstance(event.body, AlertRaised)]


@simulated
async def test_j4_part_when_it_dies_then_started_again_and_told(runtime: SimRuntime) -> None:
    world, keeper, ill = await kept(runtime)
    lives: list[float] = []

    async def part() -> None:
        lives.append(runtime.seconds())
        await runtime.sleep(30)
        if len(lives) < 3:
            raise ValueError("a bug")
        await runtime.sleep(100_000)

    keeper.keep("marks", part)
    await runtime.sleep(200)
    assert len(lives) == 3
    assert ill == ["a part of the desk (marks) stopped"]
    (health,) = keeper.health
    assert (health.runs, health.restarts, health.why) == (True, 2, "a bug")
    assert len(await alerts(world)) == 1
    shown = await say(world.desk, "status")
    assert "'marks' stopped 2 time(s), last because a bug; it runs again" in text(shown)


@pytest.mark.parametrize("how", ["ends", "is cancelled"])
@simulated
async def test_j4_part_when_it_ends_silently_then_started_again(runtime: SimRuntime, how: str) -> None:
    _, keeper, _ = await kept(runtime)
    lives: list[float] = []

    async def part() -> None:
        lives.append(runtime.seconds())
        if how == "ends" and len(lives) == 1:
            return
        await runtime.sleep(100_000)

    keeper.keep("marks", part)
    if how == "is cancelled":
        await runtime.sleep(1)
        for task, name in tuple(runtime._tasks.items()):
            if name == "marks":
                task.cancel()
    await runtime.sleep(30)
    assert len(lives) == 2


@simulated
async def test_i4_part_when_it_hangs_then_given_up_and_started_again_while_the_others_go_on(runtime: SimRuntime) -> None:
    _, keeper, ill = await kept(runtime)
    hung: list[float] = []
    rounds: list[float] = []

    async def hangs() -> None:
        hung.append(runtime.seconds())
        await runtime.sleep(10)
        if len(hung) == 1:
            await runtime.event().wait()
        await runtime.sleep(100_000)

    async def goes_on() -> None:
        while True:
            rounds.append(runtime.seconds())
            await runtime.sleep(10)

    keeper.keep("hangs", hangs)
    keeper.keep("goes on", goes_on)
    await runtime.sleep(HANGS_SECONDS + 60)
    assert len(hung) == 2
    assert ill == ["a part of the desk (hangs) stopped"]
    assert max(late - early for early, late in pairwise(rounds)) == 10


@simulated
async def test_i4_part_when_it_only_sleeps_long_then_left_alone(runtime: SimRuntime) -> None:
    _, keeper, ill = await kept(runtime)
    lives: list[float] = []

    async def part() -> None:
        lives.append(runtime.seconds())
        await runtime.sleep(HANGS_SECONDS * 10)

    keeper.keep("sleeps", part)
    await runtime.sleep(HANGS_SECONDS * 3)
    assert (len(lives), ill) == (1, [])


@simulated
async def test_j4_part_when_it_dies_at_once_for_ever_then_tried_with_growing_pauses(runtime: SimRuntime) -> None:
    world, keeper, ill = await kept(runtime)
    lives: list[float] = []

    async def part() -> None:
        lives.append(runtime.seconds())
        raise ValueError("hopeless")

    keeper.keep("hopeless", part)
    await runtime.sleep(3600)
    assert 40 < len(lives) < 75
    assert len(ill) == 1
    assert len(await alerts(world)) < 6


@simulated
async def test_j4_account_when_its_loop_dies_then_it_hears_and_sends_again_and_entries_wait_for_a_person(
    runtime: SimRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world(runtime, connect=False)
    app = App(desk=world.desk, home=None)
    await app.start()
    await runtime.sleep(5)
    for task, name in tuple(runtime._tasks.items()):
        if name == "account PRACTICE":
            task.cancel()
    await runtime.sleep(30)
    assert "account PRACTICE" in runtime.running()
    assert world.broker.epoch == 2  # what the dead loop was at is found out by a new connection
    assert world.desk.mode(account=PRACTICE)[0] is Mode.REDUCING
    await say(world.desk, "resume")
    assert world.desk.mode(account=PRACTICE)[0] is Mode.ACTIVE
    await app.stop()


async def test_j4_loop_when_everything_stood_still_then_told_once_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.keeper.LOOK_SECONDS", 0.05)  # so that the test need not stand still for ten seconds
    monkeypatch.setattr("core.keeper.STALLED_SECONDS", 0.1)
    desk = await open_desk()

    async def on_ill(identity: str, what: str) -> None:
        raise AssertionError(what)

    keeper = desk.keeper = Keeper(desk, on_ill=on_ill)
    watching = desk.runtime.spawn(keeper.run(), name="keeper")
    await desk.runtime.sleep(0.02)
    time.sleep(0.3)  # noqa: ASYNC251 - that nothing else runs meanwhile is the point
    await desk.runtime.sleep(0.3)
    watching.cancel()
    assert keeper.stalled_seconds > 0.1
    assert any("stood still" in alert.raised.text for alert in desk.fold.alerts.values())
    assert "once stood still" in text(await say(desk, "status"))
