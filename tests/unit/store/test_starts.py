"""Starts that died young are counted by their order in the file, whatever the clock says."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.store.starts import FILE_NAME, LONGEST_WAIT_SECONDS, Starts, deaths, deaths_of, wait_seconds

AT = datetime(2026, 11, 20, 15, tzinfo=UTC)


def begin(home: Path, *pids: int) -> list[int]:
    return [Starts(home, pid=pid).begin(AT) for pid in pids]


def test_j3_begin_when_the_starts_before_died_then_counts_them(tmp_path: Path) -> None:
    assert begin(tmp_path, 1, 2, 3, 1) == [0, 1, 2, 3]
    assert deaths_of(tmp_path) == 4


def test_j3_begin_when_one_before_lived_or_ended_well_then_counts_from_there(tmp_path: Path) -> None:
    begin(tmp_path, 1, 2)
    Starts(tmp_path, pid=2).lived(AT)
    assert begin(tmp_path, 3, 4) == [0, 1]
    Starts(tmp_path, pid=4).ended(AT)
    assert begin(tmp_path, 5) == [0]


def test_j3_begin_when_a_start_was_refused_then_it_is_neither_a_death_nor_a_sign_of_health(tmp_path: Path) -> None:
    begin(tmp_path, 1, 2, 3)
    Starts(tmp_path, pid=3).refused(AT)
    assert begin(tmp_path, 4) == [2]


def test_j3_deaths_when_lines_are_torn_or_foreign_then_passed_over() -> None:
    assert deaths(["", "2026-11-20T15:00:00+00:00 7 start", "2026-11-20T15:0", "\ufffd \ufffd", "x 9 lived", "x 8 start now"]) == 1


def test_j3_begin_when_the_file_grew_long_then_it_is_cut_and_the_count_goes_on(tmp_path: Path) -> None:
    begin(tmp_path, *range(1, 250))
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) < 220
    assert begin(tmp_path, 300)[0] >= 100
    assert stat.S_IMODE(os.stat(tmp_path / FILE_NAME).st_mode) == 0o600


def test_j3_begin_when_the_directory_cannot_be_written_then_starts_all_the_same(tmp_path: Path) -> None:
    assert begin(tmp_path / "missing", 1, 2) == [0, 0]


@pytest.mark.parametrize(
    ("died", "seconds"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, LONGEST_WAIT_SECONDS), (1000, LONGEST_WAIT_SECONDS)]
)
def test_j3_wait_when_more_died_then_longer_up_to_a_limit(died: int, seconds: float) -> None:
    assert wait_seconds(died, limit=5) == seconds
