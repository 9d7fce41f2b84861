"""Ports that read what is stored: rows, snapshots, snapshots' states, tables, backups, the HALT file, and bytes on the owner's socket."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import struct
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.__main__ import _handler
from bot.buttons import Buttons
from core.app import Options, open_app, replay
from core.brokers._paper_ledger import Ledger
from core.clock import ManualClock
from core.commands._accounts import load_default
from core.desk import Desk
from core.domain.encoding import EncodingError, canonical, from_plain
from core.domain.events import VERSIONS, Draft, Event, Mode
from core.errors import Corrupt, DeskError, NewerSchema, UserError
from core.fold import DeskFold, code_version
from core.orders.states import Order
from core.ports import Delete, Put, Snapshot
from core.runtime import SystemRuntime
from core.store import schema
from core.store.archive import MemoryArchive
from core.store.backup import SHEET, _read_sheet, back_up, read_backup
from core.store.codec import COLUMNS, GENESIS, KINDS, Row, decode, row_hash, stored
from core.store.log import verify
from core.store.memory import Image, MemoryStore
from core.store.memory import _digest as _snapshot_digest
from core.store.owner import OwnerServer, read_halt, write_halt
from core.store.place import place_of
from core.store.tables import TABLES, ArchiveError
from tests.fuzz.harness import Changed, Port
from tests.fuzz.looped import Looped
from tests.fuzz.source import Source
from tests.fuzz.words import held, stateless
from tests.paper_desk import open_desk, say

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
EVENTS = Path(__file__).resolve().parents[1] / "refdata" / "events"


def _samples() -> list[tuple[Row, Event]]:
    """One event of every kind, stored one after another."""
    found: list[tuple[Row, Event]] = []
    for path in sorted(EVENTS.glob("*.json")):
        row = json.loads(path.read_text(encoding="utf-8"))
        body = from_plain(KINDS[path.name.split(".")[0]], json.loads(row["body"]) if isinstance(row["body"], str) else row["body"])
        draft = Draft(body=body, stream="desk", at=NOW, actor="desk", dedupe=f"d{len(found)}")
        before = found[-1][0].hash if found else GENESIS
        found.append(stored(draft, seq=len(found) + 1, prev_hash=before, recorded_at=NOW))
    return found


SAMPLES = _samples()
ROWS = tuple(row for row, _ in SAMPLES)
ODD_NUMBERS = ("1e400", "-0", "9" * 400, "1E2", "NaN", "01", "[]")
HINTS = sorted(VERSIONS, key=lambda kind: kind.__name__)


# --- rows ------------------------------------------------------------------------------------------------------------------


def feed_row(source: Source) -> str:
    """A stored row of anything: an event, or Corrupt or NewerSchema; one that was changed never passes the chain."""
    row = source.pick(ROWS)
    name = source.pick(COLUMNS)
    if name == "body" or source.chance(0.5):
        name, value = "body", _body(source, row.body)
    else:
        later = row.version + 1 if name == "version" else 7
        value = source.pick((source.text, source.integer, source.float_, lambda: None, source.raw, lambda: later))()
    changed = row._replace(**{name: value})
    _refused_by_chain(row, changed)
    try:
        event = decode(changed)
    except (Corrupt, NewerSchema) as error:
        held(bool(str(error)), "a refusal without a sentence")
        return "refused"
    held(type(event.body).__name__ == changed.kind, f"a {changed.kind} became a {type(event.body).__name__}")
    canonical(event.body)
    return "read"


def _body(source: Source, body: str) -> Any:
    if source.chance(0.3):
        return source.text((body,))
    if source.chance(0.1):
        return re.sub(r"-?[0-9]+", lambda _: source.pick(ODD_NUMBERS), body, count=source.number(3))
    if source.chance(0.05):
        return body[:-1] + "," + body[1:]  # every key twice
    if source.chance(0.02):
        return "[" * 100_000
    return json.dumps(source.bent_plain(json.loads(body)))


def _refused_by_chain(row: Row, changed: Row) -> None:
    rows = list(ROWS)
    rows[row.seq - 1] = changed
    same = all(
        type(one) is type(other) and one == other
        for one, other in zip(row, changed, strict=True)
    )
    try:
        list(verify(rows[row.seq - 1 :], after=schema.Head(seq=row.seq - 1, hash=rows[row.seq - 2].hash if row.seq > 1 else GENESIS)))
    except Corrupt:
        held(not same, "an unchanged row was refused")
    else:
        held(same, "a changed row passed the chain")


def feed_draft(source: Source) -> str:
    """Any event body: stored so that it reads back as itself and folds, or EncodingError."""
    kind = source.pick(HINTS)
    sample = next(event for _, event in SAMPLES if type(event.body) is kind)
    try:
        body = source.bent(sample.body, swaps=source.chance(0.2)) if source.chance(0.8) else source.typed(kind)
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        return "no such body"
    draft = Draft(
        body=body, stream=source.text(("desk",)), at=NOW if source.chance(0.7) else source.instant(), actor=source.text(("desk",)),
        dedupe=source.pick((None, "x", source.text())),
    )
    try:
        row, event = stored(draft, seq=1, prev_hash=GENESIS, recorded_at=NOW)
    except EncodingError as error:
        held(bool(str(error)), "a refusal without a sentence")
        return "refused"
    held(event.body == body or canonical(event.body) == canonical(body), f"{body} reads back as {event.body}")
    held(row.hash == row_hash(GENESIS, row), "the hash does not fit the row")
    fold = DeskFold()
    fold.apply(event)
    held(DeskFold.load(*_saved(fold)).digest() == fold.digest(), f"{event.body} does not survive a snapshot")
    (fold.books, fold.mode())
    return "stored"


def _saved(fold: DeskFold) -> tuple[bytes, dict[str, bytes]]:
    """A complete snapshot's state and parts."""
    fold.saved_seq = None
    saving = fold.begin_saving()
    saving.pack()
    fold.end_saving(saving, saved=True)
    return saving.state, saving.parts


class Folds:
    """Logs of any events the codec takes, and states read from any bytes."""

    def __init__(self, source: Source) -> None:
        self._fold = DeskFold()
        for row, _ in SAMPLES:
            self._fold.apply(decode(row))
        self._state, self._parts = _saved(self._fold)
        self._plain = json.loads(self._state)

    def one(self, source: Source) -> str:
        return self._log(source) if source.chance(0.4) else self._load(source)

    def _log(self, source: Source) -> str:
        fold, before = DeskFold(), GENESIS
        for number in range(1, 3 + source.number(8)):
            body = source.pick(SAMPLES)[1].body
            try:
                bent = source.bent(body) if source.chance(0.5) else body
                row, event = stored(
                    Draft(body=bent, stream="desk", at=NOW, actor="desk"), seq=number, prev_hash=before, recorded_at=NOW
                )
            except (EncodingError, ValueError):
                row, event = stored(Draft(body=body, stream="desk", at=NOW, actor="desk"), seq=number, prev_hash=before, recorded_at=NOW)
            before = row.hash
            fold.apply(event)
        books = fold.books
        for book in books.accounts.values():
            held(book.cash.is_finite(), f"cash {book.cash}")
            (book.exposed(), book.exposed(purchases=False), book.open_trades, [_figures(order) for order in book.orders.values()])
        held(DeskFold.load(*_saved(fold)).digest() == fold.digest(), "a log's state does not survive a snapshot")
        return "folded"

    def _load(self, source: Source) -> str:
        state = source.raw((self._state,)) if source.chance(0.3) else json.dumps(source.bent_plain(self._plain)).encode()
        parts = dict(self._parts)
        if source.chance(0.3):  # what is cut off before its keys are read; what is bent behind them the store's digests find
            name = source.pick(sorted(parts))
            parts[name] = parts[name][: source.number(4)]
        try:
            fold = DeskFold.load(state, parts)
        except EncodingError as error:
            held(bool(str(error)), "a refusal without a sentence")
            return "refused"
        fold.digest()
        return "loaded"

    def close(self) -> None:
        return


def _figures(order: Order) -> object:
    return (order.state, order.leaves, order.filled, order.overfilled_keys, order.uneven)


class Logs(Looped):
    """A start over a log whose snapshot or rows are anything: the true state, or a refusal to start."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._whole = DeskFold()
        for row in ROWS:
            self._whole.apply(decode(row))

    def one(self, source: Source) -> str:
        rows, snapshots, digests = list(ROWS), [], []
        if source.chance(0.7):
            fold = DeskFold()
            for row in ROWS[: source.number(len(ROWS))]:
                fold.apply(decode(row))
            state, parts = _saved(fold)
            bent = source.raw((state,)) if source.chance(0.3) else json.dumps(source.bent_plain(json.loads(state))).encode()
            made = Snapshot(name="desk", seq=fold.seq, hash=fold.hash or GENESIS, code_version=code_version(), state=bent, parts=parts)
            digests.append(_snapshot_digest(replace(made, state=state)))  # of what was written: what is bent does not fit it
            if parts and source.chance(0.3):
                name = source.pick(sorted(parts))
                made = replace(made, parts={**parts, name: source.raw((parts[name],))})
            snapshots.append(source.bent(made) if source.chance(0.2) else made)
        else:
            self._bend_rows(source, rows)
        store = MemoryStore.from_image(
            Image(rows=tuple(rows), snapshots=tuple(snapshots), digests=tuple(digests)), clock=ManualClock(NOW)
        )
        try:
            fold = self.run(replay(store))
        except (Corrupt, NewerSchema) as error:
            held(bool(str(error)) and not snapshots, "a refusal without a sentence, or for a bad snapshot")
            return "refused"
        held(tuple(rows[: len(ROWS)]) != ROWS or fold.digest() == self._whole.digest(), "another state than the log tells")
        return "started"

    @staticmethod
    def _bend_rows(source: Source, rows: list[Row]) -> None:
        place = source.number(len(rows) - 1)
        match source.number(4):
            case 0:
                del rows[place]
            case 1:
                rows.insert(place, rows[place])
            case 2:
                rows[place], rows[-1] = rows[-1], rows[place]
            case 3:
                del rows[place:]
            case _:
                rows[place] = rows[place]._replace(body=source.bent_text(rows[place].body))


# --- tables ------------------------------------------------------------------------------------------------------------------


class Tables(Looped):
    """Tables asked anything, and rows of any text where the desk keeps its buttons and the paper exchange its books."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._desk: Desk = self.run(open_desk())
        self.run(say(self._desk, "open put_credit_spread XSP 1"))
        ticket = next(iter(self._desk.fold.tickets))
        self.run(say(self._desk, f"confirm {ticket}"))
        archive = self._desk.archive
        assert isinstance(archive, MemoryArchive)
        self._image = archive.durable_image()
        self._paper = self._image.rows["paper"]
        self._account = self._desk.config.accounts[0].id

    def one(self, source: Source) -> str:
        return source.pick((self._ask, self._ask, self._books, self._buttons, self._meta))(source)

    def _ask(self, source: Source) -> str:
        archive, table = MemoryArchive(), source.pick(TABLES)
        name = source.text((table.name,)) if source.chance(0.1) else table.name
        row: dict[str, Any] = {column: source.typed(kind) for column, kind in table.columns.items() if source.chance(0.9)}
        if source.chance(0.3):
            row[source.text(tuple(table.columns))] = source.plain(1)
        try:
            self.run(archive.write([Put(table=name, row=row)]))
            found = self.run(archive.select(
                name, where={key: value for key, value in row.items() if source.chance(0.3)},
                order_by=source.pick((None, *table.columns, "nothing")), descending=source.chance(0.5), limit=source.pick((None, 1, 0, -1)),
            ))
            held(all(set(one) == set(table.columns) for one in found), "a row of other columns")
            self.run(archive.write([Delete(table=name, where=row)]))
            held(not self.run(archive.select(name)), "a deleted row is still there")
        except ArchiveError as error:
            held(bool(str(error)), "a refusal without a sentence")
            return "refused"
        return "kept"

    def _books(self, source: Source) -> str:
        rows = [dict(row) for row in self._paper]
        row = source.pick(rows)
        if source.chance(0.1):
            row[source.pick(("body", "key", "kind"))] = source.pick((None, 7, 7.5, b"\xff", ""))  # a file holds whatever was put into it
        elif source.chance(0.7):
            body = str(row["body"])
            row["body"] = source.text((body,)) if source.chance(0.3) else json.dumps(source.bent_plain(json.loads(body)))
        else:
            rows.remove(row)
        archive = MemoryArchive(image=replace(self._image, rows={"paper": tuple(rows)}))
        ledger = Ledger(archive, self._account)
        try:
            self.run(ledger.load())
        except Corrupt as error:
            held(bool(str(error)), "a refusal without a sentence")
            return "refused"
        held(ledger.cash.is_finite(), f"cash {ledger.cash}")
        return "loaded"

    def _buttons(self, source: Source) -> str:
        from bot.buttons import hash_of

        row: dict[str, Any] = {
            "hash": hash_of("t"), "line": "status", "person": "owner", "chats": "terminal", "card_hash": "", "ticket_id": "",
            "expires_at": NOW.isoformat(), "once": 0, "used_at": None,
        }
        key = source.pick([name for name in row if name != "hash"])
        row[key] = source.pick((source.text, lambda: None, source.integer, source.float_, source.raw))()
        archive = MemoryArchive(image=replace(self._image, rows={"buttons": (row,)}))
        try:
            self.run(Buttons(archive, self._desk.runtime.entropy).find("t"))
        except Corrupt as error:
            held(bool(str(error)), "a refusal without a sentence")
            return "refused"
        return "found"

    def _meta(self, source: Source) -> str:
        value = source.pick((source.text((str(self._account),)), None, 7, b"\xff"))
        rows = ({"key": "default_account", "value": value, "at": NOW.isoformat()},)
        self._desk.archive = MemoryArchive(image=replace(self._image, rows={"settings_meta": rows}))
        self._desk.default_account = None
        try:
            self.run(load_default(self._desk))
        except Corrupt as error:
            held(bool(str(error)), "a refusal without a sentence")
            return "refused"
        held(self._desk.default_account in (None, self._account), "an account nobody configured")
        return "default" if self._desk.default_account else "none"


# --- backups -----------------------------------------------------------------------------------------------------------------


class Sheets:
    """The sheet of a backup: figures, or a refusal."""

    def __init__(self, source: Source) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name)
        head = {"seq": 7, "hash": GENESIS}
        contents = {"head": head, "state": GENESIS, "tables": GENESIS, "rows": {"inbox": 3}, "token": 4}
        self._plain = {"format": 1, "made_at": NOW.isoformat(), "code_version": code_version(), "contents": contents}

    def one(self, source: Source) -> str:
        content = json.dumps(source.bent_plain(self._plain)).encode()
        if source.chance(0.3):
            content = source.raw((json.dumps(self._plain).encode(),))
        (self._path / SHEET).write_bytes(content)
        try:
            backup = _read_sheet(self._path)
        except (UserError, Corrupt) as error:
            held(bool(str(error)), "a refusal without a sentence")
            return "refused"
        (asdict(backup.contents), backup.made_at < NOW)
        return "read"

    def close(self) -> None:
        self._folder.cleanup()


class Backups(Looped):
    """A backup whose files were damaged: found, whatever the damage, or no damage at all."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._home = Path(self._folder.name)
        self._whole = self._home / "whole"
        self._runtime = SystemRuntime()
        self.run(self._made())
        self._files = {path.name: path.read_bytes() for path in self._whole.iterdir()}

    async def _made(self) -> None:
        app = await open_app(Options(home=self._home / "home", background=False))
        await app.start()
        await app.stop()
        await app.desk.runtime.aclose()
        await back_up(place_of(self._home / "home", None), self._whole, clock=ManualClock(NOW), runtime=self._runtime)

    def one(self, source: Source) -> str:
        folder = self._home / "bent"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        name = source.pick(sorted(self._files))
        content = source.raw((self._files[name],)) if source.chance(0.8) else source.raw(tuple(self._files.values()))
        for other, whole in self._files.items():
            (folder / other).write_bytes(content if other == name else whole)
            (folder / other).chmod(0o600)
        try:
            backup = self.run(read_backup(folder, clock=ManualClock(NOW), runtime=self._runtime))
        except DeskError as error:
            held(bool(str(error)), "a refusal without a sentence")
            return f"refused ({type(error).__name__})"
        held(backup.contents.head.hash != "", "an empty backup")
        return "read"

    def close(self) -> None:
        self.run(self._runtime.aclose())
        super().close()
        self._folder.cleanup()


# --- the owner's door ----------------------------------------------------------------------------------------------------------


class HaltFiles(Looped):
    """A HALT file of any bytes halts, and its words can be shown."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name)
        self._desk: Desk = self.run(open_desk())
        self._desk.halt_reason = lambda: read_halt(self._path)

    def one(self, source: Source) -> str:
        path = self._path / "HALT"
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        if source.chance(0.05):
            self._odd(source, path)
        if source.chance(0.05):
            write_halt(self._path, source.text(("kill",)))
        elif not path.exists() and not path.is_symlink():
            path.write_bytes(source.raw((b"kill from the command line", b"")))
        mode, reason = self._desk.mode(account=self._desk.config.accounts[0].id)
        held(mode is Mode.HALT and reason.startswith("HALT file: "), f"{mode} {reason!r}")
        if source.chance(0.1):
            reply = self.run(say(self._desk, "status"))
            held("HALT" in reply.badge, f"badge {reply.badge!r}")
        return "halted"

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


    @staticmethod
    def _odd(source: Source, path: Path) -> None:
        """By that name, what is no file: the name alone counts."""
        match int(source.rng.random() * 5):
            case 0:
                path.mkdir()
            case 1:
                os.mkfifo(path)
            case 2:
                path.symlink_to("/dev/zero")
            case 3:
                path.symlink_to("nowhere/at/all")
            case _:
                path.symlink_to(path.name)


REQUESTS = (*(json.dumps(request).encode() for request in (
    {"do": "status"}, {"do": "positions spy"}, {"ping": True}, {"do": "open put_credit_spread XSP 1"}, {"do": "halt"}, {"do": "note hello"},
    ["do", "status"], {"do": {"do": "status"}}, {"do": None}, "status", 7, {"ping": 0, "do": "\ud800"},
)), b"[" * 5000, b"{" * 5000, b'{"do":"' + b"a" * 9000 + b'"}', b"\xff\xfe", b"")


class Socket(Looped):
    """Bytes on the owner's socket: an answer that is JSON, or none; nothing is confirmed, sent or loosened."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._desk: Desk = self.run(open_desk())
        self._handle = _handler(self._desk, None)
        self._server = OwnerServer(Path("desk.sock"), self._handle, runtime=self._desk.runtime)

    def one(self, source: Source) -> str:
        request = source.raw(REQUESTS) if source.chance(0.9) else source.text().encode("utf-8", "replace")
        frame = struct.pack(">I", len(request)) + request
        if source.chance(0.2):
            frame = source.raw((frame,))
        word = self.run(self._asked(frame))
        held(not self._desk.books.accounts[self._desk.config.accounts[0].id].orders, "an order was made")
        return word

    async def _asked(self, frame: bytes) -> str:
        reader = asyncio.StreamReader()
        reader.feed_data(frame)
        reader.feed_eof()
        request = await self._server._request(reader)
        if request is None:
            return "no frame"
        answer = json.loads(await self._handle(request))
        if not isinstance(answer, dict):
            raise Changed(f"the answer is {answer!r}")
        return "answered" if answer.get("ok", True) else "refused"


PORTS = (
    stateless("rows", 60, feed_row),
    stateless("drafts", 40, feed_draft),
    Port(name="folds", share=20, opened=Folds),
    Port(name="starts", share=6, opened=Logs),
    Port(name="tables", share=25, opened=Tables, episode=2_000),
    Port(name="sheets", share=10, opened=Sheets),
    Port(name="backups", share=0.2, opened=Backups),
    Port(name="halt file", share=10, opened=HaltFiles, episode=5_000),
    Port(name="socket", share=8, opened=Socket, episode=500),
)
