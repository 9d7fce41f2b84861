"""What it costs to get in tells what it will cost to get out.

Two measures: the opening combo's half-spread, (mid - natural) / mid, and the spread of each leg sold to open. Never long wings, never an
order that closes. Up to 15% is good, 15 to 25% is told, over 25% is refused; so is a short leg with a spread over max(0.20, 5% of
mid).

Worked example: a spread with mid 1.00 and natural 0.80 costs 20%: passes, with a word. At natural 0.70 it costs 30%: refused. A short put
at 2.00 mid with a spread of 0.45 is too wide: 0.45 > max(0.20, 0.10).
"""

from decimal import Decimal

from core.domain.instruments import Option
from core.domain.money import from_market
from core.domain.orders import Effect, Side
from core.errors import Unavailable
from core.risk.exam import Exam, Finding, blocking, passing
from core.risk.measures import PRICE_STEP
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "liquidity"
CLASS = "soft"
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="max_relative",
        kind=Kind.FRACTION,
        default=Decimal("0.25"),
        help="half-spread of the combo, of its mid",
        loosens=Loosens.UP,
        low=Decimal("0.01"),
        high=Decimal(1),
    ),
    Setting(
        name="note_relative",
        kind=Kind.FRACTION,
        default=Decimal("0.15"),
        help="half-spread from which it is told",
        loosens=Loosens.UP,
        low=Decimal("0.01"),
        high=Decimal(1),
    ),
    Setting(
        name="max_points",
        kind=Kind.NUMBER,
        default=Decimal("0.20"),
        unit="points",
        help="spread of a short leg",
        loosens=Loosens.UP,
        low=Decimal("0.01"),
        high=Decimal(10),
    ),
    Setting(
        name="max_of_mid",
        kind=Kind.FRACTION,
        default=Decimal("0.05"),
        help="or this share of its mid, whichever is more",
        loosens=Loosens.UP,
        low=Decimal("0.001"),
        high=Decimal("0.5"),
    ),
)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Measure the short legs, then the combo."""
    if exam.intent.effect is Effect.CLOSE:
        return passing(NAME, CLASS, measured="closing", limit="entries only", why="liquidity is judged where something is opened")
    wide = _wide_short(exam, parameters)
    if wide is not None:
        return wide
    if exam.mid is None or exam.natural is None:
        raise Unavailable("price of the combo", why="a leg has no usable quote")
    most = parameters.number("max_relative")
    if exam.mid == 0:
        return _refused("mid 0.00", f"{most:.0%}", "the mid of the combo is 0.00, so its cost cannot be measured")
    cost = (exam.mid - exam.natural) / abs(exam.mid)
    measured = f"{cost:.1%}"
    if cost > most:
        return _refused(measured, f"{most:.0%}", f"getting in costs {measured} of the mid {exam.mid:.2f}, over {most:.0%}")
    grade = "acceptable" if cost >= parameters.number("note_relative") else "good"
    return passing(NAME, CLASS, measured=measured, limit=f"{most:.0%}", why=f"liquidity is {grade}: getting in costs {measured} of mid")


def _wide_short(exam: Exam, parameters: Parameters) -> Finding | None:
    for leg in exam.intent.legs:
        if leg.side is not Side.SELL or leg.effect is not Effect.OPEN or not isinstance(leg.instrument, Option):
            continue
        quote = exam.view.quote(leg.instrument)
        if not quote.state.usable:
            raise Unavailable(f"price of {leg.instrument.label}", why=quote.state.value)
        spread, mid = from_market(quote.spread, PRICE_STEP), from_market(quote.mid, PRICE_STEP)
        most = max(parameters.number("max_points"), mid * parameters.number("max_of_mid"))
        if spread > most:
            return _refused(
                f"{spread:.2f}", f"{most:.2f}", f"the spread of {leg.instrument.label} is {spread:.2f}, too wide; the limit is {most:.2f}"
            )
    return None


def _refused(measured: str, limit: str, why: str) -> Finding:
    return blocking(
        NAME, CLASS, measured=measured, limit=limit, fits=0, why=why, next_step="Choose a strike or expiry with a tighter market."
    )
