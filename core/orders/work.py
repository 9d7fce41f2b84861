"""Working a fill: where the limit of an order should stand by now. Pure.

The price starts at the confirmed start (mid) and walks to the confirmed worst in equal steps; it never leaves that range, and every
step is on a tick. A plan with a rest walks to that first, waits there, and takes one last step to its worst price.

Worked example: a loss exit from -3.60 to -4.10 that rests at -3.70: over 60 seconds it walks to -3.70, and after 30 more it pays 4.10.
"""

from __future__ import annotations

from decimal import Decimal

from core.domain.instruments import Option, combo_tick
from core.domain.money import to_tick
from core.domain.orders import Envelope, Limit


def limit_at_step(envelope: Envelope, *, done: int, steps: int) -> Decimal:
    """The limit after `done` of `steps` steps: 0 is the start, `steps` where it rests (the worst price unless it says otherwise), and
    one more the worst price."""
    plan = envelope.plan
    start, worst = plan.start, plan.worst
    rest = plan.rest if isinstance(plan, Limit) and plan.rest is not None else worst
    if done <= 0 or start == worst:
        return start
    if done >= steps:
        return rest if done == steps else worst
    raw = start - (start - rest) * done / steps
    options = tuple(leg.instrument for leg in envelope.legs if isinstance(leg.instrument, Option))
    return min(start, max(rest, to_tick(raw, combo_tick(options, raw), up=False)))


def steps_done(*, elapsed_seconds: float, walk_seconds: int, steps: int, patience_seconds: int) -> int:
    """How many steps are due after that many seconds of desk time; one more than `steps` once it rested for the patience."""
    if elapsed_seconds >= walk_seconds + patience_seconds:
        return steps + 1
    return min(steps, max(0, int(elapsed_seconds * steps / walk_seconds)))
