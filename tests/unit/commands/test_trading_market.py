"""`quote` and `chain`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from core.market.chain import Chain
from core.market.liquidity import judge_liquidity
from tests.paper_desk import fact, lines, open_desk, say, table, text


async def test_quote_when_asked_then_price_age_and_source_are_told():
    reply = await say(await open_desk(), "quote spx")

    assert isinstance(fact(reply, "mid").value, Decimal)
    assert fact(reply, "age").value == 0 and fact(reply, "source").value == "simulated"
    assert all(item.source for block in reply.blocks for item in getattr(block, "facts", ()))
    assert reply.data["symbol"] == "SPX"


@pytest.mark.parametrize(("hour", "before"), [(15, "2026-11-19"), (22, "2026-11-19")])
async def test_quote_when_the_session_is_over_then_the_change_is_still_from_the_day_before(hour: int, before: str):
    reply = await say(await open_desk(at=datetime(2026, 11, 20, hour, 30, tzinfo=UTC)), "quote SPX")

    assert fact(reply, "previous close").note == before
    assert fact(reply, "change").value != 0


@pytest.mark.parametrize("line", ["quote XYZQ", "chain XYZQ"])
async def test_market_command_when_the_symbol_is_unknown_then_says_so(line: str):
    reply = await say(await open_desk(), line)

    assert not reply.ok and "knows XYZQ" in text(reply)


async def test_chain_when_asked_then_eight_strikes_around_the_money_for_each_right():
    desk = await open_desk()

    reply = await say(desk, "chain SPY expiry=2026-12-18")

    spot = fact(reply, "SPY").value
    assert isinstance(spot, Decimal)
    for right in ("puts", "calls"):
        rows = table(reply, f"SPY 2026-12-18 {right}").rows
        assert len(rows) == 8
        assert all(isinstance(row[0], Decimal) and abs(row[0] - spot) <= 6 for row in rows)
        assert all(isinstance(row[1], Decimal) and isinstance(row[2], Decimal) and row[1] < row[2] for row in rows)


async def test_chain_when_quotes_are_infinite_then_shown_without_prices_and_as_hard_to_trade():
    desk = await open_desk()
    (provider,) = desk.reader._providers
    asked = provider.chain

    async def endless(symbol: str, *, first: date, last: date) -> Chain:
        chain = await asked(symbol, first=first, last=last)
        return replace(chain, bid=np.full(len(chain), np.inf), ask=np.full(len(chain), np.inf))

    provider.chain = endless  # type: ignore[method-assign]
    reply = await say(desk, "chain SPY put expiry=2026-12-18")

    rows = table(reply, "SPY 2026-12-18 puts").rows
    assert len(rows) == 8
    assert all(row[1] is None and row[2] is None and row[7] == "poor" for row in rows), rows


async def test_chain_when_a_right_is_said_then_only_that_one_with_deltas_falling_with_the_strike():
    reply = await say(await open_desk(), "chain SPY put expiry=2026-12-18")
    rows = table(reply, "SPY 2026-12-18 puts").rows

    assert sum(hasattr(block, "rows") for block in reply.blocks) == 1
    deltas = [row[4] for row in rows]
    assert all(isinstance(delta, float) and -1 < delta < 0 for delta in deltas) and deltas == sorted(deltas)  # type: ignore[type-var]


async def test_chain_when_two_series_expire_that_day_then_both_are_shown_apart_and_a_root_shows_one():
    desk = await open_desk()

    both, one = await say(desk, "chain SPX put expiry=2026-12-18"), await say(desk, "chain SPXW put expiry=2026-12-18")

    assert table(both, "SPX 2026-12-18 puts").rows and table(both, "SPXW 2026-12-18 puts").rows
    assert [block.title for block in one.blocks if hasattr(block, "rows")] == ["SPXW 2026-12-18 puts"]


async def test_chain_when_days_are_said_then_the_nearest_listed_expiry_is_shown():
    reply = await say(await open_desk(), "chain KO put dte=20")

    assert fact(reply, "days to expiry").value in (14, 21)


async def test_chain_when_more_strikes_are_wanted_then_the_buttons_lead_there():
    desk = await open_desk()
    first = await say(desk, "chain SPY put expiry=2026-12-18")

    lower = await say(desk, lines(first)[0])

    highest = table(lower, "SPY 2026-12-18 puts").rows[0][0]
    lowest = table(first, "SPY 2026-12-18 puts").rows[-1][0]
    assert isinstance(highest, Decimal) and isinstance(lowest, Decimal) and highest < lowest
    later = await say(desk, next(action.line for action in first.actions if action.label.startswith("Next expiry")))
    assert later.ok and fact(later, "days to expiry").value > 28  # type: ignore[operator]


@pytest.mark.parametrize(("line", "sentence"), [
    ("chain SPX expiry=2026-12-25", "SPX has no expiry on 2026-12-25. Nearest are 2026-12-22, 2026-12-23, 2026-12-24"),
    ("chain SPX expiry=2026-11-02", "is in the past"),
    ("chain SPX expiry=2026-12-18 dte=20", "both given"),
    ("chain VIX3M", "VIX3M lists no options"),
])
async def test_chain_when_what_is_said_cannot_be_then_refuses(line: str, sentence: str):
    reply = await say(await open_desk(), line)

    assert not reply.ok and sentence in text(reply)


def test_liquidity_docstring_example_when_worked_out_then_its_figures_hold():
    found = judge_liquidity(mid=Decimal("1.25"), spread=Decimal("0.10"), open_interest=900)

    assert (found.score, found.word, found.relative) == (78, "good", pytest.approx(0.08))


@pytest.mark.parametrize(("mid", "spread", "interest", "word"), [
    (1.0, 0.10, 900, "good"), (1.0, 0.15, 900, "acceptable"), (1.0, 0.20, 900, "acceptable"), (0.5, 0.15, 900, "poor"),
    (1.0, 0.45, 900, "poor"), (10.0, 0.45, 900, "good"), (1.0, 0.10, 500, "acceptable"), (1.0, 0.10, 99, "poor"), (1.0, 0.10, None, "good"),
    (0.0, 0.10, 900, "poor"), (float("nan"), 0.1, 900, "poor"),
])
def test_liquidity_when_spread_or_interest_is_worse_then_the_word_is_too(mid: float, spread: float, interest: int | None, word: str):
    assert judge_liquidity(mid=mid, spread=spread, open_interest=interest).word == word


def test_liquidity_when_it_is_a_combo_then_its_points_are_not_judged_but_its_share_of_mid_is():
    assert judge_liquidity(mid=3.80, spread=0.30, open_interest=None, combo=True).word == "good"
    assert judge_liquidity(mid=1.00, spread=0.30, open_interest=None, combo=True).word == "poor"


def test_liquidity_when_it_is_an_index_then_little_open_interest_is_advice():
    assert judge_liquidity(mid=10.0, spread=0.40, open_interest=70, index=True).word == "acceptable"
    assert judge_liquidity(mid=10.0, spread=0.60, open_interest=70, index=True).word == "poor"


def test_liquidity_when_there_is_no_price_then_the_score_is_unknown_not_zero():
    assert judge_liquidity(mid=0, spread=0, open_interest=900).score is None
