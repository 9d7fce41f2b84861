"""Several paper accounts in one process: each its own exchange, confirmed and reconciled apart, shown together."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.announce import announce
from core.app import assemble, replay
from core.config import ConfigError, parse_config
from core.desk import Desk
from core.domain.events import CashMoved, Filled
from core.domain.instruments import Equity
from core.domain.orders import Fill, Side
from core.orders.alarm import raise_alert
from core.reply import Notice
from tests.paper_desk import account, fact, lines, open_desk, say, table, text

ACCOUNTS = (
    account("practice"), account("pension", kind="ira", cash=40_000), account("bonds", kind="cash", cash=5_000),
    account("large", kind="portfolio_margin", cash=500_000),
)


async def two_spreads() -> Desk:
    """One spread in each of two accounts, two units and one."""
    desk = await open_desk(accounts=ACCOUNTS)
    for name, units in (("practice", 2), ("pension", 1)):
        card = await say(desk, f"open put_credit_spread XSP {units} account={name}")
        assert (await say(desk, f"confirm {card.data['ticket']}")).ok
    return desk


async def test_accounts_when_listed_then_kind_buying_power_fees_and_what_each_may_do() -> None:
    desk = await open_desk(accounts=ACCOUNTS)

    reply = await say(desk, "account")

    rows = {row[0]: row[1:] for row in table(reply, "Accounts").rows}
    assert rows["practice"] == ("yes", "active", "reg_t", Decimal(100_000), Decimal(100_000))
    assert rows["bonds"] == ("", "active", "cash", Decimal(5_000), Decimal(5_000))
    may = {row[0]: row for row in table(reply, "What each may do").rows}
    assert str(may["practice"][4]).endswith("; short shares") and str(may["bonds"][4]).count("short shares") == 1
    assert "spreads" in str(may["bonds"][4]) and "spreads" in str(may["pension"][3]) and may["large"][2] == "ibkr"
    assert lines(reply) == ["account id=pension", "account id=bonds", "account id=large"]


async def test_orders_when_confirmed_in_two_accounts_then_each_book_has_its_own_and_both_agree_with_their_exchanges() -> None:
    desk = await two_spreads()

    quantities = {name.id: sorted(item.quantity for item in book.positions.values()) for name, book in desk.books.accounts.items()}
    results = [await sender.reconcile() for sender in desk.senders.values()]

    assert quantities == {"PRACTICE": [-2, 2], "PENSION": [-1, 1], "BONDS": [], "LARGE": []}
    assert all(result.complete and not result.found for result in results)


async def test_orders_when_an_account_may_not_hold_it_then_refused_there_and_not_elsewhere() -> None:
    desk = await open_desk(accounts=ACCOUNTS)

    refused = await say(desk, "open put_credit_spread XSP 1 account=bonds")
    taken = await say(desk, "open put_credit_spread XSP 1 account=practice")

    assert "insufficient buying power" in text(refused) or "refuse" in text(refused)
    assert taken.ok and "Blocked" not in text(taken)


async def test_reports_when_all_accounts_are_asked_then_every_row_names_its_account_and_totals_are_the_sums() -> None:
    desk = await two_spreads()

    positions, pnl, greeks = [await say(desk, f"{name} account=all") for name in ("positions", "pnl", "greeks")]

    assert [row[1] for row in table(positions, "Open trades in all accounts").rows] == ["practice", "pension"]
    *each, total = table(positions, "By account").rows
    assert total == ("all accounts", 2, sum(row[2] for row in each), sum(row[3] for row in each))  # type: ignore[misc]
    *each, total = table(pnl, "By account").rows
    assert (total[3], total[4]) == (2, sum(row[4] for row in each))  # type: ignore[misc]
    *each, total = table(greeks, "By account").rows
    assert total[1] == pytest.approx(sum(row[1] for row in each))  # type: ignore[misc]
    assert table(greeks, "Greeks of all accounts").rows[0][1] == pytest.approx(total[1])


async def test_reports_when_one_account_is_asked_then_only_its_own() -> None:
    desk = await two_spreads()

    (row,) = table(await say(desk, "positions account=pension"), "Open trades in pension").rows
    none = await say(desk, "positions account=bonds")

    assert row[3] == 1
    assert "No open positions in bonds" in getattr(none.blocks[0], "text", "")


async def test_status_when_there_are_several_then_each_and_all_together() -> None:
    desk = await two_spreads()

    reply = await say(desk, "status")
    one = await say(desk, "status account=pension")

    titles = [getattr(block, "title", "") for block in reply.blocks]
    assert "All 4 accounts together" in titles and sum(title.startswith("Account ") for title in titles) == 4
    assert [title for block in one.blocks if (title := getattr(block, "title", "")).startswith("Account ")] == [
        "Account pension (paper PENSION, paper, ira)"
    ]


async def test_risk_when_all_are_asked_then_a_line_each_and_the_stress_of_everything() -> None:
    desk = await two_spreads()

    reply = await say(desk, "risk account=all")

    rows = {row[0]: row for row in table(reply, "Risk by account").rows}
    assert rows["pension"][5] == "none, paid in full" and rows["practice"][5] == "none within -60%"
    alone = [fact(await say(desk, f"risk account={name}"), "worst stress").value for name in ("practice", "pension")]
    assert fact(reply, "worst stress").value == pytest.approx(sum(alone))  # type: ignore[arg-type]


async def test_pnl_when_everything_is_closed_then_realised_is_the_cash_of_all_books_to_the_cent() -> None:
    desk = await two_spreads()
    for name in ("practice", "pension"):
        card = await say(desk, f"close XSP account={name}")
        await say(desk, f"confirm {card.data['ticket']}")

    reply = await say(desk, "pnl today by=account account=all")

    earned = sum((book.cash - book.deposits for book in desk.books.accounts.values()), Decimal(0))
    assert reply.data["realised_net"] == earned
    assert sum(row[5] for row in table(reply, "Realised by account").rows) == earned  # type: ignore[misc]


async def test_kill_when_orders_work_in_two_accounts_then_both_are_cancelled_and_everything_is_halted() -> None:
    desk = await open_desk(accounts=ACCOUNTS)
    for name in ("practice", "pension"):
        card = await say(desk, f"open put_credit_spread XSP 1 limit=0.90 account={name}")
        await say(desk, f"confirm {card.data['ticket']}")
    assert [len(desk.book(sender).live) for sender in desk.senders] == [1, 1, 0, 0]

    reply = await say(desk, "kill")

    assert "HALT" in text(reply)
    assert [len(desk.book(name).live) for name in desk.senders] == [0, 0, 0, 0]
    assert {order.state.value for book in desk.books.accounts.values() for order in book.orders.values()} == {"cancelled"}
    assert {desk.mode(account=name)[0].value for name in desk.brokers} == {"halt"}


async def test_restart_when_the_log_is_read_again_then_both_books_and_reconciliation_are_as_before() -> None:
    desk = await two_spreads()

    again = await assemble(
        config=parse_config({"accounts": list(ACCOUNTS)}), runtime=desk.runtime, store=desk.store, archive=desk.archive, token=desk.token,
        fold=await replay(desk.store), providers=desk.providers, halt_reason=lambda: None,
    )
    for sender in again.senders.values():
        await sender.connect()

    positions = [{name: dict(book.positions) for name, book in one.books.accounts.items()} for one in (desk, again)]
    assert positions[0] == positions[1]
    assert {again.mode(account=name)[0].value for name in again.brokers} == {"active"}


@pytest.mark.parametrize("name", ["all", "outside", "ALL"])
def test_config_when_an_account_has_a_reserved_name_then_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="reserved"):
        parse_config({"accounts": [account(name)]})


@pytest.mark.parametrize(
    "line",
    [
        "open put_credit_spread XSP 1 account=all", "close XSP account=all", "cancel scope=all account=all", "pause account=all",
        "account books=yes account=all", "account all",
    ],
)
async def test_all_when_named_where_one_account_is_meant_then_refused_in_a_sentence(line: str) -> None:
    desk = await open_desk(accounts=ACCOUNTS)
    before = desk.fold.seq

    reply = await say(desk, line)

    assert not reply.ok and "One account at a time" in text(reply)
    assert desk.fold.seq == before


async def test_close_when_a_trade_is_named_by_its_id_then_the_account_that_holds_it_is_meant() -> None:
    desk = await two_spreads()
    (trade,) = desk.book(desk.account(named="pension").id).open_trades

    card = await say(desk, f"close position_id={trade.id}")
    wrong = await say(desk, f"close position_id={trade.id} account=practice")

    assert card.ok and fact(card, "account").value == "pension" and fact(card, "trade").value == trade.id
    assert not wrong.ok and f"no open {trade.id} position in practice" in text(wrong)


async def test_alert_when_there_are_several_accounts_then_it_and_its_buttons_name_their_own() -> None:
    desk = await two_spreads()
    pension, buttons = desk.account(named="pension"), {"Close XSP": "close symbol=XSP", "Noted": "ack alert=K"}

    await raise_alert(desk, "K", urgency="high", text="1 short put of XSP is uncovered.", account=pension.id, buttons=buttons)

    raised = desk.fold.alerts["K"].raised
    assert raised.text == "pension: 1 short put of XSP is uncovered."
    assert raised.lines == ("close symbol=XSP account=pension", "ack alert=K")
    assert fact(await say(desk, raised.lines[0]), "account").value == "pension"


async def test_card_when_it_is_of_another_than_the_default_account_then_its_ways_out_are_of_that_one() -> None:
    desk = await open_desk(accounts=ACCOUNTS)
    for line in ("open stock KO 100", "open covered_call KO 1"):
        card = await say(desk, f"{line} account=large")
        assert (await say(desk, f"confirm {card.data['ticket']}")).data["state"] == "filled"
    shares = next(trade for trade in desk.book(desk.account(named="large").id).open_trades if trade.strategy == "stock")

    card = await say(desk, f"close position_id={shares.id}")

    assert "close symbol=KO scope=all account=large" in lines(card)


async def test_news_when_there_are_several_accounts_then_it_says_whose_it_is() -> None:
    desk = await open_desk(accounts=ACCOUNTS)
    news: list[str] = []
    desk.listen(lambda event, outcomes: news.extend(
        block.text for found in (announce(event, outcomes, desk.books),) if found for block in found.blocks if isinstance(block, Notice)
    ))
    paid = CashMoved(
        movement_id="M1", account=desk.account(named="pension").id, amount=Decimal(24), reason="dividend", at=desk.now(), symbol="KO",
        quantity=50,
    )

    await desk.record(desk.draft(paid, actor="broker", stream=str(paid.account)))

    assert news == ["pension: Dividend: 50 KO paid 0.4800 a share; cash +24.00 USD."]


async def test_pnl_when_shares_are_held_beside_trades_then_each_account_shows_its_own() -> None:
    desk = await open_desk(accounts=ACCOUNTS)
    for name, side, count in (("practice", Side.BUY, 100), ("large", Side.SELL, 50)):
        owner = desk.account(named=name).id
        fill = Fill(
            exec_id=f"E{count}", account=owner, client_id=None, instrument=Equity(symbol="KO"), side=side, quantity=count,
            price=Decimal(60), fees=Decimal(0), at=desk.now(),
        )
        await desk.record(desk.draft(Filled(fill=fill), actor="broker", stream=str(owner)))

    shown = await say(desk, "positions account=all")
    assert lines(shown) == ["close position_id=KO account=practice", "close position_id=KO account=large"]
    rows = {row[0]: row[-1] for row in table(await say(desk, "pnl all account=all"), "By account").rows}

    assert rows["practice"] == rows["large"] * -2 and rows["all accounts"] == rows["practice"] + rows["large"] != 0  # type: ignore[operator]
