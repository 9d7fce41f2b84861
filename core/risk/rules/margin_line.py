"""The line margin never crosses: 60% of net liquidation value (NLV). There is no override.

Worked example: NLV 100,000 USD, margin 58,000 USD. A spread that needs 5,000 USD makes 63%: refused, even where an owner lets the margin go
over 50%.
"""

from decimal import Decimal

from core.errors import Unavailable
from core.risk.exam import Exam, Finding, blocking, passing
from core.risk.usage import Stand, Use
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "margin_line"
CLASS = "hard"
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="max_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.60"),
        help="margin no order may exceed, of NLV",
        loosens=Loosens.UP,
        low=Decimal("0.05"),
        high=Decimal("0.80"),
    ),
)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Compare margin after the order with the line; what raises nothing passes."""
    worth, before, after = exam.before.net_liquidation, exam.before.margin, exam.after.margin
    if worth is None or before is None or after is None:
        raise Unavailable("margin in use", why="a price it needs is unknown")
    limit = parameters.number("max_fraction")
    measured = f"{after / worth:.0%}" if worth > 0 else "more than all"
    if after <= before or after <= worth * limit:
        return passing(
            NAME, CLASS, measured=measured, limit=f"{limit:.0%}", why=f"margin is {measured} of NLV, under the line of {limit:.0%}"
        )
    return blocking(
        NAME,
        CLASS,
        measured=measured,
        limit=f"{limit:.0%}",
        fits=_fits(exam, before, after, worth * limit),
        why=f"margin would be {measured} of NLV, over the hard line of {limit:.0%}, where positions are reduced",
        next_step="Close something first.",
    )


def use(stand: Stand, parameters: Parameters) -> tuple[Use, ...]:
    """Margin in use beside the hard line."""
    return (Use(rule=NAME, what="margin, hard line", used=stand.measures.margin, limit=stand.worth * parameters.number("max_fraction")),)


def _fits(exam: Exam, before: Decimal, after: Decimal, limit: Decimal) -> int:
    quantity = exam.intent.quantity
    return min(quantity - 1, max(0, int((limit - before) // ((after - before) / quantity))))
