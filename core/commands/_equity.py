"""Equity and drawdown of accounts over their sessions: what the marks at each close make of it, deposits and withdrawals taken out. Pure.

The result is money since the first close shown. A drawdown is the fall from the highest close before it, of a value that grows by each
session's own return, so that money paid in or out moves neither. A session without a complete mark is a gap, never a guess.

Example: closes of 100,000, 104,000 and, after 50,000 were paid in, 150,920. The results are 0, +4,000 and +920: the last session lost 3,080
of 154,000, a drawdown of 2%.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import accumulate

from core.domain.calendar import previous_session, session
from core.domain.events import Marked
from core.portfolio.book import Book
from core.reply import Axis, Chart, Fact, Format, Panel, Series, Shape

FEWEST = 3  # closes worth a picture
PAID = ("deposit", "withdrawal")
MONEY = Axis(label="result", format=Format.MONEY, unit="USD", signed=True)
FALL = Axis(label="drawdown", format=Format.PERCENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """What accounts were worth together at a close, None where it is not known, and what was paid in (+) or out since the one before."""

    day: date
    worth: float | None
    paid: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The result and the drawdown at each close; None in a gap."""

    days: tuple[date, ...]
    result: tuple[float | None, ...]
    drawdown: tuple[float | None, ...]


def closes_of(accounts: Sequence[tuple[Book, Sequence[Marked]]], *, first: date, last: date) -> tuple[Close, ...]:
    """The closes of a period, and the one before it, of accounts together; a close counts only where all are marked without a gap.

    Where no close lies before the period, what had been paid in until its first one is where it starts from.
    """
    marks = [{mark.session: mark for mark in found} for _, found in accounts]
    days = sorted(set().union(*marks)) if marks else []
    start = max((day for day in days if day < first), default=first)
    flows = [flow for book, _ in accounts for flow in _payments(book)]
    found: list[Close] = []
    before: datetime | None = None
    for day in (day for day in days if start <= day <= last):
        known = [one[day] for one in marks if day in one and not one[day].stale]
        worth = sum(mark.net_liquidation for mark in known) if len(known) == len(marks) else None
        hours = session(day)
        end = before if hours is None else hours.close_at
        paid = sum(amount for at, amount in flows if end is not None and at <= end and (before is None or before < at))
        if before is None and start == first and paid > 0:
            found.append(Close(day=previous_session(day), worth=paid, paid=0.0))
        found.append(Close(day=day, worth=worth, paid=0.0 if before is None else paid))
        before = end
    return tuple(found)


def curve_of(closes: Sequence[Close]) -> Curve:
    """Result and drawdown at each close, payments taken as made before the session's trading."""
    result: list[float | None] = []
    falls: list[float | None] = []
    total, level, peak, last, waiting = 0.0, 1.0, 1.0, None, 0.0
    for close in closes:
        waiting += close.paid
        if close.worth is None:
            result.append(None)
            falls.append(None)
            continue
        if last is not None:
            total += close.worth - last - waiting
            base = last + waiting
            level = level * close.worth / base if base > 0 else 0.0
            peak = max(peak, level)
        last, waiting = close.worth, 0.0
        result.append(total)
        falls.append(level / peak - 1.0)
    return Curve(days=tuple(close.day for close in closes), result=tuple(result), drawdown=tuple(falls))


def equity_chart(closes: Sequence[Close], *, title: str) -> Chart | None:
    """The chart of a period, None where fewer than three closes are known."""
    curve = curve_of(closes)
    known = [(day, gain, fall) for day, gain, fall in zip(curve.days, curve.result, curve.drawdown, strict=True)
             if gain is not None and fall is not None]
    if len(known) < FEWEST:
        return None
    falls = _falls([gain for _, gain, _ in known])
    low = min(range(len(known)), key=lambda at: (known[at][2], falls[at]))
    best_day, best, _ = max(known, key=lambda item: item[1])
    facts = (
        Fact(label="result", value=known[-1][1], format=Format.MONEY, unit="USD", signed=True),
        Fact(label="highest", value=best, format=Format.MONEY, unit="USD", signed=True, note=_day(best_day)),
        Fact(label="drawdown now", value=falls[-1], format=Format.MONEY, unit="USD", note=f"{abs(known[-1][2]):.2%}"),
        Fact(label="deepest", value=falls[low], format=Format.MONEY, unit="USD", note=f"{abs(known[low][2]):.2%}, {_day(known[low][0])}"),
    )
    gaps = len(closes) - len(known)
    left = f" {gaps} of {len(closes)} closes left out: not everything held had a price." if gaps else ""
    return Chart(
        title=title, axis=Axis(format=Format.DATE), facts=facts, note=f"At closes, at mids, deposits taken out.{left}",
        panels=(
            Panel(series=(Series(name="result", x=curve.days, y=curve.result, shape=Shape.FILLED),), axis=MONEY, title="result, USD"),
            Panel(series=(Series(name="drawdown", x=curve.days, y=curve.drawdown, shape=Shape.FILLED),), axis=FALL, title="drawdown"),
        ),
    )


def _falls(results: Sequence[float]) -> list[float]:
    """At each close how far the result lies under its highest until then, in money."""
    return [result - peak for peak, result in zip(accumulate(results, max), results, strict=True)]


def _payments(book: Book) -> list[tuple[datetime, float]]:
    moved = [(item.at, float(item.amount)) for item in book.movements if item.reason in PAID]
    return moved + [(item.at, float(item.cash)) for item in book.adjustments if item.deposit]


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"
