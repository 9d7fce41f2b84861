"""Live prices where a source keeps only so many: the oldest wish gives way, what is at stake does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.domain.instruments import Equity
from core.market.subscriptions import Subscriptions
from core.market.view import Needs
from core.runtime import SimRuntime
from tests.fake_broker import open_world, simulated
from tests.unit.risk.market import SPREAD
from tests.unit.test_watchdog import Feed

NAMES = [Equity(symbol=name) for name in ("SPY", "QQQ", "IWM", "DIA", "TLT", "GLD", "EEM", "XLF")]
SPY, QQQ, IWM, DIA, *_ = NAMES


def test_g4_subscriptions_when_the_limit_is_reached_then_the_oldest_that_is_not_at_stake_gives_way() -> None:
    lines = Subscriptions(3)
    for item in (SPY, QQQ, IWM):
        lines.want([item], at_stake={"SPY"})
    change = lines.want([DIA], at_stake={"SPY"})
    assert (change.add, change.drop, change.refused) == ((DIA,), (QQQ,), ())
    assert lines.live == (SPY, IWM, DIA)


def test_g4_subscriptions_when_one_is_asked_for_again_then_it_is_the_newest() -> None:
    lines = Subscriptions(2)
    lines.want([SPY], at_stake=())
    lines.want([QQQ], at_stake=())
    lines.want([SPY], at_stake=())
    assert lines.want([IWM], at_stake=()).drop == (QQQ,)


def test_g4_subscriptions_when_everything_live_is_at_stake_then_a_wish_is_refused_and_nothing_dropped() -> None:
    lines = Subscriptions(2)
    lines.want([SPY, QQQ], at_stake={"SPY", "QQQ"})
    change = lines.want([IWM], at_stake={"SPY", "QQQ"})
    assert (change.refused, change.drop) == ((IWM,), ())


@given(st.lists(st.tuples(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8), st.sets(st.sampled_from([item.key for item in NAMES]),
                                                                                          max_size=3)), max_size=20))
def test_g4_subscriptions_when_anything_is_asked_then_never_over_the_limit_and_what_is_at_stake_has_a_place(
    asked: list[tuple[list[Equity], set[str]]]
) -> None:
    lines, live = Subscriptions(3), {}
    for items, at_stake in asked:
        change = lines.want(items, at_stake=at_stake)
        for item in change.drop:
            del live[item.key]
        for item in change.add:
            assert item.key not in live
            live[item.key] = item
        assert set(live) == {item.key for item in lines.live}
        assert len(live) <= 3
        assert not {item.key for item in change.refused} & at_stake


@simulated
async def test_g4_reader_when_a_source_keeps_few_lines_then_positions_keep_theirs(runtime: SimRuntime) -> None:
    from core.market.reader import Reader
    from core.watchdog import keys_at_stake

    world, feed = await open_world(runtime), Feed(runtime, most=4)
    reader = world.desk.reader = Reader((feed,), clock=runtime.clock, runtime=runtime)  # type: ignore[arg-type]
    reader.at_stake = lambda: keys_at_stake(world.desk.books)
    await world.send("O0")
    world.broker.fill_spread("O0")
    await world.sender.pump(0)
    held = Needs(instruments=frozenset(leg.instrument for leg in SPREAD))
    await reader.view(held)  # the two puts and SPX
    for item in NAMES:
        view = await reader.view(Needs(instruments=frozenset({item})))
        assert item.key in view.quotes
    assert not set(feed.unsubscribed) & keys_at_stake(world.desk.books)
    view = await reader.view(held)
    assert set(view.quotes) == {*(leg.instrument.key for leg in SPREAD), "SPX"}
