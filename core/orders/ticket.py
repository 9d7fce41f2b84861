"""Tickets: from an intent to a card, and from a press to a confirmed order.

A ticket is previewed against a fresh view, judged by every rule and recorded with the hash of its envelope and of its card. The press
repeats all of it: an order that is no longer what the card said is asked again, never sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from core.command import Caller, Role, Via
from core.decisions import verdict_fields
from core.desk import Desk
from core.domain.encoding import digest
from core.domain.events import (
    Armed,
    Disarmed,
    Draft,
    Submitting,
    TicketClosed,
    TicketConfirmed,
    TicketDrafted,
    TicketShown,
)
from core.domain.events import (
    Role as StandingRole,
)
from core.domain.instruments import Option, combo_tick
from core.domain.mandates import Authority
from core.domain.modes import scope_names
from core.domain.money import to_tick
from core.domain.orders import Bracket, Effect, Envelope, Exits, Intent, Limit, Plan, Side, Sliced
from core.domain.structures import describe_legs
from core.errors import BrokerRejected, BrokerTimeout, Unavailable, UserError
from core.fold import Ticket
from core.logs import Level
from core.market.view import View
from core.orders.card import draw_card
from core.orders.figures import closing_result
from core.orders.planning import Setup, plan_for
from core.orders.plausible import words
from core.orders.standing import Standing, same_holding
from core.orders.states import Order
from core.portfolio.book import Book
from core.portfolio.whose import whose
from core.ports import Preview
from core.reply import Reply
from core.risk import gate
from core.risk.exam import Exam, Recent, Verdict, legs_key
from core.risk.examine import exam_needs, examine, natural_and_mid
from core.risk.measures import underlying_of
from core.risk.sizing import units_for

DUPLICATE_WINDOW = timedelta(minutes=10)
UNDISTURBED_TRIES = 3
CLOCK_TOLERANCE_SECONDS = 1  # a clock is kept right by less; one that was set back by more kills the cards
SIZE_CUSHION = Decimal("1.03")  # sized by rule stays this far under the limit, so that a tick of drift does not refuse the press


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """An intent judged at one instant."""

    envelope: Envelope
    exam: Exam
    verdict: Verdict
    view: View
    preview: Preview | None
    preview_trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A press that passed: what the sender may now send."""

    client_id: str
    ticket: Ticket
    verdict: Verdict
    seqs: tuple[int, ...]
    standing: tuple[str, ...] = ()  # standing orders armed by it; `client_id` is the first of them where nothing is sent at once

    @property
    def sends(self) -> bool:
        """Whether an order is to leave now."""
        return self.client_id not in self.standing


async def draft(
    desk: Desk,
    intent: Intent,
    caller: Caller,
    *,
    limit: Decimal | None = None,
    second_order: bool = False,
    replaces: Ticket | None = None,
    lead: str = "",
) -> Reply:
    """Preview an intent and offer it as a card.

    `intent.plan` is ignored: prices come from the market now, or from the person's own `limit` (net per unit, + credit). A quantity the
    person did not say is sized by rule. `lead` is a sentence shown first, e.g. why the card is drawn again.
    """
    _slow_down(desk)
    desk.cards_in_hand += 1
    try:
        return await _drafted(desk, intent, caller, limit=limit, second_order=second_order, replaces=replaces, lead=lead)
    finally:
        desk.cards_in_hand -= 1


async def _drafted(
    desk: Desk, intent: Intent, caller: Caller, *, limit: Decimal | None, second_order: bool, replaces: Ticket | None, lead: str
) -> Reply:
    intent = replace(intent, instead_of=in_the_way(desk.book(intent.account), intent))
    sizing = not intent.quantity_said and intent.effect is Effect.OPEN and intent.wish is not None
    priced = await price(desk, replace(intent, wish=None) if sizing else intent, limit=limit, second_order=second_order)
    if sizing:
        priced = await price(desk, replace(intent, quantity=_sized(desk, priced)), limit=limit, second_order=second_order)
    elif not intent.quantity_said and intent.effect is Effect.OPEN:
        sized = _sized(desk, priced)
        if sized != intent.quantity:
            priced = await price(desk, replace(intent, quantity=sized), limit=limit, second_order=second_order)
    ticket_id = new_id(desk, "T", taken=desk.fold.tickets.__contains__)
    write_down(desk, "draft", ticket_id, priced)
    card = draw_card(
        ticket_id=ticket_id, priced=priced, now=desk.now(), mode=desk.mode(account=intent.account), label=priced.view.label, lead=lead,
        again=replaces is not None, owner=whose(desk.accounts, str(intent.account)),
    )
    body = drafted_body(ticket_id, priced, card, replaces=replaces.id if replaces else None, limit=limit, second_order=second_order)
    actor = caller.via.value if caller.via in (Via.MODEL, Via.CLOCK) else f"person:{caller.person}"
    drafts = [desk.draft(body, actor=actor, stream=str(intent.account), causation=caller.message_id, correlation=ticket_id)]
    if replaces is not None and replaces.is_open:
        closed = TicketClosed(ticket_id=replaces.id, outcome="replaced", reason=f"replaced by {ticket_id}")
        drafts.append(desk.draft(closed, actor=actor, stream=str(intent.account), correlation=replaces.id))
    if caller.chat:  # a card drawn by the clock is shown where somebody is told of it
        shown = TicketShown(ticket_id=ticket_id, chat=caller.chat, at=desk.now())
        drafts.append(desk.draft(shown, actor=actor, stream=str(intent.account), correlation=ticket_id))
    desk.ticket_seconds[ticket_id] = desk.runtime.clock.monotonic()
    recorded = await desk.record(*drafts)
    return replace(card, cites=recorded.seqs, data={**card.data, "ticket": ticket_id})


def drafted_body(
    ticket_id: str, priced: Priced, card: Reply, *, replaces: str | None = None, limit: Decimal | None = None, second_order: bool = False
) -> TicketDrafted:
    """What is stored of a card: the order, and what a press compares with."""
    return TicketDrafted(
        ticket_id=ticket_id,
        intent=priced.exam.intent,
        envelope=priced.envelope,
        envelope_hash=priced.envelope.hash,
        card_hash=card_hash(card),
        allowed=priced.verdict.allowed,
        mid=_exact(priced.exam.mid, priced.envelope),
        short_delta=short_delta(priced.view, priced.envelope),
        short_deltas=short_deltas(priced.view, priced.envelope),
        holdings=_holdings(priced.exam),
        margin_effect=_margin_effect(priced.preview),
        verdict_hash=priced.verdict.hash,
        replaces=replaces,
        said_limit=limit,
        second_order=second_order,
    )


async def price(
    desk: Desk, intent: Intent, *, limit: Decimal | None, second_order: bool = False, envelope: Envelope | None = None,
    of: Standing | None = None, authority: Authority | None = None, urgent: bool = False,
) -> Priced:
    """Build the envelope at today's prices and judge it; nothing is recorded.

    With an `envelope` (at the press) that very one is judged, against quotes asked for anew. `of` is the standing order a part or an
    exit is judged for: what it still reserves itself is not counted twice, and in HALT it is no person's order. With an `authority`
    nobody presses: the order rests on that mandate, and an `urgent` one may go as far as the mandate concedes.
    """
    if intent.account.outside:
        raise UserError("Nothing can be sent for trades done elsewhere: no broker of this desk keeps them.", "Log what you do there.")
    book = desk.book(intent.account)
    now = desk.now()
    beside = desk.beside
    view = await desk.reader.view(exam_needs(intent, book, now, beside=beside), fresh=envelope is not None or authority is not None)
    envelope = envelope or _envelope(desk, intent, view, limit, conceding=authority if urgent else None)
    intent = intent if of is not None else replace(intent, plan=envelope.plan)
    preview, trouble = await _preview(desk, envelope if of is None else replace(envelope, quantity=intent.quantity, plan=intent.plan))
    mode, reason = desk.mode(account=intent.account, strategy=intent.strategy, keys=scope_names(intent.legs))
    exam = examine(
        intent=intent,
        book=book,
        view=view,
        preview=preview,
        now=now,
        mode=mode,
        mode_reason=reason,
        recent=_recent(desk),
        automation=authority is not None,
        authority=authority,
        second_order=second_order,
        standing=None if of is None else of.id,
        elsewhere=tuple(order for other in desk.books.accounts.values() if other is not book for order in other.live.values()),
        strangers=tuple(order for other in desk.books.accounts.values() for order in other.external.values()),
        beside=beside,
    )
    verdict = gate.judge(exam, desk.rules, report=desk.report)
    return Priced(envelope=envelope, exam=exam, verdict=verdict, view=view, preview=preview, preview_trouble=trouble)


async def confirm(desk: Desk, ticket_id: str, caller: Caller) -> Confirmed | Reply:
    """Turn a press into a confirmed, reserved order, or a reply that says why not (maybe with a fresh card).

    Raises UserError where the ticket cannot be confirmed at all.
    """
    ticket = find(desk, ticket_id)
    _may_confirm(ticket, caller)
    async with desk.lane(ticket.drafted.envelope.account):
        ticket = find(desk, ticket_id)
        stale = _spent(desk, ticket)
        if stale is not None:
            return await _ask_again(desk, ticket, caller, stale)
        drafted = ticket.drafted
        priced = await _price_undisturbed(desk, drafted)
        write_down(desk, "press", ticket_id, priced)
        if not find(desk, ticket_id).is_open:
            raise UserError(f"Ticket {ticket_id} was withdrawn meanwhile; nothing was sent.", "Ask again for a fresh card.")
        moved = _spent(desk, ticket) or _moved(desk, ticket, priced)
        if moved is not None:
            return await _ask_again(desk, ticket, caller, moved)
        client_id = new_order_id(desk)
        armed = tuple(new_id(desk, "S", taken=_is_standing(desk)) for _ in standing_roles(drafted.envelope.plan))
        drafts = confirmation(desk, ticket, priced.verdict, client_id, caller, armed, exam=priced.exam)
        recorded = await desk.record(*drafts, expected_seq=desk.fold.seq)
    sends = isinstance(drafted.envelope.plan, Limit | Bracket)
    return Confirmed(
        client_id=client_id if sends else armed[0], ticket=find(desk, ticket_id), verdict=priced.verdict, seqs=recorded.seqs, standing=armed
    )


def standing_roles(plan: Plan) -> tuple[StandingRole, ...]:
    """The standing orders a plan needs."""
    if isinstance(plan, Sliced):
        return (StandingRole.PARTS,)
    if isinstance(plan, Limit):
        return ()
    target, stop = (
        (plan.target is not None, plan.stop is not None)
        if isinstance(plan, Exits)
        else (plan.target_share is not None, plan.stop_multiple is not None or plan.trail_share is not None)
    )
    return (*((StandingRole.TARGET,) if target else ()), *((StandingRole.STOP,) if stop else ()))


def in_the_way(book: Book, intent: Intent) -> tuple[str, ...]:
    """Own working orders that an order sent to close must not meet: resting exits of what it closes, and orders on the other side.

    They are cancelled, and proved so, before it is sent. A plan that only waits cancels nothing, and exits of another trade of the same
    contracts stay where enough is held for both.
    """
    if intent.effect is Effect.OPEN or (intent.wish is not None and intent.wish.exits):
        return ()
    keys = {leg.instrument.key: leg.side for leg in intent.legs if leg.effect is Effect.CLOSE}
    found = []
    for order in book.live.values():
        shared = [leg for leg in order.envelope.legs if leg.instrument.key in keys]
        exit_of_it = order.standing_id is not None and all(leg.effect is Effect.CLOSE for leg in order.envelope.legs)
        exit_of_it = exit_of_it and not (_of_another(book, order, intent) and _enough_for_both(book, intent))
        if shared and (exit_of_it or any(leg.side is not keys[leg.instrument.key] for leg in shared)):
            found.append(order.client_id)
    return tuple(sorted(found))


def _of_another(book: Book, order: Order, intent: Intent) -> bool:
    """Whether an order closes no more than another open trade holds."""
    trade = book.trades.get(order.trade_id)
    return intent.trade_id is not None and trade is not None and trade.id != intent.trade_id and order.leaves <= trade.open_units


def _enough_for_both(book: Book, intent: Intent) -> bool:
    """Whether what an intent closes is held beside all that orders of other trades still close."""
    others = [order for order in book.live.values() if order.trade_id != intent.trade_id]
    for leg in (leg for leg in intent.legs if leg.effect is Effect.CLOSE):
        key, held = leg.instrument.key, book.positions.get(leg.instrument.key)
        claimed = sum(
            order.leaves * other.ratio
            for order in others for other in order.envelope.legs if other.instrument.key == key and other.effect is Effect.CLOSE
        )
        if held is None or abs(held.quantity) - claimed < abs(leg.contracts(intent.quantity)):
            return False
    return True


def write_down(desk: Desk, stage: str, ticket_id: str, priced: Priced) -> None:
    """The gate's verdict with every finding: what was measured against which limit, on a view of what time."""
    facts = verdict_fields(stage=stage, ticket=ticket_id, exam=priced.exam, envelope=priced.envelope, verdict=priced.verdict)
    desk.log(Level.INFO if priced.verdict.allowed else Level.WARNING, "verdict", **facts)


async def _price_undisturbed(desk: Desk, drafted: TicketDrafted) -> Priced:
    """Price and judge against a book that has not changed meanwhile: a fill that comes in between would make the verdict stale."""
    for _ in range(UNDISTURBED_TRIES):
        priced = await price(desk, drafted.intent, limit=drafted.said_limit, second_order=drafted.second_order, envelope=drafted.envelope)
        if priced.exam.book is desk.book(drafted.envelope.account):
            return priced
    raise UserError("The account keeps changing while the order is checked; nothing was sent.", "Press Confirm again in a moment.")


async def drop(desk: Desk, ticket_id: str, caller: Caller) -> tuple[int, ...]:
    """Withdraw a ticket; returns the sequence numbers to cite."""
    ticket = find(desk, ticket_id)
    async with desk.lane(ticket.drafted.envelope.account):
        ticket = find(desk, ticket_id)
        if not ticket.is_open:
            raise UserError(f"Ticket {ticket_id} is already {ended_words(ticket)}.", "Nothing was changed.")
        body = TicketClosed(ticket_id=ticket_id, outcome="dropped", reason="withdrawn by a person")
        stream = str(ticket.drafted.envelope.account)
        recorded = await desk.record(desk.draft(body, actor=f"person:{caller.person}", stream=stream, correlation=ticket_id))
        return recorded.seqs


async def redraw(
    desk: Desk, ticket_id: str, caller: Caller, *, quantity: int | None = None, lead: str = "", second_order: bool = False
) -> Reply:
    """The same ticket anew at today's prices, maybe with another quantity."""
    ticket = find(desk, ticket_id)
    if ticket.confirmed is not None:
        raise UserError(
            f"Ticket {ticket_id} was already confirmed; its order is {ticket.confirmed.client_id}.", "Ask for a new card for another order."
        )
    intent = ticket.drafted.intent
    if quantity is not None:
        intent = replace(intent, quantity=quantity, quantity_said=True)
    return await draft(desk, intent, caller, limit=ticket.drafted.said_limit, replaces=ticket, lead=lead, second_order=second_order)


def find(desk: Desk, ticket_id: str) -> Ticket:
    """A ticket by its id; raise UserError where there is none."""
    ticket = desk.fold.tickets.get(ticket_id)
    if ticket is None:
        raise UserError(f"There is no ticket {ticket_id!r}.", "Ticket ids stand on the card, such as T1A2B3C.")
    return ticket


def card_hash(card: Reply) -> str:
    """Hash of what the person was shown."""
    return digest(card.blocks)


def ended_words(ticket: Ticket) -> str:
    """How a ticket ended, for a sentence."""
    if ticket.confirmed is not None:
        return f"confirmed (order {ticket.confirmed.client_id})"
    return ticket.closed.outcome if ticket.closed is not None else "open"


def short_deltas(view: View, envelope: Envelope) -> tuple[float | None, ...]:
    """The absolute delta of each short option leg, in the order of the legs; None where unknown."""
    deltas: list[float | None] = []
    for leg in envelope.legs:
        if leg.side is Side.SELL and isinstance(leg.instrument, Option):
            try:
                delta = view.mark(leg.instrument).delta
            except Unavailable:
                delta = None
            deltas.append(None if delta is None else abs(delta))
    return tuple(deltas)


def short_delta(view: View, envelope: Envelope) -> float | None:
    """The largest absolute delta among the short option legs, None where one is unknown or there is no short leg."""
    known = [delta for delta in short_deltas(view, envelope) if delta is not None]
    return max(known, default=None) if len(known) == len(short_deltas(view, envelope)) else None


def _envelope(desk: Desk, intent: Intent, view: View, limit: Decimal | None, *, conceding: Authority | None = None) -> Envelope:
    base = Limit(start=limit, worst=limit) if limit is not None else _working_range(desk, intent, view, conceding)
    setup = Setup(intent=intent, view=view, book=desk.book(intent.account), settings=desk.settings.desk, now=desk.now())
    plan, tif = plan_for(setup, base)
    return Envelope(
        account=intent.account,
        legs=intent.legs,
        quantity=intent.quantity,
        plan=plan,
        tif=tif,
        expires_at=desk.now() + timedelta(seconds=desk.settings.desk.whole("ticket_life_seconds")),
        policy_version=desk.fold.policy_version,
        strategy=intent.strategy,
        trade_id=intent.trade_id,
        instead_of=intent.instead_of,
    )


def _working_range(desk: Desk, intent: Intent, view: View, conceding: Authority | None = None) -> Limit:
    """Start at mid; worst = mid - min(half-spread, max(one tick, guard share of mid)), both on a tick.

    Only what opens or takes a profit is guarded: closing at a loss goes to natural, however wide the market, so that there is a way out.
    A loss exit under a mandate goes on beyond it by what the mandate concedes.
    """
    natural, mid = natural_and_mid(intent.legs, view)
    if mid is None:
        raise Unavailable(f"price of {_unpriced(intent, view)}", why="name a limit to go on without it")
    tick = combo_tick(intent.options, mid)
    start = to_tick(mid, tick, up=True)
    if conceding is not None and natural is not None:
        lowest = conceding.state.mandate.worst_allowed(natural)
        worst = min(start, to_tick(lowest, combo_tick(intent.options, lowest), up=True))
        rest = to_tick(natural, combo_tick(intent.options, natural), up=False)
        return Limit(start=start, worst=worst, rest=min(start, max(worst, rest)))
    half_spread = max(Decimal(0), mid - natural) if natural is not None else abs(mid)
    guard = min(half_spread, max(tick, abs(mid) * desk.settings.desk.number("guard_fraction")))
    if intent.effect is Effect.CLOSE and natural is not None and _loses(desk, intent, mid):
        guard = half_spread
    worst = to_tick(mid - guard, combo_tick(intent.options, mid - guard), up=False)
    return Limit(start=start, worst=min(start, worst))


def _loses(desk: Desk, intent: Intent, mid: Decimal) -> bool:
    result = closing_result(intent, desk.book(intent.account), mid)
    return result is not None and result < 0


def _unpriced(intent: Intent, view: View) -> str:
    for leg in intent.legs:
        name = getattr(leg.instrument, "label", leg.instrument.key)
        try:
            state = view.quote(leg.instrument).state
        except Unavailable:
            return f"{name} (no quote)"
        if not state.usable:
            return f"{name} ({state.value})"
    return describe_legs(intent.legs)


async def _preview(desk: Desk, envelope: Envelope) -> tuple[Preview | None, str]:
    try:
        return await desk.senders[envelope.account].preview(envelope), ""
    except (Unavailable, BrokerRejected, BrokerTimeout, TimeoutError) as error:
        return None, words(desk.redaction.redact(str(error))) or "the broker did not answer in time"
    except Exception as error:  # noqa: BLE001 - a bug of an adapter: what the order would do is unknown, which the rules refuse
        return None, f"the broker's answer could not be read ({desk.report('preview', error)})"


def _sized(desk: Desk, priced: Priced) -> int:
    """Size by rule: the base share of NLV, then what the rules leave of it; at least 1, so that the card can say why not.

    What leans on holdings is no larger than these; where it ties up nothing beside them, it is as large.
    """
    capital, intent = priced.exam.capital, priced.exam.intent
    nlv = priced.exam.before.net_liquidation
    if capital is None or nlv is None or (capital == 0 and intent.most_units is not None):
        return intent.quantity
    per_unit = capital / intent.quantity
    base = units_for(capital_per_unit=per_unit * SIZE_CUSHION, net_liquidation=nlv, fraction=desk.settings.desk.number("size_fraction"))
    return max(1, min(int(base * priced.verdict.factor), intent.most_units or base))


def _spent(desk: Desk, ticket: Ticket) -> str | None:
    """Why a ticket cannot be confirmed as it is; None where it may be. Raises UserError where it is over for good."""
    if ticket.confirmed is not None:
        raise UserError(
            f"Ticket {ticket.id} was already confirmed: its order is {ticket.confirmed.client_id}. Nothing more was sent.",
            "See `status` or `fills`.",
        )
    if ticket.closed is not None:
        raise UserError(
            f"Ticket {ticket.id} is over: {ticket.closed.reason}. Nothing was sent.", "Ask again for a fresh card."
        )
    if desk.now() >= ticket.drafted.envelope.expires_at:
        return "That card had expired"
    drawn, shown_seconds = desk.ticket_seconds.get(ticket.id), (desk.now() - ticket.at).total_seconds()
    gone_seconds = shown_seconds if drawn is None else desk.runtime.clock.monotonic() - drawn
    if shown_seconds < 0 or gone_seconds - shown_seconds > CLOCK_TOLERANCE_SECONDS:
        return "The clock went back since that card"
    if ticket.drafted.envelope.policy_version != desk.fold.policy_version:
        return "The desk was halted or a setting changed since that card"
    if not ticket.drafted.allowed:
        return "The rules did not allow that card"
    return None


def _moved(desk: Desk, ticket: Ticket, priced: Priced) -> str | None:
    """What changed for the worse since the card, in words; None where the press stands."""
    drafted, settings = ticket.drafted, desk.settings.desk
    if not priced.verdict.allowed:
        return f"The rules say no now: {priced.verdict.reason}"
    if priced.verdict.hash != drafted.verdict_hash:
        return "A rule's verdict changed since that card"
    if drafted.holdings != _holdings(priced.exam):
        return "Your positions or working orders changed since that card"
    mid = _exact(priced.exam.mid, drafted.envelope)
    tick = combo_tick(drafted.intent.options, drafted.mid)
    if drafted.mid - mid > max(tick, abs(drafted.mid) * settings.number("reask_fraction")):
        return f"The price moved: mid was {drafted.mid:.2f}, now {mid:.2f}"
    for was, now in zip(drafted.short_deltas, short_deltas(priced.view, drafted.envelope), strict=True):
        if was is not None and (now is None or abs(now - was) > float(settings.number("reask_delta"))):
            return f"A short delta moved from {was:.2f} to {'unknown' if now is None else f'{now:.2f}'}"
    return _margin_rose(drafted.margin_effect, _margin_effect(priced.preview), settings.number("reask_margin"))


def _margin_rose(before: Decimal | None, now: Decimal | None, tolerance: Decimal) -> str | None:
    if before is None:
        return None if now is None or now <= 0 else f"The margin is known now: {now:,.0f}"
    if now is not None and now <= max(before, Decimal(0)) * (1 + tolerance):
        return None
    if now is None and before <= 0:
        return None
    return f"The margin rose from {before:,.0f} to {'unknown' if now is None else f'{now:,.0f}'}"


async def _ask_again(desk: Desk, ticket: Ticket, caller: Caller, why: str) -> Reply:
    return replace(
        await redraw_inside(desk, ticket, caller, lead=f"{why}. Nothing was sent; this is the order as it stands now."), ok=False
    )


async def redraw_inside(desk: Desk, ticket: Ticket, caller: Caller, *, lead: str) -> Reply:
    """Draw a ticket again while its lane is held."""
    return await draft(
        desk,
        ticket.drafted.intent,
        caller,
        limit=ticket.drafted.said_limit,
        replaces=ticket,
        lead=lead,
        second_order=ticket.drafted.second_order,
    )


def confirmation(
    desk: Desk, ticket: Ticket, verdict: Verdict, client_id: str, caller: Caller, armed: Sequence[str] = (), *,
    authority: Authority | None = None, evidence: str = "", exam: Exam | None = None,
) -> list[Draft]:
    """The events of a confirmed ticket: the confirmation with its reservation, the order written ahead, the standing orders it arms.

    Without a press they are the mandate's of the `authority`, with what its rule measured as `evidence`. `exam` is what was judged.
    """
    drafted = ticket.drafted
    sends = isinstance(drafted.envelope.plan, Limit | Bracket)
    mandate = None if authority is None else authority.state.mandate.id
    actor = f"person:{caller.person}" if mandate is None else f"mandate:{mandate}"
    envelope, stream = drafted.envelope, str(drafted.envelope.account)
    confirmed = TicketConfirmed(
        ticket_id=ticket.id,
        person=caller.person,
        chat=caller.chat,
        envelope_hash=drafted.envelope_hash,
        card_hash=drafted.card_hash,
        quantity=envelope.quantity,
        client_id=client_id if sends else armed[0],
        mandate=mandate,
        rule="" if authority is None else authority.rule,
        evidence=evidence,
    )
    trade_id = envelope.trade_id or f"P{client_id[1:]}"
    submitting = Submitting(
        client_id=client_id,
        ticket_id=ticket.id,
        account=envelope.account,
        envelope=envelope,
        envelope_hash=drafted.envelope_hash,
        limit=envelope.plan.start,
        quantity=envelope.quantity,
        trade_id=trade_id,
        reducing=verdict.reducing,
        exits=verdict.exits,
        thesis=drafted.intent.thesis,
        mandate=mandate,
        mid=None if exam is None else exam.mid,
        natural=None if exam is None else exam.natural,
    )
    drafts = [
        desk.draft(
            confirmed, actor=actor, stream=stream, causation=caller.message_id, correlation=ticket.id, dedupe=f"confirm:{ticket.id}"
        )
    ]
    if sends:
        drafts.append(
            desk.draft(submitting, actor=actor, stream=stream, causation=ticket.id, correlation=client_id, dedupe=f"submit:{ticket.id}")
        )
    roles = standing_roles(envelope.plan)
    for old in desk.book(envelope.account).armed:
        if isinstance(envelope.plan, Exits) and old.closes and old.role in roles and same_holding(envelope, envelope.trade_id, old):
            gone = Disarmed(standing_id=old.id, outcome="replaced", reason=f"replaced by {armed[roles.index(old.role)]}")
            drafts.append(desk.draft(gone, actor=actor, stream=stream, causation=ticket.id, correlation=old.id))
    for standing_id, role in zip(armed, roles, strict=True):
        body = Armed(
            standing_id=standing_id, role=role, ticket_id=ticket.id, account=envelope.account, envelope=envelope,
            envelope_hash=drafted.envelope_hash, trade_id=trade_id, parent=client_id if sends else None,
        )
        once = f"arm:{ticket.id}:{role.value}"
        drafts.append(desk.draft(body, actor=actor, stream=stream, causation=ticket.id, correlation=standing_id, dedupe=once))
    return drafts


def _may_confirm(ticket: Ticket, caller: Caller) -> None:
    if caller.via not in (Via.BUTTON, Via.LINE):
        raise UserError(
            "Only a person's press, or the typed words `confirm` and the ticket's id, can confirm.", "Press Confirm on the card."
        )
    if caller.role is Role.VIEWER:
        raise UserError("Your role may look but not trade.", "Ask the owner to make you a trader.")
    if caller.role is not Role.OWNER and caller.chat not in ticket.shown:
        raise UserError(f"The card of {ticket.id} was never shown in this chat; nothing was sent.", "Ask for a card of your own here.")


def _recent(desk: Desk) -> tuple[Recent, ...]:
    """Confirmations of the last minutes; one whose order came to nothing is no reason to fear a second one."""
    since = desk.now() - DUPLICATE_WINDOW
    found: list[Recent] = []
    for ticket in desk.fold.recent_confirmed(since):
        if ticket.confirmed is None or ticket.confirmed_at is None:
            continue
        order = desk.books.order(ticket.confirmed.client_id)
        if order is not None and order.ended in ("denied", "rejected") and not order.fills:
            continue
        envelope = ticket.drafted.envelope
        found.append(
            Recent(
                envelope_hash=ticket.drafted.envelope_hash, legs_key=legs_key(envelope), quantity=ticket.confirmed.quantity,
                at=ticket.confirmed_at, ticket_id=ticket.id,
            )
        )
    return tuple(found)


def new_order_id(desk: Desk) -> str:
    """A client id that was never used."""
    return new_id(desk, "O", taken=lambda name: desk.books.order(name) is not None)


def new_id(desk: Desk, prefix: str, *, taken: Callable[[str], bool]) -> str:
    """An id that was never used in this log, even where the machine's clock went back."""
    while taken(identity := desk.runtime.entropy.id(prefix)):
        continue
    return identity


def _is_standing(desk: Desk) -> Callable[[str], bool]:
    return lambda name: desk.books.find_standing(name) is not None


def _holdings(exam: Exam) -> str:
    """Digest of what is held on the order's underlying, working legs counted: a card is only good for the positions it was drawn on."""
    held = ((key, quantity) for key, (item, quantity) in sorted(exam.held_before.items()) if underlying_of(item) == exam.intent.underlying)
    return digest(dict(held))


def _slow_down(desk: Desk) -> None:
    limit = desk.settings.desk.whole("cards_per_minute")
    drawn = desk.fold.drafted_since(desk.now() - timedelta(minutes=1)) + desk.cards_in_hand  # of a flood none is recorded yet
    if drawn >= limit and not desk.runtime.clock.standing:
        raise UserError(f"More than {limit} cards in a minute.", "Wait a moment; nothing was lost.")


def _exact(mid: Decimal | None, envelope: Envelope) -> Decimal:
    return envelope.plan.start if mid is None else mid


def _margin_effect(preview: Preview | None) -> Decimal | None:
    return None if preview is None else preview.margin_after - preview.margin_before
