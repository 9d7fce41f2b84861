"""Portfolio margin: ranges, steps, minimum and set-off worked by hand, and the parts of published examples that hang on no volatility."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.accounts import AccountKind
from core.domain.instruments import Equity, Instrument, Option, Right
from core.domain.listing import option
from core.margin.portfolio import asked, requirement
from core.margin.reg_t import MissingPrice, buying_power, net_liquidation

AT = datetime(2019, 4, 25, 19, 0, tzinfo=UTC)
PUT, CALL, PM = Right.PUT, Right.CALL, AccountKind.PORTFOLIO_MARGIN
JUNE = date(2019, 6, 21)
KO, SPY, IWM = Equity(symbol="KO"), Equity(symbol="SPY"), Equity(symbol="IWM")
SPOTS = {"KO": Decimal(60), "SPY": Decimal(290), "SPX": Decimal(2900), "XSP": Decimal(290), "IWM": Decimal(150), "VIX": Decimal(16)}


def contract(root: str, strike: str, right: Right, expiry: date = JUNE) -> Option:
    return option(root, expiry, right, Decimal(strike))


def stressed(*lines: tuple[Instrument, int, str]) -> Decimal:
    """The stress alone: net liquidation value less buying power."""
    prices = {**SPOTS, **{item.key: Decimal(price) for item, _, price in lines}}
    held = [(item, count) for item, count, _ in lines]
    total = requirement(held, prices=prices, at=AT).total
    cash = Decimal(1_000_000)
    return net_liquidation(held, cash=cash, prices=prices) - buying_power(held, cash=cash, prices=prices, requirement=total)


@pytest.mark.parametrize(
    ("item", "count", "price", "expected"),
    [
        (KO, 100, "60", "900.00"),  # a share loses 15%
        (KO, -100, "60", "900.00"),
        (SPY, 100, "290", "2320.00"),  # high capitalisation: 8% down
        (SPY, -100, "290", "1740.00"),  # and 6% up
        (IWM, 100, "150", "1500.00"),  # other broad ones: 10% either way
    ],
)
def test_shares_when_moved_over_their_range_then_lose_the_end_of_it(item: Equity, count: int, price: str, expected: str) -> None:
    assert stressed((item, count, price)) == Decimal(expected)


def test_protective_put_when_shares_fall_then_only_what_the_put_costs_is_lost() -> None:
    """The example of the module."""
    may = contract("KO", "60", PUT, date(2019, 5, 24))
    found = stressed((KO, 100, "60"), (may, 1, "1.80"))
    assert Decimal("175.00") < found <= Decimal("180.00")


def test_minimum_when_two_hundred_long_contracts_lose_less_then_published_7500() -> None:
    """The long straddle of Cboe's table asks for 200 x 37.50; here it is far out and worth nothing."""
    far = [(contract("KO", "120", CALL), 100, "0"), (contract("KO", "20", PUT), 100, "0")]
    assert stressed(*far) == Decimal(7500)


def test_vertical_when_wider_than_its_range_then_at_most_what_it_lost_at_the_end() -> None:
    legs = [(contract("KO", "55", PUT), -1, "0.60"), (contract("KO", "50", PUT), 1, "0.10")]
    found = stressed(*legs)
    assert Decimal(75) <= found <= Decimal(450)  # of the 450.00 it can lose at all; two contracts ask for 75.00


def test_far_out_short_put_when_the_stress_does_not_reach_it_then_the_least_is_asked_for() -> None:
    assert stressed((contract("SPXW", "1500", PUT), -1, "0.05")) == Decimal("37.50")


def test_market_when_its_classes_offset_then_nine_tenths_of_the_gain_counts() -> None:
    # 1,000 SPY lose 23,200 where 1,000 short SPY of another account would gain it; XSP calls deep in the money move one for one
    deep = contract("XSP", "100", CALL)
    found = stressed((SPY, 1000, "290"), (deep, -10, "190"))
    assert found == Decimal("2320.00")  # 23,200 lost, 90% of 23,200 gained


def test_markets_when_they_differ_then_nothing_is_set_off() -> None:
    assert stressed((SPY, 100, "290"), (IWM, -100, "150")) == Decimal(2320) + Decimal(1500)


def test_volatility_index_when_short_then_asked_for_by_regulation_t() -> None:
    call = option("VIX", date(2019, 5, 22), CALL, Decimal(20))
    prices = {**SPOTS, call.key: Decimal("0.50")}
    assert requirement([(call, -1)], prices=prices, at=AT).total == Decimal(210)


def test_account_when_under_the_minimum_then_judged_by_regulation_t() -> None:
    naked = contract("KO", "55", PUT)
    prices = {**SPOTS, naked.key: Decimal(1)}

    def asks(equity: str, kind: AccountKind = PM) -> Decimal:
        return asked([(naked, -1)], prices=prices, kind=kind, at=AT, equity=Decimal(equity)).total

    assert asks("99999.99") == asks("99999.99", AccountKind.REG_T) == asks("500000", AccountKind.REG_T) == Decimal(800)
    assert asks("100000") != Decimal(800)


def test_requirement_when_a_price_is_lacking_then_says_which() -> None:
    with pytest.raises(MissingPrice, match="KO"):
        requirement([(contract("KO", "55", PUT), -1)], prices={"KO": Decimal(60)}, at=AT)


books = st.lists(
    st.tuples(st.sampled_from(("50", "55", "60", "65")), st.sampled_from((PUT, CALL)), st.integers(-5, 5), st.integers(1, 900)), max_size=5
)


@settings(max_examples=60, deadline=None)
@given(books, st.integers(-500, 500))
def test_stress_when_anything_is_held_then_never_under_the_minimum_and_it_adds_up(
    lines: list[tuple[str, Right, int, int]], shares: int
) -> None:
    held: dict[str, tuple[Instrument, int]] = {"KO": (KO, shares)} if shares else {}
    prices = dict(SPOTS)
    for strike, right, count, cents in lines:
        item = contract("KO", strike, right)
        held[item.key] = (item, held.get(item.key, (item, 0))[1] + count)
        inside = item.intrinsic(Decimal(60)) / 100
        prices[item.key] = inside + Decimal(cents) / 100
    report = requirement(held.values(), prices=prices, at=AT)
    contracts = sum(abs(count) for item, count in held.values() if isinstance(item, Option))
    stress = sum((line.amount for line in report.lines if line.underlying), Decimal(0))
    assert stress >= Decimal("37.5") * contracts
    assert sum((line.amount for line in report.lines), Decimal(0)) == report.total
