"""A plan in words and figures, for cards and lists: what waits for what, in money. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.domain.orders import Envelope, Leg
from core.domain.plans import Bracket, Exits, Plan, Sliced, Slicing, StopTerms
from core.orders import standing as standings
from core.orders.standing import Standing, bracket_exits, closing_leg
from core.orders.states import Order
from core.reply import Fact, Facts, Format
from core.risk.examine import net_multiplier

WATCHED = "watched by the desk: it works only while the desk runs and is connected"
RESTS = "rests at the broker until it is filled or cancelled"
_STYLES = {Slicing.TWAP: "equal parts", Slicing.VWAP: "parts by the usual volume of the day", Slicing.ICEBERG: "one part at a time"}


def plan_facts(envelope: Envelope, *, entry: Decimal | None) -> Facts | None:
    """What a plan beyond a plain limit order does. `entry` is what a unit was opened for (+ received), where that is known."""
    plan = envelope.plan
    if isinstance(plan, Exits):
        return Facts(title="Exits", facts=tuple(_exits(plan, envelope.legs, entry)))
    if isinstance(plan, Bracket):
        legs = tuple(closing_leg(leg) for leg in envelope.legs)
        exits = bracket_exits(plan, entry=plan.start, legs=legs)
        first = Fact(label="for what fills", value=f"exits as if it filled at {_abs(plan.start)}", note="they follow the price it fills at")
        return Facts(title="Exits", facts=(first, *_exits(exits, legs, plan.start)))
    return Facts(title="In parts", facts=tuple(_parts(plan, envelope.quantity))) if isinstance(plan, Sliced) else None


def standing_words(item: Standing, orders: Mapping[str, Order]) -> str:
    """What a standing order waits for, in a sentence's part."""
    envelope = standings.child_envelope(item, orders)
    if item.ended is not None:
        return f"{item.ended}: {item.reason}"
    if envelope is None:
        return "waits for its entry to fill"
    plan = envelope.plan
    if isinstance(plan, Sliced):
        done = standings.filled(item, orders)
        return f"{done} of {item.envelope.quantity} filled, {_STYLES[plan.style]}"
    if not isinstance(plan, Exits):
        return plan_kind(plan)
    if plan.target is not None and item.role.value == "target":
        return f"closes at {_at(plan.target)}"
    assert plan.stop is not None
    level = plan.stop.level_now(best=item.best)
    kind = "trailing stop" if plan.stop.trail is not None else "stop"
    touched = f"touched at {_at(item.triggered_mid)}, {'closing' if item.children else 'nothing is sent yet'}"
    return f"{kind} when closing {_costs(level)}; {'waits' if item.triggered_at is None else touched}"


def plan_kind(plan: Plan) -> str:
    """One or two words for a kind of plan."""
    if isinstance(plan, Exits):
        return "target and stop" if plan.target is not None and plan.stop is not None else "target" if plan.stop is None else "stop"
    return "bracket" if isinstance(plan, Bracket) else f"{plan.style.value}" if isinstance(plan, Sliced) else "limit"


def _exits(plan: Exits, legs: tuple[Leg, ...], entry: Decimal | None) -> list[Fact]:
    facts = []
    per_point = net_multiplier(legs)
    if plan.target is not None:
        facts.append(_price("target", plan.target, entry, per_point, f"{_verb(plan.target)}; {RESTS}"))
    if plan.stop is not None:
        facts += _stop(plan.stop, plan.worst, entry, per_point)
    if plan.target is not None and plan.stop is not None:
        facts.append(Fact(label="together", value="whichever comes first ends the other"))
    return facts


def _stop(stop: StopTerms, worst: Decimal, entry: Decimal | None, per_point: int) -> list[Fact]:
    name = "trailing stop" if stop.trail is not None else "stop"
    facts = [_price(name, stop.level, entry, per_point, f"when closing {_costs(stop.level)}; {WATCHED}")]
    facts.append(_price("never beyond", worst, entry, per_point, "from mid to the natural price, no further than this"))
    if stop.trail is not None:
        facts.append(Fact(label="stays behind", value=stop.trail, format=Format.PRICE, unit="per share", note="of the best mid seen since"))
    if stop.scale is not None:
        least, most = (stop.scale.level(stop.level, stop.scale.iv * bound) for bound in (stop.scale.least, stop.scale.most))
        note = f"IV {stop.scale.iv:.1%} now; between {_abs(least)} and {_abs(most)}"
        facts.append(Fact(label="moves with volatility", value="yes", note=note))
    facts.append(Fact(label="is touched by", value="two fresh looks at the mid in a row", note="`config` shows how far apart and how wide"))
    return facts


def _price(label: str, net: Decimal, entry: Decimal | None, per_point: int, note: str) -> Fact:
    if entry is not None:
        result = (entry + net) * per_point
        note = f"{'profit' if result >= 0 else 'loss'} {abs(result):,.2f} USD each; {note}"
    return Fact(label=label, value=abs(net), format=Format.PRICE, unit="per share", note=note)


def _parts(plan: Sliced, quantity: int) -> list[Fact]:
    if plan.show:
        return [
            Fact(label="shown at a time", value=plan.show, format=Format.INTEGER, note=f"of {quantity}"),
            Fact(label="next part", value="when the one before is filled"),
        ]
    due = [
        standings.parts_due(plan, quantity, elapsed_seconds=part * standings.part_seconds(plan), filled_units=0)
        for part in range(len(plan.weights))
    ]
    sizes = [now - before for before, now in zip([0, *due[:-1]], due, strict=True)]
    minutes = Decimal(plan.seconds) / 60
    return [
        Fact(label="parts", value=" + ".join(str(size) for size in sizes), note=_STYLES[plan.style]),
        Fact(label="over", value=f"{minutes:.0f} minutes", note="each part walks from start to worst in its own time"),
        Fact(label="ends", value="with its session, with a halt, or with `cancel`", note=WATCHED),
    ]


def _verb(net: Decimal) -> str:
    return "buys back at this or less" if net <= 0 else "sells at this or more"


def _costs(net: Decimal) -> str:
    return f"costs {-net:.2f}" if net < 0 else f"brings {net:.2f}"


def _at(net: Decimal | None) -> str:
    return "" if net is None else f"{abs(net):.2f}{' received' if net > 0 else ''}"


def _abs(net: Decimal) -> str:
    return f"{abs(net):.2f}"

