"""The broker must have no reason to refuse: buying power after the order is not negative.

Worked example: buying power 12,000 USD; three spreads would leave -2,400 USD, so each takes 4,800 USD: refused, 2 fit.
"""

from decimal import Decimal

from core.errors import Unavailable
from core.risk.exam import Exam, Finding, blocking, passing
from core.settings import Parameters, Setting

NAME = "buying_power"
CLASS = "hard"
PARAMETERS: tuple[Setting, ...] = ()
ZERO = Decimal(0)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Read the broker's preview."""
    preview = exam.preview
    if preview is None:
        raise Unavailable("margin preview", why="the broker did not answer")
    after = preview.buying_power_after
    if preview.refusal is not None or after < ZERO:
        fits = _fits(preview.buying_power_before, after, exam.intent.quantity)
        why = (
            f"{preview.source} would refuse: {preview.refusal}"
            if preview.refusal is not None
            else f"buying power would be {after:,.0f} USD"
        )
        return blocking(
            NAME,
            CLASS,
            measured=f"{after:,.0f} USD",
            limit="0 USD",
            fits=fits,
            why=f"{why}; {fits or 'none'} would fit",
            next_step=f"Ask for {fits}." if fits else "Close something, or choose a structure that needs less.",
        )
    return passing(NAME, CLASS, measured=f"{after:,.0f} USD", limit="0 USD", why=f"buying power after the order is {after:,.0f} USD")


def _fits(before: Decimal, after: Decimal, quantity: int) -> int:
    """Units by a straight line; one less where the broker refuses for a reason that is not money."""
    used = (before - after) / quantity
    if after >= ZERO or used <= ZERO or before <= ZERO:
        return 0
    return min(quantity - 1, int(before // used))
