"""Standing orders: confirmed plans the desk carries out over time. Their life as a pure reducer, and what they allow.

A standing order never leaves for a broker itself. What leaves are ordinary orders made for it (its *children*), each inside the confirmed
envelope, each written ahead like any other; filled and working children together never exceed its quantity.

| from | by | to |
|---|---|---|
| - | Armed | armed |
| armed | StopMoved | armed (a trailing stop's level rose) |
| armed | StopTriggered | triggered |
| armed, triggered | Submitting (of a child) | the same; the child is counted |
| armed, triggered | Disarmed | ended (done, cancelled, refused, expired) |

Whatever comes after the end changes nothing; a fill of a child is counted by the child.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.domain.accounts import AccountId
from core.domain.events import Armed, Body, Disarmed, Role, StopMoved, StopTriggered, Submitting
from core.domain.instruments import Option, combo_tick
from core.domain.money import CENT, to_tick
from core.domain.orders import Effect, Envelope, Leg, Side, TimeInForce
from core.domain.plans import Bracket, Exits, Sliced, StopTerms, VolatilityScale, exit_price
from core.orders.states import Order

STANDING_BODIES = (Armed, StopMoved, StopTriggered, Disarmed)
ZERO, HALF, ONE = Decimal(0), Decimal("0.5"), Decimal(1)
ENDLESS = Decimal(10)  # a sale may bring at most this many times the present price


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One standing order, from its facts."""

    id: str
    role: Role
    ticket_id: str
    trade_id: str
    account: AccountId
    envelope: Envelope  # the confirmed one; of a bracket's exits the entry's
    envelope_hash: str
    armed_at: datetime
    parent: str | None = None  # the entry whose fills these exits belong to
    best: Decimal | None = None
    level: Decimal | None = None  # of a trailing stop, once it moved
    triggered_at: datetime | None = None
    triggered_mid: Decimal | None = None
    ended: str | None = None
    reason: str = ""
    children: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Still to be carried out."""
        return self.ended is None

    @property
    def closes(self) -> bool:
        """An exit, not an entry in parts."""
        return self.role is not Role.PARTS or all(leg.effect is Effect.CLOSE for leg in self.envelope.legs)

    @property
    def state(self) -> str:
        """armed, triggered, done, cancelled, refused or expired."""
        return self.ended or ("armed" if self.triggered_at is None else "triggered")


def step(standing: Standing | None, body: Body | Submitting, *, at: datetime) -> Standing | None:
    """Apply one event body; `None` is a standing order not seen yet. What does not concern it changes nothing."""
    if isinstance(body, Armed):
        return standing or _armed(body, at)
    if standing is None or standing.ended is not None:
        return standing
    if isinstance(body, StopMoved):
        return replace(standing, best=body.best, level=body.level)
    if isinstance(body, StopTriggered):
        return standing if standing.triggered_at else replace(standing, triggered_at=at, triggered_mid=body.mid)
    if isinstance(body, Submitting):
        return standing if body.client_id in standing.children else replace(standing, children=(*standing.children, body.client_id))
    if isinstance(body, Disarmed):
        return replace(standing, ended=body.outcome, reason=body.reason)
    return standing


def _armed(body: Armed, at: datetime) -> Standing:
    return Standing(
        id=body.standing_id, role=body.role, ticket_id=body.ticket_id, trade_id=body.trade_id, account=body.account,
        envelope=body.envelope, envelope_hash=body.envelope_hash, armed_at=at, parent=body.parent,
    )


def same_holding(envelope: Envelope, trade_id: str | None, item: Standing) -> bool:
    """Whether a plan for a trade concerns what a standing order closes: a common contract, of the same trade or both of none."""
    keys = {leg.instrument.key for leg in envelope.legs}
    shared = any(leg.instrument.key in keys for leg in item.envelope.legs)
    loose = trade_id is None and item.envelope.trade_id is None and item.parent is None
    return shared and (loose or item.trade_id == trade_id)


# --- what it allows ------------------------------------------------------------------------------------------------------


def child_envelope(standing: Standing, orders: Mapping[str, Order]) -> Envelope | None:
    """The envelope its children are sent in; None where a bracket's entry has filled nothing whole yet.

    A plan's own envelope for exits and parts; for a bracket the exits that follow from the average price its entry filled at.
    """
    plan = standing.envelope.plan
    if not isinstance(plan, Bracket):
        return standing.envelope
    parent = orders.get(standing.parent or "")
    entry = None if parent is None else net_filled(parent)
    if entry is None:
        return None
    legs = tuple(closing_leg(leg) for leg in standing.envelope.legs)
    exits = bracket_exits(plan, entry=entry, legs=legs)
    return replace(standing.envelope, legs=legs, plan=exits, tif=TimeInForce.GTC, trade_id=standing.trade_id, instead_of=())


def sent_range(standing: Standing, envelope: Envelope) -> tuple[Decimal, Decimal]:
    """(best, worst) price a child may carry."""
    plan = envelope.plan
    if isinstance(plan, Exits) and standing.role is Role.TARGET and plan.target is not None:
        return plan.target, plan.target
    return plan.start, plan.worst


def committed(standing: Standing, orders: Mapping[str, Order]) -> int:
    """Units of its children that are filled or may still fill."""
    found = (orders[name] for name in standing.children if name in orders)
    return sum(order.quantity if not order.state.terminal else order.filled for order in found)


def filled(standing: Standing, orders: Mapping[str, Order]) -> int:
    """Units of its children that are filled."""
    return sum(orders[name].filled for name in standing.children if name in orders)


def left_to_send(standing: Standing, orders: Mapping[str, Order]) -> int:
    """Units it may still send; 0 once it ended."""
    return max(0, standing.envelope.quantity - committed(standing, orders)) if standing.is_live else 0


def live_children(standing: Standing, orders: Mapping[str, Order]) -> tuple[Order, ...]:
    """Its orders that may still fill."""
    found = (orders[name] for name in standing.children if name in orders)
    return tuple(order for order in found if not order.state.terminal)


def covers(
    standing: Standing, orders: Mapping[str, Order], *, envelope: Envelope, limit: Decimal, quantity: int, confirmed_hash: str,
) -> str | None:
    """Why a child is outside the confirmation, None where it is inside. The gate asks this before it lets one through."""
    if standing.envelope.hash != standing.envelope_hash or standing.envelope_hash != confirmed_hash:
        return "the standing order differs from the one that was confirmed"
    own = child_envelope(standing, orders)
    if own is None or own != envelope:
        return "the order differs from what its standing order allows"
    best, worst = sent_range(standing, own)
    if not limit.is_finite() or not worst <= limit <= best:
        return f"limit {limit} is outside the confirmed {best} to {worst}"
    left = left_to_send(standing, orders)
    return None if 1 <= quantity <= left else f"{quantity} is more than the {left} still covered by {standing.id}"


# --- prices --------------------------------------------------------------------------------------------------------------


def closing_leg(leg: Leg) -> Leg:
    """The leg that closes what a leg opens."""
    return Leg(instrument=leg.instrument, side=Side.BUY if leg.side is Side.SELL else Side.SELL, effect=Effect.CLOSE, ratio=leg.ratio)


def net_filled(order: Order) -> Decimal | None:
    """Average net price per unit and share of what was filled evenly (+ received, - paid), None where nothing or an uneven part was.

    Shares beside options count as the part of a contract they are: bought at 290.00 with a call sold at 2.02, that is -287.98.
    """
    units = order.filled
    if not units or order.uneven:
        return None
    money = sum((-fill.side.sign * fill.price * fill.quantity * fill.instrument.multiplier for fill in order.live_fills), ZERO)
    return money / units / max(leg.instrument.multiplier for leg in order.envelope.legs)


def tick_of(legs: tuple[Leg, ...], price: Decimal) -> Decimal:
    """The price step of a structure at a net price."""
    options = tuple(leg.instrument for leg in legs if isinstance(leg.instrument, Option))
    return combo_tick(options, price) if len(options) == len(legs) else CENT


def on_step(legs: tuple[Leg, ...], price: Decimal, *, up: bool) -> Decimal:
    """A net price moved to the structure's price step."""
    return to_tick(price, tick_of(legs, price), up=up)


def bracket_exits(plan: Bracket, *, entry: Decimal, legs: tuple[Leg, ...]) -> Exits:
    """The exits of a bracket whose entry filled at a net price of `entry`.

    Example: filled at +1.20, half the credit to win, twice the credit to lose: target -0.60, stop -3.60, guard 0.90 (a quarter of 3.60),
    so at worst -4.50.
    """
    target = None if plan.target_share is None else on_step(legs, exit_price(entry, plan.target_share), up=True)
    loss = plan.stop_multiple if plan.stop_multiple is not None else plan.trail_share
    stop: StopTerms | None = None
    if loss is not None:
        level = on_step(legs, exit_price(entry, -loss), up=True)
        stop = StopTerms(
            level=level, guard=guard_of(legs, level, plan.guard_share, plan.guard_least),
            trail=None if plan.trail_share is None else plan.trail_share * abs(entry),
            scale=None if plan.iv is None else VolatilityScale(anchor=-entry, iv=plan.iv, least=plan.least, most=plan.most),
        )
    return exits_plan(legs, target=target, stop=stop, now=target if target is not None else -entry)


def exits_plan(legs: tuple[Leg, ...], *, target: Decimal | None, stop: StopTerms | None, now: Decimal) -> Exits:
    """The plan of a target, a stop or both, at a present net mid of `now`: its best and worst price follow."""
    if stop is None:
        if target is None:
            raise ValueError("an exit waits for a target, a stop or both")
        return Exits(start=target, worst=target, target=target)
    best = max(now, stop.level) if target is None else max(now, stop.level, target)
    if stop.trail is not None:
        best = max(best, -tick_of(legs, now) if now < 0 else now * ENDLESS)
    worst = on_step(legs, stop.lowest - stop.guard, up=False)
    return Exits(start=on_step(legs, best, up=True), worst=worst, target=target, stop=stop)


def guard_of(legs: tuple[Leg, ...], level: Decimal, share: Decimal, least: Decimal) -> Decimal:
    """How far beyond its level a stop may pay: the larger of a share of the level and a least amount, to the next price step."""
    return level - on_step(legs, level - max(abs(level) * share, least), up=False)


def parts_due(plan: Sliced, quantity: int, *, elapsed_seconds: float, filled_units: int) -> int:
    """Units that should be filled or working by now.

    TWAP and VWAP: part k of n becomes due when the k-1 parts before it had their share of the time; an iceberg shows `show` units beyond
    what is filled. Worked example: 10 units by TWAP in 4 parts over 20 minutes: 3 at once, 5 after 5 minutes, 8 after 10, 10 after 15.
    """
    if plan.show:
        return min(quantity, filled_units + plan.show)
    total, parts = sum(plan.weights, ZERO), len(plan.weights)
    reached = min(parts, max(0, int(elapsed_seconds * parts / plan.seconds)) + 1)
    share = sum(plan.weights[:reached], ZERO) / total
    return quantity if reached == parts else min(quantity, int(quantity * share + HALF))


def part_seconds(plan: Sliced) -> int:
    """How long one part of a timed order has before the next is due; 0 for an iceberg."""
    return plan.seconds // len(plan.weights) if plan.weights else 0


def volume_curve(start_minute: int, minutes: int, parts: int) -> tuple[Decimal, ...]:
    """Relative volume of each of `parts` equal intervals from `start_minute` after the open on: U-shaped over a 390-minute session.

    An assumption, not a measurement: volume per minute falls from 2.2 times the midday level at the open to it in the middle and rises
    to 1.9 times at the close, as a parabola on either side of minute 210.
    """
    middle, length, width = Decimal(210), Decimal(390), Decimal(minutes) / parts

    def per_minute(minute: Decimal) -> Decimal:
        if minute <= middle:
            return ONE + Decimal("1.2") * ((middle - minute) / middle) ** 2
        return ONE + Decimal("0.9") * ((minute - middle) / (length - middle)) ** 2

    return tuple(round(per_minute(start_minute + width * (part + HALF)), 3) for part in range(parts))
