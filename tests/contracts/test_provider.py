"""What every market-data provider owes the desk. A provider joins by a stage: itself, its clock, and what to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import plugins
from core.clock import ManualClock, exchange_date
from core.domain import listing
from core.domain.calendar import last_trade_at, session, settlement_at
from core.domain.instruments import Equity, Option, Right, underlying_instrument
from core.errors import UserError
from core.market.answers import checked_splits
from core.market.chain import Chain
from core.ports import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A provider on a clock that stands at its first instant."""

    provider: Provider
    clock: ManualClock
    symbol: str  # has a chain, bars and settlement values
    expiring: Option  # trades now
    settled_at: datetime  # by then its settlement value is published


def simulated(_: Path) -> Stage:
    from core.market.providers import simulated as market

    clock = ManualClock(datetime(2026, 11, 16, 15, 30, tzinfo=UTC))
    return Stage(
        provider=market.build(market.PARAMETERS(seed=7), clock=clock), clock=clock, symbol="SPX",
        expiring=listing.option("SPXW", date(2026, 11, 18), Right.PUT, Decimal(6000)), settled_at=datetime(2026, 11, 18, 22, tzinfo=UTC),
    )


def recorded(_: Path) -> Stage:
    from core.market.providers import recorded as market

    clock = ManualClock(datetime(2024, 5, 15, 19, 50, tzinfo=UTC))
    folder = Path(__file__).parents[1] / "refdata" / "recorded_small"
    return Stage(
        provider=market.build(market.PARAMETERS(data_dir=folder), clock=clock), clock=clock, symbol="SPX",
        expiring=listing.option("SPXW", date(2024, 5, 17), Right.PUT, Decimal(1000)), settled_at=datetime(2024, 5, 17, 20, 15, tzinfo=UTC),
    )


STAGES: dict[str, Callable[[Path], Stage]] = {"recorded": recorded, "simulated": simulated}


@pytest.fixture(params=sorted(STAGES))
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    yield STAGES[request.param](tmp_path)


async def whole_chain(stage: Stage, days: int = 60) -> Chain:
    today = exchange_date(stage.clock.now())
    return await stage.provider.chain(stage.symbol, first=today, last=today + timedelta(days=days))


def columns(chain: Chain) -> dict[str, Any]:
    return {field.name: getattr(chain, field.name) for field in fields(chain) if isinstance(getattr(chain, field.name), np.ndarray)}


@pytest.mark.parametrize("name", plugins.names("providers"))
def test_provider_when_loaded_then_it_has_a_name_help_and_parameters_with_defaults(name: str) -> None:
    module = plugins.load("providers", name)

    assert name == module.NAME
    assert module.__doc__
    assert module.PARAMETERS() == module.PARAMETERS()


def test_capabilities_when_read_then_name_and_label_say_what_the_source_is(stage: Stage) -> None:
    found = stage.provider.capabilities

    assert found.name in plugins.names("providers")
    assert found.label == found.label.upper() != ""
    assert found.symbols is None or stage.symbol in found.symbols


async def test_quotes_when_asked_then_each_is_stamped_and_no_later_than_now(stage: Stage) -> None:
    wanted = [underlying_instrument(stage.symbol), stage.expiring]

    found = await stage.provider.quotes(wanted)

    assert set(found) == {instrument.key for instrument in wanted}
    assert all(quote.key == key and quote.source for key, quote in found.items())
    assert all(quote.at.utcoffset() == timedelta(0) and quote.at <= stage.clock.now() for quote in found.values())
    assert found[stage.symbol].state.usable


async def test_quotes_when_the_source_cannot_quote_then_the_key_is_left_out(stage: Stage) -> None:
    gone = listing.option(stage.expiring.root, stage.expiring.expiry, Right.CALL, Decimal(1))

    assert await stage.provider.quotes([Equity(symbol="ZZZZZ"), gone]) == {}


async def test_chain_when_asked_then_columns_are_aligned_sorted_and_without_repeats(stage: Stage) -> None:
    chain = await whole_chain(stage)

    rows = list(zip(chain.expiry.tolist(), chain.root.tolist(), chain.right.tolist(), chain.strike_milli.tolist(), strict=True))
    assert len(rows) > 0
    assert {len(column) for column in columns(chain).values()} == {len(rows)}
    assert rows == sorted(set(rows))
    assert [columns(chain)[name].dtype for name in ("expiry", "strike_milli", "bid_size", "open_interest")] == [np.dtype(np.int64)] * 4
    assert [columns(chain)[name].dtype for name in ("bid", "ask", "vendor_iv")] == [np.dtype(np.float64)] * 3
    assert chain.right.dtype == np.int8


async def test_chain_when_asked_then_it_is_stamped_and_shows_nothing_that_no_longer_trades(stage: Stage) -> None:
    chain = await whole_chain(stage)

    ends = {last_trade_at(chain.option(row).series, chain.option(row).expiry) for row in range(0, len(chain), max(1, len(chain) // 200))}
    assert chain.symbol == stage.symbol
    assert chain.source
    assert chain.at <= stage.clock.now()
    assert min(ends) > chain.at
    assert chain.spot > 0


async def test_chain_when_asked_for_dates_then_only_those_and_all_listed_there(stage: Stage) -> None:
    today = exchange_date(stage.clock.now())
    first, last = today + timedelta(days=2), today + timedelta(days=30)

    chain = await stage.provider.chain(stage.symbol, first=first, last=last)
    listed = await stage.provider.expiries(stage.symbol)

    assert listed == tuple(sorted(set(listed)))
    assert min(listed) >= today
    assert chain.expiries() == tuple(day for day in listed if first <= day <= last)


async def test_chain_when_no_expiry_falls_in_the_dates_then_it_is_empty(stage: Stage) -> None:
    long_ago = exchange_date(stage.clock.now()) - timedelta(days=3000)

    chain = await stage.provider.chain(stage.symbol, first=long_ago, last=long_ago)

    assert len(chain) == 0
    assert chain.expiries() == ()


async def test_quote_when_compared_with_the_chain_then_they_are_the_same(stage: Stage) -> None:
    chain = await whole_chain(stage)
    rows = range(0, len(chain), max(1, len(chain) // 50))
    contracts = [chain.option(row) for row in rows]

    found = await stage.provider.quotes(contracts)

    assert [(found[one.key].bid, found[one.key].ask) for one in contracts] == [(chain.bid[row], chain.ask[row]) for row in rows]
    assert [found[one.key].ask_size for one in contracts] == [chain.quote(row).ask_size for row in rows]


async def test_market_when_asked_twice_at_one_instant_then_answers_are_the_same(stage: Stage) -> None:
    first, second = await whole_chain(stage), await whole_chain(stage)

    assert first.at == second.at
    assert all(np.array_equal(column, columns(second)[name], equal_nan=column.dtype.kind == "f") for name, column in columns(first).items())


async def test_symbol_when_unknown_then_a_sentence_says_so(stage: Stage) -> None:
    today = exchange_date(stage.clock.now())

    with pytest.raises(UserError, match="ZZZZZ"):
        await stage.provider.chain("ZZZZZ", first=today, last=today)
    with pytest.raises(UserError, match="ZZZZZ"):
        await stage.provider.expiries("ZZZZZ")
    with pytest.raises(UserError, match="ZZZZZ"):
        await stage.provider.bars("ZZZZZ", start=today, end=today)


async def test_bars_when_asked_past_today_then_only_completed_sessions_ascending(stage: Stage) -> None:
    today = exchange_date(stage.clock.now())

    bars = await stage.provider.bars(stage.symbol, start=today - timedelta(days=100), end=today + timedelta(days=100))

    closes = [day.close_at for day in map(session, bars.days) if day is not None]
    assert list(bars.days) == sorted(set(bars.days))
    assert len(closes) == len(bars.days) == len(bars.open) == len(bars.high) == len(bars.low) == len(bars.close)
    assert all(close <= stage.clock.now() for close in closes)
    assert not np.any(np.array(bars.low) > np.minimum(bars.open, bars.close))  # what a source does not have is NaN
    assert not np.any(np.array(bars.high) < np.maximum(bars.open, bars.close))
    assert bars.source


async def test_settlement_when_not_yet_decided_then_none_and_later_a_published_value(stage: Stage) -> None:
    contract = stage.expiring
    decided = settlement_at(contract.series, contract.expiry)

    before = await stage.provider.settlement(contract)
    stage.clock.set(decided - timedelta(seconds=1))
    just_before = await stage.provider.settlement(contract)
    stage.clock.set(stage.settled_at)
    after = await stage.provider.settlement(contract)

    assert before is None
    assert just_before is None
    assert after is not None
    assert (after.root, after.expiry) == (contract.root, contract.expiry)
    assert decided <= after.published_at <= stage.settled_at
    assert after.value > 0
    assert after.label


async def test_dividends_when_asked_then_within_the_dates_and_positive(stage: Stage) -> None:
    today = exchange_date(stage.clock.now())
    start, end = today - timedelta(days=400), today + timedelta(days=400)

    found = await stage.provider.dividends(stage.symbol, start=start, end=end)

    assert all(start <= one.ex_date <= end and one.amount > 0 for one in found)


async def test_splits_when_asked_then_within_the_dates(stage: Stage) -> None:
    today = exchange_date(stage.clock.now())
    start, end = today - timedelta(days=400), today + timedelta(days=400)

    found = await stage.provider.splits(stage.symbol, start=start, end=end)

    assert checked_splits(found, stage.symbol) == found
    assert all(start <= one.ex_date <= end for one in found)


async def test_rate_when_asked_then_a_plausible_decimal(stage: Stage) -> None:
    assert -0.02 < await stage.provider.rate(30) < 0.20


async def test_next_instant_when_stepped_to_then_the_market_has_moved_on(stage: Stage) -> None:
    before = await whole_chain(stage)

    step = await stage.provider.next_instant()
    assert step is not None
    assert step > stage.clock.now()
    stage.clock.set(step)
    after = await whole_chain(stage)

    assert before.at < after.at <= step
