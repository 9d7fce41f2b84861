"""The link under stress: heartbeats, pace, refused logins, and cancels that never wait behind other things."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.announce import Urgency, announce
from core.domain.events import Mode, SettingChanged
from core.domain.orders import OrderState
from core.errors import BrokerTimeout, LoginNeeded, RateLimited, Unavailable
from core.links.pacing import Lane, Pacing
from core.orders.mouth import Mouth
from core.orders.sender import LOGIN_AGAIN_SECONDS, cancel_all
from core.runtime import SimRuntime
from tests.fake_broker import FOR_EVER, FakeBroker, World, open_world, simulated
from tests.unit.risk.market import PRACTICE

SLOW = replace(FakeBroker.capabilities, requests_per_minute=100)


class PacedBroker(FakeBroker):
    """A broker that counts requests a minute and turns away what is over 100."""

    capabilities = SLOW

    def __init__(self) -> None:
        super().__init__(account=PRACTICE)
        self.asked_seconds: list[float] = []
        self.refused = 0

    async def _before(self, call: str, client_id: str | None = None) -> None:
        assert self.runtime is not None
        now = self.runtime.seconds()
        if call != "updates":  # a beat of poll and updates counts as one
            self.asked_seconds.append(now)
        if sum(at > now - 60 for at in self.asked_seconds) > 100:
            self.refused += 1
            raise RateLimited(60 - (now - self.asked_seconds[-101]))
        await super()._before(call, client_id)


def login_modes(world: World) -> list[Mode]:
    return [entry.mode for entry in world.desk.fold.all_modes() if entry.cause == "login"]


# --- heartbeat -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["poll", "updates"])
@simulated
async def test_f2_link_when_the_other_end_falls_silent_then_known_within_ten_seconds_and_nothing_is_sent(
    runtime: SimRuntime, call: str
) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await runtime.sleep(5.5)
    assert world.mode() is Mode.ACTIVE
    for silent in ("poll", "updates", "connect", "snapshot", "submit"):
        world.broker.fault(silent, seconds=100_000, times=FOR_EVER, only=None if silent != "poll" or call == "poll" else "never")
    began = runtime.seconds()
    while world.mode() is Mode.ACTIVE:
        await runtime.sleep(0.1)
    assert runtime.seconds() - began <= 10
    assert world.mode() is Mode.RECOVERY
    assert "no sign of life from the broker for 8 seconds" in world.desk.mode(account=PRACTICE)[1]
    assert (await world.send()).state is OrderState.DENIED
    assert world.broker.sent("submit") == []


@simulated
async def test_f2_link_when_the_other_end_is_back_then_the_books_are_compared_and_it_goes_on(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    world.broker.fault("poll", seconds=100_000, times=2)
    await runtime.sleep(12)
    epoch = world.broker.epoch
    await runtime.sleep(30)
    assert world.broker.epoch > 1
    assert epoch <= world.broker.epoch
    assert world.mode() is Mode.ACTIVE
    assert (await world.send()).state is OrderState.WORKING


# --- pace ----------------------------------------------------------------------------------------------------------------


@simulated
async def test_f7_burst_when_more_is_asked_than_the_broker_takes_then_never_over_its_limit_and_cancels_leave_at_once(
    runtime: SimRuntime
) -> None:
    broker = PacedBroker()
    world = await open_world(runtime, brokers=(broker,))
    world.run_accounts()
    await world.record(SettingChanged(key="desk.orders_per_minute", old="30", new="1000", loosens=True))
    for number in range(5):
        await world.send(f"O{number}")
    pressed = [await world.press(f"B{number}") for number in range(60)]
    sending = [runtime.spawn(world.sender.send(confirmed), name="send") for confirmed in pressed]
    await runtime.sleep(1)
    began = runtime.seconds()
    await runtime.gather(*(world.sender.cancel(f"O{number}", "test", actor="person:a") for number in range(5)))
    assert runtime.seconds() - began < 3
    assert sorted(broker.sent("cancel")) == [f"O{number}" for number in range(5)]
    await runtime.sleep(300)
    assert broker.refused == 0
    assert all(task.done() for task in sending)
    assert {world.state(f"B{number}") for number in range(60)} <= {OrderState.WORKING, OrderState.DENIED}


@simulated
async def test_f7_order_when_the_broker_says_too_fast_then_it_is_over_and_nothing_leaves_until_it_listens_again(
    runtime: SimRuntime
) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", RateLimited(30))
    order = await world.send("O1")
    assert order.state is OrderState.REJECTED
    assert "listens again in 30 seconds" in order.reason
    assert world.broker.orders == {}
    began = runtime.seconds()
    await world.send("O2")
    assert runtime.seconds() - began == 30
    assert world.broker.sent("submit") == ["O1", "O2"]


@simulated
async def test_f7_cancel_when_the_broker_says_too_fast_then_asked_again_after_that(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    await world.send("O1")
    world.broker.fault("cancel", RateLimited(20))
    await world.sender.cancel("O1", "test", actor="person:a")
    assert world.state() is OrderState.PENDING_CANCEL
    await runtime.sleep(45)
    assert world.broker.sent("cancel") == ["O1", "O1"]
    assert world.state() is OrderState.CANCELLED


@simulated
async def test_f7_poll_when_the_broker_says_too_fast_then_the_link_is_alive_and_waits(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    world.broker.fault("poll", RateLimited(40), times=1)
    await runtime.sleep(20)
    assert world.broker.epoch == 1
    assert world.mode() is Mode.ACTIVE
    await runtime.sleep(60)
    assert world.mode() is Mode.ACTIVE


# --- logins --------------------------------------------------------------------------------------------------------------


@simulated
async def test_f11_login_when_it_is_due_then_one_clear_alert_read_only_and_halt_is_recorded(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    told: list[tuple[Urgency, str]] = []

    def hear(event: object, outcomes: object) -> None:
        news = announce(event, outcomes, world.desk.books)  # type: ignore[arg-type]
        if news is not None:
            told.append((news.urgency, str(news.blocks[0].text)))  # type: ignore[union-attr]

    world.desk.listen(hear)
    world.run_accounts()
    expired = LoginNeeded("broker fake", "the API key has expired")
    world.broker.fault("poll", expired, times=FOR_EVER)
    world.broker.fault("connect", expired, times=FOR_EVER)
    await runtime.sleep(900)
    assert login_modes(world) == [Mode.RECOVERY]
    alerts = [item for item in told if "API key has expired" in item[1]]
    assert len(alerts) == 1
    assert alerts[0][0] is Urgency.CRITICAL
    assert "Log in or renew the keys" in alerts[0][1]
    assert world.mode() is Mode.RECOVERY
    assert (await world.send()).state is OrderState.DENIED
    await world.halt()
    assert any(entry.cause == "kill" for entry in world.desk.fold.all_modes())
    assert world.desk.book(PRACTICE).cash == world.broker.cash


@simulated
async def test_f11_login_when_the_keys_are_renewed_then_it_goes_on_by_itself_and_says_so(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    expired = LoginNeeded("broker fake", "the API key has expired")
    world.broker.fault("poll", expired, times=FOR_EVER)
    fault = world.broker.fault("connect", expired, times=FOR_EVER)
    await runtime.sleep(600)
    asked = FOR_EVER - fault.times
    assert asked <= 600 // LOGIN_AGAIN_SECONDS + 1
    world.broker.heal()
    await runtime.sleep(LOGIN_AGAIN_SECONDS * 2)
    assert login_modes(world) == []
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_f11_order_when_the_permission_was_taken_away_then_rejected_and_the_account_stops(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fault("submit", LoginNeeded("broker fake", "this key may not trade options any more"))
    order = await world.send()
    assert order.state is OrderState.REJECTED
    assert "may not trade options" in order.reason
    assert login_modes(world) == [Mode.RECOVERY]


# --- reconnecting --------------------------------------------------------------------------------------------------------


@simulated
async def test_l5_outage_when_the_broker_is_gone_for_an_hour_then_bounded_tries_and_soon_back(runtime: SimRuntime) -> None:
    world = await open_world(runtime, accounts=("PRACTICE", "SECOND"))
    world.run_accounts()
    for broker in world.brokers.values():
        broker.fault("poll", OSError("down"), times=FOR_EVER)
    faults = [broker.fault("connect", OSError("down"), times=FOR_EVER) for broker in world.brokers.values()]
    await runtime.sleep(3600)
    tries = [FOR_EVER - fault.times for fault in faults]
    assert all(40 <= count <= 90 for count in tries)
    for broker in world.brokers.values():
        broker.heal()
    await runtime.sleep(80)
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_l5_orders_when_every_one_goes_unanswered_then_the_connection_is_not_made_anew_for_each(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.run_accounts()
    world.broker.fault("submit", BrokerTimeout(), times=FOR_EVER)
    for number in range(40):
        await world.send(f"O{number}")
        await runtime.sleep(5)
    assert world.broker.epoch <= 20 + 200 // 30 + 1  # the budget of reconnections


# --- turns at the wire ---------------------------------------------------------------------------------------------------


@simulated
async def test_mouth_when_orders_wait_then_a_cancel_goes_first(runtime: SimRuntime) -> None:
    mouth = Mouth(runtime, Pacing(per_minute=None, now_seconds=0.0))
    order: list[str] = []

    async def request(lane: Lane, name: str) -> None:
        async with mouth.turn(lane):
            order.append(name)
            await runtime.sleep(10)

    for number in range(5):
        runtime.spawn(request(Lane.ORDER, f"order {number}"), name="order")
        await runtime.sleep(0.1)
    runtime.spawn(request(Lane.CANCEL, "cancel"), name="cancel")
    await runtime.sleep(100)
    assert order == ["order 0", "cancel", "order 1", "order 2", "order 3", "order 4"]


@simulated
async def test_mouth_when_whoever_waits_goes_away_then_the_next_has_its_turn(runtime: SimRuntime) -> None:
    mouth = Mouth(runtime, Pacing(per_minute=None, now_seconds=0.0))
    served: list[int] = []

    async def request(number: int) -> None:
        async with mouth.turn(Lane.ORDER):
            served.append(number)
            await runtime.sleep(10)

    tasks = []
    for number in range(4):
        tasks.append(runtime.spawn(request(number), name="request"))
        await runtime.sleep(0.25)
    tasks[1].cancel()
    tasks[0].cancel()  # it leaves, and hands the wire to the third, which goes away at the same moment
    await runtime.sleep(0)
    tasks[2].cancel()
    await runtime.sleep(30)
    assert served[0] == 0
    assert served[-1] == 3


@simulated
async def test_cancel_when_a_reconciliation_hangs_then_it_leaves_at_once(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")
    world.broker.fault("snapshot", seconds=9)
    comparing = runtime.spawn(world.sender.reconcile(), name="reconcile")
    await runtime.sleep(1)
    runtime.spawn(world.sender.cancel("O1", "now", actor="person:a"), name="cancel")
    await runtime.sleep(0.5)
    assert world.broker.sent("cancel") == ["O1"]
    await comparing
    await world.sender.pump(0)
    assert world.state() is OrderState.CANCELLED


@simulated
async def test_cancel_when_its_order_is_just_leaving_then_never_before_it(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    confirmed = await world.press()
    world.broker.fault("submit", seconds=5)
    runtime.spawn(world.sender.send(confirmed), name="send")
    await runtime.sleep(1)
    await world.sender.cancel("O1", "changed my mind", actor="person:a")
    assert [call for call, _, _ in world.broker.wire] == ["submit", "cancel"]
    assert world.state() is OrderState.CANCELLED


@simulated
async def test_cancel_when_its_order_still_waits_for_a_turn_then_the_order_never_leaves(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    first, second = await world.press("O1"), await world.press("O2")
    world.broker.fault("submit", seconds=5)
    runtime.spawn(world.sender.send(first), name="first")
    sending = runtime.spawn(world.sender.send(second), name="second")
    await runtime.sleep(1)
    await world.sender.cancel("O2", "changed my mind", actor="person:a")
    await sending
    assert world.broker.sent("submit") == ["O1"]
    assert world.state("O2") is OrderState.DENIED


@simulated
async def test_replace_when_a_cancel_is_asked_for_meanwhile_then_the_price_is_not_moved(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O1")
    world.broker.fault("cancel", BrokerTimeout())
    await runtime.gather(world.sender.cancel("O1", "stop", actor="person:a"), world.sender.replace("O1", Decimal("4.50")))
    assert world.broker.sent("replace") == []
    assert world.order().limit == world.broker.orders["O1"].limit


@simulated
async def test_cancel_all_when_one_account_hangs_then_the_others_do_not_wait(runtime: SimRuntime) -> None:
    world = await open_world(runtime, accounts=("PRACTICE", "SECOND"))
    second = next(broker for account, broker in world.brokers.items() if account != PRACTICE)
    await world.send("O1")
    await world.send("O2", account=second.account)
    world.broker.fault("cancel", seconds=1000)
    runtime.spawn(cancel_all(world.desk, tuple(world.desk.senders.values()), reason="kill", actor="person:a"), name="kill")
    await runtime.sleep(1)
    assert world.state("O2") is OrderState.CANCELLED


@simulated
async def test_connect_when_the_broker_is_not_there_then_the_reason_is_shown(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    world.broker.fault("connect", Unavailable("gateway", why="maintenance"))
    with pytest.raises(Unavailable):
        await world.sender.connect()
    assert world.desk.mode(account=PRACTICE) == (Mode.RECOVERY, "PRACTICE: gateway is not available: maintenance")
