"""Profit target, credit stop and days left, in the figures their own pages give."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.config import SettingsTable, parse_config
from core.domain.instruments import Equity
from core.errors import Unavailable
from core.exits import Decision, Judgement, load_exits
from tests.unit.exits.cases import case, seen
from tests.unit.risk.market import FAR, NOW, SPREAD, buy, call, put, sell

NAKED = (sell(put(2800)),)
LONG_CALL = (buy(call(3050)),)


def judged(name: str, *legs: object, settings: dict[str, str] | None = None, **more: object) -> Judgement:
    table = SettingsTable(parse_config({}), settings or {})
    assert not table.unread
    item = next(item for item in load_exits(table.values) if item.name == name)
    one = case(*legs, **more)  # type: ignore[arg-type]
    return item.judge(one, seen(one.trade.legs, more.get("costs")))  # type: ignore[arg-type]


# --- profit target -------------------------------------------------------------------------------------------------------


def test_profit_target_when_half_of_the_credit_is_earned_then_close() -> None:
    found = judged("profit_target", SPREAD, received="1.20", costs="0.60")
    assert found.decision is Decision.CLOSE
    assert "profit is 50.0% of the credit at mid, the target is 50% (sold for 1.20, costs 0.60 to buy back; +60.00 USD)" in found.reason


def test_profit_target_when_a_cent_is_missing_then_hold() -> None:
    assert judged("profit_target", SPREAD, received="1.20", costs="0.61").decision is Decision.HOLD


def test_profit_target_when_a_naked_put_then_seventy_percent() -> None:
    assert judged("profit_target", NAKED, received="0.40", costs="0.13", strategy="naked_put").decision is Decision.HOLD
    assert judged("profit_target", NAKED, received="0.40", costs="0.12", strategy="naked_put").decision is Decision.CLOSE


def test_profit_target_when_bought_then_percent_of_the_debit() -> None:
    assert judged("profit_target", LONG_CALL, received="-2.00", costs="2.99", strategy="long_call").decision is Decision.HOLD
    found = judged("profit_target", LONG_CALL, received="-2.00", costs="3.00", strategy="long_call")
    assert found.decision is Decision.CLOSE
    assert "50.0% of the debit" in found.reason and "bought for 2.00, brings 3.00; +100.00 USD" in found.reason


def test_profit_target_when_told_then_goes_back_only_under_forty_five_percent() -> None:
    assert judged("profit_target", SPREAD, received="1.00", costs="0.54", told=True).due
    assert not judged("profit_target", SPREAD, received="1.00", costs="0.54").due
    assert not judged("profit_target", SPREAD, received="1.00", costs="0.56", told=True).due


def test_profit_target_when_a_part_was_closed_then_only_what_is_open_counts() -> None:
    # 2 of 3 were bought back dear; the one that is left has earned half of its own credit.
    found = judged("profit_target", SPREAD, received="1.20", costs="0.60", units=3, open_units=1, closing_cash="-500")
    assert found.decision is Decision.CLOSE and "+60.00 USD" in found.reason


def test_profit_target_when_a_leg_is_gone_then_measured_as_a_whole() -> None:
    # Sold for 1.20, the long wing was sold off for 0.30: 120 + 30 - 70 = 80 of 120.
    found = judged("profit_target", SPREAD, received="1.20", costs="0.60", missing=[SPREAD[1]], closing_cash="30")
    assert found.measured == "66.7% of the credit"


def test_profit_target_when_the_strategy_sets_its_own_then_that_counts() -> None:
    own = {"strategies.put_credit_spread.profit_target": "0.25"}
    assert judged("profit_target", SPREAD, received="1.00", costs="0.74", settings=own).due
    assert not judged("profit_target", NAKED, received="1.00", costs="0.74", strategy="naked_put", settings=own).due


def test_profit_target_when_shares_are_part_of_it_then_hold() -> None:
    legs = (buy(Equity(symbol="SPY"), ratio=100), sell(call(300, root="SPY")))
    found = judged("profit_target", legs, received="-280.00", costs="300.00", strategy="covered_call")
    assert found.decision is Decision.HOLD and "shares are part" in found.reason


def test_profit_target_when_no_price_is_known_then_unavailable() -> None:
    with pytest.raises(Unavailable, match="2800 put"):
        judged("profit_target", SPREAD, received="1.20")


# --- credit stop ---------------------------------------------------------------------------------------------------------


def test_credit_stop_when_it_costs_three_times_the_credit_then_close_with_the_loss_in_money() -> None:
    found = judged("credit_stop", SPREAD, received="1.20", costs="3.60")
    assert found.decision is Decision.CLOSE
    assert found.level == Decimal("-3.60")
    assert "costs 3.60 at mid, a loss of 200% of the credit (-240.00 USD)" in found.reason
    assert "sold 1.20; stop when it costs 3.60 to buy back (loss 240 USD each)" in found.reason


def test_credit_stop_when_just_under_then_hold() -> None:
    assert judged("credit_stop", SPREAD, received="1.20", costs="3.59").decision is Decision.HOLD


def test_credit_stop_when_told_then_goes_back_only_under_one_hundred_and_eighty_percent() -> None:
    assert judged("credit_stop", SPREAD, received="1.00", costs="2.85", told=True).due
    assert not judged("credit_stop", SPREAD, received="1.00", costs="2.75", told=True).due


def test_credit_stop_when_several_units_are_open_then_the_loss_is_said_of_each() -> None:
    found = judged("credit_stop", SPREAD, received="1.20", costs="3.60", units=3)
    assert "(-720.00 USD)" in found.reason and "loss 240 USD each" in found.reason


def test_credit_stop_when_bought_then_it_has_no_credit_to_multiply() -> None:
    assert judged("credit_stop", SPREAD, received="-1.20", costs="9.00").measured == "no credit"


@pytest.mark.parametrize("strategy", ["covered_call", "cash_secured_put"])
@pytest.mark.parametrize("name", ["credit_stop", "days_left"])
def test_exits_when_the_trade_would_take_assignment_then_off(name: str, strategy: str) -> None:
    item = next(item for item in load_exits(SettingsTable(parse_config({})).values) if item.name == name)
    assert not item.serves(strategy)


# --- short delta ---------------------------------------------------------------------------------------------------------


def test_short_delta_when_over_the_line_then_close_or_roll() -> None:
    # Spot 2,900, 39 days: the 3000 put at 120.00 has 100.00 of intrinsic value and little volatility left to hope for.
    deep = (sell(put(3000)), buy(put(2950)))
    found = judged("short_delta", deep, received="5.00", costs="130.00")
    assert found.decision is Decision.CLOSE
    assert "the delta of the SPXW 14 Jun 19 3000 put is 0." in found.reason and ", over 0.60: close it, or roll it" in found.reason
    assert judged("short_delta", SPREAD, received="5.00", costs="20.00").decision is Decision.HOLD


def test_short_delta_when_told_then_goes_back_only_under_the_rearmed_line() -> None:
    legs = (sell(put(2900)),)
    at = judged("short_delta", legs, received="50.00", costs="60.00", strategy="naked_put")
    delta = Decimal(at.measured)
    near = {"exits.short_delta.most": str(delta + Decimal("0.03"))}
    assert not judged("short_delta", legs, received="50.00", costs="60.00", strategy="naked_put", settings=near).due
    assert judged("short_delta", legs, received="50.00", costs="60.00", strategy="naked_put", settings=near, told=True).due


def test_short_delta_when_nothing_is_short_then_hold() -> None:
    assert judged("short_delta", LONG_CALL, received="-2.00", costs="3.00").measured == "no short leg"


# --- days left -----------------------------------------------------------------------------------------------------------


def days(left: int, start: int, **more: object) -> Judgement:
    opened_at = NOW - timedelta(days=start - 39)  # the expiry is 39 days from the test's today
    moved = {"strategies.put_credit_spread.close_dte": str(left)}
    return judged("days_left", SPREAD, received="1.20", opened_at=opened_at, settings=moved, **more)


def test_days_left_when_as_many_as_the_strategy_says_then_close_or_roll() -> None:
    found = days(39, 45)
    assert found.decision is Decision.CLOSE
    assert "39 days are left of 45: close it, or roll it to a later expiry" in found.reason


def test_days_left_when_more_are_left_then_hold() -> None:
    assert days(38, 45).decision is Decision.HOLD


def test_days_left_when_opened_with_no_more_then_left_alone() -> None:
    found = days(39, 39)
    assert found.decision is Decision.HOLD and "it was opened with 39 days" in found.reason


def test_days_left_when_no_price_is_known_then_it_counts_all_the_same() -> None:
    assert days(60, 70).decision is Decision.CLOSE


# --- a trade whose near leg has run out ------------------------------------------------------------------------------------

CALENDAR = (buy(call(2900, expiry=FAR)), sell(call(2900)))


def test_case_when_the_near_leg_has_run_out_then_what_is_left_is_intact_and_counts_as_a_whole() -> None:
    one = case(CALENDAR, received="-20.00", costs="45.00", strategy="calendar", missing=[CALENDAR[1]], closing_cash="-1000")

    assert (one.whole, one.intact, one.result.run_out) == (False, True, {CALENDAR[1].instrument.key})
    assert one.result.expiry == FAR and one.days_left(NOW.date()) == (FAR - NOW.date()).days
    # Bought for 20.00, the near call cost 10.00 when it ran out, the far one stands at 44.90 (45.00 less the 0.10 of its partner).
    assert one.gain == Decimal("-2000") + Decimal("-1000") + Decimal("4490")


def test_case_when_the_far_leg_is_gone_then_it_is_not_intact() -> None:
    one = case(CALENDAR, received="-20.00", costs="45.00", strategy="calendar", missing=[CALENDAR[0]])

    assert not one.intact and not one.result.run_out and one.result.expiry == CALENDAR[1].instrument.expiry


def test_profit_target_when_a_calendars_near_leg_ran_out_then_the_whole_trade_is_measured() -> None:
    run_out = {"missing": [CALENDAR[1]], "closing_cash": "-1000", "strategy": "calendar"}
    found = judged("profit_target", CALENDAR, received="-20.00", costs="45.00", **run_out)

    assert found.decision is Decision.CLOSE and "profit is 74.5% of the debit at mid, the target is 25%" in found.reason


def test_profit_target_when_the_near_leg_became_shares_then_it_holds_its_tongue() -> None:
    one = case(CALENDAR, received="-20.00", costs="45.00", strategy="calendar", missing=[CALENDAR[1]])
    item = next(item for item in load_exits(SettingsTable(parse_config({})).values) if item.name == "profit_target")

    assert item.judge(one, seen(CALENDAR, "45.00")).due
    assert not item.judge(replace(one, delivered=True), seen(CALENDAR, "45.00")).due


@pytest.mark.parametrize("strategy", [
    "covered_call", "cash_secured_put", "protective_put", "long_call", "call_debit_spread", "calendar", "stock",
])
def test_exits_when_the_strategy_takes_assignment_or_paid_then_delta_and_credit_exits_are_off(strategy: str) -> None:
    served = {item.name for item in load_exits(SettingsTable(parse_config({})).values) if item.serves(strategy)}

    assert served.isdisjoint({"credit_stop", "short_delta", "days_left"}) and "profit_target" in served


@pytest.mark.parametrize("strategy", ["call_credit_spread", "iron_condor", "short_strangle"])
def test_exits_when_premium_is_sold_then_all_of_them_watch_it(strategy: str) -> None:
    served = {item.name for item in load_exits(SettingsTable(parse_config({})).values) if item.serves(strategy)}

    assert {"credit_stop", "short_delta", "days_left", "profit_target"} <= served
