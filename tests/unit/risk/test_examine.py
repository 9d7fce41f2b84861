"""What an order costs and whether it reduces risk."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.domain.accounts import AccountKind
from core.domain.instruments import Equity, Index, Right
from core.domain.orders import Effect, Leg
from core.market.view import ChainNeed, View
from core.portfolio.book import Book
from core.risk.exam import Exam
from core.risk.examine import exam_needs, natural_and_mid, no_larger, removes_obligations
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
    empty_view,
    exam,
    intent,
    put,
    quoted,
    sell,
    view,
)

CLOSE = Effect.CLOSE
SPREAD_HELD = ((put(2800), -2), (put(2750), 2))
CONDOR_HELD = (*SPREAD_HELD, (call(3050), -2), (call(3100), 2))
KO = Equity(symbol="KO")


def reducing(legs: tuple[Leg, ...], *held: Any, quantity: int = 1, market: View | None = None, of: Book | None = None) -> bool:
    order = intent(legs, quantity, start="-1.00", worst="-9.00")
    return exam(order, of=of or book(*held), market=market).reducing


# --- the reducing test ---------------------------------------------------------------------------------------------------


def test_reducing_when_whole_spread_is_closed_then_yes() -> None:
    assert reducing(closing(SPREAD), *SPREAD_HELD, quantity=2)


def test_reducing_when_only_the_short_is_bought_back_then_yes() -> None:
    assert reducing((buy(put(2800), CLOSE),), *SPREAD_HELD, quantity=2)


def test_reducing_when_only_the_long_wing_is_sold_then_no() -> None:
    assert not reducing((sell(put(2750), CLOSE),), *SPREAD_HELD)


def test_reducing_when_one_side_of_a_condor_is_closed_then_yes() -> None:
    # In a fall the call side earns; closing it forgoes that, which is no reason to hold on to an obligation.
    assert reducing(closing(CALL_SPREAD), *CONDOR_HELD, quantity=2)


def test_reducing_when_naked_call_of_a_strangle_is_bought_back_then_yes() -> None:
    assert reducing((buy(call(3050), CLOSE),), (put(2800), -1), (call(3050), -1))


def test_reducing_when_more_wings_than_shorts_are_closed_then_no() -> None:
    legs = (buy(put(2800), CLOSE), sell(put(2750), CLOSE, 2))
    assert not reducing(legs, (put(2800), -2), (put(2750), 2))


def test_reducing_when_shares_under_a_covered_call_are_sold_then_no() -> None:
    covered = ((KO, 100), (call(50, root="KO"), -1))
    assert not reducing((sell(KO, CLOSE, 100),), *covered)
    assert reducing((buy(call(50, root="KO"), CLOSE),), *covered)


def test_reducing_when_a_debit_spread_or_calendar_is_closed_as_a_whole_then_yes() -> None:
    debit = (sell(call(2900), CLOSE), buy(call(2950), CLOSE))
    assert reducing(debit, (call(2900), 1), (call(2950), -1))
    calendar = (sell(call(2900, expiry=FAR), CLOSE), buy(call(2900), CLOSE))
    assert reducing(calendar, (call(2900, expiry=FAR), 1), (call(2900), -1))


def test_reducing_when_only_the_far_leg_of_a_calendar_is_sold_then_no_and_its_short_alone_may_be_bought_back() -> None:
    held = ((call(2900, expiry=FAR), 1), (call(2900), -1))
    assert not reducing((sell(call(2900, expiry=FAR), CLOSE),), *held)
    assert reducing((buy(call(2900), CLOSE),), *held)


def test_reducing_when_a_debit_spread_hedges_the_rest_then_closing_it_is_not() -> None:
    hedge = (sell(put(2900), CLOSE), buy(put(2800), CLOSE))
    assert not reducing(hedge, (put(2900), 1), (put(2800), -1), (KO, 1000))


def test_reducing_when_free_shares_are_sold_then_yes() -> None:
    assert reducing((sell(KO, CLOSE, 100),), (KO, 100))


def test_reducing_when_partial_set_hides_a_wing_then_judged_leg_by_leg() -> None:
    # Together they leave no more uncovered than before; alone, the sale of the wing uncovers the 2,700 put.
    held = ((put(2800), -1), (put(2700), -1), (put(2850), 1), (put(2650), 1))
    legs = (buy(put(2700), CLOSE), sell(put(2850), CLOSE))
    assert not reducing(legs, *held)


def test_reducing_when_market_data_is_gone_then_buying_back_still_is() -> None:
    blind = view(drop=[put(2800), put(2750), Index(symbol="SPX")])
    assert exam(intent(SPREAD), market=blind).before.stress_loss_usd == 0.0
    assert reducing((buy(put(2800), CLOSE),), *SPREAD_HELD, market=blind)
    assert reducing(closing(SPREAD), *SPREAD_HELD, market=blind)
    assert not reducing((sell(put(2750), CLOSE),), *SPREAD_HELD, market=blind)


def test_reducing_when_more_is_bought_than_is_short_then_no() -> None:
    assert not reducing((buy(put(2800), CLOSE),), *SPREAD_HELD, quantity=3)


def test_reducing_when_a_hedge_is_opened_then_no() -> None:
    assert not reducing((buy(put(2700)),), *SPREAD_HELD)


def test_reducing_when_rolled_down_then_yes_and_up_then_no() -> None:
    held = ((put(2800), -1), (put(2650), 1))
    assert reducing((buy(put(2800), CLOSE), sell(put(2750))), *held)
    assert not reducing((buy(put(2800), CLOSE), sell(put(2850))), *held)


def test_reducing_when_a_roll_doubles_the_margin_then_no_although_the_worst_day_costs_less() -> None:
    roll = (*closing(CALL_SPREAD), sell(call(3600)), buy(call(3700)))
    examined = exam(intent(roll, start="-1.00", worst="-9.00"), of=book((call(3050), -1), (call(3100), 1)))
    assert (examined.before.margin, examined.after.margin) == (5_000, 10_000)
    assert examined.before.stress_loss_usd is not None and examined.after.stress_loss_usd is not None
    assert examined.after.stress_loss_usd < examined.before.stress_loss_usd
    assert not examined.reducing


def test_reducing_when_a_roll_goes_nearer_the_money_then_no_although_the_margin_stands() -> None:
    roll = (*closing((sell(call(3600)), buy(call(3650)))), *CALL_SPREAD)
    examined = exam(intent(roll, start="-1.00", worst="-9.00"), of=book((call(3600), -1), (call(3650), 1)))
    assert (examined.before.margin, examined.after.margin) == (5_000, 5_000)
    assert examined.before.stress_loss_usd is not None and examined.after.stress_loss_usd is not None
    assert examined.after.stress_loss_usd > 10 * examined.before.stress_loss_usd
    assert not examined.reducing


BEFORE = replace(exam().before, margin=Decimal(10_000), stress_loss_usd=8_000.0, uncovered={("SPX", EXPIRY, Right.PUT): 1})


@pytest.mark.parametrize(("changes", "no_more"), [
    ({}, True),
    ({"margin": Decimal("10000.01")}, False),
    ({"margin": Decimal(9_000), "stress_loss_usd": 7_000.0, "uncovered": {}}, True),
    ({"stress_loss_usd": 8_000.005}, True),  # less than a cent is the same
    ({"stress_loss_usd": 8_000.02}, False),
    ({"uncovered": {("SPX", EXPIRY, Right.PUT): 2}}, False),
    ({"uncovered": {("SPX", FAR, Right.PUT): 1}}, False),
    ({"margin": None}, False),
    ({"stress_loss_usd": None}, False),
])
def test_no_larger_when_one_of_the_three_measures_grows_or_is_unknown_then_no(changes: dict[str, Any], no_more: bool) -> None:
    assert no_larger(BEFORE, replace(BEFORE, **changes)) is no_more


@pytest.mark.parametrize(("legs", "removes"), [
    ((buy(put(2800), CLOSE),), True),
    (closing(SPREAD), True),
    ((sell(put(2750), CLOSE),), False),
    ((buy(put(2800), CLOSE), sell(put(2750), CLOSE, 2)), False),
    ((buy(put(2800), CLOSE), sell(put(2850), CLOSE)), False),  # the long that is sold is the nearer one
    ((buy(put(2800), CLOSE), sell(put(2750, expiry=FAR), CLOSE)), False),
    ((buy(put(2800), CLOSE, 3),), False),
    ((buy(put(2800)),), False),
])
def test_removes_obligations_when_each_long_goes_with_its_own_nearer_short_then_only(legs: tuple[Leg, ...], removes: bool) -> None:
    held = book(*SPREAD_HELD, (put(2850), 1), (put(2750, expiry=FAR), 1)).holdings()
    assert removes_obligations(legs, 1, held) is removes


def test_reducing_when_wing_is_covered_only_by_a_working_order_then_no() -> None:
    leaning = book((put(2800), -1), (put(2750), 1), working=[((buy(put(2700)),), 1)])
    assert not reducing((sell(put(2750), CLOSE),), of=leaning)


def test_reducing_when_the_short_is_only_being_bought_back_then_its_wing_is_not_free_yet() -> None:
    # Were the purchase filled, the 2,750 put would protect nothing any more; it may never fill.
    leaning = book((put(2800), -1), (put(2750), 1), working=[((buy(put(2800)),), 1)])
    assert not reducing((sell(put(2750), CLOSE),), of=leaning)
    assert reducing((sell(put(2750), CLOSE),), (put(2750), 1))


# --- prices --------------------------------------------------------------------------------------------------------------


def test_natural_when_selling_a_spread_then_bid_less_ask() -> None:
    market = view(**quoted(put(2800), 30.0, 30.4), **quoted(put(2750), 21.0, 21.2))
    assert natural_and_mid(SPREAD, market) == (Decimal("8.8"), Decimal("9.1"))


def test_natural_when_nobody_bids_then_buying_uses_the_ask_and_opening_a_short_has_none() -> None:
    market = view(**quoted(put(2800), 0.0, 0.05))
    assert natural_and_mid((buy(put(2800), CLOSE),), market) == (Decimal("-0.05"), Decimal("-0.025"))
    assert natural_and_mid((sell(put(2800)),), market) == (None, Decimal("0.025"))
    assert natural_and_mid((sell(put(2800), CLOSE),), market)[0] == 0


@pytest.mark.parametrize(("bid", "ask"), [(3.0, 2.0), (-1.0, 2.0), (math.nan, 2.0), (0.0, 0.0), (1.0, math.inf)])
def test_g2_natural_when_quote_is_insane_then_unknown(bid: float, ask: float) -> None:
    assert natural_and_mid(SPREAD, view(**quoted(put(2800), bid, ask))) == (None, None)


def test_natural_when_shares_stand_beside_an_option_then_weighed_by_its_multiplier() -> None:
    market = view(**quoted(call(50, root="KO"), 0.50, 0.60), KO=(48.0, 48.1))
    natural, mid = natural_and_mid((buy(KO, ratio=100), sell(call(50, root="KO"))), market)
    assert (natural, mid) == (Decimal("-47.6"), Decimal("-47.5"))


# --- capital -------------------------------------------------------------------------------------------------------------


def capital(*legs: Leg, quantity: int = 1, start: str = "3.10", of: Book | None = None, strategy: str = "custom") -> Decimal | None:
    return exam(intent(legs, quantity, start=start, strategy=strategy), of=of).capital


def test_capital_when_risk_is_defined_then_most_it_can_lose() -> None:
    assert capital(*SPREAD) == Decimal(4690)  # (50 - 3.10) x 100
    assert capital(*SPREAD, quantity=3) == Decimal(14070)


def test_capital_when_condor_then_the_wider_side_once() -> None:
    assert capital(*SPREAD, *CALL_SPREAD, start="5.00") == Decimal(4500)


def test_capital_when_put_is_secured_then_its_strike() -> None:
    assert capital(sell(put(45, root="KO")), start="0.50", strategy="cash_secured_put") == Decimal(4500)
    cash = book(opened=account(AccountKind.CASH))
    assert capital(sell(put(45, root="KO")), start="0.50", of=cash) == Decimal(4500)


def test_capital_when_a_put_is_sold_as_secured_beside_a_long_then_still_its_strike() -> None:
    long_held = book((put(40, root="KO"), 1))
    assert capital(sell(put(45, root="KO")), start="0.50", of=long_held, strategy="cash_secured_put") == Decimal(4500)
    assert capital(sell(put(45, root="KO")), start="0.50", of=long_held) == Decimal(500)  # else what it adds to the margin: 5 wide


def test_capital_when_put_is_naked_then_the_larger_of_requirement_and_crash() -> None:
    examined = exam(intent([sell(put(2800))], start="30.00", strategy="naked_put"))
    requirement = examined.after.margin
    assert requirement is not None
    assert examined.after.stress_scenario == "-20%, VIX +40"
    assert examined.after.stress_loss_usd is not None
    assert examined.capital == Decimal(f"{examined.after.stress_loss_usd:.2f}")
    assert examined.capital > requirement


def test_capital_when_shares_are_bought_then_their_price() -> None:
    assert capital(buy(KO), quantity=100, start="-48.10") == Decimal(4810)


def test_capital_when_option_is_bought_then_what_it_costs() -> None:
    assert capital(buy(put(2800)), start="-31.00") == Decimal(3100)


def test_capital_when_call_is_covered_by_shares_then_none_is_added() -> None:
    assert capital(sell(call(50, root="KO")), start="0.50", of=book((KO, 100))) == 0


def test_capital_when_long_wing_alone_is_sold_then_what_it_uncovers() -> None:
    examined = exam(intent([sell(put(2750), CLOSE)], start="20.00"), of=book((put(2800), -1), (put(2750), 1)))
    assert examined.after.margin is not None and examined.before.margin is not None
    assert examined.capital is not None
    assert examined.capital >= examined.after.margin - examined.before.margin > 20_000


def test_g6_capital_when_underlying_is_unknown_then_unknown() -> None:
    blind = view(drop=[Index(symbol="SPX")])
    assert exam(intent([sell(put(2800))], strategy="naked_put"), market=blind).capital is None


# --- the exam ------------------------------------------------------------------------------------------------------------


def test_examine_when_orders_work_then_counted_as_filled_before_and_after() -> None:
    examined = exam(at_mid(intent(SPREAD)), of=book(working=[(SPREAD, 2)]))
    assert examined.held_before[put(2800).key][1] == -2
    assert examined.held_after[put(2800).key][1] == -3
    assert examined.before.margin == 10_000


def test_examine_when_several_expiries_then_no_payoff() -> None:
    assert exam(intent([sell(put(2800)), buy(put(2800, expiry=FAR))], start="-5.00")).payoff is None


def test_examine_when_spread_then_payoff_is_at_the_worst_price() -> None:
    payoff = exam(intent(SPREAD, 2, start="9.50", worst="9.00")).payoff
    assert payoff is not None
    assert (payoff.max_profit, payoff.max_loss) == (Decimal(1800), Decimal(8200))


def test_examine_when_asked_twice_then_the_same() -> None:
    market, held = view(), book(*SPREAD_HELD)
    assert exam(of=held, market=market) == exam(of=held, market=market)


def test_exam_needs_when_holding_and_working_then_cover_every_expiry_and_underlying() -> None:
    held = book((put(2800, expiry=FAR), -1), (KO, 100), working=[([sell(put(280, root="XSP"))], 1)])
    needs = exam_needs(intent(SPREAD), held, NOW)
    assert needs.chains == {
        ChainNeed(symbol="SPX", first_dte=39, last_dte=39),
        ChainNeed(symbol="SPX", first_dte=67, last_dte=67),
        ChainNeed(symbol="XSP", first_dte=39, last_dte=39),
    }
    assert {
        put(2800),
        put(2750),
        put(2800, expiry=FAR),
        put(280, root="XSP"),
        KO,
        Index(symbol="SPX"),
        Index(symbol="VIX"),
    } <= needs.instruments


def test_exam_when_nothing_is_known_then_numbers_are_none_not_zero(blind: Exam) -> None:
    assert (blind.natural, blind.mid, blind.after.margin, blind.after.stress_loss_usd) == (None, None, None, None)
    assert blind.before.net_liquidation is None
    assert blind.after.exposure.delta_usd_per_pct is None


@pytest.fixture
def blind() -> Exam:
    return exam(intent(SPREAD), of=book(*SPREAD_HELD), market=empty_view())
