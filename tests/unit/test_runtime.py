"""The runtime: tasks whose failures are never lost, two kinds of seconds, threads, and randomness that can be repeated."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from core.clock import LoopClock, ManualClock, ScaledClock
from core.errors import DeskError
from core.runtime import SeededEntropy, SimLoop, SimRuntime, SystemEntropy, SystemRuntime, run, seed_of

pytestmark = pytest.mark.timeout(20)
START = datetime(2026, 3, 6, 14, 30, tzinfo=UTC)
Failures = list[tuple[str, str]]


def simulated(seed: int = 1, **options: Any) -> tuple[SimRuntime, Failures]:
    failures: Failures = []
    runtime = SimRuntime(SimLoop(seed, START), seed, on_failure=lambda name, error: failures.append((name, repr(error))), **options)
    return runtime, failures


def system(**options: Any) -> tuple[SystemRuntime, Failures]:
    failures: Failures = []
    return SystemRuntime(on_failure=lambda name, error: failures.append((name, repr(error))), **options), failures


# ---- tasks


async def fails() -> None:
    raise KeyError("lost?")


def test_spawn_when_task_fails_then_reported_with_its_name() -> None:
    runtime, failures = simulated()

    async def main() -> None:
        runtime.spawn(fails(), name="walker")
        await runtime.sleep(1)

    runtime.run(main())

    assert failures == [("walker", "KeyError('lost?')")]
    assert runtime.running() == ()


def test_spawn_when_nobody_listens_then_the_loop_hears_of_the_failure() -> None:
    loop = SimLoop(1, START)
    runtime = SimRuntime(loop, 1)

    async def main() -> None:
        runtime.spawn(fails(), name="walker")
        await runtime.sleep(1)

    runtime.run(main())

    assert [context["message"] for context in loop.failures] == ["walker failed"]


def test_spawn_when_task_is_cancelled_then_no_failure() -> None:
    runtime, failures = simulated()

    async def main() -> None:
        runtime.spawn(runtime.sleep(100), name="sleeper").cancel()
        await runtime.sleep(1)

    runtime.run(main())

    assert failures == []


def test_spawn_when_nobody_keeps_the_task_then_it_runs_to_its_end() -> None:
    runtime, _ = simulated()
    ended: list[str] = []

    async def work() -> None:
        await runtime.sleep(5)
        ended.append("work")

    async def main() -> None:
        runtime.spawn(work(), name="work")
        assert runtime.running() == ("work",)
        await runtime.sleep(10)

    runtime.run(main())

    assert ended == ["work"]


def test_aclose_when_tasks_wait_then_their_cleanup_runs_and_no_more_start() -> None:
    runtime, failures = simulated()
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await runtime.sleep(100)
        finally:
            await runtime.sleep(1)
            cleaned.append("work")

    async def main() -> tuple[str, ...]:
        runtime.spawn(work(), name="work")
        await runtime.sleep(1)
        stuck = await runtime.aclose()
        with pytest.raises(DeskError, match="stopping"):
            runtime.spawn(work(), name="late")
        return stuck

    stuck = runtime.run(main())

    assert (stuck, cleaned, failures) == ((), ["work"], [])


def test_aclose_when_a_task_will_not_stop_then_named_after_the_limit() -> None:
    runtime, _ = simulated()

    async def stubborn() -> None:
        while True:
            try:
                await runtime.sleep(100)
            except asyncio.CancelledError:
                continue

    async def main() -> tuple[str, ...]:
        runtime.spawn(stubborn(), name="stubborn")
        await runtime.sleep(1)
        return await runtime.aclose(limit_seconds=3)

    stuck = runtime.run(main())

    assert stuck == ("stubborn",)
    assert runtime.seconds() == 4.0


def test_aclose_when_called_by_a_spawned_task_then_that_task_goes_on() -> None:
    runtime, _ = simulated()

    async def stopper() -> str:
        await runtime.aclose()
        return "stopped in order"

    async def main() -> str:
        return await runtime.spawn(stopper(), name="stopper")

    assert runtime.run(main()) == "stopped in order"


# ---- time limits and waits


def test_timeout_when_peer_hangs_then_timeout_error_after_the_limit() -> None:
    runtime, _ = simulated()

    async def main() -> None:
        async with runtime.timeout(2.5):
            await runtime.event().wait()

    with pytest.raises(TimeoutError):
        runtime.run(main())

    assert runtime.seconds() == 2.5


def test_wait_for_when_late_then_cancelled_and_timeout_error() -> None:
    runtime, _ = simulated()
    ended: list[str] = []

    async def slow() -> None:
        try:
            await runtime.sleep(60)
        finally:
            ended.append("cancelled")

    async def main() -> None:
        await runtime.wait_for(slow(), 1)

    with pytest.raises(TimeoutError):
        runtime.run(main())

    assert ended == ["cancelled"]


def test_wait_for_when_in_time_then_the_result() -> None:
    runtime, _ = simulated()

    async def quick() -> int:
        await runtime.sleep(0.5)
        return 7

    assert runtime.run(runtime.wait_for(quick(), 1)) == 7


def test_gather_when_all_succeed_then_results_in_order() -> None:
    runtime, _ = simulated()

    async def after(seconds: float) -> float:
        await runtime.sleep(seconds)
        return seconds

    assert runtime.run(runtime.gather(after(3), after(1), after(2))) == [3, 1, 2]


def test_gather_when_one_fails_then_the_others_are_cancelled_and_waited_for() -> None:
    runtime, _ = simulated()
    ended: list[str] = []

    async def patient() -> None:
        try:
            await runtime.sleep(100)
        finally:
            await runtime.sleep(1)
            ended.append("patient")

    with pytest.raises(KeyError):
        runtime.run(runtime.gather(patient(), fails()))

    assert ended == ["patient"]


def test_until_when_clock_stands_then_returns_at_once() -> None:
    runtime, _ = simulated(clock=ManualClock(START))

    runtime.run(runtime.pause(timedelta(days=30)))

    assert runtime.seconds() == 0.0


def test_until_when_clock_runs_fast_then_waits_the_shorter_process_time() -> None:
    loop = SimLoop(1, START)
    clock = ScaledClock(START, 60.0, loop.time)
    runtime = SimRuntime(loop, 1, clock=clock)

    runtime.run(runtime.until(START + timedelta(hours=1)))

    assert runtime.seconds() == pytest.approx(60.0)
    assert clock.now() >= START + timedelta(hours=1)


def test_until_when_wall_clock_steps_forward_then_noticed_soon() -> None:
    loop = SimLoop(1, START)
    clock = LoopClock(loop)
    runtime = SimRuntime(loop, 1, clock=clock)
    loop.call_later(10, clock.step, timedelta(hours=1))

    runtime.run(runtime.until(START + timedelta(minutes=30)))

    assert runtime.seconds() == 30.0


def test_sleep_when_clock_stands_then_process_time_still_passes() -> None:
    runtime, _ = simulated(clock=ManualClock(START))

    runtime.run(runtime.sleep(5))

    assert runtime.seconds() == 5.0


# ---- the real process


def test_run_when_main_returns_then_its_result() -> None:
    async def main() -> str:
        return "done"

    assert run(main()) == "done"


Asking = Callable[..., Coroutine[Any, Any, Any]]
BOTH_WAYS = pytest.mark.parametrize(
    "way", [lambda runtime: runtime.in_thread, lambda runtime: runtime.worker("writer").run], ids=["pool", "worker"]
)


@BOTH_WAYS
def test_in_thread_when_called_then_another_thread_with_the_callers_context(way: Callable[[SystemRuntime], Asking]) -> None:
    runtime, _ = system()
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who")

    def work(number: int) -> tuple[int, str, int]:
        return number + 1, who.get(), threading.get_ident()

    async def main() -> tuple[int, str, int]:
        who.set("Ann")
        try:
            return await way(runtime)(work, 1)
        finally:
            await runtime.aclose()

    number, name, thread = run(main())

    assert (number, name) == (2, "Ann")
    assert thread != threading.get_ident()


@BOTH_WAYS
@pytest.mark.parametrize("error", [ValueError("bad"), StopIteration("odd")])
def test_in_thread_when_function_raises_then_the_caller_gets_an_error(way: Callable[[SystemRuntime], Asking], error: Exception) -> None:
    runtime, _ = system()

    def work() -> None:
        raise error

    async def main() -> None:
        try:
            await runtime.wait_for(way(runtime)(work), 5)
        finally:
            await runtime.aclose()

    with pytest.raises((ValueError, RuntimeError), match=r"bad|StopIteration from a thread"):
        run(main())


@BOTH_WAYS
def test_in_thread_when_given_up_and_failing_later_then_reported(way: Callable[[SystemRuntime], Asking]) -> None:
    runtime, failures = system()
    begun, let_go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        let_go.wait(10)
        raise OSError("disk full")

    async def main() -> None:
        asked = runtime.spawn(way(runtime)(work), name="asker")
        await runtime.in_thread(begun.wait, 10)
        asked.cancel()
        await asyncio.wait([asked])
        let_go.set()
        await runtime.aclose()
        await runtime.sleep(0)

    run(main())

    assert len(failures) == 1
    assert "work" in failures[0][0]
    assert "disk full" in failures[0][1]


@BOTH_WAYS
def test_aclose_when_a_thread_will_not_end_then_named(way: Callable[[SystemRuntime], Asking]) -> None:
    runtime, _ = system()
    begun, let_go = threading.Event(), threading.Event()

    def stuck_work() -> None:
        begun.set()
        let_go.wait(10)

    async def main() -> tuple[str, ...]:
        runtime.spawn(way(runtime)(stuck_work), name="asker")
        await runtime.in_thread(begun.wait, 10)
        stuck = await runtime.aclose(limit_seconds=0.01)
        let_go.set()
        return stuck

    stuck = run(main())

    assert len(stuck) == 1
    assert "stuck_work" in stuck[0]


def test_worker_when_asked_for_many_things_then_one_thread_in_order() -> None:
    runtime, _ = system()
    done: list[int] = []
    threads: set[int] = set()

    def work(number: int) -> None:
        done.append(number)
        threads.add(threading.get_ident())

    async def main() -> None:
        writer = runtime.worker("writer")
        await runtime.gather(*(writer.run(work, number) for number in range(50)))
        await runtime.aclose()

    run(main())

    assert done == list(range(50))
    assert len(threads) == 1


def test_worker_when_its_runtime_has_ended_then_refused() -> None:
    runtime, _ = system()

    async def main() -> None:
        writer = runtime.worker("writer")
        await writer.run(len, "abc")
        await runtime.aclose()
        await writer.run(len, "abc")

    with pytest.raises(RuntimeError, match="has ended"):
        run(main())


def test_worker_when_name_is_taken_then_refused() -> None:
    runtime, _ = system()
    runtime.worker("writer")

    with pytest.raises(ValueError, match="already"):
        runtime.worker("writer")


def test_worker_when_simulated_then_in_line_and_in_order() -> None:
    runtime, _ = simulated()
    done: list[int] = []

    async def main() -> None:
        writer = runtime.worker("writer")
        await runtime.gather(writer.run(done.append, 1), runtime.sleep(1))
        await writer.run(done.append, 2)

    runtime.run(main())

    assert done == [1, 2]


def test_stop_when_tasks_have_ended_then_threads_still_work() -> None:
    runtime, _ = system()

    async def main() -> tuple[tuple[str, ...], int]:
        runtime.spawn(runtime.sleep(100), name="sleeper")
        stuck = await runtime.stop()
        value = await runtime.in_thread(abs, -3)
        await runtime.aclose()
        return stuck, value

    assert run(main()) == ((), 3)


# ---- the watch on the loop


def slow_names(main: Callable[[], Coroutine[Any, Any, None]]) -> list[str]:
    slow: list[tuple[str, float]] = []
    run(main(), on_slow=lambda name, seconds: slow.append((name, seconds)), slow_seconds=0.020)
    assert all(seconds > 0.020 for _, seconds in slow)
    return [name for name, _ in slow]


def hold(seconds: float) -> None:
    """Hold the loop, busily, for so long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_watch_when_a_task_holds_the_loop_then_named() -> None:
    async def greedy() -> None:
        hold(0.03)

    async def main() -> None:
        await asyncio.create_task(greedy(), name="greedy")

    assert "task greedy" in slow_names(main)


def test_watch_when_a_callback_holds_the_loop_then_named() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(hold, 0.03)
        asyncio.get_running_loop().call_later(0.001, hold, 0.03)
        await asyncio.sleep(0.01)

    assert slow_names(main).count("hold") == 2


def test_watch_when_a_socket_callback_holds_the_loop_then_noticed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        seen = asyncio.Event()

        def readable() -> None:
            loop.remove_reader(ours)
            hold(0.03)
            seen.set()

        loop.add_reader(ours, readable)
        theirs.send(b"x")
        await seen.wait()
        ours.close()
        theirs.close()

    assert "a socket callback" in slow_names(main)


# ---- randomness


def test_seeded_entropy_when_seed_is_the_same_then_everything_is() -> None:
    one, other = SeededEntropy(7), SeededEntropy(7)

    assert [one.token(), one.id("T"), one.nonce()] == [other.token(), other.id("T"), other.nonce()]
    assert one.rng("fills", 3).random() == other.rng("fills", 3).random()


def test_seeded_entropy_when_seed_differs_then_everything_does() -> None:
    one, other = SeededEntropy(7), SeededEntropy(8)

    assert one.token() != other.token()
    assert one.id("T") != other.id("T")
    assert one.nonce() != other.nonce()
    assert one.rng("fills").random() != other.rng("fills").random()


def test_seeded_entropy_when_child_of_a_restart_then_other_ids() -> None:
    entropy = SeededEntropy(7)

    first = {entropy.child("boot", 1).id("T") for _ in range(3)}
    second = {entropy.child("boot", 2).id("T") for _ in range(3)}

    assert len(first) == 1
    assert first.isdisjoint(second)


@pytest.mark.parametrize("entropy", [SystemEntropy(), SeededEntropy(3)])
def test_id_when_many_are_made_then_unique_sorted_and_readable(entropy: SystemEntropy | SeededEntropy) -> None:
    ids = [entropy.id("T") for _ in range(5000)]

    assert len(set(ids)) == 5000
    assert ids == sorted(ids)
    assert {len(one) for one in ids} == {8}
    assert set("".join(ids)[1:]) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@pytest.mark.parametrize("entropy", [SystemEntropy(), SeededEntropy(3)])
def test_token_when_made_then_unguessable_length_and_url_safe(entropy: SystemEntropy | SeededEntropy) -> None:
    tokens = {entropy.token() for _ in range(100)}

    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {22}
    assert all(token.replace("-", "").replace("_", "").isalnum() for token in tokens)
    assert len(entropy.token(256)) == 43


def test_system_rng_when_parts_are_given_then_repeatable_and_else_not() -> None:
    entropy = SystemEntropy()

    assert entropy.rng("SPX", date(2026, 3, 6)).random() == SystemEntropy().rng("SPX", date(2026, 3, 6)).random()
    assert entropy.rng().random() != entropy.rng().random()


def test_seed_of_when_parts_are_cut_otherwise_then_another_seed() -> None:
    assert seed_of("ab", "c") != seed_of("a", "bc")
    assert seed_of(1) != seed_of("1")


def test_seed_of_when_asked_on_any_machine_then_this_value() -> None:
    assert seed_of("SPX", 7, 0.5, date(2026, 3, 6)) == 12555054098478937910643888745041764770


def test_seed_of_when_part_has_no_stable_text_then_refused() -> None:
    unstable: Any = object()

    with pytest.raises(TypeError, match="object"):
        seed_of(unstable)
