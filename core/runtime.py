"""The only maker of tasks, sleeps, timeouts, pools, threads and randomness, so that a simulation can take its place.

Two kinds of seconds. A `timeout`, a `sleep` and `seconds()` count the process's own time: they guard against a peer that hangs
and pace requests, whatever day the desk believes it is. `until` and `pause` wait for the desk's clock: they return at
once when that clock stands, and early when it runs fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
import secrets
import selectors
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future as PoolFuture
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import sha256
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple

from core.clock import Clock, LoopClock, SystemClock, seconds_until
from core.errors import DeskError
from core.simloop import Abandoned, BudgetSpent, Deadlock, NotSimulated, SimLoop, SimProcess

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = [
    "Abandoned",
    "BudgetSpent",
    "Deadlock",
    "Entropy",
    "NotSimulated",
    "OnFailure",
    "OnSlow",
    "Overdue",
    "Runtime",
    "SeededEntropy",
    "SimLoop",
    "SimProcess",
    "SimRuntime",
    "SystemEntropy",
    "SystemRuntime",
    "Worker",
    "run",
    "seed_of",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Part = str | int | float | bytes | date
OnFailure = Callable[[str, BaseException], object]
OnSlow = Callable[[str, float], object]

# The longest wait in one piece for a wall clock, which somebody may step meanwhile.
_LOOK_AGAIN_SECONDS = 30.0
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O or U to misread
_ID_CHARACTERS = 7
_ID_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
_ID_TICKS_PER_SECOND = 32  # 35 bits of them last until 2059


class Entropy(Protocol):
    """Where everything unpredictable comes from."""

    def token(self, bits: int = 128) -> str:
        """Return a secret of `bits` random bits, safe in a URL."""
        ...

    def id(self, prefix: str) -> str:
        """Return a new short id a person can read aloud: `prefix` and 7 characters, later ones sorting after earlier ones."""
        ...

    def nonce(self) -> str:
        """Return 128 random bits in hexadecimal, for use once."""
        ...

    def rng(self, *parts: Part) -> random.Random:
        """Return a generator of its own that `parts` determine; what it gives is repeatable, so never a secret."""
        ...


class SystemEntropy:
    """The operating system's randomness. Ids count the machine's time, so a restart or a recorded day gives no id twice."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._lock = threading.Lock()
        self._last_tick = 0

    def token(self, bits: int = 128) -> str:
        return _token(secrets.token_bytes(_bytes_for(bits)))

    def id(self, prefix: str) -> str:
        gone = self._clock.now() - _ID_EPOCH
        with self._lock:
            self._last_tick = max(int(gone.total_seconds() * _ID_TICKS_PER_SECOND), self._last_tick + 1)
            return prefix + _base32(self._last_tick)

    def nonce(self) -> str:
        return secrets.token_hex(16)

    def rng(self, *parts: Part) -> random.Random:
        """Return the generator of `parts`, the same in every process; without parts, one nobody can repeat."""
        return random.Random(seed_of(*parts) if parts else secrets.randbits(128))


class SeededEntropy:
    """Randomness that a seed determines, for simulations, backtests and tests. A restarted desk takes `child("boot", n)`."""

    def __init__(self, seed: Part) -> None:
        self._seed = seed
        self._random = random.Random(seed_of("entropy", seed))
        self._last_tick = self._random.getrandbits(30)

    def child(self, *parts: Part) -> SeededEntropy:
        """Return another source that this seed and `parts` determine."""
        return SeededEntropy(seed_of(self._seed, *parts))

    def token(self, bits: int = 128) -> str:
        return _token(self._random.randbytes(_bytes_for(bits)))

    def id(self, prefix: str) -> str:
        self._last_tick += 1 + self._random.getrandbits(12)
        return prefix + _base32(self._last_tick)

    def nonce(self) -> str:
        return self._random.randbytes(16).hex()

    def rng(self, *parts: Part) -> random.Random:
        """Return the generator of the seed and `parts`; without parts, the same one each time."""
        return random.Random(seed_of("rng", self._seed, *parts))


def seed_of(*parts: Part) -> int:
    """Return 128 bits that `parts` determine, the same in every process, version and platform; a seed for any generator."""
    hashed = sha256()
    for part in parts:
        if not isinstance(part, str | int | float | bytes | date):
            raise TypeError(f"a seed is made of text, numbers, bytes and dates, not {type(part).__name__}")
        text = repr(part.isoformat() if isinstance(part, date) else part).encode()
        hashed.update(f"{len(text)}:".encode() + text)
    return int.from_bytes(hashed.digest()[:16], "big")


class Overdue(TimeoutError):
    """Work has not ended within its time and goes on: nobody knows yet what comes of it."""


class Runtime:
    """Tasks, waits, time limits and threads. Made as `SystemRuntime` or `SimRuntime`; everything else takes this type."""

    def __init__(self, clock: Clock, entropy: Entropy, on_failure: OnFailure | None) -> None:
        self.clock = clock
        self.entropy = entropy
        self.on_failure = on_failure
        self._tasks: dict[asyncio.Task[Any], str] = {}
        self._awake_seconds: dict[asyncio.Task[Any] | None, float] = {}  # until when each sleeps, or since when it works
        self._closing = False

    def spawn(self, coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start a task and hold on to it; what it raises goes to `on_failure(name, error)`, awaited or not."""
        if self._closing:
            coro.close()
            raise DeskError(f"{name} was not started: the desk is stopping")
        task = self._make_task(coro, name)
        self._tasks[task] = name
        self._awake_seconds[task] = self.seconds()
        task.add_done_callback(self._task_ended)
        return task

    async def to_the_end(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str,
        limit_seconds: float | None = None,
        late: Callable[[], Coroutine[Any, Any, object]] | None = None,
    ) -> T:
        """Await work that must not be left half done: a caller that is cancelled stops waiting, the work goes on.

        So it does after `limit_seconds`: the caller gets Overdue, and `late` is run when the work has ended, one way or the other.
        """

        async def outcome() -> tuple[list[T], Exception | None]:
            try:
                return [await coro], None
            except Exception as error:  # noqa: BLE001 - handed to the caller below, not lost
                return [], error

        work = self._make_task(outcome(), name) if self._closing else self.spawn(outcome(), name=name)
        try:
            async with self.timeout(limit_seconds):
                results, error = await asyncio.shield(work)
        except TimeoutError as overdue:
            if late is not None:
                self._afterwards(work, late, f"{name}, late")
            raise Overdue(f"{name} has not ended within {limit_seconds:g} seconds; it goes on") from overdue
        if error is not None:
            raise error
        return results[0]

    def _afterwards(self, work: asyncio.Task[Any], late: Callable[[], Coroutine[Any, Any, object]], name: str) -> None:
        def ended(work: asyncio.Task[Any]) -> None:
            error = None if work.cancelled() else work.result()[1]
            if error is not None:
                self.report(name, error)
            if not self._closing:
                self.spawn(late(), name=name)

        work.add_done_callback(ended)

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of the process's own time; 0 lets the others go first."""
        task, seconds = asyncio.current_task(), max(seconds, 0.0)
        if task in self._awake_seconds:
            self._awake_seconds[task] = self.seconds() + seconds
        await asyncio.sleep(seconds)
        if task in self._awake_seconds:
            self._awake_seconds[task] = self.seconds()

    def busy_seconds(self, task: asyncio.Task[Any]) -> float:
        """For how long a task of `spawn` has been at work since it last slept; 0 while it sleeps and once it has ended."""
        return max(0.0, self.seconds() - self._awake_seconds.get(task, self.seconds()))

    async def until(self, at: datetime) -> None:
        """Wait until the clock shows `at`; at once when the clock stands."""
        await self.sleep(0)
        while (left_seconds := seconds_until(self.clock, at)) > 0:
            await self.sleep(min(left_seconds, _LOOK_AGAIN_SECONDS))

    async def pause(self, by: timedelta) -> None:
        """Wait until the clock has moved on by `by`; at once when the clock stands."""
        await self.until(self.clock.now() + by)

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """Return an async context manager that raises TimeoutError after `seconds` of the process's time; None is no limit."""
        return asyncio.timeout(seconds)

    async def wait_for(self, awaitable: Awaitable[T], seconds: float | None) -> T:
        """Return what `awaitable` gives, or cancel it and raise TimeoutError after `seconds` of the process's time."""
        async with asyncio.timeout(seconds):
            return await awaitable

    async def gather(self, *awaitables: Awaitable[T]) -> list[T]:
        """Run all at once and return their results in order; when one fails the others are cancelled, and waited for."""
        tasks = [asyncio.ensure_future(one) for one in awaitables]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            left = [task for task in tasks if not task.done()]
            for task in left:
                task.cancel()
            if left:
                await asyncio.gather(*left, return_exceptions=True)

    def event(self) -> asyncio.Event:
        return asyncio.Event()

    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    def semaphore(self, slots: int) -> asyncio.Semaphore:
        return asyncio.BoundedSemaphore(slots)

    def queue(self, maxsize: int = 0) -> asyncio.Queue[Any]:
        return asyncio.Queue(maxsize)

    def seconds(self) -> float:
        """Return the process's own seconds since an arbitrary start, from any thread: for pacing, heartbeats and latency."""
        raise TypeError("Runtime is made as SystemRuntime or SimRuntime")

    async def in_thread(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn` in a pool thread. Giving up on it does not stop it; what it raises after that goes to `on_failure`."""
        raise TypeError("Runtime is made as SystemRuntime or SimRuntime")

    def worker(self, name: str) -> Worker:
        """Return a thread of one's own that does one thing after another, in order: what a database writer needs."""
        raise TypeError("Runtime is made as SystemRuntime or SimRuntime")

    def running(self) -> tuple[str, ...]:
        """Return the names of the tasks that have not ended, oldest first."""
        return tuple(self._tasks.values())

    def cancel_all(self) -> None:
        """Ask every task but the present one to stop; `aclose` also waits for them."""
        present = asyncio.current_task()
        for task in list(self._tasks):
            if task is not present:
                task.cancel()

    async def stop(self, limit_seconds: float = 5.0) -> tuple[str, ...]:
        """Start no more tasks, stop those there are within `limit_seconds`, and return the names of those that would not.

        Threads still work afterwards, so that a store can be closed between this and `aclose`.
        """
        self._closing = True
        self.cancel_all()
        present = asyncio.current_task()
        left = {task: name for task, name in self._tasks.items() if task is not present}
        if left:
            await asyncio.wait(left, timeout=limit_seconds)
        return tuple(name for task, name in left.items() if not task.done())

    async def aclose(self, limit_seconds: float = 5.0) -> tuple[str, ...]:
        """Stop every task, then every thread, within `limit_seconds`; return the names of those that would not."""
        deadline = self.seconds() + limit_seconds
        stuck = await self.stop(limit_seconds)
        return (*stuck, *await self._close_threads(max(deadline - self.seconds(), 0.0)))

    def report(self, name: str, error: BaseException) -> None:
        """Hand an error that nobody waits for to `on_failure`, or else to the loop's own handler; never drop it."""
        context = {"message": f"{name} failed", "exception": error}
        if self.on_failure is None:
            asyncio.get_running_loop().call_exception_handler(context)
        else:
            self.on_failure(name, error)

    def _make_task(self, coro: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        return asyncio.get_running_loop().create_task(coro, name=name)

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        name = self._tasks.pop(task)
        self._awake_seconds.pop(task, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.report(name, error)

    async def _close_threads(self, limit_seconds: float) -> list[str]:
        return []


class Worker(Protocol):
    """One thread that does one thing after another."""

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts, limit_seconds: float | None = None) -> T:
        """Run `fn` after everything asked for before, and return what it gives.

        After `limit_seconds` TimeoutError is raised; `fn` is run to its end all the same, and what it raises then is reported.
        """
        ...


class SystemRuntime(Runtime):
    """The real process: asyncio, a pool of threads, the operating system's randomness."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        entropy: Entropy | None = None,
        on_failure: OnFailure | None = None,
        max_threads: int = 8,
    ) -> None:
        super().__init__(clock or SystemClock(), entropy or SystemEntropy(), on_failure)
        self._max_threads = max_threads
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._threaded: dict[PoolFuture[Any], str] = {}
        self._workers: dict[str, _ThreadWorker] = {}

    def seconds(self) -> float:
        return time.monotonic()

    async def in_thread(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        return await self._in_pool("pool", partial(fn, *args))

    def worker(self, name: str) -> Worker:
        if name in self._workers:
            raise ValueError(f"there is a worker named {name} already")
        made = self._workers[name] = _ThreadWorker(self, f"worker {name}")
        return made

    async def _in_pool(self, pool: str, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        name = f"{pool}: {_called(call)}"
        work = self._pool(pool, self._max_threads).submit(_without_stop_iteration, contextvars.copy_context(), call)
        self._threaded[work] = name
        work.add_done_callback(partial(self._threaded.pop))
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            work.add_done_callback(partial(self._report_late, loop, name))
            raise

    def _pool(self, name: str, max_threads: int) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor

        if name not in self._pools:
            self._pools[name] = ThreadPoolExecutor(max_threads, thread_name_prefix=name)
        return self._pools[name]

    def _report_late(self, loop: asyncio.AbstractEventLoop, name: str, work: PoolFuture[Any]) -> None:
        error = None if work.cancelled() else work.exception()
        if error is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.report, name, error)

    async def _close_threads(self, limit_seconds: float) -> list[str]:
        for pool in self._pools.values():
            pool.shutdown(wait=False)
        pending = {asyncio.wrap_future(work): name for work, name in self._threaded.items()}
        for worker in self._workers.values():
            pending |= worker.close()
        if pending:
            await asyncio.wait(pending, timeout=limit_seconds)
        return [name for work, name in pending.items() if not work.done()]


@dataclass(slots=True, eq=False)
class _Asked:
    """One thing asked of a worker, by a task of a loop."""

    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    context: contextvars.Context
    call: Callable[[], Any]
    ended: asyncio.Future[None] | None = None


class _ThreadWorker:
    """A thread and a queue to it: one wake-up each way, which a pool's futures take twice.

    The thread is a daemon: one that hangs in a dead disk must not keep the process from ending, and ending is always safe.
    """

    def __init__(self, runtime: SystemRuntime, name: str) -> None:
        self._runtime = runtime
        self._name = name
        self._queue: SimpleQueue[_Asked | None] = SimpleQueue()
        self._waiting: set[_Asked] = set()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts, limit_seconds: float | None = None) -> T:
        if self._closed:
            raise RuntimeError(f"{self._name} has ended")
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        asked = _Asked(loop, loop.create_future(), contextvars.copy_context(), partial(fn, *args))
        self._waiting.add(asked)
        self._queue.put(asked)
        async with self._runtime.timeout(limit_seconds):
            result: T = await asked.answer
        return result

    def close(self) -> dict[asyncio.Future[None], str]:
        """End the thread after what was asked of it; returns what is still under way."""
        self._closed = True
        self._queue.put(None)
        loop = asyncio.get_running_loop()
        for asked in self._waiting:
            asked.ended = loop.create_future()
        return {asked.ended: f"{self._name}: {_called(asked.call)}" for asked in self._waiting if asked.ended is not None}

    def _work(self) -> None:
        while (asked := self._queue.get()) is not None:
            result: Any = None
            error: BaseException | None = None
            try:
                result = asked.context.run(asked.call)
            except StopIteration as stopped:  # a future cannot carry it, and would leave its waiter waiting
                error = RuntimeError("StopIteration from a thread")
                error.__cause__ = stopped
            except BaseException as raised:  # noqa: BLE001 - handed to whoever asked, not lost
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                asked.loop.call_soon_threadsafe(self._answered, asked, result, error)

    def _answered(self, asked: _Asked, result: Any, error: BaseException | None) -> None:
        self._waiting.discard(asked)
        if asked.answer.cancelled():
            if error is not None:
                self._runtime.report(f"{self._name}: {_called(asked.call)}", error)
        elif error is not None:
            asked.answer.set_exception(error)
        else:
            asked.answer.set_result(result)
        if asked.ended is not None and not asked.ended.done():
            asked.ended.set_result(None)


class SimRuntime(Runtime):
    """One simulated process on a SimLoop: virtual time, seeded order and randomness, threads in line, and `kill`.

    Several may share a loop (the desk, a broker, an exchange); one that was killed is started again by making another.
    """

    clock: Clock
    entropy: Entropy

    def __init__(
        self,
        loop: SimLoop,
        seed: Part,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        on_failure: OnFailure | None = None,
        process: str = "desk",
    ) -> None:
        super().__init__(clock or LoopClock(loop), entropy or SeededEntropy(seed), on_failure)
        self.loop = loop
        self.process = loop.process(process)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` as a task of this process until it is done."""
        with self.loop.inside(self.process):
            task = self.loop.create_task(main, name=f"{self.process.name} main")
        result: T = self.loop.run_until_complete(task)
        return result

    def kill(self) -> None:
        """End this process as `kill -9` would: nothing of it runs again, not even a `finally`."""
        self.loop.abandon(self.process)

    def seconds(self) -> float:
        return self.loop.time()

    async def in_thread(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        return await self.loop.run_in_executor(None, partial(contextvars.copy_context().run, fn, *args))

    def worker(self, name: str) -> Worker:
        return _InLineWorker(self)

    def _make_task(self, coro: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        with self.loop.inside(self.process):
            task: asyncio.Task[T] = self.loop.create_task(coro, name=name)
        return task


class _InLineWorker:
    """Work is done at the moment it is asked for, and so in the order it was asked for."""

    def __init__(self, runtime: SimRuntime) -> None:
        self._runtime = runtime

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts, limit_seconds: float | None = None) -> T:
        return await self._runtime.in_thread(fn, *args)


def run(main: Coroutine[Any, Any, T], *, on_slow: OnSlow | None = None, slow_seconds: float = 0.020) -> T:
    """Run the real process's main coroutine to its end; `on_slow(name, seconds)` hears of whatever held the loop too long."""
    if on_slow is None:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=partial(_WatchedLoop, on_slow, slow_seconds)) as runner:
        return runner.run(main)


class _WatchedSelector(selectors.DefaultSelector):
    """Tells the loop when it comes back to wait, which is when a round of callbacks is over."""

    round_over: Callable[[], None] = staticmethod(lambda: None)
    round_begins: Callable[[], None] = staticmethod(lambda: None)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.round_over()
        found = super().select(timeout)
        self.round_begins()
        return found


class _WatchedLoop(asyncio.SelectorEventLoop):
    """An event loop that times its callbacks: two readings of the clock for each, and two for each round.

    Socket callbacks do not pass `call_soon`; what a round took beyond its timed callbacks is put down to them.
    """

    def __init__(self, on_slow: OnSlow, slow_seconds: float) -> None:
        selector = _WatchedSelector()
        super().__init__(selector)
        self._on_slow = on_slow
        self._slow_seconds = slow_seconds
        self._round_began: float | None = None
        self._timed_seconds = 0.0
        selector.round_over = self._round_over
        selector.round_begins = self._round_begins

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None) -> asyncio.Handle:
        return super().call_soon(self._timed, callback, args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon_threadsafe(self._timed, callback, args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_at(when, self._timed, callback, args, context=context)

    def _timed(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        began = time.perf_counter()
        try:
            callback(*args)
        finally:
            took_seconds = time.perf_counter() - began
            self._timed_seconds += took_seconds
            if took_seconds > self._slow_seconds:
                self._on_slow(_callback_name(callback), took_seconds)

    def _round_begins(self) -> None:
        self._round_began = time.perf_counter()
        self._timed_seconds = 0.0

    def _round_over(self) -> None:
        if self._round_began is None:
            return
        untimed_seconds = time.perf_counter() - self._round_began - self._timed_seconds
        if untimed_seconds > self._slow_seconds:
            self._on_slow("a socket callback", untimed_seconds)


def _callback_name(callback: Callable[..., object]) -> str:
    owner = getattr(callback, "__self__", None)
    return f"task {owner.get_name()}" if isinstance(owner, asyncio.Task) else _called(callback)


def _called(callback: Callable[..., object]) -> str:
    while isinstance(callback, partial):
        callback = callback.func
    return str(getattr(callback, "__qualname__", type(callback).__qualname__))


def _without_stop_iteration(context: contextvars.Context, call: Callable[[], T]) -> T:
    """Call in the context of the one who asked; a future cannot carry StopIteration, and would leave its waiter waiting."""
    try:
        return context.run(call)
    except StopIteration as error:
        raise RuntimeError("StopIteration from a thread") from error


def _bytes_for(bits: int) -> int:
    if bits < 1:
        raise ValueError(f"a secret has at least one bit, not {bits}")
    return (bits + 7) // 8


def _token(secret: bytes) -> str:
    return urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")


def _base32(number: int) -> str:
    characters = []
    for _ in range(_ID_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))
