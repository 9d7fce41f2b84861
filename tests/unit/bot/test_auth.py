"""The PIN: right, wrong, locked, kept as a hash."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bot.auth import LOCKED_SECONDS, TRIES, Pins, open_pins, pin_from


class Ticks:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def seconds(self) -> float:
        return self.at


def made(home: Path, ticks: Ticks) -> Pins:
    pins, shown = open_pins(home, ticks, make="471100", salt="00ff")
    assert shown == "471100"
    return pins


def test_pin_when_made_then_is_stored_as_a_hash_for_this_user_alone(tmp_path: Path) -> None:
    made(tmp_path, Ticks())
    stored = (tmp_path / "pin").read_text()
    assert "471100" not in stored
    assert stat.S_IMODE((tmp_path / "pin").stat().st_mode) == 0o600


def test_pin_when_there_is_one_then_it_is_not_shown_again_and_still_works(tmp_path: Path) -> None:
    made(tmp_path, Ticks())
    pins, shown = open_pins(tmp_path, Ticks(), make="999999", salt="11")
    assert shown is None
    assert pins.check("471100") is None
    assert pins.check("999999") is not None


def test_b9_pin_when_tried_too_often_then_locks_even_the_right_one_for_a_quarter_of_an_hour(tmp_path: Path) -> None:
    ticks = Ticks()
    pins = made(tmp_path, ticks)
    said = [pins.check("000000") for _ in range(TRIES)]
    assert "4 tries left" in str(said[0])
    assert "(1 try left)" in str(said[-2])
    assert "locked" in str(said[-1])
    assert "locked" in str(pins.check("471100"))
    assert "kill" in str(pins.check("471100"))
    ticks.at = LOCKED_SECONDS - 1
    assert pins.check("471100") is not None
    ticks.at = LOCKED_SECONDS + 1
    assert pins.check("471100") is None


def test_pin_when_right_in_between_then_wrong_tries_count_from_nothing(tmp_path: Path) -> None:
    pins = made(tmp_path, Ticks())
    for _ in range(TRIES - 1):
        pins.check("0000")
    assert pins.check("471100") is None
    assert "4 tries left" in str(pins.check("0000"))


def test_pin_when_given_by_the_environment_then_nothing_is_stored(tmp_path: Path) -> None:
    pins, shown = open_pins(tmp_path, Ticks(), make="1", salt="s", given="2468")
    assert shown is None
    assert pins.check("2468") is None
    assert not (tmp_path / "pin").exists()


def test_pin_when_the_environment_gives_no_pin_then_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="4 to 12 digits"):
        open_pins(tmp_path, Ticks(), make="1", salt="s", given="secret")


@pytest.mark.parametrize("content", [b"", b"{}", b"garbage", b'{"salt": "zz", "hash": 1}'])
def test_pin_when_the_file_is_damaged_then_lets_nobody_through(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pin").write_bytes(content)
    pins, _ = open_pins(tmp_path, Ticks(), make="471100", salt="s")
    assert pins.check("471100") is not None


def test_pin_from_when_drawn_then_is_six_digits() -> None:
    assert {len(pin_from(str(number))) for number in range(50)} == {6}
    assert all(pin_from(str(number)).isdigit() for number in range(50))
