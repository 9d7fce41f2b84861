"""`python -m bot kill` on the shipped process, whatever else does not work: what is halted, what is cancelled, and what is proved."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.blackbox.machine import PIN, Desk, Home
from tests.blackbox.test_catalogue import card, started, submitted, told, until
from tests.blackbox.test_catalogue import small_disk as small_disk

PROVED = r"Proved: no order of the desk is working at"


async def working(home: Home) -> Desk:
    """A desk with one order that rests at the exchange."""
    desk = await started(home)
    assert "Sent and working" in await told(desk, await card(desk))
    return desk


async def statuses(home: Home) -> list[str]:
    """How the exchange has the desk's orders."""
    return [order["status"] for order in (await home.books())["orders"]]


def kinds(home: Home) -> list[str]:
    with sqlite3.connect(f"file:{home.data / 'desk.db'}?mode=ro", uri=True) as connection:
        return [row[0] for row in connection.execute("SELECT kind FROM event ORDER BY seq")]


def halts(home: Home) -> Path:
    return home.data / "HALT"


def fill_up(place: Path) -> Path:
    filler = place / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


def checked(log: Any) -> bool:
    return any(row.kind == "KillChecked" for row in log.rows)


async def test_kill_when_the_desk_runs_then_it_cancels_and_proves_it_to_whoever_listens(home: Home) -> None:
    desk = await working(home)
    code, said, errors = await home.run("kill")
    await desk.hears(PROVED)
    assert (code, errors) == (0, ""), said
    assert "Proved: no order of the desk is working at" in said
    assert await statuses(home) == ["cancelled"]
    assert "after the kill         no order works" in await told(desk)
    assert not halts(home).exists()


async def test_j4_kill_when_the_running_desk_hangs_then_the_halt_file_is_there_and_it_cancels_once_it_goes_on(home: Home) -> None:
    desk = await working(home)
    desk.signal(signal.SIGSTOP)
    try:
        code, said, errors = await home.run("kill")
    finally:
        there = halts(home).exists()
        before = await statuses(home)
        desk.signal(signal.SIGCONT)
    assert (code, there, errors) == (0, True, "")
    assert "no answer within" in said
    assert "A HALT file was written" in said and "until then cancel them at the broker" in said
    assert before == ["working"]
    await desk.hears(PROVED)
    assert await statuses(home) == ["cancelled"]
    assert "HALT" in await told(desk)


async def test_kill_when_no_desk_runs_then_it_opens_it_cancels_and_says_what_is_proved(home: Home) -> None:
    desk = await working(home)
    await desk.kill()
    code, said, errors = await home.run("kill")
    assert (code, errors) == (0, ""), said
    assert "Proved: no order of the desk is working at" in said
    assert await statuses(home) == ["cancelled"]
    assert kinds(home)[-1] == "KillChecked"
    again = await started(home)
    assert "after the kill         no order works" in await told(again)


async def test_f1_kill_when_no_desk_runs_and_the_broker_is_down_then_not_proved_and_the_next_start_goes_on(home: Home) -> None:
    desk = await working(home)
    await desk.kill()
    await home.faults(drop_request=1, only=["cancel"])
    code, said, _ = await home.run("kill")
    await home.faults()
    assert code == 1
    assert "NOT proved at" in said and "these may still fill" in said
    assert "What is named above may still fill." in said
    assert await statuses(home) == ["working"]
    again = await started(home)
    await again.hears(PROVED)
    assert await statuses(home) == ["cancelled"]


@pytest.mark.parametrize("wrong", ["accounts: [", "accounts: nobody\nmargin: 3\n", "\x00\xff"], ids=["broken", "senseless", "binary"])
async def test_k1_kill_when_the_configuration_is_wrong_then_halted_all_the_same(home: Home, wrong: str) -> None:
    desk = await working(home)
    await desk.kill()
    sound = (home.path / "config.yaml").read_text()
    (home.path / "config.yaml").write_bytes(wrong.encode("latin-1"))
    code, said, errors = await home.run("kill")
    assert "Traceback" not in said + errors
    assert halts(home).exists() or "HALTED" in said
    assert "may still fill" in said or "Working orders were not cancelled" in said
    assert code in (0, 1)
    (home.path / "config.yaml").write_text(sound)
    again = await started(home)
    await again.hears(PROVED)
    assert await statuses(home) == ["cancelled"]
    assert "HALT" in await told(again)


async def test_kill_when_the_configuration_cannot_be_read_or_the_market_data_is_gone_then_halted_all_the_same(home: Home) -> None:
    config = home.path / "config.yaml"
    config.unlink()
    config.mkdir()
    code, said, errors = await home.run("kill")
    assert code in (0, 1) and "Traceback" not in said + errors
    assert halts(home).exists() or "HALTED" in said
    config.rmdir()
    config.write_text("accounts: [{name: desk, broker: paper, id: P, env: paper, kind: reg_t, start_cash: 1000}]\n")
    other = home.path / "other"
    code, said, errors = await home.run("kill", "--data", str(home.path / "nowhere"), "--home", str(other))
    assert (code, errors) == (0, "")
    assert "is not there" in said and "A HALT file was written" in said
    assert halts(home).parent.exists()


async def test_h1_kill_when_the_disk_is_full_and_no_desk_runs_then_the_halt_file_is_there(home: Home, small_disk: Path) -> None:
    (home.path / "home").symlink_to(small_disk)
    desk = await working(home)
    await desk.kill()
    filler = fill_up(small_disk)
    code, said, errors = await home.run("kill")
    assert code == 0 and "Traceback" not in said + errors
    assert halts(home).exists()
    assert "disk is full" in said and "A HALT file was written" in said
    filler.unlink()
    again = await started(home)
    await again.hears(PROVED)
    assert await statuses(home) == ["cancelled"]


async def test_h1_kill_when_the_disk_fills_up_under_a_running_desk_then_cancelled_and_proved_once_there_is_space(
    home: Home, small_disk: Path
) -> None:
    (home.path / "home").symlink_to(small_disk)
    desk = await working(home)
    filler = fill_up(small_disk)
    _, said, _ = await home.run("kill")
    assert "HALTED" in said
    assert halts(home).exists()
    filler.unlink()
    await until(home, checked, seconds=60)
    await desk.hears(PROVED)
    assert await statuses(home) == ["cancelled"]


async def test_halt_file_when_made_by_hand_then_it_kills_and_its_removal_lifts_nothing(home: Home) -> None:
    desk = await working(home)
    (client_id,) = await submitted(home)
    os.close(os.open(halts(home), os.O_CREAT | os.O_WRONLY, 0o600))
    await desk.hears(PROVED)
    assert await statuses(home) == ["cancelled"]
    halts(home).unlink()
    assert "HALT  (HALT file: no reason given)" in await told(desk)
    assert f"Ended: {client_id} cancelled." in desk.text
    assert "Lifted" in await told(desk, f"unhalt pin={PIN}")
    assert "ACTIVE" in await told(desk)
