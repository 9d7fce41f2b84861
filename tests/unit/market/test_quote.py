"""The quote rule and the age of a quote in session time."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from core.domain.instruments import series_of
from core.market.quote import Quote, QuoteState, judge_quote, session_age_seconds

AT = datetime(2024, 5, 15, 19, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bid", "ask", "state"),
    [
        (1.0, 1.1, QuoteState.OK),
        (1.0, 1.0, QuoteState.OK),
        (0.0, 0.05, QuoteState.NO_BID),
        (0.0, 0.0, QuoteState.NO_ASK),
        (1.0, 0.0, QuoteState.NO_ASK),
        (1.2, 1.1, QuoteState.CROSSED),
        (-0.1, 1.0, QuoteState.NEGATIVE),
        (0.1, -1.0, QuoteState.NEGATIVE),
        (math.nan, 1.0, QuoteState.NOT_A_NUMBER),
        (1.0, math.nan, QuoteState.NOT_A_NUMBER),
        (math.inf, math.inf, QuoteState.ABSURD),
        (0.0, math.inf, QuoteState.ABSURD),
        (-math.inf, 1.0, QuoteState.ABSURD),
        (1e308, 1e308, QuoteState.ABSURD),
    ],
)
def test_g2_quote_when_judged_then_the_rule_says_why(bid: float, ask: float, state: QuoteState) -> None:
    assert judge_quote(bid, ask) is state


def test_state_when_nobody_bids_then_usable_as_a_mark_of_half_the_ask() -> None:
    quote = Quote(key="X", bid=0.0, ask=0.10, at=AT, source="test")

    assert quote.state.usable
    assert quote.mid == 0.05


@pytest.mark.parametrize(
    ("state", "usable"),
    [(state, state in {QuoteState.OK, QuoteState.NO_BID}) for state in QuoteState],
)
def test_usable_when_asked_of_each_state_then_only_sane_two_sided_and_no_bid(state: QuoteState, usable: bool) -> None:
    assert state.usable is usable


@pytest.mark.parametrize(
    ("now", "root", "seconds"),
    [
        (datetime(2024, 5, 15, 19, 46, tzinfo=UTC), "SPXW", 60),
        (datetime(2024, 5, 15, 20, 30, tzinfo=UTC), "SPXW", 30 * 60),  # trades until 16:15
        (datetime(2024, 5, 15, 20, 30, tzinfo=UTC), "AAPL", 15 * 60),  # until 16:00
        (datetime(2024, 5, 15, 20, 30, tzinfo=UTC), None, 15 * 60),
        (datetime(2024, 5, 16, 13, 31, tzinfo=UTC), "AAPL", 15 * 60 + 60),  # the night does not count
        (datetime(2024, 5, 18, 12, 0, tzinfo=UTC), "AAPL", 15 * 60 + 2 * 6.5 * 3600),
        (datetime(2024, 5, 19, 12, 0, tzinfo=UTC), "AAPL", 15 * 60 + 2 * 6.5 * 3600),  # nor does the weekend
        (datetime(2024, 5, 15, 19, 45, tzinfo=UTC), "AAPL", 0),
        (datetime(2024, 5, 15, 19, 44, tzinfo=UTC), "AAPL", -60),  # from the future: never taken for fresh
    ],
)
def test_session_age_when_hours_are_closed_then_only_trading_time_counts(now: datetime, root: str | None, seconds: float) -> None:
    assert session_age_seconds(AT, now, None if root is None else series_of(root)) == seconds


def test_session_age_when_a_half_day_lies_between_then_its_short_hours_count() -> None:
    before, after = datetime(2024, 7, 3, 13, 30, tzinfo=UTC), datetime(2024, 7, 5, 13, 30, tzinfo=UTC)

    assert session_age_seconds(before, after, series_of("AAPL")) == 3.5 * 3600
