"""The exits at work: every open trade looked at again and again, and what is due told, prepared or, under a mandate, done.

A round asks every exit of every open trade in one fresh view. Of several that are due the most urgent speaks. Nothing is done for a
trade that an order is closing already, and a person's own standing exit silences the rule it stands for; a target that only rests silences
no other. A careful exit (a stop) acts by the trigger discipline: two looks, not just after the open, in a market one can believe; where its
price cannot be seen a person is told.

What stands told is in the log, so a restart repeats no news but what must be answered, and what was passed while the desk was down is
told first of all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.autonomy import ExitTold, exit_key
from core.command import Caller, Via
from core.desk import Desk
from core.domain.events import ExitDue, ExitOver
from core.domain.hours import open_together
from core.domain.mandates import Rung
from core.domain.orders import Intent
from core.errors import DeskError, Unavailable, UserError
from core.exits import Decision, Exit, Judgement
from core.logs import Level
from core.orders.automatic import NOT_ONE_ORDER, confirm_by_mandate, mandate_for, rule_of, tell_stuck
from core.orders.exit_view import Looked, ask, look_over
from core.orders.ticket import Confirmed, draft
from core.orders.trigger import Discipline, First, Look, look, see

BY_CLOCK = Caller(person="clock", via=Via.CLOCK, chat="")
WORD_STANDS = timedelta(minutes=5)  # a price that comes and goes does not ring each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An exit that speaks: what it says, and whether it may be acted on now or only told."""

    item: Exit
    judgement: Judgement
    touched: bool = True


class ExitLoop:
    """The exits of a desk, with what they must remember between two looks."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._firsts: dict[str, First] = {}
        self._blind_since: dict[str, datetime] = {}
        self._checked_at: datetime | None = None
        self._started = False
        self._one_look = False

    @property
    def due(self) -> bool:
        """Whether it is time for the next round, by the desk's clock."""
        if self._checked_at is None:
            return True
        gone_seconds = (self._desk.now() - self._checked_at).total_seconds()
        return not 0 <= gone_seconds < self._desk.settings.desk.whole("exit_check_seconds")

    async def round(self, *, one_look: bool = False) -> tuple[str, ...]:
        """Look at every open trade once; returns a sentence for each exit that stands told. One trade's trouble holds up no other.

        `one_look`: the clock stands or jumps, so an instant has no second look to wait for.
        """
        desk = self._desk
        self._one_look = one_look or desk.runtime.clock.standing
        now = self._checked_at = desk.now()
        books = desk.books.accounts.values()
        await self._forget_closed({trade.id for book in books for trade in book.open_trades})
        open_now = any(open_together([item for item, _ in held.values()], now) for book in books for held in book.held_by_trade.values())
        if desk.lease_lost or not open_now:
            return ()
        looked = await look_over(desk)
        for one in looked:
            try:
                await self._trade(one)
            except (DeskError, TimeoutError, OSError) as error:
                desk.runtime.report(f"exits of {one.trade.id}", error)
            except Exception as error:  # noqa: BLE001 - a bug must not silence the other trades' exits: it is told, entries stop
                await desk.senders[one.account].reducing_after(desk.report(f"exits of {one.trade.id}", error))
        self._started = True
        return tuple(f"{told.due.trade_id}: {told.due.reason}" for told in desk.fold.exits.values())

    # --- one trade -----------------------------------------------------------------------------------------------------

    async def _trade(self, one: Looked) -> None:
        if one.closing and one.opened_at is not None:
            await tell_stuck(self._desk, one)
        found = [due for item in self._desk.exits if (due := await self._judged(one, item)) is not None]
        ready = [due for due in found if due.touched or due.judgement.decision is Decision.LOOK]
        if ready:
            await self._act(one, ready[0])

    async def _judged(self, one: Looked, item: Exit) -> Due | None:
        """What an exit says of a trade now, None where it is silent; ends what it had told where that is over."""
        key = exit_key(one.trade.id, item.name)
        told = self._desk.fold.exits.get(key)
        if not self._concerns(one, item):
            if told is not None:
                await self._over(told, "it is no longer watched by this rule")
            return None
        if one.opened_at is None:
            return None  # its market is closed: what is told stands, and nothing new is found
        try:
            judgement = ask(self._desk, one, item, told=told is not None)
        except Unavailable as error:
            return self._blind(key, one, item, str(error))
        self._blind_since.pop(key, None)
        if not judgement.due:
            self._firsts.pop(key, None)
            if told is not None:
                await self._over(told, judgement.reason)
            return None
        return self._carefully(key, one, item, judgement, told)

    def _concerns(self, one: Looked, item: Exit) -> bool:
        strategy = one.trade.strategy
        states = self._desk.fold.mandates(now=self._desk.now()).values()
        named = any(state.in_force and item.name in state.mandate.rules and strategy in state.mandate.strategies for state in states)
        return item.serves(strategy) and (named or item.rung(strategy) is not Rung.OFF) and not one.has_standing(item.module.COVERED_BY)

    def _blind(self, key: str, one: Looked, item: Exit, why: str) -> Due | None:
        """A careful exit that cannot see its price twice in a row is told; any other waits for the next look."""
        if not item.module.CAREFUL:
            return None
        now, opened_at = self._desk.now(), one.opened_at
        since = self._blind_since.setdefault(key, now)
        discipline = self._discipline()
        early = opened_at is None or (now - opened_at).total_seconds() < discipline.opening_seconds
        if early or (now - since).total_seconds() < discipline.gap_seconds * (discipline.looks - 1):
            return None
        unseen = Judgement(decision=Decision.LOOK, measured="unknown", limit="a price", reason=f"{item.name} cannot be watched: {why}")
        return Due(item=item, judgement=unseen, touched=False)

    def _carefully(self, key: str, one: Looked, item: Exit, judgement: Judgement, told: ExitTold | None) -> Due | None:
        """Hold a careful exit to the trigger discipline; others pass as they are."""
        if not item.module.CAREFUL or judgement.level is None:
            return Due(item=item, judgement=judgement)
        closing = one.closable
        if closing is None:
            return Due(item=item, judgement=_to_look_at(judgement, NOT_ONE_ORDER), touched=False)
        stale_seconds = self._desk.settings.desk.whole("stop_quote_seconds")
        sight = see(closing.legs, one.view, opened_at=one.opened_at, stale_seconds=stale_seconds)
        found, first = look(sight, level=judgement.level, first=self._firsts.get(key), discipline=self._discipline())
        if found is Look.TOUCHED and sight.mid is not None:
            self._firsts[key] = First(at=sight.at, mid=sight.mid)  # the next look is compared with this one
            return Due(item=item, judgement=judgement)
        if first is None:
            self._firsts.pop(key, None)
        else:
            self._firsts[key] = first
        if found is Look.ONE_SIDED:
            return Due(item=item, judgement=_to_look_at(judgement, "nobody trades one side of it, so it is not acted on"), touched=False)
        return Due(item=item, judgement=judgement, touched=False) if told is not None else None

    # --- acting --------------------------------------------------------------------------------------------------------

    async def _act(self, one: Looked, due: Due) -> None:
        """Do it under a mandate, or tell a person."""
        desk, reason = self._desk, due.judgement.reason
        if one.closing:
            await self._while_closing(one, due)
            return
        note, told = "", desk.fold.exits.get(exit_key(one.trade.id, due.item.name))
        answered = told is not None and told.is_put_off(desk.now())  # a person who puts it off, or leaves it, has decided
        if due.judgement.decision is Decision.CLOSE and not answered:
            intent = one.intent(f"{due.item.name}: {reason}")
            mandate_id, note = mandate_for(desk, one, due.item.name, intent)
            if mandate_id is not None and intent is not None:
                note = await self._send(intent, mandate_id, due)
                if not note:
                    return
        await self._tell(one, due, note)

    async def _send(self, intent: Intent, mandate_id: str, due: Due) -> str:
        """Confirm under the mandate and send; returns why not, empty where it was sent."""
        desk, item = self._desk, due.item
        try:
            confirmed = await confirm_by_mandate(
                desk, intent, mandate_id=mandate_id, rule=item.name, evidence=due.judgement.reason, urgent=item.module.PAYS_UP
            )
        except (UserError, Unavailable) as error:
            return str(error)
        if not isinstance(confirmed, Confirmed):
            return confirmed
        desk.log(Level.WARNING, "mandate acts", mandate=mandate_id, rule=item.name, order=confirmed.client_id, trade=intent.trade_id)
        await desk.senders[intent.account].send(confirmed)
        return ""

    async def _while_closing(self, one: Looked, due: Due) -> None:
        """An order is closing it already. A stop's outranks a mandate's profit order, which is cancelled first; a person's never is.

        What must be answered is told beside a person's own order too: that may stand far from the market.
        """
        item = due.item
        if not due.touched or due.judgement.decision is not Decision.CLOSE:
            return
        urgency = {exit_.name: exit_.module.URGENCY for exit_ in self._desk.exits}
        for order in one.closing:
            rule = rule_of(self._desk, order)
            if order.mandate is None:
                if item.module.CAREFUL or item.repeat_minutes > 0:
                    await self._tell(one, due, f"your order {order.client_id} works to close it, at {_words(order.limit)}")
            elif item.module.CAREFUL and urgency.get(rule, item.module.URGENCY) < item.module.URGENCY and not order.cancel_asked:
                reason = f"{item.name} outranks {rule}: {due.judgement.reason}"
                await self._desk.senders[one.account].cancel(order.client_id, reason, actor=f"mandate:{order.mandate}")

    # --- telling -------------------------------------------------------------------------------------------------------

    async def _tell(self, one: Looked, due: Due, note: str) -> None:
        """Record what is due, once, and again as often as its setting says; with a ready ticket where the ladder says so."""
        item, judgement = due.item, due.judgement
        told = self._desk.fold.exits.get(exit_key(one.trade.id, item.name))
        if told is not None and not self._again(told, item, judgement):
            return
        ready = item.rung(one.trade.strategy) is Rung.CONFIRM or bool(note)  # what a mandate would have done is at least made ready
        ticket_id = None
        if ready and judgement.decision is Decision.CLOSE and not one.closing and not one.acting:
            ticket_id, trouble = await self._ready_ticket(one, judgement, note)
            note = "; ".join(part for part in (note, trouble) if part)
        body = ExitDue(
            account=one.account, trade_id=one.trade.id, rule=item.name, decision=judgement.decision.value, reason=judgement.reason,
            rung=Rung.SUGGEST if ticket_id is None else Rung.CONFIRM, times=1 if told is None else told.due.times + 1,
            must=item.repeat_minutes > 0, ticket_id=ticket_id, note=note,
        )
        await self._record(body, one.trade.id)

    def _again(self, told: ExitTold, item: Exit, judgement: Judgement) -> bool:
        now = self._desk.now()
        waited = now - told.told_at
        changed = told.due.decision != judgement.decision.value
        if changed and (judgement.decision is not Decision.LOOK or waited >= WORD_STANDS):
            return True
        if told.is_put_off(now):
            return False
        if not self._started:
            return True  # what was passed is told first of all after a start
        return item.repeat_minutes > 0 and not timedelta(0) <= waited < timedelta(minutes=item.repeat_minutes)

    async def _ready_ticket(self, one: Looked, judgement: Judgement, note: str) -> tuple[str | None, str]:
        """Draw a card that closes the trade, and says why no mandate did; returns its ticket, or why there is none."""
        intent = one.intent(judgement.reason)
        if intent is None:
            return None, NOT_ONE_ORDER
        if not self._desk.senders[one.account].may_send_now:
            return None, f"nothing can be sent now: {self._desk.mode(account=one.account)[1]}"
        try:
            by_itself = f" Not done by itself: {note}." if note else ""
            card = await draft(self._desk, intent, BY_CLOCK, lead=f"{one.name}: {judgement.reason}.{by_itself}")
        except (UserError, Unavailable) as error:
            return None, str(error)
        ticket_id = str(card.data["ticket"])
        self._desk.keep_card(ticket_id, card)
        return ticket_id, ""

    async def _over(self, told: ExitTold, reason: str) -> None:
        due = told.due
        await self._record(ExitOver(account=due.account, trade_id=due.trade_id, rule=due.rule, reason=reason), due.trade_id)

    async def _forget_closed(self, open_trades: set[str]) -> None:
        for told in tuple(self._desk.fold.exits.values()):
            trade = self._desk.books.trade(told.due.trade_id)
            if told.due.trade_id not in open_trades and (trade is None or not trade.is_open):
                await self._over(told, "the trade is closed")

    # --- inside --------------------------------------------------------------------------------------------------------

    async def _record(self, body: ExitDue | ExitOver, trade_id: str) -> None:
        await self._desk.record(self._desk.draft(body, actor=f"rule:{body.rule}", stream=str(body.account), correlation=trade_id))

    def _discipline(self) -> Discipline:
        settings = self._desk.settings.desk
        return Discipline(
            gap_seconds=settings.whole("stop_gap_seconds"), opening_seconds=settings.whole("stop_opening_seconds"),
            spread_fraction=settings.number("stop_spread_fraction"), looks=1 if self._one_look else 2,
        )


def _words(limit: Decimal) -> str:
    return f"{abs(limit):.2f} {'received' if limit > 0 else 'paid'}"


def _to_look_at(judgement: Judgement, why: str) -> Judgement:
    """The same finding for a person to look at, since it cannot be acted on."""
    return replace(judgement, decision=Decision.LOOK, reason=f"{judgement.reason}; {why}")
