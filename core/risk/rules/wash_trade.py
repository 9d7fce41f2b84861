"""Never an order that could trade with one's own: the other side of a contract that an own order is working, in any account.

Buying and selling the same contract for one person moves no ownership and is forbidden. Orders whose prices cannot meet pass: the same
structure the other way round at a worse price, such as a spread being sold at 1.20 and a target that buys it back at 0.60. A closing
order that finds its own resting exit in the way is sent after that one is cancelled, so it passes here.

Worked example: an order to buy back the 480 put works at 1.00. Selling another 480 put at 0.95 could meet it and is refused; `cancel`
first, or send both as one order. An order of one's own that was entered at the broker's screen counts like any other.
"""

from decimal import Decimal

from core.domain.instruments import Option
from core.domain.orders import Intent, Leg, Side
from core.orders.states import Order
from core.risk.exam import Exam, Finding, blocking, passing
from core.settings import Parameters, Setting

NAME = "wash_trade"
CLASS = "hard"
ON_REDUCING = True
PARAMETERS: tuple[Setting, ...] = ()


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Compare each leg with the live orders of every account."""
    intent = exam.intent
    for order in (*exam.book.live.values(), *exam.elsewhere):
        if order.client_id in intent.instead_of or (exam.standing is not None and order.standing_id == exam.standing):
            continue
        leg = _meeting(intent, order.envelope.legs)
        if leg is not None and not _far(intent, order.envelope.legs, min(order.limit, _lowest(order))):
            return _refused(leg, f"order {order.client_id}", order.client_id)
    for stranger in exam.strangers:
        leg = _meeting(intent, stranger.legs or ())
        if leg is not None and not _far(intent, stranger.legs or (), stranger.limit):
            return _refused(leg, f"EXTERNAL order {stranger.broker_ref}", stranger.broker_ref)
    return passing(NAME, CLASS, measured="none", limit="no own order on the other side", why="no own order works on the other side")


def _refused(leg: Leg, name: str, number: str) -> Finding:
    contract = leg.instrument.label if isinstance(leg.instrument, Option) else leg.instrument.key
    other = (Side.SELL if leg.side is Side.BUY else Side.BUY).value
    return blocking(
        NAME, CLASS, measured=f"{other} {contract} works", limit="no own order on the other side", fits=0,
        why=f"this would {leg.side.value} {contract} while {name} works to {other} it; they could trade together",
        next_step=f"`cancel {number}` first, or wait until it is done.",
    )


def _meeting(intent: Intent, legs: tuple[Leg, ...]) -> Leg | None:
    """The first leg whose contract another order trades the other way."""
    sides = {leg.instrument.key: leg.side for leg in legs}
    return next((leg for leg in intent.legs if sides.get(leg.instrument.key, leg.side) is not leg.side), None)


def _far(intent: Intent, legs: tuple[Leg, ...], lowest: Decimal) -> bool:
    """Whether one is the other the opposite way round, at prices that cannot meet: what one pays is less than what the other asks."""
    mine = {(leg.instrument.key, leg.ratio): leg.side for leg in intent.legs}
    theirs = {(leg.instrument.key, leg.ratio): leg.side for leg in legs}
    if mine.keys() != theirs.keys() or any(mine[key] is theirs[key] for key in mine):
        return False
    return intent.plan.worst + lowest > 0


def _lowest(order: Order) -> Decimal:
    """The lowest net price an order may come to: its present one where a standing order prices it, else the end of its walk."""
    return order.limit if order.standing_id is not None else order.envelope.plan.worst
