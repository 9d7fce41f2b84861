"""`open` and what follows on its card: reprice, size, why, drop."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.command import Via
from core.domain.events import TicketDrafted
from core.errors import UserError
from tests.paper_desk import call, fact, lines, open_desk, say, table, text


async def test_open_when_only_strategy_and_symbol_are_said_then_a_card_comes_and_nothing_is_sent():
    desk = await open_desk()

    card = await say(desk, "open put_credit_spread SPX")

    assert card.ok and card.data["allowed"] is True
    assert card.badge == "PAPER · SIMULATED"
    assert lines(card)[0] == f"confirm {card.data['ticket']}"
    assert not desk.book(desk.account().id).orders


async def test_open_when_a_quantity_is_left_out_then_it_is_sized_by_rule_within_what_the_rules_allow():
    desk = await open_desk(cash=200_000)

    card = await say(desk, "open put_credit_spread SPX")

    assert fact(card, "quantity").note == "sized by rule"
    capital, nlv = fact(card, "capital of the trade").value, Decimal(200_000)
    assert card.data["quantity"] == 2 and isinstance(capital, Decimal) and capital <= nlv * Decimal("0.05")


async def test_open_when_strikes_expiry_quantity_and_limit_are_said_then_they_are_taken_as_they_are():
    desk = await open_desk()

    card = await say(desk, "open put_credit_spread SPX 1 expiry=2026-12-18 root=SPXW strikes=5800/5750 limit=4.00")

    drafted = desk.fold.tickets[str(card.data["ticket"])].drafted
    assert [str(leg.instrument.key) for leg in drafted.envelope.legs] == ["SPXW  261218P05800000", "SPXW  261218P05750000"]
    assert (drafted.envelope.plan.start, drafted.envelope.plan.worst, drafted.envelope.quantity) == (4, 4, 1)


async def test_open_when_the_symbol_is_the_series_then_it_names_the_underlying_too():
    desk = await open_desk()

    card = await say(desk, "open put_credit_spread SPXW 1 expiry=2026-12-18")

    assert fact(card, "open").value is not None and str(fact(card, "open").value).startswith("SPXW 18 Dec 26")


async def test_n4_open_when_two_series_expire_that_day_then_asks_with_a_button_for_each():
    desk = await open_desk()

    reply = await say(desk, "open put_credit_spread SPX 1 expiry=2026-12-18")

    assert not reply.ok and "Say which: root=SPX or root=SPXW" in text(reply)
    card = await say(desk, lines(reply)[1], via=Via.BUTTON)
    assert card.ok and str(fact(card, "open").value).startswith("SPXW")


@pytest.mark.parametrize(("line", "sentence"), [
    ("open put_credit_spread XYZQ", "knows XYZQ"),
    ("open naked_put VIX3M", "VIX3M has no options here|lists no options on VIX3M"),
    ("open put_credit_spread SPY strikes=481.3/470", "There is no 481.3 put on 2027-01-08; nearest are 480 and 485."),
    ("open put_credit_spread SPY expiry=2026-11-13", "Expiry 2026-11-13 is in the past"),
    ("open put_credit_spread SPY expiry=2026-12-25", "the exchange is closed"),
    ("open iron_condor SPX strikes=5800/6700", "An iron condor has four strikes"),
    ("open stock SPX 10", "SPX is an index; nobody can hold shares of it"),
    ("open covered_call KO", "needs 100 KO shares for each contract; no shares of KO are held"),
    ("open calendar SPY expiry=2026-12-18 far_expiry=2026-12-11", "is not after the near expiry 2026-12-18"),
    ("open naked_put XSP side=buy", "opened by a sell, not a buy"),
    ("open naked_put XSP right=call", "made of puts"),
    ("open put_credit_spread SPY far_dte=60", "far_dte belongs to calendars"),
    ("open put_credit_spread SPX limit=1.23", "between price steps of 0.05. Use 1.2 or 1.25"),
    ("open put_credit_spread SPY account=nobody", "no account 'nobody'"),
])
async def test_open_when_what_is_said_cannot_be_then_refuses_and_records_nothing(line: str, sentence: str):
    desk = await open_desk()
    before = desk.fold.seq

    reply = await say(desk, line)

    assert not reply.ok
    assert any(part in text(reply) for part in sentence.split("|")), text(reply)
    assert desk.fold.seq == before


@pytest.mark.parametrize(("line", "sentence"), [
    ("open put_credit_spread SPY 0", "quantity cannot be '0': it must be a whole number from 1 to 10,000"),
    ("open put_credit_spread SPY 1000000000", "from 1 to 10,000"),
    ("open put_credit_spread SPY two", "quantity cannot be 'two'"),
    ("open put_credit_spread SPY delta=high", "delta cannot be 'high'"),
    ("open put_credit_spread SPY strikes=a/b", "strikes cannot be 'a/b'"),
    ("open put_credit_spread", "open needs symbol"),
    ("open butterfly SPY", "strategy cannot be 'butterfly'"),
])
async def test_open_when_text_stands_where_a_number_belongs_then_says_what_is_wrong(line: str, sentence: str):
    desk = await open_desk()

    with pytest.raises(UserError, match=sentence):
        await say(desk, line)


async def test_open_when_more_is_asked_than_rules_allow_then_the_number_is_kept_and_the_one_that_fits_offered():
    desk = await open_desk()

    card = await say(desk, "open put_credit_spread SPX 10")

    assert card.data["allowed"] is False and card.data["quantity"] == 10
    assert "you asked 10, rules allow 1" in text(card)
    assert not any(line.startswith("confirm") for line in lines(card))
    smaller = await say(desk, next(line for line in lines(card) if line.startswith("size")), via=Via.BUTTON)
    assert smaller.data["quantity"] == 1 and smaller.data["allowed"] is True


async def test_c2_open_when_a_model_asks_then_only_a_card_comes():
    desk = await open_desk()

    card = await call(desk, "open", {"strategy": "put_credit_spread", "symbol": "SPX"}, via=Via.MODEL)

    assert card.ok and not desk.book(desk.account().id).orders
    refused = await call(desk, "confirm", {"ticket": card.data["ticket"]}, via=Via.MODEL)
    assert not refused.ok and not desk.book(desk.account().id).orders


async def test_reprice_when_pressed_then_the_old_card_dies_and_the_new_one_counts():
    desk = await open_desk()
    old = await say(desk, "open put_credit_spread SPX 1")

    new = await say(desk, f"reprice {old.data['ticket']}")

    assert new.ok and new.data["ticket"] != old.data["ticket"]
    assert desk.fold.tickets[str(old.data["ticket"])].closed is not None
    dead = await say(desk, f"confirm {old.data['ticket']}")
    assert not dead.ok and "is over: replaced by" in text(dead)


async def test_size_when_a_number_is_said_then_the_card_is_drawn_for_it():
    desk = await open_desk(cash=500_000)
    old = await say(desk, "open put_credit_spread SPX 1")

    new = await say(desk, f"size {old.data['ticket']} 3")

    assert new.data["quantity"] == 3 and fact(new, "quantity").note == "as you said"


async def test_size_when_no_number_is_said_then_some_are_offered_and_nothing_changes():
    desk = await open_desk(cash=500_000)
    old = await say(desk, "open put_credit_spread SPX 4")
    before = desk.fold.seq

    reply = await say(desk, f"size {old.data['ticket']}")

    assert f"size {old.data['ticket']} quantity=2" in lines(reply)
    assert desk.fold.seq == before


async def test_drop_when_pressed_then_the_ticket_can_no_longer_be_confirmed():
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread SPX 1")

    dropped = await say(desk, f"drop {card.data['ticket']}")

    assert dropped.ok and dropped.cites == (desk.fold.seq,)
    refused = await say(desk, f"confirm {card.data['ticket']}")
    assert not refused.ok and "withdrawn by a person" in text(refused)
    assert not (await say(desk, f"drop {card.data['ticket']}")).ok


@pytest.mark.parametrize("line", ["confirm T999", "reprice T999", "size T999 2", "drop T999", "why ticket=T999"])
async def test_ticket_command_when_the_ticket_is_unknown_then_says_so(line: str):
    assert "There is no ticket 'T999'" in text(await say(await open_desk(), line))


async def test_why_when_a_ticket_is_blocked_then_each_rule_says_what_would_clear_it():
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread SPX 10")

    reply = await say(desk, f"why ticket={card.data['ticket']}")

    assert "Blocked" in text(reply)
    assert "capital" in [row[0] for row in table(reply, "What would clear it").rows]


async def test_why_when_nothing_is_named_then_modes_and_what_stands_in_the_way_are_told():
    desk = await open_desk()

    assert "Entries are allowed" in text(await say(desk, "why"))
    await say(desk, "pause")
    paused = await say(desk, "why put_credit_spread SPX")

    assert "PAUSED" in text(paused)
    assert "state" in [row[0] for row in table(paused, "In the way").rows]


async def test_why_when_the_symbol_is_unknown_then_says_so_once():
    reply = await say(await open_desk(), "why XYZQ")

    assert not reply.ok and text(reply).count("XYZQ") == 1


async def test_open_when_drafted_then_what_was_shown_is_what_was_recorded():
    desk = await open_desk()

    card = await say(desk, "open put_credit_spread SPX 1")

    drafted = desk.fold.tickets[str(card.data["ticket"])].drafted
    assert isinstance(drafted, TicketDrafted) and drafted.envelope_hash == drafted.envelope.hash
    assert fact(card, "you receive").value == drafted.envelope.plan.start
    assert fact(card, "never under").value == drafted.envelope.plan.worst
