"""A disk that hangs rather than refuses: nothing waits for it for ever, nothing is stored twice, and what it kept is caught up."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.command import Call, Caller, Via
from core.commands import halt, kill
from core.desk import APPEND_SECONDS
from core.domain.events import Mode, NoteWritten
from core.domain.orders import OrderState
from core.errors import Unavailable
from core.orders.sender import cancel_all
from core.ports import Put
from core.reply import Notice, Reply
from core.runtime import SimRuntime, SystemRuntime, run
from core.store import archive as archive_module
from core.store.archive import SqliteArchive
from tests.fake_broker import World, open_world, simulated
from tests.unit.risk.market import NOW

HANGS = 300.0
PERSON = "person:a"


def notes(world: World) -> list[str]:
    return [note.text for note in world.desk.fold.notes]


def stored(world: World) -> list[str]:
    return [row.body for row in world.disk.rows if row.kind == "NoteWritten"]


def words(reply: Reply) -> str:
    return " ".join(block.text for block in reply.blocks if isinstance(block, Notice))


def call(command: str) -> Call:
    return Call(command=command, args={}, caller=Caller(person="owner", chat="terminal", via=Via.LINE))


@pytest.mark.parametrize("hangs", ["before it stores", "before it answers"])
@simulated
async def test_h3_record_when_the_disk_hangs_then_given_up_halted_and_caught_up_once_when_it_answers(
    runtime: SimRuntime, hangs: str
) -> None:
    world = await open_world(runtime)
    world.faults.slow_seconds, world.faults.late_seconds = (HANGS, 0) if hangs == "before it stores" else (0, HANGS)
    began = runtime.seconds()

    with pytest.raises(Unavailable, match="does not answer"):
        await world.record(NoteWritten(text="kept"))
    given_up = runtime.seconds() - began
    with pytest.raises(Unavailable, match="does not answer"):
        await world.record(NoteWritten(text="never stored"))

    assert given_up == APPEND_SECONDS
    assert runtime.seconds() - began == APPEND_SECONDS  # the second one did not wait
    assert world.mode() is Mode.HALT
    assert notes(world) == []

    await runtime.sleep(HANGS)

    assert notes(world) == ["kept"]
    assert len(stored(world)) == 1
    assert world.desk.fold.seq == await world.store.last_seq()
    assert world.mode() is Mode.ACTIVE
    world.faults.slow_seconds = world.faults.late_seconds = 0
    await world.record(NoteWritten(text="next"))
    assert notes(world) == ["kept", "next"]


@simulated
async def test_h1_record_when_the_disk_hangs_and_then_refuses_then_halted_until_a_write_works(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.faults.slow_seconds, world.faults.full = HANGS, True
    with pytest.raises(Unavailable):
        await world.record(NoteWritten(text="lost"))

    await runtime.sleep(HANGS)

    assert world.mode() is Mode.HALT
    assert [str(error) for name, error in world.troubles if name == "append, late"] == ["disk is not available: full"]
    world.faults.slow_seconds, world.faults.full = 0, False
    await world.record(NoteWritten(text="kept"))
    assert notes(world) == ["kept"]
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_h1_cancel_when_the_disk_hangs_then_every_cancel_leaves_within_the_limit(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    for client_id in ("O1", "O2", "O3"):
        await world.send(client_id)
    world.faults.slow_seconds = HANGS
    began = runtime.seconds()

    await cancel_all(world.desk, [world.sender], reason="kill", actor=PERSON)

    assert sorted(world.broker.sent("cancel")) == ["O1", "O2", "O3"]
    assert runtime.seconds() - began < APPEND_SECONDS + 5
    await runtime.sleep(HANGS)
    world.faults.slow_seconds = 0
    world.run_accounts()
    await runtime.sleep(120)
    assert {world.state(client_id) for client_id in ("O1", "O2", "O3")} == {OrderState.CANCELLED}
    assert world.desk.fold.seq == await world.store.last_seq()


@simulated
async def test_h1_send_when_the_disk_hangs_then_nothing_leaves(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    confirmed = await world.press()
    world.faults.slow_seconds = HANGS
    runtime.spawn(world.record(NoteWritten(text="hangs")), name="somebody else")
    await runtime.sleep(APPEND_SECONDS + 1)

    with pytest.raises(Unavailable):
        await world.sender.send(confirmed)

    assert world.broker.sent("submit") == []
    assert world.mode() is Mode.HALT


@pytest.mark.parametrize("command", [kill, halt])
@simulated
async def test_h1_kill_when_disk_and_halt_file_hang_then_it_halts_cancels_and_says_what_is_not_written(
    runtime: SimRuntime, monkeypatch: pytest.MonkeyPatch, command: object
) -> None:
    world = await open_world(runtime)
    await world.send()
    world.faults.slow_seconds = HANGS

    async def hanging_thread(*args: object) -> None:
        await runtime.sleep(HANGS)

    monkeypatch.setattr(runtime, "in_thread", hanging_thread)
    world.desk.write_halt = lambda reason: None
    began = runtime.seconds()

    reply = await command.run(world.desk, call("kill"))  # type: ignore[attr-defined]

    assert runtime.seconds() - began < 2 * APPEND_SECONDS + 5
    assert world.broker.sent("cancel") == (["O1"] if command is kill else [])
    assert "not written down yet" in words(reply)
    assert world.mode() is Mode.HALT
    await runtime.sleep(HANGS)
    assert world.mode() is Mode.HALT  # the halt itself was the write that hung, and now it is in the log


def test_h1_archive_when_its_disk_hangs_then_given_up_and_the_write_is_there_once_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "_ANSWER_SECONDS", 0.2)
    answers = threading.Event()
    row = {"transport": "chat", "update_id": "1", "at": NOW.isoformat()}

    async def main() -> tuple[object, ...]:
        runtime = SystemRuntime()
        worker = runtime.worker("archive")
        archive = await SqliteArchive.open(tmp_path / "data" / "archive.db", clock=ManualClock(NOW), worker=worker)
        hanging = runtime.spawn(worker.run(answers.wait, 20), name="the disk")
        await runtime.sleep(0)
        with pytest.raises(Unavailable, match="no answer of the disk"):
            await archive.write([Put(table="inbox", row=row)])
        with pytest.raises(Unavailable, match="no answer of the disk"):
            await archive.select("inbox")
        answers.set()
        await hanging
        found = await archive.select("inbox")
        await archive.close()
        await runtime.aclose()
        return found

    assert [dict(found)["update_id"] for found in run(main())] == ["1"]  # type: ignore[call-overload]
