"""The campaign in short, with every kind of death at least once; `python -m tests.blackbox` goes on for hundreds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.blackbox.campaign import Tally, one_home
from tests.blackbox.machine import Servers, connected


@pytest.mark.timeout(240)
async def test_j1_process_when_killed_again_and_again_under_load_then_nothing_is_lost_or_doubled(servers: Servers, tmp_path: Path) -> None:
    tally = Tally()

    async with connected(servers) as (exchange, warm):
        await one_home(tmp_path, exchange, warm, name="short", seed=1, lives=10, tally=tally, life_answers=5)

    assert tally.wrong == []
    assert tally.cycles >= 8
    assert tally.claims > 0


@pytest.mark.timeout(240)
async def test_checker_when_the_process_answers_before_its_appends_are_durable_then_it_notices(servers: Servers, tmp_path: Path) -> None:
    async with connected(servers) as (exchange, warm):
        campaign = await one_home(
            tmp_path, exchange, warm, name="planted", seed=1, lives=2, tally=Tally(), planted="commits_in_groups", only="at_the_wire"
        )

    found = campaign.checker.wrong
    assert {sentence.partition(":")[0] for sentence in found} & {"3", "15", "16"} or "restore a backup" in found[0], found
