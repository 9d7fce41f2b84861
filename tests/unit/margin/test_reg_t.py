"""Margin figures worked by hand from the formulas of FINRA Rule 4210(f)(2) and the Cboe Margin Manual."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.accounts import AccountKind
from core.domain.instruments import Equity, Future, Instrument, Option, Right
from core.domain.listing import option
from core.margin.reg_t import MissingPrice, buying_power, naked_requirement, net_liquidation, requirement

PUT, CALL = Right.PUT, Right.CALL
MAY, JUNE = date(2019, 5, 17), date(2019, 6, 21)
MARGIN, CASH, IRA = AccountKind.REG_T, AccountKind.CASH, AccountKind.IRA


def stock_option(strike: str, right: Right, expiry: date = MAY) -> Option:
    return option("MSFT", expiry, right, Decimal(strike))


def spx(strike: str, right: Right, expiry: date = MAY, root: str = "SPXW") -> Option:
    return option(root, expiry, right, Decimal(strike))


def total(
    positions: list[tuple[Instrument, int]], prices: dict[str, str], kind: AccountKind = MARGIN, marks: tuple[str, ...] = ()
) -> Decimal:
    priced = {key: Decimal(value) for key, value in prices.items()}
    priced.update({item.key: Decimal(mark) for (item, _), mark in zip(positions, marks, strict=False)})
    return requirement(positions, prices=priced, kind=kind).total


@pytest.mark.parametrize(
    ("contract", "spot", "mark", "expected"),
    [
        # 20% of 95 = 19, less 15 out of the money = 4; 10% of the strike 80 = 8 is more: (2 + 8) x 100
        (stock_option("80", PUT), "95", "2", "1000"),
        # 20% of 128.50 = 25.70, nothing out of the money: (8.40 + 25.70) x 100
        (stock_option("120", CALL), "128.50", "8.40", "3410"),
        # 20% of 95 = 19, less 5 = 14, over 10% of the underlying 9.50: (1.50 + 14) x 100
        (stock_option("100", CALL), "95", "1.50", "1550"),
        # 20% of 95 = 19, less 25 < 0; 10% of the underlying = 9.50: (0.05 + 9.50) x 100
        (stock_option("120", CALL), "95", "0.05", "955"),
        # broad index: 15% of 2900 = 435, less 50 = 385, over 10% of 2850 = 285: (30 + 385) x 100
        (spx("2850", PUT), "2900", "30", "41500"),
        # broad index far out: 435 - 300 = 135; 10% of the strike 2600 = 260: (5 + 260) x 100
        (spx("2600", PUT), "2900", "5", "26500"),
        # broad-index fund: 15% of 290 = 43.50, less 5: (3 + 38.50) x 100
        (option("SPY", MAY, PUT, Decimal(285)), "290", "3", "4150"),
        # another fund takes 20%: 20% of 120 = 24, less 5: (1 + 19) x 100
        (option("TLT", MAY, PUT, Decimal(115)), "120", "1", "2000"),
        # VIX is no broad index: 20% of 16 = 3.20, less 4 < 0; 10% of 16 = 1.60: (0.50 + 1.60) x 100
        (option("VIX", date(2019, 5, 22), CALL, Decimal(20)), "16", "0.50", "210"),
    ],
)
def test_naked_when_worked_by_hand_then_agrees(contract: Option, spot: str, mark: str, expected: str) -> None:
    assert naked_requirement(contract, spot=Decimal(spot), mark=Decimal(mark)) == Decimal(expected)


def test_naked_when_the_fund_is_leveraged_then_percentages_multiply() -> None:
    put = option("TQQQ", MAY, PUT, Decimal(60))

    # 3 x 20% of 60 = 36: (2 + 36) x 100
    report = requirement(
        [(put, -1)], prices={put.key: Decimal(2), "TQQQ": Decimal(60)}, kind=MARGIN, leverage={"TQQQ": Decimal(3)}
    )

    assert report.total == Decimal(3800)


def test_spread_when_short_put_over_long_then_width() -> None:
    assert total([(spx("2700", PUT), -2), (spx("2650", PUT), 2)], {"SPX": "2900"}, marks=("10", "7")) == Decimal(10_000)


def test_spread_when_debit_then_nothing() -> None:
    assert total([(spx("2700", PUT), 1), (spx("2650", PUT), -1)], {"SPX": "2900"}, marks=("10", "7")) == 0


def test_spread_when_wider_than_the_naked_figure_then_naked_figure() -> None:
    # naked 2600 put = 26,500; the wing at 2200 is 40,000 away
    assert total([(spx("2600", PUT), -1), (spx("2200", PUT), 1)], {"SPX": "2900"}, marks=("5", "1")) == Decimal(26_500)


def test_calendar_when_the_long_ends_later_then_covered() -> None:
    assert total([(spx("2900", PUT), -1), (spx("2900", PUT, JUNE), 1)], {"SPX": "2900"}, marks=("30", "60")) == 0


def test_calendar_when_the_long_ends_earlier_then_short_is_naked() -> None:
    # 15% of 2900 = 435: (60 + 435) x 100
    assert total([(spx("2900", PUT, JUNE), -1), (spx("2900", PUT), 1)], {"SPX": "2900"}, marks=("60", "30")) == Decimal(49_500)


def test_spread_when_the_long_ends_in_the_morning_of_the_same_day_then_short_is_naked() -> None:
    morning, evening = spx("2900", PUT, MAY, "SPX"), spx("2900", PUT, MAY, "SPXW")

    covered = total([(morning, -1), (evening, 1)], {"SPX": "2900"}, marks=("30", "30"))
    naked = total([(evening, -1), (morning, 1)], {"SPX": "2900"}, marks=("30", "30"))

    assert (covered, naked) == (0, Decimal(46_500))


def test_calendar_when_on_vix_then_short_is_naked() -> None:
    near, far = option("VIX", date(2019, 5, 22), CALL, Decimal(16)), option("VIX", date(2019, 6, 19), CALL, Decimal(16))

    # 20% of 16 = 3.20: (1 + 3.20) x 100
    assert total([(near, -1), (far, 1)], {"VIX": "16"}, marks=("1", "2")) == Decimal(420)


def test_condor_when_expiry_agrees_then_wider_wing_once() -> None:
    legs = [(spx("2700", PUT), -1), (spx("2650", PUT), 1), (spx("3000", CALL), -1), (spx("3025", CALL), 1)]

    assert total(legs, {"SPX": "2900"}, marks=("10", "7", "10", "7")) == Decimal(5_000)


def test_condor_when_expiries_differ_then_both_wings() -> None:
    legs = [(spx("2700", PUT), -1), (spx("2650", PUT), 1), (spx("3000", CALL, JUNE), -1), (spx("3025", CALL, JUNE), 1)]

    assert total(legs, {"SPX": "2900"}, marks=("10", "7", "10", "7")) == Decimal(7_500)


def test_condor_when_underlyings_differ_then_both_wings() -> None:
    xsp = [(option("XSP", MAY, CALL, Decimal(300)), -1), (option("XSP", MAY, CALL, Decimal(305)), 1)]
    legs = [(spx("2700", PUT), -1), (spx("2650", PUT), 1), *xsp]

    assert total(legs, {"SPX": "2900", "XSP": "290"}, marks=("10", "7", "2", "1")) == Decimal(5_500)


def test_strangle_when_both_naked_then_greater_side_and_market_value_of_the_other() -> None:
    # put 2800: 435 - 100 = 335, over 280: (20 + 335) x 100 = 35,500; call 3000: 435 - 100 = 335, over 290: (15 + 335) x 100 = 35,000
    legs = [(spx("2800", PUT), -1), (spx("3000", CALL), -1)]

    assert total(legs, {"SPX": "2900"}, marks=("20", "15")) == Decimal(35_500) + Decimal(1_500)


def test_strangle_when_expiries_differ_then_both_sides() -> None:
    legs = [(spx("2800", PUT), -1), (spx("3000", CALL, JUNE), -1)]

    assert total(legs, {"SPX": "2900"}, marks=("20", "15")) == Decimal(70_500)


def test_strangle_when_one_side_has_a_wing_then_the_cheaper_explanation_holds() -> None:
    # as spread + naked: 5,000 + 35,000; as a strangle with a spare long: 35,500 + 1,500
    legs = [(spx("2800", PUT), -1), (spx("3000", CALL), -1), (spx("2750", PUT), 1)]

    assert total(legs, {"SPX": "2900"}, marks=("20", "15", "12")) == Decimal(37_000)


def test_ratio_spread_when_two_short_for_one_long_then_one_stays_naked() -> None:
    # the pair is a debit spread; naked 2650: 435 - 250 = 185, 10% of 2650 = 265: (7 + 265) x 100
    legs = [(spx("2650", PUT), -2), (spx("2700", PUT), 1)]

    assert total(legs, {"SPX": "2900"}, marks=("7", "10")) == Decimal(27_200)


def test_butterfly_when_it_was_paid_for_then_nothing_and_when_it_was_sold_then_its_width() -> None:
    bought = [(spx("2650", PUT), -2), (spx("2700", PUT), 1), (spx("2600", PUT), 1)]
    sold = [(item, -quantity) for item, quantity in bought]

    assert total(bought, {"SPX": "2900"}, marks=("7", "10", "5")) == 0
    assert total(sold, {"SPX": "2900"}, marks=("7", "10", "5")) == Decimal(5_000)


def test_box_when_bought_then_nothing_and_when_sold_then_what_it_pays() -> None:
    bought = [(spx("2600", CALL), 1), (spx("2700", CALL), -1), (spx("2700", PUT), 1), (spx("2600", PUT), -1)]
    sold = [(item, -quantity) for item, quantity in bought]

    assert total(bought, {"SPX": "2650"}, marks=("60", "10", "60", "10")) == 0
    assert total(sold, {"SPX": "2650"}, marks=("60", "10", "60", "10")) == Decimal(10_000)


def test_condor_when_its_sides_overlap_then_what_both_lose_together() -> None:
    # between 2700 and 2750 the 2600/2650 call side and the 2850/2800 put side both lose their 50
    legs = [(spx("2600", CALL), -1), (spx("2650", CALL), 1), (spx("2850", PUT), -1), (spx("2800", PUT), 1)]

    assert total(legs, {"SPX": "2725"}, marks=("130", "90", "130", "90")) == Decimal(10_000)


def test_shares_when_held_on_margin_then_half_and_in_cash_all() -> None:
    shares = [(Equity(symbol="MSFT"), 300)]

    assert total(shares, {"MSFT": "100"}) == Decimal(15_000)
    assert total(shares, {"MSFT": "100"}, CASH) == Decimal(30_000)


def test_covered_call_when_out_of_the_money_then_shares_only() -> None:
    legs = [(Equity(symbol="MSFT"), 100), (stock_option("110", CALL), -1)]

    assert total(legs, {"MSFT": "100", stock_option("110", CALL).key: "2"}) == Decimal(5_000)
    assert total(legs, {"MSFT": "100", stock_option("110", CALL).key: "2"}, CASH) == Decimal(10_000)


def test_covered_call_when_in_the_money_then_shares_count_to_the_strike() -> None:
    # 50% of 90 x 100 = 4,500 and the 10 points above the strike lend nothing: 1,000
    legs = [(Equity(symbol="MSFT"), 100), (stock_option("90", CALL), -1)]

    assert total(legs, {"MSFT": "100", stock_option("90", CALL).key: "11"}) == Decimal(5_500)
    assert total(legs, {"MSFT": "100", stock_option("90", CALL).key: "11"}, CASH) == Decimal(10_000)


def test_secured_put_when_cash_or_ira_then_strike_times_multiplier() -> None:
    put = [(stock_option("95", PUT), -2)]

    assert total(put, {}, CASH) == Decimal(19_000)
    assert total(put, {}, IRA) == Decimal(19_000)


def test_put_spread_when_cash_account_then_secured_and_when_ira_then_width() -> None:
    legs = [(stock_option("95", PUT), -1), (stock_option("90", PUT), 1)]

    assert total(legs, {}, CASH) == Decimal(9_500)
    assert total(legs, {}, IRA) == Decimal(500)


def test_call_spread_when_cash_account_then_refused_and_when_ira_then_width() -> None:
    legs = [(stock_option("105", CALL), -1), (stock_option("110", CALL), 1)]
    prices = {"MSFT": Decimal(100), stock_option("105", CALL).key: Decimal(2)}

    in_cash, in_ira = requirement(legs, prices=prices, kind=CASH), requirement(legs, prices=prices, kind=IRA)

    assert in_cash.refusals == (
        "MSFT: cash accounts refuse 1 x MSFT 17 May 19 105 call uncovered; cover it or use a margin account",
    )
    assert (in_ira.total, in_ira.refusals) == (Decimal(500), ())


@pytest.mark.parametrize("kind", [CASH, IRA])
def test_naked_call_when_account_is_fully_paid_then_refused_but_measured(kind: AccountKind) -> None:
    call = stock_option("105", CALL)

    report = requirement([(call, -1)], prices={"MSFT": Decimal(100), call.key: Decimal(2)}, kind=kind)

    # 20% of 100 = 20, less 5: (2 + 15) x 100
    assert report.total == Decimal(1_700)
    assert len(report.refusals) == 1


@pytest.mark.parametrize("kind", [CASH, IRA])
def test_short_shares_when_account_is_fully_paid_then_refused(kind: AccountKind) -> None:
    report = requirement([(Equity(symbol="MSFT"), -100)], prices={"MSFT": Decimal(100)}, kind=kind)

    assert report.refusals == (f"MSFT: {kind.value} accounts may not be short shares; 100 are short",)


def test_minimum_when_equity_is_under_2000_then_shorts_are_refused() -> None:
    legs = [(spx("2700", PUT), -1), (spx("2695", PUT), 1)]
    prices = {"SPX": Decimal(2900), spx("2700", PUT).key: Decimal(10)}

    poor = requirement(legs, prices=prices, kind=MARGIN, equity=Decimal("1999.99"))
    enough = requirement(legs, prices=prices, kind=MARGIN, equity=Decimal(2000))
    long_only = requirement(legs[1:], prices=prices, kind=MARGIN, equity=Decimal(100))

    assert poor.refusals == (
        "a margin account needs 2,000 USD of equity to be short, this one has 1,999.99 USD; deposit, or buy options only",
    )
    assert enough.refusals == long_only.refusals == ()


def test_requirement_when_a_needed_price_is_missing_then_says_which() -> None:
    with pytest.raises(MissingPrice, match="no price for SPXW  190517P02700000"):
        total([(spx("2700", PUT), -1)], {"SPX": "2900"})
    with pytest.raises(MissingPrice, match="no price for SPX,"):
        total([(spx("2700", PUT), -1)], {}, marks=("10",))


def test_requirement_when_a_spread_needs_no_price_then_none_is_asked_for() -> None:
    assert total([(spx("2700", PUT), -1), (spx("2650", PUT), 1)], {}) == Decimal(5_000)


def test_requirement_when_the_same_contract_comes_twice_then_it_is_netted() -> None:
    assert total([(spx("2700", PUT), -1), (spx("2700", PUT), 1)], {}) == 0


def test_requirement_when_a_future_is_held_then_there_is_no_rule() -> None:
    with pytest.raises(ValueError, match="no margin rule"):
        total([(Future(root="ES", expiry=JUNE, multiplier=50), 1)], {})


def test_report_when_made_then_lines_add_up_and_speak() -> None:
    legs = [(spx("2700", PUT), -2), (spx("2650", PUT), 2), (Equity(symbol="MSFT"), 100)]

    report = requirement(legs, prices={"MSFT": Decimal(100)}, kind=MARGIN)

    assert [line.text for line in report.lines] == [
        "100 long shares at 50% of 100",
        "2 x SPXW 17 May 19 2700 put covered by 2650",
        "2 long options, paid in full",
    ]
    assert sum(line.amount for line in report.lines) == report.total == Decimal(15_000)


def test_buying_power_when_a_spread_is_sold_then_falls_by_width_less_credit() -> None:
    legs = [(spx("2700", PUT), -1), (spx("2650", PUT), 1)]
    prices = {"SPX": Decimal(2900), spx("2700", PUT).key: Decimal(10), spx("2650", PUT).key: Decimal(7)}
    cash = Decimal(100_000) + 300

    left = buying_power(legs, cash=cash, prices=prices, requirement=requirement(legs, prices=prices, kind=MARGIN).total)

    assert left == Decimal(95_300)


def test_buying_power_when_written_with_net_liquidation_then_is_the_same() -> None:
    legs = [(spx("2850", PUT), -1), (spx("2600", PUT), 1), (Equity(symbol="MSFT"), 100)]
    prices = {"SPX": Decimal(2900), spx("2850", PUT).key: Decimal(30), spx("2600", PUT).key: Decimal(5), "MSFT": Decimal(100)}
    asked = requirement(legs, prices=prices, kind=MARGIN).total
    maintenance = asked + Decimal(500) - Decimal(3_000)

    left = buying_power(legs, cash=Decimal(50_000), prices=prices, requirement=asked)

    assert left == net_liquidation(legs, cash=Decimal(50_000), prices=prices) - maintenance


# --- the pairing against trying everything -------------------------------------------------------------------------------

STRIKES = ("2600", "2700", "2750", "2800")
SPOT = Decimal(2900)


def _mark(item: Option) -> Decimal:
    away = abs(SPOT - item.strike) / 100
    return Decimal(40) - 8 * away if away < 4 else Decimal(5)


def _by_force(units: list[tuple[Option, int]]) -> Decimal:
    """The smallest total over every way of covering unit shorts by unit longs and joining the results two by two."""
    shorts = [item for item, quantity in units if quantity < 0]
    longs: list[Option | None] = [item for item, quantity in units if quantity > 0]
    longs += [None] * len(shorts)
    best = None
    for chosen in set(permutations(range(len(longs)), len(shorts))):
        cover = [longs[index] for index in chosen]
        if all(_may_cover(bought, sold) for bought, sold in zip(cover, shorts, strict=True)):
            found = _joined(tuple(zip(shorts, cover, strict=True)))
            best = found if best is None else min(best, found)
    assert best is not None
    return best


def _may_cover(bought: Option | None, sold: Option) -> bool:
    return bought is None or (bought.right is sold.right and bought.expiry >= sold.expiry)


@cache
def _joined(items: tuple[tuple[Option, Option | None], ...]) -> Decimal:
    if not items:
        return Decimal(0)
    first, rest = items[0], items[1:]
    best = _one(first) + _joined(rest)
    for index, other in enumerate(rest):
        joint = _two(first, other)
        if joint is not None:
            best = min(best, joint + _joined(rest[:index] + rest[index + 1:]))
    return best


def _one(item: tuple[Option, Option | None]) -> Decimal:
    sold, bought = item
    if bought is None:
        return naked_requirement(sold, spot=SPOT, mark=_mark(sold))
    width = sold.strike - bought.strike if sold.right is PUT else bought.strike - sold.strike
    return max(Decimal(0), width) * 100


def _two(one: tuple[Option, Option | None], other: tuple[Option, Option | None]) -> Decimal | None:
    (sold_one, bought_one), (sold_other, bought_other) = one, other
    if sold_one.expiry != sold_other.expiry:
        return None
    if bought_one is None and bought_other is None and sold_one.right is not sold_other.right:
        sides = sorted(((_one(one), _mark(sold_one)), (_one(other), _mark(sold_other))))
        return sides[1][0] + sides[0][1] * 100
    if bought_one is None or bought_other is None:
        return None
    same = bought_one.expiry == sold_one.expiry and bought_other.expiry == sold_other.expiry
    if not same:
        return None
    ends = [sum(_ends(item, level) for item in (bought_one, bought_other)) - sum(_ends(item, level) for item in (sold_one, sold_other))
            for level in (0, 2600, 2700, 2750, 2800, 9000)]
    return max(Decimal(0), -min(ends))


def _ends(item: Option, level: int) -> Decimal:
    """Money a contract ends with at a level of the index."""
    points = Decimal(level) - item.strike if item.right is CALL else item.strike - Decimal(level)
    return max(Decimal(0), points) * 100


contracts = st.tuples(st.sampled_from(STRIKES), st.sampled_from((PUT, CALL)), st.sampled_from((MAY, JUNE)), st.sampled_from((-1, 1)))


@settings(max_examples=150)
@given(st.lists(contracts, min_size=1, max_size=7))
def test_pairing_when_the_book_is_small_then_no_explanation_is_cheaper(book: list[tuple[str, Right, date, int]]) -> None:
    netted: dict[str, tuple[Option, int]] = {}
    for strike, right, expiry, sign in book:
        item = spx(strike, right, expiry)
        netted[item.key] = (item, netted.get(item.key, (item, 0))[1] + sign)
    units = [(item, 1 if quantity > 0 else -1) for item, quantity in netted.values() for _ in range(abs(quantity))]
    prices = {"SPX": SPOT, **{item.key: _mark(item) for item, _ in units}}

    report = requirement(units, prices=prices, kind=MARGIN)

    assert report.exact
    assert report.total == _by_force(units)


@given(st.lists(st.tuples(contracts, st.integers(1, 400)), min_size=1, max_size=12))
@settings(max_examples=60)
def test_pairing_when_the_book_is_large_then_total_stays_within_what_is_certain(
    book: list[tuple[tuple[str, Right, date, int], int]],
) -> None:
    units = [(spx(strike, right, expiry), sign * count) for (strike, right, expiry, sign), count in book]
    prices = {"SPX": SPOT, **{item.key: _mark(item) for item, _ in units}}
    netted: dict[str, tuple[Option, int]] = {}
    for item, quantity in units:
        netted[item.key] = (item, netted.get(item.key, (item, 0))[1] + quantity)

    report = requirement(units, prices=prices, kind=MARGIN)

    naked = sum(-count * naked_requirement(item, spot=SPOT, mark=_mark(item)) for item, count in netted.values() if count < 0)
    assert 0 <= report.total <= naked
    assert sum(line.amount for line in report.lines) == report.total


def test_pairing_when_quantities_share_a_factor_then_total_scales() -> None:
    legs = [(spx("2700", PUT), -7), (spx("2650", PUT), 7), (spx("3000", CALL), -7), (spx("3025", CALL), 14)]
    tenfold = [(item, quantity * 1000) for item, quantity in legs]
    marks = ("10", "7", "10", "7")

    assert total(tenfold, {"SPX": "2900"}, marks=marks) == 1000 * total(legs, {"SPX": "2900"}, marks=marks) == Decimal(35_000_000)
