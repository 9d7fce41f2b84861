"""Who is known: by a code, once, for a while; guesses run out; a removal holds at once and through a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.auth import Person, local_owner, person_of
from bot.session import Session
from core.command import Role
from core.desk import Desk
from core.errors import UserError
from core.people import LOCKED_SECONDS, TRIES, TRIES_IN_ALL, People
from core.runtime import SystemRuntime
from core.store.archive import MemoryArchive
from tests.paper_desk import open_desk, text

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
ANNA = "telegram:4711"


class Ticking(SystemRuntime):
    """Seconds that a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 1000.0

    def seconds(self) -> float:
        return self.at


@pytest.fixture
def runtime() -> Ticking:
    return Ticking()


async def test_code_when_it_is_sent_then_makes_the_sender_that_person_once_and_through_a_restart(runtime: Ticking) -> None:
    archive = MemoryArchive()
    people = People(archive, runtime)
    code = await people.invite("anna", Role.TRADER, by="owner", now=NOW)
    joined = await people.join(ANNA, f" {code.lower()} ", name="Anna", now=NOW)
    assert joined is not None and (joined.person, joined.role) == ("anna", Role.TRADER)
    assert await people.join("telegram:666", code, name="Eve", now=NOW) is None
    again = People(MemoryArchive.from_image(archive.durable_image()), runtime)
    await again.load()
    person = person_of(again, ANNA)
    assert person is not None and (person.id, person.role) == ("anna", Role.TRADER)
    assert person_of(again, "telegram:666") is None


async def test_code_when_it_is_a_day_old_or_replaced_then_is_void(runtime: Ticking) -> None:
    people = People(MemoryArchive(), runtime)
    old = await people.invite("anna", Role.VIEWER, by="owner", now=NOW)
    assert await people.join(ANNA, old, name="", now=NOW + timedelta(hours=25)) is None
    new = await people.invite("anna", Role.VIEWER, by="owner", now=NOW)
    assert await people.join(ANNA, old, name="", now=NOW) is None
    assert await people.join(ANNA, new, name="", now=NOW) is not None


async def test_guesses_when_five_were_wrong_then_even_the_right_code_waits_a_quarter_of_an_hour(runtime: Ticking) -> None:
    people = People(MemoryArchive(), runtime)
    code = await people.invite("anna", Role.VIEWER, by="owner", now=NOW)
    for _ in range(TRIES):
        assert await people.join(ANNA, "WRONG", name="", now=NOW) is None
    assert await people.join(ANNA, code, name="", now=NOW) is None
    runtime.at += LOCKED_SECONDS + 1
    assert await people.join(ANNA, code, name="", now=NOW) is not None


async def test_guesses_when_they_come_from_many_then_the_door_shuts_for_all_strangers(runtime: Ticking) -> None:
    people = People(MemoryArchive(), runtime)
    code = await people.invite("anna", Role.VIEWER, by="owner", now=NOW)
    for number in range(TRIES_IN_ALL):
        await people.join(f"telegram:{number}", "WRONG", name="", now=NOW)
    assert await people.join(ANNA, code, name="", now=NOW) is None


async def test_person_when_removed_then_is_a_stranger_and_so_is_their_open_code(runtime: Ticking) -> None:
    people = People(MemoryArchive(), runtime)
    await people.join(ANNA, await people.invite("anna", Role.VIEWER, by="owner", now=NOW), name="", now=NOW)
    code = await people.invite("anna", Role.VIEWER, by="owner", now=NOW)
    await people.remove("anna")
    assert person_of(people, ANNA) is None
    assert await people.join(ANNA, code, name="", now=NOW) is None


@pytest.mark.parametrize(("person", "role"), [("anna", Role.OWNER), ("owner", Role.TRADER)])
async def test_invitation_when_it_would_make_a_second_owner_then_is_refused(person: str, role: Role, runtime: Ticking) -> None:
    with pytest.raises(UserError):
        await People(MemoryArchive(), runtime).invite(person, role, by="owner", now=NOW)


async def test_pair_when_typed_without_the_pin_then_no_code_is_made() -> None:
    desk = await open_desk()
    reply = await Session(desk, person=local_owner(), chat="terminal").message("pair name=anna role=trader")
    assert not reply.ok
    assert await desk.people.waiting(now=desk.now()) == ()


async def test_pair_when_a_trader_asks_then_is_refused_by_role() -> None:
    desk = await open_desk()
    trader = await _paired(desk)
    reply = await Session(desk, person=trader, chat="telegram:1").message("pair remove=owner")
    assert not reply.ok and "role" in text(reply)


async def _paired(desk: Desk) -> Person:
    code = await desk.people.invite("anna", Role.TRADER, by="owner", now=desk.now())
    await desk.people.join(ANNA, code, name="Anna", now=desk.now())
    person = person_of(desk.people, ANNA)
    assert person is not None
    return person
