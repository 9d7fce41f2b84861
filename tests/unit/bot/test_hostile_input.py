"""Presses, requests, records and cells that nobody meant: each is answered, refused or shown, none breaks the desk."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.__main__ import _handler
from bot.buttons import Buttons, hash_of
from bot.render import render, to_json
from core import plugins
from core.config import ConfigError, load_config
from core.errors import Corrupt, UserError
from core.logs import Level, Logs
from core.market.providers._sources import find_sources
from core.ports import Put
from core.reply import Column, Fact, Facts, Format, Reply, Table
from core.store.archive import MemoryArchive
from core.store.postgres.address import read_address
from tests.paper_desk import open_desk
from tests.unit.bot.test_session import session

HALF = "\ud800"  # half a character


async def test_b4_press_when_it_is_half_a_character_then_is_answered() -> None:
    talk = session(await open_desk())
    reply = await talk.press(HALF)
    assert not reply.ok
    assert not (await talk.message(HALF)).ok


async def test_a1_message_when_its_id_is_half_a_character_then_is_still_done_once() -> None:
    desk = await open_desk()
    talk = session(desk)
    first = await talk.hear("note once", HALF)
    assert first.reply.ok
    assert (await talk.hear("note once", HALF)) is first
    assert len(desk.fold.notes) == 1


@pytest.mark.parametrize("column", ["line", "person", "chats", "expires_at"])
@pytest.mark.parametrize("value", [None, 7, "never", "2026-11-20T15:00:00"])
async def test_h5_button_when_its_record_is_damaged_then_corrupt(column: str, value: Any) -> None:
    archive = MemoryArchive()
    row = {
        "hash": hash_of("t"), "line": "status", "person": "owner", "chats": "terminal", "card_hash": "", "ticket_id": "", "once": 0,
        "used_at": None, "expires_at": datetime(2026, 11, 20, tzinfo=UTC).isoformat(),
    }
    await archive.write([Put(table="buttons", row=row)])
    rows = archive._tables["buttons"]
    rows[(hash_of("t"),)] = {**rows[(hash_of("t"),)], column: value}
    buttons = Buttons(archive, (await open_desk()).runtime.entropy)
    if column != "expires_at" and isinstance(value, str):
        assert await buttons.find("t") is not None
        return
    with pytest.raises(Corrupt):
        await buttons.find("t")


@pytest.mark.parametrize("request_", [b"[]", b"7", b'"status"', b"null", b"[" * 100_000, b"\xff", b"", b"{"])
async def test_f9_socket_request_when_it_is_none_then_says_so(request_: bytes) -> None:
    answer = json.loads(await _handler(await open_desk(), None)(request_))
    assert answer == {"ok": False, "text": "[x] That request was not understood.", "json": None}


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1E+999999"), Decimal("1E-999999"), Decimal("sNaN"), Decimal("-Infinity"), 1e308, 5e-324, float("nan"), 10**60,
        datetime(2026, 11, 20), datetime.max.replace(tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("form", Format)
def test_a8_cell_when_it_is_absurd_then_is_shown_in_a_few_characters(value: Any, form: Format) -> None:
    fact = Facts(facts=(Fact(label="x", value=value, format=form, unit="USD", signed=True),))
    reply = Reply(blocks=(fact, Table(columns=(Column(title="x", format=form),), rows=((value,),))))
    assert len(render(reply)) < 300
    assert len(json.dumps(to_json(reply), allow_nan=False)) < 900


def test_a8_title_when_it_holds_unseen_characters_then_they_are_not_shown() -> None:
    columns = (Column(title="net\u202e\0", unit="\u200bUSD"), Column(title="x\x1b[2J"))
    for rows in ((("a", "b"),), (("a" * 90, "b" * 90),)):
        shown = render(Reply(blocks=(Table(columns=columns, rows=rows),)))
        assert not set(shown) & set("\u202e\0\u200b\x1b")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://desk:secretde0x10:5432/desk", "postgresql://h/desk:secret@127", "postgresql://desk;secretA127.0.0.1/desk",
        f"postgresql://desk:secret@h/{HALF}", "postgresql://u:secret@h:99999/desk", "postgresql://u:secret@[::1/desk",
    ],
)
def test_k2_address_when_it_is_mistyped_then_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(UserError) as caught:
        read_address(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["? [a, b]\n: 1\n", "settings: {start: 2026-02-30}\n", "[" * 3000, "{" * 3000, "a: !!int 9e999\n"])
def test_k1_file_when_yaml_gives_something_odd_then_is_refused_with_a_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.errors[0].startswith("config.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "market: {start: 9999-12-31}\n", "market: {start: 0001-01-01}\n", "market: {start: 2026-11-20 10:00:00}\n",
        "market: {history_sessions: 1}\n", "market: {history_sessions: 1000000000}\n",
    ],
)
def test_k1_market_when_it_cannot_be_then_is_a_mistake_of_the_file_and_the_desk_still_starts(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="market: "):
        load_config(path)


def test_manifest_when_it_is_no_text_then_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"manifest\.yaml is not valid"):
        find_sources(tmp_path, lambda text: None)


@pytest.mark.parametrize("word", ["[a]", "{a: b}", f"0x{'f' * 9_000}", "x" * 5_000, '"a\\0b"', "on", "7.5"])
@pytest.mark.parametrize("key", ["role", "file", "layout", "symbol", "time"])
def test_manifest_when_a_value_is_no_word_then_is_refused_with_a_sentence(key: str, word: str, tmp_path: Path) -> None:
    entry = {"role": "chain", "file": "a.csv", key: word}
    (tmp_path / "manifest.yaml").write_text("- {" + ", ".join(f"{name}: {value}" for name, value in entry.items()) + "}\n")
    with pytest.raises(UserError, match=f"{key} is no word") as caught:
        find_sources(tmp_path, lambda text: None)
    assert len(str(caught.value)) < 200


def test_record_when_a_field_is_absurd_then_is_written_in_a_few_characters() -> None:
    logs = Logs()
    logs.write(Level.INFO, "x", at=datetime.max.replace(tzinfo=UTC), first=datetime(1, 1, 1, tzinfo=UTC), amount=Decimal("1E+999999"))
    assert len(json.dumps(logs.records())) < 300


@pytest.mark.parametrize("name", plugins.names("commands"))
@pytest.mark.parametrize("word", ["x" * 3_900, "9" * 3_900, "�" * 3_900], ids=["letters", "digits", "no text"])
async def test_a8_line_when_a_word_of_it_is_endless_then_it_is_not_repeated_whole(name: str, word: str) -> None:
    talk = session(await open_desk())
    for line in (f"{name} {word}", f"{name} {word[:1900]} {word[:1900]}", f"{name} {word}=1", f"{word} {name}", f"{name} account={word}"):
        shown = render((await talk.hear(line)).reply)
        assert max(map(len, shown.split("\n"))) <= 500, line[:40]
