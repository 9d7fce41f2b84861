"""What differences between the broker's books and ours look like, and what would be booked if a person adopts the broker's word. Pure.

A reading covers one or several differences that one cause explains: an assignment is an option that went, shares that came at its strike
and the money for them. A reading is an offer: nothing is booked but by a person's signed adjustment.

Worked example: the book holds -1 SPY 285 put and 50,000.00 in cash, the broker 0, +100 SPY and 21,500.00. One reading: "looks like an
assignment: 1 x SPY 17 May 19 285 put, +100 SPY at 285". With 21,495.00 at the broker the last 5.00 is a second reading, of cash alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from core.domain.calendar import settlement_at
from core.domain.events import Adjusted, Difference
from core.domain.instruments import Delivery, Equity, Instrument, InstrumentError, Option, Right, plain_number
from core.domain.money import CENT
from core.portfolio.book import Book

ZERO = Decimal(0)
MOST_SPLIT, FINE_SPLIT = 50, 5  # 50 for 1, 3 for 2: beyond that a ratio is no split but a trade


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One line an adjustment would add to the book; without an instrument it is cash alone."""

    instrument: Instrument | None
    quantity: int
    cash: Decimal
    outcome: str = "adjusted"
    shares: int = 0
    share_symbol: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Differences that one cause would explain. `words` are empty where there is none but the broker's word."""

    ids: tuple[str, ...]
    words: str
    bookings: tuple[Booking, ...]


@dataclass(slots=True, kw_only=True)
class _Left:
    """What is not explained yet."""

    positions: dict[str, tuple[Difference, int]]  # key -> difference, change that would make the book the broker's
    cash: Decimal
    cash_id: str | None
    found: list[Reading] = field(default_factory=list)

    def take(self, ids: Sequence[str], words: str, *bookings: Booking) -> None:
        """Count bookings as the explanation of what they change."""
        for booking in bookings:
            self.cash -= booking.cash
            if booking.instrument is not None:
                self._less(booking.instrument.key, booking.quantity)
            if booking.share_symbol is not None:
                self._less(booking.share_symbol, booking.shares)
        self.found.append(Reading(ids=tuple(dict.fromkeys(ids)), words=words, bookings=bookings))

    def _less(self, key: str, change: int) -> None:
        if key in self.positions:
            difference, left = self.positions[key]
            self.positions[key] = (difference, left - change)
            if left == change:
                del self.positions[key]

    def options(self) -> list[tuple[Difference, Option, int]]:
        """The option positions that are left, with their change."""
        pairs = list(self.positions.values())
        return [(item, item.instrument, change) for item, change in pairs if isinstance(item.instrument, Option)]

    def fits(self, cash: Decimal) -> bool:
        """Whether this much money would explain some of what the cash differs by."""
        return cash == 0 or abs(self.cash - cash) < abs(self.cash)


def readings(book: Book, found: Sequence[Difference], now: datetime) -> tuple[Reading, ...]:
    """Every position and cash difference in one reading or more, the likeliest first."""
    cash = next((item for item in found if item.kind == "cash"), None)
    left = _Left(
        positions={
            item.instrument.key: (item, int(item.theirs - item.ours))
            for item in found
            if item.kind == "position" and item.instrument is not None
        },
        cash=ZERO if cash is None else cash.theirs - cash.ours,
        cash_id=None if cash is None else cash.id,
    )
    _reversed(book, left)
    _renamed(book, left)
    _split(book, left)
    _delivered(book, left)
    _settled_in_cash(book, left, now)
    _expired(book, left, now)
    _traded(left)
    for key in tuple(left.positions):
        difference, change = left.positions[key]
        left.take([difference.id], "", Booking(instrument=difference.instrument, quantity=change, cash=ZERO))
    if left.cash and left.cash_id is not None:
        left.take([left.cash_id], "", Booking(instrument=None, quantity=0, cash=left.cash))
    return tuple(left.found)


def explained(book: Book, found: tuple[Difference, ...], now: datetime) -> tuple[Difference, ...]:
    """The differences with what each looks like, in words."""
    words: dict[str, str] = {}
    for reading in readings(book, found, now):
        for name in reading.ids:
            words.setdefault(name, reading.words)
    return tuple(replace(item, looks_like=words.get(item.id, "")) for item in found)


def reading_of(book: Book, found: Sequence[Difference], now: datetime, *, named: str) -> Reading | None:
    """The reading a difference belongs to; of a cash difference that of the cash alone, where some is left."""
    fitting = [reading for reading in readings(book, found, now) if named in reading.ids]
    return min(fitting, key=lambda reading: len(reading.ids), default=None)


# --- causes, the surest first --------------------------------------------------------------------------------------------


def _reversed(book: Book, left: _Left) -> None:
    """What a person booked earlier and the broker has reported since is in the book twice."""
    for adjustment in book.adjustments:
        key = adjustment.instrument.key if adjustment.instrument is not None else ""
        difference, change = left.positions.get(key, (None, 0))
        if difference is None or change != -adjustment.quantity or not left.fits(-adjustment.cash):
            continue
        shares = left.positions.get(adjustment.share_symbol or "", (None, 0))
        if adjustment.shares and shares[1] != -adjustment.shares:
            continue
        ids = [difference.id, *([shares[0].id] if shares[0] is not None else []), *_cash_id(left, adjustment.cash)]
        words = f"looks like what {adjustment.person} booked as {adjustment.adjustment_id}, reported by the broker since"
        left.take(ids, words, _turned(adjustment))


def _turned(item: Adjusted) -> Booking:
    return Booking(
        instrument=item.instrument, quantity=-item.quantity, cash=-item.cash, shares=-item.shares, share_symbol=item.share_symbol,
    )


def _renamed(book: Book, left: _Left) -> None:
    """A contract went and one of an adjusted series came in its place: a corporate action. What it cost moves on to the new one."""
    for difference, option, change in left.options():
        booked = int(difference.ours)
        if change != -booked or not booked:
            continue
        for other, item, came in left.options():
            same = item.root != option.root and item.root.rstrip("0123456789") == option.root and item.right is option.right
            if same and item.expiry == option.expiry and int(other.ours) == 0 and came * booked > 0 and difference.id != other.id:
                words = f"looks like a corporate action: {booked:+d} {option.label} became {came:+d} {item.label}"
                left.take([difference.id, other.id], words, *_moved_on(book, option, booked, item, came))
                break


def _split(book: Book, left: _Left) -> None:
    """Shares became more or fewer in a simple ratio and no money moved: a split. What they cost is spread over the new number."""
    for difference, change in tuple(left.positions.values()):
        item, ours, theirs = difference.instrument, int(difference.ours), int(difference.theirs)
        if not isinstance(item, Equity) or ours * theirs <= 0 or left.cash or change != theirs - ours:
            continue
        ratio = Fraction(theirs, ours)
        if max(ratio.numerator, ratio.denominator) <= MOST_SPLIT and min(ratio.numerator, ratio.denominator) <= FINE_SPLIT:
            words = f"looks like a split {ratio.numerator} for {ratio.denominator} of {item.symbol}"
            left.take([difference.id], words, *_moved_on(book, item, ours, item, theirs))


def _moved_on(book: Book, old: Instrument, booked: int, new: Instrument, came: int) -> tuple[Booking, Booking]:
    """The old holding out and the new one in, at what the old one cost: no result, and no money in all."""
    worth = book.positions[old.key].average_price * booked * old.multiplier
    return (
        Booking(instrument=old, quantity=-booked, cash=worth), Booking(instrument=new, quantity=came, cash=-worth),
    )


def _delivered(book: Book, left: _Left) -> None:
    """An option went and the shares it delivers came (or went): an assignment of a short one, an exercise of a long one."""
    for difference, option, change in left.options():
        booked = int(difference.ours)
        if booked * change >= 0 or abs(change) > abs(booked) or option.deliverable is None:
            continue
        direction = 1 if option.right is Right.CALL else -1
        shares, symbol = -direction * change * option.deliverable.shares, option.deliverable.symbol
        cash = direction * option.strike * option.multiplier * change
        other, moved = left.positions.get(symbol, (None, 0))
        if other is None or moved * shares <= 0 or abs(moved) < abs(shares):
            continue
        what, outcome = ("an assignment", "assigned") if booked < 0 else ("an exercise", "exercised")
        words = f"looks like {what}: {abs(change)} x {option.label}, {shares:+d} {symbol} at {plain_number(option.strike)}"
        if not left.fits(cash) or not left.cash:
            gone = Booking(instrument=option, quantity=change, cash=ZERO)
            come = Booking(instrument=other.instrument, quantity=shares, cash=ZERO)
            left.take([difference.id, other.id], f"{words}, whose cash of {cash:+,.2f} has not moved at the broker yet", gone, come)
            continue
        booking = Booking(instrument=option, quantity=change, cash=cash, outcome=outcome, shares=shares, share_symbol=symbol)
        left.take([difference.id, other.id, *_cash_id(left, cash)], words, booking)


def _settled_in_cash(book: Book, left: _Left, now: datetime) -> None:
    """Contracts of one cash-settled expiry went after its settlement: at which value does the money fit?"""
    groups: dict[tuple[str, str], list[tuple[Difference, Option, int]]] = {}
    for difference, option, change in left.options():
        ended = option.delivery is Delivery.CASH and int(difference.ours) == -change and _settled_by(option, now)
        if ended:
            groups.setdefault((option.root, option.expiry.isoformat()), []).append((difference, option, change))
    for group in groups.values():
        legs = [(option, -change) for _, option, change in group]
        level = _level(legs, left.cash)
        if level is None:
            continue
        names = ", ".join(f"{count:+d} {option.label}" for option, count in legs)
        words = f"looks like the settlement of {names}" + (f" at about {level:,.2f}" if left.cash else ", without value")
        bookings = []
        for _, option, change in group:
            cash = intrinsic(option, level) * option.multiplier * -change if left.cash else ZERO
            cash = cash.quantize(CENT)
            bookings.append(Booking(instrument=option, quantity=change, cash=cash, outcome="cash_settled" if cash else "expired"))
        rounding = left.cash - sum((booking.cash for booking in bookings), ZERO)
        if rounding and abs(rounding) < 1:
            bookings[0] = replace(bookings[0], cash=bookings[0].cash + rounding)
        ids = [difference.id for difference, _, _ in group]
        left.take([*ids, *_cash_id(left, left.cash)], words, *bookings)


def _expired(book: Book, left: _Left, now: datetime) -> None:
    """A contract whose trading is over went and nothing came for it."""
    for difference, option, change in left.options():
        if int(difference.ours) == -change and option.last_trade_at <= now and option.delivery is Delivery.PHYSICAL:
            words = f"looks like the expiry of {abs(change)} x {option.label}, without value"
            left.take([difference.id], words, Booking(instrument=option, quantity=change, cash=ZERO, outcome="expired"))


def _traded(left: _Left) -> None:
    """One position and the cash differ, and the money would buy or sell just that: a trade nobody reported."""
    if len(left.positions) != 1 or not left.cash or left.cash_id is None:
        return
    ((difference, change),) = left.positions.values()
    if difference.instrument is None:
        return
    price = -left.cash / (change * difference.instrument.multiplier)
    if price > 0:
        name = difference.instrument.label if isinstance(difference.instrument, Option) else difference.instrument.key
        done = f"{'bought' if change > 0 else 'sold'} {abs(change)} {name} at {price:,.2f}, fees included"
        words = f"looks like a trade the broker has not reported: {done}; a liquidation by the broker looks like this too"
        left.take([difference.id, left.cash_id], words, Booking(instrument=difference.instrument, quantity=change, cash=left.cash))


# --- arithmetic ----------------------------------------------------------------------------------------------------------


def _cash_id(left: _Left, cash: Decimal) -> list[str]:
    return [left.cash_id] if cash and left.cash_id is not None else []


def _settled_by(option: Option, now: datetime) -> bool:
    try:
        return settlement_at(option.series, option.expiry) <= now
    except InstrumentError:
        return False  # an adjusted series, whose terms are not tabled


def intrinsic(option: Option, level: Decimal) -> Decimal:
    """What a contract is worth a share where its underlying settles at a level."""
    return max(ZERO, level - option.strike if option.right is Right.CALL else option.strike - level)


def _level(legs: Sequence[tuple[Option, int]], cash: Decimal) -> Decimal | None:
    """The settlement value at which the legs (+ long) pay just this, None where there is none: the payoff is linear between strikes."""
    strikes = sorted({option.strike for option, _ in legs})
    edges = [ZERO, *strikes, 2 * strikes[-1]]

    def pays(level: Decimal) -> Decimal:
        return sum((intrinsic(option, level) * option.multiplier * count for option, count in legs), ZERO)

    for low, high in pairwise(edges):
        first, last = pays(low), pays(high)
        if not min(first, last) <= cash <= max(first, last):
            continue
        if first == last:
            return high if low == 0 else low
        return (low + (high - low) * (cash - first) / (last - first)).quantize(CENT)
    return None
