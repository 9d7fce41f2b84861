"""Rows of the failure catalogue, one test each: the fault really happens, what is expected is seen, and every invariant holds.

The chat, the disk, the broker and the clock are the simulation's; the desk is the real one, from the session to the wire.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from core.domain.events import OrderEnded, OrderUnknown, Reconciled, ReplaceRefused, TicketClosed, TicketConfirmed
from core.domain.orders import OrderState
from tests.sim.faults import Rates
from tests.sim.world import World

MOST_SEEDS = 8
EAGER = {"press": 20.0, "halt": 0.0, "kill": 0.0, "pause": 0.0}


def simulated(
    seed: int, rates: Rates, *, steps: int = 500, until: Callable[[World], bool] = lambda world: True, **habits: float
) -> World:
    """Run an episode and check that nothing was violated, to the end of the rest that follows.

    What is rare may not come to pass in one seed: the next ones follow until it does, and each of them is checked.
    """
    for one in range(seed, seed + MOST_SEEDS):
        world = World(one, steps=steps, rates=rates, habits={**EAGER, **habits}, calm=True)
        result = world.run()
        assert not result.violations, result.violations
        if until(world):
            break
    return world


def bodies(world: World, kind: type) -> list[object]:
    return [event.body for event in world.monitor.history.events if isinstance(event.body, kind)]


def count(world: World, fault: str) -> int:
    return world.faults.counts.get(fault, 0)


def answers(world: World, words: str) -> int:
    """How many answers say something."""
    shown = (reply for message in world.chat.messages.values() for _, reply in message.answers)
    return sum(any(words in str(getattr(block, "text", "")) for block in reply.blocks) for reply in shown)


def confirmed_once(world: World) -> bool:
    counts = Counter(body.ticket_id for body in bodies(world, TicketConfirmed) if isinstance(body, TicketConfirmed))
    return bool(counts) and set(counts.values()) == {1}


def outcomes(world: World) -> set[str]:
    return {body.outcome for body in bodies(world, TicketClosed) if isinstance(body, TicketClosed)}


def ended(world: World) -> list[str]:
    return [body.reason for body in bodies(world, OrderEnded) if isinstance(body, OrderEnded)]


def wired(world: World) -> set[str]:
    """Kinds of requests that left."""
    return {wire.kind for sent in world.monitor.history.intents.values() for wire in sent.wires}


def presses(world: World) -> Counter[str | None]:
    return Counter(message.ticket for message in world.chat.messages.values() if message.press and message.ticket)


# ---- A chat transport


def test_a1_same_update_delivered_again_then_one_effect_and_the_same_answer() -> None:
    world = simulated(
        1, Rates(repeat_message=0.8),
        until=lambda world: count(world, "repeat_message") > 20 and any(len(one.answers) > 2 for one in world.chat.messages.values()),
    )

    assert count(world, "repeat_message") > 20
    assert any(len(message.answers) > 2 for message in world.chat.messages.values())
    assert confirmed_once(world)


def test_a4_updates_out_of_order_then_no_order_without_its_card() -> None:
    world = simulated(
        1, Rates(reorder_message=0.6, repeat_message=0.3),
        until=lambda world: count(world, "reorder_message") > 20 and bool(bodies(world, TicketConfirmed)),
    )

    assert count(world, "reorder_message") > 20
    assert confirmed_once(world)


# ---- B who may


def test_b4_forged_button_or_somebody_elses_then_refused() -> None:
    world = simulated(
        1, Rates(), forge=8.0, steal=8.0,
        until=lambda world: answers(world, "That button is not known here") > 3 and answers(world, "That button is not yours") > 3,
    )

    assert answers(world, "That button is not known here") > 3
    assert answers(world, "That button is not yours") > 3
    assert confirmed_once(world)


# ---- D confirmation


def test_d1_double_tap_from_two_chats_then_one_order() -> None:
    world = simulated(
        1, Rates(repeat_message=0.5), press_often=20.0,
        until=lambda world: max(presses(world).values(), default=0) >= 4 and answers(world, "was already confirmed") > 3,
    )

    assert max(presses(world).values()) >= 4
    assert answers(world, "was already confirmed") + answers(world, "is being confirmed") > 3
    assert confirmed_once(world)


def test_d2_press_after_expiry_or_restart_then_refused_with_a_fresh_card() -> None:
    def expired(world: World) -> bool:
        return answers(world, "That card had expired") > 0 and world.crashes > 0

    world = simulated(1, Rates(suspends_per_minute=2.0, crashes_per_minute=4.0), until=expired, press_old=20.0)

    assert expired(world)
    assert world.crashes > 0
    assert confirmed_once(world)


def test_d3_market_moved_since_the_card_then_asked_again() -> None:
    world = simulated(
        2, Rates(jumps_per_minute=30.0, reorder_message=0.8),
        until=lambda world: any(answers(world, words) for words in ("The price moved", "A short delta moved", "A rule's verdict changed")),
    )

    assert answers(world, "The price moved") + answers(world, "A short delta moved") + answers(world, "A rule's verdict changed") > 0


def test_d5_confirm_and_drop_together_then_one_winner_and_both_told() -> None:
    world = simulated(
        1, Rates(slow_disk=0.5), press_and_drop=30.0,
        until=lambda world: bool(bodies(world, TicketConfirmed)) and "dropped" in outcomes(world),
    )
    dropped = {body.ticket_id for body in bodies(world, TicketClosed) if isinstance(body, TicketClosed) and body.outcome == "dropped"}
    sent = {body.ticket_id for body in bodies(world, TicketConfirmed) if isinstance(body, TicketConfirmed)}

    assert dropped and sent
    assert not dropped & sent


def test_d6_old_card_pressed_beside_newer_ones_then_that_very_order() -> None:
    world = simulated(4, Rates(), press_old=20.0, press_two_cards=5.0, until=lambda world: bool(bodies(world, TicketConfirmed)))
    pressed = {message.id: message.ticket for message in world.chat.messages.values() if message.press}
    sent = [event for event in world.monitor.history.events if isinstance(event.body, TicketConfirmed) and event.causation in pressed]

    assert sent
    assert all(isinstance(event.body, TicketConfirmed) and event.body.ticket_id == pressed[event.causation] for event in sent)


def test_d7_crash_around_the_confirmation_and_the_wire_then_none_or_one() -> None:
    world = simulated(
        3, Rates(crash_before_append=0.02, crash_after_append=0.02, crash_at_wire=0.5), steps=700,
        until=lambda world: count(world, "crash_at_wire") > 0 and count(world, "crash_after_append") > 0,
    )

    assert count(world, "crash_at_wire") > 0
    assert count(world, "crash_after_append") > 0
    assert confirmed_once(world)


def test_d9_the_same_order_again_within_a_minute_then_held_back() -> None:
    world = simulated(2, Rates(), same_again=10.0, until=lambda world: answers(world, "the same order was confirmed") > 0)

    assert answers(world, "the same order was confirmed") > 0


def test_d10_two_cards_that_share_one_limit_then_only_what_fits() -> None:
    def refused(world: World) -> bool:
        return any(answers(world, words) for words in ("The rules say no now", "A rule's verdict changed", "working orders changed"))

    habits = {"press": 0.0, "press_two_cards": 5.0, "same_again": 0.0}
    assert refused(simulated(1, Rates(reorder_message=0.3), steps=1000, until=refused, **habits))


# ---- E order lifecycle


def test_e1_ack_lost_after_the_broker_accepted_then_unknown_until_found_and_never_sent_again() -> None:
    world = simulated(3, Rates(answer_lost=0.4), until=lambda world: bool(bodies(world, OrderUnknown)))
    unknown = {body.client_id for body in bodies(world, OrderUnknown) if isinstance(body, OrderUnknown)}

    assert unknown
    assert all(sum(wire.kind == "submit" for wire in world.monitor.history.intents[name].wires) == 1 for name in unknown)


def test_e2_request_lost_before_the_broker_then_declared_absent_on_evidence_only() -> None:
    world = simulated(
        2, Rates(request_lost=0.3), steps=700,
        until=lambda world: count(world, "request_lost") > 0 and any("never had" in reason for reason in ended(world)),
    )
    absent = [body for body in bodies(world, OrderEnded) if isinstance(body, OrderEnded) and "never had" in body.reason]

    assert count(world, "request_lost") > 0
    assert absent


def test_e3_fills_out_of_order_then_counted_and_the_state_follows() -> None:
    world = simulated(1, Rates(late_report=0.8, repeat_update=0.5, expire_order=0.02), until=lambda world: count(world, "late_report") > 5)

    assert count(world, "late_report") > 5
    assert any(event.kind == "Filled" for event in world.monitor.history.events)


def test_e4_repeated_and_corrected_executions_then_counted_once() -> None:
    world = simulated(
        1, Rates(correct_fill=0.8, repeat_update=0.8),
        until=lambda world: count(world, "correct_fill") > 0 and count(world, "repeat_update") > 0,
    )

    assert count(world, "correct_fill") > 0
    assert count(world, "repeat_update") > 0


def test_e5_partial_fills_race_with_price_changes_and_cancels_then_never_more_than_confirmed() -> None:
    world = simulated(
        1, Rates(late_report=0.4, cancel_too_late=0.5, refuse_replace=0.3), cancel=5.0,
        until=lambda world: count(world, "cancel_too_late") > 0 and "replace" in wired(world),
    )

    assert count(world, "cancel_too_late") > 0
    assert any(wire.kind == "replace" for sent in world.monitor.history.intents.values() for wire in sent.wires)


def test_e7_cancel_unanswered_or_too_late_then_pending_until_the_brokers_word() -> None:
    world = simulated(
        2, Rates(cancel_too_late=0.5, answer_lost=0.3, request_lost=0.1), cancel=10.0,
        until=lambda world: "cancel" in wired(world) and any(answers(world, words) for words in ("NOT YET", "not yet", "over already")),
    )
    cancels = [wire for sent in world.monitor.history.intents.values() for wire in sent.wires if wire.kind == "cancel"]

    assert cancels
    assert answers(world, "NOT YET") + answers(world, "not yet") + answers(world, "over already") > 0


def test_e8_price_change_refused_then_the_original_stays_live_here_too() -> None:
    world = simulated(2, Rates(refuse_replace=0.9), until=lambda world: bool(bodies(world, ReplaceRefused)))

    assert bodies(world, ReplaceRefused)


def test_e9_order_filled_from_the_brokers_own_app_then_counted_as_external() -> None:
    def outside(world: World) -> bool:
        return any(event.kind == "Filled" and event.body.fill.client_id is None for event in world.monitor.history.events)  # type: ignore[union-attr]

    assert outside(simulated(1, Rates(outside_per_minute=3.0), until=outside))


# ---- F connection


def test_f1_connection_lost_and_back_then_nothing_leaves_before_the_books_are_compared() -> None:
    def often(world: World) -> bool:
        return len({body.epoch for body in bodies(world, Reconciled) if isinstance(body, Reconciled)}) > 3

    assert often(simulated(1, Rates(disconnects_per_minute=8.0), steps=900, until=often))


def test_f4_broker_restarts_and_its_numbers_roll_back_then_reconciled() -> None:
    world = simulated(
        2, Rates(rolls_per_minute=6.0), steps=700,
        until=lambda world: count(world, "rolls_per_minute") > 1 and bool(bodies(world, TicketConfirmed)),
    )

    assert count(world, "rolls_per_minute") > 1
    assert confirmed_once(world)


def test_f5_empty_or_cut_books_on_reconnect_then_not_flat_and_not_cancelled() -> None:
    world = simulated(
        1, Rates(snapshot_cut=0.4, snapshot_empty=0.4, disconnects_per_minute=3.0),
        until=lambda world: count(world, "snapshot_cut") + count(world, "snapshot_empty") > 0,
    )

    assert any(not body.complete for body in bodies(world, Reconciled) if isinstance(body, Reconciled))


# ---- G market data


def test_g1_g2_stale_or_insane_quotes_then_no_order_on_them() -> None:
    world = simulated(
        1, Rates(stale_quote=0.3, insane_quote=0.3),
        until=lambda world: min(count(world, "stale_quote"), count(world, "insane_quote")) > 5 and answers(world, "Blocked") > 0,
    )

    assert count(world, "stale_quote") > 5
    assert count(world, "insane_quote") > 5
    assert answers(world, "Blocked") > 0


# ---- H storage


def test_h1_disk_full_then_nothing_is_sent_and_it_recovers() -> None:
    world = simulated(
        1, Rates(full_disks_per_minute=2.0, refused_write=0.02), steps=700,
        until=lambda world: count(world, "full_disks_per_minute") > 0 and any("no space left" in error for error in world.errors),
    )

    assert count(world, "full_disks_per_minute") > 0
    assert any("no space left" in error for error in world.errors)
    assert world.life is not None and world.life.desk is not None and not world.life.desk.trouble


def test_h2_power_cut_before_the_sync_then_every_acknowledged_event_is_there() -> None:
    world = simulated(
        2, Rates(crash_before_append=0.03, crash_after_append=0.03),
        until=lambda world: count(world, "crash_before_append") + count(world, "crash_after_append") > 3,
    )

    assert count(world, "crash_before_append") + count(world, "crash_after_append") > 3


# ---- I time


def test_i3_clock_steps_either_way_then_no_card_lives_longer() -> None:
    world = simulated(1, Rates(clock_steps_per_minute=16.0), press_old=10.0, until=lambda world: count(world, "clock_steps_per_minute") > 5)

    assert count(world, "clock_steps_per_minute") > 5


# ---- J crashes


def test_j1_killed_at_any_moment_then_recovered_without_loss_or_duplicate() -> None:
    world = simulated(
        2, Rates(crashes_per_minute=12.0, crash_at_wire=0.2), steps=700,
        until=lambda world: world.crashes > 5 and bool(bodies(world, TicketConfirmed)),
    )

    assert world.crashes > 5
    assert confirmed_once(world)


def test_j5_killed_while_recovering_then_it_converges() -> None:
    world = simulated(1, Rates(crashes_per_minute=4.0, crash_in_recovery=0.6), until=lambda world: count(world, "crash_in_recovery") > 1)

    assert count(world, "crash_in_recovery") > 1
    assert world.life is not None and world.life.desk is not None
    assert all(
        order.state.terminal or order.state is OrderState.UNKNOWN for order in world.life.desk.book(world.exchange.account).orders.values()
    )


# ---- the page that lists all this


def test_safety_page_when_it_names_a_test_then_that_test_exists() -> None:
    root = Path(__file__).resolve().parents[2]
    named = set(re.findall(r"`(test_\w+)`", (root / "docs" / "safety.md").read_text(encoding="utf-8")))
    sources = [path.read_text(encoding="utf-8") for path in (root / "tests").rglob("test_*.py")]
    existing = {name for source in sources for name in re.findall(r"def (test_\w+)", source)}

    assert len(named) > 50
    assert named <= existing, sorted(named - existing)
