"""One instrument's two-sided market, and whether it may be traded on.

A leaf module (standard library and domain only), so that providers and brokers at the edge may use it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from core.domain.calendar import CalendarError, exchange_day, hours, session, sessions
from core.domain.instruments import SeriesSpec


class QuoteState(StrEnum):
    """Verdict of `judge_quote`."""

    OK = "ok"
    NO_BID = "no bid"  # valid, the normal state of a far short option: may be bought back, may not be sold to open
    NO_ASK = "no ask"
    CROSSED = "bid above ask"
    NEGATIVE = "negative price"
    NOT_A_NUMBER = "not a number"
    ABSURD = "price out of any range"
    MISSING = "no quote"

    @property
    def usable(self) -> bool:
        """May be used as a mark and for buying."""
        return self in (QuoteState.OK, QuoteState.NO_BID)


LARGEST_PRICE = 1e7
SMALLEST_SPOT = 1e-4  # of an underlying
OLDEST = timedelta(days=370)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Bid and ask of one instrument. `at` is when the source says the price was made (UTC).

    `halted` says in the source's words why it does not trade now (a halt, a volatility pause, an auction); empty while it does.
    """

    key: str
    bid: float
    ask: float
    at: datetime
    source: str
    bid_size: int | None = None
    ask_size: int | None = None
    last: float | None = None
    delayed: bool = False
    halted: str = ""

    @property
    def state(self) -> QuoteState:
        """Judged by the quote rule."""
        return judge_quote(self.bid, self.ask)

    @property
    def mid(self) -> float:
        """Half way between bid and ask; ask / 2 where nobody bids."""
        return (self.bid + self.ask) / 2

    @property
    def spread(self) -> float:
        """Ask less bid."""
        return self.ask - self.bid


def judge_quote(bid: float, ask: float) -> QuoteState:
    """Say whether a bid and ask are sane: rejected are NaN, infinite, negative, crossed and a zero ask; bid 0 with ask > 0 is valid."""
    if math.isnan(bid) or math.isnan(ask):
        return QuoteState.NOT_A_NUMBER
    if max(abs(bid), abs(ask)) > LARGEST_PRICE:
        return QuoteState.ABSURD
    if bid < 0 or ask < 0:
        return QuoteState.NEGATIVE
    if ask == 0:
        return QuoteState.NO_ASK
    if bid > ask:
        return QuoteState.CROSSED
    return QuoteState.NO_BID if bid == 0 else QuoteState.OK


def session_age_seconds(quote_at: datetime, now: datetime, spec: SeriesSpec | None = None) -> float:
    """Seconds of regular trading between a quote and now: closed hours do not age a quote; a quote from the future is negative.

    `spec` gives the hours; without one they are the equity session's, 9:30 to 16:00. Older than `OLDEST` counts as that old.
    Raises CalendarError for an instant without zone or outside the calendar.
    """
    if quote_at.tzinfo is None or now.tzinfo is None:
        raise CalendarError("the age of a quote needs time zones")
    if quote_at > now:
        return (now - quote_at).total_seconds()
    if now - quote_at > OLDEST:
        quote_at = now - OLDEST
    spans = (_trading_hours(day, spec) for day in sessions(exchange_day(quote_at), exchange_day(now)))
    open_for = (min(now, closes) - max(quote_at, opens) for opens, closes in spans)
    return sum(max(part, timedelta(0)).total_seconds() for part in open_for)


def _trading_hours(day: date, spec: SeriesSpec | None) -> tuple[datetime, datetime]:
    span = None if spec is None else hours(spec, day)
    if span is None:
        regular = session(day)
        assert regular is not None, f"{day} came from the list of sessions"
        span = regular.open_at, regular.close_at
    return span
