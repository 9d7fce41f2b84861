"""SimLoop: an event loop with virtual time and a seeded order, so that a whole desk can be run, crashed and run again alike.

**Time.** It stands while anything can run; when nothing can, it jumps to the next timer. A simulated year takes as long as
the work in it.

**Order.** asyncio runs ready callbacks first in, first out, and code comes to lean on that by accident: in a real process
the network decides who is ready first. So each round (all callbacks that are ready at the same moment, as in asyncio's own
loop; what they schedule waits for the next round) is run in a seeded permutation. What may never change places keeps its
order: callbacks are filed in lanes, one for each task, holding its own steps and everything scheduled while it ran, and a
lane is always first in, first out. Timers that are due at different times never change places either.
A round is put into one fixed order before it is permuted, so the iteration order of a set of tasks does not show.

**Processes.** Every lane belongs to a `SimProcess`. `abandon(process)` is `kill -9`: its tasks never run again, no `except`,
no `finally`, no `__del__`, while the rest of the simulated world (a broker, the exchange) goes on. `pause(process)` is SIGSTOP: nothing
of it runs until `resume`, and what fell due meanwhile runs then.

**Digest.** Each executed callback is hashed with its time. Same seed, same digest.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import sys
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context
from datetime import datetime
from functools import partial
from hashlib import blake2b
from types import FrameType
from typing import Any, Self, TypeAlias, TypeVar, TypeVarTuple, cast

from core.clock import as_utc

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = logging.getLogger(__name__)
_MASK = (1 << 64) - 1
_RECENT = 12


class Deadlock(RuntimeError):
    """Nothing is ready, no timer is set, and somebody still waits; `waiting` names the tasks and where they stand."""

    def __init__(self, waiting: Iterable[str]) -> None:
        self.waiting = tuple(waiting)
        super().__init__("nothing can ever run again; waiting: " + ("; ".join(self.waiting) or "no task, only the loop"))


class BudgetSpent(RuntimeError):
    """The simulation ran longer than it was allowed, in steps or in virtual seconds: most often a task that never rests."""


class Abandoned(RuntimeError):
    """The task that `run_until_complete` waited for was in a process that has been killed."""


class NotSimulated(RuntimeError):
    """The simulated world has no sockets, processes, signals or threads; a part of the desk tried to use one."""


class SimProcess:
    """One simulated process: what dies together. Made by `SimLoop.process`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.held: list[_Entry] = []  # what would have run while it was paused

    def __repr__(self) -> str:
        return f"<SimProcess {self.name} {'paused' if self.paused else 'alive' if self.alive else 'dead'}>"


class _Lane:
    """Callbacks that keep their order: one task's, or those scheduled outside any task."""

    __slots__ = ("process", "serial")

    def __init__(self, serial: int, process: SimProcess) -> None:
        self.serial = serial
        self.process = process


class _Ready(asyncio.Handle):
    """A callback that can run now."""

    __slots__ = ("callback", "lane")

    def __init__(self, lane: _Lane, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None, loop: SimLoop) -> None:
        super().__init__(callback, args, loop, context)
        self.lane = lane
        self.callback = callback


class _Timer(asyncio.TimerHandle):
    """A callback that can run at `when`; ordered by time, then lane, then age."""

    __slots__ = ("callback", "key", "lane")

    def __init__(
        self,
        key: tuple[float, int, int],
        lane: _Lane,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
        loop: SimLoop,
    ) -> None:
        super().__init__(key[0], callback, args, loop, context)
        self.key = key
        self.lane = lane
        self.callback = callback

    def __lt__(self, other: object) -> bool:
        return self.key < cast(_Timer, other).key


_Entry: TypeAlias = _Ready | _Timer


class SimLoop(asyncio.AbstractEventLoop):
    """An event loop in virtual time. `failures` holds what no handler took; look at it at the end of a run."""

    def __init__(self, seed: int, start: datetime, *, max_steps: int = 5_000_000, max_seconds: float | None = None) -> None:
        self.seed = seed
        self.steps = 0
        self.max_steps = max_steps
        self.max_seconds = max_seconds
        self.failures: list[dict[str, Any]] = []
        self._start = as_utc(start)
        self._seconds = 0.0
        self._shuffle = _Shuffle(seed)
        self._digest = blake2b(digest_size=16)
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._ready: list[_Entry] = []
        self._round: deque[_Entry] = deque()
        self._timers: list[_Timer] = []
        self._timers_set = 0
        self._timers_cancelled = 0
        self._lanes_made = 0
        self._tasks_made = 0
        self._root = SimProcess("root")
        self._outside = self._new_lane(self._root)
        self._lane = self._outside
        # Strong references, unlike asyncio's: when the garbage collector ran must not decide which task lives.
        self._tasks: dict[asyncio.Task[Any], _Lane] = {}
        self._buried: dict[asyncio.Task[Any], _Lane] = {}
        self._generators: weakref.WeakKeyDictionary[AsyncGenerator[Any, Any], SimProcess] = weakref.WeakKeyDictionary()
        self._task_factory: Callable[..., Any] | None = None
        self._exception_handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
        self._after_abandon: list[tuple[SimProcess, Callable[[], object]]] = []
        self._thread: int | None = None
        self._stopping = False
        self._closed = False

    # ---- time, trace and processes: what a simulation asks for

    @property
    def start(self) -> datetime:
        """The instant at which virtual time is 0."""
        return self._start

    def time(self) -> float:
        """Return virtual seconds since `start`."""
        return self._seconds

    @property
    def digest(self) -> str:
        """The hash of every (time, callback name) executed so far, and of every `note`."""
        return self._digest.hexdigest()

    @property
    def recent(self) -> tuple[str, ...]:
        """The last few callbacks executed, oldest first, for a failure report."""
        return tuple(self._recent)

    def note(self, text: str) -> None:
        """Add something that happened to the digest."""
        self._digest.update(f"{self._seconds!r} note {text}\n".encode())

    def process(self, name: str) -> SimProcess:
        """Return a new simulated process; start one again after a kill by making another of the same name."""
        return SimProcess(name)

    @contextmanager
    def inside(self, process: SimProcess) -> Iterator[None]:
        """Let whatever is scheduled in this block, and all it leads to, belong to `process`."""
        before = self._lane
        self._lane = before if before.process is process else self._new_lane(process)
        try:
            yield
        finally:
            self._lane = before

    def after_abandon(self, process: SimProcess, act: Callable[[], object]) -> None:
        """Call `act` once `process` is killed: the operating system's part, such as letting go of its file locks."""
        self._after_abandon.append((process, act))

    def abandon(self, process: SimProcess | None = None) -> None:
        """Kill `process`, or everything: nothing of it runs again, not even a `finally`. Time and the rest go on.

        A task that kills its own process runs on to its next await, since Python cannot stop a running frame without
        cleanup; `die` does both.
        """
        dead = [process] if process is not None else self._processes()
        for one in dead:
            one.alive = one.paused = False
            for handle in one.held:
                _keep(handle)
            one.held = []
        if not self._root.alive:
            self._root = SimProcess("root")
        if not self._outside.process.alive:
            self._outside = self._new_lane(self._root)
        if not self._lane.process.alive and self._thread is None:
            self._lane = self._outside
        self._bury()
        acts = [act for owner, act in self._after_abandon if not owner.alive]
        self._after_abandon = [(owner, act) for owner, act in self._after_abandon if owner.alive]
        for act in acts:
            act()

    kill = abandon

    def pause(self, process: SimProcess) -> None:
        """Stop `process` as SIGSTOP does: the world goes on around it, and what it waits for may time out unseen."""
        process.paused = True

    def resume(self, process: SimProcess) -> None:
        """Let a paused process run on; what fell due meanwhile is ready now, in the order in which it was."""
        process.paused = False
        held, process.held = process.held, []
        self._ready.extend(handle for handle in held if handle.lane.process.alive)

    async def die(self, process: SimProcess) -> None:
        """Kill `process` from within one of its own tasks, on this very line."""
        self.abandon(process)
        await self.create_future()

    # ---- running

    def run_until_complete(self, future: Generator[Any, None, T] | Coroutine[Any, Any, T] | asyncio.Future[T] | Any) -> T:
        """Run until `future` is done and return its result; Deadlock if it never can be."""
        self._check_open()
        made_here = not asyncio.isfuture(future)
        main: asyncio.Future[T] = asyncio.ensure_future(cast("asyncio.Future[T]", future), loop=self)
        lane = self._tasks.get(cast("asyncio.Task[Any]", main), self._outside)
        self._run(lambda: main.done() or not lane.process.alive, main=main)
        if not main.done():
            raise Abandoned(f"{lane.process.name} was killed at {self._seconds:g} s")
        if made_here and main.cancelled():
            raise asyncio.CancelledError
        return main.result()

    def run_forever(self) -> None:
        """Run until `stop()`; Deadlock when nothing is left that could call it."""
        self._check_open()
        self._stopping = False
        self._run(lambda: self._stopping, main=None)
        self._stopping = False

    def run_for(self, seconds: float) -> None:
        """Run everything due within the next virtual `seconds`; the time then stands at their end, tasks may be left."""
        self._check_open()
        end_seconds = self._seconds + seconds
        timer = self.call_later(seconds, _nothing)
        try:
            self._run(lambda: self._seconds >= end_seconds and not self._round and not self._due(), main=None)
        finally:
            timer.cancel()

    def stop(self) -> None:
        self._stopping = True

    def is_running(self) -> bool:
        return self._thread is not None

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Close for good. What has not finished is cancelled and given its `finally` first; `abandon` before, to deny it that."""
        if self._closed:
            return
        if self.is_running():
            raise RuntimeError("a running loop cannot be closed")
        left = list(self._tasks)
        for task in left:
            task.cancel()
        if left:
            self.run_until_complete(self._wait_all(left))
        self.run_until_complete(self.shutdown_asyncgens())
        self._closed = True
        self._ready.clear()
        self._round.clear()
        self._timers.clear()

    async def shutdown_asyncgens(self) -> None:
        for generator in list(self._generators):
            await generator.aclose()

    async def shutdown_default_executor(self) -> None:
        """There is no pool to shut down; what ran in it ran in line."""

    # ---- scheduling: what asyncio asks for

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        self._check_open()
        lane = self._lane_of(callback)
        handle = _Ready(lane, callback, args, context, self)
        if lane.process.alive:
            self._ready.append(handle)
        else:
            _keep(handle)
        return handle

    def call_soon_threadsafe(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        if self._thread is not None and threading.get_ident() != self._thread:
            raise NotSimulated("a real thread called into the simulation; its timing cannot be repeated")
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._seconds + max(delay, 0.0), callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.TimerHandle:
        self._check_open()
        if math.isnan(when):
            raise ValueError("a timer at no time at all (NaN)")
        lane = self._lane_of(callback)
        self._timers_set += 1
        timer = _Timer((when, lane.serial, self._timers_set), lane, callback, args, context, self)
        if lane.process.alive:
            heapq.heappush(self._timers, timer)
        else:
            _keep(timer)
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None, **more: Any) -> Any:
        """Make a task; without a name it gets a number of this loop's own, since asyncio's would differ on every run."""
        self._check_open()
        self._tasks_made += 1
        own_name = name if name is not None else f"task-{self._tasks_made}"
        if self._task_factory is not None:
            task = self._task_factory(self, coro, **({"context": context} if context is not None else {}))
            task.set_name(own_name)
            return task
        return asyncio.Task(coro, loop=self, name=own_name, context=context, **more)

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run `func` here and now; its result arrives by `call_soon`, in a lane of its own, as a pool's would."""
        self._check_open()
        outcome: asyncio.Future[T] = self.create_future()
        running = asyncio._get_running_loop()
        # A pool thread has no running loop; code that wants one there must fail here too.
        asyncio._set_running_loop(None)
        give: Callable[[], None] = _nothing
        with _Raised() as raised:
            give = partial(_give_result, outcome, func(*args))
        asyncio._set_running_loop(running)
        if raised.error is not None:
            give = partial(_give_error, outcome, raised.error)
        caller = self._lane
        self._lane = self._new_lane(caller.process)
        try:
            self.call_soon(give)
        finally:
            self._lane = caller
        return outcome

    def set_default_executor(self, executor: Any) -> None:
        """Accepted and not used: the work is done in line."""

    def set_task_factory(self, factory: Any) -> None:
        self._task_factory = factory

    def get_task_factory(self) -> Any:
        return self._task_factory

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """Accepted and not used: asyncio's debug mode measures real time."""

    # ---- errors nobody caught

    def set_exception_handler(self, handler: Any) -> None:
        self._exception_handler = handler

    def get_exception_handler(self) -> Any:
        return self._exception_handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)
        _log.error("%s", context.get("message", "unhandled exception in the simulation"), exc_info=context.get("exception"))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._exception_handler is None:
            self.default_exception_handler(context)
        else:
            self._exception_handler(self, context)

    # ---- the engine

    def _run(self, finished: Callable[[], bool], *, main: asyncio.Future[Any] | None) -> None:
        if self.is_running():
            raise RuntimeError("this loop is already running")
        hooks = sys.get_asyncgen_hooks()
        outer = asyncio._get_running_loop()
        if outer is not None:
            raise RuntimeError("cannot run a simulation inside a running event loop")
        self._thread = threading.get_ident()
        sys.set_asyncgen_hooks(firstiter=self._generator_begins, finalizer=self._generator_ends)
        asyncio._set_running_loop(self)
        try:
            while not finished():
                self._step(main)
        finally:
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)
            self._thread = None
            self._lane = self._outside

    def _step(self, main: asyncio.Future[Any] | None) -> None:
        """Execute one callback, first making a round, and first of all moving the time, if need be."""
        while not self._round:
            self._fill_round(main)
        handle = self._round.popleft()
        process = handle.lane.process
        if handle.cancelled() or not process.alive:
            return
        if process.paused:
            process.held.append(handle)
            return
        self.steps += 1
        if self.steps > self.max_steps:
            raise BudgetSpent(f"{self.max_steps} steps at {self._seconds:g} s; the last: {', '.join(self._recent)}")
        self._execute(handle)

    def _execute(self, handle: _Entry) -> None:
        name = _name_of(handle.callback)
        self._recent.append(name)
        self._digest.update(f"{self._seconds!r} {name}\n".encode())
        self._lane = handle.lane
        handle._run()  # what it raises goes to call_exception_handler
        self._lane = self._outside
        task = getattr(handle.callback, "__self__", None)
        if isinstance(task, asyncio.Task) and task.done():
            self._tasks.pop(task, None)
        if not handle.lane.process.alive:
            # It killed its own process: what it still held must not be cleaned up either.
            _keep(handle)

    def _fill_round(self, main: asyncio.Future[Any] | None) -> None:
        """Collect what is ready and due; with nothing ready, jump to the next timer."""
        self._drop_cancelled()
        if not self._ready:
            if not self._timers:
                raise Deadlock(self._waiting(main))
            self._seconds = max(self._seconds, self._timers[0].when())
            if self.max_seconds is not None and self._seconds > self.max_seconds:
                raise BudgetSpent(f"{self.max_seconds:g} virtual seconds; the last: {', '.join(self._recent)}")
        while self._timers and self._timers[0].when() <= self._seconds:
            self._ready.append(heapq.heappop(self._timers))
        lanes: dict[int, deque[_Entry]] = {}
        for handle in self._ready:
            lanes.setdefault(handle.lane.serial, deque()).append(handle)
        self._ready = []
        order = [serial for serial in sorted(lanes) for _ in lanes[serial]]
        self._shuffle(order)
        self._round.extend(lanes[serial].popleft() for serial in order)

    def _due(self) -> bool:
        self._drop_cancelled()
        return bool(self._ready) or bool(self._timers and self._timers[0].when() <= self._seconds)

    def _drop_cancelled(self) -> None:
        if self._timers_cancelled > 100 and self._timers_cancelled * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if not timer.cancelled()]
            heapq.heapify(self._timers)
            self._timers_cancelled = 0
        while self._timers and self._timers[0].cancelled():
            heapq.heappop(self._timers)
            self._timers_cancelled = max(self._timers_cancelled - 1, 0)
        self._ready = [handle for handle in self._ready if not handle.cancelled()]

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio's TimerHandle says here that it was cancelled."""
        self._timers_cancelled += 1

    def _lane_of(self, callback: Callable[..., object]) -> _Lane:
        owner = getattr(callback, "__self__", None)
        if not isinstance(owner, asyncio.Task) or owner.done():
            return self._lane
        # Who wakes a dead task up (a broker that answers it, say) does not bring it back to life.
        lane = self._tasks.get(owner) or self._buried.get(owner)
        if lane is None:
            lane = self._new_lane(self._lane.process)
            (self._tasks if lane.process.alive else self._buried)[owner] = lane
        return lane

    def _new_lane(self, process: SimProcess) -> _Lane:
        self._lanes_made += 1
        return _Lane(self._lanes_made, process)

    def _processes(self) -> list[SimProcess]:
        found = {id(self._root): self._root, id(self._lane.process): self._lane.process}
        handles: tuple[Iterable[_Entry], ...] = (self._ready, self._round, self._timers)
        found.update((id(handle.lane.process), handle.lane.process) for group in handles for handle in group)
        found.update((id(lane.process), lane.process) for lane in self._tasks.values())
        found.update((id(process), process) for process in self._generators.values())
        found.update((id(process), process) for process, _ in self._after_abandon)
        return list(found.values())

    def _bury(self) -> None:
        """Take everything that belongs to a dead process out of the loop, and keep it from ever being cleaned up."""
        for task, lane in [(task, lane) for task, lane in self._tasks.items() if not lane.process.alive]:
            del self._tasks[task]
            self._buried[task] = lane
            asyncio._unregister_task(task)
            _keep(task)
        for generator in [one for one, process in self._generators.items() if not process.alive]:
            del self._generators[generator]
            _keep(generator)
        for handle in (*self._ready, *self._round, *self._timers):
            if not handle.lane.process.alive:
                _keep(handle)
        self._ready = [handle for handle in self._ready if handle.lane.process.alive]
        self._round = deque(handle for handle in self._round if handle.lane.process.alive)
        self._timers = [timer for timer in self._timers if timer.lane.process.alive]
        heapq.heapify(self._timers)

    def _waiting(self, main: asyncio.Future[Any] | None) -> list[str]:
        tasks = [task for task in self._tasks if not task.done()]
        return [("the main task " if task is main else "") + _whereabouts(task) for task in tasks]

    def _generator_begins(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generators[generator] = self._lane.process

    def _generator_ends(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generators.pop(generator, None)
        if not self._closed:
            self.call_soon(self.create_task, generator.aclose())

    async def _wait_all(self, tasks: list[asyncio.Task[Any]]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the simulation loop is closed")


def _refuse(name: str) -> Callable[..., Any]:
    def refused(self: SimLoop, *args: object, **more: object) -> Any:
        raise NotSimulated(f"{name}() in a simulation: there are no sockets, processes, signals or threads; use a simulated port")

    refused.__name__ = name
    return refused


_REFUSED = (
    "add_reader",
    "remove_reader",
    "add_writer",
    "remove_writer",
    "sock_recv",
    "sock_recv_into",
    "sock_recvfrom",
    "sock_recvfrom_into",
    "sock_sendall",
    "sock_sendto",
    "sock_connect",
    "sock_accept",
    "sock_sendfile",
    "sendfile",
    "start_tls",
    "getaddrinfo",
    "getnameinfo",
    "create_connection",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "connect_accepted_socket",
    "create_datagram_endpoint",
    "connect_read_pipe",
    "connect_write_pipe",
    "subprocess_shell",
    "subprocess_exec",
    "add_signal_handler",
    "remove_signal_handler",
)
for _name in _REFUSED:
    setattr(SimLoop, _name, _refuse(_name))


class _Shuffle:
    """A seeded permutation (Fisher-Yates over splitmix64): the same on every Python version, which `random` does not promise."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def __call__(self, items: list[int]) -> None:
        for last in range(len(items) - 1, 0, -1):
            other = self._next() % (last + 1)
            items[last], items[other] = items[other], items[last]

    def _next(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)


# What a killed process held. A coroutine that is collected runs its `finally` blocks, so these are kept to the very end.
_graveyard: list[object] = []


def _keep(dead: object) -> None:
    if not _graveyard:
        # One reference is leaked on purpose: the interpreter's own shutdown must not clean up the dead either.
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(_graveyard))
    _graveyard.append(dead)


class _Raised:
    """A block whose error is kept for the one who waits for its outcome, instead of going up to the one who ran it."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        self.error = error if isinstance(error, Exception) else None
        return self.error is not None


def _give_result(outcome: asyncio.Future[T], result: T) -> None:
    if not outcome.done():
        outcome.set_result(result)


def _give_error(outcome: asyncio.Future[T], error: Exception) -> None:
    if not outcome.done():
        outcome.set_exception(RuntimeError("StopIteration from a pool") if isinstance(error, StopIteration) else error)


def _nothing() -> None:
    """A timer's callback that only makes the time come."""


def _name_of(callback: Callable[..., object]) -> str:
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"task:{owner.get_name()}"
    while isinstance(callback, partial):
        callback = callback.func
    return f"{getattr(callback, '__module__', None)}.{getattr(callback, '__qualname__', type(callback).__qualname__)}"


def _whereabouts(task: asyncio.Task[Any]) -> str:
    frames: list[FrameType] = task.get_stack(limit=1)
    place = f" at {frames[0].f_code.co_qualname}:{frames[0].f_lineno}" if frames else ""
    return f"{task.get_name()}{place}"
