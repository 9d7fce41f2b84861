"""The mode table: what may be sent in which mode. The gate, the sender and the exits look here and nowhere else.

| mode | entries | exits and rolls |
|---|---|---|
| ACTIVE | yes | yes |
| PAUSED | no | yes: what closes and leaves no more shorts uncovered, and what is measured as reducing |
| REDUCING | no | only what is measured as reducing |
| HALT | no | only what is measured as reducing, and a person confirmed |
| RECOVERY, STANDBY | no | no |

Cards, cancels and questions work in all of them; the strictest mode in scope wins. A mode on an underlying holds for all that is on it:
a halt of SPX is one of every SPX and SPXW contract, a halt of SPXW one of that series.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.domain.events import Mode
from core.domain.instruments import Option
from core.domain.orders import Leg

KILL = "kill"  # cause of the HALT that also cancels every order


def lets_through(mode: Mode, *, reducing: bool, exits: bool, automation: bool = False) -> bool:
    """Whether an order may be sent in a mode.

    `reducing` is measured (worst stress loss, margin and uncovered shorts are each no larger than before); `exits` closes and leaves no
    more shorts uncovered; `automation` is one that no person confirmed by itself.
    """
    if mode is Mode.ACTIVE:
        return True
    if mode is Mode.PAUSED:
        return reducing or exits
    if mode is Mode.REDUCING:
        return reducing
    return mode is Mode.HALT and reducing and not automation


def adds_risk(*, reducing: bool, exits: bool) -> bool:
    """Whether an order is an entry to the mode table: what a stale feed cancels."""
    return not lets_through(Mode.PAUSED, reducing=reducing, exits=exits)


def scope_names(legs: Iterable[Leg]) -> tuple[str, ...]:
    """The names under which a mode may concern an order's instruments: each contract's own, its series' and its underlying's."""
    names: dict[str, None] = {}
    for leg in legs:
        item = leg.instrument
        names[item.key] = None
        if isinstance(item, Option):
            names[item.root] = None
            names[item.underlying] = None
    return tuple(names)
