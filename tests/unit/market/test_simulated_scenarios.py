"""Named scenarios, and what kind of market the seeds make: sizes and shapes of the public record, and nothing that could not be one price
series."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from core.clock import ManualClock
from core.domain.instruments import underlying_instrument
from core.errors import UserError
from core.market.providers import simulated
from core.market.providers._sim_listed import LISTED
from core.market.providers._sim_noise import Noise
from core.market.providers._sim_paths import Paths
from core.market.providers._sim_scenarios import LEAD_IN, SCENARIOS
from tests.unit.market.test_simulated import market, new_york

START = date(2026, 11, 2)
SEEDS = range(1, 9)


def paths_of(scenario: str = "", seed: int = 1, start: date = START) -> Paths:
    paths = Paths(Noise(seed), start=start, history_sessions=504, scenario=scenario)
    paths.index_of(date(2039, 6, 1))
    return paths


def closes(paths: Paths, symbol: str, first: int, last: int) -> np.ndarray:
    return paths.closes(symbol, paths.anchor + first, paths.anchor + last)


# --- scenarios ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 7])
@pytest.mark.parametrize(
    ("name", "sessions", "index", "vix"),
    [("feb_2018", 2, -0.061, 37.3), ("covid_2020", 23, -0.34, 61.6), ("flash_crash", 2, -0.039, 32.8), ("spike_and_fade", 3, -0.060, 36.0)],
)
def test_scenario_when_it_has_come_so_far_then_index_and_vix_are_where_they_were(
    name: str, sessions: int, index: float, vix: float, seed: int
) -> None:
    paths = paths_of(name, seed)
    levels = closes(paths, "SPX", 0, sessions)

    assert levels[0] == pytest.approx(LISTED["SPX"].level, abs=0.01)
    assert levels[-1] / levels[0] - 1 == pytest.approx(index, abs=0.012)
    assert closes(paths, "VIX", 0, sessions)[[0, -1]] == pytest.approx([SCENARIOS[name].before, vix], abs=0.2)


def test_scenario_when_it_is_feb_2018_then_the_second_session_falls_by_four_percent_and_vix_more_than_doubles() -> None:
    paths = paths_of("feb_2018")
    index, vix = closes(paths, "SPX", 1, 2), closes(paths, "VIX", 1, 2)

    assert index[1] / index[0] - 1 == pytest.approx(-0.041, abs=0.0005)
    assert vix == pytest.approx([17.3, 37.3], abs=0.1)


def test_scenario_when_it_is_covid_then_vix_passes_eighty_and_a_third_is_lost_in_twenty_three_sessions() -> None:
    paths = paths_of("covid_2020")
    index = closes(paths, "SPX", 0, 40)

    assert int(np.argmin(index)) == 23
    assert index.min() / index[0] - 1 == pytest.approx(-0.34, abs=0.005)
    assert closes(paths, "VIX", 0, 40).max() > 80
    assert np.diff(np.log(index)).min() == pytest.approx(np.log(0.88), abs=0.002)


def test_scenario_when_it_is_a_flash_crash_then_nine_percent_are_lost_within_the_day_and_most_come_back() -> None:
    paths = paths_of("flash_crash")
    minutes = paths.minutes("SPX", paths.anchor + 2)
    before = paths.close("SPX", paths.anchor + 1)

    assert minutes.min() / before - 1 == pytest.approx(-0.09, abs=0.015)
    assert minutes[-1] / before - 1 == pytest.approx(-0.032, abs=0.001)
    assert 280 < int(np.argmin(minutes)) < 335


@pytest.mark.parametrize(("name", "low", "high", "widest"), [("slow_bull", 0.05, 0.28, 0.02), ("chop", -0.05, 0.05, 0.02)])
def test_scenario_when_it_is_quiet_then_no_day_is_wild_and_it_ends_where_it_should(
    name: str, low: float, high: float, widest: float
) -> None:
    count = len(SCENARIOS[name].returns)
    ends = []
    for seed in SEEDS:
        index = closes(paths_of(name, seed), "SPX", 0, count)
        ends.append(index[-1] / index[0] - 1)
        assert np.abs(np.diff(np.log(index))).max() < widest

    assert low < np.median(ends) < high


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_when_it_begins_and_ends_then_prices_go_on_without_a_break_and_the_history_is_the_seeds(name: str) -> None:
    paths, plain = paths_of(name), paths_of()
    last = len(SCENARIOS[name].returns)
    moves = np.diff(np.log(closes(paths, "SPX", -500, -LEAD_IN - 1)))
    opens = [paths.minutes("SPX", paths.anchor + one)[0] / paths.close("SPX", paths.anchor + one - 1) - 1 for one in (1, last, last + 1)]

    assert len(SCENARIOS[name].vix) == last
    assert moves == pytest.approx(np.diff(np.log(closes(plain, "SPX", -500, -LEAD_IN - 1))))
    assert np.abs(opens).max() < 0.05
    assert np.abs(np.diff(np.log(closes(paths, "VIX", last, last + 1)))).max() < 0.35


async def test_scenario_when_read_twice_or_from_the_middle_then_the_prices_are_the_same() -> None:
    at = datetime(2026, 11, 23, 18, 33, 21, tzinfo=UTC)
    asked = [underlying_instrument(symbol) for symbol in ("SPX", "VIX", "NVDA", "TLT")]
    straight = simulated.build(simulated.PARAMETERS(scenario="covid_2020"), clock=ManualClock(at))
    clock = ManualClock(at - timedelta(days=200))
    walked = simulated.build(simulated.PARAMETERS(scenario="covid_2020"), clock=clock)
    await walked.quotes(asked)
    clock.set(at)

    assert await walked.quotes(asked) == await straight.quotes(asked)
    assert "covid_2020" in straight.identity


def test_scenario_when_nobody_knows_it_then_a_sentence_names_those_there_are() -> None:
    with pytest.raises(UserError, match="no scenario 'crash'") as refused:
        simulated.build(simulated.PARAMETERS(scenario="crash"), clock=ManualClock(new_york(START, 12)))

    assert "feb_2018" in str(refused.value)


# --- what kind of market -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seeds() -> list[Paths]:
    return [paths_of(seed=seed) for seed in SEEDS]


def returns(paths: Paths, symbol: str) -> np.ndarray:
    return np.diff(np.log(paths.closes(symbol, 2, 3100)))


def test_returns_when_of_many_seeds_then_tails_are_fat_falls_are_larger_and_wild_days_come_together(seeds: list[Paths]) -> None:
    found = [returns(paths, "SPX") for paths in seeds]
    standard = [(one - one.mean()) / one.std() for one in found]

    assert 0.14 < np.median([one.std() for one in found]) * np.sqrt(252) < 0.21
    assert 6 < np.median([np.mean(one**4) for one in standard]) < 18
    assert -1.2 < np.median([np.mean(one**3) for one in standard]) < -0.2
    assert np.median([np.corrcoef(np.abs(one[:-1]), np.abs(one[1:]))[0, 1] for one in found]) > 0.15
    assert np.median([np.corrcoef(np.abs(one[:-21]), np.abs(one[21:]))[0, 1] for one in found]) > 0.05
    assert -0.16 < np.median([one.min() for one in found]) < -0.05


def test_vix_when_of_many_seeds_then_its_levels_persist_and_stand_above_what_follows(seeds: list[Paths]) -> None:
    levels = [paths.closes("VIX", 2, 3100) for paths in seeds]
    together = np.concatenate(levels)
    realised = [100 * np.sqrt(252 * np.convolve(returns(paths, "SPX") ** 2, np.full(21, 1 / 21), "valid")) for paths in seeds]
    premium = [np.median(level[: len(one)] - one) for level, one in zip(levels, realised, strict=True)]

    assert np.quantile(together, [0.05, 0.5, 0.95]) == pytest.approx([11.3, 17.8, 33.5], rel=0.2)
    assert np.median([np.corrcoef(np.log(one[:-1]), np.log(one[1:]))[0, 1] for one in levels]) > 0.96
    assert 3 < np.median(premium) < 6.5
    assert 45 < np.median([one.max() for one in levels]) < 95


def test_names_when_the_market_is_in_distress_then_they_move_together_much_more_than_in_calm(seeds: list[Paths]) -> None:
    symbols = [symbol for symbol, listed in LISTED.items() if listed.stock]
    calm, crash = [], []
    for paths in seeds:
        moves, vix = np.array([returns(paths, symbol) for symbol in symbols]), paths.closes("VIX", 2, 3099)
        pairs = np.triu_indices(len(symbols), 1)
        calm.append(np.corrcoef(moves[:, vix < 15])[pairs].mean())
        crash += [np.corrcoef(moves[:, vix > 35])[pairs].mean()] if np.sum(vix > 35) > 40 else []

    assert np.median(calm) == pytest.approx(0.16, abs=0.06)
    assert np.median(crash) == pytest.approx(0.55, abs=0.12)


def test_bonds_when_the_index_falls_in_distress_then_they_gain(seeds: list[Paths]) -> None:
    bonds, gold = [], []
    for paths in seeds:
        index, vix = returns(paths, "SPX"), paths.closes("VIX", 2, 3099)
        fall = (vix > 28) & (index < -0.015)
        bonds += returns(paths, "TLT")[fall].tolist()
        gold += returns(paths, "GLD")[fall].tolist()

    assert len(bonds) > 50
    assert np.mean(bonds) > 0.003
    assert np.mean(gold) > 0


@pytest.mark.parametrize("seed", SEEDS)
async def test_start_when_of_any_seed_then_vix_is_ordinary_and_its_curve_rises(seed: int) -> None:
    provider, _ = market(new_york(date(2026, 10, 30), 17), seed)

    found = await provider.quotes([underlying_instrument(symbol) for symbol in ("VIX9D", "VIX", "VIX3M")])

    assert found["VIX"].last == pytest.approx(16.5, abs=0.02)
    assert (found["VIX9D"].last or 0) < 16.5 < (found["VIX3M"].last or 0)
