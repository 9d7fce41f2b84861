"""No entry in what the source reports as halted; what reduces risk is queued, and its card says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.clock import ManualClock
from core.config import ConfigError, parse_config
from core.domain.instruments import underlying_instrument
from core.domain.orders import Leg
from core.errors import Unavailable, UserError
from core.market.answers import checked_chain, checked_quotes
from core.market.providers import simulated
from core.market.view import View
from core.orders.trigger import see
from core.risk import gate
from core.risk.exam import Exam, Finding, Level
from core.risk.registry import load_rules
from core.risk.rules import halted
from core.settings import defaults
from tests.paper_desk import START, open_desk, say, text
from tests.unit.risk.market import NOW, SPREAD, book, closing, exam, intent, put, view

WHY = "volatility pause"


def stopped(*, chain: bool = True) -> View:
    """The market with SPX halted: in the chain's own words, or in the quote's of the index."""
    whole = view()
    if chain:
        return replace(whole, chains={**whole.chains, "SPX": replace(whole.chains["SPX"], halted=WHY)})
    return replace(whole, quotes={**whole.quotes, "SPX": replace(whole.quotes["SPX"], halted=WHY)})


def judged(examined: Exam) -> Finding:
    return halted.judge(examined, defaults(halted.PARAMETERS))


@pytest.mark.parametrize("chain", [True, False], ids=["chain", "quote"])
def test_g3_halted_when_the_underlying_does_not_trade_then_an_entry_is_blocked(chain: bool) -> None:
    found = judged(exam(intent(SPREAD), market=stopped(chain=chain)))
    assert (found.level, found.measured) == (Level.BLOCK, WHY)
    assert found.why == "SPX does not trade now (volatility pause); an order would wait at the broker until trading resumes"


def test_g3_halted_when_another_underlying_is_halted_then_passes() -> None:
    whole = view()
    elsewhere = replace(whole, chains={**whole.chains, "KO": replace(whole.chains["KO"], halted=WHY)})
    assert judged(exam(intent(SPREAD), market=elsewhere)).level is Level.PASS


def test_g3_halted_when_the_order_reduces_risk_then_the_gate_lets_it_through_and_says_why() -> None:
    held = book((put(2800), -1), (put(2750), 1), trades=[(SPREAD, 1)])
    examined = exam(intent(closing(SPREAD), start="-5.00", worst="-5.10"), of=held, market=stopped())
    assert examined.reducing
    found = next(item for item in gate.judge(examined, load_rules(), report=lambda name, error: name).findings if item.rule == "halted")
    assert found.level is Level.PASS
    assert found.why.endswith("not applied, this order reduces risk")


def test_g3_halted_when_a_leg_is_quoted_by_nobody_then_unavailable() -> None:
    with pytest.raises(Unavailable):
        judged(exam(intent(SPREAD), market=view(drop=[SPREAD[0].instrument])))


def test_g3_stop_when_its_legs_are_halted_then_their_quotes_touch_nothing() -> None:
    legs: Sequence[Leg] = closing(SPREAD)
    opened = NOW - timedelta(hours=1)
    assert see(legs, view(), opened_at=opened, stale_seconds=60).mid is not None
    sight = see(legs, stopped(), opened_at=opened, stale_seconds=60)
    assert (sight.mid, sight.why) == (None, "trading is halted: volatility pause")


@pytest.mark.parametrize(
    ("said", "kept"),
    [("LULD\n\x00pause ", "LULD pause"), ("x" * 500, "x" * 80), (True, "halted"), (None, ""), ("\x00", "halted"), ("", "")],
)
def test_g3_answer_when_the_words_of_a_halt_are_odd_then_it_is_a_halt_on_one_line(said: Any, kept: str) -> None:
    quote = replace(view().quotes["SPX"], halted=said)
    assert checked_quotes({"SPX": quote})["SPX"].halted == kept
    assert checked_chain(replace(view().chains["SPX"], halted=said), "SPX").halted == kept


# --- the practice market ---------------------------------------------------------------------------------------------------


async def test_g3_market_when_a_halt_is_set_then_quotes_and_chain_say_so_for_its_time_and_its_name_alone() -> None:
    clock = ManualClock(START)
    market = simulated.build(simulated.Parameters(halts="XSP 2026-11-20 10:00-10:15 volatility pause"), clock=clock)
    index = underlying_instrument("XSP")
    other = underlying_instrument("SPY")
    expiry = (await market.expiries("XSP"))[0]

    quotes = await market.quotes((index, other))
    chain = await market.chain("XSP", first=expiry, last=expiry)
    clock.set(START + timedelta(minutes=15))

    assert [quotes[item.key].halted for item in (index, other)] == [WHY, ""]
    assert chain.halted == chain.quote(0).halted == WHY
    assert (await market.quotes((index,)))[index.key].halted == ""


@pytest.mark.parametrize(
    "wrong", ["KO", "NOPE 2026-11-20 10:00-10:15", "KO 2026-11-31 10:00-10:15", "KO 2026-11-20 10:00-25:15", "KO 10:00"]
)
def test_k1_market_when_its_halts_cannot_be_read_then_a_mistake_of_the_file(wrong: str) -> None:
    with pytest.raises(UserError, match="no halt of the simulated market"):
        simulated.halts_of(wrong)
    with pytest.raises(ConfigError, match="no halt of the simulated market"):
        parse_config({"market": {"provider": "simulated", "halts": wrong}})


async def test_g3_desk_when_a_symbol_is_halted_then_entries_are_refused_and_a_close_is_queued_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = await open_desk()
    opened = await say(desk, "open put_credit_spread XSP 1")
    assert (await say(desk, opened.actions[0].line)).ok
    for sender in desk.senders.values():
        await sender.settle_down()
    (trade,) = next(iter(desk.books.accounts.values())).open_trades
    monkeypatch.setattr(desk.providers[0]._halts, "_told", simulated.halts_of("XSP 2026-11-20 09:30-11:00 volatility pause"))
    desk.runtime.clock.set(START + timedelta(minutes=1))  # type: ignore[attr-defined]

    refused = await say(desk, "open put_credit_spread XSP 2")
    close = await say(desk, f"close {trade.id}")

    assert "XSP does not trade now (volatility pause); an order would wait at the broker" in text(refused)
    assert "The order waits at the broker until it does" in text(close)
    pressed = await say(desk, close.actions[0].line)
    assert pressed.ok
    for sender in desk.senders.values():
        await sender.settle_down(walk=True)
    assert next(iter(desk.books.accounts.values())).live, "nothing fills while it is halted"
    desk.runtime.clock.set(START + timedelta(hours=1, minutes=1))  # type: ignore[attr-defined]
    for sender in desk.senders.values():
        await sender.settle_down(walk=True)
    assert not next(iter(desk.books.accounts.values())).live
