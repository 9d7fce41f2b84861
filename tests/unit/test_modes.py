"""The mode table holds in every scope, at the gate and at the wire alike, and everybody can see what stands and what lifts it."""

from __future__ import annotations

import pytest

from core.command import Call, Caller, Via
from core.desk import Desk
from core.dispatch import dispatch
from core.domain.events import Mode, ModeSet, Scope, ScopeKind
from core.domain.instruments import Equity, Option
from core.domain.modes import adds_risk, lets_through, scope_names
from core.domain.orders import OrderState
from core.reply import Reply
from core.risk.exam import Level
from core.risk.rules import state
from core.runtime import SimRuntime
from core.settings import Parameters
from tests.fake_broker import SECOND, World, open_world, simulated
from tests.paper_desk import lines, open_desk, say, table, text
from tests.unit.risk.market import CALL_SPREAD, PRACTICE, SPREAD, book, buy, closing, exam, intent, put, sell

#        mode            entry  exit   reducing  reducing by automation
TABLE = [
    (Mode.ACTIVE, True, True, True, True),
    (Mode.PAUSED, False, True, True, True),
    (Mode.REDUCING, False, False, True, True),
    (Mode.HALT, False, False, True, False),
    (Mode.RECOVERY, False, False, False, False),
    (Mode.STANDBY, False, False, False, False),
]
HELD = ((put(2800), -1), (put(2750), 2))
EXIT = intent([sell(put(2750), effect=closing(SPREAD)[0].effect)], start="20.00")  # one wing too many: an exit that reduces nothing
REDUCE = intent(closing(SPREAD), 1, start="-9.60", worst="-9.90")
IN_SCOPE = [
    Scope(),
    Scope(kind=ScopeKind.ACCOUNT, name=str(PRACTICE)),
    Scope(kind=ScopeKind.STRATEGY, name="put_credit_spread"),
    Scope(kind=ScopeKind.INSTRUMENT, name=put(2800).key),
    Scope(kind=ScopeKind.INSTRUMENT, name="SPX"),
    Scope(kind=ScopeKind.INSTRUMENT, name="SPXW"),
]
ELSEWHERE = [
    Scope(kind=ScopeKind.ACCOUNT, name=str(SECOND)),
    Scope(kind=ScopeKind.STRATEGY, name="naked_put"),
    Scope(kind=ScopeKind.INSTRUMENT, name=put(2500).key),
    Scope(kind=ScopeKind.INSTRUMENT, name="XSP"),
]


def passes(mode: Mode, order: object = None, **more: bool) -> bool:
    examined = exam(order, mode=mode, of=book(*HELD), **more)  # type: ignore[arg-type]
    return state.judge(examined, Parameters(values={})).level is Level.PASS


async def proved(desk: Desk, name: str, **args: object) -> Reply:
    return await dispatch(desk, Call(command=name, args=args, caller=Caller(person="owner", via=Via.LINE, proved=True)))


@pytest.mark.parametrize(("mode", "entry", "exits", "reducing", "automatic"), TABLE)
def test_table_when_each_mode_is_looked_up_then_as_specified(mode: Mode, entry: bool, exits: bool, reducing: bool, automatic: bool) -> None:
    assert lets_through(mode, reducing=False, exits=False) is entry
    assert lets_through(mode, reducing=False, exits=True) is exits
    assert lets_through(mode, reducing=True, exits=True) is reducing
    assert lets_through(mode, reducing=True, exits=True, automation=True) is automatic


@pytest.mark.parametrize(("mode", "entry", "exits", "reducing", "automatic"), TABLE)
def test_gate_when_each_mode_is_set_then_as_the_table_says(mode: Mode, entry: bool, exits: bool, reducing: bool, automatic: bool) -> None:
    assert passes(mode) is entry
    assert passes(mode, EXIT) is exits
    assert passes(mode, REDUCE) is reducing
    assert passes(mode, REDUCE, automation=True) is automatic


@pytest.mark.parametrize(("mode", "entry", "exits", "reducing", "automatic"), TABLE)
@pytest.mark.parametrize("scope", IN_SCOPE, ids=lambda scope: f"{scope.kind.value} {scope.name}")
@simulated
async def test_wire_when_each_mode_is_set_on_each_scope_then_as_the_table_says(
    runtime: SimRuntime, scope: Scope, mode: Mode, entry: bool, exits: bool, reducing: bool, automatic: bool
) -> None:
    world = await open_world(runtime)
    await world.record(ModeSet(scope=scope, mode=mode, cause="test", reason="a test"))
    await world.send("O1")
    await world.send("O2", closing(SPREAD), start="-4", worst="-5", exits=True)
    await world.send("O3", closing(SPREAD), start="-4", worst="-5", reducing=True)
    left = [name for name, may in (("O1", entry), ("O2", exits), ("O3", reducing)) if may]
    assert world.broker.sent("submit") == left


@pytest.mark.parametrize("scope", ELSEWHERE, ids=lambda scope: f"{scope.kind.value} {scope.name}")
@simulated
async def test_wire_when_something_else_is_halted_then_this_order_goes(runtime: SimRuntime, scope: Scope) -> None:
    world = await open_world(runtime, accounts=("PRACTICE", "SECOND"))
    await world.record(ModeSet(scope=scope, mode=Mode.HALT, cause="test", reason="a test"))
    assert (await world.send("O1")).state is OrderState.WORKING


@simulated
async def test_replace_when_the_account_is_paused_meanwhile_then_an_entry_is_walked_no_further_and_an_exit_is(runtime: SimRuntime) -> None:
    world = await open_world(runtime)
    await world.send("O0")
    world.broker.fill_spread("O0")
    await world.sender.pump(0)
    await world.send("O1")
    await world.send("O2", closing(SPREAD), start="-4", worst="-5", exits=True)
    await world.record(ModeSet(scope=Scope(), mode=Mode.PAUSED, cause="pause", reason="lunch"))
    await runtime.sleep(30)
    await world.sender.work()
    assert [name for call, name, _ in world.broker.wire if call == "replace"] == ["O2"]


def test_scope_names_when_an_order_has_options_and_shares_then_contracts_and_underlyings() -> None:
    legs = (*SPREAD, buy(Equity(symbol="SPY")))
    assert scope_names(legs) == (put(2800).key, "SPXW", "SPX", put(2750).key, "SPY")


def test_adds_risk_when_an_order_is_no_exit_then_only_that() -> None:
    assert adds_risk(reducing=False, exits=False)
    assert not adds_risk(reducing=False, exits=True)
    assert not adds_risk(reducing=True, exits=True)


# --- from chat -----------------------------------------------------------------------------------------------------------


async def test_halt_when_an_underlying_is_named_then_only_orders_on_it_wait() -> None:
    desk = await open_desk()
    await say(desk, "halt SPX")
    assert "HALTED" not in (await say(desk, "status")).badge
    assert desk.mode()[0] is Mode.ACTIVE
    blocked = await say(desk, "open put_credit_spread SPX 1")
    other = await say(desk, "open put_credit_spread XSP 1")
    assert "halt" in text(blocked)
    assert "confirm" not in " ".join(lines(blocked))
    assert "confirm" in " ".join(lines(other))


async def test_unhalt_when_an_underlying_is_named_then_its_contracts_are_lifted_and_the_rest_stays() -> None:
    desk = await open_desk()
    await say(desk, "halt SPX")
    await say(desk, "halt XSP")
    contract = Scope(kind=ScopeKind.INSTRUMENT, name=put(2800).key)
    await desk.record(desk.draft(ModeSet(scope=contract, mode=Mode.HALT, cause="overfill:O1", reason="too many"), actor="desk"))
    await proved(desk, "unhalt", symbol="SPX")
    assert desk.mode(keys=("SPX", put(2800).key))[0] is Mode.ACTIVE
    assert desk.mode(keys=("XSP",))[0] is Mode.HALT


async def test_mode_when_an_account_is_named_then_it_holds_for_that_account_alone() -> None:
    desk = await open_desk()
    account = desk.config.accounts[0].id
    await say(desk, "pause account=practice")
    assert desk.mode()[0] is Mode.ACTIVE
    assert desk.mode(account=account)[0] is Mode.PAUSED
    assert not (await say(desk, "resume")).ok
    assert (await say(desk, "resume account=practice")).ok
    assert desk.mode(account=account)[0] is Mode.ACTIVE


async def test_halt_when_a_series_is_named_then_its_contracts_are_halted_and_the_words_keep_its_letters() -> None:
    desk = await open_desk()
    spxw, spx = scope_names(SPREAD), ("SPX   190614P02800000", "SPX")
    assert text(await say(desk, "halt SPXW")).startswith("Instrument SPXW is HALTED")
    assert desk.mode(keys=spxw)[0] is Mode.HALT
    assert desk.mode(keys=spx)[0] is Mode.ACTIVE
    assert (await proved(desk, "unhalt", symbol="SPXW")).ok
    await say(desk, "halt SPX")
    assert "HALTED" in str((await say(desk, "pause SPXW")).blocks)  # the strictest mode in scope is what is told
    assert (await proved(desk, "unhalt", symbol="SPX")).ok
    assert desk.mode(keys=spxw)[0] is Mode.PAUSED


async def test_halt_when_a_word_too_much_names_a_ticker_then_it_says_that_all_else_goes_on() -> None:
    desk = await open_desk()
    reply = await say(desk, "halt now")
    assert desk.mode()[0] is Mode.ACTIVE
    assert "all else goes on" in text(reply)
    assert reply.actions[0].line == "halt"
    assert (await say(desk, "halt all")).ok
    assert desk.mode()[0] is Mode.HALT


async def test_mode_when_two_scopes_are_named_then_refused_and_nothing_is_set() -> None:
    desk = await open_desk()
    reply = await say(desk, "halt SPX account=practice")
    assert not reply.ok
    assert "one thing at a time" in text(reply)
    assert desk.fold.all_modes() == ()


async def test_resume_when_stale_data_left_reducing_then_a_person_lifts_it() -> None:
    desk = await open_desk()
    scope = Scope(kind=ScopeKind.INSTRUMENT, name="XSP")
    await desk.record(desk.draft(ModeSet(scope=scope, mode=Mode.REDUCING, cause="stale data:XSP", reason="old"), actor="desk"))
    assert desk.mode(keys=("XSP",))[0] is Mode.REDUCING
    assert (await say(desk, "resume")).ok
    assert desk.mode(keys=("XSP",))[0] is Mode.ACTIVE


async def test_status_when_modes_stand_then_each_is_shown_with_scope_reason_who_when_and_what_lifts_it() -> None:
    desk = await open_desk()
    desk.halt_reason = lambda: "typed at the machine"
    await say(desk, "halt SPX")
    await say(desk, "pause naked_put")
    rows = table(await say(desk, "status"), "Modes in force").rows
    now = desk.now()
    assert rows == (
        ("HALT", "instrument SPX", "halted by owner", "owner", now, "`unhalt symbol=SPX` with the PIN"),
        ("PAUSED", "strategy naked_put", "paused by owner", "owner", now, "`resume strategy=naked_put`"),
        ("HALT", "the desk", "HALT file: typed at the machine", "the desk", None, "`unhalt` with the PIN, which removes the file"),
    )


async def test_status_when_an_account_waits_for_its_books_then_it_says_what_ends_that() -> None:
    desk = await open_desk()
    account = desk.config.accounts[0].id
    desk.epochs[account] += 1
    (row,) = table(await say(desk, "status"), "Modes in force").rows
    assert row[:3] == ("RECOVERY", "account PRACTICE", "PRACTICE is not reconciled with its broker yet")
    assert row[5] == "a complete comparison with the broker's books"


@simulated
async def test_halt_when_only_one_side_is_named_then_the_other_goes_on(runtime: SimRuntime) -> None:
    world: World = await open_world(runtime)
    item = SPREAD[0].instrument
    assert isinstance(item, Option)
    await world.record(ModeSet(scope=Scope(kind=ScopeKind.INSTRUMENT, name=item.key), mode=Mode.HALT, cause="x", reason="x"))
    assert (await world.send("O1")).state is OrderState.DENIED
    assert (await world.send("O2", CALL_SPREAD)).state is OrderState.WORKING
