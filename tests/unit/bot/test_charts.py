"""Charts as pictures and as lines of text: valid images of the stated size, everything named drawn, hostile data survived."""

from __future__ import annotations

import io
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.charts import HEIGHT, LIGHT, WIDTH, figure_of, png
from bot.render import caption, render
from bot.scales import days_of, ends_of, rows_of, ticks_of
from bot.sparks import spark
from core.reply import Axis, Chart, Fact, Format, Mark, Panel, Reply, Series, Shape

MONEY = Axis(label="profit or loss", format=Format.MONEY, unit="USD", signed=True)
PRICE = Axis(label="SPX", format=Format.PRICE)


def line(*ys: float | None, name: str = "at expiry", shape: Shape = Shape.FILLED) -> Series:
    return Series(name=name, x=tuple(float(5_000 + 10 * at) for at in range(len(ys))), y=ys, shape=shape)


def chart(*series: Series, marks: tuple[Mark, ...] = (), axis: Axis = MONEY, panels: int = 1, title: str = "Payoff") -> Chart:
    facts = (Fact(label="max loss", value=380.0, format=Format.MONEY, unit="USD"), Fact(label="max profit", value="unlimited"))
    return Chart(title=title, panels=(Panel(series=series, axis=axis, marks=marks),) * panels, axis=PRICE, facts=facts, note="Before fees.")


def dated(count: int) -> Series:
    days = tuple(date(2026, 1, 2) + timedelta(days=at) for at in range(count))
    return Series(name="result", x=days, y=tuple(math.sin(at / 9) * 1e3 for at in range(count)), shape=Shape.FILLED)


KINDS = {
    "plain": chart(line(-380.0, -380.0, 120.0, 120.0)),
    "two_lines": chart(line(-380.0, 120.0), line(-200.0, 80.0, name="today", shape=Shape.LINE), marks=(Mark(label="spot", x=5_005.0),)),
    "four_panels": chart(line(1.0, -1.0, 2.0), panels=4),
    "two_panels": chart(line(1.0, -1.0, 2.0), panels=2),
    "tiny": chart(line(1e-9, 2e-9, -1e-9)),
    "huge": chart(line(1e12, -3e12, 2e12)),
    "flat": chart(line(7.0, 7.0, 7.0)),
    "zero": chart(line(0.0, 0.0)),
    "one_point": chart(line(5.0)),
    "empty": chart(),
    "unknown": chart(line(None, None)),
    "gaps": chart(line(1.0, None, math.nan, 3.0, None, 4.0)),
    "endless": chart(line(math.inf, -math.inf, 1e308, 4.0)),
    "eight_marks": chart(line(-1.0, 2.0, *[0.0] * 80), marks=tuple(Mark(label="break-even", x=5_000.0 + 80 * at) for at in range(8))),
    "levels_and_points": chart(line(1.0, 3.0), marks=(Mark(label="now", y=2.0), Mark(label="here", x=5_001.0, y=1.5))),
    "far_marks": chart(line(1.0, 3.0), marks=(Mark(label="spot", x=9e99), Mark(label="spot", x=math.nan), Mark(label="x", y=math.inf))),
    "dates": chart(dated(200)),
    "one_day": chart(dated(1)),
    "centuries": chart(Series(name="x", x=(date(1, 1, 1), date(9999, 12, 31)), y=(1.0, 2.0))),
    "dollars": chart(line(1.0, 2.0), title="$x^2$ _and_ $\\frac{1}{2}$ <b>&amp;", marks=(Mark(label="$\\bad{", x=5_002.0),)),
    "long": chart(line(1.0, 2.0, name="n" * 200), title="A very long title " * 20),
    "other_letters": chart(line(1.0, 2.0, name="\u4f60\u597d \U0001f4c8"), title="\u202e\u4f60\u597d\x00"),
    "percent": chart(line(-0.04, 0.0), axis=Axis(label="drawdown", format=Format.PERCENT)),
}


@pytest.mark.parametrize(("kind", "dark"), [*((kind, False) for kind in sorted(KINDS)), ("two_lines", True), ("four_panels", True)])
def test_png_when_drawn_then_a_valid_picture_of_the_stated_size_with_something_on_it(kind: str, dark: bool) -> None:
    with Image.open(io.BytesIO(png(KINDS[kind], dark=dark))) as picture:
        picture.load()

        assert (picture.format, picture.size) == ("PNG", (WIDTH, HEIGHT)) == ("PNG", (880, 550))
        grey = picture.convert("L")
        assert (grey.getpixel((1, 1)) < 60) is dark
        assert len(set(grey.tobytes())) > 10


def words_of(one: Chart) -> set[str]:
    """Everything written in a picture."""
    from matplotlib.text import Text

    figure = figure_of(one, LIGHT)
    return {text.get_text() for text in figure.findobj(Text) if text.get_visible()}


def test_figure_when_drawn_then_title_axes_marks_and_lines_are_named_in_words() -> None:
    words = words_of(KINDS["two_lines"])

    assert {"Payoff", "profit or loss, USD", "SPX", "spot\n5,005.00", "at expiry", "today"} <= words


def test_figure_when_two_lines_are_drawn_then_told_apart_without_colour() -> None:
    axes = figure_of(KINDS["two_lines"], LIGHT).axes[0]

    first, second = (one for one in axes.get_lines() if not str(one.get_label()).startswith("_"))
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()


def test_figure_when_there_is_nothing_to_draw_then_says_so() -> None:
    assert "no figures yet" in words_of(KINDS["empty"])
    assert "no figures yet" in words_of(KINDS["unknown"])


def test_figure_when_a_point_stands_alone_between_gaps_then_it_is_drawn_as_one() -> None:
    alone, whole = figure_of(KINDS["gaps"], LIGHT).axes[0].get_lines()[1:3]

    assert [*alone.get_xdata()] == [5_000.0, 5_030.0, 5_050.0]
    assert (alone.get_marker(), whole.get_linestyle()) == ("o", "-")


def test_figure_when_a_title_is_longer_than_two_lines_then_ends_in_dots() -> None:
    (title,) = (words for words in words_of(KINDS["long"]) if words.startswith("A very long title"))

    assert title.count("\n") == 1 and title.endswith(" …")


def test_figure_when_a_level_is_marked_then_its_figure_is_written() -> None:
    assert {"dashed: now +2.00", "here +1.50"} <= words_of(KINDS["levels_and_points"])


def test_png_when_drawn_in_many_threads_at_once_then_the_same_as_one_after_the_other() -> None:
    jobs = [(kind, dark) for kind in ("two_lines", "two_panels", "eight_marks") for dark in (False, True)] * 2
    alone = [png(KINDS[kind], dark=dark) for kind, dark in jobs[:6]] * 2

    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda job: png(KINDS[job[0]], dark=job[1]), jobs))

    assert together == alone


ANY = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(ANY, st.none() | ANY), max_size=6),
    st.lists(st.tuples(st.text(max_size=9), st.none() | ANY, st.none() | ANY), max_size=3),
    st.sampled_from(list(Format)), st.sampled_from(list(Shape)),
)
def test_png_when_the_data_are_hostile_then_still_a_picture(
    points: list[tuple[float, float | None]], marks: list[tuple[str, float | None, float | None]], form: Format, shape: Shape
) -> None:
    series = Series(name="a", x=tuple(x for x, _ in points), y=tuple(y for _, y in points), shape=shape)
    panel = Panel(series=(series,), axis=Axis(format=form), marks=tuple(Mark(label=name, x=x, y=y) for name, x, y in marks))

    assert png(Chart(title="t", panels=(panel,), axis=Axis(format=form), facts=()), dark=True).startswith(b"\x89PNG")


def test_caption_when_written_then_every_figure_keeps_its_unit_and_unlimited_is_said() -> None:
    assert caption(chart(line(1.0))).replace("\N{NO-BREAK SPACE}", " ") == "Payoff: max loss 380.00 USD, max profit unlimited. Before fees."


def test_render_when_a_chart_is_shown_in_the_terminal_then_its_lines_are_rows_of_blocks_within_the_width() -> None:
    lines = (line(-380.0, -130.0, 120.0, name="at expiry, 18 Dec"), line(5.0, name="today"), line(2.0, 2.0, name="c"))

    _, first, second = render(Reply(blocks=(chart(*lines),))).split("\n")

    assert len(first) <= 80
    assert first.startswith("  at expiry, 18 Dec  ▁") and first.endswith("█  -380.00 to +120.00 USD")
    assert second == "  c                  +2.00 USD"


@pytest.mark.parametrize(
    ("series", "columns", "drawn"),
    [
        (line(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), 8, "▁▂▃▄▅▆▇█"),
        (line(0.0, None, 2.0), 3, "▁ █"),
        (line(0.0, 8.0), 5, "▁▃▅▇█"),
        (line(3.0, 3.0), 4, "▁▁▁▁"),
        (line(3.0), 4, "▁"),
        (line(None, math.nan), 4, ""),
        (line(), 4, ""),
        (line(1.0, 2.0), 0, ""),
    ],
)
def test_spark_when_drawn_then_lowest_to_highest_with_gaps_left_open(series: Series, columns: int, drawn: str) -> None:
    assert spark(series, columns) == drawn


@pytest.mark.parametrize(
    ("low", "high", "axis", "words"),
    [
        (-400.0, 160.0, MONEY, ["-400", "-200", "0"]),
        (0.0, 0.05, Axis(format=Format.PERCENT), ["0%", "1%", "2%", "3%", "4%", "5%"]),
        (0.0, 2.4e6, PRICE, ["0", "0.5M", "1.0M", "1.5M", "2.0M"]),
        (0.0, 1.2e5, PRICE, ["0", "25k", "50k", "75k", "100k"]),
        (99.6, 100.6, PRICE, ["99.6", "99.8", "100.0", "100.2", "100.4", "100.6"]),
    ],
)
def test_ticks_when_made_then_round_numbers_written_short(low: float, high: float, axis: Axis, words: list[str]) -> None:
    assert [text for _, text in ticks_of(low, high, axis, most=5)] == words


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30), st.integers(2, 7))
def test_ticks_when_ends_are_any_then_few_and_inside(one: float, other: float, most: int) -> None:
    low, high = ends_of([one, other], PRICE)

    ticks = ticks_of(low, high, PRICE, most=most)

    assert low < high and min(one, other) >= low and max(one, other) <= high
    assert len(ticks) <= most + 1
    assert all(low - (high - low) * 1e-6 <= where <= high + (high - low) * 1e-6 for where, _ in ticks)


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (date(2026, 11, 2), date(2026, 11, 6), ["2 Nov", "3 Nov", "4 Nov", "5 Nov", "6 Nov"]),
        (date(2026, 1, 15), date(2026, 7, 15), ["Feb 26", "Mar 26", "Apr 26", "May 26", "Jun 26", "Jul 26"]),
        (date(2019, 6, 1), date(2026, 6, 1), ["Jan 20", "Jan 22", "Jan 24", "Jan 26"]),
    ],
)
def test_days_when_made_then_days_or_firsts_of_months(first: date, last: date, words: list[str]) -> None:
    assert [text for _, text in days_of(first.toordinal(), last.toordinal(), most=6)] == words


@given(st.lists(st.tuples(st.floats(0, 800), st.floats(10, 150)), max_size=12))
def test_rows_when_labels_are_crowded_then_none_stands_over_another_or_outside(labels: list[tuple[float, float]]) -> None:
    labels = sorted(labels)

    found = rows_of([where for where, _ in labels], [width for _, width in labels], room=800.0)

    spans = [(row, middle - width / 2, middle + width / 2) for (middle, row), (_, width) in zip(found, labels, strict=True)]
    assert all(start >= -1e-9 and end <= 800.0 + 1e-9 for _, start, end in spans)
    assert not [
        (one, other) for at, one in enumerate(spans) for other in spans[at + 1:]
        if one[0] == other[0] and one[1] < other[2] - 1e-9 and other[1] < one[2] - 1e-9
    ]


