"""Setting and lifting modes, for the commands that do, and saying which are in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from core.command import Call, Kind, Parameter
from core.commands._accounts import connected
from core.desk import Desk, Recorded
from core.domain.accounts import AccountId
from core.domain.events import Mode, ModeSet, Scope, ScopeKind
from core.domain.instruments import InstrumentError, parse_occ, series_of
from core.errors import UserError
from core.fold import ModeEntry
from core.reply import Cell, Column, Format, Table

HALTED = "halt"
PAUSED = "pause"
AFTER_AN_ERROR = "bug:"
STALE = "stale data:"
BY_THE_BOOKS = "reconciliation:"
LOOKED_AT = (AFTER_AN_ERROR, STALE)  # REDUCING that a person lifts with `resume`, having looked
SCOPE_PARAMETERS = (
    Parameter(name="scope", kind=Kind.CHOICE, choices=("all",), help="all: the whole desk, as without any name"),
    Parameter(name="strategy", kind=Kind.STRATEGY, help="only this strategy"),
    Parameter(name="symbol", kind=Kind.SYMBOL, help="only this underlying and what is on it"),
)


def scope_of(desk: Desk, call: Call) -> Scope:
    """What a call names: one strategy, one underlying or one account, else the whole desk; raise UserError where it names two."""
    args: Mapping[str, Any] = call.args
    named = [name for name in ("scope", "strategy", "symbol", "account") if args.get(name) is not None]
    if len(named) > 1:
        said = f"A mode is set on one thing at a time; you named {' and '.join(named)}."
        raise UserError(said, f"For example: `{call.command} {named[0]}={args[named[0]]}`.")
    if args.get("strategy") is not None:
        return Scope(kind=ScopeKind.STRATEGY, name=str(args["strategy"]))
    if args.get("symbol") is not None:
        return Scope(kind=ScopeKind.INSTRUMENT, name=str(args["symbol"]))
    if args.get("account") is not None:
        return Scope(kind=ScopeKind.ACCOUNT, name=str(connected(desk.account(call.caller, args["account"])).id))
    return Scope()


def scope_words(scope: Scope) -> str:
    """A scope in a sentence."""
    return "the desk" if scope.kind is ScopeKind.DESK else f"{scope.kind.value} {_scope_name(scope)}"


def scope_argument(scope: Scope) -> str:
    """How a scope is typed, with a space before it; nothing for the desk."""
    names = {ScopeKind.STRATEGY: "strategy", ScopeKind.INSTRUMENT: "symbol", ScopeKind.ACCOUNT: "account"}
    if scope.kind is ScopeKind.DESK:
        return ""
    return f" {names[scope.kind]}={_underlying(scope.name) if scope.kind is ScopeKind.INSTRUMENT else _scope_name(scope)}"


NOT_WRITTEN = (
    "The disk does not answer, so the halt is not written down yet: it holds while this process lives. To be sure, end the process, and "
    "cancel at the broker."
)


def in_scope(entry: ModeEntry, scope: Scope) -> bool:
    """Whether a mode was set on what a call names; an underlying names the contracts on it too."""
    if scope.kind is ScopeKind.INSTRUMENT and entry.scope.kind is ScopeKind.INSTRUMENT:
        return scope.name in (entry.scope.name, *_on(entry.scope.name))
    return entry.scope == scope


async def set_mode(desk: Desk, call: Call, mode: Mode, *, cause: str, reason: str, scope: Scope | None = None) -> Recorded:
    """Record a mode a person chose."""
    body = ModeSet(scope=scope or Scope(), mode=mode, cause=cause, reason=reason)
    return await desk.record(desk.draft(body, actor=actor_of(call), causation=call.caller.message_id))


async def lift(desk: Desk, call: Call, entries: Iterable[ModeEntry]) -> Recorded:
    """Record that entries were lifted."""
    reason = f"lifted by {call.caller.person}"
    bodies = [ModeSet(scope=entry.scope, mode=Mode.ACTIVE, cause=entry.cause, reason=reason) for entry in entries]
    drafts = [desk.draft(body, actor=actor_of(call), causation=call.caller.message_id) for body in bodies]
    return await desk.record(*drafts)


def actor_of(call: Call) -> str:
    """Who is named in the log."""
    return f"person:{call.caller.person}" if call.caller.via.value not in ("clock", "mandate") else call.caller.via.value


def standing_words(desk: Desk, scope: Scope | None = None) -> str:
    """What the desk, or one scope of it, may do now, in a sentence."""
    kind, name = (scope.kind, scope.name) if scope is not None else (ScopeKind.DESK, "")
    mode, reason = desk.mode(
        account=AccountId.parse(name) if kind is ScopeKind.ACCOUNT else None, strategy=name if kind is ScopeKind.STRATEGY else None,
        keys=(name, *_on(name)) if kind is ScopeKind.INSTRUMENT else (),
    )
    words = "the desk" if scope is None else scope_words(scope)
    subject = words[:1].upper() + words[1:]
    if mode is Mode.ACTIVE:
        return f"{subject} is ACTIVE."
    return f"{subject} is {'HALTED' if mode is Mode.HALT else mode.value.upper()}: {reason}."


def still_differs(desk: Desk, entry: ModeEntry) -> bool:
    """Whether a mode stands for a difference of the books that is still there: no PIN lifts that, only the books do."""
    if not entry.cause.startswith(BY_THE_BOOKS):
        return False
    state = desk.fold.reconciled(AccountId.parse(entry.cause.removeprefix(BY_THE_BOOKS)))
    return state is None or not state.complete or entry.scope.name in state.broken_instruments or entry.scope.kind is ScopeKind.ACCOUNT


def lifted_by(desk: Desk, entry: ModeEntry) -> str:
    """What ends a mode, in words."""
    if still_differs(desk, entry):
        return "the books agreeing again" + (", then `unhalt`" if entry.mode is Mode.HALT else "")
    where = scope_argument(entry.scope)
    if entry.mode is Mode.HALT:
        return f"`unhalt{where}` with the PIN"
    if entry.mode is Mode.PAUSED:
        return f"`resume{where}`"
    if entry.mode is Mode.REDUCING and entry.cause.startswith(LOOKED_AT):
        return f"`resume{where}`, once you have looked"
    return _ENDS.get(entry.cause, "the cause ending")


_ENDS = {"config": "a configuration without errors, at the next start", "login": "the broker letting the desk in again"}


def modes_table(desk: Desk) -> Table | None:
    """Every mode in force: on what, why, who set it and when, and what lifts it; None where all is ACTIVE."""
    rows: list[tuple[Cell, ...]] = [
        (entry.mode.value.upper(), scope_words(entry.scope), entry.reason, _who(entry.actor), entry.at, lifted_by(desk, entry))
        for entry in desk.fold.all_modes()
    ]
    since: datetime | None = None  # what the process knows of itself stands in no event
    rows += [(own.mode.value.upper(), scope_words(own.scope), own.reason, "the desk", since, own.lifted_by) for own in desk.own_modes()]
    if not rows:
        return None
    columns = (
        Column(title="mode"), Column(title="on"), Column(title="reason"), Column(title="set by"),
        Column(title="since", format=Format.TIME), Column(title="lifted by"),
    )
    return Table(title="Modes in force", columns=columns, rows=tuple(rows), source="log")


def _who(actor: str) -> str:
    return actor.removeprefix("person:") if actor.startswith("person:") else "the desk" if actor == "desk" else actor


def _scope_name(scope: Scope) -> str:
    return AccountId.parse(scope.name).id if scope.kind is ScopeKind.ACCOUNT else scope.name.strip()


def _on(key: str) -> tuple[str, ...]:
    """The series and the underlying of a contract's key, the underlying of a series; of any other name itself."""
    root = key.strip()
    with suppress(InstrumentError):
        root = parse_occ(key)[0]
    try:
        return root, series_of(root).underlying
    except InstrumentError:
        return (root,)


def _underlying(key: str) -> str:
    """The underlying a contract's key is on; the name itself where it is no contract."""
    try:
        return series_of(parse_occ(key)[0]).underlying
    except InstrumentError:
        return key.strip()
