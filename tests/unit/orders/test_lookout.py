"""What orders and positions ask of a person: assignments in the morning, decisions on the last afternoon, what stays at the broker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from core.clock import ManualClock
from core.command import Call, Caller, Via, parse_args, split_line
from core.dispatch import command_of, dispatch
from core.domain.events import AlertRaised, Body, CancelRequested, Mode, ModeSet, OrderAcknowledged, Settled
from core.domain.instruments import Equity, Option, Right
from core.domain.listing import option
from core.domain.orders import Leg, OrderState, TimeInForce
from core.errors import BrokerTimeout
from core.orders.early_exercise import early
from core.orders.expiry_day import alarm as expiry_alarm
from core.orders.expiry_day import expiring, shorts_of_the_day
from core.orders.residue import residues
from core.portfolio.book import Book
from core.ports import BrokerStatus, Dividend
from core.runtime import SimRuntime
from tests.fake_broker import World, open_world, reopened, simulated
from tests.unit.orders.test_ticket_press import Shop
from tests.unit.risk.market import NOW, PRACTICE, Log, acknowledged, buy, closing, filled, sell, submitting

JUNE = date(2019, 6, 14)
SPY = Equity(symbol="SPY")
HIGH, LOW = (option("SPY", JUNE, Right.PUT, Decimal(strike)) for strike in (285, 280))
CALL, WING = (option("SPY", JUNE, Right.CALL, Decimal(strike)) for strike in (295, 300))
INDEX = option("SPXW", JUNE, Right.PUT, Decimal(2800))
SPREAD = (sell(HIGH), buy(LOW))
CALL_SPREAD = (sell(CALL), buy(WING))


def settled(item: Option, quantity: int, outcome: str = "assigned", *, at: datetime = NOW, shares: int = 0) -> Settled:
    cash = -item.strike * shares
    return Settled(
        settlement_id=f"S {item.key} {at:%d %H}", account=PRACTICE, instrument=item, quantity=quantity, outcome=outcome, value=None,
        cash=cash, at=at, shares=shares, share_symbol="SPY" if shares else None,
    )


def book_of(*bodies: Body) -> Book:
    log = Log()
    log.add(*bodies)
    return log.book


def trade(legs: Sequence[Leg], client_id: str = "O1") -> tuple[Body, ...]:
    fills = [filled(leg, 1, "3", exec_id=f"{client_id}{number}", client_id=client_id) for number, leg in enumerate(legs)]
    return (submitting(legs, 1, client_id=client_id), acknowledged(client_id), *fills)


# --- what is left when cover goes ----------------------------------------------------------------------------------------


def test_n7_residue_when_the_short_leg_is_assigned_then_the_rest_is_told_with_its_buttons() -> None:
    (found,) = residues(book_of(*trade(SPREAD), settled(HIGH, 1, shares=100)), NOW)
    assert found.urgency == "high"
    assert "+1 SPY 14 Jun 19 280 put and +100 SPY are left of PO1" in found.text
    assert found.buttons["Close the rest of PO1"] == "close position_id=PO1"


def test_n9_residue_when_the_long_leg_is_exercised_away_then_the_short_is_uncovered_and_critical() -> None:
    (found,) = residues(book_of(*trade(SPREAD), settled(LOW, -1, "exercised", shares=-100)), NOW)
    assert found.urgency == "critical"
    assert "1 short put of SPY 14 Jun 19 uncovered" in found.text
    assert "100 shares of SPY are short, 100 of them without a call" in found.text


def test_n9_residue_when_a_short_call_is_assigned_then_short_shares_are_covered_by_the_wing_only() -> None:
    (covered,) = residues(book_of(*trade(CALL_SPREAD), settled(CALL, 1, shares=-100)), NOW)
    assert covered.urgency == "high"
    (naked,) = residues(book_of(*trade((sell(CALL),)), settled(CALL, 1, shares=-100)), NOW)
    assert (naked.urgency, "100 shares of SPY are short" in naked.text) == ("critical", True)


def test_n9_residue_when_the_wing_is_sold_elsewhere_then_critical() -> None:
    (found,) = residues(book_of(*trade(CALL_SPREAD), filled(sell(WING), 1, "1", exec_id="X1", client_id=None)), NOW)
    assert found.urgency == "critical"
    assert "After the EXTERNAL sale of 1 x SPY 14 Jun 19 300 call: 1 short call of SPY 14 Jun 19 uncovered." in found.text


@pytest.mark.parametrize(
    "bodies",
    [
        (*trade((sell(HIGH),)), settled(HIGH, 1, shares=100)),
        (*trade(SPREAD), filled(buy(HIGH), 1, "1", exec_id="X1", client_id=None)),
        (*trade(SPREAD), *trade((sell(CALL),), "O2"), settled(LOW, -1, "expired"), settled(HIGH, 1, "expired")),
        (*trade(SPREAD), settled(HIGH, 1, shares=100, at=NOW - timedelta(days=6))),
    ],
    ids=["a_put_alone", "a_purchase_elsewhere", "both_legs_ended", "long_ago"],
)
def test_n9_residue_when_nothing_is_left_open_by_it_then_silence(bodies: tuple[Body, ...]) -> None:
    assert residues(book_of(*bodies), NOW) == ()


def test_n9_residue_when_trading_has_ended_then_what_is_pending_is_not_called_uncovered() -> None:
    after = HIGH.last_trade_at + timedelta(minutes=1)
    assert residues(book_of(*trade(SPREAD), settled(LOW, -1, "expired", at=after)), after) == ()


@simulated
async def test_n9_settlement_when_it_leaves_a_short_uncovered_then_alarmed_with_the_very_batch_and_once(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    for number, leg in enumerate(SPREAD):
        world.broker.fill(leg, 1, "3.00", exec_id=f"E{number}", client_id=None)
    world.broker._add(settled(LOW, -1, "expired"))
    await world.sender.pump(0)
    alerts = [event.body for event in await world.store.read() if isinstance(event.body, AlertRaised)]
    assert [alert.urgency for alert in alerts] == ["critical"]
    again = await reopened(world)
    assert len([event for event in await again.store.read() if isinstance(event.body, AlertRaised)]) == 1


# --- the last afternoon, purely ------------------------------------------------------------------------------------------


def new_york(hour: int, minute: int = 0, day: date = JUNE) -> datetime:
    return datetime(day.year, day.month, day.day, hour + 4, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "cutoff", "stage"),
    [
        (new_york(13, 59), 0, None),
        (new_york(14), 0, "1"),
        (new_york(15), 0, "2"),
        (new_york(15, 29), 0, "2"),
        (new_york(15, 30), 0, "last"),
        (new_york(16, 14), 0, "last"),
        (new_york(16, 15), 0, "after"),
        (new_york(14, 30), 60, "last"),
        (new_york(14, 29), 60, "1"),
    ],
)
def test_n2_stage_when_the_afternoon_goes_on_then_asked_at_two_three_and_before_the_cutoff(
    now: datetime, cutoff: int, stage: str | None
) -> None:
    found = expiring(HIGH, 1, spot=Decimal(284), now=now, cutoff_minutes=cutoff)
    assert (None if found is None else found.stage) == stage


def test_n2_stage_when_it_is_a_half_day_then_three_hours_earlier() -> None:
    black_friday = date(2019, 11, 29)
    item = option("SPY", black_friday, Right.PUT, Decimal(310))
    at = datetime(2019, 11, 29, 16, 0, tzinfo=UTC)  # 11:00 in New York, in winter
    assert expiring(item, 1, spot=Decimal(310), now=at - timedelta(minutes=1), cutoff_minutes=0) is None
    assert getattr(expiring(item, 1, spot=Decimal(310), now=at, cutoff_minutes=0), "stage", "") == "1"
    assert getattr(expiring(item, 1, spot=Decimal(310), now=at + timedelta(minutes=90), cutoff_minutes=0), "stage", "") == "last"


@pytest.mark.parametrize(("spot", "near"), [("284.99", True), ("285", True), ("286.42", True), ("286.44", False), (None, True)])
def test_n2_short_when_a_cent_in_the_money_or_within_half_a_percent_then_asks(spot: str | None, near: bool) -> None:
    found = expiring(HIGH, 1, spot=None if spot is None else Decimal(spot), now=new_york(14), cutoff_minutes=0)
    assert found is not None
    assert found.close_enough is near


def test_n2_shorts_when_listed_then_only_those_decided_at_todays_close() -> None:
    held = {
        HIGH.key: (HIGH, -2), LOW.key: (LOW, 1), "SPY": (SPY, 100),
        "later": (option("SPY", date(2019, 7, 12), Right.PUT, Decimal(285)), -1),
        "morning": (option("VIX", date(2019, 6, 19), Right.PUT, Decimal(15)), -1), "index": (INDEX, -1),
    }
    assert shorts_of_the_day(held, new_york(14)) == ((HIGH, 2), (INDEX, 1))
    assert shorts_of_the_day(held, new_york(13, 59)) == ()


@pytest.mark.parametrize(("spot", "asked"), [("2790", True), ("2801", False), (None, False)])
def test_n2_short_when_it_settles_in_cash_then_named_at_the_last_call_where_it_is_in_the_money(spot: str | None, asked: bool) -> None:
    price = None if spot is None else Decimal(spot)
    early_on = expiring(INDEX, 1, spot=price, now=new_york(15), cutoff_minutes=0)
    last = expiring(INDEX, 1, spot=price, now=new_york(15, 30), cutoff_minutes=0)
    assert early_on is not None and last is not None
    assert (early_on.close_enough, last.close_enough) == (False, asked)
    if asked:
        told = expiry_alarm(last, book_of(), can_roll=False)
        assert (told.urgency, "settled in cash for -1,000.00 USD" in told.text) == ("critical", True)


# --- early exercise, purely ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "dividend", "risk"), [("15.20", "1.40", True), ("16.50", "1.40", False), ("15.20", "0", False), ("14.90", "0.10", True)]
)
def test_n1_call_when_the_dividend_beats_its_time_value_then_may_be_assigned_tonight(price: str, dividend: str, risk: bool) -> None:
    found = early(
        CALL, 1, price=Decimal(price), spot=Decimal(310), rate=Decimal("0.02"), today=date(2019, 5, 6), dividend=Decimal(dividend),
        ex_date=date(2019, 5, 7),
    )
    assert (found is not None) is risk


@pytest.mark.parametrize(("price", "spot", "risk"), [("34.60", "250.50", True), ("35.90", "250.50", False), ("0.50", "300", False)])
def test_n1_put_when_its_strike_earns_more_than_its_time_value_then_may_be_assigned(price: str, spot: str, risk: bool) -> None:
    found = early(
        HIGH, 1, price=Decimal(price), spot=Decimal(spot), rate=Decimal("0.02"), today=date(2019, 5, 6), dividend=Decimal(0), ex_date=None
    )
    assert (found is not None) is risk


# --- whole stories -------------------------------------------------------------------------------------------------------


class Watched:
    """A desk on a clock moved by hand, beside a market made by hand."""

    def __init__(self, world: World, clock: ManualClock) -> None:
        self.world, self.clock = world, clock
        self.shop = Shop(world)
        self.told = 0

    def spot(self, price: float) -> None:
        self.shop.market.quotes["SPY"] = (price, price)

    def holds(self, *pairs: tuple[Option, int]) -> None:
        for number, (item, quantity) in enumerate(pairs):
            leg = sell(item) if quantity < 0 else buy(item)
            self.world.broker.fill(leg, abs(quantity), "3.00", exec_id=f"H{number}", client_id=None)

    async def at(self, now: datetime) -> list[AlertRaised]:
        """Move the clock, let the account and the lookout work; the alerts that are new."""
        self.clock.set(now)
        await self.world.sender.pump(0)
        await self.world.desk.lookouts[PRACTICE].turn()
        await self.world.desk.lookouts[PRACTICE].turn()
        events = await self.world.store.read(after=self.told)
        self.told = self.world.desk.fold.seq
        return [event.body for event in events if isinstance(event.body, AlertRaised)]

    async def say(self, line: str) -> str:
        words = split_line(line)
        args = parse_args(command_of(words[0]), words[1:])
        reply = await dispatch(self.world.desk, Call(command=words[0], args=args, caller=Caller(person="a", via=Via.LINE)))
        return " ".join(str(block) for block in reply.blocks)


async def watched(runtime: SimRuntime, at: datetime = NOW) -> Watched:
    runtime.clock = clock = ManualClock(at, standing=False)
    return Watched(await open_world(runtime), clock)


@simulated
async def test_n2_short_when_near_the_strike_then_asked_three_times_with_both_outcomes_and_then_unknown(runtime: SimRuntime) -> None:
    desk = await watched(runtime, new_york(13))
    desk.holds((HIGH, -2))
    desk.spot(284.2)
    assert await desk.at(new_york(13, 59)) == []
    (first,) = await desk.at(new_york(14))
    assert first.urgency == "high"
    assert "SPY at 284.20 is in the money by 0.80 (0.28%)" in first.text
    assert "assigned: +200 SPY at 285 for 57,000.00 USD. If not, it runs out" in first.text
    assert dict(zip(first.labels, first.lines, strict=True))["Close"] == "close position_id=SPY190614P00285000"
    assert await desk.at(new_york(14, 30)) == []
    (second,) = await desk.at(new_york(15))
    assert second.urgency == "high"
    (last,) = await desk.at(new_york(15, 30))
    assert (last.urgency, "Decide by 15:30 New York" in last.text) == ("critical", True)
    (after,) = await desk.at(new_york(16, 15))
    assert "your position is unknown until the broker reports it" in after.text
    assert "UNKNOWN UNTIL THE BROKER REPORTS IT" in await desk.say("positions")
    assert await desk.at(new_york(17)) == []


@simulated
async def test_n2_long_when_in_the_money_then_told_that_it_is_exercised_by_itself_and_what_comes_of_it(runtime: SimRuntime) -> None:
    desk = await watched(runtime, new_york(13))
    desk.holds((HIGH, 2))
    desk.spot(285.2)
    assert await desk.at(new_york(14)) == []  # out of the money it runs out, which changes nothing
    desk.spot(284.2)

    (told,) = await desk.at(new_york(14, 5))

    assert told.urgency == "high" and "expires today, long 2; SPY at 284.20 is in the money by 0.80 (0.28%)" in told.text
    assert "it is exercised without being asked: -200 SPY at 285 bringing 57,000.00 USD. Sell it to have no shares." in told.text
    assert told.labels == ("Close", "Let it be exercised") and told.lines[0] == "close position_id=SPY190614P00285000"
    await desk.say(told.lines[1])
    assert await desk.at(new_york(15, 30)) == []


@simulated
async def test_n2_long_when_a_short_beside_it_is_asked_about_then_only_that_rings(runtime: SimRuntime) -> None:
    desk = await watched(runtime, new_york(13))
    desk.holds((LOW, 1), (HIGH, -1))
    desk.spot(278.0)

    (told,) = await desk.at(new_york(14))

    assert "SPY 14 Jun 19 285 put expires today, short 1" in told.text


@simulated
async def test_n2_short_when_a_person_lets_it_be_assigned_then_asked_no_more_and_its_end_is_told(runtime: SimRuntime) -> None:
    desk = await watched(runtime, new_york(13))
    desk.holds((HIGH, -1))
    desk.spot(284.0)
    (first,) = await desk.at(new_york(14))
    await desk.say(dict(zip(first.labels, first.lines, strict=True))["Let it be assigned"])
    assert await desk.at(new_york(15)) == []
    assert await desk.at(new_york(15, 45)) == []
    assert len(await desk.at(new_york(16, 20))) == 1


@simulated
async def test_n2_short_when_it_comes_near_only_later_then_asked_from_then_on(runtime: SimRuntime) -> None:
    desk = await watched(runtime, new_york(13))
    desk.holds((HIGH, -1))
    desk.spot(290.0)
    assert await desk.at(new_york(14)) == []
    desk.spot(286.0)
    assert len(await desk.at(new_york(14, 10))) == 1
    desk.spot(290.0)
    assert await desk.at(new_york(15)) == []
    assert len(await desk.at(new_york(16, 20))) == 1  # it was near once: what became of it is not known


@simulated
async def test_n2_short_when_the_desk_was_down_at_two_then_asked_late_and_once(runtime: SimRuntime) -> None:
    desk = await watched(runtime, new_york(13))
    desk.holds((HIGH, -1))
    desk.spot(284.0)
    (late,) = await desk.at(new_york(15, 10))
    assert late.key.endswith(":2")


@simulated
async def test_n1_assignment_when_it_came_overnight_then_told_in_the_morning_with_the_new_margin(runtime: SimRuntime) -> None:
    night = datetime(2019, 5, 7, 6, 0, tzinfo=UTC)
    desk = await watched(runtime, NOW)
    desk.holds((HIGH, -1))
    desk.spot(284.0)
    await desk.at(NOW + timedelta(minutes=1))
    desk.world.broker._add(settled(HIGH, 1, at=night, shares=100))
    assert await desk.at(night) == []
    assert await desk.at(datetime(2019, 5, 7, 12, 29, tzinfo=UTC)) == []
    (told,) = await desk.at(datetime(2019, 5, 7, 12, 30, tzinfo=UTC))
    assert told.urgency == "high"
    assert "1 x SPY 14 Jun 19 285 put was assigned: +100 SPY for -28,500.00 USD" in told.text
    assert "Margin in use is 14,200.00 USD now and was" in told.text
    assert told.lines[0] == "close position_id=SPY"
    assert f"ack alert={told.key}" in told.lines
    assert await desk.at(datetime(2019, 5, 7, 15, 0, tzinfo=UTC)) == []


@simulated
async def test_n1_short_when_its_holder_may_exercise_tonight_then_warned_in_the_afternoon_once(runtime: SimRuntime) -> None:
    desk = await watched(runtime, NOW)
    desk.holds((CALL, -1), (HIGH, -1))
    desk.spot(330.0)
    desk.shop.market.quotes |= {CALL.key: (35.0, 35.1), HIGH.key: (0.1, 0.2)}
    desk.shop.market.dividends["SPY"] = (Dividend(symbol="SPY", ex_date=date(2019, 5, 7), amount=Decimal("1.43")),)
    assert {alert.key.partition(":")[0] for alert in await desk.at(new_york(13, day=date(2019, 5, 6)))} == {"residue"}
    (told,) = await desk.at(new_york(14, 30, day=date(2019, 5, 6)))
    assert told.urgency == "high"
    assert "SPY 14 Jun 19 295 call, short 1, may be assigned tonight" in told.text
    assert "1.43 a share goes off on 7 May" in told.text
    assert await desk.at(new_york(15, day=date(2019, 5, 6))) == []


@simulated
async def test_n1_assignment_when_the_account_cannot_carry_the_shares_then_critical(runtime: SimRuntime) -> None:
    desk = await watched(runtime, NOW)
    desk.holds((HIGH, -20))
    desk.spot(284.0)
    await desk.at(NOW + timedelta(minutes=1))
    desk.world.broker._add(settled(HIGH, 20, at=NOW, shares=2000))
    (told,) = [alert for alert in await desk.at(NOW + timedelta(minutes=2)) if alert.key.startswith("assignment")]
    assert (told.urgency, "short of margin" in told.text) == ("critical", True)


@simulated
async def test_n1_assignment_when_the_shares_can_be_kept_but_nothing_opened_then_it_says_so_and_no_margin_call_is_feared(
    runtime: SimRuntime,
) -> None:
    desk = await watched(runtime, NOW)
    desk.holds((HIGH, -8))
    desk.spot(284.0)
    await desk.at(NOW + timedelta(minutes=1))
    desk.world.broker._add(settled(HIGH, 8, at=NOW, shares=800))

    (told,) = [alert for alert in await desk.at(NOW + timedelta(minutes=2)) if alert.key.startswith("assignment")]

    # 227,200 of shares ask for half of it to open anything and a quarter to be kept; of the cash 128,000 are missing
    assert told.urgency == "high" and "short of margin" not in told.text
    assert told.text.endswith("Nothing can be opened before something is closed or money comes; what is held may stay.")
    assert told.lines == ("close position_id=SPY", f"ack alert={told.key}")


@simulated
async def test_e11_orders_when_they_outlive_a_session_then_named_once_each_morning_and_counted(runtime: SimRuntime) -> None:
    desk = await watched(runtime, NOW)
    await desk.world.send("O1", legs=(sell(HIGH),), start="9.00", worst="9.00", tif=TimeInForce.GTC)
    desk.world.broker.enter("X1", (sell(CALL),))
    assert await desk.at(NOW + timedelta(hours=1)) == []
    for day in range(1, 5):
        (told,) = await desk.at(datetime(2019, 5, 6 + day, 12, 45, tzinfo=UTC))
        assert "O1 SPY 14 Jun 19 285 put at +9.00 (GTC)" in told.text and "EXTERNAL X1" in told.text
        assert set(told.lines) >= {"cancel order_id=O1", "cancel order_id=X1"}
        assert await desk.at(datetime(2019, 5, 6 + day, 17, 0, tzinfo=UTC)) == []
    assert await desk.at(datetime(2019, 5, 11, 15, 0, tzinfo=UTC)) == []  # a Saturday
    assert {HIGH.key, CALL.key} <= set(desk.world.desk.book(PRACTICE).exposed())


@simulated
async def test_e11_order_when_the_broker_holds_it_then_known_as_held_counted_and_its_price_left_alone(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.send("O1")
    world.broker.orders["O1"] = order = world.broker.orders["O1"].__class__(
        client_id="O1", broker_ref="RO1", status=BrokerStatus.HELD, limit=Decimal(5), quantity=1, filled=0, reason="inactive"
    )
    await world.sender.reconcile()
    assert (world.state(), world.order().held, world.order().reason) == (OrderState.WORKING, True, "inactive")
    assert len(world.desk.book(PRACTICE).exposed()) == 2
    await runtime.sleep(120)
    assert world.broker.sent("replace") == []
    world.broker.orders["O1"] = order.__class__(
        client_id="O1", broker_ref="RO1", status=BrokerStatus.WORKING, limit=Decimal(5), quantity=1, filled=0
    )
    world.broker.report("O1", BrokerStatus.WORKING, "5.00")
    await runtime.sleep(10)
    assert not world.order().held
    acknowledged_ = [event.body for event in await world.store.read() if isinstance(event.body, OrderAcknowledged)]
    assert [body.held for body in acknowledged_[:3]] == [False, True, False]


@simulated
async def test_n8_exit_when_its_position_was_assigned_away_then_taken_back_and_told(runtime: SimRuntime) -> None:
    desk = await watched(runtime, NOW)
    world = desk.world
    desk.spot(284.0)
    await world.send("O1", legs=(sell(HIGH),), start="3.00", worst="3.00")
    world.broker.fill(sell(HIGH), 1, "3.00", exec_id="E1")
    await world.send("O2", legs=closing((sell(HIGH),)), start="-0.50", worst="-0.50", reducing=True, trade_id="PO1", tif=TimeInForce.GTC)
    await desk.at(NOW + timedelta(minutes=1))
    assert world.state("O2") is OrderState.WORKING
    world.broker._add(settled(HIGH, 1, at=NOW, shares=100))
    alerts = await desk.at(NOW + timedelta(minutes=2))
    assert world.broker.sent("cancel") == ["O2"]
    assert "orphan:O2" in [alert.key for alert in alerts]
    assert world.state("O2") is OrderState.CANCELLED


@simulated
async def test_n8_exit_when_the_holding_is_there_then_left_alone_also_while_it_fills(runtime: SimRuntime) -> None:
    desk = await watched(runtime, NOW)
    world = desk.world
    await world.send("O1", legs=SPREAD, start="3.00", worst="3.00", quantity=2)
    for number, leg in enumerate(SPREAD):
        world.broker.fill(leg, 2, "3.00", exec_id=f"E{number}")
    await world.send("O2", legs=closing(SPREAD), start="-0.50", worst="-0.50", quantity=2, reducing=True, trade_id="PO1")
    world.broker.fill(closing(SPREAD)[0], 1, "0.50", exec_id="C0", client_id="O2")
    await desk.at(NOW + timedelta(minutes=1))
    assert not [event for event in await world.store.read() if isinstance(event.body, CancelRequested)]


@simulated
async def test_n10_liquidation_when_the_broker_closes_positions_then_external_explained_and_never_silent(runtime: SimRuntime) -> None:
    desk = await watched(runtime, NOW)
    world = desk.world
    desk.holds((HIGH, -1), (LOW, 1))
    await desk.at(NOW + timedelta(minutes=1))
    world.broker.fill(sell(LOW), 1, "2.00", exec_id="L1", client_id=None, note="liquidated, margin deficit")
    alerts = await desk.at(NOW + timedelta(minutes=2))
    assert [alert.urgency for alert in alerts] == ["critical"]
    assert "the EXTERNAL sale of 1 x SPY 14 Jun 19 280 put" in alerts[0].text
    assert world.desk.book(PRACTICE).fills[-1].note == "liquidated, margin deficit"
    assert (await world.sender.reconcile()).differences == ()


@simulated
async def test_lookout_when_the_books_were_not_compared_then_it_judges_nothing(runtime: SimRuntime) -> None:
    desk = await watched(runtime, new_york(13))
    desk.holds((HIGH, -1))
    desk.spot(284.0)
    await desk.at(new_york(13, 30))
    desk.world.broker.complete = False
    await desk.world.sender.connect()
    assert await desk.at(new_york(14)) == []
    desk.world.broker.complete = True
    await desk.world.sender.connect()
    assert len(await desk.at(new_york(14, 1))) == 1


@simulated
async def test_j4_lookout_when_it_has_a_bug_then_the_loop_lives_and_entries_stop(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    lookout = world.desk.lookouts[PRACTICE]
    broken = [ValueError("bug"), ValueError("bug")]

    async def turn(*, one_look: bool = False) -> None:
        if broken:
            raise broken.pop()

    lookout.turn = turn  # type: ignore[method-assign]
    runtime.spawn(lookout.run(), name="lookout PRACTICE")
    await runtime.sleep(30)
    assert world.mode() is Mode.REDUCING
    assert "lookout PRACTICE" in runtime.running()
    assert sum(isinstance(event.body, ModeSet) for event in await world.store.read()) == 1


@simulated
async def test_lookout_when_the_broker_does_not_answer_a_take_back_then_told_and_tried_by_the_sender(runtime: SimRuntime) -> None:
    desk = await watched(runtime, NOW)
    world = desk.world
    await world.send("O2", legs=closing((sell(HIGH),)), start="-0.50", worst="-0.50", reducing=True)
    world.broker.fault("cancel", BrokerTimeout())
    alerts = await desk.at(NOW + timedelta(minutes=1))
    assert [alert.key for alert in alerts] == ["orphan:O2"]
    assert world.state("O2") is OrderState.PENDING_CANCEL
