"""The worked example of each rule, and its edges."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core import plugins
from core.domain.accounts import AccountKind
from core.domain.events import Mode
from core.domain.instruments import Deliverable, Equity, Index, Option
from core.domain.orders import Effect, Leg
from core.errors import Unavailable
from core.orders.ticket import legs_key as confirmed_key
from core.risk.exam import Exam, Finding, Level, Recent, legs_key
from core.settings import defaults
from tests.unit.risk.market import (
    CALL_SPREAD,
    EXPIRY,
    FAR,
    NOW,
    SPREAD,
    account,
    at_mid,
    book,
    buy,
    call,
    closing,
    envelope,
    exam,
    intent,
    preview,
    put,
    quoted,
    sell,
    view,
)

CLOSE = Effect.CLOSE
HELD = ((put(2800), -2), (put(2750), 2))
KO = Equity(symbol="KO")


def judged(rule: str, examined: Exam, **settings: Any) -> Finding:
    module = plugins.load("rules", rule)
    parameters = defaults(module.PARAMETERS)
    found: Finding = module.judge(examined, replace(parameters, values={**parameters.values, **settings}))
    return found


def level(rule: str, examined: Exam, **settings: Any) -> Level:
    return judged(rule, examined, **settings).level


def measured(examined: Exam, *, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None, **more: Any) -> Exam:
    """The exam with other measures."""
    return replace(examined, before=replace(examined.before, **(before or {})), after=replace(examined.after, **(after or {})), **more)


def worth(usd: int) -> dict[str, Any]:
    return {"net_liquidation": Decimal(usd)}


# --- state ---------------------------------------------------------------------------------------------------------------

CLOSING = intent(closing(SPREAD), 1, start="-9.60", worst="-9.90")
WING = intent([sell(put(2750), CLOSE)], start="20.00")


@pytest.mark.parametrize(
    ("mode", "entry", "exit_", "wing"),
    [
        (Mode.ACTIVE, Level.PASS, Level.PASS, Level.PASS),
        (Mode.PAUSED, Level.BLOCK, Level.PASS, Level.BLOCK),
        (Mode.REDUCING, Level.BLOCK, Level.PASS, Level.BLOCK),
        (Mode.HALT, Level.BLOCK, Level.PASS, Level.BLOCK),
        (Mode.RECOVERY, Level.BLOCK, Level.BLOCK, Level.BLOCK),
        (Mode.STANDBY, Level.BLOCK, Level.BLOCK, Level.BLOCK),
    ],
)
def test_state_when_mode_is_set_then_as_the_table_says(mode: Mode, entry: Level, exit_: Level, wing: Level) -> None:
    held = book(*HELD)
    assert level("state", exam(mode=mode, of=held)) is entry
    assert level("state", exam(CLOSING, mode=mode, of=held)) is exit_
    assert level("state", exam(WING, mode=mode, of=held)) is wing


def test_state_when_halted_then_automation_may_not_even_reduce() -> None:
    assert level("state", exam(CLOSING, mode=Mode.HALT, of=book(*HELD), automation=True)) is Level.BLOCK


def test_state_when_blocked_then_reason_and_next_step_are_said() -> None:
    found = judged("state", exam(mode=Mode.PAUSED, mode_reason="lunch"))
    assert "paused (lunch)" in found.why
    assert "resume" in found.next_step


# --- session -------------------------------------------------------------------------------------------------------------


def at(hour: int, minute: int, day: int = 6) -> datetime:
    return datetime(2019, 5, day, hour + 4, minute, tzinfo=UTC)  # New York, summer


def test_session_when_last_day_then_closes_at_four_others_at_a_quarter_past() -> None:
    later, today = at(16, 5), at(16, 5, day=6)
    ends_today = put(2900, expiry=datetime(2019, 5, 6).date())
    assert level("session", exam(intent(SPREAD), now=later)) is Level.PASS
    found = judged("session", exam(intent([buy(ends_today, CLOSE)], start="-1.00"), of=book((ends_today, -1)), now=today))
    assert found.level is Level.BLOCK
    assert "trades no more" in found.why


@pytest.mark.parametrize(
    ("now", "opens"),
    [(at(9, 29), "Monday 6 May at 09:30"), (at(16, 15), "Tuesday 7 May at 09:30"), (at(11, 0, day=11), "Monday 13 May at 09:30")],
)
def test_session_when_closed_then_says_when_it_opens(now: datetime, opens: str) -> None:
    found = judged("session", exam(intent(SPREAD), now=now))
    assert found.level is Level.BLOCK
    assert opens in found.why


def test_session_when_shares_after_four_then_closed() -> None:
    assert level("session", exam(intent([buy(KO)], start="-48.00"), now=at(16, 1))) is Level.BLOCK


# --- contract ------------------------------------------------------------------------------------------------------------


def adjusted() -> Option:
    return replace(put(45, root="KO"), root="KO1", deliverable=Deliverable(symbol="KO", shares=150))


def test_n5_contract_when_deliverable_is_not_standard_then_only_closing_passes() -> None:
    odd = replace(put(45, root="KO"), deliverable=Deliverable(symbol="KO", shares=150))
    found = judged("contract", exam(intent([sell(odd)], start="0.50")))
    assert found.level is Level.BLOCK
    assert "150 shares of KO" in found.why
    assert level("contract", exam(intent([sell(adjusted())], start="0.50"))) is Level.BLOCK
    market = view(**quoted(adjusted(), 0.40, 0.50))
    closes = exam(intent([buy(adjusted(), CLOSE)], start="-0.50"), of=book((adjusted(), -1)), market=market)
    assert closes.reducing
    assert level("quotes", closes) is Level.PASS
    assert level("contract", closes) is Level.PASS
    assert level("session", closes) is Level.PASS


def test_n6_contract_when_expired_then_refused() -> None:
    assert level("contract", exam(intent(SPREAD), now=put(2800).last_trade_at)) is Level.BLOCK
    assert level("contract", exam(intent(SPREAD), now=put(2800).last_trade_at - timedelta(seconds=1))) is Level.PASS


@pytest.mark.parametrize("change", [{"multiplier": 10}, {"expiry": EXPIRY.replace(day=15)}, {"last_trade_at": NOW + timedelta(days=90)}])
def test_n6_contract_when_terms_are_not_those_listed_then_refused(change: dict[str, Any]) -> None:
    assert level("contract", exam(intent([sell(replace(put(2800), **change))]))) is Level.BLOCK


def test_contract_when_instrument_cannot_be_traded_then_refused() -> None:
    examined = replace(exam(), intent=intent([buy(Index(symbol="SPX"))], start="-1.00"))
    assert "only options and shares" in judged("contract", examined).why


# --- quotes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "expected"), [(45, Level.PASS), (120, Level.PASS), (121, Level.BLOCK), (300, Level.BLOCK), (-4, Level.PASS), (-6, Level.BLOCK)]
)
def test_g1_quotes_when_old_then_blocked(age: int, expected: Level) -> None:
    examined = exam(at_mid(intent(SPREAD)), market=view(quoted_at=NOW - timedelta(seconds=age)))
    assert level("quotes", examined) is expected


def test_quotes_when_friday_close_on_monday_open_then_not_aged() -> None:
    opening = datetime(2019, 5, 6, 13, 30, tzinfo=UTC)
    friday = datetime(2019, 5, 3, 20, 14, 30, tzinfo=UTC)
    assert level("quotes", exam(market=view(at=opening, quoted_at=friday))) is Level.PASS


@pytest.mark.parametrize(("bid", "ask"), [(3.0, 2.0), (-1.0, 2.0), (0.0, 0.0), (float("nan"), 1.0)])
def test_g2_quotes_when_insane_then_blocked(bid: float, ask: float) -> None:
    assert level("quotes", exam(intent(SPREAD), market=view(**quoted(put(2800), bid, ask)))) is Level.BLOCK


def test_quotes_when_nobody_bids_then_no_opening_sale_but_any_purchase() -> None:
    market = view(**quoted(put(2800), 0.0, 0.05))
    assert level("quotes", exam(intent(SPREAD), market=market)) is Level.BLOCK
    assert level("quotes", exam(intent([buy(put(2800), CLOSE)], start="-0.05"), of=book(*HELD), market=market)) is Level.PASS
    assert level("quotes", exam(intent([sell(put(2800), CLOSE)], start="0.00"), of=book((put(2800), 1)), market=market)) is Level.PASS


def test_quotes_when_delayed_then_blocked() -> None:
    market = view(**quoted(put(2800), 30.0, 30.2))
    late = {key: replace(quote, delayed=True) for key, quote in market.quotes.items()}
    assert level("quotes", exam(intent(SPREAD), market=replace(market, quotes=late))) is Level.BLOCK


def test_quotes_when_underlying_is_old_then_blocked() -> None:
    market = view()
    old = {**market.quotes, "SPX": replace(market.quotes["SPX"], at=NOW - timedelta(minutes=5))}
    found = judged("quotes", exam(intent(SPREAD), market=replace(market, quotes=old)))
    assert found.level is Level.BLOCK
    assert "SPX is 300 s old" in found.why


# --- collar --------------------------------------------------------------------------------------------------------------


def priced(natural: str | None, *, start: str, worst: str, legs: tuple[Leg, ...] = SPREAD, reducing: bool = False) -> Exam:
    held = book(*HELD) if reducing else None
    examined = exam(intent(legs, start=start, worst=worst), of=held)
    return replace(examined, natural=None if natural is None else Decimal(natural), reducing=reducing)


def test_collar_when_worst_is_within_ten_percent_then_passes_beyond_not() -> None:
    assert level("collar", priced("3.00", start="3.20", worst="2.70")) is Level.PASS
    assert level("collar", priced("3.00", start="3.20", worst="2.50")) is Level.BLOCK


def test_n12_collar_when_buying_to_close_then_may_pay_a_little_over_natural() -> None:
    assert level("collar", priced("-0.40", start="-0.40", worst="-0.50", legs=closing(SPREAD), reducing=True)) is Level.PASS
    assert level("collar", priced("-0.40", start="-0.40", worst="-0.51", legs=closing(SPREAD), reducing=True)) is Level.BLOCK


@pytest.mark.parametrize(("start", "worst"), [("55.00", "55.00"), ("0.10", "-0.20")])
def test_collar_when_price_is_impossible_then_blocked(start: str, worst: str) -> None:
    assert level("collar", priced("0.05", start=start, worst=worst)) is Level.BLOCK


def test_collar_when_reducing_without_natural_then_the_typed_limit_stands_unless_impossible() -> None:
    legs = closing(SPREAD)
    assert level("collar", priced(None, start="-20.00", worst="-20.00", legs=legs, reducing=True)) is Level.PASS
    assert level("collar", priced(None, start="-54.00", worst="-54.00", legs=legs, reducing=True)) is Level.PASS
    assert level("collar", priced(None, start="-500.00", worst="-500.00", legs=legs, reducing=True)) is Level.BLOCK


def test_collar_when_opening_without_natural_then_unavailable() -> None:
    with pytest.raises(Unavailable):
        judged("collar", priced(None, start="3.00", worst="3.00"))


def test_collar_when_deep_spread_asks_more_than_its_width_then_nobody_is_trapped() -> None:
    assert level("collar", priced("-56.00", start="-50.00", worst="-56.00", legs=closing(SPREAD), reducing=True)) is Level.PASS


def test_collar_when_call_is_sold_then_no_upper_bound_but_never_below_zero() -> None:
    assert level("collar", priced("30.00", start="31.00", worst="29.00", legs=(sell(call(2900)),))) is Level.PASS
    assert level("collar", priced("0.05", start="0.05", worst="-0.01", legs=(sell(call(2900)),))) is Level.BLOCK


# --- duplicate -----------------------------------------------------------------------------------------------------------


def test_legs_key_when_a_ticket_is_confirmed_then_the_rule_finds_it_again() -> None:
    assert confirmed_key(envelope(SPREAD, 2)) == legs_key(intent(SPREAD, 7, start="1.00"))


@pytest.mark.parametrize(("seconds", "quantity", "expected"), [(40, 2, Level.BLOCK), (60, 2, Level.PASS), (40, 3, Level.PASS)])
def test_d9_duplicate_when_confirmed_moments_ago_then_held_back(seconds: int, quantity: int, expected: Level) -> None:
    order = intent(SPREAD, 2)
    earlier = Recent(envelope_hash="h", legs_key=legs_key(order), quantity=quantity, at=NOW - timedelta(seconds=seconds), ticket_id="T1")
    assert level("duplicate", exam(order, recent=(earlier,))) is expected
    assert level("duplicate", exam(order, recent=(earlier,), second_order=True)) is Level.PASS
    other = intent(CALL_SPREAD, 2)
    assert level("duplicate", exam(other, recent=(earlier,))) is Level.PASS


# --- effect --------------------------------------------------------------------------------------------------------------


def test_n8_effect_when_closing_more_than_is_free_then_blocked_with_what_fits() -> None:
    held = book((put(2800), -3), working=[((buy(put(2800), CLOSE),), 2)])
    assert level("effect", exam(intent([buy(put(2800), CLOSE)], 1, start="-30.00"), of=held)) is Level.PASS
    found = judged("effect", exam(intent([buy(put(2800), CLOSE)], 2, start="-30.00"), of=held))
    assert (found.level, found.fits) == (Level.BLOCK, 1)


def test_n8_effect_when_position_vanished_then_blocked() -> None:
    found = judged("effect", exam(intent([sell(put(2750), CLOSE)], start="20.00")))
    assert found.level is Level.BLOCK
    assert "not held" in found.why


def test_n8_effect_when_closing_the_wrong_way_then_blocked() -> None:
    assert level("effect", exam(intent([sell(put(2800), CLOSE)], start="20.00"), of=book(*HELD))) is Level.BLOCK


def test_effect_when_a_covered_call_has_no_shares_any_more_then_blocked_whatever_the_account_may_hold() -> None:
    order = replace(intent([sell(call(50, root="KO"))], 2, start="0.50"), strategy="covered_call")
    found = judged("effect", exam(order, of=book((KO, 100))))
    assert (found.level, found.measured, found.fits) == (Level.BLOCK, "1", 1)
    assert "1 of 2 calls would not be covered by shares that are held and free" in found.why
    assert level("effect", exam(order, of=book((KO, 200)))) is Level.PASS
    assert level("effect", exam(replace(order, strategy="external"), of=book((KO, 100)))) is Level.PASS


def test_effect_when_opening_against_a_position_then_blocked() -> None:
    found = judged("effect", exam(intent([buy(put(2800))], start="-30.00"), of=book(*HELD)))
    assert "buying back what is held short is a close" in found.why
    working = book(working=[((sell(put(2800)),), 1)])
    assert level("effect", exam(intent([buy(put(2800))], start="-30.00"), of=working)) is Level.BLOCK
    assert level("effect", exam(intent([sell(put(2800))], start="30.00"), of=working)) is Level.PASS


# --- charter -------------------------------------------------------------------------------------------------------------


def test_charter_when_defined_risk_only_then_no_naked_put() -> None:
    strict = book(opened=account(defined_risk_only=True))
    assert level("charter", exam(of=strict)) is Level.PASS
    found = judged("charter", exam(intent([sell(put(2800))], strategy="naked_put"), of=strict))
    assert (found.level, found.measured) == (Level.BLOCK, "1 uncovered")
    held = book(*HELD, opened=account(defined_risk_only=True))
    assert level("charter", exam(WING, of=held)) is Level.BLOCK
    assert level("charter", exam(CLOSING, of=held)) is Level.PASS


def test_charter_when_cover_is_only_working_then_it_does_not_count() -> None:
    leaning = book(opened=account(defined_risk_only=True), working=[((buy(put(2750)),), 1)])
    assert level("charter", exam(intent([sell(put(2800))]), of=leaning)) is Level.BLOCK


def test_charter_when_long_only_then_nothing_is_sold_to_open() -> None:
    careful = book((put(2700), 1), opened=account(long_only=True))
    assert level("charter", exam(of=careful)) is Level.BLOCK
    assert level("charter", exam(intent([buy(put(2800))], start="-31.00"), of=careful)) is Level.PASS
    assert level("charter", exam(intent([sell(put(2700), CLOSE)], start="5.00"), of=careful)) is Level.PASS


def test_charter_when_symbols_are_listed_then_others_are_refused() -> None:
    listed = book(opened=account(symbols=frozenset({"XSP"})))
    assert level("charter", exam(of=listed)) is Level.BLOCK
    assert level("charter", exam(intent([sell(put(280, root="XSP")), buy(put(275, root="XSP"))]), of=listed)) is Level.PASS


def test_charter_when_shares_would_be_short_then_refused() -> None:
    assert level("charter", exam(intent([sell(KO)], 100, start="48.00"))) is Level.BLOCK
    assert level("charter", exam(intent([sell(KO)], 100, start="48.00"), of=book(opened=account(no_shares_short=False)))) is Level.PASS


@pytest.mark.parametrize("kind", [AccountKind.CASH, AccountKind.IRA])
def test_charter_when_cash_account_then_uncovered_call_is_refused_and_covered_passes(kind: AccountKind) -> None:
    short = intent([sell(call(50, root="KO"))], start="0.50")
    assert level("charter", exam(short, of=book(opened=account(kind)))) is Level.BLOCK
    assert level("charter", exam(short, of=book((KO, 100), opened=account(kind)))) is Level.PASS


# --- limits --------------------------------------------------------------------------------------------------------------


def test_capital_when_over_five_percent_then_blocked_with_what_fits() -> None:
    assert level("capital", exam(intent(SPREAD, 1, start="1.00"))) is Level.PASS  # 4,900 of 5,000
    found = judged("capital", exam(intent(SPREAD, 2, start="1.00")))
    assert (found.level, found.fits, found.measured, found.limit) == (Level.BLOCK, 1, "9,800 USD", "5,000 USD")


@pytest.mark.parametrize(("quantity", "expected"), [(1, Level.PASS), (2, Level.BLOCK)])
def test_capital_when_account_is_small_then_one_contract_may_take_eight_percent(quantity: int, expected: Level) -> None:
    legs = (sell(put(280, root="XSP")), buy(put(275, root="XSP")))
    small = book(cash="5900")
    assert level("capital", exam(intent(legs, quantity, start="0.50"), of=small)) is expected  # 450 of 472 USD, then 900


@pytest.mark.parametrize("how", [{"working": [(SPREAD, 1)]}, {"trades": [(SPREAD, 1)]}])
def test_capital_when_the_same_legs_are_held_or_working_then_one_trade(how: dict[str, Any]) -> None:
    found = judged("capital", exam(intent(SPREAD, 1, start="1.00"), of=book(**how)))
    assert found.level is Level.BLOCK
    assert found.fits == 0


def test_capital_when_net_liquidation_is_unknown_then_unavailable() -> None:
    with pytest.raises(Unavailable):
        judged("capital", exam(intent(SPREAD), of=book((put(2700), 1)), market=view(drop=[put(2700)])))


@pytest.mark.parametrize(("more", "expected", "fits"), [(4, Level.PASS, None), (5, Level.BLOCK, 4)])
def test_per_underlying_when_cluster_is_nearly_full_then_says_what_fits(more: int, expected: Level, fits: int | None) -> None:
    held = book((put(2800), -4), (put(2750), 4))
    examined = measured(exam(intent(SPREAD, more), of=held), before=worth(100_000))
    found = judged("per_underlying", examined)
    assert (found.level, found.fits) == (expected, fits)


def test_per_underlying_when_clustered_then_spx_and_spy_count_together_and_others_alone() -> None:
    legs = (sell(put(280, root="SPY")), buy(put(270, root="SPY")))
    full = book((put(2800), -8), (put(2750), 8))
    assert level("per_underlying", measured(exam(intent(legs, start="1.00"), of=full), before=worth(100_000))) is Level.BLOCK
    coke = intent([buy(KO)], 400, start="-48.10")
    assert level("per_underlying", measured(exam(coke, of=full), before=worth(100_000))) is Level.PASS
    assert level("per_underlying", measured(exam(replace(coke, quantity=420), of=full), before=worth(100_000))) is Level.BLOCK


def test_per_underlying_when_a_spread_is_paid_for_then_what_it_is_worth_counts() -> None:
    bought = (buy(put(2900)), sell(put(2850)))
    order = at_mid(intent(bought, 10))
    found = judged("per_underlying", exam(order, of=book(cash="100000")))
    assert found.measured == f"{-order.plan.start * 1000:,.0f} USD"


def test_per_underlying_when_over_but_not_raised_then_passes() -> None:
    full = book((put(2800), -10), (put(2750), 10))
    call_side = measured(exam(intent(CALL_SPREAD, 10), of=full), before=worth(100_000))
    assert level("per_underlying", call_side) is Level.PASS  # the other side of condors needs no more


@pytest.mark.parametrize(
    ("shown", "expected", "fits"),
    [
        (preview("12000", "-2400"), Level.BLOCK, 2),
        (preview("12000", "0"), Level.PASS, None),
        (preview("12000", "7000", "no spreads here"), Level.BLOCK, 0),
    ],
)
def test_buying_power_when_previewed_then_never_negative(shown: Any, expected: Level, fits: int | None) -> None:
    found = judged("buying_power", exam(intent(SPREAD, 3), preview=shown))
    assert (found.level, found.fits) == (expected, fits)
    assert shown.refusal is None or shown.refusal in found.why


def test_buying_power_when_broker_did_not_answer_then_unavailable() -> None:
    with pytest.raises(Unavailable):
        judged("buying_power", exam(preview=None))


def with_margin(before: int, after: int, quantity: int = 1) -> Exam:
    examined = exam(intent(SPREAD, quantity))
    return measured(examined, before={"margin": Decimal(before), "net_liquidation": Decimal(100_000)}, after={"margin": Decimal(after)})


def test_margin_use_when_over_half_then_blocked_and_near_it_warned() -> None:
    found = judged("margin_use", with_margin(42_000, 47_000))
    assert found.level is Level.PASS
    assert "near the limit" in found.why
    found = judged("margin_use", with_margin(42_000, 52_000, 2))
    assert (found.level, found.fits) == (Level.BLOCK, 1)
    assert level("margin_use", with_margin(55_000, 55_000)) is Level.PASS


def test_margin_line_when_over_sixty_percent_then_blocked_without_override() -> None:
    found = judged("margin_line", with_margin(58_000, 63_000))
    assert (found.level, found.rule_class.value) == (Level.BLOCK, "hard")
    assert level("margin_line", with_margin(55_000, 60_000)) is Level.PASS
    assert level("margin_line", with_margin(65_000, 65_000)) is Level.PASS


@pytest.mark.parametrize("rule", ["margin_use", "margin_line", "stress", "per_underlying", "capital"])
def test_limits_when_net_liquidation_is_negative_then_nothing_is_added(rule: str) -> None:
    assert level(rule, measured(exam(), before=worth(-5))) is Level.BLOCK


def many(count: int) -> list[tuple[tuple[Leg, ...], int]]:
    return [((sell(put(2800 - 25 * number)), buy(put(2400 - 25 * number))), 1) for number in range(count)]


def test_positions_when_seven_open_and_one_working_then_the_ninth_is_refused() -> None:
    full = book(trades=many(7), working=[(CALL_SPREAD, 1)])
    new = (sell(put(2800, expiry=FAR)), buy(put(2750, expiry=FAR)))
    assert judged("positions", exam(intent(new), of=full)).measured == "9"
    assert level("positions", exam(intent(new), of=full)) is Level.BLOCK
    assert level("positions", exam(intent(new), of=book(trades=many(7)))) is Level.PASS
    assert level("positions", exam(intent(closing(many(1)[0][0]), start="-10.00"), of=full)) is Level.PASS


@pytest.mark.parametrize(
    ("natural", "expected", "word"),
    [("0.90", Level.PASS, "good"), ("0.80", Level.PASS, "acceptable"), ("0.75", Level.PASS, "acceptable"), ("0.70", Level.BLOCK, "30.0%")],
)
def test_liquidity_when_combo_costs_much_then_told_or_refused(natural: str, expected: Level, word: str) -> None:
    found = judged("liquidity", replace(exam(), mid=Decimal("1.00"), natural=Decimal(natural)))
    assert found.level is expected
    assert word in found.why


def test_liquidity_when_short_leg_is_wide_then_refused_but_never_for_the_wing() -> None:
    wide = {"bid": 1.775, "ask": 2.225}
    short = exam(intent(SPREAD), market=view(**quoted(put(2800), wide["bid"], wide["ask"]), **quoted(put(2750), 0.50, 0.55)))
    assert "0.45, too wide" in judged("liquidity", short).why
    wing = exam(intent(SPREAD), market=view(**quoted(put(2800), 9.0, 9.1), **quoted(put(2750), wide["bid"], wide["ask"])))
    assert level("liquidity", wing) is Level.PASS


def test_liquidity_when_closing_in_a_wide_market_then_not_judged() -> None:
    market = view(**quoted(put(2750), 0.50, 2.00))
    assert level("liquidity", exam(WING, of=book(*HELD), market=market)) is Level.PASS


def with_stress(before: float, after: float, quantity: int = 1) -> Exam:
    return measured(
        exam(intent(SPREAD, quantity)),
        before={"stress_loss_usd": before, "net_liquidation": Decimal(100_000)},
        after={"stress_loss_usd": after},
    )


def test_stress_when_over_a_fifth_then_refused_with_what_fits_and_near_it_warned() -> None:
    found = judged("stress", with_stress(14_000.0, 17_800.0, 2))
    assert found.level is Level.PASS
    assert "near the limit" in found.why
    found = judged("stress", with_stress(14_000.0, 21_600.0, 4))
    assert (found.level, found.fits) == (Level.BLOCK, 3)
    assert level("stress", with_stress(25_000.0, 25_000.0)) is Level.PASS
    assert level("stress", with_stress(25_000.0, 25_001.0)) is Level.BLOCK
