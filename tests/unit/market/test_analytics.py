"""Marks from a view's own quotes: forwards by parity, implied vols, Greeks; unknown where quotes say nothing."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from core.clock import ManualClock
from core.domain.calendar import settlement_at, years_to
from core.domain.instruments import Option, Right
from core.domain.listing import option
from core.errors import Unavailable
from core.market.analytics import marks, option_mark, strike_by_delta
from core.market.chain import CALL, PUT, UNKNOWN, Chain
from core.market.providers import recorded
from core.market.quote import Quote
from core.market.view import View
from core.ports import Dividend
from core.pricing import american
from core.pricing.bsm import greeks_forward, value_forward

AT = datetime(2024, 5, 15, 19, 45, tzinfo=UTC)
DAY, EXPIRY = date(2024, 5, 15), date(2024, 6, 21)
STRIKES = np.arange(800.0, 1201.0, 25.0)
VOL, FORWARD, DISCOUNT, SPOT = 0.2, 1003.0, 0.995, 1000.0


def contract(strike: float, right: Right = Right.PUT, *, root: str = "SPXW", expiry: date = EXPIRY) -> Option:
    return option(root, expiry, right, Decimal(str(strike)))


def years(root: str = "SPXW", expiry: date = EXPIRY) -> float:
    any_contract = contract(1000, root=root, expiry=expiry)
    return years_to(settlement_at(any_contract.series, expiry), AT)


def chain_of(
    root: str = "SPXW", *, symbol: str = "SPX", forward: float = FORWARD, discount: float = DISCOUNT, vol: float = VOL,
    strikes: np.ndarray = STRIKES, expiry: date = EXPIRY, spot: float = SPOT,
) -> Chain:
    """Exact Black-76 prices, without a spread."""
    strike, right = np.concatenate([strikes, strikes]), np.repeat([PUT, CALL], len(strikes)).astype(np.int8)
    price = value_forward(right=right, forward=forward, strike=strike, t_years=years(root, expiry), discount=discount, vol=vol)
    unknown = np.full(len(strike), UNKNOWN, dtype=np.int64)
    return Chain(
        symbol=symbol, at=AT, source="test", spot=spot, root=np.full(len(strike), root, dtype=object), right=right,
        expiry=np.full(len(strike), expiry.toordinal(), dtype=np.int64), strike_milli=np.round(strike * 1000).astype(np.int64),
        bid=price, ask=price, bid_size=unknown, ask_size=unknown, open_interest=unknown, volume=unknown,
        vendor_iv=np.full(len(strike), np.nan), vendor_delta=np.full(len(strike), np.nan),
    )


def view_of(*chains: Chain, quotes: tuple[Quote, ...] = (), rate: float | None = None, dividends: tuple[Dividend, ...] = ()) -> View:
    return View(
        at=AT, session=DAY, label="TEST", quotes={quote.key: quote for quote in quotes}, chains={chain.symbol: chain for chain in chains},
        rate=rate, dividends={dividend.symbol: (dividend,) for dividend in dividends},
    )


def changed(chain: Chain, at: Option, *, bid: float, ask: float) -> Chain:
    bids, asks = chain.bid.copy(), chain.ask.copy()
    row = chain.row(at)
    bids[row], asks[row] = bid, ask
    return dataclasses.replace(chain, bid=bids, ask=asks)


@pytest.mark.parametrize("right", list(Right))
@pytest.mark.parametrize("strike", [850.0, 950.0, 1000.0, 1100.0])
def test_mark_when_prices_are_exact_then_forward_discount_vol_and_greeks_come_back(right: Right, strike: float) -> None:
    side = CALL if right is Right.CALL else PUT
    exact = greeks_forward(right=side, forward=FORWARD, strike=strike, t_years=years(), discount=DISCOUNT, vol=VOL)

    mark = view_of(chain_of()).mark(contract(strike, right))

    assert mark.forward == pytest.approx(FORWARD, abs=1e-6)
    assert mark.discount == pytest.approx(DISCOUNT, abs=1e-8)
    assert mark.iv == pytest.approx(VOL, abs=1e-6)
    assert mark.delta == pytest.approx(float(exact.delta) * FORWARD / SPOT, abs=1e-6)
    assert mark.gamma == pytest.approx(float(exact.gamma) * (FORWARD / SPOT) ** 2, abs=1e-8)
    assert mark.theta_per_day == pytest.approx(float(exact.theta_per_day), abs=1e-6)
    assert mark.vega_per_point == pytest.approx(float(exact.vega_per_point), abs=1e-6)


def test_mark_when_of_spot_then_delta_is_the_change_per_point_of_spot() -> None:
    def price(spot: float) -> float:
        return float(value_forward(right=PUT, forward=spot * FORWARD / SPOT, strike=950, t_years=years(), discount=DISCOUNT, vol=VOL))

    mark = view_of(chain_of()).mark(contract(950))

    assert mark.delta == pytest.approx((price(SPOT + 0.01) - price(SPOT - 0.01)) / 0.02, abs=1e-6)


def test_mark_when_settled_in_the_morning_then_time_runs_to_the_open() -> None:
    am = view_of(chain_of("SPX")).mark(contract(950, root="SPX"))
    pm = view_of(chain_of("SPXW")).mark(contract(950))

    assert pm.t_years - am.t_years == pytest.approx(6.5 / 24 / 365)
    assert am.iv == pytest.approx(VOL, abs=1e-6)


def test_mark_when_nobody_bids_then_half_the_ask_is_the_price() -> None:
    view = view_of(changed(chain_of(), contract(800), bid=0.0, ask=0.10))

    mark = view.mark(contract(800))

    assert mark.mid == 0.05
    assert mark.iv is not None
    assert -0.05 < (mark.delta or 0) < 0


@pytest.mark.parametrize(("bid", "ask"), [(2.0, 1.0), (math.nan, 1.0), (0.0, 0.0), (-1.0, 1.0)])
def test_mark_when_the_quote_is_insane_then_unavailable(bid: float, ask: float) -> None:
    view = view_of(changed(chain_of(), contract(950), bid=bid, ask=ask))

    with pytest.raises(Unavailable, match="SPXW 21 Jun 24 950 put"):
        view.mark(contract(950))


def test_g6_mark_when_no_volatility_explains_the_price_then_greeks_are_unknown_and_never_zero() -> None:
    view = view_of(changed(chain_of(), contract(950), bid=990.0, ask=995.0))  # over what a put at 950 can ever be worth

    mark = view.mark(contract(950))

    assert (mark.iv, mark.delta, mark.gamma, mark.theta_per_day, mark.vega_per_point) == (None,) * 5


def test_mark_when_an_in_the_money_price_is_under_parity_then_the_other_right_gives_the_volatility() -> None:
    deep = contract(1200)
    view = view_of(changed(chain_of(), deep, bid=190.0, ask=190.2))  # intrinsic value is 196

    assert view.mark(deep).iv == pytest.approx(VOL, abs=1e-6)


def test_mark_when_some_quotes_are_stale_then_the_forward_hardly_moves() -> None:
    chain = changed(chain_of(), contract(1000), bid=80.0, ask=81.0)

    assert view_of(chain).mark(contract(950)).forward == pytest.approx(FORWARD, abs=0.05)


def test_mark_when_nothing_knows_the_underlying_then_unavailable() -> None:
    quote = Quote(key=contract(950).key, bid=1.0, ask=1.1, at=AT, source="test")

    with pytest.raises(Unavailable, match="price of SPX"):
        view_of(quotes=(quote,)).mark(contract(950))


def test_mark_when_there_is_no_chain_then_the_forward_grows_from_spot_at_the_rate_less_dividends() -> None:
    stock = contract(50, root="ZZZ")
    quotes = (
        Quote(key=stock.key, bid=1.5, ask=1.6, at=AT, source="test"), Quote(key="ZZZ", bid=50.0, ask=50.0, at=AT, source="test"),
    )
    paid = Dividend(symbol="ZZZ", ex_date=date(2024, 6, 3), amount=Decimal("0.50"))

    mark = view_of(quotes=quotes, rate=0.05, dividends=(paid,)).mark(stock)

    t_years = years("ZZZ")
    assert mark.discount == pytest.approx(math.exp(-0.05 * t_years))
    assert mark.forward == pytest.approx((50 - 0.5 * math.exp(-0.05 * 19 / 365)) * math.exp(0.05 * t_years))


def test_mark_when_neither_parity_nor_a_rate_is_there_then_unavailable() -> None:
    stock = contract(50, root="ZZZ")
    quotes = (
        Quote(key=stock.key, bid=1.5, ask=1.6, at=AT, source="test"), Quote(key="ZZZ", bid=50.0, ask=50.0, at=AT, source="test"),
    )

    with pytest.raises(Unavailable, match="no riskless rate"):
        view_of(quotes=quotes).mark(stock)


def american_chain(*, rate: float, spot: float, forward: float, strikes: np.ndarray) -> tuple[Chain, dict[str, object]]:
    """American prices without a spread, never below exercise, and the terms they were made with."""
    t_years = years("ZZZ")
    chain = chain_of("ZZZ", symbol="ZZZ", forward=forward, discount=math.exp(-rate * t_years), strikes=strikes, spot=spot)
    terms = {"right": chain.right, "spot": spot, "strike": chain.strike, "t_years": t_years, "rate": rate,
             "dividend": rate - math.log(forward / spot) / t_years}
    price = american.value(vol=VOL, **terms)
    return dataclasses.replace(chain, bid=price, ask=price), terms


def test_mark_when_american_then_its_own_volatility_and_greeks_at_the_view_s_rate() -> None:
    chain, terms = american_chain(rate=0.05, spot=50.0, forward=50.0, strikes=np.arange(45.0, 55.5, 0.5))

    mark = view_of(chain, rate=0.05).mark(contract(48, root="ZZZ"))

    known = american.greeks(vol=VOL, **{**terms, "right": -1, "strike": 48.0})
    assert mark.forward == pytest.approx(50.0, abs=2e-3)  # parity of American quotes is a little off
    assert mark.iv == pytest.approx(VOL, abs=2e-4)
    assert mark.delta == pytest.approx(float(known.delta), abs=5e-4)
    assert mark.gamma == pytest.approx(float(known.gamma), rel=2e-3)
    assert mark.vega_per_point == pytest.approx(float(known.vega_per_point), rel=2e-3)
    assert mark.theta_per_day == pytest.approx(float(known.theta_per_day), rel=2e-2)


def test_mark_when_american_and_the_forward_is_off_spot_then_theta_is_what_a_day_brings_at_that_forward() -> None:
    chain, terms = american_chain(rate=0.05, spot=50.0, forward=49.5, strikes=np.arange(45.0, 55.5, 0.5))

    mark = view_of(chain, rate=0.05).mark(contract(48, root="ZZZ"))

    carry = 0.05 - float(terms["dividend"])

    def held(later: float) -> float:
        """The put some days later, the spot being then what gives the same forward."""
        moved = {"t_years": terms["t_years"] - later / 365, "spot": 50.0 * math.exp(carry * later / 365)}
        return float(american.value(vol=VOL, **{**terms, "right": -1, "strike": 48.0, **moved}))

    assert mark.theta_per_day == pytest.approx(held(0.5) - held(-0.5), rel=2e-2)


def test_marks_when_an_american_put_is_deep_in_the_money_then_its_volatility_is_not_early_exercise() -> None:
    chain, terms = american_chain(rate=0.05, spot=50.0, forward=50.2, strikes=np.arange(45.0, 55.5, 0.5))

    found = marks(view_of(chain, rate=0.05), chain)

    alone = american.value(vol=found.iv, **terms)
    inside = (chain.right == PUT) & (chain.strike > 50.5)
    known = np.isfinite(found.iv)
    assert known[inside].all()  # at their exercise value by the volatility of their calls
    assert np.abs(found.iv[known] - VOL).max() < 0.01
    assert np.abs(alone[known] - chain.mid[known]).max() < 0.03
    assert (found.delta[inside & (chain.mid <= chain.strike - 50.0)] == -1.0).all()


def test_mark_when_american_and_no_rate_is_known_then_no_exercise_is_assumed_for_puts() -> None:
    chain = chain_of("ZZZ", symbol="ZZZ", forward=50.0, discount=1.0, strikes=np.arange(45.0, 55.5, 0.5), spot=50.0)

    mark = view_of(chain).mark(contract(48, root="ZZZ"))

    assert mark.iv == pytest.approx(VOL, abs=1e-6)


def test_mark_when_the_contract_has_settled_then_greeks_are_unknown() -> None:
    quote = Quote(key=contract(950).key, bid=1.0, ask=1.1, at=datetime(2024, 6, 21, 20, tzinfo=UTC), source="test")
    spot = Quote(key="SPX", bid=1000.0, ask=1000.0, at=quote.at, source="test")

    mark = option_mark(view_of(quotes=(quote, spot), rate=0.05), contract(950))

    assert (mark.t_years, mark.iv, mark.delta) == (0.0, None, None)


def test_marks_when_of_a_whole_chain_then_each_row_as_its_contract_alone() -> None:
    chain = chain_of()
    view = view_of(chain)

    whole = marks(view, chain)
    rows = range(0, len(chain), 3)

    assert [whole.delta[row] for row in rows] == pytest.approx([view.mark(chain.option(row)).delta for row in rows])
    assert [whole.iv[row] for row in rows] == pytest.approx([view.mark(chain.option(row)).iv for row in rows])


def test_marks_when_only_puts_are_passed_then_the_forward_still_comes_from_the_view_s_pairs() -> None:
    chain = chain_of()
    puts = chain.only(right=Right.PUT)

    assert marks(view_of(chain), puts).forward == pytest.approx(np.full(len(puts), FORWARD), abs=1e-6)


def test_marks_when_a_quote_is_insane_then_that_row_alone_is_unknown() -> None:
    chain = changed(chain_of(), contract(950), bid=5.0, ask=4.0)
    found = marks(view_of(chain), chain)

    assert np.flatnonzero(np.isnan(found.delta)).tolist() == [chain.row(contract(950))]


def test_strike_by_delta_when_asked_then_the_nearest_in_size() -> None:
    chain = chain_of()
    view = view_of(chain)

    row = strike_by_delta(view, chain, Right.PUT, 0.16)
    away = np.abs(np.abs(marks(view, chain).delta) - 0.16)

    assert chain.right[row] == PUT
    assert away[row] == away[chain.right == PUT].min()


def test_strike_by_delta_when_nothing_has_a_delta_then_unavailable() -> None:
    chain = chain_of()
    empty = dataclasses.replace(chain, bid=np.full(len(chain), np.nan))

    with pytest.raises(Unavailable, match="delta of any SPX put"):
        strike_by_delta(view_of(empty, rate=0.05), empty, Right.PUT, 0.16)


def test_marks_of_many_when_asked_at_once_then_they_are_those_asked_alone() -> None:
    american_series = {"symbol": "IBM", "root": "IBM", "forward": 502.0, "strikes": STRIKES / 2, "spot": 500.0}
    wanted = [contract(950), contract(1050, Right.CALL), contract(1150), contract(450, root="IBM"), contract(550, Right.CALL, root="IBM")]
    together = view_of(chain_of(), chain_of(**american_series), rate=0.05)
    alone = view_of(chain_of(), chain_of(**american_series), rate=0.05)

    together.mark_all(wanted)

    for one in wanted:
        assert dataclasses.astuple(together._marks[one.key]) == pytest.approx(dataclasses.astuple(alone.mark(one)), rel=1e-9)


def test_marks_of_many_when_one_has_no_quote_then_the_others_have_theirs_and_it_says_why_alone() -> None:
    view = view_of(chain_of(), rate=0.05)

    view.mark_all([contract(950), contract(3000)])

    assert list(view._marks) == [contract(950).key]
    with pytest.raises(Unavailable, match="3000 put"):
        view.mark(contract(3000))


@pytest.fixture
def real_chains(real_data: Path, tmp_path: Path) -> Path:
    """A folder with the SPX chain alone."""
    for path in real_data.glob("spx_spxw_chain*"):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


async def test_real_spx_when_compared_with_the_vendor_then_deltas_near_16_agree(real_chains: Path) -> None:
    clock = ManualClock(datetime(2000, 1, 1, tzinfo=UTC))
    provider = recorded.build(recorded.Parameters(data_dir=real_chains), clock=clock)
    clock.set(provider.snapshot_instants[-1])
    last = await provider.chain("SPX", first=date(2019, 8, 21), last=date(2019, 8, 21))
    example = View(at=clock.now(), session=date(2019, 7, 22), label="TEST", quotes={}, chains={"SPX": last}).mark(
        contract(2860, expiry=date(2019, 8, 21))
    )
    clock.set(provider.first_instant, allow_backward=True)
    away_delta, away_iv = [], []
    for instant in provider.snapshot_instants[::5]:
        clock.set(instant)
        chain = await provider.chain("SPX", first=instant.date() + timedelta(days=7), last=instant.date() + timedelta(days=90))
        found = marks(View(at=instant, session=instant.date(), label="TEST", quotes={}, chains={"SPX": chain}), chain)
        near = (chain.right == PUT) & (np.abs(found.delta + 0.16) < 0.03)
        away_delta.append(np.abs(found.delta - chain.vendor_delta)[near])
        away_iv.append((found.iv - chain.vendor_iv)[near])

    assert (example.mid, example.iv, example.delta) == pytest.approx((11.45, 0.155, -0.160), abs=0.0005)
    assert len(np.concatenate(away_delta)) > 1000
    assert np.median(np.concatenate(away_delta)) < 0.0005
    assert np.percentile(np.concatenate(away_delta), 99) < 0.01
    assert abs(np.median(np.concatenate(away_iv))) < 0.0005
