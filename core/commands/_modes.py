"""Setting and lifting modes, for the commands that do."""

from __future__ import annotations

from collections.abc import Iterable

from core.command import Call
from core.desk import Desk, Recorded
from core.domain.events import Mode, ModeSet, Scope, ScopeKind
from core.fold import ModeEntry

KILLED = "kill"
HALTED = "halt"
PAUSED = "pause"


def scope_of(strategy: str | None) -> Scope:
    """The desk, or one strategy."""
    return Scope() if strategy is None else Scope(kind=ScopeKind.STRATEGY, name=strategy)


def scope_words(scope: Scope) -> str:
    """A scope in a sentence."""
    return "the desk" if scope.kind is ScopeKind.DESK else f"{scope.kind.value} {scope.name.strip()}"


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


def standing_words(desk: Desk) -> str:
    """What the desk may do now, in a sentence."""
    mode, reason = desk.mode()
    if mode is Mode.ACTIVE:
        return "The desk is ACTIVE."
    return f"The desk is {'HALTED' if mode is Mode.HALT else mode.value.upper()}: {reason}."
