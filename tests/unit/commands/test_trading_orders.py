"""`confirm`, `close` and `cancel` against the paper exchange."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from core.clock import ManualClock
from core.command import Via
from core.desk import Desk
from core.domain.events import Filled, Submitting
from core.domain.instruments import Equity, Right
from core.domain.listing import option
from core.domain.orders import Fill, OrderState, Side
from core.reply import Reply
from tests.paper_desk import call, fact, lines, open_desk, say, table, text


async def opened(desk: Desk, line: str = "open put_credit_spread SPX 1 limit=3.60") -> Reply:
    card = await say(desk, line)
    assert card.ok and card.data["allowed"], text(card)
    return await say(desk, f"confirm {card.data['ticket']}", via=Via.BUTTON)


async def press(desk: Desk, line: str) -> Reply:
    """Press Confirm, and once more on the fresh card where the account changed since the first was drawn."""
    reply = await say(desk, line, via=Via.BUTTON)
    return reply if "state" in reply.data else await say(desk, lines(reply)[0], via=Via.BUTTON)


async def working(desk: Desk) -> str:
    """An order that rests: the limit is better than the market gives."""
    card = await say(desk, "open put_credit_spread SPX 1 limit=5.20")
    assert card.data["allowed"], text(card)
    return str((await say(desk, f"confirm {card.data['ticket']}")).data["order"])


async def hold_shares(desk: Desk, quantity: int) -> None:
    account = desk.account().id
    fill = Fill(
        exec_id="X1", account=account, client_id=None, instrument=Equity(symbol="KO"), side=Side.BUY, quantity=quantity,
        price=Decimal("70.00"), fees=Decimal(0), at=desk.now(),
    )
    await desk.record(desk.draft(Filled(fill=fill), actor="broker", stream=str(account)))


async def test_confirm_when_pressed_then_the_order_is_sent_filled_and_the_reply_cites_its_events():
    desk = await open_desk()

    reply = await opened(desk)

    order = desk.books.order(str(reply.data["order"]))
    assert order is not None and order.state is OrderState.FILLED and reply.data["state"] == "filled"
    assert text(reply) == "Filled: 1 of 1."
    assert fact(reply, "you received").value == fact(reply, "in money").value / 100  # type: ignore[operator]
    events = {event.seq: event for event in await desk.store.read()}
    kinds = {type(events[seq].body) for seq in reply.cites}
    assert {Submitting, Filled} <= kinds
    assert len(table(reply, "Fills").rows) == 2


async def test_d1_confirm_when_pressed_twice_then_there_is_one_order():
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread SPX 1")
    line = f"confirm {card.data['ticket']}"

    await say(desk, line, via=Via.BUTTON)
    second = await say(desk, line, via=Via.BUTTON)

    assert not second.ok and "already confirmed" in text(second)
    assert len(desk.book(desk.account().id).orders) == 1


async def test_d2_confirm_when_the_card_has_expired_then_a_fresh_card_comes_and_nothing_is_sent():
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread SPX 1")
    clock = desk.runtime.clock
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(seconds=121))

    reply = await say(desk, f"confirm {card.data['ticket']}", via=Via.BUTTON)

    assert not reply.ok and "had expired. Nothing was sent" in text(reply)
    assert lines(reply)[0] == f"confirm {reply.data['ticket']}" and reply.data["ticket"] != card.data["ticket"]
    assert not desk.book(desk.account().id).orders


async def test_confirm_when_the_desk_was_halted_meanwhile_then_nothing_is_sent():
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread SPX 1")
    await say(desk, "halt")

    reply = await say(desk, f"confirm {card.data['ticket']}", via=Via.BUTTON)

    assert not reply.ok and not desk.book(desk.account().id).orders


async def test_d9_confirm_when_the_same_order_was_just_confirmed_then_a_second_one_needs_its_own_button():
    desk = await open_desk(cash=1_000_000)
    await opened(desk)

    again = await say(desk, "open put_credit_spread SPX 1 limit=3.60")

    assert again.data["allowed"] is False
    second = next(line for line in lines(again) if "second_order=yes" in line)
    card = await say(desk, second, via=Via.BUTTON)
    assert card.data["allowed"] is True, text(card)
    assert (await say(desk, f"confirm {card.data['ticket']}")).data["state"] == "filled"


async def test_close_when_one_trade_fits_then_its_legs_are_reversed_and_it_can_be_confirmed():
    desk = await open_desk()
    trade_id = str((await opened(desk)).data["trade"])

    card = await say(desk, "close SPX limit=5.50")

    drafted = desk.fold.tickets[str(card.data["ticket"])].drafted
    trade = desk.books.trade(trade_id)
    assert trade is not None and drafted.envelope.trade_id == trade_id
    assert [leg.side for leg in drafted.envelope.legs] == [Side.BUY, Side.SELL]
    assert [leg.instrument for leg in drafted.envelope.legs] == [leg.instrument for leg in trade.legs]
    assert fact(card, "risk").value == "reduces risk, as measured" and fact(card, "quantity").note == "all that is open"
    closed = await say(desk, f"confirm {card.data['ticket']}")
    assert closed.data["state"] == "filled" and not desk.book(desk.account().id).positions


async def test_close_when_a_limit_is_said_then_it_is_what_is_paid():
    desk = await open_desk()
    await opened(desk)

    card = await say(desk, "close SPX limit=2.00")

    assert desk.fold.tickets[str(card.data["ticket"])].drafted.said_limit == Decimal("-2.00")
    assert fact(card, "you pay").value == Decimal("2.00")


async def test_close_when_several_trades_fit_then_asks_with_a_button_for_each():
    desk = await open_desk(cash=1_000_000)
    first = await opened(desk)
    second = await opened(desk, "open put_credit_spread SPX 1 delta=0.10 limit=2.00")

    reply = await say(desk, "close SPX quantity=1")

    assert not reply.ok and "Which one?" in text(reply)
    assert lines(reply) == [f"close position_id={trade.data['trade']} quantity=1" for trade in (first, second)]
    card = await say(desk, lines(reply)[1], via=Via.BUTTON)
    assert fact(card, "trade").value == second.data["trade"]


async def test_close_when_everything_is_meant_then_each_trade_has_its_own_card():
    desk = await open_desk(cash=1_000_000)
    await opened(desk, "open put_credit_spread SPY 1")
    await opened(desk, "open put_credit_spread XSP 2")

    reply = await say(desk, "close scope=all")

    confirms = [line for line in lines(reply) if line.startswith("confirm")]
    assert reply.ok and "2 positions to close, each with its own card" in text(reply) and len(confirms) == 2
    assert len({action.label for action in reply.actions}) == len(reply.actions)
    for line in confirms:
        assert (await press(desk, line)).data["state"] == "filled"
    assert not desk.book(desk.account().id).positions


@pytest.mark.parametrize(("held", "words", "closed"), [
    (5, "fraction=0.5", 2), (5, "fraction=10%", 1), (4, "quantity=3", 3), (4, "3", 3), (2, "fraction=1", 2),
])
async def test_close_when_a_part_is_said_then_it_is_rounded_down_to_at_least_one(held: int, words: str, closed: int):
    desk = await open_desk(cash=1_000_000)
    await opened(desk, f"open put_credit_spread XSP {held}")

    card = await say(desk, f"close XSP {words}")

    assert card.data["quantity"] == closed


async def test_close_when_half_of_one_is_said_then_it_is_asked():
    desk = await open_desk()
    trade = await opened(desk)

    reply = await say(desk, "close SPX fraction=0.5")

    assert not reply.ok and "Only 1 of" in text(reply)
    assert lines(reply)[0] == f"close position_id={trade.data['trade']} quantity=1"


@pytest.mark.parametrize(("line", "sentence"), [
    ("close SPY", "There is no open SPY position in practice"),
    ("close position_id=P999", "There is no open P999 position"),
    ("close SPX quantity=2", "2 is more than the 1 that may be closed"),
    ("close SPX 2", "2 is more than the 1 that may be closed"),
    ("close SPX 0", "whole number from 1"),
    ("close SPX quantity=1 fraction=0.5", "both given"),
    ("close SPX fraction=2", "more than nothing and at most all"),
    ("close SPX limit=2.03", "between price steps of 0.05"),
    ("close scope=all quantity=1", "cannot hold for everything"),
])
async def test_close_when_what_is_said_cannot_be_then_refuses(line: str, sentence: str):
    desk = await open_desk()
    await opened(desk)
    before = desk.fold.seq

    reply = await say(desk, line)

    assert not reply.ok and sentence in text(reply)
    assert desk.fold.seq == before


async def test_close_when_nothing_is_held_then_says_so():
    assert "There is no open position in practice" in text(await say(await open_desk(), "close"))


async def test_close_when_only_an_opening_order_is_working_then_it_is_named_with_what_withdraws_it():
    desk = await open_desk()
    order = await working(desk)

    assert f"Order {order} works to open one; `cancel {order}` withdraws it." in text(await say(desk, "close SPX"))
    assert f"`cancel {order}`" in text(await say(desk, "close"))
    assert "cancel" not in text(await say(desk, "close KO"))


async def test_n8_close_when_a_closing_order_is_working_then_it_is_not_closed_twice():
    desk = await open_desk()
    await opened(desk)
    card = await say(desk, "close SPX limit=1.00")
    order = (await say(desk, f"confirm {card.data['ticket']}")).data["order"]

    reply = await say(desk, "close SPX")

    assert not reply.ok and f"being closed already by order {order}" in text(reply)


async def test_close_when_shares_belong_to_no_trade_then_they_are_closed_by_their_symbol():
    desk = await open_desk()
    await hold_shares(desk, 100)

    card = await say(desk, "close KO")

    drafted = desk.fold.tickets[str(card.data["ticket"])].drafted
    (leg,) = drafted.envelope.legs
    assert (leg.side, leg.instrument.key, drafted.envelope.quantity, drafted.envelope.trade_id) == (Side.SELL, "KO", 100, None)
    assert fact(card, "in money").note.startswith("100 x ")


async def test_pnl_when_shares_of_a_trade_and_others_are_held_then_each_is_against_its_own_cost_and_all_add_up():
    desk = await open_desk()
    await opened(desk, "open stock KO 50")
    await hold_shares(desk, 100)  # at 70.00

    found, standing, card = await say(desk, "pnl all"), await say(desk, "status"), await say(desk, "close position_id=KO quantity=100")

    mid = Decimal(str(fact(card, "mid now").value))
    held = fact(found, "held outside trades").value
    assert abs(held - 100 * (mid - 70)) < 1 and abs(held) > 100  # type: ignore[operator, arg-type]
    worth = fact(standing, "net liquidation value").value - 100_000  # type: ignore[operator]
    assert worth == held + fact(found, "open, at mids").value  # type: ignore[operator]
    (row,) = table(await say(desk, "positions"), "Held outside any trade (assigned, external)").rows
    assert row[2] == 70
    assert fact(card, "profit or loss").value == fact(card, "in money").value - 7_000  # type: ignore[operator]


async def test_close_when_a_short_call_is_held_beside_the_shares_then_a_symbol_means_both_and_an_id_the_shares():
    desk = await open_desk()
    await hold_shares(desk, 50)
    account, sold = desk.account().id, option("KO", date(2026, 12, 18), Right.CALL, Decimal(70))
    fill = Fill(
        exec_id="X2", account=account, client_id=None, instrument=sold, side=Side.SELL, quantity=1, price=Decimal(1), fees=Decimal(0),
        at=desk.now(),
    )
    await desk.record(desk.draft(Filled(fill=fill), actor="broker", stream=str(account)))

    asked, card = await say(desk, "close KO"), await say(desk, "close position_id=KO")

    assert not asked.ok and text(asked) == "2 positions fit. Which one?"
    assert lines(asked) == ["close position_id=KO", "close position_id=KO261218C00070000", "close scope=all symbol=KO"]
    assert desk.fold.tickets[str(card.data["ticket"])].drafted.envelope.legs[0].instrument.key == "KO"


async def test_close_when_one_leg_of_a_trade_is_gone_then_the_rest_is_offered_by_itself():
    desk = await open_desk()
    reply = await opened(desk)
    trade = desk.books.trade(str(reply.data["trade"]))
    assert trade is not None
    long = trade.legs[1].instrument
    gone = Fill(
        exec_id="X2", account=trade.account, client_id=None, instrument=long, side=Side.SELL, quantity=1, price=Decimal(1), fees=Decimal(0),
        at=desk.now(),
    )
    await desk.record(desk.draft(Filled(fill=gone), actor="broker", stream=str(trade.account)))

    card = await say(desk, "close SPX")

    (leg,) = desk.fold.tickets[str(card.data["ticket"])].drafted.envelope.legs
    assert leg.instrument == trade.legs[0].instrument and leg.side is Side.BUY


async def test_cancel_when_an_order_is_working_then_it_is_cancelled_by_the_brokers_word():
    desk = await open_desk()
    order_id = await working(desk)
    assert desk.books.order(order_id).state is OrderState.WORKING  # type: ignore[union-attr]

    reply = await say(desk, f"cancel {order_id}")

    assert reply.ok and text(reply) == "Cancelled; nothing is filled." and reply.cites
    assert not desk.book(desk.account().id).live


async def test_cancel_when_no_order_is_named_then_the_working_ones_are_listed():
    desk = await open_desk(cash=1_000_000)
    order_id = await working(desk)

    reply = await say(desk, "cancel")

    assert lines(reply) == [f"cancel {order_id}"]
    assert [row[0] for row in table(reply, "Orders").rows] == [order_id]
    assert desk.book(desk.account().id).live


async def test_cancel_when_all_are_meant_then_all_are_cancelled():
    desk = await open_desk()
    order_id = await working(desk)

    reply = await say(desk, "cancel scope=all")

    assert reply.ok and "1 of 1 cancelled" in text(reply) and reply.cites
    assert desk.books.order(order_id).state is OrderState.CANCELLED  # type: ignore[union-attr]
    assert "nothing to cancel" in text(await say(desk, "cancel scope=all"))


async def test_cancel_when_the_order_is_over_or_unknown_then_nothing_is_sent():
    desk = await open_desk()
    order_id = (await opened(desk)).data["order"]

    over, unknown = await say(desk, f"cancel {order_id}"), await say(desk, "cancel O999")

    assert not over.ok and "is over already. Nothing was sent" in text(over)
    assert not unknown.ok and "There is no order 'O999'" in text(unknown)


async def test_cancel_when_a_sentence_asks_then_only_a_button_comes():
    desk = await open_desk()
    order_id = await working(desk)

    reply = await call(desk, "cancel", {"order_id": order_id}, via=Via.SENTENCE)

    assert not reply.ok and desk.book(desk.account().id).live
    assert lines(reply) == [f"cancel order_id={order_id}"]
