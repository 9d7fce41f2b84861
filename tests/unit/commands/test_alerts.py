"""`alerts`: what is watched, what waits for an answer, what rang."""

from core.domain.events import AlertRaised, ExitDue
from core.domain.mandates import Rung
from tests.paper_desk import lines, open_desk, say, table, text


async def test_alerts_when_nothing_happened_then_said() -> None:
    desk = await open_desk()

    reply = await say(desk, "alerts")

    assert reply.ok
    assert "Nothing that was told waits" in text(reply) and "Nothing rang in 7 days" in text(reply)


async def test_alerts_when_a_trade_is_open_then_its_exits_are_named() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread XSP 1")
    await say(desk, f"confirm {card.data['ticket']}")

    (row,) = table(await say(desk, "alerts"), "Open trades and the exits on them").rows

    assert row[1:] == ("put_credit_spread XSP", "credit_stop, days_left, short_delta, profit_target")


async def test_alerts_when_an_exit_stands_told_and_an_alert_is_unanswered_then_both_wait_until_answered() -> None:
    desk = await open_desk()
    account = desk.account().id
    due = ExitDue(
        account=account, trade_id="P1", rule="credit_stop", decision="close", reason="it costs twice the credit", rung=Rung.SUGGEST,
        times=1, must=True,
    )
    raised = AlertRaised(key="expiry:XSP", urgency="high", text="XSP 581 put expires in the money.", account=account)
    await desk.record(desk.draft(due, actor="rule:credit_stop"), desk.draft(raised, actor="clock"))

    reply = await say(desk, "alerts")

    rows = table(reply, "Told and not answered").rows
    assert [row[0] for row in rows] == ["P1.credit_stop", "expiry:XSP"]
    assert [row[2] for row in rows] == ["told 1 time", "unanswered"]
    assert "ack P1.credit_stop" in lines(reply) and "ack expiry:XSP" in lines(reply)
    assert {row[1] for row in table(reply, "Rang lately").rows} == {"high"}
    await say(desk, "snooze P1.credit_stop for=2h")
    await say(desk, "ack expiry:XSP")
    ((_, _, stands, _),) = table(await say(desk, "alerts"), "Told and not answered").rows
    assert stands == "put off by owner until Fri 12:00 ET"


async def test_alerts_when_orders_lasted_several_nights_then_the_last_morning_is_shown_and_nothing_once_they_are_over() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread SPX 1 limit=5.20")
    order = str((await say(desk, f"confirm {card.data['ticket']}")).data["order"])
    for day in ("2026-11-20", "2026-11-23"):
        body = AlertRaised(
            key=f"overnight:{desk.account().id.id}:{day}", urgency="medium", text=f"Still at the broker: {order}.",
            account=desk.account().id, lines=(f"cancel order_id={order}",), labels=(f"Cancel {order}",),
        )
        await desk.record(desk.draft(body, actor="clock"))

    ((key, *_),) = table(await say(desk, "alerts"), "Told and not answered").rows
    await say(desk, f"cancel {order}")

    assert key.endswith("2026-11-23")
    assert "Nothing that was told waits for an answer" in text(await say(desk, "alerts"))
