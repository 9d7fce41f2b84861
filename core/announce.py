"""What a person is told without asking: one stored event becomes one announcement, or none. Pure.

Every sentence speaks of something that is durable; `cites` names the event. Announcements with the same key are the same news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from core.autonomy import exit_key
from core.domain.calendar import EXCHANGE
from core.domain.events import (
    Adjusted,
    AlertRaised,
    CashMoved,
    CorporateAction,
    Disarmed,
    Event,
    ExitDue,
    ExternalOrder,
    Filled,
    KillChecked,
    KilledOrder,
    MandateGranted,
    MandateRevoked,
    MarginCalled,
    Mode,
    ModeSet,
    OrderAcknowledged,
    OrderEnded,
    OrderUnknown,
    Reconciled,
    Replaced,
    ReplaceRefused,
    Role,
    ScopeKind,
    Settled,
    StopTriggered,
    TicketConfirmed,
)
from core.domain.instruments import Option
from core.domain.money import ZERO
from core.domain.orders import Fill
from core.domain.structures import Trade, describe_legs
from core.orders.standing import net_filled as net_filled
from core.orders.states import Order, Outcome
from core.portfolio.book import Books
from core.portfolio.whose import addressed, named, whose
from core.reply import Action, Block, Fact, Facts, Format, Notice, Reply, Tone


class Urgency(StrEnum):
    """How loud: critical breaks quiet hours."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """News for a person."""

    key: str
    urgency: Urgency
    blocks: tuple[Block, ...]
    actions: tuple[Action, ...] = ()
    cites: tuple[int, ...] = ()
    ticket: str = ""  # a ready ticket: its card is shown in place of the blocks, with these actions after its own

    @property
    def reply(self) -> Reply:
        """The same as a reply, for rendering."""
        return Reply(blocks=self.blocks, actions=self.actions, cites=self.cites, data={"ticket": self.ticket} if self.ticket else {})


_TONES = {Urgency.LOW: Tone.INFO, Urgency.MEDIUM: Tone.INFO, Urgency.HIGH: Tone.WARNING, Urgency.CRITICAL: Tone.BAD}
_SETTLED_WORDS = {
    "expired": "expired worthless", "cash_settled": "was settled in cash", "exercised": "was exercised", "assigned": "was assigned",
}
_LOOK = (Action(label="Resume", line="resume"), Action(label="Status", line="status"))
_QUIET_ENDS = frozenset({"cancelled"})
_MODE_WORDS = {
    Mode.PAUSED: "PAUSED: no new entries; exits go on",
    Mode.REDUCING: "REDUCING: only orders that reduce risk are sent",
    Mode.HALT: "HALTED: nothing is sent but cancels and closing orders you confirm one by one",
    Mode.RECOVERY: "RECOVERY: read-only, nothing is sent",
    Mode.STANDBY: "STANDBY: another process owns the database",
}


def announce(event: Event, outcomes: Sequence[Outcome], books: Books) -> Announcement | None:
    """The news in an event. `outcomes` are what the event brought for its order, `books` the state after its whole batch.

    Whatever is told of an order that a mandate sent carries the button that revokes it. With several accounts it says whose it is.
    """
    news = _told(event, outcomes, books)
    return None if news is None else _owned(_revocable(news, event, books), event, books)


def _owned(news: Announcement, event: Event, books: Books) -> Announcement:
    owner = whose([book.account for book in books.accounts.values()], event.stream)
    if owner is None:
        return news
    first, *rest = news.blocks
    if isinstance(first, Notice):
        first = replace(first, text=named(first.text, owner))
    actions = tuple(replace(action, line=addressed(action.line, owner)) for action in news.actions)
    return replace(news, blocks=(first, *rest), actions=actions)


def came_to(event: Event, books: Books) -> tuple[Outcome, ...]:
    """What an event of the past came to for its order, judged by how things stand now: for news nobody heard when it was stored."""
    order = books.order(getattr(event.body, "client_id", None) or "")
    unknown = isinstance(event.body, OrderUnknown) and order is not None and order.unknown
    return (Outcome.FILLED, Outcome.ENDED, *((Outcome.UNKNOWN,) if unknown else ()))


def _told(event: Event, outcomes: Sequence[Outcome], books: Books) -> Announcement | None:
    body = event.body
    if isinstance(body, Filled):
        return _filled(event, body, outcomes, books)
    if isinstance(body, OrderEnded):
        return _ended(event, body, books) if Outcome.ENDED in outcomes else None
    if isinstance(body, OrderUnknown):
        return _unknown(event, body, books) if Outcome.UNKNOWN in outcomes else None
    if isinstance(body, ReplaceRefused):
        text = f"The broker refused the new price of order {body.client_id} ({body.reason}); the order stays at {body.limit:.2f}."
        return _news(event, f"refused:{body.client_id}:{body.limit}", Urgency.MEDIUM, text)
    if isinstance(body, StopTriggered | Disarmed):
        return _standing(event, body, books)
    if isinstance(body, Settled):
        return _settled(event, body)
    if isinstance(body, CorporateAction):
        return _action(event, body, books)
    if isinstance(body, MarginCalled):
        return _called(event, body)
    if isinstance(body, CashMoved):
        return _paid(event, body)
    if isinstance(body, AlertRaised):
        return _alert(event, body)
    if isinstance(body, ExternalOrder):
        return _external(event, body)
    if isinstance(body, OrderAcknowledged):
        return _held(event, body, books) if body.held else None
    if isinstance(body, Adjusted):
        return _adjusted(event, body)
    if isinstance(body, ModeSet):
        return _mode(event, body)
    if isinstance(body, ExitDue):
        return _exit_due(event, body, books)
    if isinstance(body, TicketConfirmed):
        return _acted(event, body, books) if body.mandate is not None else None
    if isinstance(body, MandateGranted | MandateRevoked):
        return _mandate(event, body)
    if isinstance(body, KillChecked):
        return _kill_checked(event, body, books)
    return _reconciled(event, body) if isinstance(body, Reconciled) else None


def _filled(event: Event, body: Filled, outcomes: Sequence[Outcome], books: Books) -> Announcement | None:
    fill = body.fill
    order = _order_of(fill, books)
    if order is None:
        what = f"{fill.side.value} {fill.quantity} {_name(fill.instrument)} at {fill.price:.2f}"
        if fill.corrects is not None:
            what = f"one of {_name(fill.instrument)} never happened" if fill.busted else f"corrected to {what}"
        said = f" The broker says: {_sentence(fill.note)}" if fill.note else ""
        text = f"EXTERNAL fill, not an order of this desk: {what}.{said}"
        return _news(event, f"external:{fill.account}:{fill.exec_id}", Urgency.HIGH, text)
    counts = "/".join(str(count) for _, count in sorted(order.filled_contracts.items()))
    if order.overfilled:
        text = f"Order {order.client_id} filled more than the confirmed {order.quantity}. Its instruments are halted; look at `positions`."
        return _news(event, f"overfill:{order.client_id}:{counts}", Urgency.CRITICAL, text)
    if order.uneven:
        return _uneven(event, order, counts)
    if {Outcome.FILLED, Outcome.PARTIAL} & set(outcomes):
        return _even(event, body, order)
    return _corrected(event, fill, order, counts, books) if fill.corrects is not None else None


def _order_of(fill: Fill, books: Books) -> Order | None:
    """The order an execution belongs to; one that another account's broker names is none of it."""
    order = books.order(fill.client_id or "")
    return None if order is None or order.account != fill.account else order


def _corrected(event: Event, fill: Fill, order: Order, counts: str, books: Books) -> Announcement:
    """What was told as filled is so no more, or at another price; exits that ended with that fill do not come back by themselves."""
    what, price = f"order {order.client_id} ({describe_legs(order.envelope.legs)})", net_filled(order)
    at = "" if price is None else f" at {abs(price):.2f}{f' ({said})' if (said := _direction(price)) else ''}"
    done = f"{order.filled} of {order.quantity} are filled now{at}."
    if not fill.busted:
        text = f"The broker corrected an execution of {what}: {done}"
        return _news(event, f"corrected:{order.client_id}:{counts}:{price}", Urgency.MEDIUM, text)
    book = books.accounts[order.account]
    exits = [item for item in book.standing.values() if item.trade_id == order.trade_id and item.closes]
    unwatched = bool(exits) and not any(item.is_live for item in exits) and order.trade_id in book.holding
    text = f"The broker took an execution of {what} back, it never happened: {done}"
    text += " Its target and stop ended with that fill: nothing watches this trade now." if unwatched else ""
    actions = (Action(label="Positions", line="positions"),)
    return _news(event, f"busted:{order.client_id}:{counts}", Urgency.HIGH, text, actions=actions)


def _even(event: Event, body: Filled, order: Order) -> Announcement:
    complete = order.filled >= order.quantity
    words = f"Filled {order.filled} of {order.quantity}" if not complete else f"Filled: {order.filled} x"
    price = net_filled(order)
    facts = [Fact(label="net price", value=price, format=Format.PRICE, unit="per share", note=_direction(price))]
    if body.mid_at_decision is not None and price is not None:
        against = price - body.mid_at_decision
        facts.append(Fact(label="against mid at decision", value=against, format=Format.PRICE, unit="per share", signed=True))
    if body.mid_at_arrival is not None and body.mid_at_arrival != body.mid_at_decision and price is not None:
        against = price - body.mid_at_arrival
        facts.append(Fact(label="against mid at arrival", value=against, format=Format.PRICE, unit="per share", signed=True))
    fees = sum((fill.fees for fill in order.live_fills), ZERO)
    facts.append(Fact(label="commission and fees", value=fees, format=Format.MONEY, unit="USD"))
    late = " It came after the order had ended." if order.ended else ""
    notice = Notice(text=f"{words} {describe_legs(order.envelope.legs)} (order {order.client_id}).{late}", tone=Tone.GOOD)
    return Announcement(
        key=f"fill:{order.client_id}:{order.filled}", urgency=Urgency.MEDIUM, blocks=(notice, Facts(facts=tuple(facts))), cites=(event.seq,)
    )


def _uneven(event: Event, order: Order, counts: str) -> Announcement:
    """One leg without its partners: maybe a naked short. Judged on the state after the batch, so a combo's legs do not ring one by one."""
    legs = ", ".join(
        f"{leg.side.value} {_name(leg.instrument)} {order.filled_contracts[leg.instrument.key]} of {order.quantity * leg.ratio}"
        for leg in order.envelope.legs
    )
    text = f"Order {order.client_id} filled unevenly: {legs}. What is held now is not the structure you confirmed and may be uncovered."
    close = Action(label="Close this position", line=f"close position_id={order.trade_id}", style="danger")
    rest = Action(label="Cancel the rest", line=f"cancel order_id={order.client_id}", style="danger")
    actions = (close,) if order.state.terminal else (rest, close)
    return _news(event, f"uneven:{order.client_id}:{counts}", Urgency.CRITICAL, text, actions=actions)


def _ended(event: Event, body: OrderEnded, books: Books) -> Announcement | None:
    order = books.order(body.client_id)
    if order is None:
        return None
    filled = f"{order.filled} of {order.quantity} were filled" if order.filled else "nothing was filled"
    words = {"denied": "was not sent", "rejected": "was rejected by the broker", "expired": "has expired"}
    who = words.get(body.outcome, f"is {body.outcome}")
    why = f" {_sentence(body.reason[:1].upper() + body.reason[1:])}" if body.reason else ""
    text = f"Order {body.client_id} ({describe_legs(order.envelope.legs)}) {who}; {filled}.{why}"
    urgency = Urgency.LOW if body.outcome in _QUIET_ENDS else Urgency.HIGH if order.reducing else Urgency.MEDIUM
    return _news(event, f"end:{body.client_id}", urgency, text)


def _unknown(event: Event, body: OrderUnknown, books: Books) -> Announcement:
    order = books.order(body.client_id)
    what = "" if order is None else f" ({describe_legs(order.envelope.legs)})"
    text = (
        f"Nobody knows whether the broker has order {body.client_id}{what}: {body.reason}. "
        "The desk is finding out and sends nothing in its place; please do not enter it again."
    )
    return _news(event, f"unknown:{event.seq}", Urgency.HIGH, text)


def _standing(event: Event, body: StopTriggered | Disarmed, books: Books) -> Announcement | None:
    item = books.find_standing(body.standing_id)
    if item is None:
        return None
    what = f"{item.role.value if item.role is not Role.PARTS else 'order in parts'} {item.id} of {describe_legs(item.envelope.legs)}"
    if isinstance(body, StopTriggered):
        costs = f"costs {-body.mid:.2f}" if body.mid < 0 else f"brings {body.mid:.2f}"
        text = (
            f"The {what} is touched: closing {costs} now, the stop is {abs(body.level):.2f}. "
            "The closing order comes next, unless the desk is halted."
        )
        return _news(event, f"triggered:{item.id}", Urgency.HIGH, text)
    if body.outcome in ("done", "replaced"):
        return None  # the fills, or the press that armed another one, said so
    quiet = body.outcome == "cancelled"
    return _news(
        event, f"disarmed:{item.id}", Urgency.LOW if quiet else Urgency.HIGH,
        f"The {what} is over ({body.outcome}): {_sentence(body.reason)}"
        + ("" if quiet or not item.closes else " Nothing watches this trade in its place."),
    )


def _settled(event: Event, body: Settled) -> Announcement:
    name = _name(body.instrument)
    count = abs(body.quantity)
    about = body.instrument.underlying if isinstance(body.instrument, Option) else name
    value = "" if body.value is None else f"; {about} at {body.value:,.2f}"
    said = f" {_sentence(body.note[:1].upper() + body.note[1:])}" if body.note else ""
    text = f"{count} x {name} {_SETTLED_WORDS.get(body.outcome, body.outcome)}{value}.{said}"
    facts = []
    if body.shares:
        facts.append(Fact(label=f"shares of {body.share_symbol}", value=body.shares, format=Format.INTEGER, signed=True))
    if body.cash or body.outcome != "expired":
        facts.append(Fact(label="cash", value=body.cash, format=Format.MONEY, unit="USD", signed=True))
    if body.fees:
        facts.append(Fact(label="fees", value=body.fees, format=Format.MONEY, unit="USD"))
    urgency = Urgency.HIGH if body.outcome == "assigned" else Urgency.MEDIUM
    blocks: tuple[Block, ...] = (Notice(text=text, tone=_TONES[urgency]), *((Facts(facts=tuple(facts)),) if facts else ()))
    return Announcement(key=f"settle:{body.account}:{body.settlement_id}", urgency=urgency, blocks=blocks, cites=(event.seq,))


def _held(event: Event, body: OrderAcknowledged, books: Books) -> Announcement:
    order = books.order(body.client_id)
    what = "" if order is None else f" ({describe_legs(order.envelope.legs)})"
    why = f": {body.reason}" if body.reason else ""
    text = f"Order {body.client_id}{what} is held at the broker{why}. It does not work now, may fill later and is counted in risk."
    return _news(event, f"held:{body.client_id}", Urgency.MEDIUM, text)


def _external(event: Event, body: ExternalOrder) -> Announcement:
    what = body.description or ("of unknown legs" if body.legs is None else f"{body.quantity} x {describe_legs(body.legs)}")
    done = f", {body.filled} of {body.quantity} filled" if body.filled else ""
    key = f"external:{body.account}:{body.broker_ref}:{body.status}:{body.filled}:{body.limit}"
    if not body.live:
        over = "is not in the broker's books any more" if body.status == "gone" else f"is {body.status}"
        return _news(event, key, Urgency.LOW, f"The EXTERNAL order {body.broker_ref} ({what}) {over}{done}.")
    text = f"EXTERNAL order at the broker, not this desk's: {body.broker_ref}, {what}, limit {body.limit:+.2f}{done}, {body.status}."
    if body.legs is None:
        text += " The broker does not say what it trades, so entries wait until it is over."
    else:
        text += " It is counted in risk and is not cancelled unless you say so."
    cancel = Action(label=f"Cancel {body.broker_ref} at the broker", line=f"cancel order_id={body.broker_ref}", style="danger")
    return _news(event, key, Urgency.HIGH, text, actions=(cancel,))


def _adjusted(event: Event, body: Adjusted) -> Announcement:
    what = "" if body.instrument is None else f"{body.quantity:+d} {_name(body.instrument)}"
    shares = f"{body.shares:+d} {body.share_symbol}" if body.shares else ""
    cash = f"{body.cash:+,.2f} USD" if body.cash else ""
    booked = ", ".join(part for part in (what, shares, cash) if part)
    text = f"{body.person} booked on the broker's word: {booked} ({body.reason})."
    return _news(event, f"adjusted:{body.account}:{body.adjustment_id}", Urgency.MEDIUM, text)


def _action(event: Event, body: CorporateAction, books: Books) -> Announcement:
    """What became of each holding. Plans for it ended, and nobody watches in their place: that is critical."""
    book = books.accounts[body.account]
    keys = {line.instrument.key for line in body.lines}
    over = [item for item in book.standing.values() if item.ended == "adjusted" and item.reason == body.words]
    working = [order for order in book.orders.values() if any(leg.instrument.key in keys for leg in order.envelope.legs) and order.leaves]
    facts = tuple(Fact(label=_held_words(line), value=_became_words(line)) for line in body.lines)
    text = f"{body.words[:1].upper()}{body.words[1:]}: what you hold was replaced, at the same cost and value."
    ended = [*(f"{item.role.value} {item.id}" for item in over), *(f"order {order.client_id}" for order in working)]
    mandate = f"any mandate that covered {body.symbol}"
    plans = f" Over with it: {', '.join(ended)} and {mandate}; their prices were of the old terms."
    text += plans if ended else f" With it {mandate} is over."
    if any(item.closes for item in over):
        text += " Nothing watches these positions now; set the exits anew."
    loud = Urgency.CRITICAL if ended else Urgency.HIGH
    blocks = (Notice(text=text, tone=_TONES[loud]), Facts(facts=facts))
    actions = (Action(label="Show positions", line="positions"),)
    return Announcement(key=f"action:{body.account}:{body.action_id}", urgency=loud, blocks=blocks, actions=actions, cites=(event.seq,))


def _held_words(line: Replaced) -> str:
    return f"{line.quantity:+d} {_name(line.instrument)}"


def _became_words(line: Replaced) -> str:
    item = line.successor
    if not line.becomes:
        return f"paid out, {line.cash:+,.2f} USD"
    of = f" for {item.shares} shares" if isinstance(item, Option) and not item.is_standard else ""
    cash = f", {line.cash:+,.2f} USD for the rest" if line.cash else ""
    return f"{line.becomes:+d} {_name(item)}{of}{cash}"


def _called(event: Event, body: MarginCalled) -> Announcement:
    """How much, until when, and what happens then."""
    key = f"call:{body.account}:{body.call_id}"
    if not body.amount:
        return _news(event, key, Urgency.MEDIUM, f"The margin call of {body.account.id} is met: {_sentence(body.reason)}")
    due = "AT ONCE" if body.due_at is None else f"by {body.due_at.astimezone(EXCHANGE):%a %d %b %H:%M} ET"
    text = (
        f"MARGIN CALL at {body.account.id}: {body.amount:,.2f} USD are missing, {due}. {_sentence(body.reason)} "
        "Close positions or bring money; else the broker closes positions itself, at the market and in its own order."
    )
    actions = (Action(label="Show positions", line="positions"),)
    return _news(event, key, Urgency.CRITICAL, text, actions=actions)


def _paid(event: Event, body: CashMoved) -> Announcement | None:
    """A dividend; other movements are what a person did or the broker's statement says."""
    if not body.symbol or not body.quantity:
        return None
    each = abs(body.amount / body.quantity)
    what = f"{abs(body.quantity)} {body.symbol}"
    words = f"{what} paid {each:.4f} a share" if body.quantity > 0 else f"you owed the dividend of {each:.4f} a share on {what} held short"
    text = f"Dividend: {words}; cash {body.amount:+,.2f} USD."
    return _news(event, f"cash:{body.account}:{body.movement_id}", Urgency.LOW if body.amount > 0 else Urgency.MEDIUM, text)


def _alert(event: Event, body: AlertRaised) -> Announcement:
    labels = body.labels if len(body.labels) == len(body.lines) else tuple(line.partition(" ")[0].capitalize() for line in body.lines)
    actions = tuple(Action(label=label, line=line) for label, line in zip(labels, body.lines, strict=True))
    return _news(event, f"alert:{body.key}", Urgency(body.urgency), body.text, actions=actions)


def _exit_due(event: Event, body: ExitDue, books: Books) -> Announcement:
    """What an exit found; critical once a person has not answered what must be answered."""
    key, trade = exit_key(body.trade_id, body.rule), books.trade(body.trade_id)
    actions = [] if body.ticket_id else [Action(label="Close it", line=f"close position_id={body.trade_id}", style="primary")]
    if not body.ticket_id:
        actions.append(Action(label="Why", line=f"explain {body.trade_id}"))
    actions.append(Action(label="Snooze 1 h", line=f"snooze {key} for=1h"))
    if body.must:
        actions.append(Action(label="Leave it", line=f"ack {key}"))
    urgency = Urgency.MEDIUM if not body.must and body.decision != "look" else Urgency.CRITICAL if body.times > 1 else Urgency.HIGH
    news = _news(event, f"exit:{event.seq}", urgency, exit_words(body, trade), actions=tuple(actions))
    return replace(news, ticket=body.ticket_id or "")


def exit_words(body: ExitDue, trade: Trade | None) -> str:
    """An exit's finding as sentences: which trade, what was measured, why it was not done by itself."""
    what = "" if trade is None else f" ({trade.open_units} x {describe_legs(trade.legs)})"
    again = f" Told {body.times} times." if body.times > 1 else ""
    note = f" Not done by itself: {_sentence(body.note)}" if body.note else ""
    return f"{body.trade_id}{what}: {_sentence(body.reason)}{note}{again}"


def _acted(event: Event, body: TicketConfirmed, books: Books) -> Announcement | None:
    """A mandate confirmed an order: which, why, and within which prices."""
    order = books.order(body.client_id)
    if order is None:
        return None
    plan = order.envelope.plan
    prices = f"from {_price(plan.start)}, at worst {_price(plan.worst)}"
    text = (
        f"Mandate {body.mandate} acts on {order.trade_id}: {_sentence(body.evidence)} "
        f"Order {body.client_id} closes {order.quantity} x {describe_legs(order.envelope.legs)}, {prices}."
    )
    return _news(event, f"mandate:{body.client_id}", Urgency.HIGH, text)


def _price(price: Decimal) -> str:
    return f"{abs(price):.2f} {'received' if price > 0 else 'paid'}"


def _mandate(event: Event, body: MandateGranted | MandateRevoked) -> Announcement:
    if isinstance(body, MandateRevoked):
        text = f"Mandate {body.mandate_id} was revoked: {_sentence(body.reason)}"
        return _news(event, f"revoked:{body.mandate_id}", Urgency.MEDIUM, text)
    mandate = body.mandate
    text = f"Mandate {mandate.id} is in force, granted by {mandate.granted_by}: {', '.join(mandate.rules)} may {mandate.action} by itself."
    return _news(event, f"granted:{mandate.id}", Urgency.MEDIUM, text, actions=(revoke_action(mandate.id),))


def revoke_action(mandate: str) -> Action:
    """The one tap that ends a mandate."""
    return Action(label=f"Revoke {mandate}", line=f"mandate revoke id={mandate}", style="danger")


def _revocable(news: Announcement, event: Event, books: Books) -> Announcement:
    body = event.body
    order = _order_of(body.fill, books) if isinstance(body, Filled) else books.order(getattr(body, "client_id", None) or "")
    if order is None or order.mandate is None:
        return news
    cancel = () if order.state.terminal else (Action(label="Cancel the order", line=f"cancel {order.client_id}", style="danger"),)
    known = {action.line for action in news.actions}
    more = tuple(action for action in (*cancel, revoke_action(order.mandate)) if action.line not in known)
    return replace(news, actions=(*news.actions, *more))


def _mode(event: Event, body: ModeSet) -> Announcement:
    scope = "The desk" if body.scope.kind is ScopeKind.DESK else f"{body.scope.kind.value.capitalize()} {body.scope.name.strip()}"
    if body.mode is Mode.ACTIVE:
        return _news(event, f"mode:{event.seq}", Urgency.MEDIUM, f"{scope}: {body.cause} was lifted ({body.reason}).")
    critical = body.mode is Mode.HALT or body.cause == "login" or body.cause.startswith("stale data:")
    loud = Urgency.CRITICAL if critical else Urgency.HIGH if body.mode is Mode.REDUCING else Urgency.MEDIUM
    actions = _LOOK if body.mode is Mode.REDUCING and body.cause.startswith(("stale data:", "bug:")) else ()
    text = f"{scope} is {_MODE_WORDS[body.mode]}. Reason: {_sentence(body.reason)}"
    return _news(event, f"mode:{event.seq}", loud, text, actions=actions)


def _kill_checked(event: Event, body: KillChecked, books: Books) -> Announcement:
    actions = [Action(label=f"Cancel {ref} at the broker", line=f"cancel order_id={ref}", style="danger") for ref in body.external]
    if body.proved:
        loud = Urgency.HIGH if any(item.filled for item in body.ended) else Urgency.MEDIUM
        return _news(event, f"kill:{event.seq}", loud, kill_words(body, books), actions=tuple(actions))
    actions += [Action(label=f"Write off {name}", line=f"cancel order_id={name}") for name in body.lost]
    actions.append(Action(label="Status", line="status"))
    return _news(event, f"kill:{event.seq}", Urgency.CRITICAL, kill_words(body, books), actions=tuple(actions))


def kill_words(body: KillChecked, books: Books) -> str:
    """What a kill came to at one account: proved by the broker's complete books, or what may still fill."""
    where = body.account.id
    parts = [f"Ended: {'; '.join(_ended_words(item) for item in body.ended)}."] if body.ended else []
    if body.external:
        parts.append(f"EXTERNAL and left alone, they may still fill: {', '.join(body.external)}.")
    if body.confirmed_since:
        parts.append(f"You confirmed since, and it goes on: {', '.join(body.confirmed_since)}.")
    if body.proved:
        read = [] if body.read_at is None else [f"Its complete books of {body.read_at.astimezone(EXCHANGE):%H:%M:%S} ET say so."]
        return " ".join((f"Proved: no order of the desk is working at {where}.", *read, *parts))
    if body.pending:
        named = "; ".join(_working_words(name, books) for name in body.pending)
        said = f"NOT proved at {where}: these may still fill: {named}. Cancel them at the broker."
    else:
        said = f"NOT proved at {where}: the desk knows of no order that works there, and the broker's complete books have not said so."
    why = [_sentence(body.reason[:1].upper() + body.reason[1:])] if body.reason else []
    if body.lost:
        why.append(f"The broker's complete books do not have {', '.join(body.lost)}: look there, then write it off.")
    return " ".join((said, *why, *parts, "The desk goes on asking."))


def _ended_words(item: KilledOrder) -> str:
    if item.outcome == "filled":
        return f"{item.client_id} FILLED before its cancel, {item.filled} of {item.quantity}"
    if item.outcome == "denied":
        return f"{item.client_id} was not sent"
    done = f" after {item.filled} of {item.quantity} filled" if item.filled else ""
    return f"{item.client_id} {item.outcome}{done}"


def _working_words(name: str, books: Books) -> str:
    order = books.order(name)
    if order is None:
        return name
    ref = f", the broker's number {order.broker_ref}" if order.broker_ref else ""
    return f"{name} ({order.leaves} x {describe_legs(order.envelope.legs)}{ref})"


def _reconciled(event: Event, body: Reconciled) -> Announcement | None:
    if body.complete and not body.differences:
        return None
    if not body.complete:
        text = f"The books of {body.account.id} could not be compared completely with the broker's; nothing is sent for it until they are."
        return _news(event, f"reconciled:{body.account}:incomplete:{body.epoch}", Urgency.HIGH, text)
    explained = dict.fromkeys(item.looks_like for item in body.found if item.looks_like)
    words = "".join(f" It {text}." for text in explained)
    listed = "; ".join(body.differences)
    text = f"The broker's books of {body.account.id} differ from ours: {listed}.{words} Nothing was changed or adopted."
    look = Action(label="Look at it", line=f"account books=yes account={body.account.id}")
    return _news(event, f"reconciled:{body.account}:{'|'.join(body.differences)}", Urgency.CRITICAL, text, actions=(look,))


def _news(event: Event, key: str, urgency: Urgency, text: str, *, actions: tuple[Action, ...] = ()) -> Announcement:
    return Announcement(key=key, urgency=urgency, blocks=(Notice(text=text, tone=_TONES[urgency]),), actions=actions, cites=(event.seq,))


def _direction(price: Decimal | None) -> str:
    if price is None or price == 0:
        return ""
    return "you received" if price > 0 else "you paid"


def _name(instrument: object) -> str:
    return instrument.label if isinstance(instrument, Option) else str(getattr(instrument, "key", instrument)).strip()


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
