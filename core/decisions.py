"""What a decision was made on, as the fields of a record: verdicts of the gate, and each stored event. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

from core.domain.events import (
    AlertRaised,
    Body,
    ClockMoved,
    ConfigSeen,
    Event,
    ExitDue,
    Filled,
    KillChecked,
    KilledOrder,
    Marked,
    Mode,
    ModeSet,
    OrderEnded,
    OrderUnknown,
    Reconciled,
    ReplaceRefused,
    Scope,
)
from core.domain.orders import Envelope, Intent
from core.domain.structures import describe_legs
from core.orders.states import Outcome
from core.redaction import Redaction
from core.risk.exam import Exam, Finding, Verdict

FREE_TEXTS = frozenset({"reason", "text", "thesis", "differences"})  # words of people and brokers; ids and amounts are never touched
_IDS = {"client_id": "order", "ticket_id": "ticket"}
_LEFT_OUT = frozenset({"account", "holdings", "settings"})
_ROUTINE = (ClockMoved, ConfigSeen, Marked)


def event_level(event: Event) -> str:
    """How much an event matters to an operator: debug, info or warning."""
    body = event.body
    if isinstance(body, Reconciled):
        return "warning" if body.differences or not body.complete else "debug"
    if isinstance(body, ModeSet):
        return "info" if body.mode is Mode.ACTIVE else "warning"
    if isinstance(body, OrderEnded):
        return "warning" if body.outcome in ("denied", "rejected") else "info"
    if isinstance(body, KillChecked):
        return "info" if body.proved else "warning"
    if isinstance(body, OrderUnknown | ReplaceRefused):
        return "warning"
    if isinstance(body, ExitDue):
        return "warning" if body.must else "info"
    if isinstance(body, AlertRaised):
        return "warning" if body.urgency in ("high", "critical") else "info"
    return "debug" if isinstance(body, _ROUTINE) else "info"


def event_fields(event: Event, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The ids and the facts of a stored event; legs in words, the rest as it is."""
    body = event.body
    found: dict[str, Any] = {"seq": event.seq, "at": event.at, "actor": event.actor}
    if event.stream != "desk":
        found["account"] = event.stream
    if event.actor.startswith("person:"):
        found["person"] = event.actor.removeprefix("person:")
    if event.causation:
        found["causation"] = event.causation
    if event.correlation:
        found["correlation"] = event.correlation
    if outcomes:
        found["outcomes"] = tuple(outcome.value for outcome in outcomes)
    return {**found, **_facts(body.fill if isinstance(body, Filled) else body)}


def verdict_fields(*, stage: str, ticket: str, exam: Exam, envelope: Envelope, verdict: Verdict) -> dict[str, Any]:
    """Everything the gate said of an order, with the time of the view it was said on. `stage` is draft or press."""
    return {
        "stage": stage, "ticket": ticket, "account": str(envelope.account), "view_time": exam.view.at, "data": exam.view.label,
        "order_terms": _envelope(envelope), "natural": exam.natural, "mid": exam.mid, "mode": exam.mode.value,
        "allowed": verdict.allowed, "reducing": verdict.reducing, "factor": verdict.factor, "quantity_allowed": verdict.quantity_allowed,
        "reason": verdict.reason, "verdict_hash": verdict.hash, "findings": tuple(_finding(item) for item in verdict.findings),
    }


def without_secrets(body: Body, redaction: Redaction) -> Body:
    """An event body with its free texts redacted, before it is stored. Ids, amounts and what was confirmed stay as they are."""
    changed: dict[str, Any] = {}
    for item in fields(body):
        value = getattr(body, item.name)
        if item.name in FREE_TEXTS and value:
            new: Any = redaction.clean(value)
        elif isinstance(value, Intent) and value.thesis:
            thesis = redaction.redact(value.thesis)
            new = value if thesis is value.thesis else replace(value, thesis=thesis)
        else:
            continue
        if new is not value:
            changed[item.name] = new
    return replace(body, **changed) if changed else body


def _finding(item: Finding) -> dict[str, Any]:
    found: dict[str, Any] = {
        "rule": item.rule, "class": item.rule_class.value, "level": item.level.value, "measured": item.measured, "limit": item.limit,
    }
    if item.level.value != "pass":
        found.update(why=item.why, factor=item.factor, fits=item.fits)
    return found


def _envelope(envelope: Envelope) -> dict[str, Any]:
    return {
        "legs": describe_legs(envelope.legs), "quantity": envelope.quantity, "start": envelope.plan.start, "worst": envelope.plan.worst,
        "tif": envelope.tif.value, "strategy": envelope.strategy, "expires_at": envelope.expires_at, "policy": envelope.policy_version,
    }


def _facts(body: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in fields(body):
        value = getattr(body, item.name)
        if item.name in _LEFT_OUT or value is None or value == () or value == "":
            continue
        found[_IDS.get(item.name, item.name)] = _fact(value)
    return found


def _fact(value: Any) -> Any:
    if isinstance(value, Envelope):
        return _envelope(value)
    if isinstance(value, Intent):
        return f"{value.strategy} {describe_legs(value.legs)}"
    if isinstance(value, Scope):
        return f"{value.kind.value} {value.name}".strip()
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | Decimal | date):
        return value
    if isinstance(value, tuple):
        return tuple(_fact(item) for item in value)
    if isinstance(value, KilledOrder):
        return f"{value.client_id} {value.outcome} {value.filled}/{value.quantity}"
    key = getattr(value, "key", None)  # an instrument
    if isinstance(key, str):
        return key.strip()
    return str(value) if not is_dataclass(value) or type(value).__str__ is not object.__str__ else type(value).__name__
