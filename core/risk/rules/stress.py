"""The book must survive a crash: its worst scenario costs at most 20% of net liquidation value (NLV); over 15% it is said.

Scenarios: -3%/VIX +5, -5%/+10, -10%/+20, -20%/+40, 0%/VIX x2, every contract repriced. Live opening orders count as filled. A
contract without a volatility enters at its worst plausible value. An order that does not raise the worst loss passes, even where the
book is over.

Worked example: NLV 100,000 USD, worst loss 14,000 USD. Two spreads that lose 1,900 USD each make 17,800 USD: passes, with a warning.
Four make 21,600 USD: refused, 3 fit.
"""

from decimal import Decimal

from core.domain.money import from_market
from core.errors import Unavailable
from core.risk.exam import Exam, Finding, blocking, passing
from core.risk.usage import Stand, Use
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "stress"
CLASS = "soft"
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="max_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.20"),
        help="worst stress loss after an entry, of NLV",
        loosens=Loosens.UP,
        low=Decimal("0.01"),
        high=Decimal(1),
    ),
    Setting(
        name="warn_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.15"),
        help="worst stress loss that is warned of, of NLV",
        loosens=Loosens.UP,
        low=Decimal("0.01"),
        high=Decimal(1),
    ),
)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Compare the worst loss before and after."""
    worth = exam.before.net_liquidation
    if worth is None:
        raise Unavailable("net liquidation value", why="a position has no usable price")
    if exam.before.stress_loss_usd is None or exam.after.stress_loss_usd is None:
        raise Unavailable("stress loss", why="the price of an underlying is unknown")
    before, after = from_market(exam.before.stress_loss_usd), from_market(exam.after.stress_loss_usd)
    limit = worth * parameters.number("max_fraction")
    measured, most = f"{after:,.0f} USD", f"{limit:,.0f} USD"
    unmarked = f" (worst assumed for {', '.join(exam.after.unmarked)})" if exam.after.unmarked else ""
    words = f"{exam.after.stress_scenario} would cost {measured}{unmarked}"
    if after <= limit or after <= before:
        over = after > worth * parameters.number("warn_fraction")
        return passing(NAME, CLASS, measured=measured, limit=most, why=f"{words}, {'near' if over else 'under'} the limit of {most}")
    fits = min(exam.intent.quantity - 1, max(0, int((limit - before) // ((after - before) / exam.intent.quantity))))
    return blocking(
        NAME,
        CLASS,
        measured=measured,
        limit=most,
        fits=fits,
        why=f"{words}, over {most}; {fits or 'none'} would fit",
        next_step=f"Ask for {fits}." if fits else "Close or hedge something first.",
    )


def use(stand: Stand, parameters: Parameters) -> tuple[Use, ...]:
    """The worst scenario's loss beside its share of NLV."""
    loss = stand.measures.stress_loss_usd
    used = None if loss is None else from_market(loss)
    limit = stand.worth * parameters.number("max_fraction")
    return (Use(rule=NAME, what="worst stress loss", used=used, limit=limit, note=stand.measures.stress_scenario if used else ""),)
