"""Invariants of what the desk does by itself: it stays inside the plan a person confirmed, or the mandate the owner granted.

The prices of a bracket's exits are worked out here a second time, from the fills the broker reported.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from core.domain.calendar import EXCHANGE
from core.domain.events import Event, MandateGranted, MandateOffered, StopTriggered, Submitting, TicketConfirmed
from core.domain.events import Role as StandingRole
from core.domain.mandates import Mandate
from core.domain.orders import Effect, Side
from core.domain.plans import Bracket, Exits, StopTerms
from tests.sim.checker import Checker
from tests.sim.exchange import Wire
from tests.sim.history import History, Sent, Told

STEP = Decimal("0.05")  # the widest price step there is here
HALF_SPREAD = Decimal("0.02")  # of a leg in this market
ZERO = Decimal(0)


class StandsInPlan(Checker):
    id = "1"
    says = "What a standing order sends lies inside its confirmed plan, waits for what it was to wait for, and never adds up to more."

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._triggered: set[str] = set()
        self._children: dict[str, list[str]] = {}

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, StopTriggered):
            self._triggered.add(body.standing_id)
            return self._touched(event, body)
        if isinstance(body, Submitting) and body.standing_id is not None:
            return self._child(body)
        return None

    def _touched(self, event: Event, body: StopTriggered) -> str | None:
        """A stop is touched by two looks, some seconds apart, that are both at its level or beyond it."""
        gap = timedelta(seconds=int(self.history.setting("desk.stop_gap_seconds", 30)))
        if body.standing_id not in self.history.standing or body.standing_id in self.history.disarmed:
            return f"{body.standing_id} is touched and does not stand"
        if max(body.mid, body.first_mid) > body.level:
            return f"{body.standing_id} is touched at {body.first_mid} and {body.mid}, its level is {body.level}"
        return f"{body.standing_id} is touched by looks at {body.first_at} and {event.at}" if event.at - body.first_at < gap else None

    def _child(self, body: Submitting) -> str | None:
        name, stands = f"{body.client_id} of {body.standing_id}", self.history.standing.get(str(body.standing_id))
        if stands is None or stands.ticket_id != body.ticket_id or stands.trade_id != body.trade_id:
            return f"{name} belongs to no such standing order"
        if stands.standing_id in self.history.disarmed:
            return f"{name} is sent after that had ended"
        if stands.role is StandingRole.STOP and stands.standing_id not in self._triggered:
            return f"{name} is sent before the stop was touched"
        parent = None if stands.parent is None else self.history.intents.get(stands.parent)
        most = stands.envelope.quantity if stands.parent is None else 0 if parent is None else parent.units
        siblings = [self.history.intents[other] for other in self._children.setdefault(stands.standing_id, [])]
        out = sum(other.submitting.quantity if other.live else other.units for other in siblings) + body.quantity
        self._children[stands.standing_id].append(body.client_id)
        if out > most:
            return f"{name} makes {out} units filled or working, {most} are covered"
        if parent is None:
            return f"{name} differs from the confirmed plan" if body.envelope != stands.envelope else self._priced(body, name, stands.role)
        return self._after(parent, body, name) or self._priced(body, name, stands.role)

    def _priced(self, body: Submitting, name: str, role: StandingRole) -> str | None:
        plan = body.envelope.plan
        if role is StandingRole.TARGET and isinstance(plan, Exits) and body.limit != plan.target:
            return f"{name} is sent at {body.limit}, its target is {plan.target}"
        return None if plan.worst <= body.limit <= plan.start else f"{name} is sent at {body.limit}, outside {plan.start} to {plan.worst}"

    def _after(self, parent: Sent, body: Submitting, name: str) -> str | None:
        """The exits of an entry: the opposite of its legs, at prices that follow from what it was filled at."""
        bracket, exits = parent.submitting.envelope.plan, body.envelope.plan
        opposite = {(leg.instrument.key, leg.side is Side.SELL, leg.ratio) for leg in parent.legs}
        legs = {(leg.instrument.key, leg.side is Side.BUY, leg.ratio) for leg in body.envelope.legs}
        entry = parent.price
        if not isinstance(bracket, Bracket) or not isinstance(exits, Exits) or entry is None:
            return f"{name} follows from no entry"
        if legs != opposite or any(leg.effect is not Effect.CLOSE for leg in body.envelope.legs):
            return f"{name} does not close what its entry opened"
        premium = abs(entry)
        if exits.target is not None and not _near(exits.target, -entry + (bracket.target_share or ZERO) * premium):
            return f"{name} has its target at {exits.target}, the entry was {entry}"
        if exits.stop is None:
            return None
        return self._stop(name, bracket, exits.stop, exits.worst, entry)

    def _stop(self, name: str, bracket: Bracket, stop: StopTerms, worst: Decimal, entry: Decimal) -> str | None:
        loss = (bracket.stop_multiple or bracket.trail_share or ZERO) * abs(entry)
        lowest = -entry - loss * (bracket.most if bracket.iv is not None else 1)
        guard = max(abs(-entry - loss) * bracket.guard_share, bracket.guard_least)
        if not _near(stop.level, -entry - loss):
            return f"{name} has its stop at {stop.level}, the entry was {entry}"
        return f"{name} may go to {worst}, beyond {lowest} and a guard of {guard}" if worst < lowest - guard - 2 * STEP else None


class Mandated(Checker):
    id = "1"
    says = "Nobody but the owner grants a mandate, by a press on its card; an order without a press lies inside one that is in force."

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._sent: dict[tuple[str, date], int] = {}

    def before_event(self, event: Event) -> str | None:
        body = event.body
        if isinstance(body, MandateGranted):
            return self._granted(event, body)
        if isinstance(body, TicketConfirmed) and body.mandate is not None:
            return self._confirmed(event, body, body.mandate)
        return None

    def _granted(self, event: Event, body: MandateGranted) -> str | None:
        name, offered = f"mandate {body.mandate.id}", self.history.offered.get(body.mandate.id)
        if offered is None:
            return f"{name} was granted and never offered"
        card, message = offered.event.body, self.history.messages.get(event.causation)
        assert isinstance(card, MandateOffered)
        wrong = [
            (body.mandate.id in self.history.granted, "was granted twice"),
            (card.mandate != body.mandate or card.card_hash != body.card_hash, "is not the one its card showed"),
            (not offered.event.at <= event.at < card.expires_at, "was granted outside the life of its card"),
            (offered.policy != self.history.policy, "was granted although a setting changed or something was halted since its card"),
            (message is None, "was granted by no message"),
            (message is not None and message.person.id != "owner", "was granted by somebody else than the owner"),
            (event.actor != "person:owner", f"was granted by {event.actor}"),
            (message is not None and (message.word, message.ticket) != ("grant", body.mandate.id), "was granted by another button"),
        ]
        return next((f"{name} {words}" for bad, words in wrong if bad), None)

    def _confirmed(self, event: Event, body: TicketConfirmed, mandate_id: str) -> str | None:
        name, mandate = f"{body.ticket_id} of mandate {mandate_id}", self.history.granted.get(mandate_id)
        if mandate is None:
            return f"{name}: there is no such mandate in force"
        told = self.history.tickets[body.ticket_id]
        day = (mandate_id, event.at.astimezone(EXCHANGE).date())
        self._sent[day] = self._sent.get(day, 0) + 1
        envelope = told.drafted.envelope
        wrong = [
            (event.actor != f"mandate:{mandate_id}", f"was confirmed by {event.actor}"),
            (bool(told.chats), "had been shown to somebody"),
            (event.at >= mandate.valid_until, "came after the mandate had run out"),
            (envelope.account != mandate.account, f"is for {envelope.account.id}"),
            (body.rule not in mandate.rules or event.causation != body.rule, f"was called for by {event.causation}"),
            (envelope.strategy not in mandate.strategies, f"is of {envelope.strategy}"),
            (mandate.symbols is not None and told.drafted.intent.underlying not in mandate.symbols, "is on another underlying"),
            (any(leg.effect is not Effect.CLOSE for leg in envelope.legs), "does not close"),
            (envelope.quantity > mandate.max_quantity, f"is for {envelope.quantity}"),
            (self._sent[day] > mandate.max_orders_per_day, f"is the {self._sent[day]}th of the day"),
            (any(self.history.settings.get(key, value) != value for key, value in mandate.terms.items()), "rests on other settings"),
        ]
        return next((f"{name} {words}" for bad, words in wrong if bad), None) or self._price(name, told, mandate)

    def _price(self, name: str, told: Told, mandate: Mandate) -> str | None:
        """Natural as this market quotes it, and what the mandate concedes beyond."""
        spread = HALF_SPREAD * sum(leg.ratio for leg in told.drafted.envelope.legs)
        natural = told.drafted.mid - spread
        concession = max(mandate.concession_points, abs(natural) * mandate.concession_fraction)
        worst = told.drafted.envelope.plan.worst
        return f"{name} goes to {worst}, natural is {natural}" if worst < natural - concession - 2 * STEP else None


class ClosedOnce(Checker):
    id = "11"
    says = "Orders that close never add up to more than is held of a contract, as the log knows it when they leave."

    def wire(self, wire: Wire) -> str | None:
        sent = self.history.intents.get(wire.client_id)
        if wire.kind != "submit" or sent is None or wire.order is None:
            return None
        held = self.history.ledgers[wire.account].held
        others = [other for other in self.history.working(wire.account) if other is not sent and other.wires]
        for leg in sent.legs:
            if leg.effect is not Effect.CLOSE:
                continue
            key, side = leg.instrument.key, leg.side
            working = sum(
                abs(other.left(item)) for other in others for item in other.legs
                if item.effect is Effect.CLOSE and (item.instrument.key, item.side) == (key, side)
            )  # fmt: skip
            have = -side.sign * held.get(key, (leg.instrument, 0))[1]
            if working + abs(sent.left(leg)) > max(have, 0):
                return f"{wire.client_id} closes {abs(sent.left(leg))} of {key}, {working} are being closed and {have} are held"
        return None


def _near(price: Decimal, wanted: Decimal) -> bool:
    """Moved to a price step in the person's favour, or not at all."""
    return -Decimal("0.000001") <= price - wanted < STEP
