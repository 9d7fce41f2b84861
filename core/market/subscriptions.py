"""Which instruments a streaming source keeps live where it allows only so many. Pure.

The oldest wish gives way to a new one; what is at stake (held, working, and what that is on) never does.

Worked example: a source keeps 3. SPX is held; QQQ, IWM and then DIA are looked at: DIA takes the place of QQQ, the oldest wish, and SPX
stays however long nobody asked for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from core.domain.instruments import Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be subscribed and what given up, and what finds no place at all."""

    add: tuple[Instrument, ...] = ()
    drop: tuple[Instrument, ...] = ()
    refused: tuple[Instrument, ...] = ()


class Subscriptions:
    """The live instruments of one source, oldest wish first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._live: dict[str, Instrument] = {}

    @property
    def live(self) -> tuple[Instrument, ...]:
        """What is subscribed now."""
        return tuple(self._live.values())

    def want(self, instruments: Iterable[Instrument], *, at_stake: Collection[str]) -> Change:
        """Make room for what is asked for; `at_stake` are the keys that must keep their prices. What is at stake is placed first."""
        add: list[Instrument] = []
        drop: list[Instrument] = []
        refused: list[Instrument] = []
        asked = {item.key: item for item in instruments}
        for item in sorted(asked.values(), key=lambda item: item.key not in at_stake):
            known = self._live.pop(item.key, None)
            if known is None:
                if len(self._live) + 1 > self._most:
                    oldest = next((key for key in self._live if key not in at_stake and key not in asked), None)
                    if oldest is None and item.key in at_stake:
                        oldest = next((key for key in self._live if key not in at_stake), None)
                    if oldest is None:
                        refused.append(item)
                        continue
                    drop.append(self._live.pop(oldest))
                add.append(item)
            self._live[item.key] = item
        dropped = {item.key for item in drop}
        return Change(add=tuple(item for item in add if item.key not in dropped), drop=tuple(drop), refused=tuple(refused))
