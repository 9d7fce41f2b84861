"""Fate: kills the desk at any moment, in recovery and on the wire, steps the clock, lets days end and begin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from core.domain.calendar import EXCHANGE, next_session, session
from tests.sim.clearing import Clearing

if TYPE_CHECKING:
    from tests.sim.world import Life, World

MORNING = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)  # a Tuesday, 10:00 in New York
# Days that are like no other: before a holiday, a half day, the night in which the clocks change, the last day of the year.
DAYS = (
    MORNING,
    MORNING,
    MORNING,
    datetime(2026, 3, 6, 15, 0, tzinfo=UTC),
    datetime(2026, 4, 2, 14, 0, tzinfo=UTC),
    datetime(2026, 6, 18, 14, 0, tzinfo=UTC),
    datetime(2026, 11, 27, 15, 0, tzinfo=UTC),
    datetime(2026, 12, 31, 15, 0, tzinfo=UTC),
)
NIGHT = (  # what the machine sleeps through after the close, as (hours after it, minutes more or less)
    (0.3, 10),
    (2.0, 40),
    (7.8, 20),
    (12.0, 60),
)
WAKING_SECONDS = 6.0  # of the loop between two naps


def first_instant(rng: Random, *, calm: bool) -> datetime:
    """When the episode begins: in the morning, or minutes before the close or the open."""
    day, place, minutes = rng.choice(DAYS), rng.random(), rng.uniform(1, 12)
    if calm:
        return MORNING
    today = session(day.astimezone(EXCHANGE).date())
    assert today is not None
    if place < 0.6:
        return day
    return (today.close_at if place < 0.93 else today.open_at) - timedelta(minutes=round(minutes))


class Fate:
    """What happens to an episode as a whole."""

    def __init__(self, world: World, *, calm: bool) -> None:
        self._world = world
        self._rng = world.rng
        self._skew = timedelta(0)
        self._calm = calm
        self._night = False

    def begin(self) -> None:
        """Set everything going."""
        uniform, rng, world = self._rng.uniform, self._rng, self._world
        self._per_minute("disconnects_per_minute", lambda: self._line().disconnect(uniform(0, 25), silent=rng.random() < 0.3))
        self._per_minute("rolls_per_minute", self._roll)
        self._per_minute("busts_per_minute", lambda: self._clearing().bust())
        self._per_minute("outside_per_minute", lambda: self._clearing().outside_trade())
        self._per_minute("outside_orders_per_minute", lambda: self._clearing().outside_order())
        self._per_minute("liquidations_per_minute", lambda: self._clearing().liquidate())
        self._per_minute("fees_per_minute", lambda: self._clearing().fee())
        self._per_minute("glitches_per_minute", lambda: self._clearing().glitch())
        self._per_minute("jumps_per_minute", lambda: world.market.jump(rng.gauss(0, 0.008)))
        self._per_minute("floods_per_minute", world.people.flood)
        self._per_minute("full_disks_per_minute", self._fill_disk)
        self._per_minute("crashes_per_minute", self.crash)
        self._per_minute("takeovers_per_minute", world.replace_paused)
        self._per_minute("suspends_per_minute", lambda: self.sleep(timedelta(seconds=rng.choice((45, 200, 900)))))
        self._per_minute("clock_steps_per_minute", self._step_clock)
        self._per_minute("hour_steps_per_minute", self._wrong_hour)
        world.later(5.0, self._someone_acts)
        world.later(7.0, self._machine_acts)
        world.later(uniform(60, 900), self._deploy)
        world.later(20.0, self._look_at_the_clock)
        if not self._calm and rng.random() < 0.5:
            world.later(uniform(100, 400), self._towards_the_close)

    def booted(self, life: Life) -> None:
        """A life began; it may not come far."""
        if self._world.faults.hits("crash_again"):
            self._world.later(self._rng.uniform(0.0, 2.0), lambda: self._kill(life))

    def heal(self) -> None:
        """End every fault that lasts."""
        world = self._world
        for line in world.lines.values():
            line.down_until = -1.0
        for exchange in world.exchanges.values():
            exchange.glitch.clear()
            for order in exchange.orders.values():
                exchange.release(order)
        world.clock.step(-self._skew)
        self._skew = timedelta(0)
        for ghost in list(world.ghosts):
            world.loop.abandon(ghost.process)

    def crash(self) -> None:
        """`kill -9`."""
        if self._world.life is not None:
            self._kill(self._world.life)

    def sleep(self, by: timedelta) -> None:
        """The machine was suspended: time has passed for the whole world, and no timer ran."""
        self._world.clock.step(by)
        self._world.market.skip(by)

    # --- at a rate

    def _per_minute(self, name: str, act: Callable[[], object]) -> None:
        """Let something happen at a rate, at random moments."""
        rate = getattr(self._world.faults.rates, name)
        if rate <= 0:
            return

        def happen() -> None:
            if self._world.healed:
                return
            self._world.step(name)
            self._world.faults.count(name)
            act()
            self._world.later(self._rng.expovariate(rate / 60), happen)

        self._world.later(self._rng.expovariate(rate / 60), happen)

    def _someone_acts(self) -> None:
        if not self._world.healed:
            self._world.later(self._world.people.act(), self._someone_acts)

    def _machine_acts(self) -> None:
        if not self._world.healed:
            self._world.machines.act()
            self._world.later(self._rng.expovariate(1 / 15), self._machine_acts)

    def _line(self) -> object:
        return self._rng.choice(list(self._world.lines.values()))

    def _clearing(self) -> Clearing:
        return self._rng.choice(list(self._world.clearing.values()))

    def _roll(self) -> None:
        for line in self._world.lines.values():
            line.roll()

    def _fill_disk(self) -> None:
        self._world.platter.full_until = self._world.loop.time() + self._rng.uniform(1, 30)

    def _kill(self, life: Life) -> None:
        if self._world.life is life and life.process.alive:
            self._world.loop.abandon(life.process)

    def _step_clock(self) -> None:
        """A time server corrects this machine's clock, or gets it wrong for a while."""
        by = timedelta(seconds=self._rng.choice((-20, -5, -2, 2, 5, 20)))
        if abs(self._skew + by) <= timedelta(seconds=30):
            self._skew += by
            self._world.step_clock(by)

    def _wrong_hour(self) -> None:
        """The clock is wrong by an hour, and right again a little later."""
        by = timedelta(hours=self._rng.choice((-1, 1)))
        self._skew += by
        self._world.step_clock(by)
        self._world.later(self._rng.uniform(5, 60), lambda: self._right_again(by))

    def _right_again(self, by: timedelta) -> None:
        if not self._world.healed:
            self._skew -= by
            self._world.step_clock(-by)

    def _deploy(self) -> None:
        """A clean stop and start, which keeps a snapshot."""
        life = self._world.life
        if self._world.healed or life is None or life.app is None or life.desk is None:
            return
        self._world.step("deploy")
        app = life.app

        async def stop() -> None:
            await app.stop()
            self._world.loop.abandon(life.process)

        with self._world.loop.inside(life.process):
            self._world.loop.create_task(stop(), name="deploy")

    # --- days

    def _towards_the_close(self) -> None:
        """The afternoon passes; the last minutes are lived through."""
        today = session(self._world.market.now().astimezone(EXCHANGE).date())
        if self._world.healed or today is None:
            return
        left = today.close_at - self._world.market.now() - timedelta(seconds=self._rng.uniform(30, 150))
        if left > timedelta(0):
            self._world.step("the afternoon passes")
            self.sleep(left)

    def _look_at_the_clock(self) -> None:
        """Once the market has closed the night passes in naps, with whatever happens in the seconds between them."""
        if self._world.healed:
            return
        now = self._world.market.now()
        today = session(now.astimezone(EXCHANGE).date())
        if today is None or now >= today.close_at + timedelta(minutes=17):
            self._nap(now, list(NIGHT))
        else:
            self._world.later(20.0, self._look_at_the_clock)

    def _nap(self, closed: datetime, left: list[tuple[float, int]]) -> None:
        if self._world.healed:
            return
        now, opens = self._world.market.now(), self._opens()
        if left:
            hours, spread = left.pop(0)
            until = closed + timedelta(hours=hours, minutes=self._rng.uniform(-spread, spread))
        else:
            until = opens - timedelta(seconds=self._rng.uniform(1, 40))
        if now < until < opens:
            self._world.step("the night passes")
            self._world.faults.count("night")
            self.sleep(until - now)
        if self._rng.random() < 0.2:
            self._roll()
        again = (lambda: self._nap(closed, left)) if left or until < opens - timedelta(minutes=1) else self._look_at_the_clock
        self._world.later(self._rng.uniform(0.5, 2.0) * WAKING_SECONDS, again)

    def _opens(self) -> datetime:
        """When the exchange opens next."""
        now = self._world.market.now()
        day = now.astimezone(EXCHANGE).date()
        today = session(day)
        if today is None or now >= today.open_at:
            today = session(next_session(day))
        assert today is not None
        return today.open_at
