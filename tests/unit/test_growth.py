"""However long the log: an event, a snapshot and a start cost what changed, not what there ever was. Counted, not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from core.clock import ManualClock
from core.domain import shelf
from core.domain.events import Event
from core.fold import DeskFold
from core.runtime import SimRuntime
from core.snapshots import replay, save_snapshot
from core.store.memory import MemoryDisk, MemoryStore
from tests.fake_broker import simulated
from tests.long_log import ACCOUNTS, START, drafts, events

SHORT, LONG, STEP = 2_000, 8_000, 500


@pytest.fixture(scope="module")
def log() -> Sequence[Event]:
    return tuple(events(LONG))


def fold_of(log: Sequence[Event]) -> DeskFold:
    fold = DeskFold()
    for event in log:
        fold.apply(event)
    return fold


def save(fold: DeskFold, parts: dict[str, bytes]) -> tuple[bytes, dict[str, bytes]]:
    """Make the next snapshot as the desk does; returns what had to be stored now."""
    saving = fold.begin_saving()
    saving.pack()
    parts |= saving.parts
    fold.end_saving(saving, saved=True)
    return saving.state, saving.parts


def calls(work: Callable[[], object]) -> int:
    """Python functions called by `work`."""
    count = 0

    def called(frame: object, what: str, argument: object) -> None:
        nonlocal count
        count += what == "call"

    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def live(fold: DeskFold, log: Sequence[Event]) -> None:
    """Fold as the desk does: the books are looked at after every event."""
    for event in log:
        fold.apply(event)
        for book in fold.books.accounts.values():
            assert book.orders.get("nobody's") is None


def test_h9_fold_when_the_log_is_long_then_an_event_costs_what_it_did_when_it_was_short(log: Sequence[Event]) -> None:
    early, late = fold_of(log[: SHORT - STEP]), fold_of(log[: LONG - STEP])

    few, many = (calls(lambda: live(fold, log[fold.seq : fold.seq + STEP])) for fold in (early, late))  # noqa: B023 - called at once

    assert many < 1.25 * few


def test_h9_snapshot_when_the_log_is_long_then_stores_what_changed(log: Sequence[Event]) -> None:
    fold, parts, stored = DeskFold(), dict[str, bytes](), []
    for start in range(0, LONG, STEP):
        for event in log[start : start + STEP]:
            fold.apply(event)
        state, made = save(fold, parts)
        stored.append(len(state) + sum(map(len, made.values())))

    assert max(stored[-5:]) < 1.25 * max(stored[4:9])


def test_h9_start_when_a_snapshot_is_there_then_only_what_is_open_and_what_came_after_is_read(
    log: Sequence[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    from_plain = shelf.from_plain

    def counted(kind: Any, plain: Any) -> Any:
        read.append(kind)
        return from_plain(kind, plain)

    monkeypatch.setattr(shelf, "from_plain", counted)
    counts, open_records = [], []
    for length in (SHORT, LONG):
        fold, parts = fold_of(log[:length]), dict[str, bytes]()
        state, _ = save(fold, parts)
        read.clear()
        again = DeskFold.load(state, parts)
        counts.append(len(read))
        open_records.append(sum(len(book.live) + len(book.holding) + len(book.overfilled) for book in again.books.accounts.values()))
        assert again.digest() == fold.digest()

    assert counts == open_records


def test_h9_fold_when_loaded_from_snapshots_then_goes_on_as_the_one_that_never_stopped(log: Sequence[Event]) -> None:
    fold, parts = DeskFold(), dict[str, bytes]()
    for number, event in enumerate(log[:SHORT]):
        fold.apply(event)
        if number % 700 == 0:
            state, _ = save(fold, parts)
            fold = DeskFold.load(state, parts)

    whole = fold_of(log[:SHORT])
    assert fold.digest() == whole.digest()
    assert fold.books == whole.books
    assert fold.tickets == whole.tickets
    assert [fold.last_mark(account) for account in ACCOUNTS] == [whole.last_mark(account) for account in ACCOUNTS]


def test_book_when_events_come_while_it_is_looked_at_then_stays_as_it_was(log: Sequence[Event]) -> None:
    fold, seen = DeskFold(), []
    for number, event in enumerate(log[:SHORT]):
        fold.apply(event)
        if number % 250 == 0:
            seen.append((number + 1, fold.books))
            if number % 500 == 0:
                fold.pack()

    for length, books in seen:
        then = fold_of(log[:length]).books
        assert books == then
        assert [list(book.orders) for book in books.accounts.values()] == [list(book.orders) for book in then.accounts.values()]


def test_h9_load_when_a_part_is_missing_or_damaged_then_refused(log: Sequence[Event]) -> None:
    fold, parts = fold_of(log[:SHORT]), dict[str, bytes]()
    state, _ = save(fold, parts)
    name = next(name for name in parts if name.startswith("orders"))

    for wrong in ({**parts, name: b"\0" + parts[name]}, {**parts, name: b""}, {key: part for key, part in parts.items() if key != name}):
        with pytest.raises((ValueError, KeyError)):
            DeskFold.load(state, wrong)


@simulated
async def test_h9_desk_when_it_runs_then_snapshots_add_to_each_other_and_a_start_takes_the_last(runtime: SimRuntime) -> None:
    clock = ManualClock(START)
    disk = MemoryDisk()
    store = MemoryStore(clock=clock, disk=disk)
    fold, sizes = DeskFold(), []
    for start in range(0, 2_000, 500):
        await store.append(list(drafts(start + 500))[start:])
        for event in await store.read(after=fold.seq):
            fold.apply(event)
        await save_snapshot(fold, store, runtime)
        sizes.append(disk.snapshots["desk"][0].seq)

    applied: list[Event] = []
    before = fold.digest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeskFold, "apply", lambda self, event: applied.append(event))
        again = await replay(store)

    assert sizes == [500, 1_000, 1_500, 2_000]
    assert again.digest() == before
    assert applied == []
