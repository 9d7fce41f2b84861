"""What orders and positions ask of a person by the clock, one lookout for each account beside its sender.

An assignment is told in the morning with what it did to the margin; shorts on their last afternoon ask for a decision; what is still at
the broker from an earlier session is named once a session; an order that closes what is not there any more is taken back, and told. It
judges only on books that were compared in this connection, and sends nothing but cancels.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from core import plugins
from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.calendar import EXCHANGE, CalendarError, Session, next_session, session
from core.domain.encoding import digest
from core.domain.events import Settled
from core.domain.instruments import Delivery, Instrument, Option, underlying_instrument
from core.domain.money import CENT, ZERO, from_market
from core.domain.structures import describe_legs
from core.errors import Unavailable
from core.market.view import Needs, View
from core.orders.alarm import raise_alarms, raise_alert
from core.orders.early_exercise import alarm as early_alarm
from core.orders.early_exercise import early, may_be_exercised
from core.orders.expiry_day import AFTER, alarm, alert_key, expiring, longs_of_the_day, shorts_of_the_day, stages_before
from core.orders.residue import RECENT, residues
from core.orders.sender import AccountSender, closes_too_much
from core.orders.states import Order
from core.orders.turning import turn_for_ever
from core.portfolio.book import Book
from core.risk.measures import PRICE_STEP, funds, maintenance_of

TURN_SECONDS = 5.0
LAST_HOURS = timedelta(hours=2)
RATE_STEP = Decimal("0.0001")
MORNING = timedelta(minutes=60)  # before the open people are told of the night


class Lookout:
    """The watch over one account's orders and positions."""

    def __init__(self, desk: Desk, sender: AccountSender) -> None:
        self._desk = desk
        self._sender = sender
        self._account: AccountId = sender.account
        self._orphans: frozenset[str] = frozenset()  # orders that closed too much at the last turn

    async def run(self) -> None:
        """The background loop. What goes wrong is told once and tried again; a bug leaves the account REDUCING, never the loop dead."""
        name = f"lookout of {self._account.id}"
        await turn_for_ever(self._desk, name, self.turn, pause_seconds=TURN_SECONDS, after_bug=self._sender.reducing_after)

    async def turn(self, *, one_look: bool = False) -> None:
        """Do all there is to do now. `one_look`: the clock stands or jumps, so there is no second look to wait for."""
        if not self._sender.may_send_now:
            return
        now = self._desk.now()
        await self._take_back(one_look=one_look)
        await raise_alarms(self._desk, residues(self._book, now), self._account)
        try:
            today = session(now.astimezone(EXCHANGE).date())
        except CalendarError:
            return  # beyond the tables no day is known
        if today is None or now < today.open_at - MORNING:
            return
        await self._assignments(now)
        await self._expiries(now)
        await self._early(now, today)
        await self._overnight(now, today)

    @property
    def _book(self) -> Book:
        return self._desk.book(self._account)

    # --- orders that would open the other way --------------------------------------------------------------------------

    async def _take_back(self, *, one_look: bool) -> None:
        """Cancel what closes more than is held, found twice in a row: filled, it would open a position the other way."""
        book = self._book
        found = {name: order for name, order in book.live.items() if not order.cancel_asked and closes_too_much(order, book)}
        sure = found if one_look else {name: order for name, order in found.items() if name in self._orphans}
        self._orphans = frozenset(found)
        for name, order in sure.items():
            await self._sender.cancel(name, "what it closes is not held any more", actor="desk")
            text = (
                f"Order {name} ({describe_legs(order.envelope.legs)}) closes more than is held now: a fill would open a position the other "
                "way. The desk asked the broker to cancel it; what is left has no working exit."
            )
            await raise_alert(self._desk, f"orphan:{name}", urgency="high", text=text, account=self._account)

    # --- assignments ---------------------------------------------------------------------------------------------------

    async def _assignments(self, now: datetime) -> None:
        for item in self._book.settlements.since(now - RECENT):
            key = f"assignment:{digest(item.settlement_id)[:12]}"
            if item.shares and key not in self._desk.fold.alerts:
                await self._tell_assignment(item, key)

    async def _tell_assignment(self, item: Settled, key: str) -> None:
        book = self._book
        held = book.exposed()
        before = dict(held)
        for thing, change in ((item.instrument, -item.quantity), (underlying_instrument(item.share_symbol or ""), -item.shares)):
            before[thing.key] = (thing, before.get(thing.key, (thing, 0))[1] + change)
        view = await self._view([thing for thing, _ in (*held.values(), *before.values())])
        margin, power = funds(held, book=book, view=view)
        margin_before, _ = funds({name: pair for name, pair in before.items() if pair[1]}, book=book, view=view)
        name = item.instrument.label if isinstance(item.instrument, Option) else item.instrument.key
        what = "was assigned" if item.outcome == "assigned" else "was exercised"
        text = (
            f"{abs(item.quantity)} x {name} {what}: {item.shares:+d} {item.share_symbol} for {item.cash:+,.2f} USD. Margin in use is "
            f"{_money(margin)} now and was {_money(margin_before)}; buying power {_money(power)}."
        )
        kept = maintenance_of(held, kind=book.account.kind, view=view)
        left = None if power is None or margin is None or kept is None else power + margin - kept
        tight = power is not None and power < 0
        short = tight and (left is None or left < 0)
        if short:
            text += " The account is short of margin: the broker may close positions by itself."
        elif tight:
            text += " Nothing can be opened before something is closed or money comes; what is held may stay."
        shares: dict[str, str] = {}
        if item.share_symbol in book.positions:
            shares[f"Close the {item.share_symbol} shares"] = f"close position_id={item.share_symbol}"
        if item.shares > 0 and not tight and "covered_call" in plugins.names("strategies"):
            shares["Sell a covered call"] = f"open strategy=covered_call symbol={item.share_symbol}"
        buttons = {**shares, "Noted": f"ack alert={key}"}
        await raise_alert(
            self._desk, key, urgency="critical" if short else "high", text=text, account=self._account, buttons=buttons
        )

    # --- the last afternoon --------------------------------------------------------------------------------------------

    async def _expiries(self, now: datetime) -> None:
        held = self._book.holdings()
        sides = [*((*short, False) for short in shorts_of_the_day(held, now)), *((*long, True) for long in longs_of_the_day(held, now))]
        open_questions = [one for one in sides if not self._answered(one[0], now)]
        if not open_questions:
            return
        view = await self._view([underlying_instrument(option.underlying) for option, *_ in open_questions])
        cutoff = max(self._sender.broker.capabilities.expiry_cutoff_minutes, self._desk.settings.desk.whole("expiry_cutoff_minutes"))
        asked = set()  # underlyings whose shorts are asked about: what is long there goes with them
        for option, count, long in open_questions:
            item = expiring(option, count, spot=_spot(view, option.underlying), now=now, cutoff_minutes=cutoff, long=long)
            if long and option.underlying in asked:
                continue
            told_of = item is not None and item.stage == AFTER and option.delivery is Delivery.PHYSICAL and self._was_asked(option)
            if item is not None and (item.close_enough or told_of):
                asked.add(option.underlying)
                can_roll = "roll" in plugins.names("commands")
                await raise_alarms(self._desk, [alarm(item, self._book, can_roll=can_roll)], self._account)

    def _answered(self, option: Option, now: datetime) -> bool:
        """A person decided to let it be assigned: it is asked no more, and only its end is told."""
        alerts = self._desk.fold.alerts
        keys = [alert_key(self._account.id, option, stage) for stage in stages_before(AFTER)]
        if keys[-1] in alerts:
            return True
        decided = any(key in alerts and alerts[key].answered_by is not None for key in keys)
        return decided and now < option.last_trade_at

    def _was_asked(self, option: Option) -> bool:
        return any(alert_key(self._account.id, option, stage) in self._desk.fold.alerts for stage in stages_before(AFTER))

    async def _early(self, now: datetime, today: Session) -> None:
        """In the last two hours: shorts whose holders may exercise tonight, for a dividend or for the interest on the strike."""
        shorts = may_be_exercised(self._book.holdings().values())
        if not shorts or not today.close_at - LAST_HOURS <= now < today.close_at:
            return
        view = await self._view([option for option, _ in shorts])
        ex_date = next_session(today.day)
        rate = ZERO if view.rate is None else from_market(view.rate, RATE_STEP)
        for option, count in shorts:
            price, spot = _mid(view, option), _spot(view, option.underlying)
            if price is None or spot is None:
                continue
            paid = sum((item.amount for item in view.dividends.get(option.underlying, ()) if item.ex_date == ex_date), ZERO)
            risk = early(option, count, price=price, spot=spot, rate=rate, today=today.day, dividend=paid, ex_date=ex_date)
            if risk is not None:
                await raise_alarms(self._desk, [early_alarm(risk, self._account.id)], self._account)

    # --- what lasts longer than a session ------------------------------------------------------------------------------

    async def _overnight(self, now: datetime, today: Session) -> None:
        """Once a session: every order still at the broker from an earlier one, ours and those from elsewhere."""
        key = f"overnight:{self._account.id}:{today.day.isoformat()}"
        if key in self._desk.fold.alerts or now >= today.close_at:
            return
        own = [order for order in self._book.live.values() if order.submitted_at < today.open_at - MORNING]
        strange = [order for ref, order in self._book.external.items() if self._book.external_since[ref] < today.open_at - MORNING]
        if not own and not strange:
            return
        lines = [f"{order.client_id} {_order_words(order)}" for order in own]
        lines += [f"EXTERNAL {order.broker_ref} {order.description or order.status}" for order in strange]
        buttons = {f"Cancel {order.client_id}": f"cancel order_id={order.client_id}" for order in own[:4]}
        buttons |= {f"Cancel {order.broker_ref} at the broker": f"cancel order_id={order.broker_ref}" for order in strange[:3]}
        text = f"Still at the broker from before today, and counted in risk: {'; '.join(lines)}."
        urgency = "high" if any(order.held for order in own) else "medium"
        await raise_alert(self._desk, key, urgency=urgency, text=text, account=self._account, buttons=buttons)

    async def _view(self, instruments: list[Instrument]) -> View:
        wanted: set[Instrument] = set(instruments)
        wanted |= {underlying_instrument(item.underlying) for item in instruments if isinstance(item, Option)}
        return await self._desk.reader.view(Needs(instruments=frozenset(wanted)))


def _order_words(order: Order) -> str:
    why = f", held: {order.reason}" if order.held and order.reason else ", held" if order.held else ""
    tif = order.envelope.tif.value.upper()
    done = f", {order.filled} of {order.quantity} filled" if order.filled else ""
    return f"{describe_legs(order.envelope.legs)} at {order.limit:+.2f} ({tif}{done}{why})"


def _spot(view: View, symbol: str) -> Decimal | None:
    try:
        return from_market(view.spot(symbol), CENT)
    except Unavailable:
        return None


def _mid(view: View, option: Option) -> Decimal | None:
    try:
        return from_market(view.mid(option), PRICE_STEP)
    except Unavailable:
        return None


def _money(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f} USD"
