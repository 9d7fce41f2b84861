"""Strategies that lean on what is held, end to end on the paper exchange: what is missing is said, and nothing is left uncovered."""

from __future__ import annotations

from core.command import Via
from core.desk import Desk
from core.reply import Reply
from tests.paper_desk import fact, lines, open_desk, say, table, text


async def opened(desk: Desk, line: str) -> Reply:
    card = await say(desk, line)
    assert card.data["allowed"], text(card)
    return await say(desk, f"confirm {card.data['ticket']}", via=Via.BUTTON)


async def with_shares(count: int = 250) -> Desk:
    desk = await open_desk(cash=1_000_000)
    ask = fact(await say(desk, f"open stock KO {count}"), "natural now").value
    reply = await opened(desk, f"open stock KO {count} side=buy limit={-ask + 1:.2f}")  # type: ignore[operator]
    assert reply.data["state"] == "filled"
    return desk


async def sold(desk: Desk, line: str) -> Reply:
    """Confirmed at what somebody bids."""
    bid = fact(await say(desk, line), "natural now").value
    return await opened(desk, f"{line} limit={bid}")


async def test_open_when_a_covered_call_has_no_quantity_then_every_free_lot_is_covered():
    desk = await with_shares()

    card = await say(desk, "open covered_call KO")

    assert card.data["quantity"] == 2 and fact(card, "quantity").note == "sized by rule"
    assert fact(card, "capital of the trade").value == 0


async def test_open_when_more_covered_calls_are_asked_than_shares_are_held_then_refuses_with_the_number():
    desk = await with_shares()

    reply = await say(desk, "open covered_call KO 3")

    assert not reply.ok and "enough for 2 x covered_call, not 3" in text(reply)


async def test_confirm_when_the_shares_were_sold_meanwhile_then_the_covered_call_is_not_sent():
    desk = await with_shares(100)
    card = await say(desk, "open covered_call KO")
    assert (await sold(desk, "close KO")).data["state"] == "filled"

    reply = await say(desk, f"confirm {card.data['ticket']}", via=Via.BUTTON)

    assert not reply.ok and "1 of 1 calls would not be covered by shares" in text(reply)
    assert all(order.envelope.strategy != "covered_call" for order in desk.book(desk.account().id).orders.values())


async def test_close_when_shares_stand_under_a_call_then_closing_both_is_offered_and_the_call_comes_first():
    desk = await with_shares(100)
    assert (await sold(desk, "open covered_call KO")).data["state"] == "filled"

    which = await say(desk, "close KO")
    shares = await say(desk, lines(which)[0], via=Via.BUTTON)
    both = await say(desk, lines(which)[2], via=Via.BUTTON)

    assert lines(which)[2] == "close scope=all symbol=KO" and "close symbol=KO scope=all" in lines(shares)
    assert [leg[0] for leg in table(both, "Legs").rows] == ["buy to close"]  # the first card


async def test_positions_when_shares_and_a_long_call_are_held_then_what_does_not_apply_is_left_out():
    desk = await with_shares(100)

    (row,) = table(await say(desk, "positions"), "Open trades in practice").rows

    assert row[4] == "" and row[8:10] == ("", "")


async def test_open_when_a_long_call_has_a_resting_target_then_its_sale_is_allowed_in_its_place():
    desk = await open_desk(cash=200_000)
    ask = fact(await say(desk, "open long_call SPY 1"), "natural now").value
    await opened(desk, f"open long_call SPY 1 limit={-ask + 1:.2f} target=50%")  # type: ignore[operator]
    for steward in desk.stewards.values():
        await steward.turn(one_look=True)

    card = await say(desk, "close SPY")

    assert card.data["allowed"] and "Cancelled first" in text(card)
    assert fact(card, "risk").value == "reduces risk, as measured"
