"""Modes, settings, accounts, clock: what a person sets and lifts."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from core.command import Call, Caller, Via
from core.commands._accounts import load_default
from core.desk import Desk
from core.dispatch import dispatch
from core.domain.events import Mode, ModeSet, Reconciled, Scope, ScopeKind, SettingChanged
from core.domain.orders import OrderState
from core.errors import Unavailable
from core.fold import DeskFold
from core.reply import Reply, Text
from tests.paper_desk import call, lines, open_desk, say, table, text


async def proved(desk: Desk, name: str, **args: object) -> Reply:
    """A call whose PIN was checked."""
    return await dispatch(desk, Call(command=name, args=args, caller=Caller(person="owner", via=Via.LINE, proved=True)))


class FullDisk:
    """A log that refuses to be written, and reads as before."""

    def __init__(self, store: object) -> None:
        self._store = store

    async def append(self, *args: object, **kwargs: object) -> None:
        raise Unavailable("storage", why="disk full")

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


async def test_pause_when_a_strategy_is_named_then_only_it_takes_no_entries() -> None:
    desk = await open_desk()
    await say(desk, "pause put_credit_spread")
    blocked = await say(desk, "open put_credit_spread XSP 1")
    other = await say(desk, "open naked_put XSP 1")
    assert "paused" in text(blocked)
    assert "confirm" not in " ".join(lines(blocked))
    assert desk.mode(strategy="naked_put")[0] is Mode.ACTIVE
    assert "paused" not in text(other)


async def test_resume_when_a_pause_is_lifted_then_entries_go_on() -> None:
    desk = await open_desk()
    await say(desk, "pause")
    reply = await say(desk, "resume")
    assert desk.mode()[0] is Mode.ACTIVE
    assert "Lifted" in text(reply)


async def test_resume_when_nothing_is_paused_then_says_so() -> None:
    desk = await open_desk()
    reply = await say(desk, "resume")
    assert not reply.ok
    assert "Nothing is paused" in text(reply)


async def test_resume_when_the_desk_is_halted_then_does_not_lift_it() -> None:
    desk = await open_desk()
    await say(desk, "halt")
    assert not (await say(desk, "resume")).ok
    assert desk.mode()[0] is Mode.HALT


async def test_resume_when_an_error_left_reducing_then_lifts_it() -> None:
    desk = await open_desk()
    account = desk.config.accounts[0].id
    scope = Scope(kind=ScopeKind.ACCOUNT, name=str(account))
    await desk.record(desk.draft(ModeSet(scope=scope, mode=Mode.REDUCING, cause="bug:E1", reason="test"), actor="desk"))
    await say(desk, "resume")
    assert desk.mode(account=account)[0] is Mode.ACTIVE


async def test_unhalt_when_a_reconciliation_halted_an_instrument_then_it_stays() -> None:
    desk = await open_desk()
    account = desk.config.accounts[0].id
    scope = Scope(kind=ScopeKind.INSTRUMENT, name="SPY")
    halt = ModeSet(scope=scope, mode=Mode.HALT, cause=f"reconciliation:{account}", reason="SPY differs")
    differs = Reconciled(
        account=account, epoch=desk.epochs[account], complete=True, differences=("SPY differs",), broken_instruments=("SPY",)
    )
    await desk.record(desk.draft(halt, actor="desk"), desk.draft(differs, actor="desk"))
    await say(desk, "halt")
    reply = await proved(desk, "unhalt")
    assert desk.mode()[0] is Mode.ACTIVE
    assert desk.mode(keys=("SPY",))[0] is Mode.HALT
    assert "Stays halted until the books agree" in text(reply)


async def test_unhalt_when_a_halt_file_is_there_then_removes_it() -> None:
    desk = await open_desk()
    file = ["by hand"]
    desk.halt_reason = lambda: file[0] if file else None
    desk.clear_halt = file.clear
    assert (await proved(desk, "unhalt")).ok
    assert desk.mode()[0] is Mode.ACTIVE


async def test_unhalt_when_nothing_is_halted_then_says_so() -> None:
    desk = await open_desk()
    assert "Nothing is halted" in text(await proved(desk, "unhalt"))


async def test_h1_kill_when_the_disk_is_full_then_writes_the_halt_file() -> None:
    desk = await open_desk()
    written: list[str] = []
    desk.write_halt = written.append
    desk.store = FullDisk(desk.store)  # type: ignore[assignment] # only append differs
    await say(desk, "kill")
    assert written == ["killed by owner"]
    assert desk.mode()[0] is Mode.HALT


async def test_kill_when_an_order_works_then_it_is_cancelled_and_named() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread XSP 1 limit=2.00")
    sent = await say(desk, f"confirm {card.data['ticket']}")
    order = str(sent.data["order"])
    reply = await say(desk, "kill")
    found = desk.books.order(order)
    assert found is not None
    assert found.state is OrderState.CANCELLED
    assert order in text(reply)
    assert desk.mode()[0] is Mode.HALT


async def test_kill_when_flattening_then_every_position_gets_its_own_ticket_and_nothing_is_sent() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread XSP 1")
    await say(desk, f"confirm {card.data['ticket']}")
    before = desk.fold.seq
    reply = await say(desk, "kill flatten")
    tickets = [item for item in desk.fold.tickets.values() if item.is_open and item.drafted.intent.trade_id]
    assert len(tickets) == 1
    assert f"confirm {tickets[0].id}" in lines(reply)
    assert not [event for event in await desk.store.read(after=before) if event.kind == "Submitting"]


async def test_settings_when_tightened_then_applies_and_records_who_and_what() -> None:
    desk = await open_desk()
    reply = await say(desk, "settings desk.ticket_life_seconds 60")
    event = (await desk.store.read(after=reply.cites[0] - 1))[0]
    assert event.actor == "person:owner"
    assert event.body == SettingChanged(key="desk.ticket_life_seconds", old="120", new="60", loosens=False)
    assert desk.settings.desk.whole("ticket_life_seconds") == 60


async def test_settings_when_loosened_without_pin_then_nothing_changes() -> None:
    desk = await open_desk()
    reply = await say(desk, "settings rules.capital.max_fraction 0.06")
    assert reply.data["needs"] == "pin"
    assert desk.settings.parameters("rules", "capital").number("max_fraction") == Decimal("0.05")


async def test_settings_when_loosened_with_pin_then_applies_and_says_looser() -> None:
    desk = await open_desk()
    reply = await proved(desk, "settings", key="rules.capital.max_fraction", value="0.06")
    assert "looser than before" in text(reply)
    assert desk.settings.parameters("rules", "capital").number("max_fraction") == Decimal("0.06")


@pytest.mark.parametrize("via", [Via.MODEL, Via.CLOCK, Via.SENTENCE])
async def test_settings_when_an_exit_is_changed_by_no_person_then_refuses(via: Via) -> None:
    desk = await open_desk()
    key = "strategies.put_credit_spread.close_dte"
    reply = await call(desk, "settings", {"key": key, "value": "14"}, via=via)
    assert not reply.ok
    assert desk.settings.values[key] == 21


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("settings nope 3", "no setting 'nope'"),
        ("settings desk.ticket_life_seconds 1", "must be from 5 to 900"),
        ("settings desk.ticket_life_seconds abc", "not a plain number"),
        ("settings desk.ticket_life_seconds 120", "already"),
        ("settings max_fraction 0.01", "names"),
    ],
)
async def test_settings_when_the_change_makes_no_sense_then_says_why_and_changes_nothing(line: str, words: str) -> None:
    desk = await open_desk()
    before = desk.fold.seq
    reply = await say(desk, line)
    assert not reply.ok
    assert words in text(reply)
    assert desk.fold.seq == before


async def test_settings_when_changed_then_older_cards_are_void() -> None:
    desk = await open_desk()
    card = await say(desk, "open put_credit_spread XSP 1")
    await say(desk, "settings desk.ticket_life_seconds 90")
    reply = await say(desk, f"confirm {card.data['ticket']}")
    assert not reply.ok
    assert "setting changed" in text(reply)


async def test_settings_when_a_prefix_is_given_then_shows_those() -> None:
    desk = await open_desk()
    rows = table(await say(desk, "settings desk.reask"), "Settings").rows
    assert [row[0] for row in rows] == ["desk.reask_delta", "desk.reask_fraction", "desk.reask_margin"]


async def test_config_when_a_setting_was_changed_then_says_where_it_comes_from() -> None:
    desk = await open_desk()
    await say(desk, "settings desk.walk_steps 4")
    rows = {row[0]: row for row in table(await say(desk, "config"), "Settings").rows}
    assert rows["desk.walk_steps"][1:] == ("4", "", "chat")
    assert rows["desk.walk_seconds"][1:] == ("60", "s", "default")


async def test_account_when_switched_then_it_is_kept_for_the_next_start() -> None:
    desk = await open_desk()
    await say(desk, "account practice")
    desk.default_account = None
    await load_default(desk)
    assert desk.default_account == desk.config.accounts[0].id


async def test_account_when_unknown_then_names_those_there_are() -> None:
    desk = await open_desk()
    assert "There are: practice" in text(await say(desk, "account nobody"))


async def test_next_when_the_clock_is_real_then_refuses() -> None:
    desk = await open_desk()
    reply = await say(desk, "next")
    assert not reply.ok
    assert "cannot be moved" in text(reply)


async def test_to_when_a_day_is_named_then_the_clock_is_asked_for_it() -> None:
    desk = await open_desk()
    asked: list[date | None] = []

    async def step(to: date | None) -> tuple[str, ...]:
        asked.append(to)
        return ("The clock stands somewhere.",)

    desk.step_clock = step
    reply = await say(desk, "to 2026-12-01")
    assert asked == [date(2026, 12, 1)]
    assert "The clock stands somewhere." in text(reply)


async def test_help_when_a_topic_is_a_command_strategy_or_planned_then_explains_it() -> None:
    desk = await open_desk()
    assert (await say(desk, "help open")).ok
    assert "settings key=strategies.naked_put" in lines(await say(desk, "help naked put"))
    assert not (await say(desk, "help backtest")).ok
    assert "no help on 'zzz'" in text(await say(desk, "help zzz"))


async def test_explain_when_a_term_is_misspelt_then_offers_near_ones() -> None:
    desk = await open_desk()
    reply = await say(desk, "explain thetta")
    assert not reply.ok
    assert 'explain topic="theta"' in lines(reply)


@pytest.mark.parametrize(("line", "shown"), [("explain XSP", "XSP: "), ("explain what is delta?", "delta: ")])
async def test_explain_when_a_term_is_known_then_begins_with_it(line: str, shown: str) -> None:
    (block,) = (await say(await open_desk(), line)).blocks
    assert isinstance(block, Text)
    assert block.text.startswith(shown)


async def test_desk_when_replayed_then_modes_and_settings_are_the_same() -> None:
    desk = await open_desk()
    await say(desk, "pause naked_put")
    await say(desk, "settings desk.walk_steps 4")
    await say(desk, "halt")
    fold = DeskFold()
    for event in await desk.store.read():
        fold.apply(event)
    assert fold.digest() == desk.fold.digest()



@pytest.mark.parametrize(("line", "words"), [
    ("settings strategies.put_credit_spread.profit_target 0.6", "concerns exits"),
    ("settings desk.walk_steps 4", "No protection depends on it"),
    ("settings rules.capital.max_fraction 0.04", "no looser than before"),
])
async def test_settings_when_changed_then_says_what_it_means_for_protection(line: str, words: str) -> None:
    assert words in text(await say(await open_desk(), line))
