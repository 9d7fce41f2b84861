"""Working a fill: where the limit of an order should stand by now. Pure.

The price starts at the confirmed start (mid) and walks to the confirmed worst in equal steps; it never leaves that range, and every
step is on a tick.
"""

from __future__ import annotations

from decimal import Decimal

from core.domain.instruments import Option, combo_tick
from core.domain.money import to_tick
from core.domain.orders import Envelope


def limit_at_step(envelope: Envelope, *, done: int, steps: int) -> Decimal:
    """The limit after `done` of `steps` steps; done 0 is the start, done >= steps the worst price."""
    start, worst = envelope.plan.start, envelope.plan.worst
    if done <= 0 or start == worst:
        return start
    if done >= steps:
        return worst
    raw = start - (start - worst) * done / steps
    options = tuple(leg.instrument for leg in envelope.legs if isinstance(leg.instrument, Option))
    return min(start, max(worst, to_tick(raw, combo_tick(options, raw), up=False)))


def steps_done(*, elapsed_seconds: float, walk_seconds: int, steps: int) -> int:
    """How many steps are due after that many seconds of desk time."""
    return min(steps, max(0, int(elapsed_seconds * steps / walk_seconds)))
