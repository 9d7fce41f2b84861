"""The simulation loop: virtual time, a seeded order that keeps each task's own, deadlocks named, and a kill without cleanup."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.runtime import Abandoned, BudgetSpent, Deadlock, NotSimulated, SimLoop, SimRuntime

pytestmark = pytest.mark.timeout(20)
START = datetime(2026, 3, 6, 14, 30, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def finishing_order(seed: int, tasks: int = 8) -> list[int]:
    loop = SimLoop(seed, START)
    order: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(1)
        order.append(number)

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(tasks)))

    loop.run_until_complete(main())
    return order


# ---- time


def test_time_when_nothing_is_ready_then_jumps_to_the_next_timer() -> None:
    loop = SimLoop(1, START)

    loop.run_until_complete(asyncio.sleep(365 * 86_400))

    assert loop.time() == 365 * 86_400
    assert loop.steps < 10


def test_timers_when_due_at_different_times_then_fire_in_time_order() -> None:
    loop = SimLoop(3, START)
    fired: list[float] = []

    async def main() -> None:
        for seconds in (5, 1, 4, 2, 3):
            loop.call_later(seconds, lambda: fired.append(loop.time()))
        await asyncio.sleep(10)

    loop.run_until_complete(main())

    assert fired == [1, 2, 3, 4, 5]


def test_timer_when_cancelled_then_neither_fires_nor_moves_the_time() -> None:
    loop = SimLoop(1, START)
    fired: list[str] = []

    async def main() -> None:
        loop.call_later(100, fired.append, "cancelled").cancel()

    loop.run_until_complete(main())
    loop.run_for(5)

    assert fired == []
    assert loop.time() == 5


def test_timer_when_cancelled_in_the_moment_it_is_due_then_fires_before_or_never() -> None:
    def run_once(seed: int) -> tuple[str, ...]:
        loop = SimLoop(seed, START)
        fired: list[str] = []

        async def cancels(timer: asyncio.TimerHandle) -> None:
            loop.call_at(1, timer.cancel)
            await asyncio.sleep(2)

        async def main() -> None:
            timer = loop.call_at(1, fired.append, "timer")
            await asyncio.create_task(cancels(timer))

        loop.run_until_complete(main())
        assert loop.failures == []
        return tuple(fired)

    assert {run_once(seed) for seed in range(20)} == {("timer",), ()}


def test_timers_when_thousands_are_cancelled_then_dropped() -> None:
    loop = SimLoop(1, START)

    async def main() -> None:
        for _ in range(2_000):
            async with asyncio.timeout(3_600):
                await asyncio.sleep(0)

    loop.run_until_complete(main())

    assert len(loop._timers) < 300


def test_run_for_when_timers_are_due_within_then_run_and_the_rest_left() -> None:
    loop = SimLoop(1, START)
    fired: list[int] = []
    for seconds in (1, 2, 3):
        loop.call_later(seconds, fired.append, seconds)

    loop.run_for(2)

    assert fired == [1, 2]
    assert loop.time() == 2


# ---- order


def test_order_when_seed_is_the_same_then_the_same() -> None:
    assert finishing_order(5) == finishing_order(5)


def test_order_when_seeds_differ_then_orders_differ() -> None:
    orders = {tuple(finishing_order(seed)) for seed in range(20)}

    assert len(orders) > 15
    assert all(sorted(order) == list(range(8)) for order in orders)


def test_order_when_two_tasks_are_ready_then_either_may_be_first() -> None:
    first = {finishing_order(seed, tasks=2)[0] for seed in range(20)}

    assert first == {0, 1}


@pytest.mark.parametrize("seed", range(10))
def test_order_when_one_task_schedules_several_then_in_that_order(seed: int) -> None:
    loop = SimLoop(seed, START)
    seen: list[str] = []

    async def work(name: str) -> None:
        for number in range(3):
            loop.call_soon(seen.append, f"{name}{number}a")
            loop.call_soon(seen.append, f"{name}{number}b")
            await asyncio.sleep(0)
            seen.append(f"{name}{number}c")

    async def main() -> None:
        await asyncio.gather(work("x"), work("y"))

    loop.run_until_complete(main())

    expected = [f"{number}{letter}" for number in range(3) for letter in "abc"]
    assert [one[1:] for one in seen if one[0] == "x"] == expected
    assert [one[1:] for one in seen if one[0] == "y"] == expected


@pytest.mark.parametrize("seed", range(10))
def test_order_when_a_task_yields_then_everybody_else_ready_goes_first(seed: int) -> None:
    loop = SimLoop(seed, START)
    rounds: list[tuple[int, int]] = []

    async def work(number: int) -> None:
        for one in range(4):
            rounds.append((one, number))
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(5)))

    loop.run_until_complete(main())

    assert [one for one, _ in rounds] == sorted(one for one, _ in rounds)


def test_digest_when_seed_is_the_same_then_the_same_and_else_another() -> None:
    def digest(seed: int, word: str = "") -> str:
        loop = SimLoop(seed, START)
        loop.note(word)
        queue: asyncio.Queue[int] = asyncio.Queue(2)

        async def put() -> None:
            for number in range(10):
                await queue.put(number)
                await asyncio.sleep(0.1)

        async def take() -> None:
            for _ in range(10):
                await queue.get()

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(put())
                    group.create_task(take())

        loop.run_until_complete(main())
        return loop.digest

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)
    assert digest(1, "fill") != digest(1, "no fill")


def test_digest_when_a_set_of_tasks_is_cancelled_then_its_iteration_order_does_not_show() -> None:
    def digest(padding: int) -> str:
        loop = SimLoop(4, START)
        kept = [object() for _ in range(padding)]

        async def main() -> None:
            with suppress(ExceptionGroup):
                async with asyncio.TaskGroup() as group:
                    for _ in range(30):
                        group.create_task(asyncio.sleep(50))
                    group.create_task(fail())

        async def fail() -> None:
            await asyncio.sleep(1)
            raise KeyError("stop them all")

        loop.run_until_complete(main())
        assert kept is not None
        return loop.digest

    assert len({digest(padding) for padding in (0, 17, 1_001, 5_003)}) == 1


# ---- what asyncio offers


def test_asyncio_tools_when_on_the_loop_then_work() -> None:
    loop = SimLoop(2, START)
    lock, event, queue = asyncio.Lock(), asyncio.Event(), asyncio.Queue[int](1)
    inside: list[str] = []

    async def guarded(name: str) -> None:
        async with lock:
            inside.append(f"{name} in")
            await asyncio.sleep(1)
            inside.append(f"{name} out")

    async def main() -> tuple[int, str]:
        await asyncio.gather(guarded("a"), guarded("b"))
        loop.call_later(3, event.set)
        await event.wait()
        producer = asyncio.create_task(queue.put(9))
        got = await asyncio.wait_for(queue.get(), 1)
        await producer
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(), 4)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.Event().wait()
        done, _ = await asyncio.wait([asyncio.create_task(asyncio.sleep(1, "slept"))])
        return got, done.pop().result()

    result = loop.run_until_complete(main())

    assert result == (9, "slept")
    assert inside[0][0] == inside[1][0]
    assert inside[2][0] == inside[3][0]
    assert loop.time() == 2 + 3 + 4 + 1 + 1


def test_run_in_executor_when_asked_then_done_at_once_and_told_later() -> None:
    loop = SimLoop(1, START)
    threads: list[int] = []

    async def main() -> str:
        outcome = loop.run_in_executor(None, lambda: threads.append(threading.get_ident()))
        assert threads == [threading.get_ident()]
        assert not outcome.done()
        await outcome
        return await asyncio.to_thread(str.upper, "in line")

    assert loop.run_until_complete(main()) == "IN LINE"


def test_run_in_executor_when_two_are_under_way_then_either_may_be_told_first() -> None:
    def told(seed: int) -> tuple[str, ...]:
        loop = SimLoop(seed, START)
        order: list[str] = []

        async def main() -> None:
            for name in ("first", "second"):
                loop.run_in_executor(None, str, name).add_done_callback(lambda outcome: order.append(outcome.result()))
            await asyncio.sleep(1)

        loop.run_until_complete(main())
        return tuple(order)

    assert {told(seed) for seed in range(20)} == {("first", "second"), ("second", "first")}


def test_run_in_executor_when_function_raises_then_the_awaiter_gets_it() -> None:
    loop = SimLoop(1, START)

    def work() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        loop.run_until_complete(asyncio.wait_for(_awaiting(lambda: loop.run_in_executor(None, work)), 1))


async def _awaiting(make: Callable[[], Awaitable[None]]) -> None:
    await make()


def test_run_in_executor_when_function_wants_the_loop_then_refused_as_in_a_thread() -> None:
    loop = SimLoop(1, START)

    async def main() -> None:
        await asyncio.to_thread(asyncio.get_running_loop)

    with pytest.raises(RuntimeError, match="no running event loop"):
        loop.run_until_complete(main())


async def _open_connection() -> None:
    await asyncio.open_connection("localhost", 1)


async def _start_server() -> None:
    await asyncio.start_server(lambda reader, writer: None, "localhost", 1)


async def _start_process() -> None:
    await asyncio.create_subprocess_exec(sys.executable)


async def _handle_signal() -> None:
    asyncio.get_running_loop().add_signal_handler(2, lambda: None)


@pytest.mark.parametrize("attempt", [_open_connection, _start_server, _start_process, _handle_signal])
def test_outside_world_when_touched_then_refused_by_name(attempt: Callable[[], Awaitable[None]]) -> None:
    loop = SimLoop(1, START)

    with pytest.raises(NotSimulated, match="use a simulated port"):
        loop.run_until_complete(_awaiting(attempt))


def test_real_thread_when_it_calls_in_then_refused() -> None:
    loop = SimLoop(1, START)
    errors: list[Exception] = []

    def calls_in() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except NotSimulated as error:
            errors.append(error)

    async def main() -> None:
        thread = threading.Thread(target=calls_in)
        thread.start()
        thread.join()

    loop.run_until_complete(main())

    assert len(errors) == 1


def test_callback_when_it_raises_then_kept_as_a_failure_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    loop = SimLoop(1, START)

    async def main() -> str:
        loop.call_soon({}.__getitem__, "missing")
        await asyncio.sleep(1)
        return "went on"

    with caplog.at_level(logging.ERROR):
        assert loop.run_until_complete(main()) == "went on"

    assert [type(context["exception"]) for context in loop.failures] == [KeyError]


# ---- ends


def test_deadlock_when_everybody_waits_then_raised_with_names() -> None:
    loop = SimLoop(1, START)

    async def first(lock: asyncio.Lock, other: asyncio.Lock) -> None:
        async with lock:
            await asyncio.sleep(1)
            async with other:
                await asyncio.sleep(1)

    async def main() -> None:
        left, right = asyncio.Lock(), asyncio.Lock()
        one = asyncio.create_task(first(left, right), name="left-hand")
        two = asyncio.create_task(first(right, left), name="right-hand")
        await asyncio.gather(one, two)

    with pytest.raises(Deadlock) as caught:
        loop.run_until_complete(main())

    assert len(caught.value.waiting) == 3
    assert "left-hand at" in str(caught.value)
    assert "right-hand at" in str(caught.value)
    assert loop.time() == 1


def test_budget_when_a_task_never_rests_then_raised_with_its_name() -> None:
    loop = SimLoop(1, START, max_steps=1_000)

    async def restless() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(BudgetSpent, match="task:restless"):
        loop.run_until_complete(loop.create_task(restless(), name="restless"))


def test_budget_when_virtual_time_runs_out_then_raised() -> None:
    loop = SimLoop(1, START, max_seconds=60)

    with pytest.raises(BudgetSpent, match="60 virtual seconds"):
        loop.run_until_complete(asyncio.sleep(61))


def test_close_when_tasks_are_left_then_their_cleanup_runs() -> None:
    loop = SimLoop(1, START)
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            cleaned.append("work")

    async def main() -> None:
        loop.create_task(work())
        await asyncio.sleep(1)

    loop.run_until_complete(main())
    loop.close()

    assert cleaned == ["work"]
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)


def test_async_generator_when_left_half_way_then_closed_on_the_loop() -> None:
    loop = SimLoop(1, START)
    closed: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            closed.append("numbers")

    async def main() -> None:
        async for _ in numbers():
            break
        gc.collect()
        await asyncio.sleep(1)

    loop.run_until_complete(main())
    loop.close()

    assert closed == ["numbers"]


# ---- kill -9


def test_abandon_when_tasks_hold_cleanup_then_none_of_it_runs(recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture) -> None:
    loop = SimLoop(1, START)
    ran: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ran.append("generator")

    class Guard:
        def __enter__(self) -> None:
            ran.append("entered")

        def __exit__(self, *error: object) -> None:
            ran.append("exit")

        def __del__(self) -> None:
            ran.append("del")

    async def inner() -> None:
        try:
            with Guard():
                async for _ in numbers():
                    await asyncio.sleep(100)
        except BaseException:
            ran.append("except")
            raise
        finally:
            ran.append("finally")

    async def main() -> None:
        loop.create_task(inner())
        loop.create_task(inner())
        await asyncio.sleep(1)
        loop.create_task(inner())

    loop.run_until_complete(main())
    loop.abandon()
    gc.collect()
    loop.run_for(1_000)
    loop.close()
    gc.collect()

    assert ran == ["entered", "entered"]
    assert caplog.records == []
    assert list(recwarn) == []


def test_abandon_when_somebody_else_held_a_generator_of_the_dead_then_letting_go_of_it_runs_nothing() -> None:
    loop = SimLoop(1, START)
    desk = SimRuntime(loop, 1)
    ran: list[str] = []
    held: list[AsyncIterator[int]] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ran.append("cleanup")

    async def main() -> None:
        held.append(numbers())
        await anext(held[0])

    desk.run(main())
    desk.kill()
    held.clear()
    gc.collect()
    loop.run_for(10)
    loop.close()

    assert ran == []


def test_abandon_when_tasks_are_dead_then_asyncio_no_longer_lists_them() -> None:
    loop = SimLoop(1, START)
    loop.create_task(asyncio.sleep(100))
    loop.run_for(1)

    loop.abandon()

    assert asyncio.all_tasks(loop) == set()


def test_abandon_when_the_interpreter_ends_then_still_no_cleanup() -> None:
    script = """
import asyncio
from datetime import UTC, datetime
from core.runtime import SimLoop
loop = SimLoop(1, datetime(2026, 3, 6, tzinfo=UTC))
async def work():
    try:
        await asyncio.sleep(100)
    finally:
        print("cleanup ran")
async def main():
    loop.create_task(work())
    await asyncio.sleep(1)
loop.run_until_complete(main())
loop.abandon()
print("abandoned")
"""

    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=15,
        check=True,
        env={**os.environ, "PYTHONPATH": "."},
    )

    assert ended.stdout == "abandoned\n"
    assert ended.stderr == ""


def test_kill_when_one_process_dies_then_the_rest_of_the_world_goes_on() -> None:
    loop = SimLoop(1, START)
    broker, desk = SimRuntime(loop, 1, process="broker"), SimRuntime(loop, 1, process="desk")
    seen: list[str] = []

    async def beat(name: str) -> None:
        try:
            while True:
                await asyncio.sleep(1)
                seen.append(f"{name} {loop.time():g}")
        finally:
            seen.append(f"{name} cleanup")

    async def desk_main() -> None:
        # A task that a task makes belongs to the same process.
        child = asyncio.create_task(beat("child"))
        await beat("desk")
        await child

    broker.spawn(beat("broker"), name="broker")
    desk.spawn(desk_main(), name="desk")
    loop.run_for(1.5)
    desk.kill()
    loop.run_for(1)

    assert sorted(seen[:3]) == ["broker 1", "child 1", "desk 1"]
    assert seen[3:] == ["broker 2"]


def test_kill_when_somebody_answers_the_dead_then_they_stay_dead() -> None:
    loop = SimLoop(1, START)
    broker, desk = SimRuntime(loop, 1, process="broker"), SimRuntime(loop, 1, process="desk")
    answer: asyncio.Future[str] = loop.create_future()
    seen: list[str] = []

    async def submit() -> None:
        seen.append(await answer)

    async def fill() -> None:
        await asyncio.sleep(2)
        answer.set_result("filled")
        seen.append("answered")

    desk.spawn(submit(), name="submit")
    broker.spawn(fill(), name="fill")
    loop.run_for(1)
    desk.kill()
    loop.run_for(5)

    assert seen == ["answered"]


def test_kill_when_started_again_then_a_new_process_of_the_same_name_runs() -> None:
    loop = SimLoop(1, START)
    seen: list[str] = []

    async def life(name: str) -> str:
        seen.append(f"{name} began")
        await asyncio.sleep(10)
        seen.append(f"{name} ended")
        return name

    first = SimRuntime(loop, 1)
    first.spawn(life("first"), name="life")
    loop.run_for(5)
    first.kill()
    second = SimRuntime(loop, 1)

    assert second.run(life("second")) == "second"
    assert seen == ["first began", "second began", "second ended"]
    assert loop.time() == 15


def test_die_when_called_half_way_then_not_one_line_more() -> None:
    loop = SimLoop(1, START)
    desk = SimRuntime(loop, 1)
    seen: list[str] = []

    async def append_event() -> None:
        try:
            seen.append("written")
            await loop.die(desk.process)
            seen.append("after death")
        finally:
            seen.append("cleanup")

    with pytest.raises(Abandoned, match="desk was killed"):
        desk.run(append_event())
    gc.collect()

    assert seen == ["written"]


def test_kill_when_in_the_middle_of_in_line_work_then_its_result_never_arrives() -> None:
    loop = SimLoop(1, START)
    desk = SimRuntime(loop, 1)
    seen: list[str] = []

    def write() -> str:
        desk.kill()
        return "written"

    async def main() -> None:
        seen.append(await desk.in_thread(write))

    with pytest.raises(Abandoned):
        desk.run(main())
    loop.run_for(10)

    assert seen == []


def test_after_abandon_when_killed_then_the_systems_part_is_done_once() -> None:
    loop = SimLoop(1, START)
    desk, broker = SimRuntime(loop, 1), SimRuntime(loop, 1, process="broker")
    freed: list[str] = []
    loop.after_abandon(desk.process, lambda: freed.append("desk's file locks"))
    loop.after_abandon(broker.process, lambda: freed.append("broker's"))

    desk.kill()
    desk.kill()

    assert freed == ["desk's file locks"]


def test_loop_when_twenty_thousand_steps_then_quick_and_repeatable() -> None:
    def run_once() -> tuple[str, int]:
        loop = SimLoop(9, START)

        async def work() -> None:
            for _ in range(1_000):
                await asyncio.sleep(0.01)

        async def main() -> None:
            await asyncio.gather(*(work() for _ in range(10)))

        loop.run_until_complete(main())
        return loop.digest, loop.steps

    (digest, steps), again = run_once(), run_once()

    assert again == (digest, steps)
    assert steps > 20_000


def test_pause_when_a_process_is_stopped_then_only_the_others_run_until_it_is_resumed() -> None:
    loop = SimLoop(1, START)
    old, new = loop.process("old"), loop.process("new")
    said: list[str] = []

    async def speak(name: str) -> None:
        while True:
            said.append(name)
            await asyncio.sleep(1)

    for process in (old, new):
        with loop.inside(process):
            loop.create_task(speak(process.name), name=process.name)
    loop.run_for(2.5)
    loop.pause(old)
    said.clear()
    loop.run_for(3)
    assert said == ["new"] * 3

    loop.resume(old)
    loop.run_for(0.1)

    assert said == [*["new"] * 3, "old"]
    loop.close()


def test_pause_when_the_process_is_killed_meanwhile_then_it_never_runs_again() -> None:
    loop = SimLoop(1, START)
    process = loop.process("old")
    said: list[str] = []

    async def speak() -> None:
        await asyncio.sleep(1)
        said.append("woke")

    with loop.inside(process):
        loop.create_task(speak(), name="speak")
    loop.run_for(0.5)
    loop.pause(process)
    loop.run_for(2)

    loop.abandon(process)
    loop.resume(process)
    loop.run_for(2)

    assert said == []
