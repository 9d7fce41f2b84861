"""Putting a desk together: one home belongs to one market, and a clock moves only where there is one."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from core import app as under_test
from core.app import App, Options, open_app
from core.clock import ManualClock
from core.errors import Unavailable, UserError
from tests.paper_desk import open_desk

START = date(2026, 11, 20)


async def opened(home: Path, *, seed: int | None = None, start: date | None = START, config: Path | None = None) -> App:
    return await open_app(Options(home=home, seed=seed, start=start, config_path=config, background=False))


async def closed(app: App) -> None:
    await app.stop()
    await app.desk.runtime.aclose()


async def test_home_when_opened_on_another_market_then_refuses_and_changes_nothing(tmp_path: Path) -> None:
    first = await opened(tmp_path / "home", seed=1)
    await closed(first)
    with pytest.raises(UserError, match=r"belongs to the simulated market of seed 1.*Each market needs its own --home"):
        await opened(tmp_path / "home", seed=2)
    again = await opened(tmp_path / "home", seed=1)
    assert again.desk.fold.seq == first.desk.fold.seq
    await closed(again)


async def test_market_when_a_scenario_is_named_then_the_clock_starts_with_it_and_the_home_belongs_to_it(tmp_path: Path) -> None:
    first = await open_app(Options(home=tmp_path / "home", scenario="feb_2018", background=False))
    assert first.desk.now().replace(second=0, microsecond=0) == datetime(2026, 11, 2, 15, 0, tzinfo=UTC)
    await closed(first)
    with pytest.raises(UserError, match="scenario feb_2018, and this is the simulated market"):
        await opened(tmp_path / "home")
    with pytest.raises(UserError, match=r"no scenario 'feb'.*"):
        await open_app(Options(home=tmp_path / "other", scenario="feb", background=False))


async def test_home_when_the_configuration_is_wrong_then_still_opens_to_read(tmp_path: Path) -> None:
    await closed(await opened(tmp_path / "home", seed=2))
    bad = tmp_path / "bad.yaml"
    bad.write_text("market: {sped: 1}\n")
    app = await opened(tmp_path / "home", config=bad)
    assert app.config_errors
    await closed(app)


@pytest.mark.parametrize("day", [date(1900, 1, 2), date(2041, 5, 6)])
async def test_start_when_outside_the_calendar_then_says_so(tmp_path: Path, day: date) -> None:
    with pytest.raises(UserError, match="cannot start on .*1998 to 2040"):
        await opened(tmp_path / "home", start=day)


async def test_clock_when_sent_past_the_calendar_then_stays_where_it_is() -> None:
    desk = await open_desk()
    before = desk.now()
    with pytest.raises(UserError, match="calendar ends with 2040"):
        await App(desk=desk, home=None).step_clock(date(9999, 12, 31))
    assert desk.now() == before


async def test_j4_marks_when_the_disk_refuses_for_a_while_then_go_on_and_it_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk()
    clock = desk.runtime.clock
    assert isinstance(clock, ManualClock)
    told: list[str] = []
    desk.runtime.on_failure = lambda name, error: told.append(name)
    marked: list[bool] = []

    async def mark(_: object) -> None:
        marked.append(len(marked) < 2)
        if marked[-1]:
            raise Unavailable("storage", why="the disk is full")

    monkeypatch.setattr(under_test, "mark_session", mark)
    monkeypatch.setattr(under_test, "TICK_SECONDS", 0)
    app = App(desk=desk, home=None)
    await app.start()
    while len(marked) < 4:
        await asyncio.sleep(0)
    await desk.runtime.stop()
    assert marked[:4] == [True, True, False, False]
    assert told == ["marks and snapshots"]
