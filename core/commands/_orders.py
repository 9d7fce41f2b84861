"""How an order stands, in words and tables: shared by `confirm` and `cancel`."""

from __future__ import annotations

from decimal import Decimal

from core.desk import Desk
from core.domain.events import Event, Filled
from core.domain.instruments import Instrument
from core.domain.money import CENT
from core.domain.orders import OrderState
from core.domain.structures import describe_legs
from core.orders.states import Order, Outcome
from core.reply import Block, Cell, Column, Fact, Facts, Format, Notice, Table, Tone
from core.risk.examine import net_multiplier


class Heard:
    """Collects the sequence numbers of the events that concern some orders (external ones by the broker's number), for a reply to cite."""

    def __init__(self, desk: Desk, *client_ids: str, standing: bool = False) -> None:
        """`standing`: the ids are those of standing orders, whose own orders count too."""
        self._client_ids = set(client_ids)
        self._standing = frozenset(client_ids) if standing else frozenset()
        self.seqs: list[int] = []
        self.stop = desk.listen(self)

    def __call__(self, event: Event, outcomes: tuple[Outcome, ...]) -> None:
        body = event.body
        client_id = body.fill.client_id if isinstance(body, Filled) else getattr(body, "client_id", getattr(body, "broker_ref", None))
        standing_id = getattr(body, "standing_id", None)
        if standing_id in self._standing and isinstance(client_id, str):
            self._client_ids.add(client_id)
        if client_id in self._client_ids or standing_id in self._standing:
            self.seqs.append(event.seq)


def order_blocks(order: Order) -> tuple[Block, ...]:
    """What happened to an order, whether it reached the broker, and its fills."""
    text, tone = state_words(order)
    blocks: list[Block] = [Notice(text=text, tone=tone), _facts(order)]
    if order.live_fills:
        blocks.append(_fills(order))
    return tuple(blocks)


def state_words(order: Order) -> tuple[str, Tone]:
    """An order's state as a sentence that says whether anything was sent."""
    done, asked, why = order.filled, order.quantity, f": {order.reason}" if order.reason else ""
    part = f"{done} of {asked} filled" if done else "nothing is filled"
    if order.uneven:
        part = f"{part}; the legs are filled UNEVENLY, see the fills"
    sentences = {
        OrderState.FILLED: (f"Filled: {done} of {asked}.", Tone.GOOD),
        OrderState.WORKING: (f"Sent and working; {part} yet.", Tone.INFO),
        OrderState.PARTIALLY_FILLED: (f"Sent and working; {part} so far.", Tone.INFO),
        OrderState.SUBMITTING: ("Recorded, and no answer of the broker is known yet.", Tone.WARNING),
        OrderState.PENDING_CANCEL: (f"Not yet cancelled: the broker was asked and has not said so; {part}.", Tone.WARNING),
        OrderState.CANCELLED: (f"Cancelled; {part}.", Tone.INFO),
        OrderState.EXPIRED: (f"Expired at the broker{why}; {part}.", Tone.INFO),
        OrderState.REJECTED: (f"Sent, and the broker rejected it{why}; {part}.", Tone.BAD),
        OrderState.DENIED: (f"Not sent{why}.", Tone.BAD),
        OrderState.UNKNOWN: (
            f"Whether the broker has it is unknown{why}. It is being found out; it is not sent again. Do not send it elsewhere.", Tone.BAD,
        ),
    }
    return sentences[order.state]


def order_ok(order: Order) -> bool:
    """False where the order did not come about or nobody knows."""
    return order.state not in (OrderState.DENIED, OrderState.REJECTED, OrderState.UNKNOWN)


def label_of(instrument: Instrument) -> str:
    """A contract as people read it."""
    return str(getattr(instrument, "label", instrument.key))


def _facts(order: Order) -> Facts:
    source = f"order {order.client_id}"
    facts = [
        Fact(label="order", value=order.client_id, note=order.broker_ref or "", source=source),
        Fact(label="state", value=order.state.value.replace("_", " "), source=source),
        Fact(label="structure", value=describe_legs(order.envelope.legs), note=order.envelope.strategy, source=source),
        Fact(label="quantity", value=order.quantity, format=Format.INTEGER, source=source),
        Fact(label="filled", value=order.filled, format=Format.INTEGER, source=source),
    ]
    if not order.state.terminal:
        note = "per share; + received, - paid"
        facts.append(Fact(label="limit now", value=order.limit, format=Format.PRICE, signed=True, note=note, source=source))
        facts.append(Fact(label="worst", value=order.envelope.plan.worst, format=Format.PRICE, signed=True, note=note, source=source))
    if order.live_fills:
        cash, fees = _cash(order), sum((fill.fees for fill in order.live_fills), Decimal(0))
        if not order.uneven and order.filled:
            price = cash / (net_multiplier(order.envelope.legs) * order.filled)
            words = "you received" if price >= 0 else "you paid"
            facts.append(Fact(label=words, value=abs(price).quantize(CENT / 100), format=Format.PRICE, unit="per share", source=source))
        note = "before commission"
        facts.append(Fact(label="in money", value=cash, format=Format.MONEY, unit="USD", signed=True, note=note, source=source))
        facts.append(Fact(label="commission", value=fees, format=Format.MONEY, unit="USD", source=source))
    return Facts(title=f"Order {order.client_id}", facts=tuple(facts))


def _cash(order: Order) -> Decimal:
    return sum((-fill.side.sign * fill.price * fill.quantity * fill.instrument.multiplier for fill in order.live_fills), Decimal(0))


def _fills(order: Order) -> Table:
    columns = (
        Column(title="side"), Column(title="qty", format=Format.INTEGER), Column(title="contract"),
        Column(title="price", format=Format.PRICE),
        Column(title="fees", format=Format.MONEY), Column(title="time", format=Format.TIME), Column(title="execution"),
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (fill.side.value, fill.quantity, label_of(fill.instrument), fill.price, fill.fees, fill.at, fill.exec_id)
        for fill in order.live_fills
    )
    return Table(title="Fills", columns=columns, rows=rows, source=f"order {order.client_id}")
