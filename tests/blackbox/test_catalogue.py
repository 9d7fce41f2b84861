"""Rows of the failure catalogue on the shipped process, over a loopback exchange: what a person and the exchange see of it."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.blackbox.checker import Checker, Log
from tests.blackbox.conftest import Make
from tests.blackbox.machine import PIN, Desk, Home
from tests.blackbox.powercut import PowerCut

OPEN = "open put_credit_spread XSP quantity=2"


async def started(home: Home, **more: Any) -> Desk:
    desk = await home.start(**more)
    await desk.ready()
    return desk


async def card(desk: Desk, line: str = OPEN) -> str:
    """Ask for a card; returns the line that confirms it."""
    answer = await desk.ask(line)
    assert answer is not None and answer["ok"], answer
    return str(answer["json"]["actions"][0]["line"])


async def told(desk: Desk, line: str = "status") -> str:
    answer = await desk.ask(line)
    assert answer is not None
    return str(answer["text"])


async def until(home: Home, holds: Any, *, seconds: float = 20) -> Log:
    """Read the running desk's log until `holds(log)`; that log."""
    async with asyncio.timeout(seconds):
        while True:
            log = logged(home, dead=False)
            if holds(log):
                return log
            await asyncio.sleep(0.1)


def logged(home: Home, *, dead: bool) -> Log:
    checker = Checker(home.data)
    checker.read(dead=dead)
    assert checker.wrong == []
    return checker.log


async def submitted(home: Home) -> list[str]:
    """Client ids of every order whose bytes reached the exchange."""
    return [request["client_id"] for request in (await home.books())["requests"] if request["op"] == "submit"]


async def equal(home: Home) -> None:
    """The exchange's books and the log agree to the cent."""
    await home.exchange.do("freeze", home.account, on=True)
    checker = Checker(home.data)

    async with asyncio.timeout(20):
        while True:
            checker.read(dead=False)
            books = await home.books()
            if not checker.rests(books):
                break
            await asyncio.sleep(0.2)
    checker.agrees(books)
    assert checker.wrong == []


# --- orders ----------------------------------------------------------------------------------------------------------------


async def test_e1_ack_lost_after_the_exchange_accepted_then_unknown_found_out_and_never_sent_again(home: Home) -> None:
    desk = await started(home)
    confirm = await card(desk)
    await home.faults(drop_answer=1, only=["submit"])

    answer = await told(desk, confirm)
    await home.faults()
    status = await told(desk)
    log = await until(home, lambda log: any(order.acknowledged and not order.unknown for order in log.orders.values()))

    assert "unknown" in answer
    assert "nobody knows yet what became of order" in status
    assert {row.kind for row in log.rows if row.kind.startswith("Order")} == {"OrderUnknown", "OrderAcknowledged"}
    (client_id,) = await submitted(home)
    await home.exchange.do("fill", home.account, client_id=client_id)
    await desk.hears(rf"Filled: 2 x .*{client_id}")
    await equal(home)


async def test_e2_request_lost_before_the_exchange_then_unknown_until_its_complete_books_show_the_absence(home: Home) -> None:
    desk = await started(home)
    confirm = await card(desk)
    await home.faults(drop_request=1, only=["submit"])

    answer = await told(desk, confirm)
    await home.faults()
    log = await until(home, lambda log: any(order.ended for order in log.orders.values()))

    assert "unknown" in answer
    (order,) = log.orders.values()
    assert order.ended == "denied"
    assert len(await submitted(home)) == 1, "its bytes left once, and it was not sent again"
    assert (await home.books())["orders"] == []
    assert "working orders  none" in await told(desk)


async def test_e8_modify_refused_while_the_original_is_live_then_the_original_stays_live_in_our_books(home: Home) -> None:
    await home.habits(refuse_replace=1)
    desk = await started(home)

    await told(desk, await card(desk))
    await desk.hears("The broker refused the new price of order .* the order stays at 0.47", seconds=15)
    (order,) = (await home.books())["orders"]
    status = await told(desk)

    assert desk.text.count("The broker refused the new price") == 1, "told once, and not asked for again each second"
    assert sum(request["op"] == "replace" for request in (await home.books())["requests"]) <= 3
    assert (order["status"], order["limit"]) == ("working", "0.47")
    assert "working  0/2     +0.47" in status
    await home.exchange.do("fill", home.account, client_id=order["client_id"])
    await desk.hears("Filled: 2 x")
    await equal(home)


async def test_e9_trade_from_the_brokers_own_app_then_shown_as_external_counted_and_never_cancelled(home: Home) -> None:
    desk = await started(home)

    await home.exchange.do("outside", home.account, key="XSP   270108P00576000", quantity=-3, price="4.70")
    await desk.hears("EXTERNAL fill, not an order of this desk: sell 3 XSP 8 Jan 27 576 put")
    positions = await told(desk, "positions")

    assert "XSP 8 Jan 27 576 put" in positions
    assert [request["op"] for request in (await home.books())["requests"] if request["op"] in ("submit", "cancel")] == []
    await equal(home)


# --- the broker's connection -----------------------------------------------------------------------------------------------


async def test_f5_empty_answer_on_reconnect_then_not_flat_and_blocked_until_the_whole_is_there(home: Home) -> None:
    desk = await started(home)
    await told(desk, await card(desk))
    (client_id,) = await submitted(home)
    await home.exchange.do("fill", home.account, client_id=client_id, units=1)
    await desk.hears("Filled 1 of 2")

    await home.faults(empty_snapshot="incomplete")
    await home.exchange.do("bounce", home.account)
    await desk.hears("could not be compared completely", seconds=15)
    blocked, positions = await desk.ask(OPEN), await told(desk, "positions")
    await home.faults()
    await until(home, lambda log: log.reconciled[-1].body["complete"], seconds=40)

    assert blocked is not None and not blocked["ok"] and "is not reconciled with its broker yet" in blocked["text"]
    assert "XSP 8 Jan 27" in positions
    (order,) = logged(home, dead=False).orders.values()
    assert order.live, "an order that an incomplete answer leaves out is not cancelled"
    assert "ACTIVE" in await told(desk)


async def test_f5_empty_answer_that_claims_to_be_whole_then_shown_halted_and_never_adopted(home: Home) -> None:
    desk = await started(home)
    await told(desk, await card(desk))
    (client_id,) = await submitted(home)
    await home.exchange.do("fill", home.account, client_id=client_id)
    await desk.hears("Filled: 2 x")

    await home.faults(empty_snapshot="complete")
    await home.exchange.do("bounce", home.account)
    await desk.hears("The broker's books of .* differ from ours: XSP.*the broker holds \\+0, the book -2", seconds=15)
    positions, blocked = await told(desk, "positions"), await told(desk, OPEN)

    assert "598/593" in positions
    assert "is HALTED" in desk.text
    assert "REDUCING: cash: the broker has 0.00" in blocked
    assert len(await submitted(home)) == 1


@pytest.mark.parametrize(
    ("landed", "said"),
    [
        ("OTHER:paper", r"this login is for OTHER \(paper\)"),
        ("{account}:live", r"this login is for .* \(live\), the account configured is .* \(paper\)"),
    ],
    ids=["another_account", "paper_and_live_swapped"],
)
async def test_f8_login_that_lands_elsewhere_then_nothing_is_sent_for_it(home: Home, landed: str, said: str) -> None:
    await home.faults(wrong_account=landed.format(account=home.account))

    desk = await started(home)
    await desk.hears(said)
    blocked = await desk.ask(OPEN)

    assert blocked is not None and not blocked["ok"] and "RECOVERY" in blocked["text"]
    assert {request["op"] for request in (await home.books())["requests"]} == {"hello"}


async def test_f8_client_id_in_use_then_told_in_the_brokers_words_and_read_only(home: Home) -> None:
    await home.faults(refuse_connections=True)

    desk = await started(home)
    await desk.hears("the gateway is down for maintenance")
    assert "RECOVERY" in await told(desk)
    await home.faults()
    await until(home, lambda log: bool(log.reconciled))

    assert "ACTIVE" in await told(desk)


async def test_f8_live_account_beside_a_simulated_market_then_the_start_is_refused(make_home: Make) -> None:
    home = await make_home(env="live")

    code, said, _ = await home.run("chat", "--no-web")

    assert code == 1
    assert "Account desk is live, the market data is SIMULATED." in said
    assert (await home.books())["requests"] == []


@pytest.mark.parametrize("kind", ["html", "nonsense", "binary", "huge", "partial", "empty"])
async def test_f9_garbage_instead_of_an_answer_to_an_order_then_unknown_and_found_out(home: Home, kind: str) -> None:
    desk = await started(home)
    confirm = await card(desk)
    await home.faults(garbage=kind, only=["submit"])

    answer = await told(desk, confirm)
    log = await until(home, lambda log: any(order.acknowledged for order in log.orders.values()))

    assert "Whether the broker has it is unknown" in answer
    assert "OrderUnknown" in [row.kind for row in log.rows]
    assert len(await submitted(home)) == 1
    assert desk.trouble == ""
    await desk.kill()


@pytest.mark.parametrize("strange", ["status", "field"])
async def test_f9_unknown_status_or_missing_field_in_a_report_then_entries_stop_and_the_rest_is_heard(
    home: Home, strange: str
) -> None:
    desk = await started(home)
    await told(desk, await card(desk))
    (client_id,) = await submitted(home)

    await home.faults(strange=strange)
    await home.exchange.do("fill", home.account, client_id=client_id)
    await desk.hears(f"Filled: 2 x .*{client_id}", seconds=20)

    assert any("an error on the order path" in row.body["reason"] for row in logged(home, dead=False).modes)
    assert desk.trouble == ""
    await equal(home)


async def test_f2_half_open_connection_that_swallows_everything_then_found_within_ten_seconds_and_nothing_is_sent(home: Home) -> None:
    desk = await started(home)
    confirm = await card(desk)
    await home.faults(black_hole=True)
    began = time.monotonic()

    async with asyncio.timeout(20):
        while "RECOVERY" not in await told(desk):
            await asyncio.sleep(0.4)  # slower than what the desk takes from one person
    found_seconds = time.monotonic() - began
    before = await submitted(home)
    refused = await told(desk, confirm)
    await home.faults()
    async with asyncio.timeout(60):
        while "mode             ACTIVE" not in await told(desk):
            await asyncio.sleep(0.4)

    assert found_seconds <= 10.5, "half a second for the question itself"
    assert "RECOVERY" in refused or "not available" in refused
    assert await submitted(home) == before == []
    assert "Sent and working" in await told(desk, await card(desk))


# --- the process -----------------------------------------------------------------------------------------------------------


async def test_a10_two_started_at_once_then_one_owns_the_desk_and_a_press_has_one_effect(home: Home) -> None:
    first, second = await asyncio.gather(home.start(), home.start())
    done, _ = await asyncio.wait([first.ended, second.ended], return_when=asyncio.FIRST_COMPLETED, timeout=20)
    owner, other = (second, first) if first.ended in done else (first, second)
    await owner.ready()

    confirm = await card(owner)
    other.type(confirm)
    await told(owner, confirm)

    assert await other.gone() == 1
    assert f"another desk process (pid {owner.pid})" in other.text
    assert len(await submitted(home)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
async def test_j2_signal_or_sudden_death_during_a_send_then_none_or_exactly_one_order(home: Home, number: signal.Signals) -> None:
    desk = await started(home)
    confirm = await card(desk)
    await home.faults(delay_answer=1, delay_seconds=1, only=["submit"])

    desk.type(confirm)
    async with asyncio.timeout(20):
        while not await submitted(home):
            await asyncio.sleep(0.02)
    desk.signal(number)
    code = await desk.gone()
    orderly = number in (signal.SIGTERM, signal.SIGINT)
    assert code == (0 if orderly else -number)
    assert "Traceback" not in desk.trouble
    assert ("Sent and working" in desk.text) is orderly, "a send under way gets its answer before an orderly end"

    again = await started(home)
    log = await until(home, lambda log: any(order.acknowledged for order in log.orders.values()))
    (client_id,) = await submitted(home)
    assert list(log.orders) == [client_id]
    await home.exchange.do("fill", home.account, client_id=client_id)
    await again.hears(f"Filled: 2 x .*{client_id}")
    await equal(home)


async def test_j5_killed_in_its_reconciliation_again_and_again_then_the_next_start_ends_alike(home: Home) -> None:
    desk = await started(home)
    await told(desk, await card(desk))
    (client_id,) = await submitted(home)
    await desk.kill()
    await home.exchange.do("fill", home.account, client_id=client_id, units=1)

    for moment in ("hello:done", "snapshot:arrived", "snapshot:done", "snapshot:answered", "snapshot:answered"):
        desk = await home.start()
        await home.exchange.do("trap", home.account, pid=desk.pid, moment=moment)
        assert await desk.gone() == -signal.SIGKILL
    await home.exchange.do("fill", home.account, client_id=client_id)
    desk = await started(home)

    log = await until(home, lambda log: bool(log.reconciled) and len(log.fills) == 4)
    assert set(log.fill_count.values()) == {1}
    assert len(await submitted(home)) == 1
    await equal(home)


async def test_k4_old_process_wakes_after_another_took_over_then_it_sends_and_writes_nothing(home: Home) -> None:
    await home.faults(many_sessions=True)
    old = await started(home)
    confirm = await card(old)
    old.signal(signal.SIGSTOP)
    for name in ("desk.db.lock", "archive.db.lock", "desk.sock"):
        (home.data / name).unlink()
    new = await started(home)
    before = len((await home.books())["requests"])

    old.signal(signal.SIGCONT)
    old.type(confirm, "note from the old one", "status")
    await old.hears("STANDBY")
    await told(new, "note from the new one")
    await asyncio.sleep(3)

    asked = [request["op"] for request in (await home.books())["requests"][before:] if request["pid"] == old.pid]
    assert not {"hello", "submit", "replace", "cancel"} & set(asked), "it neither sends nor takes the other's place at the broker"
    assert list(logged(home, dead=False).notes) == ["from the new one"]
    assert "ACTIVE" in await told(new)
    await old.kill()
    await new.kill()


async def test_j3_starts_that_die_young_in_a_row_then_slowed_down_halted_and_told_until_one_lives(make_home: Make) -> None:
    home = await make_home(settings={"desk.crash_starts": 3})
    for died in range(3):
        desk = await home.start()
        await desk.hears("Thetadesk")
        assert ("died within a minute" in desk.text) is (died >= 2)
        await desk.kill()

    desk = await started(home)
    blocked = await desk.ask(OPEN)

    assert "[!] 3 starts in a row died within a minute. The desk is HALTED; `unhalt` lifts it with the PIN." in desk.text
    assert "This one waits 2 seconds before it connects." in desk.text
    assert (home.data / "HALT").read_text() == "3 starts in a row died within a minute"
    assert blocked is not None and not blocked["ok"] and "HALT file: 3 starts in a row died" in blocked["text"]
    assert "Lifted: the HALT file" in await told(desk, f"unhalt pin={PIN}")
    assert (await desk.ask(OPEN) or {})["ok"]
    assert await desk.stop() == 0

    after = await started(home)
    assert "died within a minute" not in after.text, "an end in good order wipes out the deaths before it"
    code, doctor, _ = await home.run("doctor")
    assert (code, "no crash loop" in doctor) == (0, True)
    await after.kill()


async def test_l1_flood_of_commands_over_the_socket_then_halt_is_heard_before_it_is_worked_off(home: Home) -> None:
    desk = await started(home)
    order: list[str] = []

    async def ask(line: str) -> dict[str, Any] | None:
        answer = await desk.ask(line, seconds=100)
        order.append(line.split()[0])
        return answer

    flood = [asyncio.create_task(ask(f"open put_credit_spread XSP quantity={number % 5 + 1}")) for number in range(40)]
    while not order:
        await asyncio.sleep(0.01)
    halted = await ask("halt")
    answers = await asyncio.gather(*flood)

    assert halted is not None and halted["ok"]
    assert order.index("halt") < 20
    assert all(answer is not None for answer in answers), "nothing is dropped without a word"
    assert not answers[-1]["ok"] and "HALT" in answers[-1]["text"], "what comes after the halt sees it"


# --- the disk --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of four megabytes of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_h1_disk_full_in_the_middle_of_the_day_then_halted_before_any_send_and_recovered_with_space(
    home: Home, small_disk: Path
) -> None:
    (home.path / "home").symlink_to(small_disk)
    desk = await started(home)
    await told(desk, await card(desk))
    (before,) = await submitted(home)
    confirm = await card(desk, "open put_credit_spread XSP quantity=1 delta=0.2")

    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    refused, status = await told(desk, confirm), await told(desk)
    halted = await told(desk, "kill")

    assert "is not available" in refused and "disk is full" in refused
    assert "HALT  (storage:" in status
    assert await submitted(home) == [before], "nothing left while it could not be written down first"
    assert "HALTED" in halted
    assert "cancel" in {request["op"] for request in (await home.books())["requests"]}, "a cancel takes risk away and leaves"

    filler.unlink()
    await until(home, lambda log: log.orders[before].ended == "cancelled", seconds=40)
    await told(desk, f"unhalt pin={PIN}")
    confirm = await card(desk, "open put_credit_spread XSP quantity=1 delta=0.2")
    assert "Sent and working" in await told(desk, confirm)
    await desk.kill()
    assert logged(home, dead=True).orders.keys() == set(await submitted(home))


async def test_h1_disk_full_at_the_start_then_refused_with_its_sentence_and_started_with_space(home: Home, small_disk: Path) -> None:
    (home.path / "home").symlink_to(small_disk)
    desk = await started(home)
    await told(desk, "note before the disk was full")
    await desk.kill()
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))

    code, said, errors = await home.run("chat", "--no-web")
    filler.unlink()
    again = await started(home)

    assert code == 1
    assert "disk is full" in said + errors
    assert "Traceback" not in said + errors
    assert logged(home, dead=False).notes == {"before the disk was full": 1}
    assert "ACTIVE" in await told(again)


async def test_h2_power_cut_that_loses_what_was_not_synced_then_every_acknowledged_event_is_there(home: Home) -> None:
    rng, disk = random.Random(5), PowerCut.under(home)
    if disk is None:
        pytest.skip("no C compiler here to build the disk that forgets")
    kept: list[str] = []
    sent: set[str] = set()
    lost: list[str] = []

    for life in range(2):
        desk = await started(home, cold=True)
        assert set(kept) <= set(logged(home, dead=False).notes), "everything acknowledged before the power cut"
        assert sent <= set(logged(home, dead=False).orders), "everything that reached the exchange"
        confirm = await card(desk, f"open put_credit_spread XSP quantity={life + 1}")
        desk.type(confirm)
        while not (sent := set(await submitted(home))) or len(sent) <= life:
            await asyncio.sleep(0.01)
        for number in range(rng.randint(3, 12)):
            answer = await desk.ask(f"note life {life} number {number}")
            assert answer is not None
            kept.append(f"life {life} number {number}")
        desk.type("note one more", "positions")
        await asyncio.sleep(rng.uniform(0, 0.05))
        await desk.kill()
        lost += disk.cut(rng)

    home.env.clear()
    assert (await home.run("doctor", "--audit"))[0] == 0
    assert "desk.log" in lost, "the disk did forget what was not synced"
    await started(home)
    assert set(kept) <= set(logged(home, dead=False).notes)
    for client_id in sent:
        await home.exchange.do("fill", home.account, client_id=client_id)
    await equal(home)


async def test_h2_killed_in_the_middle_of_many_appends_then_every_acknowledged_one_is_there(home: Home) -> None:
    desk = await started(home)
    kept: list[str] = []

    async def write(one: int) -> None:
        for number in range(1000):
            answer = await desk.ask(f"note {one} wrote {number}")
            if answer is None:
                return
            kept.append(answer["json"]["command"].removeprefix("note text='").removesuffix("'"))

    writers = [asyncio.create_task(write(one)) for one in range(4)]
    async with asyncio.timeout(30):
        while len(kept) < 25:
            await asyncio.sleep(0.01)
    await desk.kill()
    await asyncio.gather(*writers)

    notes = logged(home, dead=True).notes
    assert set(kept) <= set(notes)
    assert set(notes.values()) == {1}
    assert (await home.run("doctor", "--audit"))[0] == 0
