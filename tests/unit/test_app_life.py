"""A process's desk: it starts with whatever is there, survives what goes wrong beside it, and stops without losing an order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.app import App, Options, assemble, open_app, replay
from core.clock import LoopClock
from core.command import Call, Caller, Via
from core.config import parse_config
from core.desk import Desk
from core.dispatch import dispatch
from core.domain.accounts import Account, AccountId, AccountKind, Env
from core.domain.events import Mode
from core.domain.orders import OrderState
from core.errors import LeaseLost, UserError
from core.fold import DeskFold
from core.market.providers import simulated as simulated_market
from core.ports import ProviderCapabilities
from core.runtime import SimRuntime
from core.store.memory import MemoryStore
from tests.fake_broker import FOR_EVER, FakeBroker, World, open_world, reopened, simulated, taken_over
from tests.unit.risk.market import PRACTICE

MAIN = AccountId(broker="paper", id="MAIN", env=Env.PAPER)
GOOD = """accounts:
  - {name: main, broker: paper, id: MAIN, env: paper, kind: ira, start_cash: 50000, charter: {defined_risk_only: true}}
"""


def after_the_close(runtime: SimRuntime) -> None:
    assert isinstance(runtime.clock, LoopClock)
    runtime.clock.step(timedelta(hours=6))


async def started(runtime: SimRuntime) -> tuple[World, App]:
    world = await open_world(runtime, connect=False)
    app = App(desk=world.desk, home=None)
    await app.start()
    return world, app


# --- beside the order path -----------------------------------------------------------------------------------------------


@simulated
async def test_h1_tick_when_the_disk_was_full_at_the_close_then_marked_once_there_is_space(runtime: SimRuntime) -> None:
    world, _ = await started(runtime)
    after_the_close(runtime)
    world.faults.full = True
    await runtime.sleep(30)
    world.faults.full = False
    await runtime.sleep(120)
    assert len(world.desk.fold.marks(PRACTICE)) == 1
    assert set(runtime.running()) == {
        "account PRACTICE", "standing orders PRACTICE", "lookout PRACTICE", "kill check PRACTICE", "marks and snapshots", "exits",
        "watchdog", "keeper",
    }
    assert world.mode() is Mode.ACTIVE


@simulated
async def test_j4_tick_when_it_has_a_bug_then_it_lives_and_entries_stop(runtime: SimRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = await started(runtime)
    failures = [ValueError("cannot mark")] * 3

    async def mark(*args: object, **more: object) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr("core.app.mark_session", mark)
    await runtime.sleep(60)
    assert failures == []
    assert "marks and snapshots" in runtime.running()
    assert world.mode() is Mode.REDUCING
    assert [entry.cause.partition(":")[0] for entry in world.desk.fold.all_modes()] == ["bug"]


@pytest.mark.parametrize("error", [OSError("down"), TimeoutError(), ValueError("an adapter's bug")])
@simulated
async def test_start_when_a_broker_fails_then_the_desk_starts_and_the_account_comes_later(runtime: SimRuntime, error: Exception) -> None:
    world = await open_world(runtime, connect=False)
    fault = world.broker.fault("connect", error, times=FOR_EVER)
    app = App(desk=world.desk, home=None)
    await app.start()
    assert len(world.desk.notes) == 1
    assert world.desk.notes[0].startswith("PRACTICE: ")
    assert world.mode() is Mode.RECOVERY
    fault.times = 0
    await runtime.sleep(120)
    assert world.mode() in (Mode.ACTIVE, Mode.REDUCING)


# --- stopping ------------------------------------------------------------------------------------------------------------


@simulated
async def test_stop_when_an_order_is_on_its_way_then_its_answer_is_kept(runtime: SimRuntime) -> None:
    world, app = await started(runtime)
    world.broker.fault("submit", seconds=2)
    sending = runtime.spawn(world.send(), name="send")
    await runtime.sleep(0.5)
    await app.stop()
    assert sending.done()
    again = await reopened(world, connect=False)
    assert again.state() is OrderState.WORKING


@simulated
async def test_stop_when_a_broker_never_answers_then_stops_all_the_same_and_the_next_start_finds_out(runtime: SimRuntime) -> None:
    world, app = await started(runtime)
    world.broker.fault("submit", seconds=1000)
    runtime.spawn(world.send(), name="send")
    await runtime.sleep(0.5)
    began = runtime.seconds()
    await app.stop()
    assert runtime.seconds() - began < 15
    again = await reopened(world)
    assert again.state() is OrderState.DENIED
    assert again.mode() is Mode.ACTIVE
    assert world.broker.orders == {}


@simulated
async def test_stop_when_called_twice_then_nothing_happens_twice(runtime: SimRuntime) -> None:
    world, app = await started(runtime)
    await world.send()
    await app.stop()
    await app.stop()
    again = await reopened(world)
    assert again.state() is OrderState.WORKING
    assert (await replay(again.store)).digest() == again.desk.fold.digest()


@simulated
async def test_k4_stop_when_another_desk_owns_the_log_then_its_lease_stays(runtime: SimRuntime) -> None:
    world, app = await started(runtime)
    other = await taken_over(world)
    with pytest.raises(LeaseLost):
        await world.halt()
    await app.stop()
    assert await other.store.lease_token() == other.desk.token
    assert (await other.send()).state is OrderState.WORKING


# --- configuration -------------------------------------------------------------------------------------------------------


async def opened(tmp_path: Path, text: str) -> App:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    app = await open_app(Options(home=tmp_path / "home", config_path=path, background=False))
    await app.start()
    return app


async def test_k1_start_when_the_config_is_wrong_then_read_only_with_the_accounts_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await opened(tmp_path, GOOD)).stop()
    from core.brokers import paper

    connected: list[str] = []
    monkeypatch.setattr(paper.PaperBroker, "connect", lambda self: connected.append("connect"))
    app = await opened(tmp_path, GOOD + "setings: {}\n")
    desk = app.desk
    reply = await dispatch(desk, Call(command="open", args={"symbol": "SPX"}, caller=Caller(person="a", via=Via.LINE)))
    note = await dispatch(desk, Call(command="positions", args={}, caller=Caller(person="a", via=Via.LINE)))
    mode = desk.mode(account=MAIN)[0]
    book = desk.books.accounts[MAIN]
    await app.stop()
    assert connected == []
    assert mode is Mode.RECOVERY
    assert any("setings" in text for text in desk.notes)
    assert (book.account.kind, book.account.charter.defined_risk_only, int(book.cash)) == (AccountKind.IRA, True, 50_000)
    assert not any(action.line.startswith("confirm") for action in reply.actions)
    assert note.ok


async def test_k1_start_when_the_config_is_right_again_then_active(tmp_path: Path) -> None:
    await (await opened(tmp_path, GOOD)).stop()
    await (await opened(tmp_path, GOOD + "setings: {}\n")).stop()
    app = await opened(tmp_path, GOOD)
    mode = app.desk.mode(account=MAIN)
    await app.stop()
    assert mode == (Mode.ACTIVE, "")


async def test_k1_start_when_the_config_was_wrong_in_between_then_what_was_accepted_before_still_stands(tmp_path: Path) -> None:
    wide = GOOD + "settings: {rules.capital.max_fraction: 0.08}\n"
    await (await opened(tmp_path, wide)).stop()
    await (await opened(tmp_path, wide + "setings: {}\n")).stop()
    app = await opened(tmp_path, wide)
    fraction, notes = app.desk.settings.values["rules.capital.max_fraction"], app.desk.notes
    await app.stop()
    assert (str(fraction), notes) == ("0.08", [])


async def test_start_when_the_config_loosens_an_account_then_its_old_terms_stay(tmp_path: Path) -> None:
    await (await opened(tmp_path, GOOD)).stop()
    app = await opened(tmp_path, "accounts:\n  - {name: main, broker: paper, id: MAIN, env: paper, kind: portfolio_margin}\n")
    account, notes = app.desk.books.accounts[MAIN].account, app.desk.notes
    await app.stop()
    assert (account.kind, account.charter.defined_risk_only) == (AccountKind.IRA, True)
    assert any("loosens account main" in note for note in notes)


async def test_k1_start_when_a_paper_broker_is_called_live_then_read_only(tmp_path: Path) -> None:
    app = await opened(tmp_path, GOOD.replace("env: paper", "env: live"))
    mode, senders = app.desk.mode()[0], app.desk.senders
    await app.stop()
    assert (mode, senders) == (Mode.RECOVERY, {})


LIVE = Account(id=AccountId(broker="vendor", id="U1", env=Env.LIVE), name="main", kind=AccountKind.REG_T)


class LiveBroker(FakeBroker):
    """The same at a broker where money is real."""

    capabilities = replace(FakeBroker.capabilities, env="live")


async def live_desk(runtime: SimRuntime, broker: FakeBroker, provider: object, *, read_only: bool = False) -> Desk:
    store = MemoryStore(clock=runtime.clock)
    config = replace(parse_config({}), accounts=(LIVE,))
    return await assemble(
        config=config, runtime=runtime, store=store, archive=None, token=await store.acquire_lease("test"), fold=DeskFold(),  # type: ignore[arg-type]
        providers=(provider,), halt_reason=lambda: None, brokers=(broker,), read_only=read_only,  # type: ignore[arg-type]
    )


@simulated
async def test_f8_start_when_a_live_account_meets_a_simulated_market_then_refused(runtime: SimRuntime) -> None:
    market = simulated_market.build(simulated_market.Parameters(), clock=runtime.clock)
    with pytest.raises(UserError, match="is live, the market data is SIMULATED"):
        await live_desk(runtime, LiveBroker(account=LIVE.id), market)


@simulated
async def test_k1_start_when_the_config_is_wrong_and_an_account_is_live_then_it_can_still_be_read(runtime: SimRuntime) -> None:
    market = simulated_market.build(simulated_market.Parameters(), clock=runtime.clock)
    broker = LiveBroker(account=LIVE.id)
    desk = await live_desk(runtime, broker, market, read_only=True)
    await App(desk=desk, home=None, config_errors=("wrong",)).start()
    assert desk.mode(account=LIVE.id)[0] is Mode.RECOVERY
    assert broker.epoch == 0


@simulated
async def test_f8_start_when_a_paper_link_is_given_to_a_live_account_then_refused(runtime: SimRuntime) -> None:
    class LiveMarket:
        capabilities = ProviderCapabilities(name="vendor", label="VENDOR", symbols=None)

    with pytest.raises(UserError, match="Broker fake is paper"):
        await live_desk(runtime, FakeBroker(account=LIVE.id), LiveMarket())


@simulated
async def test_stop_when_a_broker_fails_to_close_then_the_lease_is_given_up_all_the_same(runtime: SimRuntime) -> None:
    world, app = await started(runtime)
    world.broker.fault("close", ValueError("a bug"))
    await app.stop()
    assert world.disk.owner is None
    assert world.disk.locked_by is None
