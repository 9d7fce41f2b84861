"""What status, positions, pnl, fills and greeks say about one put spread, with figures worked out from its fills."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.clock import ManualClock
from core.commands._periods import days_of
from core.desk import Desk
from core.domain.events import CashMoved, Marked
from core.domain.money import ZERO
from core.errors import UserError
from core.reply import Facts, Reply
from tests.paper_desk import START, fact, lines, open_desk, say, table, text


async def with_a_spread(units: int = 2) -> Desk:
    """A desk that sold put spreads on XSP."""
    desk = await open_desk()
    card = await say(desk, f"open put_credit_spread XSP {units}")
    sent = await say(desk, f"confirm {card.data['ticket']}")
    assert sent.data["filled"] == units
    return desk


def figures(desk: Desk) -> tuple[Decimal, Decimal]:
    """Premium and fees of the only trade, summed from its executions."""
    book = desk.book(desk.config.accounts[0].id)
    premium = sum((-fill.side.sign * fill.price * fill.quantity * 100 for fill in book.fills), ZERO)
    return premium, sum((fill.fees for fill in book.fills), ZERO)


async def test_positions_when_a_spread_is_open_then_shows_its_figures() -> None:
    desk = await with_a_spread()
    premium, fees = figures(desk)
    reply = await say(desk, "positions")
    (row,) = table(reply, "Open trades in practice").rows
    cells = dict(zip([column.title for column in table(reply, "Open trades in practice").columns], row, strict=True))
    assert cells["units"] == 2
    assert cells["credit"] == premium
    assert cells["DTE"] == 49
    assert isinstance(cells["P&L"], Decimal)
    assert -premium < cells["P&L"] < ZERO  # at mid: half the spread and the fees are gone
    assert cells["P&L"] <= -fees
    assert 0.1 < float(str(cells["short delta"])) < 0.2
    assert 0.05 < float(str(cells["to strike"])) < 0.15
    assert cells["flags"] == ""
    assert lines(reply) == [f"close position_id={cells['trade']}"]


async def test_positions_when_another_symbol_is_asked_then_has_none() -> None:
    desk = await with_a_spread()
    assert not lines(await say(desk, "positions SPY"))


async def test_pnl_when_a_spread_is_open_then_realised_is_nothing_and_open_matches_positions() -> None:
    desk = await with_a_spread()
    reply = await say(desk, "pnl all")
    row = table(await say(desk, "positions"), "Open trades in practice").rows[0]
    assert fact(reply, "closed trades").value == "none"
    assert fact(reply, "open, at mids").value == row[6]
    assert reply.data["realised_net"] == ZERO


async def test_pnl_when_closed_then_equals_the_change_of_cash_to_the_cent() -> None:
    desk = await with_a_spread()
    card = await say(desk, "close XSP")
    await say(desk, f"confirm {card.data['ticket']}")
    book = desk.book(desk.config.accounts[0].id)
    reply = await say(desk, "pnl today by=symbol")
    assert not book.positions
    assert reply.data["realised_net"] == book.cash - 100_000
    assert fact(reply, "commission and fees").value == book.fees
    assert table(reply, "Realised by symbol").rows[0][0] == "XSP"
    assert fact(await say(desk, "pnl yesterday"), "closed trades").value == "none"


async def test_fills_when_a_spread_was_sold_then_quality_is_net_against_the_mid_of_the_card() -> None:
    desk = await with_a_spread()
    premium, fees = figures(desk)
    reply = await say(desk, "fills")
    (row,) = next(block for block in reply.blocks if getattr(block, "title", "").startswith("Orders filled")).rows  # type: ignore[union-attr]
    (ticket,) = desk.fold.tickets.values()
    (order,) = desk.book(desk.account().id).orders.values()
    net, decided, arrived = premium / 200, ticket.drafted.mid, order.mid
    assert arrived is not None
    assert order.natural is not None
    share = (net - arrived) / abs(arrived - order.natural)
    assert row[2:] == (2, net, decided, (net - decided) * 200, arrived, (net - arrived) * 200, share, fees)
    assert row[8] < 0
    assert len(table(reply, "Executions").rows) == 2


async def test_greeks_when_a_put_spread_is_short_then_delta_and_theta_are_positive_gamma_and_vega_negative() -> None:
    desk = await with_a_spread()
    (row,) = table(await say(desk, "greeks"), "Greeks of practice").rows
    name, delta, gamma, theta, vega = row
    assert name == "XSP"
    assert float(str(delta)) > 0 > float(str(gamma))
    assert float(str(theta)) > 0 > float(str(vega))


async def test_status_when_a_spread_is_open_then_nlv_cash_and_margin_agree() -> None:
    desk = await with_a_spread()
    premium, fees = figures(desk)
    reply = await say(desk, "status")
    cash = 100_000 + premium - fees
    assert fact(reply, "open trades").value == 1
    assert fact(reply, "cash").value == cash
    assert fact(reply, "buying power").value == cash - 1000  # 2 x 5 points x 100
    nlv = fact(reply, "net liquidation value").value
    assert isinstance(nlv, Decimal)
    assert fact(reply, "day P&L").value == nlv - 100_000
    assert fact(reply, "session").value == "open, closes in 6 h 00 min"


async def test_status_when_an_order_works_then_its_id_stands_there() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread XSP 1 limit=2.00")
    sent = await say(desk, f"confirm {card.data['ticket']}")
    (row,) = table(await say(desk, "status"), "Working orders").rows
    assert row[:3] == (sent.data["order"], "working", "0/1")


async def test_status_when_halted_then_says_by_whom() -> None:
    desk = await open_desk()
    await say(desk, "halt")
    mode = fact(await say(desk, "status"), "mode")
    assert (mode.value, mode.note) == ("HALT", "halted by owner")


async def test_day_pnl_when_money_was_deposited_today_then_leaves_it_out() -> None:
    desk = await open_desk()
    account = desk.config.accounts[0].id
    clock = desk.runtime.clock
    assert isinstance(clock, ManualClock)
    mark = Marked(account=account, session=START.date(), net_liquidation=100_000.0)
    await desk.record(desk.draft(mark, actor="clock"))
    clock.set(START.replace(day=23))  # Monday
    moved = CashMoved(movement_id="d2", account=account, amount=Decimal(5000), reason="deposit", at=desk.now())
    await desk.record(desk.draft(moved, actor="broker:test"))
    day = fact(await say(desk, "status"), "day P&L")
    assert day.value == ZERO
    assert day.note == "since the close of 20 Nov 26"


async def test_status_when_the_session_is_over_then_names_the_next() -> None:
    desk = await open_desk(at=START.replace(hour=22))
    session = fact(await say(desk, "status"), "session")
    assert (session.value, session.note) == ("closed", "next Mon 23 Nov 26")


async def test_explain_when_a_trade_is_named_then_shows_its_own_figures() -> None:
    desk = await with_a_spread()
    premium, _ = figures(desk)
    (trade,) = desk.book(desk.config.accounts[0].id).trades
    reply = await say(desk, f"explain {trade}")
    assert fact(reply, "received").value == premium
    assert lines(reply) == [f"close position_id={trade}"]


async def test_commands_when_nothing_is_held_then_say_so_in_words() -> None:
    desk = await open_desk()
    for line in ("positions", "greeks", "fills"):
        reply = await say(desk, line)
        assert reply.ok
        assert not isinstance(reply.blocks[0], Facts)


async def test_commands_when_the_desk_is_halted_then_reading_still_works() -> None:
    desk = await with_a_spread()
    await say(desk, "kill")
    for line in ("status", "positions", "pnl all", "fills", "greeks", "config", "help", "account"):
        assert (await say(desk, line)).ok, line


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("today", "2026-11-20", "2026-11-20"), ("yesterday", "2026-11-19", "2026-11-19"), ("week", "2026-11-16", "2026-11-20"),
        ("month", "2026-11-01", "2026-11-20"), ("ytd", "2026-01-01", "2026-11-20"), ("year", "2025-11-20", "2026-11-20"),
        ("all", "1998-01-01", "2026-11-20"), ("2026-10-05", "2026-10-05", "2026-10-05"),
        ("2026-10-05..2026-10-09", "2026-10-05", "2026-10-09"),
    ],
)
def test_days_of_when_a_period_is_named_then_are_exchange_days(period: str, first: str, last: str) -> None:
    assert tuple(day.isoformat() for day in days_of(period, START)) == (first, last)


def test_days_of_when_a_period_ends_before_it_begins_then_refuses() -> None:
    with pytest.raises(UserError, match="ends before it begins"):
        days_of("2026-10-09..2026-10-05", START)


async def test_pnl_when_the_period_makes_no_sense_then_says_so() -> None:
    desk = await open_desk()
    reply: Reply = await say(desk, "pnl 2026-10-09..2026-10-05")
    assert "ends before it begins" in text(reply)


async def test_fills_when_all_of_them_are_none_then_does_not_send_the_person_in_a_circle() -> None:
    desk = await open_desk()
    assert "`fills all`" in repr((await say(desk, "fills")).blocks)
    assert "`fills all`" not in repr((await say(desk, "fills all")).blocks)
