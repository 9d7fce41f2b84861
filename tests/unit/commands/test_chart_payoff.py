"""The payoff chart: its lines are the engines', its caption is the card's, and what is not known is not drawn."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.commands._payoff import ticket_chart
from core.desk import Desk
from core.orders import ticket
from core.orders.figures import payoff_at
from core.reply import Chart, Fact, Facts, Reply, Series, Shape
from tests.paper_desk import open_desk, say, text


def chart_of(reply: Reply) -> Chart:
    (found,) = (block for block in reply.blocks if isinstance(block, Chart))
    return found


def figures(chart: Chart, label: str) -> list[Fact]:
    return [fact for fact in chart.facts if fact.label == label]


def at(series: Series, x: float) -> float:
    found = series.y[series.x.index(x)]
    assert found is not None
    return found


def said(card: Reply, label: str) -> Fact:
    return next(fact for block in card.blocks if isinstance(block, Facts) for fact in block.facts if fact.label == label)


async def priced(desk: Desk, line: str) -> tuple[str, ticket.Priced]:
    name = str((await say(desk, line)).data["ticket"])
    drafted = ticket.find(desk, name).drafted
    return name, await ticket.price(desk, drafted.intent, limit=None, envelope=drafted.envelope)


@pytest.mark.parametrize(
    "line", ["open put_credit_spread XSP 2", "open iron_condor SPX 1", "open long_call SPY 1", "open stock KO 10 side=buy"]
)
async def test_payoff_when_legs_end_together_then_the_line_is_the_exact_payoff_everywhere(line: str) -> None:
    name, order = await priced(await open_desk(), line)
    exact = payoff_at(order, order.envelope.plan.start)
    assert exact is not None

    drawn = ticket_chart(name, order).panels[0].series[0]

    assert drawn.shape is Shape.FILLED
    assert [*drawn.y] == pytest.approx([float(exact.at(Decimal(repr(x)))) for x in drawn.x if isinstance(x, float)])
    assert {float(leg.strike) for leg in exact.legs if leg.strike is not None} <= set(drawn.x)


async def test_payoff_when_the_market_stands_at_its_quotes_then_today_at_spot_is_what_closing_at_mid_makes() -> None:
    name, order = await priced(await open_desk(), "open put_credit_spread XSP 2")
    assert order.exam.mid is not None
    spot = order.view.spot("XSP")

    today = ticket_chart(name, order).panels[0].series[1]

    assert today.name == "today"
    assert at(today, spot) == pytest.approx(200 * float(order.envelope.plan.start - order.exam.mid), abs=0.5)


async def test_payoff_when_asked_by_explain_and_why_then_both_show_the_figures_of_the_card() -> None:
    desk = await open_desk()
    card = await say(desk, "open iron_condor SPX 1")
    name = card.data["ticket"]

    explained, why = chart_of(await say(desk, f"explain {name}")), chart_of(await say(desk, f"why ticket={name}"))

    assert figures(explained, "max profit")[0].value == said(card, "max profit").value
    assert figures(explained, "max loss")[0].value == said(card, "max loss").value
    assert [fact.value for fact in figures(explained, "break-even")] == [said(card, "break-even 1").value, said(card, "break-even 2").value]
    assert [mark.label for mark in explained.panels[0].marks] == ["break-even", "break-even", "spot"]
    assert why == explained


async def test_payoff_when_legs_end_on_two_days_then_drawn_at_the_near_one_and_touches_the_cards_estimate() -> None:
    desk = await open_desk()
    card = await say(desk, "open calendar SPY 2 right=call dte=30 far_dte=60")

    chart = chart_of(await say(desk, f"explain {card.data['ticket']}"))

    line = chart.panels[0].series[0]
    assert line.name == "at the near expiry, 18 Dec"
    assert max(y for y in line.y if y is not None) == pytest.approx(float(str(said(card, "max profit").value)), rel=0.01)
    assert -min(y for y in line.y if y is not None) <= float(str(said(card, "max loss").value))


async def test_payoff_when_the_loss_has_no_end_then_said_in_the_picture_and_in_words() -> None:
    desk = await open_desk()
    card = await say(desk, "open short_strangle SPX 1")

    chart = chart_of(await say(desk, f"explain {card.data['ticket']}"))

    assert figures(chart, "max loss")[0].value == "unlimited"
    assert chart.panels[0].title == "profit or loss, USD; loss unlimited"


async def test_payoff_when_an_order_leans_on_shares_then_counts_them_as_its_card_does_and_says_so() -> None:
    desk = await open_desk(cash=2_000_000)
    await say(desk, f"confirm {(await say(desk, 'open stock SPY 100 side=buy')).data['ticket']}")
    card = await say(desk, "open covered_call SPY 1")

    chart = chart_of(await say(desk, f"explain {card.data['ticket']}"))

    assert chart.title.startswith("Short 1 x SPY ") and f" with 100 SPY shares, ticket {card.data['ticket']}" in chart.title
    assert figures(chart, "max profit")[0].value == said(card, "max profit").value
    assert max(y for y in chart.panels[0].series[0].y if y is not None) == pytest.approx(float(str(said(card, "max profit").value)))


async def test_payoff_when_the_order_closes_then_no_picture_and_the_reason() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread XSP 2")
    trade = (await say(desk, f"confirm {card.data['ticket']}")).data["trade"]
    closing = (await say(desk, f"close position_id={trade}")).data["ticket"]

    reply = await say(desk, f"explain {closing}")

    assert "closes, rolls or guards what is held" in str(reply.blocks)
    assert not any(isinstance(block, Chart) for block in (*reply.blocks, *(await say(desk, f"why ticket={closing}")).blocks))


async def test_payoff_when_a_trade_is_open_then_counts_from_what_it_received_net_of_fees() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread XSP 2")
    name = str((await say(desk, f"confirm {card.data['ticket']}")).data["trade"])
    trade = desk.book(desk.account().id).trades[name]

    chart = chart_of(await say(desk, f"explain {name}"))

    assert figures(chart, "max profit")[0].value == trade.premium - trade.fees
    assert chart.title.endswith(f"trade {name}")
    assert chart_of(await say(desk, f"positions position_id={name}")) == chart


async def test_payoff_when_the_ticket_is_over_then_said_beside_the_picture() -> None:
    desk = await open_desk()
    name = (await say(desk, "open put_credit_spread XSP 2")).data["ticket"]
    await say(desk, f"drop {name}")

    reply = await say(desk, f"explain {name}")

    assert f"Ticket {name} is" in text(reply) and chart_of(reply)
