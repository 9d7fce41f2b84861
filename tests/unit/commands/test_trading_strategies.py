"""Strategies that lean on what is held, end to end on the paper exchange: what is missing is said, and nothing is left uncovered."""

from __future__ import annotations

from decimal import Decimal

import pytest

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


async def done(desk: Desk, line: str) -> Reply:
    """Confirmed at a price at which it fills at once."""
    natural = fact(await say(desk, line), "natural now").value
    return await opened(desk, f"{line} limit={abs(natural)}")  # type: ignore[arg-type]


async def test_open_when_a_covered_call_has_no_quantity_then_every_free_lot_is_covered():
    desk = await with_shares()

    card = await say(desk, "open covered_call KO")

    assert card.data["quantity"] == 2 and fact(card, "quantity").note == "sized by rule"
    assert fact(card, "capital of the trade").value == 0


async def test_open_when_more_covered_calls_are_asked_than_shares_are_held_then_refuses_with_the_number():
    desk = await with_shares()

    reply = await say(desk, "open covered_call KO 3")

    assert not reply.ok and "enough for 2 x covered_call, not 3" in text(reply)


async def test_open_when_the_shares_are_only_being_bought_then_no_call_is_sold_against_them():
    desk = await open_desk(cash=1_000_000)
    bid = -fact(await say(desk, "open stock KO 100"), "mid now").value - 1  # type: ignore[operator]
    assert (await opened(desk, f"open stock KO 100 limit={bid:.2f}")).data["state"] == "working"

    reply = await say(desk, "open covered_call KO")

    assert not reply.ok and "no shares of KO are held" in text(reply)


async def test_confirm_when_the_shares_were_sold_meanwhile_then_the_covered_call_is_not_sent():
    desk = await with_shares(100)
    card = await say(desk, "open covered_call KO")
    assert (await done(desk, "close KO")).data["state"] == "filled"

    reply = await say(desk, f"confirm {card.data['ticket']}", via=Via.BUTTON)

    assert not reply.ok and "1 of 1 calls would not be covered by shares" in text(reply)
    assert all(order.envelope.strategy != "covered_call" for order in desk.book(desk.account().id).orders.values())


async def test_close_when_shares_stand_under_a_call_then_closing_both_is_offered_and_the_call_comes_first():
    desk = await with_shares(100)
    assert (await done(desk, "open covered_call KO")).data["state"] == "filled"

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


async def test_close_when_the_desk_is_halted_then_a_calendar_is_closed_as_a_whole():
    desk = await open_desk(cash=300_000)
    assert (await done(desk, "open calendar XSP 2")).data["state"] == "filled"
    await say(desk, "halt")

    card = await say(desk, "close XSP")

    assert card.data["allowed"] and fact(card, "risk").value == "reduces risk, as measured"


async def test_close_when_a_halt_keeps_a_hedge_then_its_short_leg_alone_can_be_bought_back():
    desk = await with_shares()
    assert (await done(desk, "open put_debit_spread QQQ 1")).data["state"] == "filled"
    await say(desk, "halt")

    whole = await say(desk, "close QQQ")
    way_out = next(action.line for action in whole.actions if action.label == "Buy back the short leg")
    short = await done(desk, way_out)

    assert not whole.data["allowed"] and short.data["state"] == "filled"
    book = desk.book(desk.account().id)
    trade = next(item for item in book.open_trades if item.strategy == "put_debit_spread")
    assert [quantity for _, quantity in book.held_by_trade[trade.id].values()] == [1]


@pytest.mark.parametrize("line", [
    "naked_put XSP 1", "cash_secured_put KO 1", "put_credit_spread SPX 1", "call_credit_spread SPX 1", "iron_condor SPX 1",
    "short_strangle XSP 1", "covered_call KO 1", "protective_put KO 1", "long_put SPY 1", "long_call AAPL 1", "put_debit_spread SPY 1",
    "call_debit_spread SPX 1", "calendar SPX 1", "calendar SPY 2 right=put", "diagonal SPY 1", "stock QQQ 10", "stock QQQ 10 side=buy",
])
async def test_open_when_confirmed_then_the_trade_is_held_shown_and_closed_again(line: str):
    desk = await with_shares(100)
    before = dict(desk.book(desk.account().id).holdings())

    assert (await done(desk, f"open {line}")).data["state"] == "filled"
    held = desk.book(desk.account().id).open_trades[-1]  # the shares were bought before it
    shown = {row[0]: row for row in table(await say(desk, "positions"), "Open trades in practice").rows}
    assert (await done(desk, f"close position_id={held.id}")).data["state"] == "filled"

    after = desk.book(desk.account().id)
    assert shown[held.id][1] == line.split()[0] and isinstance(shown[held.id][6], Decimal)
    assert after.holdings() == before and after.trades[held.id].realized is not None
