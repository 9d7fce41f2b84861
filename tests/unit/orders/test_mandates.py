"""Granting and revoking: a card with every bound, a press on that very card, one tap that ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.command import Role, Via
from core.domain.encoding import digest
from core.domain.events import MandateGranted, MandateOffered, MandateRevoked, Mode
from core.domain.mandates import Mandate, MandateAction
from core.reply import Fact, Facts, Reply, Table
from core.runtime import SimRuntime
from tests.fake_broker import simulated
from tests.unit.orders.exit_floor import Floor, open_floor, text
from tests.unit.risk.market import PRACTICE, SPREAD

ASK = "mandate grant profit_target put_credit_spread SPX quantity=2 orders=3 days=10"


def facts(reply: Reply) -> dict[str, Fact]:
    return {fact.label: fact for block in reply.blocks if isinstance(block, Facts) for fact in block.facts}


def grant_line(reply: Reply) -> str:
    return next(action.line for action in reply.actions if action.label == "Grant")


async def granted(floor: Floor, ask: str = ASK) -> str:
    reply = await floor.say(grant_line(await floor.say(ask)))
    assert reply.ok, text(reply)
    return str(reply.data["mandate"])


@simulated
async def test_card_when_a_mandate_is_asked_for_then_shows_every_bound_and_nothing_is_in_force(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    card = await floor.say(ASK)
    said = facts(card)
    assert (said["when"].value, said["trades"].value, said["on"].value) == ("profit_target", "put_credit_spread", "SPX")
    assert (said["at most"].value, said["and"].value) == ("2 units an order", "3 orders a day")
    assert said["until"].value == floor.now + timedelta(days=10)
    assert said["price"].value == "at worst natural less max(0.10, 10%)"
    assert said["  strategies.put_credit_spread.profit_target"].value == "0.5"
    assert "No open trade is due under it now." in text(card)
    (offered,) = await floor.bodies(MandateOffered)
    assert offered.card_hash == digest(card.blocks)
    assert floor.desk.fold.mandates(now=floor.now) == {}


@simulated
async def test_card_when_trades_would_be_acted_on_at_once_then_they_are_named(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    floor.costs("2.00")
    card = await floor.say(ASK)
    (table,) = [block for block in card.blocks if isinstance(block, Table)]
    assert table.title == "Would act at once on"
    assert table.rows[0][0] == trade and "due: profit is 60.0% of the credit" in str(table.rows[0][3])
    floor.market.blind = {SPREAD[0].instrument.key}
    (table,) = [block for block in (await floor.say(ASK)).blocks if isinstance(block, Table)]
    assert "its price is not known now: it may be due" in str(table.rows[0][3])


@simulated
async def test_grant_when_the_card_is_pressed_then_that_mandate_is_in_force(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    card = await floor.say(ASK)
    reply = await floor.say(grant_line(card))
    assert reply.ok
    (body,) = await floor.bodies(MandateGranted)
    (offered,) = await floor.bodies(MandateOffered)
    assert (body.mandate, body.card_hash) == (offered.mandate, offered.card_hash)
    assert [action.line for action in reply.actions] == [f"mandate revoke id={body.mandate.id}"]
    again = await floor.say(grant_line(card))
    assert not again.ok and "was granted already" in text(again)
    (listed,) = (await floor.say("mandate list")).blocks
    assert isinstance(listed, Facts)
    assert listed.title == f"Mandate {body.mandate.id}: in force, 0 of 3 orders sent today"


@pytest.mark.parametrize("via", [Via.MODEL, Via.SENTENCE, Via.CLOCK, Via.MANDATE])
@simulated
async def test_c2_grant_when_it_is_no_press_then_nothing_is_granted_and_no_button_for_it_is_made(runtime: SimRuntime, via: Via) -> None:
    floor = await open_floor(runtime)
    line = grant_line(await floor.say(ASK))
    reply = await floor.say(line, via=via)
    assert not reply.ok and reply.actions == ()
    assert await floor.bodies(MandateGranted) == []


@simulated
async def test_grant_when_the_hash_is_another_cards_then_refused(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    line = grant_line(await floor.say(ASK))
    name, _, card = line.partition(" card=")
    for wrong in ("f" * 16, card[:4], "0"):
        reply = await floor.say(f"{name} card={wrong}")
        assert not reply.ok and "not the one on record" in text(reply)
    assert await floor.bodies(MandateGranted) == []


@simulated
async def test_grant_when_a_newer_card_was_drawn_then_the_older_one_is_dead(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    older = grant_line(await floor.say(ASK))
    await floor.say(ASK)
    reply = await floor.say(older)
    assert not reply.ok and "There is no card of a mandate" in text(reply)


async def _expire(floor: Floor) -> None:
    await floor.world.runtime.sleep(121)


async def _halt(floor: Floor) -> None:
    await floor.world.halt()
    await floor.world.halt(Mode.ACTIVE)


async def _setting(floor: Floor) -> None:
    await floor.say("settings strategies.put_credit_spread.profit_target 0.25")


async def _due(floor: Floor) -> None:
    floor.costs("2.00")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_expire, "That card had expired"),
        (_halt, "The desk was halted or a setting changed since that card"),
        (_setting, "The desk was halted or a setting changed since that card"),
        (_due, "It would now also act at once on PO1"),
    ],
)
@simulated
async def test_grant_when_the_card_no_longer_tells_the_truth_then_it_is_asked_again(runtime: SimRuntime, change: object, why: str) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    line = grant_line(await floor.say(ASK))
    await change(floor)  # type: ignore[operator]
    reply = await floor.say(line)
    assert not reply.ok and why in text(reply)
    assert await floor.bodies(MandateGranted) == []
    assert (await floor.say(grant_line(reply))).ok
    assert len(await floor.bodies(MandateGranted)) == 1


@simulated
async def test_grant_when_a_trader_asks_then_only_the_owner_may_and_the_trader_may_revoke(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    refused = await floor.say(ASK, person="trader", role=Role.TRADER)
    assert not refused.ok and "Only the owner grants mandates" in text(refused)
    name = await granted(floor)
    assert (await floor.say(f"mandate revoke {name}", person="trader", role=Role.TRADER)).ok
    assert not (await floor.say("mandate list", person="viewer", role=Role.VIEWER)).actions
    assert not (await floor.say(ASK, person="viewer", role=Role.VIEWER)).ok


@simulated
async def test_revoke_when_none_is_named_then_all_in_force_end(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    names = [await granted(floor), await granted(floor, "mandate grant credit_stop quantity=1")]
    reply = await floor.say("mandate revoke")
    assert text(reply).startswith(f"Revoked: {', '.join(names)}.")
    assert [body.mandate_id for body in await floor.bodies(MandateRevoked)] == names
    again = await floor.say("mandate revoke")
    assert again.ok and "nothing was to be revoked" in text(again)
    assert len(await floor.bodies(MandateRevoked)) == 2


@simulated
async def test_revoke_when_the_model_asks_then_it_only_gets_a_button(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    name = await granted(floor)
    reply = await floor.say(f"mandate revoke {name}", via=Via.MODEL)
    assert not reply.ok and [action.line for action in reply.actions] == [f"mandate action=revoke id={name}"]
    assert floor.desk.fold.mandates(now=floor.now)[name].in_force


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("mandate grant quantity=1", "Which rule may act by itself?"),
        ("mandate grant profit_target", "How many units may one order close?"),
        ("mandate grant credit_stop cash_secured_put quantity=1", "credit_stop is not for cash_secured_put trades"),
        ("mandate grant profit_target quantity=1 days=0", "lasts 1 to 366 days, not 0"),
        ("mandate grant profit_target quantity=1 days=400", "lasts 1 to 366 days, not 400"),
        ("mandate grant profit_target quantity=1 concession=0.11", "concedes at most 0.10 a share"),
        ("mandate revoke M9999999", "There is no mandate 'M9999999'"),
        ("mandate grant id=M9999999 card=0123456789abcdef", "There is no card of a mandate 'M9999999'"),
    ],
)
@simulated
async def test_mandate_when_asked_for_what_it_cannot_be_then_says_why(runtime: SimRuntime, line: str, why: str) -> None:
    floor = await open_floor(runtime)
    reply = await floor.say(line)
    assert not reply.ok and why in text(reply)
    assert await floor.bodies(MandateOffered, MandateGranted) == []


@simulated
async def test_mandate_when_a_smaller_concession_is_named_then_that_is_the_bound(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    name = await granted(floor, "mandate grant credit_stop quantity=1 concession=0.05")
    mandate = floor.desk.fold.mandates(now=floor.now)[name].mandate
    assert mandate.worst_allowed(Decimal("-15.20")) == Decimal("-15.25")


@simulated
async def test_status_and_positions_when_a_mandate_is_in_force_then_say_so(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    await floor.hold()
    name = await granted(floor)
    for line in ("status", "positions"):
        tables = {block.title: block for block in (await floor.say(line)).blocks if isinstance(block, Table)}
        assert tables["Mandates in force"].rows[0][0] == name
    await floor.say("mandate revoke")
    assert "Mandates in force" not in {block.title for block in (await floor.say("status")).blocks if isinstance(block, Table)}


@simulated
async def test_setting_when_it_is_about_exits_then_the_trades_it_would_trigger_are_listed(runtime: SimRuntime) -> None:
    floor = await open_floor(runtime)
    trade = await floor.hold()
    floor.costs("3.50")
    reply = await floor.say("settings strategies.put_credit_spread.profit_target 0.25")
    (table,) = [block for block in reply.blocks if isinstance(block, Table)]
    assert (table.title, table.rows[0][0], table.rows[0][1]) == ("Due now with this setting", trade, "profit_target")
    back = await floor.say("settings strategies.put_credit_spread.profit_target 0.5")
    assert "No open trade is due under it now." in text(back)


def test_mandate_when_made_wider_than_any_may_be_then_refused() -> None:
    made = Mandate(
        id="M1", account=PRACTICE, rules=("profit_target",), action=MandateAction.CLOSE, strategies=("naked_put",), symbols=None,
        max_quantity=1, max_orders_per_day=1, concession_points=Decimal("0.10"), concession_fraction=Decimal("0.10"),
        valid_until=SPREAD[0].instrument.last_trade_at, granted_by="owner", chat="terminal",  # type: ignore[union-attr]
    )
    wider: list[dict[str, object]] = [
        {"rules": ()}, {"strategies": ()}, {"symbols": ()}, {"max_quantity": 0}, {"max_orders_per_day": 0},
        {"concession_points": Decimal("0.11")}, {"concession_fraction": Decimal("0.11")}, {"concession_points": Decimal("-0.01")},
    ]
    for change in wider:
        with pytest.raises(ValueError):
            replace(made, **change)  # type: ignore[arg-type]
