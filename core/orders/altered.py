"""Orders of the desk that somebody changed at the broker: at another price than was confirmed, or of another quantity. Pure.

The desk never sends outside a confirmation, so such an order was changed on the broker's own screen, or the broker has it wrong. What is
true of it is recorded as it is; a person hears of it, since nothing there is covered by what they pressed.

Worked example: 2 spreads sold from 1.25, never under 1.15, and the broker has the order at 1.05: told. At 1.20 the walk is where it may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from core.domain.structures import describe_legs
from core.orders.alarm import Alarm
from core.orders.states import Order
from core.ports import BrokerOrder


def other_price(order: Order) -> Alarm | None:
    """The alarm where an order stands at the broker outside its confirmed prices."""
    plan, limit = order.envelope.plan, order.limit
    if order.state.terminal or plan.worst <= limit <= plan.start:
        return None
    text = f"it stands at {limit:+.2f}, you confirmed {plan.start:+.2f} to {plan.worst:+.2f}"
    return _alarm(order, f"{limit:f}", text)


def other_quantities(live: Mapping[str, Order], reported: Iterable[BrokerOrder]) -> Iterator[Alarm]:
    """The alarms of live orders that the broker's books have with another quantity."""
    for item in reported:
        order = live.get(item.client_id or "")
        if order is not None and item.status.live and item.quantity != order.quantity:
            yield _alarm(order, f"x{item.quantity}", f"it is for {item.quantity}, you confirmed {order.quantity}")


def _alarm(order: Order, what: str, text: str) -> Alarm:
    name = order.client_id
    words = (
        f"Order {name} ({describe_legs(order.envelope.legs)}) is not what was confirmed: at the broker {text}. The desk sent no such "
        "thing; cancel it, or look at the broker's own screen."
    )
    buttons = {f"Cancel {name}": f"cancel {name}", "Positions": "positions"}
    return Alarm(key=f"altered:{name}:{what}", urgency="critical", text=words, buttons=buttons)
