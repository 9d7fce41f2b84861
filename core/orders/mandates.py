"""Granting and revoking mandates: a card with every bound and what it would do at once, a press, and one tap that ends it.

The card is recorded with the hash of its text. The press counts only for that very text, while the card lives, and is asked again where
a setting changed, the desk was halted, or the mandate would now act on a trade the card did not name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from core.command import Caller
from core.desk import Desk
from core.domain.encoding import digest
from core.domain.events import MandateGranted, MandateOffered, MandateRevoked
from core.domain.mandates import Mandate, MandateState
from core.errors import UserError
from core.exits import Decision, Exit
from core.orders.card import badge_words
from core.orders.exit_view import Looked, due_now, look_over
from core.orders.ticket import new_id
from core.reply import Action, Block, Cell, Column, Fact, Facts, Notice, Reply, Table, Tone

HASH_SHOWN = 16  # characters of a card's hash that its button carries


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """A trade a mandate would act on at once, or one that cannot be judged now (`reason` is then empty)."""

    looked: Looked
    rule: str
    reason: str


async def offer(desk: Desk, mandate: Mandate, *, lead: str = "") -> Reply:
    """Record a mandate's card and return it; nothing is in force by it. `lead` says why it is drawn again."""
    reached = await reach(desk, mandate)
    blocks = _blocks(desk, mandate, reached, lead)
    life = timedelta(seconds=desk.settings.desk.whole("ticket_life_seconds"))
    body = MandateOffered(
        mandate=mandate, card_hash=digest(blocks), due_now=tuple(sorted({item.looked.trade.id for item in reached})),
        policy_version=desk.fold.policy_version, expires_at=desk.now() + life,
    )
    actor = f"person:{mandate.granted_by}"
    recorded = await desk.record(desk.draft(body, actor=actor, stream=str(mandate.account), correlation=mandate.id))
    grant = Action(label="Grant", line=f"mandate grant id={mandate.id} card={body.card_hash[:HASH_SHOWN]}", style="primary", once=True)
    badge = badge_words(mandate.account.env, desk.mode(account=mandate.account)[0], desk.reader.label())
    return Reply(
        blocks=blocks, actions=(grant, Action(label="Leave it", line="mandate list")), badge=badge, at=desk.now(), cites=recorded.seqs,
        data={"mandate": mandate.id},
    )


async def grant(desk: Desk, mandate_id: str, card: str, caller: Caller) -> tuple[int, ...] | Reply:
    """Put an offered mandate in force; returns the events to cite, or its card anew where the old one no longer tells the truth.

    Raises UserError where there is nothing to grant.
    """
    offered = _offered(desk, mandate_id, card)
    mandate = offered.mandate
    async with desk.lane(mandate.account):
        stale = await _stale(desk, offered)
        if stale:
            fresh = await offer(desk, _renewed(desk, mandate), lead=f"{stale}. Nothing was granted; this is the mandate as it stands now.")
            return replace(fresh, ok=False)
        offered = _offered(desk, mandate_id, card)
        body = MandateGranted(mandate=mandate, card_hash=offered.card_hash)
        draft = desk.draft(
            body, actor=f"person:{caller.person}", stream=str(mandate.account), causation=caller.message_id, correlation=mandate.id,
            dedupe=f"grant:{mandate.id}",
        )
        return (await desk.record(draft, expected_seq=desk.fold.seq)).seqs


async def revoke(desk: Desk, states: Sequence[MandateState], *, actor: str, reason: str) -> tuple[int, ...]:
    """End mandates; returns the events to cite."""
    drafts = [
        desk.draft(
            MandateRevoked(mandate_id=state.mandate.id, reason=reason), actor=actor, stream=str(state.mandate.account),
            correlation=state.mandate.id,
        )
        for state in states
    ]
    return (await desk.record(*drafts)).seqs


async def reach(desk: Desk, mandate: Mandate) -> tuple[Reach, ...]:
    """The open trades within a mandate's bounds that its rules would act on now, and those they cannot judge at the moment."""
    looked = [one for one in await look_over(desk, account=mandate.account) if _within(mandate, one)]
    return tuple(
        Reach(looked=one, rule=item.name, reason="" if judgement is None else judgement.reason)
        for item in _rules(desk, mandate)
        for one, judgement in due_now(desk, looked, item)
        if judgement is None or judgement.decision is not Decision.LOOK
    )


def new_mandate_id(desk: Desk) -> str:
    """An id no mandate of this log ever had."""
    return new_id(desk, "M", taken=lambda name: name in desk.fold.mandates(now=desk.now()))


def bounds_facts(desk: Desk, mandate: Mandate) -> tuple[Fact, ...]:
    """Every bound of a mandate, one a line, and the settings it was granted on."""
    points, fraction = mandate.concession_points, mandate.concession_fraction
    says = {item.name: item.says for item in desk.exits}
    return (
        Fact(label="account", value=mandate.account.id, note=mandate.account.env.value),
        Fact(label="may", value=f"{mandate.action.value} a trade by itself, without your press"),
        *(Fact(label="when", value=rule, note=says.get(rule, "")) for rule in mandate.rules),
        Fact(label="trades", value=", ".join(mandate.strategies)),
        Fact(label="on", value="any underlying" if mandate.symbols is None else ", ".join(mandate.symbols)),
        Fact(label="at most", value=units_words(mandate)),
        Fact(label="and", value=f"{mandate.max_orders_per_day} order{'' if mandate.max_orders_per_day == 1 else 's'} a day"),
        Fact(
            label="price", value=f"at worst natural less max({points:.2f}, {fraction:.0%})",
            note="only an urgent exit goes so far; any other stays within the usual guard",
        ),
        Fact(label="until", value=mandate.valid_until),
        *(Fact(label=f"  {key}", value=text, note="") for key, text in sorted(mandate.terms.items())),
    )


def is_lapsed(desk: Desk, state: MandateState) -> bool:
    """Whether a setting it was granted on has changed since, so that it covers nothing."""
    mandate = state.mandate
    return state.lapsed or desk.exit_terms(mandate.rules, mandate.strategies) != dict(mandate.terms)


def units_words(mandate: Mandate) -> str:
    """How much one order may be."""
    return f"{mandate.max_quantity} unit{'' if mandate.max_quantity == 1 else 's'} an order"


def _blocks(desk: Desk, mandate: Mandate, reached: Sequence[Reach], lead: str) -> tuple[Block, ...]:
    blocks: list[Block] = [Notice(text=lead, tone=Tone.WARNING)] if lead else []
    blocks.append(Facts(title=f"Mandate {mandate.id}", facts=bounds_facts(desk, mandate)))
    if not reached:
        blocks.append(Notice(text="No open trade is due under it now.", tone=Tone.INFO))
    else:
        columns = (Column(title="trade"), Column(title="structure"), Column(title="rule"), Column(title="now"))
        rows: list[tuple[Cell, ...]] = []
        for item in reached:
            why = f"due: {item.reason}" if item.reason else "its price is not known now: it may be due"
            rows.append((item.looked.trade.id, item.looked.structure, item.rule, why))
        blocks.append(Table(title="Would act at once on", columns=columns, rows=tuple(rows)))
    revoking = (
        f"Every message of it has a button that revokes it; `mandate revoke {mandate.id}` does too. "
        "It is granted on the settings above: once one of them changes it covers nothing. In HALT it sends nothing; "
        "it works only while the desk runs and is connected."
    )
    blocks.append(Notice(text=revoking, tone=Tone.INFO))
    return tuple(blocks)


def _offered(desk: Desk, mandate_id: str, card: str) -> MandateOffered:
    if mandate_id in desk.fold.mandates(now=desk.now()):
        raise UserError(f"Mandate {mandate_id} was granted already; nothing more was done.", "`mandate list` shows it.")
    offered = desk.fold.mandate_offer
    if offered is None or offered.mandate.id != mandate_id:
        raise UserError(f"There is no card of a mandate {mandate_id!r}; nothing was granted.", "Ask for a fresh card.")
    if not card or not offered.card_hash.startswith(card) or len(card) < HASH_SHOWN:
        raise UserError("That card is not the one on record; nothing was granted.", "Press Grant on the card itself.")
    return offered


async def _stale(desk: Desk, offered: MandateOffered) -> str:
    """Why a card no longer tells the truth, empty where it does."""
    life = timedelta(seconds=desk.settings.desk.whole("ticket_life_seconds"))
    if not offered.expires_at - life <= desk.now() < offered.expires_at:  # before its own time: the clock went back
        return "That card had expired"
    if offered.policy_version != desk.fold.policy_version:
        return "The desk was halted or a setting changed since that card"
    named = set(offered.due_now)
    new = sorted({item.looked.trade.id for item in await reach(desk, offered.mandate) if item.reason} - named)
    return f"It would now also act at once on {', '.join(new)}" if new else ""


def _renewed(desk: Desk, mandate: Mandate) -> Mandate:
    """The same mandate on the settings of now, under a new id: another card, another press."""
    return replace(mandate, id=new_mandate_id(desk), terms=desk.exit_terms(mandate.rules, mandate.strategies))


def _within(mandate: Mandate, one: Looked) -> bool:
    return one.trade.strategy in mandate.strategies and (mandate.symbols is None or one.trade.underlying in mandate.symbols)


def _rules(desk: Desk, mandate: Mandate) -> tuple[Exit, ...]:
    return tuple(item for item in desk.exits if item.name in mandate.rules)
