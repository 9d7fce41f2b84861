"""Options of the simulated market at what they trade for: nothing is free on any kind of day, spreads are those of real chains, and the
VIX family hangs together."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from core.clock import ManualClock
from core.domain import listing
from core.domain.calendar import settlement_at, years_to
from core.domain.instruments import Future, Right, roots_of, underlying_instrument
from core.market.chain import CALL, PUT, Chain
from core.market.providers import simulated
from core.market.providers._sim_listed import LISTED
from core.market.providers._sim_noise import Noise
from core.market.providers._sim_paths import Paths
from core.market.providers._sim_surface import shape
from core.market.providers._sim_values import Values
from core.pricing import american
from core.pricing.bsm import greeks_forward, value_forward
from core.pricing.implied import implied_vol
from tests.unit.market.test_simulated import MORNING, assert_convex, assert_no_free_spread, market, new_york

RATE = 0.036
KINDS = {
    "ordinary": (new_york(date(2026, 11, 17), 11), {}),
    "the eve of earnings": (new_york(date(2026, 11, 19), 15, 45), {}),
    "the morning after them": (new_york(date(2026, 11, 20), 9, 31), {}),
    "the eve of a dividend": (new_york(date(2026, 12, 11), 15, 50), {}),
    "an ex-dividend day": (new_york(date(2026, 12, 14), 9, 31), {}),
    "a split": (new_york(date(2026, 12, 7), 10), {"splits": "NVDA 2026-12-07 4:1; KO 2026-12-07 3:2"}),
    "a crash": (new_york(date(2026, 11, 25), 15), {"scenario": "covid_2020"}),
    "a flash crash": (new_york(date(2026, 11, 3), 14, 46), {"scenario": "flash_crash"}),
    "another seed years on": (new_york(date(2033, 3, 9), 12, 34), {"seed": 12}),
    "a last hour": (new_york(date(2026, 12, 18), 15, 30), {}),
}


def on(kind: str) -> tuple[simulated.SimulatedProvider, datetime]:
    at, parameters = KINDS[kind]
    return simulated.build(simulated.PARAMETERS(**parameters), clock=ManualClock(at)), at  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symbol", ["SPX", "SPY", "NVDA", "KO", "VIX", "TLT"])
async def test_options_when_traded_against_each_other_then_nothing_is_free(symbol: str, kind: str) -> None:
    provider, at = on(kind)
    chain = await provider.chain(symbol, first=at.date(), last=at.date() + timedelta(days=1200))

    assert len(chain.expiries()) > 8
    for expiry in chain.expiries():
        for root in sorted(set(chain.only(expiry=expiry).root)):
            puts, calls = (chain.only(expiry=expiry, root=root, right=right) for right in (Right.PUT, Right.CALL))
            assert_no_free_spread(calls.ask[:-1], calls.bid[1:])
            assert_no_free_spread(puts.ask[1:], puts.bid[:-1])
            assert_no_box(calls, puts)
            for side in (puts, calls):
                assert_convex(side.strike, bought=side.ask, sold=side.bid)


def assert_no_box(calls: Chain, puts: Chain) -> None:
    """A vertical of calls bought with the vertical of puts is worth no more than the distance of its strikes when sold."""
    width = np.diff(calls.strike)
    assert np.all(calls.bid[:-1] - calls.ask[1:] <= width + 1e-9)
    assert np.all(puts.bid[1:] - puts.ask[:-1] <= width + 1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symbol", ["SPY", "NVDA", "KO", "TLT"])
async def test_american_options_when_traded_for_the_share_then_neither_exercise_nor_parity_gives_money(symbol: str, kind: str) -> None:
    provider, at = on(kind)
    chain = await provider.chain(symbol, first=at.date(), last=at.date() + timedelta(days=400))
    share = (await provider.quotes([underlying_instrument(symbol)]))[symbol]

    exercised = np.maximum(chain.right * (chain.spot - chain.strike), 0.0)
    assert np.all(chain.ask >= exercised - 0.011)
    for expiry in chain.expiries():
        puts, calls = (chain.only(expiry=expiry, right=right) for right in (Right.PUT, Right.CALL))
        years = years_to(settlement_at(puts.option(0).series, expiry), at)
        discount = np.exp(-RATE * years)
        paid = await provider.dividends(symbol, start=at.date() + timedelta(days=1), end=expiry)
        announced = sum(float(one.amount) for one in paid)
        later = LISTED[symbol].dividend_yield * share.ask * max(years - 25 / 365, 0.0)
        # Selling the call, buying the put and the share locks in the strike at expiry at least; the other way round costs its dividends.
        assert np.all(calls.bid - puts.ask <= share.ask - puts.strike * discount + 0.02)
        assert np.all(calls.ask - puts.bid >= share.bid - announced - 1.6 * later - puts.strike - 0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symbol", ["SPX", "KO", "NVDA"])
async def test_calendars_when_the_later_option_is_bought_then_it_costs_no_less(symbol: str, kind: str) -> None:
    provider, at = on(kind)
    chain = await provider.chain(symbol, first=at.date() + timedelta(days=1), last=at.date() + timedelta(days=400))
    puts = chain.only(right=Right.PUT, root="SPXW" if symbol == "SPX" else symbol)
    expiries = puts.expiries()

    near = puts.only(expiry=expiries[0])
    for expiry in expiries[1:12]:
        far = puts.only(expiry=expiry)
        _, at_near, at_far = np.intersect1d(near.strike_milli, far.strike_milli, return_indices=True)
        out = near.strike[at_near] < chain.spot * 0.99
        assert np.all(far.ask[at_far][out] >= near.bid[at_near][out])
        near = far


# --- early exercise ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["AMZN", "GLD", "SPY"])
def test_puts_when_american_then_they_carry_half_of_the_exact_premium_at_least_and_never_more_than_it(symbol: str) -> None:
    paths = Paths(Noise(1), start=date(2026, 11, 2), history_sessions=504)
    moment, values, spec = paths.moment(MORNING), Values(paths), roots_of(symbol)[0]
    spot = paths.level(symbol, moment)
    for expiry in (date(2026, 12, 18), date(2027, 6, 17), date(2028, 1, 21)):
        series = ((spec, expiry),)
        terms = values.terms(symbol, series, moment, MORNING)
        strike = spot * np.linspace(0.85, 1.15, 13)
        value, y = values.of(symbol, moment, terms, series, np.zeros(13, dtype=np.int64), np.full(13, PUT, dtype=np.int8), strike)
        years, forward, discount = terms.years[0], terms.forward[0], terms.discount[0]
        vol = terms.deviation[0] * np.sqrt(shape(LISTED[symbol].smile, y) / years)
        rate, carry = -np.log(discount) / years, np.log(forward / spot) / years
        exact = american.value(right=-1, spot=spot, strike=strike, t_years=years, rate=rate, dividend=rate - carry, vol=vol)
        european = value_forward(right=-1, forward=forward, strike=strike, t_years=years, discount=discount, vol=vol)
        whole, ours = exact - european, value - european
        worth = (whole > 0.2) & (y > -0.5)

        assert np.all(ours <= whole + 0.02)
        assert np.all(ours[worth] >= 0.45 * whole[worth])


async def test_calls_when_a_dividend_goes_ex_tomorrow_then_deep_ones_are_worth_their_exercise_and_the_day_after_less() -> None:
    provider, clock = market(new_york(date(2026, 12, 11), 15, 59))
    expiry = date(2027, 2, 19)
    calls = (await provider.chain("KO", first=expiry, last=expiry)).only(right=Right.CALL)
    deep = calls.strike < 0.88 * calls.spot
    clock.set(new_york(date(2026, 12, 14), 9, 30))
    after = (await provider.chain("KO", first=expiry, last=expiry)).only(right=Right.CALL)
    (paid,) = await provider.dividends("KO", start=date(2026, 12, 14), end=date(2026, 12, 14))

    assert deep.sum() >= 2
    assert np.all(calls.mid[deep] >= calls.spot - calls.strike[deep] - 0.02)
    assert after.spot < calls.spot - 0.3 * float(paid.amount)


# --- spreads -----------------------------------------------------------------------------------------------------------------------


async def relative_spreads(provider: simulated.SimulatedProvider, at: datetime, symbol: str, days: tuple[int, int]) -> tuple[float, float]:
    """Median spread over mid, and in points, of puts of 10 to 20 delta."""
    first, last = (at.date() + timedelta(days=ahead) for ahead in days)
    chain = (await provider.chain(symbol, first=first, last=last)).only(right=Right.PUT)
    years = np.array([years_to(settlement_at(chain.option(row).series, chain.option(row).expiry), at) for row in range(len(chain))])
    forward, discount = chain.spot * np.exp(0.024 * years), np.exp(-RATE * years)
    vol = implied_vol(right=-1, price=chain.mid, forward=forward, strike=chain.strike, t_years=years, discount=discount)
    delta = -greeks_forward(right=-1, forward=forward, strike=chain.strike, t_years=years, discount=discount, vol=vol).delta
    rows = (delta > 0.10) & (delta < 0.20)
    apart = (chain.ask - chain.bid)[rows]
    return float(np.median(apart / chain.mid[rows])), float(np.median(apart))


async def test_spread_of_spxw_puts_when_a_day_or_two_from_expiry_then_six_percent_in_calm_and_eight_in_stress() -> None:
    calm, at = on("ordinary")
    stress, then = on("a crash")

    assert (await relative_spreads(calm, at, "SPX", (1, 2)))[0] == pytest.approx(0.06, abs=0.012)
    assert (await relative_spreads(stress, then, "SPX", (1, 2)))[0] == pytest.approx(0.08, abs=0.016)


async def test_spread_of_spy_puts_when_a_month_out_then_cents() -> None:
    provider, at = on("ordinary")

    assert round((await relative_spreads(provider, at, "SPY", (20, 45)))[1], 2) in (0.01, 0.02, 0.03)


async def test_quotes_when_far_out_then_nobody_bids_and_more_of_them_the_nearer_the_expiry() -> None:
    provider, at = on("ordinary")
    near, far = [
        await provider.chain("SPX", first=at.date() + timedelta(days=low), last=at.date() + timedelta(days=high))
        for low, high in ((1, 2), (90, 200))
    ]

    assert np.mean(near.bid == 0) > 0.10
    assert np.mean(far.bid == 0) < 0.03


async def test_volume_when_a_contract_is_struck_by_unusual_flow_then_it_trades_many_times_its_usual_volume() -> None:
    at = new_york(date(2026, 11, 17), 15, 59)
    struck, rows = 0, 0
    for symbol in ("SPY", "AAPL", "NVDA", "AMD", "TLT", "QQQ"):
        chain = await market(at)[0].chain(symbol, first=at.date(), last=at.date() + timedelta(days=400))
        interest, volume = np.maximum(chain.open_interest, 20), chain.volume
        struck += int(np.sum(volume > 3.0 * interest))
        rows += len(chain)

    assert 1 <= struck < 0.003 * rows


# --- VIX ---------------------------------------------------------------------------------------------------------------------------


def vix_future(expiry: date) -> Future:
    return Future(root="VX", expiry=expiry, multiplier=1000)


async def test_vix_options_when_priced_then_parity_gives_the_future_of_their_own_expiry() -> None:
    provider, clock = market()

    for expiry in (await provider.expiries("VIX"))[:9]:
        chain = await provider.chain("VIX", first=expiry, last=expiry)
        puts, calls = (chain.only(right=right) for right in (Right.PUT, Right.CALL))
        quote = (await provider.quotes([vix_future(expiry)]))[f"/VX {expiry}"]
        discount = np.exp(-RATE * years_to(settlement_at(puts.option(0).series, expiry), clock.now()))
        worth = discount * (quote.mid - puts.strike)
        assert np.all(calls.bid - puts.ask <= worth + 0.06)
        assert np.all(calls.ask - puts.bid >= worth - 0.06)


async def test_vix_futures_when_the_market_is_calm_then_later_ones_are_dearer_and_in_a_crash_cheaper() -> None:
    calm, _ = market(new_york(date(2026, 12, 1), 12))
    crash, _ = on("a crash")
    levels = []
    for provider in (calm, crash):
        monthly = [date(2026, 12, 16), date(2027, 1, 20), date(2027, 2, 17), date(2027, 4, 21)]
        quotes = await provider.quotes([vix_future(expiry) for expiry in monthly])
        levels.append([quotes[f"/VX {expiry}"].mid for expiry in monthly])

    assert levels[0] == sorted(levels[0])
    assert levels[1] == sorted(levels[1], reverse=True)
    assert levels[1][0] > 45


async def test_vix_future_when_its_expiry_comes_then_it_has_met_vix_and_the_options_settle_on_the_opening() -> None:
    expiry, eve = date(2026, 11, 18), date(2026, 11, 17)
    contract = listing.option("VIX", expiry, Right.CALL, Decimal(15))
    provider, clock = market(new_york(eve, 16, 14))
    quotes = await provider.quotes([vix_future(expiry), underlying_instrument("VIX"), contract])
    clock.set(new_york(expiry, 9, 30))
    opening = (await provider.quotes([underlying_instrument("VIX")]))["VIX"].last or 0.0
    ended = await provider.quotes([vix_future(expiry), contract])
    pending = await provider.settlement(contract)
    clock.set(new_york(expiry, 9, 45))
    settled = await provider.settlement(contract)

    assert quotes[f"/VX {expiry}"].mid == pytest.approx(quotes["VIX"].last or 0.0, abs=0.4)
    assert contract.key in quotes
    assert ended == {}
    assert pending is None
    assert settled is not None
    assert (settled.value, settled.label) == (Decimal(str(opening)), "SOQ")


async def test_vix_options_when_the_evening_before_settlement_is_over_then_they_trade_no_more() -> None:
    provider, _ = market(new_york(date(2026, 11, 17), 16, 15))

    assert date(2026, 11, 18) not in await provider.expiries("VIX")


async def test_vix_family_when_the_market_is_in_distress_then_the_shorter_is_the_higher_and_in_calm_the_lower() -> None:
    names = [underlying_instrument(symbol) for symbol in ("VIX9D", "VIX", "VIX3M")]
    crash, _ = on("a crash")
    calm = simulated.build(
        simulated.PARAMETERS(scenario="slow_bull"), clock=ManualClock(datetime(2027, 2, 1, 17, tzinfo=UTC))
    )

    distressed, quiet = [[quote.last or 0.0 for quote in (await provider.quotes(names)).values()] for provider in (crash, calm)]

    assert distressed == sorted(distressed, reverse=True)
    assert quiet == sorted(quiet)


async def test_expiries_when_listed_then_from_today_to_three_years() -> None:
    provider, _ = market()

    for symbol, years in (("SPX", 2.5), ("SPY", 2.2), ("AAPL", 2.0), ("QQQ", 2.2)):
        found = await provider.expiries(symbol)
        assert found[0] <= MORNING.date() + timedelta(days=4)
        assert found[-1] > MORNING.date() + timedelta(days=int(365 * years))
    assert CALL == -PUT


async def test_clock_when_it_runs_fast_over_a_settlement_then_everything_is_quoted_as_long_as_it_trades_and_not_after() -> None:
    seconds = [0.0]
    clock = simulated.simulated_clock(new_york(date(2026, 11, 16), 10), 3600.0, lambda: seconds[0])
    provider = simulated.build(simulated.PARAMETERS(), clock=clock)
    settles = new_york(date(2026, 11, 18), 9, 30)
    held = [
        vix_future(date(2026, 11, 18)), listing.option("VIX", date(2026, 11, 18), Right.PUT, Decimal(18)),
        listing.option("SPXW", date(2026, 11, 18), Right.PUT, Decimal(6500)), underlying_instrument("VIX9D"),
    ]
    seen = []
    for hour in range(20):
        seconds[0] = float(hour)
        found = await provider.quotes(held)
        seen.append((clock.now(), [item.key in found and found[item.key].state.usable for item in held]))

    before = [there for at, there in seen if at < settles]
    after = [there for at, there in seen if settles <= at < new_york(date(2026, 11, 18), 16)]
    later = [there for at, there in seen if at > new_york(date(2026, 11, 18), 16)]
    assert len(before) > 12
    assert all(all(there) for there in before)
    assert after == [[False, False, True, True]] * len(after) != []
    assert later == [[False, False, False, True]] * len(later)
