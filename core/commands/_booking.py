"""What a trade done elsewhere would be booked as: opening or closing in the outside account, or words on executions of a connected one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from core.commands._said import Question, Said, as_closing, keyed, opened_by
from core.desk import Desk
from core.domain.accounts import OUTSIDE, Account
from core.domain.calendar import EXCHANGE, exchange_day, session
from core.domain.encoding import digest
from core.domain.events import FillsNamed, TradeLogged
from core.domain.instruments import plain_number
from core.domain.money import ZERO
from core.domain.orders import Effect, Fill, Leg
from core.domain.structures import Trade, describe_legs
from core.errors import UserError
from core.portfolio.book import Book
from core.risk.examine import net_multiplier

NEAR = Decimal("0.05")  # a share: how far a price said may be from the one in the broker's books
NOON = time(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What a press would record. `trade` is the one it closes; `undoes` the booking it takes back; `named` executions it puts words on."""

    account: Account
    said: Said | None
    legs: tuple[Leg, ...] = ()
    trade: Trade | None = None
    fees: Decimal | None = None  # None: not known
    undoes: TradeLogged | None = None
    named: tuple[Fill, ...] = ()

    @property
    def seal(self) -> str:
        """Stands for everything a press would record but its time."""
        told = self.said
        said = None if told is None else (told.strategy, told.quantity, plain_number(told.price), told.day.isoformat())
        return digest({
            "account": str(self.account.id), "said": said, "legs": self.legs, "trade": None if self.trade is None else self.trade.id,
            "fees": None if self.fees is None else plain_number(self.fees), "undoes": None if self.undoes is None else self.undoes.log_id,
            "named": tuple(fill.exec_id for fill in self.named),
        })[:12]


def outside_book(desk: Desk) -> Book | None:
    """The book of trades done elsewhere; None before anything was booked there."""
    return desk.books.accounts.get(OUTSIDE.id)


def booked_outside(book: Book | None, said: Said, fees: Decimal | None, *, position_id: str | None) -> Booking:
    """Opening where nothing of it is held, closing where it ends what one logged trade holds; raise UserError for what is both."""
    held = {} if book is None else {key: position.quantity for key, position in book.positions.items()}
    changes = keyed(said.legs, said.quantity)
    against = {key for key, (_, change) in changes.items() if held.get(key, 0) * change < 0}
    if book is None or not against:
        if (side := said.legs[0].side) is not opened_by(said):
            raise UserError(
                f"A {said.strategy} is opened by a {opened_by(said).value}, and none like it is held outside for a {side.value} to close; "
                "nothing was booked.",
                "Log its opening first, or name what was opened.",
            )
        return Booking(account=OUTSIDE, said=said, legs=said.legs, fees=fees)
    over = [
        getattr(item, "label", key) for key, (item, change) in changes.items() if key not in against or abs(change) > abs(held.get(key, 0))
    ]
    if over:
        raise UserError(
            f"Part of it closes what is held outside and part does not: {', '.join(over)}; nothing was booked.",
            "Log the closing and the new trade one by one. `positions account=outside` shows what is held.",
        )
    holders = [trade for trade in book.open_trades if _holds(book, trade, changes) and position_id in (None, trade.id)]
    if not holders:
        raise UserError("No single logged trade holds all of that; nothing was booked.", "Log its legs one by one, or name position_id.")
    if len(holders) > 1:
        choices = {f"{trade.id}, {describe_legs(trade.legs)}": {"position_id": trade.id} for trade in holders[:4]}
        raise Question("Which trade does it close?", "Name it, as in position_id=X1A2B3C.", choices=choices)
    return Booking(account=OUTSIDE, said=said, legs=as_closing(said.legs), trade=holders[0], fees=fees)


def _holds(book: Book, trade: Trade, changes: dict[str, tuple[object, int]]) -> bool:
    held = book.held_by_trade[trade.id]
    return all(key in held and held[key][1] * change < 0 and abs(held[key][1]) >= abs(change) for key, (_, change) in changes.items())


def taken_back(book: Book | None, log_id: str) -> Booking:
    """The booking that takes an earlier one back; raise UserError where later ones rest on it."""
    found = None if book is None else book.logged.get(log_id)
    if book is None or found is None or found.undoes is not None:
        raise UserError(f"There is no booking {log_id!r}.", "`fills all account=outside` shows them.")
    undone = {body.undoes for body in book.logged.values() if body.undoes is not None}
    if log_id in undone:
        raise UserError(f"{log_id} was taken back before; nothing was booked.")
    later = [
        body.log_id for body in book.logged.values()
        if body.trade_id == found.trade_id and body.undoes is None and body.log_id not in undone and body.log_id != log_id
    ]
    settled = any(ending.parts.get(found.trade_id) for leg in found.legs for ending in book.endings.get(leg.instrument.key, ()))
    if found.legs[0].effect is Effect.OPEN and (later or settled):
        hint = f"Take back {', '.join(later)} first." if later else "What has settled stands."
        raise UserError(f"Something ended {found.trade_id} since; nothing was booked.", hint)
    return Booking(account=OUTSIDE, said=None, legs=found.legs, undoes=found)


def named_fills(desk: Desk, account: Account, said: Said) -> tuple[Fill, ...]:
    """The executions of a connected account that a trade said is: from elsewhere, not named yet, contract, side, quantity, day and price.

    Empty where its books have none.
    """
    book = desk.book(account.id)
    day_fills = [fill for fill in book.fills.within(said.day, said.day) if exchange_day(fill.at) == said.day]
    found: list[Fill] = []
    net = ZERO
    for leg in said.legs:
        mine = [
            fill for fill in day_fills
            if fill.client_id not in book.orders and fill.exec_id not in book.named
            and (fill.instrument.key, fill.side) == (leg.instrument.key, leg.side)
        ]
        wanted = leg.ratio * said.quantity
        one = next((fill for fill in mine if fill.quantity == wanted and len(said.legs) == 1 and _near(said, fill.price)), None)
        chosen = [one] if one is not None else mine
        if sum(fill.quantity for fill in chosen) != wanted:
            return ()
        average = sum((fill.price * fill.quantity for fill in chosen), ZERO) / wanted
        net -= leg.side.sign * leg.ratio * average
        found += chosen
    return tuple(found) if abs(net - said.price) <= NEAR else ()


def _near(said: Said, price: Decimal) -> bool:
    return abs(price - abs(said.price)) <= NEAR


def own_order(desk: Desk, account: Account, said: Said) -> str | None:
    """This desk's own order that a trade said is, which is in the books already."""
    book = desk.book(account.id)
    keys = {(leg.instrument.key, leg.side) for leg in said.legs}
    for fill in book.fills.within(said.day, said.day):
        order = book.orders.get(fill.client_id or "")
        if order is not None and {(leg.instrument.key, leg.side) for leg in order.envelope.legs} == keys and order.filled == said.quantity:
            return order.client_id
    return None


def body_of(desk: Desk, booking: Booking, log_id: str, person: str) -> TradeLogged | FillsNamed:
    """The event a press records."""
    if booking.named and booking.said is not None:
        return FillsNamed(
            log_id=log_id, account=booking.account.id, person=person, exec_ids=tuple(fill.exec_id for fill in booking.named),
            text=f"{booking.said.strategy}, {booking.said.quantity} x {describe_legs(booking.legs)}",
        )
    if booking.undoes is not None:
        return _undone(booking.undoes, log_id, person, desk.now())
    assert booking.said is not None  # every other booking is of something said
    said = booking.said
    return TradeLogged(
        log_id=log_id, account=OUTSIDE.id, person=person, trade_id=f"X{log_id[1:]}" if booking.trade is None else booking.trade.id,
        strategy=said.strategy if booking.trade is None else booking.trade.strategy, legs=booking.legs, quantity=said.quantity,
        price=said.price, fills=_fills(desk, booking, said, log_id), fees_known=booking.fees is not None,
    )


def _fills(desk: Desk, booking: Booking, said: Said, log_id: str) -> tuple[Fill, ...]:
    """One execution a leg; of a structure the first option carries the whole net price, since no leg's own was said."""
    at = _instant(desk, said.day)
    multiplier = net_multiplier(booking.legs)
    found = []
    for number, leg in enumerate(booking.legs, 1):
        whole = number == 1
        price = said.price * -leg.side.sign * multiplier / (leg.ratio * leg.instrument.multiplier) if whole else ZERO
        note = "" if len(booking.legs) == 1 else "the net price of all legs" if whole else "priced with the first leg"
        found.append(Fill(
            exec_id=f"{log_id}-{number}", account=OUTSIDE.id, client_id=None, instrument=leg.instrument, side=leg.side,
            quantity=leg.ratio * said.quantity, price=price, fees=(booking.fees or ZERO) if whole else ZERO, at=at, broker_ref=log_id,
            note=note,
        ))
    return tuple(found)


def _undone(body: TradeLogged, log_id: str, person: str, now: datetime) -> TradeLogged:
    busts = tuple(
        replace(fill, exec_id=f"{log_id}-{number}", corrects=fill.exec_id, busted=True, at=now, broker_ref=log_id, note="taken back")
        for number, fill in enumerate(body.fills, 1)
    )
    return replace(body, log_id=log_id, person=person, fills=busts, undoes=body.log_id)


def _instant(desk: Desk, day: date) -> datetime:
    """When it counts as traded: now for today, after the close of an earlier day, each booking a second after the one before."""
    if day == exchange_day(desk.now()):
        return desk.now()
    hours = session(day)
    close = datetime.combine(day, NOON, EXCHANGE) if hours is None else hours.close_at
    book = outside_book(desk)
    before = 0 if book is None else sum(1 for body in book.logged.values() if exchange_day(body.fills[0].at) == day)
    return close.astimezone(desk.now().tzinfo) + timedelta(seconds=before)


def standing_bookings(book: Book) -> tuple[TradeLogged, ...]:
    """What was logged and not taken back."""
    undone = {body.undoes for body in book.logged.values()}
    return tuple(body for body in book.logged.values() if body.undoes is None and body.log_id not in undone)


def same_again(book: Book | None, booking: Booking) -> Sequence[str]:
    """Earlier bookings of the very same trade, for a person to look at twice."""
    if book is None or booking.said is None:
        return ()
    wanted = (booking.legs, booking.said.quantity, booking.said.price, booking.said.day)
    standing = standing_bookings(book)
    return [body.log_id for body in standing if (body.legs, body.quantity, body.price, exchange_day(body.fills[0].at)) == wanted]


def money_of(booking: Booking) -> Decimal:
    """Money received (+) or paid (-), before fees."""
    said = booking.said
    return ZERO if said is None else said.price * net_multiplier(booking.legs) * said.quantity


