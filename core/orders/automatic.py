"""An order nobody presses for: drafted, judged and confirmed under a mandate, in one step.

The ticket, its confirmation and the order written ahead are one append, made under the account's lane against an undisturbed book and a
mandate that was read again: there is no moment in which such a ticket could be pressed, and a crash leaves either nothing or an order
that the next start finds out about. From there it goes the way of every order.
"""

from __future__ import annotations

from datetime import timedelta

from core.clock import exchange_date
from core.command import Caller, Via
from core.desk import Desk
from core.domain.mandates import MOST_CONCESSION_FRACTION, MOST_CONCESSION_POINTS, Authority, broken_bounds
from core.domain.money import CENT, to_tick
from core.domain.orders import Intent, Limit
from core.errors import Conflict
from core.fold import Ticket
from core.orders.alarm import raise_alert
from core.orders.card import draw_card
from core.orders.exit_view import Looked
from core.orders.figures import closing_result
from core.orders.states import Order
from core.orders.ticket import Confirmed, Priced, confirmation, drafted_body, new_id, new_order_id, price, write_down
from core.risk.examine import natural_and_mid

TRIES = 3
CAME_TO_NOTHING = ("denied", "rejected", "cancelled")
NOT_ONE_ORDER = "its legs cannot be closed by one order"
BUSY = "the account kept changing while the order was checked"


def authority_of(desk: Desk, mandate_id: str, rule: str) -> Authority | None:
    """What an order of a rule would rest on now, None where there is no such mandate."""
    state = desk.fold.mandates(now=desk.now()).get(mandate_id)
    if state is None:
        return None
    return Authority(state=state, rule=rule, terms=desk.exit_terms(state.mandate.rules, state.mandate.strategies))


def against(intent: Intent, authority: Authority) -> str:
    """Why a mandate does not cover an order, price aside; empty where it does."""
    broken = broken_bounds(
        authority, account=intent.account, strategy=intent.strategy, symbol=intent.underlying, effect=intent.effect,
        quantity=intent.quantity,
    )
    return "; ".join(bound.why for bound in broken)


async def confirm_by_mandate(
    desk: Desk, intent: Intent, *, mandate_id: str, rule: str, evidence: str, urgent: bool = False
) -> Confirmed | str:
    """Confirm an order under a mandate, or say why not; nothing is recorded then.

    `evidence` is what the rule measured. An `urgent` exit may go as far as the mandate concedes, any other stays within its guard. Raises
    Unavailable where no price can be made.
    """
    async with desk.lane(intent.account):
        for _ in range(TRIES):
            authority = authority_of(desk, mandate_id, rule)
            if authority is None:
                return f"there is no mandate {mandate_id}"
            no = against(intent, authority)
            if no:
                return no
            priced = await price(desk, intent, limit=None, authority=authority, urgent=urgent)
            if priced.exam.book is not desk.book(intent.account) or authority_of(desk, mandate_id, rule) != authority:
                continue  # a fill or a revocation came in between: what was judged is no longer so
            if not priced.verdict.allowed:
                write_down(desk, "mandate", "", priced)
                return priced.verdict.reason
            try:
                return await _record(desk, priced, authority, evidence)
            except Conflict:
                continue
    return BUSY


def mandate_for(desk: Desk, one: Looked, rule: str, intent: Intent | None) -> tuple[str | None, str]:
    """The mandate that covers closing a trade by a rule; None with why the nearest one does not."""
    notes: list[str] = []
    for state in desk.fold.mandates(now=desk.now()).values():
        mandate = state.mandate
        if rule not in mandate.rules or one.account != mandate.account or state.revoked:
            continue
        no = _no(desk, one, rule, intent, mandate.id)
        if not no:
            return mandate.id, ""
        if one.trade.strategy in mandate.strategies:
            notes.append(no)
    return None, notes[-1] if notes else ""


def rule_of(desk: Desk, order: Order) -> str:
    """The exit that called for an order, empty where a person pressed."""
    ticket = desk.fold.ticket_of_order(order.client_id)
    return "" if ticket is None or ticket.confirmed is None else ticket.confirmed.rule


async def tell_stuck(desk: Desk, one: Looked) -> None:
    """An order that closes at a loss and is not filled even at its worst price: a person is asked, once for each order.

    That of a person who named the price is left alone: where it stands was meant.
    """
    settings = desk.settings.desk
    for order in one.closing:
        plan, waited = order.envelope.plan, (desk.now() - order.submitted_at).total_seconds()
        if not isinstance(plan, Limit) or order.unknown or (order.mandate is not None and plan.rest is None):
            continue
        rests = 1 if order.mandate is None else 2  # a mandate's waits at natural, and once more beyond it
        if order.mandate is None and (_is_said(desk, order) or not _loses(desk, one, order)):
            continue
        if waited < settings.whole("walk_seconds") + rests * settings.whole("stop_patience_seconds"):
            continue
        natural, _ = natural_and_mid(order.envelope.legs, one.view)
        asks = "nobody quotes it now" if natural is None else f"the market asks {-natural:.2f}"
        who = f"Mandate {order.mandate} sent order {order.client_id}" if order.mandate else f"Your order {order.client_id} works"
        text = (
            f"{who} to close {one.name}, and it is not filled after {waited:.0f} s: it offers {-order.limit:.2f}, {asks}, and it never "
            f"goes beyond {-plan.worst:.2f}."
        )
        buttons = {f"Cancel {order.client_id}": f"cancel {order.client_id}"}
        if order.mandate is not None:
            buttons[f"Revoke {order.mandate}"] = f"mandate revoke id={order.mandate}"
        if natural is not None and natural < 0:
            more = to_tick(abs(natural) + max(MOST_CONCESSION_POINTS, abs(natural) * MOST_CONCESSION_FRACTION), CENT, up=True)
            buttons[f"Pay up to {more:.2f}"] = f"close position_id={one.trade.id} limit={more:.2f}"
        await raise_alert(desk, f"exit:stuck:{order.client_id}", urgency="critical", text=text, account=one.account, buttons=buttons)


def _is_said(desk: Desk, order: Order) -> bool:
    ticket = desk.fold.ticket_of_order(order.client_id)
    return ticket is not None and ticket.drafted.said_limit is not None


def _loses(desk: Desk, one: Looked, order: Order) -> bool:
    result = closing_result(order.envelope, desk.book(one.account), order.envelope.plan.start)
    return result is not None and result < 0


def _no(desk: Desk, one: Looked, rule: str, intent: Intent | None, mandate_id: str) -> str:
    """Why a mandate does not send this order now, empty where it may."""
    if intent is None:
        return NOT_ONE_ORDER
    if not desk.senders[one.account].may_send_now:
        return f"nothing can be sent now: {desk.mode(account=one.account)[1]}"
    if one.standing:
        return f"your own {one.standing[0].role.value} {one.standing[0].id} stands, and a mandate does nothing beside that"
    authority = authority_of(desk, mandate_id, rule)
    return "it is not in force" if authority is None else against(intent, authority) or _failed_today(desk, one, rule, mandate_id)


def _failed_today(desk: Desk, one: Looked, rule: str, mandate_id: str) -> str:
    """An order of this rule for this trade that was refused or cancelled today: a person decides what comes next.

    It may be another mandate's: one that stood beside it does not send again what a person has just cancelled. One granted since does.
    """
    today, granted_at = exchange_date(desk.now()), desk.fold.mandates(now=desk.now())[mandate_id].granted_at
    for order in one.book.sent_since(desk.now() - timedelta(days=2)):
        mine = order.mandate == mandate_id or (order.mandate is not None and order.submitted_at >= granted_at)
        same = mine and order.trade_id == one.trade.id and rule_of(desk, order) == rule
        if same and order.ended in CAME_TO_NOTHING and exchange_date(order.submitted_at) == today:
            return f"order {order.client_id} of mandate {order.mandate} was {order.ended} ({order.reason or 'no reason given'})"
    return ""


async def _record(desk: Desk, priced: Priced, authority: Authority, evidence: str) -> Confirmed:
    account, mandate = priced.envelope.account, authority.state.mandate
    ticket_id = new_id(desk, "T", taken=desk.fold.tickets.__contains__)
    client_id = new_order_id(desk)
    write_down(desk, "mandate", ticket_id, priced)
    card = draw_card(
        ticket_id=ticket_id, priced=priced, now=desk.now(), mode=desk.mode(account=account), label=priced.view.label, lead=evidence,
    )
    body = drafted_body(ticket_id, priced, card)
    caller = Caller(person=mandate.granted_by, via=Via.MANDATE, chat=mandate.chat, message_id=authority.rule)
    ticket = Ticket(drafted=body, at=desk.now())
    drafts = confirmation(desk, ticket, priced.verdict, client_id, caller, authority=authority, evidence=evidence, exam=priced.exam)
    drafted = desk.draft(
        body, actor=f"mandate:{mandate.id}", stream=str(account), causation=authority.rule, correlation=ticket_id
    )
    recorded = await desk.record(drafted, *drafts, expected_seq=desk.fold.seq)
    return Confirmed(client_id=client_id, ticket=desk.fold.tickets[ticket_id], verdict=priced.verdict, seqs=recorded.seqs)
