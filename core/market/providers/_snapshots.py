"""Recorded snapshots: when each was taken, and its chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from core.clock import EXCHANGE_ZONE, exchange_date
from core.domain.calendar import CalendarError, last_trade_at, session
from core.domain.instruments import InstrumentError, roots_of, series_of
from core.errors import UserError
from core.market.chain import UNKNOWN, Chain
from core.market.providers._compact import Arrays, SnapshotHead

# A snapshot dated by day alone was taken minutes before the close; one whose underlying is the official close, after it.
BEFORE_CLOSE = timedelta(minutes=15)
AFTER_CLOSE = timedelta(minutes=10)  # options not expiring that day trade until 16:15
_SAME_PRICE = 0.015
_SOURCE = "recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A recorded snapshot and the instant it was taken."""

    at: datetime
    head: SnapshotHead


def on_sessions(heads: Sequence[SnapshotHead]) -> tuple[list[SnapshotHead], tuple[SnapshotHead, ...]]:
    """Snapshots of sessions, and those of days the exchange was closed: vendors repeat the day before then."""
    try:
        dropped = tuple(head for head in heads if session(head.day) is None)
    except CalendarError as error:
        raise UserError(str(error), "Leave the chain files of other years out of the folder.") from error
    return [head for head in heads if head not in dropped], dropped


def instant_of(head: SnapshotHead, *, close: float | None) -> datetime:
    """When a snapshot was taken: as said, else before the close; after it where its underlying already is the official close."""
    if head.time is not None:
        return datetime.combine(head.day, head.time, EXCHANGE_ZONE).astimezone(UTC)
    regular = session(head.day)
    assert regular is not None, f"{head.day} is no session"
    if close is None or not abs(head.spot - close) <= _SAME_PRICE:
        return regular.close_at - BEFORE_CLOSE
    late = any(spec.late_close for spec in roots_of(head.symbol))
    return regular.close_at + (AFTER_CLOSE if late else timedelta(0))


def chain_of(snapshot: Snapshot, arrays: Arrays) -> Chain:
    """The snapshot's contracts that were still trading."""
    head = snapshot.head
    columns: dict[str, Any] = {name: arrays[name] for name in arrays if name != "root"}
    for name in ("bid_size", "ask_size"):
        columns.setdefault(name, np.full(head.rows, UNKNOWN, dtype=np.int64))
    roots = np.array(head.roots, dtype=object)[arrays["root"]]
    chain = Chain(symbol=head.symbol, at=snapshot.at, source=_SOURCE, spot=head.spot, root=roots, **columns)
    trading = np.ones(len(chain), dtype=bool)
    for root, expiry in ended(snapshot):
        trading &= (chain.expiry != expiry.toordinal()) | (chain.root != root)
    return chain if trading.all() else chain.select(trading)


def ended(snapshot: Snapshot) -> set[tuple[str, date]]:
    """Series (root, expiry) that vendors still list on their last day although trading in them was over when the snapshot was taken."""
    last = exchange_date(snapshot.at) + timedelta(days=1)  # a Saturday expiry ends on Friday
    return {(root, expiry) for root, expiry in snapshot.head.expiries if expiry <= last and _last_trade(root, expiry) <= snapshot.at}


def _last_trade(root: str, expiry: date) -> datetime:
    try:
        return last_trade_at(series_of(root), expiry)
    except (CalendarError, InstrumentError):
        return datetime.max.replace(tzinfo=UTC)  # no such expiry in the calendar: nothing says that it ended
