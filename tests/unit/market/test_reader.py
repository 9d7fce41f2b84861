"""The reader: what a view holds, where it came from, and what is said of what is missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest

from core.clock import ManualClock
from core.domain.instruments import Cash, Equity, Index, Instrument, Option, Right
from core.domain.listing import option
from core.errors import Unavailable, UserError
from core.market.chain import Chain
from core.market.providers import recorded
from core.market.quote import Quote
from core.market.reader import Reader
from core.market.view import BarsNeed, ChainNeed, Needs, View
from core.ports import Bars, Dividend, Earnings, Headline, ProviderCapabilities, SettlementValue, Split
from core.runtime import SimLoop, SimRuntime

T = TypeVar("T")

SMALL = Path(__file__).parents[2] / "refdata" / "recorded_small"
FIRST = datetime(2024, 5, 15, 19, 45, tzinfo=UTC)
CHAIN = Needs(chains=frozenset({ChainNeed(symbol="SPX", first_dte=0, last_dte=60)}))
LISTED = option("SPXW", date(2024, 6, 21), Right.PUT, Decimal(950))


class Source:
    """The made-up recording behind a name of its own; may hang, fail, or lack symbols, and counts what it is asked."""

    def __init__(self, name: str, clock: ManualClock, *, symbols: frozenset[str] | None = None) -> None:
        self.name = name
        self.symbols = symbols
        self.fault: Exception | None = None
        self.hangs: SimRuntime | None = None
        self.asked: list[str] = []
        self._inner = recorded.build(recorded.Parameters(data_dir=SMALL), clock=clock)

    @property
    def capabilities(self) -> ProviderCapabilities:
        inner = self._inner.capabilities
        return dataclasses.replace(inner, name=self.name, label=self.name.upper(), symbols=self.symbols or inner.symbols)

    async def _give(self, question: str, answer: Awaitable[T]) -> T:
        self.asked.append(question)
        given = await answer
        if self.hangs is not None:
            await self.hangs.sleep(1e6)
        if self.fault is not None:
            raise self.fault
        return given

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        return await self._give("quotes", self._inner.quotes(instruments))

    async def chain(self, symbol: str, *, first: date, last: date) -> Chain:
        return await self._give("chain", self._inner.chain(symbol, first=first, last=last))

    async def expiries(self, symbol: str) -> tuple[date, ...]:
        return await self._give("expiries", self._inner.expiries(symbol))

    async def bars(self, symbol: str, *, start: date, end: date) -> Bars:
        return await self._give("bars", self._inner.bars(symbol, start=start, end=end))

    async def settlement(self, contract: Option) -> SettlementValue | None:
        return await self._give("settlement", self._inner.settlement(contract))

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        return await self._give("dividends", self._inner.dividends(symbol, start=start, end=end))

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        return await self._give("splits", self._inner.splits(symbol, start=start, end=end))

    async def earnings(self, symbol: str, *, start: date, end: date) -> tuple[Earnings, ...]:
        return await self._give("earnings", self._inner.earnings(symbol, start=start, end=end))

    async def headlines(self, symbol: str | None, *, since: datetime) -> tuple[Headline, ...]:
        return await self._give("headlines", self._inner.headlines(symbol, since=since))

    async def rate(self, days: int) -> float:
        return await self._give("rate", self._inner.rate(days))

    async def next_instant(self) -> datetime | None:
        return await self._give("next_instant", self._inner.next_instant())


class Bench:
    """A reader over sources, on a clock and a simulated runtime."""

    def __init__(self, *names: str, standing: bool = True, symbols: Mapping[str, frozenset[str]] | None = None) -> None:
        self.clock = ManualClock(FIRST, standing=standing)
        self.runtime = SimRuntime(SimLoop(1, FIRST), 1, clock=self.clock)
        self.sources = [Source(name, self.clock, symbols=(symbols or {}).get(name)) for name in names]
        self.reader = Reader(self.sources, clock=self.clock, runtime=self.runtime, timeout_seconds=5.0, keep_seconds=3.0)

    def view(self, needs: Needs, **options: Any) -> View:
        return self.runtime.run(self.reader.view(needs, **options))


def test_view_when_a_chain_is_needed_then_it_holds_chain_spot_rate_and_label() -> None:
    view = Bench("one").view(CHAIN)

    assert view.chain("SPX").expiries() == (date(2024, 5, 17), date(2024, 5, 28), date(2024, 6, 21))
    assert view.spot("SPX") == 1000.0
    assert view.rate == pytest.approx(0.0494, abs=0.0001)
    assert (view.at, view.session, view.label, dict(view.missing)) == (FIRST, date(2024, 5, 15), "ONE", {})


def test_view_when_an_option_is_in_a_loaded_chain_then_nobody_is_asked_for_its_quote() -> None:
    bench = Bench("one")

    view = bench.view(CHAIN | Needs(instruments=frozenset({LISTED})))

    assert view.quote(LISTED).at == FIRST
    assert bench.sources[0].asked.count("quotes") == 1  # of the underlying alone


def test_view_when_an_option_has_no_chain_then_it_is_quoted_with_its_underlying_and_dividends() -> None:
    stock = option("ZZZ", date(2024, 6, 21), Right.PUT, Decimal(50))
    bench = Bench("one")
    bench.clock.set(datetime(2024, 5, 16, 19, 50, tzinfo=UTC))

    view = bench.view(Needs(instruments=frozenset({stock})))

    assert view.mid(stock) > 0
    assert view.spot("ZZZ") == 50.4
    assert [paid.amount for paid in view.dividends["ZZZ"]] == [Decimal("0.31")]


def test_view_when_ranges_overlap_then_one_chain_covers_all_of_them() -> None:
    needs = Needs(chains=frozenset({ChainNeed(symbol="SPX", first_dte=0, last_dte=2), ChainNeed(symbol="SPX", first_dte=30, last_dte=40)}))
    bench = Bench("one")

    view = bench.view(needs)

    assert view.chain("SPX").expiries() == (date(2024, 5, 17), date(2024, 5, 28), date(2024, 6, 21))
    assert bench.sources[0].asked.count("chain") == 1


def test_view_when_bars_are_needed_then_the_last_completed_ones() -> None:
    view = Bench("one").view(Needs(bars=frozenset({BarsNeed(symbol="VIX", sessions=1)})))

    assert view.bars["VIX"].days == (date(2024, 5, 14),)
    assert len(view.bars["VIX"].high) == 1


def test_view_when_something_is_unknown_then_missing_says_why_and_nothing_raises() -> None:
    needs = Needs(
        instruments=frozenset({Equity(symbol="TSLA"), Cash(), option("SPXW", date(2024, 6, 21), Right.PUT, Decimal(951))}),
        chains=frozenset({ChainNeed(symbol="TSLA", first_dte=0, last_dte=60), ChainNeed(symbol="ZZZ", first_dte=0, last_dte=60)}),
        bars=frozenset({BarsNeed(symbol="ZZZ", sessions=5)}),
    )

    view = Bench("one").view(needs)

    assert view.missing["chain:TSLA"].startswith("no market data source knows TSLA")
    assert "begins on 2024-05-15" in view.missing["chain:ZZZ"]  # five minutes later
    assert "the recording has none" in view.missing["bars:ZZZ"]
    assert set(view.missing) == {
        "chain:TSLA", "chain:ZZZ", "bars:ZZZ", "dividends:TSLA", "TSLA", "ZZZ", "SPXW  240621P00951000",
    }
    with pytest.raises(Unavailable, match="no market data source knows TSLA"):
        view.chain("TSLA")


def test_view_when_the_first_source_is_unavailable_then_the_next_answers_and_the_label_says_so() -> None:
    bench = Bench("one", "two")
    bench.sources[0].fault = Unavailable("one", why="down for the night")

    view = bench.view(CHAIN)

    assert len(view.chain("SPX")) > 0
    assert view.spot("SPX") == 1000.0
    assert view.label == "TWO"


def test_view_when_a_source_does_not_know_the_symbol_then_it_is_not_asked() -> None:
    bench = Bench("one", "two", symbols={"one": frozenset({"ZZZ"})})

    bench.view(CHAIN)

    assert "chain" not in bench.sources[0].asked
    assert "chain" in bench.sources[1].asked


def test_view_when_a_source_hangs_then_the_time_limit_ends_it_and_the_reason_is_kept() -> None:
    bench = Bench("one")
    bench.sources[0].hangs = bench.runtime

    view = bench.view(CHAIN)

    assert "no answer within 5 seconds" in view.missing["chain:SPX"]
    assert "no answer within 5 seconds" in view.missing["SPX"]
    assert view.rate is None
    with pytest.raises(Unavailable):
        view.spot("SPX")
    assert bench.runtime.seconds() < 20  # chain and rate at once, then the quotes


def test_view_when_a_source_has_a_bug_then_it_is_raised_and_not_taken_for_missing_data() -> None:
    bench = Bench("one")
    bench.sources[0].fault = ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        bench.view(CHAIN)


def test_view_when_no_source_is_configured_then_all_is_missing() -> None:
    view = Bench().view(CHAIN)

    assert view.label == "NO MARKET DATA"
    assert set(view.missing) == {"chain:SPX", "SPX", "rate"}


def test_chain_when_the_clock_stands_then_it_is_read_once_for_that_instant() -> None:
    bench = Bench("one")

    bench.view(CHAIN)
    bench.view(CHAIN)
    read_at_the_instant = bench.sources[0].asked.count("chain")
    bench.clock.advance(timedelta(seconds=1))
    bench.view(CHAIN)

    assert read_at_the_instant == 1
    assert bench.sources[0].asked.count("chain") == 2


@pytest.mark.parametrize(("gone_seconds", "reads"), [(3, 1), (4, 2)])
def test_chain_when_the_clock_runs_then_it_is_kept_for_some_seconds(gone_seconds: int, reads: int) -> None:
    bench = Bench("one", standing=False)

    bench.view(CHAIN)
    bench.clock.advance(timedelta(seconds=gone_seconds))
    bench.view(CHAIN)

    assert bench.sources[0].asked.count("chain") == reads


def test_chain_when_a_fresh_view_is_asked_for_then_it_is_read_again() -> None:
    bench = Bench("one")

    bench.view(CHAIN)
    bench.view(CHAIN, fresh=True)

    assert bench.sources[0].asked.count("chain") == 2


def test_g1_quote_when_old_then_kept_with_its_age_for_the_gate_to_judge() -> None:
    bench = Bench("one")
    bench.clock.set(datetime(2024, 5, 20, 14, 0, tzinfo=UTC))  # Monday 10:00; the last snapshot was Friday 15:45

    view = bench.view(CHAIN | Needs(instruments=frozenset({LISTED})))

    assert view.age_seconds(LISTED) == (2 * 24 + 18.25) * 3600
    assert view.session_age_seconds(LISTED) == (30 + 30) * 60  # to 16:15, and from 9:30
    assert view.session_age_seconds(Index(symbol="SPX")) == 30 * 60  # its last print is Friday's close


def test_ages_when_sources_answer_or_not_then_each_says_when_and_why() -> None:
    bench = Bench("one", "two", symbols={"two": frozenset({"AAA"})})
    before = bench.reader.ages()

    bench.view(CHAIN)
    bench.clock.advance(timedelta(seconds=90))
    answered = bench.reader.ages()
    bench.sources[0].fault = OSError("connection reset")
    bench.view(CHAIN)
    failed = bench.reader.ages()

    assert [beat.answered_at for beat in before] == [None, None]
    assert (answered[0].age_seconds, answered[0].failure) == (90.0, None)
    assert (failed[0].age_seconds, failed[0].failure) == (90.0, "connection reset")


def test_ask_when_nobody_knows_the_symbol_then_a_sentence_for_the_person() -> None:
    bench = Bench("one")

    with pytest.raises(UserError, match="no market data source knows TSLA"):
        bench.runtime.run(bench.reader.expiries("TSLA"))


def test_next_instant_when_several_markets_are_recorded_then_the_earliest() -> None:
    bench = Bench("one", "two")

    assert bench.runtime.run(bench.reader.next_instant()) == datetime(2024, 5, 15, 19, 50, tzinfo=UTC)


def test_settlement_when_asked_through_the_reader_then_the_source_s_value() -> None:
    bench = Bench("one")
    bench.clock.set(datetime(2024, 5, 20, 14, 0, tzinfo=UTC))

    value = bench.runtime.run(bench.reader.settlement(option("SPX", date(2024, 5, 17), Right.PUT, Decimal(1000))))

    assert value is not None
    assert value.value == Decimal("1001.77")


def test_mark_when_read_through_a_view_then_from_its_own_chain() -> None:
    view = Bench("one").view(CHAIN)

    mark = view.mark(LISTED)

    assert mark.delta is not None
    assert -0.5 < mark.delta < 0
    assert view.mark(LISTED) is mark  # worked out once a view




def test_view_when_events_are_needed_then_splits_are_there_and_unknown_earnings_are_named() -> None:
    bench = Bench("one")

    view = bench.view(Needs(events=frozenset({"ZZZ"})))

    assert view.splits == {"ZZZ": ()}
    assert view.earnings == {}
    assert view.missing["earnings:ZZZ"] == "reports of ZZZ is not available: the recording has none"
    assert bench.view(CHAIN).splits == {}


def test_events_when_asked_for_by_themselves_then_the_source_answers() -> None:
    bench = Bench("one")

    splits = bench.runtime.run(bench.reader.splits("ZZZ", start=date(2024, 1, 1), end=date(2024, 12, 31)))

    assert splits == ()
    with pytest.raises(Unavailable, match="reports of ZZZ"):
        bench.runtime.run(bench.reader.earnings("ZZZ", start=date(2024, 1, 1), end=date(2024, 12, 31)))
    with pytest.raises(Unavailable, match="headlines"):
        bench.runtime.run(bench.reader.headlines(None, since=FIRST))
