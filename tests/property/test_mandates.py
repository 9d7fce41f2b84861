"""Whatever happens in whatever order, no mandate sends more, or otherwise, than it was granted."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.autonomy import Autonomy
from core.clock import exchange_date
from core.domain.encoding import from_plain, to_plain
from core.domain.events import Event, MandateGranted, MandateRevoked, Mode, Submitting, TicketConfirmed
from core.domain.mandates import Authority, Mandate, MandateAction, broken_bounds
from core.domain.orders import Effect
from core.errors import BrokerTimeout
from core.runtime import SimLoop, SimRuntime
from tests.unit.orders.exit_floor import Floor, open_floor
from tests.unit.risk.market import NOW, PRACTICE, SPREAD

AT = datetime(2019, 5, 6, 15, 0, tzinfo=UTC)
MANDATE = Mandate(
    id="M1", account=PRACTICE, rules=("profit_target",), action=MandateAction.CLOSE, strategies=("put_credit_spread",), symbols=("SPX",),
    max_quantity=2, max_orders_per_day=2, concession_points=Decimal("0.10"), concession_fraction=Decimal("0.10"),
    valid_until=AT + timedelta(days=2), granted_by="owner", chat="terminal",
)


def event(body: Any, number: int, at: datetime) -> Event:
    return Event(
        seq=number, stream="test", kind=type(body).__name__, version=1, at=at, recorded_at=at, actor="test", causation="", correlation="",
        dedupe=None, body=body, hash="",
    )


def confirmed(number: int) -> TicketConfirmed:
    return TicketConfirmed(
        ticket_id=f"T{number}", person="owner", chat="terminal", envelope_hash="", card_hash="", quantity=1, client_id=f"O{number}",
        mandate="M1", rule="profit_target", evidence="due",
    )


@given(hours=st.lists(st.integers(-30, 90), max_size=12), again=st.lists(st.integers(0, 11), max_size=4), asked=st.integers(-30, 100))
def test_count_when_the_clock_goes_any_way_then_a_day_never_has_more_left_than_its_bound(
    hours: list[int], again: list[int], asked: int
) -> None:
    fold = Autonomy()
    fold.apply(event(MandateGranted(mandate=MANDATE, card_hash=""), 1, AT))
    events = [event(confirmed(number), number + 2, AT + timedelta(hours=hour)) for number, hour in enumerate(hours)]
    for item in (*events, *(events[number] for number in again if number < len(events))):
        fold.apply(item)
    now = AT + timedelta(hours=asked)
    state = fold.states(now=now, latest=max([AT, *(item.at for item in events)]))["M1"]
    today = [item for item in events if exchange_date(item.at) == exchange_date(now)]
    assert state.left_today <= max(0, MANDATE.max_orders_per_day - len(today))
    assert not state.in_force or now < MANDATE.valid_until
    assert from_plain(Autonomy, to_plain(fold)).states(now=now, latest=now) == fold.states(now=now, latest=now)


@given(
    quantity=st.integers(1, 4), strategy=st.sampled_from(["put_credit_spread", "naked_put"]), symbol=st.sampled_from(["SPX", "XSP"]),
    effect=st.sampled_from([Effect.OPEN, Effect.CLOSE, None]), rule=st.sampled_from(["profit_target", "credit_stop"]),
    account=st.sampled_from([PRACTICE, replace(PRACTICE, id="OTHER")]), revoked=st.booleans(), sent=st.integers(0, 3),
    terms=st.sampled_from([{}, {"a": "1"}]),
)
def test_bounds_when_any_one_is_broken_then_it_is_named_and_else_none(
    quantity: int, strategy: str, symbol: str, effect: Effect | None, rule: str, account: Any, revoked: bool, sent: int,
    terms: dict[str, str],
) -> None:
    fold = Autonomy()
    fold.apply(event(MandateGranted(mandate=MANDATE, card_hash=""), 1, AT))
    for number in range(sent):
        fold.apply(event(confirmed(number), number + 2, AT))
    if revoked:
        fold.apply(event(MandateRevoked(mandate_id="M1", reason="by owner"), 9, AT))
    authority = Authority(state=fold.states(now=AT, latest=AT)["M1"], rule=rule, terms=terms)
    broken = broken_bounds(authority, account=account, strategy=strategy, symbol=symbol, effect=effect, quantity=quantity)
    expected = {
        "quantity": quantity > 2, "strategy": strategy != "put_credit_spread", "symbol": symbol != "SPX", "rule": rule != "profit_target",
        "action": effect is not Effect.CLOSE, "account": account != PRACTICE, "in force": revoked, "orders today": sent >= 2,
        "terms": bool(terms),
    }
    assert {bound.name for bound in broken} == {name for name, is_broken in expected.items() if is_broken}


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.integers(1, 3)),
        st.tuples(st.just("cost"), st.sampled_from(["1.00", "2.40", "4.00", "15.50", "20.00"])),
        st.tuples(st.just("round"), st.sampled_from([5, 60, 60, 3600, 24 * 3600])),
        st.tuples(st.just("fill"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("revoke"), st.just(0)),
        st.tuples(st.just("halt"), st.booleans()),
        st.tuples(st.just("blind"), st.booleans()),
        st.tuples(st.just("lose"), st.booleans()),
        st.tuples(st.just("die"), st.sampled_from(["before", "after"])),
    ),
    min_size=3, max_size=14,
)
BEGINNING = [("hold", 1), ("hold", 2), ("cost", "2.40"), ("round", 60)]  # something to act on, and the first order of a mandate


async def play(runtime: SimRuntime, acts: list[tuple[str, Any]]) -> Floor:
    floor = await open_floor(runtime)
    await floor.grant(max_quantity=2, max_orders_per_day=1, valid_until=floor.now + timedelta(days=3))
    await floor.grant("credit_stop", id="M2", max_quantity=2, max_orders_per_day=2)
    held = 0
    for act, value in acts:
        if act == "hold" and held < 4 and floor.world.mode() is Mode.ACTIVE:
            held += 1
            floor.world.broker.heal()
            await floor.hold(value, client_id=f"H{held}")
        elif act == "cost":
            floor.costs(value)
        elif act == "round":
            floor = await one_round(floor, value)
        elif act == "fill":
            for order in tuple(floor.desk.book(PRACTICE).live.values()):
                await floor.fill(order, "25")
        elif act == "restart":
            floor = await floor.restart()
        elif act == "revoke":
            await floor.say("mandate revoke id=M1")
        elif act == "halt":
            await floor.world.halt(Mode.HALT if value else Mode.ACTIVE)
        elif act == "blind":
            floor.market.stale_seconds = 600.0 if value else 0.0
        elif act == "lose":  # the broker's answer to the next order, or the order itself
            floor.world.broker.fault("submit", BrokerTimeout("no answer"), after=value)
        elif act == "die":  # in the next append, if the exits have something to write
            floor.world.faults.die = value
            floor = await one_round(floor, 60)
            floor.world.faults.die = ""
    return floor


async def one_round(floor: Floor, seconds: float) -> Floor:
    """Time passes, the exits look and the sender works; a process that died meanwhile is started again."""
    await asyncio.sleep(seconds)

    async def work() -> None:
        await floor.loop.round()
        await floor.world.sender.work()

    floor.world.runtime.spawn(work(), name="work")
    await asyncio.sleep(30)
    return floor if floor.world.runtime.process.alive else await floor.restart()


@settings(max_examples=30)
@given(acts=ACTS)
def test_mandates_when_anything_happens_then_every_order_lies_inside_one(acts: list[tuple[str, Any]]) -> None:
    loop = SimLoop(1, start=NOW, max_steps=2_000_000)
    outer = SimRuntime(loop, 2, process="test")
    try:
        floor = outer.run(play(SimRuntime(loop, 1), [*BEGINNING, *acts]))
        outer.run(check(floor))
    finally:
        loop.abandon()
        loop.close()


async def check(floor: Floor) -> None:
    """Hold the log and the wire against what was granted; nothing of the desk's own judgement is used."""
    granted: dict[str, Mandate] = {}
    ended: dict[str, int] = {}
    sent: Counter[tuple[str, Any]] = Counter()
    closing: dict[str, str] = {}
    for item in await floor.world.store.read():
        body = item.body
        if isinstance(body, MandateGranted):
            granted[body.mandate.id] = body.mandate
        elif isinstance(body, MandateRevoked):
            ended[body.mandate_id] = item.seq
        elif isinstance(body, TicketConfirmed) and body.mandate is not None:
            mandate = granted[body.mandate]
            assert body.mandate not in ended and item.at < mandate.valid_until
            assert body.quantity <= mandate.max_quantity and body.rule in mandate.rules
            sent[body.mandate, exchange_date(item.at)] += 1
            assert sent[body.mandate, exchange_date(item.at)] <= mandate.max_orders_per_day
        elif isinstance(body, Submitting) and body.mandate is not None:
            assert {leg.effect for leg in body.envelope.legs} == {Effect.CLOSE}
            assert body.trade_id == body.envelope.trade_id
            other = closing.get(body.trade_id)
            live = None if other is None else floor.desk.books.order(other)
            assert live is None or live.updated_at <= item.at  # whatever closed it before had ended by then
            closing[body.trade_id] = body.client_id
    mandated = {order.client_id: order for order in floor.desk.book(PRACTICE).orders.values() if order.mandate is not None}
    for client_id in floor.world.broker.sent("submit"):
        assert client_id.startswith("H") or client_id in mandated
    book = floor.desk.book(PRACTICE)
    held = {key: position.quantity for key, position in floor.world.broker.positions.items()}
    assert held.get(SPREAD[0].instrument.key, 0) <= 0 <= held.get(SPREAD[1].instrument.key, 0)  # nothing was closed twice
    assert sent.total() >= 1 and all(trade.open_units >= 0 for trade in book.trades.values())
    for trade in book.trades.values():
        live_units = sum(order.leaves for order in book.live.values() if order.trade_id == trade.id and order.mandate is not None)
        assert live_units <= trade.open_units  # never two exits for one trade at once
