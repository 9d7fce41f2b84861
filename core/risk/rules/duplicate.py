"""The same legs and quantity confirmed a moment ago are probably a second press, not a second order.

Worked example: 2 spreads are confirmed at 10:00:00. The same order at 10:00:40 is held back; the person may say that a second one is
meant, which passes. At 10:01:00 the limit of 60 seconds is over.
"""

from decimal import Decimal

from core.risk.exam import Exam, Finding, blocking, legs_key, passing
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "duplicate"
CLASS = "hard"
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="window_seconds",
        kind=Kind.INTEGER,
        default=60,
        unit="s",
        help="how long an identical order is held back",
        loosens=Loosens.DOWN,
        low=Decimal(0),
        high=Decimal(600),
    ),
)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Look for an identical confirmation within the window."""
    window = parameters.whole("window_seconds")
    key = legs_key(exam.intent)
    for item in exam.recent:
        age = (exam.now - item.at).total_seconds()
        if item.legs_key == key and item.quantity == exam.intent.quantity and age < window:
            if exam.second_order:
                return passing(
                    NAME, CLASS, measured="meant as a second order", limit=f"{window} s", why=f"identical to {item.ticket_id}, on purpose"
                )
            return blocking(
                NAME,
                CLASS,
                measured=f"{age:.0f} s ago",
                limit=f"{window} s",
                next_step="Say `second order` if another one is meant.",
                why=f"the same order was confirmed {age:.0f} s ago (ticket {item.ticket_id})",
            )
    return passing(NAME, CLASS, measured="none", limit=f"{window} s", why=f"no identical order in the last {window} s")
