"""`positions position_id=` and `note … rolls=`: one trade's whole story, and who says what continues what."""

from decimal import Decimal

import pytest

from core.desk import Desk
from tests.paper_desk import fact, lines, open_desk, say, table, text


async def traded(desk: Desk, line: str) -> str:
    card = await say(desk, line)
    return str((await say(desk, f"confirm {card.data['ticket']}")).data["trade"])


async def rolled(desk: Desk) -> tuple[str, str]:
    """A spread bought back and another sold the same day: the ids of both."""
    first = await traded(desk, "open put_credit_spread XSP 1")
    await traded(desk, f"close position_id={first}")
    return first, await traded(desk, "open put_credit_spread XSP 1 dte=60")


async def test_story_when_two_trades_look_like_a_roll_then_said_offered_and_not_counted() -> None:
    desk = await open_desk()
    first, second = await rolled(desk)

    reply = await say(desk, f"positions position_id={second}")

    assert f"It looks like a roll of {first}" in text(reply) and "not counted as one until you say so" in text(reply)
    assert fact(reply, "rolls").value == 0
    assert lines(reply)[0] == f'note text="a roll of {first}" position_id={second} rolls={first}'


async def test_story_when_a_person_says_it_is_a_roll_then_one_story_of_both_whose_result_is_theirs() -> None:
    desk = await open_desk()
    first, second = await rolled(desk)

    said = await say(desk, lines(await say(desk, f"positions position_id={second}"))[0])
    reply = await say(desk, f"positions position_id={first}")

    assert said.ok and f"{second} continues {first}" in text(said)
    trades = desk.book(desk.account().id).trades
    assert fact(reply, "rolls").value == 1
    assert [row[1:3] for row in table(reply, "What happened").rows] == [(first, "opened"), (first, "closed"), (second, "opened")]
    assert reply.data["net"] == sum(
        (trade.premium + trade.closing_cash - trade.fees for trade in trades.values()), Decimal(0)
    ) == desk.book(desk.account().id).cash - 100_000


async def test_confirm_when_a_trade_opens_after_its_like_was_closed_then_the_roll_is_offered_there_too() -> None:
    desk = await open_desk()
    first = await traded(desk, "open put_credit_spread XSP 1")
    await traded(desk, f"close position_id={first}")
    card = await say(desk, "open put_credit_spread XSP 1 dte=60")

    done = await say(desk, f"confirm {card.data['ticket']}")

    assert any(f"rolls={first}" in line for line in lines(done))


async def test_roll_when_taken_back_then_each_stands_by_itself() -> None:
    desk = await open_desk()
    first, second = await rolled(desk)
    await say(desk, f"note rolled position_id={second} rolls={first}")

    await say(desk, f"note sorry position_id={second} rolls=none")

    assert not desk.fold.rolls
    assert fact(await say(desk, f"positions position_id={second}"), "rolls").value == 0


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("note rolled rolls=P1", "Which trade is the roll"), ("note rolled position_id=P1 rolls=P2", "no trade 'P1'"),
        ("note rolled position_id={second} rolls={second}", "cannot continue itself"),
        ("note rolled position_id={first} rolls={second}", "opened after"),
        ("note rolled position_id={second} rolls={open}", "Nothing of {open} was closed"),
        ("note rolled position_id={second} rolls={spy}", "SPY in PRACTICE"),
        ("positions position_id=P1", "no trade 'P1'"),
    ],
)
async def test_roll_when_it_cannot_be_one_then_refused_and_nothing_is_noted(line: str, refusal: str) -> None:
    desk = await open_desk(cash=1_000_000)
    spy = await traded(desk, "open put_credit_spread SPY 1")
    other = await traded(desk, "open put_credit_spread XSP 1 dte=30")
    first, second = await rolled(desk)
    names = {"first": first, "second": second, "open": other, "spy": spy}
    before = desk.fold.seq

    reply = await say(desk, line.format(**names))

    assert not reply.ok and refusal.format(**names) in text(reply)
    assert desk.fold.seq == before


async def test_note_when_on_a_trade_then_its_story_tells_it() -> None:
    desk = await open_desk()
    trade = await traded(desk, "open put_credit_spread XSP 1")

    await say(desk, f'note "sold into the spike" position_id={trade}')

    reply = await say(desk, f"positions position_id={trade}")
    assert f"Note on {trade}: sold into the spike" in [getattr(block, "text", "") for block in reply.blocks]
