"""Carries out standing orders: rests targets, watches stops, sends parts. One steward for each account, beside its sender.

Each turn begins with what has ended, then looks at the market once for all of them. What it sends are ordinary orders, judged by the gate
on a fresh view, written ahead, inside the confirmed envelope; two orders of one trade never close it twice: a stop that is touched first
cancels the target, and waits until the broker says so. In HALT nothing is sent: a touched stop becomes a critical alert with buttons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.calendar import session_date
from core.domain.events import Body, Disarmed, Mode, Role, StopMoved, StopTriggered, Submitting
from core.domain.hours import open_together
from core.domain.instruments import Instrument, Option
from core.domain.modes import lets_through, scope_names
from core.domain.orders import Effect, Envelope, Intent, Limit, OrderState
from core.domain.plans import Exits, Sliced, StopTerms
from core.domain.structures import describe_legs
from core.errors import Conflict, DeskError, LeaseLost, Unavailable
from core.market.view import Needs, View
from core.orders import standing as standings
from core.orders import ticket
from core.orders.alarm import raise_alert
from core.orders.closable import position_id
from core.orders.planning import implied_volatility
from core.orders.sender import AccountSender
from core.orders.standing import Standing
from core.orders.states import Order
from core.orders.trigger import Discipline, First, Look, Sight, is_believable, look, see
from core.orders.turning import turn_for_ever
from core.portfolio.book import Book
from core.risk.examine import exam_needs

TURN_SECONDS = 1.0
BETWEEN_TRIES_SECONDS = 60  # after the gate or the broker refused what a standing order wanted to send
MOST_TRIES = 3
ENTRY_MODES = tuple(mode for mode in Mode if lets_through(mode, reducing=False, exits=False, automation=True))
EXIT_MODES = tuple(mode for mode in Mode if lets_through(mode, reducing=True, exits=True, automation=True))


@dataclass(slots=True)
class _Watch:
    """What this process remembers of a standing order between two turns; a restart begins anew."""

    first: First | None = None
    looked_seconds: float = float("-inf")
    tried_seconds: float = float("-inf")
    blind_since_seconds: float | None = None


class Steward:
    """The standing orders of one account."""

    def __init__(self, desk: Desk, sender: AccountSender) -> None:
        self._desk = desk
        self._sender = sender
        self._account: AccountId = sender.account
        self._watches: dict[str, _Watch] = {}
        self._failing: set[str] = set()  # standing orders whose last turn went wrong
        self._turn = desk.runtime.lock()
        self._started = False
        self._one_look = False

    async def run(self) -> None:
        """The background loop. What goes wrong is told once and tried again; a bug leaves the account REDUCING, never the loop dead."""
        name = f"standing orders of {self._account.id}"
        await turn_for_ever(self._desk, name, self.turn, pause_seconds=TURN_SECONDS, after_bug=self._sender.reducing_after)

    async def turn(self, *, one_look: bool = False) -> None:
        """Do all there is to do now. `one_look`: the clock stands or jumps, so an instant has no second look to wait for."""
        async with self._turn:
            self._one_look = one_look or self._desk.runtime.clock.standing
            if not self._sender.may_send_now:
                return  # no complete books in this connection: nothing is known well enough
            await self._end_what_is_over()
            if not self._book.armed:
                self._watches.clear()
                return
            wanted = [item for item in self._book.armed if self._wants_market(item)]
            if not wanted:
                return
            view = await self._desk.reader.view(self._needs(wanted))
            first_turn, self._started = not self._started, True
            for item in wanted:
                try:
                    await self._one(item, view, first_turn=first_turn)
                except Conflict:
                    continue  # the log moved on meanwhile: the next turn sees it
                except Unavailable as error:
                    await self._cannot(item, str(error))
                except LeaseLost:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever ails one must not leave the others unwatched
                    await self._failed(item, error)
                else:
                    self._failing.discard(item.id)

    async def _failed(self, item: Standing, error: Exception) -> None:
        """Told once until it goes well again; after a bug only what reduces risk passes."""
        if item.id in self._failing:
            return
        self._failing.add(item.id)
        if isinstance(error, DeskError | TimeoutError | OSError):
            self._desk.runtime.report(f"standing order {item.id}", error)
        else:
            await self._sender.reducing_after(self._desk.report(f"standing order {item.id}", error))

    # --- what is over --------------------------------------------------------------------------------------------------

    async def _end_what_is_over(self) -> None:
        for order in tuple(self._book.live.values()):
            over = self._book.standing.get(order.standing_id or "")
            if over is not None and not over.is_live:
                await self._cancel((order,), f"{over.id} is {over.state}")
        for item in self._book.armed:
            children = standings.live_children(item, self._book.orders)
            end = self._end_of(item)
            if end is not None:
                await self._record(Disarmed(standing_id=item.id, outcome=end[0], reason=end[1]), item)
                await self._cancel(children, end[1])

    def _end_of(self, item: Standing) -> tuple[str, str] | None:
        """(outcome, reason) where a standing order has ended, None where it goes on."""
        now = self._desk.now()
        last = min((leg.instrument.last_trade_at for leg in item.envelope.legs if isinstance(leg.instrument, Option)), default=None)
        if last is not None and now >= last:
            return "expired", "its contracts have stopped trading"
        if item.role is Role.PARTS:
            return self._end_of_parts(item, now)
        if standings.filled(item, self._book.orders) >= item.envelope.quantity:
            return "done", "all it was for is closed"  # more may be held: what is left of the trade is not covered by it
        parent = self._book.orders.get(item.parent or "")
        if item.parent is not None and (parent is None or (parent.state.terminal and not parent.filled)):
            return ("cancelled", "the entry it belongs to came to nothing") if parent is not None else None
        if parent is not None and not parent.state.terminal:
            return None
        if self._held_units(item) > 0 or any(not self._book.orders[name].state.terminal for name in item.children):
            return None
        left = self._left_of(item)
        if not left:
            return "done", "what it was to close is closed"
        if any(order.trade_id == item.trade_id for order in self._book.live.values()):
            return None  # legs that come one by one: once that order is over it is known what is left
        return "refused", f"its legs came apart; {left} is left, which it cannot close"

    def _end_of_parts(self, item: Standing, now: datetime) -> tuple[str, str] | None:
        if standings.filled(item, self._book.orders) >= item.envelope.quantity:
            return "done", "all parts are filled"
        if item.closes and self._held_units(item) == 0 and not standings.live_children(item, self._book.orders):
            return "done", "what it was to close is closed"
        if session_date(now) != session_date(item.armed_at):
            return "expired", "its session is over"
        if not item.closes:
            mode, reason = self._mode(item)
            if mode not in ENTRY_MODES:
                return "cancelled", f"the desk is in {mode.value.upper()}: {reason}"
        return None

    # --- one standing order --------------------------------------------------------------------------------------------

    async def _one(self, item: Standing, view: View, *, first_turn: bool) -> None:
        envelope = standings.child_envelope(item, self._book.orders)
        if envelope is None or self._unknown(item):
            return
        if item.role is Role.PARTS:
            await self._parts(item, envelope, view)
        elif item.role is Role.TARGET:
            await self._target(item, envelope, view)
        elif item.triggered_at is None:
            await self._watch(item, envelope, view, first_turn=first_turn)
        if item.role is Role.STOP and self._book.standing[item.id].triggered_at is not None:
            await self._exit(self._book.standing[item.id], envelope, view)

    async def _target(self, item: Standing, envelope: Envelope, view: View) -> None:
        """Rest an order for what is held and not yet covered by one; too much of it working is taken back first."""
        if self._mode(item)[0] not in EXIT_MODES:
            return
        orders, working = self._book.orders, standings.live_children(item, self._book.orders)
        wanted = min(self._held_units(item), item.envelope.quantity)
        leaves = sum(order.leaves for order in working)
        if any(order.uneven for order in working):
            return  # it fills leg by leg: to take back what is left of it would leave one leg without the other
        if leaves > wanted:
            await self._cancel(working, "less is held than the target would close")
            return
        if leaves == wanted or self._closing_elsewhere(item) or self._stop_runs(item) or open_together(_items(envelope), view.at) is None:
            return
        units = min(wanted - leaves, standings.left_to_send(item, orders))
        await self._send(item, envelope, units, standings.sent_range(item, envelope)[0], view)

    async def _watch(self, item: Standing, envelope: Envelope, view: View, *, first_turn: bool) -> None:
        """One look at a stop: its level may follow, it may be touched, and what keeps it from being judged is told."""
        watch, seconds = self._watches.setdefault(item.id, _Watch()), self._desk.runtime.seconds()
        if seconds - watch.looked_seconds < self._whole("stop_check_seconds") and not self._one_look:
            return
        watch.looked_seconds = seconds
        terms, sight = _terms(envelope), self._see(envelope, view)
        item = await self._follow(item, terms, sight)
        level = self._level(item, envelope, view)
        if self._held_units(item) == 0:
            return
        before = watch.first
        found, watch.first = look(sight, level=level, first=watch.first, discipline=self._discipline)
        await self._blind(item, sight, watch)
        if found is Look.FIRST and first_turn and before is None:
            await self._alert(
                item, "passed", "high",
                f"The stop of {self._name(item)} was passed while the desk was away: closing costs {_money(sight.mid)}, the stop is "
                f"{_money(level)}. It is looked at once more before anything is sent.",
            )
        if found in (Look.ONE_SIDED, Look.WAITING) and sight.mid is not None:
            await self._doubtful(item, sight, level, found)
        if found is Look.TOUCHED and watch.first is not None and sight.mid is not None:
            body = StopTriggered(standing_id=item.id, level=level, mid=sight.mid, first_mid=watch.first.mid, first_at=watch.first.at)
            await self._record(body, item)

    async def _blind(self, item: Standing, sight: Sight, watch: _Watch) -> None:
        """A stop whose price cannot be seen in open trading is told after a while, once a session."""
        if sight.opened_at is None or sight.mid is not None:
            watch.blind_since_seconds = None
            return
        seconds = self._desk.runtime.seconds()
        since = watch.blind_since_seconds = seconds if watch.blind_since_seconds is None else watch.blind_since_seconds
        early = (sight.at - sight.opened_at).total_seconds() < self._whole("stop_opening_seconds")
        if not early and seconds - since >= self._whole("stop_gap_seconds"):
            await self._cannot(item, sight.why)

    async def _follow(self, item: Standing, terms: StopTerms, sight: Sight) -> Standing:
        """A trailing stop saw a better mid, in a market one can believe."""
        if terms.trail is None or sight.mid is None or (item.best is not None and sight.mid <= item.best):
            return item
        if not is_believable(sight, self._discipline):
            return item  # a level that rose on a price nobody trades at would never come back
        level = terms.level_now(best=sight.mid)
        best = item.best
        if best is None or level > terms.level_now(best=best):
            await self._record(StopMoved(standing_id=item.id, best=sight.mid, level=level), item)
        return self._book.standing[item.id]

    async def _exit(self, item: Standing, envelope: Envelope, view: View) -> None:
        """Close what a touched stop is for: cancel what else would close it, send, and walk the price to natural."""
        mode, reason = self._mode(item)
        if mode not in EXIT_MODES:
            await self._alert(
                item, f"halted:{session_date(self._desk.now())}", "critical",
                f"The stop of {self._name(item)} is touched, and the desk is in {mode.value.upper()} ({reason}): nothing is sent. "
                "Close it yourself, or lift the halt.", close=True,
            )
            return
        working = standings.live_children(item, self._book.orders)
        for order in working:
            await self._walk(item, envelope, order, view)
        if working:
            return
        others = self._others_closing(item)
        if others:
            await self._cancel(others, f"the stop {item.id} is touched")
            await self._still_waits(item, others)
            return  # what they filled meanwhile is known by the next turn
        units = min(self._held_units(item), standings.left_to_send(item, self._book.orders))
        sight = self._see(envelope, view)
        if self._closing_elsewhere(item):
            await self._alert(
                item, f"busy:{self._closers(item)[0].client_id}", "critical",
                f"The stop of {self._name(item)} is touched while your own order {self._closers(item)[0].client_id} works to close it. "
                "Both would close it twice: the stop waits until yours is filled or cancelled.", cancel=self._closers(item)[0].client_id,
            )
            return
        if units < 1:
            return
        if sight.mid is None:
            await self._alert(
                item, f"unpriced:{session_date(self._desk.now())}", "critical",
                f"The stop of {self._name(item)} is touched and cannot be sent: {sight.why}. It is sent as soon as it can be priced.",
                close=True,
            )
            return
        if not item.children and not self._still_touched(item, envelope, view, sight):
            return
        best, worst = standings.sent_range(item, envelope)
        limit = min(best, max(worst, standings.on_step(envelope.legs, sight.mid, up=True)))
        await self._send(item, envelope, units, limit, view)

    def _still_touched(self, item: Standing, envelope: Envelope, view: View, sight: Sight) -> bool:
        """Whether a touch that nothing could be sent for, in HALT or without a link, is true of now; an old one is looked at anew."""
        waited = (self._desk.now() - (item.triggered_at or self._desk.now())).total_seconds()
        if 0 <= waited <= self._discipline.longest_gap_seconds:
            return True
        watch, level = self._watches.setdefault(item.id, _Watch()), self._level(item, envelope, view)
        found, watch.first = look(sight, level=level, first=watch.first, discipline=self._discipline)
        return found is Look.TOUCHED

    async def _still_waits(self, item: Standing, others: Sequence[Order]) -> None:
        """A cancel that is not proved holds the stop up: a person is told after a while."""
        waited = (self._desk.now() - (item.triggered_at or self._desk.now())).total_seconds()
        if waited >= self._whole("stop_patience_seconds"):
            names = ", ".join(order.client_id for order in others)
            await self._alert(
                item, f"waits:{names}", "critical",
                f"The stop of {self._name(item)} is touched and waits: order {names} is to be cancelled first, and the broker has not said "
                "that it is. Look at the broker's own screen.",
            )

    async def _walk(self, item: Standing, envelope: Envelope, order: Order, view: View) -> None:
        """From mid to natural in `stop_walk_seconds`; unfilled there for `stop_patience_seconds` a person is asked."""
        sight = self._see(envelope, view)
        if sight.mid is None or sight.natural is None or order.state not in (OrderState.WORKING, OrderState.PARTIALLY_FILLED):
            return
        waited = (self._desk.now() - order.submitted_at).total_seconds()
        part = min(Decimal(1), Decimal(max(0, int(waited))) / self._whole("stop_walk_seconds"))
        if self._one_look:
            part = Decimal(1)
        worst = standings.sent_range(item, envelope)[1]
        wanted = max(worst, standings.on_step(envelope.legs, sight.mid - (sight.mid - sight.natural) * part, up=False))
        if wanted < order.limit:
            await self._sender.replace(order.client_id, wanted)
        patience = self._whole("stop_walk_seconds") + self._whole("stop_patience_seconds")
        if waited >= patience:
            await self._alert(
                item, f"stuck:{order.client_id}", "critical",
                f"The stop of {self._name(item)} is sent and not filled after {waited:.0f} s: it offers {_money(order.limit)}, the market "
                f"asks {_money(sight.natural)}, and it never goes beyond {_money(worst)}.", close=True, natural=sight.natural,
            )

    async def _parts(self, item: Standing, envelope: Envelope, view: View) -> None:
        """Send what is due of an order in parts; what one part did not fill is taken back and sent with the next."""
        plan = envelope.plan
        assert isinstance(plan, Sliced)
        orders, working = self._book.orders, standings.live_children(item, self._book.orders)
        elapsed = (self._desk.now() - item.armed_at).total_seconds()
        due = standings.parts_due(plan, item.envelope.quantity, elapsed_seconds=elapsed, filled_units=standings.filled(item, orders))
        missing = due - standings.committed(item, orders)
        if item.closes:  # what else was closed of it meanwhile is not closed again
            missing = min(missing, self._held_units(item) - sum(order.leaves for order in working))
        for order in working:
            await self._walk_part(plan, order)
        if missing < 1 or open_together(_items(envelope), view.at) is None:
            return
        if working and not plan.show:
            await self._cancel(working, "its part of the time is over; what is left goes with the next part")
            return
        if working:
            return
        sight = self._see(envelope, view)
        if sight.mid is None:
            return
        limit = min(plan.start, max(plan.worst, standings.on_step(envelope.legs, sight.mid, up=True)))
        await self._send(item, envelope, missing, limit, view)

    async def _walk_part(self, plan: Sliced, order: Order) -> None:
        """Each part walks from where it began to the worst price within its time."""
        seconds = standings.part_seconds(plan) or self._desk.settings.desk.whole("walk_seconds")
        waited = (self._desk.now() - order.submitted_at).total_seconds()
        part = min(Decimal(1), Decimal(max(0, int(waited))) / Decimal(max(1, seconds)))
        wanted = standings.on_step(order.envelope.legs, plan.start - (plan.start - plan.worst) * part, up=False)
        wanted = max(plan.worst, wanted)
        if wanted < order.limit and order.state in (OrderState.WORKING, OrderState.PARTIALLY_FILLED):
            await self._sender.replace(order.client_id, wanted)

    # --- sending -------------------------------------------------------------------------------------------------------

    async def _send(self, item: Standing, envelope: Envelope, units: int, limit: Decimal, view: View) -> None:
        """One order of a standing order: judged on a fresh view, written ahead, sent. A refusal is told and tried again a few times."""
        watch, desk = self._watches.setdefault(item.id, _Watch()), self._desk
        wait = BETWEEN_TRIES_SECONDS if watch.tried_seconds > float("-inf") else 0
        if units < 1 or desk.runtime.seconds() - watch.tried_seconds < wait:
            return
        failed = self._failures(item)
        if failed >= MOST_TRIES:
            reason = f"refused {failed} times: {self._book.orders[item.children[-1]].reason or 'see its orders'}"
            await self._record(Disarmed(standing_id=item.id, outcome="refused", reason=reason), item)
            return
        press = desk.fold.tickets.get(item.ticket_id)
        if press is None or press.confirmed is None:
            raise Unavailable(f"the confirmation of {item.id}", why="it is not in the log")
        async with desk.lane(self._account):
            item = self._book.standing[item.id]
            if units > standings.left_to_send(item, self._book.orders):
                return  # it was cancelled, or sent for, while the lane was taken
            if standings.child_envelope(item, self._book.orders) != envelope:
                return  # its entry filled further meanwhile, and its prices follow from what that was filled at
            intent = Intent(
                account=self._account, legs=envelope.legs, quantity=units, plan=Limit(start=limit, worst=limit), strategy=envelope.strategy,
                trade_id=envelope.trade_id or item.trade_id, quantity_said=True,
            )
            priced = await ticket.price(desk, intent, limit=limit, envelope=envelope, of=item, second_order=True)
            if priced.exam.book is not self._book:
                return  # something was filled or sent meanwhile: what is still to be done is counted anew by the next turn
            if not priced.verdict.allowed:
                watch.tried_seconds = desk.runtime.seconds()
                await self._refused(item, priced.verdict.reason)
                return
            client_id = ticket.new_order_id(desk)
            body = Submitting(
                client_id=client_id, ticket_id=item.ticket_id, account=self._account, envelope=envelope, envelope_hash=envelope.hash,
                limit=limit, quantity=units, trade_id=item.trade_id, reducing=priced.verdict.reducing, exits=priced.exam.exits,
                standing_id=item.id, mid=priced.exam.mid, natural=priced.exam.natural,
            )
            await self._record(body, item, expected_seq=desk.fold.seq)
        confirmed = ticket.Confirmed(client_id=client_id, ticket=press, verdict=priced.verdict, seqs=())
        order = await self._sender.send(confirmed)
        watch.tried_seconds = desk.runtime.seconds() if order.ended in ("denied", "rejected") else float("-inf")
        if order.ended in ("denied", "rejected"):
            await self._refused(item, order.reason)

    async def _refused(self, item: Standing, why: str) -> None:
        urgent = "critical" if item.role is Role.STOP else "high"
        await self._alert(
            item, f"refused:{session_date(self._desk.now())}:{why[:80]}", urgent,
            f"{_ROLE_WORDS[item.role].capitalize()} of {self._name(item)} could not be sent: {why}. It is tried again.",
            close=item.closes,
        )

    def _failures(self, item: Standing) -> int:
        """Orders at its end in a row that were refused and filled nothing."""
        count = 0
        for name in reversed(item.children):
            order = self._book.orders.get(name)
            if order is None or order.ended not in ("denied", "rejected") or order.live_fills:
                break
            count += 1
        return count

    async def _cancel(self, orders: Sequence[Order], why: str) -> None:
        for order in orders:
            if not order.cancel_asked:  # the sender itself asks again until the broker has said so
                await self._sender.cancel(order.client_id, why)

    # --- what is known -------------------------------------------------------------------------------------------------

    @property
    def _book(self) -> Book:
        return self._desk.book(self._account)

    @property
    def _discipline(self) -> Discipline:
        return Discipline(
            gap_seconds=self._whole("stop_gap_seconds"), opening_seconds=self._whole("stop_opening_seconds"),
            spread_fraction=self._desk.settings.desk.number("stop_spread_fraction"),
            looks=1 if self._one_look else 2,
        )

    def _whole(self, name: str) -> int:
        return self._desk.settings.desk.whole(name)

    def _wants_market(self, item: Standing) -> bool:
        """Whether this turn has to look at the market for it: a target that rests needs nobody."""
        if item.role is Role.PARTS or item.triggered_at is not None or self._one_look:
            return True
        if item.role is Role.STOP:
            watch = self._watches.get(item.id)
            return watch is None or self._desk.runtime.seconds() - watch.looked_seconds >= self._whole("stop_check_seconds")
        working = sum(order.leaves for order in standings.live_children(item, self._book.orders))
        return working != min(self._held_units(item), item.envelope.quantity)

    def _needs(self, wanted: Sequence[Standing]) -> Needs:
        needs = Needs()
        for item in wanted:
            envelope = standings.child_envelope(item, self._book.orders) or item.envelope
            intent = Intent(account=self._account, legs=envelope.legs, quantity=1, plan=envelope.plan, strategy=envelope.strategy)
            needs = needs | exam_needs(intent, self._book, self._desk.now())
        return needs

    def _see(self, envelope: Envelope, view: View) -> Sight:
        span = open_together(_items(envelope), view.at)
        return see(
            envelope.legs, view, opened_at=None if span is None else span[0], stale_seconds=float(self._whole("stop_quote_seconds"))
        )

    def _level(self, item: Standing, envelope: Envelope, view: View) -> Decimal:
        terms = _terms(envelope)
        iv = implied_volatility(envelope.legs, view) if terms.scale is not None else None
        return terms.level_now(best=item.best, iv=iv)

    def _mode(self, item: Standing) -> tuple[Mode, str]:
        keys = scope_names(item.envelope.legs)
        return self._desk.mode(account=self._account, strategy=item.envelope.strategy, keys=keys)

    def _held_units(self, item: Standing) -> int:
        """Units of the trade that are held, whatever is being closed."""
        trade = self._book.trades.get(item.trade_id)
        envelope = standings.child_envelope(item, self._book.orders) or item.envelope
        units = []
        for leg in envelope.legs:
            held = self._book.positions.get(leg.instrument.key)
            change = leg.contracts(1)
            units.append(0 if held is None or held.quantity * change >= 0 else abs(held.quantity) // abs(change))
        most = min(units, default=0)
        return most if trade is None else min(most, trade.open_units)

    def _left_of(self, item: Standing) -> str:
        """What its trade still holds of its contracts, in words."""
        state, keys = self._book.holding.get(item.trade_id), {leg.instrument.key for leg in item.envelope.legs}
        held = {} if state is None else state.held
        parts = [f"{count:+d} {getattr(thing, 'label', thing.key)}" for key, (thing, count) in held.items() if key in keys]
        return ", ".join(parts)

    def _closers(self, item: Standing) -> list[Order]:
        """Other live orders that close any of its contracts, but for those that close what another trade holds of them."""
        keys = {leg.instrument.key for leg in item.envelope.legs}
        return [
            order for order in self._book.live.values()
            if order.standing_id != item.id and not self._closes_another(order, item)
            and any(leg.instrument.key in keys and leg.effect is Effect.CLOSE for leg in order.envelope.legs)
        ]

    def _closes_another(self, order: Order, item: Standing) -> bool:
        """Whether an order closes no more than another open trade holds: the gate leaves that trade its contracts."""
        trade = self._book.trades.get(order.trade_id)
        return trade is not None and trade.id != item.trade_id and order.leaves <= trade.open_units

    def _others_closing(self, item: Standing) -> list[Order]:
        """What a touched stop takes back first: the target of the same trade, and an entry that still works."""
        found = [order for order in self._book.live.values() if order.standing_id != item.id and self._is_mate(order, item)]
        parent = self._book.live.get(item.parent or "")
        return found if parent is None else [*found, parent]

    def _closing_elsewhere(self, item: Standing) -> bool:
        """A person's own order closes it now: what a standing order would send would close it twice."""
        return any(not self._is_mate(order, item) for order in self._closers(item))

    def _is_mate(self, order: Order, item: Standing) -> bool:
        """Whether an order was sent for a standing order of the same trade's contracts."""
        other = self._book.standing.get(order.standing_id or "")
        return other is not None and standings.same_holding(other.envelope, other.trade_id, item)

    def _stop_runs(self, item: Standing) -> bool:
        return any(
            other.role is Role.STOP and other.triggered_at is not None and standings.same_holding(other.envelope, other.trade_id, item)
            for other in self._book.armed
        )

    def _unknown(self, item: Standing) -> bool:
        return any(order.unknown for order in standings.live_children(item, self._book.orders))

    # --- telling -------------------------------------------------------------------------------------------------------

    async def _doubtful(self, item: Standing, sight: Sight, level: Decimal, found: Look) -> None:
        if found is Look.WAITING and sight.opened_at is not None:
            early = (sight.at - sight.opened_at).total_seconds() < self._whole("stop_opening_seconds")
            if early:
                return
        why = "nobody is on the other side" if found is Look.ONE_SIDED else "the spread is too wide to believe the mid"
        await self._alert(
            item, f"doubtful:{session_date(self._desk.now())}", "high",
            f"The stop of {self._name(item)} would be touched (mid {_money(sight.mid)}, stop {_money(level)}), but {why}. "
            "Nothing is sent until the market is better.", close=True,
        )

    async def _cannot(self, item: Standing, why: str) -> None:
        await self._alert(
            item, f"blind:{session_date(self._desk.now())}", "high",
            f"{_ROLE_WORDS[item.role].capitalize()} of {self._name(item)} cannot be watched: {why}.", close=item.closes,
        )

    async def _alert(
        self, item: Standing, what: str, urgency: str, text: str, *, close: bool = False, natural: Decimal | None = None,
        cancel: str | None = None,
    ) -> None:
        buttons = {}
        if cancel is not None:
            buttons[f"Cancel {cancel}"] = f"cancel {cancel}"
        if close:
            buttons["Close it"] = f"close position_id={self._close_id(item)}"
        if natural is not None and natural < 0:
            more = standings.on_step(item.envelope.legs, natural - max(Decimal("0.10"), abs(natural) / 10), up=False)
            buttons[f"Pay up to {-more:.2f}"] = f"close position_id={self._close_id(item)} limit={-more:.2f}"
        buttons["Positions"] = "positions"
        await raise_alert(self._desk, f"{item.id}:{what}", urgency=urgency, text=text, account=self._account, buttons=buttons)

    def _name(self, item: Standing) -> str:
        known = f" (trade {item.trade_id})" if item.trade_id in self._book.trades else ""
        return f"{describe_legs(item.envelope.legs)}{known}"

    def _close_id(self, item: Standing) -> str:
        """How `close` names it: by its trade, or by its contract where no trade of this desk opened it."""
        return item.trade_id if item.trade_id in self._book.trades else position_id(item.envelope.legs[0].instrument)

    async def _record(self, body: Body, item: Standing, *, expected_seq: int | None = None) -> None:
        correlation = body.client_id if isinstance(body, Submitting) else item.id
        draft = self._desk.draft(
            body, actor=f"standing:{item.id}", stream=str(self._account), causation=item.ticket_id, correlation=correlation
        )
        await self._desk.record(draft, expected_seq=expected_seq)


_ROLE_WORDS = {Role.TARGET: "the target", Role.STOP: "the stop", Role.PARTS: "the order in parts"}


def _items(envelope: Envelope) -> list[Instrument]:
    return [leg.instrument for leg in envelope.legs]


def _terms(envelope: Envelope) -> StopTerms:
    plan = envelope.plan
    if not isinstance(plan, Exits) or plan.stop is None:
        raise TypeError("this standing order has no stop")
    return plan.stop


def _money(price: Decimal | None) -> str:
    """A net price of closing, in words: 3.60 to pay, or 1.20 received."""
    if price is None:
        return "nothing known"
    return f"{-price:.2f}" if price < 0 else f"{price:.2f} received"
