"""Feeds malformed inputs to the ports one by one and writes down what came of each: a word, or an error nobody declared.

Input `index` of a port is decided by seed, port and index alone, so any of them can be had again. A port with a state (a desk, a log)
is opened anew every `episode` inputs. An input that takes longer than `MOST_CPU_SECONDS` of the processor, or that waits for longer than
`MOST_SECONDS`, has hung.
"""

from __future__ import annotations

import signal
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import FrameType
from typing import Protocol

from tests.fuzz.source import Source

MOST_CPU_SECONDS = 5.0
MOST_SECONDS = 60.0  # of any clock: an input that waits for what never comes
KEPT = 25  # different failures that are shown of a port
ROOT = Path(__file__).resolve().parents[2]


class Hang(BaseException):
    """An input used up its time; no `except Exception` may swallow it."""


class Changed(AssertionError):
    """Something was changed, sent or revealed that an input of this kind must never change, send or reveal."""


class Bench(Protocol):
    """A port with whatever it needs, ready for inputs."""

    def one(self, source: Source) -> str:
        """Feed one input; returns a word for what came of it, and raises for anything the port does not declare."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A place where the outside world comes in. `share` is its part of the inputs, against the other ports'."""

    name: str
    share: float
    opened: Callable[[Source], Bench]
    episode: int = 0  # inputs after which it is opened anew; 0: never


@dataclass(slots=True, kw_only=True)
class Failure:
    """One kind of undeclared error, with its first input."""

    index: int
    error: str
    where: str
    trace: str
    times: int = 1


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What the inputs of one port came to."""

    port: str
    inputs: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    slowest_index: int = 0
    words: Counter[str] = field(default_factory=Counter)
    failures: dict[tuple[str, str], Failure] = field(default_factory=dict)
    digest: str = ""

    @property
    def failed(self) -> int:
        """How many inputs were not survived."""
        return sum(failure.times for failure in self.failures.values())


def run_port(port: Port, *, seed: int, inputs: int, first: int = 0) -> Outcome:
    """Feed `inputs` inputs from number `first` on; a port with a state begins at the start of that input's episode."""
    found, source, digest = Outcome(port=port.name), Source(), blake2b(digest_size=16)
    start = first - first % port.episode if port.episode else first
    bench: Bench | None = None
    began = time.process_time()
    with warnings.catch_warnings(), _watchdog():
        warnings.simplefilter("error")
        try:
            for index in range(start, first + inputs):
                if bench is None or (port.episode and index % port.episode == 0):
                    _closed(bench, index - 1, found)
                    source.seed("open", seed, port.name, index)
                    bench = port.opened(source)
                source.seed(seed, port.name, index)
                word = _fed(bench, source, index, found)
                found.words[word] += 1
                digest.update(f"{index} {word}\n".encode("utf-8", "replace"))
                found.inputs += 1
        finally:
            _closed(bench, first + inputs - 1, found)
    found.seconds = time.process_time() - began
    found.digest = digest.hexdigest()
    return found


def _fed(bench: Bench, source: Source, index: int, found: Outcome) -> str:
    began = time.process_time()
    _arm(MOST_CPU_SECONDS)
    try:
        return bench.one(source)
    except (Hang, Exception) as error:  # noqa: BLE001 - this is what is looked for; every one of them is reported
        _write_down(found, index, error)
        return f"FAILED {type(error).__name__}"
    finally:
        _arm(0)
        took = time.process_time() - began
        if took > found.slowest_seconds:
            found.slowest_seconds, found.slowest_index = took, index


def _closed(bench: Bench | None, index: int, found: Outcome) -> None:
    """Close a port; what it finds wrong at its end counts for its last input."""
    if bench is None:
        return
    try:
        bench.close()
    except Exception as error:  # noqa: BLE001 - as in _fed
        _write_down(found, index, error)


def _write_down(found: Outcome, index: int, error: BaseException) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith((f"{ROOT}/core/", f"{ROOT}/bot/"))]
    last = (ours or list(frames))[-1]
    where = f"{Path(last.filename).name}:{last.lineno} {last.name}"
    key = (type(error).__name__, where)
    known = found.failures.get(key)
    if known is not None:
        known.times += 1
    elif len(found.failures) < KEPT:
        trace = "".join(traceback.format_exception(error))
        found.failures[key] = Failure(index=index, error=f"{type(error).__name__}: {error!s:.300}", where=where, trace=trace[-6000:])


def _arm(seconds: float) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    if signal.getsignal(signal.SIGALRM) is _waited:
        signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS if seconds else 0)


def _hung(number: int, frame: FrameType | None) -> None:
    raise Hang(f"more than {MOST_CPU_SECONDS:g} seconds of the processor for one input")


def _waited(number: int, frame: FrameType | None) -> None:
    raise Hang(f"more than {MOST_SECONDS:g} seconds for one input")


@contextmanager
def _watchdog() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread; the caller's own time limit stands
        return

    before = signal.signal(signal.SIGVTALRM, _hung)
    alone = signal.getsignal(signal.SIGALRM) is signal.SIG_DFL  # else somebody has a clock of his own, such as the suite's
    if alone:
        signal.signal(signal.SIGALRM, _waited)
    try:
        yield
    finally:
        _arm(0)
        signal.signal(signal.SIGVTALRM, before)
        if alone:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
