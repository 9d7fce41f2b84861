"""The press: the order that was shown is judged again as it will be sent, and anything worse is asked anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.clock import LoopClock
from core.command import Call, Caller, Role, Via
from core.desk import Desk
from core.dispatch import dispatch
from core.domain.events import CashMoved, Mode, ModeSet, Scope, ScopeKind, SettingChanged, Submitting
from core.domain.instruments import Instrument
from core.domain.orders import Intent, OrderState
from core.errors import Conflict, UserError
from core.market.view import Needs, View
from core.orders import ticket as tickets
from core.orders.ticket import Confirmed, Priced, confirm, draft, price
from core.ports import Dividend
from core.reply import Notice, Reply
from core.risk.examine import examine
from core.runtime import SeededEntropy, SimRuntime
from tests.fake_broker import SECOND, World, open_world, simulated
from tests.unit.risk.market import (
    CALL_SPREAD,
    NOW,
    PRACTICE,
    SPREAD,
    book,
    buy,
    closing,
    intent,
    preview,
    put,
    sell,
    view,
)

SHORT, LONG = SPREAD
CONDOR = (*SPREAD, *CALL_SPREAD)
PERSON = Caller(person="a", via=Via.BUTTON)


class HandReader:
    """The market as a function of time; `delay_seconds` is how long fresh quotes take."""

    def __init__(self, runtime: SimRuntime) -> None:
        self.runtime = runtime
        self.quotes: dict[str, tuple[float, float]] = {}
        self.dividends: dict[str, tuple[Dividend, ...]] = {}
        self.delay_seconds = 0.0
        self.meanwhile: Callable[[], Any] | None = None

    def quote(self, instrument: Instrument, bid: float) -> None:
        self.quotes[instrument.key] = (bid, bid + 0.2)

    async def view(self, needs: Needs, *, fresh: bool = False) -> View:
        if fresh:
            await self.runtime.sleep(self.delay_seconds)
            if self.meanwhile is not None:
                again, self.meanwhile = self.meanwhile, None
                await again()
        return replace(view(at=self.runtime.clock.now(), **self.quotes), dividends=self.dividends)

    def label(self) -> str:
        return "TEST"


class Shop:
    """A desk with a market made by hand, and a card on the table."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.market = HandReader(world.runtime)
        self.market.quote(SHORT.instrument, 30.0)
        self.market.quote(LONG.instrument, 25.0)
        world.desk.reader = self.market  # type: ignore[assignment]
        self.ticket = ""

    @property
    def desk(self) -> Desk:
        return self.world.desk

    async def card(self, order: Intent | None = None, *, limit: str | None = None) -> Reply:
        asked = order or intent(SPREAD, 1, quantity_said=True)
        reply = await draft(self.desk, asked, PERSON, limit=None if limit is None else Decimal(limit))
        self.ticket = str(reply.data["ticket"])
        return reply

    async def press(self) -> Confirmed | Reply:
        return await confirm(self.desk, self.ticket, PERSON)

    async def refused(self) -> str:
        """Press; what the fresh card says, where nothing was recorded for the wire."""
        answer = await self.press()
        assert isinstance(answer, Reply)
        assert not answer.ok
        events = await self.world.store.read()
        assert not any(isinstance(event.body, Submitting) for event in events if event.actor != "test")
        assert self.desk.fold.tickets[self.ticket].confirmed is None
        return " ".join(block.text for block in answer.blocks if isinstance(block, Notice))

    async def judged(self, order: Intent) -> Priced:
        return await price(self.desk, order, limit=None)


async def open_shop(runtime: SimRuntime, **more: Any) -> Shop:
    return Shop(await open_world(runtime, **more))


# --- what is sent is what was shown --------------------------------------------------------------------------------------


@simulated
async def test_d1_press_when_nothing_changed_then_exactly_the_shown_envelope_is_reserved(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    card = await shop.card()
    assert card.ok
    answer = await shop.press()
    assert isinstance(answer, Confirmed)
    order = shop.world.order(answer.client_id)
    assert order.envelope == answer.ticket.drafted.envelope
    assert order.envelope_hash == answer.ticket.drafted.envelope_hash
    with pytest.raises(UserError, match="already confirmed"):
        await shop.press()


@simulated
async def test_d10_press_when_the_market_improved_then_the_shown_price_is_judged_and_asked_again(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    shown = shop.desk.fold.tickets[shop.ticket].drafted.envelope.plan
    shop.market.quote(SHORT.instrument, 31.5)
    text = await shop.refused()
    assert f"the worst price {shown.worst} credit is too far from the natural price 6.30 credit" in text
    fresh = list(shop.desk.fold.tickets.values())[-1].drafted
    assert fresh.replaces == shop.ticket
    assert fresh.envelope.plan.start == Decimal("6.50")


@simulated
async def test_d5_press_when_the_market_worsened_then_asked_again(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    shop.market.quote(SHORT.instrument, 29.5)
    assert "now 4.50" in await shop.refused()


# --- time ----------------------------------------------------------------------------------------------------------------


@simulated
async def test_d3_press_when_the_pricing_ends_after_the_expiry_then_not_confirmed(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    await runtime.sleep(119)
    shop.market.delay_seconds = 5
    assert "expired" in await shop.refused()


@simulated
async def test_d3_press_when_made_just_before_the_expiry_then_confirmed(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    await runtime.sleep(118)
    shop.market.delay_seconds = 1
    assert isinstance(await shop.press(), Confirmed)


@pytest.mark.parametrize(("waited", "back"), [(600, 590), (50, 40), (10, 30)])
@simulated
async def test_i3_press_when_the_clock_was_set_back_then_the_card_is_dead(runtime: SimRuntime, waited: int, back: int) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    await runtime.sleep(waited)
    assert isinstance(runtime.clock, LoopClock)
    runtime.clock.step(timedelta(seconds=-back))
    assert "clock went back" in await shop.refused()


@simulated
async def test_i3_press_when_the_clock_was_corrected_by_a_moment_then_the_card_lives(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    await runtime.sleep(10)
    assert isinstance(runtime.clock, LoopClock)
    runtime.clock.step(timedelta(seconds=-0.5))
    assert isinstance(await shop.press(), Confirmed)


# --- who may press --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("via", [Via.SENTENCE, Via.MODEL, Via.CLOCK, Via.MANDATE])
@simulated
async def test_confirm_when_it_is_no_persons_press_nor_exact_line_then_nothing_is_confirmed(runtime: SimRuntime, via: Via) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    with pytest.raises(UserError, match="Only a person's press"):
        await confirm(shop.desk, shop.ticket, replace(PERSON, via=via))
    assert shop.desk.fold.tickets[shop.ticket].is_open
    assert shop.desk.book(PRACTICE).orders == {}
    assert isinstance(await confirm(shop.desk, shop.ticket, replace(PERSON, via=Via.LINE)), Confirmed)


@pytest.mark.parametrize(("role", "chat", "why"), [
    (Role.TRADER, "another group", "was never shown in this chat"),
    (Role.VIEWER, "terminal", "may look but not trade"),
])
@simulated
async def test_confirm_when_pressed_by_whom_the_card_was_not_shown_to_or_who_may_only_look_then_refused(
    runtime: SimRuntime, role: Role, chat: str, why: str
) -> None:
    shop = await open_shop(runtime)
    await shop.card()  # shown in the chat `terminal`
    with pytest.raises(UserError, match=why):
        await confirm(shop.desk, shop.ticket, replace(PERSON, person="b", role=role, chat=chat))
    assert shop.desk.book(PRACTICE).orders == {}
    assert isinstance(await confirm(shop.desk, shop.ticket, replace(PERSON, person="b", role=Role.TRADER)), Confirmed)


@simulated
async def test_press_when_the_card_was_blocked_and_the_rules_would_pass_it_now_then_asked_again(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card(intent(SPREAD, 2, quantity_said=True))  # 2 x 4,500 USD at risk, more than 5% of 100,000
    assert not shop.desk.fold.tickets[shop.ticket].drafted.allowed
    deposit = CashMoved(movement_id="D2", account=PRACTICE, amount=Decimal(900_000), reason="deposit", at=shop.desk.now())
    await shop.world.record(deposit)
    assert "The rules did not allow that card" in await shop.refused()
    fresh = list(shop.desk.fold.tickets.values())[-1]
    assert (fresh.drafted.replaces, fresh.drafted.allowed) == (shop.ticket, True)


# --- mode and policy -----------------------------------------------------------------------------------------------------


@simulated
async def test_press_when_the_desk_was_halted_and_released_since_then_the_card_is_dead(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    await shop.world.halt()
    await shop.world.halt(Mode.ACTIVE)
    assert "was halted" in await shop.refused()


@simulated
async def test_press_when_the_halt_comes_while_it_is_priced_then_not_confirmed(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    shop.market.meanwhile = shop.world.halt
    assert "halted" in await shop.refused()


@simulated
async def test_press_when_a_halt_is_being_stored_as_it_is_confirmed_then_the_halt_comes_first_and_nothing_is_confirmed(
    runtime: SimRuntime,
) -> None:
    shop = await open_shop(runtime)
    await shop.card()

    async def killed() -> None:
        shop.world.faults.slow_seconds = 1
        runtime.spawn(shop.world.halt(), name="halt")
        await runtime.sleep(0.1)  # on its way to the disk

    shop.market.meanwhile = killed
    with pytest.raises(Conflict):
        await shop.press()
    assert shop.desk.fold.tickets[shop.ticket].confirmed is None
    assert (shop.desk.book(PRACTICE).orders, shop.world.mode()) == ({}, Mode.HALT)


@simulated
async def test_press_when_a_setting_changed_since_then_the_card_is_dead(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    await shop.world.record(SettingChanged(key="rules.capital.max_fraction", old="0.05", new="0.04", loosens=False))
    assert "a setting changed" in await shop.refused()


# --- what else may have changed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [(0, 20_000, "margin rose from 0 to 20,000"), (None, 5_000, ""), (5_000, 5_300, "margin rose"), (5_000, None, "")],
)
@simulated
async def test_press_when_the_margin_rose_then_asked_again(runtime: SimRuntime, before: int | None, now: int | None, words: str) -> None:
    shop = await open_shop(runtime)
    shop.world.broker.margin_effect = None if before is None else Decimal(before)
    await shop.card()
    shop.world.broker.margin_effect = None if now is None else Decimal(now)
    assert words in await shop.refused()


@simulated
async def test_press_when_the_margin_is_nearly_the_same_then_confirmed(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    shop.world.broker.margin_effect = Decimal(5_240)
    assert isinstance(await shop.press(), Confirmed)


@pytest.mark.parametrize(("before", "now", "words"), [
    (None, None, None), (None, Decimal(0), None), (None, Decimal(1), "is known now"), (Decimal(0), Decimal("0.01"), "rose"),
    (Decimal(100), Decimal(105), None), (Decimal(100), Decimal(106), "rose"), (Decimal(100), None, "unknown"),
    (Decimal(-5), Decimal(0), None),
])
def test_margin_when_compared_then_only_a_rise_counts(before: Decimal | None, now: Decimal | None, words: str | None) -> None:
    found = tickets._margin_rose(before, now, Decimal("0.05"))
    assert (found is None) if words is None else (found is not None and words in found)


@simulated
async def test_press_when_the_smaller_of_two_short_deltas_moved_then_asked_again(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card(intent(CONDOR, 1, quantity_said=True, strategy="iron_condor"))
    drafted = shop.desk.fold.tickets[shop.ticket].drafted
    put_delta, call_delta = drafted.short_deltas
    assert put_delta is not None
    assert call_delta is not None
    assert call_delta < put_delta
    current = view(at=NOW)
    for leg in CALL_SPREAD:  # both calls dearer by the same: the net price stands
        shop.market.quote(leg.instrument, current.mid(leg.instrument) - 0.1 + 6)
    assert f"A short delta moved from {call_delta:.2f}" in await shop.refused()


@simulated
async def test_press_when_the_order_no_longer_reduces_then_asked_again(runtime: SimRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await open_shop(runtime)
    await shop.world.send("O1")
    shop.world.broker.fill_spread("O1")
    await shop.world.sender.pump(0)
    await shop.card(intent(closing(SPREAD), 1, quantity_said=True, trade_id="PO1"))
    assert shop.desk.fold.tickets[shop.ticket].drafted.allowed
    monkeypatch.setattr("core.risk.examine.is_reducing", lambda *args, **more: False)
    text = await shop.refused()
    assert "verdict changed" in text or "rules say no" in text


@simulated
async def test_n8_press_when_the_position_was_closed_meanwhile_then_nothing_opens_the_other_way(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.world.send("O1")
    shop.world.broker.fill_spread("O1")
    await shop.world.sender.pump(0)
    await shop.card(intent(closing(SPREAD), 1, quantity_said=True, trade_id="PO1"))
    for number, leg in enumerate(closing(SPREAD)):
        shop.world.broker.fill(leg, exec_id=f"app{number}", client_id=None)
    await shop.world.sender.pump(0)
    assert "not held" in await shop.refused()


@simulated
async def test_press_when_something_was_filled_on_the_underlying_since_then_asked_again(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    shop.world.broker.fill(buy(put(2600)), 1, "1.00", exec_id="app", client_id=None)
    await shop.world.sender.pump(0)
    assert "positions or working orders changed" in await shop.refused()


@simulated
async def test_d10_press_when_a_fill_comes_while_it_is_priced_then_priced_again(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()

    async def bought() -> None:
        shop.world.broker.fill(buy(put(2600)), 1, "1.00", exec_id="app", client_id=None)
        await shop.world.sender.pump(0)

    shop.market.meanwhile = bought
    assert "positions or working orders changed" in await shop.refused()


@simulated
async def test_d5_press_when_the_card_is_drawn_anew_while_it_is_priced_then_only_the_new_one_can_be_confirmed(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()

    async def redrawn() -> None:
        await tickets.redraw(shop.desk, shop.ticket, PERSON)

    shop.market.meanwhile = redrawn
    with pytest.raises(UserError, match="was withdrawn meanwhile; nothing was sent"):
        await shop.press()
    assert shop.desk.book(PRACTICE).orders == {}
    shop.ticket = list(shop.desk.fold.tickets)[-1]
    assert isinstance(await shop.press(), Confirmed)


@simulated
async def test_d1_press_when_two_come_at_once_then_one_order(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    shop.market.delay_seconds = 1
    first, second = runtime.spawn(shop.press(), name="first"), runtime.spawn(shop.press(), name="second")
    await runtime.sleep(10)
    answers = [task.result() if task.exception() is None else task.exception() for task in (first, second)]
    assert sorted(type(answer).__name__ for answer in answers) == ["Confirmed", "UserError"]
    assert len(shop.desk.book(PRACTICE).orders) == 1


# --- a purchase or a hedge that only works protects nothing --------------------------------------------------------------


@simulated
async def test_n9_card_when_the_wing_only_works_then_the_put_is_judged_naked(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    naked = intent((sell(put(2600)),), 1, start="1.00", strategy="naked_put", quantity_said=True)
    alone = await shop.judged(naked)
    await shop.world.send("O1", (buy(put(2550)),), start="-1.00", worst="-1.10")
    beside = await shop.judged(naked)
    assert not beside.verdict.allowed
    assert beside.exam.capital == alone.exam.capital
    assert beside.exam.after.margin == alone.exam.after.margin
    assert beside.exam.after.stress_loss_usd == pytest.approx(alone.exam.after.stress_loss_usd)


@simulated
async def test_n9_card_when_the_wing_is_held_then_it_covers(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    shop.world.broker.fill(buy(put(2550)), 1, "1.00", exec_id="w", client_id=None)
    await shop.world.sender.pump(0)
    beside = await shop.judged(intent((sell(put(2600)),), 1, start="1.00", strategy="naked_put", quantity_said=True))
    assert beside.exam.capital is not None
    assert beside.exam.capital <= Decimal(5_000)


def test_n9_exam_when_a_bought_spread_only_works_then_it_lowers_no_loss() -> None:
    hedge = ((buy(put(2800)), sell(put(2600))), 3)
    seen = view()
    asked = intent((sell(put(2500)),), 1, start="1.00", strategy="naked_put")
    given: dict[str, Any] = {"intent": asked, "view": seen, "preview": preview(), "now": NOW, "mode": Mode.ACTIVE, "mode_reason": ""}
    alone, beside = examine(book=book(), **given), examine(book=book(working=[hedge]), **given)
    assert alone.after.stress_loss_usd is not None
    assert beside.after.stress_loss_usd == pytest.approx(alone.after.stress_loss_usd)
    held = examine(book=book(trades=[hedge]), **given)
    assert held.after.stress_loss_usd is not None
    assert held.after.stress_loss_usd < alone.after.stress_loss_usd


# --- ids and accounts ----------------------------------------------------------------------------------------------------


class Repeating(SeededEntropy):
    """Gives every id twice, as a machine does whose clock went back."""

    def __init__(self) -> None:
        super().__init__(1)
        self.given: dict[str, int] = {}

    def id(self, prefix: str) -> str:
        self.given[prefix] = self.given.get(prefix, 0) + 1
        return f"{prefix}{(self.given[prefix] + 1) // 2:07d}"


@simulated
async def test_f3_ids_when_the_source_repeats_itself_then_never_used_twice(runtime: SimRuntime) -> None:
    runtime.entropy = Repeating()
    shop = await open_shop(runtime)
    names, orders = set(), set()
    for legs in (SPREAD, CALL_SPREAD):
        await shop.card(intent(legs, 1, quantity_said=True))
        names.add(shop.ticket)
        answer = await shop.press()
        assert isinstance(answer, Confirmed)
        orders.add(answer.client_id)
    assert (len(names), len(orders)) == (2, 2)
    assert set(shop.desk.book(PRACTICE).orders) == orders


@simulated
async def test_confirm_when_it_fails_for_an_unknown_reason_then_the_tickets_own_account_reduces(
    runtime: SimRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop(runtime, accounts=("PRACTICE", "SECOND"))
    from dataclasses import replace

    await shop.card(replace(intent(SPREAD, 1, quantity_said=True), account=SECOND))

    async def broken(*args: Any, **more: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tickets, "confirm", broken)
    await dispatch(shop.desk, Call(command="confirm", args={"ticket": shop.ticket}, caller=PERSON))
    assert shop.desk.mode(account=SECOND)[0] is Mode.REDUCING
    assert shop.desk.mode(account=PRACTICE)[0] is Mode.ACTIVE


@simulated
async def test_cancel_when_it_fails_for_an_unknown_reason_then_the_orders_own_account_reduces(
    runtime: SimRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop(runtime, accounts=("PRACTICE", "SECOND"))
    await shop.world.send("O2", account=SECOND)

    async def broken(*args: Any, **more: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(shop.desk.senders[SECOND], "cancel", broken)
    await dispatch(shop.desk, Call(command="cancel", args={"order_id": "O2"}, caller=PERSON))
    assert shop.desk.mode(account=SECOND)[0] is Mode.REDUCING
    assert shop.desk.mode(account=PRACTICE)[0] is Mode.ACTIVE


@simulated
async def test_confirm_when_all_is_well_then_sent_and_heard(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    reply = await dispatch(shop.desk, Call(command="confirm", args={"ticket": shop.ticket}, caller=PERSON))
    assert reply.ok
    assert shop.world.state(str(reply.data["order"])) is OrderState.WORKING


@simulated
async def test_press_when_only_another_instrument_is_halted_then_the_card_dies_with_every_halt(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    scope = Scope(kind=ScopeKind.INSTRUMENT, name=put(2600).key)
    await shop.world.record(ModeSet(scope=scope, mode=Mode.HALT, cause="overfill:O1", reason="overfilled"))
    assert "was halted" in await shop.refused()



@simulated
async def test_press_when_the_market_moved_since_the_card_then_both_mids_are_kept_for_the_quality_of_the_fill(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    await shop.card()
    shop.market.quote(SHORT.instrument, 29.9)
    answer = await shop.press()
    assert isinstance(answer, Confirmed)
    assert (answer.ticket.drafted.mid, shop.world.order(answer.client_id).mid) == (Decimal("5.00"), Decimal("4.90"))


@simulated
async def test_l1_l4_cards_when_a_flood_asks_for_them_at_once_then_no_more_than_the_limit_are_drawn(runtime: SimRuntime) -> None:
    shop = await open_shop(runtime)
    shop.market.delay_seconds = 1
    limit = shop.desk.settings.desk.whole("cards_per_minute")

    async def ask() -> bool:
        try:
            return (await shop.card()).ok
        except UserError as error:
            assert "cards in a minute" in str(error)
            return False

    drawn = await runtime.gather(*(ask() for _ in range(limit + 30)))

    assert sum(drawn) == limit
    assert len(shop.desk.fold.tickets) == limit
    await runtime.sleep(61)
    assert await ask()
