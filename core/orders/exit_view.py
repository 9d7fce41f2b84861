"""What the exits see: every open trade with its price, its market's hours and what of it can be closed, in one view of the market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.calendar import session_date
from core.domain.events import Role
from core.domain.hours import open_together
from core.domain.instruments import Instrument
from core.domain.money import ZERO
from core.domain.orders import Intent, Limit
from core.domain.structures import Trade, describe_legs
from core.errors import Unavailable
from core.exits import Case, Decision, Exit, Judgement
from core.market.view import Needs, View
from core.orders.closable import Closable, closables
from core.orders.standing import Standing, filled
from core.orders.states import Order
from core.portfolio.book import Book
from core.portfolio.pnl import OpenResult, open_result

ANY_PRICE = Limit(start=ZERO, worst=ZERO)  # replaced where the order is priced


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One open trade as the exits see it. `opened_at` is when its market opened, None while it is closed."""

    account: AccountId
    book: Book
    result: OpenResult
    view: View
    closable: Closable | None  # the whole of it in one order; None where a leg is missing or it has stopped trading
    opened_at: datetime | None
    delivered: bool = False  # a leg that ran out became shares

    @property
    def trade(self) -> Trade:
        """The trade."""
        return self.result.trade

    @property
    def structure(self) -> str:
        """What is open of it."""
        return f"{self.trade.open_units} x {describe_legs(self.trade.legs)}"

    @property
    def name(self) -> str:
        """The trade in a sentence."""
        return f"{self.trade.id} ({self.structure})"

    @property
    def closing(self) -> tuple[Order, ...]:
        """Orders that are closing a part of it now; one nobody knows the state of counts, a target that only rests does not."""
        return tuple(
            order for order in self.book.live.values()
            if order.trade_id == self.trade.id and not self._rests(order)
            and any(leg.effect.value == "close" for leg in order.envelope.legs)
        )

    @property
    def standing(self) -> tuple[Standing, ...]:
        """Exits a person confirmed that wait at the desk or at the broker."""
        return tuple(item for item in self.book.armed if item.trade_id == self.trade.id and item.closes)

    @property
    def acting(self) -> bool:
        """Whether one of these is at work now: a touched stop, or a close in parts. A ready card beside it would be a second one."""
        return any(item.role is Role.PARTS or item.triggered_at is not None for item in self.standing)

    def has_standing(self, role: Role | None) -> bool:
        """Whether a person's own exits of that kind stand for all that is open."""
        covered = sum(item.envelope.quantity - filled(item, self.book.orders) for item in self.standing if item.role is role)
        return covered >= self.trade.open_units

    def _rests(self, order: Order) -> bool:
        item = self.book.standing.get(order.standing_id or "")
        return item is not None and item.role is Role.TARGET

    def intent(self, reason: str) -> Intent | None:
        """The order that closes all that no order is closing already; None where it cannot be one order."""
        item = self.closable
        if item is None or not item.units:
            return None
        return Intent(
            account=self.account, legs=item.legs, quantity=item.units, plan=ANY_PRICE, strategy=item.strategy, thesis=reason,
            trade_id=item.trade_id,
        )


async def look_over(desk: Desk, *, account: AccountId | None = None) -> tuple[Looked, ...]:
    """Every open trade of an account, or of all, in one fresh view."""
    books = [(name, book) for name, book in desk.books.accounts.items() if name in desk.senders and account in (None, name)]
    trades = [trade for _, book in books for trade in book.open_trades]
    if not trades:
        return ()
    needs, today = Needs(), session_date(desk.now())
    for trade in trades:
        needs |= Needs(instruments=frozenset(leg.instrument for leg in trade.legs))
        for item in desk.exits:
            needs |= item.needs(trade, today) if item.serves(trade.strategy) else Needs()
    view = await desk.reader.view(needs, fresh=True)
    return tuple(looked for name, book in books for looked in _of_book(name, book, view))


def ask(desk: Desk, looked: Looked, item: Exit, *, told: bool) -> Judgement:
    """What an exit says of a trade; raises Unavailable where it cannot be known.

    A plug-in's bug is reported and answered as something to look at: an exit must not fall silent.
    """
    needed = item.needs(looked.trade, looked.view.session).instruments
    gone = looked.result.run_out
    old = [instrument for instrument in needed if instrument.key not in gone and not _is_fresh(desk, instrument, looked.view)]
    if old:
        name = min(getattr(instrument, "label", instrument.key) for instrument in old)
        limit = desk.settings.desk.whole("stop_quote_seconds")
        raise Unavailable(f"price of {name}", why=f"its quote is missing, delayed or older than {limit} s")
    try:
        return item.judge(Case(result=looked.result, told=told, delivered=looked.delivered), looked.view)
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - a bug of one exit is told to a person; the others are still asked
        identity = desk.report(f"exit {item.name} of {looked.trade.id}", error)
        return Judgement(decision=Decision.LOOK, measured="error", limit="an answer", reason=f"the exit {item.name} failed ({identity})")


def due_now(desk: Desk, looked: Sequence[Looked], item: Exit) -> tuple[tuple[Looked, Judgement | None], ...]:
    """The trades an exit would speak of now, whatever was told before; None beside one that cannot be judged at the moment."""
    found: list[tuple[Looked, Judgement | None]] = []
    for one in looked:
        if not item.serves(one.trade.strategy):
            continue
        try:
            judgement = ask(desk, one, item, told=False)
        except Unavailable:
            found.append((one, None))
            continue
        if judgement.due:
            found.append((one, judgement))
    return tuple(found)


def _of_book(account: AccountId, book: Book, view: View) -> list[Looked]:
    held = book.held_by_trade
    whole = {item.trade_id: item for item in closables(book) if item.id == item.trade_id}
    found = []
    for trade in book.open_trades:
        span = open_together([item for item, _ in held[trade.id].values()], view.at)  # a leg that ran out keeps no hours
        result = open_result(trade, held[trade.id], view)
        closable = whole.get(trade.id) if Case(result=result).intact else None
        found.append(Looked(
            account=account, book=book, result=result, view=view, closable=closable, opened_at=None if span is None else span[0],
            delivered=book.delivered_since(trade.opened_at, result.run_out),
        ))
    return found


def _is_fresh(desk: Desk, instrument: Instrument, view: View) -> bool:
    try:
        quote = view.quote(instrument)
        return not quote.delayed and view.session_age_seconds(instrument) <= desk.settings.desk.whole("stop_quote_seconds")
    except Unavailable:
        return False
