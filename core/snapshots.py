"""The state and its snapshots: how a start gets the one, and a running desk keeps the others.

A snapshot stores what changed since the one before, so it costs what happened and not what there is; that is why there can be one every
few thousand events however long the log. A start reads the last and the events after it.
"""

from __future__ import annotations

from core.domain.encoding import EncodingError
from core.errors import Conflict
from core.fold import DeskFold, code_version
from core.ports import Snapshot, Store
from core.runtime import Runtime

NAME = "desk"
SNAPSHOT_EVERY = 5_000  # events; after a crash a start replays about this many at most
REPLAYED_AT_ONCE = 2_000
PACKED_EVERY = 20_000  # events replayed


async def replay(store: Store) -> DeskFold:
    """The live state: the newest usable snapshot and every event after it."""
    fold = DeskFold()
    snapshot = await store.load_snapshot(NAME, code_version=code_version())
    if snapshot is not None:
        try:
            fold = DeskFold.load(snapshot.state, snapshot.parts)
        except EncodingError:
            fold = DeskFold()  # a snapshot is only a shortcut; the log says everything
        if (fold.seq, fold.hash) != (snapshot.seq, snapshot.hash):
            fold = DeskFold()
    packed = fold.seq
    while events := await store.read(after=fold.seq, limit=REPLAYED_AT_ONCE):
        for event in events:
            fold.apply(event)
        if fold.seq - packed >= PACKED_EVERY:  # a long log takes no more memory than what came of it
            fold.pack()
            packed = fold.seq
    return fold


def is_due(fold: DeskFold) -> bool:
    """Whether enough has happened since the last snapshot."""
    return fold.seq - (fold.saved_seq or 0) >= SNAPSHOT_EVERY


async def save_snapshot(fold: DeskFold, store: Store, runtime: Runtime) -> None:
    """Store what changed since the last snapshot, if anything did. On the loop it is only taken out; a thread writes it down and packs it.

    Raises Conflict where another snapshot is stored than this desk believes; its next one is then complete.
    """
    if fold.seq in (0, fold.saved_seq):
        return
    saving, saved = fold.begin_saving(), False
    try:
        await runtime.in_thread(saving.pack)
        await store.save_snapshot(
            Snapshot(
                name=NAME, seq=saving.seq, hash=saving.hash, code_version=code_version(), state=saving.state, parts=saving.parts,
                after=saving.after,
            )
        )
        saved = True
    except Conflict:
        fold.saved_seq = None
        raise
    finally:
        fold.end_saving(saving, saved=saved)
