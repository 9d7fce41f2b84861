"""Backups: whole or none, verified both ways, and a restored desk that sends nothing before it has asked its brokers."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.app import App, Options, open_app
from core.clock import ManualClock
from core.domain.events import Mode, NoteWritten
from core.errors import Corrupt, LeaseHeld, LeaseLost, Unavailable, UserError
from core.runtime import SystemRuntime
from core.store import backup as backups
from core.store.backup import SHEET, TOKENS_AHEAD, back_up, read_backup, restore
from core.store.move import contents_of
from core.store.place import Place, is_used, open_log, place_of, read_log
from tests import postgres_server

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
CLOCK = ManualClock(NOW)


@pytest.fixture(params=["files", "server"])
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The address of a database of one's own, or none."""
    if request.param == "files":
        yield None
        return
    with contextlib.contextmanager(postgres_server.new_schema)() as address:
        yield postgres_server.url(address)


async def started(home: Path, database: str | None) -> App:
    app = await open_app(Options(home=home, database=database, background=False))
    await app.start()
    return app


async def stopped(app: App) -> None:
    await app.stop()
    await app.desk.runtime.aclose()


async def written(app: App, text: str) -> None:
    await app.desk.record(app.desk.draft(NoteWritten(text=text), actor="person:owner"))


async def notes_at(place: Place, runtime: SystemRuntime) -> list[str]:
    log = await read_log(place, clock=CLOCK, runtime=runtime)
    events = await log.read()
    await log.close()
    return [event.body.text for event in events if isinstance(event.body, NoteWritten)]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_h6_drill_when_a_desk_is_restored_then_it_is_whole_fenced_and_reconciles_before_it_is_active(
    tmp_path: Path, runtime: SystemRuntime, database: str | None
) -> None:
    home = tmp_path / "home"
    app = await started(home, database)
    place = place_of(home, database)
    await written(app, "before")
    made = await back_up(place, tmp_path / "backup", clock=CLOCK, runtime=runtime)  # while the desk runs
    await written(app, "after")
    lost_token = app.desk.token
    await stopped(app)

    done = await restore(tmp_path / "backup", place, force=True, clock=CLOCK, runtime=runtime)

    assert done.contents.token >= made.contents.token + TOKENS_AHEAD > lost_token
    assert done.contents.head.seq == made.contents.head.seq + 1  # the fence
    assert await notes_at(place, runtime) == ["before"]
    assert done.old is not None and await notes_at(done.old, runtime) == ["before", "after"]
    again = await open_app(Options(home=home, database=database, background=False))
    account = again.desk.config.accounts[0].id
    state = again.desk.fold.reconciled(account)
    assert state is not None and not state.complete and state.cursor == 0
    again.desk.epochs[account] = state.epoch  # even where the broker counts its connections as before
    assert again.desk.mode(account=account)[0] is Mode.RECOVERY
    with pytest.raises(LeaseLost):
        await again.desk.store.append([again.desk.draft(NoteWritten(text="old"), actor="desk")], token=lost_token)
    await again.start()
    assert again.desk.mode(account=account)[0] is Mode.ACTIVE
    await stopped(again)


async def test_backup_when_written_then_it_is_private_whole_and_like_the_log(
    tmp_path: Path, runtime: SystemRuntime, database: str | None
) -> None:
    app = await started(tmp_path / "home", database)
    place = place_of(tmp_path / "home", database)

    made = await back_up(place, tmp_path / "to" / "backup", clock=CLOCK, runtime=runtime)

    files = sorted((tmp_path / "to" / "backup").iterdir())
    assert [path.name for path in files] == ["archive.db", SHEET, "desk.db"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["backup"]
    assert made.contents.head.hash == app.desk.fold.hash
    assert made.contents.state == app.desk.fold.digest()
    assert await read_backup(tmp_path / "to" / "backup", clock=CLOCK, runtime=runtime) == made
    assert await contents_of(place, clock=CLOCK, runtime=runtime) == made.contents
    with pytest.raises(UserError, match="never written over another"):
        await back_up(place, tmp_path / "to" / "backup", clock=CLOCK, runtime=runtime)
    await stopped(app)


@pytest.fixture
async def saved(tmp_path: Path, runtime: SystemRuntime) -> Path:
    """A backup of a small desk in files, whose home is `home`."""
    app = await started(tmp_path / "home", None)
    await written(app, "kept")
    await stopped(app)
    await back_up(Place(home=tmp_path / "home"), tmp_path / "backup", clock=CLOCK, runtime=runtime)
    return tmp_path / "backup"


def edited(folder: Path, name: str, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / name)) as connection, connection:
        connection.execute("DROP TRIGGER IF EXISTS event_is_not_changed")
        connection.execute(statement)


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def rewritten(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "event": lambda folder: edited(folder, "desk.db", "UPDATE event SET actor = 'nobody' WHERE seq = 2"),
    "row": lambda folder: edited(folder, "archive.db", "DELETE FROM paper"),
    "cut log": lambda folder: shortened(folder / "desk.db"),
    "cut archive": lambda folder: shortened(folder / "archive.db"),
    "lost archive": lambda folder: (folder / "archive.db").unlink(),
    "lost sheet": lambda folder: (folder / SHEET).unlink(),
    "torn sheet": lambda folder: shortened_text(folder / SHEET),
    "other sheet": lambda folder: rewritten(folder / SHEET, contents={}),
    "other form": lambda folder: rewritten(folder / SHEET, format=99),
}


def shortened_text(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize("damage", sorted(DAMAGE))
async def test_h5_restore_when_the_backup_is_not_what_was_written_then_refused_and_nothing_changes(
    saved: Path, tmp_path: Path, runtime: SystemRuntime, damage: str
) -> None:
    DAMAGE[damage](saved)
    home = Place(home=tmp_path / "home")

    with pytest.raises((Corrupt, Unavailable, UserError)):
        await restore(saved, home, force=True, clock=CLOCK, runtime=runtime)

    assert await notes_at(home, runtime) == ["kept"]
    assert not list((tmp_path / "home").glob("replaced_*"))


async def test_restore_when_something_stands_there_then_refused_until_forced_and_then_kept(
    saved: Path, tmp_path: Path, runtime: SystemRuntime
) -> None:
    home = Place(home=tmp_path / "home")
    with pytest.raises(UserError, match="--force"):
        await restore(saved, home, force=False, clock=CLOCK, runtime=runtime)

    done = await restore(saved, home, force=True, clock=CLOCK, runtime=runtime)

    assert done.old is not None and done.old.files.parent == tmp_path / "home"
    assert await notes_at(home, runtime) == ["kept"]
    with pytest.raises(UserError, match="exists already"):  # in the same second: what was kept first is not written over
        await restore(saved, home, force=True, clock=CLOCK, runtime=runtime)
    assert await notes_at(home, runtime) == ["kept"]


async def test_restore_when_the_home_is_empty_or_new_then_needs_no_force(saved: Path, tmp_path: Path, runtime: SystemRuntime) -> None:
    done = await restore(saved, Place(home=tmp_path / "new" / "home"), force=False, clock=CLOCK, runtime=runtime)

    assert done.old is None
    assert names_in(tmp_path / "new" / "home") == ["archive.db", "desk.db", "desk.db.lock"]


@pytest.mark.parametrize("left", ["desk.db-wal", "archive.db-wal"])
async def test_h5_restore_when_a_write_ahead_file_of_a_lost_database_is_there_then_it_is_not_taken_for_this_ones(
    saved: Path, tmp_path: Path, runtime: SystemRuntime, left: str
) -> None:
    home = tmp_path / "home"
    for path in home.glob("*.db*"):
        path.unlink()
    for name in (left, "desk.db-shm"):
        (home / name).write_bytes(b"\x37\x7f\x06\x82" + b"of another database" * 4000)

    with pytest.raises(UserError, match="a part of one"):
        await restore(saved, Place(home=home), force=False, clock=CLOCK, runtime=runtime)
    done = await restore(saved, Place(home=home), force=True, clock=CLOCK, runtime=runtime)

    assert done.old is not None and (done.old.files / left).exists()
    assert await notes_at(Place(home=home), runtime) == ["kept"]
    app = await started(home, None)
    await stopped(app)


async def test_h8_restore_when_a_desk_runs_there_then_refused(saved: Path, tmp_path: Path, runtime: SystemRuntime) -> None:
    home = Place(home=tmp_path / "home")
    running = await open_log(home, clock=CLOCK, runtime=runtime)

    with pytest.raises(LeaseHeld):
        await restore(saved, home, force=True, clock=CLOCK, runtime=runtime)

    await running.close()
    assert await notes_at(home, runtime) == ["kept"]


async def test_restore_when_the_machines_clock_is_behind_then_refused(saved: Path, tmp_path: Path, runtime: SystemRuntime) -> None:
    behind = ManualClock(NOW - timedelta(days=1))

    with pytest.raises(UserError, match="clock is behind"):
        await restore(saved, Place(home=tmp_path / "new"), force=False, clock=behind, runtime=runtime)


async def test_restore_when_it_breaks_off_before_the_end_then_the_old_log_stands(
    saved: Path, tmp_path: Path, runtime: SystemRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*arguments: Any, **more: Any) -> None:
        raise Corrupt("the disk went away")

    monkeypatch.setattr(backups, "_fence", breaks)
    home = Place(home=tmp_path / "home")

    with pytest.raises(Corrupt, match="went away"):
        await restore(saved, home, force=True, clock=CLOCK, runtime=runtime)

    assert await notes_at(home, runtime) == ["kept"]
    assert "incoming" not in names_in(tmp_path / "home")


async def test_backup_when_a_log_is_restored_elsewhere_then_the_kind_of_place_does_not_matter(
    saved: Path, runtime: SystemRuntime
) -> None:
    with contextlib.contextmanager(postgres_server.new_schema)() as address:
        place = Place(home=None, address=address)

        done = await restore(saved, place, force=False, clock=CLOCK, runtime=runtime)

        assert await notes_at(place, runtime) == ["kept"]
        assert done.contents == await contents_of(place, clock=CLOCK, runtime=runtime)
        with pytest.raises(UserError, match="--force"):
            await restore(saved, place, force=False, clock=CLOCK, runtime=runtime)


async def test_h5_backup_when_the_log_is_damaged_then_there_is_none(saved: Path, tmp_path: Path, runtime: SystemRuntime) -> None:
    edited(tmp_path / "home", "desk.db", "UPDATE event SET actor = 'nobody' WHERE seq = 2")

    with pytest.raises(Corrupt):
        await back_up(Place(home=tmp_path / "home"), tmp_path / "second", clock=CLOCK, runtime=runtime)

    assert names_in(tmp_path) == ["backup", "home"]
    assert await read_backup(saved, clock=CLOCK, runtime=runtime)


async def test_backup_when_the_folder_cannot_be_written_then_still_read(saved: Path, tmp_path: Path, runtime: SystemRuntime) -> None:
    shutil.copytree(saved, tmp_path / "archive medium")
    (tmp_path / "archive medium").chmod(0o500)

    assert await read_backup(tmp_path / "archive medium", clock=CLOCK, runtime=runtime)

    assert names_in(tmp_path / "archive medium") == ["archive.db", SHEET, "desk.db"]
    (tmp_path / "archive medium").chmod(0o700)


async def test_backup_when_there_is_no_desk_then_told(tmp_path: Path, runtime: SystemRuntime) -> None:
    with pytest.raises(Unavailable, match="there is no database"):
        await back_up(Place(home=tmp_path / "nothing"), tmp_path / "backup", clock=CLOCK, runtime=runtime)

    assert not await is_used(Place(home=tmp_path / "nothing"), clock=CLOCK, runtime=runtime)
    assert names_in(tmp_path) == []
