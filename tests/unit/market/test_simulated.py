"""The simulated market: the same for everyone who asks, free of arbitrage, liquid where it should be, and true to its calendar."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from core.clock import EXCHANGE_ZONE, ManualClock
from core.domain import listing
from core.domain.calendar import last_trade_at, session
from core.domain.instruments import Option, Right, underlying_instrument
from core.domain.sessions import sessions
from core.errors import Unavailable, UserError
from core.market.chain import CALL, PUT, Chain
from core.market.providers import simulated
from core.market.providers._sim_listed import LISTED
from core.market.providers._sim_noise import Noise
from core.market.providers._sim_paths import Paths
from core.market.providers._sim_surface import VIX_YEARS
from core.ports import Bars
from core.pricing.bsm import greeks_forward
from core.pricing.implied import implied_vol
from core.runtime import SystemRuntime

MORNING = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)  # a Monday, 10:00 in New York
LATER = datetime(2036, 5, 14, 17, 30, 7, tzinfo=UTC)
SYMBOLS = tuple(LISTED)
OPTIONABLE = tuple(symbol for symbol, listed in LISTED.items() if listed.grid is not None)
ROOT = Path(__file__).resolve().parents[3]


def market(at: datetime = MORNING, seed: int = 1) -> tuple[simulated.SimulatedProvider, ManualClock]:
    clock = ManualClock(at)
    return simulated.build(simulated.PARAMETERS(seed=seed), clock=clock), clock


def new_york(day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute, second), EXCHANGE_ZONE).astimezone(UTC)


async def levels(provider: simulated.SimulatedProvider) -> dict[str, float]:
    quotes = await provider.quotes([underlying_instrument(symbol) for symbol in SYMBOLS])
    return {key: quote.last or 0.0 for key, quote in quotes.items()}


async def fingerprint(provider: simulated.SimulatedProvider, day: date) -> str:
    """Hash of every byte two chains, all levels and a stretch of bars are made of."""
    hashed = hashlib.sha256(repr(sorted((await levels(provider)).items())).encode())
    for symbol in ("SPX", "AAPL"):
        chain = await provider.chain(symbol, first=day, last=day + timedelta(days=50))
        for column in (chain.bid, chain.ask, chain.strike_milli, chain.open_interest, chain.volume, chain.bid_size, chain.ask_size):
            hashed.update(column.tobytes())
    bars = await provider.bars("SPY", start=day - timedelta(days=30), end=day)
    hashed.update(repr(bars).encode())
    return hashed.hexdigest()


async def puts_at(provider: simulated.SimulatedProvider, symbol: str, days: int, at: datetime = MORNING) -> Chain:
    """Puts of the expiry nearest to so many days ahead, of its PM-settled series."""
    expiry = min(await provider.expiries(symbol), key=lambda one: abs((one - at.date()).days - days))
    chain = await provider.chain(symbol, first=expiry, last=expiry)
    return chain.only(right=Right.PUT, root="SPXW" if symbol == "SPX" else symbol)


# --- the same market for everyone --------------------------------------------------------------------------------------------------


async def test_market_when_built_twice_with_one_seed_then_every_byte_is_the_same() -> None:
    (first, _), (second, _), (other, _) = market(), market(), market(seed=2)

    assert await fingerprint(first, MORNING.date()) == await fingerprint(second, MORNING.date())
    assert await fingerprint(first, MORNING.date()) != await fingerprint(other, MORNING.date())


def test_market_when_asked_in_another_process_then_every_byte_is_the_same() -> None:
    script = (
        "import asyncio; from tests.unit.market.test_simulated import *; provider, _ = market(LATER);"
        "print(asyncio.run(fingerprint(provider, LATER.date())))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "12345"}

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == asyncio.run(fingerprint(market(LATER)[0], LATER.date()))


async def test_market_when_the_clock_jumps_to_and_fro_then_it_agrees_with_one_that_did_not() -> None:
    provider, clock = market()
    first = await fingerprint(provider, MORNING.date())
    clock.set(datetime(2029, 3, 1, 16, tzinfo=UTC))
    await fingerprint(provider, date(2029, 3, 1))
    clock.set(LATER)
    far = await fingerprint(provider, LATER.date())
    clock.set(MORNING, allow_backward=True)

    assert await fingerprint(provider, MORNING.date()) == first
    assert await fingerprint(market(LATER)[0], LATER.date()) == far


async def test_market_when_a_runtime_is_given_then_its_threads_find_the_same() -> None:
    runtime = SystemRuntime(ManualClock(MORNING))
    provider = simulated.build(simulated.PARAMETERS(), clock=runtime.clock, runtime=runtime)

    found = await runtime.gather(*(fingerprint(provider, MORNING.date()) for _ in range(3)))
    await runtime.aclose()

    assert set(found) == {await fingerprint(market()[0], MORNING.date())}


# --- time --------------------------------------------------------------------------------------------------------------------------


async def test_levels_when_a_minute_goes_by_then_they_move_a_little_and_within_it_in_steps_of_a_second() -> None:
    provider, clock = market()
    start = await levels(provider)
    clock.advance(timedelta(milliseconds=900))
    same = await levels(provider)
    clock.advance(timedelta(seconds=61))
    later = await levels(provider)

    assert same == start
    assert later["SPX"] != start["SPX"]
    assert later["SPX"] == pytest.approx(start["SPX"], rel=0.005)


@pytest.mark.parametrize(
    "closed",
    [datetime(2026, 11, 13, 21, 0, tzinfo=UTC), datetime(2026, 11, 14, 12, tzinfo=UTC), datetime(2026, 11, 16, 14, 29, 59, tzinfo=UTC)],
)
async def test_quotes_when_the_exchange_is_closed_then_fridays_last_prices_stand(closed: datetime) -> None:
    provider, clock = market(closed)
    found = (await provider.quotes([underlying_instrument("SPX")]))["SPX"]
    clock.set(MORNING)
    bars = await provider.bars("SPX", start=date(2026, 11, 13), end=date(2026, 11, 13))

    assert found.at == datetime(2026, 11, 13, 21, 0, tzinfo=UTC)
    assert (found.bid, found.ask) == (bars.close[0], bars.close[0])


async def test_chain_when_shares_have_closed_then_index_options_go_on_for_a_quarter_of_an_hour() -> None:
    day = date(2026, 11, 16)
    provider, clock = market(new_york(day, 16, 7))
    late = await provider.chain("SPX", first=day, last=day + timedelta(days=40))
    apple = await provider.chain("AAPL", first=day, last=day + timedelta(days=40))
    clock.set(new_york(day, 20))
    night = await provider.chain("SPX", first=day, last=day + timedelta(days=40))

    assert late.at == new_york(day, 16, 7)
    assert apple.at == new_york(day, 16)
    assert night.at == new_york(day, 16, 15)
    assert day not in late.expiries()


async def test_chain_when_it_is_expiry_day_then_pm_contracts_trade_to_the_close_and_am_ones_are_gone() -> None:
    eve, friday = date(2026, 11, 19), date(2026, 11, 20)
    provider, clock = market(new_york(eve, 16, 14))
    before = await provider.chain("SPX", first=friday, last=friday)
    clock.set(new_york(friday, 15, 59))
    during = await provider.chain("SPX", first=friday, last=friday)
    clock.set(new_york(friday, 16))
    after = await provider.chain("SPX", first=friday, last=friday)

    assert set(before.root) == {"SPX", "SPXW"}
    assert set(during.root) == {"SPXW"}
    assert len(after) == 0
    assert await provider.quotes([during.option(0)]) == {}


async def test_market_when_asked_outside_its_years_then_it_says_so() -> None:
    early, _ = market(datetime(2020, 1, 6, 16, tzinfo=UTC))
    late, _ = market(datetime(2041, 1, 7, 16, tzinfo=UTC))

    for provider in (early, late):
        with pytest.raises(Unavailable, match="it has prices from 2024"):
            await levels(provider)
    with pytest.raises(UserError, match="cannot start on 1999"):
        simulated.build(simulated.PARAMETERS(start=date(1999, 3, 1)), clock=ManualClock(MORNING))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 11, 16, 14, 0, tzinfo=UTC), datetime(2026, 11, 16, 15, 0, tzinfo=UTC)),
        (MORNING, datetime(2026, 11, 16, 21, 1, tzinfo=UTC)),  # the close, where the day's expiries settle
        (datetime(2026, 11, 16, 21, 1, tzinfo=UTC), datetime(2026, 11, 17, 15, 0, tzinfo=UTC)),
        (datetime(2026, 11, 27, 16, 0, tzinfo=UTC), datetime(2026, 11, 27, 18, 1, tzinfo=UTC)),  # a half day
        (datetime(2026, 11, 25, 22, 0, tzinfo=UTC), datetime(2026, 11, 27, 15, 0, tzinfo=UTC)),  # over Thanksgiving
        (datetime(2027, 3, 12, 22, 0, tzinfo=UTC), datetime(2027, 3, 15, 14, 0, tzinfo=UTC)),  # over the change of the hour
    ],
)
async def test_next_instant_when_asked_then_the_morning_or_the_moment_after_the_close(now: datetime, expected: datetime) -> None:
    assert await market(now)[0].next_instant() == expected


def test_clock_when_the_session_ends_then_it_runs_on_from_the_next_open() -> None:
    seconds = [100.0]
    clock = simulated.simulated_clock(datetime(2026, 11, 25, 21, 0, tzinfo=UTC), 60.0, lambda: seconds[0])
    before = clock.now()
    seconds[0] += 14.9
    last = clock.now()
    seconds[0] += 0.2
    opened = clock.now()
    seconds[0] += 225.0  # 225 minutes: 13:15 of the half day after Thanksgiving
    monday = clock.now()

    assert before == datetime(2026, 11, 25, 21, 0, tzinfo=UTC)
    assert last == datetime(2026, 11, 25, 21, 14, 54, tzinfo=UTC)
    assert opened == datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    assert monday == datetime(2026, 11, 30, 14, 30, tzinfo=UTC)


def test_clock_when_started_on_a_weekend_then_it_begins_at_the_open() -> None:
    clock = simulated.simulated_clock(datetime(2026, 11, 14, 12, tzinfo=UTC), monotonic=lambda: 0.0)

    assert clock.now() == datetime(2026, 11, 16, 14, 30, tzinfo=UTC)
    assert clock.speed == 1.0


# --- levels ------------------------------------------------------------------------------------------------------------------------


async def test_levels_when_read_then_they_are_positive_over_ten_years_and_the_indices_agree() -> None:
    for at in (MORNING, datetime(2029, 6, 1, 18, tzinfo=UTC), LATER, datetime(2039, 9, 1, 15, tzinfo=UTC)):
        found = await levels(market(at)[0])

        assert set(found) == set(SYMBOLS)
        assert min(found.values()) > 5
        assert found["XSP"] == pytest.approx(found["SPX"] / 10, abs=0.006)
        assert found["SPY"] == pytest.approx(found["SPX"] / 10, rel=0.005)
        assert 8 < found["VIX"] < 90


async def test_levels_when_the_market_starts_then_they_are_the_listed_ones() -> None:
    provider, _ = market(datetime(2026, 10, 30, 21, tzinfo=UTC))

    found = await levels(provider)

    listed = {symbol: one.level for symbol, one in LISTED.items() if one.level and symbol != "SPY"}
    assert {symbol: found[symbol] for symbol in listed} == pytest.approx(listed, abs=0.011)
    assert found["SPY"] == pytest.approx(LISTED["SPY"].level, rel=0.005)


async def test_underlying_quotes_when_read_then_an_index_has_one_level_and_shares_a_spread_around_it() -> None:
    found = await market()[0].quotes([underlying_instrument(symbol) for symbol in SYMBOLS])

    assert found["SPX"].bid == found["SPX"].ask == found["SPX"].last
    assert round(found["SPY"].spread, 2) == 0.01
    assert round(found["AAPL"].spread, 2) == 0.02
    assert all(quote.bid <= (quote.last or 0.0) <= quote.ask for quote in found.values())


async def test_history_when_ten_years_are_read_then_returns_vols_and_leverage_look_like_a_market() -> None:
    provider, _ = market(LATER)
    spx, vix, apple = [await provider.bars(symbol, start=date(2024, 1, 1), end=LATER.date()) for symbol in ("SPX", "VIX", "AAPL")]
    returns, name_returns, changes = (np.diff(np.log(bars.close)) for bars in (spx, apple, vix))

    assert len(spx.days) > 2800
    assert 0.11 < returns.std() * np.sqrt(252) < 0.20
    assert np.corrcoef(returns, changes)[0, 1] < -0.6
    assert 0.35 < np.corrcoef(returns, name_returns)[0, 1] < 0.9
    assert np.mean(((returns - returns.mean()) / returns.std()) ** 4) > 3.5  # fat tails, from a volatility that moves
    assert 14 < np.median(vix.close) < 21
    assert min(vix.low) > 8
    assert max(vix.high) > 28


async def test_bars_when_a_session_is_under_way_then_it_is_missing_until_the_close() -> None:
    provider, clock = market()
    before = await provider.bars("SPX", start=date(2020, 1, 1), end=date(2030, 1, 1))
    clock.set(new_york(date(2026, 11, 16), 16))
    after = await provider.bars("SPX", start=date(2020, 1, 1), end=date(2030, 1, 1))

    assert before.days[-1] == date(2026, 11, 13)
    assert after.days[:-1] == before.days
    assert after.days[-1] == date(2026, 11, 16)
    assert sum(day < date(2026, 11, 2) for day in before.days) == 504


@pytest.mark.parametrize("symbol", ["SPX", "SPY", "VIX", "NVDA"])
async def test_bars_when_the_day_is_over_then_they_hold_every_price_shown_in_it(symbol: str) -> None:
    day = date(2026, 11, 16)
    provider, clock = market(new_york(day, 9, 30))
    shown = []
    for minute in range(0, 391, 15):
        clock.set(new_york(day, 9, 30) + timedelta(minutes=minute))
        shown.append((await levels(provider))[symbol])
    bars = await provider.bars(symbol, start=day, end=day)

    assert (bars.open, bars.close) == ((shown[0],), (shown[-1],))
    assert bars.low[0] <= min(shown)
    assert bars.high[0] >= max(shown)


# --- dividends and settlement ------------------------------------------------------------------------------------------------------


async def test_dividends_when_spy_goes_ex_then_it_loses_the_amount_against_the_index() -> None:
    provider, clock = market(new_york(date(2026, 12, 17), 16))
    before = await levels(provider)
    clock.set(new_york(date(2026, 12, 18), 9, 30))
    after = await levels(provider)
    (paid,) = await provider.dividends("SPY", start=date(2026, 12, 1), end=date(2026, 12, 31))

    index_move = after["SPX"] / before["SPX"]
    assert paid.ex_date == date(2026, 12, 18)
    assert before["SPY"] * index_move - after["SPY"] == pytest.approx(float(paid.amount), abs=0.05)
    assert 1.5 < paid.amount < 2.5


async def test_dividends_when_not_yet_announced_then_they_are_unknown() -> None:
    provider, clock = market(new_york(date(2026, 11, 17), 12))
    early = await provider.dividends("SPY", start=date(2026, 11, 1), end=date(2027, 3, 1))
    clock.set(new_york(date(2026, 11, 18), 12))
    announced = await provider.dividends("SPY", start=date(2026, 11, 1), end=date(2027, 3, 1))
    past = await provider.dividends("KO", start=date(2025, 1, 1), end=date(2025, 12, 31))

    assert early == ()
    assert [one.ex_date for one in announced] == [date(2026, 12, 18)]
    assert len(past) == 4
    assert await provider.dividends("AMZN", start=date(2025, 1, 1), end=date(2026, 12, 31)) == ()


@pytest.mark.parametrize(("root", "symbol"), [("SPXW", "SPX"), ("XSP", "XSP"), ("SPY", "SPY"), ("AAPL", "AAPL")])
async def test_settlement_when_pm_settled_then_it_is_the_close_and_comes_with_it(root: str, symbol: str) -> None:
    friday = date(2026, 11, 20)
    contract = listing.option(root, friday, Right.PUT, Decimal(600))
    provider, clock = market(new_york(friday, 15, 59, 59))
    before = await provider.settlement(contract)
    clock.set(new_york(friday, 16))
    found = await provider.settlement(contract)
    bars = await provider.bars(symbol, start=friday, end=friday)

    assert before is None
    assert found is not None
    assert found.value == Decimal(str(bars.close[0]))
    assert found.published_at == clock.now()
    assert found.label == ("closing index" if symbol in ("SPX", "XSP") else "closing price")


async def test_settlement_when_am_settled_then_it_is_the_opening_level_and_comes_a_quarter_of_an_hour_later() -> None:
    friday = date(2026, 11, 20)
    contract = listing.option("SPX", friday, Right.CALL, Decimal(6500))
    provider, clock = market(new_york(friday, 9, 30))
    opening = (await levels(provider))["SPX"]
    clock.set(new_york(friday, 9, 44, 59))
    pending = await provider.settlement(contract)
    clock.set(new_york(friday, 9, 45))
    found = await provider.settlement(contract)

    assert pending is None
    assert found is not None
    assert (found.value, found.label, found.published_at) == (Decimal(str(opening)), "SET", clock.now())


async def test_settlement_when_the_market_never_listed_it_then_unavailable() -> None:
    provider, _ = market()

    with pytest.raises(Unavailable, match="does not list"):
        await provider.settlement(listing.option("TSLA", date(2026, 11, 13), Right.PUT, Decimal(100)))
    with pytest.raises(Unavailable, match="opened on 2024"):
        await provider.settlement(listing.option("SPXW", date(2023, 11, 17), Right.PUT, Decimal(4000)))


# --- chains ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", OPTIONABLE)
async def test_chain_when_quoted_then_prices_are_on_ticks_a_tick_apart_and_the_far_ones_have_no_bid(symbol: str) -> None:
    provider, _ = market()
    chain = await provider.chain(symbol, first=date(2026, 11, 16), last=date(2027, 12, 31))
    ticks = chain.option(0).series.ticks
    cents = [(round(bid * 100), round(ask * 100)) for bid, ask in zip(chain.bid.tolist(), chain.ask.tolist(), strict=True)]

    wrong = [pair for pair in cents for cent in pair if cent % round(ticks.tick(Decimal(cent) / 100) * 100)]
    assert not wrong
    assert min(ask - bid for bid, ask in cents) >= round(ticks.low * 100)
    assert min(bid for bid, _ in cents) == 0
    assert max(ask for bid, ask in cents if bid == 0) <= 5 * round(ticks.low * 100)
    assert np.all(chain.bid_size[chain.bid == 0] == 0)
    assert np.all(chain.bid_size[chain.bid > 0] > 0)


@pytest.fixture(scope="module")
def vix_history() -> Bars:
    provider, _ = market(datetime(2039, 10, 3, 16, tzinfo=UTC))
    return asyncio.run(provider.bars("VIX", start=date(2024, 1, 1), end=date(2039, 10, 1)))


@pytest.fixture(scope="module")
def stressed(vix_history: Bars) -> datetime:
    """Noon of the session after the highest VIX close in fifteen years."""
    return new_york(vix_history.days[int(np.argmax(vix_history.close)) + 1], 12)


@pytest.mark.parametrize("mood", ["ordinary", "stressed"])
@pytest.mark.parametrize("symbol", ["SPX", "SPY", "NVDA", "KO"])
async def test_chain_when_traded_against_itself_then_nothing_is_free(symbol: str, mood: str, stressed: datetime) -> None:
    at = MORNING if mood == "ordinary" else stressed
    provider, _ = market(at)
    chain = await provider.chain(symbol, first=at.date(), last=at.date() + timedelta(days=400))

    assert len(chain.expiries()) > 10
    for expiry in chain.expiries():
        for root in sorted(set(chain.only(expiry=expiry).root)):
            puts, calls = (chain.only(expiry=expiry, root=root, right=right) for right in (Right.PUT, Right.CALL))
            assert np.array_equal(puts.strike_milli, calls.strike_milli)
            assert_no_free_spread(calls.ask[:-1], calls.bid[1:])
            assert_no_free_spread(puts.ask[1:], puts.bid[:-1])
            for side in (puts, calls):
                assert_convex(side.strike, bought=side.ask, sold=side.bid)
                slack = tick_slack(side)
                assert_convex(side.strike, bought=side.mid + slack, sold=side.mid - slack)


def assert_no_free_spread(dearer_ask: np.ndarray, cheaper_bid: np.ndarray) -> None:
    assert np.all(dearer_ask >= cheaper_bid)


def tick_slack(side: Chain) -> np.ndarray:
    """Mids lie on half ticks, and on half the ask where nobody bids."""
    return np.where(side.bid > 0, float(side.option(0).series.ticks.high) / 2, side.ask / 2)


def assert_convex(strike: np.ndarray, *, bought: np.ndarray, sold: np.ndarray) -> None:
    """A butterfly costs something: its wings, weighted by distance, are not cheaper to buy than its body is to sell."""
    weight = (strike[2:] - strike[1:-1]) / (strike[2:] - strike[:-2])
    assert np.all(weight * bought[:-2] + (1 - weight) * bought[2:] >= sold[1:-1] - 1e-9)


async def test_chain_when_european_then_put_call_parity_gives_one_forward_per_expiry() -> None:
    provider, _ = market()
    chain = await provider.chain("SPX", first=date(2026, 12, 1), last=date(2026, 12, 31))

    for expiry in chain.expiries():
        puts, calls = (chain.only(expiry=expiry, root="SPXW", right=right) for right in (Right.PUT, Right.CALL))
        years = (last_trade_at(puts.option(0).series, expiry) - MORNING).total_seconds() / (365 * 86_400)
        discount = np.exp(-await provider.rate(round(years * 365)) * years)
        worth = discount * (chain.spot * np.exp(-0.012 * years) / discount - puts.strike)
        assert np.all(calls.bid - puts.ask <= worth + 0.02)
        assert np.all(calls.ask - puts.bid >= worth - 0.02)


async def test_chain_when_american_then_no_option_is_worth_less_than_exercise() -> None:
    provider, _ = market()
    chain = await provider.chain("KO", first=date(2026, 11, 16), last=date(2027, 12, 31))

    exercise = np.maximum(chain.right * (chain.spot - chain.strike), 0.0)
    assert np.all(chain.ask >= exercise - 1e-9)


async def test_calendar_spread_when_strikes_agree_then_the_later_expiry_costs_no_less(stressed: datetime) -> None:
    provider, _ = market(stressed)
    expiries = list(await provider.expiries("SPX"))
    chain = await provider.chain("SPX", first=expiries[0], last=expiries[-1])
    puts = chain.only(right=Right.PUT, root="SPXW")

    near = puts.only(expiry=expiries[0])
    for expiry in expiries[1:12]:
        far = puts.only(expiry=expiry)
        _, at_near, at_far = np.intersect1d(near.strike_milli, far.strike_milli, return_indices=True)
        out = near.strike[at_near] < chain.spot
        assert out.sum() > 5
        assert np.all(far.ask[at_far][out] >= near.bid[at_near][out])
        near = far


def vols(puts: Chain, at: datetime) -> tuple[np.ndarray, np.ndarray]:
    """Implied vols of puts, and their distance from spot in log strike."""
    years = (last_trade_at(puts.option(0).series, puts.option(0).expiry) - at).total_seconds() / (365 * 86_400)
    forward, discount = puts.spot * np.exp(0.025 * years), np.exp(-0.036 * years)
    found = implied_vol(right=-1, price=puts.mid, forward=forward, strike=puts.strike, t_years=years, discount=discount)
    return found, np.log(puts.strike / puts.spot)


async def test_surface_when_read_from_quotes_then_puts_are_dearer_and_short_dates_steeper() -> None:
    provider, _ = market()
    slopes = []
    for days in (9, 45, 180):
        implied, distance = vols(await puts_at(provider, "SPX", days), MORNING)
        near = (np.abs(distance) < 0.04) & np.isfinite(implied)
        slopes.append(float(np.polyfit(distance[near], implied[near], 1)[0]))
    implied, distance = vols(await puts_at(provider, "SPX", 45), MORNING)
    lower, money = (float(np.interp(x, distance, implied)) for x in (-0.08, 0.0))

    assert slopes[0] < slopes[1] < slopes[2] < 0
    assert 0.02 < lower - money < 0.10
    assert 0.08 < money < 0.40


async def test_surface_when_vol_is_high_then_it_falls_with_time_and_when_low_it_rises(stressed: datetime, vix_history: Bars) -> None:
    high = await levels(market(stressed)[0])
    calm = vix_history.days[int(np.argmin(vix_history.close))]
    low = await levels(market(new_york(calm, 16))[0])

    assert high["VIX"] > high["VIX3M"] + 2
    assert low["VIX"] < low["VIX3M"] - 1


@pytest.mark.parametrize("at", [MORNING, datetime(2028, 8, 22, 18, tzinfo=UTC), LATER])
async def test_vix_when_compared_with_the_chain_then_it_is_what_thirty_day_options_imply(at: datetime) -> None:
    provider, _ = market(at)
    shown = (await levels(provider))["VIX"]
    terms = []
    for days in (27, 34):
        expiry = min(await provider.expiries("SPX"), key=lambda one: abs((one - at.date()).days - days))
        chain = (await provider.chain("SPX", first=expiry, last=expiry)).only(root="SPXW")
        years = (last_trade_at(chain.option(0).series, expiry) - at).total_seconds() / (365 * 86_400)
        terms.append((len(sessions(at.date(), expiry)) - 1, strip_variance(chain, years)))
    (first, low), (last, high) = terms
    total = np.interp(VIX_YEARS * 252, [first, last], [low, high])  # this market's variance goes by sessions, not by days

    assert shown == pytest.approx(100 * np.sqrt(total / VIX_YEARS), abs=0.3)


def strip_variance(chain: Chain, years: float) -> float:
    """Total variance by Cboe's sum over out-of-the-money mids."""
    forward, growth = chain.spot * np.exp(0.025 * years), np.exp(0.036 * years)
    puts, calls = chain.only(right=Right.PUT), chain.only(right=Right.CALL)
    price = np.where(puts.strike < forward, puts.mid, calls.mid)
    return float(2 * growth * np.sum(np.gradient(puts.strike) / puts.strike**2 * price))


@pytest.mark.parametrize(
    ("symbol", "width", "relative"),
    [("SPX", 50, 0.25), ("SPX", 100, 0.12), ("SPY", 5, 0.12), ("XSP", 5, 0.12), ("QQQ", 5, 0.12), ("AAPL", 10, 0.06)],
)
async def test_put_credit_spread_when_45_days_out_then_getting_in_costs_little_of_its_mid(symbol: str, width: int, relative: float) -> None:
    puts, delta = await puts_with_delta(symbol, 45, MORNING)
    sold = np.flatnonzero((delta >= 0.16) & (delta <= 0.30) & np.isin(puts.strike_milli - width * 1000, puts.strike_milli))
    bought = np.searchsorted(puts.strike_milli, puts.strike_milli[sold] - width * 1000)
    mid = puts.mid[sold] - puts.mid[bought]
    natural = puts.bid[sold] - puts.ask[bought]

    assert len(sold) >= 1
    assert np.all((mid - natural) / mid <= relative)
    assert np.all(mid < width)


@pytest.mark.parametrize("mood", ["ordinary", "stressed"])
@pytest.mark.parametrize("symbol", ["SPX", "SPY", "XSP", "QQQ", "AAPL"])
async def test_put_when_near_the_money_then_its_spread_passes_the_liquidity_limits(symbol: str, mood: str, stressed: datetime) -> None:
    puts, delta = await puts_with_delta(symbol, 45, MORNING if mood == "ordinary" else stressed)
    near = (delta >= 0.16) & (delta <= 0.30)
    spread, mid = (puts.ask - puts.bid)[near], puts.mid[near]

    assert near.sum() >= 2
    assert np.all(spread <= np.maximum(0.20, 0.05 * mid) + 1e-9)


async def puts_with_delta(symbol: str, days: int, at: datetime) -> tuple[Chain, np.ndarray]:
    """Puts of an expiry about so many days ahead, and how their values fall as the forward rises."""
    puts = await puts_at(market(at)[0], symbol, days, at)
    years = (last_trade_at(puts.option(0).series, puts.option(0).expiry) - at).total_seconds() / (365 * 86_400)
    implied, _ = vols(puts, at)
    forward, discount = puts.spot * np.exp(0.025 * years), np.exp(-0.036 * years)
    return puts, -greeks_forward(right=-1, forward=forward, strike=puts.strike, t_years=years, discount=discount, vol=implied).delta


async def test_open_interest_when_near_the_money_then_it_is_deep_and_fixed_for_the_session() -> None:
    provider, clock = market()
    near = {}
    for symbol in ("SPX", "SPY"):
        puts = await puts_at(provider, symbol, 45)
        near[symbol] = puts.open_interest[np.abs(np.log(puts.strike / puts.spot)) < 0.06]
    first = await provider.chain("SPX", first=date(2026, 12, 31), last=date(2026, 12, 31))
    clock.advance(timedelta(hours=3))
    second = await provider.chain("SPX", first=date(2026, 12, 31), last=date(2026, 12, 31))

    assert near["SPX"].min() > 500
    assert near["SPY"].min() > 500
    assert np.array_equal(first.open_interest, second.open_interest)
    assert np.array_equal(first.strike_milli, second.strike_milli)
    assert np.all(second.volume >= first.volume)
    assert second.volume.sum() > first.volume.sum() > 0


async def test_open_interest_when_a_strike_is_round_or_monthly_then_it_is_greater() -> None:
    provider, _ = market()
    chain = await provider.chain("SPX", first=date(2026, 12, 18), last=date(2026, 12, 18))
    weekly = await provider.chain("SPX", first=date(2026, 12, 17), last=date(2026, 12, 17))
    near = np.abs(np.log(chain.strike / chain.spot)) < 0.03

    hundreds, others = (chain.open_interest[near & (chain.strike_milli % 100_000 == rest)] for rest in (0, 5_000))
    assert np.median(hundreds) > 2 * np.median(others)
    assert np.median(chain.open_interest[near]) > 1.5 * np.median(weekly.open_interest[np.abs(np.log(weekly.strike / weekly.spot)) < 0.03])


@pytest.mark.parametrize(("symbol", "fine", "coarse"), [("SPX", 5, 25), ("SPY", 1, 5), ("XSP", 1, 5), ("KO", 1, 2), ("AAPL", 5, 10)])
async def test_strikes_when_listed_then_fine_near_the_money_and_coarse_far_out(symbol: str, fine: int, coarse: int) -> None:
    provider, _ = market()
    puts = await puts_at(provider, symbol, 45)
    gaps = np.diff(puts.strike)
    money = int(np.searchsorted(puts.strike, puts.spot))

    assert gaps[money - 1] == fine
    assert gaps[0] == coarse
    assert puts.strike[0] < puts.spot * 0.85
    assert puts.strike[-1] > puts.spot * 1.08


async def test_quote_when_the_strike_has_left_the_listed_window_then_a_held_contract_still_has_one() -> None:
    provider, clock = market()
    held = listing.option("SPXW", date(2027, 1, 29), Right.PUT, Decimal(3505))
    chain = await provider.chain("SPX", first=held.expiry, last=held.expiry)
    found = await provider.quotes([held])
    clock.set(new_york(date(2027, 1, 29), 15, 30))
    last_day = await provider.quotes([held])

    assert chain.row(held) is None
    assert found[held.key].state.usable
    assert (last_day[held.key].bid, last_day[held.key].ask, last_day[held.key].bid_size) == (0.0, 0.05, 0)


@pytest.mark.parametrize(
    "contract",
    [
        listing.option("SPXW", date(2026, 12, 31), Right.PUT, Decimal("6002.5")),
        listing.option("SPXW", date(2026, 12, 31), Right.PUT, Decimal(100_0)),
        listing.option("SPXW", date(2028, 12, 29), Right.PUT, Decimal(6000)),
        listing.option("TSLA", date(2026, 12, 18), Right.PUT, Decimal(300)),
        listing.option("VIX", date(2026, 12, 16), Right.CALL, Decimal("20.25")),
    ],
    ids=["strike off the grid", "strike far below", "expiry not yet listed", "other symbol", "strike off the table"],
)
async def test_quote_when_the_contract_is_not_listed_then_it_is_left_out(contract: Option) -> None:
    assert await market()[0].quotes([contract]) == {}


async def test_chain_when_the_symbol_has_no_options_then_a_sentence_says_so() -> None:
    provider, _ = market()

    with pytest.raises(UserError, match="no options on VIX3M"):
        await provider.chain("VIX3M", first=MORNING.date(), last=MORNING.date())
    assert await provider.expiries("VIX3M") == ()


async def test_expiries_when_listed_then_daily_for_spx_and_weekly_for_stocks() -> None:
    provider, _ = market()
    spx, apple = await provider.expiries("SPX"), await provider.expiries("AAPL")

    assert spx[:5] == tuple(date(2026, 11, day) for day in range(16, 21))
    assert apple[:3] == (date(2026, 11, 20), date(2026, 11, 27), date(2026, 12, 4))
    assert max(spx) == date(2029, 6, 15)  # the second June ahead: quarters for a year and a half, June and December for three
    assert max(apple) == date(2029, 1, 19)
    assert all(session(day) is not None for day in spx + apple)


async def test_am_settled_options_when_a_pm_series_expires_the_same_day_then_they_lack_the_value_of_that_session() -> None:
    eve, friday = date(2026, 11, 19), date(2026, 11, 20)
    provider, _ = market(new_york(eve, 15, 59, 30))
    chain = await provider.chain("SPX", first=friday, last=friday)
    morning, evening = (straddle(chain.only(root=root)) for root in ("SPX", "SPXW"))

    assert morning == pytest.approx(evening * 0.5, rel=0.10)  # a quarter of a day's variance falls before the open


async def test_stock_options_when_priced_then_their_vol_is_that_of_beta_and_own_noise() -> None:
    provider, _ = market()
    money = {}
    for symbol in ("SPX", "NVDA", "AMZN"):
        implied, distance = vols(await puts_at(provider, symbol, 32), MORNING)
        money[symbol] = float(np.interp(0.0, distance, implied))

    assert money["AMZN"] == pytest.approx(np.hypot(LISTED["AMZN"].beta * money["SPX"], 1.08 * LISTED["AMZN"].own_vol), rel=0.04)
    assert money["NVDA"] > money["AMZN"] > money["SPX"]


async def test_fund_options_when_a_dividend_is_still_to_come_then_the_forward_is_less_by_it() -> None:
    provider, clock = market(new_york(date(2026, 12, 17), 12))
    expiry = date(2027, 1, 15)
    before = parity_forward(await provider.chain("SPY", first=expiry, last=expiry))
    clock.set(new_york(date(2026, 12, 18), 12))
    after = parity_forward(await provider.chain("SPY", first=expiry, last=expiry))
    (paid,) = await provider.dividends("SPY", start=date(2026, 12, 1), end=expiry)

    assert before == pytest.approx(-float(paid.amount) + 0.036 * 29 / 365 * 650, abs=0.15)
    assert after == pytest.approx(0.036 * 28 / 365 * 650, abs=0.15)


@pytest.mark.parametrize("symbol", ["KO", "XOM", "NVDA", "IWM"])
def test_closes_when_reached_by_the_minutes_of_a_session_then_they_are_those_of_the_daily_chain(symbol: str) -> None:
    paths = Paths(Noise(1), start=date(2026, 11, 2), history_sessions=504)
    by_minutes = paths.bars(symbol, 2, 800)[:, 3]

    assert by_minutes == pytest.approx(paths.closes(symbol, 2, 800), abs=0.0051)
    assert paths.close(symbol, 505) == pytest.approx(LISTED[symbol].level, abs=0.011)


def straddle(chain: Chain) -> float:
    """Time value of the put and the call at the strike nearest to spot."""
    strike = chain.strike_milli[int(np.argmin(np.abs(chain.strike - chain.spot)))]
    at_money = chain.strike_milli == strike
    return float(chain.mid[at_money].sum() - abs(chain.spot - strike / 1000))


def parity_forward(chain: Chain) -> float:
    """What parity near the money puts the forward above spot."""
    puts, calls = chain.only(right=Right.PUT), chain.only(right=Right.CALL)
    near = np.abs(np.log(puts.strike / chain.spot)) < 0.02
    return float(np.median((puts.strike + calls.mid - puts.mid)[near]) - chain.spot)


async def test_zero_day_options_when_priced_then_they_allow_for_the_hours_left_alone() -> None:
    day = date(2026, 11, 18)
    provider, clock = market(new_york(day, 10))
    costs = []
    for hour, minute in ((10, 0), (13, 0), (15, 55)):
        clock.set(new_york(day, hour, minute))
        chain = await provider.chain("SPX", first=day, last=day)
        row = int(np.argmin(np.abs(chain.strike - chain.spot) + 1e6 * (chain.right != CALL)))
        put = int(np.flatnonzero((chain.strike_milli == chain.strike_milli[row]) & (chain.right == PUT))[0])
        costs.append(float(chain.mid[row] + chain.mid[put]) / chain.spot)

    assert 0.004 < costs[0] < 0.015
    assert costs[0] > costs[1] > costs[2] > 0
    assert costs[2] < 0.3 * costs[0]


def test_provider_when_imported_and_priced_without_options_then_scipy_stays_out() -> None:
    script = (
        "import asyncio, sys; from datetime import UTC, datetime; from core.clock import ManualClock;"
        "from core.domain.instruments import underlying_instrument; from core.market.providers import simulated;"
        "provider = simulated.build(simulated.PARAMETERS(), clock=ManualClock(datetime(2026, 11, 16, 15, tzinfo=UTC)));"
        "asyncio.run(provider.quotes([underlying_instrument('VIX'), underlying_instrument('SPY')]));"
        "print(sorted({'scipy', 'pandas'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=True,
    )

    assert done.stdout.strip() == "[]"


def test_build_when_the_history_is_absurd_then_refused() -> None:
    with pytest.raises(UserError, match="history_sessions"):
        simulated.build(simulated.PARAMETERS(history_sessions=0), clock=ManualClock(MORNING))
