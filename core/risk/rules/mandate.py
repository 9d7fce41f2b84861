"""An order nobody presses for must lie inside every bound of a mandate that is in force.

The bounds: account, rule, action, strategy, underlying, units of one order, orders a day, and how much worse than the natural price the
worst price may be. A mandate that was revoked or has run out, or whose rules were set otherwise since, covers nothing. An order that a
person confirms passes: the press covers it.

Worked example: a mandate closes put credit spreads at their profit target, at most 2 units an order and 3 orders a day, at most
max(0.10, 10%) beyond natural. Buying back 2 spreads whose natural debit is 0.40 may cost up to 0.50; a worst price of 0.55 is refused,
and so are 3 spreads, and a 4th order that day.
"""

from __future__ import annotations

from core.domain.mandates import broken_bounds
from core.errors import Unavailable
from core.risk.exam import Exam, Finding, blocking, passing
from core.settings import Parameters, Setting

NAME = "mandate"
CLASS = "hard"
ON_REDUCING = True
PARAMETERS: tuple[Setting, ...] = ()
LIMIT = "inside a mandate"
BY_HAND = "A person may confirm it."


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Hold the order against the mandate it rests on."""
    if not exam.automation:
        return passing(NAME, CLASS, measured="a press", limit="a press or a mandate", why="a person confirms it")
    if exam.authority is None:
        return _no(measured="none", limit=LIMIT, why="it is sent by no press and rests on no mandate")
    intent, mandate = exam.intent, exam.authority.state.mandate
    broken = broken_bounds(
        exam.authority, account=intent.account, strategy=intent.strategy, symbol=intent.underlying, effect=intent.effect,
        quantity=intent.quantity,
    )
    if broken:
        first = broken[0]
        return _no(measured=first.measured, limit=first.limit, why="; ".join(bound.why for bound in broken))
    if exam.natural is None:
        raise Unavailable("natural price", why="a leg has no usable quote, so the concession cannot be measured")
    lowest = mandate.worst_allowed(exam.natural)
    if intent.plan.worst < lowest:
        why = f"the worst price {intent.plan.worst:+.2f} is beyond what mandate {mandate.id} concedes ({lowest:+.2f})"
        return _no(measured=f"{intent.plan.worst:+.2f}", limit=f"{lowest:+.2f}", why=why)
    return passing(NAME, CLASS, measured=mandate.id, limit=LIMIT, why=f"every bound of mandate {mandate.id} holds")


def _no(*, measured: str, limit: str, why: str) -> Finding:
    return blocking(NAME, CLASS, measured=measured, limit=limit, why=why, fits=0, next_step=BY_HAND)
