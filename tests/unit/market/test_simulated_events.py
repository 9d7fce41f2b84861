"""What happens to the simulated market's names: dividends, reports of earnings, splits, halts, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from core.clock import ManualClock
from core.domain import listing
from core.domain.instruments import Deliverable, Option, Right, underlying_instrument
from core.errors import UserError
from core.market.providers import simulated
from core.market.providers._sim_index import STEPS
from core.market.providers._sim_listed import LISTED
from core.market.providers._sim_noise import Noise
from core.market.providers._sim_paths import Paths
from core.pricing.implied import implied_vol
from tests.unit.market.test_simulated import MORNING, market, new_york

STOCKS = tuple(symbol for symbol, listed in LISTED.items() if listed.stock)
EVE, NEXT = date(2026, 11, 19), date(2026, 11, 20)  # NVDA reports after the close of the first
FIRST = date(2026, 12, 7)  # ex-date of the splits told below


def with_parameters(at: datetime, **parameters: object) -> tuple[simulated.SimulatedProvider, ManualClock]:
    clock = ManualClock(at)
    return simulated.build(simulated.PARAMETERS(**parameters), clock=clock), clock  # type: ignore[arg-type]


async def at_money_vol(provider: simulated.SimulatedProvider, clock: ManualClock, symbol: str, expiry: date) -> float:
    """Implied volatility of the call nearest to the money, on 252 sessions a year."""
    chain = (await provider.chain(symbol, first=expiry, last=expiry)).only(right=Right.CALL)
    row = int(np.argmin(np.abs(chain.strike - chain.spot)))
    years = (expiry - clock.now().date()).days / 365
    price = float(chain.mid[row])
    return float(implied_vol(right=1, price=price, forward=chain.spot, strike=chain.strike[row], t_years=years, discount=1.0))


def test_names_when_counted_then_more_than_twenty_in_eight_sectors_and_funds_of_bonds_and_gold() -> None:
    sectors = {LISTED[symbol].sector for symbol in STOCKS}

    assert len(STOCKS) >= 20
    assert len(sectors) >= 8
    assert {"TLT", "GLD", "SPY", "QQQ", "IWM"} <= LISTED.keys()


async def test_dividends_when_tlt_pays_then_every_month() -> None:
    provider, _ = market()

    paid = await provider.dividends("TLT", start=date(2026, 1, 1), end=date(2026, 10, 31))

    assert [one.ex_date.month for one in paid] == list(range(1, 11))
    assert all(Decimal("0.2") < one.amount < Decimal("0.5") for one in paid)


# --- earnings ----------------------------------------------------------------------------------------------------------------------


async def test_earnings_when_far_ahead_then_the_day_is_known_before_the_hour() -> None:
    provider, clock = market(new_york(date(2026, 10, 20), 12))
    early = await provider.earnings("NVDA", start=date(2026, 11, 1), end=date(2027, 12, 31))
    clock.set(new_york(date(2026, 10, 23), 12))
    later = await provider.earnings("NVDA", start=date(2026, 11, 1), end=date(2027, 12, 31))

    assert [(one.day, one.when) for one in early] == [(EVE, "")]
    assert [(one.day, one.when) for one in later] == [(EVE, "after_close")]
    assert await provider.earnings("SPY", start=date(2026, 1, 1), end=date(2027, 12, 31)) == ()


async def test_earnings_when_a_year_has_gone_by_then_every_stock_has_reported_four_times_from_tuesday_to_thursday() -> None:
    provider, _ = market(new_york(date(2027, 12, 30), 12))

    for symbol in STOCKS:
        found = await provider.earnings(symbol, start=date(2027, 1, 1), end=date(2027, 12, 20))
        assert len(found) == 4
        assert {one.day.weekday() for one in found} <= {1, 2, 3, 4}
        assert {one.when for one in found} == {LISTED[symbol].reports.when}  # type: ignore[union-attr]


async def test_options_when_earnings_are_due_then_the_first_expiry_after_them_is_dearest_and_collapses_with_them() -> None:
    provider, clock = market(new_york(EVE, 15, 30))
    before = [await at_money_vol(provider, clock, "NVDA", expiry) for expiry in (NEXT, date(2026, 12, 18), date(2027, 1, 15))]
    clock.set(new_york(NEXT, 9, 31))
    after = await at_money_vol(provider, clock, "NVDA", date(2026, 12, 18))

    assert before[0] > 1.5 * before[1] > 1.5 * before[2]
    assert after < 0.9 * before[1]


async def test_options_when_earnings_lie_between_two_expiries_then_only_the_later_carries_them() -> None:
    provider, clock = market(new_york(date(2026, 11, 16), 12))

    near, far = [await at_money_vol(provider, clock, "HD", expiry) for expiry in (date(2026, 11, 20), date(2026, 12, 18))]
    (reported,) = await provider.earnings("HD", start=date(2026, 11, 16), end=date(2026, 12, 18))

    assert reported.day == date(2026, 11, 18)
    assert near > 1.3 * far


@pytest.mark.parametrize("symbol", ["NVDA", "KO", "JPM", "DIS"])
def test_reports_when_many_are_made_then_moves_are_of_the_size_listed_and_come_at_the_open(symbol: str) -> None:
    paths = Paths(Noise(3), start=date(2026, 11, 2), history_sessions=504)
    last = paths.index_of(date(2039, 12, 1))
    reports = [one for one in paths.name(symbol).reports if 2 < one.index < last]
    gaps = [np.log(paths.minutes(symbol, one.index)[0] / paths.minutes(symbol, one.index - 1)[-1]) for one in reports[::4]]
    own = [one.move for one in reports[::4]]

    assert len(reports) > 55
    assert np.std([one.move for one in reports]) == pytest.approx(LISTED[symbol].reports.move, rel=0.35)  # type: ignore[union-attr]
    assert np.corrcoef(gaps, own)[0, 1] > 0.85


# --- splits ------------------------------------------------------------------------------------------------------------------------


async def test_split_when_announced_then_known_before_its_day_and_not_earlier() -> None:
    provider, clock = with_parameters(new_york(date(2026, 11, 6), 12), splits="NVDA 2026-12-07 4:1")
    early = await provider.splits("NVDA", start=date(2026, 11, 1), end=date(2027, 1, 1))
    clock.set(new_york(date(2026, 11, 6), 16, 30))
    known = await provider.splits("NVDA", start=date(2026, 11, 1), end=date(2027, 1, 1))

    assert early == ()
    assert [(one.ex_date, one.new, one.old) for one in known] == [(FIRST, 4, 1)]


async def test_split_when_it_goes_ex_then_price_bars_and_dividends_follow_and_the_value_does_not_move() -> None:
    provider, clock = with_parameters(new_york(date(2026, 12, 4), 16), splits="NVDA 2026-12-07 4:1; KO 2026-12-07 3:2")
    plain, _ = with_parameters(new_york(FIRST, 9, 30))
    share = underlying_instrument("NVDA")
    friday = (await provider.quotes([share]))["NVDA"].last or 0.0
    clock.set(new_york(FIRST, 9, 30))
    monday = (await provider.quotes([share]))["NVDA"].last or 0.0
    unsplit = (await plain.quotes([share]))["NVDA"].last or 0.0
    bars = await provider.bars("NVDA", start=date(2026, 11, 30), end=date(2026, 12, 4))
    (coming,) = await provider.dividends("KO", start=date(2026, 12, 8), end=date(2026, 12, 31))
    (plain_coming,) = await plain.dividends("KO", start=date(2026, 12, 8), end=date(2026, 12, 31))

    assert monday == pytest.approx(unsplit / 4, abs=0.006)
    assert bars.close[-1] == pytest.approx(friday / 4, abs=0.006)
    assert float(coming.amount) == pytest.approx(float(plain_coming.amount) / 1.5, abs=0.011)


async def test_split_when_whole_then_a_held_contract_is_quoted_at_its_strike_divided() -> None:
    provider, clock = with_parameters(new_york(date(2026, 12, 4), 16), splits="NVDA 2026-12-07 4:1")
    old = listing.option("NVDA", date(2027, 1, 15), Right.PUT, Decimal(195))
    new = listing.option("NVDA", date(2027, 1, 15), Right.PUT, Decimal("48.75"))
    before = await provider.quotes([old, new])
    clock.set(new_york(FIRST, 9, 30))
    after = await provider.quotes([old, new])
    spot = (await provider.quotes([underlying_instrument("NVDA")]))["NVDA"].last or 0.0

    assert set(before) == {old.key}
    assert set(after) == {new.key}
    assert after[new.key].mid == pytest.approx(before[old.key].mid / 4, rel=0.5)
    assert after[new.key].ask >= 48.75 - spot


async def test_split_when_odd_then_the_adjusted_contract_is_worth_what_it_delivers() -> None:
    """Three for two: 150 shares for a strike that stays."""
    provider, _ = with_parameters(new_york(FIRST, 12), splits="KO 2026-12-07 3:2")
    expiry = date(2027, 1, 15)
    plain = listing.option("KO", expiry, Right.CALL, Decimal(44))
    adjusted = adjusted_option(plain, strike=Decimal(66), shares=150)
    found = await provider.quotes([plain, adjusted])
    deep = adjusted_option(plain, strike=Decimal(30), shares=150)
    spot = (await provider.quotes([underlying_instrument("KO")]))["KO"].last or 0.0
    deep_quote = (await provider.quotes([deep]))[deep.key]

    assert found[adjusted.key].mid == pytest.approx(1.5 * found[plain.key].mid, abs=0.06)
    assert deep_quote.bid - 0.01 <= 1.5 * spot - 30 <= deep_quote.ask + 0.6


def adjusted_option(plain: Option, *, strike: Decimal, shares: int) -> Option:
    return replace(plain, root="KO1", strike=strike, deliverable=Deliverable(symbol="KO", shares=shares))


async def test_strikes_when_a_share_has_become_cheaper_by_a_split_then_they_are_listed_closer_together() -> None:
    provider, clock = with_parameters(new_york(date(2026, 12, 4), 12), splits="AAPL 2026-12-07 10:1")
    expiry = date(2027, 1, 15)
    before = await provider.chain("AAPL", first=expiry, last=expiry)
    clock.set(new_york(FIRST, 12))
    after = await provider.chain("AAPL", first=expiry, last=expiry)

    gaps = [float(np.diff(np.unique(chain.strike)).min()) for chain in (before, after)]
    assert gaps == [5.0, 1.0]
    assert len(np.unique(after.strike)) > 6


def test_splits_when_nobody_tells_them_then_seldom_announced_ahead_and_of_dear_shares() -> None:
    found, years = [], 0.0
    for seed in range(1, 5):
        paths = Paths(Noise(seed), start=date(2026, 11, 2), history_sessions=504)
        paths.index_of(date(2039, 12, 1))
        for symbol in STOCKS:
            years += 13
            found += [(symbol, one, paths.close(symbol, one.index - 1)) for one in paths.name(symbol).splits]

    assert 2 < len(found) < years / 15
    assert all(one.index - one.announced == 20 for _, one, _ in found)
    assert all(level > 50 for _, _, level in found)


@pytest.mark.parametrize(
    "wrong", ["NVDA", "NVDA 2026-12-07 4-1", "SPX 2026-12-07 2:1", "NVDA 2026-12-05 4:1", "NVDA 2026-12-07 1:1", "NVDA 2026-12-07 0:1"]
)
def test_splits_when_they_cannot_be_read_then_a_sentence_says_so(wrong: str) -> None:
    with pytest.raises(UserError, match="no split of a stock or fund"):
        with_parameters(MORNING, splits=wrong)


# --- halts -------------------------------------------------------------------------------------------------------------------------


async def test_market_when_the_index_falls_seven_percent_then_everything_stops_for_a_quarter_of_an_hour() -> None:
    provider, clock = with_parameters(new_york(date(2026, 11, 3), 14, 30), scenario="flash_crash")
    put = listing.option("SPXW", date(2026, 11, 4), Right.PUT, Decimal(6500))
    wanted = [underlying_instrument("SPY"), underlying_instrument("KO"), put]
    open_before = {quote.halted for quote in (await provider.quotes(wanted)).values()}
    stopped = None
    while stopped is None:
        clock.advance(timedelta(minutes=1))
        words = {quote.halted for quote in (await provider.quotes(wanted)).values()}
        stopped = clock.now() if words != {""} else None
    chain = await provider.chain("SPX", first=date(2026, 11, 4), last=date(2026, 11, 4))
    clock.advance(timedelta(minutes=15))
    resumed = {quote.halted for quote in (await provider.quotes(wanted)).values()}

    assert open_before == {""}
    assert words == {"market-wide circuit breaker, level 1"}
    assert chain.halted == "market-wide circuit breaker, level 1"
    assert new_york(date(2026, 11, 3), 14, 35) < stopped < new_york(date(2026, 11, 3), 14, 50)
    assert resumed == {""}


def test_names_when_they_leap_within_minutes_then_they_pause_for_five_and_seldom() -> None:
    provider, _ = with_parameters(MORNING)
    halts, paths = provider._halts, provider._paths
    paths.index_of(date(2029, 6, 1))
    paused = [(symbol, index, halt) for symbol in ("AMD", "BA", "FCX") for index in range(510, 1100) for halt in halts.drawn(symbol, index)]

    assert 1 <= len(paused) <= 40
    for symbol, index, halt in paused:
        level = paths.minutes(symbol, index)
        step = round((halt.start - new_york(paths.day(index), 9, 30)).total_seconds() / 60)
        assert halt.end - halt.start == timedelta(minutes=5)
        assert step > STEPS - 1 or abs(np.log(level[step] / level[step - 5])) > 0.05


# --- headlines ---------------------------------------------------------------------------------------------------------------------


async def test_headlines_when_read_then_they_are_labelled_of_the_past_in_order_and_true() -> None:
    now = new_york(NEXT, 12)
    provider, clock = market(now)
    found = await provider.headlines(None, since=now - timedelta(days=10))
    of_nvda = await provider.headlines("NVDA", since=now - timedelta(days=10))
    move = next(one.text for one in of_nvda if "at the open" in one.text)
    clock.set(new_york(EVE, 16), allow_backward=True)
    eve = (await provider.quotes([underlying_instrument("NVDA")]))["NVDA"].last or 0.0
    clock.set(new_york(NEXT, 9, 30))
    opened = (await provider.quotes([underlying_instrument("NVDA")]))["NVDA"].last or 0.0

    assert len(found) > 3
    assert {one.source for one in found} == {"SIMULATED"}
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert max(one.at for one in found) <= now
    assert "NVDA reports its quarter" in {one.text for one in of_nvda}
    assert ("falls" in move) == (opened < eve)


async def test_headlines_when_the_market_crashes_or_a_split_is_announced_then_they_say_so() -> None:
    now = new_york(date(2026, 11, 6), 17)
    provider, _ = with_parameters(now, scenario="flash_crash", splits="NVDA 2026-12-07 4:1")

    texts = [one.text for one in await provider.headlines(None, since=now - timedelta(days=6))]

    assert "Trading halted in all U.S. markets: market-wide circuit breaker, level 1" in texts
    assert any(text.startswith("S&P 500 falls 3.2% to") for text in texts)
    assert "NVDA announces a 4-for-1 split, effective 2026-12-07" in texts


async def test_headlines_when_asked_since_now_or_of_a_quiet_name_then_there_are_none_to_come() -> None:
    now = datetime(2026, 11, 17, 15, tzinfo=UTC)
    provider, _ = market(now)

    assert await provider.headlines(None, since=now) == ()
    assert all(one.at <= now for one in await provider.headlines("SPX", since=now - timedelta(days=30)))
