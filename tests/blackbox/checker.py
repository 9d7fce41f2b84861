"""Compares a desk's log with the exchange's books and with what the desk said. Its own reading of the log: nothing of core/ is used.

What is found wrong is a sentence that begins with the number of the invariant it breaks.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.blackbox.machine import unwrapped

OVER = {"cancelled", "rejected", "denied", "expired"}
CLOCK_SECONDS = 0.5  # between a HALT being durable and the last byte that may have been on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An event as it lies on the disk."""

    seq: int
    kind: str
    recorded_at: str
    hash: str
    body: dict[str, Any]


@dataclass(slots=True)
class Order:
    """What the log says of one order."""

    client_id: str
    body: dict[str, Any]
    submitting_seq: int
    acknowledged: bool = False
    ended: str = ""
    unknown: bool = False
    replacing: list[str] = field(default_factory=list)
    cancel_asked: bool = False
    filled: Counter[str] = field(default_factory=Counter)

    @property
    def units(self) -> int:
        """Whole units filled on every leg."""
        return min(self.filled[key_of(leg["instrument"])] // leg["ratio"] for leg in self.body["envelope"]["legs"])

    @property
    def complete(self) -> bool:
        return self.units >= self.body["quantity"]

    @property
    def live(self) -> bool:
        return not self.complete and not self.ended


@dataclass(slots=True)
class Log:
    """The log as it was read last, and what follows from it."""

    rows: list[Row] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    confirmed: dict[str, dict[str, Any]] = field(default_factory=dict)  # by client id
    tickets: Counter[str] = field(default_factory=Counter)  # confirmations by ticket
    fills: dict[str, dict[str, Any]] = field(default_factory=dict)
    fill_count: Counter[str] = field(default_factory=Counter)
    corrected: set[str | None] = field(default_factory=set)  # executions that a later report replaces
    notes: Counter[str] = field(default_factory=Counter)
    cash: Decimal = Decimal(0)
    held: Counter[str] = field(default_factory=Counter)
    reconciled: list[Row] = field(default_factory=list)
    modes: list[Row] = field(default_factory=list)

    def take(self, rows: list[Row]) -> None:
        """Go on with what was read."""
        for row in rows:
            self.rows.append(row)
            getattr(self, f"_{row.kind}", lambda row: None)(row)

    def halted_at(self, seq: int) -> bool:
        """Whether the desk as a whole was halted by a person at that place in the log."""
        standing: dict[str, str] = {}
        for row in self.modes:
            if row.seq < seq and row.body["scope"]["kind"] == "desk":
                standing[row.body["cause"]] = row.body["mode"]
        return "halt" in standing.values()

    def _Submitting(self, row: Row) -> None:
        self.orders[row.body["client_id"]] = Order(row.body["client_id"], row.body, row.seq)

    def _TicketConfirmed(self, row: Row) -> None:
        self.confirmed[row.body["client_id"]] = row.body
        self.tickets[row.body["ticket_id"]] += 1

    def _OrderAcknowledged(self, row: Row) -> None:
        order = self.orders[row.body["client_id"]]
        order.acknowledged, order.unknown = True, False
        if row.body["from_books"]:
            order.ended = ""

    def _Replacing(self, row: Row) -> None:
        self.orders[row.body["client_id"]].replacing.append(row.body["limit"])

    def _CancelRequested(self, row: Row) -> None:
        self.orders[row.body["client_id"]].cancel_asked = True

    def _OrderEnded(self, row: Row) -> None:
        order = self.orders[row.body["client_id"]]
        order.ended, order.unknown = order.ended or row.body["outcome"], False

    def _OrderUnknown(self, row: Row) -> None:
        self.orders[row.body["client_id"]].unknown = True

    def _Filled(self, row: Row) -> None:
        fill = row.body["fill"]
        self.fill_count[fill["exec_id"]] += 1
        if self.fill_count[fill["exec_id"]] > 1:
            return
        if fill["corrects"] in self.fills and fill["corrects"] not in self.corrected:
            self._count(self.fills[fill["corrects"]], -1)
        self.corrected.add(fill["corrects"])
        self.fills[fill["exec_id"]] = fill
        if fill["exec_id"] not in self.corrected:  # the correction may be heard before what it corrects
            self._count(fill, 1)

    def _count(self, fill: dict[str, Any], times: int) -> None:
        key, sign = key_of(fill["instrument"]), 1 if fill["side"] == "buy" else -1
        self.held[key] += times * sign * fill["quantity"]
        self.cash -= times * (sign * fill["quantity"] * Decimal(fill["price"]) * fill["instrument"]["multiplier"] + Decimal(fill["fees"]))
        if fill["client_id"] in self.orders:
            self.orders[fill["client_id"]].filled[key] += times * fill["quantity"]

    def _CashMoved(self, row: Row) -> None:
        self.cash += Decimal(row.body["amount"])

    def _NoteWritten(self, row: Row) -> None:
        self.notes[row.body["text"]] += 1

    def _Reconciled(self, row: Row) -> None:
        self.reconciled.append(row)

    def _ModeSet(self, row: Row) -> None:
        self.modes.append(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something the desk said: that these events exist, or that an order stands so, or that a note is kept."""

    text: str
    cites: tuple[int, ...] = ()
    order: str = ""
    state: str = ""
    note: str = ""
    halted: bool = False


class Checker:
    """One desk's log, all its life long, against one account at the exchange."""

    def __init__(self, data: Path) -> None:
        self._path = data / "desk.db"
        self.log = Log()
        self.wrong: list[str] = []
        self._told: set[str] = set()

    # --- reading --------------------------------------------------------------------------------------------------------

    def read(self, *, dead: bool) -> None:
        """Read on. What was read before must still be there: nothing durable is ever lost or changed. `dead`: nobody has it open."""
        if not self._path.exists():
            if self.log.rows:
                self._say("16", "the log is gone")
            return
        rows = _copied(self._path) if dead else _read(self._path)
        known = self.log.rows
        if len(rows) < len(known):
            self._say("16", f"{len(known) - len(rows)} events that were there are lost, from {known[len(rows)].kind} on")
            return
        for old, new in zip(known, rows, strict=False):
            if old.hash != new.hash:
                self._say("16", f"event {old.seq} was {old.kind} and is another one now")
                return
        if any(row.seq != number for number, row in enumerate(rows, 1)):
            self._say("16", "the sequence has a gap")
        self.log.take(rows[len(known) :])

    # --- comparing ------------------------------------------------------------------------------------------------------

    def writes_ahead(self, requests: list[dict[str, Any]]) -> None:
        """What reached the exchange was in the log before, and says the same. To be asked when nothing is under way: of a dead process."""
        for request in requests:
            if request["op"] in ("submit", "replace", "cancel"):
                getattr(self, f"_ahead_{request['op']}")(request)

    def _ahead_submit(self, request: dict[str, Any]) -> None:
        order, what = self.log.orders.get(request["client_id"]), f"order {request['client_id']}"
        if order is None:
            self._say("3", f"{what} reached the exchange, and no Submitting is in the log")
            return
        legs = [(key_of(leg["instrument"]), leg["side"], leg["ratio"]) for leg in order.body["envelope"]["legs"]]
        sent = [(leg["key"], leg["side"], leg["ratio"]) for leg in request["legs"]]
        if (legs, order.body["quantity"], order.body["limit"]) != (sent, request["quantity"], request["limit"]):
            self._say("2", f"{what} was sent as {sent} {request['quantity']} at {request['limit']}, confirmed was {order.body}")
        confirmed = self.log.confirmed.get(request["client_id"])
        if confirmed is None or confirmed["quantity"] < request["quantity"]:
            self._say("1", f"{what} was sent for {request['quantity']}; its confirmation: {confirmed}")
        elif self.log.halted_at(order.submitting_seq) and not order.body["reducing"]:
            self._say("13", f"{what} adds risk and was sent after HALT")

    def _ahead_replace(self, request: dict[str, Any]) -> None:
        order = self.log.orders.get(request["client_id"])
        if order is None or request["limit"] not in order.replacing:
            self._say("3", f"a replace of {request['client_id']} to {request['limit']} reached the exchange, and the log does not have it")
            return
        plan = order.body["envelope"]["plan"]
        if not Decimal(plan["worst"]) <= Decimal(request["limit"]) <= Decimal(plan["start"]):
            self._say("1", f"{request['client_id']} was moved to {request['limit']}, outside {plan}")

    def _ahead_cancel(self, request: dict[str, Any]) -> None:
        order = self.log.orders.get(request["client_id"])
        if order is None or not order.cancel_asked:
            self._say("3", f"a cancel of {request['client_id']} reached the exchange, and the log does not have it")

    def agrees(self, books: dict[str, Any]) -> None:
        """What holds at every moment, for books fetched after the log was read."""
        sent = Counter(request["client_id"] for request in books["requests"] if request["op"] == "submit")
        for client_id, count in sent.items():
            if count > 1:
                self._say("4", f"order {client_id} was placed {count} times")
        by_client = Counter(order["client_id"] for order in books["orders"])
        for order in books["orders"]:
            self._order_agrees(order, by_client[order["client_id"]])
        for exec_id, count in self.log.fill_count.items():
            if count > 1:
                self._say("6", f"execution {exec_id} is in the log {count} times")
        for ticket, count in self.log.tickets.items():
            if count > 1:
                self._say("1", f"ticket {ticket} was confirmed {count} times")
        self._all_agree(books)

    def _order_agrees(self, theirs: dict[str, Any], copies: int) -> None:
        client_id, ours = theirs["client_id"], self.log.orders.get(theirs["client_id"])
        if copies > 1:
            self._say("6", f"the exchange has {copies} orders of {client_id}")
        if ours is None:
            return  # judged once the process is dead, when the whole log is known
        confirmed = self.log.confirmed[client_id]["quantity"]
        working = theirs["quantity"] - theirs["filled"] if theirs["status"] == "working" else 0
        if theirs["filled"] + working > confirmed:
            self._say("6", f"order {client_id}: {theirs['filled']} filled and {working} working, confirmed were {confirmed}")
        if ours.ended and theirs["status"] == "working":
            self._say("5", f"the log has {client_id} {ours.ended}, the exchange works it")
        if ours.ended == "denied":
            self._say("5", f"the log has {client_id} denied, the exchange took it and has it {theirs['status']}")

    def _all_agree(self, books: dict[str, Any]) -> None:
        live = sum(order["quantity"] - order["filled"] for order in books["orders"] if order["status"] == "working")
        filled = sum(order["filled"] for order in books["orders"])
        confirmed = sum(item["quantity"] for item in self.log.confirmed.values())
        known = all(order["client_id"] in self.log.orders for order in books["orders"])
        if known and live + filled > confirmed:
            self._say("6", f"{filled} filled and {live} working in all, confirmed were {confirmed}")

    def heard_everything(self, books: dict[str, Any], *, epoch: int) -> bool:
        """Whether the log was reconciled in this session; then every execution up to there must be in it, once."""
        found = [row for row in self.log.reconciled if row.body["epoch"] >= epoch and row.body["complete"]]
        if not found:
            return False
        cursor = max(row.body["cursor"] for row in found)
        for fill in books["fills"]:
            if fill["cursor"] is not None and fill["cursor"] <= cursor and self.log.fill_count[fill["exec_id"]] != 1:
                self._say("9", f"execution {fill['exec_id']} of {fill['client_id']} is lost: reconciled up to {cursor}")
        for row in found:
            if row.body["differences"]:
                self._say("7", f"the desk found a difference where there is none: {row.body['differences']}")
        return True

    def rests(self, books: dict[str, Any]) -> list[str]:
        """What still differs where nothing is under way; nothing, sooner or later, once everything is healed."""
        found = [f"execution {fill['exec_id']} is missing" for fill in books["fills"] if self.log.fill_count[fill["exec_id"]] != 1]
        ours, theirs = {key: count for key, count in self.log.held.items() if count}, books["positions"]
        if ours != theirs:
            found.append(f"positions: the exchange has {theirs}, the log {ours}")
        if self.log.cash != Decimal(books["cash"]):
            found.append(f"cash: the exchange has {books['cash']}, the log {self.log.cash}")
        found += [f"order {order.client_id} is still open in the log" for order in self.log.orders.values() if order.live]
        found += [f"order {order['client_id']} still works at the exchange" for order in books["orders"] if order["status"] == "working"]
        return found

    def keeps(self, claims: list[Claim]) -> None:
        """Everything that was said is in the log."""
        last = len(self.log.rows)
        for claim in claims:
            missing = [seq for seq in claim.cites if seq > last]
            if missing:
                self._say("15", f"{claim.text!r} cites {missing}, the log ends at {last}")
            if claim.note and not self.log.notes[claim.note]:
                self._say("15", f"the note {claim.note!r} was acknowledged and is not there")
            if claim.order:
                self._kept_order(claim)
            if claim.halted and not any(row.body["mode"] == "halt" for row in self.log.modes):
                self._say("15", f"{claim.text!r}, and no HALT is in the log")

    def _kept_order(self, claim: Claim) -> None:
        order = self.log.orders.get(claim.order)
        known = order is not None and {
            "submitting": True, "working": order.acknowledged, "partially filled": any(order.filled.values()),
            "filled": order.complete, "pending cancel": order.cancel_asked, "unknown": True, "over": not order.live,
            **{word: order.ended == word or order.complete for word in OVER},
        }.get(claim.state, True)
        if not known:
            self._say("15", f"{claim.text!r} was said; the log has {order}")

    def doubles(self, sent: Counter[str]) -> None:
        """No note is there more often than it was typed."""
        for text, count in self.log.notes.items():
            if count > sent[text]:
                self._say("17", f"the note {text!r} is there {count} times, it was typed {sent[text]} times")

    def _say(self, invariant: str, text: str) -> None:
        sentence = f"{invariant}: {text}"
        if sentence not in self._told:
            self._told.add(sentence)
            self.wrong.append(sentence)


# --- what the desk said -------------------------------------------------------------------------------------------------

_ORDER = re.compile(r"^order +(O[0-9A-Z]+)")
_STATE = re.compile(r"^state +([a-z ]+)$")
_NOTED = re.compile(r"^\[ok\] Noted: (.+)$")
_FILLED = re.compile(r"^\[(?:ok|i)\] Filled(?:: \d+ x| \d+ of \d+) .*\(order (O[0-9A-Z]+)\)")
_ENDED = re.compile(r"^\[(?:.|ok)\] Order (O[0-9A-Z]+) \(.*\) (is cancelled|was rejected|was not sent|has expired)")
_BY_WORD = re.compile(r"^\[ok\] No longer working, by the broker's word: ([O0-9A-Z, ]+)\.")
_HALTED = re.compile(r"^\[.\] (HALTED\.|The desk is HALTED: )")
_WORDS = {"is cancelled": "cancelled", "was rejected": "rejected", "was not sent": "denied", "has expired": "expired"}


def claims_of_text(lines: list[str]) -> list[Claim]:
    """What a terminal showed, as far as it claims something."""
    found: list[Claim] = []
    order = ""
    for line in unwrapped(lines):
        if match := _ORDER.match(line):
            order = match[1]
        elif (match := _STATE.match(line)) and order:
            found.append(Claim(text=f"{order} {line}", order=order, state=match[1].strip()))
            order = ""
        elif match := _NOTED.match(line):
            found.append(Claim(text=line, note=match[1]))
        elif match := _FILLED.match(line):
            found.append(Claim(text=line, order=match[1], state="partially filled"))
        elif match := _ENDED.match(line):
            found.append(Claim(text=line, order=match[1], state=_WORDS[match[2]]))
        elif match := _BY_WORD.match(line):
            found += [Claim(text=line, order=name.strip(), state="over") for name in match[1].split(",")]
        elif _HALTED.match(line):
            found.append(Claim(text=line, halted=True))
    return found


def claims_of_answer(answer: dict[str, Any]) -> list[Claim]:
    """What an answer of the owner's socket claims: what it cites, and how it says an order stands."""
    data = answer["json"]
    text = answer["text"].splitlines()[1] if "\n" in answer["text"] else answer["text"]
    found = [Claim(text=text, cites=tuple(data["cites"]))] if data["cites"] else []
    if "order" in data["data"] and "state" in data["data"]:
        found.append(Claim(text=text, order=data["data"]["order"], state=data["data"]["state"].replace("_", " ")))
    return found


def key_of(instrument: dict[str, Any]) -> str:
    """An instrument of the log as the exchange names it."""
    if "strike" not in instrument:
        return str(instrument["symbol"])
    day, strike = instrument["expiry"][2:].replace("-", ""), int(Decimal(instrument["strike"]) * 1000)
    return f"{instrument['root']:<6}{day}{'P' if instrument['right'] == 'put' else 'C'}{strike:08d}"


def _read(path: Path) -> list[Row]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
        rows = connection.execute("SELECT seq, kind, recorded_at, hash, body FROM event ORDER BY seq").fetchall()
    return [Row(seq=seq, kind=kind, recorded_at=at, hash=end, body=json.loads(body)) for seq, kind, at, end, body in rows]


def _copied(path: Path) -> list[Row]:
    """Read a dead process's log from copies, so that the next process finds what it left and nothing of ours."""
    with tempfile.TemporaryDirectory() as scratch:
        for suffix in ("", "-wal"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                shutil.copy(source, Path(scratch) / source.name)
        return _read(Path(scratch) / path.name)
