"""What is left when cover goes or shares come: by assignment, exercise, expiry, or a trade from elsewhere. Pure.

Judged on the book as it stands, cause by cause, so a restart finds the same alarms and raises each once. Contracts that do not trade any
more count for nothing here: what becomes of them is not known until the broker reports it.

Worked example: short one SPY 285 put, long one 280 put; the 285 put is assigned. Left are +100 SPY and the 280 put, which is not the
structure that was confirmed. Short one SPY 295 call, long one 300 call; the 295 call is assigned: -100 SPY, covered by the 300 call only
as long as that is held. The long call sold elsewhere leaves the short one uncovered: critical.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from core.domain.encoding import digest
from core.domain.events import Settled
from core.domain.instruments import Equity, Instrument, Option, Right
from core.domain.orders import Fill, Side
from core.domain.structures import Trade, uncovered_short
from core.orders.alarm import Alarm
from core.portfolio.book import Book

RECENT = timedelta(days=5)  # what happened before was told before, or was lived with
Held = Mapping[str, tuple[Instrument, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cause:
    """Something that took cover away or brought shares."""

    id: str
    at: datetime
    words: str
    symbol: str
    rights: frozenset[Right]  # of the shorts it may have covered
    settled: Settled | None = None


def residues(book: Book, now: datetime) -> tuple[Alarm, ...]:
    """Every alarm that recent causes give reason for, whether it was raised before or not."""
    found: list[Alarm] = []
    told: set[str] = set()  # what is uncovered is the work of the last cause that could have covered it
    held = {
        key: (item, count) for key, (item, count) in book.holdings().items() if not isinstance(item, Option) or item.last_trade_at > now
    }
    trades: Mapping[str, Held] | None = None
    causes = sorted((*_settled(book, now), *_traded_elsewhere(book, now)), key=lambda cause: (cause.at, cause.settled is not None))
    for cause in reversed(causes):
        sentences = [words for words in _uncovered(held, cause) if words not in told]
        told.update(sentences)
        critical = bool(sentences)
        buttons = {f"Close {cause.symbol}": f"close symbol={cause.symbol}"}
        if cause.settled is not None and cause.settled.shares:
            trades = book.held_by_trade if trades is None else trades
            for trade in _left_over(book, cause.settled):
                sentences.append(_left_words(trade, trades[trade.id], cause.settled))
                buttons[f"Close the rest of {trade.id}"] = f"close position_id={trade.id}"
        if sentences:
            text = f"After {cause.words}: {' '.join(sentences)}"
            urgency = "critical" if critical else "high"
            found.append(Alarm(key=f"residue:{cause.id}", urgency=urgency, text=text, buttons=buttons))
    return tuple(found)


def _settled(book: Book, now: datetime) -> Iterator[_Cause]:
    for item in book.settlements.since(now - RECENT):
        if not isinstance(item.instrument, Option):
            continue
        words = {"assigned": "the assignment", "exercised": "the exercise"}.get(item.outcome, "the end")
        rights = {item.instrument.right} if item.quantity < 0 else set()
        if item.shares < 0:
            rights.add(Right.CALL)
        yield _Cause(
            id=digest(item.settlement_id)[:12], at=item.at, words=f"{words} of {abs(item.quantity)} x {item.instrument.label}",
            symbol=item.instrument.underlying, rights=frozenset(rights), settled=item,
        )


def _traded_elsewhere(book: Book, now: datetime) -> list[_Cause]:
    return [_sold(fill) for fill in book.fills.since(now - RECENT) if fill.client_id not in book.orders and fill.side is Side.SELL]


def _sold(fill: Fill) -> _Cause:
    item = fill.instrument
    option = item if isinstance(item, Option) else None
    name = item.key if option is None else option.label
    return _Cause(
        id=digest(f"{fill.account}:{fill.exec_id}")[:12], at=fill.at, words=f"the EXTERNAL sale of {fill.quantity} x {name}",
        symbol=item.key if option is None else option.underlying, rights=frozenset({Right.CALL if option is None else option.right}),
    )


def _uncovered(held: Held, cause: _Cause) -> list[str]:
    """Shorts on the cause's underlying that nothing covers now, of the kind that it may have covered."""
    found = []
    for (expiry, right), count in sorted(uncovered_short(dict(held), cause.symbol).items(), key=str):
        if right in cause.rights:
            found.append(f"{count} short {right.value}{'s' if count > 1 else ''} of {cause.symbol} {_day(expiry)} uncovered.")
    shares = held[cause.symbol][1] if cause.symbol in held else 0
    calls = sum(
        count * item.shares for item, count in held.values()
        if isinstance(item, Option) and item.underlying == cause.symbol and item.right is Right.CALL and count > 0
    )
    if Right.CALL in cause.rights and shares < 0 and isinstance(held[cause.symbol][0], Equity) and calls < -shares:
        found.append(f"{-shares} shares of {cause.symbol} are short, {max(0, -shares - calls)} of them without a call that covers them.")
    return found


def _left_over(book: Book, item: Settled) -> list[Trade]:
    """Open trades that had the settled contract and hold other legs still."""
    return [trade for trade in book.open_trades if any(leg.instrument.key == item.instrument.key for leg in trade.legs)]


def _left_words(trade: Trade, legs: Held, item: Settled) -> str:
    left = ", ".join(f"{count:+d} {getattr(instrument, 'label', instrument.key)}" for instrument, count in legs.values())
    return f"{left} and {item.shares:+d} {item.share_symbol} are left of {trade.id}, which is not the structure you confirmed."


def _day(day: date) -> str:
    return f"{day.day} {day:%b %y}"
