"""Profiles of Greeks, and volatility now, of a year and realised: the figures of the commands, and nothing invented."""

from __future__ import annotations

import math
from datetime import date

import pytest

from core.commands._vols import around, between, index_chart, realised
from core.market.vix import standing_of
from core.reply import Chart, Reply, Table
from tests.paper_desk import fact, open_desk, say, text


def chart_of(reply: Reply) -> Chart:
    (found,) = (block for block in reply.blocks if isinstance(block, Chart))
    return found


async def test_greeks_when_something_is_held_then_the_profile_passes_through_the_figures_of_the_table() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread XSP 2")
    await say(desk, f"confirm {card.data['ticket']}")

    reply = await say(desk, "greeks")

    (row,) = next(block for block in reply.blocks if isinstance(block, Table)).rows
    told = [item.value for item in chart_of(reply).facts]
    middle = [panel.series[0].y[len(panel.series[0].y) // 2] for panel in chart_of(reply).panels]
    assert told == middle
    assert told == pytest.approx([float(str(cell)) for cell in row[1:]], rel=1e-3, abs=0.01)
    assert chart_of(reply).axis.label.startswith("XSP")


async def test_greeks_when_several_underlyings_are_held_then_over_the_move_of_all_of_them() -> None:
    desk = await open_desk()
    for line in ("open put_credit_spread XSP 1", "open long_call SPY 1"):
        await say(desk, f"confirm {(await say(desk, line)).data['ticket']}")

    chart = chart_of(await say(desk, "greeks"))

    assert chart.axis.label.startswith("move of every underlying")
    assert chart.panels[0].series[0].x[len(chart.panels[0].series[0].x) // 2] == pytest.approx(0.0)


async def test_greeks_when_only_shares_are_held_then_no_profile() -> None:
    desk = await open_desk()
    await say(desk, f"confirm {(await say(desk, 'open stock KO 10 side=buy')).data['ticket']}")

    reply = await say(desk, "greeks")

    assert reply.ok and not any(isinstance(block, Chart) for block in reply.blocks)


def test_implied_when_two_terms_lie_around_30_days_then_weighted_in_variance() -> None:
    expected = math.sqrt((0.2**2 * 23 * 0.5 + 0.24**2 * 37 * 0.5) / 30)

    assert between([(23.0, 0.2), (37.0, 0.24)]) == pytest.approx(expected)
    assert expected == pytest.approx(0.2255, abs=5e-5)
    assert between([(37.0, 0.24)]) == 0.24
    assert between([(40.0, 0.3), (70.0, 0.4)]) == 0.3


def test_around_when_expiries_lie_on_both_sides_then_the_nearest_of_each() -> None:
    days = (date(2026, 11, 20), date(2026, 11, 27), date(2026, 12, 18), date(2026, 12, 24), date(2027, 1, 15))

    assert around(days, date(2026, 11, 20)) == (date(2026, 12, 18), date(2026, 12, 24))
    assert around(days[:1], date(2026, 11, 20)) == ()


def test_realised_when_a_price_moves_by_one_percent_a_day_then_is_that_a_year() -> None:
    closes = [100.0 * math.exp(0.01 * (at % 2)) for at in range(24)]

    found = realised(closes)

    assert found[:21] == (None,) * 21
    assert found[21:] == pytest.approx([0.01 * math.sqrt(252)] * 3)
    assert realised(closes[:5]) == (None,) * 5


def test_index_chart_when_a_year_is_not_full_then_says_how_much_of_it_there_is() -> None:
    closes, days = (18.0, 22.0, 20.0, 16.0), tuple(date(2026, 11, day) for day in (16, 17, 18, 19))

    chart = index_chart("VIX", days, closes, level=19.0, standing=standing_of(19.0, closes))

    assert chart is not None
    assert [item.value for item in chart.facts] == [19.0, 0.5, 0.5, 16.0, 22.0]
    assert chart.note == "Only 4 of 252 sessions."
    assert index_chart("VIX", (), (), level=19.0, standing=None) is None


async def test_vix_when_asked_then_its_year_is_shown_with_where_it_stands() -> None:
    reply = await say(await open_desk(), "vix")

    chart = chart_of(reply)
    assert len(chart.panels[0].series[0].y) == 252
    assert chart.panels[0].marks[0].y == reply.data["vix"]
    assert chart.facts[1].value == fact(reply, "percentile").value


async def test_iv_when_the_index_has_a_history_then_rank_percentile_and_both_lines() -> None:
    reply = await say(await open_desk(), "iv SPY")

    vix = await say(await open_desk(), "vix")
    assert fact(reply, "percentile").value == fact(vix, "percentile").value
    assert 0.05 < float(str(reply.data["iv"])) < 0.6
    assert [line.name for line in chart_of(reply).panels[0].series] == ["implied, 30 days (VIX)", "realised, 21 sessions"]


async def test_iv_when_a_name_has_no_history_of_it_then_unknown_and_said() -> None:
    reply = await say(await open_desk(), "iv AAPL")

    assert fact(reply, "percentile").value is None
    assert fact(reply, "percentile").note == "only 0 of 252 sessions of its implied volatility are known"
    assert [line.name for line in chart_of(reply).panels[0].series] == ["realised, 21 sessions"]
    assert fact(reply, "implied less realised").value == pytest.approx(
        float(str(fact(reply, "implied, 30 days").value)) - float(str(fact(reply, "realised").value))
    )


@pytest.mark.parametrize(("line", "words"), [("iv VIX", "VIX is a volatility itself"), ("iv NOPE", "No market data source knows NOPE")])
async def test_iv_when_there_is_none_to_look_at_then_refused_with_the_next_step(line: str, words: str) -> None:
    reply = await say(await open_desk(), line)

    assert not reply.ok and words in text(reply)
