"""Values as text: fixed decimals, signs, units; no figure is ever cut."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.buttons import Button
from bot.render import WIDTH, clean, render, to_json, value_text
from core.reply import (
    Action,
    Axis,
    Cell,
    Chart,
    Column,
    Fact,
    Facts,
    File,
    Format,
    Notice,
    Panel,
    Reply,
    Series,
    Steps,
    Table,
    Text,
    Tone,
)

AT = datetime(2026, 11, 20, 15, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "form", "unit", "signed", "text"),
    [
        (Decimal("1240"), Format.MONEY, "USD", False, "1,240.00 USD"),
        (Decimal("1240.005"), Format.MONEY, "USD", True, "+1,240.00 USD"),
        (Decimal("-0.001"), Format.MONEY, "", True, "+0.00"),
        (Decimal("1.2"), Format.PRICE, "", False, "1.20"),
        (Decimal("1.2125"), Format.PRICE, "", False, "1.2125"),
        (0.475, Format.PRICE, "", False, "0.475"),
        (Decimal("-1234567.891"), Format.NUMBER, "", False, "-1,234,567.9"),
        (0.162, Format.GREEK, "", True, "+0.162"),
        (0.125, Format.PERCENT, "", False, "12.5%"),
        (Decimal("-0.005"), Format.PERCENT, "", True, "-0.5%"),
        (11, Format.INTEGER, "", False, "11"),
        (5, Format.AGE, "", False, "5s"),
        (130, Format.AGE, "", False, "2m"),
        (10_800, Format.AGE, "", False, "3h"),
        (259_200, Format.AGE, "", False, "3d"),
        (date(2026, 12, 18), Format.DATE, "", False, "18 Dec 26"),
        (AT, Format.TIME, "", False, "10:31 ET"),
        (AT, Format.DATE, "", False, "20 Nov 26"),
        (AT, Format.TEXT, "", False, "20 Nov 26 10:31 ET"),
        (None, Format.MONEY, "USD", True, "unknown"),
        (float("nan"), Format.MONEY, "", False, "unknown"),
        (True, Format.TEXT, "", False, "yes"),
        (Decimal("1E+3"), Format.TEXT, "", False, "1,000"),
        ("abc", Format.TEXT, "", False, "abc"),
        (0.1 + 0.2, Format.MONEY, "", False, "0.30"),
    ],
)
def test_value_when_formatted_then_reads_as_a_trader_writes_it(value: Cell, form: Format, unit: str, signed: bool, text: str) -> None:
    assert value_text(value, form, unit=unit, signed=signed) == text


def test_render_when_a_table_fits_then_numbers_stand_right_under_their_title() -> None:
    table = Table(
        columns=(Column(title="symbol"), Column(title="P&L", format=Format.MONEY, unit="USD", signed=True)),
        rows=(("SPY", Decimal("1234.5")), ("XSP", None)),
    )
    assert render(Reply(blocks=(table,))) == "symbol    P&L USD\nSPY     +1,234.50\nXSP             ?"


def test_render_when_a_table_is_too_wide_then_every_figure_is_still_there() -> None:
    columns = tuple(Column(title=f"column {number}", format=Format.MONEY, unit="USD") for number in range(10))
    row = tuple(Decimal(number * 1_000_000) for number in range(10))
    text = render(Reply(blocks=(Table(columns=(Column(title="id"), *columns), rows=(("P1", *row),)),)))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(f"{number * 1_000_000:,}.00" in text for number in range(10))


def test_render_when_the_last_column_is_long_then_it_goes_on_below_itself() -> None:
    words = " ".join(["words"] * 30)
    text = render(Reply(blocks=(Table(columns=(Column(title="a"), Column(title="b")), rows=(("x", words),)),)))
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert all(line.startswith("   words") for line in lines[2:])
    assert text.count("words") == 30


def test_render_when_a_notice_is_bad_then_a_mark_says_so_without_colour() -> None:
    marks = [render(Reply(blocks=(Notice(text="x", tone=tone),))) for tone in Tone]
    assert marks == ["[i] x", "[ok] x", "[!] x", "[x] x"]
    assert "\x1b" not in "".join(marks)


def test_render_when_there_are_buttons_then_they_are_numbered() -> None:
    buttons = (
        Button(number=1, label="Confirm", style="primary", token="t", line="confirm ticket=T1"),
        Button(number=2, label="Size 4", style="normal", token="u", line="size ticket=T1 quantity=4"),
    )
    reply = Reply(blocks=(Text(text="x"),), badge="PAPER · SIMULATED", at=AT, command="open symbol=XSP")
    assert render(reply, buttons) == "── PAPER · SIMULATED · 20 Nov 26 10:31 ET\nx\n[1] Confirm  [2] Size 4\n» open symbol=XSP"


def test_render_when_a_block_is_of_any_kind_then_its_numbers_are_shown() -> None:
    reply = Reply(
        blocks=(
            Steps(steps=("one", "two"), done=1),
            File(name="a.csv", content=b"12345"),
            Chart(
                title="P&L", axis=Axis(), panels=(Panel(series=(Series(name="a", x=(1.0,), y=(None,)),), axis=Axis()),),
                facts=(Fact(label="last", value=2.0, format=Format.MONEY, unit="USD"),),
            ),
            Table(columns=(Column(title="a"),), rows=(), title="Empty"),
        )
    )
    assert render(reply) == "[x] one\n[ ] two\nfile a.csv, 5 bytes\nP&L: last 2.00 USD.\nEmpty\nnone"


@given(st.text(max_size=300), st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=2))
def test_a8_render_when_text_is_hostile_then_figures_are_never_altered_or_split(words: str, amount: Decimal) -> None:
    fact = Fact(label=words[:40], value=amount, format=Format.MONEY, unit="USD", signed=True, note=words)
    text = render(Reply(blocks=(Text(text=words), Facts(facts=(fact,)))))
    assert value_text(amount, Format.MONEY, unit="USD", signed=True) in text
    assert "\u202e" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text)


@given(
    st.lists(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=2), min_size=1, max_size=30)
)
def test_a8_render_when_sentences_wrap_then_no_number_is_cut(amounts: list[Decimal]) -> None:
    figures = [f"{amount:,.2f}" for amount in amounts]
    text = render(Reply(blocks=(Notice(text=" and ".join(figures)),)))
    assert re.findall(r"-?[\d,]+\.\d\d", text) == figures


def test_clean_when_text_holds_controls_then_they_become_spaces() -> None:
    assert clean("a\x1b[31mb\u202ec\nd") == "a [31mb c\nd"


def test_json_when_a_reply_is_given_then_amounts_are_text_and_days_iso() -> None:
    reply = Reply(
        blocks=(
            Facts(facts=(Fact(label="cash", value=Decimal("1.20"), format=Format.MONEY, unit="USD"),)),
            Table(
                columns=(Column(title="day", format=Format.DATE),), rows=((date(2026, 12, 18),), (AT,), (0.5,), (None,), (float("nan"),))
            ),
            File(name="a", content=b"\x00"),
        ),
        actions=(Action(label="Confirm", line="confirm T1", once=True),),
        cites=(7,),
        at=AT,
        data={"ticket": "T1", "net": Decimal("2.50")},
    )
    plain = json.loads(json.dumps(to_json(reply)))
    assert plain["blocks"][0]["facts"][0]["value"] == "1.20"
    assert [row[0] for row in plain["blocks"][1]["rows"]] == ["2026-12-18", "2026-11-20T15:31:12+00:00", 0.5, None, None]
    assert plain["blocks"][2]["content"] == "AA=="
    assert [block["type"] for block in plain["blocks"]] == ["facts", "table", "file"]
    assert plain["actions"] == [{"label": "Confirm", "line": "confirm T1", "style": "normal", "once": True}]
    assert (plain["cites"], plain["data"]) == ([7], {"ticket": "T1", "net": "2.50"})
