"""`log_trade`: what is missing is asked for, a tap books it once, a connected account only has its executions named."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from core.app import App, replay
from core.command import Via
from core.desk import Desk
from core.domain.accounts import OUTSIDE
from core.domain.events import FillsNamed, Settled, TradeLogged
from tests.paper_desk import fact, lines, open_desk, say, table, text

PUT = "log_trade sell SPY strikes=580 right=put expiry=2026-12-18 quantity=2 price=3.20"
ELSEWHERE = f"{PUT} when=2026-11-19 account=outside"
SPREAD = "log_trade sell put_credit_spread SPY strikes=580/570 expiry=2026-12-18 quantity=2 price=1.20 account=outside"


async def booked(desk: Desk, line: str) -> str:
    """Draw the card and press Confirm; returns the trade's id."""
    card = await say(desk, line)
    reply = await say(desk, lines(card)[0], via=Via.BUTTON)
    assert reply.ok, text(reply)
    return str(reply.data["trade"])


@pytest.mark.parametrize(
    ("line", "question", "button"),
    [
        ("log_trade SPY price=3.20", "bought or sold", None),
        ("log_trade sell price=3.20", "which symbol", None),
        ("log_trade sell SPY strikes=580 right=put expiry=2026-12-18", "which price", None),
        ("log_trade sell SPY price=3.20 quantity=2", "shares of SPY, or options", "strategy=stock"),
        ("log_trade sell SPY strikes=580 price=3.20 expiry=2026-12-18", "Puts or calls", "right=put"),
        ("log_trade sell SPY right=put price=3.20 expiry=2026-12-18", "Which strike", None),
        ("log_trade sell SPY strikes=580 right=put price=3.20", "Which expiry", None),
        ("log_trade sell SPY strikes=580 right=put price=3.20 expiry=2026-12-18", "How many contracts", "quantity=2"),
        ("log_trade sell SPY strikes=580/570 right=put price=1.20 expiry=2026-12-18 quantity=1", "which structure", "put_credit_spread"),
        ("log_trade sell SPX strikes=6000 right=put price=9 expiry=2026-12-18 quantity=1", "both expire on 2026-12-18", "root=SPXW"),
        ("log_trade buy stock SPY price=630", "How many shares", None),
        (PUT, "which account", "account=outside"),
    ],
)
async def test_log_when_something_is_missing_then_asked_and_nothing_is_recorded(line: str, question: str, button: str | None) -> None:
    desk = await open_desk()
    before = desk.fold.seq

    reply = await say(desk, line)

    assert not reply.ok and question in text(reply)
    assert button is None or any(button in each for each in lines(reply))
    assert desk.fold.seq == before


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (f"{PUT} when=2026-11-23 account=outside", "still to come"),
        (f"{PUT} when=2026-11-15 account=outside", "closed on 2026-11-15"),
        ("log_trade sell SPY strikes=580 right=put expiry=2026-11-13 quantity=2 price=3.20 when=2026-11-19", "was not traded"),
        ("log_trade sell SPY strikes=580 right=put expiry=2026-12-19 quantity=2 price=3.20 account=outside", "is a Saturday"),
        ("log_trade sell calendar SPY strikes=580 expiry=2026-12-18 quantity=2 price=3.20 account=outside", "two expiries"),
        ("log_trade sell put_credit_spread SPY strikes=580/570 right=call expiry=2026-12-18 quantity=2 price=1", "has no call"),
        ("log_trade sell stock SPY strikes=580 quantity=2 price=630 account=outside", "Shares have no strikes"),
        ("log_trade buy stock SPX quantity=2 price=6400 account=outside", "SPX is an index; nobody can hold shares of it"),
        (f"{SPREAD.replace('1.20', '12')}", "12.00 received is more than it can ever owe (10.00)"),
        (f"{PUT.replace('3.20', '640')} account=outside", "640.00 received is more than it can ever owe (580.00)"),
        (f"{SPREAD.replace('sell', 'buy').replace('1.20', '12')}", "12.00 paid is more than it can ever be worth (10.00)"),
        (SPREAD.replace("sell", "buy"), "A put_credit_spread is opened by a sell, and none like it is held outside for a buy to close"),
        (PUT.replace("SPY", "long_put SPY") + " account=outside", "A long_put is opened by a buy, and none like it is held outside"),
        (f"{PUT} account=nowhere", "no account 'nowhere'"),
    ],
)
async def test_log_when_it_cannot_be_then_refused_with_what_is_wrong(line: str, refusal: str) -> None:
    desk = await open_desk()
    before = desk.fold.seq

    reply = await say(desk, line)

    assert not reply.ok and refusal in text(reply)
    assert desk.fold.seq == before


async def test_log_when_drawn_then_the_card_says_it_all_and_nothing_is_booked_before_the_tap() -> None:
    desk = await open_desk()
    before = desk.fold.seq

    card = await say(desk, ELSEWHERE)

    assert fact(card, "account").value == "outside" and fact(card, "it").value == "opens a new trade"
    assert fact(card, "price").value == "3.20 received per share" and fact(card, "in money").value == Decimal(640)
    assert fact(card, "commission, fees").value is None and "not said" in fact(card, "commission, fees").note
    assert desk.fold.seq == before and OUTSIDE.id not in desk.books.accounts


async def test_log_when_confirmed_then_booked_once_however_often_pressed_and_a_restart_between() -> None:
    desk = await open_desk()
    card = await say(desk, ELSEWHERE)
    press = lines(card)[0]

    first = await say(desk, press, via=Via.BUTTON)
    again = await say(desk, press, via=Via.BUTTON)

    assert first.ok and "booked before" in text(again)
    book = desk.book(OUTSIDE.id)
    (position,) = book.positions.values()
    assert (position.quantity, position.average_price, book.cash) == (-2, Decimal("3.20"), Decimal("640.00"))
    assert sum(isinstance(event.body, TradeLogged) for event in await desk.store.read()) == 1
    assert (await replay(desk.store)).digest() == desk.fold.digest()
    desk.fold = await replay(desk.store)
    assert "booked before" in text(await say(desk, press, via=Via.BUTTON))


@pytest.mark.parametrize("via", [Via.MODEL, Via.SENTENCE, Via.CLOCK])
async def test_log_when_no_person_presses_then_nothing_is_booked(via: Via) -> None:
    desk = await open_desk()
    card = await say(desk, ELSEWHERE)

    reply = await say(desk, lines(card)[0], via=via)

    assert not reply.ok and OUTSIDE.id not in desk.books.accounts


async def test_log_when_a_changed_line_is_pressed_then_a_new_card_and_nothing_is_booked() -> None:
    desk = await open_desk()
    card = await say(desk, ELSEWHERE)

    reply = await say(desk, lines(card)[0].replace("price=3.2", "price=8.2"))

    assert not reply.ok and "stands otherwise" in text(reply)
    assert OUTSIDE.id not in desk.books.accounts


async def test_log_when_the_same_is_logged_again_then_the_card_says_so() -> None:
    desk = await open_desk()
    await booked(desk, ELSEWHERE)

    assert "very same was booked before" in text(await say(desk, ELSEWHERE))


async def test_log_when_a_part_is_bought_back_then_the_trade_it_was_sold_in_closes_by_that_part_net_of_fees() -> None:
    desk = await open_desk()
    trade = await booked(desk, ELSEWHERE)

    same = await booked(desk, "log_trade buy SPY strikes=580 right=put expiry=2026-12-18 quantity=1 price=1.20 fees=1.30 account=outside")

    assert same == trade
    found = desk.book(OUTSIDE.id).trades[trade]
    assert (found.strategy, found.open_units, found.premium, found.closing_cash, found.fees) == (
        "naked_put", 1, Decimal("640.00"), Decimal("-120.00"), Decimal("1.30"),
    )


async def test_log_when_more_is_bought_back_than_held_then_refused() -> None:
    desk = await open_desk()
    await booked(desk, ELSEWHERE)

    reply = await say(desk, "log_trade buy SPY strikes=580 right=put expiry=2026-12-18 quantity=3 price=1.20 account=outside")

    assert not reply.ok and "Part of it closes" in text(reply)


async def test_log_when_two_trades_hold_it_then_asked_which_one() -> None:
    desk = await open_desk()
    first = await booked(desk, ELSEWHERE)
    second = await booked(desk, ELSEWHERE.replace("3.20", "3.10"))
    back = "log_trade buy SPY strikes=580 right=put expiry=2026-12-18 quantity=2 price=1.20 account=outside"

    question = await say(desk, back)

    assert "Which trade does it close" in text(question)
    assert [f"position_id={name}" in line for name, line in zip((first, second), lines(question), strict=True)] == [True, True]
    assert await booked(desk, f"{back} position_id={second}") == second
    assert desk.book(OUTSIDE.id).trades[first].open_units == 2


async def test_log_when_a_spread_is_logged_by_its_strategy_then_both_legs_and_the_net_price() -> None:
    desk = await open_desk()
    trade = await booked(
        desk, "log_trade sell put_credit_spread SPX strikes=5950/6000 expiry=2026-12-18 root=SPXW quantity=2 price=4.10 account=outside"
    )

    book = desk.book(OUTSIDE.id)

    assert {position.instrument.key.strip(): position.quantity for position in book.positions.values()} == {
        "SPXW  261218P05950000": 2, "SPXW  261218P06000000": -2,
    }
    assert book.trades[trade].premium == Decimal("820.00") == book.cash


async def test_log_when_shares_are_logged_then_held_at_their_price() -> None:
    desk = await open_desk()

    trade = await booked(desk, "log_trade buy stock SPY quantity=100 price=631.20 account=outside")

    assert desk.book(OUTSIDE.id).trades[trade].premium == Decimal("-63120.00")
    assert desk.book(OUTSIDE.id).positions["SPY"].quantity == 100


async def test_log_when_taken_back_then_nothing_is_held_and_it_cannot_be_taken_back_twice() -> None:
    desk = await open_desk()
    card = await say(desk, ELSEWHERE)
    await say(desk, lines(card)[0])
    name = card.data["log"]

    undo = await say(desk, f"log_trade undo={name}")
    done = await say(desk, lines(undo)[0])

    book = desk.book(OUTSIDE.id)
    assert done.ok and not book.positions and not book.cash and not list(book.trades) and not list(book.fills)
    assert "taken back before" in text(await say(desk, f"log_trade undo={name}"))
    assert (await replay(desk.store)).digest() == desk.fold.digest()


async def test_log_when_an_opening_was_closed_since_then_it_is_not_taken_back() -> None:
    desk = await open_desk()
    card = await say(desk, ELSEWHERE)
    await say(desk, lines(card)[0])
    await booked(desk, "log_trade buy SPY strikes=580 right=put expiry=2026-12-18 quantity=1 price=1.20 account=outside")

    reply = await say(desk, f"log_trade undo={card.data['log']}")

    assert not reply.ok and "ended" in text(reply)


# --- connected accounts --------------------------------------------------------------------------------------------------


async def with_a_stranger(desk: Desk) -> tuple[str, Decimal]:
    """A spread that somebody sold at the broker's own screen; returns the words of its legs and the price."""
    card = await say(desk, "open put_credit_spread XSP 2")
    drafted = desk.fold.tickets[str(card.data["ticket"])].drafted
    account = desk.account().id
    await desk.brokers[account].enter(drafted.envelope, drafted.envelope.plan.worst)  # type: ignore[attr-defined]
    await desk.senders[account].settle_down()
    strikes = "/".join(sorted(str(leg.instrument.strike) for leg in drafted.envelope.legs))  # type: ignore[union-attr]
    expiry = drafted.envelope.legs[0].instrument.expiry  # type: ignore[union-attr]
    return f"log_trade sell put_credit_spread XSP strikes={strikes} expiry={expiry} quantity=2", drafted.envelope.plan.worst


async def test_log_when_the_broker_has_the_execution_from_elsewhere_then_it_is_named_and_nothing_else_changes() -> None:
    desk = await open_desk()
    words, price = await with_a_stranger(desk)
    book = desk.book(desk.account().id)

    card = await say(desk, f"{words} price={price + Decimal('0.04')} account=practice")
    done = await say(desk, lines(card)[0], via=Via.BUTTON)

    assert "nothing is booked or sent" in fact(card, "account").note and done.ok
    after = desk.book(desk.account().id)
    assert (after.cash, after.positions, len(after.trades)) == (book.cash, book.positions, 0)
    (body,) = {event.body for event in await desk.store.read() if isinstance(event.body, FillsNamed)}
    assert len(body.exec_ids) == 2
    assert "put_credit_spread" in (await say(desk, "fills")).blocks[-1].text  # type: ignore[union-attr]
    assert "not there" in text(await say(desk, f"{words} price={price} account=practice"))  # named once


@pytest.mark.parametrize("change", ["price=0.90", "quantity=3", "when=2026-11-19"])
async def test_log_when_price_quantity_or_day_differ_then_it_is_not_there_after_one_more_comparison(change: str) -> None:
    desk = await open_desk()
    words, price = await with_a_stranger(desk)
    name, _, _ = change.partition("=")
    line = " ".join(word for word in f"{words} price={price}".split() if not word.startswith(f"{name}="))

    reply = await say(desk, f"{line} {change} account=practice")

    assert not reply.ok and "It is not there" in text(reply)
    assert lines(reply)[0].endswith("account=outside")


async def test_log_when_it_was_an_order_of_this_desk_then_said_so() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread XSP 2")
    done = await say(desk, f"confirm {card.data['ticket']}")
    legs = desk.fold.tickets[str(card.data["ticket"])].drafted.envelope.legs
    strikes = "/".join(sorted(str(leg.instrument.strike) for leg in legs))  # type: ignore[union-attr]
    expiry = legs[0].instrument.expiry  # type: ignore[union-attr]

    words = f"log_trade sell put_credit_spread XSP strikes={strikes} expiry={expiry} quantity=2 price=0.47"
    reply = await say(desk, f"{words} account=practice")

    assert not reply.ok and f"is order {done.data['order']} of this desk" in text(reply)


async def test_log_when_something_is_held_elsewhere_then_the_connected_books_still_agree() -> None:
    desk = await open_desk()
    await booked(desk, ELSEWHERE)

    result = await desk.senders[desk.account().id].reconcile()

    assert result.complete and not result.found
    assert not desk.book(desk.account().id).positions


async def test_fills_when_a_spread_was_logged_then_what_was_not_said_is_unknown_and_its_net_price_is_told() -> None:
    desk = await open_desk()
    await booked(desk, SPREAD)
    await booked(desk, f"{ELSEWHERE} fees=1.30")

    reply = await say(desk, "fills all account=outside")

    priced = [(row[-2], row[-1]) for row in table(reply, "Executions").rows]
    assert sorted(priced, key=str) == sorted([(None, None), (None, None), (Decimal("3.2"), Decimal("1.30"))], key=str)
    assert reply.blocks[-1].text.endswith(  # type: ignore[union-attr]
        ": 2 x SPY 18 Dec 26 580/570 put spread at +1.20 net; the price of each leg was not said."
    )


async def test_pnl_when_the_fees_of_a_logged_trade_were_not_said_then_the_result_says_that_they_are_missing() -> None:
    desk = await open_desk()
    await booked(desk, SPREAD)
    back = SPREAD.replace("sell", "buy").replace("1.20", "0.40")
    await booked(desk, f"{back} fees=2.60")

    found = await say(desk, "pnl all account=outside")

    assert fact(found, "commission and fees").value == Decimal("2.60")
    assert fact(found, "commission and fees").note == "without those of 1 logged trade, which were not said"


# --- how it ends ---------------------------------------------------------------------------------------------------------


async def test_outside_when_a_cash_settled_spread_expires_then_settled_on_the_published_value() -> None:
    desk = await open_desk()
    trade = await booked(
        desk, "log_trade sell put_credit_spread SPX strikes=9900/10000 expiry=2026-11-20 root=SPXW quantity=1 price=60 account=outside"
    )

    await App(desk=desk, home=None).step_clock(date(2026, 11, 23))

    settled = [event.body for event in await desk.store.read() if isinstance(event.body, Settled)]
    assert {body.outcome for body in settled} == {"cash_settled"} and len({body.value for body in settled}) == 1
    book = desk.book(OUTSIDE.id)
    assert not book.positions and book.trades[trade].realized == Decimal("-4000.00") == book.cash


async def test_outside_when_a_share_option_is_over_then_asked_once_and_the_answer_is_booked() -> None:
    desk = await open_desk()
    trade = await booked(desk, ELSEWHERE.replace("SPY strikes=580", "AAPL strikes=200"))
    await App(desk=desk, home=None).step_clock(date(2026, 12, 21))
    (alert,) = [alert for key, alert in desk.fold.alerts.items() if key.startswith("outside:")]
    assert desk.book(OUTSIDE.id).positions, "only the person knows"

    card = await say(desk, alert.raised.lines[1])
    done = await say(desk, lines(card)[0], via=Via.BUTTON)
    again = await say(desk, lines(card)[0], via=Via.BUTTON)

    assert fact(card, "shares of AAPL").value == 200 and fact(card, "cash").value == Decimal(-40000)
    assert done.ok and "booked before" in text(again)
    book = desk.book(OUTSIDE.id)
    assert {key: position.quantity for key, position in book.positions.items()} == {"AAPL": 200}
    assert book.trades[trade].realized == Decimal("640.00")


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("log_trade outcome=expired SPY", "trades until its expiry"),
        ("log_trade outcome=exercised SPY", "is short: it cannot be exercised"),
        ("log_trade outcome=expired QQQ", "Nothing of that is held"),
    ],
)
async def test_outside_when_an_ending_cannot_be_then_refused(line: str, refusal: str) -> None:
    desk = await open_desk()
    await booked(desk, ELSEWHERE)

    reply = await say(desk, line)

    assert not reply.ok and refusal in text(reply)


async def test_outside_when_shown_with_the_others_then_under_its_own_name_and_in_the_totals() -> None:
    desk = await open_desk()
    trade = await booked(desk, ELSEWHERE)

    reply = await say(desk, "positions account=all")

    (row,) = table(reply, "Open trades in all accounts").rows
    assert row[:3] == (trade, "outside", "naked_put")
    assert [line[0] for line in table(reply, "By account").rows] == ["practice", "outside", "all accounts"]
    assert not lines(reply), "nothing can be closed there by this desk"
    assert not (await say(desk, "open naked_put XSP 1 account=outside")).ok
    assert not (await say(desk, "account outside")).ok


# --- counted in risk -----------------------------------------------------------------------------------------------------

NAKED = "log_trade sell XSP strikes=600 right=put expiry=2026-12-18 quantity=5 price=5.00 account=outside"


async def test_outside_when_the_owner_does_not_say_so_then_it_counts_in_no_limit() -> None:
    desk = await open_desk()
    await booked(desk, NAKED)

    card = await say(desk, "open put_credit_spread XSP 1")
    risk = await say(desk, "risk account=all")

    assert "Blocked" not in text(card)
    assert "do not count in stress" in text(risk) and fact(risk, "worst stress").value == 0.0


async def test_outside_when_the_owner_says_so_then_stress_and_capital_count_it_and_margin_does_not() -> None:
    desk = await open_desk()
    await booked(desk, NAKED)
    before = (await say(desk, "account")).blocks[0]

    assert (await say(desk, "settings desk.count_outside yes")).ok
    card = await say(desk, "open put_credit_spread XSP 1")
    risk = await say(desk, "risk")

    assert "with trades elsewhere would cost" in text(card) and "SPX/SPY/XSP would tie up" in text(card)
    rules = {row[0]: row[1] for row in table(card, "Rules").rows}
    assert {name for name, verdict in rules.items() if "BLOCK" in str(verdict)} == {"stress", "per_underlying"}
    assert table(risk, "Limits of practice").rows[-1][1] == "[##########]!"
    assert (await say(desk, "account")).blocks[0] == before, "buying power is the account's own"


async def test_outside_when_it_counts_then_not_counting_it_any_more_asks_for_the_pin() -> None:
    desk = await open_desk()
    await say(desk, "settings desk.count_outside yes")

    reply = await say(desk, "settings desk.count_outside no")

    assert not reply.ok and reply.data["needs"] == "pin"


async def test_outside_when_it_counts_and_has_no_price_then_no_entry_but_a_way_out() -> None:
    desk = await open_desk()
    held = await say(desk, "open put_credit_spread XSP 1")
    await say(desk, f"confirm {held.data['ticket']}")
    await booked(desk, "log_trade sell ZZZ strikes=60 right=put expiry=2026-12-18 quantity=1 price=1.00 account=outside")
    await say(desk, "settings desk.count_outside yes")

    entry, way_out = await say(desk, "open put_credit_spread XSP 1 dte=60"), await say(desk, "close XSP")

    assert "Blocked" in text(entry) and "Blocked" not in text(way_out)
    assert lines(way_out)[0].startswith("confirm")


@pytest.mark.parametrize(
    "line", ["cancel scope=all", "pause", "halt", "mandate grant profit_target quantity=1", "account books=yes", "close scope=all"]
)
async def test_outside_when_something_is_asked_that_only_a_connected_account_can_do_then_a_sentence_and_no_mode(line: str) -> None:
    desk = await open_desk()
    missing = await say(desk, f"{line} account=outside")
    await booked(desk, ELSEWHERE)

    reply = await say(desk, f"{line} account=outside")

    assert "No trade done elsewhere was logged yet" in text(missing)
    assert "went wrong" not in text(reply) and not any(action.line.startswith("confirm") for action in reply.actions)
    assert not desk.fold.all_modes()


async def test_outside_when_sessions_end_then_it_is_not_marked_and_the_connected_account_is() -> None:
    desk = await open_desk()
    await booked(desk, ELSEWHERE)

    await App(desk=desk, home=None).step_clock(date(2026, 11, 24))

    assert desk.fold.last_mark(OUTSIDE.id) is None
    assert desk.fold.last_mark(desk.account().id) is not None
