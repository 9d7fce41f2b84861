"""The price must be near the market and possible at all.

Near: the worst price is at most max(0.10, 10%) worse than the natural price, at which the order would fill at once. Possible: nobody
receives more than a structure can ever owe, or pays more than it can ever be worth: a 50 wide spread is sold for 0 to 50.

Worked example: a spread with a natural credit of 3.00 may be worked down to 3.00 - 0.30 = 2.70; a worst price of 2.50 is refused. A
purchase to close whose natural is a debit of 0.40 may pay up to 0.50. A credit of 55 for a 50 wide spread is refused.

A reducing order without a natural price stands at the limit a person typed, as long as that price is possible.
"""

from decimal import Decimal

from core.domain.orders import Exits, Plan
from core.errors import Unavailable
from core.risk.exam import Exam, Finding, blocking, passing
from core.risk.examine import legs_payoff, net_multiplier
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "collar"
CLASS = "hard"
ON_REDUCING = True
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="band_points",
        kind=Kind.NUMBER,
        default=Decimal("0.10"),
        unit="points",
        help="the price may be this much worse than natural",
        loosens=Loosens.UP,
        low=Decimal(0),
        high=Decimal(10),
    ),
    Setting(
        name="band_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.10"),
        help="or this share of natural, whichever is more",
        loosens=Loosens.UP,
        low=Decimal(0),
        high=Decimal("0.5"),
    ),
)
ZERO = Decimal(0)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Compare the plan with what the structure can be worth, then with the natural price."""
    plan, natural = exam.intent.plan, exam.natural
    if isinstance(plan, Exits):
        why = "nothing is sent now; what the exit sends is judged then"
        return passing(NAME, CLASS, measured=f"{plan.start:.2f} to {plan.worst:.2f}", limit="when it is sent", why=why)
    lowest = None if natural is None else natural - _band(natural, parameters)
    absurd = _absurd(exam, plan, parameters, lowest)
    if absurd is not None:
        return absurd
    measured = f"{plan.start:.2f} to {plan.worst:.2f}"
    if natural is None or lowest is None:
        if exam.reducing:
            return passing(
                NAME, CLASS, measured=measured, limit="the person's own limit", why="there is no natural price; the typed limit stands"
            )
        raise Unavailable("natural price", why="a leg has no usable quote")
    if plan.worst < lowest:
        return blocking(
            NAME,
            CLASS,
            measured=f"{plan.worst:.2f}",
            limit=f"{lowest:.2f}",
            fits=0,
            next_step="Name a limit nearer to the market.",
            why=f"the worst price {_words(plan.worst)} is too far from the natural price {_words(natural)}; the limit is {_words(lowest)}",
        )
    return passing(NAME, CLASS, measured=measured, limit=f"{lowest:.2f}", why=f"the price stays near the natural price {_words(natural)}")


def _absurd(exam: Exam, plan: Plan, parameters: Parameters, lowest: Decimal | None) -> Finding | None:
    """Prices outside what the legs can owe or be worth at expiry; a reducing order gets the band on top, since quotes pass the bounds."""
    legs = exam.intent.legs
    payoff = legs_payoff(legs, 1, net_cash=ZERO)
    if payoff is None:
        return None
    per_point = net_multiplier(legs)
    if payoff.max_loss is not None:
        worst_case = min(payoff.at(corner) for corner in (ZERO, *(leg.strike for leg in payoff.legs if leg.strike is not None)))
        owed = -worst_case / per_point
        if plan.start > owed + (_band(owed, parameters) if exam.reducing else ZERO):
            why = (
                f"a price of {_words(plan.start)} is more than the structure can ever owe ({owed:.2f})"
                if owed > 0
                else (f"a price of {_words(plan.start)} would be received for something that never owes; it is at least paid {-owed:.2f}")
            )
            return _impossible(plan.start, owed, why)
    if payoff.max_profit is not None:
        worth = payoff.max_profit / per_point
        floor = -worth - (_band(worth, parameters) if exam.reducing else ZERO)
        if exam.reducing and lowest is not None:
            floor = min(floor, lowest)
        if plan.worst < floor:
            return _impossible(
                plan.worst, -worth, f"a price of {_words(plan.worst)} is more than the structure can ever be worth ({worth:.2f})"
            )
    return None


def _impossible(measured: Decimal, limit: Decimal, why: str) -> Finding:
    return blocking(
        NAME, CLASS, measured=f"{measured:.2f}", limit=f"{limit:.2f}", fits=0, why=why, next_step="Check the limit and its sign."
    )


def _band(price: Decimal, parameters: Parameters) -> Decimal:
    return max(parameters.number("band_points"), abs(price) * parameters.number("band_fraction"))


def _words(price: Decimal) -> str:
    return f"{price:.2f} credit" if price >= 0 else f"{-price:.2f} debit"
