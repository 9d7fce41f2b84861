"""The one door to the log: stored first, folded second, told third, whatever happens to the caller, the disk or the process."""

from __future__ import annotations

import asyncio

import pytest

from core.app import replay
from core.domain.events import Event, Mode, ModeSet, NoteWritten, Scope
from core.errors import Corrupt, LeaseLost, Unavailable
from core.orders.states import Outcome
from core.runtime import SimRuntime
from core.store.memory import MemoryStore
from tests.fake_broker import World, open_world, reopened, simulated, taken_over
from tests.unit.risk.market import PRACTICE, SPREAD


def notes(world: World) -> list[str]:
    return [note.text for note in world.desk.fold.notes]


@simulated
async def test_record_when_the_caller_is_cancelled_then_state_and_log_agree_and_kill_halts(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.faults.late_seconds = 1
    caller = runtime.spawn(world.record(NoteWritten(text="kept")), name="caller")
    await runtime.sleep(0.5)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await world.halt()
    assert notes(world) == ["kept"]
    assert world.mode() is Mode.HALT
    assert world.desk.fold.seq == await world.store.last_seq()


@simulated
async def test_h1_record_when_the_disk_fails_after_the_commit_then_caught_up_and_nothing_is_sent(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.faults.late = True
    with pytest.raises(Unavailable):
        await world.record(NoteWritten(text="kept"))
    assert notes(world) == ["kept"]
    assert world.mode() is Mode.HALT
    await world.record(NoteWritten(text="next"))
    assert notes(world) == ["kept", "next"]
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_record_when_a_halt_is_stored_but_not_acknowledged_then_it_halts(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.faults.late = True
    with pytest.raises(Unavailable):
        await world.halt()
    await world.record(NoteWritten(text="the disk works again"))
    assert world.mode() is Mode.HALT


class UnreadableOnce(MemoryStore):
    """A log whose next reads fail."""

    failures = 0

    async def read(self, *, after: int = 0, limit: int | None = None) -> tuple[Event, ...]:
        if self.failures:
            self.failures -= 1
            raise Corrupt("a row", "desk.db")
        return await super().read(after=after, limit=limit)


@simulated
async def test_h1_record_when_the_state_stays_behind_the_log_then_nothing_is_sent_until_it_caught_up(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    store = UnreadableOnce(clock=runtime.clock, disk=world.disk, faults=world.faults)
    world.desk.store, store.failures, world.faults.late = store, 2, True
    heard: list[int] = []
    world.desk.listen(lambda event, outcomes: heard.append(event.seq))
    with pytest.raises(Unavailable):
        await world.record(NoteWritten(text="1"))
    await world.record(NoteWritten(text="2"))
    assert world.mode() is Mode.HALT
    await world.record(NoteWritten(text="3"))
    assert world.mode() is Mode.ACTIVE
    assert notes(world) == ["1", "2", "3"]
    assert heard == sorted(set(heard))
    assert len(heard) == 3


@simulated
async def test_record_when_a_listener_raises_then_everything_else_goes_on(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    heard: list[str] = []

    def broken(event: Event, outcomes: tuple[Outcome, ...]) -> None:
        raise KeyError("a renderer's bug")

    world.desk.listen(broken)
    world.desk.listen(lambda event, outcomes: heard.append(event.kind))
    order = await world.send()
    assert order.state.value == "working"
    assert heard == ["Submitting", "OrderAcknowledged"]
    assert isinstance(world.troubles[0][1], KeyError)


@pytest.mark.parametrize(("where", "kept"), [("before", []), ("after", ["a", "b"])])
@simulated
async def test_j1_record_when_killed_in_an_append_then_all_of_it_or_nothing(runtime: SimRuntime, where: str, kept: list[str]) -> None:
    world = await open_world(runtime)
    world.faults.die = where
    runtime.spawn(world.record(NoteWritten(text="a"), NoteWritten(text="b")), name="record")
    await asyncio.sleep(1)
    again = await reopened(world)
    assert notes(again) == kept
    assert (await replay(again.store)).digest() == again.desk.fold.digest()
    assert again.mode() is Mode.ACTIVE


@simulated
async def test_k4_record_when_another_desk_took_the_lease_then_the_old_one_stands_by(runtime: SimRuntime) -> None:
    old = await open_world(runtime)
    new = await taken_over(old)
    with pytest.raises(LeaseLost):
        await old.record(NoteWritten(text="old"))
    assert old.mode() is Mode.STANDBY
    await new.record(NoteWritten(text="new"))
    assert notes(new) == ["new"]


@simulated
async def test_mode_when_the_halt_file_is_there_then_halt(runtime: SimRuntime) -> None:
    said: list[str | None] = [None]
    world = await open_world(runtime, halt_reason=lambda: said[0])
    assert world.mode() is Mode.ACTIVE
    said[0] = "typed at the machine"
    assert world.desk.mode(account=PRACTICE) == (Mode.HALT, "HALT file: typed at the machine")


@simulated
async def test_mode_when_only_an_instrument_is_halted_then_only_its_orders_stop(runtime: SimRuntime) -> None:
    from core.domain.events import ScopeKind

    world = await open_world(runtime)
    scope = Scope(kind=ScopeKind.INSTRUMENT, name=SPREAD[0].instrument.key)
    await world.record(ModeSet(scope=scope, mode=Mode.HALT, cause="overfill:O1", reason="overfilled"))
    assert world.mode() is Mode.ACTIVE
    assert world.mode(SPREAD[1]) is Mode.ACTIVE
    assert world.mode(*SPREAD) is Mode.HALT
