"""The recorded provider, on the made-up recording of tests/refdata and on the real one where it is there."""

from __future__ import annotations

import lzma
import math
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from core.clock import ManualClock
from core.domain.calendar import session
from core.domain.instruments import Equity, Index, Right
from core.domain.listing import option
from core.errors import Unavailable, UserError
from core.market.providers import recorded
from core.market.providers._layouts import recognise
from core.market.providers.recorded import Parameters, RecordedProvider

SMALL = Path(__file__).parents[2] / "refdata" / "recorded_small"
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = date(1990, 1, 1), date(2099, 1, 1)
SPX, VIX, ZZZ = Index(symbol="SPX"), Index(symbol="VIX"), Equity(symbol="ZZZ")


def new_york(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    """Summer time only: every test here is between April and July."""
    return datetime(year, month, day, hour + 4, minute, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGINNING)


@pytest.fixture
def small(clock: ManualClock) -> RecordedProvider:
    provider = recorded.build(Parameters(data_dir=SMALL), clock=clock)
    clock.set(provider.first_instant)
    return provider


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the made-up recording that a test may spoil."""
    copy = tmp_path / "recording"
    shutil.copytree(SMALL, copy)
    return copy


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compact")


@pytest.fixture
def real(real_data: Path, real_cache: Path, clock: ManualClock) -> RecordedProvider:
    provider = recorded.build(Parameters(data_dir=real_data, cache_dir=real_cache), clock=clock)
    clock.set(provider.first_instant)
    return provider


def edit(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def opened(folder: Path, **parameters: object) -> RecordedProvider:
    return recorded.build(Parameters(data_dir=folder, **parameters), clock=ManualClock(BEGINNING))  # type: ignore[arg-type]


# --- time ----------------------------------------------------------------------------------------------------------------


def test_first_instant_when_no_start_is_given_then_the_first_snapshot_of_the_largest_recording(small: RecordedProvider) -> None:
    assert small.first_instant == new_york(2024, 5, 15, 15, 45)


def test_first_instant_when_start_is_a_day_without_snapshot_then_the_next_one(clock: ManualClock) -> None:
    provider = recorded.build(Parameters(data_dir=SMALL, start=date(2024, 5, 18)), clock=clock)

    assert provider.first_instant.date() == date(2024, 5, 21)


def test_build_when_start_is_after_the_recording_then_says_when_it_ends(clock: ManualClock) -> None:
    with pytest.raises(UserError, match="ends on 2024-05-28"):
        recorded.build(Parameters(data_dir=SMALL, start=date(2024, 6, 1)), clock=clock)


async def test_snapshot_when_its_underlying_is_the_official_close_then_it_stands_after_the_close(
    small: RecordedProvider, clock: ManualClock
) -> None:
    clock.set(new_york(2024, 5, 21, 15, 59))
    before = (await small.quotes([SPX]))["SPX"]
    clock.set(new_york(2024, 5, 21, 16, 10))
    after = (await small.quotes([SPX]))["SPX"]

    assert before.mid == 1006.00  # the close of the day before; 1,010.00 was not known yet
    assert (after.mid, after.at) == (1010.00, new_york(2024, 5, 21, 16, 10))


async def test_snapshot_when_the_manifest_names_a_time_then_it_stands_there(small: RecordedProvider, clock: ManualClock) -> None:
    clock.set(new_york(2024, 5, 15, 15, 50))

    assert (await small.chain("ZZZ", first=EARLIEST, last=LATEST)).at == new_york(2024, 5, 15, 15, 50)


async def test_next_instant_when_stepped_to_the_end_then_snapshots_and_settlements_in_order(
    small: RecordedProvider, clock: ManualClock
) -> None:
    walked = []
    while (instant := await small.next_instant()) is not None:
        clock.set(instant)
        walked.append(instant)

    assert walked == [
        new_york(2024, 5, 15, 15, 50),  # ZZZ
        new_york(2024, 5, 16, 15, 45),
        new_york(2024, 5, 16, 15, 50),
        new_york(2024, 5, 17, 10, 30),  # SET published
        new_york(2024, 5, 17, 15, 45),
        new_york(2024, 5, 17, 16, 15),  # SPXW settles on the close
        new_york(2024, 5, 21, 16, 10),
        new_york(2024, 5, 24, 15, 45),
        new_york(2024, 5, 28, 15, 45),
        new_york(2024, 5, 28, 16, 15),
    ]


async def test_next_snapshot_when_a_settlement_comes_first_then_passes_it(small: RecordedProvider, clock: ManualClock) -> None:
    clock.set(new_york(2024, 5, 17, 15, 45))

    assert small.next_snapshot() == new_york(2024, 5, 21, 16, 10)
    assert await small.next_instant() == new_york(2024, 5, 17, 16, 15)


def test_sessions_when_one_has_no_snapshot_then_it_is_listed_and_the_repeat_of_a_holiday_dropped(small: RecordedProvider) -> None:
    assert small.missing_sessions == (date(2024, 5, 20), date(2024, 5, 22), date(2024, 5, 23))
    assert [head.day for head in small.dropped_repeats] == [date(2024, 5, 27)]
    assert any("2024-05-27" in note for note in small.notes)


def test_label_when_the_clock_moves_then_it_carries_the_recorded_day(small: RecordedProvider, clock: ManualClock) -> None:
    clock.set(new_york(2024, 5, 24, 12))

    assert small.capabilities.label == "RECORDED 2024-05-24"


# --- nothing later than now ----------------------------------------------------------------------------------------------


async def test_bars_when_the_session_is_not_over_then_its_bar_is_not_there(small: RecordedProvider, clock: ManualClock) -> None:
    clock.set(new_york(2024, 5, 16, 16, 14))
    before = await small.bars("SPX", start=EARLIEST, end=LATEST)
    clock.set(new_york(2024, 5, 16, 16, 15))
    after = await small.bars("SPX", start=EARLIEST, end=LATEST)

    assert (before.days[-1], before.close[-1]) == (date(2024, 5, 15), 1001.25)
    assert (after.days[-1], after.close[-1]) == (date(2024, 5, 16), 1003.10)


async def test_bars_when_the_file_has_closes_only_then_the_rest_is_unknown(small: RecordedProvider) -> None:
    bars = await small.bars("SPX", start=date(2024, 5, 13), end=date(2024, 5, 13))

    assert bars.close == (996.0,)
    assert all(math.isnan(price) for price in (*bars.open, *bars.high, *bars.low))


async def test_quote_when_a_daily_series_has_no_snapshot_then_the_open_by_day_and_the_close_in_the_evening(
    small: RecordedProvider, clock: ManualClock
) -> None:
    by_day = (await small.quotes([VIX]))["VIX"]
    clock.set(new_york(2024, 5, 15, 16, 15))
    in_the_evening = (await small.quotes([VIX]))["VIX"]

    assert (by_day.mid, by_day.at) == (14.2, new_york(2024, 5, 15, 9, 30))
    assert (in_the_evening.mid, in_the_evening.at) == (14.4, new_york(2024, 5, 15, 16))


async def test_dividends_when_one_has_not_gone_ex_then_it_is_not_known(small: RecordedProvider, clock: ManualClock) -> None:
    before = await small.dividends("ZZZ", start=EARLIEST, end=LATEST)
    clock.set(new_york(2024, 5, 16, 9, 30))
    after = await small.dividends("ZZZ", start=EARLIEST, end=LATEST)

    assert before == ()
    assert [(paid.ex_date, paid.amount) for paid in after] == [(date(2024, 5, 16), Decimal("0.31"))]


async def test_rate_when_todays_curve_is_not_published_then_the_one_before(small: RecordedProvider, clock: ManualClock) -> None:
    on_the_day = await small.rate(60)
    clock.set(new_york(2024, 5, 16, 10))
    day_after = await small.rate(60)

    assert on_the_day == pytest.approx(2 * math.log1p(0.025))
    assert day_after == pytest.approx(2 * math.log1p(0.026))


async def test_rate_when_the_last_curve_is_old_then_put_call_parity_gives_it(small: RecordedProvider, clock: ManualClock) -> None:
    clock.set(new_york(2024, 5, 28, 16))

    assert await small.rate(30) == pytest.approx(0.05, abs=0.015)  # the chain was made with 5 %


@pytest.mark.parametrize("hours", range(0, 24 * 16, 5))
async def test_any_datum_when_the_clock_stands_anywhere_then_none_is_later(small: RecordedProvider, clock: ManualClock, hours: int) -> None:
    now = small.first_instant + timedelta(hours=hours)
    clock.set(now)

    await assert_nothing_later(small, now, symbols=("SPX", "ZZZ"), bars=("SPX", "VIX"))


async def assert_nothing_later(provider: RecordedProvider, now: datetime, *, symbols: tuple[str, ...], bars: tuple[str, ...]) -> None:
    today = (now - timedelta(hours=4)).date()
    for symbol in symbols:
        try:
            assert (await provider.chain(symbol, first=EARLIEST, last=LATEST)).at <= now
        except Unavailable as error:
            assert "begins" in str(error)
    for quote in (await provider.quotes([SPX, VIX, ZZZ])).values():
        assert quote.at <= now
    for symbol in bars:
        days = (await provider.bars(symbol, start=EARLIEST, end=LATEST)).days
        last = session(days[-1])
        assert last is not None
        assert last.close_at + timedelta(minutes=15) <= now
    assert all(paid.ex_date <= today for paid in await provider.dividends("ZZZ", start=EARLIEST, end=LATEST))
    for root, expiry in (("SPX", date(2024, 5, 17)), ("SPXW", date(2024, 5, 17)), ("SPXW", date(2024, 5, 28))):
        value = await provider.settlement(option(root, expiry, Right.PUT, Decimal(1000)))
        assert value is None or value.published_at <= now


# --- settlement ----------------------------------------------------------------------------------------------------------


async def test_settlement_when_pm_settled_then_the_official_close_once_published(small: RecordedProvider, clock: ManualClock) -> None:
    contract = option("SPXW", date(2024, 5, 17), Right.PUT, Decimal(1000))
    clock.set(new_york(2024, 5, 17, 16, 14))
    pending = await small.settlement(contract)
    clock.set(new_york(2024, 5, 17, 16, 15))
    settled = await small.settlement(contract)

    assert pending is None
    assert settled is not None
    assert (settled.value, settled.label, settled.published_at) == (Decimal("1002.40"), "closing index", new_york(2024, 5, 17, 16, 15))


async def test_settlement_when_am_settled_and_published_then_that_value_and_not_the_close(
    small: RecordedProvider, clock: ManualClock
) -> None:
    contract = option("SPX", date(2024, 5, 17), Right.PUT, Decimal(1000))
    clock.set(new_york(2024, 5, 17, 10, 29))
    pending = await small.settlement(contract)
    clock.set(new_york(2024, 5, 20, 10))
    settled = await small.settlement(contract)

    assert pending is None
    assert settled is not None
    assert (settled.value, settled.label) == (Decimal("1001.77"), "SET")


async def test_settlement_when_am_settled_and_never_published_then_pending_for_good(small: RecordedProvider, clock: ManualClock) -> None:
    clock.set(datetime(2024, 9, 1, tzinfo=UTC))

    assert await small.settlement(option("SPX", date(2024, 6, 21), Right.PUT, Decimal(1000))) is None


# --- chains and quotes ---------------------------------------------------------------------------------------------------


async def test_chain_when_read_then_sorted_narrowed_and_priced_as_in_the_file(small: RecordedProvider) -> None:
    chain = await small.chain("SPX", first=date(2024, 5, 17), last=date(2024, 5, 28))
    row = chain.row(option("SPXW", date(2024, 5, 17), Right.CALL, Decimal(900)))

    assert chain.expiries() == (date(2024, 5, 17), date(2024, 5, 28))
    keys = list(zip(chain.expiry, chain.root, chain.right, chain.strike_milli, strict=True))
    assert keys == sorted(keys)
    assert row is not None
    assert (chain.bid[row], chain.ask[row], chain.open_interest[row], chain.bid_size[row]) == (99.15, 101.15, 300, -1)


async def test_quotes_when_a_contract_is_not_listed_then_its_key_is_left_out(small: RecordedProvider) -> None:
    listed = option("SPXW", date(2024, 6, 21), Right.PUT, Decimal(950))
    unlisted = option("SPXW", date(2024, 6, 21), Right.PUT, Decimal(951))

    found = await small.quotes([listed, unlisted, Equity(symbol="QQQQ")])

    assert list(found) == [listed.key]
    assert found[listed.key].at == small.first_instant


async def test_chain_when_trading_in_a_series_ended_before_the_snapshot_then_it_is_left_out(folder: Path) -> None:
    edit(folder / "manifest.yaml", lambda lines: [line.replace("chain.csv}", 'chain.csv, time: "16:05"}') for line in lines])
    clock = ManualClock(BEGINNING)
    provider = recorded.build(Parameters(data_dir=folder), clock=clock)
    clock.set(new_york(2024, 5, 17, 16, 5))

    chain = await provider.chain("SPX", first=EARLIEST, last=LATEST)

    assert chain.expiries() == (date(2024, 5, 28), date(2024, 6, 21))
    assert await provider.expiries("SPX") == chain.expiries()


async def test_chain_when_the_symbol_is_unknown_then_a_sentence_names_what_there_is(small: RecordedProvider) -> None:
    with pytest.raises(UserError, match="has no TSLA.*SPX, ZZZ"):
        await small.chain("TSLA", first=EARLIEST, last=LATEST)


async def test_chain_when_its_recording_has_not_begun_then_unavailable(small: RecordedProvider, clock: ManualClock) -> None:
    with pytest.raises(Unavailable, match="begins on 2024-05-15"):
        await small.chain("ZZZ", first=EARLIEST, last=LATEST)


async def test_expiries_when_some_are_past_then_only_those_from_today_on(small: RecordedProvider, clock: ManualClock) -> None:
    clock.set(new_york(2024, 5, 20, 12))

    assert await small.expiries("SPX") == (date(2024, 5, 28), date(2024, 6, 21))


def test_spot_when_the_file_has_none_then_put_call_parity_gives_it(folder: Path) -> None:
    edit(folder / "invented_spx_chain.csv", lambda lines: [",".join(line.split(",")[:1] + line.split(",")[2:]) for line in lines])

    provider = opened(folder)

    assert provider._snapshots[0].head.spot == pytest.approx(1000, abs=0.5)


async def test_insane_quotes_when_in_the_file_then_kept_and_judged_not_usable(folder: Path) -> None:
    insane = ["-1.00,2.00", "5.00,4.00", "0.00,0.00", ",1.00", "inf,inf", "1e308,1e308"]

    def spoil(lines: list[str]) -> list[str]:
        spoilt = [",".join([*line.split(",")[:7], prices, *line.split(",")[9:]]) for line, prices in zip(lines[1:7], insane, strict=True)]
        return [lines[0], *spoilt, *lines[7:]]

    edit(folder / "invented_spx_chain.csv", spoil)
    clock = ManualClock(BEGINNING)
    provider = recorded.build(Parameters(data_dir=folder), clock=clock)
    clock.set(provider.first_instant)
    chain = await provider.chain("SPX", first=EARLIEST, last=date(2024, 5, 17))
    first_six = (chain.root == "SPX") & (chain.right == 1) & (chain.strike_milli < 1_050_000)

    assert not chain.usable[first_six].any()
    assert chain.usable[~first_six].all()
    assert np.isnan(chain.mid[first_six]).all()


# --- files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        (0, "25/04/2019", r"line 5: stamp '25/04/2019' is no date"),
        (4, "straddle", r"line 5: right 'straddle' is neither call nor put"),
        (5, "2024-13-17", r"line 5: expiry '2024-13-17' is no expiry date"),
        (6, "many", r"line 5: strike 'many' is no number"),
        (6, "", r"line 5: strike \(empty\) is no possible strike"),
        (6, "-900", r"line 5: strike '-900.0' is no possible strike"),
        (7, "n.q.", r"line 5: bid 'n.q.' is no number"),
        (6, "900.0", r"line 5: the same contract twice"),
    ],
)
def test_corrupt_row_when_read_then_file_line_and_fault_are_named(folder: Path, column: int, cell: str, said: str) -> None:
    def spoil(lines: list[str]) -> list[str]:
        cells = lines[4].split(",")
        cells[column] = cell
        return [*lines[:4], ",".join(cells), *lines[5:]]

    edit(folder / "invented_spx_chain.csv", spoil)

    with pytest.raises(UserError, match=f"invented_spx_chain.csv, {said}"):
        opened(folder)


@pytest.mark.parametrize("line", [2, 10])
def test_row_when_too_long_then_the_line_is_named(folder: Path, line: int) -> None:
    place = line - 1
    edit(folder / "invented_spx_chain.csv", lambda lines: [*lines[:place], lines[place] + ",1,2,3", *lines[line:]])

    with pytest.raises(UserError, match=rf"invented_spx_chain.csv.*line {line}"):
        opened(folder)


def test_cut_off_archive_when_read_then_said_so(folder: Path) -> None:
    packed = lzma.compress((folder / "invented_spx_chain.csv").read_bytes())
    (folder / "invented_spx_chain.csv.xz").write_bytes(packed[: len(packed) // 2])
    (folder / "invented_spx_chain.csv").unlink()
    edit(folder / "manifest.yaml", lambda lines: [line.replace("spx_chain.csv", "spx_chain.csv.xz") for line in lines])

    with pytest.raises(UserError, match=r"invented_spx_chain.csv.xz cannot be read"):
        opened(folder)


def test_close_of_zero_when_read_then_refused(folder: Path) -> None:
    edit(folder / "invented_spx_close.csv", lambda lines: [*lines[:3], "2024-05-15,0", *lines[4:]])

    with pytest.raises(UserError, match=r"invented_spx_close.csv, line 4: close '0.0' is no possible price"):
        opened(folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("- {role: chain, file: nowhere.csv}", "there is no file nowhere.csv"),
        ("- {role: chain, file: ../../secret.csv}", "outside the folder"),
        ("- {role: chain, file: invented_vix.csv}", "does not serve as chain"),
        ("- {role: chart, file: invented_vix.csv}", "has the role 'chart'"),
        ("- {role: vix, file: invented_vix.csv, colour: red}", "colour, which means nothing here"),
        ("- {role: chain, file: invented_spx_chain.csv, time: noon}", "'noon' is no exchange time"),
        ("- just text", "needs a role and a file"),
        ("- [unclosed", "is not valid"),
    ],
)
def test_manifest_when_wrong_then_the_entry_and_the_fault_are_named(folder: Path, line: str, said: str) -> None:
    (folder / "manifest.yaml").write_text(line + "\n")

    with pytest.raises(UserError, match=said):
        opened(folder)


def test_manifest_time_when_not_quoted_then_yaml_s_minutes_are_understood(folder: Path) -> None:
    (folder / "manifest.yaml").write_text("- {role: chain, file: invented_spx_chain.csv, time: 15:30}\n")

    assert opened(folder).first_instant == new_york(2024, 5, 15, 15, 30)


def test_folder_when_without_manifest_then_files_are_known_by_their_headers(folder: Path) -> None:
    (folder / "manifest.yaml").unlink()
    (folder / "vix_daily.csv").write_text((folder / "invented_vix.csv").read_text())
    (folder / "invented_vix.csv").unlink()
    (folder / "shopping.csv").write_text("item,price\nmilk,2\n")

    provider = opened(folder)

    assert provider.capabilities.symbols == {"SPX", "ZZZ", "VIX"}
    assert any(note.startswith("shopping.csv is not used") for note in provider.notes)


def test_manifest_when_a_file_lies_in_a_subfolder_then_a_change_of_it_is_noticed(folder: Path, tmp_path: Path) -> None:
    (folder / "chains").mkdir()
    chain = (folder / "invented_spx_chain.csv").rename(folder / "chains" / "spx.csv")
    (folder / "manifest.yaml").write_text("- {role: chain, file: chains/spx.csv}\n")
    before = opened(folder, cache_dir=tmp_path / "cache").first_instant
    edit(chain, lambda lines: [line for line in lines if not line.startswith("2024-05-15")])

    assert before.date() == date(2024, 5, 15)
    assert opened(folder, cache_dir=tmp_path / "cache").first_instant.date() == date(2024, 5, 16)


def test_folder_when_it_holds_no_chain_then_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no option chain"):
        opened(tmp_path)


def test_folder_when_missing_then_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        opened(tmp_path / "nowhere")


def test_build_when_no_folder_is_named_then_the_option_is_shown(clock: ManualClock) -> None:
    with pytest.raises(UserError, match="--data DIR"):
        recorded.build(Parameters(), clock=clock)


def test_adjusted_series_when_in_a_chain_then_left_out_and_counted(folder: Path) -> None:
    edit(folder / "invented_zzz_chain.csv", lambda lines: [lines[0], lines[1].replace("ZZZ2024", "ZZZ12024"), *lines[2:]])

    provider = opened(folder)

    assert any("1 rows of ZZZ1 left out" in note for note in provider.notes)


def test_symbols_when_renamed_then_the_desk_s_name_is_used(folder: Path) -> None:
    provider = opened(folder, symbols={"zzz": "AAA"})

    assert "AAA" in (provider.capabilities.symbols or ())


@pytest.mark.parametrize(
    ("header", "role"),
    [
        ("quote_date,underlying_last,contract,root,type,expiration,strike,last,bid,ask,open_interest,implied_vol,delta,gamma", "chain"),
        ("underlying,underlying_last,optionroot,type,expiration,quotedate,strike,last,bid,ask,openinterest,impliedvol,delta", "chain"),
        ("quote_datetime,option_id,symbol,strike,expiration,option_type,spot_price,bid,ask,price,delta,open_interest", "chain"),
        ("Date,SP500", "bars"),
        ("Date,Open,High,Low,Close,Adj Close,Volume", "bars"),
        ("DATE,OPEN,HIGH,LOW,CLOSE", "bars"),
        ("symbol,date,close,high,low,open,volume,adjClose,divCash,splitFactor", "bars"),
        ("Time Period,1month,3month,6month,1year", "rates"),
        ("root,expiry,value", "settlements"),
        ("symbol,ex_date,amount", "dividends"),
        ("text,intent,split", None),
        ("date,event,kind", None),
        ("Date,AAPL,AMD,BAC", None),  # a table of adjusted prices knows later splits
    ],
)
def test_layout_when_told_by_its_header_then_the_role(header: str, role: str | None) -> None:
    layout = recognise(header.split(","))

    assert (None if layout is None else layout.role) == role


# --- the compact form ----------------------------------------------------------------------------------------------------


async def test_compact_form_when_it_is_there_then_the_same_chain_without_reading_the_file(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    cache = tmp_path / "cache"
    clock = ManualClock(BEGINNING)
    first = recorded.build(Parameters(data_dir=folder, cache_dir=cache), clock=clock, note=said.append)
    told_once = len(said)
    second = recorded.build(Parameters(data_dir=folder, cache_dir=cache), clock=clock, note=said.append)
    clock.set(first.first_instant)

    ours, theirs = [await each.chain("SPX", first=EARLIEST, last=LATEST) for each in (first, second)]

    assert told_once > 0
    assert len(said) == told_once
    assert np.array_equal(ours.bid, theirs.bid)
    assert list(ours.root) == list(theirs.root)


def test_compact_form_when_a_file_changes_then_it_is_read_again(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    opened(folder, cache_dir=cache)
    edit(folder / "invented_spx_chain.csv", lambda lines: [line for line in lines if not line.startswith("2024-05-15")])

    assert opened(folder, cache_dir=cache).first_instant.date() == date(2024, 5, 16)


async def test_compact_form_when_damaged_then_says_what_to_delete(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    opened(folder, cache_dir=cache)
    clock = ManualClock(BEGINNING)
    for stored in cache.rglob("SPX *.npz"):
        stored.write_bytes(stored.read_bytes()[:100])
    provider = recorded.build(Parameters(data_dir=folder, cache_dir=cache), clock=clock)
    clock.set(provider.first_instant)

    with pytest.raises(UserError, match="damaged.*Delete the folder"):
        await provider.chain("SPX", first=EARLIEST, last=LATEST)


@pytest.mark.parametrize(("pattern", "old", "new"), [("index.json", b'"SPX"', b'"SPY"'), ("bars *.npz", b"close", b"clone")])
def test_compact_form_when_it_is_not_what_was_written_then_nothing_of_it_is_believed(
    pattern: str, old: bytes, new: bytes, folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    opened(folder, cache_dir=cache)
    for stored in cache.rglob(pattern):
        stored.write_bytes(stored.read_bytes().replace(old, new))

    with pytest.raises(UserError, match="is not what was written.*Delete the folder"):
        opened(folder, cache_dir=cache)


def test_data_folder_when_read_then_nothing_is_written_to_it(folder: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in folder.rglob("*"))

    opened(folder, cache_dir=tmp_path / "cache")

    assert sorted(path.name for path in folder.rglob("*")) == before


# --- real data -----------------------------------------------------------------------------------------------------------


def test_real_spx_when_opened_then_56_of_58_snapshots_and_five_sessions_missing(real: RecordedProvider) -> None:
    spx = real._by_symbol["SPX"]

    assert len(spx) == 56
    assert [head.day for head in real.dropped_repeats] == [date(2019, 5, 27), date(2019, 7, 4)]
    assert sum(each.head.rows for each in spx) + sum(head.rows for head in real.dropped_repeats) == 809_782
    assert real.missing_sessions == (date(2019, 5, 10), date(2019, 5, 17), date(2019, 6, 14), date(2019, 6, 17), date(2019, 6, 18))
    assert real.first_instant == new_york(2019, 4, 25, 15, 45)


def test_real_spx_when_a_snapshot_shows_the_official_close_then_it_is_dated_after_it(real: RecordedProvider) -> None:
    late = [each.at.date() for each in real._by_symbol["SPX"] if each.at.time() == time(20, 10)]

    assert late == [date(2019, 4, 26), date(2019, 4, 29), date(2019, 5, 9), date(2019, 5, 20), date(2019, 5, 21), date(2019, 5, 24)]
    assert next(each.at for each in real._by_symbol["SPX"] if each.head.day == date(2019, 7, 3)) == new_york(2019, 7, 3, 13, 10)


async def test_real_am_contract_when_its_third_friday_has_passed_then_still_pending(real: RecordedProvider, clock: ManualClock) -> None:
    clock.set(new_york(2019, 7, 22, 15, 45))

    morning = await real.settlement(option("SPX", date(2019, 5, 17), Right.PUT, Decimal(2800)))
    evening = await real.settlement(option("SPXW", date(2019, 5, 17), Right.PUT, Decimal(2800)))

    assert morning is None
    assert evening is not None
    assert evening.value == Decimal("2859.53")


async def test_real_spx_when_stepped_through_then_expiries_in_missing_sessions_settle(real: RecordedProvider, clock: ManualClock) -> None:
    clock.set(new_york(2019, 5, 9, 16, 10))

    assert await real.next_instant() == new_york(2019, 5, 10, 16, 15)


@pytest.mark.parametrize("step", range(24))
async def test_real_data_when_the_clock_stands_anywhere_then_nothing_is_later(
    real: RecordedProvider, clock: ManualClock, step: int
) -> None:
    now = real.first_instant + timedelta(hours=89 * step, minutes=37 * step)
    clock.set(now)

    await assert_nothing_later(real, now, symbols=("SPX", "AAPL"), bars=("SPX", "VIX"))


async def test_real_aapl_when_read_then_saturday_expiries_and_split_strikes_survive(real: RecordedProvider, clock: ManualClock) -> None:
    clock.set(datetime(2019, 4, 26, tzinfo=UTC))

    chain = await real.chain("AAPL", first=date(2015, 1, 17), last=date(2015, 1, 17))

    assert 27.86 in chain.strike
    assert chain.option(0).key.startswith("AAPL  150117P")


def test_status_when_the_compact_form_is_there_then_pandas_is_not_imported(folder: Path, tmp_path: Path) -> None:
    import subprocess

    cache = tmp_path / "cache"
    opened(folder, cache_dir=cache)
    script = (
        "import sys, pathlib, datetime; from core.clock import ManualClock; from core.market.providers import recorded;"
        "clock = ManualClock(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC));"
        "recorded.build(recorded.Parameters(data_dir=pathlib.Path(sys.argv[1]), cache_dir=pathlib.Path(sys.argv[2])), clock=clock);"
        "sys.exit(bool({'pandas', 'scipy', 'yaml'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", script, str(folder), str(cache)], cwd=Path(__file__).parents[3], check=False)

    assert done.returncode == 0
