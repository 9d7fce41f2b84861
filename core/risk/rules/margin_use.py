"""No entry lifts the margin in use over 50% of net liquidation value (NLV); from 45% on it is said.

Worked example: NLV 100,000 USD, margin 42,000 USD. A spread that needs 5,000 USD makes 47%: passes, with a warning. Two make 52%: refused,
1 fits.
"""

from decimal import Decimal

from core.errors import Unavailable
from core.risk.exam import Exam, Finding, blocking, passing
from core.risk.usage import Stand, Use
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "margin_use"
CLASS = "soft"
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="max_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.50"),
        help="margin after an entry, of NLV",
        loosens=Loosens.UP,
        low=Decimal("0.05"),
        high=Decimal("0.60"),
    ),
    Setting(
        name="warn_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.45"),
        help="margin that is warned of, of NLV",
        loosens=Loosens.UP,
        low=Decimal("0.05"),
        high=Decimal("0.60"),
    ),
)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Compare margin after the order with its share of NLV; what raises nothing passes."""
    worth, before, after = exam.before.net_liquidation, exam.before.margin, exam.after.margin
    if worth is None or before is None or after is None:
        raise Unavailable("margin in use", why="a price it needs is unknown")
    limit, measured = parameters.number("max_fraction"), _used(after, worth)
    if after <= before or after <= worth * limit:
        warned = after > worth * parameters.number("warn_fraction")
        why = f"margin in use is {measured} of NLV after the order" + (f", near the limit of {limit:.0%}" if warned else "")
        return passing(NAME, CLASS, measured=measured, limit=f"{limit:.0%}", why=why)
    fits = _fits(before, after, worth * limit, exam.intent.quantity)
    return blocking(
        NAME,
        CLASS,
        measured=measured,
        limit=f"{limit:.0%}",
        fits=fits,
        why=f"margin in use would be {measured} of NLV, over {limit:.0%}; {fits or 'none'} would fit",
        next_step=f"Ask for {fits}." if fits else "Close something first.",
    )


def use(stand: Stand, parameters: Parameters) -> tuple[Use, ...]:
    """Margin in use beside what entries may take it to."""
    return (Use(rule=NAME, what="margin for entries", used=stand.measures.margin, limit=stand.worth * parameters.number("max_fraction")),)


def _used(margin: Decimal, worth: Decimal) -> str:
    """Margin as a share of NLV, in words."""
    return f"{margin / worth:.0%}" if worth > 0 else "more than all"


def _fits(before: Decimal, after: Decimal, limit: Decimal, quantity: int) -> int:
    """Units that stay within a limit, by a straight line."""
    return min(quantity - 1, max(0, int((limit - before) // ((after - before) / quantity))))
