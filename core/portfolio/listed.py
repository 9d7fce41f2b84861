"""Frozen views of what stands on an account's shelves, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar, overload

from core.domain.orders import Fill
from core.domain.structures import Trade
from core.portfolio.account import TradeState

T = TypeVar("T")


class Listed(Sequence[T]):
    """The records of a frozen mapping as a sequence, oldest first."""

    def __init__(self, records: Mapping[str, T]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[T]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...

    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # it may hold what has none

    def __repr__(self) -> str:
        return f"Listed({tuple(self)!r})"


class Daily(Listed[T]):
    """Records kept by UTC day, in order of time; those that count where it says so. They are read day by day."""

    def __init__(self, days: Mapping[str, tuple[T, ...]], counts: Callable[[T], bool] = lambda record: True) -> None:
        self._days = days
        self._counts = counts

    def within(self, first: date, last: date) -> Iterator[T]:
        """Those of the UTC days [first - 1, last + 1]: every one of the days [first, last] of any time zone is among them."""
        low, high = (day.isoformat() for day in (_moved(first, -1), _moved(last, 1)))
        return self._of(sorted(day for day in self._days if low <= day <= high))

    def since(self, at: datetime) -> Iterator[T]:
        """Those at `at` or later."""
        first = at.astimezone(UTC).date().isoformat()
        found: Any = self._of(sorted(day for day in self._days if day >= first))
        return (record for record in found if record.at >= at)

    def named(self, day: str, name: str, value: str) -> Iterator[T]:
        """Those of one day whose field `name` is `value`."""
        return (record for record in self._of([day]) if getattr(record, name) == value)

    def __iter__(self) -> Iterator[T]:
        return self._of(sorted(self._days))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _of(self, days: list[str]) -> Iterator[T]:
        return (record for day in days for record in self._days[day] if self._counts(record))


def executions(days: Mapping[str, tuple[Fill, ...]], superseded: Mapping[str, Any]) -> Daily[Fill]:
    """The executions that count: not corrected away, not busted."""
    return Daily(days, lambda fill: fill.exec_id not in superseded and not fill.busted)


def _moved(day: date, by: int) -> date:
    try:
        return day + timedelta(days=by)
    except OverflowError:
        return day


class Trades(Mapping[str, Trade]):
    """The trades of which anything counts, oldest first, as they stood."""

    def __init__(self, states: Mapping[str, TradeState], counted: int) -> None:
        self._states = states
        self._counted = counted

    def __getitem__(self, trade_id: str) -> Trade:
        state = self._states[trade_id]
        if not state.times:
            raise KeyError(trade_id)
        return state.trade

    def __iter__(self) -> Iterator[str]:
        return (trade_id for trade_id, state in self._states.items() if state.times)

    def __len__(self) -> int:
        return self._counted

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Names of trades, the oldest first."""
        wanted = set(names)
        return [name for name in self._states if name in wanted]
